//! What stayed for a while, was wanted again by a deployment that failed, and stays for a while again: it gets back what the
//! deployment had applied that wanted it last, since what stood there before says nothing of it.

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::Pulse;
use git_deploy_manifest::value::uid;
use git_deploy_manifest::{Object, ObjectId, is_redacted};

use super::ClusterDriver;
use super::said::of_api;
use super::state::Held;
use crate::api_error::ApiErrorKind;
use crate::objects::IN_FLIGHT;
use crate::set::{KeptObject, Record};
use crate::target::Target;

/// What becomes of what cannot be given back.
const AS_IT_IS: &str = "it stays as it is";

/// What becomes of it on the way back.
#[derive(Default)]
pub(super) struct Again {
    /// What is applied again.
    pub(super) objects: Vec<Object>,
    /// What is not deleted although the failed deployment was going to apply it: those, and what it did not change.
    pub(super) stay: Vec<ObjectId>,
}

impl ClusterDriver<'_> {
    /// What becomes of what is kept for a while, stood there `before` by no manifest, and was to be applied by what `failed`.
    pub(super) fn kept_again(
        &self,
        held: &Held,
        before: &[Target],
        failed: &[Target],
        pulse: &dyn Pulse,
    ) -> Result<Again, Failure> {
        let mut again = Again::default();
        let list = self.list(held.parent.record());
        let is_wanted = |id: &ObjectId| before.iter().any(|target| target.id.is_same(id));
        let taken = failed.iter().filter(|target| !is_wanted(&target.id)).filter_map(|target| {
            let kept = list.objects().iter().find(|kept| kept.is(&target.id))?;
            Some((kept, target))
        });
        for (kept, target) in self.still_there(held, taken.collect(), pulse)? {
            // In doubt it stays: it was there before.
            again.stay.push(target.id.clone());
            let Some((object, wanted)) = self.as_wanted_last(held, kept, pulse)? else {
                let why = "and what it was before is not known any more";
                self.observer.warn(&format!("{} was changed by what failed, {why}: {AS_IT_IS}", target.id));
                continue;
            };
            if wanted.wanted == target.wanted {
                continue;
            }
            if is_redacted(&target.id, &wanted.wanted) {
                let why = "and its values of before are not kept in git";
                self.observer.warn(&format!("{} was changed by what failed, {why}: {AS_IT_IS}", target.id));
            } else {
                again.objects.push(object);
            }
        }
        self.tell_found(held, failed, &again.stay, is_wanted);
        Ok(again)
    }

    /// Tells what stays because the failed deployment has found it, and of which nothing else was told.
    fn tell_found(
        &self,
        held: &Held,
        failed: &[Target],
        told: &[ObjectId],
        is_wanted: impl Fn(&ObjectId) -> bool,
    ) {
        let Record { found, adopted, .. } = held.parent.record();
        let stays = |id: &ObjectId| {
            let name = id.file_name();
            found.contains(&name) && !adopted.contains(&name) && !is_wanted(id) && !told.contains(id)
        };
        for id in failed.iter().map(|target| &target.id).filter(|id| stays(id)) {
            self.observer.warn(&format!("{id} was there before what failed: {AS_IT_IS}"));
        }
    }

    /// Those that are there and are the same as when they were listed: what was made anew came with what failed.
    fn still_there<'t>(
        &self,
        held: &Held,
        taken: Vec<(&'t KeptObject, &'t Target)>,
        pulse: &dyn Pulse,
    ) -> Result<Vec<(&'t KeptObject, &'t Target)>, Failure> {
        let connection = &held.session.connection;
        self.run(Step::Apply, pulse, async {
            let mut looks = stream::iter(taken)
                .map(async |(kept, target)| (connection.get(target.into()).await, kept, target))
                .buffer_unordered(IN_FLIGHT);
            let mut there = Vec::new();
            while let Some((live, kept, target)) = looks.next().await {
                let is_there = match live {
                    Ok(live) => live.is_some_and(|live| uid(&live) == kept.uid),
                    // Who may work in a namespace need not be allowed to look at it: it counts as there.
                    Err(error) if *error.kind() == ApiErrorKind::Forbidden => true,
                    Err(error) => {
                        let why = format!("cannot see whether {} is there: {error}", target.id);
                        return Err(of_api(Step::Apply, &error, why));
                    }
                };
                there.extend(is_there.then_some((kept, target)));
            }
            there.sort_by_key(|(kept, _)| *kept);
            Ok(there)
        })
    }

    /// The object as the deployment applied it that wanted it last, if that is kept here.
    fn as_wanted_last(
        &self,
        held: &Held,
        kept: &KeptObject,
        pulse: &dyn Pulse,
    ) -> Result<Option<(Object, Target)>, Failure> {
        let Some(by) = &kept.wanted_by else { return Ok(None) };
        let objects = self.objects_of(by)?.unwrap_or_default();
        let object = objects.into_iter().find(|object| self.is_meant(kept, object.id()));
        Ok(object.and_then(|object| {
            let target = self.targets(&held.session, std::slice::from_ref(&object), pulse).ok()?.pop()?;
            Some((object, target))
        }))
    }
}
