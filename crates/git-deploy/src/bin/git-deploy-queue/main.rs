//! `git deploy-queue`: shows what is deployed next.

use std::process::ExitCode;

use git_deploy_cli::args::{self, Format, Output, QueueCommand};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{
    CommandError, Exit, Onlooker, Shell, Text, note_unmerged, releases, shell, warn_of_note, why_held,
};
use git_deploy_core::deployment::Phase;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::deploy::{Hold, holds};
use git_deploy_core::ops::under_way::under_way;
use git_deploy_core::ops::view::View;
use git_deploy_core::queue::{Place, Wait};
use serde_json::json;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Queue, shell| {
        let names = arguments.common.verbose > 0;
        match arguments.into_command() {
            QueueCommand::List(output) => list(output, names, shell),
        }
    })
}

/// Lists the queue; `names`: with who has queued each branch.
fn list(output: Output, names: bool, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let (places, malformed) = view.queue()?;
    let holds = what_holds(&repository, shell)?;
    let hold = holds.first();
    let places = places.iter().enumerate().map(|(index, place)| (index + 1, place));
    match output.format() {
        Format::Human => {
            print(places, hold, names, shell);
            note_holds(&holds, shell);
            note_under_way(&view, shell);
        }
        Format::Porcelain { nul } => {
            places.for_each(|(position, place)| shell.record(record(position, place, hold), nul));
        }
        Format::Json => places.for_each(|(position, place)| shell.json(&object(position, place, hold))),
    }
    malformed.iter().for_each(|error| warn_of_note(error, shell));
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

/// What holds the queue. What cannot be read about that hides no queue.
fn what_holds(repository: &Repository, shell: &mut Shell) -> Result<Vec<Hold>, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let found = holds(repository, &Onlooker::new(shell), interrupt);
    Ok(found.unwrap_or_else(|error| {
        shell.warn(format!("cannot tell whether the queue is held: {error}"));
        Vec::new()
    }))
}

fn note_holds(holds: &[Hold], shell: &mut Shell) {
    for hold in holds {
        shell.note(format!("the queue is held: {}", why_held(hold)));
        releases(hold).iter().for_each(|hint| shell.hint(hint.as_str()));
    }
}

/// Says why nobody is taken from the queue just now. What cannot be read about that hides no queue.
fn note_under_way(view: &View<'_>, shell: &mut Shell) {
    match under_way(view) {
        Ok(attempts) => {
            for attempt in attempts {
                let of = match &attempt.branch {
                    Some(branch) => format!(" of '{}'", branch.short()),
                    None => String::new(),
                };
                let (id, by) = (&attempt.id, &attempt.by);
                match attempt.phase {
                    Phase::Verified => {
                        shell.note(format!("{id}{of} is verified, not landed: the queue waits"));
                        shell.hint("land it: git deploy --continue");
                    }
                    Phase::Claimed | Phase::Applying | Phase::Finished => {
                        shell.note(format!("{id}{of} is under way, begun by {by}: the queue waits"));
                    }
                }
            }
        }
        Err(error) => shell.warn(format!("cannot tell what is under way: {error}")),
    }
}

fn print<'a>(
    places: impl ExactSizeIterator<Item = (usize, &'a Place)>,
    hold: Option<&Hold>,
    names: bool,
    shell: &mut Shell,
) {
    if places.len() == 0 {
        shell.note("the queue is empty");
    }
    let mut table = Table::new();
    for (position, place) in places {
        table.row([
            Text::from(position),
            Text::new().styled(shell::NAME, place.branch.short()),
            Text::new().styled(shell::COMMIT, place.tip.brief()),
            Text::from(place.since.map(|since| format!("since {since}")).unwrap_or_default()),
            Text::from(place.by.as_ref().filter(|_| names).map(|by| format!("by {by}")).unwrap_or_default()),
            Text::from(if place.priority == 0 {
                String::new()
            } else {
                format!("priority {}", place.priority)
            }),
            waits(place, hold),
        ]);
    }
    table.print(shell);
}

fn waits(place: &Place, hold: Option<&Hold>) -> Text {
    match &place.waits {
        None if hold.is_some() => Text::new().styled(shell::HINT, "would be next, the queue is held"),
        None => Text::new().styled(shell::GOOD, "next"),
        Some(Wait::Held(why)) => Text::new().styled(shell::HINT, format!("held: {why}")),
        Some(Wait::After(name)) => Text::from(format!("waits until '{name}' is deployed")),
        Some(Wait::Behind(name)) => Text::from(format!("behind '{}'", name.short())),
    }
}

fn record(position: usize, place: &Place, hold: Option<&Hold>) -> [String; 5] {
    let since = place.since.map(|since| since.to_string()).unwrap_or_default();
    let waits = match (&place.waits, hold) {
        (None, None) => "next",
        (None, Some(_)) | (Some(Wait::Held(_)), _) => "held",
        (Some(Wait::After(_)), _) => "after",
        (Some(Wait::Behind(_)), _) => "behind",
    };
    [position.to_string(), place.tip.to_string(), place.branch.to_string(), since, waits.to_owned()]
}

fn object(position: usize, place: &Place, hold: Option<&Hold>) -> Object {
    let waits = match (&place.waits, hold) {
        (None, None) => None,
        (None, Some(Hold::RolledBack(held))) => Some(json!({ "rollback": held.by.to_string() })),
        (None, Some(Hold::Degraded { environment, .. })) => Some(json!({ "degraded": environment.as_str() })),
        (Some(Wait::Held(why)), _) => Some(json!({ "hold": why })),
        (Some(Wait::After(name)), _) => Some(json!({ "after": name })),
        (Some(Wait::Behind(name)), _) => Some(json!({ "behind": name.as_str() })),
    };
    Object::new()
        .with("position", position)
        .with("commit", place.tip.to_string())
        .with("ref", place.branch.as_str())
        .with("since", place.since.map(|since| since.to_string()))
        .with_known("by", place.by.as_deref())
        .with_known("priority", Some(place.priority).filter(|priority| *priority != 0))
        .with_known("waits", waits)
}
