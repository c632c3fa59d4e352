//! Forward: plan, apply step by step, wait, and delete what is no longer wanted.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use git_deploy_core::config::deploy_toml::Prune;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{
    Effect, Plan, PlannedObject as Told, Pulse, Rendered, Standing, Status, Work, Workload,
};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::readiness::{Patience, ready_of_wanted};
use git_deploy_manifest::{Extent, GroupKind, Object, ObjectId, Stage, is_redacted};

use super::said::{objects, of_lease, of_set};
use super::state::{Forward, Session, State};
use super::{ClusterDriver, PATIENCE, jobs};
use crate::access::{AccessError, Need, VERBS_OF_MEMBERS, require_access};
use crate::apply::{ApplyOptions, apply_stage};
use crate::discovery::TargetProblem;
use crate::lease::Lease;
use crate::plan::{PlanError, PlanOptions, Planned, PlannedObject, plan};
use crate::prune::{PruneOptions, Pruned, prune};
use crate::set::{Change, Parent, Set, SetPhase};
use crate::target::{Applied, Target};
use crate::unblock::unblock;
use crate::verify::{Limits, NotReady, Progress, until_ready};

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What is no longer wanted goes when everything else is ready.
    ApplyAndPrune,
    /// What is no longer wanted stays.
    ApplyOnly,
    /// Nothing is going to be changed: what others hold is shown as different, and rights to write are not needed beyond
    /// those for trying.
    Look,
}

/// How long an object of the same name may take to go.
const LEAVING: Duration = Duration::from_secs(60);

impl ClusterDriver<'_> {
    pub(super) fn plan_forward(&self, rendered: &Rendered, pulse: &dyn Pulse) -> Result<Plan, Failure> {
        let objects = objects(rendered)?;
        if objects.is_empty() {
            let why = "the manifests hold no object: an empty set would delete all that is deployed";
            return Err(Failure::of_branch(Step::Plan, why));
        }
        let forward = self.plan_objects(&objects, self.purpose(), pulse)?;
        let told = told(&forward);
        self.state.borrow_mut().forward = Some(forward);
        Ok(told)
    }

    fn purpose(&self) -> Purpose {
        match self.cluster.prune {
            Prune::Now => Purpose::ApplyAndPrune,
            Prune::Never => Purpose::ApplyOnly,
            Prune::After(_) => {
                self.observer.warn(
                    "'prune' as a duration is not in this version yet: what is no longer wanted stays, as with \"never\"",
                );
                Purpose::ApplyOnly
            }
        }
    }

    /// Plans to bring the set to these objects.
    pub(super) fn plan_objects(
        &self,
        objects: &[Object],
        purpose: Purpose,
        pulse: &dyn Pulse,
    ) -> Result<Forward, Failure> {
        let session = self.session(pulse)?;
        let targets = self.targets(objects, pulse)?;
        let wanted = targets.clone();
        let looks = purpose == Purpose::Look;
        let targets: Vec<Target> =
            targets.into_iter().filter(|target| !self.is_left(target, !looks)).collect();
        let (jobs, targets): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(jobs::is_one_time);
        // What has run has run: going back never runs it again.
        let jobs = if self.state.borrow().is_rollback { Vec::new() } else { jobs };
        let (set, parent) = self.set_and_parent()?;
        let view = self.view(&set, parent.as_ref());
        let options = PlanOptions {
            force_conflicts: self.options.force_conflicts,
            change_cause: self.state.borrow().cause.clone(),
            prune: (purpose != Purpose::ApplyOnly).then(|| self.prune_options(objects.is_empty())),
        };
        let (mut planned, jobs) = self.run(Step::Plan, pulse, async {
            if !looks {
                self.require_access(&session, &wanted).await?;
            }
            let planned = plan(&session.connection, &session.resources, &view, &targets, &options).await;
            let planned = planned.map_err(|error| of_plan(&error))?;
            if !looks {
                self.require_deleting(&session, &planned, &wanted).await?;
            }
            let record = parent.as_ref().map(Parent::record);
            Ok((planned, self.plan_jobs(&session, &view, record, jobs).await?))
        })?;
        planned.deletions.retain(|deletion| !wanted.iter().any(|target| target.id.is_same(&deletion.id)));
        planned.kept.retain(|(id, _)| !wanted.iter().any(|target| target.id.is_same(id)));
        let prunes = purpose == Purpose::ApplyAndPrune;
        Ok(Forward { planned, jobs, wanted, prunes, spares: Vec::new() })
    }

    /// Where the objects belong.
    pub(super) fn targets(&self, objects: &[Object], pulse: &dyn Pulse) -> Result<Vec<Target>, Failure> {
        let Session { resources, .. } = self.session(pulse)?;
        let targets = resources.targets(objects, &self.cluster.namespace, &self.cluster.bounds);
        targets.map_err(|problems| of_targets(&problems))
    }

    fn prune_options(&self, all: bool) -> PruneOptions {
        PruneOptions {
            other_namespaces: self.cluster.bounds.other_namespaces(&self.cluster.namespace),
            gone_timeout: LEAVING,
            all,
        }
    }

    /// Whether an object is left as it is, because git knows only digests of its values.
    fn is_left(&self, target: &Target, tells: bool) -> bool {
        let is_left = is_redacted(&target.id, &target.wanted);
        if is_left && tells {
            self.observer.warn(&format!("{} is left as it is: its values are not kept in git", target.id));
        }
        is_left
    }

    /// The set, and what the cluster knows of it; both were asked for by whatever came before.
    fn set_and_parent(&self) -> Result<(Set, Option<Parent>), Failure> {
        let state = self.state.borrow();
        let set = state.set.clone().ok_or_else(|| Self::not_held(Step::Plan))?;
        Ok((set, state.parent.clone()))
    }

    async fn require_access(&self, session: &Session, targets: &[Target]) -> Result<(), Failure> {
        let needs = targets.iter().flat_map(|target| {
            VERBS_OF_MEMBERS.map(|verb| Need::of(&target.resource, target.id.namespace.as_deref(), verb))
        });
        let needs = needs.chain(Need::of_parent(&self.cluster.namespace));
        require_access(&session.connection, needs).await.map_err(|error| of_access(&error))
    }

    /// The same for what is to be deleted where nothing of its kind was `asked` for: also before the first change.
    async fn require_deleting(
        &self,
        session: &Session,
        planned: &Planned,
        asked: &[Target],
    ) -> Result<(), Failure> {
        let place = |id: &ObjectId| (GroupKind::from(id), id.namespace.clone());
        let asked: BTreeSet<_> = asked.iter().map(|target| place(&target.id)).collect();
        let places = planned.deletions.iter().map(|deletion| place(&deletion.id));
        let needs: Vec<Need> = places
            .filter(|place| !asked.contains(place))
            .filter_map(|(kind, namespace)| Some((session.resources.find_kind(&kind)?.0, namespace)))
            .flat_map(|(kind, namespace)| {
                ["get", "delete"].map(|verb| Need::of(&kind, namespace.as_deref(), verb))
            })
            .collect();
        if needs.is_empty() {
            return Ok(());
        }
        require_access(&session.connection, needs).await.map_err(|error| of_access(&error))
    }

    pub(super) fn apply_forward(&self, work: Work<'_>, rendered: &Rendered) -> Result<(), Failure> {
        if self.state.borrow().forward.is_none() {
            self.plan_forward(rendered, work.pulse)?;
        }
        let mut state = self.state.borrow_mut();
        let deadline = *state.deadline.insert(Instant::now() + self.cluster.timeout);
        let forward = state.forward.take().ok_or_else(|| Self::not_held(Step::Apply))?;
        let change = Change::to(SetPhase::Applying).of(work.id).widening(extent(&forward.wanted));
        self.begin_phase(&mut state, Step::Apply, work.pulse, change)?;
        let applied = self.apply_planned(&mut state, &forward, work.id, deadline, work.pulse);
        state.forward = Some(forward);
        state.applied = applied?;
        Ok(())
    }

    /// Begins a phase: nobody has taken over from us.
    pub(super) fn begin_phase(
        &self,
        state: &mut State,
        step: Step,
        pulse: &dyn Pulse,
        change: Change,
    ) -> Result<(), Failure> {
        let State { lease: Some(lease), parent: Some(parent), .. } = state else {
            return Err(Self::not_held(step));
        };
        self.run(step, pulse, async {
            let permit = lease.permit(PATIENCE).await.map_err(of_lease(step))?;
            parent.advance(permit, change).await.map_err(of_set(step))
        })
    }

    /// Applies step by step, and waits where what comes later needs it.
    pub(super) fn apply_planned(
        &self,
        state: &mut State,
        forward: &Forward,
        id: &DeploymentId,
        deadline: Instant,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Applied>, Failure> {
        let session = state.session.clone().ok_or_else(|| Self::not_held(Step::Apply))?;
        let steps = forward.planned.steps();
        let mut all: Vec<Applied> = Vec::new();
        let before_jobs = steps.partition_point(|(stage, _)| *stage <= Stage::Jobs);
        for (index, (stage, objects)) in steps.iter().enumerate() {
            if index == before_jobs {
                self.run_jobs(state, &forward.jobs, id, deadline, pulse)?;
            }
            let applied = self.apply_step(state, &session, objects, pulse)?;
            all.extend(applied.iter().cloned());
            let waited = match waits_for(*stage, objects, &steps[index + 1..]) {
                Wait::Nothing => continue,
                Wait::These => &applied,
                Wait::All => &all,
            };
            let lease = state.lease.as_ref().ok_or_else(|| Self::not_held(Step::Apply))?;
            self.wait_for(&session, lease, waited, deadline, Step::Apply, pulse)?;
        }
        if before_jobs == steps.len() {
            self.run_jobs(state, &forward.jobs, id, deadline, pulse)?;
        }
        Ok(all)
    }

    fn apply_step(
        &self,
        state: &State,
        session: &Session,
        objects: &[PlannedObject],
        pulse: &dyn Pulse,
    ) -> Result<Vec<Applied>, Failure> {
        let (Some(lease), Some(parent)) = (&state.lease, &state.parent) else {
            return Err(Self::not_held(Step::Apply));
        };
        let view = self.view(parent.set(), Some(parent));
        let options = ApplyOptions { leaving_timeout: LEAVING };
        self.run(Step::Apply, pulse, async {
            let applied = lease.writing(apply_stage(&session.connection, &view, objects, &options));
            applied.await.map_err(of_lease(Step::Apply))?.map_err(|error| {
                let hint = error.hints().into_iter().next();
                Failure::new(Step::Apply, error.blame(), error.to_string()).hint(hint)
            })
        })
    }

    /// Waits until these are ready.
    pub(super) fn wait_for(
        &self,
        session: &Session,
        lease: &Lease,
        applied: &[Applied],
        deadline: Instant,
        step: Step,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let patience = Patience { crash: self.cluster.crash_grace, ..Patience::default() };
        // Told by the thread of the run, which alone may speak.
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut last = String::new();
        let tell = move |progress: Progress| drop(sender.send(progress));
        let ready = self.run(step, pulse, async {
            loop {
                let limits = Limits { timeout: deadline.saturating_duration_since(Instant::now()), patience };
                let ready = lease.watching(until_ready(&session.connection, applied, &limits, &tell));
                let mut ready = std::pin::pin!(ready);
                let ready = loop {
                    tokio::select! {
                        done = &mut ready => break done.map_err(of_lease(step))?,
                        Some(progress) = told.recv() => self.tell(&progress, &mut last),
                    }
                };
                let Err(NotReady::Blocked { pods, .. }) = &ready else { break Ok(ready) };
                ready
                    .as_ref()
                    .err()
                    .iter()
                    .for_each(|error| self.observer.warn(&format!("{error}: deleted")));
                let deleted =
                    lease.writing(unblock(&session.connection, pods)).await.map_err(of_lease(step))?;
                deleted.map_err(|error| Failure::new(step, error.blame(), error.to_string()))?;
            }
        })?;
        let warnings = ready.map_err(|error| self.not_ready(step, error))?;
        warnings.iter().for_each(|warning| self.observer.warn(warning));
        Ok(())
    }

    /// Tells how it goes, each thing once.
    fn tell(&self, progress: &Progress, last: &mut String) {
        match progress {
            Progress::Warning(text) => self.observer.warn(text),
            Progress::Standing { ready, wanted, waiting } => {
                let first = waiting.first().map(|(id, what)| format!(", {id}: {what}")).unwrap_or_default();
                let text = format!("{ready} of {wanted}{first}");
                if text != *last {
                    self.observer.step("Ready", &text);
                    *last = text;
                }
            }
        }
    }

    fn not_ready(&self, step: Step, mut error: NotReady) -> Failure {
        error.evidence().iter().for_each(|line| self.observer.step("Seen", line));
        let is_late = match &mut error {
            NotReady::TimedOut { timeout, .. } => {
                // What was left for this wait says nothing to a person: the time is for the whole step.
                *timeout = self.cluster.timeout;
                true
            }
            NotReady::Failed { .. }
            | NotReady::Blocked { .. }
            | NotReady::Unreachable { .. }
            | NotReady::Denied { .. } => false,
        };
        let failure = Failure::new(step, error.blame(), error.to_string());
        if is_late { failure.timed_out() } else { failure }
    }

    pub(super) fn verify_forward(&self, work: Work<'_>) -> Result<(), Failure> {
        let mut state = self.state.borrow_mut();
        let deadline = state.deadline.unwrap_or_else(|| Instant::now() + self.cluster.timeout);
        let forward = state.forward.take().ok_or_else(|| Self::not_held(Step::Verify))?;
        let session = state.session.clone().ok_or_else(|| Self::not_held(Step::Verify))?;
        {
            let lease = state.lease.as_ref().ok_or_else(|| Self::not_held(Step::Verify))?;
            self.wait_for(&session, lease, &state.applied, deadline, Step::Verify, work.pulse)?;
        }
        self.prune(&mut state, &session, &forward, work.pulse)
    }

    /// Deletes what is no longer wanted, now that everything else is ready.
    pub(super) fn prune(
        &self,
        state: &mut State,
        session: &Session,
        forward: &Forward,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let mut stays: Vec<ObjectId> = Vec::new();
        if forward.prunes {
            self.begin_phase(state, Step::Verify, pulse, Change::to(SetPhase::Pruning))?;
            let (Some(lease), Some(parent)) = (&state.lease, &state.parent) else {
                return Err(Self::not_held(Step::Verify));
            };
            let view = forward.view(self.view(parent.set(), Some(parent)));
            let options = self.prune_options(forward.wanted.is_empty());
            let pruned = self.run(Step::Verify, pulse, async {
                let Session { connection, resources } = session;
                let pruned = lease.writing(prune(connection, resources, &view, &forward.wanted, &options));
                pruned.await.map_err(of_lease(Step::Verify))
            })?;
            match pruned {
                Ok(pruned) => stays = self.tell_pruned(pruned),
                // What is ready is not undone because something old stays: it is a member still, and goes the next time.
                Err(error) => {
                    self.observer.warn(&format!("what is no longer wanted is not all gone: {error}"));
                    return self.begin_phase(state, Step::Verify, pulse, Change::to(SetPhase::Verified));
                }
            }
        }
        let mut change = Change::to(SetPhase::Verified);
        if forward.prunes && forward.spares.is_empty() {
            let ids = forward.wanted.iter().map(|target| &target.id).chain(&stays);
            change = change.narrowing(Extent::of(ids));
        }
        self.begin_phase(state, Step::Verify, pulse, change)
    }

    fn tell_pruned(&self, pruned: Pruned) -> Vec<ObjectId> {
        pruned.deleted.iter().for_each(|id| self.observer.step("Deleted", &id.to_string()));
        for (id, why) in &pruned.kept {
            self.observer.warn(&format!("{id} is no longer wanted and stays: {why}"));
        }
        pruned.kept.into_iter().map(|(id, _)| id).collect()
    }

    pub(super) fn look(
        &self,
        standing: &Standing,
        kept: &Rendered,
        pulse: &dyn Pulse,
    ) -> Result<Status, Failure> {
        let session = self.session(pulse)?;
        let parent = self.known_parent(&session, standing)?;
        self.state.borrow_mut().parent = parent.clone();
        let (set, _) = self.set_and_parent()?;
        let place = self.lease_place(&session, &set);
        let holder = self
            .run(Step::Plan, pulse, async { place.standing().await.map_err(of_lease(Step::Plan)) })?
            .map(|(lock, _)| lock);
        let forward = self.plan_objects(&objects(kept)?, Purpose::Look, pulse)?;
        let mut drift = told(&forward);
        drift.objects.retain(|object| object.effect != Effect::Keep);
        let says = parent
            .as_ref()
            .map(Parent::record)
            .and_then(|record| Some(format!("{}: {}", record.deployment.as_ref()?, record.phase?)));
        let workloads = forward.planned.objects.iter().filter_map(workload).collect();
        Ok(Status { workloads, drift, holder, says })
    }
}

/// Where these objects are.
pub(super) fn extent(targets: &[Target]) -> Extent {
    Extent::of(targets.iter().map(|target| &target.id))
}

/// How a workload stands that is there.
fn workload(object: &PlannedObject) -> Option<Workload> {
    let live = object.live.as_ref()?;
    let (ready, wanted) = ready_of_wanted(&object.target.id, live)?;
    let trouble = (ready < wanted).then(|| "not ready".to_owned());
    Some(Workload { title: object.target.id.to_string(), ready, wanted, trouble })
}

enum Wait {
    Nothing,
    These,
    All,
}

/// What has to be ready before the next step.
fn waits_for(stage: Stage, objects: &[PlannedObject], later: &[(Stage, &[PlannedObject])]) -> Wait {
    let Some((next, _)) = later.first() else { return Wait::Nothing };
    let changes = |objects: &[PlannedObject]| objects.iter().any(|object| object.effect != Effect::Keep);
    let changes_later = || later.iter().any(|(_, objects)| changes(objects));
    match stage {
        Stage::Foundations if objects.iter().any(is_definition) => Wait::These,
        // What comes first in its stage is waited for, as `git-deploy/order` says.
        _ if *next == stage && changes_later() => Wait::These,
        Stage::Workloads if changes_later() => Wait::All,
        _ => Wait::Nothing,
    }
}

fn is_definition(object: &PlannedObject) -> bool {
    object.target.id.kind == "CustomResourceDefinition" && object.effect != Effect::Keep
}

/// The plan in words.
fn told(forward: &Forward) -> Plan {
    let planned = &forward.planned;
    let applied = planned.objects.iter().map(|object| Told {
        effect: object.effect,
        title: object.target.id.to_string(),
        validated: object.unvalidated.is_none(),
        diff: Some(object.diff()).filter(|diff| !diff.is_empty()),
    });
    let deleted = planned.deletions.iter().map(|deletion| Told {
        effect: Effect::Delete,
        title: deletion.id.to_string(),
        validated: true,
        diff: Some(deletion.diff()).filter(|diff| !diff.is_empty()),
    });
    Plan { objects: forward.jobs.iter().map(jobs::told).chain(applied).chain(deleted).collect() }
}

fn of_targets(problems: &[TargetProblem]) -> Failure {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::of_branch(Step::Plan, texts.join("; "))
}

fn of_access(error: &AccessError) -> Failure {
    Failure::new(Step::Plan, error.blame(), error.to_string()).hint(error.hint())
}

fn of_plan(error: &PlanError) -> Failure {
    let hint = error.hints().into_iter().next();
    Failure::new(Step::Plan, error.blame(), error.to_string()).hint(hint)
}
