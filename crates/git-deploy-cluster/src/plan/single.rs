//! The plan of one object.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use git_deploy_core::environment::Effect;
use git_deploy_manifest::fields::{self, MANAGER, REPLICAS_MANAGER};
use git_deploy_manifest::value::{annotation, is_being_deleted, resource_version, uid};
use git_deploy_manifest::{
    Circumstances, ObjectId, PART_OF_LABEL, Stage, comparable, duplicates, normalise, order, selector_changes,
};
use serde_json::{Map, Value};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::members::{Member, SetView};
use crate::objects::How;
use crate::target::Target;

use super::ownership::{Owner, managers, owner};
use super::{Autoscaled, PlanOptions, PlanProblem, PlannedObject};

/// What `kubectl rollout history` shows for a revision.
pub(crate) const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// All that the plan of one object depends on.
pub(super) struct Planner<'a> {
    pub(super) connection: &'a Connection,
    pub(super) resources: &'a Resources,
    pub(super) set: &'a SetView,
    pub(super) targets: &'a [Target],
    pub(super) options: &'a PlanOptions,
    pub(super) autoscaled: Vec<Autoscaled>,
    /// Namespaces that are not there yet, as the first object of each has found out.
    pub(super) missing: Mutex<BTreeSet<String>>,
}

/// What is known of an object before it is asked for.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    /// It is a member of the set.
    Member(&'a Member),
    /// It is not there.
    Absent,
    /// Nothing.
    Unknown,
}

/// What the API server makes of an object that is tried.
enum Trial {
    Accepted(Value),
    NotPossible(String),
}

impl Planner<'_> {
    pub(super) async fn plan(
        &self,
        target: &Target,
        seen: Seen<'_>,
    ) -> Result<PlannedObject, Vec<PlanProblem>> {
        let id = &target.id;
        let order = self.check(target)?;
        let refused = |why: ApiError| {
            let why = why.about(id, &target.wanted);
            vec![PlanProblem::Refused { id: id.clone(), why }]
        };
        let live = match seen {
            // Members are listed in the version that the API server prefers, and look different in another.
            Seen::Member(member) if member.resource.api_version == target.resource.api_version => {
                Some(member.live.clone())
            }
            Seen::Absent => None,
            _ if self.is_known(target) => self.connection.get(target.into()).await.map_err(refused)?,
            _ => None,
        };
        let is_leaving = live.as_ref().is_some_and(is_being_deleted);
        if let Some(live) = live.as_ref().filter(|_| !is_leaving) {
            self.require_ours(id, live)?;
        }
        let mut planned = self.prepared(target, live, order, is_leaving);
        if self.is_as_wanted(&planned) {
            planned.result.clone_from(&planned.live);
            return Ok(planned);
        }
        match self.settled(&mut planned).await.map_err(refused)? {
            Trial::NotPossible(why) => {
                let is_there = planned.live.is_some() && planned.replaces.is_none();
                planned.effect = if is_there { Effect::Change } else { Effect::Create };
                planned.unvalidated = Some(why);
            }
            Trial::Accepted(result) => accept(&mut planned, result),
        }
        if let Some(cause) = &self.options.change_cause {
            give_change_cause(&mut planned, cause);
        }
        Ok(planned)
    }

    /// What can be seen without asking anybody.
    fn check(&self, target: &Target) -> Result<i64, Vec<PlanProblem>> {
        let id = || target.id.clone();
        let mut problems: Vec<PlanProblem> = duplicates(&target.id.group, &target.wanted)
            .into_iter()
            .map(|duplicate| PlanProblem::Duplicate { id: id(), duplicate })
            .collect();
        problems.extend(refused_metadata(target).map(|field| PlanProblem::Metadata { id: id(), field }));
        match order(&target.wanted) {
            Ok(order) if problems.is_empty() => return Ok(order),
            Ok(_) => {}
            Err(text) => problems.push(PlanProblem::Order { id: id(), text }),
        }
        Err(problems)
    }

    fn require_ours(&self, id: &ObjectId, live: &Value) -> Result<(), Vec<PlanProblem>> {
        match owner(live, self.set) {
            Owner::Us => Ok(()),
            Owner::OtherSet(set) => Err(vec![PlanProblem::OtherSet { id: id.clone(), set }]),
            Owner::Nobody if self.options.force_conflicts || self.set.is_own_namespace(id) => Ok(()),
            Owner::Nobody => Err(vec![PlanProblem::NotOurs { id: id.clone(), managers: managers(live) }]),
        }
    }

    /// The object as it will be applied, and how.
    fn prepared(&self, target: &Target, live: Option<Value>, order: i64, is_leaving: bool) -> PlannedObject {
        let takes_cause = has_change_cause(target);
        let mut target = target.clone();
        let before = live.as_ref().filter(|_| !is_leaving);
        let circumstances = Circumstances { live: before, autoscaled: self.is_autoscaled(&target.id) };
        normalise(&mut target.wanted, circumstances);
        if !self.set.is_own_namespace(&target.id) {
            set_metadata(&mut target.wanted, "labels", PART_OF_LABEL, &self.set.id);
        }
        // As it is, until it is known that the template changes; also for whoever only looks and gives none.
        if takes_cause && let Some(cause) = before.and_then(|live| annotation(live, CHANGE_CAUSE)) {
            set_metadata(&mut target.wanted, "annotations", CHANGE_CAUSE, cause);
        }
        let mut stage = Stage::of(&target.id, &target.wanted);
        if stage == Stage::Services && before.is_some_and(|live| selector_changes(&target.wanted, live)) {
            stage = Stage::Traffic;
        }
        // Of other kinds it is not known that none means one.
        let is_scaled = matches!(target.id.group.as_str(), "apps" | "") || circumstances.autoscaled;
        let lets_go = |live: &Value| {
            is_scaled
                && target.wanted.pointer("/spec/replicas").is_none()
                && fields::owns_alone(live, MANAGER, &["spec", "replicas"])
        };
        PlannedObject {
            stage,
            order,
            effect: Effect::Keep,
            unvalidated: None,
            takes_cause,
            force: self.options.force_conflicts,
            adopt: self.options.force_conflicts && before.is_some_and(|live| fields::adopted(live).is_some()),
            hand_over_replicas: before.is_some_and(lets_go),
            replaces: is_leaving.then(|| live.as_ref().map(|live| uid(live).to_owned())).flatten(),
            result: None,
            live,
            target,
        }
    }

    /// Whether it can be seen without a trial that an apply would change nothing.
    fn is_as_wanted(&self, planned: &PlannedObject) -> bool {
        let is_whole = planned.replaces.is_none() && !planned.adopt && !planned.hand_over_replicas;
        let live = planned.live.as_ref().filter(|_| is_whole);
        live.is_some_and(|live| fields::is_applied(live, MANAGER, &planned.target.wanted))
    }

    /// Tries it on the object that it is compared with: what controllers write meanwhile must not look like our change.
    async fn settled(&self, planned: &mut PlannedObject) -> Result<Trial, ApiError> {
        const ATTEMPTS: usize = 5;
        let mut attempt = 0;
        loop {
            let trial = self.attempt(planned).await?;
            attempt += 1;
            let (Trial::Accepted(result), Some(live)) = (&trial, &planned.live) else {
                return Ok(trial);
            };
            if planned.replaces.is_some() || version(result) == version(live) || attempt == ATTEMPTS {
                return Ok(trial);
            }
            let seen = self.connection.get((&planned.target).into()).await?;
            let is_settled = seen.as_ref().is_none_or(|seen| version(result) == version(seen));
            planned.live = seen;
            if is_settled {
                return Ok(trial);
            }
        }
    }

    async fn attempt(&self, planned: &PlannedObject) -> Result<Trial, ApiError> {
        let target = &planned.target;
        if !self.is_known(target) {
            let kind = &target.id.kind;
            return Ok(Trial::NotPossible(format!("kind '{kind}' is defined by this deployment")));
        }
        if let Some(namespace) = target.id.namespace.as_ref().filter(|namespace| self.is_missing(namespace)) {
            return Ok(Trial::NotPossible(not_there_yet(namespace)));
        }
        let how = How { manager: MANAGER, force: planned.force, dry_run: true };
        let tried = match self.connection.apply(target.into(), &target.wanted, how).await {
            Err(error) if is_of_helper_alone(&error) => {
                let how = How { force: true, ..how };
                self.connection.apply(target.into(), &target.wanted, how).await
            }
            tried => tried,
        };
        match tried {
            Ok(result) => Ok(Trial::Accepted(result)),
            Err(error) => match self.why_not_yet(target, &error) {
                Some(why) => Ok(Trial::NotPossible(why)),
                None => Err(error),
            },
        }
    }

    /// Whether the API server refuses only because something is not there that the deployment brings.
    fn why_not_yet(&self, target: &Target, error: &ApiError) -> Option<String> {
        if *error.kind() == ApiErrorKind::NoDryRun {
            return Some("a webhook for it has side effects".to_owned());
        }
        let missing = |name: &str| error.names_as_missing(name);
        let brought = |other: &&Target| !other.id.is_same(&target.id) && missing(&other.id.name);
        if let Some(namespace) = target.id.namespace.as_deref().filter(|namespace| missing(namespace)) {
            let is_brought = |other: &Target| other.id.is_namespace() && other.id.name == namespace;
            if namespace == self.set.namespace || self.targets.iter().any(is_brought) {
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned());
                return Some(not_there_yet(namespace));
            }
        }
        self.targets.iter().find(brought).map(|other| format!("{} is not there yet", other.id))
    }

    fn is_missing(&self, namespace: &str) -> bool {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).contains(namespace)
    }

    fn is_known(&self, target: &Target) -> bool {
        let resource = &target.resource;
        self.resources.find(&resource.group, &resource.version, &resource.kind).is_some()
    }

    fn is_autoscaled(&self, id: &ObjectId) -> bool {
        self.autoscaled.iter().any(|scaled| {
            scaled.group == id.group
                && scaled.kind == id.kind
                && scaled.name == id.name
                && Some(scaled.namespace.as_str()) == id.namespace.as_deref()
        })
    }
}

/// What a manifest says of an object's metadata by which a branch could have others delete what outlives it, such as the
/// environment's namespace or a claim: the garbage collector deletes what says that it belongs to something that is not
/// there. And a namespace with a finalizer that nobody knows never goes.
fn refused_metadata(target: &Target) -> impl Iterator<Item = &'static str> {
    let fields = ["ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds"];
    let finalizers = target.id.is_namespace().then_some("finalizers");
    let says = |field: &&str| {
        let value = &target.wanted["metadata"][*field];
        !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
    };
    fields.into_iter().chain(finalizers).filter(says)
}

/// Whether its revisions have a cause, and the manifest does not give one itself.
fn has_change_cause(target: &Target) -> bool {
    let cause = target.wanted.pointer("/metadata/annotations").and_then(|all| all.get(CHANGE_CAUSE));
    target.id.has_revisions() && cause.is_none()
}

/// Takes over what the API server makes of an object.
fn accept(planned: &mut PlannedObject, mut result: Value) {
    let live = planned.live.as_ref().filter(|_| planned.replaces.is_none());
    if let Some(replicas) = live.and_then(|live| live.pointer("/spec/replicas"))
        && planned.hand_over_replicas
        && let Some(spec) = result.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.insert("replicas".to_owned(), replicas.clone());
    }
    if planned.adopt
        && let Some(managed) = live.and_then(fields::adopted)
        && let Some(wanted) = fields::applied_by(&result, MANAGER).cloned()
    {
        fields::drop_unwanted(&mut result, &managed, &wanted);
    }
    planned.effect = match live {
        None => Effect::Create,
        Some(live) if planned.adopt || differs(live, &result) => Effect::Change,
        Some(_) => Effect::Keep,
    };
    planned.result = Some(result);
}

fn not_there_yet(namespace: &str) -> String {
    format!("namespace '{namespace}' is not there yet")
}

/// Has `kubectl rollout history` show a cause for the revision that this makes, if it makes one and the manifest gives none.
pub(crate) fn give_change_cause(planned: &mut PlannedObject, cause: &str) {
    if planned.takes_cause && planned.effect != Effect::Keep && template_changes(planned) {
        for object in std::iter::once(&mut planned.target.wanted).chain(&mut planned.result) {
            set_metadata(object, "annotations", CHANGE_CAUSE, cause);
        }
    }
}

/// Whether the pods' template is, or may be, another than before.
fn template_changes(planned: &PlannedObject) -> bool {
    let template = |object: &Value| object.pointer("/spec/template").map(comparable);
    let before = planned.live.as_ref().filter(|_| planned.replaces.is_none());
    let after = planned.result.as_ref().unwrap_or(&planned.target.wanted);
    before.and_then(template) != template(after)
}

/// Whether an apply conflicts with our own helper for replicas and nobody else: that is no conflict.
pub(crate) fn is_of_helper_alone(error: &ApiError) -> bool {
    match error.kind() {
        ApiErrorKind::FieldConflict(conflicts) => {
            conflicts.iter().all(|conflict| conflict.manager == REPLICAS_MANAGER)
        }
        _ => false,
    }
}

fn set_metadata(object: &mut Value, map: &str, key: &str, value: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let place = metadata.entry(map).or_insert_with(|| Value::Object(Map::new()));
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    if let Value::Object(entries) = place {
        entries.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

fn version(object: &Value) -> &str {
    resource_version(object)
}

/// Whether an apply changes anything, who holds which field included.
fn differs(live: &Value, result: &Value) -> bool {
    let holders = |object: &Value| {
        let mut entries = object.pointer("/metadata/managedFields").cloned().unwrap_or_default();
        for entry in entries.as_array_mut().into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.shift_remove("time");
            }
        }
        entries.as_array().cloned().unwrap_or_default()
    };
    let (before, after) = (holders(live), holders(result));
    comparable(live) != comparable(result)
        || before.len() != after.len()
        || !before.iter().all(|entry| after.contains(entry))
}
