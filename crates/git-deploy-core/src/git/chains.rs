//! Which branches are chains of their own commits right on another commit. Told without starting git and by reading little,
//! because that is what most branches are at most times.

use std::collections::HashMap;

use crate::git::Repository;
use crate::ids::CommitId;

/// How many commits of a branch are looked at one by one.
const LOOKED_AT: usize = 32;

/// Chains of commits, each the only parent of the next, and whether they begin right on `base`.
pub(crate) struct Chains {
    base: CommitId,
    /// What is known already: many branches share most of their commits.
    known: HashMap<CommitId, bool>,
}

impl Chains {
    pub(crate) fn on(base: CommitId) -> Self {
        Self { base, known: HashMap::new() }
    }

    /// Whether a chain that begins on `base` ends in this commit, which is not `base` itself. `false` also where that is not told
    /// by few commits, or one of them cannot be read.
    pub(crate) fn reach(&mut self, repository: &Repository, tip: CommitId) -> bool {
        if tip == self.base {
            return false;
        }
        let (mut chain, mut commit) = (Vec::new(), tip);
        let reaches = loop {
            if commit == self.base {
                break true;
            }
            if let Some(known) = self.known.get(&commit) {
                break *known;
            }
            chain.push(commit);
            // What jj keeps a conflict in is yet to be looked at.
            let read = repository.commit(commit).ok().filter(|commit| !commit.is_unresolved());
            match read.map(|commit| commit.parents).as_deref() {
                Some([parent]) if chain.len() < LOOKED_AT => commit = *parent,
                _ => break false,
            }
        };
        self.known.extend(chain.into_iter().map(|commit| (commit, reaches)));
        reaches
    }
}
