//! `git deploy-diff`

use super::{Arguments, Common, Output};
use std::ffi::OsString;

/// Show what a deployment of a commit would change
///
/// Renders the manifests of a commit as git-deploy(1) would, rebased on the base branch where that is needed, and
/// compares them object by object with what stands in an environment. A cluster is asked by a server-side dry run, so
/// that what it would refuse is refused here. The commit need not be approved; nothing is fetched, claimed or changed.
///
/// Values of Secrets never appear: one that changes is shown as *** (before) and *** (after).
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-diff",
    bin_name = "git deploy-diff",
    override_usage = "git deploy-diff [<options>] [--env=<environment>] [<commit>]",
    after_help = "Example: what would this branch change in production?\n    git deploy-diff --env=production",
    after_long_help = include_str!("manual/diff.txt")
)]
pub struct Diff {
    /// What to compare, in any form that git knows; the commit that is checked out if it is left out
    #[arg(value_name = "commit")]
    pub commit: Option<OsString>,

    /// Compare with what stands there; if it is left out, with the first environment on the way to the base branch in
    /// which exactly this commit is not the latest success
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// Show only the names of objects that would not stay as they are
    #[arg(long, conflicts_with_all = ["porcelain", "json"])]
    pub name_only: bool,

    /// Take over fields and objects that somebody else manages; objects of another set never
    #[arg(long)]
    pub force_conflicts: bool,

    /// Go on although the environment's cluster is not the one that the ledger knows
    #[arg(long)]
    pub new_cluster: bool,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Diff {
    fn common(&self) -> &Common {
        &self.common
    }
}
