//! What the parts of this crate say, as the core wants to hear it.

use git_deploy_core::deployment::{Blame, Failure, Step};
use git_deploy_core::environment::{Effect, ObjectName, Plan, PlannedObject as Told, Rendered};
use git_deploy_core::git::GitError;
use git_deploy_manifest::{Object, ObjectId, SourceFile, read, redacted, write};

use super::state::{Forward, PlannedJob};
use crate::api_error::ApiError;
use crate::connect::ConnectError;
use crate::jobs::JobError;
use crate::lease::LeaseError;
use crate::set::SetError;

pub(super) fn of_git(step: Step) -> impl Fn(GitError) -> Failure {
    move |error| Failure::of_nobody(step, error.to_string())
}

/// A failure that decides nothing where that is so.
pub(super) fn open_if(is_undecided: bool, failure: Failure) -> Failure {
    if is_undecided { failure.undecided() } else { failure }
}

/// What the API server answered, or did not, in these words.
pub(super) fn of_api(step: Step, error: &ApiError, why: String) -> Failure {
    open_if(error.is_undecided(), Failure::new(step, error.blame(), why).hint(error.hint()))
}

pub(super) fn of_lease(step: Step) -> impl Fn(LeaseError) -> Failure {
    move |error| {
        let failure = Failure::new(step, error.blame(), error.to_string()).hint(error.hint());
        open_if(error.is_undecided(), failure)
    }
}

pub(super) fn of_set(step: Step, context: &str) -> impl Fn(SetError) -> Failure {
    move |error| {
        let failure = Failure::new(step, error.blame(), error.to_string()).hint(error.hint(context));
        let failure = open_if(error.is_undecided(), failure);
        match error {
            // Whose the set is does not change by waiting.
            SetError::NotAParent { .. }
            | SetError::OtherTool { .. }
            | SetError::OtherOwner { .. }
            | SetError::UnknownDeployment { .. }
            | SetError::Unreadable { .. } => failure.fatal(),
            _ => failure,
        }
    }
}

pub(super) fn of_connection(error: &ConnectError) -> Failure {
    let failure = Failure::of_nobody(Step::Plan, error.to_string()).hint(error.hint());
    let failure = open_if(error.is_undecided(), failure);
    if error.is_here() { failure.fatal() } else { failure }
}

/// The objects of rendered files.
pub(super) fn objects(rendered: &Rendered) -> Result<Vec<Object>, Failure> {
    let file = |object: &git_deploy_core::environment::RenderedObject| SourceFile {
        path: object.path.clone(),
        bytes: object.bytes.clone(),
    };
    let files: Vec<SourceFile> = rendered.objects.iter().map(file).collect();
    read(&files).map_err(|error| Failure::new(Step::Render, Blame::Branch, error.to_string()))
}

/// Path and bytes of what may be kept in git: values of Secrets are only digests.
pub(super) fn without_secrets(rendered: &Rendered) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let file = |mut object: Object| {
        let kept = redacted(object.id(), object.value());
        *object.value_mut() = kept;
        (object.source().file.clone(), write(&object))
    };
    Ok(objects(rendered)?.into_iter().map(file).collect())
}

/// What an object is known by, in the core's words.
pub(super) fn named(id: &ObjectId) -> ObjectName {
    ObjectName {
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        api_version: id.api_version(),
    }
}

/// The plan in words.
pub(super) fn told(forward: &Forward) -> Plan {
    let planned = &forward.planned;
    let applied = planned.objects.iter().map(|object| Told {
        effect: object.effect,
        object: named(&object.target.id),
        validated: object.unvalidated.is_none(),
        diff: Some(object.diff()).filter(|diff| !diff.is_empty()),
    });
    let deleted = planned.deletions.iter().map(|deletion| Told {
        effect: Effect::Delete,
        object: named(&deletion.id),
        validated: true,
        diff: Some(deletion.diff()).filter(|diff| !diff.is_empty()),
    });
    let objects = forward.jobs.iter().map(told_of_job).chain(applied).chain(deleted).collect();
    Plan { objects, stays: forward.stays.clone() }
}

/// `named` is what names the environment to `git deploy`.
pub(super) fn of_job(step: Step, named: String) -> impl Fn(JobError) -> Failure {
    move |error| {
        let failure = Failure::new(step, error.blame(), error.to_string()).hint(error.hint(&named));
        open_if(error.is_undecided(), failure)
    }
}

/// A job in words.
fn told_of_job(job: &PlannedJob) -> Told {
    Told { effect: job.effect, object: named(&job.target.id), validated: true, diff: None }
}
