//! What the latest success had applied, held against what is to be applied: whether a refusal is about something new.

use std::collections::BTreeSet;

use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{
    CONFIG_HASH, Circumstances, GroupKind, Object, ObjectId, comparable, images, normalise, redacted,
};
use kube::core::discovery::Scope;
use serde_json::Value;

use super::PlanProblem;
use super::blame::Novelty;
use crate::access::Need;
use crate::api_error::{ApiError, ApiErrorKind};
use crate::discovery::{Resources, TargetProblem};
use crate::target::Target;

/// What the latest success had applied, and what is to be applied.
#[derive(Debug)]
pub(crate) struct Compared {
    latest: DeploymentId,
    namespace: String,
    before: Vec<Item>,
    now: Vec<Item>,
}

/// An object as it can be compared; its namespace is filled in.
#[derive(Debug)]
struct Item {
    id: ObjectId,
    value: Value,
}

impl Compared {
    /// `before` is what `latest` had applied, as it is kept in git; `images` are those of the candidate that have its commit's
    /// tag, and `namespace` is the environment's own.
    pub(crate) fn new(
        latest: DeploymentId,
        namespace: &str,
        images: &[String],
        before: &[Object],
        now: &[Object],
    ) -> Self {
        let own: Vec<&str> = images.iter().map(|image| repository(image)).collect();
        let item = |object: &Object, value: Value| Item::new(object, value, namespace, &own);
        let before = before.iter().map(|object| item(object, object.value().clone())).collect();
        // Values of Secrets are kept as digests.
        let now = now.iter().map(|object| item(object, redacted(object.id(), object.value()))).collect();
        Self { latest, namespace: namespace.to_owned(), before, now }
    }

    /// The deployment that it is compared with.
    pub(crate) fn latest(&self) -> &DeploymentId {
        &self.latest
    }

    pub(crate) fn of_target(&self, problem: &TargetProblem) -> Novelty {
        match problem {
            TargetProblem::UnknownKind { id, .. } => self.of_kind(id),
            TargetProblem::OutOfBounds { id, .. } | TargetProblem::Twice { id } => self.of_object(id),
        }
    }

    pub(crate) fn of_plan(&self, problem: &PlanProblem) -> Novelty {
        match problem {
            PlanProblem::Duplicate { id, .. }
            | PlanProblem::Order { id, .. }
            | PlanProblem::Metadata { id, .. } => self.of_object(id),
            PlanProblem::OtherSet { id, .. } | PlanProblem::NotOurs { id, .. } => self.of_name(id),
            PlanProblem::Refused { id, why } => self.of_answer(id, why),
            PlanProblem::List(_) => Novelty::Unknown,
        }
    }

    /// Rights are those of who runs. Who may not even do what the latest success has needed is somebody else, or has lost
    /// them: then nothing is to be said of what is new besides.
    pub(crate) fn of_needs(&self, resources: &Resources, denied: &[Need]) -> Novelty {
        // Not by the verb: who may only look at what was deployed has not deployed it.
        let place = |need: Need| (need.group, need.resource, need.namespace);
        let targets = self.before.iter().filter_map(|item| item.as_target(resources));
        let used: BTreeSet<_> = targets
            .flat_map(|target| {
                let own = Need::of(&target.resource, target.id.namespace.as_deref(), "");
                [Some(own), Need::beside(&target)].into_iter().flatten()
            })
            .chain(Need::of_parent(&self.namespace))
            .map(place)
            .collect();
        let has_no_new_namespace =
            !self.now.iter().any(|item| item.id.is_namespace() && self.of_name(&item.id) == Novelty::New);
        let is_old = |need: &Need| match (need.group.as_str(), need.resource.as_str()) {
            // The environment's own takes other rights than any other, and may have to be made anew.
            ("", "namespaces") => has_no_new_namespace,
            _ => used.contains(&place(need.clone())),
        };
        new_if(!denied.iter().any(is_old))
    }

    /// Of what the API server says about an object.
    fn of_answer(&self, id: &ObjectId, why: &ApiError) -> Novelty {
        match why.kind() {
            ApiErrorKind::FieldConflict(conflicts) => {
                let brings =
                    |item: Option<&Item>, field: &str| item.is_some_and(|item| has_field(&item.value, field));
                let (now, before) = (self.find(&self.now, id), self.find(&self.before, id));
                let is_new = |field: &str| brings(now, field) && !brings(before, field);
                new_if(conflicts.iter().any(|conflict| is_new(&conflict.field)))
            }
            // Every object there would meet it.
            ApiErrorKind::NotFound => {
                let namespace = self.namespace_of(id);
                let is_old = namespace == self.namespace
                    || self.before.iter().any(|item| self.namespace_of(&item.id) == namespace);
                new_if(!is_old)
            }
            _ => self.of_object(id),
        }
    }

    /// Whether an object of that name is new.
    pub(crate) fn of_name(&self, id: &ObjectId) -> Novelty {
        new_if(self.find(&self.before, id).is_none())
    }

    /// Whether there was no object of that very kind and version.
    fn of_kind(&self, id: &ObjectId) -> Novelty {
        let same = |other: &ObjectId| {
            (&other.group, &other.version, &other.kind) == (&id.group, &id.version, &id.kind)
        };
        new_if(!self.before.iter().any(|item| same(&item.id)))
    }

    /// Whether an object is new or differs.
    fn of_object(&self, id: &ObjectId) -> Novelty {
        match (self.find(&self.before, id), self.find(&self.now, id)) {
            (Some(before), Some(now)) => new_if(before.value != now.value),
            _ => Novelty::New,
        }
    }

    fn find<'a>(&self, items: &'a [Item], id: &ObjectId) -> Option<&'a Item> {
        let filled = with_namespace(id, &self.namespace);
        items.iter().find(|item| item.id.is_same(&filled))
    }

    fn namespace_of<'a>(&'a self, id: &'a ObjectId) -> &'a str {
        id.namespace.as_deref().unwrap_or(&self.namespace)
    }
}

impl Item {
    fn new(object: &Object, value: Value, namespace: &str, own: &[&str]) -> Self {
        let mut object = object.clone();
        *object.value_mut() = value;
        // Every commit has images of its own: that alone is no change that somebody made.
        for used in images(&object) {
            let name = repository(&used.image);
            if own.contains(&name)
                && let Some(image) = object.value_mut().pointer_mut(&used.pointer)
            {
                *image = Value::String(name.to_owned());
            }
        }
        let id = with_namespace(object.id(), namespace);
        let mut value = object.value().clone();
        normalise(&mut value, Circumstances::default());
        remove(&mut value, "/metadata", "namespace");
        // Nor is it one of the object that what it reads has changed.
        remove(&mut value, "/spec/template/metadata/annotations", CONFIG_HASH);
        Self { id, value: comparable(&value) }
    }

    /// Where it is, if the API server knows its kind.
    fn as_target(&self, resources: &Resources) -> Option<Target> {
        let (resource, scope) = resources.find_kind(&GroupKind::from(&self.id))?;
        let namespace = self.id.namespace.clone().filter(|_| scope == Scope::Namespaced);
        let id = ObjectId { namespace, ..self.id.clone() };
        Some(Target { id, resource, wanted: self.value.clone() })
    }
}

fn new_if(is_new: bool) -> Novelty {
    if is_new { Novelty::New } else { Novelty::Old }
}

/// Also of kinds without namespaces: an object of such a kind has one name everywhere.
fn with_namespace(id: &ObjectId, namespace: &str) -> ObjectId {
    let written = id.namespace.clone().filter(|name| !name.is_empty());
    ObjectId { namespace: Some(written.unwrap_or_else(|| namespace.to_owned())), ..id.clone() }
}

fn remove(value: &mut Value, pointer: &str, key: &str) {
    if let Some(fields) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        fields.shift_remove(key);
    }
}

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Whether an object says something about a field, which is written as the API server writes it:
/// `.spec.template.spec.containers[name="web"].image`. Yes where that cannot be told.
fn has_field(value: &Value, field: &str) -> bool {
    if field.is_empty() {
        return true;
    }
    match value {
        Value::Object(fields) => {
            let Some(rest) = field.strip_prefix('.') else { return !field.starts_with('[') };
            // Names may have dots in them.
            fields.iter().any(|(name, inner)| {
                let after = rest.strip_prefix(name.as_str());
                let after = after.filter(|after| after.is_empty() || after.starts_with(['.', '[']));
                after.is_some_and(|after| has_field(inner, after))
            })
        }
        Value::Array(items) => {
            let selector = field.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let Some((selector, after)) = selector else { return true };
            if let Ok(index) = selector.parse::<usize>() {
                return items.get(index).is_some_and(|item| has_field(item, after));
            }
            items.iter().any(|item| is_selected(item, selector) && has_field(item, after))
        }
        _ => false,
    }
}

/// Whether an item of a list is meant: by its keys, such as `port=80,protocol="TCP"`, or by its value, `="a"`. A key that is
/// not written has its default, which is the API server's to know.
fn is_selected(item: &Value, selector: &str) -> bool {
    selector.split(',').all(|part| {
        let Some((key, text)) = part.split_once('=') else { return true };
        let Ok(wanted) = serde_json::from_str::<Value>(text) else { return true };
        let found = if key.is_empty() { Some(item) } else { item.get(key) };
        found.is_none_or(|found| *found == wanted)
    })
}

#[cfg(test)]
#[path = "compared_tests.rs"]
mod tests;
