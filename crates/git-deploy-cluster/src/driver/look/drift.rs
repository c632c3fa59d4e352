//! What differs from what was applied last, and whose that is.

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Author, Difference, Drift, Effect, Pulse};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::fields::{MANAGER, REPLICAS_MANAGER, has_applied, is_tool};
use serde_json::Value;

use super::super::ClusterDriver;
use super::super::said::named;
use super::super::state::Session;
use super::sight::Sight;
use crate::api_error::ApiErrorKind;
use crate::objects::{How, IN_FLIGHT};
use crate::plan::PlannedObject;

/// Who may have done something besides people.
pub(super) struct Blamed {
    /// The deployment that the cluster was given since the latest success: it failed, and need not have been taken back
    /// whole.
    pub(super) since: Option<DeploymentId>,
}

impl ClusterDriver<'_> {
    /// What differs, object by object.
    pub(super) fn drift(
        &self,
        session: &Session,
        sight: &Sight,
        blamed: &Blamed,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Drift>, Failure> {
        let changed = sight.planned.objects.iter().filter(|object| object.effect == Effect::Change);
        let changed: Vec<Drift> = self.run(Step::Plan, pulse, async {
            let changed = stream::iter(changed).map(|object| changed_by(session, object, blamed));
            Ok(changed.buffered(IN_FLIGHT).collect().await)
        })?;
        let missing = |object, diff| {
            let by = blamed.or_person(None);
            Drift { what: Difference::Missing, object, by, diff }
        };
        let gone = sight.planned.objects.iter().filter(|object| object.effect == Effect::Create);
        let gone = gone.map(|object| missing(named(&object.target.id), some(object.diff())));
        let not_there = sight.untried.iter().filter(|(_, live)| live.is_none());
        let not_there = not_there.map(|(target, _)| missing(named(&target.id), None));
        let jobs = sight.missing_jobs.iter().map(|id| missing(named(id), None));
        let extra = sight.planned.deletions.iter().map(|deletion| Drift {
            what: Difference::Extra,
            object: named(&deletion.id),
            by: if is_ours(&deletion.live) {
                Author::Deployment(blamed.since.clone())
            } else {
                Author::Person(tool(&deletion.live))
            },
            diff: some(deletion.diff()),
        });
        Ok(gone.chain(not_there).chain(jobs).chain(changed).chain(extra).collect())
    }
}

impl Blamed {
    /// Ours, if there was a deployment that may have done it; otherwise a person did.
    fn or_person(&self, tool: Option<String>) -> Author {
        match (&self.since, tool) {
            (Some(since), None) => Author::Deployment(Some(since.clone())),
            (_, tool) => Author::Person(tool),
        }
    }
}

/// Who holds what differs: the API server names everybody but us in a trial that takes nothing over.
async fn changed_by(session: &Session, object: &PlannedObject, blamed: &Blamed) -> Drift {
    let live = object.live.as_ref();
    let how = How { manager: MANAGER, force: false, dry_run: true };
    let target = &object.target;
    let held = match session.connection.apply(target.into(), &target.wanted, how).await {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ApiErrorKind::FieldConflict(conflicts) => conflicts
                .iter()
                .map(|conflict| conflict.manager.clone())
                .find(|manager| manager != REPLICAS_MANAGER && manager != MANAGER),
            _ => None,
        },
    };
    let by = match held {
        Some(manager) if !is_tool(&manager) => Author::Program(manager),
        Some(manager) => Author::Person(Some(manager)),
        None => blamed.or_person(live.and_then(tool)),
    };
    Drift { what: Difference::Changed, object: named(&target.id), by, diff: some(object.diff()) }
}

/// The tool with which a person has written to an object, if there is one.
fn tool(live: &Value) -> Option<String> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let managers = entries.into_iter().flatten().filter_map(|entry| entry["manager"].as_str());
    managers.filter(|manager| is_tool(manager)).map(str::to_owned).next_back()
}

/// Whether we have applied it.
pub(super) fn is_ours(live: &Value) -> bool {
    has_applied(live, MANAGER)
}

fn some(diff: String) -> Option<String> {
    Some(diff).filter(|diff| !diff.is_empty())
}
