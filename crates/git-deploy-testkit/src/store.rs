//! A place of its own for what builders of images keep, so that nothing is left on the machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Run;

/// Where buildah and podman have their images, containers, settings and temporary files: a folder that goes with its test.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// In that folder, which is made if need be. No registry is known to be insecure, and nobody is logged in.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let this = Self { root: root.into() };
        fs::create_dir_all(this.temporary()).unwrap_or_else(|error| panic!("cannot make {this:?}: {error}"));
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            this.root.display()
        );
        this.write("storage.conf", &storage);
        this.write("auth.json", "{}");
        this.registries("")
    }

    /// With these lines about registries; see containers-registries.conf(5).
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn registries(self, lines: &str) -> Self {
        self.write("registries.conf", lines);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where temporary files go.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The variables by which a builder finds it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("CONTAINERS_STORAGE_CONF", self.root.join("storage.conf")),
            ("CONTAINERS_REGISTRIES_CONF", self.root.join("registries.conf")),
            ("REGISTRY_AUTH_FILE", self.root.join("auth.json")),
            ("TMPDIR", self.temporary()),
        ]
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
    }
}

impl Run {
    /// Lets builders use that place.
    pub fn with_store(self, store: &Store) -> Self {
        store.environment().into_iter().fold(self, |run, (name, path)| run.env(name, path))
    }
}
