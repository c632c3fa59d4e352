//! Which registries may be spoken to without a certificate that is known, or over plain HTTP.
//!
//! No key of ours says so: it is said where the builders read it too. A `[[registry]]` of `registries.conf` says it
//! ([containers-registries.conf(5)][1]), of several that fit the one with the longest prefix; else it is so if the registry
//! stands among the `insecure-registries` of Docker's [daemon.json][2], or is on a loopback address, as with Docker.
//!
//! Other keys of such a `[[registry]]`, `location` and mirrors, are about where images are pulled from. Builders push to the
//! address in an image's name whatever they say, and so it is that one which is asked.
//!
//! [1]: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
//! [2]: https://docs.docker.com/reference/cli/dockerd/#insecure-registries

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The registries for which somebody on this machine has said that they are insecure.
#[derive(Debug, Clone, Default)]
pub struct Insecure {
    loopback: bool,
    /// What `registries.conf` says: those that come later count more.
    rules: Vec<Rule>,
    /// Hosts with their port that are insecure for Docker.
    of_docker: Vec<String>,
}

/// What is said of the images whose names begin with something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// A host, perhaps with its port and the beginning of a path; `*.` in front stands for any host below.
    prefix: String,
    /// Nothing where nothing is said.
    is_insecure: Option<bool>,
}

impl Insecure {
    /// Only loopback addresses.
    #[must_use]
    pub fn loopback() -> Insecure {
        Insecure { loopback: true, ..Insecure::default() }
    }

    /// None at all.
    #[must_use]
    pub fn none() -> Insecure {
        Insecure::default()
    }

    /// Only the registries of these hosts, such as `registry.example.org:5000`.
    #[must_use]
    pub fn only<T: Into<String>>(hosts: impl IntoIterator<Item = T>) -> Insecure {
        let rule = |host: T| Rule { prefix: host.into(), is_insecure: Some(true) };
        Insecure { rules: hosts.into_iter().map(rule).collect(), ..Insecure::default() }
    }

    /// What the configuration of the builders on this machine says. A file that is not there or cannot be read says
    /// nothing: then the certificate is checked.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Insecure {
        Insecure::read_below(Path::new("/etc"), &variable)
    }

    fn read_below(etc: &Path, variable: &impl Fn(&str) -> Option<OsString>) -> Insecure {
        let read = |file: PathBuf| fs::read_to_string(file).unwrap_or_default();
        let files = registries_files(&etc.join("containers"), variable);
        let rules = files.into_iter().flat_map(|file| in_registries_conf(&read(file))).collect();
        Insecure { loopback: true, rules, of_docker: in_daemon_json(&read(etc.join("docker/daemon.json"))) }
    }

    /// Whether it is said of the registry `host`, such as `registry.example.org:5000`, or of what is at `path` there.
    #[must_use]
    pub fn contains(&self, host: &str, path: &str) -> bool {
        let name = if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") };
        let fitting = self.rules.iter().filter(|rule| rule.fits(&name));
        // The last of those that are equally long.
        let said = fitting.max_by_key(|rule| rule.prefix.len()).and_then(|rule| rule.is_insecure);
        let is_of_docker = || self.of_docker.iter().any(|known| known == host);
        said.unwrap_or_else(|| (self.loopback && is_loopback(host)) || is_of_docker())
    }
}

impl Rule {
    /// As the builders see it: with them a host also stands for all of its ports.
    fn fits(&self, name: &str) -> bool {
        let rest = match self.prefix.strip_prefix('*') {
            Some(parent) => {
                let host = name.split('/').next().unwrap_or(name);
                host.find(parent).map(|at| &name[at + parent.len()..])
            }
            None => name.strip_prefix(&self.prefix),
        };
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '@']))
    }
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

/// The files `registries.conf`, in the order in which they are read. A user's own comes in place of the machine's with all
/// that stands beside that; a file that a variable names comes in place of either, but not of what stands beside them.
fn registries_files(machine: &Path, variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let named = |name| variable(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let user = named("HOME").map(|home| home.join(".config/containers"));
    let file_of = |folder: &Path| folder.join("registries.conf");
    let own = user.as_deref().map(file_of).filter(|file| file.exists());
    let (file, has_machines) = match (named("CONTAINERS_REGISTRIES_CONF"), own) {
        (Some(file), _) => (file, true),
        (None, Some(own)) => (own, false),
        (None, None) => (file_of(machine), true),
    };
    let folders = has_machines.then_some(machine).into_iter().chain(user.as_deref());
    std::iter::once(file).chain(folders.flat_map(beside)).collect()
}

/// What stands beside `registries.conf` in a folder, in the order of the names.
fn beside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("registries.conf.d")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    files
}

fn in_registries_conf(text: &str) -> Vec<Rule> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let registries = table.get("registry").and_then(toml::Value::as_array).into_iter().flatten();
    let rule = |registry: &toml::Value| {
        let of = |key| registry.get(key).and_then(toml::Value::as_str).filter(|name| !name.is_empty());
        let prefix = of("prefix").or_else(|| of("location"))?.trim_end_matches('/').to_owned();
        Some(Rule { prefix, is_insecure: registry.get("insecure").and_then(toml::Value::as_bool) })
    };
    // The first version of the format had them in a list.
    let old = table.get("registries").and_then(|all| all.get("insecure")).and_then(|of| of.get("registries"));
    let old = old.and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
    let of_old = old.map(|host| Rule { prefix: host.to_owned(), is_insecure: Some(true) });
    registries.filter_map(rule).chain(of_old).collect()
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
        let rules = in_registries_conf(
            "unqualified-search-registries = ['docker.io']\n\
             [[registry]]\nlocation = 'r.example:5000'\ninsecure = true\n\
             [[registry]]\nprefix = '*.lab.example'\ninsecure = true\n\
             [[registry]]\nlocation = 'shared.example/team/'\ninsecure = true\n\
             [[registry]]\nlocation = 'any-port.example'\ninsecure = true\n\
             [[registry]]\nlocation = 'safe.example'\n",
        );
        let insecure = Insecure { loopback: true, rules, of_docker: vec!["docker.example:5000".to_owned()] };
        for (host, path, expected) in [
            ("r.example:5000", "shop/web", true),
            ("r.example:5000", "", true),
            ("r.example:50001", "shop/web", false),
            ("r.example", "shop/web", false),
            ("a.lab.example:5000", "shop/web", true),
            ("lab.example", "shop/web", false),
            ("a.lab.examples", "shop/web", false),
            ("evil.example", "a.lab.example/web", false),
            ("shared.example", "team/web", true),
            ("shared.example", "teams/web", false),
            ("any-port.example:81", "web", true),
            ("any-port.example.org", "web", false),
            ("safe.example", "web", false),
            ("docker.example:5000", "web", true),
            ("docker.example", "web", false),
        ] {
            assert_eq!(insecure.contains(host, path), expected, "{host}/{path}");
        }
        assert!(in_registries_conf("[[registry").is_empty());
        let old = in_registries_conf("[registries.insecure]\nregistries = ['old.example']\n");
        assert_eq!(old, [Rule { prefix: "old.example".to_owned(), is_insecure: Some(true) }]);
        assert_eq!(in_daemon_json(r#"{"insecure-registries": ["a:5000", "b"], "x": []}"#), ["a:5000", "b"]);
        assert!(in_daemon_json("{}").is_empty());
    }

    #[test]
    fn the_longest_prefix_counts_and_of_equal_ones_the_last() {
        let rules = in_registries_conf(
            "[[registry]]\nlocation = 'r.example/team/safe'\ninsecure = false\n\
             [[registry]]\nlocation = 'r.example/team'\ninsecure = true\n\
             [[registry]]\nlocation = 'r.example'\n\
             [[registry]]\nlocation = 'localhost:5000'\ninsecure = false\n\
             [[registry]]\nlocation = 'localhost:5001'\n",
        );
        let mut insecure = Insecure { rules, ..Insecure::loopback() };
        assert!(insecure.contains("r.example", "team/web"));
        assert!(!insecure.contains("r.example", "team/safe/web") && !insecure.contains("r.example", "web"));
        // Of this machine something else may be said; where nothing is said, it is as ever.
        assert!(!insecure.contains("localhost:5000", "web") && insecure.contains("localhost:5001", "web"));
        insecure.rules.extend(Insecure::only(["localhost:5000"]).rules);
        assert!(insecure.contains("localhost:5000", "web"));
    }

    #[test]
    fn a_users_own_file_comes_in_place_of_the_machines() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, host: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("[[registry]]\nlocation = '{host}'\ninsecure = true\n")).unwrap();
        };
        let hosts = |named: Option<&str>| {
            let home = root.path().join("home");
            let variable = |name: &str| match name {
                "HOME" => Some(home.clone().into_os_string()),
                "CONTAINERS_REGISTRIES_CONF" => named.map(|name| root.path().join(name).into_os_string()),
                _ => None,
            };
            let rules = Insecure::read_below(&root.path().join("etc"), &variable).rules;
            rules.into_iter().map(|rule| rule.prefix).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(hosts(None), "");
        write("etc/containers/registries.conf", "machine");
        write("etc/containers/registries.conf.d/2.conf", "beside-machine-2");
        write("etc/containers/registries.conf.d/1.conf", "beside-machine-1");
        write("etc/containers/registries.conf.d/1.txt", "nobody");
        write("home/.config/containers/registries.conf.d/0.conf", "beside-user");
        write("named.conf", "named");
        let beside = "beside-machine-1 beside-machine-2 beside-user";
        assert_eq!(hosts(None), format!("machine {beside}"));
        write("home/.config/containers/registries.conf", "user");
        assert_eq!(hosts(None), "user beside-user");
        assert_eq!(hosts(Some("named.conf")), format!("named {beside}"));
    }
}
