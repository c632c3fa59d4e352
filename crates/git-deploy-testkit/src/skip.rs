//! What a machine does not allow is skipped, aloud.

use std::any::type_name_of_val;
use std::io::{self, Write};

/// Says that a scenario cannot be run here, on a line `skipped: <name>: <reason>` that `tests/run` collects:
/// the test counts as skipped then, and as a failure where nothing may be skipped. Return after it, or use
/// [`skip!`](crate::skip!).
pub fn skip(name: &str, reason: &str) {
    say(&format!("skipped: {name}: {reason}"));
}

/// Says that a scenario is not wanted in this run: it counts neither as passed nor as skipped. Return after it, or use
/// [`left_out!`](crate::left_out!).
pub fn left_out(name: &str) {
    say(&format!("left out: {name}"));
}

fn say(fact: &str) {
    // The macros that print are caught by the test harness, which drops what a test that passes has printed.
    // The newline in front: the harness may have left its own line open.
    let line = format!("\n{fact}\n");
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
        .unwrap_or_else(|error| panic!("cannot say '{fact}': {error}"));
}

/// Skips the test that it stands in, with the reason, and returns from it.
///
/// ```no_run
/// # use git_deploy_testkit::{Sandbox, skip};
/// fn a_repository_with_long_ids_works() {
///     let Some(repo) = Sandbox::new().sha256_repository("shop") else { skip!("this git has no sha256") };
///     repo.fsck();
/// }
/// ```
#[macro_export]
macro_rules! skip {
    ($reason:expr) => {{
        fn here() {}
        $crate::skip($crate::macros::enclosing_function(&here), $reason);
        return;
    }};
}

/// Leaves out of this run the test that it stands in, with the reason, and returns from it: for what the format of the
/// run's repositories ([`Format`](crate::Format)) makes impossible, and another run of the same scenarios shows.
#[macro_export]
macro_rules! left_out {
    ($reason:expr) => {{
        fn here() {}
        $crate::left_out(&format!("{}: {}", $crate::macros::enclosing_function(&here), $reason));
        return;
    }};
}

/// The name of the function in which `here` was defined.
#[must_use]
pub fn enclosing_function<F>(here: &F) -> &'static str {
    let name = type_name_of_val(here);
    // What an async function does is in a closure of it.
    name.strip_suffix("::here").unwrap_or(name).trim_end_matches("::{{closure}}")
}
