//! Which registries may be spoken to without a certificate that is known, or over plain HTTP.
//!
//! No key of ours says so: it is said where the builders read it too. A loopback address may, as with Docker; others
//! may if a `[[registry]]` of `registries.conf` ([containers-registries.conf(5)][1]) says `insecure = true`, or if they
//! stand among the `insecure-registries` of Docker's [daemon.json][2].
//!
//! [1]: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
//! [2]: https://docs.docker.com/reference/cli/dockerd/#insecure-registries

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The registries for which somebody on this machine has said that they are insecure.
#[derive(Debug, Clone)]
pub struct Insecure {
    loopback: bool,
    /// Hosts with their port, perhaps with the beginning of a path; `*.` in front stands for any host below.
    prefixes: Vec<String>,
}

impl Insecure {
    /// Only loopback addresses.
    #[must_use]
    pub fn loopback() -> Insecure {
        Insecure { loopback: true, prefixes: Vec::new() }
    }

    /// None at all.
    #[must_use]
    pub fn none() -> Insecure {
        Insecure { loopback: false, prefixes: Vec::new() }
    }

    /// What the configuration of the builders on this machine says. A file that is not there or cannot be read says
    /// nothing: then the certificate is checked.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Insecure {
        let mut prefixes = Vec::new();
        for file in registries_files(&variable) {
            prefixes.extend(fs::read_to_string(file).ok().iter().flat_map(|text| in_registries_conf(text)));
        }
        prefixes.extend(
            fs::read_to_string("/etc/docker/daemon.json").iter().flat_map(|text| in_daemon_json(text)),
        );
        Insecure { loopback: true, prefixes }
    }

    /// Whether it is said of the registry `host`, such as `registry.example.org:5000`, or of what is at `path` there.
    #[must_use]
    pub fn contains(&self, host: &str, path: &str) -> bool {
        (self.loopback && is_loopback(host)) || self.prefixes.iter().any(|prefix| covers(prefix, host, path))
    }
}

fn covers(prefix: &str, host: &str, path: &str) -> bool {
    if let Some(parent) = prefix.strip_prefix('*') {
        return host.split(':').next().is_some_and(|name| name.ends_with(parent));
    }
    let whole = format!("{host}/{path}");
    whole
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// Whether a host, perhaps with a port, is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where `registries.conf` is: as containers-registries.conf(5) says it.
fn registries_files(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    if let Some(file) = variable("CONTAINERS_REGISTRIES_CONF").filter(|file| !file.is_empty()) {
        return vec![file.into()];
    }
    let mut directories = vec![PathBuf::from("/etc/containers")];
    if let Some(home) = variable("HOME").filter(|home| !home.is_empty()) {
        directories.push(Path::new(&home).join(".config/containers"));
    }
    let mut files = Vec::new();
    for directory in directories {
        files.push(directory.join("registries.conf"));
        let entries = fs::read_dir(directory.join("registries.conf.d")).into_iter().flatten().flatten();
        files.extend(
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "conf")),
        );
    }
    files
}

fn in_registries_conf(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let Some(registries) = table.get("registry").and_then(toml::Value::as_array) else { return Vec::new() };
    let is_insecure =
        |registry: &&toml::Value| registry.get("insecure").and_then(toml::Value::as_bool) == Some(true);
    let name = |registry: &toml::Value| {
        let of = |key| registry.get(key).and_then(toml::Value::as_str).filter(|name| !name.is_empty());
        of("prefix").or_else(|| of("location")).map(str::to_owned)
    };
    registries.iter().filter(is_insecure).filter_map(name).collect()
}

/// JSON of one known shape is read with no more than it takes: the array of texts behind one key.
fn in_daemon_json(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("\"insecure-registries\"") else { return Vec::new() };
    let Some((_, rest)) = rest.split_once('[') else { return Vec::new() };
    let Some((inside, _)) = rest.split_once(']') else { return Vec::new() };
    inside
        .split(',')
        .map(|word| word.trim().trim_matches('"').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_insecure_without_a_word() {
        let insecure = Insecure::loopback();
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000", "[::1]"] {
            assert!(insecure.contains(host, "a"), "{host}");
        }
        for host in ["registry.example.org", "localhost.example.org:5000", "10.0.0.1:5000", "[fe80::1]:5000"]
        {
            assert!(!insecure.contains(host, "a"), "{host}");
        }
    }

    #[test]
    fn other_registries_are_insecure_where_the_builders_are_told_so() {
        let prefixes = in_registries_conf(
            "unqualified-search-registries = ['docker.io']\n\
             [[registry]]\nlocation = 'r.example:5000'\ninsecure = true\n\
             [[registry]]\nprefix = '*.lab.example'\ninsecure = true\n\
             [[registry]]\nlocation = 'shared.example/team'\ninsecure = true\n\
             [[registry]]\nlocation = 'safe.example'\n",
        );
        let insecure = Insecure { loopback: true, prefixes };
        assert!(insecure.contains("r.example:5000", "shop/web"));
        assert!(insecure.contains("a.lab.example:5000", "shop/web"));
        assert!(insecure.contains("shared.example", "team/web"));
        assert!(!insecure.contains("shared.example", "teams/web"));
        assert!(!insecure.contains("safe.example", "web"));
        assert!(!insecure.contains("r.example", "web"));
        assert!(in_registries_conf("[[registry").is_empty());
        assert_eq!(in_daemon_json(r#"{"insecure-registries": ["a:5000", "b"], "x": []}"#), ["a:5000", "b"]);
        assert!(in_daemon_json("{}").is_empty());
    }
}
