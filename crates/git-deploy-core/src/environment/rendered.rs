//! The environment that needs no cluster: rendered manifests are committed to a branch.
//!
//! Apply makes one commit, whose parent is the branch's tip and whose tree holds the rendered files alone. The branch
//! itself moves with the verdict, so that a failure leaves it where it was, and going back is nothing to do. Argo CD, Flux
//! or a person with kubectl can take it from there, which is why Secrets are refused: they would be in git for ever.

use std::collections::BTreeMap;

use super::{Driver, Effect, Plan, Rendered, Renderer, Work};
use crate::attempt::rendered_ref;
use crate::config::Settings;
use crate::deployment::{Failure, Phase, Step};
use crate::git::object::{Commit, FILE, FOLDER, Kind, TreeEntry};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId, RefName};
use crate::land::Change;

/// A branch that holds rendered manifests.
pub struct RenderedBranch<'a> {
    repository: &'a Repository,
    settings: &'a Settings,
    environment: EnvironmentName,
    branch: RefName,
}

impl<'a> RenderedBranch<'a> {
    /// The environment of this name, on this branch.
    pub fn new(
        repository: &'a Repository,
        settings: &'a Settings,
        environment: EnvironmentName,
        branch: RefName,
    ) -> Self {
        Self { repository, settings, environment, branch }
    }

    fn tip(&self) -> Result<Option<CommitId>, GitError> {
        self.repository.tip(&self.settings.authority(&self.branch))
    }

    /// Writes the files as a tree.
    fn write_tree(&self, rendered: &Rendered) -> Result<ObjectId, GitError> {
        let mut files = BTreeMap::new();
        for object in &rendered.objects {
            files.insert(object.path.as_str(), self.repository.write(Kind::Blob, &object.bytes)?);
        }
        self.write_folder(&files)
    }

    fn write_folder(&self, files: &BTreeMap<&str, ObjectId>) -> Result<ObjectId, GitError> {
        let mut entries = Vec::new();
        let mut folders: BTreeMap<&str, BTreeMap<&str, ObjectId>> = BTreeMap::new();
        for (path, id) in files {
            match path.split_once('/') {
                Some((folder, rest)) => drop(folders.entry(folder).or_default().insert(rest, *id)),
                None => {
                    entries.push(TreeEntry { mode: FILE.to_vec(), name: path.as_bytes().to_vec(), id: *id });
                }
            }
        }
        for (folder, files) in folders {
            let id = self.write_folder(&files)?;
            entries.push(TreeEntry { mode: FOLDER.to_vec(), name: folder.as_bytes().to_vec(), id });
        }
        self.repository.write_tree(entries)
    }

    /// The files of a tree, by path.
    fn files(
        &self,
        tree: ObjectId,
        prefix: &str,
        found: &mut BTreeMap<String, ObjectId>,
    ) -> Result<(), GitError> {
        for entry in self.repository.tree(tree)? {
            let path = format!("{prefix}{}", String::from_utf8_lossy(&entry.name));
            if entry.is_folder() {
                self.files(entry.id, &format!("{path}/"), found)?;
            } else {
                found.insert(path, entry.id);
            }
        }
        Ok(())
    }

    fn standing_files(&self) -> Result<BTreeMap<String, ObjectId>, GitError> {
        let mut files = BTreeMap::new();
        if let Some(tip) = self.tip()? {
            self.files(self.repository.commit(tip)?.tree, "", &mut files)?;
        }
        Ok(files)
    }

    fn write_commit(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, GitError> {
        let who = work.identity.as_str().as_bytes().to_vec();
        let mut message =
            format!("{}: {}\n\nCommit: {}\n", work.id, self.environment, work.candidate.commit());
        if let Some(branch) = work.candidate.branch() {
            message.push_str(&format!("Branch: {}\n", branch.short()));
        }
        let commit = Commit {
            tree: self.write_tree(rendered)?,
            parents: self.tip()?.into_iter().collect(),
            author: who.clone(),
            committer: who,
            extra: Vec::new(),
            message: message.into_bytes(),
        };
        self.repository.write_commit(&commit)
    }
}

/// Our own repository fails: nobody's fault.
fn failed(step: Step) -> impl Fn(GitError) -> Failure {
    move |error| Failure::of_nobody(step, error.to_string())
}

impl Driver for RenderedBranch<'_> {
    fn phase(&self, _: &DeploymentId) -> Result<Option<Phase>, Failure> {
        Ok(None)
    }

    fn plan(&self, rendered: &Rendered) -> Result<Plan, Failure> {
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
        for object in &rendered.objects {
            let effect = match standing.remove(&object.path) {
                None => Effect::Create,
                Some(id) => {
                    let bytes = self.repository.read(id, Kind::Blob).map_err(failed(Step::Plan))?;
                    if bytes == object.bytes { Effect::Keep } else { Effect::Change }
                }
            };
            objects.push((effect, object.title.clone()));
        }
        objects.extend(standing.into_keys().map(|path| (Effect::Delete, path)));
        objects.sort();
        Ok(Plan { objects })
    }

    fn apply(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure> {
        self.write_commit(work, rendered).map_err(failed(Step::Apply))
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

    fn restore(&self, _: Work<'_>, _: Option<CommitId>) -> Result<(), Failure> {
        // The branch moves with the verdict of success alone.
        Ok(())
    }

    fn landing_changes(&self, applied: CommitId) -> Result<Vec<Change>, Failure> {
        // It moves from where it stood when the files were committed upon it, and from nowhere else.
        let commit = self.repository.commit(applied).map_err(failed(Step::Land))?;
        let before = commit.parents.first().map(|parent| parent.0);
        Ok(vec![Change::update(self.branch.clone(), before, applied.0)])
    }

    fn applied_changes(&self, id: &DeploymentId, applied: CommitId) -> Result<Vec<Change>, Failure> {
        let name = rendered_ref(&self.environment, id)
            .map_err(|error| Failure::of_nobody(Step::Apply, error.to_string()))?;
        let seen = self.repository.resolve(&self.settings.authority(&name)).map_err(failed(Step::Apply))?;
        // After a crash it may be there already, made by the run that died.
        Ok(if seen == Some(applied.0) { Vec::new() } else { vec![Change::update(name, seen, applied.0)] })
    }
}
