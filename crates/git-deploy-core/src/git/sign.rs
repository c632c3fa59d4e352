//! Signing with the key and the program that git's configuration names, as `git commit -S` would.
//!
//! git has no command that signs what it does not write itself. So the program is called here, with the bytes that are to
//! be signed.

use std::ffi::OsString;
use std::io::Write;

use tempfile::NamedTempFile;

use crate::git::program::{ProgramError, git};
use crate::git::{GitError, Repository};

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// `gpg.format` names nothing that signs.
    #[error("cannot sign: 'gpg.format' is '{found}'")]
    Format {
        /// What it names.
        found: String,
        /// What the key that is configured looks like one of.
        fits: Option<&'static str>,
    },
    /// The configuration does not say with which key.
    #[error("cannot sign: {0}")]
    NoKey(String),
    /// A file that the program needs cannot be written.
    #[error("cannot sign: {0}")]
    Key(std::io::Error),
    /// The program cannot be run.
    #[error("cannot sign: cannot run '{program}': {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// The program failed.
    #[error("cannot sign: '{program}' failed: {stderr}")]
    Failed {
        /// The program.
        program: String,
        /// What it said.
        stderr: String,
        /// What is odd about the key that is configured.
        odd: Option<OddKey>,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<ProgramError> for SignError {
    fn from(error: ProgramError) -> Self {
        Self::Git(error.into())
    }
}

/// What may be why a program cannot sign with the key that is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddKey {
    /// There is none: gpg looks for one by name and mail.
    None,
    /// It looks like one of this other `gpg.format`.
    Of(&'static str),
}

/// The kinds of signatures that git makes: `gpg.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// By gpg.
    OpenPgp,
    /// By gpgsm.
    X509,
    /// By ssh-keygen.
    Ssh,
}

/// The `gpg.format` that a key is one of which `user.signingKey` names, as far as its form tells that.
fn format_of(key: &str) -> Option<&'static str> {
    let is_literal = ["key::", "ssh-", "ecdsa-", "sk-"].iter().any(|begin| key.starts_with(begin));
    let id = key.trim_start_matches("0x").trim_end_matches('!');
    let is_id = id.len() >= 8 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    match key {
        _ if is_literal || key.ends_with(".pub") || key.starts_with(['/', '~']) => Some("ssh"),
        _ if is_id || key.contains('@') => Some("openpgp"),
        _ => None,
    }
}

/// What signs.
pub struct Signer {
    format: Format,
    program: OsString,
    args: Vec<OsString>,
    /// Whether the program has to say that it made a signature.
    reports: bool,
    /// What is odd about the key that is configured.
    odd: Option<OddKey>,
    /// A key that stands in the configuration itself, while it is needed.
    _key: Option<NamedTempFile>,
}

impl Signer {
    /// Whether `commit.gpgSign` is on.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn wanted() -> Result<bool, GitError> {
        let call = git(["config", "--type=bool", "--get", "commit.gpgSign"]);
        Ok(call.answer()?.is_some_and(|value| value.starts_with(b"true")))
    }

    /// Reads `gpg.format`, `gpg.program`, `user.signingKey` and the others. `namespace` says what ssh signs for: `git` is for
    /// commits and tags, and what was signed for one is worth nothing for another.
    ///
    /// # Errors
    /// When the configuration does not say how to sign.
    pub fn from_config(repository: &Repository, namespace: &str) -> Result<Self, SignError> {
        let format = repository.config("gpg.format")?.unwrap_or_else(|| "openpgp".to_owned());
        let key = repository.config("user.signingkey")?.filter(|key| !key.is_empty());
        let looks = key.as_deref().map(format_of);
        let odd = match (looks, &*format) {
            (None, "openpgp" | "x509") => Some(OddKey::None),
            (Some(Some("ssh")), "openpgp" | "x509") => Some(OddKey::Of("ssh")),
            (Some(Some("openpgp")), "ssh") => Some(OddKey::Of("openpgp")),
            _ => None,
        };
        let signer = match &*format {
            "openpgp" => Self::gpg(repository, Format::OpenPgp, key)?,
            "x509" => Self::gpg(repository, Format::X509, key)?,
            "ssh" => Self::ssh(key, namespace)?,
            _ => return Err(SignError::Format { found: format, fits: looks.flatten() }),
        };
        Ok(Self { odd, ..signer })
    }

    fn gpg(repository: &Repository, format: Format, key: Option<String>) -> Result<Self, SignError> {
        let key = match key {
            Some(key) => key,
            None => repository.identity()?.who().to_owned(),
        };
        let args = ["--status-fd=2", "-bsau", &key].map(OsString::from).to_vec();
        Ok(Self { format, program: program(format)?, args, reports: true, odd: None, _key: None })
    }

    fn ssh(key: Option<String>, namespace: &str) -> Result<Self, SignError> {
        let (format, program) = (Format::Ssh, program(Format::Ssh)?);
        let key = match key {
            Some(key) => key,
            None => default_ssh_key()?,
        };
        let mut args = ["-Y", "sign", "-n", namespace, "-f"].map(OsString::from).to_vec();
        let literal = key.strip_prefix("key::").or_else(|| Some(&*key).filter(|key| key.starts_with("ssh-")));
        let Some(literal) = literal else {
            args.push(configured_path("user.signingkey")?.unwrap_or_else(|| key.into()));
            return Ok(Self { format, program, args, reports: false, odd: None, _key: None });
        };
        // The public key alone: the agent has the other one.
        let mut file = NamedTempFile::new().map_err(SignError::Key)?;
        writeln!(file, "{literal}").map_err(SignError::Key)?;
        args.extend([file.path().as_os_str().to_owned(), "-U".into()]);
        Ok(Self { format, program, args, reports: false, odd: None, _key: Some(file) })
    }

    /// The kind of signatures that it makes.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Signs bytes; the signature as armoured text.
    ///
    /// # Errors
    /// When the program cannot be run, or fails.
    pub fn sign(&self, bytes: Vec<u8>) -> Result<Vec<u8>, SignError> {
        let program = || self.program.to_string_lossy().into_owned();
        let command = duct::cmd(&self.program, &self.args).stdin_bytes(bytes);
        let output = command.stdout_capture().stderr_capture().unchecked().run();
        let output = output.map_err(|error| SignError::Start { program: program(), error })?;
        let said = String::from_utf8_lossy(&output.stderr);
        let made = !self.reports || said.lines().any(|line| line.starts_with("[GNUPG:] SIG_CREATED "));
        if !output.status.success() || !made || output.stdout.is_empty() {
            return Err(SignError::Failed {
                program: program(),
                stderr: said.trim().to_owned(),
                odd: self.odd,
            });
        }
        Ok(output.stdout)
    }
}

/// The program that makes and verifies signatures of a kind.
pub(super) fn program(format: Format) -> Result<OsString, GitError> {
    let (keys, default): (&[&str], _) = match format {
        Format::OpenPgp => (&["gpg.openpgp.program", "gpg.program"], "gpg"),
        Format::X509 => (&["gpg.x509.program"], "gpgsm"),
        Format::Ssh => (&["gpg.ssh.program"], "ssh-keygen"),
    };
    for key in keys {
        if let Some(program) = configured_path(key)? {
            return Ok(program);
        }
    }
    Ok(default.into())
}

/// A path of the configuration, with `~` resolved by git.
fn configured_path(key: &str) -> Result<Option<OsString>, GitError> {
    let answer = git(["config", "--type=path", "--get", key]).answer()?;
    let text = answer.map(|path| String::from_utf8_lossy(&path).trim_end_matches('\n').to_owned());
    Ok(text.filter(|path| !path.is_empty()).map(OsString::from))
}

/// The first key that `gpg.ssh.defaultKeyCommand` prints; git has the shell run it, and so do we.
fn default_ssh_key() -> Result<String, SignError> {
    let Some(command) = configured_path("gpg.ssh.defaultKeyCommand")? else {
        return Err(SignError::NoKey(
            "neither 'user.signingKey' nor 'gpg.ssh.defaultKeyCommand' is set".into(),
        ));
    };
    let program = command.to_string_lossy().into_owned();
    let printed = duct::cmd("sh", [OsString::from("-c"), command]).stdin_null().read();
    let printed = printed.map_err(|error| SignError::Start { program: program.clone(), error })?;
    let key = printed.lines().next().filter(|key| key.starts_with("ssh-") || key.starts_with("key::"));
    key.map(str::to_owned).ok_or_else(|| SignError::NoKey(format!("'{program}' printed no key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kind_of_key_is_configured_shows_in_its_form() {
        for (key, format) in [
            ("~/.ssh/id_ed25519", Some("ssh")),
            ("id_ed25519.pub", Some("ssh")),
            ("ssh-ed25519 AAAA ada@example.org", Some("ssh")),
            ("key::ecdsa-sha2-nistp256 AAAA", Some("ssh")),
            ("0x0123456789ABCDEF!", Some("openpgp")),
            ("Ada <ada@example.org>", Some("openpgp")),
            ("ada", None),
        ] {
            assert_eq!(format_of(key), format, "{key}");
        }
    }
}
