//! Why a deployment came to no verdict: exit code and what to do.

use git_deploy_core::approval::NotApproved;
use git_deploy_core::config::ConfigError;
use git_deploy_core::config::deploy_toml::{Frozen, nearest};
use git_deploy_core::deployment::{Blame, Failure};
use git_deploy_core::ids::{EnvironmentName, RefName};
use git_deploy_core::ops::deploy::{DeployError, Hold, RolledBack, in_words};
use git_deploy_core::ops::view::ViewError;
use git_deploy_core::state::State;

use crate::advice::{let_follow, typed};
use crate::{CommandError, Exit, bring_again, shell_word};

impl From<DeployError> for CommandError {
    /// The exit code that says whose turn it is, and hints.
    fn from(error: DeployError) -> Self {
        let hints = hints(&error);
        let mut explained = match error {
            DeployError::AnotherRun(_)
            | DeployError::Locked { .. }
            | DeployError::LostLock(_)
            | DeployError::NotLanded { .. }
            | DeployError::NotClaimed(_)
            | DeployError::Held(_)
            | DeployError::RolledBack(_)
            | DeployError::Unpromoted(_)
            | DeployError::Frozen { .. }
            | DeployError::Promote(_)
            | DeployError::Undecided { .. }
            | DeployError::NotRecorded { .. } => Self::new(Exit::TryAgain, error),
            DeployError::NotDeployable { .. }
            | DeployError::NotApproved { .. }
            | DeployError::AttemptNotApproved { .. }
            | DeployError::SkipNotGiven { .. }
            | DeployError::BackNotGiven { .. }
            | DeployError::Broken { .. }
            | DeployError::NotTaken { .. }
            | DeployError::TakenBack { .. }
            | DeployError::CommitNotApproved(_)
            | DeployError::CommitNotTaken { .. }
            | DeployError::NotRebased { .. }
            | DeployError::NotYet { .. }
            | DeployError::NothingToApprove { .. }
            | DeployError::MayNotPromote { .. }
            | DeployError::Older { .. }
            | DeployError::NoWayBack { .. }
            | DeployError::BaseBusy { .. }
            | DeployError::NothingUnderWay
            | DeployError::TooLate(_)
            | DeployError::Ended(_) => Self::new(Exit::No, error),
            DeployError::Plan(ref failure) => Self::new(exit_of(failure), error),
            DeployError::CutOff { .. }
            | DeployError::NoTarget(_)
            | DeployError::NoEnvironment { .. }
            | DeployError::NothingToSkip { .. }
            | DeployError::RenderedOnBase { .. }
            | DeployError::TagTaken(_)
            | DeployError::Forbidden(_)
            | DeployError::Record { .. }
            | DeployError::Id(_) => Self::new(Exit::Fatal, error),
            DeployError::Interrupted { signal, .. } => Self::interrupted(signal).context(error.to_string()),
            DeployError::View(ViewError::Config(ConfigError::NoDeployToml(_))) => {
                Self::new(Exit::Fatal, error)
            }
            DeployError::Sync(error) => error.into(),
            DeployError::View(error) => error.into(),
            DeployError::Rebase(error) => error.into(),
            DeployError::Git(error) => error.into(),
        };
        for hint in hints {
            explained = explained.hint(hint);
        }
        explained
    }
}

/// Before there is a number a failure is no verdict: what is nobody's fault can be tried again, unless that is of no use.
fn exit_of(failure: &Failure) -> Exit {
    match failure.blame {
        _ if failure.timed_out => Exit::TimedOut,
        _ if failure.fatal => Exit::Fatal,
        Blame::Branch => Exit::No,
        Blame::Nobody => Exit::TryAgain,
    }
}

fn hints(error: &DeployError) -> Vec<String> {
    match error {
        DeployError::Broken { branch, base, paths } => {
            let mend = format!("mend it with: {}", crate::put_upon(base, branch));
            conflicts(paths).chain([mend]).collect()
        }
        DeployError::TakenBack { taken, .. } => bring_again(taken),
        DeployError::CommitNotTaken { paths, .. } => conflicts(paths).collect(),
        DeployError::Held(_) => vec![RELEASE.to_owned()],
        DeployError::RolledBack(held) => ways_out(held),
        DeployError::TagTaken(id) => vec![
            format!("look at it with: git show {id}"),
            format!(
                "take it away here with 'git tag -d {id}', on the remote with 'git push --no-verify <remote> :refs/tags/{id}'"
            ),
            "then go on with: git deploy --continue".to_owned(),
        ],
        DeployError::Plan(failure) => failure.hint.iter().cloned().collect(),
        DeployError::Undecided { failure, .. } => {
            let go_on = "when that is over, go on with: git deploy --continue; a runner does so by itself";
            let give_up = "if the cluster is gone for good, give up with: git deploy --abort";
            failure.hint.iter().map(String::as_str).chain([go_on, give_up]).map(str::to_owned).collect()
        }
        error => before_the_claim(error).or_else(|| after_the_claim(error)).into_iter().collect(),
    }
}

/// What to do where there is no number yet.
fn before_the_claim(error: &DeployError) -> Option<String> {
    Some(match error {
        DeployError::NotDeployable { branch, state } => match state {
            State::Development | State::Staged => {
                format!("approve it with: git deploy-state set deployable {}", typed(branch))
            }
            State::Broken => {
                format!("see what it conflicts with: git deploy-rebase --check {}", typed(branch))
            }
            State::Deployed | State::Deployable => return None,
        },
        DeployError::NotApproved { branch, why } => return approve_again(branch, why),
        DeployError::CutOff { remote, .. } => {
            let remote = remote.as_deref().map(|remote| format!(" {}", shell_word(remote)));
            format!("get the whole history with: git fetch --unshallow{}", remote.unwrap_or_default())
        }
        DeployError::BaseBusy { why, .. } => let_follow(why),
        DeployError::Interrupted { id: None, .. } => {
            "nothing was claimed: nothing is left to be done".to_owned()
        }
        DeployError::NotRebased { branch, .. } => {
            format!("name its branch, which is rebased on the way: git deploy {}", typed(branch))
        }
        DeployError::RenderedOnBase { .. } => "give it a branch of its own in base's deploy.toml".to_owned(),
        DeployError::Locked { .. } | DeployError::AnotherRun(_) => {
            "wait until that has ended, then try again".to_owned()
        }
        DeployError::NoEnvironment { name, known } => {
            let near = nearest(name, known).map(|near| format!("did you mean '{near}'? "));
            format!("{}there are: {}", near.unwrap_or_default(), known.join(", "))
        }
        DeployError::Older { environment, .. } => {
            format!(
                "go back with: git deploy --env={environment} --rollback; or revert on a branch of its own what is to go back, and deploy that"
            )
        }
        DeployError::Unpromoted(waits) => approve_for(waits.branch.as_ref(), &waits.environment),
        DeployError::Frozen { environment, branch, frozen, skipped, .. } => {
            past_a_freeze(branch.as_ref(), (environment, frozen.as_ref()), skipped)
        }
        DeployError::NothingToSkip { name, known, .. } => {
            let near = nearest(name, known).map(|near| format!("did you mean '{near}'? "));
            format!("{}what can be skipped: {}", near.unwrap_or_default(), known.join(", "))
        }
        DeployError::NothingToApprove { is_elsewhere: true, .. } => {
            "see what stands where with: git deploy-status".to_owned()
        }
        DeployError::MayNotPromote { environment, branch, why } => {
            return promote_again(branch.as_ref(), environment, why);
        }
        DeployError::NoWayBack { .. } => "see what there was with: git deploy-log".to_owned(),
        DeployError::NotYet { after, branch, commit, .. } => {
            let what = branch.as_ref().map_or_else(|| commit.brief(), typed);
            format!("deploy it there first: git deploy --env={after} {what}")
        }
        DeployError::CommitNotApproved(_) => "set its branch deployable, or name a commit on base".to_owned(),
        DeployError::NoTarget(_) => "list what can be deployed with: git deploy-queue".to_owned(),
        DeployError::View(ViewError::Config(ConfigError::NoDeployToml(base))) => {
            format!("write one with 'git deploy-init', commit it to '{}' and push that", base.short())
        }
        _ => return None,
    })
}

/// Who approves that something goes on, where this user may not.
fn promote_again(
    branch: Option<&RefName>,
    environment: &EnvironmentName,
    why: &NotApproved,
) -> Option<String> {
    match why {
        NotApproved::Unverified(_) => None,
        NotApproved::Rules(_) => Some("mend [approve] in base's deploy.toml".to_owned()),
        NotApproved::Unsigned
        | NotApproved::Unreadable
        | NotApproved::Invalid(_)
        | NotApproved::Superseded(_)
        | NotApproved::Landed(_)
        | NotApproved::CutOff
        | NotApproved::Incomparable(_)
        | NotApproved::Gone(_)
        | NotApproved::Differs(_) => Some(format!(
            "who may is listed in [approve] of base's deploy.toml; one of them approves it with: {}",
            approving(branch, environment)
        )),
    }
}

/// What makes an approval hold, where another one of the same branch would.
pub fn approve_again(branch: &RefName, why: &NotApproved) -> Option<String> {
    match why {
        NotApproved::Unverified(_) => None,
        NotApproved::CutOff | NotApproved::Incomparable(_) => {
            Some("get the whole history with: git fetch --unshallow".to_owned())
        }
        NotApproved::Rules(_) => Some("mend [approve] in base's deploy.toml".to_owned()),
        NotApproved::Unsigned
        | NotApproved::Unreadable
        | NotApproved::Invalid(_)
        | NotApproved::Superseded(_)
        | NotApproved::Landed(_)
        | NotApproved::Gone(_)
        | NotApproved::Differs(_) => Some(format!(
            "somebody who may approves it with: git deploy-state set deployable {}",
            typed(branch)
        )),
    }
}

/// What to do where a deployment was begun.
fn after_the_claim(error: &DeployError) -> Option<String> {
    Some(match error {
        DeployError::NotLanded { .. } => {
            "mend the cause, then: git deploy --continue; to give up: git deploy --abort".to_owned()
        }
        DeployError::Interrupted { id: Some(_), phase: None, .. } => {
            "the next 'git deploy' ends what was claimed, if anything was; see it with: git deploy-status"
                .to_owned()
        }
        DeployError::Interrupted { id: Some(_), .. } | DeployError::NotRecorded { .. } => {
            "go on with: git deploy --continue; give up with: git deploy --abort".to_owned()
        }
        DeployError::AttemptNotApproved { .. } => {
            "whoever began it had no right to, or its approval was withdrawn; end it with: git deploy --abort"
                .to_owned()
        }
        DeployError::SkipNotGiven { skip, .. } => {
            let skip: String = skip.what.iter().map(|what| format!(" --skip={}", shell_word(what))).collect();
            format!(
                "where that is right, say so: git deploy --continue{skip} --reason=<why>; else end it with: git deploy --abort"
            )
        }
        DeployError::BackNotGiven { .. } => {
            "where that is right, say so: git deploy --continue; else end it with: git deploy --abort"
                .to_owned()
        }
        DeployError::TooLate(_) => "land it with: git deploy --continue".to_owned(),
        DeployError::Record { name, .. } => format!("look at it with: git log -1 {name}"),
        _ => return None,
    })
}

fn conflicts(paths: &[String]) -> impl Iterator<Item = String> {
    paths.iter().map(|path| format!("conflict in {path}"))
}

/// What names an environment to `git deploy`, which means by itself the one that lands and those that lead to it.
pub fn named(environment: &EnvironmentName, lands: bool) -> String {
    if lands { String::new() } else { format!(" --env={environment}") }
}

/// How what waits between two environments goes on.
fn approve_for(branch: Option<&RefName>, environment: &EnvironmentName) -> String {
    format!("somebody approves it with: {}", approving(branch, environment))
}

fn approving(branch: Option<&RefName>, environment: &EnvironmentName) -> String {
    let branch = branch.map(|branch| format!(" {}", typed(branch))).unwrap_or_default();
    format!("git deploy-queue approve --env={environment}{branch}")
}

/// How somebody deploys nevertheless: that very branch, and past what it has gone past already.
fn past_a_freeze(
    branch: Option<&RefName>,
    (environment, frozen): (&EnvironmentName, &Frozen),
    skipped: &[String],
) -> String {
    let skipped: String = skipped.iter().map(|name| format!("--skip={name} ")).collect();
    let branch = branch.map(|branch| format!(" {}", typed(branch))).unwrap_or_default();
    let ends = match frozen.until {
        Some(_) => "it goes on by itself then".to_owned(),
        None => format!("somebody ends it, in [[environment.{environment}.freeze]] of base's deploy.toml"),
    };
    format!(
        "{ends}; what cannot wait goes past that with: git deploy --env={environment} {skipped}--skip=freeze --reason=<why>{branch}"
    )
}

/// How what somebody asked for is taken back.
const RELEASE: &str = "let it go on with: git deploy-queue release";

/// Why the queue is held, in words.
pub fn why_held(hold: &Hold) -> String {
    match hold {
        Hold::Asked(hold) => match hold.since {
            Some(since) => format!("{} (by {}, {since})", hold.reason, hold.by),
            None => hold.reason.clone(),
        },
        Hold::RolledBack(held) => format!("{} went back to {}", held.by, held.to),
        Hold::Unpromoted { environment, branch, deployment, why } => {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("'{}' waits for approval to go to '{environment}' ({deployment}){why}", branch.short())
        }
        Hold::Frozen { environment, branch, frozen } => {
            format!("'{}' waits: nothing is deployed to '{environment}'{}", branch.short(), in_words(frozen))
        }
        Hold::Degraded { environment, by, left, .. } => {
            format!("'{environment}' is degraded since {by} failed, and was {left}")
        }
    }
}

/// What releases a queue that is held.
pub fn releases(hold: &Hold) -> Vec<String> {
    match hold {
        Hold::Asked(_) => vec![RELEASE.to_owned()],
        Hold::RolledBack(held) => ways_out(held),
        Hold::Unpromoted { environment, branch, .. } => vec![approve_for(Some(branch), environment)],
        Hold::Frozen { environment, branch, frozen } => {
            vec![past_a_freeze(Some(branch), (environment, frozen), &[])]
        }
        Hold::Degraded { environment, lands, .. } => vec![
            format!(
                "deploy a branch that mends it by naming it: git deploy{} <branch>",
                named(environment, *lands)
            ),
            format!(
                "see what is wrong, and whether there is a way back: git deploy-status --env={environment}"
            ),
        ],
    }
}

/// What releases a queue that a rollback holds.
pub fn ways_out(held: &RolledBack) -> Vec<String> {
    // Taken back once more it would come again.
    if let Some(branch) = &held.taken_back_by {
        return vec![format!("'{}' takes it back, and goes first", branch.short())];
    }
    let mut hints = vec!["take it back on a branch, and set that deployable:".to_owned()];
    hints.extend(held.commits.iter().map(|commits| format!("    git revert {commits}")));
    hints.push(format!(
        "or deploy a branch nevertheless by naming it, which brings back to '{}' what was rolled back: git deploy <branch>",
        held.environment
    ));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_of_which_no_end_is_known_is_not_said_to_end_by_itself() {
        let told = |until: Option<&str>| {
            let until = until.and_then(|until| until.parse().ok());
            let frozen = Frozen { until, reason: Some("the sale".to_owned()) };
            let hold = Hold::Frozen {
                environment: "demo".parse().unwrap(),
                branch: RefName::branch("login").unwrap(),
                frozen,
            };
            format!("{}\n{}", why_held(&hold), releases(&hold).join("\n"))
        };
        let known = told(Some("2200-01-01T00:00:00Z"));
        assert!(
            known.contains("'demo' until 2200-01-01T00:00:00Z: the sale\nit goes on by itself then; "),
            "{known}"
        );
        let unknown = told(None);
        assert!(
            unknown.contains("'demo', and no end of that is known: the sale\nsomebody ends it, in "),
            "{unknown}"
        );
        assert!(
            unknown.contains("[[environment.demo.freeze]]") && !unknown.contains("by itself"),
            "{unknown}"
        );
    }
}
