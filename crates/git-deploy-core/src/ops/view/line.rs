//! What somebody has put upon what others have made.

use super::View;
use crate::ids::CommitId;

/// How far back one looks.
const LINE: usize = 50;

impl View<'_> {
    /// The commits from a tip down by first parents, the newest first, to the first that was committed by somebody else than who works
    /// here, as far as one looks back and as far as base has none of them. Whoever has put a commit upon another one has seen what
    /// was decided about that, or has it before them: what others have put there answers it already.
    pub(in crate::ops) fn own_line(&self, tip: CommitId) -> Vec<CommitId> {
        let me = self.repository.identity().ok().map(|me| me.who().to_owned());
        self.line_while(tip, |commit| me.as_ref().is_some_and(|me| self.is_committed_by(commit, me)))
    }

    /// The same, whoever has committed what.
    pub(in crate::ops) fn whole_line(&self, tip: CommitId) -> Vec<CommitId> {
        self.line_while(tip, |_| true)
    }

    fn line_while(&self, tip: CommitId, goes_on: impl Fn(CommitId) -> bool) -> Vec<CommitId> {
        let Ok(Some(base_tip)) = self.base_tip() else { return Vec::new() };
        let Ok(fork) = self.repository.merge_base(tip, base_tip) else { return Vec::new() };
        let (mut found, mut next) = (Vec::new(), Some(tip));
        while let Some(commit) = next.filter(|_| next != fork && found.len() < LINE) {
            found.push(commit);
            let commit = self.repository.commit(commit).ok().filter(|_| goes_on(commit));
            next = commit.and_then(|commit| commit.parents.first().copied());
        }
        found
    }

    /// Whether a commit is here, and was committed by somebody.
    pub(in crate::ops) fn is_committed_by(&self, commit: CommitId, who: &str) -> bool {
        let Ok(commit) = self.repository.commit(commit) else { return false };
        commit.committer.strip_prefix(who.as_bytes()).is_some_and(|date| date.starts_with(b" "))
    }
}
