//! What git knows of an environment, for whoever has to find out whether the environment is that one.

use std::collections::BTreeSet;

use super::{Context, DeployError};
use crate::attempt::{Attempt, rendered_ref};
use crate::config::deploy_toml::{Environment, Target};
use crate::deployment::{Failure, Step};
use crate::environment::Standing;
use crate::environment::kept::KeptFiles;
use crate::ids::{CommitId, DeploymentId};
use crate::ledger::Deployment;
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
            retry_jobs: Vec::new(),
        })
    }

    /// Says what has landed last and stands in an environment, where base has it no more: a deployment takes it away there,
    /// or brings it onto base again.
    pub(super) fn warn_if_set_back(&self, environment: &Environment, attempt: &Attempt) {
        // A mere warning is no reason to deploy nothing, where history cannot be read.
        let Ok(Some((gone, comes_back))) = self.set_back(environment, attempt) else { return };
        let base = self.view.settings.base.short();
        let of = gone.branch.as_ref().map(|branch| format!(" of '{}'", branch.short())).unwrap_or_default();
        let (id, environment) = (&gone.id, &environment.name);
        self.deployer.observer.warn(&if comes_back {
            format!("'{base}' was set back and lacks {id}{of}, which comes there again with this")
        } else {
            format!(
                "'{base}' was set back and lacks {id}{of}, which stands in {environment}: what only that brings is \
                 taken away"
            )
        });
    }

    /// What has landed last, where base lacks it, and whether the candidate has it.
    fn set_back(
        &self,
        environment: &Environment,
        attempt: &Attempt,
    ) -> Result<Option<(Deployment, bool)>, DeployError> {
        let (repository, ledger) = (self.repository(), self.view.ledger()?);
        let latest =
            ledger.latest_success(&environment.name).and_then(|latest| ledger.find(latest.applied()));
        let Some(latest) = latest.filter(|latest| environment.lands && latest.landed()) else {
            return Ok(None);
        };
        // Of what is not here nothing is known, nor where only a part of history is.
        let is_known = repository.find(latest.commit.0)?.is_some()
            && !repository.is_cut_off_between(latest.commit, attempt.base)?;
        if !is_known || repository.is_ancestor(latest.commit, attempt.base)? {
            return Ok(None);
        }
        let comes_back = repository.is_ancestor(latest.commit, attempt.candidate)?;
        Ok(Some((latest.clone(), comes_back)))
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
