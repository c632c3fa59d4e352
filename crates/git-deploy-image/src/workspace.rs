//! A folder for the files of one build, which goes away with it: also, by the next one, where this process is killed.
//!
//! The kernel says whose folder nobody uses any more: each has a file that its owner holds locked, and a lock ends with its
//! process, however that ends. What is not ours is left alone: it lies where everybody may write (`/tmp`), and its name can
//! be anybody's.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::TempDir;

/// What their names begin with.
const PREFIX: &str = "git-deploy-build-";
/// The folder in each for the temporary files of others.
const OF_OTHERS: &str = "tmp";
/// The file that is held locked.
const LOCK: &str = "lock";
/// A folder without a lock may just be coming into being; after this it has been left behind at that moment.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// A folder that is there as long as this.
#[derive(Debug)]
pub struct Workspace {
    directory: TempDir,
    /// Held locked.
    _lock: File,
}

impl Workspace {
    /// A new folder, for nobody but this user: in `TMPDIR`, else in `/var/tmp`, as the builders do, for images are large
    /// and `/tmp` may be memory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&parent())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PREFIX).rand_bytes(16).permissions(Permissions::from_mode(0o700));
            let directory = builder.tempdir_in(parent)?;
            let path = directory.path().join(LOCK);
            let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            // Whoever clears away may have been in between: it holds the lock then, or has taken all away already. Where
            // nothing can be locked, nobody takes anything for abandoned.
            let is_taken = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
            if !is_taken && lock.metadata()?.nlink() > 0 {
                return Ok(Self { directory, _lock: lock });
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What no other is called.
    pub(crate) fn name(&self) -> String {
        name(self.path())
    }

    /// Whether one could be called so.
    pub(crate) fn is_name(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// A folder in it for the temporary files of others.
    pub(crate) fn for_others(&self) -> io::Result<PathBuf> {
        let path = self.path().join(OF_OTHERS);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        Ok(path)
    }
}

/// A folder whose owner is dead.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    /// So that no two clear it away at once.
    _lock: Option<File>,
}

impl Abandoned {
    /// All of this user that are where a new one would be.
    pub(crate) fn all() -> Vec<Self> {
        Self::all_in(&parent())
    }

    fn all_in(parent: &Path) -> Vec<Self> {
        // What cannot be looked at is not ours.
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let is_one = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
        entries.filter(is_one).filter_map(|entry| Self::look(entry.path())).collect()
    }

    fn look(path: PathBuf) -> Option<Self> {
        let found = fs::symlink_metadata(&path).ok()?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
        if !found.is_dir() || !is_ours {
            return None;
        }
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).ok()?;
        match OpenOptions::new().write(true).custom_flags(flags).open(path.join(LOCK)) {
            Ok(lock) => lock.try_lock().ok().map(|()| Self { path, _lock: Some(lock) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_old = found.modified().ok()?.elapsed().is_ok_and(|age| age > YOUNG);
                is_old.then_some(Self { path, _lock: None })
            }
            Err(_) => None,
        }
    }

    #[cfg(test)]
    fn name(&self) -> String {
        name(&self.path)
    }

    /// Where others had their temporary files.
    pub(crate) fn for_others(&self) -> PathBuf {
        self.path.join(OF_OTHERS)
    }

    /// Takes it away. What resists stays: it is in nobody's way.
    pub(crate) fn remove(self) {
        make_removable(&self.path);
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Gives back the rights to folders that a step has taken away, as Go does with the modules that it has fetched.
fn make_removable(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        make_removable(self.path());
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where they are.
pub(crate) fn parent() -> PathBuf {
    let chosen = std::env::var_os("TMPDIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    let large = || Some(PathBuf::from("/var/tmp")).filter(|path| path.is_dir());
    chosen.or_else(large).unwrap_or_else(std::env::temp_dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use git_deploy_testkit::cluster::eventually;

    use super::*;

    /// The one that is left behind. A process that another test starts just now holds all open files for a moment.
    fn left_behind(parent: &Path) -> Abandoned {
        let mut found = None;
        eventually("nobody holds it any more", || {
            found = Abandoned::all_in(parent).pop();
            found.is_some()
        });
        found.unwrap()
    }

    fn names(parent: &Path) -> Vec<String> {
        Abandoned::all_in(parent).iter().map(Abandoned::name).collect()
    }

    #[test]
    fn only_what_nobody_holds_any_more_is_abandoned() {
        let parent = tempfile::tempdir().unwrap();
        let mut held = Workspace::new_in(parent.path()).unwrap();
        assert!(names(parent.path()).is_empty());
        let name = held.name();
        // As if it were killed, and as a step leaves folders that it wants nobody to write into.
        held.directory.disable_cleanup(true);
        fs::create_dir_all(held.path().join("modules/inner")).unwrap();
        fs::set_permissions(held.path().join("modules"), Permissions::from_mode(0o500)).unwrap();
        drop(held);
        let left = left_behind(parent.path());
        assert_eq!(left.name(), name);
        left.remove();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_do_not_clear_the_same_away() {
        let parent = tempfile::tempdir().unwrap();
        let mut workspace = Workspace::new_in(parent.path()).unwrap();
        workspace.directory.disable_cleanup(true);
        drop(workspace);
        let _first = left_behind(parent.path());
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn what_others_call_by_such_a_name_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(format!("{PREFIX}{name}"));
        let precious = parent.path().join("precious");
        let directory = |path: &Path, mode| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        directory(&precious, 0o700);
        fs::write(precious.join(LOCK), "").unwrap();
        symlink(&precious, at("link")).unwrap();
        fs::write(at("file"), "").unwrap();
        // Others may have put something into it.
        directory(&at("open"), 0o777);
        fs::write(at("open").join(LOCK), "").unwrap();
        directory(&at("new"), 0o700);
        directory(&at("odd\n\u{1b}[2J"), 0o700);
        directory(&at("linked"), 0o700);
        symlink(precious.join(LOCK), at("linked").join(LOCK)).unwrap();
        directory(&at("piped"), 0o700);
        let mut pipe = std::process::Command::new("mkfifo");
        assert!(pipe.arg(at("piped").join(LOCK)).status().unwrap().success());
        // Only root can give something away.
        directory(&at("of-another"), 0o700);
        fs::write(at("of-another").join(LOCK), "").unwrap();
        if chown(at("of-another"), Some(12_345), None).is_err() {
            fs::remove_dir_all(at("of-another")).unwrap();
        }
        assert!(names(parent.path()).is_empty(), "{:?}", names(parent.path()));
    }

    #[test]
    fn links_in_what_is_taken_away_are_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "").unwrap();
        let mut workspace = Workspace::new_in(parent.path()).unwrap();
        workspace.directory.disable_cleanup(true);
        symlink(outside.path(), workspace.path().join("tree")).unwrap();
        drop(workspace);
        left_behind(parent.path()).remove();
        assert!(outside.path().join("precious").exists());
    }
}
