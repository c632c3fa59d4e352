//! How a branch here and that of the remote come together where neither was made from the other, as far as notes say.

use std::collections::HashSet;

use crate::branch::Branch;
use crate::git::merge_tree::{MergeTree, Merged, Pick};
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::ops::view::View;

/// What somebody can do whose branch and that of the remote have commits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Ours is put upon what is there.
    Upon,
    /// Likewise, without the commits of base that only ours stands on.
    BeyondBase,
    /// A rebase would leave out what this merge of ours changes itself.
    Merge(CommitId),
    /// One may be another version of the other, which nothing but a look can tell: a rebase would bring back what was rewritten.
    Look,
    /// Ours is another version of all that is there, and was made from that: it replaces it, if that is meant.
    Replaces,
    /// Somebody has put what ours begins with on a newer base, as to mend it: that counts. Ours is put upon it without that.
    Mended {
        /// The last commit of ours that is there as another one.
        old: CommitId,
        /// Whether ours has further commits.
        is_further: bool,
    },
}

/// What is to be done about a branch of ours and the commit that the remote has of it, by what each of them has of its own.
pub(super) fn apart(
    view: &View<'_>,
    branch: &Branch,
    theirs: CommitId,
    base_tip: CommitId,
    own: [&[CommitId]; 2],
) -> Result<Apart, GitError> {
    let repository = view.repository;
    let beyond = |one: &[CommitId], other: &[CommitId]| -> Vec<CommitId> {
        one.iter().copied().filter(|commit| !other.contains(commit)).collect()
    };
    let (gone, gained) = (beyond(own[1], own[0]), beyond(own[0], own[1]));
    let (gone_by, gained_by) = (written(repository, &gone)?, written(repository, &gained)?);
    let stood_there = repository.was_at(&branch.name, &[theirs])?;
    if stood_there && gone_by.is_subset(&gained_by) {
        return Ok(Apart::Replaces);
    }
    if !stood_there && let Some(mended) = mended(view, branch, theirs, base_tip, own)? {
        return Ok(mended);
    }
    if stood_there || !gone_by.is_disjoint(&gained_by) || repository.was_at(&branch.name, &gone)? {
        return Ok(Apart::Look);
    }
    // What the remote had, and has no more, somebody has taken out there.
    if repository.was_at(&view.settings.authority(&branch.name), &gained)? {
        return Ok(Apart::Look);
    }
    let fork = repository.merge_base(branch.tip, base_tip)?;
    let is_below = fork.map_or(Ok(true), |fork| repository.is_ancestor(fork, theirs))?;
    let edited = match repository.edited_merge(branch.tip, &[base_tip, theirs]) {
        Err(GitError::MergeTimeLimit { .. }) => return Ok(Apart::Look),
        edited => edited?,
    };
    Ok(match edited {
        Some(merge) => Apart::Merge(merge),
        None if is_below => Apart::Upon,
        None if repository.has_merges(branch.tip, &[base_tip, theirs])? => Apart::Look,
        None => Apart::BeyondBase,
    })
}

/// Whether what is there are the commits that ours begins with, each of them, on a newer base, in the place of ours; or the same as
/// they became here. What is there has all that they say then, unless they conflict with that base.
fn mended(
    view: &View<'_>,
    branch: &Branch,
    theirs: CommitId,
    base_tip: CommitId,
    own: [&[CommitId]; 2],
) -> Result<Option<Apart>, GitError> {
    let (repository, there) = (view.repository, view.settings.authority(&branch.name));
    // From the newest on.
    let (further, begins) = own[0].split_at(own[0].len().saturating_sub(own[1].len()));
    let (Some(old), true) = (begins.first().copied(), begins.len() == own[1].len()) else { return Ok(None) };
    let pairs: Vec<_> = begins
        .iter()
        .zip(own[1])
        .map(|(ours, theirs)| Ok([repository.commit(*ours)?, repository.commit(*theirs)?]))
        .collect::<Result<_, GitError>>()?;
    let is_theirs = |author: &Vec<u8>| pairs.iter().any(|[_, theirs]| theirs.author == *author);
    if pairs.iter().any(|[ours, theirs]| ours.author != theirs.author)
        || written(repository, further)?.iter().any(is_theirs)
    {
        return Ok(None);
    }
    let forks = [repository.merge_base(branch.tip, base_tip)?, repository.merge_base(theirs, base_tip)?];
    let [Some(fork), Some(newer)] = forks else { return Ok(None) };
    // What is far away was not read as far as to there.
    let ends = pairs.last().map(|[ours, theirs]| [ours, theirs].map(|commit| commit.parents.clone()));
    let is_same = fork == newer
        && pairs.first().is_some_and(|[ours, theirs]| ours.tree == theirs.tree)
        && pairs.iter().all(|[ours, theirs]| ours.message == theirs.message);
    let replaces = fork != newer && repository.is_ancestor(fork, newer)?;
    let is_mended = ends == Some([vec![fork], vec![newer]])
        && (is_same || replaces && repository.was_at(&there, &[old])?)
        && !repository.was_at(&there, further)?
        && !repository.has_merges(branch.tip, &[base_tip])?
        && !repository.has_merges(theirs, &[base_tip])?;
    Ok((is_mended && (is_same || may_come_from(repository, [old, fork], [theirs, newer])?))
        .then_some(Apart::Mended { old, is_further: !further.is_empty() }))
}

/// Whether what is there, on a newer base, can be what somebody made of ours: what git makes of that without anybody, or anything
/// where it conflicts. That the remote has had ours does not say so: somebody may have gone on from an earlier version of it.
fn may_come_from(
    repository: &Repository,
    [old, fork]: [CommitId; 2],
    [theirs, newer]: [CommitId; 2],
) -> Result<bool, GitError> {
    let aside = repository.with_objects_aside()?;
    let pick = Pick { commit: old, parent: fork, onto: newer };
    match MergeTree::new(&aside)?.pick((pick, newer)) {
        Ok(Merged::Clean(tree)) => Ok(tree == repository.commit(theirs)?.tree),
        Ok(Merged::Conflict(_)) => Ok(true),
        Err(GitError::MergeTimeLimit { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who has written commits, and when: git keeps that when it makes others of them.
fn written(repository: &Repository, commits: &[CommitId]) -> Result<HashSet<Vec<u8>>, GitError> {
    commits.iter().map(|commit| Ok(repository.commit(*commit)?.author)).collect()
}
