//! `cargo xtask torture`: what the tests do a few times, as often as one likes.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use git_deploy_simulation::{Faults, Scenario, simulate};
use git_deploy_testkit::Sandbox;
use git_deploy_testkit::torture::{self, Exchange};

use crate::bench::build;

/// What is to be tortured.
#[derive(Subcommand)]
pub(crate) enum Victim {
    /// Write states by many processes at once, and kill writers and sweeps; ends with what was lost, or nothing
    Notes(Notes),
    /// Let clones decide and exchange states at random; ends with what was lost, or nothing
    Sync(Sync),
    /// Simulate runners that work a queue off while all goes wrong that can; ends with the first promise that was broken
    Queue(Queue),
}

#[derive(Args)]
pub(crate) struct Queue {
    /// The first seed
    #[arg(long, value_name = "n", default_value_t = 0)]
    seed: u64,
    /// How many schedules, each with the next seed
    #[arg(long, value_name = "n", default_value_t = 100_000)]
    schedules: u64,
    /// How many runners there are
    #[arg(long, value_name = "n", default_value_t = 3)]
    runners: usize,
    /// How many branches are made
    #[arg(long, value_name = "n", default_value_t = 6)]
    branches: u64,
    /// Tell what happens, also where nothing is broken
    #[arg(long)]
    story: bool,
}

#[derive(Args)]
pub(crate) struct Notes {
    /// How many write at once
    #[arg(long, value_name = "n", default_value_t = 16)]
    writers: u32,
    /// How many states each of them writes
    #[arg(long, value_name = "n", default_value_t = 625)]
    times: u32,
    /// How often a writer, and then a sweep, is killed
    #[arg(long, value_name = "n", default_value_t = 1000)]
    kills: u32,
}

#[derive(Args)]
pub(crate) struct Sync {
    /// How many clones there are
    #[arg(long, value_name = "n", default_value_t = 10)]
    clones: u64,
    /// How many changes each of them makes
    #[arg(long, value_name = "n", default_value_t = 100)]
    changes: u64,
    /// The first seed
    #[arg(long, value_name = "n", default_value_t = 1)]
    seed: u64,
    /// How often that is done, each time with the next seed
    #[arg(long, value_name = "n", default_value_t = 20)]
    rounds: u64,
}

pub(crate) fn run(victim: &Victim) -> Result<()> {
    if let Victim::Queue(queue) = victim {
        return simulate_queues(queue);
    }
    let binary = build()?.join("git-deploy-state");
    let begun = Instant::now();
    let tell = |what: &str| writeln!(std::io::stdout(), "{:>5} s: {what}", begun.elapsed().as_secs());
    match victim {
        Victim::Queue(_) => unreachable!("it needs no binary"),
        Victim::Notes(notes) => write_notes(notes, &Sandbox::with_binaries_beside(binary), &tell)?,
        Victim::Sync(sync) => {
            for seed in sync.seed..sync.seed + sync.rounds {
                tell(&format!("{} clones make {} changes each, seed {seed}", sync.clones, sync.changes))?;
                let exchange = Exchange { clones: sync.clones, changes: sync.changes, seed };
                torture::exchange_at_random(&Sandbox::with_binaries_beside(&binary), exchange, |_| ());
            }
        }
    }
    tell("nothing was lost")?;
    Ok(())
}

fn write_notes(notes: &Notes, sandbox: &Sandbox, tell: &dyn Fn(&str) -> std::io::Result<()>) -> Result<()> {
    tell(&format!("{} write {} states each", notes.writers, notes.times))?;
    torture::write_at_once(sandbox, notes.writers, notes.times);
    let tell_each_hundred = |what: &str, n: u32| {
        if n.is_multiple_of(100) {
            tell(&format!("{n} {what} killed")).ok();
        }
    };
    torture::kill_writers(sandbox, notes.kills, |n| tell_each_hundred("writers", n));
    torture::kill_sweeps(sandbox, notes.kills, |n| tell_each_hundred("sweeps", n));
    Ok(())
}

/// Simulates schedule after schedule, as many at once as there are cores.
fn simulate_queues(queue: &Queue) -> Result<()> {
    let begun = Instant::now();
    let (next, broken) = (AtomicU64::new(queue.seed), Mutex::new(None));
    let end = queue.seed + queue.schedules;
    let simulated = AtomicU64::new(0);
    let work = || {
        while broken.lock().is_ok_and(|broken| broken.is_none()) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= end {
                break;
            }
            let (runners, branches) = (queue.runners, queue.branches);
            let story = simulate(Scenario { seed, runners, branches, faults: Faults::MANY, planted: None });
            let seconds = simulated.fetch_add(story.time.as_secs(), Ordering::SeqCst) + story.time.as_secs();
            let done = seed + 1 - queue.seed;
            let mut out = std::io::stdout().lock();
            if queue.story || story.outcome.is_err() {
                writeln!(out, "{}", story.lines.join("\n")).ok();
            }
            if done.is_multiple_of(1000) {
                let (real, hours) = (begun.elapsed().as_secs(), seconds / 3600);
                writeln!(out, "{real:>5} s: {done} schedules, {hours} hours of them").ok();
            }
            if let (Err(why), Ok(mut broken)) = (story.outcome, broken.lock()) {
                broken.get_or_insert((seed, why));
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    match broken.into_inner().ok().flatten() {
        Some((seed, why)) => {
            bail!("seed {seed}: {why}; again: cargo xtask torture queue --seed={seed} --schedules=1")
        }
        None => Ok(writeln!(std::io::stdout(), "{} schedules, all promises kept", queue.schedules)?),
    }
}
