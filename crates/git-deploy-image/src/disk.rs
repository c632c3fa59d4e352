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
        let is_full =
            |place: &&&Path| statvfs(**place).is_ok_and(|found| is_full(&found, reserve::is_ours(place)));
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

fn is_full(found: &StatVfs, is_reserve_ours: bool) -> bool {
    let (blocks, files) =
        if is_reserve_ours { (found.f_bfree, found.f_ffree) } else { (found.f_bavail, found.f_favail) };
    let few_bytes = FEW_BYTES.min(found.f_blocks.saturating_mul(found.f_frsize) / PART);
    // Who has no table of files says that there is no place in it at all.
    blocks.saturating_mul(found.f_frsize) < few_bytes || files < FEW_FILES.min(found.f_files / PART)
}

/// What some file systems keep back for root.
#[cfg(target_os = "linux")]
mod reserve {
    use std::fs;
    use std::path::Path;
    use std::sync::LazyLock;

    use rustix::fs::statfs;

    /// Whether this process may write there too: who is root in a container alone may not.
    pub(super) fn is_ours(place: &Path) -> bool {
        static IS_ROOT: LazyLock<bool> = LazyLock::new(|| {
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            rustix::process::geteuid().is_root() && is_of_all(&map)
        });
        // Of ext2 to ext4. Elsewhere what is free for nobody may be of no use to root either, as with btrfs.
        *IS_ROOT && statfs(place).is_ok_and(|found| found.f_type == 0xef53)
    }

    /// Whether each user is who it is outside, as where there is no outside.
    pub(super) fn is_of_all(map: &str) -> bool {
        map.split_whitespace().eq(["0", "0", "4294967295"])
    }
}

#[cfg(not(target_os = "linux"))]
mod reserve {
    pub(super) fn is_ours(_place: &std::path::Path) -> bool {
        false
    }
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
            assert_eq!(is_full(&disk, false), expected, "{megabytes} {free} {files} {free_files}");
        }
    }

    #[test]
    fn what_is_kept_back_for_root_counts_for_nobody_else() {
        let found = StatVfs { f_bavail: 0, f_favail: 0, ..disk(1000, 40, 1000, 500) };
        assert!(!is_full(&found, true));
        assert!(is_full(&found, false));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn root_in_a_container_alone_is_not_root() {
        assert!(reserve::is_of_all("         0          0 4294967295\n"));
        for map in
            ["", "0 0 1\n", "0 100000 65536\n", "0 1000 1\n1 100000 65536\n", "0 0 65536\n65536 65536 9\n"]
        {
            assert!(!reserve::is_of_all(map), "{map}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_full() {
        assert_eq!(Disks::of([Path::new("/nonexistent/place")]).full(), None);
    }
}
