//! A branch and its state, for people and for programs.

use git_deploy_cli::args::Format;
use git_deploy_cli::{CommandError, Shell, Text, shell, shell_word};
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;
use serde_json::{Map, Value, json};

/// A state in its colour.
pub(crate) fn state(state: State) -> Text {
    match state {
        State::Deployable | State::Deployed => Text::new().styled(shell::GOOD, state),
        State::Broken => Text::new().styled(shell::BAD, state),
        State::Staged => Text::new().styled(shell::HINT, state),
        State::Development => Text::new().plain(state),
    }
}

/// What is known of the state besides its name. `why` says how much of the words of whoever set it is shown.
pub(crate) fn details(branch: &Branch, why: impl Fn(&str) -> String) -> Text {
    let mut parts = Vec::new();
    match &branch.status {
        Status::Broken { paths } if !paths.is_empty() => parts.push(format!("conflict in {}", quoted(paths))),
        Status::Deployed { deployment } => return Text::from(deployment),
        _ => {}
    }
    if let Some(note) = &branch.note {
        parts.extend(note.since.map(|since| format!("since {since}")));
        parts.extend(note.by.as_ref().map(|by| format!("by {by}")));
        parts.extend(note.priority.map(|priority| format!("priority {priority}")));
        parts.extend(note.hold.as_ref().map(|hold| format!("held: {}", why(hold))));
        parts.extend(note.reason.as_ref().or(note.message.as_ref()).map(|said| format!("\"{}\"", why(said))));
    }
    Text::from(parts.join(", "))
}

/// Paths in quotes, separated by commas.
pub(crate) fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(", ")
}

/// Prints a branch for a program; does nothing for people.
pub(crate) fn print(branch: &Branch, format: Format, shell: &mut Shell) {
    match format {
        Format::Human => {}
        Format::Porcelain { nul } => {
            let fields = [branch.state().to_string(), branch.tip.to_string(), branch.name.to_string()];
            shell.record(fields, nul);
        }
        Format::Json => shell.json(&object(branch)),
    }
}

fn object(branch: &Branch) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("state", json!(branch.state().as_str()));
    put("commit", json!(branch.tip.to_string()));
    put("ref", json!(branch.name.as_str()));
    if let Some(note) = &branch.note {
        let texts = [("by", &note.by), ("message", &note.message), ("reason", &note.reason)];
        if let Some(since) = note.since {
            put("since", json!(since.to_string()));
        }
        for (key, text) in texts {
            if let Some(text) = text {
                put(key, json!(text));
            }
        }
        if let Some(priority) = note.priority {
            put("priority", json!(priority));
        }
    }
    match &branch.status {
        Status::Deployed { deployment } => put("deployment", json!(deployment.to_string())),
        Status::Broken { paths } => put("conflicts", json!(paths)),
        Status::Development | Status::Staged | Status::Deployable => {}
    }
    Value::Object(object)
}

/// Points out what somebody wrote by hand into git's default notes, where it counts for nothing.
pub(crate) fn warn_of_stray_note(
    view: &View<'_>,
    branch: &Branch,
    shell: &mut Shell,
) -> Result<(), CommandError> {
    if branch.name == view.settings.base {
        return Ok(());
    }
    if let Some(state) = view.stray_note(branch)? {
        let name = branch.name.short();
        shell.warn(format!(
            "a note on '{name}' in refs/notes/commits says '{state}', which counts for nothing"
        ));
        shell.hint(format!("use: git deploy-state set {state} {}", shell_word(name)));
    }
    Ok(())
}
