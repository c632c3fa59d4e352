//! Who may change an environment: the [Lease][1] of its set.
//!
//! Times of day are never compared. A holder renews; whoever has watched a Lease unchanged for twice its time to live on
//! a clock of their own may take it over. A holder whose last confirmed renewal *began* more than two thirds of the
//! time to live ago writes nothing. A Lease cannot keep late requests from the API server: each phase also begins
//! with a compare-and-swap of holder and transitions on the set's parent ([`crate::Parent::advance`]).
//!
//! [1]: https://kubernetes.io/docs/concepts/architecture/leases/

mod renewal;

use std::time::Duration;

use git_deploy_core::attempt::{LOCK_TTL, Lock};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::SetName;
use git_deploy_manifest::value::{annotation, resource_version, uid};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api_error::ApiError;
use crate::connect::Connection;
use crate::slot::{ATTEMPTS, Slot, Swap};
use renewal::{State, now};

/// The annotation that says who holds the Lease, as the text of a [`Lock`].
const HOLDER: &str = "git-deploy/holder";

/// How long things may take around a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a Lease may stay unchanged.
    pub ttl: Duration,
    /// How often it is renewed.
    pub renewal: Duration,
    /// How long one request of a holder may take.
    pub request: Duration,
}

impl Terms {
    /// Renewal four times, and requests of a twelfth of the time to live.
    pub fn of(ttl: Duration) -> Self {
        Self { ttl, renewal: ttl / 4, request: ttl / 12 }
    }

    /// How long after the beginning of a renewal the holder may write.
    fn writes(&self) -> Duration {
        self.ttl * 2 / 3
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::of(Duration::from_secs(LOCK_TTL))
    }
}

/// Which turn of holding the Lease this is. Later turns have greater numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The run that holds it.
    pub run: String,
    /// How often the Lease has changed hands.
    pub transitions: i64,
}

/// Why a Lease is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("cannot take Lease '{lease}': {} holds it on '{}'{}", .lock.by.escape_debug(), .lock.host.escape_debug(), held_for(.lock))]
    Held {
        /// Namespace and name.
        lease: String,
        /// Who.
        lock: Box<Lock>,
    },
    /// It was ours.
    #[error("lost Lease '{lease}': {why}")]
    Lost {
        /// Namespace and name.
        lease: String,
        /// Why.
        why: String,
    },
    /// It may still be ours, but that was not confirmed for so long that nothing may be written.
    #[error("cannot renew Lease '{lease}'{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unconfirmed {
        /// Namespace and name.
        lease: String,
        /// What the last renewal ended with, if it ended.
        why: Option<ApiError>,
    },
    /// Others write to it all the time.
    #[error("cannot take Lease '{lease}': it keeps changing")]
    Busy {
        /// Namespace and name.
        lease: String,
    },
    /// The cluster did not do what was asked for.
    #[error("cannot {doing} Lease '{lease}': {error}")]
    Api {
        /// What was to be done.
        doing: &'static str,
        /// Namespace and name.
        lease: String,
        /// The answer.
        error: ApiError,
    },
}

impl LeaseError {
    /// Whose fault it is: nobody's.
    pub fn blame(&self) -> Blame {
        Blame::Nobody
    }

    /// Whether it says nothing of what is deployed: the cluster could not be asked, or who holds it now is to say.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            // Who may not renew it any more hears that again whenever it is tried.
            Self::Unconfirmed { why, .. } => why.as_ref().is_none_or(|why| why.is_undecided()),
            Self::Api { error, .. } => error.is_undecided(),
            Self::Held { .. } | Self::Busy { .. } => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => Some("try again when that deployment has ended".to_owned()),
            Self::Api { error, .. } => error.hint().map(str::to_owned),
            Self::Unconfirmed { why, .. } => why.as_ref().and_then(ApiError::hint).map(str::to_owned),
            Self::Lost { .. } | Self::Busy { .. } => None,
        }
    }
}

fn held_for(lock: &Lock) -> String {
    lock.deployment.as_ref().map(|id| format!(" for {id}")).unwrap_or_default()
}

/// Whether whoever holds a Lease is dead: called with what the holder says of itself and a text that changes with every
/// renewal.
pub type Judge<'a> = dyn Fn(&Lock, &str) -> bool + Sync + 'a;

/// Where the Lease of an environment is, held or not.
#[derive(Clone)]
pub struct LeasePlace {
    slot: Slot,
    title: String,
    terms: Terms,
}

impl LeasePlace {
    /// The Lease of a set, in the environment's namespace.
    pub fn new(connection: &Connection, namespace: &str, name: &SetName, terms: Terms) -> Self {
        let collection = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        let slot = Slot::new(connection, collection, name.as_str(), terms.request);
        Self { slot, title: format!("{namespace}/{name}"), terms }
    }

    /// Who holds it just now, whether alive or not.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub async fn holder(&self) -> Result<Option<Lock>, LeaseError> {
        let lease = self.slot.get().await.map_err(self.failed("read"))?;
        Ok(lease.as_ref().and_then(lock_of))
    }

    /// The same, with a text that changes with every renewal.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub async fn standing(&self) -> Result<Option<(Lock, String)>, LeaseError> {
        let lease = self.slot.get().await.map_err(self.failed("read"))?;
        Ok(lease.as_ref().and_then(|lease| Some((lock_of(lease)?, token_of(lease)))))
    }

    /// Takes the Lease if it is free, our own run's, or held by somebody whom `judge` calls dead; renews it from then on, until
    /// what is returned is released or dropped.
    ///
    /// `above` is the number of transitions that the set's parent knows: ours become more, even if somebody has deleted the
    /// Lease.
    ///
    /// # Errors
    /// When somebody else holds it, or the cluster does not let us have it.
    pub async fn acquire(&self, lock: &Lock, above: i64, judge: &Judge<'_>) -> Result<Lease, LeaseError> {
        for _ in 0..ATTEMPTS {
            let began = now();
            let swap = match self.slot.get().await.map_err(self.failed("read"))? {
                None => {
                    let lease = self.created(lock, above.saturating_add(1));
                    self.slot.create(&lease).await.map_err(self.failed("create"))?
                }
                Some(lease) => {
                    if let Some(other) = lock_of(&lease)
                        && other.run != lock.run
                        && !judge(&other, &token_of(&lease))
                    {
                        return Err(LeaseError::Held { lease: self.title.clone(), lock: Box::new(other) });
                    }
                    let transitions = transitions_of(&lease).max(above).saturating_add(1);
                    let patch = self.body(lock, transitions);
                    self.slot.change(&lease, patch).await.map_err(self.failed("take"))?
                }
            };
            if let Swap::Done(lease) = swap {
                return Ok(self.held(lease, lock, began));
            }
        }
        Err(LeaseError::Busy { lease: self.title.clone() })
    }

    fn held(&self, lease: Value, lock: &Lock, began: Duration) -> Lease {
        let fence = Fence { run: lock.run.clone(), transitions: transitions_of(&lease) };
        let (sender, state) = watch::channel(State::confirmed(began));
        let renewing = tokio::spawn(renewal::renew(self.clone(), fence.clone(), lease, sender));
        Lease { place: self.clone(), fence, state, renewing }
    }

    fn created(&self, lock: &Lock, transitions: i64) -> Value {
        let mut lease = self.body(lock, transitions);
        lease["apiVersion"] = "coordination.k8s.io/v1".into();
        lease["kind"] = "Lease".into();
        lease["metadata"]["name"] = self.slot.name().into();
        lease
    }

    fn body(&self, lock: &Lock, transitions: i64) -> Value {
        let time = micro_time();
        json!({
            "metadata": {"annotations": {HOLDER: lock.to_text()}},
            "spec": {
                "holderIdentity": lock.run,
                "leaseDurationSeconds": self.terms.ttl.as_secs().max(1),
                "leaseTransitions": transitions,
                // For people: nobody decides anything by them.
                "acquireTime": time,
                "renewTime": time,
            },
        })
    }

    fn failed(&self, doing: &'static str) -> impl Fn(ApiError) -> LeaseError {
        move |error| LeaseError::Api { doing, lease: self.title.clone(), error }
    }
}

/// A Lease that is ours, for as long as it is renewed in the background. Dropped without [`Lease::release`] it stays behind
/// as that of a run that died.
#[must_use]
pub struct Lease {
    place: LeasePlace,
    fence: Fence,
    state: watch::Receiver<State>,
    renewing: JoinHandle<()>,
}

/// Proof that a Lease covered writes a moment ago.
#[derive(Debug, Clone, Copy)]
pub struct Permit<'a> {
    pub(crate) fence: &'a Fence,
    pub(crate) request: Duration,
}

impl Lease {
    /// Which turn this is.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether it is no longer ours, and will not be again.
    pub(crate) fn is_lost(&self) -> bool {
        self.left().is_err()
    }

    /// Whether nobody has had it since it became ours, as the cluster says it now.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub(crate) async fn is_unbroken(&self) -> Result<bool, LeaseError> {
        let lease = self.place.slot.get().await.map_err(self.place.failed("read"))?;
        Ok(lease.is_some_and(|lease| is_held_by(&lease, &self.fence)))
    }

    /// Whether a write may be sent now.
    pub fn may_write(&self) -> bool {
        self.left().is_ok_and(|left| !left.is_zero())
    }

    /// The right to write, once the Lease is confirmed to be ours; waits for that, but not longer than `patience`.
    ///
    /// # Errors
    /// When it is lost, or was not confirmed in time.
    pub async fn permit(&self, patience: Duration) -> Result<Permit<'_>, LeaseError> {
        let permit = Permit { fence: &self.fence, request: self.place.terms.request };
        let mut state = self.state.clone();
        let confirmed = async {
            while self.left()?.is_zero() {
                // An error means that the renewal has ended; the state then says that the Lease is lost.
                if state.changed().await.is_err() {
                    return self.left().and(Err(self.unconfirmed()));
                }
            }
            Ok(permit)
        };
        tokio::time::timeout(patience, confirmed).await.unwrap_or_else(|_| Err(self.unconfirmed()))
    }

    /// Does something that writes; ends it as soon as the Lease no longer covers writes.
    ///
    /// # Errors
    /// When it was ended.
    pub async fn writing<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseError> {
        tokio::select! {
            biased;
            error = self.until_uncovered() => Err(error),
            done = work => Ok(done),
        }
    }

    /// Does something that does not write; ends it when the Lease is lost for good, not while it merely cannot be renewed.
    ///
    /// # Errors
    /// When it was ended.
    pub async fn watching<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseError> {
        tokio::select! {
            biased;
            error = self.until_lost() => Err(error),
            done = work => Ok(done),
        }
    }

    /// Gives the Lease back, if it is still ours, so that the next one need not wait.
    ///
    /// # Errors
    /// When the cluster cannot be asked; the Lease is then that of a run that died.
    pub async fn release(mut self) -> Result<(), LeaseError> {
        self.renewing.abort();
        // A renewal that is under way would make us lose the swap; one that ended by itself is fine.
        let _ = (&mut self.renewing).await;
        let place = &self.place;
        for _ in 0..ATTEMPTS {
            let lease = place.slot.get().await.map_err(place.failed("read"))?;
            let Some(lease) = lease.filter(|lease| is_held_by(lease, &self.fence)) else { return Ok(()) };
            // It stays, so that the number of transitions goes on.
            let patch = json!({
                "metadata": {"annotations": {HOLDER: null}},
                "spec": {"holderIdentity": null, "renewTime": micro_time()},
            });
            if let Swap::Done(_) = place.slot.change(&lease, patch).await.map_err(place.failed("release"))? {
                return Ok(());
            }
        }
        Err(LeaseError::Busy { lease: place.title.clone() })
    }

    /// For how long writes may still be sent.
    fn left(&self) -> Result<Duration, LeaseError> {
        let state = self.state.borrow();
        match &state.lost {
            Some(why) => Err(LeaseError::Lost { lease: self.place.title.clone(), why: why.clone() }),
            None => Ok((state.confirmed + self.place.terms.writes()).saturating_sub(now())),
        }
    }

    fn unconfirmed(&self) -> LeaseError {
        LeaseError::Unconfirmed { lease: self.place.title.clone(), why: self.state.borrow().trouble.clone() }
    }

    async fn until_uncovered(&self) -> LeaseError {
        let mut state = self.state.clone();
        loop {
            match self.left() {
                Err(lost) => return lost,
                Ok(left) if left.is_zero() => return self.unconfirmed(),
                // Looked at again each second: timers stand still while a machine sleeps, our clock does not.
                Ok(left) => {
                    let _ = tokio::time::timeout(left.min(Duration::from_secs(1)), state.changed()).await;
                }
            }
        }
    }

    async fn until_lost(&self) -> LeaseError {
        let mut state = self.state.clone();
        loop {
            if let Err(lost) = self.left() {
                return lost;
            }
            if state.changed().await.is_err() {
                return self.left().err().unwrap_or_else(|| self.unconfirmed());
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Who holds a Lease. One that was not written by us is held by whom it names.
fn lock_of(lease: &Value) -> Option<Lock> {
    let run = lease["spec"]["holderIdentity"].as_str().filter(|run| !run.is_empty())?;
    let lock =
        annotation(lease, HOLDER).and_then(|text| Lock::parse(text).ok()).filter(|lock| lock.run == run);
    Some(lock.unwrap_or_else(|| Lock {
        run: run.to_owned(),
        by: run.to_owned(),
        host: "unknown".to_owned(),
        boot: String::new(),
        clone: String::new(),
        pid: 0,
        deployment: None,
        ttl: lease["spec"]["leaseDurationSeconds"].as_u64().unwrap_or(LOCK_TTL),
    }))
}

/// A text that changes with each write.
fn token_of(lease: &Value) -> String {
    format!("{} {}", uid(lease), resource_version(lease))
}

fn transitions_of(lease: &Value) -> i64 {
    lease["spec"]["leaseTransitions"].as_i64().unwrap_or(0)
}

fn is_held_by(lease: &Value, fence: &Fence) -> bool {
    lease["spec"]["holderIdentity"].as_str() == Some(&fence.run) && transitions_of(lease) == fence.transitions
}

/// The time of day, as the API server wants it in Leases.
fn micro_time() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_renew_a_lease_any_more_has_not_lost_its_cluster() {
        let of = |code: u16, body: &str| Some(ApiError::from_answer(code, body.as_bytes()));
        let unconfirmed = |why| LeaseError::Unconfirmed { lease: "shop/web".to_owned(), why };
        let forbidden = r#"{"kind":"Status","message":"leases is forbidden"}"#;
        assert!(!unconfirmed(of(403, forbidden)).is_undecided());
        for why in [None, of(503, "no server is available"), of(429, ""), of(401, "Unauthorized")] {
            assert!(unconfirmed(why.clone()).is_undecided(), "{why:?}");
        }
    }
}
