//! Where refs stand before a push: few are asked for one by one, many are listed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};

use crate::git::notes::{Notes, notes_ref};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId, RefName};

/// How many are asked for one by one, each by a program that is started for it.
const FEW: u32 = 16;

/// The places of all refs that a push may name by the thousand.
const PLACES: [&str; 2] = ["refs/tags/deploy", "refs/deploy/"];

pub(super) struct Standing<'a> {
    repository: &'a Repository,
    asked: Cell<u32>,
    listed: OnceCell<HashMap<RefName, ObjectId>>,
    /// What was asked for one by one: base and the notes are, for each branch of a push.
    known: RefCell<HashMap<RefName, Option<ObjectId>>>,
    /// The notes as they stand, and by its commit what they would become.
    notes: RefCell<HashMap<Option<CommitId>, Notes<'a>>>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        let (asked, listed, known, notes) = Default::default();
        Self { repository, asked, listed, known, notes }
    }

    /// What a ref leads to.
    pub(super) fn tip(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        if !PLACES.iter().any(|place| name.as_str().starts_with(place)) {
            if let Some(known) = self.known.borrow().get(name) {
                return Ok(*known);
            }
            let tip = self.repository.resolve(name)?;
            self.known.borrow_mut().insert(name.clone(), tip);
            return Ok(tip);
        }
        if let Some(listed) = self.listed.get() {
            return Ok(listed.get(name).copied());
        }
        if self.asked.replace(self.asked.get() + 1) < FEW {
            return self.repository.resolve(name);
        }
        Ok(self.listed()?.get(name).copied())
    }

    /// The notes as they stand, or as a push would have them: for each branch of a push it is asked what they ever said.
    pub(super) fn notes(&self, pushed: Option<CommitId>) -> Result<Notes<'a>, GitError> {
        if let Some(known) = self.notes.borrow().get(&pushed) {
            return Ok(known.clone());
        }
        let notes = match pushed {
            Some(pushed) => self.notes(None)?.later(pushed)?,
            None => self.repository.notes_at(self.tip(&notes_ref())?.map(CommitId))?,
        };
        self.notes.borrow_mut().insert(pushed, notes.clone());
        Ok(notes)
    }

    /// All deployments that have a tag, and all that have a claim.
    pub(super) fn deployments(&self) -> Result<[BTreeSet<DeploymentId>; 2], GitError> {
        let listed = self.listed()?;
        Ok(["refs/tags/", "refs/deploy/attempts/"].map(|place| {
            listed.keys().filter_map(|name| name.as_str().strip_prefix(place)?.parse().ok()).collect()
        }))
    }

    /// The numbers of the deployments to an environment that have applied this.
    pub(super) fn kept(&self, environment: &EnvironmentName, at: ObjectId) -> Result<Vec<u64>, GitError> {
        let place = format!("refs/deploy/rendered/{environment}/");
        let kept = self.listed()?.iter().filter(|(_, kept)| **kept == at);
        Ok(kept.filter_map(|(name, _)| name.as_str().strip_prefix(&place)?.parse().ok()).collect())
    }

    /// Whether there is no ledger yet.
    pub(super) fn is_blank(&self) -> Result<bool, GitError> {
        Ok(self.deployments()?.iter().all(BTreeSet::is_empty))
    }

    /// Whether there is a tag of any deployment.
    pub(super) fn has_deployments(&self) -> Result<bool, GitError> {
        let [tagged, _] = self.deployments()?;
        Ok(!tagged.is_empty())
    }

    fn listed(&self) -> Result<&HashMap<RefName, ObjectId>, GitError> {
        if let Some(listed) = self.listed.get() {
            return Ok(listed);
        }
        let mut listed = HashMap::new();
        for place in PLACES {
            let refs = self.repository.refs(place)?.into_iter();
            listed.extend(refs.map(|found| (found.name, found.target)));
        }
        Ok(self.listed.get_or_init(|| listed))
    }
}
