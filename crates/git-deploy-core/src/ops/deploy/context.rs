//! What is known at the moment at which a step begins, and what the step works with.

use std::rc::Rc;

use super::claim::Claimed;
use super::keeping::Keeper;
use super::locks::new_run;
use super::pick::Pick;
use super::run::withdrawal;
use super::{DeployError, DeployRequest, Deployer, Errand, Nothing};
use crate::config::deploy_toml::{DeployToml, Environment};
use crate::config::{ConfigError, deploy_toml_of};
use crate::deployment::{Blame, Failure};
use crate::environment::{Driver, Images, Made, NotTaken, Rendered, Renderer, Standing};
use crate::git::{Identity, Repository};
use crate::ids::{CommitId, DeploymentId};
use crate::ops::approve::Rules;
use crate::ops::transact::Transactor;
use crate::ops::view::View;

/// How often images are made for what others overtake meanwhile.
const BUILDS: u32 = 3;

/// What is known at the moment at which a step begins.
pub(super) struct Context<'a> {
    pub(super) deployer: &'a Deployer<'a>,
    pub(super) view: View<'a>,
    pub(super) identity: Identity,
    pub(super) base_tip: CommitId,
    pub(super) deploy_toml: DeployToml,
    /// Who may approve; none if everybody may who can push.
    pub(super) rules: Option<Rules>,
}

/// A number that is ours, and what was found out before.
pub(super) struct Begun<'c> {
    pub(super) claimed: Claimed,
    /// The driver that was asked.
    pub(super) driver: Rc<dyn Driver + 'c>,
    /// Why it cannot be deployed, which is the branch's own fault.
    pub(super) refused: Option<Failure>,
}

/// What is wanted of images, of which these were verified in the environment before.
pub(super) fn images_of(verified: &[String]) -> Images<'_> {
    if verified.is_empty() { Images::Made } else { Images::Verified(verified) }
}

impl Deployer<'_> {
    /// Whether there is the environment that was asked for, for where there was nothing to take there. What is known of
    /// the remote is not asked for again.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn check_environment(&self, request: &DeployRequest) -> Result<(), DeployError> {
        let Some(name) = &request.environment else { return Ok(()) };
        Context::to_look(self)?.named_environment(name).map(drop)
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(deployer: &'a Deployer<'a>) -> Result<Self, DeployError> {
        Self::of(deployer, View::new(deployer.repository)?, deployer.repository.identity()?)
    }

    /// For whoever only looks: that can be done by somebody of whom git knows no name.
    pub(super) fn to_look(deployer: &'a Deployer<'a>) -> Result<Self, DeployError> {
        Self::to_look_at(deployer, View::new(deployer.repository)?)
    }

    /// The same with what somebody has read already.
    pub(super) fn to_look_at(deployer: &'a Deployer<'a>, view: View<'a>) -> Result<Self, DeployError> {
        let identity = deployer.repository.identity();
        Self::of(deployer, view, identity.unwrap_or_else(|_| Identity::of_nobody()))
    }

    fn of(deployer: &'a Deployer<'a>, view: View<'a>, identity: Identity) -> Result<Self, DeployError> {
        let base_tip = view.settings.base_tip(deployer.repository)?;
        let at = view.settings.base.short().to_owned();
        let deploy_toml = deploy_toml_of(deployer.repository, base_tip, &at)?
            .ok_or_else(|| ConfigError::NoDeployToml(view.settings.base.clone()))?;
        if let Some(environment) = deploy_toml.rendered_on(&at) {
            let (environment, base) = (environment.name.clone(), view.settings.base);
            return Err(DeployError::RenderedOnBase { environment, base });
        }
        let rules = Rules::of(deployer.repository, &deploy_toml, base_tip)?;
        Ok(Self { deployer, identity, view, base_tip, deploy_toml, rules })
    }

    /// Picks a candidate and claims a number for it; `None` if others were faster, which is counted where images were made for
    /// it. With it comes the driver that was asked.
    pub(super) fn pick_and_claim<'c>(
        &'c self,
        request: &DeployRequest,
        builds_in_vain: &mut u32,
    ) -> Result<Result<Option<Begun<'c>>, Nothing>, DeployError> {
        let pick = match self.pick(request, false)? {
            Ok(pick) => pick,
            Err(nothing) => return Ok(Err(nothing)),
        };
        let driver = self.check(&pick, request)?;
        let images = self.make_images(&pick);
        let was_tried = match &images {
            Ok(made) => *made == Made::Some,
            Err(failure) => failure.blame == Blame::Branch,
        };
        if was_tried && let Some(why) = self.overtaken(&pick)? {
            *builds_in_vain += 1;
            if *builds_in_vain < BUILDS {
                let of = pick.candidate.commit().brief();
                self.deployer.observer.step("Again", &format!("{why} while images of {of} were made"));
                return Ok(Ok(None));
            }
            // Whoever cannot be built hears of it, however often base moves.
            if images.is_ok() {
                let why = format!("{why} while images were made, {BUILDS} times in a row");
                return Err(DeployError::NotClaimed(why));
            }
        }
        let refused = match images.and_then(|_| self.plan(driver.as_ref(), &pick)) {
            // What is nobody's fault and stands in the way of any deployment gets no number: it would be the same the next
            // time. What is the branch's it hears of by a verdict.
            Err(failure) if failure.blame == Blame::Nobody => return Err(DeployError::Plan(failure)),
            planned => planned.err(),
        };
        Ok(Ok(self.claim(&pick)?.map(|claimed| Begun { claimed, driver: Rc::from(driver), refused })))
    }

    fn make_images(&self, pick: &Pick) -> Result<Made, Failure> {
        let renderer = self.renderer_for(&pick.environment, pick.rollback.as_ref())?;
        renderer.prepare(pick.candidate.commit(), images_of(&pick.passage.images), self.deployer.interrupt)
    }

    /// Why what was picked is no longer what would be picked now, if it is so: making images takes long.
    fn overtaken(&self, pick: &Pick) -> Result<Option<String>, DeployError> {
        self.deployer.interrupt.check()?;
        self.deployer.fetch()?;
        let view = View::new(self.repository())?;
        if view.settings.base_tip(self.repository())? != self.base_tip {
            return Ok(Some(format!("'{}' moved", view.settings.base.short())));
        }
        let Some(branch) = pick.candidate.branch() else { return Ok(None) };
        Ok(withdrawal(self.deployer, branch, pick.candidate.approved())?)
    }

    fn plan(&self, driver: &dyn Driver, pick: &Pick) -> Result<(), Failure> {
        let (commit, base) = (pick.candidate.commit(), pick.candidate.base());
        let rendered = self.render(&pick.environment, pick.rollback.as_ref(), commit, base)?;
        self.remark(&rendered);
        let of_base = || self.of_base(&pick.environment, commit, base);
        driver.plan(&rendered, &of_base, self.deployer.interrupt).map(drop)
    }

    /// Finds out whether a deployment into an environment could begin, before it gets a number. Returns the driver, which
    /// can plan now.
    pub(super) fn check(
        &self,
        pick: &Pick,
        request: &DeployRequest,
    ) -> Result<Box<dyn Driver + '_>, DeployError> {
        let environment = &pick.environment;
        self.warn_of_move(environment)?;
        let driver = self.driver(environment, Errand::Asked).map_err(DeployError::Plan)?;
        let (run, id) = (new_run(), self.next_id(environment)?);
        let custody = Keeper { context: self, run: &run, id: Some(&id) };
        let named = request.target.is_some() || request.rollback.is_some();
        let (back_to, retry_jobs) = (pick.rollback.clone(), pick.passage.retry_jobs.clone());
        let standing = Standing { named, back_to, retry_jobs, ..self.standing(environment)? };
        let checked = driver.check(&standing, &custody);
        if matches!(checked, Err(NotTaken::Held(_))) {
            self.watch_locks(environment);
        }
        checked.map_err(DeployError::from)?;
        Ok(driver)
    }

    pub(super) fn repository(&self) -> &'a Repository {
        self.deployer.repository
    }

    pub(super) fn transactor(&self) -> Transactor<'_> {
        Transactor {
            repository: self.repository(),
            settings: &self.view.settings,
            identity: &self.identity,
            observer: self.deployer.observer,
        }
    }

    pub(super) fn driver(
        &self,
        environment: &Environment,
        errand: Errand,
    ) -> Result<Box<dyn Driver + '_>, Failure> {
        self.deployer.site.driver(&self.view, &self.deploy_toml, environment, errand)
    }

    pub(super) fn renderer<'b>(
        &'b self,
        environment: &'b Environment,
    ) -> Result<Box<dyn Renderer + 'b>, Failure> {
        self.deployer.site.renderer(&self.view, &self.deploy_toml, environment)
    }

    /// What the base of a candidate has itself, for whoever has to judge whose fault a refusal is. That of a commit which is
    /// on base already would say nothing.
    pub(super) fn of_base(
        &self,
        environment: &Environment,
        candidate: CommitId,
        base: CommitId,
    ) -> Option<Rendered> {
        let is_on_base = self.repository().is_ancestor(candidate, base).ok()?;
        let rendered = self.renderer(environment).ok().filter(|_| !is_on_base)?.render(base).ok()?;
        (!rendered.objects.is_empty()).then_some(rendered)
    }

    /// Tells what was made of the manifests that those who wrote them may not expect: also where it is refused then.
    pub(super) fn remark(&self, rendered: &Rendered) {
        rendered.remarks.iter().for_each(|remark| self.deployer.observer.note(remark));
    }

    /// Makes the objects. What base cannot be rendered for either is no fault of a branch: branch after branch would be
    /// staged for what somebody pushed to base.
    pub(super) fn render(
        &self,
        environment: &Environment,
        back_to: Option<&DeploymentId>,
        candidate: CommitId,
        base: CommitId,
    ) -> Result<Rendered, Failure> {
        let renderer = self.renderer_for(environment, back_to)?;
        let failure = match renderer.render(candidate) {
            Err(failure) if failure.blame == Blame::Branch && back_to.is_none() => failure,
            rendered => return rendered,
        };
        let as_if_of_base = failure.reason.replace(&candidate.brief(), &base.brief());
        let of_base = if candidate == base { None } else { renderer.render(base).err() };
        if !of_base.is_some_and(|of_base| of_base.step == failure.step && of_base.reason == as_if_of_base) {
            return Err(failure);
        }
        let name = self.view.settings.base.short();
        let why = format!("it is the same on '{name}': {as_if_of_base}");
        Err(Failure::of_nobody(failure.step, why)
            .hint(Some(format!("mend '{name}', or deploy a branch that does"))))
    }

    /// The same for whoever only looks.
    pub(super) fn look_at(
        &self,
        environment: &Environment,
        back_to: Option<&DeploymentId>,
        candidate: CommitId,
        base: CommitId,
    ) -> Result<Rendered, Failure> {
        let renderer = self.renderer_for(environment, back_to)?;
        renderer.prepare(candidate, Images::Named, self.deployer.interrupt)?;
        self.render(environment, back_to, candidate, base)
    }

    /// What makes the objects: the candidate's manifests, or the files of the deployment that is gone back to.
    pub(super) fn renderer_for<'b>(
        &'b self,
        environment: &'b Environment,
        back_to: Option<&DeploymentId>,
    ) -> Result<Box<dyn Renderer + 'b>, Failure> {
        match back_to {
            Some(of) => Ok(Box::new(self.kept_files(environment, of)?)),
            None => self.renderer(environment),
        }
    }
}
