//! What happens in git's hooks.
//!
//! A hook runs in the middle of somebody's work: it reads as little as it can, in this process, and says what it has to
//! say. What alone it ever refuses is judged by git's own words: to move or delete a deployment tag, to delete what all clones share,
//! to mirror a clone, or to take out of the notes what others have decided.

mod concerned;
mod elsewhere;
mod left;
mod post_merge;
mod pre_push;
mod tags;

use crate::config::ConfigError;
use crate::git::GitError;
use crate::git::notes::{NOTES_REF, NotesError};
use crate::ids::{ObjectId, RefName};
use crate::ops::view::ViewError;
use crate::rebase::RebaseError;

pub use elsewhere::{Unpublished, is_mirror};
pub use left::{Left, LeftApproved, LeftByPush, MergedThere, post_commit};
pub use post_merge::{MergedInto, Passed, PostMerge, post_merge};
pub use pre_push::{PrePush, Replaced, Unheld, Warning, goes_on, pre_push};
pub use tags::{TagChange, changed_tags, differing};

/// The beginning of the names of deployment tags.
const DEPLOYMENT_TAGS: &str = "refs/tags/deployment-";

/// Where claims, locks, holds and what was applied are kept.
const RECORDS: &str = "refs/deploy/";

/// Why a hook could not find out what it should say.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Branches and their states cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A note cannot be read or written.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Nothing could be replayed.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// One ref of a push, as git tells it to pre-push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// The ref on the remote.
    pub name: RefName,
    /// Where it goes; `None` deletes it.
    pub new: Option<ObjectId>,
    /// Where it stands on the remote; `None` if it is new there.
    pub old: Option<ObjectId>,
}

impl PushedRef {
    /// Reads `<local ref> <local id> <remote ref> <remote id>`. The first may be any expression, with spaces in it.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.rsplitn(4, ' ');
        let (old, name, new) = (words.next()?, words.next()?, words.next()?);
        let id = |word: &str| word.parse::<ObjectId>().ok().map(|id| (!id.is_null()).then_some(id));
        Some(Self { name: RefName::new(name).ok()?, new: id(new)?, old: id(old)? })
    }
}

/// What git writes to pre-push: a line for each ref. What is none is passed over.
pub fn pushed_refs(input: &[u8]) -> Vec<PushedRef> {
    String::from_utf8_lossy(input).lines().filter_map(PushedRef::parse).collect()
}

/// What all clones share besides tags, and a push would delete: the states of branches, and all that is known of deployments. So
/// does `git push --prune` from a clone that lacks it.
pub fn deleted_records(pushed: &[PushedRef]) -> Vec<RefName> {
    let is_record = |name: &RefName| name.as_str() == NOTES_REF || name.as_str().starts_with(RECORDS);
    let deleted = pushed.iter().filter(|pushed| pushed.old.is_some() && pushed.new.is_none());
    deleted.map(|pushed| pushed.name.clone()).filter(is_record).collect()
}

/// The hooks that githooks(5) knows. One that we have nothing to do in does nothing, so that scripts of a newer version
/// may call an older program.
pub const KNOWN_HOOKS: [&str; 28] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "post-index-change",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn a_line_is_read_from_its_end_because_it_may_begin_with_any_expression() {
        let pushed = pushed_refs(format!("HEAD^{{/a b}} {ONE} refs/heads/x {TWO}\n\nodd\n").as_bytes());
        assert_eq!(pushed.len(), 1);
        assert_eq!(pushed[0].name.as_str(), "refs/heads/x");
        assert_eq!((pushed[0].new, pushed[0].old), (ONE.parse().ok(), TWO.parse().ok()));
    }

    #[test]
    fn what_all_clones_share_cannot_be_deleted_and_is_moved_by_whoever_may() {
        let deleted = |new: &str, name: &str, old: &str| {
            !deleted_records(&pushed_refs(format!("(delete) {new} {name} {old}").as_bytes())).is_empty()
        };
        for name in ["refs/notes/deploy", "refs/deploy/attempts/deployment-0001", "refs/deploy/hold"] {
            assert!(deleted(NONE, name, TWO), "{name}");
            assert!(!deleted(ONE, name, TWO) && !deleted(NONE, name, NONE), "{name}");
        }
        for name in ["refs/notes/deploy-remote/origin/deploy", "refs/notes/commits", "refs/heads/deploy"] {
            assert!(!deleted(NONE, name, TWO), "{name}");
        }
    }

    #[test]
    fn only_deployment_tags_that_are_there_already_cannot_be_pushed() {
        let changed = |new: &str, name: &str, old: &str| {
            changed_tags(&pushed_refs(format!("x {new} refs/tags/{name} {old}").as_bytes()))
                .first()
                .map(|tag| tag.new.is_none())
        };
        assert_eq!(changed(ONE, "deployment-0001", NONE), None);
        assert_eq!(changed(ONE, "deployment-0001", ONE), None);
        assert_eq!(changed(ONE, "deployment-staging-0001", TWO), Some(false));
        assert_eq!(changed(NONE, "deployment-0001", TWO), Some(true));
        assert_eq!(changed(NONE, "v1", TWO), None);
    }
}
