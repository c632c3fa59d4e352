//! Buildah with a store of its own, so that nothing is left on the machine, and something to build.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git_deploy_image::Insecure;
use git_deploy_image::builder::{Build, Builder, Tool};
use git_deploy_testkit::registry::busybox;
use tempfile::TempDir;

/// A directory that is removed in the end, with all that was built in it.
pub(crate) struct Store {
    directory: TempDir,
    place: git_deploy_testkit::Store,
}

impl Store {
    pub(crate) fn new() -> Store {
        let directory = tempfile::Builder::new().prefix("git-deploy-store-").tempdir().unwrap();
        let place = git_deploy_testkit::Store::new(directory.path());
        Store { directory, place }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let variables = self.place.environment().into_iter().chain([("HOME", self.place.temporary())]);
        variables.map(|(name, path)| (name.into(), path.into())).collect()
    }

    /// Buildah, or why it cannot be used here: also where there is nothing for it to build with.
    pub(crate) fn buildah(&self) -> Result<Tool, String> {
        busybox().map_err(|missing| missing.to_string())?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = Tool::find(Some(Builder::Buildah), &path, &self.environment());
        found.map_err(|why| why.to_string())
    }

    /// An export of a commit with one image, whose Containerfile ends with these lines.
    pub(crate) fn export(&self, name: &str, lines: &str) -> Build {
        let tree = self.path(name);
        let web = tree.join("images/web");
        fs::create_dir_all(web.join("www")).unwrap();
        fs::copy(busybox().unwrap(), web.join("busybox")).unwrap();
        fs::set_permissions(web.join("busybox"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(web.join("www/index.html"), "hello\n").unwrap();
        write(&web.join("Containerfile"), &format!("FROM scratch\nCOPY busybox /bin/sh\n{lines}"));
        Build {
            tree,
            context: "images/web".into(),
            commit: "a4945f8".repeat(6)[..40].to_owned(),
            source: Some("https://git.example.org/shop".to_owned()),
            committed_at: 1_700_000_000,
            labels: Vec::new(),
            arguments: Vec::new(),
            insecure: Insecure::loopback(),
        }
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
