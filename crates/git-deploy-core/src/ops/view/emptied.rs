//! Branches of which nothing is left, though base has none of their commits: somebody squashed them, or picked them, onto base by
//! hand.

use std::collections::HashMap;

use super::View;
use crate::branch::{Branch, Status};
use crate::git::GitError;
use crate::ids::RefName;
use crate::machine;
use crate::ops::sweep::upstream;
use crate::rebase::{Committer, Engine, MergeTreeEngine, RebaseError, Request, Skip, Verdict};
use crate::revert::TakenBack;

/// How many branches are looked at in a list or a queue: each takes programs. After a sweep all stand on base but those that it left alone.
pub(super) const FEW: usize = 3;

/// How many commits may be on one of both sides only: git looks at what each of them changes. Who is further away is judged by its
/// deployment.
const FAR: usize = 200;

/// How many branches that base has all of are looked at as to whether it has taken that back.
const MERGED: usize = 10;

/// Branches of which base has had something.
#[derive(Debug, Default)]
pub struct Emptied {
    /// Those that are to be deployed, or kept on base, and bring nothing that base has not.
    pub had: Vec<RefName>,
    /// What base has taken back since, of all of a branch, or of what it begins with.
    pub taken: HashMap<RefName, TakenBack>,
}

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
        self.repository.is_partial()
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
        let call = self.repository.git(["rev-list", "--count"])?.arg(most);
        let count = call.arg(format!("{base_tip}...{}", branch.tip)).text()?;
        Ok(count.trim().parse::<usize>().map_or(true, |count| count > FAR))
    }

    /// What base has had of branches in a list, as far as that is soon found out: of those that do not stand on base nothing where
    /// they are many, as when base has just moved.
    pub fn emptied(&self, branches: &[&Branch]) -> Emptied {
        let mut found = Emptied::default();
        let is_merged = |branch: &&&Branch| matches!(branch.status, Status::Merged { .. });
        for branch in branches.iter().filter(is_merged).take(MERGED) {
            let taken = self.taken_back(branch).ok().flatten();
            found.taken.extend(taken.map(|taken| (branch.name.clone(), taken)));
        }
        for branch in self.few_elsewhere(branches) {
            if branch.state().is_rebased() && self.is_empty(branch) {
                match self.emptied_by_reverts(branch) {
                    Some(taken) => drop(found.taken.insert(branch.name.clone(), taken)),
                    None => found.had.push(branch.name.clone()),
                }
            } else if let Some(taken) = self.beginning_taken_back(&branch.name, branch.tip).ok().flatten() {
                found.taken.insert(branch.name.clone(), taken);
            }
        }
        found
    }

    /// The branches that do not stand on base, if they are few; else those of them that are decided on, if these are.
    fn few_elsewhere<'b>(&self, branches: &[&'b Branch]) -> Vec<&'b Branch> {
        let (mut decided, mut others) = (Vec::new(), Vec::new());
        for branch in branches.iter().copied() {
            let (few, is_full) = match branch.status {
                Status::Deployed { .. } | Status::Merged { .. } => continue,
                Status::Staged | Status::Deployable | Status::Broken { .. } => {
                    let is_full = decided.len() > FEW;
                    (&mut decided, is_full)
                }
                Status::Development => {
                    let is_full = others.len() > FEW;
                    (&mut others, is_full)
                }
            };
            if !is_full && !self.stands_on_base(branch.tip).unwrap_or(true) {
                few.push(branch);
            }
        }
        if decided.len() > FEW {
            return Vec::new();
        }
        if decided.len() + others.len() <= FEW {
            decided.append(&mut others);
        }
        decided
    }
}
