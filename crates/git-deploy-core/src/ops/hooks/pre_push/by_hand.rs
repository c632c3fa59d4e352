//! Branches that a push of base brings there by hand: nothing is left to deploy of them.

use std::collections::{BTreeMap, HashMap};

use super::Push;
use crate::ids::{CommitId, RefName};
use crate::ops::hooks::{HookError, PushedRef};
use crate::state::State;

/// The branches that count of which base gets all by this push, with what they were.
pub(super) fn landed(push: &Push<'_>, pushed: &[&PushedRef]) -> Result<BTreeMap<RefName, State>, HookError> {
    let base = &push.view.settings.base;
    let step = pushed.iter().find(|pushed| pushed.name == *base);
    let step = step.and_then(|step| Some((CommitId(step.old?), CommitId(step.new?))));
    let Some((old, new)) = step.filter(|_| !push.notes.is_empty()) else { return Ok(BTreeMap::new()) };
    // Git refuses to push over what is not here.
    if push.if_here(old)?.is_none() {
        return Ok(BTreeMap::new());
    }
    // Mostly nobody has decided about any of that, and then no branch is looked for.
    let mut decided = HashMap::new();
    for commit in push.view.repository.gained(Some(old), new)? {
        let note = push.note_of_old(commit)?;
        let note = note.filter(|note| note.state.is_rebased() || note.state == State::Broken);
        decided.extend(note.map(|note| (commit, note)));
    }
    if decided.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut heads = BTreeMap::new();
    for (tip, names) in push.view.heads_by_tip()? {
        heads.extend(names.into_iter().map(|name| (name, tip)));
    }
    // What goes along with base counts as it is then, and what is deleted as it was.
    let along = pushed.iter().filter_map(|pushed| Some((pushed.name.clone(), pushed.new.or(pushed.old)?)));
    heads.extend(along.map(|(name, tip)| (name, CommitId(tip))));
    heads.remove(base);

    let mut on_tip: HashMap<CommitId, u32> = HashMap::new();
    heads.values().for_each(|tip| *on_tip.entry(*tip).or_default() += 1);
    let landed = heads.into_iter().filter_map(|(name, tip)| {
        let note = decided.get(&tip)?;
        note.speaks_for(&name, on_tip[&tip] == 1).then_some((name, note.state))
    });
    Ok(landed.collect())
}
