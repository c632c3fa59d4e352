//! Diffs as git prints them, without the places where they apply.

use std::collections::HashMap;

use git2::{ObjectType, Oid};

use crate::ids::CommitId;

/// What a diff changes, boiled down: equal ones change the same, byte by byte, wherever in the files that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PatchId(Oid);

/// Reads what `git diff-tree --stdin --patch --full-index` prints: ids of commits, each before its diff. A commit without one
/// is left out.
pub(super) fn read(printed: &[u8]) -> HashMap<CommitId, PatchId> {
    let mut patches = HashMap::new();
    let mut patch: Option<(CommitId, Vec<u8>)> = None;
    let mut index: &[u8] = &[];
    let mut end = |patch: Option<(CommitId, Vec<u8>)>| {
        let Some((commit, bytes)) = patch.filter(|(_, bytes)| !bytes.is_empty()) else { return };
        if let Ok(id) = Oid::hash_object(ObjectType::Blob, &bytes) {
            patches.insert(commit, PatchId(id));
        }
    };
    for line in printed.split_inclusive(|byte| *byte == b'\n') {
        // What stands in files has a sign before it; all else is said by git.
        let id = std::str::from_utf8(line).ok().and_then(|line| line.strip_suffix('\n')?.parse().ok());
        let Some((_, bytes)) = patch.as_mut().filter(|_| id.is_none()) else {
            if let Some(commit) = id {
                end(patch.replace((commit, Vec::new())));
            }
            continue;
        };
        if line.starts_with(b"index ") {
            index = line;
        } else if line.starts_with(b"@@ ") {
            bytes.extend(b"@@\n");
        } else if line.starts_with(b"Binary files ") {
            // Of these nothing but the blobs is told.
            bytes.extend(index.iter().chain(line));
        } else {
            bytes.extend(line);
        }
    }
    end(patch);
    patches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of patches, each of a commit with the number of its place.
    fn ids(patches: &[&str]) -> Vec<Option<PatchId>> {
        let commits: Vec<CommitId> =
            (0..patches.len()).map(|number| format!("{number:040x}").parse().unwrap()).collect();
        let printed: String =
            commits.iter().zip(patches).map(|(commit, patch)| format!("{commit}\n{patch}")).collect();
        let read = read(printed.as_bytes());
        commits.iter().map(|commit| read.get(commit).copied()).collect()
    }

    #[test]
    fn a_patch_is_what_changes_wherever_that_is() {
        let patch = |place: &str, blobs: &str, line: &str| {
            format!(
                "diff --git a/f b/f\nindex {blobs} 100644\n--- a/f\n+++ b/f\n@@ {place} @@ fn\n-old\n+{line}\n"
            )
        };
        let same = [patch("-1 +1", "1..2", "new"), patch("-7 +9", "3..4", "new")];
        let others = [
            patch("-1 +1", "1..2", "new "),
            patch("-1 +1", "1..2", "new\r"),
            patch("-1 +1", "1..2", "n\0ew"),
        ];
        let read = ids(&[
            &same[0],
            &same[1],
            &others[0],
            &others[1],
            &others[2],
            "",
            &patch("-1 +1", "1..2", "n\0EW"),
        ]);
        assert_eq!(read[0], read[1]);
        assert_eq!(read[5], None);
        for (one, other) in [(0, 2), (0, 3), (2, 3), (0, 4), (4, 6)] {
            assert!(read[one].is_some() && read[one] != read[other], "{one} {other}");
        }
    }

    #[test]
    fn of_a_binary_file_the_blobs_tell() {
        let patch = |blobs: &str| {
            format!("diff --git a/f b/f\nindex {blobs} 100644\nBinary files a/f and b/f differ\n")
        };
        let read = ids(&[&patch("1..2"), &patch("1..2"), &patch("1..3")]);
        assert_eq!(read[0], read[1]);
        assert_ne!(read[0], read[2]);
    }
}
