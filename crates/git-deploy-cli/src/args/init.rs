//! `git deploy-init`

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand, value_parser};
use git_deploy_core::ids::EnvironmentName;

use super::{Arguments, Common};
use crate::CommandError;

/// Set a repository up for deployments
///
/// Writes a deploy.toml with comments, installs the hooks, and lets git-log(1) show the states of commits.
/// Nothing is committed and nothing that exists is overwritten: running it again changes nothing, and
/// --remove undoes it.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-init",
    bin_name = "git deploy-init",
    override_usage = "git deploy-init [<options>] [--no-hooks | --post-commit] [--starter]\n       git deploy-init --server\n       git deploy-init runner [<options>]\n       git deploy-init --remove",
    after_help = "Example: set up a new project, with manifests to begin with:\n    git deploy-init --starter",
    after_long_help = include_str!("manual/init.txt")
)]
pub struct Init {
    /// What to write instead of setting this repository up.
    #[command(subcommand)]
    pub command: Option<InitCommand>,

    /// Also write starter manifests, below deploy
    #[arg(long, conflicts_with = "remove")]
    pub starter: bool,

    /// Leave the hooks of the repository alone
    #[arg(long)]
    pub no_hooks: bool,

    /// Also let this bare repository, which others push to, judge each push: base moves by landings alone, and deployment
    /// tags and verdicts stay; see SERVERS
    #[arg(long, conflicts_with_all = ["remove", "no_hooks", "starter"])]
    pub server: bool,

    /// Also install the hook post-commit: it says when a commit has left one that was staged or deployable. It is kept up
    /// until --remove
    #[arg(long, conflicts_with_all = ["remove", "no_hooks", "server"])]
    pub post_commit: bool,

    /// Undo it: take out hooks, configuration and files as far as they are unchanged; what git tracks, states and
    /// deployments stay
    #[arg(long)]
    pub remove: bool,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Init {
    /// What is to be written for a runner, where that is asked for.
    ///
    /// # Errors
    /// When an option stands before the subcommand that is for setting a repository up.
    pub fn runner(&self) -> Result<Option<&InitRunner>, CommandError> {
        let Some(InitCommand::Runner(runner)) = &self.command else { return Ok(None) };
        if self.starter || self.no_hooks || self.server || self.post_commit || self.remove {
            return Err(CommandError::usage("'git deploy-init runner' does not know this option"));
        }
        Ok(Some(runner))
    }
}

/// The subcommands of `git deploy-init`.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum InitCommand {
    /// Write what a runner of the queue needs: in a cluster, or as a service of systemd
    ///
    /// Prints manifests for a cluster, or with --systemd a unit; --output writes them, and the Containerfile of the image, to
    /// a folder instead. Nothing that is there is overwritten. See RUNNERS.
    #[command(
        override_usage = "git deploy-init runner [--namespace=<name>] [--image=<name>] [--secret=<name>] [--replicas=<n>]\n                              [--context=<name>]... [-n] [--output=<folder>]\n       git deploy-init runner --systemd=(user|system) [-n] [--output=<folder>]"
    )]
    Runner(InitRunner),
}

/// What `git deploy-init runner` writes.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct InitRunner {
    /// The runner's own namespace: none that anything is deployed to
    #[arg(long, value_name = "name", default_value = "git-deploy", value_parser = dns_label)]
    pub namespace: String,

    /// The runner's image; where base's deploy.toml names a registry, git-deploy-runner of that if it is left out
    #[arg(long, value_name = "name", value_parser = NonEmptyStringValueParser::new())]
    pub image: Option<String>,

    /// The Secret with the key for the remote, in the same namespace
    #[arg(long, value_name = "name", default_value = "git-deploy-runner", value_parser = dns_label)]
    pub secret: String,

    /// How many pods: one works, the others wait
    #[arg(long, value_name = "n", default_value_t = 2, value_parser = value_parser!(u16).range(1..))]
    pub replicas: u16,

    /// The context, as deploy.toml names it, of the cluster that the runner will be in; may be given more than once. It may
    /// be left out where there is only one
    #[arg(long, value_name = "name")]
    pub context: Vec<String>,

    /// Write a unit of systemd instead: for its manager of this user, or of the system
    #[arg(
        long,
        value_name = "user|system",
        value_parser = PossibleValuesParser::new(["user", "system"]),
        conflicts_with_all = ["namespace", "image", "secret", "replicas", "context"]
    )]
    pub systemd: Option<String>,

    /// Write files to this folder, and print nothing
    #[arg(long, value_name = "folder")]
    pub output: Option<PathBuf>,

    /// Only say what would be written
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// What Kubernetes lets most things be called.
fn dns_label(word: &str) -> Result<String, &'static str> {
    let is_one = EnvironmentName::new(word).is_ok();
    if is_one { Ok(word.to_owned()) } else { Err("it must be at most 63 of a-z, 0-9 and '-'") }
}

impl Arguments for Init {
    fn common(&self) -> &Common {
        &self.common
    }
}
