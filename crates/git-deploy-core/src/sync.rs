//! The merge of notes: what two clones know, put together.
//!
//! Any clone may merge with any other, in any order and as often as it likes, and all must end with the same notes. So
//! the merge is a function of the union. Two steps give that:
//!
//! 1. *Join*: what is known about one commit, from both sides. Each part of a note is a register that only grows.
//! 2. *Carry*: the decisions of a line of rebases are written into every note of the line. (Not only into the newest: which
//!    note is the newest changes as more of the line becomes known, and a decision that was once written would then depend
//!    on the order of merges. It is also right for the old ones: a branch that is set back to an old tip must not find
//!    there what has been withdrawn since.)
//!
//! Carrying never makes anything smaller and never makes less of more, so it does not matter how often it was done in
//! between. Nothing here looks at clocks or at history.
//!
//! Decisions are a multi-value register ([`decisions`]): each one replaces those that its maker has seen, and only those.
//!
//! A verdict (`broken`) counts only together with the decision that it was found under: whoever decides anew has the
//! branch checked anew, and a copy of the old verdict that comes from elsewhere must not undo that. Under the same
//! decision broken holds against not broken. Either way the next rebase judges again.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{CommitId, DeploymentId, EnvironmentName};
use crate::ledger::Outcome;
use crate::note::{MAX_BYTES, Note};
use crate::state::State;

mod decisions;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use decisions::{Decided, Decisions};
pub use decisions::{Unsaid, active, forgetting, next_rev, replacing};

/// The bytes of notes by the commits they stand on.
pub type NoteTexts = BTreeMap<CommitId, Vec<u8>>;

/// The key of further roots, where a commit was made by the rebases of two lines: both are one line from then on.
const ALSO_ROOT: &str = "also-root";

/// What two clones know together.
///
/// Commutative, associative and idempotent over its results: `merge(&merge(a, b), a)` is `merge(a, b)`. A note that
/// cannot be read is kept as it is, but gives way to one on the same commit that can; of two such notes the larger
/// bytes stay. One that says that it was made for another commit is as one that cannot be read, but for that it does not give
/// way to such ones. A note that says all that is known keeps its bytes. Nothing ever takes a note away: one that was deleted
/// on one side comes back from the other.
pub fn merge(ours: &NoteTexts, theirs: &NoteTexts) -> NoteTexts {
    let mut known: BTreeMap<CommitId, Known> = BTreeMap::new();
    for (commit, text) in ours.iter().chain(theirs) {
        let more = Known::read(*commit, text);
        match known.remove(commit) {
            Some(before) => known.insert(*commit, before.join(more)),
            None => known.insert(*commit, more),
        };
    }
    carry(&mut known);
    known.iter().map(|(commit, known)| (*commit, known.text())).collect()
}

/// What has to be written so that our notes become what [`merge`] gives: only the notes that differ.
pub fn missing(ours: &NoteTexts, theirs: &NoteTexts) -> NoteTexts {
    let mut merged = merge(ours, theirs);
    merged.retain(|commit, text| ours.get(commit) != Some(text));
    merged
}

/// Whether a note that comes in place of another says all that this said of deployments: what a merge of both would have
/// to bring back is nothing.
pub fn keeps_verdict(before: &Note, after: &Note) -> bool {
    if before.state == State::Deployed && after.state != State::Deployed {
        return false;
    }
    let (had, has) = (Facts::new(before.clone()), Facts::new(after.clone()));
    // Images are those of the deployment that the note names.
    let same = had.deployed == has.deployed && had.deployed.result.is_some();
    let both = had.join(has.clone());
    let is_in = |image: &String| has.images.contains(image);
    both.deployed == has.deployed && (!same || both.images.iter().all(is_in))
}

/// Whether a note of what has landed says what it said, but for what a later deployment, or a merge of notes, adds to it.
/// A decision that did not know of the landing may take the place of the one that landed, if it goes before that; it shows what
/// a merge shows.
pub fn keeps_landing(before: &Note, after: &Note) -> bool {
    let (had, has) = (Facts::new(before.clone()), Facts::new(after.clone()));
    let had = Facts { deployed: has.deployed.clone(), images: has.images.clone(), ..had };
    let shown = has.note();
    had.join(has).note() == shown && (decide_alike(before, after) || decide_alike(&shown, after))
}

/// Whether two notes say the same of what was decided, with all that belongs to it.
pub fn decide_alike(one: &Note, other: &Note) -> bool {
    Decided::of(one).text == Decided::of(other).text
}

/// Whether the notes on two commits say that these are of one line of rebases.
pub fn is_one_line(one: (CommitId, &Note), other: (CommitId, &Note)) -> bool {
    let roots = |(commit, note): (CommitId, &Note)| {
        let also = note.unknown.iter().filter_map(|line| also_root(line));
        also.chain(note.root).chain([commit]).collect::<BTreeSet<CommitId>>()
    };
    !roots(one).is_disjoint(&roots(other))
}

/// Writes the decisions of each line into all its notes.
fn carry(known: &mut BTreeMap<CommitId, Known>) {
    let mut lines = Lines::default();
    for (commit, facts) in readable(known) {
        facts.roots.iter().for_each(|root| lines.unite(*commit, *root));
    }
    let mut made: BTreeMap<CommitId, Decisions> = BTreeMap::new();
    for (commit, facts) in readable(known) {
        let of_note = facts.decisions.clone().without_verdicts();
        let of_line = made.remove(&lines.of(*commit)).unwrap_or_default();
        made.insert(lines.of(*commit), of_line.join(of_note));
    }
    for (commit, facts) in readable(known) {
        if let Some(of_line) = made.get(&lines.of(*commit)) {
            facts.decisions = std::mem::take(&mut facts.decisions).join(of_line.clone());
            facts.settle();
        }
    }
}

fn readable<'a>(
    known: &'a mut BTreeMap<CommitId, Known<'_>>,
) -> impl Iterator<Item = (&'a CommitId, &'a mut Facts)> {
    known.iter_mut().filter_map(|(commit, known)| known.facts.as_mut().map(|facts| (commit, facts)))
}

/// Which commits are of one line: a forest of commits that lead to the one that stands for their line.
#[derive(Default)]
struct Lines(BTreeMap<CommitId, CommitId>);

impl Lines {
    fn of(&mut self, commit: CommitId) -> CommitId {
        let mut end = commit;
        while let Some(next) = self.0.get(&end) {
            end = *next;
        }
        // Shortens the way for the next one, so that a long line stays cheap.
        let mut here = commit;
        while here != end {
            here = self.0.insert(here, end).unwrap_or(end);
        }
        end
    }

    fn unite(&mut self, one: CommitId, two: CommitId) {
        let (one, two) = (self.of(one), self.of(two));
        if one != two {
            self.0.insert(one, two);
        }
    }
}

/// What is known about one commit.
struct Known<'a> {
    /// The text, as long as all that can be read are equal.
    agreed: Option<&'a [u8]>,
    /// The largest text.
    largest: &'a [u8],
    /// What it says; none if no text can be read that is of this commit.
    facts: Option<Facts>,
}

impl<'a> Known<'a> {
    fn read(commit: CommitId, text: &'a [u8]) -> Self {
        // A note is taken as it would be written, so that what is compared is what other clones will read.
        let written = Note::parse(text).ok().and_then(|note| Note::parse(note.to_string().as_bytes()).ok());
        let own = written.filter(|note| note.copied_from(commit).is_none());
        Self { agreed: Some(text), largest: text, facts: own.map(Facts::new) }
    }

    fn join(self, other: Self) -> Self {
        let facts = match (self.facts, other.facts) {
            (Some(one), Some(two)) => Some(one.join(two)),
            (Some(facts), None) => return Self { facts: Some(facts), ..self },
            (None, Some(facts)) => return Self { facts: Some(facts), ..other },
            (None, None) => {
                let largest = std::cmp::max_by_key(self.largest, other.largest, |text| {
                    (Note::parse(text).is_ok(), *text)
                });
                return Self { agreed: None, largest, facts: None };
            }
        };
        let agreed = self.agreed.filter(|_| self.agreed == other.agreed);
        Self { agreed, largest: self.largest.max(other.largest), facts }
    }

    fn text(&self) -> Vec<u8> {
        let Some(facts) = &self.facts else { return self.largest.to_vec() };
        let note = facts.note();
        if let Some(text) = self.agreed.filter(|text| Note::parse(text).as_ref() == Ok(&note)) {
            return text.to_vec();
        }
        // Better without what does not show, which is less careful than what does, and better one side's note, than one that
        // nobody can read.
        let alone = Note { beside: Vec::new(), ..note.clone() };
        let texts = [note, alone].map(|note| note.to_string().into_bytes());
        let read = texts.into_iter().find(|text| text.len() <= MAX_BYTES);
        read.unwrap_or_else(|| self.largest.to_vec())
    }
}

/// A note taken apart into registers.
#[derive(Debug, Clone)]
struct Facts {
    decisions: Decisions,
    /// Whether it has landed, and on what: nothing leaves that.
    landed: Option<Option<CommitId>>,
    /// `rebased-from`, `rebased-to` and `dropped`.
    origin: (Option<CommitId>, Option<CommitId>, Vec<CommitId>),
    /// All that were ever named.
    roots: BTreeSet<CommitId>,
    deployed: Deployed,
    images: Vec<String>,
    unknown: Vec<String>,
}

impl Facts {
    fn new(mut note: Note) -> Self {
        let mut roots: BTreeSet<CommitId> = note.root.into_iter().collect();
        let mut unknown = std::mem::take(&mut note.unknown);
        unknown.retain(|line| also_root(line).map(|root| roots.insert(root)).is_none());
        let mut facts = Self {
            decisions: Decisions::of(&note),
            landed: (note.state == State::Deployed).then_some(note.onto),
            origin: (note.rebased_from, note.rebased_to, std::mem::take(&mut note.dropped)),
            roots,
            deployed: Deployed {
                rank: note.deployment.take().map(|id| (id.environment.is_none(), id.number, id.environment)),
                result: note.result,
            },
            images: std::mem::take(&mut note.images),
            unknown,
        };
        facts.settle();
        facts
    }

    fn join(self, other: Self) -> Self {
        let mut facts = Self {
            decisions: self.decisions.join(other.decisions),
            landed: self.landed.max(other.landed),
            origin: self.origin.max(other.origin),
            roots: self.roots.union(&other.roots).copied().collect(),
            deployed: self.deployed.max(other.deployed),
            images: unite(self.images, &other.images, |image| image.split('@').next()),
            unknown: unite(self.unknown, &other.unknown, |line| {
                line.split_once(':').map(|(key, _)| key.trim())
            }),
        };
        facts.settle();
        facts
    }

    /// What has landed is broken no more, whatever was decided.
    fn settle(&mut self) {
        if self.landed.is_some() {
            self.decisions = std::mem::take(&mut self.decisions).without_verdicts();
        }
    }

    fn note(&self) -> Note {
        let shown = self.decisions.shown();
        let mut roots = self.roots.iter().rev();
        let root = roots.next().copied();
        let mut unknown = self.unknown.clone();
        unknown.extend(roots.map(|root| format!("{ALSO_ROOT}: {root}")));
        let note = Note {
            root,
            rebased_from: self.origin.0,
            rebased_to: self.origin.1,
            dropped: self.origin.2.clone(),
            deployment: self.deployed.id(),
            result: self.deployed.result,
            images: self.images.clone(),
            unknown,
            ..shown
        };
        match self.landed {
            Some(onto) => Note { state: State::Deployed, was: self.decisions.made(), onto, ..note },
            None => note,
        }
    }
}

fn also_root(line: &str) -> Option<CommitId> {
    let (key, value) = line.split_once(':')?;
    value.trim().parse().ok().filter(|_| key.trim() == ALSO_ROOT)
}

/// Lines of both, and of those with one key the larger ones. They keep their order as long as nobody disagrees.
fn unite(one: Vec<String>, two: &[String], key: fn(&str) -> Option<&str>) -> Vec<String> {
    if one == two {
        return one;
    }
    let mut united: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for lines in [&one[..], two] {
        let mut by_key: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        lines.iter().for_each(|line| by_key.entry(key(line).unwrap_or(line)).or_default().push(line));
        for (key, lines) in by_key {
            let kept = united.entry(key).or_default();
            *kept = std::mem::take(kept).max(lines);
        }
    }
    united.into_values().flatten().cloned().collect()
}

/// The deployment that counts: the one that lands over those on the way to it, then the latest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Deployed {
    /// Whether it lands, its number, its environment.
    rank: Option<(bool, u64, Option<EnvironmentName>)>,
    /// How that ended.
    result: Option<Outcome>,
}

impl Deployed {
    fn id(&self) -> Option<DeploymentId> {
        let (_, number, environment) = self.rank.clone()?;
        Some(DeploymentId { environment, number })
    }
}
