//! How an environment stands. Nothing is changed, and whoever may not look at all of it is shown what there is to see.
//!
//! - `sight` plans as far as the rights reach, and reads what cannot be tried;
//! - `drift` says what differs from what was applied, and whose that is;
//! - `cause` says why a workload is not ready.

mod cause;
mod drift;
mod sight;

use git_deploy_core::attempt::Lock;
use git_deploy_core::config::deploy_toml::Prune;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Left, Leftover, Pulse, Rendered, Standing, Status, Workload};
use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::readiness::ready_of_wanted;
use git_deploy_manifest::{GroupKind, PART_OF_LABEL, is_kept, is_one_time, is_redacted};

use super::ClusterDriver;
use super::crossed::forward_only;
use super::restore::holds_data;
use super::said::{named, objects, of_lease, of_set};
use super::session::learn_kinds_of;
use super::state::{Against, Session};
use crate::api_error::{ApiError, ApiErrorKind};
use crate::lease::LeaseError;
use crate::members::{Member, members};
use crate::objects::Depth;
use crate::set::{Parent, Record, Set, SetError, Unwanted};
use crate::target::Target;
use drift::Blamed;
use sight::Sight;

impl ClusterDriver<'_> {
    pub(super) fn look(
        &self,
        standing: &Standing,
        kept: &Rendered,
        pulse: &dyn Pulse,
    ) -> Result<Status, Failure> {
        let Session { connection, resources } = self.session(pulse)?;
        // Who may see little is told that soon.
        let session = Session { connection: connection.believing(), resources };
        let (parent, hidden) = self.visible_parent(&session, standing, pulse)?;
        let set = self.set(standing)?;
        let mut status = Status::default();
        status.holder = self.visible_holder(&session, &set, &mut status.unseen, pulse)?;
        let record = parent.as_ref().map(Parent::record).cloned();
        status.says = record.as_ref().and_then(says);
        status.forward_only = record.as_ref().and_then(|record| closed(record, standing));
        let against = Against { session, set, parent };
        let mut sight = self.sight(&against, kept, pulse)?;
        if let Some(why) = hidden {
            if sight.is_blind() {
                return Err(why);
            }
            status.unseen.push(format!("how far deployments have come ({})", why.reason));
        }
        status.workloads = sight.standing().filter_map(|(id, live)| workload(id, live)).collect();
        self.tell_causes(&against.session, &sight, &mut status, pulse);
        let since = record.as_ref().and_then(|record| record.deployment.clone());
        let latest = standing.latest.as_ref().map(|latest| &latest.id);
        let blamed = Blamed { since: since.filter(|since| Some(since) != latest) };
        status.drift = self.drift(&against.session, &sight, &blamed, pulse)?;
        self.tell_left(record.as_ref(), &sight, &mut status);
        status.unseen.append(&mut sight.unseen);
        Ok(status)
    }

    /// What is there of the set: what we have applied, where its parent says that members may be.
    pub(super) fn look_for_remains(
        &self,
        standing: &Standing,
        pulse: &dyn Pulse,
    ) -> Result<Leftover, Failure> {
        let session = self.session(pulse)?;
        let set = self.set(standing)?;
        self.run(Step::Plan, pulse, async {
            let parent = Parent::read(&session.connection, &set)
                .await
                .map_err(of_set(Step::Plan, &self.cluster.context))?;
            learn_kinds_of(&session, parent.as_ref()).await;
            let against = Against { session: session.clone(), set: set.clone(), parent };
            if against.parent.is_none() {
                return Ok(Leftover::default());
            }
            let found =
                members(&session.connection, &session.resources, &against.view(), [], Depth::Metadata).await;
            let found = found.map_err(|error| Failure::new(Step::Plan, error.blame(), error.to_string()))?;
            let ours = || found.iter().filter(|member| drift::is_ours(&member.live));
            let objects = ours().map(|member| named(&member.id)).collect();
            let stays = ours().filter_map(|member| {
                let why = why_it_stays(member)?.to_owned();
                Some(Left { object: named(&member.id), why, until: None })
            });
            let selector = format!("{PART_OF_LABEL}={}", set.id.as_str());
            Ok(Leftover { objects, stays: stays.collect(), selector })
        })
    }

    /// The parent, or why it may not be seen.
    fn visible_parent(
        &self,
        session: &Session,
        standing: &Standing,
        pulse: &dyn Pulse,
    ) -> Result<(Option<Parent>, Option<Failure>), Failure> {
        let failure = match self.known_parent(session, standing) {
            Ok(parent) => return Ok((parent, None)),
            Err(failure) => failure,
        };
        let set = self.set(standing)?;
        let again =
            self.run(Step::Plan, pulse, async { Ok(Parent::read(&session.connection, &set).await) })?;
        match again {
            Err(SetError::Api { error, .. }) if is_forbidden(&error) => Ok((None, Some(failure))),
            _ => Err(failure),
        }
    }

    /// Who deploys there just now, as far as that may be seen.
    fn visible_holder(
        &self,
        session: &Session,
        set: &Set,
        unseen: &mut Vec<String>,
        pulse: &dyn Pulse,
    ) -> Result<Option<Lock>, Failure> {
        let place = self.lease_place(session, set);
        match self.run(Step::Plan, pulse, async { Ok(place.standing().await) })? {
            Ok(standing) => Ok(standing.map(|(lock, _)| lock)),
            Err(LeaseError::Api { error, .. }) if is_forbidden(&error) => {
                unseen.push("who deploys there just now (needs the right to get its Lease)".to_owned());
                Ok(None)
            }
            Err(error) => Err(of_lease(Step::Plan)(error)),
        }
    }

    /// What is to be seen of the objects that were applied last.
    fn sight(&self, against: &Against, kept: &Rendered, pulse: &dyn Pulse) -> Result<Sight, Failure> {
        let targets = self.targets(&against.session, &objects(kept)?, pulse)?;
        let record = against.parent.as_ref().map(Parent::record);
        let options = self.prune_options(record);
        // What has run need not be there any more.
        let has_run = |target: &Target| {
            let known = record.and_then(|record| record.jobs.get(&target.id.name));
            record.is_none() || known.is_some_and(crate::set::JobOutcome::is_final)
        };
        let is_job = |target: &Target| is_one_time(&target.id, &target.wanted);
        let wanted = targets.clone();
        let (jobs, targets): (Vec<Target>, Vec<Target>) =
            targets.into_iter().filter(|target| !is_redacted(&target.id, &target.wanted)).partition(is_job);
        let jobs = jobs.into_iter().filter(|job| !has_run(job)).collect();
        self.run(Step::Plan, pulse, async {
            Sight::open(&against.session, against.view(), wanted, targets, jobs, options).await
        })
    }

    /// What is not wanted any more and stays on purpose.
    fn tell_left(&self, record: Option<&Record>, sight: &Sight, status: &mut Status) {
        let left = |id, why: &str| Left { object: named(id), why: why.to_owned(), until: None };
        status.left = sight.planned.kept.iter().map(|(id, why)| left(id, why)).collect();
        let ours = sight.planned.deletions.iter().filter(|deletion| drift::is_ours(&deletion.live));
        match self.cluster.prune {
            Prune::Now => return,
            Prune::Never => status.left.extend(ours.map(|one| left(&one.id, "prune = never"))),
            Prune::After(_) => {
                let due = ours.map(|one| Unwanted { id: one.id.clone(), uid: one.uid.clone() });
                let all: Vec<Unwanted> = due.chain(sight.planned.waiting.iter().cloned()).collect();
                status.left.extend(self.stays(record, &all));
            }
        }
        status.left.sort();
        status.drift.retain(|drift| !status.left.iter().any(|left| left.object == drift.object));
    }
}

/// Why something is not to be taken away together with all else of its set, when nobody leads there any more.
fn why_it_stays(member: &Member) -> Option<&'static str> {
    if is_kept(&member.live) {
        return Some("it is annotated with 'git-deploy/keep'");
    }
    holds_data(&GroupKind::from(&member.id)).then_some("what is in it would be lost")
}

fn says(record: &Record) -> Option<String> {
    Some(format!("{}: {}", record.deployment.as_ref()?, record.phase?))
}

/// The one-time job behind which there is no way back to what stands there by the ledger.
pub(super) fn closed(record: &Record, standing: &Standing) -> Option<String> {
    let to = standing.latest.as_ref()?.applied();
    let since = |id: &DeploymentId| id.environment == to.environment && id.number > to.number;
    forward_only(record, since).map(|crossed| format!("{crossed} since"))
}

/// How a workload stands that is there.
fn workload(id: &git_deploy_manifest::ObjectId, live: &serde_json::Value) -> Option<Workload> {
    let (ready, wanted) = ready_of_wanted(id, live)?;
    let trouble = (ready < wanted).then(|| "not ready".to_owned());
    Some(Workload { object: named(id), ready, wanted, trouble })
}

fn is_forbidden(error: &ApiError) -> bool {
    *error.kind() == ApiErrorKind::Forbidden
}
