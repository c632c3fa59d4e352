//! All that notes ever said, against a walk through the whole history by git.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "engine/lab.rs"]
#[expect(dead_code, reason = "the tests of the rebase do more in it")]
mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fastrand::Rng;

use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::Notes;
use git_deploy_core::ids::{CommitId, ObjectId, RefName};
use git_deploy_core::note::Note;

use crate::lab::{Lab, lab_tests};

/// Commits that notes stand on, and one that has none; nobody needs the commits themselves.
const IDS: [&str; 7] = ["11a", "11b", "112", "2", "3", "4", "ff"];

/// Branches that notes name, and one that none does.
const BRANCHES: [&str; 4] = ["a", "b", "ab", "none"];

/// The file in which it is kept what was found.
const KEPT: &str = "repo/.git/deploy/said";

fn ids() -> impl Iterator<Item = CommitId> {
    IDS.iter().map(|id| id.chars().cycle().take(40).collect::<String>().parse().unwrap())
}

fn branches() -> impl Iterator<Item = RefName> {
    BRANCHES.iter().map(|name| RefName::branch(name).unwrap())
}

/// Where a note stands in a tree with so many levels of folders.
fn place(id: CommitId, levels: usize) -> String {
    let mut path = id.to_string();
    (1..=levels).for_each(|level| path.insert(3 * level - 1, '/'));
    path
}

/// A history of notes that anybody may have written: many lines of it, merged now and then, in flat trees and others.
struct History {
    random: Rng,
    heads: Vec<u64>,
    marks: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), heads: Vec::new(), marks: 0 }
    }

    fn note(&mut self) -> String {
        let random = &mut self.random;
        // Few enough that many come again, elsewhere or later.
        let mut text = format!("state: staged\nrev: {}\n", random.u32(1..30));
        for name in &BRANCHES[..3] {
            if random.u8(0..3) == 0 {
                writeln!(text, "ref: refs/heads/{name}").unwrap();
            }
        }
        match random.u8(0..10) {
            0 => text.replace("staged", "nonsense"),
            1 => format!("{text}x: {}\n", "x".repeat(70_000)),
            2 => format!("{text}\0"),
            _ => text,
        }
    }

    fn change(&mut self) -> String {
        let id = ids().nth(self.random.usize(0..IDS.len() - 1)).unwrap();
        let path = match self.random.u8(0..20) {
            0 => "README".to_owned(),
            1 => format!("folder/{id}"),
            _ => place(id, self.random.usize(0..4)),
        };
        let text = self.note();
        match self.random.u8(0..12) {
            0..3 => format!("D {path}\n"),
            3 => format!("M 160000 {id} {path}\n"),
            4 => format!("M 120000 inline {path}\ndata {}\n{text}\n", text.len()),
            _ => format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()),
        }
    }

    /// Writes so many commits more, and leads the notes ref to one of their ends.
    fn grow(&mut self, lab: &Lab, commits: usize) {
        let mut stream = String::new();
        for _ in 0..commits {
            self.marks += 1;
            let mark = self.marks;
            write!(stream, "commit refs/made\nmark :{mark}\ncommitter A <a@a> {mark} +0000\ndata 0\n")
                .unwrap();
            let from = (!self.heads.is_empty()).then(|| self.random.usize(0..self.heads.len()));
            let begins = self.heads.len() < 2 || (self.heads.len() < 5 && self.random.u8(0..10) == 0);
            let from = from.filter(|_| !begins);
            let name = from.map_or_else(|| format!("begun/{mark}"), |_| "made".to_owned());
            write!(stream, "commit refs/{name}\nmark :{mark}\ncommitter A <a@a> {mark} +0000\ndata 0\n")
                .unwrap();
            match from {
                None => self.heads.push(mark),
                Some(from) => {
                    writeln!(stream, "from :{}", self.heads[from]).unwrap();
                    let merged = self.heads[self.random.usize(0..self.heads.len())];
                    if merged != self.heads[from] && self.random.u8(0..4) == 0 {
                        writeln!(stream, "merge :{merged}").unwrap();
                    }
                    self.heads[from] = mark;
                }
            }
            for _ in 0..self.random.u8(0..4) {
                stream.push_str(&self.change());
            }
            stream.push('\n');
        }
        let end = self.heads[self.random.usize(0..self.heads.len())];
        write!(stream, "reset refs/notes/deploy\nfrom :{end}\n").unwrap();
        let marks = format!("--export-marks={}", lab.path("marks").display());
        let known = format!("--import-marks-if-exists={}", lab.path("marks").display());
        lab.feed(&["fast-import", "--quiet", "--force", &known, &marks], stream.as_bytes());
    }
}

/// What git finds in the whole history: the notes among all blobs, or those at some paths.
fn walked(lab: &Lab, repository: &Repository, paths: &[String]) -> Vec<Note> {
    let mut args =
        vec!["--literal-pathspecs", "rev-list", "--objects", "--no-object-names", "--full-history"];
    args.extend(["refs/notes/deploy", "--"]);
    args.extend(paths.iter().map(String::as_str));
    let objects = lab.git(&args);
    let read = |id: &str| repository.note_bytes(id.parse::<ObjectId>().unwrap()).unwrap();
    objects.lines().filter_map(|id| Note::parse(&read(id).ok()?).ok()).collect()
}

fn sorted(notes: &[Note]) -> Vec<String> {
    let mut texts: Vec<String> = notes.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// All that was ever said, as it is found now, by all that can be asked for.
fn found(notes: &Notes<'_>) -> Vec<Vec<String>> {
    let on = ids().map(|id| sorted(&notes.ever_on(&[id]).unwrap()));
    let naming = branches().map(|name| {
        let found = notes.ever_naming(&[name]).unwrap();
        sorted(&found.into_iter().map(|(_, note)| note).collect::<Vec<_>>())
    });
    on.chain(naming).collect()
}

/// The same by a walk.
fn by_walk(lab: &Lab, repository: &Repository) -> Vec<Vec<String>> {
    let all = walked(lab, repository, &[]);
    let on = ids().map(|id| {
        let paths: Vec<String> = (0..4).map(|levels| place(id, levels)).collect();
        sorted(&walked(lab, repository, &paths))
    });
    let naming = |name: RefName| {
        sorted(&all.iter().filter(|note| note.refs.contains(&name)).cloned().collect::<Vec<_>>())
    };
    on.chain(branches().map(naming)).collect()
}

/// The entries of a commit's tree by their paths, as git lists them.
fn entries(lab: &Lab, commit: &str) -> BTreeMap<String, String> {
    let listed = lab.git(&["ls-tree", "-r", commit]);
    let entry = |line: &str| line.split_once('\t').map(|(entry, path)| (path.to_owned(), entry.to_owned()));
    listed.lines().filter_map(entry).collect()
}

/// What took the place of which blob, by the trees of all commits: where one differs from all before it.
fn replaced(lab: &Lab) -> BTreeMap<ObjectId, BTreeSet<ObjectId>> {
    let blob = |entry: &String| entry.split(' ').nth(2).filter(|_| entry.contains(" blob "))?.parse().ok();
    let mut found: BTreeMap<ObjectId, BTreeSet<ObjectId>> = BTreeMap::new();
    for line in lab.git(&["rev-list", "--parents", "refs/notes/deploy"]).lines() {
        let trees: Vec<_> = line.split(' ').map(|commit| entries(lab, commit)).collect();
        let (now, before) = trees.split_first().unwrap();
        let mut paths: BTreeSet<&String> = trees.iter().flat_map(BTreeMap::keys).collect();
        paths.retain(|path| before.iter().all(|tree| tree.get(*path) != now.get(*path)));
        for id in ids() {
            let of_id: Vec<&&String> =
                paths.iter().filter(|path| path.replace('/', "") == id.to_string()).collect();
            let came = of_id.iter().filter_map(|path| now.get(**path).and_then(blob));
            for came in came.collect::<Vec<_>>() {
                let went = of_id.iter().flat_map(|path| before.iter().filter_map(|tree| tree.get(**path)));
                for went in went.filter_map(blob).filter(|went| *went != came) {
                    found.entry(went).or_default().insert(came);
                }
            }
        }
    }
    found
}

/// Up to which commit something is kept.
fn kept(lab: &Lab) -> Option<String> {
    let text = std::fs::read_to_string(lab.path(KEPT)).ok()?;
    Some(text.lines().next()?.rsplit(' ').next()?.to_owned())
}

/// A commit of notes, for `git fast-import`.
fn written_at(time: u32, change: &str) -> String {
    format!("commit refs/notes/deploy\ncommitter A <a@a> {time} +0000\ndata 0\n{change}\n")
}

/// A text with the end that it is kept with.
fn sealed(lab: &Lab, text: &str) -> String {
    format!("{text}end {}\n", lab.feed(&["hash-object", "--stdin"], text.as_bytes()))
}

lab_tests! {
    fn what_is_found_is_what_a_walk_through_the_whole_history_finds(lab) {
        lab.init(&[]);
        for seed in 0..3 {
            let mut history = History::new(seed);
            drop(std::fs::remove_file(lab.path("marks")));
            for commits in [3, 120, 5, 160] {
                history.grow(lab, commits);
                let repository = Repository::open().unwrap();
                let expected = by_walk(lab, &repository);
                let notes = repository.notes().unwrap();
                assert_eq!(found(&notes), expected, "{seed}: {commits}");
                // Asked again, with what was found meanwhile.
                assert_eq!(found(&repository.notes().unwrap()), expected, "{seed}: {commits}");
            }
        }
        assert!(kept(lab).is_some());
    }

    fn what_took_the_place_of_a_note_is_found_wherever_that_stood(lab) {
        lab.init(&[]);
        let mut history = History::new(10);
        for commits in [100, 60] {
            history.grow(lab, commits);
            let (repository, replaced) = (Repository::open().unwrap(), replaced(lab));
            let notes = repository.notes().unwrap();
            for (blob, instead) in &replaced {
                let expected = instead.iter().filter_map(|id| Note::parse(&repository.note_bytes(*id).unwrap().ok()?).ok());
                assert_eq!(sorted(&notes.ever_instead_of(&[*blob]).unwrap()), sorted(&expected.collect::<Vec<_>>()));
            }
            assert!(replaced.len() > 10, "{}", replaced.len());
        }
    }

    fn what_is_kept_is_taken_for_nothing_where_it_is_not_all_or_not_of_this_history(lab) {
        lab.init(&[]);
        let mut history = History::new(8);
        history.grow(lab, 400);
        let repository = Repository::open().unwrap();
        let expected = found(&repository.notes().unwrap());
        assert_eq!(expected, by_walk(lab, &repository));
        let (path, upto) = (lab.path(KEPT), lab.git(&["rev-parse", "refs/notes/deploy"]));
        assert_eq!(kept(lab).as_ref(), Some(&upto));
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (head, last) = (lines[0], lines[lines.len() - 1]);
        let without_a_line = lines[..5].concat() + &lines[6..].concat();
        assert_eq!(sealed(lab, text.strip_suffix(last).unwrap()), text);
        let elsewhere = lab.git(&["rev-parse", "HEAD"]);
        let flipped = |at: usize| {
            let digit = if &text[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &text[..at], &text[at + 1..])
        };
        let of_line_3 = lines[..3].concat().len();
        for other in [
            String::new(),
            "\n".to_owned(),
            head.to_owned(),
            format!("{head}{last}"),
            text[..text.len() / 2].to_owned(),
            text[..text.len() - 1].to_owned(),
            text.replace(last, "end 3\n"),
            without_a_line,
            text.replacen(lines[3], &"\0".repeat(lines[3].len()), 1),
            // A digit of the blob, and one of the commit.
            flipped(of_line_3 + 7),
            flipped(of_line_3 + 47),
            text.replacen("refs/heads/a", "refs/heads/z", 1),
            sealed(lab, &lines[..lines.len() - 1].concat().replacen("said 1 ", "said 0 ", 1)),
            sealed(lab, &head.replace(&upto, &elsewhere)),
            sealed(lab, &head.replace(&upto, &"1".repeat(40))),
        ] {
            std::fs::write(&path, &other).unwrap();
            assert_eq!(found(&repository.notes().unwrap()), expected, "{other:.300}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{other:.300}");
        }
    }

    fn what_is_kept_of_a_history_that_says_nothing_is_how_far_it_was_looked_at(lab) {
        lab.init(&[]);
        let commits: String = (0..200).map(|time| written_at(time, "")).collect();
        lab.feed(&["fast-import", "--quiet"], commits.as_bytes());
        assert!(found(&Repository::open().unwrap().notes().unwrap()).concat().is_empty());
        assert_eq!(kept(lab), Some(lab.git(&["rev-parse", "refs/notes/deploy"])));
    }

    fn a_graft_hides_nothing_that_was_said(lab) {
        lab.init(&[]);
        History::new(11).grow(lab, 50);
        let repository = Repository::open().unwrap();
        let expected = by_walk(lab, &repository);
        let graft = lab.git(&["rev-parse", "refs/notes/deploy"]) + "\n";
        std::fs::write(lab.path("repo/.git/info/grafts"), graft).unwrap();
        assert_eq!(lab.git(&["rev-list", "--count", "refs/notes/deploy"]), "1");
        assert_eq!(found(&repository.notes().unwrap()), expected);
    }

    fn of_later_notes_only_that_is_looked_for_which_came_since(lab) {
        lab.init(&[]);
        let states = |states: &[&str]| -> String {
            let place = |state| format!("M 100644 inline {}\ndata <<.\nstate: {state}\n.\n", "1".repeat(40));
            states.iter().map(|state| written_at(0, &place(state))).collect()
        };
        lab.feed(&["fast-import", "--quiet"], states(&["development", "staged"]).as_bytes());
        let repository = Repository::open().unwrap();
        let before = repository.notes().unwrap();
        let (at, id) = (before.commit.unwrap(), ["1".repeat(40).parse().unwrap()]);
        let said = |notes: Notes<'_>| notes.ever_on(&id).unwrap().len();
        let next = states(&["deployable"]).replacen("data 0\n", &format!("data 0\nfrom {at}\n"), 1);
        lab.feed(&["fast-import", "--quiet"], next.as_bytes());
        let after = repository.notes().unwrap();
        assert_eq!([said(before.clone()), said(after.later(at).unwrap()), said(after.clone())], [2, 2, 3]);
        // From here on nobody finds what came before.
        std::fs::write(lab.path("repo/.git/shallow"), format!("{at}\n")).unwrap();
        assert_eq!(said(Repository::open().unwrap().notes().unwrap()), 2);
        assert_eq!(said(before.later(after.commit.unwrap()).unwrap()), 3);
    }

    fn nothing_is_kept_by_who_only_looks_or_does_not_have_all(lab) {
        lab.init(&[]);
        History::new(9).grow(lab, 400);
        let repository = Repository::open().unwrap();
        let upto = repository.notes().unwrap().commit;
        found(&repository.notes_at(upto).unwrap());
        found(&repository.with_objects_aside().unwrap().notes().unwrap());
        assert_eq!(kept(lab), None);
        let shallow = lab.path("repo/.git/shallow");
        std::fs::write(&shallow, format!("{}\n", upto.unwrap())).unwrap();
        found(&Repository::open().unwrap().notes().unwrap());
        assert_eq!(kept(lab), None);
        std::fs::remove_file(&shallow).unwrap();
        // A disk without the right to write costs time alone.
        std::fs::write(lab.path("repo/.git/deploy"), "").unwrap();
        let expected = by_walk(lab, &repository);
        assert_eq!(found(&Repository::open().unwrap().notes().unwrap()), expected);
    }
}
