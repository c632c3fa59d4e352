//! Why a run came to no verdict.

use super::rollback::RolledBack;
use crate::approval::NotApproved;
use crate::config::ConfigError;
use crate::config::deploy_toml::Frozen;
use crate::deployment::{Blame, Failure, Phase};
use crate::environment::NotTaken;
use crate::git::GitError;
use crate::git::notes::NotesError;
use crate::git::work_tree::Busy;
use crate::hold::QueueHold;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, IdError, RefName};
use crate::ledger::Skip;
use crate::ops::Interrupted;
use crate::ops::approve::ApproveError;
use crate::ops::promote::PromoteError;
use crate::ops::sync::SyncError;
use crate::ops::view::ViewError;
use crate::rebase::RebaseError;
use crate::record::RecordError;
use crate::revert::TakenBack;
use crate::state::State;

/// Why a run came to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Another run works in this repository.
    #[error("another 'git deploy' works in this repository (process {0})")]
    AnotherRun(String),
    /// Another runner deploys, or tidies up.
    #[error("{by} on '{host}' {}", .deployment.as_ref().map_or_else(|| "is at work there just now".to_owned(), |id| format!("deploys just now ({id})")))]
    Locked {
        /// Who.
        by: String,
        /// Where.
        host: String,
        /// What.
        deployment: Option<DeploymentId>,
    },
    /// The lock was taken over by somebody else while we worked.
    #[error("the lock of {0} was taken over by somebody else: nothing more was changed")]
    LostLock(DeploymentId),
    /// The named branch is not deployable.
    #[error("cannot deploy '{}': it is {state}, not deployable", .branch.short())]
    NotDeployable {
        /// The branch.
        branch: RefName,
        /// The state that it is in.
        state: State,
    },
    /// The named branch does not rebase.
    #[error("cannot deploy '{}': it cannot be rebased cleanly on '{}' and is broken now", .branch.short(), .base.short())]
    Broken {
        /// The branch.
        branch: RefName,
        /// Base.
        base: RefName,
        /// The paths that conflict, quoted.
        paths: Vec<String>,
    },
    /// The named branch cannot be taken.
    #[error("cannot deploy '{}': {why}", .branch.short())]
    NotTaken {
        /// The branch.
        branch: RefName,
        /// Why.
        why: String,
    },
    /// Base has had all of the named branch, and no rebase brings that again.
    #[error("cannot deploy '{}': '{}' has had all of it, and has taken {} back with {}", .branch.short(), .taken.base.short(), .taken.much(), .taken.reverts())]
    TakenBack {
        /// The branch.
        branch: RefName,
        /// What base has done with it.
        taken: Box<TakenBack>,
    },
    /// Nobody who may has approved the branch.
    #[error("cannot deploy '{}': {why}", .branch.short())]
    NotApproved {
        /// The branch.
        branch: RefName,
        /// Why it is not approved.
        why: NotApproved,
    },
    /// A deployment that another run began, of what nobody who may has approved.
    #[error("{id} goes no further: {why}")]
    AttemptNotApproved {
        /// The number.
        id: DeploymentId,
        /// Why it is not approved.
        why: String,
    },
    /// A deployment that another run began, which went past what comes before: that is its own word, and nobody else's.
    #[error(
        "{id} goes no further: it has skipped {} (\"{}\"), and whoever takes it over has not said so", .skip.what.join(", "), .skip.reason
    )]
    SkipNotGiven {
        /// The number.
        id: DeploymentId,
        /// What it says to have skipped.
        skip: Box<Skip>,
    },
    /// A deployment that another run began, which goes back: that is its own word, and nobody else's.
    #[error("{id} goes no further: it goes back to {to}, and whoever takes it over has not said so")]
    BackNotGiven {
        /// The number.
        id: DeploymentId,
        /// The deployment that it goes back to.
        to: DeploymentId,
    },
    /// A shallow clone does not have what has to be looked at.
    #[error("the history of '{of}' is cut off in this clone: cannot tell {what}")]
    CutOff {
        /// The ref.
        of: RefName,
        /// What cannot be told.
        what: String,
        /// Where the rest of it is.
        remote: Option<String>,
    },
    /// There is no such branch or commit.
    #[error("'{0}' is neither a branch nor a commit")]
    NoTarget(String),
    /// A commit that was approved, and is not what would be deployed.
    #[error("cannot deploy commit '{}': it has to be rebased first", .commit.short(10))]
    NotRebased {
        /// The commit.
        commit: CommitId,
        /// The branch that it is the tip of.
        branch: RefName,
    },
    /// A commit that nobody approved.
    #[error("cannot deploy commit '{0}': it is neither on base nor the tip of a deployable branch")]
    CommitNotApproved(CommitId),
    /// An environment whose rendered manifests would be committed to base.
    #[error("environment '{environment}' cannot be rendered to '{}': that is the base that branches land on", .base.short())]
    RenderedOnBase {
        /// The environment.
        environment: EnvironmentName,
        /// Base.
        base: RefName,
    },
    /// Somebody else's tag has the name that the deployment's verdict must have.
    #[error("tag '{0}' is there already, and is not of this deployment")]
    TagTaken(DeploymentId),
    /// There is no such environment.
    #[error("there is no environment '{name}' in base's deploy.toml")]
    NoEnvironment {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A commit that is older than what stands there.
    #[error("commit '{}' is older than what was deployed to '{environment}' by {deployment}", .commit.short(10))]
    Older {
        /// The commit.
        commit: CommitId,
        /// Where.
        environment: EnvironmentName,
        /// The deployment that stands there.
        deployment: DeploymentId,
    },
    /// There is nothing to go back to.
    #[error("cannot go back in '{environment}': {why}")]
    NoWayBack {
        /// Where.
        environment: EnvironmentName,
        /// Why.
        why: String,
    },
    /// Somebody holds the queue, and all that would land from it.
    #[error("the queue is held by {}: {}", .0.by, .0.reason)]
    Held(Box<QueueHold>),
    /// Somebody went back, and what was gone back from is still on base.
    #[error(
        "the queue is held: '{}' was rolled back to {} by {}, and base still has what was rolled back", .0.environment, .0.to, .0.by
    )]
    RolledBack(Box<RolledBack>),
    /// A commit that cannot be brought onto base.
    #[error("cannot deploy commit '{}': {why}", .commit.short(10))]
    CommitNotTaken {
        /// The commit.
        commit: CommitId,
        /// Why.
        why: String,
        /// The paths that conflict, quoted.
        paths: Vec<String>,
    },
    /// The candidate does not stand in the environment that comes before.
    #[error(
        "cannot deploy to '{environment}': commit '{commit}' does not stand in '{after}' as its latest success"
    )]
    NotYet {
        /// Where to.
        environment: EnvironmentName,
        /// What has to come before.
        after: EnvironmentName,
        /// The branch.
        branch: Option<RefName>,
        /// The candidate.
        commit: CommitId,
    },
    /// Nobody has approved that the candidate goes on from the environment before.
    #[error("{0}")]
    Unpromoted(Box<Unpromoted>),
    /// Nothing is deployed there for a while.
    #[error("nothing is deployed to '{environment}'{}", in_words(.frozen))]
    Frozen {
        /// Where to.
        environment: EnvironmentName,
        /// The branch that waits for it.
        branch: Option<RefName>,
        /// The candidate.
        commit: CommitId,
        /// Until when, and why.
        frozen: Box<Frozen>,
        /// What was in the way before that, and is skipped.
        skipped: Vec<String>,
    },
    /// Somebody wants to skip what is not in the way.
    #[error("there is no '{name}' to skip before '{environment}'")]
    NothingToSkip {
        /// What was to be skipped.
        name: String,
        /// Where to.
        environment: EnvironmentName,
        /// What can be skipped.
        known: Vec<String>,
    },
    /// There is nothing that could be approved to go on.
    #[error("nothing to approve: {why}")]
    NothingToApprove {
        /// Why.
        why: String,
        /// Whether that is so because of what stands elsewhere.
        is_elsewhere: bool,
    },
    /// This user may not approve that something goes on to an environment.
    #[error("you may not approve it: {why}")]
    MayNotPromote {
        /// Where to.
        environment: EnvironmentName,
        /// What of, if it came from a branch.
        branch: Option<RefName>,
        /// Why the signature does not count.
        why: NotApproved,
    },
    /// An approval could not be written.
    #[error(transparent)]
    Promote(PromoteError),
    /// Base is checked out with changes, and would move.
    #[error("cannot deploy: base '{}' is checked out, and {why}", .base.short())]
    BaseBusy {
        /// Base.
        base: RefName,
        /// What is in the way.
        why: Box<Busy>,
    },
    /// There is nothing to continue or to abort.
    #[error("no deployment is under way")]
    NothingUnderWay,
    /// It ended already.
    #[error("{0} has ended already: see 'git deploy-log'")]
    Ended(DeploymentId),
    /// The verdict is reached, but base, tag and notes could not be moved.
    #[error("{id} is verified, not landed: {why}")]
    NotLanded {
        /// The number.
        id: DeploymentId,
        /// Why.
        why: String,
    },
    /// It cannot be ended any other way than forward.
    #[error("{0} is verified: all that is left is to land it")]
    TooLate(DeploymentId),
    /// The number could not be claimed.
    #[error("cannot claim a number: {0}")]
    NotClaimed(String),
    /// A phase could not be recorded.
    #[error("{id} stays where it is ({phase}): {why}")]
    NotRecorded {
        /// The number.
        id: DeploymentId,
        /// The last phase that was recorded.
        phase: Phase,
        /// Why.
        why: String,
    },
    /// The environment could not be asked, or is no longer held by this run: there is no verdict.
    #[error("{id} stays where it is ({phase}): {failure}")]
    Undecided {
        /// The number.
        id: DeploymentId,
        /// The last phase that was recorded.
        phase: Phase,
        /// Why.
        failure: Failure,
    },
    /// The remote's words to a claim.
    #[error("the remote refuses the claim: {0}")]
    Forbidden(String),
    /// The user asked to stop.
    #[error("interrupted{}", how_far(.id.as_ref(), *.phase))]
    Interrupted {
        /// The signal.
        signal: i32,
        /// What is under way.
        id: Option<DeploymentId>,
        /// How far that is; none where it was being claimed, and the remote did not say whether it took that.
        phase: Option<Phase>,
    },
    /// A plan could not be made for a dry run.
    #[error(transparent)]
    Plan(Failure),
    /// An attempt or a lock that cannot be read.
    #[error("'{name}' cannot be read: {error}")]
    Record {
        /// The ref.
        name: RefName,
        /// Why.
        error: RecordError,
    },
    /// A name could not be formed.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The remote could not be reached, or refused.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Branches could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A branch could not be judged.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl DeployError {
    /// The word for what the whole queue waits for, where that is why nothing was taken from it.
    pub fn waits(&self) -> Option<&'static str> {
        match self {
            Self::Held(_) => Some("hold"),
            Self::RolledBack(_) => Some("rollback"),
            Self::Unpromoted(_) => Some("approval"),
            Self::Frozen { .. } => Some("freeze"),
            Self::AnotherRun(_) | Self::Locked { .. } => Some("deployment"),
            _ => None,
        }
    }

    /// Whose fault it is that there is no verdict, where it is anybody's or may go away by itself.
    pub fn blame(&self) -> Option<Blame> {
        match self {
            Self::NotDeployable { .. }
            | Self::Broken { .. }
            | Self::NotTaken { .. }
            | Self::TakenBack { .. } => Some(Blame::Branch),
            Self::Plan(failure) => Some(failure.blame),
            Self::AnotherRun(_)
            | Self::Locked { .. }
            | Self::LostLock(_)
            | Self::NotLanded { .. }
            | Self::NotClaimed(_)
            | Self::NotRecorded { .. }
            | Self::Undecided { .. }
            | Self::Held(_)
            | Self::Unpromoted(_)
            | Self::Frozen { .. }
            | Self::Promote(_)
            | Self::RolledBack(_)
            | Self::NotApproved { .. }
            | Self::AttemptNotApproved { .. }
            | Self::SkipNotGiven { .. }
            | Self::BackNotGiven { .. }
            | Self::CutOff { .. }
            | Self::RenderedOnBase { .. }
            | Self::TagTaken(_)
            | Self::Forbidden(_)
            | Self::BaseBusy { .. }
            | Self::Record { .. }
            | Self::Sync(_)
            | Self::View(_)
            | Self::Rebase(_)
            | Self::Git(_) => Some(Blame::Nobody),
            Self::CommitNotApproved(_)
            | Self::MayNotPromote { .. }
            | Self::CommitNotTaken { .. }
            | Self::NotRebased { .. }
            | Self::NotYet { .. }
            | Self::NothingToSkip { .. }
            | Self::NothingToApprove { .. }
            | Self::Older { .. }
            | Self::NoWayBack { .. }
            | Self::NothingUnderWay
            | Self::Ended(_)
            | Self::TooLate(_)
            | Self::NoTarget(_)
            | Self::NoEnvironment { .. }
            | Self::Interrupted { .. }
            | Self::Id(_) => None,
        }
    }
}

/// A candidate that waits for somebody to approve that it goes on from one environment to the next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} waits for approval to go to '{environment}' ({deployment}){}", subject(.branch.as_ref(), *.commit), .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub struct Unpromoted {
    /// Where to.
    pub environment: EnvironmentName,
    /// The branch.
    pub branch: Option<RefName>,
    /// The candidate.
    pub commit: CommitId,
    /// The deployment that verified it in the environment before.
    pub deployment: DeploymentId,
    /// Why an approval that there is does not count.
    pub why: Option<String>,
}

/// What somebody wanted to deploy.
fn subject(branch: Option<&RefName>, commit: CommitId) -> String {
    branch.map_or_else(|| format!("commit {}", commit.brief()), |branch| format!("'{}'", branch.short()))
}

/// How far a run came that was interrupted.
fn how_far(id: Option<&DeploymentId>, phase: Option<Phase>) -> String {
    match (id, phase) {
        (None, _) => String::new(),
        (Some(id), Some(phase)) => format!(": {id} is {phase}"),
        (Some(id), None) => {
            format!(": {id} was being claimed, and the remote has not said whether it took the claim")
        }
    }
}

/// Until when nothing is deployed, and why.
pub fn in_words(frozen: &Frozen) -> String {
    let until = match frozen.until {
        Some(until) => format!(" until {until}"),
        None => ", and no end of that is known".to_owned(),
    };
    let why = frozen.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{until}{why}")
}

impl From<PromoteError> for DeployError {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Sync(error) => Self::Sync(error),
            PromoteError::Git(error) => Self::Git(error),
            PromoteError::Id(error) => Self::Id(error),
            error @ PromoteError::Contended => Self::Promote(error),
        }
    }
}

impl From<ConfigError> for DeployError {
    fn from(error: ConfigError) -> Self {
        Self::View(error.into())
    }
}

impl From<ApproveError> for DeployError {
    fn from(error: ApproveError) -> Self {
        Self::View(error.into())
    }
}

impl From<NotesError> for DeployError {
    fn from(error: NotesError) -> Self {
        Self::View(error.into())
    }
}

impl From<Interrupted> for DeployError {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted { signal: interrupted.signal, id: None, phase: None }
    }
}

impl From<NotTaken> for DeployError {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Held(lock) => {
                Self::Locked { by: lock.by, host: lock.host, deployment: lock.deployment }
            }
            NotTaken::Failed(failure) => Self::Plan(failure),
        }
    }
}
