//! What one run knows of a cluster, and holds of it.

use std::collections::BTreeSet;
use std::time::Instant;

use git_deploy_core::environment::{Effect, Left, Rendered};
use git_deploy_core::ids::{CommitId, DeploymentId};
use git_deploy_manifest::readiness::NewImages;
use git_deploy_manifest::{GroupKind, ObjectId};

use super::deadline::Deadline;
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::lease::Lease;
use crate::members::SetView;
use crate::plan::Planned;
use crate::set::{Parent, Set};
use crate::target::{Applied, Target};

/// What one run knows of a cluster, and holds.
#[derive(Default)]
pub(super) struct State {
    /// The way to the cluster, and the kinds that it knows.
    pub(super) session: Option<Session>,
    /// Whose environment it is, once git was asked.
    pub(super) set: Option<Set>,
    /// What the cluster knew of the environment when it was asked last, before it was taken.
    pub(super) known_parent: Option<Parent>,
    /// The latest success there, and the commit that keeps what it applied.
    pub(super) latest: Option<(DeploymentId, CommitId)>,
    /// The latest success there, and the one before it.
    pub(super) stands: Option<(DeploymentId, Option<DeploymentId>)>,
    /// The environment, once it is taken.
    pub(super) held: Option<Held>,
    /// The Lease of whoever could not take the environment after it.
    pub(super) lease_alone: Option<Lease>,
    /// What is to be applied, once that is known.
    pub(super) forward: Option<Forward>,
    /// The images that come with it: neither the latest success nor base needs them.
    pub(super) new_images: NewImages,
    /// What that was planned from, and when.
    pub(super) planned_from: Option<(Rendered, Instant)>,
    /// What was applied.
    pub(super) done: Option<Done>,
    /// The deployment that is begun or taken up.
    pub(super) deployment: Option<DeploymentId>,
    /// One-time jobs that run again, as the deployment has it, also where another run began it.
    pub(super) retry_jobs: Vec<String>,
    /// Whether bytes of before are applied again because somebody asked for it.
    pub(super) is_rollback: bool,
    /// What `kubectl rollout history` shows for a revision that this run makes.
    pub(super) cause: Option<String>,
}

/// An environment that is held: whoever has this may write. Dropped, the Lease is that of a run that died.
pub(super) struct Held {
    /// The way to the cluster.
    pub(super) session: Session,
    /// Whose environment it is.
    pub(super) set: Set,
    /// The right to write.
    pub(super) lease: Lease,
    /// What the cluster knows of the environment.
    pub(super) parent: Parent,
    /// Whether it stood at the latest success when it was taken: what was not ready then, was so before.
    pub(super) stood_at_success: bool,
    /// Namespaces in which one-time jobs may be that are not let go yet.
    pub(super) held_jobs: BTreeSet<String>,
}

impl Held {
    /// What a plan compares with, as it is now.
    pub(super) fn against(&self) -> Against {
        Against { session: self.session.clone(), set: self.set.clone(), parent: Some(self.parent.clone()) }
    }

    /// Where members of the set may be.
    pub(super) fn view(&self) -> SetView {
        view(&self.set, Some(&self.parent))
    }
}

/// What a plan compares with.
pub(super) struct Against {
    /// The way to the cluster.
    pub(super) session: Session,
    /// Whose environment it is.
    pub(super) set: Set,
    /// What the cluster knows of the environment.
    pub(super) parent: Option<Parent>,
}

impl Against {
    /// Where members of the set may be.
    pub(super) fn view(&self) -> SetView {
        view(&self.set, self.parent.as_ref())
    }
}

fn view(set: &Set, parent: Option<&Parent>) -> SetView {
    let extent = parent.map(|parent| parent.record().extent.clone()).unwrap_or_default();
    SetView {
        id: set.id.as_str().to_owned(),
        namespace: set.namespace.clone(),
        kinds: extent.kinds.into_iter().collect(),
        namespaces: extent.namespaces.into_iter().collect(),
    }
}

/// What was applied, and is not seen to be ready yet.
pub(super) struct Done {
    /// As it was planned.
    pub(super) forward: Forward,
    /// As it is in the cluster.
    pub(super) applied: Vec<Applied>,
    /// Until when all must be ready.
    pub(super) deadline: Deadline,
}

/// The way to the cluster, and the kinds that it knows. Cheap to clone; what one learns of kinds all others know.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) resources: Resources,
}

/// What becomes of a one-time job.
pub(super) struct PlannedJob {
    pub(super) target: Target,
    /// Kept where it has succeeded before.
    pub(super) effect: Effect,
    /// Whether one that has ended is made anew.
    pub(super) again: bool,
}

/// What is to be applied.
pub(super) struct Forward {
    /// Object by object.
    pub(super) planned: Planned,
    /// One-time jobs.
    pub(super) jobs: Vec<PlannedJob>,
    /// All that belongs there, also what is not touched.
    pub(super) wanted: Vec<Target>,
    /// Whether the others are deleted when these are ready.
    pub(super) prunes: bool,
    /// Nothing but these is deleted.
    pub(super) only: Option<Vec<ObjectId>>,
    /// What was kept for long enough when it was planned, by UIDs; none where nothing is kept for a while.
    pub(super) due: Option<BTreeSet<String>>,
    /// What stays for a while, and until when.
    pub(super) stays: Vec<Left>,
    /// Kinds of the set that the cluster did not list when it was planned.
    pub(super) unlisted: Vec<GroupKind>,
}

impl Forward {
    /// Whether there can be something to delete. The plan has seen all members of the set, and nobody but the holder of
    /// the lease adds any: where it found none that is no longer wanted, they need not be listed again.
    pub(super) fn may_delete(&self) -> bool {
        let Planned { deletions, kept, .. } = &self.planned;
        self.prunes && (self.only.is_some() || !deletions.is_empty() || !kept.is_empty())
    }
}
