//! What makes objects of a commit's manifests: the meeting of configuration, manifests and images.

mod own_images;

use std::collections::BTreeSet;

use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Severity as Setting, Source};
use git_deploy_core::config::{DEPLOY_TOML, Settings, deploy_toml_of};
use git_deploy_core::deployment::{Blame, Failure, Step};
use git_deploy_core::environment::{Images, Made, Pulse, Rendered, RenderedObject, Renderer};
use git_deploy_core::git::object::Kind;
use git_deploy_core::git::{GitError, Repository};
use git_deploy_core::ids::{CommitId, ObjectId};
use git_deploy_core::ops::approve::Rules;
use git_deploy_manifest::{
    Finding, ImageUpdate, Object, RULES, Severities, Severity, SourceFile, is_one_time, lint,
    name_by_identity, once_paths, read, set_config_hashes, set_images, write,
};

use crate::build::Known;
use crate::images::{self, CommitImage};
use crate::landed;
use own_images::OwnImages;

/// Manifests that are YAML files in the commit's tree.
pub struct PlainYaml<'a> {
    /// Where the commit is.
    pub repository: &'a Repository,
    /// Git's configuration.
    pub settings: &'a Settings,
    /// Base's configuration: what a branch must not decide for itself comes from here.
    pub base: &'a DeployToml,
    /// What the objects are for.
    pub environment: &'a Environment,
    /// What is known of the commits' images.
    pub images: &'a Known<'a>,
}

/// What is said to whoever names a program that renders.
const NOT_RUN: &str =
    "programs that render manifests are not run by this version: name YAML files in 'manifests'";

fn of_branch(step: Step) -> impl Fn(&dyn std::fmt::Display) -> Failure {
    move |error| Failure::of_branch(step, error.to_string())
}

fn of_git(error: impl Into<GitError>) -> Failure {
    Failure::of_nobody(Step::Read, error.into().to_string())
}

impl Renderer for PlainYaml<'_> {
    fn prepare(&self, commit: CommitId, images: Images<'_>, pulse: &dyn Pulse) -> Result<Made, Failure> {
        if matches!(images, Images::Made | Images::Verified(_)) && self.images.is_open(self.base, commit) {
            // What the rules forbid needs no images: rendering it will say so.
            match self.render(commit) {
                Err(failure) if failure.blame == Blame::Branch => return Ok(Made::Nothing),
                rendered => rendered?,
            };
        }
        self.images.prepare(self.repository, self.base, commit, images, pulse)
    }

    fn render(&self, commit: CommitId) -> Result<Rendered, Failure> {
        let files = self.files(commit)?;
        let mut objects = read(&files).map_err(|error| of_branch(Step::Render)(&error))?;
        let own = self.own_deploy_toml(commit)?;
        self.require_a_next(own.as_ref(), commit)?;
        let images = self.image_updates(own.as_ref(), commit)?;
        let own_images = OwnImages { base: self.base, environment: self.environment, updates: &images };
        own_images.require_a_way(&objects, own.as_ref(), self.settings.base.short())?;
        let mut warnings = own_images.misspelt(&objects)?;
        let mut remarks = own_images.replaced(&objects);
        remarks.extend(own.and_then(|own| self.counts_when_landed(&own, commit)));
        let mut used = Vec::new();
        for object in &mut objects {
            for image in &images {
                if set_images(object, std::slice::from_ref(image)) > 0 {
                    used.push(pinned(image));
                }
            }
        }
        used.sort();
        used.dedup();
        if self.environment.config_hash {
            set_config_hashes(&mut objects);
        }
        self.name_one_time_jobs(commit, &mut objects)?;
        warnings.extend(own_images.never_pulled(&objects));
        warnings.extend(self.lint(&objects)?);
        let mut rendered: Vec<RenderedObject> = objects.iter().map(rendered_object).collect();
        rendered.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(Rendered { objects: rendered, images: used, warnings, remarks })
    }
}

/// As tags and notes name it.
fn pinned(image: &ImageUpdate) -> String {
    match &image.digest {
        Some(digest) => format!("{}@{digest}", image.name),
        None => image.name.to_string(),
    }
}

fn rendered_object(object: &Object) -> RenderedObject {
    RenderedObject {
        path: object.file_name(),
        title: object.id().to_string(),
        bytes: write(object),
        secret: object.id().is_secret(),
    }
}

impl PlainYaml<'_> {
    /// The manifest files of a commit's tree, as base's `deploy.toml` names them, in the order of their paths.
    fn files(&self, commit: CommitId) -> Result<Vec<SourceFile>, Failure> {
        let paths = match &self.environment.source {
            Source::Manifests(paths) => paths,
            Source::Render(_) => {
                return Err(Failure::of_nobody(Step::Render, NOT_RUN).fatal());
            }
        };
        let tree = self.repository.commit(commit).map_err(of_git)?.tree;
        let mut files = Vec::new();
        for path in paths {
            let entry = self.repository.entry(tree, path.as_str()).map_err(of_git)?;
            let entry = entry.ok_or_else(|| {
                let reason =
                    format!("'{path}', which base's deploy.toml names, is not in commit {}", commit.brief());
                Failure::of_branch(Step::Read, reason)
            })?;
            if entry.is_folder() {
                self.folder(entry.id, path.as_str(), &mut files)?;
            } else {
                self.file(&entry.mode, entry.id, path.as_str().to_owned(), &mut files)?;
            }
        }
        Ok(files)
    }

    fn folder(&self, tree: ObjectId, path: &str, files: &mut Vec<SourceFile>) -> Result<(), Failure> {
        for entry in self.repository.tree(tree).map_err(of_git)? {
            let name = String::from_utf8_lossy(&entry.name);
            let path = if path == "." { name.into_owned() } else { format!("{path}/{name}") };
            if entry.is_folder() {
                self.folder(entry.id, &path, files)?;
            } else if [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending)) {
                self.file(&entry.mode, entry.id, path, files)?;
            }
        }
        Ok(())
    }

    /// A link is refused rather than followed: it could lead out of the tree, and a manifest is a file.
    fn file(
        &self,
        mode: &[u8],
        id: ObjectId,
        path: String,
        files: &mut Vec<SourceFile>,
    ) -> Result<(), Failure> {
        if !mode.starts_with(b"100") {
            return Err(Failure::of_branch(Step::Read, format!("manifest '{path}' is no regular file")));
        }
        let bytes = self.repository.read(id, Kind::Blob).map_err(of_git)?;
        files.push(SourceFile { path, bytes });
        Ok(())
    }

    fn own_deploy_toml(&self, commit: CommitId) -> Result<Option<DeployToml>, Failure> {
        let own = deploy_toml_of(self.repository, commit, &commit.brief());
        own.map_err(|error| of_branch(Step::Read)(&error))
    }

    /// Refuses what nobody could deploy anything with once it has landed: only who may push to base could mend that.
    fn require_a_next(&self, own: Option<&DeployToml>, commit: CommitId) -> Result<(), Failure> {
        let base = self.settings.base.short();
        let tip = self.settings.base_tip(self.repository).map_err(|error| of_branch(Step::Read)(&error))?;
        if self.repository.is_ancestor(commit, tip).map_err(of_git)? {
            return Ok(());
        }
        let refused = |why: String| {
            let reason = format!("nothing could be deployed after it: {why}");
            Err(Failure::of_branch(Step::Read, reason))
        };
        let Some(own) = own else { return refused(format!("it has no '{DEPLOY_TOML}'")) };
        if let Some(environment) = own.rendered_on(base) {
            return refused(format!("environment '{}' would be rendered to base '{base}'", environment.name));
        }
        if own.environments().iter().any(|environment| matches!(environment.source, Source::Render(_))) {
            return refused(NOT_RUN.to_owned());
        }
        let rules = Rules::of(self.repository, own, commit).map_err(of_git)?;
        rules
            .as_ref()
            .and_then(Rules::unreadable)
            .map_or(Ok(()), |why| refused(format!("who may approve cannot be read: {why}")))
    }

    /// What this commit says in vain, unless it has landed and base says something else since.
    fn counts_when_landed(&self, own: &DeployToml, commit: CommitId) -> Option<String> {
        let tip = self.settings.base_tip(self.repository).ok()?;
        let is_landed = self.repository.is_ancestor(commit, tip).ok()?;
        let differing = if is_landed { Vec::new() } else { own.decided_otherwise_by(self.base) };
        landed::remark(&differing, commit, self.settings.base.short())
    }

    /// The names that this commit's images have: what they are called comes from base, which there are from the commit.
    fn image_updates(&self, own: Option<&DeployToml>, commit: CommitId) -> Result<Vec<ImageUpdate>, Failure> {
        let (Some(own), Some(names)) = (own, &self.base.image_name) else { return Ok(Vec::new()) };
        let address = self.base.registry.address.as_deref();
        let images = images::of_commit(own, Some(names), address, commit)
            .map_err(|error| of_branch(Step::Read)(&error))?;
        let update = |image: CommitImage| {
            let digest = self.images.digest(commit, &image.name);
            ImageUpdate { name: image.name, digest }
        };
        Ok(images.into_iter().map(update).collect())
    }

    /// A one-time job is another one when what it depends on changes: its name says so.
    fn name_one_time_jobs(&self, commit: CommitId, objects: &mut [Object]) -> Result<(), Failure> {
        for job in objects.iter_mut().filter(|object| is_one_time(object.id(), object.value())) {
            let paths: Vec<String> = once_paths(job).into_iter().map(str::to_owned).collect();
            let depends_on = (!paths.is_empty()).then(|| self.content_of(commit, job, &paths)).transpose()?;
            name_by_identity(job, depends_on.as_deref());
        }
        Ok(())
    }

    /// What stands at these paths of a commit's tree: each path with the id of its content.
    fn content_of(&self, commit: CommitId, job: &Object, paths: &[String]) -> Result<Vec<u8>, Failure> {
        let tree = self.repository.commit(commit).map_err(of_git)?.tree;
        let mut content = String::new();
        for path in paths {
            let entry = self.repository.entry(tree, path.trim_end_matches('/')).map_err(of_git)?;
            let entry = entry.ok_or_else(|| {
                let reason =
                    format!("{} depends on '{path}', which is not in commit {}", job.id(), commit.brief());
                Failure::of_branch(Step::Render, reason)
            })?;
            content.push_str(&format!("{path}\0{}\n", entry.id));
        }
        Ok(content.into_bytes())
    }

    /// Asks the rules with base's severities. Errors stop the deployment, all of them at once; warnings are returned.
    fn lint(&self, objects: &[Object]) -> Result<Vec<String>, Failure> {
        let known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::of_nobody(Step::Lint, format!("base's deploy.toml: {error}"))
        };
        self.base.check_lint_rules(&known).map_err(|error| wrong(&error))?;
        let mut severities = Severities::default();
        for (rule, setting) in &self.environment.lint {
            let severity = match setting.severity {
                Setting::Error => Severity::Error,
                Setting::Warn => Severity::Warn,
                Setting::Off => Severity::Off,
            };
            severities.set(rule, severity).map_err(|error| wrong(&error))?;
        }
        let findings = lint(objects, &severities);
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        let errors: Vec<String> = findings.iter().filter(is_error).map(ToString::to_string).collect();
        if errors.is_empty() {
            return Ok(findings.iter().map(ToString::to_string).collect());
        }
        let rules: BTreeSet<String> =
            findings.iter().filter(is_error).map(|finding| format!("{} = \"warn\"", finding.rule)).collect();
        let rules: Vec<String> = rules.into_iter().collect();
        let (name, rules) = (&self.environment.name, rules.join(", "));
        let hint = format!(
            "mend that; or have it pass with {rules} in [environment.{name}.lint] of base's deploy.toml"
        );
        Err(Failure::of_branch(Step::Lint, errors.join("; ")).hint(Some(hint)))
    }
}
