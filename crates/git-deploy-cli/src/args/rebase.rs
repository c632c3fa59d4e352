//! `git deploy-rebase`

use super::{Arguments, Common, Output};
use std::ffi::OsString;

/// Keep branches rebased on the base branch
///
/// Rebases the named branches, or all that are staged or deployable, on the base branch, as git-rebase(1)
/// would, but without touching the work tree. Their states move with them. A branch that cannot be rebased
/// cleanly does not move; if it is staged or deployable it becomes broken, with the paths that conflict.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-rebase",
    bin_name = "git deploy-rebase",
    override_usage = "git deploy-rebase [<options>] [--check] [<branch>...]\n       git deploy-rebase [<options>] --explain <branch>...\n       git deploy-rebase [<options>] --undo[=<number>]",
    after_help = "Example: would the current branch rebase cleanly?\n    \
        git deploy-rebase --check \"$(git branch --show-current)\"",
    after_long_help = include_str!("manual/rebase.txt")
)]
pub struct Rebase {
    /// What to rebase; all staged and deployable branches if it is left out
    #[arg(value_name = "branch")]
    pub branches: Vec<OsString>,

    /// Only say what would become of each branch, and change nothing
    #[arg(long)]
    pub check: bool,

    /// Say of branches that cannot be rebased which of their commits meets which of base, where, and how that is mended;
    /// change nothing
    #[arg(long, requires = "branches", conflicts_with_all = ["check", "porcelain", "json"])]
    pub explain: bool,

    /// Move the branches of the last rebase, or of that with this number, back to where they stood, with their states
    #[arg(long, value_name = "number", num_args = 0..=1, require_equals = true, conflicts_with_all = ["branches", "check", "explain"])]
    pub undo: Option<Option<u64>>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Rebase {
    fn common(&self) -> &Common {
        &self.common
    }
}
