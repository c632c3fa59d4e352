//! The phases of one deployment: which step comes next, whatever happened.
//!
//! The phase that is reached stands in the attempt, so that a run that follows a crash knows where to go on. Every step
//! can be done again.

use std::fmt;
use std::str::FromStr;

use git_deploy_image::without_credentials;

use crate::ledger::Outcome;

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The number is claimed; nothing has changed yet.
    Claimed,
    /// The environment is being changed or has been.
    Applying,
    /// The environment is as it should be; what is left is to land.
    Verified,
    /// The verdict stands in the ledger.
    Finished,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Claimed, Self::Applying, Self::Verified, Self::Finished];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Applying => "applying",
            Self::Verified => "verified",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word).ok_or(())
    }
}

/// Whose fault a failure is, which decides what becomes of the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The branch's: it becomes staged, and the queue goes on without it.
    Branch,
    /// Nobody's: it stays deployable, and the queue waits. In doubt it is this.
    Nobody,
}

impl Blame {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Nobody => "nobody",
        }
    }

    /// What a word stands for. A newer version may know others; in doubt it is nobody's.
    pub fn parse(word: &str) -> Self {
        if word == Self::Branch.as_str() { Self::Branch } else { Self::Nobody }
    }
}

/// The step at which something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reading the candidate's configuration and files.
    Read,
    /// Making what the objects need: images.
    Build,
    /// Making objects of the manifests.
    Render,
    /// The rules about objects.
    Lint,
    /// Comparing with what stands there.
    Plan,
    /// Changing the environment.
    Apply,
    /// Waiting until it is as it should be.
    Verify,
    /// Moving base, notes and tag.
    Land,
}

impl Step {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Build => "build",
            Self::Render => "render",
            Self::Lint => "lint",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Land => "land",
        }
    }
}

/// Why a deployment did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", step.as_str())]
pub struct Failure {
    /// Where.
    pub step: Step,
    /// Whose fault.
    pub blame: Blame,
    /// The first cause, in one sentence.
    pub reason: String,
    /// Whether it only did not succeed in time.
    pub timed_out: bool,
    /// Whether trying again is of no use before a person has changed something where this runs, or has decided.
    pub fatal: bool,
    /// Whether it decides nothing: the environment could not be asked, or is no longer held by this run. Whoever takes the
    /// deployment up again goes on.
    pub undecided: bool,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that somebody is to blame for, or nobody.
    pub fn new(step: Step, blame: Blame, reason: impl Into<String>) -> Self {
        let reason = short(&reason.into());
        Self { step, blame, reason, timed_out: false, fatal: false, undecided: false, hint: None }
    }

    /// The same, because it did not succeed in time.
    #[must_use]
    pub fn timed_out(self) -> Self {
        Self { timed_out: true, ..self }
    }

    /// The same, and trying again is of no use.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self { fatal: true, ..self }
    }

    /// The same, and it decides nothing.
    #[must_use]
    pub fn undecided(self) -> Self {
        Self { undecided: true, ..self }
    }

    /// The same, and it decides after all: the environment answers, and it goes wrong again and again.
    #[must_use]
    pub fn decided(self) -> Self {
        Self { undecided: false, ..self }
    }

    /// The same, with what a person can do about it.
    #[must_use]
    pub fn hint(self, hint: Option<impl Into<String>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }

    /// A failure that the branch is to blame for.
    pub fn of_branch(step: Step, reason: impl Into<String>) -> Self {
        Self::new(step, Blame::Branch, reason)
    }

    /// A failure that nobody is to blame for.
    pub fn of_nobody(step: Step, reason: impl Into<String>) -> Self {
        Self::new(step, Blame::Nobody, reason)
    }
}

/// The longest reason, in characters: it stands in notes and tags, which must stay readable.
const MAX_REASON: usize = 2000;

/// A reason as it may be kept and pushed, in one line: others, such as webhooks, say theirs in many, or say nothing, and
/// programs say with which password they tried.
fn short(reason: &str) -> String {
    let reason = without_credentials(reason);
    let lines: Vec<&str> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let reason = if lines.is_empty() { "nothing says why".to_owned() } else { lines.join(" ") };
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{} ...", &reason[..end]),
        None => reason,
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A run took the deployment up, at the phase that it had reached.
    TakenUp(Phase),
    /// The environment was changed.
    Applied,
    /// The environment is as it should be.
    Verified,
    /// Base, notes and tag stand.
    Landed,
    /// Base is no longer where the candidate stands on. `rebases` says whether it could stand on what base is now.
    BaseMoved {
        /// Whether it could be deployed at once under the next number.
        rebases: bool,
    },
    /// A run that died while it went back had found this verdict.
    FoundBefore(Close),
    /// The candidate is no longer approved.
    Withdrawn(String),
    /// A person asked to end it.
    AbortAsked,
    /// A person asked to go back while it was open. An environment that cannot be asked cannot go back: then it stays open.
    BackAsked,
    /// A step failed.
    Failed(Failure),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Change the environment.
    Apply,
    /// Wait until it is as it should be.
    Verify,
    /// Move base, notes and tag.
    Land,
    /// Go back to what stood there before if anything was changed, then write the verdict.
    Close(Close),
    /// Leave it in its phase, without a verdict, until the environment can be asked again.
    Leave(Failure),
    /// Nothing.
    Done,
}

/// A verdict other than success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// How it ended.
    pub outcome: Outcome,
    /// Whose fault it is.
    pub blame: Blame,
    /// Why.
    pub reason: String,
    /// What is left in the environment, where that could not go back.
    pub left: Option<String>,
    /// Whether the environment was changed and has to go back.
    pub restore: bool,
    /// Whether the branch is to be rebased and deployed at once under the next number.
    pub again: bool,
    /// Whether it only did not succeed in time.
    pub timed_out: bool,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// The step that follows from what happened in a phase.
pub fn next(phase: Phase, event: Event) -> Action {
    let close = |outcome, blame, reason, again: bool| {
        // Forward under the next number without going back first: the next apply changes the same objects.
        let restore = phase > Phase::Claimed && !again;
        Action::Close(Close {
            outcome,
            blame,
            reason,
            left: None,
            restore,
            again,
            timed_out: false,
            hint: None,
        })
    };
    match event {
        Event::TakenUp(Phase::Claimed | Phase::Applying) => Action::Apply,
        Event::TakenUp(Phase::Verified) | Event::Verified => Action::Land,
        Event::TakenUp(Phase::Finished) | Event::Landed => Action::Done,
        Event::Applied => Action::Verify,
        Event::BaseMoved { rebases } => {
            match close(Outcome::Failure, Blame::Nobody, "base moved".to_owned(), true) {
                // What does not rebase has no next number: it stands there no longer than it is known.
                Action::Close(close) if !rebases => Action::Close(Close { restore: true, ..close }),
                action => action,
            }
        }
        Event::FoundBefore(found) => Action::Close(found),
        // From the first apply on a withdrawal comes too late.
        Event::Withdrawn(_) if phase > Phase::Claimed => next(phase, Event::TakenUp(phase)),
        Event::Withdrawn(reason) => close(Outcome::Aborted, Blame::Nobody, reason, false),
        Event::AbortAsked | Event::BackAsked => {
            close(Outcome::Aborted, Blame::Branch, "aborted".to_owned(), false)
        }
        Event::Failed(failure) if failure.undecided => Action::Leave(failure),
        Event::Failed(failure) => match close(Outcome::Failure, failure.blame, failure.to_string(), false) {
            Action::Close(close) => {
                Action::Close(Close { timed_out: failure.timed_out, hint: failure.hint, ..close })
            }
            action => action,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_applies_verifies_and_lands() {
        assert_eq!(next(Phase::Claimed, Event::TakenUp(Phase::Claimed)), Action::Apply);
        assert_eq!(next(Phase::Applying, Event::Applied), Action::Verify);
        assert_eq!(next(Phase::Applying, Event::Verified), Action::Land);
        assert_eq!(next(Phase::Verified, Event::Landed), Action::Done);
    }

    #[test]
    fn a_run_after_a_crash_goes_on_where_the_other_stopped() {
        assert_eq!(next(Phase::Applying, Event::TakenUp(Phase::Applying)), Action::Apply);
        assert_eq!(next(Phase::Verified, Event::TakenUp(Phase::Verified)), Action::Land);
        assert_eq!(next(Phase::Finished, Event::TakenUp(Phase::Finished)), Action::Done);
    }

    #[test]
    fn a_reason_is_one_line_and_there_is_one() {
        let reason = |text: &str| Failure::of_nobody(Step::Apply, text).to_string();
        assert_eq!(reason("\n"), "apply: nothing says why");
        assert_eq!(reason("no db://ada:s3cret@shop\n"), "apply: no db://...@shop");
        assert_eq!(reason("denied:\n\n  no owner\n  no cost\n"), "apply: denied: no owner no cost");
    }

    #[test]
    fn a_blame_that_is_not_known_is_nobodys() {
        for blame in [Blame::Branch, Blame::Nobody] {
            assert_eq!(Blame::parse(blame.as_str()), blame);
        }
        assert_eq!(Blame::parse("weather"), Blame::Nobody);
    }

    #[test]
    fn a_withdrawal_counts_only_before_the_first_change() {
        let withdrawn = || Event::Withdrawn("withdrawn".to_owned());
        assert!(matches!(
            next(Phase::Claimed, withdrawn()),
            Action::Close(Close { outcome: Outcome::Aborted, .. })
        ));
        assert_eq!(next(Phase::Verified, withdrawn()), Action::Land);
    }

    #[test]
    fn an_environment_that_cannot_be_asked_gives_no_verdict_in_any_phase() {
        let silent = || Failure::of_nobody(Step::Verify, "no answer").undecided();
        for phase in Phase::ALL {
            assert_eq!(next(phase, Event::Failed(silent())), Action::Leave(silent()));
            assert!(matches!(next(phase, Event::Failed(silent().decided())), Action::Close(_)));
        }
    }

    #[test]
    fn what_was_changed_goes_back_unless_the_next_number_follows_at_once() {
        let failed = || Event::Failed(Failure::of_branch(Step::Lint, "x"));
        let restore = |action| matches!(action, Action::Close(Close { restore: true, .. }));
        assert!(!restore(next(Phase::Claimed, failed())));
        assert!(restore(next(Phase::Applying, failed())));
        assert!(!restore(next(Phase::Verified, Event::BaseMoved { rebases: true })));
        assert!(restore(next(Phase::Verified, Event::BaseMoved { rebases: false })));
    }
}
