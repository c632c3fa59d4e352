//! Why the parent of a set cannot be used.

use git_deploy_core::deployment::Blame;
use git_deploy_core::ids::DeploymentId;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::lease::Fence;

/// Why the parent of a set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A ConfigMap of that name is there and is no parent of a set.
    #[error("ConfigMap '{parent}' is in the way: it is there and is not the parent of this set")]
    NotAParent {
        /// Namespace and name.
        parent: String,
    },
    /// Another tool works with this set.
    #[error("ConfigMap '{parent}' belongs to another tool, '{}'", .tool.escape_debug())]
    OtherTool {
        /// Namespace and name.
        parent: String,
        /// The tool.
        tool: String,
    },
    /// Another repository, project or environment deploys with a set of this name.
    #[error("ConfigMap '{parent}' belongs to another {what}: '{}', not '{ours}'", .theirs.escape_debug())]
    OtherOwner {
        /// Namespace and name.
        parent: String,
        /// Repository, project or environment.
        what: &'static str,
        /// Whose it is.
        theirs: String,
        /// Who we are.
        ours: String,
    },
    /// The cluster knows a deployment that the repository does not.
    #[error("ConfigMap '{parent}' speaks of {deployment}, which this repository does not know")]
    UnknownDeployment {
        /// Namespace and name.
        parent: String,
        /// The deployment.
        deployment: DeploymentId,
    },
    /// What the parent says cannot be read.
    #[error("cannot read ConfigMap '{parent}': '{}' is no value for '{key}'", .value.escape_debug())]
    Unreadable {
        /// Namespace and name.
        parent: String,
        /// The annotation.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Somebody has taken the environment over from this run.
    #[error("cannot go on with ConfigMap '{parent}': another run has taken over")]
    TakenOver {
        /// Namespace and name.
        parent: String,
        /// That run.
        by: Fence,
    },
    /// The parent that was there is not there any more, or is another.
    #[error("ConfigMap '{parent}' was deleted while it was in use")]
    Gone {
        /// Namespace and name.
        parent: String,
    },
    /// Others write to it all the time.
    #[error("cannot write ConfigMap '{parent}': it keeps changing")]
    Busy {
        /// Namespace and name.
        parent: String,
    },
    /// The environment's namespace is being deleted.
    #[error("cannot use Namespace '{namespace}': it is being deleted")]
    Terminating {
        /// The namespace.
        namespace: String,
    },
    /// The cluster did not do what was asked for.
    #[error("cannot {doing} {object}: {error}")]
    Api {
        /// What was to be done.
        doing: &'static str,
        /// Kind and name.
        object: String,
        /// The answer.
        error: ApiError,
    },
}

impl SetError {
    /// Whose fault it is: never the branch's, which cannot choose its environment.
    pub fn blame(&self) -> Blame {
        Blame::Nobody
    }

    /// Whether it says nothing of what is deployed: the cluster could not be asked, or who has it now is to say.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Self::TakenOver { .. } => true,
            Self::Api { error, .. } => error.is_undecided(),
            _ => false,
        }
    }

    /// Whether the same can succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Api { error, .. } if error.is_passing() || *error.kind() == ApiErrorKind::TimedOut)
    }

    /// What a person can do about it, in the cluster of that context.
    pub fn hint(&self, context: &str) -> Option<String> {
        const ELSEWHERE: &str =
            "choose another 'project-namespace', environment or 'kube-namespace', or another cluster";
        match self {
            Self::NotAParent { .. } => Some("rename or delete that ConfigMap".to_owned()),
            // Without its parent a set belongs to nobody: whoever deploys next under that name has it.
            Self::OtherOwner { parent, what: "repository", .. } => {
                let (namespace, name) = parent.split_once('/').unwrap_or_default();
                let context = context.replace('\'', "'\\''");
                Some(format!(
                    "{ELSEWHERE}\nif nobody deploys from that repository any more, this one takes over what stands there, and \
                     deletes of it what it does not hold, after: kubectl --context='{context}' --namespace={namespace} \
                     delete configmap {name}"
                ))
            }
            Self::OtherTool { .. } | Self::OtherOwner { .. } => Some(ELSEWHERE.to_owned()),
            Self::UnknownDeployment { .. } => Some(
                "fetch all tags; if they are there, the context leads to another cluster than before"
                    .to_owned(),
            ),
            Self::Unreadable { .. } => Some("a newer git-deploy may have written it".to_owned()),
            Self::Api { error, .. } => error.hint().map(str::to_owned),
            Self::TakenOver { .. } | Self::Gone { .. } | Self::Busy { .. } | Self::Terminating { .. } => None,
        }
    }
}
