//! The notes tree against git itself: its shape, its readers, and many writers at once.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "engine/lab.rs"]
#[expect(dead_code, reason = "the tests of the rebase do more in it")]
mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::{Edits, NotesEdit, NotesError};
use git_deploy_core::git::object::{FILE, FOLDER, Kind, TreeEntry};
use git_deploy_core::ids::{CommitId, ObjectId};
use git_deploy_core::note::{MAX_BYTES, Note};
use git_deploy_core::state::State;

use crate::lab::{Lab, lab_tests};

/// What most notes say.
const TEXT: &str = "state: staged\n";

/// Ids that no object has: notes need none.
fn ids(seed: u64, prefix: &str, count: usize) -> Vec<CommitId> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut id = || {
        let mut hex = prefix.to_owned();
        while hex.len() < 40 {
            write!(hex, "{:x}", random.u8(0..16)).unwrap();
        }
        hex.parse().unwrap()
    };
    (0..count).map(|_| id()).collect()
}

fn set(ids: &[CommitId], text: &str) -> Edits {
    ids.iter().map(|id| (*id, Some(text.as_bytes().to_vec()))).collect()
}

fn remove(ids: &[CommitId]) -> Edits {
    ids.iter().map(|id| (*id, None)).collect()
}

/// Writes notes with our code, as one commit.
fn write(repository: &Repository, edits: &Edits) {
    let identity = repository.identity().unwrap();
    let written = repository.write_notes(&identity, |_| -> Result<NotesEdit, NotesError> {
        Ok(NotesEdit { edits: edits.clone(), message: "test".to_owned(), merged: None })
    });
    written.unwrap();
}

/// All notes as they are read: by id, the text.
fn read(repository: &Repository) -> BTreeMap<CommitId, String> {
    let notes = repository.notes().unwrap();
    let all = notes.all().unwrap();
    let text = |id: &CommitId| String::from_utf8(notes.bytes(*id).unwrap().unwrap()).unwrap();
    for (id, blob) in &all {
        assert_eq!(text(id).as_bytes(), repository.note_bytes(*blob).unwrap().unwrap(), "{id}");
    }
    // Asked for at once, and among others that have none.
    let asked = all.keys().copied().chain(ids(7, "", 100)).chain(all.keys().copied().take(1)).collect();
    assert_eq!(notes.blobs_on(asked).unwrap().into_iter().collect::<BTreeMap<_, _>>(), all);
    all.keys().map(|id| (*id, text(id))).collect()
}

/// The tree of our notes.
fn shape(lab: &Lab) -> String {
    lab.git(&["rev-parse", "refs/notes/deploy^{tree}"])
}

/// Puts a tree of any shape under the notes ref.
fn plant(lab: &Lab, repository: &Repository, entries: Vec<TreeEntry>) {
    let tree = repository.write_tree(entries).unwrap().to_string();
    let commit = lab.git(&["commit-tree", "-m", "planted", &tree]);
    lab.git(&["update-ref", "refs/notes/deploy", &commit]);
}

fn blob(repository: &Repository, text: &str) -> ObjectId {
    repository.write(Kind::Blob, text.as_bytes()).unwrap()
}

fn file(name: &str, id: ObjectId) -> TreeEntry {
    TreeEntry { mode: FILE.into(), name: name.into(), id }
}

fn folder(repository: &Repository, name: &str, entries: Vec<TreeEntry>) -> TreeEntry {
    let id = repository.write_tree(entries).unwrap();
    TreeEntry { mode: FOLDER.into(), name: name.into(), id }
}

/// The tree that git makes of our notes when it does the same to them.
struct Oracle<'a>(&'a Lab);

impl Oracle<'_> {
    const REF: &'static str = "--ref=oracle";

    /// Begins with the notes as they are.
    fn begin(&self) {
        let ours = self.0.git(&["for-each-ref", "--format=%(objectname)", "refs/notes/deploy"]);
        if ours.is_empty() {
            self.0.git(&["update-ref", "-d", "refs/notes/oracle"]);
        } else {
            self.0.git(&["update-ref", "refs/notes/oracle", &ours]);
        }
    }

    fn set(&self, ids: &[CommitId], text: &str) {
        self.0.feed(&["hash-object", "-w", "--stdin"], text.as_bytes());
        let blob = self.0.feed(&["hash-object", "--stdin"], text.as_bytes());
        // One process for all, as ours is one write: git shapes a tree when it ends.
        let source = ids[0].to_string();
        self.0.git(&["notes", "--ref=source", "add", "-f", "-C", &blob, &source]);
        if let [id] = ids {
            self.0.git(&["notes", Self::REF, "add", "-f", "-C", &blob, &id.to_string()]);
            return;
        }
        self.0.git(&["notes", Self::REF, "add", "-f", "-C", &blob, &source]);
        let lines: String = ids[1..].iter().map(|id| format!("{source} {id}\n")).collect();
        self.0.feed(&["notes", Self::REF, "copy", "-f", "--stdin"], lines.as_bytes());
    }

    fn remove(&self, ids: &[CommitId]) {
        let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
        self.0.feed(&["notes", Self::REF, "remove", "--ignore-missing", "--stdin"], lines.as_bytes());
    }

    fn shape(&self) -> String {
        self.0.git(&["rev-parse", "refs/notes/oracle^{tree}"])
    }
}

lab_tests! {
    fn a_tree_written_at_once_has_gits_own_shape(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        for count in [1, 30, 60, 100, 300, 1000] {
            lab.git(&["update-ref", "-d", "refs/notes/deploy"]);
            let oracle = Oracle(lab);
            oracle.begin();
            let ids = ids(count as u64, "", count);
            oracle.set(&ids, TEXT);
            write(&repository, &set(&ids, TEXT));
            assert_eq!(shape(lab), oracle.shape(), "{count} notes");
            assert_eq!(read(&repository).len(), count);
        }
    }

    fn a_crowded_corner_is_fanned_out_deeper_as_git_does(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let oracle = Oracle(lab);
        for corner in [40, 200] {
            lab.git(&["update-ref", "-d", "refs/notes/deploy"]);
            oracle.begin();
            let ids = [ids(1, "", 100), ids(2, "ab", corner)].concat();
            oracle.set(&ids, TEXT);
            write(&repository, &set(&ids, TEXT));
            assert_eq!(shape(lab), oracle.shape(), "{corner} notes in one corner");
        }
        let deep = lab.git(&["ls-tree", "-r", "--name-only", "refs/notes/deploy"]);
        assert!(deep.lines().any(|path| path.matches('/').count() == 2), "{deep}");
    }

    fn each_single_write_gives_the_tree_that_git_would_give(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let oracle = Oracle(lab);
        let mut random = fastrand::Rng::with_seed(7);
        let ids = [ids(3, "", 90), ids(4, "ab", 20)].concat();
        write(&repository, &set(&ids[..60], TEXT));
        let mut there: BTreeSet<CommitId> = ids[..60].iter().copied().collect();
        for step in 0..120 {
            oracle.begin();
            // First mostly adding, then mostly removing, so that the tree is fanned out and becomes flat again.
            let id = ids[random.usize(..ids.len())];
            if random.u8(0..10) < if step < 40 { 8 } else { 2 } {
                let text = format!("state: staged\nrev: {step}\n");
                oracle.set(&[id], &text);
                write(&repository, &set(&[id], &text));
                there.insert(id);
            } else {
                oracle.remove(&[id]);
                write(&repository, &remove(&[id]));
                there.remove(&id);
            }
            assert_eq!(shape(lab), oracle.shape(), "step {step}, {} notes", there.len());
        }
        assert_eq!(read(&repository).into_keys().collect::<BTreeSet<_>>(), there);
    }

    fn removing_many_notes_gives_the_tree_that_git_would_give(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let oracle = Oracle(lab);
        let ids = ids(5, "", 300);
        write(&repository, &set(&ids, TEXT));
        for removed in [&ids[..100], &ids[100..200], &ids[200..270], &ids[270..299]] {
            oracle.begin();
            oracle.remove(removed);
            write(&repository, &remove(removed));
            assert_eq!(shape(lab), oracle.shape());
        }
        assert_eq!(read(&repository), BTreeMap::from([(ids[299], TEXT.to_owned())]));
        write(&repository, &remove(&ids));
        assert!(read(&repository).is_empty());
    }

    fn a_flat_tree_is_read_and_gets_folders_with_the_next_write(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let ids = ids(6, "", 300);
        let text = blob(&repository, TEXT);
        plant(lab, &repository, ids[1..].iter().map(|id| file(&id.to_string(), text)).collect());
        assert_eq!(read(&repository).len(), 299);
        assert_eq!(repository.notes().unwrap().get(ids[7]).unwrap(), Some(Note::new(State::Staged)));

        let oracle = Oracle(lab);
        oracle.begin();
        oracle.set(&ids[..1], TEXT);
        write(&repository, &set(&ids[..1], TEXT));
        assert_eq!(shape(lab), oracle.shape());
        assert_eq!(read(&repository).len(), 300);
    }

    fn notes_that_a_flat_writer_left_beside_folders_are_put_into_them(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let ids = ids(8, "", 200);
        write(&repository, &set(&ids[..150], TEXT));
        let (tree, text) = (repository.notes().unwrap().commit.unwrap(), blob(&repository, TEXT));
        let mut entries = repository.tree(repository.commit(tree).unwrap().tree).unwrap();
        entries.extend(ids[150..199].iter().map(|id| file(&id.to_string(), text)));
        plant(lab, &repository, entries);
        assert_eq!(read(&repository).len(), 199);

        let oracle = Oracle(lab);
        oracle.begin();
        oracle.set(&ids[199..], TEXT);
        write(&repository, &set(&ids[199..], TEXT));
        assert_eq!(shape(lab), oracle.shape());
        assert_eq!(read(&repository).len(), 200);
    }

    fn what_stands_at_two_depths_is_the_one_note_that_git_makes_of_it(lab) {
        lab.init(&[]);
        let head = lab.id("HEAD");
        let hex = head.to_string();
        for repository in [Repository::open().unwrap(), Repository::open_with_program().unwrap()] {
            let two = |upper: &str, lower: &str| {
                let inner = vec![file(&hex[2..], blob(&repository, lower))];
                let entries =
                    vec![folder(&repository, &hex[..2], inner), file(&hex, blob(&repository, upper))];
                plant(lab, &repository, entries);
            };
            let shown = || lab.git(&["notes", "--ref=deploy", "show", "HEAD"]);
            two(TEXT, TEXT);
            assert_eq!(repository.notes().unwrap().get(head).unwrap(), Some(Note::new(State::Staged)));
            // Whichever of them was withdrawn, it does not count.
            for (upper, lower) in [("deployable", "development"), ("development", "deployable")] {
                two(&format!("state: {upper}\n"), &format!("state: {lower}\n"));
                let seen = || (read(&repository)[&head].trim_end().to_owned(), shown());
                let (ours, gits) = seen();
                assert_eq!(ours, gits);
                let note = repository.notes().unwrap().get(head);
                assert!(matches!(note, Err(NotesError::Note { .. })), "{note:?}");
                // The next write leaves one of them, with both texts.
                let oracle = Oracle(lab);
                oracle.begin();
                oracle.set(&ids(21, "", 1), TEXT);
                write(&repository, &set(&ids(21, "", 1), TEXT));
                assert_eq!(shape(lab), oracle.shape());
                assert_eq!(seen(), (ours, gits));
            }
        }
    }

    fn a_note_that_nobody_could_read_again_is_not_written(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        write(&repository, &set(&ids(1, "", 1), TEXT));
        let before = shape(lab);
        let note = |bytes: usize| format!("{TEXT}message: {}\n", "x".repeat(bytes - TEXT.len() - 10));
        let (identity, id) = (repository.identity().unwrap(), ids(2, "", 1));
        let written = |bytes: usize, merged: Option<CommitId>| {
            let edit = || NotesEdit { edits: set(&id, &note(bytes)), message: "test".to_owned(), merged };
            repository.write_notes(&identity, |_| -> Result<NotesEdit, NotesError> { Ok(edit()) })
        };
        match written(MAX_BYTES + 1, None) {
            Err(NotesError::TooLarge { commit, bytes }) => assert_eq!((commit, bytes), (id[0], MAX_BYTES + 1)),
            other => panic!("{other:?}"),
        }
        assert_eq!(shape(lab), before);
        written(MAX_BYTES, None).unwrap();
        assert_eq!(repository.notes().unwrap().get(id[0]).unwrap().unwrap().to_string().len(), MAX_BYTES);
        // What others have written is theirs: it is told of where it is read.
        let ours = repository.notes().unwrap().commit;
        written(MAX_BYTES + 1, ours).unwrap();
        assert!(matches!(repository.notes().unwrap().get(id[0]), Err(NotesError::Note { .. })));
    }

    fn an_id_that_stands_at_three_depths_stands_once_after_any_write(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let id = ids(9, "ab", 1)[0];
        let hex = id.to_string();
        let twice = || {
            let deep = folder(&repository, &hex[2..4], vec![file(&hex[4..], blob(&repository, "state: deployable\n"))]);
            let middle = file(&hex[2..], blob(&repository, "state: development\n"));
            let flat = file(&hex, blob(&repository, TEXT));
            plant(lab, &repository, vec![flat, folder(&repository, "ab", vec![middle, deep])]);
        };
        twice();
        let other = ids(10, "cd", 1);
        write(&repository, &set(&other, TEXT));
        assert_eq!(lab.git(&["ls-tree", "-r", "refs/notes/deploy"]).lines().count(), 2);
        for said in ["deployable", "development", "staged"] {
            assert!(read(&repository)[&id].contains(&format!("state: {said}\n")), "{said}");
        }
        twice();
        write(&repository, &remove(&[id]));
        assert!(read(&repository).is_empty());
    }

    fn what_is_no_note_stays_where_it_is(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let text = blob(&repository, "mine\n");
        let link = TreeEntry { mode: b"120000".to_vec().into(), name: b"link".to_vec(), id: text };
        let nested = folder(&repository, "ab", vec![file("inner", text)]);
        let docs = folder(&repository, "docs", vec![file("page", text)]);
        plant(lab, &repository, vec![file("README", text), link, docs, nested]);
        assert!(read(&repository).is_empty());
        let foreign = |lab: &Lab| {
            let all = lab.git(&["ls-tree", "-r", "refs/notes/deploy"]);
            let is_foreign = |line: &&str| line.contains(&text.to_string());
            all.lines().filter(is_foreign).map(str::to_owned).collect::<Vec<_>>()
        };
        let before = foreign(lab);
        assert_eq!(before.len(), 4);
        let ids = ids(11, "", 200);
        for edits in [set(&ids[..1], TEXT), set(&ids, TEXT), remove(&ids[..190]), remove(&ids)] {
            write(&repository, &edits);
            assert_eq!(foreign(lab), before);
            lab.git(&["fsck", "--strict", "--no-dangling"]);
        }
        assert!(read(&repository).is_empty());
    }

    fn a_file_named_like_a_folder_of_notes_is_not_pushed_aside(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        plant(lab, &repository, vec![file("ab", blob(&repository, "mine\n"))]);
        let ids = [ids(12, "", 200), ids(13, "ab", 2)].concat();
        write(&repository, &set(&ids, TEXT));
        assert_eq!(read(&repository).len(), 202);
        assert_eq!(lab.git(&["show", "refs/notes/deploy:ab"]), "mine");
        lab.git(&["fsck", "--strict", "--no-dangling"]);
    }

    fn git_shows_what_we_write_and_we_read_what_git_writes(lab) {
        lab.init(&[]);
        let head = lab.id("HEAD");
        let mut note = Note::new(State::Deployable);
        (note.rev, note.message) = (2, Some("ready".to_owned()));
        for repository in [Repository::open().unwrap(), Repository::open_with_program().unwrap()] {
            write(&repository, &set(&ids(14, "", 100), TEXT));
            write(&repository, &set(&[head], &note.to_string()));
            let shown = lab.git(&["notes", "--ref=deploy", "show", "HEAD"]);
            assert_eq!(shown, note.to_string().trim_end());
            let logged = lab.git(&["log", "-1", "--notes=deploy", "--format=%N"]);
            assert_eq!(logged.trim_end(), note.to_string().trim_end());
            lab.git(&["notes", "--ref=deploy", "add", "-f", "-m", "state: development", "HEAD"]);
            let read = repository.notes().unwrap().get(head).unwrap();
            assert_eq!(read, Some(Note::new(State::Development)));
            lab.git(&["notes", "--ref=deploy", "remove", "HEAD"]);
            assert_eq!(repository.notes().unwrap().get(head).unwrap(), None);
            assert_eq!(repository.notes().unwrap().all().unwrap().len(), 100);
        }
    }

    fn both_ways_to_reach_git_write_the_same_tree(lab) {
        lab.init(&[]);
        let ids = ids(15, "", 80);
        let mut shapes = BTreeSet::new();
        for repository in [Repository::open().unwrap(), Repository::open_with_program().unwrap()] {
            lab.git(&["update-ref", "-d", "refs/notes/deploy"]);
            write(&repository, &set(&ids, TEXT));
            write(&repository, &remove(&ids[..3]));
            shapes.insert(shape(lab));
        }
        assert_eq!(shapes.len(), 1);
    }

    fn an_edit_that_changes_nothing_makes_no_commit(lab) {
        lab.init(&[]);
        let repository = Repository::open().unwrap();
        let ids = ids(16, "", 90);
        write(&repository, &remove(&ids));
        assert_eq!(repository.notes().unwrap().commit, None);
        write(&repository, &set(&ids, TEXT));
        let before = repository.notes().unwrap().commit;
        write(&repository, &set(&ids[..5], TEXT));
        write(&repository, &Edits::new());
        write(&repository, &remove(&self::ids(17, "", 1)));
        assert_eq!(repository.notes().unwrap().commit, before);
    }

    fn sixteen_writers_at_once_lose_nothing(lab) {
        lab.init(&[]);
        let ids = ids(18, "", 16 * 3);
        write(&Repository::open().unwrap(), &set(&self::ids(19, "", 40), TEXT));
        std::thread::scope(|scope| {
            for mine in ids.chunks(3) {
                scope.spawn(move || {
                    let repository = Repository::open().unwrap();
                    mine.iter().for_each(|id| write(&repository, &set(&[*id], TEXT)));
                });
            }
        });
        let repository = Repository::open().unwrap();
        let notes = read(&repository);
        assert_eq!(notes.len(), 40 + ids.len());
        assert!(ids.iter().all(|id| notes.contains_key(id)));
        let commits = lab.git(&["rev-list", "--count", "refs/notes/deploy"]);
        assert_eq!(commits, (1 + ids.len()).to_string());
    }
}
