//! Branches that base has had, by whatever means, and has taken back: they are on base, or equal to what is there, so that no rebase
//! brings them again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::View;
use crate::branch::Branch;
use crate::git::GitError;
use crate::git::merge_tree::{MergeTree, Merged};
use crate::git::object::Commit;
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::rebase::{brought_at_once, without_those_again};
use crate::revert::{Came, Logged, Reverting, TakenBack, reverting};

/// How many reverts are tried to be reverted.
const MANY: usize = 20;

/// How far back one looks whether anybody ever decided about a branch.
const LINE: usize = 50;

/// What reverting the reverts gives.
enum Again {
    /// Nothing but conflicts.
    Conflict,
    /// What those bring that are left, the newest first.
    Brings(Vec<CommitId>),
}

/// A branch that brings another one again.
enum Named {
    /// A name that nothing has yet.
    Free(RefName),
    /// It is there, and has not landed.
    There(RefName),
}

/// A commit of base, and the one of it that this stood on before, as far as that is known.
type Stood = (CommitId, Option<CommitId>);

/// What was found out of the past of base. Many branches begin at the same commit of it.
#[derive(Default)]
pub(super) struct PastOfBase {
    /// The reverts since a commit.
    reverts: RefCell<HashMap<CommitId, Rc<Vec<Logged>>>>,
    /// How it has got what leads to a commit.
    came: RefCell<HashMap<Stood, Rc<Came>>>,
}

impl View<'_> {
    /// How base has taken back what a branch brings of which nothing is left to deploy. Judged by what `git revert` writes, as
    /// far as that has not been brought back since; none of a branch that brings something, and where nobody could tell.
    ///
    /// # Errors
    /// When history cannot be read, or nothing can be written aside.
    pub fn taken_back(&self, branch: &Branch) -> Result<Option<TakenBack>, GitError> {
        self.taken_back_if(branch, || self.is_empty(branch))
    }

    /// The same of a branch that was just found to bring nothing.
    pub(super) fn emptied_by_reverts(&self, branch: &Branch) -> Option<TakenBack> {
        // What cannot be found out of that is told when somebody decides about it.
        self.taken_back_if(branch, || true).ok().flatten()
    }

    fn taken_back_if(
        &self,
        branch: &Branch,
        is_empty: impl FnOnce() -> bool,
    ) -> Result<Option<TakenBack>, GitError> {
        let Some(base_tip) = self.base_tip()?.filter(|_| branch.name != self.settings.base) else {
            return Ok(None);
        };
        if self.stands_on_base(branch.tip)? || self.lacks_objects()? {
            return Ok(None);
        }
        let Some(fork) = self.repository.merge_base(branch.tip, base_tip)? else { return Ok(None) };
        let reverts = self.reverts_since(fork, base_tip)?;
        if reverts.is_empty() {
            return Ok(None);
        }
        let came = match fork == branch.tip {
            true => self.came(branch.tip, branch.note.as_ref(), base_tip)?,
            false if is_empty() => {
                let mut own = self.repository.equal_to(base_tip, branch.tip)?;
                own.extend(brought_at_once(self.repository, base_tip, (fork, branch.tip))?);
                let own = without_those_again(self.repository, (fork, base_tip), own, &reverts)?;
                Rc::new(Came { own, ..Came::default() })
            }
            false => Rc::default(),
        };
        self.reverted(&branch.name, &reverting(&reverts, &came), base_tip)
    }

    /// The same of the beginning of a branch that has gone on since base had that: a rebase leaves it out, and brings the rest.
    ///
    /// # Errors
    /// As there.
    pub fn beginning_taken_back(
        &self,
        branch: &RefName,
        tip: CommitId,
    ) -> Result<Option<TakenBack>, GitError> {
        let Some(base_tip) = self.base_tip()?.filter(|_| !self.stands_on_base(tip).unwrap_or(true)) else {
            return Ok(None);
        };
        let fork = self.repository.merge_base(tip, base_tip)?.filter(|fork| *fork != tip);
        let Some(fork) = fork.filter(|_| !self.lacks_objects().unwrap_or(true)) else { return Ok(None) };
        // Before history is read: nothing of most branches was ever on base.
        if !self.was_decided(branch, fork)? {
            return Ok(None);
        }
        let reverts = self.reverts_since(fork, base_tip)?;
        if reverts.is_empty() {
            return Ok(None);
        }
        // Most branches begin where base itself was, and what that takes back is not theirs: also where base came into a merge, as
        // by somebody's pull.
        let noted = |commit| self.notes.get(commit).ok().flatten();
        let its_note = |commit| noted(commit).filter(|note: &Note| note.refs.contains(branch));
        let note = its_note(fork);
        let came = self.came(fork, note.as_ref(), base_tip)?;
        if note.is_none() && (came.merge.is_none() || came.own.iter().all(|own| its_note(*own).is_none())) {
            return Ok(None);
        }
        let taken = self.reverted(branch, &reverting(&reverts, &came), base_tip)?;
        let Some(taken) = taken else { return Ok(None) };
        // Git picks no merge.
        let is_linear = !self.repository.has_merges(tip, &[fork])?;
        let again = taken.again.filter(|_| is_linear);
        Ok(Some(TakenBack { again, rest: Some((fork, tip)), ..taken }))
    }

    /// What base has done by these reverts, as far as it has not been brought back.
    fn reverted(
        &self,
        branch: &RefName,
        found: &Reverting,
        base_tip: CommitId,
    ) -> Result<Option<TakenBack>, GitError> {
        if found.by.is_empty() {
            return Ok(None);
        }
        let (by, again) = match self.again(&found.by, base_tip)? {
            Again::Conflict => (found.by.clone(), None),
            // What others' work took back with it is not ours to bring again.
            Again::Brings(by) if by.iter().any(|revert| found.beyond.contains(revert)) => (by, None),
            Again::Brings(by) => (by, Some(self.named_again(branch, base_tip)?)),
        };
        let (again, there) = match again {
            Some(Named::Free(name)) => (Some(name), None),
            Some(Named::There(name)) => (None, Some(name)),
            None => (None, None),
        };
        let is_whole = found.is_whole && by.len() == found.by.len();
        let base = self.settings.authority(&self.settings.base);
        Ok((!by.is_empty()).then_some(TakenBack { by, is_whole, base, again, there, rest: None }))
    }

    /// The reverts on base since a commit of it.
    fn reverts_since(&self, fork: CommitId, base_tip: CommitId) -> Result<Rc<Vec<Logged>>, GitError> {
        if let Some(known) = self.past_of_base.reverts.borrow().get(&fork) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(self.repository.reverts(fork, base_tip)?);
        self.past_of_base.reverts.borrow_mut().insert(fork, Rc::clone(&found));
        Ok(found)
    }

    /// How base has got what leads to a commit that it has. `note` is the one on that commit.
    fn came(&self, tip: CommitId, note: Option<&Note>, base_tip: CommitId) -> Result<Rc<Came>, GitError> {
        let asked = (tip, note.and_then(|note| note.onto));
        if let Some(known) = self.past_of_base.came.borrow().get(&asked) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(self.find_came(asked, base_tip)?);
        self.past_of_base.came.borrow_mut().insert(asked, Rc::clone(&found));
        Ok(found)
    }

    fn find_came(&self, (tip, onto): Stood, base_tip: CommitId) -> Result<Came, GitError> {
        let repository = self.repository;
        // The newest first; those that have the branch come before those that have it not.
        let line = repository.first_parents(tip, base_tip)?;
        let (mut with, mut without) = (0, line.len());
        while with < without {
            let middle = with + (without - with) / 2;
            match repository.is_ancestor(tip, line[middle])? {
                true => with = middle + 1,
                false => without = middle,
            }
        }
        let first = with.checked_sub(1).map(|last| line[last]);
        let parents = first.map(|first| repository.commit(first)).transpose()?.map(|first| first.parents);
        let (merge, before) = match parents.as_deref() {
            Some([before, _, ..]) if *before != tip => (first, Some(*before)),
            // It went there as it is.
            _ => (None, self.stood_on_before(tip, onto)?),
        };
        let own: Vec<CommitId> = match before {
            Some(before) => repository.gained(Some(before), tip)?.into_iter().collect(),
            None => vec![tip],
        };
        let gained = merge.map(|merge| repository.gained(before, merge)).transpose()?;
        let has_others = gained.is_some_and(|gained| gained.len() > 1 + own.len());
        Ok(Came { own, merge, has_others })
    }

    /// The commit of base that a commit stood on when somebody decided about it, or it was rebased.
    fn stood_on_before(&self, tip: CommitId, onto: Option<CommitId>) -> Result<Option<CommitId>, GitError> {
        let onto = onto.filter(|onto| *onto != tip);
        let Some(onto) = onto.filter(|onto| matches!(self.repository.find(onto.0), Ok(Some(_)))) else {
            return Ok(None);
        };
        Ok(self.repository.is_ancestor(onto, tip)?.then_some(onto))
    }

    /// What `git revert` would make of some reverts, one after the other. What is tried stays nowhere.
    fn again(&self, reverts: &[CommitId], base_tip: CommitId) -> Result<Again, GitError> {
        let aside = self.repository.with_objects_aside()?;
        let merge = MergeTree::new(&aside)?;
        let (mut head, mut brings) = (base_tip, Vec::new());
        for revert in reverts {
            let (commit, stood) = (aside.commit(*revert)?, aside.commit(head)?);
            let [parent] = commit.parents[..] else { return Ok(Again::Conflict) };
            if brings.len() == MANY {
                return Ok(Again::Conflict);
            }
            match merge.revert(*revert, parent, head)? {
                // Somebody has brought that back by other means.
                Merged::Clean(tree) if tree == stood.tree => {}
                Merged::Clean(tree) => {
                    head = aside.write_commit(&Commit { tree, parents: vec![head], ..commit })?;
                    brings.push(*revert);
                }
                Merged::Conflict(_) => return Ok(Again::Conflict),
            }
        }
        Ok(Again::Brings(brings))
    }

    /// The branch that brings another one again, by its name.
    fn named_again(&self, branch: &RefName, base_tip: CommitId) -> Result<Named, GitError> {
        let mut name = branch.clone();
        for number in 1.. {
            let suffix = if number == 1 { "again".to_owned() } else { format!("again-{number}") };
            name = RefName::branch(&format!("{}-{suffix}", branch.short())).unwrap_or(name);
            let places = [self.repository.tip(&name)?, self.repository.tip(&self.settings.authority(&name))?];
            let tips: Vec<CommitId> = places.into_iter().flatten().collect();
            if tips.is_empty() {
                break;
            }
            for tip in tips {
                if !self.repository.is_ancestor(tip, base_tip)? {
                    return Ok(Named::There(name));
                }
            }
        }
        Ok(Named::Free(name))
    }

    /// Whether somebody has decided about a branch where it stood on the line that ends here, as far as one looks back.
    fn was_decided(&self, branch: &RefName, end: CommitId) -> Result<bool, GitError> {
        let mut next = Some(end);
        for _ in 0..LINE {
            let Some(commit) = next else { break };
            let note = self.notes.get(commit).ok().flatten();
            if note.is_some_and(|note| note.refs.contains(branch)) {
                return Ok(true);
            }
            // A shallow clone knows only the end of it.
            next = match self.repository.commit(commit) {
                Err(GitError::Missing { shallow: true, .. }) => None,
                commit => commit?.parents.first().copied(),
            };
        }
        Ok(false)
    }
}
