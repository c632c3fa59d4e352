//! Running the user's hooks, as git itself would in our place.
//!
//! `git hook run` knows all the places where hooks can be. Where it cannot hand a hook its input, which it can since 2.40,
//! the hook is started here, from the folder that git names.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::git::program::{ProgramError, git};
use crate::git::push::WITHIN;
use crate::git::version::Version;
use crate::git::{GitError, Repository};

/// The first git whose `hook run` takes `--to-stdin`.
const TO_STDIN: Version = Version::new(2, 40);

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// Whether it agrees; one that is not there does.
    pub agrees: bool,
    /// What it printed.
    pub said: String,
}

impl Repository {
    /// Whether there may be such a hook: a file, or since git 2.54 anything in the configuration. Who runs one many times asks first,
    /// as each run is a program even where there is none.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn may_have_hook(&self, name: &str) -> Result<bool, GitError> {
        let configured = git(["config", "--name-only", "--get-regexp", r"^hook\."]);
        Ok(self.hook_file(name)?.is_some() || configured.yes()?)
    }

    /// Runs a hook, if there is one. Our own hooks know by the environment that they are called on behalf of ourselves.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn run_hook(&self, name: &str, args: &[&str], input: Option<&str>) -> Result<HookRun, GitError> {
        let mut scratch = None;
        let (program, mut all_args): (OsString, Vec<OsString>) = match input {
            Some(_) if Version::of_git()? < TO_STDIN => match self.hook_file(name)? {
                Some(file) => (file.into_os_string(), Vec::new()),
                None => return Ok(HookRun { agrees: true, said: String::new() }),
            },
            input => {
                let mut words: Vec<OsString> = ["hook", "run", "--ignore-missing"].map(OsString::from).into();
                if let Some(input) = input {
                    let file =
                        tempfile::NamedTempFile::new().map_err(GitError::file(&std::env::temp_dir()))?;
                    std::fs::write(file.path(), input).map_err(GitError::file(file.path()))?;
                    let mut option = OsString::from("--to-stdin=");
                    option.push(file.path());
                    words.push(option);
                    scratch = Some(file);
                }
                words.extend([name.into(), "--".into()]);
                ("git".into(), words)
            }
        };
        all_args.extend(args.iter().map(OsString::from));
        let output = duct::cmd(program, all_args)
            .dir(self.place_of_hooks())
            .env("GIT_DIR", &self.paths().git_dir)
            .env("GIT_REFLOG_ACTION", "deploy-rebase")
            .env(WITHIN, "1")
            .stdin_bytes(input.unwrap_or_default())
            .stdout_to_stderr()
            .stderr_capture()
            .unchecked()
            .run()
            .map_err(ProgramError::Start)?;
        drop(scratch);
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(HookRun { agrees: output.status.success(), said })
    }

    /// Where hooks are run.
    fn place_of_hooks(&self) -> &Path {
        let paths = self.paths();
        paths.work_tree.as_deref().unwrap_or(&paths.git_dir)
    }

    /// The file of a hook, if it is there and may be run.
    fn hook_file(&self, name: &str) -> Result<Option<PathBuf>, GitError> {
        let path = format!("hooks/{name}");
        // From where it would be run, as `core.hooksPath` may be relative to that.
        let call = git(["-C"]).arg(self.place_of_hooks()).env("GIT_DIR", &self.paths().git_dir);
        let call = call.args(["rev-parse", "--path-format=absolute", "--git-path", &path]);
        let file = PathBuf::from(call.text()?);
        let may_run =
            |metadata: std::fs::Metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        Ok(std::fs::metadata(&file).is_ok_and(may_run).then_some(file))
    }
}
