//! The parent of an environment's set: whose the set is, what stands in it, and how far the deployment has come.
//!
//! The parent is a ConfigMap in the environment's namespace. It is written by compare-and-swap alone, and only by whoever
//! holds the Lease: [`Parent::advance`] begins a phase, and fails for a run that somebody has taken over from.

mod job_outcome;
mod record;

use std::time::Duration;

use git_deploy_core::deployment::Blame;
use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::value::uid;
use git_deploy_manifest::{Extent, ID_LABEL, ObjectId, SetId, SetName, TOOLING_ANNOTATION, tooling};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::discovery::ApiResource;
use serde_json::{Value, json};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, REQUEST_TIMEOUT};
use crate::lease::{Fence, Permit};
use crate::objects::Place;
use crate::slot::{ATTEMPTS, Slot, Swap};

pub use job_outcome::{JobEnd, JobOutcome};
pub use record::{Record, SetFailure, SetPhase};

/// The set of one environment of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// What parent and Lease are called.
    pub name: SetName,
    /// The environment's namespace.
    pub namespace: String,
    /// What the members are labelled with.
    pub id: SetId,
    /// The repository that it belongs to: its first root commit.
    pub root: CommitId,
    /// The project, as it calls itself.
    pub project: String,
    /// The environment.
    pub environment: String,
}

impl Set {
    /// The set of an environment.
    pub fn new(project: &str, environment: &str, namespace: &str, root: CommitId) -> Self {
        let name = SetName::new(project, environment);
        Self {
            id: name.id(namespace),
            name,
            namespace: namespace.to_owned(),
            root,
            project: project.to_owned(),
            environment: environment.to_owned(),
        }
    }

    fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Why the parent of a set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A ConfigMap of that name is there and is no parent of a set.
    #[error("ConfigMap '{parent}' is in the way: it is there and is not the parent of this set")]
    NotAParent {
        /// Namespace and name.
        parent: String,
    },
    /// Another tool works with this set.
    #[error("ConfigMap '{parent}' belongs to another tool, '{}'", .tool.escape_debug())]
    OtherTool {
        /// Namespace and name.
        parent: String,
        /// The tool.
        tool: String,
    },
    /// Another repository, project or environment deploys with a set of this name.
    #[error("ConfigMap '{parent}' belongs to another {what}: '{}', not '{ours}'", .theirs.escape_debug())]
    OtherOwner {
        /// Namespace and name.
        parent: String,
        /// Repository, project or environment.
        what: &'static str,
        /// Whose it is.
        theirs: String,
        /// Who we are.
        ours: String,
    },
    /// The cluster knows a deployment that the repository does not.
    #[error("ConfigMap '{parent}' speaks of {deployment}, which this repository does not know")]
    UnknownDeployment {
        /// Namespace and name.
        parent: String,
        /// The deployment.
        deployment: DeploymentId,
    },
    /// What the parent says cannot be read.
    #[error("cannot read ConfigMap '{parent}': '{}' is no value for '{key}'", .value.escape_debug())]
    Unreadable {
        /// Namespace and name.
        parent: String,
        /// The annotation.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Somebody has taken the environment over from this run.
    #[error("cannot go on with ConfigMap '{parent}': another run has taken over")]
    TakenOver {
        /// Namespace and name.
        parent: String,
        /// That run.
        by: Fence,
    },
    /// The parent that was there is not there any more, or is another.
    #[error("ConfigMap '{parent}' was deleted while it was in use")]
    Gone {
        /// Namespace and name.
        parent: String,
    },
    /// Others write to it all the time.
    #[error("cannot write ConfigMap '{parent}': it keeps changing")]
    Busy {
        /// Namespace and name.
        parent: String,
    },
    /// The environment's namespace is being deleted.
    #[error("cannot use Namespace '{namespace}': it is being deleted")]
    Terminating {
        /// The namespace.
        namespace: String,
    },
    /// The cluster did not do what was asked for.
    #[error("cannot {doing} {object}: {error}")]
    Api {
        /// What was to be done.
        doing: &'static str,
        /// Kind and name.
        object: String,
        /// The answer.
        error: ApiError,
    },
}

impl SetError {
    /// Whose fault it is: never the branch's, which cannot choose its environment.
    pub fn blame(&self) -> Blame {
        Blame::Nobody
    }

    /// Whether the same can succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Api { error, .. } if error.is_passing() || *error.kind() == ApiErrorKind::TimedOut)
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAParent { .. } => Some("rename or delete that ConfigMap".to_owned()),
            Self::OtherTool { .. } | Self::OtherOwner { .. } => Some(
                "choose another 'project-namespace', environment or 'kube-namespace', or another cluster"
                    .to_owned(),
            ),
            Self::UnknownDeployment { .. } => Some(
                "fetch all tags; if they are there, the context leads to another cluster than before"
                    .to_owned(),
            ),
            Self::Unreadable { .. } => Some("a newer git-deploy may have written it".to_owned()),
            Self::Api { error, .. } => error.hint().map(str::to_owned),
            Self::TakenOver { .. } | Self::Gone { .. } | Self::Busy { .. } | Self::Terminating { .. } => None,
        }
    }
}

/// What is to change in a parent.
#[derive(Debug, Clone, Default)]
pub struct Change {
    phase: Option<SetPhase>,
    deployment: Option<DeploymentId>,
    failure: Option<SetFailure>,
    extent: Option<ExtentChange>,
    adopted: Vec<ObjectId>,
    jobs: Vec<(String, JobOutcome)>,
}

#[derive(Debug, Clone)]
enum ExtentChange {
    Widen(Extent),
    Narrow(Extent),
}

impl Change {
    /// A phase begins. [`SetPhase::Applying`] forgets the failure of the deployment before.
    pub fn to(phase: SetPhase) -> Self {
        Self { phase: Some(phase), ..Self::default() }
    }

    /// For this deployment.
    #[must_use]
    pub fn of(mut self, deployment: &DeploymentId) -> Self {
        self.deployment = Some(deployment.clone());
        self
    }

    /// Because that failed.
    #[must_use]
    pub fn because(mut self, failure: SetFailure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// Members will be there, too.
    #[must_use]
    pub fn widening(mut self, extent: Extent) -> Self {
        self.extent = Some(ExtentChange::Widen(extent));
        self
    }

    /// These were there before and were not members.
    #[must_use]
    pub fn adopting(mut self, ids: Vec<ObjectId>) -> Self {
        self.adopted = ids;
        self
    }

    /// Members are nowhere else.
    #[must_use]
    pub fn narrowing(mut self, extent: Extent) -> Self {
        self.extent = Some(ExtentChange::Narrow(extent));
        self
    }

    /// A one-time job has come so far. The name is kept as a key of a ConfigMap: letters, digits, `-`, `_`, `.`.
    #[must_use]
    pub fn with_job(mut self, name: &str, outcome: JobOutcome) -> Self {
        self.jobs.push((name.to_owned(), outcome));
        self
    }

    /// What a record becomes.
    fn applied_to(self, old: &Record, fence: &Fence) -> Record {
        let mut new = old.clone();
        new.holder = Some(fence.clone());
        if let Some(phase) = self.phase {
            new.phase = Some(phase);
            if phase == SetPhase::Applying {
                new.failure = None;
            }
        }
        // A deployment that is resumed finds what it has adopted among its own.
        if self.deployment.is_some() && self.deployment != old.deployment {
            new.adopted.clear();
        }
        new.adopted.extend(self.adopted.iter().map(ObjectId::file_name));
        new.deployment = self.deployment.or(new.deployment);
        new.failure = self.failure.or(new.failure);
        match self.extent {
            Some(ExtentChange::Widen(extent)) => new.extent = new.extent.widened(&extent),
            Some(ExtentChange::Narrow(extent)) => new.extent = extent,
            None => {}
        }
        new.jobs.extend(self.jobs);
        new
    }
}

/// The parent of a set, as it was seen last.
#[derive(Clone)]
pub struct Parent {
    set: Set,
    slot: Slot,
    seen: Value,
    record: Record,
}

impl Parent {
    /// Reads the parent of a set, if there is one.
    ///
    /// # Errors
    /// When what is there belongs to somebody else, or cannot be read.
    pub async fn read(connection: &Connection, set: &Set) -> Result<Option<Self>, SetError> {
        let slot = slot(connection, set);
        let seen = slot.get().await.map_err(failed("read", set))?;
        seen.map(|seen| Self::of(set, slot, seen)).transpose()
    }

    /// Makes the parent ours in this turn of the Lease, and changes it; creates it if it is not there.
    ///
    /// # Errors
    /// When what is there belongs to somebody else, a later turn of the Lease has begun, or it cannot be written.
    pub async fn take(
        connection: &Connection,
        set: &Set,
        permit: Permit<'_>,
        change: Change,
    ) -> Result<Self, SetError> {
        if let Some(mut parent) = Self::read(connection, set).await? {
            parent.advance(permit, change).await?;
            return Ok(parent);
        }
        let slot = slot(connection, set);
        let record = change.clone().applied_to(&Record::default(), permit.fence);
        let object = created(set, &record);
        match slot.within(permit.request).create(&object).await.map_err(failed("create", set))? {
            Swap::Done(seen) => Self::of(set, slot, seen),
            // Somebody, or we ourselves when the answer was lost.
            Swap::Lost => {
                let Some(mut parent) = Self::read(connection, set).await? else {
                    return Err(SetError::Gone { parent: set.title() });
                };
                parent.advance(permit, change).await?;
                Ok(parent)
            }
        }
    }

    /// Changes the parent, and shows thereby that no later turn of the Lease has begun. What others have written beside our
    /// annotations stays.
    ///
    /// # Errors
    /// When a later turn has begun, the parent is gone, or it cannot be written.
    pub async fn advance(&mut self, permit: Permit<'_>, change: Change) -> Result<(), SetError> {
        let slot = self.slot.within(permit.request);
        for _ in 0..ATTEMPTS {
            self.require_turn(permit.fence)?;
            let record = change.clone().applied_to(&self.record, permit.fence);
            let patch = json!({
                "metadata": {
                    "labels": {ID_LABEL: self.set.id.as_str()},
                    "annotations": annotations(&self.set, &record, true),
                },
                "data": record.data(),
            });
            match slot.change(&self.seen, patch).await.map_err(|error| self.failed_to_write(error))? {
                Swap::Done(seen) => {
                    self.see(seen)?;
                    return Ok(());
                }
                Swap::Lost => {
                    let seen = slot.get().await.map_err(failed("read", &self.set))?;
                    let same = seen.filter(|seen| uid(seen) == self.uid());
                    self.see(same.ok_or_else(|| SetError::Gone { parent: self.set.title() })?)?;
                }
            }
        }
        Err(SetError::Busy { parent: self.set.title() })
    }

    /// What the parent records.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The set.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// What tells this cluster, and this set in it, from all others: no name does.
    pub fn uid(&self) -> &str {
        uid(&self.seen)
    }

    /// The turn of the Lease that wrote last, 0 before the first one: a new turn must have a greater number.
    pub fn transitions(&self) -> i64 {
        self.record.holder.as_ref().map_or(0, |fence| fence.transitions)
    }

    /// Makes sure that the repository knows the deployment that stands in the cluster.
    ///
    /// # Errors
    /// When it does not.
    pub fn require_known(&self, is_known: impl FnOnce(&DeploymentId) -> bool) -> Result<(), SetError> {
        match &self.record.deployment {
            Some(deployment) if !is_known(deployment) => {
                Err(SetError::UnknownDeployment { parent: self.set.title(), deployment: deployment.clone() })
            }
            _ => Ok(()),
        }
    }

    fn of(set: &Set, slot: Slot, seen: Value) -> Result<Self, SetError> {
        let record = record::read(set, &seen)?;
        Ok(Self { set: set.clone(), slot, seen, record })
    }

    fn see(&mut self, seen: Value) -> Result<(), SetError> {
        self.record = record::read(&self.set, &seen)?;
        self.seen = seen;
        Ok(())
    }

    /// A later turn of the Lease, or another run in the same one, has the parent.
    fn require_turn(&self, ours: &Fence) -> Result<(), SetError> {
        match &self.record.holder {
            Some(theirs) if theirs != ours && theirs.transitions >= ours.transitions => {
                Err(SetError::TakenOver { parent: self.set.title(), by: theirs.clone() })
            }
            _ => Ok(()),
        }
    }

    fn failed_to_write(&self, error: ApiError) -> SetError {
        match error.is_not_found() {
            true => SetError::Gone { parent: self.set.title() },
            false => failed("write", &self.set)(error),
        }
    }
}

/// Whether a namespace is there. One that may not be looked at counts as there.
///
/// # Errors
/// When it is being deleted, or the cluster cannot be asked.
pub(crate) async fn has_namespace(connection: &Connection, namespace: &str) -> Result<bool, SetError> {
    let kind = ApiResource::erase::<Namespace>(&());
    let place = Place { resource: &kind, namespace: None, name: namespace };
    match connection.get(place).await {
        Ok(Some(found)) if found["status"]["phase"] == "Terminating" => {
            Err(SetError::Terminating { namespace: namespace.to_owned() })
        }
        Ok(found) => Ok(found.is_some()),
        // Who may work in a namespace need not be allowed to look at it.
        Err(error) if *error.kind() == ApiErrorKind::Forbidden => Ok(true),
        Err(error) => Err(failed_at_namespace("read", namespace)(error)),
    }
}

/// Makes sure that the environment's namespace is there, and returns whether it had to be created. It is never part of the set.
///
/// # Errors
/// When it is being deleted, or is not there and cannot be created.
pub async fn ensure_namespace(connection: &Connection, namespace: &str) -> Result<bool, SetError> {
    if has_namespace(connection, namespace).await? {
        return Ok(false);
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let slot = Slot::new(connection, "/api/v1/namespaces".to_owned(), namespace, REQUEST_TIMEOUT);
    match slot.create(&body).await.map_err(failed_at_namespace("create", namespace))? {
        Swap::Done(_) => Ok(true),
        Swap::Lost => Ok(false),
    }
}

fn failed_at_namespace(doing: &'static str, namespace: &str) -> impl FnOnce(ApiError) -> SetError {
    let object = format!("Namespace '{namespace}'");
    move |error| SetError::Api { doing, object, error }
}

/// Reading may take as long as any request; writes get the limit of the Lease that covers them.
fn slot(connection: &Connection, set: &Set) -> Slot {
    const READING: Duration = REQUEST_TIMEOUT;
    let collection = format!("/api/v1/namespaces/{}/configmaps", set.namespace);
    Slot::new(connection, collection, set.name.as_str(), READING)
}

fn failed(doing: &'static str, set: &Set) -> impl FnOnce(ApiError) -> SetError {
    let object = format!("ConfigMap '{}'", set.title());
    move |error| SetError::Api { doing, object, error }
}

fn created(set: &Set, record: &Record) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": set.name.as_str(),
            "labels": {ID_LABEL: set.id.as_str()},
            "annotations": annotations(set, record, false),
        },
        "data": record.data(),
    })
}

/// All annotations of a parent; what is not recorded is removed by a patch and left out of a new object.
fn annotations(set: &Set, record: &Record, removing: bool) -> Value {
    let mut annotations = record.annotations(set);
    annotations.insert(TOOLING_ANNOTATION.to_owned(), tooling(env!("CARGO_PKG_VERSION")).into());
    annotations.retain(|_, value| removing || !value.is_null());
    Value::Object(annotations)
}
