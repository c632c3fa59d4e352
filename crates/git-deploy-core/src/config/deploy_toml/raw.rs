//! The file's own shape, with the place of each value that is checked later.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::error::{DeployTomlError, Locator, Problem};

pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
pub(super) struct RawDeployToml {
    pub(super) image_name: Option<RawImageName>,
    pub(super) build: RawBuild,
    pub(super) image: Vec<RawImage>,
    pub(super) registry: RawRegistry,
    pub(super) environment: BTreeMap<Text, RawEnvironment>,
    pub(super) rebase: RawRebase,
    pub(super) approve: Option<Spanned<RawApprove>>,
    pub(super) trust_branches: bool,
    pub(super) assets: toml::Table,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RawImageName {
    pub(super) container_namespace: Text,
    pub(super) project_namespace: Text,
    pub(super) hash_length: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct RawBuild {
    pub(super) env_file: Option<Text>,
    pub(super) steps: Vec<Text>,
    pub(super) source: Option<Text>,
}

#[derive(Deserialize)]
pub(super) struct RawImage {
    pub(super) name: Text,
    pub(super) context: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawRegistry {
    pub(super) address: Option<Text>,
    pub(super) load: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawRebase {
    pub(super) committer: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct RawApprove {
    pub(super) allowed_signers: Option<Text>,
    pub(super) gpg_fingerprints: Vec<Text>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct RawEnvironment {
    pub(super) kind: Option<Text>,
    pub(super) context: Option<Text>,
    pub(super) kube_namespace: Option<Text>,
    pub(super) manifests: Option<Spanned<Vec<Text>>>,
    pub(super) render: Option<Spanned<Vec<String>>>,
    pub(super) after: Option<Text>,
    pub(super) approval: Option<Spanned<bool>>,
    pub(super) freeze: Vec<RawFreeze>,
    pub(super) lands: Option<Spanned<bool>>,
    pub(super) prune: Option<Text>,
    pub(super) branch: Option<Text>,
    pub(super) lint: BTreeMap<Text, Text>,
    pub(super) gate: BTreeMap<String, toml::Table>,
    pub(super) allow_kinds: Option<Vec<String>>,
    pub(super) allow_namespaces: Option<Vec<Text>>,
    pub(super) timeout: Option<Text>,
    pub(super) crash_grace: Option<Text>,
    pub(super) first_failure: Option<Text>,
    pub(super) config_hash: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RawFreeze {
    pub(super) from: Text,
    pub(super) to: Text,
    pub(super) time_zone: Text,
    pub(super) reason: Option<Text>,
}

/// Deserialises a document whose keys and types are known to be right.
pub(super) fn read(
    document: Spanned<DeTable<'_>>,
    locator: &Locator<'_>,
) -> Result<RawDeployToml, DeployTomlError> {
    RawDeployToml::deserialize(Deserializer::from(document)).map_err(|error| {
        // What still fails is a value that TOML can write and we cannot hold, such as a number of 20 digits.
        let problem = Problem::Syntax { message: error.message().to_owned() };
        locator.error(error.span().unwrap_or(0..0), problem)
    })
}
