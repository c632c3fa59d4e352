//! Deleting what was kept for long enough when nothing is deployed.
//!
//! Nobody watches it, so that whatever is in doubt stays: nothing goes that no success has wanted or that holds what others
//! have written, and nothing at all unless the cluster stands at the latest success with all that this one wants.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Custody, NotTaken, Pulse, Standing, Tidied, Upkeep, kept};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::is_one_time;
use git_deploy_manifest::readiness::ready_of_wanted;
use git_deploy_manifest::value::is_being_deleted;
use jiff::Timestamp;

use super::ClusterDriver;
use super::keeping::goes_when_idle;
use super::said::{named, objects, of_git, of_lease};
use super::state::{Against, Held, Session};
use crate::members::{Member, SetView, key, members};
use crate::objects::Depth;
use crate::prune::{self, Judged, PruneError, PruneOptions, prune};
use crate::set::{Change, Kept, KeptObject, Record, SetPhase, Success, end};
use crate::target::Target;

/// How long what is deleted together may take to go: longer than pods are given to end.
const GOING: Duration = Duration::from_secs(60);

/// When it is looked again at what was kept for long enough and has to stay for another reason.
const AGAIN: Duration = Duration::from_secs(3600);

/// What there is that nobody wants.
struct Found {
    /// What is wanted.
    wanted: Vec<Target>,
    /// What is to become of it.
    judged: Judged,
    /// What follows for the list.
    list: Kept,
    /// Why nothing of it may be deleted now.
    drift: Option<String>,
}

impl Found {
    /// Whether something is to be deleted. What is being deleted already only takes its time.
    fn has_due(&self) -> bool {
        self.judged.deletions.iter().any(|deletion| !is_being_deleted(&deletion.live))
    }
}

impl ClusterDriver<'_> {
    /// Whether something was kept for long enough, or is not written down yet.
    pub(super) fn look_for_due(
        &self,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<Upkeep, NotTaken> {
        let Some(time) = self.time_to_keep() else { return Ok(Upkeep::default()) };
        let session = match self.session(pulse) {
            // Whoever has no way to it cannot be meant to look after it.
            Err(failure) if failure.fatal => {
                let environment = &self.cluster.environment;
                self.observer
                    .warn(&format!("'{environment}' is not tidied up from here: {}", failure.reason));
                return Ok(Upkeep::default());
            }
            session => session?,
        };
        let Some(parent) = self.idle_parent(&session, standing, custody)? else {
            return Ok(Upkeep::default());
        };
        if !is_settled(parent.record(), standing) {
            return Ok(Upkeep::default());
        }
        let record = parent.record().clone();
        let against = Against { set: self.set(standing)?, parent: Some(parent), session };
        let found = self.find(&against.session, &against.view(), &record, standing, pulse)?;
        if let Some(why) = &found.drift {
            self.tell_drift(why);
        }
        let is_due = found.has_due() && found.drift.is_none() || found.list != record.kept;
        Ok(Upkeep { is_due, next: next(&found.list, time, self.clocks().0) })
    }

    fn tell_drift(&self, why: &str) {
        let environment = &self.cluster.environment;
        self.observer.warn(&format!("'{environment}' is drifted, nothing deleted: {why}"));
    }

    /// What there is that nobody wants.
    fn find(
        &self,
        session: &Session,
        view: &SetView,
        record: &Record,
        standing: &Standing,
        pulse: &dyn Pulse,
    ) -> Result<Found, Failure> {
        let latest = standing.latest.as_ref().ok_or_else(|| super::not_held(Step::Plan))?;
        let kept = standing.kept.ok_or_else(|| {
            let why = format!("what {} applied is not known here", latest.id);
            Failure::of_nobody(Step::Plan, why).hint(Some("get it with: git deploy-sync"))
        })?;
        let wanted = objects(&kept::read(self.repository, kept).map_err(of_git(Step::Plan))?)?;
        let wanted = self.targets(session, &wanted, pulse)?;
        let options = self.idle_options(record);
        let (judged, unwanted, drift) = self.run(Step::Plan, pulse, async {
            let Session { connection, resources, .. } = session;
            let failed = |error: crate::members::ListError| {
                Failure::new(Step::Plan, error.blame(), error.to_string()).hint(error.why.hint())
            };
            let ids = || wanted.iter().map(|target| &target.id);
            let there = members(connection, resources, view, ids(), Depth::Metadata).await.map_err(failed)?;
            let judged = prune::judge(connection, resources, view, &wanted, &there, &options, None).await;
            let judged = judged.map_err(failed)?;
            let unwanted = prune::unwanted(view, &wanted, &there, &options);
            if judged.deletions.is_empty() {
                return Ok((judged, unwanted, None));
            }
            let there = members(connection, resources, view, ids(), Depth::Whole).await.map_err(failed)?;
            Ok((judged, unwanted, self.drift_of(&wanted, &there)))
        })?;
        let success = Success { id: &latest.id, previous: latest.previous.as_ref() };
        let (list, _) = self.list_of(&self.list(record), success, &unwanted).fitting();
        Ok(Found { wanted, judged, list, drift })
    }

    /// What may be deleted when nothing is deployed.
    fn idle_options(&self, record: &Record) -> PruneOptions {
        let options = self.prune_options(Some(record));
        let list = self.list(record);
        let goes: BTreeSet<&str> =
            list.objects().iter().filter(|kept| goes_when_idle(kept)).map(|kept| kept.uid.as_str()).collect();
        let due = options.due.unwrap_or_default();
        let due = due.into_iter().filter(|uid| goes.contains(uid.as_str())).collect();
        PruneOptions { due: Some(due), in_turn: true, gone_timeout: GOING, ..options }
    }

    /// What is wanted and is not there, or not ready. One-time jobs need not be there any more.
    fn drift_of(&self, wanted: &[Target], there: &[Member]) -> Option<String> {
        let there: HashMap<_, &Member> = there.iter().map(|member| (key(&member.id), member)).collect();
        let looked_at = wanted
            .iter()
            .filter(|target| !is_one_time(&target.id, &target.wanted) && !self.is_own_namespace(&target.id));
        looked_at.map(|target| &target.id).find_map(|id| {
            let Some(member) = there.get(&key(id)) else { return Some(format!("{id} is not there")) };
            if is_being_deleted(&member.live) {
                return Some(format!("{id} is being deleted"));
            }
            let (ready, wanted) = ready_of_wanted(&member.id, &member.live)?;
            (ready < wanted).then(|| format!("{id} is not ready"))
        })
    }

    /// Deletes what was kept for long enough, and writes down what is left.
    pub(super) fn tidy_cluster(
        &self,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<Tidied, NotTaken> {
        let session = self.session(pulse)?;
        let parent = self.idle_parent(&session, standing, custody)?;
        if parent.is_none() {
            return Ok(Tidied::default());
        }
        self.hold(parent.as_ref(), standing, custody, pulse)?;
        let tidied = self.holding(Step::Verify, |held| self.tidy_held(held, standing, pulse));
        let Some(Held { lease, .. }) = self.state.borrow_mut().held.take() else { return Ok(tidied?) };
        // Also where it was stopped.
        let released = self.runtime.block_on(lease.release()).map_err(of_lease(Step::Verify));
        let tidied = tidied?;
        released?;
        Ok(tidied)
    }

    fn tidy_held(&self, held: &mut Held, standing: &Standing, pulse: &dyn Pulse) -> Result<Tidied, Failure> {
        let Some(time) = self.time_to_keep() else { return Ok(Tidied::default()) };
        // Whoever had it between the look and now may want what nobody wanted.
        let is_known = |id: &DeploymentId| standing.known.contains(id);
        let is_as_known =
            held.parent.require_known(is_known).is_ok() && is_settled(held.parent.record(), standing);
        if !is_as_known {
            return Ok(Tidied::default());
        }
        let record = held.parent.record().clone();
        let before = self.find(&held.session, &held.view(), &record, standing, pulse)?;
        let mut undone = None;
        if let Some(why) = &before.drift {
            self.tell_drift(why);
        } else if before.has_due() {
            undone = self.delete_due(held, &before, &self.idle_options(&record), pulse)?;
        }
        let after = self.find(&held.session, &held.view(), &record, standing, pulse)?;
        let is_left = |uid: &str| after.list.objects().iter().any(|kept| kept.uid == uid);
        let gone = before.judged.deletions.iter().filter(|deletion| !is_left(&deletion.uid));
        let deleted: Vec<_> = gone.map(|deletion| named(&deletion.id)).collect();
        deleted.iter().for_each(|object| self.observer.step("Deleted", &object.to_string()));
        let next = next(&after.list, time, self.clocks().0);
        self.begin_phase(held, Step::Verify, pulse, &Change::default().keeping(after.list))?;
        Ok(Tidied { deleted, undone, next })
    }

    /// Deletes it, and says what hindered that. What is only not gone yet goes by itself.
    fn delete_due(
        &self,
        held: &Held,
        found: &Found,
        options: &PruneOptions,
        pulse: &dyn Pulse,
    ) -> Result<Option<Failure>, Failure> {
        let view = held.view();
        let pruned = self.run(Step::Verify, pulse, async {
            let Session { connection, resources, .. } = &held.session;
            let pruned = held.lease.writing(prune(connection, resources, &view, &found.wanted, options));
            pruned.await.map_err(of_lease(Step::Verify))
        })?;
        let environment = &self.cluster.environment;
        let what = format!("what was kept for long enough in '{environment}' is not all gone");
        match pruned {
            Ok(_) => Ok(None),
            Err(error @ PruneError::DoesNotGo { .. }) => {
                self.observer.warn(&format!("{what}: {error}"));
                Ok(None)
            }
            Err(error) => Ok(Some(Failure::of_nobody(Step::Verify, format!("{what}: {error}")))),
        }
    }
}

/// Whether the cluster stands at the latest success, and nothing is under way.
fn is_settled(record: &Record, standing: &Standing) -> bool {
    let is_latest =
        standing.latest.as_ref().is_some_and(|latest| record.deployment.as_ref() == Some(&latest.id));
    is_latest && record.phase == Some(SetPhase::Done)
}

/// When there is something to do again, by our clock; `now` is the time by which it is judged what is due.
fn next(list: &Kept, time: Duration, now: Timestamp) -> Option<Timestamp> {
    let wait = |kept: &KeptObject| {
        let left = kept.until(time).duration_since(now);
        Duration::try_from(left).ok().filter(|left| !left.is_zero()).unwrap_or(AGAIN)
    };
    let waits = list.objects().iter().filter(|kept| goes_when_idle(kept)).map(wait);
    waits.min().map(|wait| end(Timestamp::now(), wait))
}
