//! Whether a disk is full, as its file system says: programs that run out of space say many things, and sometimes only that
//! the other end of a pipe is gone.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statvfs};

/// With less than that left, in bytes, a disk is full: what is written here is large.
const FEW_BYTES: u64 = 16 << 20;
/// The same for files and folders.
const FEW_FILES: u64 = 64;
/// A disk so small that this is much of it is not full from the start, but when half of it is taken.
const PART: u64 = 2;

/// The disks that a program writes to. They are looked at again and again while it does: where it fails it clears away, and
/// then there is room again.
#[derive(Debug)]
pub(crate) struct Disks<'a> {
    places: Vec<&'a Path>,
    full: OnceCell<PathBuf>,
}

impl<'a> Disks<'a> {
    /// Those that these folders are on.
    pub(crate) fn of(places: impl IntoIterator<Item = &'a Path>) -> Self {
        Self { places: places.into_iter().collect(), full: OnceCell::new() }
    }

    /// Looks whether one is full now.
    pub(crate) fn look(&self) {
        if self.full.get().is_some() {
            return;
        }
        // What is not there, or does not say, is not full.
        let is_full = |place: &&&Path| statvfs(**place).is_ok_and(|found| is_full(&found));
        if let Some(place) = self.places.iter().find(is_full) {
            let _ = self.full.set(place.to_path_buf());
        }
    }

    /// Looks once more; the folder whose disk was full at some time.
    pub(crate) fn full(&self) -> Option<&Path> {
        self.look();
        self.full.get().map(PathBuf::as_path)
    }
}

fn is_full(found: &StatVfs) -> bool {
    // What is kept back is for root, and not for who is root in a container: a disk that has no more than that is full.
    let (blocks, files) = (found.f_bavail, found.f_favail);
    let few_bytes = FEW_BYTES.min(found.f_blocks.saturating_mul(found.f_frsize) / PART);
    // Who has no table of files says that there is no place in it at all.
    blocks.saturating_mul(found.f_frsize) < few_bytes || files < FEW_FILES.min(found.f_files / PART)
}

#[cfg(test)]
mod tests {
    use rustix::fs::StatVfsMountFlags;

    use super::*;

    fn disk(megabytes: u64, free: u64, files: u64, free_files: u64) -> StatVfs {
        StatVfs {
            f_bsize: 4096,
            f_frsize: 4096,
            f_blocks: megabytes * 256,
            f_bfree: free * 256,
            f_bavail: free * 256,
            f_files: files,
            f_ffree: free_files,
            f_favail: free_files,
            f_fsid: 0,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        }
    }

    #[test]
    fn a_disk_is_full_without_room_or_without_places_for_files() {
        for (megabytes, free, files, free_files, expected) in [
            (1000, 500, 1000, 500, false),
            (1000, 16, 1000, 500, false),
            (1000, 15, 1000, 500, true),
            (1000, 0, 1000, 500, true),
            (1000, 500, 1000, 63, true),
            // A small one, and those that say nothing of files, or nothing at all.
            (8, 4, 1000, 500, false),
            (8, 3, 1000, 500, true),
            (1000, 500, 0, 0, false),
            (0, 0, 0, 0, false),
        ] {
            let disk = disk(megabytes, free, files, free_files);
            assert_eq!(is_full(&disk), expected, "{megabytes} {free} {files} {free_files}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_full() {
        assert_eq!(Disks::of([Path::new("/nonexistent/place")]).full(), None);
    }
}
