//! One look at everything that is held: who belongs to whom.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::MutexGuard;
use std::time::Duration;

use git_deploy_manifest::readiness::{Around, NewImages, Surroundings, controller_of, is_hindered, is_inert};
use git_deploy_manifest::value::{annotation, mapping, namespace, uid};
use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, networking::v1 as networking, storage::v1 as storage,
};
use kube::core::discovery::ApiResource;
use serde_json::Value;

use super::{Key, Scene, key, lock};
use crate::target::Applied;
use crate::watch::State;

/// What all stores hold: nothing changes while one has this.
pub(super) type Held<'a> = BTreeMap<&'a Key, MutexGuard<'a, State>>;

/// One look.
pub(super) struct Eye<'a> {
    scene: &'a Scene<'a>,
    pub(super) held: &'a Held<'a>,
    /// The pods and ReplicaSets of each controller, by its UID, so that a look at many objects is not one at all pods
    /// for each of them.
    families: HashMap<(Around, &'a str), Vec<&'a Value>>,
    /// The same for the selectors of Services.
    labelled: OnceCell<Labelled<'a>>,
    /// Whether what was applied waits for an image by nobody's fault.
    hindered: OnceCell<bool>,
}

/// Pods by namespace, label and its value.
type Labelled<'a> = HashMap<(&'a str, &'a str, &'a str), Vec<&'a Value>>;

impl<'a> Eye<'a> {
    pub(super) fn open(scene: &'a Scene<'a>, held: &'a Held<'a>) -> Eye<'a> {
        let mut families: HashMap<_, Vec<_>> = HashMap::new();
        for (what, group, kind) in [(Around::Pods, "", "Pod"), (Around::ReplicaSets, "apps", "ReplicaSet")] {
            let states = held.iter().filter(|((g, k, _), _)| (g.as_str(), k.as_str()) == (group, kind));
            let objects = states.filter_map(|(_, state)| state.all()).flatten();
            for object in objects.filter(|object| !controller_of(object).is_empty()) {
                families.entry((what, controller_of(object))).or_default().push(object);
            }
        }
        Eye { scene, held, families, labelled: OnceCell::new(), hindered: OnceCell::new() }
    }

    fn index_labels(&self) -> Labelled<'a> {
        let is_of_pods = |(group, kind, _): &Key| group.is_empty() && kind == "Pod";
        let pods = self.held.iter().filter(|(key, _)| is_of_pods(key)).filter_map(|(_, state)| state.all());
        let mut labelled = Labelled::new();
        for pod in pods.flatten() {
            for (label, value) in mapping(pod, "/metadata/labels").into_iter().flatten() {
                let key = (namespace(pod), label.as_str(), value.as_str().unwrap_or_default());
                labelled.entry(key).or_default().push(pod);
            }
        }
        labelled
    }

    /// The ReplicaSets and pods that belong to an object, by their controllers.
    pub(super) fn family(&self, applied: &Applied) -> Vec<(Around, &'a Value)> {
        let of = |what, owner: &str| {
            let family = self.families.get(&(what, owner)).into_iter().flatten();
            family.map(move |object| (what, *object)).collect::<Vec<_>>()
        };
        let sets = of(Around::ReplicaSets, &applied.uid);
        let pods = sets.iter().flat_map(|(_, set)| of(Around::Pods, uid(set))).collect::<Vec<_>>();
        let id = &applied.target.id;
        let own = (id.kind == "Pod").then(|| self.held.get(&key(id))?.get(id.namespace.as_deref(), &id.name));
        let own = own.flatten().map(|pod| (Around::Pods, pod));
        sets.into_iter().chain(pods).chain(of(Around::Pods, &applied.uid)).chain(own).collect()
    }

    /// Whether it is a ReplicaSet that its Deployment has left behind, or a pod of one.
    pub(super) fn is_of_earlier(&self, applied: &Applied, object: &Value) -> bool {
        const REVISION: &str = "deployment.kubernetes.io/revision";
        let id = &applied.target.id;
        let live = self.held.get(&key(id)).and_then(|state| state.get(id.namespace.as_deref(), &id.name));
        let Some(revision) = live.and_then(|object| annotation(object, REVISION)) else { return false };
        let sets = self.families.get(&(Around::ReplicaSets, applied.uid.as_str())).into_iter().flatten();
        let mut set = sets.filter(|set| [uid(object), controller_of(object)].contains(&uid(set)));
        set.next().is_some_and(|set| annotation(set, REVISION) != Some(revision))
    }
}

impl Surroundings for Eye<'_> {
    fn all(&self, what: Around, namespace: &str) -> Option<Vec<&Value>> {
        let Some((resource, is_namespaced)) = resource(what) else {
            let workloads = self.scene.applied.iter().filter_map(|applied| {
                let id = &applied.target.id;
                self.held.get(&key(id))?.get(id.namespace.as_deref(), &id.name)
            });
            let has_template = |object: &&Value| {
                object.pointer("/spec/template").or_else(|| object.pointer("/spec/jobTemplate")).is_some()
            };
            // Those that are ready as soon as they exist, CronJobs, are not watched.
            let unwatched = self.scene.applied.iter().filter(|applied| is_inert(&applied.target.id));
            return Some(
                workloads.chain(unwatched.map(|applied| &applied.live)).filter(has_template).collect(),
            );
        };
        let namespace = is_namespaced.then(|| namespace.to_owned());
        Some(self.held.get(&(resource.group, resource.kind, namespace))?.all()?.collect())
    }

    fn controlled(&self, what: Around, _namespace: &str, owner: &str) -> Vec<&Value> {
        self.families.get(&(what, owner)).cloned().unwrap_or_default()
    }

    fn pods_with_label(&self, namespace: &str, label: &str, wanted: &str) -> Option<Vec<&Value>> {
        let pods = (String::new(), "Pod".to_owned(), Some(namespace.to_owned()));
        if self.held.get(&pods)?.denied().is_some() {
            return None;
        }
        let labelled = self.labelled.get_or_init(|| self.index_labels());
        Some(labelled.get(&(namespace, label, wanted)).cloned().unwrap_or_default())
    }

    fn observed(&self, symptom: &str) -> Duration {
        lock(&self.scene.clock).observed(symptom)
    }

    fn new_images(&self) -> Option<&NewImages> {
        Some(self.scene.new_images)
    }

    fn is_hindered(&self) -> bool {
        *self.hindered.get_or_init(|| {
            let families = self.scene.applied.iter().flat_map(|applied| self.family(applied));
            let pods = families.filter(|(kind, _)| *kind == Around::Pods).map(|(_, pod)| pod);
            is_hindered(pods, self.scene.new_images)
        })
    }

    fn is_served(&self, group: &str, version: &str, plural: &str) -> Option<bool> {
        let which = (group.to_owned(), version.to_owned());
        let mut discovery = lock(&self.scene.discovery);
        let is_served = discovery.served.get(&which).is_some_and(|plurals| plurals.contains(plural));
        if !is_served {
            discovery.asked.insert(which);
        }
        Some(is_served)
    }
}

/// Where the API server has what others are judged by, and whether it is in namespaces.
pub(super) fn resource(what: Around) -> Option<(ApiResource, bool)> {
    Some(match what {
        Around::Pods => (ApiResource::erase::<core::Pod>(&()), true),
        Around::ReplicaSets => (ApiResource::erase::<apps::ReplicaSet>(&()), true),
        Around::Ingresses => (ApiResource::erase::<networking::Ingress>(&()), true),
        Around::Nodes => (ApiResource::erase::<core::Node>(&()), false),
        Around::StorageClasses => (ApiResource::erase::<storage::StorageClass>(&()), false),
        Around::Workloads => return None,
    })
}
