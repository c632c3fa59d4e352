//! What setting up tells: what was done, what is in the way, what comes next.

use std::path::{Display, Path};

use git_deploy_cli::{Shell, Text};
use git_deploy_core::config::DEPLOY_TOML;
use git_deploy_core::ops::init::{HookStep, Manager, STARTER, Setting, Step, Undone};

use crate::scripts;

pub(crate) fn set_up(steps: &[Step], shell: &mut Shell) {
    for step in steps {
        tell(step, shell);
    }
    if steps.iter().any(Step::is_change) {
        next(steps, shell);
    } else if !steps.iter().any(Step::is_in_the_way) {
        told(shell, "nothing to do: this repository is set up");
    }
}

/// What was done, for whoever does not want to hear of warnings alone.
fn told(shell: &mut Shell, text: impl Into<Text>) {
    if !shell.is_quiet() {
        shell.line(text);
    }
}

fn tell(step: &Step, shell: &mut Shell) {
    match step {
        Step::Wrote(path) => told(shell, format!("wrote '{path}'")),
        Step::Stands(path) => shell.verbose(1, format!("'{path}' is there")),
        Step::Kept(path) => shell.note(format!("'{path}' is there already and was left as it is")),
        Step::OnBase(path, base) => shell.note(format!("'{path}' is on '{}' already", base.short())),
        Step::NoWorkTree => shell.note(format!(
            "no '{DEPLOY_TOML}' was written, as this repository has no work tree: run 'git deploy-init' in a clone"
        )),
        Step::Hook(name, path, step) => hook(name, path, step, shell),
        Step::HooksOff(value) => {
            shell.warn(format!("no hooks were installed: 'core.hooksPath' is '{value}', which is no folder"));
            shell.hint("git config core.hooksPath <folder>, or without hooks: git deploy-init --no-hooks");
        }
        Step::Configured(Setting::Base, _, value) => {
            told(shell, format!("configured 'deploy.base = {value}': branches land on '{value}'"));
            shell.hint("for another one: git config deploy.base <branch>");
        }
        Step::Configured(Setting::Fetch, key, value) => {
            told(shell, format!("configured '{key} = {value}': git fetch brings the states of others"));
        }
        Step::Configured(Setting::Display, key, value) => {
            told(shell, format!("configured '{key} = {value}': git log shows the states"));
        }
        Step::ConfiguredBefore(key) => shell.verbose(1, format!("'{key}' is configured")),
        Step::NoBase(branches) => {
            shell.warn(match branches.as_slice() {
                [] => "there is no branch 'master' for branches to land on, and no other".to_owned(),
                branches => format!(
                    "there is no branch 'master' or 'main', and {} others: which one do branches land on?",
                    branches.len()
                ),
            });
            shell.hint("git config deploy.base <branch>");
        }
    }
}

fn hook(name: &str, path: &Path, step: &HookStep, shell: &mut Shell) {
    let shown = short(path);
    match step {
        HookStep::Installed => told(shell, format!("installed hook '{shown}'")),
        HookStep::Upgraded => told(shell, format!("upgraded hook '{shown}'")),
        HookStep::Stands => shell.verbose(1, format!("hook '{shown}' is there")),
        HookStep::Calls => shell.verbose(1, format!("hook '{shown}' calls 'git-deploy-hook'")),
        HookStep::Useless => shell.verbose(1, format!("git runs no '{name}' in a bare repository")),
        HookStep::Foreign(manager) => foreign(name, path, *manager, shell),
    }
}

/// The line goes to standard output as it is, to be copied; to somebody who wants to hear of warnings alone it is one.
fn foreign(name: &str, path: &Path, manager: Option<Manager>, shell: &mut Shell) {
    let shown = short(path);
    let why = match manager {
        _ if !path.exists() && manager.is_none() => "its folder serves other repositories too",
        Some(Manager::Husky) => "it belongs to husky",
        Some(Manager::Lefthook) => "it belongs to lefthook",
        Some(Manager::PreCommit) => "it belongs to pre-commit",
        None => "it is there already and is not ours",
    };
    shell.warn(format!("hook '{shown}' was left as it is: {why}"));
    let (what, line) = line_for(name, path, manager);
    if shell.is_quiet() {
        shell.warn(format!("{what} {line}"));
    } else {
        shell.hint(what);
        shell.line(line);
    }
}

/// What to do with which line.
fn line_for(name: &str, path: &Path, manager: Option<Manager>) -> (String, String) {
    let what = match manager {
        Some(Manager::Lefthook) => {
            let (stdin, arguments) = match name {
                "pre-push" => (", with 'use_stdin: true'", "{1} {2}"),
                _ => ("", "{1}"),
            };
            let what = format!("let a command in 'lefthook.yml' run this{stdin}:");
            return (what, format!("git-deploy-hook {name} {arguments}"));
        }
        Some(Manager::Husky) => {
            let place = path.ancestors().find(|folder| folder.ends_with(".husky")).unwrap_or(path).join(name);
            format!("put this line at the beginning of '{}':", short(&place))
        }
        Some(Manager::PreCommit) => {
            format!("put this line into a script '{}.legacy', which it runs too:", short(path))
        }
        None => format!("put this line behind the first one of '{}':", short(path)),
    };
    (what, scripts::line(name))
}

fn next(steps: &[Step], shell: &mut Shell) {
    let wrote = |name: &str| steps.iter().any(|step| matches!(step, Step::Wrote(path) if path == name));
    let (folder, starter) = STARTER;
    if wrote(DEPLOY_TOML) {
        shell.hint(format!("look into '{DEPLOY_TOML}', and put manifests below '{folder}'"));
    }
    let files: Vec<&str> = [DEPLOY_TOML, starter].into_iter().filter(|name| wrote(name)).collect();
    if !files.is_empty() {
        let files = files.join(" ");
        shell.hint(format!("git add {files} && git commit -m 'Set up git-deploy'"));
        shell
            .hint("then, for a branch that is ready: git deploy-state set deployable <branch> && git deploy");
    }
    if steps.iter().any(|step| matches!(step, Step::Configured(Setting::Fetch, ..))) {
        shell.hint("bring the states and deployments that others have published: git deploy-sync");
    }
}

pub(crate) fn removed(undone: &[Undone], shell: &mut Shell) {
    for undone in undone {
        match undone {
            Undone::Hook(path) => told(shell, format!("removed hook '{}'", short(path))),
            Undone::Config(key, value) => {
                told(shell, format!("removed '{key} = {value}' from the configuration"));
            }
            Undone::File(path) => told(shell, format!("removed '{path}'")),
            Undone::HookCalls(path) => shell.note(format!(
                "hook '{}' was left as it is: take out its line with 'git-deploy-hook' yourself",
                short(path)
            )),
            Undone::Tracked(path) => {
                shell.note(format!("'{path}' was left, because git tracks it"));
                shell.hint(format!("git rm {path}"));
            }
            Undone::Changed(path) => {
                shell.note(format!("'{path}' was left, because it was changed"));
                shell.hint(format!("rm {path}"));
            }
        }
    }
    if undone.is_empty() {
        told(shell, "nothing to undo: this repository is not set up");
    } else {
        shell.note("states and deployments stay: they are in refs/notes/deploy and in the tags deployment-*");
    }
}

/// A path as one would type it here.
fn short(path: &Path) -> Display<'_> {
    let here = std::env::current_dir();
    let below = here.ok().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).display()
}
