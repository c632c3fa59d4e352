//! The bytes of commits, trees and tags, read and written exactly.
//!
//! A commit that is rewritten keeps every byte that the rewrite does not mean to change: encoding, foreign headers such
//! as jj's `change-id`, and a message that is not UTF-8. That is why there is a reader of our own for raw objects, and
//! why it serves both back ends with ids of either length.

use std::borrow::Cow;

use crate::ids::{CommitId, ObjectId};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Contents of a file.
    Blob,
    /// A folder.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl Kind {
    /// git's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }

    /// The kind that git's word means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Blob, Self::Tree, Self::Commit, Self::Tag].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An object without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Bytes that are not what their kind demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {kind} object: {what}")]
pub struct Malformed {
    /// The kind.
    pub kind: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

/// A commit as it stands in the object database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The commit's files.
    pub tree: ObjectId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// The value of the `author` header.
    pub author: Vec<u8>,
    /// The value of the `committer` header.
    pub committer: Vec<u8>,
    /// All further headers in order, continuation lines included, without the last newline.
    pub extra: Vec<Vec<u8>>,
    /// Everything after the empty line.
    pub message: Vec<u8>,
}

impl Commit {
    /// When it was committed, in seconds since 1970: `1763640000` of `Ada <ada@example.org> 1763640000 +0100`. 0 where its
    /// header has no such number.
    #[must_use]
    pub fn committed_at(&self) -> i64 {
        let text = String::from_utf8_lossy(&self.committer);
        let time = text.rsplit('>').next().and_then(|rest| rest.split_whitespace().next());
        time.and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
    }

    /// The same as files can have it: none is older than 1970, and in the archives that the layers of images are none is
    /// younger than eleven octal digits can say, in the year 2242.
    #[must_use]
    pub fn time_of_files(&self) -> i64 {
        self.committed_at().clamp(0, 0o77_777_777_777)
    }

    /// Whether jj keeps a conflict in it, which nobody has resolved yet: what it stands for is in the trees that this
    /// header names, and its own tree has a folder for each side.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        self.extra.iter().any(|header| header.starts_with(b"jj:trees "))
    }

    /// Reads the bytes of a commit.
    ///
    /// # Errors
    /// When a header that every commit has is missing or cannot be read.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let wrong = |what| Malformed { kind: "commit", what };
        let (headers, message) = split_headers(data);
        let mut tree = None;
        let mut parents = Vec::new();
        let (mut author, mut committer) = (None, None);
        let mut extra: Vec<Vec<u8>> = Vec::new();
        for line in headers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if line[0] == b' ' {
                let last = extra.last_mut().ok_or_else(|| wrong("a continuation of nothing"))?;
                last.push(b'\n');
                last.extend_from_slice(line);
            } else if let Some(id) = line.strip_prefix(b"tree ") {
                tree = Some(parse_id(id).ok_or_else(|| wrong("bad tree id"))?);
            } else if let Some(id) = line.strip_prefix(b"parent ") {
                parents.push(CommitId(parse_id(id).ok_or_else(|| wrong("bad parent id"))?));
            } else if let Some(value) = line.strip_prefix(b"author ") {
                author = Some(value.to_vec());
            } else if let Some(value) = line.strip_prefix(b"committer ") {
                committer = Some(value.to_vec());
            } else {
                extra.push(line.to_vec());
            }
        }
        Ok(Self {
            tree: tree.ok_or_else(|| wrong("no tree"))?,
            parents,
            author: author.ok_or_else(|| wrong("no author"))?,
            committer: committer.ok_or_else(|| wrong("no committer"))?,
            extra,
            message: message.to_vec(),
        })
    }

    /// The bytes of the commit.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut data = format!("tree {}\n", self.tree).into_bytes();
        for parent in &self.parents {
            data.extend_from_slice(format!("parent {parent}\n").as_bytes());
        }
        for (key, value) in [("author ", &self.author), ("committer ", &self.committer)] {
            data.extend_from_slice(key.as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        for header in &self.extra {
            data.extend_from_slice(header);
            data.push(b'\n');
        }
        data.push(b'\n');
        data.extend_from_slice(&self.message);
        data
    }

    /// The message as text; bytes that are not UTF-8 are replaced.
    pub fn message_text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    /// The first line of the message.
    pub fn subject(&self) -> String {
        self.message_text().lines().next().unwrap_or_default().to_owned()
    }
}

/// Reads an annotated tag: the object that it names, and its message.
///
/// # Errors
/// When it names no object.
pub fn parse_tag(data: &[u8]) -> Result<(ObjectId, String), Malformed> {
    let (headers, message) = split_headers(data);
    let target = headers
        .split(|byte| *byte == b'\n')
        .find_map(|line| parse_id(line.strip_prefix(b"object ")?))
        .ok_or(Malformed { kind: "tag", what: "no object" })?;
    Ok((target, String::from_utf8_lossy(message).into_owned()))
}

/// The name that an annotated tag was made under.
pub fn tag_name(data: &[u8]) -> Option<&[u8]> {
    let (headers, _) = split_headers(data);
    headers.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"tag "))
}

/// Writes an annotated tag on a commit.
pub fn tag_bytes(target: CommitId, name: &str, tagger: &str, message: &str) -> Vec<u8> {
    format!("object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}").into_bytes()
}

fn split_headers(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..=end], &data[end + 2..]),
        None => (data, &[]),
    }
}

fn parse_id(hex: &[u8]) -> Option<ObjectId> {
    std::str::from_utf8(hex).ok()?.parse().ok()
}

/// The mode of a file that is not executable.
pub const FILE: &[u8] = b"100644";
/// The mode of a folder.
pub const FOLDER: &[u8] = b"40000";

fn is_folder(mode: &[u8]) -> bool {
    mode == FOLDER
}

fn is_file(mode: &[u8]) -> bool {
    mode.starts_with(b"100")
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Octal digits as git writes them: `100644`, `100755`, `120000`, `160000` or `40000`.
    pub mode: Cow<'static, [u8]>,
    /// Its name: any bytes but NUL and `/`.
    pub name: Vec<u8>,
    /// What it is.
    pub id: ObjectId,
}

impl TreeEntry {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        is_folder(&self.mode)
    }

    /// Whether it is a file, executable or not: no folder, no symbolic link, no submodule.
    pub fn is_file(&self) -> bool {
        is_file(&self.mode)
    }
}

/// An entry as it stands in the bytes of a tree.
#[derive(Debug, Clone, Copy)]
pub struct RawEntry<'a> {
    /// Octal digits as git writes them.
    pub mode: &'a [u8],
    /// Its name: any bytes but NUL and `/`.
    pub name: &'a [u8],
    /// What it is.
    pub id: ObjectId,
}

impl RawEntry<'_> {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        is_folder(self.mode)
    }

    /// Whether it is a file, executable or not.
    pub fn is_file(&self) -> bool {
        is_file(self.mode)
    }

    /// The same entry for whoever keeps it longer than the bytes that it stands in.
    pub fn to_owned(self) -> TreeEntry {
        // A mode of its own for each of thousands of entries would take as long as all else.
        let mode = [FILE, FOLDER].into_iter().find(|known| *known == self.mode);
        let mode = mode.map_or_else(|| Cow::Owned(self.mode.to_vec()), Cow::Borrowed);
        TreeEntry { mode, name: self.name.to_vec(), id: self.id }
    }
}

/// The entries in the bytes of a tree whose ids have as many bytes as `like`, for whoever needs few of them. The last one is
/// an error where the tree ends in the middle of an entry.
pub fn raw_entries(data: &[u8], like: ObjectId) -> impl Iterator<Item = Result<RawEntry<'_>, Malformed>> {
    let id_len = like.as_bytes().len();
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = first_entry(rest, id_len);
        rest = entry.map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(entry, _)| entry).ok_or(Malformed { kind: "tree", what: "truncated entry" }))
    })
}

/// The first entry of a tree, and what follows it.
fn first_entry(data: &[u8], id_len: usize) -> Option<(RawEntry<'_>, &[u8])> {
    let nul = data.iter().position(|byte| *byte == 0)?;
    let space = data[..nul].iter().position(|byte| *byte == b' ')?;
    let (id, rest) = data[nul + 1..].split_at_checked(id_len)?;
    let entry = RawEntry { mode: &data[..space], name: &data[space + 1..nul], id: ObjectId::from_bytes(id)? };
    Some((entry, rest))
}

/// Reads the bytes of a tree whose ids have as many bytes as `like`.
///
/// # Errors
/// When it ends in the middle of an entry.
pub fn parse_tree(data: &[u8], like: ObjectId) -> Result<Vec<TreeEntry>, Malformed> {
    raw_entries(data, like).map(|entry| entry.map(RawEntry::to_owned)).collect()
}

/// The bytes of a tree; the entries are brought into git's order.
pub fn tree_bytes(mut entries: Vec<TreeEntry>) -> Vec<u8> {
    // git compares the name of a folder as if it ended with a slash.
    fn key(entry: &TreeEntry) -> impl Iterator<Item = u8> {
        entry.name.iter().copied().chain(entry.is_folder().then_some(b'/'))
    }
    entries.sort_by(|one, two| key(one).cmp(key(two)));
    let mut data = Vec::new();
    for entry in &entries {
        data.extend_from_slice(&entry.mode);
        data.push(b' ');
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(entry.id.as_bytes());
    }
    data
}

/// A path as git shows it with its default `core.quotePath`: as it is if it has only plain characters, else in double
/// quotes with C escapes.
pub fn quote_path(path: &[u8]) -> String {
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
    if path.iter().all(plain) {
        return String::from_utf8_lossy(path).into_owned();
    }
    let mut quoted = String::from("\"");
    for byte in path {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\t' => quoted.push_str("\\t"),
            b'\r' => quoted.push_str("\\r"),
            0x07 => quoted.push_str("\\a"),
            0x08 => quoted.push_str("\\b"),
            0x0b => quoted.push_str("\\v"),
            0x0c => quoted.push_str("\\f"),
            byte if plain(byte) => quoted.push(char::from(*byte)),
            byte => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

/// What was quoted so; none if it is nothing that [`quote_path`] writes.
pub fn unquote_path(quoted: &str) -> Option<Vec<u8>> {
    let inner = match quoted.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => quoted,
    };
    let (mut path, mut bytes) = (Vec::with_capacity(inner.len()), inner.bytes());
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'\\' => escaped(&mut bytes)?,
            byte => byte,
        });
    }
    // Whatever could be written in two ways is taken in one.
    (quote_path(&path) == quoted).then_some(path)
}

fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 0x07,
        b'b' => 0x08,
        b'v' => 0x0b,
        b'f' => 0x0c,
        plain @ (b'"' | b'\\') => plain,
        first => {
            let digits = [first, bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &[u8] = b"tree 0123456789abcdef0123456789abcdef01234567\n\
        parent 1123456789abcdef0123456789abcdef01234567\nauthor A <a@b> 1 +0000\ncommitter B <b@c> 2 -0130\n\
        encoding ISO-8859-1\ngpgsig -----BEGIN\n \n abc\n -----END\nchange-id kkkk\n\nsubject \xe4\n\nbody\n";

    #[test]
    fn a_commit_comes_back_byte_for_byte() {
        let commit = Commit::parse(COMMIT).unwrap();
        assert_eq!(commit.to_bytes(), COMMIT);
        assert_eq!(commit.extra.len(), 3);
        assert_eq!(commit.author, b"A <a@b> 1 +0000");
    }

    #[test]
    fn a_tree_is_written_in_gits_order() {
        let id: ObjectId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let entry = |mode: &'static [u8], name: &str| TreeEntry { mode: mode.into(), name: name.into(), id };
        let data = tree_bytes(vec![entry(FOLDER, "a"), entry(FILE, "a.b"), entry(FILE, "a0")]);
        let names: Vec<Vec<u8>> =
            parse_tree(&data, id).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [b"a.b".to_vec(), b"a".to_vec(), b"a0".to_vec()]);
        assert!(parse_tree(&data[..data.len() - 1], id).is_err());
    }

    #[test]
    fn paths_are_quoted_as_git_quotes_them() {
        assert_eq!(quote_path(b"a b/c.txt"), "a b/c.txt");
        assert_eq!(quote_path("t\u{e4}\"\\\n".as_bytes()), "\"t\\303\\244\\\"\\\\\\n\"");
        let all: Vec<u8> = (0..=255).collect();
        for path in [&b"a b/c.txt"[..], b"", &all] {
            assert_eq!(unquote_path(&quote_path(path)).as_deref(), Some(path));
        }
        for wrong in ["\"", "\"a\"", "\"a\\", "\"\\q\"", "\"\\777\"", "\"\\+12\"", "a\"b", "\"\\\""] {
            assert_eq!(unquote_path(wrong), None, "{wrong}");
        }
    }
}
