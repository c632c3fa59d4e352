//! Whom the reverts that a merge has brought can concern: mostly few of the branches that landed some time.

use std::collections::HashSet;

use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::revert::{Logged, reverted};

/// How many commits that are reverted are looked at.
const MANY: usize = 20;

/// Whom some reverts can concern.
pub(super) enum Concerned {
    /// Nobody knows: they name too much, or what is not here.
    Anybody,
    /// Of what base has, what has one of the commits that they name.
    These(HashSet<CommitId>),
}

impl Concerned {
    /// # Errors
    /// When git cannot walk there.
    pub(super) fn by(
        repository: &Repository,
        reverts: &[Logged],
        base_tip: CommitId,
    ) -> Result<Self, GitError> {
        let mut named: Vec<String> = reverts.iter().flat_map(|revert| owned(&revert.message)).collect();
        let (mut known, mut found) = (HashSet::new(), HashSet::new());
        while let Some(name) = named.pop() {
            let Some(id) = repository.find_commit(&name)? else { return Ok(Self::Anybody) };
            if !known.insert(id) {
                continue;
            }
            let Some(commit) = repository.commit(id).ok().filter(|_| known.len() <= MANY) else {
                return Ok(Self::Anybody);
            };
            if let [first, _, ..] = &commit.parents[..] {
                found.extend(repository.gained(Some(*first), id)?);
            }
            // What came by a merge; and who reverts a revert of a revert means what that was of.
            for id in [id].iter().chain(commit.parents.iter().skip(1)) {
                found.insert(*id);
                found.extend(repository.between(*id, base_tip)?);
            }
            named.extend(owned(&String::from_utf8_lossy(&commit.message)));
        }
        Ok(Self::These(found))
    }

    /// Whether they can concern what ends in a commit of base.
    pub(super) fn is(&self, commit: CommitId) -> bool {
        match self {
            Self::Anybody => true,
            Self::These(these) => these.contains(&commit),
        }
    }
}

fn owned(message: &str) -> Vec<String> {
    reverted(message).map(str::to_owned).collect()
}
