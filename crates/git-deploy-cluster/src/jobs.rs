//! One-time jobs: each runs once, whatever happens, and its outcome is known for ever.
//!
//! A job is created plainly, so that of two runs one creates it and the other finds it. Our finalizer holds it until
//! its outcome is recorded in the set's parent: a job that is gone without that has failed. It is no member of the set,
//! so that its pods and their logs outlive the next deployment; a time to live takes it away later.

mod bar;
mod log;
mod vouch;

use std::time::{Duration, Instant};

use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::value::{self, annotation, count, finalizers, flag, generation, is_true, text};
use git_deploy_manifest::{ObjectId, is_rollback_safe};
use serde_json::{Value, json};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, REQUEST_TIMEOUT};
use crate::gone::until_gone;
use crate::objects::{Depth, Place, Propagation, collection};
use crate::set::{JobEnd, JobOutcome};
use crate::slot::{ATTEMPTS, Slot, Swap};
use crate::target::{Applied, Target};
use bar::is_barred;

pub(crate) use bar::bar;
pub(crate) use log::{Heard, Listener};

/// What holds a job until its outcome is recorded.
const FINALIZER: &str = "git-deploy/one-time";
/// Whose job it is: the set's id.
const SET: &str = "git-deploy/set";
/// What marks one that was made after another of its name which may have changed something.
const AFTER_ANOTHER: &str = "git-deploy/after-another";
/// The deployment that a job was made anew for because somebody asked for it.
const AGAIN_IN: &str = "git-deploy/again-in";
/// How long a job stays to be looked at, in seconds, where it does not say so itself.
const EXPIRY: u64 = 7 * 24 * 60 * 60;
/// How long one that is in the way of its own successor may take to go.
const LEAVING: Duration = Duration::from_secs(30);
/// How long the last pods of a job that has failed may take to end: longer than pods are given as a rule.
const ENDING: Duration = Duration::from_secs(40);
/// How long to wait before a look is taken again.
const PAUSE: Duration = Duration::from_millis(100);
/// Why a one-time job cannot run, or did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It failed before.
    #[error("one-time {id} failed{}, and runs again only if that is asked for", .before.as_ref().map(|id| format!(" in {id}")).unwrap_or_default())]
    FailedBefore {
        /// The job.
        id: Box<ObjectId>,
        /// The deployment that ran it.
        before: Option<DeploymentId>,
    },
    /// A job of that name is somebody else's.
    #[error("one-time {id} is there already and was not made by this set")]
    NotOurs {
        /// The job.
        id: ObjectId,
    },
    /// It went away without anybody having read how it ended.
    #[error("one-time {id} is gone, and nobody knows how it ended")]
    Gone {
        /// The job.
        id: ObjectId,
    },
    /// A later run keeps it from being started.
    #[error("one-time {id} is kept from being started by a later run")]
    Barred {
        /// The job.
        id: ObjectId,
    },
    /// One that is to run again is not gone yet.
    #[error("one-time {id} is still there {seconds} s after it was deleted")]
    DoesNotGo {
        /// The job.
        id: Box<ObjectId>,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Others write to it all the time.
    #[error("one-time {id} keeps changing")]
    KeepsChanging {
        /// The job.
        id: ObjectId,
    },
    /// The API server did not do what was asked for.
    #[error("one-time {id}: {why}")]
    Api {
        /// The job.
        id: Box<ObjectId>,
        /// What it says.
        why: ApiError,
    },
}

impl JobError {
    /// Whose fault it is.
    pub fn blame(&self) -> git_deploy_core::deployment::Blame {
        use git_deploy_core::deployment::Blame;
        match self {
            Self::FailedBefore { .. } => Blame::Branch,
            Self::NotOurs { .. }
            | Self::Gone { .. }
            | Self::Barred { .. }
            | Self::DoesNotGo { .. }
            | Self::KeepsChanging { .. } => Blame::Nobody,
            Self::Api { why, .. } => why.blame(),
        }
    }

    /// Whether the cluster could not be asked.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self, Self::Api { why, .. } if why.is_undecided())
    }

    /// Whether nothing was made, for certain.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::NotOurs { .. } => true,
            Self::Api { why, .. } => {
                let is_refused = matches!(
                    why.kind(),
                    ApiErrorKind::Unauthorized
                        | ApiErrorKind::Forbidden
                        | ApiErrorKind::NotFound
                        | ApiErrorKind::Invalid
                        | ApiErrorKind::Denied
                        | ApiErrorKind::Quota
                );
                // Before it was not asked any more, it may have been.
                is_refused && !why.is_away()
            }
            Self::FailedBefore { .. }
            | Self::Gone { .. }
            | Self::Barred { .. }
            | Self::DoesNotGo { .. }
            | Self::KeepsChanging { .. } => false,
        }
    }

    /// What a person can do about it. `named` is what names the environment to `git deploy`.
    pub fn hint(&self, named: &str) -> Option<String> {
        match self {
            Self::FailedBefore { id, .. } => Some(again(id, named)),
            Self::Gone { id } => Some(again(id, named)),
            Self::NotOurs { .. } => Some("give the job another name".to_owned()),
            Self::DoesNotGo { .. } => Some("see which finalizers hold it".to_owned()),
            Self::Barred { .. } | Self::KeepsChanging { .. } => None,
            Self::Api { why, .. } => why.hint().map(str::to_owned),
        }
    }
}

fn again(id: &ObjectId, named: &str) -> String {
    let job = &id.name;
    format!("to run it again, set the branch deployable, then: git deploy{named} --retry-job={job} <branch>")
}

/// Tries to create a job, without doing it.
///
/// # Errors
/// When it is there and somebody else's, or the API server would refuse it.
pub(crate) async fn try_job(connection: &Connection, set: &str, job: &Target) -> Result<bool, JobError> {
    if let Some(live) = connection.get(job.into()).await.map_err(api(job))? {
        require_ours(job, &live, set)?;
        // What keeps the name makes room for it.
        return Ok(!is_barred(&live));
    }
    match create(connection, set, job, true).await {
        Ok(_) => Ok(false),
        // Its namespace is made before it is: what it would say cannot be asked yet.
        Err(JobError::Api { why, .. }) if why.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts a job, or finds the one that was started; `again` makes one anew that will not succeed, if the old one goes in
/// that time. One that still runs, has succeeded, or was made anew for the same deployment before its cluster fell silent, is
/// found as without it.
///
/// # Errors
/// When it is somebody else's, or cannot be created.
pub async fn start(
    connection: &Connection,
    set: &str,
    job: &Target,
    again: Option<Duration>,
) -> Result<Applied, JobError> {
    let there = connection.get(job.into()).await.map_err(api(job))?;
    let was_made = there.as_ref().is_some_and(|live| is_made_for_the_same(live, job));
    let again = again.filter(|_| !was_made);
    let makes_room = there.as_ref().is_some_and(is_barred).then_some(LEAVING);
    let there = match again.or(makes_room) {
        Some(leaving) => {
            remove(connection, set, job, leaving).await?;
            connection.get(job.into()).await.map_err(api(job))?
        }
        None => there,
    };
    let live = match there {
        Some(live) => live,
        None => match create(connection, set, job, false).await {
            Ok(live) => live,
            // Another run was faster, or we ourselves when the answer was lost: then a quota may have no room for a second one.
            Err(JobError::Api { why, .. })
                if matches!(why.kind(), ApiErrorKind::Changed | ApiErrorKind::Quota) =>
            {
                let live = connection.get(job.into()).await.map_err(api(job))?;
                let live = match (live, why.kind()) {
                    (Some(live), _) => live,
                    (None, ApiErrorKind::Quota) => return Err(api(job)(why)),
                    (None, _) => return Err(JobError::Gone { id: job.id.clone() }),
                };
                // A later run has decided that this one was never started.
                if is_barred(&live) {
                    return Err(JobError::Barred { id: job.id.clone() });
                }
                live
            }
            Err(error) => return Err(error),
        },
    };
    require_ours(job, &live, set)?;
    Ok(Applied {
        target: job.clone(),
        uid: value::uid(&live).to_owned(),
        generation: generation(&live),
        live,
    })
}

/// The same job, made after another of its name that may have changed something.
pub(crate) fn after_another(job: &Target) -> Target {
    let mut job = job.clone();
    job.wanted["metadata"]["annotations"][AFTER_ANOTHER] = "true".into();
    job
}

/// The same job, made anew for a deployment.
pub(crate) fn again_in(job: &Target, deployment: &DeploymentId) -> Target {
    let mut job = job.clone();
    job.wanted["metadata"]["annotations"][AGAIN_IN] = deployment.to_string().into();
    job
}

/// Whether one that is there was made anew for the deployment that wants it made anew.
fn is_made_for_the_same(live: &Value, wanted: &Target) -> bool {
    let deployment = annotation(&wanted.wanted, AGAIN_IN);
    deployment.is_some() && annotation(live, AGAIN_IN) == deployment
}

/// Whether there was none before it that may have changed something. That it did not begin, or found nothing to change, says
/// nothing about the one before it, which may have changed everything.
pub(crate) fn is_first(live: &Value) -> bool {
    annotation(live, AFTER_ANOTHER).is_none()
}

/// How a job ended; none if it has not. One that has failed but for pods that are on their way out is waited for, within
/// [`ENDING`]: they may change something until they are gone.
///
/// # Errors
/// When it is gone, or cannot be read.
pub(crate) async fn outcome(
    connection: &Connection,
    job: &Target,
    deployment: &DeploymentId,
) -> Result<Option<JobOutcome>, JobError> {
    let asked = Instant::now();
    let (live, succeeded) = loop {
        let live = connection.get(job.into()).await.map_err(api(job))?;
        let live = live.ok_or_else(|| JobError::Gone { id: job.id.clone() })?;
        if is_barred(&live) {
            return Err(JobError::Barred { id: job.id.clone() });
        }
        let succeeded = is_true(&live, "Complete");
        if succeeded || is_true(&live, "Failed") {
            break (live, succeeded);
        }
        if !is_true(&live, "FailureTarget") || asked.elapsed() > ENDING {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    };
    let rollback_safe =
        is_rollback_safe(&job.wanted) || is_first(&live) && changed_nothing(connection, job, &live).await;
    let end = if succeeded { JobEnd::Succeeded } else { JobEnd::Failed };
    Ok(Some(JobOutcome { end, rollback_safe, deployment: Some(deployment.clone()) }))
}

/// Whether a job will not succeed any more, and nothing of it runs that a second one would run beside.
fn is_over(live: &Value) -> bool {
    let is_leaving = !text(live, "/metadata/deletionTimestamp").is_empty();
    let is_idle = ["/status/active", "/status/terminating"].iter().all(|pods| count(live, pods) == 0);
    is_barred(live) || is_true(live, "Failed") || is_suspended(live) && is_idle || is_leaving
}

fn is_suspended(live: &Value) -> bool {
    flag(live, "/spec/suspend")
}

/// Whether its pods say that there was nothing to change. Those that cannot be read say nothing: how a job ended is recorded all
/// the same.
async fn changed_nothing(connection: &Connection, job: &Target, live: &Value) -> bool {
    pods_of(connection, job).await.is_ok_and(|pods| vouch::changed_nothing(live, &pods))
}

async fn pods_of(connection: &Connection, job: &Target) -> Result<Vec<Value>, ApiError> {
    let pods = kube::core::discovery::ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
    let selector = format!("batch.kubernetes.io/job-name={}", job.id.name);
    connection.list(&pods, job.id.namespace.as_deref(), &selector, Depth::Whole).await
}

/// The jobs of a set in a namespace that are still held.
///
/// # Errors
/// When they cannot be listed.
pub(crate) async fn still_held(
    connection: &Connection,
    set: &str,
    namespace: &str,
) -> Result<Vec<Target>, ApiError> {
    let resource = kube::core::discovery::ApiResource::erase::<k8s_openapi::api::batch::v1::Job>(&());
    let all = connection.list(&resource, Some(namespace), "", Depth::Whole).await?;
    let ours = all.into_iter().filter(|live| {
        annotation(live, SET) == Some(set) && finalizers(live).any(|finalizer| finalizer == FINALIZER)
    });
    let target = |live: Value| {
        let id = ObjectId {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            namespace: Some(namespace.to_owned()),
            name: text(&live, "/metadata/name").to_owned(),
        };
        Target { id, resource: resource.clone(), wanted: live }
    };
    Ok(ours.map(target).collect())
}

/// Suspends a job of which nothing has ever run, so that nothing of it runs when nobody waits for it any more; whether it is
/// one.
///
/// # Errors
/// When its pods cannot be read, or it cannot be written.
pub(crate) async fn suspend(connection: &Connection, job: &Target) -> Result<bool, JobError> {
    let place: Place<'_> = job.into();
    let within = collection(place.resource, place.namespace);
    let slot = Slot::new(connection, within, place.name, REQUEST_TIMEOUT);
    // Some queues of jobs resume whatever is suspended.
    let stopped = json!({"spec": {"suspend": true, "parallelism": 0}});
    for _ in 0..ATTEMPTS {
        let Some(live) = slot.get().await.map_err(api(job))? else { return Ok(false) };
        let pods = pods_of(connection, job).await.map_err(api(job))?;
        if has_begun(&live) || pods.iter().any(has_run) {
            return Ok(false);
        }
        match slot.change(&live, stopped.clone()).await.map_err(api(job))? {
            Swap::Done(_) => return Ok(true),
            // Perhaps because a pod of it runs now.
            Swap::Lost => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(JobError::KeepsChanging { id: job.id.clone() })
}

/// Whether a job has counted a pod that ran.
fn has_begun(live: &Value) -> bool {
    ["/status/ready", "/status/succeeded", "/status/failed"]
        .iter()
        .any(|count| live.pointer(count).and_then(Value::as_i64).unwrap_or_default() > 0)
}

/// Whether a container of a pod runs, or ever ran.
fn has_run(pod: &Value) -> bool {
    let began = |container: &Value| {
        ["/state/running", "/state/terminated", "/lastState/terminated"]
            .iter()
            .any(|state| container.pointer(state).is_some_and(Value::is_object))
    };
    let containers = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut containers = containers.iter().filter_map(|all| pod.pointer(all)?.as_array()).flatten();
    !matches!(text(pod, "/status/phase"), "" | "Pending") || containers.any(began)
}

/// Lets a job go whose outcome is recorded.
///
/// # Errors
/// When it cannot be written.
pub async fn let_go(connection: &Connection, job: &Target) -> Result<(), JobError> {
    let place: Place<'_> = job.into();
    let within = collection(place.resource, place.namespace);
    let slot = Slot::new(connection, within, place.name, REQUEST_TIMEOUT);
    for _ in 0..ATTEMPTS {
        let Some(live) = slot.get().await.map_err(api(job))? else { return Ok(()) };
        if finalizers(&live).all(|one| one != FINALIZER) {
            return Ok(());
        }
        let others: Vec<&str> = finalizers(&live).filter(|one| *one != FINALIZER).collect();
        match slot.change(&live, json!({"metadata": {"finalizers": others}})).await {
            Ok(Swap::Done(_)) => return Ok(()),
            // Its status moved meanwhile: the next look will find it unchanged.
            Ok(Swap::Lost) => tokio::time::sleep(PAUSE).await,
            Err(why) if why.is_not_found() => return Ok(()),
            Err(why) => return Err(api(job)(why)),
        }
    }
    Err(JobError::KeepsChanging { id: job.id.clone() })
}

async fn remove(connection: &Connection, set: &str, job: &Target, leaving: Duration) -> Result<(), JobError> {
    let until = Instant::now() + leaving;
    let live = loop {
        let Some(live) = connection.get(job.into()).await.map_err(api(job))? else { return Ok(()) };
        require_ours(job, &live, set)?;
        if is_over(&live) {
            break live;
        }
        // Pods of one that was suspended a moment ago are on their way out.
        if !is_suspended(&live) || Instant::now() >= until {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    };
    let_go(connection, job).await?;
    let uid = value::uid(&live);
    connection.delete(job.into(), uid, Some(Propagation::Background)).await.map_err(api(job))?;
    match until_gone(connection, job.into(), uid, until).await.map_err(api(job))? {
        None => Ok(()),
        Some(_) => Err(JobError::DoesNotGo { id: Box::new(job.id.clone()), seconds: leaving.as_secs() }),
    }
}

async fn create(connection: &Connection, set: &str, job: &Target, dry_run: bool) -> Result<Value, JobError> {
    let mut object = marked(set, job);
    let finalizers = &mut object["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(finalizers) => finalizers.push(FINALIZER.into()),
        None => *finalizers = json!([FINALIZER]),
    }
    if object["spec"]["ttlSecondsAfterFinished"].is_null() {
        object["spec"]["ttlSecondsAfterFinished"] = EXPIRY.into();
    }
    let made = connection.create(&job.resource, job.id.namespace.as_deref(), &object, dry_run);
    made.await.map_err(api(job))
}

/// The job as one of the set's.
fn marked(set: &str, job: &Target) -> Value {
    let mut object = job.wanted.clone();
    object["metadata"]["namespace"] = json!(job.id.namespace);
    object["metadata"]["annotations"][SET] = set.into();
    object
}

fn require_ours(job: &Target, live: &Value, set: &str) -> Result<(), JobError> {
    if annotation(live, SET) == Some(set) { Ok(()) } else { Err(JobError::NotOurs { id: job.id.clone() }) }
}

fn api(job: &Target) -> impl Fn(ApiError) -> JobError {
    let id = Box::new(job.id.clone());
    move |why| JobError::Api { id: id.clone(), why }
}
