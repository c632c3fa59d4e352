//! All that notes ever said, as the history of the notes ref has it: which blobs stood on which commits, which took the place of
//! which, and which branches they name.
//!
//! For that each commit of the history is compared with those before it, which takes seconds where there are a hundred
//! thousand. What was found is kept in a file, and the next time only what has come since is looked at. The file says where
//! to look, and up to where nothing was missed; what a note says is read from git. One of another history, of another form,
//! or with another byte than was written counts as none.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;

use super::{Notes, is_hex};
use crate::git::sharing::new_file_in;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::{Note, NoteError};

/// How the file begins. The number rises with its form, and when notes come to be read that were none before: those have no
/// line yet.
const HEAD: &str = "git-deploy said 1 ";

/// How many commits are looked at anew, or lines found, each time before that is kept.
const MANY: usize = 128;

/// Stands for the branches in a note that could not be read.
const UNREAD: &str = "?";

/// Stands before a blob that another one took the place of.
const INSTEAD_OF: &str = "was:";

/// How git calls the modes of what is no blob: what is not there, and a submodule.
const NO_BLOB: [&str; 2] = ["000000", "160000"];

/// Which notes there ever were.
#[derive(Debug, Default, Clone)]
pub(super) struct Said {
    /// One line each: the blob, the commit that it stood on, the branches that it names, the blobs that it took the place of.
    lines: String,
    /// Where the lines begin that have a word, by what that word is hashed to.
    places: Vec<(u64, usize)>,
}

impl Said {
    /// The same with more lines; none where one of them is not of that form.
    fn with(mut self, lines: &str) -> Option<Self> {
        for line in lines.split_inclusive('\n') {
            let (blob, words) = line.strip_suffix('\n')?.split_once(' ')?;
            if !matches!(blob.len(), 40 | 64) || !is_hex(blob) {
                return None;
            }
            let at = self.lines.len();
            self.places.extend(words.split(' ').map(|word| (hash(word), at)));
            self.lines.push_str(line);
        }
        self.places.sort_unstable();
        Some(self)
    }

    /// The blobs of lines that have a word.
    fn with_word(&self, word: &str) -> Vec<ObjectId> {
        let hashed = hash(word);
        let from = self.places.partition_point(|(other, _)| *other < hashed);
        let places = self.places[from..].iter().take_while(|(other, _)| *other == hashed);
        let blob = |(_, at): &(u64, usize)| {
            let (blob, words) = self.lines[*at..].lines().next()?.split_once(' ')?;
            words.split(' ').any(|other| other == word).then(|| blob.parse().ok())?
        };
        places.filter_map(blob).collect()
    }

    /// What is kept, where nothing is missing up to a commit.
    fn to_text(&self, upto: CommitId) -> String {
        let text = format!("{HEAD}{upto}\n{}", self.lines);
        let end = end(&text);
        text + &end
    }

    fn of_text(text: &str) -> Option<(CommitId, Self)> {
        let last = text.strip_suffix('\n')?.rfind('\n')? + 1;
        let (text, last) = text.split_at(last);
        let (upto, lines) = text.strip_prefix(HEAD).filter(|_| last == end(text))?.split_once('\n')?;
        Some((upto.parse().ok()?, Self::default().with(lines)?))
    }
}

/// The last line, by which one knows that all before it is as it was written: a blob's id (SHA-1) of that.
fn end(text: &str) -> String {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    // Never fails: the text is in memory.
    format!("end {}\n", id.unwrap_or(git2::Oid::ZERO_SHA1))
}

fn hash(word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish()
}

impl Notes<'_> {
    /// All that notes on some commits ever said, as far as it can be read.
    ///
    /// # Errors
    /// When the history of the notes cannot be read.
    pub fn ever_on(&self, commits: &[CommitId]) -> Result<Vec<Note>, GitError> {
        let found = self.ever(commits.iter().map(ToString::to_string), |_| true)?;
        Ok(found.into_iter().map(|(_, note)| note).collect())
    }

    /// All that notes which name one of some branches ever said, whatever they stood on, with their blobs.
    ///
    /// # Errors
    /// When the history of the notes cannot be read.
    pub fn ever_naming(&self, branches: &[RefName]) -> Result<Vec<(ObjectId, Note)>, GitError> {
        let words = branches.iter().map(ToString::to_string).chain([UNREAD.to_owned()]);
        self.ever(words, |note| note.refs.iter().any(|name| branches.contains(name)))
    }

    /// All that was ever said in the place of some blobs by what came right after them there.
    ///
    /// # Errors
    /// When the history of the notes cannot be read.
    pub fn ever_instead_of(&self, blobs: &[ObjectId]) -> Result<Vec<Note>, GitError> {
        let found = self.ever(blobs.iter().map(|blob| instead_of(*blob)), |_| true)?;
        Ok(found.into_iter().map(|(_, note)| note).collect())
    }

    /// The notes in lines that have one of some words.
    fn ever(
        &self,
        words: impl Iterator<Item = String>,
        is_wanted: impl Fn(&Note) -> bool,
    ) -> Result<Vec<(ObjectId, Note)>, GitError> {
        let said = self.said()?;
        let blobs: BTreeSet<ObjectId> = words.flat_map(|word| said.with_word(&word)).collect();
        let mut found = Vec::new();
        for blob in blobs {
            let note = self.repository.note_bytes(blob)?.ok().and_then(|bytes| Note::parse(&bytes).ok());
            found.extend(note.filter(&is_wanted).map(|note| (blob, note)));
        }
        Ok(found)
    }

    fn said(&self) -> Result<&Said, GitError> {
        if self.said.get().is_none() {
            let said = self.commit.map(|upto| self.look_back(upto)).transpose()?.unwrap_or_default();
            self.said.get_or_init(|| said);
        }
        Ok(self.said.get().unwrap_or_else(|| unreachable!("it was found just now")))
    }

    fn look_back(&self, upto: CommitId) -> Result<Said, GitError> {
        // What a shallow clone does not have must not be missing when it comes.
        let was_whole = !self.repository.is_shallow();
        let known = match &self.before {
            Some(before) => before.said_before(upto)?,
            None if was_whole => kept(self.repository, upto),
            None => None,
        };
        let (known, said) = known.map_or_else(Default::default, |(known, said)| (Some(known), said));
        let (asked, new) = lines_since(self.repository, known, upto)?;
        let said = said.with(&new).unwrap_or_else(|| unreachable!("they are of that form"));
        let is_much = asked.max(new.lines().count()) >= MANY;
        // A fetch may have cut it off meanwhile.
        if self.keeps && is_much && was_whole && !self.repository.is_shallow() {
            // Who cannot write it looks again.
            drop(keep(self.repository, &said.to_text(upto)));
        }
        Ok(said)
    }

    /// What was said up to the commit of these notes, if that is in the history of another one.
    fn said_before(&self, upto: CommitId) -> Result<Option<(CommitId, Said)>, GitError> {
        let known = self.commit.filter(|known| is_before(self.repository, *known, upto));
        known.map(|known| Ok((known, self.said()?.clone()))).transpose()
    }
}

fn is_before(repository: &Repository, known: CommitId, upto: CommitId) -> bool {
    repository.is_ancestor(known, upto).unwrap_or_default()
}

fn path(repository: &Repository) -> PathBuf {
    repository.deploy_dir().join("said")
}

/// What was found before, if it is of the history of a commit.
fn kept(repository: &Repository, upto: CommitId) -> Option<(CommitId, Said)> {
    let text = std::fs::read_to_string(path(repository)).ok()?;
    let kept = Said::of_text(&text);
    kept.filter(|(known, _)| is_before(repository, *known, upto))
}

fn keep(repository: &Repository, text: &str) -> Result<(), GitError> {
    let (dir, path) = (repository.deploy_dir(), path(repository));
    std::fs::create_dir_all(&dir).map_err(GitError::file(&dir))?;
    let mut file = new_file_in(&dir)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all());
    written.map_err(GitError::file(&path))?;
    file.persist(&path).map(drop).map_err(|error| GitError::file(&path)(error.error))
}

/// A line for each blob that came with one of the commits from `known` to `upto`, and how many of these there are.
fn lines_since(
    repository: &Repository,
    known: Option<CommitId>,
    upto: CommitId,
) -> Result<(usize, String), GitError> {
    let commits = repository.git(["rev-list"])?.without_grafts().arg(upto.to_string());
    let commits = commits.args(known.map(|known| format!("^{known}"))).arg("--").run()?;
    let mut lines = String::new();
    if commits.is_empty() {
        return Ok((0, lines));
    }
    let asked = commits.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    // Of a merge what none of its parents has at that place; of others also that they were looked at.
    let call = repository.git(["diff-tree", "--stdin", "--always", "--root", "-r", "-c", "--raw", "-z"])?;
    let call = call.without_grafts().args(["--no-renames", "--no-abbrev"]).input(commits);
    let read = Differences::read(&call.run()?).filter(|read| read.commits == asked);
    let read = read.ok_or_else(|| call.unreadable("not a difference for each commit"))?;
    let mut words_of: (Option<ObjectId>, Option<String>) = Default::default();
    for (blob, commit, before) in read.placed {
        if words_of.0 != Some(blob) {
            words_of = (Some(blob), branches_in(repository, blob)?);
        }
        if let Some(branches) = &words_of.1 {
            let commit = commit.map_or_else(|| "-".to_owned(), |commit| commit.to_string());
            let before: String = before.iter().map(|other| format!(" {}", instead_of(*other))).collect();
            lines.push_str(&format!("{blob} {commit}{branches}{before}\n"));
        }
    }
    Ok((asked, lines))
}

/// A blob that came: the commit that its place stands for, if it stands for any, and the blobs that stood for that before.
type Placed = (ObjectId, Option<CommitId>, Vec<ObjectId>);

/// What `git diff-tree --always -c --raw -z` prints.
#[derive(Default)]
struct Differences {
    /// Of how many commits.
    commits: usize,
    placed: BTreeSet<Placed>,
    /// What came with the commit that is read, and what it took away.
    came: Vec<(ObjectId, Option<CommitId>)>,
    went: BTreeMap<CommitId, BTreeSet<ObjectId>>,
}

impl Differences {
    fn read(printed: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        let mut words = printed.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        while let Some(word) = words.next() {
            let line = std::str::from_utf8(word).ok()?;
            let rest = line.trim_start_matches(':');
            // A colon for each parent.
            match line.len() - rest.len() {
                0 => {
                    read.end();
                    read.commits += usize::from(line.parse::<CommitId>().is_ok());
                }
                parents => read.row(parents, rest, words.next()?)?,
            }
        }
        read.end();
        Some(read)
    }

    /// A mode and an id for each parent, and behind each of both what has come of them.
    fn row(&mut self, parents: usize, line: &str, path: &[u8]) -> Option<()> {
        let fields: Vec<&str> = line.split(' ').collect();
        let place = std::str::from_utf8(path).ok().and_then(|path| path.replace('/', "").parse().ok());
        for side in 0..=parents {
            if NO_BLOB.contains(fields.get(side)?) {
                continue;
            }
            let id = fields.get(parents + 1 + side)?.parse().ok()?;
            match place {
                _ if side == parents => self.came.push((id, place)),
                Some(commit) => self.went.entry(commit).or_default().extend([id]),
                None => {}
            }
        }
        Some(())
    }

    /// A tree may have got another shape with the commit: what stood for the same stood in another place then.
    fn end(&mut self) {
        let went = std::mem::take(&mut self.went);
        for (blob, place) in self.came.drain(..) {
            let before = place.and_then(|commit| went.get(&commit)).into_iter().flatten();
            self.placed.insert((blob, place, before.copied().filter(|other| *other != blob).collect()));
        }
    }
}

/// The word for a blob that another one took the place of.
fn instead_of(blob: ObjectId) -> String {
    format!("{INSTEAD_OF}{blob}")
}

/// The branches that a note names, each behind a space; none where it is no note for ever.
fn branches_in(repository: &Repository, blob: ObjectId) -> Result<Option<String>, GitError> {
    Ok(match repository.note_bytes(blob)? {
        Ok(bytes) => {
            Note::parse(&bytes).ok().map(|note| note.refs.iter().map(|name| format!(" {name}")).collect())
        }
        // It may come back.
        Err(NoteError::Object(..)) => Some(format!(" {UNREAD}")),
        Err(_) => None,
    })
}
