//! Which branches a sweep looks at, and what the remote made of them.

use std::collections::{HashMap, HashSet};

use super::apart::{Apart, apart};
use super::plan::{Followed, Subject};
use super::{Advice, Fate, Outcome, SweepError, SweepRequest, notes};
use crate::branch::Branch;
use crate::config::ConfigError;
use crate::git::GitError;
use crate::git::notes::{Notes, NotesError};
use crate::ids::{CommitId, RefName};
use crate::note::{Note, NoteError};
use crate::ops::approve;
use crate::ops::sync;
use crate::ops::view::View;
use crate::rebase::RebaseError;
use crate::state::State;

/// How many commits of a branch, or rebases of a commit, are looked at to find out what the remote made of it.
const FAR: usize = 1000;

/// What the remote's branch is to ours.
enum Theirs {
    /// The same, older, or something else.
    Nothing,
    /// Ours with further commits.
    Ahead,
    /// A rebase of ours.
    Rebased(Followed),
    /// What ours is a rebase of, or could be: both were made from one commit, and ours stands on the newer base.
    Original,
    /// Said to be a rebase of ours, and is none.
    Other,
}

/// How a branch stands to that of the same name on the remote, which has a commit that ours does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The remote has ours with further commits.
    Behind,
    /// The remote has a rebase of ours: `git deploy-rebase` follows it.
    RebasedThere,
    /// Ours is a rebase of what the remote has.
    RebasedHere,
    /// Ours stood where the remote's stands, and was rewritten or set back since, with `git commit --amend` as with
    /// `git reset`; nobody has taken that back there.
    RewrittenHere,
    /// As far as notes and reflogs say neither was made from the other.
    Apart(Apart),
    /// Neither was made from the other, and what the remote has is on base: it is not to be replaced.
    LandedThere,
}

/// Finds out how one of our branches stands to that of the remote.
///
/// # Errors
/// When history or what was fetched cannot be read.
pub fn standing(view: &View<'_>, branch: &Branch) -> Result<Standing, SweepError> {
    let base_tip = match view.settings.base_tip(view.repository) {
        Err(ConfigError::NoBase { .. }) => return Ok(Standing::Apart(Apart::Look)),
        base_tip => base_tip?,
    };
    let selector = Selector { view, base_tip, malformed: HashMap::new(), fetched: fetched_notes(view)? };
    Ok(match selector.theirs(branch)? {
        Theirs::Ahead => Standing::Behind,
        Theirs::Rebased(_) => Standing::RebasedThere,
        _ if selector.has_landed_there(branch)? => Standing::LandedThere,
        Theirs::Original => Standing::RebasedHere,
        Theirs::Other | Theirs::Nothing if selector.was_rewritten(branch)? => Standing::RewrittenHere,
        Theirs::Other | Theirs::Nothing => Standing::Apart(selector.apart(branch)?),
    })
}

/// The branches to be judged, and outcomes of those that need no judging.
///
/// # Errors
/// When a named branch is not there, or something cannot be read.
pub(super) fn select(
    view: &View<'_>,
    request: &SweepRequest,
    base_tip: CommitId,
) -> Result<(Vec<Subject>, Vec<Outcome>), SweepError> {
    let found = view.local_branches()?;
    let mut malformed = HashMap::new();
    for told in &found.malformed {
        if let NotesError::Note { commit, error } = told {
            malformed.insert(*commit, (told.to_string(), error.clone()));
        }
    }
    let selector = Selector { view, base_tip, malformed, fetched: fetched_notes(view)? };
    let (mut subjects, mut outcomes) = (Vec::new(), Vec::new());
    let mut add = |branch: Branch, named: bool| -> Result<(), SweepError> {
        match selector.look_at(branch, named)? {
            Selected::Judge(subject) => subjects.push(*subject),
            Selected::Known(outcome) => outcomes.push(outcome),
            Selected::Nothing => {}
        }
        Ok(())
    };
    if request.branches.is_empty() {
        found.branches.into_iter().try_for_each(|branch| add(branch, false))?;
        return Ok((subjects, outcomes));
    }
    let mut by_name: HashMap<RefName, Branch> =
        found.branches.into_iter().map(|branch| (branch.name.clone(), branch)).collect();
    let mut seen = HashSet::new();
    let mut others = Vec::new();
    for name in request.branches.iter().filter(|name| seen.insert((*name).clone())) {
        match by_name.remove(name) {
            Some(branch) => add(branch, true)?,
            None => others.push(no_candidate(view, name)?),
        }
    }
    outcomes.extend(others);
    Ok((subjects, outcomes))
}

/// A named branch that is never rebased.
fn no_candidate(view: &View<'_>, name: &RefName) -> Result<Outcome, SweepError> {
    let Some(tip) = view.repository.tip(name)? else { return Err(SweepError::NoBranch(name.clone())) };
    let reason = match view.repository.symbolic_target(name.as_str())? {
        Some(target) => format!("it is another name of '{}'", target.short()),
        None if *name == view.settings.base => "it is the base that branches land on".to_owned(),
        None => "rendered manifests are kept in it".to_owned(),
    };
    Ok(Outcome { branch: name.clone(), old: tip, new: tip, fate: Fate::skipped(reason) })
}

/// The notes that were last fetched, which a check has not merged.
fn fetched_notes<'a>(view: &View<'a>) -> Result<Option<Notes<'a>>, SweepError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let fetched = sync::fetched_notes(view.repository, tracking)?;
    Ok(fetched.map(|commit| view.repository.notes_at(Some(commit))).transpose()?)
}

/// What is to be done with a branch.
enum Selected {
    Judge(Box<Subject>),
    Known(Outcome),
    Nothing,
}

struct Selector<'v, 'a> {
    view: &'v View<'a>,
    base_tip: CommitId,
    malformed: HashMap<CommitId, (String, NoteError)>,
    fetched: Option<Notes<'a>>,
}

impl Selector<'_, '_> {
    fn look_at(&self, branch: Branch, named: bool) -> Result<Selected, SweepError> {
        let state = branch.state();
        let kept = state.is_rebased() || state == State::Broken;
        let skipped = |reason: &str, advice: Option<Advice>| {
            let fate =
                Fate::Skipped { reason: reason.to_owned(), advice: advice.map(Box::new), failed: false };
            let (old, new) = (branch.tip, branch.tip);
            Ok(Selected::Known(Outcome { branch: branch.name.clone(), old, new, fate }))
        };
        if let Some((reason, error)) = self.malformed.get(&branch.tip) {
            return skipped(reason, Some(Advice::Note(branch.tip, error.clone())));
        }
        if state == State::Deployed {
            return if named { skipped("it is deployed", None) } else { Ok(Selected::Nothing) };
        }
        // What landed is followed first, whatever the remote has by now, and also where it has the branch no more.
        let landed = self.view.landed_elsewhere(&branch.name, branch.tip)?;
        let landed = landed.map(|landed| Followed { upstream: landed.upstream, onto: landed.commit });
        if landed.is_some() {
            return Ok(Selected::Judge(Box::new(self.subject(branch, named, landed))));
        }
        let followed = match self.theirs(&branch)? {
            Theirs::Ahead if kept || named => {
                let remote = self.view.settings.authority(&branch.name);
                let reason = format!("'{}' has further commits", remote.short());
                return skipped(&reason, Some(Advice::Further(remote)));
            }
            Theirs::Other => {
                let remote = self.view.settings.authority(&branch.name);
                let reason = format!("'{}' is said to be a rebase of it, and is none", remote.short());
                return skipped(&reason, Some(Advice::Other(remote)));
            }
            Theirs::Rebased(followed) => Some(followed),
            Theirs::Nothing | Theirs::Original | Theirs::Ahead => None,
        };
        Ok(match kept || named || followed.is_some() {
            true => Selected::Judge(Box::new(self.subject(branch, named, followed))),
            false => Selected::Nothing,
        })
    }

    fn subject(&self, branch: Branch, named: bool, followed: Option<Followed>) -> Subject {
        let Branch { name, tip, note, .. } = branch;
        let mut subject = Subject { name, tip, named, followed, note };
        let from = subject.from();
        if from != tip {
            let theirs = self.note(from).map(|theirs| match &subject.note {
                Some(ours) => notes::joined(&[(tip, ours), (from, &theirs)], from).unwrap_or(theirs),
                None => theirs,
            });
            subject.note = theirs.filter(|note| note.speaks_for(&subject.name, true));
        }
        subject
    }

    /// The note on a commit, ours or as it was fetched. One that cannot be read says nothing.
    fn note(&self, commit: CommitId) -> Option<Note> {
        let ours = self.view.notes.get(commit).ok().flatten();
        ours.or_else(|| self.fetched.as_ref()?.get(commit).ok().flatten())
    }

    /// What the remote's branch is to ours, where notes that say that it was rebased are true.
    fn theirs(&self, branch: &Branch) -> Result<Theirs, RebaseError> {
        let followed = match self.said_of_theirs(branch)? {
            Theirs::Rebased(followed) => followed,
            theirs => return Ok(theirs),
        };
        if self.is_rebase(branch, followed)? {
            return Ok(Theirs::Rebased(followed));
        }
        // Both were made from the same commit, each in a clone of its own.
        let other_way = Followed { upstream: followed.onto, onto: followed.upstream };
        Ok(if self.is_rebase(branch, other_way)? { Theirs::Original } else { Theirs::Other })
    }

    fn said_of_theirs(&self, branch: &Branch) -> Result<Theirs, GitError> {
        let repository = self.view.repository;
        if self.view.settings.remote.is_none() {
            return Ok(Theirs::Nothing);
        }
        let (ours, remote) = (branch.tip, self.view.settings.authority(&branch.name));
        let theirs = match repository.tip(&remote)? {
            Some(theirs) if theirs != ours && !repository.is_ancestor(theirs, ours)? => theirs,
            _ => return Ok(Theirs::Nothing),
        };
        if repository.is_ancestor(ours, theirs)? {
            let landed = repository.is_ancestor(ours, self.base_tip)?;
            return Ok(if landed { Theirs::Nothing } else { Theirs::Ahead });
        }
        // Where the branch stands on its own commits' lines, from the tip on.
        let mut own: HashMap<CommitId, CommitId> = HashMap::new();
        for commit in self.own_commits(ours)? {
            for earlier in self.line(commit) {
                own.entry(earlier).or_insert(commit);
            }
        }
        if own.contains_key(&theirs) {
            return Ok(Theirs::Original);
        }
        let upstream = self.line(theirs).iter().find_map(|commit| own.get(commit).copied());
        Ok(match upstream {
            Some(upstream) => Theirs::Rebased(Followed { upstream, onto: theirs }),
            None => Theirs::Nothing,
        })
    }

    /// Whether what the remote has of a branch was pushed from here, as the reflog has it, or is a rebase of that, which brings
    /// nothing else; and it never had ours. That ours stood there is not enough: it may have been pulled, with what somebody
    /// else did.
    fn was_rewritten(&self, branch: &Branch) -> Result<bool, RebaseError> {
        let (repository, there) = (self.view.repository, self.view.settings.authority(&branch.name));
        let Some(theirs) = repository.tip(&there)?.filter(|theirs| *theirs != branch.tip) else {
            return Ok(false);
        };
        if repository.was_at(&there, &[branch.tip])? {
            return Ok(false);
        }
        let pushed = repository.pushed_to(&there)?;
        for from in self.line(theirs).into_iter().filter(|from| pushed.contains(from)) {
            let is_it = from == theirs
                || approve::is_rebase_of(repository, from, &branch.name, theirs, self.base_tip)?;
            if is_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What to do about a branch and that of the remote, where neither was made from the other.
    fn apart(&self, branch: &Branch) -> Result<Apart, GitError> {
        let theirs = self.view.repository.tip(&self.view.settings.authority(&branch.name))?;
        let Some(theirs) = theirs else { return Ok(Apart::Look) };
        let own = [self.own_commits(branch.tip)?, self.own_commits(theirs)?];
        apart(self.view, branch, theirs, self.base_tip, [&own[0], &own[1]])
    }

    /// Whether base has what the remote has of a branch.
    fn has_landed_there(&self, branch: &Branch) -> Result<bool, GitError> {
        let repository = self.view.repository;
        let theirs = repository.tip(&self.view.settings.authority(&branch.name))?;
        theirs.map_or(Ok(false), |theirs| repository.is_ancestor(theirs, self.base_tip))
    }

    /// Whether what a note of the remote says to be a rebase is one: notes can be written by everybody who can push.
    fn is_rebase(&self, branch: &Branch, followed: Followed) -> Result<bool, RebaseError> {
        let (from, to) = (followed.upstream, followed.onto);
        approve::is_rebase_of(self.view.repository, from, &branch.name, to, self.base_tip)
    }

    /// A commit, what it was rebased from, what that was rebased from, and so on.
    fn line(&self, commit: CommitId) -> Vec<CommitId> {
        let mut line = vec![commit];
        while let Some(from) = line.last().and_then(|last| self.note(*last)?.rebased_from) {
            if line.contains(&from) || line.len() >= FAR {
                break;
            }
            line.push(from);
        }
        line
    }

    /// The commits of a branch that base does not have, from its tip on.
    fn own_commits(&self, tip: CommitId) -> Result<Vec<CommitId>, GitError> {
        let repository = self.view.repository;
        let end = repository.merge_base(tip, self.base_tip)?;
        let mut own = Vec::new();
        let mut next = Some(tip);
        while let Some(commit) = next.filter(|commit| Some(*commit) != end && own.len() < FAR) {
            own.push(commit);
            next = repository.commit(commit)?.parents.first().copied();
        }
        Ok(own)
    }
}
