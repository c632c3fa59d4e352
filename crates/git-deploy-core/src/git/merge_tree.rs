//! Merging with `git merge-tree`, so that a verdict is git's own.
//!
//! libgit2's merge differs from git's on two of a hundred real branches (rename detection, another diff algorithm); it
//! is never asked. Nothing here touches a work tree or a ref: what is merged lands in the object database. What a merge driver of
//! the user's does where it runs is its own affair.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::panic::resume_unwind;
use std::process::Output;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::git::attributes::Attributes;
use crate::git::object::Commit;
use crate::git::program::{Call, ProgramError, git};
use crate::git::version::Version;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::interrupt::Interrupt;
use crate::machine;

/// The first git whose `merge-tree` can be told the merge base.
const MERGE_BASE: Version = Version::new(2, 40);

/// The first git whose `rebase` obeys `diff.algorithm`. Its `merge-tree` does, that of later ones does not; all of them
/// take it as an option.
const DIFF_ALGORITHM: Version = Version::new(2, 47);

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The merged tree.
    Clean(ObjectId),
    /// The paths that conflict, from the top of the tree. Git may find a conflict that belongs to no path.
    Conflict(Vec<Vec<u8>>),
}

/// A change to be made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pick {
    /// The commit that made it.
    pub commit: CommitId,
    /// What that commit changed.
    pub parent: CommitId,
    /// What it is to change.
    pub onto: CommitId,
}

/// A pick, and the commit whose attributes count for it: one that has the same as what is to be changed.
pub type Asked = (Pick, CommitId);

/// How many processes merge beside each other. Each may hold much of a large tree.
const MOST_PROCESSES: usize = 8;

/// How many picks of a batch may end it before the others are asked for one by one.
const MOST_ENDS: usize = 3;

/// How many merges one process makes: it does not give back all the memory that each of them took.
const MOST_PICKS: usize = 1000;

/// How long a merge may take where nothing is configured: more than any that gets on.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long the others may take once one has not come to an end: what that waits for is likely to be what they wait for, too.
const TIME_LIMIT_THEN: Duration = Duration::from_secs(30);

/// For how long that is likely.
const THEN: Duration = Duration::from_secs(60 * 60);

/// When one has not, in this process.
static HAS_HUNG: Mutex<Option<Instant>> = Mutex::new(None);

/// How much longer a process may take for each merge that it makes beside others.
const MORE_TIME: Duration = Duration::from_secs(1);

/// `git merge-tree`, as this repository wants it called.
pub struct MergeTree<'a> {
    repository: &'a Repository,
    version: Version,
    attributes: Attributes<'a>,
    options: Vec<OsString>,
    interrupt: Interrupt,
    /// The programs that merge files. They are asked for when many are merged at once.
    drivers: OnceCell<Drivers>,
    /// What is configured.
    time_limit: Option<Duration>,
}

/// The merge drivers that are configured, by their names; none where that cannot be asked.
type Drivers = Option<Vec<String>>;

/// A merge to be asked for by itself.
struct One {
    call: Call,
    sides: [CommitId; 2],
}

impl<'a> MergeTree<'a> {
    /// Finds out what git can do and what the configuration asks for.
    ///
    /// # Errors
    /// When git cannot be run or the configuration cannot be read.
    pub fn new(repository: &'a Repository) -> Result<Self, GitError> {
        let version = Version::of_git()?;
        let mut options: Vec<OsString> = Vec::new();
        if version >= DIFF_ALGORITHM
            && let Some(algorithm) = repository.config("diff.algorithm")?
        {
            options.push(format!("-Xdiff-algorithm={algorithm}").into());
        }
        let attributes = Attributes::new(repository, version)?;
        let (interrupt, drivers) = (Interrupt::default(), OnceCell::new());
        let time_limit = repository.duration("deploy.mergeTimeLimit")?;
        Ok(Self { repository, version, attributes, options, interrupt, drivers, time_limit })
    }

    /// The same for as long as the user has not asked to stop. Then nothing more is begun, and what is left has failed.
    #[must_use]
    pub fn until(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Applies to `onto` what `commit` changed in its `parent`, as `git cherry-pick` would.
    ///
    /// # Errors
    /// When git cannot merge at all: an object is missing, a merge driver fails.
    pub fn pick(&self, asked: Asked) -> Result<Merged, GitError> {
        let one = self.one_of(asked)?;
        self.read(&one, &self.ended(&one)?)
    }

    /// Has git make a merge, if that comes to an end.
    fn ended(&self, One { call, sides: [_, theirs] }: &One) -> Result<Output, GitError> {
        call.output().map_err(|error| match error {
            ProgramError::TimeLimit { limit, .. } => {
                *HAS_HUNG.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                let drivers = self.drivers().iter().flatten().cloned().collect();
                GitError::MergeTimeLimit { commit: *theirs, limit, drivers }
            }
            error => error.into(),
        })
    }

    fn one_of(&self, (pick, attributes): Asked) -> Result<One, GitError> {
        let base = self.knows_merge_base().then_some(pick.parent);
        self.one([self.ours(pick)?, pick.commit], base, attributes)
    }

    /// Merges two commits, as `git merge` would.
    ///
    /// # Errors
    /// As [`Self::pick`].
    pub fn merge(&self, ours: CommitId, theirs: CommitId) -> Result<Merged, GitError> {
        let one = self.one([ours, theirs], None, self.attributes.alike(ours)?)?;
        self.read(&one, &self.ended(&one)?)
    }

    fn one(
        &self,
        sides: [CommitId; 2],
        base: Option<CommitId>,
        attributes: CommitId,
    ) -> Result<One, GitError> {
        let mut call = self.call(attributes, sides.into_iter().chain(base))?;
        if let Some(base) = base {
            call = call.arg(format!("--merge-base={base}"));
        }
        Ok(One { call: call.args(sides.map(|side| side.to_string())), sides })
    }

    /// Reads what git printed of one merge: the tree, whatever a driver has printed before it, and paths. Ctrl-C ends drivers,
    /// too, and that is no conflict.
    fn read(&self, One { call, sides }: &One, output: &Output) -> Result<Merged, GitError> {
        self.go_on()?;
        let digits = self.repository.null_id().as_bytes().len() * 2;
        match output.status.code() {
            Some(0) => match tree_at_end(&output.stdout, digits) {
                Some(tree) => Ok(Merged::Clean(tree)),
                None => Err(call.unreadable("no tree").into()),
            },
            Some(1) => {
                let mut fields = output.stdout.split(|byte| *byte == 0);
                match fields.any(|field| id_at_end(field, digits).is_some()) {
                    true => Ok(Merged::Conflict(paths(fields, *sides))),
                    false => Err(call.unreadable("no tree").into()),
                }
            }
            _ => Err(call.failed(output).into()),
        }
    }

    /// The same for many at once, each for itself, by a few processes of git beside each other.
    pub fn pick_all(&self, picks: &[Asked]) -> Vec<Result<Merged, GitError>> {
        if picks.len() < 2 || machine::is_simulated() {
            return picks.iter().map(|pick| self.pick_unless(*pick)).collect();
        }
        if self.has_drivers() {
            return picks.iter().map(|pick| self.pick_unless(*pick)).collect();
        }
        let processes = thread::available_parallelism().map_or(1, usize::from).min(MOST_PROCESSES);
        let share = picks.len().div_ceil(processes).min(MOST_PICKS);
        // A process can be told the attributes of one commit.
        let mut places: Vec<usize> = (0..picks.len()).collect();
        places.sort_by_key(|place| picks[*place].1);
        let alike = places.chunk_by(|one, other| picks[*one].1 == picks[*other].1);
        let shares: Vec<Vec<Asked>> = alike
            .flat_map(|places| places.chunks(share))
            .map(|places| places.iter().map(|place| picks[*place]).collect())
            .collect();
        let mut merged = Vec::with_capacity(picks.len());
        for round in shares.chunks(processes) {
            // Where no batch can be made each is asked for alone, and says why.
            let calls: Vec<Option<Call>> =
                round.iter().map(|share| self.batch(share).ok().flatten()).collect();
            let outputs = at_once(calls, |call| call.and_then(|call| call.output().ok()));
            for (share, output) in round.iter().zip(outputs) {
                merged.extend(self.all_of(share, output));
            }
        }
        let mut in_order: Vec<_> = places.into_iter().zip(merged).collect();
        in_order.sort_by_key(|(place, _)| *place);
        in_order.into_iter().map(|(_, merged)| merged).collect()
    }

    /// Whether other programs merge files (`gitattributes`). Where that cannot be asked they may. Each merge then is a process
    /// of its own, after the one before it: a driver has git's own standard input and output, so that among many it would read
    /// what the next merges are, and print between what came of them; and it may write where the next one does.
    fn has_drivers(&self) -> bool {
        self.drivers().as_ref().is_none_or(|drivers| !drivers.is_empty())
    }

    fn drivers(&self) -> &Drivers {
        let call = git(["config", "--name-only", "-z", "--get-regexp", r"^merge\..*\.driver$"]);
        let name = |key: &str| Some(key.strip_prefix("merge.")?.strip_suffix(".driver")?.to_owned());
        self.drivers.get_or_init(|| {
            let listed = call.answer().ok()?.unwrap_or_default();
            let drivers: BTreeSet<String> =
                String::from_utf8_lossy(&listed).split('\0').filter_map(name).collect();
            Some(drivers.into_iter().collect())
        })
    }

    /// What came of picks, as far as git got with them. At one that it cannot merge it ends: that one is asked for alone, so
    /// that it says why, and those after it anew.
    fn all_of(&self, picks: &[Asked], mut output: Option<Output>) -> Vec<Result<Merged, GitError>> {
        let mut merged = Vec::with_capacity(picks.len());
        let mut ends = 0;
        loop {
            if let Some(output) = output.take() {
                self.read_records(&output.stdout, picks, &mut merged);
            }
            let Some((failed, others)) = picks[merged.len()..].split_first() else { return merged };
            merged.push(self.pick_unless(*failed));
            ends += 1;
            if ends < MOST_ENDS && self.go_on().is_ok() {
                output = self.batch(others).ok().flatten().and_then(|call| call.output().ok());
            }
        }
    }

    /// Reads what git printed of the picks that come next.
    fn read_records(&self, printed: &[u8], picks: &[Asked], merged: &mut Vec<Result<Merged, GitError>>) {
        let mut rest = printed;
        for (pick, _) in &picks[merged.len()..] {
            let Ok(ours) = self.ours(*pick) else { return };
            let Some((one, behind)) = read_record(rest, [ours, pick.commit]) else { return };
            merged.push(Ok(one));
            rest = behind;
        }
    }

    fn pick_unless(&self, pick: Asked) -> Result<Merged, GitError> {
        self.go_on()?;
        self.pick(pick)
    }

    /// Goes on, unless the user has asked to stop.
    fn go_on(&self) -> Result<(), GitError> {
        let stopped = |_| ProgramError::Stopped { command: "git merge-tree".to_owned() };
        Ok(self.interrupt.check().map_err(stopped)?)
    }

    /// The call that picks many, for all of which the attributes of one commit count.
    fn batch(&self, picks: &[Asked]) -> Result<Option<Call>, GitError> {
        let Some((_, attributes)) = picks.first() else { return Ok(None) };
        let (mut input, mut read) = (String::new(), Vec::new());
        for (pick, _) in picks {
            let ours = self.ours(*pick)?;
            read.extend([ours, pick.commit, pick.parent]);
            if self.knows_merge_base() {
                input.push_str(&format!("{} -- ", pick.parent));
            }
            input.push_str(&format!("{ours} {}\n", pick.commit));
        }
        let more = MORE_TIME.saturating_mul(u32::try_from(picks.len()).unwrap_or(u32::MAX));
        let call = self.call(*attributes, read)?.within(self.time_limit().saturating_add(more));
        Ok(Some(call.arg("--stdin").whole_input(input)))
    }

    fn knows_merge_base(&self) -> bool {
        self.version >= MERGE_BASE
    }

    /// The side that a commit is applied to: where git cannot be told the merge base, one that has it right behind it.
    fn ours(&self, pick: Pick) -> Result<CommitId, GitError> {
        if self.knows_merge_base() { Ok(pick.onto) } else { self.stand_in(pick.onto, pick.parent) }
    }

    /// Takes back from `onto` what `commit` changed in its `parent`, as `git revert` would. It writes objects.
    ///
    /// # Errors
    /// When git cannot merge at all, or nothing can be written.
    pub fn revert(&self, commit: CommitId, parent: CommitId, onto: CommitId) -> Result<Merged, GitError> {
        // The parent itself comes before: git would find that as the merge base.
        let picked = self.pick((Pick { commit: self.stand_in(parent, commit)?, parent: commit, onto }, onto));
        picked.map_err(|error| match error {
            // Nobody knows the one that stands in.
            GitError::MergeTimeLimit { limit, drivers, .. } => {
                GitError::MergeTimeLimit { commit, limit, drivers }
            }
            error => error,
        })
    }

    /// The call, which reads these commits.
    fn call(
        &self,
        attributes: CommitId,
        commits: impl IntoIterator<Item = CommitId>,
    ) -> Result<Call, GitError> {
        // At the top of the work tree: it prints paths as seen from the current folder.
        let call = self.attributes.call(attributes, &self.interrupt)?;
        let call = call.within(self.time_limit()).stop_on(Some(self.interrupt.clone()));
        let call = call.args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"]);
        let read: Vec<ObjectId> = commits.into_iter().chain([attributes]).map(|commit| commit.0).collect();
        Ok(call.args(&self.options).envs(self.repository.backend.variables_for(&read)?))
    }

    /// How long a merge may take just now.
    fn time_limit(&self) -> Duration {
        let hung = *HAS_HUNG.lock().unwrap_or_else(PoisonError::into_inner);
        match self.time_limit {
            Some(limit) => limit,
            None if hung.is_some_and(|hung| hung.elapsed() < THEN) => TIME_LIMIT_THEN,
            None => TIME_LIMIT,
        }
    }

    /// A commit with the tree of `onto` right after `parent`, which is then the merge base that git finds by itself.
    /// It is the same for the same two, and no ref will ever lead to it.
    fn stand_in(&self, onto: CommitId, parent: CommitId) -> Result<CommitId, GitError> {
        // Git walks by dates: right after its parent, so that nothing has to be looked at between.
        let date = self.repository.commit(parent)?.committed_at().max(0).saturating_add(1);
        let nobody = format!("git-deploy <git-deploy> {date} +0000").into_bytes();
        self.repository.write_commit(&Commit {
            tree: self.repository.commit(onto)?.tree,
            parents: vec![parent],
            author: nobody.clone(),
            committer: nobody,
            extra: Vec::new(),
            message: b"merge base for merge-tree\n".to_vec(),
        })
    }
}

/// Does something for all at once, each in a thread of its own.
fn at_once<T: Send, R: Send>(all: Vec<T>, of: impl Fn(T) -> R + Sync) -> Vec<R> {
    let of = &of;
    thread::scope(|scope| {
        let running: Vec<_> = all.into_iter().map(|one| scope.spawn(move || of(one))).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|run| run.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What to look at where a merge does not end, in words behind a failure.
pub(super) fn looked_at(drivers: &[String]) -> String {
    let hangs = match drivers {
        [] => String::new(),
        [driver] => format!("; see whether merge driver '{driver}' hangs"),
        drivers => format!("; see whether one of the merge drivers '{}' hangs", drivers.join("', '")),
    };
    format!("{hangs}; if it only takes long: git config deploy.mergeTimeLimit 1h")
}

fn read_id<T: FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The paths that conflict, as those are printed that `git merge-tree -z --name-only` found.
fn paths<'p>(fields: impl Iterator<Item = &'p [u8]>, sides: [CommitId; 2]) -> Vec<Vec<u8>> {
    let sides = sides.map(|side| format!("~{side}").into_bytes());
    let paths = fields.filter(|path| !path.is_empty());
    let mut paths: Vec<Vec<u8>> = paths.map(|path| without_side(path, &sides).to_vec()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Reads what `git merge-tree --stdin` prints of one merge: whether it is clean, its tree, paths, and an empty field. Returns
/// what follows; none where git ended before all of it was printed.
fn read_record(printed: &[u8], sides: [CommitId; 2]) -> Option<(Merged, &[u8])> {
    let mut rest = printed;
    let mut fields = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        if field.is_empty() {
            break;
        }
        fields.push(field);
    }
    let merged = match (fields.first()?, read_id(fields.get(1)?)?) {
        (&b"1", tree) => Merged::Clean(tree),
        (&b"0", _) => Merged::Conflict(paths(fields[2..].iter().copied(), sides)),
        _ => return None,
    };
    Some((merged, rest))
}

/// The path that a file has which is in the way of a folder: git moves it to `<path>~<side>`, or `<path>~<side>_0` where
/// that is taken, and we name the sides by commits.
fn without_side<'a>(path: &'a [u8], sides: &[Vec<u8>]) -> &'a [u8] {
    let ends_here = |rest: &[u8]| match rest.strip_prefix(b"_") {
        Some(number) => number.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    let found = sides.iter().find_map(|side| {
        let at = path.windows(side.len()).rposition(|window| window == side)?;
        ends_here(&path[at + side.len()..]).then_some(at)
    });
    found.map_or(path, |at| &path[..at])
}

/// The tree that git prints last of a merge without a conflict. A driver prints before it, and may print what it merges: nothing
/// that stands there chooses what comes of a branch.
fn tree_at_end(printed: &[u8], digits: usize) -> Option<ObjectId> {
    id_at_end(printed.strip_suffix(b"\0")?, digits)
}

/// The id that a field ends with, whatever was printed before it on its line.
fn id_at_end(field: &[u8], digits: usize) -> Option<ObjectId> {
    read_id(&field[field.len().checked_sub(digits)?..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_prints_chooses_no_tree() {
        let (chosen, made) = ("1".repeat(40), "2".repeat(40));
        let tree = |printed: String| tree_at_end(printed.as_bytes(), 40).map(|tree| tree.to_string());
        assert_eq!(tree(format!("{made}\0")), Some(made.clone()));
        assert_eq!(tree(format!("merging{made}\0")), Some(made.clone()));
        assert_eq!(tree(format!("{chosen}\0{made}\0")), Some(made.clone()));
        for printed in [format!("{chosen}\0merging"), format!("{chosen}\0\0"), made, String::new()] {
            assert_eq!(tree(printed.clone()), None, "{printed:?}");
        }
    }

    #[test]
    fn a_merge_among_many_is_read_when_all_of_it_is_there() {
        let id: CommitId = "1".repeat(40).parse().unwrap();
        let printed = format!("1\0{id}\0\00\0{id}\0b\0a~{id}\0\01\0{id}\0");
        let (clean, rest) = read_record(printed.as_bytes(), [id, id]).unwrap();
        assert_eq!(clean, Merged::Clean(id.0));
        let (conflict, rest) = read_record(rest, [id, id]).unwrap();
        assert_eq!(conflict, Merged::Conflict(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(read_record(rest, [id, id]), None);
        assert_eq!(read_record(b"2\0x\0\0", [id, id]), None);
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_named_as_it_was() {
        let sides = [b"~abc".to_vec(), b"~def".to_vec()];
        for (printed, path) in [
            ("doc~abc", "doc"),
            ("a/b~def_0", "a/b"),
            ("a~abc/b", "a~abc/b"),
            ("a~abc_x", "a~abc_x"),
            ("a~x", "a~x"),
            ("~", "~"),
        ] {
            assert_eq!(without_side(printed.as_bytes(), &sides), path.as_bytes());
        }
    }
}
