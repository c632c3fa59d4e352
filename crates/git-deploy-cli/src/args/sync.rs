//! `git deploy-sync`

use super::{Arguments, Common};
use std::ffi::OsString;

/// Exchange states and deployments with a remote
///
/// Fetches the states and the deployments that others recorded, merges them with those recorded here, and
/// pushes the result. Of decisions that did not see each other the most careful one holds; no order of
/// syncing gives another result.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-sync",
    bin_name = "git deploy-sync",
    override_usage = "git deploy-sync [<options>] [-n] [--restore] [<remote>]",
    after_help = "Example: what would be exchanged with origin?\n    git deploy-sync --dry-run origin",
    after_long_help = include_str!("manual/sync.txt")
)]
pub struct Sync {
    /// With whom; deploy.remote if it is left out, else origin, else the only remote
    #[arg(value_name = "remote")]
    pub remote: Option<OsString>,

    /// Fetch, and only say what would be merged and pushed
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Publish ours also where the states of the remote were deleted, set back or replaced, together with what is there
    /// now
    #[arg(long)]
    pub restore: bool,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Sync {
    fn common(&self) -> &Common {
        &self.common
    }
}
