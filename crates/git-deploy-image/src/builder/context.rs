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
            Some(file) if file.starts_with(&tree) => Ok((directory, file)),
            Some(_) => Err(BuildError::OutsideTree { image: name(), path: path.display().to_string() }),
            None => Err(BuildError::NoFile { image: name(), path: path.display().to_string() }),
        };
    }
    Err(BuildError::NoContainerfile { image: name(), context: at(&build.context) })
}

fn at(context: &Path) -> String {
    if context.as_os_str().is_empty() { ".".to_owned() } else { context.display().to_string() }
}
