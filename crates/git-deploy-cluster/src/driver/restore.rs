//! Back to what was applied before.

use std::time::Instant;

use futures::stream::{self, StreamExt};
use git_deploy_core::config::deploy_toml::FirstFailure;
use git_deploy_core::deployment::{Close, Failure, Step};
use git_deploy_core::environment::{Previous, Pulse, Rendered, Restored, Work, kept};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{GroupKind, Object, ObjectId};

use super::ClusterDriver;
use super::forward::extent;
use super::jobs::forward_only;
use super::planning::Purpose;
use super::said::{objects, of_git};
use super::state::{Held, Session};
use crate::objects::IN_FLIGHT;
use crate::set::{Change, SetFailure, SetPhase};
use crate::target::Target;

impl ClusterDriver<'_> {
    pub(super) fn go_back(
        &self,
        held: &mut Held,
        work: Work<'_>,
        previous: Option<&Previous>,
        close: &Close,
    ) -> Result<Restored, Failure> {
        let failure = SetFailure::from(close);
        let restoring = Change::to(SetPhase::Restoring).of(work.id).because(failure.clone());
        self.begin_phase(held, Step::Apply, work.pulse, restoring)?;
        let gone_back = self.way_back(held, work, previous);
        let phase = if gone_back.is_ok() { SetPhase::Done } else { SetPhase::Degraded };
        let ended = Change::to(phase).because(failure);
        let told = self.begin_phase(held, Step::Apply, work.pulse, ended);
        gone_back.and_then(|restored| told.map(|()| restored))
    }

    fn way_back(
        &self,
        held: &mut Held,
        work: Work<'_>,
        previous: Option<&Previous>,
    ) -> Result<Restored, Failure> {
        let Some(previous) = previous else { return self.after_a_first_failure(held, work.pulse) };
        if let Some(job) = migrated(held, work.id) {
            let why = format!(
                "one-time job '{job}' ran, and what stood there before may not fit what it left: only forward is safe"
            );
            return Ok(Restored::Left(why));
        }
        self.observer.step("Restoring", &format!("what {} had applied", previous.id));
        let rendered = kept::read(self.repository, previous.kept).map_err(of_git(Step::Apply))?;
        self.apply_again(held, &rendered, work.id, work.pulse)?;
        Ok(Restored::Back)
    }

    /// There is nothing to go back to.
    fn after_a_first_failure(&self, held: &mut Held, pulse: &dyn Pulse) -> Result<Restored, Failure> {
        match self.cluster.first_failure {
            FirstFailure::Keep => {
                Ok(Restored::Left("it was the first, there is nothing to go back to".to_owned()))
            }
            FirstFailure::Remove => {
                self.observer.step("Removing", "what a first deployment left that failed");
                let forward = self.plan_objects(&held.against(), &[], Purpose::ApplyAndPrune, pulse)?;
                self.prune(held, &forward, pulse)?;
                Ok(Restored::Back)
            }
        }
    }

    /// How many of it run is left as it is: somebody may have scaled it since, for a reason.
    fn with_live_replicas(
        &self,
        session: &Session,
        mut objects: Vec<Object>,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Object>, Failure> {
        let targets = self.targets(session, &objects)?;
        self.run(Step::Apply, pulse, async {
            let scaled = |target: &Target| target.wanted.pointer("/spec/replicas").is_some();
            let mut live = stream::iter(targets.iter().enumerate().filter(|(_, target)| scaled(target)))
                .map(|(index, target)| {
                    let live = session.connection.get(target.into());
                    async move { live.await.map(|live| (index, live)) }
                })
                .buffer_unordered(IN_FLIGHT);
            while let Some(found) = live.next().await {
                let (index, live) = found.map_err(|error| {
                    let why = format!("cannot see what runs: {error}");
                    Failure::new(Step::Apply, error.blame(), why).hint(error.hint())
                })?;
                let replicas = live.as_ref().and_then(|live| live.pointer("/spec/replicas")).cloned();
                if let Some(replicas) = replicas {
                    objects[index].value_mut()["spec"]["replicas"] = replicas;
                }
            }
            drop(live);
            Ok(objects)
        })
    }

    /// Applies bytes of before in the same phases, waits, and deletes last what came with what failed.
    fn apply_again(
        &self,
        held: &mut Held,
        rendered: &Rendered,
        id: &DeploymentId,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let (left, again): (Vec<Object>, Vec<Object>) = objects(rendered)?.into_iter().partition(is_left);
        let spares = HOLD_DATA.map(|(group, kind)| GroupKind::new(group, kind));
        let again = self.with_live_replicas(&held.session, again, pulse)?;
        let mut forward = self.plan_objects(&held.against(), &again, Purpose::ApplyAndPrune, pulse)?;
        // What is not applied again is not deleted either; of the kinds that hold data nothing is.
        let left: Vec<Object> = left.into_iter().filter(|object| !holds_data(object.id())).collect();
        forward.wanted.extend(self.targets(&held.session, &left)?);
        forward.spares = spares.into();
        let deadline = Instant::now() + self.cluster.timeout;
        let widened = Change::default().widening(extent(&forward.wanted));
        self.begin_phase(held, Step::Apply, pulse, widened)?;
        let applied = self.apply_planned(held, &forward, id, deadline, pulse)?;
        self.wait_for(held, &applied, deadline, Step::Verify, pulse)?;
        self.prune(held, &forward, pulse)
    }
}

/// The one-time job that ran for this deployment and did not say that going back is safe.
fn migrated(held: &Held, id: &DeploymentId) -> Option<String> {
    forward_only(held.parent.record(), |deployment| deployment == id).map(str::to_owned)
}

/// Kinds that hold what others have written since: never applied again, never deleted on the way back.
const HOLD_DATA: [(&str, &str); 3] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
];

/// What is not applied again: jobs would run again.
fn is_left(object: &Object) -> bool {
    let id = object.id();
    id.is_job() || holds_data(id)
}

fn holds_data(id: &ObjectId) -> bool {
    HOLD_DATA.contains(&(id.group.as_str(), id.kind.as_str()))
}
