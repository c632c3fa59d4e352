//! The environment file: sourced by `sh`, and what it sets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::run::{Line, Program, RunError, escaped, harmless};

/// More than any environment.
const MOST: usize = 4 << 20;
/// What it prints goes where it is shown; what it sets is printed after it, to where it cannot print by accident.
const SOURCE: &str = r#"exec 3>&1 1>&2; set -a; set -e; . "$1"; exec /usr/bin/env -0 >&3"#;
/// The same in bash, which knows the line of a command that fails and says nothing.
const ASK: &str = r#"set -aE; trap 'echo "$LINENO" >&3; exit 1' ERR; exec 3>&1 1>/dev/null 2>&1; . "$1""#;

/// Why an environment file cannot be used. What `sh` said of it, with the line, is part of the text.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It has an error: of syntax, a command that fails, or a variable that is not set where it must be.
    #[error("environment file '{file}' has an error: {said}")]
    Wrong {
        /// The file, as it stands in the tree.
        file: String,
        /// What `sh` said last, or where the command is that failed.
        said: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// It could not be sourced to its end.
    #[error("environment file '{file}' cannot be read: {error}")]
    Run {
        /// The file, as it stands in the tree.
        file: String,
        /// Why.
        error: RunError,
    },
}

impl EnvFileError {
    /// The last lines that it wrote.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Wrong { tail, .. } => tail,
            Self::Run { error, .. } => error.tail(),
        }
    }
}

/// One reading of an environment file.
pub(super) struct Reading<'a> {
    pub(super) file: &'a Path,
    /// The tree.
    pub(super) directory: &'a Path,
    /// What it finds in its environment.
    pub(super) variables: &'a BTreeMap<OsString, OsString>,
    pub(super) time_limit: Duration,
    /// For the line of a command that failed and said nothing.
    pub(super) bash: Option<&'a Path>,
}

impl Reading<'_> {
    /// The variables that it sets, or sets to something else than they were.
    pub(super) fn source(
        &self,
        cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Line),
    ) -> Result<BTreeMap<OsString, OsString>, EnvFileError> {
        let run = |error| EnvFileError::Run { file: self.name(), error };
        // The shell sets some by itself.
        let before = self.environment(Path::new("/dev/null"), cancelled, &mut |_| {}).map_err(run)?;
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.to_owned());
        let after = self.environment(&file, cancelled, tell).map_err(|error| match error {
            RunError::Failed { tail, .. } => {
                let tail: Vec<String> = tail.iter().map(|line| self.shortened(line)).collect();
                EnvFileError::Wrong { file: self.name(), said: self.said(&file, &tail), tail }
            }
            error => run(error),
        })?;
        if after.is_empty() {
            let said = "it ends the shell that reads it".to_owned();
            return Err(EnvFileError::Wrong { file: self.name(), said, tail: Vec::new() });
        }
        let is_set = |(name, value): &(OsString, OsString)| {
            name != "_" && name != escaped::VARIABLE && before.get(name) != Some(value)
        };
        Ok(after.into_iter().filter(is_set).collect())
    }

    fn environment(
        &self,
        file: &Path,
        cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Line),
    ) -> Result<BTreeMap<OsString, OsString>, RunError> {
        let args = ["-c".as_ref(), SOURCE.as_ref(), "sh".as_ref(), file.as_os_str()];
        let finished = self.program("sh".as_ref(), &args).capture(MOST).run(cancelled, tell)?;
        let printed = finished.stdout.unwrap_or_default();
        let pair = |entry: &[u8]| {
            let equals = entry.iter().position(|byte| *byte == b'=')?;
            let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            Some((text(&entry[..equals]), text(&entry[equals + 1..])))
        };
        Ok(printed.split(|byte| *byte == 0).filter_map(pair).collect())
    }

    fn program(&self, program: &OsStr, args: &[&OsStr]) -> Program {
        let program = Program::new(program).args(args).current_dir(self.directory);
        let program = program.time_limit(self.time_limit).env_clear().end_escaped();
        self.variables.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    /// What is wrong in it: `build.env: 3: Syntax error`, or the line of a command that failed without a word about it.
    fn said(&self, file: &Path, tail: &[String]) -> String {
        let name = self.name();
        let line = tail.iter().rev().find(|line| line.contains(&format!("{name}: ")));
        if let Some(line) = line {
            let line = line.trim_start_matches("sh: ");
            // As dash has it where the file ends too early: `3: build.env: Syntax error`.
            return match line.split_once(&format!(": {name}: ")) {
                Some((number, rest)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                    format!("{name}: {number}: {rest}")
                }
                _ => line.to_owned(),
            };
        }
        match self.failing_line(file) {
            Some(line) => format!("the command in line {line} failed"),
            None => tail.last().cloned().unwrap_or_else(|| "a command in it failed".to_owned()),
        }
    }

    fn failing_line(&self, file: &Path) -> Option<u32> {
        let args = ["--posix".as_ref(), "-c".as_ref(), ASK.as_ref(), "bash".as_ref(), file.as_os_str()];
        let mut number = None;
        let program = self.program(self.bash?.as_os_str(), &args).time_limit(Duration::from_secs(5));
        // It fails, as it is asked to.
        let _ = program.run(&|| false, &mut |line| number = line.text.parse().ok());
        number
    }

    /// As it stands in the tree.
    fn name(&self) -> String {
        self.shortened(&harmless(self.file.as_os_str().as_bytes()))
    }

    fn shortened(&self, line: &str) -> String {
        let real = harmless(self.directory.as_os_str().as_bytes()) + "/";
        line.replace(&real, "")
    }
}
