//! A base that went on, and branches that did not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;

use super::super::WHO;

/// Lines of a file.
const LINES: u32 = 60;
/// Commits of base, and how many of them a branch begins behind its tip.
const COMMITS: usize = 800;
const BEHIND: std::ops::Range<usize> = 42..750;
/// How many files a commit of base changes.
const CHANGED: usize = 5;

/// Changes of lines: of this file, this line, by this commit.
type Edits = Vec<(u32, u32, usize)>;

/// What base did, commit by commit.
pub(super) struct History {
    rng: Rng,
    files: u32,
    base: Vec<Edits>,
}

impl History {
    /// The same each time.
    pub(super) fn new(files: u32) -> Self {
        let mut rng = Rng::with_seed(u64::from(files));
        let mut edit = |commit| (rng.u32(0..files), rng.u32(0..LINES), commit);
        let base = (1..COMMITS).map(|commit| (0..CHANGED).map(|_| edit(commit)).collect()).collect();
        Self { rng, files, base }
    }

    /// All of it for `git fast-import`, with so many branches of so many commits, that are staged.
    pub(super) fn stream(mut self, branches: u32, commits: u32) -> String {
        let (mut stream, mut notes) = (String::new(), String::new());
        say(&mut stream, format_args!("{}", begin("refs/heads/master", 1, None)));
        let untouched = Lines::new();
        (0..self.files).for_each(|file| write_file(&mut stream, file, &untouched));
        let mut now: BTreeMap<u32, Lines> = BTreeMap::new();
        for (at, edits) in self.base.iter().enumerate() {
            say(&mut stream, format_args!("{}", begin("refs/heads/master", at + 2, Some(at + 1))));
            for (file, line, commit) in edits {
                let lines = now.entry(*file).or_default();
                lines.insert(*line, *commit);
                write_file(&mut stream, *file, lines);
            }
        }
        let mut mark = COMMITS;
        for branch in 0..branches {
            let fork = COMMITS - self.rng.usize(BEHIND);
            let mut parent = fork;
            let mut changed: BTreeMap<u32, Lines> = BTreeMap::new();
            for _ in 0..commits {
                mark += 1;
                say(
                    &mut stream,
                    format_args!("{}", begin(&format!("refs/heads/b{branch}"), mark, Some(parent))),
                );
                parent = mark;
                // One of those that base changes later.
                let later = self.rng.usize(fork - 1..self.base.len());
                let (file, ..) = self.base[later][self.rng.usize(0..CHANGED)];
                let lines = changed.entry(file).or_insert_with(|| self.at(fork, file));
                lines.insert(self.rng.u32(0..LINES), mark);
                write_file(&mut stream, file, lines);
            }
            let note =
                format!("state: staged\nref: refs/heads/b{branch}\nsince: 2026-11-20T12:00:00Z\nrev: 1\n");
            say(&mut notes, format_args!("N inline :{mark}\ndata {}\n{note}", note.len()));
        }
        say(&mut stream, format_args!("commit refs/notes/deploy\ncommitter {WHO}\ndata 5\nnotes\n{notes}"));
        stream
    }

    /// What was changed of a file when base had so many commits.
    fn at(&self, commits: usize, file: u32) -> Lines {
        let edits = self.base[..commits - 1].iter().flatten().filter(|(of, ..)| *of == file);
        edits.map(|(_, line, commit)| (*line, *commit)).collect()
    }
}

/// The lines of a file that are no more as they were, each with the commit that made it.
type Lines = BTreeMap<u32, usize>;

/// A commit on base that changes nothing that was there.
pub(super) fn aside() -> String {
    format!(
        "commit refs/heads/master\ncommitter {WHO}\ndata 5\naside\nfrom refs/heads/master^0\nM 100644 inline aside\ndata 0\n\n"
    )
}

fn begin(name: &str, mark: usize, parent: Option<usize>) -> String {
    let message = format!("commit {mark}");
    let from = parent.map(|parent| format!("from :{parent}\n")).unwrap_or_default();
    format!("commit {name}\nmark :{mark}\ncommitter {WHO}\ndata {}\n{message}\n{from}", message.len())
}

fn write_file(stream: &mut String, file: u32, changed: &Lines) {
    let line = |line: u32| match changed.get(&line) {
        None => format!("line {line} of file {file}\n"),
        Some(commit) => format!("line {line} of file {file} since commit {commit}\n"),
    };
    let text: String = (0..LINES).map(line).collect();
    // As many in a folder as people put there.
    let (area, folder) = (file / 400, file / 20);
    say(
        stream,
        format_args!("M 100644 inline area{area}/folder{folder}/file{file}\ndata {}\n{text}", text.len()),
    );
}

fn say(stream: &mut String, words: std::fmt::Arguments<'_>) {
    stream.write_fmt(words).expect("writing to a string cannot fail");
}
