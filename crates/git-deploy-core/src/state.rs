//! The five states of a branch, and who may move it from which to which.

use std::fmt;
use std::str::FromStr;

/// The state of a branch. Every branch is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not queued; its developer rebases it. What a branch without a note is in.
    Development,
    /// Not queued, but continually rebased on base.
    Staged,
    /// Queued for deployment, and continually rebased on base.
    Deployable,
    /// On base, with the tag of its success; never to be touched again.
    Deployed,
    /// Cannot be rebased cleanly on base.
    Broken,
}

impl State {
    /// All of them, in the order in which a branch goes through them.
    pub const ALL: [Self; 5] =
        [Self::Development, Self::Staged, Self::Deployable, Self::Deployed, Self::Broken];

    /// The word for it, as it stands in a note.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staged => "staged",
            Self::Deployable => "deployable",
            Self::Deployed => "deployed",
            Self::Broken => "broken",
        }
    }

    /// Whether a branch in this state is continually rebased on base.
    pub fn is_rebased(self) -> bool {
        matches!(self, Self::Staged | Self::Deployable)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a state: it must be development, staged, deployable, deployed or broken")]
pub struct UnknownState(pub String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

/// A state that somebody decides on. The other two are found out: `broken` by the rebase, `deployed` by landing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Deployable, the least careful one, comes first: of two decisions that did not see each other the larger holds.
    Deployable,
    /// Kept on base, but not queued.
    Staged,
    /// Left to its developer.
    Development,
}

impl From<Decision> for State {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Deployable => Self::Deployable,
            Decision::Staged => Self::Staged,
            Decision::Development => Self::Development,
        }
    }
}

impl State {
    /// The decision that this state is, if it is one.
    pub fn decision(self) -> Option<Decision> {
        match self {
            Self::Deployable => Some(Decision::Deployable),
            Self::Staged => Some(Decision::Staged),
            Self::Development => Some(Decision::Development),
            Self::Deployed | Self::Broken => None,
        }
    }
}

/// What has to be seen to before a user's move is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing changes.
    Already,
    /// Nothing to be checked.
    Free,
    /// Only if the branch has commits beyond base and can be rebased cleanly.
    IfRebases,
}

/// Why a user may not make a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing leaves deployed.
    #[error("it is deployed, and nothing leaves that state")]
    Deployed,
    /// The runner alone sets `deployed`.
    #[error("only a deployment that succeeds makes a branch deployed")]
    OnlyTheRunner,
    /// The rebase alone sets `broken`.
    #[error("only a rebase that conflicts makes a branch broken")]
    OnlyTheRebase,
}

/// What a user's move from one state to another takes.
///
/// # Errors
/// When no user may make it.
pub fn user_move(from: State, to: State) -> Result<Move, Refused> {
    match (from, to) {
        (State::Deployed, State::Deployed) | (State::Broken, State::Broken) => Ok(Move::Already),
        (State::Deployed, _) => Err(Refused::Deployed),
        (_, State::Deployed) => Err(Refused::OnlyTheRunner),
        (_, State::Broken) => Err(Refused::OnlyTheRebase),
        (_, State::Development) if from == to => Ok(Move::Already),
        (_, State::Development) => Ok(Move::Free),
        (_, State::Staged | State::Deployable) if from == to => Ok(Move::Already),
        (_, State::Staged | State::Deployable) => Ok(Move::IfRebases),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Broken, Deployable, Deployed, Development, Staged};

    #[test]
    fn a_user_moves_freely_among_development_staged_and_deployable() {
        for from in [Development, Staged, Deployable, Broken] {
            for to in [Staged, Deployable] {
                let wanted = if from == to { Move::Already } else { Move::IfRebases };
                assert_eq!(user_move(from, to), Ok(wanted), "{from} to {to}");
            }
        }
        for from in [Staged, Deployable, Broken] {
            assert_eq!(user_move(from, Development), Ok(Move::Free));
        }
    }

    #[test]
    fn nothing_leaves_deployed_and_no_user_sets_what_is_found_out() {
        for to in [Development, Staged, Deployable, Broken] {
            assert_eq!(user_move(Deployed, to), Err(Refused::Deployed));
        }
        for from in [Development, Staged, Deployable] {
            assert_eq!(user_move(from, Deployed), Err(Refused::OnlyTheRunner));
            assert_eq!(user_move(from, Broken), Err(Refused::OnlyTheRebase));
        }
    }

    #[test]
    fn of_two_decisions_the_more_careful_one_is_the_larger() {
        assert!(Decision::Development > Decision::Staged && Decision::Staged > Decision::Deployable);
    }
}
