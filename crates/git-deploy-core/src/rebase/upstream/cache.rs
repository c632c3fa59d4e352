//! What is remembered of commits from one run to the next: by which number the list of paths is known that each changes. It
//! follows from the commit and its parent alone, so that nothing ever has to be taken back; whatever cannot be read is found
//! out anew. Where history is cut off a commit may seem to have no parent: nothing is remembered there.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::git::sharing::new_file_in;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::machine;

/// How many commits are remembered: some megabytes.
const MOST: usize = 200_000;

/// What a file begins with, so that one of another form is none.
const FORM: &[u8] = b"git-deploy changed paths 1\n";

/// The number of a commit that changes no path.
const NONE: u64 = 0;

/// Numbers of commits, in a file beside what else is ours.
pub(super) struct Cache {
    path: Option<PathBuf>,
    /// Whether the file may be written: not where nothing is to stay.
    is_kept: bool,
    id_length: usize,
    /// How many commits are remembered.
    most: usize,
    known: Option<HashMap<CommitId, u64>>,
}

impl Cache {
    pub(super) fn of(repository: &Repository) -> Self {
        Self {
            path: (!machine::is_simulated() && repository.has_whole_history())
                .then(|| repository.deploy_dir().join("changed-paths")),
            is_kept: !repository.keeps_nothing(),
            id_length: repository.null_id().as_bytes().len(),
            most: MOST,
            known: None,
        }
    }

    /// The numbers of these commits, those left out that change no path. What is not known yet is asked for.
    pub(super) fn of_all(
        &mut self,
        commits: &[CommitId],
        ask: impl FnOnce(&[CommitId]) -> Result<HashMap<CommitId, u64>, GitError>,
    ) -> Result<HashMap<CommitId, u64>, GitError> {
        let (path, id_length) = (&self.path, self.id_length);
        let read = || path.as_ref().and_then(|path| parse(&std::fs::read(path).ok()?, id_length));
        let known = self.known.get_or_insert_with(|| read().unwrap_or_default());
        let unknown: Vec<CommitId> =
            commits.iter().filter(|commit| !known.contains_key(commit)).copied().collect();
        let unknown_count = unknown.len();
        if unknown_count > 0 {
            let found = ask(&unknown)?;
            known.extend(
                unknown.into_iter().map(|commit| (commit, found.get(&commit).copied().unwrap_or(NONE))),
            );
        }
        let number = |commit: &CommitId| Some((*commit, *known.get(commit)?));
        let numbers: HashMap<CommitId, u64> = commits.iter().filter_map(number).collect();
        if unknown_count > 0 {
            if known.len() > self.most {
                // What is asked for now is asked for again.
                *known = numbers.iter().take(self.most).map(|(commit, number)| (*commit, *number)).collect();
            }
            // Without it all is the same, but slower.
            let _ = path.as_ref().filter(|_| self.is_kept).and_then(|path| write(path, known));
        }
        Ok(numbers.into_iter().filter(|(_, number)| *number != NONE).collect())
    }
}

fn write(path: &std::path::Path, known: &HashMap<CommitId, u64>) -> Option<()> {
    let folder = path.parent()?;
    std::fs::create_dir_all(folder).ok()?;
    let file = new_file_in(folder).ok()?;
    std::fs::write(file.path(), bytes(known)).ok()?;
    file.persist(path).ok().map(drop)
}

fn bytes(known: &HashMap<CommitId, u64>) -> Vec<u8> {
    let mut bytes = FORM.to_vec();
    for (commit, number) in known {
        bytes.extend_from_slice(commit.0.as_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    let sum = number_of([&bytes[..]]);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

fn parse(bytes: &[u8], id_length: usize) -> Option<HashMap<CommitId, u64>> {
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    if number_of([body]).to_be_bytes() != *sum {
        return None;
    }
    let records = body.strip_prefix(FORM)?.chunks(id_length + 8);
    let record = |record: &[u8]| {
        let (id, number) = record.split_last_chunk::<8>()?;
        Some((CommitId(ObjectId::from_bytes(id)?), u64::from_be_bytes(*number)))
    };
    records.map(record).collect()
}

/// A number by which lists of paths can be told apart: equal lists have equal numbers, on every machine (FNV-1a).
pub(in crate::rebase) fn number_of<'p>(paths: impl IntoIterator<Item = &'p [u8]>) -> u64 {
    let mut number: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in paths.into_iter().flat_map(|path| path.iter().chain(&[0])) {
        number = (number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    number.max(NONE + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_not() {
        let known = HashMap::from([(id(1), 7), (id(2), NONE), (id(3), u64::MAX)]);
        let written = bytes(&known);
        assert_eq!(parse(&written, 20), Some(known));
        assert_eq!(parse(&written, 32), None);
        assert_eq!(parse(&bytes(&HashMap::new()), 20), Some(HashMap::new()));
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 1;
            assert_eq!(parse(&damaged, 20), None, "byte {at}");
            assert_eq!(parse(&written[..at], 20), None, "{at} bytes");
        }
    }

    #[test]
    fn lists_of_paths_have_a_number() {
        assert_eq!(number_of([&b"a"[..], b"b"]), number_of([&b"a"[..], b"b"]));
        assert_ne!(number_of([&b"a"[..], b"b"]), number_of([&b"ab"[..]]));
        assert_ne!(number_of([]), NONE);
    }

    #[test]
    fn more_than_is_remembered_is_told_all_the_same() {
        let commits = [1, 2, 3, 4, 5].map(id);
        let mut cache = Cache { path: None, is_kept: false, id_length: 20, most: 3, known: None };
        let seven = |unknown: &[CommitId]| Ok(unknown.iter().map(|commit| (*commit, 7)).collect());
        assert_eq!(cache.of_all(&commits[..3], seven).unwrap().len(), 3);
        assert_eq!(cache.of_all(&commits, seven).unwrap().len(), 5);
        assert_eq!(cache.known.unwrap().len(), 3);
    }

    #[test]
    fn only_what_is_not_known_is_asked_for() {
        let mut cache = Cache { path: None, is_kept: false, id_length: 20, most: 3, known: None };
        let ask = |unknown: &[CommitId]| {
            assert_eq!(unknown, [id(1), id(2)]);
            Ok(HashMap::from([(id(1), 7)]))
        };
        let expected = HashMap::from([(id(1), 7)]);
        assert_eq!(cache.of_all(&[id(1), id(2)], ask).unwrap(), expected);
        assert_eq!(cache.of_all(&[id(2), id(1)], |_| panic!("all is known")).unwrap(), expected);
    }
}
