//! A branch and its state, for people and for programs.

use git_deploy_cli::args::Format;
use git_deploy_cli::shell::Object;
use git_deploy_cli::{CommandError, Shell, Text, shell, shell_word};
use git_deploy_core::approval::NotApproved;
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

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
        Status::Merged { into, noted } => {
            return Text::from(format!("was {noted}; '{}' has all of it", into.short()));
        }
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

/// Prints a branch for a program, with why it is not approved; does nothing for people.
pub(crate) fn print(branch: &Branch, unapproved: Option<&NotApproved>, format: Format, shell: &mut Shell) {
    match format {
        Format::Human => {}
        Format::Porcelain { nul } => {
            let fields = [branch.state().to_string(), branch.tip.to_string(), branch.name.to_string()];
            shell.record(fields, nul);
        }
        Format::Json => {
            let why = unapproved.map(ToString::to_string);
            shell.json(&object(branch).with_known("unapproved", why));
        }
    }
}

fn object(branch: &Branch) -> Object {
    let (deployment, merged, conflicts) = match &branch.status {
        Status::Deployed { deployment } => (Some(deployment.to_string()), None, None),
        Status::Merged { into, .. } => (None, Some(into.as_str()), None),
        Status::Broken { paths } => (None, None, Some(paths.as_slice())),
        Status::Development | Status::Staged | Status::Deployable => (None, None, None),
    };
    // What was decided before base had it is not why it is in development.
    let note = branch.note.as_ref().filter(|_| merged.is_none());
    Object::new()
        .with("state", branch.state().as_str())
        .with("commit", branch.tip.to_string())
        .with("ref", branch.name.as_str())
        .with_known("since", note.and_then(|note| note.since).map(|since| since.to_string()))
        .with_known("by", note.and_then(|note| note.by.as_deref()))
        .with_known("message", note.and_then(|note| note.message.as_deref()))
        .with_known("reason", note.and_then(|note| note.reason.as_deref()))
        .with_known("priority", note.and_then(|note| note.priority))
        .with_known("deployment", deployment)
        .with_known("merged", merged)
        .with_known("conflicts", conflicts)
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
