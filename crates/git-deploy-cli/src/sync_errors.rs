//! What errors of sharing states mean, and what to do about them.

use git_deploy_core::git::notes::NOTES_REF;
use git_deploy_core::ops::sync::{Break, Broken, Lost, SyncError};

use crate::advice::{FIND_STATES, reach};
use crate::{CommandError, Exit, shell_word};

/// How a repository that judges pushes gets back what it cannot have seen: a fetch is not judged.
const RESTORE: &str = "whoever runs the server takes them from this clone, or from a bundle of it, in its repository: git fetch \
    <clone> <base>:<base> 'refs/tags/deployment-*:refs/tags/deployment-*' refs/notes/deploy:refs/notes/deploy";

impl From<SyncError> for CommandError {
    fn from(error: SyncError) -> Self {
        let hint = match &error {
            SyncError::Unreachable { remote, why } => Some(reach(remote, why)),
            SyncError::NotRestored { .. } => Some(RESTORE.to_owned()),
            SyncError::NoStates { .. } => Some(FIND_STATES.to_owned()),
            SyncError::Refused { .. }
            | SyncError::Unable { .. }
            | SyncError::Rejected { .. }
            | SyncError::Contended { .. }
            | SyncError::Broken(_)
            | SyncError::Lost(_)
            | SyncError::View(_)
            | SyncError::Notes(_)
            | SyncError::Git(_) => None,
        };
        let error = match error {
            SyncError::Unreachable { .. } | SyncError::Unable { .. } | SyncError::Contended { .. } => {
                Self::new(Exit::TryAgain, error)
            }
            SyncError::Refused { ref refusals, .. } if refusals.lock.is_some() => {
                Self::new(Exit::TryAgain, error)
            }
            SyncError::Refused { .. } | SyncError::Rejected { .. } | SyncError::NotRestored { .. } => {
                Self::new(Exit::No, error)
            }
            SyncError::NoStates { .. } => Self::new(Exit::Fatal, error),
            SyncError::Lost(lost) => {
                let error = Self::fatal(lost.to_string());
                return go_on_without(&lost).into_iter().fold(error, Self::hint);
            }
            SyncError::Broken(broken) => {
                let error = Self::fatal(broken.to_string());
                return go_on_after(&broken).into_iter().fold(error, Self::hint);
            }
            SyncError::View(error) => (*error).into(),
            SyncError::Notes(error) => error.into(),
            SyncError::Git(error) => error.into(),
        };
        hint.into_iter().fold(error, Self::hint)
    }
}

/// What is lost where a remote's states do not continue what was there, and how to go on.
fn go_on_after(broken: &Broken) -> Vec<String> {
    let remote = shell_word(&broken.remote);
    let Some(ours) = broken.ours else {
        let now = broken.now.map(|now| now.to_string()).unwrap_or_default();
        let delete = format!("git push --force-with-lease={NOTES_REF}:{now} {remote} :{NOTES_REF}");
        return vec![format!("there are no states here to put in its place; take it away with: {delete}")];
    };
    let kept = match (&broken.seen, broken.missing) {
        (Some(_), 0) => "nothing is lost: what is there has all that is here".to_owned(),
        (Some(_), missing) => {
            format!("nothing is lost: all that was there is here, {missing} of it only here")
        }
        (None, missing) => {
            let here = if missing == 1 {
                "here is 1 state".to_owned()
            } else {
                format!("here are {missing} states")
            };
            format!("what is there cannot be read, so nobody knows what it had: {here}")
        }
    };
    let restore = format!("publish it again, with what is there now: git deploy-sync --restore {remote}");
    let give_up = match (&broken.what, broken.now) {
        (Break::SetBack | Break::Replaced | Break::RewrittenHere, Some(now)) => {
            format!("give up what is here for what is there: git update-ref {NOTES_REF} {now} {ours}")
        }
        _ => format!("give up what is here, too: git update-ref -d {NOTES_REF} {ours}"),
    };
    let (first, other) = match broken.what {
        Break::RewrittenHere => (give_up, restore),
        _ => (restore, give_up),
    };
    vec![kept, first, format!("or {other}")]
}

/// How states are published again whose history names what is lost: as they are, without what led there.
fn go_on_without(lost: &Lost) -> Vec<String> {
    let take =
        lost.noted.map(|commit| format!("take the note away with: git notes --ref=deploy remove {commit}"));
    let upon = lost.theirs.map(|theirs| format!(" -p {theirs}")).unwrap_or_default();
    let then = if take.is_some() { "then leave" } else { "leave" };
    let leave = format!(
        "{then} out the history that leads there: git update-ref {NOTES_REF} $(git commit-tree{upon} -m 'Leave out what is lost' \
         '{NOTES_REF}^{{tree}}') && git deploy-sync"
    );
    take.into_iter().chain([leave]).collect()
}
