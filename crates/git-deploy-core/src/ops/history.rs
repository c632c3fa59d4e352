//! How the states of branches came about, read from the history of the notes ref.
//!
//! Each commit on that ref is one action, by whomever: a `set`, a sweep, a merge, or `git notes --ref=deploy edit` by
//! hand. What it did is what its notes say other than those of its parents; messages are for people and are not read.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use jiff::Timestamp;

use crate::git::object::{Commit, TreeEntry};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::Note;
use crate::ops::view::{View, ViewError};
use crate::record::one_line;
use crate::state::State;

/// A branch went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub time: Option<Timestamp>,
    /// Who did it: `Name <mail>`.
    pub by: String,
    /// The branch; none if a note was written by hand that names none.
    pub branch: Option<RefName>,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The commit whose note says so.
    pub commit: CommitId,
    /// Why, in the words of who did it or of the runner.
    pub message: Option<String>,
    /// The paths that conflict, of a branch that became broken.
    pub conflicts: Vec<String>,
}

/// The transitions of one branch, or of all, newest first.
///
/// A note that names no branch is taken for one of `branch` if it stands on a commit of that branch that is not on base.
///
/// # Errors
/// When the history of the notes cannot be read.
pub fn transitions(view: &View<'_>, branch: Option<&RefName>) -> Result<Vec<Transition>, ViewError> {
    let actions = oldest_first(view.repository, view.notes.commit)?;
    let mut history = History {
        view,
        branch,
        is_forked: actions.iter().any(|(_, commit)| commit.parents.len() > 1),
        unnamed: HashMap::new(),
        superseded: HashMap::new(),
        told: HashSet::new(),
    };
    let mut found = Vec::new();
    for (id, commit) in actions {
        history.action(id, &commit, &mut found)?;
    }
    found.reverse();
    Ok(found)
}

/// All commits that lead to one, each after its parents, otherwise by date.
fn oldest_first(repository: &Repository, tip: Option<CommitId>) -> Result<Vec<(CommitId, Commit)>, GitError> {
    let mut commits = HashMap::new();
    let mut children: HashMap<CommitId, usize> = HashMap::new();
    let mut to_read: Vec<CommitId> = tip.into_iter().collect();
    while let Some(id) = to_read.pop() {
        if commits.contains_key(&id) {
            continue;
        }
        let commit = match repository.commit(id) {
            // A shallow clone knows only the end of it.
            Err(GitError::Missing { shallow: true, .. }) => continue,
            read => read?,
        };
        for parent in &commit.parents {
            *children.entry(*parent).or_default() += 1;
            to_read.push(*parent);
        }
        commits.insert(id, commit);
    }
    let mut sorted = Vec::with_capacity(commits.len());
    let mut ready: BinaryHeap<(i64, CommitId)> = BinaryHeap::new();
    ready.extend(tip.iter().filter_map(|tip| commits.get(tip).map(|commit| (seconds(commit), *tip))));
    while let Some((_, id)) = ready.pop() {
        let Some(commit) = commits.remove(&id) else { continue };
        for parent in &commit.parents {
            let left = children.entry(*parent).or_insert(1);
            *left -= 1;
            if let (0, Some(parent_commit)) = (*left, commits.get(parent)) {
                ready.push((seconds(parent_commit), *parent));
            }
        }
        sorted.push((id, commit));
    }
    sorted.reverse();
    Ok(sorted)
}

/// The date of a header such as `Ada <ada@example.org> 1763640000 +0100`.
pub(super) fn seconds(commit: &Commit) -> i64 {
    let header = String::from_utf8_lossy(&commit.author);
    let date = header.rsplit_once('>').map_or("", |(_, date)| date);
    date.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// Who wrote it: `Name <mail>`.
pub(super) fn who(commit: &Commit) -> String {
    let header = String::from_utf8_lossy(&commit.author);
    header.rsplit_once('>').map_or_else(|| header.clone().into_owned(), |(who, _)| format!("{who}>"))
}

/// What is known on the way from the oldest action to the newest.
struct History<'a> {
    view: &'a View<'a>,
    branch: Option<&'a RefName>,
    /// Whether clones wrote beside each other, so that not every earlier action was known to each later one.
    is_forked: bool,
    /// Whether commits are the branch's own, as far as that was asked.
    unnamed: HashMap<CommitId, bool>,
    /// Commits that were rebased, and the actions that did it. Where that is known, what becomes of their notes is a copy
    /// of what becomes of the new ones.
    superseded: HashMap<(CommitId, RefName), Vec<CommitId>>,
    /// Decisions that were told already, so that a merge does not tell them again.
    told: HashSet<Told>,
}

/// A decision, as notes carry it: about which branch, which, its number, when and by whom.
type Told = (Option<RefName>, State, u64, Option<Timestamp>, Option<String>);

/// What one note said before and after an action.
struct Edit {
    commit: CommitId,
    before: Option<Note>,
    after: Option<Note>,
}

impl History<'_> {
    fn action(
        &mut self,
        id: CommitId,
        commit: &Commit,
        found: &mut Vec<Transition>,
    ) -> Result<(), ViewError> {
        let edits = self.edits(commit)?;
        for edit in &edits {
            let (Some(from), Some(note)) =
                (edit.after.as_ref().and_then(|note| note.rebased_from), &edit.after)
            else {
                continue;
            };
            for name in &note.refs {
                self.superseded.entry((from, name.clone())).or_default().push(id);
            }
        }
        for edit in &edits {
            for branch in self.branches(edit)? {
                if self.is_superseded(id, edit.commit, branch.as_ref())? {
                    continue;
                }
                self.transition(commit, &edits, edit, branch, found)?;
            }
        }
        Ok(())
    }

    /// The notes that a commit of the notes ref changed: those that differ from the notes of every parent.
    fn edits(&self, commit: &Commit) -> Result<Vec<Edit>, GitError> {
        let repository = self.view.repository;
        let mut changed: Option<Changes> = None;
        for parent in &commit.parents {
            let Ok(parent) = repository.commit(*parent) else { continue };
            let more = differences(repository, Some(parent.tree), Some(commit.tree))?;
            changed = Some(match changed {
                None => more,
                Some(before) => before.into_iter().filter(|(commit, _)| more.contains_key(commit)).collect(),
            });
        }
        let changed = match changed {
            Some(changed) => changed,
            None => differences(repository, None, Some(commit.tree))?,
        };
        let note = |blob: Option<ObjectId>| -> Result<Option<Note>, GitError> {
            let bytes = blob.map(|blob| repository.note_bytes(blob)).transpose()?;
            // What could not be read counted for nothing.
            Ok(bytes.and_then(|bytes| Note::parse(&bytes.ok()?).ok()))
        };
        let edit =
            |(commit, (before, after))| Ok(Edit { commit, before: note(before)?, after: note(after)? });
        changed.into_iter().map(edit).collect()
    }

    /// The branches that an edit may have moved.
    fn branches(&mut self, edit: &Edit) -> Result<Vec<Option<RefName>>, ViewError> {
        let mut branches: Vec<Option<RefName>> = Vec::new();
        for note in [&edit.before, &edit.after].into_iter().flatten() {
            let names = match note.refs.is_empty() {
                false => note.refs.iter().cloned().map(Some).collect(),
                true if self.is_own(edit.commit)? => vec![self.branch.cloned()],
                true => Vec::new(),
            };
            for name in names {
                let wanted = self.branch.is_none() || self.branch == name.as_ref();
                if wanted && !branches.contains(&name) {
                    branches.push(name);
                }
            }
        }
        Ok(branches)
    }

    /// Whether a note on this commit that names no branch is about the one that is asked for.
    fn is_own(&mut self, commit: CommitId) -> Result<bool, ViewError> {
        let Some(branch) = self.branch else { return Ok(true) };
        if let Some(known) = self.unnamed.get(&commit) {
            return Ok(*known);
        }
        let repository = self.view.repository;
        let base = repository.tip(&self.view.settings.authority(&self.view.settings.base))?;
        let own = match self.view.branch_tip(branch)? {
            Some(tip) if tip == commit => true,
            Some(tip) => {
                let landed = base.map_or(Ok(false), |base| repository.is_ancestor(commit, base))?;
                !landed && repository.is_ancestor(commit, tip)?
            }
            None => false,
        };
        self.unnamed.insert(commit, own);
        Ok(own)
    }

    /// Whether who made this action knew that the commit had been rebased.
    fn is_superseded(
        &self,
        action: CommitId,
        commit: CommitId,
        branch: Option<&RefName>,
    ) -> Result<bool, GitError> {
        let Some(branch) = branch else { return Ok(false) };
        for by in self.superseded.get(&(commit, branch.clone())).into_iter().flatten() {
            if !self.is_forked || self.view.repository.is_ancestor(*by, action)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn transition(
        &mut self,
        commit: &Commit,
        edits: &[Edit],
        edit: &Edit,
        branch: Option<RefName>,
        found: &mut Vec<Transition>,
    ) -> Result<(), ViewError> {
        let to = state_of(edit.after.as_ref(), branch.as_ref());
        let from = match edit.before {
            Some(_) => state_of(edit.before.as_ref(), branch.as_ref()),
            None => self.carried_from(commit, edits, edit, branch.as_ref())?,
        };
        if from == to {
            return Ok(());
        }
        let is_merge = commit.parents.len() > 1;
        let rev = edit.after.as_ref().map_or(0, |note| note.rev);
        // A decision that was made elsewhere, or that comes with its own words on who made it.
        let decided = edit.after.as_ref().filter(|note| {
            // A merge makes none of its own, whatever its number.
            let is_new = is_merge || edit.before.as_ref().is_none_or(|before| before.rev < note.rev);
            to.decision().is_some() && is_new && note.refs.iter().any(|name| Some(name) == branch.as_ref())
        });
        let by = decided.and_then(|note| note.by.clone());
        let since = decided.and_then(|note| note.since);
        let is_told = !self.told.insert((branch.clone(), to, rev, since, by.clone()));
        if is_merge && is_told {
            return Ok(());
        }
        let after = edit.after.as_ref();
        let names = |note: &Note| note.refs.iter().any(|name| Some(name) == branch.as_ref());
        let has_left = edit.before.as_ref().is_some_and(names)
            && after.is_some_and(|note| !note.refs.is_empty() && !names(note));
        let mut message = match after {
            _ if has_left => said(&commit.message),
            after => after.and_then(|note| note.reason.clone().or_else(|| note.message.clone())),
        };
        // Who merges has changed nothing: it is of whoever wrote it in one of the histories that come together.
        let is_it =
            |known: &&Transition| (known.commit, known.to, &known.branch) == (edit.commit, to, &branch);
        let written = found.iter().rfind(is_it).filter(|_| is_merge).map(|known| known.by.clone());
        if is_merge && by.is_none() && written.is_none() {
            message = message.or_else(|| Some(commit.subject()));
        }
        found.push(Transition {
            time: since.or_else(|| Timestamp::from_second(seconds(commit)).ok()),
            by: by.or(written).unwrap_or_else(|| who(commit)),
            branch,
            from,
            to,
            commit: edit.commit,
            message,
            conflicts: after.map(|note| note.conflicts.clone()).unwrap_or_default(),
        });
        Ok(())
    }

    /// The state that a branch had before there was a note on this commit: that of the commit that it was rebased from, else
    /// development.
    fn carried_from(
        &self,
        commit: &Commit,
        edits: &[Edit],
        edit: &Edit,
        branch: Option<&RefName>,
    ) -> Result<State, ViewError> {
        let Some(from) = edit.after.as_ref().and_then(|note| note.rebased_from) else {
            return Ok(State::Development);
        };
        if let Some(old) = edits.iter().find(|other| other.commit == from) {
            return Ok(state_of(old.before.as_ref(), branch));
        }
        let notes = self.view.repository.notes_at(commit.parents.first().copied())?;
        let old = notes.bytes(from)?.and_then(|text| Note::parse(&text).ok());
        Ok(state_of(old.as_ref(), branch))
    }
}

/// What somebody has said who set branches: what stands between the first line of the action and the branches that it moved.
fn said(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let (words, moved) = text.split_once("\n\n")?.1.rsplit_once("\n\n")?;
    let is_ours = text.starts_with("set ") && moved.lines().all(|line| line.starts_with("refs/heads/"));
    Some(one_line(words)).filter(|words| is_ours && !words.is_empty())
}

/// The state that a note gives a branch.
fn state_of(note: Option<&Note>, branch: Option<&RefName>) -> State {
    let speaks = |note: &&Note| branch.is_none_or(|branch| note.speaks_for(branch, true));
    note.filter(speaks).map_or(State::Development, |note| note.state)
}

/// The blobs of notes that differ between two trees, before and after.
pub(super) type Changes = BTreeMap<CommitId, (Option<ObjectId>, Option<ObjectId>)>;

/// What differs between two trees of notes.
///
/// # Errors
/// When they cannot be read.
pub(super) fn differences(
    repository: &Repository,
    before: Option<ObjectId>,
    after: Option<ObjectId>,
) -> Result<Changes, GitError> {
    let mut changes = Changes::new();
    compare(repository, before, after, "", &mut changes)?;
    // A note that only moved into a folder of the fan-out, or out of one, did not change.
    changes.retain(|_, (before, after)| before != after);
    Ok(changes)
}

/// Compares two folders of notes trees; folders that are equal are not gone into.
fn compare(
    repository: &Repository,
    before: Option<ObjectId>,
    after: Option<ObjectId>,
    prefix: &str,
    changes: &mut Changes,
) -> Result<(), GitError> {
    let before = by_name(repository, before)?;
    let after = by_name(repository, after)?;
    let names: std::collections::BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        let Ok(text) = std::str::from_utf8(name) else { continue };
        if old.map(|entry| entry.id) == new.map(|entry| entry.id) {
            continue;
        }
        let path = format!("{prefix}{text}");
        let folder =
            |entry: Option<&TreeEntry>| entry.filter(|entry| entry.is_folder()).map(|entry| entry.id);
        let file = |entry: Option<&TreeEntry>| entry.filter(|entry| entry.is_file()).map(|entry| entry.id);
        if text.len() == 2 && (folder(old).is_some() || folder(new).is_some()) {
            compare(repository, folder(old), folder(new), &path, changes)?;
        } else if let Ok(commit) = path.parse() {
            let change = changes.entry(commit).or_default();
            change.0 = file(old).or(change.0);
            change.1 = file(new).or(change.1);
        }
    }
    Ok(())
}

fn by_name(
    repository: &Repository,
    tree: Option<ObjectId>,
) -> Result<BTreeMap<Vec<u8>, TreeEntry>, GitError> {
    let entries = tree.map(|tree| repository.tree(tree)).transpose()?.unwrap_or_default();
    Ok(entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect())
}
