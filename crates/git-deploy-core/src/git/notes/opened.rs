//! The tree of notes while it is written: opened as far as edits reach, and closed again in the shape that git gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

use super::{Notes, is_hex};
use crate::git::GitError;
use crate::git::object::{FILE, FOLDER, TreeEntry};
use crate::ids::ObjectId;

/// A notes tree, opened as far as edits reach. All names are beginnings or wholes of ids, without slashes.
pub(super) struct Opened<'a> {
    source: &'a Notes<'a>,
    /// How many digits an id has.
    digits: usize,
    notes: BTreeMap<String, ObjectId>,
    /// Folders that nothing was looked up in.
    closed: BTreeMap<String, ObjectId>,
    /// What is no note, by the folder that it stands in; kept.
    others: BTreeMap<String, Vec<TreeEntry>>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(source: &'a Notes<'a>, digits: usize) -> Result<Self, GitError> {
        let (notes, closed, others) = Default::default();
        let mut opened = Self { source, digits, notes, closed, others };
        if let Some(tree) = source.tree {
            opened.open("", tree)?;
        }
        Ok(opened)
    }

    fn open(&mut self, prefix: &str, tree: ObjectId) -> Result<(), GitError> {
        let rest = self.digits - prefix.len();
        // Trees that nothing was looked up in are not kept: a sweep opens many.
        let known = self.source.opened.borrow().get(&tree).map(Rc::clone);
        let entries = known.map_or_else(|| self.source.repository.tree(tree).map(Rc::from), Ok)?;
        for entry in entries.iter() {
            match std::str::from_utf8(&entry.name).ok().filter(|name| is_hex(name)) {
                Some(name) if entry.is_folder() && name.len() == 2 && rest > 2 => {
                    self.closed.insert(format!("{prefix}{name}"), entry.id);
                }
                Some(name) if entry.is_file() && name.len() == rest => {
                    let name = format!("{prefix}{name}");
                    // Of two that stand for one note none may be lost.
                    let blob = match self.notes.get(&name) {
                        Some(upper) => self.source.repository.joined_note(*upper, entry.id)?,
                        None => entry.id,
                    };
                    self.notes.insert(name, blob);
                }
                _ => self.others.entry(prefix.to_owned()).or_default().push(entry.clone()),
            }
        }
        // Notes beside the folder that they should stand in: a writer without fan-out was here.
        let beside = |(name, _): &(&String, &ObjectId)| below(&self.notes, name).next().is_some();
        let mixed: Vec<String> =
            below(&self.closed, prefix).filter(beside).map(|(name, _)| name.clone()).collect();
        for name in mixed {
            if let Some(tree) = self.closed.remove(&name) {
                self.open(&name, tree)?;
            }
        }
        Ok(())
    }

    /// Takes the next folder below a prefix that is to be opened.
    fn take_closed(&mut self, prefix: &str) -> Option<(String, ObjectId)> {
        let name = below(&self.closed, prefix).next()?.0.clone();
        self.closed.remove_entry(&name)
    }

    /// Opens the folders that the note would stand in, so that no id ever stands twice, and writes it.
    pub(super) fn edit(&mut self, id: &str, blob: Option<ObjectId>) -> Result<(), GitError> {
        for end in (2..self.digits).step_by(2) {
            if let Some(tree) = self.closed.remove(&id[..end]) {
                self.open(&id[..end], tree)?;
            }
        }
        match blob {
            Some(blob) => self.notes.insert(id.to_owned(), blob),
            None => self.notes.remove(id),
        };
        Ok(())
    }

    /// git's rule (`determine_fanout` in `notes.c`): a level has folders where below each of the sixteen next digits
    /// stands more than one note, or a folder that need not be opened.
    fn is_crowded(&self, prefix: &str) -> bool {
        let next = |digit: u32| format!("{prefix}{digit:x}");
        let taken = |entry: &TreeEntry| entry.name.len() == 2 && !entry.is_folder();
        let clash = self.others.get(prefix).is_some_and(|others| others.iter().any(taken));
        prefix.len() + 2 < self.digits
            && !clash
            && (0..16).map(next).all(|next| {
                below(&self.closed, &next).next().is_some() || below(&self.notes, &next).nth(1).is_some()
            })
    }

    /// Writes what stands below a prefix; `None` when nothing does. Without `with_notes` the notes stand further up.
    pub(super) fn write(&mut self, prefix: &str, with_notes: bool) -> Result<Option<ObjectId>, GitError> {
        let has_folders = with_notes && self.is_crowded(prefix);
        if with_notes && !has_folders {
            while let Some((name, tree)) = self.take_closed(prefix) {
                self.open(&name, tree)?;
            }
        }
        let mut entries = self.others.get(prefix).cloned().unwrap_or_default();
        // As in git, what is called like a note and is none gives way to it.
        let is_note = |entry: &TreeEntry| {
            let name = std::str::from_utf8(&entry.name).unwrap_or_default();
            self.notes.contains_key(&format!("{prefix}{name}"))
        };
        entries.retain(|entry| !is_note(entry));
        let mut folders: BTreeSet<String> =
            self.others.keys().filter_map(|folder| folder_below(prefix, folder)).collect();
        if has_folders {
            // Most of them stay as they are.
            let is_whole = |(name, _): &(&String, &ObjectId)| name.len() == prefix.len() + 2;
            let whole = |(name, tree): (&String, &ObjectId)| entry(FOLDER, &name[prefix.len()..], *tree);
            entries.extend(below(&self.closed, prefix).filter(is_whole).map(whole));
            let parts = below(&self.closed, prefix).filter(|closed| !is_whole(closed));
            let names = below(&self.notes, prefix).chain(parts);
            folders.extend(names.filter_map(|(name, _)| folder_below(prefix, name)));
            folders.retain(|folder| !self.closed.contains_key(folder));
        } else if with_notes {
            let note = |(name, id): (&String, &ObjectId)| entry(FILE, &name[prefix.len()..], *id);
            entries.extend(below(&self.notes, prefix).map(note));
        }
        for folder in folders {
            let tree = self.write(&folder, has_folders)?;
            entries.extend(tree.map(|tree| entry(FOLDER, &folder[prefix.len()..], tree)));
        }
        if entries.is_empty() {
            return Ok(None);
        }
        self.source.repository.write_tree(entries).map(Some)
    }
}

/// What begins with a prefix.
fn below<'m, T>(
    names: &'m BTreeMap<String, T>,
    prefix: &'m str,
) -> impl Iterator<Item = (&'m String, &'m T)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    names.range::<str, _>(from).take_while(move |(name, _)| name.starts_with(prefix))
}

/// The folder right below a prefix in which something stands.
fn folder_below(prefix: &str, name: &str) -> Option<String> {
    name.get(..prefix.len() + 2).filter(|folder| folder.starts_with(prefix)).map(str::to_owned)
}

fn entry(mode: &'static [u8], name: &str, id: ObjectId) -> TreeEntry {
    TreeEntry { mode: mode.into(), name: name.into(), id }
}
