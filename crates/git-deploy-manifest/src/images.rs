//! The images that an object's containers run, and setting those that we built.

use git_deploy_image::{Digest, ImageName, Reference};
use serde_json::Value;

use crate::object::{Object, ObjectId};

/// An image that an object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's name, or the volume's; empty where it has none.
    pub container: String,
    /// The image as it is written.
    pub image: String,
    /// Where it stands in the object: a [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901).
    pub pointer: String,
}

/// An image that was built, to be set wherever its repository is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUpdate {
    /// The image's name, with the commit's tag.
    pub name: ImageName,
    /// The digest, where it is known.
    pub digest: Option<Digest>,
}

/// All images of an object: init containers first, volumes last.
///
/// These are the `image` of each container, init container and ephemeral container, and the `reference` of each
/// [image volume][1], in the [pod template][2] of each kind of workload that comes with Kubernetes; in an object of
/// any other kind, of each mapping that looks like a pod's (with containers that have a name and an image).
///
/// [1]: https://kubernetes.io/docs/concepts/storage/volumes/#image
/// [2]: https://kubernetes.io/docs/concepts/workloads/pods/#pod-templates
pub fn images(object: &Object) -> Vec<ImageUse> {
    let mut found = Vec::new();
    match pod_spec(object.id()) {
        PodSpec::At(pointer) => {
            if let Some(spec) = object.value().pointer(pointer) {
                images_of_pod(spec, pointer, &mut found);
            }
        }
        PodSpec::Anywhere => search(object.value(), "", &mut found),
        PodSpec::Nowhere => {}
    }
    found
}

/// The images of an object whose repository is that of an update, each with that.
///
/// An image is named with the registry's address of the update, or without any (`docker.io/` counts as none). A repository
/// of another registry is another repository.
pub fn own_images<'u>(object: &Object, updates: &'u [ImageUpdate]) -> Vec<(ImageUse, &'u ImageUpdate)> {
    let own = |used: ImageUse| {
        let reference = used.image.parse::<Reference>().ok()?;
        let update = updates.iter().find(|update| names(&reference, update))?;
        Some((used, update))
    };
    images(object).into_iter().filter_map(own).collect()
}

/// Gives each image whose repository is that of an update the update's tag and digest, whatever it had before,
/// and says how many images the object has of which this is so.
///
/// Those are its [`own_images`]. They are written with the registry's address then, since it is there that the image was
/// pushed to. All else in the object stays as it is.
pub fn set_images(object: &mut Object, updates: &[ImageUpdate]) -> usize {
    let mut set = 0;
    for (used, update) in own_images(object, updates) {
        if let Some(place) = object.value_mut().pointer_mut(&used.pointer) {
            *place = Value::String(update.to_string());
            set += 1;
        }
    }
    set
}

/// [When an image of an object is pulled][1], if that is written.
///
/// [1]: https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy
pub fn pull_policy<'o>(object: &'o Object, used: &ImageUse) -> Option<&'o str> {
    let policy = match used.pointer.strip_suffix("/image/reference") {
        Some(volume) => format!("{volume}/image/pullPolicy"),
        None => format!("{}/imagePullPolicy", used.pointer.trim_end_matches("/image")),
    };
    object.value().pointer(&policy).and_then(Value::as_str)
}

/// The containers, or volumes, that run one of those images and want it always pulled.
pub fn always_pulled(object: &Object, updates: &[ImageUpdate]) -> Vec<String> {
    let is_always_pulled = |used: &ImageUse| pull_policy(object, used) == Some("Always");
    let own = own_images(object, updates).into_iter().map(|(used, _)| used);
    own.filter(is_always_pulled).map(|used| used.container).collect()
}

impl std::fmt::Display for ImageUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

fn names(reference: &Reference, update: &ImageUpdate) -> bool {
    let repository = update.name.repository();
    let is_bare = matches!(reference.registry(), None | Some("docker.io" | "index.docker.io"));
    (is_bare && reference.path() == repository.path()) || reference.repository() == repository.to_string()
}

/// Where a kind has its pod's specification.
enum PodSpec {
    At(&'static str),
    Anywhere,
    Nowhere,
}

fn pod_spec(id: &ObjectId) -> PodSpec {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Pod") => PodSpec::At("/spec"),
        ("", "PodTemplate") => PodSpec::At("/template/spec"),
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")
        | ("batch", "Job") => PodSpec::At("/spec/template/spec"),
        ("batch", "CronJob") => PodSpec::At("/spec/jobTemplate/spec/template/spec"),
        ("" | "apiextensions.k8s.io", _) => PodSpec::Nowhere,
        _ => PodSpec::Anywhere,
    }
}

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

fn search(value: &Value, pointer: &str, found: &mut Vec<ImageUse>) {
    match value {
        Value::Object(mapping) if looks_like_pod(value) => {
            images_of_pod(value, pointer, found);
            let is_done = |key: &str| key == "volumes" || CONTAINERS.contains(&key);
            for (key, inner) in mapping.iter().filter(|(key, _)| !is_done(key)) {
                search(inner, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        Value::Object(mapping) => {
            for (key, inner) in mapping {
                search(inner, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                search(inner, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn looks_like_pod(value: &Value) -> bool {
    let is_container = |item: &Value| item["name"].is_string() && item["image"].is_string();
    match value.get("containers") {
        Some(Value::Array(items)) => items.iter().any(is_container),
        _ => false,
    }
}

fn images_of_pod(spec: &Value, pointer: &str, found: &mut Vec<ImageUse>) {
    let lists = CONTAINERS.map(|list| (list, "/image")).into_iter().chain([("volumes", "/image/reference")]);
    for (list, field) in lists {
        let Some(Value::Array(items)) = spec.get(list) else { continue };
        for (index, item) in items.iter().enumerate() {
            let Some(Value::String(image)) = item.pointer(field) else { continue };
            let container = item.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let pointer = format!("{pointer}/{list}/{index}{field}");
            found.push(ImageUse { container, image: image.clone(), pointer });
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
