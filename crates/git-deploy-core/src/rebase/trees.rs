//! Trees read in process: what becomes of three of them where nothing has to be merged.
//!
//! A merge is git's to make. But most of what a rebase asks is trivial: base changed some files, the branch others. That is
//! settled here, only where git's own merge, with all its detection of renames, cannot come to anything else: in each folder
//! that both sides changed, every entry is changed by one side at most, and none is gone. What is gone may have been renamed,
//! and then changes of the other side follow it; so does a folder that is no longer there with what the other side adds to it.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::git::object::{Kind, RawEntry, raw_entries};
use crate::git::{GitError, Repository};
use crate::ids::ObjectId;

/// How many folders deep is looked. What is deeper is left to git.
const DEPTH: usize = 200;

/// How many bytes of trees are kept, since branches of one base share most of theirs.
const KEPT: usize = 32 * 1024 * 1024;

/// The trees of a repository.
pub(super) struct Trees<'a> {
    repository: &'a Repository,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    trees: HashMap<ObjectId, Rc<[u8]>>,
    bytes: usize,
}

/// A tree that is not written yet.
struct Made(Vec<Piece>);

enum Piece {
    /// Entries as they stand in a tree.
    Bytes(Vec<u8>),
    /// A folder: what stands before its id, and what it has.
    Folder(Vec<u8>, Outcome),
}

enum Outcome {
    Known(ObjectId),
    New(Made),
}

/// What becomes of one name.
enum Settled<'e, 'b> {
    /// One side has added this.
    Added(&'e RawEntry<'b>),
    /// This stands there.
    Entry(&'e RawEntry<'b>),
    /// All three have a folder, and both sides changed something in it. The entry is that of ours.
    Folders([ObjectId; 3], &'e RawEntry<'b>),
    /// That is for git to say.
    Not,
}

/// What three trees have under one name.
type Three<'e, 'b> = [Option<&'e RawEntry<'b>>; 3];

impl<'a> Trees<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, kept: RefCell::default() }
    }

    /// The tree that has what `ours` and `theirs` changed in `base`; none where git has to be asked. Nothing is written then.
    pub(super) fn merge(
        &self,
        base: ObjectId,
        ours: ObjectId,
        theirs: ObjectId,
    ) -> Result<Option<ObjectId>, GitError> {
        match self.merged([base, ours, theirs], DEPTH)? {
            // A program for each folder would take longer than git does for all.
            Some(Outcome::New(_)) if !self.repository.is_in_process() => Ok(None),
            outcome => outcome.map(|outcome| self.write(outcome)).transpose(),
        }
    }

    /// Whether a file of that name is not the same in both trees, in whatever folder that is.
    pub(super) fn differ_in(&self, trees: [Option<ObjectId>; 2], name: &str) -> Result<bool, GitError> {
        self.differ_below(trees, name.as_bytes(), DEPTH)
    }

    fn differ_below(
        &self,
        [one, other]: [Option<ObjectId>; 2],
        name: &[u8],
        depth: usize,
    ) -> Result<bool, GitError> {
        if one == other {
            return Ok(false);
        }
        // Nobody looks so deep.
        if depth == 0 {
            return Ok(true);
        }
        let (empty, null) = (|| Ok(Rc::default()), self.repository.null_id());
        let bytes: [Rc<[u8]>; 2] = [
            one.map_or_else(empty, |tree| self.read(tree))?,
            other.map_or_else(empty, |tree| self.read(tree))?,
        ];
        let lists = [
            self.entries(one.unwrap_or(null), &bytes[0])?,
            self.entries(other.unwrap_or(null), &bytes[1])?,
            Vec::new(),
        ];
        for [one, other, _] in side_by_side(&lists) {
            let differs = match (one, other) {
                (Some(one), Some(other)) => !is_same(one, other),
                _ => true,
            };
            if !differs {
                continue;
            }
            let folder =
                |entry: Option<&RawEntry<'_>>| entry.filter(|entry| entry.is_folder()).map(|entry| entry.id);
            let is_it = |entry: Option<&RawEntry<'_>>| {
                entry.is_some_and(|entry| entry.name == name && !entry.is_folder())
            };
            if is_it(one)
                || is_it(other)
                || self.differ_below([folder(one), folder(other)], name, depth - 1)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn merged(&self, three: [ObjectId; 3], depth: usize) -> Result<Option<Outcome>, GitError> {
        let [base, ours, theirs] = three;
        if base == theirs {
            return Ok(Some(Outcome::Known(ours)));
        }
        if base == ours {
            return Ok(Some(Outcome::Known(theirs)));
        }
        if depth == 0 {
            return Ok(None);
        }
        let bytes = [self.read(base)?, self.read(ours)?, self.read(theirs)?];
        let entries = [
            self.entries(base, &bytes[0])?,
            self.entries(ours, &bytes[1])?,
            self.entries(theirs, &bytes[2])?,
        ];
        if !entries.iter().all(|entries| is_as_git_writes(entries)) {
            return Ok(None);
        }
        let (mut made, mut plain) = (Vec::new(), Vec::new());
        let mut added: HashSet<&[u8]> = HashSet::new();
        for three in side_by_side(&entries) {
            match settled(three) {
                // A file and a folder of one name do not stand side by side.
                Settled::Added(entry) if !added.insert(entry.name) => return Ok(None),
                Settled::Added(entry) | Settled::Entry(entry) => write_entry(&mut plain, entry),
                Settled::Folders(folders, entry) => {
                    let Some(folder) = self.merged(folders, depth - 1)? else { return Ok(None) };
                    let mut head = Vec::new();
                    write_head(&mut head, entry);
                    made.push(Piece::Bytes(std::mem::take(&mut plain)));
                    made.push(Piece::Folder(head, folder));
                }
                Settled::Not => return Ok(None),
            }
        }
        made.push(Piece::Bytes(plain));
        Ok(Some(Outcome::New(Made(made))))
    }

    fn write(&self, outcome: Outcome) -> Result<ObjectId, GitError> {
        let Made(pieces) = match outcome {
            Outcome::Known(id) => return Ok(id),
            Outcome::New(made) => made,
        };
        let mut bytes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bytes(entries) => bytes.extend(entries),
                Piece::Folder(head, folder) => {
                    bytes.extend(head);
                    bytes.extend_from_slice(self.write(folder)?.as_bytes());
                }
            }
        }
        let id = self.repository.write(Kind::Tree, &bytes)?;
        self.keep(id, bytes.into());
        Ok(id)
    }

    fn read(&self, id: ObjectId) -> Result<Rc<[u8]>, GitError> {
        if let Some(tree) = self.kept.borrow().trees.get(&id) {
            return Ok(Rc::clone(tree));
        }
        let tree: Rc<[u8]> = self.repository.read(id, Kind::Tree)?.into();
        self.keep(id, Rc::clone(&tree));
        Ok(tree)
    }

    fn keep(&self, id: ObjectId, tree: Rc<[u8]>) {
        let mut kept = self.kept.borrow_mut();
        if kept.bytes + tree.len() > KEPT {
            *kept = Kept::default();
        }
        kept.bytes += tree.len();
        kept.trees.insert(id, tree);
    }

    fn entries<'b>(&self, id: ObjectId, bytes: &'b [u8]) -> Result<Vec<RawEntry<'b>>, GitError> {
        let entries = raw_entries(bytes, self.repository.null_id());
        entries.collect::<Result<_, _>>().map_err(|error| GitError::Malformed { id, error })
    }
}

fn settled<'e, 'b>(three: Three<'e, 'b>) -> Settled<'e, 'b> {
    match three {
        [None, Some(entry), None] | [None, None, Some(entry)] => Settled::Added(entry),
        [Some(base), Some(ours), Some(theirs)] if is_same(base, theirs) => Settled::Entry(ours),
        [Some(base), Some(ours), Some(theirs)] if is_same(base, ours) => Settled::Entry(theirs),
        [Some(base), Some(ours), Some(theirs)]
            if base.is_folder() && ours.is_folder() && theirs.is_folder() =>
        {
            Settled::Folders([base.id, ours.id, theirs.id], ours)
        }
        _ => Settled::Not,
    }
}

/// Walks through three lists of entries at once, each in git's order.
fn side_by_side<'e, 'b>(lists: &'e [Vec<RawEntry<'b>>; 3]) -> impl Iterator<Item = Three<'e, 'b>> {
    let mut rest = [&lists[0][..], &lists[1][..], &lists[2][..]];
    std::iter::from_fn(move || {
        let first = rest.iter().filter_map(|rest| rest.first()).min_by(|one, two| in_order(one, two))?;
        Some([0, 1, 2].map(|list| {
            let (entry, behind) = rest[list].split_first()?;
            in_order(entry, first).is_eq().then(|| {
                rest[list] = behind;
                entry
            })
        }))
    })
}

/// The order of entries in a tree: a folder's name is compared as if it ended with a slash.
fn in_order(one: &RawEntry, two: &RawEntry) -> Ordering {
    let common = one.name.len().min(two.name.len());
    let next = |entry: &RawEntry| entry.name.get(common).copied().or(entry.is_folder().then_some(b'/'));
    let by_next = || next(one).cmp(&next(two)).then_with(|| one.name.len().cmp(&two.name.len()));
    one.name[..common].cmp(&two.name[..common]).then_with(by_next)
}

/// Whether git would write these entries so: in order, no name twice, and of the modes that it knows. Others it rewrites.
fn is_as_git_writes(entries: &[RawEntry]) -> bool {
    const MODES: [&[u8]; 5] = [b"40000", b"100644", b"100755", b"120000", b"160000"];
    entries.iter().all(|entry| MODES.contains(&entry.mode))
        && entries.windows(2).all(|two| in_order(&two[0], &two[1]).is_lt() && two[0].name != two[1].name)
}

fn is_same(one: &RawEntry, two: &RawEntry) -> bool {
    one.id == two.id && one.mode == two.mode
}

fn write_head(bytes: &mut Vec<u8>, entry: &RawEntry) {
    bytes.extend_from_slice(entry.mode);
    bytes.push(b' ');
    bytes.extend_from_slice(entry.name);
    bytes.push(0);
}

fn write_entry(bytes: &mut Vec<u8>, entry: &RawEntry) {
    write_head(bytes, entry);
    bytes.extend_from_slice(entry.id.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::object::{FILE, FOLDER};

    fn entry(name: &'static str, id: char) -> RawEntry<'static> {
        let (name, mode) = name.strip_suffix('/').map_or((name, FILE), |name| (name, FOLDER));
        RawEntry { mode, name: name.as_bytes(), id: id.to_string().repeat(40).parse().unwrap() }
    }

    fn lists(three: [&[(&'static str, char)]; 3]) -> [Vec<RawEntry<'static>>; 3] {
        three.map(|list| list.iter().map(|(name, id)| entry(name, *id)).collect())
    }

    #[test]
    fn entries_are_in_the_order_of_git() {
        for (one, two) in [("a", "b"), ("a", "ab"), ("a.b", "a/"), ("a/", "a0"), ("a", "a/"), ("a/", "ab")] {
            let (one, two) = (entry(one, '1'), entry(two, '1'));
            assert_eq!((in_order(&one, &two), in_order(&two, &one)), (Ordering::Less, Ordering::Greater));
        }
        assert_eq!(in_order(&entry("a/", '1'), &entry("a/", '2')), Ordering::Equal);
    }

    #[test]
    fn what_git_would_write_in_another_way_is_left_to_it() {
        let is_written = |list: &[(&'static str, char)]| {
            is_as_git_writes(&list.iter().map(|(name, id)| entry(name, *id)).collect::<Vec<_>>())
        };
        assert!(is_written(&[("a", '1'), ("b/", '1')]) && is_written(&[]));
        for wrong in [&[("b", '1'), ("a", '1')][..], &[("a", '1'), ("a", '2')], &[("a", '1'), ("a/", '1')]] {
            assert!(!is_written(wrong), "{wrong:?}");
        }
        let old = RawEntry { mode: b"100664", ..entry("a", '1') };
        assert!(!is_as_git_writes(&[old]));
    }

    #[test]
    fn three_lists_are_walked_through_at_once() {
        let lists =
            lists([&[("a", '1'), ("b/", '1')], &[("b", '1'), ("b/", '1')], &[("a", '2'), ("c", '1')]]);
        let names = side_by_side(&lists).map(|three| three.map(|entry| entry.is_some()));
        let expected = [[true, false, true], [false, true, false], [true, true, false], [false, false, true]];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_one_side_changed_is_settled_and_all_else_is_for_git() {
        type List = &'static [(&'static str, char)];
        let settled_as = |three: [List; 3]| {
            let lists = lists(three);
            let three = side_by_side(&lists).next().unwrap();
            match settled(three) {
                Settled::Added(entry) => format!("added {}", &entry.id.to_string()[..1]),
                Settled::Entry(entry) => entry.id.to_string()[..1].to_owned(),
                Settled::Folders(..) => "folders".to_owned(),
                Settled::Not => "git".to_owned(),
            }
        };
        let (one, two, three): (List, List, List) = (&[("a", '1')], &[("a", '2')], &[("a", '3')]);
        let folders: [List; 3] = [&[("a/", '1')], &[("a/", '2')], &[("a/", '3')]];
        for (three, expected) in [
            ([one, two, one], "2"),
            ([one, one, two], "2"),
            ([one, two, three], "git"),
            ([one, two, two], "git"),
            ([&[], one, &[]], "added 1"),
            ([&[], &[], one], "added 1"),
            ([&[], one, one], "git"),
            ([one, one, &[]], "git"),
            ([one, &[], one], "git"),
            (folders, "folders"),
            ([folders[0], folders[1], &[]], "git"),
        ] {
            assert_eq!(settled_as(three), expected, "{three:?}");
        }
    }
}
