//! What differs from run to run, taken out of a text.

use std::collections::BTreeMap;

use crate::Sandbox;

const SHA1_DIGITS: usize = 40;
const SHA256_DIGITS: usize = 64;
const SHORTEST_ID: usize = 7;

/// Replaces what differs from run to run, so that the rest can be compared with a snapshot: the sandbox's
/// directory becomes `[ROOT]`, ids that were named become their name, other full ids `[ID-1]`, `[ID-2]` and so
/// on in the order in which they appear, and abbreviations become the same as their full ids.
///
/// One that is used for several texts gives the same id the same name in all of them.
#[derive(Debug)]
pub struct Normaliser {
    root: String,
    names: BTreeMap<String, String>,
    numbered: usize,
}

impl Normaliser {
    /// For texts from that sandbox.
    #[must_use]
    pub fn new(sandbox: &Sandbox) -> Self {
        let root = sandbox.root().to_string_lossy().into_owned();
        Self { root, names: BTreeMap::new(), numbered: 0 }
    }

    /// Names an id: `name("login", id)` turns it into `[login]`.
    #[must_use]
    pub fn name(mut self, name: &str, id: &str) -> Self {
        self.names.insert(id.to_owned(), format!("[{name}]"));
        self
    }

    /// The text without what differs.
    #[must_use]
    pub fn apply(&mut self, text: &str) -> String {
        let text = text.replace(&self.root, "[ROOT]");
        // Full ids first: an abbreviation may stand before the id that explains it.
        for word in text.split(is_separator).filter(|word| is_full_id(word)) {
            self.learn(word);
        }
        let mut result = String::with_capacity(text.len());
        for piece in text.split_inclusive(is_separator) {
            let word = piece.trim_end_matches(is_separator);
            result.push_str(self.replacement(word).unwrap_or(word));
            result.push_str(&piece[word.len()..]);
        }
        result
    }

    fn learn(&mut self, id: &str) {
        if !self.names.contains_key(id) {
            self.numbered += 1;
            self.names.insert(id.to_owned(), format!("[ID-{}]", self.numbered));
        }
    }

    fn replacement(&self, word: &str) -> Option<&str> {
        if word.len() < SHORTEST_ID || !word.bytes().all(is_id_digit) {
            return None;
        }
        let mut matching = self.names.range(word.to_owned()..).take_while(|(id, _)| id.starts_with(word));
        matching.next().map(|(_, name)| name.as_str())
    }
}

fn is_separator(character: char) -> bool {
    !character.is_ascii_alphanumeric()
}

fn is_full_id(word: &str) -> bool {
    // What consists of zeros stands for no object, and the reader shall see that.
    matches!(word.len(), SHA1_DIGITS | SHA256_DIGITS)
        && word.bytes().all(is_id_digit)
        && word.bytes().any(|digit| digit != b'0')
}

fn is_id_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}
