//! One `git deploy` that the runner starts: what it says, and how it ends.
//!
//! It is a process of its own, so that the runner carries nothing of what changes a cluster, and survives its crash.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
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

/// How it ended.
pub(crate) struct Ended {
    /// The exit code; none where a signal ended it, or where the number is none of ours.
    pub(crate) exit: Option<Exit>,
    /// Its verdict.
    pub(crate) verdict: Option<Value>,
}

/// Deploys what is the head of the queue, or what a run has left behind.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn deploy(mut said: impl FnMut(Said)) -> io::Result<Ended> {
    let mut child = Command::new(program())
        .args(["--json", "--no-color"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let passing = Passing::to(child.id());
    let (sender, receiver) = mpsc::channel();
    let readers = [
        child.stdout.take().map(|out| read(out, sender.clone(), event)),
        child.stderr.take().map(|err| read(err, sender.clone(), Said::Line)),
    ];
    drop(sender);
    let mut verdict = None;
    for next in receiver {
        if let Said::Event(event) = &next
            && event["event"] == "verdict"
        {
            verdict = Some(event.clone());
        }
        said(next);
    }
    readers.into_iter().flatten().for_each(|reader| drop(reader.join()));
    // Once it is waited for, its number may be another process's.
    drop(passing);
    let status = child.wait()?;
    Ok(Ended { exit: status.code().and_then(Exit::from_code), verdict })
}

/// The `git-deploy` of the same installation, else the one that is found.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name("git-deploy"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "git-deploy".into())
}

fn read(
    from: impl Read + Send + 'static,
    to: Sender<Said>,
    said: impl Fn(String) -> Said + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(said(String::from_utf8_lossy(&line).into_owned())).is_err() {
                break;
            }
        }
    })
}

fn event(line: String) -> Said {
    serde_json::from_str(&line).map_or(Said::Line(line), Said::Event)
}
