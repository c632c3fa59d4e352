//! The names of our own images: from the parts in `deploy.toml` and a commit to one name.

use std::fmt;

use crate::grammar::{self, Flaw};

/// Where a part of an image name is configured; displays as the key in `deploy.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The registry's address.
    RegistryAddress,
    /// Who the image belongs to.
    ContainerNamespace,
    /// Which project it belongs to.
    ProjectNamespace,
    /// Which of the project's images it is.
    ContainerName,
    /// The commit that it was built from.
    GitHash,
    /// All parts but the commit together.
    Repository,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::RegistryAddress => "registry address",
            Part::ContainerNamespace => "container-namespace",
            Part::ProjectNamespace => "project-namespace",
            Part::ContainerName => "container-name",
            Part::GitHash => "git hash",
            Part::Repository => "repository",
        })
    }
}

/// A part from which no image name can be formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no OCI name: {part} '{value}' {flaw}", value = value.escape_debug())]
pub struct NameError {
    /// Which part.
    pub part: Part,
    /// What was given for it.
    pub value: String,
    /// Why it does not do.
    pub flaw: Flaw,
}

/// An image without its tag: `{container-namespace}/{project-namespace}-{container-name}`, with a registry's
/// address in front where there is one.
///
/// Each part keeps to the grammar of [OCI][1].
///
/// [1]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRepository {
    registry: Option<String>,
    path: String,
}

impl ImageRepository {
    /// Puts a repository together from the parts that stand in `deploy.toml`.
    ///
    /// The registry's address is a host, perhaps with a port, and may have a path behind it
    /// (`registry.example.org:5000/team`). The container's namespace may have several components
    /// (`littleman-co/web`).
    ///
    /// # Errors
    ///
    /// [`NameError`] names the first part that OCI does not accept, and why.
    pub fn new(
        registry: Option<&str>,
        container_namespace: &str,
        project_namespace: &str,
        container_name: &str,
    ) -> Result<ImageRepository, NameError> {
        if let Some(address) = registry {
            check(Part::RegistryAddress, address, registry_address)?;
        }
        check(Part::ContainerNamespace, container_namespace, namespace)?;
        check(Part::ProjectNamespace, project_namespace, grammar::component)?;
        check(Part::ContainerName, container_name, grammar::component)?;
        let path = format!("{container_namespace}/{project_namespace}-{container_name}");
        let repository = ImageRepository { registry: registry.map(str::to_owned), path };
        check(Part::Repository, &repository.to_string(), short_enough)?;
        Ok(repository)
    }

    /// The registry's address.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The host of the registry, perhaps with a port: the beginning of its address.
    pub fn host(&self) -> Option<&str> {
        self.registry().map(|address| address.split('/').next().unwrap_or(address))
    }

    /// What the repository is called at that host: with what stands behind the host in the registry's address.
    pub fn path_at_host(&self) -> String {
        match self.registry().and_then(|address| address.split_once('/')) {
            Some((_, prefix)) => format!("{prefix}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The repository without the registry's address.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The image that was built from a commit, by the commit's short hash.
    ///
    /// # Errors
    ///
    /// [`NameError`] where this is no short hash: 4 to 64 lower-case hexadecimal digits. So `latest`, or any other
    /// tag that moves, is refused.
    pub fn tagged(&self, short_hash: &str) -> Result<ImageName, NameError> {
        check(Part::GitHash, short_hash, git_hash)?;
        Ok(ImageName { repository: self.clone(), tag: short_hash.to_owned() })
    }
}

impl fmt::Display for ImageRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.path)
    }
}

/// One image of one commit, such as `littleman-co/git-littleman-co-nginx:a4945f8`; comes from
/// [`ImageRepository::tagged`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    repository: ImageRepository,
    tag: String,
}

impl ImageName {
    /// The name without its tag.
    pub fn repository(&self) -> &ImageRepository {
        &self.repository
    }

    /// The commit's short hash.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

fn check(part: Part, value: &str, rule: impl Fn(&str) -> Result<(), Flaw>) -> Result<(), NameError> {
    rule(value).map_err(|flaw| NameError { part, value: value.to_owned(), flaw })
}

fn registry_address(address: &str) -> Result<(), Flaw> {
    if let Some((scheme, _)) = address.split_once("://") {
        return Err(Flaw::Scheme(format!("{scheme}://")));
    }
    match address.split_once('/') {
        Some((host, path)) => {
            grammar::host(host).and_then(|()| grammar::path(path)).map_err(|flaw| match flaw {
                // What lies between two slashes, or in front of the first.
                Flaw::Empty => Flaw::Separator('/'),
                flaw => flaw,
            })
        }
        None => grammar::host(address),
    }
}

fn namespace(words: &str) -> Result<(), Flaw> {
    grammar::path(words)?;
    let first = words.split('/').next().unwrap_or(words);
    if grammar::is_registry(first) { Err(Flaw::LooksLikeRegistry) } else { Ok(()) }
}

fn short_enough(repository: &str) -> Result<(), Flaw> {
    let allowed = grammar::LONGEST_REPOSITORY;
    if repository.len() > allowed { Err(Flaw::Long { found: repository.len(), allowed }) } else { Ok(()) }
}

fn git_hash(hash: &str) -> Result<(), Flaw> {
    if (4..=64).contains(&hash.len()) && grammar::is_lower_hex(hash) { Ok(()) } else { Err(Flaw::NoHash) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reference;

    fn nginx(registry: Option<&str>) -> ImageRepository {
        ImageRepository::new(registry, "littleman-co", "git-littleman-co", "nginx").unwrap()
    }

    #[test]
    fn an_image_is_named_after_namespace_project_container_and_commit() {
        let name = nginx(None).tagged("a4945f8").unwrap();
        assert_eq!(name.to_string(), "littleman-co/git-littleman-co-nginx:a4945f8");
        assert_eq!(name.tag(), "a4945f8");
    }

    #[test]
    fn the_address_of_a_registry_stands_in_front() {
        let name = nginx(Some("registry.example.org:5000/team")).tagged("a4945f8").unwrap();
        assert_eq!(
            name.to_string(),
            "registry.example.org:5000/team/littleman-co/git-littleman-co-nginx:a4945f8"
        );
    }

    #[test]
    fn an_error_says_which_part_is_no_oci_name_and_why() {
        let of = |registry, namespace, project, name| {
            ImageRepository::new(registry, namespace, project, name).unwrap_err().to_string()
        };
        assert_eq!(
            of(None, "Littleman", "p", "n"),
            "no OCI name: container-namespace 'Littleman' has the upper-case letter 'L', write it in lower case"
        );
        assert_eq!(of(None, "l", "", "n"), "no OCI name: project-namespace '' is empty");
        assert_eq!(
            of(None, "l", "p", "ng inx"),
            "no OCI name: container-name 'ng inx' has the character ' ', which is not allowed there"
        );
        assert_eq!(
            of(Some("https://r.example.org"), "l", "p", "n"),
            "no OCI name: registry address 'https://r.example.org' is a URL, leave 'https://' out"
        );
        assert_eq!(
            of(None, "example.org", "p", "n"),
            "no OCI name: container-namespace 'example.org' would be taken for a registry's address, put that \
             into 'registry.address'"
        );
        assert!(of(None, "l", "p\n", "n").contains("project-namespace 'p\\n' has the character '\\n'"));
    }

    #[test]
    fn a_part_may_not_smuggle_in_a_tag_a_digest_or_another_path() {
        for bad in ["a:latest", "a@sha256", "a/b", "../a", "a/", "/a", "a\0"] {
            assert!(ImageRepository::new(None, "l", "p", bad).is_err(), "{bad:?}");
            assert!(ImageRepository::new(None, "l", bad, "n").is_err(), "{bad:?}");
        }
        for bad in ["a:1", "a@b", "a//b", "/a", "a/", "localhost"] {
            assert!(ImageRepository::new(None, bad, "p", "n").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_longer_than_registries_accept_is_refused() {
        let error = ImageRepository::new(None, &"a".repeat(200), &"b".repeat(50), "nginx").unwrap_err();
        assert_eq!(error.part, Part::Repository);
        assert_eq!(error.flaw, Flaw::Long { found: 257, allowed: 255 });
    }

    #[test]
    fn the_tag_is_a_short_hash_and_never_one_that_moves() {
        for good in ["a494", "a4945f8", "0000000", &"f".repeat(40), &"0".repeat(64)] {
            assert!(nginx(None).tagged(good).is_ok(), "{good}");
        }
        for bad in ["", "a49", "latest", "stable", "v1.0", "A4945F8", "a4945f8 ", &"0".repeat(65)] {
            let error = nginx(None).tagged(bad).unwrap_err();
            assert_eq!((error.part, error.flaw), (Part::GitHash, Flaw::NoHash), "{bad}");
        }
    }

    #[test]
    fn every_name_that_can_be_formed_is_read_back_as_a_reference() {
        for registry in [None, Some("localhost:5000"), Some("r.example.org/team")] {
            let name = nginx(registry).tagged("a4945f8").unwrap();
            let reference: Reference = name.to_string().parse().unwrap();
            assert_eq!(reference.repository(), name.repository().to_string());
            assert_eq!(reference.tag(), Some("a4945f8"));
        }
    }
}
