//! Files of refs that hold no object id, as a machine leaves them that lost its power, or a full disk.
//!
//! Git neither reads nor moves nor deletes such a ref, and a fetch fails in words that blame the other side. They are
//! looked for only where something has failed, as are files of git's that we have no right to read: what is in them is not
//! lost.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::intent::TABLES;
use super::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// More than any ref needs, in bytes.
const MAX_BYTES: u64 = 4096;

/// A ref whose file holds no object id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRef {
    /// Its full name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Where it can be moved to, out of the way of refs.
    pub aside: PathBuf,
    /// Where it stood last, as its reflog says, if that is still there.
    pub last: Option<ObjectId>,
}

impl std::fmt::Display for BrokenRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read ref '{}': its file '{}' holds no object id", self.name, self.file.display())
    }
}

impl Repository {
    /// An error about refs whose names begin like that: with the file that is broken, if it is for that.
    pub(super) fn with_broken_ref(&self, prefix: &str, error: GitError) -> GitError {
        if let Some(denied) = denied(self.paths().common_dir.join(prefix)) {
            return denied;
        }
        self.broken_ref(prefix).map_or(error, |broken| GitError::BrokenRef(Box::new(broken)))
    }

    fn broken_ref(&self, prefix: &str) -> Option<BrokenRef> {
        let home = &self.paths().common_dir;
        if home.join(TABLES).exists() {
            return None;
        }
        let digits = self.null_id().to_string().len();
        let (folder, _) = prefix.rsplit_once('/')?;
        let file = find(&home.join(folder), &home.join(prefix), digits)?;
        let name = file.strip_prefix(home).ok()?.to_string_lossy().into_owned();
        let aside = home.join(format!("broken-{}", name.replace('/', "-")));
        let last = last_logged(&home.join("logs").join(&name))
            .filter(|last| self.find(*last).is_ok_and(|object| object.is_some()));
        Some(BrokenRef { name, file, aside, last })
    }

    /// What was found of an object. One that was not found, and may be in what cannot be read, is not missing.
    pub(super) fn looked_for<T>(
        &self,
        id: ObjectId,
        found: Result<Option<T>, GitError>,
    ) -> Result<Option<T>, GitError> {
        match found {
            Ok(Some(found)) => Ok(Some(found)),
            not_found => self.unreadable(id).map_or(not_found, Err),
        }
    }

    /// The file or folder of the object database in which an object may be, and that cannot be read.
    fn unreadable(&self, id: ObjectId) -> Option<GitError> {
        let named = std::env::var_os("GIT_OBJECT_DIRECTORY").map(PathBuf::from);
        let objects = named.unwrap_or_else(|| self.paths().common_dir.join("objects"));
        if let Err(error) = fs::read_dir(&objects) {
            return Some(GitError::Unreadable { path: objects, error });
        }
        let id = id.to_string();
        let (folder, file) = id.split_at(2);
        let packs = objects.join("pack");
        let packed = fs::read_dir(&packs).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_pack =
            |path: &PathBuf| path.extension().is_some_and(|found| found == "pack" || found == "idx");
        let packed: Vec<PathBuf> = packed.filter(is_pack).collect();
        [objects.join(folder).join(file), packs].into_iter().chain(packed).find_map(denied)
    }

    /// What a ref has led to, the latest first, at most so many times; each with the reason for the move to it.
    pub(crate) fn reflog(&self, name: &str, longest: u8) -> Result<Vec<(CommitId, String)>, GitError> {
        if let Some(log) = self.backend.reflog(name) {
            // What is gone git passes over, too; in a partial clone it is asked for each time.
            let entries = log.into_iter().take(4 * usize::from(longest)).map(|(id, why)| (CommitId(id), why));
            return Ok(entries
                .filter(|(commit, _)| self.commit(*commit).is_ok())
                .take(longest.into())
                .collect());
        }
        let call = super::git(["log", "--walk-reflogs", "--format=%H %gs", "--no-show-signature"]);
        let text = call.arg(format!("--max-count={longest}")).arg(name).arg("--").text()?;
        let entry = |line: &str| {
            let (id, why) = line.split_once(' ')?;
            Some((CommitId(id.parse().ok()?), why.to_owned()))
        };
        Ok(text.lines().filter_map(entry).collect())
    }

    /// The commit that a ref led to before it led to `now`, as its reflog says.
    pub(super) fn before(&self, name: &str, now: CommitId) -> Option<CommitId> {
        let at = |back: u8| {
            let call = super::git(["rev-parse", "--verify", "--quiet"]).arg(format!("{name}@{{{back}}}"));
            let text = call.text().ok()?;
            text.parse().ok().map(CommitId).filter(|id| *id != now && self.commit(*id).is_ok())
        };
        at(0).or_else(|| at(1))
    }
}

/// The error of reading a file or folder that we have no right to read.
fn denied(path: PathBuf) -> Option<GitError> {
    let error = File::open(&path).err()?;
    (error.kind() == ErrorKind::PermissionDenied).then_some(GitError::Unreadable { path, error })
}

/// The first file below a folder whose path begins like that and that holds no object id.
fn find(folder: &Path, prefix: &Path, digits: usize) -> Option<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let begins = |path: &&PathBuf| {
        path.as_os_str().as_encoded_bytes().starts_with(prefix.as_os_str().as_encoded_bytes())
    };
    paths.iter().filter(begins).find_map(|path| {
        let kind = fs::symlink_metadata(path).ok()?;
        if kind.is_dir() {
            return find(path, prefix, digits);
        }
        let is_ref = kind.is_file() && path.extension().is_none_or(|found| found != "lock");
        (is_ref && is_broken(path, digits)).then(|| path.clone())
    })
}

/// Whether a file is neither an object id nor the name of another ref. One that cannot be read may be either.
fn is_broken(path: &Path, digits: usize) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    let is_id = |word: &[u8]| word.len() == digits && word.iter().all(u8::is_ascii_hexdigit);
    let first = bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    read.is_ok() && !is_id(first) && !bytes.starts_with(b"ref:")
}

/// The last value in a reflog: `<old> <new> <who> <when>\t<why>` a line.
fn last_logged(log: &Path) -> Option<ObjectId> {
    let text = fs::read(log).ok()?;
    let line = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    let new = line.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(new).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_id_and_names_no_ref_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let id = "1".repeat(40);
        for (text, broken) in [
            (id.as_str(), false),
            (&format!("{id}\n"), false),
            ("ref: refs/heads/x\n", false),
            ("", true),
            ("\n", true),
            ("rubbish\n", true),
            (&id[1..], true),
            ("\0\0\0", true),
        ] {
            let file = folder.path().join("x");
            fs::write(&file, text).unwrap();
            assert_eq!(is_broken(&file, 40), broken, "{text:?}");
            assert_eq!(find(folder.path(), &folder.path().join(""), 40).is_some(), broken, "{text:?}");
        }
        fs::write(folder.path().join("x.lock"), "").unwrap();
        fs::write(folder.path().join("x"), &id).unwrap();
        assert_eq!(find(folder.path(), &folder.path().join("x"), 40), None);
    }
}
