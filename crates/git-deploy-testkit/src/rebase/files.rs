//! The files of a commit, and what people do to them.

use std::collections::BTreeMap;

use fastrand::Rng;

/// The files of a commit.
pub(super) type Files = BTreeMap<String, File>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) mode: &'static str,
    pub(super) content: Vec<u8>,
}

/// It always has what a history began with.
const ATTRIBUTES: &str = ".gitattributes";

/// What files are checked out as: nobody changes that, because git does not write a file anew for it, and may then take it for
/// changed.
const CHECKED_OUT: [&str; 2] = ["*.h text eol=crlf\n", "*.h -text diff\n"];

/// How files are merged, below the folder of the file in which it stands. `both` is a merge driver that some
/// [`CONFIGURATIONS`](super::CONFIGURATIONS) define.
const MERGED: [&str; 8] = [
    "*.txt merge=union\n",
    "*.rs merge=both\n",
    "c -merge\n",
    "*.txt merge=binary\n",
    "deep/** -merge\n",
    "*.rs conflict-marker-size=3\n",
    "main.rs merge\n",
    "x !merge\n",
];

impl File {
    fn text(text: impl Into<Vec<u8>>) -> Self {
        Self { mode: "100644", content: text.into() }
    }

    fn link(target: &str) -> Self {
        Self { mode: "120000", content: target.into() }
    }

    /// A commit of another repository, which is not there.
    fn submodule(rng: &mut Rng) -> Self {
        Self { mode: "160000", content: format!("{:040x}", rng.u8(1..4)).into_bytes() }
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.content).split_inclusive('\n').map(str::to_owned).collect()
    }

    fn set_lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.content = lines.into_iter().collect::<String>().into_bytes();
    }

    fn is_text(&self) -> bool {
        self.mode.starts_with("100") && !self.content.contains(&0)
    }
}

/// Any of these.
pub(super) fn any<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())].clone()
}

/// What a history begins with.
pub(super) fn first_files(rng: &mut Rng) -> Files {
    let mut files = Files::new();
    for path in [
        "a.txt",
        "b.txt",
        "src/main.rs",
        "src/lib.rs",
        "src/deep/one.rs",
        "src/eol.h",
        "doc/\u{e4} \"q\".md",
        "doc/c",
    ] {
        let text: String = (0..rng.usize(6..24)).map(|_| line(rng)).collect();
        files.insert(path.to_owned(), File::text(text));
    }
    let dos: String = (0..rng.usize(6..24)).map(|_| line(rng).replace('\n', "\r\n")).collect();
    files.insert("dos.bat".into(), File::text(dos));
    files.insert("link".into(), File::link("a.txt"));
    files.insert("run.sh".into(), File { mode: "100755", content: b"#!/bin/sh\nexit 0\n".to_vec() });
    files.insert("image.bin".into(), File::text(b"\0\x01\x02 first".to_vec()));
    files.insert("unended".into(), File::text("one\ntwo\nlast without newline"));
    files.insert("vendor/module".into(), File::submodule(rng));
    if rng.u8(0..3) == 0 {
        let lines = any(rng, &CHECKED_OUT).to_owned() + &merged_as(rng);
        files.insert(ATTRIBUTES.into(), File::text(lines));
    }
    files
}

fn merged_as(rng: &mut Rng) -> String {
    (0..rng.usize(1..4)).map(|_| any(rng, &MERGED)).collect()
}

/// Says of files in another way how they are merged.
fn change_attributes(rng: &mut Rng, files: &mut Files) {
    let path =
        if rng.bool() { ATTRIBUTES.to_owned() } else { any(rng, &["src/", "doc/"]).to_owned() + ATTRIBUTES };
    let first = files.get(&path).and_then(|file| file.lines().into_iter().next());
    let kept = first.filter(|line| CHECKED_OUT.contains(&&**line)).unwrap_or_default();
    files.insert(path, File::text(kept + &merged_as(rng)));
}

fn line(rng: &mut Rng) -> String {
    let indent = rng.usize(0..3);
    // Few different lines, so that diffs can be read in several ways.
    match rng.u8(0..4) {
        0 => "\n".to_owned(),
        1 => format!("{:indent$}}}\n", "", indent = indent * 4),
        _ => format!("{:indent$}call{}();\n", "", rng.u8(0..40), indent = indent * 4),
    }
}

/// What somebody makes of files.
pub(super) fn changed(rng: &mut Rng, mut files: Files) -> Files {
    for _ in 0..[1, 1, 1, 2, 3][rng.usize(0..5)] {
        change(rng, &mut files);
    }
    without_clashes(files)
}

fn change(rng: &mut Rng, files: &mut Files) {
    let paths: Vec<String> = files.keys().filter(|path| *path != ATTRIBUTES).cloned().collect();
    if paths.is_empty() {
        return;
    }
    let path = any(rng, &paths);
    let Some(mut file) = files.remove(&path) else { return };
    match rng.u8(0..29) {
        0 => return,
        1 | 2 => {
            let to = new_path(rng, files);
            if rng.bool() {
                edit(rng, &mut file);
            }
            files.insert(to, file);
            return;
        }
        3 => {
            files.insert(path, file);
            return rename_folder(rng, files);
        }
        4 | 5 => {
            let text: String = (0..rng.usize(1..9)).map(|_| line(rng)).collect();
            let new = new_path(rng, files);
            files.insert(new, File::text(text));
        }
        6 => {
            file.mode = match file.mode {
                "100644" => "100755",
                "100755" => "100644",
                other => other,
            };
        }
        7 => file = File::link(any(rng, &["a.txt", "b.txt", "doc"])),
        // A file becomes a folder; what becomes of a folder that was in the way, `without_clashes` decides.
        8 => {
            files.insert(format!("{path}/inner"), file);
            return;
        }
        9 => {
            let folder = path.split('/').next().unwrap_or(&path).to_owned();
            files.insert(folder, File::text("in the way\n"));
        }
        10 => drop(files.insert("image.bin".into(), File::text(vec![0, rng.u8(0..4)]))),
        11 => drop(files.insert("vendor/module".into(), File::submodule(rng))),
        12 => file = File::submodule(rng),
        13 | 14 => respace(rng, &path, &mut file),
        15 => change_attributes(rng, files),
        _ => edit(rng, &mut file),
    }
    files.entry(path).or_insert(file);
}

fn new_path(rng: &mut Rng, files: &Files) -> String {
    let folder = any(rng, &["", "src/", "doc/", "src/deep/", "new/"]);
    let name = any(rng, &["x", "y", "z.txt", "main.rs"]);
    let path = format!("{folder}{name}");
    if files.contains_key(&path) { format!("{path}{}", rng.u8(0..9)) } else { path }
}

fn rename_folder(rng: &mut Rng, files: &mut Files) {
    let from = any(rng, &["src/", "doc/", "src/deep/"]);
    let to = any(rng, &["lib/", "doc/more/", "src/inner/"]);
    let moved = |path: &str| Some(format!("{to}{}", path.strip_prefix(from)?));
    let all = std::mem::take(files);
    files.extend(all.into_iter().map(|(path, file)| (moved(&path).unwrap_or(path), file)));
}

fn edit(rng: &mut Rng, file: &mut File) {
    if !file.is_text() {
        return;
    }
    let mut lines = file.lines();
    let end = if lines.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..=lines.len());
        let new = line(rng).replace('\n', end);
        match rng.u8(0..4) {
            0 if at < lines.len() => drop(lines.remove(at)),
            1 if at < lines.len() => lines[at] = new,
            2 if at < lines.len() => lines[at] = format!("  {}", lines[at]),
            _ => lines.insert(at, new),
        }
    }
    file.set_lines(lines);
}

/// Changes white space alone: the ends of all lines, or the beginning or the end of some.
fn respace(rng: &mut Rng, path: &str, file: &mut File) {
    if !file.is_text() {
        return;
    }
    let kind = rng.u8(0..4);
    let lines = file.lines().into_iter().map(|line| {
        let text = line.trim_end_matches(['\r', '\n']);
        let (text, end) = (text.to_owned(), line[text.len()..].to_owned());
        match kind {
            // Git would take a file of which it is told that its lines end so for changed.
            0 if !path.ends_with(".h") && end == "\n" => text + "\r\n",
            0 if end == "\r\n" => text + "\n",
            1 if rng.bool() => text + "  " + &end,
            2 if rng.bool() => format!("\t{}{end}", text.trim_start()),
            _ if rng.u8(0..3) == 0 => text + &end + &end,
            _ => text + &end,
        }
    });
    let lines: Vec<String> = lines.collect();
    file.set_lines(lines);
}

/// Does to `files` what was done between `before` and `after`: wholly, a part of it, or with other white space.
pub(super) fn copied(rng: &mut Rng, files: &Files, before: &Files, after: &Files) -> Files {
    let (part, spaces) = (rng.u8(0..4) == 0, rng.u8(0..4) == 0);
    let mut copy = files.clone();
    for path in before.keys().chain(after.keys()) {
        let unlike = before.get(path) == after.get(path) || files.get(path) != before.get(path);
        if unlike || part && rng.bool() {
            continue;
        }
        match after.get(path) {
            None => drop(copy.remove(path)),
            Some(file) if spaces && file.is_text() => {
                drop(copy.insert(path.clone(), indented(before.get(path), file)));
            }
            Some(file) => drop(copy.insert(path.clone(), file.clone())),
        }
    }
    without_clashes(copy)
}

/// The file with other white space in lines that are new in it.
fn indented(before: Option<&File>, after: &File) -> File {
    let old = before.map(File::lines).unwrap_or_default();
    let line = |line: String| if old.contains(&line) { line } else { format!("    {line}") };
    let mut file = after.clone();
    file.set_lines(after.lines().into_iter().map(line));
    file
}

/// Where a path is both a file and a folder, the file stays.
fn without_clashes(mut files: Files) -> Files {
    let is_clash =
        |path: &String| path.match_indices('/').any(|(slash, _)| files.contains_key(&path[..slash]));
    let clashes: Vec<String> = files.keys().filter(|path| is_clash(path)).cloned().collect();
    files.retain(|path, _| !clashes.contains(path));
    files
}
