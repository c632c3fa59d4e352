//! What may become of notes: anything, but for verdicts, which stay, and are given by deployments alone.

use super::{Push, Reason, Refusal};
use crate::attempt::Attempt;
use crate::deployment::Phase;
use crate::git::notes::NOTES_REF;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ledger::{Deployment, Outcome};
use crate::note::{Note, NoteError};
use crate::state::State;
use crate::sync::{Unsaid, keeps_landing, keeps_verdict};

/// A move of the notes.
#[derive(Debug)]
pub struct NotesMove {
    /// Where they would stand; none if they would be deleted.
    pub after: Option<CommitId>,
    /// Whether they would keep all that others have written.
    pub forward: bool,
    /// Why what is pushed cannot be read as notes; else the notes that would change.
    pub changes: Result<Vec<NoteChange>, String>,
}

/// A note that would change.
#[derive(Debug, Clone)]
pub struct NoteChange {
    /// The commit that it stands on.
    pub commit: CommitId,
    /// What it says; nothing where that was made for another commit.
    pub before: Option<NoteText>,
    /// What it would say.
    pub after: Option<NoteText>,
    /// Whether only what it would say was made for another commit.
    pub becomes_copy: bool,
}

/// The bytes of a note, or why they were not read.
pub type NoteText = Result<Vec<u8>, String>;

/// A candidate that has to be approved, and by which note.
#[derive(Debug, Clone)]
pub struct ToApprove {
    /// The candidate.
    pub commit: CommitId,
    /// The branch that it was claimed for.
    pub branch: RefName,
    /// What is to approve it.
    pub note: Note,
    /// Whether that stood there before the push.
    pub stood: bool,
}

impl NoteChange {
    /// The note as it stands, if it can be read.
    pub fn note_before(&self) -> Option<Note> {
        self.before.as_ref()?.as_ref().ok().and_then(|bytes| Note::parse(bytes).ok())
    }

    /// The note as it would stand.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn note_after(&self) -> Option<Result<Note, String>> {
        let parse = |bytes: &Vec<u8>| Note::parse(bytes).map_err(|error: NoteError| error.to_string());
        Some(self.after.as_ref()?.as_ref().map_err(Clone::clone).and_then(parse))
    }

    /// What it would say of a commit that has landed besides what was decided then: decisions that were made without knowledge
    /// of the landing, or that were made up.
    pub fn decides_anew(&self) -> Option<Unsaid> {
        let before = self.note_before().filter(|before| before.state == State::Deployed)?;
        let mut unsaid = Unsaid::of(&self.note_after()?.ok()?);
        unsaid.hear(&before);
        (!unsaid.is_empty()).then_some(unsaid)
    }
}

impl Push {
    pub(super) fn judge_notes(&self) -> Vec<Refusal> {
        let Some(notes) = &self.notes else { return Vec::new() };
        let refuse = |reason| vec![Refusal::new(NOTES_REF, reason)];
        if notes.after.is_none() {
            return refuse(Reason::Deleted);
        }
        let changes = match &notes.changes {
            Err(why) => return refuse(Reason::Notes(why.clone())),
            Ok(_) if !notes.forward => return refuse(Reason::Back),
            Ok(changes) => changes,
        };
        let reasons = changes.iter().filter_map(|change| self.note_reason(change));
        reasons.map(|reason| Refusal::new(NOTES_REF, reason)).collect()
    }

    fn note_reason(&self, change: &NoteChange) -> Option<Reason> {
        let (commit, before) = (change.commit, change.note_before());
        let Some(after) = change.note_after() else {
            let has_verdict = before.is_some_and(|note| has_verdict(&note));
            return has_verdict.then_some(Reason::Verdict(commit));
        };
        let after = match after {
            Ok(after) => after,
            Err(why) => return Some(Reason::Note { commit, why }),
        };
        let before = before.unwrap_or_else(|| Note::new(State::Development));
        // A copy counts for nothing, and may go: who makes one of a note takes away what that says.
        let is_lost = change.becomes_copy && has_verdict(&before);
        if is_lost || !keeps_verdict(&before, &after) && !self.is_overtaken(&before, &after) {
            return Some(Reason::Verdict(commit));
        }
        let is_said_otherwise = change.decides_anew().is_some() && !self.known.late.contains(&commit);
        if before.state == State::Deployed && (is_said_otherwise || !keeps_landing(&before, &after)) {
            return Some(Reason::Landed(commit));
        }
        if let Some(what) = self.unfounded(commit, &before, &after) {
            return Some(Reason::Unfounded { commit, what });
        }
        let begun = self.begins(change).and_then(|note| self.known.attempts.get(&note.deployment?));
        let branch = begun?.branch.as_ref()?;
        if before.state != State::Deployable || !before.speaks_for(branch, true) {
            return Some(Reason::NotApproved { commit, branch: branch.clone() });
        }
        let why = self.known.unsigned.get(&commit)?;
        Some(Reason::Unsigned { commit, why: why.clone() })
    }

    /// Whether a verdict gives way to that of a deployment which has begun since.
    fn is_overtaken(&self, before: &Note, after: &Note) -> bool {
        let stays = before.state != State::Deployed || after.state == State::Deployed;
        let later = after.deployment.as_ref().filter(|id| before.deployment.as_ref() != Some(*id));
        let open = later.and_then(|id| self.known.attempts.get(id));
        stays && open.is_some_and(|attempt| attempt.phase != Phase::Finished)
    }

    /// What a note comes to say that no deployment has done.
    fn unfounded(&self, commit: CommitId, before: &Note, after: &Note) -> Option<String> {
        let becomes_deployed = after.state == State::Deployed && before.state != State::Deployed;
        // It may name a later deployment of what has landed.
        let known = [&self.known.landed, &self.known.used_up];
        let is_known = known.iter().any(|known| known.contains(&commit));
        if becomes_deployed && !self.is_landed(commit, after) && !is_known {
            return Some("state: deployed".to_owned());
        }
        if (&before.deployment, before.result) == (&after.deployment, after.result) {
            return None;
        }
        let Some(id) = &after.deployment else {
            return after.result.map(|result| format!("result: {result}"));
        };
        match after.result {
            Some(result) if self.verdict(id).is_none_or(|verdict| verdict.outcome != result) => {
                Some(format!("result: {result}"))
            }
            Some(_) => None,
            None => (!self.is_on_its_way(commit, id, after)).then(|| format!("deployment: {id}")),
        }
    }

    /// Whether the deployment that a note names has landed its commit.
    pub fn is_landed(&self, commit: CommitId, note: &Note) -> bool {
        let verdict = note.deployment.as_ref().and_then(|id| self.verdict(id));
        verdict.is_some_and(|verdict| verdict.commit == commit && has_landed(verdict))
    }

    /// The commit that the deployment which a note names has landed.
    pub fn landed_by(&self, note: &Note) -> Option<CommitId> {
        let verdict = self.verdict(note.deployment.as_ref()?).filter(|verdict| has_landed(verdict))?;
        Some(verdict.commit)
    }

    /// The note of a candidate that would go on its way by this change, as far as that was claimed and approved.
    pub fn begins(&self, change: &NoteChange) -> Option<Note> {
        let note = change.note_after()?.ok()?;
        let id = note.deployment.as_ref()?;
        let is_new = change.note_before().is_none_or(|before| before.deployment.as_ref() != Some(id));
        (is_new && self.is_on_its_way(change.commit, id, &note)).then_some(note)
    }

    /// What would be claimed, go on its way, or land, and has to be approved as base asks for it.
    pub fn to_approve(&self) -> Vec<ToApprove> {
        let of = |attempt: &Attempt, note: Note, stood| {
            let branch = attempt.branch.clone()?;
            Some(ToApprove { commit: attempt.candidate, branch, note, stood })
        };
        let changes = self.notes.iter().flat_map(|notes| notes.changes.iter().flatten());
        let begun = changes.filter_map(|change| {
            let note = self.begins(change)?;
            of(self.known.attempts.get(note.deployment.as_ref()?)?, note, false)
        });
        let lands = self.lands_unseen().and_then(|(attempt, note)| of(attempt, note.clone(), true));
        let claimed = self.claimed().filter_map(|(attempt, note)| of(attempt, note.clone(), false));
        begun.chain(claimed).chain(lands).collect()
    }

    /// Whether a deployment may go on its way now: it was claimed for this commit, which is approved.
    fn is_on_its_way(&self, commit: CommitId, id: &DeploymentId, note: &Note) -> bool {
        let Some(attempt) = self.known.attempts.get(id) else { return false };
        let speaks = attempt.branch.as_ref().is_some_and(|branch| note.speaks_for(branch, true));
        attempt.phase != Phase::Finished
            && attempt.candidate == commit
            && speaks
            && note.state == State::Deployable
    }
}

/// Whether a deployment has brought its commit to base.
pub fn has_landed(verdict: &Deployment) -> bool {
    verdict.id.environment.is_none() && verdict.outcome == Outcome::Success
}

/// Whether a note says anything of deployments.
pub fn has_verdict(note: &Note) -> bool {
    note.state == State::Deployed || note.deployment.is_some() || note.result.is_some()
}
