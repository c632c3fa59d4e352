//! The bytes of a rebased commit.

use super::Committer;
use crate::git::object::Commit;
use crate::ids::{CommitId, ObjectId};

/// The old commit with another tree and parent. Author, message, encoding and headers that we do not know keep their
/// bytes; the committer's date stays also when `committer` replaces who it was.
pub(super) fn rewritten(old: Commit, parent: CommitId, tree: ObjectId, committer: &Committer) -> Commit {
    let mut new = Commit { tree, parents: vec![parent], ..old };
    new.extra.retain(|header| !is_signature(header));
    if let Committer::Is(who) = committer {
        let date = date(&new.committer).to_vec();
        new.committer = [who.as_bytes(), &date].concat();
    }
    new
}

fn is_signature(header: &[u8]) -> bool {
    let key = header.split(|byte| *byte == b' ').next();
    key == Some(b"gpgsig") || key == Some(b"gpgsig-sha256")
}

/// What stands after the mail address: ` <seconds> <zone>`.
fn date(ident: &[u8]) -> &[u8] {
    let end_of_mail = ident.iter().rposition(|byte| *byte == b'>');
    end_of_mail.map_or(b" 0 +0000", |end| &ident[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "tree 0123456789abcdef0123456789abcdef01234567\n\
        parent 1123456789abcdef0123456789abcdef01234567\nauthor A <a@b> 1 +0000\ncommitter B <b@c> 2 -0130\n\
        gpgsig -----BEGIN\n \n abc\n -----END\nencoding ISO-8859-1\ngpgsig-sha256 x\n y\nchange-id kkkk\n\nsubject\n";

    fn rewrite(committer: &Committer) -> String {
        let id = "2".repeat(40);
        let old = Commit::parse(OLD.as_bytes()).unwrap();
        let new = rewritten(old, id.parse().unwrap(), id.parse().unwrap(), committer);
        String::from_utf8(new.to_bytes()).unwrap()
    }

    #[test]
    fn only_signatures_go() {
        let id = "2".repeat(40);
        let expected = format!(
            "tree {id}\nparent {id}\nauthor A <a@b> 1 +0000\ncommitter B <b@c> 2 -0130\n\
             encoding ISO-8859-1\nchange-id kkkk\n\nsubject\n"
        );
        assert_eq!(rewrite(&Committer::Keep), expected);
    }

    #[test]
    fn a_configured_committer_takes_the_old_date() {
        assert!(
            rewrite(&Committer::Is("Bot <bot@d>".to_owned())).contains("\ncommitter Bot <bot@d> 2 -0130\n")
        );
    }
}
