//! From a verdict to the refs that move, in the order in which they move.
//!
//! With a remote all of them are one atomic push, and the order does not matter. Without one they are moved one by one,
//! and a crash may come between any two: whatever is left undone then is found by the next run, because the tag comes
//! after everything that it speaks of, and the attempt and the locks come last.

use crate::git::push::{Lease, PushRef};
use crate::git::refs::{Expected, RefUpdate};
use crate::ids::{CommitId, ObjectId, RefName};

/// One ref to be moved, there or here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The ref.
    pub name: RefName,
    /// Where it is expected to stand.
    pub old: Expected,
    /// Where it goes; `None` deletes it.
    pub new: Option<ObjectId>,
    /// Whether it may move only forward: true for base alone.
    pub forward: bool,
}

impl Change {
    /// A ref that must be new.
    pub fn create(name: RefName, new: ObjectId) -> Self {
        Self { name, old: Expected::Absent, new: Some(new), forward: false }
    }

    /// A ref that moves from where it was seen.
    pub fn update(name: RefName, seen: Option<ObjectId>, new: ObjectId) -> Self {
        Self { name, old: Expected::seen(seen), new: Some(new), forward: false }
    }

    /// A ref that goes away.
    pub fn delete(name: RefName, old: ObjectId) -> Self {
        Self { name, old: Expected::At(old), new: None, forward: false }
    }

    /// The same as a move of a ref on a remote.
    pub fn as_push(&self) -> PushRef {
        let lease = if self.forward { Lease::Forward } else { Lease::From(self.old) };
        PushRef { name: self.name.clone(), new: self.new, lease }
    }

    /// The same as a move of a ref here.
    pub fn as_update(&self) -> RefUpdate {
        RefUpdate { name: self.name.clone(), old: self.old, new: self.new }
    }
}

/// What moves when a number is claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The lock of the environment.
    pub lock: Change,
    /// The attempt, which must be new.
    pub attempt: Change,
    /// The branch, if it was rebased.
    pub branch: Option<Change>,
}

impl Claim {
    /// Lock first, so that nobody else begins; the branch last, when its new tip has its note.
    pub fn changes(self, notes: Option<Change>) -> Vec<Change> {
        [Some(self.lock), notes, Some(self.attempt), self.branch].into_iter().flatten().collect()
    }
}

/// What moves when a deployment ends.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Base and the candidate that it moves to; none if nothing lands.
    pub base: Option<Change>,
    /// The environment's own refs, such as the branch of rendered files.
    pub environment: Vec<Change>,
    /// The tag, which must be new.
    pub tag: Change,
    /// The attempt with the verdict in it.
    pub attempt: Change,
    /// The locks, which are given back.
    pub locks: Vec<Change>,
}

impl Verdict {
    /// Notes, base, the environment's refs, tag, attempt, locks.
    pub fn changes(self, notes: Option<Change>) -> Vec<Change> {
        let mut changes: Vec<Change> = notes.into_iter().chain(self.base).chain(self.environment).collect();
        changes.push(self.tag);
        changes.push(self.attempt);
        changes.extend(self.locks);
        changes
    }
}

/// The move of base to the candidate; none if base contains it already.
pub fn base_change(base: RefName, tip: CommitId, candidate: CommitId) -> Option<Change> {
    let change = Change { name: base, old: Expected::At(tip.0), new: Some(candidate.0), forward: true };
    (tip != candidate).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str) -> ObjectId {
        digit.repeat(40).parse().unwrap()
    }

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    #[test]
    fn the_tag_comes_after_all_that_it_speaks_of_and_the_locks_come_last() {
        let verdict = Verdict {
            base: base_change(name("refs/heads/master"), CommitId(id("1")), CommitId(id("2"))),
            environment: vec![Change::update(name("refs/heads/rendered/demo"), None, id("3"))],
            tag: Change::create(name("refs/tags/deployment-0001"), id("4")),
            attempt: Change::update(name("refs/deploy/attempts/deployment-0001"), Some(id("5")), id("6")),
            locks: vec![Change::delete(name("refs/deploy/lock/env/demo"), id("7"))],
        };
        let notes = Change::update(name("refs/notes/deploy"), None, id("8"));
        let order: Vec<String> =
            verdict.changes(Some(notes)).iter().map(|change| change.name.to_string()).collect();
        let wanted = [
            "notes/deploy",
            "heads/master",
            "heads/rendered/demo",
            "tags/deployment-0001",
            "deploy/attempts/deployment-0001",
            "deploy/lock/env/demo",
        ];
        assert_eq!(order, wanted.map(|short| format!("refs/{short}")));
    }

    #[test]
    fn base_alone_is_pushed_without_a_lease() {
        let base = base_change(name("refs/heads/master"), CommitId(id("1")), CommitId(id("2"))).unwrap();
        assert_eq!(base.as_push().lease, Lease::Forward);
        let tag = Change::create(name("refs/tags/deployment-0001"), id("4"));
        assert_eq!(tag.as_push().lease, Lease::From(Expected::Absent));
    }

    #[test]
    fn base_does_not_move_to_where_it_stands() {
        assert_eq!(base_change(name("refs/heads/master"), CommitId(id("1")), CommitId(id("1"))), None);
    }
}
