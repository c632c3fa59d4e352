//! Which branch is base, where nobody has said so.

use std::collections::BTreeSet;

use crate::config::Settings;
use crate::git::{GitError, Repository};
use crate::ids::RefName;
use crate::ops::receive;

use super::InitError;

/// What is found out about base.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is configured, named by the remote, or there by its usual name.
    Base,
    /// It is not; but this branch will be it.
    Likely(RefName),
    /// Any of these may be it, or there are none.
    Unclear(Vec<RefName>),
}

/// A `HEAD` that leads clones astray, which take the branch that it names for base where nothing is configured there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch that it names.
    pub head: RefName,
    /// Whether that is there.
    pub is_there: bool,
    /// What the server takes for base.
    pub base: RefName,
}

/// Whether `HEAD` of a server's repository names another branch than its base, or one that is not there though others are.
pub(super) fn odd_head(repository: &Repository) -> Result<Option<Head>, GitError> {
    let (Ok(base), Some(head)) = (receive::base(repository)?, repository.symbolic_target("HEAD")?) else {
        return Ok(None);
    };
    let is_there = repository.resolve(&head)?.is_some();
    let begins = !is_there && repository.refs("refs/heads/")?.is_empty();
    let is_right = head == base && (is_there || begins);
    Ok((!is_right).then_some(Head { head, is_there, base }))
}

/// Looks for base. Which branch is checked out says nothing: it may be any.
pub(super) fn found(repository: &Repository, settings: &Settings) -> Result<Found, InitError> {
    let named = settings.base.short() != "master" || repository.config("deploy.base")?.is_some();
    if named || repository.tip(&settings.authority(&settings.base))?.is_some() {
        return Ok(Found::Base);
    }
    let branches = branches(repository, settings)?;
    if branches.contains(&settings.base) {
        return Ok(Found::Base);
    }
    if branches.is_empty() {
        // Before the first commit there is only the name of the branch that it will begin.
        let head = repository.symbolic_target("HEAD")?.filter(|head| head.branch_name().is_some());
        return Ok(match head {
            Some(head) if head == settings.base => Found::Base,
            Some(head) => Found::Likely(head),
            None => Found::Unclear(Vec::new()),
        });
    }
    let usual = repository.config("init.defaultbranch")?;
    Ok(likely(branches, usual.as_deref()).map_or_else(Found::Unclear, Found::Likely))
}

/// The branch that is most likely base: `main`, the one that the user begins repositories with, the only one.
fn likely(branches: BTreeSet<RefName>, usual: Option<&str>) -> Result<RefName, Vec<RefName>> {
    let named = |name: &str| branches.iter().find(|branch| branch.short() == name).cloned();
    if let Some(found) = named("main").or_else(|| named(usual?)) {
        return Ok(found);
    }
    let mut branches: Vec<RefName> = branches.into_iter().collect();
    match branches.len() {
        1 => Ok(branches.remove(0)),
        _ => Err(branches),
    }
}

/// All branches, those of the remote and ours, under the names that they have there.
fn branches(repository: &Repository, settings: &Settings) -> Result<BTreeSet<RefName>, GitError> {
    let mut found = BTreeSet::new();
    for place in [settings.authority_prefix(), "refs/heads/".to_owned()] {
        let heads = repository.refs(&place)?.into_iter().filter(|head| !head.symbolic);
        let name = |head: &RefName| RefName::branch(head.as_str().strip_prefix(&place)?).ok();
        found.extend(heads.filter_map(|head| name(&head.name)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely_of(branches: &[&str], usual: Option<&str>) -> Option<String> {
        let branches = branches.iter().map(|name| RefName::branch(name).unwrap()).collect();
        likely(branches, usual).ok().map(|found| found.short().to_owned())
    }

    #[test]
    fn main_goes_before_the_users_own_default_and_that_before_the_only_branch() {
        assert_eq!(likely_of(&["login", "main", "trunk"], Some("trunk")).as_deref(), Some("main"));
        assert_eq!(likely_of(&["login", "trunk"], Some("trunk")).as_deref(), Some("trunk"));
        assert_eq!(likely_of(&["trunk"], Some("main")).as_deref(), Some("trunk"));
    }

    #[test]
    fn among_several_branches_none_is_guessed() {
        assert_eq!(likely_of(&["login", "trunk"], None), None);
        assert_eq!(likely_of(&["login", "trunk"], Some("main")), None);
    }
}
