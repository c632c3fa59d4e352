//! Why a wait ended without everything being ready, in words.

use std::time::Duration;

use git_deploy_core::deployment::Blame;
use git_deploy_manifest::ObjectId;

use crate::api_error::ApiError;
use crate::unblock::BlockingPod;

/// Why the wait ended without everything being ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// An object will not become ready.
    #[error("{object} failed: {reason}")]
    Failed {
        /// Which.
        object: ObjectId,
        /// The first cause.
        reason: String,
        /// Whose fault it is.
        blame: Blame,
        /// What a person can do about it.
        hint: Option<&'static str>,
        /// What the cluster says about it, in lines.
        evidence: Vec<String>,
    },
    /// It took too long.
    #[error("{} not ready after {} s{}", those(waiting), timeout.as_secs(), cause_of(cause.as_ref()))]
    TimedOut {
        /// How long was waited.
        timeout: Duration,
        /// What was not ready, and what was missing.
        waiting: Vec<(ObjectId, String)>,
        /// The first cause that could be seen.
        cause: Option<String>,
        /// The release's where its containers run and do not become ready; otherwise nobody's.
        blame: Blame,
        /// What a person can do about it.
        hint: Option<&'static str>,
        /// What the cluster says about it, in lines.
        evidence: Vec<String>,
    },
    /// Pods of an earlier revision keep a StatefulSet from going on: [`unblock`](crate::unblock::unblock) deletes them, and then the
    /// wait begins again.
    #[error(
        "{object} is held up by pod '{}' of an earlier revision, which does not become ready",
        pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>().join("', '")
    )]
    Blocked {
        /// The StatefulSet.
        object: ObjectId,
        /// What has to go.
        pods: Vec<BlockingPod>,
    },
    /// The API server did not answer any more.
    #[error("the API server has not answered for {} s, while waiting for {what}{}", silence.as_secs(), cause_of(why.as_ref()))]
    Unreachable {
        /// What was asked for.
        what: String,
        /// For how long it has been silent.
        silence: Duration,
        /// What the way to it said.
        why: Option<ApiError>,
    },
    /// The API server answered so seldom that nobody could see whether all was ready in time.
    #[error("the API server has not answered for {} s in all, while waiting for what was applied", silence.as_secs())]
    Unseen {
        /// For how long it was silent.
        silence: Duration,
    },
    /// The API server answers, but not with what was asked for.
    #[error("{what} could not be read for {} s{}", time.as_secs(), cause_of(why.as_ref()))]
    Unread {
        /// What was asked for.
        what: String,
        /// For how long.
        time: Duration,
        /// What was answered last.
        why: Option<ApiError>,
    },
    /// What was applied may not be watched.
    #[error("cannot watch {what}: {why}")]
    Denied {
        /// What may not be read.
        what: String,
        /// The API server's reason.
        why: ApiError,
        /// Whether it had been silent before: one that comes back refuses everybody before it knows who may do what.
        was_silent: bool,
    },
}

impl NotReady {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Failed { blame, .. } | Self::TimedOut { blame, .. } => *blame,
            Self::Blocked { .. }
            | Self::Unreachable { .. }
            | Self::Unseen { .. }
            | Self::Unread { .. }
            | Self::Denied { .. } => Blame::Nobody,
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Failed { hint, .. } | Self::TimedOut { hint, .. } => *hint,
            Self::Denied { why, .. } => why.hint(),
            Self::Blocked { .. } | Self::Unreachable { .. } | Self::Unseen { .. } | Self::Unread { .. } => {
                None
            }
        }
    }

    /// What the cluster says about it, in lines.
    pub fn evidence(&self) -> &[String] {
        match self {
            Self::Failed { evidence, .. } | Self::TimedOut { evidence, .. } => evidence,
            Self::Blocked { .. }
            | Self::Unreachable { .. }
            | Self::Unseen { .. }
            | Self::Unread { .. }
            | Self::Denied { .. } => &[],
        }
    }
}

fn those(waiting: &[(ObjectId, String)]) -> String {
    match waiting {
        [] => "nothing is".to_owned(),
        [(object, what)] => format!("{object} ({what}) is"),
        [(object, what), others @ ..] => format!("{object} ({what}) and {} more are", others.len()),
    }
}

fn cause_of(cause: Option<&impl std::fmt::Display>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}
