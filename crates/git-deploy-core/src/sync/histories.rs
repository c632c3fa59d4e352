//! The merge over histories: people in clones who decide, rebase, forget and exchange in any order, by clocks that lie.
//!
//! Branches travel without their notes, as `git fetch` brings them, so that a clone may decide about a commit that it knows
//! nothing of: two clones need no notes in common.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::laws::Shown;
use super::*;
use crate::ids::DecisionId;
use crate::state::Decision;

const CLONES: usize = 4;
const BRANCHES: usize = 2;

/// What is wished for a branch besides its state; what is left out stays as it is.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Nothing,
    After(&'static str),
    Hold(&'static str),
    /// All that held it back is taken off.
    Free,
}

impl Wish {
    fn written_to(self, note: &mut Note) {
        match self {
            Self::Nothing => {}
            Self::After(name) => note.after = Some(name.to_owned()),
            Self::Hold(why) => note.hold = Some(why.to_owned()),
            Self::Free => (note.after, note.hold) = (None, None),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// By a clock that shows that many seconds.
    Decide(State, i64, Wish),
    Rebase,
    Break,
    /// Somebody takes the note away.
    Delete,
    /// The clone is made anew: what it alone knew is gone.
    Forget,
    /// The branch comes from there, without its notes.
    Fetch(usize),
    /// The notes come from there.
    Merge(usize),
}

#[derive(Debug, Clone)]
struct Act {
    clone: usize,
    branch: usize,
    step: Step,
}

fn any_act(loses: bool) -> impl Strategy<Value = Act> {
    let decided = select(&[State::Development, State::Staged, State::Deployable][..]);
    let losing = if loses { 1 } else { 0 };
    let wishes = [Wish::Nothing, Wish::After("api"), Wish::After("db"), Wish::Hold("sale"), Wish::Free];
    let decided = (decided, 0..2_000_000_000_i64, select(wishes.to_vec()));
    let step = prop_oneof![
        6 => decided.prop_map(|(state, since, wish)| Step::Decide(state, since, wish)),
        6 => Just(Step::Rebase),
        2 => Just(Step::Break),
        losing => Just(Step::Delete),
        losing => Just(Step::Forget),
        4 => (0..CLONES).prop_map(Step::Fetch),
        4 => (0..CLONES).prop_map(Step::Merge),
    ];
    (0..CLONES, 0..BRANCHES, step).prop_map(|(clone, branch, step)| Act { clone, branch, step })
}

fn any_history(loses: bool) -> impl Strategy<Value = Vec<Act>> {
    vec(any_act(loses), 0..40)
}

#[derive(Clone)]
struct Person {
    notes: NoteTexts,
    tips: [CommitId; BRANCHES],
    /// The decisions that have come to here, by their place among all.
    heard: BTreeSet<usize>,
}

/// A decision, as it was made.
struct Made {
    commit: CommitId,
    decision: Decision,
    rev: u64,
    held: bool,
    awaited: Vec<String>,
    id: DecisionId,
    replaces: Vec<DecisionId>,
}

/// The clones, and what was decided in them.
struct World {
    clones: Vec<Person>,
    commits: u8,
    made: Vec<Made>,
}

fn commit(number: u8) -> CommitId {
    CommitId(format!("{number:02x}").repeat(20).parse().unwrap())
}

impl World {
    fn after(history: &[Act]) -> Self {
        let tips = [commit(1), commit(2)];
        let clones = vec![Person { notes: NoteTexts::new(), tips, heard: BTreeSet::new() }; CLONES];
        let mut world = Self { clones, commits: 2, made: Vec::new() };
        history.iter().for_each(|act| world.go(act));
        world
    }

    fn go(&mut self, act: &Act) {
        let tip = self.clones[act.clone].tips[act.branch];
        let text = self.clones[act.clone].notes.get(&tip);
        let note = text.map(|text| Note::parse(text).unwrap());
        match (&act.step, note) {
            (Step::Merge(from), _) => {
                let notes = merge(&self.clones[act.clone].notes, &self.clones[*from].notes);
                self.clones[act.clone].notes = notes;
                let heard = self.clones[*from].heard.clone();
                self.clones[act.clone].heard.extend(heard);
            }
            (Step::Fetch(from), _) => {
                self.clones[act.clone].tips[act.branch] = self.clones[*from].tips[act.branch];
            }
            (Step::Delete, _) => drop(self.clones[act.clone].notes.remove(&tip)),
            (Step::Forget, _) => self.clones[act.clone].notes.clear(),
            (Step::Decide(state, since, wish), note) => {
                let mut note = note.unwrap_or_else(|| Note::new(State::Development));
                let seen = note.clone();
                // Deciding has the branch checked: it ends a verdict.
                let was_broken = note.state == State::Broken;
                note.onto = note.onto.filter(|_| !was_broken);
                (note.state, note.was, note.conflicts) = (*state, None, Vec::new());
                note.rev = next_rev([&seen]);
                note.since = Timestamp::from_second(*since).ok();
                note.approved = Some(tip);
                note.approval = (*state == State::Deployable).then(|| format!("ssh {tip}{}", note.rev));
                wish.written_to(&mut note);
                let note = replacing(note, [&seen]);
                self.decide(act.clone, tip, &note);
                self.write(act.clone, tip, &note);
            }
            (Step::Rebase, Some(mut note)) if note.state.is_rebased() => {
                self.commits += 1;
                note.root = Some(note.line(tip));
                note.rebased_from = Some(tip);
                let new = commit(self.commits);
                note.rebased_to = Some(new);
                self.clones[act.clone].tips[act.branch] = new;
                self.write(act.clone, new, &note);
            }
            (Step::Break, Some(mut note)) if note.state.is_rebased() => {
                note.was = note.state.decision();
                note.state = State::Broken;
                note.conflicts = vec!["f".to_owned()];
                self.write(act.clone, tip, &note);
            }
            (Step::Rebase | Step::Break, _) => {}
        }
    }

    fn decide(&mut self, clone: usize, commit: CommitId, note: &Note) {
        // Nobody replaces what never came to them.
        let heard: BTreeSet<DecisionId> =
            self.clones[clone].heard.iter().map(|one| self.made[*one].id).collect();
        assert!(note.replaces.iter().all(|id| heard.contains(id)));
        let [(id, _)] = active(note).try_into().unwrap();
        let (decision, rev, replaces) = (note.decision().unwrap(), note.rev, note.replaces.clone());
        let (held, awaited) = (note.hold.is_some(), note.awaited().map(str::to_owned).collect());
        self.clones[clone].heard.insert(self.made.len());
        self.made.push(Made { commit, decision, rev, held, awaited, id, replaces });
    }

    fn write(&mut self, clone: usize, commit: CommitId, note: &Note) {
        self.clones[clone].notes.insert(commit, note.to_string().into_bytes());
    }

    fn shown(&self) -> Vec<Shown> {
        self.clones.iter().map(|clone| Shown(clone.notes.clone())).collect()
    }

    fn all(&self) -> NoteTexts {
        self.clones.iter().fold(NoteTexts::new(), |all, clone| merge(&all, &clone.notes))
    }
}

/// What is decided about each line, found in the plainest way: commits are of one line that name one root or each other.
fn decided(all: &NoteTexts) -> BTreeMap<CommitId, Vec<CommitId>> {
    let mut lines: Vec<BTreeSet<CommitId>> = Vec::new();
    for (commit, text) in all {
        let note = Note::parse(text).unwrap();
        let also = note.unknown.iter().filter_map(|line| also_root(line));
        let mut line: BTreeSet<CommitId> = [*commit].into_iter().chain(note.root).chain(also).collect();
        for met in lines.extract_if(.., |known| !known.is_disjoint(&line)).collect::<Vec<_>>() {
            line.extend(met);
        }
        lines.push(line);
    }
    let members = |line: BTreeSet<CommitId>| {
        line.iter().map(|one| (*one, line.iter().copied().collect())).collect::<Vec<_>>()
    };
    lines.into_iter().flat_map(members).collect()
}

/// The decision of each note, with the number that it has.
fn found(text: &[u8]) -> (u64, Option<Decision>) {
    let note = Note::parse(text).unwrap();
    (note.rev, note.decision())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_in_what_people_have_made(history in any_history(true)) {
        let clones = World::after(&history).shown();
        let [a, b, c, d] = &clones[..] else { unreachable!() };
        prop_assert_eq!(a.with(b), b.with(a));
        prop_assert_eq!(a.with(b).with(c), a.with(&b.with(c)));
        prop_assert_eq!(a.with(b).with(&c.with(d)), d.with(&a.with(c)).with(b));
        let all = a.with(b).with(&c.with(d));
        for clone in &clones {
            prop_assert_eq!(&all.with(clone), &all);
        }
    }

    #[test]
    fn clones_that_exchange_in_any_order_end_with_the_same(
        history in any_history(true),
        exchanges in vec((0..CLONES, 0..CLONES), 0..12),
        last in Just((0..CLONES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut world = World::after(&history);
        let all = world.all();
        let mut exchange = |(one, other): (usize, usize)| {
            world.go(&Act { clone: one, branch: 0, step: Step::Merge(other) });
        };
        exchanges.into_iter().for_each(&mut exchange);
        // One collects, and all take it from there.
        last.iter().for_each(|from| exchange((last[0], *from)));
        last.iter().for_each(|to| exchange((*to, last[0])));
        for clone in world.shown() {
            prop_assert_eq!(clone, Shown(all.clone()));
        }
    }

    #[test]
    fn what_is_decided_on_a_line_is_so_on_all_its_commits(history in any_history(true)) {
        let all = World::after(&history).all();
        for (commit, line) in decided(&all) {
            for other in line.iter().filter_map(|other| all.get(other)) {
                prop_assert!(all.get(&commit).is_none_or(|text| found(text) == found(other)));
            }
        }
    }

    #[test]
    fn what_holds_is_as_careful_as_any_decision_that_nobody_who_saw_it_replaced(history in any_history(true)) {
        let world = World::after(&history);
        let all = world.all();
        for (commit, line) in decided(&all) {
            let Some(text) = all.get(&commit) else { continue };
            // What nobody has any more cannot hold.
            let notes = world.clones.iter().flat_map(|clone| line.iter().filter_map(|one| clone.notes.get(one)));
            let known: BTreeSet<DecisionId> =
                notes.flat_map(|text| active(&Note::parse(text).unwrap())).map(|(id, _)| id).collect();
            for made in world.made.iter().filter(|made| line.contains(&made.commit) && known.contains(&made.id)) {
                let is_replaced = world.made.iter().any(|later| later.replaces.contains(&made.id));
                prop_assert!(is_replaced || found(text).1 >= Some(made.decision));
            }
        }
    }

    #[test]
    fn no_decision_is_lost_where_nobody_loses_a_note(history in any_history(false)) {
        let world = World::after(&history);
        let all = world.all();
        let lines = decided(&all);
        for (commit, text) in &all {
            let made = world.made.iter().filter(|made| lines[commit].contains(&made.commit));
            let standing = made.filter(|made| !world.made.iter().any(|later| later.replaces.contains(&made.id)));
            let standing: Vec<&Made> = standing.collect();
            let largest = standing.iter().map(|made| (Some(made.decision), made.held, made.rev)).max();
            let (rev, decision) = found(text);
            prop_assert_eq!(Some((decision, rev)), largest.map(|(decision, _, rev)| (decision, rev)));
            let note = Note::parse(text).unwrap();
            prop_assert!(note.state != State::Broken || note.was != Some(Decision::Development));
            prop_assert_eq!(note.approval.is_some(), note.decision() == Some(Decision::Deployable));
            // All that anybody wished for who held it back does so, and nothing that somebody took off who had seen it.
            prop_assert_eq!(note.hold.is_some(), standing.iter().any(|made| made.held));
            let wished: BTreeSet<&str> =
                standing.iter().flat_map(|made| &made.awaited).map(String::as_str).collect();
            prop_assert_eq!(note.awaited().collect::<BTreeSet<_>>(), wished);
        }
    }

    #[test]
    fn a_clock_decides_nothing(history in any_history(false), other in vec(0..2_000_000_000_i64, 40)) {
        // Of two decisions that are equal but for the clock one shows, and only what was found out under that one.
        let history: Vec<Act> = history.into_iter().filter(|act| !matches!(act.step, Step::Break)).collect();
        let mut skewed = history.clone();
        for (act, clock) in skewed.iter_mut().zip(other) {
            if let Step::Decide(_, since, _) = &mut act.step {
                *since = clock;
            }
        }
        let decisions = |history: &[Act]| -> Vec<_> {
            World::after(history).all().iter().map(|(commit, text)| (*commit, found(text))).collect()
        };
        prop_assert_eq!(decisions(&history), decisions(&skewed));
    }
}
