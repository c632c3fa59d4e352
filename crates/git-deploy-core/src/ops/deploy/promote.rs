//! Approving that what stands in one environment goes on to the next one.

use super::hold::Nowhere;
use super::{Context, DeployError, Deployer};
use crate::attempt::Attempt;
use crate::config::deploy_toml::Environment;
use crate::deployment::Phase;
use crate::git::Repository;
use crate::ids::{DeploymentId, RefName};
use crate::ledger::Deployment;
use crate::ops::approve::Approver;
use crate::ops::promote::{stands_at, write};
use crate::ops::under_way::under_way;
use crate::ops::view::View;
use crate::ops::{Interrupt, Observer};
use crate::promotion::Promotion;
use crate::state::State;

/// What is to be approved.
#[derive(Debug, Clone, Default)]
pub struct PromoteRequest {
    /// The branch; none: whichever waits.
    pub branch: Option<RefName>,
    /// The environment that it is to go to; none: the first that asks for an approval, and where what stands before does not
    /// stand yet.
    pub environment: Option<String>,
    /// Whether the approval is taken back instead.
    pub withdraw: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promoted {
    /// It is approved, and what of.
    Approved(Promotion, Option<RefName>),
    /// It was approved already.
    Already(Promotion, Option<RefName>),
    /// It was taken back, and what of; and the deployment that had been begun with it by then.
    Withdrawn(Promotion, Option<RefName>, Option<Late>),
    /// What stood there could not be read, and why; it is gone.
    Cleared(String),
    /// There was nothing to take back.
    NothingWithdrawn,
}

/// A deployment that had been begun when its approval was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Which.
    pub id: DeploymentId,
    /// How far it had come: what is only claimed may still hear of it, what has ended has succeeded.
    pub phase: Phase,
}

/// Approves what stands in the environment before another one to go on there, or takes that back.
///
/// # Errors
/// When nothing waits for it, this user may not, or it cannot be written where it counts.
pub fn promote(
    repository: &Repository,
    request: &PromoteRequest,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Promoted, DeployError> {
    let deployer = Deployer { repository, site: &Nowhere, observer, interrupt };
    deployer.fetch()?;
    let context = Context::new(&deployer)?;
    let environment = context.to_be_approved(request)?;
    let settings = &context.view.settings;
    let seen = stands_at(repository, settings, &environment.name)?;
    if request.withdraw {
        return Ok(match write(repository, settings, &environment.name, (seen, None), observer)? {
            None => Promoted::NothingWithdrawn,
            Some(Err(why)) => Promoted::Cleared(why),
            Some(Ok(withdrawn)) => {
                let late = deployer.begun_with(&withdrawn)?;
                let stood = context.view.ledger()?.find(&withdrawn.deployment);
                let branch = stood.and_then(|stood| stood.branch.clone());
                Promoted::Withdrawn(withdrawn, branch, late)
            }
        });
    }
    let stood = context.waiting(environment, request.branch.as_ref())?;
    let promotion = Promotion {
        environment: environment.name.clone(),
        deployment: stood.id.clone(),
        commit: stood.commit,
        by: context.identity.who().to_owned(),
        since: context.identity.time(),
        signature: None,
    };
    let promotion = match &context.rules {
        None => promotion,
        Some(rules) => {
            Approver::new(repository, rules.clone())?.sign_promotion(promotion)?.map_err(|why| {
                let (environment, branch) = (environment.name.clone(), stood.branch.clone());
                DeployError::MayNotPromote { environment, branch, why }
            })?
        }
    };
    if context.promoted(environment, stood.commit, Some(&stood.id))?.is_ok() {
        return Ok(Promoted::Already(promotion, stood.branch.clone()));
    }
    write(repository, settings, &environment.name, (seen, Some(&promotion)), observer)?;
    Ok(Promoted::Approved(promotion, stood.branch.clone()))
}

fn nothing(why: String) -> DeployError {
    DeployError::NothingToApprove { why, is_elsewhere: true }
}

/// The same where it does not matter what stands elsewhere.
fn not_asked(why: String) -> DeployError {
    DeployError::NothingToApprove { why, is_elsewhere: false }
}

impl Deployer<'_> {
    /// What was begun with an approval before that was taken back, as it stands now that it is.
    fn begun_with(&self, withdrawn: &Promotion) -> Result<Option<Late>, DeployError> {
        self.fetch()?;
        let view = View::new(self.repository)?;
        let is_its = |attempt: &Attempt| {
            attempt.environment == withdrawn.environment && attempt.candidate == withdrawn.commit
        };
        if let Some(attempt) = under_way(&view)?.into_iter().find(is_its) {
            return Ok(Some(Late { id: attempt.id, phase: attempt.phase }));
        }
        let stands = view.ledger()?.latest_success(&withdrawn.environment);
        let stands = stands.filter(|stands| stands.commit == withdrawn.commit);
        Ok(stands.map(|stands| Late { id: stands.id.clone(), phase: Phase::Finished }))
    }
}

impl Context<'_> {
    /// The environment that an approval is about.
    fn to_be_approved(&self, request: &PromoteRequest) -> Result<&Environment, DeployError> {
        if let Some(name) = &request.environment {
            let named = self.named_environment(name)?;
            return Some(named).filter(|named| named.approval).ok_or_else(|| self.asks_for_none(named));
        }
        let asking = self.asking();
        for environment in &asking {
            match self.waiting(environment, None) {
                Ok(_) => return Ok(environment),
                Err(DeployError::NothingToApprove { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let first = asking.first().copied();
        first.ok_or_else(|| not_asked("no environment asks for an approval in base's deploy.toml".to_owned()))
    }

    /// The environments that ask for an approval.
    fn asking(&self) -> Vec<&Environment> {
        self.deploy_toml.environments().iter().filter(|environment| environment.approval).collect()
    }

    fn asks_for_none(&self, named: &Environment) -> DeployError {
        let names: Vec<String> = self.asking().iter().map(|one| format!("'{}'", one.name)).collect();
        let others = match names.is_empty() {
            true => "nor does any other".to_owned(),
            false => format!("only {}", names.join(", ")),
        };
        not_asked(format!(
            "environment '{}' asks for no approval in base's deploy.toml, {others}",
            named.name
        ))
    }

    /// What stands in the environment before.
    fn stands_before(&self, environment: &Environment) -> Result<Option<&Deployment>, DeployError> {
        let Some(before) = &environment.after else { return Ok(None) };
        Ok(self.view.ledger()?.latest_success(before))
    }

    /// The deployment that waits for the approval.
    fn waiting(
        &self,
        environment: &Environment,
        branch: Option<&RefName>,
    ) -> Result<&Deployment, DeployError> {
        let name = &environment.name;
        let Some(stood) = self.stands_before(environment)? else {
            return Err(nothing(format!("nothing was deployed yet that could go to '{name}'")));
        };
        let (id, before) = (&stood.id, &stood.environment);
        let of = |branch: &RefName| format!("'{}'", branch.short());
        let what = stood.branch.as_ref().map_or_else(|| stood.commit.brief(), of);
        if branch.is_some_and(|branch| stood.branch.as_ref() != Some(branch)) {
            let asked = branch.map(of).unwrap_or_default();
            return Err(nothing(format!("{asked} does not stand in '{before}', where {what} does ({id})")));
        }
        if self.stands(environment, stood.commit)?.is_some() {
            return Err(not_asked(format!("{what} stands in '{name}' already")));
        }
        // What has landed can go on to where it has not been yet, whatever became of its branch.
        let has_landed = self.repository().is_ancestor(stood.commit, self.base_tip)?;
        if let Some(branch) = stood.branch.as_ref().filter(|_| !has_landed) {
            let found = self.view.authority_branch(branch)?;
            let is_waiting = |found: &crate::branch::Branch| {
                found.tip == stood.commit && found.state() == State::Deployable
            };
            if !found.as_ref().is_some_and(is_waiting) {
                return Err(nothing(format!("{what} is not any more what {id} brought to '{before}'")));
            }
        }
        Ok(stood)
    }
}
