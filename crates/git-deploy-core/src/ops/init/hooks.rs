//! Which hooks are installed, and what is ours among those that stand there.
//!
//! A hook is ours if we know its very bytes: those of today's script, or those that the record says we wrote. A hook that
//! somebody has changed since is theirs.

use std::path::Path;

use crate::git::Repository;
use crate::git::setup::{FoundFile, HooksFolder, digest, read_file};

use super::record::{Entry, Record};
use super::{Action, InitError, Plan, Step, Task};

/// A hook script of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// The name of the hook, as in `pre-push`.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
    /// Whether git ever runs it in a bare repository.
    pub in_bare: bool,
}

/// What was done about a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    /// It was written.
    Installed,
    /// One of an earlier version was replaced.
    Upgraded,
    /// It stands there.
    Stands,
    /// A hook of somebody else calls ours.
    Calls,
    /// A hook of somebody else was left as it is, or the folder is not only this repository's.
    Foreign(Option<Manager>),
    /// Git never runs it here.
    Useless,
}

/// A program that looks after hooks, and has its own place for what they are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// husky: a file `.husky/<hook>`.
    Husky,
    /// lefthook: `lefthook.yml`.
    Lefthook,
    /// pre-commit, prek: the file `<hook>.legacy`.
    PreCommit,
}

impl Manager {
    /// husky's folder is known by its name, the others by what they write into the hooks.
    fn of(hook: &Path, text: &str) -> Option<Self> {
        if hook.components().any(|part| part.as_os_str() == ".husky") {
            Some(Self::Husky)
        } else if text.contains("lefthook") {
            Some(Self::Lefthook)
        } else if text.contains("pre-commit.com") || text.contains("prek") {
            Some(Self::PreCommit)
        } else {
            None
        }
    }
}

/// Decides about all hooks.
pub(super) fn plan(
    repository: &Repository,
    scripts: &[Script],
    record: &Record,
    plan: &mut Plan,
) -> Result<(), InitError> {
    if scripts.is_empty() {
        return Ok(());
    }
    let (folder, shared) = match repository.hooks_folder()? {
        HooksFolder::Own(folder) => (folder, false),
        HooksFolder::Shared(folder) => (folder, true),
        HooksFolder::None(value) => {
            plan.steps.push(Step::HooksOff(value));
            return Ok(());
        }
    };
    let bare = repository.is_bare()?;
    for script in scripts {
        let path = folder.join(script.name);
        let step = if bare && !script.in_bare {
            HookStep::Useless
        } else {
            decide(script, &path, shared, read_file(&path)?, record)?
        };
        if matches!(step, HookStep::Installed | HookStep::Upgraded) {
            let entry_path = path.to_string_lossy().into_owned();
            plan.tasks.push(Task {
                entry: Entry::Hook { digest: digest(script.text.as_bytes())?, path: entry_path },
                action: Action::Write { path: path.clone(), text: script.text.to_owned(), executable: true },
            });
        }
        plan.steps.push(Step::Hook(script.name, path, step));
    }
    Ok(())
}

fn decide(
    script: &Script,
    path: &Path,
    shared: bool,
    found: Option<FoundFile>,
    record: &Record,
) -> Result<HookStep, InitError> {
    let Some(found) = found else {
        // husky writes its folder anew at each installation, and what we put there would be lost.
        let manager = Manager::of(path, "");
        let leave = shared || manager.is_some();
        return Ok(if leave { HookStep::Foreign(manager) } else { HookStep::Installed });
    };
    if found.bytes == script.text.as_bytes() {
        return Ok(if found.executable { HookStep::Stands } else { HookStep::Upgraded });
    }
    if record.knows_hook(&digest(&found.bytes)?) {
        return Ok(HookStep::Upgraded);
    }
    let text = String::from_utf8_lossy(&found.bytes);
    if calls(&text, script.name) {
        return Ok(HookStep::Calls);
    }
    Ok(HookStep::Foreign(Manager::of(path, &text)))
}

/// Whether a script of somebody else calls our hook, other than in a comment.
pub(super) fn calls(text: &str, hook: &str) -> bool {
    let call = format!("git-deploy-hook {hook}");
    text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(&call))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script { name: "pre-push", text: "#!/bin/sh\nours\n", in_bare: true };

    fn decided(text: Option<&str>, executable: bool, record: &Record) -> HookStep {
        let found = text.map(|text| FoundFile { bytes: text.into(), executable });
        decide(&SCRIPT, Path::new("/r/.git/hooks/pre-push"), false, found, record).unwrap()
    }

    #[test]
    fn only_what_is_known_by_its_bytes_is_ours() {
        let mut record = Record::default();
        assert_eq!(decided(None, false, &record), HookStep::Installed);
        assert_eq!(decided(Some(SCRIPT.text), true, &record), HookStep::Stands);
        assert_eq!(decided(Some(SCRIPT.text), false, &record), HookStep::Upgraded);
        assert_eq!(decided(Some("older\n"), true, &record), HookStep::Foreign(None));
        record
            .add(Entry::Hook { digest: digest(b"older\n").unwrap(), path: "/r/.git/hooks/pre-push".into() });
        assert_eq!(decided(Some("older\n"), true, &record), HookStep::Upgraded);
        assert_eq!(decided(Some("older\nchanged\n"), true, &record), HookStep::Foreign(None));
    }

    #[test]
    fn a_foreign_hook_that_calls_ours_needs_nothing_more() {
        let record = Record::default();
        assert_eq!(decided(Some("git-deploy-hook pre-push \"$@\"\n"), true, &record), HookStep::Calls);
        let commented = "# git-deploy-hook pre-push\n";
        assert_eq!(decided(Some(commented), true, &record), HookStep::Foreign(None));
    }

    #[test]
    fn the_programs_that_look_after_hooks_are_known() {
        assert_eq!(Manager::of(Path::new("/r/.husky/_/pre-push"), ""), Some(Manager::Husky));
        let text = "# File generated by pre-commit: https://pre-commit.com\n";
        assert_eq!(Manager::of(Path::new("/r/.git/hooks/pre-push"), text), Some(Manager::PreCommit));
        assert_eq!(
            Manager::of(Path::new("/r/.git/hooks/pre-push"), "call_lefthook run"),
            Some(Manager::Lefthook)
        );
    }
}
