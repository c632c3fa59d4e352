//! Which commits of branches upstream has already: `git rebase` does not pick them.
//!
//! Git compares patches without their whitespace; a commit counts as there only if its diff is equal byte by byte. Two that
//! are equal change the same paths, and trees alone tell these; only of commits that do diffs are made.

mod cache;

use std::collections::{HashMap, HashSet};

use super::history;
use super::plan::Step;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
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

    /// The steps of branches, each a chain on top of a commit of upstream, that upstream has made since then.
    pub(super) fn has_already(
        &mut self,
        upstream: CommitId,
        chains: &[&[Step]],
    ) -> Result<HashSet<CommitId>, GitError> {
        let repository = self.repository;
        let mut fork_of: HashMap<CommitId, CommitId> = HashMap::new();
        for chain in chains {
            let Some(fork) = chain.first().map(|step| step.parent).filter(|fork| *fork != upstream) else {
                continue;
            };
            fork_of.extend(chain.iter().map(|step| (step.commit, fork)));
        }
        if fork_of.is_empty() {
            return Ok(HashSet::new());
        }
        let forks: HashSet<CommitId> = fork_of.values().copied().collect();
        let since = history::last_common(repository, &forks.into_iter().collect::<Vec<_>>())?;
        let history = Past(history::since(repository, since, upstream)?);
        let theirs: Vec<CommitId> = history.without_merges().collect();
        let all: Vec<CommitId> = fork_of.keys().chain(&theirs).copied().collect();
        let paths = self.cache.of_all(&all, |unknown| history::changed_paths(repository, unknown))?;
        let mut alike: HashMap<u64, Vec<CommitId>> = HashMap::new();
        for commit in theirs {
            if let Some(paths) = paths.get(&commit) {
                alike.entry(*paths).or_default().push(commit);
            }
        }
        let mut pairs = Vec::new();
        let mut before: HashMap<CommitId, HashSet<CommitId>> = HashMap::new();
        for (own, fork) in &fork_of {
            // A commit that changes nothing was born empty, and stays.
            let Some(alike) = paths.get(own).and_then(|paths| alike.get(paths)) else { continue };
            // What both had when the branch began is not upstream's alone.
            let before = before.entry(*fork).or_insert_with(|| history.up_to(*fork));
            pairs
                .extend(alike.iter().filter(|commit| !before.contains(commit)).map(|commit| (*own, *commit)));
        }
        if pairs.is_empty() {
            return Ok(HashSet::new());
        }
        let compared: HashSet<CommitId> = pairs.iter().flat_map(|(own, theirs)| [*own, *theirs]).collect();
        let patches = history::exact_patches(repository, &compared.into_iter().collect::<Vec<_>>())?;
        let is_same = |(own, theirs): &(CommitId, CommitId)| {
            patches.get(own).is_some_and(|patch| patches.get(theirs) == Some(patch))
        };
        Ok(pairs.into_iter().filter(is_same).map(|(own, _)| own).collect())
    }
}

/// Commits and their parents.
struct Past(HashMap<CommitId, Vec<CommitId>>);

impl Past {
    fn without_merges(&self) -> impl Iterator<Item = CommitId> {
        self.0.iter().filter(|(_, parents)| parents.len() < 2).map(|(commit, _)| *commit)
    }

    /// Those of them that a commit has.
    fn up_to(&self, commit: CommitId) -> HashSet<CommitId> {
        let (mut found, mut open) = (HashSet::new(), vec![commit]);
        while let Some(commit) = open.pop() {
            if let Some(parents) = self.0.get(&commit)
                && found.insert(commit)
            {
                open.extend(parents);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_of_a_commit_goes_over_all_parents() {
        let id = |number: u8| -> CommitId { format!("{number:040x}").parse().unwrap() };
        let past = [(2, vec![1]), (3, vec![2]), (4, vec![2]), (5, vec![3, 4])];
        let past = Past(
            past.into_iter()
                .map(|(commit, parents)| (id(commit), parents.into_iter().map(id).collect()))
                .collect(),
        );
        assert_eq!(past.up_to(id(3)), HashSet::from([id(2), id(3)]));
        assert_eq!(past.up_to(id(5)).len(), 4);
        assert_eq!(past.up_to(id(1)), HashSet::new());
        assert_eq!(past.without_merges().collect::<HashSet<_>>(), HashSet::from([id(2), id(3), id(4)]));
    }
}
