//! `git deploy-build`

use super::{Arguments, Common};
use std::ffi::OsString;

/// Name the images of a commit
///
/// Every image is named after the project and the commit that it was built from, so that a name never
/// means anything else.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-build",
    bin_name = "git deploy-build",
    override_usage = "git deploy-build [<options>] --print-names [<commit>]",
    after_help = "Example: what are the images of this commit called?\n    git deploy-build --print-names",
    after_long_help = include_str!("manual/build.txt")
)]
pub struct Build {
    /// Print the names of the images, one `name:tag` a line, and build nothing
    #[arg(long, required = true)]
    pub print_names: bool,

    /// Which commit's images; HEAD's if it is left out
    #[arg(value_name = "commit")]
    pub commit: Option<OsString>,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Build {
    fn common(&self) -> &Common {
        &self.common
    }
}
