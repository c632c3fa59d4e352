//! One Kubernetes object: what it is, where it was written, and its value.

use std::fmt;

use serde_json::Value;

/// The longest piece of a file name; file systems take 255 bytes.
const LONGEST_PIECE: usize = 200;

/// Where an object was written; displays as `'file' line 3 (document 1)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The file's path, as it was handed in.
    pub file: String,
    /// Which document of the file, 1 for the first.
    pub document: usize,
    /// The line in the file, 1 for the first.
    pub line: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' line {} (document {})", self.file.escape_debug(), self.line, self.document)
    }
}

/// What the API server knows an object by; displays as `Deployment 'shop/web'`.
///
/// See [Kubernetes on objects' names][1]. The version is no part of it: [`ObjectId::is_same`].
///
/// [1]: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// The API group; empty for core.
    pub group: String,
    /// The version of the group's API, such as `v1`.
    pub version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// The namespace that is written in the object; the environment's, or none, otherwise.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl ObjectId {
    /// `group/version`, or `version` for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether both mean one object in a cluster: all but the version is equal, and the kind in any case.
    pub fn is_same(&self, other: &ObjectId) -> bool {
        self.key() == other.key()
    }

    /// What is equal for two identities of one object.
    pub(crate) fn key(&self) -> (&str, String, Option<&str>, &str) {
        (&self.group, self.kind.to_lowercase(), self.namespace.as_deref(), &self.name)
    }

    /// Whether this is a [Secret](https://kubernetes.io/docs/concepts/configuration/secret/), whose values must
    /// be shown to nobody and stored nowhere.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind.eq_ignore_ascii_case("Secret")
    }

    /// Whether this is a [Namespace](https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/).
    pub fn is_namespace(&self) -> bool {
        self.is_of("", "Namespace")
    }

    /// Whether this defines a kind.
    pub fn is_definition(&self) -> bool {
        self.is_of("apiextensions.k8s.io", "CustomResourceDefinition")
    }

    /// Whether this is a [Job](https://kubernetes.io/docs/concepts/workloads/controllers/job/).
    pub fn is_job(&self) -> bool {
        self.is_of("batch", "Job")
    }

    /// Whether this decides how many pods a workload has.
    pub fn is_autoscaler(&self) -> bool {
        self.is_of("autoscaling", "HorizontalPodAutoscaler")
    }

    /// Whether this keeps pods running, and replaces them when its template changes.
    pub fn has_revisions(&self) -> bool {
        ["Deployment", "StatefulSet", "DaemonSet"].into_iter().any(|kind| self.is_of("apps", kind))
    }

    fn is_of(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// The name of the file for this object alone, relative, with `/`:
    /// `[<namespace>/]<kind>[.<group>]_<name>.yaml`, such as `shop/deployment.apps_web.yaml`.
    ///
    /// Two objects never have one file, on no file system: what is not a lower-case letter, a digit, `-`, `.` or
    /// `_` is percent-encoded, so letters that differ in case alone are apart; and what is too long for one name
    /// goes on in a directory. No name leads out of the directory that it is put into.
    pub fn file_name(&self) -> String {
        let mut stem = encoded(&self.kind.to_lowercase(), "");
        if !self.group.is_empty() {
            stem.push('.');
            stem.push_str(&encoded(&self.group, ".-"));
        }
        stem.push('_');
        stem.push_str(&encoded(&self.name, ".-_"));
        stem.push_str(".yaml");
        match &self.namespace {
            Some(namespace) => format!("{}/{}", in_pieces(&encoded(namespace, "-")), in_pieces(&stem)),
            None => in_pieces(&stem),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} '{namespace}/{}'", self.kind, self.name),
            None => write!(f, "{} '{}'", self.kind, self.name),
        }
    }
}

/// One object of the manifests.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    source: Source,
    id: ObjectId,
    value: Value,
}

impl Object {
    pub(crate) fn new(source: Source, id: ObjectId, value: Value) -> Object {
        Object { source, id, value }
    }

    /// Where it was written.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What it is known by.
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// The whole object, keys in the order of the source.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The whole object, to be changed. `apiVersion`, `kind`, name and namespace must stay what they are.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: String) {
        self.value["metadata"]["name"] = Value::String(name.clone());
        self.id.name = name;
    }

    /// The name of the file for this object alone: [`ObjectId::file_name`].
    pub fn file_name(&self) -> String {
        self.id.file_name()
    }
}

/// Lower-case letters, digits and `more`; every other byte as `%` and two digits.
fn encoded(text: &str, more: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

/// Cuts a name that is too long; a directory ends in `%`, which no encoded name does.
fn in_pieces(name: &str) -> String {
    let mut rest = name;
    let mut out = String::new();
    while rest.len() > LONGEST_PIECE {
        let (piece, after) = rest.split_at(LONGEST_PIECE);
        out.push_str(piece);
        out.push_str("%/");
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
        ObjectId {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_file_is_named_after_namespace_kind_group_and_name() {
        for (id, file) in [
            (id("", "Service", None, "web"), "service_web.yaml"),
            (id("apps", "Deployment", Some("shop"), "web"), "shop/deployment.apps_web.yaml"),
            (
                id("cert-manager.io", "Certificate", None, "web.example.org"),
                "certificate.cert-manager.io_web.example.org.yaml",
            ),
            (
                id("rbac.authorization.k8s.io", "ClusterRole", None, "system:Node"),
                "clusterrole.rbac.authorization.k8s.io_system%3a%4eode.yaml",
            ),
        ] {
            assert_eq!(id.file_name(), file);
        }
    }

    #[test]
    fn no_two_objects_share_a_file_whatever_they_are_called() {
        let words = [
            "a", "A", "b-c", "a-b", "a.b", "a_b", "a_b.yaml", "..", ".", "x.yaml", "%61", "a%", "ä", "Ä", "_",
        ];
        let mut seen = std::collections::HashMap::new();
        for group in ["", "a", "a-b.c", "a_b"] {
            for kind in ["Kind", "K_a", "K.a", "Kind-a"] {
                for namespace in [None, Some("a"), Some(".."), Some("kind_a.yaml"), Some("A")] {
                    for name in words {
                        let id = id(group, kind, namespace, name);
                        let before = seen.insert(id.file_name().to_lowercase(), id.clone());
                        assert_eq!(before, None, "{id:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_file_name_leads_out_of_its_directory_or_is_too_long() {
        let long = "N".repeat(253);
        for word in ["..", ".", "../../etc/passwd", "/etc", "a/../b", "a\0b", "a\\b", ".git", "a\nb", &long] {
            for namespace in [None, Some(word)] {
                let file = id(word, word, namespace, word).file_name();
                let pieces: Vec<_> = file.split('/').collect();
                assert!(pieces.len() <= 20, "{file}");
                for piece in pieces {
                    assert!(!piece.is_empty() && piece != "." && piece != ".." && piece != ".git", "{file}");
                    assert!(
                        piece.len() <= 255 && piece.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'),
                        "{file}"
                    );
                }
            }
        }
    }

    #[test]
    fn two_versions_of_one_object_are_the_same_object() {
        let mut other = id("apps", "Deployment", Some("shop"), "web");
        other.version = "v1beta1".to_owned();
        assert!(other.is_same(&id("apps", "Deployment", Some("shop"), "web")));
        assert!(!other.is_same(&id("apps", "Deployment", None, "web")));
    }

    #[test]
    fn kinds_of_other_groups_are_other_kinds() {
        type Is = fn(&ObjectId) -> bool;
        let cases: [(&str, &str, Is); 5] = [
            ("", "Namespace", ObjectId::is_namespace),
            ("apiextensions.k8s.io", "CustomResourceDefinition", ObjectId::is_definition),
            ("batch", "Job", ObjectId::is_job),
            ("autoscaling", "HorizontalPodAutoscaler", ObjectId::is_autoscaler),
            ("apps", "StatefulSet", ObjectId::has_revisions),
        ];
        for (group, kind, is) in cases {
            assert!(is(&id(group, kind, None, "a")), "{kind}");
            assert!(!is(&id("example.org", kind, None, "a")), "{kind}");
            assert!(!is(&id(group, "ConfigMap", None, "a")), "{kind}");
        }
    }

    #[test]
    fn only_secrets_of_core_are_secrets() {
        assert!(id("", "Secret", None, "a").is_secret());
        assert!(!id("example.org", "Secret", None, "a").is_secret());
        assert!(!id("", "ConfigMap", None, "a").is_secret());
    }
}
