//! One `git deploy` that the runner starts, and the one beside it that prepares what comes next: what they say, and how they
//! end.
//!
//! They are processes of their own, so that the runner carries nothing of what changes a cluster, and survives their crash.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use git_deploy_cli::{Exit, Passing};
use serde_json::Value;

/// What it says on the way.
pub(crate) enum Said {
    /// An object of its `--json`.
    Event(Value),
    /// A line for people, on its standard error.
    Line(String),
}

impl Said {
    /// What tells it from others.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Event(event) => event.to_string(),
            Self::Line(line) => line.clone(),
        }
    }
}

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// What deploys.
    Deployment,
    /// What prepares the next branch meanwhile.
    Ahead,
    /// What deletes between deployments what was kept for long enough.
    Tidying,
}

/// How it ended.
pub(crate) struct Ended {
    /// The exit code; none where a signal ended it, or where the number is none of ours.
    pub(crate) exit: Option<Exit>,
    /// Its verdict.
    pub(crate) verdict: Option<Value>,
    /// The last error that it has told people.
    pub(crate) error: Option<String>,
}

/// The error that a line tells people.
pub(crate) fn error_in(line: &str) -> Option<&str> {
    ["error: ", "fatal: "].iter().find_map(|label| line.strip_prefix(label))
}

/// Deploys what is the head of the queue, or what a run has left behind. From when it changes its environment the next branch
/// is prepared beside it, if that is wanted: waited for where the deployment succeeds, because the next one needs just that,
/// and given up where it does not.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn deploy(prepares: bool, mut said: impl FnMut(Who, Said)) -> io::Result<Ended> {
    let (sender, receiver) = mpsc::channel();
    let mut running = vec![Program::start(Who::Deployment, &sender)?];
    let mut ended = Ended { exit: None, verdict: None, error: None };
    let mut is_given_up = false;
    while !running.is_empty() {
        let Ok((who, what)) = receiver.recv() else { break };
        let Some(what) = what else {
            let Some(at) = running.iter().position(|program| program.who == who) else { continue };
            let status = running.remove(at).wait()?;
            if who == Who::Deployment {
                ended.exit = status.code().and_then(Exit::from_code);
                is_given_up = ended.exit != Some(Exit::Done);
                running.iter().filter(|_| is_given_up).for_each(|program| program.passing.end());
            }
            continue;
        };
        if let (Who::Deployment, Said::Event(event)) = (who, &what) {
            if event["event"] == "verdict" {
                ended.verdict = Some(event.clone());
            }
            let begins = event["event"] == "step" && event["step"] == "applying";
            if begins && prepares && running.len() == 1 {
                // What cannot be prepared is made when it is its turn.
                running.extend(Program::start(Who::Ahead, &sender).ok());
            }
        }
        if let (Who::Deployment, Said::Line(line)) = (who, &what) {
            ended.error = error_in(line).map(str::to_owned).or(ended.error);
        }
        if !is_given_up {
            said(who, what);
        }
    }
    Ok(ended)
}

/// Deletes what was kept for long enough. What it says is handed on at its end, together with that.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn tidy() -> io::Result<(Ended, Vec<Said>)> {
    let (sender, receiver) = mpsc::channel();
    let program = Program::start(Who::Tidying, &sender)?;
    let mut said = Vec::new();
    while let Ok((_, Some(what))) = receiver.recv() {
        said.push(what);
    }
    let exit = program.wait()?.code().and_then(Exit::from_code);
    let is_last = |said: &Said| matches!(said, Said::Event(event) if event["event"] == "tidy");
    let at = said.iter().rposition(is_last);
    let verdict = at.map(|at| said.remove(at)).and_then(|said| match said {
        Said::Event(event) => Some(event),
        Said::Line(_) => None,
    });
    Ok((Ended { exit, verdict, error: None }, said))
}

/// One that is at work.
struct Program {
    who: Who,
    child: Child,
    passing: Passing,
}

impl Program {
    fn start(who: Who, to: &Sender<(Who, Option<Said>)>) -> io::Result<Self> {
        let mut command = Command::new(program());
        match who {
            Who::Deployment => {}
            Who::Ahead => drop(command.arg("--ahead")),
            Who::Tidying => drop(command.arg("--tidy")),
        }
        let mut child = command
            .args(["--json", "--no-color"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let passing = Passing::to(child.id());
        if let Err(error) = listen(who, &mut child, to) {
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
        Ok(Self { who, child, passing })
    }

    fn wait(mut self) -> io::Result<ExitStatus> {
        // Once it is waited for, its number may be another process's.
        drop(self.passing);
        self.child.wait()
    }
}

/// The `git-deploy` of the same installation, else the one that is found.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name("git-deploy"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "git-deploy".into())
}

/// Hands on what it says, and then that it says no more.
fn listen(who: Who, child: &mut Child, to: &Sender<(Who, Option<Said>)>) -> io::Result<()> {
    let out = child.stdout.take().map(|out| read(out, (who, to.clone()), event)).transpose()?;
    let err = child.stderr.take().map(|err| read(err, (who, to.clone()), Said::Line)).transpose()?;
    let to = to.clone();
    let both = move || {
        [out, err].into_iter().flatten().for_each(|reader| drop(reader.join()));
        // Nobody listens any more where the runner ends.
        let _ = to.send((who, None));
    };
    thread::Builder::new().spawn(both).map(drop)
}

fn read(
    from: impl Read + Send + 'static,
    (who, to): (Who, Sender<(Who, Option<Said>)>),
    said: impl Fn(String) -> Said + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send((who, Some(said(String::from_utf8_lossy(&line).into_owned())))).is_err() {
                break;
            }
        }
    })
}

fn event(line: String) -> Said {
    serde_json::from_str(&line).map_or(Said::Line(line), Said::Event)
}
