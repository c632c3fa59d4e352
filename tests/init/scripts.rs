//! The scripts that are installed, where git-deploy itself cannot do its work: only its one answer stops git.

use std::fs;

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::write_hook;

/// A repository that is set up, with and without a hook of somebody else, and a `PATH` without git-deploy.
struct Scene {
    remote: Repo,
    repo: Repo,
    without: Sandbox,
}

impl Scene {
    fn new(sandbox: &Sandbox, foreign: bool) -> Self {
        let remote = sandbox.bare("remote.git");
        let repo = sandbox.repository("shop");
        repo.commit("a", "a\n", "Begin");
        repo.add_remote("origin", &remote);
        if foreign {
            write_hook(&repo, ".git/hooks/pre-push", "#!/bin/sh\n");
            let output = repo.try_deploy("deploy-init", &[]);
            if !sandbox.runs_configured_hooks() {
                let line = output.stdout.lines().find(|line| line.contains("git-deploy-hook"));
                let line = line.expect("the line is printed");
                write_hook(&repo, ".git/hooks/pre-push", &format!("#!/bin/sh\nset -e\n{line}\ncat >seen\n"));
            }
        } else {
            repo.deploy("deploy-init", &[]);
        }
        Self { remote, repo, without: Sandbox::new() }
    }

    /// Pushes with nothing of ours in `PATH` but what the sandbox without it has. Whether git went on.
    fn pushes(&self, variables: &[(&str, &str)]) -> bool {
        let tip = self.repo.commit_empty("Go on");
        self.runs(&["push", "--quiet", "origin", "master"], variables);
        self.remote.tip("master") == Some(tip)
    }

    /// Runs git with that `PATH`, whatever comes of it.
    fn runs(&self, arguments: &[&str], variables: &[(&str, &str)]) {
        let path = self.without.run("sh", &["-c", "printf %s \"$PATH\""]).stdout;
        let call = self.repo.command("git").args(arguments).env("PATH", path);
        let call = variables.iter().fold(call, |call, (name, value)| call.env(name, *value));
        drop(call.output());
    }
}

#[test]
fn a_program_that_cannot_run_stops_nobody_and_a_refusal_does() {
    for foreign in [false, true] {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox, foreign);
        for (does, goes_on) in [
            ("exit 2", true),
            ("exit 101", true),
            ("exit 127", true),
            ("kill -9 $$", true),
            ("exit 1", false),
        ] {
            scene.without.add_program("git-deploy-hook", &format!("#!/bin/sh\n{does}\n"));
            assert_eq!(scene.pushes(&[]), goes_on, "{does}");
        }
        assert_eq!(fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn the_program_is_found_where_it_is_installed_though_path_does_not_name_that() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, false);
    assert!(scene.pushes(&[]));
    for folder in [".local/bin", ".cargo/bin"] {
        write_hook(
            &scene.repo,
            &format!("../home/{folder}/git-deploy-hook"),
            "#!/bin/sh\necho \"$@\" >called\n",
        );
        assert!(scene.pushes(&[]));
        assert!(scene.repo.read("called").starts_with("pre-push origin "));
        scene.runs(&["commit", "--quiet", "--amend", "--allow-empty", "--message", "Else"], &[]);
        assert_eq!(scene.repo.read("called"), "post-rewrite amend\n");
        scene.repo.git(&["reset", "--quiet", "--hard", "origin/master"]);
        fs::remove_file(sandbox.home().join(folder).join("git-deploy-hook")).unwrap();
        fs::remove_file(scene.repo.path().join("called")).unwrap();
    }
}

#[test]
fn a_foreign_hook_reads_all_that_git_wrote_also_where_ours_has_no_room() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox, true);
    scene.without.add_program("git-deploy-hook", "#!/bin/sh\nexit 0\n");
    assert!(scene.pushes(&[("TMPDIR", "/nowhere")]));
    if !sandbox.runs_configured_hooks() {
        assert!(scene.repo.read("seen").contains(" refs/heads/master "));
    }
}
