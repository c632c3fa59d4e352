//! Files that say how to reach a cluster, and as whom.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// One way into a cluster: the address, and as whom.
#[derive(Debug, Clone)]
pub struct Access {
    pub(super) server: String,
    pub(super) certificate_authority: PathBuf,
    pub(super) tokens: Vec<(String, String)>,
    pub(super) token: String,
}

impl Access {
    /// As that user: `admin`, or `alice` or `bob`, who may do nothing until a test binds a role to them.
    #[must_use]
    pub fn as_user(mut self, name: &str) -> Self {
        let known = self.tokens.iter().find(|(user, _)| user == name);
        let (_, token) = known.unwrap_or_else(|| panic!("the cluster knows no user '{name}'"));
        self.token = token.clone();
        self
    }

    /// With that token, which no user has: as with one that has expired.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// At that address, `127.0.0.1:1` for example, where nobody listens.
    #[must_use]
    pub fn at(mut self, address: impl std::fmt::Display) -> Self {
        self.server = format!("https://{address}");
        self
    }

    /// At that address, without TLS.
    #[must_use]
    pub fn plainly_at(mut self, address: impl std::fmt::Display) -> Self {
        self.server = format!("http://{address}");
        self
    }
}

/// A kubeconfig in the making. Only if a test wants it, it has a current context: the tool under test must not care.
#[derive(Debug, Default)]
pub struct Kubeconfig {
    contexts: Vec<(String, Access)>,
    current: Option<String>,
}

impl Kubeconfig {
    /// One without a context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a context.
    #[must_use]
    pub fn context(mut self, name: &str, access: Access) -> Self {
        self.contexts.push((name.to_owned(), access));
        self
    }

    /// Makes that context the current one.
    #[must_use]
    pub fn current(mut self, name: &str) -> Self {
        self.current = Some(name.to_owned());
        self
    }

    /// Writes it, readable for its owner only. JSON, which is YAML too.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &Path) {
        write_private(path, &self.content().to_string())
            .unwrap_or_else(|error| panic!("cannot write '{}': {error}", path.display()));
    }

    fn content(&self) -> Value {
        let each = |entry: &dyn Fn(&str, &Access) -> Value| -> Vec<Value> {
            self.contexts.iter().map(|(name, access)| entry(name, access)).collect()
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": each(&|name, access| json!({ "name": name, "cluster": {
                "server": access.server,
                "certificate-authority": access.certificate_authority,
            }})),
            "users": each(&|name, access| json!({ "name": name, "user": { "token": access.token }})),
            "contexts": each(&|name, _| json!({ "name": name, "context": { "cluster": name, "user": name }})),
            "current-context": self.current.as_deref().unwrap_or_default(),
        })
    }
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(path: &Path, content: &str) -> io::Result<()> {
    fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
}
