//! Our rebase is git's: what `cargo xtask differential` does as often as one likes, a few hundred times.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::process::Command;

use git_deploy_testkit::rebase::{CONFIGURATIONS, Generator, Place};

/// What it prints where nothing differs.
fn compared(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("differential").args(args).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// How many of something there are in what it prints: a number and what it is of, a line.
fn count(printed: &str, what: &str) -> usize {
    let lines = printed.lines().filter_map(|line| line.trim_start().split_once(' '));
    let mut found = lines.filter(|(_, of)| of.starts_with(what)).map(|(number, _)| number.parse().unwrap());
    found.next_back().unwrap()
}

#[test]
fn random_branches_end_as_git_rebase_ends_them() {
    let printed = compared(&["--branches=200"]);
    assert_eq!((count(&printed, "branches"), count(&printed, "differences")), (200, 0), "{printed}");
    // A comparison of nothing but conflicts would show little.
    for (what, least) in [("are clean", 40), ("conflict in", 40), ("have merge", 1)] {
        assert!(count(&printed, what) >= least, "{what}: {printed}");
    }
}

#[test]
fn branches_of_a_repository_end_as_git_rebase_ends_them_and_it_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    place.import(&Generator::new(7).history(0), CONFIGURATIONS[0]);
    let state =
        || place.git(&["for-each-ref"]) + &place.git(&["count-objects", "-v"]) + &place.git(&["status"]);
    let before = state();
    let path = place.repository();
    let printed = compared(&[&format!("--repository={}", path.display()), "--branches=20"]);
    // Some go there and come back.
    assert!(count(&printed, "branches") > 20, "{printed}");
    assert_eq!(count(&printed, "differences"), 0, "{printed}");
    assert_eq!(state(), before);
}
