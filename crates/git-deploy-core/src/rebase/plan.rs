//! What is to be picked, decided on the shape of history alone.
//!
//! A branch without merges is a chain: walking from its tip towards the first commit that the upstream has too, or to a
//! root. So its order needs no more than the parents, and its merge base with the upstream is where the chain ends.

use std::collections::{HashMap, HashSet};

use crate::ids::CommitId;

/// The commits that branches have and upstream has not.
#[derive(Debug, Default)]
pub(super) struct Own(HashMap<CommitId, Listed>);

#[derive(Debug)]
struct Listed {
    parents: Vec<CommitId>,
    /// How many were listed before it.
    place: usize,
}

impl FromIterator<(CommitId, Vec<CommitId>)> for Own {
    /// Takes commits with their parents; parents come before children.
    fn from_iter<I: IntoIterator<Item = (CommitId, Vec<CommitId>)>>(commits: I) -> Self {
        let listed = |(place, (commit, parents))| (commit, Listed { parents, place });
        Self(commits.into_iter().enumerate().map(listed).collect())
    }
}

impl Own {
    /// The first parent of a commit that is among them; none where it has none.
    pub(super) fn first_parent(&self, commit: CommitId) -> Option<Option<CommitId>> {
        Some(self.0.get(&commit)?.parents.first().copied())
    }

    /// The first merge that a branch has.
    fn first_merge(&self, tip: CommitId) -> Option<CommitId> {
        let (mut seen, mut open, mut first) = (HashSet::new(), vec![tip], None);
        while let Some(commit) = open.pop() {
            let Some(listed) = self.0.get(&commit).filter(|_| seen.insert(commit)) else { continue };
            if listed.parents.len() > 1 {
                first = first.into_iter().chain([(listed.place, commit)]).min();
            }
            open.extend(&listed.parents);
        }
        first.map(|(_, commit)| commit)
    }
}

/// A commit to be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) commit: CommitId,
    pub(super) parent: CommitId,
    /// Whether upstream has the same change already.
    pub(super) is_there: bool,
}

/// What is to be done with a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// It has no commit of its own.
    Landed,
    /// It stands on `onto` already.
    Current,
    /// It has this merge commit, its first.
    Merges(CommitId),
    /// It begins with this root commit.
    Unrelated(CommitId),
    /// These are to be picked, in order; there is one at least.
    Pick(Vec<Step>),
}

/// Decides about the branch at `tip`, given all commits that it has and upstream has not.
pub(super) fn plan(tip: CommitId, onto: CommitId, own: &Own) -> Plan {
    if let Some(merge) = own.first_merge(tip) {
        return Plan::Merges(merge);
    }
    let mut steps = Vec::new();
    let mut next = tip;
    while let Some(parent) = own.first_parent(next) {
        let Some(parent) = parent else { return Plan::Unrelated(next) };
        steps.push(Step { commit: next, parent, is_there: false });
        next = parent;
    }
    steps.reverse();
    match steps.first() {
        None => Plan::Landed,
        Some(first) if first.parent == onto => Plan::Current,
        Some(_) if tip == onto => Plan::Landed,
        Some(_) => Plan::Pick(steps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    fn own(commits: &[(u8, &[u8])]) -> Own {
        commits
            .iter()
            .map(|(commit, parents)| (id(*commit), parents.iter().copied().map(id).collect()))
            .collect()
    }

    fn step(commit: u8, parent: u8) -> Step {
        Step { commit: id(commit), parent: id(parent), is_there: false }
    }

    #[test]
    fn commits_of_the_branch_are_picked_from_the_oldest_on() {
        let own = own(&[(10, &[1]), (20, &[2]), (11, &[10])]);
        assert_eq!(plan(id(11), id(3), &own), Plan::Pick(vec![step(10, 1), step(11, 10)]));
    }

    #[test]
    fn a_branch_that_upstream_contains_has_landed() {
        assert_eq!(plan(id(1), id(2), &own(&[])), Plan::Landed);
        assert_eq!(plan(id(2), id(2), &own(&[(2, &[1])])), Plan::Landed);
    }

    #[test]
    fn a_branch_on_top_is_current() {
        assert_eq!(plan(id(2), id(1), &own(&[(2, &[1])])), Plan::Current);
    }

    #[test]
    fn a_merge_is_refused_wherever_it_is() {
        let own =
            own(&[(20, &[1, 2]), (10, &[1]), (11, &[1]), (12, &[10, 11]), (13, &[12]), (14, &[13, 11])]);
        assert_eq!(plan(id(14), id(1), &own), Plan::Merges(id(12)));
        assert_eq!(plan(id(10), id(3), &own), Plan::Pick(vec![step(10, 1)]));
    }

    #[test]
    fn a_branch_with_a_root_of_its_own_is_unrelated() {
        assert_eq!(plan(id(11), id(1), &own(&[(10, &[]), (11, &[10])])), Plan::Unrelated(id(10)));
    }
}
