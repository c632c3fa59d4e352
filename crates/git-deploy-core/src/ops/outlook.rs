//! When those in the queue land, by what the ledger knows.

use jiff::Timestamp;

use crate::attempt::Attempt;
use crate::config::deploy_toml::DeployToml;
use crate::deployment::Phase;
use crate::forecast::{BASIS, Expected, Known, Past, Running, forecast};
use crate::git::{GitError, Repository};
use crate::ids::RefName;
use crate::ledger::Deployment;
use crate::machine;
use crate::ops::view::{View, ViewError};
use crate::queue::Place;

/// The present, as deployments are dated.
pub fn now(repository: &Repository) -> Timestamp {
    // Who only looks need not be anybody.
    repository.identity().map_or_else(|_| machine::now(), |identity| identity.time())
}

/// When each branch of the queue lands, in its order. `held`: the queue is held, but for the branch that passes.
///
/// # Errors
/// When base or the tags of deployments cannot be read.
pub fn expected(
    view: &View<'_>,
    places: &[Place],
    under_way: &[Attempt],
    (held, passes): (bool, Option<&RefName>),
) -> Result<Vec<Expected>, ViewError> {
    let environments = view.deploy_toml()?.map(DeployToml::row).unwrap_or_default();
    let mut line = Vec::new();
    for environment in &environments {
        let counts = |read: &Result<Deployment, _>| read.as_ref().map_or(true, Past::counts);
        let latest = view.newest_first(&environment.name)?.filter(counts).take(BASIS);
        line.push(Past::of(&latest.collect::<Result<Vec<_>, GitError>>()?));
    }
    let running: Vec<Running> = under_way
        .iter()
        .map(|attempt| Running {
            id: attempt.id.clone(),
            branch: attempt.branch.clone(),
            started: attempt.started,
            environment: environments.iter().position(|environment| environment.name == attempt.environment),
            waits: attempt.phase == Phase::Verified,
        })
        .collect();
    let known = Known { line: &line, running: &running, held, passes, now: now(view.repository) };
    Ok(forecast(places, known))
}
