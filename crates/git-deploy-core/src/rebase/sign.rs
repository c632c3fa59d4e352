//! Signing a rebased commit as `git commit -S` would.
//!
//! git has no command that signs a commit which is there already, and `git commit-tree` cannot write foreign headers. So
//! the program that the configuration names is called here, with the bytes of the commit.

use std::ffi::OsString;
use std::io::Write;

use tempfile::NamedTempFile;

use crate::git::object::Commit;
use crate::git::program::{ProgramError, git};
use crate::git::{GitError, Repository};
use crate::ids::ObjectId;

/// Why a commit could not be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The configuration does not say how.
    #[error("cannot sign: {0}")]
    Config(String),
    /// A file that the program needs cannot be written.
    #[error("cannot sign: {0}")]
    Key(std::io::Error),
    /// The program cannot be run.
    #[error("cannot sign: cannot run '{program}': {error}")]
    Start { program: String, error: std::io::Error },
    /// The program failed.
    #[error("cannot sign: '{program}' failed: {stderr}")]
    Failed { program: String, stderr: String },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<ProgramError> for SignError {
    fn from(error: ProgramError) -> Self {
        Self::Git(error.into())
    }
}

/// What signs.
pub(super) struct Signer {
    program: OsString,
    args: Vec<OsString>,
    /// Whether the program has to say that it made a signature.
    reports: bool,
    /// A key that stands in the configuration itself, while it is needed.
    _key: Option<NamedTempFile>,
}

impl Signer {
    /// Whether `commit.gpgSign` is on.
    pub(super) fn wanted() -> Result<bool, GitError> {
        let call = git(["config", "--type=bool", "--get", "commit.gpgSign"]);
        Ok(call.answer()?.is_some_and(|value| value.starts_with(b"true")))
    }

    /// Reads `gpg.format`, `gpg.program`, `user.signingKey` and the others.
    pub(super) fn from_config(repository: &Repository) -> Result<Self, SignError> {
        let format = repository.config("gpg.format")?.unwrap_or_else(|| "openpgp".to_owned());
        let key = repository.config("user.signingkey")?.filter(|key| !key.is_empty());
        match format.as_str() {
            "openpgp" => Self::gpg(repository, "gpg", &["gpg.openpgp.program", "gpg.program"], key),
            "x509" => Self::gpg(repository, "gpgsm", &["gpg.x509.program"], key),
            "ssh" => Self::ssh(key),
            other => Err(SignError::Config(format!("'gpg.format' is '{other}'"))),
        }
    }

    fn gpg(
        repository: &Repository,
        program: &str,
        program_keys: &[&str],
        key: Option<String>,
    ) -> Result<Self, SignError> {
        let key = match key {
            Some(key) => key,
            None => repository.identity()?.who().to_owned(),
        };
        let args = ["--status-fd=2", "-bsau", &key].map(OsString::from).to_vec();
        Ok(Self { program: configured_program(program_keys, program)?, args, reports: true, _key: None })
    }

    fn ssh(key: Option<String>) -> Result<Self, SignError> {
        let program = configured_program(&["gpg.ssh.program"], "ssh-keygen")?;
        let key = match key {
            Some(key) => key,
            None => default_ssh_key()?,
        };
        let mut args = ["-Y", "sign", "-n", "git", "-f"].map(OsString::from).to_vec();
        let literal = key.strip_prefix("key::").or_else(|| Some(&*key).filter(|key| key.starts_with("ssh-")));
        let Some(literal) = literal else {
            args.push(configured_path("user.signingkey")?.unwrap_or_else(|| key.into()));
            return Ok(Self { program, args, reports: false, _key: None });
        };
        // The public key alone: the agent has the other one.
        let mut file = NamedTempFile::new().map_err(SignError::Key)?;
        writeln!(file, "{literal}").map_err(SignError::Key)?;
        args.extend([file.path().as_os_str().to_owned(), "-U".into()]);
        Ok(Self { program, args, reports: false, _key: Some(file) })
    }

    /// Puts a signature into a commit that has none.
    pub(super) fn sign(&self, commit: &mut Commit, null_id: ObjectId) -> Result<(), SignError> {
        let program = || self.program.to_string_lossy().into_owned();
        let command = duct::cmd(&self.program, &self.args).stdin_bytes(commit.to_bytes());
        let output = command.stdout_capture().stderr_capture().unchecked().run();
        let output = output.map_err(|error| SignError::Start { program: program(), error })?;
        let said = String::from_utf8_lossy(&output.stderr);
        let made = !self.reports || said.lines().any(|line| line.starts_with("[GNUPG:] SIG_CREATED "));
        if !output.status.success() || !made || output.stdout.is_empty() {
            return Err(SignError::Failed { program: program(), stderr: said.trim().to_owned() });
        }
        commit.extra.push(header(&output.stdout, null_id));
        Ok(())
    }
}

/// The header for a signature: of the name that the repository's kind of ids demands, later lines indented.
fn header(signature: &[u8], null_id: ObjectId) -> Vec<u8> {
    let key: &[u8] = if null_id.as_bytes().len() == 32 { b"gpgsig-sha256" } else { b"gpgsig" };
    let text: Vec<u8> = signature.trim_ascii_end().iter().copied().filter(|byte| *byte != b'\r').collect();
    let mut header = key.to_vec();
    for line in text.split(|byte| *byte == b'\n') {
        header.extend_from_slice(if header.len() == key.len() { b" " } else { b"\n " });
        header.extend_from_slice(line);
    }
    header
}

fn configured_program(keys: &[&str], default: &str) -> Result<OsString, SignError> {
    for key in keys {
        if let Some(program) = configured_path(key)? {
            return Ok(program);
        }
    }
    Ok(default.into())
}

/// A path of the configuration, with `~` resolved by git.
fn configured_path(key: &str) -> Result<Option<OsString>, SignError> {
    let answer = git(["config", "--type=path", "--get", key]).answer()?;
    let text = answer.map(|path| String::from_utf8_lossy(&path).trim_end_matches('\n').to_owned());
    Ok(text.filter(|path| !path.is_empty()).map(OsString::from))
}

/// The first key that `gpg.ssh.defaultKeyCommand` prints; git has the shell run it, and so do we.
fn default_ssh_key() -> Result<String, SignError> {
    let Some(command) = configured_path("gpg.ssh.defaultKeyCommand")? else {
        return Err(SignError::Config(
            "neither 'user.signingKey' nor 'gpg.ssh.defaultKeyCommand' is set".into(),
        ));
    };
    let program = command.to_string_lossy().into_owned();
    let printed = duct::cmd("sh", [OsString::from("-c"), command]).stdin_null().read();
    let printed = printed.map_err(|error| SignError::Start { program: program.clone(), error })?;
    let key = printed.lines().next().filter(|key| key.starts_with("ssh-") || key.starts_with("key::"));
    key.map(str::to_owned).ok_or_else(|| SignError::Config(format!("'{program}' printed no key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_signature_are_indented() {
        let sha1: ObjectId = "0".repeat(40).parse().unwrap();
        let sha256: ObjectId = "0".repeat(64).parse().unwrap();
        assert_eq!(
            header(b"-----BEGIN\r\n\r\nabc\r\n-----END\r\n", sha1),
            b"gpgsig -----BEGIN\n \n abc\n -----END"
        );
        assert_eq!(header(b"a\nb\n", sha256), b"gpgsig-sha256 a\n b");
    }
}
