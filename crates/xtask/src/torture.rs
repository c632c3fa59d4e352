//! `cargo xtask torture`: what the tests do a few times, as often as one likes.

use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand};
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
    let binary = build()?.join("git-deploy-state");
    let begun = Instant::now();
    let tell = |what: &str| writeln!(std::io::stdout(), "{:>5} s: {what}", begun.elapsed().as_secs());
    match victim {
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
