//! `cargo xtask fuzz`: bytes that a reader panics at or does not give back, looked for with libFuzzer.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

/// What tells libFuzzer where a program has been. Stable flags: `-Z` alone would add a sanitizer, and safe code needs none.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Args)]
pub(crate) struct Fuzz {
    /// What reads the bytes
    target: Target,
    /// How many are tried
    #[arg(long, value_name = "n", default_value_t = 10_000_000)]
    runs: u64,
    /// Keep in the corpus what reaches more code than what is there
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// Notes
    Note,
}

pub(crate) fn run(fuzz: &Fuzz) -> Result<()> {
    let Target::Note = fuzz.target;
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz");
    let corpus = home.join("corpus/note");
    let found = tempfile::tempdir()?;
    let begin = || {
        let mut cargo = Command::new(env!("CARGO"));
        // With a target of its own the flags do not reach the programs that build.
        cargo
            .args(["run", "--release", "--locked", "--target", &host()?, "--bin", "note", "--manifest-path"])
            .arg(home.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(home.join("../../target/fuzz"))
            .arg("--")
            .env("RUSTFLAGS", COVERAGE);
        anyhow::Ok(cargo)
    };
    let runs = format!("-runs={}", fuzz.runs);
    let status = begin()?.arg(runs).arg("-print_final_stats=1").args([found.path(), &corpus]).status()?;
    ensure!(status.success(), "bytes were found: they are in the file that is named above");
    if fuzz.keep {
        let status = begin()?.arg("-set_cover_merge=1").args([&corpus, found.path()]).status()?;
        ensure!(status.success(), "the corpus could not be merged");
    }
    Ok(())
}

/// What the compiler calls this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}
