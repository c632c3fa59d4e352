//! `git deploy-queue`: shows what is deployed next, and works it off.

mod apart;
mod approve;
mod deployment;
mod echo;
mod hold;
mod log;
mod next;
mod on_event;
mod run;
mod seen;
mod show;
mod standstill;
mod when;
mod worked_off;

use std::process::ExitCode;

use git_deploy_cli::args::{self, Format, Output, QueueCommand};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{
    CommandError, Exit, Shell, Text, note_unmerged, releases, shell, warn_of_notes, why_held,
};
use git_deploy_core::attempt::Attempt;
use git_deploy_core::deployment::Phase;
use git_deploy_core::forecast::Expected;
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::deploy::{Hold, in_words};
use git_deploy_core::ops::standstill::Standstill;
use git_deploy_core::ops::under_way::is_on_base;
use git_deploy_core::ops::view::View;
use git_deploy_core::queue::{Place, Wait};
use jiff::Timestamp;
use serde_json::{Value, json};

use seen::Seen;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Queue, shell| {
        let names = arguments.common.verbose > 0;
        match arguments.into_command() {
            QueueCommand::List(output) => list(output, names, shell),
            QueueCommand::Next(output) => next::next(output, shell),
            QueueCommand::Show(arguments) => show::show(&arguments, names, shell),
            QueueCommand::Run(arguments) => run::run(arguments, shell),
            QueueCommand::Hold(arguments) => hold::hold(&arguments.branches, Some(&arguments.reason), shell),
            QueueCommand::Approve(arguments) => approve::approve(&arguments, shell),
            QueueCommand::Release(arguments) => hold::hold(&arguments.branches, None, shell),
        }
    })
}

/// What to do about a landing that may have been interrupted.
const END: &str = "if nobody works on it any more, end it with: git deploy --continue";

/// Lists the queue; `names`: with who has queued each branch.
fn list(output: Output, names: bool, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let seen = Seen::look(&view, shell)?;
    let held = seen.held();
    let places = || seen.places.iter().enumerate().map(|(index, place)| (index + 1, place));
    match output.format() {
        Format::Human => {
            let forecast = seen.forecast(&view, shell);
            print(places().zip(&forecast.expected), held, (names, forecast.now), shell);
            hint_at_idle(&seen.places, shell);
            note_holds(&seen, shell);
            note_under_way(&view, &forecast.under_way, shell);
            seen.standstill.iter().for_each(|standstill| shell.note(not_on(standstill)));
        }
        Format::Porcelain { nul } => {
            places().for_each(|(position, place)| shell.record(record(position, place, held), nul));
        }
        Format::Json => {
            let expected = seen.forecast(&view, shell).expected;
            for ((position, place), expected) in places().zip(&expected) {
                shell.json(&object(position, place, held, Some(expected)));
            }
        }
    }
    warn_of_notes(&view, &seen.branches.malformed, shell)?;
    note_unmerged(&view, shell)?;
    Ok(Exit::Done)
}

/// What holds the queue, if anything does.
#[derive(Clone, Copy)]
struct Held<'a> {
    by: Option<&'a Hold>,
    /// Who is taken nevertheless.
    passes: Option<&'a RefName>,
    /// Why nobody can be taken, whatever holds it.
    unusable: Option<&'a str>,
    /// Why a runner of this clone does not get on.
    standstill: Option<&'a Standstill>,
}

impl<'a> Held<'a> {
    /// What holds this place.
    fn of(self, place: &Place) -> Option<&'a Hold> {
        self.by.filter(|_| self.passes != Some(&place.branch))
    }
}

fn note_holds(seen: &Seen, shell: &mut Shell) {
    for hold in &seen.holds {
        shell.note(format!("the queue is held: {}", why_held(hold)));
        match &seen.passes {
            Some(branch) => {
                shell.hint(format!("'{}' takes it back, and is next: git deploy", branch.short()));
            }
            // What keeps it was said first.
            None if matches!(hold, Hold::RolledBack(held) if held.taken_back_by.is_some()) => {}
            None => releases(hold).iter().for_each(|hint| shell.hint(hint.as_str())),
        }
    }
}

/// Says why nobody is taken from the queue just now.
fn note_under_way(view: &View<'_>, under_way: &[Attempt], shell: &mut Shell) {
    for attempt in under_way {
        let of = match &attempt.branch {
            Some(branch) => format!(" of '{}'", branch.short()),
            None => String::new(),
        };
        let (id, by) = (&attempt.id, &attempt.by);
        match attempt.phase {
            // What cannot be found out is told by whoever lands it.
            Phase::Verified if is_on_base(view, attempt).unwrap_or(false) => {
                let base = view.settings.base.short();
                shell.note(format!("{id}{of} is on '{base}', and has no verdict yet: the queue waits"));
                shell.hint(END);
            }
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

fn print<'a>(
    places: impl ExactSizeIterator<Item = ((usize, &'a Place), &'a Expected)>,
    held: Held<'_>,
    (names, now): (bool, Timestamp),
    shell: &mut Shell,
) {
    if places.len() == 0 {
        shell.note("the queue is empty");
    }
    let mut table = Table::new();
    for ((position, place), expected) in places {
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
            Text::from(when::lands(expected, now).unwrap_or_default()),
        ]);
    }
    table.print(shell);
}

/// Says what to do about the first of those that nothing but somebody who sees to it gets out of the queue.
fn hint_at_idle(places: &[Place], shell: &mut Shell) {
    let is_idle = |wait: &&Wait| matches!(wait, Wait::Empty(_) | Wait::TakenBack(_) | Wait::Stuck { .. });
    let idle = places.iter().find_map(|place| Some((place, place.waits.as_ref().filter(is_idle)?)));
    let hints = idle.map(|(place, wait)| show::ends(wait, &place.branch)).unwrap_or_default();
    hints.into_iter().for_each(|hint| shell.hint(hint));
}

fn waits(place: &Place, held: Held<'_>) -> Text {
    match (&place.waits, held.of(place), held.passes) {
        (None, Some(_), Some(first)) => {
            Text::new().styled(shell::HINT, format!("held, '{}' goes first", first.short()))
        }
        (None, Some(Hold::Unpromoted { branch, .. } | Hold::Frozen { branch, .. }), None)
            if *branch != place.branch =>
        {
            Text::new().styled(shell::HINT, format!("held, '{}' goes first", branch.short()))
        }
        (None, Some(Hold::Unpromoted { environment, .. }), None) => {
            Text::new().styled(shell::HINT, format!("waits for approval to go to {environment}"))
        }
        (None, Some(Hold::Frozen { environment, frozen, .. }), None) => Text::new()
            .styled(shell::HINT, format!("waits: nothing is deployed to {environment}{}", in_words(frozen))),
        (None, Some(_), None) => Text::new().styled(shell::HINT, "would be next, the queue is held"),
        (None, None, _) if held.unusable.is_some() => {
            Text::new().styled(shell::HINT, "would be next, and nothing can be deployed")
        }
        (None, None, _) => Text::new().styled(shell::GOOD, "next"),
        (
            Some(
                wait @ (Wait::Held(_)
                | Wait::Unapproved(_)
                | Wait::RolledBack { .. }
                | Wait::Empty(_)
                | Wait::TakenBack(_)
                | Wait::Stuck { .. }),
            ),
            ..,
        ) => Text::new().styled(shell::HINT, wait),
        (Some(wait @ (Wait::After(_) | Wait::Behind(_))), ..) => Text::from(wait),
    }
}

fn record(position: usize, place: &Place, held: Held<'_>) -> [String; 5] {
    let since = place.since.map(|since| since.to_string()).unwrap_or_default();
    let waits = match (&place.waits, held.of(place)) {
        (None, None) if held.unusable.is_none() => "next",
        (None, _)
        | (
            Some(
                Wait::Held(_)
                | Wait::Unapproved(_)
                | Wait::RolledBack { .. }
                | Wait::Empty(_)
                | Wait::TakenBack(_),
            ),
            _,
        ) => "held",
        (Some(Wait::After(_) | Wait::Stuck { .. }), _) => "after",
        (Some(Wait::Behind(_)), _) => "behind",
    };
    [position.to_string(), place.tip.to_string(), place.branch.to_string(), since, waits.to_owned()]
}

fn object(position: usize, place: &Place, held: Held<'_>, expected: Option<&Expected>) -> Object {
    let waits = match (&place.waits, held.of(place)) {
        (None, hold) => hold.map(hold_object).or_else(|| held.unusable.map(unusable_object)),
        (Some(wait), _) => Some(wait_object(wait)),
    };
    Object::new()
        .with("position", position)
        .with("commit", place.tip.to_string())
        .with("ref", place.branch.as_str())
        .with("since", place.since.map(|since| since.to_string()))
        .with_known("expected", expected.map(when::object))
        .with_known("by", place.by.as_deref())
        .with_known("priority", Some(place.priority).filter(|priority| *priority != 0))
        .with_known("waits", waits)
        .with_known("standstill", held.standstill.map(standstill_object))
}

fn wait_object(wait: &Wait) -> Value {
    match wait {
        Wait::Held(why) => json!({ "hold": why }),
        Wait::Unapproved(why) => json!({ "approval": why.to_string() }),
        Wait::RolledBack { by, .. } => json!({ "rollback": by.to_string() }),
        Wait::Empty(base) => json!({ "empty": base.as_str() }),
        Wait::TakenBack(taken) => {
            let by: Vec<String> = taken.by.iter().map(ToString::to_string).collect();
            json!({ "taken-back": by })
        }
        Wait::After(name) => json!({ "after": name }),
        Wait::Stuck { after, why } => json!({ "after": after, "reason": why.to_string() }),
        Wait::Behind(name) => json!({ "behind": name.as_str() }),
    }
}

/// Why a runner of this clone does not get on, in words.
fn not_on(standstill: &Standstill) -> String {
    format!("a runner of this clone has tried in vain since {}: {}", standstill.since, standstill.why)
}

fn standstill_object(standstill: &Standstill) -> Value {
    json!({ "since": standstill.since.to_string(), "reason": standstill.why })
}

fn unusable_object(why: &str) -> Value {
    json!({ "unusable": why })
}

fn hold_object(hold: &Hold) -> Value {
    match hold {
        Hold::Asked(hold) => json!({ "hold": hold.reason }),
        Hold::RolledBack(held) => json!({ "rollback": held.by.to_string() }),
        Hold::Degraded { environment, .. } => json!({ "degraded": environment.as_str() }),
        Hold::Unpromoted { environment, deployment, why, .. } => json!({
            "promotion": {
                "environment": environment.as_str(),
                "deployment": deployment.to_string(),
                "reason": why,
            },
        }),
        Hold::Frozen { environment, frozen, .. } => json!({
            "freeze": {
                "environment": environment.as_str(),
                "until": frozen.until.map(|until| until.to_string()),
                "reason": frozen.reason,
            },
        }),
    }
}
