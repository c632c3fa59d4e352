//! What stays for a while although it is no longer wanted: until when, and what a success writes down of it.

use std::collections::BTreeSet;
use std::time::Duration;

use git_deploy_core::attempt::rendered_ref;
use git_deploy_core::config::deploy_toml::Prune;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Left, Pulse, kept};
use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::{Object, ObjectId};
use jiff::Timestamp;

use super::ClusterDriver;
use super::restore::holds_data;
use super::said::{named, objects, of_git};
use super::state::{Held, Session};
use crate::members::members;
use crate::objects::Depth;
use crate::prune;
use crate::set::{Change, Kept, KeptObject, Record, Success, Unwanted};

impl ClusterDriver<'_> {
    /// For how long things stay; none where they go at once or never.
    pub(super) fn time_to_keep(&self) -> Option<Duration> {
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

    /// What time it is by our clock and by that of the cluster: the earlier, by which nothing is over too soon, and the later,
    /// from which on it counts.
    pub(super) fn clocks(&self) -> (Timestamp, Timestamp) {
        let state = self.state.borrow();
        let ours = Timestamp::now();
        let ahead = state.session.as_ref().map(|session| session.connection.clock_ahead());
        let theirs = ours.checked_add(ahead.unwrap_or_default()).unwrap_or(ours);
        (ours.min(theirs), ours.max(theirs))
    }

    /// The UIDs of what was kept for long enough; none where nothing is kept for a while.
    pub(super) fn due(&self, record: Option<&Record>) -> Option<BTreeSet<String>> {
        let (time, now) = (self.time_to_keep()?, self.clocks().0);
        let list = record.map(|record| self.list(record)).unwrap_or_default();
        let due = list.objects().iter().filter(|kept| kept.until(time) <= now);
        Some(due.map(|kept| kept.uid.clone()).collect())
    }

    /// Until when these stay. What is not listed is put on the list with the next success.
    pub(super) fn stays(&self, record: Option<&Record>, waiting: &[Unwanted]) -> Vec<Left> {
        let Some(time) = self.time_to_keep() else { return Vec::new() };
        let list = record.map(|record| self.list(record)).unwrap_or_default();
        let left = |one: &Unwanted| {
            let listed = list.objects().iter().find(|kept| kept.uid == one.uid);
            let until = listed.map(|kept| kept.until(time));
            let why = match until {
                Some(until) if !listed.is_some_and(goes_when_idle) => {
                    format!("kept until {until}, then only a deployment deletes it")
                }
                Some(until) => format!("kept until {until}"),
                None => format!("kept for {} from the next success on", in_words(time)),
            };
            Left { object: named(&one.id), why, until }
        };
        waiting.iter().map(left).collect()
    }

    /// What a success wants. Where that cannot be told, nothing of what was adopted counts as ours.
    pub(super) fn wanted_by(&self, held: &Held, id: &DeploymentId, pulse: &dyn Pulse) -> Vec<ObjectId> {
        let objects = self.objects_of(id).ok().flatten().unwrap_or_default();
        let targets = self.targets(&held.session, &objects, pulse).unwrap_or_default();
        targets.into_iter().map(|target| target.id).collect()
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
        let wanted = self.targets(&held.session, &wanted, pulse)?;
        let options = self.prune_options(Some(held.parent.record()));
        let (view, Session { connection, resources, .. }) = (held.view(), &held.session);
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
    pub(super) fn list_of(&self, list: &Kept, success: Success<'_>, unwanted: &[Unwanted]) -> Kept {
        let before = success.previous.and_then(|before| self.objects_of(before).ok().flatten());
        let was_wanted = |id: &ObjectId| {
            let is_it = |object: &Object| self.placed(object.id(), id.namespace.is_some()).is_same(id);
            before.as_ref().is_some_and(|before| before.iter().any(is_it))
        };
        list.after(success, unwanted, was_wanted, self.clocks().1)
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
}

/// Whether it may be deleted when nothing is deployed: a success has wanted it, and it holds nothing that others have written.
pub(super) fn goes_when_idle(kept: &KeptObject) -> bool {
    kept.wanted_by.is_some() && !holds_data(&kept.kind)
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
