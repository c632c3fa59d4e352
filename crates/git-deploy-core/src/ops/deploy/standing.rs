//! What git knows of an environment, for whoever has to find out whether the environment is that one.

use std::collections::BTreeSet;

use super::{Context, DeployError};
use crate::attempt::rendered_ref;
use crate::config::deploy_toml::{Environment, Target};
use crate::deployment::{Failure, Step};
use crate::environment::Standing;
use crate::environment::kept::KeptFiles;
use crate::ids::{CommitId, DeploymentId};
use crate::ops::fetched::tag_alone;
use crate::ops::under_way::{attempts, under_way};

impl Context<'_> {
    /// What the ledger says of an environment. Not asked for where git is all that there is.
    pub(super) fn standing(&self, environment: &Environment) -> Result<Standing, DeployError> {
        if matches!(environment.target, Target::Rendered { .. }) {
            return Ok(Standing::default());
        }
        let latest = self.view.ledger()?.latest_success(&environment.name).cloned();
        let kept = match &latest {
            Some(latest) => self.kept(environment, &latest.id).map_err(DeployError::Plan)?,
            None => None,
        };
        Ok(Standing {
            root: self.repository().first_commit(self.base_tip)?,
            latest,
            kept,
            known: self.known_ids()?,
            open: under_way(&self.view)?.into_iter().map(|attempt| attempt.id).collect(),
            named: false,
            back_to: None,
        })
    }

    /// Says what has landed last and stands in an environment, where base has it no more: a deployment takes it away there.
    pub(super) fn warn_if_set_back(
        &self,
        environment: &Environment,
        base: CommitId,
    ) -> Result<(), DeployError> {
        let latest = self.view.ledger()?.latest_success(&environment.name);
        let Some(latest) = latest.filter(|latest| environment.lands && latest.landed()) else {
            return Ok(());
        };
        // Of what is not here nothing is known.
        let is_here = self.repository().find(latest.commit.0)?.is_some();
        if is_here && !self.repository().is_ancestor(latest.commit, base)? {
            let of = latest.branch.as_ref().map(|branch| format!(" of '{}'", branch.short()));
            self.deployer.observer.warn(&format!(
                "'{}' lacks {}{}, which stands in {}: it was set back, and what only that brings is taken away",
                self.view.settings.base.short(),
                latest.id,
                of.unwrap_or_default(),
                environment.name
            ));
        }
        Ok(())
    }

    /// All numbers that are known, be it of a verdict or of a claim.
    pub(super) fn known_ids(&self) -> Result<BTreeSet<DeploymentId>, DeployError> {
        let tagged = self.view.ledger()?.ids().cloned();
        let claimed = attempts(&self.view)?.into_iter().map(|(id, _)| id);
        Ok(tagged.chain(claimed).collect())
    }

    /// The commit that keeps what a deployment applied.
    pub(super) fn kept(
        &self,
        environment: &Environment,
        id: &DeploymentId,
    ) -> Result<Option<CommitId>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::of_nobody(Step::Read, error.to_string());
        let name = rendered_ref(&environment.name, id).map_err(|error| failed(&error))?;
        let kept = self.transactor().resolve(&name).map_err(|error| failed(&error))?;
        Ok(kept.map(CommitId))
    }

    /// Why what a deployment applied is not here.
    fn not_kept(&self, of: &DeploymentId) -> Failure {
        if let Ok(Some(_)) = tag_alone(&self.view, of) {
            let reason = format!("what {of} applied is not known here: 'git fetch' brings its tag alone");
            return Failure::of_nobody(Step::Read, reason)
                .hint(Some("get it with: git deploy-sync".to_owned()));
        }
        let reason = format!("what {of} applied is not kept any more: it cannot be applied again");
        Failure::of_nobody(Step::Read, reason)
    }

    /// What makes the objects of an earlier deployment again.
    pub(super) fn kept_files(
        &self,
        environment: &Environment,
        of: &DeploymentId,
    ) -> Result<KeptFiles<'_>, Failure> {
        let kept = self.kept(environment, of)?.ok_or_else(|| self.not_kept(of))?;
        let ledger = self.view.ledger().map_err(|error| Failure::of_nobody(Step::Read, error.to_string()))?;
        let images = ledger.find(of).map(|deployment| deployment.images.clone()).unwrap_or_default();
        Ok(KeptFiles { repository: self.repository(), kept, images })
    }
}
