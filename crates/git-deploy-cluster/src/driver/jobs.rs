//! One-time jobs on the way forward: each runs once, before the workloads.

use std::time::Duration;

use git_deploy_core::deployment::{Blame, Failure, Step};
use git_deploy_core::environment::{Effect, Pulse};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{ObjectId, is_rollback_safe};

use super::ClusterDriver;
use super::deadline::Deadline;
use super::planning::Purpose;
use super::refused::Refused;
use super::said::{of_job, of_lease};
use super::state::{Held, PlannedJob, Session, State};
use crate::api_error::{ApiError, ApiErrorKind};
use crate::jobs::{
    Heard, JobError, Listener, after_another, again_in, is_first, let_go, outcome, start, still_held,
    suspend, try_job,
};
use crate::members::SetView;
use crate::set::{Change, JobEnd, JobOutcome, Record};
use crate::target::{Applied, Target};
use crate::verify::NotReady;

/// What will never become ready, by the fault of what was released: otherwise the next run waits for it again.
fn doomed(error: &NotReady) -> Option<&ObjectId> {
    match error {
        NotReady::Failed { object, blame: Blame::Branch, .. } => Some(object),
        NotReady::Failed { .. }
        | NotReady::TimedOut { .. }
        | NotReady::Blocked { .. }
        | NotReady::Unreachable { .. }
        | NotReady::Unseen { .. }
        | NotReady::Unread { .. }
        | NotReady::Denied { .. } => None,
    }
}

/// How long a job that runs again may take to go.
const LEAVING: Duration = Duration::from_secs(30);

impl ClusterDriver<'_> {
    /// What becomes of one-time jobs. Nothing is started.
    pub(super) async fn plan_jobs(
        &self,
        session: &Session,
        view: &SetView,
        record: Option<&Record>,
        jobs: Vec<Target>,
        purpose: Purpose,
    ) -> Result<Vec<PlannedJob>, Refused> {
        // On the way back none is run, again or otherwise.
        if purpose != Purpose::GoBack {
            self.require_asked(&jobs)?;
        }
        let mut planned = Vec::new();
        for job in jobs {
            let known = record.and_then(|record| record.jobs.get(&job.id.name));
            let again = self.state.borrow().runs_again(&job.id.name, known);
            let failed_before = |outcome: &JobOutcome| JobError::FailedBefore {
                id: Box::new(job.id.clone()),
                before: outcome.deployment.clone(),
            };
            let effect = match known {
                Some(JobOutcome { end: JobEnd::Succeeded, .. }) => Effect::Keep,
                Some(outcome) if outcome.end == JobEnd::Failed && !again => {
                    return Err(failed_before(outcome).into());
                }
                _ => {
                    let there = try_job(&session.connection, &view.id, &job).await?;
                    let was_there = known.is_some_and(|known| known.end != JobEnd::Starting);
                    if was_there && !there && !again {
                        return Err(JobError::Gone { id: job.id.clone() }.into());
                    }
                    if there { Effect::Change } else { Effect::Create }
                }
            };
            planned.push(PlannedJob { target: job, effect, again });
        }
        Ok(planned)
    }

    /// What is to run again must be there to be run.
    fn require_asked(&self, jobs: &[Target]) -> Result<(), Failure> {
        let unknown = |asked: &&String| !jobs.iter().any(|job| is_called(&job.id.name, asked));
        let Some(asked) = self.options.retry_jobs.iter().find(unknown) else { return Ok(()) };
        let names: Vec<&str> = jobs.iter().map(|job| job.id.name.as_str()).collect();
        let why = format!("there is no one-time job '{}' to run again", asked.escape_debug());
        let hint = (!names.is_empty()).then(|| format!("there are: {}", names.join(", ")));
        Err(Failure::of_nobody(Step::Plan, why).fatal().hint(hint))
    }

    /// Runs the one-time jobs that have not run, and records how they ended; then also those that other runs left.
    pub(super) fn run_jobs(
        &self,
        held: &mut Held,
        jobs: &[PlannedJob],
        id: &DeploymentId,
        deadline: Deadline,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        self.run_new_jobs(held, jobs, id, deadline, pulse)?;
        self.rule_out_jobs(held, pulse);
        // None was ever begun that is not recorded: where there is none, nobody need be asked, or allow it.
        if !held.parent.record().jobs.is_empty() {
            self.settle_jobs(held, id, pulse);
        }
        Ok(())
    }

    fn run_new_jobs(
        &self,
        held: &mut Held,
        jobs: &[PlannedJob],
        id: &DeploymentId,
        deadline: Deadline,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let jobs: Vec<&PlannedJob> = jobs.iter().filter(|job| job.effect != Effect::Keep).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let mut started: Vec<Applied> = Vec::new();
        for job in &jobs {
            self.observer.step("Running", &job.target.id.to_string());
            started.push(self.start_job(held, job, id, pulse)?);
        }
        let waited = self.wait_for_jobs(held, &started, deadline, pulse);
        let doomed = waited.as_ref().ok().and_then(|ready| doomed(ready.as_ref().err()?)).cloned();
        let waited = waited.and_then(|ready| ready.map_err(|error| self.not_ready(Step::Apply, error)));
        // Those that have ended are recorded, whatever became of the others.
        for (job, started) in jobs.iter().zip(&started) {
            let ended = self.run(Step::Apply, pulse, async {
                outcome(&held.session.connection, &job.target, id)
                    .await
                    .map_err(of_job(Step::Apply, self.cluster.named()))
            });
            match ended {
                Ok(Some(outcome)) => {
                    self.record_job(held, &job.target, outcome, pulse)?;
                    self.let_job_go(held, &job.target, pulse)?;
                }
                Ok(None) if doomed.as_ref() == Some(&job.target.id) => {
                    self.give_up_job(held, started, id, pulse);
                }
                Ok(None) if waited.is_err() => {}
                Ok(None) => {
                    return Err(Failure::of_nobody(Step::Apply, format!("{} has not ended", job.target.id)));
                }
                Err(failure) => return Err(waited.err().unwrap_or(failure)),
            }
        }
        waited
    }

    /// Waits until jobs have ended, and tells what they write.
    fn wait_for_jobs(
        &self,
        held: &Held,
        started: &[Applied],
        deadline: Deadline,
        pulse: &dyn Pulse,
    ) -> Result<Result<(), NotReady>, Failure> {
        let tell = |heard| match heard {
            Heard::Line { from, text } => self.observer.step("Log", &format!("{from} | {text}")),
            Heard::Remark(text) => self.observer.warn(&text),
        };
        let jobs = started.iter().map(|job| &job.target).collect();
        let listener = Listener::new(&held.session.connection, jobs, &tell);
        let waited = self.until_ready(held, started, deadline, Step::Apply, pulse, listener.listen())?;
        self.run(Step::Apply, pulse, async {
            listener.rest().await;
            Ok(waited)
        })
    }

    /// Records how jobs ended that nobody waits for any more, and lets them go: of a run that died, or of a branch that was
    /// given up. Nothing depends on it: what hinders it is told, and the next deployment tries again.
    fn settle_jobs(&self, held: &mut Held, id: &DeploymentId, pulse: &dyn Pulse) {
        let mut namespaces = held.view().namespaces;
        namespaces.insert(held.set.namespace.clone());
        for namespace in namespaces {
            let Held { session, set, .. } = &*held;
            let connection = match namespace == set.namespace {
                true => session.connection.clone(),
                // Whoever may not look there is refused each time.
                false => session.connection.believing(),
            };
            let listed = self.run(Step::Apply, pulse, async {
                Ok(still_held(&connection, set.id.as_str(), &namespace).await)
            });
            let jobs = match listed {
                Ok(Ok(jobs)) => jobs,
                Ok(Err(error)) => {
                    self.not_listed(held, namespace, &error);
                    continue;
                }
                // It was stopped, as the next step says.
                Err(_) => return,
            };
            for job in jobs {
                match self.settle_job(held, &job, id, pulse) {
                    Ok(true) => {}
                    Ok(false) => drop(held.held_jobs.insert(namespace.clone())),
                    Err(failure) => {
                        self.observer.warn(&format!("one-time {} is not let go: {failure}", job.id));
                        held.held_jobs.insert(namespace.clone());
                    }
                }
            }
        }
    }

    /// What is not seen may be there. Whoever may not look at the jobs of a namespace has none there in general, which is
    /// told only where one is missed.
    fn not_listed(&self, held: &mut Held, namespace: String, error: &ApiError) {
        let is_missed = held.parent.record().jobs.values().any(|outcome| !outcome.is_final());
        if *error.kind() != ApiErrorKind::Forbidden || is_missed || namespace == held.set.namespace {
            self.observer.warn(&format!(
                "cannot see which one-time jobs have ended in namespace '{namespace}' since: {error}"
            ));
            held.held_jobs.insert(namespace);
        }
    }

    /// Whether nothing is left to be done for it.
    fn settle_job(
        &self,
        held: &mut Held,
        job: &Target,
        id: &DeploymentId,
        pulse: &dyn Pulse,
    ) -> Result<bool, Failure> {
        let known = held.parent.record().jobs.get(&job.id.name).cloned();
        if !known.as_ref().is_some_and(JobOutcome::is_final) {
            let ran_for = known.and_then(|known| known.deployment).unwrap_or_else(|| id.clone());
            let ended = self.run(Step::Apply, pulse, async {
                outcome(&held.session.connection, job, &ran_for)
                    .await
                    .map_err(of_job(Step::Apply, self.cluster.named()))
            })?;
            let Some(outcome) = ended else { return Ok(false) };
            self.record_job(held, job, outcome, pulse)?;
        }
        self.let_job_go(held, job, pulse)?;
        Ok(true)
    }

    /// Starts a job, or finds it. That it is going to be there is recorded first: whoever dies in between, or gets no answer,
    /// leaves a job that nobody goes back behind.
    fn start_job(
        &self,
        held: &mut Held,
        job: &PlannedJob,
        id: &DeploymentId,
        pulse: &dyn Pulse,
    ) -> Result<Applied, Failure> {
        let known = held.parent.record().jobs.get(&job.target.id.name).cloned();
        let outcome = |end| JobOutcome {
            end,
            rollback_safe: is_rollback_safe(&job.target.wanted),
            deployment: Some(id.clone()),
        };
        // One that was there must not become one that may never have been, also while it is made anew: only the first of a
        // name may be ruled out.
        let was_there = was_there(job, known.as_ref());
        let intent = if was_there { JobEnd::Started } else { JobEnd::Starting };
        self.record_job(held, &job.target, outcome(intent), pulse)?;
        let Held { session, set, lease, .. } = &*held;
        let again = (job.again && was_there).then_some(LEAVING);
        let may_have_changed = known.as_ref().is_none_or(|known| !is_started(known) || !known.rollback_safe);
        let target =
            if was_there && may_have_changed { after_another(&job.target) } else { job.target.clone() };
        // Also the first one: it is not to be made anew when its deployment goes on.
        let target = if job.again { again_in(&target, id) } else { target };
        let started = self.run(Step::Apply, pulse, async {
            let started = lease.writing(start(&session.connection, set.id.as_str(), &target, again));
            started.await.map_err(of_lease(Step::Apply))
        })?;
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                if error.is_refusal() {
                    let nothing = JobOutcome { rollback_safe: true, ..outcome(JobEnd::Starting) };
                    let before = if was_there { known.filter(is_started) } else { known.or(Some(nothing)) };
                    // If this cannot be recorded, the way back stays closed, which is always safe.
                    before.map(|before| self.record_job(held, &job.target, before, pulse).ok());
                }
                return Err(of_job(Step::Apply, self.cluster.named())(error));
            }
        };
        self.record_job(held, &job.target, outcome(JobEnd::Started), pulse)?;
        Ok(started)
    }

    /// What never began does not begin when nobody waits for it any more. Whatever hinders that is told: the job stays as one
    /// that was started.
    fn give_up_job(&self, held: &mut Held, started: &Applied, id: &DeploymentId, pulse: &dyn Pulse) {
        let job = &started.target;
        let Held { session, lease, .. } = &*held;
        let suspended = self.run(Step::Apply, pulse, async {
            let suspended = lease.writing(suspend(&session.connection, job));
            suspended.await.map_err(of_lease(Step::Apply))?.map_err(of_job(Step::Apply, self.cluster.named()))
        });
        let recorded = suspended.and_then(|is_suspended| {
            if !is_suspended {
                return Ok(());
            }
            self.observer.warn(&format!("one-time {} has not begun and is suspended", job.id));
            let outcome = JobOutcome {
                end: JobEnd::Failed,
                rollback_safe: is_first(&started.live),
                deployment: Some(id.clone()),
            };
            self.record_job(held, job, outcome, pulse)?;
            self.let_job_go(held, job, pulse)
        });
        if let Err(failure) = recorded {
            self.observer.warn(&format!("one-time {} may run later: {failure}", job.id));
        }
    }

    fn let_job_go(&self, held: &Held, job: &Target, pulse: &dyn Pulse) -> Result<(), Failure> {
        let Held { session, lease, .. } = held;
        self.run(Step::Apply, pulse, async {
            let gone = lease.writing(let_go(&session.connection, job));
            gone.await.map_err(of_lease(Step::Apply))?.map_err(of_job(Step::Apply, self.cluster.named()))
        })
    }

    pub(super) fn record_job(
        &self,
        held: &mut Held,
        job: &Target,
        outcome: JobOutcome,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let change = Change::default().with_job(&job.id.name, outcome);
        self.begin_phase(held, Step::Apply, pulse, &change)
    }
}

impl State {
    /// Whether a job is asked for to run again, and has not failed again in the deployment for which it is.
    fn runs_again(&self, name: &str, known: Option<&JobOutcome>) -> bool {
        let is_asked = self.retry_jobs.iter().any(|asked| is_called(name, asked));
        let has_failed = known.is_some_and(|known| {
            known.end == JobEnd::Failed && known.deployment.is_some() && known.deployment == self.deployment
        });
        is_asked && !has_failed
    }
}

/// Whether a job of that name has been there, and may have done what it is for.
fn was_there(job: &PlannedJob, known: Option<&JobOutcome>) -> bool {
    job.effect == Effect::Change || known.is_some_and(is_started)
}

/// Whether it was started for certain.
fn is_started(known: &JobOutcome) -> bool {
    known.end != JobEnd::Starting
}

/// Whether a one-time job is meant: by its name, or by that of the manifest, without its identity.
fn is_called(name: &str, asked: &str) -> bool {
    name == asked || name.rsplit_once('-').is_some_and(|(stem, _)| stem == asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_to_run_again_runs_once_more_however_often_its_deployment_goes_on() {
        let id = |number: u32| format!("deployment-{number:04}").parse::<DeploymentId>().unwrap();
        let state = State { deployment: Some(id(3)), retry_jobs: vec!["migrate".into()], ..State::default() };
        let ended = |end, number| JobOutcome { end, rollback_safe: false, deployment: Some(id(number)) };
        let again = |outcome: JobOutcome| state.runs_again("migrate-0a1b", Some(&outcome));
        assert!(again(ended(JobEnd::Failed, 2)));
        assert!(again(ended(JobEnd::Started, 3)), "the same one, which is found or was removed before");
        assert!(!again(ended(JobEnd::Failed, 3)), "whoever means it anew gives it to a new deployment");
    }
}
