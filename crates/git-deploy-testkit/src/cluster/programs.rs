//! Where the programs of the control plane are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// Set by `tests/run`, which builds them first. Empty: tests with a cluster are run elsewhere.
const DIRECTORY: &str = "GIT_DEPLOY_TEST_CLUSTER";

/// Why there is no cluster.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Missing {
    /// Not on this machine, so far.
    #[error("the programs of a control plane are not built; run: ./tests/run cluster")]
    Programs,
    /// Not with a node.
    #[error("{0}")]
    Node(String),
    /// Not in this run.
    #[error("tests with a cluster are left out")]
    LeftOut,
}

/// The directory that `tests/cluster/build` printed, or would print.
pub(super) fn find() -> Result<PathBuf, Missing> {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return if directory.is_empty() { Err(Missing::LeftOut) } else { Ok(PathBuf::from(directory)) };
    }
    let build = files().join("build");
    let printed = Command::new(build).arg("--print-if-built").output().map_err(|_| Missing::Programs)?;
    let directory = String::from_utf8(printed.stdout).map_err(|_| Missing::Programs)?;
    if !printed.status.success() {
        return Err(Missing::Programs);
    }
    Ok(PathBuf::from(directory.trim_end()))
}

/// The stages and the audit policy, which are not built but part of the checkout.
pub(super) fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cluster")
}
