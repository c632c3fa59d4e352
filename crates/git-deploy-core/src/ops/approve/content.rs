//! What of a commit is approved. Pure.

use crate::git::object::Commit;
use crate::ids::ObjectId;

/// What an approval is given for, of one commit. Dates, committer and signature are none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Content {
    /// Name and mail of the author.
    pub(in crate::ops) author: Vec<u8>,
    /// With the encoding, without which its bytes may mean another text.
    pub(in crate::ops) message: Vec<u8>,
    /// All files.
    pub(in crate::ops) tree: ObjectId,
}

impl Content {
    pub(in crate::ops) fn of(commit: Commit) -> Self {
        let end =
            commit.author.iter().rposition(|byte| *byte == b'>').map_or(commit.author.len(), |end| end + 1);
        let encoding = commit.extra.into_iter().find(|header| header.starts_with(b"encoding "));
        Self {
            author: commit.author[..end].to_vec(),
            message: [encoding.unwrap_or_default(), commit.message].join(&b'\n'),
            tree: commit.tree,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_without_a_mail_is_compared_whole() {
        let of = |author: &[u8]| {
            let commit = Commit { author: author.to_vec(), ..Commit::parse(PLAIN.as_bytes()).unwrap() };
            Content::of(commit).author
        };
        assert_eq!(of(b"Nobody 1 +0000"), b"Nobody 1 +0000");
        assert_eq!(of(b"A > B <a@b> 1 +0000"), b"A > B <a@b>");
    }

    const PLAIN: &str = "tree 0000000000000000000000000000000000000001\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx";
}
