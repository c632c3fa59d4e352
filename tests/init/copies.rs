//! What was set up in one repository is not taken away from another, which was copied from it or shares its folder.

use std::fs;

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use super::HOOKS;

fn set_up(sandbox: &Sandbox, name: &str) -> Repo {
    let repo = sandbox.repository(name);
    repo.commit("a.txt", "one\n", "Begin");
    repo.deploy("deploy-init", &["--quiet"]);
    repo
}

fn has_hooks(repo: &Repo) -> bool {
    HOOKS.iter().all(|name| repo.path().join(".git/hooks").join(name).exists())
}

#[test]
fn a_copy_takes_away_its_own_hooks_and_not_those_of_the_original() {
    let sandbox = sandbox!();
    let original = set_up(&sandbox, "original");
    sandbox.run("cp", &["-a", "original", "copy"]);
    let copy = sandbox.open("copy");
    copy.deploy("deploy-init", &["--remove"]).stdout_contains("removed hook '.git/hooks/pre-push'");
    assert!(has_hooks(&original));
    assert!(!has_hooks(&copy));
    assert!(!copy.path().join(".git/deploy").exists());
    original.deploy("deploy-init", &["--remove"]);
    assert!(!has_hooks(&original));
}

#[test]
fn a_repository_that_was_moved_takes_away_all_that_was_set_up_in_it() {
    let sandbox = sandbox!();
    let before = set_up(&sandbox, "before");
    fs::rename(before.path(), sandbox.root().join("after")).expect("a folder can be moved");
    let after = sandbox.open("after");
    after.deploy("deploy-init", &[]).stdout_contains("nothing to do");
    after.deploy("deploy-init", &["--remove"]).stdout_contains("removed hook '.git/hooks/pre-push'");
    assert!(!has_hooks(&after));
    assert!(!after.path().join(".git/deploy").exists());
}

#[test]
fn a_folder_of_hooks_that_two_repositories_name_keeps_those_of_the_one_that_put_them_there() {
    let sandbox = sandbox!();
    let folder = sandbox.root().join("hooks-of-both");
    let [one, other] = ["one", "other"].map(|name| {
        let repo = sandbox.repository(name);
        repo.commit("a.txt", "one\n", "Begin");
        repo.set_config("core.hooksPath", &folder.display().to_string());
        repo.deploy("deploy-init", &["--quiet"]);
        repo
    });
    other.deploy("deploy-init", &["--remove"]);
    assert!(HOOKS.iter().all(|name| folder.join(name).exists()));
    one.deploy("deploy-init", &["--remove"]).stderr_contains(&format!(
        "note: '{}' is outside of this repository: others whose core.hooksPath leads there have lost these hooks, too\n\
         hint: to have them again, in each of those: git deploy-init\n",
        folder.display()
    ));
    assert!(HOOKS.iter().all(|name| !folder.join(name).exists()));
}
