//! What base's `deploy.toml` says: which branches environments are rendered into, and who may approve.

use super::{View, ViewError};
use crate::approval::NotApproved;
use crate::branch::Branch;
use crate::config::deploy_toml::{DeployToml, Target};
use crate::config::{ConfigError, deploy_toml_of};
use crate::ids::RefName;
use crate::ops::approve::{self, Past, Rules};
use crate::state::State;

impl View<'_> {
    /// Base's `deploy.toml`. One that cannot be read says nothing: who deploys is told so, who only looks is not kept from
    /// it.
    pub(in crate::ops) fn deploy_toml(&self) -> Result<Option<&DeployToml>, ViewError> {
        if let Some(deploy_toml) = self.deploy_toml.get() {
            return Ok(deploy_toml.as_ref());
        }
        let base = self.settings.base.short();
        let read = self.base_tip()?.map(|base_tip| deploy_toml_of(self.repository, base_tip, base));
        let deploy_toml = match read.transpose() {
            Ok(deploy_toml) => deploy_toml.flatten(),
            Err(ConfigError::DeployToml { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.deploy_toml.get_or_init(|| deploy_toml).as_ref())
    }

    /// The branches of `rendered` environments, as base's `deploy.toml` names them.
    pub(in crate::ops) fn rendered_branches(&self) -> Result<Vec<RefName>, ViewError> {
        let environments = self.deploy_toml()?.map(DeployToml::environments).unwrap_or_default();
        let branches = environments.iter().filter_map(|environment| match &environment.target {
            Target::Rendered { branch, .. } => RefName::branch(branch).ok(),
            Target::Cluster { .. } => None,
        });
        Ok(branches.collect())
    }

    /// Who may approve, as base's `deploy.toml` says it; none if everybody may who can push.
    ///
    /// # Errors
    /// When base cannot be read.
    pub fn rules(&self) -> Result<Option<&Rules>, ViewError> {
        if let Some(rules) = self.rules.get() {
            return Ok(rules.as_ref());
        }
        let rules = match (self.deploy_toml()?, self.base_tip()?) {
            (Some(deploy_toml), Some(base_tip)) => Rules::of(self.repository, deploy_toml, base_tip)?,
            _ => None,
        };
        Ok(self.rules.get_or_init(|| rules).as_ref())
    }

    /// Fails where base has a `deploy.toml` that cannot be read: then nobody knows who may approve.
    ///
    /// # Errors
    /// That it cannot.
    pub(in crate::ops) fn check_deploy_toml(&self) -> Result<(), ViewError> {
        if let (None, Some(base_tip)) = (self.deploy_toml()?, self.base_tip()?) {
            deploy_toml_of(self.repository, base_tip, self.settings.base.short())?;
        }
        Ok(())
    }

    /// Why a branch that is deployable is not approved by the rules of base, if it is not.
    ///
    /// # Errors
    /// When it could not be found out.
    pub fn not_approved(&self, branch: &Branch) -> Result<Option<NotApproved>, ViewError> {
        if branch.state() != State::Deployable {
            return Ok(None);
        }
        let (Some(rules), Some(base_tip)) = (self.rules()?, self.base_tip()?) else { return Ok(None) };
        let Some(note) = &branch.note else { return Ok(Some(NotApproved::Unsigned)) };
        let past = Past { notes: &self.notes, has_landed: &self.has_landed() };
        let of = (&branch.name, branch.tip);
        Ok(approve::judge(self.repository, rules, &past, base_tip, of, note)?.err())
    }

    /// The same as far as it shows without starting a program, for many branches.
    ///
    /// # Errors
    /// When base cannot be read.
    pub fn looks_unapproved(&self, branch: &Branch) -> Result<Option<NotApproved>, ViewError> {
        let rules = self.rules()?.filter(|_| branch.state() == State::Deployable);
        let looks = rules.zip(branch.note.as_ref()).map(|(rules, note)| rules.looks_signed(note));
        Ok(looks.and_then(Result::err))
    }
}
