//! Looking for the notes on many commits at once.

use std::collections::HashMap;

use super::{NoteBlob, Notes};
use crate::git::GitError;
use crate::git::object::{self, Kind};
use crate::ids::{CommitId, ObjectId, hex_byte, is_hex_of};

impl Notes<'_> {
    /// What are the notes on these commits, for whoever asks for many: each tree is gone through once, and none in
    /// which no note of theirs can be.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn blobs_on(&self, mut commits: Vec<CommitId>) -> Result<HashMap<CommitId, NoteBlob>, GitError> {
        commits.sort_unstable();
        let mut found = HashMap::with_capacity(commits.len());
        if let Some(tree) = self.tree {
            self.look_for(tree, 0, &commits, &mut found)?;
        }
        Ok(found)
    }

    /// Looks for notes below a tree that stands for the first `depth` bytes of all these commits' ids, which are sorted.
    fn look_for(
        &self,
        tree: ObjectId,
        depth: usize,
        commits: &[CommitId],
        found: &mut HashMap<CommitId, NoteBlob>,
    ) -> Result<(), GitError> {
        let data = self.repository.read(tree, Kind::Tree)?;
        let mut folders = Vec::new();
        for entry in object::raw_entries(&data, tree) {
            let entry = entry.map_err(|error| GitError::Malformed { id: tree, error })?;
            let below = beginning_with(commits, depth, entry.name);
            if below.is_empty() {
                continue;
            }
            if entry.is_file() {
                let commit = below.iter().find(|one| is_hex_of(entry.name, &one.0.as_bytes()[depth..]));
                if let Some(commit) = commit {
                    found.entry(*commit).or_insert_with(|| entry.id.into()).put(entry.id);
                }
            } else if entry.is_folder() && entry.name.len() == 2 && depth + 1 < tree.as_bytes().len() {
                folders.push((entry.id, below));
            }
        }
        // The upper ones first, as any look-up finds them.
        folders.into_iter().try_for_each(|(folder, below)| self.look_for(folder, depth + 1, below, found))
    }
}

/// The commits among these, which are sorted, whose id has at this byte what the first two digits of a name say.
fn beginning_with<'c>(commits: &'c [CommitId], depth: usize, name: &[u8]) -> &'c [CommitId] {
    let Some(byte) = name.get(..2).and_then(hex_byte) else { return &[] };
    let at = |commit: &CommitId| commit.0.as_bytes().get(depth).copied();
    let from = commits.partition_point(|commit| at(commit) < Some(byte));
    let to = commits[from..].partition_point(|commit| at(commit) == Some(byte));
    &commits[from..from + to]
}
