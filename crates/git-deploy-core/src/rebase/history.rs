//! What the rebase asks git about history: which commits branches have, what upstream has since they began, and the diffs
//! of those that could be the same.

use std::collections::HashMap;

use super::patch::{self, PatchId};
use super::plan::Own;
use super::upstream::number_of;
use crate::git::program::Call;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;

/// The last of a branch's commits in which jj keeps a conflict.
pub(super) fn unresolved(
    repository: &Repository,
    tip: CommitId,
    own: &Own,
) -> Result<Option<CommitId>, GitError> {
    let mut next = Some(tip);
    while let Some((commit, parent)) = next.and_then(|commit| Some((commit, own.first_parent(commit)?))) {
        if repository.commit(commit)?.is_unresolved() {
            return Ok(Some(commit));
        }
        next = parent;
    }
    Ok(None)
}

/// Whether two commits have one in common that they come from, as far as history is here.
pub(super) fn are_related(repository: &Repository, one: CommitId, two: CommitId) -> Result<bool, GitError> {
    let call = repository.git_listing(&[one, two], ["merge-base"])?;
    Ok(call.args([one, two].map(|commit| commit.to_string())).yes()?)
}

/// The commits that lead to these tips and that `upstream` has not.
pub(super) fn own(repository: &Repository, upstream: CommitId, tips: &[CommitId]) -> Result<Own, GitError> {
    let ends: Vec<CommitId> = tips.iter().chain([&upstream]).copied().collect();
    let call =
        repository.git_listing(&ends, ["rev-list", "--topo-order", "--reverse", "--parents", "--stdin"])?;
    let tips: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
    Ok(lines(&call.input(format!("^{upstream}\n{tips}")))?.into_iter().collect())
}

/// The commits of `upstream`, those of `since` left out, with their parents.
pub(super) fn since(
    repository: &Repository,
    since: Option<CommitId>,
    upstream: CommitId,
) -> Result<HashMap<CommitId, Vec<CommitId>>, GitError> {
    let ends: Vec<CommitId> = since.into_iter().chain([upstream]).collect();
    let call = repository.git_listing(&ends, ["rev-list", "--parents", "--stdin"])?;
    let since = since.map(|since| format!("^{since}\n")).unwrap_or_default();
    Ok(lines(&call.input(format!("{since}{upstream}\n")))?.into_iter().collect())
}

/// What is asked for: what a commit changes, or all that was changed since an earlier one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    commit: CommitId,
    since: Option<CommitId>,
}

impl Change {
    /// What a commit changes.
    pub(super) fn of(commit: CommitId) -> Self {
        Self { commit, since: None }
    }

    /// What all commits of `since..tip` change together; it is told under the tip.
    pub(super) fn since(since: CommitId, tip: CommitId) -> Self {
        Self { commit: tip, since: Some(since) }
    }
}

/// The numbers of the lists of paths that are changed. Where nothing is there is none.
pub(super) fn changed_paths(
    repository: &Repository,
    changes: &[Change],
) -> Result<HashMap<CommitId, u64>, GitError> {
    let args = ["diff-tree", "--stdin", "--always", "--root", "-r", "--raw", "-z"];
    let call = asked(repository, changes, args)?.args(["--no-renames", "--ignore-submodules=none"]);
    let printed = call.run()?;
    // A commit that is not there is passed over in silence.
    let changed = read_changes(&printed).filter(|changed| changed.len() == changes.len());
    let changed = changed.ok_or_else(|| call.unreadable("what is no list of changed paths"))?;
    Ok(changed.into_iter().filter_map(|(commit, paths)| Some((commit, paths?))).collect())
}

/// Reads ids of commits, each before its changes: a field that begins with a colon, and a path.
fn read_changes(printed: &[u8]) -> Option<HashMap<CommitId, Option<u64>>> {
    let mut fields = printed.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let mut changed: Vec<(CommitId, Vec<&[u8]>)> = Vec::new();
    while let Some(field) = fields.next() {
        if field.starts_with(b":") {
            changed.last_mut()?.1.push(fields.next()?);
        } else {
            changed.push((std::str::from_utf8(field).ok()?.parse().ok()?, Vec::new()));
        }
    }
    let number = |paths: Vec<&[u8]>| (!paths.is_empty()).then(|| number_of(paths));
    Some(changed.into_iter().map(|(commit, paths)| (commit, number(paths))).collect())
}

/// The last commit that all of these have; none where they are none.
pub(super) fn last_common(
    repository: &Repository,
    commits: &[CommitId],
) -> Result<Option<CommitId>, GitError> {
    match commits {
        [] | [_] => Ok(commits.first().copied()),
        _ => {
            let call = repository.git_listing(commits, ["merge-base", "--octopus"])?;
            let call = call.args(commits.iter().map(ToString::to_string));
            let Some(printed) = call.answer()? else { return Ok(None) };
            let id = std::str::from_utf8(&printed).ok().and_then(|text| text.trim_end().parse().ok());
            Ok(Some(id.ok_or_else(|| call.unreadable("what is no id"))?))
        }
    }
}

/// Commits with their parents.
fn lines(call: &Call) -> Result<Vec<(CommitId, Vec<CommitId>)>, GitError> {
    let printed = call.text()?;
    let listed: Option<Vec<_>> = printed.lines().map(read_line).collect();
    Ok(listed.ok_or_else(|| call.unreadable("a line that is no list of commits"))?)
}

fn read_line(line: &str) -> Option<(CommitId, Vec<CommitId>)> {
    let mut ids = line.split(' ').map(|id| id.parse().ok());
    Some((ids.next()??, ids.collect::<Option<_>>()?))
}

/// A call that is given these. What follows a commit in a line `git diff-tree --stdin` takes for its parents.
fn asked<const N: usize>(
    repository: &Repository,
    changes: &[Change],
    args: [&str; N],
) -> Result<Call, GitError> {
    let commits: Vec<CommitId> =
        changes.iter().flat_map(|change| change.since.into_iter().chain([change.commit])).collect();
    let line = |change: &Change| match change.since {
        None => format!("{}\n", change.commit),
        Some(since) => format!("{} {since}\n", change.commit),
    };
    Ok(repository.git_listing(&commits, args)?.input(changes.iter().map(line).collect::<String>()))
}

/// How many diffs are held at once: each may be as large as all files of a commit.
const DIFFS: usize = 16;

/// What is changed, every byte of it, boiled down to an id. Where nothing is there is none.
pub(super) fn exact_patches(
    repository: &Repository,
    changes: &[Change],
) -> Result<HashMap<CommitId, PatchId>, GitError> {
    let options = ["--full-index", "--unified=3", "--no-renames", "--no-ext-diff", "--no-textconv"];
    let mut patches = HashMap::new();
    for some in changes.chunks(DIFFS) {
        let args = ["diff-tree", "--stdin", "--root", "--patch", "--ignore-submodules=none"];
        patches.extend(patch::read(&asked(repository, some, args)?.args(options).run()?));
    }
    Ok(patches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_commit_by_commit() {
        let [one, two, three] = ["1", "2", "3"].map(|digit| digit.repeat(40));
        let printed = format!("{one}\0:1 2 3 4 M\0a\0:1 2 3 4 A\0{two}\0{three}\0{two}\0:1 2 3 4 M\0a\0");
        let read = read_changes(printed.as_bytes()).unwrap();
        let number = |paths: &[&[u8]]| Some(number_of(paths.iter().copied()));
        let [one, two, three]: [CommitId; 3] = [one, two, three].map(|id| id.parse().unwrap());
        let path = two.to_string();
        let expected = [(one, number(&[b"a", path.as_bytes()])), (two, number(&[b"a"])), (three, None)];
        assert_eq!(read, HashMap::from(expected));
        for wrong in [&b":1\0a\0"[..], b"x\0", &printed.as_bytes()[..printed.len() - 3]] {
            assert_eq!(read_changes(wrong), None);
        }
    }

    #[test]
    fn a_line_of_rev_list_is_a_commit_and_its_parents() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let ids = |ids: &[&String]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<CommitId>>();
        assert_eq!(read_line(&format!("{one} {two}")), Some((ids(&[&one])[0], ids(&[&two]))));
        assert_eq!(read_line(&one), Some((ids(&[&one])[0], Vec::new())));
        for wrong in ["", ">", "x", &format!("{one} x"), &format!("{one} ")] {
            assert_eq!(read_line(wrong), None, "{wrong}");
        }
    }
}
