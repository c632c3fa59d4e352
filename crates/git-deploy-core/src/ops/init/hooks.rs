//! Which hooks are installed, and what is ours among those that stand there.
//!
//! A hook is ours if we know its very bytes: those of today's script, or those that the record says we wrote. A hook that
//! somebody has changed since is theirs, and so is one that is a link.
//!
//! A script in the folder is what every git runs, also the one that another program brings along, and so it is what we
//! install wherever the folder is ours to write to. Only beside hooks of somebody else git's configuration is used
//! (`hook.<name>.command`, from git 2.54 on): there the alternative is that nothing runs at all.

use std::path::{Path, PathBuf};

use crate::git::setup::{FoundFile, HooksFolder, digest, read_file};
use crate::git::version::Version;
use crate::git::{GitError, Repository};

use super::managers::{Manager, beside, calls, file_calls};
use super::record::{Entry, Record};
use super::{Action, InitError, Plan, Request, Step, Task};

/// The first git that runs hooks which its configuration names.
const CONFIGURED_HOOKS: Version = Version::new(2, 54);

/// A hook script of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// The name of the hook, as in `pre-push`.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
    /// Where it belongs.
    pub place: Place,
    /// Whether it is installed only where that is asked for. Once it is there it is kept up like the others.
    pub on_request: bool,
}

/// In which repositories a hook belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In all of them.
    Anywhere,
    /// Where there is a work tree: git never runs it elsewhere.
    WorkTree,
    /// Where others push to.
    Server,
}

impl Script {
    /// The name of the hook in git's configuration, which must not be that of an event.
    fn key(&self, key: &str) -> String {
        format!("hook.git-deploy-{}.{key}", self.name)
    }

    /// What git's configuration has for it: the same as the script, in one line. Git adds the arguments at its end.
    fn command(&self) -> String {
        let path = "PATH=$PATH:$HOME/.local/bin:$HOME/.cargo/bin";
        // What a server cannot look at it must not take.
        if self.place == Place::Server {
            return format!("f() {{ {path}; git-deploy-hook {}; }}; f", self.name);
        }
        let there = "command -v git-deploy-hook >/dev/null 2>&1 || return 0";
        format!("f() {{ {path}; {there}; git-deploy-hook {} \"$@\"; [ $? -ne 1 ]; }}; f", self.name)
    }
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
    /// Git's configuration names it, beside a hook of somebody else, which was left as it is; whether that is new.
    Configured(bool),
    /// A hook of somebody else was left as it is.
    Foreign(Foreign),
    /// Git never runs it here.
    Useless,
}

/// Why a hook was not installed, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Whose hooks these are, if that is known.
    pub manager: Option<Manager>,
    /// The file that is to call ours.
    pub place: PathBuf,
    /// Whether the folder serves other repositories too.
    pub shared: bool,
    /// Where the hook leads, if it is a link; a link that leads nowhere leads to itself.
    pub link: Option<PathBuf>,
    /// How ours comes to run beside it.
    pub way: Way,
    /// Whether git passes over it, as it may not be executed.
    pub may_not_run: bool,
}

/// How our hook comes to run beside one of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A line in it, or in the file of its manager, calls ours.
    Line,
    /// A script in its place runs both: it is no script for sh, or one outside of this repository that others run too.
    Script,
    /// It calls ours already, and git runs nothing that may not be executed.
    Mode,
    /// It runs nothing itself, as it leads nowhere, and has to be taken away.
    Nothing,
    /// It is a folder, on which git fails, and has to be moved away.
    Folder,
}

/// Decides about all hooks.
pub(super) fn plan(
    repository: &Repository,
    request: Request<'_>,
    record: &Record,
    plan: &mut Plan,
) -> Result<(), InitError> {
    let scripts = request.scripts;
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
        if bare && script.place == Place::WorkTree {
            plan.steps.push(Step::Hook(script.name, path, HookStep::Useless));
            continue;
        }
        let top = repository.paths().work_tree.as_deref();
        let (path, step) = Decision { script, shared, top, record }.at(path)?;
        let is_there = matches!(step, HookStep::Upgraded | HookStep::Stands | HookStep::Calls)
            || record.has_configured(&script.key("command"))
            || record.has_requested(script.name);
        let is_requested = script.on_request && request.requested.contains(&script.name);
        if script.on_request && !is_requested && !is_there {
            continue;
        }
        // Where one of somebody else is in the way there is nothing else yet to know that by.
        if is_requested && !record.has_requested(script.name) {
            let entry = Some(Entry::Requested { hook: script.name.to_owned() });
            plan.tasks.push(Task { entry, action: Action::Remember });
        }
        let step = match step {
            HookStep::Foreign(Foreign { way, .. })
                if way != Way::Folder && Version::of_git().map_err(GitError::from)? >= CONFIGURED_HOOKS =>
            {
                remove_leftovers(script, &path, record, plan)?;
                HookStep::Configured(configure(repository, script, record, plan)?)
            }
            step @ HookStep::Foreign(_) => step,
            step => {
                unconfigure(repository, script, record, plan)?;
                step
            }
        };
        if matches!(step, HookStep::Installed | HookStep::Upgraded) {
            plan.tasks.push(write(script, path.clone())?);
        }
        plan.steps.push(Step::Hook(script.name, path, step));
    }
    Ok(())
}

fn write(script: &Script, path: PathBuf) -> Result<Task, InitError> {
    let digest = digest(script.text.as_bytes())?;
    Ok(Task {
        entry: Some(Entry::Hook { digest, path: path.to_string_lossy().into_owned() }),
        action: Action::Write { path, text: script.text.to_owned(), executable: true },
    })
}

/// What a decision about one hook is made from.
struct Decision<'a> {
    script: &'a Script,
    /// Whether the folder serves other repositories too.
    shared: bool,
    top: Option<&'a Path>,
    record: &'a Record,
}

impl Decision<'_> {
    /// Where the hook belongs, and what is to be done there.
    fn at(&self, path: PathBuf) -> Result<(PathBuf, HookStep), InitError> {
        // What is there but cannot be read, as a folder or a link that leads nowhere, is left alone.
        let Ok(found) = read_file(&path) else { return Ok(self.left(path, None, None)) };
        if let Some(step) = found.as_ref().map(|found| self.ours(found)).transpose()?.flatten() {
            return Ok((path, step));
        }
        let text = found.as_ref().map(|found| String::from_utf8_lossy(&found.bytes));
        if text.as_ref().is_some_and(|text| calls(text, self.script.name)) {
            let may_run = found.as_ref().is_some_and(|found| found.executable);
            return Ok(if may_run { (path, HookStep::Calls) } else { self.may_not_run(path) });
        }
        match Manager::of(&path, text.as_deref().unwrap_or_default()) {
            Some(manager) => self.beside(path, manager),
            None if found.is_none() && !self.shared => Ok((path, HookStep::Installed)),
            None => Ok(self.left(path, None, found.as_ref())),
        }
    }

    /// The same beside a program that looks after hooks. Where it has none yet it still has a place for ours: husky, say,
    /// writes its folder anew at each installation, and what we put there would be lost.
    fn beside(&self, path: PathBuf, manager: Manager) -> Result<(PathBuf, HookStep), InitError> {
        let place = manager.place(&path, self.top);
        if manager.chains() {
            match read_file(&place) {
                Ok(None) if !self.shared => return Ok((place, HookStep::Installed)),
                Ok(Some(found)) => {
                    if let Some(step) = self.ours(&found)? {
                        return Ok((place, step));
                    }
                }
                Ok(None) | Err(_) => {}
            }
        }
        let mut callers = manager.callers(&path, self.top).into_iter();
        match callers.find(|file| file_calls(file, self.script.name)) {
            Some(caller) => Ok((caller, HookStep::Calls)),
            None => Ok(self.left(path, Some(manager), None)),
        }
    }

    fn left(
        &self,
        path: PathBuf,
        manager: Option<Manager>,
        found: Option<&FoundFile>,
    ) -> (PathBuf, HookStep) {
        let link = path.is_symlink().then(|| path.canonicalize().unwrap_or_else(|_| path.clone()));
        let (place, way) = match (manager, &link, found) {
            (Some(manager), ..) => (manager.place(&path, self.top), Way::Line),
            (None, Some(target), None) if *target == path => (path.clone(), Way::Nothing),
            (None, _, None) if path.is_dir() => (path.clone(), Way::Folder),
            (None, Some(target), Some(found)) if is_for_sh(&found.bytes) && self.is_inside(target, &path) => {
                (target.clone(), Way::Line)
            }
            (None, None, Some(found)) if is_for_sh(&found.bytes) => (path.clone(), Way::Line),
            (None, _, Some(_)) => (path.clone(), Way::Script),
            (None, _, None) => (path.clone(), Way::Line),
        };
        let may_not_run = found.is_some_and(|found| !found.executable);
        (path, HookStep::Foreign(Foreign { manager, place, shared: self.shared, link, way, may_not_run }))
    }

    fn may_not_run(&self, path: PathBuf) -> (PathBuf, HookStep) {
        let foreign = Foreign {
            manager: None,
            place: path.clone(),
            shared: self.shared,
            link: None,
            way: Way::Mode,
            may_not_run: true,
        };
        (path, HookStep::Foreign(foreign))
    }

    /// Whether what a hook leads to belongs to this repository.
    fn is_inside(&self, target: &Path, hook: &Path) -> bool {
        let homes = [self.top, hook.parent()].into_iter().flatten();
        homes.filter_map(|home| home.canonicalize().ok()).any(|home| target.starts_with(home))
    }

    /// What is to be done about a hook that is ours; none if it is not.
    fn ours(&self, found: &FoundFile) -> Result<Option<HookStep>, InitError> {
        if found.bytes == self.script.text.as_bytes() {
            // A link is somebody's; it leads to what we would write.
            return Ok(Some(match found {
                FoundFile { executable: true, is_link: false, .. } => HookStep::Stands,
                FoundFile { is_link: true, .. } => HookStep::Calls,
                FoundFile { .. } => HookStep::Upgraded,
            }));
        }
        let known = !found.is_link && self.record.knows_hook(&digest(&found.bytes)?);
        Ok(known.then_some(HookStep::Upgraded))
    }
}

/// Whether sh runs these bytes, as git has it run what names no interpreter.
fn is_for_sh(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(interpreter) = first.strip_prefix(b"#!") else { return !bytes.contains(&0) };
    let words = String::from_utf8_lossy(interpreter);
    let mut names = words.split_whitespace().filter_map(|word| word.rsplit('/').next());
    names.any(|name| ["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"].contains(&name))
}

/// Has git's configuration name the hook. Returns whether that is new.
fn configure(
    repository: &Repository,
    script: &Script,
    record: &Record,
    plan: &mut Plan,
) -> Result<bool, InitError> {
    let before = plan.tasks.len();
    // The command first: an event without a command is a mistake for which git stops.
    for (key, value) in [("command", script.command()), ("event", script.name.to_owned())] {
        let key = script.key(key);
        let values = repository.own_config(&key)?;
        // One that the user has changed is the user's.
        if values.last().is_none_or(|there| *there != value && record.configured(&key, there)) {
            let entry = Some(Entry::Config { key: key.clone(), value: value.clone() });
            plan.tasks.push(Task { entry, action: Action::Replace { key, value } });
        }
    }
    Ok(plan.tasks.len() > before)
}

/// Takes it out again where a script runs, or it would run twice.
fn unconfigure(
    repository: &Repository,
    script: &Script,
    record: &Record,
    plan: &mut Plan,
) -> Result<(), InitError> {
    for key in
        [script.key("event"), script.key("command")].into_iter().filter(|key| record.has_configured(key))
    {
        for value in repository.own_config(&key)?.into_iter().filter(|value| record.configured(&key, value)) {
            plan.steps.push(Step::Unconfigured(key.clone()));
            plan.tasks.push(Task { entry: None, action: Action::Unconfigure { key: key.clone(), value } });
        }
    }
    Ok(())
}

/// Takes away scripts of ours that git runs no more, where its configuration names the hook instead: they would run as well
/// as soon as the manager is taken out.
fn remove_leftovers(script: &Script, path: &Path, record: &Record, plan: &mut Plan) -> Result<(), InitError> {
    let name_is = |path: &Path| path.file_name().is_some_and(|name| name == script.name);
    let recorded = record.hooks().filter(|recorded| name_is(recorded) && *recorded != path);
    let candidates = recorded.chain([beside(path, "old")]);
    for path in candidates {
        if is_ours(&path, &[*script], record)? {
            plan.tasks.push(Task { entry: None, action: Action::Remove { path } });
        }
    }
    Ok(())
}

/// Whether a file is there whose very bytes we have written.
pub(super) fn is_ours(path: &Path, scripts: &[Script], record: &Record) -> Result<bool, InitError> {
    let Some(found) = read_file(path).ok().flatten().filter(|found| !found.is_link) else { return Ok(false) };
    let ours = scripts.iter().any(|script| script.text.as_bytes() == found.bytes);
    Ok(ours || record.knows_hook(&digest(&found.bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_sh_goes_only_into_what_sh_runs() {
        for text in ["#!/bin/sh\n", "#! /usr/bin/env bash\n", "#!/bin/busybox ash", "echo x\n", ""] {
            assert!(is_for_sh(text.as_bytes()), "{text}");
        }
        for text in ["#!/usr/bin/env python3\n#!/bin/sh\n", "#!/usr/bin/perl -w\n", "\u{7f}ELF\0\n", "#!"] {
            assert!(!is_for_sh(text.as_bytes()), "{text}");
        }
    }
}
