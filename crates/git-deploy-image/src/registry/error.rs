//! Why a registry did not say what it has.

use std::time::Duration;

use super::{CertificateFlaw, CredentialsError};
use crate::Cause;

/// A registry that could not be asked, or did not answer as one does.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask registry '{registry}' for '{image}': {problem}")]
pub struct RegistryError {
    /// Host and port.
    pub registry: String,
    /// The image's name.
    pub image: String,
    /// What went wrong.
    pub problem: Problem,
}

impl RegistryError {
    /// Who can do something about it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.problem.cause()
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let registry = &self.registry;
        match &self.problem {
            Problem::Certificate(flaw) => Some(flaw.hint(registry)),
            Problem::CertificateOfTokens { host, flaw } => Some(flaw.hint(&host.escape_debug().to_string())),
            Problem::NotTls(_) => Some(format!(
                "if '{registry}' is to be spoken to over plain HTTP, say so in '/etc/containers/registries.conf': \
                 [[registry]] location = '{registry}', insecure = true"
            )),
            Problem::Denied { .. } => Some(format!(
                "log in with 'buildah login {registry}' (or podman, docker), or ask for the right to pull"
            )),
            Problem::NotResolved | Problem::Unreachable(_) | Problem::TimedOut(_) => Some(format!(
                "see whether '{registry}' can be reached from here, and is right: it is [registry] address in deploy.toml of \
                 base"
            )),
            _ => None,
        }
    }
}

/// What went wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The image's name has no registry's address in front.
    #[error("its name has no registry in front")]
    NoRegistry,
    /// Nobody knows its name.
    #[error("its name does not resolve")]
    NotResolved,
    /// No connection, or one that broke.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Somebody wanted to stop.
    #[error("it was stopped")]
    Stopped,
    /// A certificate that is not trusted.
    #[error("its certificate is not accepted: {0}")]
    Certificate(CertificateFlaw),
    /// The same of whoever gives out tokens for it.
    #[error("it sends who wants a token to '{}', whose certificate is not accepted: {flaw}", .host.escape_debug())]
    CertificateOfTokens {
        /// Host and port.
        host: String,
        /// Why.
        flaw: CertificateFlaw,
    },
    /// It does not speak TLS, and nobody has said that it need not.
    #[error("it does not speak TLS: {0}")]
    NotTls(String),
    /// It wants somebody else.
    #[error("access is denied with status {status}{}", if *.with_credentials { "" } else { ", there are no credentials for it" })]
    Denied {
        /// 401 or 403.
        status: u16,
        /// Whether credentials were sent.
        with_credentials: bool,
    },
    /// It was asked too often.
    #[error("it was asked too often (status 429)")]
    TooManyRequests,
    /// It is in trouble itself.
    #[error("it has trouble of its own (status {0})")]
    Server(u16),
    /// Another status than a registry answers with.
    #[error("it answered with status {status}{}", if .said.is_empty() { String::new() } else { format!(": {}", .said) })]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it says, in one line.
        said: String,
    },
    /// What it says is not what a registry says.
    #[error("it does not answer as a registry does: {0}")]
    Garbage(String),
    /// The credentials for it cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A certificate file that cannot be used.
    #[error("cannot read the certificates in '{file}': {why}")]
    Authority {
        /// The PEM file.
        file: String,
        /// Why.
        why: String,
    },
}

impl Problem {
    /// Who can do something about it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            // A name that does not resolve may be mistyped, but without any network no name resolves.
            Problem::NotResolved
            | Problem::Unreachable(_)
            | Problem::TimedOut(_)
            | Problem::Stopped
            | Problem::TooManyRequests
            | Problem::Server(_) => Cause::Passing,
            Problem::NoRegistry
            | Problem::Certificate(_)
            | Problem::CertificateOfTokens { .. }
            | Problem::NotTls(_)
            | Problem::Denied { .. }
            | Problem::Status { .. }
            | Problem::Garbage(_)
            | Problem::Credentials(_)
            | Problem::Authority { .. } => Cause::Setup,
        }
    }
}
