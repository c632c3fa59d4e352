//! What setting up tells: what was done, what is in the way, what comes next.

use std::path::{Display, Path};

use git_deploy_cli::{Shell, Text, shell_word};
use git_deploy_core::config::DEPLOY_TOML;
use git_deploy_core::ops::init::{
    Fault, Foreign, Head, HookStep, Manager, STARTER, Setting, Step, Undone, Way,
};

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
        Step::Faulty(path, fault) => {
            shell.warn(format!("'{path}' was left as it is, and nothing can be deployed with it: {fault}"));
            shell.hint(match fault {
                Fault::Mistake(_) => "mend it there, and commit that".to_owned(),
                Fault::Unreadable(_) => format!("see whose it is and who may read it: ls -ld {}", shell_word(path)),
                Fault::Folder | Fault::Link(_) => {
                    let path = shell_word(path);
                    format!("move it away, then set up again: mv -i {path} {path}.own && git deploy-init")
                }
            });
        }
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
        Step::Unconfigured(key) => told(shell, format!("removed '{key}' from the configuration")),
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
        Step::Head(head) => odd_head(head, shell),
    }
}

/// What a `HEAD` would do that does not go with base.
fn odd_head(Head { head, is_there, base }: &Head, shell: &mut Shell) {
    let (head, base) = (head.short(), base.short());
    if head == base {
        shell.warn(format!("HEAD names '{head}', which is not there: no other branch is kept from moving"));
        return shell.hint("if another one is base: git symbolic-ref HEAD refs/heads/<branch>");
    }
    let gone = if *is_there { "" } else { ", which is not there" };
    shell.warn(format!(
        "HEAD names '{head}'{gone}, and base is '{base}' here: clones that have no 'deploy.base' take HEAD for it"
    ));
    shell.hint(format!("git symbolic-ref HEAD {}", shell_word(&format!("refs/heads/{base}"))));
    if *is_there {
        shell.hint(format!("or, if branches land on '{head}': git config deploy.base {}", shell_word(head)));
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
        HookStep::Configured(true) => told(
            shell,
            format!(
                "configured 'hook.git-deploy-{name}': git runs ours beside '{shown}', from version 2.54 on"
            ),
        ),
        HookStep::Configured(false) => shell.verbose(1, format!("'hook.git-deploy-{name}' is configured")),
        HookStep::Foreign(foreign) => left(name, path, foreign, shell),
    }
}

/// The line goes to standard output as it is, to be copied; to somebody who wants to hear of warnings alone it is one.
fn left(name: &str, path: &Path, foreign: &Foreign, shell: &mut Shell) {
    let shown = short(path);
    let why = match foreign.manager {
        Some(manager) => format!("it belongs to {}", called(manager)),
        None if foreign.way == Way::Nothing => "it is a link that leads nowhere".to_owned(),
        None if foreign.way == Way::Mode => "it may not be executed, so that git does not run it".to_owned(),
        None if foreign.way == Way::Folder => "it is a folder, which git cannot run".to_owned(),
        None if foreign.shared && !path.exists() => "its folder serves other repositories too".to_owned(),
        None => match &foreign.link {
            Some(target) => format!("it is a link to '{}'", short(target)),
            None => "it is there already and is not ours".to_owned(),
        },
    };
    shell.warn(format!("hook '{shown}' was left as it is: {why}"));
    let first = match foreign.way {
        Way::Line => (where_to(foreign), scripts::line(name)),
        Way::Script => ("have a script in its place run both:".to_owned(), in_its_place(name, path)),
        Way::Mode => ("let it be executed:".to_owned(), format!("chmod +x {}", typed(path))),
        Way::Folder => {
            let hook = typed(path);
            let command = format!("mv -i {hook} {hook}.own && git deploy-init");
            ("move it away, then set up again:".to_owned(), command)
        }
        Way::Nothing => {
            ("take it away, then set up again:".to_owned(), format!("rm {} && git deploy-init", typed(path)))
        }
    };
    let lines = [first].into_iter().chain(further(name, foreign)).chain(executed(path, foreign));
    for (what, line) in lines {
        if shell.is_quiet() {
            shell.warn(format!("{what} {line}"));
        } else {
            shell.hint(what);
            shell.line(line);
        }
    }
}

fn called(manager: Manager) -> &'static str {
    match manager {
        Manager::Husky => "husky",
        Manager::Lefthook => "lefthook",
        Manager::PreCommit => "pre-commit",
        Manager::Prek => "prek",
    }
}

/// In which file the line belongs.
fn where_to(foreign: &Foreign) -> String {
    let place = short(&foreign.place);
    match foreign.manager {
        Some(Manager::Husky) => format!("put this line at the beginning of '{place}':"),
        Some(Manager::Lefthook) => format!("put this line into a script '{place}':"),
        Some(manager @ (Manager::PreCommit | Manager::Prek)) => {
            format!("put this line behind the first one of '{place}', which {} runs too:", called(manager))
        }
        None if !foreign.place.exists() => {
            format!(
                "write a script '{place}' that may be executed, with '#!/bin/sh' in its first line and this behind it:"
            )
        }
        None => format!("put this line behind the first one of '{place}':"),
    }
}

/// What else has to be done. A command of lefthook's would be left out where no file was changed, as when a tag is deleted;
/// a script never is.
fn further(name: &str, foreign: &Foreign) -> Option<(String, String)> {
    let line = format!("{name}: {{scripts: {{git-deploy: {{runner: sh, use_stdin: true}}}}}}");
    let what = "and this into 'lefthook.yml', or its inner part into what stands there:";
    (foreign.manager == Some(Manager::Lefthook)).then(|| (what.to_owned(), line))
}

/// Git passes over a hook that may not be executed, and so over our line in it.
fn executed(path: &Path, foreign: &Foreign) -> Option<(String, String)> {
    let what = "and let it be executed, or git does not run it:";
    (foreign.may_not_run && foreign.way == Way::Line)
        .then(|| (what.to_owned(), format!("chmod +x {}", typed(path))))
}

/// What moves a hook, link or not, beside its place and puts a script there that runs ours and then it.
fn in_its_place(name: &str, path: &Path) -> String {
    let (hook, line) = (typed(path), shell_word(&scripts::line(name)));
    format!(
        "mv -i {hook} {hook}.own && printf '%s\\n' '#!/bin/sh' {line} '[ ! -x \"$0.own\" ] || exec \"$0.own\" \"$@\"' >{hook} && chmod +x {hook}"
    )
}

fn next(steps: &[Step], shell: &mut Shell) {
    let wrote = |name: &str| steps.iter().any(|step| matches!(step, Step::Wrote(path) if path == name));
    let (folder, starter) = STARTER;
    if wrote(DEPLOY_TOML) {
        shell.note(format!(
            "whoever can push can approve what is deployed, unless [approve] in '{DEPLOY_TOML}' says who may"
        ));
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
            Undone::Config(key, _) if key.starts_with("hook.") => {
                told(shell, format!("removed '{key}' from the configuration"));
            }
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
                shell.hint(format!("git rm {}", shell_word(path)));
            }
            Undone::Changed(path) => {
                shell.note(format!("'{path}' was left, because it was changed"));
                shell.hint(format!("rm {path}"));
            }
            Undone::Elsewhere { top, name, is_tracked } => {
                let (path, top) = (top.join(name).display().to_string(), top.display().to_string());
                shell.note(format!("'{path}' was left, because it is in another work tree"));
                let remove = match is_tracked {
                    true => format!("git -C {} rm {}", shell_word(&top), shell_word(name)),
                    false => format!("rm {}", shell_word(&path)),
                };
                shell.hint(format!("unless that is to keep it: {remove}"));
            }
            Undone::Outside(folder) => {
                let folder = folder.display();
                shell.note(format!(
                    "'{folder}' is outside of this repository: others whose core.hooksPath leads there have lost these hooks, too"
                ));
                shell.hint("to have them again, in each of those: git deploy-init");
            }
        }
    }
    if undone.is_empty() {
        told(shell, "nothing to undo: this repository is not set up");
    } else {
        shell.note("states and deployments stay: they are in refs/notes/deploy and in the tags deployment-*");
    }
}

fn typed(path: &Path) -> String {
    shell_word(&short(path).to_string())
}

/// A path as one would type it here.
fn short(path: &Path) -> Display<'_> {
    let here = std::env::current_dir();
    let below = here.ok().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).display()
}
