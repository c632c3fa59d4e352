//! Where hooks go, and which hooks are left alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use git_deploy_testkit::sandbox;

use crate::write_hook;

#[test]
fn a_foreign_hook_keeps_its_bytes_and_its_line_is_printed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let text = "#!/bin/sh\necho mine\n";
    write_hook(&repo, ".git/hooks/pre-push", text);
    let output = repo.try_deploy("deploy-init", &[]);
    assert_eq!(repo.read(".git/hooks/pre-push"), text);
    if sandbox.runs_configured_hooks() {
        output.success().stdout_contains("configured 'hook.git-deploy-pre-push': git runs ours beside");
        return;
    }
    output.code_is(1).stderr_contains("was left as it is").stdout_contains("git-deploy-hook pre-push \"$@\"");
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
    let edited = repo.read(".git/hooks/pre-push").replace("exit 0", "exit") + "echo mine\n";
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

    let home = sandbox.repository("tilde");
    home.set_config("core.hooksPath", "~/shop hooks");
    home.deploy("deploy-init", &[]);
    assert!(sandbox.home().join("shop hooks/pre-push").exists());

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
fn a_hook_that_calls_ours_and_may_not_be_executed_is_told() {
    let repo = sandbox!().repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo.write(".git/hooks/pre-push", "#!/bin/sh\ngit-deploy-hook pre-push \"$@\"\n");
    let told = repo.try_deploy("deploy-init", &[]);
    // Where git's configuration can name hooks ours runs beside it.
    if repo.sandbox().runs_configured_hooks() {
        return;
    }
    told.stderr_contains("hook '.git/hooks/pre-push' was left as it is: it may not be executed")
        .stdout_contains("chmod +x .git/hooks/pre-push\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(repo.path().join(".git/hooks/pre-push"), mode).expect("it is there");
    repo.deploy("deploy-init", &[]).lacks("left as it is");
}

#[test]
fn a_foreign_hook_that_git_passes_over_is_told_so_with_its_line() {
    let repo = sandbox!().repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo.write(".git/hooks/pre-push", "#!/bin/sh\necho mine\n");
    let told = repo.try_deploy("deploy-init", &[]);
    if !repo.sandbox().runs_configured_hooks() {
        told.stderr_contains("hint: put this line behind the first one of '.git/hooks/pre-push':\n")
            .stderr_contains("hint: and let it be executed, or git does not run it:\n")
            .stdout_contains("chmod +x .git/hooks/pre-push\n");
    }
}

#[test]
fn a_folder_in_place_of_a_hook_is_told_with_how_it_goes_away() {
    let repo = sandbox!().repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    fs::create_dir_all(repo.path().join(".git/hooks/pre-push")).expect("nothing is there");
    let told = repo.try_deploy("deploy-init", &[]);
    told.code_is(1).stderr_contains("it is a folder, which git cannot run");
    let command = told.stdout.lines().find(|line| line.starts_with("mv ")).expect("it is printed");
    repo.command("sh").args(["-c", command]).output().success();
    assert!(repo.path().join(".git/hooks/pre-push").is_file());
}

#[test]
fn hooks_of_ours_that_the_project_has_for_everybody_stay() {
    let repo = sandbox!().repository("shop");
    repo.set_config("core.hooksPath", ".hooks");
    repo.deploy("deploy-init", &[]);
    repo.git(&["add", ".hooks/pre-push"]);
    repo.git(&["commit", "--quiet", "--no-verify", "-m", "Share a hook"]);
    repo.deploy("deploy-init", &["--remove"])
        .stdout_contains("removed hook '.hooks/post-merge'")
        .stderr_contains(
            "note: '.hooks/pre-push' was left, because git tracks it\nhint: git rm .hooks/pre-push\n",
        )
        .lacks("take out its line");
    assert!(repo.path().join(".hooks/pre-push").exists());
}

#[test]
fn where_a_shared_folder_has_no_such_hook_one_is_to_be_written() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    sandbox.set_global_config("core.hooksPath", "~/hooks");
    let told = repo.try_deploy("deploy-init", &[]);
    if !sandbox.runs_configured_hooks() {
        told.stderr_contains("hooks/pre-push' that may be executed, with '#!/bin/sh' in its first line");
    }
}
