//! Git's configuration, read once: a run asks for a dozen keys, and all of them are to be of one moment.

use std::cell::RefCell;
use std::rc::Rc;

use crate::git::GitError;
use crate::git::program::git;

/// All keys, as git lists them, with their values, least important first.
pub(super) type Entries = Vec<(String, String)>;

/// What was read when the first key was wanted.
#[derive(Default)]
pub(super) struct Listing(RefCell<Option<Rc<Entries>>>);

impl Listing {
    /// The entries, if need be by reading them.
    pub(super) fn entries(
        &self,
        read: impl FnOnce() -> Result<Entries, GitError>,
    ) -> Result<Rc<Entries>, GitError> {
        if let Some(entries) = &*self.0.borrow() {
            return Ok(Rc::clone(entries));
        }
        let entries = Rc::new(read()?);
        *self.0.borrow_mut() = Some(Rc::clone(&entries));
        Ok(entries)
    }

    /// Reads anew at the next question: something was written.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = None;
    }
}

/// The configuration as the git program sees it, with all that the environment and the command line add.
pub(super) fn of_program() -> Result<Entries, GitError> {
    let printed = git(["config", "-z", "--list"]).run()?;
    let printed = String::from_utf8_lossy(&printed);
    // A key without a value is one that is switched on.
    let entries = printed.split_terminator('\0').map(|entry| entry.split_once('\n').unwrap_or((entry, "")));
    Ok(entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// The values of a key.
pub(super) fn values(entries: &Entries, key: &str) -> Vec<String> {
    let key = listed(key);
    entries.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.clone()).collect()
}

/// The names of the remotes: of those that lie somewhere, because a user may configure for all repositories how what is
/// called `origin` is fetched.
pub(super) fn remotes(entries: &Entries) -> Vec<String> {
    let name = |key: &str| {
        let (name, last) = key.strip_prefix("remote.")?.rsplit_once('.')?;
        matches!(last, "url" | "pushurl").then(|| name.to_owned())
    };
    let mut names: Vec<String> = entries.iter().filter_map(|(key, _)| name(key)).collect();
    names.sort();
    names.dedup();
    names
}

/// A key as git lists it: section and name in lower case, what stands between them as it is.
fn listed(key: &str) -> String {
    let (section, rest) = key.split_once('.').unwrap_or(("", key));
    match rest.rsplit_once('.') {
        Some((between, name)) => format!("{}.{between}.{}", section.to_lowercase(), name.to_lowercase()),
        None => key.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_one_that_lies_somewhere() {
        let listed = |key: &str| (key.to_owned(), "x".to_owned());
        let keys = [
            "remote.origin.prune",
            "remote.pushdefault",
            "remote.b.c.url",
            "remote.a.pushurl",
            "remote.a.url",
        ];
        assert_eq!(remotes(&keys.map(listed).into()), ["a", "b.c"]);
    }

    #[test]
    fn what_was_read_is_read_again_only_when_it_was_written() {
        let listing = Listing::default();
        let read = |value: &str| {
            let entries = listing.entries(|| Ok(vec![("a.b".to_owned(), value.to_owned())]));
            entries.map(|entries| values(&entries, "A.B")).unwrap()
        };
        assert_eq!((read("1"), read("2")), (vec!["1".to_owned()], vec!["1".to_owned()]));
        listing.forget();
        assert_eq!(read("2"), ["2"]);
    }
}
