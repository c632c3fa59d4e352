//! Whether a path of an export leads out of it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links are followed on the way, as many as Linux does.
const MOST: usize = 40;

/// Why nothing is to be read at a path.
#[derive(Debug, thiserror::Error)]
pub enum Outside {
    /// It leads out of the tree.
    #[error("'{}' leads out of the commit's tree{}", path.escape_debug(), by(.link.as_deref()))]
    Leaves {
        /// The path.
        path: String,
        /// The symbolic link that it leaves through; none where the path itself says so.
        link: Option<String>,
    },
    /// Symbolic links lead in a circle.
    #[error("'{}' leads in a circle of symbolic links", .0.escape_debug())]
    Circle(String),
    /// It cannot be looked at, as when it is not there.
    #[error("cannot read '{}' of the commit's tree: {error}", path.escape_debug())]
    Missing {
        /// The path.
        path: String,
        /// Why.
        error: io::Error,
    },
}

fn by(link: Option<&str>) -> String {
    link.map(|link| format!(" through the symbolic link '{}'", link.escape_debug())).unwrap_or_default()
}

/// Where a path of an export really is: below `root`, with no symbolic link on the way.
///
/// # Errors
/// When it is not there, or leads out of `root`, be it by `..`, by an absolute name or through a symbolic link.
pub fn within(root: &Path, path: &Path) -> Result<PathBuf, Outside> {
    let name = path.display().to_string();
    let mut rest: VecDeque<(OsString, Option<String>)> = VecDeque::new();
    add(path, None, &mut rest);
    let mut real = PathBuf::new();
    let mut links = 0;
    while let Some((part, link)) = rest.pop_front() {
        if part == "/" || part == ".." && !real.pop() {
            return Err(Outside::Leaves { path: name, link });
        }
        if part == ".." {
            continue;
        }
        real.push(&part);
        let missing = |error| Outside::Missing { path: name.clone(), error };
        if fs::symlink_metadata(root.join(&real)).map_err(missing)?.is_symlink() {
            links += 1;
            if links > MOST {
                return Err(Outside::Circle(name));
            }
            let target = fs::read_link(root.join(&real)).map_err(missing)?;
            add(&target, Some(&real.display().to_string()), &mut rest);
            real.pop();
        }
    }
    Ok(root.join(real))
}

/// Puts the parts of a path in front.
fn add(path: &Path, link: Option<&str>, rest: &mut VecDeque<(OsString, Option<String>)>) {
    for part in path.components().rev().filter(|part| *part != Component::CurDir) {
        rest.push_front((part.as_os_str().to_owned(), link.map(str::to_owned)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_that_leads_out_is_told_with_its_link() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("images/web")).unwrap();
        fs::write(root.join("build.env"), "").unwrap();
        symlink("../build.env", root.join("images/inside")).unwrap();
        symlink("web", root.join("images/alias")).unwrap();
        symlink("../../etc", root.join("images/out")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("images/out", root.join("twice")).unwrap();
        let at = |path: &str| within(root, Path::new(path));
        assert_eq!(at("images/web").unwrap(), root.join("images/web"));
        assert_eq!(at("./images/alias/../web/.").unwrap(), root.join("images/web"));
        assert_eq!(at("images/inside").unwrap(), root.join("build.env"));
        assert_eq!(at(".").unwrap(), root.join(""));
        let error = |path: &str| at(path).unwrap_err().to_string();
        let out = "leads out of the commit's tree";
        assert_eq!(error("../x"), format!("'../x' {out}"));
        assert_eq!(error("/etc"), format!("'/etc' {out}"));
        assert_eq!(
            error("images/out/passwd"),
            format!("'images/out/passwd' {out} through the symbolic link 'images/out'")
        );
        assert_eq!(error("absolute"), format!("'absolute' {out} through the symbolic link 'absolute'"));
        assert_eq!(error("twice"), format!("'twice' {out} through the symbolic link 'images/out'"));
        assert_eq!(error("circle"), "'circle' leads in a circle of symbolic links");
        assert!(error("nowhere").starts_with("cannot read 'nowhere' of the commit's tree: No such file"));
    }
}
