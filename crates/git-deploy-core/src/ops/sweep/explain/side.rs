//! What one side did with files, as `git diff-tree` tells it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// The mode of what is not there.
const NONE: &[u8] = b"000000";

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    modes: [Vec<u8>; 2],
    blobs: [ObjectId; 2],
    /// What it was called, and is called.
    paths: [Vec<u8>; 2],
}

impl Side {
    /// What was done, in words.
    pub(super) fn what(&self) -> &'static str {
        let is_file = |mode: &Vec<u8>| mode.starts_with(b"100");
        match &self.modes {
            [old, _] if old == NONE => "adds it",
            [_, new] if new == NONE => "deletes it",
            [old, new] if old != new && is_file(old) && is_file(new) && self.blobs[0] == self.blobs[1] => {
                "changes its mode"
            }
            [old, new] if is_file(old) != is_file(new) => "changes what it is",
            _ if self.paths[0] != self.paths[1] => "renames and changes it",
            _ => "changes it",
        }
    }

    /// Both versions, where both are files.
    pub(super) fn blobs(&self) -> Option<[ObjectId; 2]> {
        self.modes.iter().all(|mode| mode.starts_with(b"100")).then_some(self.blobs)
    }

    /// What it is called now.
    pub(super) fn path_os(&self) -> &OsStr {
        OsStr::from_bytes(&self.paths[1])
    }

    /// All that it was called.
    pub(super) fn paths_os(&self) -> impl Iterator<Item = OsString> {
        self.paths.iter().map(|path| OsStr::from_bytes(path).to_owned())
    }

    fn is_of(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|one| one == path)
    }
}

/// What changed from one commit to another.
pub(super) fn changed(repository: &Repository, from: CommitId, to: CommitId) -> Result<Vec<Side>, GitError> {
    let call = repository.git(["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--find-renames"])?;
    let printed = call.args([from.to_string(), to.to_string()]).run()?;
    let mut fields = printed.split(|byte| *byte == 0);
    let mut sides = Vec::new();
    while let Some(what) = fields.next().and_then(|field| field.strip_prefix(b":")) {
        let Some(path) = fields.next() else { break };
        let has_two = matches!(what.rsplit(|byte| *byte == b' ').next(), Some([b'R' | b'C', ..]));
        let to = if has_two { fields.next().unwrap_or(path) } else { path };
        sides.extend(side(what, [path, to]));
    }
    Ok(sides)
}

/// Reads `100644 100755 <old> <new> M`.
fn side(what: &[u8], paths: [&[u8]; 2]) -> Option<Side> {
    let words: Vec<&[u8]> = what.split(|byte| *byte == b' ').collect();
    let [old_mode, new_mode, old, new, _] = words[..] else { return None };
    let id = |word: &[u8]| std::str::from_utf8(word).ok()?.parse().ok();
    Some(Side {
        modes: [old_mode.to_vec(), new_mode.to_vec()],
        blobs: [id(old)?, id(new)?],
        paths: paths.map(<[u8]>::to_vec),
    })
}

/// What two sides did with the file that has this path on one of them: also where one of them has renamed it.
pub(super) fn of_both<'s>(
    path: &[u8],
    ours: &'s [Side],
    base: &'s [Side],
) -> (Option<&'s Side>, Option<&'s Side>) {
    let find = |sides: &'s [Side], path: &[u8]| sides.iter().find(|side| side.is_of(path));
    let (one, other) = (find(ours, path), find(base, path));
    let before = |side: Option<&'s Side>| side.map(|side| side.paths[0].clone());
    (one.or_else(|| find(ours, &before(other)?)), other.or_else(|| find(base, &before(one)?)))
}
