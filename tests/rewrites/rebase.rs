//! `git rebase` that changes nothing but where a branch stands, or tries to.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::scene::state_is;

use crate::{is_carried, is_left, lines, login, master_moves, rebase, resolved, shop, values};

#[test]
fn a_clean_rebase_on_a_base_that_moved_keeps_the_state() {
    let repo = shop(&sandbox!());
    for options in [&["master"][..], &["--apply", "master"], &["--force-rebase", "master"]] {
        repo.switch("master");
        let old = login(&repo);
        if options[0] != "--force-rebase" {
            master_moves(&repo, &options.concat(), "x\n");
        }
        let output = rebase(&repo, "", options);
        is_carried(&repo, &old, output.success());
        let log = repo.git(&["log", "-1", "--format=%s", "refs/notes/deploy"]);
        log.stdout_is("carry login over 'git rebase'\n");
        repo.switch("master");
        repo.git(&["branch", "--quiet", "-D", "login"]);
    }
}

#[test]
fn a_rebase_is_carried_as_git_deploy_rebase_would() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a9", "nine"));
    rebase(&repo, "", &["master"]).success();
    let by_git = repo.id("login");
    let carried = repo.notes()[&by_git].clone();
    repo.git(&["reset", "--quiet", "--hard", &old]);
    repo.deploy("deploy-rebase", &[]);
    let by_us = repo.id("login");
    // But for which commit that is: git has given it another date.
    assert_eq!(repo.notes()[&by_us], carried.replace(&by_git, &by_us));
    assert_eq!(repo.id("login^{tree}"), repo.id(&format!("{by_git}^{{tree}}")));
}

#[test]
fn a_conflict_that_was_resolved_by_hand_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a2", "zwei"));
    rebase(&repo, "", &["master"]).code_is(1);
    repo.write("a.txt", lines("a").replace("a2", "two, zwei"));
    repo.git(&["add", "a.txt"]);
    let output = repo.git(&["rebase", "--continue"]);
    let first = repo.id(&format!("{old}^"));
    is_left(&repo, &old, &output, &resolved(&first, "a.txt"));
}

#[test]
fn a_conflict_of_the_other_kind_of_rebase_leaves_the_state_too() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a2", "zwei"));
    rebase(&repo, "", &["--apply", "master"]).code_is(1);
    repo.write("a.txt", lines("a").replace("a2", "two, zwei"));
    repo.git(&["add", "a.txt"]);
    let output = repo.git(&["rebase", "--continue"]);
    let first = repo.id(&format!("{old}^"));
    is_left(&repo, &old, &output, &resolved(&first, "a.txt"));
}

#[test]
fn a_rebase_that_dropped_a_commit_that_base_has_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.switch("master");
    repo.git(&["cherry-pick", "login^"]);
    repo.commit("c.txt", "c\n", "Meanwhile");
    repo.switch("login");
    let output = rebase(&repo, "", &["master"]);
    is_left(&repo, &old, &output, "it has fewer commits than before");
    // git-deploy itself would drop it too, and knows that the rest is what was approved.
    repo.git(&["reset", "--quiet", "--hard", &old]);
    repo.deploy("deploy-rebase", &[]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_commit_that_base_has_but_for_whitespace_is_none_that_base_has() {
    let repo = shop(&sandbox!());
    let code = "if ready:\n    log()\n";
    repo.commit("code.py", code, "Log");
    repo.git(&["checkout", "--quiet", "-b", "login", "master"]);
    repo.commit("code.py", &format!("{code}    land()\n"), "Land if it is ready");
    repo.commit("a.txt", &lines("a").replace("a2", "two"), "Something else");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let old = repo.id("login");
    master_moves(&repo, "code.py", &format!("{code}land()\n"));
    let output = rebase(&repo, "", &["master"]);
    // To git the two are one patch, and it has dropped what was approved.
    assert_eq!(repo.read("code.py"), format!("{code}land()\n"));
    repo.git(&["log", "--format=%s", "master..login"]).stdout_is("Something else\n");
    let approved = repo.id(&format!("{old}^"));
    let why = resolved(&approved, "code.py");
    is_left(&repo, &old, &output, &why);
}

#[test]
fn a_branch_all_of_which_base_has_does_not_write_its_note_on_base() {
    let repo = shop(&sandbox!());
    repo.git(&["checkout", "--quiet", "-b", "login", "master"]);
    let old = repo.commit("c.txt", "c\n", "Only");
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.switch("master");
    repo.commit("d.txt", "d\n", "Meanwhile");
    repo.git(&["cherry-pick", "login"]);
    repo.switch("login");
    rebase(&repo, "", &["--no-reapply-cherry-picks", "master"]).success();
    assert_eq!(repo.id("login"), repo.id("master"));
    assert!(repo.notes().keys().eq([&old]));
}

#[test]
fn stacked_branches_that_move_together_keep_their_states() {
    let repo = shop(&sandbox!());
    login(&repo);
    let old = repo.id("login");
    repo.branch("cart");
    let cart = repo.commit("c.txt", "c\n", "Third");
    repo.deploy("deploy-state", &["set", "staged"]);
    master_moves(&repo, "d.txt", "d\n");
    repo.switch("cart");
    let output = rebase(&repo, "", &["--update-refs", "master"]);
    is_carried(&repo, &old, output.success());
    state_is(&repo, "cart", "staged");
    assert_eq!(values(&repo, &repo.id("cart"), "root"), [cart]);
    repo.git(&["log", "-1", "--format=%s", "refs/notes/deploy"])
        .stdout_is("carry 2 branches over 'git rebase'\n");
}

#[test]
fn of_stacked_branches_only_those_lose_their_state_whose_commits_were_changed() {
    let repo = shop(&sandbox!());
    login(&repo);
    let old = repo.id("login");
    repo.branch("cart");
    repo.commit("c.txt", "c\n", "Third");
    repo.deploy("deploy-state", &["set", "staged"]);
    master_moves(&repo, "d.txt", "d\n");
    repo.switch("cart");
    // The last pick is that of 'cart', behind the line that moves 'login'.
    let output =
        rebase(&repo, "$s/^pick/drop/;/Third/s/^pick/drop/", &["--interactive", "--update-refs", "master"]);
    output
        .success()
        .stderr_contains("'cart' is in development now: it was staged, and it has fewer commits than before");
    assert!(!output.stderr.contains("'login' is"), "{output}");
    state_is(&repo, "login", "deployable");
    assert_eq!(values(&repo, &repo.id("login"), "root"), [old]);
}

#[test]
fn a_branch_below_that_stays_where_it_is_keeps_its_state_there() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.branch("cart");
    repo.commit("c.txt", "c\n", "Third");
    master_moves(&repo, "d.txt", "d\n");
    repo.switch("cart");
    rebase(&repo, "", &["master"]).success().is_silent();
    assert_eq!(repo.id("login"), old);
    assert!(repo.notes().keys().eq([&old]));
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_rebase_onto_another_branch_takes_up_what_nobody_has_approved() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["checkout", "--quiet", "-b", "other", "master"]);
    repo.commit("c.txt", "c\n", "Not approved");
    repo.switch("login");
    let output = rebase(&repo, "", &["--onto", "other", "master"]);
    is_left(&repo, &old, &output, "it has more commits beyond base than before");
}

#[test]
fn a_rebase_onto_that_leaves_the_first_commit_behind_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    let output = rebase(&repo, "", &["--onto", "master", "login~1"]);
    is_left(&repo, &old, &output, "it has fewer commits than before");
}

#[test]
fn a_rebase_onto_an_earlier_commit_of_base_keeps_the_state() {
    let repo = shop(&sandbox!());
    repo.commit("d.txt", "d\n", "Go on");
    let old = login(&repo);
    let output = rebase(&repo, "", &["--onto", "master~1", "master"]);
    is_carried(&repo, &old, output.success());
}

#[test]
fn a_branch_with_a_merge_leaves_its_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["checkout", "--quiet", "-b", "side", "master"]);
    repo.commit("c.txt", "c\n", "Aside");
    repo.switch("login");
    repo.git(&["merge", "--quiet", "--no-edit", "side"]);
    let merge = repo.id("login");
    repo.git(&[
        "notes",
        "--ref=deploy",
        "add",
        "--message",
        "state: deployable\nref: refs/heads/login\nrev: 1",
        "login",
    ]);
    master_moves(&repo, "d.txt", "d\n");
    assert_ne!(old, merge);
    let output = rebase(&repo, "", &["--rebase-merges", "master"]);
    is_left(&repo, &merge, &output, &format!("it contains merge commit '{}'", &merge[..10]));
}

#[test]
fn a_rebase_that_forgives_whitespace_leaves_the_state_where_that_mattered() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a2", "  a2"));
    let output = rebase(&repo, "", &["-X", "ignore-all-space", "master"]);
    let first = repo.id(&format!("{old}^"));
    is_left(&repo, &old, &output, &resolved(&first, "a.txt"));
}

#[test]
fn a_rebase_that_mends_whitespace_leaves_the_state() {
    let repo = shop(&sandbox!());
    repo.git(&["checkout", "--quiet", "-b", "login", "master"]);
    let old = repo.commit("c.txt", "c \nc\n", "Only");
    repo.deploy("deploy-state", &["set", "deployable"]);
    master_moves(&repo, "d.txt", "d\n");
    let output = rebase(&repo, "", &["--whitespace=fix", "master"]);
    assert_eq!(repo.read("c.txt"), "c\nc\n");
    is_left(&repo, &old, &output, &format!("commit '{}' has another content", &repo.id("login")[..10]));
}

#[test]
fn other_dates_keep_the_state_and_a_sign_off_leaves_it() {
    for (option, is_kept) in
        [("--ignore-date", true), ("--committer-date-is-author-date", true), ("--signoff", false)]
    {
        let repo = shop(&sandbox!());
        let old = login(&repo);
        master_moves(&repo, "d.txt", "d\n");
        let output = rebase(&repo, "", &[option, "master"]);
        match is_kept {
            true => is_carried(&repo, &old, output.success()),
            false => is_left(&repo, &old, &output, "commit '"),
        }
    }
}

#[test]
fn a_rebase_beside_all_branches_says_nothing() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.git(&["checkout", "--quiet", "--detach"]);
    rebase(&repo, "", &["master"]).success().is_silent();
    assert_eq!(repo.id("login"), old);
    assert!(repo.notes().keys().eq([&old]));
}

#[test]
fn a_branch_that_was_broken_is_what_it_was_before_once_it_rebases() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a2", "zwei"));
    repo.try_deploy("deploy-rebase", &[]).code_is(1);
    state_is(&repo, "login", "broken");
    // Still not on base.
    let output = repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    state_is(&repo, "login", "development");
    output
        .stderr_contains(
            "note: 'login' is in development now: it was broken, and does not stand on 'master'\n",
        )
        // To set it now would be refused.
        .stderr_contains("hint: mend it with: git rebase --reapply-cherry-picks master login\n");
    assert!(!output.stderr.contains("deploy-state set"), "{output}");
    repo.git(&["reset", "--quiet", "--hard", &old]);
    // Base takes back what was in the way.
    repo.switch("master");
    repo.git(&["revert", "--no-edit", "HEAD"]);
    repo.switch("login");
    let output = rebase(&repo, "", &["master"]);
    is_carried(&repo, &old, output.success());
}

#[test]
fn a_withdrawal_is_carried_too() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.deploy("deploy-state", &["set", "development"]);
    master_moves(&repo, "d.txt", "d\n");
    rebase(&repo, "", &["master"]).success().is_silent();
    let new = repo.id("login");
    assert_eq!(values(&repo, &new, "state"), ["development"]);
    assert_eq!((values(&repo, &new, "root"), values(&repo, &new, "rev")), (vec![old], vec!["2".to_owned()]));
    // And what is none cannot get lost.
    repo.write("d.txt", "e\n");
    repo.git(&["commit", "--quiet", "--amend", "--all", "--no-edit"]).is_silent();
}

#[test]
fn a_rebase_that_is_given_up_changes_nothing() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "a.txt", &lines("a").replace("a2", "zwei"));
    rebase(&repo, "", &["master"]).code_is(1);
    repo.git(&["rebase", "--abort"]);
    assert_eq!(repo.id("login"), old);
    assert!(repo.notes().keys().eq([&old]));
    state_is(&repo, "login", "deployable");
}
