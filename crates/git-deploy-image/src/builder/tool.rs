//! One call of a builder.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{is_cut_off, is_disk_full, is_of_step};
use super::{Action, BuildError, Failure, Tool, Watch, words};
use crate::ImageName;
use crate::Workspace;
use crate::disk::{Disks, FullDisk, is_said};
use crate::run::{Line, Program, RunError, Stream};

/// How many of the last lines an error has.
const SHOWN: usize = 20;

/// How many of the last lines of its standard output are kept: it says there what it was asked for, and then ends.
const KEPT: usize = 1000;

/// What a builder is called for.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) tool: &'a Tool,
    pub(super) action: Action,
    pub(super) image: &'a ImageName,
}

impl Call<'_> {
    /// Runs it, and returns the last that it printed to standard output.
    pub(super) fn run(&self, arguments: &[OsString], watch: &mut Watch) -> Result<Vec<String>, BuildError> {
        self.run_with(&program(self.tool, arguments, self.tool.time_limit), watch)
    }

    /// The same; what it writes into temporary files goes away with the workspace.
    pub(super) fn run_in(
        &self,
        workspace: &Workspace,
        arguments: &[OsString],
        watch: &mut Watch,
    ) -> Result<Vec<String>, BuildError> {
        let temporary = workspace.for_others().map_err(|error| self.no_workspace(error))?;
        let program = program(self.tool, arguments, self.tool.time_limit).env("TMPDIR", &temporary);
        let program = program.common_umask().end_below(temporary);
        self.run_with(&program, watch)
    }

    fn run_with(&self, program: &Program, watch: &mut Watch) -> Result<Vec<String>, BuildError> {
        let mut printed = VecDeque::new();
        let temporary = crate::workspace::parent();
        let stores = self.tool.store.iter().map(PathBuf::as_path);
        let disks = Disks::of(stores.chain([temporary.as_path()]));
        let is_cancelled = watch.cancelled;
        let cancelled = || {
            disks.look();
            is_cancelled()
        };
        let ended = program.run(&cancelled, &mut |line: Line| {
            if words::is_before_clearing(&line.text) {
                // Before whoever hears it makes room.
                disks.look();
            }
            if line.stream == Stream::Out {
                // A step can write without end.
                if printed.len() == KEPT {
                    printed.pop_front();
                }
                printed.push_back(line.text.clone());
            }
            (watch.tell)(line);
        });
        match ended {
            Ok(_) => Ok(printed.into()),
            Err(error) => Err(self.failed(&error, full(&error, &disks))),
        }
    }

    /// Where the builder writes what it says.
    pub(super) fn workspace(&self) -> Result<Workspace, BuildError> {
        Workspace::new().map_err(|error| self.no_workspace(error))
    }

    /// The Containerfile's copy in the workspace.
    pub(super) fn copy_into(
        &self,
        workspace: &Workspace,
        containerfile: &Path,
    ) -> Result<PathBuf, BuildError> {
        let copy = workspace.path().join("Containerfile");
        if copy.as_os_str().as_encoded_bytes().iter().any(|byte| b",\"\n".contains(byte)) {
            let why = format!("'{}' has a comma, a quote or a line end in it", copy.display());
            return Err(self.no_workspace(io::Error::new(io::ErrorKind::InvalidFilename, why)));
        }
        fs::copy(containerfile, &copy).map_err(|error| self.no_workspace(error))?;
        Ok(copy)
    }

    fn no_workspace(&self, error: io::Error) -> BuildError {
        let (action, image) = (self.action, self.image.to_string());
        if error.kind() == io::ErrorKind::StorageFull {
            let why = Failure::DiskFull(Some(FullDisk::of(crate::workspace::parent())));
            return BuildError::Failed {
                action,
                image,
                builder: self.tool.builder,
                why,
                last_lines: Vec::new(),
            };
        }
        BuildError::Temporary { action, image, error }
    }

    pub(super) fn silent(&self, what: &'static str) -> BuildError {
        let (action, image) = (self.action, self.image.to_string());
        BuildError::Silent { action, image, builder: self.tool.builder, what }
    }

    fn failed(&self, error: &RunError, full: Option<FullDisk>) -> BuildError {
        let mut last_lines: Vec<_> =
            error.tail().iter().filter(|line| !line.trim().is_empty()).cloned().collect();
        last_lines.drain(..last_lines.len().saturating_sub(SHOWN));
        let (action, image) = (self.action, self.image.to_string());
        let why = failure(error, full);
        BuildError::Failed { action, image, builder: self.tool.builder, why, last_lines }
    }
}

/// Whether a builder works: then what it printed; if not, what is wrong.
pub(super) fn answers(tool: &Tool, patience: Duration) -> Result<Vec<String>, String> {
    let probe = program(tool, &super::commands::probe(tool.builder), Some(patience));
    let mut printed = Vec::new();
    let ended = probe.run(&|| false, &mut |line| {
        if line.stream == Stream::Out {
            printed.push(line.text);
        }
    });
    let Err(error) = ended else { return Ok(printed) };
    let (why, said) = (failure(&error, None), error.tail().iter().rev().find(|line| !line.trim().is_empty()));
    Err(said.map_or_else(|| why.to_string(), |said| format!("{why}: {said}")))
}

pub(super) fn program(tool: &Tool, arguments: &[OsString], time_limit: Option<Duration>) -> Program {
    let mut program = Program::new(&tool.program).args(arguments);
    for (name, value) in super::commands::environment() {
        program = program.env(name, value);
    }
    for (name, value) in &tool.environment {
        program = program.env(name, value);
    }
    match time_limit {
        Some(limit) => program.time_limit(limit),
        None => program,
    }
}

/// The disk that was full when a builder failed. What file systems say counts more than what programs make of it.
fn full(error: &RunError, disks: &Disks<'_>) -> Option<FullDisk> {
    let RunError::Failed { tail, .. } = error else { return None };
    disks.full(is_said(tail) || is_cut_off(tail) && !is_of_step(tail))
}

fn failure(error: &RunError, full: Option<FullDisk>) -> Failure {
    match error {
        RunError::Failed { .. } if full.is_some() => Failure::DiskFull(full),
        RunError::Failed { tail, .. } if is_disk_full(tail) && !is_of_step(tail) => Failure::DiskFull(None),
        RunError::Failed { status, .. } => match (status.code(), status.signal()) {
            (Some(code), _) => Failure::Status(code),
            (None, signal) => Failure::Signal(signal.unwrap_or_default()),
        },
        RunError::TimeLimit { limit, .. } => Failure::TimedOut(*limit),
        RunError::Cancelled { .. } => Failure::Cancelled,
        RunError::Start { error, .. } => Failure::Start(error.to_string()),
        RunError::TooMuch { .. } => Failure::Start(error.to_string()),
    }
}
