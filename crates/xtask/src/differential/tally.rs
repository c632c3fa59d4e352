//! What came of comparing.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use git_deploy_testkit::rebase::{Branch, Expected, Judged, Oracle};

use super::Case;

/// Branches by what became of them, and where we and git differ.
#[derive(Default)]
pub(super) struct Tally {
    verdicts: BTreeMap<&'static str, usize>,
    /// Commits of these that were left out, and branches of which any was.
    upstream: Count,
    emptied: Count,
    /// What differs as it is stated.
    respaced: Count,
    recoded: Count,
    bugs: usize,
    differences: Vec<String>,
}

#[derive(Default)]
struct Count {
    commits: usize,
    branches: usize,
}

impl Count {
    fn take(&mut self, commits: usize) {
        self.add(&Self { commits, branches: usize::from(commits > 0) });
    }

    fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.branches += other.branches;
    }
}

impl Tally {
    /// Asks git, and compares.
    pub(super) fn take(&mut self, case: &Case, oracle: &Oracle) -> Result<()> {
        let judged = catch_unwind(AssertUnwindSafe(|| oracle.judge(&case.branch)));
        let judged = judged.map_err(|_| anyhow!("git cannot be asked: {}", case.story))?;
        let Judged { verdict: gits, upstream, emptied, respaced, recoded } = judged;
        let is_bug = gits == Expected::Bug && matches!(case.ours, Expected::Conflict(..));
        *self.verdicts.entry(case.ours.kind()).or_default() += 1;
        self.bugs += usize::from(is_bug);
        if !is_bug && gits != case.ours {
            let (ours, Branch { tip, upstream, onto }) = (&case.ours, &case.branch);
            self.differences.push(format!(
                "{}\n  git rebase --no-fork-point --onto {onto} {upstream} {tip}\n  ours: {ours:?}\n  git's: {gits:?}",
                case.story
            ));
        }
        // Where it stops, not all of them are met.
        if matches!(gits, Expected::Commits(_) | Expected::Landed | Expected::Current) {
            self.emptied.take(emptied);
        }
        self.upstream.take(upstream);
        self.respaced.take(respaced);
        self.recoded.take(recoded);
        Ok(())
    }

    pub(super) fn add(&mut self, other: Self) {
        for (kind, count) in other.verdicts {
            *self.verdicts.entry(kind).or_default() += count;
        }
        self.upstream.add(&other.upstream);
        self.emptied.add(&other.emptied);
        self.respaced.add(&other.respaced);
        self.recoded.add(&other.recoded);
        self.bugs += other.bugs;
        self.differences.extend(other.differences);
    }

    pub(super) fn branches(&self) -> usize {
        self.verdicts.values().sum()
    }

    pub(super) fn differences(&self) -> usize {
        self.differences.len()
    }

    fn of(&self, kind: &str) -> usize {
        self.verdicts.get(kind).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        writeln!(f, "{:>7} branches", self.branches())?;
        for (kind, meaning) in [
            ("rebased", "are clean"),
            ("conflict", "conflict in the same paths"),
            ("landed", "keep no commit"),
            ("current", "stand where they are to stand"),
            ("merges", "have merge commits: refused, where git would flatten them (stated)"),
            ("other", "could not be judged"),
        ] {
            writeln!(f, "{:>7} {meaning}", self.of(kind))?;
        }
        for (count, meaning) in [
            (&self.upstream, "are upstream already, and dropped"),
            (&self.emptied, "become empty, and are dropped"),
            (
                &self.respaced,
                "are upstream with other white space, and picked where git would drop them (stated)",
            ),
            (&self.recoded, "have an encoding, and keep it where git would make UTF-8 of it (stated)"),
        ] {
            writeln!(f, "{:>7} commits of {} branches {meaning}", count.commits, count.branches)?;
        }
        writeln!(f, "{:>7} conflicts at which git itself ends with a bug of its own", self.bugs)?;
        writeln!(f, "{:>7} differences", self.differences())
    }
}
