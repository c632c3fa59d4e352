//! Random histories: a base and branches that do to each other whatever people do.

use std::collections::BTreeMap;
use std::fmt::Write;

use fastrand::Rng;

/// The files of a commit.
pub(crate) type Files = BTreeMap<String, File>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    mode: &'static str,
    content: Vec<u8>,
}

impl File {
    fn text(text: impl Into<Vec<u8>>) -> Self {
        Self { mode: "100644", content: text.into() }
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.content).split_inclusive('\n').map(str::to_owned).collect()
    }

    fn is_text(&self) -> bool {
        self.mode != "120000" && !self.content.contains(&0)
    }
}

/// Makes histories and writes them for `git fast-import`.
pub(crate) struct Generator {
    rng: Rng,
    marks: usize,
    stream: Vec<u8>,
}

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

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), marks: 0, stream: Vec::new() }
    }

    /// A stream with `master` and branches `b0`, `b1`, ...
    pub(crate) fn history(mut self, branches: usize) -> Vec<u8> {
        let mut base = vec![(self.first_files(), 0)];
        let root = self.commit("refs/heads/master", None, &base[0].0.clone());
        base[0].1 = root;
        for _ in 0..self.rng.usize(8..20) {
            let (files, parent) = base.last().cloned().unwrap();
            let changed = self.change_some(files);
            let mark = self.commit("refs/heads/master", Some(parent), &changed);
            base.push((changed, mark));
        }
        for branch in 0..branches {
            self.branch(branch, &base);
        }
        self.stream
    }

    fn branch(&mut self, number: usize, base: &[(Files, usize)]) {
        let fork = self.rng.usize(0..base.len());
        let (mut files, mut parent) = base[fork].clone();
        let mut past = vec![files.clone()];
        for _ in 0..self.rng.usize(1..6) {
            files = match self.rng.u8(0..10) {
                0..=2 if fork + 1 < base.len() => self.copy(&files, base, fork),
                3 => past[self.rng.usize(0..past.len())].clone(),
                4 if self.rng.bool() => files,
                _ => self.change_some(files),
            };
            parent = self.commit(&format!("refs/heads/b{number}"), Some(parent), &files);
            past.push(files.clone());
        }
    }

    /// What base does later: wholly, a part of it, or with other whitespace.
    fn copy(&mut self, files: &Files, base: &[(Files, usize)], fork: usize) -> Files {
        let later = self.rng.usize(fork + 1..base.len());
        let (before, after) = (&base[later - 1].0, &base[later].0);
        let (part, spaces) = (self.rng.u8(0..4) == 0, self.rng.u8(0..4) == 0);
        let mut copy = files.clone();
        for path in before.keys().chain(after.keys()) {
            let unlike = before.get(path) == after.get(path) || files.get(path) != before.get(path);
            if unlike || part && self.rng.bool() {
                continue;
            }
            match after.get(path) {
                None => drop(copy.remove(path)),
                Some(file) if spaces && file.is_text() => {
                    let respaced = self.respace(before.get(path), file);
                    copy.insert(path.clone(), respaced);
                }
                Some(file) => drop(copy.insert(path.clone(), file.clone())),
            }
        }
        without_clashes(copy)
    }

    /// The file with other whitespace in lines that are new in it.
    fn respace(&mut self, before: Option<&File>, after: &File) -> File {
        let old = before.map(File::lines).unwrap_or_default();
        let line = |line: String| if old.contains(&line) { line } else { format!("    {line}") };
        let content: String = after.lines().into_iter().map(line).collect();
        File { mode: after.mode, content: content.into_bytes() }
    }

    fn first_files(&mut self) -> Files {
        let mut files = Files::new();
        for path in
            ["a.txt", "b.txt", "src/main.rs", "src/lib.rs", "src/deep/one.rs", "doc/\u{e4} \"q\".md", "doc/c"]
        {
            let text: String = (0..self.rng.usize(6..24)).map(|_| self.line()).collect();
            files.insert(path.to_owned(), File::text(text));
        }
        files.insert("link".into(), File { mode: "120000", content: b"a.txt".to_vec() });
        files.insert("run.sh".into(), File { mode: "100755", content: b"#!/bin/sh\nexit 0\n".to_vec() });
        files.insert("image.bin".into(), File::text(b"\0\x01\x02 first".to_vec()));
        files.insert("unended".into(), File::text("one\ntwo\nlast without newline"));
        files
    }

    fn line(&mut self) -> String {
        let indent = self.rng.usize(0..3);
        // Few different lines, so that diffs can be read in several ways.
        match self.rng.u8(0..4) {
            0 => "\n".to_owned(),
            1 => format!("{:indent$}}}\n", "", indent = indent * 4),
            _ => format!("{:indent$}call{}();\n", "", self.rng.u8(0..40), indent = indent * 4),
        }
    }

    fn change_some(&mut self, mut files: Files) -> Files {
        for _ in 0..[1, 1, 1, 2, 3][self.rng.usize(0..5)] {
            self.change(&mut files);
        }
        without_clashes(files)
    }

    fn change(&mut self, files: &mut Files) {
        let Some(path) = self.rng.choice(files.keys().cloned().collect::<Vec<_>>()) else { return };
        match self.rng.u8(0..24) {
            0 => drop(files.remove(&path)),
            1 | 2 => {
                let to = self.new_path(files);
                let mut file = files.remove(&path).unwrap();
                if self.rng.bool() {
                    self.edit(&mut file);
                }
                files.insert(to, file);
            }
            3 => self.rename_folder(files),
            4 | 5 => {
                let text: String = (0..self.rng.usize(1..9)).map(|_| self.line()).collect();
                let path = self.new_path(files);
                files.insert(path, File::text(text));
            }
            6 => {
                let file = files.get_mut(&path).unwrap();
                file.mode = match file.mode {
                    "100644" => "100755",
                    "100755" => "100644",
                    other => other,
                };
            }
            7 => {
                let target = self.rng.choice(["a.txt", "b.txt", "doc"]).unwrap();
                files.insert(path, File { mode: "120000", content: target.into() });
            }
            // A file becomes a folder; what becomes of a folder that was in the way, `without_clashes` decides.
            8 => {
                let file = files.remove(&path).unwrap();
                files.insert(format!("{path}/inner"), file);
            }
            9 => {
                let folder = path.split('/').next().unwrap().to_owned();
                files.insert(folder, File::text("in the way\n"));
            }
            10 => {
                let bytes = [0, self.rng.u8(0..4)];
                files.insert("image.bin".into(), File::text(bytes.to_vec()));
            }
            _ => self.edit(files.get_mut(&path).unwrap()),
        }
    }

    fn new_path(&mut self, files: &Files) -> String {
        let folder = self.rng.choice(["", "src/", "doc/", "src/deep/", "new/"]).unwrap();
        let name = self.rng.choice(["x", "y", "z.txt", "main.rs"]).unwrap();
        let path = format!("{folder}{name}");
        if files.contains_key(&path) { format!("{path}{}", self.rng.u8(0..9)) } else { path }
    }

    fn rename_folder(&mut self, files: &mut Files) {
        let from = self.rng.choice(["src/", "doc/", "src/deep/"]).unwrap();
        let to = self.rng.choice(["lib/", "doc/more/", "src/inner/"]).unwrap();
        let moved: Vec<String> = files.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let file = files.remove(&path).unwrap();
            files.insert(format!("{to}{}", &path[from.len()..]), file);
        }
    }

    fn edit(&mut self, file: &mut File) {
        if !file.is_text() {
            return;
        }
        let mut lines = file.lines();
        for _ in 0..self.rng.usize(1..4) {
            let at = self.rng.usize(0..=lines.len());
            match self.rng.u8(0..4) {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines[at] = self.line(),
                2 if at < lines.len() => lines[at] = format!("  {}", lines[at]),
                _ => lines.insert(at, self.line()),
            }
        }
        file.content = lines.concat().into_bytes();
    }

    /// Writes a commit with these files and returns its mark.
    fn commit(&mut self, branch: &str, parent: Option<usize>, files: &Files) -> usize {
        self.marks += 1;
        let mark = self.marks;
        let time = 1_700_000_000 + 100 * mark;
        let message = self.rng.choice(MESSAGES).unwrap();
        let mut head = format!("commit {branch}\nmark :{mark}\n");
        let zone = self.rng.choice(["+0000", "-0330", "+1245"]).unwrap();
        writeln!(head, "author A {mark} <a@example.org> {} {zone}", time - 7).unwrap();
        writeln!(head, "committer C <c@example.org> {time} +0100\ndata {}\n{message}", message.len())
            .unwrap();
        if let Some(parent) = parent {
            writeln!(head, "from :{parent}").unwrap();
        }
        self.stream.extend_from_slice(head.as_bytes());
        self.stream.extend_from_slice(b"deleteall\n");
        for (path, File { mode, content }) in files {
            let path = git_deploy_core::git::object::quote_path(path.as_bytes());
            self.stream
                .extend_from_slice(format!("M {mode} inline {path}\ndata {}\n", content.len()).as_bytes());
            self.stream.extend_from_slice(content);
            self.stream.push(b'\n');
        }
        mark
    }
}

/// Where a path is both a file and a folder, the file stays.
fn without_clashes(mut files: Files) -> Files {
    let is_clash =
        |path: &String| path.match_indices('/').any(|(slash, _)| files.contains_key(&path[..slash]));
    let clashes: Vec<String> = files.keys().filter(|path| is_clash(path)).cloned().collect();
    files.retain(|path, _| !clashes.contains(path));
    files
}
