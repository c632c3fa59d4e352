//! What is to be done: where objects belong, what applying them changes, and whether all of it is allowed.

use std::collections::BTreeSet;

use git_deploy_core::config::deploy_toml::Prune;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{OfBase, Pulse, Rendered, kept};
use git_deploy_manifest::readiness::NewImages;
use git_deploy_manifest::{GroupKind, Object, ObjectId, images, is_one_time, is_redacted};

use super::ClusterDriver;
use super::deadline::ask_for_kinds_again;
use super::forward::LEAVING;
use super::refused::Refused;
use super::said::{objects, of_api};
use super::state::{Against, Forward, Session};
use crate::access::{Need, needs_of, require_access};
use crate::bounds::Bounds;
use crate::discovery::TargetProblem;
use crate::plan::{Compared, Origin, PlanOptions, Planned, plan};
use crate::prune::PruneOptions;
use crate::set::{Parent, Record};
use crate::target::Target;

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What is no longer wanted, and was kept for long enough, goes when everything else is ready.
    ApplyAndPrune,
    /// What is no longer wanted stays.
    ApplyOnly,
    /// What stood there before comes back, as far as it is kept.
    GoBack,
}

impl ClusterDriver<'_> {
    /// Plans to bring the set to what was rendered.
    pub(super) fn plan_forward(
        &self,
        against: &Against,
        rendered: &Rendered,
        base: &OfBase<'_>,
        pulse: &dyn Pulse,
    ) -> Result<Forward, Failure> {
        let objects = objects(rendered)?;
        if objects.is_empty() {
            let why = "the manifests hold no object: an empty set would delete all that is deployed";
            return Err(Failure::of_branch(Step::Plan, why));
        }
        let planned = self.try_objects(against, &objects, self.purpose(), pulse);
        if planned.is_ok() {
            let new_images = self.new_images(&objects, &rendered.images, base);
            self.state.borrow_mut().new_images = new_images;
        }
        planned.map_err(|refused| {
            // Whoever goes back has no branch that could be to blame.
            let is_rollback = self.state.borrow().is_rollback;
            let compared = if is_rollback { None } else { self.compared(&objects, &rendered.images, base) };
            refused.said(&against.session.resources, compared.as_ref(), &self.cluster.named())
        })
    }

    /// What is to be applied, held against what the latest success had applied, and what base has. None where neither is
    /// known.
    fn compared(&self, now: &[Object], images: &[String], base: &OfBase<'_>) -> Option<Compared> {
        let of_base = || Some((Origin::Base(self.settings.base.short().to_owned()), objects(&base()?).ok()?));
        let before: Vec<_> = self.of_latest().into_iter().chain(of_base()).collect();
        (!before.is_empty()).then(|| Compared::new(&self.cluster.namespace, images, &before, now))
    }

    /// The images that the candidate brings: others than those that the project makes itself, which are new each time, and
    /// than those that were needed before. On a first deployment, and on the way back, nothing can be told of them.
    fn new_images(&self, now: &[Object], own: &[String], base: &OfBase<'_>) -> NewImages {
        if self.state.borrow().is_rollback {
            return NewImages::default();
        }
        let Some((_, before)) = self.of_latest() else { return NewImages::default() };
        let named = |objects: &[Object]| -> BTreeSet<String> {
            objects.iter().flat_map(images).map(|used| used.image).collect()
        };
        let (now, mut known) = (named(now), named(&before));
        known.extend(own.iter().cloned());
        if !now.is_subset(&known) {
            known.extend(base().and_then(|base| Some(named(&objects(&base).ok()?))).unwrap_or_default());
        }
        NewImages::among(now, |image| !known.contains(image))
    }

    pub(super) fn of_latest(&self) -> Option<(Origin, Vec<Object>)> {
        let (latest, kept) = self.state.borrow().latest.clone()?;
        let before = kept::read(self.repository, kept).ok()?;
        Some((Origin::Latest(latest), objects(&before).ok()?))
    }

    fn purpose(&self) -> Purpose {
        match self.cluster.prune {
            Prune::Now | Prune::After(_) => Purpose::ApplyAndPrune,
            Prune::Never => Purpose::ApplyOnly,
        }
    }

    /// Plans to bring the set to these objects.
    pub(super) fn plan_objects(
        &self,
        against: &Against,
        objects: &[Object],
        purpose: Purpose,
        pulse: &dyn Pulse,
    ) -> Result<Forward, Failure> {
        let planned = self.try_objects(against, objects, purpose, pulse);
        planned.map_err(|refused| refused.said(&against.session.resources, None, &self.cluster.named()))
    }

    fn try_objects(
        &self,
        against: &Against,
        objects: &[Object],
        purpose: Purpose,
        pulse: &dyn Pulse,
    ) -> Result<Forward, Refused> {
        let Against { session, parent, .. } = against;
        let is_new = purpose != Purpose::GoBack && !self.state.borrow().is_rollback;
        let bounds = is_new.then_some(&self.cluster.bounds);
        let targets = self.located(session, objects, bounds, pulse)?;
        let wanted = targets.clone();
        let (left, targets): (Vec<Target>, Vec<Target>) =
            targets.into_iter().partition(|target| is_redacted(&target.id, &target.wanted));
        let is_job = |target: &Target| is_one_time(&target.id, &target.wanted);
        let (jobs, targets): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(is_job);
        // What has run has run: going back never runs it again.
        let jobs = if self.state.borrow().is_rollback { Vec::new() } else { jobs };
        let view = against.view();
        let is_unlisted = |kind: &&GroupKind| !session.resources.has_all([*kind]);
        let unlisted = view.kinds.iter().filter(is_unlisted).cloned().collect();
        let record = parent.as_ref().map(Parent::record);
        let prune = (purpose == Purpose::ApplyAndPrune).then(|| self.prune_options(record));
        let due = prune.as_ref().and_then(|prune| prune.due.clone());
        let options = PlanOptions {
            force_conflicts: self.options.force_conflicts,
            change_cause: self.state.borrow().cause.clone(),
            prune,
        };
        let work = async {
            self.require_access(session, &wanted).await?;
            self.require_left(session, &left, purpose).await?;
            let planned = plan(&session.connection, &session.resources, &view, &targets, &options).await;
            let planned = planned.map_err(Refused::Plan)?;
            self.require_deleting(session, &planned, &wanted).await?;
            Ok::<_, Refused>((planned, self.plan_jobs(session, &view, record, jobs, purpose).await?))
        };
        let (mut planned, jobs) = self.run(Step::Plan, pulse, async { Ok(work.await) })??;
        planned.deletions.retain(|deletion| !wanted.iter().any(|target| target.id.is_same(&deletion.id)));
        planned.kept.retain(|(id, _)| !wanted.iter().any(|target| target.id.is_same(id)));
        planned.waiting.retain(|one| !wanted.iter().any(|target| target.id.is_same(&one.id)));
        let stays = self.stays(record, &planned.waiting);
        let prunes = purpose == Purpose::ApplyAndPrune;
        Ok(Forward { planned, jobs, wanted, prunes, only: None, due, stays, unlisted })
    }

    /// Where objects belong. Kinds that are not known are asked for again: whoever was asked may not have known them yet.
    fn located(
        &self,
        session: &Session,
        objects: &[Object],
        bounds: Option<&Bounds>,
        pulse: &dyn Pulse,
    ) -> Result<Vec<Target>, Refused> {
        let Session { resources, .. } = session;
        let locate = || resources.targets(objects, &self.cluster.namespace, bounds);
        let problems = match locate() {
            Err(problems) if problems.iter().any(TargetProblem::is_of_kind) => problems,
            located => return located.map_err(|problems| Refused::Targets { problems, is_starting: false }),
        };
        let are_known = || resources.know_all(objects);
        let asked = async { Ok(ask_for_kinds_again(session, self.observer, are_known).await) };
        let is_starting = self.run(Step::Plan, pulse, asked)?.map_err(|error| {
            let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            of_api(Step::Plan, &error, format!("{text}, as far as it could be asked: {error}"))
        })?;
        locate().map_err(|problems| Refused::Targets { problems, is_starting })
    }

    /// What is left as it is, because git knows only digests of its values, must be there.
    async fn require_left(
        &self,
        session: &Session,
        left: &[Target],
        purpose: Purpose,
    ) -> Result<(), Failure> {
        for target in left {
            let id = &target.id;
            let live = session.connection.get(target.into()).await;
            let live = live.map_err(|error| of_api(Step::Plan, &error, format!("{id}: {error}")))?;
            match (live, purpose) {
                (Some(_), _) => {
                    self.observer.warn(&format!("{id} is left as it is: its values are not kept in git"));
                }
                (None, Purpose::GoBack) => {
                    self.observer.warn(&format!("{id} is gone, and its values are not kept in git"));
                }
                (None, _) => {
                    let why = format!("{id} is gone, and its values are not kept in git");
                    let hint = "create it by hand, or go forward with a branch that has it";
                    return Err(Failure::of_nobody(Step::Plan, why).hint(Some(hint)));
                }
            }
        }
        Ok(())
    }

    /// Where objects belong that were planned before: what was allowed then is not judged again.
    pub(super) fn targets(
        &self,
        session: &Session,
        objects: &[Object],
        pulse: &dyn Pulse,
    ) -> Result<Vec<Target>, Failure> {
        let located = self.located(session, objects, None, pulse);
        located.map_err(|refused| refused.said(&session.resources, None, &self.cluster.named()))
    }

    pub(super) fn prune_options(&self, record: Option<&Record>) -> PruneOptions {
        PruneOptions {
            other_namespaces: self.cluster.bounds.other_namespaces(&self.cluster.namespace),
            gone_timeout: LEAVING,
            only: None,
            due: self.due(record),
            adopted: record.map(|record| record.adopted.clone()).unwrap_or_default(),
            in_turn: false,
        }
    }

    async fn require_access(&self, session: &Session, targets: &[Target]) -> Result<(), Refused> {
        let needs = needs_of(&session.connection, &self.cluster.namespace, targets).await;
        require_access(&session.connection, needs).await.map_err(Refused::Access)
    }

    /// The same for what is to be deleted where nothing of its kind was `asked` for: also before the first change.
    async fn require_deleting(
        &self,
        session: &Session,
        planned: &Planned,
        asked: &[Target],
    ) -> Result<(), Failure> {
        let place = |id: &ObjectId| (GroupKind::from(id), id.namespace.clone());
        let asked: BTreeSet<_> = asked.iter().map(|target| place(&target.id)).collect();
        let places = planned.deletions.iter().map(|deletion| place(&deletion.id));
        let needs: Vec<Need> = places
            .filter(|place| !asked.contains(place))
            .filter_map(|(kind, namespace)| Some((session.resources.find_kind(&kind)?.0, namespace)))
            .flat_map(|(kind, namespace)| {
                ["get", "delete"].map(|verb| Need::of(&kind, namespace.as_deref(), verb))
            })
            .collect();
        if needs.is_empty() {
            return Ok(());
        }
        // What goes was brought by others before: that it may not is no fault of who takes it out.
        let allowed = require_access(&session.connection, needs).await;
        allowed.map_err(|error| Refused::Access(error).said(&session.resources, None, &self.cluster.named()))
    }
}
