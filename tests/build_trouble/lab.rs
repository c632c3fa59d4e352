//! A shop with an image, buildah's own place for it, and what must be so after everything that fails.

use std::fs;
use std::path::{Path, PathBuf};

use git_deploy_testkit::registry::busybox;
use git_deploy_testkit::{Output, Repo, Run, Sandbox, Store};

/// An image that can run steps: `/bin/sh` is a static busybox.
pub(crate) const CONTAINERFILE: &str = "FROM scratch\nCOPY busybox /bin/sh\nCOPY index.html /\n";

/// A shop with one image, `web`.
pub(crate) struct Lab {
    pub(crate) repo: Repo,
    /// Where buildah has its images, containers and temporary files.
    pub(crate) store: Store,
}

/// A lab, where there are buildah and busybox.
#[macro_export]
macro_rules! lab {
    ($sandbox:expr, $name:expr, $registry:expr) => {
        match $crate::lab::Lab::possible() {
            Ok(()) => $crate::lab::Lab::new($sandbox, $name, $registry),
            Err(why) => skip!(&why),
        }
    };
}

/// A registry, where there is one.
#[macro_export]
macro_rules! registry {
    ($options:expr) => {
        match $options.start() {
            Ok(registry) => registry,
            Err(missing) => skip!(&missing.to_string()),
        }
    };
}

impl Lab {
    pub(crate) fn possible() -> Result<(), String> {
        busybox().map_err(|missing| missing.to_string())?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = std::env::split_paths(&path).any(|folder| folder.join("buildah").is_file());
        if is_there { Ok(()) } else { Err("buildah is not installed".to_owned()) }
    }

    /// `registry` is what stands in that section of `deploy.toml`; without any, images stay with buildah.
    pub(crate) fn new(sandbox: &Sandbox, name: &str, registry: &str) -> Lab {
        let store = Store::new(sandbox.root().join(format!("{name}-store")));
        let repo = sandbox.repository(name);
        fs::create_dir_all(repo.path().join("web")).expect("a folder");
        fs::copy(busybox().expect("was asked before"), repo.path().join("web/busybox")).expect("a file");
        repo.git(&["add", "web/busybox"]);
        let files = [
            ("deploy.toml", deploy_toml(registry)),
            ("web/Containerfile", CONTAINERFILE.to_owned()),
            ("web/index.html", "hello\n".to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        repo.commit_files(&files, "Begin");
        Lab { repo, store }
    }

    /// A command with buildah's place, to be completed.
    pub(crate) fn command(&self, program: &str) -> Run {
        self.repo.command(program).with_store(&self.store)
    }

    pub(crate) fn build(&self, arguments: &[&str]) -> Output {
        self.command("git").arg("deploy-build").args(arguments).output()
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Output {
        self.command("git").arg("deploy").args(arguments).output()
    }

    pub(crate) fn buildah(&self, arguments: &[&str]) -> String {
        self.command("buildah").args(arguments).output().success().stdout.clone()
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.store.temporary()
    }

    /// The name of the image of HEAD.
    pub(crate) fn name(&self) -> String {
        self.repo.deploy("deploy-build", &["--print-names"]).line().to_owned()
    }

    /// Commits one file, which may be executable.
    pub(crate) fn commit(&self, path: &str, text: &str) -> String {
        self.repo.commit(path, text, &format!("Change {path}"))
    }

    /// Adds lines to `deploy.toml`.
    pub(crate) fn configure(&self, lines: &str) {
        let text = self.repo.read("deploy.toml");
        self.commit("deploy.toml", &format!("{text}{lines}"));
    }

    /// Nothing of a build is left: no container, no temporary file.
    #[track_caller]
    pub(crate) fn is_tidy(&self) {
        let left = files(&self.temporary());
        assert!(left.is_empty(), "temporary files are left: {left:?}");
        assert_eq!(self.buildah(&["containers", "--quiet"]), "", "a container is left");
    }

    /// Nothing bears a name.
    #[track_caller]
    pub(crate) fn has_no_image(&self) {
        let names = self.buildah(&["images", "--format", "{{.Name}}"]);
        assert_eq!(names.replace("<none>", "").trim(), "", "an image has a name");
    }
}

pub(crate) fn deploy_toml(registry: &str) -> String {
    format!(
        "[image-name]\ncontainer-namespace = \"littleman-co\"\nproject-namespace = \"shop\"\n\
         [registry]\n{registry}\n[[image]]\nname = \"web\"\ncontext = \"web\"\n"
    )
}

/// Whether podman is there, which is then found with all that it needs: some of it is where only root's search path leads.
pub(crate) fn has_podman(sandbox: &Sandbox) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("podman")).find(|file| file.is_file());
    let line =
        |podman: &Path| format!("#!/bin/sh\nPATH=$PATH:/usr/sbin:/sbin exec {} \"$@\"\n", podman.display());
    found.map(|podman| sandbox.add_program("podman", &line(&podman))).is_some()
}

/// The names in a folder.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether some process was started with that word among its arguments.
pub(crate) fn is_running(word: &str) -> bool {
    let has = |path: &Path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    fs::read_dir("/proc").expect("a folder").flatten().any(|entry| has(&entry.path()))
}
