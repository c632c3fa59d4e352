//! The tree of a commit as files, for what is built from it: never the work tree.
//!
//! `git archive` makes it, which heeds `export-ignore`, `export-subst` and line ends as the commit's own `.gitattributes` say.
//! Two checkouts give the same bytes, modes and times: git is run in an empty repository beside the objects, so that no
//! configuration, no `info/attributes`, no ref, replacement or graft of this one has a say. That means: `$Format:%h$`
//! becomes the whole id, `%d` and `%(describe)` nothing, and filters are not run: a file that git-lfs keeps elsewhere is its
//! pointer, which a build step can replace by what it means.
//!
//! A submodule is exported in place where its repository is there, as `git submodule update` leaves it, and has the commit.

mod unpack;
mod within;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use tempfile::TempDir;

pub use self::unpack::UnpackError;
pub use self::within::{Outside, within};
use crate::git::object::Commit;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;

/// How deep submodules are followed into submodules.
const DEEPEST: usize = 32;
/// How much of what git complains of is kept.
const COMPLAINT: u64 = 64 * 1024;

/// Why a commit could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The repository cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A program did not do what it was to do.
    #[error("cannot export commit '{commit}': 'git {command}' {}{}", ended(*.status), said(.complaint))]
    Program {
        /// The commit.
        commit: String,
        /// What git was to do.
        command: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        complaint: String,
    },
    /// What git gave could not be written down.
    #[error("cannot export commit '{commit}': {error}")]
    Unpack {
        /// The commit.
        commit: String,
        /// Why.
        error: UnpackError,
    },
}

fn ended(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with status {code}"))
}

fn said(complaint: &str) -> String {
    let line = complaint.trim().lines().last().unwrap_or_default().trim_start_matches("fatal: ");
    if line.is_empty() { String::new() } else { format!(": {}", line.escape_debug()) }
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Submodules whose folders are empty because their commit is not here, by path.
    pub missing_submodules: Vec<MissingSubmodule>,
}

/// A submodule whose commit is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSubmodule {
    /// Where it belongs.
    pub path: PathBuf,
    /// The commit that belongs there.
    pub commit: String,
}

impl Repository {
    /// Writes the tree of a commit into a folder, which is made if need be and must be empty; nothing is ever written outside
    /// of it. All that is written bears the time of the commit.
    ///
    /// # Errors
    /// When the commit cannot be read, or not all of it can be written: then nothing of it is left in the folder.
    pub fn export(&self, commit: CommitId, into: &Path) -> Result<Exported, ExportError> {
        self.commit(commit)?;
        let id = commit.to_string();
        let unpack = |error| ExportError::Unpack { commit: id.clone(), error };
        unpack::prepare(into).map_err(unpack)?;
        let paths = self.paths();
        let source = Source {
            objects: self.objects()?,
            modules: vec![paths.git_dir.join("modules"), paths.common_dir.join("modules")],
        };
        if self.is_partial()? {
            // Fetches what the clone left out, which an empty repository could not.
            crate::git::program::git(["archive", "--format=tar", "--output=/dev/null", &id])
                .run()
                .map_err(GitError::from)?;
        }
        let beside = into.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = beside.map_or_else(std::env::temp_dir, Path::to_owned);
        let result = Archiver::new(id.len(), &beside).and_then(|archiver| {
            let mut exported = Exported::default();
            archiver.export(&source, &id, into, Path::new(""), &mut exported)?;
            exported.missing_submodules.sort_by(|a, b| a.path.cmp(&b.path));
            unpack::stamp(into, archiver.time(&source, commit)?).map_err(unpack)?;
            Ok(exported)
        });
        if result.is_err() {
            unpack::empty(into);
        }
        result
    }

    /// Whether objects may be missing because a remote has promised them.
    pub(crate) fn is_partial(&self) -> Result<bool, GitError> {
        for remote in self.remotes()? {
            if self.config(&format!("remote.{remote}.promisor"))?.is_some_and(|value| value != "false") {
                return Ok(true);
            }
        }
        // As git said it before 2.24.
        Ok(self.config("extensions.partialclone")?.is_some())
    }

    /// Where the objects are.
    fn objects(&self) -> Result<PathBuf, GitError> {
        let call = crate::git::program::git(["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
        let mut path = call.run()?;
        path.truncate(path.trim_ascii_end().len());
        Ok(PathBuf::from(OsStr::from_bytes(&path)))
    }
}

/// Where commits come from.
struct Source {
    objects: PathBuf,
    /// Where the repositories of its submodules may be.
    modules: Vec<PathBuf>,
}

/// A submodule of a commit.
struct Submodule {
    path: PathBuf,
    commit: String,
}

/// Runs git in an empty repository.
struct Archiver {
    scratch: TempDir,
}

impl Archiver {
    /// Makes the empty repository, with ids of that length: in the folder of whoever exports, who clears it away even if this
    /// process is killed.
    fn new(id_length: usize, folder: &Path) -> Result<Self, ExportError> {
        let scratch = tempfile::tempdir_in(folder).map_err(GitError::file(folder))?;
        let format = if id_length == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
        let this = Self { scratch };
        let mut command = this.git(None);
        command.args(["init", "--bare", "--quiet", "--template=", format]).arg(this.scratch.path());
        this.run(command, "", "init")?;
        Ok(this)
    }

    /// A call of git that heeds nothing but the objects.
    fn git(&self, objects: Option<&Path>) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"GIT_")) {
            // What the environment adds to the objects belongs to them; the program's own places are not for us to say.
            if name != "GIT_ALTERNATE_OBJECT_DIRECTORIES" && name != "GIT_EXEC_PATH" {
                command.env_remove(name);
            }
        }
        command.envs([
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ]);
        if let Some(objects) = objects {
            command.env("GIT_DIR", self.scratch.path()).env("GIT_OBJECT_DIRECTORY", objects);
        }
        for setting in [
            "core.attributesFile=/dev/null",
            "core.autocrlf=false",
            "core.eol=lf",
            "core.abbrev=no",
            "tar.umask=0022",
        ] {
            command.args(["-c", setting]);
        }
        command.current_dir(self.scratch.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, mut command: Command, commit: &str, what: &'static str) -> Result<Vec<u8>, ExportError> {
        let output = command
            .output()
            .map_err(|error| GitError::Program(crate::git::program::ProgramError::Start(error)))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ExportError::Program {
            commit: commit.to_owned(),
            command: what,
            status: output.status,
            complaint,
        })
    }

    /// Exports a commit to a folder, `below` the folder of the whole export, and the submodules in it.
    fn export(
        &self,
        source: &Source,
        commit: &str,
        into: &Path,
        below: &Path,
        exported: &mut Exported,
    ) -> Result<(), ExportError> {
        let folders = self.unpack(source, commit, &into.join(below))?;
        for submodule in self.submodules(source, commit)? {
            // One that is not to be exported has no folder.
            if !folders.contains(&submodule.path) {
                continue;
            }
            let path = below.join(&submodule.path);
            match self.find(source, commit, &submodule)? {
                Some(inner) if below.components().count() < DEEPEST => {
                    self.export(&inner, &submodule.commit, into, &path, exported)?;
                }
                _ => exported.missing_submodules.push(MissingSubmodule { path, commit: submodule.commit }),
            }
        }
        Ok(())
    }

    fn unpack(&self, source: &Source, commit: &str, into: &Path) -> Result<unpack::Folders, ExportError> {
        let mut command = self.git(Some(&source.objects));
        command.args(["archive", "--format=tar", commit]);
        let start = |error| GitError::Program(crate::git::program::ProgramError::Start(error));
        let mut child = Running(command.spawn().map_err(start)?);
        let complaint = child.0.stderr.take().map(|pipe| {
            thread::spawn(move || {
                let mut said = Vec::new();
                // What cannot be read is not told.
                let _ = pipe.take(COMPLAINT).read_to_end(&mut said);
                said
            })
        });
        let Some(mut output) = child.0.stdout.take() else {
            return Err(start(io::Error::other("it has no output")).into());
        };
        let unpacked = unpack::unpack(&mut output, into);
        // Without its reader, a git that has more to say ends.
        drop(output);
        let status = child.0.wait().map_err(start)?;
        let complaint = complaint.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint).into_owned();
        match unpacked {
            // A git that died gives half an archive: that it died is what matters.
            Err(UnpackError::Archive(_)) | Ok(_) if !status.success() => {
                Err(ExportError::Program { commit: commit.to_owned(), command: "archive", status, complaint })
            }
            unpacked => unpacked.map_err(|error| ExportError::Unpack { commit: commit.to_owned(), error }),
        }
    }

    /// The time of a commit's files, whatever it is replaced by.
    fn time(&self, source: &Source, commit: CommitId) -> Result<i64, ExportError> {
        let mut command = self.git(Some(&source.objects));
        let id = commit.to_string();
        command.args(["cat-file", "commit", &id]);
        let data = self.run(command, &id, "cat-file")?;
        let commit = Commit::parse(&data).map_err(|error| GitError::Malformed { id: commit.0, error })?;
        Ok(commit.time_of_files())
    }

    /// The submodules of a commit.
    fn submodules(&self, source: &Source, commit: &str) -> Result<Vec<Submodule>, ExportError> {
        let mut command = self.git(Some(&source.objects));
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let listed = self.run(command, commit, "ls-tree")?;
        let entries = listed.split(|byte| *byte == 0).filter_map(|entry| {
            let entry = entry.strip_prefix(b"160000 commit ")?;
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            let commit = String::from_utf8_lossy(&entry[..tab]).into_owned();
            Some(Submodule { path: PathBuf::from(OsStr::from_bytes(&entry[tab + 1..])), commit })
        });
        Ok(entries.collect())
    }

    /// The repository of a submodule, if it is there and has the commit.
    fn find(
        &self,
        source: &Source,
        commit: &str,
        submodule: &Submodule,
    ) -> Result<Option<Source>, ExportError> {
        let names = self.names(source, commit, submodule)?;
        for (modules, name) in
            source.modules.iter().flat_map(|folder| names.iter().map(move |name| (folder, name)))
        {
            let git_dir = modules.join(name);
            let objects = git_dir.join("objects");
            if !git_dir.join("HEAD").is_file() || !objects.is_dir() {
                continue;
            }
            let mut command = self.git(Some(&objects));
            command.args(["cat-file", "-e", &format!("{}^{{tree}}", submodule.commit)]);
            if self.run(command, commit, "cat-file").is_ok() {
                return Ok(Some(Source { objects, modules: vec![git_dir.join("modules")] }));
            }
        }
        Ok(None)
    }

    /// What the commit's `.gitmodules` calls the submodule: names that stay in the folder where they belong.
    fn names(
        &self,
        source: &Source,
        commit: &str,
        submodule: &Submodule,
    ) -> Result<Vec<PathBuf>, ExportError> {
        let mut command = self.git(Some(&source.objects));
        let blob = format!("--blob={commit}:.gitmodules");
        command.args(["config", "-z", &blob, "--get-regexp", r"^submodule\..*\.path$"]);
        // There may be none, or one that says nothing or nonsense.
        let Ok(listed) = self.run(command, commit, "config") else { return Ok(Vec::new()) };
        let names = listed.split(|byte| *byte == 0).filter_map(|entry| {
            let line = entry.iter().position(|byte| *byte == b'\n')?;
            let (key, path) = (&entry[..line], &entry[line + 1..]);
            let name = key.strip_prefix(b"submodule.")?.strip_suffix(b".path")?;
            let name = Path::new(OsStr::from_bytes(name));
            let stays = name.components().all(|part| matches!(part, Component::Normal(_)));
            (Path::new(OsStr::from_bytes(path)) == submodule.path && stays).then(|| name.to_owned())
        });
        Ok(names.filter(|name| !name.as_os_str().is_empty()).collect())
    }
}

/// Ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
