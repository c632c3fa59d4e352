//! The laws of the merge over notes of any kind.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{commit, text_of};
use super::*;

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
    let wishes =
        select(&["", "; hold: x", "; after: x", "; after: y; hold: y", "; after: y  x", "; priority: 5"][..]);
    let keys = (state, refs, select(&["", "; rev: 1", "; rev: 2"][..]), wishes);
    keys.prop_map(|(state, refs, rev, wishes)| {
        Note::parse(&text_of(&format!("state: {state}{refs}{rev}{wishes}"))).unwrap()
    })
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
        maybe("after", &["x", "y", "y x"]),
        maybe("approval", &["ssh a", "ssh b", "openpgp a"]),
    )
        .prop_map(|(names, rev, by, was, hold, after, approval)| {
            [names, rev, by, was, hold, after, approval].concat()
        });
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
