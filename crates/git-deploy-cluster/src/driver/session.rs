//! Finding out whether a cluster is the one that the ledger speaks of, taking it, and giving it back.

use std::collections::BTreeSet;

use git_deploy_core::attempt::Lock;
use git_deploy_core::deployment::{Close, Failure, Step};
use git_deploy_core::environment::{Custody, NotTaken, Pulse, Standing, Work};
use git_deploy_core::ids::DeploymentId;
use git_deploy_core::ledger::Outcome;

use super::crossed::forward_only;
use super::deadline::greet;
use super::look::closed;
use super::said::{of_api, of_connection, of_lease, of_set};
use super::state::{Held, Session};
use super::{Brief, ClusterDriver, PATIENCE, Parting};
use crate::api_error::ApiError;
use crate::connect::{Connection, SILENCE};
use crate::discovery::Resources;
use crate::lease::{Lease, LeaseError, LeasePlace, Terms};
use crate::namespace::{ensure_namespace, has_namespace};
use crate::set::{Change, Parent, Record, Set, SetPhase};

impl ClusterDriver<'_> {
    /// The way to the cluster, opened once a run.
    pub(super) fn session(&self, pulse: &dyn Pulse) -> Result<Session, Failure> {
        if let Some(session) = &self.state.borrow().session {
            return Ok(session.clone());
        }
        let session = self.run(Step::Plan, pulse, async {
            let connection =
                Connection::open(&self.cluster.context).await.map_err(|error| of_connection(&error))?;
            greet(&connection, self.observer).await;
            let resources = kinds(&connection).await?;
            Ok(Session { connection, resources })
        })?;
        self.state.borrow_mut().session = Some(session.clone());
        Ok(session)
    }

    /// The set of this environment of this repository.
    pub(super) fn set(&self, standing: &Standing) -> Result<Set, Failure> {
        let cluster = &self.cluster;
        let root = standing.root.ok_or_else(|| {
            let why = "history was cut off when this repository was cloned, and the cluster knows a repository by its first commit";
            Failure::of_nobody(Step::Plan, why).hint(Some("fetch the rest with: git fetch --unshallow")).fatal()
        })?;
        let set = Set::new(&cluster.project, cluster.environment.as_str(), &cluster.namespace, root);
        self.state.borrow_mut().set = Some(set.clone());
        Ok(set)
    }

    pub(super) fn lease_place(&self, session: &Session, set: &Set) -> LeasePlace {
        LeasePlace::new(&session.connection, &self.cluster.namespace, &set.name, Terms::default())
    }

    /// Reads the parent, and makes sure that it is the one that the ledger knows.
    pub(super) fn known_parent(
        &self,
        session: &Session,
        standing: &Standing,
    ) -> Result<Option<Parent>, Failure> {
        let parent = self.read_parent(session, standing)?;
        if let Some(parent) = &parent {
            parent
                .require_known(|id| standing.known.contains(id))
                .map_err(of_set(Step::Plan, &self.cluster.context))?;
        }
        self.require_recorded(session, standing, parent)
    }

    /// The same where nobody is at work; none also where what is deployed there is a number that was claimed after we fetched.
    pub(super) fn idle_parent(
        &self,
        session: &Session,
        standing: &Standing,
        custody: &dyn Custody,
    ) -> Result<Option<Parent>, NotTaken> {
        self.require_free(session, &self.set(standing)?, custody)?;
        let parent = self.read_parent(session, standing)?;
        let is_known = |id: &DeploymentId| standing.known.contains(id);
        if parent.as_ref().is_some_and(|parent| parent.require_known(is_known).is_err()) {
            return Ok(None);
        }
        Ok(self.require_recorded(session, standing, parent)?)
    }

    fn read_parent(&self, session: &Session, standing: &Standing) -> Result<Option<Parent>, Failure> {
        let set = self.set(standing)?;
        let latest = standing.latest.as_ref().map(|latest| latest.id.clone());
        let stands = standing.latest.as_ref().map(|latest| (latest.id.clone(), latest.previous.clone()));
        self.state.borrow_mut().stands = stands;
        self.state.borrow_mut().latest = latest.zip(standing.kept);
        self.run(Step::Plan, &Brief, async {
            let parent = Parent::read(&session.connection, &set).await;
            let parent = parent.map_err(of_set(Step::Plan, &self.cluster.context))?;
            learn_kinds_of(session, parent.as_ref()).await;
            Ok(parent)
        })
    }

    /// Makes sure that a parent is the one that the latest success recorded.
    fn require_recorded(
        &self,
        session: &Session,
        standing: &Standing,
        parent: Option<Parent>,
    ) -> Result<Option<Parent>, Failure> {
        let latest = standing.latest.as_ref();
        let recorded = latest.and_then(|latest| Some((&latest.id, latest.cluster.as_ref()?)));
        let Some((id, uid)) = recorded.filter(|_| !self.options.new_cluster) else { return Ok(parent) };
        if parent.as_ref().is_some_and(|parent| parent.uid() == uid) {
            return Ok(parent);
        }
        let context = &self.cluster.context;
        let why = match &parent {
            Some(_) => {
                format!("context '{context}' means another cluster than the one that {id} was deployed to")
            }
            None => format!(
                "the cluster of context '{context}', {}, knows nothing of {id}, which was deployed to '{}': it is another one, or namespace '{}' was deleted in it",
                session.connection.server(),
                self.cluster.environment,
                self.cluster.namespace
            ),
        };
        let meant = match self.options.leftover {
            true => {
                "if that is meant to be: git deploy --continue --new-cluster; or give it up with: git deploy --abort"
                    .to_owned()
            }
            false => format!("if that is meant to be: git deploy{} --new-cluster", self.cluster.named()),
        };
        let hint = format!(
            "look whether the context means the right cluster: kubectl --context='{}' cluster-info; {meant}",
            context.replace('\'', "'\\''")
        );
        Err(Failure::of_nobody(Step::Plan, why).hint(Some(hint)).fatal())
    }

    pub(super) fn check_cluster(&self, standing: &Standing, custody: &dyn Custody) -> Result<(), NotTaken> {
        let session = self.session(&Brief)?;
        let set = self.set(standing)?;
        self.run(Step::Plan, &Brief, async {
            let namespace = has_namespace(&session.connection, &self.cluster.namespace).await;
            namespace.map(drop).map_err(of_set(Step::Plan, &self.cluster.context))
        })?;
        // Before anything else: what is deployed there just now may be a number that was claimed after we fetched.
        self.require_free(&session, &set, custody)?;
        let parent = self.known_parent(&session, standing)?;
        // A plan that follows finds by it what is no longer wanted.
        self.state.borrow_mut().known_parent = parent.clone();
        if let (Some(to), Some(parent)) = (&standing.back_to, &parent) {
            let after = |id: &DeploymentId| id.environment == to.environment && id.number > to.number;
            if let Some(crossed) = forward_only(parent.record(), after) {
                let why = format!(
                    "cannot go back to {to}: {crossed} since, and what stood there then may not fit what it left"
                );
                let hint = match crossed.is_uncertain {
                    false => "only forward is safe: deploy a branch that mends what is wrong",
                    true => "only forward is safe: deploy any branch, which finds out, and then try again",
                };
                return Err(Failure::of_branch(Step::Plan, why).hint(Some(hint)).into());
            }
        }
        self.state.borrow_mut().is_rollback = standing.back_to.is_some();
        self.state.borrow_mut().retry_jobs.clone_from(&standing.retry_jobs);
        match parent.as_ref().and_then(|parent| self.unsettled(parent.record(), standing)) {
            Some(text) if standing.named => self.observer.warn(&text),
            Some(text) => {
                let closed = parent.as_ref().and_then(|parent| closed(parent.record(), standing));
                let or_back = match closed {
                    Some(why) => format!("there is no way back, {why}"),
                    None => {
                        format!("or go back with: git deploy --env={} --rollback", self.cluster.environment)
                    }
                };
                let hint = format!(
                    "go forward with a branch that mends it: git deploy{} <branch>; {or_back}",
                    self.cluster.named()
                );
                return Err(Failure::of_nobody(Step::Plan, text).hint(Some(hint)).into());
            }
            None => {}
        }
        Ok(())
    }

    /// Makes sure that nobody holds the Lease who is alive.
    pub(super) fn require_free(
        &self,
        session: &Session,
        set: &Set,
        custody: &dyn Custody,
    ) -> Result<(), NotTaken> {
        let place = self.lease_place(session, set);
        let held =
            self.run(Step::Plan, &Brief, async { place.standing().await.map_err(of_lease(Step::Plan)) })?;
        match held {
            Some((lock, token)) if !custody.is_gone(&lock, &self.place_of_lease(set), &token)? => {
                Err(NotTaken::Held(Box::new(lock)))
            }
            _ => Ok(()),
        }
    }

    /// Why the environment stands neither at the latest success nor at what is on its way there: then the queue, which
    /// knows nothing of that, has to wait for a person.
    fn unsettled(&self, record: &Record, standing: &Standing) -> Option<String> {
        let phase = record.phase?;
        let deployment = record.deployment.as_ref()?;
        let is_latest = standing.latest.as_ref().is_some_and(|latest| latest.id == *deployment);
        // What was stopped on its way is finished or given up first, which is no matter of a branch that mends it.
        let is_open = standing.open.contains(deployment);
        let is_between = matches!(phase, SetPhase::Applying | SetPhase::Restoring) && !is_latest && !is_open;
        (phase == SetPhase::Degraded || is_between).then(|| {
            let environment = &self.cluster.environment;
            let why =
                record.failure.as_ref().map(|failure| format!(": {}", failure.reason)).unwrap_or_default();
            format!("'{environment}' is degraded since {deployment}, which was not gone back from{why}")
        })
    }

    /// What the run's own notes of watched values call the Lease.
    fn place_of_lease(&self, set: &Set) -> String {
        format!("lease/{}/{}/{}", self.cluster.context, self.cluster.namespace, set.name)
    }

    /// Who holds the Lease and died, with the value that it has had since.
    fn judged_gone(
        &self,
        place: &LeasePlace,
        set: &Set,
        pulse: &dyn Pulse,
        custody: &dyn Custody,
    ) -> Result<Option<(Lock, String)>, NotTaken> {
        let standing =
            self.run(Step::Plan, pulse, async { place.standing().await.map_err(of_lease(Step::Plan)) })?;
        let Some((lock, token)) = standing else { return Ok(None) };
        let gone = custody.is_gone(&lock, &self.place_of_lease(set), &token)?;
        Ok(gone.then_some((lock, token)))
    }

    /// Takes the environment, and says by what its set is known for ever.
    pub(super) fn take_cluster(
        &self,
        work: Work<'_>,
        standing: &Standing,
        custody: &dyn Custody,
    ) -> Result<String, NotTaken> {
        let session = self.session(work.pulse)?;
        let parent = self.known_parent(&session, standing)?;
        let created = self.run(Step::Plan, work.pulse, async {
            ensure_namespace(&session.connection, &self.cluster.namespace)
                .await
                .map_err(of_set(Step::Plan, &self.cluster.context))
        })?;
        if created {
            self.observer.step("Created", &format!("namespace '{}'", self.cluster.namespace));
        }
        let uid = self.hold(parent.as_ref(), standing, custody, work.pulse)?;
        let mut state = self.state.borrow_mut();
        state.cause = Some(cause(work));
        state.deployment = Some(work.id.clone());
        state.is_rollback = standing.back_to.is_some();
        state.retry_jobs.clone_from(&standing.retry_jobs);
        Ok(uid)
    }

    /// Takes the Lease, and writes to the set's parent, as it was `seen`, that it is ours.
    pub(super) fn hold(
        &self,
        seen: Option<&Parent>,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<String, NotTaken> {
        let session = self.session(pulse)?;
        let set = self.set(standing)?;
        let place = self.lease_place(&session, &set);
        let gone = self.judged_gone(&place, &set, pulse, custody)?;
        let ours = custody.lock()?;
        let above = seen.map_or(0, Parent::transitions);
        let before = seen.map(|parent| parent.uid().to_owned());
        // Judged before: what this run knows of other processes belongs to its own thread.
        let judge = |lock: &Lock, token: &str| {
            gone.as_ref().is_some_and(|(seen, then)| seen.run == lock.run && then == token)
        };
        let taken = self.runtime.block_on(place.acquire(&ours, above, &judge));
        let lease = match taken {
            Ok(lease) => lease,
            Err(LeaseError::Held { lock, .. }) => return Err(NotTaken::Held(lock)),
            Err(error) => return Err(of_lease(Step::Plan)(error).into()),
        };
        let (lease, parent) = self.take_parent(&session, &set, lease, pulse)?;
        let uid = parent.uid().to_owned();
        let mut state = self.state.borrow_mut();
        let known =
            |parent: Option<&Parent>| parent.map(|parent| Record { holder: None, ..parent.record().clone() });
        let is_as_checked =
            known(state.known_parent.as_ref()) == known(seen) && lease.fence().transitions == above + 1;
        if !is_as_checked {
            // Somebody has had it between the check and now: what was planned then is worth nothing.
            state.forward = None;
        }
        state.known_parent = None;
        // Done is also what was gone back from; what a first failure left stands at no success.
        let stood_at_success = standing.latest.is_some() && parent.record().phase == Some(SetPhase::Done);
        state.held = Some(Held { session, set, lease, parent, stood_at_success, held_jobs: BTreeSet::new() });
        // Somebody may have deleted it since it was compared: what is made anew is another one. What is held is given back by
        // whoever hears of that.
        if let Some(before) = before.filter(|before| *before != uid) {
            let why = format!("the record of the set was deleted meanwhile (it was {before})");
            return Err(Failure::of_nobody(Step::Plan, why).into());
        }
        Ok(uid)
    }

    /// Writes to the set's parent that it is ours. A Lease that comes to nothing more is left to [`Driver::let_go`].
    ///
    /// [`Driver::let_go`]: git_deploy_core::environment::Driver::let_go
    fn take_parent(
        &self,
        session: &Session,
        set: &Set,
        lease: Lease,
        pulse: &dyn Pulse,
    ) -> Result<(Lease, Parent), Failure> {
        let taken = self.run(Step::Plan, pulse, async {
            let permit = lease.permit(PATIENCE).await.map_err(of_lease(Step::Plan))?;
            Parent::take(&session.connection, set, permit, Change::default())
                .await
                .map_err(of_set(Step::Plan, &self.cluster.context))
        });
        match taken {
            Ok(parent) => Ok((lease, parent)),
            Err(failure) => {
                self.state.borrow_mut().lease_alone = Some(lease);
                Err(failure)
            }
        }
    }

    /// The verdict that a run which died while it went back had found.
    pub(super) fn found_before(&self, id: &DeploymentId) -> Option<Close> {
        let state = self.state.borrow();
        let record = state.held.as_ref()?.parent.record();
        let failure = record.failure.as_ref()?;
        // Whatever the phase: a failure stays recorded until something is applied again.
        let is_it = record.deployment.as_ref() == Some(id);
        is_it.then(|| failure.verdict())
    }

    pub(super) fn give_back(&self, work: Work<'_>, outcome: Outcome) -> Result<(), Failure> {
        let held = self.state.borrow_mut().held.take();
        let Some(held) = held else { return Ok(()) };
        let parting = Parting { pulse: Some(work.pulse), ..Parting::default() };
        let is_success =
            outcome == Outcome::Success && held.parent.record().deployment.as_ref() == Some(work.id);
        let done = is_success.then(|| {
            let done = Change::to(SetPhase::Done).wanting(self.wanted_by(&held, work.id, &parting));
            self.with_list(&held, work.id, &parting, done)
        });
        let Held { lease, mut parent, .. } = held;
        self.run(Step::Land, &parting, async {
            if let Some(done) = done {
                let permit = lease.permit(PATIENCE).await.map_err(of_lease(Step::Land))?;
                parent.advance(permit, done).await.map_err(of_set(Step::Land, &self.cluster.context))?;
            }
            lease.release().await.map_err(of_lease(Step::Land))
        })
    }
}

/// The kinds that the cluster knows.
async fn kinds(connection: &Connection) -> Result<Resources, Failure> {
    Resources::discover(connection).await.map_err(no_kinds)
}

/// Asks once more for the kinds that the cluster knows.
pub(super) async fn learn_kinds(session: &Session) -> Result<(), Failure> {
    session.resources.learn(&session.connection).await.map_err(no_kinds)
}

/// Asks once more where some kinds of a set are not known: one of several servers may not know them yet. They may be gone, too.
pub(super) async fn learn_kinds_of(session: &Session, parent: Option<&Parent>) {
    let Session { connection, resources } = session;
    if parent.is_some_and(|parent| !resources.has_all(&parent.record().extent.kinds)) {
        // Without an answer soon nothing is known of them, as before.
        let _ = tokio::time::timeout(SILENCE, resources.learn(connection)).await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn no_kinds(error: ApiError) -> Failure {
    of_api(Step::Plan, &error, format!("cannot ask for the cluster's kinds: {error}"))
}

/// Number, commit and branch, as `kubectl rollout history` shows them.
fn cause(work: Work<'_>) -> String {
    let branch = work.candidate.branch().map(|branch| format!(" {}", branch.short())).unwrap_or_default();
    format!("{} {}{branch}", work.id, work.candidate.commit().brief())
}
