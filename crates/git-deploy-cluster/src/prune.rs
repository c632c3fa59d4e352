//! Deleting what the set owned before and no longer contains.
//!
//! The only module that deletes. Every deletion names the object's UID, so that nothing is deleted that was made anew
//! meanwhile; and whatever is in doubt stays, with the reason told.

mod guards;
mod needs;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::value::finalizers;
use git_deploy_manifest::{ObjectId, Stage};
use kube::core::discovery::ApiResource;
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::gone::until_gone;
use crate::members::{ListError, Member, SetView, key, members};
use crate::objects::{Depth, IN_FLIGHT, Place, Propagation};
use crate::set::Unwanted;
use crate::target::Target;

/// What may be deleted.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// The namespaces besides the environment's own that it may deploy to: [`Bounds::other_namespaces`].
    ///
    /// [`Bounds::other_namespaces`]: crate::Bounds::other_namespaces
    pub other_namespaces: BTreeSet<String>,
    /// How long may be waited for what is deleted together to be gone.
    pub gone_timeout: Duration,
    /// Nothing but these may be deleted, these whatever they say about keeping; `None`: whatever is not wanted. Without
    /// them an empty set is taken for a mistake.
    pub only: Option<Vec<ObjectId>>,
    /// The UIDs of those that were kept for long enough; `None` where nothing is kept for a while. What `only` names does not
    /// wait.
    pub due: Option<BTreeSet<String>>,
    /// What was there before a deployment took it into the set that failed, by the names of files: nobody's to delete.
    pub adopted: BTreeSet<String>,
    /// Whether what comes later is only deleted when all that comes before it has gone.
    pub in_turn: bool,
}

impl PruneOptions {
    /// Whether an object stays for a while.
    fn waits(&self, member: &Member) -> bool {
        self.only.is_none() && self.due.as_ref().is_some_and(|due| !due.contains(member.uid()))
    }

    /// Whether an object is one of those that alone may be deleted.
    pub(crate) fn names(&self, id: &ObjectId) -> bool {
        self.only.as_ref().is_some_and(|only| only.iter().any(|one| one.is_same(id)))
    }
}

/// An object that is to be deleted.
#[derive(Debug, Clone)]
pub struct PlannedDeletion {
    /// The object.
    pub id: ObjectId,
    /// Which one of that name.
    pub uid: String,
    /// The object as it is; its metadata alone where no more was needed.
    pub live: Value,
    resource: ApiResource,
    rank: u8,
}

impl PlannedDeletion {
    fn place(&self) -> Place<'_> {
        Place { resource: &self.resource, namespace: self.id.namespace.as_deref(), name: &self.id.name }
    }

    /// What it changes, as a unified difference; values of Secrets are masked.
    pub fn diff(&self) -> String {
        git_deploy_manifest::diff(&self.id, Some(&self.live), None)
    }
}

/// What became of the objects that are no longer wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What is gone, in the order in which it was deleted.
    pub deleted: Vec<ObjectId>,
    /// What stays, and why.
    pub kept: Vec<(ObjectId, String)>,
    /// What stays for a while.
    pub waiting: Vec<Unwanted>,
}

/// What is to become of the objects that are no longer wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judged {
    /// What would be deleted, in that order.
    pub(crate) deletions: Vec<PlannedDeletion>,
    /// What stays although it could go by now, and why.
    pub(crate) kept: Vec<(ObjectId, String)>,
    /// What stays for a while.
    pub(crate) waiting: Vec<Unwanted>,
}

/// Why pruning ended early. Doing it again goes on where it ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PruneError {
    /// Nothing is wanted at all.
    #[error("refused to delete all objects of the set: the deployment has none")]
    EmptySet,
    /// What is there could not be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// An object could not be deleted.
    #[error("cannot delete {id}: {why}")]
    Delete {
        /// The object.
        id: Box<ObjectId>,
        /// Why not.
        why: ApiError,
    },
    /// Objects that were deleted are still there.
    #[error("still not gone {seconds} s after it was deleted: {}", in_words(.objects))]
    DoesNotGo {
        /// How long they were waited for.
        seconds: u64,
        /// The objects, each with its finalizers.
        objects: Vec<(ObjectId, Vec<String>)>,
    },
    /// More than one of these.
    #[error("{}", .0.iter().map(Self::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<PruneError>),
}

fn in_words(objects: &[(ObjectId, Vec<String>)]) -> String {
    let one = |(id, finalizers): &(ObjectId, Vec<String>)| match finalizers.as_slice() {
        [] => id.to_string(),
        some => format!("{id} (finalizer '{}')", some.join("', '").escape_debug()),
    };
    objects.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl PruneError {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::EmptySet => Blame::Branch,
            Self::List(_) | Self::Delete { .. } | Self::DoesNotGo { .. } | Self::Several(_) => Blame::Nobody,
        }
    }
}

/// Deletes the members of the set that are not among the `wanted`, the latest stages first, and waits until they are gone.
///
/// # Errors
/// When nothing is wanted at all, or something could not be deleted or does not go. What is deleted by then stays so.
pub async fn prune(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    wanted: &[Target],
    options: &PruneOptions,
) -> Result<Pruned, PruneError> {
    let members =
        members(connection, resources, set, wanted.iter().map(|target| &target.id), Depth::Metadata).await?;
    if wanted.is_empty() && !members.is_empty() && options.only.is_none() {
        return Err(PruneError::EmptySet);
    }
    let Judged { deletions, kept, waiting } =
        judge(connection, resources, set, wanted, &members, options, None).await?;
    let mut deleted = Vec::with_capacity(deletions.len());
    let mut trouble = Trouble::default();
    // What does not go must not keep all that comes after it, on this deployment and on every other.
    for wave in deletions.chunk_by(|a, b| a.rank == b.rank) {
        let asked = delete(connection, wave, &mut trouble).await;
        wait_until_gone(connection, asked, options.gone_timeout, &mut trouble).await;
        deleted.extend(wave.iter().map(|deletion| deletion.id.clone()));
        if trouble.ends_all() || options.in_turn && !trouble.is_none() {
            break;
        }
    }
    match trouble.into_error(options.gone_timeout) {
        None => Ok(Pruned { deleted, kept, waiting }),
        Some(error) => Err(error),
    }
}

/// What went wrong on the way, told at its end.
#[derive(Default)]
struct Trouble {
    /// What could not be deleted.
    failed: Vec<(ObjectId, ApiError)>,
    /// What does not go, with its finalizers.
    staying: Vec<(ObjectId, Vec<String>)>,
}

impl Trouble {
    /// Whether nothing else could be deleted either.
    fn ends_all(&self) -> bool {
        self.failed.iter().any(|(_, why)| {
            matches!(
                why.kind(),
                ApiErrorKind::Unreachable | ApiErrorKind::TimedOut | ApiErrorKind::Unauthorized
            )
        })
    }

    fn is_none(&self) -> bool {
        self.failed.is_empty() && self.staying.is_empty()
    }

    fn add(&mut self, deletion: &PlannedDeletion, why: ApiError) {
        self.failed.push((deletion.id.clone(), why));
    }

    fn into_error(self, timeout: Duration) -> Option<PruneError> {
        let (mut failed, staying) = (self.failed, self.staying);
        failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut errors: Vec<PruneError> =
            failed.into_iter().map(|(id, why)| PruneError::Delete { id: Box::new(id), why }).collect();
        if !staying.is_empty() {
            errors.push(PruneError::DoesNotGo { seconds: timeout.as_secs(), objects: staying });
        }
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(PruneError::Several(errors)),
        }
    }
}

/// The members that we have applied and that are not wanted. Some objects are served in two groups: under the other name it
/// is the same object.
fn unwanted_of<'m>(wanted: &[Target], members: &'m [Member]) -> impl Iterator<Item = &'m Member> {
    let wanted: HashSet<_> = wanted.iter().map(|target| key(&target.id)).collect();
    let (stay, others): (Vec<&Member>, Vec<&Member>) =
        members.iter().partition(|member| wanted.contains(&key(&member.id)));
    let staying: HashSet<&str> = stay.iter().map(|member| member.uid()).collect();
    others.into_iter().filter(move |member| guards::is_ours(&member.live) && !staying.contains(member.uid()))
}

/// All that would be deleted some time: no longer wanted, and not to stay whatever happens.
pub(crate) fn unwanted(
    set: &SetView,
    wanted: &[Target],
    members: &[Member],
    options: &PruneOptions,
) -> Vec<Unwanted> {
    unwanted_of(wanted, members)
        .filter(|member| guards::why_kept(member, set, wanted, options).is_none())
        .map(|member| Unwanted { id: member.id.clone(), uid: member.uid().to_owned() })
        .collect()
}

/// What is to become of the members that are not wanted.
pub(crate) async fn judge(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    wanted: &[Target],
    members: &[Member],
    options: &PruneOptions,
    planned: Option<&[Target]>,
) -> Result<Judged, ListError> {
    let mut kept: BTreeMap<ObjectId, String> = BTreeMap::new();
    let mut deletions: Vec<&Member> = Vec::new();
    let mut waiting = Vec::new();
    let may_go = |member: &&Member| options.only.is_none() || options.names(&member.id);
    for member in unwanted_of(wanted, members).filter(may_go) {
        match guards::why_kept(member, set, wanted, options) {
            Some(why) => drop(kept.insert(member.id.clone(), why)),
            None if options.waits(member) => {
                waiting.push(Unwanted { id: member.id.clone(), uid: member.uid().to_owned() });
            }
            None => deletions.push(member),
        }
    }
    kept.extend(needs::needed(connection, resources, &deletions, planned).await?);
    deletions.retain(|member| !kept.contains_key(&member.id));
    // Last: what stays in a namespace, whyever, keeps the namespace.
    kept.extend(guards::in_use(connection, resources, set, &deletions).await?);
    let mut deletions: Vec<PlannedDeletion> = deletions
        .into_iter()
        .filter(|member| !kept.contains_key(&member.id))
        .map(|member| PlannedDeletion {
            id: member.id.clone(),
            uid: member.uid().to_owned(),
            resource: member.resource.clone(),
            rank: Stage::of(&member.id, &member.live).deletion_rank(),
            live: member.live.clone(),
        })
        .collect();
    deletions.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    Ok(Judged { deletions, kept: kept.into_iter().collect(), waiting })
}

/// Asks for these to be deleted. Those stay out of the result for which that was refused.
async fn delete<'a>(
    connection: &Connection,
    wave: &'a [PlannedDeletion],
    trouble: &mut Trouble,
) -> Vec<&'a PlannedDeletion> {
    let mut requests = stream::iter(wave)
        .map(|deletion| async move {
            let workload = Stage::of(&deletion.id, &deletion.live) == Stage::Workloads;
            // Its pods go first, so that what they need can go after it.
            let propagation = if workload { Propagation::Foreground } else { Propagation::Background };
            (deletion, connection.delete(deletion.place(), &deletion.uid, Some(propagation)).await)
        })
        .buffer_unordered(IN_FLIGHT);
    let mut asked = Vec::with_capacity(wave.len());
    while let Some((deletion, outcome)) = requests.next().await {
        match outcome {
            // It was made anew since it was listed: that one is nobody's to delete.
            Err(why) if *why.kind() != ApiErrorKind::Changed => trouble.add(deletion, why),
            _ => asked.push(deletion),
        }
    }
    asked
}

async fn wait_until_gone(
    connection: &Connection,
    asked: Vec<&PlannedDeletion>,
    timeout: Duration,
    trouble: &mut Trouble,
) {
    let until = Instant::now() + timeout;
    let mut waits = stream::iter(asked)
        .map(|deletion| async move {
            (deletion, until_gone(connection, deletion.place(), &deletion.uid, until).await)
        })
        .buffer_unordered(IN_FLIGHT);
    let stayed_before = trouble.staying.len();
    while let Some((deletion, left)) = waits.next().await {
        match left {
            Ok(None) => {}
            Ok(Some(live)) => {
                let finalizers = finalizers(&live).map(str::to_owned).collect();
                trouble.staying.push((deletion.id.clone(), finalizers));
            }
            Err(why) => trouble.add(deletion, why),
        }
    }
    trouble.staying[stayed_before..].sort();
}
