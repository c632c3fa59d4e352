//! Where an image's files are in an exported commit.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::words::Paths;
use super::{Build, BuildError};
use crate::ImageName;

/// What a builder looks for in a context, in this order.
const CONTAINERFILES: [&str; 2] = ["Containerfile", "Dockerfile"];

/// In bytes: more than anybody writes.
const LARGEST: u64 = 1 << 20;

/// The directory that is given to the builder, and the file in it that says how to build. Both are resolved: neither a
/// name in `deploy.toml` nor a symbolic link may lead out of the commit's files.
pub(super) fn find(build: &Build, image: &ImageName) -> Result<(PathBuf, PathBuf), BuildError> {
    let name = || image.to_string();
    let context = || build.context.display().to_string();
    let tree = fs::canonicalize(&build.tree).map_err(|error| BuildError::Tree {
        image: name(),
        tree: build.tree.display().to_string(),
        error,
    })?;
    let directory = match fs::canonicalize(tree.join(&build.context)) {
        Ok(directory) if !directory.starts_with(&tree) => {
            return Err(BuildError::OutsideTree { image: name(), path: context() });
        }
        Ok(directory) if directory.is_dir() => directory,
        _ => return Err(BuildError::NoContext { image: name(), context: context() }),
    };
    for candidate in CONTAINERFILES {
        // A link that leads nowhere is there too: passing over it would take the other file.
        if fs::symlink_metadata(directory.join(candidate)).is_err() {
            continue;
        }
        let path = build.context.join(candidate);
        let resolved = fs::canonicalize(directory.join(candidate)).ok().filter(|file| file.is_file());
        return match resolved {
            Some(file) if file.starts_with(&tree) => Ok((directory, file)),
            Some(_) => Err(BuildError::OutsideTree { image: name(), path: path.display().to_string() }),
            None => Err(BuildError::NoFile { image: name(), path: path.display().to_string() }),
        };
    }
    Err(BuildError::NoContainerfile { image: name(), context: at(&build.context) })
}

/// What a builder is given, by names that say something in the commit.
pub(super) fn paths(build: &Build, containerfile: &Path, copy: &Path) -> Paths {
    let text = |path: &Path| path.display().to_string();
    let tree = fs::canonicalize(&build.tree).unwrap_or_else(|_| build.tree.clone());
    let written = text(containerfile.strip_prefix(&tree).unwrap_or(containerfile));
    let tree = text(&tree);
    Paths(vec![(text(copy), written), (format!("{tree}/"), String::new()), (tree, ".".to_owned())])
}

/// What a Containerfile says, which may be of any size and kind.
pub(super) fn read(build: &Build, image: &ImageName, file: &Path) -> Result<String, BuildError> {
    let path = || file.strip_prefix(&build.tree).unwrap_or(file).display().to_string();
    let mut text = Vec::new();
    let opened = fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    match opened {
        Ok(_) if text.len() as u64 <= LARGEST => Ok(String::from_utf8_lossy(&text).into_owned()),
        Ok(_) => Err(BuildError::HugeContainerfile { image: image.to_string(), path: path() }),
        Err(_) => Err(BuildError::NoFile { image: image.to_string(), path: path() }),
    }
}

/// Buildah and podman keep what is copied within the context, also through symbolic links. But where a step mounts
/// something they follow such a link out of it, and out of other stages and caches (seen with 1.28; CVE-2024-1753,
/// CVE-2024-9675). What is mounted may be known only when it is built, so what is not known to stay inside is refused.
///
/// That keeps honest commits from being built with files of the machine. It is no sandbox: see the manual.
pub(super) fn mounts_nothing_outside(
    build: &Build,
    image: &ImageName,
    directory: &Path,
    containerfile: &str,
) -> Result<(), BuildError> {
    match mounts(containerfile) {
        Mounts::Inside => Ok(()),
        Mounts::Unknown => Err(BuildError::UnsafeMount { image: image.to_string() }),
        Mounts::Context => {
            let tree = fs::canonicalize(&build.tree).unwrap_or_else(|_| build.tree.clone());
            let Some(link) = link_out_of(directory, &tree) else { return Ok(()) };
            let path = build.context.join(link.strip_prefix(directory).unwrap_or(&link));
            Err(BuildError::MountedOutside { image: image.to_string(), path: path.display().to_string() })
        }
    }
}

/// What the steps of a Containerfile mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mounts {
    /// Nothing, or what is the builder's own.
    Inside,
    /// Parts of the context, too.
    Context,
    /// What cannot be said.
    Unknown,
}

fn mounts(containerfile: &str) -> Mounts {
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    let lines = || containerfile.lines().filter(is_code);
    let plain: Vec<&str> =
        lines().flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("--mount=")).collect();
    // A line may be broken anywhere, in ways that only its builder knows: whatever is not written plainly is left then.
    let joined: String =
        lines().flat_map(str::chars).filter(|c| !c.is_whitespace() && !"\\`".contains(*c)).collect();
    if joined.to_lowercase().matches("--mount").count() != plain.len() {
        return Mounts::Unknown;
    }
    plain.into_iter().map(mount).max().unwrap_or(Mounts::Inside)
}

/// What one option of a step mounts: `type=cache,target=/root/.cache`.
fn mount(options: &str) -> Mounts {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,=/".contains(c);
    if !options.chars().all(is_plain) || options.contains("..") {
        return Mounts::Unknown;
    }
    let pairs: Vec<(&str, &str)> =
        options.split(',').map(|option| option.split_once('=').unwrap_or((option, ""))).collect();
    let has = |wanted: &[&str]| pairs.iter().any(|(key, _)| wanted.contains(&key.to_lowercase().as_str()));
    let is_path = pairs.iter().any(|(key, value)| key.eq_ignore_ascii_case("id") && value.contains('/'));
    let mut kinds = pairs.iter().filter(|(key, _)| key.eq_ignore_ascii_case("type")).map(|(_, kind)| *kind);
    match (kinds.next(), kinds.next()) {
        _ if has(&["from"]) => Mounts::Unknown,
        (None | Some("bind"), None) => Mounts::Context,
        (Some("cache" | "tmpfs" | "secret" | "ssh"), None) if !is_path && !has(&["source", "src"]) => {
            Mounts::Inside
        }
        _ => Mounts::Unknown,
    }
}

/// A symbolic link below a directory that leads out of the tree.
fn link_out_of(directory: &Path, tree: &Path) -> Option<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_symlink() => {
                    let leads_to = fs::canonicalize(entry.path());
                    if leads_to.is_ok_and(|end| !end.starts_with(tree)) {
                        return Some(entry.path());
                    }
                }
                _ => {}
            }
        }
    }
    None
}

fn at(context: &Path) -> String {
    if context.as_os_str().is_empty() { ".".to_owned() } else { context.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_mounts_is_known_or_refused() {
        for (text, expected) in [
            ("FROM a\n# RUN --mount=type=odd\nRUN cat /a", Mounts::Inside),
            ("RUN --mount=type=cache,target=/root/.cache make", Mounts::Inside),
            (
                "RUN --mount=type=secret,id=a --mount=type=tmpfs,target=/t \\\n  --mount=type=ssh x",
                Mounts::Inside,
            ),
            ("RUN --mount=type=bind,source=a,target=/a cat /a", Mounts::Context),
            ("RUN \\\n --mount=target=/a cat /a", Mounts::Context),
            ("RUN --mount=type=cache,target=/c --mount=target=/a cat /a", Mounts::Context),
            // Not written plainly.
            ("RUN --mo\\\nunt=target=/a cat /a", Mounts::Unknown),
            ("RUN --mo\\ \nunt=target=/a cat /a", Mounts::Unknown),
            ("RUN --mo\\\n# in between\nunt=target=/a cat /a", Mounts::Unknown),
            ("# escape=`\nRUN --mo`\nunt=target=/a cat /a", Mounts::Unknown),
            ("RUN --Mount=target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=source=$A,target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=\"type=bind\",target=/a cat /a", Mounts::Unknown),
            // Out of another stage, or out of the caches.
            ("RUN --mount=type=bind,from=a,source=/l,target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=type=cache,from=a,target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=type=cache,id=../../s,target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=type=cache,id=/s,target=/a cat /a", Mounts::Unknown),
            ("RUN --mount=type=cache,type=bind,target=/a cat /a", Mounts::Unknown),
        ] {
            assert_eq!(mounts(text), expected, "{text}");
        }
    }
}
