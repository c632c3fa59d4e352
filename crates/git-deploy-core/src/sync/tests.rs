//! What the merge of notes is good for.

use super::*;
use crate::state::Decision;

pub(super) fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(super) fn text_of(lines: &str) -> Vec<u8> {
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
fn what_holds_a_branch_back_is_not_lost_to_a_decision_that_did_not_see_it() {
    let approved = "state: deployable; rev: 1; approved: @a; approval: ssh AAAA";
    let decided = |keys: &str| after(approved, &approved.replace("rev: 1", &format!("rev: 2; {keys}")));
    let waits = decided("after: api");
    for (other, hold, awaited) in [
        ("hold: sale", Some("sale"), "api"),
        ("priority: 5", None, "api"),
        ("message: soon", None, "api"),
        ("after: db", None, "api db"),
        ("after: api; hold: sale", Some("sale"), "api"),
    ] {
        let both = merged(&clone_of(&[('a', &waits)]), &clone_of(&[('a', &decided(other))]));
        let note = &both[&commit('a')];
        assert_eq!((note.hold.as_deref(), note.after.as_deref()), (hold, Some(awaited)), "{other}");
        // What was signed says nothing of that.
        assert_eq!((note.state, note.approval.as_deref()), (State::Deployable, Some("ssh AAAA")));
        // Who has seen it takes it off, all of it.
        let freed = replacing(Note { rev: 3, hold: None, after: None, ..note.clone() }, [note]);
        let texts = NoteTexts::from([(commit('a'), freed.to_string().into_bytes())]);
        let all = merge(&texts, &clone_of(&[('a', &waits), ('b', &format!("{}; root: @a", decided(other)))]));
        let note = Note::parse(&all[&commit('a')]).unwrap();
        assert_eq!((note.hold, note.after, note.beside), (None, None, Vec::new()), "{other}");
    }
    // A withdrawal takes off nothing either that it has not seen.
    let withdrawn = after(approved, "state: development; rev: 2");
    let note = &merged(&clone_of(&[('a', &waits)]), &clone_of(&[('a', &withdrawn)]))[&commit('a')];
    assert_eq!((note.state, note.after.as_deref()), (State::Development, Some("api")));
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
fn what_shows_of_a_landing_is_never_a_less_careful_decision_than_a_merge_would_show() {
    let landed = "state: deployed; rev: 1; by: Ada <a@a>; was: deployable";
    let withdrawn = clone_of(&[('a', "state: development; rev: 1; by: Bob <b@b>")]);
    let both = merged(&clone_of(&[('a', landed)]), &withdrawn).remove(&commit('a')).unwrap();
    assert_eq!((both.was, both.by.as_deref()), (Some(Decision::Development), Some("Bob <b@b>")));
    assert!(keeps_landing(&both, &both));
    let beside = vec![Note::parse(&withdrawn[&commit('a')]).unwrap()];
    let by = Some("Ada <a@a>".to_owned());
    let swapped = Note { was: Some(Decision::Deployable), by, beside, ..both.clone() };
    assert_eq!(active(&swapped).len(), active(&both).len());
    assert!(!keeps_landing(&both, &swapped));
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
