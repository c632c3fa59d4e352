//! The credentials that the builders use, found where they look for them.
//!
//! In this order, as [containers-auth.json(5)][1] has it: `REGISTRY_AUTH_FILE`, `containers/auth.json` of
//! `XDG_RUNTIME_DIR`, then of the user's configuration, then Docker's `config.json`. The first file that has something
//! for the registry counts. A helper ([docker-credential-helpers][2]) is asked where a file names one.
//!
//! [1]: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
//! [2]: https://github.com/docker/docker-credential-helpers

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::run::Program;

/// A helper may have to ask a service of its own.
const HELPER_LIMIT: Duration = Duration::from_secs(20);
/// More than any token.
const LONGEST_ANSWER: usize = 1 << 20;
/// What Docker calls its own registry in its files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Credentials that are there, and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file that cannot be read.
    #[error("cannot read the credentials in '{file}': {why}", file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A helper that does not help.
    #[error("cannot get credentials from '{helper}': {why}")]
    Helper {
        /// The program.
        helper: String,
        /// Why.
        why: String,
    },
}

/// Who somebody is to a registry.
#[derive(Clone)]
pub(super) struct Credentials {
    user: String,
    secret: String,
    is_identity_token: bool,
}

/// Nothing of it may get into a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    fn new(user: &str, secret: &str) -> Credentials {
        // How helpers say it.
        let is_identity_token = user == "<token>";
        Credentials { user: user.to_owned(), secret: secret.to_owned(), is_identity_token }
    }

    /// User and password, as they stand behind `Authorization:`.
    pub(super) fn basic(&self) -> Option<String> {
        let encoded = || STANDARD.encode(format!("{}:{}", self.user, self.secret));
        if self.is_identity_token { None } else { Some(format!("Basic {}", encoded())) }
    }

    /// A token that other tokens are given for.
    pub(super) fn identity_token(&self) -> Option<&str> {
        if self.is_identity_token { Some(&self.secret) } else { None }
    }
}

/// The files that may have credentials.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    files: Vec<PathBuf>,
}

impl Store {
    pub(super) fn new(variable: impl Fn(&str) -> Option<OsString>) -> Store {
        let directory = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = directory("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let configuration = directory("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let docker = directory("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        let containers = |directory: PathBuf| directory.join("containers/auth.json");
        let files = [
            directory("REGISTRY_AUTH_FILE"),
            directory("XDG_RUNTIME_DIR").map(containers),
            configuration.map(containers),
            docker.map(|directory| directory.join("config.json")),
        ];
        Store { files: files.into_iter().flatten().collect() }
    }

    /// What there is for the repository `path` of the registry `host`.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Option<Credentials>, CredentialsError> {
        for file in &self.files {
            let unreadable = |why: String| CredentialsError::File { file: file.clone(), why };
            let text = match fs::read(file) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(error.to_string())),
            };
            let config: Value =
                serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
            let found = in_config(&config, host, path);
            if let Some(found) = found.map_err(|why| unreadable(why.to_owned()))? {
                return Ok(Some(found));
            }
            if let Some(helper) = helper_for(&config, host)
                && let Some(found) = ask_helper(&format!("docker-credential-{helper}"), host)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The keys under which credentials may stand, the most specific first.
fn keys(host: &str, path: &str) -> Vec<String> {
    let whole = format!("{host}/{path}");
    let mut keys: Vec<String> = whole.match_indices('/').map(|(at, _)| whole[..at].to_owned()).collect();
    keys.push(whole);
    keys.reverse();
    if host == "docker.io" {
        keys.push(DOCKER_HUB.to_owned());
    }
    // Very old ones.
    keys.extend([format!("https://{host}"), format!("https://{host}/v1/"), format!("https://{host}/v2/")]);
    keys
}

fn in_config(config: &Value, host: &str, path: &str) -> Result<Option<Credentials>, &'static str> {
    for key in keys(host, path) {
        let entry = &config["auths"][&key];
        if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
            return Ok(Some(Credentials::new("<token>", token)));
        }
        let Some(encoded) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) else { continue };
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = decoded.ok_or("'auth' is no text in base64")?;
        let (user, secret) = text.split_once(':').ok_or("'auth' is no user and password")?;
        return Ok(Some(Credentials::new(user, secret.trim_end_matches('\0'))));
    }
    Ok(None)
}

fn helper_for<'a>(config: &'a Value, host: &str) -> Option<&'a str> {
    let of_host = config["credHelpers"][host].as_str();
    // It becomes part of a program's name.
    of_host.or_else(|| config["credsStore"].as_str()).filter(|name| !name.is_empty() && !name.contains('/'))
}

/// What helpers say who have nothing: they share the sentence, and say it where they would say the rest.
const HAS_NONE: &str = "credentials not found";

fn ask_helper(helper: &str, host: &str) -> Result<Option<Credentials>, CredentialsError> {
    let failed = |why: String| CredentialsError::Helper { helper: helper.to_owned(), why };
    let server = if host == "docker.io" { DOCKER_HUB } else { host };
    // Byte by byte: a token may be longer than a line that is shown, and have in it what is not.
    let program = Program::new(helper).args(["get"]).input(server).time_limit(HELPER_LIMIT);
    let ended = program.capture(LONGEST_ANSWER).run(&|| false, &mut |_| {});
    let given = match ended {
        Err(error) if error.tail().iter().any(|line| line.contains(HAS_NONE)) => return Ok(None),
        Err(error) => return Err(failed(error.tail().last().cloned().unwrap_or_else(|| error.to_string()))),
        Ok(finished) => finished.stdout.unwrap_or_default(),
    };
    let given: Value =
        serde_json::from_slice(&given).map_err(|_| failed("it does not answer in JSON".to_owned()))?;
    match (given["Username"].as_str(), given["Secret"].as_str()) {
        (Some(user), Some(secret)) => Ok(Some(Credentials::new(user, secret))),
        _ => Err(failed("its answer has no user and secret".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(config: &str) -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs::write(&file, config).unwrap();
        (directory, Store { files: vec![file] })
    }

    fn basic(config: &str, host: &str, path: &str) -> Option<String> {
        let (_directory, store) = store(config);
        let header = store.find(host, path).unwrap()?.basic()?;
        Some(String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).unwrap()).unwrap())
    }

    #[test]
    fn the_most_specific_credentials_of_a_file_count() {
        // ada:a, bob:b, eve:e
        let config = r#"{"auths": {
            "r.example:5000": {"auth": "YWRhOmE="},
            "r.example:5000/team": {"auth": "Ym9iOmI="},
            "https://index.docker.io/v1/": {"auth": "ZXZlOmU="},
            "empty.example": {}
        }}"#;
        assert_eq!(basic(config, "r.example:5000", "shop/web").as_deref(), Some("ada:a"));
        assert_eq!(basic(config, "r.example:5000", "team/web").as_deref(), Some("bob:b"));
        assert_eq!(basic(config, "docker.io", "library/web").as_deref(), Some("eve:e"));
        assert_eq!(basic(config, "r.example", "shop/web"), None);
        assert_eq!(basic(config, "empty.example", "web"), None);
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing_and_one_that_is_broken_is_an_error() {
        let nowhere = Store { files: vec!["/nonexistent/config.json".into()] };
        assert!(nowhere.find("r.example", "a").unwrap().is_none());
        for broken in [
            "{",
            r#"{"auths": {"r.example": {"auth": "!"}}}"#,
            r#"{"auths": {"r.example": {"auth": "YQ=="}}}"#,
        ] {
            let (_directory, store) = store(broken);
            assert!(matches!(store.find("r.example", "a"), Err(CredentialsError::File { .. })), "{broken}");
        }
    }

    #[test]
    fn a_helper_is_asked_and_named_where_it_does_not_help() {
        let directory = tempfile::tempdir().unwrap();
        let ask = |script: &str| {
            let helper = directory.path().join("helper");
            // By another process: what is open here for writing, those that other tests start just now hold open too.
            let write = "printf '#!/bin/sh\\nread -r server\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\"";
            let written =
                std::process::Command::new("sh").args(["-c", write]).arg(&helper).arg(script).status();
            assert!(written.unwrap().success());
            ask_helper(helper.to_str().unwrap(), "r.example")
        };
        let found = ask(r#"[ $server = r.example ] && echo '{"Username": "ada", "Secret": "a"}'"#).unwrap();
        assert_eq!(found.unwrap().basic().as_deref(), Some("Basic YWRhOmE="));
        assert!(ask("echo credentials not found in native keychain; exit 1").unwrap().is_none());
        assert!(ask("echo locked; exit 1").unwrap_err().to_string().ends_with(": locked"));
        assert!(ask("echo '{}'").unwrap_err().to_string().ends_with("its answer has no user and secret"));
        let long = r#"printf '{"Username": "ada", "Secret": "'; printf '%020000d' 0; echo '"}'"#;
        let secret = ask(long).unwrap().unwrap().secret;
        assert_eq!(secret.len(), 20_000, "a token of a cloud is longer than a line that is shown");
        let (_directory, store) = store(r#"{"credsStore": "that-nobody-has"}"#);
        let error = store.find("r.example", "a").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot get credentials from 'docker-credential-that-nobody-has': "),
            "{error}"
        );
    }

    #[test]
    fn tokens_of_helpers_are_no_passwords() {
        let token = Credentials::new("<token>", "t");
        assert_eq!((token.basic(), token.identity_token()), (None, Some("t")));
        assert_eq!(format!("{token:?}"), "Credentials");
    }

    #[test]
    fn credentials_are_looked_for_where_the_builders_do() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/ada".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/1".into()),
            _ => None,
        };
        assert_eq!(
            Store::new(variable).files,
            [
                "/run/user/1/containers/auth.json",
                "/home/ada/.config/containers/auth.json",
                "/home/ada/.docker/config.json"
            ]
            .map(PathBuf::from)
        );
    }
}
