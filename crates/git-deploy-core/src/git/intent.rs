//! Telling our own dead lock files from those that somebody holds.
//!
//! A git that is killed while it moves refs leaves `<ref>.lock` files behind, and every later writer fails on them. They
//! carry no owner, so before refs are moved an intent is written: which refs, and where they go. The intent file is
//! locked (`flock`), and git inherits that lock: as long as the process or an orphan of it lives, it is held. An intent
//! whose lock is free belongs to the dead, and what it left behind may be cleared away.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::{FdFlags, fcntl_setfd};

use super::refs::RefUpdate;
use super::{GitError, Repository, sharing};
use crate::machine;

/// How the name of an intent begins that is not locked yet.
const NEW: &str = "new-";

/// How long a lock file must stand unchanged before it is taken for dead; git holds one for milliseconds.
const STILL: Duration = Duration::from_secs(1);

/// Where git keeps refs that are not files (`extensions.refStorage=reftable`).
pub(super) const TABLES: &str = "reftable";

/// How soon after its intent a lock file is made that says nothing of who made it: that of an index, which git holds for
/// whole checkouts, of the packed refs, of tables of refs or of a head. One that is made later may be held by somebody who lives.
/// No longer for tables: the lock of their list is called alike for everybody, and stays empty and unchanged for as long as git
/// prepares a transaction, which may be the fetch of very many refs. Whoever took it away meanwhile could lose what is written.
const AT_ONCE: Duration = Duration::from_secs(3);

/// How old an intent must be whose locks are in nobody's way, before they are cleared: nothing is in a hurry then, and nobody who
/// lives has held one of them for so long.
const OLD: Duration = Duration::from_secs(60);

/// How old an intent must be that is not declared and that nobody holds, for its process to have died over it.
const NEVER_DECLARED: Duration = Duration::from_secs(60);

/// What a running process is about to do to refs or an index. Removed when it is dropped.
#[must_use]
pub(super) struct Intent {
    path: PathBuf,
    /// Its lock is held as long as it is open, here or in a child.
    file: File,
}

impl Intent {
    /// Says what it is about. It gets its name now, when it has its lock: nobody can take it for that of a dead process.
    pub(super) fn declare(&mut self, lines: &str) -> Result<(), GitError> {
        self.file.write_all(lines.as_bytes()).map_err(GitError::file(&self.path))?;
        let new = self.path.file_name().unwrap_or_default().to_string_lossy();
        let path = self.path.with_file_name(new.trim_start_matches(NEW));
        std::fs::rename(&self.path, &path).map_err(GitError::file(&path))?;
        self.path = path;
        Ok(())
    }

    /// The same, which refs are to be moved where.
    pub(super) fn declare_refs(&mut self, updates: &[RefUpdate]) -> Result<(), GitError> {
        let lines = updates.iter().map(|update| {
            let new = update.new.map(|new| new.to_string()).unwrap_or_default();
            format!("{} {new}\n", update.name)
        });
        self.declare(&lines.collect::<String>())
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        // One that stays behind is found to be dead by the next who needs to know.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Takes a lock on an open file, or says that it is held.
pub(super) fn lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The same, and this process's children inherit it.
pub(super) fn lock_inherited(file: &File) -> std::io::Result<bool> {
    let is_ours = lock(file)?;
    if is_ours {
        fcntl_setfd(file, FdFlags::empty())?;
    }
    Ok(is_ours)
}

impl Repository {
    fn intents_dir(&self) -> PathBuf {
        self.deploy_dir().join("intents")
    }

    /// Begins to say what is about to be done, for those who come after a crash. Children that are started from now on
    /// inherit the lock.
    pub(super) fn begin_intent(&self) -> Result<Intent, GitError> {
        let dir = self.intents_dir();
        std::fs::create_dir_all(&dir).map_err(GitError::file(&dir))?;
        let path = dir.join(format!("{NEW}{}-{:016x}", machine::pid(), fastrand::u64(..)));
        let file =
            OpenOptions::new().create_new(true).write(true).open(&path).map_err(GitError::file(&path))?;
        lock_inherited(&file).map_err(GitError::file(&path))?;
        Ok(Intent { path, file })
    }

    /// Says that the index of a work tree is about to be written, for those who come after a crash.
    pub(super) fn intend_index(&self, git_dir: &Path) -> Result<Intent, GitError> {
        let name = git_dir.strip_prefix(&self.paths().common_dir).unwrap_or(git_dir).join("index");
        self.write_intent(&format!("{} \n", name.display()))
    }

    /// Says that a fetch or a push is about to write what it learns of a remote under these prefixes, for those who come
    /// after a crash.
    pub(super) fn intend_below(&self, prefixes: &[String]) -> Result<Intent, GitError> {
        self.write_intent(&prefixes.iter().map(|prefix| format!("{prefix}* \n")).collect::<String>())
    }

    fn write_intent(&self, lines: &str) -> Result<Intent, GitError> {
        let mut intent = self.begin_intent()?;
        intent.declare(lines)?;
        Ok(intent)
    }

    /// Removes lock files that a dead process of ours left on refs, and its intents. Returns whether there were any.
    pub(super) fn clear_dead_locks(&self) -> Result<bool, GitError> {
        self.clear_locks_after(Duration::ZERO)
    }

    /// The same for what is in nobody's way, and has stood there for long: a lock on a table of refs, or on the packed ones, keeps
    /// nobody from writing, but every `git gc` from coming to its end.
    pub(super) fn clear_old_locks(&self) -> Result<bool, GitError> {
        self.clear_locks_after(OLD)
    }

    fn clear_locks_after(&self, time: Duration) -> Result<bool, GitError> {
        let dir = self.intents_dir();
        let Ok(entries) = std::fs::read_dir(&dir) else { return Ok(false) };
        let mut cleared = false;
        for entry in entries.flatten() {
            let path = entry.path();
            let is_new = entry.file_name().to_string_lossy().starts_with(NEW);
            // Between its first breath and its lock nobody holds it.
            if is_new && age(&path).and_then(|age| age.elapsed().ok()).is_none_or(|age| age <= NEVER_DECLARED)
            {
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            if !matches!(file.try_lock(), Ok(())) {
                continue;
            }
            // What was never declared moved nothing.
            if !is_new {
                let text = std::fs::read_to_string(&path).map_err(GitError::file(&path))?;
                let begun = file
                    .metadata()
                    .and_then(|metadata| metadata.modified())
                    .map_err(GitError::file(&path))?;
                match self.clear_locks_of(&text, begun, time)? {
                    Cleared::NotYet => continue,
                    Cleared::Some => cleared = true,
                    Cleared::Nothing => {}
                }
            }
            std::fs::remove_file(&path).map_err(GitError::file(&path))?;
        }
        Ok(cleared)
    }

    /// Removes the lock files that a child of ours left which was ended by a signal.
    pub(super) fn clear_locks_of_ended(&self, intent: &Intent) -> Result<bool, GitError> {
        let text = std::fs::read_to_string(&intent.path).map_err(GitError::file(&intent.path))?;
        let begun = age(&intent.path).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(matches!(self.clear_locks_of(&text, begun, Duration::ZERO)?, Cleared::Some))
    }

    /// Clears away what a run that died left behind. Called under the lock of runs.
    ///
    /// # Errors
    /// When a file of ours cannot be removed.
    pub fn clear_dead(&self) -> Result<(), GitError> {
        self.clear_dead_locks().map(drop)
    }

    /// Removes the lock files of one dead intent: those that hold what it was about to write. Nothing is removed before all of
    /// them, and the intent, have stood for that time.
    fn clear_locks_of(&self, intent: &str, begun: SystemTime, time: Duration) -> Result<Cleared, GitError> {
        if !has_stood(begun, time) {
            return Ok(Cleared::NotYet);
        }
        let common = &self.paths().common_dir;
        let mut locks: Vec<(PathBuf, String)> = Vec::new();
        for (name, new) in intent.lines().filter_map(|line| line.split_once(' ')) {
            match name.strip_suffix("/*") {
                Some(prefix) => lock_files_below(&common.join(prefix), &mut locks),
                None => locks.push((common.join(format!("{name}.lock")), new.to_owned())),
            }
        }
        // Deleting refs rewrites the packed ones; moving the branch of a head locks that too.
        locks.push((common.join("packed-refs.lock"), String::new()));
        locks.push((self.paths().git_dir.join("HEAD.lock"), String::new()));
        // Where refs are kept in tables, any move of one locks their list, and sometimes tables that are put together.
        for dir in [common, &self.paths().git_dir] {
            lock_files_below(&dir.join(TABLES), &mut locks);
        }
        let dead: Vec<&(PathBuf, String)> = locks
            .iter()
            .filter(|(path, new)| {
                is_ours(path, new) && age(path).is_some_and(|age| was_made_by(path, age, begun))
            })
            .collect();
        if dead.is_empty() {
            return Ok(Cleared::Nothing);
        }
        // What is younger somebody may hold who lives.
        if !dead.iter().all(|(path, _)| age(path).is_some_and(|made| has_stood(made, time))) {
            return Ok(Cleared::NotYet);
        }
        let before: Vec<Option<SystemTime>> = dead.iter().map(|(path, _)| age(path)).collect();
        machine::sleep(STILL);
        let mut cleared = Cleared::Nothing;
        for ((path, new), before) in dead.into_iter().zip(before) {
            if is_ours(path, new) && age(path) == before {
                std::fs::remove_file(path).map_err(GitError::file(path))?;
                cleared = Cleared::Some;
            }
        }
        Ok(cleared)
    }
}

/// What became of the lock files of a dead intent.
enum Cleared {
    /// There were none.
    Nothing,
    /// They are gone, or somebody has them who lives.
    Some,
    /// They have to be looked at later.
    NotYet,
}

/// Whether something was made so long ago. Of what comes from the future nobody knows.
fn has_stood(made: SystemTime, time: Duration) -> bool {
    time.is_zero() || made.elapsed().is_ok_and(|age| age >= time)
}

/// Whether a lock file of that age can be of a process that said so then.
fn was_made_by(path: &Path, age: SystemTime, begun: SystemTime) -> bool {
    let says_nothing =
        ["index.lock", "packed-refs.lock", "HEAD.lock"].iter().any(|name| path.ends_with(name))
            || path.parent().is_some_and(|folder| folder.ends_with(TABLES));
    age.duration_since(begun).is_ok_and(|later| !says_nothing || later < AT_ONCE)
}

/// The lock files in a folder with what they hold: whatever one that died was about to write there.
fn lock_files_below(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            lock_files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let held = std::fs::read_to_string(&path).unwrap_or_default();
            found.push((path, held.trim_end().to_owned()));
        }
    }
}

fn age(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Whether a lock file holds the value that the intent was to write, or nothing yet.
fn is_ours(path: &Path, new: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|held| held.trim_end().is_empty() || held.trim_end() == new)
}

/// The lock that lets one run at a time deploy from this repository. Its children inherit it, so that it is free only when
/// no orphan of a run that died is left.
#[derive(Debug)]
#[must_use]
pub struct RunLock {
    _file: File,
}

impl Repository {
    /// Takes the lock of runs, waiting a moment for orphans of a run that died.
    ///
    /// # Errors
    /// When the file cannot be used. `Err` inside: another run has it, with this process id.
    pub fn lock_run(&self) -> Result<Result<RunLock, String>, GitError> {
        self.lock("run")
    }

    /// Takes the lock of sweeps, which rebase many branches at once, in the same way. A sweep may run beside a deployment:
    /// each moves a branch only from where it saw it.
    ///
    /// # Errors
    /// As [`Self::lock_run`].
    pub fn lock_sweep(&self) -> Result<Result<RunLock, String>, GitError> {
        self.lock("sweep")
    }

    fn lock(&self, name: &str) -> Result<Result<RunLock, String>, GitError> {
        let dir = self.deploy_dir();
        std::fs::create_dir_all(&dir).map_err(GitError::file(&dir))?;
        let path = dir.join(name);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(GitError::file(&path))?;
        for tries in 0..50 {
            if lock_inherited(&file).map_err(GitError::file(&path))? {
                return Ok(Ok(held(file, &path)?));
            }
            // An orphan ends with the step that it is in; a run that is alive stays.
            let holder = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            let alive = holder.parse().is_ok_and(machine::is_alive);
            if alive && tries > 0 {
                return Ok(Err(holder));
            }
            machine::sleep(Duration::from_millis(200));
        }
        // What still holds it is a daemon that a git or a hook of the dead run started. Even an orphan could do no more than
        // move refs from exactly where it saw them.
        let mut new = sharing::new_file_in(&dir)?;
        new.flush().map_err(GitError::file(&path))?;
        let file = new.persist(&path).map_err(|error| GitError::file(&path)(error.error))?;
        match lock_inherited(&file).map_err(GitError::file(&path))? {
            true => Ok(Ok(held(file, &path)?)),
            false => Ok(Err("another one that has just begun".to_owned())),
        }
    }
}

/// Writes into a lock file that is held who holds it.
fn held(mut file: File, path: &Path) -> Result<RunLock, GitError> {
    file.set_len(0).and_then(|()| writeln!(file, "{}", machine::pid())).map_err(GitError::file(path))?;
    Ok(RunLock { _file: file })
}
