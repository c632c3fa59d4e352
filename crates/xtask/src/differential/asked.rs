//! What our engine says. It works where it stands, in the environment that it has: so it is asked in a process of its own.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::rebase::{Committer, Engine as _, MergeTreeEngine, Request, Skip, Verdict};
use git_deploy_testkit::rebase::{Branch, Expected, Place};

/// What stands between paths: git quotes it in them.
const BETWEEN: char = '\t';

/// Reads branches, `<tip> <upstream> <onto>` a line, and prints what the engine says of each of them.
pub(crate) fn answer() -> Result<()> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let requests: Vec<Request> = input.lines().map(request).collect::<Result<_>>()?;
    let repository = Repository::open()?;
    let verdicts = MergeTreeEngine::new(&repository, Committer::Keep).rebase(&requests)?;
    let mut said = String::new();
    for verdict in verdicts {
        writeln!(said, "{}", line(verdict))?;
    }
    Ok(std::io::stdout().write_all(said.as_bytes())?)
}

fn request(line: &str) -> Result<Request> {
    let mut ids = line.split(' ').map(str::parse);
    let mut next = || anyhow::Ok(ids.next().context("three commits make a branch")??);
    Ok(Request { name: RefName::branch("work")?, tip: next()?, upstream: next()?, onto: next()? })
}

fn line(verdict: Verdict) -> String {
    match verdict {
        Verdict::Current => "current".to_owned(),
        Verdict::Skipped(Skip::Landed) => "landed".to_owned(),
        Verdict::Skipped(Skip::Merges(_) | Skip::EditedMerge(_)) => "merges".to_owned(),
        Verdict::Skipped(skip) => format!("other {skip}"),
        Verdict::Rebased(rebased) => format!("rebased {}", rebased.tip),
        Verdict::Broken(conflict) => {
            let paths = conflict.paths.iter().map(|path| format!("{BETWEEN}{path}"));
            format!("conflict {}{}", conflict.commit, paths.collect::<String>())
        }
    }
}

/// What it says of these branches.
pub(super) struct Answers<'a> {
    place: &'a Place,
    branches: &'a [Branch],
    lines: Vec<String>,
}

impl<'a> Answers<'a> {
    /// Asks the engine.
    pub(super) fn of(place: &'a Place, branches: &'a [Branch]) -> Result<Self> {
        let mut command: Command = place.command(std::env::current_exe()?);
        let mut asked = command.arg("answer").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines: String = branches
            .iter()
            .map(|Branch { tip, upstream, onto }| format!("{tip} {upstream} {onto}\n"))
            .collect();
        // It answers when it has read everything.
        asked.stdin.take().context("its input is a pipe")?.write_all(lines.as_bytes())?;
        let output = asked.wait_with_output()?;
        ensure!(output.status.success(), "the engine judges nothing");
        let lines: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
        ensure!(lines.len() == branches.len(), "the engine says too little");
        Ok(Self { place, branches, lines })
    }

    /// Where it put a branch, if it did.
    pub(super) fn tip(&self, number: usize) -> Option<&str> {
        self.lines[number].strip_prefix("rebased ")
    }

    /// In the words in which git's is said.
    pub(super) fn verdict(&self, number: usize) -> Expected {
        let line = &self.lines[number];
        match line.split_once(' ') {
            None if line == "current" => Expected::Current,
            None if line == "landed" => Expected::Landed,
            None if line == "merges" => Expected::Merges,
            Some(("rebased", tip)) => Expected::made(self.place, &self.branches[number].onto, tip),
            Some(("conflict", said)) => {
                let mut fields = said.split(BETWEEN).map(str::to_owned);
                Expected::Conflict(fields.next().unwrap_or_default(), fields.collect())
            }
            _ => Expected::Other(line.clone()),
        }
    }
}

impl PartialEq for Answers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}
