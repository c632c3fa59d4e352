//! An approval ends for good, wherever its note was written besides, and whatever is written afterwards.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use super::{both, write_note};

/// Moves a branch to a commit, as a push by force does.
fn moves(shop: &Shop, branch: &str, commit: &str) {
    shop.repo.git(&["branch", "--force", branch, commit]);
    if shop.remote.is_some() {
        shop.repo.git(&["push", "--quiet", "--force", "origin", branch]);
    }
}

/// Publishes the notes as they stand here.
fn publishes(shop: &Shop) {
    shop.repo.git(&["push", "--quiet", "--force", "origin", "refs/notes/deploy"]);
}

/// A note without the lines that begin so.
fn without(note: &str, key: &str) -> String {
    note.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_withdrawal_on_a_commit_that_got_a_copy_of_the_note_ends_the_approval() {
    let copies: [fn(&str) -> String; 3] = [
        str::to_owned,
        |note| without(note, "appro"),
        |note| without(note, "by: ") + "by: Mallory <mallory@example.org>\n",
    ];
    for copy in copies {
        let shop = Shop::with_remote(&sandbox!());
        shop.guard();
        let approved = shop.deployable("login", "login.txt", "hello\n");
        let copied = copy(&shop.repo.notes()[&approved]);
        let tree = format!("{approved}^{{tree}}");
        let other =
            shop.repo.git(&["commit-tree", &tree, "-p", "master", "-m", "The same"]).line().to_owned();
        write_note(&shop.repo, &other, &copied);
        publishes(&shop);
        moves(&shop, "login", &other);
        shop.repo.deploy("deploy-state", &["set", "development", "login"]);
        moves(&shop, "login", &approved);
        assert_eq!(shop.state("login"), "deployable");
        shop.deploy(&["login"]).code_is(1).stderr_contains("its approval was withdrawn by decision 2");
        // Who may approves it again.
        shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
        shop.deploy(&[]).success();
        assert_eq!(shop.state("login"), "deployed");
    }
}

#[test]
fn what_has_landed_is_queued_by_no_commit_that_it_was_rebased_from() {
    for is_guarded in [false, true] {
        for shop in both() {
            is_guarded.then(|| shop.guard());
            shop.deployable("one", "one.txt", "hello\n");
            let approved = shop.deployable("two", "two.txt", "hello\n");
            let signed = shop.repo.notes()[&approved].clone();
            shop.on_master("base.txt", "1\n");
            for name in ["one", "two"] {
                shop.deploy(&[]).success();
                assert_eq!(shop.state(name), "deployed");
            }
            shop.repo.deploy("deploy-state", &["list"]).lacks("deployable");
            moves(&shop, "two", &approved);
            assert_eq!(shop.state("two"), "development");
            shop.deploy(&["two"]).code_is(1).stderr_contains("it is development, not deployable");
            if is_guarded {
                write_note(&shop.repo, &approved, &signed);
                shop.repo
                    .deploy("deploy-state", &["get", "two"])
                    .stderr_contains("its approval was used up by deployment-0002");
                shop.deploy(&["two"]).code_is(1);
            }
            shop.is_sound();
        }
    }
}

#[test]
fn a_shallow_clone_that_cannot_tell_what_was_withdrawn_deploys_nothing() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    let approved = shop.deployable("login", "login.txt", "hello\n");
    let signed = shop.repo.notes()[&approved].clone();
    shop.repo.deploy("deploy-state", &["set", "development", "login"]);
    for more in ["priority: 1\n", "priority: 2\n", ""] {
        write_note(&shop.repo, &approved, &format!("{signed}{more}"));
    }
    publishes(&shop);
    let url = format!("file://{}", shop.authority().path().display());
    let runner = shop.authority().clone_to("runner");
    runner.set_config("remote.origin.url", &url);
    runner.deploy("deploy-init", &[]);
    runner.try_deploy("deploy", &["login"]).code_is(1).stderr_contains("withdrawn by decision 2");
    runner.git(&["fetch", "--quiet", "--depth=2"]);
    runner
        .try_deploy("deploy", &[])
        .code_is(128)
        .stderr_contains("the history of 'refs/notes/deploy' is cut off in this clone")
        .stderr_contains("cannot tell whether an approval was withdrawn")
        .stderr_contains("hint: get the whole history with: git fetch --unshallow origin\n");
    runner
        .deploy("deploy-state", &["get", "login"])
        .stderr_contains("is cut off here: cannot tell whether it was withdrawn");
    runner.git(&["fetch", "--quiet", "--unshallow", "origin"]);
    runner.try_deploy("deploy", &["login"]).code_is(1).stderr_contains("withdrawn by decision 2");
    shop.is_sound();
}

#[test]
fn a_shallow_clone_does_not_say_that_a_branch_differs_from_what_it_cannot_compare_it_with() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.deploy("deploy-queue", &["hold", "--reason=until Monday"]);
    shop.on_master("base.txt", "1\n");
    shop.repo.try_deploy("deploy-queue", &["run"]).code_is(75).stderr_contains("rebased 'login'");
    let cut_off =
        "its history is cut off here: cannot tell whether it is what a rebase makes of the approved commit";
    let differs = "it is not what a rebase makes of";
    let shallow = shop.authority().clone_to("shallow");
    let url = format!("file://{}", shop.authority().path().display());
    shallow.set_config("remote.origin.url", &url);
    shallow.git(&["fetch", "--quiet", "--depth=1"]);
    shallow.deploy("deploy-init", &[]);
    shallow.deploy("deploy-sync", &[]);
    shallow.deploy("deploy-state", &["get", "login"]).stderr_contains(cut_off).lacks(differs);
    shallow
        .deploy("deploy-queue", &["show", "login"])
        .stdout_contains(cut_off)
        .stderr_contains("hint: get the whole history with: git fetch --unshallow")
        .lacks(differs);
    shallow.git(&["fetch", "--quiet", "--unshallow", "origin"]);
    shallow.deploy("deploy-state", &["get", "login"]).lacks(cut_off).lacks(differs);
}

#[test]
fn a_branch_that_is_cut_off_from_base_is_refused_before_the_claim() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let url = format!("file://{}", shop.authority().path().display());
    let runner = shop.authority().clone_to("runner");
    runner.set_config("remote.origin.url", &url);
    runner.git(&["fetch", "--quiet", "--depth=1"]);
    runner
        .try_deploy("deploy", &[])
        .code_is(128)
        .stderr_contains("the history of 'refs/heads/login' is cut off in this clone")
        .stderr_contains("hint: get the whole history with: git fetch --unshallow origin\n");
    assert!(!shop.authority().refs().keys().any(|name| name.contains("attempts")));
    runner.git(&["fetch", "--quiet", "--unshallow", "origin"]);
    runner.deploy("deploy", &[]);
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(shop.state("login"), "deployed");
}

#[test]
fn whoever_takes_up_what_was_withdrawn_meanwhile_is_told_by_whom_and_why() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("login", "login.txt", "hello\n");
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    shop.authority().remove_hook("update");
    let set = ["set", "development", "--message=a hole", "login"];
    shop.repo
        .deploy("deploy-state", &set)
        .stderr_contains("that comes too late for deployment-0001, which is on its way with 'login'")
        .stderr_contains("hint: that is so for a run that is at work; one that was stopped goes no further");
    let by = shop.repo.notes()[&shop.repo.id("login")].clone();
    let by = by.lines().find_map(|line| line.strip_prefix("by: ")).unwrap().to_owned();
    let why = format!("deployment-0001 goes no further: 'login' was set to development by {by}: a hole\n");
    for arguments in [&["--continue"][..], &[]] {
        shop.deploy(arguments).code_is(1).stderr_contains(&why).stderr_contains("git deploy --abort");
    }
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("aborted").lacks("is staged");
    assert_eq!(shop.state("login"), "development");
    shop.is_sound();
}
