//! A repository in a sandbox.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::PATIENCE;
use crate::{KillSwitch, Output, RefPhase, Run, Sandbox, Victim};

/// A repository, bare or with a work tree. A handle: the directory belongs to the sandbox.
#[derive(Debug, Clone)]
pub struct Repo {
    sandbox: Sandbox,
    path: PathBuf,
}

impl Repo {
    pub(crate) fn new(sandbox: Sandbox, path: PathBuf) -> Self {
        Self { sandbox, path }
    }

    /// The sandbox that it is in.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The work tree, or the repository itself if it is bare.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path that git uses for that file of the repository, for example `hooks` or `refs/heads`.
    #[must_use]
    pub fn git_path(&self, name: &str) -> PathBuf {
        self.path.join(self.git(&["rev-parse", "--git-path", name]).line())
    }

    /// The file that git locks before it moves that ref.
    #[must_use]
    pub fn lock_of(&self, name: &str) -> PathBuf {
        let format = self.try_git(&["config", "extensions.refstorage"]);
        let locked = if format.stdout == "reftable\n" { "reftable/tables.list" } else { name };
        self.git_path(&format!("{locked}.lock"))
    }

    /// A command in this repository, to be completed and run. A binary under test that shall be killed is
    /// started this way: behind `git` it would be another process.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Run {
        self.sandbox.command(program).in_directory(&self.path)
    }

    /// Runs git; it must succeed.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> Output {
        let output = self.try_git(arguments);
        output.success();
        output
    }

    /// Runs git, whatever its end.
    #[must_use]
    pub fn try_git(&self, arguments: &[&str]) -> Output {
        self.command("git").args(arguments).output()
    }

    /// Runs one of our commands through git, for example `deploy("deploy-state", &["get"])`; it must succeed.
    #[track_caller]
    pub fn deploy(&self, subcommand: &str, arguments: &[&str]) -> Output {
        let output = self.try_deploy(subcommand, arguments);
        output.success();
        output
    }

    /// Runs one of our commands through git, whatever its end.
    #[must_use]
    pub fn try_deploy(&self, subcommand: &str, arguments: &[&str]) -> Output {
        self.command("git").arg(subcommand).args(arguments).output()
    }

    /// Clones it to a directory of the sandbox.
    #[must_use]
    pub fn clone_to(&self, name: &str) -> Repo {
        let target = self.sandbox.root().join(name);
        self.sandbox.making("clone").arg("--quiet").arg(&self.path).arg(&target).output().success();
        Self::new(self.sandbox.clone(), target)
    }

    /// Adds a remote.
    pub fn add_remote(&self, name: &str, remote: &Repo) {
        self.command("git").args(["remote", "add", name]).arg(&remote.path).output().success();
    }

    /// Sets a key in the repository's configuration.
    pub fn set_config(&self, key: &str, value: &str) {
        self.git(&["config", key, value]);
    }

    /// Writes a file, with the directories that it needs.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let file = self.path.join(path);
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)
                .unwrap_or_else(|error| panic!("cannot create '{}': {error}", directory.display()));
        }
        fs::write(&file, text).unwrap_or_else(|error| panic!("cannot write '{}': {error}", file.display()));
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        let file = self.path.join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("cannot read '{}': {error}", file.display()))
    }

    /// Writes and commits one file; its id.
    pub fn commit(&self, path: &str, text: &str, message: &str) -> String {
        self.commit_files(&[(path, text)], message)
    }

    /// Writes and commits several files; the commit's id.
    pub fn commit_files(&self, files: &[(&str, &str)], message: &str) -> String {
        for (path, text) in files {
            self.write(path, text);
            self.git(&["add", "--", path]);
        }
        self.git(&["commit", "--quiet", "--message", message]);
        self.id("HEAD")
    }

    /// Commits nothing; the commit's id.
    pub fn commit_empty(&self, message: &str) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.id("HEAD")
    }

    /// Makes a branch at HEAD and switches to it.
    pub fn branch(&self, name: &str) {
        self.git(&["checkout", "--quiet", "-b", name]);
    }

    /// Switches to a branch or a commit.
    pub fn switch(&self, name: &str) {
        self.git(&["checkout", "--quiet", name, "--"]);
    }

    /// The id of what is named; it must exist.
    #[must_use]
    #[track_caller]
    pub fn id(&self, revision: &str) -> String {
        self.tip(revision).unwrap_or_else(|| panic!("'{revision}' is not in '{}'", self.path.display()))
    }

    /// The id that a ref, or any other name of an object, stands for.
    #[must_use]
    pub fn tip(&self, revision: &str) -> Option<String> {
        let output = self.try_git(&["rev-parse", "--verify", "--quiet", "--end-of-options", revision]);
        (output.code == Some(0)).then(|| output.line().to_owned())
    }

    /// All refs with the ids they stand for.
    #[must_use]
    pub fn refs(&self) -> BTreeMap<String, String> {
        let output = self.git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
        let pairs = output.lines().into_iter().filter_map(|line| line.split_once(' '));
        pairs.map(|(id, name)| (name.to_owned(), id.to_owned())).collect()
    }

    /// The deploy notes: by commit, their text.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<String, String> {
        self.notes_in("refs/notes/deploy")
    }

    /// The notes in that ref: by commit, their text.
    #[must_use]
    pub fn notes_in(&self, notes_ref: &str) -> BTreeMap<String, String> {
        let list = self.git(&["notes", &format!("--ref={notes_ref}"), "list"]);
        let pairs = list.lines().into_iter().filter_map(|line| line.split_once(' '));
        pairs
            .map(|(blob, commit)| (commit.to_owned(), self.git(&["cat-file", "blob", blob]).stdout))
            .collect()
    }

    /// Nothing in the repository is broken or missing.
    #[track_caller]
    pub fn fsck(&self) {
        let output = self.git(&["fsck", "--full", "--strict", "--no-dangling", "--no-progress"]);
        // An empty repository is told apart by a notice, which is no complaint.
        let complaints =
            output.stdout.lines().chain(output.stderr.lines()).filter(|line| !line.starts_with("notice:"));
        assert_eq!(complaints.count(), 0, "{output}");
    }

    /// No process holds a ref or the index locked, and none that died left a lock behind.
    #[track_caller]
    pub fn has_no_lock_files(&self) {
        let left = self.locks_left_after(PATIENCE);
        assert!(left.is_empty(), "locks are left: {left:?}");
    }

    /// Makes the lock files, and what those said who made them, that much older.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn age_locks(&self, by: Duration) {
        let git_directory = self.path.join(self.git(&["rev-parse", "--git-common-dir"]).line());
        let intents = fs::read_dir(git_directory.join("deploy/intents")).into_iter().flatten().flatten();
        for path in lock_files(&git_directory).into_iter().chain(intents.map(|intent| intent.path())) {
            let file = File::options().append(true).open(&path);
            let made_older = file.and_then(|file| file.set_modified(file.metadata()?.modified()? - by));
            made_older.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    /// The lock files that are still there after that time. One that goes away by itself was held by somebody who lives:
    /// from 2.47 on git looks after a repository in the background, also after it has told the client that its push is done.
    #[must_use]
    pub fn locks_left_after(&self, patience: Duration) -> Vec<PathBuf> {
        let git_directory = self.path.join(self.git(&["rev-parse", "--git-common-dir"]).line());
        let mut locks = lock_files(&git_directory);
        let begun = Instant::now();
        while !locks.is_empty() && begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(20));
            locks.retain(|lock| lock.exists());
        }
        locks
    }

    /// Installs a hook: a script for sh, without its first line.
    pub fn install_hook(&self, name: &str, script: &str) {
        crate::sandbox::write_executable(&self.hook_path(name), &format!("#!/bin/sh\n{script}\n"));
    }

    /// Takes a hook away.
    #[track_caller]
    pub fn remove_hook(&self, name: &str) {
        let path = self.hook_path(name);
        fs::remove_file(&path).unwrap_or_else(|error| panic!("cannot remove '{}': {error}", path.display()));
    }

    fn hook_path(&self, name: &str) -> PathBuf {
        let hooks = self.git_path("hooks");
        fs::create_dir_all(&hooks)
            .unwrap_or_else(|error| panic!("cannot create '{}': {error}", hooks.display()));
        hooks.join(name)
    }

    /// Kills a process at the `n`th transaction on any ref that reaches that phase; see [`KillSwitch`].
    pub fn kill_at_ref_transaction(&self, n: usize, phase: RefPhase) -> KillSwitch {
        KillSwitch::install(self, n, phase, &["*"], Victim::Process)
    }

    /// Kills a process, or its group, at the `n`th transaction that touches a ref of these patterns (as in the
    /// shell's `case`) and reaches that phase; see [`KillSwitch`].
    pub fn kill_at_transaction_of(
        &self,
        patterns: &[&str],
        n: usize,
        phase: RefPhase,
        victim: Victim,
    ) -> KillSwitch {
        KillSwitch::install(self, n, phase, patterns, victim)
    }
}

/// All lock files below a directory, in which somebody may be at work.
fn lock_files(directory: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap_or_else(|error| panic!("cannot read '{}': {error}", directory.display())),
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let locks = paths.flat_map(|path| match path.extension() {
        Some(extension) if extension == "lock" => vec![path],
        _ if path.is_dir() && !path.is_symlink() => lock_files(&path),
        _ => Vec::new(),
    });
    locks.collect()
}
