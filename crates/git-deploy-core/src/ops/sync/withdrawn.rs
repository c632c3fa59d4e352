//! What somebody has taken back of branches that are here, as it comes with what is fetched. Whichever command brings that says
//! so, in the same words: afterwards nothing would show that nobody here was told, and the next decision would override it.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::SyncError;
use crate::git::Repository;
use crate::git::notes::{Notes, NotesError, notes_ref};
use crate::git::push::Tracking;
use crate::ids::{CommitId, DecisionId, ObjectId, RefName};
use crate::note::Note;
use crate::ops::fetched::{TakenBack, taken_back};
use crate::ops::history::{Transition, differences, transitions};
use crate::ops::view::{View, ViewError};
use crate::state::{Decision, State};
use crate::sync::active;

/// How many branches are named to people of very many.
const NAMED: usize = 10;

/// How many more are named as well rather than that there are more: they count as told.
const FEW: usize = 5;

/// A branch that is here, and that somebody has taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The branch.
    pub branch: RefName,
    /// How.
    pub how: How,
}

/// How somebody has taken a branch back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By a decision.
    Decided(Decided),
    /// By taking commits away where they count.
    Gone {
        /// The remote.
        remote: String,
        /// The state that it is in here.
        state: State,
        /// What was taken away.
        taken: TakenBack,
    },
    /// By a rebase that came to an end with conflicts in these paths: base has moved.
    Broken(Vec<String>),
}

/// A decision that was made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The state that the branch is in.
    pub state: State,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Who has decided that.
    pub by: Option<String>,
    /// Why, in the words of who has decided or of the runner.
    pub why: Option<String>,
    /// The commit that was decided about, where that is not what the branch is now.
    pub earlier: Option<Earlier>,
}

/// A commit that a branch was earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// It stands on that still.
    Below(CommitId),
    /// It has left that, as by an amend.
    Left(CommitId),
}

impl Earlier {
    /// The commit, with what it has to do with a branch that is called like that.
    pub fn told(self, name: &str) -> String {
        match self {
            Self::Below(commit) => format!("'{}', which {name} stands on,", commit.brief()),
            Self::Left(commit) => format!("'{}', which {name} was,", commit.brief()),
        }
    }
}

impl Decided {
    pub(in crate::ops) fn of(state: State, note: Note) -> Self {
        Self { state, since: note.since, by: note.by, why: note.reason.or(note.message), earlier: None }
    }
}

impl fmt::Display for Withdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.branch.short();
        match &self.how {
            How::Decided(Decided { state, by, why, earlier, .. }) => {
                let name = format!("'{name}'");
                let told = earlier.map_or(name.clone(), |earlier| earlier.told(&name));
                write!(f, "{told} was set to {state}")?;
                let name = by.as_ref().map(|by| by.split_once(" <").map_or(by.as_str(), |(name, _)| name));
                name.map_or(Ok(()), |name| write!(f, " by {name}"))?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            How::Gone { remote, state, taken: TakenBack::Deleted } => {
                write!(f, "'{name}' is {state} here, and was deleted on '{remote}'")
            }
            How::Gone { remote, state, taken: TakenBack::To(there) } => {
                write!(f, "'{name}' is {state} here, and was set back to {} on '{remote}'", there.brief())
            }
            How::Broken(paths) if paths.is_empty() => write!(f, "'{name}' became broken"),
            How::Broken(paths) => write!(f, "'{name}' became broken: conflict in '{}'", paths.join("', '")),
        }
    }
}

/// What is said of branches that somebody has taken back: a line for each, as far as somebody reads that.
pub fn told_withdrawn(withdrawn: &[Withdrawn]) -> Vec<String> {
    let is_few = withdrawn.len() <= NAMED + FEW;
    let named = withdrawn.iter().take(if is_few { NAMED + FEW } else { NAMED }).map(ToString::to_string);
    let more = withdrawn.len().saturating_sub(NAMED);
    named.chain((!is_few).then(|| format!("and {more} more: git deploy-state log --all"))).collect()
}

/// The branches that were taken back by decisions which have come to our notes since these stood on `before`. They stand there by
/// now: what cannot be found out of that says nothing of one branch, and ends no command.
pub(super) fn by_decisions(repository: &Repository, before: Option<CommitId>) -> Vec<Withdrawn> {
    let after = repository.tip(&notes_ref()).ok().flatten().filter(|after| Some(*after) != before);
    // Where it is not clear what counts, nothing can be decided either, and whoever tries is told why.
    let (Some(after), Ok(view)) = (after, View::new(repository)) else { return Vec::new() };
    let who = repository.identity().ok().map(|me| me.who().to_owned());
    let heads = |prefix: &str| heads(repository, prefix).unwrap_or_default();
    let (ours, theirs) = (heads("refs/heads/"), heads(&view.settings.authority_prefix()));
    let was = before.and_then(|before| repository.notes_at(Some(before)).ok());
    let came = Came { view: &view, ours, theirs, who, was, transitions: OnceCell::new() };
    let mut found: BTreeMap<RefName, (Rank, Withdrawn)> = BTreeMap::new();
    // That says nothing of what somebody has decided about the same branch.
    let mut broken: BTreeMap<RefName, Withdrawn> = BTreeMap::new();
    for (commit, old, new) in came.changes(before, after).unwrap_or_default() {
        let verdict =
            new.refs.iter().filter(|branch| came.is_newly_broken(branch, commit, old.as_ref(), &new));
        broken.extend(verdict.map(|branch| {
            let how = How::Broken(new.conflicts.clone());
            (branch.clone(), Withdrawn { branch: branch.clone(), how })
        }));
        for (branch, state) in withdrawn(old.as_ref(), &new) {
            let about = came.concerns(&branch, commit, old.as_ref(), state);
            let Ok(Some(About(earlier))) = about else { continue };
            // Who goes on from what has failed answers that.
            let is_answered = earlier.is_some() && new.reason.is_some();
            let decided = Decided { earlier, ..came.decided(&branch, state, &new) };
            let rank = (earlier.is_some(), Reverse(decided.since));
            if is_answered || found.get(&branch).is_some_and(|(known, _)| *known <= rank) {
                continue;
            }
            found.insert(branch.clone(), (rank, Withdrawn { branch, how: How::Decided(decided) }));
        }
    }
    found.into_values().map(|(_, withdrawn)| withdrawn).chain(broken.into_values()).collect()
}

/// Of several decisions about one branch that of what it is comes first, else the latest.
type Rank = (bool, Reverse<Option<Timestamp>>);

/// What a decision was about: what a branch is, or what it was earlier.
struct About(Option<Earlier>);

/// What has come to our notes.
struct Came<'v> {
    view: &'v View<'v>,
    /// Our branches.
    ours: BTreeMap<RefName, CommitId>,
    /// Those that count.
    theirs: BTreeMap<RefName, CommitId>,
    /// Who works here; who has no name has decided nothing.
    who: Option<String>,
    /// Our notes as they were; none where nobody had ever asked.
    was: Option<Notes<'v>>,
    /// All that was ever decided, once that was asked.
    transitions: OnceCell<Vec<Transition>>,
}

impl Came<'_> {
    /// The notes that say something else than before. Of those that are new only such as name a branch of ours, on commits that are
    /// here; and of a clone that never asked, which gets very many, only such as stand at tips, or where who works here goes on from.
    fn changes(
        &self,
        before: Option<CommitId>,
        after: CommitId,
    ) -> Result<Vec<(CommitId, Option<Note>, Note)>, SyncError> {
        let repository = self.view.repository;
        let note = |blob: ObjectId| match repository.note_bytes(blob) {
            Ok(bytes) => Ok(bytes.ok().and_then(|bytes| Note::parse(&bytes).ok())),
            Err(error) => Err(error),
        };
        let at_tips = self.at_tips();
        let Some(before) = before else {
            let notes = repository.notes_at(Some(after))?;
            let read = |commit: &CommitId| match notes.get(*commit) {
                Err(NotesError::Note { .. }) => Ok(None),
                note => Ok(note?.map(|note| (*commit, None, note))),
            };
            let own = self.ours.values().flat_map(|tip| self.view.own_line(*tip));
            let commits: BTreeSet<CommitId> = at_tips.iter().copied().chain(own).collect();
            let found: Result<Vec<_>, SyncError> =
                commits.iter().map(read).filter_map(Result::transpose).collect();
            // Below a merge of base there is what base has.
            let is_its = |commit| at_tips.contains(&commit) || !self.view.is_on_base(commit).unwrap_or(true);
            let is_of_others = |note: &Note| self.who.is_none() || note.by != self.who;
            let found = found?.into_iter().filter(|(commit, _, note)| is_its(*commit) && is_of_others(note));
            return Ok(found.collect());
        };
        let tree = |commit| repository.commit(commit).map(|commit| Some(commit.tree));
        let (was, mut changes) = (repository.notes_at(Some(before))?, Vec::new());
        for (commit, (old, new)) in differences(repository, tree(before)?, tree(after)?)? {
            let is_new = old.is_none() && !at_tips.contains(&commit);
            if is_new && repository.find(commit.0)?.is_none() {
                continue;
            }
            let Some(new) = new.map_or(Ok(None), note)? else { continue };
            if old.is_none() && is_carried(&was, &new) {
                continue;
            }
            if !is_new || new.refs.iter().any(|name| self.ours.contains_key(name)) {
                changes.push((commit, old.map_or(Ok(None), note)?, new));
            }
        }
        Ok(changes)
    }

    /// Where our branches stand, and those of the same names where they count.
    fn at_tips(&self) -> BTreeSet<CommitId> {
        let there = self.ours.keys().filter_map(|branch| self.theirs.get(branch));
        self.ours.values().chain(there).copied().collect()
    }

    /// Whether a branch, as it is now, has become broken by a verdict that is news here.
    fn is_newly_broken(&self, branch: &RefName, commit: CommitId, old: Option<&Note>, new: &Note) -> bool {
        let is_broken = |note: &Note| note.state == State::Broken;
        let is_tip = [&self.ours, &self.theirs].iter().any(|tips| tips.get(branch) == Some(&commit));
        let is_news = is_broken(new) && self.was.is_some() && !old.is_some_and(is_broken);
        is_tip
            && is_news
            && matches!(self.concerns(branch, commit, old, State::Broken), Ok(Some(About(None))))
    }

    /// What a withdrawal of a commit is about, if it is one of what is here of the branch, or of what was decided here, and not
    /// decided anew since.
    fn concerns(
        &self,
        branch: &RefName,
        commit: CommitId,
        old: Option<&Note>,
        state: State,
    ) -> Result<Option<About>, SyncError> {
        let (view, repository) = (self.view, self.view.repository);
        let is_mine = self.who.as_ref().is_some_and(|me| {
            old.is_some_and(|old| old.by.as_ref() == Some(me)) || view.is_committed_by(commit, me)
        });
        let Some(tip) = self.ours.get(branch).copied() else {
            return Ok(is_mine.then_some(About(None)));
        };
        if *branch == view.settings.base || view.is_on_base(tip)? {
            return Ok(None);
        }
        let is_below = || -> Result<bool, SyncError> {
            Ok(repository.find(commit.0)?.is_some() && repository.is_ancestor(commit, tip)?)
        };
        let earlier = if commit == tip || self.theirs.get(branch) == Some(&commit) {
            None
        } else if is_below()? {
            Some(Earlier::Below(commit))
        } else if is_mine {
            Some(Earlier::Left(commit))
        } else {
            return Ok(None);
        };
        let since = match view.branch(branch) {
            // What was decided before any of that came here knew nothing of it.
            Ok((now, _)) if earlier.is_some() && self.was_decided(tip, now.note.as_ref()) => None,
            Ok((now, _)) => now.note.and_then(|note| note.decision()),
            Err(ViewError::Notes(NotesError::Note { .. })) => None,
            Err(error) => return Err(boxed(error)),
        };
        let holds = since.is_none_or(|since| Some(since) >= state.decision());
        Ok(holds.then_some(About(earlier)))
    }

    /// Whether what was decided of a commit was decided so before.
    fn was_decided(&self, commit: CommitId, now: Option<&Note>) -> bool {
        let was = self.was.as_ref().and_then(|was| was.get(commit).ok().flatten());
        was.zip(now).is_some_and(|(was, now)| was.decision() == now.decision() && was.rev == now.rev)
    }

    /// Who has decided that, and why. What a note says that speaks for another branch by now was said of that.
    fn decided(&self, branch: &RefName, state: State, new: &Note) -> Decided {
        if new.speaks_for(branch, true) {
            return Decided::of(state, new.clone());
        }
        let all = self.transitions.get_or_init(|| transitions(self.view, None).unwrap_or_default());
        let last = all.iter().find(|made| made.branch.as_ref() == Some(branch));
        let last = last.filter(|last| last.to == state).cloned();
        let since = last.as_ref().and_then(|last| last.time);
        let (by, why) = last.map_or((None, None), |last| (Some(last.by), last.message));
        Decided { state, since, by, why, earlier: None }
    }
}

/// Whether a note that is new says only what was known of its line already: a rebase decides nothing.
fn is_carried(was: &Notes<'_>, new: &Note) -> bool {
    let before = [new.approved, new.rebased_from, new.root].into_iter().flatten();
    let known = before.filter_map(|commit| was.get(commit).ok().flatten()).flat_map(|note| active(&note));
    let known: BTreeSet<DecisionId> = known.map(|(id, _)| id).collect();
    active(new).iter().all(|(id, _)| known.contains(id))
}

/// The branches that a note spoke for, and that it takes back now, with what they are by that. Where nothing was known before,
/// that is what was decided more than once.
fn withdrawn(old: Option<&Note>, new: &Note) -> Vec<(RefName, State)> {
    if new.state == State::Deployed {
        return Vec::new();
    }
    let (names, was) = match old {
        Some(old) if !old.refs.is_empty() => (&old.refs, old.decision()),
        Some(old) => (&new.refs, old.decision()),
        None if new.rev > 1 => (&new.refs, Some(Decision::Deployable)),
        None => return Vec::new(),
    };
    let now = |name: &RefName| {
        if new.speaks_for(name, true) { new.decision() } else { Some(Decision::Development) }
    };
    let taken =
        names.iter().filter_map(|name| now(name).filter(|now| Some(*now) > was).map(|now| (name, now)));
    taken.filter(|_| was.is_some()).map(|(name, now)| (name.clone(), State::from(now))).collect()
}

/// The branches of ours that have lost commits on the remote since it was seen with these heads. What cannot be found out of that
/// says nothing of one branch.
pub(super) fn by_moves(
    repository: &Repository,
    tracking: &Tracking,
    before: &BTreeMap<RefName, ObjectId>,
    now: &BTreeMap<RefName, ObjectId>,
) -> Vec<Withdrawn> {
    let moved =
        before.iter().filter(|(branch, tip)| now.get(*branch) != Some(*tip)).map(|(branch, _)| branch);
    let moved: Vec<&RefName> = moved.collect();
    if moved.is_empty() {
        return Vec::new();
    }
    // Another remote decides nothing.
    let view = View::new(repository).ok().filter(|view| view.settings.remote.as_ref() == Some(tracking));
    let Some(view) = view else { return Vec::new() };
    let withdrawn = |name: &RefName| {
        let tip = repository.tip(name).ok()??;
        let state = view.branch(name).ok()?.0.state();
        // What has landed is mostly deleted then.
        if !state.is_rebased() || !matches!(view.landed_elsewhere(name, tip), Ok(None)) {
            return None;
        }
        let taken = taken_back(&view, name, tip).ok()??;
        let how = How::Gone { remote: tracking.remote().to_owned(), state, taken };
        Some(Withdrawn { branch: name.clone(), how })
    };
    moved.into_iter().filter_map(withdrawn).collect()
}

/// The branches under a prefix, by the names that they have there.
fn heads(repository: &Repository, prefix: &str) -> Result<BTreeMap<RefName, CommitId>, SyncError> {
    let branch = |name: &RefName| RefName::branch(name.as_str().strip_prefix(prefix)?).ok();
    let heads = repository.refs(prefix)?.into_iter().filter(|head| !head.symbolic);
    Ok(heads.filter_map(|head| Some((branch(&head.name)?, CommitId(head.target)))).collect())
}

fn boxed(error: ViewError) -> SyncError {
    SyncError::View(Box::new(error))
}
