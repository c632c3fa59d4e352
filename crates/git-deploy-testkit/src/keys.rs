//! Keys of people who approve, made for one scenario.

use std::fs;
use std::path::PathBuf;

use crate::{Repo, Sandbox};

/// What a shop's `deploy.toml` says besides, so that whoever is in the list may approve.
pub const APPROVE: &str = "\n[approve]\nallowed-signers = \"approvers\"\n";

/// The ssh key of a person.
pub struct Key {
    /// The file with the private key; the public one is beside it.
    pub path: PathBuf,
}

impl Key {
    /// Makes one without a passphrase.
    #[must_use]
    pub fn new(sandbox: &Sandbox, name: &str) -> Self {
        let path = sandbox.home().join(name);
        let file = path.display().to_string();
        sandbox.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file]);
        Self { path }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> String {
        let path = self.path.with_extension("pub");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("'{}': {error}", path.display()));
        text.trim_end().to_owned()
    }

    /// A line of a list that lets it approve.
    #[must_use]
    pub fn line(&self, principal: &str, options: &str) -> String {
        format!("{principal} {options}{}\n", self.public())
    }

    /// Lets a clone sign with it.
    pub fn signs_in(&self, repo: &Repo) {
        repo.set_config("gpg.format", "ssh");
        repo.set_config("user.signingKey", &self.path.display().to_string());
    }
}
