//! What the parent of a set records: annotations <-> value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use git_deploy_core::deployment::{Blame, Close};
use git_deploy_core::ids::DeploymentId;
use git_deploy_core::ledger::Outcome;
use git_deploy_manifest::value::annotation;
use git_deploy_manifest::{
    Extent, ID_LABEL, KINDS_ANNOTATION, NAMESPACES_ANNOTATION, TOOLING_ANNOTATION, is_our_tooling, tool_of,
};
use serde_json::{Map, Value};

use super::kept::Kept;
use super::{JobOutcome, Set, SetError};
use crate::lease::Fence;

const ROOT: &str = "git-deploy/root";
const PROJECT: &str = "git-deploy/project";
const ENVIRONMENT: &str = "git-deploy/environment";
const DEPLOYMENT: &str = "git-deploy/deployment";
const PHASE: &str = "git-deploy/phase";
const RESULT: &str = "git-deploy/result";
const REASON: &str = "git-deploy/reason";
const BLAME: &str = "git-deploy/blame";
const TIMED_OUT: &str = "git-deploy/timed-out";
const RUN: &str = "git-deploy/run";
const ADOPTED: &str = "git-deploy/adopted";
const TRANSITIONS: &str = "git-deploy/lease-transitions";
/// What the keys of jobs begin with, in the ConfigMap's data.
const JOB: &str = "job.";
/// The key of what a deployment has found, in the ConfigMap's data.
const FOUND: &str = "found";
/// The key of what stays for a while, in the ConfigMap's data.
const KEPT: &str = "kept";

/// How far a deployment has come in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetPhase {
    /// Objects are being applied, or have been; nothing was deleted.
    Applying,
    /// All that is new is ready; what is no longer wanted is being deleted.
    Pruning,
    /// The cluster is as it should be; what is left is to land.
    Verified,
    /// It failed, and the cluster is going back to what was there before.
    Restoring,
    /// Nothing is under way: it has landed, or, with a failure, has gone back.
    Done,
    /// Going back failed too.
    Degraded,
}

impl SetPhase {
    const ALL: [Self; 6] =
        [Self::Applying, Self::Pruning, Self::Verified, Self::Restoring, Self::Done, Self::Degraded];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Pruning => "pruning",
            Self::Verified => "verified",
            Self::Restoring => "restoring",
            Self::Done => "done",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for SetPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SetPhase {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word).ok_or(())
    }
}

/// Why a deployment goes back, or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFailure {
    /// How the deployment ends: never with success.
    pub outcome: Outcome,
    /// Whose fault it is.
    pub blame: Blame,
    /// The first cause.
    pub reason: String,
    /// Whether it only did not succeed in time.
    pub timed_out: bool,
}

impl SetFailure {
    /// The verdict of a deployment that has changed the cluster.
    pub fn verdict(&self) -> Close {
        Close {
            outcome: self.outcome,
            blame: self.blame,
            reason: self.reason.clone(),
            left: None,
            restore: true,
            again: false,
            timed_out: self.timed_out,
            hint: None,
        }
    }
}

impl From<&Close> for SetFailure {
    fn from(close: &Close) -> Self {
        Self {
            outcome: close.outcome,
            blame: close.blame,
            reason: close.reason.clone(),
            timed_out: close.timed_out,
        }
    }
}

/// What the parent of a set records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The last deployment that began.
    pub deployment: Option<DeploymentId>,
    /// How far it has come.
    pub phase: Option<SetPhase>,
    /// Why it goes back, or went.
    pub failure: Option<SetFailure>,
    /// The turn of the Lease that wrote last.
    pub holder: Option<Fence>,
    /// Where members may be.
    pub extent: Extent,
    /// What deployments have taken into the set that was there before, by the names of files: not ours to delete before a
    /// success has wanted it.
    pub adopted: BTreeSet<String>,
    /// What this deployment has found in the set that what stood there did not want, by the names of files: not to be
    /// deleted if it fails.
    pub found: BTreeSet<String>,
    /// How far one-time jobs have come, by name.
    pub jobs: BTreeMap<String, JobOutcome>,
    /// What stays for a while although it is no longer wanted.
    pub kept: Kept,
}

impl Record {
    /// The annotations that say so; `null` is what is not recorded.
    pub(super) fn annotations(&self, set: &Set) -> Map<String, Value> {
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        let failure = self.failure.as_ref();
        let holder = self.holder.as_ref();
        let pairs = [
            (ROOT, text(Some(set.root.to_string()))),
            (PROJECT, text(Some(set.project.clone()))),
            (ENVIRONMENT, text(Some(set.environment.clone()))),
            (DEPLOYMENT, text(self.deployment.as_ref().map(DeploymentId::to_string))),
            (PHASE, text(self.phase.map(|phase| phase.to_string()))),
            (RESULT, text(failure.map(|failure| failure.outcome.to_string()))),
            (REASON, text(failure.map(|failure| failure.reason.clone()))),
            (BLAME, text(failure.map(|failure| failure.blame.as_str().to_owned()))),
            (TIMED_OUT, text(failure.filter(|failure| failure.timed_out).map(|_| "true".to_owned()))),
            (RUN, text(holder.map(|fence| fence.run.clone()))),
            (ADOPTED, text(self.adopted_text())),
            (TRANSITIONS, text(holder.map(|fence| fence.transitions.to_string()))),
            (KINDS_ANNOTATION, text(Some(self.extent.kinds_text()))),
            (NAMESPACES_ANNOTATION, text(Some(self.extent.namespaces_text(&set.namespace)))),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }

    fn adopted_text(&self) -> Option<String> {
        let names: Vec<&str> = self.adopted.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    /// The data of the ConfigMap. `null` is what a patch takes out, which a new object must not have.
    pub(super) fn data(&self, removing: bool) -> Value {
        let pair = |(name, outcome): (&String, &JobOutcome)| {
            (format!("{JOB}{name}"), Value::from(outcome.to_text()))
        };
        let found: Vec<&str> = self.found.iter().map(String::as_str).collect();
        let texts = [(KEPT, self.kept.to_text()), (FOUND, found.join(" "))];
        let text = |(key, text): (&str, String)| match text.is_empty() {
            true => removing.then(|| (key.to_owned(), Value::Null)),
            false => Some((key.to_owned(), text.into())),
        };
        self.jobs.iter().map(pair).chain(texts.into_iter().filter_map(text)).collect()
    }
}

/// Reads what a ConfigMap records, after making sure that it is the parent of this very set.
pub(super) fn read(set: &Set, parent: &Value) -> Result<Record, SetError> {
    require_ours(set, parent)?;
    let number = |text: &str| text.parse::<i64>().map_err(drop);
    let transitions = value(set, parent, TRANSITIONS, number)?;
    let run = annotation(parent, RUN).map(str::to_owned);
    let blame = annotation(parent, BLAME);
    let result = value(set, parent, RESULT, |text| text.parse().map_err(drop))?;
    let none = Map::new();
    let annotations = parent["metadata"]["annotations"].as_object().unwrap_or(&none);
    let data = parent["data"].as_object().unwrap_or(&none);
    let job = |(key, outcome): (&String, &Value)| {
        Some((key.strip_prefix(JOB)?.to_owned(), JobOutcome::parse(outcome.as_str()?)))
    };
    Ok(Record {
        deployment: value(set, parent, DEPLOYMENT, |text| text.parse().map_err(drop))?,
        phase: value(set, parent, PHASE, str::parse)?,
        failure: blame.map(|blame| SetFailure {
            outcome: result.unwrap_or(Outcome::Failure),
            blame: Blame::parse(blame),
            reason: annotation(parent, REASON).unwrap_or_default().to_owned(),
            timed_out: annotation(parent, TIMED_OUT) == Some("true"),
        }),
        holder: run.zip(transitions).map(|(run, transitions)| Fence { run, transitions }),
        extent: Extent::parse(annotations, &set.namespace),
        adopted: names(annotation(parent, ADOPTED)),
        found: names(data.get(FOUND).and_then(Value::as_str)),
        jobs: data.iter().filter_map(job).collect(),
        kept: data.get(KEPT).and_then(Value::as_str).map(Kept::parse).unwrap_or_default(),
    })
}

fn names(text: Option<&str>) -> BTreeSet<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn value<T>(
    set: &Set,
    parent: &Value,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, ()>,
) -> Result<Option<T>, SetError> {
    let Some(text) = annotation(parent, key) else { return Ok(None) };
    let unreadable = |()| SetError::Unreadable { parent: set.title(), key, value: text.to_owned() };
    read(text).map(Some).map_err(unreadable)
}

fn require_ours(set: &Set, parent: &Value) -> Result<(), SetError> {
    let title = set.title();
    let Some(tooling) = annotation(parent, TOOLING_ANNOTATION) else {
        return Err(SetError::NotAParent { parent: title });
    };
    if !is_our_tooling(tooling) {
        return Err(SetError::OtherTool { parent: title, tool: tool_of(tooling).to_owned() });
    }
    if parent["metadata"]["labels"][ID_LABEL].as_str() != Some(set.id.as_str()) {
        return Err(SetError::NotAParent { parent: title });
    }
    let root = set.root.to_string();
    for (what, key, ours) in [
        ("repository", ROOT, root.as_str()),
        ("project", PROJECT, set.project.as_str()),
        ("environment", ENVIRONMENT, set.environment.as_str()),
    ] {
        let theirs = annotation(parent, key).unwrap_or_default();
        if theirs != ours {
            return Err(SetError::OtherOwner {
                parent: title,
                what,
                theirs: theirs.to_owned(),
                ours: ours.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Set {
        let root = "1".repeat(40).parse().unwrap();
        Set::new("shop", "production", "shop", root)
    }

    fn recorded(record: &Record) -> Value {
        crate::set::created(&shop(), record)
    }

    fn close(outcome: Outcome, timed_out: bool, reason: &str) -> Close {
        let reason = reason.to_owned();
        Close {
            outcome,
            blame: Blame::Branch,
            reason,
            left: None,
            restore: true,
            again: false,
            timed_out,
            hint: None,
        }
    }

    #[test]
    fn a_verdict_comes_back_as_it_was_found_whatever_its_reason_says() {
        for reason in ["aborted", "verify: not ready after 3 s"] {
            for (outcome, timed_out) in
                [(Outcome::Failure, true), (Outcome::Failure, false), (Outcome::Aborted, false)]
            {
                let close = close(outcome, timed_out, reason);
                let record = Record { failure: Some(SetFailure::from(&close)), ..Record::default() };
                let read = read(&shop(), &recorded(&record)).unwrap();
                assert_eq!(read, Record { extent: read.extent.clone(), ..record });
                assert_eq!(read.failure.unwrap().verdict(), close);
            }
        }
    }

    #[test]
    fn a_failure_that_does_not_say_how_it_ends_is_a_failure() {
        let failure = SetFailure::from(&close(Outcome::Aborted, true, "aborted"));
        let mut parent = recorded(&Record { failure: Some(failure), ..Record::default() });
        let annotations = parent["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove(RESULT).unwrap();
        annotations.remove(TIMED_OUT).unwrap();
        let read = read(&shop(), &parent).unwrap().failure.unwrap();
        assert_eq!((read.outcome, read.timed_out), (Outcome::Failure, false));
    }
}
