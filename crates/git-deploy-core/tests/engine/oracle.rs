//! What our verdict says, in the words in which it is compared with git's.

use git_deploy_core::ids::CommitId;
use git_deploy_core::rebase::{Skip, Verdict};
pub(crate) use git_deploy_testkit::rebase::{Expected, Oracle};

use crate::lab::Lab;

/// What our verdict about a branch says.
pub(crate) fn ours(lab: &Lab, base: CommitId, verdict: Verdict) -> Expected {
    match verdict {
        Verdict::Current => Expected::Current,
        Verdict::Skipped(Skip::Landed) => Expected::Landed,
        Verdict::Skipped(Skip::Merges(_) | Skip::EditedMerge(_)) => Expected::Merges,
        Verdict::Rebased(rebased) => Expected::made(lab, base, rebased.tip),
        Verdict::Broken(conflict) => {
            Expected::Conflict(conflict.commit.to_string(), conflict.paths.into_iter().collect())
        }
        Verdict::Skipped(skip) => Expected::Other(skip.to_string()),
    }
}
