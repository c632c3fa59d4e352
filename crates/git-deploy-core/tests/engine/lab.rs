//! A repository for one test, in a process of its own.
//!
//! The engine works where it stands, in the environment that it has, as the commands do. So a test that needs another
//! folder and a clean environment starts itself again there; threads of one process cannot differ in either.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use git_deploy_core::git::Repository;
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::rebase::{Committer, Engine, MergeTreeEngine, Request, Verdict};

/// Names the folder of the test to the process that is to run it.
const FOLDER: &str = "GIT_DEPLOY_REBASE_FOLDER";

/// What such a process inherits: where programs are, and coverage.
const INHERITED: [&str; 3] = ["PATH", "GIT_EXEC_PATH", "LLVM_PROFILE_FILE"];

/// Defines tests that get a fresh [`Lab`].
macro_rules! lab_tests {
    ($(fn $name:ident($lab:ident) $body:block)+) => {$(
        #[test]
        fn $name() {
            $crate::lab::hermetic(concat!(module_path!(), "::", stringify!($name)), |$lab| $body);
        }
    )+};
}
pub(crate) use lab_tests;

pub(crate) fn hermetic(test: &str, body: impl FnOnce(&Lab)) {
    if let Some(root) = std::env::var_os(FOLDER) {
        return body(&Lab { root: root.into(), clock: Cell::new(1_700_000_000) });
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for name in ["home", "repo"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let (_crate, test) = test.split_once("::").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env_clear();
    command.envs(INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
    command.env(FOLDER, &root).env("HOME", root.join("home")).env("TMPDIR", root.join("home"));
    command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")]);
    command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")]);
    command.envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.org")]);
    let output = command.current_dir(root.join("repo")).stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A name that fits no test would succeed with nothing done.
    let ran = output.status.success() && stdout.contains("1 passed");
    assert!(ran, "{test}: {}\n{stdout}\n{stderr}", output.status);
}

/// The folder of one test, with a repository that is also the current folder, and a clock that ticks with each commit.
pub(crate) struct Lab {
    root: PathBuf,
    clock: Cell<u64>,
}

impl AsRef<Path> for Lab {
    fn as_ref(&self) -> &Path {
        &self.root
    }
}

impl Lab {
    /// Makes the repository, with a first commit that has these files.
    pub(crate) fn init(&self, files: &[(&str, &str)]) {
        self.git(&["init", "-q", "-b", "master"]);
        self.commit("first", files);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 60);
        self.clock.get()
    }

    /// A call of git in the repository.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_in(&self.path("repo"), args)
    }

    pub(crate) fn command_in(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        let date = format!("{} +0100", self.tick());
        command.current_dir(dir).args(args).stdin(Stdio::null());
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command
    }

    /// Runs git in the repository and returns what it printed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        succeeded(args, &self.command(args).output().unwrap())
    }

    pub(crate) fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        succeeded(args, &self.command_in(dir, args).output().unwrap())
    }

    /// Runs git with input.
    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> String {
        let file = self.path("home/input");
        std::fs::write(&file, input).unwrap();
        let mut command = self.command(args);
        succeeded(args, &command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap())
    }

    /// Writes these files and commits everything.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> CommitId {
        for (path, text) in files {
            let path = self.path("repo").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    /// Begins a branch at a revision and checks it out.
    pub(crate) fn branch(&self, name: &str, at: &str) {
        self.git(&["checkout", "-q", "-b", name, at]);
    }

    pub(crate) fn checkout(&self, name: &str) {
        self.git(&["checkout", "-q", name]);
    }

    pub(crate) fn id(&self, revision: &str) -> CommitId {
        self.git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")]).parse().unwrap()
    }

    /// The bytes of a commit.
    pub(crate) fn raw(&self, commit: CommitId) -> Vec<u8> {
        self.command(&["cat-file", "commit", &commit.to_string()]).output().unwrap().stdout
    }

    /// The request to bring a branch onto `master`.
    pub(crate) fn request(&self, branch: &str) -> Request {
        Request::onto_base(RefName::branch(branch).unwrap(), self.id(branch), self.id("master"))
    }

    /// Our verdict about each branch.
    pub(crate) fn verdicts(&self, branches: &[&str]) -> Vec<Verdict> {
        let requests: Vec<Request> = branches.iter().map(|branch| self.request(branch)).collect();
        let repository = Repository::open().unwrap();
        MergeTreeEngine::new(&repository, Committer::Keep).rebase(&requests).unwrap()
    }

    /// Our verdict about one branch.
    pub(crate) fn verdict(&self, branch: &str) -> Verdict {
        self.verdicts(&[branch]).remove(0)
    }

    /// All refs, and what is changed in the work tree.
    pub(crate) fn state(&self) -> String {
        self.git(&["for-each-ref"])
            + "\n"
            + &self.git(&["status", "--porcelain"])
            + &self.git(&["rev-parse", "HEAD"])
    }
}

fn succeeded(args: &[&str], output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {}\n{stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
