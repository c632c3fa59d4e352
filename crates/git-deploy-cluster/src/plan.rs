//! What a deployment would change: each object is tried server-side, and nothing changes.
//!
//! Whatever is wrong with any object is told together. What belongs to somebody else is found here, before the first
//! change: an object of another set is never touched, one that nobody's set has only when told to.

mod absent;
mod blame;
mod compared;
mod ownership;
mod single;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Blame;
use git_deploy_core::environment::Effect;
use git_deploy_manifest::{Duplicate, GroupKind, ObjectId, Stage, autoscaled, diff};
use kube::core::discovery::Scope;
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind, together};
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::members::{self, ListError, Member, SetView, key, members};
use crate::objects::{Depth, IN_FLIGHT};
use crate::prune::{self, Judged, PlannedDeletion, PruneOptions};
use crate::set::Unwanted;
use crate::target::Target;

use absent::absent;
pub(crate) use blame::{Ground, Novelty, Origin, blame};
pub(crate) use compared::Compared;
use ownership::name_sets;
pub(crate) use ownership::{Owner, owner};
use single::{Planner, Seen};
pub(crate) use single::{give_change_cause, is_of_helper_alone};

/// How to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Whether to take over what others hold: fields of our objects, and objects that are in no set.
    pub force_conflicts: bool,
    /// What `kubectl rollout history` shows for a revision that this deployment makes.
    pub change_cause: Option<String>,
    /// What may be deleted; `None` where nothing will be.
    pub prune: Option<PruneOptions>,
}

/// What a deployment would change.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// What would be applied, in the order in which it would be.
    pub objects: Vec<PlannedObject>,
    /// What would be deleted afterwards, in that order.
    pub deletions: Vec<PlannedDeletion>,
    /// What is no longer wanted and stays all the same, and why.
    pub kept: Vec<(ObjectId, String)>,
    /// What is no longer wanted and stays for a while.
    pub waiting: Vec<Unwanted>,
}

impl Planned {
    /// The objects that are applied at once, one group after another: by stage, and by `git-deploy/order` within it.
    pub fn steps(&self) -> Vec<(Stage, &[PlannedObject])> {
        self.objects
            .chunk_by(|a, b| (a.stage, a.order) == (b.stage, b.order))
            .map(|objects| (objects[0].stage, objects))
            .collect()
    }
}

/// What becomes of one object.
#[derive(Debug, Clone)]
pub struct PlannedObject {
    /// The object as it will be applied.
    pub target: Target,
    /// When it is applied.
    pub stage: Stage,
    /// When it is applied within its stage.
    pub order: i64,
    /// Created, changed or kept.
    pub effect: Effect,
    /// Why it could not be tried, if so.
    pub unvalidated: Option<String>,
    /// The object as it is.
    pub live: Option<Value>,
    /// The object as the API server says it would be.
    pub result: Option<Value>,
    /// Whether `kubectl rollout history` is to show a cause of ours for it.
    pub(crate) takes_cause: bool,
    /// Whether fields are taken over that others hold, because the user asked for that.
    pub(crate) force: bool,
    /// Whether what other tools hold of it becomes ours.
    pub(crate) adopt: bool,
    /// Whether its number of replicas must be held by somebody else before we let go of it.
    pub(crate) hand_over_replicas: bool,
    /// An object of that name which is being deleted.
    pub(crate) replaces: Option<String>,
}

impl PlannedObject {
    /// What it changes, as a unified difference; values of Secrets are masked.
    pub fn diff(&self) -> String {
        let before = self.live.as_ref().filter(|_| self.replaces.is_none());
        let after = self.result.as_ref().unwrap_or(&self.target.wanted);
        match self.effect {
            Effect::Keep => String::new(),
            _ => diff(&self.target.id, before, Some(after)),
        }
    }
}

/// Something that keeps an object from being applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// A list has one item twice.
    #[error("{id}: {duplicate}")]
    Duplicate {
        /// The object.
        id: ObjectId,
        /// What stands there twice.
        duplicate: Duplicate,
    },
    /// `git-deploy/order` is no integer.
    #[error("{id}: annotation 'git-deploy/order' must be an integer, not '{}'", text.escape_debug())]
    Order {
        /// The object.
        id: ObjectId,
        /// What it is.
        text: String,
    },
    /// It says what only the cluster may say of an object.
    #[error("{id}: a manifest must not give it 'metadata.{field}'")]
    Metadata {
        /// The object.
        id: ObjectId,
        /// The field.
        field: &'static str,
    },
    /// The object belongs to another set.
    #[error("{id} belongs to another set of objects, '{}'", set.escape_debug())]
    OtherSet {
        /// The object.
        id: ObjectId,
        /// What the set's parent is called, where that is in the environment's namespace; else its id.
        set: String,
    },
    /// The object is there, and not by us.
    #[error("{id} is there already and was not deployed by git-deploy{}", by(.managers))]
    NotOurs {
        /// The object.
        id: ObjectId,
        /// Who wrote it.
        managers: Vec<String>,
    },
    /// The API server does not accept the object.
    #[error("{id}: {why}")]
    Refused {
        /// The object.
        id: ObjectId,
        /// What it says.
        why: ApiError,
    },
    /// What is there could not be listed.
    #[error(transparent)]
    List(#[from] ListError),
}

fn by(managers: &[String]) -> String {
    if managers.is_empty() {
        return String::new();
    }
    let managers: Vec<String> = managers.iter().map(|manager| manager.escape_debug().to_string()).collect();
    format!(", but by '{}'", managers.join("', '"))
}

impl PlanProblem {
    /// Whether it is only that the cluster could not be asked.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Self::Refused { why, .. } | Self::List(ListError { why, .. }) => why.is_undecided(),
            _ => false,
        }
    }

    /// Whose fault it is where it is not known what stood there before.
    pub fn blame(&self) -> Blame {
        blame(self.ground(), Novelty::Unknown)
    }

    /// What it rests on.
    pub(crate) fn ground(&self) -> Ground {
        match self {
            Self::Duplicate { .. } | Self::Order { .. } | Self::Metadata { .. } => Ground::Content,
            Self::OtherSet { .. } | Self::NotOurs { .. } => Ground::Surroundings,
            Self::Refused { why, .. } => Ground::of(why),
            Self::List(_) => Ground::Environment,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherSet { .. } => Some("take the object out of one of the two sets; both cannot own it"),
            Self::NotOurs { .. } => Some("give it another name, or take it over with --force-conflicts"),
            Self::Refused { why, .. } | Self::List(ListError { why, .. }) => why.hint(),
            Self::Metadata { .. } => {
                Some("take it out: what deletes objects, or holds them, is for the cluster to say")
            }
            Self::Duplicate { .. } | Self::Order { .. } => None,
        }
    }

    fn ends_all(&self) -> bool {
        match self {
            Self::Refused { why, .. } | Self::List(ListError { why, .. }) => {
                why.is_away() || *why.kind() == ApiErrorKind::Unauthorized
            }
            _ => false,
        }
    }
}

/// Why there is no plan: all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// What is wrong, in the order of the objects; at least one.
    pub problems: Vec<PlanProblem>,
}

impl std::error::Error for PlanError {}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let complaints = self.problems.iter().map(|problem| match problem {
            PlanProblem::Refused { id, why } => (problem.to_string(), Some((id, why))),
            _ => (problem.to_string(), None),
        });
        f.write_str(&together(complaints))
    }
}

impl PlanError {
    /// Whose fault it is where it is not known what stood there before: the branch's as soon as anything is.
    pub fn blame(&self) -> Blame {
        let is_of_branch = self.problems.iter().any(|problem| problem.blame() == Blame::Branch);
        if is_of_branch { Blame::Branch } else { Blame::Nobody }
    }

    /// What a person can do about it, each thing once.
    pub fn hints(&self) -> BTreeSet<&'static str> {
        self.problems.iter().filter_map(PlanProblem::hint).collect()
    }
}

impl<P: Into<PlanProblem>> From<P> for PlanError {
    fn from(problem: P) -> Self {
        Self { problems: vec![problem.into()] }
    }
}

/// Plans to bring the set to these objects. Nothing changes.
///
/// `resources` is what the API server knows just now, without what the set's own definitions would add.
///
/// # Errors
/// All that is wrong with any of the objects; the first thing alone where the cluster cannot be asked at all.
pub async fn plan(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    targets: &[Target],
    options: &PlanOptions,
) -> Result<Planned, PlanError> {
    let ids = targets.iter().map(|target| &target.id);
    let (members, autoscaled) = futures::try_join!(
        members(connection, resources, set, ids, Depth::Whole),
        autoscaled_targets(connection, resources, targets),
    )?;
    let missing = Mutex::default();
    let planner = Planner { connection, resources, set, targets, options, autoscaled, missing };
    let by_key: HashMap<_, &Member> = members.iter().map(|member| (key(&member.id), member)).collect();
    let others = targets.iter().enumerate().filter(|(_, target)| !by_key.contains_key(&key(&target.id)));
    let absent = absent(connection, resources, others).await;
    let mut tried = stream::iter(targets.iter().enumerate())
        .map(|(index, target)| {
            let member = by_key.get(&key(&target.id)).copied();
            let seen = match member {
                Some(member) => Seen::Member(member),
                None if absent.contains(&index) => Seen::Absent,
                None => Seen::Unknown,
            };
            let planner = &planner;
            async move { (index, planner.plan(target, seen).await) }
        })
        .buffer_unordered(IN_FLIGHT);
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    while let Some((index, outcome)) = tried.next().await {
        match outcome {
            Ok(object) => objects.push((index, object)),
            Err(found) => {
                if let Some(last) = found.iter().find(|problem| problem.ends_all()) {
                    return Err(last.clone().into());
                }
                problems.extend(found.into_iter().map(|problem| (index, problem)));
            }
        }
    }
    drop(tried);
    if !problems.is_empty() {
        problems.sort_by_key(|(index, _)| *index);
        let mut problems: Vec<PlanProblem> = problems.into_iter().map(|(_, problem)| problem).collect();
        name_sets(connection, resources, &set.namespace, &mut problems).await;
        return Err(PlanError { problems });
    }
    objects.sort_by_key(|(index, object)| (object.stage, object.order, *index));
    let objects = objects.into_iter().map(|(_, object)| object).collect();
    let Judged { deletions, kept, waiting } = match &options.prune {
        None => Judged::default(),
        Some(prune) => {
            prune::judge(connection, resources, set, targets, &members, prune, Some(targets)).await?
        }
    };
    Ok(Planned { objects, deletions, kept, waiting })
}

/// The workloads whose number of replicas an autoscaler decides: one of the set, or one that is there.
async fn autoscaled_targets(
    connection: &Connection,
    resources: &Resources,
    targets: &[Target],
) -> Result<Vec<Autoscaled>, ListError> {
    let of = |object: &Value, namespace: Option<&str>| {
        let (group, kind, name) = autoscaled(object)?;
        let namespace = namespace.unwrap_or_default().to_owned();
        Some(Autoscaled { namespace, group: group.to_owned(), kind: kind.to_owned(), name: name.to_owned() })
    };
    let mut found: Vec<Autoscaled> = targets
        .iter()
        .filter(|target| target.id.is_autoscaler())
        .filter_map(|target| of(&target.wanted, target.id.namespace.as_deref()))
        .collect();
    let kind = GroupKind::new("autoscaling", "HorizontalPodAutoscaler");
    let Some((resource, Scope::Namespaced)) = resources.find_kind(&kind) else { return Ok(found) };
    let scaled = targets.iter().filter(|target| target.wanted.pointer("/spec/replicas").is_some());
    let namespaces: BTreeSet<String> = scaled.filter_map(|target| target.id.namespace.clone()).collect();
    let lists = namespaces.iter().map(|namespace| {
        members::list(connection, resource.clone(), Some(namespace.clone()), "", Depth::Whole)
    });
    for (namespace, list) in namespaces.iter().zip(join_all(lists).await) {
        match list {
            Ok(live) => {
                // One of the set's own counts as it is wanted, not as it is.
                let foreign = live.iter().filter(|hpa| !targets.iter().any(|t| t.id.is_same(&hpa.id)));
                found.extend(foreign.filter_map(|hpa: &Member| of(&hpa.live, Some(namespace))));
            }
            // Whoever may not see autoscalers learns of one by the conflict about replicas.
            Err(ListError { why, .. }) if *why.kind() == ApiErrorKind::Forbidden => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// What an autoscaler scales.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Autoscaled {
    namespace: String,
    group: String,
    kind: String,
    name: String,
}
