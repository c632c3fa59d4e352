//! `git deploy-state get`

use std::collections::HashMap;

use git_deploy_cli::args::{Format, Get};
use git_deploy_cli::{
    CommandError, Exit, Shell, Text, bring_again, note_unmerged, shell, told_taken_back, warn_of_notes_on,
};
use git_deploy_core::approval::NotApproved;
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::git::Repository;
use git_deploy_core::ops::view::View;

use crate::describe::{self, Beside};
use crate::{differs, words};

/// Prints the state of branches. All are read before one is printed, so that the lines are those of the arguments. A note
/// that cannot be read counts as none, and is told.
pub(crate) fn get(arguments: &Get, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let mut branches: Vec<(Branch, Option<NotApproved>)> = Vec::new();
    let (mut malformed, mut on_them) = (Vec::new(), HashMap::<_, Vec<_>>::new());
    let names = words(&arguments.branches)?.into_iter().map(|word| view.named_branch(word));
    for name in names.collect::<Result<Vec<_>, _>>()? {
        let (branch, error) = view.listed_branch(&name)?;
        if let Some(error) = error {
            malformed.push(error);
            let on_it = on_them.entry(branch.tip).or_default();
            if !on_it.contains(&name) {
                on_it.push(name);
            }
        }
        let unapproved = view.not_approved(&branch)?;
        branches.push((branch, unapproved));
    }
    let format = arguments.output.format();
    let named: Vec<&Branch> = branches.iter().map(|(branch, _)| branch).collect();
    let beside = match format {
        Format::Porcelain { .. } => Beside::look_quickly(&view, &named),
        Format::Human | Format::Json => Beside::look_closely(&view, &named),
    };
    for (branch, unapproved) in &branches {
        match format {
            Format::Human => {
                shell.line(describe::state(branch.state()));
                shell.verbose(1, explained(branch, &beside));
            }
            Format::Porcelain { .. } | Format::Json => {
                describe::print(branch, &beside, unapproved.as_ref(), format, shell);
            }
        }
    }
    warn_of_notes_on(&on_them, &malformed, shell);
    for (branch, unapproved) in &branches {
        if branch.name == view.settings.base {
            shell.note(format!("'{}' is the base that branches land on", branch.name.short()));
        }
        let (name, base) = (branch.name.short(), view.settings.base.short());
        if let Some(attempt) = beside.landing(branch) {
            shell.note(format!("'{name}' is landing with {}, which has no verdict yet", attempt.id));
        } else if let Some(taken) = beside.taken(branch) {
            shell.note(told_taken_back(&branch.name, taken));
            bring_again(taken).into_iter().for_each(|hint| shell.hint(hint));
        } else if let Status::Merged { noted, .. } = &branch.status {
            shell.note(format!(
                "'{name}' was {noted}, and '{base}' has all of it now: nothing is left to deploy"
            ));
        }
        describe::hint_at(branch, &beside, shell);
        if let Some(why) = unapproved {
            shell.note(format!("'{}' is not approved, and waits: {why}", branch.name.short()));
        }
        describe::warn_of_stray_note(&view, branch, shell)?;
        differs::note_one(&view, branch, differs::Asked::ForIt, shell)?;
    }
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

fn explained(branch: &Branch, beside: &Beside) -> Text {
    Text::new()
        .styled(shell::NAME, &branch.name)
        .plain(" ")
        .styled(shell::COMMIT, branch.tip.brief())
        .plain(" ")
        .joined(describe::details(branch, beside, str::to_owned))
}
