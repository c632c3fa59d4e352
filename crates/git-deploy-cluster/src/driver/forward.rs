//! Forward: apply step by step, wait, and delete what is no longer wanted.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Effect, Pulse, Rendered, Work};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{Extent, ObjectId, Stage, part_of};

use super::ClusterDriver;
use super::deadline::Deadline;
use super::said::{of_api, of_lease, of_set, open_if};
use super::session::learn_kinds;
use super::state::{Done, Forward, Held, Session};
use super::waiting::{Wait, waits_for};
use crate::apply::{ApplyOptions, apply_stage};
use crate::objects::IN_FLIGHT;
use crate::plan::{PlannedObject, give_change_cause};
use crate::prune::{PruneOptions, Pruned, prune};
use crate::set::{Change, SetPhase, Unwanted};
use crate::target::{Applied, Target};

/// How long an object of the same name may take to go.
pub(super) const LEAVING: Duration = Duration::from_secs(60);

/// How long a cluster may be silent when a phase begins.
const PHASE_PATIENCE: Duration = Duration::from_secs(30);

/// For how long nobody is expected to have changed what was planned with.
pub(super) const FRESH: Duration = Duration::from_secs(5);

impl ClusterDriver<'_> {
    /// Applies what was rendered, as it was planned before if it was.
    pub(super) fn apply_forward(
        &self,
        held: &mut Held,
        work: Work<'_>,
        rendered: &Rendered,
    ) -> Result<Done, Failure> {
        let planned = self.state.borrow_mut().forward.take();
        let mut forward = match planned {
            Some(forward) => forward,
            None => self.plan_forward(&held.against(), rendered, &|| None, work.pulse)?,
        };
        // The number was not known when it was planned.
        if let Some(cause) = &self.state.borrow().cause {
            forward.planned.objects.iter_mut().for_each(|object| give_change_cause(object, cause));
        }
        let deadline = Deadline::after(self.cluster.timeout, &held.session.connection);
        let found = self.found(&forward, held, work)?;
        let change = Change::to(SetPhase::Applying)
            .of(work.id)
            .widening(self.extent(ids_of(&forward.wanted)))
            .adopting(adopted(&forward, held))
            .finding(found);
        self.begin_phase(held, Step::Apply, work.pulse, &change)?;
        let applied = self.apply_planned(held, &forward, work.id, deadline, work.pulse)?;
        Ok(Done { forward, applied, deadline })
    }

    /// What is a member of the set already and is not wanted by what stands there: going back does not delete it. A deployment
    /// that is resumed has found it the first time, and finds now what it has made itself.
    fn found(&self, forward: &Forward, held: &Held, work: Work<'_>) -> Result<Vec<ObjectId>, Failure> {
        if held.parent.record().deployment.as_ref() == Some(work.id) {
            return Ok(Vec::new());
        }
        let before = self.of_latest().map(|(_, before)| before).unwrap_or_default();
        // What is of a kind that is gone by now is wanted by nobody who has come this far.
        let before = held.session.resources.known_of(before);
        let before = self.targets(&held.session, &before, work.pulse)?;
        let objects = forward.planned.objects.iter();
        let new = objects.filter(|object| object.live.is_none() || object.replaces.is_some());
        let new_jobs = forward.jobs.iter().filter(|job| job.effect == Effect::Create);
        let made: Vec<&ObjectId> =
            new.map(|object| &object.target.id).chain(new_jobs.map(|job| &job.target.id)).collect();
        // Whatever is not known to be made by it was there.
        let is_found = |id: &&ObjectId| {
            !made.iter().any(|made| made.is_same(id)) && !before.iter().any(|target| target.id.is_same(id))
        };
        Ok(ids_of(&forward.wanted).filter(is_found).cloned().collect())
    }

    /// Begins a phase: nobody has taken over from us.
    pub(super) fn begin_phase(
        &self,
        held: &mut Held,
        step: Step,
        pulse: &dyn Pulse,
        change: &Change,
    ) -> Result<(), Failure> {
        const PAUSE: Duration = Duration::from_secs(1);
        let Held { lease, parent, .. } = held;
        let begun = Instant::now();
        self.run(step, pulse, async {
            loop {
                let left = PHASE_PATIENCE.saturating_sub(begun.elapsed());
                let permit = lease.permit(left).await.map_err(of_lease(step))?;
                match parent.advance(permit, change.clone()).await {
                    // A cluster that is silent for a moment is no reason to give up what is under way.
                    Err(error) if error.is_passing() && begun.elapsed() < PHASE_PATIENCE => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    advanced => return advanced.map_err(of_set(step, &self.cluster.context)),
                }
            }
        })
    }

    /// Applies step by step, and waits where what comes later needs it.
    pub(super) fn apply_planned(
        &self,
        held: &mut Held,
        forward: &Forward,
        id: &DeploymentId,
        deadline: Deadline,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Applied>, Failure> {
        let steps = forward.planned.steps();
        let mut all: Vec<Applied> = Vec::new();
        let before_jobs = steps.partition_point(|(stage, _)| *stage <= Stage::Jobs);
        let begun = Instant::now();
        for (index, (stage, objects)) in steps.iter().enumerate() {
            if index == before_jobs {
                self.run_jobs(held, &forward.jobs, id, deadline, pulse)?;
            }
            if begun.elapsed() > FRESH {
                self.require_absent(held, objects, pulse)?;
            }
            let mut applied = self.apply_step(held, objects, pulse)?;
            // It was there before, and whoever may change it may not for that reason look at all others.
            applied.retain(|one| !self.is_own_namespace(&one.target.id));
            all.extend(applied.iter().cloned());
            let waited = match waits_for(*stage, objects, &steps[index + 1..]) {
                Wait::Nothing => continue,
                Wait::These => &applied,
                Wait::All => &all,
            };
            let waited = self.judged(held, forward, waited);
            self.wait_for(held, &waited, deadline, Step::Apply, pulse)?;
            if *stage == Stage::Foundations {
                // Definitions are established: what is of their kinds can be seen from now on.
                self.run(Step::Apply, pulse, learn_kinds(&held.session))?;
            }
        }
        if before_jobs == steps.len() {
            self.run_jobs(held, &forward.jobs, id, deadline, pulse)?;
        }
        Ok(all)
    }

    /// What was not there when it was planned, and is now, belongs to somebody else.
    fn require_absent(
        &self,
        held: &Held,
        objects: &[PlannedObject],
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let new = objects.iter().filter(|object| object.effect == Effect::Create && object.live.is_none());
        let connection = &held.session.connection;
        self.run(Step::Apply, pulse, async {
            let mut looks = stream::iter(new)
                .map(async |object| {
                    let live = connection.get((&object.target).into()).await;
                    live.map(|live| (&object.target.id, live))
                })
                .buffer_unordered(IN_FLIGHT);
            while let Some(found) = looks.next().await {
                let (id, live) = found.map_err(|error| of_api(Step::Apply, &error, error.to_string()))?;
                if live.is_some_and(|live| part_of(&live) != Some(held.set.id.as_str())) {
                    let why = format!("{id} was made by somebody else since the plan was made");
                    return Err(Failure::of_nobody(Step::Apply, why));
                }
            }
            Ok(())
        })
    }

    fn apply_step(
        &self,
        held: &Held,
        objects: &[PlannedObject],
        pulse: &dyn Pulse,
    ) -> Result<Vec<Applied>, Failure> {
        let Held { session, lease, .. } = held;
        let view = held.view();
        let options = ApplyOptions { leaving_timeout: LEAVING };
        self.run(Step::Apply, pulse, async {
            let applied = lease.writing(apply_stage(&session.connection, &view, objects, &options));
            applied.await.map_err(of_lease(Step::Apply))?.map_err(|error| {
                let hint = error.hints().into_iter().next();
                let failure = Failure::new(Step::Apply, error.blame(), error.to_string()).hint(hint);
                open_if(error.is_undecided(), failure)
            })
        })
    }

    /// Waits until all is ready that was applied, and deletes what is no longer wanted.
    pub(super) fn verify_forward(&self, held: &mut Held, work: Work<'_>, done: &Done) -> Result<(), Failure> {
        let waited = self.judged(held, &done.forward, &done.applied);
        self.wait_for(held, &waited, done.deadline, Step::Verify, work.pulse)?;
        self.prune(held, &done.forward, work.pulse)
    }

    /// Deletes what is no longer wanted, now that everything else is ready.
    pub(super) fn prune(&self, held: &mut Held, forward: &Forward, pulse: &dyn Pulse) -> Result<(), Failure> {
        // Where nothing else is to be deleted, they are not looked at again.
        let waiting = |waiting: &[Unwanted]| waiting.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        let mut stays = waiting(&forward.planned.waiting);
        if forward.may_delete() {
            self.begin_phase(held, Step::Verify, pulse, &Change::to(SetPhase::Pruning))?;
            let view = held.view();
            let only = forward.only.clone();
            let options = PruneOptions {
                only,
                due: forward.due.clone(),
                ..self.prune_options(Some(held.parent.record()))
            };
            let pruned = self.run(Step::Verify, pulse, async {
                let Session { connection, resources, .. } = &held.session;
                let pruned =
                    held.lease.writing(prune(connection, resources, &view, &forward.wanted, &options));
                pruned.await.map_err(of_lease(Step::Verify))
            })?;
            match pruned {
                Ok(pruned) => {
                    stays = waiting(&pruned.waiting);
                    stays.extend(self.tell_pruned(pruned));
                }
                // What is ready is not undone because something old stays: it is a member still, and goes the next time.
                Err(error) => {
                    self.observer.warn(&format!("what is no longer wanted is not all gone: {error}"));
                    return self.begin_phase(held, Step::Verify, pulse, &Change::to(SetPhase::Verified));
                }
            }
        }
        let mut change = Change::to(SetPhase::Verified);
        if forward.prunes && forward.only.is_none() {
            let mut extent = self.extent(ids_of(&forward.wanted).chain(&stays));
            // What is of a kind that the cluster did not list was not seen: it may be there, wherever the set was and may be.
            if !forward.unlisted.is_empty() {
                let may_be = self.cluster.bounds.other_namespaces(&self.cluster.namespace);
                extent.namespaces.extend(held.view().namespaces.intersection(&may_be).cloned());
            }
            extent.kinds.extend(forward.unlisted.iter().cloned());
            // Whoever looks for jobs that have ended since finds them where the set was.
            extent.namespaces.extend(held.held_jobs.iter().cloned());
            change = change.narrowing(extent);
        }
        self.begin_phase(held, Step::Verify, pulse, &change)
    }

    /// Where members of the set are. The environment's own namespace is none.
    pub(super) fn extent<'i>(&self, ids: impl Iterator<Item = &'i ObjectId>) -> Extent {
        Extent::of(ids.filter(|id| !self.is_own_namespace(id)))
    }

    pub(super) fn is_own_namespace(&self, id: &ObjectId) -> bool {
        id.is_namespace() && id.name == self.cluster.namespace
    }

    fn tell_pruned(&self, pruned: Pruned) -> Vec<ObjectId> {
        pruned.deleted.iter().for_each(|id| self.observer.step("Deleted", &id.to_string()));
        for (id, why) in &pruned.kept {
            self.observer.warn(&format!("{id} is no longer wanted and stays: {why}"));
        }
        pruned.kept.into_iter().map(|(id, _)| id).collect()
    }
}

/// What was there before and was nobody's of this set: it is not ours to delete should this fail.
fn adopted(forward: &Forward, held: &Held) -> Vec<ObjectId> {
    let is_foreign = |object: &&PlannedObject| {
        let live = object.live.as_ref();
        live.is_some_and(|live| part_of(live) != Some(held.set.id.as_str()))
    };
    forward.planned.objects.iter().filter(is_foreign).map(|object| object.target.id.clone()).collect()
}

pub(super) fn ids_of(targets: &[Target]) -> impl Iterator<Item = &ObjectId> {
    targets.iter().map(|target| &target.id)
}
