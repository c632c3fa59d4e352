//! `git deploy-diff` on the `rendered` environment.

use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};
use git_deploy_testkit::{Output, sandbox};

fn diff(shop: &Shop, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-diff", arguments)
}

/// A shop in which the first deployment stands.
fn opened(mut shops: [Shop; 2]) -> [Shop; 2] {
    for shop in &mut shops {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
    }
    shops
}

#[test]
fn nothing_deployed_yet_means_that_everything_would_be_created() {
    let shop = Shop::alone(&sandbox!());
    let output = diff(&shop, &[]);
    output
        .code_is(1)
        .stdout_contains("create Deployment 'web'\n--- /dev/null\n+++ b/deployment.apps_web.yaml\n");
    output.stdout_contains("+kind: Deployment\n").stderr_contains("where nothing was deployed yet");
    output.stderr_contains("2 created, 0 changed, 0 deleted, 0 unchanged");
}

#[test]
fn a_change_is_shown_as_a_unified_diff_object_by_object_and_nothing_is_changed() {
    for shop in opened(Shop::both(&sandbox!(), &sandbox!())) {
        shop.branch("more", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
        let before = (shop.repo.refs(), shop.authority().refs());
        let output = diff(&shop, &["more"]);
        output.code_is(1).stdout_contains(
            "change Deployment 'web'\n--- a/deployment.apps_web.yaml\n+++ b/deployment.apps_web.yaml\n",
        );
        output.stdout_contains("-  replicas: 2\n+  replicas: 3\n").lacks("Service 'web'");
        output.stderr_contains(
            "in 'demo', where deployment-0001 stands: 0 created, 1 changed, 0 deleted, 1 unchanged",
        );
        assert_eq!((shop.repo.refs(), shop.authority().refs()), before);
        assert_eq!(shop.state("more"), "development", "nobody need have approved it");
    }
}

#[test]
fn where_nothing_would_change_the_answer_is_0_and_empty() {
    for shop in opened(Shop::both(&sandbox!(), &sandbox!())) {
        let output = diff(&shop, &["one"]);
        output.success().stdout_is("").stderr_contains("0 created, 0 changed, 0 deleted, 2 unchanged");
        diff(&shop, &["-q", "one"]).success().is_silent();
        diff(&shop, &["-v", "one"]).success().stdout_is("keep Deployment 'web'\nkeep Service 'web'\n");
    }
}

#[test]
fn the_commit_that_is_checked_out_is_compared_unless_another_one_is_named() {
    let [shop, _] = opened(Shop::both(&sandbox!(), &sandbox!()));
    shop.repo.switch("one");
    diff(&shop, &[]).success();
    shop.repo.write("deploy/web.yaml", WEB.replace("replicas: 2", "replicas: 7"));
    diff(&shop, &[]).success();
    shop.repo.git(&["commit", "--quiet", "--all", "--message", "More"]);
    diff(&shop, &[]).code_is(1).stdout_contains("+  replicas: 7\n");
    diff(&shop, &["HEAD~"]).success();
    diff(&shop, &["nowhere"]).code_is(128).stderr_contains("'nowhere' is neither a branch nor a commit");
}

#[test]
fn a_branch_that_only_the_remote_has_can_be_named() {
    let [_, shop] = opened(Shop::both(&sandbox!(), &sandbox!()));
    shop.branch("theirs", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
    shop.repo.git(&["branch", "--quiet", "-D", "theirs"]);
    diff(&shop, &["theirs"]).code_is(1).stdout_contains("+  replicas: 3\n");
}

#[test]
fn a_branch_behind_base_is_compared_as_it_would_be_deployed() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.branch("late", "late.txt", "late\n");
        shop.deployable("more", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
        shop.deploy(&[]).success();
        let output = diff(&shop, &["late"]);
        output.code_is(1).stderr_contains(", rebased in 'demo'").lacks("replicas: 2");
        let image = |line: &&str| Some(line.strip_prefix('+')?.split_once("image: ")?.1.to_owned());
        let tag = output.lines().iter().find_map(image);
        shop.repo.deploy("deploy-state", &["set", "deployable", "late"]);
        shop.deploy(&[]).success();
        let web = shop.rendered("deployment.apps_web.yaml");
        assert!(tag.as_ref().is_some_and(|tag| web.contains(tag)), "{tag:?} is not in {web}");
        shop.branch("clash", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 4"));
        shop.on_master("deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 5"));
        diff(&shop, &["clash"])
            .code_is(1)
            .stderr_contains("it cannot be rebased cleanly on 'master'")
            .stderr_contains("hint: conflict in deploy/web.yaml")
            .stdout_is("");
    }
}

#[test]
fn what_would_be_deleted_is_named() {
    for shop in opened(Shop::both(&sandbox!(), &sandbox!())) {
        shop.branch("less", "deploy/web.yaml", WEB.split("---\n").next().unwrap_or_default());
        let output = diff(&shop, &["--porcelain", "less"]);
        output.code_is(1).stdout_is("change Deployment/web validated\ndelete Service/web validated\n");
    }
}

#[test]
fn a_program_reads_records_or_objects() {
    for shop in opened(Shop::both(&sandbox!(), &sandbox!())) {
        let web = WEB
            .replace("replicas: 2", "replicas: 3")
            .replace("metadata:\n  name: web", "metadata:\n  namespace: shop\n  name: web");
        shop.branch("moved", "deploy/web.yaml", &web);
        let output = diff(&shop, &["--porcelain", "-z", "moved"]);
        assert!(output.stdout.contains("create Deployment/shop/web validated\0"), "{output}");
        assert!(output.stdout.contains("delete Deployment/web validated\0"), "{output}");
        let output = diff(&shop, &["--json", "moved"]);
        let head = output.lines()[0].to_owned();
        for part in
            [r#""environment":"demo""#, r#""stands":"deployment-0001""#, r#""created":2"#, r#""deleted":2"#]
        {
            assert!(head.contains(part), "{part} is not in {head}");
        }
        output.stdout_contains(
            r#"{"effect":"create","object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"web"},"validated":true,"diff":"--- /dev/null\n"#,
        );
        // In the same form as every other command.
        shop.repo.deploy("deploy-state", &["set", "deployable", "moved"]);
        shop.deploy(&["--dry-run", "--json"]).success().stdout_contains(
            r#"{"effect":"create","object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"web"},"#,
        );
        diff(&shop, &["--name-only", "moved"])
            .code_is(1)
            .stdout_contains("Deployment/shop/web\n")
            .lacks("replicas");
    }
}

#[test]
fn what_could_not_be_deployed_is_refused_as_the_deployment_would_be() {
    let [shop, _] = opened(Shop::both(&sandbox!(), &sandbox!()));
    shop.branch("latest", "deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx:latest"));
    diff(&shop, &["latest"])
        .code_is(1)
        .stderr_contains("lint: ")
        .stderr_contains("'nginx:latest' of container 'web'")
        .stderr_contains("Deployment 'web' in 'deploy/web.yaml' line 1 (document 1) [image-tag]")
        .stderr_contains(
            "hint: mend that; or have it pass with image-tag = \"warn\" in [environment.demo.lint] of base's",
        )
        .stdout_is("");
    shop.branch("typo", "deploy/web.yaml", "kind: [\n");
    diff(&shop, &["typo"]).code_is(1).stderr_contains("deploy/web.yaml").stdout_is("");
    shop.branch(
        "secret",
        "deploy/key.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: hush}\n",
    );
    diff(&shop, &["secret"]).code_is(1).stderr_contains("Secret").lacks("hush");
    diff(&shop, &["--env=moon", "one"]).code_is(128).stderr_contains("there are: demo");
}

#[test]
fn the_first_environment_where_the_commit_does_not_stand_is_compared() {
    let shop = Shop::alone(&sandbox!());
    let staging = "[environment.staging]\nkind = \"rendered\"\nbranch = \"rendered/staging\"\nmanifests = [\"deploy\"]\n";
    let config = DEPLOY_TOML.replace(
        "[environment.demo]",
        &format!("{staging}[environment.demo]\nafter = \"staging\"\nlands = true"),
    );
    shop.repo.commit("deploy.toml", &config, "Have two");
    shop.deployable("one", "one.txt", "1\n");
    diff(&shop, &["one"]).code_is(1).stderr_contains("in 'staging'");
    diff(&shop, &["--env=demo", "one"]).code_is(1).stderr_contains("in 'demo'");
    shop.deploy(&[]).success().stdout_contains("deployment-staging-0001");
    diff(&shop, &["one"]).code_is(1).stderr_contains("in 'demo'");
    shop.deploy(&[]).success();
    diff(&shop, &["one"]).success().stderr_contains("in 'demo'");
}

#[test]
fn who_has_no_name_may_look() {
    let [shop, _] = opened(Shop::both(&sandbox!(), &sandbox!()));
    let mut run = shop.repo.command("git").args(["-c", "user.useConfigOnly=true", "deploy-diff", "one"]);
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
        run = run.env_remove(name);
    }
    run.output().success();
}

/// What a kubeconfig says of a cluster where nobody listens.
const MOON: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: moon\n  cluster: {server: \"https://127.0.0.1:1\"}\n\
                    users:\n- name: me\n  user: {token: x}\ncontexts:\n- name: moon\n  context: {cluster: moon, user: me}\n";

#[test]
fn a_cluster_that_cannot_be_asked_is_nobodys_fault() {
    let shop = Shop::alone(&sandbox!());
    let config = DEPLOY_TOML.replace(
        "kind = \"rendered\"\nbranch = \"rendered/demo\"",
        "context = \"moon\"\nkube-namespace = \"shop\"",
    );
    shop.repo.commit("deploy.toml", &config, "Go to the moon");
    diff(&shop, &[]).code_is(128).stdout_is("").stderr_contains("kubeconfig");
    let kube = shop.repo.sandbox().home().join(".kube");
    std::fs::create_dir(&kube).expect("the home is new");
    std::fs::write(kube.join("config"), MOON).expect("the folder is new");
    diff(&shop, &[]).code_is(75).stdout_is("").stderr_contains("moon");
}
