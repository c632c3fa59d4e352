//! How an environment stands. Nothing is changed.

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Effect, Pulse, Rendered, Standing, Status, Workload};
use git_deploy_manifest::readiness::ready_of_wanted;

use super::ClusterDriver;
use super::planning::Purpose;
use super::said::{objects, of_lease, told};
use super::state::Against;
use crate::plan::PlannedObject;
use crate::set::Parent;

impl ClusterDriver<'_> {
    pub(super) fn look(
        &self,
        standing: &Standing,
        kept: &Rendered,
        pulse: &dyn Pulse,
    ) -> Result<Status, Failure> {
        let session = self.session(pulse)?;
        let parent = self.known_parent(&session, standing)?;
        let set = self.set(standing)?;
        let place = self.lease_place(&session, &set);
        let holder = self
            .run(Step::Plan, pulse, async { place.standing().await.map_err(of_lease(Step::Plan)) })?
            .map(|(lock, _)| lock);
        let against = Against { session, set, parent };
        let forward = self.plan_objects(&against, &objects(kept)?, Purpose::Look, pulse)?;
        let mut drift = told(&forward);
        drift.objects.retain(|object| object.effect != Effect::Keep);
        let says = against
            .parent
            .as_ref()
            .map(Parent::record)
            .and_then(|record| Some(format!("{}: {}", record.deployment.as_ref()?, record.phase?)));
        let workloads = forward.planned.objects.iter().filter_map(workload).collect();
        Ok(Status { workloads, drift, holder, says })
    }
}

/// How a workload stands that is there.
fn workload(object: &PlannedObject) -> Option<Workload> {
    let live = object.live.as_ref()?;
    let (ready, wanted) = ready_of_wanted(&object.target.id, live)?;
    let trouble = (ready < wanted).then(|| "not ready".to_owned());
    Some(Workload { title: object.target.id.to_string(), ready, wanted, trouble })
}
