//! What holds the queue: whoever takes its head then has to be told by a person what to do. Known from git alone.

use super::{Context, DeployError, DeployRequest, Deployer, Errand, RolledBack, Site};
use crate::config::ConfigError;
use crate::config::deploy_toml::{DeployToml, Environment, Frozen, Target};
use crate::deployment::{Failure, Step};
use crate::environment::{Driver, Renderer};
use crate::hold::QueueHold;
use crate::ids::{DeploymentId, EnvironmentName, RefName};
use crate::ledger::Outcome;
use crate::ops::hold::queue_hold;
use crate::ops::view::{View, ViewError};
use crate::ops::{Interrupt, Observer};

/// Why nothing is taken from the queue by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Somebody asked for it.
    Asked(QueueHold),
    /// Somebody went back, and base still has what was gone back from.
    RolledBack(RolledBack),
    /// A deployment failed, and the environment stands neither at it nor at what was there before.
    Degraded {
        /// Where.
        environment: EnvironmentName,
        /// Whether what is deployed there lands.
        lands: bool,
        /// The deployment that failed.
        by: DeploymentId,
        /// What it left.
        left: String,
    },
    /// The head of the queue waits for somebody to approve that it goes on.
    Unpromoted {
        /// Where to.
        environment: EnvironmentName,
        /// The head.
        branch: RefName,
        /// The deployment that verified it in the environment before.
        deployment: DeploymentId,
        /// Why an approval that there is does not count.
        why: Option<String>,
    },
    /// The head of the queue waits until something may be deployed again where it goes.
    Frozen {
        /// Where to.
        environment: EnvironmentName,
        /// The head.
        branch: RefName,
        /// Until when, and why.
        frozen: Frozen,
    },
}

/// What holds the queue of a repository, and the branch that is taken from it nevertheless. Asks no environment.
///
/// # Errors
/// When git cannot be read.
pub fn holds(
    view: &View<'_>,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<(Vec<Hold>, Option<RefName>), DeployError> {
    let deployer = Deployer { repository: view.repository, site: &Nowhere, observer, interrupt };
    match Context::to_look_at(&deployer, view.clone()) {
        Ok(context) => {
            let mut holds = context.holds()?;
            let passes = context.passes(&mut holds)?;
            Ok((holds, passes))
        }
        // Where nothing says where to, nothing is held.
        Err(DeployError::View(ViewError::Config(ConfigError::NoDeployToml(_)))) => Ok((Vec::new(), None)),
        Err(error) => Err(error),
    }
}

impl Context<'_> {
    /// All that holds the queue.
    pub(super) fn holds(&self) -> Result<Vec<Hold>, DeployError> {
        let asked = queue_hold(self.repository(), &self.view.settings)?.map(Hold::Asked);
        let mut holds: Vec<Hold> =
            asked.into_iter().chain(self.rolled_back()?.map(Hold::RolledBack)).collect();
        for environment in self.deploy_toml.environments() {
            let is_asked = matches!(environment.target, Target::Cluster { .. });
            holds.extend(if is_asked { self.degraded(environment)? } else { None });
        }
        // Who waits on its way is asked for nothing as long as nobody is taken; somebody is where only an environment is
        // degraded, which may be another than the next one's.
        if holds.iter().all(|hold| matches!(hold, Hold::Degraded { .. })) {
            holds.extend(self.waits_in_the_row()?);
        }
        Ok(holds)
    }

    /// That the latest deployment since the last success that has left something there holds the queue.
    fn degraded(&self, environment: &Environment) -> Result<Option<Hold>, DeployError> {
        let mut degraded = None;
        for deployment in self.view.newest_first(&environment.name)? {
            let deployment = deployment?;
            if deployment.outcome == Outcome::Success {
                return Ok(degraded);
            }
            if let (None, Some(left)) = (&degraded, deployment.left()) {
                let (name, lands, left) = (environment.name.clone(), environment.lands, left.to_owned());
                degraded = Some(Hold::Degraded { environment: name, lands, by: deployment.id, left });
            }
        }
        // A first deployment that failed is left to be looked at: there is nothing that it stands in the way of.
        Ok(None)
    }

    /// The branch that the next deployment takes from the queue although that is held: what takes back what was rolled back.
    /// What keeps that on its way is what holds the queue then, before all else.
    pub(super) fn passes(&self, holds: &mut Vec<Hold>) -> Result<Option<RefName>, DeployError> {
        let is_rollback = |hold: &Hold| matches!(hold, Hold::RolledBack(_));
        if holds.is_empty() || !holds.iter().all(is_rollback) {
            return Ok(None);
        }
        let candidate = match self.pick(&DeployRequest::default(), true) {
            Ok(picked) => picked.ok().map(|pick| pick.candidate),
            // Whatever else keeps the next one says so when it is its turn.
            Err(DeployError::Git(error)) => return Err(error.into()),
            Err(_) => None,
        };
        let Some((branch, commit)) = candidate.and_then(|one| Some((one.branch()?.clone(), one.commit())))
        else {
            return Ok(None);
        };
        for hold in holds.iter_mut() {
            if let Hold::RolledBack(held) = hold {
                held.taken_back_by = Some(branch.clone());
            }
        }
        let waits = self.waits_for(branch.clone(), commit)?;
        let is_free = waits.is_none();
        holds.splice(0..0, waits);
        Ok(Some(branch).filter(|_| is_free))
    }
}

/// For what can be answered without asking any environment.
pub(super) struct Nowhere;

impl Nowhere {
    fn refused() -> Failure {
        Failure::of_nobody(Step::Plan, "no environment is asked here")
    }
}

impl Site for Nowhere {
    fn driver<'a>(
        &'a self,
        _: &'a View<'_>,
        _: &'a DeployToml,
        _: &Environment,
        _: Errand,
    ) -> Result<Box<dyn Driver + 'a>, Failure> {
        Err(Self::refused())
    }

    fn renderer<'a>(
        &'a self,
        _: &'a View<'_>,
        _: &'a DeployToml,
        _: &'a Environment,
    ) -> Result<Box<dyn Renderer + 'a>, Failure> {
        Err(Self::refused())
    }
}
