//! `git deploy` on the `rendered` environment, from the queue to the ledger.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};

#[test]
fn a_deployable_branch_lands_is_tagged_and_annotated() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        shop.deploy(&[]).success();
        let tip = shop.authority().id("login");
        assert_eq!(shop.authority().id("master"), tip);
        assert_eq!(shop.authority().id("deployment-0001^{commit}"), tip);
        let tag = shop.tag("deployment-0001");
        assert!(tag.starts_with("Successfully Deployed\n\nEnvironment: demo\n"), "{tag}");
        for line in [format!("Commit: {tip}"), "Branch: login".into(), "Result: success".into()] {
            assert!(tag.contains(&line), "{line} is not in {tag}");
        }
        assert_eq!(shop.state("login"), "deployed");
        shop.repo.deploy("deploy-state", &["get", "login"]).stdout_is("deployed\n");
        let note = shop.authority().notes_in("refs/notes/deploy")[&tip].clone();
        assert!(note.starts_with("state: deployed\nref: refs/heads/login\n"), "{note}");
        assert!(note.contains("deployment: deployment-0001\nresult: success\n"), "{note}");
        shop.is_sound();
    }
}

#[test]
fn the_environments_branch_holds_one_file_an_object_with_the_commits_image() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let id = shop.deployable("login", "login.txt", "hello\n");
        shop.deploy(&[]).success();
        let web = shop.rendered("deployment.apps_web.yaml");
        assert!(web.contains(&format!("image: littleman-co/shop-web:{}\n", &id[..7])), "{web}");
        let files = shop.authority().git(&["ls-tree", "-r", "--name-only", "rendered/demo"]).stdout;
        assert_eq!(files, "deployment.apps_web.yaml\nservice_web.yaml\n");
        let kept = shop.authority().id("refs/deploy/rendered/demo/0001");
        assert_eq!(kept, shop.authority().id("rendered/demo"));
        assert!(
            shop.tag("deployment-0001").contains(&format!("Image: littleman-co/shop-web:{}\n", &id[..7]))
        );
    }
}

#[test]
fn a_branch_is_rebased_before_it_is_deployed() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let old = shop.deployable("login", "login.txt", "hello\n");
        let base = shop.on_master("other.txt", "other\n");
        shop.deploy(&[]).success();
        let new = shop.authority().id("login");
        assert_ne!(new, old);
        assert_eq!(shop.authority().id("login^"), base);
        assert_eq!(shop.authority().id("master"), new);
        assert_eq!(shop.repo.id("login"), new, "the local branch follows");
        let notes = shop.authority().notes_in("refs/notes/deploy");
        assert!(notes[&new].contains(&format!("rebased-from: {old}\nonto: {base}\n")), "{}", notes[&new]);
        assert!(notes[&new].contains(&format!("root: {old}\n")), "{}", notes[&new]);
        assert!(notes[&old].contains("deployment: deployment-0001\nresult: success\n"), "{}", notes[&old]);
    }
}

#[test]
fn the_queue_is_worked_off_in_order() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deployable("two", "two.txt", "2\n");
        shop.repo.git(&["switch", "--quiet", "--detach"]);
        shop.deploy(&[]).success().stdout_contains("deployment-0001").stdout_contains("'one'");
        shop.deploy(&[]).success().stdout_contains("deployment-0002").stdout_contains("'two'");
        shop.deploy(&[]).success().stderr_contains("the queue is empty");
        assert!(shop.tag("deployment-0002").contains("Previous: deployment-0001\n"));
        assert_eq!(shop.authority().git(&["rev-list", "--count", "master"]).line(), "3");
        shop.is_sound();
    }
}

#[test]
fn an_image_with_a_moving_tag_fails_the_deployment_and_the_branch_is_staged() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let base = shop.authority().id("master");
        shop.deployable(
            "latest",
            "deploy/web.yaml",
            &WEB.replace("littleman-co/shop-web:any", "nginx:latest"),
        );
        shop.deploy(&[]).code_is(1).stdout_contains("Failed Deployment").stdout_contains("nginx:latest");
        let tag = shop.tag("deployment-0001");
        assert!(
            tag.starts_with("Failed Deployment\n") && tag.contains("Result: failure\nReason: lint: "),
            "{tag}"
        );
        assert_eq!(shop.authority().id("master"), base);
        assert_eq!(shop.authority().tip("rendered/demo"), None);
        assert_eq!(shop.state("latest"), "staged");
        let note = shop.authority().notes_in("refs/notes/deploy")[&shop.authority().id("latest")].clone();
        assert!(note.contains("reason: deployment-0001: lint: "), "{note}");
        shop.deploy(&[]).success().stderr_contains("the queue is empty");
        shop.is_sound();
    }
}

#[test]
fn what_cannot_be_rendered_on_base_either_is_no_fault_of_a_branch() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        // Somebody pushed to base past the queue.
        shop.on_master("deploy/bad.yaml", "kind: [\n");
        shop.deploy(&[])
            .code_is(75)
            .stderr_contains("it is the same on 'master': ")
            .stderr_contains("hint: ");
        assert_eq!(shop.authority().tip("refs/tags/deployment-0001"), None);
        assert_eq!(shop.state("login"), "deployable");
        // What a branch brings besides is its own.
        shop.deployable("worse", "deploy/bad.yaml", "kind: {\n");
        shop.deploy(&["worse"]).code_is(1);
        shop.repo.git(&["switch", "--quiet", "-c", "mended", "master"]);
        shop.repo.commit("deploy/bad.yaml", "# nothing\n", "Mend base");
        shop.push(&["mended"]);
        shop.repo.git(&["switch", "--quiet", "master"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "mended"]);
        shop.deploy(&["mended"]).success();
        shop.deploy(&[]).success().stdout_contains("'login'");
        shop.is_sound();
    }
}

#[test]
fn a_branch_that_conflicts_becomes_broken_and_the_next_one_is_taken() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("clash", "shared.txt", "theirs\n");
        shop.deployable("fine", "fine.txt", "fine\n");
        shop.on_master("shared.txt", "ours\n");
        shop.deploy(&[]).success().stdout_contains("'fine'").stderr_contains("'clash'");
        assert_eq!(shop.state("clash"), "broken");
        let note = shop.authority().notes_in("refs/notes/deploy")[&shop.authority().id("clash")].clone();
        assert!(note.contains("conflict: shared.txt\n") && note.contains("was: deployable\n"), "{note}");
        shop.deploy(&["clash"]).code_is(1).stderr_contains("broken");
        shop.is_sound();
    }
}

#[test]
fn a_note_with_no_room_for_a_deployment_costs_only_its_own_branch_the_turn() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let full = shop.deployable("full", "full.txt", "full\n");
        shop.deployable("fine", "fine.txt", "fine\n");
        shop.deployable("next", "next.txt", "next\n");
        let note = format!("{}x: ", shop.repo.notes()[&full]);
        let text = format!("{note}{}", "a".repeat(65_434 - note.len()));
        shop.repo.write("../note", text);
        shop.repo.git(&["notes", "--ref=deploy", "add", "--force", "--file=../note", &full]);
        if shop.authority().path() != shop.repo.path() {
            shop.repo.deploy("deploy-sync", &[]);
        }
        shop.on_master("other.txt", "other\n");
        shop.deploy(&[])
            .success()
            .stdout_contains("'fine'")
            .stderr_contains(&format!("cannot deploy 'full': the note on commit '{full}' is too long: "))
            .stderr_contains(&format!("git notes --ref=deploy edit {full}\n"))
            .lacks("were not rebased");
        assert_eq!(shop.authority().id("next^"), shop.authority().id("master"));
        assert_eq!((shop.authority().id("full"), shop.state("full")), (full, "deployable".to_owned()));
        shop.deploy(&["full"]).code_is(1).stderr_contains("is too long");
        shop.is_sound();
    }
}

#[test]
fn a_branch_cannot_grant_itself_an_environment_or_a_rule() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let greedy = format!(
            "{}[environment.demo.lint]\nimage-tag = \"off\"\n",
            DEPLOY_TOML.replace("rendered/demo", "rendered/other")
        );
        shop.repo.git(&["switch", "--quiet", "-c", "greedy"]);
        let files = [
            ("deploy.toml", greedy.as_str()),
            ("deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx")),
        ];
        shop.repo.commit_files(&files, "Help myself");
        shop.push(&["greedy"]);
        shop.repo.git(&["switch", "--quiet", "master"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "greedy"]);
        shop.deploy(&[]).code_is(1).stdout_contains("lint: ");
        shop.is_sound();
    }
}

#[test]
fn only_what_is_deployable_is_deployed() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.branch("login", "login.txt", "hello\n");
        shop.deploy(&["login"])
            .code_is(1)
            .stderr_contains("development")
            .stderr_contains("git deploy-state set");
        shop.deploy(&["nowhere"]).code_is(128).stderr_contains("neither a branch nor a commit");
        shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
        shop.repo.git(&["switch", "--quiet", "login"]);
        shop.repo.commit("login.txt", "unapproved\n", "Sneak in");
        shop.push(&["login"]);
        shop.repo.git(&["switch", "--quiet", "master"]);
        shop.deploy(&[]).success().stderr_contains("the queue is empty");
        assert_eq!(shop.authority().refs().keys().filter(|name| name.starts_with("refs/tags/")).count(), 0);
    }
}

#[test]
fn a_hostile_branch_name_is_quoted_where_a_hint_could_be_pasted() {
    let shop = Shop::alone(&sandbox!());
    let name = "$(touch${IFS}pwned)";
    let quoted = format!("git deploy-state set deployable '{name}'");
    shop.branch(name, "deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx:latest"));
    shop.deploy(&[name]).code_is(1).stderr_contains(&format!("hint: approve it with: {quoted}\n"));
    shop.repo.deploy("deploy-state", &["set", "deployable", name]);
    shop.deploy(&[]).code_is(1).stderr_contains(&format!("then: {quoted}\n"));
    shop.deployable("broken;x", "login.txt", "theirs\n");
    shop.on_master("login.txt", "ours\n");
    shop.deploy(&["broken;x"])
        .code_is(1)
        .stderr_contains("git rebase --reapply-cherry-picks master 'broken;x'\n");
}

#[test]
fn manifests_that_do_not_parse_are_named_with_file_document_and_line() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("typo", "deploy/web.yaml", &format!("{WEB}---\napiVersion: v1\nkind: [\n"));
        let output = shop.deploy(&[]);
        output.code_is(1).stdout_contains("deploy/web.yaml").stdout_contains("document 3");
        assert_eq!(shop.state("typo"), "staged");
    }
}

#[test]
fn secrets_never_reach_a_branch() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: hush}\n";
        shop.deployable("secret", "deploy/key.yaml", secret);
        shop.deploy(&[]).code_is(1).stdout_contains("Secret");
        assert_eq!(shop.authority().tip("refs/deploy/rendered/demo/0001"), None);
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        shop.deployable("login", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
        let before = (shop.repo.refs(), shop.authority().refs());
        let output = shop.deploy(&["--dry-run"]);
        output.success().stdout_contains("would deploy 'login'").stdout_contains("deployment-0002");
        output.stdout_contains("change  Deployment 'web'").stdout_contains("keep    Service 'web'");
        assert_eq!((shop.repo.refs(), shop.authority().refs()), before);
    }
}

#[test]
fn an_object_that_is_gone_from_the_manifests_is_gone_from_the_branch() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        let without = WEB.split("---\n").next().unwrap_or_default();
        shop.deployable("less", "deploy/web.yaml", without);
        shop.deploy(&["--dry-run"]).success().stdout_contains("delete");
        shop.deploy(&[]).success();
        assert_eq!(
            shop.authority().git(&["ls-tree", "--name-only", "rendered/demo"]).line(),
            "deployment.apps_web.yaml"
        );
        assert_eq!(shop.authority().git(&["rev-list", "--count", "rendered/demo"]).line(), "2");
    }
}

#[test]
fn base_without_deploy_toml_is_an_error_that_says_what_to_do() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("plain");
    repo.commit("a.txt", "a\n", "Begin");
    let output = repo.try_deploy("deploy", &[]);
    output.code_is(128).stderr_contains("deploy.toml").stderr_contains("git deploy-init");
}

#[test]
fn the_verdict_is_the_last_line_of_json() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("latest", "deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx"));
        let output = shop.deploy(&["--json"]);
        output.code_is(1);
        let last = output.lines().last().map(|line| (*line).to_owned()).unwrap_or_default();
        for part in [
            r#""event":"verdict""#,
            r#""deployment":"deployment-0001""#,
            r#""blame":"branch""#,
            r#""exit":1"#,
        ] {
            assert!(last.contains(part), "{part} is not in {last}");
        }
    }
}

#[test]
fn a_word_in_place_of_a_hyphen_is_a_usage_error_with_the_right_name() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    shop.deploy(&["state", "get"]).code_is(129).stderr_contains("git deploy-state");
}

#[test]
fn base_checked_out_with_changes_refuses_before_the_claim() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.write("deploy.toml", "# changed\n");
    shop.deploy(&[]).code_is(1).stderr_contains("uncommitted changes");
    assert_eq!(shop.repo.tip("refs/deploy/attempts/deployment-0001"), None);
    assert_eq!(shop.repo.read("deploy.toml"), "# changed\n");
}

#[test]
fn a_clean_work_tree_follows_base() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.write("untracked.txt", "mine\n");
    shop.deploy(&[]).success();
    assert_eq!(shop.repo.read("login.txt"), "hello\n");
    assert_eq!(shop.repo.read("untracked.txt"), "mine\n");
    assert_eq!(shop.repo.git(&["status", "--porcelain", "--untracked-files=no"]).stdout, "");
}

#[test]
fn after_a_landing_the_branches_that_are_kept_on_base_are_rebased() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("first", "first.txt", "1\n");
        shop.deployable("second", "second.txt", "2\n");
        shop.branch("idle", "idle.txt", "i\n");
        shop.branch("ready", "ready.txt", "r\n");
        shop.branch("clash", "first.txt", "other\n");
        shop.repo.deploy("deploy-state", &["set", "staged", "ready", "clash"]);
        let idle = shop.authority().id("idle");
        shop.deploy(&["first"]).success().stderr_contains("'clash' is broken");
        let base = shop.authority().id("master");
        assert_eq!(shop.authority().id("second^"), base);
        assert_eq!(shop.authority().id("ready^"), base);
        assert_eq!(shop.authority().id("idle"), idle, "who works on it rebases it");
        assert_eq!(shop.repo.id("ready"), shop.authority().id("ready"), "the local branch follows");
        assert_eq!(
            ["second", "ready", "clash"].map(|name| shop.state(name)),
            ["deployable", "staged", "broken"]
        );
        // It still is, which nobody needs to be told again.
        shop.deploy(&["second"]).success().lacks("'clash' is broken");
        assert_eq!(shop.state("clash"), "broken");
        shop.is_sound();
    }
}

#[test]
fn a_clean_local_base_follows_what_was_pushed() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deploy(&[]).success();
    assert_eq!(shop.repo.id("master"), shop.authority().id("master"));
    assert_eq!(shop.repo.read("login.txt"), "hello\n");
    shop.deployable("again", "again.txt", "x\n");
    shop.repo.write("login.txt", "mine\n");
    shop.deploy(&[]).success();
    assert_eq!(shop.repo.read("login.txt"), "mine\n", "changed files are never touched");
}

#[test]
fn all_branches_that_were_approved_with_the_same_tip_are_deployed_with_it() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.branch("one", "one.txt", "1\n");
        shop.repo.git(&["branch", "two", "one"]);
        shop.push(&["two"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "one", "two"]);
        shop.deploy(&[]).success();
        assert_eq!(["one", "two"].map(|name| shop.state(name)), ["deployed", "deployed"]);
    }
}

#[test]
fn what_stands_there_is_not_deployed_again_and_nothing_goes_back_by_being_named() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let before = shop.authority().id("master");
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        shop.deploy(&[&shop.authority().id("master")]).success().stderr_contains("by deployment-0001");
        let older = shop.deploy(&[&before]);
        older.code_is(1).stderr_contains("is older than what was deployed");
        older.stderr_contains("git deploy --env=demo --rollback; or revert");
        let hotfix = shop.on_master("hotfix.txt", "fixed\n");
        shop.deploy(&[&hotfix]).success().stdout_contains("deployment-0002");
        shop.is_sound();
    }
}

#[test]
fn a_remote_that_is_added_later_gets_what_was_deployed_before() {
    let (sandbox, shop) = {
        let sandbox = sandbox!();
        let shop = Shop::alone(&sandbox);
        (sandbox, shop)
    };
    shop.deployable("one", "one.txt", "1\n");
    shop.deploy(&[]).success();
    let remote = sandbox.bare("late.git");
    shop.repo.add_remote("origin", &remote);
    shop.repo.git(&["push", "--quiet", "origin", "master"]);
    shop.repo.deploy("deploy-sync", &[]);
    for name in ["rendered/demo", "refs/deploy/rendered/demo/0001", "refs/deploy/attempts/deployment-0001"] {
        assert_eq!(remote.tip(name), shop.repo.tip(name), "{name}");
    }
    shop.repo.git(&["switch", "--quiet", "-c", "two"]);
    shop.repo.commit("two.txt", "2\n", "Two");
    shop.repo.git(&["push", "--quiet", "origin", "two"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&[]).success().stdout_contains("deployment-0002");
    assert_eq!(remote.git(&["rev-list", "--count", "rendered/demo"]).line(), "2");
}

#[test]
fn a_note_that_cannot_be_read_is_told_with_its_branch_and_what_to_do() {
    let shop = Shop::alone(&sandbox!());
    let bad = shop.branch("bad", "bad.txt", "1\n");
    shop.repo.git(&["notes", "--ref=deploy", "add", "-m", "state: redy", "bad"]);
    let said = shop.deploy(&["--dry-run"]);
    said.stderr_contains(&format!(
        "warning: 'bad' counts as in development: note on commit '{bad}' is malformed"
    ))
    .stderr_contains(&format!("hint: mend it with: git notes --ref=deploy edit {bad}\n"));
}

#[test]
fn an_environment_that_is_not_there_is_an_error_also_where_nothing_is_queued() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        for arguments in [&["--env=dmo"][..], &["--dry-run", "--env=dmo"]] {
            let output = shop.deploy(arguments);
            output.code_is(128).stderr_contains("there is no environment 'dmo' in base's deploy.toml");
            output.stderr_contains("hint: did you mean 'demo'? there are: demo");
        }
        shop.deploy(&["--env=demo"]).success().stderr_contains("the queue is empty");
    }
}

#[test]
fn what_would_let_nobody_deploy_any_more_does_not_land() {
    let shop = Shop::alone(&sandbox!());
    let onto_base = DEPLOY_TOML.replace("rendered/demo", "master");
    let no_list = format!("{DEPLOY_TOML}\n[approve]\nallowed-signers = \"approvers\"\n");
    let program = DEPLOY_TOML.replace("manifests = [", "render = [\"kubectl\", \"kustomize\", ");
    for (name, text, why) in [
        ("program", program.as_str(), "programs that render manifests are not run by this version: "),
        ("onto-base", onto_base.as_str(), "environment 'demo' would be rendered to base 'master'"),
        ("no-list", no_list.as_str(), "who may approve cannot be read: "),
    ] {
        shop.deployable(name, "deploy.toml", text);
        shop.deploy(&[name])
            .code_is(1)
            .stdout_contains(&format!("nothing could be deployed after it: {why}"));
        assert_eq!(shop.state(name), "staged");
    }
    shop.repo.git(&["switch", "--quiet", "-c", "without", "master"]);
    shop.repo.git(&["rm", "--quiet", "deploy.toml"]);
    shop.repo.git(&["commit", "--quiet", "--message", "Take it out"]);
    shop.repo.switch("master");
    shop.repo.deploy("deploy-state", &["set", "deployable", "without"]);
    shop.deploy(&["without"])
        .code_is(1)
        .stdout_contains("nothing could be deployed after it: it has no 'deploy.toml'");
    shop.deployable("login", "login.txt", "hello\n");
    shop.deploy(&[]).success();
}
