//! Ends what was started, also when the test process cannot do so itself any more.
//!
//! All processes of a cluster are in one process group, from before their first instruction on. A small shell
//! outside of it reads from a pipe that only the test process holds open: however that ends, the pipe is closed,
//! and the shell kills the group and removes the directory, and the cgroups that have its name.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::sandbox::no_program_is_being_written;

/// What has been killed may still be writing for a moment. Bounded, because where nobody waits for orphans a group
/// never disappears.
const WATCH: &str = r#"
cat >/dev/null
kill -s KILL -- "-$1" 2>/dev/null
tries=0
while kill -s 0 -- "-$1" 2>/dev/null && [ $tries -lt 100 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
# Those of a real node, from the leaves up; what ends there may take a moment.
tries=0
while [ $tries -lt 250 ]; do
    cgroups=
    for cgroup in "/sys/fs/cgroup/${2##*/}" /sys/fs/cgroup/*/"${2##*/}"; do
        [ ! -d "$cgroup" ] || cgroups="$cgroups $cgroup"
    done
    [ -n "$cgroups" ] || break
    find $cgroups -depth -type d -exec rmdir {} \; 2>/dev/null
    tries=$((tries + 1))
    sleep 0.02
done
[ -n "$3" ] || rm -rf -- "$2"
"#;

/// Holds a process group and a directory; both end with it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    group: Pid,
    leader: Child,
    watcher: Child,
}

impl Supervisor {
    /// Watches over a new process group, and over a directory that is removed in the end unless it is to be kept.
    pub(crate) fn start(directory: &Path, keep: bool) -> io::Result<Self> {
        // Makes the group exist. It ends by itself if we are killed before there is a watcher.
        let leader = spawn(Command::new("cat").process_group(0).stdin(Stdio::piped()))?;
        let group = Pid::from_child(&leader);
        let watcher = spawn(
            Command::new("/bin/sh")
                .args(["-c", WATCH, "watch"])
                .arg(group.as_raw_nonzero().to_string())
                .arg(directory)
                .arg(if keep { "keep" } else { "" })
                .process_group(0)
                .stdin(Stdio::piped()),
        )?;
        Ok(Self { group, leader, watcher })
    }

    /// Where new processes of the cluster belong.
    pub(crate) fn group(&self) -> Group {
        Group(self.group.as_raw_nonzero().get())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Failures here mean that it is gone already.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.leader.wait();
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// A process group that a supervisor ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(i32);

impl Group {
    /// Starts a command in it, with its own environment alone and nothing of the test's.
    pub(crate) fn spawn(self, command: &mut Command, home: &Path) -> io::Result<Child> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command
            .process_group(self.0)
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("PATH", path)
            .envs(own);
        let _guard = no_program_is_being_written();
        command.spawn()
    }
}

/// With no output: who reads the output of the tests must not wait for what is left of them.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let _guard = no_program_is_being_written();
    command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").spawn()
}

/// A new directory for a cluster, which nobody but a supervisor removes.
pub(crate) fn new_directory() -> io::Result<PathBuf> {
    let directory = tempfile::Builder::new().prefix("git-deploy-cluster-").tempdir()?.keep();
    directory.canonicalize()
}
