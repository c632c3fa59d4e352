//! What can be said of a lock file of git that stays: which it is, how old, and who may be at work.
//!
//! Git writes no owner into its lock files. Those that a dead process of ours left are cleared away ([`super::intent`]);
//! of all others only a person can know whether somebody still needs them, and this is what the person has to know.

mod there;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::intent::TABLES;
use super::refs::RefUpdate;
use super::{GitError, Repository};
use crate::ids::RefName;

pub(super) use there::lock_there;

/// Where Linux says which processes there are.
const PROCESSES: &str = "/proc";

/// A lock file that keeps refs from moving, or an index from being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// The file.
    pub path: PathBuf,
    /// How long it has been there.
    pub age: Duration,
    /// The number of the user whom it belongs to, if that is somebody else.
    pub owner: Option<u32>,
    /// Who may need it.
    pub holder: Holder,
}

/// Who may be the one that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A git that works in this repository just now.
    Process {
        /// Its number.
        pid: u32,
        /// How its command line begins.
        command: String,
    },
    /// No process of this machine, as far as we may look.
    Nobody,
    /// This system does not say, or not to us.
    Unknown,
}

impl std::fmt::Display for HeldLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' has been there for {}", self.path.display(), words(self.age))?;
        self.owner.map_or(Ok(()), |owner| write!(f, ", belongs to user {owner}"))?;
        match &self.holder {
            Holder::Process { pid, command } => {
                write!(f, ", and process {pid} ('{command}') works in this repository")
            }
            Holder::Nobody => write!(f, ", and no git that can be seen works in this repository"),
            Holder::Unknown => Ok(()),
        }
    }
}

/// A time as people say it.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl Repository {
    /// The lock file that keeps one of these refs from moving, if one is there.
    pub(super) fn held_lock(&self, updates: &[RefUpdate]) -> Option<(RefName, HeldLock)> {
        let paths = self.paths();
        let lock_of = |update: &RefUpdate| {
            let own = paths.common_dir.join(format!("{}.lock", update.name));
            Some((update.name.clone(), self.held_file(own)?))
        };
        // These are needed for any ref, or for many.
        let lock_of_all = || {
            let shared = [
                paths.common_dir.join("packed-refs.lock"),
                paths.git_dir.join("HEAD.lock"),
                paths.common_dir.join(TABLES).join("tables.list.lock"),
                paths.git_dir.join(TABLES).join("tables.list.lock"),
            ];
            let name = updates.first()?.name.clone();
            Some((name, shared.into_iter().find_map(|path| self.held_file(path))?))
        };
        updates.iter().find_map(lock_of).or_else(lock_of_all)
    }

    /// Makes sure that nobody holds this repository's configuration, before anything is begun that ends with writing it.
    ///
    /// # Errors
    /// When a lock file is there.
    pub fn config_is_free(&self) -> Result<(), GitError> {
        let held = self.held_file(self.paths().common_dir.join("config.lock"));
        held.map_or(Ok(()), |lock| Err(GitError::ConfigLocked(Box::new(lock))))
    }

    /// What is known of a lock file, if it is there.
    pub(super) fn held_file(&self, path: PathBuf) -> Option<HeldLock> {
        let found = fs::metadata(&path).ok()?;
        let paths = self.paths();
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        let owner = Some(found.uid()).filter(|uid| *uid != rustix::process::geteuid().as_raw());
        let homes = [Some(&paths.common_dir), Some(&paths.git_dir), paths.work_tree.as_ref()];
        let found = holder(&path, &homes.into_iter().flatten().collect::<Vec<_>>());
        // What another user's processes have open is theirs to know, but for root.
        let is_hidden = owner.is_some() && !rustix::process::geteuid().is_root() && found == Holder::Nobody;
        let holder = if is_hidden { Holder::Unknown } else { found };
        Some(HeldLock { path, age, owner, holder })
    }
}

/// Looks for a process that has the file open, else for a git that was started in one of these folders.
fn holder(lock: &Path, homes: &[&PathBuf]) -> Holder {
    let Ok(entries) = fs::read_dir(PROCESSES) else { return Holder::Unknown };
    let pids: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // What called us and what we call are no others.
    let own = ancestors(std::process::id());
    let is_other = |pid: &u32| !own.contains(pid) && !ancestors(*pid).contains(&std::process::id());
    let has_open = |pid: &u32| {
        let files = fs::read_dir(of(*pid, "fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target == lock)
    };
    let works_here = |pid: &u32| {
        fs::read_link(of(*pid, "cwd")).is_ok_and(|cwd| homes.iter().any(|home| cwd.starts_with(home)))
            && command(*pid).is_some_and(|command| is_git(&command))
    };
    let found = pids.iter().find(|pid| has_open(pid)).or_else(|| {
        let mut here = pids.iter().filter(|pid| works_here(pid));
        here.find(|pid| is_other(pid))
    });
    match found.and_then(|pid| Some((*pid, command(*pid)?))) {
        Some((pid, command)) => Holder::Process { pid, command },
        None => Holder::Nobody,
    }
}

fn of(pid: u32, what: &str) -> PathBuf {
    Path::new(PROCESSES).join(pid.to_string()).join(what)
}

/// A process and those that it was started by.
fn ancestors(pid: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut next = Some(pid);
    while let Some(pid) = next.filter(|pid| *pid > 0 && !found.contains(pid)) {
        found.insert(pid);
        // `1234 (name, with any bytes) S 1233 ...`
        let stat = fs::read_to_string(of(pid, "stat")).unwrap_or_default();
        next = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    }
    found
}

/// How a command line begins, the program without its folder.
fn command(pid: u32) -> Option<String> {
    let line = fs::read(of(pid, "cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next()?;
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words = [name].into_iter().chain(words.map(String::from)).collect::<Vec<_>>().join(" ");
    let brief: String = words.trim_end().chars().take(60).collect();
    Some(brief).filter(|words| !words.is_empty())
}

fn is_git(command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default();
    program == "git" || program.starts_with("git-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_in_one_unit() {
        for (seconds, said) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn only_a_git_is_taken_for_one() {
        assert!(is_git("git gc") && is_git("git") && is_git("git-gc --auto"));
        assert!(!is_git("vi git") && !is_git("gitk") && !is_git(""));
    }

    #[test]
    fn we_are_of_our_own_family() {
        let own = ancestors(std::process::id());
        assert!(own.contains(&std::process::id()));
        assert_ne!(holder(Path::new("/nowhere.lock"), &[]), Holder::Unknown);
    }
}
