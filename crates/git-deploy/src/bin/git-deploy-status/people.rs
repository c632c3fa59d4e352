//! The status for people.

use git_deploy_cli::args::Common;
use git_deploy_cli::shell::Table;
use git_deploy_cli::{Shell, Text, named, plan, releases, shell, why_held};
use git_deploy_core::deployment::Phase;
use git_deploy_core::environment::{Author, Status, Workload};
use git_deploy_core::ids::DeploymentId;
use git_deploy_core::ops::deploy::{EnvironmentStatus, Health, Hold, Overview, Remains, UnderWay, in_words};

use crate::remains;

pub(crate) fn show(overview: &Overview, common: &Common, shell: &mut Shell) {
    let diffs = common.verbose > 0 && !common.quiet;
    for environment in &overview.environments {
        show_environment(environment, diffs, shell);
        let of_it = |remains: &&Remains| remains.environment == environment.name;
        overview.remains.iter().filter(of_it).for_each(|remains| remains::show(remains, shell));
    }
    for remains in overview.remains.iter().filter(|remains| remains::is_gone(remains, overview)) {
        let line = Text::new().styled(shell::NAME, &remains.environment);
        shell.line(line.plain(": not in deploy.toml any more"));
        remains::show(remains, shell);
    }
    show_queue(overview, shell);
    for environment in &overview.environments {
        give_hints(environment, diffs, shell);
    }
    overview.remains.iter().for_each(|remains| remains::hint(remains, overview, shell));
}

fn show_environment(environment: &EnvironmentStatus, diffs: bool, shell: &mut Shell) {
    let health = environment.health();
    let style = match health {
        Health::Well => shell::GOOD,
        Health::Deploying | Health::Unknown => shell::HINT,
        Health::Empty => shell::FAINT,
        Health::Degraded | Health::Stopped | Health::NotReady | Health::Moved | Health::Drifted => shell::BAD,
    };
    let line = Text::new().styled(shell::NAME, &environment.name).plain(": ");
    shell.line(line.styled(style, health.as_str().replace('-', " ")).joined(stands(environment)));
    let stood = environment.stands.as_ref();
    if let Some(skip) = stood.and_then(|stands| stands.skip.as_ref()) {
        shell.line(Text::from("  ").styled(shell::BAD, plan::skipped(skip)));
    }
    if let Some(stands) = stood
        && let Some(by) = &stands.approved_by
    {
        let of = stands.approved_deployment.as_ref().map(|of| format!(" ({of})")).unwrap_or_default();
        shell.line(Text::from("  ").plain(format!("approved by {by}{of}")));
    }
    if let Some(frozen) = &environment.frozen {
        let frozen = format!("nothing is deployed here{}", in_words(frozen));
        shell.line(Text::from("  ").styled(shell::HINT, frozen));
    }
    if let Some((stands, leads)) = &environment.moved {
        let (stands, leads) = stands.apart_from(leads);
        let stands = Text::from("  ").styled(shell::BAD, format!("stands in {stands}"));
        shell.line(stands.plain(format!(", and deploy.toml leads to {leads}")));
    }
    if let Some(left) = environment.left() {
        let failed = environment.failed.as_ref().map(|failed| failed.id.to_string()).unwrap_or_default();
        shell.line(Text::from("  ").styled(shell::BAD, format!("{failed} failed, and was {left}")));
    }
    for under_way in &environment.under_way {
        shell.line(Text::from("  ").joined(deploying(under_way)));
    }
    match &environment.asked {
        Ok(status) => show_status(status, environment, diffs, shell),
        Err(failure) => {
            shell.line(Text::from("  ").styled(shell::HINT, format!("cannot be asked: {}", failure.reason)));
        }
    }
}

/// Which deployment stands there.
fn stands(environment: &EnvironmentStatus) -> Text {
    let Some(stands) = &environment.stands else {
        return Text::from(", nothing was deployed there yet");
    };
    let what = plan::origin(stands.branch.as_ref(), stands.rollback.as_ref());
    Text::from(", ")
        .styled(shell::NAME, &stands.id)
        .plain(format!("{what} ("))
        .styled(shell::COMMIT, stands.commit.brief())
        .plain(format!(") since {}", stands.finished))
}

fn deploying(under_way: &UnderWay) -> Text {
    let attempt = &under_way.attempt;
    let of = plan::origin(attempt.branch.as_ref(), attempt.rollback.as_ref());
    let comma = if attempt.branch.is_none() && attempt.rollback.is_some() { "," } else { "" };
    let host = under_way.holder.as_ref().map(|lock| format!(" on '{}'", lock.host)).unwrap_or_default();
    let phase = match attempt.phase {
        Phase::Verified if under_way.is_on_base => "verified and landed, without its verdict yet",
        Phase::Verified => "verified, not landed",
        phase => phase.as_str(),
    };
    let left = if under_way.is_left { ", and nobody works on it" } else { "" };
    let style = if under_way.is_left { shell::BAD } else { shell::HINT };
    Text::new()
        .styled(shell::NAME, &attempt.id)
        .plain(format!("{of}{comma} is "))
        .styled(style, phase)
        .plain(format!(", begun {} by {}{host}{left}", attempt.started, attempt.by))
}

fn show_status(status: &Status, environment: &EnvironmentStatus, diffs: bool, shell: &mut Shell) {
    // Who holds the environment is said with the deployment that it is held for.
    let is_told = |id| environment.under_way.iter().any(|under_way| Some(&under_way.attempt.id) == id);
    if let Some(lock) = status.holder.as_ref().filter(|lock| !is_told(lock.deployment.as_ref())) {
        let of = lock.deployment.as_ref().map(|id| format!(" for {id}")).unwrap_or_default();
        shell.line(Text::from("  ").plain(format!("held{of} by {} on '{}'", lock.by, lock.host)));
    }
    let mut table = Table::new();
    for workload in &status.workloads {
        let style = if is_ready(workload) { shell::GOOD } else { shell::BAD };
        table.row([
            Text::from("  ").plain(&workload.object),
            Text::new().styled(style, format!("{}/{}", workload.ready, workload.wanted)),
            Text::from(workload.trouble.as_deref().unwrap_or_default()),
        ]);
    }
    table.print(shell);
    if environment.health() == Health::Deploying {
        return;
    }
    for drift in &status.drift {
        let line = Text::from("  ").styled(shell::BAD, drift.what.as_str());
        shell.line(line.plain(format!("{}: {}", whose(&drift.by, environment), drift.object)));
    }
    for left in &status.left {
        shell.line(
            Text::from("  ").styled(shell::FAINT, "left").plain(format!(": {} ({})", left.object, left.why)),
        );
    }
    if !status.unseen.is_empty() {
        let unseen = status.unseen.join("; ");
        shell.line(Text::from("  ").styled(shell::HINT, "not looked at").plain(format!(": {unseen}")));
    }
    if diffs {
        for drift in &status.drift {
            let heading = format!("{} {}", drift.what.as_str(), drift.object);
            plan::diff(&heading, drift.diff.as_deref().unwrap_or_default(), shell);
        }
    }
}

fn whose(by: &Author, environment: &EnvironmentStatus) -> String {
    let is_open =
        |id: &DeploymentId| environment.under_way.iter().any(|under_way| under_way.attempt.id == *id);
    match by {
        Author::Person(None) => " by hand".to_owned(),
        Author::Person(Some(tool)) => format!(" by hand ({tool})"),
        Author::Program(name) => format!(" by '{name}'"),
        Author::Deployment(Some(id)) if is_open(id) => format!(" by {id}"),
        Author::Deployment(Some(id)) => format!(" by {id}, which failed"),
        Author::Deployment(None) => ", left by an earlier deployment".to_owned(),
    }
}

fn is_ready(workload: &Workload) -> bool {
    workload.ready >= workload.wanted && workload.trouble.is_none()
}

fn show_queue(overview: &Overview, shell: &mut Shell) {
    let line = Text::new().styled(shell::NAME, "queue").plain(": ");
    let length = match overview.queue.len() {
        0 => return shell.line(line.plain("empty")),
        1 => "1 branch".to_owned(),
        length => format!("{length} branches"),
    };
    let next = match (overview.holds.first(), overview.head()) {
        (Some(hold @ (Hold::Unpromoted { .. } | Hold::Frozen { .. })), _) => {
            Text::from(", ").styled(shell::HINT, why_held(hold))
        }
        (Some(hold), _) => Text::from(", ").styled(shell::BAD, format!("held since {}", why_held(hold))),
        (None, Some(place)) => Text::from(", next is ").styled(shell::NAME, place.branch.short()),
        (None, None) => Text::from(", none of them can go on"),
    };
    shell.line(line.plain(length).joined(next));
    match overview.holds.first() {
        // What mends an environment is said of that environment.
        Some(
            hold @ (Hold::Asked(_) | Hold::RolledBack(_) | Hold::Unpromoted { .. } | Hold::Frozen { .. }),
        ) => {
            releases(hold).iter().for_each(|hint| shell.hint(hint.as_str()));
        }
        Some(Hold::Degraded { .. }) => {}
        None => shell.hint("see all of it with: git deploy-queue"),
    }
}

fn give_hints(environment: &EnvironmentStatus, diffs: bool, shell: &mut Shell) {
    let name = &environment.name;
    if let Err(failure) = &environment.asked {
        failure.hint.iter().for_each(|hint| shell.hint(hint.as_str()));
    }
    match environment.health() {
        // What has landed cannot be given up any more.
        Health::Stopped if environment.under_way.iter().any(|under_way| under_way.is_on_base) => {
            shell.hint("end it with: git deploy --continue");
        }
        Health::Stopped => {
            shell.hint("end it with: git deploy --continue; give it up with: git deploy --abort");
        }
        Health::Drifted => {
            if !diffs {
                shell.hint(format!("see what was changed with: git deploy-status -v --env={name}"));
            }
            if let Some(stands) = &environment.stands {
                // In a cluster whoever changed a field manages it.
                let force = if environment.is_cluster { " --force-conflicts" } else { "" };
                let undo = format!("undo it with: git deploy --env={name} --rollback={}{force}", stands.id);
                shell.hint(way_back(environment, undo));
            }
        }
        Health::Degraded => {
            if environment.stands.is_some() {
                let back = format!("go back with: git deploy --env={name} --rollback");
                shell.hint(way_back(environment, back));
            }
            // A branch that lands comes there on its way.
            let named = named(name, environment.lands);
            shell.hint(format!("deploy a branch that mends it by naming it: git deploy{named} <branch>"));
        }
        Health::Moved => {
            shell.hint(format!(
                "a deployment brings it there, and leaves behind what stands where it stands now: git deploy --env={name} --new-cluster"
            ));
        }
        Health::Unknown | Health::Deploying | Health::NotReady | Health::Empty | Health::Well => {}
    }
}

/// How to go back, or that there is no way: what would be refused is no advice.
fn way_back(environment: &EnvironmentStatus, hint: String) -> String {
    match environment.asked.as_ref().ok().and_then(|status| status.forward_only.as_ref()) {
        Some(why) => format!("there is no way back, {why}: only forward is safe"),
        None => hint,
    }
}
