//! The end of a deployment: landing, or a verdict other than success.

use jiff::Timestamp;

use super::run::Run;
use super::verdict::{
    Finding, entry, failed_note, landed_note, noted_commits, recorded, taken_back, used_up,
};
use super::{Context, DeployError, Verdict};
use crate::attempt::{Attempt, base_lock};
use crate::deployment::{Blame, Close, Event, Failure, Phase};
use crate::environment::{Previous, Restored};
use crate::git::notes::{Notes, NotesEdit};
use crate::git::object::{Kind, parse_tag};
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::ids::{ObjectId, RefName};
use crate::land::{Change, Verdict as Landing, base_change};
use crate::ledger::{Deployment, Outcome};
use crate::note::Note;
use crate::ops::sync::SyncError;
use crate::ops::transact::Transacted;
use crate::ops::view::View;
use crate::state::State;
use crate::sync::NoteTexts;

/// How often landing is tried again because the environment's own refs moved.
const APPLY_TRIES: u32 = 5;

impl Run<'_> {
    /// Takes the lock of base, moving the attempt and the other lock along.
    fn lock_base(&mut self) -> Result<(), DeployError> {
        if self.claimed.base_lock.is_some() || !self.claimed.environment.lands {
            return Ok(());
        }
        let name = base_lock()?;
        let change = self.context.take(name.clone(), &self.attempt().run, Some(&self.attempt().id));
        let change = change.map_err(|error| self.not_landed(error.to_string()))?;
        let held = change.new;
        self.record(self.attempt().clone(), vec![change])
            .map_err(|error| self.not_landed(error.to_string()))?;
        self.claimed.base_lock = held.map(|held| (name, held));
        Ok(())
    }

    pub(super) fn not_landed(&self, why: String) -> DeployError {
        DeployError::NotLanded { id: self.attempt().id.clone(), why }
    }

    /// Moves base, notes, tag, attempt and locks, all at once where there is a remote.
    pub(super) fn land(&mut self) -> Result<Event, DeployError> {
        self.lock_base()?;
        self.say("Landing", "");
        // Base may have moved, or have been moved back, since the candidate was made.
        self.deployer.fetch().map_err(|error| self.not_landed(error.to_string()))?;
        let Some(applied) = self.attempt().rendered else { return Ok(Event::TakenUp(Phase::Applying)) };
        let identity = self.deployer.repository.identity()?;
        let finding = Finding { who: identity.who(), time: identity.time() };
        let deployment = entry(self.attempt(), Outcome::Success, None, &finding);
        let tag = self.context.write_tag(&identity, &deployment)?;
        let Ok(base) = self.base_move()? else { return self.base_moved() };
        if let Some(why) = self.lost_approval()? {
            return Err(self.not_landed(why));
        }
        let environment =
            self.driver.landing_changes(applied).map_err(|failure| self.not_landed(failure.reason))?;
        let rendered: Vec<RefName> = environment.iter().map(|change| change.name.clone()).collect();
        let landing = self.landing(Outcome::Success, None, tag, base, environment)?;
        let (attempt, lands) = (self.attempt().clone(), self.claimed.environment.lands);
        let edit = |notes: &Notes<'_>| {
            let mut edit = NotesEdit {
                message: format!("{}: successfully deployed", attempt.id),
                ..NotesEdit::default()
            };
            let landed = landed_note(notes.get(attempt.candidate)?, &attempt, lands);
            edit.set(attempt.candidate, &landed);
            if attempt.approved != attempt.candidate {
                edit.set(
                    attempt.approved,
                    &recorded(notes.get(attempt.approved)?, &attempt, Outcome::Success),
                );
            }
            if lands {
                let line = notes.rebased_from(&landed)?;
                used_up(&line, &attempt).iter().for_each(|(commit, note)| edit.set(*commit, note));
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

    /// Why the approval of a branch that is deployable still does not hold any more. A withdrawal comes too late, a signature
    /// that was never there does not.
    fn lost_approval(&self) -> Result<Option<String>, DeployError> {
        let (candidate, view) = (self.attempt().candidate, View::new(self.deployer.repository)?);
        let Some(name) = &self.attempt().branch else { return Ok(None) };
        let branch = view.authority_branch(name)?.filter(|branch| branch.tip == candidate);
        let why = branch.map(|branch| view.not_approved(&branch)).transpose()?.flatten();
        Ok(why.map(|why| format!("branch '{}' is not approved: {why}", name.short())))
    }

    /// Somebody moved a ref that landing was to move.
    fn landing_moved(&mut self, moved: &[RefName], rendered: &[RefName]) -> Result<Event, DeployError> {
        if moved.contains(&self.context.view.settings.base) {
            return self.base_moved();
        }
        // Somebody else committed to the branch of rendered files: ours is made anew upon that.
        if moved.iter().all(|name| rendered.contains(name)) && self.applied < APPLY_TRIES {
            return Ok(Event::TakenUp(Phase::Applying));
        }
        let names: Vec<&str> = moved.iter().map(RefName::short).collect();
        Err(self.not_landed(format!("{} moved meanwhile", names.join(", "))))
    }

    /// Base is no longer where the candidate stands on: whether it can be deployed at once under the next number.
    fn base_moved(&self) -> Result<Event, DeployError> {
        self.deployer.fetch().map_err(|error| self.not_landed(error.to_string()))?;
        let context = Context::new(self.deployer)?;
        let branch = self.attempt().branch.as_ref();
        let branch = branch.map(|branch| context.view.authority_branch(branch)).transpose()?.flatten();
        let rebases = match branch.filter(|branch| branch.state() == State::Deployable) {
            // Elsewhere it would begin anew in the environment before, or wait for somebody, and stand here meanwhile.
            Some(branch) => {
                let (environment, skip) = (&self.claimed.environment, self.skip.as_ref());
                context.goes_straight_to(environment, skip) && context.rebases(&branch)?
            }
            None => false,
        };
        Ok(Event::BaseMoved { rebases })
    }

    /// How base has to move: not at all if it contains the candidate or nothing lands here. The error says that base is
    /// no longer where the candidate stands on.
    fn base_move(&self) -> Result<Result<Option<Change>, ()>, DeployError> {
        // Going back is of the environment alone: base keeps what it has, whatever was deployed then.
        if !self.claimed.environment.lands || self.attempt().rollback.is_some() {
            return Ok(Ok(None));
        }
        let view = View::new(self.deployer.repository)?;
        let tip = view.settings.base_tip(view.repository)?;
        let candidate = self.attempt().candidate;
        if view.repository.is_ancestor(candidate, tip)? {
            return Ok(Ok(None));
        }
        // Also where it was moved back: what was taken from it must not come again with the candidate.
        if tip != self.attempt().base {
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
            timed_out: close.is_some_and(|close| close.timed_out),
            again: false,
            hint: None,
            reason: close.map(|close| close.reason.clone()),
            left: close.and_then(|close| close.left.clone()),
            ..attempt.clone()
        };
        let written = self.context.write_attempt(&finished)?.0;
        let held = [Some(&self.claimed.lock), self.claimed.base_lock.as_ref()];
        Ok(Landing {
            base,
            environment,
            tag: self.tag_change(outcome, tag)?,
            attempt: Change::update(attempt.id.attempt(), Some(self.claimed.attempt_at), written),
            locks: held.into_iter().flatten().map(|(name, at)| Change::delete(name.clone(), *at)).collect(),
        })
    }

    /// The tag, which must be new. One that an earlier run of this very attempt made stays as it is.
    fn tag_change(&self, outcome: Outcome, tag: ObjectId) -> Result<Change, DeployError> {
        let (repository, attempt) = (self.deployer.repository, self.attempt());
        let Some(standing) = self.context.transactor().resolve(&attempt.id.tag())? else {
            return Ok(Change::create(attempt.id.tag(), tag));
        };
        let object = repository.find(standing)?.filter(|object| object.kind == Kind::Tag);
        let message = object.and_then(|object| parse_tag(&object.data).ok()).map(|(_, message)| message);
        let deployment = message.and_then(|message| Deployment::parse(attempt.id.clone(), &message).ok());
        match deployment {
            Some(ours) if ours.commit == attempt.candidate && ours.outcome == outcome => {
                Ok(Change::update(attempt.id.tag(), Some(standing), standing))
            }
            _ => Err(DeployError::TagTaken(attempt.id.clone())),
        }
    }

    /// Goes back where something was changed, and writes a verdict other than success.
    pub(super) fn close(mut self, mut close: Close) -> Result<Verdict, DeployError> {
        if close.outcome == Outcome::Aborted
            && self.attempt().phase == Phase::Verified
            && self.candidate_landed()?
        {
            return Err(DeployError::TooLate(self.attempt().id.clone()));
        }
        if close.restore {
            match self.restore_or_leave(&mut close) {
                // An end that a person has asked for, as below.
                Err(error @ DeployError::NotRecorded { .. }) => return Err(error),
                restored => self.or_let_go(restored)?,
            }
        }
        let identity = self.deployer.repository.identity()?;
        let finding = Finding { who: identity.who(), time: identity.time() };
        let deployment = entry(self.attempt(), close.outcome, Some(&close), &finding);
        let tag = self.context.write_tag(&identity, &deployment)?;
        self.write_close(close, tag, deployment.finished)
    }

    /// Whether base has the candidate already, so that there is nothing left to abort.
    pub(super) fn candidate_landed(&self) -> Result<bool, DeployError> {
        let attempt = self.attempt();
        // A commit that was on base before says nothing.
        let was_there = self.deployer.repository.is_ancestor(attempt.candidate, attempt.base)?;
        let lands = self.claimed.environment.lands && attempt.rollback.is_none();
        Ok(lands && !was_there && matches!(self.base_move()?, Ok(None)))
    }

    /// Has the environment go back, and says in the verdict what became of it. What an environment that could not be asked
    /// comes to is returned.
    pub(super) fn restore(&mut self, close: &mut Close) -> Result<Option<Failure>, DeployError> {
        let previous = match self.attempt().previous.clone() {
            Some(id) => self
                .context
                .kept(&self.claimed.environment, &id)
                .map(|kept| kept.map(|kept| Previous { id, kept })),
            None => Ok(None),
        };
        let (found, failed, before) =
            (close.clone(), self.attempt().rendered, self.attempt().previous.clone());
        let restored = match (previous, before) {
            // A ledger without the bytes, as in a copy of the tags alone, makes no first deployment of it.
            (Ok(None), Some(before)) => {
                Ok(Restored::Left(format!("what {before} had applied is not kept in this repository")))
            }
            (Ok(previous), _) => {
                self.with_driver(|driver, work| driver.restore(work, previous.as_ref(), failed, &found))?
            }
            (Err(failure), _) => Err(failure),
        };
        match restored {
            Ok(Restored::Back) => {}
            Err(failure) if failure.undecided => return Ok(Some(failure)),
            Ok(Restored::Left(why)) => {
                self.deployer.observer.warn(&format!("the environment was left as it is: {why}"));
                leave(close, format!("left as it is: {why}"));
            }
            Err(failure) => self.not_gone_back(close, &failure),
        }
        Ok(None)
    }

    /// Says in the verdict that the environment did not go back.
    pub(super) fn not_gone_back(&self, close: &mut Close, failure: &Failure) {
        self.deployer.observer.warn(&format!("going back failed: {failure}"));
        leave(close, format!("not gone back from: {}", failure.reason));
        close.blame = Blame::Nobody;
        if self.attempt().previous.is_some() {
            close.hint = Some(self.way_back_later(close.hint.take()));
        }
    }

    /// What to do where going back failed, beside what was to be said before.
    fn way_back_later(&self, hint: Option<String>) -> String {
        let before = hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
        let environment = &self.claimed.environment;
        let named = if environment.lands { String::new() } else { format!(" --env={}", environment.name) };
        format!("{before}when the cause is gone, go back with: git deploy{named} --rollback")
    }

    pub(super) fn write_close(
        mut self,
        close: Close,
        tag: ObjectId,
        finished: Timestamp,
    ) -> Result<Verdict, DeployError> {
        let landing = self.landing(close.outcome, Some(&close), tag, None, Vec::new())?;
        let attempt = self.attempt().clone();
        let finding = Finding { who: self.context.identity.who(), time: finished };
        let edit = |notes: &Notes<'_>| failure_notes(notes, &attempt, &close, &finding);
        let label = format!("{}: close", attempt.id);
        let identity = self.deployer.repository.identity()?;
        let transacted =
            self.transactor(&identity).transact(&label, edit, |notes| landing.clone().changes(notes));
        match transacted? {
            Transacted::Done => {
                self.forget_kept()?;
                self.end(close.outcome)?;
                Ok(self.verdict(close.outcome, Some(close), false))
            }
            // What was asked for by a person can be asked for again; nobody must be told that it is done, nor go on with it
            // before they could ask: what is held is not given back.
            Transacted::Unable(why) | Transacted::Refused(why) if close.outcome == Outcome::Aborted => {
                Err(self.not_recorded(why))
            }
            Transacted::Unable(why) | Transacted::Refused(why) => {
                self.deployer.observer.warn(&format!("the verdict is only here as yet: {why}"));
                self.keep_here(&landing)?;
                self.end(close.outcome)?;
                Ok(self.verdict(close.outcome, Some(close), true))
            }
            Transacted::Moved(moved) => {
                let names: Vec<&str> = moved.iter().map(RefName::short).collect();
                let why = format!("{} moved meanwhile", names.join(", "));
                self.let_go();
                Err(self.not_recorded(why))
            }
        }
    }

    /// Keeps the verdict here while the remote is away; the next run pushes it.
    fn keep_here(&self, landing: &Landing) -> Result<(), DeployError> {
        let repository = self.deployer.repository;
        let seen = repository.resolve(&landing.attempt.name)?;
        let attempt = RefUpdate { old: Expected::seen(seen), ..landing.attempt.as_update() };
        // The tag alone would be taken for somebody's.
        for update in [attempt, landing.tag.as_update()] {
            match repository.update_refs(&[update], "deploy: verdict") {
                Ok(()) | Err(RefsError::Moved(_)) => {}
                Err(RefsError::Git(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Forgets what was kept here while the remote was away, now that the remote has it.
    fn forget_kept(&self) -> Result<(), DeployError> {
        let (repository, name) = (self.deployer.repository, self.attempt().id.attempt());
        let kept = repository.resolve(&name)?.filter(|_| self.context.view.settings.remote.is_some());
        let Some(kept) = kept else { return Ok(()) };
        match repository
            .update_refs(&[RefUpdate { name, old: Expected::At(kept), new: None }], "deploy: verdict")
        {
            Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
            Err(RefsError::Git(error)) => Err(error.into()),
        }
    }

    /// The verdict that was kept here while the remote was away, if the attempt is still open there.
    pub(super) fn pending_verdict(&self) -> Result<Option<(ObjectId, Close, Timestamp)>, DeployError> {
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
        let deployment = self.context.view.ledger()?.find(id);
        let (Some(kept), Some(deployment)) = (kept, deployment) else { return Ok(None) };
        let (Some(outcome @ (Outcome::Failure | Outcome::Aborted)), Some(blame)) = (kept.outcome, kept.blame)
        else {
            return Ok(None);
        };
        let reason = kept.reason.unwrap_or_default();
        let close = Close {
            outcome,
            blame,
            reason,
            left: kept.left,
            restore: false,
            again: false,
            timed_out: kept.timed_out,
            hint: None,
        };
        Ok(Some((tag, close, deployment.finished)))
    }
}

/// Says for people and for programs that an environment did not go back.
pub(super) fn leave(close: &mut Close, left: String) {
    close.reason = format!("{}; {left}", close.reason);
    close.left = Some(left);
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
    let seen: Vec<&Note> = standing.iter().filter_map(|(_, note)| note.as_ref()).collect();
    for (commit, note) in &standing {
        let (commit, note) = (*commit, note.clone());
        let failed = failed_note(note, attempt, close, &seen, finding);
        edit.set(commit, &failed);
        let mut line = notes.rebased_from(&failed)?;
        line.retain(|before, _| !edit.edits.contains_key(before));
        for (before, text) in &mut line {
            let landed = Note::parse(text).ok();
            if let Some(back) = landed.and_then(|note| taken_back(&note, attempt)) {
                edit.set(*before, &back);
                *text = back.to_string().into_bytes();
            }
        }
        line.insert(commit, failed.to_string().into_bytes());
        let ended = crate::sync::missing(&line, &NoteTexts::new());
        edit.edits.extend(ended.into_iter().map(|(commit, text)| (commit, Some(text))));
    }
    Ok(edit)
}
