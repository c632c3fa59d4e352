//! Which git is called. What a version can do is said where it matters.

use std::str::FromStr;
use std::sync::OnceLock;

use crate::git::program::{ProgramError, git};

/// The version of the git program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The 2 of 2.39.5.
    pub major: u32,
    /// The 39 of 2.39.5.
    pub minor: u32,
}

impl Version {
    /// The first with all that a rebase needs: `git merge-tree --write-tree`, `git patch-id --verbatim`.
    pub const OLDEST: Self = Self::new(2, 39);

    /// A version.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The version of the git that is called; it is asked once.
    ///
    /// # Errors
    /// When it cannot be run, or says something unknown.
    pub fn of_git() -> Result<Self, ProgramError> {
        static VERSION: OnceLock<Version> = OnceLock::new();
        if let Some(version) = VERSION.get() {
            return Ok(*version);
        }
        let call = git(["version"]);
        let text = call.text()?;
        let version = text.parse().map_err(|()| call.unreadable(format!("no version in '{text}'")))?;
        Ok(*VERSION.get_or_init(|| version))
    }
}

impl FromStr for Version {
    type Err = ();

    /// Reads what `git version` prints: `git version 2.39.5 (Apple Git-154)`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.strip_prefix("git version ").ok_or(())?;
        let mut parts = number.split(|char: char| !char.is_ascii_digit());
        let mut next = || parts.next()?.parse().ok();
        Ok(Self { major: next().ok_or(())?, minor: next().ok_or(())? })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_any_vendors_git_says() {
        for (text, version) in [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git version 2.40.0.rc1", Some((2, 40))),
            ("git version 2.55.0.windows.1", Some((2, 55))),
            ("git version 3.0-rc1", Some((3, 0))),
            ("git version 2.39.GIT", Some((2, 39))),
            ("git version", None),
            ("git version unknown", None),
        ] {
            let expected = version.map(|(major, minor)| Version::new(major, minor));
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        assert!(Version::new(2, 39) < Version::new(2, 40) && Version::new(2, 55) < Version::new(3, 0));
    }
}
