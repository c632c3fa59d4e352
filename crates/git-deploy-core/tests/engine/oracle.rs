//! What `git rebase` makes of a branch, in a work tree of its own.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Output;

use git_deploy_core::git::object::{Commit, quote_path};
use git_deploy_core::ids::CommitId;
use git_deploy_core::rebase::{Skip, Verdict};

use crate::lab::Lab;

/// What can be said about a rebase whoever made it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Current,
    Landed,
    /// Tree, author and message of each commit on top of base.
    Commits(Vec<(String, String, String)>),
    /// The commit, and the paths in the order of their names.
    Conflict(CommitId, BTreeSet<String>),
    /// A conflict at which git itself gives up with a bug of its own, when it is to write it into a work tree.
    Bug,
    /// Anything else: the engine says it, git never.
    Other(String),
}

impl Expected {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Landed => "landed",
            Self::Commits(_) => "rebased",
            Self::Conflict(..) => "conflict",
            Self::Bug => "bug",
            Self::Other(_) => "other",
        }
    }

    /// What our verdict says.
    pub(crate) fn of(lab: &Lab, base: CommitId, verdict: Verdict) -> Self {
        match verdict {
            Verdict::Current => Self::Current,
            Verdict::Skipped(Skip::Landed) => Self::Landed,
            Verdict::Rebased(rebased) => Self::Commits(commits(lab, base, rebased.tip)),
            Verdict::Broken(conflict) => {
                Self::Conflict(conflict.commit, conflict.paths.into_iter().collect())
            }
            Verdict::Skipped(skip) => Self::Other(skip.to_string()),
        }
    }
}

fn commits(lab: &Lab, base: CommitId, tip: CommitId) -> Vec<(String, String, String)> {
    let list = lab.git(&["rev-list", "--reverse", &format!("{base}..{tip}")]);
    let read = |id: &str| {
        let commit = Commit::parse(&lab.raw(id.parse().unwrap())).unwrap();
        let author = String::from_utf8_lossy(&commit.author).into_owned();
        (commit.tree.to_string(), author, commit.message_text())
    };
    list.lines().map(read).collect()
}

/// A work tree in which git rebases.
pub(crate) struct Oracle<'a> {
    lab: &'a Lab,
    tree: PathBuf,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Self {
        let oracle = Self { lab, tree: lab.path("scratch") };
        oracle.begin_anew();
        oracle
    }

    fn begin_anew(&self) {
        std::fs::remove_dir_all(&self.tree).ok();
        self.lab.git(&["worktree", "prune"]);
        self.lab.git(&["worktree", "add", "-q", "--detach", self.tree.to_str().unwrap(), "master"]);
    }

    /// What `git rebase --no-fork-point <base>` makes of a commit; but commits whose whitespace differs are picked.
    pub(crate) fn rebase(&self, base: CommitId, tip: CommitId) -> Expected {
        let lab = self.lab;
        lab.git_in(&self.tree, &["clean", "-qfdx"]);
        lab.git_in(&self.tree, &["checkout", "-q", "--force", "--detach", &tip.to_string()]);
        let base_id = base.to_string();
        let output = match self.picks_that_git_would_drop(base, tip) {
            None => lab.command_in(&self.tree, &["rebase", "--no-fork-point", &base_id]).output().unwrap(),
            Some(todo) => {
                let file = lab.path("home/todo");
                std::fs::write(&file, todo).unwrap();
                let editor = format!("sequence.editor=cp '{}'", file.display());
                let options = ["-i", "--empty=drop", "--no-fork-point", "--reapply-cherry-picks"];
                let args = [&["-c", &editor, "rebase"], &options[..], &[&base_id]].concat();
                lab.command_in(&self.tree, &args).output().unwrap()
            }
        };
        if output.status.success() {
            return match lab.git_in(&self.tree, &["rev-parse", "HEAD"]).parse().unwrap() {
                head if head == base => Expected::Landed,
                head if head == tip => Expected::Current,
                head => Expected::Commits(commits(lab, base, head)),
            };
        }
        self.stopped(&output)
    }

    /// Where and why a rebase stopped; it is given up.
    fn stopped(&self, output: &Output) -> Expected {
        let lab = self.lab;
        let stopped = lab.command_in(&self.tree, &["rev-parse", "REBASE_HEAD"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("BUG: merge-ort.c") {
            self.begin_anew();
            return Expected::Bug;
        }
        assert!(stopped.status.success(), "git stopped at no commit: {stderr}");
        let stopped = String::from_utf8_lossy(&stopped.stdout).trim_end().parse().unwrap();
        let unmerged =
            lab.command_in(&self.tree, &["diff", "--name-only", "--diff-filter=U", "-z"]).output().unwrap();
        let paths = unmerged.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let paths = paths.map(|path| quote_path(self.without_side(path, stopped))).collect();
        // What a conflict has left there may be in the way of going back; then git has lost the conflict itself.
        if !lab.command_in(&self.tree, &["rebase", "--abort"]).output().unwrap().status.success() {
            self.begin_anew();
            return Expected::Bug;
        }
        Expected::Conflict(stopped, paths)
    }

    /// The path of a file that is in the way of a folder: git moves it to `<path>~HEAD` or `<path>~<id> (<subject>)`.
    fn without_side<'p>(&self, path: &'p [u8], stopped: CommitId) -> &'p [u8] {
        let label = self.lab.git(&["log", "-1", "--format=~%h (", &stopped.to_string()]);
        for side in ["~HEAD", &label] {
            if let Some(at) = path.windows(side.len()).position(|window| window == side.as_bytes()) {
                return &path[..at];
            }
        }
        path
    }

    /// The list of picks, if git would drop a commit whose diff differs in whitespace.
    fn picks_that_git_would_drop(&self, base: CommitId, tip: CommitId) -> Option<String> {
        let args = ["rev-list", "--cherry-mark", "--reverse", "--topo-order", "--no-merges"];
        let side = |side| {
            let list = self.lab.git(&[&args[..], &[side, &format!("{base}...{tip}")]].concat());
            let marked = list.lines().map(|line| (line.starts_with('='), line[1..].to_owned()));
            marked.collect::<Vec<_>>()
        };
        let same = side("--left-only").into_iter().filter(|(same, _)| *same);
        let upstream: HashMap<String, String> = same.map(|(_, id)| (self.patch(&id), id)).collect();
        let (mut todo, mut differs) = (String::new(), false);
        for (same, id) in side("--right-only") {
            let patch = self.patch(&id);
            let dropped = same && !patch.is_empty();
            if dropped && upstream.contains_key(&patch) {
                continue;
            }
            differs |= dropped;
            todo.push_str(&format!("pick {id}\n"));
        }
        differs.then_some(todo)
    }

    /// The diff of a commit without the places where it applies.
    fn patch(&self, id: &str) -> String {
        let args =
            ["diff-tree", "-p", "--root", "--no-commit-id", "--no-renames", "--binary", "--full-index", id];
        let diff = self.lab.git(&args);
        let placed = |line: &&str| !line.starts_with("@@ ") && !line.starts_with("index ");
        let binary = diff.contains("GIT binary patch");
        diff.lines().filter(|line| binary || placed(line)).map(|line| format!("{line}\n")).collect()
    }
}
