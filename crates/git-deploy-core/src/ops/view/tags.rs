//! The deployments that have a tag.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{View, ViewError};
use crate::config::deploy_toml::DeployToml;
use crate::git::object::{Kind, parse_tag};
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, EnvironmentName, ObjectId};
use crate::ledger::{Deployment, Ledger, Outcome, TagError, age};

impl View<'_> {
    /// All deployments, those that were tagged here and those that were fetched.
    ///
    /// # Errors
    /// When tags cannot be read.
    pub fn ledger(&self) -> Result<&Ledger, GitError> {
        if let Some(ledger) = self.ledger.get() {
            return Ok(ledger);
        }
        let mut ledger = Ledger::default();
        for (id, target) in self.tags()? {
            match self.deployment(id.clone(), *target)? {
                Ok(deployment) => ledger.deployments.push(deployment),
                Err(error) => ledger.unreadable.push(error),
            }
        }
        Ok(self.ledger.get_or_init(|| ledger))
    }

    /// The deployments to an environment, newest first. A tag is read when its turn comes, so that whoever wants only the
    /// latest need not wait for a long ledger. What cannot be read as a deployment is passed over.
    ///
    /// # Errors
    /// When tags cannot be listed; inside, when one cannot be read.
    pub fn newest_first<'v>(
        &'v self,
        environment: &'v EnvironmentName,
    ) -> Result<impl Iterator<Item = Result<Deployment, GitError>> + 'v, GitError> {
        // Both names that they can have: which environment lands may have changed.
        self.newest_named(environment, move |id| id.environment.as_ref().is_none_or(|of| of == environment))
    }

    /// The same of those with certain names.
    fn newest_named<'v>(
        &'v self,
        environment: &'v EnvironmentName,
        is_named: impl Fn(&DeploymentId) -> bool,
    ) -> Result<impl Iterator<Item = Result<Deployment, GitError>> + 'v, GitError> {
        let mut tags: Vec<_> = self.tags()?.iter().filter(|(id, _)| is_named(id)).collect();
        tags.sort_by_key(|(id, _)| std::cmp::Reverse(age(id)));
        Ok(tags.into_iter().filter_map(move |(id, target)| match self.deployment(id.clone(), *target) {
            Ok(deployment) => {
                deployment.ok().filter(|deployment| deployment.environment == *environment).map(Ok)
            }
            Err(error) => Some(Err(error)),
        }))
    }

    /// The deployments that landed, newest first. As long as nobody has read the whole ledger, a tag is read when its turn comes.
    pub(super) fn landed_latest_first(
        &self,
    ) -> Result<impl Iterator<Item = Result<Cow<'_, Deployment>, GitError>>, GitError> {
        let read = self.ledger.get();
        let tags = read.is_none().then(|| self.tags()).transpose()?;
        // Both are in the order of their names: those that can have landed have none but a number.
        let tags = tags.into_iter().flatten().rev().filter(|(id, _)| id.environment.is_none());
        let tags =
            tags.filter_map(|(id, target)| self.deployment(id.clone(), *target).map(Result::ok).transpose());
        let read = read.into_iter().flat_map(|ledger| ledger.deployments.iter().rev());
        let found =
            read.map(|deployment| Ok(Cow::Borrowed(deployment))).chain(tags.map(|tag| tag.map(Cow::Owned)));
        Ok(found.filter(|found| !found.as_ref().is_ok_and(|deployment| !deployment.landed())))
    }

    /// The latest success in an environment, with no more tags read than that takes.
    ///
    /// # Errors
    /// When tags cannot be read.
    pub(in crate::ops) fn latest_success(
        &self,
        environment: &EnvironmentName,
    ) -> Result<Option<Deployment>, GitError> {
        first_success(self.newest_first(environment)?)
    }

    /// What somebody has gone back from in an environment, as [`Ledger::gone_back_from`] has it. The whole ledger is read only
    /// where the latest success there is a way back.
    ///
    /// # Errors
    /// When base or tags cannot be read.
    pub fn gone_back_from(
        &self,
        environment: &EnvironmentName,
    ) -> Result<Option<(&Deployment, Vec<&Deployment>)>, ViewError> {
        match first_success(self.newest_named(environment, self.names_of(environment)?)?)? {
            Some(latest) if latest.rollback.is_some() => Ok(self.ledger()?.gone_back_from(environment)),
            _ => Ok(None),
        }
    }

    /// The deployments to an environment alone, with no more tags read than have its name.
    pub(super) fn ledger_of(&self, environment: &EnvironmentName) -> Result<Ledger, ViewError> {
        let found = self.newest_named(environment, self.names_of(environment)?)?;
        Ok(Ledger { deployments: found.collect::<Result<_, _>>()?, unreadable: Vec::new() })
    }

    /// The names that deployments to an environment have.
    fn names_of(&self, environment: &EnvironmentName) -> Result<impl Fn(&DeploymentId) -> bool, ViewError> {
        let lands = |deploy_toml: &DeployToml| deploy_toml.landing_environment().name == *environment;
        // What lands takes the numbers without a name: whoever asks for another environment would read most of them in vain.
        let is_unnamed = self.deploy_toml()?.is_none_or(lands);
        Ok(move |id: &DeploymentId| id.environment.as_ref().map_or(is_unnamed, |of| of == environment))
    }

    /// The tags with the names of deployments, and what they lead to. What the remote has counts: a verdict that was kept
    /// here while it was away may have been overtaken there.
    pub(super) fn tags(&self) -> Result<&BTreeMap<DeploymentId, ObjectId>, GitError> {
        if let Some(tags) = self.tags.get() {
            return Ok(tags);
        }
        let mut tags = BTreeMap::new();
        let fetched = self.settings.remote.as_ref().map(|tracking| tracking.tags());
        for place in std::iter::once("refs/tags/").chain(fetched.as_deref()) {
            for tag in self.repository.refs(&format!("{place}deployment-"))? {
                let id =
                    tag.name.as_str().strip_prefix(place).and_then(|name| name.parse::<DeploymentId>().ok());
                tags.extend(id.map(|id| (id, tag.target)));
            }
        }
        Ok(self.tags.get_or_init(|| tags))
    }

    fn deployment(
        &self,
        id: DeploymentId,
        target: ObjectId,
    ) -> Result<Result<Deployment, TagError>, GitError> {
        read_deployment(self.repository, id, target)
    }
}

/// What a tag of that name says which leads there.
pub(in crate::ops) fn read_deployment(
    repository: &Repository,
    id: DeploymentId,
    target: ObjectId,
) -> Result<Result<Deployment, TagError>, GitError> {
    Ok(match repository.find(target)? {
        Some(object) if object.kind == Kind::Tag => match parse_tag(&object.data) {
            Ok((_, message)) => Deployment::parse(id, &message),
            Err(error) => Err(TagError { tag: id, what: error.to_string() }),
        },
        _ => Err(TagError { tag: id, what: "it is not an annotated tag".to_owned() }),
    })
}

fn first_success(
    mut found: impl Iterator<Item = Result<Deployment, GitError>>,
) -> Result<Option<Deployment>, GitError> {
    found
        .find(|read| !read.as_ref().is_ok_and(|deployment| deployment.outcome != Outcome::Success))
        .transpose()
}
