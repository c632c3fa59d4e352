//! Images of what is deployed.

use git_deploy_testkit::{Output, RefPhase, Victim, sandbox};
use serde_json::{Value, json};

use crate::scene::{IMAGE, NAMES, deployable, registry};

#[test]
fn a_deployment_builds_what_is_missing_and_deploys_it_by_its_digest() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let login = builds.branch("login", "web/index.html", "login\n");
    let output = builds.run("deploy", &["login"]);
    output.success().stderr_contains("Building").stderr_contains("Pushing");
    let pinned =
        builds.build(&["--porcelain", "login"]).success().line().replacen("there ", "", 1).replace(' ', "@");
    assert!(pinned.contains(&login[..7]) && pinned.contains("@sha256:"), "{pinned}");
    let rendered = builds.rendered();
    assert!(rendered.contains(&pinned), "{rendered}");
    let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
    assert_eq!(tag.matches("Image: ").count(), 1, "{tag}");
    assert!(tag.contains(&format!("Image: {pinned}\n")), "{tag}");
    let log = builds.repo.git(&["log", "-1", "--notes=refs/notes/deploy", "master"]).stdout;
    assert_eq!(log.matches("image: ").count(), 1, "{log}");
    assert!(log.contains(&format!("    image: {pinned}\n")), "{log}");
    assert!(log.contains("state: deployed\n") && log.contains("deployment: deployment-0001\n"), "{log}");
    builds.run("deploy-log", &["-v"]).stdout_contains("deployment-0001");
    // What is compared with it is compared by its digest.
    builds.run("deploy-diff", &["login"]).code_is(0).stdout_is("");
}

#[test]
fn what_goes_on_to_the_next_environment_has_the_images_that_were_verified() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let staging = "[environment.staging]\nkind = \"rendered\"\nmanifests = [\"deploy\"]\n\
                   [environment.demo]\nafter = \"staging\"\nlands = true\n";
    builds.change("deploy.toml", |text| text.replace("[environment.demo]\n", staging));
    builds.branch("login", "web/index.html", "login\n");
    builds.run("deploy", &[]).success().stderr_contains("Building");
    let image = |tag: &str| {
        let tag = builds.repo.git(&["cat-file", "tag", tag]).stdout;
        tag.lines().find(|line| line.starts_with("Image: ")).map(str::to_owned)
    };
    let verified = image("deployment-staging-0001").expect("an image");
    // Nobody is asked for what is known.
    registry.stop();
    builds.run("deploy", &[]).success().lacks("Building");
    assert_eq!(image("deployment-0001"), Some(verified.clone()));
    assert!(builds.rendered().contains(verified.trim_start_matches("Image: ")), "{}", builds.rendered());
}

#[test]
fn an_image_that_cannot_be_built_is_the_branchs_verdict_and_a_registry_that_is_away_is_none() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.branch("bad", "web/Containerfile", "FROM scratch\nCOPY nothing /\n");
    builds
        .run("deploy", &[])
        .code_is(1)
        .stdout_contains("Failed Deployment")
        .stdout_contains("build: cannot build image");
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "bad"]).line(), "staged");
    let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
    assert!(tag.contains("Reason: build: "), "{tag}");
    builds.branch("good", "web/index.html", "good\n");
    registry.stop();
    builds.run("deploy", &[]).code_is(75).stderr_contains("cannot ask registry");
    assert_eq!(builds.repo.tip("refs/tags/deployment-0002"), None);
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "good"]).line(), "deployable");
    registry.start_again();
    builds.run("deploy", &[]).success();
    builds.is_tidy();
}

#[test]
fn a_branch_decides_neither_where_images_go_nor_what_brings_them_there() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let fetched = builds.store.path().join("loaded");
    // Base names no images, but where they go; the branch brings the names, and more.
    let own = builds.repo.read("deploy.toml");
    builds.change("deploy.toml", |text| text.replace(NAMES, "").replace(IMAGE, ""));
    let load = format!("load = [\"touch\", \"{}\", \"{{image}}\"]\n{IMAGE}", fetched.display());
    let own = own.replace(&registry.address(), "elsewhere.example.org").replace(IMAGE, &load);
    builds.branch("login", "deploy.toml", &own);
    let output = builds.build(&["login"]);
    output.success().stdout_contains(&registry.address()).lacks("Loading");
    assert!(!fetched.exists(), "{output}");
}

#[test]
fn what_was_built_before_the_branch_was_rebased_is_not_said_to_be_what_was_deployed() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let approved = builds.branch("login", "web/index.html", "login\n");
    builds.build(&["login"]).success();
    builds.repo.commit("other.txt", "other\n", "Something else");
    builds.run("deploy", &["login"]).success().stderr_contains("Building");
    let landed = builds.repo.id("master");
    assert_ne!(landed, approved);
    let log = builds.repo.git(&["log", "-1", "--notes=refs/notes/deploy", "master"]).stdout;
    assert_eq!(log.matches("image: ").count(), 1, "{log}");
    assert!(log.contains(&format!(":{}@sha256:", &landed[..7])), "{log}");
}

#[test]
fn without_building_each_image_that_is_missing_is_named_and_nothing_happens() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let text = builds.repo.read("deploy.toml") + "[[image]]\nname = \"api\"\ncontext = \"web\"\n";
    builds.branch("login", "deploy.toml", &text);
    let commit = builds.repo.id("login");
    let (web, api) = (builds.image("web", &commit), builds.image("api", &commit));
    builds
        .run("deploy", &["--no-build", "login"])
        .code_is(75)
        .stdout_is("")
        .stderr_contains(&format!("images '{web}' and '{api}' are not there\n"))
        .stderr_contains(&format!("hint: build what is missing: git deploy-build {}\n", &commit[..10]))
        .lacks("Building");
    assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None);
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "login"]).line(), "deployable");
    builds.build(&[&commit[..10]]).success();
    builds.run("deploy", &["--no-build", "login"]).success().lacks("Building");
    assert!(builds.rendered().contains(&format!("{web}@sha256:")), "{}", builds.rendered());
}

#[test]
fn without_a_registry_the_builders_own_store_is_where_images_are_missing() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let address = format!("address = \"{}\"", registry.address());
    builds.change("deploy.toml", |text| text.replace(&address, "load = [\"echo\", \"loaded\", \"{image}\"]"));
    builds.change("deploy/web.yaml", |text| text.replace(&format!("{}/", registry.address()), ""));
    let login = builds.branch("login", "web/index.html", "login\n");
    let name = format!("littleman-co/shop-web:{}", &login[..7]);
    let missing = format!("image '{name}' is not there");
    builds.run("deploy", &["--no-build"]).code_is(75).stderr_contains(&missing);
    builds
        .build(&["--porcelain", "login"])
        .success()
        .stdout_is(&format!("built {name} -\n"))
        .stderr_contains(&format!("| loaded {name}\n"));
    // Whether it came into the cluster then nobody knows: it is brought there again.
    builds
        .build(&["login"])
        .success()
        .stdout_is(&format!("{name}\n"))
        .stderr_contains(&format!("| loaded {name}\n"))
        .lacks("Building");
    builds.run("deploy", &["--no-build"]).success().stderr_contains(&format!("| loaded {name}\n"));
    assert!(builds.rendered().contains(&name), "{}", builds.rendered());
}

#[test]
fn a_run_that_is_taken_up_while_the_registry_is_away_burns_no_number_and_takes_nothing_back() {
    // What is written first claims the number, what is written then says that it is being applied.
    for written in [1, 2] {
        let registry = registry!();
        let builds = deployable(&sandbox!(), &registry);
        let login = builds.branch("login", "web/index.html", "login\n");
        let attempts = ["refs/deploy/attempts/*"];
        let switch =
            builds.repo.kill_at_transaction_of(&attempts, written, RefPhase::Committed, Victim::Process);
        builds.run_of("git-deploy").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        registry.stop();
        let output = builds.run("deploy", &[]);
        if written == 1 {
            output.code_is(75).stderr_contains("cannot ask registry");
            assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None, "{output}");
            registry.start_again();
            builds.run("deploy", &[]).success();
        } else {
            output.success().lacks("cannot ask registry");
        }
        let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
        assert!(tag.starts_with(&format!("object {login}")) && tag.contains("@sha256:"), "{tag}");
        assert!(builds.rendered().contains("@sha256:"), "{}", builds.rendered());
        assert_eq!(builds.repo.deploy("deploy-state", &["get", "login"]).line(), "deployed");
    }
}

#[test]
fn a_builder_that_is_named_goes_before_the_one_that_is_configured() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.branch("login", "web/index.html", "login\n");
    builds.repo.git(&["config", "deploy.builder", "nobody"]);
    builds.run("deploy", &["login"]).code_is(128).stderr_contains("deploy.builder");
    builds
        .run("deploy", &["--builder=kaniko", "login"])
        .code_is(129)
        .stderr_contains("buildah, podman, docker");
    builds.run("deploy", &["--builder=buildah", "--no-build", "login"]).code_is(129);
    builds.run("deploy", &["--builder=buildah", "login"]).success().stderr_contains("Building");
}

/// The objects that `--json` prints.
fn events(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn programs_are_told_of_steps_by_their_names_and_of_images_by_name_and_digest() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let steps = builds.repo.read("deploy.toml") + "[build]\nsteps = [\"echo preparing colours\"]\n";
    builds.branch("login", "deploy.toml", &steps);
    let output = builds.run("deploy", &["--json", "login"]);
    let told = events(output.success());
    let texts = |step: &str| {
        let is_it = |event: &&Value| event["event"] == "step" && event["step"] == step;
        told.iter().filter(is_it).map(|event| event["text"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    let log = texts("log");
    assert!(log.contains(&"echo preparing colours | preparing colours"), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("shop-web | STEP 1/")), "{log:?}");
    let image = builds.image("web", "login");
    assert_eq!((texts("building"), texts("pushing")), (vec![image.as_str()], vec![image.as_str()]));
    // Whatever is built, there are no more kinds of steps than these.
    let known = [
        "exporting",
        "preparing",
        "building",
        "pushing",
        "log",
        "claimed",
        "rendering",
        "applying",
        "verifying",
        "landing",
    ];
    let steps = told.iter().filter(|event| event["event"] == "step").map(|event| event["step"].as_str());
    assert!(steps.clone().all(|step| step.is_some_and(|step| known.contains(&step))), "{told:#?}");
    let line = builds.build(&["--json", "login"]).success().line().to_owned();
    let built: Value = serde_json::from_str(&line).expect("JSON");
    let images = &told.last().expect("a verdict")["images"];
    assert_eq!(*images, json!([{ "name": image, "digest": built["digest"] }]), "{built}");
    assert!(built["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{built}");
}

#[test]
fn what_a_builder_says_each_time_is_told_only_to_whoever_wants_to_hear_more() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let routine =
        ["Getting image source signatures", "Writing manifest to image destination", "Storing signatures"];
    builds.branch("quiet", "web/index.html", "quiet\n");
    let output = builds.run("deploy", &["quiet"]);
    output.success().stderr_contains("shop-web | Copying blob sha256:");
    for line in routine {
        output.lacks(line);
    }
    builds.branch("verbose", "web/index.html", "verbose\n");
    let output = builds.run("deploy", &["-v", "verbose"]);
    output.success().stderr_contains("shop-web | Getting image source signatures\n");
}
