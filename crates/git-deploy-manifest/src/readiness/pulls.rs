//! Whose fault it is that an image cannot be pulled: a function of what was written, and of what else cannot be pulled.
//!
//! An image that was needed before is nobody's fault. One that a release brings is the release's, unless something shows that
//! others could not be pulled just now, either; in doubt it is nobody's.

use std::collections::BTreeSet;

use git_deploy_image::Reference;
use serde_json::Value;

use super::Origin;
use super::value::{is_being_deleted, items, text};

/// What a release brings of images, as they are written, and what else it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewImages {
    images: BTreeSet<String>,
    /// The registries of its other images: those that were needed before, and those that the project makes itself.
    registries: BTreeSet<String>,
}

/// An image that a container waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pull<'a> {
    image: &'a str,
    /// What the kubelet says of it, in lower case.
    message: String,
}

impl NewImages {
    /// Those of the release's `images` that `is_new` says it of.
    pub fn among(images: impl IntoIterator<Item = String>, is_new: impl Fn(&str) -> bool) -> NewImages {
        let (images, others): (BTreeSet<_>, BTreeSet<_>) =
            images.into_iter().partition(|image| is_new(image));
        NewImages { images, registries: others.iter().filter_map(|image| registry(image)).collect() }
    }

    /// Whose fault it is that an image cannot be pulled; `is_hindered` where [something else](is_hindered) shows that it is
    /// nobody's.
    pub(super) fn origin(&self, image: &str, message: &str, is_hindered: bool) -> Origin {
        let is_shared = || registry(image).is_some_and(|registry| self.registries.contains(&registry));
        let is_of_release = self.images.contains(image)
            && !is_hindered
            && !is_of_node(&without(message, image))
            && (is_refused(message) || !is_shared());
        if is_of_release { Origin::NewImage } else { Origin::Cluster }
    }
}

/// Whether, of the pods of a release, one waits for an image for reasons that are nobody's fault: then so do all the others.
pub fn is_hindered<'a>(pods: impl IntoIterator<Item = &'a Value>, new: &NewImages) -> bool {
    let mut pulls = pods.into_iter().filter(|pod| !is_being_deleted(pod)).flat_map(pulls);
    pulls.any(|pull| {
        !is_no_such_image(&pull.message) && new.origin(pull.image, &pull.message, false) == Origin::Cluster
    })
}

/// What the containers of a pod wait for.
fn pulls(pod: &Value) -> Vec<Pull<'_>> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = lists.iter().flat_map(|list| items(pod, list));
    let failing = statuses.filter(|status| is_pull(text(status, "/state/waiting/reason")));
    let pull = |status| Pull {
        image: image(status, pod),
        message: text(status, "/state/waiting/message").to_lowercase(),
    };
    failing.map(pull).collect()
}

/// Whether it is for its image that a container waits, by the kubelet's reason.
pub(super) fn is_pull(reason: &str) -> bool {
    matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable")
}

/// The image of a container, as it is written.
pub(super) fn image<'a>(status: &Value, pod: &'a Value) -> &'a str {
    let specs = ["/spec/initContainers", "/spec/containers"].iter().flat_map(|list| items(pod, list));
    let mut own = specs.filter(|spec| text(spec, "/name") == text(status, "/name"));
    own.next().map(|spec| text(spec, "/image")).unwrap_or_default()
}

/// Whether a registry said that there is no such image, rather than nothing, or that we may not know.
pub(super) fn is_no_such_image(message: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    says(&["not found", "manifest unknown", "name unknown", "does not exist", "manifest_unknown"])
        && !says(&["dial tcp", "lookup ", "no such host", "authoriz", "may require", "denied", "certificate"])
}

/// Whether a registry said that we may not have this image, which says nothing of others.
fn is_refused(message: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    says(&["authoriz", "authentication", "denied", "forbidden", "insufficient_scope", "may require"])
        && !says(&["dial tcp", "lookup ", "timeout", "deadline exceeded"])
}

/// Whether an image is not there because the node has trouble of its own, or its registry has too much to do: so it would
/// be with any image.
fn is_of_node(message: &str) -> bool {
    let words = [
        "no space left",
        "disk quota exceeded",
        "read-only file system",
        "input/output error",
        "network is unreachable",
        "pull qps exceeded",
        "toomanyrequests",
        "too many requests",
    ];
    // A name that there is not is an answer; anything else means that there was none.
    let has_no_names = message.contains("lookup ") && !message.contains("no such host");
    let is_status = |word: &str| {
        let word = word.trim_matches([':', ',', '.', ';', '(', ')']);
        word.len() == 3 && word.parse::<u16>().is_ok_and(|status| status == 429 || status / 100 == 5)
    };
    let is_busy = || message.contains("status") && message.split_whitespace().any(is_status);
    words.iter().any(|word| message.contains(word)) || has_no_names || is_busy()
}

/// A message that does not say what an image is called: a name may be made of any words.
fn without(message: &str, image: &str) -> String {
    if image.is_empty() { message.to_owned() } else { message.replace(&image.to_lowercase(), "") }
}

/// Where a node pulls an image from.
fn registry(image: &str) -> Option<String> {
    let reference = image.parse::<Reference>().ok()?;
    Some(match reference.registry() {
        None | Some("index.docker.io" | "registry-1.docker.io") => "docker.io".to_owned(),
        Some(registry) => registry.to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REFUSED: &str =
        "failed to do request: head \"https://x\": dial tcp 10.0.0.1:443: connect: connection refused";
    const UNKNOWN: &str = "dial tcp: lookup cache.example.org on 10.96.0.10:53: no such host";

    /// A release that brings two images of a registry that nothing else of it uses, and one of the project's own.
    fn new() -> NewImages {
        let images = [
            "cache.example.org/redis:7",
            "cache.example.org/toomanyrequests:1",
            "ours.example.org/redis:7",
            "ours.example.org/shop-web:a4945f8",
            "redis:7",
            "docker.io/library/nginx:1",
        ];
        let before = ["ours.example.org/shop-web:a4945f8", "docker.io/library/nginx:1"];
        NewImages::among(images.map(str::to_owned), |image| !before.contains(&image))
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_the_releases_fault_only_where_it_is_nobody_elses_trouble() {
        let (cache, ours) = ("cache.example.org/redis:7", "ours.example.org/redis:7");
        let busy = "cache.example.org/toomanyrequests:1";
        let denied = "unexpected status: 403 forbidden: pull access denied";
        let no_token = "failed to authorize: failed to fetch token: dial tcp 10.0.0.1:443: i/o timeout";
        let names_away = "dial tcp: lookup cache.example.org on 10.96.0.10:53: read udp: i/o timeout";
        let full = "failed to extract layer: write /var/lib/containerd/x: no space left on device";
        let status =
            "unexpected status from head request to https://x/v2/redis/manifests/7: 503 service unavailable";
        for (image, message, is_of_release) in [
            // A registry that nothing else of the release needs.
            (cache, REFUSED, true),
            (cache, UNKNOWN, true),
            (cache, denied, true),
            (cache, "dial tcp 192.0.2.1:443: i/o timeout", true),
            (cache, "", true),
            (busy, "failed to pull image \"cache.example.org/toomanyrequests:1\": connection refused", true),
            (cache, "unexpected status from head request to https://x/manifests/503: 403 forbidden", true),
            // One that other images come from.
            (ours, REFUSED, false),
            (ours, UNKNOWN, false),
            (ours, no_token, false),
            (ours, "", false),
            (ours, denied, true),
            ("redis:7", REFUSED, false),
            ("redis:7", "pull access denied, repository does not exist or may require authorization", true),
            // What would be so with any image.
            (cache, full, false),
            (cache, "toomanyrequests: you have reached your pull rate limit", false),
            (cache, "unexpected status code 429 too many requests", false),
            (cache, status, false),
            (cache, "invalid status code from registry 502 (bad gateway)", false),
            (cache, names_away, false),
            (cache, "dial tcp 192.0.2.1:443: connect: network is unreachable", false),
            (cache, "pull qps exceeded", false),
            // What was there before, and the project's own.
            ("docker.io/library/nginx:1", denied, false),
            ("ours.example.org/shop-web:a4945f8", REFUSED, false),
            ("unheard.example.org/of:1", REFUSED, false),
            ("", "", false),
        ] {
            let expected = if is_of_release { Origin::NewImage } else { Origin::Cluster };
            assert_eq!(new().origin(image, message, false), expected, "{image}: {message}");
            assert_eq!(new().origin(image, message, true), Origin::Cluster, "{image}: {message}");
        }
    }

    /// A pod whose first container waits for a new image of a registry of its own, and whose second for this.
    fn pod(image: &str, reason: &str, message: &str) -> Value {
        json!({
            "spec": { "containers": [
                { "name": "a", "image": "cache.example.org/redis:7" }, { "name": "b", "image": image } ] },
            "status": { "containerStatuses": [
                { "name": "a", "state": { "waiting": { "reason": "ErrImagePull", "message": REFUSED } } },
                { "name": "b", "state": { "waiting": { "reason": reason, "message": message } } } ] },
        })
    }

    #[test]
    fn what_is_nobodys_fault_with_one_image_is_so_with_all_that_cannot_be_pulled() {
        let (own, cache) = ("ours.example.org/shop-web:a4945f8", "cache.example.org/redis:7");
        for (image, reason, message, expected) in [
            (own, "ErrImagePull", "Connection refused", true),
            (own, "ImagePullBackOff", "", true),
            (own, "RegistryUnavailable", "", true),
            ("docker.io/library/nginx:1", "ErrImagePull", "unauthorized", true),
            ("ours.example.org/redis:7", "ErrImagePull", "Connection refused", true),
            (cache, "ErrImagePull", "No space left on device", true),
            // It has not been tried, it is well, or it is the release's own fault.
            (own, "ContainerCreating", "", false),
            (own, "CreateContainerConfigError", "secret \"x\" not found", false),
            (own, "ErrImagePull", "ours.example.org/shop-web:a4945f8: not found", false),
            (cache, "ErrImagePull", "Connection refused", false),
        ] {
            let mut pod = pod(image, reason, message);
            assert_eq!(is_hindered([&pod], &new()), expected, "{image}: {reason}: {message}");
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-21T12:00:00Z");
            assert!(!is_hindered([&pod], &new()), "one that is going");
        }
    }
}
