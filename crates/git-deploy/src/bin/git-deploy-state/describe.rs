//! A branch and its state, for people and for programs.

use git_deploy_cli::args::Format;
use git_deploy_cli::shell::Object;
use git_deploy_cli::{CommandError, Shell, Text, shell, shell_word};
use git_deploy_core::approval::NotApproved;
use git_deploy_core::attempt::Attempt;
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::ops::under_way::{landing, looks_landing, under_way};
use git_deploy_core::ops::view::{Emptied, View};
use git_deploy_core::revert::TakenBack;
use git_deploy_core::state::State;

/// What is known of branches besides what each of them says.
#[derive(Default)]
pub(crate) struct Beside {
    /// What has no verdict yet, where one of them looks as if something was landing it.
    under_way: Vec<Attempt>,
    /// What base has had of them, as far as that is looked for.
    emptied: Emptied,
}

impl Beside {
    /// Looks at it. What cannot be read about that hides no state.
    pub(crate) fn look(view: &View<'_>, branches: &[&Branch]) -> Self {
        Self { emptied: view.emptied(branches), ..Self::look_quickly(view, branches) }
    }

    /// The same without what would take programs.
    pub(crate) fn look_quickly(view: &View<'_>, branches: &[&Branch]) -> Self {
        let is_landing = branches.iter().any(|branch| looks_landing(branch));
        let under_way = if is_landing { under_way(view).unwrap_or_default() } else { Vec::new() };
        Self { under_way, emptied: Emptied::default() }
    }

    /// The same with what base has taken back of each, for whoever asks for few. What cannot be found out of that is told by whoever
    /// sets the state.
    pub(crate) fn look_closely(view: &View<'_>, branches: &[&Branch]) -> Self {
        let mut beside = Self::look_quickly(view, branches);
        for branch in branches.iter().filter(|branch| branch.name != view.settings.base) {
            let whole = match branch.status {
                _ if beside.landing(branch).is_some() => continue,
                Status::Merged { .. } | Status::Deployed { .. } | Status::Staged | Status::Deployable => {
                    view.taken_back(branch).ok().flatten()
                }
                Status::Development | Status::Broken { .. } => None,
            };
            let taken = whole.or_else(|| view.beginning_taken_back(&branch.name, branch.tip).ok().flatten());
            beside.emptied.taken.extend(taken.map(|taken| (branch.name.clone(), taken)));
        }
        beside
    }

    /// What is landing a branch.
    pub(crate) fn landing(&self, branch: &Branch) -> Option<&Attempt> {
        landing(&self.under_way, branch)
    }

    /// Whether a branch brings nothing that base has not.
    pub(crate) fn is_empty(&self, branch: &Branch) -> bool {
        self.emptied.had.contains(&branch.name)
    }

    /// What base has taken back of a branch.
    pub(crate) fn taken(&self, branch: &Branch) -> Option<&TakenBack> {
        self.emptied.taken.get(&branch.name)
    }
}

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
pub(crate) fn details(branch: &Branch, beside: &Beside, why: impl Fn(&str) -> String) -> Text {
    if let Some(attempt) = beside.landing(branch) {
        return Text::from(format!("landing with {}, which has no verdict yet", attempt.id));
    }
    let mut parts = Vec::new();
    if beside.is_empty(branch) {
        parts.push("brings nothing that base has not".to_owned());
    }
    if let Some(taken) = beside.taken(branch) {
        let what = if taken.rest.is_some() { "what it begins with" } else { "all of it" };
        let (base, by) = (taken.base.short(), taken.reverts());
        parts.push(format!("'{base}' has had {what}, and has taken {} back with {by}", taken.much()));
    }
    match &branch.status {
        Status::Broken { paths } if !paths.is_empty() => parts.push(format!("conflict in {}", quoted(paths))),
        Status::Deployed { deployment } => return Text::from(deployment),
        Status::Merged { noted, .. } if beside.taken(branch).is_some() => {
            return Text::from(format!("was {noted}; {}", parts.join(", ")));
        }
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
pub(crate) fn print(
    branch: &Branch,
    beside: &Beside,
    unapproved: Option<&NotApproved>,
    format: Format,
    shell: &mut Shell,
) {
    match format {
        Format::Human => {}
        Format::Porcelain { nul } => {
            let fields = [branch.state().to_string(), branch.tip.to_string(), branch.name.to_string()];
            shell.record(fields, nul);
        }
        Format::Json => {
            let why = unapproved.map(ToString::to_string);
            let landing = beside.landing(branch).map(|attempt| attempt.id.to_string());
            let object = object(branch).with_known("landing", landing);
            let object = object.with_known("empty", beside.is_empty(branch).then_some(true));
            let taken = beside.taken(branch).map(|taken| {
                let key = if taken.rest.is_some() { "beginning-taken-back" } else { "taken-back" };
                (key, taken.by.iter().map(ToString::to_string).collect::<Vec<_>>())
            });
            let object = taken.into_iter().fold(object, |object, (key, by)| object.with(key, by));
            shell.json(&object.with_known("unapproved", why));
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

/// Says what to do about a branch of which nothing is left to deploy, or whose deployment has no verdict yet.
pub(crate) fn hint_at(branch: &Branch, beside: &Beside, shell: &mut Shell) {
    if beside.landing(branch).is_some() {
        shell.hint("if nobody works on it any more, end it with: git deploy --continue");
    }
    if beside.is_empty(branch) {
        let name = shell_word(branch.name.short());
        shell.hint(format!(
            "nothing of it is left to deploy; take it out with: git deploy-state set development {name}"
        ));
    }
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
