//! Where an image's files are in an exported commit.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Build, BuildError};
use crate::ImageName;

/// What a builder looks for in a context, in this order.
const CONTAINERFILES: [&str; 2] = ["Containerfile", "Dockerfile"];

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
            Some(file) if file.starts_with(&tree) => {
                mounts_nothing_outside(build, image, &tree, &directory, &file)?;
                Ok((directory, file))
            }
            Some(_) => Err(BuildError::OutsideTree { image: name(), path: path.display().to_string() }),
            None => Err(BuildError::NoFile { image: name(), path: path.display().to_string() }),
        };
    }
    Err(BuildError::NoContainerfile { image: name(), context: at(&build.context) })
}

/// Buildah keeps what is copied within the context, also through symbolic links, but follows such a link out of it where
/// a step mounts it (seen with 1.28). Which it mounts may be known only when it is built, so that none may be there then.
fn mounts_nothing_outside(
    build: &Build,
    image: &ImageName,
    tree: &Path,
    directory: &Path,
    file: &Path,
) -> Result<(), BuildError> {
    let text = fs::read(file).unwrap_or_default();
    if !mounts(&String::from_utf8_lossy(&text)) {
        return Ok(());
    }
    let Some(link) = link_out_of(directory, tree) else { return Ok(()) };
    let path = build.context.join(link.strip_prefix(directory).unwrap_or(&link));
    Err(BuildError::MountedOutside { image: image.to_string(), path: path.display().to_string() })
}

/// Whether a step may mount a part of the context: `RUN --mount=...`, unless it says that it is of another kind.
fn mounts(containerfile: &str) -> bool {
    const OTHERS: [&str; 4] = ["type=cache", "type=tmpfs", "type=secret", "type=ssh"];
    // A line may be broken anywhere.
    let text = containerfile.replace('\r', "").replace("\\\n", "").replace("`\n", "");
    let mut mounts =
        text.split_whitespace().filter_map(|word| word.split_once("--mount=").map(|(_, how)| how));
    mounts.any(|how| !how.split(',').any(|option| OTHERS.contains(&option)))
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
    fn a_step_that_may_mount_the_context_is_known() {
        for text in [
            "RUN --mount=type=bind,source=a,target=/a cat /a",
            "RUN --mount=target=/a cat /a",
            "run --mount=src=$A,target=/a cat /a",
            "RUN --mo\\\nunt=target=/a,type=bind cat /a",
            "RUN \\\r\n  --mount=type=cache,target=/c --mount=target=/a cat /a",
        ] {
            assert!(mounts(text), "{text}");
        }
        for text in ["RUN cat /a", "RUN --mount=type=cache,target=/c make", "RUN --mount=id=a,type=secret x"]
        {
            assert!(!mounts(text), "{text}");
        }
    }
}
