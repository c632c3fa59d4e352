//! When those in the queue land, by what the ledger knows.

use jiff::Timestamp;

use crate::attempt::Attempt;
use crate::config::deploy_toml::{DeployToml, Environment};
use crate::deployment::Phase;
use crate::forecast::{BASIS, Come, Expected, Known, Leg, Past, Running, forecast};
use crate::git::{GitError, Repository};
use crate::ids::RefName;
use crate::ledger::Deployment;
use crate::machine;
use crate::ops::deploy::Hold;
use crate::ops::view::{View, ViewError};
use crate::queue::{Place, head};

/// The present, as deployments are dated.
pub fn now(repository: &Repository) -> Timestamp {
    // Who only looks need not be anybody.
    repository.identity().map_or_else(|_| machine::now(), |identity| identity.time())
}

/// When each branch of the queue lands, in its order. `holds` is what holds it, but for the branch that passes.
///
/// # Errors
/// When base or the tags of deployments cannot be read.
pub fn expected(
    view: &View<'_>,
    places: &[Place],
    under_way: &[Attempt],
    (holds, passes): (&[Hold], Option<&RefName>),
) -> Result<Vec<Expected>, ViewError> {
    let environments = view.deploy_toml()?.map(DeployToml::row).unwrap_or_default();
    let mut line = Vec::new();
    for environment in environments.iter().copied() {
        let counts = |read: &Result<Deployment, _>| read.as_ref().map_or(true, Past::counts);
        let latest = view.newest_first(&environment.name)?.filter(counts).take(BASIS);
        let past = Past::of(&latest.collect::<Result<Vec<_>, GitError>>()?);
        line.push(Leg { environment, past });
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
    // What ends by itself, or is of one branch on its way, is part of that way.
    let is_held = |hold: &Hold| !matches!(hold, Hold::Unpromoted { .. } | Hold::Frozen { .. });
    let held = holds.iter().any(is_held);
    let is_missing = holds.iter().any(|hold| matches!(hold, Hold::Unpromoted { .. }));
    let come = match head(places) {
        Some(head) => stages(view, &environments, head)?.map(|stages| Come {
            branch: &head.branch,
            stages,
            approved: !is_missing,
        }),
        None => None,
    };
    let known = Known { line: &line, come, running: &running, held, passes, now: now(view.repository) };
    Ok(forecast(places, known))
}

/// How many environments are behind the head of the queue, if it has not to be rebased, which would begin anew.
fn stages(view: &View<'_>, environments: &[&Environment], head: &Place) -> Result<Option<usize>, ViewError> {
    let Some(base_tip) = view.base_tip()?.filter(|_| environments.len() > 1) else { return Ok(None) };
    if !view.repository.is_ancestor(base_tip, head.tip)? {
        return Ok(None);
    }
    for (index, environment) in environments.iter().enumerate().rev() {
        if view.latest_success(&environment.name)?.is_some_and(|latest| latest.commit == head.tip) {
            return Ok(Some(index + 1));
        }
    }
    Ok(None)
}
