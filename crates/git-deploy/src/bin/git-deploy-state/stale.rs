//! `git deploy-state list --stale`

use git_deploy_cli::args::{Format, List};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_unmerged, shell, warn_of_notes, wish_again};
use git_deploy_core::ops::set_state::Wished;
use git_deploy_core::ops::stale::{Stale, stale};
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

use crate::describe;
use crate::list::words;

/// Prints what was decided on commits that their branch has left.
pub(crate) fn list(view: &View<'_>, arguments: &List, shell: &mut Shell) -> Result<Exit, CommandError> {
    let (mut found, malformed) = stale(view)?;
    let wanted = &arguments.states;
    found.retain(|stale| wanted.is_empty() || wanted.contains(&stale.note.state));
    match arguments.output.format() {
        Format::Human => print(view, wanted, &found, shell),
        Format::Porcelain { nul } => {
            for stale in &found {
                let now = stale.now.as_ref().map_or_else(|| "-".to_owned(), |now| now.tip.to_string());
                let state = stale.note.state.to_string();
                shell.record([state, stale.commit.to_string(), stale.branch.to_string(), now], nul);
            }
        }
        Format::Json => found.iter().for_each(|stale| shell.json(&object(stale))),
    }
    warn_of_notes(view, &malformed, shell)?;
    note_unmerged(view, shell)?;
    Ok(Exit::Done)
}

fn print(view: &View<'_>, wanted: &[State], found: &[Stale], shell: &mut Shell) {
    if found.is_empty() {
        let of = if wanted.is_empty() { String::new() } else { format!(" is {} and", words(wanted)) };
        shell.note(format!("nothing that was decided{of} stands on a commit that its branch has left"));
    }
    let mut table = Table::new();
    for stale in found {
        table.row([
            describe::state(stale.note.state),
            Text::new().styled(shell::NAME, stale.branch.short()),
            Text::new().styled(shell::COMMIT, stale.commit.brief()),
            Text::from(place(view, stale)),
        ]);
    }
    table.print(shell);
    for (stale, other) in found.iter().filter_map(|stale| Some((stale, stale.there.first()?))) {
        let (state, subject) =
            (stale.note.state, format!("'{}' has that commit of '{}'", other.short(), stale.branch.short()));
        // What was wished for a branch is no wish for another one.
        let wished = Wished::default();
        let hints = wish_again(&format!("{subject}: if it is to be {state}"), other, state, &wished);
        hints.into_iter().for_each(|hint| shell.hint(hint));
    }
}

/// Where the branch is now.
fn place(view: &View<'_>, stale: &Stale) -> String {
    let Some(now) = &stale.now else { return "there is no such branch any more".to_owned() };
    let tip = now.tip.brief();
    match &view.settings.remote {
        Some(tracking) if now.alone && now.at == stale.branch => {
            format!("here the branch is at {tip} now, and on '{}' still there", tracking.remote())
        }
        Some(tracking) if now.alone => format!("on '{}' the branch is at {tip} now", tracking.remote()),
        _ => format!("the branch is at {tip} now"),
    }
}

fn object(stale: &Stale) -> Object {
    Object::new()
        .with("state", stale.note.state.as_str())
        .with("commit", stale.commit.to_string())
        .with("ref", stale.branch.as_str())
        .with_known("now", stale.now.as_ref().map(|now| now.tip.to_string()))
        .with_known("at", stale.now.as_ref().map(|now| now.at.as_str()))
        .with_known("since", stale.note.since.map(|since| since.to_string()))
        .with_known("by", stale.note.by.as_deref())
}
