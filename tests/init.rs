//! `git deploy-init`: sets up, changes nothing that is not its own, and undoes exactly what it did.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use git_deploy_testkit::{Repo, sandbox};

const HOOKS: [&str; 2] = ["pre-push", "post-merge"];

/// Every file below a folder with its bytes and whether it may be executed.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).into_iter().flatten() {
            let path = entry.expect("a folder can be read to its end").path();
            if path.is_dir() {
                found.insert(format!("{}/", path.display()), (Vec::new(), false));
                folders.push(path);
            } else {
                let metadata = fs::metadata(&path).expect("a link of a test leads somewhere");
                let executable = metadata.permissions().mode() & 0o111 != 0;
                found.insert(
                    path.display().to_string(),
                    (fs::read(&path).expect("a file can be read"), executable),
                );
            }
        }
    }
    found
}

fn write_hook(repo: &Repo, path: &str, text: &str) {
    repo.write(path, text);
    fs::set_permissions(repo.path().join(path), fs::Permissions::from_mode(0o755))
        .expect("it was just written");
}

#[test]
fn a_repository_is_set_up() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    let output = repo.deploy("deploy-init", &[]);
    output
        .stdout_contains("wrote 'deploy.toml'")
        .stdout_contains("installed hook")
        .stderr_contains("hint: git add");
    assert!(repo.read("deploy.toml").contains("[environment.rendered]"));
    assert!(!repo.path().join("deploy").exists());
    for hook in HOOKS {
        let path = repo.git_path("hooks").join(hook);
        assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o100 != 0);
        assert!(fs::read_to_string(path).unwrap().contains("git-deploy-hook"));
    }
    // Nothing that is known to lose notes, and nothing committed.
    let config = repo.git(&["config", "--local", "--list"]).stdout;
    assert!(!config.contains("rewrite") && !config.contains(".push"), "{config}");
    repo.git(&["status", "--porcelain"]).stdout_is("?? deploy.toml\n");
}

#[test]
fn states_are_shown_by_git_log_and_nothing_is_complained_about_before_there_is_one() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]);
    repo.git(&["log"]).stderr_is("");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged"]);
    repo.git(&["notes", "--ref=deploy-remote/origin/deploy", "add", "-m", "state: deployable"]);
    repo.git(&["log"]).stdout_contains("    state: staged").lacks("state: deployable").stderr_is("");
}

#[test]
fn doing_it_again_changes_no_byte_and_says_so() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.deploy("deploy-init", &["--starter"]).stdout_contains("wrote 'deploy/starter.yaml'");
    let before = files(repo.path());
    repo.deploy("deploy-init", &["--starter"]).stdout_is("nothing to do: this repository is set up\n");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    assert_eq!(before, files(repo.path()));
}

#[test]
fn removing_leaves_everything_as_it_was() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "trunk"]);
    repo.add_remote("origin", &bare);
    repo.set_config("notes.displayRef", "refs/notes/review");
    let before = files(repo.path());
    repo.deploy("deploy-init", &["--starter"]).stdout_contains("deploy.base = trunk");
    repo.deploy("deploy-init", &["--remove"])
        .stdout_contains("removed 'deploy.toml'")
        .stdout_contains("removed 'deploy.base = trunk'");
    assert_eq!(before, files(repo.path()));
    repo.deploy("deploy-init", &["--remove"]).stdout_is("nothing to undo: this repository is not set up\n");
    assert_eq!(before, files(repo.path()));
}

#[test]
fn what_the_user_configured_before_stays_when_it_is_undone() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.git(&["config", "--add", "notes.displayRef", "refs/notes/deploy"]);
    repo.git(&[
        "config",
        "--add",
        "remote.origin.fetch",
        "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
    ]);
    repo.set_config("deploy.base", "main");
    let before = repo.read(".git/config");
    repo.deploy("deploy-init", &[]);
    assert_eq!(repo.read(".git/config"), before);
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(repo.read(".git/config"), before);
}

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
    repo.deploy("deploy-init", &[]).stderr_contains("'deploy.toml' is there already");
    assert!(!sandbox.root().join("outside").exists());
}

#[test]
fn a_foreign_hook_keeps_its_bytes_and_its_line_is_printed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let text = "#!/bin/sh\necho mine\n";
    write_hook(&repo, ".git/hooks/pre-push", text);
    let output = repo.try_deploy("deploy-init", &[]);
    output.code_is(1).stderr_contains("was left as it is").stdout_contains("git-deploy-hook pre-push \"$@\"");
    assert_eq!(repo.read(".git/hooks/pre-push"), text);
    assert!(repo.read(".git/hooks/post-merge").contains("git-deploy-hook post-merge"));

    let line = output.stdout.lines().find(|line| line.contains("git-deploy-hook")).unwrap();
    write_hook(&repo, ".git/hooks/pre-push", &format!("#!/bin/sh\n{line}\necho mine\n"));
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");

    repo.deploy("deploy-init", &["--remove"]).stderr_contains("take out its line");
    assert_eq!(repo.read(".git/hooks/pre-push"), format!("#!/bin/sh\n{line}\necho mine\n"));
    assert!(!repo.path().join(".git/hooks/post-merge").exists());
}

#[test]
fn a_hook_of_ours_that_was_edited_is_foreign() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.deploy("deploy-init", &[]);
    let edited = repo.read(".git/hooks/pre-push").replace("exec ", "") + "echo mine\n";
    write_hook(&repo, ".git/hooks/pre-push", &edited);
    repo.deploy("deploy-init", &[]);
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(repo.read(".git/hooks/pre-push"), edited);
}

#[test]
fn a_hook_that_lost_its_mode_is_mended() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.deploy("deploy-init", &[]);
    let path = repo.path().join(".git/hooks/pre-push");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    repo.deploy("deploy-init", &[]).stdout_contains("upgraded hook");
    assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o100 != 0);
}

#[test]
fn hooks_go_where_git_looks_for_them() {
    let sandbox = sandbox!();
    let absolute = sandbox.repository("absolute");
    let folder = sandbox.root().join("my hooks");
    absolute.set_config("core.hooksPath", &folder.display().to_string());
    absolute.deploy("deploy-init", &[]);
    assert!(folder.join("pre-push").exists());
    absolute.deploy("deploy-init", &["--remove"]);
    assert!(!folder.exists());

    // Relative to the top of the work tree, wherever one is in it.
    let relative = sandbox.repository("relative");
    relative.set_config("core.hooksPath", "tools/hooks");
    relative.write("sub/a", "");
    let output = relative.command("git").arg("deploy-init").in_directory("sub").output();
    output.success();
    assert!(relative.path().join("tools/hooks/pre-push").exists());
    assert!(relative.path().join("deploy.toml").exists());
}

#[test]
fn hooks_that_are_switched_off_are_said_to_be() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.set_config("core.hooksPath", "/dev/null");
    let output = repo.try_deploy("deploy-init", &[]);
    output
        .code_is(1)
        .stderr_contains("'core.hooksPath' is '/dev/null'")
        .stdout_contains("wrote 'deploy.toml'");
    repo.deploy("deploy-init", &["--no-hooks"]).stdout_is("nothing to do: this repository is set up\n");
}

#[test]
fn a_folder_of_hooks_that_serves_other_repositories_is_left_alone() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let folder = sandbox.root().join("shared");
    fs::create_dir(&folder).unwrap();
    sandbox.set_global_config("core.hooksPath", &folder.display().to_string());
    repo.try_deploy("deploy-init", &[]).code_is(1).stderr_contains("serves other repositories too");
    assert!(files(&folder).is_empty());
}

#[test]
fn the_folders_of_hook_managers_keep_their_bytes() {
    let sandbox = sandbox!();
    let husky = sandbox.repository("husky");
    husky.set_config("core.hooksPath", ".husky/_");
    write_hook(&husky, ".husky/_/pre-push", "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"\n");
    let before = files(&husky.path().join(".husky"));
    husky.try_deploy("deploy-init", &[]).code_is(1).stderr_contains("of '.husky/pre-push'");
    assert_eq!(before, files(&husky.path().join(".husky")));

    for (name, text, said) in [
        ("lefthook", "#!/bin/sh\ncall_lefthook run \"pre-push\" \"$@\"\n", "lefthook.yml"),
        (
            "pre-commit",
            "#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n",
            ".legacy",
        ),
    ] {
        let repo = sandbox.repository(name);
        write_hook(&repo, ".git/hooks/pre-push", text);
        repo.try_deploy("deploy-init", &[]).code_is(1).stderr_contains(said);
        assert_eq!(repo.read(".git/hooks/pre-push"), text);
    }
}

#[test]
fn a_linked_work_tree_shares_hooks_and_configuration() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["worktree", "add", "--quiet", "-b", "login", "../linked"]);
    let linked = sandbox.open("linked");
    linked.deploy("deploy-init", &[]);
    assert!(repo.path().join(".git/hooks/pre-push").exists());
    assert!(linked.path().join("deploy.toml").exists() && !repo.path().join("deploy.toml").exists());
    linked.deploy("deploy-init", &["--remove"]).stdout_contains("removed 'deploy.toml'");
    assert!(!repo.path().join(".git/hooks/pre-push").exists());
}

#[test]
fn a_bare_repository_gets_what_makes_sense_there() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.deploy("deploy-init", &[]).stderr_contains("run 'git deploy-init' in a clone");
    assert!(bare.path().join("hooks/pre-push").exists() && !bare.path().join("hooks/post-merge").exists());
    assert!(!bare.path().join("deploy.toml").exists());
}

#[test]
fn states_of_the_remote_are_fetched_apart_from_ours() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.deploy("deploy-init", &[]);
    // As long as the remote has none this must not fail.
    repo.git(&["fetch"]);
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged"]);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "refs/notes/deploy"]);
    let other = bare.clone_to("other");
    other.deploy("deploy-init", &[]);
    other.git(&["fetch"]);
    assert!(other.tip("refs/notes/deploy-remote/origin/deploy").is_some());
    assert!(other.tip("refs/notes/deploy").is_none());
    let values = other.git(&["config", "--get-all", "remote.origin.fetch"]);
    assert_eq!(values.lines().len(), 2);
}

#[test]
fn where_there_is_no_master_main_becomes_base() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repo.deploy("deploy-init", &[]).stdout_contains("branches land on 'main'");
    repo.git(&["config", "deploy.base"]).stdout_is("main\n");

    let usual = sandbox.repository("usual");
    usual.commit("a", "a\n", "Begin");
    usual.branch("feature");
    usual.deploy("deploy-init", &[]);
    usual.try_git(&["config", "deploy.base"]).code_is(1);

    // A remote that names its own base decides.
    let bare = sandbox.bare("main.git");
    bare.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repo.commit("a", "a\n", "Begin");
    repo.add_remote("origin", &bare);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "main"]);
    let clone = bare.clone_to("clone");
    clone.branch("feature");
    clone.deploy("deploy-init", &[]);
    clone.try_git(&["config", "deploy.base"]).code_is(1);
}

#[test]
fn base_is_main_or_the_usual_branch_or_the_only_one_and_never_just_what_is_checked_out() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("main");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "main"]);
    repo.branch("login");
    repo.deploy("deploy-init", &[]).stdout_contains("branches land on 'main'");

    let several = sandbox.repository("several");
    several.commit("a", "a\n", "Begin");
    several.git(&["branch", "-m", "trunk"]);
    several.branch("login");
    several
        .try_deploy("deploy-init", &[])
        .code_is(1)
        .stderr_contains(
            "warning: there is no branch 'master' or 'main', and 2 others: which one do branches land on?",
        )
        .stderr_contains("hint: git config deploy.base <branch>");
    several.try_git(&["config", "deploy.base"]).code_is(1);
    several.set_config("init.defaultBranch", "trunk");
    several.deploy("deploy-init", &[]).stdout_contains("branches land on 'trunk'");
}

#[test]
fn a_missing_base_is_told_with_what_there_is_in_its_place() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let hints = |repo: &Repo| {
        let output = repo.try_deploy("deploy-rebase", &[]);
        output.code_is(128).stderr_contains("fatal: base branch 'master' is not there");
        output.stderr.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(hints(&repo), ["hint: commit something first"]);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "trunk"]);
    let name = "hint: name the branch that everything lands on: git config deploy.base";
    assert_eq!(hints(&repo), [format!("{name} <branch>")]);
    repo.git(&["branch", "main"]);
    assert_eq!(hints(&repo), [format!("{name} main")]);
    repo.git(&["branch", "master"]);
    repo.add_remote("origin", &sandbox.bare("origin.git"));
    assert_eq!(hints(&repo), ["hint: push it: git push -u origin master"]);
}

#[test]
fn quiet_says_nothing_but_warnings_and_errors() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &["-q"]).is_silent();
    repo.deploy("deploy-init", &["-q"]).is_silent();
    repo.deploy("deploy-init", &["-q", "--remove"]).is_silent();

    write_hook(&repo, ".git/hooks/pre-push", "#!/bin/sh\necho mine\n");
    repo.try_deploy("deploy-init", &["-q"])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("warning: hook '.git/hooks/pre-push' was left as it is")
        .stderr_contains(
            "warning: put this line behind the first one of '.git/hooks/pre-push': if command -v",
        )
        .lacks("hint: ");
}

#[test]
fn who_sets_a_clone_up_is_told_how_to_get_the_states() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]).lacks("deploy-sync");
    repo.add_remote("origin", &bare);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    let clone = bare.clone_to("clone");
    clone.deploy("deploy-init", &[]).stderr_contains(
        "hint: bring the states and deployments that others have published: git deploy-sync",
    );
}

#[test]
fn a_detached_head_and_no_master_leave_base_to_the_user() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["checkout", "--quiet", "--detach"]);
    repo.git(&["branch", "-D", "master"]);
    repo.try_deploy("deploy-init", &[]).code_is(1).stderr_contains("hint: git config deploy.base <branch>");
}

#[test]
fn hostile_names_are_harmless() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop \u{1b}[31m'$(touch pwned)");
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/$(touch${IFS}pwned);'é"]);
    let output = repo.deploy("deploy-init", &[]);
    output.lacks("\u{1b}").stdout_contains("$(touch${IFS}pwned);'é");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    repo.deploy("deploy-init", &["--remove"]);
    assert!(!repo.path().join("pwned").exists() && !repo.path().join("deploy.toml").exists());
}

#[test]
fn outside_of_a_repository_there_is_nothing_to_set_up() {
    let sandbox = sandbox!();
    let output = sandbox.command("git").arg("deploy-init").output();
    output.code_is(128).stderr_contains("fatal: not a git repository").stderr_contains("hint: ");
    assert!(!sandbox.root().join("deploy.toml").exists());
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
