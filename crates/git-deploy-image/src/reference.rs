//! Image references as people write them: `[registry/]path[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use crate::grammar::{self, Flaw};

/// A text that is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no image reference: {part} '{value}' {flaw}", value = value.escape_debug())]
pub struct ReferenceError {
    /// `registry`, `path`, `tag` or `digest`.
    pub part: &'static str,
    /// What stands there.
    pub value: String,
    /// Why it does not do.
    pub flaw: Flaw,
}

/// The digest of an image's manifest, such as `sha256:` and 64 hexadecimal digits.
///
/// See [OCI's descriptors](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// The digest with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Digest, ReferenceError> {
        check("digest", text, grammar::digest)?;
        Ok(Digest(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference to an image, taken apart.
///
/// Read as Docker, containerd and so Kubernetes read it: see [distribution's grammar][1] and
/// [Kubernetes on images][2].
///
/// [1]: https://pkg.go.dev/github.com/distribution/reference
/// [2]: https://kubernetes.io/docs/concepts/containers/images/#image-names
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: Option<String>,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host and port, if one is written.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// What stands behind the registry and in front of tag and digest.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The reference without tag and digest, as it is written.
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.path),
            None => self.path.clone(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let (repository, tag) = match name.rfind(':') {
            Some(colon) if !name[colon..].contains('/') => (&name[..colon], Some(&name[colon + 1..])),
            _ => (name, None),
        };
        let (registry, path) = match repository.split_once('/') {
            Some((first, rest)) if grammar::is_registry(first) => (Some(first), rest),
            _ => (None, repository),
        };
        if let Some(registry) = registry {
            check("registry", registry, grammar::host)?;
        }
        check("path", path, grammar::path)?;
        if repository.len() > grammar::LONGEST_REPOSITORY {
            let flaw = Flaw::Long { found: repository.len(), allowed: grammar::LONGEST_REPOSITORY };
            return Err(ReferenceError { part: "path", value: path.to_owned(), flaw });
        }
        if let Some(tag) = tag {
            check("tag", tag, grammar::tag)?;
        }
        Ok(Reference {
            registry: registry.map(str::to_owned),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn check(
    part: &'static str,
    value: &str,
    rule: impl Fn(&str) -> Result<(), Flaw>,
) -> Result<(), ReferenceError> {
    rule(value).map_err(|flaw| ReferenceError { part, value: value.to_owned(), flaw })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<String>, bool) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        let owned = |part: Option<&str>| part.map(str::to_owned);
        (
            owned(reference.registry()),
            reference.path().to_owned(),
            owned(reference.tag()),
            reference.digest().is_some(),
        )
    }

    #[test]
    fn references_are_taken_apart_as_docker_does() {
        let some = |text: &str| Some(text.to_owned());
        let digest = format!("@sha256:{}", "0".repeat(64));
        for (text, registry, path, tag) in [
            ("nginx", None, "nginx", None),
            ("nginx:1.27", None, "nginx", some("1.27")),
            ("library/nginx:1.27", None, "library/nginx", some("1.27")),
            ("localhost/nginx", some("localhost"), "nginx", None),
            ("localhost:5000", None, "localhost", some("5000")),
            ("r:5000/a/b:t", some("r:5000"), "a/b", some("t")),
            ("gcr.io/p/i:v0.3.9", some("gcr.io"), "p/i", some("v0.3.9")),
            ("[::1]:5000/a", some("[::1]:5000"), "a", None),
            ("Upper/a", some("Upper"), "a", None),
            ("a:_T-.9", None, "a", some("_T-.9")),
        ] {
            let path = path.to_owned();
            assert_eq!(parts(text), (registry.clone(), path.clone(), tag.clone(), false), "{text}");
            assert_eq!(parts(&format!("{text}{digest}")), (registry, path, tag, true), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_part_that_is_wrong() {
        for (text, part) in [
            ("", "path"),
            (":1", "path"),
            ("Nginx", "path"),
            ("a//b", "path"),
            ("a/", "path"),
            ("$(IMAGE)", "path"),
            ("{{ image }}", "path"),
            ("a b", "path"),
            ("a:", "tag"),
            ("a:-b", "tag"),
            ("a:b:c", "path"),
            ("a@sha256:1", "digest"),
            ("a@", "digest"),
            ("r:0/a", "registry"),
            ("-r.example/a", "registry"),
            ("https://r.example/a", "registry"),
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert_eq!(error.part, part, "{text}: {error}");
        }
        assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
        assert!("a".repeat(256).parse::<Reference>().is_err());
    }
}
