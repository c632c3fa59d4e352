//! A user moves branches from one state to another: all of those named, or none.

mod checks;
mod decided;
mod error;
mod held;
mod remote;
mod shared;
mod signed;
mod wishes;

use std::collections::BTreeMap;

use crate::branch::{Branch, Status};
use crate::config::Settings;
use crate::git::notes::{Notes, NotesEdit, NotesError, notes_ref};
use crate::git::{Identity, Repository};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::approve::said_of;
use crate::ops::copied;
use crate::ops::sync::{self, SyncError};
use crate::ops::view::{View, ViewError};
use crate::record::plain;
use crate::revert::TakenBack;
use crate::state::{Decision, Move, Refused, State, user_move};
use crate::sync::{forgetting, next_rev, replacing};

/// The longest message, in bytes, so that a note stays far below what is read of one.
const MAX_MESSAGE: usize = 8 * 1024;

use checks::Checks;
pub use decided::DecidedThere;
pub use error::SetError;
pub use held::HeldThere;
use signed::Signatures;
pub use wishes::{Wished, Wishes};

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct SetRequest {
    /// The state to move to.
    pub state: State,
    /// The branches.
    pub branches: Vec<RefName>,
    /// Why, in the user's words.
    pub message: Option<String>,
    /// What is wished for them in the queue.
    pub wishes: Wishes,
    /// Whether nothing but wishes may change: branches that are in another state, where they count, are refused.
    pub stays: bool,
}

impl SetRequest {
    /// The same without what would move a terminal's cursor: `git log` shows notes as they are.
    fn in_plain_words(&self) -> Self {
        let message = self.message.as_deref().map(plain);
        let hold = self.wishes.hold.as_ref().map(|hold| hold.as_deref().map(plain));
        Self { message, wishes: Wishes { hold, ..self.wishes.clone() }, ..self.clone() }
    }
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

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The branches that were moved, or about which something else was written.
    pub changes: Vec<Change>,
    /// The branches that are in the state already.
    pub already: Vec<RefName>,
    /// Branches that a deployment is on its way with: what was decided comes too late for it.
    pub on_its_way: Vec<(RefName, DeploymentId)>,
    /// Branches on the commit of one that has left, which were approved together with that and have to be approved again.
    pub unapproved: Vec<RefName>,
    /// Branches that are to be deployed without their beginning: base has had that, and has taken it back.
    pub beheaded: Vec<(RefName, TakenBack)>,
    /// Holds of others that these branches stand on below commits of others, and that do not hold them.
    pub passed_holds: Vec<(RefName, HeldThere)>,
    /// Whether others can see it.
    pub publication: Publication,
}

/// Whether others can see the new state.
#[derive(Debug)]
pub enum Publication {
    /// There is no remote, or nothing to publish.
    NotNeeded,
    /// The remote has it.
    Done,
    /// `deploy.publish` is false.
    SwitchedOff,
    /// The remote does not have these branches' commits: the pre-push hook will publish their states.
    NotPushed(Vec<RefName>),
    /// It could not be published; it is set all the same.
    Failed(SyncError),
}

/// Moves branches to a state.
///
/// # Errors
/// When one of them may not be moved: then none is.
pub fn set_state(
    repository: &Repository,
    request: &SetRequest,
    observer: &dyn Observer,
) -> Result<Outcome, SetError> {
    let texts = [request.message.as_ref(), request.wishes.hold.as_ref().and_then(Option::as_ref)];
    if texts.into_iter().flatten().any(|text| text.len() > MAX_MESSAGE) {
        return Err(SetError::MessageTooLong(request.state));
    }
    let request = &request.in_plain_words();
    let subject = subject(request.branches.iter().map(RefName::short), request.state);
    // Before the writer: what a fetch leaves behind, as a maintenance of the repository, inherits its intent, and would hold
    // that for as long as it lives.
    if let Some(tracking) = remote::asked(repository, request)? {
        remote::hear(repository, &tracking, request, observer)?;
    }
    let passed_holds = held::check(repository, request)?;
    let writer = repository.write_notes_soon(&subject)?;
    let identity = repository.identity()?;
    let mut checks = Checks::default();
    let mut planned = Planned::default();
    let mut signatures = Signatures::default();
    let mut unapproved = Vec::new();
    writer.write(&identity, |notes| {
        let view = View::with(repository, notes.clone())?;
        planned = plan(&view, request)?;
        checks.check(&view, &planned.moved, request.state)?;
        let mut edit = NotesEdit::default();
        for (branch, _) in &planned.moved {
            let note = new_note(&view, notes, &edit, branch, request, &identity)?;
            edit.set(branch.tip, &note);
        }
        // Only now it is known what is decided about a commit that several of the branches share.
        if request.state == State::Deployable {
            signatures.sign(&view, &planned.moved, &mut edit)?;
        }
        unapproved = signed::lost(&view, notes, &planned.moved, &edit)?;
        for (branch, _) in &planned.moved {
            carry(&view, notes, &mut edit, branch)?;
        }
        edit.message = action(&planned.changes(request.state), request);
        Ok::<_, SetError>(edit)
    })?;
    let publication = publish(repository, &planned, observer)?;
    let mut on_its_way = planned.on_its_way();
    if request.state != State::Deployable && matches!(publication, Publication::Done) {
        on_its_way.extend(remote::begun_meanwhile(repository, &planned.moved)?);
        on_its_way.dedup();
    }
    Ok(Outcome {
        changes: planned.changes(request.state),
        on_its_way,
        beheaded: checks::beheaded(repository, &planned, request.state),
        already: planned.already.into_iter().map(|branch| branch.name).collect(),
        unapproved,
        passed_holds,
        publication,
    })
}

/// What a request comes to, as the branches stand at one moment.
#[derive(Default)]
struct Planned {
    /// The branches to write about, with the states that they are in.
    moved: Vec<(Branch, State)>,
    /// The branches about which nothing is to be written.
    already: Vec<Branch>,
}

impl Planned {
    /// The branches whose candidate is being applied, by what the deployment has written into its note.
    fn on_its_way(&self) -> Vec<(RefName, DeploymentId)> {
        let begun = self.moved.iter().filter_map(|(branch, _)| {
            let note = branch.note.as_ref().filter(|note| note.result.is_none())?;
            Some((branch.name.clone(), note.deployment.clone()?))
        });
        begun.collect()
    }

    fn changes(&self, to: State) -> Vec<Change> {
        let change = |(branch, from): &(Branch, State)| Change {
            branch: branch.name.clone(),
            tip: branch.tip,
            from: *from,
            to,
        };
        self.moved.iter().map(change).collect()
    }
}

/// Looks at the branches that the request names. Those that are in the state already are left out, unless something else
/// about them changes.
fn plan(view: &View<'_>, request: &SetRequest) -> Result<Planned, SetError> {
    let mut planned = Planned::default();
    let says_more = request.message.is_some() || request.wishes != Wishes::default();
    let rendered = view.rendered_branches()?;
    for (index, name) in request.branches.iter().enumerate() {
        if request.branches[..index].contains(name) {
            continue;
        }
        if *name == view.settings.base {
            return Err(SetError::Base(name.clone()));
        }
        if rendered.contains(name) {
            return Err(SetError::Rendered(name.clone()));
        }
        // What waits in the queue is what counts, whatever there is of it here.
        let counts = if request.stays { view.authority_branch(name)? } else { None };
        let branch = counts.map_or_else(|| Ok(view.branch(name)?.0), Ok::<_, ViewError>)?;
        let from = branch.state();
        if request.stays && from != request.state {
            return Err(SetError::NotThere { branch: name.clone(), state: from, wanted: request.state });
        }
        let step = match user_move(from, request.state) {
            Ok(step) => step,
            Err(why) => {
                let taken = match why {
                    Refused::Deployed => checks::taken_back(view, &branch, request.state)?,
                    Refused::OnlyTheRunner | Refused::OnlyTheRebase => None,
                };
                let refused = SetError::Refused { branch: name.clone(), to: request.state, why };
                return Err(taken.unwrap_or(refused));
            }
        };
        let is_decision = request.state.decision().is_some();
        // What is the claim of somebody who may not approve, or a note that counts for nothing yet, is still to be decided.
        let is_plain = view.not_approved(&branch)?.is_none()
            && !signed::is_lost(view, &branch)?
            && !could_come_to_count(view, &branch)?;
        let stands = step == Move::Already && is_plain;
        if stands && !(says_more && is_decision) {
            planned.already.push(branch);
        } else {
            planned.moved.push((branch, from));
        }
        planned.moved.extend(withdrawn_there(view, name, request.state)?);
    }
    if let Some(Some(after)) = &request.wishes.after {
        wishes::check_order(view, &request.branches, after)?;
    }
    Ok(planned)
}

/// Whether a note on a branch's tip counts for nothing as things are, and could count for this branch as soon as others are
/// gone, or base is set back: who says that it is in development means that, too.
fn could_come_to_count(view: &View<'_>, branch: &Branch) -> Result<bool, SetError> {
    if let Status::Merged { .. } = branch.status {
        return Ok(true);
    }
    if branch.note.is_some() {
        return Ok(false);
    }
    let note = view.notes.get(branch.tip)?.filter(|note| note.speaks_for(&branch.name, true));
    Ok(note.is_some_and(|note| note.decision().is_some_and(|made| made != Decision::Development)))
}

/// The remote's commit of a branch that is to be withdrawn, where ours is another: what is queued is the remote's, and who
/// withdraws a branch means that.
fn withdrawn_there(view: &View<'_>, name: &RefName, to: State) -> Result<Option<(Branch, State)>, SetError> {
    if to != State::Development {
        return Ok(None);
    }
    let (ours, _) = view.branch(name)?;
    let line = |branch: &Branch| branch.note.as_ref().map(|note| note.line(branch.tip));
    let theirs = view
        .authority_branch(name)?
        // On the same line of rebases the decision reaches it anyway.
        .filter(|theirs| theirs.tip != ours.tip && line(theirs) != line(&ours));
    let from = theirs.map(|theirs| (theirs.state(), theirs)).filter(|(from, _)| from.is_rebased());
    Ok(from.map(|(from, theirs)| (theirs, from)))
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
    // Nothing of what was made for another commit holds here, but it was seen.
    let copied = match &standing {
        Some(note) => copied::fault(notes, branch.tip, note)?.is_some(),
        None => false,
    };
    let note = standing.clone().filter(|_| !copied).unwrap_or_else(|| Note::new(State::Development));
    let theirs = rebased_there(view, notes, branch, note.line(branch.tip))?.map(|(_, theirs)| theirs);
    let mut seen: Vec<Note> = standing.into_iter().chain(theirs).collect();
    let rev = next_rev(&seen);
    // Who signs overrules all that has come to here, also what stands in notes that were taken away or written over.
    if request.state == State::Deployable && view.rules()?.is_some() {
        seen.extend(said_of(notes, branch.tip, &note)?);
    }
    let others = others(view, &note, branch)?;
    // Those that are moved together hinder nobody: each of them joins the one before.
    let is_moved = |name: &RefName| note.state != request.state && request.branches.contains(name);
    let moves_all = request.state != State::Development && others.iter().all(is_moved);
    let decided = match others.is_empty() || note.state == State::Development || moves_all {
        false => shared::share(note, &others, branch, request, identity, rev)?,
        true => {
            let decided = decided(note, branch, request, identity);
            Note { rev, onto: stands_on(view, branch, &decided)?, ..decided }
        }
    };
    Ok(replacing(decided, &seen))
}

/// The other branches that a note speaks for. One that has left the commit, here and on the remote, is none any more, nor is one
/// that was renamed or deleted.
fn others(view: &View<'_>, note: &Note, branch: &Branch) -> Result<Vec<RefName>, SetError> {
    let mut others = match note.refs.is_empty() {
        false => note.refs.clone(),
        // A note that names nobody speaks for the one branch that is there.
        true if note.state == State::Development => Vec::new(),
        true => view.heads_on(branch.tip)?,
    };
    // And of several for none, as it is read.
    if note.refs.is_empty() && others.len() > 1 {
        return Ok(Vec::new());
    }
    others.retain(|name| *name != branch.name);
    let mut there = Vec::new();
    for name in others {
        let tips = [view.repository.tip(&name)?, view.repository.tip(&view.settings.authority(&name))?];
        if tips.contains(&Some(branch.tip)) {
            there.push(name);
        }
    }
    Ok(there)
}

/// The commit of base that an approved branch stands on: should base ever lose it, it is not the branch's to bring back.
fn stands_on(view: &View<'_>, branch: &Branch, decided: &Note) -> Result<Option<CommitId>, SetError> {
    if decided.onto.is_some() || !decided.state.is_rebased() {
        return Ok(decided.onto);
    }
    let base_tip = view.settings.base_tip(view.repository)?;
    Ok(view.repository.merge_base(branch.tip, base_tip)?)
}

/// A decision about a commit whose note speaks for nobody else.
fn decided(note: Note, branch: &Branch, request: &SetRequest, identity: &Identity) -> Note {
    // What was wished for another branch that was on this commit is no wish for this one.
    let spoke = match note.refs.is_empty() {
        true => branch.note.is_some(),
        false => note.refs.contains(&branch.name),
    };
    let stays = spoke && note.state == request.state;
    let note = if spoke { note } else { Note { priority: None, after: None, hold: None, ..note } };
    let note = request.wishes.written_to(note);
    Note {
        state: request.state,
        refs: vec![branch.name.clone()],
        // Who only says more about a branch does not send it to the end of the queue.
        since: note.since.filter(|_| stays).or(Some(identity.time())),
        by: Some(plain(identity.who())).filter(|_| !stays || request.message.is_some()).or(note.by),
        message: request.message.clone().or(note.message.filter(|_| stays)),
        approved: Some(branch.tip),
        approval: None,
        was: None,
        reason: note.reason.filter(|_| stays),
        // What a rebase was tried on means nothing without its verdict.
        onto: note.onto.filter(|_| note.state != State::Broken),
        conflicts: Vec::new(),
        ..note
    }
}

/// What the remote made of a branch by rebasing it: the tip there and the note on it, if that is another one of the same
/// line.
fn rebased_there(
    view: &View<'_>,
    notes: &Notes<'_>,
    branch: &Branch,
    line: CommitId,
) -> Result<Option<(CommitId, Note)>, SetError> {
    let theirs = view.repository.tip(&view.settings.authority(&branch.name))?;
    let Some(tip) = theirs.filter(|tip| *tip != branch.tip) else { return Ok(None) };
    match notes.get(tip) {
        // A note there that cannot be read says nothing, and is told about where that branch is looked at.
        Err(NotesError::Note { .. }) => Ok(None),
        note => Ok(note?.filter(|note| note.line(tip) == line).map(|note| (tip, note))),
    }
}

/// Writes a decision into the notes on what the branch was rebased from, and on what the remote made of it, as a merge would:
/// it may be set back to those, and a withdrawal of the commits that stand here must not wait until these are fetched and set.
fn carry(view: &View<'_>, notes: &Notes<'_>, edit: &mut NotesEdit, branch: &Branch) -> Result<(), SetError> {
    let Some(text) = edit.edits.get(&branch.tip).cloned().flatten() else { return Ok(()) };
    let Ok(note) = Note::parse(&text) else { return Ok(()) };
    let mut line = notes.rebased_from(&note)?;
    if let Some((tip, theirs)) = rebased_there(view, notes, branch, note.line(branch.tip))? {
        line.insert(tip, theirs.to_string().into_bytes());
    }
    if line.is_empty() {
        return Ok(());
    }
    for text in line.values_mut() {
        if let Ok(earlier) = Note::parse(text) {
            *text = forgetting(earlier, &note).to_string().into_bytes();
        }
    }
    line.insert(branch.tip, text);
    let merged = crate::sync::missing(&line, &BTreeMap::new());
    edit.edits.extend(merged.into_iter().map(|(commit, text)| (commit, Some(text))));
    Ok(())
}

/// What is done, in a line.
fn subject<'n>(names: impl ExactSizeIterator<Item = &'n str>, to: State) -> String {
    const NAMED: usize = 3;
    let names = match names.len() {
        0..=NAMED => names.collect::<Vec<_>>().join(", "),
        many => format!("{many} branches"),
    };
    format!("set {names} to {to}")
}

/// The message of the commit on the notes ref.
fn action(changes: &[Change], request: &SetRequest) -> String {
    let names = changes.iter().map(|change| change.branch.short());
    let mut message = format!("{}\n", subject(names, request.state));
    if let Some(why) = &request.message {
        message.push_str(&format!("\n{why}\n"));
    }
    message.push('\n');
    for Change { branch, tip, from, to } in changes {
        message.push_str(&format!("{branch} {tip} {from} {to}\n"));
    }
    message
}

/// Publishes the notes if the remote has the commits that they stand on.
fn publish(
    repository: &Repository,
    planned: &Planned,
    observer: &dyn Observer,
) -> Result<Publication, SetError> {
    let settings = Settings::read(repository)?;
    let Some(tracking) = &settings.remote else { return Ok(Publication::NotNeeded) };
    let ours = repository.tip(&notes_ref())?;
    // Also where nothing changed now: an earlier try may have failed.
    if ours.is_none() || ours == sync::fetched_notes(repository, tracking)? {
        return Ok(Publication::NotNeeded);
    }
    let concerned: Vec<&Branch> =
        planned.moved.iter().map(|(branch, _)| branch).chain(&planned.already).collect();
    if !settings.publish {
        return Ok(Publication::SwitchedOff);
    }
    let (view, mut not_pushed) = (View::new(repository)?, Vec::new());
    for branch in &concerned {
        if !is_pushed(&view, branch)? {
            not_pushed.push(branch.name.clone());
        }
    }
    if not_pushed.len() == concerned.len() {
        return Ok(Publication::NotPushed(not_pushed));
    }
    match sync::publish_notes(repository, tracking, observer) {
        Ok(_) if not_pushed.is_empty() => Ok(Publication::Done),
        Ok(_) => Ok(Publication::NotPushed(not_pushed)),
        Err(error) => Ok(Publication::Failed(error)),
    }
}

/// Whether the remote has the commits of a branch, or what a rebase made of them.
fn is_pushed(view: &View<'_>, branch: &Branch) -> Result<bool, SetError> {
    let Some(theirs) = view.repository.tip(&view.settings.authority(&branch.name))? else { return Ok(false) };
    if view.repository.is_ancestor(branch.tip, theirs)? {
        return Ok(true);
    }
    let Some(note) = view.notes.get(branch.tip)? else { return Ok(false) };
    Ok(rebased_there(view, &view.notes, branch, note.line(branch.tip))?.is_some())
}
