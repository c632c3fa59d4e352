//! `cargo xtask differential`: our rebase engine against `git rebase`, branch by branch.
//!
//! The verdict has to be the same, of a conflict the commit and the paths, of what was rebased the tree, author and message of
//! each commit. What the design states to be otherwise is counted. The same seed gives the same branches, and the git that is the
//! first in `PATH` judges.

mod asked;
mod generated;
mod history;
mod repository;
mod tally;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use git_deploy_testkit::rebase::{Branch, Expected};

pub(crate) use asked::answer;
use tally::Tally;

/// What is compared.
#[derive(Args)]
pub(crate) struct Differential {
    /// Take branches from the history of this repository, which is only read, instead of making histories
    #[arg(long, value_name = "path")]
    repository: Option<PathBuf>,
    /// How many branches; 1,000 of a repository
    #[arg(long, value_name = "n")]
    branches: Option<u64>,
    /// The first seed: each history that is made, and each branch of a repository, has the next
    #[arg(long, value_name = "n", default_value_t = 0)]
    seed: u64,
}

/// Takes the rest of a line off a terminal.
const REST: &str = "\x1b[K";

/// A branch, where it comes from, and what we say of it.
struct Case {
    /// How to see it again, and what it is.
    story: String,
    branch: Branch,
    ours: Expected,
}

/// Prints what came of it.
pub(crate) fn run(differential: &Differential) -> Result<()> {
    let begun = Instant::now();
    let tally = match &differential.repository {
        None => generated::compare(differential.seed, differential.branches.unwrap_or(5000))?,
        Some(path) => repository::compare(path, differential.seed, differential.branches.unwrap_or(1000))?,
    };
    untell();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}, {} s", git_version()?, begun.elapsed().as_secs())?;
    write!(out, "{tally}")?;
    match tally.differences() {
        0 => Ok(()),
        count => bail!("{count} differences"),
    }
}

fn git_version() -> Result<String> {
    let output = std::process::Command::new("git").arg("version").output().context("cannot run git")?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// How many work at once.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Lets workers take turns on jobs, each with what it made for itself in the beginning, and says how far they are.
fn share_out<T>(
    jobs: usize,
    begin: impl Fn(usize) -> Result<T> + Sync,
    work: impl Fn(&T, usize) -> Result<Tally> + Sync,
) -> Result<Tally> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let one = |worker| {
        let own = begin(worker)?;
        loop {
            let job = next.fetch_add(1, Ordering::SeqCst);
            if job >= jobs {
                return anyhow::Ok(());
            }
            // Nobody else need go on where one cannot.
            let tally = work(&own, job).inspect_err(|_| next.store(jobs, Ordering::SeqCst))?;
            let Ok(mut all) = all.lock() else { bail!("another worker has failed") };
            all.add(tally);
            tell(&all);
        }
    };
    thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> =
            (0..workers().min(jobs)).map(|worker| scope.spawn(move || one(worker))).collect();
        running
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker has failed")))
    })?;
    all.into_inner().context("a worker has failed")
}

/// What is seen on a terminal while it lasts.
fn tell(tally: &Tally) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let (branches, differences) = (tally.branches(), tally.differences());
        write!(err, "\r{branches} branches, {differences} differences{REST}").ok();
    }
}

/// Nothing of that is left.
fn untell() {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        write!(err, "\r{REST}").ok();
    }
}
