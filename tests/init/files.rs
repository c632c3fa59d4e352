//! The files of the work tree: what is written, and what is left alone.

use std::os::unix::fs::symlink;

use git_deploy_testkit::sandbox;

use crate::files;

#[test]
fn a_deploy_toml_that_is_tracked_or_changed_stays() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.deploy("deploy-init", &[]);
    repo.git(&["add", "deploy.toml"]);
    repo.deploy("deploy-init", &["--remove"])
        .stderr_contains("'deploy.toml' was left, because git tracks it");
    assert!(repo.path().join("deploy.toml").exists());

    let other = sandbox.repository("other");
    other.deploy("deploy-init", &["--starter"]);
    other.write("deploy.toml", "# mine\n");
    other.write("deploy/more.yaml", "kind: ConfigMap\n");
    other
        .deploy("deploy-init", &["--remove"])
        .stderr_contains("'deploy.toml' was left, because it was changed")
        .stdout_contains("removed 'deploy/starter.yaml'");
    assert_eq!(other.read("deploy.toml"), "# mine\n");
    assert_eq!(other.read("deploy/more.yaml"), "kind: ConfigMap\n");
}

#[test]
fn a_deploy_toml_that_is_there_is_left_as_it_is() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.write("deploy.toml", "# mine\n");
    repo.write("deploy/mine.yaml", "kind: ConfigMap\n");
    repo.deploy("deploy-init", &["--starter"]).stderr_contains("'deploy.toml' is there already");
    assert_eq!(repo.read("deploy.toml"), "# mine\n");
    assert!(!repo.path().join("deploy/starter.yaml").exists());
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(repo.read("deploy.toml"), "# mine\n");
}

#[test]
fn a_deploy_toml_that_is_on_base_is_not_written_once_more() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "old"]);
    repo.commit("deploy.toml", "", "Deploy");
    repo.switch("old");
    repo.deploy("deploy-init", &[]).stderr_contains("'deploy.toml' is on 'master' already");
    assert!(!repo.path().join("deploy.toml").exists());
}

#[test]
fn a_link_that_leads_nowhere_is_not_written_through() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    symlink(sandbox.root().join("outside"), repo.path().join("deploy.toml")).unwrap();
    repo.try_deploy("deploy-init", &[])
        .code_is(1)
        .stderr_contains("nothing can be deployed with it: it is a link that leads nowhere")
        .stderr_contains("hint: move it away, then set up again: mv -i deploy.toml deploy.toml.own");
    assert!(!sandbox.root().join("outside").exists());
}

#[test]
fn a_deploy_toml_with_a_mistake_is_told_with_its_place() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.write("deploy.toml", "\n[biuld]\n");
    repo.try_deploy("deploy-init", &[])
        .code_is(1)
        .stderr_contains("nothing can be deployed with it: deploy.toml:2:2: unknown")
        .lacks("nothing to do");
    assert_eq!(repo.read("deploy.toml"), "\n[biuld]\n");
}

#[test]
fn what_was_written_in_another_work_tree_is_left_and_told() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["worktree", "add", "--quiet", "../login"]);
    repo.command("git").args(["-C", "../login", "deploy-init"]).output().success();
    repo.deploy("deploy-init", &["--remove"])
        .stderr_contains("login/deploy.toml' was left, because it is in another work tree")
        .stderr_contains("hint: unless that is to keep it: rm ");
    assert!(repo.path().join("../login/deploy.toml").exists());
}

#[test]
fn what_cannot_be_written_is_one_clear_error() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    // A file where a folder must be: also root cannot write there.
    repo.write(".git/deploy", "in the way\n");
    let before = files(repo.path());
    repo.try_deploy("deploy-init", &[]).code_is(128).stderr_contains("fatal: cannot use '");
    assert_eq!(before, files(repo.path()));
}

#[test]
fn where_the_sources_are_is_taken_from_the_remote_without_credentials() {
    let sandbox = sandbox!();
    for (name, url, source) in [
        ("https", "https://ada:secret@git.example.org/team/shop", "https://git.example.org/team/shop"),
        ("ssh", "git@git.example.org:team/shop.git", "https://git.example.org/team/shop"),
    ] {
        let repo = sandbox.repository(name);
        repo.commit("a", "a\n", "Begin");
        repo.git(&["remote", "add", "origin", url]);
        repo.deploy("deploy-init", &[]);
        let text = repo.read("deploy.toml");
        assert!(
            text.contains("\n[build]\n") && text.contains(&format!("\nsource = \"{source}\"\n")),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
        repo.deploy("deploy-init", &[]).stdout_contains("nothing to do");
        assert_eq!(repo.read("deploy.toml"), text);
    }
    let repo = sandbox.repository("local");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["remote", "add", "origin", sandbox.root().to_str().expect("UTF-8")]);
    repo.deploy("deploy-init", &[]);
    assert!(repo.read("deploy.toml").contains("\n#source = "));
}

#[test]
fn what_is_tracked_in_another_work_tree_is_told_to_be_taken_out_of_git() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["worktree", "add", "--quiet", "../login"]);
    let there = |arguments: &[&str]| {
        repo.command("git").args(["-C", "../login"]).args(arguments).output().success();
    };
    there(&["deploy-init"]);
    there(&["add", "deploy.toml"]);
    there(&["commit", "--quiet", "-m", "Set up git-deploy"]);
    let told = repo.deploy("deploy-init", &["--remove"]);
    let hint = told.stderr.lines().find_map(|line| line.strip_prefix("hint: unless that is to keep it: "));
    let hint = hint.unwrap_or_else(|| panic!("{told}"));
    assert!(hint.starts_with("git -C ") && hint.ends_with("login rm deploy.toml"), "{told}");
    repo.command("sh").args(["-c", hint]).output().success();
    there(&["diff", "--cached", "--quiet", "--diff-filter=AM"]);
    assert!(!sandbox.root().join("login/deploy.toml").exists());
}
