//! What becomes of a branch's state when git rewrites its commits.
//!
//! An approval covers exactly the commits that it was given for. It goes over to others only where these are what our own
//! rebase would make of the old ones: as many, in the same order, with the same authors and messages, each with the tree
//! that a replay gives. That is found out by replaying, when git says that it has rewritten something, and never later;
//! patch-ids, which do not see whitespace, have no say. What does not go over stays on the old commits, where it counts
//! again should the branch be set back.

mod compare;
mod why;

use std::collections::HashMap;
use std::fmt;

use crate::branch::{Branch, OnBase};
use crate::git::notes::{Notes, NotesEdit, NotesError, notes_ref};
use crate::git::rebase_state::BranchMove;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::approve::kept;
use crate::ops::copied::own_note;
use crate::ops::fetched;
use crate::ops::hooks::HookError;
use crate::ops::set_state::Wished;
use crate::ops::sweep;
use crate::ops::view::View;
use crate::rebase::{Committer, Engine, MergeTreeEngine, Request, Skip, Verdict};
use crate::state::{Decision, State};
use compare::{Compared, difference};

pub use compare::Difference;
pub use why::Why;

/// What rewrote commits, as git tells its hook `post-rewrite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `git commit --amend`.
    Amend,
    /// `git rebase`.
    Rebase,
}

impl Action {
    /// What git's word for it means; git may come to have others.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "amend" => Some(Self::Amend),
            "rebase" => Some(Self::Rebase),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amend => "'git commit --amend'",
            Self::Rebase => "'git rebase'",
        })
    }
}

/// A commit and what it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// The old commit.
    pub old: CommitId,
    /// The new one.
    pub new: CommitId,
}

/// What git writes to `post-rewrite`: `<old> <new>[ <more>]` a line. What is none is passed over.
pub fn rewrites(input: &[u8]) -> Vec<Rewrite> {
    let parse = |line: &str| {
        let mut ids = line.split(' ').map(|word| word.parse().ok().filter(|id: &CommitId| !id.0.is_null()));
        Some(Rewrite { old: ids.next()??, new: ids.next()?? })
    };
    String::from_utf8_lossy(input).lines().filter_map(parse).collect()
}

/// What there is to say after a rewrite; nothing of what was carried.
#[derive(Debug, Default)]
pub struct Carry {
    /// States that stayed behind.
    pub left: Vec<Left>,
    /// The same, of branches whose new tip git itself has given the note of the old one (`notes.rewriteRef`), so that they
    /// are not in development.
    pub copied: Vec<Left>,
    /// The states that hold on, and could not be written, with the reason.
    pub unwritten: Option<(HookError, Vec<Left>)>,
    /// Notes that cannot be read.
    pub malformed: Vec<NotesError>,
}

/// A state that stayed behind on the old commits of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The branch.
    pub branch: RefName,
    /// The commit that it stood on.
    pub old: CommitId,
    /// The state that it was in.
    pub state: State,
    /// What had been decided, if somebody did; to be decided again.
    pub decision: Option<Decision>,
    /// Why.
    pub why: Why,
    /// The remote that has the old commits still, as far as is known without asking it: there the state counts.
    pub remote: Option<String>,
    /// What was wished for it, to be wished again.
    pub wished: Wished,
}

/// Carries the states of the branches that git has just rewritten, as far as they still hold.
///
/// # Errors
/// When that cannot be found out: then no state was carried.
pub fn carry(repository: &Repository, action: Action, rewrites: &[Rewrite]) -> Result<Carry, HookError> {
    if repository.tip(&notes_ref())?.is_none() {
        return Ok(Carry::default());
    }
    let untold = if rewrites.is_empty() { untold(repository, action)? } else { None };
    let rewrites = untold.as_ref().map_or(rewrites, std::slice::from_ref);
    let view = View::new(repository)?;
    let mut said = Carry::default();
    let subjects = subjects(&view, moves(repository, action, rewrites)?, &mut said)?;
    if subjects.is_empty() {
        return Ok(said);
    }
    let mut judge = Judge {
        base_tip: view.settings.base_tip(repository)?,
        engine: MergeTreeEngine::new(repository, Committer::Keep).for_check(),
        view: &view,
    };
    let mut kept = Vec::new();
    for subject in subjects {
        match judge.judge(&subject).map_err(End::of_cut_off) {
            Ok(onto) => kept.push((subject, onto)),
            // What shows that it was made for another commit counts for nothing.
            Err(End::Left(why)) if !subject.is_known(&view.notes)? => said.left.extend(subject.left(why)),
            Err(End::Left(why)) if is_copied(&view.notes, &subject.step)? => {
                said.copied.extend(subject.left(why));
            }
            Err(End::Left(_)) => {}
            Err(End::Failed(error)) => return Err(error),
        }
    }
    if !kept.is_empty() {
        match write(repository, action, &kept) {
            Ok(left) => said.left.extend(left),
            Err(error) => {
                let left = kept.iter().filter_map(|(subject, _)| subject.left(Why::Unwritten));
                said.unwritten = Some((error, left.collect()));
            }
        }
    }
    Ok(said)
}

/// What an amend has rewritten, where a manager of hooks has kept for itself what git tells (pre-commit gives this hook
/// nothing to read): the commit that the branch was at before. What a rebase moves stands in its own files.
fn untold(repository: &Repository, action: Action) -> Result<Option<Rewrite>, GitError> {
    if action != Action::Amend {
        return Ok(None);
    }
    let (Some(old), Some(new)) = (repository.find_commit("@{1}")?, repository.find_commit("HEAD")?) else {
        return Ok(None);
    };
    let is_in_its_place = repository.commit(old)?.parents == repository.commit(new)?.parents;
    Ok(is_in_its_place.then_some(Rewrite { old, new }))
}

/// The branches among those that moved that a note spoke for.
fn subjects(view: &View<'_>, moves: Vec<BranchMove>, said: &mut Carry) -> Result<Vec<Subject>, HookError> {
    let mut subjects = Vec::new();
    for step in moves.into_iter().filter(|step| step.branch != view.settings.base && step.old != step.new) {
        match Subject::of(view, step) {
            Ok(subject) => subjects.extend(subject),
            Err(HookError::Notes(error @ NotesError::Note { .. })) => said.malformed.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(subjects)
}

/// The branches that moved. Git names commits alone, and tells of an amend also in the middle of a rebase.
fn moves(repository: &Repository, action: Action, rewrites: &[Rewrite]) -> Result<Vec<BranchMove>, GitError> {
    let Some(head) = repository.find_commit("HEAD")? else { return Ok(Vec::new()) };
    if action == Action::Rebase
        && let Some(moved) = repository.moved_by_rebase(head)?
    {
        return Ok(moved);
    }
    let checked_out = repository.symbolic_target("HEAD")?;
    let to_head = rewrites.iter().rev().find(|rewrite| rewrite.new == head);
    match action {
        Action::Amend => Ok(checked_out.zip(to_head).map(branch_move).into_iter().collect()),
        // Another program than git has moved its branches already. `git rebase --apply` has told nobody which branch it
        // rebases, and puts that on HEAD, which is detached meanwhile, afterwards.
        Action::Rebase => on_rewritten(repository, rewrites, to_head.filter(|_| checked_out.is_none())),
    }
}

fn branch_move((branch, Rewrite { old, new }): (RefName, &Rewrite)) -> BranchMove {
    BranchMove { branch, old: *old, new: *new }
}

/// The branches that stand on new commits, and those on the old one of a rewrite that is still under way.
fn on_rewritten(
    repository: &Repository,
    rewrites: &[Rewrite],
    under_way: Option<&Rewrite>,
) -> Result<Vec<BranchMove>, GitError> {
    let by_new: HashMap<CommitId, &Rewrite> = rewrites.iter().map(|rewrite| (rewrite.new, rewrite)).collect();
    let heads = repository.refs("refs/heads/")?.into_iter().filter(|head| !head.symbolic);
    let moves = heads.filter_map(|head| {
        let at = CommitId(head.target);
        let made = by_new.get(&at).copied().or(under_way.filter(|rewrite| rewrite.old == at))?;
        Some(branch_move((head.name, made)))
    });
    Ok(moves.collect())
}

/// A branch that moved, with the note that spoke for it.
struct Subject {
    step: BranchMove,
    note: Note,
    /// Whether no other branch stands where it stood.
    alone: bool,
    /// The remote on which it stands there still.
    remote: Option<String>,
    /// What was wished for it.
    wished: Wished,
}

impl Subject {
    fn of(view: &View<'_>, step: BranchMove) -> Result<Option<Self>, HookError> {
        let Some(note) = own_note(&view.notes, step.old)? else { return Ok(None) };
        // Who else is there matters only to a note that names nobody.
        let alone =
            note.refs.is_empty() && view.heads_on(step.old)?.iter().all(|other| *other == step.branch);
        let speaks = note.speaks_for(&step.branch, alone);
        let remote = fetched::still_at(view, &step.branch, step.old)?;
        let remote = remote.map(|tracking| tracking.remote().to_owned());
        let wished = Wished::of(view, &note)?;
        Ok(speaks.then_some(Self { step, note, alone, remote, wished }))
    }

    /// Whether somebody has decided about the new tip before.
    fn is_known(&self, notes: &Notes<'_>) -> Result<bool, NotesError> {
        Ok(own_note(notes, self.step.new)?.is_some_and(|note| note.speaks_for(&self.step.branch, self.alone)))
    }

    /// What stayed behind. Whoever was in development still is.
    fn left(&self, why: Why) -> Option<Left> {
        let (branch, state) = (self.step.branch.clone(), self.note.state);
        let remote = self.remote.clone().filter(|_| state.is_rebased());
        let (old, decision) = (self.step.old, self.note.decision());
        let left = Left { branch, old, state, decision, why, remote, wished: self.wished.clone() };
        (state != State::Development).then_some(left)
    }
}

/// Finds out what our own rebase would have made of a branch.
struct Judge<'a> {
    view: &'a View<'a>,
    base_tip: CommitId,
    engine: MergeTreeEngine<'a>,
}

/// Why a judgement ends before its end.
enum End {
    Left(Why),
    Failed(HookError),
}

impl End {
    /// What a shallow clone cannot judge is left.
    fn of_cut_off(self) -> Self {
        match self {
            Self::Failed(HookError::Git(error @ GitError::Missing { shallow: true, .. })) => {
                Self::Left(Why::Skipped(Skip::Shallow(error.to_string())))
            }
            end => end,
        }
    }
}

impl<E: Into<HookError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A branch at one of its ends, of which nothing is known but where that is.
fn plain(step: &BranchMove, tip: CommitId) -> Branch {
    Branch::derive(step.branch.clone(), tip, None, false, OnBase::No)
}

impl Judge<'_> {
    /// The commit of base that the branch stands on now, if it is otherwise what it was.
    fn judge(&mut self, Subject { step, note, .. }: &Subject) -> Result<CommitId, End> {
        let was_broken = note.state == State::Broken;
        if note.state == State::Deployed {
            return Err(End::Left(Why::Deployed));
        }
        // A broken note's `onto` is where it was tried, not where it stands.
        let stood_on = Some(note).filter(|_| !was_broken);
        let upstream = sweep::upstream(self.view.repository, stood_on, self.base_tip)?;
        let onto = self.stands_on(step.new, upstream)?;
        // Nobody has tried yet whether it would rebase.
        if was_broken && onto != self.base_tip {
            let settings = &self.view.settings;
            // What cannot be found out of that is told when somebody decides about it.
            let taken = self.view.beginning_taken_back(&step.branch, step.new).ok().flatten().map(Box::new);
            return Err(End::Left(Why::NotOn(settings.authority(&settings.base), taken)));
        }
        let request = Request { name: step.branch.clone(), tip: step.old, upstream, onto };
        let (tip, dropped) = match self.engine.rebase(&[request])?.pop() {
            Some(Verdict::Current) | None => (step.old, Vec::new()),
            Some(Verdict::Rebased(rebased)) => (rebased.tip, rebased.dropped),
            Some(Verdict::Broken(conflict)) => return Err(End::Left(Why::Conflict(conflict))),
            Some(Verdict::Skipped(Skip::Landed)) => return Err(End::Left(self.landed(step))),
            Some(Verdict::Skipped(skip)) => return Err(End::Left(Why::Skipped(skip))),
        };
        let replayed = self.series(tip, onto, usize::MAX)?;
        let before = replayed.len() + dropped.len();
        let found = self.series(step.new, onto, before + 1)?;
        let why = match dropped.first() {
            None => {
                difference(&replayed, &found).map_or(Ok(None), |why| self.said(why, step.new).map(Some))?
            }
            Some(_) if found.len() < before => Some(Why::Differs(Difference::Fewer)),
            Some(commit) => Some(Why::Dropped(*commit)),
        };
        why.map_or(Ok(onto), |why| Err(End::Left(why)))
    }

    /// Why nothing of a branch would be picked, as it was.
    fn landed(&self, step: &BranchMove) -> Why {
        let taken = self.view.taken_back(&plain(step, step.old)).ok().flatten();
        taken.map_or(Why::Skipped(Skip::Landed), |taken| Why::TakenBack(Box::new(taken)))
    }

    /// What a difference comes from: commits of a base that is not pushed look like the branch's own.
    fn said(&self, difference: Difference, tip: CommitId) -> Result<Why, GitError> {
        let (settings, repository) = (&self.view.settings, self.view.repository);
        let (ours, counts) = (settings.base.clone(), settings.authority(&settings.base));
        let is_unpushed = match repository.tip(&ours)?.filter(|_| difference == Difference::More) {
            Some(local) => {
                !repository.is_ancestor(local, self.base_tip)? && repository.is_ancestor(local, tip)?
            }
            None => false,
        };
        Ok(if is_unpushed { Why::Unpushed { ours, counts } } else { Why::Differs(difference) })
    }

    /// Where a branch leaves base, or what it was last rebased on where base no longer has that.
    fn stands_on(&self, tip: CommitId, upstream: CommitId) -> Result<CommitId, End> {
        let repository = self.view.repository;
        let of_base = repository.merge_base(tip, self.base_tip)?;
        let of_upstream = match upstream == self.base_tip {
            true => of_base,
            false => repository.merge_base(tip, upstream)?,
        };
        match (of_base, of_upstream) {
            (Some(base), Some(upstream)) if !repository.is_ancestor(base, upstream)? => Ok(base),
            (Some(base), None) => Ok(base),
            (_, Some(upstream)) => Ok(upstream),
            (None, None) if repository.is_shallow() => Err(End::Left(Why::Skipped(Skip::cut_off()))),
            (None, None) => Err(End::Left(Why::Skipped(Skip::Unrelated(tip)))),
        }
    }

    /// The commits from `onto` to a tip, oldest first, but no more than `limit`. They must be in one line.
    fn series(&self, tip: CommitId, onto: CommitId, limit: usize) -> Result<Vec<Compared>, End> {
        let (mut series, mut next) = (Vec::new(), tip);
        while next != onto && series.len() < limit {
            let commit = self.view.repository.commit(next)?;
            let [parent] = commit.parents[..] else {
                return Err(End::Left(Why::Skipped(Skip::Merges(next))));
            };
            series.push(Compared::of(next, commit));
            next = parent;
        }
        series.reverse();
        Ok(series)
    }
}

/// Whether git itself has copied the note of a branch's old tip to the new one, without a look at what has changed: no two
/// notes of ours are equal on two commits.
fn is_copied(notes: &Notes<'_>, step: &BranchMove) -> Result<bool, GitError> {
    let copy = notes.bytes(step.new)?;
    Ok(copy.is_some() && copy == notes.bytes(step.old)?)
}

/// Writes the notes of the new tips, all in one commit, after what keeps the commits that are approved. Returns what stayed behind because another note was there.
fn write(
    repository: &Repository,
    action: Action,
    kept: &[(Subject, CommitId)],
) -> Result<Vec<Left>, HookError> {
    kept::keep_here(repository, kept.iter().map(|(subject, _)| &subject.note))?;
    let mut left = Vec::new();
    repository.write_notes(&repository.identity()?, |notes| {
        left.clear();
        edit(notes, action, kept, &mut left)
    })?;
    Ok(left)
}

fn edit(
    notes: &Notes<'_>,
    action: Action,
    kept: &[(Subject, CommitId)],
    left: &mut Vec<Left>,
) -> Result<NotesEdit, NotesError> {
    let (mut edit, mut lines) = (NotesEdit::default(), String::new());
    for (subject @ Subject { step, alone, .. }, onto) in kept {
        // Read again: somebody may have decided something meanwhile.
        let note = own_note(notes, step.old)?.filter(|note| note.speaks_for(&step.branch, *alone));
        let Some(note) = note else {
            continue;
        };
        let mut carried = note.carried(step.old, *onto, &[]);
        if !is_copied(notes, step)? {
            if let Some(reason) = sweep::clash(notes, (step.old, &note), step.new)? {
                left.extend(subject.left(Why::Clash(reason)));
                continue;
            }
            carried = sweep::on_top_of(notes, (step.old, &note), (step.new, carried))?;
        }
        lines.push_str(&format!("\n{} {} {} {}", step.branch, step.new, note.state, carried.state));
        edit.set(step.new, &carried);
    }
    let what = match kept {
        [(subject, _)] => subject.step.branch.short().to_owned(),
        several => format!("{} branches", several.len()),
    };
    edit.message = format!("carry {what} over {action}\n{lines}");
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_two_ids_and_whatever_git_may_add() {
        let (one, two, none) = ("1".repeat(40), "2".repeat(64), "0".repeat(40));
        let input = format!("{one} {two} more words\n\n{one}\n{one} {none}\nx y\n{two} {one}\n");
        let rewrites = rewrites(input.as_bytes());
        let rewrite = |old: &str, new: &str| Rewrite { old: old.parse().unwrap(), new: new.parse().unwrap() };
        assert_eq!(rewrites, [rewrite(&one, &two), rewrite(&two, &one)]);
    }
}
