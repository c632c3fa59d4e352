//! Environments: each for itself, and what they must be to each other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::check::{self, Checked, refuse};
use super::error::{DeployTomlError, Locator, Problem, nearest};
use super::freeze;
use super::raw::{RawEnvironment, Text};
use crate::ids::EnvironmentName;
use crate::ledger::FREEZE;

use super::{
    DEFAULT_CRASH_GRACE, DEFAULT_MANIFESTS, DEFAULT_RENDERED_BRANCH, DEFAULT_TIMEOUT, Environment,
    FirstFailure, LintSetting, Prune, Source, Target, TreePath,
};

/// An environment, with the places that rules between environments complain about.
struct Located {
    environment: Environment,
    name_span: Range<usize>,
    after_span: Option<Range<usize>>,
    lands: Option<(bool, Range<usize>)>,
    branch_span: Option<Range<usize>>,
}

pub(super) fn environments(
    raw: BTreeMap<Text, RawEnvironment>,
    locator: &Locator<'_>,
) -> Checked<Vec<Environment>> {
    if raw.is_empty() {
        return Ok(vec![embedded_default()]);
    }
    let mut in_file_order: Vec<(Text, RawEnvironment)> = raw.into_iter().collect();
    in_file_order.sort_by_key(|(name, _)| name.span().start);
    let mut located: Vec<Located> = in_file_order
        .into_iter()
        .map(|(name, raw)| environment(&name, raw, locator))
        .collect::<Checked<_>>()?;
    exactly_one_lands(&mut located, locator)?;
    branches_are_apart(&located, locator)?;
    along_after(located, locator)
}

/// What there is without any `[environment]`: the whole line works with nothing but git.
fn embedded_default() -> Environment {
    Environment {
        name: EnvironmentName::rendered(),
        target: Target::Rendered { branch: DEFAULT_RENDERED_BRANCH.to_owned(), kube_namespace: None },
        source: default_source(),
        after: None,
        approval: false,
        freeze: Vec::new(),
        lands: true,
        prune: Prune::Now,
        lint: BTreeMap::new(),
        gates: BTreeMap::new(),
        allow_kinds: None,
        allow_namespaces: None,
        timeout: DEFAULT_TIMEOUT,
        crash_grace: DEFAULT_CRASH_GRACE,
        first_failure: FirstFailure::Keep,
        config_hash: true,
    }
}

fn default_source() -> Source {
    Source::Manifests(vec![TreePath(DEFAULT_MANIFESTS.to_owned())])
}

fn environment(name: &Text, mut raw: RawEnvironment, locator: &Locator<'_>) -> Checked<Located> {
    let environment_name = environment_name(name, locator)?;
    let branch_span = raw.branch.as_ref().map(Text::span);
    let after_span = raw.after.as_ref().map(Text::span);
    let lands = raw.lands.as_ref().map(|lands| (*lands.get_ref(), lands.span()));
    let target = target(name, &mut raw, locator)?;
    let approval = approval(raw.approval.as_ref(), raw.after.as_ref(), locator)?;
    let environment = Environment {
        name: environment_name,
        target,
        source: source(&mut raw, locator)?,
        after: raw.after.map(|after| self::environment_name(&after, locator)).transpose()?,
        approval,
        freeze: raw.freeze.into_iter().map(|raw| freeze::freeze(raw, locator)).collect::<Checked<_>>()?,
        lands: lands.as_ref().is_some_and(|(lands, _)| *lands),
        prune: raw.prune.map(|text| check::prune(&text, locator)).transpose()?.unwrap_or_default(),
        lint: lint(raw.lint, locator)?,
        gates: raw.gate,
        allow_kinds: raw.allow_kinds,
        allow_namespaces: raw
            .allow_namespaces
            .map(|names| names.into_iter().map(|name| kube_namespace(name, locator)).collect::<Checked<_>>())
            .transpose()?,
        timeout: duration("timeout", raw.timeout, locator)?.unwrap_or(DEFAULT_TIMEOUT),
        crash_grace: duration("crash-grace", raw.crash_grace, locator)?.unwrap_or(DEFAULT_CRASH_GRACE),
        first_failure: raw
            .first_failure
            .map(|text| check::first_failure(&text, locator))
            .transpose()?
            .unwrap_or_default(),
        config_hash: raw.config_hash.unwrap_or(true),
    };
    Ok(Located { environment, name_span: name.span(), after_span, lands, branch_span })
}

/// What is approved is what stands in the environment before, so that there must be one.
fn approval(raw: Option<&Spanned<bool>>, after: Option<&Text>, locator: &Locator<'_>) -> Checked<bool> {
    match raw {
        Some(approval) if *approval.get_ref() && after.is_none() => {
            let why = "'approval' needs 'after': it is given for what was verified in another environment";
            Err(locator.error(approval.span(), Problem::Contradiction(why.to_owned())))
        }
        approval => Ok(approval.is_some_and(|approval| *approval.get_ref())),
    }
}

fn duration(key: &str, text: Option<Text>, locator: &Locator<'_>) -> Checked<Option<Duration>> {
    text.map(|text| check::duration(key, &text, locator)).transpose()
}

fn environment_name(text: &Text, locator: &Locator<'_>) -> Checked<EnvironmentName> {
    if text.get_ref() == FREEZE {
        let why = "is what a window is called in which nothing is deployed: choose another name";
        return Err(refuse("environment name", text, why, locator));
    }
    EnvironmentName::new(text.get_ref().as_str()).map_err(|_| {
        let why = "must be a DNS label: at most 63 of a-z, 0-9 and '-', no '-' at either end";
        refuse("environment name", text, why, locator)
    })
}

fn kube_namespace(text: Text, locator: &Locator<'_>) -> Checked<String> {
    if check::is_dns_label(text.get_ref()) {
        return Ok(text.into_inner());
    }
    Err(refuse("namespace", &text, "must be a DNS label: at most 63 of a-z, 0-9 and '-'", locator))
}

fn target(name: &Text, raw: &mut RawEnvironment, locator: &Locator<'_>) -> Checked<Target> {
    let namespace = raw.kube_namespace.take().map(|text| kube_namespace(text, locator)).transpose()?;
    match &raw.kind {
        None => cluster(name, raw, namespace, locator),
        Some(kind) if kind.get_ref() == "cluster" => cluster(name, raw, namespace, locator),
        Some(kind) if kind.get_ref() == "rendered" => rendered(name, raw, namespace, locator),
        Some(kind) => Err(refuse("kind", kind, "must be 'cluster' or 'rendered'", locator)),
    }
}

fn cluster(
    name: &Text,
    raw: &mut RawEnvironment,
    namespace: Option<String>,
    locator: &Locator<'_>,
) -> Checked<Target> {
    refuse_key("branch", raw.branch.as_ref(), "rendered", locator)?;
    let missing = |key, why| {
        let table = format!("[environment.{}]", name.get_ref());
        locator.error(name.span(), Problem::MissingKey { key, table, why: Some(why) })
    };
    let context = raw.context.take().ok_or_else(|| {
        missing("context", "the current context of a kubeconfig is never taken by accident")
    })?;
    let kube_namespace = namespace
        .ok_or_else(|| missing("kube-namespace", "what may be deployed is bounded by the namespace"))?;
    Ok(Target::Cluster { context: check::not_empty("context", context, locator)?, kube_namespace })
}

fn rendered(
    name: &Text,
    raw: &mut RawEnvironment,
    kube_namespace: Option<String>,
    locator: &Locator<'_>,
) -> Checked<Target> {
    refuse_key("context", raw.context.as_ref(), "cluster", locator)?;
    refuse_key("prune", raw.prune.as_ref(), "cluster", locator)?;
    refuse_key("timeout", raw.timeout.as_ref(), "cluster", locator)?;
    refuse_key("crash-grace", raw.crash_grace.as_ref(), "cluster", locator)?;
    refuse_key("first-failure", raw.first_failure.as_ref(), "cluster", locator)?;
    let branch = match raw.branch.take() {
        None => format!("rendered/{}", name.get_ref()),
        Some(branch) if check::is_branch_name(branch.get_ref()) => branch.into_inner(),
        Some(branch) => return Err(refuse("branch", &branch, "is no valid name of a branch", locator)),
    };
    Ok(Target::Rendered { branch, kube_namespace })
}

/// Refuses a key that would silently do nothing.
fn refuse_key(key: &str, text: Option<&Text>, other_kind: &str, locator: &Locator<'_>) -> Checked<()> {
    match text {
        None => Ok(()),
        Some(text) => {
            let problem = Problem::Contradiction(format!("'{key}' is only for kind = \"{other_kind}\""));
            Err(locator.error(text.span(), problem))
        }
    }
}

fn source(raw: &mut RawEnvironment, locator: &Locator<'_>) -> Checked<Source> {
    match (raw.manifests.take(), raw.render.take()) {
        (None, None) => Ok(default_source()),
        (None, Some(render)) => Ok(Source::Render(check::command("render", render, locator)?)),
        (Some(manifests), None) if manifests.get_ref().is_empty() => {
            let problem = Problem::Contradiction("'manifests' must name a file or directory".to_owned());
            Err(locator.error(manifests.span(), problem))
        }
        (Some(manifests), None) => {
            let paths = manifests.into_inner();
            let paths = paths.iter().map(|path| check::tree_path("manifests", path, locator));
            Ok(Source::Manifests(paths.collect::<Checked<_>>()?))
        }
        (Some(manifests), Some(render)) => {
            let later = manifests.span().start.max(render.span().start);
            let problem = Problem::Contradiction("'manifests' and 'render' exclude each other".to_owned());
            Err(locator.error(later..later, problem))
        }
    }
}

fn lint(raw: BTreeMap<Text, Text>, locator: &Locator<'_>) -> Checked<BTreeMap<String, LintSetting>> {
    raw.into_iter()
        .map(|(rule, text)| {
            let severity = check::severity(rule.get_ref(), &text, locator)?;
            let (line, column) = locator.position(rule.span().start);
            Ok((rule.into_inner(), LintSetting { severity, line, column }))
        })
        .collect()
}

fn exactly_one_lands(located: &mut [Located], locator: &Locator<'_>) -> Checked<()> {
    if let [only] = located {
        return match &only.lands {
            Some((false, span)) => {
                let why = "the only environment must land, else no branch ever reaches base";
                Err(locator.error(span.clone(), Problem::Contradiction(why.to_owned())))
            }
            _ => {
                only.environment.lands = true;
                Ok(())
            }
        };
    }
    let mut landing = located.iter().filter(|located| located.environment.lands);
    match (landing.next(), landing.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => {
            let why = "of several environments exactly one must have 'lands = true', none has";
            Err(locator.error(located[0].name_span.clone(), Problem::Contradiction(why.to_owned())))
        }
        (Some(first), Some(second)) => {
            let why = format!(
                "only one environment can have 'lands = true', '{}' has it already",
                first.environment.name
            );
            let span = second.lands.as_ref().map_or(second.name_span.clone(), |(_, span)| span.clone());
            Err(locator.error(span, Problem::Contradiction(why)))
        }
    }
}

/// Two environments on one branch would overwrite each other; and git cannot hold `a` besides `a/b`.
fn branches_are_apart(located: &[Located], locator: &Locator<'_>) -> Checked<()> {
    let branch_of = |located: &Located| match &located.environment.target {
        Target::Rendered { branch, .. } => Some(branch.clone()),
        Target::Cluster { .. } => None,
    };
    for (index, later) in located.iter().enumerate() {
        let Some(branch) = branch_of(later) else { continue };
        for earlier in &located[..index] {
            let Some(taken) = branch_of(earlier) else { continue };
            let clash = if branch == taken {
                format!("branch '{branch}' is that of environment '{}' already", earlier.environment.name)
            } else if format!("{branch}/").starts_with(&format!("{taken}/"))
                || format!("{taken}/").starts_with(&format!("{branch}/"))
            {
                format!("git cannot hold a branch '{branch}' besides '{taken}'")
            } else {
                continue;
            };
            let span = later.branch_span.clone().unwrap_or(later.name_span.clone());
            return Err(locator.error(span, Problem::Contradiction(clash)));
        }
    }
    Ok(())
}

/// Orders the environments so that each comes after the one that it names in `after`.
fn along_after(located: Vec<Located>, locator: &Locator<'_>) -> Checked<Vec<Environment>> {
    let names: Vec<String> = located.iter().map(|located| located.environment.name.to_string()).collect();
    let mut ordered: Vec<Environment> = Vec::with_capacity(located.len());
    let mut waiting = located;
    for waiter in &waiting {
        known_predecessor(waiter, &names, locator)?;
    }
    while !waiting.is_empty() {
        let is_ready = |waiter: &Located| {
            waiter
                .environment
                .after
                .as_ref()
                .is_none_or(|after| ordered.iter().any(|done| done.name == *after))
        };
        let Some(next) = waiting.iter().position(is_ready) else {
            return Err(cycle(&waiting, locator));
        };
        ordered.push(waiting.remove(next).environment);
    }
    Ok(ordered)
}

/// The error for environments that all wait for one another.
fn cycle(waiting: &[Located], locator: &Locator<'_>) -> DeployTomlError {
    let predecessor = |waiter: &Located| {
        waiting.iter().find(|other| Some(&other.environment.name) == waiter.environment.after.as_ref())
    };
    // The first may only wait for those in the cycle; after so many steps one is surely in it.
    let mut member = &waiting[0];
    for _ in waiting {
        member = predecessor(member).unwrap_or(member);
    }
    let why = format!("'after' of environment '{}' leads back to itself", member.environment.name);
    let span = member.after_span.clone().unwrap_or(member.name_span.clone());
    locator.error(span, Problem::Contradiction(why))
}

fn known_predecessor(waiter: &Located, names: &[String], locator: &Locator<'_>) -> Checked<()> {
    let Some(after) = &waiter.environment.after else { return Ok(()) };
    if names.iter().any(|name| name == after.as_str()) {
        return Ok(());
    }
    let hint = match nearest(after.as_str(), names) {
        Some(near) => format!("there is no such environment, did you mean '{near}'?"),
        None => format!("there is no such environment, only '{}'", names.join("', '")),
    };
    let span = waiter.after_span.clone().unwrap_or(waiter.name_span.clone());
    Err(locator.error(span, Problem::invalid("after", after.as_str(), hint)))
}
