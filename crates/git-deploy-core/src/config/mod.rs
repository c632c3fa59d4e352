//! What is configured, and what comes from where.
//!
//! Git's configuration says what differs from clone to clone: which remote counts, which branch is base. `deploy.toml`
//! says what belongs to the project; it is read from base, so that a branch cannot grant itself anything.

mod building;
pub mod deploy_toml;

use crate::git::object::Kind;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, IdError, RefName};
use deploy_toml::{DeployToml, DeployTomlError};

pub use building::{Building, DEFAULT_BUILD_TIME_LIMIT};
pub(crate) use deploy_toml::parse_duration;

/// The name of the project's configuration at the root of a tree.
pub const DEPLOY_TOML: &str = "deploy.toml";

/// When a runner pushes what it has rebased: `deploy.pushRebased`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRebased {
    /// As soon as it is rebased.
    Always,
    /// Only when the branch's turn has come.
    Queue,
}

/// Git's configuration as far as it concerns deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The remote that counts, see [`counting_remote`].
    pub remote: Option<Tracking>,
    /// The branch that everything lands on: `deploy.base`, else the remote's HEAD, else `master`.
    pub base: RefName,
    /// Whether a state that is set is published at once: `deploy.publish`.
    pub publish: bool,
    /// `deploy.pushRebased`.
    pub push_rebased: PushRebased,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `deploy.base` or the remote's HEAD is no branch.
    #[error("cannot use the configured base: {0}")]
    Base(IdError),
    /// `deploy.remote` is no remote.
    #[error("'deploy.remote' names '{0}', and there is no such remote")]
    Remote(String),
    /// A key has a value that is none of its.
    #[error("'{key}' is '{value}', and must be {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Base is not there.
    #[error("base branch '{}' is not there", .base.short())]
    NoBase {
        /// What it should be called.
        base: RefName,
        /// What is there in its place.
        instead: InsteadOfBase,
    },
    /// Base has no `deploy.toml`.
    #[error("'{DEPLOY_TOML}' is not on base '{}'", .0.short())]
    NoDeployToml(RefName),
    /// It cannot be read.
    #[error("{DEPLOY_TOML} on '{at}': {error}")]
    DeployToml {
        /// The branch or commit.
        at: String,
        /// What is wrong, and where.
        error: DeployTomlError,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// What is there in place of a base that is not, from which follows what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsteadOfBase {
    /// No branch has a commit.
    NoCommits,
    /// A branch `main`.
    Main,
    /// Base is here, and not on this remote.
    NotPushed(String),
    /// Base is here, and none of this remote's branches, because a plain `git fetch` does not bring them, as in a clone that is
    /// bare.
    NotFetched(String),
    /// Nothing that could be it; with the remote that it may have to be fetched from.
    Nothing(Option<String>),
}

impl Settings {
    /// Reads git's configuration.
    ///
    /// # Errors
    /// When a key has a value that cannot be used.
    pub fn read(repository: &Repository) -> Result<Self, ConfigError> {
        let remote = counting_remote(repository)?.ok();
        let base = base(repository, remote.as_ref())?;
        let push_rebased = match repository.config("deploy.pushrebased")?.as_deref() {
            None | Some("always") => PushRebased::Always,
            Some("queue") => PushRebased::Queue,
            Some(value) => {
                let (value, wanted) = (value.to_owned(), "'always' or 'queue'");
                return Err(ConfigError::Value { key: "deploy.pushRebased", value, wanted });
            }
        };
        let publish = match repository.config("deploy.publish")?.as_deref() {
            None | Some("true" | "yes" | "on" | "1" | "") => true,
            Some("false" | "no" | "off" | "0") => false,
            Some(value) => {
                let (value, wanted) = (value.to_owned(), "a boolean");
                return Err(ConfigError::Value { key: "deploy.publish", value, wanted });
            }
        };
        Ok(Self { remote, base, publish, push_rebased })
    }

    /// Where the tip of a branch is read that counts: what was last fetched from the remote, or our own branch where
    /// there is no remote.
    pub fn authority(&self, branch: &RefName) -> RefName {
        match &self.remote {
            Some(tracking) => tracking.of(branch).unwrap_or_else(|| branch.clone()),
            None => branch.clone(),
        }
    }

    /// The prefix under which the branches stand that count.
    pub fn authority_prefix(&self) -> String {
        self.remote.as_ref().map_or_else(|| "refs/heads/".to_owned(), Tracking::heads)
    }

    /// The tip of base.
    ///
    /// # Errors
    /// When base is not there.
    pub fn base_tip(&self, repository: &Repository) -> Result<CommitId, ConfigError> {
        match repository.tip(&self.authority(&self.base))? {
            Some(tip) => Ok(tip),
            None => Err(ConfigError::NoBase {
                base: self.base.clone(),
                instead: self.instead_of_base(repository)?,
            }),
        }
    }

    fn instead_of_base(&self, repository: &Repository) -> Result<InsteadOfBase, ConfigError> {
        let remote = self.remote.as_ref().map(|tracking| tracking.remote().to_owned());
        let main = RefName::branch("main").map_err(ConfigError::Base)?;
        if let Some(tracking) = &self.remote
            && repository.tip(&self.base)?.is_some()
        {
            let was_fetched = !repository.refs(&self.authority_prefix())?.is_empty();
            let remote = tracking.remote().to_owned();
            return Ok(match was_fetched || repository.fetch_keeps(tracking, &self.base)? {
                true => InsteadOfBase::NotPushed(remote),
                false => InsteadOfBase::NotFetched(remote),
            });
        }
        if repository.tip(&self.authority(&main))?.is_some() || repository.tip(&main)?.is_some() {
            return Ok(InsteadOfBase::Main);
        }
        let none = |place: &str| repository.refs(place).map(|refs| refs.is_empty());
        let is_empty = none(&self.authority_prefix())? && none("refs/heads/")?;
        Ok(if is_empty { InsteadOfBase::NoCommits } else { InsteadOfBase::Nothing(remote) })
    }
}

/// Why no remote counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRemote {
    /// There is none.
    Nowhere,
    /// `deploy.remote` says so.
    Configured,
    /// In a bare repository none counts by itself.
    Bare,
    /// There are several, and none is called `origin`.
    Several,
}

/// The remote that counts: `deploy.remote`, else `origin`, else the only one. A bare repository, with the work trees that
/// are linked to it, has none unless it is configured. Inside: why there is none.
///
/// # Errors
/// When `deploy.remote` names none that there is.
pub fn counting_remote(repository: &Repository) -> Result<Result<Tracking, NoRemote>, ConfigError> {
    let remotes = repository.remotes()?;
    if let Some(name) = repository.config("deploy.remote")? {
        // As in git's own configuration, a dot means this repository.
        return match name.as_str() {
            "" | "." => Ok(Err(if remotes.is_empty() { NoRemote::Nowhere } else { NoRemote::Configured })),
            name if remotes.iter().any(|remote| remote == name) => Ok(Ok(Tracking::new(name))),
            name => Err(ConfigError::Remote(name.to_owned())),
        };
    }
    if remotes.is_empty() {
        return Ok(Err(NoRemote::Nowhere));
    }
    if repository.is_bare_at_root()? {
        return Ok(Err(NoRemote::Bare));
    }
    let origin = remotes.iter().find(|remote| *remote == "origin");
    let only = (remotes.len() == 1).then(|| &remotes[0]);
    Ok(origin.or(only).map(|name| Tracking::new(name)).ok_or(NoRemote::Several))
}

fn base(repository: &Repository, remote: Option<&Tracking>) -> Result<RefName, ConfigError> {
    if let Some(name) = repository.config("deploy.base")? {
        let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
        return RefName::branch(short).map_err(ConfigError::Base);
    }
    if let Some(tracking) = remote {
        let head = repository.symbolic_target(&format!("{}HEAD", tracking.heads()))?;
        let short = head.as_ref().and_then(|head| head.as_str().strip_prefix(&tracking.heads()));
        if let Some(short) = short {
            return RefName::branch(short).map_err(ConfigError::Base);
        }
    }
    RefName::branch("master").map_err(ConfigError::Base)
}

/// The project's configuration as a commit has it; `None` if it has none.
///
/// # Errors
/// When it cannot be read. `at` names the commit in the error.
pub fn deploy_toml_of(
    repository: &Repository,
    commit: CommitId,
    at: &str,
) -> Result<Option<DeployToml>, ConfigError> {
    let tree = repository.commit(commit)?.tree;
    let Some(entry) = repository.entry(tree, DEPLOY_TOML)?.filter(|entry| !entry.is_folder()) else {
        return Ok(None);
    };
    let mistake = |error| ConfigError::DeployToml { at: at.to_owned(), error };
    let bytes = match repository.read_at_most(entry.id, Kind::Blob, deploy_toml::MAX_BYTES) {
        Err(GitError::TooLarge { size, .. }) => return Err(mistake(DeployTomlError::too_large(size))),
        bytes => bytes?,
    };
    DeployToml::parse(&String::from_utf8_lossy(&bytes)).map(Some).map_err(mistake)
}
