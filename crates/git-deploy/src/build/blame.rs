//! Whose fault it is that an image cannot be made: what is the same on base is no branch's, and what only a branch builds on
//! is nobody else's.

use git_deploy_core::config::{ConfigError, Settings};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::git::GitError;
use git_deploy_core::git::object::Kind;
use git_deploy_core::ids::CommitId;
use git_deploy_image::builder::{Action, BuildError, Failure as Ended, fetched};
use git_deploy_image::{Cause, Reference};

use super::{Error, Maker, Plan};

/// Where images come from that are named without a registry.
const DEFAULT: &str = "docker.io";

/// What builders look for in a context.
const CONTAINERFILES: [&str; 2] = ["Containerfile", "Dockerfile"];

impl Maker<'_> {
    /// What it means for a deployment that images were not made.
    pub(super) fn failure(&self, plan: &Plan, error: Error) -> Failure {
        let Ok((tip, name)) = self.base() else { return error.into_failure() };
        if tip == plan.commit {
            return error.into_failure();
        }
        match error.cause() {
            Some(Cause::Commit) => self.unless_of_base(plan, error, tip, &name),
            _ => match self.host_of_branch(plan, &error, tip) {
                Some(host) => {
                    let said = error.in_one_line();
                    let why = format!("{said}: nothing on '{name}' is built on an image of '{host}'");
                    Failure::of_branch(Step::Build, why).hint(error.hint())
                }
                None => error.into_failure(),
            },
        }
    }

    fn base(&self) -> Result<(CommitId, String), ConfigError> {
        let settings = Settings::read(self.repository)?;
        Ok((settings.base_tip(self.repository)?, settings.base.short().to_owned()))
    }

    /// What base cannot be built for either is no fault of a branch: branch after branch would be staged for what somebody
    /// pushed to base. Mostly base was a candidate before, and its images are there.
    fn unless_of_base(&self, plan: &Plan, error: Error, tip: CommitId, name: &str) -> Failure {
        let (Some(place), Ok(of_base)) = (place(plan, &error), Plan::of(self.repository, tip)) else {
            return error.into_failure();
        };
        // Nobody has asked for images of base, and a cluster that takes none says nothing of the branch.
        let of_base = Plan { is_trial: true, ..of_base };
        self.observer.step("Comparing", &format!("with {} of '{name}'", tip.brief()));
        let on_base = match self.find_or_make(&of_base) {
            Ok(_) => return error.into_failure(),
            Err(on_base) => on_base,
        };
        match on_base.cause() {
            Some(Cause::Commit) if self::place(&of_base, &on_base) == Some(place) => {
                let why = format!("it is the same on '{name}': {}", on_base.in_one_line());
                Failure::of_nobody(Step::Build, why)
                    .hint(Some(format!("mend '{name}', or deploy a branch that does")))
            }
            Some(Cause::Commit) => error.into_failure(),
            // Nobody knows yet.
            _ => Failure::of_nobody(Step::Build, on_base.in_one_line()).hint(on_base.hint()),
        }
    }

    /// The registry that a build asked in vain, where nothing of base is built on an image of it.
    fn host_of_branch(&self, plan: &Plan, error: &Error, tip: CommitId) -> Option<String> {
        let Error::Build(BuildError::Failed { action: Action::Build, why, last_lines, .. }) = error else {
            return None;
        };
        let said = last_lines.iter().rfind(|line| !line.trim().is_empty())?.to_lowercase();
        if !matches!(why, Ended::Status(_)) || !is_nobody(&said) {
            return None;
        }
        let own = plan.registry.address.as_deref().unwrap_or_default();
        let is_own = |host: &String| own.split('/').next() == Some(host.as_str());
        let of_branch = self.containerfiles(plan).ok()?;
        let of_base = self.containerfiles(&Plan::of(self.repository, tip).ok()?).ok()?;
        let mut hosts = of_branch.iter().filter_map(|text| hosts(text)).flatten();
        hosts.find(|host| {
            said.contains(host.as_str()) && !is_own(host) && !of_base.iter().any(|text| may_name(text, host))
        })
    }

    /// What says how the images of a commit are built, as far as it is committed.
    fn containerfiles(&self, plan: &Plan) -> Result<Vec<String>, GitError> {
        let tree = self.repository.commit(plan.commit)?.tree;
        let mut texts = Vec::new();
        for image in &plan.images {
            for file in CONTAINERFILES {
                let path = format!("{}/{file}", image.context);
                let entry =
                    self.repository.entry(tree, &path)?.filter(|entry| entry.mode.starts_with(b"100"));
                if let Some(entry) = entry {
                    let bytes = self.repository.read(entry.id, Kind::Blob)?;
                    texts.push(String::from_utf8_lossy(&bytes).into_owned());
                    break;
                }
            }
        }
        Ok(texts)
    }
}

/// Whether somebody says that there is no such registry, or none that lets anybody in who asks so. One that has too much to do, or
/// to which there is no way just now, may answer a moment later.
fn is_nobody(said: &str) -> bool {
    let words = [
        "no such host",
        "connection refused",
        "unauthorized",
        "denied",
        "authentication required",
        "certificate",
    ];
    words.iter().any(|word| said.contains(word))
}

/// What it was that failed, by a name that it has in other commits, too.
fn place(plan: &Plan, error: &Error) -> Option<String> {
    let said = error.to_string();
    match error {
        Error::Build(_) => {
            let is_it = |name: &String| said.contains(&format!("'{name}'"));
            let image = plan.images.iter().find(|image| is_it(&image.name.to_string()))?;
            Some(image.name.repository().to_string())
        }
        Error::Steps(_) | Error::EnvFile(_) => Some(said),
        _ => None,
    }
}

/// The registries of the images that a Containerfile builds on, in small letters; none where that is not said plainly.
fn hosts(containerfile: &str) -> Option<Vec<String>> {
    let host = |image: String| {
        let reference: Reference = image.parse().ok()?;
        Some(reference.registry().unwrap_or(DEFAULT).to_lowercase())
    };
    Some(fetched(containerfile)?.into_iter().filter_map(host).collect())
}

/// Whether a Containerfile builds on an image of that registry, or may do so.
fn may_name(containerfile: &str, host: &str) -> bool {
    match hosts(containerfile) {
        Some(hosts) => hosts.iter().any(|of| of == host),
        None => host == DEFAULT || containerfile.to_lowercase().contains(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_that_there_is_not_or_that_lets_nobody_in_is_a_branchs_fault() {
        for (said, expected) in [
            (
                "pinging container registry nohost.invalid: dial tcp: lookup nohost.invalid: no such host",
                true,
            ),
            ("dial tcp 127.0.0.1:1: connect: connection refused", true),
            ("reading manifest 1 in r.example/a: unauthorized: authentication required", true),
            (
                "reading manifest 1 in docker.io/library/a: toomanyrequests: you have reached your pull rate limit",
                false,
            ),
            ("received unexpected http status: 503 service unavailable", false),
            ("net/http: tls handshake timeout", false),
            ("dial tcp 10.0.0.1:443: connect: network is unreachable", false),
            ("dial tcp: lookup r.example: temporary failure in name resolution", false),
        ] {
            assert_eq!(is_nobody(said), expected, "{said}");
        }
    }

    #[test]
    fn base_uses_the_registries_that_it_names_and_those_that_it_may_name() {
        for (text, host, expected) in [
            ("FROM r.example/a", "r.example", true),
            ("FROM R.example/a\nCOPY --from=s.example/b /a /b", "s.example", true),
            ("FROM a", "docker.io", true),
            ("FROM scratch", "docker.io", false),
            ("FROM r.example/a", "docker.io", false),
            ("FROM r.example/a\nRUN echo s.example", "s.example", false),
            // Nobody knows what is set there.
            ("ARG BASE=r.example/a\nFROM $BASE", "r.example", true),
            ("ARG BASE=a\nFROM $BASE", "docker.io", true),
            ("ARG BASE=r.example/a\nFROM $BASE", "s.example", false),
        ] {
            assert_eq!(may_name(text, host), expected, "{text}: {host}");
        }
    }
}
