//! Of the user's hooks exactly two are run.

use git_deploy_testkit::sandbox;

use crate::{branch, rebase, set, shop};

#[test]
fn pre_rebase_may_forbid_it_and_gets_gits_arguments() {
    let repo = shop(&sandbox!());
    let [one, two] = ["one", "two"].map(|name| branch(&repo, name, name, "x\n"));
    set(&repo, "staged", "one");
    set(&repo, "staged", "two");
    repo.commit("d.txt", "d\n", "Go on");
    repo.install_hook(
        "pre-rebase",
        "echo \"$# $1 $2\" >>seen; [ \"$2\" = two ] || { echo not today >&2; exit 1; }",
    );
    let swept = rebase(&repo, &["--porcelain"]);
    swept.success().stdout_contains(&format!(
        "skipped {one} {one} refs/heads/one the hook pre-rebase refused: not today\n"
    ));
    assert_eq!(repo.id("one"), one);
    assert_ne!(repo.id("two"), two);
    assert_eq!(repo.read("seen"), "2 master one\n2 master two\n");
}

#[test]
fn pre_rebase_is_found_wherever_it_stands_and_from_wherever_a_rebase_is_begun() {
    let repo = shop(&sandbox!());
    let tip = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("sub/d.txt", "d\n", "Go on");
    let refused = |arguments: &[&str]| {
        let call =
            repo.command("git").args(["-C", "sub"]).args(arguments).args(["deploy-rebase", "--porcelain"]);
        call.output().stdout_contains("the hook pre-rebase refused: not here\n");
        assert_eq!(repo.id("login"), tip);
    };
    let hook = |folder: &str| {
        repo.set_config("core.hooksPath", folder);
        repo.install_hook("pre-rebase", "echo not here >&2; exit 1");
    };
    hook("hooks of ours");
    refused(&[]);
    repo.git(&["config", "--unset", "core.hooksPath"]);
    refused(&["-c", "core.hooksPath=hooks of ours"]);
    // None that git would not run.
    let file = repo.path().join("hooks of ours/pre-rebase");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("it is ours");
    repo.set_config("core.hooksPath", "hooks of ours");
    rebase(&repo, &[]).success().stdout_contains("rebased");
}

#[test]
fn post_rewrite_gets_old_and_new_commits_and_no_other_hook_is_run() {
    let repo = shop(&sandbox!());
    let first = branch(&repo, "login", "c.txt", "c\n");
    repo.switch("login");
    let second = repo.commit("c.txt", "c\nc\n", "Second");
    repo.switch("master");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    repo.switch("login");
    let hooks = repo.sandbox().root().join("my hooks");
    repo.set_config("core.hooksPath", hooks.to_str().unwrap());
    repo.install_hook("post-rewrite", "echo \"$*\" >seen; cat >>seen; echo \"$GIT_DEPLOY_WITHIN\" >>seen");
    for forbidden in ["pre-commit", "post-commit", "prepare-commit-msg", "post-checkout", "post-index-change"]
    {
        if forbidden != "post-index-change" {
            repo.install_hook(forbidden, "echo hook $0 >>forbidden");
        }
    }
    rebase(&repo, &[]).success();
    let (new_first, new_second) = (repo.id("login^"), repo.id("login"));
    let mut pairs = [format!("{first} {new_first}"), format!("{second} {new_second}")];
    pairs.sort();
    assert_eq!(repo.read("seen"), format!("rebase\n{}\n{}\n1\n", pairs[0], pairs[1]));
    assert!(!repo.path().join("forbidden").exists());
}

#[test]
fn check_runs_no_hook() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    repo.install_hook("pre-rebase", "echo >>seen; exit 1");
    repo.install_hook("post-rewrite", "echo >>seen");
    rebase(&repo, &["--check"]).success().stdout_contains("rebased");
    assert!(!repo.path().join("seen").exists());
}
