//! A push that names no remote, but a place: git does not know of it what it keeps of remotes, and neither do we.

use std::path::PathBuf;

use crate::git::notes::notes_ref;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::ops::sync;
use crate::ops::view::View;

use super::{HookError, PushedRef};

/// Why states stay here that somebody may take for published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpublished {
    /// The push goes to where this remote is, which counts, and does not name it.
    Unnamed(String),
    /// No remote is configured, and something that is pushed is staged or deployable.
    NoRemote,
}

/// Looks whether states stay here because a push names a place. Where everything is published, or it goes to anybody else,
/// there is nothing to say.
pub(super) fn unpublished(
    view: &View<'_>,
    place: &str,
    pushed: &[PushedRef],
) -> Result<Option<Unpublished>, HookError> {
    let repository = view.repository;
    let remotes = repository.remotes()?;
    let Some(ours) = repository.tip(&notes_ref())? else { return Ok(None) };
    if remotes.iter().any(|remote| remote == place) {
        return Ok(None);
    }
    if remotes.is_empty() {
        let is_decided = |pushed: &PushedRef| {
            let note = pushed.new.and_then(|new| view.notes.get(CommitId(new)).ok().flatten());
            note.is_some_and(|note| note.state.is_rebased())
        };
        return Ok(pushed.iter().any(is_decided).then_some(Unpublished::NoRemote));
    }
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    if sync::fetched_notes(repository, tracking).unwrap_or_default() == Some(ours) {
        return Ok(None);
    }
    let is_there = places(repository, tracking)?.iter().any(|url| is_same(url, place));
    Ok(is_there.then(|| Unpublished::Unnamed(tracking.remote().to_owned())))
}

/// Where a remote is, as it is configured.
fn places(repository: &Repository, tracking: &Tracking) -> Result<Vec<String>, GitError> {
    let key = |key| format!("remote.{}.{key}", tracking.remote());
    Ok([repository.config_all(&key("url"))?, repository.config_all(&key("pushurl"))?].concat())
}

/// Whether two words for a place mean the same one, as far as that can be said without going there.
fn is_same(one: &str, two: &str) -> bool {
    let plain = |place: &str| -> PathBuf {
        let place = place.strip_prefix("file://").unwrap_or(place).trim_end_matches('/');
        let name = place.strip_suffix(".git").filter(|rest| !rest.ends_with('/')).unwrap_or(place);
        let mut folders = [name.to_owned(), format!("{name}.git")].into_iter().map(PathBuf::from);
        folders.find_map(|folder| folder.canonicalize().ok()).unwrap_or_else(|| PathBuf::from(name))
    };
    plain(one) == plain(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_in_other_words() {
        let url = "https://git.example.org/team/shop";
        assert!(is_same(url, &format!("{url}.git/")) && is_same(&format!("{url}/"), url));
        assert!(!is_same(url, "https://git.example.org/team/shop2") && !is_same(url, "git.example.org:shop"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shop.git")).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        assert!(is_same(&format!("file://{}", path("shop.git")), &path("./shop")));
        assert!(!is_same(&path("shop.git"), &path("login")));
    }
}
