//! Unpacking what `git archive` packed, for trees of which nobody knows who made them: nothing is written outside of the folder.
//!
//! Only into folders that were made here is anything written, and only what was not there before: a symbolic link is made,
//! but never gone through. Names that git itself would not check out (`..`, `.git`) are refused.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tar::{Archive, Entry, EntryType};

/// Why an archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive ends too early, or is none.
    #[error("what git gives cannot be read: {0}")]
    Archive(io::Error),
    /// A file could not be written, as on a full disk.
    #[error("cannot write '{}': {error}", path.escape_debug())]
    Write {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The folder is not empty.
    #[error("folder '{}' is not empty", .0.escape_debug())]
    NotEmpty(String),
    /// A name that could lead out of the folder, or that git itself would not check out.
    #[error("its tree has the name '{}', which no file can have", .0.escape_debug())]
    Name(String),
    /// What is neither file nor folder nor symbolic link.
    #[error("'{}' in its tree is neither file nor folder nor symbolic link", .0.escape_debug())]
    Kind(String),
}

/// The folders of an archive.
pub(super) type Folders = BTreeSet<PathBuf>;

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.display().to_string();
    move |error| UnpackError::Write { path, error }
}

/// Makes the folder, if it is not there, and looks whether it is empty.
pub(super) fn prepare(into: &Path) -> Result<(), UnpackError> {
    fs::create_dir_all(into).map_err(write_error(into))?;
    match fs::read_dir(into).map_err(write_error(into))?.next() {
        None => Ok(()),
        Some(_) => Err(UnpackError::NotEmpty(into.display().to_string())),
    }
}

/// Takes away all that is in the folder.
pub(super) fn empty(into: &Path) {
    for entry in fs::read_dir(into).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // What cannot be taken away is told about by what failed before.
        let _ = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
    }
}

/// Unpacks an archive into a folder that is there and empty; the folders that it has.
pub(super) fn unpack(archive: &mut impl Read, into: &Path) -> Result<Folders, UnpackError> {
    let mut folders = Folders::new();
    let mut reader = Archive::new(&mut *archive);
    for entry in reader.entries().map_err(UnpackError::Archive)? {
        place(entry.map_err(UnpackError::Archive)?, into, &mut folders)?;
    }
    // What is filled up at the end is read, so that whoever writes it does not find nobody there.
    io::copy(archive, &mut io::sink()).map_err(UnpackError::Archive)?;
    Ok(folders)
}

fn place<R: Read>(mut entry: Entry<'_, R>, into: &Path, folders: &mut Folders) -> Result<(), UnpackError> {
    let kind = entry.header().entry_type();
    if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
        return Ok(());
    }
    let name = entry.path_bytes().into_owned();
    let path = plain(&name)?;
    if kind == EntryType::Directory {
        return make_folders(into, &path, folders);
    }
    if let Some(parent) = path.parent() {
        make_folders(into, parent, folders)?;
    }
    let target = into.join(&path);
    match kind {
        EntryType::Regular => {
            let is_executable = entry.header().mode().map_err(UnpackError::Archive)? & 0o100 != 0;
            write(&mut entry, &target, if is_executable { 0o755 } else { 0o644 })
        }
        EntryType::Symlink => {
            let link = entry.link_name_bytes();
            let link = link.ok_or_else(|| UnpackError::Kind(path.display().to_string()))?;
            symlink(OsStr::from_bytes(&link), &target).map_err(write_error(&path))
        }
        _ => Err(UnpackError::Kind(path.display().to_string())),
    }
}

/// A path of names alone.
fn plain(name: &[u8]) -> Result<PathBuf, UnpackError> {
    let path = Path::new(OsStr::from_bytes(name));
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(part) => !part.eq_ignore_ascii_case(".git"),
        _ => false,
    };
    let is_name = !name.contains(&0) && path.components().next().is_some() && path.components().all(is_plain);
    if is_name { Ok(path.components().collect()) } else { Err(UnpackError::Name(path.display().to_string())) }
}

/// Makes a folder and those above it, unless they were made here.
fn make_folders(into: &Path, path: &Path, folders: &mut Folders) -> Result<(), UnpackError> {
    let mut below = PathBuf::new();
    for part in path.components() {
        below.push(part);
        if folders.contains(&below) {
            continue;
        }
        let target = into.join(&below);
        DirBuilder::new().mode(0o755).create(&target).map_err(write_error(&below))?;
        // Whatever the umask is.
        fs::set_permissions(&target, Permissions::from_mode(0o755)).map_err(write_error(&below))?;
        folders.insert(below.clone());
    }
    Ok(())
}

fn write(content: &mut impl Read, target: &Path, mode: u32) -> Result<(), UnpackError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(target);
    let mut file = open.map_err(write_error(target))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = content.read(&mut buffer).map_err(UnpackError::Archive)?;
        if length == 0 {
            break;
        }
        io::Write::write_all(&mut file, &buffer[..length]).map_err(write_error(target))?;
    }
    file.set_permissions(Permissions::from_mode(mode)).map_err(write_error(target))
}

/// Gives all that is there the time of the commit.
pub(super) fn stamp(folder: &Path, seconds: i64) -> Result<(), UnpackError> {
    for entry in fs::read_dir(folder).map_err(write_error(folder))? {
        let entry = entry.map_err(write_error(folder))?;
        if entry.file_type().map_err(write_error(folder))?.is_dir() {
            stamp(&entry.path(), seconds)?;
        } else {
            stamp_one(&entry.path(), seconds)?;
        }
    }
    stamp_one(folder, seconds)
}

fn stamp_one(path: &Path, seconds: i64) -> Result<(), UnpackError> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| write_error(path)(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = Header::new_ustar();
            // As somebody writes it who keeps no rules.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            let is_file = *kind == EntryType::Regular;
            header.set_size(if is_file { content.len() as u64 } else { 0 });
            if !is_file {
                header.set_link_name_literal(content).unwrap();
            }
            header.set_cksum();
            builder.append(&header, if is_file { content.as_bytes() } else { b"" }).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn refused(entries: &[(&str, EntryType, &str)]) -> String {
        let root = tempfile::tempdir().unwrap();
        let into = root.path().join("into");
        fs::create_dir(&into).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        let error = unpack(&mut archive(entries).as_slice(), &into).unwrap_err();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
        assert_eq!(fs::read_dir(root.path().join("outside")).unwrap().count(), 0);
        error.to_string()
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let file = EntryType::Regular;
        for name in ["../x", "a/../../x", "/x", ".git/config", "a/.GIT/hooks/x", "."] {
            assert!(refused(&[(name, file, "x")]).contains("which no file can have"), "{name}");
        }
        let link = ("a", EntryType::Symlink, "../outside");
        assert!(refused(&[link, ("a/x", file, "x")]).starts_with("cannot write 'a': File exists"));
        assert!(refused(&[link, ("a", EntryType::Directory, "")]).starts_with("cannot write 'a'"));
        assert!(
            refused(&[("a", EntryType::Symlink, "../outside/x"), ("a", file, "x")]).contains("File exists")
        );
    }

    #[test]
    fn only_files_folders_and_symbolic_links_are_made() {
        for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::Link] {
            assert!(refused(&[("a", kind, "../outside")]).contains("neither file nor folder"), "{kind:?}");
        }
    }

    #[test]
    fn half_an_archive_is_none() {
        let root = tempfile::tempdir().unwrap();
        let whole = archive(&[("a", EntryType::Regular, &"x".repeat(5000))]);
        let error = unpack(&mut &whole[..3000], root.path()).unwrap_err();
        assert!(matches!(error, UnpackError::Archive(_)), "{error}");
    }
}
