//! Manifests and configurations of images, as far as they say what an image was made from.
//!
//! See [OCI's image specification](https://github.com/opencontainers/image-spec/blob/main/manifest.md).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Problem;
use crate::{Digest, REVISION};

/// All kinds that there are: what is not asked for, some registries convert, and then the digest is another one.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// What a tag points to.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) digest: Digest,
    /// What an annotation says that it was made from.
    pub(super) revision: Option<String>,
    /// The digest of its configuration.
    pub(super) config: Option<Digest>,
    /// The digest of the first image that an index lists.
    pub(super) first_image: Option<String>,
}

impl Manifest {
    /// Reads one. `said` is what the registry says that its digest is.
    pub(super) fn read(bytes: &[u8], said: Option<&str>) -> Result<Manifest, Problem> {
        let digest = sha256(bytes)?;
        if let Some(said) = said.filter(|said| said.starts_with("sha256:") && *said != digest.as_str()) {
            let said = said.escape_debug();
            return Err(Problem::Garbage(format!("its manifest has the digest '{digest}' and not '{said}'")));
        }
        let manifest = json(bytes, "the manifest")?;
        let is_image = |entry: &&Value| entry["platform"]["os"] != "unknown";
        let listed = manifest["manifests"].as_array().and_then(|entries| entries.iter().find(is_image));
        Ok(Manifest {
            digest,
            revision: text(&manifest["annotations"][REVISION]),
            config: named_digest(&manifest["config"]["digest"])?,
            first_image: named_digest(&listed.map_or(Value::Null, |entry| entry["digest"].clone()))?
                .map(|digest| digest.to_string()),
        })
    }
}

/// The commit that the configuration of an image names as its origin.
pub(super) fn revision_of_config(bytes: &[u8], digest: &Digest) -> Result<Option<String>, Problem> {
    if digest.as_str().starts_with("sha256:") && sha256(bytes)? != *digest {
        return Err(Problem::Garbage(format!("what it has as '{digest}' is something else")));
    }
    Ok(text(&json(bytes, "the configuration")?["config"]["Labels"][REVISION]))
}

fn json(bytes: &[u8], what: &str) -> Result<Value, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::Garbage(format!("{what} is no JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(Problem::Garbage(format!("{what} is no object"))) }
}

/// It becomes part of the next request's path, so it has to be one.
fn named_digest(value: &Value) -> Result<Option<Digest>, Problem> {
    match value {
        Value::Null => Ok(None),
        value => match value.as_str().map(str::parse) {
            Some(Ok(digest)) => Ok(Some(digest)),
            _ => Err(Problem::Garbage("its manifest names something that is no digest".to_owned())),
        },
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn sha256(bytes: &[u8]) -> Result<Digest, Problem> {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().map_err(|_| Problem::Garbage("a digest cannot be formed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_of_a_manifest_has_to_be_true() {
        let bytes = br#"{"config": {"digest": "sha256:1"}}"#;
        assert!(matches!(Manifest::read(bytes, None), Err(Problem::Garbage(_))), "no digest");
        let wrong = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(Manifest::read(b"{}", Some(&wrong)), Err(Problem::Garbage(_))), "another digest");
        for garbage in [&b""[..], b"<html>", b"[]", b"3"] {
            assert!(matches!(Manifest::read(garbage, None), Err(Problem::Garbage(_))));
        }
        assert!(matches!(revision_of_config(b"{}", &wrong.parse().unwrap()), Err(Problem::Garbage(_))));
    }

    #[test]
    fn an_index_names_its_first_image_that_runs_somewhere() {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64));
        let index = serde_json::json!({ "manifests": [
            { "digest": digest('a'), "platform": { "os": "unknown" } },
            { "digest": digest('b'), "platform": { "os": "linux" } },
        ]});
        let read = Manifest::read(index.to_string().as_bytes(), None).unwrap();
        assert_eq!(read.first_image, Some(digest('b')));
        assert!(read.config.is_none() && read.revision.is_none());
    }
}
