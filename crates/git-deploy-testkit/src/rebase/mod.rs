//! What `git rebase` makes of a branch, and histories in which branches do to each other whatever people do.
//!
//! It knows nothing of who else rebases: a test or `cargo xtask differential` asks its engine, says the answer as
//! [`Expected`], and compares.

mod files;
mod histories;
mod oracle;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use histories::{CONFIGURATIONS, Generator};
pub use oracle::{Branch, Expected, Judged, Made, Oracle};

/// What a process in a [`Place`] inherits: where programs are, and coverage.
const INHERITED: [&str; 3] = ["PATH", "GIT_EXEC_PATH", "LLVM_PROFILE_FILE"];

/// A folder with a `home` and a repository `repo`, in which git sees nothing of the user.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.root
    }
}

impl Place {
    /// The place in this folder; what it lacks is made.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref().to_owned();
        for name in ["home", "repo"] {
            fs::create_dir_all(root.join(name)).expect("a folder can be made");
        }
        Self { root }
    }

    /// The folder of this name in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> PathBuf {
        self.path("repo")
    }

    /// A program in the repository.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.repository()).stdin(Stdio::null()).env_clear();
        command.envs(INHERITED.iter().filter_map(|key| Some((key, env::var_os(key)?))));
        let home = self.path("home");
        command.envs([("HOME", &home), ("TMPDIR", &home)]);
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")]);
        command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")]);
        command.envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.org")]);
        command
    }

    /// Runs git in the repository and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.repository(), args)
    }

    /// Makes a repository in which this history is, configured so.
    ///
    /// # Panics
    /// If git does not take it.
    pub fn import(&self, stream: &[u8], configuration: &[(&str, &str)]) {
        self.git(&["init", "-q", "-b", "master"]);
        for (key, value) in configuration {
            self.git(&["config", key, value]);
        }
        self.feed(&["fast-import", "--quiet"], stream);
        self.git(&["reset", "-q", "--hard"]);
    }

    fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        succeeded(args, &run(self.command("git").current_dir(dir).args(args))).trim_end().to_owned()
    }

    /// The bytes that git printed.
    fn git_whole(&self, args: &[&str]) -> Vec<u8> {
        let output = run(self.command("git").args(args));
        succeeded(args, &output);
        output.stdout
    }

    /// Runs git in the repository with input.
    ///
    /// # Panics
    /// If it fails.
    pub fn feed(&self, args: &[&str], input: &[u8]) -> String {
        let file = self.path("home/input");
        fs::write(&file, input).expect("the home can be written to");
        let input = File::open(&file).expect("a file just written can be read");
        succeeded(args, &run(self.command("git").args(args).stdin(input))).trim_end().to_owned()
    }
}

/// A path as git prints and reads it (`core.quotePath`).
fn quoted(path: &[u8]) -> String {
    let is_plain = |byte: &u8| matches!(byte, b' '..127) && !b"\"\\".contains(byte);
    if path.iter().all(is_plain) {
        return String::from_utf8_lossy(path).into_owned();
    }
    let escaped = |byte: &u8| match byte {
        7..14 => format!("\\{}", char::from(b"abtnvfr"[usize::from(byte - 7)])),
        b'"' | b'\\' => format!("\\{}", char::from(*byte)),
        byte if is_plain(byte) => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", path.iter().map(escaped).collect::<String>())
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeeded(args: &[&str], output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {}\n{stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
