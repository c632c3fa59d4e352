//! What keeps the runners of this clone from getting on, for whoever looks at the queue in it.
//!
//! That a remote, a registry or a cluster is away is seen by nobody but who tries. So a runner that waits for it says so in a
//! file of its own, which it holds locked (`flock`) for as long as that is true: one whose lock is free was left by the dead.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use git_deploy_image::without_passwords;
use jiff::{Timestamp, Unit};

use crate::git::sharing::new_file_in;
use crate::git::{GitError, Repository};
use crate::machine;
use crate::record::{Lines, Record, RecordError};

/// Why a runner does not get on, which is nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standstill {
    /// Since when it has tried in vain.
    pub since: Timestamp,
    /// What it met when it tried last, in one line.
    pub why: String,
}

impl Standstill {
    /// One that begins now. Others read it: it says nobody's password.
    pub fn begins(why: &str) -> Self {
        let now = machine::now();
        Self { since: now.round(Unit::Second).unwrap_or(now), why: without_passwords(why) }
    }

    fn to_text(&self) -> String {
        let mut record = Record::new("Standstill of a runner");
        record.line("since", self.since);
        record.line("why", &self.why);
        record.finish()
    }

    fn parse(text: &str) -> Result<Self, RecordError> {
        let lines = Lines::of(text);
        Ok(Self { since: lines.need("since")?, why: lines.need("why")? })
    }
}

/// What a runner has said of its standstill. It is taken back when this is dropped, or when its process dies.
#[derive(Debug)]
#[must_use]
pub struct Said {
    path: PathBuf,
    /// Its lock is held as long as it is open. No child inherits it.
    _file: File,
}

impl Drop for Said {
    fn drop(&mut self) {
        // One that stays behind is found to be dead by whoever reads it.
        drop(fs::remove_file(&self.path));
    }
}

fn folder(repository: &Repository) -> PathBuf {
    repository.deploy_dir().join("standstill")
}

/// Says that a runner does not get on.
///
/// # Errors
/// When the file cannot be written or locked.
pub fn say(repository: &Repository, standstill: &Standstill) -> Result<Said, GitError> {
    let folder = folder(repository);
    fs::create_dir_all(&folder).map_err(GitError::file(&folder))?;
    clear_dead(&folder);
    let mut new = new_file_in(&folder)?;
    let path = folder.join(format!("{}-{:016x}", machine::pid(), fastrand::u64(..)));
    let written = new.write_all(standstill.to_text().as_bytes());
    // It gets its name when it is whole and locked: nobody can take it for that of the dead.
    written.and_then(|()| Ok(new.as_file().try_lock()?)).map_err(GitError::file(&path))?;
    let file = new.persist(&path).map_err(|error| GitError::file(&path)(error.error))?;
    Ok(Said { path, _file: file })
}

/// What a runner of this clone has said that is alive and does not get on: of several the one that has tried for longest. What
/// cannot be read says nothing.
pub fn said(repository: &Repository) -> Option<Standstill> {
    let files = fs::read_dir(folder(repository)).ok()?.flatten();
    let files = files.filter(|file| !file.file_name().as_encoded_bytes().starts_with(b"."));
    let alive = files.filter(|file| is_held(&file.path()));
    alive.filter_map(|file| Standstill::parse(&fs::read_to_string(file.path()).ok()?).ok()).min()
}

/// Whether somebody has a file locked. Those who ask do not hinder each other.
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// What cannot be cleared says nothing to anybody, either.
fn clear_dead(folder: &Path) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_unfinished = file.file_name().as_encoded_bytes().starts_with(b".");
        if !is_unfinished && !is_held(&file.path()) {
            drop(fs::remove_file(file.path()));
        }
    }
}
