//! A machine of the simulation: a clone, a clock, and the git program, played by libgit2.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Output};
use std::sync::Arc;
use std::time::Duration;

use git_deploy_core::git::program::{Call, ProgramError};
use git_deploy_core::ids::{ObjectId, RefName};
use git_deploy_core::machine::Machine;
use git2::{DiffFormat, ErrorCode, Odb, Oid, Repository, Revwalk, Sort};

use crate::Planted;
use crate::promises::Remote;
use crate::refs::{self, Move};
use crate::world::{Place, World};

/// When the simulation begins.
const EPOCH: i64 = 1_790_000_000;

/// A machine, for the thread that is on it.
pub(crate) struct Host {
    pub(crate) world: Arc<World>,
    pub(crate) me: usize,
    pub(crate) name: String,
    pub(crate) clone: PathBuf,
    pub(crate) repository: Repository,
    pub(crate) pid: Cell<u32>,
    pub(crate) planted: Option<Planted>,
}

/// What a call of git does.
type Answer = Result<Output, git2::Error>;

fn done(stdout: impl Into<Vec<u8>>) -> Output {
    Output { status: ExitStatus::default(), stdout: stdout.into(), stderr: Vec::new() }
}

fn failed(code: i32, stdout: impl Into<Vec<u8>>, stderr: &str) -> Output {
    Output { status: ExitStatus::from_raw(code << 8), stdout: stdout.into(), stderr: stderr.into() }
}

const UNREACHABLE: &str = "fatal: Could not read from remote repository.\n";

fn object_id(id: Oid) -> ObjectId {
    ObjectId::from_bytes(id.as_bytes()).unwrap_or_else(|| unreachable!("an id is one"))
}

impl Host {
    /// Where a ref of its clone stands.
    pub(crate) fn resolve(&self, name: &str) -> Option<Oid> {
        self.world.refs(Place::Clone(self.me), |refs| refs.resolve(name))
    }

    /// Moves a ref of its clone.
    pub(crate) fn apply(&self, a_move: &Move) {
        self.moves(Place::Clone(self.me), a_move);
    }

    /// Moves a ref, which leads to what is there.
    fn moves(&self, place: Place, a_move: &Move) {
        if a_move.new.is_some_and(|new| !self.world.objects.exists(new)) {
            self.world.promises(|promises, _| promises.breaks(format!("{a_move} leads to nothing")));
        }
        self.world.refs(place, |refs| refs.apply(a_move));
    }

    /// The repository that counts.
    fn remote(&self) -> Remote<'_> {
        Remote { world: &self.world, objects: &self.repository }
    }

    /// How long it is away from one step to the next, at most that many milliseconds.
    fn takes(&self, most: u64) {
        let time = self.world.pick(1..most);
        self.world.step(self.me, Duration::from_millis(time));
    }

    fn answer(&self, words: &[String], bytes: &[u8]) -> Answer {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match *words.first().unwrap_or(&"") {
            "update-ref" => self.update_refs(bytes),
            "fetch" => self.fetch(&words),
            "push" => self.push(&words),
            "ls-remote" => self.ls_remote(words[words.len() - 1]),
            "rev-list" if words.contains(&"--no-commit-header") => self.log(&words[1..]),
            "rev-list" if words.contains(&"--stdin") => self.beyond(&words, bytes),
            "rev-list" if words.contains(&"--first-parent") => self.first_parents(&words[1..]),
            // Nor loses anybody an object.
            "rev-list" if words.contains(&"--missing=print") => Ok(done("")),
            // Nobody merges.
            "rev-list" if words.contains(&"--merges") => Ok(done("")),
            "diff-tree" => self.differences(words.contains(&"--raw"), bytes),
            "merge-base" => self.merge_base(&words[1..]),
            // Nobody's reflog is kept here.
            "rev-list" | "log" if words.contains(&"--walk-reflogs") => Ok(done("")),
            "rev-parse" if words.contains(&"--verify") => self.rev_parse(words[words.len() - 1]),
            "merge-tree" => self.merge_tree(&words),
            "worktree" => Ok(done(format!("worktree {}\0bare\0\0", self.clone.display()))),
            // Nobody signs.
            "config" => Ok(failed(1, "", "")),
            "version" => Ok(done("git version 2.47.0\n")),
            "symbolic-ref" => Ok(done("refs/heads/master\n")),
            _ => panic!("the simulation has no 'git {}'", words.join(" ")),
        }
    }

    fn update_refs(&self, input: &[u8]) -> Answer {
        self.takes(20);
        let moves = refs::transaction(input);
        for Move { name, old, .. } in &moves {
            if self.resolve(name) != *old {
                return Ok(failed(128, "", &format!("fatal: cannot lock ref '{name}'\n")));
            }
        }
        for (index, a_move) in moves.iter().enumerate() {
            // A transaction is not atomic for those who are killed in it.
            if index > 0 && self.pid.get() != 0 && self.world.happens(|faults| faults.death) {
                self.world.tell(self.me, "dies while refs are moved");
                self.world.doom(self.me);
                self.takes(2);
            }
            self.apply(a_move);
        }
        Ok(done("start: ok\ncommit: ok\n"))
    }

    fn fetch(&self, words: &[&str]) -> Answer {
        self.takes(800);
        if self.world.is_cut(self.me) {
            return Ok(failed(128, "", UNREACHABLE));
        }
        for spec in words.iter().filter_map(|word| word.strip_prefix('+')) {
            let (from, to) = spec.split_once(':').unwrap_or((spec, ""));
            let (from, to) = (from.trim_end_matches('*'), to.trim_end_matches('*'));
            let theirs: Vec<(String, Oid)> = self.world.refs(Place::Remote, |refs| {
                refs.below(from).map(|(name, id)| (format!("{to}{}", &name[from.len()..]), id)).collect()
            });
            self.world.refs(Place::Clone(self.me), |refs| {
                let gone: Vec<String> = refs.below(to).map(|(name, _)| name.to_owned()).collect();
                gone.into_iter().for_each(|name| refs.apply(&Move { name, old: None, new: None }));
                for (name, id) in theirs {
                    refs.apply(&Move { name, old: None, new: Some(id) });
                }
            });
        }
        Ok(done(""))
    }

    fn ls_remote(&self, name: &str) -> Answer {
        self.takes(300);
        if self.world.is_cut(self.me) {
            return Ok(failed(128, "", UNREACHABLE));
        }
        let id = self.remote().resolve(name);
        Ok(done(id.map(|id| format!("{id}\t{name}\n")).unwrap_or_default()))
    }

    fn push(&self, words: &[&str]) -> Answer {
        self.takes(800);
        if self.world.is_cut(self.me) {
            return Ok(failed(128, "", UNREACHABLE));
        }
        let leases: Vec<(&str, &str)> = words
            .iter()
            .filter_map(|word| word.strip_prefix("--force-with-lease=")?.split_once(':'))
            .collect();
        let specs = words.iter().skip_while(|word| **word != "--end-of-options").skip(2);
        let mut moves = Vec::new();
        let mut said = String::new();
        for (new, name) in specs.filter_map(|spec| spec.split_once(':')) {
            let id = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Oid::from_str).transpose();
            let (new, there) = (id(new)?, self.remote().resolve(name));
            let lease =
                leases.iter().find(|(leased, _)| *leased == name).map(|(_, old)| id(old)).transpose()?;
            let why = match (lease, there, new) {
                (Some(expected), there, _) if expected != there && there != new => Some("stale info"),
                (Some(_), ..) | (None, None, _) | (None, Some(_), None) => None,
                (None, Some(there), Some(new)) if there == new => None,
                (None, Some(_), _) if name.starts_with("refs/tags/") => Some("already exists"),
                (None, Some(there), Some(new)) if self.repository.graph_descendant_of(new, there)? => None,
                (None, Some(_), Some(_)) => Some("non-fast-forward"),
            };
            if let Some(why) = why {
                said.push_str(&format!("!\t{}:{name}\t[rejected] ({why})\n", words[0]));
            }
            moves.push(Move { name: name.to_owned(), old: there, new });
        }
        if !said.is_empty() {
            let others = moves.iter().filter(|a_move| !said.contains(&format!(":{}\t", a_move.name)));
            let others =
                others.map(|a_move| format!("!\tx:{}\t[rejected] (atomic push failed)\n", a_move.name));
            let others: String = others.collect();
            said.push_str(&others);
            return Ok(failed(1, said, "error: failed to push some refs\n"));
        }
        let is_whole = self.takes_over(&mut moves);
        self.world.promises(|promises, _| promises.looks_at_ledger(self.remote()));
        if !is_whole {
            return Ok(failed(128, "", UNREACHABLE));
        }
        if self.world.happens(|faults| faults.lost_answer) {
            self.world.tell(self.me, "never hears that this was taken");
            return Ok(failed(128, "", UNREACHABLE));
        }
        for Move { name, new, .. } in moves {
            if let Some(short) = name.strip_prefix("refs/heads/") {
                let name = format!("refs/remotes/origin/{short}");
                self.apply(&Move { name, old: None, new });
            }
        }
        Ok(done("Done\n"))
    }

    /// What the remote does with a push that it takes. Returns whether it came to its end.
    fn takes_over(&self, moves: &mut [Move]) -> bool {
        let is_torn = self.planted == Some(Planted::TornPush);
        if is_torn {
            moves.sort_by_key(|a_move| !a_move.name.starts_with("refs/tags/"));
        }
        for (index, a_move) in moves.iter().enumerate().filter(|(_, a_move)| a_move.old != a_move.new) {
            if is_torn && index > 0 && self.world.happens(|faults| faults.lost_answer) {
                self.world.tell(self.me, "ends in the middle of a push");
                return false;
            }
            self.world.tell(self.me, &format!("pushes {a_move}"));
            self.world.promises(|promises, now| promises.moves(self.remote(), a_move, now));
            self.moves(Place::Remote, a_move);
        }
        true
    }

    /// The commits that words lead to, those with '^' not.
    fn walk<'w>(&self, words: impl Iterator<Item = &'w str>) -> Result<Revwalk<'_>, git2::Error> {
        let mut walk = self.repository.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        for word in words {
            match word.strip_prefix('^') {
                Some(from) => walk.hide(Oid::from_str(from)?)?,
                None => walk.push(Oid::from_str(word)?)?,
            }
        }
        Ok(walk)
    }

    fn beyond(&self, words: &[&str], input: &[u8]) -> Answer {
        let mut lines = Vec::new();
        for id in self.walk(String::from_utf8_lossy(input).lines())? {
            let commit = self.repository.find_commit(id?)?;
            let parents: String = commit.parent_ids().map(|id| format!(" {id}")).collect();
            let parents = if words.contains(&"--parents") { parents } else { String::new() };
            lines.push(format!("{}{parents}\n", commit.id()));
        }
        if words.contains(&"--reverse") {
            lines.reverse();
        }
        Ok(done(lines.concat()))
    }

    fn first_parents(&self, words: &[&str]) -> Answer {
        let mut walk = self.walk(revisions(words))?;
        walk.simplify_first_parent()?;
        let lines: Result<Vec<String>, git2::Error> = walk.map(|id| Ok(format!("{}\n", id?))).collect();
        Ok(done(lines?.concat()))
    }

    fn log(&self, words: &[&str]) -> Answer {
        let mut printed = String::new();
        let grep = words.iter().find_map(|word| word.strip_prefix("--grep=")).unwrap_or_default();
        for id in self.walk(revisions(words))? {
            let commit = self.repository.find_commit(id?)?;
            if !String::from_utf8_lossy(commit.message_bytes()).contains(grep) {
                continue;
            }
            let parents: Vec<String> = commit.parent_ids().map(|id| id.to_string()).collect();
            let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
            printed.push_str(&format!(
                "{} {} {}\n{message}\0\n",
                commit.id(),
                commit.tree_id(),
                parents.join(" ")
            ));
        }
        Ok(done(printed))
    }

    /// What commits change: the paths alone, or the diffs.
    fn differences(&self, is_raw: bool, input: &[u8]) -> Answer {
        let mut printed = Vec::new();
        for id in String::from_utf8_lossy(input).lines() {
            let commit = self.repository.find_commit(Oid::from_str(id)?)?;
            let parent = commit.parent(0).ok().map(|parent| parent.tree()).transpose()?;
            let diff = self.repository.diff_tree_to_tree(parent.as_ref(), Some(&commit.tree()?), None)?;
            printed.extend(format!("{id}{}", if is_raw { '\0' } else { '\n' }).bytes());
            if is_raw {
                for path in
                    diff.deltas().filter_map(|delta| delta.new_file().path_bytes().map(<[u8]>::to_vec))
                {
                    printed.extend(b":0 0 0 0 M\0".iter().chain(&path).chain(&[0]));
                }
                continue;
            }
            diff.print(DiffFormat::Patch, |_, _, line| {
                printed.extend(matches!(line.origin(), '+' | '-' | ' ').then(|| line.origin() as u8));
                printed.extend(line.content());
                true
            })?;
        }
        Ok(done(printed))
    }

    fn merge_base(&self, words: &[&str]) -> Answer {
        let ids: Vec<Oid> = revisions(words).map(Oid::from_str).collect::<Result<_, _>>()?;
        let (first, others) = ids.split_first().ok_or_else(|| git2::Error::from_str("no commits"))?;
        match others.iter().try_fold(*first, |base, other| self.repository.merge_base(base, *other)) {
            Ok(base) => Ok(done(format!("{base}\n"))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(failed(1, "", "")),
            Err(error) => Err(error),
        }
    }

    fn rev_parse(&self, word: &str) -> Answer {
        let word = word.trim_end_matches("^{commit}");
        let places = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
        let named = places.iter().find_map(|place| self.resolve(&format!("{place}{word}")));
        let object =
            named.or_else(|| Oid::from_str(word).ok()).map(|id| self.repository.find_object(id, None));
        let commit = object.and_then(|object| object.ok()?.peel_to_commit().ok());
        Ok(commit.map_or_else(|| failed(1, "", ""), |commit| done(format!("{}\n", commit.id()))))
    }

    fn merge_tree(&self, words: &[&str]) -> Answer {
        self.takes(20);
        let base = words.iter().find_map(|word| word.strip_prefix("--merge-base=")).unwrap_or_default();
        let [ours, theirs] = [words[words.len() - 2], words[words.len() - 1]];
        let tree = |id: &str| self.repository.find_commit(Oid::from_str(id)?)?.tree();
        let mut merged = self.repository.merge_trees(&tree(base)?, &tree(ours)?, &tree(theirs)?, None)?;
        if !merged.has_conflicts() {
            return Ok(done(format!("{}\0", merged.write_tree_to(&self.repository)?)));
        }
        let mut printed = format!("{}\0", tree(ours)?.id()).into_bytes();
        for conflict in merged.conflicts()? {
            let conflict = conflict?;
            let path = conflict.our.or(conflict.their).or(conflict.ancestor).map(|entry| entry.path);
            printed.extend(path.unwrap_or_default());
            printed.push(0);
        }
        Ok(failed(1, printed, ""))
    }
}

impl Machine for Host {
    fn git(&self, call: &Call) -> Result<Output, ProgramError> {
        let words: Vec<String> =
            call.words().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        self.answer(&words, call.bytes()).map_err(|error| ProgramError::Output {
            command: call.command_line(),
            what: format!("the simulated git: {error}"),
        })
    }

    fn resolve(&self, name: &RefName) -> Option<ObjectId> {
        Self::resolve(self, name.as_str()).map(object_id)
    }

    fn refs(&self, prefix: &str) -> Vec<(RefName, ObjectId)> {
        let named = |(name, id): (&str, Oid)| Some((RefName::new(name).ok()?, object_id(id)));
        self.world.refs(Place::Clone(self.me), |refs| refs.below(prefix).filter_map(named).collect())
    }

    fn objects(&self) -> &Odb<'_> {
        &self.world.objects
    }

    fn now(&self) -> jiff::Timestamp {
        let seconds = i64::try_from(self.world.now().as_secs()).unwrap_or_default();
        jiff::Timestamp::from_second(EPOCH + seconds + self.world.skew(self.me)).unwrap_or_default()
    }

    fn uptime(&self) -> Duration {
        let pace = if self.planted == Some(Planted::Impatience) { 60 } else { 1 };
        self.world.now() * pace + Duration::from_secs(100 + self.me as u64 * 1000)
    }

    fn sleep(&self, time: Duration) {
        self.world.step(self.me, time);
    }

    fn host(&self) -> String {
        self.name.clone()
    }

    fn pid(&self) -> u32 {
        self.pid.get()
    }

    fn is_alive(&self, pid: u32) -> bool {
        self.world.is_alive(self.me, pid)
    }
}

/// The commits that a call names.
fn revisions<'w>(words: &'w [&'w str]) -> impl Iterator<Item = &'w str> {
    words.iter().filter(|word| !word.starts_with('-')).copied()
}
