//! `git deploy-build`

use super::{Arguments, Common, Output};
use std::ffi::OsString;

/// Build the images of a commit
///
/// Writes the commit's files down, never those of the work tree, builds each image that deploy.toml names, and pushes it to
/// the registry. Every image is named after the project and the commit that it was built from, so that a name never means
/// anything else: what is there already is used as it is, and what was made from anything else is never replaced.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-build",
    bin_name = "git deploy-build",
    override_usage = "git deploy-build [<options>] [<commit>]",
    after_help = "Example: build and push the images of the commit that is checked out\n    git deploy-build",
    after_long_help = include_str!("manual/build.txt")
)]
pub struct Build {
    /// Print the names of the images, one `name:tag` a line, and build nothing
    #[arg(long, conflicts_with_all = ["builder", "porcelain", "json"])]
    pub print_names: bool,

    /// What builds: buildah, podman or docker; if it is left out, what deploy.builder says, or the first of them that is
    /// there and works
    #[arg(long, value_name = "program", value_parser = ["buildah", "podman", "docker"], hide_possible_values = true)]
    pub builder: Option<String>,

    /// Which commit's images; HEAD's if it is left out
    #[arg(value_name = "commit")]
    pub commit: Option<OsString>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Build {
    fn common(&self) -> &Common {
        &self.common
    }
}
