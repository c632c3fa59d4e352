//! A cluster as an environment: what the core asks of it, in the order in which it asks.
//!
//! The driver holds what one run needs: the connection, the Lease, the set's parent and what was planned and applied. What
//! takes long runs on a runtime of two threads, on which the Lease is renewed, while the thread of the run beats the
//! pulse that keeps its locks in git alive and hears Ctrl-C.

mod again;
mod crossed;
mod deadline;
mod forward;
mod jobs;
mod keeping;
mod look;
mod pace;
mod planning;
mod refused;
mod restore;
mod said;
mod session;
mod state;
mod tidying;
mod waiting;

use std::cell::{Cell, OnceCell, RefCell};
use std::time::{Duration, Instant};

use git_deploy_core::config::Settings;
use git_deploy_core::config::deploy_toml::{Environment, FirstFailure, Prune, Target as Place};
use git_deploy_core::deployment::{Close, Failure, Step};
use git_deploy_core::environment::{
    Answers, Custody, Driver, Leftover, NotTaken, OfBase, Plan, Previous, Pulse, Rendered, Renderer,
    Restored, Standing, Status, Tidied, Upkeep, Work, kept,
};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::{CommitId, DeploymentId, EnvironmentName};
use git_deploy_core::land::Change as RefChange;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::ops::Observer;
use tokio::runtime::Runtime;

use crate::bounds::Bounds;
use crate::connect::{Connection, SILENCE};
use crate::set::Change;
use forward::FRESH;
use restore::WayBack;
use said::{of_git, of_lease};
use state::{Against, Forward, Held, Session, State};

/// How long a phase waits for the Lease to be confirmed again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What base's `deploy.toml` says about an environment that is a cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Its name.
    pub environment: EnvironmentName,
    /// Whether what is deployed there lands, and `git deploy` means it without being told.
    pub lands: bool,
    /// The kubeconfig's context.
    pub context: String,
    /// The environment's own namespace.
    pub namespace: String,
    /// The project's part of the set's name.
    pub project: String,
    /// What may be deployed.
    pub bounds: Bounds,
    /// What becomes of objects that are no longer in the manifests.
    pub prune: Prune,
    /// How long it may take until everything is ready.
    pub timeout: Duration,
    /// How long a container may go on crashing.
    pub crash_grace: Duration,
    /// What becomes of the objects of a first deployment that failed.
    pub first_failure: FirstFailure,
}

impl ClusterSettings {
    /// The settings of an environment; none if it is no cluster.
    pub fn of(environment: &Environment, project: &str) -> Option<Self> {
        let Place::Cluster { context, kube_namespace } = &environment.target else { return None };
        Some(Self {
            environment: environment.name.clone(),
            lands: environment.lands,
            context: context.clone(),
            namespace: kube_namespace.clone(),
            project: project.to_owned(),
            bounds: Bounds {
                kinds: environment.allow_kinds.clone(),
                namespaces: environment.allow_namespaces.clone(),
            },
            prune: environment.prune,
            timeout: environment.timeout,
            crash_grace: environment.crash_grace,
            first_failure: environment.first_failure,
        })
    }

    /// What names it to `git deploy`, which means by itself the environment that lands and those that lead to it.
    fn named(&self) -> String {
        if self.lands { String::new() } else { format!(" --env={}", self.environment) }
    }
}

/// What the user asks for besides.
#[derive(Debug, Clone, Default)]
pub struct DriverOptions {
    /// Whether to take over what others hold.
    pub force_conflicts: bool,
    /// Whether the cluster may be another one than the ledger knows.
    pub new_cluster: bool,
    /// One-time jobs that run again although they failed, besides those that the deployment itself has kept.
    pub retry_jobs: Vec<String>,
    /// Whether the deployment is one that another run left behind, and that the user did not name: nothing of this is meant
    /// for it.
    pub leftover: bool,
}

/// What requests run on: the Lease is renewed on one thread while the other waits.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// An environment that is a cluster.
pub struct ClusterDriver<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    cluster: ClusterSettings,
    options: &'a DriverOptions,
    observer: &'a dyn Observer,
    runtime: &'a Runtime,
    state: RefCell<State>,
    /// Whether it was told that the cluster does not answer.
    is_silent: Cell<bool>,
    /// Whether a cluster that comes and goes was waited for as long as one that is away.
    was_waited_for: Cell<bool>,
}

impl<'a> ClusterDriver<'a> {
    /// The driver of an environment, for one run. Nothing is asked yet.
    pub fn new(
        repository: &'a Repository,
        settings: &'a Settings,
        cluster: ClusterSettings,
        options: &'a DriverOptions,
        observer: &'a dyn Observer,
        runtime: &'a Runtime,
    ) -> Self {
        Self {
            repository,
            settings,
            cluster,
            options,
            observer,
            runtime,
            state: RefCell::default(),
            is_silent: Cell::default(),
            was_waited_for: Cell::default(),
        }
    }

    /// Does what only who holds the environment may do.
    fn holding<T>(
        &self,
        step: Step,
        work: impl FnOnce(&mut Held) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let held = self.state.borrow_mut().held.take();
        let mut held = held.ok_or_else(|| not_held(step))?;
        let done = work(&mut held);
        self.state.borrow_mut().held = Some(held);
        done
    }

    /// What a plan compares with: what is held, or else what was found when the environment was looked at.
    fn against(&self, session: Session) -> Option<Against> {
        let state = self.state.borrow();
        if let Some(held) = &state.held {
            return Some(held.against());
        }
        Some(Against { session, set: state.set.clone()?, parent: state.known_parent.clone() })
    }

    /// What was planned a moment ago, before the environment was taken, if it is still so: nobody else had it meanwhile
    /// ([`ClusterDriver::take_cluster`] sees to that), and all of it was tried.
    fn planned_before(&self, rendered: &Rendered) -> Option<Forward> {
        let mut state = self.state.borrow_mut();
        let (from, at) = state.planned_from.take()?;
        let forward = state.forward.take()?;
        let is_tried = forward.planned.objects.iter().all(|object| object.unvalidated.is_none());
        let holds = state.held.is_some() && at.elapsed() < FRESH && from == *rendered;
        (holds && is_tried && forward.jobs.is_empty()).then_some(forward)
    }

    /// Runs what takes long, beats the pulse meanwhile, and tells when the cluster falls silent.
    fn run<T>(
        &self,
        step: Step,
        pulse: &dyn Pulse,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = self.block_on(step, pulse, &|| self.hear_silence(), work);
        if done.is_ok() {
            self.hear_silence();
        }
        done
    }

    /// Tells when the cluster falls silent, and when it answers again.
    fn hear_silence(&self) {
        let state = self.state.try_borrow();
        let session = state.as_ref().ok().and_then(|state| state.session.as_ref());
        let silent = session.filter(|session| session.connection.silence() >= SILENCE);
        match (self.is_silent.replace(silent.is_some()), silent) {
            (false, Some(session)) => self.tell_silence(&session.connection, ""),
            (true, None) => self.observer.step("Waiting", "the cluster answers again"),
            _ => {}
        }
    }

    /// Tells that a cluster does not answer, or cannot even be asked, and why, as far as that is known.
    fn tell_silence(&self, connection: &Connection, until: &str) {
        let why = connection.trouble().map(|why| format!(": {why}")).unwrap_or_default();
        self.observer.warn(&format!("the cluster does not answer; still trying{until}{why}"));
    }

    fn block_on<T>(
        &self,
        step: Step,
        pulse: &dyn Pulse,
        meanwhile: &dyn Fn(),
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        const BEAT: Duration = Duration::from_millis(250);
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                match tokio::time::timeout(BEAT, &mut work).await {
                    Ok(done) => return done,
                    Err(_) if pulse.beat() => meanwhile(),
                    Err(_) => return Err(Failure::of_nobody(step, "it was stopped")),
                }
            }
        })
    }
}

/// How long who was asked to stop tries to give the environment back.
const PARTING: Duration = Duration::from_secs(5);

/// Stops what takes longer than [`PARTING`], from when the pulse says that it is to stop; without one, from the beginning.
#[derive(Default)]
struct Parting<'a> {
    pulse: Option<&'a dyn Pulse>,
    until: OnceCell<Instant>,
}

impl Pulse for Parting<'_> {
    fn beat(&self) -> bool {
        self.pulse.is_some_and(Pulse::beat)
            || Instant::now() < *self.until.get_or_init(|| Instant::now() + PARTING)
    }
}

/// Nobody's fault: nothing is held that has to be.
fn not_held(step: Step) -> Failure {
    Failure::of_nobody(step, "the environment is not held by this run")
}

/// A pulse for what takes a moment only.
struct Brief;

impl Pulse for Brief {
    fn beat(&self) -> bool {
        true
    }
}

impl Driver for ClusterDriver<'_> {
    fn check(&self, standing: &Standing, custody: &dyn Custody) -> Result<(), NotTaken> {
        self.check_cluster(standing, custody)
    }

    fn watch(&self, standing: &Standing, custody: &dyn Custody, pulse: &dyn Pulse) -> Result<(), NotTaken> {
        let session = self.session(pulse)?;
        self.require_free(&session, &self.set(standing)?, custody)
    }

    fn begin(
        &self,
        work: Work<'_>,
        standing: &Standing,
        custody: &dyn Custody,
    ) -> Result<Option<String>, NotTaken> {
        self.take_cluster(work, standing, custody).map(Some)
    }

    fn verdict_before(&self, id: &DeploymentId) -> Result<Option<Close>, Failure> {
        Ok(self.found_before(id))
    }

    fn plan(&self, rendered: &Rendered, base: &OfBase<'_>, pulse: &dyn Pulse) -> Result<Plan, Failure> {
        let forward = match self.planned_before(rendered) {
            Some(forward) => forward,
            None => {
                let session = self.session(pulse)?;
                let against = self.against(session).ok_or_else(|| not_held(Step::Plan))?;
                self.plan_forward(&against, rendered, base, pulse)?
            }
        };
        let told = said::told(&forward);
        let mut state = self.state.borrow_mut();
        state.planned_from = Some((rendered.clone(), Instant::now()));
        state.forward = Some(forward);
        Ok(told)
    }

    fn status(&self, standing: &Standing, kept: &Rendered, pulse: &dyn Pulse) -> Result<Status, Failure> {
        self.look(standing, kept, pulse)
    }

    fn remains(&self, standing: &Standing, pulse: &dyn Pulse) -> Result<Leftover, Failure> {
        self.look_for_remains(standing, pulse)
    }

    fn upkeep(
        &self,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<Upkeep, NotTaken> {
        self.look_for_due(standing, custody, pulse)
    }

    fn tidy(
        &self,
        standing: &Standing,
        custody: &dyn Custody,
        pulse: &dyn Pulse,
    ) -> Result<Tidied, NotTaken> {
        self.tidy_cluster(standing, custody, pulse)
    }

    fn keep(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure> {
        let files = said::without_secrets(rendered)?;
        let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let failed = of_git(Step::Apply);
        let tree = kept::write_tree(self.repository, files).map_err(&failed)?;
        let environment = &self.cluster.environment;
        kept::write_commit(self.repository, work, environment, Vec::new(), tree).map_err(&failed)
    }

    fn kept_changes(&self, id: &DeploymentId, commit: CommitId) -> Result<Vec<RefChange>, Failure> {
        kept::changes(self.repository, self.settings, &self.cluster.environment, id, commit)
    }

    fn apply(&self, work: Work<'_>, rendered: &Rendered) -> Result<(), Failure> {
        let done = self.holding(Step::Apply, |held| self.apply_forward(held, work, rendered))?;
        self.state.borrow_mut().done = Some(done);
        Ok(())
    }

    fn verify(&self, work: Work<'_>, _: CommitId, _: &dyn Renderer) -> Result<(), Failure> {
        let done = self.state.borrow_mut().done.take().ok_or_else(|| not_held(Step::Verify))?;
        self.holding(Step::Verify, |held| self.verify_forward(held, work, &done))
    }

    fn outlast(&self, pulse: &dyn Pulse) -> Result<Answers, Failure> {
        self.outlast_silence(pulse)
    }

    fn restore(
        &self,
        work: Work<'_>,
        previous: Option<&Previous>,
        failed: Option<CommitId>,
        close: &Close,
    ) -> Result<Restored, Failure> {
        let way = WayBack { previous, failed };
        self.holding(Step::Apply, |held| self.go_back(held, work, &way, close))
    }

    fn landing_changes(&self, _: CommitId) -> Result<Vec<RefChange>, Failure> {
        let still = Change::default();
        self.holding(Step::Land, |held| self.begin_phase(held, Step::Land, &Brief, &still))?;
        Ok(Vec::new())
    }

    fn end(&self, work: Work<'_>, outcome: Outcome) {
        if let Err(failure) = self.give_back(work, outcome) {
            self.observer.warn(&format!("the environment could not be given back: {failure}"));
        }
    }

    fn let_go(&self) {
        let held = self.state.borrow_mut().held.take().map(|held| held.lease);
        let Some(lease) = held.or_else(|| self.state.borrow_mut().lease_alone.take()) else { return };
        // Whoever waits for it finds out by watching, if this fails; that nobody answers is known by then.
        let parting = Parting::default();
        let released = async { lease.release().await.map_err(of_lease(Step::Land)) };
        let _ = self.block_on(Step::Land, &parting, &|| {}, released);
    }
}
