//! `git deploy-queue`

use super::{Arguments, Common, Output};
use std::ffi::OsString;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, value_parser};

/// Show what is deployed next, or work it off
///
/// Lists the branches that are deployable, in the order in which they will be deployed: by priority, then by
/// the time since when they have been waiting, then by commit. With 'run' they are deployed, one after the other; 'show' says
/// what became of one of them.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-queue",
    bin_name = "git deploy-queue",
    override_usage = "git deploy-queue [list] [<options>]\n       git deploy-queue next [<options>]\n       git deploy-queue show [--json] [<branch>|<commit>...]\n       git deploy-queue run [--watch]\n       git deploy-queue hold --reason=<text> [<branch>...]\n       git deploy-queue release [<branch>...]\n       git deploy-queue approve [--env=<environment>] [--withdraw | <branch>]",
    after_help = "Example: why is my branch not deployed yet?\n    git deploy-queue show",
    after_long_help = include_str!("manual/queue.txt")
)]
pub struct Queue {
    /// What to do; `list` if it is left out.
    #[command(subcommand)]
    pub command: Option<QueueCommand>,

    /// How to print it, where no subcommand says so.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Queue {
    /// What to do, with the options that stood before the subcommand.
    pub fn into_command(self) -> QueueCommand {
        match self.command {
            Some(QueueCommand::List(output)) => QueueCommand::List(output.or(self.output)),
            Some(QueueCommand::Next(output)) => QueueCommand::Next(output.or(self.output)),
            Some(QueueCommand::Show(show)) => {
                QueueCommand::Show(ShowQueue { json: show.json || self.output.json, ..show })
            }
            Some(QueueCommand::Run(run)) => {
                QueueCommand::Run(RunQueue { json: run.json || self.output.json, ..run })
            }
            Some(command @ (QueueCommand::Hold(_) | QueueCommand::Release(_) | QueueCommand::Approve(_))) => {
                command
            }
            None => QueueCommand::List(self.output),
        }
    }
}

impl Arguments for Queue {
    fn common(&self) -> &Common {
        &self.common
    }
}

/// The subcommands of `git deploy-queue`.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum QueueCommand {
    /// List the queue in its order, each branch with what it waits for
    #[command(override_usage = "git deploy-queue list [<options>]")]
    List(Output),
    /// Print the branch that is deployed next, and its commit
    ///
    /// Prints nothing, says why, and ends with status 1 where nobody can be taken from the queue.
    #[command(override_usage = "git deploy-queue next [<options>]")]
    Next(Output),
    /// Show where branches stand in the queue, when they will land, and what became of them
    ///
    /// A branch that is gone is found by what the ledger has of it, a commit by the branch that it belongs to.
    #[command(override_usage = "git deploy-queue show [--json] [<branch>|<commit>...]")]
    Show(ShowQueue),
    /// Deploy what is deployable, one branch after the other
    ///
    /// Branches that are staged or deployable are rebased whenever base has moved. What fails for a fault of its own becomes
    /// staged and leaves the queue, what conflicts becomes broken, and the next one is taken. What is nobody's fault ends it
    /// with status 75, and is waited for with '--watch'.
    #[command(override_usage = "git deploy-queue run [--watch] [--interval=<seconds>] [--json]")]
    Run(RunQueue),
    /// Keep branches, or the whole queue, from being deployed for a while
    ///
    /// They stay where they are in the queue, and are rebased as before. Whoever is on the way already goes on.
    #[command(override_usage = "git deploy-queue hold --reason=<text> [<branch>...]")]
    Hold(HoldQueue),
    /// Let branches that are on hold, or the queue, go on
    #[command(override_usage = "git deploy-queue release [<branch>...]")]
    Release(ReleaseQueue),
    /// Approve that what stands in one environment goes on to the next one
    ///
    /// Where an environment says 'approval = true', what was verified in the environment before waits for that, and those
    /// behind it wait with it. It counts for exactly that commit.
    #[command(override_usage = "git deploy-queue approve [--env=<environment>] [--withdraw | <branch>]")]
    Approve(ApproveQueue),
}

/// What `git deploy-queue approve` approves.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct ApproveQueue {
    /// The branch that may go on; if it is left out, whatever waits
    #[arg(value_name = "branch", conflicts_with = "withdraw")]
    pub branch: Option<OsString>,

    /// Where it may go to; if it is left out, the first environment that something waits for
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// Take the approval back that there is
    #[arg(long)]
    pub withdraw: bool,
}

/// What `git deploy-queue show` shows.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct ShowQueue {
    /// Whom to show; the current branch if they are left out
    #[arg(value_name = "branch|commit")]
    pub subjects: Vec<OsString>,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// What `git deploy-queue hold` holds.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct HoldQueue {
    /// Which branches to hold; the whole queue if they are left out
    #[arg(value_name = "branch")]
    pub branches: Vec<OsString>,

    /// Why, for those who wonder
    #[arg(long, value_name = "text", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub reason: String,
}

/// What `git deploy-queue release` lets go on.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct ReleaseQueue {
    /// Which branches to release; the whole queue if they are left out
    #[arg(value_name = "branch")]
    pub branches: Vec<OsString>,
}

/// How `git deploy-queue run` works.
#[derive(Args, Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunQueue {
    /// Stay, and deploy what becomes deployable, until it is told to stop
    #[arg(long)]
    pub watch: bool,

    /// How often to look at the remote at least, where nothing happens
    #[arg(long, value_name = "seconds", default_value_t = 60, value_parser = value_parser!(u64).range(1..), requires = "watch")]
    pub interval: u64,

    /// Do not prepare the next branch while another one is deployed
    #[arg(long)]
    pub no_ahead: bool,

    /// Print one JSON object a line; the last one says how it ended
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn without_a_subcommand_the_queue_is_listed() {
        let json = QueueCommand::List(Output { json: true, ..Output::default() });
        for arguments in [&["--json"][..], &["list", "--json"], &["--json", "list"]] {
            let queue = Queue::try_parse_from(["git-deploy-queue"].iter().chain(arguments)).unwrap();
            assert_eq!(queue.into_command(), json);
        }
    }
}
