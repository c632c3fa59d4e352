//! Tasks of the developers: `cargo xtask <task>`, one module each.

mod bench;
mod cluster;
mod completions;
mod differential;
mod fuzz;
mod man;
mod torture;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Tasks of the developers of git-deploy
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the manual pages, as git-deploy-state.1
    Man {
        /// Where to; it is created if it is missing
        dir: PathBuf,
    },
    /// Time what is called all the time against git itself
    Bench(bench::Benches),
    /// Start the cluster of the tests, to try things by hand
    #[command(subcommand)]
    Cluster(cluster::Action),
    /// Look for states that get lost
    #[command(subcommand)]
    Torture(torture::Victim),
    /// Compare our rebase with git's, branch by branch; ends with each difference, or none
    Differential(differential::Differential),
    /// Say what our rebase makes of branches
    #[command(hide = true)]
    Answer,
    /// Look for bytes that are not read as they should be
    Fuzz(fuzz::Fuzz),
    /// Write the completions, below bash, zsh and fish
    Completions {
        /// Where to; it is created if it is missing
        dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Man { dir } => man::write(&dir),
        Task::Bench(benches) => bench::run(&benches),
        Task::Cluster(action) => cluster::run(&action),
        Task::Torture(victim) => torture::run(&victim),
        Task::Differential(differential) => differential::run(&differential),
        Task::Answer => differential::answer(),
        Task::Fuzz(fuzz) => fuzz::run(&fuzz),
        Task::Completions { dir } => completions::write(&dir),
    }
}
