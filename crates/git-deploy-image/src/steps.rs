//! The steps of a build: command lines from `deploy.toml`, run one after another in an exported tree.
//!
//! Before each step the environment file is sourced by `sh` and what it sets exported; after the last once more, for what
//! is built then. Steps execute what a branch brings, so they get nothing of ours: an empty `HOME`, no configuration of
//! git, no kubeconfig, no tokens, nothing to read. This is no sandbox: a step runs as the user who builds, and can read what
//! that user can.
//!
//! # The first failing command ends a script
//!
//! The line of a step itself, and scripts in the tree, run with `set -e`, and with `set -o pipefail` where some shell here has
//! it: one that fails in the middle of a pipe fails then, also `yes` in `yes | head`, which nobody listens to any more.
//!
//! | a script of the tree, run as | is strict where |
//! |---|---|
//! | `./build/assets.sh` in the step's own line, with `#!/bin/sh` | `bash` is here; else where it begins the line |
//! | `sh build/assets.sh`, `#!/usr/bin/env sh`, also in other scripts | always |
//! | anything with `#!/bin/bash`, `#!/usr/bin/env bash` or `bash build/assets.sh`, also in other scripts | always |
//!
//! Scripts for `sh` run by `sh -e -o pipefail` where that can, else by `bash --posix -e -o pipefail`, else by `sh -e`: then what
//! fails in a pipe before its last command is not seen. Two things are out of reach and left as they are: a script with
//! `#!/bin/sh` that something other than the step's line starts by its path (another script, `exec`, `env`, `xargs`,
//! `make`), and `sh -c`; they say `set -e` themselves. Programs from outside of the tree run as their makers meant it.

mod env_file;
mod place;
mod strict;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use self::strict::Shells;
use crate::Workspace;
use crate::disk::{Disks, FullDisk, is_said};
use crate::run::{Program, RunError, Stream, harmless};

pub use self::env_file::EnvFileError;
pub use self::place::Place;

/// What is inherited, if it is set. The manual lists the same.
const INHERITED: [&str; 11] = [
    "PATH",
    "TERM",
    "TMPDIR",
    // How to reach anything where there is a proxy; most programs know only one of the spellings.
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
];
/// What steps make is the same whoever builds: how dates are written, and in which order words come.
const FOR_ALL: [(&str, &str); 2] = [("TZ", "UTC"), ("LC_ALL", "C.UTF-8")];
/// What git is to leave alone.
const OF_GIT: [(&str, &str); 4] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "true"),
];

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct StepsPlan<'a> {
    /// The tree, where each step begins.
    pub directory: &'a Path,
    /// The environment file: where it really is, so that nothing outside of the tree is read by accident.
    pub env_file: Option<&'a Path>,
    /// Command lines, in order.
    pub steps: &'a [String],
    /// Variables for all of them, for example `SOURCE_DATE_EPOCH`; the environment file may set others over them.
    pub variables: &'a [(String, String)],
    /// How long each step may take, and each reading of the environment file.
    pub time_limit: Duration,
}

/// A line of a step's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLine<'a> {
    /// The step; none for the environment file.
    pub step: Option<&'a str>,
    /// Where it was written.
    pub stream: Stream,
    /// The line, harmless.
    pub text: String,
}

/// Why the steps did not all succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A step failed, or was ended. Its last lines are in the error that it holds.
    #[error("step '{step}' {}{}", what(error), place.as_ref().map(ToString::to_string).unwrap_or_default())]
    Step {
        /// The step.
        step: String,
        /// Where in it, as far as that is known.
        place: Option<Box<Place>>,
        /// What came of it.
        error: RunError,
    },
    /// The environment file cannot be used.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// There is no room left for what a step, or the environment file, writes.
    #[error("{what} {disk}")]
    DiskFull {
        /// Which one: `step './build/assets.sh'`.
        what: String,
        /// The disk.
        disk: FullDisk,
        /// What was said last, in one line.
        said: Option<String>,
        /// The last lines that were written.
        tail: Vec<String>,
    },
    /// What steps need beside the tree could not be made.
    #[error("cannot make a folder for the steps: {0}")]
    Scratch(io::Error),
}

impl StepError {
    /// The last lines that were written before it failed.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Step { error, .. } => error.tail(),
            Self::EnvFile(error) => error.tail(),
            Self::DiskFull { tail, .. } => tail,
            Self::Scratch(_) => &[],
        }
    }
}

fn what(error: &RunError) -> String {
    match error {
        RunError::Failed { status, .. } => crate::run::ended(*status),
        RunError::TimeLimit { limit, .. } => {
            format!("did not end within {} and was ended", crate::run::seconds(*limit))
        }
        RunError::Cancelled { .. } => "was stopped".to_owned(),
        RunError::Start { error, .. } => format!("cannot be run: {error}"),
        RunError::TooMuch { .. } => error.to_string(),
    }
}

/// Runs the steps; what the environment file sets, for those who build after it. `cancelled` is asked again and again.
///
/// # Errors
/// When the environment file has an error, or a step fails; no further step is run then, and nothing of it goes on.
pub fn run(
    plan: &StepsPlan<'_>,
    cancelled: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(StepLine<'_>),
) -> Result<BTreeMap<OsString, OsString>, StepError> {
    let temporary = crate::workspace::parent();
    let disks = Disks::of([temporary.as_path(), plan.directory]);
    let watched = || {
        disks.look();
        cancelled()
    };
    let scratch = Workspace::new().map_err(StepError::Scratch)?;
    run_in(&scratch, plan, &watched, tell).map_err(|error| for_want_of_space(error, &disks))
}

/// What failed while a disk was full has failed by that.
fn for_want_of_space(error: StepError, disks: &Disks<'_>) -> StepError {
    let (what, is_said, said) = match &error {
        StepError::Step { step, error: error @ RunError::Failed { tail, errors, .. }, .. } => {
            (format!("step '{step}'"), is_said(tail) || is_said(errors), error.last_words())
        }
        StepError::EnvFile(EnvFileError::Wrong { file, said, tail }) => {
            (format!("environment file '{file}'"), is_said(tail), Some(said.clone()))
        }
        // What was run before it has left no room.
        StepError::Scratch(error) if error.kind() == io::ErrorKind::StorageFull => {
            ("a step".to_owned(), true, Some(error.to_string()))
        }
        _ => return error,
    };
    match disks.full(is_said) {
        Some(disk) => StepError::DiskFull { what, disk, said, tail: error.tail().to_vec() },
        None => error,
    }
}

fn run_in(
    scratch: &Workspace,
    plan: &StepsPlan<'_>,
    cancelled: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(StepLine<'_>),
) -> Result<BTreeMap<OsString, OsString>, StepError> {
    let directory = plan.directory.canonicalize().map_err(StepError::Scratch)?;
    let shells = Shells::find(&directory, scratch.path()).map_err(StepError::Scratch)?;
    let context = Context { plan, directory: &directory, scratch, shells: &shells };
    for (index, step) in plan.steps.iter().enumerate() {
        let base = context.variables(index)?;
        let set = context.source(&base, cancelled, tell)?;
        let mut variables = base;
        variables.extend(set);
        context.step(step, variables, cancelled, tell)?;
    }
    let base = context.variables(plan.steps.len())?;
    context.source(&base, cancelled, tell)
}

struct Context<'a> {
    plan: &'a StepsPlan<'a>,
    directory: &'a Path,
    scratch: &'a Workspace,
    shells: &'a Shells,
}

impl Context<'_> {
    /// What a step finds in its environment, but for what the environment file sets. Each gets a home of its own.
    fn variables(&self, index: usize) -> Result<BTreeMap<OsString, OsString>, StepError> {
        let home = self.scratch.path().join(format!("home-{index}"));
        DirBuilder::new().mode(0o700).create(&home).map_err(StepError::Scratch)?;
        let is_inherited = |name: &OsStr| INHERITED.iter().any(|known| name == *known);
        let mut variables: BTreeMap<OsString, OsString> =
            std::env::vars_os().filter(|(name, _)| is_inherited(name)).collect();
        variables.extend(FOR_ALL.map(|(name, value)| (name.into(), value.into())));
        variables.extend(OF_GIT.map(|(name, value)| (name.into(), value.into())));
        variables.insert("HOME".into(), home.into());
        variables.extend(self.plan.variables.iter().map(|(name, value)| (name.into(), value.into())));
        Ok(variables)
    }

    fn source(
        &self,
        base: &BTreeMap<OsString, OsString>,
        cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(StepLine<'_>),
    ) -> Result<BTreeMap<OsString, OsString>, StepError> {
        let Some(file) = self.plan.env_file else { return Ok(BTreeMap::new()) };
        let reading = env_file::Reading {
            file,
            directory: self.directory,
            variables: base,
            time_limit: self.plan.time_limit,
            bash: self.shells.bash(),
        };
        Ok(reading.source(cancelled, &mut |line| {
            tell(StepLine { step: None, stream: line.stream, text: line.text });
        })?)
    }

    fn step(
        &self,
        step: &str,
        mut variables: BTreeMap<OsString, OsString>,
        cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(StepLine<'_>),
    ) -> Result<(), StepError> {
        self.shells.set(&mut variables);
        let mut program = self.shells.line(step, self.directory);
        program = program.current_dir(self.directory).time_limit(self.plan.time_limit).env_clear();
        program = program.common_umask().end_escaped();
        let program = variables.iter().fold(program, |program, (name, value)| program.env(name, value));
        let told = program.run(cancelled, &mut |line| {
            tell(StepLine { step: Some(step), stream: line.stream, text: line.text });
        });
        told.map(drop).map_err(|error| {
            let place = match &error {
                RunError::Failed { status, .. } => self.shells.failed_at(step, status.code()).map(Box::new),
                _ => None,
            };
            StepError::Step { step: harmless(step.as_bytes()), place, error }
        })
    }
}

/// Whether a program is there, by the search path that we have.
fn find(name: &str) -> Option<std::path::PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let may_run = |path: &std::path::PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(may_run)
}

/// Runs a short line of ours, and says whether it succeeded.
fn succeeds(program: &Program) -> bool {
    program.clone().time_limit(Duration::from_secs(5)).run(&|| false, &mut |_| {}).is_ok()
}
