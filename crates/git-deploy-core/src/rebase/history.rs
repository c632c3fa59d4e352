//! What the rebase asks git about history: which commits a branch has, and which of them are upstream already.

use std::collections::HashMap;

use super::plan::{Listed, Mark};
use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// The last of a branch's commits in which jj keeps a conflict. `listed` is all that the branch alone has, or more.
pub(super) fn unresolved(
    repository: &Repository,
    tip: CommitId,
    listed: &[Listed],
) -> Result<Option<CommitId>, GitError> {
    let parents: HashMap<CommitId, Option<CommitId>> =
        listed.iter().map(|listed| (listed.commit, listed.parents.first().copied())).collect();
    let mut next = Some(tip);
    while let Some((commit, parent)) = next.and_then(|commit| Some((commit, *parents.get(&commit)?))) {
        if repository.commit(commit)?.is_unresolved() {
            return Ok(Some(commit));
        }
        next = parent;
    }
    Ok(None)
}

/// Whether two commits have one in common that they come from, as far as history is here.
pub(super) fn are_related(repository: &Repository, one: CommitId, two: CommitId) -> Result<bool, GitError> {
    Ok(repository.git(["merge-base"]).args([one, two].map(|commit| commit.to_string())).yes()?)
}

/// The commits of `upstream...tip`, parents before children, with what git takes for the same patch marked: the marks
/// by which `git rebase` decides what it need not pick.
pub(super) fn list(
    repository: &Repository,
    upstream: CommitId,
    tip: CommitId,
) -> Result<Vec<Listed>, GitError> {
    let args = ["rev-list", "--left-right", "--cherry-mark", "--parents", "--topo-order", "--reverse"];
    let call = repository.git(args).arg(format!("{upstream}...{tip}"));
    let printed = call.text()?;
    let listed: Option<Vec<Listed>> = printed.lines().map(read_line).collect();
    Ok(listed.ok_or_else(|| call.unreadable("a line that is no list of commits"))?)
}

fn read_line(line: &str) -> Option<Listed> {
    let mut chars = line.chars();
    let mark = Mark::from_char(chars.next()?)?;
    let mut ids = chars.as_str().split(' ').map(|id| id.parse().ok());
    let commit = ids.next()??;
    Some(Listed { commit, parents: ids.collect::<Option<_>>()?, mark })
}

/// What each of these commits changes, whitespace included, boiled down to an id. A commit that changes nothing has none.
///
/// Only commits that git's own, cheaper comparison found equal but for whitespace come here.
pub(super) fn exact_patches(
    repository: &Repository,
    commits: &[CommitId],
) -> Result<HashMap<CommitId, String>, GitError> {
    let options = ["--full-index", "--unified=3", "--no-renames", "--no-ext-diff", "--no-textconv"];
    let ids: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
    let diff = repository.git(["diff-tree", "--stdin", "--root", "--patch", "--ignore-submodules=none"]);
    let call = git(["patch-id", "--verbatim"]).input(diff.args(options).input(ids).run()?);
    let mut patches = HashMap::new();
    for line in call.text()?.lines() {
        let ids =
            line.split_once(' ').and_then(|(patch, commit)| Some((patch, commit.parse::<ObjectId>().ok()?)));
        let (patch, commit) = ids.ok_or_else(|| call.unreadable(line))?;
        patches.insert(CommitId(commit), patch.to_owned());
    }
    Ok(patches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_rev_list_is_mark_commit_and_parents() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let listed = read_line(&format!("={one} {two}")).unwrap();
        assert_eq!(listed.commit, one.parse().unwrap());
        assert_eq!(listed.parents, [two.parse().unwrap()]);
        assert_eq!(listed.mark, Mark::Same);
        assert_eq!(read_line(&format!(">{one}")).unwrap().parents, []);
        for wrong in ["", &one, ">", ">x", &format!(">{one} x")] {
            assert_eq!(read_line(wrong), None, "{wrong}");
        }
    }
}
