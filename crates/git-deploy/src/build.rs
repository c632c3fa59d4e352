//! From a commit to images that a cluster can pull: export, build, push, record.
//!
//! What an image is called is known before it is built, and a name never means anything else: so what is there already is
//! not built again, and what is there and was made of something else is never replaced.

mod blame;
mod error;
mod known;
mod last_lines;
mod record;
mod stores;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use git_deploy_core::config::deploy_toml::{DeployToml, Registry};
use git_deploy_core::config::{Building, ConfigError, Settings, deploy_toml_of};
use git_deploy_core::git::Repository;
use git_deploy_core::git::export::within;
use git_deploy_core::ids::CommitId;
use git_deploy_core::ops::Observer;
use git_deploy_image::builder::{Build, Builder, Built, NoBuilder, Tool, Watch};
use git_deploy_image::run::{Line, Program};
use git_deploy_image::steps::{self, StepLine, StepsPlan};
use git_deploy_image::{Digest, ImageName, Workspace};

use crate::images::{self, CommitImage};
use crate::landed;

pub use error::Error;
pub use known::{Known, goes_somewhere};

use last_lines::LastLines;
use stores::Stores;

/// Whether an image had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Just now.
    Now,
    /// It was there.
    Before,
}

impl Made {
    /// The word for it in what programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Now => "built",
            Self::Before => "there",
        }
    }
}

/// An image of a commit that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it is called.
    pub name: ImageName,
    /// The digest of its manifest; none in a builder's own store, where only what is pushed has one.
    pub digest: Option<Digest>,
    /// Whether it had to be made.
    pub made: Made,
}

impl Image {
    /// As notes and tags name it: `name:tag@digest`.
    #[must_use]
    pub fn pinned(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// The images of a commit, and where they go.
#[derive(Debug)]
pub struct Plan {
    commit: CommitId,
    own: DeployToml,
    /// From base: a branch decides neither where its images go nor what is run to bring them there.
    registry: Registry,
    /// What there is to build.
    pub images: Vec<CommitImage>,
    /// What the commit says about its images in vain, because base decides it.
    pub remark: Option<String>,
    /// Whether it is only tried whether they can be built: nothing is pushed, loaded or recorded.
    is_trial: bool,
}

impl Plan {
    /// The images of a commit: which there are is its own affair, how they are called and where they go is base's.
    ///
    /// # Errors
    /// When the configuration is missing or makes no names.
    pub fn of(repository: &Repository, commit: CommitId) -> Result<Self, Error> {
        let short = commit.brief();
        let own = deploy_toml_of(repository, commit, &short)?;
        let own = own.ok_or_else(|| Error::NoDeployToml(short.clone()))?;
        let settings = Settings::read(repository)?;
        let tip = repository.tip(&settings.authority(&settings.base))?;
        let base = match tip {
            Some(tip) => deploy_toml_of(repository, tip, settings.base.short())?,
            None => None,
        };
        let names = base.as_ref().filter(|base| base.image_name.is_some()).unwrap_or(&own);
        if !own.images.is_empty() && names.image_name.is_none() {
            return Err(Error::NoNames(short));
        }
        let registry = base.as_ref().unwrap_or(&own).registry.clone();
        let images = images::of_commit(&own, names.image_name.as_ref(), registry.address.as_deref(), commit)?;
        let remark = match (tip, &base) {
            (Some(tip), Some(base)) if !own.images.is_empty() && !repository.is_ancestor(commit, tip)? => {
                let mut differing = own.decided_otherwise_by(base);
                differing.retain(|what| ["[image-name]", "[registry]"].contains(&what.as_str()));
                landed::remark(&differing, commit, settings.base.short())
            }
            _ => None,
        };
        Ok(Self { commit, own, registry, images, remark, is_trial: false })
    }
}

/// By what images are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Means {
    /// The builder that the user chose; else it is the one that is configured, or the first that works.
    pub builder: Option<Builder>,
    /// Whether the user wants to hear also what a builder says each time.
    pub tells_all: bool,
}

impl Means {
    /// What the options of a command say.
    ///
    /// # Errors
    /// When it is no builder that is named.
    pub fn of(builder: Option<&str>, verbosity: u8) -> Result<Self, NoBuilder> {
        Ok(Self { builder: builder.map(str::parse).transpose()?, tells_all: verbosity > 0 })
    }
}

/// What makes the images of a commit.
pub struct Maker<'a> {
    /// Where the commit is.
    pub repository: &'a Repository,
    /// By what.
    pub means: Means,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Hears each line of a program at work, with the name of what it is about.
    pub tell: &'a dyn Fn(&str, &str),
    /// Asked again and again whether to stop.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Maker<'_> {
    /// Makes what is not there yet, and says of each image what it is.
    ///
    /// # Errors
    /// With the first image that was not made. Those before it are there, and are used by the next try.
    pub fn make(&self, plan: &Plan) -> Result<Vec<Image>, Error> {
        Error::if_too_many(&plan.images)?;
        let heard = LastLines::default();
        let tell = |program: &str, line: &str| {
            heard.hear(program, line);
            (self.tell)(program, line);
        };
        let made = Maker { tell: &tell, ..*self }.find_or_make(plan);
        if matches!(made, Err(Error::Steps(_) | Error::Build(_) | Error::Load { .. })) {
            heard.tell(self.observer);
        }
        made
    }

    fn find_or_make(&self, plan: &Plan) -> Result<Vec<Image>, Error> {
        let building = Building::read(self.repository)?;
        let stores = Stores::of(plan, self.cancelled);
        let mut tool = None;
        let mut there = self.look(plan, &stores, &building, &mut tool)?;
        if there.iter().any(Option::is_none) {
            let tool = self.tool(&building, &mut tool)?;
            let before = tool.room();
            // When that is over nothing is left of what was written.
            let built = self.build_missing(plan, &stores, tool, building.time_limit, &mut there);
            built.map_err(|error| error.look_again(&before))?;
        }
        let there: Vec<Image> = there.into_iter().flatten().collect();
        if !plan.is_trial {
            self.load_again(plan, &there, &building)?;
            self.record(plan.commit, &there)?;
        }
        Ok(there)
    }

    /// Says of each image what it is, and makes none.
    ///
    /// # Errors
    /// With all that are not there.
    pub fn look_only(&self, plan: &Plan) -> Result<Vec<Image>, Error> {
        Error::if_too_many(&plan.images)?;
        let building = Building::read(self.repository)?;
        let there = self.look(plan, &Stores::of(plan, self.cancelled), &building, &mut None)?;
        let is_missing =
            |(image, there): (&CommitImage, &Option<Image>)| there.is_none().then(|| image.name.to_string());
        let missing: Vec<String> = plan.images.iter().zip(&there).filter_map(is_missing).collect();
        if !missing.is_empty() {
            return Err(Error::Missing { names: missing, commit: plan.commit });
        }
        let there: Vec<Image> = there.into_iter().flatten().collect();
        self.load_again(plan, &there, &building)?;
        Ok(there)
    }

    fn look(
        &self,
        plan: &Plan,
        stores: &Stores<'_>,
        building: &Building,
        tool: &mut Option<Tool>,
    ) -> Result<Vec<Option<Image>>, Error> {
        let mut there = Vec::new();
        for image in &plan.images {
            self.go_on()?;
            there.push(match plan.registry.address {
                Some(_) => stores.in_registry(image)?,
                None => stores.in_builder(self.tool(building, tool)?, image)?,
            });
        }
        Ok(there)
    }

    /// The digests of what is there already; nothing is made.
    ///
    /// # Errors
    /// When a registry does not say what it has, or has something else.
    pub fn find(&self, plan: &Plan) -> Result<Vec<Image>, Error> {
        if plan.registry.address.is_none() {
            return Ok(Vec::new());
        }
        let stores = Stores::of(plan, self.cancelled);
        let there: Result<Vec<_>, _> = plan.images.iter().map(|image| stores.in_registry(image)).collect();
        Ok(there?.into_iter().flatten().collect())
    }

    fn go_on(&self) -> Result<(), Error> {
        if (self.cancelled)() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn tool<'t>(&self, building: &Building, found: &'t mut Option<Tool>) -> Result<&'t Tool, Error> {
        match found {
            Some(tool) => Ok(tool),
            None => {
                let choice = match self.means.builder {
                    Some(builder) => Some(builder),
                    None => configured_builder(building)?,
                };
                let path = variable("PATH").unwrap_or_default();
                let tool = Tool::find(choice, &path, &[])?.time_limit(building.time_limit);
                Ok(found.insert(tool.tell_all(self.means.tells_all)))
            }
        }
    }

    fn build_missing(
        &self,
        plan: &Plan,
        stores: &Stores<'_>,
        tool: &Tool,
        time_limit: Duration,
        there: &mut [Option<Image>],
    ) -> Result<(), Error> {
        let folder = Workspace::new().map_err(Error::Temporary)?;
        let tree = folder.path().join("tree");
        self.observer.step("Exporting", &plan.commit.brief());
        let exported = self.repository.export(plan.commit, &tree)?;
        for missing in &exported.missing_submodules {
            let path = missing.path.display().to_string();
            // The name of an image means one thing for ever: not one thing with a submodule and another one without it.
            let is_in = |context: &str| context == "." || missing.path.starts_with(context);
            if plan.images.iter().any(|image| is_in(image.context.as_str())) {
                return Err(Error::MissingSubmodule(path));
            }
            self.observer.warn(&format!("submodule '{path}' is not fetched: its directory is empty"));
        }
        let arguments = self.run_steps(plan, &tree, time_limit)?;
        let was_there: Vec<bool> = there.iter().map(Option::is_some).collect();
        let made = self.make_each(stores, tool, &tree, &arguments, time_limit, there);
        // Not before all are made: one may be built on another, or loaded from there.
        for (image, was_there) in there.iter().zip(was_there) {
            // What was only tried stays there, too: somebody else may have built it just now.
            let stays = plan.registry.address.is_none();
            if let (Some(image), false, false) = (image, was_there, stays) {
                self.watched(&image.name, |watch| tool.forget(&image.name, watch));
            }
        }
        made
    }

    fn make_each(
        &self,
        stores: &Stores<'_>,
        tool: &Tool,
        tree: &Path,
        arguments: &[(String, String)],
        time_limit: Duration,
        there: &mut [Option<Image>],
    ) -> Result<(), Error> {
        let plan = stores.plan;
        for (image, there) in plan.images.iter().zip(there) {
            if there.is_some() {
                continue;
            }
            self.go_on()?;
            let built = self.build(stores, tool, tree, arguments, image);
            *there = Some(match &plan.registry.address {
                Some(_) if !plan.is_trial => self.pushed(stores, tool, built, image)?,
                _ => built.map(|_| Image { name: image.name.clone(), digest: None, made: Made::Now })?,
            });
            if !plan.is_trial {
                self.load(&plan.registry, &image.name, time_limit)?;
            }
        }
        Ok(())
    }

    /// Runs the commit's own steps in its tree; what its environment file sets.
    fn run_steps(
        &self,
        plan: &Plan,
        tree: &Path,
        time_limit: Duration,
    ) -> Result<Vec<(String, String)>, Error> {
        let build = &plan.own.build;
        if build.steps.is_empty() && build.env_file.is_none() {
            return Ok(Vec::new());
        }
        let env_file = build.env_file.as_ref().map(|file| within(tree, Path::new(file.as_str()))).transpose();
        let env_file = env_file.map_err(Error::EnvFile)?.map(|file| tree.join(file));
        let epoch = self.repository.commit(plan.commit)?.time_of_files().to_string();
        let variables = [
            ("SOURCE_DATE_EPOCH".to_owned(), epoch),
            ("GIT_DEPLOY_COMMIT".to_owned(), plan.commit.to_string()),
        ];
        let steps = StepsPlan {
            directory: tree,
            env_file: env_file.as_deref(),
            steps: &build.steps,
            variables: &variables,
            time_limit,
        };
        let step_of = |line: &StepLine<'_>| brief(line.step.unwrap_or("environment file"));
        let mut tell = |line: StepLine<'_>| (self.tell)(&step_of(&line), &line.text);
        self.observer.step("Preparing", &plan.commit.brief());
        let set = steps::run(&steps, self.cancelled, &mut tell)?;
        // What is no text can be no argument of a build.
        let as_text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Ok(set.into_iter().filter_map(as_text).collect())
    }

    fn build(
        &self,
        stores: &Stores<'_>,
        tool: &Tool,
        tree: &Path,
        arguments: &[(String, String)],
        image: &CommitImage,
    ) -> Result<Built, Error> {
        let plan = stores.plan;
        self.observer.step("Building", &image.name.to_string());
        let build = Build {
            tree: tree.to_owned(),
            context: image.context.as_str().into(),
            commit: plan.commit.to_string(),
            source: plan.own.build.source.clone(),
            committed_at: self.repository.commit(plan.commit)?.time_of_files(),
            labels: Vec::new(),
            arguments: arguments.to_vec(),
            insecure: stores.insecure.clone(),
        };
        Ok(self.watched(&image.name, |watch| tool.build(&build, &image.name, watch))?)
    }

    /// An image in the registry: the one that was built, or one that is there although it failed. Somebody who builds the
    /// same here takes it out of the builder's store when it is pushed, whoever else is still at work with it.
    fn pushed(
        &self,
        stores: &Stores<'_>,
        tool: &Tool,
        built: Result<Built, Error>,
        image: &CommitImage,
    ) -> Result<Image, Error> {
        match built.and_then(|built| self.push(stores, tool, &built, image)) {
            Err(Error::Build(error)) => match stores.in_registry(image) {
                Ok(Some(there)) => Ok(there),
                _ => Err(error.into()),
            },
            pushed => pushed,
        }
    }

    fn push(
        &self,
        stores: &Stores<'_>,
        tool: &Tool,
        built: &Built,
        image: &CommitImage,
    ) -> Result<Image, Error> {
        // Building takes long: somebody else may have been faster.
        if let Some(there) = stores.in_registry(image)? {
            return Ok(there);
        }
        self.observer.step("Pushing", &image.name.to_string());
        let digest =
            self.watched(&image.name, |watch| tool.push(built, &image.name, &stores.insecure, watch))?;
        // Two who build at once may both push, and not the same: what the name means from now on is what both use.
        let digest = match stores.in_registry(image) {
            Ok(Some(there)) => there.digest.unwrap_or(digest),
            Err(taken @ Error::Taken { .. }) => return Err(taken),
            Ok(None) | Err(_) => digest,
        };
        Ok(Image { name: image.name.clone(), digest: Some(digest), made: Made::Now })
    }

    /// Brings what was built before into the cluster: whether it got there then nobody knows, and the cluster may be new.
    fn load_again(&self, plan: &Plan, images: &[Image], building: &Building) -> Result<(), Error> {
        if plan.registry.address.is_some() {
            return Ok(());
        }
        for image in images.iter().filter(|image| image.made == Made::Before) {
            self.go_on()?;
            self.load(&plan.registry, &image.name, building.time_limit)?;
        }
        Ok(())
    }

    /// Brings an image from the builder's store into the cluster.
    fn load(&self, registry: &Registry, image: &ImageName, time_limit: Duration) -> Result<(), Error> {
        let Some([program, arguments @ ..]) = registry.load.as_deref() else { return Ok(()) };
        let name = image.to_string();
        self.observer.step("Loading", &name);
        let arguments = arguments.iter().map(|argument| argument.replace("{image}", &name));
        let program = Program::new(program).args(arguments).time_limit(time_limit);
        let loaded = self.watched(image, |watch| program.run(watch.cancelled, watch.tell));
        loaded.map(drop).map_err(|error| Error::Load { image: name, error })
    }

    fn watched<T>(&self, image: &ImageName, work: impl FnOnce(&mut Watch<'_>) -> T) -> T {
        let name = image.repository().to_string();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        let mut tell = |line: Line| (self.tell)(&name, &line.text);
        work(&mut Watch { cancelled: self.cancelled, tell: &mut tell })
    }
}

/// A step as it stands in front of each line that it writes: short, and in one line.
fn brief(step: &str) -> String {
    const LONGEST: usize = 36;
    let step: Vec<char> = step.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match step.get(..LONGEST - 3) {
        Some(begin) if step.len() > LONGEST => begin.iter().collect::<String>() + "...",
        _ => step.into_iter().collect(),
    }
}

/// The builder that git's configuration names.
fn configured_builder(building: &Building) -> Result<Option<Builder>, ConfigError> {
    let Some(value) = &building.builder else { return Ok(None) };
    value.parse().map(Some).map_err(|_| ConfigError::Value {
        key: Building::BUILDER,
        value: value.clone(),
        wanted: "'buildah', 'podman' or 'docker'",
    })
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
