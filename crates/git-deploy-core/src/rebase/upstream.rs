//! Which commits of branches upstream has already: `git rebase` does not pick them.
//!
//! Git compares patches without their whitespace; a commit counts as there only if its diff is equal byte by byte. Two that
//! are equal change the same paths, and trees alone tell these; only of commits that do diffs are made.
//!
//! What upstream has had as one commit, and has taken back, is there already as well, though git would pick it: a single commit
//! that was taken back does not come again either.

mod at_once;
mod cache;

use std::collections::{HashMap, HashSet};

use super::history::{self, Change};
use super::patch::PatchId;
use super::plan::Step;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::revert::{Logged, taken_back};
use cache::Cache;

pub(super) use cache::number_of;

/// Compares commits with those of upstream.
pub(super) struct Upstream<'a> {
    repository: &'a Repository,
    cache: Cache,
}

impl<'a> Upstream<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, cache: Cache::of(repository) }
    }

    /// What upstream has made since then of the steps of branches, each a chain on top of a commit of upstream.
    pub(super) fn has_already(&mut self, upstream: CommitId, chains: &[&[Step]]) -> Result<There, GitError> {
        let repository = self.repository;
        let mut fork_of: HashMap<CommitId, CommitId> = HashMap::new();
        for chain in chains {
            let Some(fork) = chain.first().map(|step| step.parent).filter(|fork| *fork != upstream) else {
                continue;
            };
            fork_of.extend(chain.iter().map(|step| (step.commit, fork)));
        }
        if fork_of.is_empty() {
            return Ok(There::default());
        }
        let forks: HashSet<CommitId> = fork_of.values().copied().collect();
        let since = history::last_common(repository, &forks.into_iter().collect::<Vec<_>>())?;
        let past = Past::new(history::since(repository, since, upstream)?);
        let taken_back = match since {
            Some(since) => {
                at_once::taken_back(repository, &past, (since, upstream), &several(chains, &fork_of))?
            }
            None => HashMap::new(),
        };
        let commits = self.equal_to(&past, &fork_of)?;
        Ok(There { commits, taken_back })
    }

    /// The commits of branches, given where each of these left upstream, that are equal to one of upstream's own.
    fn equal_to(
        &mut self,
        past: &Past,
        fork_of: &HashMap<CommitId, CommitId>,
    ) -> Result<HashSet<CommitId>, GitError> {
        let repository = self.repository;
        let theirs: Vec<CommitId> = past.without_merges().collect();
        let all: Vec<CommitId> = fork_of.keys().chain(&theirs).copied().collect();
        let paths = self.cache.of_all(&all, |unknown| history::changed_paths(repository, &each(unknown)))?;
        let alike = by_paths(theirs, &paths);
        let mut known: HashMap<CommitId, Known<'_>> = HashMap::new();
        let (mut own, mut theirs) = (Vec::new(), HashSet::<CommitId>::new());
        for (commit, fork) in fork_of {
            // A commit that changes nothing was born empty, and stays.
            let Some(alike) = paths.get(commit).and_then(|paths| alike.get(paths)) else { continue };
            // What both had when the branch began is not upstream's alone.
            let known = known.entry(*fork).or_insert_with(|| past.up_to(*fork));
            let mut since = alike.iter().filter(|commit| !known.has(**commit)).peekable();
            if since.peek().is_some() {
                own.push(*commit);
                theirs.extend(since);
            }
        }
        let mut same: HashMap<PatchId, Vec<CommitId>> = HashMap::new();
        for (commit, patch) in history::exact_patches(repository, &each(&theirs))? {
            same.entry(patch).or_default().push(commit);
        }
        let patches = history::exact_patches(repository, &each(&own))?;
        let is_there = |(commit, patch): (CommitId, PatchId)| {
            let known = &known[&fork_of[&commit]];
            same.get(&patch)?.iter().any(|theirs| !known.has(*theirs)).then_some(commit)
        };
        Ok(patches.into_iter().filter_map(is_there).collect())
    }
}

/// What upstream has of branches.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Commits that it has as well.
    commits: HashSet<CommitId>,
    /// The commits that have brought all of a branch at once, and that were taken back, by the branches' tips.
    taken_back: HashMap<CommitId, Vec<CommitId>>,
}

impl There {
    /// Whether upstream has a commit as well.
    pub(super) fn has(&self, commit: CommitId) -> bool {
        self.commits.contains(&commit)
    }

    /// The commits by which upstream has had all up to a tip at once, and which it has taken back.
    pub(super) fn had_at_once(&self, tip: CommitId) -> &[CommitId] {
        self.taken_back.get(&tip).map_or(&[], Vec::as_slice)
    }
}

/// The commits of upstream since a branch began that brought all of it at once, and that reverts have taken back.
///
/// # Errors
/// When history cannot be read.
pub(crate) fn brought_at_once(
    repository: &Repository,
    upstream: CommitId,
    (fork, tip): (CommitId, CommitId),
) -> Result<Vec<CommitId>, GitError> {
    let past = Past::new(history::since(repository, Some(fork), upstream)?);
    let found = at_once::taken_back(repository, &past, (fork, upstream), &HashMap::from([(tip, fork)]))?;
    Ok(found.into_values().flatten().collect())
}

/// Those of some commits of `since..upstream` that upstream has not again: what reverts have taken back of them may have come once
/// more as another commit.
///
/// # Errors
/// When history cannot be read.
pub(crate) fn without_those_again(
    repository: &Repository,
    (since, upstream): (CommitId, CommitId),
    commits: Vec<CommitId>,
    reverts: &[Logged],
) -> Result<Vec<CommitId>, GitError> {
    let taken: HashSet<CommitId> = taken_back(commits.iter().copied(), reverts).into_iter().collect();
    if taken.is_empty() {
        return Ok(commits);
    }
    let past = Past::new(history::since(repository, Some(since), upstream)?);
    let gone: HashSet<CommitId> = taken_back(past.without_merges(), reverts).into_iter().collect();
    let there: Vec<CommitId> = past.without_merges().filter(|commit| !gone.contains(commit)).collect();
    let paths = history::changed_paths(repository, &each(taken.iter().chain(&there)))?;
    let known: HashSet<u64> = taken.iter().filter_map(|commit| paths.get(commit)).copied().collect();
    let alike = there.iter().filter(|commit| paths.get(commit).is_some_and(|paths| known.contains(paths)));
    let there: HashSet<PatchId> = history::exact_patches(repository, &each(alike))?.into_values().collect();
    let taken = history::exact_patches(repository, &each(&taken))?;
    let is_again = |commit: &CommitId| taken.get(commit).is_some_and(|patch| there.contains(patch));
    Ok(commits.into_iter().filter(|commit| !is_again(commit)).collect())
}

/// Where the branches of several commits have left upstream, by their tips.
fn several(chains: &[&[Step]], fork_of: &HashMap<CommitId, CommitId>) -> HashMap<CommitId, CommitId> {
    let tips = chains.iter().filter(|chain| chain.len() > 1).filter_map(|chain| Some(chain.last()?.commit));
    tips.filter_map(|tip| Some((tip, *fork_of.get(&tip)?))).collect()
}

/// What each of some commits changes.
fn each<'c>(commits: impl IntoIterator<Item = &'c CommitId>) -> Vec<Change> {
    commits.into_iter().map(|commit| Change::of(*commit)).collect()
}

/// Commits by the number of the paths that they change; those that change none are left out.
fn by_paths(commits: Vec<CommitId>, paths: &HashMap<CommitId, u64>) -> HashMap<u64, Vec<CommitId>> {
    let mut found: HashMap<u64, Vec<CommitId>> = HashMap::new();
    for commit in commits {
        if let Some(paths) = paths.get(&commit) {
            found.entry(*paths).or_default().push(commit);
        }
    }
    found
}

/// Commits and their parents.
struct Past {
    place_of: HashMap<CommitId, usize>,
    parents: Vec<Vec<CommitId>>,
}

impl Past {
    fn new(listed: HashMap<CommitId, Vec<CommitId>>) -> Self {
        let mut place_of = HashMap::with_capacity(listed.len());
        let mut parents = Vec::with_capacity(listed.len());
        for (place, (commit, its)) in listed.into_iter().enumerate() {
            place_of.insert(commit, place);
            parents.push(its);
        }
        Self { place_of, parents }
    }

    fn without_merges(&self) -> impl Iterator<Item = CommitId> {
        self.place_of.iter().filter(|(_, place)| self.parents[**place].len() < 2).map(|(commit, _)| *commit)
    }

    /// Those of them that a commit has.
    fn up_to(&self, commit: CommitId) -> Known<'_> {
        let mut known = Known { past: self, is_known: vec![false; self.parents.len()] };
        let mut open = vec![commit];
        while let Some(commit) = open.pop() {
            if let Some(place) = self.place_of.get(&commit)
                && !std::mem::replace(&mut known.is_known[*place], true)
            {
                open.extend(&self.parents[*place]);
            }
        }
        known
    }
}

/// Some of the commits of a past: a byte for each, since there are as many of these as branches, and very many commits.
struct Known<'p> {
    past: &'p Past,
    is_known: Vec<bool>,
}

impl Known<'_> {
    fn has(&self, commit: CommitId) -> bool {
        self.past.place_of.get(&commit).is_some_and(|place| self.is_known[*place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_of_a_commit_goes_over_all_parents() {
        let id = |number: u8| -> CommitId { format!("{number:040x}").parse().unwrap() };
        let past = [(2, vec![1]), (3, vec![2]), (4, vec![2]), (5, vec![3, 4])];
        let past = Past::new(
            past.into_iter()
                .map(|(commit, parents)| (id(commit), parents.into_iter().map(id).collect()))
                .collect(),
        );
        let known = |commit: u8| -> Vec<u8> {
            let known = past.up_to(id(commit));
            (0..7).filter(|commit| known.has(id(*commit))).collect()
        };
        assert_eq!(known(3), [2, 3]);
        assert_eq!(known(5), [2, 3, 4, 5]);
        assert!(known(1).is_empty());
        assert_eq!(past.without_merges().collect::<HashSet<_>>(), HashSet::from([id(2), id(3), id(4)]));
    }
}
