//! A scene that was recorded, as the surroundings of its object.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use git_deploy_manifest::ObjectId;
use git_deploy_manifest::readiness::{
    Around, Health, NewImages, Origin, Patience, Surroundings, Trouble, Wait, is_hindered, judge,
};
use serde_json::Value;

/// What was recorded, and how long everything has been like that.
pub(crate) struct Recorded {
    pub(crate) at_apply: Value,
    pub(crate) object: Value,
    pub(crate) around: Value,
    pub(crate) observed: Duration,
    pub(crate) served: Option<bool>,
    pub(crate) blind: BTreeSet<Around>,
    pub(crate) new_images: NewImages,
}

impl Surroundings for Recorded {
    fn all(&self, what: Around, _namespace: &str) -> Option<Vec<&Value>> {
        if self.blind.contains(&what) {
            return None;
        }
        let list = match what {
            Around::Pods => "pods",
            Around::ReplicaSets => "replica_sets",
            Around::Workloads => "workloads",
            Around::Ingresses => "ingresses",
            Around::Nodes => "nodes",
            Around::StorageClasses => "storage_classes",
        };
        Some(self.around[list].as_array().into_iter().flatten().collect())
    }

    fn observed(&self, _symptom: &str) -> Duration {
        self.observed
    }

    fn new_images(&self) -> Option<&NewImages> {
        Some(&self.new_images)
    }

    fn is_hindered(&self) -> bool {
        is_hindered(self.all(Around::Pods, "").unwrap_or_default(), &self.new_images)
    }

    fn is_served(&self, _group: &str, _version: &str, _plural: &str) -> Option<bool> {
        self.served
    }
}

impl Recorded {
    pub(crate) fn health(&self) -> Health {
        judge(&id(&self.object), &self.object, &self.at_apply, self, &Patience::default())
    }

    pub(crate) fn for_seconds(mut self, seconds: u64) -> Self {
        self.observed = Duration::from_secs(seconds);
        self
    }
}

pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/objects")
}

pub(crate) fn recorded(name: &str) -> Recorded {
    let path = directory().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut around: Value = serde_json::from_str(&text).expect("a recording is JSON");
    Recorded {
        at_apply: around["at_apply"].take(),
        object: around["object"].take(),
        around,
        observed: Duration::ZERO,
        served: Some(true),
        blind: BTreeSet::new(),
        new_images: NewImages::default(),
    }
}

pub(crate) fn all_recorded() -> Vec<String> {
    let files =
        fs::read_dir(directory()).expect("there are recordings").flatten().map(|entry| entry.file_name());
    let names = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".json")?.to_owned()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

pub(crate) fn id(object: &Value) -> ObjectId {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text("/kind"),
        namespace: Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty()),
        name: text("/metadata/name"),
    }
}

pub(crate) fn health_of(name: &str) -> Health {
    recorded(name).health()
}

/// The words of a verdict with the names of pods, which differ from recording to recording, left out.
pub(crate) fn in_words(health: Health) -> String {
    let words = match health {
        Health::Ready => "ready".to_owned(),
        Health::ReadyBut(note) => format!("ready, but {note}"),
        Health::Waiting(Wait { what, warning: None }) => format!("waiting: {what}"),
        Health::Waiting(Wait { what, warning: Some(warning) }) => {
            format!("waiting: {what}; warning: {warning}")
        }
        Health::Failed(Trouble { reason, origin: Origin::Release }) => format!("release: {reason}"),
        Health::Failed(Trouble { reason, origin: Origin::Cluster }) => format!("cluster: {reason}"),
        Health::Failed(Trouble { reason, origin: Origin::NewImage }) => format!("new image: {reason}"),
    };
    let mut pieces = words.split('\'');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_name = piece.starts_with("web-") && !piece.contains(' ');
        out.push('\'');
        out.push_str(if is_name { "web-*" } else { piece });
    }
    out
}

/// Whether text is as the pattern says, in which `*` is anything: names differ from recording to recording.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    for (index, piece) in pattern.split('*').enumerate() {
        match (index, rest.find(piece)) {
            (0, Some(0)) => rest = &rest[piece.len()..],
            (0, _) | (_, None) => return false,
            (_, Some(at)) => rest = &rest[at + piece.len()..],
        }
    }
    rest.is_empty() || pattern.ends_with('*')
}
