//! `git deploy-queue hold` and `release`, and what waits for another branch: who is deployed when, by somebody's wish.

use git_deploy_testkit::keys::Key;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Output, Repo, sandbox};

fn queue(repo: &Repo, arguments: &[&str]) -> Output {
    repo.try_deploy("deploy-queue", arguments)
}

fn hold(repo: &Repo, reason: &str, branches: &[&str]) -> Output {
    queue(repo, &[&["hold", &format!("--reason={reason}")], branches].concat())
}

fn release(repo: &Repo, branches: &[&str]) -> Output {
    queue(repo, &[&["release"], branches].concat())
}

fn shops() -> [Shop; 2] {
    Shop::both(&sandbox!(), &sandbox!())
}

#[test]
fn a_branch_on_hold_lets_others_pass_and_keeps_its_place() {
    for shop in shops() {
        for name in ["first", "second", "third"] {
            shop.deployable(name, &format!("{name}.txt"), "new\n");
        }
        hold(&shop.repo, "until Monday", &["first"]).success().stderr_contains("Held first: until Monday\n");
        shop.repo
            .deploy("deploy-state", &["set", "deployable", "first"])
            .stderr_contains("'first' is deployable already, and on hold: until Monday\n")
            .stderr_contains("hint: have it deployed in its turn with: git deploy-queue release first\n");
        queue(&shop.repo, &[]).stdout_contains("held: until Monday").stdout_contains("behind 'second'");
        shop.deploy(&["first"]).code_is(1).stderr_contains("'first': it is on hold: until Monday");
        shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
        assert_eq!([shop.state("first"), shop.state("second")], ["deployable", "deployed"]);
        release(&shop.repo, &["first"]).success().stderr_contains("Released first\n");
        shop.deploy(&[]).success();
        assert_eq!([shop.state("first"), shop.state("third")], ["deployed", "deployable"], "it was before");
        shop.is_sound();
    }
}

#[test]
fn only_what_is_in_the_queue_can_be_held() {
    for shop in shops() {
        shop.branch("draft", "draft.txt", "new\n");
        shop.deployable("login", "login.txt", "new\n");
        hold(&shop.repo, "no", &["login", "draft"])
            .code_is(1)
            .stderr_contains("'draft' is development, not deployable")
            .stderr_contains("hint: only branches in the queue can be held");
        hold(&shop.repo, "no", &["nobody"]).code_is(128).stderr_contains("there is no branch 'nobody'");
        hold(&shop.repo, " ", &["login"]).code_is(129);
        queue(&shop.repo, &["hold", "login"]).code_is(129).stderr_contains("--reason");
        queue(&shop.repo, &[]).stdout_contains("next").lacks("held");
        assert_eq!(shop.state("draft"), "development");
    }
}

#[test]
fn a_branch_is_put_into_the_queue_on_hold_by_one_decision() {
    for shop in shops() {
        shop.branch("login", "login.txt", "hello\n");
        let set = |hold: &str| shop.repo.deploy("deploy-state", &["set", "deployable", hold, "login"]).stderr;
        assert!(set("--hold=sale").contains("Set login: development -> deployable, on hold: sale\n"));
        shop.deploy(&["login"]).code_is(1).stderr_contains("'login': it is on hold: sale");
        assert!(set("--hold=").contains("Set login: still deployable, on hold no more\n"));
        shop.deploy(&["login"]).success();
    }
}

#[test]
fn a_hold_stays_through_rebases_and_ends_with_another_commit() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "new\n");
    hold(&shop.repo, "sale", &["login"]).success();
    shop.on_master("news.txt", "new\n");
    queue(&shop.repo, &["run"]).success();
    shop.repo.deploy("deploy-sync", &[]);
    queue(&shop.repo, &["--json"]).stdout_contains("\"waits\":{\"hold\":\"sale\"}");
    shop.repo.git(&["branch", "--quiet", "--force", "login", "origin/login"]);
    shop.repo.git(&["switch", "--quiet", "login"]);
    shop.repo.commit("more.txt", "more\n", "Go on");
    shop.push(&["login"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    queue(&shop.repo, &[]).lacks("held");
}

#[test]
fn of_a_hold_and_another_decision_at_the_same_time_the_hold_stays() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "new\n");
    let other = shop.authority().clone_to("other");
    other.deploy("deploy-sync", &[]);
    for repo in [&shop.repo, &other] {
        repo.set_config("deploy.publish", "false");
    }
    hold(&other, "sale", &["login"]).success();
    for priority in ["--priority=1", "--priority=2", "--priority=3"] {
        shop.repo.deploy("deploy-state", &["set", "deployable", priority, "login"]);
    }
    for repo in [&other, &shop.repo, &other] {
        repo.deploy("deploy-sync", &[]);
    }
    for repo in [&shop.repo, &other] {
        queue(repo, &[]).stdout_contains("held: sale");
    }
    assert_eq!(shop.repo.id("refs/notes/deploy^{tree}"), other.id("refs/notes/deploy^{tree}"));
}

#[test]
fn a_queue_on_hold_takes_nothing_until_it_is_released() {
    for shop in shops() {
        shop.deployable("login", "login.txt", "new\n");
        hold(&shop.repo, "sale on Friday", &[]).success().stderr_contains("Held the queue: sale on Friday\n");
        for arguments in [&[][..], &["login"], &[&shop.repo.id("login")], &["--dry-run"]] {
            shop.deploy(arguments)
                .code_is(75)
                .stderr_contains("the queue is held by Ada Lovelace <ada@example.org>: sale on Friday")
                .stderr_contains("hint: let it go on with: git deploy-queue release");
        }
        queue(&shop.repo, &["run"]).code_is(75).stderr_contains("sale on Friday");
        queue(&shop.repo, &[])
            .stdout_contains("would be next, the queue is held")
            .stderr_contains("the queue is held: sale on Friday (by Ada Lovelace <ada@example.org>, ");
        queue(&shop.repo, &["--json"]).stdout_contains("\"waits\":{\"hold\":\"sale on Friday\"}");
        shop.repo.deploy("deploy-status", &[]).stdout_contains("sale on Friday");
        // What has landed may be deployed again.
        shop.deploy(&["master"]).success();
        hold(&shop.repo, "and Saturday", &[]).success().stderr_contains("sale on Friday");
        release(&shop.repo, &[]).success().stderr_contains("and Saturday");
        release(&shop.repo, &[]).success().stderr_contains("the queue is not held");
        shop.deploy(&[]).success();
        assert_eq!(shop.state("login"), "deployed");
        shop.is_sound();
    }
}

#[test]
fn a_queue_that_one_clone_holds_is_held_in_every_other() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "new\n");
    let other = shop.authority().clone_to("other");
    hold(&other, "sale", &[]).success();
    shop.deploy(&[]).code_is(75).stderr_contains("sale");
    release(&shop.repo, &[]).success();
    hold(&other, "sale again", &[]).success();
    shop.repo.set_config("remote.origin.url", "/nowhere/at/all");
    release(&shop.repo, &[]).code_is(75).stderr_contains("nothing was changed");
}

#[test]
fn a_runner_that_watches_goes_on_when_the_queue_is_released() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "new\n");
    hold(&shop.repo, "sale", &[]).success();
    let arguments = ["run", "--watch", "--interval=1"];
    let mut watching = shop.repo.command("git-deploy-queue").args(arguments).start();
    watching.wait_for_words("the queue is held");
    release(&shop.authority().clone_to("other"), &[]).success();
    watching.wait_for_words("Successfully Deployed");
    watching.terminate();
    watching.wait().code_is(143);
}

#[test]
fn what_was_claimed_is_given_up_where_it_is_held_before_anything_changed() {
    for (held, why) in [("", "the queue was held by"), ("login", "branch 'login' was put on hold")] {
        let shop = Shop::with_remote(&sandbox!());
        shop.deployable("login", "login.txt", "new\n");
        let other = shop.authority().clone_to("other");
        let hold = format!("git deploy-queue hold --reason=sale {held}");
        let (there, done) = (other.path().display(), other.path().with_extension("done"));
        shop.authority().install_hook(
            "post-receive",
            &format!(
                "grep -q attempts/deployment-0001 && [ ! -e '{0}' ] && touch '{0}' && unset GIT_DIR && \
                 cd '{there}' && git deploy-sync && {hold}; true",
                done.display()
            ),
        );
        shop.deploy(&[]).code_is(1).stdout_contains(why);
        assert!(shop.tag("deployment-0001").contains("Result: aborted\n"), "{}", shop.tag("deployment-0001"));
        assert_eq!(shop.state("login"), "deployable", "it stays in the queue");
        shop.authority().remove_hook("post-receive");
        release(&other, if held.is_empty() { &[] } else { &["login"] }).success();
        shop.deploy(&[]).success();
        shop.is_sound();
    }
}

#[test]
fn a_hold_that_cannot_be_read_holds_and_can_be_released() {
    for shop in shops() {
        shop.deployable("login", "login.txt", "new\n");
        let commit = shop.authority().id("master");
        shop.authority().git(&["update-ref", "refs/deploy/hold", &commit]);
        shop.deploy(&[]).code_is(75).stderr_contains("its reason cannot be read");
        queue(&shop.repo, &[]).stderr_contains("its reason cannot be read");
        release(&shop.repo, &[]).success();
        shop.deploy(&[]).success();
    }
}

#[test]
fn a_server_takes_holds_and_refuses_what_is_none() {
    let shop = Shop::with_remote(&sandbox!());
    shop.authority().deploy("deploy-init", &["--server"]);
    hold(&shop.repo, "sale", &[]).success();
    hold(&shop.repo, "another sale", &[]).success();
    release(&shop.repo, &[]).success();
    let pushed = shop.repo.try_git(&["push", "origin", "master:refs/deploy/hold"]);
    pushed.code_is(1).stderr_contains("refs/deploy/hold");
    assert_eq!(shop.authority().tip("refs/deploy/hold"), None);
}

#[test]
fn where_approvals_are_signed_who_may_approve_holds_and_releases() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("login", "login.txt", "new\n");
    let other = shop.authority().clone_to("other");
    other.deploy("deploy-sync", &[]);
    hold(&other, "sale", &["login"])
        .code_is(128)
        .stderr_contains("cannot sign")
        .stderr_contains("hold the whole queue with: git deploy-queue hold --reason=<text>");
    Key::new(shop.repo.sandbox(), "bob").signs_in(&other);
    hold(&other, "sale", &["login"])
        .code_is(1)
        .stderr_contains("hold the whole queue with: git deploy-queue hold --reason=<text>");
    hold(&shop.repo, "sale", &["login"]).success();
    queue(&shop.repo, &[]).stdout_contains("held: sale");
    release(&shop.repo, &["login"]).success();
    shop.deploy(&[]).success();
    assert_eq!(shop.state("login"), "deployed");
}

#[test]
fn what_comes_after_another_branch_waits_until_that_is_deployed_or_gone() {
    for shop in shops() {
        for name in ["web", "docs", "api"] {
            shop.deployable(name, &format!("{name}.txt"), "new\n");
        }
        let set = |arguments: &[&str]| {
            shop.repo.try_deploy("deploy-state", &[&["set", "deployable"], arguments].concat())
        };
        set(&["--after=apy", "web"]).code_is(128).stderr_contains("there is no branch 'apy'");
        set(&["--after=web", "web"]).code_is(1).stderr_contains("it would wait for itself");
        set(&["--after=api", "web"]).success().stderr_contains("still deployable, after 'api'");
        set(&["--after=web", "api"]).code_is(1).stderr_contains("it would wait for itself");
        set(&["--after=api", "docs"]).success();
        set(&["--after=", "docs"]).success().stderr_contains("after no other branch");
        queue(&shop.repo, &[])
            .stdout_contains("waits until 'api' is deployed")
            .stdout_contains("behind 'docs'");
        // Also where somebody names it.
        shop.deploy(&["web"]).code_is(1).stderr_contains("'web': it waits until 'api' is deployed");
        queue(&shop.repo, &["run"]).success();
        let landed = shop.authority().git(&["log", "--reverse", "--format=%s", "master"]).stdout;
        assert!(landed.ends_with("Change docs.txt\nChange api.txt\nChange web.txt\n"), "{landed}");
        shop.is_sound();
    }
}

#[test]
fn who_holds_a_branch_is_told_through_rebases_and_whatever_is_said_of_it_besides() {
    let shop = Shop::alone(&sandbox!());
    let repo = &shop.repo;
    shop.deployable("login", "login.txt", "x\n");
    let grace = repo.command("git-deploy-queue").args(["hold", "--reason=sale", "login"]);
    grace.env("GIT_AUTHOR_NAME", "Grace").env("GIT_COMMITTER_NAME", "Grace").output().success();
    repo.deploy("deploy-state", &["set", "deployable", "--priority=2", "login"]);
    shop.on_master("other.txt", "x\n");
    let before = repo.id("login");
    repo.deploy("deploy-rebase", &[]);
    assert_ne!(repo.id("login"), before);
    repo.deploy("deploy-queue", &["show", "login"])
        .stdout_contains("\n  held: sale (by Grace <ada@example.org>, ");
}

#[test]
fn nobody_waits_for_a_branch_that_was_merged_by_hand() {
    let shop = Shop::alone(&sandbox!());
    let repo = &shop.repo;
    shop.deployable("y", "y.txt", "x\n");
    shop.branch("idea", "idea.txt", "x\n");
    repo.git(&["branch", "fresh"]);
    shop.deployable("z", "z.txt", "x\n");
    let next = |after: &str| {
        repo.deploy("deploy-state", &["set", "deployable", &format!("--after={after}"), "z"]);
        let lines = repo.deploy("deploy-queue", &["--porcelain"]).stdout;
        lines.lines().find(|line| line.contains("/z ")).unwrap_or_default().ends_with(" next")
    };
    assert!(!next("y"));
    repo.git(&["merge", "--quiet", "--ff-only", "y"]);
    assert!(next("y"));
    assert!(!next("idea"));
    repo.git(&["merge", "--quiet", "--no-edit", "idea"]);
    assert!(next("idea"));
    // One that has brought nothing yet is yet to come.
    assert!(!next("fresh"));
    assert!(next("y"));
    let refused = "cannot deploy 'y': it has nothing that 'master' has not";
    shop.deploy(&["y"]).code_is(1).stderr_contains(refused);
    shop.deploy(&[]).success();
}

#[test]
fn what_is_to_be_rebased_is_shown_with_the_base_that_counts_and_how_it_comes_here() {
    let shop = Shop::with_remote(&sandbox!());
    shop.branch("login", "login.txt", "new\n");
    shop.repo.git(&["switch", "--quiet", "login"]);
    shop.repo.git(&["switch", "--quiet", "-c", "side", "master"]);
    shop.repo.commit("side.txt", "side\n", "Go beside");
    shop.repo.switch("login");
    shop.repo.git(&["merge", "--quiet", "--no-edit", "side"]);
    shop.push(&["login"]);
    shop.repo.switch("master");
    shop.repo.git(&["branch", "--quiet", "-D", "login"]);
    queue(&shop.repo, &["show", "login"]).success().stderr_contains(
        "hint: first: git switch login\nhint: make the branch linear with: git rebase --reapply-cherry-picks origin/master login\n",
    );
}
