//! What keeps anything from being read or written, whatever it is: known by the words of the system, which git and libgit2 pass
//! on.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::GitError;
use super::program::ProgramError;

/// What the system denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The right to do that.
    Denied,
    /// The room.
    NoRoom,
}

const DENIED: [&str; 3] = ["Permission denied", "Read-only file system", "insufficient permission"];
const NO_ROOM: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Out of diskspace"];

/// How git begins to name a file that it could not write, without saying why.
const NOT_WRITTEN: &str = "couldn't write '";

/// What git says of tables of refs that it could not write, without saying which, or why.
const TABLE_NOT_WRITTEN: &str = "reftable: transaction failure: I/O error";

/// How many blocks a disk may have left that has no room for a file of ours: what failed may have given some back.
const LITTLE: u64 = 4;

/// How the line ends in which git names an object that it could not fetch.
const NOT_SENT: &str = " from promisor remote";

impl Trouble {
    /// What an error says that the system denies, if it does.
    pub fn of(said: &str) -> Option<Self> {
        let says = |words: [&str; 3]| words.iter().any(|words| said.contains(words));
        match () {
            () if says(DENIED) => Some(Self::Denied),
            () if says(NO_ROOM) || not_written(said).is_some_and(|file| is_full(&file)) => Some(Self::NoRoom),
            () => None,
        }
    }
}

/// The file that git could not write, and does not say why; of tables of refs where they may be.
fn not_written(said: &str) -> Option<PathBuf> {
    if said.contains(TABLE_NOT_WRITTEN) {
        return Some(env::var_os("GIT_DIR").map_or_else(|| ".".into(), PathBuf::from));
    }
    let (_, found) = said.split_once(NOT_WRITTEN)?;
    found.split_once('\'').map(|(path, _)| path.into())
}

/// Whether there is no room left where a file was to be written, or in the nearest folder above it that is there.
fn is_full(file: &Path) -> bool {
    let found = file.ancestors().find_map(|place| statvfs(place).ok());
    found.is_some_and(|found| {
        let no_files = found.f_files > 0 && found.f_favail == 0;
        found.f_bavail < LITTLE || no_files
    })
}

/// Why a git failed that could not fetch what a remote has promised to a partial clone; none where it failed otherwise.
pub(super) fn not_sent(stderr: &str) -> Option<String> {
    let line = stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    stderr.contains(NOT_SENT).then(|| line.trim_start_matches("fatal: ").to_owned())
}

/// An error as what it is where a git that was asked for something else could not fetch an object that was promised.
pub fn promised(error: GitError) -> GitError {
    let said = match &error {
        GitError::Program(ProgramError::Failed { stderr, .. }) => stderr,
        _ => return error,
    };
    let named = |line: &str| line.trim().strip_suffix(NOT_SENT)?.rsplit_once(' ')?.1.parse().ok();
    match (said.lines().find_map(named), not_sent(said)) {
        (Some(id), Some(why)) => GitError::Promised { id, why },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_promised_and_is_not_sent_is_told_from_other_failures() {
        let failed = |stderr: &str| {
            let (command, stderr) = ("git rev-list".to_owned(), stderr.to_owned());
            promised(ProgramError::Failed { command, status: Some(128), stderr }.into()).to_string()
        };
        let id = "0ff3bbb9c8bba2291654cd64067fa417ff54c508";
        assert_eq!(
            failed(&format!("fatal: no such host\n\nfatal: could not fetch {id} from promisor remote\n")),
            format!("object '{id}' is not in this partial clone, and could not be fetched: no such host")
        );
        assert!(failed("fatal: bad object\n").starts_with("'git rev-list' failed"));
    }

    #[test]
    fn trouble_is_told_by_the_words_of_the_system() {
        let read_only = "cannot write a commit: failed to create file: Read-only file system";
        assert_eq!(Trouble::of(read_only), Some(Trouble::Denied));
        assert_eq!(Trouble::of("fatal: write error. Out of diskspace"), Some(Trouble::NoRoom));
        assert_eq!(Trouble::of("object is missing"), None);
        // Where there is room it was something else.
        let not_written = |place: &str| Trouble::of(&format!("fatal: couldn't write '{place}/x/y.lock'"));
        assert_eq!(not_written(&std::env::temp_dir().display().to_string()), None);
    }
}
