//! The same as `git deploy-queue show` prints, for programs.

use git_deploy_cli::shell::Object;
use git_deploy_core::attempt::Attempt;
use git_deploy_core::branch::Status;
use git_deploy_core::ops::story::{Attempted, Landed, Subject};
use git_deploy_core::queue::Wait;
use serde_json::{Value, json};

use super::{Queued, Told};
use crate::{hold_object, standstill_object, unusable_object, wait_object, when};

impl Told<'_> {
    pub(super) fn object(&self) -> Object {
        let (name, commit) = match &self.story.subject {
            Subject::Branch(name) => {
                (Some(name.as_str()), self.story.branch.as_ref().map(|branch| branch.tip.to_string()))
            }
            Subject::Commit(commit) => (None, Some(commit.to_string())),
        };
        let branch = self.story.branch.as_ref();
        let note = self.note();
        let merged = branch.and_then(|branch| match &branch.status {
            Status::Merged { into, .. } => Some(into.as_str()),
            _ => None,
        });
        let conflicts = branch.and_then(|branch| match &branch.status {
            Status::Broken { paths } if !paths.is_empty() => Some(paths.clone()),
            _ => None,
        });
        let queued = self.queued.as_ref();
        let under_way: Vec<Value> = self.under_way.iter().map(|attempt| attempt_object(attempt)).collect();
        let past: Vec<Value> = self.story.past.iter().map(past_object).collect();
        Object::new()
            .with("ref", name)
            .with("commit", commit)
            .with("state", branch.map(|branch| branch.state().as_str()))
            .with_known("since", note.and_then(|note| self.since(note)).map(|since| since.to_string()))
            .with_known("reason", note.and_then(|note| note.reason.as_deref()))
            .with_known("conflicts", conflicts)
            .with_known("merged", merged)
            .with_known("empty", self.is_empty().then_some(true))
            .with_known("position", queued.map(|queued| queued.position))
            .with_known(
                "behind",
                queued.map(|queued| queued.before.iter().map(|name| name.as_str()).collect::<Vec<_>>()),
            )
            .with_known("waits", queued.map(|queued| self.waits(queued)))
            .with_known("standstill", queued.and(self.seen.standstill.as_ref()).map(standstill_object))
            .with_known("expected", queued.map(|queued| when::object(queued.expected)))
            .with_known("deploying", (!under_way.is_empty()).then_some(under_way))
            .with("deployments", past)
    }

    /// All that keeps it where it is but those before it.
    fn waits(&self, queued: &Queued<'_>) -> Vec<Value> {
        let holds = self.seen.holds.iter().filter(|_| queued.is_held).map(hold_object);
        let unusable = self.seen.unusable.as_deref().map(unusable_object);
        let waits = queued.waits.iter().map(|wait| {
            let mut object = wait_object(wait);
            if let (Wait::Held(_), Some(holder)) = (wait, &queued.holder) {
                object["by"] = holder.by.as_str().into();
                object["since"] = holder.since.map(|since| since.to_string()).into();
            }
            object
        });
        waits.chain(holds).chain(unusable).collect()
    }
}

fn attempt_object(attempt: &Attempt) -> Value {
    json!({
        "tag": attempt.id.to_string(),
        "environment": attempt.environment.as_str(),
        "phase": attempt.phase.as_str(),
        "commit": attempt.candidate.to_string(),
        "started": attempt.started.to_string(),
        "by": attempt.by,
    })
}

fn past_object(attempted: &Attempted) -> Value {
    let deployment = &attempted.deployment;
    let landed = attempted.landed.map(|landed| match landed {
        Landed::OnBase => "on-base",
        Landed::TakenBack => "taken-back",
    });
    Object::new()
        .with("tag", deployment.id.to_string())
        .with("result", deployment.outcome.as_str())
        .with("environment", deployment.environment.as_str())
        .with("commit", deployment.commit.to_string())
        .with("started", deployment.started.to_string())
        .with("finished", deployment.finished.to_string())
        .with("seconds", deployment.started.duration_until(deployment.finished).as_secs())
        .with_known("approved", attempted.approved.map(|approved| approved.to_string()))
        .with_known("landed", landed)
        .with_known("reason", deployment.reason.as_deref())
        .with_known("undone", attempted.back.as_ref().map(ToString::to_string))
        .with_known("rollback", deployment.rollback.as_ref().map(ToString::to_string))
        .into()
}
