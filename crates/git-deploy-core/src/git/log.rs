//! What a stretch of history says.

use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::revert::Logged;

impl Repository {
    /// The commits of `from..tip`, newest first; all up to `tip` where there is no `from`.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn log(&self, from: Option<CommitId>, tip: CommitId) -> Result<Vec<Logged>, GitError> {
        let format = ["rev-list", "--topo-order", "--no-commit-header", "--format=%H %T %P%n%B%x00"];
        let call = git(format).arg(tip.to_string()).args(from.map(|from| format!("^{from}"))).arg("--");
        let text = String::from_utf8_lossy(&call.run()?).into_owned();
        text.split('\0')
            .map(|entry| entry.trim_start_matches('\n'))
            .filter(|entry| !entry.is_empty())
            .map(|entry| logged(entry).ok_or_else(|| call.unreadable(entry).into()))
            .collect()
    }
}

fn logged(entry: &str) -> Option<Logged> {
    let (ids, message) = entry.split_once('\n').unwrap_or((entry, ""));
    let mut ids = ids.split(' ').filter(|id| !id.is_empty());
    Some(Logged {
        id: ids.next()?.parse().ok()?,
        tree: ids.next()?.parse().ok()?,
        parent: ids.next().map(str::parse).transpose().ok()?,
        message: message.to_owned(),
    })
}
