//! Merging with `git merge-tree`, so that a verdict is git's own.
//!
//! libgit2's merge differs from git's on two of a hundred real branches (rename detection, another diff algorithm); it
//! is never asked. Nothing here touches a work tree or a ref: what is merged lands in the object database.

use std::ffi::OsString;

use crate::git::object::Commit;
use crate::git::program::{Call, git};
use crate::git::version::Version;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// The first git whose `merge-tree` can be told the merge base.
const MERGE_BASE: Version = Version::new(2, 40);

/// The first git whose `rebase` obeys `diff.algorithm`. Its `merge-tree` does, that of later ones does not; all of them
/// take it as an option.
const DIFF_ALGORITHM: Version = Version::new(2, 47);

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The merged tree.
    Clean(ObjectId),
    /// The paths that conflict, from the top of the tree. Git may find a conflict that belongs to no path.
    Conflict(Vec<Vec<u8>>),
}

/// `git merge-tree`, as this repository wants it called.
pub struct MergeTree<'a> {
    repository: &'a Repository,
    version: Version,
    options: Vec<OsString>,
}

impl<'a> MergeTree<'a> {
    /// Finds out what git can do and what the configuration asks for.
    ///
    /// # Errors
    /// When git cannot be run or the configuration cannot be read.
    pub fn new(repository: &'a Repository) -> Result<Self, GitError> {
        let version = Version::of_git()?;
        let mut options: Vec<OsString> = Vec::new();
        if version >= DIFF_ALGORITHM
            && let Some(algorithm) = repository.config("diff.algorithm")?
        {
            options.push(format!("-Xdiff-algorithm={algorithm}").into());
        }
        Ok(Self { repository, version, options })
    }

    /// Applies to `onto` what `commit` changed in its `parent`, as `git cherry-pick` would.
    ///
    /// # Errors
    /// When git cannot merge at all: an object is missing, a merge driver fails.
    pub fn pick(&self, commit: CommitId, parent: CommitId, onto: CommitId) -> Result<Merged, GitError> {
        let mut call = self.call();
        let ours = if self.version >= MERGE_BASE {
            call = call.arg(format!("--merge-base={parent}"));
            onto
        } else {
            self.stand_in(onto, parent)?
        };
        let call = call.args([ours.to_string(), commit.to_string()]);
        let output = call.output()?;
        let mut fields = output.stdout.split(|byte| *byte == 0);
        let tree = fields.next().and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        match (output.status.code(), tree) {
            (Some(0), Some(tree)) => Ok(Merged::Clean(tree)),
            (Some(1), Some(_)) => {
                let sides = [ours, commit].map(|side| format!("~{side}").into_bytes());
                let paths = fields.filter(|path| !path.is_empty());
                let mut paths: Vec<Vec<u8>> = paths.map(|path| without_side(path, &sides).to_vec()).collect();
                paths.sort();
                paths.dedup();
                Ok(Merged::Conflict(paths))
            }
            (Some(0 | 1), None) => Err(call.unreadable("no tree").into()),
            _ => Err(call.failed(&output).into()),
        }
    }

    /// Takes back from `onto` what `commit` changed in its `parent`, as `git revert` would. It writes objects.
    ///
    /// # Errors
    /// When git cannot merge at all, or nothing can be written.
    pub fn revert(&self, commit: CommitId, parent: CommitId, onto: CommitId) -> Result<Merged, GitError> {
        // The parent itself comes before: git would find that as the merge base.
        self.pick(self.stand_in(parent, commit)?, commit, onto)
    }

    fn call(&self) -> Call {
        let paths = self.repository.paths();
        let mut call = git::<OsString>([]);
        // It prints paths as seen from the current folder; the top of the work tree is also where attributes count.
        if let Some(top) = &paths.work_tree {
            call = call.arg("-C").arg(top).arg("--git-dir").arg(&paths.git_dir).arg("--work-tree").arg(top);
        }
        call.args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
            .args(&self.options)
            .envs(self.repository.backend.variables())
    }

    /// A commit with the tree of `onto` right after `parent`, which is then the merge base that git finds by itself.
    /// It is the same for the same two, and no ref will ever lead to it.
    fn stand_in(&self, onto: CommitId, parent: CommitId) -> Result<CommitId, GitError> {
        const NOBODY: &[u8] = b"git-deploy <git-deploy> 0 +0000";
        self.repository.write_commit(&Commit {
            tree: self.repository.commit(onto)?.tree,
            parents: vec![parent],
            author: NOBODY.to_vec(),
            committer: NOBODY.to_vec(),
            extra: Vec::new(),
            message: b"merge base for merge-tree\n".to_vec(),
        })
    }
}

/// The path that a file has which is in the way of a folder: git moves it to `<path>~<side>`, or `<path>~<side>_0` where
/// that is taken, and we name the sides by commits.
fn without_side<'a>(path: &'a [u8], sides: &[Vec<u8>]) -> &'a [u8] {
    let ends_here = |rest: &[u8]| match rest.strip_prefix(b"_") {
        Some(number) => number.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    let found = sides.iter().find_map(|side| {
        let at = path.windows(side.len()).rposition(|window| window == side)?;
        ends_here(&path[at + side.len()..]).then_some(at)
    });
    found.map_or(path, |at| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_way_of_a_folder_is_named_as_it_was() {
        let sides = [b"~abc".to_vec(), b"~def".to_vec()];
        for (printed, path) in [
            ("doc~abc", "doc"),
            ("a/b~def_0", "a/b"),
            ("a~abc/b", "a~abc/b"),
            ("a~abc_x", "a~abc_x"),
            ("a~x", "a~x"),
            ("~", "~"),
        ] {
            assert_eq!(without_side(printed.as_bytes(), &sides), path.as_bytes());
        }
    }
}
