//! What deploys where: a branch of rendered manifests, or a cluster.

use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Target};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::rendered::RenderedBranch;
use git_deploy_core::environment::{Driver, Renderer};
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::Observer;
use git_deploy_core::ops::deploy::Site;
use git_deploy_core::ops::view::View;

use crate::render::PlainYaml;

/// The environments of `deploy.toml`.
pub struct Sites<'a> {
    /// Told what happens.
    pub observer: &'a dyn Observer,
}

impl Site for Sites<'_> {
    fn driver<'a>(
        &'a self,
        view: &'a View<'_>,
        _: &'a DeployToml,
        environment: &Environment,
    ) -> Result<Box<dyn Driver + 'a>, Failure> {
        let branch = match &environment.target {
            Target::Rendered { branch, .. } => branch,
            Target::Cluster { context, .. } => {
                let reason = format!(
                    "environment '{}' is the cluster '{context}', and this version deploys to branches only: \
                     give it kind = \"rendered\"",
                    environment.name
                );
                return Err(Failure::of_nobody(Step::Plan, reason));
            }
        };
        let branch =
            RefName::branch(branch).map_err(|error| Failure::of_nobody(Step::Plan, error.to_string()))?;
        let driver = RenderedBranch::new(view.repository, &view.settings, environment.name.clone(), branch);
        Ok(Box::new(driver))
    }

    fn renderer<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &'a DeployToml,
        environment: &'a Environment,
    ) -> Result<Box<dyn Renderer + 'a>, Failure> {
        Ok(Box::new(PlainYaml { repository: view.repository, base, environment }))
    }
}
