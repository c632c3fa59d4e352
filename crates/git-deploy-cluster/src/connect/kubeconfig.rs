//! What a kubeconfig says, and where it is.

use std::net::IpAddr;
use std::path::PathBuf;

use kube::config::{Kubeconfig, KubeconfigError};

use super::ConnectError;

/// Whether the context's cluster is reached through a proxy that the kubeconfig names.
pub(super) fn names_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|named| named.name == context);
    let Some(cluster) = context.and_then(|named| named.context.as_ref()).map(|context| &context.cluster)
    else {
        return false;
    };
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *cluster);
    let proxy =
        cluster.and_then(|named| named.cluster.as_ref()).and_then(|cluster| cluster.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn nearest(name: &str, known: &[String]) -> Option<String> {
    let distance = |other: &&String| strsim::damerau_levenshtein(name, other);
    let near = known.iter().min_by_key(distance)?;
    (distance(&near) <= (name.chars().count() / 3).max(1)).then(|| near.clone())
}

/// The files that make the kubeconfig.
pub(super) struct Files(pub(super) Vec<PathBuf>);

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> =
            self.0.iter().map(|path| format!("'{}'", path.to_string_lossy().escape_debug())).collect();
        f.write_str(&names.join(", "))
    }
}

impl Files {
    /// `$KUBECONFIG`, a list of which what is missing is passed over, else `~/.kube/config`.
    pub(super) fn of_environment() -> Result<Self, ConnectError> {
        let listed: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
            .map(|list| std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect())
            .unwrap_or_default();
        let (candidates, origin) = if listed.is_empty() {
            let home = std::env::home_dir().unwrap_or_default();
            (vec![home.join(".kube").join("config")], "KUBECONFIG is not set, and nothing is at")
        } else {
            (listed, "nothing is where KUBECONFIG says,")
        };
        let there: Vec<PathBuf> = candidates.iter().filter(|path| path.exists()).cloned().collect();
        if there.is_empty() {
            let looked = format!("{origin} {}", Self(candidates));
            return Err(ConnectError::NoKubeconfig { looked });
        }
        Ok(Self(there))
    }

    pub(super) fn read(&self) -> Result<Kubeconfig, ConnectError> {
        self.0.iter().try_fold(Kubeconfig::default(), |merged, path| {
            let unreadable = |error: KubeconfigError| ConnectError::Unreadable {
                files: Self(vec![path.clone()]).to_string(),
                why: one_line(&error.to_string()),
            };
            Kubeconfig::read_from(path).and_then(|next| merged.merge(next)).map_err(unreadable)
        })
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
