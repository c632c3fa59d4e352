//! Going through the phases of a claimed deployment until there is a verdict.
//!
//! Which action follows is decided by [`crate::deployment::next`]; here each is carried out, and every phase is written
//! into the attempt, together with the lock, before the next begins.

use std::cell::RefCell;
use std::rc::Rc;

use super::claim::Claimed;
use super::context::images_of;
use super::keeping::{Heart, Keeper};
use super::undecided::Silences;
use super::{Context, DeployError, Deployer, Errand, Verdict};
use crate::approval::NotApproved;
use crate::attempt::Attempt;
use crate::candidate::Candidate;
use crate::config::deploy_toml::Environment;
use crate::deployment::{Action, Blame, Close, Event, Failure, Phase, next};
use crate::environment::kept::KeptFiles;
use crate::environment::{Driver, Images, Standing, Work};
use crate::git::Identity;
use crate::git::notes::{Notes, NotesEdit};
use crate::ids::{CommitId, RefName};
use crate::land::Change;
use crate::ledger::{Outcome, Skip};
use crate::note::Note;
use crate::ops::approve::{self, Past};
use crate::ops::hold::queue_hold;
use crate::ops::sync::SyncError;
use crate::ops::transact::{Transacted, Transactor};
use crate::ops::view::View;
use crate::state::{Decision, State};

/// A claimed deployment on its way.
pub(super) struct Run<'a> {
    pub(super) deployer: &'a Deployer<'a>,
    pub(super) context: &'a Context<'a>,
    pub(super) driver: Rc<dyn Driver + 'a>,
    pub(super) claimed: Claimed,
    /// How it came to it: another driver is made the same way.
    pub(super) errand: Errand,
    /// How often it was applied.
    pub(super) applied: u32,
    /// How often the environment did not answer.
    pub(super) silences: Silences,
    /// What is skipped, as far as that may be believed.
    pub(super) skip: Option<Skip>,
    /// Whether going back is meant, if that is what it does: not only by whoever wrote the claim.
    pub(super) back_is_meant: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        deployer: &'a Deployer<'a>,
        context: &'a Context<'a>,
        claimed: Claimed,
        errand: Errand,
    ) -> Result<Self, DeployError> {
        let driver = Rc::from(context.driver(&claimed.environment, errand).map_err(DeployError::Plan)?);
        Ok(Self { errand, ..Self::with(deployer, context, claimed, driver) })
    }

    /// With the driver that was asked before the claim.
    pub(super) fn with(
        deployer: &'a Deployer<'a>,
        context: &'a Context<'a>,
        claimed: Claimed,
        driver: Rc<dyn Driver + 'a>,
    ) -> Self {
        let skip = claimed.attempt.skip.clone();
        let errand = Errand::Asked;
        Self {
            deployer,
            context,
            driver,
            claimed,
            errand,
            applied: 0,
            silences: Silences::default(),
            skip,
            back_is_meant: true,
        }
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.claimed.attempt
    }

    pub(super) fn say(&self, verb: &str, what: &str) {
        self.deployer.observer.step(verb, &format!("{}{what}", self.attempt().id));
    }

    /// Remembers it as what this clone is about, before anything comes of it.
    fn remember(&self) -> Result<(), DeployError> {
        self.deployer.remember(self.attempt(), self.back_is_meant)
    }

    /// Goes on from the phase that the attempt has reached.
    pub(super) fn resume(self) -> Result<Verdict, DeployError> {
        // A verdict that could not be pushed when it was found is pushed as it is.
        if let Some((tag, close, finished)) = self.pending_verdict()? {
            self.remember()?;
            self.say("Pushing", ": the verdict that was found while the remote was away");
            return self.write_close(close, tag, finished);
        }
        let phase = self.attempt().phase;
        // What has not begun is asked for its branch before it does.
        let is_asked = phase == Phase::Claimed && self.attempt().branch.is_some();
        if phase != Phase::Finished && !is_asked {
            self.check_claim()?;
        }
        self.drive(Event::TakenUp(phase))
    }

    /// Why what was claimed is not approved by the rules of base, if it is not: whoever can push can write an attempt, and
    /// say that it has come far already. What was withdrawn in time is found out besides.
    pub(super) fn unapproved(&self) -> Result<Option<String>, DeployError> {
        let (attempt, view, base_tip) = (self.attempt(), &self.context.view, self.context.base_tip);
        let Some(rules) = &self.context.rules else { return Ok(None) };
        let (repository, candidate) = (self.deployer.repository, attempt.candidate);
        if repository.is_ancestor(candidate, base_tip)? || self.goes_back()? {
            return Ok(None);
        }
        if let Some(why) = self.demoted()? {
            return Ok(Some(why));
        }
        let Some(branch) = &attempt.branch else {
            return Ok(Some("its commit is of no branch, and not on base".to_owned()));
        };
        let note = view.notes.get(candidate)?;
        if let Some(why) = note.as_ref().and_then(|note| taken_back(branch, note)) {
            return Ok(Some(why));
        }
        let judged = match note {
            Some(note) => {
                let past = Past { notes: &view.notes, has_landed: &view.has_landed() };
                approve::judge(repository, rules, &past, base_tip, (branch, candidate), &note)?
            }
            None => Err(NotApproved::Unsigned),
        };
        Ok(judged.err().map(|why| why.to_string()))
    }

    /// Ends it as aborted, unless it has a verdict already.
    pub(super) fn abort(mut self) -> Result<Verdict, DeployError> {
        // Whoever takes this over must not believe that it was wanted here.
        self.back_is_meant = false;
        match self.pending_verdict()? {
            Some((tag, close, finished)) => self.write_close(close, tag, finished),
            None => self.drive(Event::AbortAsked),
        }
    }

    /// Takes the environment, and hears what an earlier run had found out there.
    pub(super) fn begin(&mut self) -> Result<Option<Close>, DeployError> {
        if self.attempt().phase == Phase::Finished {
            return Ok(None);
        }
        let driver = Rc::clone(&self.driver);
        let (back_to, retry_jobs) = (self.attempt().rollback.clone(), self.attempt().retry_jobs.clone());
        let standing = Standing { back_to, retry_jobs, ..self.context.standing(&self.claimed.environment)? };
        let (id, candidate) = (self.attempt().id.clone(), Candidate::of_attempt(self.attempt()));
        let custody = Keeper { context: self.context, run: &self.attempt().run, id: Some(&id) };
        let identity = self.deployer.repository.identity()?;
        let work =
            Work { id: &id, candidate: &candidate, identity: &identity, pulse: self.deployer.interrupt };
        let cluster = driver.begin(work, &standing, &custody).map_err(DeployError::from)?;
        let found = driver.verdict_before(&id).map_err(DeployError::Plan)?;
        // Written with the next phase.
        self.claimed.attempt.cluster = cluster.or_else(|| self.claimed.attempt.cluster.take());
        Ok(self.found().or(found))
    }

    /// Has the driver do something that may take long, and keeps our locks alive meanwhile.
    pub(super) fn with_driver<T>(
        &mut self,
        act: impl FnOnce(&dyn Driver, Work<'_>) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>, DeployError> {
        let driver = Rc::clone(&self.driver);
        let (id, candidate) = (self.attempt().id.clone(), Candidate::of_attempt(self.attempt()));
        let identity = self.deployer.repository.identity()?;
        let heart = Heart::new(self);
        let done =
            act(driver.as_ref(), Work { id: &id, candidate: &candidate, identity: &identity, pulse: &heart });
        heart.stopped().map_or(Ok(done), Err)
    }

    /// Carries out what follows from an event, and what follows from that, until there is a verdict.
    pub(super) fn drive(mut self, first: Event) -> Result<Verdict, DeployError> {
        self.remember()?;
        let found = match self.begin() {
            // Somebody wants an end of it: an environment that cannot be asked must not be in the way.
            Err(DeployError::Plan(failure)) if first == Event::AbortAsked => {
                return self.abort_unasked(&failure);
            }
            found => self.or_let_go(found.map_err(|error| self.left_open(error)))?,
        };
        let mut event = found.map_or(first, Event::FoundBefore);
        loop {
            let reached = self.attempt().phase;
            event = match next(reached, event) {
                Action::Apply => self.step(Self::apply)?,
                Action::Verify => self.step(Self::verify)?,
                Action::Land => self.step(Self::land)?,
                Action::Close(close) => return self.close(close),
                Action::Leave(failure) => self.outlast(failure)?,
                Action::Done => {
                    self.end(Outcome::Success)?;
                    return Ok(self.verdict(Outcome::Success, None, false));
                }
            };
            if self.attempt().phase > reached {
                self.silences.gets_on();
            }
        }
    }

    /// Ends it for a fault of the branch that was found before the environment was taken, which is not touched.
    pub(super) fn refuse(self, failure: Failure) -> Result<Verdict, DeployError> {
        self.remember()?;
        match next(self.attempt().phase, Event::Failed(failure)) {
            Action::Close(close) => self.close(close),
            // It is taken up as what a run that died has left.
            _ => self.resume(),
        }
    }

    /// Takes one step, unless the user asked to stop before it. A step that failed because Ctrl-C reached the programs
    /// that it had started, too, was interrupted.
    fn step(&mut self, step: fn(&mut Self) -> Result<Event, DeployError>) -> Result<Event, DeployError> {
        let done = self.check_interrupt().and_then(|()| step(self)).or_else(|error| {
            self.check_interrupt()?;
            Err(error)
        });
        self.recorded_or_let_go(done)
    }

    /// Writes as who runs, at the moment of writing.
    pub(super) fn transactor<'b>(&'b self, identity: &'b Identity) -> Transactor<'b> {
        Transactor { identity, ..self.context.transactor() }
    }

    /// Gives the environment back.
    pub(super) fn end(&mut self, outcome: Outcome) -> Result<(), DeployError> {
        let ended = self.with_driver(|driver, work| {
            driver.end(work, outcome);
            Ok(())
        });
        // The verdict stands whatever comes of it.
        ended.map(drop)
    }

    pub(super) fn verdict(self, outcome: Outcome, close: Option<Close>, only_here: bool) -> Verdict {
        let again = close.as_ref().is_some_and(|close| close.again);
        let hint = close.as_ref().and_then(|close| close.hint.clone());
        // What it became by the verdict, unless somebody has decided something else.
        let branch = self.attempt().branch.as_ref().filter(|_| !only_here);
        let view = View::new(self.deployer.repository).ok();
        let branch = view.zip(branch).and_then(|(view, branch)| view.authority_branch(branch).ok().flatten());
        let state = branch.map(|branch| branch.state());
        let attempt = Attempt {
            blame: close.as_ref().map(|close| close.blame),
            timed_out: close.as_ref().is_some_and(|close| close.timed_out),
            left: close.as_ref().and_then(|close| close.left.clone()),
            reason: close.map(|close| close.reason),
            ..self.claimed.attempt
        };
        Verdict { only_here, again, hint, state, ..Verdict::of(attempt, outcome) }
    }

    /// Finds the images of the candidate, which were made before it got its number. What hinders that now is nobody's fault,
    /// and whoever takes the attempt up again tries it again.
    fn prepare_images(&mut self, environment: &Environment) -> Result<Result<(), Failure>, DeployError> {
        let (context, commit) = (self.context, self.attempt().candidate);
        let rollback = self.attempt().rollback.clone();
        // What was applied by then stays what it was, whatever a registry says now, or does not say.
        let (recorded, is_applied) = (self.attempt().images.clone(), self.attempt().rendered.is_some());
        let verified = self.verified_before()?;
        let prepared = self.with_driver(|_, work| {
            let renderer = context.renderer_for(environment, rollback.as_ref())?;
            let images = if is_applied { Images::Recorded(&recorded) } else { images_of(&verified) };
            renderer.prepare(commit, images, work.pulse)
        })?;
        match prepared {
            Err(failure) if failure.blame == Blame::Nobody && self.attempt().phase == Phase::Claimed => {
                Err(DeployError::Plan(failure))
            }
            prepared => Ok(prepared.map(drop)),
        }
    }

    /// Renders, asks the rules, and brings the environment to the result.
    fn apply(&mut self) -> Result<Event, DeployError> {
        self.applied += 1;
        let environment = self.claimed.environment.clone();
        self.say("Rendering", "");
        let commit = self.attempt().candidate;
        let (context, base) = (self.context, self.attempt().base);
        let rollback = self.attempt().rollback.clone();
        // Before images are asked for: whoever is no longer to be deployed waits for no registry.
        if self.attempt().phase == Phase::Claimed
            && let Some(reason) =
                self.may_not_begin()?.map_or_else(|| self.withdrawn(), |why| Ok(Some(why)))?
        {
            return Ok(Event::Withdrawn(reason));
        }
        if rollback.is_none() {
            context.warn_if_set_back(&environment, self.attempt());
        }
        if let Err(failure) = self.prepare_images(&environment)? {
            return Ok(Event::Failed(failure));
        }
        let rendered =
            self.with_driver(|_, _| context.render(&environment, rollback.as_ref(), commit, base))?;
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(failure) => return Ok(Event::Failed(failure)),
        };
        let planned = self.with_driver(|driver, work| {
            driver.plan(&rendered, &|| context.of_base(&environment, commit, base), work.pulse)?;
            let kept = driver.keep(work, &rendered)?;
            Ok((kept, driver.kept_changes(work.id, kept)?))
        })?;
        let (kept, changes) = match planned {
            Ok(planned) => planned,
            Err(failure) => return Ok(Event::Failed(failure)),
        };
        rendered.warnings.iter().for_each(|warning| self.deployer.observer.warn(warning));
        let images = rendered.images.clone();
        let began =
            Attempt { phase: Phase::Applying, images, rendered: Some(kept), ..self.attempt().clone() };
        if let Some(reason) = self.begin_applying(began, changes)? {
            return Ok(Event::Withdrawn(reason));
        }
        self.say("Applying", &format!(" to {}", environment.name));
        Ok(match self.with_driver(|driver, work| driver.apply(work, &rendered))? {
            Ok(()) => Event::Applied,
            Err(failure) => Event::Failed(failure),
        })
    }

    /// Writes that the environment is being changed: the last moment at which a withdrawal counts, and why there is one. It
    /// stands in the candidate's note, too, so that the notes' own compare-and-swap decides who was first, and whoever
    /// withdraws later can be told.
    fn begin_applying(&mut self, began: Attempt, kept: Vec<Change>) -> Result<Option<String>, DeployError> {
        if self.attempt().phase > Phase::Claimed {
            self.record(began, kept)?;
            return Ok(None);
        }
        self.deployer.fetch().map_err(|error| self.not_recorded(error.to_string()))?;
        self.check_interrupt()?;
        if let Some(why) = self.may_not_begin()? {
            return Ok(Some(why));
        }
        let withdrawn = RefCell::new(None);
        let (deployer, attempt) = (self.deployer, self.attempt().clone());
        let edit = |notes: &Notes<'_>| {
            let mut edit = NotesEdit { message: format!("{}: applying", attempt.id), ..NotesEdit::default() };
            let Some(branch) = &attempt.branch else { return Ok(edit) };
            *withdrawn.borrow_mut() = withdrawal(deployer, branch, attempt.candidate)?;
            if let Some(note) = notes.get(attempt.candidate)?.filter(|_| withdrawn.borrow().is_none()) {
                let deployment = Some(attempt.id.clone());
                edit.set(attempt.candidate, &Note { deployment, result: None, ..note });
            }
            Ok(edit)
        };
        let gone = || withdrawn.borrow().is_some();
        self.write(began, kept, edit, gone)?;
        Ok(withdrawn.into_inner())
    }

    /// Why the approval is gone, if it is.
    fn withdrawn(&self) -> Result<Option<String>, DeployError> {
        if let Some(why) = self.demoted()? {
            return Ok(Some(why));
        }
        let Some(branch) = &self.attempt().branch else { return Ok(None) };
        Ok(withdrawal(self.deployer, branch, self.attempt().candidate)?)
    }

    /// What is to be said of an approval that was taken back when the candidate was on its way already.
    pub(super) fn withdrawn_late(&self) -> Result<Option<String>, DeployError> {
        Ok(self.withdrawn()?.map(|reason| format!("{reason} when it was on its way: that came too late")))
    }

    fn verify(&mut self) -> Result<Event, DeployError> {
        self.say("Verifying", "");
        let Some(kept) = self.attempt().rendered else { return Ok(Event::TakenUp(Phase::Applying)) };
        let environment = self.claimed.environment.clone();
        let context = self.context;
        let rollback = self.attempt().rollback.is_some();
        let again = KeptFiles { repository: self.deployer.repository, kept, images: Vec::new() };
        let verified = self.with_driver(|driver, work| match rollback {
            true => driver.verify(work, kept, &again),
            false => driver.verify(work, kept, context.renderer(&environment)?.as_ref()),
        })?;
        if let Err(failure) = verified {
            return Ok(Event::Failed(failure));
        }
        match self.record(Attempt { phase: Phase::Verified, ..self.attempt().clone() }, Vec::new()) {
            Ok(()) => Ok(Event::Verified),
            // Whoever takes it up again verifies it again; what a person has to know is that it is ready.
            Err(DeployError::NotRecorded { why, .. }) => Err(self.not_landed(why)),
            Err(error) => Err(error),
        }
    }

    /// Writes the attempt, together with every lock that we hold: whoever lost one cannot write any more.
    pub(super) fn record(&mut self, attempt: Attempt, others: Vec<Change>) -> Result<(), DeployError> {
        self.write(attempt, others, |_| Ok(NotesEdit::default()), || false)
    }

    /// The same with an edit of the notes, unless that finds out that nothing is to be written.
    fn write(
        &mut self,
        attempt: Attempt,
        others: Vec<Change>,
        edit: impl Fn(&Notes<'_>) -> Result<NotesEdit, SyncError>,
        is_off: impl Fn() -> bool,
    ) -> Result<(), DeployError> {
        let written = self.context.write_attempt(&attempt)?.0;
        let mut changes = self.moved_locks()?;
        changes.extend(others);
        changes.push(Change::update(attempt.id.attempt(), Some(self.claimed.attempt_at), written));
        let all = |notes: Option<Change>| match is_off() {
            true => Vec::new(),
            false => notes.into_iter().chain(changes.iter().cloned()).collect(),
        };
        let label = format!("{}: {}", attempt.id, attempt.phase);
        let identity = self.deployer.repository.identity()?;
        match self.transactor(&identity).transact(&label, edit, all)? {
            Transacted::Done if is_off() => Ok(()),
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
            Transacted::Refused(why) | Transacted::Unable(why) => Err(self.not_recorded(why)),
        }
    }

    pub(super) fn not_recorded(&self, why: String) -> DeployError {
        DeployError::NotRecorded { id: self.attempt().id.clone(), phase: self.attempt().phase, why }
    }

    fn moved_locks(&self) -> Result<Vec<Change>, DeployError> {
        let held = [Some(&self.claimed.lock), self.claimed.base_lock.as_ref()];
        let mut changes = Vec::new();
        for (name, at) in held.into_iter().flatten() {
            let new = self.context.write_lock(&self.attempt().run, Some(&self.attempt().id))?;
            changes.push(Change::update(name.clone(), Some(*at), new.0));
        }
        Ok(changes)
    }
}

/// Who took a branch out of the queue again, and why, if somebody did.
fn taken_back(branch: &RefName, note: &Note) -> Option<String> {
    let made =
        note.decision().filter(|made| *made != Decision::Deployable && note.speaks_for(branch, true))?;
    let by = note.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = note.message.as_ref().or(note.reason.as_ref()).map(|why| format!(": {why}"));
    let (short, to) = (branch.short(), State::from(made));
    Some(format!("'{short}' was set to {to}{by}{}", why.unwrap_or_default()))
}

/// Whether an approval is gone: the branch has moved, or its state has changed.
pub(super) fn withdrawal(
    deployer: &Deployer<'_>,
    name: &RefName,
    candidate: CommitId,
) -> Result<Option<String>, SyncError> {
    let view = View::new(deployer.repository).map_err(|error| SyncError::View(Box::new(error)))?;
    let branch = view.authority_branch(name).map_err(|error| SyncError::View(Box::new(error)))?;
    let short = name.short();
    if let Some(hold) = queue_hold(deployer.repository, &view.settings)? {
        return Ok(Some(format!("the queue was held by {}: {}", hold.by, hold.reason)));
    }
    Ok(match branch {
        None => Some(format!("branch '{short}' was deleted")),
        Some(branch) if branch.tip != candidate => Some(format!("branch '{short}' was moved")),
        // What base has got meanwhile lands as it is.
        Some(branch) if branch.noted() != State::Deployable => {
            Some(format!("branch '{short}' was set to {}", branch.noted()))
        }
        Some(branch) if branch.hold().is_some() => Some(format!("branch '{short}' was put on hold")),
        Some(branch) => {
            let unapproved = view.not_approved(&branch).map_err(|error| SyncError::View(Box::new(error)))?;
            unapproved.map(|why| format!("branch '{short}' is not approved: {why}"))
        }
    })
}
