//! The parent of an environment's set: whose the set is, what stands in it, and how far the deployment has come.
//!
//! The parent is a ConfigMap in the environment's namespace. It is written by compare-and-swap alone, and only by whoever
//! holds the Lease: [`Parent::advance`] begins a phase, and fails for a run that somebody has taken over from.

mod change;
mod error;
mod job_outcome;
mod kept;
mod record;

use std::time::Duration;

use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::value::uid;
use git_deploy_manifest::{ID_LABEL, SetId, SetName, TOOLING_ANNOTATION, tooling};
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::connect::{Connection, REQUEST_TIMEOUT};
use crate::lease::{Fence, Permit};
use crate::slot::{ATTEMPTS, Slot, Swap};

pub use change::Change;
pub use error::SetError;
pub use job_outcome::{JobEnd, JobOutcome};
pub(crate) use kept::end;
pub use kept::{Kept, KeptObject, Success, Unwanted};
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
                "data": record.data(true),
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
        "data": record.data(false),
    })
}

/// All annotations of a parent; what is not recorded is removed by a patch and left out of a new object.
fn annotations(set: &Set, record: &Record, removing: bool) -> Value {
    let mut annotations = record.annotations(set);
    annotations.insert(TOOLING_ANNOTATION.to_owned(), tooling(env!("CARGO_PKG_VERSION")).into());
    annotations.retain(|_, value| removing || !value.is_null());
    Value::Object(annotations)
}
