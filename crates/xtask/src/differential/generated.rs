//! Branches of histories that are made.

use anyhow::{Result, ensure};
use git_deploy_testkit::rebase::{Branch, CONFIGURATIONS, Generator, Oracle, Place};

use super::asked::Answers;
use super::tally::Tally;
use super::{Case, share_out};

/// How many branches a history has.
const BRANCHES: usize = 10;

/// Compares so many branches, of histories with seeds from this one on.
pub(super) fn compare(first: u64, branches: u64) -> Result<Tally> {
    let histories = usize::try_from(branches)?.div_ceil(BRANCHES);
    share_out(histories, |_| Ok(()), |(), history| compare_one(first + history as u64))
}

fn compare_one(seed: u64) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path());
    let configuration = CONFIGURATIONS[(seed % CONFIGURATIONS.len() as u64) as usize];
    place.import(&Generator::new(seed).history(BRANCHES), configuration);
    let again = format!("cargo xtask differential --seed={seed} --branches={BRANCHES}");
    let base = place.git(&["rev-parse", "master"]);
    let tip = |number: usize| place.git(&["rev-parse", &format!("b{number}")]);
    let branches: Vec<Branch> = (0..BRANCHES)
        .map(|number| Branch { tip: tip(number), upstream: base.clone(), onto: base.clone() })
        .collect();
    let state = || {
        ["for-each-ref", "status", "rev-parse HEAD"]
            .map(|args| place.git(&args.split(' ').collect::<Vec<_>>()))
    };
    let before = state();
    let answers = Answers::of(&place, &branches)?;
    ensure!(answers == Answers::of(&place, &branches)?, "not the same twice; again: {again}");
    ensure!(state() == before, "something was touched; again: {again}");
    let (oracle, mut tally) = (Oracle::new(&place), Tally::default());
    for (number, branch) in branches.iter().enumerate() {
        let story = format!("branch b{number}, with {configuration:?}; again: {again}");
        let case = Case { story, branch: branch.clone(), ours: answers.verdict(number) };
        tally.take(&case, &oracle)?;
    }
    Ok(tally)
}
