//! What is waited for, and everything that it is judged by.

mod eye;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use git_deploy_manifest::ObjectId;
use git_deploy_manifest::fields::MANAGER;
use git_deploy_manifest::readiness::{
    Around, Health, NewImages, Origin, Patience, Trouble, Wait, blocking_pod, first_cause, is_final,
    is_inert, is_untried, judge, needs,
};
use git_deploy_manifest::value::{is_true, items, text, uid};
use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::heard::Heard;
use super::{End, Limits};
use crate::api_error::ApiError;
use crate::connect::{Connection, request};
use crate::evidence::{Lacking, Suspect, Warning};
use crate::logs::{Speaker, speakers};
use crate::target::{Applied, Target};
use crate::unblock::BlockingPod;
use crate::watch::Store;
use eye::{Eye, Held, resource};

/// Group, kind, namespace.
type Key = (String, String, Option<String>);

/// A kind in a namespace.
struct Shelf {
    store: Store,
    /// Whether something that was applied is of this kind: then it must be readable.
    is_required: bool,
}

/// What is waited for.
pub(super) struct Scene<'a> {
    applied: &'a [Applied],
    pub(super) patience: Patience,
    new_images: &'a NewImages,
    shelves: BTreeMap<Key, Shelf>,
    /// Kinds that are not watched, since they are ready as soon as they exist.
    inert: BTreeMap<Key, Store>,
    clock: Mutex<Clock>,
    discovery: Mutex<Discovery>,
    pub(super) heard: Heard,
    /// Which objects were ready and stay so, whatever becomes of them.
    done: Mutex<HashSet<usize>>,
}

/// What one look at everything comes to.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) ready: usize,
    pub(super) wanted: usize,
    /// Those that are not, first those that others wait for.
    pub(super) waiting: Vec<Left>,
    pub(super) warnings: Vec<String>,
    /// What should be known of those that are ready.
    pub(super) notes: Vec<String>,
    pub(super) failed: Option<(usize, Trouble)>,
    /// What keeps the first of those that are kept from going on.
    pub(super) blocked: Option<(usize, Vec<BlockingPod>)>,
}

/// An object that is not ready.
#[derive(Debug)]
pub(super) struct Left {
    /// Which of the applied objects it is.
    pub(super) index: usize,
    pub(super) id: ObjectId,
    /// What is missing.
    pub(super) what: String,
    /// What can be seen of that in its pods, where that was looked for.
    pub(super) cause: Option<Trouble>,
    /// What its events say where nothing can be seen.
    pub(super) heard: Option<Warning>,
}

impl Left {
    /// What dooms it by what its events say.
    fn doom(&self, patience: &Patience) -> Option<Trouble> {
        let lacking = self.heard.as_ref()?.lacking.as_ref()?;
        if lacking.lasted >= patience.config { self.trouble_heard() } else { None }
    }

    /// What its events say, and whose fault that is.
    pub(super) fn trouble_heard(&self) -> Option<Trouble> {
        let Warning { text, lacking } = self.heard.as_ref()?;
        Some(match lacking {
            Some(Lacking { pod, .. }) => {
                Trouble { reason: format!("pod '{pod}' cannot start: {text}"), origin: Origin::Release }
            }
            None => Trouble { reason: text.clone(), origin: Origin::Cluster },
        })
    }

    /// Why it is not ready, as far as anybody knows.
    pub(super) fn why(&self) -> Option<String> {
        self.cause
            .as_ref()
            .map(|cause| cause.reason.clone())
            .or_else(|| Some(self.heard.as_ref()?.text.clone()))
    }
}

/// Since when each trouble has been there, by our own clock.
#[derive(Default)]
struct Clock {
    since: HashMap<String, (Instant, u64)>,
    look: u64,
}

/// What discovery lists.
#[derive(Default)]
struct Discovery {
    served: HashMap<(String, String), HashSet<String>>,
    asked: HashSet<(String, String)>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(applied: &'a [Applied], limits: &'a Limits) -> Scene<'a> {
        let (mut shelves, mut inert) = (BTreeMap::new(), BTreeMap::new());
        for object in applied {
            let id = &object.target.id;
            let store = Store::new(object.target.resource.clone(), id.namespace.clone());
            if is_inert(id) {
                inert.insert(key(id), store);
            } else {
                shelves.insert(key(id), Shelf { store, is_required: true });
            }
        }
        for object in applied {
            for what in needs(&object.target.id) {
                let Some((resource, is_namespaced)) = resource(*what) else { continue };
                let namespace = object.target.id.namespace.clone().filter(|_| is_namespaced);
                let key = (resource.group.clone(), resource.kind.clone(), namespace.clone());
                shelves
                    .entry(key)
                    .or_insert_with(|| Shelf { store: Store::new(resource, namespace), is_required: false });
            }
        }
        let (clock, discovery, heard, done) = Default::default();
        let Limits { patience, new_images, .. } = limits;
        Scene { applied, patience: *patience, new_images, shelves, inert, clock, discovery, heard, done }
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = (&Store, bool)> {
        self.shelves.values().map(|shelf| (&shelf.store, shelf.is_required))
    }

    fn held(&self) -> Held<'_> {
        self.shelves.iter().map(|(key, shelf)| (key, shelf.store.state())).collect()
    }

    pub(super) fn id(&self, index: usize) -> &'a ObjectId {
        &self.applied[index].target.id
    }

    /// Whether its pods are ready before anybody has tried whether they answer.
    pub(super) fn is_untried(&self, index: usize) -> bool {
        let Target { id, wanted, .. } = &self.applied[index].target;
        !is_final(id) && is_untried(wanted)
    }

    /// Looks at everything, and at so many of those that are not ready for the cause.
    pub(super) fn look(&self, closely: usize) -> Standing {
        let held = self.held();
        let eye = Eye::open(self, &held);
        let (mut standing, mut versions) = (Standing::default(), DefaultHasher::new());
        for (index, applied) in self.applied.iter().enumerate() {
            let id = &applied.target.id;
            if is_inert(id) {
                continue;
            }
            standing.wanted += 1;
            let live = self.live(&eye, applied);
            live.map(|live| text(live, "/metadata/resourceVersion")).hash(&mut versions);
            match self.health(&eye, index, applied) {
                Health::Ready => standing.ready += 1,
                Health::ReadyBut(note) => {
                    standing.ready += 1;
                    standing.notes.push(format!("{id}: {note}"));
                }
                Health::Waiting(Wait { what, warning }) => {
                    standing.warnings.extend(warning.map(|warning| format!("{id}: {warning}")));
                    standing.waiting.push(Left { index, id: id.clone(), what, cause: None, heard: None });
                    let pods = self.blocking(&eye, applied);
                    if !pods.is_empty() {
                        standing.blocked.get_or_insert((index, pods));
                    }
                }
                Health::Failed(trouble) => {
                    standing.failed.get_or_insert((index, trouble));
                }
            }
        }
        standing.waiting.sort_by_key(|left| is_consequence(&left.id));
        let closely = closely.min(standing.waiting.len());
        for left in &mut standing.waiting[..closely] {
            left.cause = self.cause(&eye, &self.applied[left.index]);
        }
        self.heard.explain(versions.finish(), &mut standing.waiting[..closely]);
        if standing.failed.is_none() {
            let mut doomed =
                standing.waiting.iter().map(|left| Some((left.index, left.doom(&self.patience)?)));
            standing.failed = doomed.find_map(|doom| doom);
        }
        lock(&self.clock).end_of_look();
        standing
    }

    /// The first cause of what is not ready, in the pods that it is waited for.
    fn cause(&self, eye: &Eye<'_>, applied: &Applied) -> Option<Trouble> {
        let pods = eye.family(applied).into_iter().filter(|(kind, _)| *kind == Around::Pods);
        let pods = pods.map(|(_, pod)| pod);
        first_cause(pods.filter(|pod| !eye.is_of_earlier(applied, pod)), eye, &self.patience)
    }

    fn health(&self, eye: &Eye<'_>, index: usize, applied: &Applied) -> Health {
        let id = &applied.target.id;
        if lock(&self.done).contains(&index) {
            return Health::Ready;
        }
        let Some(state) = eye.held.get(&key(id)) else { return Health::Ready };
        let object = match state.get(id.namespace.as_deref(), &id.name) {
            Some(object) if uid(object) == applied.uid => object,
            other => match (other, state.gone(&applied.uid).filter(|_| is_final(id))) {
                // A Job that cleans up after itself: its last words count.
                (_, Some(last)) => last,
                (other, None) => return Health::Failed(lost(other.is_some())),
            },
        };
        let health = judge(id, object, &applied.live, eye, &self.patience);
        if health == Health::Ready && is_final(id) {
            lock(&self.done).insert(index);
        }
        health
    }

    /// What bears an applied object's name.
    fn live<'v>(&self, eye: &Eye<'v>, applied: &Applied) -> Option<&'v Value> {
        let id = &applied.target.id;
        eye.held.get(&key(id))?.get(id.namespace.as_deref(), &id.name)
    }

    fn blocking(&self, eye: &Eye<'_>, applied: &Applied) -> Vec<BlockingPod> {
        let id = &applied.target.id;
        let Some(object) = self.live(eye, applied) else { return Vec::new() };
        let pod = blocking_pod(id, object, &applied.live, eye, &self.patience);
        pod.into_iter()
            .map(|pod| BlockingPod {
                namespace: text(pod, "/metadata/namespace").to_owned(),
                name: text(pod, "/metadata/name").to_owned(),
                uid: uid(pod).to_owned(),
            })
            .collect()
    }

    /// Whether what has nothing to wait for is at least still there.
    pub(super) async fn still_there(&self, connection: &Connection) -> Result<(), End> {
        let checks = self.inert.iter().map(async |(kind, store)| {
            let found = store.uids(connection).await;
            let found = found.map_err(|why| End::Denied { what: store.what(), why })?;
            let of_kind = |(_, applied): &(usize, &Applied)| key(&applied.target.id) == *kind;
            for (index, applied) in self.applied.iter().enumerate().filter(of_kind) {
                let id = &applied.target.id;
                let name = (id.namespace.clone().unwrap_or_default(), id.name.clone());
                if found.get(&name) != Some(&applied.uid) {
                    return Err(End::Failed(index, lost(found.contains_key(&name))));
                }
            }
            Ok(())
        });
        try_join_all(checks).await.map(drop)
    }

    /// Asks discovery for what was missing in it; whether something new is there.
    pub(super) async fn probe(&self, connection: &Connection) -> bool {
        let asked = std::mem::take(&mut lock(&self.discovery).asked);
        // What is not there yet is asked for again in any case.
        let believing = connection.believing();
        let answers = join_all(asked.into_iter().map(async |(group, version)| {
            let path = format!("/apis/{group}/{version}");
            let answer = believing.call(request(Method::GET, &path, Vec::new())).await.unwrap_or_default();
            let resources = answer.pointer("/resources").and_then(Value::as_array);
            let plurals = resources.into_iter().flatten().map(|found| text(found, "/name").to_owned());
            ((group, version), plurals.collect::<HashSet<_>>())
        }))
        .await;
        let mut discovery = lock(&self.discovery);
        let mut is_news = false;
        for (which, plurals) in answers {
            let before = discovery.served.insert(which.clone(), plurals);
            is_news |= before.as_ref() != discovery.served.get(&which);
        }
        is_news
    }

    /// What cannot be seen, so that failures will be seen late.
    pub(super) fn blind_spots(&self) -> Vec<String> {
        let stores = self.shelves.values().filter(|shelf| !shelf.is_required).map(|shelf| &shelf.store);
        stores
            .filter_map(|store| {
                let state = store.state();
                let why = state.denied()?;
                Some(format!("cannot read {}, so failures may be seen late: {why}", store.what()))
            })
            .collect()
    }

    /// Where the API server owes an answer for longest.
    pub(super) fn silence(&self) -> Option<(String, Duration, Option<ApiError>)> {
        let watched = self.shelves.values().map(|shelf| &shelf.store);
        let silences = watched.chain(self.inert.values()).filter_map(|store| {
            let state = store.state();
            let (silence, why) = state.unanswered()?;
            Some((store.what(), silence, why.cloned()))
        });
        silences.max_by_key(|(_, silence, _)| *silence)
    }

    /// When an object was last applied, by the server's clock; what was said of it before is not about this.
    pub(super) fn since(&self, index: usize) -> &'a str {
        let entries = items(&self.applied[index].live, "/metadata/managedFields");
        let ours = entries.iter().filter(|entry| text(entry, "/manager") == MANAGER);
        ours.map(|entry| text(entry, "/time")).max().unwrap_or_default()
    }

    /// The containers of one of its pods that is not well, of that which a reason speaks of or else of the newest: what they
    /// wrote may say why.
    pub(super) fn speakers(&self, index: usize, reason: Option<&str>) -> Vec<Speaker> {
        let applied = &self.applied[index];
        let held = self.held();
        let eye = Eye::open(self, &held);
        let pods =
            eye.family(applied).into_iter().filter(|(kind, _)| *kind == Around::Pods).map(|(_, pod)| pod);
        let unwell = pods.filter(|pod| !is_true(pod, "Ready") && !eye.is_of_earlier(applied, pod));
        let is_meant = |speaker: &Speaker| reason.is_some_and(|reason| speaker.is_meant_by(reason));
        let speaking = unwell.map(|pod| (text(pod, "/metadata/creationTimestamp"), speakers(pod)));
        let chosen = speaking
            .filter(|(_, speakers)| !speakers.is_empty())
            .max_by_key(|(created, speakers)| (speakers.iter().any(is_meant), *created));
        chosen.map(|(_, speakers)| speakers).unwrap_or_default()
    }

    /// An object, what it made, and what that made: whose events may say why.
    pub(super) fn suspects(&self, index: usize) -> Vec<Suspect> {
        const MOST: usize = 6;
        let applied = &self.applied[index];
        let namespace = applied.target.id.namespace.clone();
        let held = self.held();
        let eye = Eye::open(self, &held);
        let mut family = eye.family(applied);
        // What others had to say is long past.
        family.retain(|(kind, object)| {
            !(eye.is_of_earlier(applied, object) || *kind == Around::Pods && is_true(object, "Ready"))
        });
        // The newest first.
        family.sort_by_key(|(_, object)| std::cmp::Reverse(text(object, "/metadata/creationTimestamp")));
        let uids = family.into_iter().map(|(_, object)| uid(object).to_owned());
        let uids = std::iter::once(applied.uid.clone()).chain(uids).take(MOST);
        uids.map(|uid| Suspect { namespace: namespace.clone(), uid }).collect()
    }
}

impl Clock {
    fn observed(&mut self, symptom: &str) -> Duration {
        let look = self.look;
        let (since, seen) = self.since.entry(symptom.to_owned()).or_insert_with(|| (Instant::now(), look));
        *seen = look;
        since.elapsed()
    }

    /// What was not asked for in this look has healed.
    fn end_of_look(&mut self) {
        let look = self.look;
        self.since.retain(|_, (_, seen)| *seen == look);
        self.look += 1;
    }
}

/// Whether an object is waited for only because others are not ready: it says nothing that those do not say better.
fn is_consequence(id: &ObjectId) -> bool {
    matches!(id.kind.as_str(), "Service" | "Ingress" | "HorizontalPodAutoscaler" | "APIService")
}

/// An object of ours that is not there, or not ours any more.
fn lost(is_replaced: bool) -> Trouble {
    let reason = if is_replaced {
        "it was replaced by another object of the same name, not by this deployment"
    } else {
        "it was deleted, not by this deployment"
    };
    Trouble { reason: reason.to_owned(), origin: Origin::Cluster }
}

fn key(id: &ObjectId) -> Key {
    (id.group.clone(), id.kind.clone(), id.namespace.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
