//! A user moves branches from one state to another: all of those named, or none.

use crate::branch::Branch;
use crate::git::notes::{Notes, NotesEdit, NotesError};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::sync::{self, SyncError};
use crate::ops::view::{View, ViewError};
use crate::rebase::{Committer, Engine, MergeTreeEngine, RebaseError, Request, Verdict};
use crate::state::{Move, Refused, State, user_move};

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct SetRequest {
    /// The state to move to.
    pub state: State,
    /// The branches.
    pub branches: Vec<RefName>,
    /// Why, in the user's words.
    pub message: Option<String>,
    /// A new place in the queue.
    pub priority: Option<i64>,
}

/// One branch that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The branch.
    pub branch: RefName,
    /// Its tip.
    pub tip: CommitId,
    /// The state that it was in.
    pub from: State,
    /// The state that it is in.
    pub to: State,
}

/// Whether others can see the new state.
#[derive(Debug)]
pub enum Publication {
    /// There is no remote, or nothing changed.
    NotNeeded,
    /// The remote has it.
    Done,
    /// `deploy.publish` is false.
    SwitchedOff,
    /// The remote does not have the commit: the pre-push hook will publish it.
    NotPushed(Vec<RefName>),
    /// It could not be published; it is set all the same.
    Failed(SyncError),
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The move is none that a user may make.
    #[error("cannot set '{branch}' to {to}: {why}")]
    Refused {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Why not.
        why: Refused,
    },
    /// Base is where branches land.
    #[error("cannot set the state of '{0}': it is the base that branches land on")]
    Base(RefName),
    /// There is nothing to deploy.
    #[error("cannot set '{branch}' to {to}: it has no commits beyond base '{base}'")]
    Empty {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Base.
        base: RefName,
    },
    /// It would be broken.
    #[error("cannot set '{branch}' to {to}: it cannot be rebased cleanly on '{base}'")]
    Conflicts {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Base.
        base: RefName,
        /// The commit that does not apply.
        commit: CommitId,
        /// The paths that conflict, quoted.
        paths: Vec<String>,
    },
    /// The rebase leaves such branches alone.
    #[error("cannot set '{branch}' to {to}: {why}")]
    NotRebased {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Why not.
        why: String,
    },
    /// The commit's note speaks for another branch in another state.
    #[error("cannot set '{branch}' to {to}: its commit is also the tip of '{other}', which is {state}")]
    Shared {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// The other branch.
        other: RefName,
        /// Its state.
        state: State,
    },
    /// Branches could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The check could not be made.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// The notes could not be written.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<crate::config::ConfigError> for SetError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::View(error.into())
    }
}

/// Moves branches to a state.
///
/// # Errors
/// When one of them may not be moved: then none is.
pub fn set_state(
    repository: &Repository,
    request: &SetRequest,
    observer: &dyn Observer,
) -> Result<(Vec<Change>, Publication), SetError> {
    let identity = repository.identity()?;
    let mut changes = Vec::new();
    repository.write_notes(&identity, |notes| {
        let view = View::new(repository)?;
        changes.clear();
        let mut edit = NotesEdit::default();
        let moved = checked_branches(&view, request)?;
        rebase_check(&view, &moved, request.state)?;
        for (branch, from) in moved {
            let change = Change { branch: branch.name.clone(), tip: branch.tip, from, to: request.state };
            let note = new_note(&view, notes, &edit, &branch, request, &identity)?;
            edit.set(branch.tip, &note);
            changes.push(change);
        }
        edit.message = action(&changes, request);
        Ok::<_, SetError>(edit)
    })?;
    let publication = publish(repository, &changes, observer)?;
    Ok((changes, publication))
}

/// The branches that the request moves, with the states that they are in; those that are there already are left out
/// unless something else about them changes.
fn checked_branches(view: &View<'_>, request: &SetRequest) -> Result<Vec<(Branch, State)>, SetError> {
    let mut moved: Vec<(Branch, State)> = Vec::new();
    for name in &request.branches {
        if *name == view.settings.base {
            return Err(SetError::Base(name.clone()));
        }
        let (branch, _) = view.branch(name)?;
        let from = branch.state();
        let refused = |why| SetError::Refused { branch: name.clone(), to: request.state, why };
        let step = user_move(from, request.state).map_err(refused)?;
        let says_more = request.message.is_some() || request.priority.is_some();
        let changes = step != Move::Already || says_more && request.state != State::Deployed;
        if changes && !moved.iter().any(|(other, _)| other.name == *name) {
            moved.push((branch, from));
        }
    }
    Ok(moved)
}

/// Refuses branches that would not stay staged or deployable.
fn rebase_check(view: &View<'_>, moved: &[(Branch, State)], to: State) -> Result<(), SetError> {
    let to_check: Vec<&Branch> =
        moved.iter().filter(|(_, from)| user_move(*from, to) == Ok(Move::IfRebases)).map(|(branch, _)| branch).collect();
    if to_check.is_empty() {
        return Ok(());
    }
    let base = view.settings.base_tip(view.repository)?;
    let requests: Vec<Request> =
        to_check.iter().map(|branch| Request::onto_base(branch.name.clone(), branch.tip, base)).collect();
    let verdicts = MergeTreeEngine::new(view.repository, Committer::Keep)?.rebase(&requests)?;
    for (branch, verdict) in to_check.iter().zip(verdicts) {
        let (name, base) = (branch.name.clone(), view.settings.base.clone());
        match verdict {
            Verdict::Current | Verdict::Rebased(_) => {}
            Verdict::Broken(conflict) => {
                let (commit, paths) = (conflict.commit, conflict.paths);
                return Err(SetError::Conflicts { branch: name, to, base, commit, paths });
            }
            Verdict::Skipped(skip) if skip.is_landed() => return Err(SetError::Empty { branch: name, to, base }),
            Verdict::Skipped(skip) => return Err(SetError::NotRebased { branch: name, to, why: skip.to_string() }),
        }
    }
    Ok(())
}

/// The note on the branch's tip after the decision.
fn new_note(
    view: &View<'_>,
    notes: &Notes<'_>,
    edit: &NotesEdit,
    branch: &Branch,
    request: &SetRequest,
    identity: &Identity,
) -> Result<Note, SetError> {
    // Another branch of the same request may have the same tip.
    let written = edit.edits.get(&branch.tip).and_then(|text| Note::parse(text.as_deref()?).ok());
    let standing = match written {
        Some(note) => Some(note),
        None => notes.get(branch.tip)?,
    };
    let mut note = standing.unwrap_or_else(|| Note::new(State::Development));
    let rev = highest_rev(view, notes, branch, &note)? + 1;
    let others: Vec<RefName> = match note.refs.is_empty() {
        false => note.refs.iter().filter(|name| **name != branch.name).cloned().collect(),
        // A note that names nobody speaks for the one branch that is there.
        true if note.state == State::Development => Vec::new(),
        true => view.heads_on(branch.tip)?.into_iter().filter(|name| *name != branch.name).collect(),
    };
    if let (Some(other), false) = (others.first(), note.state == State::Development) {
        return share(note, other, branch, request, rev);
    }
    note.state = request.state;
    note.refs = vec![branch.name.clone()];
    note.since = Some(identity.time());
    note.by = Some(identity.who().to_owned());
    note.message = request.message.clone();
    note.priority = request.priority.or(note.priority);
    note.approved = Some(branch.tip);
    note.rev = rev;
    note.was = None;
    note.reason = None;
    note.conflicts.clear();
    Ok(note)
}

/// A decision about a commit whose note speaks for other branches too: one more may join them, and one may leave.
fn share(mut note: Note, other: &RefName, branch: &Branch, request: &SetRequest, rev: u64) -> Result<Note, SetError> {
    if request.state == note.state {
        if !note.refs.contains(other) {
            note.refs.push(other.clone());
        }
        if !note.refs.contains(&branch.name) {
            note.refs.push(branch.name.clone());
        }
    } else if request.state == State::Development {
        note.refs.retain(|name| *name != branch.name);
        if note.refs.is_empty() {
            note.refs.push(other.clone());
        }
    } else {
        let (branch, to) = (branch.name.clone(), request.state);
        return Err(SetError::Shared { branch, to, other: other.clone(), state: note.state });
    }
    note.rev = rev;
    Ok(note)
}

/// The highest number of a decision on the branch's line of rebases: that of the note itself, or of the note on what
/// the remote made of the branch.
fn highest_rev(view: &View<'_>, notes: &Notes<'_>, branch: &Branch, note: &Note) -> Result<u64, SetError> {
    let line = note.line(branch.tip);
    let mut highest = note.rev;
    let theirs = view.repository.tip(&view.settings.authority(&branch.name))?;
    if let Some(tip) = theirs.filter(|tip| *tip != branch.tip) {
        let theirs = notes.get(tip)?.filter(|other| other.line(tip) == line);
        highest = highest.max(theirs.map_or(0, |other| other.rev));
    }
    Ok(highest)
}

fn action(changes: &[Change], request: &SetRequest) -> String {
    let names: Vec<&str> = changes.iter().map(|change| change.branch.short()).collect();
    let mut message = format!("set {} to {}", names.join(", "), request.state);
    for change in changes {
        message.push_str(&format!("\n\n{} {} {} {}", change.branch, change.tip, change.from, change.to));
    }
    message
}

/// Publishes the notes if the remote has the commits that they stand on.
fn publish(repository: &Repository, changes: &[Change], observer: &dyn Observer) -> Result<Publication, SetError> {
    let view = View::new(repository)?;
    let Some(tracking) = view.settings.remote.as_ref().filter(|_| !changes.is_empty()) else {
        return Ok(Publication::NotNeeded);
    };
    if !view.settings.publish {
        return Ok(Publication::SwitchedOff);
    }
    let mut not_pushed = Vec::new();
    for change in changes {
        let theirs = repository.tip(&view.settings.authority(&change.branch))?;
        let pushed = match theirs {
            Some(theirs) => repository.is_ancestor(change.tip, theirs)?,
            None => false,
        };
        if !pushed {
            not_pushed.push(change.branch.clone());
        }
    }
    if not_pushed.len() == changes.len() {
        return Ok(Publication::NotPushed(not_pushed));
    }
    match sync::publish_notes(repository, tracking, observer) {
        Ok(_) if not_pushed.is_empty() => Ok(Publication::Done),
        Ok(_) => Ok(Publication::NotPushed(not_pushed)),
        Err(error) => Ok(Publication::Failed(error)),
    }
}
