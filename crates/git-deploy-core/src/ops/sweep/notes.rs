//! The notes of a sweep: all in one commit.

use std::collections::BTreeMap;

use super::plan::{NoteChange, Plan};
use super::{Advice, Fate};
use crate::git::notes::{Notes, NotesEdit, NotesError};
use crate::ids::CommitId;
use crate::note::{MAX_BYTES, Note};
use crate::ops::copied::own_note;
use crate::state::{Decision, State};
use crate::sync::{self, NoteTexts};

/// A note that is to be written.
struct Written {
    commit: CommitId,
    note: Note,
    before: State,
}

/// What the plans make of the notes as they stand.
///
/// # Errors
/// When a note cannot be read.
pub(super) fn edit(
    notes: &Notes<'_>,
    plans: &[Plan],
    base_tip: CommitId,
    action: &str,
) -> Result<NotesEdit, NotesError> {
    let mut edit = NotesEdit::default();
    let mut lines = String::new();
    for plan in plans {
        let Some(Written { commit, note, before }) = written(notes, plan, base_tip)? else { continue };
        lines.push_str(&format!("\n{} {commit} {before} {}", plan.subject.name, note.state));
        edit.set(commit, &note);
    }
    edit.message = format!("{action}\n{lines}");
    Ok(edit)
}

/// What keeps the note of a plan from being written, which then keeps its branch where it is: another branch's decision on
/// the commit that it would move to, or too little room.
///
/// # Errors
/// When a note cannot be read.
pub(super) fn forbidden(
    notes: &Notes<'_>,
    plan: &Plan,
    base_tip: CommitId,
) -> Result<Option<Fate>, NotesError> {
    let Some(note) = plan.subject.note.as_ref().filter(|_| plan.change.is_some()) else { return Ok(None) };
    if let Some(reason) = clash(notes, (plan.subject.from(), note), plan.new)? {
        return Ok(Some(Fate::skipped(reason)));
    }
    let written = written(notes, plan, base_tip)?;
    let bytes = written.map_or(0, |Written { commit, note, .. }| note.on(commit).to_string().len());
    let from = plan.subject.from();
    Ok((bytes > MAX_BYTES).then(|| Fate::Skipped {
        failed: false,
        reason: format!(
            "the note on commit '{from}' is too long: with what a rebase adds it would have {bytes} bytes, and at most \
             {MAX_BYTES} are read"
        ),
        advice: Some(Box::new(Advice::LongNote(from))),
    }))
}

/// Whether another branch's decision stands in the way on the commit that a note would be carried to.
///
/// # Errors
/// When that note cannot be read.
pub(in crate::ops) fn clash(
    notes: &Notes<'_>,
    (from, note): (CommitId, &Note),
    to: CommitId,
) -> Result<Option<String>, NotesError> {
    let there = match own_note(notes, to) {
        Ok(Some(there)) => there,
        Ok(None) => return Ok(None),
        Err(error @ NotesError::Note { .. }) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let same_line = there.line(to) == note.line(from);
    let clashes = to != from && !same_line && there.decision() != note.decision();
    Ok(clashes.then(|| {
        let others: Vec<String> = there.refs.iter().map(|other| format!("'{}'", other.short())).collect();
        let others = if others.is_empty() { "another branch".to_owned() } else { others.join(", ") };
        format!("it would become the same commit as {others}, which is {}", there.state)
    }))
}

fn written(notes: &Notes<'_>, plan: &Plan, base_tip: CommitId) -> Result<Option<Written>, NotesError> {
    let from = plan.subject.from();
    let Some(change) = &plan.change else { return Ok(None) };
    // Read again: somebody may have decided something meanwhile.
    let Some(note) = in_force(notes, plan)? else { return Ok(None) };
    let before = note.state;
    let (commit, note) = match change {
        NoteChange::Carried { dropped } => {
            let carried = note.carried(from, base_tip, dropped);
            (plan.new, on_top_of(notes, (from, &note), (plan.new, carried))?)
        }
        // In development it is its developer's own affair.
        NoteChange::Broken { .. } if matches!(note.decision(), Some(Decision::Development)) => {
            return Ok(None);
        }
        NoteChange::Broken { paths } => (from, note.broken(base_tip, paths.clone())),
        NoteChange::Mended => {
            let state = note.decision().map_or(State::Development, State::from);
            (from, Note { state, was: None, onto: Some(base_tip), conflicts: Vec::new(), ..note })
        }
        NoteChange::Joined => (from, note),
    };
    Ok(Some(Written { commit, note, before }))
}

/// The note that speaks for a branch. Where it follows the remote, what was decided here about its old tip counts too.
fn in_force(notes: &Notes<'_>, plan: &Plan) -> Result<Option<Note>, NotesError> {
    let subject = &plan.subject;
    let from = subject.from();
    let Some(note) = own_note(notes, from)? else { return Ok(None) };
    let note = match own_note(notes, subject.tip)?.filter(|_| subject.tip != from) {
        Some(old) => joined(&[(from, &note), (subject.tip, &old)], from).unwrap_or(note),
        None => note,
    };
    Ok(Some(note).filter(|note| note.speaks_for(&subject.name, true)))
}

/// A new note where there may be one already: from a sweep that was broken off or undone, from somebody else's, or of
/// another branch that became the same commit.
pub(in crate::ops) fn on_top_of(
    notes: &Notes<'_>,
    (from, old): (CommitId, &Note),
    (to, carried): (CommitId, Note),
) -> Result<Note, NotesError> {
    let Some(there) = own_note(notes, to)? else { return Ok(carried) };
    if there.line(to) == carried.line(to) {
        let all = [(from, old), (to, &carried)];
        let known = joined(&all, to).unwrap_or(carried);
        let both = sync::merge(&texts(&[(from, old), (to, &known)]), &texts(&[(to, &there)]));
        return Ok(parsed(&both, to).unwrap_or(known));
    }
    let mut both = there.clone();
    if !both.refs.is_empty() {
        both.refs.extend(carried.refs);
    }
    both.refs.sort();
    both.refs.dedup();
    // Else the branch that comes to it would be taken for one that has left.
    Ok(if both.refs == there.refs { both } else { sync::replacing(both, [&there]) })
}

/// The note on one of several commits when the largest decision of their line is written into all of them.
pub(super) fn joined(notes: &[(CommitId, &Note)], on: CommitId) -> Option<Note> {
    parsed(&sync::merge(&texts(notes), &NoteTexts::new()), on)
}

fn texts(notes: &[(CommitId, &Note)]) -> NoteTexts {
    let texts: BTreeMap<CommitId, Vec<u8>> =
        notes.iter().map(|(commit, note)| (*commit, note.to_string().into_bytes())).collect();
    texts
}

fn parsed(texts: &NoteTexts, on: CommitId) -> Option<Note> {
    texts.get(&on).and_then(|text| Note::parse(text).ok())
}
