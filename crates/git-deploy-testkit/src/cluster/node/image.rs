//! Images of a static busybox, and of what this machine has of Debian, built and pushed where the node is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Error};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::requirements::BUSYBOX;
use super::{Node, NodeCluster};
use crate::cluster::supervisor::Group;

/// What a container does not need of a package.
const NOT_RUN: [&str; 7] = [
    "/gconv/",
    "/usr/share/doc/",
    "/usr/share/info/",
    "/usr/share/javascript/",
    "/usr/share/lintian/",
    "/usr/share/locale/",
    "/usr/share/man/",
];

/// An image with `/bin/busybox`, which is `/bin/sh` too, and nothing else but what a test puts there.
#[derive(Debug, Clone)]
#[must_use = "an image is there once it is pushed"]
pub struct Image {
    name: String,
    files: Vec<(String, String)>,
    programs: Vec<(PathBuf, String)>,
    packages: Vec<String>,
    command: Vec<String>,
}

impl Image {
    /// Of that name, as `shop/web:1`. It ends at once.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            programs: Vec::new(),
            packages: Vec::new(),
            command: vec!["/bin/busybox".to_owned(), "true".to_owned()],
        }
    }

    /// With that file; its path does not begin with `/`.
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// With that program of this machine at that path, which does not begin with `/`, and the libraries that it loads.
    pub fn program(mut self, program: &Path, path: &str) -> Self {
        self.programs.push((program.to_owned(), path.to_owned()));
        self
    }

    /// With that package of Debian, and what it depends on, as they are [installed](has_package) on this machine.
    pub fn package(mut self, name: &str) -> Self {
        self.packages.push(name.to_owned());
        self
    }

    /// With that command.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|&word| word.to_owned()).collect();
        self
    }
}

/// Whether a package of Debian is installed here, so that an image can be made of it.
#[must_use]
pub fn has_package(name: &str) -> bool {
    let query =
        Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", name]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
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
    // Compressing takes longer than anything else.
    buildah(&["push", "--quiet", "--disable-compression", "--tls-verify=false", &policy, &reference])?;
    Ok(reference)
}

/// What the image is built from.
fn write(context: &Path, image: &Image) -> io::Result<()> {
    let root = context.join("root");
    fs::create_dir(&root)?;
    // Where there is Debian, `/bin` is another name for this.
    let programs = if image.packages.is_empty() { "bin" } else { "usr/bin" };
    fs::create_dir_all(root.join(programs))?;
    fs::copy(BUSYBOX, root.join(programs).join("busybox"))?;
    symlink("busybox", root.join(programs).join("sh"))?;
    let mut base = "";
    if !image.packages.is_empty() {
        archive(&files_of(&image.packages)?, &context.join("debian.tar"))?;
        base = "ADD debian.tar /\n";
    }
    for (path, content) in &image.files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    for (program, path) in &image.programs {
        let path = root.join(path);
        path.parent().map(fs::create_dir_all).transpose()?;
        // What debuggers read is most of it.
        said(Command::new("strip").arg("-o").arg(&path).arg(program))?;
        for library in libraries(program)? {
            let path = root.join(library.strip_prefix("/").unwrap_or(&library));
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::copy(&library, path)?;
        }
    }
    let command = serde_json::to_string(&image.command)?;
    fs::write(context.join("Containerfile"), format!("FROM scratch\n{base}COPY root /\nCMD {command}\n"))
}

/// All that containers need of packages and of what these depend on, by its real paths.
fn files_of(packages: &[String]) -> io::Result<BTreeSet<PathBuf>> {
    const ONLY: [&str; 8] = [
        "--recurse",
        "--installed",
        "--no-recommends",
        "--no-suggests",
        "--no-conflicts",
        "--no-breaks",
        "--no-replaces",
        "--no-enhances",
    ];
    let found = said(Command::new("apt-cache").arg("depends").args(ONLY).args(packages))?;
    // The others are indented, or virtual.
    let names: BTreeSet<&str> = found.lines().filter(|line| !line.starts_with([' ', '|', '<'])).collect();
    let listed = said(Command::new("dpkg-query").arg("--listfiles").args(names))?;
    // These are links where there is one `/usr`.
    let mut files: BTreeSet<PathBuf> = ["/bin", "/lib", "/lib64"].into_iter().map(PathBuf::from).collect();
    for path in listed.lines().filter(|path| !NOT_RUN.iter().any(|part| path.contains(part))) {
        let path = Path::new(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        // Some of what is listed has been taken away by whoever made this machine.
        if let Ok(parent) = parent.canonicalize()
            && fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir())
        {
            files.insert(parent.join(name));
        }
    }
    // Else each start compiles everything.
    let compiled: Vec<PathBuf> = files.iter().filter_map(|file| compiled(file)).collect();
    files.extend(compiled);
    Ok(files)
}

/// The libraries that a program loads, its loader among them, by the paths at which it looks for them.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = said(Command::new("ldd").arg(program))?;
    let path = |line: &str| {
        let word = line.split_whitespace().find(|word| word.starts_with('/'))?;
        Some(PathBuf::from(word))
    };
    Ok(listed.lines().filter_map(path).collect())
}

/// What the installation has made of a Python module.
fn compiled(source: &Path) -> Option<PathBuf> {
    let stem = source.file_name()?.to_str()?.strip_suffix(".py")?;
    let cache = fs::read_dir(source.parent()?.join("__pycache__")).ok()?;
    let is_of = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".cpython-") && !rest.contains("opt-"))
    };
    cache.filter_map(|entry| Some(entry.ok()?.path())).find(is_of)
}

fn archive(files: &BTreeSet<PathBuf>, to: &Path) -> io::Result<()> {
    let list = to.with_extension("list");
    let names: Vec<String> = files.iter().map(|file| format!(".{}\0", file.display())).collect();
    fs::write(&list, names.concat())?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--directory=/", "--no-recursion", "--null"]);
    tar.arg("--file").arg(to).arg("--files-from").arg(&list);
    said(&mut tar).map(drop)
}

fn said(command: &mut Command) -> io::Result<String> {
    let output = command.env("LC_ALL", "C").output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("{command:?}: {stderr}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
