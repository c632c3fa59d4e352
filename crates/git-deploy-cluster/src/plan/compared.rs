//! What the latest success had applied, and what base has, held against what is to be applied: whether a refusal is about
//! something new.

use std::collections::BTreeSet;

use git_deploy_manifest::{
    CONFIG_HASH, Circumstances, GroupKind, Object, ObjectId, comparable, images, normalise, redacted,
};
use kube::core::discovery::Scope;
use serde_json::Value;

use super::PlanProblem;
use super::blame::{Novelty, Origin};
use crate::access::Need;
use crate::api_error::{ApiError, ApiErrorKind};
use crate::discovery::{Resources, TargetProblem};
use crate::target::Target;

/// What was there without the candidate, and what is to be applied.
#[derive(Debug)]
pub(crate) struct Compared {
    namespace: String,
    before: Vec<Before>,
    now: Vec<Item>,
}

/// What was there without the candidate.
#[derive(Debug)]
struct Before {
    origin: Origin,
    items: Vec<Item>,
}

/// An object as it can be compared; its namespace is filled in.
#[derive(Debug)]
struct Item {
    id: ObjectId,
    value: Value,
}

impl Compared {
    /// `before` is what was there without the candidate; `images` are those of the candidate that have its commit's tag, and
    /// `namespace` is the environment's own.
    pub(crate) fn new(
        namespace: &str,
        images: &[String],
        before: &[(Origin, Vec<Object>)],
        now: &[Object],
    ) -> Self {
        let own: Vec<&str> = images.iter().map(|image| repository(image)).collect();
        let written = |object: &Object| Item::new(object, object.value().clone(), namespace, &own);
        // Values of Secrets are kept as digests.
        let digested =
            |object: &Object| Item::new(object, redacted(object.id(), object.value()), namespace, &own);
        let known = |(origin, objects): &(Origin, Vec<Object>)| Before {
            items: match origin {
                Origin::Latest(_) => objects.iter().map(written).collect(),
                Origin::Base(_) => objects.iter().map(digested).collect(),
            },
            origin: origin.clone(),
        };
        let before = before.iter().map(known).collect();
        Self { namespace: namespace.to_owned(), before, now: now.iter().map(digested).collect() }
    }

    pub(crate) fn of_target(&self, problem: &TargetProblem) -> Novelty<'_> {
        match problem {
            TargetProblem::UnknownKind { id, .. } => self.of_kind(id),
            TargetProblem::OutOfBounds { id, .. } | TargetProblem::Twice { id } => self.of_object(id),
        }
    }

    pub(crate) fn of_plan(&self, problem: &PlanProblem) -> Novelty<'_> {
        match problem {
            PlanProblem::Duplicate { id, .. }
            | PlanProblem::Order { id, .. }
            | PlanProblem::Metadata { id, .. } => self.of_object(id),
            PlanProblem::OtherSet { id, .. } | PlanProblem::NotOurs { id, .. } => self.of_name(id),
            PlanProblem::Refused { id, why } => self.of_answer(id, why),
            PlanProblem::List(_) => Novelty::Unknown,
        }
    }

    /// Rights are those of who runs. Who may not even do what is needed without the candidate is somebody else, or has lost
    /// them: then nothing is to be said of what is new besides.
    pub(crate) fn of_needs(&self, resources: &Resources, denied: &[Need]) -> Novelty<'_> {
        self.old_if(|before| {
            let used = self.used(resources, before);
            let has_no_new_namespace =
                !self.now.iter().any(|item| item.id.is_namespace() && self.find(before, &item.id).is_none());
            denied.iter().any(|need| match (need.group.as_str(), need.resource.as_str()) {
                // The environment's own takes other rights than any other, and may have to be made anew.
                ("", "namespaces") => has_no_new_namespace,
                _ => used.contains(&place(need)),
            })
        })
    }

    /// Where what was there needs rights.
    fn used(&self, resources: &Resources, before: &[Item]) -> BTreeSet<Place> {
        let targets = before.iter().filter_map(|item| item.as_target(resources));
        targets
            .flat_map(|target| {
                let own = Need::of(&target.resource, target.id.namespace.as_deref(), "");
                [Some(own), Need::beside(&target)].into_iter().flatten()
            })
            .chain(Need::of_parent(&self.namespace))
            .map(|need| place(&need))
            .collect()
    }

    /// Of what the API server says about an object.
    fn of_answer(&self, id: &ObjectId, why: &ApiError) -> Novelty<'_> {
        match why.kind() {
            ApiErrorKind::FieldConflict(conflicts) => {
                let has =
                    |item: Option<&Item>, field: &str| item.is_some_and(|item| has_field(&item.value, field));
                let now = self.find(&self.now, id);
                self.old_if(|before| {
                    let before = self.find(before, id);
                    conflicts
                        .iter()
                        .all(|conflict| !has(now, &conflict.field) || has(before, &conflict.field))
                })
            }
            // Every object there would meet it.
            ApiErrorKind::NotFound => {
                let namespace = self.namespace_of(id);
                self.old_if(|before| {
                    namespace == self.namespace
                        || before.iter().any(|item| self.namespace_of(&item.id) == namespace)
                })
            }
            _ => self.of_object(id),
        }
    }

    /// Whether an object of that name is new.
    pub(crate) fn of_name(&self, id: &ObjectId) -> Novelty<'_> {
        self.old_if(|before| self.find(before, id).is_some())
    }

    /// Whether there was no object of that very kind and version.
    fn of_kind(&self, id: &ObjectId) -> Novelty<'_> {
        let same = |other: &ObjectId| {
            (&other.group, &other.version, &other.kind) == (&id.group, &id.version, &id.kind)
        };
        self.old_if(|before| before.iter().any(|item| same(&item.id)))
    }

    /// Whether an object is new or differs.
    fn of_object(&self, id: &ObjectId) -> Novelty<'_> {
        let now = self.find(&self.now, id);
        self.old_if(|before| match (self.find(before, id), now) {
            (Some(before), Some(now)) => before.value == now.value,
            _ => false,
        })
    }

    /// Old as soon as one of those who have something without the candidate has this. Base alone tells of nothing that it is
    /// new: nothing was ever accepted there.
    fn old_if(&self, has: impl Fn(&[Item]) -> bool) -> Novelty<'_> {
        let is_success = |before: &Before| matches!(before.origin, Origin::Latest(_));
        match self.before.iter().find(|before| has(&before.items)) {
            Some(before) => Novelty::Old(&before.origin),
            None if self.before.iter().any(is_success) => Novelty::New,
            None => Novelty::Unknown,
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

/// Group, kind as it is in paths, and namespace of what a right is needed for. Not the verb: who may only look at what was
/// deployed has not deployed it.
type Place = (String, String, Option<String>);

fn place(need: &Need) -> Place {
    (need.group.clone(), need.resource.clone(), need.namespace.clone())
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
