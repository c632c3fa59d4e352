//! The laws of the merge over notes of any kind, and what they are good for.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn clone_of(notes: &[(char, &str)]) -> NoteTexts {
    let text = |text: &str| {
        let lines = text.split("; ").map(|line| match line.split_once(": @") {
            Some((key, digit)) => format!("{key}: {}\n", digit.repeat(40)),
            _ => format!("{line}\n"),
        });
        lines.collect::<String>().into_bytes()
    };
    notes.iter().map(|(digit, lines)| (commit(*digit), text(lines))).collect()
}

/// What both give in either order, and again, note by note.
fn merged(ours: &NoteTexts, theirs: &NoteTexts) -> BTreeMap<CommitId, Note> {
    let once = merge(ours, theirs);
    assert_eq!(once, merge(theirs, ours));
    assert_eq!(once, merge(&once, theirs));
    once.into_iter().map(|(commit, text)| (commit, Note::parse(&text).unwrap())).collect()
}

#[test]
fn a_withdrawal_made_on_an_old_tip_holds_on_the_rebased_one() {
    let rebased = clone_of(&[
        ('a', "state: deployable; rev: 1; ref: refs/heads/login"),
        ('b', "state: deployable; rev: 1; ref: refs/heads/login; root: @a; rebased-from: @a; onto: @1"),
    ]);
    let withdrawn = clone_of(&[('a', "state: development; rev: 2; ref: refs/heads/login; message: not yet")]);
    let notes = merged(&rebased, &withdrawn);
    for digit in ['a', 'b'] {
        let note = &notes[&commit(digit)];
        assert_eq!((note.state, note.rev, note.message.as_deref()), (State::Development, 2, Some("not yet")));
    }
    assert_eq!(notes[&commit('b')].rebased_from, Some(commit('a')));
    assert_eq!(notes[&commit('a')].rebased_from, None);
}

#[test]
fn of_two_decisions_that_did_not_see_each_other_the_more_careful_one_holds() {
    let one = clone_of(&[('a', "state: deployable; rev: 2; by: Zoe <z@z>")]);
    let two = clone_of(&[('a', "state: staged; rev: 2; by: Ada <a@a>")]);
    let note = &merged(&one, &two)[&commit('a')];
    assert_eq!((note.state, note.by.as_deref()), (State::Staged, Some("Ada <a@a>")));
}

#[test]
fn a_decision_comes_with_all_its_keys_and_none_of_the_other_one() {
    let one = clone_of(&[('a', "state: staged; rev: 1; hold: holiday; priority: 3; reason: lint")]);
    let two = clone_of(&[('a', "state: deployable; rev: 2; after: api")]);
    let note = &merged(&one, &two)[&commit('a')];
    assert_eq!((&note.hold, note.priority, &note.reason), (&None, None, &None));
    assert_eq!(note.after.as_deref(), Some("api"));
}

#[test]
fn a_broken_verdict_stays_with_its_commit_and_its_decision() {
    let broken =
        "state: broken; rev: 1; root: @a; was: deployable; rebased-from: @a; onto: @2; conflict: f.txt";
    let ours = clone_of(&[('a', "state: deployable; rev: 1"), ('b', broken)]);
    let notes = merged(&ours, &clone_of(&[('b', "state: deployable; rev: 1; root: @a; onto: @9")]));
    assert_eq!(notes[&commit('a')].state, State::Deployable);
    let note = &notes[&commit('b')];
    assert_eq!(
        (note.state, note.was, note.onto),
        (State::Broken, Some(Decision::Deployable), Some(commit('2')))
    );
    assert_eq!(note.conflicts, ["f.txt"]);

    let as_careful = merged(&ours, &clone_of(&[('a', "state: staged; rev: 1")]));
    assert_eq!(as_careful[&commit('b')].state, State::Broken);
    assert_eq!(as_careful[&commit('b')].was, Some(Decision::Staged));
}

#[test]
fn a_newer_decision_or_development_ends_broken() {
    let broken = clone_of(&[('a', "state: broken; rev: 1; was: deployable; onto: @2; conflict: f.txt")]);
    for (newer, state) in [
        ("state: development; rev: 1", State::Development),
        ("state: development; rev: 2", State::Development),
        ("state: staged; rev: 2", State::Staged),
    ] {
        let note = &merged(&broken, &clone_of(&[('a', newer)]))[&commit('a')];
        assert_eq!((note.state, note.was, note.onto), (state, None, None), "{newer}");
        assert!(note.conflicts.is_empty());
    }
}

#[test]
fn what_is_deployed_stays_deployed_and_its_line_is_not() {
    let landed = clone_of(&[
        ('a', "state: deployable; rev: 1"),
        (
            'b',
            "state: deployed; rev: 1; root: @a; was: deployable; deployment: deployment-0007; result: success",
        ),
    ]);
    let notes = merged(&landed, &clone_of(&[('a', "state: development; rev: 2")]));
    assert_eq!(notes[&commit('a')].state, State::Development);
    let note = &notes[&commit('b')];
    assert_eq!((note.state, note.result), (State::Deployed, Some(Outcome::Success)));
    assert_eq!(note.decision(), Some(Decision::Development));
}

#[test]
fn a_result_goes_with_its_deployment_and_the_one_that_lands_counts() {
    let failed = "state: staged; deployment: deployment-0002; result: failure; image: b:1@x; image: c:1";
    let staging =
        "state: staged; deployment: deployment-staging-0009; result: success; image: b:1@y; image: a:1";
    let note = &merged(&clone_of(&[('a', failed)]), &clone_of(&[('a', staging)]))[&commit('a')];
    assert_eq!(note.deployment, Some("deployment-0002".parse().unwrap()));
    assert_eq!(note.result, Some(Outcome::Failure));
    assert_eq!(note.images, ["a:1", "b:1@y", "c:1"]);
}

#[test]
fn unknown_keys_of_both_are_kept_and_never_come_twice() {
    let ours = clone_of(&[('a', "state: staged; new: 1; mine: 1; a remark")]);
    let theirs = clone_of(&[('a', "state: staged; new: 2; theirs: 1")]);
    let note = &merged(&ours, &theirs)[&commit('a')];
    assert_eq!(note.unknown, ["a remark", "mine: 1", "new: 2", "theirs: 1"]);
}

#[test]
fn a_note_nobody_disagrees_with_keeps_its_bytes() {
    let by_hand =
        clone_of(&[('a', "zebra: 1; a remark; state: staged // since Monday"), ('b', "stat: oops")]);
    assert_eq!(merge(&by_hand, &by_hand), by_hand);
    assert_eq!(merge(&by_hand, &NoteTexts::new()), by_hand);
    assert!(missing(&by_hand, &by_hand).is_empty());
    assert_eq!(missing(&NoteTexts::new(), &by_hand), by_hand);
}

#[test]
fn a_note_that_cannot_be_read_gives_way_to_one_that_can() {
    let wrong = clone_of(&[('a', "state: ready"), ('b', "stat: a")]);
    let right = clone_of(&[('a', "state: staged"), ('b', "stat: b")]);
    assert_eq!(merge(&wrong, &right), right);
    assert_eq!(merge(&right, &wrong), right);
}

#[test]
fn a_note_never_becomes_too_large_to_be_read() {
    let long = |key: &str| format!("state: staged; {key}: {}", "x".repeat(MAX_BYTES - 100));
    let ours = clone_of(&[('a', &long("one"))]);
    let theirs = clone_of(&[('a', &long("two"))]);
    assert_eq!(merged(&ours, &theirs)[&commit('a')].state, State::Staged);
}

#[test]
fn two_lines_that_rebased_to_the_same_commit_are_one_from_then_on() {
    let one = clone_of(&[('c', "state: staged; rev: 1; root: @a")]);
    let two = clone_of(&[('c', "state: staged; rev: 1; root: @b")]);
    let both = merge(&one, &two);
    for digit in ['a', 'b'] {
        let notes = merged(&both, &clone_of(&[(digit, "state: development; rev: 2")]));
        assert_eq!(notes[&commit('c')].state, State::Development);
    }
}

fn a_commit() -> impl Strategy<Value = CommitId> {
    select(&['a', 'b', 'c', 'd', 'e'][..]).prop_map(commit)
}

fn maybe(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    option::of(select(values))
        .prop_map(move |value| value.map_or_else(String::new, |value| format!("{key}: {value}\n")))
}

fn maybe_commit(key: &'static str) -> impl Strategy<Value = String> {
    option::weighted(0.4, a_commit())
        .prop_map(move |value| value.map_or_else(String::new, |value| format!("{key}: {value}\n")))
}

/// Any text at all, as people and programs of any version may have left it; small in its values so that they meet.
fn any_note() -> impl Strategy<Value = Vec<u8>> {
    let state = select(
        &[
            "development",
            "staged",
            "deployable",
            "deployed",
            "broken",
            "staged // by hand",
            "ready",
            "broken",
        ][..],
    );
    let decision = (
        maybe("ref", &["refs/heads/a", "refs/heads/b"]),
        maybe("rev", &["1", "2", "3"]),
        maybe("by", &["A <a@a>", "B <b@b>"]),
        maybe("was", &["staged", "deployable", "development"]),
        maybe("hold", &["x", "y"]),
    )
        .prop_map(|(names, rev, by, was, hold)| [names, rev, by, was, hold].concat());
    let place = (
        maybe_commit("root"),
        maybe_commit("also-root"),
        maybe_commit("rebased-from"),
        maybe_commit("onto"),
        maybe_commit("dropped"),
        maybe("conflict", &["f", "g"]),
    )
        .prop_map(|(root, also, from, onto, dropped, conflict)| {
            [root, also, from, onto, dropped, conflict].concat()
        });
    let fate = (
        maybe("deployment", &["deployment-0001", "deployment-0002", "deployment-staging-0003"]),
        maybe("result", &["success", "failure", "aborted"]),
        vec(select(&["image: b:1@x\n", "image: b:1@y\n", "image: a:1\n"][..]), 0..3),
        vec(select(&["new: 1\n", "new: 2\n", "other: 1\r\n", "a remark\n", "root : \n"][..]), 0..3),
    )
        .prop_map(|(deployment, result, images, unknown)| {
            [deployment, result, images.concat(), unknown.concat()].concat()
        });
    (state, decision, place, fate, any::<bool>()).prop_map(|(state, decision, place, fate, state_first)| {
        let rest = format!("{decision}{place}{fate}");
        let text =
            if state_first { format!("state: {state}\n{rest}") } else { format!("{rest}state: {state}\n") };
        text.into_bytes()
    })
}

/// Notes that a failing test shows as text.
#[derive(Clone, PartialEq, Eq)]
struct Shown(NoteTexts);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|(id, text)| write!(f, "\n{}\n{}", id.short(2), String::from_utf8_lossy(text)))
    }
}

impl Shown {
    fn with(&self, other: &Self) -> Self {
        Self(merge(&self.0, &other.0))
    }
}

fn any_clone() -> impl Strategy<Value = Shown> {
    btree_map(a_commit(), any_note(), 0..5).prop_map(Shown)
}

/// What several people do to one line of rebases, each in a clone that knows what the one it began from knew.
#[derive(Debug, Clone)]
enum Step {
    Decide(State),
    Rebase,
    Break,
    Merge(usize),
}

fn any_step() -> impl Strategy<Value = (usize, Step)> {
    let decision = select(&[State::Development, State::Staged, State::Deployable][..]).prop_map(Step::Decide);
    let step = prop_oneof![
        3 => decision,
        3 => Just(Step::Rebase),
        1 => Just(Step::Break),
        2 => (0..3_usize).prop_map(Step::Merge),
    ];
    (0..3_usize, step)
}

/// Clones with the tip that each of them is at.
struct World {
    clones: Vec<(NoteTexts, CommitId)>,
    commits: u8,
    highest: (u64, Decision),
}

impl World {
    fn new() -> Self {
        let notes = clone_of(&[('0', "state: deployable; rev: 1; ref: refs/heads/a")]);
        let clones = std::iter::repeat_n((notes, commit('0')), 3).collect();
        Self { clones, commits: 0, highest: (1, Decision::Deployable) }
    }

    fn note(&self, clone: usize) -> Note {
        let (notes, tip) = &self.clones[clone];
        Note::parse(&notes[tip]).unwrap()
    }

    fn go(&mut self, clone: usize, step: &Step) {
        let mut note = self.note(clone);
        let mut tip = self.clones[clone].1;
        match step {
            Step::Merge(from) => {
                let theirs = self.clones[*from].0.clone();
                self.clones[clone].0 = merge(&self.clones[clone].0, &theirs);
                return;
            }
            Step::Decide(state) => {
                // Deciding has the branch checked: it ends a verdict.
                let was_broken = note.state == State::Broken;
                note.onto = note.onto.filter(|_| !was_broken);
                (note.state, note.was, note.conflicts) = (*state, None, Vec::new());
                note.rev += 1;
                note.approved = Some(tip);
                self.highest = self.highest.max((note.rev, state.decision().unwrap()));
            }
            Step::Rebase if note.state.is_rebased() => {
                self.commits += 1;
                note.root = Some(note.line(tip));
                note.rebased_from = Some(tip);
                tip = format!("{:02x}", self.commits).repeat(20).parse().unwrap();
            }
            Step::Break if note.state.is_rebased() => {
                note.was = note.state.decision();
                note.state = State::Broken;
                note.conflicts = vec!["f".to_owned()];
            }
            Step::Rebase | Step::Break => return,
        }
        self.clones[clone].1 = tip;
        self.clones[clone].0.insert(tip, note.to_string().into_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_merging_does_not_matter(a in any_clone(), b in any_clone()) {
        prop_assert_eq!(a.with(&b), b.with(&a));
    }

    #[test]
    fn the_grouping_of_merges_does_not_matter(a in any_clone(), b in any_clone(), c in any_clone()) {
        prop_assert_eq!(a.with(&b).with(&c), a.with(&b.with(&c)));
    }

    #[test]
    fn merging_again_changes_nothing(a in any_clone(), b in any_clone()) {
        let once = a.with(&b);
        prop_assert_eq!(&once.with(&a), &once);
        prop_assert_eq!(&b.with(&once), &once);
        prop_assert_eq!(&once.with(&once), &once);
        prop_assert_eq!(&once.with(&Shown(NoteTexts::new())), &once);
    }

    #[test]
    fn no_note_is_lost_and_none_becomes_unreadable(a in any_clone(), b in any_clone()) {
        let once = a.with(&b).0;
        for (commit, text) in a.0.iter().chain(&b.0) {
            if Note::parse(text).is_ok() {
                prop_assert!(Note::parse(&once[commit]).is_ok());
            } else {
                prop_assert!(once.contains_key(commit));
            }
        }
        prop_assert!(once.keys().all(|commit| a.0.contains_key(commit) || b.0.contains_key(commit)));
    }

    #[test]
    fn what_is_missing_makes_the_merge(a in any_clone(), b in any_clone()) {
        let mut ours = a.0.clone();
        ours.extend(missing(&a.0, &b.0));
        prop_assert_eq!(Shown(ours), a.with(&b));
    }

    #[test]
    fn the_last_decision_holds_on_every_tip_whatever_was_rebased_meanwhile(
        steps in vec(any_step(), 0..24),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|(clone, step)| world.go(*clone, step));
        let all = order.iter().fold(NoteTexts::new(), |all, clone| merge(&all, &world.clones[*clone].0));
        for text in all.values() {
            let note = Note::parse(text).unwrap();
            prop_assert_eq!((note.rev, note.decision()), (world.highest.0, Some(world.highest.1)));
            prop_assert!(note.state != State::Broken || note.was != Some(Decision::Development));
        }
    }
}
