//! Decisions of others that come with the fetch before a decision of ours: nobody here was told of them yet.

use git_deploy_testkit::shop::{DEPLOY_TOML, WEB};
use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{set, state_is};

/// A remote with a branch that is deployable, the clone of whoever has queued it, and that of somebody else.
pub(crate) fn team(sandbox: &Sandbox) -> [Repo; 3] {
    let bare = sandbox.bare("origin.git");
    let ours = sandbox.repository("ours");
    ours.add_remote("origin", &bare);
    ours.commit("a", "a\n", "Begin");
    ours.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    ours.branch("login");
    ours.commit("b", "b\n", "Log in");
    ours.git(&["push", "--quiet", "origin", "login"]);
    set(&ours, &["deployable", "login"]).success();
    let theirs = bare.clone_to("theirs");
    theirs.deploy("deploy-sync", &["--quiet"]);
    [bare, ours, theirs]
}

#[test]
fn a_withdrawal_that_nobody_here_was_told_of_is_not_overridden_before_it_was() {
    let [bare, ours, theirs] = team(&sandbox!());
    set(&theirs, &["development", "-m", "STOP: data loss", "login"]).success();
    let noted = bare.notes();
    state_is(&ours, "login", "deployable");
    set(&ours, &["deployable", "--priority=5", "login"])
        .code_is(1)
        .stderr_contains("error: cannot set 'login' to deployable: nobody here was told that it is development since 20")
        .stderr_contains(", set by Ada Lovelace <ada@example.org>: STOP: data loss\n")
        .stderr_contains(
            "hint: if it is to be deployable all the same, set it again: git deploy-state set deployable --priority=5 login\n",
        );
    assert_eq!(bare.notes(), noted);
    state_is(&ours, "login", "development");
    // Now it was told.
    set(&ours, &["deployable", "login"]).success().stderr_contains("development -> deployable");
    state_is(&theirs, "login", "development");
}

#[test]
fn what_a_clone_never_fetched_is_told_too_before_it_is_overridden() {
    let [bare, _, theirs] = team(&sandbox!());
    set(&theirs, &["development", "-m", "STOP", "login"]).success();
    let new = bare.clone_to("new");
    set(&new, &["deployable", "login"])
        .code_is(1)
        .stderr_contains("nobody here was told that it is development since ")
        .stderr_contains(">: STOP\n");
    set(&theirs, &["staged", "login"]).success();
    let newer = bare.clone_to("newer");
    set(&newer, &["deployable", "login"]).code_is(1).stderr_contains("told that it is staged since ");
    set(&newer, &["deployable", "login"]).success();
}

#[test]
fn what_others_decided_likewise_or_is_withdrawn_is_set_at_once() {
    let [bare, ours, theirs] = team(&sandbox!());
    set(&theirs, &["deployable", "-m", "Now", "login"]).success();
    set(&ours, &["deployable", "--priority=5", "login"]).success();
    set(&theirs, &["staged", "login"]).code_is(1);
    set(&theirs, &["staged", "login"]).success();
    set(&ours, &["development", "login"]).success();
    assert!(bare.notes()[&bare.id("login")].starts_with("state: development\n"));
}

/// What `set` says with which Bob takes a branch back.
const STOP: &str = "warning: 'login' was set to development by Bob: STOP\n";

/// Bob decides in his clone.
fn bob(theirs: &Repo, arguments: &[&str]) {
    let set = theirs.command("git-deploy-state").arg("set").args(arguments);
    set.as_person("Bob", "bob@example.org").output().success();
}

/// As a plain `git fetch` does where git-deploy is set up.
fn fetch(repo: &Repo) {
    repo.git(&["fetch", "--quiet", "origin", "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*"]);
}

#[test]
fn a_withdrawal_is_told_by_whichever_command_brings_it_and_never_again() {
    let commands: [(&str, &[&str]); 4] = [
        ("deploy-sync", &[]),
        ("deploy-rebase", &[]),
        ("deploy-queue", &["hold", "--reason=sale"]),
        ("deploy-state", &["set", "staged", "other"]),
    ];
    for (command, arguments) in commands {
        let [_, ours, theirs] = team(&sandbox!());
        ours.git(&["checkout", "--quiet", "-b", "other", "master"]);
        ours.commit("c", "c\n", "Something else");
        ours.git(&["push", "--quiet", "origin", "other"]);
        bob(&theirs, &["development", "-m", "STOP", "login"]);
        if command == "deploy-rebase" {
            fetch(&ours);
        }
        ours.deploy(command, arguments).stderr_contains(STOP);
        ours.deploy("deploy-sync", &[]).lacks("STOP");
        ours.deploy("deploy-rebase", &[]).lacks("STOP");
    }
}

#[test]
fn a_withdrawal_is_told_by_the_push_that_brings_it_and_no_hint_overrides_it() {
    let [_, ours, theirs] = team(&sandbox!());
    ours.deploy("deploy-init", &[]);
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    // Something to publish.
    ours.git(&["checkout", "--quiet", "-b", "other", "master"]);
    ours.commit("c", "c\n", "Something else");
    set(&ours, &["staged", "other"]).success();
    ours.switch("login");
    ours.commit("d", "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login", "other"]).stderr_contains(STOP).lacks("set deployable");
}

#[test]
fn what_a_deployment_cannot_take_as_it_was_withdrawn_meanwhile_is_not_said_to_be_approved() {
    let [_, ours, theirs] = team(&sandbox!());
    ours.switch("master");
    ours.commit_files(&[("deploy.toml", DEPLOY_TOML), ("deploy/web.yaml", WEB)], "Open the shop");
    ours.git(&["push", "--quiet", "origin", "master"]);
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    ours.try_deploy("deploy", &["--dry-run", "login"])
        .code_is(1)
        .stderr_contains(STOP)
        .stderr_contains("error: ")
        .lacks("set deployable");
    ours.try_deploy("deploy", &["--dry-run", "login"]).lacks("STOP").stderr_contains("set deployable login");
}

#[test]
fn a_withdrawal_of_what_a_branch_stood_on_is_not_overridden_before_it_was_told() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    ours.commit("d", "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login"]);
    set(&ours, &["deployable", "login"])
        .code_is(1)
        .stderr_contains(&format!(
            "nobody here was told that '{}', which it stands on, is development since ",
            &ours.id("login~")[..10]
        ))
        .stderr_contains("set by Bob <bob@example.org>: STOP\n")
        .lacks("warning: ");
    set(&ours, &["deployable", "login"]).success();
}

#[test]
fn so_is_one_of_what_nobody_here_knew_to_be_decided_about() {
    let sandbox = sandbox!();
    let [bare, _, theirs] = team(&sandbox);
    let new = bare.clone_to("new");
    new.deploy("deploy-sync", &["--quiet"]);
    new.git(&["switch", "--quiet", "--create", "pay", "origin/master"]);
    new.commit("p", "p\n", "Pay");
    new.git(&["push", "--quiet", "origin", "pay"]);
    theirs.git(&["fetch", "--quiet"]);
    bob(&theirs, &["deployable", "pay"]);
    bob(&theirs, &["development", "-m", "STOP", "pay"]);
    new.commit("p", "q\n", "Go on");
    new.git(&["push", "--quiet", "origin", "pay"]);
    set(&new, &["deployable", "pay"]).code_is(1).stderr_contains("set by Bob <bob@example.org>: STOP\n");
    set(&new, &["deployable", "pay"]).success();
}

#[test]
fn what_goes_on_from_what_has_failed_answers_that() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["staged", "login"]);
    // As a runner writes it.
    let failed = format!("{}reason: it does not start\n", theirs.notes()[&theirs.id("origin/login")]);
    theirs.git(&["notes", "--ref=deploy", "add", "--force", "-m", &failed, "origin/login"]);
    theirs.deploy("deploy-sync", &[]);
    ours.commit("d", "d\n", "Mend it");
    ours.git(&["push", "--quiet", "origin", "login"]);
    set(&ours, &["deployable", "login"]).success().lacks("does not start");
}

#[test]
fn a_withdrawal_of_what_a_branch_was_before_an_amend_is_not_overridden_before_it_was_told() {
    for is_told in [false, true] {
        let [_, ours, theirs] = team(&sandbox!());
        let before = ours.id("login")[..10].to_owned();
        bob(&theirs, &["development", "-m", "STOP", "login"]);
        ours.write("b", "other\n");
        ours.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
        ours.git(&["push", "--quiet", "--force", "origin", "login"]);
        if is_told {
            ours.deploy("deploy-sync", &[]).stderr_contains(&format!(
                "warning: '{before}', which 'login' was, was set to development by Bob: STOP\n"
            ));
        } else {
            set(&ours, &["deployable", "login"])
                .code_is(1)
                .stderr_contains(&format!(
                    "nobody here was told that '{before}', which it was, is development since "
                ))
                .stderr_contains("set by Bob <bob@example.org>: STOP\n");
        }
        set(&ours, &["deployable", "login"]).success();
    }
}

#[test]
fn so_is_one_of_what_a_new_clone_begins_with() {
    let sandbox = sandbox!();
    let [bare, _, theirs] = team(&sandbox);
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    let new = bare.clone_to("new");
    new.switch("login");
    for file in ["d", "e"] {
        new.commit(file, "d\n", "Help out");
    }
    new.git(&["push", "--quiet", "origin", "login"]);
    set(&new, &["deployable", "login"])
        .code_is(1)
        .stderr_contains(&format!(
            "'{}', which it stands on, is development since ",
            &new.id("login~2")[..10]
        ))
        .stderr_contains("set by Bob <bob@example.org>: STOP\n");
    set(&new, &["deployable", "login"]).success();
}

#[test]
fn what_somebody_has_put_upon_a_stop_or_a_hold_others_set_from_any_new_clone() {
    for is_held in [false, true] {
        let [bare, ours, theirs] = team(&sandbox!());
        match is_held {
            true => drop(theirs.deploy("deploy-queue", &["hold", "--reason=sale", "login"])),
            false => bob(&theirs, &["development", "-m", "STOP", "login"]),
        }
        ours.commit("d", "d\n", "Mend it");
        ours.git(&["push", "--quiet", "origin", "login"]);
        for job in ["one", "two"] {
            let clone = bare.clone_to(job);
            clone.switch("login");
            let set = clone.command("git-deploy-state").args(["set", "deployable", "login"]);
            set.as_person("CI", "ci@example.org").output().success();
        }
    }
}

#[test]
fn who_amends_what_somebody_else_had_approved_hears_that_it_was_stopped() {
    let [_, ours, theirs] = team(&sandbox!());
    let carol = theirs.command("git-deploy-state").args(["set", "deployable", "--priority=3", "login"]);
    carol.as_person("Carol", "carol@example.org").output().success();
    ours.deploy("deploy-sync", &[]);
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    ours.write("b", "amended\n");
    ours.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    ours.git(&["push", "--quiet", "--force", "origin", "login"]);
    set(&ours, &["deployable", "login"]).code_is(1).stderr_contains("set by Bob <bob@example.org>: STOP\n");
}

#[test]
fn of_two_withdrawals_below_a_branch_the_later_one_is_told() {
    for is_nearer_later in [true, false] {
        let [_, ours, theirs] = team(&sandbox!());
        let stop = |commit: &str, why: &str| {
            theirs.git(&["switch", "--quiet", "--force-create", "login", commit]);
            bob(&theirs, &["development", "-m", why, "login"]);
        };
        let lower = ours.id("login");
        if is_nearer_later {
            stop(&lower, "OLD");
        }
        ours.commit("d", "d\n", "Go on");
        ours.git(&["push", "--quiet", "origin", "login"]);
        theirs.git(&["fetch", "--quiet"]);
        theirs.git(&["switch", "--quiet", "--force-create", "login", "origin/login"]);
        bob(&theirs, &["staged", "login"]);
        stop("origin/login", if is_nearer_later { "NEW" } else { "OLD" });
        if !is_nearer_later {
            stop(&lower, "NEW");
        }
        ours.commit("e", "e\n", "Go further");
        ours.git(&["push", "--quiet", "origin", "login"]);
        set(&ours, &["deployable", "login"]).code_is(1).stderr_contains(": NEW\n");
    }
}

#[test]
fn what_was_decided_while_nobody_could_hear_of_a_stop_does_not_hush_it() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    ours.commit("d", "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login"]);
    let url = ours.git(&["config", "remote.origin.url"]).line().to_owned();
    ours.set_config("remote.origin.url", "/nowhere/at/all");
    set(&ours, &["deployable", "login"]).code_is(75);
    ours.set_config("remote.origin.url", &url);
    ours.deploy("deploy-sync", &[])
        .stderr_contains("which 'login' stands on, was set to development by Bob: STOP\n");
}

/// Bob lets his clone rebase 'login' upon a base that has moved, and publishes that.
fn rebased_by_bob(theirs: &Repo) {
    theirs.git(&["fetch", "--quiet"]);
    theirs.switch("login");
    let rebase = theirs.command("git-deploy-rebase").arg("login").as_person("Bob", "bob@example.org");
    rebase.output().success();
    theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
    theirs.deploy("deploy-sync", &[]);
}

/// Base moves on.
fn more_on_base(ours: &Repo, file: &str) {
    ours.switch("master");
    ours.commit(file, "q\n", "Something else");
    ours.git(&["push", "--quiet", "origin", "master"]);
}

#[test]
fn what_somebody_rebases_is_not_decided_anew_by_that() {
    for is_synced in [true, false] {
        let [_, ours, theirs] = team(&sandbox!());
        set(&ours, &["staged", "-m", "wait for Monday", "login"]).success();
        theirs.deploy("deploy-sync", &["--quiet"]);
        more_on_base(&ours, "q");
        rebased_by_bob(&theirs);
        if is_synced {
            ours.deploy("deploy-sync", &[]).lacks("was set to");
        }
        ours.deploy("deploy-rebase", &[]).lacks("was set to");
        set(&ours, &["deployable", "login"]).success();
    }
}

#[test]
fn ones_own_decision_is_set_at_once_where_somebody_has_rebased_it() {
    let [_, ours, theirs] = team(&sandbox!());
    set(&ours, &["staged", "-m", "wait for Monday", "login"]).success();
    theirs.deploy("deploy-sync", &["--quiet"]);
    more_on_base(&ours, "q");
    rebased_by_bob(&theirs);
    set(&ours, &["deployable", "login"]).success().lacks("nobody here was told");
}

#[test]
fn a_withdrawal_that_was_rebased_before_anybody_heard_of_it_is_told_once() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["staged", "-m", "STOP", "login"]);
    more_on_base(&ours, "q");
    rebased_by_bob(&theirs);
    let told = ours.deploy("deploy-sync", &[]);
    told.stderr_contains("warning: 'login' was set to staged by Bob: STOP\n");
    assert_eq!(told.stderr.matches("STOP").count(), 1);
    more_on_base(&ours, "r");
    rebased_by_bob(&theirs);
    ours.deploy("deploy-sync", &[]).lacks("STOP");
}

#[test]
fn who_wants_to_hear_warnings_alone_hears_of_a_withdrawal() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    ours.deploy("deploy-sync", &["--quiet"]).stderr_is(STOP);
}

#[test]
fn what_is_refused_is_said_to_be_set_again_with_all_that_was_asked_for() {
    let [_, ours, theirs] = team(&sandbox!());
    for name in ["other", "first"] {
        ours.git(&["checkout", "--quiet", "-b", name, "master"]);
        ours.commit(name, "c\n", "Something else");
        ours.git(&["push", "--quiet", "origin", name]);
    }
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    let asked = ["deployable", "--priority=5", "--after=first", "-m", "it's\nready", "login", "other"];
    let again =
        r"git deploy-state set deployable --priority=5 --after=first --message='it'\''s ready' login other";
    set(&ours, &asked)
        .code_is(1)
        .stderr_contains(&format!("hint: if it is to be deployable all the same, set it again: {again}\n"));
    ours.command("sh").args(["-c", again]).output().success();
    for name in ["login", "other"] {
        let note = ours.notes()[&ours.id(name)].clone();
        for said in ["state: deployable\n", "priority: 5\n", "after: first\n", "message: it's ready\n"] {
            assert!(note.contains(said), "{name}: {note}");
        }
    }
}

#[test]
fn of_several_that_were_withdrawn_each_is_told_before_it_is_overridden() {
    let [_, ours, theirs] = team(&sandbox!());
    ours.git(&["checkout", "--quiet", "-b", "other", "master"]);
    ours.commit("c", "c\n", "Something else");
    ours.git(&["push", "--quiet", "origin", "other"]);
    set(&ours, &["deployable", "other"]).success();
    theirs.deploy("deploy-sync", &[]);
    bob(&theirs, &["development", "-m", "STOP", "login", "other"]);
    let refused = set(&ours, &["deployable", "login", "other"]);
    refused.code_is(1).stderr_contains("cannot set 'login'").stderr_contains("cannot set 'other'");
    assert_eq!(refused.stderr.matches("STOP").count(), 2);
}

#[test]
fn of_many_withdrawals_ten_are_told_and_how_many_more_there_are() {
    for (many, told, more) in [(15, 15, ""), (16, 10, "warning: and 6 more: git deploy-state log --all\n")] {
        withdrawals_are_told(many, told, more);
    }
}

fn withdrawals_are_told(many: usize, named: usize, more: &str) {
    let [_, ours, theirs] = team(&sandbox!());
    let names: Vec<String> = (0..many).map(|number| format!("b{number:02}")).collect();
    for name in &names {
        ours.git(&["checkout", "--quiet", "-b", name, "master"]);
        ours.commit(name, "x\n", name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ours.git(&[&["push", "--quiet", "origin"][..], &names].concat());
    set(&ours, &[&["deployable"][..], &names].concat()).success();
    theirs.deploy("deploy-sync", &[]);
    bob(&theirs, &[&["staged"][..], &names].concat());
    let told = ours.deploy("deploy-sync", &[]);
    assert_eq!(told.stderr.matches("' was set to staged by Bob\n").count(), named);
    told.stderr_contains(more);
    assert_eq!(told.stderr.contains(" more: "), !more.is_empty(), "{told}");
}

#[test]
fn a_branch_that_leaves_a_shared_commit_is_told_with_who_took_it_out() {
    let [_, ours, theirs] = team(&sandbox!());
    ours.git(&["branch", "twin", "login"]);
    ours.git(&["push", "--quiet", "origin", "twin"]);
    set(&ours, &["deployable", "twin"]).success();
    theirs.deploy("deploy-sync", &["--quiet"]);
    bob(&theirs, &["development", "-m", "twin is not", "twin"]);
    ours.deploy("deploy-sync", &[])
        .stderr_contains("warning: 'twin' was set to development by Bob: twin is not\n")
        .lacks("'login' was");
}

#[test]
fn a_branch_that_somebody_deletes_or_sets_back_is_told_by_what_brings_that() {
    let [_, ours, theirs] = team(&sandbox!());
    let old = ours.id("login");
    ours.commit("d", "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login"]);
    set(&ours, &["deployable", "login"]).success();
    theirs.git(&["push", "--quiet", "--force", "origin", &format!("{old}:refs/heads/login")]);
    ours.deploy("deploy-sync", &[])
        .stderr_contains("warning: 'login' is deployable here, and was set back to ")
        .stderr_contains(" on 'origin'\n");
    theirs.git(&["push", "--quiet", "origin", ":login"]);
    ours.deploy("deploy-sync", &[])
        .stderr_contains("warning: 'login' is deployable here, and was deleted on 'origin'\n");
    ours.deploy("deploy-sync", &[]).lacks("'login' is");
}

#[test]
fn what_was_fetched_and_is_not_merged_is_told_by_the_log_too() {
    let [_, ours, theirs] = team(&sandbox!());
    bob(&theirs, &["development", "-m", "STOP", "login"]);
    fetch(&ours);
    for words in [["log", "login"], ["list", "--stale"]] {
        let told = ours.deploy("deploy-state", &words);
        told.stderr_contains("note: states of 'origin' were fetched and are not merged: git deploy-sync\n");
    }
}
