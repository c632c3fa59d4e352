//! The cluster as kubectl sees it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::supervisor::Group;
use crate::Output;

/// After this a kubectl is killed: its server does not answer.
const TIME_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(2);

/// kubectl with a kubeconfig.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    pub(super) program: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) group: Group,
}

impl Kubectl {
    /// Runs it with that context of its kubeconfig, to its end.
    pub(super) fn run(&self, arguments: &[impl AsRef<OsStr>], input: &[u8]) -> Output {
        self.run_with_env(arguments, input, &[])
    }

    /// The same with these in its environment.
    pub(super) fn run_with_env(
        &self,
        arguments: &[impl AsRef<OsStr>],
        input: &[u8],
        env: &[(&str, &str)],
    ) -> Output {
        let mut words: Vec<OsString> = vec!["--context".into(), super::CONTEXT.into()];
        words.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        let description = format!("kubectl {}", words.join(OsStr::new(" ")).display());
        self.run_to_end(&description, &words, input, env)
            .unwrap_or_else(|error| panic!("cannot run {description}: {error}"))
    }

    /// Whether the API server is up, everything that it starts with included.
    pub(super) fn is_ready(&self) -> bool {
        self.run(&["get", "--raw", "/readyz", "--request-timeout=2s"], b"").code == Some(0)
    }

    fn run_to_end(
        &self,
        description: &str,
        words: &[OsString],
        input: &[u8],
        env: &[(&str, &str)],
    ) -> io::Result<Output> {
        let mut stdin = tempfile::tempfile()?;
        stdin.write_all(input)?;
        stdin.rewind()?;
        let mut command = Command::new(&self.program);
        command
            .arg(OsString::from("--kubeconfig"))
            .arg(&self.kubeconfig)
            .args(words)
            .envs(env.iter().copied())
            .stdin(Stdio::from(stdin));
        run_to_end(description, &mut command, self.group, &self.directory)
    }
}

/// Runs a command of the cluster's group to its end.
pub(super) fn run_to_end(
    description: &str,
    command: &mut Command,
    group: Group,
    directory: &Path,
) -> io::Result<Output> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let status = wait(group.spawn(command, directory)?)?;
    let (code, signal) = (status.code(), status.signal());
    Ok(Output::new(description.to_owned(), code, signal, content(&mut stdout)?, &content(&mut stderr)?))
}

fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > TIME_LIMIT {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(PAUSE);
    }
}

fn content(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// `kubectl` in a directory of programs.
pub(super) fn program(programs: &Path) -> PathBuf {
    programs.join("kubectl")
}
