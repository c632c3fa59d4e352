//! `git deploy-state list`

use git_deploy_cli::args::{Format, List};
use git_deploy_cli::shell::Table;
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_unmerged, shell, shell_word, warn_of_note};
use git_deploy_core::branch::Branch;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

use crate::{describe, stale};

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
    match arguments.output.format() {
        Format::Human => print(&view, wanted, &branches, shell),
        format => branches.iter().for_each(|branch| describe::print(branch, format, shell)),
    }
    all.malformed.iter().for_each(|error| warn_of_note(error, shell));
    for branch in branches {
        describe::warn_of_stray_note(&view, branch, shell)?;
    }
    note_local_differences(&view, &all.branches, shell)?;
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

fn print(view: &View<'_>, wanted: &[State], branches: &[&Branch], shell: &mut Shell) {
    if branches.is_empty() {
        let place = match &view.settings.remote {
            Some(tracking) => format!(" on '{}'", tracking.remote()),
            None => String::new(),
        };
        shell.note(match wanted {
            [] => format!("there is no branch{place} but base"),
            wanted => format!("no branch{place} is {}", words(wanted)),
        });
    }
    let mut table = Table::new();
    for branch in branches {
        table.row([
            describe::state(branch.state()),
            Text::new().styled(shell::NAME, branch.name.short()),
            Text::new().styled(shell::COMMIT, branch.tip.brief()),
            describe::details(branch, shell::brief),
        ]);
    }
    table.print(shell);
}

pub(crate) fn words(states: &[State]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ")
}

/// Says which local branches are in a state that does not count, because the remote has other commits of them.
fn note_local_differences(
    view: &View<'_>,
    counting: &[Branch],
    shell: &mut Shell,
) -> Result<(), CommandError> {
    let Some(tracking) = &view.settings.remote else { return Ok(()) };
    for branch in view.local_branches()?.branches {
        let theirs = counting.iter().find(|other| other.name == branch.name);
        let (name, remote) = (branch.name.short(), tracking.remote());
        let (text, next) = match theirs {
            Some(theirs) if theirs.tip == branch.tip => continue,
            Some(theirs) => {
                let next = match view.repository.is_ancestor(theirs.tip, branch.tip)? {
                    true => format!("push it: git push {} {}", shell_word(remote), shell_word(name)),
                    false => format!("bring them together: git deploy-rebase {}", shell_word(name)),
                };
                (format!("differs from that of '{remote}'"), next)
            }
            None => {
                let next = format!("push it: git push -u {} {}", shell_word(remote), shell_word(name));
                (format!("is not on '{remote}'"), next)
            }
        };
        let text = format!("local branch '{name}' is {}, and {text}", branch.state());
        // What nobody decided on is worth a word only to somebody who asks.
        match branch.state() {
            State::Development => shell.verbose(1, text),
            State::Deployed | State::Broken => shell.note(text),
            State::Staged | State::Deployable => {
                shell.note(text);
                shell.hint(next);
            }
        }
    }
    Ok(())
}
