//! Which branch a user means.

use super::{View, ViewError};
use crate::git::{GitError, Repository};
use crate::ids::RefName;

/// How a word begins that may be the whole name of a branch. Only of such a one it is asked what is there.
const WHOLE: &str = "refs/heads/";

impl View<'_> {
    /// The branch that is checked out here; `None` if the head is detached.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn current_branch(&self) -> Result<Option<RefName>, GitError> {
        self.repository.symbolic_target("HEAD")
    }

    /// The branch that a user means by a word (`login`, `refs/heads/login`, `@`), or by saying nothing.
    ///
    /// # Errors
    /// When the word is no name, or no branch is checked out where that is asked for.
    pub fn named_branch(&self, word: Option<&str>) -> Result<RefName, ViewError> {
        named(self.repository, word, |name| Ok(self.branch_tip(name)?.is_some()))
    }
}

/// The branches that a user means by words, before anything else is known of a repository, for whoever is in a hurry.
///
/// # Errors
/// As [`View::named_branch`].
pub fn named_branches(repository: &Repository, words: &[Option<&str>]) -> Result<Vec<RefName>, ViewError> {
    let is_whole = |word: &&str| word.starts_with(WHOLE);
    let view = words.iter().flatten().any(is_whole).then(|| View::new(repository)).transpose()?;
    let is_there = |name: &RefName| match &view {
        Some(view) => Ok(view.branch_tip(name)?.is_some()),
        None => Ok(false),
    };
    words.iter().map(|word| named(repository, *word, is_there)).collect()
}

fn named(
    repository: &Repository,
    word: Option<&str>,
    is_there: impl Fn(&RefName) -> Result<bool, ViewError>,
) -> Result<RefName, ViewError> {
    let current = || match repository.symbolic_target("HEAD")? {
        Some(name) if repository.tip(&name)?.is_none() => Err(ViewError::Unborn(name)),
        Some(name) if name.branch_name().is_some() => Ok(name),
        _ => match repository.head_not_utf8()? {
            Some(name) => Err(ViewError::NotUtf8(String::from_utf8_lossy(&name).into_owned())),
            None => Err(ViewError::Detached { under: repository.operation() }),
        },
    };
    let Some(word) = word.filter(|word| !matches!(*word, "HEAD" | "@")) else { return current() };
    let short = word.strip_prefix(WHOLE).unwrap_or(word);
    // A branch may also be called so itself.
    let whole = RefName::branch(word).ok().filter(|_| short != word);
    if let Some(whole) = whole
        && !RefName::branch(short).map_or(Ok(false), |name| is_there(&name))?
        && is_there(&whole)?
    {
        return Ok(whole);
    }
    RefName::branch(short).map_err(|why| ViewError::NotABranch { word: word.to_owned(), why })
}
