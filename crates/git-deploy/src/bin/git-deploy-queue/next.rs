//! `git deploy-queue next`

use git_deploy_cli::args::{Format, Output};
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_no_remote, note_unmerged, shell};
use git_deploy_core::git::Repository;
use git_deploy_core::ops::view::View;

use crate::seen::Seen;
use crate::{note_holds, object, record};

/// Prints who is taken from the queue next, for scripts.
pub(crate) fn next(output: Output, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let seen = Seen::look(&view, shell)?;
    let Some((position, place)) = seen.next() else {
        match seen.places.len() {
            0 => shell.note("the queue is empty"),
            _ if !seen.holds.is_empty() => note_holds(&seen, shell),
            // Why was told.
            _ if seen.unusable.is_some() => {}
            _ => {
                shell.note("nobody can be taken from the queue");
                shell.hint("see what each one waits for with: git deploy-queue");
            }
        }
        note_unmerged(&view, shell)?;
        return Ok(Exit::No);
    };
    match output.format() {
        Format::Human => shell.line(
            Text::new()
                .styled(shell::NAME, place.branch.short())
                .plain(" ")
                .styled(shell::COMMIT, place.tip.to_string()),
        ),
        Format::Porcelain { nul } => shell.record(record(position, place, seen.held()), nul),
        Format::Json => shell.json(&object(position, place, seen.held(), None)),
    }
    note_no_remote(&repository, shell);
    Ok(Exit::Done)
}
