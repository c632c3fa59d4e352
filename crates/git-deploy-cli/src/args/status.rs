//! `git deploy-status`

use super::{Arguments, Common, Output};

/// Show what runs where, and who deploys just now
///
/// Asks each environment what stands in it: which deployment, how many pods of each workload are ready, what was changed
/// by hand since, what a failed deployment left, and who deploys there just now. Below that stands how long the queue is
/// and who is next. An environment that cannot be asked says so in its place. Nothing is fetched or changed.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-status",
    bin_name = "git deploy-status",
    override_usage = "git deploy-status [<options>] [--env=<environment>]",
    after_help = "Example: does all that was deployed run, and as it was deployed?\n    git deploy-status",
    after_long_help = include_str!("manual/status.txt")
)]
pub struct Status {
    /// Ask only this environment
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Status {
    fn common(&self) -> &Common {
        &self.common
    }
}
