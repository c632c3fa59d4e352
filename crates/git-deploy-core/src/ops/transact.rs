//! Moving what belongs together: one atomic push where there is a remote, else one ref after the other with a journal.

mod files;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Settings;
use crate::git::notes::{Notes, NotesEdit, notes_ref};
use crate::git::push::{Pushed, Tracking};
use crate::git::refs::{Expected, RefUpdate, RefsError, backoff};
use crate::git::sharing::new_file_in;
use crate::git::work_tree::{Busy, CheckedOut};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::land::Change;
use crate::machine;
use crate::ops::Observer;
use crate::ops::sync::{self, SyncError};

/// How often a transaction is made again because only notes moved meanwhile.
const TRIES: u32 = 20;

/// How long to wait before a push is tried again that was refused without anybody's decision.
const PASSING_PAUSES: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(700), Duration::from_millis(1500)];

/// How a transaction ended.
#[derive(Debug)]
pub enum Transacted {
    /// Everything moved.
    Done,
    /// These refs did not stand where they were expected. With a remote nothing moved; without one all that comes before
    /// the first of them did.
    Moved(Vec<RefName>),
    /// The remote forbids it, in these words.
    Refused(String),
    /// The remote cannot be reached, a lock file is in the way there, or a work tree cannot follow: nothing moved.
    Unable(String),
}

/// Where transactions are made.
pub struct Transactor<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Which remote counts.
    pub settings: &'a Settings,
    /// Who writes.
    pub identity: &'a Identity,
    /// Told what happens.
    pub observer: &'a dyn Observer,
}

impl Transactor<'_> {
    /// Where a ref that counts is read.
    pub fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        self.repository.resolve(&self.settings.authority(name))
    }

    /// Makes one transaction. `edit` says what becomes of the notes, given how they stand; `changes` puts the move of the
    /// notes ref (none if nothing changes) in its place among the others.
    ///
    /// # Errors
    /// When something fails that says nothing about the outcome.
    pub fn transact(
        &self,
        label: &str,
        edit: impl Fn(&Notes<'_>) -> Result<NotesEdit, SyncError>,
        changes: impl Fn(Option<Change>) -> Vec<Change>,
    ) -> Result<Transacted, SyncError> {
        for tries in 1..=TRIES {
            // The value that the lease names is read before it is merged: a plain `git fetch` moves it and merges nothing.
            let tracking = self.settings.remote.as_ref();
            let theirs =
                tracking.map_or(Ok(None), |tracking| sync::fetched_notes(self.repository, tracking))?;
            if let Some(tracking) = tracking.filter(|_| theirs.is_some()) {
                sync::merge_notes(self.repository, tracking, self.observer)?;
            }
            let theirs = theirs.map(|theirs| theirs.0);
            let notes = self.repository.notes()?;
            let commit = notes.commit_with(&edit(&notes)?, self.identity)?;
            let outcome = match &self.settings.remote {
                Some(tracking) => {
                    // Also decisions that were not published yet go along: there is one notes ref.
                    let ours = commit.or(notes.commit).filter(|ours| Some(ours.0) != theirs);
                    let list = changes(ours.map(|ours| Change::update(notes_ref(), theirs, ours.0)));
                    let intent = self.intend_to_follow(&list)?;
                    let outcome = self.push(tracking, &list)?;
                    if matches!(outcome, Transacted::Done) {
                        self.follow_push(tracking, &notes, commit, &list)?;
                    }
                    intent.as_deref().map_or(Ok(()), forget)?;
                    outcome
                }
                None => {
                    let seen = notes.commit.map(|commit| commit.0);
                    let list = changes(commit.map(|commit| Change::update(notes_ref(), seen, commit.0)));
                    self.run_journal(&Journal { label: label.to_owned(), changes: list })?
                }
            };
            match outcome {
                Transacted::Moved(moved) if moved.iter().all(|name| *name == notes_ref()) => {
                    machine::sleep(backoff(tries));
                }
                outcome => return Ok(outcome),
            }
        }
        Ok(Transacted::Unable("notes were written by somebody else every time".to_owned()))
    }

    /// Pushes, and finds out why where that was refused.
    fn push(&self, tracking: &Tracking, list: &[Change]) -> Result<Transacted, SyncError> {
        for pause in PASSING_PAUSES {
            match self.push_once(tracking, list)? {
                (Transacted::Refused(_) | Transacted::Unable(_), true) => machine::sleep(pause),
                (outcome, _) => return Ok(outcome),
            }
        }
        Ok(self.push_once(tracking, list)?.0)
    }

    /// Pushes once; also says whether what was refused may be taken in a moment.
    fn push_once(&self, tracking: &Tracking, list: &[Change]) -> Result<(Transacted, bool), SyncError> {
        let push: Vec<_> = list.iter().map(Change::as_push).collect();
        let mut passing = false;
        let outcome = match sync::push_and_follow(self.repository, tracking, &push)? {
            Pushed::Done => Ok(Transacted::Done),
            Pushed::Unreachable(why) => {
                // The connection may have been lost after the refs were moved.
                match sync::fetch(self.repository, tracking, self.observer) {
                    Ok(()) if self.all_there(list)? => Ok(Transacted::Done),
                    Ok(()) | Err(SyncError::Unreachable { .. }) => Ok(Transacted::Unable(why)),
                    Err(error) => Err(error),
                }
            }
            Pushed::Refused(refusals) => {
                passing = refusals.is_passing();
                sync::fetch(self.repository, tracking, self.observer)?;
                if self.all_there(list)? {
                    return Ok((Transacted::Done, false));
                }
                let mut moved = Vec::new();
                for change in list {
                    if !change.old.holds(self.resolve(&change.name)?) {
                        moved.push(change.name.clone());
                    }
                }
                Ok(match refusals.lock {
                    _ if !moved.is_empty() => Transacted::Moved(moved),
                    // Nobody there has decided anything.
                    Some(lock) => Transacted::Unable(lock),
                    None => Transacted::Refused(refusals.to_string()),
                })
            }
        };
        Ok((outcome?, passing))
    }

    fn all_there(&self, list: &[Change]) -> Result<bool, GitError> {
        for change in list {
            if self.resolve(&change.name)? != change.new {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps on disk which local branches are to follow a push: whoever dies when it was taken cannot do it any more.
    fn intend_to_follow(&self, list: &[Change]) -> Result<Option<PathBuf>, GitError> {
        let mut changes = list.to_vec();
        changes.retain(is_move_of_branch);
        if changes.is_empty() {
            return Ok(None);
        }
        let path = self.follow_path();
        Journal { label: "follow".to_owned(), changes }.write(&path)?;
        Ok(Some(path))
    }

    /// Lets local branches follow what a run that died had pushed, as it would have done itself. Only after a fetch: what the
    /// remote does not have was not taken.
    ///
    /// # Errors
    /// When a ref or a work tree cannot be moved.
    pub fn finish_following(&self) -> Result<(), SyncError> {
        let path = self.follow_path();
        let Some(Journal { changes, .. }) = Journal::read(&path)? else { return Ok(()) };
        let mut taken = Vec::new();
        for change in changes {
            let (Some(new), Some(theirs)) = (change.new, self.resolve(&change.name)?) else { continue };
            // What the power took before it reached the disk or the remote was not taken either.
            let is_there = self.repository.find(new)?.is_some();
            if is_there && self.repository.is_ancestor(CommitId(new), CommitId(theirs))? {
                let forward = change.name == self.settings.base;
                taken.push(Change { forward, ..change });
            }
        }
        self.follow_branches(&taken)?;
        Ok(forget(&path)?)
    }

    /// Brings our own refs to what was pushed. Each is a copy of what the remote has now, so that a crash in between is
    /// made good by the next fetch.
    fn follow_push(
        &self,
        tracking: &Tracking,
        notes: &Notes<'_>,
        commit: Option<CommitId>,
        list: &[Change],
    ) -> Result<(), SyncError> {
        if let Some(commit) = commit {
            match self.repository.update_refs(&[notes.update_to(commit)], "deploy: push") {
                Ok(()) => {}
                Err(RefsError::Moved(_)) => sync::merge_notes(self.repository, tracking, self.observer)?,
                Err(RefsError::Git(error)) => return Err(error.into()),
            }
        }
        for change in list {
            let is_tag = change.name.as_str().starts_with("refs/tags/");
            if is_tag && self.repository.resolve(&change.name)?.is_none() {
                let update = RefUpdate { old: Expected::Absent, ..change.as_update() };
                self.update(&update, "deploy: push")?;
            }
        }
        self.follow_branches(list)
    }

    /// Moves local branches from the commits that the remote had to those that it has now: those that stand there, and whose
    /// work trees can follow. That base stays behind needs no word: a pull brings it there.
    fn follow_branches(&self, list: &[Change]) -> Result<(), SyncError> {
        let mut moving = Vec::new();
        for change in list.iter().filter(|change| is_move_of_branch(change)) {
            // One that must be new there may be anything here.
            if change.old != Expected::Absent && change.old.holds(self.repository.resolve(&change.name)?) {
                moving.push(change);
            }
        }
        if moving.is_empty() {
            return Ok(());
        }
        let places = self.repository.checked_out()?;
        let (held, free): (Vec<&Change>, Vec<&Change>) =
            moving.into_iter().partition(|change| places.iter().any(|place| place.branch == change.name));
        let updates: Vec<RefUpdate> = free.iter().map(|change| change.as_update()).collect();
        match self.repository.update_refs(&updates, "deploy: follow") {
            // One that somebody moved just now is brought here by the next 'git deploy-rebase', with the others.
            Ok(()) | Err(RefsError::Moved(_)) => {}
            Err(RefsError::Git(error)) => return Err(error.into()),
        }
        for change in held {
            let journal = Journal { label: "follow".to_owned(), changes: vec![change.clone()] };
            if let Transacted::Unable(why) = self.run_journal(&journal)?
                && !change.forward
            {
                let name = change.name.short();
                self.observer.warn(&format!("local branch '{name}' stays where it is: {why}"));
            }
        }
        Ok(())
    }

    fn update(&self, update: &RefUpdate, reflog: &str) -> Result<bool, SyncError> {
        match self.repository.update_refs(std::slice::from_ref(update), reflog) {
            Ok(()) => Ok(true),
            Err(RefsError::Moved(_)) => Ok(false),
            Err(RefsError::Git(error)) => Err(error.into()),
        }
    }

    /// Why a work tree could not follow a branch that moves, if one could not.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn cannot_follow(&self, change: &Change) -> Result<Option<Busy>, SyncError> {
        let (Expected::At(old), Some(new)) = (change.old, change.new) else { return Ok(None) };
        for checked_out in self.checked_out(&change.name)? {
            let why = self.repository.cannot_follow(&checked_out, CommitId(old), CommitId(new))?;
            if why.is_some() {
                return Ok(why);
            }
        }
        Ok(None)
    }

    fn checked_out(&self, name: &RefName) -> Result<Vec<CheckedOut>, GitError> {
        if name.branch_name().is_none() {
            return Ok(Vec::new());
        }
        let mut places = self.repository.checked_out()?;
        places.retain(|place| place.branch == *name);
        Ok(places)
    }

    /// Why a change could not be made, as far as that shows before the first one is.
    fn cannot_be_made(&self, change: &Change) -> Result<Option<String>, SyncError> {
        // Branches have the names that people choose; all other refs that are made have ours alone.
        if is_move_of_branch(change) && change.old == Expected::Absent {
            return Ok(self.repository.in_the_way_of(&change.name)?.map(|found| found.to_string()));
        }
        Ok(self.cannot_follow(change)?.map(|busy| busy.to_string()))
    }

    /// Moves refs one after the other. The journal is on disk before the first moves and is removed after the last, so
    /// that the next run can go on from any point. Where files have no room nothing moves.
    fn run_journal(&self, journal: &Journal) -> Result<Transacted, SyncError> {
        for change in &journal.changes {
            if let Some(why) = self.cannot_be_made(change)? {
                return Ok(Transacted::Unable(why));
            }
        }
        let path = self.journal_path();
        journal.write(&path)?;
        let outcome = self.make(journal, false)?;
        std::fs::remove_file(&path).map_err(GitError::file(&path))?;
        Ok(outcome)
    }

    /// Makes the changes of a journal. What has begun is ended, also without files that have no room.
    fn make(&self, journal: &Journal, has_begun: bool) -> Result<Transacted, SyncError> {
        match self.bring(journal)? {
            Ok(followers) => {
                let outcome = self.replay(journal);
                self.take_back(followers)?;
                outcome
            }
            Err(_) if has_begun => self.replay(journal),
            Err(busy) => Ok(Transacted::Unable(busy.to_string())),
        }
    }

    /// Makes those changes of a journal that are not made yet, up to the first that cannot be.
    fn replay(&self, journal: &Journal) -> Result<Transacted, SyncError> {
        for change in &journal.changes {
            let standing = self.repository.resolve(&change.name)?;
            if let Some(new) = change.new
                && self.repository.find(new)?.is_none()
            {
                // The power failed before the object reached the disk: what comes now is decided anew.
                return Ok(Transacted::Moved(vec![change.name.clone()]));
            }
            if standing != change.new
                && !self.update(&change.as_update(), &format!("deploy: {}", journal.label))?
            {
                return Ok(Transacted::Moved(vec![change.name.clone()]));
            }
            if let (Expected::At(old), Some(new)) = (change.old, change.new) {
                for checked_out in self.checked_out(&change.name)? {
                    let Err(error) = self.repository.follow(&checked_out, CommitId(old), CommitId(new))
                    else {
                        continue;
                    };
                    // So that what is told here can be done, also where files were written in part.
                    let _ = self.repository.follow_back(&checked_out, CommitId(old), CommitId(new));
                    // The ref has moved: what comes after it must not wait for somebody's files.
                    self.observer.warn(&format!(
                        "'{}' stands at {new}, and its work tree '{}' could not follow from {old}: {error}; \
                         commit nothing there, move what is in the way aside or make room, then: git read-tree -m -u {old} HEAD",
                        change.name.short(),
                        checked_out.path.display(),
                    ));
                }
            }
        }
        Ok(Transacted::Done)
    }

    /// Whether one of the refs of a journal is where it was to go.
    fn has_begun(&self, journal: &Journal) -> Result<bool, GitError> {
        for change in &journal.changes {
            if self.repository.resolve(&change.name)? == change.new {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn journal_path(&self) -> PathBuf {
        self.repository.deploy_dir().join("journal")
    }

    fn follow_path(&self) -> PathBuf {
        self.repository.deploy_dir().join("follow")
    }

    /// Finishes what a run that died had begun here. Returns what it was.
    ///
    /// # Errors
    /// When a ref or a work tree cannot be moved.
    pub fn finish_journal(&self) -> Result<Option<String>, SyncError> {
        self.repository.clear_dead()?;
        let path = self.journal_path();
        let Some(journal) = Journal::read(&path)? else { return Ok(None) };
        self.tell_of_moved(&journal)?;
        let outcome = self.make(&journal, self.has_begun(&journal)?)?;
        std::fs::remove_file(&path).map_err(GitError::file(&path))?;
        match outcome {
            // What comes after the ref that somebody else moved is decided anew by who reads the attempt.
            Transacted::Moved(_) => Ok(Some(format!("{} (refs were moved meanwhile)", journal.label))),
            Transacted::Done | Transacted::Refused(_) | Transacted::Unable(_) => Ok(Some(journal.label)),
        }
    }
}

fn is_move_of_branch(change: &Change) -> bool {
    change.name.branch_name().is_some() && change.new.is_some()
}

/// What a journal asks for is done.
fn forget(path: &Path) -> Result<(), GitError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(GitError::file(path)(error)),
        _ => Ok(()),
    }
}

/// The changes of one transaction, as they stand on disk while it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) label: String,
    pub(crate) changes: Vec<Change>,
}

impl Journal {
    pub(crate) fn write(&self, path: &Path) -> Result<(), GitError> {
        let dir = path.parent().unwrap_or(path);
        std::fs::create_dir_all(dir).map_err(GitError::file(dir))?;
        let mut file = new_file_in(dir)?;
        let write = |file: &mut tempfile::NamedTempFile| {
            std::io::Write::write_all(file, self.to_text().as_bytes())?;
            file.as_file().sync_all()
        };
        write(&mut file).map_err(GitError::file(path))?;
        file.persist(path).map_err(|error| GitError::file(path)(error.error))?;
        // The name must be as safe as the bytes before any ref moves.
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(GitError::file(dir))
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, GitError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map(Some).ok_or_else(|| {
                GitError::file(path)(std::io::Error::other(
                    "it is no journal of this version: move it away by hand",
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GitError::file(path)(error)),
        }
    }

    fn to_text(&self) -> String {
        let id = |id: Option<ObjectId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut text = format!("{}\n", self.label);
        for change in &self.changes {
            let old = match change.old {
                Expected::Absent => None,
                Expected::At(old) => Some(old),
            };
            text.push_str(&format!("{} {} {}\n", id(old), id(change.new), change.name));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let id = |word: &str| if word == "-" { Some(None) } else { word.parse().ok().map(Some) };
        let mut lines = text.lines();
        let label = lines.next()?.to_owned();
        let changes = lines.map(|line| {
            let mut words = line.splitn(3, ' ');
            let old = Expected::seen(id(words.next()?)?);
            let new = id(words.next()?)?;
            Some(Change { name: RefName::new(words.next()?).ok()?, old, new, forward: false })
        });
        Some(Self { label, changes: changes.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back_as_written() {
        let id = |digit: &str| digit.repeat(40).parse::<ObjectId>().unwrap();
        let name = |name: &str| RefName::new(name).unwrap();
        let changes = vec![
            Change::create(name("refs/tags/deployment-0001"), id("1")),
            Change::update(name("refs/heads/master"), Some(id("2")), id("3")),
            Change::delete(name("refs/deploy/lock/env/demo"), id("4")),
        ];
        let journal = Journal { label: "deployment-0001: land".to_owned(), changes };
        assert_eq!(Journal::parse(&journal.to_text()), Some(journal));
        assert_eq!(Journal::parse("x\nnonsense\n"), None);
    }
}
