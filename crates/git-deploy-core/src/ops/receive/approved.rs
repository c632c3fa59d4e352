//! Whether what goes on its way, or lands, is approved as base asks for it: signed, and what was signed.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ReceiveError, Receiver, changed_notes};
use crate::git::notes::notes_ref;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, ObjectId};
use crate::note::Note;
use crate::ops::approve::{self, Past, Rules};
use crate::receive::{Push, ToApprove, has_landed};
use crate::state::State;

/// Candidates of a push that are not approved: why not. Where base lets everybody approve nothing is looked at.
pub(super) fn unsigned(
    receiver: &Receiver<'_>,
    push: &Push,
) -> Result<BTreeMap<CommitId, String>, ReceiveError> {
    let mut found = BTreeMap::new();
    let asked = push.to_approve();
    let Some(base_tip) = receiver.standing.tip(&receiver.base)?.map(CommitId).filter(|_| !asked.is_empty())
    else {
        return Ok(found);
    };
    let deploy_toml = match receiver.deploy_toml(base_tip)? {
        None => return Ok(found),
        Some(Ok(deploy_toml)) => deploy_toml,
        // Nobody knows whether it says who may.
        Some(Err(why)) => {
            let why = format!("the 'deploy.toml' on base cannot be read: {why}");
            return Ok(asked.into_iter().map(|asked| (asked.commit, why.clone())).collect());
        }
    };
    let Some(rules) = Rules::of(receiver.repository, &deploy_toml, base_tip)? else { return Ok(found) };
    for asked in asked {
        found.extend(not_approved(receiver, push, &rules, base_tip, &asked)?.map(|why| (asked.commit, why)));
    }
    Ok(found)
}

impl Receiver<'_> {
    /// Whether a deployment had landed before the push.
    fn has_landed(&self, id: &DeploymentId) -> Result<bool, GitError> {
        let tag = self.standing.tip(&id.tag())?;
        let verdict = tag.map(|tag| self.deployment(id, tag)).transpose()?.and_then(Result::ok);
        Ok(verdict.as_ref().is_some_and(has_landed))
    }

    /// Which approved commits that a push lets go are those of branches that would be deployable after it: what was made of
    /// them by rebases could not be compared with them any more. `tips` are the refs that the push moves.
    pub(super) fn read_needed(
        &self,
        tips: &HashMap<String, Option<ObjectId>>,
        push: &mut Push,
    ) -> Result<(), GitError> {
        if push.released.is_empty() {
            return Ok(());
        }
        let stands = self.standing.tip(&notes_ref())?.map(CommitId);
        let notes = push.notes.as_ref().filter(|notes| notes.changes.is_ok());
        let notes = self.repository.notes_at(notes.map_or(stands, |notes| notes.after))?;
        let mut found: HashSet<ObjectId> = tips.values().copied().flatten().collect();
        for branch in self.repository.refs("refs/heads/")? {
            found.extend(Some(branch.target).filter(|_| !tips.contains_key(branch.name.as_str())));
        }
        let mut needed = HashSet::new();
        for tip in found {
            // A note that nobody can read approves nothing.
            let note = changed_notes::note(self.repository, &notes, CommitId(tip))?;
            let note = note.and_then(Result::ok).and_then(|bytes| Note::parse(&bytes).ok());
            let note = note.filter(|note| note.state == State::Deployable && note.approval.is_some());
            needed.extend(note.and_then(|note| note.approved));
        }
        push.released.retain(|(_, commit)| needed.contains(commit));
        Ok(())
    }
}

fn not_approved(
    receiver: &Receiver<'_>,
    push: &Push,
    rules: &Rules,
    base_tip: CommitId,
    ToApprove { commit, branch, note, stood }: &ToApprove,
) -> Result<Option<String>, ReceiveError> {
    let decided = match rules.signed(note)? {
        Ok(decided) => decided,
        Err(why) => return Ok(Some(why.to_string())),
    };
    let pushed = push.notes.as_ref().filter(|_| !stood).and_then(|notes| notes.after);
    let notes = receiver.standing.notes(pushed)?;
    let past = Past { notes: &notes, has_landed: &|id| receiver.has_landed(id) };
    let covers = |repository: &Repository| {
        approve::covers(repository, &past, decided.clone(), base_tip, (branch, *commit), note)
    };
    let covers = if decided.commit == *commit {
        covers(receiver.repository)
    } else {
        // What a rebase makes of it is made, to be compared with.
        covers(&receiver.repository.with_objects_aside()?)
    };
    Ok(covers?.err().map(|why| why.to_string()))
}
