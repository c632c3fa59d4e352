//! What a run changes in the record of a set.

use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{Extent, ObjectId};

use super::{JobOutcome, Kept, Record, SetFailure, SetPhase};
use crate::lease::Fence;

/// What is to change in a parent.
#[derive(Debug, Clone, Default)]
pub struct Change {
    phase: Option<SetPhase>,
    deployment: Option<DeploymentId>,
    failure: Option<SetFailure>,
    extent: Option<ExtentChange>,
    adopted: Vec<ObjectId>,
    wanted: Vec<ObjectId>,
    found: Vec<ObjectId>,
    jobs: Vec<(String, JobOutcome)>,
    kept: Option<Kept>,
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

    /// A success wants these: they are ours from now on.
    #[must_use]
    pub fn wanting(mut self, ids: Vec<ObjectId>) -> Self {
        self.wanted = ids;
        self
    }

    /// These were members before and were not wanted by what stood there.
    #[must_use]
    pub fn finding(mut self, ids: Vec<ObjectId>) -> Self {
        self.found = ids;
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

    /// This stays for a while, and nothing else.
    #[must_use]
    pub fn keeping(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }

    /// What a record becomes.
    pub(super) fn applied_to(self, old: &Record, fence: &Fence) -> Record {
        let mut new = old.clone();
        new.holder = Some(fence.clone());
        if let Some(phase) = self.phase {
            new.phase = Some(phase);
            if phase == SetPhase::Applying {
                new.failure = None;
            }
        }
        // A deployment that is resumed finds among its own what it has made.
        if self.deployment.is_some() && self.deployment != old.deployment {
            new.found.clear();
        }
        new.found.extend(self.found.iter().map(ObjectId::file_name));
        // Also when others have failed since, what nobody of this set had made stays until a success wants it.
        for wanted in &self.wanted {
            new.adopted.remove(&wanted.file_name());
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
        new.kept = self.kept.unwrap_or(new.kept);
        new
    }
}
