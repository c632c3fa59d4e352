//! With whom the files of a repository are shared: `core.sharedRepository` of git-config(1).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// A file that gets its name when it is whole, and may then be read by all who may read what git writes: a temporary file
/// would else be its maker's alone.
pub(crate) fn new_file_in(dir: &Path) -> Result<NamedTempFile, GitError> {
    let as_git_does = Permissions::from_mode(0o666);
    tempfile::Builder::new().permissions(as_git_does).tempfile_in(dir).map_err(GitError::file(dir))
}

#[cfg(test)]
mod tests {
    use super::shared_umask;

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
