//! What stays for a while although it is no longer wanted: until when, what a success writes down of it, and deleting it when
//! nothing else is done.

use std::collections::BTreeSet;
use std::time::Duration;

use git_deploy_core::attempt::rendered_ref;
use git_deploy_core::config::deploy_toml::Prune;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Custody, Left, NotTaken, Pulse, Standing, Tidied, Upkeep, kept};
use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::{Object, ObjectId};
use jiff::Timestamp;

use super::ClusterDriver;
use super::said::{named, objects, of_git, of_lease};
use super::state::{Held, Session};
use crate::members::{SetView, members};
use crate::objects::Depth;
use crate::prune::{self, Judged, PruneOptions, prune};
use crate::set::{Change, Kept, KeptObject, Record, SetPhase, Success, Unwanted, end};
use crate::target::Target;

/// How long what is deleted together may take to go while nothing else is done: others may want to deploy.
const GOING: Duration = Duration::from_secs(20);

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
}

impl ClusterDriver<'_> {
    /// For how long things stay; none where they go at once or never.
    fn time_to_keep(&self) -> Option<Duration> {
        match self.cluster.prune {
            Prune::After(time) => Some(time),
            Prune::Now | Prune::Never => None,
        }
    }

    /// The list, as it holds for what stands there.
    pub(super) fn list(&self, record: &Record) -> Kept {
        let state = self.state.borrow();
        let Some((id, previous)) = &state.stands else { return Kept::default() };
        let wanted = || objects(&kept::read(self.repository, state.latest.as_ref()?.1).ok()?).ok();
        let wanted: std::cell::LazyCell<Option<Vec<Object>>, _> = std::cell::LazyCell::new(wanted);
        // Where that cannot be told all of it counts as wanted: it begins anew.
        let is_wanted = |kept: &KeptObject| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|object| self.is_meant(kept, object.id())))
        };
        record.kept.carried_to(Success { id, previous: previous.as_ref() }, is_wanted)
    }

    /// Whether an object of manifests is one that is listed.
    pub(super) fn is_meant(&self, kept: &KeptObject, id: &ObjectId) -> bool {
        kept.is(&self.placed(id, kept.namespace.is_some()))
    }

    /// An object of manifests as the cluster knows it: those say nothing of the environment's own namespace. Also where its kind
    /// is not known there any more.
    fn placed(&self, id: &ObjectId, is_namespaced: bool) -> ObjectId {
        let own = || is_namespaced.then(|| self.cluster.namespace.clone());
        ObjectId { namespace: id.namespace.clone().or_else(own), ..id.clone() }
    }

    /// The UIDs of what was kept for long enough; none where nothing is kept for a while.
    pub(super) fn due(&self, record: Option<&Record>) -> Option<BTreeSet<String>> {
        let (time, now) = (self.time_to_keep()?, Timestamp::now());
        let list = record.map(|record| self.list(record)).unwrap_or_default();
        let due = list.objects().iter().filter(|kept| kept.until(time, now) <= now);
        Some(due.map(|kept| kept.uid.clone()).collect())
    }

    /// Until when these stay. What is not listed is put on the list with the next success.
    pub(super) fn stays(&self, record: Option<&Record>, waiting: &[Unwanted]) -> Vec<Left> {
        let Some(time) = self.time_to_keep() else { return Vec::new() };
        let now = Timestamp::now();
        let list = record.map(|record| self.list(record)).unwrap_or_default();
        let left = |one: &Unwanted| {
            let listed = list.objects().iter().find(|kept| kept.uid == one.uid);
            let until = listed.map(|kept| kept.until(time, now));
            let why = match until {
                Some(until) => format!("kept until {until}"),
                None => format!("kept for {} from the next success on", in_words(time)),
            };
            Left { object: named(&one.id), why, until }
        };
        waiting.iter().map(left).collect()
    }

    /// What a success makes of the list. What hinders that is told: the next success, or whoever tidies up, finds it out again.
    pub(super) fn with_list(
        &self,
        held: &Held,
        id: &DeploymentId,
        pulse: &dyn Pulse,
        change: Change,
    ) -> Change {
        if self.time_to_keep().is_none() {
            // What is listed must not count when a time is set again.
            return if held.parent.record().kept.is_none() {
                change
            } else {
                change.keeping(Kept::default())
            };
        }
        match self.list_after(held, id, pulse) {
            Ok(list) => change.keeping(self.fitting(list)),
            Err(failure) => {
                let what = "what is kept for a while is not written down yet, and stays so much longer";
                self.observer.warn(&format!("{what}: {}", failure.reason));
                change
            }
        }
    }

    fn fitting(&self, list: Kept) -> Kept {
        let (list, left_out) = list.fitting();
        if left_out > 0 {
            self.observer.warn(&format!(
                "{left_out} more objects are no longer wanted than can be written down: their time begins when others are gone"
            ));
        }
        list
    }

    /// The list after a success that has just landed.
    fn list_after(&self, held: &Held, id: &DeploymentId, pulse: &dyn Pulse) -> Result<Kept, Failure> {
        let wanted = self.objects_of(id)?.ok_or_else(|| {
            Failure::of_nobody(Step::Land, format!("what {id} applied is not kept in this repository"))
        })?;
        let wanted = self.targets(&held.session, &wanted)?;
        let options = self.prune_options(None);
        let (view, Session { connection, resources }) = (held.view(), &held.session);
        let unwanted = self.run(Step::Land, pulse, async {
            let ids = wanted.iter().map(|target| &target.id);
            let members = members(connection, resources, &view, ids, Depth::Metadata).await;
            let members = members.map_err(|error| Failure::of_nobody(Step::Land, error.to_string()))?;
            Ok(prune::unwanted(&view, &wanted, &members, &options))
        })?;
        let list = self.list(held.parent.record());
        let before = self.state.borrow().stands.clone().map(|(before, _)| before);
        Ok(self.list_of(&list, Success { id, previous: before.as_ref() }, &unwanted))
    }

    /// The list that follows from a success. Who wanted last what is new on it is told by what the success before it applied.
    fn list_of(&self, list: &Kept, success: Success<'_>, unwanted: &[Unwanted]) -> Kept {
        let before = success.previous.and_then(|before| self.objects_of(before).ok().flatten());
        let was_wanted = |id: &ObjectId| {
            let is_it = |object: &Object| self.placed(object.id(), id.namespace.is_some()).is_same(id);
            before.as_ref().is_some_and(|before| before.iter().any(is_it))
        };
        list.after(success, unwanted, was_wanted, Timestamp::now())
    }

    /// What a deployment was going to apply, if that is kept here.
    pub(super) fn objects_of(&self, of: &DeploymentId) -> Result<Option<Vec<Object>>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::of_nobody(Step::Apply, error.to_string());
        let kept = rendered_ref(&self.cluster.environment, of).map_err(|error| failed(&error))?;
        let kept = self.repository.resolve(&self.settings.authority(&kept)).map_err(of_git(Step::Apply))?;
        let Some(kept) = kept else { return Ok(None) };
        let rendered = kept::read(self.repository, CommitId(kept)).map_err(of_git(Step::Apply))?;
        objects(&rendered).map(Some)
    }

    /// Whether something was kept for long enough, or is not written down yet.
    pub(super) fn look_for_due(&self, standing: &Standing, pulse: &dyn Pulse) -> Result<Upkeep, Failure> {
        let Some(time) = self.time_to_keep() else { return Ok(Upkeep::default()) };
        let session = self.session(pulse)?;
        let Some(parent) = self.known_parent(&session, standing)? else { return Ok(Upkeep::default()) };
        let record = parent.record();
        if !is_settled(record, standing) {
            return Ok(Upkeep::default());
        }
        let against =
            super::state::Against { set: self.set(standing)?, parent: Some(parent.clone()), session };
        let found = self.find(&against.session, &against.view(), record, standing, pulse)?;
        let is_due = !found.judged.deletions.is_empty() || found.list != record.kept;
        Ok(Upkeep { is_due, next: next(&found.list, time) })
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
        let wanted = self.targets(session, &wanted)?;
        let options = self.prune_options(Some(record));
        let (judged, unwanted) = self.run(Step::Plan, pulse, async {
            let Session { connection, resources } = session;
            let failed = |error: crate::members::ListError| {
                Failure::new(Step::Plan, error.blame(), error.to_string()).hint(error.why.hint())
            };
            let ids = wanted.iter().map(|target| &target.id);
            let members = members(connection, resources, view, ids, Depth::Metadata).await.map_err(failed)?;
            let judged = prune::judge(connection, resources, view, &wanted, &members, &options, None).await;
            Ok((judged.map_err(failed)?, prune::unwanted(view, &wanted, &members, &options)))
        })?;
        let success = Success { id: &latest.id, previous: latest.previous.as_ref() };
        let (list, _) = self.list_of(&self.list(record), success, &unwanted).fitting();
        Ok(Found { wanted, judged, list })
    }

    /// Deletes what was kept for long enough, and writes down what is left.
    pub(super) fn tidy_cluster(
        &self,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<Tidied, NotTaken> {
        let session = self.session(pulse)?;
        let parent = self.known_parent(&session, standing)?;
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
        if !before.judged.deletions.is_empty() {
            let options = PruneOptions { gone_timeout: GOING, ..self.prune_options(Some(&record)) };
            let view = held.view();
            let pruned = self.run(Step::Verify, pulse, async {
                let Session { connection, resources } = &held.session;
                let pruned =
                    held.lease.writing(prune(connection, resources, &view, &before.wanted, &options));
                pruned.await.map_err(of_lease(Step::Verify))
            })?;
            undone = pruned.err();
        }
        let after = self.find(&held.session, &held.view(), &record, standing, pulse)?;
        let is_left = |uid: &str| after.list.objects().iter().any(|kept| kept.uid == uid);
        let gone = before.judged.deletions.iter().filter(|deletion| !is_left(&deletion.uid));
        let deleted: Vec<_> = gone.map(|deletion| named(&deletion.id)).collect();
        deleted.iter().for_each(|object| self.observer.step("Deleted", &object.to_string()));
        let next = next(&after.list, time);
        self.begin_phase(held, Step::Verify, pulse, &Change::default().keeping(after.list))?;
        let undone = undone.map(|error| {
            let why = format!(
                "what was kept for long enough in '{}' is not all gone: {error}",
                self.cluster.environment
            );
            Failure::of_nobody(Step::Verify, why)
        });
        Ok(Tidied { deleted, undone, next })
    }
}

/// Whether the cluster stands at the latest success, and nothing is under way.
fn is_settled(record: &Record, standing: &Standing) -> bool {
    let Some(latest) = &standing.latest else { return false };
    let is_latest = record.deployment.as_ref() == Some(&latest.id);
    match record.phase {
        Some(SetPhase::Done) => true,
        // It has landed, and whoever had done it died before it could write that.
        Some(SetPhase::Verified) => is_latest,
        Some(SetPhase::Applying | SetPhase::Pruning | SetPhase::Restoring | SetPhase::Degraded) | None => {
            false
        }
    }
}

/// When there is something to do again.
fn next(list: &Kept, time: Duration) -> Option<Timestamp> {
    let now = Timestamp::now();
    let moment = |kept: &KeptObject| {
        let until = kept.until(time, now);
        if until > now { until } else { end(now, AGAIN) }
    };
    list.objects().iter().map(moment).min()
}

/// A time as `deploy.toml` has it.
fn in_words(time: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut left = time.as_secs();
    let mut words = String::new();
    for (seconds, unit) in UNITS {
        if left >= seconds {
            words.push_str(&format!("{}{unit}", left / seconds));
            left %= seconds;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_it_is_configured() {
        let told = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!([told(5), told(5_400), told(604_800)], ["5s", "1h30m", "7d"]);
    }
}
