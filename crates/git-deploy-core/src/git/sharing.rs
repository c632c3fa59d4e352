//! With whom the files of a repository are shared: `core.sharedRepository` of git-config(1).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Mode;
use tempfile::NamedTempFile;

use super::GitError;

/// The bits of `umask` that a repository leaves in force which is shared as its configuration says.
///
/// What is not git's way of writing it is git's to refuse: it shares with nobody here.
pub(super) fn shared_umask(umask: u32, configured: &str) -> u32 {
    let group = umask & !0o070;
    match configured.to_ascii_lowercase().as_str() {
        "group" | "true" | "yes" | "on" | "1" => group,
        "all" | "world" | "everybody" | "2" => group & !0o005,
        octal => match u32::from_str_radix(octal, 8) {
            // What may be read may be entered, if it is a folder. Git wants the owner to read and write.
            Ok(mode) if mode & 0o600 == 0o600 => !(mode | (mode & 0o444) >> 2) & 0o777,
            _ => umask,
        },
    }
}

/// Lets all that this process and its children make from now on be shared as a repository says. Git does so with each file of
/// its own; what libgit2 and we make beside that would else be nobody's but ours, and stop everybody who writes after us.
pub(super) fn share(configured: &str) {
    // It can only be read by setting it.
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(Mode::from_raw_mode(shared_umask(umask.as_raw_mode(), configured)));
}

/// How a file in a folder of ours is called as long as it is not whole.
const UNFINISHED: &str = ".tmp";

/// Whoever has not finished a file after that long has died.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// A file in a folder of ours that gets its name when it is whole, and may then be read by all who may read what git writes: a
/// temporary file would else be its maker's alone. Those that died before that have left theirs there, which go now.
pub(crate) fn new_file_in(dir: &Path) -> Result<NamedTempFile, GitError> {
    clear_unfinished(dir);
    let as_git_does = Permissions::from_mode(0o666);
    let mut new = tempfile::Builder::new();
    new.prefix(UNFINISHED).permissions(as_git_does).tempfile_in(dir).map_err(GitError::file(dir))
}

/// What cannot be cleared is in nobody's way.
fn clear_unfinished(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_old = || Some(file.metadata().ok()?.modified().ok()?.elapsed().ok()? > LONG);
        if file.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) && is_old() == Some(true) {
            drop(fs::remove_file(file.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_the_dead_did_not_finish_goes_and_what_is_just_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, age) in [(".tmpOld", 2 * LONG), (".tmpNew", Duration::ZERO), ("journal", 2 * LONG)] {
            let file = fs::File::create(at(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        let new = new_file_in(folder.path()).unwrap();
        assert!(!at(".tmpOld").exists());
        assert!(at(".tmpNew").exists() && at("journal").exists() && new.path().exists());
    }

    #[test]
    fn what_is_shared_loses_the_bits_that_keep_others_out() {
        let cases = [
            ("group", 0o022, 0o002),
            ("true", 0o077, 0o007),
            ("1", 0o077, 0o007),
            ("ALL", 0o077, 0o002),
            ("world", 0o022, 0o002),
            ("0640", 0o022, 0o027),
            ("0660", 0o022, 0o007),
            ("660", 0o077, 0o007),
            ("0664", 0o077, 0o002),
            ("umask", 0o077, 0o077),
            ("false", 0o022, 0o022),
            ("0", 0o022, 0o022),
            ("0060", 0o022, 0o022),
            ("nonsense", 0o022, 0o022),
        ];
        for (configured, umask, shared) in cases {
            assert_eq!(
                format!("{:o}", shared_umask(umask, configured)),
                format!("{shared:o}"),
                "{configured}"
            );
        }
    }
}
