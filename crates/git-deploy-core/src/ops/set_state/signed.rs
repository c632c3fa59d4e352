//! The signatures of decisions, where base asks for them.

use super::SetError;
use crate::branch::Branch;
use crate::git::notes::NotesEdit;
use crate::note::Note;
use crate::ops::approve::Approver;
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
