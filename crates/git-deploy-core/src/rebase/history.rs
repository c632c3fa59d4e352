//! What the rebase asks git about history: which commits a branch has, and which of them are upstream already.

use std::collections::HashMap;

use super::plan::{Listed, Mark};
use crate::git::GitError;
use crate::git::program::{Call, git};
use crate::ids::{CommitId, ObjectId};

/// A call that sees the commits that are there, as our own reading of objects does, not their replacements.
fn plain<'a>(args: impl IntoIterator<Item = &'a str>) -> Call {
    git(args).env("GIT_NO_REPLACE_OBJECTS", "1")
}

/// The commits of `upstream...tip`, parents before children, with what git takes for the same patch marked: the marks
/// by which `git rebase` decides what it need not pick.
pub(super) fn list(upstream: CommitId, tip: CommitId) -> Result<Vec<Listed>, GitError> {
    let args = ["rev-list", "--left-right", "--cherry-mark", "--parents", "--topo-order", "--reverse"];
    let call = plain(args).arg(format!("{upstream}...{tip}"));
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
pub(super) fn exact_patches(commits: &[CommitId]) -> Result<HashMap<CommitId, String>, GitError> {
    let options = ["--full-index", "--unified=3", "--no-renames", "--no-ext-diff", "--no-textconv"];
    let ids: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
    let diff = plain(["diff-tree", "--stdin", "--root", "--patch", "--ignore-submodules=none"]);
    let call = plain(["patch-id", "--verbatim"]).input(diff.args(options).input(ids).run()?);
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
