//! Notes as text: whatever can be read says the same after it was written.

use std::fs;

use git_deploy_core::note::{MAX_BYTES, Note};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const KEYS: [&str; 25] = [
    "state",
    "ref",
    "since",
    "by",
    "message",
    "rev",
    "root",
    "approved",
    "was",
    "rebased-from",
    "rebased-to",
    "onto",
    "dropped",
    "conflict",
    "reason",
    "deployment",
    "result",
    "image",
    "priority",
    "after",
    "hold",
    "replaces",
    "beside",
    "beside",
    "some-other-key",
];
const VALUES: [&str; 17] = [
    "deployable",
    "broken",
    "refs/heads/login",
    "2026-11-20T12:00:00Z",
    "0123456789abcdef0123456789abcdef01234567",
    "deployment-0007",
    "deployment-staging-0012",
    "failure",
    "-3",
    "7",
    "Ada Lovelace <ada@example.org>",
    "a // b",
    "",
    "\"t\\303\\244\"",
    "0123456789ab",
    "\"state: staged\\nref: refs/heads/login\\n\"",
    "\"state: staged\\nbeside: \\\"state: staged\\\\n\\\"\\n\"",
];

/// Lines as a person or a program could have written them, and others.
fn any_line() -> impl Strategy<Value = String> {
    let value =
        prop_oneof![4 => select(&VALUES[..]).prop_map(str::to_owned), 1 => "\\PC{0,20}", 1 => ".{0,8}"];
    let space = select(&["", " ", "\t", "  ", "\u{a0}"][..]);
    let end = select(&["\n", "\r\n", "", "\r", "\n\n", "\0\n", " \n"][..]);
    let line = (select(&KEYS[..]), space.clone(), value, end.clone());
    prop_oneof![
        9 => line.prop_map(|(key, space, value, end)| format!("{key}:{space}{value}{end}")),
        1 => (".{0,30}", end).prop_map(|(text, end)| text + end),
    ]
}

fn says_the_same(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(note) = Note::parse(bytes) else { return Ok(false) };
    prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_can_be_read_says_the_same_after_it_was_written(lines in vec(any_line(), 0..8), state in 0..4) {
        let first = if state > 0 { "state: staged\n" } else { "" };
        says_the_same((first.to_owned() + &lines.concat()).as_bytes())?;
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..200)) {
        says_the_same(&bytes)?;
        says_the_same(&[b"state: staged\n", &bytes[..]].concat())?;
    }
}

#[test]
fn what_was_found_by_trying_millions_of_bytes_is_read_as_it_should_be() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/note");
    let mut read = 0;
    for entry in fs::read_dir(corpus).expect("there is a corpus") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        assert!(bytes.len() <= MAX_BYTES);
        read += usize::from(says_the_same(&bytes).expect("the same"));
    }
    assert!(read > 3, "only {read} of the corpus can be read");
}

#[test]
fn the_branches_that_come_before_are_parted_by_spaces_alone() {
    let note = Note::parse("state: deployable\nafter: api a\u{3000}b  db\n".as_bytes()).expect("a note");
    assert_eq!(note.awaited().collect::<Vec<_>>(), ["api", "a\u{3000}b", "db"]);
}
