//! What stands in each environment, what runs there, and who changes it just now.

use super::former::Former;
use super::{Context, DeployError, Deployer, Errand, Hold, Remains, Whereabouts};
use crate::attempt::{Attempt, Lock, environment_lock};
use crate::config::deploy_toml::{Environment, Frozen, Target};
use crate::deployment::{Failure, Phase};
use crate::environment::{Rendered, Renderer as _, Status};
use crate::git::notes::NotesError;
use crate::ids::EnvironmentName;
use crate::ledger::{Deployment, Outcome, TagError};
use crate::machine;
use crate::ops::under_way::{UnderWayError, is_on_base, under_way};
use crate::queue::{self, Place};

/// How an environment is, in one word; the first that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It could not be asked.
    Unknown,
    /// A deployment failed there, and it was not brought back to what stood there before.
    Degraded,
    /// A deployment was left without a verdict, and nobody works on it.
    Stopped,
    /// A deployment changes it just now.
    Deploying,
    /// Something does not run as it should.
    NotReady,
    /// It stands in another place than the one that deploy.toml leads to.
    Moved,
    /// Something is not as it was applied.
    Drifted,
    /// Nothing was deployed there yet.
    Empty,
    /// It is as it should be.
    Well,
}

impl Health {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Stopped => "stopped",
            Self::Deploying => "deploying",
            Self::NotReady => "not-ready",
            Self::Moved => "moved",
            Self::Drifted => "drifted",
            Self::Empty => "empty",
            Self::Well => "well",
        }
    }

    /// Whether somebody should see to it.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Degraded | Self::Stopped | Self::NotReady | Self::Moved | Self::Drifted)
    }
}

/// A deployment without a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// What was begun, and how far it has come.
    pub attempt: Attempt,
    /// Who holds the environment's lock in git.
    pub holder: Option<Lock>,
    /// Whether nobody works on it, as far as this machine can tell.
    pub is_left: bool,
    /// Whether base has got what it deploys already, and only its verdict is missing.
    pub is_on_base: bool,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentStatus {
    /// Its name.
    pub name: EnvironmentName,
    /// Whether a success there lands.
    pub lands: bool,
    /// Whether it is a cluster.
    pub is_cluster: bool,
    /// The latest deployment that succeeded there.
    pub stands: Option<Deployment>,
    /// The latest deployment, if it did not succeed.
    pub failed: Option<Deployment>,
    /// Where that stands, and where deploy.toml leads to, if these are not the same place.
    pub moved: Option<(Whereabouts, Whereabouts)>,
    /// Whether nothing is deployed there just now, until when, and why.
    pub frozen: Option<Frozen>,
    /// What has no verdict yet.
    pub under_way: Vec<UnderWay>,
    /// What the environment itself says, or why it could not be asked.
    pub asked: Result<Status, Failure>,
}

impl EnvironmentStatus {
    /// How it is.
    pub fn health(&self) -> Health {
        let Ok(status) = &self.asked else { return Health::Unknown };
        let not_ready = |workload: &crate::environment::Workload| {
            workload.ready < workload.wanted || workload.trouble.is_some()
        };
        if self.left().is_some() {
            Health::Degraded
        } else if self.under_way.iter().any(|under_way| under_way.is_left) {
            Health::Stopped
        } else if self.under_way.iter().any(|under_way| under_way.attempt.phase > Phase::Claimed) {
            // What differs from what was applied last is what it is there for.
            Health::Deploying
        } else if status.workloads.iter().any(not_ready) {
            Health::NotReady
        } else if self.moved.is_some() {
            Health::Moved
        } else if !status.drift.is_empty() {
            Health::Drifted
        } else if self.stands.is_none() {
            Health::Empty
        } else {
            Health::Well
        }
    }

    /// What a deployment since the last success left there, if it failed and the environment was not brought back.
    pub fn left(&self) -> Option<&str> {
        self.failed.as_ref().and_then(Deployment::left)
    }
}

/// All that there is to know at one moment.
#[derive(Debug)]
pub struct Overview {
    /// The environments, in the order of `deploy.toml`.
    pub environments: Vec<EnvironmentStatus>,
    /// The queue.
    pub queue: Vec<Place>,
    /// What earlier deployments left in places that nothing leads to any more.
    pub remains: Vec<Remains>,
    /// What holds the queue.
    pub holds: Vec<Hold>,
    /// Notes that cannot be read.
    pub malformed: Vec<NotesError>,
    /// Tags that cannot be read as deployments.
    pub unreadable: Vec<TagError>,
}

impl Overview {
    /// The branch that is deployed next.
    pub fn head(&self) -> Option<&Place> {
        queue::head(&self.queue).filter(|_| self.holds.is_empty())
    }
}

impl Deployer<'_> {
    /// What stands in all environments, or in the one that is named. Fetches and changes nothing.
    ///
    /// # Errors
    /// When git cannot be read. An environment that cannot be asked says so in its place.
    pub fn status(&self, environment: Option<&str>) -> Result<Overview, DeployError> {
        let context = Context::to_look(self)?;
        let wanted = match environment {
            Some(name) => vec![context.named_environment(name)?],
            None => context.deploy_toml.environments().iter().collect(),
        };
        let attempts = under_way(&context.view)?;
        let mut environments = Vec::new();
        for environment in wanted {
            let attempts = attempts.iter().filter(|attempt| attempt.environment == environment.name);
            environments.push(context.status_of(environment, attempts.cloned().collect())?);
            self.interrupt.check()?;
        }
        let mut remains = context.remains()?;
        remains.retain(|remains| environment.is_none_or(|name| name == remains.environment.as_str()));
        let (queue, malformed) = context.view.queue()?;
        let unreadable = context.view.ledger()?.unreadable.clone();
        let mut holds = context.holds()?;
        context.passes(&mut holds)?;
        Ok(Overview { environments, remains, queue, holds, malformed, unreadable })
    }
}

impl Context<'_> {
    fn status_of(
        &self,
        environment: &Environment,
        attempts: Vec<Attempt>,
    ) -> Result<EnvironmentStatus, DeployError> {
        let ledger = self.view.ledger()?;
        let latest = ledger.latest(&environment.name);
        let failed = latest.filter(|latest| latest.outcome != Outcome::Success);
        let failed = ledger.left(&environment.name).or(failed).cloned();
        let stands = ledger.latest_success(&environment.name).cloned();
        let moved = self.moved_from(environment)?;
        let under_way: Result<_, DeployError> =
            attempts.into_iter().map(|attempt| self.under_way(attempt)).collect();
        Ok(EnvironmentStatus {
            name: environment.name.clone(),
            lands: environment.lands,
            frozen: environment.frozen(machine::now()),
            is_cluster: matches!(environment.target, Target::Cluster { .. }),
            asked: self.ask(environment, moved.as_ref(), stands.as_ref()),
            moved: self.places(environment, moved.as_ref()),
            stands,
            failed,
            under_way: under_way?,
        })
    }

    /// What the environment says. Whatever hinders that is the answer: the other environments are still asked.
    /// One that stands elsewhere than where deploy.toml leads to is asked where it stands.
    fn ask(
        &self,
        environment: &Environment,
        moved: Option<&Former>,
        stands: Option<&Deployment>,
    ) -> Result<Status, Failure> {
        let kept = match stands {
            Some(deployment) => self
                .kept_files(environment, &deployment.id)
                .and_then(|kept| kept.render(deployment.commit))?,
            None => Rendered::default(),
        };
        let standing = self.standing(environment).map_err(super::keeping::of_git)?;
        let driver = match moved {
            None => self.driver(environment, Errand::Asked)?,
            Some(Former { deploy_toml, environment, .. }) => {
                self.deployer.site.driver(&self.view, deploy_toml, environment, Errand::Asked)?
            }
        };
        driver.status(&standing, &kept, self.deployer.interrupt)
    }

    /// Where it stands, and where deploy.toml leads to.
    fn places(
        &self,
        environment: &Environment,
        moved: Option<&Former>,
    ) -> Option<(Whereabouts, Whereabouts)> {
        Some((moved?.place.clone(), Whereabouts::of(&self.deploy_toml, environment)?))
    }

    pub(super) fn under_way(&self, attempt: Attempt) -> Result<UnderWay, DeployError> {
        let holder = self.read_lock(&environment_lock(&attempt.environment)?)?.map(|(_, lock)| lock);
        let is_left = holder.as_ref().is_none_or(super::locks::process_is_gone);
        let is_on_base = is_on_base(&self.view, &attempt)?;
        Ok(UnderWay { attempt, holder, is_left, is_on_base })
    }
}

impl From<UnderWayError> for DeployError {
    fn from(error: UnderWayError) -> Self {
        match error {
            UnderWayError::Record { name, error } => Self::Record { name, error },
            UnderWayError::Git(error) => Self::Git(error),
        }
    }
}
