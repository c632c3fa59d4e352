//! What the parent of a set records: annotations <-> value.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use git_deploy_core::deployment::Blame;
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{
    Extent, ID_LABEL, KINDS_ANNOTATION, NAMESPACES_ANNOTATION, TOOLING_ANNOTATION, is_our_tooling, tool_of,
};
use serde_json::{Map, Value};

use super::{Set, SetError};
use crate::lease::Fence;
use crate::slot::annotation;

const ROOT: &str = "git-deploy/root";
const PROJECT: &str = "git-deploy/project";
const ENVIRONMENT: &str = "git-deploy/environment";
const DEPLOYMENT: &str = "git-deploy/deployment";
const PHASE: &str = "git-deploy/phase";
const REASON: &str = "git-deploy/reason";
const BLAME: &str = "git-deploy/blame";
const RUN: &str = "git-deploy/run";
const TRANSITIONS: &str = "git-deploy/lease-transitions";
/// What the keys of jobs begin with, in the ConfigMap's data.
const JOB: &str = "job.";

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
    /// Whose fault it is.
    pub blame: Blame,
    /// The first cause.
    pub reason: String,
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
    /// How one-time jobs ended, by name.
    pub jobs: BTreeMap<String, String>,
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
            (REASON, text(failure.map(|failure| failure.reason.clone()))),
            (BLAME, text(failure.map(|failure| failure.blame.as_str().to_owned()))),
            (RUN, text(holder.map(|fence| fence.run.clone()))),
            (TRANSITIONS, text(holder.map(|fence| fence.transitions.to_string()))),
            (KINDS_ANNOTATION, text(Some(self.extent.kinds_text()))),
            (NAMESPACES_ANNOTATION, text(Some(self.extent.namespaces_text(&set.namespace)))),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }

    /// The data of the ConfigMap.
    pub(super) fn data(&self) -> Value {
        let pair =
            |(name, outcome): (&String, &String)| (format!("{JOB}{name}"), Value::from(outcome.as_str()));
        self.jobs.iter().map(pair).collect()
    }
}

/// Reads what a ConfigMap records, after making sure that it is the parent of this very set.
pub(super) fn read(set: &Set, parent: &Value) -> Result<Record, SetError> {
    require_ours(set, parent)?;
    let number = |text: &str| text.parse::<i64>().map_err(drop);
    let transitions = value(set, parent, TRANSITIONS, number)?;
    let run = annotation(parent, RUN).map(str::to_owned);
    let blame = annotation(parent, BLAME);
    let none = Map::new();
    let annotations = parent["metadata"]["annotations"].as_object().unwrap_or(&none);
    let data = parent["data"].as_object().unwrap_or(&none);
    let job = |(key, outcome): (&String, &Value)| {
        Some((key.strip_prefix(JOB)?.to_owned(), outcome.as_str()?.to_owned()))
    };
    Ok(Record {
        deployment: value(set, parent, DEPLOYMENT, |text| text.parse().map_err(drop))?,
        phase: value(set, parent, PHASE, str::parse)?,
        failure: blame.map(|blame| SetFailure {
            // A newer version may know others; in doubt it is nobody's.
            blame: if blame == Blame::Branch.as_str() { Blame::Branch } else { Blame::Nobody },
            reason: annotation(parent, REASON).unwrap_or_default().to_owned(),
        }),
        holder: run.zip(transitions).map(|(run, transitions)| Fence { run, transitions }),
        extent: Extent::parse(annotations, &set.namespace),
        jobs: data.iter().filter_map(job).collect(),
    })
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
