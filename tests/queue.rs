//! `git deploy-queue`: who is deployed next, as every clone sees it.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Sandbox, sandbox, scene};

fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo
}

fn branch(repo: &Repo, name: &str) -> String {
    scene::branch(repo, name, &format!("{name}.txt"), "x\n")
}

/// The short names of the queue's branches, in order.
fn queue(repo: &Repo) -> Vec<String> {
    let list = repo.deploy("deploy-queue", &["--porcelain"]);
    let name =
        |line: &&str| line.split(' ').nth(2).unwrap_or_default().trim_start_matches("refs/heads/").to_owned();
    list.lines().iter().map(name).collect()
}

/// Puts a line into the note of a branch, as somebody who edits it would.
fn add_to_note(repo: &Repo, branch: &str, line: &str) {
    let note = format!("{}{line}", repo.notes()[&repo.id(branch)]);
    repo.command("git")
        .args(["notes", "--ref=deploy", "add", "-f", "-F", "-", branch])
        .stdin(note)
        .output()
        .success();
}

#[test]
fn an_empty_queue_is_no_error() {
    let repo = shop(&sandbox!());
    branch(&repo, "login");
    repo.deploy("deploy-queue", &[]).stdout_is("").stderr_is("note: the queue is empty\n");
    repo.deploy("deploy-queue", &["list", "--porcelain"]).is_silent();
    repo.deploy("deploy-queue", &["--json"]).is_silent();
}

#[test]
fn who_waits_longest_is_first_unless_another_has_priority() {
    let repo = shop(&sandbox!());
    for name in ["b", "a", "urgent", "staged"] {
        branch(&repo, name);
    }
    for name in ["b", "a", "urgent"] {
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    repo.deploy("deploy-state", &["set", "staged", "staged"]);
    assert_eq!(queue(&repo), ["b", "a", "urgent"]);
    repo.deploy("deploy-state", &["set", "deployable", "--priority=10", "urgent"]);
    assert_eq!(queue(&repo), ["urgent", "b", "a"]);
    // Who leaves and comes back begins anew.
    repo.deploy("deploy-state", &["set", "development", "b"]);
    repo.deploy("deploy-state", &["set", "deployable", "b"]);
    assert_eq!(queue(&repo), ["urgent", "a", "b"]);
}

#[test]
fn each_branch_is_shown_with_what_it_waits_for() {
    let repo = shop(&sandbox!());
    for name in ["api", "web", "late", "held"] {
        branch(&repo, name);
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    add_to_note(&repo, "held", "hold: holiday\npriority: 9\n");
    add_to_note(&repo, "web", "after: api\npriority: 5\n");
    let lines = repo.deploy("deploy-queue", &[]);
    let ends = ["held: holiday", "waits until 'api' is deployed", "next", "behind 'api'"];
    for (line, end) in lines.lines().iter().zip(ends) {
        assert!(line.ends_with(end), "{lines}");
    }
    let json = repo.deploy("deploy-queue", &["--json"]);
    json.stdout_contains("{\"position\":1,\"commit\":\"")
        .stdout_contains("\"ref\":\"refs/heads/held\",\"since\":\"2026-11-20T")
        .stdout_contains(
            "\"by\":\"Ada Lovelace <ada@example.org>\",\"priority\":9,\"waits\":{\"hold\":\"holiday\"}}\n",
        )
        .stdout_contains("\"waits\":{\"after\":\"api\"}}\n")
        .stdout_contains("\"waits\":{\"behind\":\"refs/heads/api\"}}\n");
    assert!(!json.lines()[2].contains("waits"), "{json}");
}

#[test]
fn programs_read_position_commit_ref_and_since() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: deployable", "login"]);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is(&format!("1 {commit} refs/heads/login - next\n"));
    repo.deploy("deploy-queue", &["list", "--porcelain", "-z"])
        .stdout_is(&format!("1 {commit} refs/heads/login - next\0"));
}

#[test]
fn base_symbolic_refs_and_rendered_branches_are_never_queued() {
    let repo = shop(&sandbox!());
    let text =
        "[environment.demo]\nkind = \"rendered\"\nbranch = \"rendered/demo\"\nmanifests = [\"deploy\"]\n";
    repo.commit("deploy.toml", text, "Deploy");
    branch(&repo, "login");
    branch(&repo, "demo");
    repo.git(&["branch", "-m", "demo", "rendered/demo"]);
    repo.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/login"]);
    for name in ["login", "rendered/demo", "master"] {
        let note = format!("state: deployable\nref: refs/heads/{name}\nref: refs/heads/alias");
        repo.git(&["notes", "--ref=deploy", "add", "-m", &note, name]);
    }
    assert_eq!(queue(&repo), ["login"]);
}

#[test]
fn a_malformed_note_takes_only_its_own_branch_out() {
    let repo = shop(&sandbox!());
    let bad = branch(&repo, "bad");
    branch(&repo, "good");
    repo.deploy("deploy-state", &["set", "deployable", "good"]);
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: deployable\nstate: staged", "bad"]);
    repo.deploy("deploy-queue", &["--porcelain"])
        .stdout_contains("refs/heads/good")
        .stderr_contains(&format!(
            "warning: 'bad' counts as in development: note on commit '{bad}' is malformed: "
        ))
        .stderr_contains(&format!("hint: mend it with: git notes --ref=deploy edit {bad}"));
    assert_eq!(queue(&repo), ["good"]);
    // What is told to do does not begin with what is refused as long as nobody mends it.
    repo.deploy("deploy-queue", &["show", "bad"])
        .lacks("set deployable")
        .stderr_contains("hint: mend it with: ");
}

#[test]
fn with_a_remote_its_branches_count_and_local_ones_do_not() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let remote = sandbox.bare("remote.git");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master"]);
    branch(&repo, "pushed");
    branch(&repo, "mine");
    repo.git(&["push", "--quiet", "origin", "pushed"]);
    repo.deploy("deploy-state", &["set", "deployable", "pushed", "mine"]);
    assert_eq!(queue(&repo), ["pushed"]);
    repo.deploy("deploy-state", &["list"])
        .stderr_contains("note: local branch 'mine' is deployable, and is not on 'origin'\nhint: push it: git push -u origin mine\n");
    // A local commit on top is not approved, and does not take the approved one out.
    repo.switch("pushed");
    repo.commit_empty("One more thing");
    assert_eq!(queue(&repo), ["pushed"]);
    repo.deploy("deploy-state", &[]).stdout_is("development\n");
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.deploy("deploy-state", &["list"]).stderr_contains(
        "note: local branch 'pushed' is deployable, and differs from that of 'origin'\nhint: push it: git push origin pushed\n",
    );
    repo.git(&["reset", "--quiet", "--soft", "master"]);
    repo.git(&["commit", "--quiet", "--message", "All at once"]);
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.deploy("deploy-state", &["list"]).stderr_contains(
        "hint: it was rewritten here, from what is there; push it: git push --force-with-lease=pushed:",
    );
    // A bare repository has no remote unless it is configured: its own branches count.
    assert_eq!(queue(&remote), ["pushed"]);
}

#[test]
fn a_deployment_that_is_verified_and_not_landed_is_why_the_queue_waits() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    shop.repo
        .deploy("deploy-queue", &[])
        .stdout_contains("login")
        .stderr_contains("note: deployment-0001 of 'login' is verified, not landed: the queue waits\n")
        .stderr_contains("hint: land it: git deploy --continue\n");
    shop.repo.deploy("deploy-queue", &["--porcelain"]).lacks("waits");
    shop.authority().remove_hook("update");
    shop.deploy(&["--continue"]).success();
    shop.repo.deploy("deploy-queue", &[]).stderr_is("note: the queue is empty\n");
}

#[test]
fn a_rollback_that_base_does_not_follow_holds_the_queue_and_says_so() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        for name in ["one", "two"] {
            shop.deployable(name, &format!("{name}.txt"), "x\n");
            shop.deploy(&[]).success();
        }
        shop.deploy(&["--rollback"]).success();
        shop.deployable("next", "next.txt", "next\n");
        shop.deployable("later", "later.txt", "later\n");
        let output = shop.repo.deploy("deploy-queue", &[]);
        assert!(output.lines()[0].ends_with("would be next, the queue is held"), "{output}");
        output
            .stderr_contains("note: the queue is held: deployment-0003 went back to deployment-0001\n")
            .stderr_contains("hint:     git revert ")
            .stderr_contains("hint: or deploy a branch nevertheless by naming it, which brings back to 'demo' what was rolled back: git deploy <branch>\n");
        let output = shop.repo.deploy("deploy-queue", &["--porcelain"]);
        let last = |index: usize| output.lines()[index].rsplit(' ').next().unwrap_or_default().to_owned();
        assert_eq!((last(0).as_str(), last(1).as_str()), ("held", "behind"), "{output}");
        let output = shop.repo.deploy("deploy-queue", &["--json"]);
        assert!(output.lines()[0].ends_with(r#""waits":{"rollback":"deployment-0003"}}"#), "{output}");
        shop.repo
            .deploy("deploy-queue", &["show", "two"])
            .stdout_contains("two: deployed, landed with deployment-0002, rolled back by deployment-0003\n")
            .stdout_contains("  on 'master', rolled back by deployment-0003\n")
            .stderr_contains("hint:     git revert ");
        let json = shop.repo.deploy("deploy-queue", &["show", "--json", "one", "two"]);
        assert_eq!(
            json.lines().iter().map(|line| line.contains("undone")).collect::<Vec<_>>(),
            [false, true]
        );
        // Somebody decides.
        shop.deploy(&["next"]).success();
        let output = shop.repo.deploy("deploy-queue", &[]);
        output.stdout_contains("later").lacks("held");
    }
}

#[test]
fn a_deployment_that_is_under_way_is_why_the_queue_waits() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deploy(&[]).success();
    let first = shop.repo.git(&["log", "-1", "--format=%B", "refs/deploy/attempts/deployment-0001"]).stdout;
    for (phase, said) in [
        (
            "applying",
            "note: deployment-0002 of 'login' is under way, begun by Ada Lovelace <ada@example.org>: the queue waits\n",
        ),
        ("finished", ""),
    ] {
        let text = first.replace("phase: finished", &format!("phase: {phase}"));
        let commit = shop.repo.command("git").args(["commit-tree", "HEAD^{tree}"]).stdin(text).output();
        shop.repo.git(&["update-ref", "refs/deploy/attempts/deployment-0002", commit.line()]);
        shop.repo.deploy("deploy-queue", &[]).stderr_is(&format!("note: the queue is empty\n{said}"));
    }
    // What nobody can read hides no queue.
    shop.repo.git(&["update-ref", "refs/deploy/attempts/deployment-0002", "HEAD"]);
    shop.repo.deploy("deploy-queue", &[]).stderr_contains(
        "warning: cannot tell what is under way: 'refs/deploy/attempts/deployment-0002' cannot be read",
    );
}

#[test]
fn states_that_a_plain_fetch_brought_are_pointed_out() {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    let other = shop.authority().clone_to("other");
    other.set_config("remote.origin.tagOpt", "--no-tags");
    other.git(&[
        "config",
        "--add",
        "remote.origin.fetch",
        "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
    ]);
    shop.deployable("login", "login.txt", "hello\n");
    let commands: [(&str, &[&str]); 3] =
        [("deploy-queue", &[]), ("deploy-state", &["list"]), ("deploy-state", &["get", "login"])];
    other.git(&["fetch", "--quiet"]);
    for (command, arguments) in commands {
        other
            .deploy(command, arguments)
            .stderr_contains("note: states of 'origin' were fetched and are not merged: git deploy-sync\n");
    }
    other.deploy("deploy-sync", &[]);
    // Ours may be ahead of what was fetched.
    other.set_config("deploy.publish", "false");
    other.deploy("deploy-state", &["set", "staged", "login"]);
    for (command, arguments) in commands {
        other.deploy(command, arguments).lacks("not merged");
    }
}

#[test]
fn the_list_of_states_says_who_since_and_why_apart() {
    let repo = shop(&sandbox!());
    branch(&repo, "login");
    let why = "the design changed\nand changed ".repeat(9);
    repo.deploy("deploy-state", &["set", "staged", "--priority=2", "-m", &why, "login"]);
    let list = repo.deploy("deploy-state", &["list"]);
    assert_eq!(list.lines().len(), 1, "{list}");
    list.stdout_contains(
        "Z, by Ada Lovelace <ada@example.org>, priority 2, \"the design changed and changed the design",
    )
    .stdout_contains("...\"\n");
    repo.deploy("deploy-state", &["set", "staged", "-m", "for friday", "login"])
        .stderr_contains("Set login: still staged, with a new message\n");
    repo.deploy("deploy-state", &["list", "--state=broken"]).stderr_is("note: no branch is broken\n");
}

#[test]
fn a_branch_that_was_merged_by_hand_lets_the_others_pass() {
    let repo = shop(&sandbox!());
    for name in ["y", "z"] {
        branch(&repo, name);
    }
    repo.deploy("deploy-state", &["set", "deployable", "--priority=1", "y"]);
    repo.deploy("deploy-state", &["set", "deployable", "z"]);
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--ff-only", "y"]);
    // It is in development, as nothing of it is left to deploy.
    let porcelain = repo.deploy("deploy-queue", &["--porcelain"]);
    assert!(porcelain.line().contains("/z ") && porcelain.line().ends_with(" next"), "{porcelain}");
    let show = repo.deploy("deploy-queue", &["show", "y"]);
    assert_eq!(show.lines()[0], "y: development, was deployable, and 'master' has all of it now");
    let json = repo.deploy("deploy-queue", &["show", "--json", "y"]);
    json.stdout_contains("\"state\":\"development\",\"merged\":\"refs/heads/master\",").lacks("since");
    // Nobody has to decide about it again, be it there or gone.
    repo.deploy("deploy-state", &["set", "development", "y"]);
    repo.deploy("deploy-queue", &["show", "y"]).stderr_is("");
    repo.deploy("deploy-state", &["set", "deployable", "z"]);
    repo.git(&["merge", "--quiet", "--no-edit", "z"]);
    repo.git(&["branch", "--quiet", "--delete", "z"]);
    repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]).stdout_is("");
}

/// Puts deployments into the ledger that succeeded, and took so many minutes each.
fn took(repo: &Repo, minutes: &[u32]) {
    let commit = repo.id("master");
    for (number, minutes) in (1..).zip(minutes) {
        let message = format!(
            "Successfully Deployed\n\nEnvironment: demo\nCommit: {commit}\nBranch: earlier\n\
             Started: 2026-11-19T12:00:00Z\nFinished: 2026-11-19T12:{minutes:02}:00Z\nResult: success\n"
        );
        repo.git(&["tag", "-a", "-m", &message, &format!("deployment-{number:04}")]);
    }
}

#[test]
fn when_branches_land_is_told_by_how_long_deployments_took() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("a", "a.txt", "x\n");
    shop.deployable("b", "b.txt", "x\n");
    shop.repo.deploy("deploy-queue", &[]).lacks("lands");
    shop.repo.deploy("deploy-queue", &["show", "a"]).stdout_contains(
        "  nobody can tell when it lands: nothing was deployed successfully yet\n  never deployed\n",
    );
    took(&shop.repo, &[19, 59, 20]);
    let list = shop.repo.deploy("deploy-queue", &[]);
    list.stdout_contains("  lands about 1");
    assert!(list.lines()[0].ends_with("Z, in 20 min"), "{list}");
    assert!(list.lines()[1].ends_with(", in 40 min"), "{list}");
    shop.repo.deploy("deploy-queue", &["--porcelain"]).lacks("lands");
    shop.repo
        .deploy("deploy-queue", &["--json"])
        .stdout_contains("\"expected\":{\"starts\":\"2026-11-20T")
        .stdout_contains("\"seconds\":1200,\"basis\":3}");
    shop.repo
        .deploy("deploy-queue", &["show", "b"])
        .stdout_contains(", in 40 min: it takes 20 min, as the last 3 deployments\n");
    shop.repo.deploy("deploy-queue", &["hold", "--reason=sale"]);
    shop.repo.deploy("deploy-queue", &[]).lacks("lands");
    shop.repo
        .deploy("deploy-queue", &["--json"])
        .stdout_contains("\"expected\":{\"unknown\":\"the queue is held\"}");
}

#[test]
fn who_cannot_be_deployed_for_a_mistake_in_deploy_toml_is_not_next() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("first", "first.txt", "x\n");
    shop.deploy(&[]).success();
    shop.deployable("login", "login.txt", "x\n");
    shop.on_master("deploy.toml", "[environment.demo]\nkind = \"renderd\"\n");
    let listed = shop.repo.deploy("deploy-queue", &[]);
    listed.stdout_contains("would be next, and nothing can be deployed").stderr_contains("renderd");
    shop.repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains("refs/heads/login").lacks(" next");
    shop.repo.deploy("deploy-queue", &["--json"]).stdout_contains("\"waits\":{\"unusable\":\"");
    let shown = shop.repo.deploy("deploy-queue", &["show", "login"]);
    shown.stdout_contains("  nothing can be deployed: ").lacks("successfully yet");
    shown.stdout_contains("  nobody can tell when it lands: nothing can be deployed\n");
    shop.repo.try_deploy("deploy-queue", &["next"]).code_is(1).stdout_is("").stderr_contains("renderd");
}

#[test]
fn a_freeze_is_shown_also_of_a_branch_that_has_to_be_rebased_first() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "x\n");
    took(&shop.repo, &[20]);
    let freeze =
        "[[environment.demo.freeze]]\nfrom = \"2000-01-01\"\nto = \"2200-01-01\"\ntime-zone = \"UTC\"\n";
    shop.on_master("deploy.toml", &format!("{}\n{freeze}", shop.repo.read("deploy.toml")));
    let listed = shop.repo.deploy("deploy-queue", &[]);
    listed.stdout_contains("nothing is deployed to demo until 2200-01-01T00:00:00Z");
    // It lands when that is over.
    listed.stdout_contains("lands about 2200-01-01, in ");
}

#[test]
fn who_is_before_a_branch_is_told_as_the_list_has_it() {
    let repo = shop(&sandbox!());
    for name in ["api", "web", "late"] {
        branch(&repo, name);
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    add_to_note(&repo, "web", "after: api\npriority: 5\n");
    repo.deploy("deploy-queue", &["show", "api"]).stdout_contains("place 2 of 3").lacks("behind");
    repo.deploy("deploy-queue", &["show", "web"])
        .stdout_contains("place 1 of 3")
        .stdout_contains("  behind 'api'\n");
    repo.deploy("deploy-queue", &["show", "late"]).stdout_contains("  behind 'api', 'web'\n");
}

#[test]
fn scripts_are_told_who_is_next() {
    let repo = shop(&sandbox!());
    repo.try_deploy("deploy-queue", &["next"]).code_is(1).stderr_contains("note: the queue is empty\n");
    let commit = branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.deploy("deploy-queue", &["next"]).stdout_is(&format!("login {commit}\n"));
    let list = repo.deploy("deploy-queue", &["--porcelain"]).stdout;
    repo.deploy("deploy-queue", &["next", "--porcelain"]).stdout_is(&list);
    add_to_note(&repo, "login", "hold: sale\n");
    repo.try_deploy("deploy-queue", &["next"])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("nobody can be taken");
}

#[test]
fn why_a_branch_does_not_move_is_told_with_all_that_keeps_it() {
    let repo = shop(&sandbox!());
    for name in ["api", "web", "late"] {
        branch(&repo, name);
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    branch(&repo, "idea");
    add_to_note(&repo, "web", "after: api late\nhold: sale\n");
    let told = repo.deploy("deploy-queue", &["show", "web"]);
    assert_eq!(told.stderr.matches("--after=").count(), 1);
    told.stdout_contains("web: deployable, place 2 of 3 in the queue, since 2026-11-20T")
        .stdout_contains("\n  held: sale (by Ada Lovelace <ada@example.org>, 2026-11-20T")
        .stdout_contains(
            ")\n  waits until 'api' is deployed\n  waits until 'late' is deployed\n  behind 'api', 'late'\n",
        )
        .stderr_contains("hint: let it go on with: git deploy-queue release web\n")
        .stderr_contains(
            "hint: let it wait for no other branch: git deploy-state set deployable --after= web\n",
        );
    repo.deploy("deploy-queue", &["show", "--json", "web"])
        .stdout_contains("\"position\":2,\"behind\":[\"refs/heads/api\",\"refs/heads/late\"]")
        .stdout_contains(
            "\"waits\":[{\"hold\":\"sale\",\"by\":\"Ada Lovelace <ada@example.org>\",\"since\":\"2026-",
        )
        .stdout_contains("Z\"},{\"after\":\"api\"},{\"after\":\"late\"}]");
    repo.switch("late");
    repo.deploy("deploy-queue", &["show"])
        .stdout_contains("late: deployable, place 3 of 3")
        .stdout_contains("  behind 'api'\n");
    repo.deploy("deploy-queue", &["show", "idea"])
        .stdout_is("idea: development\n  never deployed\n")
        .stderr_contains("queue it with: git deploy-state set deployable idea\n");
    // What is waited for leaves the queue.
    repo.deploy("deploy-state", &["set", "staged", "api"]);
    repo.deploy("deploy-queue", &["release", "web"]);
    let waits = "waits until 'api' is deployed: that is staged, not queued";
    let go_on = "hint: let it wait for no other branch: git deploy-state set deployable --after= web\n";
    repo.deploy("deploy-queue", &[]).stdout_contains(waits).stderr_contains(go_on);
    repo.deploy("deploy-queue", &["show", "--json", "web"]).stdout_contains(
        "[{\"after\":\"api\",\"reason\":\"that is staged, not queued\"},{\"after\":\"late\"}]",
    );
    repo.deploy("deploy-state", &["set", "deployable", "--after=", "web"]);
    assert_eq!(repo.deploy("deploy-queue", &["next"]).line().split(' ').next(), Some("web"));
}

#[test]
fn what_became_of_a_branch_is_told_also_when_it_is_gone() {
    let shop = Shop::with_remote(&sandbox!());
    let repo = &shop.repo;
    let begun = shop.deployable("login", "login.txt", "hello\n");
    let approved = shop.on_master("other.txt", "x\n");
    assert_ne!(begun, approved);
    shop.deploy(&[]).success();
    let landed = repo.id("master");
    assert_ne!(begun, landed);
    repo.deploy("deploy-queue", &["show", "login"])
        .stdout_contains("login: deployed, landed with deployment-0001\n  deployment-0001  success  demo");
    shop.authority().git(&["branch", "--delete", "--force", "login"]);
    repo.git(&["fetch", "--quiet", "--prune"]);
    repo.git(&["branch", "--delete", "--force", "login"]);
    // By its name, by what was approved, by what landed, and by what its landing brought.
    for said in ["login", &begun, &landed].map(|word| repo.deploy("deploy-queue", &["show", word])) {
        said.stdout_contains("login: gone, landed with deployment-0001\n").stdout_contains("on 'master'");
    }
    repo.deploy("deploy-queue", &["show", "--json", "login"])
        .stdout_contains("\"ref\":\"refs/heads/login\",\"commit\":null,\"state\":null")
        .stdout_contains(&format!("\"approved\":\"{begun}\",\"landed\":\"on-base\""));
    repo.git(&["revert", "--no-edit", &landed]);
    shop.push(&["master"]);
    repo.deploy("deploy-queue", &["show", "login"]).stdout_contains("and taken back since\n");
    repo.try_deploy("deploy-queue", &["show", "logni", "login", "master"])
        .code_is(1)
        .stdout_contains("login: gone")
        .stderr_contains("error: nothing is known of 'logni'")
        .stderr_contains("hint: did you mean 'login'?\n")
        .stderr_contains("error: 'master' is the base that branches land on\n");
}
