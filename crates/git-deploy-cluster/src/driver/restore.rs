//! Back to what was applied before.

use futures::stream::{self, StreamExt};
use git_deploy_core::config::deploy_toml::FirstFailure;
use git_deploy_core::deployment::{Close, Failure, Step};
use git_deploy_core::environment::{Previous, Pulse, Restored, Work, kept};
use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::value::is_being_deleted;
use git_deploy_manifest::{GroupKind, Object, ObjectId};

use super::ClusterDriver;
use super::crossed::{Crossed, forward_only};
use super::deadline::Deadline;
use super::forward::ids_of;
use super::planning::Purpose;
use super::said::{objects, of_api, of_git};
use super::state::{Held, Session};
use crate::api_error::ApiErrorKind;
use crate::objects::IN_FLIGHT;
use crate::set::{Change, JobEnd, JobOutcome, Record, SetFailure, SetPhase};
use crate::target::Target;

impl ClusterDriver<'_> {
    pub(super) fn go_back(
        &self,
        held: &mut Held,
        work: Work<'_>,
        way: &WayBack<'_>,
        close: &Close,
    ) -> Result<Restored, Failure> {
        let failure = SetFailure::from(close);
        let restoring = Change::to(SetPhase::Restoring).of(work.id).because(failure.clone());
        self.begin_phase(held, Step::Apply, work.pulse, &restoring)?;
        let gone_back = self.way_back(held, work, way);
        // What could not be asked on the way is not degraded: it goes back when it can be asked again.
        if let Err(undecided) = &gone_back
            && undecided.undecided
        {
            return gone_back.map(|(restored, _)| restored);
        }
        let phase = match &gone_back {
            Ok((_, phase)) => *phase,
            Err(_) => SetPhase::Degraded,
        };
        let ended = Change::to(phase).because(failure);
        let told = self.begin_phase(held, Step::Apply, work.pulse, &ended);
        gone_back.and_then(|(restored, _)| told.map(|()| restored))
    }

    fn way_back(
        &self,
        held: &mut Held,
        work: Work<'_>,
        way: &WayBack<'_>,
    ) -> Result<(Restored, SetPhase), Failure> {
        let Some(previous) = way.previous else { return self.after_a_first_failure(held, way, work.pulse) };
        self.rule_out_jobs(held, work.pulse);
        let record = held.parent.record();
        if let Some(crossed) = migrated(record, &previous.id) {
            let why = format!(
                "{crossed}, and what stood there before may not fit what it left: only forward is safe"
            );
            // What stands there is in no ledger: the queue, which does not know, must not build on it.
            return Ok((Restored::Left(why), SetPhase::Degraded));
        }
        if let Some((job, outcome)) = stopped_at(record, work.id)
            && !outcome.rollback_safe
        {
            // The pods of before have never stopped: they get back the configuration that they know.
            self.observer.warn(&format!("one-time job '{job}' has run: what it has changed itself stays"));
        }
        self.observer.step("Restoring", &format!("what {} had applied", previous.id));
        self.apply_again(held, self.kept_objects(previous.kept)?, way, work)?;
        Ok((Restored::Back, SetPhase::Done))
    }

    /// The objects that a commit keeps.
    fn kept_objects(&self, commit: CommitId) -> Result<Vec<Object>, Failure> {
        objects(&kept::read(self.repository, commit).map_err(of_git(Step::Apply))?)
    }

    /// What the failed deployment was going to apply, or nothing if it did not come that far.
    fn failed_targets(
        &self,
        held: &Held,
        way: &WayBack<'_>,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Target>, Failure> {
        let failed = way.failed.map(|commit| self.kept_objects(commit)).transpose()?;
        self.targets(&held.session, &failed.unwrap_or_default(), pulse)
    }

    /// What the failed deployment brought and what may therefore be deleted: not what was there before it, be it of the set
    /// or not, and not what holds what others have written since.
    fn brought(held: &Held, failed: &[Target], before: &[Target]) -> Vec<ObjectId> {
        let Record { adopted, found, .. } = held.parent.record();
        let is_brought = |id: &ObjectId| {
            !before.iter().any(|target| target.id.is_same(id))
                && !adopted.contains(&id.file_name())
                && !found.contains(&id.file_name())
                && !holds_data(&id.into())
        };
        failed.iter().map(|target| &target.id).filter(|id| is_brought(id)).cloned().collect()
    }

    /// There is nothing to go back to.
    fn after_a_first_failure(
        &self,
        held: &mut Held,
        way: &WayBack<'_>,
        pulse: &dyn Pulse,
    ) -> Result<(Restored, SetPhase), Failure> {
        match self.cluster.first_failure {
            FirstFailure::Keep => {
                let why = "it was the first, there is nothing to go back to".to_owned();
                Ok((Restored::Left(why), SetPhase::Done))
            }
            FirstFailure::Remove => {
                self.observer.step("Removing", "what a first deployment left that failed");
                let failed = self.failed_targets(held, way, pulse)?;
                let mut forward = self.plan_objects(&held.against(), &[], Purpose::GoBack, pulse)?;
                forward.only = Some(Self::brought(held, &failed, &[]));
                forward.prunes = true;
                self.prune(held, &forward, pulse)?;
                Ok((Restored::Back, SetPhase::Done))
            }
        }
    }

    /// How many of it run is left as it is where somebody has scaled it, for a reason; what the failed deployment itself has
    /// set goes back with it.
    fn with_live_replicas(
        &self,
        session: &Session,
        mut objects: Vec<Object>,
        failed: &[Target],
        pulse: &dyn Pulse,
    ) -> Result<Vec<Object>, Failure> {
        let set_by_failed = |id: &ObjectId| {
            let same = failed.iter().find(|target| target.id.is_same(id));
            same.and_then(|target| target.wanted.pointer("/spec/replicas"))
        };
        let targets = self.targets(session, &objects, pulse)?;
        self.run(Step::Apply, pulse, async {
            let scaled = |target: &Target| target.wanted.pointer("/spec/replicas").is_some();
            let mut live = stream::iter(targets.iter().enumerate().filter(|(_, target)| scaled(target)))
                .map(|(index, target)| {
                    let live = session.connection.get(target.into());
                    async move { live.await.map(|live| (index, live)) }
                })
                .buffer_unordered(IN_FLIGHT);
            while let Some(found) = live.next().await {
                let (index, live) = found
                    .map_err(|error| of_api(Step::Apply, &error, format!("cannot see what runs: {error}")))?;
                let replicas = live.as_ref().and_then(|live| live.pointer("/spec/replicas")).cloned();
                if let Some(replicas) =
                    replicas.filter(|replicas| set_by_failed(&targets[index].id) != Some(replicas))
                {
                    objects[index].value_mut()["spec"]["replicas"] = replicas;
                }
            }
            drop(live);
            Ok(objects)
        })
    }

    /// What is left as it is, and what is applied again: also what holds data if it is gone, which harms nothing.
    fn parted(
        &self,
        session: &Session,
        objects: Vec<Object>,
        targets: &[Target],
        pulse: &dyn Pulse,
    ) -> Result<(Vec<Object>, Vec<Object>), Failure> {
        let holding =
            targets.iter().enumerate().filter(|(_, target)| holds_data(&GroupKind::from(&target.id)));
        let gone: Vec<usize> = self.run(Step::Apply, pulse, async {
            let mut live = stream::iter(holding)
                .map(async |(index, target)| (index, target, session.connection.get(target.into()).await))
                .buffer_unordered(IN_FLIGHT);
            let mut gone = Vec::new();
            while let Some((index, target, live)) = live.next().await {
                match live {
                    Ok(None) => gone.push(index),
                    Ok(Some(live)) if is_being_deleted(&live) => {
                        self.observer.warn(&format!("{} is being deleted and is left as it is", target.id));
                    }
                    Ok(Some(_)) => {}
                    // Who may work in a namespace need not be allowed to look at it: it counts as there.
                    Err(error) if *error.kind() == ApiErrorKind::Forbidden => {}
                    Err(error) => {
                        let why = format!("cannot see whether {} is there: {error}", target.id);
                        return Err(of_api(Step::Apply, &error, why));
                    }
                }
            }
            Ok(gone)
        })?;
        let mut parted = (Vec::new(), Vec::new());
        for (index, object) in objects.into_iter().enumerate() {
            if is_left(&object) && !gone.contains(&index) {
                parted.0.push(object);
            } else {
                parted.1.push(object);
            }
        }
        Ok(parted)
    }

    /// Applies bytes of before in the same phases, waits, and deletes last what came with what failed.
    fn apply_again(
        &self,
        held: &mut Held,
        objects: Vec<Object>,
        way: &WayBack<'_>,
        work: Work<'_>,
    ) -> Result<(), Failure> {
        let (id, pulse) = (work.id, work.pulse);
        let before = self.targets(&held.session, &objects, pulse)?;
        let failed = self.failed_targets(held, way, pulse)?;
        let kept = self.kept_again(held, &before, &failed, pulse)?;
        let objects = [objects, kept.objects].concat();
        let before = self.targets(&held.session, &objects, pulse)?;
        let (left, again) = self.parted(&held.session, objects, &before, pulse)?;
        let again = self.with_live_replicas(&held.session, again, &failed, pulse)?;
        let mut forward = self.plan_objects(&held.against(), &again, Purpose::GoBack, pulse)?;
        // What is not applied again is not deleted either.
        forward.wanted.extend(self.targets(&held.session, &left, pulse)?);
        let mut brought = Self::brought(held, &failed, &before);
        brought.retain(|id| !kept.stay.iter().any(|stays| stays.is_same(id)));
        forward.only = Some(brought);
        forward.prunes = true;
        let deadline = Deadline::after(self.cluster.timeout, &held.session.connection);
        let widened = Change::default().widening(self.extent(ids_of(&forward.wanted)));
        self.begin_phase(held, Step::Apply, pulse, &widened)?;
        let applied = self.apply_planned(held, &forward, id, deadline, pulse)?;
        // What nobody wants is not waited for.
        let mut waited = self.judged(held, &forward, &applied);
        waited.retain(|one| !kept.stay.iter().any(|stays| stays.is_same(&one.target.id)));
        self.wait_for(held, &waited, deadline, Step::Verify, pulse)?;
        self.prune(held, &forward, pulse)
    }
}

/// Where the way back leads to, and from where.
pub(super) struct WayBack<'a> {
    /// What stood there before.
    pub(super) previous: Option<&'a Previous>,
    /// The commit that keeps what the failed deployment was going to apply.
    pub(super) failed: Option<CommitId>,
}

/// The one-time job that ran since a deployment, for whichever number, and did not say that going back is safe. Not one at
/// which its deployment came to its end: what stood there before has been running beside what that one left.
fn migrated<'r>(record: &'r Record, before: &DeploymentId) -> Option<Crossed<'r>> {
    let since = |id: &DeploymentId| id.environment == before.environment && id.number > before.number;
    forward_only(record, |id| since(id) && stopped_at(record, id).is_none())
}

/// The one-time job at which a deployment came to its end: none of its workloads was ever applied.
fn stopped_at<'r>(record: &'r Record, id: &DeploymentId) -> Option<(&'r str, &'r JobOutcome)> {
    let mut jobs = record.jobs.iter().map(|(name, outcome)| (name.as_str(), outcome));
    jobs.find(|(_, outcome)| outcome.end == JobEnd::Failed && outcome.deployment.as_ref() == Some(id))
}

/// Kinds that hold what others have written since: never changed, never deleted on the way back.
const HOLD_DATA: [(&str, &str); 4] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
];

/// What is not applied again where it is there: jobs would run again.
fn is_left(object: &Object) -> bool {
    let id = object.id();
    id.is_job() || holds_data(&id.into())
}

pub(super) fn holds_data(kind: &GroupKind) -> bool {
    HOLD_DATA.contains(&(kind.group.as_str(), kind.kind.as_str()))
}
