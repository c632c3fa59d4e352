//! `git deploy-state get`

use git_deploy_cli::args::{Format, Get};
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_unmerged, shell};
use git_deploy_core::branch::Branch;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::view::View;

use crate::{describe, named};

/// Prints the state of branches. All are read before one is printed, so that the lines are those of the arguments.
pub(crate) fn get(arguments: &Get, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let mut branches: Vec<Branch> = Vec::new();
    for name in named(&view, &arguments.branches)? {
        branches.push(view.branch(&name)?.0);
    }
    let format = arguments.output.format();
    for branch in &branches {
        match format {
            Format::Human => {
                shell.line(describe::state(branch.state()));
                shell.verbose(1, explained(branch));
            }
            Format::Porcelain { .. } | Format::Json => describe::print(branch, format, shell),
        }
    }
    for branch in &branches {
        if branch.name == view.settings.base {
            shell.note(format!("'{}' is the base that branches land on", branch.name.short()));
        }
        describe::warn_of_stray_note(&view, branch, shell)?;
    }
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

fn explained(branch: &Branch) -> Text {
    Text::new()
        .styled(shell::NAME, &branch.name)
        .plain(" ")
        .styled(shell::COMMIT, branch.tip.brief())
        .plain(" ")
        .joined(describe::details(branch, str::to_owned))
}
