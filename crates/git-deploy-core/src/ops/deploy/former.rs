//! Where deployments went to while deploy.toml led elsewhere: to another namespace or cluster, or to an environment that is
//! gone from it or has another name now. What they brought stays there, since no later deployment looks there.
//!
//! Known from the deployments themselves: the attempt of each names the base that it was made from, whose deploy.toml says
//! where to it went.

use std::collections::BTreeSet;

use super::{Context, DeployError, Errand};
use crate::config::deploy_toml::{DeployToml, Environment, Target};
use crate::config::deploy_toml_of;
use crate::deployment::Failure;
use crate::environment::Leftover;
use crate::ids::{DeploymentId, EnvironmentName};
use crate::ledger::Deployment;

/// A place in a cluster; displays as `namespace 'shop' of context 'production'`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whereabouts {
    /// The context of the kubeconfig.
    pub context: String,
    /// The namespace.
    pub namespace: String,
    /// What the project is called there.
    pub project: String,
}

impl Whereabouts {
    pub(super) fn of(deploy_toml: &DeployToml, environment: &Environment) -> Option<Self> {
        let Target::Cluster { context, kube_namespace } = &environment.target else { return None };
        let project = deploy_toml.image_name.as_ref()?.project_namespace.clone();
        Some(Self { context: context.clone(), namespace: kube_namespace.clone(), project })
    }

    /// This one and another one, in words that tell them apart.
    pub fn apart_from(&self, other: &Self) -> (String, String) {
        if (&self.context, &self.namespace) != (&other.context, &other.namespace) {
            return (self.to_string(), other.to_string());
        }
        (format!("{self} as project '{}'", self.project), format!("project '{}'", other.project))
    }
}

impl std::fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "namespace '{}' of context '{}'", self.namespace, self.context)
    }
}

/// What deployments brought to a place to which deploy.toml does not lead any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The environment, as it was called then.
    pub environment: EnvironmentName,
    /// The last deployment that went there.
    pub deployment: DeploymentId,
    /// Where.
    pub place: Whereabouts,
    /// Whether the environment's latest success stands there: then it may still be what everybody uses.
    pub stands: bool,
    /// What is there, or why that cannot be told.
    pub found: Result<Leftover, Failure>,
}

/// A deployment, and deploy.toml as it led there.
pub(super) struct Former {
    pub(super) deployment: DeploymentId,
    pub(super) deploy_toml: DeployToml,
    pub(super) environment: Environment,
    pub(super) place: Whereabouts,
    /// Whether the latest success stands there.
    pub(super) stands: bool,
}

impl Context<'_> {
    /// Where the latest success of an environment stands, if deploy.toml leads elsewhere now.
    pub(super) fn moved_from(&self, environment: &Environment) -> Result<Option<Former>, DeployError> {
        let Some(now) = Whereabouts::of(&self.deploy_toml, environment) else { return Ok(None) };
        let Some(latest) = self.view.ledger()?.latest_success(&environment.name) else { return Ok(None) };
        Ok(self.former(latest)?.filter(|former| former.place != now))
    }

    /// Where a deployment went to; nothing where that is not known any more, or was no cluster.
    fn former(&self, deployment: &Deployment) -> Result<Option<Former>, DeployError> {
        if deployment.cluster.is_none() {
            return Ok(None);
        }
        let Some(attempt) = self.attempt(&deployment.id)? else { return Ok(None) };
        let base = attempt.base;
        // One that another version wrote tells nothing, and keeps nobody from anything.
        let Ok(Some(deploy_toml)) = deploy_toml_of(self.repository(), base, &base.brief()) else {
            return Ok(None);
        };
        let Some(environment) = deploy_toml.environment(deployment.environment.as_str()).cloned() else {
            return Ok(None);
        };
        let place = Whereabouts::of(&deploy_toml, &environment);
        let stands = self.stands_with(deployment)?;
        let deployment = deployment.id.clone();
        Ok(place.map(|place| Former { deployment, deploy_toml, environment, place, stands }))
    }

    /// Whether the latest success stands where this deployment went: the UID of a set's parent tells it from all others.
    fn stands_with(&self, deployment: &Deployment) -> Result<bool, DeployError> {
        let latest = self.view.ledger()?.latest_success(&deployment.environment);
        Ok(latest.is_some_and(|latest| latest.cluster == deployment.cluster))
    }

    /// All places in the clusters that deploy.toml leads to where there may be something still, the one apart where an
    /// environment stands just now. Clusters that it does not name any more are nobody's to ask.
    fn former_places(&self) -> Result<Vec<Former>, DeployError> {
        let ledger = self.view.ledger()?;
        let here = |name: &EnvironmentName| self.deploy_toml.environment(name.as_str());
        let now = |environment| Whereabouts::of(&self.deploy_toml, environment);
        let environments = self.deploy_toml.environments();
        let contexts: BTreeSet<String> =
            environments.iter().filter_map(now).map(|place| place.context).collect();
        // One question for each set that there ever was.
        let mut seen = BTreeSet::new();
        let mut deployments: Vec<&Deployment> = ledger.deployments.iter().collect();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.id.number));
        let mut places: BTreeSet<(EnvironmentName, Whereabouts)> = BTreeSet::new();
        for environment in environments {
            places.extend(now(environment).map(|place| (environment.name.clone(), place)));
            let moved = self.moved_from(environment)?;
            places.extend(moved.map(|former| (environment.name.clone(), former.place)));
        }
        let mut found = Vec::new();
        for deployment in deployments {
            let Some(uid) = &deployment.cluster else { continue };
            let stands = self.stands_with(deployment)?;
            if !seen.insert(uid) || (stands && here(&deployment.environment).is_some()) {
                continue;
            }
            let Some(former) =
                self.former(deployment)?.filter(|former| contexts.contains(&former.place.context))
            else {
                continue;
            };
            if places.insert((deployment.environment.clone(), former.place.clone())) {
                found.push(former);
            }
        }
        Ok(found)
    }

    /// What is left in all former places. Where nothing is left, nothing is said.
    pub(super) fn remains(&self) -> Result<Vec<Remains>, DeployError> {
        let mut remains = Vec::new();
        for former in self.former_places()? {
            let standing = self.standing(&former.environment)?;
            let driver = self.deployer.site.driver(
                &self.view,
                &former.deploy_toml,
                &former.environment,
                Errand::Asked,
            );
            let found = driver.and_then(|driver| driver.remains(&standing, self.deployer.interrupt));
            self.deployer.interrupt.check()?;
            if found.as_ref().is_ok_and(|found| found.objects.is_empty()) {
                continue;
            }
            let Former { deployment, environment, place, stands, .. } = former;
            remains.push(Remains { environment: environment.name, deployment, place, stands, found });
        }
        Ok(remains)
    }

    /// Says before a deployment that it goes elsewhere than the one before it, and what that leaves behind.
    pub(super) fn warn_of_move(&self, environment: &Environment) -> Result<(), DeployError> {
        let Some(now) = Whereabouts::of(&self.deploy_toml, environment) else { return Ok(()) };
        let observer = self.deployer.observer;
        if let Some(Former { deployment, place, .. }) = self.moved_from(environment)? {
            let (stands, leads) = place.apart_from(&now);
            observer.warn(&format!(
                "{deployment} stands in {stands}, and deploy.toml leads to {leads}: all that it brought stays there"
            ));
        }
        let ledger = self.view.ledger()?;
        if ledger.latest_success(&environment.name).is_some() {
            return Ok(());
        }
        let is_gone = |name: &EnvironmentName| self.deploy_toml.environment(name.as_str()).is_none();
        for former in self.former_places()? {
            let Former { deployment, environment: Environment { name, .. }, place, .. } = former;
            if is_gone(&name) && place.context == now.context {
                observer.warn(&format!(
                    "'{name}' is not in deploy.toml any more: all that {deployment} brought stays in {place}"
                ));
            }
        }
        Ok(())
    }
}
