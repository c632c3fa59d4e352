//! What closes the way back: one-time jobs that ran, and those of which nobody knows it.
//!
//! A run records that it is about to start a job before it does. If it dies then, the job may be there, or not, or be on its
//! way to the API server still, where it can arrive when everybody has looked. So the next run does not only look: it takes
//! the job's name itself, for one that never runs. If that succeeds the other never was and never will be.
//!
//! That holds for a name under which there was never a job. Where one may have run, whoever is about to make it anew records
//! that it was started before the old one goes: a free name says nothing then, and nobody asks.

use std::fmt;

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::Pulse;
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::is_one_time;

use super::ClusterDriver;
use super::said::{of_job, of_lease};
use super::state::Held;
use crate::jobs::bar;
use crate::set::{JobEnd, JobOutcome, Record};
use crate::target::Target;

/// A one-time job behind which only forward is safe; displays as what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossed<'r> {
    name: &'r str,
    /// Whether it may never have been started.
    pub(super) is_uncertain: bool,
}

impl fmt::Display for Crossed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whether = if self.is_uncertain { "nobody knows whether " } else { "" };
        write!(f, "{whether}one-time job '{}' has run", self.name)
    }
}

/// The one-time job that ran for a deployment, or after it, and did not leave behind what fits what was there before. One of
/// which that is certain is named rather than another.
pub(super) fn forward_only(record: &Record, counts: impl Fn(&DeploymentId) -> bool) -> Option<Crossed<'_>> {
    let crossed = record
        .jobs
        .iter()
        .filter(|(_, outcome)| !outcome.rollback_safe && outcome.deployment.as_ref().is_some_and(&counts))
        .map(|(name, outcome)| Crossed { name, is_uncertain: is_uncertain(outcome) });
    crossed.min_by_key(|crossed| crossed.is_uncertain)
}

fn is_uncertain(outcome: &JobOutcome) -> bool {
    outcome.end == JobEnd::Starting && !outcome.rollback_safe
}

impl ClusterDriver<'_> {
    /// Finds out about the jobs of which nobody knows whether they were started, as far as that is possible. What hinders it
    /// is told: the way back stays closed then, which is always safe.
    pub(super) fn rule_out_jobs(&self, held: &mut Held, pulse: &dyn Pulse) {
        let jobs = held.parent.record().jobs.iter().filter(|(_, outcome)| is_uncertain(outcome));
        let open: Vec<_> =
            jobs.filter_map(|(name, job)| Some((name.clone(), job.deployment.clone()?))).collect();
        for (name, of) in open {
            match self.rule_out(held, &name, &of, pulse) {
                Ok(true) => {
                    self.observer
                        .warn(&format!("one-time job '{name}' of {of} was never started, and will not be"));
                }
                Ok(false) => {}
                Err(failure) => {
                    let what = format!("cannot find out whether one-time job '{name}' of {of} has run");
                    self.observer.warn(&format!("{what}: {failure}"));
                }
            }
        }
    }

    /// Whether it is certain, and recorded now, that a job was never started.
    fn rule_out(
        &self,
        held: &mut Held,
        name: &str,
        of: &DeploymentId,
        pulse: &dyn Pulse,
    ) -> Result<bool, Failure> {
        let Some(job) = self.kept_job(held, name, of, pulse)? else {
            let why = format!("what {of} was going to apply is not kept in this repository");
            return Err(Failure::of_nobody(Step::Apply, why));
        };
        let Held { session, set, lease, .. } = &*held;
        let barred = self.run(Step::Apply, pulse, async {
            let barred = lease.writing(bar(&session.connection, set.id.as_str(), &job));
            barred.await.map_err(of_lease(Step::Apply))?.map_err(of_job(Step::Apply, self.cluster.named()))
        })?;
        if barred {
            let never =
                JobOutcome { end: JobEnd::Starting, rollback_safe: true, deployment: Some(of.clone()) };
            self.record_job(held, &job, never, pulse)?;
        }
        Ok(barred)
    }

    /// A one-time job as a deployment was going to start it.
    fn kept_job(
        &self,
        held: &Held,
        name: &str,
        of: &DeploymentId,
        pulse: &dyn Pulse,
    ) -> Result<Option<Target>, Failure> {
        let Some(mut all) = self.objects_of(of)? else { return Ok(None) };
        all.retain(|object| object.id().name == name && is_one_time(object.id(), object.value()));
        Ok(self.targets(&held.session, &all, pulse)?.pop())
    }
}
