//! Where a node lives: processes, mounts and network of its own.
//!
//! The first process of a process namespace takes all others with it, however they were started and whoever has adopted
//! them; the last process takes mounts and interfaces along. So the kernel cleans up, and nothing has to be looked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Error};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::supervisor::Group;

const SETUP: &str = include_str!("setup.sh");
const LOG: &str = "setup.log";

/// Where Debian has the programs of a node; the path of a user may lack the second half.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The namespaces of one node, for as long as it is there.
#[derive(Debug)]
pub(in crate::cluster) struct Namespaces {
    /// The first process, by its id outside.
    first: Pid,
    /// Its parent, which waits for it.
    parent: Child,
    network: OwnedFd,
}

impl Namespaces {
    pub(in crate::cluster) fn start(directory: &Path, group: Group) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL"])
            .args(["/bin/sh", "-c", SETUP, "setup"])
            .arg(directory)
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.join(LOG))?);
        let mut parent = group.spawn(&mut command, directory)?;
        let mut line = String::new();
        if let Some(stdout) = parent.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let id =
            line.strip_prefix("ready ").and_then(|id| id.trim_end().parse().ok()).and_then(Pid::from_raw);
        let Some(first) = id else {
            // It has ended, or does so at once.
            parent.kill()?;
            parent.wait()?;
            let log = std::fs::read_to_string(directory.join(LOG))?;
            return Err(Error::other(format!("cannot set up namespaces: {}", log.trim())));
        };
        let network = File::open(format!("/proc/{}/ns/net", first.as_raw_nonzero()))?.into();
        Ok(Self { first, parent, network })
    }

    /// What stands before a command that is to run in the network alone: signals reach the program itself.
    pub(in crate::cluster) fn in_network(&self) -> Vec<String> {
        ["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.first.as_raw_nonzero()), "--".to_owned()]
            .into()
    }

    /// What stands before a command that is to run as a process of the node, which ends when the one outside does.
    pub(in crate::cluster) fn in_all(&self) -> Vec<String> {
        let target = format!("--target={}", self.first.as_raw_nonzero());
        let words =
            ["nsenter", &target, "--net", "--mount", "--pid", "--", "setpriv", "--pdeathsig", "KILL", "--"];
        let words = words.into_iter().map(str::to_owned);
        words.chain(["env".to_owned(), format!("PATH={PATH}")]).collect()
    }

    /// Another handle of the network.
    pub(in crate::cluster) fn network(&self) -> io::Result<OwnedFd> {
        self.network.try_clone()
    }

    /// Connects from inside.
    pub(super) fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let network = self.network()?;
        let connecting = thread::spawn(move || {
            enter(&network)?;
            TcpStream::connect(address)
        });
        connecting.join().unwrap_or_else(|_| Err(Error::other("the thread that connects ended")))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // As long as nobody has waited for the parent, the ids are theirs.
        if matches!(self.parent.try_wait(), Ok(None)) {
            let _ = kill_process(self.first, Signal::KILL);
            let _ = self.parent.wait();
        }
    }
}

/// Moves this thread into a network; its sockets are made there from now on.
#[cfg(target_os = "linux")]
pub(in crate::cluster) fn enter(network: &OwnedFd) -> io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd;

    Ok(move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Only Linux has these.
#[cfg(not(target_os = "linux"))]
pub(in crate::cluster) fn enter(_network: &OwnedFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
