//! Working the queue off: turn after turn, once or for as long as it is wanted.
//!
//! What follows from a turn is decided by [`crate::runner`]. What a runner does with its own hands - start a deployment, wait,
//! tell - is [`Hands`]: those of a program that starts others, or of a simulation in which all are one process.

use std::time::Duration;

use crate::config::{ConfigError, Settings, deploy_toml_of};
use crate::git::{GitError, Ref, Repository};
use crate::ids::CommitId;
use crate::machine;
use crate::ops::deploy::{Hold, holds, keeps_for_a_while};
use crate::ops::sweep::{Fate, Outcome, SweepError, sweep_authority};
use crate::ops::sync::{self, SyncError};
use crate::ops::under_way::under_way;
use crate::ops::view::{View, ViewError};
use crate::ops::{Interrupt, Interrupted, Observer};
use crate::queue::Place;
use crate::runner::{End, Next, Runner, Turn, Upkeep};

/// What a runner does with its own hands. As an observer it is told the steps on the way.
pub trait Hands: Observer {
    /// Why a turn came to nothing.
    type Error: From<ConfigError>
        + From<GitError>
        + From<SyncError>
        + From<SweepError>
        + From<ViewError>
        + From<Interrupted>;

    /// Opens the repository, anew for each turn: what is configured may have changed.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    fn open(&self) -> Result<Repository, Self::Error>;

    /// Whether it is to end.
    fn interrupt(&self) -> &Interrupt;

    /// Deploys the head of the queue, or ends what another run has left behind.
    ///
    /// # Errors
    /// When there can be no deployment at all.
    fn deploy(&self, repository: &Repository) -> Result<Turn, Self::Error>;

    /// Deletes what is no longer wanted and was kept for long enough.
    ///
    /// # Errors
    /// When nothing could be looked at.
    fn tidy(&self) -> Result<Tidying<Self::Error>, Self::Error> {
        Ok(Tidying { next: None, undone: None })
    }

    /// Lets time go by. Returns whether somebody wants it to look now.
    ///
    /// # Errors
    /// When it is to end.
    fn wait(&self, time: Duration) -> Result<bool, Interrupted>;

    /// Whether an error is nobody's fault, and may be gone when it is tried again.
    fn may_pass(&self, error: &Self::Error) -> bool;

    /// Told what happens between deployments.
    fn happened(&self, event: Event<'_, Self::Error>);
}

/// What came of deleting what was kept for long enough.
#[derive(Debug)]
pub struct Tidying<E> {
    /// In how long there will be something to do again, where that is known.
    pub next: Option<Duration>,
    /// Why not all could be looked at or deleted.
    pub undone: Option<E>,
}

/// What happens between deployments.
#[derive(Debug)]
pub enum Event<'a, E> {
    /// A branch was rebased, or became broken.
    Swept(&'a Outcome),
    /// A branch stays in the queue of which nothing can be taken.
    Left(&'a Place),
    /// A turn came to nothing, and is tried again. Why the last one did is what the work ends with.
    Failed(&'a E),
    /// What was kept for long enough is not all gone, or could not be looked at. It is tried again without telling it again.
    Untidied(&'a E),
    /// It is tried again after so long.
    Again(Duration),
    /// A turn met nothing that hinders it.
    Unhindered,
}

/// How the queue was worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Why it is over.
    pub end: End,
    /// Whether a branch has failed or is broken.
    pub has_failed: bool,
    /// Those that are still in the queue where nothing can be taken from it, in its order.
    pub left: Vec<Place>,
    /// What holds the queue, where that is why it is over.
    pub held: Vec<Hold>,
    /// Whether what was kept for long enough is not all gone, or could not be looked at.
    pub is_untidy: bool,
}

/// Works the queue off, as the runner has it.
///
/// # Errors
/// What kept the last turn from coming to anything.
pub fn work_off<H: Hands>(hands: &H, runner: Runner) -> Result<Finished, H::Error> {
    let work = Work {
        hands,
        swept: None,
        idle: None,
        held: Vec::new(),
        left: Vec::new(),
        has_failed: false,
        upkeep: Upkeep::default(),
        is_untidy: false,
    };
    work.until_it_ends(runner)
}

struct Work<'a, H> {
    hands: &'a H,
    /// The tip of base that branches were last rebased on.
    swept: Option<CommitId>,
    /// All refs as they stood when nothing could be taken from the queue.
    idle: Option<Vec<Ref>>,
    /// What held the queue then.
    held: Vec<Hold>,
    /// Who was in the queue then.
    left: Vec<Place>,
    has_failed: bool,
    /// When it looks for what was kept for long enough.
    upkeep: Upkeep,
    /// Whether that failed when it was last tried.
    is_untidy: bool,
}

impl<H: Hands> Work<'_, H> {
    fn until_it_ends(mut self, mut runner: Runner) -> Result<Finished, H::Error> {
        loop {
            self.hands.interrupt().check()?;
            let (turn, error) = match self.turn() {
                Ok(turn) => (turn, None),
                Err(error) => {
                    self.hands.interrupt().check()?;
                    let may_pass = self.hands.may_pass(&error) || self.is_base_mistaken();
                    let turn = if may_pass { Turn::Trouble } else { Turn::Unusable };
                    (turn, Some(error))
                }
            };
            self.has_failed |= matches!(turn, Turn::Failed(_));
            // Who is to end tries nothing again.
            if turn == Turn::Trouble {
                self.hands.interrupt().check()?;
            }
            if self.held.is_empty() && self.upkeep.is_due(&turn, machine::uptime()) {
                self.tidy()?;
            }
            match runner.after(&turn) {
                Next::Turn => self.hands.happened(Event::Unhindered),
                Next::Wait(time) => {
                    self.hands.happened(Event::Unhindered);
                    self.wait(time)?;
                }
                Next::Again(time) => {
                    error.iter().for_each(|error| self.hands.happened(Event::Failed(error)));
                    self.hands.happened(Event::Again(time));
                    self.wait(time)?;
                }
                Next::End(end) => {
                    let Self { has_failed, left, held, is_untidy, .. } = self;
                    return error.map_or(Ok(Finished { end, has_failed, left, held, is_untidy }), Err);
                }
            }
        }
    }

    fn wait(&mut self, time: Duration) -> Result<(), H::Error> {
        if self.hands.wait(time)? {
            // Whoever wakes it may know more than refs say.
            self.forget();
        }
        Ok(())
    }

    /// Deletes what was kept for long enough, where an environment keeps anything. What hinders that is told once, blames
    /// nobody, and keeps nothing from being deployed.
    fn tidy(&mut self) -> Result<(), H::Error> {
        let nothing = Tidying { next: None, undone: None };
        let keeps = self.keeps_for_a_while();
        let tidied = keeps.and_then(|keeps| if keeps { self.hands.tidy() } else { Ok(nothing) });
        let Tidying { next, undone } =
            tidied.unwrap_or_else(|error| Tidying { next: None, undone: Some(error) });
        let now = machine::uptime();
        match undone {
            None => {
                self.upkeep.done(now, next);
                self.is_untidy = false;
            }
            Some(error) => {
                self.hands.interrupt().check()?;
                if !self.is_untidy {
                    self.hands.happened(Event::Untidied(&error));
                }
                self.upkeep.failed(now, next);
                self.is_untidy = true;
            }
        }
        Ok(())
    }

    fn keeps_for_a_while(&self) -> Result<bool, H::Error> {
        let repository = self.hands.open()?;
        let settings = Settings::read(&repository)?;
        let base = settings.base_tip(&repository)?;
        let deploy_toml = deploy_toml_of(&repository, base, settings.base.short())?;
        Ok(deploy_toml.is_some_and(|deploy_toml| keeps_for_a_while(&deploy_toml)))
    }

    /// Whether base's `deploy.toml` cannot be read. The next commit on base can mend that, also where it was so from the start.
    fn is_base_mistaken(&self) -> bool {
        let Ok(repository) = self.hands.open() else { return false };
        let read = || {
            let settings = Settings::read(&repository)?;
            let base = settings.base_tip(&repository)?;
            deploy_toml_of(&repository, base, settings.base.short())
        };
        matches!(read(), Err(ConfigError::DeployToml { .. }))
    }

    /// Forgets why nothing could be taken.
    fn forget(&mut self) {
        self.idle = None;
        self.held.clear();
    }

    /// Looks once at all that counts, and starts one deployment.
    fn turn(&mut self) -> Result<Turn, H::Error> {
        let repository = self.hands.open()?;
        let settings = Settings::read(&repository)?;
        if let Some(tracking) = &settings.remote {
            sync::fetch(&repository, tracking, self.hands)?;
        }
        // Time alone ends a freeze; nothing else goes on before something has changed.
        let is_frozen = self.held.iter().any(|hold| matches!(hold, Hold::Frozen { .. }));
        if !is_frozen && self.idle.as_ref() == Some(&repository.refs("refs/")?) {
            return Ok(Turn::Unchanged);
        }
        self.rebase(&repository, &settings)?;
        self.hands.interrupt().check()?;
        // From before, so that what changes meanwhile is looked at again.
        let stands = repository.refs("refs/")?;
        if !self.held.is_empty() && self.holds(&repository) == self.held {
            self.idle = Some(stands);
            return Ok(Turn::Unchanged);
        }
        self.forget();
        let turn = self.hands.deploy(&repository)?;
        if turn == Turn::Held {
            self.held = self.holds(&repository);
        }
        let is_idle = turn == Turn::Nothing || !self.held.is_empty();
        self.idle = Some(stands).filter(|_| is_idle);
        if turn == Turn::Nothing {
            self.tell_who_is_left(&repository)?;
        }
        Ok(turn)
    }

    /// Rebases what is to be kept on base, if that has moved.
    fn rebase(&mut self, repository: &Repository, settings: &Settings) -> Result<(), H::Error> {
        let base = settings.base_tip(repository)?;
        if self.swept == Some(base) {
            return Ok(());
        }
        let sweep = match sweep_authority(repository, self.hands, self.hands.interrupt()) {
            Ok(sweep) => sweep,
            // Who does it tells it; the head of the queue is rebased by its deployment in any case.
            Err(SweepError::AnotherSweep(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for outcome in &sweep.outcomes {
            match &outcome.fate {
                Fate::Broken { was_broken: false, .. } => {
                    self.has_failed = true;
                    self.hands.happened(Event::Swept(outcome));
                }
                Fate::Rebased => self.hands.happened(Event::Swept(outcome)),
                Fate::Current | Fate::Restored | Fate::Skipped { .. } | Fate::Broken { .. } => {}
            }
        }
        self.swept = Some(base);
        Ok(())
    }

    /// What holds the queue, as a deployment would find it now; nothing where there is something for one to do: a branch that is
    /// taken nevertheless, or what another run has left behind. What cannot be found out a deployment has to tell.
    fn holds(&self, repository: &Repository) -> Vec<Hold> {
        let look = || {
            let view = View::new(repository).ok()?;
            let nothing_left = under_way(&view).ok()?.is_empty();
            let (holds, passes) = holds(&view, &Unheard, self.hands.interrupt()).ok()?;
            Some(holds).filter(|_| nothing_left && passes.is_none())
        };
        look().unwrap_or_default()
    }

    /// Tells who stays in the queue, each once until that changes.
    fn tell_who_is_left(&mut self, repository: &Repository) -> Result<(), H::Error> {
        let (places, _) = View::new(repository)?.queue()?;
        for place in places.iter().filter(|place| !self.left.contains(place)) {
            self.hands.happened(Event::Left(place));
        }
        self.left = places;
        Ok(())
    }
}

/// For what is only asked, and told by a deployment.
struct Unheard;

impl Observer for Unheard {
    fn step(&self, _: &str, _: &str) {}

    fn warn(&self, _: &str) {}
}
