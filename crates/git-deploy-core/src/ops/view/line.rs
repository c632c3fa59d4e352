//! What a branch has beyond base.

use super::View;
use crate::ids::CommitId;

/// How far back one looks.
const LINE: usize = 50;

impl View<'_> {
    /// The commits from a tip down to base by first parents, the newest first, as far as one looks back; none where that cannot be
    /// told.
    pub(in crate::ops) fn line_beyond_base(&self, tip: CommitId) -> Vec<CommitId> {
        let Ok(Some(base_tip)) = self.base_tip() else { return Vec::new() };
        let Ok(fork) = self.repository.merge_base(tip, base_tip) else { return Vec::new() };
        let (mut found, mut next) = (Vec::new(), Some(tip));
        while let Some(commit) = next.filter(|_| next != fork && found.len() < LINE) {
            found.push(commit);
            next = self.repository.commit(commit).ok().and_then(|commit| commit.parents.first().copied());
        }
        found
    }
}
