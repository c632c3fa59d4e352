//! The status for programs, as the manual has it.

use git_deploy_cli::shell::Object;
use git_deploy_cli::{Shell, plan};
use git_deploy_core::config::deploy_toml::Frozen;
use git_deploy_core::environment::{Drift, Left, Workload};
use git_deploy_core::ids::RefName;
use git_deploy_core::ledger::Deployment;
use git_deploy_core::ops::deploy::{EnvironmentStatus, Overview, Remains, UnderWay, Whereabouts};
use serde_json::{Value, json};

use crate::author;

pub(crate) fn records(overview: &Overview, nul: bool, shell: &mut Shell) {
    for environment in &overview.environments {
        environment_records(environment, nul, shell);
    }
    for Remains { environment, deployment, place, found, .. } in &overview.remains {
        let (name, id) = (environment.as_str(), deployment.to_string());
        let objects = found.as_ref().map(|found| found.objects.len().to_string()).unwrap_or_default();
        shell.record(["remains", name, &id, &place.context, &place.namespace, &objects], nul);
    }
    let head = overview.head().map(|place| place.branch.to_string()).unwrap_or_default();
    let held = if overview.holds.is_empty() { "free" } else { "held" };
    shell.record(["queue", &overview.queue.len().to_string(), &head, held], nul);
}

fn environment_records(environment: &EnvironmentStatus, nul: bool, shell: &mut Shell) {
    let name = environment.name.as_str();
    let stands = environment.stands.as_ref();
    let text = |of: fn(&Deployment) -> String| stands.map(of).unwrap_or_default();
    let fields = [
        text(|stands| stands.id.to_string()),
        text(|stands| stands.commit.to_string()),
        text(|stands| stands.finished.to_string()),
        text(|stands| stands.branch.as_ref().map(ToString::to_string).unwrap_or_default()),
    ];
    let head = ["environment", name, environment.health().as_str()];
    shell.record(head.into_iter().chain(fields.iter().map(String::as_str)), nul);
    if let (Some(stands), Some(skip)) = (stands, stands.and_then(|stands| stands.skip.as_ref())) {
        let id = stands.id.to_string();
        skip.what.iter().for_each(|what| shell.record(["skipped", name, &id, what, &skip.reason], nul));
    }
    if let Some(frozen) = &environment.frozen {
        let until = frozen.until.map(|until| until.to_string()).unwrap_or_default();
        shell.record(["frozen", name, &until, frozen.reason.as_deref().unwrap_or_default()], nul);
    }
    for under_way in &environment.under_way {
        let attempt = &under_way.attempt;
        let branch = attempt.branch.as_ref().map(ToString::to_string).unwrap_or_default();
        let (id, started) = (attempt.id.to_string(), attempt.started.to_string());
        let (phase, commit) = (attempt.phase.as_str(), attempt.candidate.to_string());
        shell.record(["deploying", name, &id, phase, &started, &commit, &branch, &attempt.by], nul);
    }
    if let Some((stands, leads)) = &environment.moved {
        let (from, to) = ((&stands.context, &stands.namespace), (&leads.context, &leads.namespace));
        shell.record(["moved", name, from.0, from.1, to.0, to.1], nul);
    }
    let status = match &environment.asked {
        Ok(status) => status,
        Err(failure) => return shell.record(["problem", name, &failure.to_string()], nul),
    };
    for workload in &status.workloads {
        let (ready, wanted) = (workload.ready.to_string(), workload.wanted.to_string());
        let trouble = workload.trouble.as_deref().unwrap_or_default();
        shell.record(["workload", name, &workload.object.word(), &ready, &wanted, trouble], nul);
    }
    for drift in &status.drift {
        let by = author(&drift.by).unwrap_or_default();
        shell.record(["drift", name, drift.what.as_str(), &drift.object.word(), &by], nul);
    }
    for left in &status.left {
        shell.record(["left", name, &left.object.word(), &left.why], nul);
    }
    for unseen in &status.unseen {
        shell.record(["unseen", name, unseen], nul);
    }
    if let Some(lock) = &status.holder {
        let id = lock.deployment.as_ref().map(ToString::to_string).unwrap_or_default();
        shell.record(["holder", name, &id, &lock.host, &lock.by], nul);
    }
}

pub(crate) fn objects(overview: &Overview, shell: &mut Shell) {
    overview.environments.iter().for_each(|environment| shell.json(&environment_object(environment)));
    let head = overview.head().map(|place| place.branch.as_str());
    let queue = json!({ "length": overview.queue.len(), "head": head, "held": !overview.holds.is_empty() });
    let remains: Vec<Value> = overview.remains.iter().map(remains_object).collect();
    let remains = (!remains.is_empty()).then_some(remains);
    shell.json(&Object::new().with("queue", queue).with_known("remains", remains));
}

fn environment_object(environment: &EnvironmentStatus) -> Object {
    let stands = environment.stands.as_ref();
    let asked = environment.asked.as_ref();
    let none = git_deploy_core::environment::Status::default();
    let status = asked.unwrap_or(&none);
    let workloads: Vec<Value> = status.workloads.iter().map(workload_object).collect();
    let drift: Vec<Value> = status.drift.iter().map(drift_object).collect();
    let left: Vec<Value> = status.left.iter().map(left_object).collect();
    let deploying: Vec<_> = environment.under_way.iter().map(under_way_object).collect();
    let holder = status.holder.as_ref().map(|lock| {
        json!({
            "by": lock.by,
            "host": lock.host,
            "deployment": lock.deployment.as_ref().map(ToString::to_string),
        })
    });
    let rollback = stands.and_then(|stands| stands.rollback.as_ref());
    let skip = stands.and_then(|stands| stands.skip.as_ref());
    let approved = stands.and_then(|stands| stands.approved_deployment.as_ref());
    Object::new()
        .with("environment", environment.name.as_str())
        .with("health", environment.health().as_str())
        .with("lands", environment.lands)
        .with("deployment", stands.map(|stands| stands.id.to_string()))
        .with("commit", stands.map(|stands| stands.commit.to_string()))
        .with("finished", stands.map(|stands| stands.finished.to_string()))
        .with("workloads", workloads)
        .with("drift", drift)
        .with("kept", left)
        .with("unseen", status.unseen.as_slice())
        .with("deploying", deploying)
        .with_known("ref", stands.and_then(|stands| stands.branch.as_ref()).map(RefName::as_str))
        .with_known("rollback", rollback.map(ToString::to_string))
        .with_known("holder", holder)
        .with_known("says", status.says.as_deref())
        .with_known("left", environment.left())
        .with_known("skipped", skip.map(|skip| &skip.what[..]))
        .with_known("skip-reason", skip.map(|skip| skip.reason.as_str()))
        .with_known("approved-by", stands.and_then(|stands| stands.approved_by.as_deref()))
        .with_known("approved-deployment", approved.map(ToString::to_string))
        .with_known("frozen", environment.frozen.as_ref().map(frozen_object))
        .with_known("stands-in", environment.moved.as_ref().map(|(stands, _)| place_object(stands)))
        .with_known("leads-to", environment.moved.as_ref().map(|(_, leads)| place_object(leads)))
        .with_known("forward-only", status.forward_only.as_deref())
        .with_known("problem", asked.err().map(ToString::to_string))
}

fn frozen_object(frozen: &Frozen) -> Object {
    Object::new()
        .with("until", frozen.until.map(|until| until.to_string()))
        .with_known("reason", frozen.reason.as_deref())
}

fn place_object(place: &Whereabouts) -> Object {
    Object::new().with("context", place.context.as_str()).with("namespace", place.namespace.as_str())
}

fn remains_object(remains: &Remains) -> Value {
    let found = remains.found.as_ref();
    let objects: Option<Vec<Value>> =
        found.ok().map(|found| found.objects.iter().map(|object| plan::name(object).into()).collect());
    let kept: Option<Vec<Value>> = found.ok().map(|found| found.stays.iter().map(left_object).collect());
    Object::new()
        .with("environment", remains.environment.as_str())
        .with("deployment", remains.deployment.to_string())
        .with("place", place_object(&remains.place))
        .with("objects", objects)
        .with_known("kept", kept.filter(|kept| !kept.is_empty()))
        .with_known("problem", found.err().map(ToString::to_string))
        .into()
}

fn left_object(left: &Left) -> Value {
    plan::left(left).into()
}

fn workload_object(workload: &Workload) -> Value {
    Object::new()
        .with("object", plan::name(&workload.object))
        .with("ready", workload.ready)
        .with("wanted", workload.wanted)
        .with("trouble", workload.trouble.as_deref())
        .into()
}

fn drift_object(drift: &Drift) -> Value {
    Object::new()
        .with("what", drift.what.as_str())
        .with("object", plan::name(&drift.object))
        .with("by", author(&drift.by))
        .with("diff", drift.diff.as_deref())
        .into()
}

fn under_way_object(under_way: &UnderWay) -> serde_json::Value {
    let attempt = &under_way.attempt;
    json!({
        "deployment": attempt.id.to_string(),
        "phase": attempt.phase.as_str(),
        "started": attempt.started.to_string(),
        "commit": attempt.candidate.to_string(),
        "ref": attempt.branch.as_ref().map(ToString::to_string),
        "by": attempt.by,
        "on-base": under_way.is_on_base,
        "is-left": under_way.is_left,
    })
}
