//! The history of a repository, and what branches can be taken from it.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use git_deploy_testkit::rebase::{Branch, Place};

/// How much of it is looked at: its last commits, in which a repository is about as large as it is now.
const COMMITS: usize = 4000;

/// How many commits a branch has at most.
const LONGEST: usize = 5;

/// How far a branch is moved at most, as a power of two, in commits of base.
const FAR: usize = 10;

/// How far one that is brought back.
const NEAR: usize = 6;

/// A history.
pub(super) struct History {
    /// What base was, one after the other.
    base: Vec<String>,
    /// All that came into base meanwhile, children after parents.
    commits: Vec<Commit>,
    place: HashMap<String, usize>,
}

struct Commit {
    id: String,
    parents: Vec<String>,
    /// The first commit of base that has it.
    home: usize,
}

/// A branch, and where it goes on to from there.
pub(super) struct Story {
    /// What it is.
    pub(super) name: &'static str,
    /// Where in history.
    pub(super) home: usize,
    pub(super) branch: Branch,
    /// The base to which it is then brought back.
    pub(super) back: Option<String>,
}

impl History {
    pub(super) fn of(place: &Place) -> Result<Self> {
        let most = format!("--max-count={COMMITS}");
        let base = place.git(&["rev-list", "--first-parent", "--reverse", &most, "HEAD"]);
        let base: Vec<String> = base.lines().map(str::to_owned).collect();
        ensure!(base.len() > 2 * LONGEST, "the repository has too few commits");
        let since = format!("^{}", base[0]);
        let log = place.git(&["log", "--topo-order", "--reverse", "--format=%H %P", "HEAD", &since]);
        let home: HashMap<&str, usize> = base.iter().enumerate().map(|(at, id)| (&**id, at)).collect();
        let (mut commits, mut next) = (Vec::new(), 1);
        for line in log.lines() {
            let mut ids = line.split(' ').map(str::to_owned);
            let id = ids.next().unwrap_or_default();
            // What a merge brings stands before it.
            let at = home.get(&*id).copied();
            commits.push(Commit { home: at.unwrap_or(next), id, parents: ids.collect() });
            next = at.map_or(next, |at| at + 1);
        }
        let place = commits.iter().enumerate().map(|(at, commit)| (commit.id.clone(), at)).collect();
        Ok(Self { base, commits, place })
    }

    /// A branch, the same for the same seed.
    pub(super) fn story(&self, seed: u64) -> Result<Story> {
        let rng = &mut Rng::with_seed(seed);
        let chosen = match rng.u8(0..8) {
            0 | 1 => self.side_line(rng),
            2 => self
                .run(rng, "a run of commits, put onto an earlier base", |rng, home| before(rng, home, FAR)),
            3 => self.run(rng, "a run of commits, put onto a base that has them", |rng, home| {
                home + distance(rng, FAR)
            }),
            _ => self.there_and_back(rng),
        };
        let again = || self.there_and_back(rng);
        chosen.or_else(again).context("the repository has too few commits that are no merges")
    }

    /// What a merge brought, as it was just before.
    fn side_line(&self, rng: &mut Rng) -> Option<Story> {
        let is_merge = |commit: &&Commit| commit.parents.len() == 2 && self.base[commit.home] == commit.id;
        let merges: Vec<&Commit> = self.commits.iter().filter(is_merge).collect();
        let merge = rng.choice(merges)?;
        let [onto, tip] = &merge.parents[..] else { return None };
        let branch = Branch { tip: tip.clone(), upstream: onto.clone(), onto: onto.clone() };
        let (name, home) = ("what a merge brought, put onto what it was merged into", merge.home);
        Some(Story { name, home, branch, back: None })
    }

    /// The commits of a run, put onto an earlier base, and from there onto one that has all of them, or some.
    fn there_and_back(&self, rng: &mut Rng) -> Option<Story> {
        let name = "a run of commits, put onto an earlier base, and from there onto a later one";
        let there = self.run(rng, name, |rng, home| before(rng, home, NEAR))?;
        let back = match rng.u8(0..3) {
            0 => there.home.saturating_sub(rng.usize(0..LONGEST)),
            _ => there.home + distance(rng, NEAR),
        };
        let back = back.min(self.base.len() - 1);
        Some(Story { back: Some(self.base[back].clone()), ..there })
    }

    /// Commits one after the other that are no merges, and another base for them than the one that has them first.
    fn run(
        &self,
        rng: &mut Rng,
        name: &'static str,
        onto: impl FnOnce(&mut Rng, usize) -> usize,
    ) -> Option<Story> {
        let ordinary = |commit: &&Commit| commit.parents.len() == 1;
        let tip = rng.choice(self.commits.iter().filter(ordinary).collect::<Vec<_>>())?;
        let mut upstream = &tip.parents[0];
        for _ in 1..rng.usize(1..=LONGEST) {
            let before = self.place.get(upstream).map(|at| &self.commits[*at]).filter(ordinary);
            let Some(before) = before else { break };
            upstream = &before.parents[0];
        }
        let onto = onto(rng, tip.home).min(self.base.len() - 1);
        // To us what is base has landed, whatever it was made from; git would apply it to itself.
        let onto = if self.base[onto] == tip.id { onto.checked_sub(1)? } else { onto };
        let branch =
            Branch { tip: tip.id.clone(), upstream: upstream.clone(), onto: self.base[onto].clone() };
        Some(Story { name, home: tip.home, branch, back: None })
    }
}

/// Some time before.
fn before(rng: &mut Rng, home: usize, most: usize) -> usize {
    home - (1 + distance(rng, most)).min(home)
}

/// How far to go: mostly not far.
fn distance(rng: &mut Rng, most: usize) -> usize {
    let most = 1 << rng.usize(0..=most);
    rng.usize(0..most)
}
