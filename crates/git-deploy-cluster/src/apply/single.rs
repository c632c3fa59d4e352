//! Applying one object, past all that can be in its way.

use std::time::{Duration, Instant};

use git_deploy_core::environment::Effect;
use git_deploy_manifest::fields::{self, MANAGER, REPLICAS_MANAGER};
use git_deploy_manifest::value::{self, finalizers, generation, is_being_deleted};
use serde_json::{Value, json};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::Connection;
use crate::gone::until_gone;
use crate::members::SetView;
use crate::objects::{How, Place};
use crate::plan::{Owner, PlannedObject, is_of_helper_alone, owner};
use crate::target::{Applied, Target};

use super::{ApplyOptions, ApplyProblem};

/// How often something may change under our hands before we give up.
const ATTEMPTS: usize = 5;

/// How long after its definition is established a kind may not be served yet.
const KIND_PATIENCE: Duration = Duration::from_secs(10);

/// How we apply where nothing is taken from anybody.
const OURS: How<'static> = How { manager: MANAGER, force: false, dry_run: false };

const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn apply(
    connection: &Connection,
    set: &SetView,
    planned: &PlannedObject,
    options: &ApplyOptions,
) -> Result<Applied, ApplyProblem> {
    if planned.effect == Effect::Keep
        && let Some(live) = &planned.live
    {
        return Ok(applied(&planned.target, live.clone()));
    }
    let one = One { connection, set, planned, options };
    let answer = one.apply().await?;
    Ok(applied(&planned.target, answer))
}

fn applied(target: &Target, live: Value) -> Applied {
    Applied { target: target.clone(), uid: value::uid(&live).to_owned(), generation: generation(&live), live }
}

struct One<'a> {
    connection: &'a Connection,
    set: &'a SetView,
    planned: &'a PlannedObject,
    options: &'a ApplyOptions,
}

impl One<'_> {
    fn place(&self) -> Place<'_> {
        Place::from(&self.planned.target)
    }

    fn refused(&self, why: ApiError) -> ApplyProblem {
        let Target { id, wanted, .. } = &self.planned.target;
        ApplyProblem::Refused { id: id.clone(), why: why.about(id, wanted) }
    }

    async fn apply(&self) -> Result<Value, ApplyProblem> {
        // The object that the plan was made for; none where there was none, or where it is to go first.
        let mut uid = self.planned.live.as_ref().map(|live| value::uid(live).to_owned());
        if let Some(leaving) = &self.planned.replaces {
            self.wait_until_gone(leaving).await?;
            uid = None;
        }
        for _ in 0..ATTEMPTS {
            if uid.is_some() {
                self.prepare().await?;
            }
            match self.send(uid.as_deref()).await? {
                // An apply to an object that is being deleted succeeds, and goes with it.
                Ok(answer) if is_being_deleted(&answer) => {
                    self.wait_until_gone(value::uid(&answer)).await?;
                    uid = None;
                }
                Ok(answer) => return Ok(answer),
                Err(error) => uid = self.after(error, uid).await?,
            }
        }
        let message = format!("it changed {ATTEMPTS} times while it was applied");
        Err(self.refused(ApiError::new(ApiErrorKind::Changed, message)))
    }

    /// Which object to apply to after one attempt failed, if it is worth another.
    async fn after(&self, error: ApiError, uid: Option<String>) -> Result<Option<String>, ApplyProblem> {
        match error.kind() {
            ApiErrorKind::Changed => self.who_is_there().await,
            // Somebody else's object of the same name is a better word for it than the fields that it has.
            ApiErrorKind::FieldConflict(_) if self.who_is_there().await? == uid => Err(self.refused(error)),
            ApiErrorKind::FieldConflict(_) => self.who_is_there().await,
            _ => Err(self.refused(error)),
        }
    }

    /// Applies, to that object if there is one. What others hold is not taken at once, whatever may be taken.
    async fn send(&self, uid: Option<&str>) -> Result<Result<Value, ApiError>, ApplyProblem> {
        let mut wanted = self.planned.target.wanted.clone();
        if let Some(uid) = uid {
            // Another object of that name is then a conflict, and so is none.
            wanted["metadata"]["uid"] = json!(uid);
        }
        let begin = Instant::now();
        loop {
            match self.connection.apply(self.place(), &wanted, OURS).await {
                Err(error) if error.is_no_such_kind() && begin.elapsed() < KIND_PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if self.may_take(&error) => return self.take(wanted).await,
                answer => return Ok(answer),
            }
        }
    }

    /// Whether fields that others hold may be taken: by the user's word, or from our own helper.
    fn may_take(&self, error: &ApiError) -> bool {
        let is_conflict = matches!(error.kind(), ApiErrorKind::FieldConflict(_));
        is_conflict && (self.planned.force || is_of_helper_alone(error))
    }

    /// Takes the fields that others hold. Whose the object is, and who holds them, may have changed since it was planned: it
    /// is looked at first, and taken only as it was seen then.
    async fn take(&self, mut wanted: Value) -> Result<Result<Value, ApiError>, ApplyProblem> {
        let seen = self.connection.get(self.place()).await.map_err(|why| self.refused(why))?;
        let Some(seen) = seen else {
            let message = "it was deleted while it was applied".to_owned();
            return Ok(Err(ApiError::new(ApiErrorKind::Changed, message)));
        };
        if let Some(problem) = self.foreign(&seen) {
            return Err(problem);
        }
        if !self.planned.force {
            // This answer is about an object that is no older than the one that was seen.
            match self.connection.apply(self.place(), &wanted, OURS).await {
                Err(error) if is_of_helper_alone(&error) => {}
                answer => return Ok(answer),
            }
        }
        wanted["metadata"]["uid"] = seen["metadata"]["uid"].clone();
        wanted["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"].clone();
        Ok(self.connection.apply(self.place(), &wanted, How { force: true, ..OURS }).await)
    }

    /// What must be written before our apply, so that it removes neither too little nor too much.
    async fn prepare(&self) -> Result<(), ApplyProblem> {
        if self.planned.adopt {
            self.adopt().await?;
        }
        if self.planned.hand_over_replicas {
            self.hand_over_replicas().await.map_err(|why| self.refused(why))?;
        }
        Ok(())
    }

    /// Makes ours what other tools hold of the object; an apply then removes what is not wanted of it.
    async fn adopt(&self) -> Result<(), ApplyProblem> {
        for _ in 0..ATTEMPTS {
            let live = self.connection.get(self.place()).await.map_err(|why| self.refused(why))?;
            let Some(live) = live else { return Ok(()) };
            if let Some(problem) = self.foreign(&live) {
                return Err(problem);
            }
            let Some(managed) = fields::adopted(&live) else { return Ok(()) };
            match self.connection.set_managed_fields(self.place(), &live, &managed).await {
                Err(error) if *error.kind() == ApiErrorKind::Changed => {}
                outcome => return outcome.map(drop).map_err(|why| self.refused(why)),
            }
        }
        let message = format!("it changed {ATTEMPTS} times while it was taken over");
        Err(self.refused(ApiError::new(ApiErrorKind::Changed, message)))
    }

    /// Lets a manager of its own hold the number of replicas, as it is: letting go of what nobody else holds would
    /// set it to one.
    async fn hand_over_replicas(&self) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let Some(live) = self.connection.get(self.place()).await? else { return Ok(()) };
            if !fields::owns_alone(&live, MANAGER, &["spec", "replicas"]) {
                return Ok(());
            }
            let mut metadata = json!({"name": self.planned.target.id.name, "uid": live["metadata"]["uid"]});
            if let Some(namespace) = &self.planned.target.id.namespace {
                metadata["namespace"] = json!(namespace);
            }
            let object = json!({
                "apiVersion": self.planned.target.resource.api_version,
                "kind": self.planned.target.resource.kind,
                "metadata": metadata,
                "spec": {"replicas": live["spec"]["replicas"]},
            });
            let how = How { manager: REPLICAS_MANAGER, force: false, dry_run: false };
            match self.connection.apply(self.place(), &object, how).await {
                Ok(_) => return Ok(()),
                // Somebody scaled it, or made it anew: it is looked at again.
                Err(error) => match error.kind() {
                    ApiErrorKind::FieldConflict(_) | ApiErrorKind::Changed => {}
                    _ => return Err(error),
                },
            }
        }
        let message = format!("it was scaled {ATTEMPTS} times while its number of replicas was handed over");
        Err(ApiError::new(ApiErrorKind::Changed, message))
    }

    /// The object that is there now, as far as it may be applied to.
    async fn who_is_there(&self) -> Result<Option<String>, ApplyProblem> {
        let live = self.connection.get(self.place()).await.map_err(|why| self.refused(why))?;
        match live {
            None => Ok(None),
            Some(live) if is_being_deleted(&live) => {
                self.wait_until_gone(value::uid(&live)).await?;
                Ok(None)
            }
            Some(live) => match self.foreign(&live) {
                None => Ok(Some(value::uid(&live).to_owned())),
                Some(problem) => Err(problem),
            },
        }
    }

    /// Why an object that is there now is not ours to change: decided as in the plan.
    fn foreign(&self, live: &Value) -> Option<ApplyProblem> {
        let id = &self.planned.target.id;
        match owner(live, self.set) {
            Owner::Us => None,
            Owner::OtherSet(set) => Some(ApplyProblem::OtherSet { id: id.clone(), set }),
            Owner::Nobody if self.set.is_own_namespace(id) => None,
            Owner::Nobody if self.planned.force && self.is_planned_one(live) => None,
            Owner::Nobody => Some(ApplyProblem::Taken { id: id.clone() }),
        }
    }

    /// Whether it is the object that the plan was made for, and that may be taken over.
    fn is_planned_one(&self, live: &Value) -> bool {
        let planned = self.planned.live.as_ref();
        planned.is_some_and(|planned| planned["metadata"]["uid"] == live["metadata"]["uid"])
    }

    async fn wait_until_gone(&self, uid: &str) -> Result<(), ApplyProblem> {
        let until = Instant::now() + self.options.leaving_timeout;
        let left = until_gone(self.connection, self.place(), uid, until).await;
        match left.map_err(|why| self.refused(why))? {
            None => Ok(()),
            Some(live) => Err(ApplyProblem::DoesNotGo {
                id: self.planned.target.id.clone(),
                seconds: self.options.leaving_timeout.as_secs(),
                finalizers: finalizers(&live).map(str::to_owned).collect(),
            }),
        }
    }
}
