//! Objects and refs with the git program, for repositories that libgit2 cannot open.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::listing::{self, Listing};
use super::{Backend, Paths, Ref, Refs, Variables};
use crate::git::GitError;
use crate::git::aside::Aside;
use crate::git::object::{Kind, Object};
use crate::git::program::{Call, ProgramError, git};
use crate::git::refs::backoff;
use crate::git::trouble::not_sent;
use crate::ids::{ObjectId, RefName};
use crate::interrupt::waits;

/// How often an object is tried to be written.
const WRITE_TRIES: u32 = 4;

pub(in crate::git) struct GitProgram {
    paths: Paths,
    null_id: ObjectId,
    /// One `git cat-file` for all reads, started at the first.
    reader: RefCell<Option<Reader>>,
    config: Listing,
    /// Where new objects go, if they are not to be kept.
    aside: Option<Aside>,
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
        // One that is named counts wherever we are.
        let named = std::env::var_os("GIT_WORK_TREE").filter(|_| !bare);
        let named = named.and_then(|path| Path::new(&path).canonicalize().ok());
        let is_inside = || Ok::<_, GitError>(git(["rev-parse", "--is-inside-work-tree"]).text()? == "true");
        let work_tree = match named {
            None if !bare && is_inside()? => Some(git(["rev-parse", "--show-toplevel"]).text()?.into()),
            named => named,
        };
        Ok(Self {
            paths: Paths { git_dir, common_dir, work_tree },
            null_id: null_id.parse().map_err(|error| GitError::Id { what: "null id", error })?,
            reader: RefCell::new(None),
            config: Listing::default(),
            aside: None,
        })
    }

    /// The same with a folder of its own for new objects.
    pub(in crate::git) fn aside(paths: Paths, null_id: ObjectId, aside: Aside) -> Self {
        let (reader, config) = (RefCell::new(None), Listing::default());
        Self { paths, null_id, reader, config, aside: Some(aside) }
    }
}

/// Objects that git fetches when they are wanted.
#[derive(Default)]
pub(super) struct Promised(RefCell<Option<Reader>>);

impl Promised {
    /// Reads an object by the git program.
    pub(super) fn read(&self, id: ObjectId, variables: &Variables) -> Result<Option<Object>, GitError> {
        read(&self.0, variables, id)
    }

    /// Asks the git program what an object is, and for its size.
    pub(super) fn size(&self, id: ObjectId, variables: &Variables) -> Result<Option<(Kind, u64)>, GitError> {
        size(&self.0, variables, id)
    }
}

/// What is asked of a running `git cat-file`.
enum Question {
    Contents,
    Size,
}

/// The answer to a question about an object that is there: the bytes are left out where only the size was asked for.
struct Answer {
    kind: Kind,
    size: u64,
    data: Vec<u8>,
}

fn ask(
    reader: &RefCell<Option<Reader>>,
    variables: &Variables,
    question: &Question,
    id: ObjectId,
) -> Result<Option<Answer>, GitError> {
    let mut reader = reader.borrow_mut();
    let mut again = true;
    loop {
        let running = match &mut *reader {
            Some(running) => running,
            none => none.insert(Reader::start(variables)?),
        };
        match running.ask(question, id) {
            Ok(answer) => return Ok(answer),
            // Ctrl-C reaches it too, and whoever was asked to stop still ends what it is at.
            Err(_) if again => (*reader, again) = (None, false),
            Err(error) => {
                *reader = None;
                // Asked for this alone it says what is wrong.
                let said = git(["cat-file", "-p", &id.to_string()]).envs(variables).run();
                return Err(said.map_or_else(|said| promised(id, said), |_| GitError::Read { id, error }));
            }
        }
    }
}

/// What is wrong with an object that cannot be read: git's exit code is the same for all that can be.
fn promised(id: ObjectId, said: ProgramError) -> GitError {
    let why = match &said {
        ProgramError::Failed { stderr, .. } => not_sent(stderr),
        _ => None,
    };
    why.map_or_else(|| said.into(), |why| GitError::Promised { id, why })
}

fn read(
    reader: &RefCell<Option<Reader>>,
    variables: &Variables,
    id: ObjectId,
) -> Result<Option<Object>, GitError> {
    let answer = ask(reader, variables, &Question::Contents, id)?;
    Ok(answer.map(|Answer { kind, data, .. }| Object { kind, data }))
}

fn size(
    reader: &RefCell<Option<Reader>>,
    variables: &Variables,
    id: ObjectId,
) -> Result<Option<(Kind, u64)>, GitError> {
    Ok(ask(reader, variables, &Question::Size, id)?.map(|answer| (answer.kind, answer.size)))
}

/// A running `git cat-file --batch-command`, which ends when its input is closed.
struct Reader {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn start(variables: &Variables) -> Result<Self, ProgramError> {
        // What a remote has promised is fetched when it is asked for.
        waits();
        let mut child = Command::new("git")
            .args(["cat-file", "--batch-command"])
            .env("LC_ALL", "C")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .envs(variables.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ProgramError::Start)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for as pipes")
        };
        Ok(Self { child, input: Some(input), output: BufReader::new(output) })
    }

    fn ask(&mut self, question: &Question, id: ObjectId) -> std::io::Result<Option<Answer>> {
        let mut input = self.input.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let word = match question {
            Question::Contents => "contents",
            Question::Size => "info",
        };
        writeln!(input, "{word} {id}")?;
        input.flush()?;
        let mut header = String::new();
        if self.output.read_line(&mut header)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = header.split_whitespace().skip(1);
        let (kind, size) = (words.next().and_then(Kind::from_word), words.next().map(str::parse));
        let (Some(kind), Some(Ok(size))) = (kind, size) else {
            return if header.trim_end().ends_with("missing") {
                Ok(None)
            } else {
                Err(std::io::Error::other(format!("unexpected answer '{}'", header.trim_end())))
            };
        };
        let mut data = Vec::new();
        if matches!(question, Question::Contents) {
            data = vec![0; usize::try_from(size).map_err(std::io::Error::other)?];
            self.output.read_exact(&mut data)?;
            self.output.read_exact(&mut [0])?;
        }
        Ok(Some(Answer { kind, size, data }))
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

/// The best common ancestor of two commits, as the git program finds it.
pub(super) fn merge_base(
    one: ObjectId,
    two: ObjectId,
    variables: &Variables,
) -> Result<Option<ObjectId>, GitError> {
    let call = git(["merge-base", &one.to_string(), &two.to_string()]).envs(variables);
    let answer = call.answer()?;
    answer.map(|id| parse_id(&call, &String::from_utf8_lossy(&id))).transpose()
}

/// Whether the repository in a folder is bare, whatever the environment says and wherever we are.
pub(super) fn is_bare_at(dir: &Path) -> Result<bool, GitError> {
    let call = git([OsStr::new("--git-dir"), dir.as_os_str()]).args(["rev-parse", "--is-bare-repository"]);
    // Git uses none whose work tree is gone: that has one.
    Ok(call.in_work_tree(dir).output()?.stdout.starts_with(b"true"))
}

/// Writes an object.
pub(super) fn write(kind: Kind, data: &[u8], variables: &Variables) -> Result<ObjectId, GitError> {
    let call = git(["hash-object", "-w", "--literally", "--stdin", "-t", kind.as_str()]);
    // Half a commit would be written as if it were one, and `git fsck` complains of it for ever.
    let call = call.whole_input(data).envs(variables);
    let mut tries = 0;
    let written = loop {
        let output = call.output()?;
        tries += 1;
        if output.status.success() {
            break output.stdout;
        }
        // A `git gc` takes away empty folders of the object database also while something is written there.
        if tries == WRITE_TRIES {
            return Err(call.failed(&output).into());
        }
        std::thread::sleep(backoff(tries));
    };
    parse_id(&call, &String::from_utf8_lossy(&written))
}

impl Backend for GitProgram {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn null_id(&self) -> ObjectId {
        self.null_id
    }

    fn stands_aside(&self) -> Option<&Aside> {
        self.aside.as_ref()
    }

    fn read(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        read(&self.reader, self.variables()?, id)
    }

    fn size(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, GitError> {
        size(&self.reader, self.variables()?, id)
    }

    fn write(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        write(kind, data, self.variables()?)
    }

    fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        // Not `rev-parse`, which looks for other refs of that name, too; nor `show-ref`, for which one whose object is lost
        // does not exist.
        let call = git(["for-each-ref", "--format=%(refname) %(objectname)", name.as_str()]);
        let output = call.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ids = text.lines().filter_map(|line| line.split_once(' '));
        let id = ids.filter(|(found, _)| *found == name.as_str()).map(|(_, id)| id).next();
        match id {
            Some(id) => parse_id(&call, id).map(Some),
            // It warns of what is there and cannot be read.
            None if output.status.success() && output.stderr.is_empty() => Ok(None),
            None => Err(call.failed(&output).into()),
        }
    }

    fn symbolic_target(&self, name: &str) -> Result<Option<RefName>, GitError> {
        let answer = git(["symbolic-ref", "--quiet", name]).answer()?;
        let target = answer.and_then(|target| String::from_utf8(target).ok());
        Ok(target.and_then(|target| RefName::new(target.trim_end()).ok()))
    }

    fn refs(&self, prefix: &str) -> Result<Refs, GitError> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or((prefix, ""));
        let call = git(["for-each-ref", "--format=%(refname) %(objectname) %(symref)"]).arg(folder);
        let mut refs = Refs::default();
        for line in call.run()?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = std::str::from_utf8(line) else {
                refs.not_utf8 += usize::from(line.starts_with(prefix.as_bytes()));
                continue;
            };
            let mut words = line.split(' ');
            let (Some(name), Some(id), Some(symref)) = (words.next(), words.next(), words.next()) else {
                return Err(call.unreadable(line).into());
            };
            let Ok(name) = RefName::new(name) else { continue };
            if name.as_str().starts_with(prefix) {
                refs.named.push(Ref { name, target: parse_id(&call, id)?, symbolic: !symref.is_empty() });
            }
        }
        Ok(refs)
    }

    fn config(&self, key: &str) -> Result<Vec<String>, GitError> {
        Ok(listing::values(&*self.config.entries(listing::of_program)?, key))
    }

    fn remotes(&self) -> Result<Vec<String>, GitError> {
        Ok(listing::remotes(&*self.config.entries(listing::of_program)?))
    }

    fn forget_config(&self) {
        self.config.forget();
    }

    fn is_bare(&self) -> Result<bool, GitError> {
        Ok(git(["rev-parse", "--is-bare-repository"]).text()? == "true")
    }

    fn is_common_bare(&self) -> Result<bool, GitError> {
        is_bare_at(&self.paths.common_dir)
    }

    fn merge_base(&self, one: ObjectId, two: ObjectId) -> Result<Option<ObjectId>, GitError> {
        merge_base(one, two, self.variables()?)
    }
}
