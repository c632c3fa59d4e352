//! The project's own images among those that manifests name: what is wrong or surprising about how they are named.

use std::collections::BTreeSet;

use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Target};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_image::Reference;
use git_deploy_manifest::{ImageUpdate, ImageUse, Object, always_pulled, own_images};

use crate::build::goes_somewhere;

/// The images that are made of a commit, and what base says of them.
pub(super) struct OwnImages<'a> {
    /// Base's configuration.
    pub(super) base: &'a DeployToml,
    /// Where the objects go.
    pub(super) environment: &'a Environment,
    /// What the images are called.
    pub(super) updates: &'a [ImageUpdate],
}

impl OwnImages<'_> {
    /// An own image that is pushed nowhere and loaded by nobody is in no cluster: its nodes would ask Docker Hub, and get
    /// nothing, or what somebody else calls so. Whoever means that writes `docker.io/` in front.
    pub(super) fn require_a_way(
        &self,
        objects: &[Object],
        own: Option<&DeployToml>,
        base: &str,
    ) -> Result<(), Failure> {
        if goes_somewhere(self.base) || matches!(self.environment.target, Target::Rendered { .. }) {
            return Ok(());
        }
        let is_bare = |(used, _): &(ImageUse, _)| {
            used.image.parse().is_ok_and(|reference: Reference| reference.registry().is_none())
        };
        let used = objects.iter().flat_map(|object| own_images(object, self.updates)).filter(is_bare);
        let names: BTreeSet<String> =
            used.map(|(_, update)| format!("'{}'", update.name.repository())).collect();
        if names.is_empty() {
            return Ok(());
        }
        let word = if names.len() == 1 { "image" } else { "images" };
        let names: Vec<String> = names.into_iter().collect();
        let in_vain = if own.is_some_and(goes_somewhere) {
            "; the [registry] of the branch counts when it has landed"
        } else {
            ""
        };
        let why = format!("nothing brings {word} {} into the cluster{in_vain}", names.join(", "));
        let hint = format!(
            "add [registry] to deploy.toml of '{base}': 'address' where images are pushed to, or 'load', the program that \
             brings them from here into the cluster; or name the registry in the manifest, such as 'docker.io/', where \
             others push it"
        );
        Err(Failure::of_nobody(Step::Render, why).fatal().hint(Some(hint)))
    }

    /// Whoever wants pulled what no registry has: it never starts. No error, for a cluster may have been told of a mirror.
    pub(super) fn never_pulled(&self, objects: &[Object]) -> Vec<String> {
        if self.base.registry.address.is_some() || self.base.registry.load.is_none() {
            return Vec::new();
        }
        let warning = |object: &Object, name: &str| {
            format!(
                "{}: '{name}' has 'imagePullPolicy: Always', and its image is loaded into the cluster, where no registry \
                 has it: leave that out",
                object.id()
            )
        };
        let of =
            |object| always_pulled(object, self.updates).into_iter().map(move |name| warning(object, &name));
        objects.iter().flat_map(of).collect()
    }
}
