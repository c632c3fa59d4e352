//! The queue, and why those in it wait.

use std::collections::HashMap;

use super::{View, ViewError};
use crate::branch::Branch;
use crate::git::GitError;
use crate::git::chains::Chains;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::queue::{self, Judge, Place, Wait};
use crate::state::State;

/// What base and the ledger have to say about branches.
struct OfBase<'v, 'a> {
    view: &'v View<'a>,
    /// What somebody has gone back from where it does not land, once it is asked for: by which deployment, and where.
    undone: Option<HashMap<CommitId, (EnvironmentName, DeploymentId)>>,
}

impl<'v, 'a> OfBase<'v, 'a> {
    fn new(view: &'v View<'a>) -> Self {
        Self { view, undone: None }
    }

    /// Whether the very commit that was approved, or what a rebase has made of it, was gone back from on its way.
    fn rolled_back(&mut self, branch: &Branch) -> Result<Option<Wait>, ViewError> {
        let undone = match &mut self.undone {
            Some(undone) => undone,
            none => none.insert(self.view.undone()?),
        };
        let mut by = undone.get(&branch.tip);
        if let (None, false, Some(note)) = (by, undone.is_empty(), &branch.note) {
            by = self.view.notes.rebased_from(note)?.keys().find_map(|commit| undone.get(commit));
        }
        Ok(by.cloned().map(|(environment, by)| Wait::RolledBack { environment, by }))
    }
}

/// What base and those who may approve have to say about them.
struct OfApprovers<'v, 'a>(OfBase<'v, 'a>);

impl Judge for OfBase<'_, '_> {
    type Error = ViewError;

    fn has_landed(&mut self, branch: &Branch) -> Result<bool, ViewError> {
        Ok(self.view.was_merged(branch)?)
    }

    fn waits(&mut self, branch: &Branch, _: bool) -> Result<Option<Wait>, ViewError> {
        if self.view.is_on_base(branch.tip)? {
            return Ok(Some(Wait::Landed(self.view.settings.base.clone())));
        }
        self.rolled_back(branch)
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
        let view = self.0.view;
        // Each question about an approval starts programs: whoever is behind the next one is asked when its turn comes.
        let unapproved = if is_next { view.not_approved(branch)? } else { view.looks_unapproved(branch)? };
        Ok(unapproved.map(Wait::Unapproved))
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
        queue::order(branches, &mut OfApprovers(OfBase::new(self)))
    }

    /// The same for whoever looks at approvals himself.
    pub(in crate::ops) fn order_unapproved(&self, branches: &[Branch]) -> Result<Vec<Place>, ViewError> {
        queue::order(branches, &mut OfBase::new(self))
    }

    /// The branch that this one is to be deployed after, as long as that is not deployed.
    ///
    /// # Errors
    /// When that one cannot be read, or it cannot be told what base has.
    pub(in crate::ops) fn comes_after(&self, branch: &Branch) -> Result<Option<String>, ViewError> {
        let after = branch.note.as_ref().and_then(|note| RefName::branch(note.after.as_ref()?).ok());
        let other = after.map(|after| self.authority_branch(&after)).transpose()?.flatten();
        let waits = queue::own_waits(branch, |_| other.as_ref(), &mut OfBase::new(self))?;
        Ok(waits.into_iter().find_map(|wait| if let Wait::After(name) = wait { Some(name) } else { None }))
    }

    /// All that a queued branch waits for but its turn, the weightiest first. `branches` are those that count.
    ///
    /// # Errors
    /// When it cannot be told what base has, or whether it is approved.
    pub fn waits(&self, branch: &Branch, branches: &[Branch]) -> Result<Vec<Wait>, ViewError> {
        if branch.state() != State::Deployable {
            return Ok(Vec::new());
        }
        let mut judge = OfApprovers(OfBase::new(self));
        let find = |name: &str| branches.iter().find(|other| other.name.short() == name);
        let mut waits = queue::own_waits(branch, find, &mut judge)?;
        waits.extend(judge.waits(branch, true)?);
        Ok(waits)
    }

    /// The commits that somebody has gone back from in an environment that leads to the one that lands, and how.
    fn undone(&self) -> Result<HashMap<CommitId, (EnvironmentName, DeploymentId)>, ViewError> {
        let mut undone = HashMap::new();
        let Some(deploy_toml) = self.deploy_toml()? else { return Ok(undone) };
        for environment in deploy_toml.before(deploy_toml.landing_environment()) {
            let Some((back, deployments)) = self.gone_back_from(&environment.name)? else { continue };
            let how = (environment.name.clone(), back.id.clone());
            undone.extend(deployments.into_iter().map(|deployment| (deployment.commit, how.clone())));
        }
        Ok(undone)
    }

    /// Whether base has a commit, by whatever means it came there.
    pub(in crate::ops) fn is_on_base(&self, tip: CommitId) -> Result<bool, GitError> {
        let Some(base_tip) = self.base_tip()? else { return Ok(false) };
        Ok(!self.stands_on_base(tip)? && self.repository.is_ancestor(tip, base_tip)?)
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
        if !self.repository.is_ancestor(branch.tip, base_tip)? {
            return Ok(false);
        }
        if branch.state() != State::Development {
            return Ok(true);
        }
        let since = self.repository.log(Some(branch.tip), base_tip)?;
        let parents: HashMap<CommitId, Option<CommitId>> =
            since.iter().map(|logged| (logged.id, logged.parent)).collect();
        let line = std::iter::successors(Some(base_tip), |commit| *parents.get(commit)?);
        Ok(!line.into_iter().any(|commit| commit == branch.tip))
    }
}
