//! Why a push is refused, in words; what to do about it is said by whoever prints them.

use crate::deployment::Phase;
use crate::git::notes::NOTES_REF;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};

/// What refusals of a verdict say, and no others.
const OF_VERDICTS: [&str; 3] = [
    "would lose or change its verdict",
    "says how it landed, and that is never changed",
    "and no deployment says so",
];

/// Whether a server with our hook has refused notes for a verdict that they say, or lack, by all that it said to a push.
pub fn is_of_verdict(said: &str) -> bool {
    let of_notes = format!("cannot take '{NOTES_REF}': ");
    let words = said.lines().filter_map(|line| line.split_once(&of_notes));
    words.into_iter().any(|(_, why)| OF_VERDICTS.iter().any(|words| why.trim_end().ends_with(words)))
}

/// One ref that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot take '{name}': {reason}")]
pub struct Refusal {
    /// The ref, as it was pushed.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

impl Refusal {
    /// A ref that is refused for this reason.
    pub fn new(name: impl AsRef<str>, reason: Reason) -> Self {
        Self { name: name.as_ref().to_owned(), reason }
    }
}

/// Why a ref is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Somebody was faster.
    #[error("it does not stand where this push takes it to stand")]
    Stale,
    /// A name that would be in the way of ours.
    #[error("git-deploy has no ref of this name, and keeps such names free")]
    Odd,
    /// What others read would be something else than was written.
    #[error("it would put one object in the place of another, for everybody")]
    Replacement,
    /// What is there for ever would be deleted.
    #[error("it is never deleted")]
    Deleted,
    /// What is there for ever would be moved.
    #[error("it stands, and is never moved")]
    WriteOnce,
    /// What is pushed cannot be read as what it has to be.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It would go back.
    #[error("it moves only forward, and this push would take something from it")]
    Back,
    /// Base would move without a deployment.
    #[error("base moves only when a deployment lands, and no new tag of this push says that '{}' was deployed", .0.brief())]
    NotLanded(CommitId),
    /// Base is not set up, and stays so.
    #[error("base has no 'deploy.toml' yet, and only the push that brings one may move it")]
    NoDeployToml,
    /// The first `deploy.toml` is wrong.
    #[error("its first 'deploy.toml' cannot be read: {0}")]
    DeployToml(String),
    /// The deployment that base would land by was not claimed.
    #[error("{0} was never claimed here")]
    NotClaimed(DeploymentId),
    /// Its number is too far from those that are known.
    #[error("numbers are counted, and the highest before it is {0}")]
    Ahead(u64),
    /// It goes nowhere.
    #[error("the 'deploy.toml' on base has no environment '{0}'")]
    NoEnvironment(EnvironmentName),
    /// Its environment counts under another name.
    #[error("in its environment it would be {0}")]
    OtherName(DeploymentId),
    /// It would have succeeded without anybody having seen its claim.
    #[error("{0} was not claimed here before it succeeded")]
    Unseen(DeploymentId),
    /// A ledger comes before base.
    #[error("base is not there yet, and comes first")]
    NoBase,
    /// A ledger comes to another base than its own.
    #[error("it says that '{}' has landed, and base does not have that commit", .0.brief())]
    LandedElsewhere(CommitId),
    /// It was claimed for something else.
    #[error("{id} was claimed for {what}")]
    OtherClaim {
        /// The deployment.
        id: DeploymentId,
        /// What it was claimed for.
        what: String,
    },
    /// It has not come so far.
    #[error("{id} was {phase} before this push, and has to be verified")]
    NotVerified {
        /// The deployment.
        id: DeploymentId,
        /// How far it had come.
        phase: Phase,
    },
    /// It is one of an environment from which nothing lands.
    #[error("{id} is a deployment to '{environment}', and branches land from '{lands}'")]
    OtherEnvironment {
        /// The deployment.
        id: DeploymentId,
        /// Where it went.
        environment: EnvironmentName,
        /// Where it would have to go.
        lands: EnvironmentName,
    },
    /// Nobody approved it.
    #[error("no note of before this push has '{}' deployable for '{}'", .commit.brief(), .branch.short())]
    NotApproved {
        /// The commit.
        commit: CommitId,
        /// The branch.
        branch: RefName,
    },
    /// What is claimed is not to be deployed.
    #[error("no note has '{}' deployable for '{}'", .commit.brief(), .branch.short())]
    NotDeployable {
        /// The commit.
        commit: CommitId,
        /// The branch.
        branch: RefName,
    },
    /// Nobody who may has signed its approval.
    #[error("'{}' is not approved: {why}", .commit.brief())]
    Unsigned {
        /// The commit.
        commit: CommitId,
        /// Why it is not.
        why: String,
    },
    /// Somebody who may not asks for a hotfix.
    #[error("'{0}' may push no hotfix here")]
    NotListed(String),
    /// The server does not know who pushes.
    #[error("this server does not know who pushes, and nobody unknown may push a hotfix")]
    Unknown,
    /// A trace of a hotfix that is none.
    #[error("it comes only together with the move of base to the commit that it stands on")]
    NoHotfix,
    /// A verdict is not the one that the claim has.
    #[error("it is not the verdict that the claim of {0} has")]
    NotTheVerdict(DeploymentId),
    /// A claim has a verdict.
    #[error("{0} has its verdict, and nothing changes it")]
    Finished(DeploymentId),
    /// A claim would become one for something else.
    #[error("a claim keeps its {0}")]
    Claim(&'static str),
    /// A claim begins in the middle.
    #[error("a new claim is no more than that, and this one is {0} already")]
    Begun(Phase),
    /// A claim leaves out what comes before a verdict.
    #[error("{0} was not being applied before this push, and cannot be verified by it")]
    Leap(DeploymentId),
    /// A claim for a commit that nobody approved.
    #[error("'{}' is on no branch, not on base, and no deployment that succeeded", .0.brief())]
    NotOnBase(CommitId),
    /// A deployment goes on its way without an approval.
    #[error("the note of '{}' does not say that it is on its way", .0.brief())]
    NotOnItsWay(CommitId),
    /// A claim is finished without a tag.
    #[error("its tag does not come with it")]
    NoTag,
    /// A lock, or what was applied, moves by itself.
    #[error("it moves only together with the claim that it belongs to")]
    Alone,
    /// What no deployment has applied comes to the branch of an environment.
    #[error("no deployment to its environment that succeeded has applied this")]
    NotApplied,
    /// A branch could not be deployed any more.
    #[error("a branch that is deployable was approved with this commit")]
    Needed,
    /// A lock would be in the way for too long.
    #[error("it may stay unchanged for {0} seconds, and nobody waits so long for a lock")]
    Ttl(u64),
    /// The notes cannot be read.
    #[error("the notes cannot be read: {0}")]
    Notes(String),
    /// A note cannot be read.
    #[error("the note on commit '{}' is malformed: {why}", .commit.brief())]
    Note {
        /// The commit.
        commit: CommitId,
        /// What is wrong.
        why: String,
    },
    /// A note would lose its verdict.
    #[error("the note on commit '{}' {}", .0.brief(), OF_VERDICTS[0])]
    Verdict(CommitId),
    /// A note of what has landed would change.
    #[error("the note on commit '{}' {}", .0.brief(), OF_VERDICTS[1])]
    Landed(CommitId),
    /// A note says what did not happen.
    #[error("the note on commit '{}' says '{what}', {}", .commit.brief(), OF_VERDICTS[2])]
    Unfounded {
        /// The commit.
        commit: CommitId,
        /// What it says.
        what: String,
    },
}
