//! Branches of the history of a repository, which stays as it is: all happens in a clone that borrows its objects.
//!
//! The branches are commits as they stand in its history, where no merge is among them: side lines that were merged, put onto what
//! they were merged into; runs of one to five commits, put onto an earlier base, where many conflict, or onto one that has them
//! already, where most become empty or conflict; and what came of the former, brought back onto a later base, where some or all
//! are upstream already. A side line may have merges of its own.

use std::path::Path;

use anyhow::{Context, Result};
use git_deploy_testkit::rebase::{Branch, Oracle, Place};

use super::asked::Answers;
use super::history::{History, Story};
use super::tally::Tally;
use super::{Case, share_out};

/// Compares so many branches, with seeds from this one on.
pub(super) fn compare(path: &Path, first: u64, branches: u64) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let place = clone(path, folder.path())?;
    let history = History::of(&place)?;
    let stories: Vec<Story> =
        (first..first + branches).map(|seed| history.story(seed)).collect::<Result<_>>()?;
    let branches: Vec<Branch> = stories.iter().map(|story| story.branch.clone()).collect();
    let there = Answers::of(&place, &branches)?;
    let back = |(number, story): (usize, &Story)| {
        let tip = there.tip(number)?.to_owned();
        let base = story.back.clone()?;
        Some((number, Branch { tip, upstream: base.clone(), onto: base }))
    };
    let (returned, others): (Vec<usize>, Vec<Branch>) = stories.iter().enumerate().filter_map(back).unzip();
    let back = Answers::of(&place, &others)?;
    // Along history there is less to check out from one branch to the next.
    let mut order: Vec<usize> = (0..stories.len()).collect();
    order.sort_by_key(|number| stories[*number].home);
    share_out(
        order.len(),
        |worker| Ok(Oracle::numbered(&place, worker)),
        |oracle, job| {
            let number = order[job];
            let (name, seed) = (stories[number].name, first + number as u64);
            let again = format!(
                "cargo xtask differential --repository={} --seed={seed} --branches=1",
                path.display()
            );
            let returned = returned.iter().position(|there| *there == number);
            let returned = returned.map(|at| (&others[at], back.verdict(at)));
            let mut tally = Tally::default();
            for (branch, ours) in [(&branches[number], there.verdict(number))].into_iter().chain(returned) {
                let story = format!("{name}; again: {again}");
                tally.take(&Case { story, branch: branch.clone(), ours }, oracle)?;
            }
            Ok(tally)
        },
    )
}

fn clone(path: &Path, folder: &Path) -> Result<Place> {
    let place = Place::new(folder);
    let path = path.canonicalize().with_context(|| format!("cannot find '{}'", path.display()))?;
    let path = path.to_str().context("the path is not UTF-8")?;
    place.git(&["clone", "--quiet", "--shared", "--no-checkout", path, "."]);
    // What is made here goes away with it.
    place.git(&["config", "gc.auto", "0"]);
    Ok(place)
}
