//! `git deploy-init`

use super::{Arguments, Common};

/// Set a repository up for deployments
///
/// Writes a deploy.toml with comments, installs the hooks, and lets git-log(1) show the states of commits.
/// Nothing is committed and nothing that exists is overwritten: running it again changes nothing, and
/// --remove undoes it.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-init",
    bin_name = "git deploy-init",
    override_usage = "git deploy-init [<options>] [--no-hooks | --post-commit] [--starter]\n       git deploy-init --server\n       git deploy-init --remove",
    after_help = "Example: set up a new project, with manifests to begin with:\n    git deploy-init --starter",
    after_long_help = include_str!("manual/init.txt")
)]
pub struct Init {
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

impl Arguments for Init {
    fn common(&self) -> &Common {
        &self.common
    }
}
