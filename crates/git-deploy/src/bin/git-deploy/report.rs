//! What a run says when it has ended.

use git_deploy_cli::shell::Object;
use git_deploy_cli::{CommandError, Exit, Shell, Text, named, plan, shell, shell_word, ways_out};
use git_deploy_core::deployment::Blame;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::ops::deploy::{
    Ahead, Deleted, DeployError, DryRun, Ending, Nothing, NothingAhead, Report, RolledBack, Tidy, Verdict,
};
use git_deploy_core::state::State;
use serde_json::{Value, json};

use crate::observer::Events;

/// Says how a deployment ended, and what that means as an exit code.
pub(crate) fn finished(report: &Report, events: &Events<'_>) -> Exit {
    match report {
        Report::Nothing(nothing) => nothing_to_deploy(nothing, events),
        Report::Finished(verdict) => {
            let exit = exit_of(verdict);
            if events.is_json() {
                events.object(&verdict_object(verdict, exit));
            } else {
                say(verdict, events);
            }
            // What is not written yet was told to nobody.
            events.shell(Shell::flush);
            exit
        }
    }
}

/// Whether it is a success that somebody goes back by.
pub(crate) fn is_way_back(report: &Report) -> bool {
    matches!(report, Report::Finished(verdict) if verdict.outcome == Outcome::Success && verdict.rollback.is_some())
}

/// Says what follows from a way back.
pub(crate) fn held(held: &RolledBack, events: &Events<'_>) {
    if !events.is_json() {
        events.shell(|shell| {
            shell.note("the queue is held as long as base has what was rolled back");
            ways_out(held).iter().for_each(|hint| shell.hint(hint.as_str()));
        });
    }
}

fn nothing_to_deploy(nothing: &Nothing, events: &Events<'_>) -> Exit {
    let reason = nothing.to_string();
    if events.is_json() {
        let exit = Exit::Done.code();
        events.object(&json!({ "event": "verdict", "result": "nothing", "reason": reason, "exit": exit }));
    } else {
        events.shell(|shell| shell.note(format!("nothing to deploy: {reason}")));
    }
    Exit::Done
}

/// What a program can know of why there is no verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Why {
    blame: Option<Blame>,
    waits: Option<&'static str>,
}

impl Why {
    pub(crate) fn of(error: &DeployError) -> Self {
        Self { blame: error.blame(), waits: error.waits() }
    }
}

/// The last line of `--json` where there is no verdict, or where it was no deployment that was asked for: then `of` says what.
pub(crate) fn failed(error: &CommandError, why: Why, of: &str, events: &Events<'_>) {
    if events.is_json() {
        events.object(&json!({
            "event": of,
            "result": "error",
            "reason": error.message(),
            "blame": why.blame.map(Blame::as_str),
            "waits": why.waits,
            "exit": error.exit().code(),
        }));
    }
}

fn exit_of(verdict: &Verdict) -> Exit {
    match (verdict.outcome, verdict.blame) {
        (Outcome::Success, _) => Exit::Done,
        // Who wanted to go back has gone back.
        _ if verdict.stands_again.is_some() => Exit::Done,
        _ if verdict.timed_out => Exit::TimedOut,
        (Outcome::Failure, Some(Blame::Nobody)) => Exit::TryAgain,
        (Outcome::Failure | Outcome::Aborted, _) => Exit::No,
    }
}

fn verdict_object(verdict: &Verdict, exit: Exit) -> Value {
    let images: Vec<Object> = verdict.images.iter().map(|image| plan::image(image)).collect();
    json!({
        "event": "verdict",
        "deployment": verdict.id.to_string(),
        "result": verdict.outcome.as_str(),
        "environment": verdict.environment.as_str(),
        "branch": verdict.branch.as_ref().map(ToString::to_string),
        "commit": verdict.commit.to_string(),
        "images": images,
        "rollback": verdict.rollback.as_ref().map(ToString::to_string),
        "skipped": verdict.skip.as_ref().map(|skip| &skip.what),
        "skip_reason": verdict.skip.as_ref().map(|skip| &skip.reason),
        "blame": verdict.blame.map(Blame::as_str),
        "reason": verdict.reason,
        "stands_again": verdict.stands_again.as_ref().map(ToString::to_string),
        "pushed": !verdict.only_here,
        "exit": exit.code(),
    })
}

fn say(verdict: &Verdict, events: &Events<'_>) {
    let commit = verdict.commit.brief();
    let what = plan::source(verdict.branch.as_ref(), verdict.rollback.as_ref(), &commit);
    let style = if verdict.outcome == Outcome::Success { shell::GOOD } else { shell::BAD };
    let mut line = Text::new()
        .styled(shell::NAME, &verdict.id)
        .plain(": ")
        .styled(style, verdict.outcome.subject())
        .plain(format!(": {what} to {}", verdict.environment));
    if let Some(reason) = &verdict.reason {
        line = line.plain(format!(": {reason}"));
    }
    events.shell(|shell| {
        shell.line(line);
        verdict.skip.iter().for_each(|skip| shell.note(plan::skipped(skip)));
        if let Some(stands) = &verdict.stands_again {
            shell.note(format!("what {stands} had applied stands in '{}' again", verdict.environment));
        }
        verdict.hint.iter().for_each(|hint| shell.hint(hint.as_str()));
        what_next(verdict).iter().for_each(|hint| shell.hint(hint.as_str()));
    });
}

/// What to do with the branch.
fn what_next(verdict: &Verdict) -> Option<String> {
    let short = verdict.branch.as_ref()?.short();
    let (word, is_left) = (shell_word(short), verdict.left.is_some());
    let named = named(&verdict.environment, verdict.id.environment.is_none());
    match (verdict.outcome, verdict.blame?) {
        (Outcome::Success, _) | (Outcome::Aborted, Blame::Nobody) => None,
        // Somebody has decided something else meanwhile.
        (_, Blame::Branch) if verdict.state.is_some_and(|state| state != State::Staged) => None,
        (_, Blame::Branch) => {
            let then = format!(
                "'{short}' is staged: mend it with a new commit, then: git deploy-state set deployable {word}"
            );
            Some(if is_left { format!("{then}; and name it: git deploy{named} {word}") } else { then })
        }
        (_, Blame::Nobody) => Some(again(short, &named, is_left)),
    }
}

/// How a branch is tried again that nobody is to blame for. Where the environment could not go back nothing is taken from the
/// queue, and to another environment than the one that lands its head would go: there the branch has to be named.
fn again(short: &str, named: &str, is_left: bool) -> String {
    if is_left || !named.is_empty() {
        let word = shell_word(short);
        return format!(
            "'{short}' stays deployable: when the cause is gone, name it: git deploy{named} {word}"
        );
    }
    "the branch stays deployable: run 'git deploy' again when the cause is gone".to_owned()
}

/// Says what was prepared.
pub(crate) fn ahead(prepared: &Result<Ahead, NothingAhead>, events: &Events<'_>) -> Exit {
    let (exit, result, reason) = match prepared {
        Err(nothing) => (Exit::Done, "nothing", Some(nothing.to_string())),
        Ok(Ahead { refused: Some(failure), .. }) => (Exit::No, "refused", Some(failure.to_string())),
        Ok(_) => (Exit::Done, "prepared", None),
    };
    let ahead = prepared.as_ref().ok();
    let warnings = ahead.map(|ahead| &ahead.warnings[..]).unwrap_or_default();
    if events.is_json() {
        events.object(&json!({
            "event": "ahead",
            "result": result,
            "branch": ahead.map(|ahead| ahead.branch.to_string()),
            "commit": ahead.map(|ahead| ahead.commit.to_string()),
            "upon": ahead.map(|ahead| ahead.upon.to_string()),
            "reason": reason,
            "warnings": warnings,
            "exit": exit.code(),
        }));
        return exit;
    }
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    events.shell(|shell| match ahead {
        None => shell.note(format!("nothing to prepare{because}")),
        Some(Ahead { branch, commit, upon, .. }) => {
            shell.line(format!("{result} '{}' ({}) upon {upon}{because}", branch.short(), commit.brief()));
            warnings.iter().for_each(|warning| shell.warn(warning.as_str()));
        }
    });
    exit
}

/// Says what was deleted that was kept for long enough, and what hindered the rest.
pub(crate) fn tidied(mut tidy: Tidy, events: &Events<'_>) -> Result<Exit, CommandError> {
    let undone = tidy.undone.take();
    let blame = undone.as_ref().and_then(DeployError::blame);
    let undone = undone.map(CommandError::from);
    tell_tidied(&tidy, undone.as_ref(), blame, events);
    undone.map_or(Ok(Exit::Done), Err)
}

fn tell_tidied(tidy: &Tidy, undone: Option<&CommandError>, blame: Option<Blame>, events: &Events<'_>) {
    if events.is_json() {
        let deleted = |deleted: &Deleted| {
            Object::new()
                .with("environment", deleted.environment.as_str())
                .with("object", plan::name(&deleted.object))
        };
        let result = match (undone, &tidy.deleted[..]) {
            (Some(_), _) => "error",
            (None, []) => "nothing",
            (None, _) => "tidied",
        };
        events.object(&json!({
            "event": "tidy",
            "result": result,
            "reason": undone.map(CommandError::message),
            "blame": blame.map(Blame::as_str),
            "deleted": tidy.deleted.iter().map(deleted).collect::<Vec<_>>(),
            "next": tidy.next.map(|next| next.to_string()),
            "seconds": tidy.next_in().map(|next| next.as_secs()),
            "exit": undone.map_or(Exit::Done, CommandError::exit).code(),
        }));
        return;
    }
    if undone.is_some() && tidy.deleted.is_empty() {
        return;
    }
    let next = tidy.next.map(|next| format!("; next at {next}")).unwrap_or_default();
    let what = match tidy.deleted.len() {
        0 => "nothing to delete".to_owned(),
        1 => "deleted 1 object that was kept for long enough".to_owned(),
        count => format!("deleted {count} objects that were kept for long enough"),
    };
    events.shell(|shell| shell.note(format!("{what}{next}")));
}

/// Says what a deployment would do.
pub(crate) fn dry_run(planned: Result<DryRun, Nothing>, diffs: bool, events: &Events<'_>) -> Exit {
    let planned = match planned {
        Ok(planned) => planned,
        Err(nothing) => return nothing_to_deploy(&nothing, events),
    };
    if events.is_json() {
        events.object(&dry_run_object(&planned));
        return Exit::Done;
    }
    let rebased = if planned.commit == planned.approved { "" } else { ", rebased" };
    let commit = format!("{}{rebased}", planned.commit.brief());
    let what = plan::source(planned.branch.as_ref(), planned.rollback.as_ref(), &commit);
    events.shell(|shell| {
        let (id, environment) = (&planned.id, &planned.environment);
        shell.line(match planned.ending {
            None => format!("would deploy {what} to {environment} as {id}"),
            Some(Ending::Finished) => {
                format!("would finish {id}, which an earlier run left behind: {what} to {environment}")
            }
            Some(Ending::GivenUp) => {
                format!("would give up {id}, which an earlier run left behind, and bring {what} back to {environment}")
            }
        });
        plan::effects(&planned.plan, shell);
        if diffs {
            plan::diffs(&planned.plan, shell);
        }
        planned.warnings.iter().for_each(|warning| shell.warn(warning.as_str()));
    });
    Exit::Done
}

fn dry_run_object(planned: &DryRun) -> Value {
    let objects: Vec<Object> = planned.plan.objects.iter().map(plan::object).collect();
    let stays: Vec<Object> = planned.plan.stays.iter().map(plan::left).collect();
    json!({
        "event": "plan",
        "deployment": planned.id.to_string(),
        "ending": planned.ending.map(|ending| match ending {
            Ending::Finished => "finished",
            Ending::GivenUp => "given-up",
        }),
        "environment": planned.environment.as_str(),
        "branch": planned.branch.as_ref().map(ToString::to_string),
        "commit": planned.commit.to_string(),
        "approved": planned.approved.to_string(),
        "rollback": planned.rollback.as_ref().map(ToString::to_string),
        "objects": objects,
        "stays": stays,
        "warnings": planned.warnings,
        "exit": Exit::Done.code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_elsewhere_is_named_since_the_head_of_the_queue_may_be_another_branch() {
        let elsewhere = again("login", " --env=review", false);
        assert!(elsewhere.ends_with("name it: git deploy --env=review login"), "{elsewhere}");
        assert!(again("login", "", false).contains("run 'git deploy' again"));
        assert!(again("$(touch)", "", true).ends_with("name it: git deploy '$(touch)'"));
    }
}
