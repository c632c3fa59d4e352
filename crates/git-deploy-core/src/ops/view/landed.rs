//! Branches of ours that have landed as somebody else's rebase made them: base has all that they bring, and none of their
//! commits.

use super::View;
use crate::git::GitError;
use crate::git::object::Commit;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ops::approve::is_rebase_of;
use crate::rebase::RebaseError;

/// How many commits of a branch are looked at to find those that have landed.
const FAR: usize = 1000;

/// What has landed of a branch that still stands at commits from before its rebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedElsewhere {
    /// The deployment that landed it; none where its tag is not here.
    pub deployment: Option<DeploymentId>,
    /// The commit that landed.
    pub commit: CommitId,
    /// What that is a rebase of: the branch's tip, or a commit before that.
    pub upstream: CommitId,
    /// Whether that is all that the branch brings.
    pub is_whole: bool,
    /// Whether the branch is checked out here: then git does not delete it.
    pub is_current: bool,
}

/// A commit that is a branch's own.
struct Own {
    id: CommitId,
    commit: Commit,
}

impl Own {
    /// Whether a rebase could have made a commit of this one: it keeps who wrote it, when, and in which words.
    fn is_worded_like(&self, other: &Commit) -> bool {
        self.commit.author == other.author && self.commit.message == other.message
    }
}

impl View<'_> {
    /// What has landed of a branch in a form that a rebase elsewhere gave it, the latest first. Judged by the commits alone,
    /// since notes can be written by everybody who can push: what landed has to be what our rebase makes of the branch's commits
    /// where base stood before.
    ///
    /// # Errors
    /// When refs or history cannot be read, or the rebase cannot be tried.
    pub fn landed_elsewhere(
        &self,
        branch: &RefName,
        tip: CommitId,
    ) -> Result<Option<LandedElsewhere>, RebaseError> {
        let Some(base_tip) = self.base_tip()?.filter(|_| *branch != self.settings.base) else {
            return Ok(None);
        };
        if self.stands_on_base(tip)? {
            return Ok(None);
        }
        // Where tags were not fetched, what landed may still be what the remote has.
        let theirs = self.repository.tip(&self.settings.authority(branch))?.filter(|theirs| *theirs != tip);
        // Where nothing has landed, history needs no walk.
        if theirs.is_none() && self.tags()?.is_empty() {
            return Ok(None);
        }
        let fork = self.repository.merge_base(tip, base_tip)?;
        let Some(fork) = fork.filter(|fork| *fork != tip) else { return Ok(None) };
        let mut landed = self.landed_since(branch, fork)?;
        landed.extend(theirs.map(|theirs| (theirs, None)));
        if landed.is_empty() {
            return Ok(None);
        }
        let own = self.own_commits(tip, fork)?;
        for (commit, deployment) in landed {
            let is_on = |tip| self.repository.is_ancestor(commit, tip);
            // A branch of a name that landed before, and was begun anew since, has that below it.
            if !is_on(base_tip)? || is_on(tip)? {
                continue;
            }
            if let Some((upstream, is_whole)) = self.rebased_to(branch, &own, commit)? {
                let is_current = self.current_branch()?.as_ref() == Some(branch);
                return Ok(Some(LandedElsewhere { deployment, commit, upstream, is_whole, is_current }));
            }
        }
        Ok(None)
    }

    /// The commits that landed under a branch's name since base was where the branch leaves it, and maybe some from before,
    /// the latest first.
    fn landed_since(
        &self,
        branch: &RefName,
        fork: CommitId,
    ) -> Result<Vec<(CommitId, Option<DeploymentId>)>, GitError> {
        let mut found = Vec::new();
        for (index, deployment) in self.landed_latest_first()?.enumerate() {
            let deployment = deployment?;
            let is_named = deployment.branch.as_ref() == Some(branch);
            // Each time that takes a walk through history: it is asked ever more seldom.
            let is_asked = (index + 1).is_power_of_two();
            // A tag can say anything.
            if !(is_named || is_asked) || self.repository.find(deployment.commit.0)?.is_none() {
                continue;
            }
            // What landed before that is below it as well.
            if is_asked && self.repository.is_ancestor(deployment.commit, fork)? {
                break;
            }
            if is_named {
                found.push((deployment.commit, Some(deployment.id.clone())));
            }
        }
        Ok(found)
    }

    /// The last of a branch's own commits that another commit is a rebase of, and whether it is one of all of them.
    fn rebased_to(
        &self,
        branch: &RefName,
        own: &[Own],
        to: CommitId,
    ) -> Result<Option<(CommitId, bool)>, RebaseError> {
        let (Some(tip), last) = (own.first(), self.repository.commit(to)?) else { return Ok(None) };
        for (index, upstream) in own.iter().enumerate().filter(|(_, own)| own.is_worded_like(&last)) {
            let onto = self.stood_on(to, &own[index..]);
            // What follows may be on base by other ways, so that the rebase has left it out.
            for from in [tip.id, upstream.id].into_iter().take(1 + index) {
                if is_rebase_of(self.repository, from, branch, to, onto)? {
                    return Ok(Some((from, from == tip.id)));
                }
            }
        }
        Ok(None)
    }

    /// Where commits stand that were made from those of a branch: base as it was then. A rebase may have left some out.
    fn stood_on(&self, last: CommitId, own: &[Own]) -> CommitId {
        let mut at = last;
        for original in own {
            // Of a history that is cut off nothing further is known.
            let Ok(commit) = self.repository.commit(at) else { break };
            if let (true, [parent]) = (original.is_worded_like(&commit), &commit.parents[..]) {
                at = *parent;
            }
        }
        at
    }

    /// The commits of a branch from its tip on, as far as base does not have them, or to the first merge: nothing makes a rebase
    /// of one.
    fn own_commits(&self, tip: CommitId, fork: CommitId) -> Result<Vec<Own>, GitError> {
        let (mut own, mut id) = (Vec::new(), tip);
        while id != fork && own.len() < FAR {
            let commit = self.repository.commit(id)?;
            let [parent] = commit.parents[..] else { break };
            own.push(Own { id, commit });
            id = parent;
        }
        Ok(own)
    }
}
