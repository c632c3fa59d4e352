//! Hooks beside those of others: whoever comes first, both run or the user is told what to put where, and no foreign byte
//! changes.
//!
//! The programs that look after hooks are small ones here, which write what the real ones write as far as it matters:
//! husky 9, lefthook 2, pre-commit 4 and prek 0.5.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use git_deploy_testkit::{Output, Repo, Sandbox, sandbox};

use crate::write_hook;

/// Moves the hook that it finds to `<hook>.legacy`, which it runs too.
const PRE_COMMIT: &str = r#"#!/bin/sh
hook=$(git rev-parse --git-path hooks)/pre-push
case $1 in
uninstall) rm "$hook"; [ ! -e "$hook.legacy" ] || mv "$hook.legacy" "$hook"; exit 0 ;;
esac
if [ -e "$hook" ] && ! grep -q pre-commit.com "$hook"; then mv "$hook" "$hook.legacy"; fi
cat >"$hook" <<'END'
#!/bin/sh
# see https://pre-commit.com
input=$(cat)
if [ -x "$0.legacy" ]; then printf '%s\n' "$input" | "$0.legacy" "$@" || exit; fi
echo ran >>theirs
END
chmod +x "$hook"
"#;

/// Moves the hook that it finds to `<hook>.old`, and forgets it; runs the scripts that its configuration names.
const LEFTHOOK: &str = r#"#!/bin/sh
hook=$(git rev-parse --git-path hooks)/pre-push
case $1 in
uninstall) rm "$hook"; [ ! -e "$hook.old" ] || mv "$hook.old" "$hook"; exit 0 ;;
esac
if [ -e "$hook" ] && ! grep -q lefthook "$hook"; then mv "$hook" "$hook.old"; fi
cat >"$hook" <<'END'
#!/bin/sh
call_lefthook() {
    echo ran >>theirs
    script=.lefthook/pre-push/git-deploy
    if grep -q '^pre-push: {scripts: {git-deploy: ' lefthook.yml; then sh "$script" "$@"; fi
}
call_lefthook "$@"
END
chmod +x "$hook"
touch lefthook.yml
"#;

/// Has git look into a folder that it writes anew, and runs what stands beside that.
const HUSKY: &str = r#"#!/bin/sh
case $1 in
uninstall) git config --unset core.hooksPath; exit 0 ;;
esac
git config core.hooksPath .husky/_
mkdir -p .husky/_
printf '%s\n' '#!/usr/bin/env sh' '. "$(dirname "$0")/h"' >.husky/_/pre-push
cp .husky/_/pre-push .husky/_/post-merge
cat >.husky/_/h <<'END'
s=$(dirname "$(dirname "$0")")/$(basename "$0")
[ ! -f "$s" ] && exit 0
sh -e "$s" "$@"
END
chmod +x .husky/_/pre-push .husky/_/post-merge
[ -e .husky/pre-push ] || echo 'echo ran >>theirs' >.husky/pre-push
"#;

/// A remote and a clone of it, and in that a program that looks after hooks.
struct Scene {
    remote: Repo,
    repo: Repo,
    manager: &'static str,
}

impl Scene {
    fn new(sandbox: &Sandbox, manager: &'static str, script: &str) -> Self {
        sandbox.add_program(manager, script);
        let remote = sandbox.bare(&format!("{manager}.git"));
        let repo = sandbox.repository(manager);
        repo.commit("a", "a\n", "Begin");
        repo.add_remote("origin", &remote);
        repo.git(&["push", "--quiet", "origin", "master"]);
        Self { remote, repo, manager }
    }

    fn install(&self) {
        self.repo.command(self.manager).output().success();
    }

    fn uninstall(&self) {
        self.repo.command(self.manager).arg("uninstall").output().success();
    }

    /// Sets up, and does what the user is told to do. Nothing of anybody else changes by the first.
    fn set_up(&self) -> Output {
        let before = theirs(&self.repo);
        let output = self.repo.try_deploy("deploy-init", &[]);
        let after = theirs(&self.repo);
        for (path, found) in before {
            assert_eq!(Some(&found), after.get(&path), "'{path}' was changed\n{output}");
        }
        if output.code == Some(1) {
            self.obey(&output);
        } else {
            output.success();
        }
        self.repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
        output
    }

    /// Puts each printed line into the file that the hint before it names.
    fn obey(&self, output: &Output) {
        let named = output.stderr.lines().filter(|line| line.starts_with("hint: ") && line.ends_with(':'));
        for (hint, line) in named.zip(output.stdout.lines().filter(|line| line.contains("git-deploy"))) {
            let file = hint.split('\'').nth(1).expect("a hint names its file");
            let there = fs::read_to_string(self.repo.path().join(file)).unwrap_or_default();
            self.repo.write(file, format!("{line}\n{there}"));
        }
    }

    /// Pushes. Whether their hook ran, and ours.
    fn push(&self) -> (bool, bool) {
        fs::remove_file(self.repo.path().join("theirs")).ok();
        let tip = self.repo.commit_empty("Go on");
        self.repo.git(&["notes", "--ref=deploy", "add", "--force", "--message=state: staged", &tip]);
        self.repo.git(&["push", "--quiet", "origin", "master"]);
        let ours = self.remote.tip("refs/notes/deploy") == self.repo.tip("refs/notes/deploy");
        (self.repo.path().join("theirs").exists(), ours)
    }

    /// A push that has to be refused is refused.
    fn refuses(&self) {
        self.repo.git(&["tag", "--force", "deployment-0001"]);
        self.repo.git(&["push", "--quiet", "--no-verify", "origin", "deployment-0001"]);
        self.repo
            .try_git(&["push", "origin", ":deployment-0001"])
            .code_is(1)
            .stderr_contains("'deployment-0001' would be deleted");
    }
}

/// Bytes, mode and time of each file that is not ours, below the folders where hooks may be.
fn theirs(repo: &Repo) -> BTreeMap<String, (Vec<u8>, u32, i64)> {
    let mut found = BTreeMap::new();
    for folder in [".git/hooks", ".husky", ".husky/_", ".lefthook", ".", "../shared"] {
        for entry in fs::read_dir(repo.path().join(folder)).into_iter().flatten() {
            let path = entry.expect("a folder can be read to its end").path();
            let Ok(bytes) = fs::read(&path) else { continue };
            if String::from_utf8_lossy(&bytes).contains("# git-deploy hook:") {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).expect("it was just read");
            let time = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
            found.insert(path.display().to_string(), (bytes, metadata.mode(), time));
        }
    }
    found
}

fn configured(repo: &Repo) -> bool {
    repo.try_git(&["config", "--local", "--get-regexp", "^hook\\."]).code == Some(0)
}

#[test]
fn what_moves_our_hook_and_runs_it_needs_no_second_one() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, "pre-commit", PRE_COMMIT);
    scene.set_up();
    scene.install();
    assert_eq!(scene.push(), (true, true));
    scene.set_up().stdout_is("nothing to do: this repository is set up\n");
    assert!(!configured(&scene.repo));
    assert_eq!(scene.push(), (true, true));
    scene.refuses();

    // An older script of ours is replaced where it stands now.
    let moved = ".git/hooks/pre-push.legacy";
    let older = format!("{}# older\n", scene.repo.read(moved));
    let digest = scene.repo.command("git").args(["hash-object", "--stdin"]).stdin(&older).output();
    let record = scene.repo.read(".git/deploy/init") + &format!("hook {}\t/elsewhere\n", digest.line());
    scene.repo.write(".git/deploy/init", record);
    write_hook(&scene.repo, moved, &older);
    scene.set_up().stdout_is(&format!("upgraded hook '{moved}'\n"));
    assert!(!scene.repo.read(moved).contains("# older"));

    scene.repo.deploy("deploy-init", &["--remove"]).stdout_contains("pre-push.legacy'");
    assert_eq!(scene.push(), (true, false));
    scene.uninstall();
    assert!(!scene.repo.path().join(".git/hooks/pre-push").exists());
}

#[test]
fn where_a_manager_runs_hooks_of_others_ours_is_put_there() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, "pre-commit", PRE_COMMIT);
    scene.install();
    scene.set_up().stdout_contains("installed hook '.git/hooks/pre-push.legacy'");
    assert_eq!(scene.push(), (true, true));
    scene.refuses();
    // It finds ours where it would have put it itself.
    scene.uninstall();
    assert_eq!(scene.push(), (false, true));
    scene.set_up().stdout_is("nothing to do: this repository is set up\n");
    scene.install();
    scene.repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(scene.push(), (true, false));
}

#[test]
fn a_foreign_hook_that_a_manager_runs_already_stays_and_gets_our_line() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, "pre-commit", PRE_COMMIT);
    write_hook(&scene.repo, ".git/hooks/pre-push", "#!/bin/sh\necho mine\n");
    scene.install();
    let output = scene.repo.try_deploy("deploy-init", &[]);
    if sandbox.runs_configured_hooks() {
        output.success();
        assert_eq!(scene.push(), (true, true));
    } else {
        output.code_is(1).stderr_contains(
            "put this line behind the first one of '.git/hooks/pre-push.legacy', which pre-commit runs too:",
        );
    }
    assert_eq!(scene.repo.read(".git/hooks/pre-push.legacy"), "#!/bin/sh\necho mine\n");
}

#[test]
fn both_run_beside_lefthook_whichever_came_first() {
    for ours_first in [false, true] {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox, "lefthook", LEFTHOOK);
        if ours_first {
            scene.set_up();
            scene.install();
            assert_eq!(scene.push(), (true, false), "it forgets the hook that it finds");
        } else {
            scene.install();
        }
        scene.set_up();
        assert_eq!(configured(&scene.repo), sandbox.runs_configured_hooks());
        assert_eq!(scene.push(), (true, true));
        scene.refuses();
        scene.repo.deploy("deploy-init", &["--remove"]);
        assert!(!configured(&scene.repo));
        fs::write(scene.repo.path().join("lefthook.yml"), "").unwrap();
        assert_eq!(scene.push(), (true, false));
        scene.uninstall();
        assert_eq!(scene.push(), (false, false), "nothing of ours comes back");
    }
}

#[test]
fn both_run_beside_husky_whichever_came_first() {
    for ours_first in [false, true] {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox, "husky", HUSKY);
        if ours_first {
            scene.set_up();
        }
        scene.install();
        assert_eq!(scene.push(), (true, false));
        scene.set_up();
        assert_eq!(configured(&scene.repo), sandbox.runs_configured_hooks());
        assert_eq!(scene.push(), (true, true));
        scene.refuses();
        // It writes its folder anew.
        scene.install();
        assert_eq!(scene.push(), (true, true));

        // Without it, ours runs once, and from its own place.
        scene.uninstall();
        scene.set_up();
        assert!(!configured(&scene.repo));
        assert_eq!(scene.push(), (false, true));
        let removed = scene.repo.deploy("deploy-init", &["--remove"]);
        assert!(removed.stdout.contains("removed hook '.git/hooks/pre-push'"), "{removed}");
        assert_eq!(scene.push(), (false, false));
    }
}

#[test]
fn what_is_to_be_taken_out_of_a_managers_files_is_named() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, "husky", HUSKY);
    scene.install();
    scene.repo.write(".husky/pre-push", "git-deploy-hook pre-push \"$@\"\necho ran >>theirs\n");
    drop(scene.repo.try_deploy("deploy-init", &[]));
    scene.repo.deploy("deploy-init", &["--remove"]).stderr_contains(
        "hook '.husky/pre-push' was left as it is: take out its line with 'git-deploy-hook' yourself",
    );
}

#[test]
fn hooks_in_a_folder_that_serves_others_too_run_through_the_configuration_or_are_told() {
    for link in [false, true] {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox, "husky", HUSKY);
        let shared = sandbox.root().join("shared");
        fs::create_dir(&shared).unwrap();
        if link {
            fs::remove_dir_all(scene.repo.path().join(".git/hooks")).unwrap();
            symlink(&shared, scene.repo.path().join(".git/hooks")).unwrap();
        } else {
            sandbox.set_global_config("core.hooksPath", "~/../shared");
        }
        write_hook(&scene.repo, "../shared/pre-push", "#!/bin/sh\necho ran >>theirs\n");
        let before = theirs(&scene.repo);
        let output = scene.repo.try_deploy("deploy-init", &[]);
        let files = fs::read_dir(&shared).unwrap().count();
        assert_eq!(files, 1, "{output}");
        if sandbox.runs_configured_hooks() {
            output.success();
            assert_eq!(scene.push(), (true, true));
        } else {
            output
                .code_is(1)
                .stderr_contains("pre-push' was left as it is: it is there already and is not ours");
            output.stderr_contains("post-merge' was left as it is: its folder serves other repositories too");
            assert_eq!(scene.push(), (true, false));
        }
        scene.repo.deploy("deploy-init", &["--remove"]);
        let after = theirs(&scene.repo);
        let hook = shared.join("pre-push");
        let hook = before.keys().find(|path| path.ends_with(hook.file_name().unwrap().to_str().unwrap()));
        assert_eq!(before.get(hook.unwrap()), after.get(hook.unwrap()));
        assert!(!configured(&scene.repo));
    }
}

#[test]
fn a_hook_that_is_a_link_is_somebodys_and_stays() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.deploy("deploy-init", &[]);
    let ours = repo.read(".git/hooks/pre-push");
    write_hook(&repo, "tools/pre-push", &ours);
    let hook = repo.path().join(".git/hooks/pre-push");
    let link = |to: &Path| {
        fs::remove_file(&hook).unwrap();
        symlink(to, &hook).unwrap();
    };
    link(Path::new("../../tools/pre-push"));
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(fs::read_link(&hook).unwrap(), Path::new("../../tools/pre-push"));

    // One that leads nowhere hinders nothing else.
    link(Path::new("../../nowhere"));
    let output = repo.try_deploy("deploy-init", &[]);
    if !sandbox.runs_configured_hooks() {
        output.stderr_contains("pre-push' was left as it is: it is a link that leads nowhere");
        output.stdout_contains("rm .git/hooks/pre-push && git deploy-init\n");
    }
    assert_eq!(output.code, Some(if sandbox.runs_configured_hooks() { 0 } else { 1 }), "{output}");
    output.stdout_contains("installed hook '.git/hooks/post-merge'");
    assert!(!repo.path().join("nowhere").exists());
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(fs::read_link(&hook).unwrap(), Path::new("../../nowhere"));
}

#[test]
fn an_older_line_in_the_configuration_is_replaced_and_one_of_the_users_stays() {
    let sandbox = sandbox!();
    if !sandbox.runs_configured_hooks() {
        // What an older git does not know it is not given.
        let repo = sandbox.repository("shop");
        write_hook(&repo, ".git/hooks/pre-push", "#!/bin/sh\n");
        repo.try_deploy("deploy-init", &[]).code_is(1);
        assert!(!configured(&repo));
        return;
    }
    let repo = sandbox.repository("shop");
    write_hook(&repo, ".git/hooks/pre-push", "#!/bin/sh\n");
    repo.deploy("deploy-init", &[]);
    let key = "hook.git-deploy-pre-push.command";
    let command = repo.git(&["config", "--local", key]).line().to_owned();
    repo.set_config(key, "older");
    let record = repo.read(".git/deploy/init") + &format!("config {key}\tolder\n");
    repo.write(".git/deploy/init", record);
    repo.deploy("deploy-init", &[]).stdout_contains("configured 'hook.git-deploy-pre-push'");
    repo.git(&["config", "--local", "--get-all", key]).stdout_is(&format!("{command}\n"));
    repo.set_config(key, "my own");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    repo.git(&["config", "--local", "--get-all", key]).stdout_is("my own\n");
}

#[test]
fn a_link_to_a_script_of_the_repository_is_told_by_where_it_leads() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, "links", "");
    write_hook(&scene.repo, "tools/pre-push", "#!/bin/sh\necho ran >>theirs\n");
    fs::create_dir_all(scene.repo.path().join(".git/hooks")).unwrap();
    symlink("../../tools/pre-push", scene.repo.path().join(".git/hooks/pre-push")).unwrap();
    let output = scene.repo.try_deploy("deploy-init", &[]);
    if !sandbox.runs_configured_hooks() {
        output
            .code_is(1)
            .stderr_contains("'.git/hooks/pre-push' was left as it is: it is a link to 'tools/pre-push'")
            .stderr_contains("hint: put this line behind the first one of 'tools/pre-push':\n");
        assert_eq!(scene.push(), (true, false));
        let line = output.stdout.lines().find(|line| line.contains("git-deploy-hook")).unwrap();
        write_hook(&scene.repo, "tools/pre-push", &format!("#!/bin/sh\n{line}\necho ran >>theirs\n"));
        scene.repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    }
    assert_eq!(scene.push(), (true, true));
    scene.refuses();
}

/// A link to what is nobody's to change, a program that is no script, and a script for another interpreter.
#[test]
fn beside_what_no_line_can_be_put_into_a_script_runs_both() {
    let sandbox = sandbox!();
    let says = "#!/usr/bin/awk -f\nBEGIN { print \"ran\" >\"theirs\" }\n";
    for (name, target) in
        [("outside", Some("../../../everybodys")), ("system", Some("/bin/true")), ("awk", None)]
    {
        let scene = Scene::new(&sandbox, name, "");
        let hook = scene.repo.path().join(".git/hooks/pre-push");
        write_hook(&scene.repo, "../everybodys", "#!/bin/sh\necho ran >>theirs\n");
        write_hook(&scene.repo, ".git/hooks/pre-push", says);
        if let Some(target) = target {
            fs::remove_file(&hook).unwrap();
            symlink(target, &hook).unwrap();
        }
        let before = fs::read(&hook).unwrap();
        let output = scene.repo.try_deploy("deploy-init", &[]);
        assert_eq!(fs::read(&hook).unwrap(), before);
        if !sandbox.runs_configured_hooks() {
            output.code_is(1).stderr_contains("hint: have a script in its place run both:\n");
            let command = output.stdout.lines().find(|line| line.contains("git-deploy-hook")).unwrap();
            scene.repo.command("sh").args(["-c", command]).output().success();
            scene.repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
            assert_eq!(fs::read(hook.with_extension("own")).unwrap(), before);
        }
        assert_eq!(scene.push(), (name != "system", true), "{name}");
        scene.refuses();
    }
}
