//! `cargo xtask torture`: what the tests do a few times, as often as one likes.

use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand};
use git_deploy_testkit::{Sandbox, torture};

use crate::bench::build;

/// What is to be tortured.
#[derive(Subcommand)]
pub(crate) enum Victim {
    /// Write states by many processes at once, and kill writers and sweeps; ends with what was lost, or nothing
    Notes(Notes),
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

pub(crate) fn run(victim: &Victim) -> Result<()> {
    let Victim::Notes(notes) = victim;
    let sandbox = Sandbox::with_binaries_beside(build()?.join("git-deploy-state"));
    let begun = Instant::now();
    let tell = |what: &str| writeln!(std::io::stdout(), "{:>5} s: {what}", begun.elapsed().as_secs());
    tell(&format!("{} write {} states each", notes.writers, notes.times))?;
    torture::write_at_once(&sandbox, notes.writers, notes.times);
    let tell_each_hundred = |what: &str, n: u32| {
        if n.is_multiple_of(100) {
            tell(&format!("{n} {what} killed")).ok();
        }
    };
    torture::kill_writers(&sandbox, notes.kills, |n| tell_each_hundred("writers", n));
    torture::kill_sweeps(&sandbox, notes.kills, |n| tell_each_hundred("sweeps", n));
    tell("nothing was lost")?;
    Ok(())
}
