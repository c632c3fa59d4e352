//! What a verdict writes into notes and ledger. Pure.

use crate::attempt::Attempt;
use crate::deployment::Close;
use crate::ids::CommitId;
use crate::ledger::{Deployment, Outcome};
use crate::note::Note;
use crate::state::{Decision, State};
use crate::sync::{NoteTexts, decide_alike, next_rev, replacing};

/// Who found the verdict, and when.
pub(super) struct Finding<'a> {
    /// Name and mail of who runs.
    pub(super) who: &'a str,
    /// The moment.
    pub(super) time: jiff::Timestamp,
}

/// The ledger's entry; `close`: the verdict, where it is no success.
pub(super) fn entry(
    attempt: &Attempt,
    outcome: Outcome,
    close: Option<&Close>,
    finding: &Finding<'_>,
) -> Deployment {
    Deployment {
        id: attempt.id.clone(),
        outcome,
        environment: attempt.environment.clone(),
        commit: attempt.candidate,
        branch: attempt.branch.clone(),
        images: attempt.images.clone(),
        started: attempt.started,
        finished: finding.time.max(attempt.started),
        reason: close.map(|close| close.reason.clone()),
        left: close.and_then(|close| close.left.clone()),
        previous: attempt.previous.clone(),
        rollback: attempt.rollback.clone(),
        cluster: attempt.cluster.clone(),
        skip: attempt.skip.clone(),
        approved_by: attempt.approved_by.clone(),
        approved_deployment: attempt.approved_deployment.clone(),
    }
}

/// The candidate's note after a success.
pub(super) fn landed_note(note: Option<Note>, attempt: &Attempt, lands: bool) -> Note {
    let before = note.clone();
    let mut note = recorded(note, attempt, Outcome::Success);
    if lands {
        // The decision stays with it, as every merge of notes has it.
        note.was = note.decision();
        note.state = State::Deployed;
        note.reason = None;
        note.conflicts.clear();
        // Other branches that were approved with the same tip have landed with it.
        note.refs.extend(attempt.branch.clone().filter(|branch| !note.refs.contains(branch)));
        if let Some(before) = before.filter(|before| !decide_alike(before, &note)) {
            note = replacing(note, [&before]);
        }
    }
    note
}

/// The candidate's note after a failure. A branch that is to blame becomes staged: that is a decision of the runner, so
/// that it takes the place of the approval that it answers. `seen` are the notes that are known of the line.
pub(super) fn failed_note(
    note: Option<Note>,
    attempt: &Attempt,
    close: &Close,
    seen: &[&Note],
    finding: &Finding<'_>,
) -> Note {
    let note = note.map(|note| taken_back(&note, attempt).unwrap_or(note));
    let mut note = recorded(note, attempt, close.outcome);
    // A later decision of the user stands: only what was deployable can be taken out of the queue.
    let queued = note.state == State::Deployable;
    if close.blame == crate::deployment::Blame::Branch && queued {
        note.state = State::Staged;
        note.since = Some(finding.time);
        note.by = Some(finding.who.to_owned());
        note.message = None;
        note.approval = None;
        note.rev = next_rev(seen.iter().copied());
        note.reason = Some(format!("{}: {}", attempt.id, close.reason));
        if let (Some(branch), true) = (&attempt.branch, note.refs.is_empty()) {
            note.refs = vec![branch.clone()];
        }
        note = replacing(note, seen.iter().copied());
    }
    note
}

/// The note as it was before a landing that did not come about, if it speaks of that: without a remote the notes stand before
/// base moves.
pub(super) fn taken_back(note: &Note, attempt: &Attempt) -> Option<Note> {
    let speaks_of_it = note.state == State::Deployed
        && attempt.branch.is_some()
        && note.deployment.as_ref() == Some(&attempt.id);
    let state = note.decision().map_or(State::Development, State::from);
    speaks_of_it.then(|| Note { state, was: None, ..note.clone() })
}

/// The notes on what a candidate was rebased from after it has landed: its decision is used up there, too, so that nobody who
/// sets the branch back finds it queued again.
pub(super) fn used_up(line: &NoteTexts, attempt: &Attempt) -> Vec<(CommitId, Note)> {
    let notes = line.iter().filter_map(|(commit, text)| Some((*commit, Note::parse(text).ok()?)));
    let queued = notes.filter(|(_, note)| {
        attempt.branch.as_ref().is_some_and(|branch| note.speaks_for(branch, true))
            && note.decision() == Some(Decision::Deployable)
    });
    queued.map(|(commit, note)| (commit, landed_note(Some(note), attempt, true))).collect()
}

/// A note with what became of the deployment.
pub(super) fn recorded(note: Option<Note>, attempt: &Attempt, outcome: Outcome) -> Note {
    let mut note = note.unwrap_or_else(|| Note::new(State::Development));
    note.deployment = Some(attempt.id.clone());
    note.result = Some(outcome);
    note.images = attempt.images.clone();
    note
}

/// The commits whose notes say what became of the deployment: the candidate and the tip that it came from.
pub(super) fn noted_commits(attempt: &Attempt) -> Vec<CommitId> {
    let mut commits = vec![attempt.candidate];
    if attempt.approved != attempt.candidate {
        commits.push(attempt.approved);
    }
    commits
}
