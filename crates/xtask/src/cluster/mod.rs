//! `cargo xtask cluster`: the cluster of the tests, to try things in by hand.
//!
//! A process in the background holds it as a test would. It ends, and the cluster with it, when its directory says no more
//! that it is wanted: so nobody has to be killed, and `cargo clean` is an end too.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use git_deploy_testkit::cluster::{Cluster, NodeCluster, Options};

const PAUSE: Duration = Duration::from_millis(50);

/// Held as long as there is a cluster.
const LOCK: &str = "lock";
/// Removed when it is to end.
const WANTED: &str = "wanted";
/// Written when it is up: what to know, for people.
const READY: &str = "ready";
const KUBECONFIG: &str = "kubeconfig";
/// A line each: the command that enters the network, if there is one of its own.
const ENTER: &str = "enter";
const LOG: &str = "log";

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start it in the background, and print how to reach it
    Up {
        /// With a real node and a registry (as root on Linux)
        #[arg(long)]
        node: bool,
        #[command(flatten)]
        place: Place,
    },
    /// End it
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Open a shell that reaches it, Services of a real node included
    Shell {
        #[command(flatten)]
        place: Place,
    },
    /// What `up` leaves in the background
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        node: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub(crate) struct Place {
    /// Where to keep what is known of it [default: target/cluster]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> Result<PathBuf> {
        let default = || root().join("target/cluster");
        let directory = self.dir.clone().unwrap_or_else(default);
        std::path::absolute(&directory).with_context(|| format!("cannot use '{}'", directory.display()))
    }
}

pub(crate) fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up { node, place } => up(*node, &place.directory()?),
        Action::Down { place } => down(&place.directory()?),
        Action::Shell { place } => shell(&place.directory()?),
        Action::Hold { node, place } => hold(*node, &place.directory()?),
    }
}

fn up(node: bool, directory: &Path) -> Result<()> {
    let programs = build()?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create '{}'", directory.display()))?;
    ensure!(!is_held(directory)?, "there is a cluster already in '{}'", directory.display());
    for file in [READY, ENTER, KUBECONFIG] {
        remove(&directory.join(file))?;
    }
    fs::write(directory.join(WANTED), "")?;
    let log = File::create(directory.join(LOG))?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["cluster", "hold"]).args(node.then_some("--node")).arg("--dir").arg(directory);
    command.env("GIT_DEPLOY_TEST_CLUSTER", programs);
    // Out of the terminal's group: Ctrl-C is not meant for it.
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut holder = command.spawn()?;
    wait_until_ready(&mut holder, directory)?;
    say(&fs::read_to_string(directory.join(READY))?)
}

/// Builds its programs, if they are not there.
fn build() -> Result<PathBuf> {
    let output = Command::new(root().join("tests/cluster/build"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run tests/cluster/build")?;
    ensure!(output.status.success(), "the programs of a cluster cannot be built");
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

fn wait_until_ready(holder: &mut Child, directory: &Path) -> Result<()> {
    while !directory.join(READY).exists() {
        if holder.try_wait()?.is_some() {
            bail!("no cluster came up:\n{}", fs::read_to_string(directory.join(LOG))?.trim_end());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn down(directory: &Path) -> Result<()> {
    remove(&directory.join(WANTED))?;
    while is_held(directory)? {
        thread::sleep(PAUSE);
    }
    for file in [READY, ENTER, KUBECONFIG] {
        remove(&directory.join(file))?;
    }
    Ok(())
}

fn shell(directory: &Path) -> Result<()> {
    ensure!(
        is_held(directory)? && directory.join(READY).exists(),
        "there is no cluster in '{}'; run: cargo xtask cluster up",
        directory.display()
    );
    let entering = fs::read_to_string(directory.join(ENTER))?;
    let shell = env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut words = entering.lines().map(OsString::from).chain([shell]);
    let mut command = Command::new(words.next().unwrap_or_default());
    let mut path = build()?.into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    command.args(words).env("KUBECONFIG", directory.join(KUBECONFIG)).env("PATH", path);
    // Its exit code is that of the last command in it, and says nothing about us.
    command.status().map(drop).context("cannot start a shell")
}

/// Starts a cluster and keeps it until it is not wanted any more.
fn hold(node: bool, directory: &Path) -> Result<()> {
    let lock = lock_file(directory)?;
    lock.try_lock().with_context(|| format!("there is a cluster already in '{}'", directory.display()))?;
    if node {
        let cluster = NodeCluster::start_own()?;
        let registry = format!("registry:           {} (plain HTTP)\n", cluster.registry());
        announce(directory, &cluster, &registry, &cluster.entering())?;
        wait_while_wanted(directory);
    } else {
        let cluster = Cluster::start_own(&Options::new())?;
        announce(directory, &cluster, "", &[])?;
        wait_while_wanted(directory);
    }
    Ok(())
}

fn announce(directory: &Path, cluster: &Cluster, more: &str, entering: &[String]) -> Result<()> {
    let kubeconfig = directory.join(KUBECONFIG);
    fs::copy(cluster.current_kubeconfig(), &kubeconfig)?;
    fs::write(directory.join(ENTER), entering.join("\n"))?;
    let text = format!(
        "export KUBECONFIG={}\ncontext:            {}\n{more}logs:               {}\nshell in it:        cargo xtask cluster shell\n",
        kubeconfig.display(),
        cluster.context(),
        cluster.directory().display(),
    );
    // Whoever sees it sees all of it.
    let new = directory.join("ready.new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, directory.join(READY))?)
}

fn wait_while_wanted(directory: &Path) {
    while directory.join(WANTED).exists() {
        thread::sleep(PAUSE);
    }
}

fn lock_file(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    opened.with_context(|| format!("cannot open '{}'", path.display()))
}

fn is_held(directory: &Path) -> Result<bool> {
    if !directory.join(LOCK).exists() {
        return Ok(false);
    }
    match lock_file(directory)?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove '{}'", path.display()))
        }
        _ => Ok(()),
    }
}

fn say(text: &str) -> Result<()> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}
