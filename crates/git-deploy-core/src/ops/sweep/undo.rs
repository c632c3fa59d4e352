//! Undoing a sweep: the last one, or one that is named by its number.
//!
//! Each sweep that moves something leaves a commit under `refs/deploy-sweeps/`, before the first branch moves: its parents
//! are the old tips, so that these are kept, its message says what moved from where to where. These refs are nobody
//! else's: they are not below `refs/deploy/`, which clones fetch.

use std::collections::HashSet;

use super::execute::{Move, Mover, begin};
use super::{Fate, Outcome, Sweep, SweepError, notes};
use crate::config::Settings;
use crate::git::notes::{NotesEdit, NotesError};
use crate::git::object::Commit;
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::git::work_tree::Busy;
use crate::git::{GitError, Identity, Ref, Repository};
use crate::ids::{CommitId, RefName};
use crate::ops::Observer;

/// Where records stand.
const RECORDS: &str = "refs/deploy-sweeps/";

/// How many sweeps can be undone, one after the other.
const KEPT: usize = 10;

/// Keeps what is about to move.
pub(super) fn record(
    repository: &Repository,
    identity: &Identity,
    onto: &str,
    moves: &[Move],
) -> Result<(), GitError> {
    let mut parents: Vec<CommitId> = moves.iter().map(|step| step.old).collect();
    parents.sort();
    parents.dedup();
    let lines = moves.iter().map(|step| format!("{} {} {}\n", step.old, step.new, step.branch));
    let who = identity.as_str().as_bytes().to_vec();
    let message = format!("rebase onto {onto}\n\n{}", lines.collect::<String>()).into_bytes();
    let tree = repository.write_tree(Vec::new())?;
    let commit = Commit { tree, parents, author: who.clone(), committer: who, extra: Vec::new(), message };
    let commit = repository.write_commit(&commit)?;
    let records = records(repository)?;
    let number = records.last().map_or(0, |(number, _)| *number) + 1;
    let name = RefName::new(format!("{RECORDS}{number:06}"))
        .map_err(|error| GitError::Id { what: "a record of a rebase", error })?;
    let mut updates = vec![RefUpdate { name, old: Expected::Absent, new: Some(commit.0) }];
    let old = records.len().saturating_sub(KEPT - 1);
    updates.extend(records.iter().take(old).map(|(_, record)| RefUpdate {
        name: record.name.clone(),
        old: Expected::At(record.target),
        new: None,
    }));
    match repository.update_refs(&updates, "deploy-rebase: record") {
        // Under the lock of sweeps only a user's own hand can do that; the branches can be moved all the same.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error),
    }
}

/// The records by number.
fn records(repository: &Repository) -> Result<Vec<(u64, Ref)>, GitError> {
    let refs = repository.refs(RECORDS)?.into_iter();
    let number = |record: &Ref| record.name.as_str().strip_prefix(RECORDS)?.parse().ok();
    let mut records: Vec<(u64, Ref)> = refs.filter_map(|record| Some((number(&record)?, record))).collect();
    records.sort_by_key(|(number, _)| *number);
    Ok(records)
}

fn parse(message: &str) -> Option<Vec<Move>> {
    let (_, lines) = message.split_once("\n\n")?;
    let moves = lines.lines().map(|line| {
        let mut words = line.splitn(3, ' ');
        let (old, new) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Move { branch: RefName::new(words.next()?).ok()?, old, new })
    });
    moves.collect()
}

/// Moves the branches of the last sweep, or of that with this number, back to where they stood, each that still stands where the
/// sweep put it. What was decided since holds there too.
///
/// # Errors
/// When there is nothing to undo, or it cannot be done.
pub fn undo(
    repository: &Repository,
    number: Option<u64>,
    observer: &dyn Observer,
) -> Result<Sweep, SweepError> {
    let _lock = begin(repository, observer)?;
    let settings = Settings::read(repository)?;
    let records = records(repository)?;
    let wanted = number.map_or(records.last(), |number| records.iter().find(|(known, _)| *known == number));
    let Some((_, record)) = wanted else {
        return Err(match number {
            Some(number) if !records.is_empty() => SweepError::NoSuchSweep(number),
            _ => SweepError::NothingToUndo,
        });
    };
    let moves = moves_of(repository, record)?;
    let moved_on = moved_after(repository, &records, record);
    let mover = Mover::new(repository, "deploy-rebase: undo".to_owned(), observer)?;
    let base_tip = settings.base_tip(repository)?;
    let (mut back, mut outcomes, mut again) = (Vec::new(), Vec::new(), false);
    for step in moves {
        match Turn::of(repository, &mover, base_tip, &step)? {
            Turn::Back => back.push(Move { branch: step.branch, old: step.new, new: step.old }),
            Turn::IsBack => {}
            Turn::Busy(busy) => {
                again = true;
                outcomes.push(stays(step.branch, step.new, Fate::busy(&busy)));
            }
            Turn::Elsewhere(tip, _) if moved_on.contains(&(step.branch.clone(), step.new)) => {
                again = true;
                let reason = "a later rebase has moved it on, and has to be undone first";
                outcomes.push(stays(step.branch, tip, Fate::skipped(reason)));
            }
            Turn::Elsewhere(tip, reason) => outcomes.push(stays(step.branch, tip, Fate::skipped(reason))),
        }
    }
    carry_back(repository, &back)?;
    let mut stayed = mover.move_all(&back)?;
    again |= !stayed.is_empty();
    for Move { branch, old, new } in back {
        outcomes.push(match stayed.remove(&branch) {
            Some(fate) => stays(branch, old, fate),
            None => Outcome { branch, old, new, fate: Fate::Restored },
        });
    }
    if !again {
        let update = RefUpdate { name: record.name.clone(), old: Expected::At(record.target), new: None };
        if let Err(RefsError::Git(error)) = repository.update_refs(&[update], "deploy-rebase: undo") {
            return Err(error.into());
        }
    }
    outcomes.sort_by(|one, two| one.branch.cmp(&two.branch));
    Ok(Sweep { onto: settings.authority(&settings.base), outcomes })
}

fn moves_of(repository: &Repository, record: &Ref) -> Result<Vec<Move>, SweepError> {
    let message = repository.commit(CommitId(record.target))?.message_text();
    parse(&message).ok_or_else(|| SweepError::Record(record.name.clone()))
}

/// The branches that sweeps after this one have moved, and from where. What cannot be read of these is in nobody's way.
fn moved_after(
    repository: &Repository,
    records: &[(u64, Ref)],
    record: &Ref,
) -> HashSet<(RefName, CommitId)> {
    let later = records.iter().skip_while(|(_, one)| one.name != record.name).skip(1);
    let mut moved = HashSet::new();
    for (_, record) in later {
        let message = repository.commit(CommitId(record.target)).map(|commit| commit.message_text());
        let moves = message.ok().as_deref().and_then(parse);
        moved.extend(moves.into_iter().flatten().map(|step| (step.branch, step.old)));
    }
    moved
}

fn stays(branch: RefName, tip: CommitId, fate: Fate) -> Outcome {
    Outcome { branch, old: tip, new: tip, fate }
}

/// Whether a branch can be moved back.
enum Turn {
    Back,
    IsBack,
    /// Not now, and why.
    Busy(Busy),
    /// It stands there now, and why that matters.
    Elsewhere(CommitId, &'static str),
}

impl Turn {
    fn of(
        repository: &Repository,
        mover: &Mover<'_>,
        base_tip: CommitId,
        step: &Move,
    ) -> Result<Self, GitError> {
        let Some(tip) = repository.tip(&step.branch)? else {
            return Ok(Self::Elsewhere(step.new, "it is not there any more"));
        };
        if tip == step.old {
            return Ok(Self::IsBack);
        }
        if tip != step.new {
            return Ok(Self::Elsewhere(tip, "it was moved since"));
        }
        if repository.is_ancestor(tip, base_tip)? {
            return Ok(Self::Elsewhere(tip, "it is on base now"));
        }
        let step_back = Move { branch: step.branch.clone(), old: step.new, new: step.old };
        Ok(mover.cannot_follow(&step_back)?.map_or(Self::Back, Self::Busy))
    }
}

/// Writes what was decided since into the notes of the old tips: nothing that was withdrawn comes back.
fn carry_back(repository: &Repository, back: &[Move]) -> Result<(), SweepError> {
    repository.write_notes(&repository.identity()?, |notes| {
        let mut edit = NotesEdit {
            message: format!("undo the rebase of {} branches", back.len()),
            ..Default::default()
        };
        for step in back {
            if let (Some(since), Some(before)) = (notes.get(step.old)?, notes.get(step.new)?)
                && let Some(joined) = notes::joined(&[(step.old, &since), (step.new, &before)], step.new)
                && joined != before
            {
                edit.set(step.new, &joined);
            }
        }
        Ok::<_, NotesError>(edit)
    })?;
    Ok(())
}
