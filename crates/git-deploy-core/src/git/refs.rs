//! The only place where a ref of this repository moves: `git update-ref --stdin`.
//!
//! The git program is used because libgit2 runs no `reference-transaction` hooks; where there is none, notes are moved in
//! process, and the program does what was in the way of that. Each update carries the value that it expects, so that what
//! somebody else did meanwhile is never lost. A transaction is all or nothing for concurrent
//! readers, but *not* across a crash: what must survive one is ordered by the caller, one transaction a step.

use std::time::Duration;

use crate::git::intent::Intent;
use crate::git::program::{Call, ProgramError, Started, git};
use crate::git::{GitError, Repository};
use crate::ids::{ObjectId, RefName};
use crate::machine;

/// What a ref must be for an update to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It must not exist.
    Absent,
    /// It must lead to this object.
    At(ObjectId),
}

impl Expected {
    /// The expectation that a ref is as it was seen.
    pub fn seen(seen: Option<ObjectId>) -> Self {
        seen.map_or(Self::Absent, Self::At)
    }

    /// Whether the ref is as expected.
    pub fn holds(self, actual: Option<ObjectId>) -> bool {
        self == Self::seen(actual)
    }
}

/// One ref to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// Where it must stand.
    pub old: Expected,
    /// Where it goes; `None` deletes it.
    pub new: Option<ObjectId>,
}

/// Why refs were not moved.
#[derive(Debug, thiserror::Error)]
pub enum RefsError {
    /// A ref does not stand where it was expected: nothing was moved.
    #[error("ref '{0}' was moved by somebody else meanwhile")]
    Moved(RefName),
    /// Something failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<ProgramError> for RefsError {
    fn from(error: ProgramError) -> Self {
        Self::Git(error.into())
    }
}

/// A ref that cannot be made beside another one, as each name is a file or a folder: the one would be a folder of the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot make ref '{name}': '{there}' is there")]
pub struct RefInTheWay {
    /// The ref that is wanted.
    pub name: RefName,
    /// The one that is there.
    pub there: RefName,
}

/// How often a transaction is tried whose refs stand as expected but are locked by another process.
const LOCKED_TRIES: u32 = 6;

/// What git says when all refs have moved, its locks are gone and its hooks were run.
const DONE: &[u8] = b"commit: ok\n";

/// The refs that are moved in process where that can be.
const NOTES: &str = "refs/notes/";

/// A move of refs that waits to be told which. Where a git is needed for it, that starts while their objects are written.
#[must_use]
pub(super) struct Mover<'a> {
    repository: &'a Repository,
    intent: Intent,
    reflog: String,
    call: Call,
    /// None where it can be done without.
    started: Option<Started>,
}

impl Repository {
    /// Moves refs, all or none, with a message for their reflogs.
    ///
    /// # Errors
    /// [`RefsError::Moved`] if one of them stands neither where it was expected nor where it goes. None is moved then, unless
    /// git was killed in the middle before.
    pub fn update_refs(&self, updates: &[RefUpdate], reflog: &str) -> Result<(), RefsError> {
        if updates.is_empty() {
            return Ok(());
        }
        self.start_moving(reflog)?.update(updates)
    }

    /// Begins a move of refs, most likely of notes, of which only the message for their reflogs is known. If it is never told
    /// more, none moves.
    pub(super) fn start_moving(&self, reflog: &str) -> Result<Mover<'_>, GitError> {
        // Before git starts, which inherits its lock.
        let intent = self.begin_intent()?;
        let call = git(["update-ref", "--create-reflog", "--stdin", "-z", "-m"]).arg(reflog);
        let started = if self.backend.moves_refs() { None } else { Some(call.start()?) };
        Ok(Mover { repository: self, intent, reflog: reflog.to_owned(), call, started })
    }
}

impl Mover<'_> {
    /// Moves refs, as [`Repository::update_refs`].
    pub(super) fn update(self, updates: &[RefUpdate]) -> Result<(), RefsError> {
        let repository = self.repository;
        self.move_all(updates)?;
        // The refs have moved: what cannot be cleared now is found by whoever comes next.
        drop(repository.clear_old_locks());
        Ok(())
    }

    fn move_all(self, updates: &[RefUpdate]) -> Result<(), RefsError> {
        let Self { repository, mut intent, reflog, call, started } = self;
        intent.declare_refs(updates)?;
        if let (None, [update]) = (&started, updates)
            && update.name.as_str().starts_with(NOTES)
            && repository.identity().is_ok_and(|who| repository.backend.move_ref(update, &reflog, &who))
        {
            return Ok(());
        }
        let null = repository.null_id();
        let mut updates = updates.to_vec();
        let started = started.map_or_else(|| call.start(), Ok)?;
        let mut output = started.finish(&transaction(&updates, null), DONE)?;
        let mut tries = 0;
        loop {
            if output.status.success() {
                return Ok(());
            }
            if output.status.code().is_none() {
                // It was ended by a signal, and its locks are nobody's any more.
                repository.clear_locks_of_ended(&intent)?;
            }
            updates = repository.left_of(updates)?;
            if updates.is_empty() {
                return Ok(());
            }
            tries += 1;
            if tries == LOCKED_TRIES && !repository.clear_dead_locks()? || tries > LOCKED_TRIES {
                if let Some((name, lock)) = repository.held_lock(&updates) {
                    return Err(GitError::Locked { name, lock: Box::new(lock) }.into());
                }
                for RefUpdate { name, .. } in updates.iter().filter(|update| update.old == Expected::Absent) {
                    if let Some(found) = repository.in_the_way_of(name)? {
                        return Err(GitError::RefInTheWay(Box::new(found)).into());
                    }
                }
                return Err(call.failed(&output).into());
            }
            machine::sleep(backoff(tries));
            output = call.start()?.finish(&transaction(&updates, null), DONE)?;
        }
    }
}

impl Repository {
    /// What is in the way of a ref that is to be made, if anything is.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn in_the_way_of(&self, name: &RefName) -> Result<Option<RefInTheWay>, GitError> {
        let of = |there| RefInTheWay { name: name.clone(), there };
        let ends = name.as_str().match_indices('/').map(|(end, _)| &name.as_str()[..end]);
        for above in ends.filter_map(|above| RefName::new(above).ok()) {
            if self.resolve(&above)?.is_some() {
                return Ok(Some(of(above)));
            }
        }
        let below = self.refs(&format!("{name}/"))?.into_iter().next();
        Ok(below.map(|found| of(found.name)))
    }

    /// Those that are still to be made: which of the many reasons it was is not read from the message, but from what stands
    /// there now. Some may have moved before git ended.
    fn left_of(&self, updates: Vec<RefUpdate>) -> Result<Vec<RefUpdate>, RefsError> {
        let mut left = Vec::new();
        for update in updates {
            let actual = self.resolve(&update.name)?;
            if update.old.holds(actual) {
                left.push(update);
            } else if actual != update.new {
                return Err(RefsError::Moved(update.name));
            }
        }
        Ok(left)
    }
}

/// How long to wait before the n-th further try, so that many writers do not keep meeting each other: a random part
/// of a time that doubles up to about a quarter of a second.
pub fn backoff(tries: u32) -> Duration {
    let longest = 4_u64 << tries.min(6);
    Duration::from_millis(fastrand::u64(1..=longest))
}

fn transaction(updates: &[RefUpdate], null: ObjectId) -> Vec<u8> {
    let mut input = String::from("start\0");
    for RefUpdate { name, old, new } in updates {
        let line = match (old, new) {
            (Expected::Absent, Some(new)) => format!("create {name}\0{new}\0"),
            (Expected::Absent, None) => format!("verify {name}\0{null}\0"),
            (Expected::At(old), Some(new)) => format!("update {name}\0{new}\0{old}\0"),
            (Expected::At(old), None) => format!("delete {name}\0{old}\0"),
        };
        input.push_str(&line);
    }
    // It prepares by itself; to be told that would be one more time to wake up.
    input.push_str("commit\0");
    input.into_bytes()
}
