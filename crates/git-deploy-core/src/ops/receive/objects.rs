//! Objects as what they have to be, or why they are none of that.

use super::Receiver;
use crate::attempt::{Attempt, Lock};
use crate::config::deploy_toml::DeployToml;
use crate::config::{ConfigError, deploy_toml_of};
use crate::git::GitError;
use crate::git::object::{Commit, Kind, parse_tag, tag_name};
use crate::ids::{CommitId, DeploymentId, ObjectId};
use crate::ledger::Deployment;

/// What one look at an object gives: a value, or why it is none.
pub(super) type Read<T> = Result<Result<T, String>, GitError>;

impl Receiver<'_> {
    /// A commit, or why it is none.
    pub(super) fn commit(&self, at: ObjectId) -> Read<Commit> {
        Ok(match self.repository.find(at)? {
            Some(object) if object.kind == Kind::Commit => {
                Commit::parse(&object.data).map_err(|error| error.to_string())
            }
            _ => Err("it is no commit".to_owned()),
        })
    }

    /// A claim. Whoever takes it up needs the commits that it names.
    pub(super) fn attempt(&self, id: &DeploymentId, at: ObjectId) -> Read<Attempt> {
        let commit = match self.commit(at)? {
            Ok(commit) => commit,
            Err(why) => return Ok(Err(why)),
        };
        let attempt = Attempt::parse(id.clone(), &commit.message_text()).map_err(|error| error.to_string());
        Ok(attempt.and_then(|attempt| {
            match attempt.parents().iter().all(|named| commit.parents.contains(named)) {
                true => Ok(attempt),
                false => Err("it names commits that are not its parents".to_owned()),
            }
        }))
    }

    /// A lock.
    pub(super) fn lock(&self, at: ObjectId) -> Read<Lock> {
        let parse = |commit: Commit| Lock::parse(&commit.message_text()).map_err(|error| error.to_string());
        Ok(self.commit(at)?.and_then(parse))
    }

    /// The target of an annotated tag on a commit, and its message.
    pub(super) fn tag(&self, at: ObjectId) -> Read<(CommitId, String, Vec<u8>)> {
        let Some(object) = self.repository.find(at)?.filter(|object| object.kind == Kind::Tag) else {
            return Ok(Err("it is no annotated tag".to_owned()));
        };
        let (target, message) = match parse_tag(&object.data) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(self.commit(target)?.map(|_| (CommitId(target), message, object.data)))
    }

    pub(super) fn deployment(&self, id: &DeploymentId, at: ObjectId) -> Read<Deployment> {
        Ok(self.tag(at)?.and_then(|(target, message, data)| {
            let deployment = Deployment::parse(id.clone(), &message).map_err(|error| error.what)?;
            let subject = message.lines().next().unwrap_or_default();
            let faults = [
                (tag_name(&data) == Some(id.to_string().as_bytes()), "it was made under another name"),
                (deployment.commit == target, "it stands on another commit than it names"),
                (subject == deployment.outcome.subject(), "its first line is not the verdict"),
                (
                    id.environment.as_ref().is_none_or(|name| *name == deployment.environment),
                    "its name is that of another environment",
                ),
            ];
            let fault = faults.into_iter().find(|(holds, _)| !holds);
            fault.map_or(Ok(deployment), |(_, why)| Err(why.to_owned()))
        }))
    }

    /// The tag of a hotfix, which says why there is one.
    pub(super) fn trace(&self, at: ObjectId) -> Read<CommitId> {
        Ok(self.tag(at)?.and_then(|(target, message, _)| match message.trim() {
            "" => Err("it does not say why".to_owned()),
            _ => Ok(target),
        }))
    }

    pub(super) fn deploy_toml(
        &self,
        commit: CommitId,
    ) -> Result<Option<Result<DeployToml, String>>, GitError> {
        match deploy_toml_of(self.repository, commit, &commit.to_string()) {
            Ok(found) => Ok(found.map(Ok)),
            Err(ConfigError::Git(error)) => Err(error),
            Err(ConfigError::DeployToml { error, .. }) => Ok(Some(Err(error.to_string()))),
            Err(error) => Ok(Some(Err(error.to_string()))),
        }
    }
}
