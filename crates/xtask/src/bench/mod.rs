//! `cargo xtask bench`: what is called all the time, against git itself, in one run.
//!
//! Whole processes are timed in turn, ours and git's, because machines are noisy: what counts is the ratio of the medians.
//! Ours are started as they are, not through `git`, whose dispatch to a program costs about 2 ms that are not ours.

mod cluster;
mod rebase;
mod runner;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// Counted runs of each command.
const RUNS: usize = 60;
/// Runs before that, which fill the caches.
const WARM_UP: usize = 5;
/// How many notes there are in the repository that is measured in.
const NOTES: [u32; 3] = [1_000, 10_000, 100_000];
/// How many branches there are.
const BRANCHES: u32 = 1_000;
/// A state must be read in this many times what `git notes show` takes.
const STATE_LIMIT: f64 = 1.0;
/// A state must be written in this many times what `git notes add` takes.
const WRITE_LIMIT: f64 = 1.5;
/// All states must be listed in this many times what `git notes show` takes for all of them.
const LIST_LIMIT: f64 = 0.02;
/// Who is next must be told in this many times what git takes to read the notes of all in the queue and the tips that they stand
/// on, in one process that does nothing else.
const QUEUE_LIMIT: f64 = 4.0;
/// And in this time.
const QUEUE_TIME_LIMIT: Duration = Duration::from_millis(50);
/// How many deployments there are in the ledger.
const DEPLOYMENTS: u32 = 1_000;
/// A hook with nothing to say must be done in this time.
const HOOK_LIMIT: Duration = Duration::from_millis(20);
/// What reading a state takes in memory at the most notes, as many times what it takes at the fewest.
const MEMORY_LIMIT: f64 = 1.5;

/// What is timed.
#[derive(Args)]
pub(crate) struct Benches {
    /// Time deployments into a cluster against kubectl instead
    #[arg(long, conflicts_with = "rebase")]
    cluster: bool,
    /// Time rebases of many branches against git replay instead
    #[arg(long)]
    rebase: bool,
    /// Rebase 10,000 branches, too
    #[arg(long, requires = "rebase")]
    long: bool,
}

/// Builds the binaries and prints the figures.
pub(crate) fn run(benches: &Benches) -> Result<()> {
    let within = if benches.rebase {
        // It needs no cluster, which takes most of the time to build.
        rebase::run(&build_with(&["--no-default-features", "--bin", "git-deploy-rebase"])?, benches.long)?
    } else if benches.cluster {
        cluster::run(&build()?)?
    } else {
        small(&build()?)?
    };
    ensure!(within, "a limit was exceeded");
    Ok(())
}

fn small(binaries: &Path) -> Result<bool> {
    let mut figures = Figures { within: true };
    let mut memory = Vec::new();
    queue(binaries, &mut figures)?;
    runner::run(binaries, &mut figures)?;
    for notes in NOTES {
        let bench = Bench::new(binaries, &history(notes, "staged", None), 0)?;
        let one = bench.git(&["notes", "--ref=deploy", "show", "b7"]);
        let [ours, git] = bench.in_turn([bench.ours("git-deploy-state", &["get", "b7"]), one])?;
        figures.compare(notes, "git deploy-state get", ours, ("git notes show", git), STATE_LIMIT)?;

        let list = bench.ours("git-deploy-state", &["list", "--porcelain"]);
        let [all] = bench.in_turn([list])?;
        let each = ("1,000 times git notes show", git * BRANCHES);
        figures.compare(notes, "git deploy-state list", all, each, LIST_LIMIT)?;

        for (state, back) in [("development", "staged"), ("staged", "development")] {
            let set = |state| bench.ours("git-deploy-state", &["set", "--quiet", state, "b7"]);
            let add =
                bench.git(&["notes", "--ref=beside", "add", "--force", "--message=state: staged", "b7"]);
            // Each write begins with what was fetched: what is not published yet is looked through by all that read. Git
            // writes among as many notes as we do.
            let fetched = |notes| bench.git(&["update-ref", notes, "refs/notes/deploy-remote/origin/deploy"]);
            let (forget, beside) = (fetched("refs/notes/deploy"), fetched("refs/notes/beside"));
            let [_, _, _, ours, git] = bench.in_turn([forget, beside, set(back), set(state), add])?;
            let name = format!("git deploy-state set {state}");
            figures.compare(notes, &name, ours, ("git notes add", git), WRITE_LIMIT)?;
        }

        let line = format!("refs/heads/b7 {0} refs/heads/b7 {0}\n", bench.tip);
        let hooks = [
            ("pre-push", vec!["pre-push", "origin", "url"], line),
            ("post-merge", vec!["post-merge", "0"], String::new()),
            ("post-commit", vec!["post-commit"], String::new()),
            ("post-rewrite", vec!["post-rewrite", "amend"], format!("{0} {0}\n", bench.tip)),
        ];
        for (name, args, input) in hooks {
            let [time] = bench.in_turn([bench.hook(&args, input)])?;
            figures.hook(&format!("{notes:>6} notes: hook {name}"), time)?;
        }
        memory.push((notes, bench.peak_memory("git-deploy-state", &["get", "b7"])?));
    }
    if let [(fewest, least), .., (most, largest)] = memory[..] {
        let figure = format!(
            "git deploy-state get: {least} KiB at {fewest} notes, {largest} KiB at {most} (limit {MEMORY_LIMIT} x)"
        );
        figures.tell(&figure, largest as f64 <= least as f64 * MEMORY_LIMIT)?;
    }
    Ok(figures.within)
}

/// Who is next in a long queue, with a long ledger, in a clone whose remote has both.
fn queue(binaries: &Path, figures: &mut Figures) -> Result<()> {
    let bench = Bench::new(binaries, &history(BRANCHES, "deployable", Some(DEPLOY_TOML)), DEPLOYMENTS)?;
    let read = ["log", "--no-walk=unsorted", "--remotes", "--notes=deploy", "--format=%N"];
    let ours = |args: &[&str]| bench.ours("git-deploy-queue", args);
    let [next, list, git] = bench.in_turn([ours(&["next"]), ours(&[]), bench.git(&read)])?;
    let peer = ("git log --notes of all branches", git);
    figures.compare(BRANCHES, "git deploy-queue next", next, peer, QUEUE_LIMIT)?;
    let figure = format!("git deploy-queue next {} ms (limit {} ms)", ms(next), ms(QUEUE_TIME_LIMIT));
    figures.tell(&format!("{BRANCHES:>6} queued: {figure}"), next < QUEUE_TIME_LIMIT)?;
    figures.tell(&format!("{BRANCHES:>6} queued: git deploy-queue {} ms", ms(list)), true)?;

    // Base goes on, and a branch gets a further commit: of that none has landed, though of others many have.
    let commit = |parent| bench.run_git(&["commit-tree", "-p", parent, "-m", "further", "master^{tree}"], "");
    let (base, tip) = (commit("master")?, commit("b7")?);
    bench.run_git(&["update-ref", "refs/remotes/origin/master", base.trim()], "")?;
    bench.run_git(&["update-ref", "refs/heads/b7", tip.trim()], "")?;
    let line = format!("refs/heads/b7 {} refs/heads/b7 {}\n", tip.trim(), bench.tip);
    let [time] = bench.in_turn([bench.hook(&["pre-push", "origin", "url"], line)])?;
    figures.hook(&format!("{DEPLOYMENTS:>6} deployments: hook pre-push"), time)
}

/// What was measured, and whether all of it is within its limit.
struct Figures {
    within: bool,
}

impl Figures {
    fn compare(
        &mut self,
        notes: u32,
        ours: &str,
        time: Duration,
        (peer, of_peer): (&str, Duration),
        limit: f64,
    ) -> Result<()> {
        let ratio = time.as_secs_f64() / of_peer.as_secs_f64();
        let times = format!("{ours} {} ms, {peer} {} ms", ms(time), ms(of_peer));
        self.tell(&format!("{notes:>6} notes: {times}: {ratio:.3} x (limit {limit} x)"), ratio <= limit)
    }

    fn hook(&mut self, name: &str, time: Duration) -> Result<()> {
        self.tell(&format!("{name} {} ms (limit {} ms)", ms(time), ms(HOOK_LIMIT)), time < HOOK_LIMIT)
    }

    fn tell(&mut self, figure: &str, is_within: bool) -> Result<()> {
        self.within &= is_within;
        let mark = if is_within { "" } else { "  <-- exceeded" };
        writeln!(std::io::stdout(), "{figure}{mark}")?;
        Ok(())
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// Builds the binaries as they are shipped, and says where they are: cargo knows, whatever the user's configuration.
pub(crate) fn build() -> Result<PathBuf> {
    build_with(&[])
}

fn build_with(options: &[&str]) -> Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "git-deploy"])
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the binaries do not build");
    let messages = String::from_utf8(output.stdout)?;
    let (_, program) = messages.split_once(r#""executable":""#).context("cargo built no program")?;
    let program = Path::new(program.split('"').next().unwrap_or_default());
    Ok(program.parent().context("a program is in no directory")?.to_owned())
}

/// A repository with branches that have notes, and a remote that has them all.
struct Bench {
    dir: tempfile::TempDir,
    binaries: PathBuf,
    tip: String,
}

/// A command to be timed.
struct Timed {
    command: Command,
    input: String,
}

impl Timed {
    fn run(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut child =
            self.command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.input.as_bytes())?;
        }
        let status = child.wait()?;
        let time = begun.elapsed();
        ensure!(status.success(), "{:?} failed", self.command);
        Ok(time)
    }
}

impl Bench {
    fn new(binaries: &Path, history: &str, deployments: u32) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut bench = Self { dir, binaries: binaries.to_owned(), tip: String::new() };
        let work = bench.work();
        std::fs::create_dir(&work)?;
        bench.run_git(&["init", "--quiet", "--initial-branch=master"], "")?;
        bench.run_git(&["fast-import", "--quiet"], history)?;
        let base = bench.run_git(&["rev-parse", "master"], "")?;
        bench.run_git(&["fast-import", "--quiet"], &ledger(deployments, base.trim()))?;
        let remote = bench.dir.path().join("remote.git");
        let remote = remote.to_str().context("the temporary directory is not UTF-8")?;
        bench.run_git(&["clone", "--quiet", "--bare", ".", remote], "")?;
        bench.run_git(&["remote", "add", "origin", remote], "")?;
        bench.run_git(&["push", "--quiet", "origin", "refs/notes/deploy"], "")?;
        let refspecs =
            ["+refs/heads/*:refs/remotes/origin/*", "+refs/notes/*:refs/notes/deploy-remote/origin/*"];
        bench.run_git(&["fetch", "--quiet", "origin", refspecs[0], refspecs[1]], "")?;
        bench.run_git(&["gc", "--quiet"], "")?;
        bench.run_git(&["config", "user.name", "A"], "")?;
        bench.run_git(&["config", "user.email", "a@example.org"], "")?;
        // Publishing is of the network.
        bench.run_git(&["config", "deploy.publish", "false"], "")?;
        bench.tip = bench.run_git(&["rev-parse", "b7"], "")?.trim().to_owned();
        Ok(bench)
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A command in the repository, which sees its own configuration and the system's alone.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C");
        command
    }

    fn run_git(&self, args: &[&str], input: &str) -> Result<String> {
        let mut child =
            self.command("git").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "git {args:?} failed");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn ours(&self, program: &str, args: &[&str]) -> Timed {
        let mut command = self.command(self.binaries.join(program));
        command.args(args);
        Timed { command, input: String::new() }
    }

    fn hook(&self, args: &[&str], input: String) -> Timed {
        Timed { input, ..self.ours("git-deploy-hook", args) }
    }

    /// The most memory that a program of ours holds at once, in KiB, by GNU time's account.
    fn peak_memory(&self, program: &str, args: &[&str]) -> Result<u64> {
        let mut command = self.command("time");
        command.arg("--format=%M").arg(self.binaries.join(program)).args(args);
        let text = String::from_utf8(command.output().context("cannot run GNU time")?.stderr)?;
        text.trim().parse().with_context(|| format!("time said '{text}'"))
    }

    fn git(&self, args: &[&str]) -> Timed {
        let mut command = self.command("git");
        command.args(args);
        Timed { command, input: String::new() }
    }

    /// The median times of commands that are run in turn.
    fn in_turn<const N: usize>(&self, mut commands: [Timed; N]) -> Result<[Duration; N]> {
        let mut times = [const { Vec::new() }; N];
        for round in 0..WARM_UP + RUNS {
            for (command, times) in commands.iter_mut().zip(&mut times) {
                let time = command.run()?;
                if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
        Ok(times.map(|mut times| {
            times.sort();
            times[times.len() / 2]
        }))
    }
}

/// Who has made all that there is, and when.
const WHO: &str = "A <a@example.org> 1763640000 +0000";

/// A history for `git fast-import`: as many commits with notes that say this state, and branches on the first of them.
fn history(notes: u32, state: &str, deploy_toml: Option<&str>) -> String {
    let mut stream = String::new();
    let mut commit = |name: &str, mark: u32, from: &str| {
        let message = format!("commit {mark}");
        writeln!(
            stream,
            "commit {name}\nmark :{mark}\ncommitter {WHO}\ndata {}\n{message}\n{from}",
            message.len()
        )
    };
    let file = |text: &str| format!("M 100644 inline deploy.toml\ndata {}\n{text}\n", text.len());
    let deploy_toml = deploy_toml.map(file).unwrap_or_default();
    let mut written = commit("refs/heads/master", 1, &deploy_toml);
    for index in 0..notes {
        let name =
            if index < BRANCHES { format!("refs/heads/b{index}") } else { "refs/heads/more".to_owned() };
        let from = if index < BRANCHES { "from :1\n" } else { "" };
        written = written.and(commit(&name, index + 2, from));
    }
    written = written.and(write!(stream, "commit refs/notes/deploy\ncommitter {WHO}\ndata 5\nnotes\n"));
    for index in 0..notes {
        let note = format!("state: {state}\nref: refs/heads/b{index}\nsince: 2026-11-20T12:00:00Z\nrev: 1\n");
        written = written.and(write!(stream, "N inline :{}\ndata {}\n{note}", index + 2, note.len()));
    }
    assert!(written.is_ok(), "writing to a string cannot fail");
    stream
}

/// So many deployments of a commit, for `git fast-import`.
fn ledger(deployments: u32, commit: &str) -> String {
    let mut stream = String::new();
    let mut written = Ok(());
    for number in 1..=deployments {
        let verdict = format!(
            "Successfully Deployed\n\nEnvironment: demo\nCommit: {commit}\nBranch: earlier{number}\n\
             Started: 2026-11-19T12:00:00Z\nFinished: 2026-11-19T12:05:00Z\nResult: success\n"
        );
        written = written.and(write!(
            stream,
            "tag deployment-{number:04}\nfrom {commit}\ntagger {WHO}\ndata {}\n{verdict}\n",
            verdict.len()
        ));
    }
    assert!(written.is_ok(), "writing to a string cannot fail");
    stream
}

/// What base says of where to.
const DEPLOY_TOML: &str = r#"[environment.demo]
kind = "rendered"
branch = "rendered/demo"
manifests = ["deploy"]
"#;
