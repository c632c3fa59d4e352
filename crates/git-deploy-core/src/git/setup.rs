//! What setting a repository up reads and writes beside objects and refs: files, hooks, git's own configuration.
//!
//! Files are written whole or not at all, and a file that is there already is replaced only by whoever has looked at it
//! before. Configuration is that of this repository alone, never the user's or the system's.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;

/// Where git looks for hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HooksFolder {
    /// In a folder of this repository alone, which need not exist.
    Own(PathBuf),
    /// In a folder that the user's or the system's configuration names, or that a link leads to: it serves other
    /// repositories too.
    Shared(PathBuf),
    /// Nowhere: `core.hooksPath` names what is no folder.
    None(String),
}

/// A file as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether it is a link to where the bytes are.
    pub is_link: bool,
}

/// Reads a file; `None` if nothing is there.
///
/// # Errors
/// When something is there that cannot be read.
pub fn read_file(path: &Path) -> Result<Option<FoundFile>, GitError> {
    // A link that leads nowhere is something, and must not be written through.
    let is_link = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        found => found.map_err(GitError::file(path))?.is_symlink(),
    };
    let metadata = fs::metadata(path).map_err(GitError::file(path))?;
    let bytes = fs::read(path).map_err(GitError::file(path))?;
    Ok(Some(FoundFile { bytes, executable: metadata.permissions().mode() & 0o111 != 0, is_link }))
}

/// Whether anything is there, a link that leads nowhere included.
pub fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// When it cannot be written; then what was there is unchanged.
pub fn write_file(path: &Path, bytes: &[u8], executable: bool) -> Result<(), GitError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    // The user's umask decides about the rest, as it does for files that git writes.
    let mode = if executable { 0o777 } else { 0o666 };
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    let moved = written.and_then(|()| fs::rename(&new, path));
    moved.map_err(|error| {
        drop(fs::remove_file(&new));
        GitError::file(path)(error)
    })
}

/// Makes a folder and those above it. Returns those that were made, the outermost first.
///
/// # Errors
/// When one cannot be made.
pub fn make_folder(path: &Path) -> Result<Vec<PathBuf>, GitError> {
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    fs::create_dir_all(path).map_err(GitError::file(path))?;
    Ok(missing)
}

/// Removes a file, if it is there.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), GitError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(GitError::file(path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder if nothing is in it; one that is in use stays.
pub fn remove_empty_folder(path: &Path) {
    drop(fs::remove_dir(path));
}

/// A digest of bytes, by which a file that we wrote is known again.
///
/// # Errors
/// When git cannot be run.
pub fn digest(bytes: &[u8]) -> Result<String, GitError> {
    Ok(git(["hash-object", "--no-filters", "--stdin", "-t", "blob"]).input(bytes).text()?)
}

impl Repository {
    /// Where git looks for hooks.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn hooks_folder(&self) -> Result<HooksFolder, GitError> {
        let call = git(["config", "--show-scope", "-z", "--type=path", "--get", "core.hooksPath"]);
        let Some(answer) = call.answer()? else {
            let folder = self.paths().common_dir.join("hooks");
            // A link, as a template of repositories may have it, leads to where others look too.
            return Ok(if folder.is_symlink() {
                HooksFolder::Shared(folder)
            } else {
                HooksFolder::Own(folder)
            });
        };
        let answer = String::from_utf8_lossy(&answer);
        let (scope, value) = answer.split_once('\0').ok_or_else(|| call.unreadable(&*answer))?;
        let value = value.trim_end_matches('\0');
        // Git takes a relative path from where it runs hooks.
        let top = self.paths().work_tree.as_ref().unwrap_or(&self.paths().git_dir);
        let path = top.join(value);
        if value.is_empty() || is_there(&path) && !path.is_dir() {
            return Ok(HooksFolder::None(value.to_owned()));
        }
        Ok(match scope {
            "global" | "system" => HooksFolder::Shared(path),
            _ => HooksFolder::Own(path),
        })
    }

    /// The values that this repository's own configuration has for a key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn own_config(&self, key: &str) -> Result<Vec<String>, GitError> {
        let values = git(["config", "--local", "-z", "--get-all", key]).answer()?.unwrap_or_default();
        let text = String::from_utf8_lossy(&values).into_owned();
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Adds a value to this repository's own configuration, beside those that the key has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_config(&self, key: &str, value: &str) -> Result<(), GitError> {
        git(["config", "--local", "--add", key, value]).run()?;
        self.backend.forget_config();
        Ok(())
    }

    /// Sets a key of this repository's own configuration to one value, in place of all that it has there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace_config(&self, key: &str, value: &str) -> Result<(), GitError> {
        git(["config", "--local", "--replace-all", key, value]).run()?;
        self.backend.forget_config();
        Ok(())
    }

    /// Takes a value out of this repository's own configuration, and leaves the others of its key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remove_config(&self, key: &str, value: &str) -> Result<(), GitError> {
        git(["config", "--local", "--fixed-value", "--unset-all", key, value]).run()?;
        self.backend.forget_config();
        Ok(())
    }

    /// Whether the index or the checked-out commit has a file of the work tree.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn is_tracked(&self, path: &str) -> Result<bool, GitError> {
        let listed = git(["ls-files", "-z", "--"]).arg(format!(":(top,literal){path}")).run()?;
        if !listed.is_empty() {
            return Ok(true);
        }
        let Some(head) = self.find_commit("HEAD")? else { return Ok(false) };
        Ok(self.entry(self.commit(head)?.tree, path)?.is_some())
    }

    /// Whether git tracks a file of another work tree of this repository, as far as it can say there.
    pub fn is_tracked_in(&self, work_tree: &Path, path: &str) -> bool {
        let listed = git(["ls-files", "-z", "--"]).in_work_tree(work_tree);
        listed.arg(format!(":(top,literal){path}")).run().is_ok_and(|listed| !listed.is_empty())
    }

    /// About how many objects there are.
    ///
    /// # Errors
    /// When git cannot count them.
    pub fn object_count(&self) -> Result<u64, GitError> {
        let counted = git(["count-objects", "-v"]).text()?;
        let number = |line: &str| {
            let (what, number) = line.split_once(": ")?;
            matches!(what, "count" | "in-pack").then(|| number.parse::<u64>().ok())?
        };
        Ok(counted.lines().filter_map(number).sum())
    }

    /// The commit that a line of first parents began with. None where history was cut off: another clone would name
    /// another one.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn first_commit(&self, tip: CommitId) -> Result<Option<CommitId>, GitError> {
        if self.is_shallow() {
            return Ok(None);
        }
        let tip = tip.to_string();
        let listed = git(["rev-list", "--first-parent", "--max-parents=0", &tip, "--"]).text()?;
        Ok(listed.trim().parse().ok())
    }

    /// Whether history was cut off when this repository was cloned.
    pub fn is_shallow(&self) -> bool {
        self.paths().common_dir.join("shallow").exists()
    }

    /// Whether commits have the parents here that they say they have.
    pub fn has_whole_history(&self) -> bool {
        !self.is_shallow() && !self.paths().common_dir.join("info/grafts").exists()
    }
}
