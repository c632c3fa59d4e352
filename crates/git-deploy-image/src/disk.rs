//! Whether a disk is full, as its file system says: programs that run out of space say many things, and sometimes only that
//! the other end of a pipe is gone; and who has filled it.

use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statvfs};

use crate::run::harmless;

/// With less than that left, in bytes, a disk is full for who says that it is: what is written here is large.
const FEW_BYTES: u64 = 16 << 20;
/// The same for files and folders.
const FEW_FILES: u64 = 64;
/// A disk so small that this is much of it is not full from the start, but when half of it is taken.
const PART: u64 = 2;

/// With less than that left a disk is full, whatever is said.
const NO_BYTES: u64 = 1 << 20;
const NO_FILES: u64 = 4;
/// Of a small disk it is no more than this part.
const NO_PART: u64 = 64;

/// With that much, or with half of a disk that is not so small that everything fills it, there is room for what usual builds
/// write.
const ROOM_BYTES: u64 = 1 << 30;
const ROOM_FILES: u64 = 10_000;

/// What is there on a disk for whoever writes to it now.
#[derive(Debug, Clone, Copy)]
struct Space {
    bytes: u64,
    all_bytes: u64,
    files: u64,
    /// None where there is no table of files: then there is always place for another one.
    all_files: u64,
}

impl Space {
    /// On the disk of a folder, or of the nearest one above it that is there; none where nobody says.
    fn at(place: &Path) -> Option<Self> {
        place.ancestors().find_map(|place| {
            let found = statvfs(place).ok()?;
            Some(Self::of(&found, reserve::is_ours(place)))
        })
    }

    fn of(found: &StatVfs, is_reserve_ours: bool) -> Self {
        let (blocks, files) =
            if is_reserve_ours { (found.f_bfree, found.f_ffree) } else { (found.f_bavail, found.f_favail) };
        Self {
            bytes: blocks.saturating_mul(found.f_frsize),
            all_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            files,
            all_files: found.f_files,
        }
    }

    fn is_little(&self) -> bool {
        self.bytes < FEW_BYTES.min(self.all_bytes / PART) || self.files < FEW_FILES.min(self.all_files / PART)
    }

    fn is_nothing(&self) -> bool {
        let has_table = self.all_files > 0;
        self.bytes < NO_BYTES.min(self.all_bytes / NO_PART)
            || has_table && self.files < NO_FILES.min(self.all_files / NO_PART).max(1)
    }

    fn is_room(&self) -> bool {
        let has_files = self.files >= ROOM_FILES.min(self.all_files / PART).max(FEW_FILES);
        self.bytes >= ROOM_BYTES.min(self.all_bytes / PART).max(FEW_BYTES)
            && (self.all_files == 0 || has_files)
    }
}

/// The disks that a program writes to. They are looked at again and again while it does: where it fails it clears away, and
/// then there is room again.
#[derive(Debug)]
pub(crate) struct Disks<'a> {
    places: Vec<&'a Path>,
    little: OnceCell<PathBuf>,
    nothing: OnceCell<PathBuf>,
}

impl<'a> Disks<'a> {
    /// Those that these folders are on.
    pub(crate) fn of(places: impl IntoIterator<Item = &'a Path>) -> Self {
        Self { places: places.into_iter().collect(), little: OnceCell::new(), nothing: OnceCell::new() }
    }

    /// Looks whether one is full now.
    pub(crate) fn look(&self) {
        // What is not there, or does not say, is not full.
        let note = |noted: &OnceCell<PathBuf>, is_so: fn(&Space) -> bool| {
            if noted.get().is_none()
                && let Some(place) =
                    self.places.iter().find(|place| Space::at(place).as_ref().is_some_and(is_so))
            {
                let _ = noted.set(place.to_path_buf());
            }
        };
        note(&self.nothing, Space::is_nothing);
        note(&self.little, Space::is_little);
    }

    /// Looks once more; the disk that was full at some time. Where that is what was said, little room is enough for it.
    pub(crate) fn full(&self, is_said: bool) -> Option<FullDisk> {
        self.look();
        let little = self.little.get().filter(|_| is_said);
        let at = self.nothing.get().or(little)?;
        Some(FullDisk::of(at.clone()))
    }
}

/// Whether somebody says that there is no room on a disk.
pub(crate) fn is_said(lines: &[impl AsRef<str>]) -> bool {
    let words = ["no space", "enospc", "quota", "disk full", "disk is full", "not enough space"];
    lines.iter().any(|line| {
        let line = line.as_ref().to_lowercase();
        words.iter().any(|words| line.contains(words))
    })
}

/// A disk without room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullDisk {
    at: PathBuf,
    filled: Option<u64>,
}

impl FullDisk {
    pub(crate) fn of(at: PathBuf) -> Self {
        Self { at, filled: None }
    }

    /// A folder on it.
    #[must_use]
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Whether what failed for want of space has taken all of it itself.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.filled.is_some()
    }

    /// Looks again when all that was written is cleared away: if there was room before, and is again, it is what failed that
    /// took it.
    pub fn look_again(&mut self, before: &Room) {
        let had = before.0.iter().find(|(place, had)| *place == self.at && had.is_room());
        let has = Space::at(&self.at).is_some_and(|space| space.is_room());
        self.filled = had.filter(|_| has).map(|(_, had)| had.bytes);
    }
}

/// Behind a word such as `failed`.
impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = harmless(self.at.as_os_str().as_encoded_bytes());
        match self.filled {
            Some(bytes) => write!(f, "filled the disk of '{at}' ({} were free before)", size(bytes)),
            None => write!(f, "has no space left on the disk of '{at}'"),
        }
    }
}

/// `1.5 GiB`
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    if bytes < 1 << 30 { tenths(1 << 20) + " MiB" } else { tenths(1 << 30) + " GiB" }
}

/// How much room there is on some disks, before something is written to them.
#[derive(Debug)]
pub struct Room(Vec<(PathBuf, Space)>);

impl Room {
    /// Now.
    pub(crate) fn on(places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(places.into_iter().filter_map(|place| Space::at(&place).map(|space| (place, space))).collect())
    }
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

    fn disk(kilobytes: u64, free: u64, files: u64, free_files: u64) -> StatVfs {
        StatVfs {
            f_bsize: 4096,
            f_frsize: 1024,
            f_blocks: kilobytes,
            f_bfree: free,
            f_bavail: free,
            f_files: files,
            f_ffree: free_files,
            f_favail: free_files,
            f_fsid: 0,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        }
    }

    fn space(megabytes: u64, free: u64, files: u64, free_files: u64) -> Space {
        Space::of(&disk(megabytes * 1024, free * 1024, files, free_files), false)
    }

    #[test]
    fn a_disk_has_little_without_much_room_or_many_places_for_files() {
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
            let space = space(megabytes, free, files, free_files);
            assert_eq!(space.is_little(), expected, "{megabytes} {free} {files} {free_files}");
        }
    }

    #[test]
    fn a_disk_has_nothing_when_almost_nothing_is_left() {
        for (kilobytes, free, files, free_files, expected) in [
            (40 << 10, 14 << 10, 1000, 500, false),
            (40 << 10, 640, 1000, 500, false),
            (40 << 10, 639, 1000, 500, true),
            (1 << 20, 1024, 1000, 500, false),
            (1 << 20, 1023, 1000, 500, true),
            (1 << 20, 1 << 19, 1000, 4, false),
            (1 << 20, 1 << 19, 1000, 3, true),
            (1 << 20, 1 << 19, 20, 1, false),
            (1 << 20, 1 << 19, 20, 0, true),
            (1 << 20, 1 << 19, 0, 0, false),
            (0, 0, 0, 0, false),
        ] {
            let space = Space::of(&disk(kilobytes, free, files, free_files), false);
            assert_eq!(space.is_nothing(), expected, "{kilobytes} {free} {files} {free_files}");
        }
    }

    #[test]
    fn there_is_room_where_usual_builds_have_enough() {
        for (megabytes, free, files, free_files, expected) in [
            (100_000, 1024, 100_000, 10_000, true),
            (100_000, 1023, 100_000, 10_000, false),
            (100_000, 50_000, 100_000, 9999, false),
            (100_000, 50_000, 0, 0, true),
            (40, 20, 1000, 500, true),
            (40, 19, 1000, 500, false),
            // So small that each build fills it.
            (15, 15, 1000, 500, false),
            (1000, 1000, 20, 20, false),
        ] {
            let space = space(megabytes, free, files, free_files);
            assert_eq!(space.is_room(), expected, "{megabytes} {free} {files} {free_files}");
        }
    }

    #[test]
    fn what_is_kept_back_for_root_counts_for_nobody_else() {
        let found = StatVfs { f_bavail: 0, f_favail: 0, ..disk(1 << 20, 1 << 15, 1000, 500) };
        assert!(!Space::of(&found, true).is_little());
        assert!(Space::of(&found, false).is_nothing());
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
        let disks = Disks::of([Path::new("nonexistent/place")]);
        assert_eq!((disks.full(true), disks.full(false)), (None, None));
    }

    #[test]
    fn a_size_is_said_in_few_figures() {
        assert_eq!(size((14 << 20) + (1 << 19)), "14.5 MiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
    }

    #[test]
    fn who_runs_out_of_space_says_so_in_many_ways() {
        for line in ["cat: No space left on device", "npm ERR! code ENOSPC", "Disk quota exceeded"] {
            assert!(is_said(&["x".to_owned(), line.to_owned()]), "{line}");
        }
        assert!(!is_said(&["namespace left".to_owned(), String::new()]));
    }
}
