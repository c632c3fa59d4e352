//! Branches that a push of base brings there by hand: nothing is left to deploy of them.

use std::collections::{BTreeMap, HashMap};

use super::{Push, said_of};
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
    let gained = push.view.repository.gained(Some(old), new)?;
    let mut heads = BTreeMap::new();
    for (tip, names) in push.view.heads_by_tip()? {
        heads.extend(names.into_iter().map(|name| (name, tip)));
    }
    // What goes along with base counts as it is then, and what is deleted as it was.
    let along = pushed.iter().filter_map(|pushed| Some((pushed.name.clone(), pushed.new.or(pushed.old)?)));
    heads.extend(along.map(|(name, tip)| (name, CommitId(tip))));
    heads.retain(|name, tip| gained.contains(tip) && name != base);

    let mut on_tip: HashMap<CommitId, u32> = HashMap::new();
    heads.values().for_each(|tip| *on_tip.entry(*tip).or_default() += 1);
    let mut landed = BTreeMap::new();
    for (name, tip) in heads {
        let note = push.note_of_old(tip)?.filter(|note| !note.refs.is_empty() || on_tip[&tip] == 1);
        let was = note.and_then(|note| said_of(&name, &note));
        let was = was.filter(|was| was.is_rebased() || *was == State::Broken);
        landed.extend(was.map(|was| (name, was)));
    }
    Ok(landed)
}
