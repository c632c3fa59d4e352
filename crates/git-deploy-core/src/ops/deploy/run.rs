//! Going through the phases of a claimed deployment until there is a verdict.
//!
//! Which action follows is decided by [`crate::deployment::next`]; here each is carried out, and every phase is written
//! into the attempt, together with the lock, before the next begins.

use jiff::Timestamp;

use super::claim::Claimed;
use super::verdict::{Finding, entry, failed_note, landed_note, noted_commits, recorded};
use super::{Context, DeployError, Deployer, Verdict};
use crate::attempt::{Attempt, base_lock};
use crate::candidate::Candidate;
use crate::deployment::{Action, Blame, Close, Event, Failure, Phase, next};
use crate::environment::Work;
use crate::git::Identity;
use crate::git::notes::{Notes, NotesEdit};
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::ids::{ObjectId, RefName};
use crate::land::{Change, Verdict as Landing, base_change};
use crate::ledger::Outcome;
use crate::ops::sync::SyncError;
use crate::ops::transact::{Transacted, Transactor};
use crate::ops::view::View;
use crate::state::State;

/// How often landing is tried again because the environment's own refs moved.
const APPLY_TRIES: u32 = 5;

/// A claimed deployment on its way.
pub(super) struct Run<'a> {
    deployer: &'a Deployer<'a>,
    context: &'a Context<'a>,
    claimed: Claimed,
    applied: u32,
}

impl<'a> Run<'a> {
    pub(super) fn new(deployer: &'a Deployer<'a>, context: &'a Context<'a>, claimed: Claimed) -> Self {
        Self { deployer, context, claimed, applied: 0 }
    }

    fn attempt(&self) -> &Attempt {
        &self.claimed.attempt
    }

    fn say(&self, verb: &str, what: &str) {
        self.deployer.observer.step(verb, &format!("{}{what}", self.attempt().id));
    }

    /// Goes on from the phase that the attempt has reached.
    pub(super) fn resume(self) -> Result<Verdict, DeployError> {
        self.deployer.remember(&self.attempt().id)?;
        // A verdict that could not be pushed when it was found is pushed as it is.
        if let Some((tag, close, finished)) = self.pending_verdict()? {
            self.say("Pushing", ": the verdict that was found while the remote was away");
            return self.write_close(close, tag, finished);
        }
        let phase = self.phase()?;
        self.drive(Event::TakenUp(phase))
    }

    /// Ends it as aborted, unless it has a verdict already.
    pub(super) fn abort(self) -> Result<Verdict, DeployError> {
        match self.pending_verdict()? {
            Some((tag, close, finished)) => self.write_close(close, tag, finished),
            None => self.drive(Event::AbortAsked),
        }
    }

    fn phase(&self) -> Result<Phase, DeployError> {
        let driver = self.context.driver(&self.claimed.environment).map_err(DeployError::Plan)?;
        let kept = driver.phase(&self.attempt().id).map_err(DeployError::Plan)?;
        Ok(kept.unwrap_or(self.attempt().phase))
    }

    /// Carries out what follows from an event, and what follows from that, until there is a verdict.
    pub(super) fn drive(mut self, first: Event) -> Result<Verdict, DeployError> {
        self.deployer.remember(&self.attempt().id)?;
        let mut event = first;
        loop {
            event = match next(self.attempt().phase, event) {
                Action::Apply => self.step(Self::apply)?,
                Action::Verify => self.step(Self::verify)?,
                Action::Land => self.step(Self::land)?,
                Action::Close(close) => return self.close(close),
                Action::Done => return Ok(self.success()),
            };
        }
    }

    /// Takes one step, unless the user asked to stop before it. A step that failed because Ctrl-C reached the programs
    /// that it had started, too, was interrupted.
    fn step(&mut self, step: fn(&mut Self) -> Result<Event, DeployError>) -> Result<Event, DeployError> {
        self.check_interrupt()?;
        step(self).or_else(|error| {
            self.check_interrupt()?;
            Err(error)
        })
    }

    fn check_interrupt(&self) -> Result<(), DeployError> {
        self.deployer.interrupt.check().map_err(|interrupted| DeployError::Interrupted {
            signal: interrupted.signal,
            id: Some(self.attempt().id.clone()),
            phase: Some(self.attempt().phase),
        })
    }

    /// Writes as who runs, at the moment of writing.
    fn transactor<'b>(&'b self, identity: &'b Identity) -> Transactor<'b> {
        Transactor { identity, ..self.context.transactor() }
    }

    fn success(self) -> Verdict {
        self.verdict(Outcome::Success, None, false)
    }

    fn verdict(self, outcome: Outcome, close: Option<Close>, only_here: bool) -> Verdict {
        let again = close.as_ref().is_some_and(|close| close.again);
        let attempt = Attempt {
            blame: close.as_ref().map(|close| close.blame),
            reason: close.map(|close| close.reason),
            ..self.claimed.attempt
        };
        Verdict { only_here, again, ..Verdict::of(attempt, outcome) }
    }

    /// Renders, asks the rules, and brings the environment to the result.
    fn apply(&mut self) -> Result<Event, DeployError> {
        self.applied += 1;
        if self.attempt().phase == Phase::Claimed
            && let Some(reason) = self.withdrawn()?
        {
            return Ok(Event::Withdrawn(reason));
        }
        match self.apply_rendered() {
            Ok(Ok(())) => Ok(Event::Applied),
            Ok(Err(failure)) => Ok(Event::Failed(failure)),
            Err(error) => Err(error),
        }
    }

    fn apply_rendered(&mut self) -> Result<Result<(), Failure>, DeployError> {
        let context = self.context;
        let environment = self.claimed.environment.clone();
        let candidate = Candidate::of_attempt(self.attempt());
        self.say("Rendering", "");
        let planned = context.driver(&environment).and_then(|driver| {
            let rendered = context.renderer(&environment)?.render(candidate.commit())?;
            driver.plan(&rendered)?;
            Ok((driver, rendered))
        });
        let (driver, rendered) = match planned {
            Ok(planned) => planned,
            Err(failure) => return Ok(Err(failure)),
        };
        rendered.warnings.iter().for_each(|warning| self.deployer.observer.warn(warning));
        let began =
            Attempt { phase: Phase::Applying, images: rendered.images.clone(), ..self.attempt().clone() };
        self.record(began, Vec::new())?;
        self.say("Applying", &format!(" to {}", environment.name));
        let identity = self.deployer.repository.identity()?;
        let id = self.attempt().id.clone();
        let work = Work { id: &id, candidate: &candidate, identity: &identity };
        let applied = driver.apply(work, &rendered);
        let kept = applied.and_then(|applied| Ok((applied, driver.applied_changes(&id, applied)?)));
        match kept {
            Ok((applied, changes)) => {
                self.record(Attempt { rendered: Some(applied), ..self.attempt().clone() }, changes)?;
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Whether the approval is gone: the branch has moved, or its state has changed.
    fn withdrawn(&self) -> Result<Option<String>, DeployError> {
        let Some(name) = &self.attempt().branch else { return Ok(None) };
        // The last moment at which a withdrawal counts: what happened since the claim is asked for once more.
        self.deployer.fetch().map_err(|error| DeployError::NotRecorded {
            id: self.attempt().id.clone(),
            phase: self.attempt().phase,
            why: error.to_string(),
        })?;
        let view = View::new(self.deployer.repository)?;
        let tip = view.repository.tip(&view.settings.authority(name))?;
        match tip {
            None => Ok(Some(format!("branch '{}' was deleted", name.short()))),
            Some(tip) if tip != self.attempt().candidate => {
                Ok(Some(format!("branch '{}' was moved", name.short())))
            }
            Some(tip) => {
                let state = view.notes.get(tip)?.map_or(State::Development, |note| note.state);
                let reason = || format!("branch '{}' was set to {state}", name.short());
                Ok((state != State::Deployable).then(reason))
            }
        }
    }

    /// What is to be said of an approval that was taken back when the candidate was on its way already.
    fn withdrawn_late(&self) -> Result<Option<String>, DeployError> {
        let Some(branch) = &self.attempt().branch else { return Ok(None) };
        let note = self.deployer.repository.notes()?.get(self.attempt().candidate)?;
        let state = note.map_or(State::Development, |note| note.state);
        let late =
            || format!("'{}' was set to {state} when it was on its way: that came too late", branch.short());
        Ok((state != State::Deployable).then(late))
    }

    fn verify(&mut self) -> Result<Event, DeployError> {
        self.say("Verifying", "");
        let context = self.context;
        let environment = self.claimed.environment.clone();
        let candidate = Candidate::of_attempt(self.attempt());
        let identity = self.deployer.repository.identity()?;
        let id = self.attempt().id.clone();
        let work = Work { id: &id, candidate: &candidate, identity: &identity };
        let Some(applied) = self.attempt().rendered else { return Ok(Event::TakenUp(Phase::Applying)) };
        let verified = context.driver(&environment).and_then(|driver| {
            let renderer = context.renderer(&environment)?;
            driver.verify(work, applied, renderer.as_ref())
        });
        if let Err(failure) = verified {
            return Ok(Event::Failed(failure));
        }
        self.record(Attempt { phase: Phase::Verified, ..self.attempt().clone() }, Vec::new())?;
        Ok(Event::Verified)
    }

    /// Writes the attempt, together with every lock that we hold: whoever lost one cannot write any more.
    fn record(&mut self, attempt: Attempt, others: Vec<Change>) -> Result<(), DeployError> {
        let context = self.context;
        let written = context.write_attempt(&attempt)?.0;
        let mut changes = self.moved_locks()?;
        changes.extend(others);
        changes.push(Change::update(attempt.id.attempt(), Some(self.claimed.attempt_at), written));
        let label = format!("{}: {}", attempt.id, attempt.phase);
        let identity = self.deployer.repository.identity()?;
        match self.transactor(&identity).transact(
            &label,
            |_| Ok(NotesEdit::default()),
            |_| changes.clone(),
        )? {
            Transacted::Done => {
                let new_of = |name: &RefName| changes.iter().find(|change| change.name == *name)?.new;
                let held = [Some(&mut self.claimed.lock), self.claimed.base_lock.as_mut()];
                for (name, at) in held.into_iter().flatten() {
                    *at = new_of(name).unwrap_or(*at);
                }
                self.claimed.attempt_at = written;
                self.claimed.attempt = attempt;
                Ok(())
            }
            Transacted::Moved(_) => Err(DeployError::LostLock(attempt.id)),
            Transacted::Refused(why) | Transacted::Unable(why) => {
                let phase = self.attempt().phase;
                Err(DeployError::NotRecorded { id: attempt.id, phase, why })
            }
        }
    }

    fn moved_locks(&self) -> Result<Vec<Change>, DeployError> {
        let held = [Some(&self.claimed.lock), self.claimed.base_lock.as_ref()];
        let mut changes = Vec::new();
        for (name, at) in held.into_iter().flatten() {
            let new = self.context.write_lock(&self.attempt().run, &self.attempt().id)?;
            changes.push(Change::update(name.clone(), Some(*at), new.0));
        }
        Ok(changes)
    }

    /// Takes the lock of base, moving the attempt and the other lock along.
    fn lock_base(&mut self) -> Result<(), DeployError> {
        if self.claimed.base_lock.is_some() || !self.claimed.environment.lands {
            return Ok(());
        }
        let name = base_lock()?;
        let change = self.context.take(name.clone(), &self.attempt().run, &self.attempt().id);
        let change = change.map_err(|error| self.not_landed(error.to_string()))?;
        let held = change.new;
        self.record(self.attempt().clone(), vec![change])
            .map_err(|error| self.not_landed(error.to_string()))?;
        self.claimed.base_lock = held.map(|held| (name, held));
        Ok(())
    }

    fn not_landed(&self, why: String) -> DeployError {
        DeployError::NotLanded { id: self.attempt().id.clone(), why }
    }

    /// Moves base, notes, tag, attempt and locks, all at once where there is a remote.
    fn land(&mut self) -> Result<Event, DeployError> {
        self.lock_base()?;
        self.say("Landing", "");
        let Some(applied) = self.attempt().rendered else { return Ok(Event::TakenUp(Phase::Applying)) };
        let identity = self.deployer.repository.identity()?;
        let finding = Finding { who: identity.who(), time: identity.time() };
        let deployment = entry(self.attempt(), Outcome::Success, None, &finding);
        let tag = self.context.write_tag(&identity, &deployment)?;
        let Ok(base) = self.base_move()? else { return Ok(Event::BaseMoved) };
        let environment = self
            .context
            .driver(&self.claimed.environment)
            .and_then(|driver| driver.landing_changes(applied))
            .map_err(|failure| self.not_landed(failure.reason))?;
        let rendered: Vec<RefName> = environment.iter().map(|change| change.name.clone()).collect();
        let landing = self.landing(Outcome::Success, None, tag, base, environment)?;
        let (attempt, lands) = (self.attempt().clone(), self.claimed.environment.lands);
        let edit = |notes: &Notes<'_>| {
            let mut edit = NotesEdit {
                message: format!("{}: successfully deployed", attempt.id),
                ..NotesEdit::default()
            };
            edit.set(attempt.candidate, &landed_note(notes.get(attempt.candidate)?, &attempt, lands));
            if attempt.approved != attempt.candidate {
                edit.set(
                    attempt.approved,
                    &recorded(notes.get(attempt.approved)?, &attempt, Outcome::Success),
                );
            }
            Ok(edit)
        };
        let label = format!("{}: land", attempt.id);
        let late = self.withdrawn_late()?;
        match self.transactor(&identity).transact(&label, edit, |notes| landing.clone().changes(notes))? {
            Transacted::Done => {
                late.iter().for_each(|late| self.deployer.observer.warn(late));
                Ok(Event::Landed)
            }
            Transacted::Moved(moved) => self.landing_moved(&moved, &rendered),
            Transacted::Refused(why) | Transacted::Unable(why) => Err(self.not_landed(why)),
        }
    }

    /// Somebody moved a ref that landing was to move.
    fn landing_moved(&mut self, moved: &[RefName], rendered: &[RefName]) -> Result<Event, DeployError> {
        if moved.contains(&self.context.view.settings.base) {
            return Ok(Event::BaseMoved);
        }
        // Somebody else committed to the branch of rendered files: ours is made anew upon that.
        if moved.iter().all(|name| rendered.contains(name)) && self.applied < APPLY_TRIES {
            return Ok(Event::TakenUp(Phase::Applying));
        }
        let names: Vec<&str> = moved.iter().map(RefName::short).collect();
        Err(self.not_landed(format!("{} moved meanwhile", names.join(", "))))
    }

    /// How base has to move: not at all if it contains the candidate or nothing lands here. The error says that base is
    /// no longer where the candidate stands on.
    fn base_move(&self) -> Result<Result<Option<Change>, ()>, DeployError> {
        if !self.claimed.environment.lands {
            return Ok(Ok(None));
        }
        let view = View::new(self.deployer.repository)?;
        let tip = view.settings.base_tip(view.repository)?;
        let candidate = self.attempt().candidate;
        if view.repository.is_ancestor(candidate, tip)? {
            return Ok(Ok(None));
        }
        if !view.repository.is_ancestor(tip, candidate)? {
            return Ok(Err(()));
        }
        Ok(Ok(base_change(view.settings.base, tip, candidate)))
    }

    fn landing(
        &self,
        outcome: Outcome,
        close: Option<&Close>,
        tag: ObjectId,
        base: Option<Change>,
        environment: Vec<Change>,
    ) -> Result<Landing, DeployError> {
        let attempt = self.attempt();
        let finished = Attempt {
            phase: Phase::Finished,
            outcome: Some(outcome),
            blame: close.map(|close| close.blame),
            reason: close.map(|close| close.reason.clone()),
            ..attempt.clone()
        };
        let written = self.context.write_attempt(&finished)?.0;
        let held = [Some(&self.claimed.lock), self.claimed.base_lock.as_ref()];
        Ok(Landing {
            base,
            environment,
            tag: Change::create(attempt.id.tag(), tag),
            attempt: Change::update(attempt.id.attempt(), Some(self.claimed.attempt_at), written),
            locks: held.into_iter().flatten().map(|(name, at)| Change::delete(name.clone(), *at)).collect(),
        })
    }

    /// Goes back where something was changed, and writes a verdict other than success.
    fn close(self, mut close: Close) -> Result<Verdict, DeployError> {
        if close.outcome == Outcome::Aborted
            && self.attempt().phase == Phase::Verified
            && self.candidate_landed()?
        {
            return Err(DeployError::TooLate(self.attempt().id.clone()));
        }
        let identity = self.deployer.repository.identity()?;
        if close.restore
            && let Err(failure) = self.restore(&identity)
        {
            self.deployer.observer.warn(&format!("going back failed: {failure}"));
            close.reason = format!("{}; going back failed: {}", close.reason, failure.reason);
            close.blame = Blame::Nobody;
        }
        let finding = Finding { who: identity.who(), time: identity.time() };
        let deployment = entry(self.attempt(), close.outcome, Some(close.reason.clone()), &finding);
        let tag = self.context.write_tag(&identity, &deployment)?;
        self.write_close(close, tag, deployment.finished)
    }

    /// Whether base has the candidate already, so that there is nothing left to abort.
    fn candidate_landed(&self) -> Result<bool, DeployError> {
        let attempt = self.attempt();
        // A commit that was on base before says nothing.
        let was_there = self.deployer.repository.is_ancestor(attempt.candidate, attempt.base)?;
        Ok(self.claimed.environment.lands && !was_there && matches!(self.base_move()?, Ok(None)))
    }

    fn restore(&self, identity: &Identity) -> Result<(), Failure> {
        let candidate = Candidate::of_attempt(self.attempt());
        let work = Work { id: &self.attempt().id, candidate: &candidate, identity };
        self.context.driver(&self.claimed.environment)?.restore(work, None)
    }

    fn write_close(self, close: Close, tag: ObjectId, finished: Timestamp) -> Result<Verdict, DeployError> {
        let landing = self.landing(close.outcome, Some(&close), tag, None, Vec::new())?;
        let attempt = self.attempt().clone();
        let finding = Finding { who: self.context.identity.who(), time: finished };
        let edit = |notes: &Notes<'_>| failure_notes(notes, &attempt, &close, &finding);
        let label = format!("{}: close", attempt.id);
        let identity = self.deployer.repository.identity()?;
        let transacted =
            self.transactor(&identity).transact(&label, edit, |notes| landing.clone().changes(notes));
        match transacted? {
            Transacted::Done => Ok(self.verdict(close.outcome, Some(close), false)),
            Transacted::Unable(why) | Transacted::Refused(why) => {
                self.deployer.observer.warn(&format!("the verdict is only here as yet: {why}"));
                self.keep_here(&landing)?;
                Ok(self.verdict(close.outcome, Some(close), true))
            }
            Transacted::Moved(moved) => {
                let names: Vec<&str> = moved.iter().map(RefName::short).collect();
                let why = format!("{} moved meanwhile", names.join(", "));
                let phase = self.claimed.attempt.phase;
                Err(DeployError::NotRecorded { id: self.claimed.attempt.id, phase, why })
            }
        }
    }

    /// Keeps the verdict here while the remote is away; the next run pushes it.
    fn keep_here(&self, landing: &Landing) -> Result<(), DeployError> {
        let repository = self.deployer.repository;
        let seen = repository.resolve(&landing.attempt.name)?;
        let attempt = RefUpdate { old: Expected::seen(seen), ..landing.attempt.as_update() };
        match repository.update_refs(&[landing.tag.as_update(), attempt], "deploy: verdict") {
            Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
            Err(RefsError::Git(error)) => Err(error.into()),
        }
    }

    /// The verdict that was kept here while the remote was away, if the attempt is still open there.
    fn pending_verdict(&self) -> Result<Option<(ObjectId, Close, Timestamp)>, DeployError> {
        let (repository, id) = (self.deployer.repository, &self.attempt().id);
        if self.context.view.settings.remote.is_none() {
            return Ok(None);
        }
        let (Some(tag), Some(kept)) = (repository.resolve(&id.tag())?, repository.tip(&id.attempt())?) else {
            return Ok(None);
        };
        let text = repository.commit(kept)?.message_text();
        let kept =
            Attempt::parse(id.clone(), &text).ok().filter(|kept| kept.candidate == self.attempt().candidate);
        let deployments = &self.context.view.ledger()?.deployments;
        let deployment = deployments.iter().find(|deployment| deployment.id == *id);
        let (Some(kept), Some(deployment)) = (kept, deployment) else { return Ok(None) };
        let (Some(outcome @ (Outcome::Failure | Outcome::Aborted)), Some(blame)) = (kept.outcome, kept.blame)
        else {
            return Ok(None);
        };
        let reason = kept.reason.unwrap_or_default();
        let close = Close { outcome, blame, reason, restore: false, again: false };
        Ok(Some((tag, close, deployment.finished)))
    }
}

/// The notes of a verdict other than success.
fn failure_notes(
    notes: &Notes<'_>,
    attempt: &Attempt,
    close: &Close,
    finding: &Finding<'_>,
) -> Result<NotesEdit, SyncError> {
    let subject = if close.outcome == Outcome::Aborted { "aborted" } else { "failed" };
    let mut edit =
        NotesEdit { message: format!("{}: {subject}: {}", attempt.id, close.reason), ..NotesEdit::default() };
    let standing: Vec<_> = noted_commits(attempt)
        .into_iter()
        .map(|commit| notes.get(commit).map(|note| (commit, note)))
        .collect::<Result<_, _>>()?;
    let highest =
        standing.iter().filter_map(|(_, note)| note.as_ref()).map(|note| note.rev).max().unwrap_or(0);
    for (commit, note) in standing {
        edit.set(commit, &failed_note(note, attempt, close, highest, finding));
    }
    Ok(edit)
}
