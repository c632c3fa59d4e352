//! Environments in a row: where a commit goes next, and what has to be so before it goes there.
//!
//! It has to stand in the environment before, exactly this commit; where base asks for it, somebody has approved what stands
//! there; and the environment must not be frozen. Whoever has to go past that says so, and why, and that is recorded.

use super::run::Run;
use super::{Context, DeployError, DeployRequest, Deployer, Hold, Unpromoted, Verdict, in_words};
use crate::config::deploy_toml::{Approve, Environment};
use crate::git::object::quote_path;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ledger::{Deployment, FREEZE, Skip};
use crate::machine;
use crate::ops::promote::promotion;
use crate::queue;

/// How a commit comes to an environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Passage {
    /// What was in the way and is skipped.
    pub(super) skip: Option<Skip>,
    /// The approval of what stands in the environment before.
    pub(super) approved: Option<Approved>,
    /// The images, as they were verified there.
    pub(super) images: Vec<String>,
    /// One-time jobs that run again although they failed.
    pub(super) retry_jobs: Vec<String>,
}

/// An approval to go on that counts.
#[derive(Debug, Clone)]
pub(super) struct Approved {
    /// Who gave it.
    pub(super) by: String,
    /// The deployment that it was given for, which verified the commit in the environment before.
    pub(super) deployment: DeploymentId,
}

impl Context<'_> {
    /// Where a commit goes: the environment that the user named, else the next one. Who only looks is warned of what would be
    /// in the way by then.
    pub(super) fn way(
        &self,
        request: &DeployRequest,
        of: (Option<&RefName>, CommitId),
        dry: bool,
    ) -> Result<(Environment, Passage), DeployError> {
        let commit = of.1;
        let wanted = request.skip.as_ref();
        let environment = match &request.environment {
            Some(name) => self.named_environment(name)?,
            None => self.next_environment_but(commit, wanted)?,
        };
        // What the user named may be further on in the row.
        let named = request
            .environment
            .as_ref()
            .map_or_else(|| self.deploy_toml.landing_environment(), |_| environment);
        self.check_skip(named, wanted)?;
        let is_wanted = |name: &str| wanted.is_some_and(|skip| skip.has(name));
        let (mut skipped, mut stood) = (Vec::new(), None);
        for before in self.deploy_toml.before(environment) {
            stood = self.stands(before, commit)?;
            if stood.is_some() {
                break;
            }
            let after = before.name.clone();
            if !is_wanted(after.as_str()) {
                let (environment, branch) = (environment.name.clone(), of.0.cloned());
                return Err(DeployError::NotYet { environment, after, branch, commit });
            }
            skipped.push(after.to_string());
        }
        // A commit of base that stands there is not deployed again.
        if of.0.is_none() && self.stands(environment, commit)?.is_some() {
            return Ok((environment.clone(), Passage::default()));
        }
        let in_the_way = |error: DeployError| match dry {
            true => {
                self.deployer.observer.warn(&error.to_string());
                Ok(())
            }
            false => Err(error),
        };
        // What is approved is what stands in the environment before: with that its approval is skipped.
        let mut approved = None;
        if let Some(stood) = stood.filter(|_| environment.approval && skipped.is_empty()) {
            match self.promoted(environment, commit, Some(&stood.id))? {
                Ok(found) => approved = Some(found),
                Err(why) => in_the_way(waits(environment, of, &stood.id, why))?,
            }
        }
        if environment.approval && !skipped.is_empty() {
            self.tell_unasked(environment, &skipped);
        }
        match environment.frozen(machine::now()) {
            Some(_) if is_wanted(FREEZE) => skipped.push(FREEZE.to_owned()),
            Some(frozen) => {
                let environment = environment.name.clone();
                let (branch, skipped, frozen) = (of.0.cloned(), skipped.clone(), Box::new(frozen));
                in_the_way(DeployError::Frozen { environment, branch, commit, frozen, skipped })?;
            }
            None => {}
        }
        if let Some(wanted) = wanted {
            self.tell_needless(wanted, &skipped);
        }
        let skip = wanted.filter(|_| !skipped.is_empty());
        let skip = skip.map(|skip| Skip { what: skipped, reason: skip.reason.clone() });
        let images = stood.map(|stood| stood.images.clone()).unwrap_or_default();
        Ok((environment.clone(), Passage { skip, approved, images, retry_jobs: request.retry_jobs.clone() }))
    }

    /// Which one-time jobs run again in a deployment that another run has begun: those that were `kept` with it, and `given`.
    pub(super) fn jobs_to_retry(&self, kept: &[String], given: Option<&DeployRequest>) -> Vec<String> {
        let given = given.map(|given| given.retry_jobs.as_slice()).unwrap_or_default();
        believed(kept, given, self.rules.is_none())
    }

    /// Says what need not have been skipped: whoever reads the ledger looks for it there in vain.
    fn tell_needless(&self, wanted: &Skip, skipped: &[String]) {
        for what in wanted.what.iter().filter(|what| !skipped.contains(what)) {
            let why = match what.as_str() {
                FREEZE => "it is not frozen".to_owned(),
                before => format!("the commit has come through '{before}' already"),
            };
            self.deployer
                .observer
                .note(&format!("nothing is skipped by --skip={what}, and none is recorded: {why}"));
        }
    }

    /// Says who was not asked, because what he would have approved is skipped.
    fn tell_unasked(&self, environment: &Environment, skipped: &[String]) {
        let whom = match &self.deploy_toml.approve {
            None => "nobody was asked".to_owned(),
            Some(Approve { allowed_signers: Some(list), .. }) => format!("nobody in '{list}' was asked"),
            Some(Approve { allowed_signers: None, .. }) => "nobody in [approve] was asked".to_owned(),
        };
        let (skipped, name) = (skipped.join("' and '"), &environment.name);
        self.deployer
            .observer
            .note(&format!("with '{skipped}' the approval to go to '{name}' is skipped: {whom}"));
    }

    /// The approval of somebody who may that a commit goes to an environment; else why one that there is does not count.
    /// `deployment` is what verified it, where that is still known.
    pub(super) fn promoted(
        &self,
        environment: &Environment,
        commit: CommitId,
        deployment: Option<&DeploymentId>,
    ) -> Result<Result<Approved, Option<String>>, DeployError> {
        let found = match promotion(self.repository(), &self.view.settings, &environment.name)?.transpose() {
            Ok(found) => found,
            Err(why) => return Ok(Err(Some(why))),
        };
        let found = found.filter(|found| {
            found.environment == environment.name
                && found.commit == commit
                && deployment.is_none_or(|deployment| *deployment == found.deployment)
        });
        let Some(found) = found else { return Ok(Err(None)) };
        let judged = self.rules.as_ref().map(|rules| rules.promoted(&found)).transpose()?;
        Ok(match judged {
            Some(Err(why)) => Err(Some(why.to_string())),
            // What a record says of who wrote it is not signed.
            Some(Ok(by)) => Ok(Approved { by, deployment: found.deployment }),
            None => Ok(Approved { by: found.by, deployment: found.deployment }),
        })
    }

    /// What the head of the queue waits for on its way from one environment to the next; those behind it wait with it, because
    /// it stands in the environment before.
    pub(super) fn waits_in_the_row(&self) -> Result<Option<Hold>, DeployError> {
        let row = self.deploy_toml.row();
        if !row.iter().any(|environment| environment.approval || !environment.freeze.is_empty()) {
            return Ok(None);
        }
        let (places, _) = self.view.queue()?;
        let Some(head) = queue::head(&places) else { return Ok(None) };
        let branch = head.branch.clone();
        // What is rebased first begins anew.
        if !self.repository().is_ancestor(self.base_tip, head.tip)? {
            let first = row.first().and_then(|first| Some((first, first.frozen(machine::now())?)));
            return Ok(first.map(|(first, frozen)| Hold::Frozen {
                environment: first.name.clone(),
                branch,
                frozen,
            }));
        }
        self.waits_for(branch, head.tip)
    }

    /// What a branch waits for before it goes on to the next environment.
    pub(super) fn waits_for(&self, branch: RefName, commit: CommitId) -> Result<Option<Hold>, DeployError> {
        match self.way(&DeployRequest::default(), (Some(&branch), commit), false) {
            Ok(_) | Err(DeployError::NotYet { .. }) => Ok(None),
            Err(DeployError::Unpromoted(waits)) => {
                let Unpromoted { environment, deployment, why, .. } = *waits;
                Ok(Some(Hold::Unpromoted { environment, branch, deployment, why }))
            }
            Err(DeployError::Frozen { environment, frozen, .. }) => {
                Ok(Some(Hold::Frozen { environment, branch, frozen: *frozen }))
            }
            Err(error) => Err(error),
        }
    }

    /// The environment of that name.
    pub(super) fn named_environment(&self, name: &str) -> Result<&Environment, DeployError> {
        let known = self.deploy_toml.environments().iter();
        self.deploy_toml.environment(name).ok_or_else(|| DeployError::NoEnvironment {
            name: quote_path(name.as_bytes()),
            known: known.map(|environment| environment.name.to_string()).collect(),
        })
    }

    /// The first environment along `after` where this commit is not the latest success.
    pub(super) fn next_environment(&self, commit: CommitId) -> Result<&Environment, DeployError> {
        self.next_environment_but(commit, None)
    }

    /// The same without those that are skipped.
    fn next_environment_but(
        &self,
        commit: CommitId,
        skip: Option<&Skip>,
    ) -> Result<&Environment, DeployError> {
        let landing = self.deploy_toml.landing_environment();
        // Only what leads to landing is gone through by itself.
        for environment in self.deploy_toml.before(landing).into_iter().rev() {
            let is_skipped = skip.is_some_and(|skip| skip.has(environment.name.as_str()));
            if !is_skipped && self.stands(environment, commit)?.is_none() {
                return Ok(environment);
            }
        }
        Ok(landing)
    }

    /// Whether a commit that is new could go to an environment at once, as this one could.
    pub(super) fn goes_straight_to(&self, environment: &Environment, skip: Option<&Skip>) -> bool {
        let is_skipped = |what: &str| skip.is_some_and(|skip| skip.has(what));
        let before = self.deploy_toml.before(environment);
        before.iter().all(|before| is_skipped(before.name.as_str()))
            && (is_skipped(FREEZE) || environment.frozen(machine::now()).is_none())
    }

    /// The deployment by which exactly this commit stands in an environment as its latest success.
    pub(super) fn stands(
        &self,
        environment: &Environment,
        commit: CommitId,
    ) -> Result<Option<&Deployment>, DeployError> {
        let latest = self.view.ledger()?.latest_success(&environment.name);
        Ok(latest.filter(|latest| latest.commit == commit))
    }

    /// Only what can be in the way is skipped: whoever mistypes it must not believe that it was.
    fn check_skip(&self, environment: &Environment, skip: Option<&Skip>) -> Result<(), DeployError> {
        let before = self.deploy_toml.before(environment);
        let mut known: Vec<String> = before.iter().rev().map(|before| before.name.to_string()).collect();
        known.push(FREEZE.to_owned());
        let unknown = skip.and_then(|skip| skip.what.iter().find(|what| !known.contains(what)));
        match unknown {
            None => Ok(()),
            Some(unknown) => {
                let (name, environment) = (quote_path(unknown.as_bytes()), environment.name.clone());
                Err(DeployError::NothingToSkip { name, environment, known })
            }
        }
    }
}

impl Deployer<'_> {
    /// What is to begin anew under the next number is asked for as it was begun, where it is what the user named: it lands,
    /// and what was skipped on the way there is skipped again. Where base says who may approve, nobody's word but the user's
    /// counts for that; there, and where the user named something else, it is told.
    pub(super) fn as_begun(
        &self,
        context: &Context<'_>,
        request: &mut DeployRequest,
        verdict: &Verdict,
    ) -> Result<(), DeployError> {
        let is_named = request.target.is_some() && self.is_asked_for(context, request, verdict)?;
        let skip = verdict.skip.as_deref().filter(|_| request.skip.is_none());
        match skip {
            Some(skip) if is_named && context.rules.is_none() => request.skip = Some(skip.clone()),
            Some(skip) => {
                let of = verdict.branch.as_ref().map(|branch| format!(" of '{}'", branch.short()));
                self.observer.warn(&format!(
                    "{}{} had skipped {}: that is not kept for the next number, and is given again with --skip and --reason",
                    verdict.id,
                    of.unwrap_or_default(),
                    skip.what.join(", ")
                ));
            }
            None => {}
        }
        Ok(())
    }
}

impl Run<'_> {
    /// The images that were verified in the environment before, as the ledger has them: what an attempt says that has changed
    /// nothing yet can be written by whoever can push.
    pub(super) fn verified_before(&self) -> Result<Vec<String>, DeployError> {
        let attempt = self.attempt();
        if attempt.rollback.is_some() {
            return Ok(Vec::new());
        }
        for before in self.context.deploy_toml.before(&self.claimed.environment) {
            if let Some(stood) = self.context.stands(before, attempt.candidate)? {
                return Ok(stood.images.clone());
            }
        }
        Ok(Vec::new())
    }

    /// Why it may not begin any more: nobody says that it should go back, the environment is frozen by now, or what
    /// [`Run::demoted`] says.
    pub(super) fn may_not_begin(&self) -> Result<Option<String>, DeployError> {
        let environment = &self.claimed.environment;
        if let Some(to) = self.back_not_given() {
            return Ok(Some(format!("it goes back to {to}, and whoever took it over had not said so")));
        }
        let goes_past = self.goes_back()? || self.skips(FREEZE);
        match environment.frozen(machine::now()).filter(|_| !goes_past) {
            Some(frozen) => {
                Ok(Some(format!("nothing is deployed to '{}'{}", environment.name, in_words(&frozen))))
            }
            None => self.off_the_row()?.map_or_else(|| self.demoted(), |why| Ok(Some(why))),
        }
    }

    /// Takes over what another run has begun. That something was skipped is its claim, which whoever can push can write: where
    /// base says who may approve it counts only if whoever takes it over says so again (`given`), with a reason of their own.
    /// So it is with going back (`means_back`), and with jobs that are to run again.
    pub(super) fn taken_over(mut self, given: Option<&DeployRequest>, means_back: bool) -> Self {
        self.back_is_meant = means_back;
        let retry_jobs = self.context.jobs_to_retry(&self.claimed.attempt.retry_jobs, given);
        self.claimed.attempt.retry_jobs = retry_jobs;
        let given = given.and_then(|given| given.skip.as_ref());
        let given = self.claimed.attempt.skip.as_ref().and_then(|skip| skip.given_again(given));
        if given.is_some() || self.context.rules.is_some() {
            self.skip.clone_from(&given);
        }
        if given.is_some() {
            self.claimed.attempt.skip = given;
        }
        self
    }

    /// Whether it goes back to what stood there before, for which nothing has to come first. Where base says who may approve
    /// the ledger has to have it: a claim could say so of anything.
    pub(super) fn goes_back(&self) -> Result<bool, DeployError> {
        let (attempt, environment) = (self.attempt(), &self.claimed.environment.name);
        let Some(to) = &attempt.rollback else { return Ok(false) };
        let found = self.context.view.ledger()?.successes(environment).find(|stood| stood.id == *to);
        let stood_there = found.is_some_and(|stood| stood.commit == attempt.candidate);
        Ok(stood_there || self.context.rules.is_none())
    }

    /// Where it goes back to without anybody who may be believed saying that it should, where base says who may approve.
    fn back_not_given(&self) -> Option<&DeploymentId> {
        let is_claim = !self.back_is_meant && self.context.rules.is_some();
        self.attempt().rollback.as_ref().filter(|_| is_claim)
    }

    /// Whether something that should have come first is skipped, as far as that may be believed.
    fn skips(&self, what: &str) -> bool {
        self.skip.as_ref().is_some_and(|skip| skip.has(what))
    }

    /// Where base says who may approve: why it should not go there, as the ledger has it, which no claim can answer for.
    fn off_the_row(&self) -> Result<Option<String>, DeployError> {
        let (attempt, environment) = (self.attempt(), &self.claimed.environment);
        if self.context.rules.is_none() || self.goes_back()? {
            return Ok(None);
        }
        let ledger = self.context.view.ledger()?;
        for before in self.context.deploy_toml.before(environment) {
            // What was deployed there since says nothing against it: it had gone on by then.
            if ledger.successes(&before.name).any(|deployment| deployment.commit == attempt.candidate) {
                break;
            }
            if !self.skips(before.name.as_str()) {
                return Ok(Some(format!("its commit was never deployed to '{}'", before.name)));
            }
        }
        Ok(None)
    }

    /// Fails if what another run has begun is not approved, or has gone past what comes before or goes back, and nobody who may
    /// be believed says that it should.
    pub(super) fn check_claim(&self) -> Result<(), DeployError> {
        let id = self.attempt().id.clone();
        if let Some(to) = self.back_not_given() {
            return Err(DeployError::BackNotGiven { id, to: to.clone() });
        }
        let off_the_row = self.off_the_row()?;
        if let (Some(skip), None, true) = (&self.attempt().skip, &self.skip, off_the_row.is_some()) {
            return Err(DeployError::SkipNotGiven { id, skip: Box::new(skip.clone()) });
        }
        let why = off_the_row.map_or_else(|| self.unapproved(), |why| Ok(Some(why)))?;
        why.map_or(Ok(()), |why| Err(DeployError::AttemptNotApproved { id, why }))
    }

    /// Why it may not go on any more from the environment before, if it is so: what was approved there was withdrawn.
    pub(super) fn demoted(&self) -> Result<Option<String>, DeployError> {
        let (attempt, environment) = (self.attempt(), &self.claimed.environment);
        let is_skipped = environment.after.as_ref().is_some_and(|after| self.skips(after.as_str()));
        if !environment.approval || is_skipped || self.goes_back()? {
            return Ok(None);
        }
        let promoted = self.context.promoted(environment, attempt.candidate, None)?;
        let name = &environment.name;
        Ok(promoted.err().map(|why| match why {
            None => format!("the approval to go to '{name}' was withdrawn"),
            Some(why) => format!("the approval to go to '{name}' does not count: {why}"),
        }))
    }
}

fn waits(
    environment: &Environment,
    (branch, commit): (Option<&RefName>, CommitId),
    deployment: &DeploymentId,
    why: Option<String>,
) -> DeployError {
    DeployError::Unpromoted(Box::new(Unpromoted {
        environment: environment.name.clone(),
        branch: branch.cloned(),
        commit,
        deployment: deployment.clone(),
        why,
    }))
}

/// Of one-time jobs that run again those that count: what was kept is the claim of whoever can push, and a job that has failed
/// half-way is to be looked at first. Where base says who may approve (`is_believed` is false) only what is given again does.
fn believed(kept: &[String], given: &[String], is_believed: bool) -> Vec<String> {
    let mut jobs = if is_believed { kept.to_vec() } else { Vec::new() };
    for job in given {
        if !jobs.contains(job) {
            jobs.push(job.clone());
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_jobs_run_again_is_said_again_where_base_says_who_may_approve() {
        let (kept, given) =
            (["migrate".to_owned(), "index".to_owned()], ["index".to_owned(), "tidy".to_owned()]);
        assert_eq!(believed(&kept, &given, true), ["migrate", "index", "tidy"]);
        assert_eq!(believed(&kept, &given, false), ["index", "tidy"]);
        assert_eq!(believed(&kept, &[], false), [""; 0]);
    }
}
