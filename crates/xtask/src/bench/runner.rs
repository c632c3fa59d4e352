//! What a runner costs: while nothing happens, and until a deployment asks its cluster for the first time.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{BRANCHES, Bench, DEPLOY_TOML, DEPLOYMENTS, Figures, history, ms};

/// How much of a processor a runner may take that has nothing to do, git's share included.
const IDLE_LIMIT: f64 = 0.01;
/// How much memory it may hold.
const MEMORY_LIMIT_KIB: u64 = 30 * 1024;
/// How often it looks. It is a minute where nobody says anything.
const INTERVAL: &str = "--interval=20";
/// Until it looks no more often than that.
const SETTLING: Duration = Duration::from_secs(40);
/// For how long it is looked at.
const IDLE: Duration = Duration::from_secs(60);
/// A deployment must ask its cluster for the first time after this time.
const FIRST_CALL_LIMIT: Duration = Duration::from_millis(300);
/// Times that this is measured.
const STARTS: usize = 21;

/// Prints the figures.
pub(super) fn run(binaries: &Path, figures: &mut Figures) -> Result<()> {
    idle(binaries, figures)?;
    first_call(binaries, figures)
}

/// A runner that watches, of whose many branches none is to be deployed.
fn idle(binaries: &Path, figures: &mut Figures) -> Result<()> {
    let bench = Bench::new(binaries, &history(BRANCHES, "staged", Some(DEPLOY_TOML)), DEPLOYMENTS)?;
    let mut command = bench.command(binaries.join("git-deploy-queue"));
    command.args(["run", "--watch", INTERVAL]).stdin(Stdio::null()).stdout(Stdio::null());
    let runner = Killed(command.stderr(Stdio::null()).spawn()?);
    thread::sleep(SETTLING);
    let (begun, before) = (Instant::now(), ticks(&runner)?);
    thread::sleep(IDLE);
    let used = (ticks(&runner)? - before) as f64 / ticks_per_second()?;
    let share = used / begun.elapsed().as_secs_f64();
    let figure = format!(
        "git deploy-queue run --watch {INTERVAL}, nothing to do: {:.2} % of a processor (limit {} %)",
        share * 100.0,
        IDLE_LIMIT * 100.0
    );
    figures.tell(&format!("{BRANCHES:>6} branches: {figure}"), share < IDLE_LIMIT)?;
    let memory = peak_memory(&runner)?;
    let figure = format!("at most {memory} KiB (limit {MEMORY_LIMIT_KIB} KiB)");
    figures.tell(&format!("{BRANCHES:>6} branches: {figure}"), memory < MEMORY_LIMIT_KIB)
}

/// From the start of `git deploy` to the first byte that a cluster hears of it.
fn first_call(binaries: &Path, figures: &mut Figures) -> Result<()> {
    let bench = Bench::new(binaries, &history(10, "deployable", Some(IN_CLUSTER)), 0)?;
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let kubeconfig = bench.work().join("kubeconfig");
    let port = server.local_addr()?.port();
    std::fs::write(&kubeconfig, KUBECONFIG.replace("{port}", &port.to_string()))?;
    server.set_nonblocking(true)?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        // What the one before has tried again before it was killed.
        while server.accept().is_ok() {}
        let mut command = bench.command(binaries.join("git-deploy"));
        command.env("KUBECONFIG", &kubeconfig).stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let _running = Killed(command.stderr(Stdio::null()).spawn()?);
        let mut asked = loop {
            match server.accept() {
                Ok((asked, _)) => break asked,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(begun.elapsed() < Duration::from_secs(20), "git deploy asks no cluster");
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.into()),
            }
        };
        asked.set_nonblocking(false)?;
        asked.read_exact(&mut [0])?;
        times.push(begun.elapsed());
    }
    times.sort();
    let time = times[times.len() / 2];
    let figure =
        format!("git deploy to its first API call {} ms (limit {} ms)", ms(time), ms(FIRST_CALL_LIMIT));
    figures.tell(&format!("    10 queued: {figure}"), time < FIRST_CALL_LIMIT)
}

/// A process that ends with its value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time that a process has had of processors, with the children that it has waited for.
fn ticks(process: &Killed) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id()))?;
    // The name of the program may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("the kernel tells no times")?;
    let times = fields.split(' ').skip(11).take(4);
    Ok(times.filter_map(|time| time.parse::<u64>().ok()).sum())
}

fn ticks_per_second() -> Result<f64> {
    let output = Command::new("getconf").arg("CLK_TCK").output().context("cannot run getconf")?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The most memory that a process has held at once, in KiB.
fn peak_memory(process: &Killed) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let size = line.and_then(|line| line.split_whitespace().next()).context("the kernel tells no memory")?;
    Ok(size.parse()?)
}

/// What base says of where to.
const IN_CLUSTER: &str = r#"[image-name]
container-namespace = "a"
project-namespace = "bench"

[environment.production]
context = "bench"
kube-namespace = "bench"
manifests = ["deploy"]
"#;

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters: [{ name: bench, cluster: { server: 'http://127.0.0.1:{port}' } }]
users: [{ name: bench, user: { token: none } }]
contexts: [{ name: bench, context: { cluster: bench, user: bench } }]
";
