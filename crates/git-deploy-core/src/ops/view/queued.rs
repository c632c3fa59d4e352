//! The queue, and why those in it wait.

use std::collections::HashMap;

use super::{View, ViewError, emptied};
use crate::branch::{Branch, Status};
use crate::git::GitError;
use crate::git::chains::Chains;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ledger::{Deployment, Outcome, age};
use crate::note::Note;
use crate::queue::{self, Judge, Place, Wait};
use crate::state::State;

/// What somebody has gone back from where it does not land.
pub(super) struct Undone {
    /// What its commit was made from, or itself.
    line: CommitId,
    /// The latest success of that commit.
    deployment: Deployment,
    /// The way back.
    by: DeploymentId,
}

/// What base and the ledger have to say about branches.
struct OfBase<'v, 'a>(&'v View<'a>);

/// What base and those who may approve have to say about them; and how many of them may still be looked at as to whether
/// anything is left of them, which takes programs.
struct OfApprovers<'v, 'a>(OfBase<'v, 'a>, usize);

impl Judge for OfBase<'_, '_> {
    type Error = ViewError;

    fn has_landed(&mut self, branch: &Branch) -> Result<bool, ViewError> {
        Ok(self.0.was_merged(branch)?)
    }

    fn waits(&mut self, branch: &Branch, _: bool) -> Result<Option<Wait>, ViewError> {
        self.0.rolled_back(branch)
    }
}

impl Judge for OfApprovers<'_, '_> {
    type Error = ViewError;

    fn has_landed(&mut self, branch: &Branch) -> Result<bool, ViewError> {
        self.0.has_landed(branch)
    }

    fn waits(&mut self, branch: &Branch, is_next: bool) -> Result<Option<Wait>, ViewError> {
        if let Some(wait) = self.0.waits(branch, is_next)? {
            return Ok(Some(wait));
        }
        let OfBase(view) = self.0;
        // Only whoever would be next is asked what takes programs; the others are when their turn comes.
        let unapproved = if is_next { view.not_approved(branch)? } else { view.looks_unapproved(branch)? };
        if unapproved.is_some() || !is_next || self.1 == 0 {
            return Ok(unapproved.map(Wait::Unapproved));
        }
        self.1 -= 1;
        if !view.is_empty(branch) {
            return Ok(None);
        }
        let taken = view.emptied_by_reverts(branch);
        Ok(Some(taken.map_or_else(|| Wait::Empty(view.settings.base.clone()), Wait::TakenBack)))
    }
}

impl View<'_> {
    /// The queue, and what could not be read on the way.
    ///
    /// # Errors
    /// When refs or notes cannot be read.
    pub fn queue(&self) -> Result<(Vec<Place>, Vec<NotesError>), ViewError> {
        let found = self.authority_branches()?;
        Ok((self.order(&found.branches)?, found.malformed))
    }

    /// The queue of these branches, as all see it.
    ///
    /// # Errors
    /// When it cannot be told what base has, or who is approved.
    pub fn order(&self, branches: &[Branch]) -> Result<Vec<Place>, ViewError> {
        queue::order(branches, &mut OfApprovers(OfBase(self), emptied::FEW))
    }

    /// The same for whoever looks at approvals himself.
    pub(in crate::ops) fn order_unapproved(&self, branches: &[Branch]) -> Result<Vec<Place>, ViewError> {
        queue::order(branches, &mut OfBase(self))
    }

    /// The branch that this one is to be deployed after, as long as that is not deployed.
    ///
    /// # Errors
    /// When that one cannot be read, or it cannot be told what base has.
    pub(in crate::ops) fn comes_after(&self, branch: &Branch) -> Result<Option<String>, ViewError> {
        let mut others = Vec::new();
        for name in branch.note.iter().flat_map(Note::awaited).filter_map(|name| RefName::branch(name).ok()) {
            others.extend(self.authority_branch(&name)?);
        }
        let find = |name: &str| others.iter().find(|other| other.name.short() == name);
        let waits = queue::own_waits(branch, find, &mut OfBase(self))?;
        Ok(waits.into_iter().find_map(|wait| match wait {
            Wait::After(name) | Wait::Stuck { after: name, .. } => Some(name),
            Wait::Held(_)
            | Wait::Unapproved(_)
            | Wait::RolledBack { .. }
            | Wait::Empty(_)
            | Wait::TakenBack(_)
            | Wait::Behind(_) => None,
        }))
    }

    /// All that a queued branch waits for but its turn, the weightiest first. `branches` are those that count.
    ///
    /// # Errors
    /// When it cannot be told what base has, or whether it is approved.
    pub fn waits(&self, branch: &Branch, branches: &[Branch]) -> Result<Vec<Wait>, ViewError> {
        if branch.state() != State::Deployable {
            return Ok(Vec::new());
        }
        let mut judge = OfApprovers(OfBase(self), emptied::FEW);
        let find = |name: &str| branches.iter().find(|other| other.name.short() == name);
        let mut waits = queue::own_waits(branch, find, &mut judge)?;
        waits.extend(judge.waits(branch, true)?);
        Ok(waits)
    }

    /// Whether the very commit that was approved, or what a rebase has made of it, was gone back from on its way.
    fn rolled_back(&self, branch: &Branch) -> Result<Option<Wait>, ViewError> {
        let line = branch.note.as_ref().map_or(branch.tip, |note| note.line(branch.tip));
        for undone in self.undone()?.iter().filter(|undone| undone.line == line) {
            // Whoever has named what a rebase has made of it since has meant that.
            if !self.came_since(undone)? {
                let (environment, by) = (undone.deployment.environment.clone(), undone.by.clone());
                return Ok(Some(Wait::RolledBack { environment, by }));
            }
        }
        Ok(None)
    }

    /// What somebody has gone back from in the environments that lead to the one that lands. Of the ledger only the tags are read
    /// that these environments give their names to.
    fn undone(&self) -> Result<&[Undone], ViewError> {
        if let Some(undone) = self.undone.get() {
            return Ok(undone);
        }
        let mut undone = Vec::new();
        let row =
            self.deploy_toml()?.map(|deploy_toml| deploy_toml.before(deploy_toml.landing_environment()));
        for environment in row.into_iter().flatten() {
            let ledger = self.ledger_of(&environment.name)?;
            for (deployment, back) in ledger.undone(&environment.name) {
                let line = self.line(deployment.commit)?;
                undone.push(Undone { line, deployment: deployment.clone(), by: back.id.clone() });
            }
        }
        Ok(self.undone.get_or_init(|| undone))
    }

    /// Whether a commit of the same line was deployed there successfully since.
    fn came_since(&self, undone: &Undone) -> Result<bool, ViewError> {
        for later in self.newest_first(&undone.deployment.environment)? {
            let later = later?;
            if age(&later.id) <= age(&undone.deployment.id) {
                break;
            }
            if later.outcome == Outcome::Success && self.line(later.commit)? == undone.line {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line of rebases that a commit belongs to, as far as its note can be read.
    fn line(&self, commit: CommitId) -> Result<CommitId, NotesError> {
        match self.notes.get(commit) {
            Err(NotesError::Note { .. }) => Ok(commit),
            note => Ok(note?.map_or(commit, |note| note.line(commit))),
        }
    }

    /// Whether base has a commit, by whatever means it came there.
    pub(in crate::ops) fn is_on_base(&self, tip: CommitId) -> Result<bool, GitError> {
        let Some(base_tip) = self.base_tip()? else { return Ok(false) };
        if self.stands_on_base(tip)? {
            return Ok(false);
        }
        if let Some(known) = self.merged.borrow().get(&tip) {
            return Ok(*known);
        }
        let is_there = self.repository.is_ancestor(tip, base_tip)?;
        self.merged.borrow_mut().insert(tip, is_there);
        Ok(is_there)
    }

    /// Finds out for many commits at once whether base has them, as far as that can be told.
    pub(in crate::ops) fn look_on_base(&self, tips: &[CommitId]) -> Result<(), GitError> {
        let Some(base_tip) = self.base_tip()?.filter(|_| tips.len() > 1) else { return Ok(()) };
        // One that is lost keeps git from telling it of the others: they are asked about one by one.
        if let Ok(found) = self.repository.among(tips, base_tip) {
            self.merged.borrow_mut().extend(tips.iter().map(|tip| (*tip, found.contains(tip))));
        }
        Ok(())
    }

    /// Whether a commit comes right after base, and is therefore not on it. Quickly told for those that are kept there;
    /// `false` also where it takes longer.
    pub(super) fn stands_on_base(&self, tip: CommitId) -> Result<bool, GitError> {
        let Some(base_tip) = self.base_tip()? else { return Ok(false) };
        let mut known = self.on_base.borrow_mut();
        Ok(known.get_or_insert_with(|| Chains::on(base_tip)).reach(self.repository, tip))
    }

    /// Whether base has got what a branch brings by other means than a deployment.
    ///
    /// A branch that nobody has decided about and that stands where base itself has been has brought nothing: it was made
    /// there, and its commits are yet to come. Somebody can have decided only about one with commits of its own.
    fn was_merged(&self, branch: &Branch) -> Result<bool, GitError> {
        let Some(base_tip) = self.base_tip()?.filter(|_| branch.name != self.settings.base) else {
            return Ok(false);
        };
        if matches!(branch.status, Status::Merged { .. }) {
            return Ok(true);
        }
        if !self.is_on_base(branch.tip)? {
            return Ok(false);
        }
        let since = self.repository.log(Some(branch.tip), base_tip)?;
        let parents: HashMap<CommitId, Option<CommitId>> =
            since.iter().map(|logged| (logged.id, logged.parent)).collect();
        let line = std::iter::successors(Some(base_tip), |commit| *parents.get(commit)?);
        Ok(!line.into_iter().any(|commit| commit == branch.tip))
    }
}
