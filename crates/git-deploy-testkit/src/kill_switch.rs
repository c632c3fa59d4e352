//! A process that dies at a chosen step of moving refs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::write_executable;
use crate::{Repo, Victim};

/// How far a ref transaction has come when git calls the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefPhase {
    /// All refs are locked, none has moved.
    Prepared,
    /// All refs have moved.
    Committed,
    /// The transaction was given up.
    Aborted,
}

impl RefPhase {
    fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
        }
    }
}

/// A `reference-transaction` hook that kills (`kill -9`) the process whose id stands in [`Self::pid_file`], at
/// the n-th transaction that reaches a phase. Transactions before that file exists are not counted, so that a
/// test can prepare its repository.
///
/// ```no_run
/// use git_deploy_testkit::{RefPhase, Sandbox};
///
/// let repo = Sandbox::new().repository("shop");
/// let switch = repo.kill_at_ref_transaction(1, RefPhase::Prepared);
/// let run = repo.command("git").args(["branch", "new"]).pid_file(switch.pid_file());
/// run.output().was_killed();
/// assert!(switch.has_fired());
/// switch.remove();
/// ```
#[derive(Debug)]
#[must_use = "only the switch knows where the process id must stand"]
pub struct KillSwitch {
    hook: PathBuf,
    pid_file: PathBuf,
    count_file: PathBuf,
    fired_file: PathBuf,
}

impl KillSwitch {
    pub(crate) fn install(repo: &Repo, n: usize, phase: RefPhase, patterns: &[&str], victim: Victim) -> Self {
        let hooks = repo.git_path("hooks");
        let hook = hooks.join("reference-transaction");
        assert!(!hook.exists(), "'{}' exists already", hook.display());
        fs::create_dir_all(&hooks)
            .unwrap_or_else(|error| panic!("cannot create '{}': {error}", hooks.display()));
        let base = repo.sandbox().next_run();
        let switch = Self {
            hook,
            pid_file: base.with_extension("pid"),
            count_file: base.with_extension("count"),
            fired_file: base.with_extension("fired"),
        };
        write_executable(&switch.hook, &switch.script(n, phase, patterns, victim));
        switch
    }

    fn script(&self, n: usize, phase: RefPhase, patterns: &[&str], victim: Victim) -> String {
        for pattern in patterns {
            let is_safe = |c: char| c.is_ascii_alphanumeric() || "/_.-*?".contains(c);
            assert!(
                !pattern.is_empty() && pattern.chars().all(is_safe),
                "'{pattern}' cannot stand in a script"
            );
        }
        let group = if victim == Victim::Group { "-" } else { "" };
        format!(
            r#"#!/bin/sh
[ "$1" = {phase} ] && [ -s '{pid_file}' ] || exit 0
touched=
while read -r _ _ ref; do
    case "$ref" in {patterns}) touched=yes ;; esac
done
[ -n "$touched" ] || exit 0
echo >>'{count_file}'
[ "$(wc -l <'{count_file}')" -eq {n} ] || exit 0
: >'{fired_file}'
kill -9 "{group}$(cat '{pid_file}')"
"#,
            phase = phase.name(),
            patterns = patterns.join("|"),
            pid_file = self.pid_file.display(),
            count_file = self.count_file.display(),
            fired_file = self.fired_file.display(),
        )
    }

    /// Where the id of the process to kill must stand; give it to [`crate::Run::pid_file`].
    #[must_use]
    pub fn pid_file(&self) -> &Path {
        &self.pid_file
    }

    /// Whether the moment came.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.fired_file.exists()
    }

    /// How many transactions were counted: with a switch that never fires, how many there are to stop at.
    #[must_use]
    pub fn transactions(&self) -> usize {
        fs::read_to_string(&self.count_file).map_or(0, |lines| lines.lines().count())
    }

    /// Takes the hook away.
    pub fn remove(self) {
        fs::remove_file(&self.hook)
            .unwrap_or_else(|error| panic!("cannot remove '{}': {error}", self.hook.display()));
    }
}
