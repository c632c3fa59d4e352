//! The cluster's side of git-deploy: plan, apply, watch, prune, and who may do that.
//!
//! The only crate that changes a cluster. What is pure about it - the order of things, readiness, ownership, differences -
//! is in `git-deploy-manifest`.

mod access;
mod api_error;
mod connect;
mod evidence;
mod lease;
mod set;
mod slot;
mod target;
mod verify;
mod watch;

pub use access::{AccessError, Need, VERBS_OF_MEMBERS, VERBS_OF_PARENT, require_access};
pub use api_error::{ApiError, ApiErrorKind, FieldConflict};
pub use connect::{ConnectError, Connection, REQUEST_TIMEOUT};
pub use lease::{Fence, Judge, Lease, LeaseError, LeasePlace, Permit, Terms};
pub use set::{Change, Parent, Record, Set, SetError, SetFailure, SetPhase, ensure_namespace};
pub use target::{Applied, Target};
pub use verify::{Limits, NotReady, Progress, until_ready};
