//! Moving branches from state to state.

use git_deploy_testkit::scene::lines;
use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, conflicting, set, shop, state_is};

#[test]
fn a_decision_stands_in_a_note_that_git_log_shows() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "-m", "reviewed", "login"])
        .success()
        .stdout_is("")
        .stderr_is("         Set login: development -> deployable\n");
    let note = repo.git(&["log", "-1", "--notes=deploy", "--format=%N", "login"]);
    note.stdout_contains("state: deployable\nref: refs/heads/login\nsince: 2026-11-20T")
        .stdout_contains("\nby: Ada Lovelace <ada@example.org>\nmessage: reviewed\nrev: 1\n")
        .stdout_contains(&format!("approved: {commit}\n"));
    repo.git(&["log", "-1", "--format=%s", "refs/notes/deploy"]).stdout_is("set login to deployable\n");
    repo.fsck();
    repo.has_no_lock_files();
}

#[test]
fn a_new_commit_is_in_development_and_the_old_one_counts_again_when_the_branch_is_set_back() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.switch("login");
    repo.commit("c.txt", "c\n", "One more thing");
    state_is(&repo, "login", "development");
    repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_branch_that_is_judged_before_it_is_set_leaves_no_commit_behind_that_nothing_leads_to() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.commit("c.txt", "c\n", "Go on");
    set(&repo, &["staged", "login"]).success();
    state_is(&repo, "login", "staged");
    repo.git(&["fsck", "--unreachable", "--no-reflogs"]).stdout_is("");
}

#[test]
fn several_branches_are_set_or_none() {
    let repo = shop(&sandbox!());
    branch(&repo, "good", "b.txt", "b\n");
    conflicting(&repo, "bad");
    set(&repo, &["deployable", "good", "bad"]).code_is(1).stderr_contains("cannot set 'bad' to deployable");
    set(&repo, &["deployable", "good", "nowhere"])
        .code_is(128)
        .stderr_contains("there is no branch 'nowhere'");
    state_is(&repo, "good", "development");
    branch(&repo, "better", "c.txt", "c\n");
    set(&repo, &["deployable", "good", "better", "good"]).success().stderr_is(
        "         Set good: development -> deployable\n         Set better: development -> deployable\n",
    );
    let history = repo.git(&["rev-list", "--count", "refs/notes/deploy"]);
    history.stdout_is("1\n");
}

#[test]
fn a_branch_that_conflicts_is_refused_with_the_paths_and_what_to_do() {
    let repo = shop(&sandbox!());
    conflicting(&repo, "login");
    for state in ["staged", "deployable"] {
        set(&repo, &[state, "login"])
            .code_is(1)
            .stdout_is("")
            .stderr_contains(&format!(
                "error: cannot set 'login' to {state}: it cannot be rebased cleanly on 'master'"
            ))
            .stderr_contains("error: conflict in 'a.txt'\n")
            .stderr_contains(
                "hint: mend it, then set it again: git rebase --reapply-cherry-picks master login\n",
            );
    }
    set(&repo, &["deployable", "--priority=5", "login"])
        .stderr_contains("hint: then: git deploy-state set deployable --priority=5 login\n");
    state_is(&repo, "login", "development");
    assert_eq!(repo.notes().len(), 0);
    assert_eq!(repo.git(&["status", "--porcelain"]).stdout, "");

    // All that would be refused are told at once.
    repo.git(&["branch", "empty", "master"]);
    repo.git(&["branch", "profile", "login"]);
    set(&repo, &["deployable", "login", "empty", "profile"])
        .code_is(1)
        .stderr_contains("error: cannot set 'login' to deployable: it cannot be rebased")
        .stderr_contains("error: cannot set 'empty' to deployable: it has no commits")
        .stderr_contains("error: cannot set 'profile' to deployable: it cannot be rebased")
        .stderr_contains(
            "hint: mend it, then set it again: git rebase --reapply-cherry-picks master profile\n",
        )
        // What has no commits is refused whoever mends the others.
        .lacks("hint: then: ");
    assert_eq!(repo.notes().len(), 0);
}

#[test]
fn what_was_wished_for_a_branch_is_in_the_command_that_sets_it_again_when_it_is_mended() {
    let repo = shop(&sandbox!());
    branch(&repo, "first", "c.txt", "c\n");
    branch(&repo, "login", "a.txt", &lines("a").replace("a2", "two"));
    set(&repo, &["deployable", "--priority=5", "--after=first", "--hold=a sale", "login"]).success();
    repo.switch("master");
    repo.commit("a.txt", &lines("a").replace("a2", "zwei"), "Meanwhile");
    repo.try_deploy("deploy-rebase", &["login"]).code_is(1);
    set(&repo, &["deployable", "login"]).code_is(1).stderr_contains(
        "hint: then, on hold as before: git deploy-state set deployable --priority=5 --after=first --hold='a sale' login\n",
    );
    // What is asked for now comes first.
    set(&repo, &["staged", "--priority=7", "--hold=", "login"]).code_is(1).stderr_contains(
        "hint: then: git deploy-state set staged --priority=7 --after=first --hold= login\n",
    );
    // Another one that is set together with it has wishes of its own.
    branch(&repo, "other", "d.txt", "d\n");
    set(&repo, &["deployable", "login", "other"])
        .code_is(1)
        .stderr_contains("hint: then, on hold as before: git deploy-state set deployable --priority=5 ")
        .stderr_contains("hint: then: git deploy-state set deployable other\n");
}

#[test]
fn a_branch_without_commits_beyond_base_cannot_be_queued() {
    let repo = shop(&sandbox!());
    repo.git(&["branch", "empty"]);
    set(&repo, &["deployable", "empty"])
        .code_is(1)
        .stderr_contains("cannot set 'empty' to deployable: it has no commits beyond base 'master'");
    branch(&repo, "merged", "b.txt", "b\n");
    repo.git(&["merge", "--quiet", "--ff-only", "merged"]);
    set(&repo, &["staged", "merged"]).code_is(1).stderr_contains("no commits beyond base");
}

#[test]
fn base_has_no_state() {
    let repo = shop(&sandbox!());
    set(&repo, &["deployable", "master"])
        .code_is(1)
        .stderr_contains("cannot set the state of 'master': it is the base that branches land on");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: deployable", "master"]);
    state_is(&repo, "master", "development");
    repo.deploy("deploy-state", &["list", "--porcelain"]).stdout_is("");
}

#[test]
fn states_that_only_programs_find_out_are_not_set() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployed", "login"])
        .code_is(1)
        .stderr_contains(
            "cannot set 'login' to deployed: only a deployment that succeeds makes a branch deployed",
        )
        .stderr_contains("hint: queue it for deployment: git deploy-state set deployable login");
    set(&repo, &["broken", "login"]).code_is(1).stderr_contains("only a rebase that conflicts");
    set(&repo, &["deployabel", "login"]).code_is(129).stderr_contains("deployable");
}

#[test]
fn setting_what_is_set_already_changes_nothing_and_is_said() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    let before = repo.id("refs/notes/deploy");
    set(&repo, &["deployable", "login"]).success().stderr_is("note: 'login' is deployable already\n");
    assert_eq!(repo.id("refs/notes/deploy"), before);
    set(&repo, &["-q", "deployable", "login"]).success().is_silent();
}

#[test]
fn a_priority_that_is_given_later_keeps_the_place_in_time_and_the_reason() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "-m", "reviewed", "login"]).success();
    let since = |repo: &Repo| {
        let note = repo.notes()[&commit].clone();
        note.lines().find(|line| line.starts_with("since: ")).unwrap().to_owned()
    };
    let before = since(&repo);
    set(&repo, &["deployable", "--priority=-3", "login"]).success();
    assert_eq!(since(&repo), before);
    let note = &repo.notes()[&commit];
    assert!(
        note.contains("priority: -3\n") && note.contains("message: reviewed\n") && note.contains("rev: 2\n"),
        "{note}"
    );
}

#[test]
fn a_branch_leaves_the_queue_and_comes_back() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    for (state, from) in [
        ("staged", "development"),
        ("deployable", "staged"),
        ("development", "deployable"),
        ("staged", "development"),
    ] {
        set(&repo, &[state, "login"]).success().stderr_contains(&format!("Set login: {from} -> {state}"));
        state_is(&repo, "login", state);
    }
}

#[test]
fn two_branches_on_one_commit_have_states_of_their_own() {
    let repo = shop(&sandbox!());
    branch(&repo, "one", "b.txt", "b\n");
    repo.git(&["branch", "two", "one"]);
    set(&repo, &["deployable", "one"]).success();
    state_is(&repo, "two", "development");
    set(&repo, &["staged", "two"])
        .code_is(1)
        .stderr_contains(
            "cannot set 'two' to staged: its commit is also the tip of 'one', which is deployable",
        )
        .stderr_contains("hint: make a commit first");
    set(&repo, &["deployable", "two"]).success();
    set(&repo, &["development", "one"]).success();
    state_is(&repo, "one", "development");
    state_is(&repo, "two", "deployable");
    set(&repo, &["development", "two"]).success();
    set(&repo, &["staged", "one", "two"]).success();
    state_is(&repo, "two", "staged");
}

#[test]
fn a_message_that_says_nothing_takes_away_the_one_before() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["--message", "reviewed", "staged", "login"]).success();
    let since = repo.deploy("deploy-state", &["get", "--json", "login"]).stdout;
    set(&repo, &["--message", "", "staged", "login"])
        .success()
        .stderr_contains("login: still staged, without a message\n");
    assert!(!repo.notes()[&commit].contains("message:"));
    let now = repo.deploy("deploy-state", &["get", "--json", "login"]).stdout;
    assert_eq!(now, since.replace(",\"message\":\"reviewed\"", ""), "nothing else is other");
    set(&repo, &["--message", " ", "deployable", "login"])
        .success()
        .stderr_contains("staged -> deployable\n");
    let log = repo.deploy("deploy-state", &["log", "--json", "login"]);
    let newest = log.lines()[0];
    assert!(newest.contains("\"to\":\"deployable\"") && !newest.contains("\"message\":"), "{log}");
}

#[test]
fn that_a_branch_is_on_hold_still_is_told_where_it_could_be_deployed() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "--hold=sale", "login"]).success();
    set(&repo, &["staged", "login"]).success().stderr_contains("-> staged, on hold: sale\n");
    set(&repo, &["deployable", "login"])
        .success()
        .stderr_contains("login: staged -> deployable, on hold: sale\n");
    set(&repo, &["development", "login"]).success().stderr_contains("deployable -> development\n");
}

#[test]
fn nothing_is_deployed_after_base_or_after_itself() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "--after=master", "login"])
        .code_is(1)
        .stderr_contains("error: cannot deploy after 'master': it is the base that branches land on");
    set(&repo, &["deployable", "--after=login", "login"])
        .code_is(1)
        .stderr_contains("it would wait for itself");
    assert!(!repo.notes().contains_key(&commit));
}
