//! The merge of notes: what two clones know, put together.
//!
//! Any clone may merge with any other, in any order and as often as it likes, and all must end with the same notes. So
//! the merge is a function of the union. Two steps give that:
//!
//! 1. *Join*: what is known about one commit, from both sides. Each part of a note is a register that only grows.
//! 2. *Carry*: the largest decision of a line of rebases is written into every note of the line. (Not only into the
//!    newest: which note is the newest changes as more of the line becomes known, and a decision that was once written
//!    would then depend on the order of merges. It is also right for the old ones: a branch that is set back to an old
//!    tip must not find there what has been withdrawn since.)
//!
//! Carrying never makes anything smaller and never makes less of more, so it does not matter how often it was done in
//! between. Nothing here looks at clocks or at history.
//!
//! A verdict (`broken`) counts only together with the decision that it was found under: whoever decides anew has the
//! branch checked anew, and a copy of the old verdict that comes from elsewhere must not undo that. Under the same
//! decision broken holds against not broken. Either way the next rebase judges again.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{CommitId, DeploymentId, EnvironmentName};
use crate::ledger::Outcome;
use crate::note::{MAX_BYTES, Note};
use crate::state::{Decision, State};

#[cfg(test)]
mod tests;

/// The bytes of notes by the commits they stand on.
pub type NoteTexts = BTreeMap<CommitId, Vec<u8>>;

/// The key of further roots, where a commit was made by the rebases of two lines: both are one line from then on.
const ALSO_ROOT: &str = "also-root";

/// What two clones know together.
///
/// Commutative, associative and idempotent over its results: `merge(&merge(a, b), a)` is `merge(a, b)`. A note that
/// cannot be read is kept as it is, but gives way to one on the same commit that can; of two such notes the larger
/// bytes stay. A note that says all that is known keeps its bytes. Nothing ever takes a note away: one that was deleted
/// on one side comes back from the other.
pub fn merge(ours: &NoteTexts, theirs: &NoteTexts) -> NoteTexts {
    let mut known: BTreeMap<CommitId, Known> = BTreeMap::new();
    for (commit, text) in ours.iter().chain(theirs) {
        let more = Known::read(text);
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

/// Writes the largest decision of each line into all its notes.
fn carry(known: &mut BTreeMap<CommitId, Known>) {
    let mut lines = Lines::default();
    for (commit, facts) in readable(known) {
        facts.roots.iter().for_each(|root| lines.unite(*commit, *root));
    }
    let mut largest: BTreeMap<CommitId, Decided> = BTreeMap::new();
    for (commit, facts) in readable(known) {
        let decided = largest.entry(lines.of(*commit)).or_insert_with(|| facts.decided.clone());
        if facts.decided.rank() > decided.rank() {
            *decided = facts.decided.clone();
        }
    }
    for (commit, facts) in readable(known) {
        if let Some(decided) = largest.get(&lines.of(*commit)) {
            facts.decide(decided);
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
    /// What it says; none if no text can be read.
    facts: Option<Facts>,
}

impl<'a> Known<'a> {
    fn read(text: &'a [u8]) -> Self {
        // A note is taken as it would be written, so that what is compared is what other clones will read.
        let written = Note::parse(text).ok().and_then(|note| Note::parse(note.to_string().as_bytes()).ok());
        Self { agreed: Some(text), largest: text, facts: written.map(Facts::new) }
    }

    fn join(self, other: Self) -> Self {
        let facts = match (self.facts, other.facts) {
            (Some(one), Some(two)) => Some(one.join(two)),
            (Some(facts), None) => return Self { facts: Some(facts), ..self },
            (None, Some(facts)) => return Self { facts: Some(facts), ..other },
            (None, None) => None,
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
        let text = note.to_string().into_bytes();
        // Better one side's note than one that nobody can read.
        if text.len() > MAX_BYTES { self.largest.to_vec() } else { text }
    }
}

/// A note taken apart into registers.
#[derive(Debug, Clone)]
struct Facts {
    decided: Decided,
    verdict: Verdict,
    /// `rebased-from` and `dropped`.
    origin: (Option<CommitId>, Vec<CommitId>),
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
        Self {
            verdict: Verdict::of(&note),
            origin: (note.rebased_from, std::mem::take(&mut note.dropped)),
            roots,
            deployed: Deployed {
                rank: note.deployment.take().map(|id| (id.environment.is_none(), id.number, id.environment)),
                result: note.result,
            },
            images: std::mem::take(&mut note.images),
            unknown,
            decided: Decided::of(&note),
        }
    }

    fn join(self, other: Self) -> Self {
        let decided = if other.decided.rank() > self.decided.rank() { other.decided } else { self.decided };
        Self {
            decided,
            verdict: self.verdict.max(other.verdict),
            origin: self.origin.max(other.origin),
            roots: self.roots.union(&other.roots).copied().collect(),
            deployed: self.deployed.max(other.deployed),
            images: unite(self.images, &other.images, |image| image.split('@').next()),
            unknown: unite(self.unknown, &other.unknown, |line| {
                line.split_once(':').map(|(key, _)| key.trim())
            }),
        }
    }

    /// Takes over a decision of the line that is at least as large.
    fn decide(&mut self, decided: &Decided) {
        self.decided = decided.clone();
        let level = Level::of(decided);
        if self.verdict.level < level {
            self.verdict = Verdict { level, broken: false, onto: None, conflicts: Vec::new() };
        }
    }

    fn note(&self) -> Note {
        let (made, verdict) = (self.decided.made, &self.verdict);
        let found = match verdict.level {
            Level::Deployed => Some(State::Deployed),
            Level::Decision { .. } => verdict.broken.then_some(State::Broken),
        };
        let state = found.or(made.map(State::from)).unwrap_or(State::Development);
        let mut roots = self.roots.iter().rev();
        let root = roots.next().copied();
        let mut unknown = self.unknown.clone();
        unknown.extend(roots.map(|root| format!("{ALSO_ROOT}: {root}")));
        Note {
            state,
            root,
            was: made.filter(|_| found.is_some()),
            rebased_from: self.origin.0,
            onto: verdict.onto,
            dropped: self.origin.1.clone(),
            conflicts: verdict.conflicts.clone(),
            deployment: self.deployed.id(),
            result: self.deployed.result,
            images: self.images.clone(),
            unknown,
            ..self.decided.note.clone()
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

/// A decision with everything that belongs to it.
#[derive(Debug, Clone)]
struct Decided {
    /// None where a note only says what was found out.
    made: Option<Decision>,
    /// A note with the keys of the decision alone.
    note: Note,
    text: String,
}

impl Decided {
    fn of(note: &Note) -> Self {
        let made = note.decision();
        let note = Note {
            refs: note.refs.clone(),
            since: note.since,
            by: note.by.clone(),
            message: note.message.clone(),
            rev: note.rev,
            approved: note.approved,
            reason: note.reason.clone(),
            priority: note.priority,
            after: note.after.clone(),
            hold: note.hold.clone(),
            ..Note::new(made.map_or(State::Development, State::from))
        };
        Self { made, text: note.to_string(), note }
    }

    /// The newer one is larger, of those that did not see each other the more careful one; none is lowest.
    fn rank(&self) -> (bool, u64, Option<Decision>, &str) {
        (self.made.is_some(), self.note.rev, self.made, &self.text)
    }
}

/// What was found out about a commit; the larger one holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    level: Level,
    broken: bool,
    onto: Option<CommitId>,
    conflicts: Vec<String>,
}

/// What a verdict was found under. One that belongs to a smaller level counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// A decision; development is a level of its own because it ends broken.
    Decision { made: bool, rev: u64, development: bool },
    /// Nothing leaves it.
    Deployed,
}

impl Level {
    fn of(decided: &Decided) -> Self {
        let development = decided.made == Some(Decision::Development);
        // Where nothing was decided a number ends no verdict: there would be no state left.
        let rev = decided.made.map_or(0, |_| decided.note.rev);
        Self::Decision { made: decided.made.is_some(), rev, development }
    }
}

impl Verdict {
    fn of(note: &Note) -> Self {
        let level = match note.state {
            State::Deployed => Level::Deployed,
            _ => Level::of(&Decided::of(note)),
        };
        let was_broken = note.state == State::Broken;
        let broken = was_broken && note.decision() != Some(Decision::Development);
        // What it was tried on means nothing without the verdict.
        let onto = note.onto.filter(|_| broken || !was_broken);
        let conflicts = if broken { note.conflicts.clone() } else { Vec::new() };
        Self { level, broken, onto, conflicts }
    }
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
