//! Objects that are written only when somebody is to see them: of most that a rebase makes for its verdict nobody does.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::git::GitError;
use crate::git::object::{Kind, Object};
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

    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.0.borrow().objects.contains_key(&id)
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(!unwritten.has(id('1')) && unwritten.read(id('2')).is_none());
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
