//! The set of objects that belong together, as [KEP-3659 (ApplySet)][1] marks them: what its parent is called, how the
//! members are labelled, and which kinds and namespaces members may be found in.
//!
//! kubectl reads sets of other tools and refuses to change them; so `kubectl get -l
//! applyset.kubernetes.io/part-of=<id>` lists our set, and nobody prunes it by mistake.
//!
//! [1]: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ObjectId;

/// The label that makes an object the parent of a set; its value is the set's id.
pub const ID_LABEL: &str = "applyset.kubernetes.io/id";
/// The label of the members; its value is the id of their set.
pub const PART_OF_LABEL: &str = "applyset.kubernetes.io/part-of";
/// The parent's annotation that says which tool the set belongs to: `<tool>/<version>`.
pub const TOOLING_ANNOTATION: &str = "applyset.kubernetes.io/tooling";
/// The parent's annotation with the kinds that members may be of.
pub const KINDS_ANNOTATION: &str = "applyset.kubernetes.io/contains-group-kinds";
/// The parent's annotation with the namespaces that members may be in, beside its own.
pub const NAMESPACES_ANNOTATION: &str = "applyset.kubernetes.io/additional-namespaces";

/// The tool, as it stands in [`TOOLING_ANNOTATION`] before the version.
const TOOL: &str = "git-deploy";
/// The longest name that an object may have.
const LONGEST_NAME: usize = 253;

/// A kind without its version; displays as `Deployment.apps`, as `ConfigMap` for core.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// The API group; empty for core.
    pub group: String,
    /// Such as `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// The kind of a group.
    pub fn new(group: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), kind: kind.to_owned() }
    }
}

impl From<&ObjectId> for GroupKind {
    fn from(id: &ObjectId) -> Self {
        Self { group: id.group.clone(), kind: id.kind.clone() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => write!(f, "{}", self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

impl FromStr for GroupKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self::new(group, kind))
    }
}

/// What parent and Lease of an environment are called: `git-deploy-<project>-<environment>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetName(String);

impl SetName {
    /// The name for an environment of a project. What Kubernetes does not allow in names becomes `-`, and a digest at the
    /// end keeps such names apart.
    pub fn new(project: &str, environment: &str) -> Self {
        let wanted = format!("{TOOL}-{project}-{environment}");
        if is_object_name(&wanted) {
            return Self(wanted);
        }
        let digest = &hex(&Sha256::digest(&wanted))[..8];
        let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        let mut name: String = wanted.to_lowercase().chars().map(plain).collect();
        name.truncate(LONGEST_NAME - 1 - digest.len());
        Self(format!("{}-{digest}", name.trim_end_matches('-')))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the set whose parent is the ConfigMap of this name in a namespace.
    pub fn id(&self, namespace: &str) -> SetId {
        SetId::of_parent(&self.0, namespace, &GroupKind::new("", "ConfigMap"))
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a text is a [DNS subdomain](https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
fn is_object_name(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    text.len() <= LONGEST_NAME && text.split('.').all(label)
}

/// What the members of a set are labelled with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(String);

impl SetId {
    /// The id of the set of a parent: `applyset-<base64(sha256(<name>.<namespace>.<kind>.<group>))>-v1`.
    pub fn of_parent(name: &str, namespace: &str, kind: &GroupKind) -> Self {
        let plain = [name, namespace, &kind.kind, &kind.group].join(".");
        Self(format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(Sha256::digest(plain))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What selects the members: `applyset.kubernetes.io/part-of=<id>`.
    pub fn selector(&self) -> String {
        format!("{PART_OF_LABEL}={}", self.0)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The set that an object says it is part of.
pub fn part_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/labels")?.get(PART_OF_LABEL)?.as_str()
}

/// What stands in [`TOOLING_ANNOTATION`] of our parents.
pub fn tooling(version: &str) -> String {
    format!("{TOOL}/v{version}")
}

/// The tool that a [`TOOLING_ANNOTATION`] names, without its version.
pub fn tool_of(tooling: &str) -> &str {
    tooling.rsplit_once('/').map_or(tooling, |(tool, _)| tool)
}

/// Whether a [`TOOLING_ANNOTATION`] means us, in any version.
pub fn is_our_tooling(tooling: &str) -> bool {
    tool_of(tooling) == TOOL
}

/// Where members of a set may be: what its parent records, wide enough at every moment to find all of them.
///
/// Before anything is applied it is widened by what will be there, after a prune it is narrowed to what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extent {
    /// The kinds.
    pub kinds: BTreeSet<GroupKind>,
    /// The namespaces, the parent's own too if members are there.
    pub namespaces: BTreeSet<String>,
}

impl Extent {
    /// Where these objects are.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a ObjectId>) -> Self {
        let mut extent = Self::default();
        for id in objects {
            extent.kinds.insert(id.into());
            extent.namespaces.extend(id.namespace.clone());
        }
        extent
    }

    /// Where members of either are.
    #[must_use]
    pub fn widened(&self, by: &Self) -> Self {
        Self { kinds: &self.kinds | &by.kinds, namespaces: &self.namespaces | &by.namespaces }
    }

    /// Whether all of another is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.kinds.is_superset(&other.kinds) && self.namespaces.is_superset(&other.namespaces)
    }

    /// The value of [`KINDS_ANNOTATION`].
    pub fn kinds_text(&self) -> String {
        // Sorted as the texts are: kubectl writes them so.
        let sorted: BTreeSet<String> = self.kinds.iter().map(GroupKind::to_string).collect();
        joined(sorted.iter())
    }

    /// The value of [`NAMESPACES_ANNOTATION`] of a parent in the namespace `home`.
    pub fn namespaces_text(&self, home: &str) -> String {
        joined(self.namespaces.iter().filter(|namespace| *namespace != home))
    }

    /// What a parent in the namespace `home` records. What is missing is empty.
    pub fn parse(annotations: &Map<String, Value>, home: &str) -> Self {
        let words = |key: &str| {
            let text = annotations.get(key).and_then(Value::as_str).unwrap_or_default();
            text.split(',').map(str::trim).filter(|word| !word.is_empty())
        };
        let Ok(kinds) = words(KINDS_ANNOTATION).map(str::parse).collect::<Result<_, Infallible>>();
        let mut namespaces: BTreeSet<String> = words(NAMESPACES_ANNOTATION).map(str::to_owned).collect();
        // Its own namespace is never named, and members may always be there.
        namespaces.insert(home.to_owned());
        Self { kinds, namespaces }
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a String>) -> String {
    words.map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(text: &str) -> GroupKind {
        text.parse().unwrap()
    }

    fn id(group: &str, kind: &str, namespace: Option<&str>) -> ObjectId {
        ObjectId {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: "x".to_owned(),
        }
    }

    #[test]
    fn a_kind_is_written_as_kubectl_writes_it() {
        for text in ["ConfigMap", "Deployment.apps", "Certificate.cert-manager.io"] {
            assert_eq!(kind(text).to_string(), text);
        }
        assert_eq!(kind("Certificate.cert-manager.io").group, "cert-manager.io");
    }

    #[test]
    fn the_name_is_made_of_project_and_environment() {
        assert_eq!(SetName::new("shop", "production").as_str(), "git-deploy-shop-production");
        assert_eq!(SetName::new("a.b-c", "x").as_str(), "git-deploy-a.b-c-x");
    }

    #[test]
    fn names_that_kubernetes_does_not_allow_become_others_that_differ() {
        let long = "x".repeat(300);
        let projects =
            ["a_b", "a__b", "a.-b", "A-b", "a/b", "ä-b", "", "a..b", ".", "a\nb", long.as_str(), &long[1..]];
        let names: BTreeSet<_> = projects.iter().map(|project| SetName::new(project, "e")).collect();
        assert_eq!(names.len(), projects.len());
        for name in names {
            assert!(is_object_name(name.as_str()), "{name}");
        }
    }

    #[test]
    fn the_id_is_a_label_value() {
        let id = SetName::new("shop", "production").id("shop");
        assert_eq!(id.as_str().len(), 55);
        assert!(id.as_str().starts_with("applyset-") && id.as_str().ends_with("-v1"));
        assert_eq!(id.selector(), format!("applyset.kubernetes.io/part-of={id}"));
        assert_ne!(id, SetName::new("shop", "production").id("other"));
    }

    #[test]
    fn an_object_says_which_set_it_is_part_of() {
        assert_eq!(part_of(&json!({"metadata": {"labels": {PART_OF_LABEL: "a"}}})), Some("a"));
        assert_eq!(part_of(&json!({"metadata": {"labels": {PART_OF_LABEL: 1}}})), None);
        assert_eq!(part_of(&json!({"metadata": {}})), None);
    }

    #[test]
    fn every_version_of_ours_is_ours() {
        assert!(
            is_our_tooling(&tooling("0.1.0"))
                && is_our_tooling("git-deploy/v99")
                && is_our_tooling("git-deploy")
        );
        for other in ["kubectl/v1.36", "git-deployer/v1", "kpt/git-deploy/v1", ""] {
            assert!(!is_our_tooling(other), "{other}");
        }
    }

    #[test]
    fn an_extent_comes_back_as_written() {
        let extent = Extent::of(&[
            id("apps", "Deployment", Some("shop")),
            id("", "Service", Some("shop")),
            id("", "Service", Some("monitoring")),
            id("", "Namespace", None),
        ]);
        assert_eq!(extent.kinds_text(), "Deployment.apps,Namespace,Service");
        assert_eq!(extent.namespaces_text("shop"), "monitoring");
        let annotations = json!({
            KINDS_ANNOTATION: extent.kinds_text(),
            NAMESPACES_ANNOTATION: extent.namespaces_text("shop"),
        });
        assert_eq!(Extent::parse(annotations.as_object().unwrap(), "shop"), extent);
    }

    #[test]
    fn an_empty_extent_is_the_parents_own_namespace() {
        let annotations = json!({KINDS_ANNOTATION: "", NAMESPACES_ANNOTATION: ","});
        let extent = Extent::parse(annotations.as_object().unwrap(), "shop");
        assert_eq!((extent.kinds.len(), extent.namespaces.len()), (0, 1));
        assert_eq!(extent, Extent::parse(&Map::new(), "shop"));
    }

    #[test]
    fn widening_forgets_nothing() {
        let old = Extent::of(&[id("apps", "Deployment", Some("a"))]);
        let new = Extent::of(&[id("", "Service", Some("b"))]);
        let wide = old.widened(&new);
        assert!(wide.covers(&old) && wide.covers(&new) && !old.covers(&new));
        assert_eq!(wide.widened(&old), wide);
    }
}
