//! One deployment, from the queue to the ledger.
//!
//! What needs no number comes first and changes nothing but notes: which branch, whether it is approved, whether it
//! rebases (`pick`). Then a number is claimed (`claim`), and from there on everything ends with a tag: the phases
//! are gone through by `run`, each written into the attempt before the next begins, so that a later run can go on from
//! wherever this one was stopped.
//!
//! - `context` is what is known when a step begins, `standing` what git knows of an environment;
//! - `pick` and `rollback` find what is deployed, `row` where to and what is in the way there, `promote` approves that way, `claim` gets it a number or takes over what was left behind;
//! - `run` goes through the phases, `keeping` keeps alive meanwhile what `locks` has taken, `finish` lands it or
//!   goes back, with what `verdict` writes into notes and ledger; `undecided` waits for an environment that cannot be asked,
//!   `untold` is for a verdict that nobody was told, `giving_up` for what is open while somebody wants to go back;
//! - `ahead` prepares the next branch meanwhile, `tidy` deletes between deployments what was kept for long enough;
//! - `diff` and `status` only look, `hold` says what holds the queue, `former` where deployments went to while deploy.toml
//!   led elsewhere; `error` is why there is no verdict.

mod ahead;
mod claim;
mod context;
mod diff;
mod error;
mod finish;
mod former;
mod giving_up;
mod hold;
mod keeping;
mod locks;
mod pick;
mod promote;
mod rollback;
mod row;
mod run;
mod standing;
mod status;
mod tidy;
mod undecided;
mod untold;
mod verdict;

use crate::attempt::Attempt;
use crate::config::deploy_toml::{DeployToml, Environment};
use crate::deployment::{Blame, Event, Failure};
use crate::environment::{Driver, Renderer};
use crate::git::Repository;
use crate::git::intent::RunLock;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::ledger::{Outcome, Skip};
use crate::ops::sweep::sweep_authority;
use crate::ops::sync;
use crate::ops::transact::Transactor;
use crate::ops::view::View;
use crate::ops::{Interrupt, Observer};
use crate::state::State;

pub use ahead::{Ahead, NothingAhead};
pub use diff::{Diff, DiffRequest, DryRun};
pub use error::{DeployError, Unpromoted, in_words};
pub use former::{Remains, Whereabouts};
pub use giving_up::Ending;
pub use hold::{Hold, holds};
pub use promote::{Late, PromoteRequest, Promoted, promote};
pub use rollback::RolledBack;
pub use status::{EnvironmentStatus, Health, Overview, UnderWay};
pub use tidy::{Deleted, Tidy, keeps_for_a_while};

use context::{Begun, Context};
use run::Run;

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub struct DeployRequest {
    /// A branch or commit; none: the head of the queue.
    pub target: Option<String>,
    /// The environment; none: the first where exactly this commit is not the latest success.
    pub environment: Option<String>,
    /// Going back to an earlier deployment instead.
    pub rollback: Option<Rollback>,
    /// What is gone past that should come first: environments, or the time at which nothing is deployed.
    pub skip: Option<Skip>,
    /// One-time jobs that run again although they failed: kept with the deployment, for whoever goes on with it.
    pub retry_jobs: Vec<String>,
}

/// Which deployment to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollback {
    /// The success before the one that stands there.
    Previous,
    /// This one.
    To(DeploymentId),
}

/// How a run comes to a deployment. What the user asks for besides - to take over what others hold, to go on in another
/// cluster, to run a job again - is meant for what the user named, and for nothing else that the run does on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The user asked for it: it is claimed now, or continued or given up as such, or it is of the very branch, commit or
    /// way back that the user named.
    Asked,
    /// Another run left it behind, and it is ended because it is in the way.
    Leftover,
}

/// Gives the environments that base's `deploy.toml` names something to act with.
pub trait Site {
    /// What deploys into an environment. `base` is base's configuration; `errand` says whether what the user asks for
    /// besides is meant for it.
    ///
    /// # Errors
    /// When this program cannot deploy to such an environment.
    fn driver<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &'a DeployToml,
        environment: &Environment,
        errand: Errand,
    ) -> Result<Box<dyn Driver + 'a>, Failure>;

    /// What makes objects for an environment of a candidate's manifests. `base` is base's configuration.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    fn renderer<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &'a DeployToml,
        environment: &'a Environment,
    ) -> Result<Box<dyn Renderer + 'a>, Failure>;
}

/// What a run needs besides the request.
pub struct Deployer<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Drivers and renderers.
    pub site: &'a dyn Site,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Whether the user asked to stop.
    pub interrupt: &'a Interrupt,
}

/// How one deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its number.
    pub id: DeploymentId,
    /// How.
    pub outcome: Outcome,
    /// Where to.
    pub environment: EnvironmentName,
    /// The branch that it came from.
    pub branch: Option<RefName>,
    /// What was deployed.
    pub commit: CommitId,
    /// Name, tag and digest of each image, as far as it got to them.
    pub images: Vec<String>,
    /// The earlier deployment that was applied again, if somebody asked to go back.
    pub rollback: Option<DeploymentId>,
    /// What was skipped on the way there.
    pub skip: Option<Box<Skip>>,
    /// Whose fault, if it did not succeed.
    pub blame: Option<Blame>,
    /// Why, if it did not succeed.
    pub reason: Option<String>,
    /// What is left in the environment, if that could not go back.
    pub left: Option<String>,
    /// Whether it only did not succeed in time.
    pub timed_out: bool,
    /// What a person can do about it, beside what follows from the blame.
    pub hint: Option<String>,
    /// The deployment that stands there again, where somebody asked to go back and that was done by giving this one up.
    pub stands_again: Option<DeploymentId>,
    /// The state that the branch is in now; none where that is not known.
    pub state: Option<State>,
    /// Whether the ledger's entry is only here, because the remote could not be reached.
    pub only_here: bool,
    /// Whether an earlier run has told it already.
    was_told: bool,
    /// Whether the same branch is to be deployed at once under the next number.
    again: bool,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// There is nothing to deploy, for this reason.
    Nothing(Nothing),
    /// A deployment ended.
    Finished(Verdict),
}

/// Why there is nothing to deploy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// No branch is deployable.
    #[error("the queue is empty")]
    QueueEmpty,
    /// None of those that are can be taken.
    #[error("no branch in the queue can be deployed now")]
    NoneTaken,
    /// The commit that was named stands there.
    #[error("commit '{}' was deployed to '{environment}' by {deployment}", .commit.short(10))]
    Stands {
        /// The commit.
        commit: CommitId,
        /// Where.
        environment: EnvironmentName,
        /// The deployment that stands there.
        deployment: DeploymentId,
    },
}

impl Verdict {
    /// The verdict that an attempt ended with.
    fn of(attempt: Attempt, outcome: Outcome) -> Self {
        Self {
            id: attempt.id,
            outcome,
            environment: attempt.environment,
            branch: attempt.branch,
            commit: attempt.candidate,
            images: attempt.images,
            rollback: attempt.rollback,
            skip: attempt.skip.map(Box::new),
            blame: attempt.blame,
            reason: attempt.reason,
            left: attempt.left,
            timed_out: attempt.timed_out,
            hint: None,
            stands_again: None,
            state: None,
            only_here: false,
            was_told: false,
            again: false,
        }
    }
}

impl Deployer<'_> {
    /// One deployment. One that another run left behind is ended first.
    ///
    /// # Errors
    /// When there is no verdict.
    pub fn deploy(&self, request: &DeployRequest) -> Result<Report, DeployError> {
        let run_lock = self.begin()?;
        self.deploy_locked(&run_lock, request.clone())
    }

    /// The same for whoever has the lock of runs already: what git runs for as long as the repository is open has inherited
    /// it, so that it cannot be given back to be taken again.
    fn deploy_locked(&self, _: &RunLock, mut request: DeployRequest) -> Result<Report, DeployError> {
        const CLAIMS: u32 = 10;
        self.check_way_back(&request)?;
        let (mut claims, mut builds_in_vain) = (0, 0);
        while claims < CLAIMS {
            if let Some(verdict) = self.end_open_attempts(&mut request)? {
                return Ok(Report::Finished(verdict));
            }
            self.interrupt.check()?;
            let context = Context::new(self)?;
            let begun = context.pick_and_claim(&request, &mut builds_in_vain).or_else(|error| {
                if matches!(error, DeployError::Interrupted { .. }) {
                    return Err(error);
                }
                // Ctrl-C reaches the programs that were started, too: their failure is no answer.
                self.interrupt.check()?;
                Err(error)
            });
            let begun = match begun? {
                Ok(Some(begun)) => begun,
                // Others were faster: everything is looked at anew.
                Ok(None) => {
                    claims += 1;
                    continue;
                }
                Err(nothing) => return Ok(Report::Nothing(nothing)),
            };
            let verdict = self.run(&context, begun)?;
            if !verdict.again {
                self.rebase_the_others(&verdict);
                return Ok(Report::Finished(verdict));
            }
            self.begins_again(&verdict);
            request.target = verdict.branch.as_ref().map(ToString::to_string);
        }
        Err(DeployError::NotClaimed("others were faster every time".to_owned()))
    }

    /// Goes through the phases of what was just claimed.
    fn run<'c>(&'c self, context: &'c Context<'c>, begun: Begun<'c>) -> Result<Verdict, DeployError> {
        let Begun { claimed, driver, refused } = begun;
        let attempt = &claimed.attempt;
        let of = attempt.branch.as_ref().map(|branch| format!("'{}'", branch.short()));
        let of = of.unwrap_or_else(|| "commit".to_owned());
        self.observer.step("Claimed", &format!("{} for {of} ({})", attempt.id, attempt.candidate.short(10)));
        let event = Event::TakenUp(attempt.phase);
        let run = Run::with(self, context, claimed, driver);
        match refused {
            Some(failure) => run.refuse(failure),
            None => run.drive(event),
        }
    }

    /// Ends the deployment that another run left behind. `given`: what the user says again that it has skipped, and
    /// the jobs that are to run again besides those that it has.
    ///
    /// # Errors
    /// When there is none, or it comes to no verdict.
    pub fn resume(&self, given: &DeployRequest) -> Result<Report, DeployError> {
        let run_lock = self.begin()?;
        let context = Context::new(self)?;
        let Some(claimed) = context.take_over_open_attempt(None, &[])? else {
            let verdict = self.untold(&context)?.ok_or(DeployError::NothingUnderWay)?;
            return Ok(Report::Finished(verdict));
        };
        let verdict =
            Run::new(self, &context, claimed, Errand::Asked)?.taken_over(Some(given), true).resume()?;
        if !verdict.again {
            self.rebase_the_others(&verdict);
            return Ok(Report::Finished(verdict));
        }
        let target = verdict.branch.as_ref().map(ToString::to_string);
        let mut request = DeployRequest { target, skip: given.skip.clone(), ..DeployRequest::default() };
        self.as_begun(&context, &mut request, &verdict)?;
        self.begins_again(&verdict);
        self.deploy_locked(&run_lock, request)
    }

    /// Tells that a verdict is not the last word.
    fn begins_again(&self, verdict: &Verdict) {
        self.observer.step("Again", &format!("under the next number: base moved during {}", verdict.id));
        self.told();
    }

    /// Ends the deployment that is under way as aborted.
    ///
    /// # Errors
    /// When there is none, or it has come too far.
    pub fn abort(&self) -> Result<Report, DeployError> {
        let _run_lock = self.begin()?;
        let context = Context::new(self)?;
        let Some(claimed) = context.take_over_open_attempt(None, &[])? else {
            let ended = self.untold(&context)?;
            return Err(ended.map_or(DeployError::NothingUnderWay, |verdict| DeployError::Ended(verdict.id)));
        };
        Run::new(self, &context, claimed, Errand::Asked)?.abort().map(Report::Finished)
    }

    /// After each landing the branches that are kept on base are rebased. The verdict stands whatever comes of that: what
    /// is left undone is done by the next sweep.
    fn rebase_the_others(&self, verdict: &Verdict) {
        let lands = verdict.id.environment.is_none() && verdict.rollback.is_none();
        if verdict.outcome != Outcome::Success || !lands {
            return;
        }
        match sweep_authority(self.repository, self.observer, self.interrupt) {
            Ok(sweep) => sweep.outcomes.iter().for_each(|outcome| self.observer.rebased(outcome)),
            Err(error) => self.observer.warn(&format!("the other branches were not rebased: {error}")),
        }
    }

    /// Takes the lock of runs, finishes what a run that died was in the middle of, and fetches.
    pub(super) fn begin(&self) -> Result<RunLock, DeployError> {
        let run_lock = self.repository.lock_run()?.map_err(DeployError::AnotherRun)?;
        let settings = crate::config::Settings::read(self.repository)?;
        let identity = self.repository.identity()?;
        let transactor = Transactor {
            repository: self.repository,
            settings: &settings,
            identity: &identity,
            observer: self.observer,
        };
        if let Some(label) = transactor.finish_journal()? {
            self.observer.step("Recovered", &format!("what an earlier run had begun: {label}"));
        }
        self.fetch()?;
        transactor.finish_following()?;
        Ok(run_lock)
    }

    fn fetch(&self) -> Result<(), DeployError> {
        let settings = crate::config::Settings::read(self.repository)?;
        if let Some(tracking) = &settings.remote {
            self.observer.step("Fetching", &format!("'{}'", tracking.remote()));
            sync::fetch(self.repository, tracking, self.observer)?;
        }
        Ok(())
    }

    /// Ends an attempt that was left open, or finds the verdict that a run which died could not tell any more. Returns it if
    /// it is what the user asked for.
    fn end_open_attempts(&self, request: &mut DeployRequest) -> Result<Option<Verdict>, DeployError> {
        // All of them: a number that stays open must not be taken up again after a later one has deployed.
        let mut passed_over = Vec::new();
        loop {
            let context = Context::new(self)?;
            let named = request.environment.as_deref();
            let verdict = match context.take_over_open_attempt(named, &passed_over)? {
                Some(claimed) => {
                    let id = claimed.attempt.id.clone();
                    let is_elsewhere = named.is_some_and(|named| named != claimed.environment.name.as_str());
                    let errand = self.errand(&context, request, &claimed.attempt)?;
                    let given = (errand == Errand::Asked).then_some(&*request);
                    let means_back = self.means_back(&context, request, &claimed.attempt)?;
                    let run = Run::new(self, &context, claimed, errand);
                    match run.and_then(|run| run.taken_over(given, means_back).end_for(request)) {
                        // An environment that cannot be asked is in nobody's way who goes elsewhere.
                        Err(DeployError::Plan(failure) | DeployError::Undecided { failure, .. })
                            if is_elsewhere =>
                        {
                            self.observer.warn(&format!("{id} stays as it is: {failure}"));
                            passed_over.push(id);
                            continue;
                        }
                        verdict => {
                            let verdict = verdict?;
                            self.rebase_the_others(&verdict);
                            verdict
                        }
                    }
                }
                None => match self.untold(&context)? {
                    Some(verdict) => verdict,
                    None => return Ok(None),
                },
            };
            if verdict.again {
                self.as_begun(&context, request, &verdict)?;
            } else if self.is_asked_for(&context, request, &verdict)? {
                return Ok(Some(verdict));
            }
            let verdict = match self.gone_back_by(request, verdict)? {
                Ok(gone_back) => return Ok(Some(gone_back)),
                Err(verdict) => verdict,
            };
            let reason = verdict.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            self.observer.step("Ended", &format!("{}: {}{reason}", verdict.id, verdict.outcome.subject()));
            self.told();
        }
    }
}
