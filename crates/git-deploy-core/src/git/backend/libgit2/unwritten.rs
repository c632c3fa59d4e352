//! Objects that are written only when somebody is to see them: of most that a rebase makes for its verdict nobody does.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::git::GitError;
use crate::git::object::{Commit, Kind, Malformed, Object, raw_entries};
use crate::ids::ObjectId;

/// How many bytes of them are held.
const MOST: usize = 16 * 1024 * 1024;

/// Objects that are in memory alone.
#[derive(Default)]
pub(super) struct Unwritten(RefCell<Held>);

#[derive(Default)]
struct Held {
    objects: HashMap<ObjectId, Object>,
    bytes: usize,
}

impl Unwritten {
    /// Takes an object; whether there are so many now that they are to be written.
    pub(super) fn add(&self, id: ObjectId, kind: Kind, data: &[u8]) -> bool {
        let mut held = self.0.borrow_mut();
        if held.objects.insert(id, Object { kind, data: data.to_vec() }).is_none() {
            held.bytes += data.len();
        }
        held.bytes > MOST
    }

    pub(super) fn size(&self, id: ObjectId) -> Option<(Kind, usize)> {
        self.0.borrow().objects.get(&id).map(|object| (object.kind, object.data.len()))
    }

    pub(super) fn read(&self, id: ObjectId) -> Option<Object> {
        self.0.borrow().objects.get(&id).cloned()
    }

    /// Has each of them written. Where one cannot be, all are held as before.
    pub(super) fn write(&self, write: impl Fn(&Object) -> Result<(), GitError>) -> Result<(), GitError> {
        self.0.borrow().objects.values().try_for_each(write)?;
        self.0.take();
        Ok(())
    }

    /// Has those written that these lead to. All of them are, or they are held as before: what is written leads to nothing that
    /// is not.
    pub(super) fn write_from(
        &self,
        ids: &[ObjectId],
        write: impl Fn(&Object) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        let (mut open, mut written) = (ids.to_vec(), HashSet::new());
        while let Some(id) = open.pop() {
            let Some(object) = self.read(id).filter(|_| written.insert(id)) else { continue };
            write(&object)?;
            open.extend(leads_to(id, &object).map_err(|error| GitError::Malformed { id, error })?);
        }
        let held = &mut *self.0.borrow_mut();
        for object in written.iter().filter_map(|id| held.objects.remove(id)) {
            held.bytes -= object.data.len();
        }
        Ok(())
    }
}

/// What git reads of an object that it reads this one for.
fn leads_to(id: ObjectId, object: &Object) -> Result<Vec<ObjectId>, Malformed> {
    match object.kind {
        Kind::Commit => {
            let Commit { tree, parents, .. } = Commit::parse(&object.data)?;
            Ok(parents.into_iter().map(|parent| parent.0).chain([tree]).collect())
        }
        Kind::Tree => raw_entries(&object.data, id).map(|entry| entry.map(|entry| entry.id)).collect(),
        Kind::Blob | Kind::Tag => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::object::{FILE, TreeEntry, tree_bytes};

    fn id(digit: char) -> ObjectId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn what_cannot_be_written_is_held_as_before() {
        let unwritten = Unwritten::default();
        assert!(!unwritten.add(id('1'), Kind::Blob, b"one") && !unwritten.add(id('2'), Kind::Tree, b"two"));
        let full = |_: &Object| Err(GitError::Missing { id: id('3'), shallow: false });
        assert!(unwritten.write(full).is_err());
        assert_eq!(unwritten.read(id('1')).unwrap().data, b"one");
        let written = RefCell::new(Vec::new());
        let take = |object: &Object| {
            written.borrow_mut().push(object.data.clone());
            Ok(())
        };
        unwritten.write(take).unwrap();
        written.borrow_mut().sort();
        assert_eq!(written.into_inner(), [b"one", b"two"]);
        assert!(unwritten.size(id('1')).is_none() && unwritten.read(id('2')).is_none());
    }

    #[test]
    fn what_git_is_to_see_is_written_with_all_that_it_leads_to() {
        let unwritten = Unwritten::default();
        let [blob, tree, commit, other] = ['1', '2', '3', '4'].map(id);
        let entry = TreeEntry { mode: FILE.into(), name: b"a".to_vec(), id: blob };
        let text = format!("tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx\n");
        unwritten.add(blob, Kind::Blob, b"a");
        unwritten.add(tree, Kind::Tree, &tree_bytes(vec![entry]));
        unwritten.add(commit, Kind::Commit, text.as_bytes());
        unwritten.add(other, Kind::Blob, b"b");
        let written = RefCell::new(Vec::new());
        let take = |object: &Object| {
            written.borrow_mut().push(object.kind);
            Ok(())
        };
        unwritten.write_from(&[commit, id('5')], take).unwrap();
        assert_eq!(written.into_inner(), [Kind::Commit, Kind::Tree, Kind::Blob]);
        let is_held = [blob, tree, commit, other].map(|id| unwritten.size(id).is_some());
        assert_eq!(is_held, [false, false, false, true]);
    }

    #[test]
    fn so_much_is_held_and_no_more() {
        let (unwritten, half) = (Unwritten::default(), vec![0; MOST / 2 + 1]);
        assert!(!unwritten.add(id('1'), Kind::Blob, &half));
        assert!(!unwritten.add(id('1'), Kind::Blob, &half), "it is the same one");
        assert!(unwritten.add(id('2'), Kind::Blob, &half));
        unwritten.write(|_| Ok(())).unwrap();
        assert!(!unwritten.add(id('2'), Kind::Blob, &half));
    }
}
