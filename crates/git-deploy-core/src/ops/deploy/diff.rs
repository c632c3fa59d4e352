//! What a deployment would change, found out without claiming or moving anything.

use super::keeping::Keeper;
use super::locks::{new_run, process_is_gone};
use super::{Context, DeployError, DeployRequest, Deployer, Ending, Errand, Nothing};
use crate::attempt::Lock;
use crate::config::deploy_toml::Environment;
use crate::deployment::Failure;
use crate::environment::{Custody, Driver, NotTaken, Plan, Standing};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::rebase::{Engine as _, MergeTreeEngine, Request, Verdict};

/// What a deployment would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The number that it would get, or of what was left open and would be ended.
    pub id: DeploymentId,
    /// What becomes of that, where ending it is all that is asked for.
    pub ending: Option<Ending>,
    /// Where to.
    pub environment: EnvironmentName,
    /// The branch.
    pub branch: Option<RefName>,
    /// The commit that was approved.
    pub approved: CommitId,
    /// What would be deployed.
    pub commit: CommitId,
    /// The earlier deployment that would be applied again, if that is what is asked for.
    pub rollback: Option<DeploymentId>,
    /// Object by object.
    pub plan: Plan,
    /// What the rules let pass.
    pub warnings: Vec<String>,
}

/// What is to be compared with what.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// The commit, in any form that git knows; none: the one that is checked out.
    pub commit: Option<String>,
    /// The environment; none: the first along `after` where this commit does not stand.
    pub environment: Option<String>,
}

/// What deploying a commit would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Where.
    pub environment: EnvironmentName,
    /// The commit that was named.
    pub commit: CommitId,
    /// What would be deployed: that commit, or what a rebase on base makes of it.
    pub candidate: CommitId,
    /// The deployment that stands there.
    pub stands: Option<DeploymentId>,
    /// Object by object.
    pub plan: Plan,
    /// What the rules let pass.
    pub warnings: Vec<String>,
    /// Who deploys there just now, so that the answer may soon be another one.
    pub holder: Option<Lock>,
    /// What was begun there, has no verdict and is worked on by nobody: the next run ends it first.
    pub left_open: Option<DeploymentId>,
}

impl Deployer<'_> {
    /// What a deployment would do. Claims nothing and moves nothing.
    ///
    /// # Errors
    /// When there is no candidate, or it could not be planned.
    pub fn dry_run(&self, request: &DeployRequest) -> Result<Result<DryRun, Nothing>, DeployError> {
        self.fetch()?;
        let context = Context::new(self)?;
        self.check_way_back(request)?;
        let (open, pick) = match context.pick_open(request)? {
            Some((id, ending, pick)) => (Some((id, ending)), pick),
            None => match context.pick(request, true)? {
                Ok(pick) => (None, pick),
                Err(nothing) => return Ok(Err(nothing)),
            },
        };
        let driver = context.check(&pick, request)?;
        let (candidate, environment) = (pick.candidate, pick.environment);
        let (commit, base) = (candidate.commit(), candidate.base());
        let back_to = pick.rollback.as_ref();
        let rendered = context.look_at(&environment, back_to, commit, base);
        let rendered = rendered.map_err(DeployError::Plan)?;
        context.remark(&rendered);
        let of_base = || context.of_base(&environment, commit, base);
        let plan = driver.plan(&rendered, &of_base, self.interrupt).map_err(DeployError::Plan)?;
        let (id, ending) = match open {
            Some((id, ending)) => (id, Some(ending)),
            None => (context.next_id(&environment)?, None),
        };
        Ok(Ok(DryRun {
            id,
            ending,
            environment: environment.name.clone(),
            branch: candidate.branch().cloned(),
            approved: candidate.approved(),
            commit: candidate.commit(),
            rollback: pick.rollback,
            plan,
            warnings: rendered.warnings,
        }))
    }

    /// What deploying a commit would change, whether it is approved or not. Fetches, claims and moves nothing.
    ///
    /// # Errors
    /// When the commit could not be deployed, or it could not be planned.
    pub fn diff(&self, request: &DiffRequest) -> Result<Diff, DeployError> {
        let context = Context::to_look(self)?;
        let commit = context.commit_to_compare(request.commit.as_deref())?;
        let candidate = context.rebased(commit)?;
        let environment = match &request.environment {
            Some(name) => context.named_environment(name)?,
            None => context.next_environment(candidate)?,
        };
        context.warn_of_move(environment)?;
        let driver = context.driver(environment, Errand::Asked).map_err(DeployError::Plan)?;
        let holder = context.holder(driver.as_ref(), environment)?;
        let left_open = context.left_open()?.into_iter().find(|open| open.environment == environment.name);
        let rendered = context.look_at(environment, None, candidate, context.base_tip);
        let rendered = rendered.map_err(DeployError::Plan)?;
        context.remark(&rendered);
        let of_base = || context.of_base(environment, candidate, context.base_tip);
        let plan = driver.plan(&rendered, &of_base, self.interrupt);
        self.interrupt.check()?;
        Ok(Diff {
            environment: environment.name.clone(),
            commit,
            candidate,
            stands: context.view.ledger()?.latest_success(&environment.name).map(|latest| latest.id.clone()),
            plan: plan.map_err(DeployError::Plan)?,
            warnings: rendered.warnings,
            holder: holder.filter(|_| left_open.is_none()),
            left_open: left_open.map(|open| open.id),
        })
    }
}

impl Context<'_> {
    /// The commit that is meant: here, or a branch that only the remote has.
    fn commit_to_compare(&self, named: Option<&str>) -> Result<CommitId, DeployError> {
        let word = named.unwrap_or("HEAD");
        if let Some(commit) = self.repository().find_commit(word)? {
            return Ok(commit);
        }
        let tip = match RefName::typed(word).ok() {
            Some(branch) => self.repository().tip(&self.view.settings.authority(&branch))?,
            None => None,
        };
        tip.ok_or_else(|| DeployError::NoTarget(word.to_owned()))
    }

    /// What a rebase on base makes of a commit: what would be deployed. A commit of base is deployed as it is.
    fn rebased(&self, commit: CommitId) -> Result<CommitId, DeployError> {
        if self.repository().is_ancestor(commit, self.base_tip)? {
            return Ok(commit);
        }
        // The engine asks by branches, and this need not be one.
        let name = RefName::branch("HEAD-to-compare")?;
        let asked = Request::onto_base(name, commit, self.base_tip);
        let engine = MergeTreeEngine::new(self.repository(), self.committer());
        let verdict = engine.until(self.deployer.interrupt).rebase(&[asked])?.pop();
        self.deployer.interrupt.check()?;
        match verdict {
            Some(Verdict::Rebased(rebased)) => Ok(rebased.tip),
            Some(Verdict::Current) | None => Ok(commit),
            Some(Verdict::Broken(conflict)) => {
                let why = format!("it cannot be rebased cleanly on '{}'", self.view.settings.base.short());
                Err(DeployError::CommitNotTaken { commit, why, paths: conflict.paths })
            }
            Some(Verdict::Skipped(skip)) => {
                Err(DeployError::CommitNotTaken { commit, why: skip.to_string(), paths: Vec::new() })
            }
        }
    }

    /// Whether the environment is the one that the ledger knows, and who deploys there just now.
    fn holder(&self, driver: &dyn Driver, environment: &Environment) -> Result<Option<Lock>, DeployError> {
        let (run, id) = (new_run(), self.next_id(environment)?);
        let custody = Onlooker(Keeper { context: self, run: &run, id: Some(&id) });
        // Nothing is taken from the queue: whatever holds that holds nobody back from looking.
        let standing = Standing { named: true, ..self.standing(environment)? };
        match driver.check(&standing, &custody) {
            Ok(()) => Ok(None),
            Err(NotTaken::Held(lock)) => Ok(Some(*lock)),
            Err(NotTaken::Failed(failure)) => Err(DeployError::Plan(failure)),
        }
    }
}

/// Judges as somebody who takes nothing: another run in this very repository is no leftover of our own.
struct Onlooker<'a>(Keeper<'a>);

impl Custody for Onlooker<'_> {
    fn lock(&self) -> Result<Lock, Failure> {
        self.0.lock()
    }

    fn is_gone(&self, lock: &Lock, _: &str, _: &str) -> Result<bool, Failure> {
        Ok(process_is_gone(lock))
    }
}
