//! A sweep: branches that are to be kept on base are brought there, each with its state.
//!
//! Judge (new commits are made aside, and those that branches are to stand on put into the object database together; nothing else
//! changes), check (work trees, the hook `pre-rebase`), execute: one notes commit that covers all new tips, a record by which
//! the sweep can be undone, then the branches. At a crash between any two steps each tip has its note; the old tips keep theirs.
//! Only local branches are moved, first onto what the remote made of them.

mod apart;
mod authority;
mod error;
mod execute;
mod explain;
mod notes;
mod plan;
mod select;
mod undo;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::config::{ConfigError, deploy_toml_of};
use crate::git::held::HeldLock;
use crate::git::kept::Kept;
use crate::git::program::ProgramError;
use crate::git::trouble::Trouble;
use crate::git::work_tree::Busy;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::note::{Note, NoteError};
use crate::ops::approve::kept;
use crate::ops::sync;
use crate::ops::view::View;
use crate::ops::{Interrupt, Observer};
use crate::rebase::{Committer, Engine, MergeTreeEngine, Request, Skip, Verdict};
use crate::state::State;
use plan::Plan;

pub use apart::Apart;
pub use authority::sweep_authority;
pub use error::{Behind, SweepError};
pub use explain::{Did, Explained, Met, Told, explain};
pub(super) use notes::{clash, on_top_of};
pub use select::{Standing, standing};
pub use undo::undo;

/// What to rebase, and how far to go.
#[derive(Debug, Clone, Default)]
pub struct SweepRequest {
    /// The branches; empty: all that are staged or deployable, and those that were found broken on another base.
    pub branches: Vec<RefName>,
    /// Only say what would become of them.
    pub check: bool,
}

/// What became of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stands on base already.
    Current,
    /// It was moved, or could be.
    Rebased,
    /// It was moved back.
    Restored,
    /// It cannot be rebased cleanly.
    Broken {
        /// The commit that does not apply, if it was looked for just now, and some paths.
        reason: String,
        /// The paths that conflict, quoted as git quotes them.
        paths: Vec<String>,
        /// Whether it was so before.
        was_broken: bool,
    },
    /// It was left alone.
    Skipped {
        /// Why.
        reason: String,
        /// What the user can do about it.
        advice: Option<Box<Advice>>,
        /// Whether that is because something failed, where it could have moved.
        failed: bool,
    },
}

/// What the user can do about a branch that was left alone: told in the same words wherever it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Mend the note on this commit, or take it away.
    Note(CommitId, NoteError),
    /// Shorten the note on this commit.
    LongNote(CommitId),
    /// Get the further commits that this ref has.
    Further(RefName),
    /// Look at what this ref has in place of the branch.
    Other(RefName),
    /// Wait for who holds a lock, or take it away.
    Lock(HeldLock),
    /// Have git forget the work tree that is not there, or tell it where that is now.
    WorkTree,
    /// Make the branch one that can be rebased.
    Skip(Skip),
}

/// What to do about a lock.
fn locked(lock: Option<&HeldLock>) -> Option<Box<Advice>> {
    lock.cloned().map(|lock| Box::new(Advice::Lock(lock)))
}

/// An error in one line, without how git was called: of many files that cannot be written the first is enough.
pub(in crate::ops) fn brief(error: &GitError) -> String {
    let said = match error {
        GitError::Program(ProgramError::Failed { stderr, .. }) if !stderr.trim().is_empty() => stderr.clone(),
        error => error.to_string(),
    };
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.trim_start_matches("error: ").trim_start_matches("fatal: ").to_owned()
}

impl Fate {
    fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped { reason: reason.into(), advice: None, failed: false }
    }

    fn busy(busy: &Busy) -> Self {
        let advice = match busy {
            Busy::Gone(_) => Some(Box::new(Advice::WorkTree)),
            busy => locked(busy.lock()),
        };
        Self::Skipped { reason: busy.to_string(), advice, failed: false }
    }

    fn failed(what: &str, error: &GitError) -> Self {
        let reason = format!("{what}{}", brief(error));
        Self::Skipped { reason, advice: locked(error.lock()), failed: true }
    }

    /// The word for it in what programs read.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Rebased => "rebased",
            Self::Restored => "restored",
            Self::Broken { .. } => "broken",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Why it is so, where that needs to be said.
    pub fn reason(&self) -> &str {
        match self {
            Self::Current | Self::Rebased | Self::Restored => "",
            Self::Broken { reason, .. } | Self::Skipped { reason, .. } => reason,
        }
    }
}

/// A branch and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The branch.
    pub branch: RefName,
    /// The tip before.
    pub old: CommitId,
    /// The tip after; that before if it did not move.
    pub new: CommitId,
    /// What became of it.
    pub fate: Fate,
}

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The ref that branches were rebased on: base, or what was last fetched of it.
    pub onto: RefName,
    /// The branches, by name.
    pub outcomes: Vec<Outcome>,
}

impl Sweep {
    /// Whether a branch cannot be rebased cleanly.
    pub fn any_broken(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.fate, Fate::Broken { .. }))
    }

    /// Whether a branch could have moved, and something failed of which nothing else is said to do.
    pub fn any_unadvised(&self) -> bool {
        let is_unadvised = |fate: &Fate| matches!(fate, Fate::Skipped { failed: true, advice: None, .. });
        self.outcomes.iter().any(|outcome| is_unadvised(&outcome.fate))
    }

    /// Whether a branch could have moved, and something failed.
    pub fn any_failed(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.fate, Fate::Skipped { failed: true, .. }))
    }
}

/// Rebases branches on base.
///
/// # Errors
/// When nothing could be judged, or branches could not be moved: then each has its state, wherever it stands.
pub fn sweep(
    repository: &Repository,
    request: &SweepRequest,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Sweep, SweepError> {
    if request.check {
        let aside = repository.with_objects_aside()?;
        let judge = Judge::checking(repository, &aside, observer, interrupt)?;
        let (plans, outcomes) = judge.judge(request)?;
        return Ok(judge.sweep(plans.iter().map(Plan::outcome).chain(outcomes)));
    }
    let _lock = execute::begin(repository, observer)?;
    let settings = crate::config::Settings::read(repository)?;
    if let Some(tracking) = &settings.remote {
        sync::merge_notes(repository, tracking, observer)?;
    }
    let judge = Judge::keeping(repository, observer, interrupt)?;
    let (mut plans, outcomes) = judge.judge(request)?;
    interrupt.check()?;
    let _kept = judge.keep(&mut plans)?;
    let base_tip = judge.view.settings.base_tip(repository)?;
    let executor = execute::Executor::new(&judge.view, base_tip, observer)?;
    let plans = executor.checked(plans)?;
    interrupt.check()?;
    let done = executor.execute(plans)?;
    if judge.view.settings.remote.is_none() {
        kept::forget_here(repository, &View::new(repository)?.local_branches()?.branches)?;
    }
    Ok(judge.sweep(done.into_iter().chain(outcomes)))
}

/// What the commits of a branch are counted from: base, or what it was last rebased on where base no longer has that. What
/// was taken back from base must not come again with a branch that stood on it.
///
/// # Errors
/// When history cannot be read.
pub(super) fn upstream(
    repository: &Repository,
    note: Option<&Note>,
    base_tip: CommitId,
) -> Result<CommitId, GitError> {
    match note.and_then(|note| note.onto) {
        // One that is not known here says nothing.
        Some(onto) if repository.find(onto.0)?.is_some() && !repository.is_ancestor(onto, base_tip)? => {
            Ok(onto)
        }
        _ => Ok(base_tip),
    }
}

/// How many branches are judged between two looks at whether the user asked to stop.
const BATCH: usize = 256;

/// Finds out what is to become of branches.
struct Judge<'a> {
    view: View<'a>,
    made: Made<'a>,
    observer: &'a dyn Observer,
    interrupt: &'a Interrupt,
}

/// Where new commits are made.
enum Made<'a> {
    /// Aside: only the verdicts are wanted.
    Nothing(&'a Repository),
    /// Aside, until it is known which of them are to stay.
    Aside(Repository),
    /// Where they are to stay: a partial clone fetches what it lacks on the way, and that is to stay, too.
    AtOnce,
}

impl<'a> Judge<'a> {
    /// One of which only the verdicts are wanted.
    fn checking(
        repository: &'a Repository,
        aside: &'a Repository,
        observer: &'a dyn Observer,
        interrupt: &'a Interrupt,
    ) -> Result<Self, SweepError> {
        Ok(Self { view: View::new(repository)?, made: Made::Nothing(aside), observer, interrupt })
    }

    /// One whose commits are to stay.
    fn keeping(
        repository: &'a Repository,
        observer: &'a dyn Observer,
        interrupt: &'a Interrupt,
    ) -> Result<Self, SweepError> {
        let view = View::new(repository)?;
        let made = match view.judges_in_place()? {
            true => Made::AtOnce,
            false => Made::Aside(repository.with_objects_until_kept()?),
        };
        Ok(Self { view, made, observer, interrupt })
    }

    /// Keeps the commits that branches are to stand on, until these have moved. Those of a branch that cannot be kept stop no other
    /// branch, and the system's own trouble stops all.
    fn keep(&self, plans: &mut [Plan]) -> Result<Kept, SweepError> {
        let Made::Aside(aside) = &self.made else { return Ok(Kept::default()) };
        let base_tip = self.view.base_tip()?;
        let moving: Vec<&Plan> = plans.iter().filter(|plan| plan.moves()).collect();
        let new: Vec<CommitId> = moving.iter().map(|plan| plan.new).collect();
        let old: Vec<CommitId> = moving.iter().flat_map(|plan| plan.had()).chain(base_tip).collect();
        if let Ok(kept) = self.unless_trouble(aside.keep(&new, &old))? {
            return Ok(kept);
        }
        let mut kept = Kept::default();
        for plan in plans.iter_mut().filter(|plan| plan.moves()) {
            let old: Vec<CommitId> = plan.had().chain(base_tip).collect();
            match self.unless_trouble(aside.keep(&[plan.new], &old))? {
                Ok(more) => kept = kept.and(more),
                Err(error) => plan.skip(Fate::failed("its new commits could not be kept: ", &error)),
            }
        }
        Ok(kept)
    }

    /// What came of something for one branch, unless no other would fare better.
    fn unless_trouble<T>(&self, result: Result<T, GitError>) -> Result<Result<T, GitError>, SweepError> {
        self.interrupt.check()?;
        match result {
            Err(error) if Trouble::of(&error.to_string()).is_some() => Err(error.into()),
            result => Ok(result),
        }
    }
}

impl Judge<'_> {
    fn sweep(&self, outcomes: impl Iterator<Item = Outcome>) -> Sweep {
        let settings = &self.view.settings;
        let mut outcomes: Vec<Outcome> = outcomes.collect();
        outcomes.sort_by(|one, two| one.branch.cmp(&two.branch));
        Sweep { onto: settings.authority(&settings.base), outcomes }
    }

    /// Plans for those that were judged, and outcomes of those that need not be.
    fn judge(&self, request: &SweepRequest) -> Result<(Vec<Plan>, Vec<Outcome>), SweepError> {
        let base_tip = self.view.settings.base_tip(self.view.repository)?;
        let (subjects, outcomes) = select::select(&self.view, request, base_tip)?;
        Ok((self.judge_subjects(subjects)?, outcomes))
    }

    fn judge_subjects(&self, subjects: Vec<plan::Subject>) -> Result<Vec<Plan>, SweepError> {
        let base_tip = self.view.settings.base_tip(self.view.repository)?;
        let committer = self.configured_committer(base_tip)?;
        let mut plans: Vec<Plan> = subjects.into_iter().map(Plan::new).collect();
        let mut verdicts = self.ask(&plans, &committer, Plan::replay)?;
        for (index, plan) in plans.iter_mut().enumerate() {
            plan.replayed(verdicts.remove(&index));
        }
        // Nearly all were last rebased on the same commit.
        let mut by_onto: HashMap<Option<CommitId>, CommitId> = HashMap::new();
        let mut upstreams = Vec::new();
        for plan in &plans {
            // A broken note's `onto` is where it was tried, not where it stands.
            let note = plan.subject.note.as_ref().filter(|note| note.state != State::Broken);
            upstreams.push(match by_onto.entry(note.and_then(|note| note.onto)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(upstream(self.view.repository, note, base_tip)?),
            });
        }
        let upstream_of: HashMap<RefName, CommitId> =
            plans.iter().map(|plan| plan.subject.name.clone()).zip(upstreams).collect();
        let mut verdicts = self.ask(&plans, &committer, |plan| {
            let request = plan.onto_base(base_tip)?;
            Some(Request { upstream: upstream_of[&request.name], ..request })
        })?;
        for (index, plan) in plans.iter_mut().enumerate() {
            plan.judged(verdicts.remove(&index), base_tip);
            if let Some(fate) = notes::forbidden(&self.view.notes, plan, base_tip)? {
                plan.skip(fate);
            }
        }
        Ok(plans)
    }

    /// Who commits what is rebased of deployable branches, as base's `deploy.toml` says.
    fn configured_committer(&self, base_tip: CommitId) -> Result<Committer, SweepError> {
        let base = self.view.settings.base.short();
        let deploy_toml = match deploy_toml_of(self.view.repository, base_tip, base) {
            Ok(deploy_toml) => deploy_toml,
            // Branches can be mended only if they can be rebased.
            Err(error @ ConfigError::DeployToml { .. }) => {
                self.observer.warn(&format!("committers stay as they are: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let who = deploy_toml.and_then(|deploy_toml| deploy_toml.committer);
        Ok(Committer::configured(who.map(|who| format!("{} <{}>", who.name, who.email))))
    }

    /// Asks the engine about those plans that have a request.
    fn ask(
        &self,
        plans: &[Plan],
        configured: &Committer,
        request: impl Fn(&Plan) -> Option<Request>,
    ) -> Result<HashMap<usize, Verdict>, SweepError> {
        let mut verdicts = HashMap::new();
        let asked = plans.iter().enumerate().filter_map(|(index, plan)| Some((index, request(plan)?)));
        let (queued, others): (Vec<_>, Vec<_>) =
            asked.partition(|(index, _)| plans[*index].subject.is_queued());
        let total = queued.len() + others.len();
        for (asked, committer) in [(others, &Committer::Keep), (queued, configured)] {
            if !asked.is_empty() {
                let engine = match &self.made {
                    Made::Nothing(aside) => MergeTreeEngine::new(aside, committer.clone()).for_check(),
                    Made::Aside(aside) => MergeTreeEngine::new(aside, committer.clone()),
                    Made::AtOnce => MergeTreeEngine::new(self.view.repository, committer.clone()),
                };
                let known = verdicts.len();
                let tell = |done| self.observer.judged(known + done, total);
                verdicts.extend(self.ask_engine(engine.until(self.interrupt), &asked, tell)?);
            }
        }
        Ok(verdicts)
    }

    fn ask_engine(
        &self,
        mut engine: impl Engine,
        asked: &[(usize, Request)],
        tell: impl Fn(usize),
    ) -> Result<HashMap<usize, Verdict>, SweepError> {
        let mut verdicts = HashMap::new();
        for batch in asked.chunks(BATCH) {
            let requests: Vec<Request> = batch.iter().map(|(_, request)| request.clone()).collect();
            let judged = engine.rebase(&requests);
            // Ctrl-C reaches the programs that the engine asked, too: their failure is no verdict.
            self.interrupt.check()?;
            verdicts.extend(batch.iter().map(|(index, _)| *index).zip(judged?));
            tell(verdicts.len());
        }
        Ok(verdicts)
    }
}
