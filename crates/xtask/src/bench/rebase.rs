//! `cargo xtask bench --rebase`: many branches against `git replay`, one process a branch, and one against `git rebase`.
//!
//! The branches begin at old commits of base, and change mostly what base has changed since, so that nearly each commit has to be
//! merged. Timed is what says what would become of them (`--check`), which makes all new commits, as `git replay` does, aside; a
//! sweep, which also writes refs and notes, is told apart. Each run begins with the repository as it was.

mod history;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::history::History;
use super::{Bench, Figures, ms};

/// How many branches there are.
const SIZES: [u32; 3] = [10, 100, 1_000];
/// The same with `--long`.
const LONG: u32 = 10_000;
/// How many files base has.
const FILES: u32 = 3_000;
/// And where memory is looked at.
const MANY_FILES: u32 = 60_000;
/// Commits of a branch, and in how many times what `git replay` takes they must be judged, at the most branches but for `--long`.
const LIMITS: [(u32, f64); 2] = [(1, 0.25), (5, 0.35)];
/// The same of what processors do.
const CPU_LIMIT: f64 = 0.5;
/// What ten times as many branches may take.
const GROWTH_LIMIT: f64 = 11.0;
/// One branch must be rebased in this many times what `git rebase` takes.
const ONE_LIMIT: f64 = 1.0;
/// What processors may do for a branch of which base touches nothing.
const ADVANCE_LIMIT: Duration = Duration::from_micros(300);
/// What the largest process of a sweep may hold.
const MEMORY_LIMIT_KIB: u64 = 300 * 1024;
/// Times that each is measured, unless there are as many as with `--long`.
const RUNS: usize = 3;

/// What something took.
#[derive(Clone, Copy)]
struct Used {
    time: Duration,
    /// Of all its processes.
    cpu: Duration,
    /// Of the largest.
    memory_kib: u64,
}

/// Prints the figures.
pub(super) fn run(binaries: &Path, is_long: bool) -> Result<bool> {
    let mut figures = Figures { within: true };
    for (commits, limit) in LIMITS {
        let mut last = None;
        for branches in SIZES.into_iter().chain(is_long.then_some(LONG)) {
            let field = Field::new(binaries, FILES, branches, commits)?;
            let name = format!("{branches:>6} branches of {commits}");
            let judged = field.against_replay(&name, limit, &mut figures)?;
            if let Some(before) = last.filter(|_| branches == LONG) {
                let (limit, ratio) = (GROWTH_LIMIT, ratio(judged, before));
                figures.tell(
                    &format!("{name}: {ratio:.1} x a tenth of them (limit {limit} x)"),
                    ratio <= limit,
                )?;
            }
            last = Some(judged);
            field.whole(&name, None, &mut figures)?;
            if branches == SIZES[SIZES.len() - 1] {
                field.advance(&name, &mut figures)?;
            }
        }
    }
    Field::new(binaries, FILES, 1, 5)?.one(&mut figures)?;
    let field = Field::new(binaries, MANY_FILES, SIZES[SIZES.len() - 1], 1)?;
    field.whole(&format!("{MANY_FILES:>6} files"), Some(MEMORY_LIMIT_KIB), &mut figures)?;
    Ok(figures.within)
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A repository with branches that are staged, which begins anew as often as one likes.
struct Field {
    bench: Bench,
    branches: u32,
    /// How `git replay` is called so that it moves no branch; not where this git has none.
    replay: Option<&'static str>,
}

impl Field {
    fn new(binaries: &Path, files: u32, branches: u32, commits: u32) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let bench = Bench { dir, binaries: binaries.to_owned(), tip: String::new() };
        std::fs::create_dir(bench.work())?;
        bench.run_git(&["init", "--quiet", "--initial-branch=master"], "")?;
        bench.run_git(&["fast-import", "--quiet"], &History::new(files).stream(branches, commits))?;
        bench.run_git(&["repack", "-adq"], "")?;
        for (key, value) in [("user.name", "A"), ("user.email", "a@example.org"), ("gc.auto", "0")] {
            bench.run_git(&["config", key, value], "")?;
        }
        let replay = replay(&bench)?;
        std::fs::rename(bench.work(), bench.dir.path().join("first"))?;
        let field = Self { replay, bench, branches };
        field.begin_anew()?;
        // What a sweep remembers of commits is remembered from now on.
        field.ours(&[])?;
        let first = remembered(&field.bench, "first");
        std::fs::create_dir_all(first.parent().context("a file is in a folder")?)?;
        std::fs::copy(remembered(&field.bench, "work"), first)?;
        Ok(field)
    }

    fn begin_anew(&self) -> Result<()> {
        for folder in ["work", "tree"] {
            let folder = self.bench.dir.path().join(folder);
            ensure!(!folder.exists() || std::fs::remove_dir_all(&folder).is_ok(), "a repository stays");
        }
        let copied =
            Command::new("cp").args(["-r", "first", "work"]).current_dir(self.bench.dir.path()).status()?;
        ensure!(copied.success(), "a repository cannot be copied");
        Ok(())
    }

    /// `git deploy-rebase` of all branches.
    fn ours(&self, args: &[&str]) -> Result<Used> {
        let program = self.bench.binaries.join("git-deploy-rebase");
        self.used(program.to_str().context("the target directory is not UTF-8")?, args)
    }

    /// What a program takes that may say of branches that they conflict.
    fn used(&self, program: &str, args: &[&str]) -> Result<Used> {
        let report = self.bench.dir.path().join("used");
        let mut command = self.bench.command("time");
        command.args(["--format=%U %S %M", "--output"]).arg(&report).arg(program).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // What is made aside is made on the same disk.
        command.env("TMPDIR", self.bench.dir.path());
        let begun = Instant::now();
        let status = command.status().context("cannot run GNU time")?;
        let time = begun.elapsed();
        ensure!(matches!(status.code(), Some(0 | 1)), "{program} {args:?} failed");
        let text = std::fs::read_to_string(&report)?;
        let mut fields = text.lines().last().unwrap_or_default().split(' ').map(str::parse::<f64>);
        let mut next =
            || fields.next().with_context(|| format!("time said '{text}'"))?.context("time says no number");
        let cpu = Duration::from_secs_f64(next()? + next()?);
        Ok(Used { time, cpu, memory_kib: next()? as u64 })
    }

    /// The median of several runs, each with a repository as it was in the beginning.
    fn anew(&self, run: impl Fn() -> Result<Used>) -> Result<Used> {
        let mut used = Vec::new();
        for _ in 0..if self.branches < LONG { RUNS } else { 1 } {
            self.begin_anew()?;
            used.push(run()?);
        }
        Ok(median(used))
    }

    /// How long it takes to judge all.
    fn against_replay(&self, name: &str, limit: f64, figures: &mut Figures) -> Result<Duration> {
        let ours = self.anew(|| self.ours(&["--check"]))?;
        let cold = self.anew(|| {
            std::fs::remove_file(remembered(&self.bench, "work"))?;
            self.ours(&["--check"])
        })?;
        figures.tell(&format!("{name}: git deploy-rebase --check {ours}; the first time {cold}"), true)?;
        let Some(options) = self.replay else {
            figures.tell(&format!("{name}: this git has no git replay (2.44)"), true)?;
            return Ok(ours.time);
        };
        let last = self.branches - 1;
        let each = format!(
            "for n in $(seq 0 {last}); do git replay {options} --onto master master..b$n >/dev/null 2>&1; done; true"
        );
        let git = self.anew(|| self.used("sh", &["-c", &each]))?;
        let (time, cpu) = (ratio(ours.time, git.time), ratio(ours.cpu, git.cpu));
        let ratios = format!("time {time:.3} x (limit {limit} x), CPU {cpu:.3} x (limit {CPU_LIMIT} x)");
        // Of few it is mostly what a program takes to start.
        let counts = self.branches >= SIZES[SIZES.len() - 1];
        let is_within = !counts || time <= limit && cpu <= CPU_LIMIT;
        figures.tell(&format!("{name}: git replay {git}: {ratios}"), is_within)?;
        Ok(ours.time)
    }

    /// A sweep, with refs, notes and all that it writes.
    fn whole(&self, name: &str, limit: Option<u64>, figures: &mut Figures) -> Result<()> {
        let whole = self.anew(|| self.ours(&[]))?;
        let said = limit.map(|limit| format!(" (limit {limit} KiB)")).unwrap_or_default();
        let is_within = limit.is_none_or(|limit| whole.memory_kib < limit);
        figures.tell(&format!("{name}: git deploy-rebase, written {whole}{said}"), is_within)
    }

    /// Base gets a commit that touches nothing of the branches that stand on it.
    fn advance(&self, name: &str, figures: &mut Figures) -> Result<()> {
        self.begin_anew()?;
        self.ours(&[])?;
        let standing = self
            .bench
            .run_git(&["for-each-ref", "--format=%(refname)", "--contains=master", "refs/heads/b*"], "")?;
        let all = self.bench.run_git(&["for-each-ref", "--format=%(refname)", "refs/heads/b*"], "")?;
        let broken = all.lines().filter(|branch| !standing.lines().any(|one| one == *branch));
        let gone: String = broken.map(|branch| format!("delete {branch}\n")).collect();
        self.bench.run_git(&["update-ref", "--stdin"], &gone)?;
        self.bench.run_git(&["fast-import", "--quiet"], &history::aside())?;
        let count = standing.lines().count() as u32;
        let runs: Vec<Used> = (0..RUNS).map(|_| self.ours(&["--check"])).collect::<Result<_>>()?;
        let (judged, written) = (median(runs), self.ours(&[])?);
        let (each, limit) = (judged.cpu / count, ADVANCE_LIMIT);
        let figure =
            format!("{name}, {count} of them on base, which goes on aside: CPU {} ms each", ms(each));
        figures.tell(&format!("{figure} (limit {} ms), written {written}", ms(limit)), each <= limit)
    }

    /// One branch, as one does it by hand.
    fn one(&self, figures: &mut Figures) -> Result<()> {
        let ours = self.anew(|| self.ours(&["b0"]))?;
        let tree = self.bench.dir.path().join("tree");
        let tree = tree.to_str().context("the temporary directory is not UTF-8")?;
        let git = self.anew(|| {
            self.bench.run_git(&["worktree", "add", "--quiet", "--detach", tree, "b0"], "")?;
            self.used("git", &["-C", tree, "rebase", "--no-fork-point", "master"])
        })?;
        let (ratio, limit) = (ratio(ours.time, git.time), ONE_LIMIT);
        let times = format!("git deploy-rebase {ours}, git rebase {git}");
        figures.tell(&format!("     1 branch of 5: {times}: {ratio:.3} x (limit {limit} x)"), ratio <= limit)
    }
}

/// What is remembered of commits, in a repository of this name.
fn remembered(bench: &Bench, name: &str) -> PathBuf {
    bench.dir.path().join(name).join(".git/deploy/changed-paths")
}

fn replay(bench: &Bench) -> Result<Option<&'static str>> {
    let said = bench.command("git").args(["replay", "-h"]).output()?.stdout;
    let said = String::from_utf8_lossy(&said);
    // Later ones move branches, unless they are told not to.
    Ok(said
        .starts_with("usage")
        .then(|| if said.contains("--ref-action") { "--ref-action=print" } else { "" }))
}

fn median(mut used: Vec<Used>) -> Used {
    used.sort_by_key(|used| used.time);
    used[used.len() / 2]
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms, CPU {} ms, {} KiB", ms(self.time), ms(self.cpu), self.memory_kib)
    }
}
