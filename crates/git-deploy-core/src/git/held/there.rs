//! A lock file of git that keeps a remote from moving its refs: which it is, and what to do about it.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Unit};

use super::TABLES;

/// What git says of the file that it cannot make, before and behind its path.
const UNABLE: (&str, &str) = ("Unable to create '", ".lock': File exists");

/// What it says where refs are kept in tables, of which it names no file.
const TABLES_LOCKED: &str = "cannot lock references";

/// What is said of such a file, in the same words each time, for as long as nothing about it changes. `root` is the remote's
/// folder, where it is one of this machine: no other file is looked for, whatever a remote names.
pub(in crate::git) fn lock_there(said: &str, root: impl FnOnce() -> Option<PathBuf>) -> Option<String> {
    if ![UNABLE.0, TABLES_LOCKED].iter().any(|words| said.contains(words)) {
        return None;
    }
    let root = root().and_then(|root| root.canonicalize().ok());
    let named = |said: &str| {
        let (path, _) = said.split_once(UNABLE.0)?.1.split_once(UNABLE.1)?;
        Some(Path::new(&format!("{path}.lock")).components().collect::<PathBuf>())
    };
    let tables = || root.clone().unwrap_or_default().join(TABLES).join("tables.list.lock");
    let path = named(said).or_else(|| said.contains(TABLES_LOCKED).then(tables))?;
    let file = path.display();
    let root = root.filter(|root| path.canonicalize().is_ok_and(|path| path.starts_with(root)));
    let since = fs::metadata(&path).and_then(|found| found.modified()).ok();
    let since = since.and_then(|since| Timestamp::try_from(since).ok()?.round(Unit::Second).ok());
    Some(match (root, since) {
        (Some(_), Some(since)) => format!(
            "the remote's '{file}' has been there since {since}: if no git works there any more, remove that file"
        ),
        _ => format!(
            "the remote's '{file}' is in the way: if no git works there any more, whoever runs the remote removes that file"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_in_a_remote_is_named_and_no_file_elsewhere_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| {
            format!(
                "remote: error: cannot lock ref 'a': Unable to create '{}': File exists.\n",
                path.display()
            )
        };
        let file = folder.path().join("a.lock");
        fs::write(&file, "").unwrap();
        let named = said(&folder.path().join("./a.lock"));
        let text = lock_there(&named, || Some(folder.path().to_owned())).unwrap();
        assert!(
            text.starts_with(&format!("the remote's '{}' has been there since 2", file.display())),
            "{text}"
        );
        for elsewhere in [None, Some(PathBuf::from("/usr"))] {
            let text = lock_there(&named, || elsewhere.clone()).unwrap();
            assert!(text.contains("is in the way: "), "{text}");
        }
        assert_eq!(lock_there("remote: error: hook declined", || Some(folder.path().to_owned())), None);
    }
}
