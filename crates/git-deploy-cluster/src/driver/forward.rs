//! Forward: apply step by step, wait, and delete what is no longer wanted.

use std::time::{Duration, Instant};

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Pulse, Rendered, Work};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{Extent, ObjectId, Stage};

use super::said::{of_lease, of_set};
use super::state::{Done, Forward, Held, Session};
use super::waiting::{Wait, waits_for};
use super::{ClusterDriver, PATIENCE};
use crate::apply::{ApplyOptions, apply_stage};
use crate::plan::PlannedObject;
use crate::prune::{Pruned, prune};
use crate::set::{Change, SetPhase};
use crate::target::{Applied, Target};

/// How long an object of the same name may take to go.
pub(super) const LEAVING: Duration = Duration::from_secs(60);

impl ClusterDriver<'_> {
    /// Applies what was rendered, as it was planned before if it was.
    pub(super) fn apply_forward(
        &self,
        held: &mut Held,
        work: Work<'_>,
        rendered: &Rendered,
    ) -> Result<Done, Failure> {
        let planned = self.state.borrow_mut().forward.take();
        let forward = match planned {
            Some(forward) => forward,
            None => self.plan_forward(&held.against(), rendered, work.pulse)?,
        };
        let deadline = Instant::now() + self.cluster.timeout;
        let change = Change::to(SetPhase::Applying).of(work.id).widening(extent(&forward.wanted));
        self.begin_phase(held, Step::Apply, work.pulse, change)?;
        let applied = self.apply_planned(held, &forward, work.id, deadline, work.pulse)?;
        Ok(Done { forward, applied, deadline })
    }

    /// Begins a phase: nobody has taken over from us.
    pub(super) fn begin_phase(
        &self,
        held: &mut Held,
        step: Step,
        pulse: &dyn Pulse,
        change: Change,
    ) -> Result<(), Failure> {
        let Held { lease, parent, .. } = held;
        self.run(step, pulse, async {
            let permit = lease.permit(PATIENCE).await.map_err(of_lease(step))?;
            parent.advance(permit, change).await.map_err(of_set(step))
        })
    }

    /// Applies step by step, and waits where what comes later needs it.
    pub(super) fn apply_planned(
        &self,
        held: &mut Held,
        forward: &Forward,
        id: &DeploymentId,
        deadline: Instant,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Applied>, Failure> {
        let steps = forward.planned.steps();
        let mut all: Vec<Applied> = Vec::new();
        let before_jobs = steps.partition_point(|(stage, _)| *stage <= Stage::Jobs);
        for (index, (stage, objects)) in steps.iter().enumerate() {
            if index == before_jobs {
                self.run_jobs(held, &forward.jobs, id, deadline, pulse)?;
            }
            let applied = self.apply_step(held, objects, pulse)?;
            all.extend(applied.iter().cloned());
            let waited = match waits_for(*stage, objects, &steps[index + 1..]) {
                Wait::Nothing => continue,
                Wait::These => &applied,
                Wait::All => &all,
            };
            self.wait_for(held, waited, deadline, Step::Apply, pulse)?;
        }
        if before_jobs == steps.len() {
            self.run_jobs(held, &forward.jobs, id, deadline, pulse)?;
        }
        Ok(all)
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
                Failure::new(Step::Apply, error.blame(), error.to_string()).hint(hint)
            })
        })
    }

    /// Waits until all is ready that was applied, and deletes what is no longer wanted.
    pub(super) fn verify_forward(&self, held: &mut Held, work: Work<'_>, done: &Done) -> Result<(), Failure> {
        self.wait_for(held, &done.applied, done.deadline, Step::Verify, work.pulse)?;
        self.prune(held, &done.forward, work.pulse)
    }

    /// Deletes what is no longer wanted, now that everything else is ready.
    pub(super) fn prune(&self, held: &mut Held, forward: &Forward, pulse: &dyn Pulse) -> Result<(), Failure> {
        let mut stays: Vec<ObjectId> = Vec::new();
        if forward.prunes {
            self.begin_phase(held, Step::Verify, pulse, Change::to(SetPhase::Pruning))?;
            let view = forward.view(held.view());
            let options = self.prune_options(forward.wanted.is_empty());
            let pruned = self.run(Step::Verify, pulse, async {
                let Session { connection, resources } = &held.session;
                let pruned =
                    held.lease.writing(prune(connection, resources, &view, &forward.wanted, &options));
                pruned.await.map_err(of_lease(Step::Verify))
            })?;
            match pruned {
                Ok(pruned) => stays = self.tell_pruned(pruned),
                // What is ready is not undone because something old stays: it is a member still, and goes the next time.
                Err(error) => {
                    self.observer.warn(&format!("what is no longer wanted is not all gone: {error}"));
                    return self.begin_phase(held, Step::Verify, pulse, Change::to(SetPhase::Verified));
                }
            }
        }
        let mut change = Change::to(SetPhase::Verified);
        if forward.prunes && forward.spares.is_empty() {
            let ids = forward.wanted.iter().map(|target| &target.id).chain(&stays);
            change = change.narrowing(Extent::of(ids));
        }
        self.begin_phase(held, Step::Verify, pulse, change)
    }

    fn tell_pruned(&self, pruned: Pruned) -> Vec<ObjectId> {
        pruned.deleted.iter().for_each(|id| self.observer.step("Deleted", &id.to_string()));
        for (id, why) in &pruned.kept {
            self.observer.warn(&format!("{id} is no longer wanted and stays: {why}"));
        }
        pruned.kept.into_iter().map(|(id, _)| id).collect()
    }
}

/// Where these objects are.
pub(super) fn extent(targets: &[Target]) -> Extent {
    Extent::of(targets.iter().map(|target| &target.id))
}
