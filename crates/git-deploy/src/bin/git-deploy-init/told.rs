//! What setting up tells: what was done, what is in the way, what comes next.

use std::path::{Display, Path};

use git_deploy_cli::Shell;
use git_deploy_core::config::DEPLOY_TOML;
use git_deploy_core::ops::init::{HookStep, Manager, STARTER, Step, Undone};

use crate::scripts;

pub(crate) fn set_up(steps: &[Step], shell: &mut Shell) {
    for step in steps {
        tell(step, shell);
    }
    if steps.iter().any(Step::is_change) {
        next(steps, shell);
    } else if !steps.iter().any(Step::is_in_the_way) {
        shell.line("nothing to do: this repository is set up");
    }
}

fn tell(step: &Step, shell: &mut Shell) {
    match step {
        Step::Wrote(path) => shell.line(format!("wrote '{path}'")),
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
        Step::Configured("base", _, value) => {
            shell.line(format!("configured 'deploy.base = {value}': branches land on '{value}'"));
            shell.hint("for another one: git config deploy.base <branch>");
        }
        Step::Configured("fetch", key, value) => {
            shell.line(format!("configured '{key} = {value}': git fetch brings the states of others"));
        }
        Step::Configured(_, key, value) => {
            shell.line(format!("configured '{key} = {value}': git log shows the states"));
        }
        Step::ConfiguredBefore(key) => shell.verbose(1, format!("'{key}' is configured")),
        Step::NoBase => {
            shell.warn("there is no branch 'master' for branches to land on, and no branch is checked out");
            shell.hint("git config deploy.base <branch>");
        }
    }
}

fn hook(name: &str, path: &Path, step: &HookStep, shell: &mut Shell) {
    let shown = short(path);
    match step {
        HookStep::Installed => shell.line(format!("installed hook '{shown}'")),
        HookStep::Upgraded => shell.line(format!("upgraded hook '{shown}'")),
        HookStep::Stands => shell.verbose(1, format!("hook '{shown}' is there")),
        HookStep::Calls => shell.verbose(1, format!("hook '{shown}' calls 'git-deploy-hook'")),
        HookStep::Useless => shell.verbose(1, format!("git runs no '{name}' in a bare repository")),
        HookStep::Foreign(manager) => foreign(name, path, *manager, shell),
    }
}

/// The line goes to standard output as it is, to be copied.
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
    match manager {
        Some(Manager::Lefthook) => {
            let stdin = if name == "pre-push" { ", with 'use_stdin: true'" } else { "" };
            shell.hint(format!("let a command in 'lefthook.yml' run this{stdin}:"));
            let arguments = if name == "pre-push" { "{1} {2}" } else { "{1}" };
            return shell.line(format!("git-deploy-hook {name} {arguments}"));
        }
        Some(Manager::Husky) => {
            let place = path.ancestors().find(|folder| folder.ends_with(".husky")).unwrap_or(path).join(name);
            shell.hint(format!("put this line at the beginning of '{}':", short(&place)));
        }
        Some(Manager::PreCommit) => {
            shell.hint(format!("put this line into a script '{shown}.legacy', which it runs too:"));
        }
        None => shell.hint("put this line behind the first one of it:"),
    }
    shell.line(scripts::line(name));
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
}

pub(crate) fn removed(undone: &[Undone], shell: &mut Shell) {
    for undone in undone {
        match undone {
            Undone::Hook(path) => shell.line(format!("removed hook '{}'", short(path))),
            Undone::Config(key, value) => {
                shell.line(format!("removed '{key} = {value}' from the configuration"));
            }
            Undone::File(path) => shell.line(format!("removed '{path}'")),
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
        shell.line("nothing to undo: this repository is not set up");
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
