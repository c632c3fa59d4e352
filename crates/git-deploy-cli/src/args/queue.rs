//! `git deploy-queue`

use super::{Arguments, Common, Output};
use clap::Subcommand;

/// Show what is deployed next
///
/// Lists the branches that are deployable, in the order in which they will be deployed: by priority, then by
/// the time since when they have been waiting, then by commit.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-queue",
    bin_name = "git deploy-queue",
    override_usage = "git deploy-queue [list] [<options>]",
    after_help = "Example: who is next?\n    git deploy-queue --porcelain | head -n 1",
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
#[derive(Subcommand, Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueCommand {
    /// List the queue in its order, each branch with what it waits for
    #[command(override_usage = "git deploy-queue list [<options>]")]
    List(Output),
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
