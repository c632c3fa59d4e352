//! A note that can be read says the same after it was written, and is merged with itself into itself.
#![no_main]

use std::collections::BTreeMap;

use git_deploy_core::note::Note;
use git_deploy_core::sync::merge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = Note::parse(bytes) else { return };
    let text = note.to_string();
    let again = Note::parse(text.as_bytes()).expect("what is written can be read");
    assert_eq!(again, note, "{text:?}");
    let commit = "0123456789abcdef0123456789abcdef01234567".parse().expect("an id");
    let once = merge(&BTreeMap::from([(commit, bytes.to_vec())]), &BTreeMap::new());
    assert_eq!(merge(&once, &once), once);
});
