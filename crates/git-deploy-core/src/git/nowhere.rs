//! Why there is no repository where something names one. It is looked for only where none could be opened.

use std::fs;
use std::path::{Path, PathBuf};

use super::GitError;

/// What names a repository that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nowhere {
    /// The environment does.
    #[error("not a git repository: '{}', which GIT_DIR names", .0.display())]
    Named(PathBuf),
    /// A file `.git` does, as work trees and submodules have it.
    #[error("not a git repository: '{}' leads to '{}', which is not there", .file.display(), .target.display())]
    Led {
        /// The file.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
}

/// The error of opening a repository: with what names one that is not there, if that is what is wrong.
pub(super) fn explain(error: GitError) -> GitError {
    let found = match std::env::var_os("GIT_DIR") {
        Some(named) => named_in_vain(Path::new(&named)),
        None => std::env::current_dir().ok().and_then(|here| here.ancestors().find_map(led).flatten()),
    };
    found.map_or(error, GitError::Nowhere)
}

fn named_in_vain(named: &Path) -> Option<Nowhere> {
    match fs::metadata(named) {
        Ok(found) if found.is_file() => led_by(named),
        Ok(_) if fs::symlink_metadata(named.join("HEAD")).is_ok() => None,
        _ => Some(Nowhere::Named(named.to_owned())),
    }
}

/// What a folder's `.git` says; none where it has none. Git looks no further up than where it finds one.
fn led(folder: &Path) -> Option<Option<Nowhere>> {
    let git = folder.join(".git");
    fs::symlink_metadata(&git).is_ok().then(|| led_by(&git))
}

/// Where a file leads that stands in place of a folder of git, if nothing is there.
fn led_by(file: &Path) -> Option<Nowhere> {
    let text = fs::read_to_string(file).ok()?;
    let target = file.parent()?.join(text.strip_prefix("gitdir: ")?.trim_end_matches(['\n', '\r']));
    let is_gone = fs::metadata(&target).is_err();
    is_gone.then(|| Nowhere::Led { file: file.to_owned(), target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_nowhere_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        assert_eq!(led(top), None);
        fs::write(top.join(".git"), "gitdir: ../worktrees/x\n").unwrap();
        let (file, target) = (top.join(".git"), top.join("../worktrees/x"));
        assert_eq!(led(top), Some(Some(Nowhere::Led { file, target })));
        fs::write(top.join(".git"), "gitdir: real\n").unwrap();
        fs::create_dir(top.join("real")).unwrap();
        assert_eq!(led(top), Some(None));

        assert_eq!(named_in_vain(&top.join("nothing")), Some(Nowhere::Named(top.join("nothing"))));
        assert_eq!(named_in_vain(&top.join("real")), Some(Nowhere::Named(top.join("real"))));
        fs::write(top.join("real/HEAD"), "").unwrap();
        assert_eq!(named_in_vain(&top.join("real")), None);
        assert_eq!(named_in_vain(&top.join(".git")), None);
    }
}
