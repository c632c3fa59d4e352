//! Whether a server may take a push: from what is pushed, and what stood there before, to refusals. Pure.
//!
//! A server knows nothing of clusters, and anyone who may push can write any note. What it can hold is the order of
//! things: a deployment is claimed, then it is on its way with an approval that stands in the notes, then it lands. Each of
//! these is judged by what was there before the push, so that nothing that is pushed can grant itself anything; and what
//! has a verdict keeps it.

mod base;
mod notes;
mod reason;
mod refs;

use std::collections::{BTreeMap, BTreeSet};

use crate::attempt::{Attempt, Lock};
use crate::hold::QueueHold;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId, RefName};
use crate::ledger::Deployment;
use crate::note::Note;
use crate::promotion::Promotion;
use crate::state::State;

pub use base::{BaseMove, FirstDeployToml, Hotfix};
pub use notes::{NoteChange, NoteText, NotesMove, ToApprove, has_landed, has_verdict};
pub use reason::{Reason, Refusal, is_of_verdict};

/// What begins the names of the tags that say that base was moved past the queue.
pub const HOTFIX_TAG: &str = "refs/tags/deploy-hotfix-";

/// How far a new number may be above the highest one. There is a highest number of all, and behind it nothing could be
/// deployed any more.
const MOST_AHEAD: u64 = 1000;

/// What a ref is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guarded {
    /// What everything lands on.
    Base,
    /// The notes.
    Notes,
    /// An entry of the ledger.
    Tag(DeploymentId),
    /// The trace of a hotfix.
    HotfixTag,
    /// A claim.
    Attempt(DeploymentId),
    /// A lock.
    Lock,
    /// What holds the queue.
    Hold,
    /// The approval to go on to an environment.
    Promotion,
    /// The branch of an environment, which others deploy from.
    Rendered(EnvironmentName),
    /// What a deployment applied: its environment, and its number.
    Kept(EnvironmentName, u64),
    /// What keeps an approved commit.
    Approved(CommitId),
    /// What puts one object in the place of another, for all who obey it
    /// ([git-replace](https://git-scm.com/docs/git-replace)).
    Replacement,
    /// A name that would be in the way of ours.
    Odd,
}

/// Whether git may take a ref of this name for another one: what looks like a whole name is looked up in these places, too
/// ([gitrevisions](https://git-scm.com/docs/gitrevisions)).
pub fn is_ambiguous(name: &str) -> bool {
    let places = ["refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
    let mut rests = places.iter().filter_map(|place| name.strip_prefix(place));
    rests.any(|rest| rest.starts_with("refs/") || rest == "HEAD")
}

/// Whether a name is one of ours but for upper case: on a disk that does not tell these apart it would be the same file, and
/// readers would take it for ours.
pub fn is_alike(name: &str, base: &RefName) -> bool {
    let ours = name.to_ascii_lowercase();
    ours != name
        && Guarded::of(name, base).is_none()
        && Guarded::of(&ours, base).is_some_and(|kind| kind != Guarded::Base)
}

/// Whether of two refs one would have to stand in a folder that is called like the other: git takes only one of them.
pub fn is_in_the_way(one: &str, other: &str) -> bool {
    let is_below =
        |name: &str, other: &str| name.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
    is_below(one, other) || is_below(other, one)
}

impl Guarded {
    /// What the ref of this name is; none if it is nothing of ours.
    pub fn of(name: &str, base: &RefName) -> Option<Self> {
        if name == base.as_str() {
            return Some(Self::Base);
        }
        if name == crate::git::notes::NOTES_REF {
            return Some(Self::Notes);
        }
        if name.starts_with("refs/replace/") {
            return Some(Self::Replacement);
        }
        if name.starts_with(HOTFIX_TAG) {
            return Some(Self::HotfixTag);
        }
        if name.starts_with("refs/tags/deployment-") {
            let id = name.strip_prefix("refs/tags/").and_then(|id| id.parse().ok());
            return Some(id.map_or(Self::Odd, Self::Tag));
        }
        if name.starts_with("refs/notes/deploy/") || name == "refs/deploy" {
            return Some(Self::Odd);
        }
        Some(Self::of_deploy(name.strip_prefix("refs/deploy/")?).unwrap_or(Self::Odd))
    }

    fn of_deploy(rest: &str) -> Option<Self> {
        if rest == "hold" {
            return Some(Self::Hold);
        }
        if let Some(id) = rest.strip_prefix("attempts/") {
            return id.parse().ok().map(Self::Attempt);
        }
        if let Some(kept) = rest.strip_prefix("rendered/") {
            let (environment, number) = kept.split_once('/')?;
            let (environment, number) = (environment.parse().ok()?, number.parse().ok()?);
            return (kept == format!("{environment}/{number:04}")).then_some(Self::Kept(environment, number));
        }
        if let Some(commit) = rest.strip_prefix("approved/") {
            return commit.parse().ok().map(Self::Approved);
        }
        if let Some(environment) = rest.strip_prefix("promotion/") {
            return EnvironmentName::new(environment).ok().map(|_| Self::Promotion);
        }
        let environment = rest.strip_prefix("lock/env/").map(EnvironmentName::new);
        (rest == "lock/base" || environment.is_some_and(|name| name.is_ok())).then_some(Self::Lock)
    }
}

/// A ref that moves: what stands there, and what comes in its place. What cannot be read is there as why not.
#[derive(Debug, Clone)]
pub struct Moved<T> {
    /// The ref.
    pub name: RefName,
    /// What stands there.
    pub before: Option<Result<T, String>>,
    /// What comes there.
    pub after: Option<Result<T, String>>,
}

/// A push, as far as it concerns us, with what the repository says to it.
#[derive(Debug, Default)]
pub struct Push {
    /// Refs that do not stand where the push takes them to stand.
    pub stale: Vec<String>,
    /// Names that would be in the way of ours.
    pub odd: Vec<String>,
    /// Refs that would put one object in the place of another.
    pub replacing: Vec<String>,
    /// The move of base.
    pub base: Option<BaseMove>,
    /// The move of the notes.
    pub notes: Option<NotesMove>,
    /// Deployment tags.
    pub tags: BTreeMap<DeploymentId, Moved<Deployment>>,
    /// Traces of hotfixes, with the commits that they stand on.
    pub hotfixes: Vec<Moved<CommitId>>,
    /// Claims.
    pub attempts: BTreeMap<DeploymentId, Moved<Attempt>>,
    /// Locks.
    pub locks: Vec<Moved<Lock>>,
    /// What holds the queue.
    pub holds: Vec<Moved<QueueHold>>,
    /// Approvals to go on to an environment.
    pub promotions: Vec<Moved<Promotion>>,
    /// What deployments applied.
    pub kept: Vec<((EnvironmentName, u64), Moved<ObjectId>)>,
    /// Branches of environments.
    pub rendered: Vec<RenderedMove>,
    /// Approved commits that would not be kept any more; judged are those that deployable branches need.
    pub released: Vec<(RefName, CommitId)>,
    /// What the repository knows of deployments that the push names.
    pub known: Known,
}

/// A move of a branch that others deploy from.
#[derive(Debug, Clone)]
pub struct RenderedMove {
    /// The branch, as it was pushed.
    pub name: String,
    /// The environment that it is the branch of.
    pub environment: EnvironmentName,
    /// Where it would stand.
    pub after: Option<ObjectId>,
    /// Which way that is.
    pub forward: Forward,
    /// Whether a deployment to that environment has applied what it goes to, and succeeded.
    pub is_applied: bool,
}

/// Where a branch goes that others deploy from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// On.
    On,
    /// Back, or elsewhere.
    Back,
    /// Away.
    Away,
}

/// What a repository knows of deployments.
#[derive(Debug, Default)]
pub struct Known {
    /// Claims that stood there before the push.
    pub attempts: BTreeMap<DeploymentId, Attempt>,
    /// Verdicts whose tags stood there before the push.
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    /// Notes as they stood before the push, of candidates.
    pub notes_before: BTreeMap<CommitId, Note>,
    /// Notes as they would stand after the push, of candidates.
    pub notes_after: BTreeMap<CommitId, Note>,
    /// Candidates that would go on their way, or land, and are not signed as base asks for: why not.
    pub unsigned: BTreeMap<CommitId, String>,
    /// All deployments that had a tag before a push that brings new ones.
    pub tagged: BTreeSet<DeploymentId>,
    /// All that had a claim then.
    pub claimed: BTreeSet<DeploymentId>,
    /// The environments of the `deploy.toml` that stands on base, and whether branches land from them; none where it has none
    /// that can be read.
    pub environments: Option<BTreeMap<EnvironmentName, bool>>,
    /// Where base stands before the push.
    pub base: Option<CommitId>,
    /// Whether base is there, or comes with the push.
    pub has_base: bool,
    /// Commits that new claims and tags name, as far as base has them.
    pub on_base: BTreeSet<CommitId>,
    /// Commits that have landed before the push, where a note that comes to say so names another deployment.
    pub landed: BTreeSet<CommitId>,
    /// What landed commits were rebased from, where a note that comes to say deployed names their deployment: what was
    /// decided is used up in all the line.
    pub used_up: BTreeSet<CommitId>,
    /// Commits that have landed, and whose notes would say something else of what was decided: somebody decided so where
    /// that was not known.
    pub late: BTreeSet<CommitId>,
}

impl Known {
    /// Whether there is no ledger yet: one that was kept without a server, or on another one, may come as it is.
    pub fn is_blank(&self) -> bool {
        self.tagged.is_empty() && self.claimed.is_empty()
    }
}

impl Push {
    /// Why the push is refused; empty where it is not.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        refusals.extend(self.stale.iter().map(|name| Refusal::new(name, Reason::Stale)));
        refusals.extend(self.odd.iter().map(|name| Refusal::new(name, Reason::Odd)));
        refusals.extend(self.replacing.iter().map(|name| Refusal::new(name, Reason::Replacement)));
        let needed = |(name, _): &(RefName, CommitId)| Refusal::new(name.as_str(), Reason::Needed);
        refusals.extend(self.released.iter().map(needed));
        refusals.extend(self.judge_base());
        refusals.extend(self.judge_refs());
        refusals.extend(self.judge_notes());
        refusals
    }

    /// Whether the push brings what no server has seen before: then all that is known has to be asked for.
    pub fn brings_deployments(&self) -> bool {
        self.tags.values().any(|moved| moved.before.is_none())
            || self.attempts.values().any(|moved| moved.before.is_none())
            || self.kept.iter().any(|(_, moved)| moved.before.is_none())
    }

    /// The notes that come to call their commits deployed, and name another deployment than one that landed these.
    pub fn deployed_otherwise(&self) -> Vec<(CommitId, Note)> {
        let is_deployed = |note: &Note| note.state == State::Deployed;
        let otherwise = |change: &NoteChange| {
            let after = change.note_after()?.ok().filter(is_deployed)?;
            let stood = change.note_before().is_some_and(|before| is_deployed(&before));
            (!stood && !self.is_landed(change.commit, &after)).then_some((change.commit, after))
        };
        self.note_changes().filter_map(otherwise).collect()
    }

    /// The deployments that the push names.
    pub fn named(&self) -> BTreeSet<DeploymentId> {
        let mut ids: BTreeSet<DeploymentId> = self.tags.keys().cloned().collect();
        for (id, moved) in &self.attempts {
            ids.insert(id.clone());
            ids.extend(moved.after.iter().flatten().filter_map(|attempt| attempt.rollback.clone()));
        }
        ids.extend(self.kept.iter().flat_map(|((name, number), _)| DeploymentId::of_number(name, *number)));
        let locks = self.locks.iter().flat_map(|moved| moved.after.iter().flatten());
        ids.extend(locks.filter_map(|lock| lock.deployment.clone()));
        ids.extend(self.note_changes().filter_map(|change| change.note_after()?.ok()?.deployment));
        ids
    }

    fn note_changes(&self) -> impl Iterator<Item = &NoteChange> {
        self.notes.iter().flat_map(|notes| notes.changes.iter().flatten())
    }

    /// A verdict as it stood before, or comes with the push.
    fn verdict(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.known.deployments.get(id).or_else(|| self.brought(id))
    }

    /// A claim as it would stand after the push, if that moves it.
    pub fn moved_claim(&self, id: &DeploymentId) -> Option<&Attempt> {
        self.attempts.get(id)?.after.as_ref()?.as_ref().ok()
    }

    /// A verdict that comes with the push.
    pub fn brought(&self, id: &DeploymentId) -> Option<&Deployment> {
        let tag = self.tags.get(id).filter(|tag| tag.before.is_none())?;
        tag.after.as_ref()?.as_ref().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ref_is_follows_from_its_name() {
        let base = RefName::branch("main").unwrap();
        let of = |name: &str| Guarded::of(name, &base);
        assert_eq!(of("refs/heads/main"), Some(Guarded::Base));
        assert_eq!(of("refs/heads/master"), None);
        assert_eq!(of("refs/tags/v1"), None);
        assert_eq!(of("refs/tags/deployment-0001"), Some(Guarded::Tag("deployment-0001".parse().unwrap())));
        assert_eq!(of("refs/tags/deploy-hotfix-1"), Some(Guarded::HotfixTag));
        assert_eq!(of("refs/deploy/rendered/demo/0012"), Some(Guarded::Kept("demo".parse().unwrap(), 12)));
        assert_eq!(of("refs/replace/x"), Some(Guarded::Replacement));
        let approved = "1".repeat(40);
        let kept = Guarded::Approved(approved.parse().unwrap());
        assert_eq!(of(&format!("refs/deploy/approved/{approved}")), Some(kept));
        for lock in ["refs/deploy/lock/base", "refs/deploy/lock/env/demo"] {
            assert_eq!(of(lock), Some(Guarded::Lock));
        }
        assert_eq!(of("refs/deploy/hold"), Some(Guarded::Hold));
        assert_eq!(of("refs/deploy/promotion/live"), Some(Guarded::Promotion));
        for odd in [
            "refs/deploy/hold/x",
            "refs/deploy/promotion/live/x",
            "refs/tags/deployment-1",
            "refs/tags/deployment-0001/x",
            "refs/notes/deploy/x",
            "refs/deploy",
            "refs/deploy/attempts",
            "refs/deploy/attempts/x",
            "refs/deploy/approved/x",
            "refs/deploy/rendered/demo/12",
            "refs/deploy/lock/env/A",
            "refs/deploy/lock",
        ] {
            assert_eq!(of(odd), Some(Guarded::Odd), "{odd}");
        }
        for name in
            ["refs/refs/heads/a", "refs/heads/refs/heads/a", "refs/tags/refs/notes/deploy", "refs/heads/HEAD"]
        {
            assert!(is_ambiguous(name), "{name}");
        }
        for name in ["refs/heads/heads/a", "refs/heads/a/refs/b", "refs/heads/refs", "refs/heads/HEAD/a"] {
            assert!(!is_ambiguous(name), "{name}");
        }
        assert_eq!(of("refs/notes/deploy-remote/origin/deploy"), None);
        for name in [
            "refs/tags/Deployment-0005",
            "refs/tags/DEPLOY-hotfix-1",
            "refs/notes/Deploy",
            "refs/Deploy/hold",
        ] {
            assert!(is_alike(name, &base), "{name}");
        }
        for name in
            ["refs/tags/deployment-0005", "refs/tags/Release", "refs/heads/Main", "refs/heads/Deployment-1"]
        {
            assert!(!is_alike(name, &base), "{name}");
        }
    }
}
