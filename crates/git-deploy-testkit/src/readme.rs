//! What the project's README tells readers to paste.

use std::fs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

/// The whole README.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn text() -> String {
    fs::read_to_string(README).unwrap_or_else(|error| panic!("cannot read '{README}': {error}"))
}

/// The lines of its fenced block that begins with `sh` and that name.
///
/// # Panics
/// If there is none.
#[must_use]
#[track_caller]
pub fn block(name: &str) -> String {
    let readme = text();
    let lines = readme.lines().skip_while(|line| *line != format!("```sh {name}")).skip(1);
    let block: Vec<&str> = lines.take_while(|line| *line != "```").collect();
    assert!(!block.is_empty(), "there is no block '{name}'");
    block.join("\n") + "\n"
}
