//! What deploys where: a branch of rendered manifests, or a cluster.

use std::cell::OnceCell;

use git_deploy_cluster::{ClusterDriver, ClusterSettings, Runtime, runtime};
use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Target};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::rendered::RenderedBranch;
use git_deploy_core::environment::{Driver, Renderer};
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::Observer;
use git_deploy_core::ops::deploy::{Errand, Site};
use git_deploy_core::ops::view::View;

use crate::build::{Known, Means};
use crate::describe::Manifests;
use crate::render::PlainYaml;

pub use git_deploy_cluster::DriverOptions;

/// The environments of `deploy.toml`.
pub struct Sites<'s> {
    /// What the user asks for besides.
    pub options: DriverOptions,
    /// What holds for deployments that the user did not name.
    leftover: DriverOptions,
    /// Told what happens.
    pub observer: &'s dyn Observer,
    runtime: OnceCell<Runtime>,
    images: Known<'s>,
}

impl<'s> Sites<'s> {
    /// The environments, told to that observer.
    pub fn new(observer: &'s dyn Observer, options: DriverOptions) -> Self {
        let leftover = DriverOptions { leftover: true, ..DriverOptions::default() };
        Self { options, leftover, observer, runtime: OnceCell::new(), images: Known::new(observer) }
    }

    /// Builds no images: what is not there is an error.
    #[must_use]
    pub fn build_nothing(self, build_nothing: bool) -> Self {
        Self { images: self.images.look_only(build_nothing), ..self }
    }

    /// Builds images by that.
    #[must_use]
    pub fn build_by(self, means: Means) -> Self {
        Self { images: self.images.by(means), ..self }
    }

    fn cluster<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &DeployToml,
        environment: &Environment,
        errand: Errand,
    ) -> Result<Box<dyn Driver + 'a>, Failure> {
        let project = base.image_name.as_ref().map(|names| names.project_namespace.as_str());
        let project = project.ok_or_else(|| {
            let why = format!(
                "environment '{}' is a cluster, and nothing says what the project is called there",
                environment.name
            );
            let hint =
                "add [image-name] with 'container-namespace' and 'project-namespace' to base's deploy.toml";
            Failure::of_nobody(Step::Plan, why).hint(Some(hint))
        })?;
        let settings = ClusterSettings::of(environment, project)
            .ok_or_else(|| Failure::of_nobody(Step::Plan, "the environment is no cluster"))?;
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime,
            None => {
                let made = runtime().map_err(|error| {
                    Failure::of_nobody(Step::Plan, format!("cannot start threads for requests: {error}"))
                })?;
                self.runtime.get_or_init(|| made)
            }
        };
        let (repository, git) = (view.repository, &view.settings);
        let options = match errand {
            Errand::Asked => &self.options,
            Errand::Leftover => &self.leftover,
        };
        let driver = ClusterDriver::new(repository, git, settings, options, self.observer, runtime);
        Ok(Box::new(driver))
    }
}

impl Site for Sites<'_> {
    fn driver<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &'a DeployToml,
        environment: &Environment,
        errand: Errand,
    ) -> Result<Box<dyn Driver + 'a>, Failure> {
        let Target::Rendered { branch, .. } = &environment.target else {
            return self.cluster(view, base, environment, errand);
        };
        let branch =
            RefName::branch(branch).map_err(|error| Failure::of_nobody(Step::Plan, error.to_string()))?;
        let (name, settings) = (environment.name.clone(), &view.settings);
        Ok(Box::new(RenderedBranch::new(view.repository, settings, name, branch, &Manifests)))
    }

    fn renderer<'a>(
        &'a self,
        view: &'a View<'_>,
        base: &'a DeployToml,
        environment: &'a Environment,
    ) -> Result<Box<dyn Renderer + 'a>, Failure> {
        let View { repository, settings, .. } = view;
        Ok(Box::new(PlainYaml { repository, settings, base, environment, images: &self.images }))
    }
}
