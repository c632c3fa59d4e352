//! Pushes of what all clones share: the ledger, states, what is under way.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{clone, note, shop, tag_deployment};

#[test]
fn a_deployment_tag_is_neither_moved_nor_deleted() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.git(&["tag", "deployment-0001"]);
    repo.git(&["push", "--quiet", "origin", "deployment-0001"]);
    let stood = bare.id("refs/tags/deployment-0001");

    repo.commit("a", "b\n", "Go on");
    repo.git(&["tag", "--force", "deployment-0001"]);
    repo.try_git(&["push", "--force", "origin", "master", "deployment-0001"])
        .code_is(1)
        .stderr_contains("deployment tag 'deployment-0001' would be moved")
        .stderr_contains(&format!(
            "hint: 'deployment-0001' is {} here and {} on 'origin': which one is right cannot be told from here\n",
            &repo.id("HEAD")[..10],
            &stood[..10]
        ))
        .lacks("git fetch");
    assert_eq!(bare.id("refs/tags/deployment-0001"), stood);
    assert_ne!(bare.id("refs/heads/master"), repo.id("master"));

    repo.try_git(&["push", "origin", ":refs/tags/deployment-0001"])
        .code_is(1)
        .stderr_contains("deployment tag 'deployment-0001' would be deleted");
    assert_eq!(bare.id("refs/tags/deployment-0001"), stood);
    repo.git(&["push", "--quiet", "--no-verify", "origin", ":refs/tags/deployment-0001"]);
}

#[test]
fn a_push_that_is_refused_does_not_tell_the_password_of_an_address() {
    let (bare, repo) = shop(&sandbox!());
    let address = "https://ada:secret@example.org/shop.git";
    repo.git(&["config", &format!("url.{}.insteadOf", bare.path().display()), address]);
    for name in ["refs/tags/deployment-0001", "refs/deploy/attempts/deployment-0001"] {
        repo.git(&["push", "--quiet", "origin", &format!("HEAD:{name}")]);
    }
    repo.commit("a", "b\n", "Go on");
    repo.git(&["tag", "deployment-0001"]);
    repo.try_git(&["push", "--force", address, "deployment-0001"])
        .code_is(1)
        .stderr_contains("cannot push to 'https://...@example.org/shop.git': deployment tag")
        .stderr_contains(" on 'https://...@example.org/shop.git': which one is right")
        .lacks("secret");
    repo.try_git(&["push", address, ":refs/deploy/attempts/deployment-0001"])
        .code_is(1)
        .stderr_contains("cannot push to 'https://...@example.org/shop.git': 'refs/deploy/attempts/")
        .lacks("secret");
}

#[test]
fn a_mirror_of_a_clone_deletes_nothing_that_all_clones_share() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    note(&repo, "HEAD", "state: staged");
    repo.deploy("deploy-sync", &[]);
    repo.git(&["push", "--quiet", "origin", "HEAD:refs/deploy/attempts/deployment-0001"]);
    // One that knows nothing of all that.
    let other = bare.clone_to("other");
    other.deploy("deploy-init", &["--no-hooks"]);
    other.deploy("deploy-init", &[]);
    let stood = bare.refs();
    // By its name, by where it is, and by another name.
    let place = bare.path().display().to_string();
    other.git(&["remote", "add", "again", &place]);
    for to in ["origin", &place, &format!("file://{place}"), "again"] {
        other
            .try_git(&["push", "--quiet", "--mirror", to])
            .code_is(1)
            .stderr_contains("a mirror of this clone would delete there what it has not fetched");
    }
    other
        .try_git(&["push", "--quiet", "--prune", "origin", "refs/notes/*", "refs/deploy/*"])
        .code_is(1)
        .stderr_contains("'refs/deploy/attempts/deployment-0001', 'refs/notes/deploy' would be deleted");
    assert_eq!(bare.refs(), stood);
    // A copy elsewhere hurts nobody.
    let copy = sandbox.bare("copy.git");
    other.git(&["remote", "add", "copy", &copy.path().display().to_string()]);
    other.git(&["push", "--quiet", "--mirror", "copy"]);
}

/// The remote, a clone, and another one that has taken back what the first has set deployable, whose commit is given, too.
fn withdrawn_elsewhere(sandbox: &Sandbox) -> (Repo, Repo, Repo, String) {
    let (bare, repo) = shop(sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let other = clone(&bare, "other");
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &["set", "development", "login"]);
    (bare, repo, other, tip)
}

#[test]
fn a_push_that_forces_the_notes_does_not_undo_a_withdrawal_that_was_not_fetched() {
    for fetched in [false, true] {
        let sandbox = sandbox!();
        let (bare, repo, other, tip) = withdrawn_elsewhere(&sandbox);
        if fetched {
            repo.git(&["fetch", "--quiet"]);
        }
        repo.git(&["checkout", "--quiet", "-b", "more", "master"]);
        let more = repo.commit("c", "c\n", "Do more");
        note(&repo, &more, "state: staged\nref: refs/heads/more\nrev: 1");
        // git keeps what has come there since it asked, and refuses that part alone.
        repo.try_git(&["push", "origin", "more", "+refs/notes/deploy"]).code_is(1);
        assert_eq!(bare.id("more"), more);
        assert!(bare.notes()[&tip].starts_with("state: development\n"), "{:?}", bare.notes());
        assert!(bare.notes()[&more].starts_with("state: staged\n"), "{:?}", bare.notes());
        other.deploy("deploy-sync", &[]);
        other.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
        // With all that is there nothing is lost, and git's own push is enough.
        note(&repo, &more, "state: deployable\nref: refs/heads/more\nrev: 2");
        repo.git(&["push", "--quiet", "origin", "+refs/notes/deploy"]);
        assert_eq!(bare.id("refs/notes/deploy"), repo.id("refs/notes/deploy"));
    }
}

#[test]
fn a_withdrawal_that_was_only_fetched_is_taken_out_by_no_push_nor_where_nothing_can_be_looked_at() {
    for is_configured in [true, false] {
        let sandbox = sandbox!();
        let (bare, repo, _, tip) = withdrawn_elsewhere(&sandbox);
        repo.git(&["fetch", "--quiet"]);
        if !is_configured {
            repo.set_config("deploy.pushRebased", "bogus");
        }
        repo.git(&["branch", "more", "master"]);
        repo.try_git(&["push", "--force", "origin", "more", "refs/notes/deploy"]).code_is(1);
        assert!(bare.notes()[&tip].starts_with("state: development\n"), "{:?}", bare.notes());
    }
}

#[test]
fn new_deployment_tags_and_other_tags_go_through() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.git(&["tag", "deployment-0007"]);
    repo.git(&["tag", "v1"]);
    repo.git(&["push", "--quiet", "origin", "--tags"]).is_silent();
    repo.git(&["push", "--quiet", "origin", ":v1"]);
    assert!(bare.tip("refs/tags/deployment-0007").is_some() && bare.tip("refs/tags/v1").is_none());
}

#[test]
fn a_tag_is_refused_also_where_nothing_else_can_be_read() {
    let sandbox = sandbox!();
    let (_, repo) = shop(&sandbox);
    repo.git(&["tag", "deployment-0001"]);
    repo.git(&["push", "--quiet", "origin", "deployment-0001"]);
    repo.set_config("deploy.remote", "nowhere");
    repo.try_git(&["push", "origin", ":deployment-0001"]).code_is(1).stderr_contains("would be deleted");
    repo.commit("a", "b\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "master"])
        .stderr_contains("warning: git-deploy cannot look at this push");
}

#[test]
fn who_would_move_a_deployment_tag_is_told_how_to_get_the_one_that_was_claimed_unless_it_is_theirs() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "x\n");
    shop.deploy(&[]).success();
    let (ours, remote) = (&shop.repo, shop.authority());
    ours.deploy("deploy-init", &[]);
    let tag = "refs/tags/deployment-0001";
    let claimed = remote.id(tag);
    ours.git(&["fetch", "--quiet", "--tags"]);
    ours.git(&["tag", "--force", "--annotate", "--message", "Mine", "deployment-0001", "master~1"]);
    ours.git(&["tag", "plan", "master~1"]);
    remote.git(&["tag", "plan", "master"]);
    let (moved, plan) = (ours.id(tag), ours.id("refs/tags/plan"));
    let push = |what: &str| {
        let pushed = ours.try_git(&["push", "--force", "origin", what]);
        pushed.code_is(1).stderr_contains("deployment tag 'deployment-0001' would be moved");
        pushed
    };
    // What is no tag of ours is replaced by nothing.
    push("HEAD:refs/tags/deployment-0001").lacks("git fetch").lacks("is right");
    let told = push("deployment-0001");
    let begin = "hint: to have that of 'origin', and ours as 'here-deployment-0001': ";
    let command = told.stderr.lines().find_map(|line| line.strip_prefix(begin)).expect("no such hint");
    assert!(command.ends_with("git fetch origin +refs/tags/deployment-0001:refs/tags/deployment-0001"));
    ours.command("sh").args(["-c", command]).output().success();
    assert_eq!((ours.id(tag), ours.id("refs/tags/here-deployment-0001")), (claimed, moved));
    assert_eq!(ours.id("refs/tags/plan"), plan, "no other tag is fetched");

    // Somebody moves it on the server.
    remote.git(&["update-ref", tag, "master~1"]);
    push("deployment-0001")
        .stderr_contains("' here is the one that was claimed, and what 'origin' has")
        .lacks("git fetch")
        .lacks("git tag");
    ours.deploy("deploy-sync", &[])
        .stderr_contains("is not the same here")
        .lacks("git fetch")
        .lacks("git tag");
}

#[test]
fn of_many_deployment_tags_that_a_push_would_delete_ten_are_named() {
    let sandbox = sandbox!();
    let (_, repo) = shop(&sandbox);
    let tags: Vec<String> = (1..=12).map(|number| format!("deployment-{number:04}")).collect();
    tags.iter().for_each(|tag| drop(repo.git(&["tag", tag])));
    repo.git(&["push", "--quiet", "--tags", "origin"]);
    let refused = repo.try_git(
        &[&["push", "--delete", "origin"][..], &tags.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
    );
    refused
        .code_is(1)
        .stderr_contains("'deployment-0010' would be deleted, and 2 more\n")
        .lacks("'deployment-0011' would be deleted");
}

#[test]
fn states_that_somebody_has_decided_on_are_taken_out_by_no_push() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    note(&repo, "HEAD", "state: staged");
    repo.deploy("deploy-sync", &[]);
    let other = bare.clone_to("other");
    other.deploy("deploy-init", &[]);
    other.deploy("deploy-sync", &[]);
    let seen = bare.id("refs/notes/deploy");
    note(&repo, "HEAD", "state: development");
    repo.deploy("deploy-sync", &[]);
    let stood = bare.refs();
    let refused = |to: &str, what: &str| {
        let pushed = other.try_git(&["push", "--quiet", "--force", to, what]);
        pushed.code_is(1).stderr_contains("would be taken out of 'refs/notes/deploy'");
        pushed.stderr_contains("hint: states are published by git-deploy");
        assert_eq!(bare.refs(), stood);
    };
    for what in ["refs/notes/deploy", "refs/notes/*", "HEAD:refs/notes/deploy"] {
        refused("origin", what);
    }
    // By another name, and by where it is.
    let place = bare.path().display().to_string();
    other.git(&["remote", "add", "again", &place]);
    [&*place, "again"].into_iter().for_each(|to| refused(to, "refs/notes/deploy"));
    // A copy elsewhere hurts nobody.
    let copy = sandbox.bare("copy.git");
    repo.git(&["push", "--quiet", &copy.path().display().to_string(), "refs/notes/deploy"]);
    other.git(&["push", "--quiet", "--force", &copy.path().display().to_string(), "refs/notes/deploy"]);
    // Also where it is known here what is there.
    other.deploy("deploy-sync", &[]);
    refused("origin", &format!("{seen}:refs/notes/deploy"));
    note(&other, "HEAD", "state: staged");
    other.git(&["push", "--quiet", "origin", "refs/notes/deploy"]);
}

#[test]
fn a_push_that_sets_base_back_says_what_was_deployed_and_who_syncs_hears_of_it() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let old = repo.id("master");
    let landed = repo.commit("b", "b\n", "Log in");
    tag_deployment(&repo, "deployment-0001", &landed, "login");
    // As a runner leaves it that has rebased it.
    note(&repo, &landed, &format!("state: deployed\nref: refs/heads/login\nrebased-from: {old}"));
    repo.git(&["push", "--quiet", "origin", "master", "deployment-0001"]);
    let other = clone(&bare, "other");
    other.deploy("deploy-sync", &["--quiet"]);
    repo.git(&["push", "--quiet", "--force", "origin", &format!("{old}:master")]).stderr_is(
        "warning: this push sets 'master' back, which lacks deployment-0001 then: what was deployed is not on it any more\n",
    );
    // Also after a plain fetch.
    other.git(&["fetch", "--quiet"]);
    let lacks = "warning: 'origin/master' was set back, and lacks deployment-0001\n";
    other.deploy("deploy-sync", &[]).stderr_contains(lacks);
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    other.deploy("deploy-sync", &[]).lacks("set back");
}
