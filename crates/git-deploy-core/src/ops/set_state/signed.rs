//! The signatures of decisions, where base asks for them.

use std::collections::BTreeSet;

use super::SetError;
use crate::branch::Branch;
use crate::git::notes::{Notes, NotesEdit};
use crate::ids::RefName;
use crate::note::Note;
use crate::ops::approve::{Approver, kept};
use crate::ops::view::View;
use crate::state::State;

/// The signatures of a request. A write that is tried again because another writer was faster mostly needs the same ones, and
/// nobody wants to be asked for a passphrase twice.
#[derive(Default)]
pub(super) struct Signatures {
    approver: Option<Approver>,
    made: Vec<(Note, Note)>,
}

impl Signatures {
    /// Signs what the edit approves, where base asks for that.
    pub(super) fn sign(
        &mut self,
        view: &View<'_>,
        moved: &[(Branch, State)],
        edit: &mut NotesEdit,
    ) -> Result<(), SetError> {
        let Some(rules) = view.rules()? else { return Ok(view.check_deploy_toml()?) };
        for (branch, _) in moved {
            let text = edit.edits.get(&branch.tip).cloned().flatten();
            let note = text.and_then(|text| Note::parse(&text).ok());
            let Some(note) = note.filter(|note| note.state == State::Deployable && note.approval.is_none())
            else {
                continue;
            };
            let signed = match self.made.iter().find(|(unsigned, _)| *unsigned == note) {
                Some((_, signed)) => signed.clone(),
                None => {
                    let approver = match self.approver.take() {
                        Some(approver) => approver,
                        None => Approver::new(view.repository, rules.clone())?,
                    };
                    let signed = self.approver.insert(approver).sign(note.clone())?;
                    let signed =
                        signed.map_err(|why| SetError::MayNotApprove { branch: branch.name.clone(), why })?;
                    self.made.push((note, signed.clone()));
                    signed
                }
            };
            edit.set(branch.tip, &signed);
        }
        Ok(())
    }
}

/// The branches that an edit leaves deployable without the signature that they had: what was signed was for another branch on
/// their commit, too, and that leaves. Only those who may approve can sign anew, and anybody may take a branch off.
pub(super) fn lost(
    view: &View<'_>,
    notes: &Notes<'_>,
    moved: &[(Branch, State)],
    edit: &NotesEdit,
) -> Result<Vec<RefName>, SetError> {
    let mut lost = BTreeSet::new();
    for (branch, _) in moved {
        let text = edit.edits.get(&branch.tip).and_then(Option::as_ref);
        let after = text.and_then(|text| Note::parse(text).ok());
        let after = after.filter(|note| note.state == State::Deployable && note.approval.is_none());
        let was_signed = notes.get(branch.tip)?.is_some_and(|note| note.approval.is_some());
        lost.extend(after.filter(|_| was_signed).into_iter().flat_map(|note| note.refs));
    }
    let counts = !lost.is_empty() && view.rules()?.is_some();
    Ok(lost.into_iter().filter(|_| counts).collect())
}

/// Whether nobody else can compare a branch with what was approved, because nothing keeps that where the branch counts as it
/// is here. Before that is published it is kept here.
pub(super) fn is_lost(view: &View<'_>, branch: &Branch) -> Result<bool, SetError> {
    let Some(approved) = kept::needed_by(branch).filter(|_| branch.state() == State::Deployable) else {
        return Ok(false);
    };
    let counts = view.repository.tip(&view.settings.authority(&branch.name))? == Some(branch.tip);
    let is_asked = counts && view.rules()?.is_some();
    Ok(is_asked && !kept::is_kept(view.repository, |name| view.settings.authority(name), approved)?)
}
