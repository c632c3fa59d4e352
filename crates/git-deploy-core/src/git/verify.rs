//! Verifying signatures with the programs that git's configuration names, against a list and nothing else.
//!
//! What the user's own keyring trusts does not count: of gpg it is asked whether the signature holds and whose it is, and
//! the list says whether that counts. Times are those of now: a signature says nothing reliable of when it was made.

use std::ffi::OsString;
use std::io::Write;
use std::process::Output;

use tempfile::NamedTempFile;

use super::GitError;
use super::sign::{Format, program};

/// Why it could not be found out whether a signature holds.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file that the program needs cannot be written.
    #[error("cannot verify a signature: {0}")]
    File(std::io::Error),
    /// The program cannot be run.
    #[error("cannot verify a signature: cannot run '{program}': {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Whether a signature holds: who made it, or why it does not.
pub type Verdict = Result<String, String>;

/// A list in the format of ssh-keygen(1), ALLOWED SIGNERS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    /// What people know it by: its path in the tree that it comes from.
    pub name: String,
    /// What it says.
    pub text: Vec<u8>,
}

/// Verifies a signature of ssh against a list.
///
/// # Errors
/// When the program cannot be run.
pub fn by_ssh(
    allowed: &AllowedSigners,
    namespace: &str,
    text: &str,
    armour: &str,
) -> Result<Verdict, VerifyError> {
    let (list, signature) = (file(&allowed.text)?, file(armour.as_bytes())?);
    let call = |args: &[&str], text: &str| {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.extend(["-f".into(), list.path().into(), "-s".into(), signature.path().into()]);
        run(program(Format::Ssh)?, args, text)
    };
    let found = call(&["-Y", "find-principals"], "")?;
    if !found.status.success() {
        return Ok(Err("it is signed by nobody who may approve now".to_owned()));
    }
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut why = String::new();
    // One entry of the list may be for several people.
    for principal in found.lines().flat_map(|line| line.split(',')).map(str::trim) {
        let id = format!("-I{principal}");
        let verified = call(&["-Y", "verify", "-n", namespace, &id], text)?;
        if verified.status.success() {
            return Ok(Ok(principal.to_owned()));
        }
        // It names the files that it was given, which nobody knows.
        why = first_line(&verified)
            .replace(&*list.path().to_string_lossy(), &allowed.name)
            .replace(&*signature.path().to_string_lossy(), "its signature");
    }
    Ok(Err(if why.is_empty() { "ssh-keygen does not say why".to_owned() } else { why }))
}

/// Verifies a signature of gpg whose key, or whose primary key, has one of these fingerprints in capital letters. The public
/// key has to be in the keyring.
///
/// # Errors
/// When the program cannot be run.
pub fn by_gpg(fingerprints: &[String], text: &str, armour: &str) -> Result<Verdict, VerifyError> {
    let signature = file(armour.as_bytes())?;
    let args = ["--batch", "--no-tty", "--no-auto-key-retrieve", "--status-fd=1", "--verify"];
    let mut args: Vec<OsString> = args.map(OsString::from).to_vec();
    args.extend([signature.path().into(), "-".into()]);
    let output = run(program(Format::OpenPgp)?, args, text)?;
    Ok(gpg_verdict(&String::from_utf8_lossy(&output.stdout), fingerprints))
}

/// What gpg's status says. Whatever is more than one good signature is none.
fn gpg_verdict(status: &str, fingerprints: &[String]) -> Verdict {
    let lines = || status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
    let of = |key: &'static str| {
        lines().filter_map(move |line| line.strip_prefix(key)).filter(|rest| rest.starts_with(' '))
    };
    let why = [
        ("BADSIG", "it is the signature of something else"),
        ("EXPSIG", "the signature has expired"),
        ("EXPKEYSIG", "its key has expired"),
        ("REVKEYSIG", "its key was revoked"),
    ];
    if let Some((_, why)) = why.into_iter().find(|(key, _)| of(key).next().is_some()) {
        return Err(why.to_owned());
    }
    if let Some(key) = of("NO_PUBKEY").next() {
        return Err(format!("the public key '{}' is not in gpg's keyring here", key.trim()));
    }
    let (good, valid): (Vec<&str>, Vec<&str>) = (of("GOODSIG").collect(), of("VALIDSIG").collect());
    let ([good], [valid]) = (&good[..], &valid[..]) else {
        return Err("gpg finds no good signature in it".to_owned());
    };
    let words: Vec<&str> = valid.split_whitespace().collect();
    let mut keys = words.first().into_iter().chain(words.get(9));
    let who = good.trim().split_once(' ').map_or("somebody", |(_, who)| who).to_owned();
    if keys.any(|key| fingerprints.iter().any(|listed| listed == key)) {
        Ok(who)
    } else {
        Err("it is signed by nobody who may approve now".to_owned())
    }
}

fn run(program: OsString, args: Vec<OsString>, text: &str) -> Result<Output, VerifyError> {
    let name = program.to_string_lossy().into_owned();
    let command = duct::cmd(program, args).env("LC_ALL", "C").stdin_bytes(text.to_owned());
    let output = command.stdout_capture().stderr_capture().unchecked().run();
    output.map_err(|error| VerifyError::Start { program: name, error })
}

/// The first line that a program said, for people.
fn first_line(output: &Output) -> String {
    let said = [&output.stderr[..], &output.stdout[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn file(bytes: &[u8]) -> Result<NamedTempFile, VerifyError> {
    let mut file = NamedTempFile::new().map_err(VerifyError::File)?;
    file.write_all(bytes).map_err(VerifyError::File)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 89AB Ada <a@b>\n\
        [GNUPG:] VALIDSIG SUB 2026-11-20 1 0 4 0 22 8 00 PRIMARY\n";

    fn verdict(status: &str, listed: &str) -> Verdict {
        gpg_verdict(status, &[listed.to_owned()])
    }

    #[test]
    fn a_key_is_listed_by_itself_or_by_its_primary_key() {
        assert_eq!(verdict(VALID, "PRIMARY"), Ok("Ada <a@b>".to_owned()));
        assert_eq!(verdict(VALID, "SUB"), Ok("Ada <a@b>".to_owned()));
        assert!(verdict(VALID, "OTHER").is_err());
    }

    #[test]
    fn what_is_not_one_good_signature_is_none() {
        for status in [
            "",
            "[GNUPG:] GOODSIG 89AB Ada",
            "[GNUPG:] BADSIG 89AB Ada",
            &format!("{VALID}{VALID}"),
            &VALID.replace("GOODSIG", "EXPKEYSIG"),
            &VALID.replace("GOODSIG", "REVKEYSIG"),
            &format!("{VALID}[GNUPG:] BADSIG 89AB Eve"),
        ] {
            assert!(verdict(status, "PRIMARY").is_err(), "{status}");
        }
        let missing = verdict("[GNUPG:] NO_PUBKEY 89AB", "PRIMARY").unwrap_err();
        assert_eq!(missing, "the public key '89AB' is not in gpg's keyring here");
    }
}
