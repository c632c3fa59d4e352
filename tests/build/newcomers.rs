//! What somebody meets who builds for the first time.

use git_deploy_testkit::sandbox;

use crate::scene::{Builds, NAMES, registry};

#[test]
fn a_commit_is_named_in_any_way_that_git_knows() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let built = builds.build(&["--porcelain"]).success().line().replacen("built", "there", 1);
    let id = builds.repo.id("HEAD");
    builds.repo.git(&["tag", "light"]);
    builds.repo.git(&["tag", "--annotate", "--message", "A release", "heavy"]);
    builds.repo.git(&["branch", "a$(touch${IFS}x);b"]);
    for name in ["light", "heavy", "refs/tags/heavy", &id[..7], &id, "master", "a$(touch${IFS}x);b", "@"] {
        builds.build(&["--porcelain", name]).success().stdout_is(&format!("{built}\n"));
    }
    assert!(!builds.repo.path().join("x").exists());
    for name in ["nosuch", "", "HEAD^{tree}", "HEAD:web", "0000000"] {
        builds
            .build(&["--porcelain", "--", name])
            .code_is(128)
            .stdout_is("")
            .stderr_contains(&format!("there is no commit '{name}'"));
    }
    builds.build(&["light", "heavy"]).code_is(129);
}

#[test]
fn it_works_in_a_bare_repository_and_a_linked_work_tree() {
    let sandbox = sandbox!();
    let registry = registry!();
    let builds = Builds::new(&sandbox, &registry, "shop");
    let built = builds.build(&["--porcelain"]).success().line().replacen("built", "there", 1);
    let linked = sandbox.root().join("linked");
    builds.repo.git(&["worktree", "add", "--quiet", "--detach", linked.to_str().expect("UTF-8")]);
    let bare = sandbox.root().join("bare.git");
    builds.repo.git(&["clone", "--quiet", "--bare", ".", bare.to_str().expect("UTF-8")]);
    for place in [&linked, &bare] {
        let place = place.to_str().expect("UTF-8");
        builds.run("-C", &[place, "deploy-build", "--porcelain"]).success().stdout_is(&format!("{built}\n"));
    }
    let outside = sandbox.root().to_str().expect("UTF-8");
    builds
        .run("-C", &[outside, "deploy-build"])
        .code_is(128)
        .stdout_is("")
        .stderr_contains("not a git repository");
}

#[test]
fn what_may_surprise_is_said_to_people() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let note = "note: what is changed and not committed is not in the images\n";
    builds.repo.write("web/index.html", "not committed\n");
    builds.build(&[]).success().stderr_contains(note);
    builds.build(&[]).success().stderr_is("");
    builds.repo.commit("other.txt", "x\n", "Something else");
    builds.repo.write("web/index.html", "not committed\n");
    builds.build(&["HEAD"]).success().lacks(note);
    builds.repo.commit("deploy.toml", NAMES, "No images");
    let brief = &builds.repo.id("HEAD")[..10];
    let nothing = format!(
        "note: nothing to build: there is no [[image]] in deploy.toml of commit '{brief}'\n\
         hint: add one with 'name', the last part of the image's name, and 'context', the directory with its Containerfile\n"
    );
    for arguments in [&[][..], &["--json"], &["--porcelain"], &["--print-names"]] {
        builds.build(arguments).success().stdout_is("").stderr_is(&nothing);
    }
    builds.build(&["-q"]).success().is_silent();
    builds.repo.git(&["rm", "--quiet", "deploy.toml"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Nothing"]);
    builds
        .build(&[])
        .code_is(128)
        .stderr_contains("there is no 'deploy.toml' in commit")
        .stderr_contains("git deploy-init");
}
