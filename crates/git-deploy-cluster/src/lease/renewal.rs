//! The renewal of a Lease in the background, and what is known from it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::sync::watch::Sender;

use super::{Fence, LeasePlace, is_held_by, lock_of, micro_time};
use crate::api_error::{ApiError, ApiErrorKind};
use crate::slot::Swap;

/// What is known of a Lease of ours.
pub(super) struct State {
    /// When the last renewal began that was confirmed.
    pub(super) confirmed: Duration,
    /// What the last renewal ended with, if that was no confirmation.
    pub(super) trouble: Option<ApiError>,
    /// Why the Lease is no longer ours, and will not be again.
    pub(super) lost: Option<String>,
}

impl State {
    /// Ours, by a request that began then.
    pub(super) fn confirmed(began: Duration) -> Self {
        Self { confirmed: began, trouble: None, lost: None }
    }
}

/// A clock that never goes back and does not stand still while the machine sleeps: others' do not either.
pub(super) fn now() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    // Counts sleep on macOS.
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

enum Renewed {
    Confirmed(Value),
    Lost(String),
}

/// Renews a Lease until it is lost. Nothing else ends this but being aborted.
pub(super) async fn renew(place: LeasePlace, fence: Fence, mut lease: Value, state: Sender<State>) {
    let mut pause = place.terms.renewal;
    loop {
        tokio::time::sleep(pause).await;
        let began = now();
        match once(&place, &fence, &lease).await {
            Ok(Renewed::Confirmed(renewed)) => {
                lease = renewed;
                pause = place.terms.renewal;
                state.send_replace(State::confirmed(began));
            }
            Ok(Renewed::Lost(why)) => {
                state.send_modify(|state| state.lost = Some(why));
                return;
            }
            Err(error) => {
                // Sooner than usual: time is running.
                pause = place.terms.renewal / 8;
                state.send_modify(|state| state.trouble = Some(error));
            }
        }
    }
}

async fn once(place: &LeasePlace, fence: &Fence, seen: &Value) -> Result<Renewed, ApiError> {
    let patch = || json!({"spec": {"renewTime": micro_time()}});
    let again = match place.slot.change(seen, patch()).await {
        Ok(Swap::Done(lease)) => return Ok(Renewed::Confirmed(lease)),
        // Perhaps by ourselves: the answer to the renewal before was lost. Or by somebody who set a label.
        Ok(Swap::Lost) => place.slot.get().await?,
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let Some(lease) = again else { return Ok(Renewed::Lost("it was deleted".to_owned())) };
    if !is_held_by(&lease, fence) {
        let why = match lock_of(&lease) {
            Some(lock) => format!("{} on '{}' has taken it over", lock.by, lock.host.escape_debug()),
            None => "somebody has released it".to_owned(),
        };
        return Ok(Renewed::Lost(why));
    }
    match place.slot.change(&lease, patch()).await? {
        Swap::Done(lease) => Ok(Renewed::Confirmed(lease)),
        // The next time begins with what is there then.
        Swap::Lost => Err(ApiError::new(ApiErrorKind::Changed, "somebody else writes to it")),
    }
}
