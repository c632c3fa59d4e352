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
    /// In development, too: base has got all of it by other means than a deployment, and nothing is left to deploy.
    Merged {
        /// Base.
        into: RefName,
        /// What its note says.
        noted: State,
    },
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
            Self::Development | Self::Merged { .. } => State::Development,
            Self::Staged => State::Staged,
            Self::Deployable => State::Deployable,
            Self::Deployed { .. } => State::Deployed,
            Self::Broken { .. } => State::Broken,
        }
    }
}

/// Whether base has a branch's tip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBase {
    /// It has not, or nobody has asked because nobody has decided about the branch.
    No,
    /// It has, by other means than a deployment: base's name.
    Merged(RefName),
    /// It has, by this deployment.
    Deployed(DeploymentId),
}

impl Branch {
    /// Puts together what is known of a branch.
    ///
    /// `others_on_tip` says whether other branches have the same tip, in which case a note that names no branch counts
    /// for none. What the note itself claims to be on base is never believed.
    pub fn derive(
        name: RefName,
        tip: CommitId,
        note: Option<Note>,
        others_on_tip: bool,
        on_base: OnBase,
    ) -> Self {
        let note = note.filter(|note| note.speaks_for(&name, !others_on_tip));
        let status = match (on_base, &note) {
            (OnBase::Deployed(deployment), _) => Status::Deployed { deployment },
            (_, None) => Status::Development,
            (on_base, Some(note)) => match (note.state, on_base) {
                (State::Development | State::Deployed, _) => Status::Development,
                (noted, OnBase::Merged(into)) => Status::Merged { into, noted },
                (State::Staged, _) => Status::Staged,
                (State::Deployable, _) => Status::Deployable,
                (State::Broken, _) => Status::Broken { paths: note.conflicts.clone() },
            },
        };
        Self { name, tip, note, status }
    }

    /// Whether a branch with this note leaves its state when base gets it by other means than a deployment. Only of these it
    /// has to be asked: they are kept on base, a few commits beyond it, while what is in development may be thousands away.
    pub(crate) fn would_leave(note: &Note, name: &RefName, others_on_tip: bool) -> bool {
        (note.state.is_rebased() || note.state == State::Broken) && note.speaks_for(name, !others_on_tip)
    }

    /// Why somebody holds it back, although it may be deployable.
    pub fn hold(&self) -> Option<&str> {
        self.note.as_ref()?.hold.as_deref()
    }

    /// The state alone.
    pub fn state(&self) -> State {
        self.status.state()
    }

    /// The same as if base had not got it by other means than a deployment.
    pub fn noted(&self) -> State {
        match self.status {
            Status::Merged { noted, .. } => noted,
            _ => self.state(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(text: Option<&str>, others_on_tip: bool, on_base: OnBase) -> Status {
        let note = text.map(|text| Note::parse(text.as_bytes()).unwrap());
        let tip = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        Branch::derive(RefName::new("refs/heads/a").unwrap(), tip, note, others_on_tip, on_base).status
    }

    #[test]
    fn a_branch_without_a_note_is_in_development() {
        assert_eq!(derive(None, false, OnBase::No), Status::Development);
    }

    #[test]
    fn a_note_that_names_no_branch_counts_only_where_one_branch_is() {
        assert_eq!(derive(Some("state: staged"), false, OnBase::No), Status::Staged);
        assert_eq!(derive(Some("state: staged"), true, OnBase::No), Status::Development);
    }

    #[test]
    fn a_note_that_names_branches_counts_for_these_alone() {
        assert_eq!(derive(Some("state: staged\nref: refs/heads/a"), true, OnBase::No), Status::Staged);
        assert_eq!(derive(Some("state: staged\nref: refs/heads/b"), false, OnBase::No), Status::Development);
    }

    #[test]
    fn deployed_comes_from_base_and_tag_and_never_from_the_note() {
        assert_eq!(derive(Some("state: deployed"), false, OnBase::No), Status::Development);
        assert_eq!(
            derive(None, false, OnBase::Deployed("deployment-0001".parse().unwrap())).state(),
            State::Deployed
        );
    }

    #[test]
    fn what_base_has_got_without_a_deployment_is_in_development_whatever_was_decided() {
        let into = RefName::new("refs/heads/master").unwrap();
        let merged = || OnBase::Merged(into.clone());
        for noted in [State::Staged, State::Deployable, State::Broken] {
            let status = derive(Some(&format!("state: {noted}")), false, merged());
            assert_eq!(
                (status.state(), status),
                (State::Development, Status::Merged { into: into.clone(), noted })
            );
        }
        // Nobody has decided about these: there is nothing to be told.
        for text in [None, Some("state: development"), Some("state: staged\nref: refs/heads/b")] {
            assert_eq!(derive(text, false, merged()), Status::Development);
        }
    }

    #[test]
    fn a_broken_branch_shows_the_paths_that_conflict() {
        let status = derive(Some("state: broken\nconflict: a\nconflict: b"), false, OnBase::No);
        assert_eq!(status, Status::Broken { paths: vec!["a".into(), "b".into()] });
    }
}
