//! Putting a signature into a rebased commit, as `git commit -S` would.
//!
//! `git commit-tree` cannot write foreign headers, so the header of the signature is made here, too.

use crate::git::object::Commit;
use crate::git::sign::{SignError, Signer};
use crate::ids::ObjectId;

/// What ssh signs commits for.
pub(super) const NAMESPACE: &str = "git";

/// Puts a signature into a commit that has none.
pub(super) fn sign(signer: &Signer, commit: &mut Commit, null_id: ObjectId) -> Result<(), SignError> {
    let signature = signer.sign(commit.to_bytes())?;
    commit.extra.push(header(&signature, null_id));
    Ok(())
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
