//! From a branch's name, tip and note to the state that it is in.

use crate::ids::{CommitId, DeploymentId, RefName};
use crate::note::Note;
use crate::state::State;

/// A branch and where it stands. `name` is always the name that the branch has where it counts (`refs/heads/login`),
/// also when its tip was read from a remote-tracking ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The full name.
    pub name: RefName,
    /// The commit at its tip.
    pub tip: CommitId,
    /// The note on the tip, if it speaks for this branch.
    pub note: Option<Note>,
    /// What follows from these.
    pub status: Status,
}

/// The state of a branch with the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No note speaks for the branch, or one says so.
    Development,
    /// Kept on base.
    Staged,
    /// In the queue.
    Deployable,
    /// On base, with the tag of its success.
    Deployed {
        /// That deployment.
        deployment: DeploymentId,
    },
    /// Cannot be rebased cleanly.
    Broken {
        /// The paths that conflict, quoted as git quotes them.
        paths: Vec<String>,
    },
}

impl Status {
    /// The state alone.
    pub fn state(&self) -> State {
        match self {
            Self::Development => State::Development,
            Self::Staged => State::Staged,
            Self::Deployable => State::Deployable,
            Self::Deployed { .. } => State::Deployed,
            Self::Broken { .. } => State::Broken,
        }
    }
}

impl Branch {
    /// Puts together what is known of a branch.
    ///
    /// `others_on_tip` says whether other branches have the same tip, in which case a note that names no branch counts
    /// for none. `landed` is the successful deployment of this branch's tip, if that tip is on base: the note's own
    /// claim to be deployed is never believed.
    pub fn derive(
        name: RefName,
        tip: CommitId,
        note: Option<Note>,
        others_on_tip: bool,
        landed: Option<DeploymentId>,
    ) -> Self {
        let note = note.filter(|note| note.speaks_for(&name, !others_on_tip));
        let status = match (landed, &note) {
            (Some(deployment), _) => Status::Deployed { deployment },
            (None, None) => Status::Development,
            (None, Some(note)) => match note.state {
                State::Development | State::Deployed => Status::Development,
                State::Staged => Status::Staged,
                State::Deployable => Status::Deployable,
                State::Broken => Status::Broken { paths: note.conflicts.clone() },
            },
        };
        Self { name, tip, note, status }
    }

    /// Why somebody holds it back, although it may be deployable.
    pub fn hold(&self) -> Option<&str> {
        self.note.as_ref()?.hold.as_deref()
    }

    /// The state alone.
    pub fn state(&self) -> State {
        self.status.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(text: Option<&str>, others_on_tip: bool, landed: bool) -> Status {
        let note = text.map(|text| Note::parse(text.as_bytes()).unwrap());
        let tip = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let landed = landed.then(|| "deployment-0001".parse().unwrap());
        Branch::derive(RefName::new("refs/heads/a").unwrap(), tip, note, others_on_tip, landed).status
    }

    #[test]
    fn a_branch_without_a_note_is_in_development() {
        assert_eq!(derive(None, false, false), Status::Development);
    }

    #[test]
    fn a_note_that_names_no_branch_counts_only_where_one_branch_is() {
        assert_eq!(derive(Some("state: staged"), false, false), Status::Staged);
        assert_eq!(derive(Some("state: staged"), true, false), Status::Development);
    }

    #[test]
    fn a_note_that_names_branches_counts_for_these_alone() {
        assert_eq!(derive(Some("state: staged\nref: refs/heads/a"), true, false), Status::Staged);
        assert_eq!(derive(Some("state: staged\nref: refs/heads/b"), false, false), Status::Development);
    }

    #[test]
    fn deployed_comes_from_base_and_tag_and_never_from_the_note() {
        assert_eq!(derive(Some("state: deployed"), false, false), Status::Development);
        assert_eq!(derive(None, false, true).state(), State::Deployed);
    }

    #[test]
    fn a_broken_branch_shows_the_paths_that_conflict() {
        let status = derive(Some("state: broken\nconflict: a\nconflict: b"), false, false);
        assert_eq!(status, Status::Broken { paths: vec!["a".into(), "b".into()] });
    }
}
