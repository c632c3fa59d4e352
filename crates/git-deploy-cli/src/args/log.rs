//! `git deploy-log`

use super::{Arguments, Common, Output};

/// Show all deployments, newest first
///
/// Reads the annotated tags deployment-0001, deployment-0002 and so on, each of which records one attempt to
/// bring one commit into one environment, and its verdict.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-log",
    bin_name = "git deploy-log",
    override_usage = "git deploy-log [<options>] [-n <n>] [--env=<environment>]",
    after_help = "Example: what was deployed to production last?\n    git deploy-log -n 1 --env=production",
    after_long_help = include_str!("manual/log.txt")
)]
pub struct Log {
    /// Show no more than so many
    #[arg(short = 'n', long, value_name = "n")]
    pub max_count: Option<usize>,

    /// Show only what was deployed there
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Log {
    fn common(&self) -> &Common {
        &self.common
    }
}
