//! Branches of several commits that upstream has had as one, as `git merge --squash` makes it, and has taken back by `git revert`.
//! None of their commits equals that one, so that they would be picked, and come again.

use std::collections::{HashMap, HashSet};

use super::{Known, Past};
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::rebase::history::{self, Change};
use crate::revert;

/// The commits of upstream, by the tips of branches, that change at once what all of a branch changes, byte by byte, and that a
/// revert has taken back. `past` is what `upstream` has and `since` has not; `fork_of` says where each tip has left it.
pub(super) fn taken_back(
    repository: &Repository,
    past: &Past,
    (since, upstream): (CommitId, CommitId),
    fork_of: &HashMap<CommitId, CommitId>,
) -> Result<HashMap<CommitId, Vec<CommitId>>, GitError> {
    let reverts = if fork_of.is_empty() { Vec::new() } else { repository.reverts(since, upstream)? };
    if reverts.is_empty() {
        return Ok(HashMap::new());
    }
    let reverted = revert::taken_back(past.without_merges(), &reverts);
    let mut known: HashMap<CommitId, Known<'_>> = HashMap::new();
    let mut alike: HashMap<CommitId, Vec<CommitId>> = HashMap::new();
    for (tip, fork) in fork_of {
        // What both had when the branch began is not of the branch.
        let known = known.entry(*fork).or_insert_with(|| past.up_to(*fork));
        let since: Vec<CommitId> = reverted.iter().copied().filter(|commit| !known.has(*commit)).collect();
        if !since.is_empty() {
            alike.insert(*tip, since);
        }
    }
    // Paths are compared faster, and tell most of them apart.
    keep_equal(&mut alike, fork_of, |asked| history::changed_paths(repository, asked))?;
    keep_equal(&mut alike, fork_of, |asked| history::exact_patches(repository, asked))?;
    Ok(alike)
}

/// Keeps the commits of which the same is found as of all that leads to the tip they stand under.
fn keep_equal<T: PartialEq>(
    alike: &mut HashMap<CommitId, Vec<CommitId>>,
    fork_of: &HashMap<CommitId, CommitId>,
    find: impl Fn(&[Change]) -> Result<HashMap<CommitId, T>, GitError>,
) -> Result<(), GitError> {
    if alike.is_empty() {
        return Ok(());
    }
    let theirs: HashSet<CommitId> = alike.values().flatten().copied().collect();
    let theirs = find(&theirs.into_iter().map(Change::of).collect::<Vec<_>>())?;
    let ours = find(&alike.keys().map(|tip| Change::since(fork_of[tip], *tip)).collect::<Vec<_>>())?;
    alike.retain(|tip, commits| {
        commits.retain(|commit| ours.get(tip).is_some_and(|ours| theirs.get(commit) == Some(ours)));
        !commits.is_empty()
    });
    Ok(())
}
