//! The note that keeps the state of a branch: text to value and back.
//!
//! A note stands on the tip of a branch in `refs/notes/deploy`, so that `git log --notes` shows it. The first line is
//! the state, every further line one `key: value`. People write notes by hand too (`git notes --ref=deploy edit`), so
//! the reader takes what is clear and refuses what could mean two things; it never changes anything.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::ids::{CommitId, DecisionId, DeploymentId, RefName};
use crate::ledger::Outcome;
use crate::record::one_line;
use crate::state::{Decision, State, UnknownState};

mod beside;

/// The largest note that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The most that the lines of its images may take together, in bytes: all else that it may come to say has to fit beside them.
pub const MAX_BYTES_OF_IMAGES: usize = MAX_BYTES / 2;

/// What is known about one commit at the tip of a branch.
///
/// Absent keys are `None`, zero or empty. `unknown` holds the lines that this version does not understand, as they
/// were written, because a newer version may have written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The state.
    pub state: State,
    /// The branches that the note speaks for; empty: the only one that is there.
    pub refs: Vec<RefName>,
    /// When it became so.
    pub since: Option<Timestamp>,
    /// Who did it: `Name <mail>`.
    pub by: Option<String>,
    /// Why, in the words of who did it.
    pub message: Option<String>,
    /// How many decisions were made on this line of rebases.
    pub rev: u64,
    /// The commit that this line of rebases began with; absent on that commit itself.
    pub root: Option<CommitId>,
    /// The commit that the last decision was made on.
    pub approved: Option<CommitId>,
    /// The signature of that decision, see [`crate::approval`].
    pub approval: Option<String>,
    /// The decision that stands while the commit is broken.
    pub was: Option<Decision>,
    /// The commit that a rebase made this one from.
    pub rebased_from: Option<CommitId>,
    /// The commit that a rebase made, on which the note was written: a copy of it elsewhere is known by that.
    pub rebased_to: Option<CommitId>,
    /// The base that the commit stands on, or was tried on.
    pub onto: Option<CommitId>,
    /// Commits that the rebase dropped because base had them already.
    pub dropped: Vec<CommitId>,
    /// Paths that conflict, quoted as git quotes them.
    pub conflicts: Vec<String>,
    /// Why the runner put the branch into this state.
    pub reason: Option<String>,
    /// The last deployment of this commit.
    pub deployment: Option<DeploymentId>,
    /// How that ended.
    pub result: Option<Outcome>,
    /// Images that were deployed: name, tag and digest.
    pub images: Vec<String>,
    /// Larger numbers are deployed first; absent is 0.
    pub priority: Option<i64>,
    /// The branches that have to be deployed before, with spaces between them, see [`Note::awaited`].
    pub after: Option<String>,
    /// Why the branch has to wait.
    pub hold: Option<String>,
    /// The decisions of the line that this one, and those before it, have replaced, see [`crate::sync`].
    pub replaces: Vec<DecisionId>,
    /// Decisions that nobody has replaced and that do not show, because another one is more careful: each a note with the
    /// keys of a decision and of its verdict alone.
    pub beside: Vec<Note>,
    /// Lines with keys that this version does not know.
    pub unknown: Vec<String>,
}

impl Note {
    /// A note that says nothing but the state.
    pub fn new(state: State) -> Self {
        Self {
            state,
            refs: Vec::new(),
            since: None,
            by: None,
            message: None,
            rev: 0,
            root: None,
            approved: None,
            approval: None,
            was: None,
            rebased_from: None,
            rebased_to: None,
            onto: None,
            dropped: Vec::new(),
            conflicts: Vec::new(),
            reason: None,
            deployment: None,
            result: None,
            images: Vec::new(),
            priority: None,
            after: None,
            hold: None,
            replaces: Vec::new(),
            beside: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The decision that the note carries: its state, or what that was before it was found out to be broken.
    pub fn decision(&self) -> Option<Decision> {
        self.state.decision().or(self.was)
    }

    /// The note as it is written on a commit: where a rebase made that, it says so. A copy stays one.
    pub fn on(&self, commit: CommitId) -> Self {
        let made = self.rebased_from.map(|_| commit);
        Self { rebased_to: self.rebased_to.or(made), ..self.clone() }
    }

    /// The commit that a rebase had made where the note was written, if that is another one than this.
    pub fn copied_from(&self, commit: CommitId) -> Option<CommitId> {
        self.rebased_to.filter(|to| *to != commit)
    }

    /// The line of rebases that the note on this commit belongs to, named by the commit it began with.
    pub fn line(&self, commit: CommitId) -> CommitId {
        self.root.unwrap_or(commit)
    }

    /// The note of the commit that a rebase makes of `from`: the decision is carried, what belongs to the old commit
    /// alone is not.
    pub fn carried(&self, from: CommitId, onto: CommitId, dropped: &[CommitId]) -> Self {
        Self {
            // A commit that rebases is broken no longer; if nobody knows what it was before, nobody decided anything.
            state: self.decision().map_or(State::Development, State::from),
            was: None,
            root: Some(self.line(from)),
            rebased_from: Some(from),
            rebased_to: None,
            onto: Some(onto),
            dropped: dropped.to_vec(),
            conflicts: Vec::new(),
            deployment: None,
            result: None,
            images: Vec::new(),
            beside: self.beside.iter().map(Self::without_verdict).collect(),
            ..self.clone()
        }
    }

    /// The note of a commit that was found not to rebase onto `onto`. It names as many paths as leave it readable.
    pub fn broken(&self, onto: CommitId, paths: Vec<String>) -> Self {
        let (state, was, onto) = (State::Broken, self.decision(), Some(onto));
        let mut note = Self { state, was, onto, conflicts: Vec::new(), ..self.clone() };
        let room = MAX_BYTES.saturating_sub(note.to_string().len()).min(MAX_BYTES / 2);
        let mut bytes = 0;
        let fits = |path: &String| {
            bytes += path.len() + "conflict: \n".len();
            bytes <= room
        };
        note.conflicts = paths.into_iter().take_while(fits).collect();
        note
    }

    /// Whether the note speaks for this branch, where `only_one` says that no other branch has the same tip.
    pub fn speaks_for(&self, branch: &RefName, only_one: bool) -> bool {
        if self.refs.is_empty() { only_one } else { self.refs.contains(branch) }
    }

    /// The short names of the branches that have to be deployed before. They are several where people wished for them who had
    /// not seen each other's wishes.
    pub fn awaited(&self) -> impl Iterator<Item = &str> {
        // Other white space than this may stand in a name.
        self.after.iter().flat_map(|names| names.split(' ')).filter(|name| !name.is_empty())
    }

    /// Reads the bytes of a note.
    ///
    /// # Errors
    /// When it is too large, is no text, has no state or more than one, an unknown state, a key twice that may
    /// stand only once, or a value that is not of its key's form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_BYTES {
            return Err(NoteError::TooLarge(bytes.len() as u64));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        // Git takes what has such a byte for no text either.
        if text.contains('\0') {
            return Err(NoteError::Nul);
        }
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(line).map_err(|fault| NoteError::Line { line: index + 1, fault })?;
        }
        reader.finish()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Writer(f);
        lines.one("state", Some(self.state))?;
        lines.all("ref", &self.refs)?;
        lines.one("since", self.since)?;
        lines.one("by", self.by.as_deref())?;
        lines.one("message", self.message.as_deref())?;
        lines.one("rev", (self.rev > 0).then_some(self.rev))?;
        lines.one("root", self.root)?;
        lines.one("approved", self.approved)?;
        lines.one("approval", self.approval.as_deref())?;
        lines.one("was", self.was.map(State::from))?;
        lines.one("rebased-from", self.rebased_from)?;
        lines.one("onto", self.onto)?;
        lines.one("rebased-to", self.rebased_to)?;
        lines.all("dropped", &self.dropped)?;
        lines.all("conflict", &self.conflicts)?;
        lines.one("reason", self.reason.as_deref())?;
        lines.one("deployment", self.deployment.as_ref())?;
        lines.one("result", self.result)?;
        lines.all("image", &self.images)?;
        lines.one("priority", self.priority)?;
        lines.one("after", self.after.as_deref())?;
        lines.one("hold", self.hold.as_deref())?;
        lines.all("replaces", &self.replaces)?;
        self.beside.iter().try_for_each(|beside| writeln!(lines.0, "beside: {}", beside.quoted()))?;
        self.unknown.iter().try_for_each(|line| writeln!(lines.0, "{line}"))
    }
}

/// Writes `key: value` lines. A value is one line: what would end it becomes a space.
struct Writer<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Writer<'_, '_> {
    fn one(&mut self, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        let text = value.map(|value| one_line(&value.to_string())).unwrap_or_default();
        // Such a key without a value says nothing, and nobody would read it again.
        if text.trim().is_empty() { Ok(()) } else { writeln!(self.0, "{key}: {text}") }
    }

    fn all(&mut self, key: &str, values: &[impl fmt::Display]) -> fmt::Result {
        values.iter().try_for_each(|value| writeln!(self.0, "{key}: {}", one_line(&value.to_string())))
    }
}

/// Why bytes are not a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`MAX_BYTES`].
    #[error("it has {0} bytes, and at most {MAX_BYTES} are read")]
    TooLarge(u64),
    /// Git has no bytes for it; whether they are lost, which another clone may have.
    #[error("{0}")]
    Object(String, bool),
    /// Not text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Not text either.
    #[error("it has a NUL byte, and is no text")]
    Nul,
    /// It stands where nobody has decided anything, as git copies notes by `notes.rewriteRef`.
    #[error("it was made for commit '{0}', and copied here")]
    Copied(CommitId),
    /// No line with the state.
    #[error("it has no line 'state: ...'")]
    NoState,
    /// A line that cannot be read.
    #[error("line {line}: {fault}")]
    Line {
        /// Counts from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
}

/// Why a line of a note cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A key that may stand only once.
    #[error("a second '{0}:' line makes the note ambiguous")]
    Repeated(String),
    /// A state that is none.
    #[error(transparent)]
    State(#[from] UnknownState),
    /// A value that is not of its key's form.
    #[error("'{value}' is no value for '{key}:'")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// Collects the lines of a note.
#[derive(Default)]
struct Reader {
    state: Option<State>,
    /// Everything else; its own state means nothing.
    rest: Option<Note>,
    /// Keys seen so far that may stand only once.
    seen: Vec<&'static str>,
}

impl Reader {
    fn finish(self) -> Result<Note, NoteError> {
        let state = self.state.ok_or(NoteError::NoState)?;
        Ok(Note { state, ..self.rest.unwrap_or_else(|| Note::new(state)) })
    }

    fn line(&mut self, line: &str) -> Result<(), LineFault> {
        let Some((key, value)) = line.split_once(':') else {
            if !line.trim().is_empty() {
                self.note().unknown.push(line.trim_end().to_owned());
            }
            return Ok(());
        };
        // As it would be written, so that what was written is what was read.
        let value = one_line(value);
        match key.trim() {
            "state" => {
                self.once("state")?;
                // Only here: a comment marker in any other value is part of the value.
                let word = value.split_once("//").map_or(value.as_str(), |(word, _)| word.trim_end());
                self.state = Some(word.parse()?);
            }
            key => self.entry(key, &value, line)?,
        }
        Ok(())
    }

    fn entry(&mut self, key: &str, value: &str, line: &str) -> Result<(), LineFault> {
        match key {
            "ref" => {
                let name = parsed(key, value)?;
                push_new(&mut self.note().refs, name);
            }
            "dropped" => {
                let commit = parsed(key, value)?;
                push_new(&mut self.note().dropped, commit);
            }
            "conflict" => push_new(&mut self.note().conflicts, value.to_owned()),
            "image" => push_new(&mut self.note().images, value.to_owned()),
            "since" => self.single("since", value)?.since = Some(parsed(key, value)?),
            "by" => self.single("by", value)?.by = Some(value.to_owned()),
            "message" => self.single("message", value)?.message = Some(value.to_owned()),
            "rev" => self.single("rev", value)?.rev = rev(value)?,
            "root" => self.single("root", value)?.root = Some(parsed(key, value)?),
            "approved" => self.single("approved", value)?.approved = Some(parsed(key, value)?),
            "approval" => self.single("approval", value)?.approval = Some(value.to_owned()),
            "was" => self.single("was", value)?.was = Some(decision(value)?),
            "rebased-from" => self.single("rebased-from", value)?.rebased_from = Some(parsed(key, value)?),
            "rebased-to" => self.single("rebased-to", value)?.rebased_to = Some(parsed(key, value)?),
            "onto" => self.single("onto", value)?.onto = Some(parsed(key, value)?),
            "reason" => self.single("reason", value)?.reason = Some(value.to_owned()),
            "deployment" => self.single("deployment", value)?.deployment = Some(parsed(key, value)?),
            "result" => self.single("result", value)?.result = Some(parsed(key, value)?),
            "priority" => self.single("priority", value)?.priority = Some(parsed(key, value)?),
            "after" => self.single("after", value)?.after = Some(value.to_owned()),
            "hold" => self.single("hold", value)?.hold = Some(value.to_owned()),
            "replaces" => {
                let id = parsed(key, value)?;
                push_new(&mut self.note().replaces, id);
            }
            "beside" => match Note::of_quoted(value) {
                Some(beside) => push_new(&mut self.note().beside, beside),
                None => self.note().unknown.push(line.trim_end().to_owned()),
            },
            _ => self.note().unknown.push(line.trim_end().to_owned()),
        }
        Ok(())
    }

    fn note(&mut self) -> &mut Note {
        self.rest.get_or_insert_with(|| Note::new(State::Development))
    }

    fn single(&mut self, key: &'static str, value: &str) -> Result<&mut Note, LineFault> {
        self.once(key)?;
        if value.is_empty() {
            return Err(LineFault::Value { key: key.to_owned(), value: String::new() });
        }
        Ok(self.note())
    }

    fn once(&mut self, key: &'static str) -> Result<(), LineFault> {
        if self.seen.contains(&key) {
            return Err(LineFault::Repeated(key.to_owned()));
        }
        self.seen.push(key);
        Ok(())
    }
}

fn parsed<T: FromStr>(key: &str, value: &str) -> Result<T, LineFault> {
    value.parse().map_err(|_| LineFault::Value { key: key.to_owned(), value: value.to_owned() })
}

/// The highest number of a decision.
pub const HIGHEST_REV: u64 = u32::MAX as u64;

fn rev(value: &str) -> Result<u64, LineFault> {
    let rev: u32 = parsed("rev", value)?;
    Ok(rev.into())
}

fn decision(value: &str) -> Result<Decision, LineFault> {
    let state: State = value.parse()?;
    state.decision().ok_or_else(|| LineFault::Value { key: "was".to_owned(), value: value.to_owned() })
}

fn push_new<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Result<Note, NoteError> {
        Note::parse(text.as_bytes())
    }

    #[test]
    fn only_the_state_is_required() {
        assert_eq!(note("state: staged").unwrap(), Note::new(State::Staged));
        assert_eq!(note("").unwrap_err(), NoteError::NoState);
        assert_eq!(note("ref: refs/heads/a\n").unwrap_err(), NoteError::NoState);
    }

    #[test]
    fn every_key_comes_back_as_it_was_written() {
        let text = "state: broken\nref: refs/heads/login\nref: refs/heads/login2\nsince: 2026-11-20T12:00:00Z\n\
            by: Ada Lovelace <ada@example.org>\nmessage: ready: // at last\nrev: 3\n\
            root: 0123456789abcdef0123456789abcdef01234567\napproved: 0123456789abcdef0123456789abcdef01234567\n\
            approval: ssh U1NIU0lH\nwas: deployable\nrebased-from: 1123456789abcdef0123456789abcdef01234567\n\
            onto: 2123456789abcdef0123456789abcdef01234567\nrebased-to: 4123456789abcdef0123456789abcdef01234567\ndropped: 3123456789abcdef0123456789abcdef01234567\n\
            conflict: a b.txt\nconflict: \"t\\303\\244\"\nreason: x\ndeployment: deployment-0007\nresult: failure\n\
            image: a/b:c\npriority: -2\nafter: api\nhold: holiday\nreplaces: 0123456789ab\nreplaces: 1123456789ab\n\
            beside: \"state: broken\\nby: T\\303\\244\\nwas: staged\\nconflict: \\\"t\\\\303\\\"\\n\"\nbeside: \"state: ready\\n\"\nfuture-key:  as it is\nno key at all\n";
        assert_eq!(note(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_comment_counts_after_the_state_only() {
        assert_eq!(note("state: deployable // please\n").unwrap().state, State::Deployable);
        assert_eq!(note("state: staged\nmessage: a // b").unwrap().message.unwrap(), "a // b");
    }

    #[test]
    fn crlf_blank_lines_and_a_missing_last_newline_are_accepted() {
        let read = note("state: staged\r\n\r\nrev: 2\r\nby: A <a@b>").unwrap();
        assert_eq!((read.rev, read.by.as_deref()), (2, Some("A <a@b>")));
    }

    #[test]
    fn what_is_ambiguous_is_refused_with_its_line() {
        let second = note("state: staged\nstate: staged\n").unwrap_err();
        assert_eq!(second.to_string(), "line 2: a second 'state:' line makes the note ambiguous");
        assert!(matches!(note("state: ready"), Err(NoteError::Line { line: 1, .. })));
        assert!(matches!(note("state: staged\nrev: 1\nrev: 2"), Err(NoteError::Line { line: 3, .. })));
        assert!(matches!(note("state: staged\nref: refs/heads/a b"), Err(NoteError::Line { line: 2, .. })));
        assert!(matches!(note(&"x".repeat(MAX_BYTES + 1)), Err(NoteError::TooLarge(_))));
        assert_eq!(Note::parse(b"state: staged\nby: \xff").unwrap_err(), NoteError::NotUtf8);
        for no_text in ["state: deployable\n\0\x01", "state: deployable\0", "\0state: deployable"] {
            assert_eq!(note(no_text).unwrap_err(), NoteError::Nul);
        }
    }

    #[test]
    fn a_branch_that_conflicts_in_many_paths_keeps_a_note_that_can_be_read() {
        let onto = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let paths: Vec<_> = (0..100_000).map(|index| format!("path/{index}")).collect();
        let mut before = Note::new(State::Staged);
        for most in [0, MAX_BYTES_OF_IMAGES] {
            before.images = (0..most / 9).map(|_| "x".to_owned()).collect();
            let broken = before.broken(onto, Vec::clone(&paths));
            assert_eq!(note(&broken.to_string()).unwrap().conflicts, broken.conflicts);
            assert!(broken.conflicts.len() > 1000);
        }
    }

    #[test]
    fn a_value_cannot_bring_a_line_of_its_own() {
        let mut written = Note::new(State::Staged);
        written.message = Some("done\nstate: deployed\r\n".to_owned());
        let read = note(&written.to_string()).unwrap();
        assert_eq!((read.state, read.message.as_deref()), (State::Staged, Some("done state: deployed")));
    }
}
