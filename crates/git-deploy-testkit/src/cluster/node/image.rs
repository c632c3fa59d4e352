//! Images of a static busybox, built and pushed where the node is.

use std::fs;
use std::io::{self, Error};
use std::os::unix::fs::symlink;
use std::path::Path;

use super::requirements::BUSYBOX;
use super::{Node, NodeCluster};
use crate::cluster::supervisor::Group;

/// An image with `/bin/busybox`, which is `/bin/sh` too, and nothing else but what a test puts there.
#[derive(Debug, Clone)]
#[must_use = "an image is there once it is pushed"]
pub struct Image {
    name: String,
    files: Vec<(String, String)>,
    command: Vec<String>,
}

impl Image {
    /// Of that name, as `shop/web:1`. It ends at once.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            command: vec!["/bin/busybox".to_owned(), "true".to_owned()],
        }
    }

    /// With that file; its path does not begin with `/`.
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// With that command.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|&word| word.to_owned()).collect();
        self
    }
}

impl NodeCluster {
    /// Builds an image and pushes it into the registry. Returns the name that a manifest has to say.
    ///
    /// # Panics
    /// If it cannot be built or pushed.
    pub fn push(&self, image: &Image) -> String {
        push(self.node(), self.cluster.kubectl.group, self.directory(), image)
            .unwrap_or_else(|error| panic!("cannot push '{}': {error}", image.name))
    }
}

pub(super) fn push(node: &Node, group: Group, directory: &Path, image: &Image) -> io::Result<String> {
    let context = tempfile::Builder::new().prefix("image-").tempdir_in(directory)?;
    write(context.path(), image)?;
    let reference = format!("{}/{}", node.registry_port.address(), image.name);
    let policy = format!("--signature-policy={}", directory.join("policy.json").display());
    let buildah = |arguments: &[&str]| {
        let arguments = [&["--storage-driver=vfs"], arguments].concat();
        let output = super::run(&node.namespaces, group, directory, "buildah", &arguments);
        if output.code == Some(0) { Ok(()) } else { Err(Error::other(output.to_string())) }
    };
    let build = context.path().display().to_string();
    buildah(&["bud", "--quiet", "--isolation=chroot", &policy, "--tag", &reference, &build])?;
    buildah(&["push", "--quiet", "--tls-verify=false", &policy, &reference])?;
    Ok(reference)
}

/// What the image is built from.
fn write(context: &Path, image: &Image) -> io::Result<()> {
    let root = context.join("root");
    fs::create_dir_all(root.join("bin"))?;
    fs::copy(BUSYBOX, root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))?;
    for (path, content) in &image.files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    let command = serde_json::to_string(&image.command)?;
    fs::write(context.join("Containerfile"), format!("FROM scratch\nCOPY root /\nCMD {command}\n"))
}
