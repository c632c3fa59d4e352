//! The cluster's side of git-deploy: plan, apply, watch, prune, and who may do that.
//!
//! The only crate that changes a cluster. What is pure about it - the order of things, readiness, ownership, differences -
//! is in `git-deploy-manifest`.

mod access;
mod alike;
mod api_error;
mod apply;
mod bounds;
mod connect;
mod discovery;
mod driver;
mod evidence;
mod gone;
mod jobs;
mod lease;
mod logs;
mod members;
mod namespace;
mod objects;
mod plan;
mod prune;
mod set;
mod slot;
mod target;
mod unblock;
mod verify;
mod watch;

pub use access::{AccessError, Need, require_access};
pub use api_error::{ApiError, ApiErrorKind, FieldConflict};
pub use apply::{ApplyError, ApplyOptions, ApplyProblem, apply_stage};
pub use bounds::{Bounds, OutOfBounds};
pub use connect::{ConnectError, Connection, CredentialsFault, NoCredentials, REQUEST_TIMEOUT};
pub use discovery::{Resources, TargetProblem};
pub use driver::{ClusterDriver, ClusterSettings, DriverOptions, runtime};
pub use jobs::{JobError, let_go, start as start_job};
pub use lease::{Fence, Judge, Lease, LeaseError, LeasePlace, Permit, Terms};
pub use members::{ListError, SetView};
pub use namespace::ensure_namespace;
pub use plan::{PlanError, PlanOptions, PlanProblem, Planned, PlannedObject, plan};
pub use prune::{PlannedDeletion, PruneError, PruneOptions, Pruned, prune};
pub use set::{
    Change, JobEnd, JobOutcome, Kept, KeptObject, Parent, Record, Set, SetError, SetFailure, SetPhase,
    Success, Unwanted,
};
pub use target::{Applied, Target};
pub use tokio::runtime::Runtime;
pub use unblock::{BlockingPod, unblock};
pub use verify::{Limits, NotReady, Progress, Waiting, until_ready};
