//! Checking that planned branches may move, and moving them.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::plan::Plan;
use super::{Behind, Fate, Outcome, SweepError, brief, notes, undo};
use crate::git::intent::RunLock;
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::git::work_tree::{Busy, CheckedOut};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::land::Change;
use crate::ops::Observer;
use crate::ops::approve::kept;
use crate::ops::transact::Journal;
use crate::ops::view::View;

/// Takes the lock of sweeps and ends what one that died had begun.
pub(super) fn begin(repository: &Repository, observer: &dyn Observer) -> Result<RunLock, SweepError> {
    let lock = repository.lock_sweep()?.map_err(SweepError::AnotherSweep)?;
    repository.clear_dead()?;
    let path = journal_path(repository);
    if let Some(journal) = Journal::read(&path)? {
        let mover = Mover::new(repository, journal.label.clone(), observer)?;
        for change in &journal.changes {
            // A branch that has not moved yet is judged anew; one that has been moved since is not ours any more.
            if repository.resolve(&change.name)? == change.new {
                mover.follow(&Move::of(change))?;
            }
        }
        remove(&path)?;
        observer.step("Finished", "what an earlier rebase had begun");
    }
    Ok(lock)
}

fn journal_path(repository: &Repository) -> PathBuf {
    repository.deploy_dir().join("sweep-journal")
}

fn remove(path: &std::path::Path) -> Result<(), GitError> {
    std::fs::remove_file(path).map_err(GitError::file(path))
}

/// Carries plans out.
pub(super) struct Executor<'a> {
    view: &'a View<'a>,
    base_tip: CommitId,
    identity: Identity,
    mover: Mover<'a>,
    /// Whether anybody may have something against a rebase. It is asked for when the first branch is to move.
    has_hook: OnceCell<bool>,
    observer: &'a dyn Observer,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        view: &'a View<'a>,
        base_tip: CommitId,
        observer: &'a dyn Observer,
    ) -> Result<Self, SweepError> {
        let onto = view.settings.authority(&view.settings.base);
        let label = format!("deploy-rebase: onto {}", onto.short());
        let mover = Mover::new(view.repository, label, observer)?;
        let (identity, has_hook) = (view.repository.identity()?, OnceCell::new());
        Ok(Self { view, base_tip, identity, mover, has_hook, observer })
    }

    /// Leaves out the branches that may not move: their work tree is busy, a hook forbids it, or another branch is there.
    pub(super) fn checked(&self, mut plans: Vec<Plan>) -> Result<Vec<Plan>, SweepError> {
        let mut taken: HashMap<CommitId, (CommitId, RefName)> = HashMap::new();
        for plan in &mut plans {
            if let Some(fate) = self.forbidden(plan, &taken)? {
                plan.skip(fate);
            } else if plan.moves() {
                taken.insert(plan.new, (plan.subject.from(), plan.subject.name.clone()));
            }
        }
        Ok(plans)
    }

    fn forbidden(
        &self,
        plan: &Plan,
        taken: &HashMap<CommitId, (CommitId, RefName)>,
    ) -> Result<Option<Fate>, SweepError> {
        if !plan.moves() {
            return Ok(None);
        }
        if let Some((from, other)) = taken.get(&plan.new)
            && *from != plan.subject.from()
        {
            return Ok(Some(Fate::skipped(format!(
                "it would become the same commit as '{}'",
                other.short()
            ))));
        }
        if let Some(busy) = self.mover.cannot_follow(&Move::planned(plan))? {
            return Ok(Some(Fate::busy(&busy)));
        }
        self.vetoed(plan)
    }

    /// Asks the hook `pre-rebase`, with the arguments of `git rebase <upstream> <branch>`.
    fn vetoed(&self, plan: &Plan) -> Result<Option<Fate>, SweepError> {
        let has_hook = match self.has_hook.get() {
            Some(has_hook) => *has_hook,
            None => {
                let has_hook = self.view.repository.may_have_hook("pre-rebase")?;
                *self.has_hook.get_or_init(|| has_hook)
            }
        };
        if !has_hook {
            return Ok(None);
        }
        let onto = self.view.settings.authority(&self.view.settings.base);
        let args = [onto.short(), plan.subject.name.short()];
        let run = self.view.repository.run_hook("pre-rebase", &args, None)?;
        let reason = match run.said.lines().find(|line| !line.trim().is_empty()) {
            Some(said) => format!("the hook pre-rebase refused: {}", said.trim()),
            None => "the hook pre-rebase refused".to_owned(),
        };
        Ok((!run.agrees).then(|| Fate::skipped(reason)))
    }

    /// Writes notes and record, moves the branches, tells the hook `post-rewrite`.
    pub(super) fn execute(&self, mut plans: Vec<Plan>) -> Result<Vec<Outcome>, SweepError> {
        let onto = self.view.settings.base.short();
        let moving: Vec<&Plan> = plans.iter().filter(|plan| plan.moves()).collect();
        let action = match plans.iter().filter(|plan| plan.change.is_some()).collect::<Vec<_>>()[..] {
            [plan] => format!("rebase {} onto {onto}", plan.subject.name.short()),
            ref several => format!("rebase {} branches onto {onto}", several.len()),
        };
        let signed = moving.iter().filter_map(|plan| plan.subject.note.as_ref());
        kept::keep_here(self.view.repository, signed)?;
        let moves: Vec<Move> = moving.into_iter().map(Move::planned).collect();
        self.view
            .repository
            .write_notes(&self.identity, |notes| notes::edit(notes, &plans, self.base_tip, &action))?;
        if moves.is_empty() {
            return Ok(plans.iter().map(Plan::outcome).collect());
        }
        undo::record(self.view.repository, &self.identity, onto, &moves)?;
        let mut stayed = self.mover.move_all(&moves)?;
        for plan in &mut plans {
            if let Some(fate) = stayed.remove(&plan.subject.name) {
                plan.skip(fate);
            }
        }
        self.tell(&plans)?;
        Ok(plans.iter().map(Plan::outcome).collect())
    }

    fn tell(&self, plans: &[Plan]) -> Result<(), SweepError> {
        let pairs: BTreeSet<(CommitId, CommitId)> = plans
            .iter()
            .filter(|plan| plan.moves())
            .flat_map(|plan| plan.rewritten.iter().copied())
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let lines: String = pairs.iter().map(|(old, new)| format!("{old} {new}\n")).collect();
        let run = self.view.repository.run_hook("post-rewrite", &["rebase"], Some(&lines))?;
        // As in git its answer changes nothing.
        if !run.said.is_empty() {
            self.observer.step("Hook", &run.said);
        }
        Ok(())
    }
}

/// A branch that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) branch: RefName,
    pub(super) old: CommitId,
    pub(super) new: CommitId,
}

impl Move {
    fn planned(plan: &Plan) -> Self {
        Self { branch: plan.subject.name.clone(), old: plan.subject.tip, new: plan.new }
    }

    /// A change as it stands in a journal of ours.
    fn of(change: &Change) -> Self {
        let at =
            |id: Option<ObjectId>| CommitId(id.unwrap_or_else(|| unreachable!("only moves are written")));
        let old = match change.old {
            Expected::At(old) => Some(old),
            Expected::Absent => None,
        };
        Self { branch: change.name.clone(), old: at(old), new: at(change.new) }
    }

    fn change(&self) -> Change {
        Change::update(self.branch.clone(), Some(self.old.0), self.new.0)
    }
}

/// The branches that stayed where they were, and why.
pub(super) type Stayed = HashMap<RefName, Fate>;

/// Moves branches, with their work trees.
pub(super) struct Mover<'a> {
    repository: &'a Repository,
    reflog: String,
    places: Vec<CheckedOut>,
    observer: &'a dyn Observer,
}

impl<'a> Mover<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        reflog: String,
        observer: &'a dyn Observer,
    ) -> Result<Self, GitError> {
        Ok(Self { repository, reflog, places: repository.checked_out()?, observer })
    }

    fn places<'b>(&'b self, branch: &'b RefName) -> impl Iterator<Item = &'b CheckedOut> {
        self.places.iter().filter(move |place| place.branch == *branch)
    }

    /// Why a branch's work tree could not follow, if it could not.
    pub(super) fn cannot_follow(&self, step: &Move) -> Result<Option<Busy>, GitError> {
        for place in self.places(&step.branch) {
            let why = self.repository.cannot_follow(place, step.old, step.new)?;
            if why.is_some() {
                return Ok(why);
            }
        }
        Ok(None)
    }

    /// Moves branches: first all that are not checked out, then those that are, one by one with their work trees.
    pub(super) fn move_all(&self, moves: &[Move]) -> Result<Stayed, SweepError> {
        let (held, free): (Vec<Move>, Vec<Move>) =
            moves.iter().cloned().partition(|step| self.places(&step.branch).next().is_some());
        let mut stayed = self.move_free(free)?;
        if held.is_empty() {
            return Ok(stayed);
        }
        let path = journal_path(self.repository);
        let changes = held.iter().map(Move::change).collect();
        Journal { label: self.reflog.clone(), changes }.write(&path)?;
        for step in held {
            let mut left = self.move_free(vec![step.clone()])?;
            if left.is_empty()
                && let Some(fate) = self.follow(&step)?
            {
                left.insert(step.branch.clone(), fate);
            }
            stayed.extend(left);
        }
        remove(&path)?;
        Ok(stayed)
    }

    /// Moves refs in one transaction, less those that somebody else moved meanwhile.
    fn move_free(&self, mut moves: Vec<Move>) -> Result<Stayed, GitError> {
        let mut stayed = Stayed::new();
        while !moves.is_empty() {
            let updates: Vec<RefUpdate> = moves.iter().map(|step| step.change().as_update()).collect();
            match self.repository.update_refs(&updates, &self.reflog) {
                Ok(()) => break,
                Err(RefsError::Moved(_)) => {
                    let mut waiting = Vec::new();
                    for step in moves {
                        match self.repository.tip(&step.branch)? {
                            Some(tip) if tip == step.old => waiting.push(step),
                            // A transaction that a signal ended may have moved some.
                            Some(tip) if tip == step.new => {}
                            _ => drop(stayed.insert(step.branch, Fate::skipped("it was moved meanwhile"))),
                        }
                    }
                    moves = waiting;
                }
                Err(RefsError::Git(error)) => match moves.len() {
                    1 => drop(stayed.insert(moves.remove(0).branch, Fate::failed("", &error))),
                    // One that is locked keeps only itself from moving.
                    _ => {
                        for step in std::mem::take(&mut moves) {
                            stayed.extend(self.move_free(vec![step])?);
                        }
                    }
                },
            }
        }
        Ok(stayed)
    }

    /// Lets the work trees of a branch that has moved follow. If one cannot, because somebody began to work in it just now,
    /// or there is no room, the branch goes back, so that its files fit to it; why is returned.
    pub(super) fn follow(&self, step: &Move) -> Result<Option<Fate>, SweepError> {
        for place in self.places(&step.branch) {
            let Err(error) = self.repository.follow(place, step.old, step.new) else { continue };
            // Where somebody has worked the files stay as they are.
            let _ = self.repository.follow_back(place, step.old, step.new);
            let tree = place.path.display().to_string();
            if !place.index_is(step.old)? {
                self.observer.warn(&format!(
                    "'{}' stands at {}, and its work tree '{tree}' could not follow from {}: {}; what is staged there \
                     takes back what base has: look with 'git status' before you commit",
                    step.branch.short(),
                    step.new,
                    step.old,
                    brief(&error)
                ));
                continue;
            }
            let back = Move { branch: step.branch.clone(), old: step.new, new: step.old };
            let stayed = self.move_free(vec![back])?;
            if !stayed.is_empty() && self.repository.tip(&step.branch)? == Some(step.new) {
                let branch = step.branch.short().to_owned();
                let behind = Behind { branch, old: step.old, new: step.new, tree, error };
                return Err(SweepError::Behind(Box::new(behind)));
            }
            return Ok(Some(Fate::failed("its work tree could not follow: ", &error)));
        }
        Ok(None)
    }
}
