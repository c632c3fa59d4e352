//! `git deploy-queue`: shows what is deployed next.

use std::process::ExitCode;

use git_deploy_cli::args::{self, Format, Output, QueueCommand};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{CommandError, Exit, Shell, Text, note_unmerged, shell, warn_of_note};
use git_deploy_core::deployment::Phase;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::under_way::under_way;
use git_deploy_core::ops::view::View;
use git_deploy_core::queue::{Place, Wait};
use serde_json::json;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Queue, shell| match arguments.into_command() {
        QueueCommand::List(output) => list(output, shell),
    })
}

fn list(output: Output, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let (places, malformed) = view.queue()?;
    match output.format() {
        Format::Human => {
            print(&places, shell);
            note_under_way(&view, shell);
        }
        Format::Porcelain { nul } => {
            for (index, place) in places.iter().enumerate() {
                shell.record(record(index + 1, place), nul);
            }
        }
        Format::Json => {
            places.iter().enumerate().for_each(|(index, place)| shell.json(&object(index + 1, place)));
        }
    }
    malformed.iter().for_each(|error| warn_of_note(error, shell));
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
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

fn print(places: &[Place], shell: &mut Shell) {
    if places.is_empty() {
        shell.note("the queue is empty");
    }
    let mut table = Table::new();
    for (index, place) in places.iter().enumerate() {
        table.row([
            Text::from(index + 1),
            Text::new().styled(shell::NAME, place.branch.short()),
            Text::new().styled(shell::COMMIT, place.tip.brief()),
            Text::from(place.since.map(|since| format!("since {since}")).unwrap_or_default()),
            Text::from(if place.priority == 0 {
                String::new()
            } else {
                format!("priority {}", place.priority)
            }),
            waits(place),
        ]);
    }
    table.print(shell);
}

fn waits(place: &Place) -> Text {
    match &place.waits {
        None => Text::new().styled(shell::GOOD, "next"),
        Some(Wait::Held(why)) => Text::new().styled(shell::HINT, format!("held: {why}")),
        Some(Wait::After(name)) => Text::from(format!("waits until '{name}' is deployed")),
        Some(Wait::Behind(name)) => Text::from(format!("behind '{}'", name.short())),
    }
}

fn record(position: usize, place: &Place) -> [String; 4] {
    let since = place.since.map(|since| since.to_string()).unwrap_or_default();
    [position.to_string(), place.tip.to_string(), place.branch.to_string(), since]
}

fn object(position: usize, place: &Place) -> Object {
    let waits = place.waits.as_ref().map(|wait| match wait {
        Wait::Held(why) => json!({ "hold": why }),
        Wait::After(name) => json!({ "after": name }),
        Wait::Behind(name) => json!({ "behind": name.as_str() }),
    });
    Object::new()
        .with("position", position)
        .with("commit", place.tip.to_string())
        .with("ref", place.branch.as_str())
        .with("since", place.since.map(|since| since.to_string()))
        .with_known("by", place.by.as_deref())
        .with_known("priority", Some(place.priority).filter(|priority| *priority != 0))
        .with_known("waits", waits)
}
