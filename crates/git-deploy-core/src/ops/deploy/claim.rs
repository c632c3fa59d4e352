//! Claiming a number: the attempt, the lock, the notes and the rebased branch in one transaction; and taking over what a
//! run that died has claimed.

use super::locks::new_run;
use super::pick::Pick;
use super::{Context, DeployError};
use crate::attempt::{Attempt, base_lock, environment_lock};
use crate::config::deploy_toml::Environment;
use crate::config::deploy_toml_of;
use crate::deployment::Phase;
use crate::git::notes::{Notes, NotesEdit, notes_ref};
use crate::ids::{CommitId, DeploymentId, ObjectId, RefName};
use crate::land::{Change, Claim};
use crate::ops::Interrupted;
use crate::ops::approve::kept;
use crate::ops::sweep::on_top_of;
use crate::ops::transact::Transacted;
use crate::ops::under_way::{self, attempts};

/// A number that is ours, and the lock that goes with it.
#[must_use]
pub(super) struct Claimed {
    /// What was claimed for what.
    pub(super) attempt: Attempt,
    /// The environment, as base's `deploy.toml` has it now.
    pub(super) environment: Environment,
    /// Where the attempt's ref stands.
    pub(super) attempt_at: ObjectId,
    /// The lock of the environment, and where it stands.
    pub(super) lock: (RefName, ObjectId),
    /// The lock of base, once it is held.
    pub(super) base_lock: Option<(RefName, ObjectId)>,
}

impl Context<'_> {
    /// Claims the next number for a candidate. `None`: others were faster, everything is to be looked at anew.
    pub(super) fn claim(&self, pick: &Pick) -> Result<Option<Claimed>, DeployError> {
        let run = new_run();
        let id = self.next_id(&pick.environment)?;
        let lock = self.take(environment_lock(&pick.environment.name)?, &run, Some(&id))?;
        let attempt = self.attempt_for(pick, id, run)?;
        let attempt_at = self.write_attempt(&attempt)?;
        let (approved, candidate) = (pick.candidate.approved(), pick.candidate.commit());
        let rebased = pick.candidate.branch().filter(|_| approved != candidate);
        let claim = Claim {
            lock: lock.clone(),
            attempt: Change::create(attempt.id.attempt(), attempt_at.0),
            branch: rebased.map(|branch| Change::update(branch.clone(), Some(approved.0), candidate.0)),
        };
        // Read again at every try: whoever withdrew the approval meanwhile is heard, and nothing is written over.
        let withdrawn = std::cell::Cell::new(false);
        let edit = |notes: &Notes<'_>| {
            let mut edit = NotesEdit { message: format!("{}: claimed", attempt.id), ..NotesEdit::default() };
            let Some(branch) = pick.candidate.branch() else { return Ok(edit) };
            let note =
                crate::ops::copied::own_note(notes, approved)?.filter(|note| note.speaks_for(branch, true));
            let note = note.filter(|note| pick.candidate.is_approved_by(note));
            withdrawn.set(note.is_none());
            if let Some(note) = note.filter(|_| approved != candidate) {
                let carried = note.carried(approved, pick.candidate.base(), &pick.dropped);
                edit.set(candidate, &on_top_of(notes, (approved, &note), (candidate, carried))?);
            }
            Ok(edit)
        };
        let kept = self.kept_for(pick)?;
        let changes = |notes| match withdrawn.get() {
            true => Vec::new(),
            false => kept.iter().cloned().chain(claim.clone().changes(notes)).collect(),
        };
        let stood = self.claimed_upon()?;
        match self.transactor().transact(&format!("{}: claim", attempt.id), edit, changes)? {
            Transacted::Done if withdrawn.get() => return self.claim_lost(&claim),
            Transacted::Done => {}
            Transacted::Moved(_) => return self.claim_lost(&claim),
            Transacted::Refused(_) if self.claimed_upon()? != stood => return self.claim_lost(&claim),
            Transacted::Refused(why) => return Err(DeployError::Forbidden(why)),
            Transacted::Unable(why) => return Err(self.unanswered(attempt.id, why)),
        }
        let lock_at = lock.new.unwrap_or(attempt_at.0);
        Ok(Some(Claimed {
            attempt,
            environment: pick.environment.clone(),
            attempt_at: attempt_at.0,
            lock: (lock.name, lock_at),
            base_lock: None,
        }))
    }

    /// What is known of a claim that could not be made: whoever asked us to stop has stopped the push, too, which may have
    /// arrived all the same.
    fn unanswered(&self, id: DeploymentId, why: String) -> DeployError {
        match self.deployer.interrupt.check() {
            Err(Interrupted { signal }) if self.view.settings.remote.is_some() => {
                DeployError::Interrupted { signal, id: Some(id), phase: None }
            }
            _ => DeployError::NotClaimed(why),
        }
    }

    /// Where base and the notes stand, which a claim is made upon: a server takes none upon what stands there no more.
    fn claimed_upon(&self) -> Result<[Option<ObjectId>; 2], DeployError> {
        let transactor = self.transactor();
        Ok([transactor.resolve(&self.view.settings.base)?, transactor.resolve(&notes_ref())?])
    }

    /// What keeps the approved commit of a branch that is rebased with the claim.
    fn kept_for(&self, pick: &Pick) -> Result<Vec<Change>, DeployError> {
        let (approved, candidate) = (pick.candidate.approved(), pick.candidate.commit());
        let note = if approved == candidate { None } else { self.view.notes.get(approved)? };
        let place = |name: &RefName| self.view.settings.authority(name);
        Ok(kept::keeping(self.repository(), place, note.as_ref())?)
    }

    /// What to do when a claim met somebody else's move. Without a remote the lock may be ours already: it is given back
    /// unless the attempt stands, which the next look finds and ends.
    fn claim_lost(&self, claim: &Claim) -> Result<Option<Claimed>, DeployError> {
        let (lock, attempt) = (&claim.lock, &claim.attempt);
        let ours = self.view.settings.remote.is_none()
            && self.repository().resolve(&lock.name)? == lock.new
            && self.repository().resolve(&attempt.name)? != attempt.new;
        if let (true, Some(held)) = (ours, lock.new) {
            let give_back = Change::delete(lock.name.clone(), held);
            let nothing = |_: &Notes<'_>| Ok(NotesEdit::default());
            self.transactor().transact("give back the lock", nothing, |_| vec![give_back.clone()])?;
        }
        Ok(None)
    }

    fn attempt_for(&self, pick: &Pick, id: DeploymentId, run: String) -> Result<Attempt, DeployError> {
        Ok(Attempt {
            id,
            environment: pick.environment.name.clone(),
            branch: pick.candidate.branch().cloned(),
            candidate: pick.candidate.commit(),
            approved: pick.candidate.approved(),
            base: pick.candidate.base(),
            previous: self
                .view
                .ledger()?
                .latest_success(&pick.environment.name)
                .map(|latest| latest.id.clone()),
            started: self.identity.time(),
            by: self.identity.who().to_owned(),
            run,
            phase: Phase::Claimed,
            images: pick.passage.images.clone(),
            rendered: None,
            outcome: None,
            blame: None,
            reason: None,
            left: None,
            timed_out: false,
            again: false,
            hint: None,
            rollback: pick.rollback.clone(),
            cluster: None,
            skip: pick.passage.skip.clone(),
            approved_by: pick.passage.approved.as_ref().map(|approved| approved.by.clone()),
            approved_deployment: pick.passage.approved.as_ref().map(|approved| approved.deployment.clone()),
            retry_jobs: pick.passage.retry_jobs.clone(),
            unknown: Vec::new(),
        })
    }

    /// Makes the commit that the attempt's ref leads to.
    pub(super) fn write_attempt(&self, attempt: &Attempt) -> Result<CommitId, DeployError> {
        Ok(self.repository().write_record(&self.identity, attempt.parents(), &attempt.to_text())?)
    }

    /// Takes over the deployment that another run left without a verdict: its attempt, and its locks if that run is
    /// dead. `None`: there is none. One that somebody works on is in the way only of the same environment; `wanted` is the
    /// one that the user named.
    pub(super) fn take_over_open_attempt(
        &self,
        wanted: Option<&str>,
        passed_over: &[DeploymentId],
    ) -> Result<Option<Claimed>, DeployError> {
        for (id, at) in attempts(&self.view)? {
            let Some(attempt) = self.attempt(&id)?.filter(|attempt| attempt.phase != Phase::Finished) else {
                continue;
            };
            if passed_over.contains(&id) {
                continue;
            }
            let elsewhere = wanted.is_some_and(|wanted| wanted != attempt.environment.as_str());
            if !elsewhere {
                return self.take_over(attempt, at.0).map(Some);
            }
            match self.take_over_at_once(attempt, at.0) {
                Err(DeployError::Locked { .. }) => {}
                taken => return taken.map(Some),
            }
        }
        Ok(None)
    }

    /// An attempt as it stands where it counts.
    pub(super) fn attempt(&self, id: &DeploymentId) -> Result<Option<Attempt>, DeployError> {
        Ok(under_way::attempt(&self.view, id)?)
    }

    /// Takes an attempt over, or sees who holds all that it takes.
    fn take_over(&self, attempt: Attempt, attempt_at: ObjectId) -> Result<Claimed, DeployError> {
        let (id, environment) = (attempt.id.clone(), self.environment_of(&attempt));
        let taken = self.take_over_at_once(attempt, attempt_at);
        if let (Err(DeployError::Locked { .. }), Ok(environment)) = (&taken, environment) {
            self.watch_environment(&environment, Some(&id));
        }
        taken
    }

    fn take_over_at_once(&self, attempt: Attempt, attempt_at: ObjectId) -> Result<Claimed, DeployError> {
        let run = new_run();
        let base_name = base_lock()?;
        let (lock, base_change) = self.take_locks_of(&attempt, &run)?;
        let environment = self.environment_of(&attempt)?;
        let attempt = Attempt { run, ..attempt };
        let written = self.write_attempt(&attempt)?.0;
        let moves = Change::update(attempt.id.attempt(), Some(attempt_at), written);
        let changes: Vec<Change> =
            [Some(lock.clone()), base_change.clone(), Some(moves)].into_iter().flatten().collect();
        let label = format!("{}: take over", attempt.id);
        match self.transactor().transact(&label, |_| Ok(NotesEdit::default()), |_| changes.clone())? {
            Transacted::Done => {}
            Transacted::Moved(_) => return Err(DeployError::LostLock(attempt.id)),
            Transacted::Refused(why) | Transacted::Unable(why) => {
                return Err(DeployError::NotRecorded { phase: attempt.phase, id: attempt.id, why });
            }
        }
        let held = |change: Change| change.new.map(|new| (change.name, new));
        Ok(Claimed {
            environment,
            attempt_at: written,
            lock: held(lock).unwrap_or((base_name, written)),
            base_lock: base_change.and_then(held),
            attempt,
        })
    }

    /// The moves that take the locks of a deployment: that of base only if somebody has it.
    fn take_locks_of(&self, attempt: &Attempt, run: &str) -> Result<(Change, Option<Change>), DeployError> {
        let base_name = base_lock()?;
        let is_held = self.transactor().resolve(&base_name)?.is_some();
        let lock = self.take(environment_lock(&attempt.environment)?, run, Some(&attempt.id));
        // Looked at whatever the first one is: whoever died with both is watched for both from now on.
        let base_change = is_held.then(|| self.take(base_name, run, Some(&attempt.id))).transpose();
        Ok((lock?, base_change?))
    }

    /// The environment of a deployment.
    fn environment_of(&self, attempt: &Attempt) -> Result<Environment, DeployError> {
        let name = attempt.environment.as_str();
        if let Some(environment) = self.deploy_toml.environment(name) {
            return Ok(environment.clone());
        }
        // Base may have given it up since: what was claimed can still be ended as it was begun.
        let then = deploy_toml_of(self.repository(), attempt.base, &attempt.base.short(10))?;
        then.and_then(|then| then.environment(name).cloned()).ok_or_else(|| DeployError::NoEnvironment {
            name: name.to_owned(),
            known: self.deploy_toml.environments().iter().map(|known| known.name.to_string()).collect(),
        })
    }
}
