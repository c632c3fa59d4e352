//! The project's own images among those that manifests name: what is wrong or surprising about how they are named.

use std::collections::BTreeSet;

use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Severity, Target};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_image::{ImageRepository, Reference};
use git_deploy_manifest::{ImageUpdate, Object, always_pulled, images, own_images, pull_policy};
use strsim::damerau_levenshtein as slips;

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
    /// nothing, or what somebody else calls so. Whoever means that writes `docker.io/` in front; and whoever has put it onto
    /// the nodes has it pulled `Never`.
    pub(super) fn require_a_way(
        &self,
        objects: &[Object],
        own: Option<&DeployToml>,
        base: &str,
    ) -> Result<(), Failure> {
        if goes_somewhere(self.base) || matches!(self.environment.target, Target::Rendered { .. }) {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        for object in objects {
            for (used, update) in own_images(object, self.updates) {
                let is_bare = used.image.parse().is_ok_and(|name: Reference| name.registry().is_none());
                if is_bare && pull_policy(object, &used) != Some("Never") {
                    names.insert(format!("'{}'", update.name.repository()));
                }
            }
        }
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
        // Where base has it too, it is said to be nobody's.
        Err(Failure::of_branch(Step::Render, why).hint(Some(hint)))
    }

    /// Images that are called almost like an own one, and hardly somebody else's: without a version that is an error, as far
    /// as the rule about that is one, else it is returned to be warned of.
    pub(super) fn misspelt(&self, objects: &[Object]) -> Result<Vec<String>, Failure> {
        let rule = self.environment.lint.get("image-tag");
        let is_error = rule.is_none_or(|setting| setting.severity == Severity::Error);
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for object in objects {
            for used in images(object) {
                let Ok(written) = used.image.parse::<Reference>() else { continue };
                let Some((meant, nearness)) = self.meant(&written) else { continue };
                let is_unversioned = matches!(written.tag(), None | Some("latest"));
                let said = format!(
                    "no image of this project: '{}' of container '{}', did you mean '{meant}'?: {} in {}",
                    written,
                    used.container.escape_debug(),
                    object.id(),
                    object.source()
                );
                match (is_unversioned, nearness) {
                    (true, _) if is_error => errors.push(said),
                    (true, _) | (false, Nearness::OfThisProject) => warnings.push(said),
                    (false, Nearness::OfAnother) => {}
                }
            }
        }
        if errors.is_empty() {
            return Ok(warnings);
        }
        let hint = "mend the name; an image of others needs a version or a digest";
        Err(Failure::of_branch(Step::Lint, errors.join("; ")).hint(Some(hint)))
    }

    /// The own image that is probably meant by one that is none. What has a digest was chosen with care.
    fn meant(&self, written: &Reference) -> Option<(String, Nearness)> {
        let names = self.base.image_name.as_ref()?;
        let prefix = format!("{}/{}-", names.container_namespace, names.project_namespace);
        let place = place(written);
        let own: Vec<String> =
            self.updates.iter().flat_map(|update| spellings(update.name.repository())).collect();
        if written.digest().is_some() || own.contains(&place) {
            return None;
        }
        let near = |own: String| {
            let begin = own.rfind(&prefix)? + prefix.len();
            Some((nearness(&place, &own[..begin], &own[begin..])?, own))
        };
        let nearest = own.into_iter().filter_map(near).min_by_key(|((distance, _), _)| *distance);
        nearest.map(|((_, nearness), own)| (own, nearness))
    }

    /// Where a tag or a digest was written that is not what is deployed, each once.
    pub(super) fn replaced(&self, objects: &[Object]) -> Vec<String> {
        let used = objects.iter().flat_map(|object| own_images(object, self.updates));
        let said = used.filter_map(|(used, update)| {
            let written: Reference = used.image.parse().ok()?;
            let is_replaced = written.tag().is_some() || written.digest().is_some();
            let what = if written.digest().is_some() { "digest" } else { "tag" };
            is_replaced.then(|| {
                format!("the {what} of '{written}' is replaced by that of the commit: '{}'", update.name)
            })
        });
        said.collect::<BTreeSet<String>>().into_iter().collect()
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

/// Whose an image is, but for what is misspelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nearness {
    /// It begins as all of this project's do.
    OfThisProject,
    /// It may well be of a project that is called almost like this one.
    OfAnother,
}

/// An image without tag and digest; Docker Hub is where one without a registry is.
fn place(written: &Reference) -> String {
    match written.registry() {
        Some("docker.io" | "index.docker.io") => written.path().to_owned(),
        _ => written.repository(),
    }
}

/// How an own image may be written.
fn spellings(own: &ImageRepository) -> Vec<String> {
    let full = own.registry().map(|_| own.to_string());
    std::iter::once(own.path().to_owned()).chain(full).collect()
}

/// How far a name is from that of an own image, which begins as all of the project's do, if it is near: a third of what is the
/// image's own, or a slip or two in all of it.
fn nearness(written: &str, begin: &str, container: &str) -> Option<(usize, Nearness)> {
    let (distance, allowed, nearness) = match written.strip_prefix(begin) {
        Some(rest) => (slips(rest, container), container.len() / 3, Nearness::OfThisProject),
        None => {
            let own = format!("{begin}{container}");
            (slips(written, &own), (own.len() / 6).min(2), Nearness::OfAnother)
        }
    };
    (distance <= allowed).then_some((distance, nearness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_name_is_not() {
        let of = |written| nearness(written, "littleman-co/shop-", "web").map(|(_, nearness)| nearness);
        for slip in ["littleman-co/shop-wbe", "littleman-co/shop-we", "littleman-co/shop-webb"] {
            assert_eq!(of(slip), Some(Nearness::OfThisProject), "{slip}");
        }
        for slip in ["litleman-co/shop-web", "littleman-co/shpo-web", "littleman-co/shop_web"] {
            assert_eq!(of(slip), Some(Nearness::OfAnother), "{slip}");
        }
        for other in
            ["littleman-co/shop-api", "littleman-co/shop", "littleman-co/shop-admin-web", "nginx", "web"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(nearness("a/shop-be", "a/shop-", "fe"), None);
        assert_eq!(nearness("b/p-m", "a/p-", "n"), None);
    }
}
