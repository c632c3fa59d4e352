//! Branches of which nothing is left, though base has none of their commits: somebody squashed them, or picked them, onto base by
//! hand.

use super::View;
use crate::branch::Branch;
use crate::git::GitError;
use crate::machine;
use crate::ops::sweep::upstream;
use crate::rebase::{Committer, Engine, MergeTreeEngine, RebaseError, Request, Skip, Verdict};

/// How many branches are looked at in a list or a queue: each takes programs. After a sweep all stand on base but those that it left alone.
pub(super) const FEW: usize = 3;

/// How many commits may be on one of both sides only: git looks at what each of them changes. Who is further away is judged by its
/// deployment.
const FAR: usize = 200;

impl View<'_> {
    /// What a rebase onto base as it is now would make of a branch, by the rules of a deployment. Nothing is written that
    /// stays.
    ///
    /// # Errors
    /// When base or the history of notes cannot be read, or nothing can be written aside.
    pub fn verdict(&self, branch: &Branch) -> Result<Option<Verdict>, RebaseError> {
        let Some(base_tip) = self.base_tip()? else { return Ok(None) };
        if self.stands_on_base(branch.tip)? {
            return Ok(Some(Verdict::Current));
        }
        let upstream = upstream(self.repository, branch.note.as_ref(), base_tip)?;
        let asked = Request { upstream, ..Request::onto_base(branch.name.clone(), branch.tip, base_tip) };
        let aside = self.repository.with_objects_aside()?;
        Ok(MergeTreeEngine::new(&aside, Committer::Keep).for_check().rebase(&[asked])?.pop())
    }

    /// Whether a branch brings nothing that base has not. Where that cannot be found out, or would take long, its deployment
    /// does: it is asked only of branches that are approved, and `false` until then.
    pub(super) fn is_empty(&self, branch: &Branch) -> bool {
        let is_empty = || matches!(self.verdict(branch), Ok(Some(Verdict::Skipped(Skip::Landed))));
        !self.stands_on_base(branch.tip).unwrap_or(true)
            && !self.lacks_objects().unwrap_or(true)
            && !self.is_far(branch).unwrap_or(true)
            && is_empty()
    }

    /// Whether a merge may have to fetch what this clone has left with a remote.
    pub(in crate::ops) fn lacks_objects(&self) -> Result<bool, GitError> {
        let remotes = self.repository.remotes()?;
        let is_promisor = |remote: &String| self.repository.config(&format!("remote.{remote}.promisor"));
        remotes.iter().try_fold(false, |found, remote| Ok(found || is_promisor(remote)?.is_some()))
    }

    /// Whether what is judged has to be made in the repository itself, not aside: a partial clone fetches what it lacks on the way,
    /// and that is to stay; a machine that is not the real one has no other place.
    pub(in crate::ops) fn judges_in_place(&self) -> Result<bool, GitError> {
        Ok(machine::is_simulated() || self.lacks_objects()?)
    }

    /// Whether a branch and base are far from each other.
    fn is_far(&self, branch: &Branch) -> Result<bool, GitError> {
        let Some(base_tip) = self.base_tip()? else { return Ok(true) };
        let most = format!("--max-count={}", 1 + FAR);
        let call = self.repository.git(["rev-list", "--count"]).arg(most);
        let count = call.arg(format!("{base_tip}...{}", branch.tip)).text()?;
        Ok(count.trim().parse::<usize>().map_or(true, |count| count > FAR))
    }

    /// Those among branches that are to be deployed, or kept on base, and bring nothing that base has not, nor has taken back; none
    /// where it would take long to find that out, as when base has just moved.
    pub fn emptied<'b>(&self, branches: &[&'b Branch]) -> Vec<&'b Branch> {
        let is_open = |branch: &&&Branch| branch.state().is_rebased();
        let stands = |branch: &&Branch| self.stands_on_base(branch.tip).unwrap_or(true);
        let elsewhere: Vec<&Branch> =
            branches.iter().filter(is_open).copied().filter(|branch| !stands(branch)).take(1 + FEW).collect();
        let is_had = |branch: &&Branch| self.emptied_by_reverts(branch).is_none();
        match elsewhere.len() {
            0..=FEW => elsewhere.into_iter().filter(|branch| self.is_empty(branch)).filter(is_had).collect(),
            _ => Vec::new(),
        }
    }
}
