//! The environment that needs no cluster: rendered manifests are committed to a branch.
//!
//! Apply makes one commit, whose parent is the branch's tip and whose tree holds the rendered files alone. The branch
//! itself moves with the verdict, so that a failure leaves it where it was, and going back is nothing to do. Argo CD, Flux
//! or a person with kubectl can take it from there, which is why Secrets are refused: they would be in git for ever.

use std::collections::BTreeMap;

use super::{
    Author, Custody, Describe, Difference, Drift, Driver, Effect, NotTaken, OfBase, Plan, PlannedObject,
    Previous, Pulse, Rendered, RenderedObject, Renderer, Restored, Standing, Status, Work, kept,
};
use crate::config::Settings;
use crate::deployment::{Close, Failure, Step};
use crate::git::object::Kind;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId, RefName};
use crate::land::Change;
use crate::ledger::Outcome;

/// A branch that holds rendered manifests.
pub struct RenderedBranch<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    environment: EnvironmentName,
    branch: RefName,
    describe: &'a dyn Describe,
}

impl<'a> RenderedBranch<'a> {
    /// The environment of this name, on this branch, with somebody who can say what the files mean.
    pub fn new(
        repository: &'a Repository,
        settings: &'a Settings,
        environment: EnvironmentName,
        branch: RefName,
        describe: &'a dyn Describe,
    ) -> Self {
        Self { repository, settings, environment, branch, describe }
    }

    /// What becomes of a file, in the words of whoever understands it.
    fn planned(&self, path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> PlannedObject {
        let effect = match (before, after) {
            (None, _) => Effect::Create,
            (Some(_), None) => Effect::Delete,
            (Some(before), Some(after)) if before == after => Effect::Keep,
            (Some(_), Some(_)) => Effect::Change,
        };
        let object = self.describe.name(path, after.or(before).unwrap_or_default());
        let diff = (effect != Effect::Keep).then(|| self.describe.diff(path, before, after));
        PlannedObject { effect, object, validated: true, diff: diff.flatten() }
    }

    fn tip(&self) -> Result<Option<CommitId>, GitError> {
        self.repository.tip(&self.settings.authority(&self.branch))
    }

    fn write_tree(&self, rendered: &Rendered) -> Result<ObjectId, GitError> {
        let files = rendered.objects.iter().map(|object| (object.path.as_str(), object.bytes.as_slice()));
        kept::write_tree(self.repository, files)
    }

    fn standing_files(&self) -> Result<BTreeMap<String, ObjectId>, GitError> {
        self.tip()?.map_or_else(|| Ok(BTreeMap::new()), |tip| kept::files(self.repository, tip))
    }

    fn write_commit(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, GitError> {
        let parents = self.tip()?.into_iter().collect();
        let tree = self.write_tree(rendered)?;
        kept::write_commit(self.repository, work, &self.environment, parents, tree)
    }
}

/// What applying a file again would do, as what somebody has committed to the branch meanwhile.
fn drift(planned: PlannedObject) -> Option<Drift> {
    let what = match planned.effect {
        Effect::Create => Difference::Missing,
        Effect::Change => Difference::Changed,
        Effect::Delete => Difference::Extra,
        Effect::Keep => return None,
    };
    Some(Drift { what, object: planned.object, by: Author::Person(None), diff: planned.diff })
}

/// Our own repository fails: nobody's fault.
fn failed(step: Step) -> impl Fn(GitError) -> Failure {
    move |error| Failure::of_nobody(step, error.to_string())
}

impl Driver for RenderedBranch<'_> {
    fn check(&self, _: &Standing, _: &dyn Custody) -> Result<(), NotTaken> {
        Ok(())
    }

    fn begin(&self, _: Work<'_>, _: &Standing, _: &dyn Custody) -> Result<Option<String>, NotTaken> {
        // The lock in git is all that there is to take.
        Ok(None)
    }

    fn verdict_before(&self, _: &DeploymentId) -> Result<Option<Close>, Failure> {
        Ok(None)
    }

    fn plan(&self, rendered: &Rendered, _: &OfBase<'_>, _: &dyn Pulse) -> Result<Plan, Failure> {
        if let Some(secret) = rendered.objects.iter().find(|object| object.secret) {
            let reason = format!(
                "{} is a Secret, and everybody who can read branch '{}' could read it: keep Secrets out of the manifests of '{}'",
                secret.title,
                self.branch.short(),
                self.environment
            );
            return Err(Failure::of_branch(Step::Plan, reason));
        }
        if rendered.objects.is_empty() {
            let reason = "the manifests hold no object: an empty set would delete all that is deployed";
            return Err(Failure::of_branch(Step::Plan, reason));
        }
        let mut standing = self.standing_files().map_err(failed(Step::Plan))?;
        let mut objects = Vec::new();
        let read = |id| self.repository.read(id, Kind::Blob).map_err(failed(Step::Plan));
        for RenderedObject { path, bytes, .. } in &rendered.objects {
            let before = standing.remove(path).map(read).transpose()?;
            objects.push(self.planned(path, before.as_deref(), Some(bytes)));
        }
        for (path, id) in standing {
            objects.push(self.planned(&path, Some(&read(id)?), None));
        }
        objects.sort();
        Ok(Plan { objects, stays: Vec::new() })
    }

    fn status(&self, _: &Standing, kept: &Rendered, pulse: &dyn Pulse) -> Result<Status, Failure> {
        // Nothing was deployed yet, so that nothing can differ from it.
        if kept.objects.is_empty() {
            return Ok(Status::default());
        }
        let drift = self.plan(kept, &|| None, pulse)?.objects.into_iter().filter_map(drift).collect();
        Ok(Status { drift, ..Status::default() })
    }

    fn keep(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure> {
        self.write_commit(work, rendered).map_err(failed(Step::Apply))
    }

    fn kept_changes(&self, id: &DeploymentId, kept: CommitId) -> Result<Vec<Change>, Failure> {
        kept::changes(self.repository, self.settings, &self.environment, id, kept)
    }

    fn apply(&self, _: Work<'_>, _: &Rendered) -> Result<(), Failure> {
        // What is kept is what the branch is going to move to.
        Ok(())
    }

    fn verify(&self, work: Work<'_>, applied: CommitId, renderer: &dyn Renderer) -> Result<(), Failure> {
        let again = renderer.render(work.candidate.commit())?;
        let again = self.write_tree(&again).map_err(failed(Step::Verify))?;
        let kept = self.repository.commit(applied).map_err(failed(Step::Verify))?;
        if kept.tree == again {
            return Ok(());
        }
        Err(Failure::of_branch(Step::Verify, "rendering the same commit twice gave two results"))
    }

    fn restore(
        &self,
        _: Work<'_>,
        _: Option<&Previous>,
        _: Option<CommitId>,
        _: &Close,
    ) -> Result<Restored, Failure> {
        // The branch moves with the verdict of success alone.
        Ok(Restored::Back)
    }

    fn landing_changes(&self, kept: CommitId) -> Result<Vec<Change>, Failure> {
        // It moves from where it stood when the files were committed upon it, and from nowhere else.
        let commit = self.repository.commit(kept).map_err(failed(Step::Land))?;
        let before = commit.parents.first().map(|parent| parent.0);
        Ok(vec![Change::update(self.branch.clone(), before, kept.0)])
    }

    fn end(&self, _: Work<'_>, _: Outcome) {}
}
