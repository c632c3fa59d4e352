//! What `git rebase` makes of a branch, in a work tree of its own.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{Place, quoted, run};

/// What can be said about a rebase whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It stands where it is to stand.
    Current,
    /// It has, or would keep, no commit of its own.
    Landed,
    /// The commits on top of base, oldest first.
    Commits(Vec<Made>),
    /// The commit that does not apply, and the paths as git quotes them, in the order of their names.
    Conflict(String, BTreeSet<String>),
    /// It has merge commits, which git would flatten and we refuse.
    Merges,
    /// A conflict at which git itself gives up with a bug of its own, when it is to write it into a work tree.
    Bug,
    /// Anything else.
    Other(String),
}

/// What a commit became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    tree: String,
    author: String,
    message: String,
}

/// Commits that are to be put elsewhere: `upstream..tip` onto `onto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its last commit.
    pub tip: String,
    /// What it was made from.
    pub upstream: String,
    /// Where it is to stand.
    pub onto: String,
}

/// What git makes of a branch, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What became of it.
    pub verdict: Expected,
    /// How many of its commits are upstream already.
    pub upstream: usize,
    /// How many became empty.
    pub emptied: usize,
    /// How many git would have dropped though they differ from what is upstream in whitespace: those are picked.
    pub respaced: usize,
    /// How many have an encoding of their own, of which git makes UTF-8.
    pub recoded: usize,
}

/// What is to be picked of a branch.
#[derive(Debug, Default)]
struct Picks {
    list: Vec<String>,
    upstream: usize,
    respaced: usize,
    recoded: usize,
}

impl Expected {
    /// The commits of `base..tip`, which somebody has rebased.
    pub fn made(place: &(impl AsRef<Path> + ?Sized), base: impl Display, tip: impl Display) -> Self {
        let format = "--format=%T%n%an <%ae> %ad%n%B";
        let args = ["log", "-z", "--reverse", "--topo-order", "--date=raw", "--encoding=UTF-8", format];
        let log = Place::new(place).git_whole(&[&args[..], &[&format!("{base}..{tip}")]].concat());
        let log = String::from_utf8_lossy(&log);
        let read = |commit: &str| {
            let mut fields = commit.splitn(3, '\n').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            Made { tree: next(), author: next(), message: next() }
        };
        Self::Commits(log.split_terminator('\0').map(read).collect())
    }

    /// In one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Landed => "landed",
            Self::Commits(_) => "rebased",
            Self::Conflict(..) => "conflict",
            Self::Merges => "merges",
            Self::Bug => "bug",
            Self::Other(_) => "other",
        }
    }
}

/// A work tree in which git rebases.
#[derive(Debug)]
pub struct Oracle {
    place: Place,
    tree: PathBuf,
    todo: PathBuf,
    /// Whether something may lie around that git does not know.
    is_littered: Cell<bool>,
}

impl Oracle {
    /// The only one in this place, which has a `home` and a repository `repo`.
    pub fn new(place: &(impl AsRef<Path> + ?Sized)) -> Self {
        Self::numbered(place, 0)
    }

    /// One of several in this place.
    pub fn numbered(place: &(impl AsRef<Path> + ?Sized), number: usize) -> Self {
        let place = Place::new(place);
        let tree = place.path(&format!("scratch{number}"));
        let todo = place.path(&format!("home/todo{number}"));
        let oracle = Self { place, tree, todo, is_littered: Cell::new(false) };
        oracle.begin_anew();
        oracle
    }

    fn begin_anew(&self) {
        // It need not be there; what git knows of it goes by the force.
        fs::remove_dir_all(&self.tree).ok();
        let tree = self.tree.to_string_lossy();
        self.place.git(&["worktree", "add", "--force", "--force", "-q", "--no-checkout", "--detach", &tree]);
        self.is_littered.set(false);
    }

    fn git(&self, args: &[&str]) -> String {
        self.place.git_in(&self.tree, args)
    }

    fn try_git(&self, args: &[&str]) -> Output {
        run(self.place.command("git").current_dir(&self.tree).args(args))
    }

    /// What `git rebase --no-fork-point <base>` makes of a commit; but commits whose whitespace differs are picked.
    pub fn rebase(&self, base: impl Display, tip: impl Display) -> Expected {
        let base = base.to_string();
        self.judge(&Branch { tip: tip.to_string(), upstream: base.clone(), onto: base }).verdict
    }

    /// The same for any branch, and what is to be said about it.
    ///
    /// # Panics
    /// If git fails at anything but the rebase.
    pub fn judge(&self, branch: &Branch) -> Judged {
        let range = format!("{}..{}", branch.upstream, branch.tip);
        if !self.git(&["rev-list", "--merges", "--max-count=1", &range]).is_empty() {
            return Judged { verdict: Expected::Merges, upstream: 0, emptied: 0, respaced: 0, recoded: 0 };
        }
        let picks = self.picks(branch);
        let verdict = self.run(branch, &picks);
        let kept = match &verdict {
            Expected::Commits(made) => made.len(),
            Expected::Landed => 0,
            _ => picks.list.len(),
        };
        let Picks { list, upstream, respaced, recoded } = picks;
        Judged { verdict, upstream, emptied: list.len().saturating_sub(kept), respaced, recoded }
    }

    fn run(&self, branch: &Branch, picks: &Picks) -> Expected {
        if self.is_littered.take() {
            self.git(&["clean", "-qffdx"]);
        }
        let Branch { tip, upstream, onto } = branch;
        // What is checked out may be anything, but git wants it clean. It goes from there straight to where the branch is to stand.
        self.git(&["reset", "-q", "--hard"]);
        let target = ["--no-fork-point", "--onto", onto, upstream, tip];
        let output = if picks.respaced == 0 {
            self.try_git(&[&["rebase"], &target[..]].concat())
        } else {
            let todo: String = picks.list.iter().map(|id| format!("pick {id}\n")).collect();
            fs::write(&self.todo, todo).expect("the home can be written to");
            let editor = format!("sequence.editor=cp '{}'", self.todo.display());
            let options = ["-c", &editor, "rebase", "-i", "--empty=drop", "--reapply-cherry-picks"];
            self.try_git(&[&options[..], &target[..]].concat())
        };
        if !output.status.success() {
            return self.stopped(&output);
        }
        match self.git(&["rev-parse", "HEAD"]) {
            head if head == *onto => Expected::Landed,
            head if head == *tip => Expected::Current,
            head => Expected::made(&self.place, onto, head),
        }
    }

    /// Where and why a rebase stopped; it is given up.
    fn stopped(&self, output: &Output) -> Expected {
        self.is_littered.set(true);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("BUG: merge-ort.c") {
            self.begin_anew();
            return Expected::Bug;
        }
        let stopped = self.try_git(&["rev-parse", "--verify", "-q", "REBASE_HEAD"]);
        if !stopped.status.success() {
            self.begin_anew();
            return Expected::Other(format!("git stopped at no commit: {stderr}"));
        }
        let stopped = String::from_utf8_lossy(&stopped.stdout).trim_end().to_owned();
        let unmerged = self.try_git(&["diff", "--name-only", "--diff-filter=U", "-z"]).stdout;
        let label = self.git(&["log", "-1", "--format=~%h (", &stopped]);
        let paths = unmerged.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let paths = paths.map(|path| quoted(without_side(path, label.as_bytes()))).collect();
        // What a conflict has left there may be in the way of going back; then git has lost the conflict itself.
        if !self.try_git(&["rebase", "--abort"]).status.success() {
            self.begin_anew();
            return Expected::Bug;
        }
        Expected::Conflict(stopped, paths)
    }

    /// What git would pick, and what it would drop though its whitespace differs.
    fn picks(&self, branch: &Branch) -> Picks {
        let sides = format!("{}...{}", branch.upstream, branch.tip);
        let list = |side| {
            let args = ["rev-list", "--cherry-mark", "--reverse", "--topo-order", "--no-merges"];
            let list =
                self.git(&[&args[..], &["--no-commit-header", "--format=%m%H %e.", side, &sides]].concat());
            list.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let is_upstream = |line: &String| line.starts_with('=');
        let id = |line: &String| line[1..].split(' ').next().unwrap_or_default().to_owned();
        let ours = list("--right-only");
        let mut picks = Picks::default();
        let upstream: HashSet<Vec<u8>> = if ours.iter().any(is_upstream) {
            list("--left-only")
                .iter()
                .filter(|line| is_upstream(line))
                .map(|line| self.patch(&id(line)))
                .collect()
        } else {
            HashSet::new()
        };
        for line in &ours {
            if is_upstream(line) {
                let patch = self.patch(&id(line));
                if !patch.is_empty() && upstream.contains(&patch) {
                    picks.upstream += 1;
                    continue;
                }
                picks.respaced += usize::from(!patch.is_empty());
            }
            picks.recoded += usize::from(!line.ends_with(" ."));
            picks.list.push(id(line));
        }
        picks
    }

    /// The diff of a commit without the places where it applies.
    fn patch(&self, id: &str) -> Vec<u8> {
        let args =
            ["diff-tree", "-p", "--root", "--no-commit-id", "--no-renames", "--binary", "--full-index", id];
        let diff = self.place.git_whole(&args);
        let lines = || diff.split_inclusive(|byte| *byte == b'\n');
        let is_binary = lines().any(|line| line == b"GIT binary patch\n");
        let is_kept = |line: &&[u8]| is_binary || !line.starts_with(b"@@ ") && !line.starts_with(b"index ");
        lines().filter(is_kept).flatten().copied().collect()
    }
}

/// The path of a file that is in the way of a folder: git moves it to `<path>~HEAD` or `<path>~<id> (<subject>)`.
fn without_side<'p>(path: &'p [u8], label: &[u8]) -> &'p [u8] {
    let at = |side: &[u8]| path.windows(side.len()).position(|window| window == side);
    at(b"~HEAD").or_else(|| at(label)).map_or(path, |at| &path[..at])
}
