//! `deploy.toml`: text to value.
//!
//! Pure: reads no file and knows nothing of git. Whoever calls it decides from which commit the text comes;
//! environments, lint and gates count from base only, so that a branch cannot grant itself anything.
//!
//! The text is read in three steps, so that each mistake is reported in the user's words and at its place:
//! [`keys`] walks the spanned document against the table of known keys, [`raw`] deserialises it, and [`check`]
//! with [`environments`] turns it into values that cannot be wrong any more.

mod approve;
mod check;
mod environments;
mod error;
mod freeze;
mod keys;
mod of_base;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub(crate) use check::parse_duration;
pub use error::{DeployTomlError, Problem, nearest};
pub use freeze::{Freeze, Frozen};

use error::Locator;

use jiff::Timestamp;

use crate::ids::EnvironmentName;

/// The largest `deploy.toml` that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The hash length of image tags where `deploy.toml` names none.
pub const DEFAULT_HASH_LENGTH: u8 = 7;

/// How long a deployment may take where `deploy.toml` does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a container may go on crashing where `deploy.toml` does not say.
pub const DEFAULT_CRASH_GRACE: Duration = Duration::from_secs(30);

/// The branch that the embedded environment writes to where `deploy.toml` has no environment.
pub const DEFAULT_RENDERED_BRANCH: &str = "rendered/default";

/// Where manifests are looked for unless `deploy.toml` says otherwise.
pub const DEFAULT_MANIFESTS: &str = "deploy";

/// All that a `deploy.toml` says, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployToml {
    /// `[image-name]`: how images are named; absent where the repository builds none.
    pub image_name: Option<ImageName>,
    /// `[build]`: what runs before and for the images.
    pub build: Build,
    /// `[[image]]`: the images in the order of the file.
    pub images: Vec<Image>,
    /// `[registry]`: where images go.
    pub registry: Registry,
    /// `[rebase] committer`: who commits what a rebase writes; absent means unchanged.
    pub committer: Option<Committer>,
    /// `[approve]`: who may approve; absent means everybody who can push.
    pub approve: Option<Approve>,
    /// Whether an unattended runner may execute a branch's files without isolation.
    pub trust_branches: bool,
    /// `[assets]`, not interpreted here.
    pub assets: toml::Table,
    environments: Vec<Environment>,
}

impl DeployToml {
    /// Reads the text of a `deploy.toml`. A byte-order mark and CRLF are accepted.
    ///
    /// # Errors
    /// The first mistake in the order of the file, with line and column.
    pub fn parse(text: &str) -> Result<Self, DeployTomlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let locator = Locator::new(text);
        let document = keys::parse_known(text, &locator)?;
        let raw = raw::read(document, &locator)?;
        check::deploy_toml(raw, &locator)
    }

    /// All environments, each after the one that it names in `after`, else in the order of the file. Never
    /// empty.
    #[must_use]
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// The environment whose manifests would be committed to the branch that everything lands on.
    #[must_use]
    pub fn rendered_on(&self, base: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| match &environment.target {
            Target::Rendered { branch, .. } => branch == base,
            Target::Cluster { .. } => false,
        })
    }

    /// The one environment from which a candidate lands on base.
    #[must_use]
    pub fn landing_environment(&self) -> &Environment {
        self.environments
            .iter()
            .find(|environment| environment.lands)
            .expect("parsing admits only files in which exactly one environment lands")
    }

    /// The environment of that name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name.as_str() == name)
    }

    /// The environments that a candidate has to stand in before it comes to this one, the nearest first.
    #[must_use]
    pub fn before(&self, environment: &Environment) -> Vec<&Environment> {
        let of = |after: &Option<EnvironmentName>| self.environment(after.as_ref()?.as_str());
        std::iter::successors(of(&environment.after), |before| of(&before.after)).collect()
    }

    /// The environments that a candidate goes through by itself, in this order; the last one lands.
    #[must_use]
    pub fn row(&self) -> Vec<&Environment> {
        let landing = self.landing_environment();
        self.before(landing).into_iter().rev().chain([landing]).collect()
    }

    /// Checks the rules named in the environments' `lint` tables against those that exist.
    ///
    /// The rules live where manifests are understood, which this file does not know; so their owner asks.
    ///
    /// # Errors
    /// The first name that is no rule, with its place and the nearest known one.
    pub fn check_lint_rules(&self, known_rules: &[&str]) -> Result<(), DeployTomlError> {
        let unknown = self
            .environments
            .iter()
            .flat_map(|environment| {
                environment.lint.iter().map(move |(rule, setting)| (environment, rule, setting))
            })
            .filter(|(_, rule, _)| !known_rules.contains(&rule.as_str()))
            .min_by_key(|(_, _, setting)| (setting.line, setting.column));
        match unknown {
            None => Ok(()),
            Some((environment, rule, setting)) => Err(DeployTomlError {
                line: setting.line,
                column: setting.column,
                problem: Box::new(Problem::unknown_key(
                    rule,
                    &format!("[environment.{}.lint]", environment.name),
                    known_rules.iter().copied(),
                )),
            }),
        }
    }
}

/// `[image-name]`: the parts of an image's name that all images share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Who publishes the images, for example `littleman-co`.
    pub container_namespace: String,
    /// The project's part of the name, for example `git-littleman-co`.
    pub project_namespace: String,
    /// How many digits of the commit's id make the tag.
    pub hash_length: u8,
}

/// `[build]`: what is executed to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// A file that sh sources before each step.
    pub env_file: Option<TreePath>,
    /// Command lines, in order; the first that fails ends the build.
    pub steps: Vec<String>,
    /// Where the sources can be found, as the images say it: a URL without anybody's credentials. It stands here because the
    /// remotes of a clone differ, and the image of a commit must not.
    pub source: Option<String>,
}

/// `[[image]]`: one image to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The container's name, the last part of the image's name.
    pub name: String,
    /// The directory with its Containerfile or Dockerfile.
    pub context: TreePath,
}

/// `[registry]`: where images go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// What stands in front of an image's name; absent means the builder's own store.
    pub address: Option<String>,
    /// The program that brings an image from the builder's store into the cluster.
    pub load: Option<Vec<String>>,
}

/// `[environment.<name>]`: a place to deploy to, with its rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// The name, a DNS label.
    pub name: EnvironmentName,
    /// What is written to: a cluster or a branch.
    pub target: Target,
    /// Where the manifests come from.
    pub source: Source,
    /// A candidate comes here only when it stands in that environment.
    pub after: Option<EnvironmentName>,
    /// Whether somebody has to approve what was verified in that environment before it comes here.
    pub approval: bool,
    /// When nothing is deployed here.
    pub freeze: Vec<Freeze>,
    /// Whether a success here lands the candidate on base.
    pub lands: bool,
    /// What happens to objects that are no longer in the manifests.
    pub prune: Prune,
    /// Severities by rule; rules that are not named keep their own default.
    pub lint: BTreeMap<String, LintSetting>,
    /// Gates by name, not interpreted here.
    pub gates: BTreeMap<String, toml::Table>,
    /// Kinds that may be deployed; absent means namespaced kinds without RBAC.
    pub allow_kinds: Option<Vec<String>>,
    /// Namespaces that may be deployed to; absent means the environment's own.
    pub allow_namespaces: Option<Vec<String>>,
    /// How long a deployment may take until everything is ready.
    pub timeout: Duration,
    /// How long a container that crashed twice may go on crashing before its pod is given up.
    pub crash_grace: Duration,
    /// What becomes of the objects of a first deployment that failed.
    pub first_failure: FirstFailure,
    /// Whether pods are started anew when a ConfigMap or Secret changes that they read.
    pub config_hash: bool,
}

impl Environment {
    /// Whether nothing is to be deployed here at a moment, and until when.
    #[must_use]
    pub fn frozen(&self, now: Timestamp) -> Option<Frozen> {
        freeze::frozen(&self.freeze, now)
    }

    /// The namespace that objects without one get.
    #[must_use]
    pub fn kube_namespace(&self) -> Option<&str> {
        match &self.target {
            Target::Cluster { kube_namespace, .. } => Some(kube_namespace),
            Target::Rendered { kube_namespace, .. } => kube_namespace.as_deref(),
        }
    }
}

/// What an environment writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A cluster.
    Cluster {
        /// The kubeconfig's context; never the current one by accident.
        context: String,
        /// The environment's own namespace.
        kube_namespace: String,
    },
    /// A branch with the rendered manifests.
    Rendered {
        /// The branch's short name, for example `rendered/demo`.
        branch: String,
        /// The namespace that objects without one get.
        kube_namespace: Option<String>,
    },
}

/// Where an environment's manifests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files and directories of YAML.
    Manifests(Vec<TreePath>),
    /// A program and its arguments, which prints YAML.
    Render(Vec<String>),
}

/// What happens to objects that were deployed before and are no longer in the manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prune {
    /// They are deleted as soon as the deployment is verified.
    #[default]
    Now,
    /// They are deleted when they have been gone from the manifests for so long.
    After(Duration),
    /// They stay.
    Never,
}

/// What becomes of the objects of a first deployment that failed: there is nothing to go back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirstFailure {
    /// They stay, to be looked at.
    #[default]
    Keep,
    /// They are deleted.
    Remove,
}

/// A rule's severity, and where it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LintSetting {
    /// The severity.
    pub severity: Severity,
    line: usize,
    column: usize,
}

/// What a lint rule's finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The deployment stops.
    Error,
    /// The finding is shown.
    Warn,
    /// The rule is not asked.
    Off,
}

/// A path inside a commit's tree: relative, without `..`, without `.` components and without a slash at its
/// end; `.` is the tree itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

impl TreePath {
    /// The path as text, with slashes between its components.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Who commits what a rebase writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committer {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// `[approve]`: whose signature a deployable branch needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// A file of base's tree with ssh keys, in the format of ssh-keygen(1), ALLOWED SIGNERS.
    pub allowed_signers: Option<TreePath>,
    /// Fingerprints of gpg keys, in capital letters without blanks.
    pub gpg_fingerprints: Vec<String>,
}
