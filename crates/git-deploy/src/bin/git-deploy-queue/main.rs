//! `git deploy-queue`: shows what is deployed next, and works it off.

mod deployment;
mod hold;
mod log;
mod on_event;
mod run;

use std::process::ExitCode;

use git_deploy_cli::args::{self, Format, Output, QueueCommand};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{
    CommandError, Exit, Onlooker, Shell, Text, note_unmerged, releases, shell, shell_word, warn_of_notes,
    why_held,
};
use git_deploy_core::deployment::Phase;
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
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
            QueueCommand::Run(arguments) => run::run(arguments, shell),
            QueueCommand::Hold(arguments) => hold::hold(&arguments.branches, Some(&arguments.reason), shell),
            QueueCommand::Release(arguments) => hold::hold(&arguments.branches, None, shell),
        }
    })
}

/// Lists the queue; `names`: with who has queued each branch.
fn list(output: Output, names: bool, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let (mut places, malformed) = view.queue()?;
    let (holds, passes) = what_holds(&repository, shell)?;
    // Whoever is taken nevertheless waits for nobody.
    places
        .iter_mut()
        .filter(|place| Some(&place.branch) == passes.as_ref())
        .for_each(|place| place.waits = None);
    let held = Held { by: holds.first(), passes: passes.as_ref() };
    let landed: Vec<String> = places.iter().filter_map(landed).map(shell_word).collect();
    let places = places.iter().enumerate().map(|(index, place)| (index + 1, place));
    match output.format() {
        Format::Human => {
            print(places, held, names, shell);
            if !landed.is_empty() {
                let landed = landed.join(" ");
                shell.hint(format!(
                    "nothing of it is left to deploy: git deploy-state set development {landed}"
                ));
            }
            note_holds(&holds, passes.as_ref(), shell);
            note_under_way(&view, shell);
        }
        Format::Porcelain { nul } => {
            places.for_each(|(position, place)| shell.record(record(position, place, held), nul));
        }
        Format::Json => places.for_each(|(position, place)| shell.json(&object(position, place, held))),
    }
    warn_of_notes(&view, &malformed, shell)?;
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

/// What holds the queue, if anything does.
#[derive(Clone, Copy)]
struct Held<'a> {
    by: Option<&'a Hold>,
    /// Who is taken nevertheless.
    passes: Option<&'a RefName>,
}

impl<'a> Held<'a> {
    /// What holds this place.
    fn of(self, place: &Place) -> Option<&'a Hold> {
        self.by.filter(|_| self.passes != Some(&place.branch))
    }
}

/// What holds the queue, and who is taken nevertheless. What cannot be read about that hides no queue.
fn what_holds(
    repository: &Repository,
    shell: &mut Shell,
) -> Result<(Vec<Hold>, Option<RefName>), CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let found = holds(repository, &Onlooker::new(shell), interrupt);
    Ok(found.unwrap_or_else(|error| {
        shell.warn(format!("cannot tell whether the queue is held: {error}"));
        (Vec::new(), None)
    }))
}

fn note_holds(holds: &[Hold], passes: Option<&RefName>, shell: &mut Shell) {
    for hold in holds {
        shell.note(format!("the queue is held: {}", why_held(hold)));
        match passes {
            Some(branch) => {
                shell.hint(format!("'{}' takes it back, and is next: git deploy", branch.short()));
            }
            None => releases(hold).iter().for_each(|hint| shell.hint(hint.as_str())),
        }
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
    held: Held<'_>,
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
            waits(place, held),
        ]);
    }
    table.print(shell);
}

/// The branch of a place that waits for nothing that could come.
fn landed(place: &Place) -> Option<&str> {
    matches!(place.waits, Some(Wait::Landed(_))).then(|| place.branch.short())
}

fn waits(place: &Place, held: Held<'_>) -> Text {
    match (&place.waits, held.of(place), held.passes) {
        (None, Some(_), Some(first)) => {
            Text::new().styled(shell::HINT, format!("held, '{}' goes first", first.short()))
        }
        (None, Some(_), None) => Text::new().styled(shell::HINT, "would be next, the queue is held"),
        (None, None, _) => Text::new().styled(shell::GOOD, "next"),
        (Some(Wait::Held(why)), ..) => Text::new().styled(shell::HINT, format!("held: {why}")),
        (Some(Wait::Unapproved(why)), ..) => Text::new().styled(shell::HINT, format!("not approved: {why}")),
        (Some(Wait::Landed(base)), ..) => {
            Text::new().styled(shell::HINT, format!("has nothing that '{}' has not", base.short()))
        }
        (Some(Wait::After(name)), ..) => Text::from(format!("waits until '{name}' is deployed")),
        (Some(Wait::Behind(name)), ..) => Text::from(format!("behind '{}'", name.short())),
    }
}

fn record(position: usize, place: &Place, held: Held<'_>) -> [String; 5] {
    let since = place.since.map(|since| since.to_string()).unwrap_or_default();
    let waits = match (&place.waits, held.of(place)) {
        (None, None) => "next",
        (None, Some(_)) | (Some(Wait::Held(_) | Wait::Unapproved(_) | Wait::Landed(_)), _) => "held",
        (Some(Wait::After(_)), _) => "after",
        (Some(Wait::Behind(_)), _) => "behind",
    };
    [position.to_string(), place.tip.to_string(), place.branch.to_string(), since, waits.to_owned()]
}

fn object(position: usize, place: &Place, held: Held<'_>) -> Object {
    let waits = match (&place.waits, held.of(place)) {
        (None, None) => None,
        (None, Some(Hold::Asked(hold))) => Some(json!({ "hold": hold.reason })),
        (None, Some(Hold::RolledBack(held))) => Some(json!({ "rollback": held.by.to_string() })),
        (None, Some(Hold::Degraded { environment, .. })) => Some(json!({ "degraded": environment.as_str() })),
        (Some(Wait::Held(why)), _) => Some(json!({ "hold": why })),
        (Some(Wait::Unapproved(why)), _) => Some(json!({ "approval": why.to_string() })),
        (Some(Wait::Landed(base)), _) => Some(json!({ "landed": base.as_str() })),
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
