//! The laws of the merge over notes of any kind, and what they are good for.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::state::Decision;

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn text_of(lines: &str) -> Vec<u8> {
    let lines = lines.split("; ").map(|line| match line.split_once(": @") {
        Some((key, digit)) => format!("{key}: {}\n", digit.repeat(40)),
        _ => format!("{line}\n"),
    });
    lines.collect::<String>().into_bytes()
}

fn clone_of(notes: &[(char, &str)]) -> NoteTexts {
    notes.iter().map(|(digit, lines)| (commit(*digit), text_of(lines))).collect()
}

/// A note of somebody who decides and has seen another one.
fn after(seen: &str, lines: &str) -> String {
    let [seen, note] = [seen, lines].map(|lines| Note::parse(&text_of(lines)).unwrap());
    replacing(note, [&seen]).to_string().trim_end().replace('\n', "; ")
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
    let approved = "state: deployable; rev: 1; ref: refs/heads/login";
    let rebased = clone_of(&[
        ('a', approved),
        ('b', "state: deployable; rev: 1; ref: refs/heads/login; root: @a; rebased-from: @a; onto: @1"),
    ]);
    let withdrawal = "state: development; rev: 2; ref: refs/heads/login; message: not yet";
    let withdrawn = clone_of(&[('a', &after(approved, withdrawal))]);
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
fn how_many_decisions_somebody_made_does_not_make_them_hold() {
    let approved = "state: deployable; rev: 1";
    let staged = after(approved, "state: staged; rev: 2");
    let again = after(&staged, "state: deployable; rev: 3; by: Ada <a@a>");
    let withdrawn = after(approved, "state: development; rev: 2; message: security hole");
    let mut both = merged(&clone_of(&[('a', &again)]), &clone_of(&[('a', &withdrawn)]));
    let note = both.remove(&commit('a')).unwrap();
    assert_eq!((note.state, note.rev, note.beside.len()), (State::Development, 2, 1));
    assert_eq!(note.beside[0].by.as_deref(), Some("Ada <a@a>"));
    // What all three came from, and what Ada replaced herself, counts nowhere.
    let old = clone_of(&[('a', approved), ('b', &format!("{staged}; root: @a"))]);
    let all =
        merge(&old, &clone_of(&[('a', note.to_string().trim_end())].map(|(digit, text)| (digit, text))));
    assert_eq!(Note::parse(&all[&commit('b')]).unwrap().beside, note.beside);
    // Who has seen both decides.
    let seen = replacing(Note { rev: next_rev([&note]), ..Note::new(State::Deployable) }, [&note]);
    assert_eq!((seen.rev, seen.replaces.len(), seen.beside.len()), (4, 4, 0));
    let texts = NoteTexts::from([(commit('a'), seen.to_string().into_bytes())]);
    assert_eq!(merged(&all, &texts)[&commit('a')], seen);
}

#[test]
fn a_branch_that_anybody_took_out_of_a_decision_has_left_it() {
    let both = "state: deployable; rev: 1; ref: refs/heads/f; ref: refs/heads/g; approval: ssh a";
    let one = after(both, "state: deployable; rev: 2; ref: refs/heads/f; by: Ada <a@a>");
    let other = after(both, "state: deployable; rev: 2; ref: refs/heads/g; by: Zoe <z@z>");
    let note = &merged(&clone_of(&[('a', &one)]), &clone_of(&[('a', &other)]))[&commit('a')];
    assert_eq!((note.state, note.refs.len(), note.beside.len()), (State::Development, 2, 2));

    let wished = after(both, "state: deployable; rev: 2; priority: 5; ref: refs/heads/f; ref: refs/heads/g");
    let merged_notes = merged(&clone_of(&[('a', &one)]), &clone_of(&[('a', &wished)]));
    let note = &merged_notes[&commit('a')];
    assert_eq!((note.state, &note.refs[..]), (State::Deployable, &["refs/heads/f".parse().unwrap()][..]));
    // It is nobody's decision, but what follows from both, and stays broken where it was found so.
    let broken = note.broken(commit('2'), vec!["f.txt".to_owned()]);
    let texts = NoteTexts::from([(commit('a'), broken.to_string().into_bytes())]);
    let again = merged(&texts, &clone_of(&[('a', &one)]));
    assert_eq!(
        (again[&commit('a')].state, again[&commit('a')].beside.len()),
        (State::Broken, note.beside.len())
    );
    let third = after(both, "state: staged; rev: 2; ref: refs/heads/f");
    assert_eq!(merged(&texts, &clone_of(&[('a', &third)]))[&commit('a')].state, State::Staged);
}

#[test]
fn what_says_nothing_but_development_is_less_than_any_decision() {
    let recorded = clone_of(&[('a', "state: development; deployment: deployment-0001; result: failure")]);
    let approved = clone_of(&[('a', "state: deployable; rev: 1")]);
    assert_eq!(merged(&recorded, &approved)[&commit('a')].state, State::Deployable);
    let by_hand = clone_of(&[('a', "state: deployable")]);
    assert_eq!(merged(&recorded, &by_hand)[&commit('a')].state, State::Development);
}

#[test]
fn a_note_without_room_for_what_does_not_show_shows_what_holds() {
    let long = |state: &str| format!("state: {state}; rev: 1; message: {}", "x".repeat(MAX_BYTES / 2));
    let (one, two) = (clone_of(&[('a', &long("deployable"))]), clone_of(&[('a', &long("development"))]));
    let note = &merged(&one, &two)[&commit('a')];
    assert_eq!((note.state, note.beside.len()), (State::Development, 0));
}

#[test]
fn a_decision_comes_with_all_its_keys_and_none_of_the_other_one() {
    let held = "state: staged; rev: 1; hold: holiday; priority: 3; reason: lint";
    let one = clone_of(&[('a', held)]);
    let two = clone_of(&[('a', &after(held, "state: deployable; rev: 2; after: api"))]);
    let note = &merged(&one, &two)[&commit('a')];
    assert_eq!((&note.hold, note.priority, &note.reason), (&None, None, &None));
    assert_eq!(note.after.as_deref(), Some("api"));
}

#[test]
fn a_signature_goes_with_its_decision_and_with_no_other_one() {
    let approved = "state: deployable; rev: 1; approved: @a; approval: ssh AAAA";
    let signed = clone_of(&[
        ('a', approved),
        ('b', "state: deployable; rev: 1; approved: @a; approval: ssh AAAA; root: @a; rebased-from: @a"),
    ]);
    let withdrawal = after(approved, "state: development; rev: 2; approved: @a");
    let withdrawn = clone_of(&[('a', &withdrawal)]);
    for digit in ['a', 'b'] {
        assert_eq!(merged(&signed, &withdrawn)[&commit(digit)].approval, None);
    }
    let anew = after(&withdrawal, "state: deployable; rev: 3; root: @a; approved: @b; approval: ssh BBBB");
    let anew = clone_of(&[('b', &anew)]);
    let notes = merged(&merge(&signed, &withdrawn), &anew);
    assert_eq!(notes[&commit('a')].approval.as_deref(), Some("ssh BBBB"));
    assert_eq!(notes[&commit('a')].approved, Some(commit('b')));
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

    let more_careful = merged(&ours, &clone_of(&[('a', "state: staged; rev: 1")]));
    // The verdict is of the other decision.
    assert_eq!(more_careful[&commit('b')].state, State::Staged);
    assert_eq!(more_careful[&commit('b')].beside[0].conflicts, ["f.txt"]);
}

#[test]
fn a_newer_decision_or_development_ends_broken() {
    let found = "state: broken; rev: 1; was: deployable; onto: @2; conflict: f.txt";
    let broken = clone_of(&[('a', found)]);
    for (newer, state) in [
        ("state: development; rev: 1", State::Development),
        ("state: development; rev: 2", State::Development),
        ("state: staged; rev: 2", State::Staged),
    ] {
        let note = &merged(&broken, &clone_of(&[('a', &after(found, newer))]))[&commit('a')];
        assert_eq!((note.state, note.was, note.onto), (state, None, None), "{newer}");
        assert!(note.conflicts.is_empty());
    }
}

#[test]
fn what_is_deployed_stays_deployed_and_its_line_is_not() {
    let approved = "state: deployable; rev: 1";
    let landed = clone_of(&[
        ('a', approved),
        (
            'b',
            "state: deployed; rev: 1; root: @a; was: deployable; deployment: deployment-0007; result: success",
        ),
    ]);
    let notes = merged(&landed, &clone_of(&[('a', &after(approved, "state: development; rev: 2"))]));
    assert_eq!(notes[&commit('a')].state, State::Development);
    let note = &notes[&commit('b')];
    assert_eq!((note.state, note.result), (State::Deployed, Some(Outcome::Success)));
    assert_eq!(note.decision(), Some(Decision::Development));
}

#[test]
fn what_a_note_says_of_a_landing_grows_and_is_not_changed() {
    let note = |text: &str| Note::parse(&clone_of(&[('a', text)])[&commit('a')]).unwrap();
    let landed =
        "state: deployed; rev: 1; by: Ada <a@a>; was: deployable; deployment: deployment-0007; new: 1";
    let keeps = |after: &str| keeps_landing(&note(landed), &note(after));
    assert!(keeps(landed));
    assert!(keeps(&landed.replace("0007", "0008")));
    assert!(keeps(&format!("{landed}; root: @b; newer: 1")));
    // A later decision takes the place of what it replaces, and whether anybody made it is another question.
    let later = landed.replace("rev: 1; by: Ada <a@a>", "rev: 2; by: Bob <b@b>");
    let (id, _) = active(&note(landed)).remove(0);
    assert!(keeps(&format!("{later}; replaces: {id}")));
    assert!(!keeps(&later));
    for (what, instead) in [("rev: 1; ", ""), ("; new: 1", ""), ("state: deployed", "state: staged")] {
        assert!(!keeps(&landed.replace(what, instead)), "{what}");
    }
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
fn a_note_that_was_copied_from_another_commit_decides_nothing_and_gives_way() {
    let copy = clone_of(&[('b', "state: staged; rev: 2; root: @a; rebased-from: @a; rebased-to: @c")]);
    let own = "state: deployable; rev: 1; root: @a; rebased-from: @a; rebased-to: @b";
    let ours = clone_of(&[('a', "state: deployable; rev: 1"), ('b', own)]);
    assert_eq!(merge(&ours, &copy), ours);
    assert_eq!(merge(&copy, &ours), ours);
    // It is lost to nobody who has nothing else there, not even to what nobody can read.
    assert_eq!(merge(&copy, &clone_of(&[('b', "zzz: nonsense")])), copy);
}

#[test]
fn a_note_never_becomes_too_large_to_be_read() {
    let long = |key: &str| format!("state: staged; {key}: {}", "x".repeat(MAX_BYTES - 100));
    let ours = clone_of(&[('a', &long("one"))]);
    let theirs = clone_of(&[('a', &long("two"))]);
    assert_eq!(merged(&ours, &theirs)[&commit('a')].state, State::Staged);
}

#[test]
fn a_branch_that_is_decided_about_ever_again_keeps_a_note_that_can_be_deployed() {
    let mut note = Note::new(State::Staged);
    for rev in 1..=1500 {
        note = replacing(Note { rev, ..note.clone() }, [&note]);
        assert!(note.replaces.len() >= usize::try_from(rev - 1).unwrap().min(400));
    }
    // The one before is never forgotten.
    let last = active(&Note { replaces: Vec::new(), ..note.clone() })[0].0;
    let next = replacing(Note { rev: 1501, ..note.clone() }, [&note]);
    assert!(next.replaces.contains(&last));
    assert!(next.to_string().len() < 10 * 1024, "{}", next.to_string().len());
    // Nor does it come back from what was rebased to it.
    let earlier = Note { replaces: vec![commit('1').to_string()[..12].parse().unwrap()], ..note };
    assert_eq!(forgetting(earlier.clone(), &next).replaces, []);
    assert_eq!(forgetting(earlier.clone(), &Note::new(State::Staged)), earlier);
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

/// Decisions of which some replace each other, and some stand beside others.
fn a_decision() -> impl Strategy<Value = Note> {
    let state = select(&["development", "staged", "deployable"][..]);
    let refs = select(
        &["", "; ref: refs/heads/a", "; ref: refs/heads/b", "; ref: refs/heads/b; ref: refs/heads/a"][..],
    );
    let keys = (state, refs, select(&["", "; rev: 1", "; rev: 2"][..]));
    keys.prop_map(|(state, refs, rev)| Note::parse(&text_of(&format!("state: {state}{refs}{rev}"))).unwrap())
}

/// The keys of the register, as any version may have left them.
fn any_register() -> impl Strategy<Value = String> {
    let replaced = vec(a_decision(), 0..3).prop_map(|seen| replacing(Note::new(State::Broken), &seen));
    let conflict = option::of(select(&["f", "g"][..]));
    let entry = (a_decision(), conflict).prop_map(|(note, conflict)| match conflict {
        Some(path) => note.broken(commit('a'), vec![path.to_owned()]),
        None => note,
    });
    let junk = maybe("beside", &["x", "\"state: ready\\n\"", "state: staged"]);
    (replaced, vec(entry, 0..3), junk).prop_map(|(note, beside, junk)| {
        let note = Note { beside, ..note }.to_string();
        format!("{}{junk}", note.strip_prefix("state: broken\n").unwrap())
    })
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
        maybe("approval", &["ssh a", "ssh b", "openpgp a"]),
    )
        .prop_map(|(names, rev, by, was, hold, approval)| [names, rev, by, was, hold, approval].concat());
    let place = (
        maybe_commit("root"),
        maybe_commit("also-root"),
        maybe_commit("rebased-from"),
        option::weighted(0.2, maybe_commit("rebased-to")).prop_map(Option::unwrap_or_default),
        maybe_commit("onto"),
        maybe_commit("dropped"),
        maybe("conflict", &["f", "g"]),
    )
        .prop_map(|(root, also, from, to, onto, dropped, conflict)| {
            [root, also, from, to, onto, dropped, conflict].concat()
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
    let plain = a_decision().prop_map(|note| note.to_string());
    let decided = prop_oneof![
        2 => (state, decision).prop_map(|(state, decision)| (state.to_owned(), decision)),
        1 => plain.prop_map(|text| {
            let (state, keys) = text.strip_prefix("state: ").unwrap().split_once('\n').unwrap();
            (state.to_owned(), keys.to_owned())
        }),
    ];
    (decided, any_register(), place, fate, any::<bool>()).prop_map(
        |(decided, register, place, fate, state_first)| {
            let (state, decision) = decided;
            let rest = format!("{decision}{register}{place}{fate}");
            let text = if state_first {
                format!("state: {state}\n{rest}")
            } else {
                format!("{rest}state: {state}\n")
            };
            text.into_bytes()
        },
    )
}

/// Notes that a failing test shows as text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shown(pub(super) NoteTexts);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|(id, text)| write!(f, "\n{}\n{}", id.short(2), String::from_utf8_lossy(text)))
    }
}

impl Shown {
    pub(super) fn with(&self, other: &Self) -> Self {
        Self(merge(&self.0, &other.0))
    }
}

fn any_clone() -> impl Strategy<Value = Shown> {
    btree_map(a_commit(), any_note(), 0..5).prop_map(Shown)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
    fn a_merge_keeps_the_verdicts_of_both_sides(a in any_clone(), b in any_clone()) {
        let once = a.with(&b).0;
        for (commit, text) in a.0.iter().chain(&b.0) {
            if let (Ok(before), Ok(after)) = (Note::parse(text), Note::parse(&once[commit]))
                && before.copied_from(*commit).is_none()
            {
                prop_assert!(keeps_verdict(&before, &after));
                prop_assert!(before.state != State::Deployed || keeps_landing(&before, &after));
            }
        }
    }

    #[test]
    fn what_is_missing_makes_the_merge(a in any_clone(), b in any_clone()) {
        let mut ours = a.0.clone();
        ours.extend(missing(&a.0, &b.0));
        prop_assert_eq!(Shown(ours), a.with(&b));
    }
}
