//! Verdicts that somebody has written here by hand, or has changed: a server that judges takes none of our notes any more as long
//! as they stand. They give way to what the remote says, once it has refused them.

use super::SyncError;
use crate::git::notes::{Notes, NotesEdit};
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::receive::changed_notes;
use crate::ops::view::View;
use crate::receive::has_verdict;
use crate::state::State;
use crate::sync::{self, NoteTexts, is_one_line, keeps_landing, keeps_verdict, next_rev};

/// How many commits are named to people.
const NAMED: usize = 3;

/// Takes out of our notes, which contain those of the remote, what no deployment says, and tells that. Returns whether there was
/// anything.
///
/// # Errors
/// When notes or deployments cannot be read, or notes not be written.
pub(super) fn mend(
    repository: &Repository,
    tracking: &Tracking,
    theirs: Option<CommitId>,
    observer: &dyn Observer,
) -> Result<bool, SyncError> {
    let view = View::new(repository).map_err(|error| SyncError::View(Box::new(error)))?;
    let mut mended = wrong(&view, &repository.notes()?, theirs)?;
    if mended.is_empty() {
        return Ok(false);
    }
    let message = format!("take out verdicts that {} does not take", tracking.remote());
    repository.write_notes(&repository.identity()?, |notes| -> Result<NotesEdit, SyncError> {
        mended = wrong(&view, notes, theirs)?;
        let edits = mended.iter().map(|(commit, text)| (*commit, Some(text.clone()))).collect();
        Ok(NotesEdit { edits, message: message.clone(), ..NotesEdit::default() })
    })?;
    let commits: Vec<String> =
        mended.keys().take(NAMED).map(|commit| format!("'{}'", commit.brief())).collect();
    let more = match mended.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let remote = tracking.remote();
    observer.warn(&format!(
        "the notes here said of {}{more} what no deployment has done: what '{remote}' has of that counts again",
        commits.join(", ")
    ));
    Ok(true)
}

/// The notes that have to be written.
fn wrong(view: &View<'_>, ours: &Notes<'_>, theirs: Option<CommitId>) -> Result<NoteTexts, SyncError> {
    let repository = view.repository;
    let Some(tree) = ours.tree() else { return Ok(NoteTexts::new()) };
    let theirs = theirs.map(|theirs| repository.commit(theirs)).transpose()?.map(|theirs| theirs.tree);
    let mut mended = NoteTexts::new();
    for change in changed_notes::changes(repository, theirs, tree)?.unwrap_or_default() {
        let (commit, before) = (change.commit, change.note_before());
        let after = match change.note_after() {
            Some(Ok(after)) => after,
            None if before.as_ref().is_some_and(has_verdict) => {
                mended.extend(change.before.and_then(Result::ok).map(|text| (commit, text)));
                continue;
            }
            // What nobody can read is told as that.
            Some(Err(_)) | None => continue,
        };
        let is_founded = is_founded(view, ours, commit, &after)?;
        let is_new = !is_founded && says_other(before.as_ref(), &after);
        let note = match before {
            Some(landed) if landed.state == State::Deployed => {
                if !is_new && keeps_verdict(&landed, &after) && keeps_landing(&landed, &after) {
                    continue;
                }
                with_theirs(commit, change.before.and_then(Result::ok), &after, is_founded)
            }
            before => {
                let is_lost = before.as_ref().is_some_and(|before| !keeps_verdict(before, &after));
                let is_overtaken = is_founded && after.deployment.is_some();
                let claims = !is_founded && after.state == State::Deployed;
                if !is_new && !claims && (!is_lost || is_overtaken) {
                    continue;
                }
                match before {
                    Some(before) if claims => {
                        let text = with_theirs(commit, change.before.and_then(Result::ok), &after, false);
                        with_decided_since(ours, commit, &before, text)?
                    }
                    before => Some(without_verdict(before.as_ref(), after).to_string().into_bytes()),
                }
            }
        };
        mended.extend(note.map(|note| (commit, note)));
    }
    Ok(mended)
}

/// What the remote says of a commit, with what a deployment since has done, and what a later version may have added.
fn with_theirs(commit: CommitId, theirs: Option<Vec<u8>>, ours: &Note, is_founded: bool) -> Option<Vec<u8>> {
    let theirs = NoteTexts::from([(commit, theirs?)]);
    let facts = Note { unknown: ours.unknown.clone(), ..Note::new(State::Development) };
    let facts = match is_founded {
        true => Note {
            deployment: ours.deployment.clone(),
            result: ours.result,
            images: ours.images.clone(),
            ..facts
        },
        false => facts,
    };
    let ours = NoteTexts::from([(commit, facts.to_string().into_bytes())]);
    sync::merge(&ours, &theirs).remove(&commit)
}

/// What was decided about a commit of which a note says that it has landed, and it has not: what the remote says, with what was
/// decided here since then. What stands in that note decides nothing.
fn with_decided_since(
    ours: &Notes<'_>,
    commit: CommitId,
    theirs: &Note,
    text: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, GitError> {
    let known = next_rev([theirs]);
    let is_since = |said: &Note| said.state != State::Deployed && next_rev([said]) > known;
    let mut decided: NoteTexts = text.map(|text| (commit, text)).into_iter().collect();
    for said in ours.ever_on(&[commit])?.into_iter().filter(is_since) {
        let said = Note { deployment: None, result: None, images: Vec::new(), ..said };
        decided = sync::merge(&decided, &NoteTexts::from([(commit, said.to_string().into_bytes())]));
    }
    Ok(decided.remove(&commit))
}

/// Whether a note says of deployments something else than the one of the remote.
fn says_other(before: Option<&Note>, after: &Note) -> bool {
    let said = before.map_or((None, None), |before| (before.deployment.as_ref(), before.result));
    said != (after.deployment.as_ref(), after.result)
}

/// A note without what it claims of deployments, but with what the remote says of them. Where nobody knows what was decided, nothing
/// is to be deployed.
fn without_verdict(before: Option<&Note>, after: Note) -> Note {
    let (state, was) = match after.state {
        State::Deployed => (State::Development, None),
        state => (state, after.was),
    };
    let deployment = before.and_then(|before| before.deployment.clone());
    let result = before.and_then(|before| before.result);
    let images = before.map(|before| before.images.clone()).unwrap_or_default();
    Note { state, was, deployment, result, images, ..after }
}

/// Whether what a note says of a deployment is what the ledger says, or its claim. In doubt it is.
fn is_founded(view: &View<'_>, notes: &Notes<'_>, commit: CommitId, note: &Note) -> Result<bool, GitError> {
    let Some(id) = &note.deployment else {
        return Ok(note.result.is_none() && note.state != State::Deployed);
    };
    let Some(deployment) = view.ledger()?.find(id) else {
        let attempt = id.attempt();
        let is_claimed =
            [view.settings.authority(&attempt), attempt].iter().try_fold(false, |found, name| {
                Ok::<_, GitError>(found || view.repository.resolve(name)?.is_some())
            })?;
        return Ok(is_claimed && note.result.is_none() && note.state != State::Deployed);
    };
    let is_said = note.result.is_none_or(|result| result == deployment.outcome);
    let of_line = match notes.get(deployment.commit) {
        Ok(Some(candidate)) => is_one_line((commit, note), (deployment.commit, &candidate)),
        Ok(None) | Err(_) => false,
    };
    let is_its = deployment.commit == commit || of_line;
    Ok(is_said && (note.state != State::Deployed || deployment.landed() && is_its))
}
