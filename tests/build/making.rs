//! From a commit to images in a registry.

use std::fs;

use git_deploy_testkit::{Output, sandbox};

use crate::scene::{Builds, names, on_path, registry};

#[test]
fn an_image_is_built_from_the_commit_pushed_and_used_again() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let repo = &builds.repo;
    let name = names(repo, "HEAD").trim_end().to_owned();
    // Neither what is changed nor what is new in the work tree gets into it.
    repo.write("web/Containerfile", "nonsense");
    let output = builds.build(&["--porcelain"]);
    output
        .success()
        .stderr_contains("Building")
        .stderr_contains("shop-web | STEP 1")
        .stderr_contains("Pushing");
    let line = output.line().to_owned();
    assert!(line.starts_with(&format!("built {name} sha256:")), "{line}");
    let again = builds.build(&["--porcelain"]);
    assert_eq!(again.success().line(), line.replacen("built", "there", 1));
    again.stderr_is("");
    // Another commit is another image.
    repo.git(&["checkout", "--quiet", "."]);
    repo.commit("web/index.html", "hello again\n", "Change");
    let other = builds.build(&["--porcelain"]);
    assert_ne!(other.success().line().rsplit(' ').next(), line.rsplit(' ').next());
    builds.is_tidy();
}

#[test]
fn two_checkouts_of_a_commit_make_the_same_image() {
    let (one, other) = (registry!(), registry!());
    let sandbox = sandbox!();
    let first = Builds::new(&sandbox, &one, "first");
    let second = Builds::new(&sandbox, &other, "second");
    let tree = |builds: &Builds| builds.repo.git(&["rev-parse", "HEAD:web"]).stdout;
    assert_eq!(tree(&first), tree(&second));
    // The same commit, under a registry each: base says where images go.
    second.repo.git(&[
        "fetch",
        "--quiet",
        first.repo.path().to_str().expect("UTF-8"),
        "HEAD:refs/heads/same",
    ]);
    let digest = |output: &Output| output.success().line().rsplit(' ').next().map(str::to_owned);
    let (here, there) = (first.build(&[]), second.build(&["same"]));
    assert_eq!(digest(&here), digest(&there));
    assert!(digest(&here).is_some_and(|digest| digest.starts_with("sha256:")));
}

#[test]
fn a_digest_is_written_into_the_note_of_the_commit() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.branch("login");
    let commit = builds.repo.commit("login.txt", "a\n", "Login");
    builds.repo.deploy("deploy-state", &["set", "deployable"]);
    let output = builds.build(&[]);
    let pinned = output.success().line().replacen(' ', "@", 1);
    let note = builds.repo.notes_in("refs/notes/deploy")[&commit].clone();
    assert!(note.contains(&format!("image: {pinned}\n")), "{note}");
    assert!(note.starts_with("state: deployable\n"), "{note}");
}

#[test]
fn a_name_that_something_else_has_is_not_taken() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let name = names(&builds.repo, "HEAD").trim_end().to_owned();
    push_by_hand(&builds, &name, "1234");
    let output = builds.build(&[]);
    output
        .code_is(1)
        .stdout_is("")
        .stderr_contains(&format!("'{name}' is there already"))
        .stderr_contains("from '1234'");
}

/// Pushes what is in the work tree under that name, and says that it was made from that commit.
fn push_by_hand(builds: &Builds, name: &str, revision: &str) {
    let context = builds.repo.path().join("web");
    let label = format!("org.opencontainers.image.revision={revision}");
    let context = context.to_str().expect("UTF-8");
    let build = ["bud", "--isolation", "chroot", "--label", &label, "-t", name, context];
    for arguments in [&build[..], &["push", "--tls-verify=false", name]] {
        builds.repo.command("buildah").args(arguments).with_store(&builds.store).output().success();
    }
}

#[test]
fn another_image_under_a_name_that_a_note_knows_is_warned_of() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.branch("login");
    let commit = builds.repo.commit("login.txt", "a\n", "Login");
    builds.repo.deploy("deploy-state", &["set", "deployable"]);
    let first = builds.build(&[]).success().line().replacen(' ', "@", 1);
    let name = first.split('@').next().expect("a name").to_owned();
    builds.repo.write("web/index.html", "something else\n");
    push_by_hand(&builds, &name, &commit);
    let output = builds.build(&[]);
    output.success().stderr_contains(&format!("another image under that name than '{first}'"));
    let note = builds.repo.notes_in("refs/notes/deploy")[&commit].clone();
    assert!(!note.contains(&first) && note.matches("image: ").count() == 1, "{note}");
    builds.build(&[]).success().stderr_is("");
}

#[test]
fn what_cannot_be_built_is_one_clear_error() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.commit("web/Containerfile", "FROM scratch\nCOPY nothing /\n", "Forget a file");
    builds
        .build(&[])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("cannot build image")
        .stderr_contains("nothing");
    builds.repo.git(&["rm", "--quiet", "web/Containerfile"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Forget it"]);
    builds.build(&[]).code_is(1).stderr_contains("neither a 'Containerfile' nor a 'Dockerfile'");
    builds.build(&["--builder=kaniko"]).code_is(129).stderr_contains("kaniko");
    registry.stop();
    builds.build(&["HEAD~2"]).code_is(75).stderr_contains("cannot ask registry");
    builds.is_tidy();
}

#[test]
fn steps_prepare_the_commits_files_and_the_environment_file_reaches_them_and_the_build() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let text = fs::read_to_string(builds.repo.path().join("deploy.toml")).expect("it is there");
    let build = "[build]\nenv-file = \"build.env\"\nsteps = [\"./assets.sh\", \"echo $VERSION >web/two\"]\n";
    let files = [
        ("deploy.toml", format!("{text}{build}")),
        ("build.env", "VERSION=1.2\nNAME=\"shop $VERSION\"\n".to_owned()),
        ("assets.sh", "echo \"making $NAME of $GIT_DEPLOY_COMMIT\"\necho \"$NAME\" >web/one\n".to_owned()),
        (
            "web/Containerfile",
            "FROM scratch\nARG VERSION\nLABEL version=$VERSION\nCOPY one two /\n".to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    builds.repo.commit_files(&files, "Steps");
    builds.repo.git(&["update-index", "--chmod=+x", "assets.sh"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Let it run"]);
    let output = builds.build(&[]);
    output.success().stderr_contains(&format!("./assets.sh | making shop 1.2 of {}", builds.repo.id("HEAD")));
    assert!(!builds.repo.path().join("web/one").exists(), "the work tree is nobody's to write to");
    builds.is_tidy();
    // The first failing command ends it, also in a pipe.
    builds.repo.commit("assets.sh", "#!/bin/sh\nfalse | cat\necho not reached\n", "Fail");
    builds
        .build(&[])
        .code_is(1)
        .stderr_contains("step './assets.sh' failed")
        .lacks("not reached")
        .lacks("STEP 1");
    builds.repo.commit("build.env", "VERSION=1\nA=(\n", "Break it");
    builds
        .build(&[])
        .code_is(1)
        .stderr_contains("environment file 'build.env' has an error")
        .stderr_contains("2");
    builds.repo.git(&["rm", "--quiet", "build.env"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Forget it"]);
    builds.build(&[]).code_is(1).stderr_contains("build.env");
    builds.is_tidy();
}

#[test]
fn podman_builds_and_pushes_as_well() {
    let registry = registry!();
    if !on_path("podman") {
        git_deploy_testkit::skip!("podman is not installed");
    }
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.git(&["config", "deploy.builder", "podman"]);
    let name = names(&builds.repo, "HEAD").trim_end().to_owned();
    let line = builds.build(&["--porcelain"]).success().line().to_owned();
    assert!(line.starts_with(&format!("built {name} sha256:")), "{line}");
    let commit = builds.repo.id("HEAD");
    assert_eq!(builds.labels(&registry, &line)["org.opencontainers.image.revision"], commit.as_str());
    // What one builder has pushed, another one finds.
    let found = builds.build(&["--porcelain", "--builder", "buildah"]);
    assert_eq!(found.success().line(), line.replacen("built", "there", 1));
    builds.is_tidy();
}

#[test]
fn an_image_is_built_on_another_of_the_same_commit_and_loaded_although_both_are_pushed() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let load = "load = [\"buildah\", \"inspect\", \"--format={{.FromImageID}}\", \"{image}\"]\n[[image]]";
    let more = "[[image]]\nname = \"more\"\ncontext = \"more\"\n[build]\nenv-file = \"build.env\"\n";
    builds.change("deploy.toml", |text| text.replace("[[image]]", load) + more);
    let base =
        format!("BASE={}/littleman-co/shop-web:$(printf %.7s $GIT_DEPLOY_COMMIT)\n", registry.address());
    builds.repo.commit("build.env", &base, "Name the base");
    builds.repo.commit("more/Containerfile", "ARG BASE\nFROM $BASE\nCOPY more.html /\n", "Add more");
    builds.repo.commit("more/more.html", "more\n", "Add a page");
    let output = builds.build(&[]);
    output.success();
    assert_eq!(output.stderr.matches("Loading").count(), 2, "{output}");
}
