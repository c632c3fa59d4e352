//! The directory a test lives in, and the environment its commands get.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tempfile::TempDir;

use crate::{Clock, Format, Output, Repo, Run};

/// What a command inherits from the test's own environment: coverage, and nothing that changes behaviour.
const INHERITED: [&str; 1] = ["LLVM_PROFILE_FILE"];

/// Set this to keep the directories of all sandboxes, to look into them.
const KEEP: &str = "GIT_DEPLOY_TESTKIT_KEEP";

/// Set this to have every bare repository judge what git-deploy itself pushes, as a server does: what passes without must
/// pass with it. What a test pushes by hand, as to a base that has moved, is not judged.
const SERVERS: &str = "GIT_DEPLOY_TESTKIT_SERVERS";

/// A sandbox with the binaries of the package under test in front of its `PATH`, so that git finds them as
/// subcommands. Only in integration tests of the package that has the binaries: cargo tells no others where
/// they are, and guessing would test stale ones.
#[macro_export]
macro_rules! sandbox {
    () => {
        $crate::Sandbox::with_binaries_beside(env!("CARGO_BIN_EXE_git-deploy-state"))
    };
}

/// The time of day of whoever is loaded with it.
const AHEAD: &str = "#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME && result == 0) time->tv_sec += AHEAD;
    return result;
}
";

/// A temporary directory with a home, a clock and a clean environment. Removed with its last handle.
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    clock: Clock,
    search_path: OsString,
    has_binaries: bool,
    runs: AtomicUsize,
    _directory: TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A sandbox in which there is git, but none of our binaries.
    #[must_use]
    pub fn new() -> Self {
        Self::build(None)
    }

    /// A sandbox in which the directory of that binary is the first that is searched; see [`sandbox!`].
    #[must_use]
    pub fn with_binaries_beside(binary: impl AsRef<Path>) -> Self {
        let binary = binary.as_ref();
        let directory =
            binary.parent().unwrap_or_else(|| panic!("'{}' is in no directory", binary.display()));
        Self::build(Some(directory))
    }

    fn build(binaries: Option<&Path>) -> Self {
        let mut directory = tempfile::Builder::new()
            .prefix("git-deploy-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        directory.disable_cleanup(env::var_os(KEEP).is_some());
        // git prints resolved paths, and the temporary directory may be behind a symbolic link.
        let root = directory.path().canonicalize().expect("a directory just made can be resolved");
        let search_path = search_path(&root, binaries);
        for name in ["home", "bin", "tmp", "runs"] {
            fs::create_dir(root.join(name)).expect("a directory just made can be written to");
        }
        fs::write(root.join("home/.gitconfig"), "").expect("a directory just made can be written to");
        let inner = Inner {
            root,
            clock: Clock::new(),
            search_path,
            has_binaries: binaries.is_some(),
            runs: AtomicUsize::new(0),
            _directory: directory,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The sandbox's directory, resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The home directory of the commands.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// The clock of the commands.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// A new repository on branch `master`, without a commit.
    #[must_use]
    pub fn repository(&self, name: &str) -> Repo {
        self.init(name, &[]);
        self.open(name)
    }

    /// A new repository on branch `master` whose `.git` is a file that names another folder of the sandbox.
    #[must_use]
    pub fn repository_apart(&self, name: &str, git_directory: &str) -> Repo {
        let git_directory = self.root().join(git_directory);
        let option = format!("--separate-git-dir={}", git_directory.display());
        self.init(name, &[&option]);
        self.open(name)
    }

    /// A new bare repository whose HEAD is `master`.
    #[must_use]
    pub fn bare(&self, name: &str) -> Repo {
        self.init(name, &["--bare"]);
        let bare = self.open(name);
        if env::var_os(SERVERS).is_some() && self.inner.has_binaries {
            bare.install_hook(
                "pre-receive",
                "[ -z \"$GIT_DEPLOY_WITHIN\" ] || exec git-deploy-hook pre-receive\ncat >/dev/null",
            );
        }
        bare
    }

    /// A new repository with ids of 64 digits, if this git can make one.
    #[must_use]
    pub fn sha256_repository(&self, name: &str) -> Option<Repo> {
        let made = self.init_command(name, &["--object-format=sha256"]).output();
        (made.code == Some(0)).then(|| self.open(name))
    }

    /// A repository that is there already, by its path below the sandbox's root.
    #[must_use]
    pub fn open(&self, name: &str) -> Repo {
        Repo::new(self.clone(), self.root().join(name))
    }

    fn init(&self, name: &str, options: &[&str]) {
        self.init_command(name, options).output().success();
    }

    fn init_command(&self, name: &str, options: &[&str]) -> Run {
        let path = self.root().join(name);
        assert!(!path.exists(), "'{}' exists already", path.display());
        self.making("init").args(["--quiet", "-b", "master"]).args(options).arg("--").arg(path)
    }

    /// A command of git that makes a repository, in the format of this run.
    pub(crate) fn making(&self, command: &str) -> Run {
        let run = self.command("git").arg(command);
        Format::of_run().variables().fold(run, |run, (name, value)| run.env(name, value))
    }

    /// Sets a key in the user's own git configuration.
    pub fn set_global_config(&self, key: &str, value: &str) {
        self.command("git").args(["config", "--global", key, value]).output().success();
    }

    /// Puts a small program into the sandbox, behind the binaries under test and in front of the system's.
    pub fn add_program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.root().join("bin").join(name);
        write_executable(&path, script);
        path
    }

    /// What a command has to be given as `LD_PRELOAD` so that its clock is ahead by so many hours; `None` where no C compiler
    /// is.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn clock_ahead(&self, hours: u32) -> Option<PathBuf> {
        let [source, library] = ["ahead.c", "ahead.so"].map(|name| self.root().join(name));
        if self.command("sh").args(["-c", "command -v cc"]).output().code != Some(0) {
            return None;
        }
        let text = format!("#define AHEAD {}\n{AHEAD}", hours * 3600);
        fs::write(&source, text).expect("the sandbox can be written to");
        let [source, out] = [&source, &library].map(|path| path.display().to_string());
        self.run("cc", &["-shared", "-fPIC", "-o", &out, &source, "-ldl"]);
        Some(library)
    }

    /// A command in the sandbox's root, to be completed and run.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Run {
        let program = self.find(program.as_ref());
        Run::new(self.clone(), program)
    }

    /// Runs a command in the sandbox's root; it must succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program).args(arguments).output();
        output.success();
        output
    }

    /// Major and minor version of git.
    #[must_use]
    pub fn git_version(&self) -> (u32, u32) {
        let output = self.run("git", &["--version"]);
        let mut numbers = output
            .stdout
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.parse().unwrap_or_else(|error| panic!("{error}\n{output}")));
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => panic!("git has no version\n{output}"),
        }
    }

    /// Whether this git runs hooks that its configuration names: beside hooks of others ours run so, or are told of.
    #[must_use]
    pub fn runs_configured_hooks(&self) -> bool {
        self.git_version() >= (2, 54)
    }

    /// The program on the sandbox's own search path.
    fn find(&self, program: &OsStr) -> PathBuf {
        if Path::new(program).components().count() > 1 {
            return PathBuf::from(program);
        }
        find_in(&self.inner.search_path, program).unwrap_or_else(|| {
            panic!("'{}' is not in {}", program.display(), self.inner.search_path.display())
        })
    }

    /// Everything that a command finds in its environment. Lets the clock tick.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let root = self.root();
        let date = self.inner.clock.tick();
        let mut variables: Vec<(OsString, OsString)> = INHERITED
            .iter()
            .filter_map(|name| env::var_os(name).map(|value| (OsString::from(name), value)))
            .collect();
        let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.into()));
        set("PATH", &self.inner.search_path);
        set("HOME", root.join("home").as_os_str());
        set("XDG_CONFIG_HOME", root.join("home/.config").as_os_str());
        set("TMPDIR", root.join("tmp").as_os_str());
        set("GIT_CONFIG_GLOBAL", root.join("home/.gitconfig").as_os_str());
        set("GIT_CEILING_DIRECTORIES", root.as_os_str());
        for (name, value) in [
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_EDITOR", ":"),
            ("GIT_AUTHOR_NAME", "Ada Lovelace"),
            ("GIT_AUTHOR_EMAIL", "ada@example.org"),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_NAME", "Ada Lovelace"),
            ("GIT_COMMITTER_EMAIL", "ada@example.org"),
            ("GIT_COMMITTER_DATE", &date),
        ] {
            set(name, OsStr::new(value));
        }
        variables
    }

    /// A path for the output of one more command.
    pub(crate) fn next_run(&self) -> PathBuf {
        let number = self.inner.runs.fetch_add(1, Ordering::SeqCst);
        self.root().join("runs").join(number.to_string())
    }
}

/// The binaries under test, the sandbox's own programs, git's directory, and the system's for `sh` and its like.
fn search_path(root: &Path, binaries: Option<&Path>) -> OsString {
    let git = find_in(&env::var_os("PATH").unwrap_or_default(), OsStr::new("git"))
        .unwrap_or_else(|| panic!("git is not on PATH; the tests need the real one"));
    let own_programs = root.join("bin");
    let directories = binaries
        .into_iter()
        .chain([own_programs.as_path()])
        .chain(git.parent())
        .chain([Path::new("/usr/bin"), Path::new("/bin")]);
    env::join_paths(directories).unwrap_or_else(|error| panic!("a directory cannot stand in PATH: {error}"))
}

fn find_in(search_path: &OsStr, program: &OsStr) -> Option<PathBuf> {
    let is_executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(search_path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(is_executable)
}

/// Held for writing while a program is written, for reading while one is started. A child that is forked in
/// between inherits the open file for a moment, and the kernel starts no program that is open for writing.
static PROGRAMS: RwLock<()> = RwLock::new(());

/// To be held while a process is started.
pub(crate) fn no_program_is_being_written() -> RwLockReadGuard<'static, ()> {
    PROGRAMS.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write_executable(path: &Path, script: &str) {
    let _guard = PROGRAMS.write().unwrap_or_else(PoisonError::into_inner);
    fs::write(path, script)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .unwrap_or_else(|error| panic!("cannot write '{}': {error}", path.display()));
}
