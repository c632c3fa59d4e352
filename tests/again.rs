//! What base has had and has taken back: no rebase brings that again, and it is said what does.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Output, sandbox};

const TAKEN_BACK: &str = "has had all of it, and has taken it back with";

/// What stands before the commands that bring it again.
const BRINGS: &str = "hint: if it is to come again, a new branch brings it: ";

/// A shop in which base gets the branch in some way, goes on, and takes it back again; with a remote or without.
fn taken_back(with_remote: bool, get: impl Fn(&Shop), revert: &[&str]) -> Shop {
    let sandbox = sandbox!();
    let shop = if with_remote { Shop::with_remote(&sandbox) } else { Shop::alone(&sandbox) };
    shop.deployable("login", "login.txt", "hello\n");
    get(&shop);
    let brought = shop.repo.id("master");
    shop.on_master("other.txt", "other\n");
    shop.repo.git(&[&["revert", "--no-edit"], revert, &[&brought]].concat());
    shop.push(&["master"]);
    shop
}

/// Does what the hints say, word by word, and has deployed what comes of it.
fn follow(shop: &Shop, said: &Output) {
    let commands: Vec<&str> = said
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "))
        .map(|(_, command)| command)
        .collect();
    let [begin @ .., set] = &commands[..] else { panic!("{said}") };
    assert!(matches!(begin.len(), 1 | 2), "{said}");
    for command in begin {
        shop.repo.command("sh").args(["-c", command]).output().success();
    }
    // From now on one more would bring the same.
    let there = "hint: what brings it again may be there already: git deploy-state get login-again\n";
    let asked = || shop.repo.try_deploy("deploy-state", &["set", "staged", "login"]);
    asked().code_is(1).stderr_contains(there).lacks("git revert");
    shop.push(&["login-again"]);
    shop.repo.command("sh").args(["-c", set]).output().success();
    asked().code_is(1).stderr_contains(there).lacks("git revert");
    shop.repo.switch("master");
    shop.deploy(&[]).success();
    assert_eq!(shop.authority().git(&["show", "master:login.txt"]).stdout, "hello\n");
    assert_eq!(shop.state("login-again"), "deployed");
    shop.is_sound();
}

#[test]
fn what_was_merged_by_hand_and_taken_back_comes_again_by_what_is_said() {
    for (with_remote, merge, revert) in [
        (true, "--no-ff", &["--mainline=1"][..]),
        (false, "--no-ff", &["--mainline=1"]),
        (true, "--ff-only", &[]),
    ] {
        let get = |shop: &Shop| drop(shop.repo.git(&["merge", "--quiet", "--no-edit", merge, "login"]));
        let shop = taken_back(with_remote, get, revert);
        let state = |words: &[&str]| shop.repo.deploy("deploy-state", words);
        state(&["get", "login"]).stderr_contains("has had all of 'login'");
        let base = if with_remote { "origin/master" } else { "master" };
        let listed = state(&["list"]);
        listed
            .stdout_contains(&format!("was deployable; '{base}' {TAKEN_BACK} '"))
            .stderr_is("hint: if it is to come again: git deploy-state get login\n");
        state(&["get", "login"]).stderr_contains(BRINGS);
        for words in [["list", "--json"].as_slice(), &["get", "--json", "login"]] {
            state(words).stdout_contains("\"taken-back\":[\"");
        }
        shop.repo
            .deploy("deploy-queue", &["show", "login"])
            .stdout_contains("had all of it, taken back on '")
            .stderr_contains(BRINGS);
        shop.deploy(&["login"]).code_is(1).stderr_contains(TAKEN_BACK);
        let said = shop.repo.try_deploy("deploy-state", &["set", "deployable", "login"]);
        said.code_is(1).stderr_contains(TAKEN_BACK).lacks("commit something");
        follow(&shop, &said);
    }
}

#[test]
fn what_was_deployed_and_taken_back_comes_again_by_what_is_said() {
    let get = |shop: &Shop| _ = shop.deploy(&[]).success();
    for with_remote in [true, false] {
        let shop = taken_back(with_remote, get, &[]);
        shop.repo
            .deploy("deploy-queue", &["show", "login"])
            .stdout_contains("landed with deployment-0001, taken back on '")
            .stderr_contains(BRINGS);
        shop.repo
            .try_deploy("deploy-state", &["set", "staged", "login"])
            .code_is(1)
            .stderr_contains(TAKEN_BACK);
        follow(&shop, shop.deploy(&["login"]).code_is(1).stderr_contains(TAKEN_BACK));
    }
}

#[test]
fn what_was_picked_and_taken_back_is_not_told_as_landed() {
    let get = |shop: &Shop| drop(shop.repo.git(&["cherry-pick", "login"]));
    let shop = taken_back(true, get, &[]);
    shop.repo
        .deploy("deploy-queue", &[])
        .stdout_contains("was taken back on 'origin/master' by '")
        .stderr_contains(BRINGS)
        .lacks("is left to deploy");
    shop.repo.deploy("deploy-queue", &["--json"]).stdout_contains("\"taken-back\":[\"");
    shop.repo
        .deploy("deploy-state", &["list"])
        .stdout_contains(TAKEN_BACK)
        .stderr_contains("hint: if it is to come again: git deploy-state get login\n")
        .lacks("is left to deploy");
    let show = shop.repo.deploy("deploy-queue", &["show", "login"]);
    show.stdout_contains("  was taken back on 'origin/master' by '").lacks("is left to deploy");
    shop.deploy(&["login"]).code_is(1).stderr_contains(TAKEN_BACK);
    follow(&shop, &show);
}

/// Gives `login` a second commit, where it has none, and base both of them as one.
fn squash(shop: &Shop) {
    shop.repo.switch("login");
    if !shop.repo.path().join("who.txt").exists() {
        shop.repo.commit("who.txt", "who are you\n", "Ask");
        shop.push(&["login"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    }
    shop.repo.switch("master");
    shop.repo.git(&["merge", "--quiet", "--squash", "login"]);
    shop.repo.git(&["commit", "--quiet", "--message", "All of it at once"]);
}

#[test]
fn what_was_squashed_and_taken_back_is_held_back_like_a_single_commit() {
    for with_remote in [true, false] {
        let shop = taken_back(with_remote, squash, &[]);
        let tip = shop.repo.id("login");
        let base = if with_remote { "origin/master" } else { "master" };
        for words in [[].as_slice(), &["--check", "login"], &["--explain", "login"]] {
            let rebase = shop.repo.deploy("deploy-rebase", words);
            let said = rebase.stdout_contains(&format!("skipped  login  '{base}' {TAKEN_BACK} '"));
            said.stderr_is("hint: if it is to come again: git deploy-state get login\n");
        }
        assert_eq!(shop.repo.id("login"), tip, "a rebase would bring it again");
        let listed = shop.repo.deploy("deploy-state", &["list"]);
        listed
            .stdout_contains(TAKEN_BACK)
            .stderr_contains("hint: if it is to come again: git deploy-state get login\n")
            .lacks("is left to deploy");
        let queue = shop.repo.deploy("deploy-queue", &[]);
        queue.stdout_contains(&format!("was taken back on '{base}' by '")).stderr_contains(BRINGS);
        // Neither what was decided before nor what somebody decides now.
        let set = shop.repo.try_deploy("deploy-state", &["set", "staged", "login"]);
        set.code_is(1).stderr_contains(TAKEN_BACK);
        let said = shop.deploy(&["login"]);
        said.code_is(1).stderr_contains(TAKEN_BACK);
        follow(&shop, &said);
    }
}

#[test]
fn who_begins_with_what_was_squashed_and_taken_back_is_rebased_alone() {
    let shop = taken_back(true, squash, &[]);
    shop.repo.git(&["switch", "--quiet", "-c", "more", "login"]);
    shop.repo.commit("more.txt", "more\n", "Go on");
    shop.push(&["more"]);
    // The two are judged together here, and apart in a deployment.
    shop.repo.deploy("deploy-state", &["set", "deployable", "more"]);
    shop.repo.deploy("deploy-rebase", &[]);
    let commits = shop.repo.git(&["rev-list", "--count", "master..more"]).stdout;
    assert_eq!(commits, "3\n");
}

#[test]
fn what_was_squashed_and_came_back_again_is_not_held_back_as_taken_back() {
    let shop = taken_back(true, squash, &[]);
    shop.repo.git(&["revert", "--no-edit", "HEAD"]);
    shop.push(&["master"]);
    let set = shop.repo.try_deploy("deploy-state", &["set", "staged", "login"]);
    set.code_is(1).stderr_contains("it has no commits beyond base").lacks("revert");
}

#[test]
fn nor_is_what_was_squashed_or_picked_once_more_however_base_has_gone_on() {
    let pick = |shop: &Shop| drop(shop.repo.git(&["cherry-pick", "login"]));
    for (is_squashed, get) in [(true, squash as fn(&Shop)), (false, pick)] {
        let shop = taken_back(true, get, &[]);
        match is_squashed {
            true => squash(&shop),
            false => pick(&shop),
        }
        shop.repo.commit("login.txt", "other words\n", "Greet otherwise");
        shop.push(&["master"]);
        shop.repo
            .deploy("deploy-state", &["list"])
            .stdout_contains("brings nothing that base has not")
            .stderr_contains("is left to deploy");
        let set = shop.repo.try_deploy("deploy-state", &["set", "staged", "login"]);
        set.code_is(1).stderr_contains("it has no commits beyond base").lacks("revert");
        shop.repo.deploy("deploy-rebase", &["login"]).stderr_contains("is left to deploy");
    }
}

#[test]
fn what_has_come_back_by_other_means_is_there_and_what_would_conflict_is_not_advised() {
    let get = |shop: &Shop| drop(shop.repo.git(&["merge", "--quiet", "--ff-only", "login"]));
    let set = |shop: &Shop| shop.repo.try_deploy("deploy-state", &["set", "deployable", "login"]);
    let shop = taken_back(true, get, &[]);
    let revert = shop.repo.id("master");
    shop.repo.commit("login.txt", "other words\n", "Greet otherwise");
    shop.push(&["master"]);
    set(&shop).code_is(1).stderr_contains(TAKEN_BACK).lacks("git revert");
    shop.repo.git(&["revert", "--no-edit", "HEAD"]);
    shop.repo.git(&["cherry-pick", "login"]);
    shop.push(&["master"]);
    set(&shop).code_is(1).stderr_contains("it has no commits beyond base").lacks("revert");
    // Reverted in turn, the other way to have it again.
    shop.repo.git(&["revert", "--no-edit", "HEAD"]);
    shop.repo.git(&["revert", "--no-edit", &revert]);
    shop.push(&["master"]);
    set(&shop).code_is(1).stderr_contains("it has no commits beyond base");
}

#[test]
fn who_goes_on_with_what_was_taken_back_is_told_that_only_the_rest_is_deployed() {
    for is_deployed in [false, true] {
        let get = |shop: &Shop| match is_deployed {
            true => _ = shop.deploy(&[]).success(),
            false => _ = shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]),
        };
        let revert: &[&str] = if is_deployed { &[] } else { &["--mainline=1"] };
        let shop = taken_back(true, get, revert);
        shop.repo.deploy("deploy-sync", &[]);
        shop.repo.switch("login");
        shop.repo.commit("more.txt", "more\n", "Go on");
        shop.push(&["login"]);
        let told = shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
        told.stderr_contains(
            "warning: only the newer commits of 'login' are to be deployed: 'origin/master' has had",
        );
        // Who begins at base has nothing to do with what that takes back.
        shop.repo.git(&["switch", "--quiet", "-c", "other", "master~"]);
        shop.repo.commit("third.txt", "third\n", "Begin");
        shop.push(&["other"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "other"]).lacks("warning");
        shop.repo.switch("master");
    }
}

/// `login` of two commits is merged by hand and taken back, and gets a fix, in a file of its own or in that.
fn fixed(file: &str) -> Shop {
    let get = |shop: &Shop| drop(shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]));
    let shop = taken_back(true, get, &["--mainline=1"]);
    shop.repo.switch("login");
    shop.repo.commit(file, "fixed\n", "Mend it");
    shop.push(&["login"]);
    shop.repo.switch("master");
    shop
}

#[test]
fn a_fix_upon_what_was_taken_back_is_told_to_come_with_that_and_not_to_be_rebased_without() {
    const TOLD: &str = "note: 'origin/master' has had what 'login' begins with, and has taken it back with '";
    for file in ["fix.txt", "login.txt"] {
        let shop = fixed(file);
        let state = |words: &[&str]| shop.repo.try_deploy("deploy-state", words);
        let said = state(&["get", "login"]);
        said.stdout_is("development\n").stderr_contains(TOLD).lacks("git rebase");
        let listed = state(&["list"]);
        listed.stdout_contains("has had what it begins with, and has taken it back with '");
        listed.stderr_is("hint: if it is to come again: git deploy-state get login\n");
        state(&["list", "--json"]).stdout_contains("\"beginning-taken-back\":[\"");
        if file == "login.txt" {
            let refused = state(&["set", "deployable", "login"]);
            refused.code_is(1).stderr_contains("has had what it begins with").lacks("git rebase");
            let rebase = shop.repo.try_deploy("deploy-rebase", &["--check", "login"]);
            rebase.code_is(1).stderr_contains(BRINGS).lacks("git rebase");
        } else {
            let warning = TOLD.replace("note: ", "warning: ");
            let check = shop.repo.deploy("deploy-rebase", &["--check", "login"]);
            check.stderr_contains(&warning).stderr_contains(BRINGS);
            let tip = shop.repo.id("login");
            let rebased = shop.repo.deploy("deploy-rebase", &["login"]);
            rebased.stderr_contains(&warning).stderr_contains("hint: to take all of this rebase back: ");
            assert_ne!(shop.repo.id("login"), tip);
            shop.repo.deploy("deploy-rebase", &["--undo"]);
            assert_eq!(shop.repo.id("login"), tip);
            for format in ["--json", "--porcelain"] {
                shop.repo.deploy("deploy-rebase", &[format, "login"]).stderr_contains(&warning);
                shop.repo.deploy("deploy-rebase", &["--undo"]);
            }
        }
        let commands: Vec<&str> = said
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "))
            .map(|(_, command)| command)
            .collect();
        assert_eq!(commands.len(), 3, "{said}");
        for command in &commands[..2] {
            shop.repo.command("sh").args(["-c", command]).output().success();
        }
        shop.push(&["login-again"]);
        shop.repo.command("sh").args(["-c", commands[2]]).output().success();
        shop.repo.switch("master");
        shop.deploy(&[]).success();
        let has = |file: &str| shop.authority().git(&["show", &format!("master:{file}")]).stdout;
        assert_eq!(has(file), "fixed\n");
        assert!(!has("login.txt").is_empty());
        shop.is_sound();
    }
}

#[test]
fn who_pushes_what_is_broken_by_what_was_taken_back_is_not_told_to_rebase_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.switch("master");
    shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]);
    shop.push(&["master"]);
    shop.repo.switch("login");
    shop.repo.commit("login.txt", "fixed\n", "Mend it");
    shop.repo.deploy("deploy-state", &["set", "staged", "login"]);
    shop.repo.switch("master");
    shop.repo.git(&["revert", "--no-edit", "--mainline=1", "HEAD"]);
    shop.push(&["master"]);
    shop.repo.try_deploy("deploy-rebase", &["login"]).code_is(1);
    shop.repo.deploy("deploy-init", &[]);
    let pushed = shop.repo.git(&["push", "--quiet", "origin", "login"]);
    pushed.stderr_contains("'login' is broken").stderr_contains(BRINGS).lacks("git rebase");
}

#[test]
fn so_is_who_amends_what_is_broken_by_that() {
    let shop = Shop::with_remote(&sandbox!());
    shop.repo.deploy("deploy-init", &[]);
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.switch("master");
    shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]);
    shop.push(&["master"]);
    shop.repo.switch("login");
    shop.repo.commit("login.txt", "fixed\n", "Mend it");
    shop.push(&["login"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    shop.repo.switch("master");
    shop.repo.git(&["revert", "--no-edit", "--mainline=1", "HEAD"]);
    shop.push(&["master"]);
    shop.repo.try_deploy("deploy-rebase", &["login"]).code_is(1);
    shop.repo.switch("login");
    let amended = shop.repo.git(&["commit", "--quiet", "--amend", "-m", "Mend it well"]);
    amended.stderr_contains("it was broken").stderr_contains(BRINGS).lacks("git rebase");
}

#[test]
fn what_is_taken_back_again_is_told_by_the_pull_that_brings_it() {
    let get = |shop: &Shop| drop(shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]));
    let shop = taken_back(true, get, &["--mainline=1"]);
    shop.repo.deploy("deploy-init", &[]);
    // As of somebody who has seen base before all that.
    for before in ["master~3", "master~1"] {
        shop.repo.git(&["reset", "--quiet", "--hard", before]);
        let told = shop.repo.git(&["pull", "--quiet"]);
        told.stderr_contains("note: 'login' is in development now: it was deployable, and 'origin/master' has had all of 'login'")
            .stderr_contains("hint: if it is to come again: git deploy-state get login\n")
            .lacks("git branch -d login")
            .lacks("git revert");
    }
    let other = shop.authority().clone_to("other");
    other.commit("further.txt", "further\n", "Go further");
    other.git(&["push", "--quiet", "origin", "master"]);
    shop.repo.git(&["pull", "--quiet"]).lacks("login");
    assert_eq!(shop.repo.id("master"), other.id("master"));
}

#[test]
fn so_is_what_was_deployed_and_it_is_not_said_to_be_no_longer_needed() {
    let shop = taken_back(true, |shop| _ = shop.deploy(&[]).success(), &[]);
    shop.repo.deploy("deploy-init", &[]);
    shop.repo.deploy("deploy-sync", &[]);
    // As of somebody who has seen base before all that.
    shop.repo.git(&["reset", "--quiet", "--hard", "master~3"]);
    shop.repo
        .git(&["pull", "--quiet"])
        .stderr_contains("note: 'origin/master' has had all of 'login', and has taken it back with '")
        .stderr_contains("hint: if it is to come again: git deploy-state get login\n")
        .lacks("git branch -d login");
}

#[test]
fn who_begins_at_base_has_nothing_to_do_with_what_it_takes_back_of_its_own_also_after_a_pull() {
    let shop = Shop::with_remote(&sandbox!());
    shop.on_master("other.txt", "other\n");
    shop.branch("login", "login.txt", "hello\n");
    // Somebody who has committed to base pulls, so that what base was is merged into that.
    shop.repo.git(&["switch", "--quiet", "--detach", "master~"]);
    shop.repo.commit("mine.txt", "mine\n", "Mine");
    shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "master"]);
    shop.repo.git(&["revert", "--no-edit", "master"]);
    shop.repo.git(&["push", "--quiet", "origin", "HEAD:master"]);
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]).lacks("warning");
}

#[test]
fn what_was_taken_back_together_with_others_is_not_brought_again_with_them() {
    for is_one_merge in [false, true] {
        let shop = Shop::with_remote(&sandbox!());
        shop.deployable("login", "login.txt", "hello\n");
        shop.deployable("pay", "pay.txt", "it breaks all\n");
        shop.repo.switch("master");
        if is_one_merge {
            shop.repo.git(&["switch", "--quiet", "-c", "week", "login"]);
            shop.repo.git(&["cherry-pick", "pay"]);
            shop.repo.switch("master");
            shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "week"]);
            shop.repo.git(&["revert", "--no-edit", "--mainline=1", "HEAD"]);
        } else {
            shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]);
            shop.repo.git(&["cherry-pick", "pay"]);
            let [login, pay] = ["login", "HEAD"].map(|commit| shop.repo.id(commit));
            shop.repo.git(&["revert", "--no-commit", &pay, &login]);
            let both = format!("This reverts commit {pay}.\n\nThis reverts commit {login}.");
            shop.repo.git(&["commit", "--quiet", "-m", "Revert the week", "-m", &both]);
        }
        shop.push(&["master"]);
        let said = shop.repo.try_deploy("deploy-state", &["set", "deployable", "login"]);
        said.code_is(1).stderr_contains(TAKEN_BACK).lacks("git revert");
    }
}

#[test]
fn what_was_taken_back_in_part_is_told_as_that() {
    let shop = Shop::with_remote(&sandbox!());
    shop.branch("login", "login.txt", "hello\n");
    shop.repo.switch("login");
    shop.repo.commit("more.txt", "more\n", "Go on");
    shop.push(&["login"]);
    shop.repo.switch("master");
    shop.repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"]);
    shop.repo.git(&["revert", "--no-edit", "login~"]);
    shop.push(&["master"]);
    let said = shop.repo.try_deploy("deploy-state", &["set", "deployable", "login"]);
    follow(&shop, said.code_is(1).stderr_contains("and has taken some of it back with '"));
    assert_eq!(shop.authority().git(&["show", "master:more.txt"]).stdout, "more\n");
}

#[test]
fn what_was_squashed_and_taken_back_keeps_no_approval_when_it_is_rebased_by_hand() {
    for goes_on in [false, true] {
        let shop = taken_back(false, squash, &[]);
        shop.repo.deploy("deploy-init", &[]);
        let onto = shop.repo.id("master");
        if goes_on {
            shop.on_master("more.txt", "more\n");
        }
        let rebased = shop.repo.git(&["rebase", "--quiet", &onto, "login"]);
        rebased.stderr_contains("'master' has had all of it, and has taken it back").stderr_contains(
            "hint: if it is to come again all the same: git deploy-state set deployable login\n",
        );
        assert_eq!(shop.state("login"), "development");
    }
}
