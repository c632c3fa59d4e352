//! Why there is no way to the cluster.

use git_deploy_core::deployment::Blame;

use crate::api_error::ApiError;

use super::{CredentialsFault, NoCredentials};

/// Why there is no way to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No kubeconfig was found.
    #[error("cannot find a kubeconfig: {looked}")]
    NoKubeconfig {
        /// Where was looked.
        looked: String,
    },
    /// A kubeconfig that cannot be read.
    #[error("cannot read kubeconfig {files}: {why}")]
    Unreadable {
        /// The files.
        files: String,
        /// Why not.
        why: String,
    },
    /// The kubeconfig has no context of that name.
    #[error("kubeconfig {files} has no context '{}'{}", context.escape_debug(), suggestion(.nearest.as_deref(), .known))]
    NoContext {
        /// The context that was asked for.
        context: String,
        /// The files.
        files: String,
        /// The context that was probably meant.
        nearest: Option<String>,
        /// All contexts that there are.
        known: Vec<String>,
    },
    /// The context is there and cannot be used.
    #[error("cannot use context '{}' of kubeconfig {files}: {why}", context.escape_debug())]
    Unusable {
        /// The context.
        context: String,
        /// The files.
        files: String,
        /// Why not.
        why: String,
    },
    /// A program that should give the credentials gives none.
    #[error("cannot use context '{}' of kubeconfig {files}: {why}", context.escape_debug())]
    NoCredentials {
        /// The context.
        context: String,
        /// The files.
        files: String,
        /// Why not.
        why: NoCredentials,
    },
    /// No answer from the cluster.
    #[error("cannot reach the cluster of context '{}' at {server}: {why}", context.escape_debug())]
    Unreachable {
        /// The context.
        context: String,
        /// The address of the API server.
        server: String,
        /// Why not.
        why: ApiError,
    },
    /// The cluster does not know, or no longer knows, who we are.
    #[error("the cluster of context '{}' at {server} refuses the credentials: {why}", context.escape_debug())]
    Unauthorized {
        /// The context.
        context: String,
        /// The address of the API server.
        server: String,
        /// What it said.
        why: ApiError,
    },
    /// Something answered that is no API server, or one in trouble.
    #[error("the cluster of context '{}' at {server} cannot be used: {why}", context.escape_debug())]
    Refused {
        /// The context.
        context: String,
        /// The address of the API server.
        server: String,
        /// What it said.
        why: ApiError,
    },
}

impl ConnectError {
    /// Whether what is wrong is here, and does not pass by waiting.
    pub fn is_here(&self) -> bool {
        match self {
            Self::NoKubeconfig { .. }
            | Self::Unreadable { .. }
            | Self::NoContext { .. }
            | Self::Unusable { .. } => true,
            // Whom such a program asks may be away, or wait for a login.
            Self::NoCredentials { why, .. } => {
                matches!(why.why, CredentialsFault::NotRun(_) | CredentialsFault::NotUnderstood)
            }
            Self::Unreachable { .. } | Self::Unauthorized { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether nobody is there who could say anything, or would.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unauthorized { .. } => true,
            Self::Refused { why, .. } => why.is_undecided(),
            Self::NoCredentials { .. } => !self.is_here(),
            _ => false,
        }
    }

    /// Whose fault it is: what a cluster and the way to it are is no matter of a branch.
    pub fn blame(&self) -> Blame {
        Blame::Nobody
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKubeconfig { .. } => {
                Some("set KUBECONFIG to the file, or put it at ~/.kube/config".to_owned())
            }
            Self::NoContext { .. } => Some(
                "write the context's name into base's deploy.toml, or see what there is with: kubectl config get-contexts"
                    .to_owned(),
            ),
            Self::NoCredentials { context, .. } => Some(format!(
                "see what it waits for, or complains of, with 'kubectl --context={} version', which runs it too",
                context.escape_debug()
            )),
            Self::Unauthorized { context, .. } => {
                Some(format!("log in again, then try 'kubectl --context={} version'", context.escape_debug()))
            }
            _ => None,
        }
    }
}

fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!(", did you mean '{}'?", nearest.escape_debug()),
        None if known.is_empty() => ", it has none at all".to_owned(),
        None => {
            let known: Vec<String> = known.iter().map(|name| name.escape_debug().to_string()).collect();
            format!(", only '{}'", known.join("', '"))
        }
    }
}
