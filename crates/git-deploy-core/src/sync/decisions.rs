//! The decisions about a line of rebases: a multi-value register, as of a CRDT.
//!
//! Each decision replaces those that its maker has seen, and only those ([`replacing`]). Of those that nobody has replaced
//! the most careful one shows, whatever the others were numbered: they stand beside it, until somebody decides who has seen
//! both. Sets that only grow, and what follows from them, do not depend on the order of merges.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{CommitId, DecisionId, RefName};
use crate::note::HIGHEST_REV;
use crate::note::Note;
use crate::state::{Decision, State};

/// How many decisions a note names as replaced, of 23 bytes each: more would leave no room for what a deployment adds. One that
/// is forgotten can come back beside the others, and holds then if it is more careful.
const MOST_REPLACED: usize = 400;

/// What a note says that says nothing.
const NOTHING: &str = "state: development\n";

/// The decisions in a note that nobody has replaced, as far as it knows: the one that shows, and those beside it.
pub fn active(note: &Note) -> Vec<(DecisionId, Note)> {
    let active = Decisions::of(note).active.into_iter().filter(|(_, entry)| entry.decided.text != NOTHING);
    active.map(|(id, entry)| (id, entry.decided.note)).collect()
}

/// The number of a decision that has seen these notes: one more than the highest, up to the highest that a note can have,
/// which somebody may have written. What a decision replaces does not depend on it.
pub fn next_rev<'n>(seen: impl IntoIterator<Item = &'n Note>) -> u64 {
    let all = seen.into_iter().flat_map(|note| note.beside.iter().chain([note]));
    all.map(|note| note.rev).max().unwrap_or(0).saturating_add(1).min(HIGHEST_REV)
}

/// The note as that of a decision whose maker has seen these notes: it takes the place of all that they decide.
pub fn replacing<'n>(note: Note, seen: impl IntoIterator<Item = &'n Note>) -> Note {
    let known = seen.into_iter().fold(Decisions::default(), |known, note| known.join(Decisions::of(note)));
    let own = [Decided::of(&note).id, DecisionId::of(NOTHING)];
    let mut replaces: Vec<DecisionId> = known.active.into_keys().chain(known.replaced).collect();
    replaces.retain(|id| !own.contains(id));
    replaces.truncate(MOST_REPLACED);
    replaces.sort();
    Note { replaces, beside: Vec::new(), ..note }
}

/// An earlier note of the same line beside the newest decision: what that has forgotten because it was too much does not come
/// back from there.
pub fn forgetting(earlier: Note, newest: &Note) -> Note {
    if newest.replaces.len() < MOST_REPLACED {
        return earlier;
    }
    let replaces = earlier.replaces.into_iter().filter(|id| newest.replaces.contains(id)).collect();
    Note { replaces, ..earlier }
}

/// What a note says of decisions that others have not said: what shows follows from that.
#[derive(Debug, Clone)]
pub struct Unsaid {
    active: BTreeSet<DecisionId>,
    replaced: BTreeSet<DecisionId>,
}

impl Unsaid {
    /// All that a note says.
    pub fn of(note: &Note) -> Self {
        let known = Decisions::of(note);
        let undecided = known.undecided.map(|entry| entry.decided.id);
        Self { active: known.active.into_keys().chain(undecided).collect(), replaced: known.replaced }
    }

    /// Takes out what another note says, too.
    pub fn hear(&mut self, said: &Note) {
        let said = Self::of(said);
        self.active.retain(|id| !said.active.contains(id));
        self.replaced.retain(|id| !said.replaced.contains(id));
    }

    /// Whether others have said it all.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.replaced.is_empty()
    }
}

/// What was decided about a commit, with what was found out about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Decisions {
    active: BTreeMap<DecisionId, Entry>,
    replaced: BTreeSet<DecisionId>,
    /// What a note says that only tells what was found out; counts as long as nothing was ever decided.
    undecided: Option<Entry>,
}

impl Decisions {
    pub(super) fn of(note: &Note) -> Self {
        let shown = Entry::of(note);
        let beside = note.beside.iter().map(Entry::of).map(|entry| (entry.decided.id, entry));
        let replaced = note.replaces.iter().copied().collect();
        let mut known = Self { active: beside.collect(), replaced, undecided: None }.settled();
        if shown.decided.made.is_none() {
            known.undecided = Some(shown);
        } else if let Some(id) = known.follows(&shown.decided) {
            // It is the note itself that a verdict is written to.
            let entry = known.active.get_mut(&id).filter(|entry| entry.decided.made == shown.decided.made);
            entry.into_iter().for_each(|entry| entry.verdict = shown.verdict.clone());
        } else {
            known.active.insert(shown.decided.id, shown);
        }
        known.settled()
    }

    pub(super) fn join(mut self, other: Self) -> Self {
        for (id, entry) in other.active {
            join_entry(&mut self.active, id, entry);
        }
        self.replaced.extend(other.replaced);
        self.undecided = match (self.undecided, other.undecided) {
            (Some(one), Some(two)) => Some(one.join(two)),
            (one, two) => one.or(two),
        };
        self.settled()
    }

    /// Takes away what counts no more.
    fn settled(mut self) -> Self {
        let replaced = &self.replaced;
        self.active.retain(|id, _| !replaced.contains(id));
        // A note that says nothing but development, as it stands beside the result of a deployment, is less than any decision.
        let is_decided = !replaced.is_empty() || self.active.values().any(|entry| entry.decided.note.rev > 0);
        self.active.retain(|_, entry| !is_decided || entry.decided.text != NOTHING);
        if is_decided || !self.active.is_empty() {
            self.undecided = None;
        }
        self
    }

    pub(super) fn without_verdicts(mut self) -> Self {
        let entries = self.active.values_mut().chain(&mut self.undecided);
        entries.for_each(|entry| entry.verdict = Verdict::default());
        self
    }

    /// What is decided: the state that shows, unless nothing ever was.
    pub(super) fn made(&self) -> Option<Decision> {
        match &self.undecided {
            Some(_) => None,
            None => self.derive().map_or(Some(Decision::Development), |(derived, _)| derived.made),
        }
    }

    /// What follows from the decisions that nobody has replaced, and the one of them that it was taken from.
    fn derive(&self) -> Option<(Decided, DecisionId)> {
        let largest = self.active.iter().max_by(|one, two| one.1.decided.rank().cmp(&two.1.decided.rank()));
        let winner = &largest?.1.decided;
        let equals = self.active.values().map(|entry| &entry.decided).filter(|one| one.made == winner.made);
        let refs: Vec<&Vec<RefName>> =
            equals.map(|one| &one.note.refs).filter(|refs| !refs.is_empty()).collect();
        let named: BTreeSet<&RefName> = refs.iter().copied().flatten().collect();
        // A branch that one of them has left has left.
        let stays = |name: &&RefName| refs.iter().all(|refs| refs.contains(name));
        let left: Vec<RefName> = match winner.note.refs.is_empty() {
            true => named.iter().copied().filter(stays).cloned().collect(),
            false => winner.note.refs.iter().filter(stays).cloned().collect(),
        };
        let of_refs = if winner.made == Some(Decision::Development) || left == winner.note.refs {
            winner.clone()
        } else if left.is_empty() {
            winner.of_others(State::Development, named.into_iter().cloned().collect())
        } else {
            winner.of_others(winner.note.state, left)
        };
        let derived = self.held_back(of_refs);
        let taken_from = if self.active.contains_key(&derived.id) { derived.id } else { winner.id };
        Some((derived, taken_from))
    }

    /// A decision with all that holds the branch back: whoever has wished for that is overruled only by somebody who has seen it.
    fn held_back(&self, decided: Decided) -> Decided {
        let mut by_rank: Vec<&Decided> = self.active.values().map(|entry| &entry.decided).collect();
        by_rank.sort_by(|one, two| two.rank().cmp(&one.rank()));
        let awaited: BTreeSet<&str> = by_rank.iter().flat_map(|one| one.note.awaited()).collect();
        let hold = decided.note.hold.clone();
        let hold = hold.or_else(|| by_rank.iter().find_map(|one| one.note.hold.clone()));
        if hold == decided.note.hold && awaited == decided.note.awaited().collect() {
            return decided;
        }
        let after = Some(awaited.into_iter().collect::<Vec<_>>().join(" "));
        Decided::of(&Note { after: after.filter(|names| !names.is_empty()), hold, ..decided.note })
    }

    /// The note with the keys that are decided, with their verdict, and with what is beside them.
    pub(super) fn shown(&self) -> Note {
        let replaces = self.replaced.iter().copied().collect();
        if let Some(undecided) = &self.undecided {
            return Note { replaces, ..undecided.note() };
        }
        let Some((decided, taken_from)) = self.derive() else {
            return Note { replaces, ..Note::new(State::Development) };
        };
        let entry = self.active.get(&taken_from).filter(|entry| entry.decided.made == decided.made);
        let verdict = entry.map(|entry| entry.verdict.clone()).unwrap_or_default();
        let mut beside: BTreeMap<&DecisionId, &Entry> = self.active.iter().collect();
        // It stands there once, unless it would be taken for what follows from the others.
        if self.active.len() == 1 || self.without(decided.id).follows(&decided).is_none() {
            beside.remove(&decided.id);
        }
        let beside = beside.into_values().map(Entry::note).collect();
        Note { replaces, beside, ..Entry { decided, verdict }.note() }
    }

    fn without(&self, id: DecisionId) -> Self {
        let mut others = self.clone();
        others.active.remove(&id);
        others
    }

    /// The decision that another one was taken from, if that is none of its own.
    fn follows(&self, decided: &Decided) -> Option<DecisionId> {
        self.derive().filter(|(derived, _)| derived.text == decided.text).map(|(_, from)| from)
    }
}

fn join_entry(active: &mut BTreeMap<DecisionId, Entry>, id: DecisionId, entry: Entry) {
    let entry = match active.remove(&id) {
        Some(known) => known.join(entry),
        None => entry,
    };
    active.insert(id, entry);
}

/// A decision, and what was found out about a commit under it.
#[derive(Debug, Clone)]
struct Entry {
    decided: Decided,
    verdict: Verdict,
}

impl Entry {
    fn of(note: &Note) -> Self {
        Self { decided: Decided::of(note), verdict: Verdict::of(note) }
    }

    fn join(self, other: Self) -> Self {
        let by_rank = |one: &Decided, two: &Decided| one.rank().cmp(&two.rank());
        let decided = std::cmp::max_by(self.decided, other.decided, by_rank);
        Self { decided, verdict: self.verdict.max(other.verdict) }
    }

    fn note(&self) -> Note {
        let (made, verdict) = (self.decided.made, self.verdict.clone());
        let decided = made.map_or(State::Development, State::from);
        Note {
            state: if verdict.broken { State::Broken } else { decided },
            was: made.filter(|_| verdict.broken),
            onto: verdict.onto,
            conflicts: verdict.conflicts,
            ..self.decided.note.clone()
        }
    }
}

/// A decision with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    /// None where a note only says what was found out.
    made: Option<Decision>,
    /// A note with the keys of the decision alone.
    note: Note,
    pub(super) text: String,
    id: DecisionId,
}

impl Decided {
    pub(super) fn of(note: &Note) -> Self {
        let made = note.decision();
        let note = Note {
            refs: note.refs.clone(),
            since: note.since,
            by: note.by.clone(),
            message: note.message.clone(),
            rev: note.rev,
            approved: note.approved,
            approval: note.approval.clone(),
            reason: note.reason.clone(),
            priority: note.priority,
            after: note.after.clone(),
            hold: note.hold.clone(),
            ..Note::new(made.map_or(State::Development, State::from))
        };
        let text = note.to_string();
        Self { made, id: DecisionId::of(&text), text, note }
    }

    /// The same for other branches; what was signed was for these.
    fn of_others(&self, state: State, refs: Vec<RefName>) -> Self {
        Self::of(&Note { state, refs, approval: None, ..self.note.clone() })
    }

    /// The more careful one is larger, also one that holds, of those the newer one; none is lowest.
    fn rank(&self) -> (Option<Decision>, bool, u64, &str) {
        (self.made, self.note.hold.is_some(), self.note.rev, &self.text)
    }
}

/// What was found out about a commit; the larger one holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    broken: bool,
    onto: Option<CommitId>,
    conflicts: Vec<String>,
}

impl Verdict {
    fn of(note: &Note) -> Self {
        let was_broken = note.state == State::Broken;
        let broken = was_broken && note.decision() != Some(Decision::Development);
        // What it was tried on means nothing without the verdict.
        let onto = note.onto.filter(|_| broken || !was_broken);
        let conflicts = if broken { note.conflicts.clone() } else { Vec::new() };
        Self { broken, onto, conflicts }
    }
}
