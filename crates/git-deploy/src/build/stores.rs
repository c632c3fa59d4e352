//! Where the images of a commit are looked for: in a registry, or in the builder's own store.

use git_deploy_image::builder::Tool;
use git_deploy_image::registry::{Existing, Problem, Registries, RegistryError};
use git_deploy_image::{Digest, Insecure};

use super::{Error, Image, Made, Plan, variable};
use crate::images::CommitImage;

/// Where images are looked for.
pub(super) struct Stores<'p> {
    pub(super) plan: &'p Plan,
    registries: Registries,
    pub(super) insecure: Insecure,
    cancelled: &'p dyn Fn() -> bool,
}

impl<'p> Stores<'p> {
    pub(super) fn of(plan: &'p Plan, cancelled: &'p dyn Fn() -> bool) -> Self {
        Self { plan, registries: Registries::new(variable), insecure: Insecure::read(variable), cancelled }
    }

    pub(super) fn in_registry(&self, image: &CommitImage) -> Result<Option<Image>, Error> {
        let commit = self.plan.commit.to_string();
        match self.registries.lookup_unless(self.cancelled, &image.name, &commit) {
            Ok(Existing::None) => Ok(None),
            Ok(Existing::Ours { digest }) => Ok(Some(there(image, Some(digest)))),
            Ok(Existing::Other { revision, .. }) => Err(self.taken(image, revision)),
            Err(RegistryError { problem: Problem::Stopped, .. }) => Err(Error::Cancelled),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn in_builder(&self, tool: &Tool, image: &CommitImage) -> Result<Option<Image>, Error> {
        match tool.local(&image.name)? {
            None => Ok(None),
            Some(local) if local.revision.as_deref() == Some(self.plan.commit.to_string().as_str()) => {
                Ok(Some(there(image, None)))
            }
            Some(local) => Err(self.taken(image, local.revision)),
        }
    }

    fn taken(&self, image: &CommitImage, from: Option<String>) -> Error {
        let from = from.map(|from| format!("'{}'", from.escape_debug()));
        Error::Taken { name: image.name.to_string(), commit: self.plan.commit.brief(), from }
    }
}

fn there(image: &CommitImage, digest: Option<Digest>) -> Image {
    Image { name: image.name.clone(), digest, made: Made::Before }
}
