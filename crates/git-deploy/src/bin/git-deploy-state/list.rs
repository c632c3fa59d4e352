//! `git deploy-state list`

use std::collections::HashMap;

use git_deploy_cli::args::{Format, List};
use git_deploy_cli::shell::Table;
use git_deploy_cli::{
    CommandError, Exit, Shell, Text, ask_again, note_unmerged, shell, shell_word, warn_of_notes,
};
use git_deploy_core::approval::NotApproved;
use git_deploy_core::branch::Branch;
use git_deploy_core::config::{ConfigError, InsteadOfBase};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

use crate::describe::{self, Beside};
use crate::{differs, stale};

/// Prints the branches that count for the queue, with their states.
pub(crate) fn list(arguments: &List, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    if arguments.stale {
        return stale::list(&view, arguments, shell);
    }
    let wanted = &arguments.states;
    let all = view.authority_branches()?;
    let is_wanted = |branch: &&Branch| wanted.is_empty() || wanted.contains(&branch.state());
    let branches: Vec<&Branch> = all.branches.iter().filter(is_wanted).collect();
    let mut unapproved = HashMap::new();
    for branch in &branches {
        unapproved.extend(view.looks_unapproved(branch)?.map(|why| (&branch.name, why)));
    }
    let beside = match arguments.output.format() {
        Format::Porcelain { .. } => Beside::default(),
        Format::Human | Format::Json => Beside::look(&view, &branches),
    };
    let lacks_all = tell_of_base(&view, shell)?;
    match arguments.output.format() {
        Format::Human => {
            // Where there are others that can have no state, that is said instead.
            let none_left_out = all.not_utf8 == 0 && all.odd.is_empty();
            let is_empty = branches.is_empty() && (none_left_out || !wanted.is_empty());
            if is_empty && !lacks_all {
                note_nothing(&view, wanted, shell);
            }
            print(&branches, &beside, &unapproved, shell);
        }
        format => {
            for branch in &branches {
                describe::print(branch, &beside, unapproved.get(&branch.name), format, shell);
            }
        }
    }
    warn_of_notes(&view, &all.malformed, shell)?;
    note_left_out(all.not_utf8, shell);
    note_odd(&all.odd, shell);
    let taken = branches.iter().filter(|branch| beside.taken(branch).is_some()).map(|branch| &branch.name);
    ask_again(taken).into_iter().for_each(|hint| shell.hint(hint));
    for branch in branches {
        describe::warn_of_stray_note(&view, branch, shell)?;
        describe::hint_at(branch, &beside, shell);
    }
    differs::note_all(&view, &all.branches, shell)?;
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

/// Says so where base is not there, by which it is judged what has landed. Returns whether no branch is there at all.
fn tell_of_base(view: &View<'_>, shell: &mut Shell) -> Result<bool, CommandError> {
    let missing = match view.settings.base_tip(view.repository) {
        Ok(_) => return Ok(false),
        Err(error @ ConfigError::NoBase { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    let lacks_all = matches!(missing, ConfigError::NoBase { instead: InsteadOfBase::NoCommits, .. });
    let missing = CommandError::from(missing);
    match lacks_all {
        true => shell.note("there is no branch yet"),
        false => shell.warn(missing.message()),
    }
    missing.hints().iter().for_each(|hint| shell.hint(hint));
    Ok(lacks_all)
}

fn note_nothing(view: &View<'_>, wanted: &[State], shell: &mut Shell) {
    let place = match &view.settings.remote {
        Some(tracking) => format!(" on '{}'", tracking.remote()),
        None => String::new(),
    };
    shell.note(match wanted {
        [] => format!("there is no branch{place} but base"),
        wanted => format!("no branch{place} is {}", words(wanted)),
    });
}

/// Says how many branches are in no list.
fn note_left_out(count: usize, shell: &mut Shell) {
    match count {
        0 => return,
        1 => shell.note("1 branch is left out: its name is not UTF-8, so that it can have no state"),
        _ => shell.note(format!(
            "{count} branches are left out: their names are not UTF-8, so that they can have no state"
        )),
    }
    shell.hint("rename what is to be deployed: git branch -m <branch> <new name>");
}

/// Says which branches are in no list because git itself would not make them.
fn note_odd(odd: &[String], shell: &mut Shell) {
    for name in odd {
        shell.note(format!(
            "branch '{name}' is left out: git allows no such name, so that it can have no state"
        ));
        let full = shell_word(&format!("refs/heads/{name}"));
        shell.hint(format!("give its commits another name: git branch <new name> {full}"));
    }
}

fn print(
    branches: &[&Branch],
    beside: &Beside,
    unapproved: &HashMap<&RefName, NotApproved>,
    shell: &mut Shell,
) {
    let mut table = Table::new();
    for branch in branches {
        table.row([
            describe::state(branch.state()),
            Text::new().styled(shell::NAME, branch.name.short()),
            Text::new().styled(shell::COMMIT, branch.tip.brief()),
            match unapproved.get(&branch.name) {
                Some(why) => Text::new()
                    .styled(shell::HINT, format!("not approved: {why}"))
                    .plain(", ")
                    .joined(describe::details(branch, beside, shell::brief)),
                None => describe::details(branch, beside, shell::brief),
            },
        ]);
    }
    table.print(shell);
}

pub(crate) fn words(states: &[State]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ")
}
