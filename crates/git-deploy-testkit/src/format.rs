//! The format of the repositories that a run of the tests makes.

use std::env;

/// Names the format: `sha256`, `reftable`, or both with a comma in between. Not set or empty: git's own default.
const FORMAT: &str = "GIT_DEPLOY_TEST_FORMAT";

/// How all repositories of a run are made, so that the same scenarios show the same of each format that git has.
///
/// Which git makes and uses them is told by `PATH`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format {
    /// Ids have 64 digits instead of 40. Needs git 2.29.
    pub sha256: bool,
    /// Refs are kept in tables instead of one file a ref. Needs git 2.45.
    pub reftable: bool,
}

impl Format {
    /// The format that the environment asks for.
    ///
    /// # Panics
    /// If it asks for one that nobody knows.
    #[must_use]
    pub fn of_run() -> Self {
        let mut format = Self::default();
        let wanted = env::var(FORMAT).unwrap_or_default();
        for word in wanted.split(',').filter(|word| !word.is_empty()) {
            match word {
                "sha256" => format.sha256 = true,
                "reftable" => format.reftable = true,
                _ => panic!("{FORMAT} is '{wanted}': there is no format '{word}'"),
            }
        }
        format
    }

    /// The variables by which `git init` and `git clone` make such repositories. Other commands get none: they must
    /// find out for themselves, as they must at a user's.
    pub(crate) fn variables(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let hash = self.sha256.then_some(("GIT_DEFAULT_HASH", "sha256"));
        let refs = self.reftable.then_some(("GIT_DEFAULT_REF_FORMAT", "reftable"));
        hash.into_iter().chain(refs)
    }
}
