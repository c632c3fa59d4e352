//! Objects and refs with the git program, for repositories that libgit2 cannot open.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::listing::Listing;
use super::{Backend, Paths, Ref};
use crate::git::GitError;
use crate::git::object::{Kind, Object};
use crate::git::program::{Call, ProgramError, git};
use crate::ids::{ObjectId, RefName};

pub(in crate::git) struct GitProgram {
    paths: Paths,
    null_id: ObjectId,
    /// One `git cat-file --batch` for all reads, started at the first.
    reader: RefCell<Option<Reader>>,
    config: Listing,
}

impl GitProgram {
    /// Opens the repository that the environment and the current folder name.
    pub(in crate::git) fn open() -> Result<Self, GitError> {
        let args =
            ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--show-object-format"];
        let call = git(args).arg("--is-bare-repository");
        let text = call.text()?;
        let mut lines = text.lines();
        let mut next = || lines.next().ok_or_else(|| call.unreadable("too few lines"));
        let (git_dir, common_dir) = (PathBuf::from(next()?), PathBuf::from(next()?));
        let null_id = "0".repeat(if next()? == "sha256" { 64 } else { 40 });
        let bare = next()? == "true";
        let inside = !bare && git(["rev-parse", "--is-inside-work-tree"]).text()? == "true";
        let work_tree =
            if inside { Some(git(["rev-parse", "--show-toplevel"]).text()?.into()) } else { None };
        Ok(Self {
            paths: Paths { git_dir, common_dir, work_tree },
            null_id: null_id.parse().map_err(|error| GitError::Id { what: "null id", error })?,
            reader: RefCell::new(None),
            config: Listing::default(),
        })
    }
}

/// Objects that git fetches when they are wanted.
#[derive(Default)]
pub(super) struct Promised(RefCell<Option<Reader>>);

impl Promised {
    /// Reads an object by the git program.
    pub(super) fn read(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        read(&self.0, id)
    }
}

fn read(reader: &RefCell<Option<Reader>>, id: ObjectId) -> Result<Option<Object>, GitError> {
    let mut reader = reader.borrow_mut();
    let running = match &mut *reader {
        Some(running) => running,
        none => none.insert(Reader::start()?),
    };
    running.read(id).map_err(|error| {
        *reader = None;
        GitError::Read { id, error }
    })
}

/// A running `git cat-file --batch`, which ends when its input is closed.
struct Reader {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn start() -> Result<Self, ProgramError> {
        let mut child = Command::new("git")
            .args(["cat-file", "--batch"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(ProgramError::Start)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for as pipes")
        };
        Ok(Self { child, input: Some(input), output: BufReader::new(output) })
    }

    fn read(&mut self, id: ObjectId) -> std::io::Result<Option<Object>> {
        let mut input = self.input.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{id}")?;
        input.flush()?;
        let mut header = String::new();
        self.output.read_line(&mut header)?;
        let mut words = header.split_whitespace().skip(1);
        let (kind, size) =
            (words.next().and_then(Kind::from_word), words.next().and_then(|word| word.parse().ok()));
        let (Some(kind), Some(size)) = (kind, size) else {
            return if header.trim_end().ends_with("missing") {
                Ok(None)
            } else {
                Err(std::io::Error::other(format!("unexpected answer '{}'", header.trim_end())))
            };
        };
        let mut data = vec![0; size];
        self.output.read_exact(&mut data)?;
        self.output.read_exact(&mut [0])?;
        Ok(Some(Object { kind, data }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.input.take();
        // Its status says nothing that the answers did not say.
        drop(self.child.wait());
    }
}

fn parse_id(call: &Call, text: &str) -> Result<ObjectId, GitError> {
    Ok(text.trim_end().parse().map_err(|error| call.unreadable(format!("{error}")))?)
}

impl Backend for GitProgram {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn null_id(&self) -> ObjectId {
        self.null_id
    }

    fn read(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        read(&self.reader, id)
    }

    fn write(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        let call = git(["hash-object", "-w", "--literally", "--stdin", "-t", kind.as_str()]).input(data);
        parse_id(&call, &call.text()?)
    }

    fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        // Not `rev-parse`, which looks for other refs of that name, too.
        let call = git(["show-ref", "--verify", "--hash", "--", name.as_str()]);
        let output = call.output()?;
        if !output.status.success() {
            return Ok(None);
        }
        parse_id(&call, &String::from_utf8_lossy(&output.stdout)).map(Some)
    }

    fn symbolic_target(&self, name: &str) -> Result<Option<RefName>, GitError> {
        let answer = git(["symbolic-ref", "--quiet", name]).answer()?;
        let target = answer.and_then(|target| String::from_utf8(target).ok());
        Ok(target.and_then(|target| RefName::new(target.trim_end()).ok()))
    }

    fn refs(&self, prefix: &str) -> Result<Vec<Ref>, GitError> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or((prefix, ""));
        let call = git(["for-each-ref", "--format=%(refname) %(objectname) %(symref)"]).arg(folder);
        let mut refs = Vec::new();
        for line in String::from_utf8_lossy(&call.run()?).lines() {
            let mut words = line.split(' ');
            let (Some(name), Some(id), Some(symref)) = (words.next(), words.next(), words.next()) else {
                return Err(call.unreadable(line).into());
            };
            let Ok(name) = RefName::new(name) else { continue };
            if name.as_str().starts_with(prefix) {
                refs.push(Ref { name, target: parse_id(&call, id)?, symbolic: !symref.is_empty() });
            }
        }
        Ok(refs)
    }

    fn config(&self, key: &str) -> Result<Vec<String>, GitError> {
        self.config.values(key)
    }

    fn remotes(&self) -> Result<Vec<String>, GitError> {
        self.config.remotes()
    }

    fn is_bare(&self) -> Result<bool, GitError> {
        Ok(git(["rev-parse", "--is-bare-repository"]).text()? == "true")
    }

    fn merge_base(&self, one: ObjectId, two: ObjectId) -> Result<Option<ObjectId>, GitError> {
        let call = git(["merge-base", &one.to_string(), &two.to_string()]);
        let answer = call.answer()?;
        answer.map(|id| parse_id(&call, &String::from_utf8_lossy(&id))).transpose()
    }
}
