//! `[approve]`: who may approve.

use toml::Spanned;

use super::Approve;
use super::check::{Checked, refuse, tree_path};
use super::error::{Locator, Problem};
use super::raw::{RawApprove, Text};

/// Who may approve. A table that names nobody would be one that lets nobody deploy, or everybody, by mistake.
pub(super) fn approve(raw: Spanned<RawApprove>, locator: &Locator<'_>) -> Checked<Approve> {
    let span = raw.span();
    let raw = raw.into_inner();
    if raw.allowed_signers.is_none() && raw.gpg_fingerprints.is_empty() {
        let why = "[approve] must say who may: 'allowed-signers' or 'gpg-fingerprints'".to_owned();
        return Err(locator.error(span, Problem::Contradiction(why)));
    }
    let list = raw.allowed_signers.map(|path| tree_path("allowed-signers", &path, locator)).transpose()?;
    let fingerprints = raw.gpg_fingerprints.iter().map(|text| fingerprint(text, locator));
    Ok(Approve { allowed_signers: list, gpg_fingerprints: fingerprints.collect::<Checked<_>>()? })
}

/// Shorter ones than whole fingerprints can be made to fit.
fn fingerprint(text: &Text, locator: &Locator<'_>) -> Checked<String> {
    let digits: String = text.get_ref().chars().filter(|c| *c != ' ').collect();
    if matches!(digits.len(), 40 | 64) && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(digits.to_ascii_uppercase());
    }
    let why = "must be a whole fingerprint: 40 or 64 hexadecimal digits, as 'gpg --fingerprint' prints it";
    Err(refuse("gpg-fingerprints", text, why, locator))
}

#[cfg(test)]
mod tests {
    use crate::config::deploy_toml::DeployToml;

    const ALL: &str = "[approve]\nallowed-signers = \"./deploy/approvers\"\n\
                       gpg-fingerprints = [\"0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567\"]\n";

    #[test]
    fn who_may_approve_is_a_list_or_whole_fingerprints() {
        let approve = DeployToml::parse(ALL).unwrap().approve.unwrap();
        assert_eq!(approve.allowed_signers.unwrap().as_str(), "deploy/approvers");
        assert_eq!(approve.gpg_fingerprints, ["0123456789ABCDEF0123456789ABCDEF01234567"]);
        assert_eq!(DeployToml::parse("").unwrap().approve, None);
        for (text, error) in [
            (
                "[approve]\n",
                "deploy.toml:1:1: [approve] must say who may: 'allowed-signers' or 'gpg-fingerprints'",
            ),
            ("[approve]\ngpg-fingerprints = []\n", "deploy.toml:1:1: [approve] must say who may"),
            ("[approve]\nallowed-signer = \"a\"\n", "deploy.toml:2:1: "),
            ("[approve]\nallowed-signers = \"../a\"\n", "deploy.toml:2:19: "),
            ("[approve]\ngpg-fingerprints = [\"0123ABCD\"]\n", "deploy.toml:2:21: "),
            ("[approve]\ngpg-fingerprints = \"0123ABCD\"\n", "deploy.toml:2:20: "),
        ] {
            let found = DeployToml::parse(text).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
