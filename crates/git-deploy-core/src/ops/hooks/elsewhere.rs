//! Where a push goes, by whatever name: one that names no remote, but a place, git knows nothing of that it keeps of remotes, and
//! neither do we.

use std::path::PathBuf;

use crate::config::counting_remote;
use crate::git::notes::notes_ref;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::ops::sync;
use crate::ops::view::View;

use super::{HookError, PushedRef};

/// Where a clone keeps what it has fetched of remotes, notes aside.
const FETCHED: [&str; 2] = ["refs/remotes/", "refs/deploy-remote/"];

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
    let is_there = is_at(&places(repository, tracking.remote())?, place);
    Ok(is_there.then(|| Unpublished::Unnamed(tracking.remote().to_owned())))
}

/// Whether a push mirrors a clone to the remote that counts, under whichever name: it brings there what is known here of that very
/// remote. Then it deletes there what the clone has not, of which git says no word to the hook. Notes that were fetched say
/// nothing: who pushes all notes names them as well. `to` is what git tells the hook of where the push goes: a name or a place,
/// and the place.
///
/// # Errors
/// When the configuration cannot be read.
pub fn is_mirror(to: &[&str], pushed: &[PushedRef]) -> Result<bool, HookError> {
    // Most pushes name nothing of the kind, and need not be looked at.
    let is_fetched = |name: &str| FETCHED.iter().any(|place| name.starts_with(place));
    if !pushed.iter().any(|pushed| is_fetched(pushed.name.as_str())) {
        return Ok(false);
    }
    let repository = Repository::open()?;
    let Ok(tracking) = counting_remote(&repository)? else { return Ok(false) };
    // Another name of the same place has what was fetched from there under that name.
    let known = |remote: &str| FETCHED.map(|place| format!("{place}{remote}/"));
    let known: Vec<String> = to.iter().copied().chain([tracking.remote()]).flat_map(known).collect();
    if !pushed.iter().any(|pushed| known.iter().any(|known| pushed.name.as_str().starts_with(known))) {
        return Ok(false);
    }
    goes_to(&repository, &tracking, to)
}

/// Whether a push goes to a remote, by its name or by where it is.
pub(super) fn goes_to(repository: &Repository, tracking: &Tracking, to: &[&str]) -> Result<bool, HookError> {
    let places = places(repository, tracking.remote())?;
    Ok(to.iter().any(|to| *to == tracking.remote() || is_at(&places, to)))
}

/// Where a remote is, as it is configured.
fn places(repository: &Repository, remote: &str) -> Result<Vec<String>, GitError> {
    let key = |key| format!("remote.{remote}.{key}");
    Ok([repository.config_all(&key("url"))?, repository.config_all(&key("pushurl"))?].concat())
}

/// Whether a place is one of some.
fn is_at(places: &[String], place: &str) -> bool {
    places.iter().any(|url| is_same(url, place))
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
