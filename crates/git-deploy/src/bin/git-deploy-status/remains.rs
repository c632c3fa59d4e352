//! What stands where nothing leads to any more, for people: what it is, and what may be done about it.

use std::collections::{BTreeMap, BTreeSet};

use git_deploy_cli::{Shell, Text, shell, shell_word};
use git_deploy_core::environment::{Leftover, ObjectName};
use git_deploy_core::ops::deploy::{EnvironmentStatus, Overview, Remains};

/// Whether its environment is not in deploy.toml any more.
pub(crate) fn is_gone(remains: &Remains, overview: &Overview) -> bool {
    !overview.environments.iter().any(|environment| environment.name == remains.environment)
}

pub(crate) fn show(remains: &Remains, shell: &mut Shell) {
    let said = match &remains.found {
        Ok(found) => {
            let names: Vec<String> = found.objects.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
        Err(failure) => format!("cannot be asked: {}", failure.reason),
    };
    let place = format!(" in {} by {}: {said}", remains.place, remains.deployment);
    shell.line(Text::from("  ").styled(shell::HINT, "left behind").plain(place));
}

/// How it is taken away. A command that is printed is run: it must not take what is in use, or cannot be made again.
pub(crate) fn hint(remains: &Remains, overview: &Overview, shell: &mut Shell) {
    let Ok(found) = &remains.found else { return };
    if may_be_in_use(remains, overview) {
        return shell.hint(format!(
            "that may be what is still in use: {} is the last success of '{}', and not every environment of deploy.toml has one where it leads to",
            remains.deployment, remains.environment
        ));
    }
    for command in commands(remains, found) {
        shell.hint(format!("when nobody needs it any more, take it away with: {command}"));
    }
    for left in &found.stays {
        shell.hint(format!("{} is for somebody who knows it to take away: {}", left.object, left.why));
    }
}

/// Whether an environment was perhaps given another name, under which nothing has been deployed yet.
fn may_be_in_use(remains: &Remains, overview: &Overview) -> bool {
    let is_there = |environment: &EnvironmentStatus| {
        !environment.is_cluster || environment.stands.is_some() && environment.moved.is_none()
    };
    remains.stands && is_gone(remains, overview) && !overview.environments.iter().all(is_there)
}

/// One or two commands for each namespace: by kinds, and by names where some of a kind stay.
fn commands(remains: &Remains, found: &Leftover) -> Vec<String> {
    let stays = |object: &&ObjectName| found.stays.iter().any(|left| left.object == **object);
    let place = |object: &ObjectName| (object.namespace.clone(), kind(object));
    let mixed: BTreeSet<_> = found.objects.iter().filter(stays).map(place).collect();
    let mut goes: BTreeMap<(Option<&str>, bool), BTreeSet<String>> = BTreeMap::new();
    for object in found.objects.iter().filter(|object| !stays(object)) {
        let is_named = mixed.contains(&place(object));
        let word = if is_named { format!("{}/{}", kind(object), object.name) } else { kind(object) };
        goes.entry((object.namespace.as_deref(), is_named)).or_default().insert(word);
    }
    let command = |((namespace, is_named), words): ((Option<&str>, bool), BTreeSet<String>)| {
        let context = shell_word(&remains.place.context);
        let namespace =
            namespace.map(|name| format!(" --namespace={}", shell_word(name))).unwrap_or_default();
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        let which = match is_named {
            true => words.join(" "),
            false => format!("{} --selector={}", words.join(","), found.selector),
        };
        format!("kubectl --context={context}{namespace} delete {which}")
    };
    goes.into_iter().map(command).collect()
}

/// As kubectl takes it.
fn kind(object: &ObjectName) -> String {
    let kind = object.kind.to_lowercase();
    object.api_version.split_once('/').map_or(kind.clone(), |(group, _)| format!("{kind}.{group}"))
}
