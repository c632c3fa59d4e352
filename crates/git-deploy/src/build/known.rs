//! The images of what is deployed.

use std::cell::RefCell;
use std::collections::HashMap;

use git_deploy_core::config::deploy_toml::DeployToml;
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Images, Made, Pulse};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::CommitId;
use git_deploy_core::ops::Observer;
use git_deploy_image::{Digest, ImageName};

use super::{Error, Image, Made as ImageMade, Maker, Means, Plan};

/// The images of the commits that a run has to do with, found or made once.
pub struct Known<'o> {
    observer: &'o dyn Observer,
    /// Whether nothing is to be built.
    looks_only: bool,
    means: Means,
    found: RefCell<HashMap<CommitId, Vec<Image>>>,
}

impl<'o> Known<'o> {
    /// Of none yet.
    pub fn new(observer: &'o dyn Observer) -> Self {
        Self { observer, looks_only: false, means: Means::default(), found: RefCell::default() }
    }

    /// Makes them by that.
    #[must_use]
    pub fn by(self, means: Means) -> Self {
        Self { means, ..self }
    }

    /// Builds nothing: what is not there is an error.
    #[must_use]
    pub fn look_only(self, looks_only: bool) -> Self {
        Self { looks_only, ..self }
    }

    /// Finds, or makes, the images of a commit. None where base does not say where they go: then they come from elsewhere.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn prepare(
        &self,
        repository: &Repository,
        base: &DeployToml,
        commit: CommitId,
        wanted: Images<'_>,
        pulse: &dyn Pulse,
    ) -> Result<Made, Failure> {
        if !self.is_open(base, commit) {
            return Ok(Made::Nothing);
        }
        let tell = |program: &str, line: &str| self.observer.wrote(program, line);
        let cancelled = || !pulse.beat();
        let (means, observer) = (self.means, self.observer);
        let maker = Maker { repository, means, observer, tell: &tell, cancelled: &cancelled };
        let plan = Plan::of(repository, commit).map_err(Error::into_failure)?;
        let made = || {
            let made = if self.looks_only { maker.look_only(&plan) } else { maker.make(&plan) };
            made.map_err(|error| maker.failure(&plan, error))
        };
        let found = match wanted {
            Images::Made => made()?,
            Images::Verified(pinned) => {
                let verified = recorded(&plan, pinned);
                if verified.iter().all(|image| image.digest.is_some()) {
                    verified
                } else {
                    let made = made()?;
                    is_as_verified(&verified, &made)?;
                    made
                }
            }
            Images::Recorded(pinned) => recorded(&plan, pinned),
            Images::Named => match maker.find(&plan) {
                Ok(found) => found,
                Err(error) => {
                    self.observer.warn(&format!("images are compared without their digests: {error}"));
                    Vec::new()
                }
            },
        };
        let is_new = found.iter().any(|image| image.made == ImageMade::Now);
        self.found.borrow_mut().insert(commit, found);
        Ok(if is_new { Made::Some } else { Made::Nothing })
    }

    /// Whether the images of a commit are still to be found or made.
    pub fn is_open(&self, base: &DeployToml, commit: CommitId) -> bool {
        goes_somewhere(base) && !self.found.borrow().contains_key(&commit)
    }

    /// The digest of an image of a commit, if it is known.
    pub fn digest(&self, commit: CommitId, name: &ImageName) -> Option<Digest> {
        self.found.borrow().get(&commit)?.iter().find(|image| image.name == *name)?.digest.clone()
    }
}

/// Whether base says how images come to where they run.
pub fn goes_somewhere(base: &DeployToml) -> bool {
    base.registry.address.is_some() || base.registry.load.is_some()
}

/// What was verified in one environment is what goes to the next one, and not what somebody has put in its place since.
fn is_as_verified(verified: &[Image], made: &[Image]) -> Result<(), Failure> {
    let other = verified.iter().find_map(|verified| {
        let digest = verified.digest.as_ref()?;
        let now = made.iter().find(|made| made.name == verified.name)?;
        (now.digest.as_ref() != Some(digest)).then_some((verified, now))
    });
    other.map_or(Ok(()), |(verified, now)| {
        let why =
            format!("image '{}' is not what was verified before: '{}'", now.pinned(), verified.pinned());
        let hint = "somebody has put another image in its place: a new commit gets images of its own";
        Err(Failure::of_nobody(Step::Build, why).fatal().hint(Some(hint)))
    })
}

/// The images of a commit that stand in a list of names with digests.
fn recorded(plan: &Plan, pinned: &[String]) -> Vec<Image> {
    let pinned = |name: &ImageName| {
        let digest =
            |pinned: &String| pinned.strip_prefix(&name.to_string())?.strip_prefix('@')?.parse().ok();
        pinned.iter().find_map(digest)
    };
    let image =
        |name: &ImageName| Image { name: name.clone(), digest: pinned(name), made: ImageMade::Before };
    plan.images.iter().map(|image_of| image(&image_of.name)).collect()
}

#[cfg(test)]
mod tests {
    use git_deploy_image::ImageRepository;

    use super::*;

    fn image(digit: Option<&str>) -> Image {
        let digest = digit.map(|digit| format!("sha256:{}", digit.repeat(64)).parse().unwrap());
        let repository = ImageRepository::new(None, "littleman-co", "shop", "web").unwrap();
        Image { name: repository.tagged("0123456").unwrap(), digest, made: ImageMade::Before }
    }

    #[test]
    fn another_digest_than_the_verified_one_is_refused_and_one_that_nobody_knew_is_taken() {
        let said = is_as_verified(&[image(Some("1"))], &[image(Some("2"))]).unwrap_err();
        assert!(said.fatal && said.reason.contains("is not what was verified before"), "{said}");
        assert!(is_as_verified(&[image(Some("1"))], &[image(None)]).is_err());
        for verified in [Some("1"), None] {
            assert!(is_as_verified(&[image(verified)], &[image(Some("1"))]).is_ok());
        }
    }
}
