//! The commits that keep what was applied: one file an object, and nothing else.

use std::collections::BTreeMap;

use super::{Rendered, RenderedObject, Renderer, Work};
use crate::attempt::rendered_ref;
use crate::config::Settings;
use crate::deployment::{Failure, Step};
use crate::git::object::{Commit, FILE, FOLDER, Kind, TreeEntry};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId};
use crate::land::Change;

/// Writes files as a tree.
///
/// # Errors
/// When an object cannot be written.
pub fn write_tree<'f>(
    repository: &Repository,
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
) -> Result<ObjectId, GitError> {
    let mut ids = BTreeMap::new();
    for (path, bytes) in files {
        ids.insert(path, repository.write(Kind::Blob, bytes)?);
    }
    write_folder(repository, &ids)
}

fn write_folder(repository: &Repository, files: &BTreeMap<&str, ObjectId>) -> Result<ObjectId, GitError> {
    let mut entries = Vec::new();
    let mut folders: BTreeMap<&str, BTreeMap<&str, ObjectId>> = BTreeMap::new();
    for (path, id) in files {
        match path.split_once('/') {
            Some((folder, rest)) => drop(folders.entry(folder).or_default().insert(rest, *id)),
            None => {
                entries.push(TreeEntry { mode: FILE.into(), name: path.as_bytes().to_vec(), id: *id });
            }
        }
    }
    for (folder, files) in folders {
        let id = write_folder(repository, &files)?;
        entries.push(TreeEntry { mode: FOLDER.into(), name: folder.as_bytes().to_vec(), id });
    }
    repository.write_tree(entries)
}

/// Writes the commit that keeps a tree of files for a deployment.
///
/// # Errors
/// When it cannot be written.
pub fn write_commit(
    repository: &Repository,
    work: Work<'_>,
    environment: &EnvironmentName,
    parents: Vec<CommitId>,
    tree: ObjectId,
) -> Result<CommitId, GitError> {
    let who = work.identity.as_str().as_bytes().to_vec();
    let mut message = format!("{}: {environment}\n\nCommit: {}\n", work.id, work.candidate.commit());
    if let Some(branch) = work.candidate.branch() {
        message.push_str(&format!("Branch: {}\n", branch.short()));
    }
    let message = message.into_bytes();
    let commit = Commit { tree, parents, author: who.clone(), committer: who, extra: Vec::new(), message };
    repository.write_commit(&commit)
}

/// The files that a commit keeps, by path.
///
/// # Errors
/// When they cannot be read.
pub fn files(repository: &Repository, commit: CommitId) -> Result<BTreeMap<String, ObjectId>, GitError> {
    let mut found = BTreeMap::new();
    folder(repository, repository.commit(commit)?.tree, "", &mut found)?;
    Ok(found)
}

fn folder(
    repository: &Repository,
    tree: ObjectId,
    prefix: &str,
    found: &mut BTreeMap<String, ObjectId>,
) -> Result<(), GitError> {
    for entry in repository.tree(tree)? {
        let path = format!("{prefix}{}", String::from_utf8_lossy(&entry.name));
        if entry.is_folder() {
            folder(repository, entry.id, &format!("{path}/"), found)?;
        } else {
            found.insert(path, entry.id);
        }
    }
    Ok(())
}

/// The objects that a commit keeps, with nothing but their files known of them.
///
/// # Errors
/// When they cannot be read.
pub fn read(repository: &Repository, commit: CommitId) -> Result<Rendered, GitError> {
    let object = |(path, id): (String, ObjectId)| {
        let bytes = repository.read(id, Kind::Blob)?;
        Ok(RenderedObject { title: path.clone(), path, bytes, secret: false })
    };
    let objects: Result<Vec<_>, GitError> = files(repository, commit)?.into_iter().map(object).collect();
    Ok(Rendered { objects: objects?, ..Rendered::default() })
}

/// The refs that keep such a commit: `refs/deploy/rendered/<environment>/<number>`.
///
/// # Errors
/// When they cannot be read.
pub fn changes(
    repository: &Repository,
    settings: &Settings,
    environment: &EnvironmentName,
    id: &DeploymentId,
    kept: CommitId,
) -> Result<Vec<Change>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::of_nobody(Step::Apply, error.to_string());
    let name = rendered_ref(environment, id).map_err(|error| failed(&error))?;
    let seen = repository.resolve(&settings.authority(&name)).map_err(|error| failed(&error))?;
    // After a crash it may be there already, made by the run that died.
    Ok(if seen == Some(kept.0) { Vec::new() } else { vec![Change::update(name, seen, kept.0)] })
}

/// Renders what an earlier deployment was made of: its own bytes.
pub struct KeptFiles<'a> {
    /// Where the commit is.
    pub repository: &'a Repository,
    /// The commit that keeps them.
    pub kept: CommitId,
    /// The images that they use.
    pub images: Vec<String>,
}

impl Renderer for KeptFiles<'_> {
    fn render(&self, _: CommitId) -> Result<Rendered, Failure> {
        let rendered = read(self.repository, self.kept)
            .map_err(|error| Failure::of_nobody(Step::Read, error.to_string()))?;
        Ok(Rendered { images: self.images.clone(), ..rendered })
    }
}
