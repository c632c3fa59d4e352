//! What is to be picked, decided on the shape of history alone.
//!
//! A branch without merges is a chain: walking from its tip towards the first commit that the upstream has too, or to a
//! root. So its order needs no more than the parents, and its merge base with the upstream is where the chain ends.

use std::collections::{HashMap, HashSet};

use crate::ids::CommitId;

/// Which side of `upstream...tip` has a commit, as `git rev-list --left-right --cherry-mark` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `<`: the upstream.
    Left,
    /// `>`: the branch.
    Right,
    /// `=`: either, and the other side has a commit with the same patch but for whitespace.
    Same,
}

impl Mark {
    pub(super) fn from_char(mark: char) -> Option<Self> {
        match mark {
            '<' => Some(Self::Left),
            '>' => Some(Self::Right),
            '=' => Some(Self::Same),
            _ => None,
        }
    }
}

/// A commit that only one of two sides has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) commit: CommitId,
    pub(super) parents: Vec<CommitId>,
    pub(super) mark: Mark,
}

/// A commit to be picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) commit: CommitId,
    pub(super) parent: CommitId,
    /// Whether the upstream has the same patch but for whitespace.
    pub(super) suspected: bool,
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

/// Decides about the branch at `tip`, given all commits of `upstream...tip`, parents before children.
pub(super) fn plan(tip: CommitId, onto: CommitId, listed: &[Listed]) -> Plan {
    let by_id: HashMap<CommitId, &Listed> = listed.iter().map(|listed| (listed.commit, listed)).collect();
    // A parent of a commit that only the branch has is another such commit, or one that both have and that is not
    // listed; never one that only the upstream has. So whose a `=` is shows on this way.
    let own = own_commits(tip, &by_id);
    let first_merge = listed.iter().find(|listed| listed.parents.len() > 1 && own.contains(&listed.commit));
    if let Some(merge) = first_merge {
        return Plan::Merges(merge.commit);
    }
    let mut steps = Vec::new();
    let mut next = tip;
    while let Some(listed) = by_id.get(&next) {
        let Some(parent) = listed.parents.first() else { return Plan::Unrelated(next) };
        steps.push(Step { commit: next, parent: *parent, suspected: listed.mark == Mark::Same });
        next = *parent;
    }
    steps.reverse();
    match steps.first() {
        None => Plan::Landed,
        Some(first) if first.parent == onto => Plan::Current,
        Some(_) if tip == onto => Plan::Landed,
        Some(_) => Plan::Pick(steps),
    }
}

/// The commits that only the branch has, over all parents.
fn own_commits(tip: CommitId, by_id: &HashMap<CommitId, &Listed>) -> HashSet<CommitId> {
    let mut own = HashSet::new();
    let mut open = vec![tip];
    while let Some(commit) = open.pop() {
        if let Some(listed) = by_id.get(&commit)
            && own.insert(commit)
        {
            open.extend(&listed.parents);
        }
    }
    own
}

/// The upstream's commits that could be the same as one of the branch.
pub(super) fn suspects(steps: &[Step], listed: &[Listed]) -> Vec<CommitId> {
    let own: HashSet<CommitId> = steps.iter().map(|step| step.commit).collect();
    let same = listed.iter().filter(|listed| listed.mark == Mark::Same && !own.contains(&listed.commit));
    same.map(|listed| listed.commit).collect()
}

/// The commits among `steps` whose exact patch one of the `upstream` commits has. One without a patch is never among
/// them: it was born empty, and stays.
pub(super) fn upstream_already(
    steps: &[Step],
    upstream: &[CommitId],
    patches: &HashMap<CommitId, String>,
) -> HashSet<CommitId> {
    let known: HashSet<&String> = upstream.iter().filter_map(|commit| patches.get(commit)).collect();
    let steps = steps.iter().filter(|step| step.suspected);
    steps
        .map(|step| step.commit)
        .filter(|commit| patches.get(commit).is_some_and(|patch| known.contains(patch)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    fn listed(mark: char, commit: u8, parents: &[u8]) -> Listed {
        let parents = parents.iter().copied().map(id).collect();
        Listed { commit: id(commit), parents, mark: Mark::from_char(mark).unwrap() }
    }

    fn step(commit: u8, parent: u8, suspected: bool) -> Step {
        Step { commit: id(commit), parent: id(parent), suspected }
    }

    #[test]
    fn commits_of_the_branch_are_picked_from_the_oldest_on() {
        let listed =
            [listed('<', 2, &[1]), listed('=', 3, &[2]), listed('>', 10, &[1]), listed('=', 11, &[10])];
        let plan = plan(id(11), id(3), &listed);
        assert_eq!(plan, Plan::Pick(vec![step(10, 1, false), step(11, 10, true)]));
    }

    #[test]
    fn a_branch_that_upstream_contains_has_landed() {
        assert_eq!(plan(id(1), id(1), &[]), Plan::Landed);
        assert_eq!(plan(id(1), id(2), &[listed('<', 2, &[1])]), Plan::Landed);
    }

    #[test]
    fn a_branch_on_top_is_current() {
        assert_eq!(plan(id(2), id(1), &[listed('>', 2, &[1])]), Plan::Current);
    }

    #[test]
    fn a_merge_is_refused_wherever_it_is() {
        let listed = [
            listed('>', 10, &[1]),
            listed('>', 11, &[1]),
            listed('>', 12, &[10, 11]),
            listed('>', 13, &[12]),
            listed('>', 14, &[13, 11]),
        ];
        assert_eq!(plan(id(14), id(1), &listed), Plan::Merges(id(12)));
    }

    #[test]
    fn a_merge_that_only_upstream_has_does_not_matter() {
        let listed = [listed('<', 2, &[1]), listed('<', 3, &[2, 1]), listed('>', 10, &[1])];
        assert_eq!(plan(id(10), id(3), &listed), Plan::Pick(vec![step(10, 1, false)]));
    }

    #[test]
    fn a_branch_with_a_root_of_its_own_is_unrelated() {
        let listed = [listed('<', 1, &[]), listed('>', 10, &[]), listed('>', 11, &[10])];
        assert_eq!(plan(id(11), id(1), &listed), Plan::Unrelated(id(10)));
    }

    #[test]
    fn only_equal_patches_are_upstream_already() {
        let steps = [step(10, 1, true), step(11, 10, true), step(12, 11, true), step(13, 12, false)];
        let listed = [listed('=', 2, &[1]), listed('<', 3, &[2]), listed('=', 11, &[10])];
        assert_eq!(suspects(&steps, &listed), [id(2)]);
        let patches = [(2, "a"), (10, "a"), (11, "b"), (13, "a")];
        let patches = patches.map(|(commit, patch)| (id(commit), patch.to_owned())).into();
        assert_eq!(upstream_already(&steps, &[id(2)], &patches), HashSet::from([id(10)]));
    }
}
