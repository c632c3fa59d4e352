//! Which images a commit has, and what they are called.

use git_deploy_core::config::deploy_toml::{DeployToml, ImageName as Names, TreePath};
use git_deploy_core::ids::CommitId;
use git_deploy_image::{ImageName, ImageRepository, NameError};

/// An image that is made of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitImage {
    /// What it is called, tag included.
    pub name: ImageName,
    /// The directory with its Containerfile, in the commit's tree.
    pub context: TreePath,
}

/// The images of a commit, in the order of its `deploy.toml`.
///
/// Which images there are is the commit's `own` affair; how they are called is the project's, so that a branch cannot name
/// its images like somebody else's: `names` and the registry's `address` are base's. Without names none has one.
///
/// # Errors
/// When the parts make no name that OCI accepts.
pub fn of_commit(
    own: &DeployToml,
    names: Option<&Names>,
    address: Option<&str>,
    commit: CommitId,
) -> Result<Vec<CommitImage>, NameError> {
    let Some(parts) = names else { return Ok(Vec::new()) };
    let hash = commit.short(usize::from(parts.hash_length));
    let named = |container: &str| {
        ImageRepository::new(address, &parts.container_namespace, &parts.project_namespace, container)?
            .tagged(&hash)
    };
    own.images
        .iter()
        .map(|image| Ok(CommitImage { name: named(&image.name)?, context: image.context.clone() }))
        .collect()
}

/// What they take of a commit's note, in bytes, each with its digest: `image: <name>:<tag>@sha256:<64 digits>` a line.
pub fn bytes_in_note(images: &[CommitImage]) -> usize {
    let around = "image: @sha256:\n".len() + 64;
    images.iter().map(|image| image.name.to_string().len() + around).sum()
}
