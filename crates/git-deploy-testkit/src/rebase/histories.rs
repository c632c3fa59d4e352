//! Random histories: a base and branches that do to each other whatever people do.

use std::fmt::Write as _;

use fastrand::Rng;

use super::files::{Files, any, changed, copied, first_files};
use super::quoted;

/// How git may be configured where it changes what a merge gives.
pub const CONFIGURATIONS: [&[(&str, &str)]; 9] = [
    &[],
    &[DRIVER],
    &[("merge.directoryRenames", "true")],
    &[("merge.renames", "false")],
    &[("diff.algorithm", "patience")],
    &[("merge.conflictStyle", "diff3"), ("diff.renames", "copies")],
    &[("merge.directoryRenames", "false"), ("diff.algorithm", "myers"), ("core.abbrev", "40")],
    &[("merge.renameLimit", "1"), ("diff.renameLimit", "2"), ("diff.algorithm", "minimal")],
    &[DRIVER, ("merge.directoryRenames", "true")],
];

/// What both sides made of a file, one after the other.
const DRIVER: (&str, &str) = ("merge.both.driver", "cat %B >>%A");

const MESSAGES: [&str; 8] = [
    "Change a thing\n",
    "Change a thing\n\nFor a reason that takes\ntwo lines.\n",
    "fixup! Change a thing\n",
    "Trailing   \n\n\nspace\t\n\n",
    "Hash\n\n# not a comment\n#nor this\n",
    "no newline at the end",
    "Carriage\r\n\r\nreturns\r\n",
    "",
];

/// Makes histories and writes them for `git fast-import`.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    marks: usize,
    stream: String,
    /// What base has, one commit after the other.
    base: Vec<Point>,
    /// Commits of side lines that base has merged.
    sides: Vec<Point>,
}

/// A commit from which others go on.
#[derive(Debug, Clone)]
struct Point {
    files: Files,
    mark: usize,
    /// The first commit of base that does not come before it.
    later: usize,
}

impl Generator {
    /// The same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        Self { rng, marks: 0, stream: String::new(), base: Vec::new(), sides: Vec::new() }
    }

    /// A stream with `master` and branches `b0`, `b1`, ...
    #[must_use]
    pub fn history(mut self, branches: usize) -> Vec<u8> {
        let files = first_files(&mut self.rng);
        self.extend_base(&[], files);
        for _ in 0..self.rng.usize(8..20) {
            let Point { files, mark, .. } = self.tip();
            if self.rng.u8(0..8) == 0 {
                self.merge_a_side_line(&files, mark);
            } else {
                let files = changed(&mut self.rng, files);
                self.extend_base(&[mark], files);
            }
        }
        for branch in 0..branches {
            self.branch(branch);
        }
        self.stream.into_bytes()
    }

    fn tip(&self) -> Point {
        self.base[self.base.len() - 1].clone()
    }

    fn extend_base(&mut self, parents: &[usize], files: Files) {
        let mark = self.commit("refs/heads/master", parents, &files);
        self.base.push(Point { files, mark, later: self.base.len() + 1 });
    }

    /// Base merges a line that began at one of its commits.
    fn merge_a_side_line(&mut self, files: &Files, tip: usize) {
        let fork = any(&mut self.rng, &self.base);
        let (mut side, mut mark) = (fork.files.clone(), fork.mark);
        for _ in 0..self.rng.usize(1..3) {
            side = changed(&mut self.rng, side);
            mark = self.commit("refs/heads/side", &[mark], &side);
            self.sides.push(Point { files: side.clone(), mark, later: self.base.len() });
        }
        let merged = copied(&mut self.rng, files, &fork.files, &side);
        self.extend_base(&[tip, mark], merged);
    }

    fn branch(&mut self, number: usize) {
        let from_side = !self.sides.is_empty() && self.rng.u8(0..5) == 0;
        let fork = any(&mut self.rng, if from_side { &self.sides } else { &self.base });
        let Point { mut files, mut mark, later } = fork;
        let mut past = vec![files.clone()];
        for _ in 0..self.rng.usize(1..6) {
            files = match self.rng.u8(0..10) {
                0..=2 if later < self.base.len() => self.copy(&files, later),
                3 => any(&mut self.rng, &past),
                4 if self.rng.bool() => files,
                _ => changed(&mut self.rng, files),
            };
            // Where it came from a side line, base and branch have then merged the same commits crosswise.
            let merged =
                if self.rng.u8(0..60) == 0 { vec![any(&mut self.rng, &self.base).mark] } else { vec![] };
            mark = self.commit(&format!("refs/heads/b{number}"), &[&[mark], &merged[..]].concat(), &files);
            past.push(files.clone());
        }
    }

    /// What base does later.
    fn copy(&mut self, files: &Files, later: usize) -> Files {
        let later = self.rng.usize(later.max(1)..self.base.len());
        let (before, after) = (self.base[later - 1].files.clone(), self.base[later].files.clone());
        copied(&mut self.rng, files, &before, &after)
    }

    /// Writes a commit with these files and returns its mark.
    fn commit(&mut self, branch: &str, parents: &[usize], files: &Files) -> usize {
        self.marks += 1;
        let mark = self.marks;
        let time = 1_700_000_000 + 100 * mark;
        let message = any(&mut self.rng, &MESSAGES);
        let zone = any(&mut self.rng, &["+0000", "-0330", "+1245"]);
        self.say(format_args!("reset {branch}\ncommit {branch}\nmark :{mark}\n"));
        self.say(format_args!("author A {mark} <a@example.org> {} {zone}\n", time - 7));
        self.say(format_args!("committer C <c@example.org> {time} +0100\ndata {}\n", message.len()));
        self.say(format_args!("{message}\n"));
        for (index, parent) in parents.iter().enumerate() {
            self.say(format_args!("{} :{parent}\n", if index == 0 { "from" } else { "merge" }));
        }
        self.say(format_args!("deleteall\n"));
        for (path, file) in files {
            let content = String::from_utf8_lossy(&file.content);
            let (mode, path) = (file.mode, quoted(path.as_bytes()));
            if mode == "160000" {
                self.say(format_args!("M {mode} {content} {path}\n"));
            } else {
                self.say(format_args!("M {mode} inline {path}\ndata {}\n{content}\n", content.len()));
            }
        }
        mark
    }

    fn say(&mut self, words: std::fmt::Arguments<'_>) {
        self.stream.write_fmt(words).expect("writing to a string cannot fail");
    }
}
