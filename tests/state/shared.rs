//! Several branches on one commit, of which there is one note.

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, set, shop, state_is};

/// Two branches on one commit, `l` and `new`, with a note that somebody has written by hand.
fn unnamed(text: &str) -> Repo {
    let repo = shop(&sandbox!());
    branch(&repo, "l", "l.txt", "l\n");
    repo.git(&["notes", "--ref=deploy", "add", "--message", text, "l"]);
    repo.git(&["branch", "new", "l"]);
    repo
}

/// Two branches on one commit, both deployable for one reason.
fn both() -> Repo {
    let repo = shop(&sandbox!());
    branch(&repo, "x", "x.txt", "x\n");
    repo.git(&["branch", "y", "x"]);
    set(&repo, &["deployable", "--message=both", "x", "y"]).success();
    repo
}

fn queue(repo: &Repo) -> String {
    repo.deploy("deploy-queue", &["--porcelain"]).stdout
}

#[test]
fn who_decides_about_one_of_several_branches_decides_for_none_that_nobody_named() {
    let repo = unnamed("state: deployable");
    for (to, queued) in [("staged", false), ("deployable", true)] {
        set(&repo, &[to, "new"]).success();
        state_is(&repo, "new", to);
        state_is(&repo, "l", "development");
        let queue = queue(&repo);
        assert_eq!(queue.contains("refs/heads/new"), queued, "{queue}");
        assert!(!queue.contains("refs/heads/l "), "{queue}");
    }
    let note = &repo.notes()[&repo.id("new")];
    assert!(note.contains("\nref: refs/heads/new\nsince: ") && !note.contains("refs/heads/l\n"), "{note}");
}

#[test]
fn a_withdrawal_holds_though_the_note_counts_only_when_the_others_are_gone() {
    let repo = unnamed("state: deployable");
    set(&repo, &["development", "l"]).success().stderr_contains("Set l: still development");
    repo.git(&["branch", "--quiet", "--delete", "--force", "new"]);
    state_is(&repo, "l", "development");
    assert_eq!(queue(&repo), "");
    // Now it is written, and nothing is left to be.
    set(&repo, &["development", "l"]).success().stderr_contains("'l' is development already");
}

#[test]
fn what_was_wished_in_a_note_that_counts_for_nobody_is_no_wish_for_the_one_that_is_named() {
    let repo = unnamed("state: deployable\npriority: 7\nhold: holiday");
    set(&repo, &["deployable", "new"]).success();
    let note = &repo.notes()[&repo.id("new")];
    assert!(!note.contains("priority") && !note.contains("hold"), "{note}");
}

#[test]
fn a_branch_that_has_gone_on_hinders_nobody_whom_it_left_behind() {
    let repo = both();
    repo.switch("y");
    repo.commit_empty("Go on");
    set(&repo, &["deployable", "--priority=3", "x"]).success();
    set(&repo, &["staged", "--message=not yet", "x"]).success();
    state_is(&repo, "x", "staged");
    state_is(&repo, "y", "development");
    // Who comes back has to be named.
    repo.git(&["reset", "--quiet", "--hard", "x"]);
    state_is(&repo, "y", "development");
}

#[test]
fn who_leaves_is_told_with_the_reason_for_that_and_not_for_the_approval() {
    let repo = both();
    set(&repo, &["development", "--message=y is bad", "y"]).success();
    state_is(&repo, "x", "deployable");
    let log = repo.deploy("deploy-state", &["log", "--json", "y"]);
    assert!(
        log.lines()[0].contains("\"to\":\"development\"")
            && log.lines()[0].contains("\"message\":\"y is bad\"")
    );
    let log = repo.deploy("deploy-state", &["log", "y"]);
    assert!(log.lines()[0].ends_with("  y is bad") && log.lines()[1].ends_with("  both"), "{log}");
    assert!(repo.notes()[&repo.id("x")].contains("\nmessage: both\n"));
}

#[test]
fn who_leaves_without_a_word_is_told_without_one() {
    let repo = both();
    set(&repo, &["development", "y"]).success();
    let log = repo.deploy("deploy-state", &["log", "--json", "y"]);
    assert!(!log.lines()[0].contains("message"), "{log}");
    assert!(log.lines()[1].contains("\"message\":\"both\""), "{log}");
}

#[test]
fn nobody_changes_what_is_said_and_wished_for_another_branch_by_joining_it() {
    let repo = both();
    set(&repo, &["development", "y"]).success();
    let notes = repo.notes();
    let refused = "its commit is also the tip of 'x', and one note speaks for both";
    for other in ["--message=y is good", "--priority=7", "--after=x", "--message="] {
        set(&repo, &["deployable", other, "y"]).code_is(1).stderr_contains(refused).stderr_contains(
            "hint: make a commit first, name 'x' as well, or leave the words and wishes out\n",
        );
        assert_eq!(repo.notes(), notes);
    }
    set(&repo, &["deployable", "--message=both", "y"]).success();
    state_is(&repo, "y", "deployable");
    // Without a word the ones that were said stay.
    set(&repo, &["development", "y"]).success();
    set(&repo, &["deployable", "y"]).success();
    assert!(repo.notes()[&repo.id("x")].contains("\nmessage: both\n"));
    // Nor by saying more about one of them, unless all are named.
    set(&repo, &["deployable", "--priority=7", "y"]).code_is(1).stderr_contains(refused);
    set(&repo, &["deployable", "--priority=7", "y", "x"]).success();
    assert!(repo.notes()[&repo.id("x")].contains("\npriority: 7\n"));
}
