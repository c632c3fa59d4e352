//! `git deploy-state log`

use git_deploy_cli::args::StateLog;
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_unmerged, shell, typed_name, warn_of_notes};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::history::{Transition, transitions};
use git_deploy_core::ops::view::{View, ViewError};

use crate::describe;

/// Prints how states came about, newest first.
pub(crate) fn log(arguments: &StateLog, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let branch = match &arguments.branch {
        _ if arguments.all => None,
        Some(word) => Some(view.named_branch(Some(typed_name(word)?))?),
        None => Some(view.named_branch(None)?),
    };
    let found = transitions(&view, branch.as_ref())?;
    if let (Some(branch), true) = (&branch, found.is_empty()) {
        // A branch that is gone has its history all the same; one that never was is a mistake.
        match view.branch_tip(branch)? {
            Some(_) => shell.note(format!("the state of '{}' was never set", branch.short())),
            None => return Err(ViewError::NoBranch(branch.clone()).into()),
        }
    }
    if arguments.json {
        found.iter().for_each(|transition| shell.json(&object(transition)));
    } else {
        print(&found, branch.is_none(), shell);
    }
    warn_of_notes(&view, &malformed(&view, branch.as_ref())?, shell)?;
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

/// The notes that count now and cannot be read.
fn malformed(view: &View<'_>, branch: Option<&RefName>) -> Result<Vec<NotesError>, CommandError> {
    let Some(branch) = branch else { return Ok(view.authority_branches()?.malformed) };
    match view.listed_branch(branch) {
        Ok((_, error)) => Ok(error.into_iter().collect()),
        Err(ViewError::NoBranch(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn print(transitions: &[Transition], with_branch: bool, shell: &mut Shell) {
    let mut table = Table::new();
    for transition in transitions {
        let move_text = describe::state(transition.from).plain(" -> ").joined(describe::state(transition.to));
        let time = transition.time.map(|time| time.to_string()).unwrap_or_default();
        let name = transition.branch.as_ref().map(RefName::short).unwrap_or_default();
        let mut cells = vec![Text::from(time), Text::from(&transition.by)];
        if with_branch {
            cells.push(Text::new().styled(shell::NAME, name));
        }
        let why = match transition.conflicts.is_empty() {
            true => transition.message.clone().unwrap_or_default(),
            false => format!("conflict in {}", describe::quoted(&transition.conflicts)),
        };
        let commit = Text::new().styled(shell::COMMIT, transition.commit.brief());
        cells.extend([move_text, commit, Text::from(why)]);
        table.row(cells);
    }
    table.print(shell);
}

fn object(transition: &Transition) -> Object {
    Object::new()
        .with("time", transition.time.map(|time| time.to_string()))
        .with("by", transition.by.as_str())
        .with("from", transition.from.as_str())
        .with("to", transition.to.as_str())
        .with("commit", transition.commit.to_string())
        .with_known("ref", transition.branch.as_ref().map(RefName::as_str))
        .with_known("message", transition.message.as_deref())
        .with_list("conflicts", &transition.conflicts)
}
