//! Git's configuration as the git program sees it, with all that the environment and the command line add: asked for once.

use std::cell::OnceCell;

use crate::git::GitError;
use crate::git::program::git;

/// All keys and values, least important first; read when the first is wanted.
#[derive(Default)]
pub(super) struct Listing(OnceCell<Vec<(String, String)>>);

impl Listing {
    fn entries(&self) -> Result<&[(String, String)], GitError> {
        if let Some(entries) = self.0.get() {
            return Ok(entries);
        }
        let printed = git(["config", "-z", "--list"]).run()?;
        let entries = String::from_utf8_lossy(&printed)
            .split_terminator('\0')
            // A key without a value is one that is switched on.
            .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(self.0.get_or_init(|| entries))
    }

    /// The values of a key.
    pub(super) fn values(&self, key: &str) -> Result<Vec<String>, GitError> {
        let key = listed(key);
        let entries = self.entries()?.iter().filter(|(name, _)| *name == key);
        Ok(entries.map(|(_, value)| value.clone()).collect())
    }

    /// The names of the remotes.
    pub(super) fn remotes(&self) -> Result<Vec<String>, GitError> {
        let keys = self.entries()?.iter().filter_map(|(key, _)| key.strip_prefix("remote."));
        // `remote.pushDefault` has no name in it.
        let mut names: Vec<String> =
            keys.filter_map(|key| key.rsplit_once('.')).map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// A key as git lists it: section and name in lower case, what stands between them as it is.
fn listed(key: &str) -> String {
    let (section, rest) = key.split_once('.').unwrap_or(("", key));
    match rest.rsplit_once('.') {
        Some((between, name)) => format!("{}.{between}.{}", section.to_lowercase(), name.to_lowercase()),
        None => key.to_lowercase(),
    }
}
