//! What the rights of whoever looks let be seen.
//!
//! All that is unchanged can be told by reading alone. What differs has to be tried, which takes the right to patch, though
//! nothing is changed by it; and what may not even be listed is left out and named.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Failure;
use git_deploy_manifest::{GroupKind, ObjectId};
use kube::core::discovery::{ApiResource, Scope};
use serde_json::Value;

use super::super::refused::Refused;
use super::super::state::Session;
use super::is_forbidden;
use crate::members::{self, ListError, SetView};
use crate::objects::{Depth, IN_FLIGHT};
use crate::plan::{PlanError, PlanOptions, PlanProblem, Planned, plan};
use crate::prune::PruneOptions;
use crate::target::Target;

/// What is seen.
pub(super) struct Sight {
    /// What could be tried, or need not be.
    pub(super) planned: Planned,
    /// What could be read and not tried: how it is, if it is there.
    pub(super) untried: Vec<(Target, Option<Value>)>,
    /// One-time jobs that have not run and are not there.
    pub(super) missing_jobs: Vec<ObjectId>,
    /// What was not seen, and why.
    pub(super) unseen: Vec<String>,
    /// Whether there was anything to see.
    is_empty: bool,
}

/// What is left of the question.
struct Question<'a> {
    session: &'a Session,
    view: SetView,
    targets: Vec<Target>,
    options: PlanOptions,
    /// What cannot be tried.
    aside: Vec<Target>,
    /// The kinds that may not be listed.
    unlisted: BTreeSet<String>,
    is_all_extra_seen: bool,
}

impl Sight {
    /// Looks at these targets and at what the set has besides.
    pub(super) async fn open(
        session: &Session,
        view: SetView,
        wanted: Vec<Target>,
        targets: Vec<Target>,
        jobs: Vec<Target>,
        prune: PruneOptions,
    ) -> Result<Sight, Failure> {
        // Nothing is taken over: what others hold by now is part of what there is to see.
        let options = PlanOptions { force_conflicts: true, change_cause: None, prune: Some(prune) };
        let mut question = Question {
            session,
            view,
            targets,
            options,
            aside: Vec::new(),
            unlisted: BTreeSet::new(),
            is_all_extra_seen: true,
        };
        let mut planned = question.answer().await?;
        planned.deletions.retain(|deletion| !wanted.iter().any(|target| target.id.is_same(&deletion.id)));
        planned.kept.retain(|(id, _)| !wanted.iter().any(|target| target.id.is_same(id)));
        planned.waiting.retain(|one| !wanted.iter().any(|target| target.id.is_same(&one.id)));
        let is_empty = wanted.is_empty();
        let mut sight =
            Sight { planned, untried: Vec::new(), missing_jobs: Vec::new(), unseen: Vec::new(), is_empty };
        sight.read(session, std::mem::take(&mut question.aside)).await?;
        sight.read_jobs(session, jobs).await;
        sight.tell_unlisted(&question);
        Ok(sight)
    }

    /// Whether nothing at all was seen of what was applied, or nothing was.
    pub(super) fn is_blind(&self) -> bool {
        self.is_empty || (self.planned.objects.is_empty() && self.untried.is_empty())
    }

    /// What is there of what was applied.
    pub(super) fn standing(&self) -> impl Iterator<Item = (&ObjectId, &Value)> {
        let tried = self.planned.objects.iter().map(|object| (&object.target.id, &object.live));
        let read = self.untried.iter().map(|(target, live)| (&target.id, live));
        tried.chain(read).filter_map(|(id, live)| Some((id, live.as_ref()?)))
    }

    /// Reads what may not be tried.
    async fn read(&mut self, session: &Session, aside: Vec<Target>) -> Result<(), Failure> {
        let mut answers = stream::iter(aside)
            .map(|target| async move { (session.connection.get((&target).into()).await, target) })
            .buffer_unordered(IN_FLIGHT);
        let mut hidden = Vec::new();
        while let Some((answer, target)) = answers.next().await {
            match answer {
                Ok(live) => self.untried.push((target, live)),
                Err(error) if is_forbidden(&error) => hidden.push(target.id.to_string()),
                Err(error) => {
                    let problem = PlanProblem::Refused { id: target.id, why: error };
                    return Err(said(session, problem.into()));
                }
            }
        }
        self.untried.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let untried = self.untried.iter().filter(|(_, live)| live.is_some());
        let untried: Vec<String> = untried.map(|(target, _)| target.id.to_string()).collect();
        if !untried.is_empty() {
            let what = untried.join(", ");
            self.unseen
                .push(format!("whether this was changed: {what} (needs the right to patch, for a dry run)"));
        }
        if !hidden.is_empty() {
            hidden.sort();
            self.unseen.push(format!("{} (may not be read)", hidden.join(", ")));
        }
        Ok(())
    }

    /// Whether one-time jobs are there of which it is not recorded how they ended.
    async fn read_jobs(&mut self, session: &Session, jobs: Vec<Target>) {
        for job in jobs {
            match session.connection.get((&job).into()).await {
                Ok(Some(_)) => {}
                Ok(None) => self.missing_jobs.push(job.id),
                Err(error) => self.unseen.push(format!("one-time {} ({error})", job.id)),
            }
        }
    }

    fn tell_unlisted(&mut self, question: &Question<'_>) {
        let unlisted: Vec<&str> = question.unlisted.iter().map(String::as_str).collect();
        if !unlisted.is_empty() {
            self.unseen
                .push(format!("other objects of the set among {} (may not be listed)", unlisted.join(", ")));
        }
        if !question.is_all_extra_seen {
            self.unseen.push("what is there that was not applied (needs more rights to list)".to_owned());
        }
    }
}

impl Question<'_> {
    /// Asks, and where that is forbidden asks for less, until it is answered.
    async fn answer(&mut self) -> Result<Planned, Failure> {
        const ATTEMPTS: usize = 5;
        for _ in 0..ATTEMPTS {
            let Session { connection, resources, .. } = self.session;
            let error = match plan(connection, resources, &self.view, &self.targets, &self.options).await {
                Ok(planned) => return Ok(planned),
                Err(error) => error,
            };
            if !error.problems.iter().all(is_hidden) {
                return Err(said(self.session, error));
            }
            let refused: Vec<&ObjectId> = error.problems.iter().filter_map(refused).collect();
            if !refused.is_empty() {
                self.put_aside(|target| refused.iter().any(|id| target.id.is_same(id)));
            } else if !self.leave_out_unlisted().await? {
                // It was for what is needed, or in use, by what the set no longer contains.
                self.options.prune = None;
                self.is_all_extra_seen = false;
            }
        }
        Ok(Planned::default())
    }

    fn put_aside(&mut self, is_meant: impl Fn(&Target) -> bool) {
        let targets = std::mem::take(&mut self.targets);
        let (aside, targets): (Vec<_>, Vec<_>) = targets.into_iter().partition(is_meant);
        self.aside.extend(aside);
        self.targets = targets;
    }

    /// Finds all kinds that may not be listed, at once. Whether there are any.
    async fn leave_out_unlisted(&mut self) -> Result<bool, Failure> {
        let resources = &self.session.resources;
        let of_targets = self.targets.iter().map(|target| GroupKind::from(&target.id));
        let kinds: BTreeSet<GroupKind> = self.view.kinds.iter().cloned().chain(of_targets).collect();
        let mut places: Vec<(GroupKind, ApiResource, Option<String>)> = Vec::new();
        for kind in kinds {
            match resources.find_kind(&kind) {
                Some((resource, Scope::Namespaced)) => {
                    let of_targets = self.targets.iter().filter_map(|target| target.id.namespace.clone());
                    let namespaces: BTreeSet<String> = of_targets
                        .chain(self.view.namespaces.iter().cloned())
                        .chain([self.view.namespace.clone()])
                        .collect();
                    let place = |namespace| (kind.clone(), resource.clone(), Some(namespace));
                    places.extend(namespaces.into_iter().map(place));
                }
                Some((resource, Scope::Cluster)) => places.push((kind, resource, None)),
                None => {}
            }
        }
        let connection = &self.session.connection;
        let selector = "applyset.kubernetes.io/part-of=none";
        let mut answers = stream::iter(places)
            .map(|(kind, resource, namespace)| async move {
                (members::list(connection, resource, namespace, selector, Depth::Metadata).await, kind)
            })
            .buffer_unordered(IN_FLIGHT);
        let mut hidden: BTreeSet<GroupKind> = BTreeSet::new();
        while let Some((answer, kind)) = answers.next().await {
            match answer {
                Ok(_) => {}
                Err(ListError { why, plural, .. }) if is_forbidden(&why) => {
                    self.unlisted.insert(plural);
                    hidden.insert(kind);
                }
                Err(error) => return Err(said(self.session, error.into())),
            }
        }
        drop(answers);
        self.view.kinds.retain(|kind| !hidden.contains(kind));
        self.put_aside(|target| hidden.contains(&GroupKind::from(&target.id)));
        Ok(!hidden.is_empty())
    }
}

fn said(session: &Session, error: PlanError) -> Failure {
    // Nothing is compared, and so nothing is said to be deployed.
    Refused::Plan(error).said(&session.resources, None, "")
}

fn is_hidden(problem: &PlanProblem) -> bool {
    match problem {
        PlanProblem::Refused { why, .. } | PlanProblem::List(ListError { why, .. }) => is_forbidden(why),
        PlanProblem::Duplicate { .. }
        | PlanProblem::Order { .. }
        | PlanProblem::Metadata { .. }
        | PlanProblem::OtherSet { .. }
        | PlanProblem::NotOurs { .. } => false,
    }
}

fn refused(problem: &PlanProblem) -> Option<&ObjectId> {
    match problem {
        PlanProblem::Refused { id, .. } => Some(id),
        _ => None,
    }
}
