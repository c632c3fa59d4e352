//! What happens in git's hooks.
//!
//! A hook runs in the middle of somebody's work: it reads as little as it can, in this process, and says what it has to
//! say. The one thing that it ever refuses, to move or delete a deployment tag, needs nothing but git's own words.

mod elsewhere;
mod left;

use crate::branch::{Branch, Status};
use crate::config::ConfigError;
use crate::git::chains::Chains;
use crate::git::notes::{Notes, NotesError, notes_ref};
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, ObjectId, RefName};
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::copied::own_note;
use crate::ops::fetched::{merged_note, unmerged};
use crate::ops::sync::{self, SyncError};
use crate::ops::view::{LandedElsewhere, View, ViewError};
use crate::rebase::RebaseError;
use crate::state::State;

pub use elsewhere::Unpublished;
pub use left::{LeftApproved, LeftByPush, post_commit};

/// The beginning of the names of deployment tags.
const DEPLOYMENT_TAGS: &str = "refs/tags/deployment-";

/// Why a hook could not find out what it should say.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Branches and their states cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A note cannot be read or written.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Nothing could be replayed.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// One ref of a push, as git tells it to pre-push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// The ref on the remote.
    pub name: RefName,
    /// Where it goes; `None` deletes it.
    pub new: Option<ObjectId>,
    /// Where it stands on the remote; `None` if it is new there.
    pub old: Option<ObjectId>,
}

impl PushedRef {
    /// Reads `<local ref> <local id> <remote ref> <remote id>`. The first may be any expression, with spaces in it.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.rsplitn(4, ' ');
        let (old, name, new) = (words.next()?, words.next()?, words.next()?);
        let id = |word: &str| word.parse::<ObjectId>().ok().map(|id| (!id.is_null()).then_some(id));
        Some(Self { name: RefName::new(name).ok()?, new: id(new)?, old: id(old)? })
    }
}

/// What git writes to pre-push: a line for each ref. What is none is passed over.
pub fn pushed_refs(input: &[u8]) -> Vec<PushedRef> {
    String::from_utf8_lossy(input).lines().filter_map(PushedRef::parse).collect()
}

/// A deployment tag that a push would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The tag.
    pub name: RefName,
    /// Whether it would be deleted, else moved.
    pub deleted: bool,
}

/// The deployment tags that a push would move or delete. Tags that are new on the remote are none of these.
pub fn changed_tags(pushed: &[PushedRef]) -> Vec<TagChange> {
    let changed = pushed.iter().filter(|pushed| {
        pushed.name.as_str().starts_with(DEPLOYMENT_TAGS) && pushed.old.is_some() && pushed.old != pushed.new
    });
    changed.map(|pushed| TagChange { name: pushed.name.clone(), deleted: pushed.new.is_none() }).collect()
}

/// Something that somebody who pushes should know.
#[derive(Debug)]
pub enum Warning {
    /// A branch is broken.
    Broken {
        /// The branch.
        branch: RefName,
        /// What it cannot be rebased on: base where it counts.
        base: RefName,
        /// The paths that conflict.
        paths: Vec<String>,
    },
    /// The runner has rebased a branch on the remote; ours still stands where it was.
    Rebased(RefName),
    /// A branch was rebased here by its developer, and git refuses to push what is no step forward.
    RebasedHere(RefName),
    /// What is pushed has landed as a rebase made it: the remote would get the commits from before that again.
    Landed(RefName, LandedElsewhere),
    /// The remote has something else on a branch, which is in a state in which the runner rebases it.
    Moved(RefName, State),
    /// The push takes a branch from an approved commit to one that nobody has decided about.
    Left(LeftByPush),
    /// The push deletes a branch that was staged or deployable.
    Deleted {
        /// The branch.
        branch: RefName,
        /// What it was.
        was: State,
        /// The commit that it stood on, if that is here.
        tip: Option<CommitId>,
    },
    /// A note cannot be read.
    Note(NotesError),
}

/// What there is to say about a push.
#[derive(Debug, Default)]
pub struct PrePush {
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Whether states had to be published, and how that went.
    pub published: Option<Result<(), SyncError>>,
    /// Why states were not to be published, where one would think so.
    pub unpublished: Option<Unpublished>,
}

/// Looks at what is pushed, and publishes the states of branches if it goes to the remote that counts.
///
/// # Errors
/// When the repository or its configuration cannot be read.
pub fn pre_push(
    repository: &Repository,
    remote: &str,
    pushed: &[PushedRef],
    observer: &dyn Observer,
) -> Result<PrePush, HookError> {
    let view = View::new(repository)?;
    let Some(tracking) = view.settings.remote.clone().filter(|tracking| tracking.remote() == remote) else {
        let unpublished = elsewhere::unpublished(&view, remote, pushed)?;
        return Ok(PrePush { unpublished, ..PrePush::default() });
    };
    // What is no commit holds no notes, and is told where they are published.
    let fetched = match unmerged(&view) {
        Ok(Some(tracking)) => sync::fetched_notes(repository, tracking)?,
        Ok(None) | Err(_) => None,
    };
    let push = Push { view: &view, unmerged: repository.notes_at(fetched)? };
    let mut said = PrePush::default();
    for pushed in pushed.iter().filter(|pushed| pushed.name.branch_name().is_some()) {
        said.warnings.extend(push.warnings(pushed)?);
    }
    // What git itself refuses because the remote is ahead it does not tell the hook, and then that is mostly all.
    if pushed.is_empty() {
        said.warnings.extend(push.current_branch(&tracking)?);
    }
    said.published = publish(repository, &tracking, observer);
    Ok(said)
}

/// A push to the remote that counts.
struct Push<'a> {
    view: &'a View<'a>,
    /// The remote's notes as they were last fetched, if they are not merged yet.
    unmerged: Notes<'a>,
}

impl Push<'_> {
    fn warnings(&self, pushed: &PushedRef) -> Result<Vec<Warning>, HookError> {
        let old = pushed.old.map(CommitId);
        let Some(new) = pushed.new.map(CommitId) else {
            let deleted = old.map_or(Ok(None), |old| left::by_deletion(self, &pushed.name, old))?;
            return Ok(deleted.into_iter().collect());
        };
        let mut warnings = Vec::new();
        let note = self.note(&pushed.name, new, &mut warnings);
        if let Some(note) = note.as_ref().filter(|note| note.state == State::Broken) {
            let settings = &self.view.settings;
            let (base, paths) = (settings.authority(&settings.base), note.conflicts.clone());
            warnings.push(Warning::Broken { branch: pushed.name.clone(), base, paths });
        }
        if let Some(landed) = self.view.landed_elsewhere(&pushed.name, new)? {
            warnings.push(Warning::Landed(pushed.name.clone(), landed));
        } else if let Some(old) = old {
            warnings.extend(self.overwrites(&pushed.name, old, new, note.as_ref())?);
            warnings.extend(left::by_push(self, &pushed.name, old, new)?.map(Warning::Left));
        }
        Ok(warnings)
    }

    fn note(&self, branch: &RefName, commit: CommitId, warnings: &mut Vec<Warning>) -> Option<Note> {
        match own_note(&self.view.notes, commit) {
            Ok(note) => note.filter(|note| note.speaks_for(branch, true)),
            Err(error) => {
                warnings.push(Warning::Note(error));
                None
            }
        }
    }

    /// Whether what stands on the remote was put there by a rebase that ours knows nothing of.
    fn overwrites(
        &self,
        branch: &RefName,
        old: CommitId,
        new: CommitId,
        note: Option<&Note>,
    ) -> Result<Option<Warning>, HookError> {
        let repository = self.view.repository;
        if repository.find(old.0)?.is_some() {
            let rebased =
                self.is_rebase(old) && !repository.is_ancestor(old, new)? && !self.is_on_base(new)?;
            return Ok(rebased.then(|| Warning::Rebased(branch.clone())));
        }
        // Not fetched yet. The note may be on what the remote had when it was.
        let before = repository.tip(&self.view.settings.authority(branch))?;
        let before = before.and_then(|before| own_note(&self.view.notes, before).ok().flatten());
        let state = [note, before.as_ref()]
            .into_iter()
            .flatten()
            .map(|note| note.state)
            .find(|state| state.is_rebased());
        Ok(state.map(|state| Warning::Moved(branch.clone(), state)))
    }

    /// The note on a commit as it is when what was fetched is merged.
    fn merged_note(&self, commit: CommitId) -> Result<Option<Note>, NotesError> {
        match self.unmerged.commit {
            None => own_note(&self.view.notes, commit),
            Some(_) => merged_note(&self.view.notes, &self.unmerged, commit),
        }
    }

    /// Whether a commit is what a rebase of ours made.
    fn is_rebase(&self, commit: CommitId) -> bool {
        let mut notes = [&self.view.notes, &self.unmerged].into_iter();
        notes.any(|notes| {
            own_note(notes, commit).ok().flatten().is_some_and(|note| note.rebased_from.is_some())
        })
    }

    /// Whether somebody has decided about a commit.
    fn is_known(&self, commit: CommitId) -> bool {
        [&self.view.notes, &self.unmerged].into_iter().any(|notes| matches!(notes.get(commit), Ok(Some(_))))
    }

    /// Whether a commit stands on base where that counts: somebody has rebased it as the runner would have.
    fn is_on_base(&self, commit: CommitId) -> Result<bool, HookError> {
        let settings = &self.view.settings;
        let base_tip = self.view.repository.tip(&settings.authority(&settings.base))?;
        Ok(base_tip.map_or(Ok(false), |base_tip| self.view.repository.is_ancestor(base_tip, commit))?)
    }

    /// Whether base has a commit, where that counts.
    fn base_has(&self, commit: CommitId) -> Result<bool, HookError> {
        let settings = &self.view.settings;
        let base_tip = self.view.repository.tip(&settings.authority(&settings.base))?;
        let (Some(base_tip), Some(commit)) = (base_tip, self.if_here(commit)?) else { return Ok(false) };
        Ok(self.view.repository.is_ancestor(commit, base_tip)?)
    }

    /// A commit of the remote, if it is here.
    fn if_here(&self, commit: CommitId) -> Result<Option<CommitId>, HookError> {
        Ok(self.view.repository.find(commit.0)?.map(|_| commit))
    }

    fn current_branch(&self, tracking: &Tracking) -> Result<Option<Warning>, HookError> {
        let Some(branch) = self.view.current_branch()? else { return Ok(None) };
        let repository = self.view.repository;
        let theirs = tracking.of(&branch).map_or(Ok(None), |name| repository.tip(&name))?;
        let (Some(ours), Some(theirs)) = (repository.tip(&branch)?, theirs) else { return Ok(None) };
        if ours == theirs || repository.is_ancestor(theirs, ours)? || branch == self.view.settings.base {
            return Ok(None);
        }
        if let Some(landed) = self.view.landed_elsewhere(&branch, ours)? {
            return Ok(Some(Warning::Landed(branch, landed)));
        }
        if !self.is_on_base(ours)? {
            return Ok(self.is_rebase(theirs).then_some(Warning::Rebased(branch)));
        }
        // Behind the remote there is nothing to push.
        let here = self.is_known(theirs) && !repository.is_ancestor(ours, theirs)?;
        Ok(here.then_some(Warning::RebasedHere(branch)))
    }
}

/// Publishes our notes if the remote has others, as far as that can be said without asking it.
fn publish(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Option<Result<(), SyncError>> {
    let publish = || -> Result<bool, SyncError> {
        let ours = repository.tip(&notes_ref())?;
        if ours.is_none() || ours == sync::fetched_notes(repository, tracking)? {
            return Ok(false);
        }
        sync::publish_notes(repository, tracking, observer)
    };
    match publish() {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(error) => Some(Err(error)),
    }
}

/// A branch of ours that base has left behind, or has taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is kept rebased, and base is ahead of it.
    Behind(RefName, State),
    /// It cannot be rebased; with the paths that conflict.
    Broken(RefName, Vec<String>),
    /// It has landed.
    Landed(RefName, DeploymentId),
    /// It has landed as a rebase elsewhere made it, and still stands at the commits from before.
    LandedElsewhere(RefName, LandedElsewhere),
}

/// What there is to say after a merge.
#[derive(Debug)]
pub struct PostMerge {
    /// Base, where it counts.
    pub base: RefName,
    /// The branches that there is something to say about, by name.
    pub branches: Vec<Left>,
    /// The branch that the merge went into, if that has left an approved commit.
    pub left: Option<LeftApproved>,
    /// Notes that cannot be read.
    pub malformed: Vec<NotesError>,
}

/// Looks which of our branches are behind base or on it, and whether the one that is checked out has left the queue.
///
/// # Errors
/// When branches or notes cannot be read.
pub fn post_merge(repository: &Repository) -> Result<PostMerge, HookError> {
    let view = View::new(repository)?;
    let base = view.settings.authority(&view.settings.base);
    let mut said = PostMerge { base, branches: Vec::new(), left: None, malformed: Vec::new() };
    // No state was ever set here: nothing can be staged, and nothing has landed.
    if view.notes.commit.is_none() {
        return Ok(said);
    }
    let Some(base_tip) = repository.tip(&said.base)? else { return Ok(said) };
    said.left = left::by_merge(&view, base_tip)?;
    let merged = merged(&view)?;
    // A branch that stands on base is not behind it, can be rebased, and has not landed: of many all are mostly so.
    let mut chains = Chains::on(base_tip);
    let found =
        view.local_branches_where(|_, tip| merged.contains(&tip) || !chains.reach(repository, tip))?;
    said.malformed = found.malformed;
    for Branch { name, tip, status, .. } in found.branches {
        if let Some(landed) = view.landed_elsewhere(&name, tip)? {
            let came = came_with_merge(repository, landed.commit)?;
            said.branches.extend(came.then_some(Left::LandedElsewhere(name, landed)));
            continue;
        }
        let left = match status {
            Status::Staged | Status::Deployable => {
                (!repository.is_ancestor(base_tip, tip)?).then(|| Left::Behind(name, status.state()))
            }
            Status::Broken { paths } => Some(Left::Broken(name, paths)),
            Status::Deployed { deployment } => {
                came_with_merge(repository, tip)?.then_some(Left::Landed(name, deployment))
            }
            Status::Development | Status::Merged { .. } => None,
        };
        said.branches.extend(left);
    }
    Ok(said)
}

/// The commits that the merge was about: where the branch is now that is checked out, and what came together there.
fn merged(view: &View<'_>) -> Result<Vec<CommitId>, HookError> {
    let current = view.current_branch()?.map_or(Ok(None), |branch| view.repository.tip(&branch))?;
    let Some(tip) = current else { return Ok(Vec::new()) };
    Ok([vec![tip], view.repository.commit(tip)?.parents].concat())
}

/// Whether the merge brought a commit here. One that was here before was told when it came.
fn came_with_merge(repository: &Repository, tip: CommitId) -> Result<bool, GitError> {
    let contains = |revision: &str| match repository.find_commit(revision)? {
        Some(commit) => repository.is_ancestor(tip, commit),
        None => Ok(false),
    };
    Ok(contains("HEAD")? && !contains("ORIG_HEAD")?)
}

/// The hooks that githooks(5) knows. One that we have nothing to do in does nothing, so that scripts of a newer version
/// may call an older program.
pub const KNOWN_HOOKS: [&str; 28] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "post-index-change",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn a_line_is_read_from_its_end_because_it_may_begin_with_any_expression() {
        let pushed = pushed_refs(format!("HEAD^{{/a b}} {ONE} refs/heads/x {TWO}\n\nodd\n").as_bytes());
        assert_eq!(pushed.len(), 1);
        assert_eq!(pushed[0].name.as_str(), "refs/heads/x");
        assert_eq!((pushed[0].new, pushed[0].old), (ONE.parse().ok(), TWO.parse().ok()));
    }

    #[test]
    fn only_deployment_tags_that_are_there_already_cannot_be_pushed() {
        let changed = |new: &str, name: &str, old: &str| {
            changed_tags(&pushed_refs(format!("x {new} refs/tags/{name} {old}").as_bytes()))
                .first()
                .map(|tag| tag.deleted)
        };
        assert_eq!(changed(ONE, "deployment-0001", NONE), None);
        assert_eq!(changed(ONE, "deployment-0001", ONE), None);
        assert_eq!(changed(ONE, "deployment-staging-0001", TWO), Some(false));
        assert_eq!(changed(NONE, "deployment-0001", TWO), Some(true));
        assert_eq!(changed(NONE, "v1", TWO), None);
    }
}
