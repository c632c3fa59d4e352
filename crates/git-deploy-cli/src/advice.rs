//! What to do about what keeps a branch from moving, or a note from being read: in the same words wherever it is told.

use std::time::Duration;

use git_deploy_core::git::held::{HeldLock, Holder};
use git_deploy_core::git::notes::NOTES_REF;
use git_deploy_core::git::work_tree::Busy;
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::note::NoteError;
use git_deploy_core::ops::sweep::Advice;
use git_deploy_core::ops::view::LandedElsewhere;
use git_deploy_core::rebase::Skip;

/// A word as it can be pasted into a shell, whatever a branch or path is called.
///
/// ```
/// assert_eq!(git_deploy_cli::shell_word("feature/login"), "feature/login");
/// assert_eq!(git_deploy_cli::shell_word("a;touch 'x'"), r"'a;touch '\''x'\'''");
/// ```
pub fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How a branch comes to stand on what has commits that it has not. Without the option git leaves out what differs from a commit
/// there in white space alone.
pub fn put_upon(there: &RefName, branch: &RefName) -> String {
    put_upon_named(there.short(), branch)
}

/// Likewise, where the other is known by its short name alone.
pub(crate) fn put_upon_named(there: &str, branch: &RefName) -> String {
    format!("{REBASE} {} {}", shell_word(there), typed(branch))
}

/// How somebody sees what a merge changes itself, besides what git makes of its parents.
pub fn show_merge(merge: CommitId) -> String {
    format!("git show --remerge-diff {}", merge.brief())
}

/// A rebase that leaves nothing out that is not there, white space included.
pub const REBASE: &str = "git rebase --reapply-cherry-picks";

/// A branch as it is typed.
pub(crate) fn typed(branch: &RefName) -> String {
    shell_word(branch.short())
}

/// What the user can do about a branch that a rebase left alone.
pub(crate) fn advice(advice: &Advice, onto: &RefName, branch: &RefName) -> Option<String> {
    match advice {
        Advice::Note(commit, error) => Some(mend_note(*commit, error)),
        Advice::LongNote(commit) => Some(format!("shorten it with: git notes --ref=deploy edit {commit}")),
        Advice::Further(theirs) => Some(format!("get them with: git merge --ff-only {}", typed(theirs))),
        Advice::Other(theirs) => {
            Some(format!("look at what is there: git log -p {}..{}", typed(branch), typed(theirs)))
        }
        Advice::Lock(lock) => Some(unlock(lock)),
        Advice::WorkTree => Some(FIND_WORK_TREE.to_owned()),
        Advice::Skip(skip) => make_rebasable(skip, onto.short(), branch),
    }
}

/// What is said of a branch that has landed in the form that a rebase elsewhere gave it, while ours is still the old one.
pub fn landed_elsewhere(branch: &RefName, landed: &LandedElsewhere) -> String {
    let name = branch.short();
    let by = landed.deployment.as_ref().map(|id| format!(" as '{id}'")).unwrap_or_default();
    match landed.is_whole {
        true => format!("'{name}' has landed{by}: yours is the commit before its rebase"),
        false => format!("'{name}' has landed{by}, rebased, and yours has further commits"),
    }
}

/// What to do about such branches. Never to push them: that would put the commits from before the rebase back.
pub fn follow_landed<'b>(
    landed: impl IntoIterator<Item = (&'b RefName, &'b LandedElsewhere)>,
) -> Vec<String> {
    let (whole, partly): (Vec<_>, Vec<_>) = landed.into_iter().partition(|(_, landed)| landed.is_whole);
    let (current, whole): (Vec<_>, Vec<_>) = whole.into_iter().partition(|(_, landed)| landed.is_current);
    let words = |branches: Vec<(&RefName, _)>| -> String {
        branches.into_iter().map(|(branch, _)| format!(" {}", typed(branch))).collect()
    };
    let mut hints = Vec::new();
    if !whole.is_empty() {
        let whole = words(whole);
        hints.push(format!(
            "delete what has landed: git branch -D{whole}; or let it follow: git deploy-rebase{whole}"
        ));
    }
    if !current.is_empty() {
        hints.push(format!("let what has landed follow: git deploy-rebase{}", words(current)));
    }
    if !partly.is_empty() {
        hints.push(format!("put the further commits on what has landed: git deploy-rebase{}", words(partly)));
    }
    hints
}

/// What to do about a note that cannot be read: an editor can do nothing with one that is no text.
pub(crate) fn mend_note(commit: CommitId, error: &NoteError) -> String {
    match error {
        NoteError::Object(_, true) => format!(
            "get it back from where it was published with: git fetch --refetch <remote> {NOTES_REF}; if it was not, \
             take it away with: git notes --ref=deploy remove {commit}"
        ),
        NoteError::TooLarge(_) | NoteError::Object(_, false) | NoteError::NotUtf8 | NoteError::Nul => {
            format!("take it away with: git notes --ref=deploy remove {commit}")
        }
        NoteError::NoState | NoteError::Line { .. } => {
            format!("mend it with: git notes --ref=deploy edit {commit}")
        }
        NoteError::Copied(_) => {
            "decide anew with 'git deploy-state set'; it came by 'git notes copy', or by 'notes.rewriteRef': where that \
             names the notes of git-deploy, take them out of it, or unset it"
                .to_owned()
        }
    }
}

/// What there is to do where something else stands in the place of our states.
pub(crate) const FIND_STATES: &str = "find the last commit with states in 'git reflog refs/notes/deploy', and go back to it: git update-ref refs/notes/deploy <commit>";

/// What there is to do about a work tree whose folder is gone.
const FIND_WORK_TREE: &str =
    "if it is gone for good: git worktree prune; if it was moved: git worktree repair <folder>";

/// How what is under way in a work tree comes to its end.
pub(crate) fn end(operation: &str) -> String {
    match operation {
        "rebase" | "merge" | "cherry-pick" | "revert" => {
            format!("go on with: git {operation} --continue; or give up with: git {operation} --abort")
        }
        "bisect" => "end the bisect with: git bisect reset".to_owned(),
        other => format!("end the {other} or abort it"),
    }
}

/// How a work tree comes to follow its branch.
pub(crate) fn let_follow(busy: &Busy) -> String {
    match busy {
        Busy::Dirty(_) => "commit or stash the changes, then try again".to_owned(),
        Busy::Under { operation, .. } => format!("{}; then try again", end(operation)),
        Busy::Gone(_) => FIND_WORK_TREE.to_owned(),
        Busy::Locked { lock, .. } => unlock(lock),
        Busy::InTheWay { .. } => "move what is in the way aside, then try again".to_owned(),
    }
}

/// How old a lock file has to be before somebody is told to take it away: whoever holds it need not be seen, as in a container
/// or on another machine.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// How to go on where a lock file of git stays.
pub(crate) fn unlock(lock: &HeldLock) -> String {
    let remove = format!("rm -- {}", shell_word(&lock.path.to_string_lossy()));
    match &lock.holder {
        Holder::Process { .. } => "wait until that has ended, then try again".to_owned(),
        Holder::Nobody if lock.age < LEFT_BEHIND => {
            format!(
                "another process may be at work: try again in a minute; if the file is still there then, remove it with: {remove}"
            )
        }
        Holder::Nobody => format!("a git that died left the file: remove it with: {remove}"),
        Holder::Unknown => {
            format!(
                "wait until every git that works here has ended; if there is none, remove it with: {remove}"
            )
        }
    }
}

/// How a branch becomes one that can be rebased.
pub(crate) fn make_rebasable(skip: &Skip, onto: &str, branch: &RefName) -> Option<String> {
    let linear = put_upon_named(onto, branch);
    let (onto, branch) = (shell_word(onto), typed(branch));
    match skip {
        Skip::Merges(_) => Some(format!("make the branch linear with: {linear}")),
        Skip::EditedMerge(merge) => {
            Some(format!("look at that, as a rebase leaves it out: {}", show_merge(*merge)))
        }
        Skip::Unrelated(_) => Some(format!("if it belongs there: {REBASE} --root --onto {onto} {branch}")),
        Skip::Unresolved(_) => Some("resolve it, as with 'jj resolve'".to_owned()),
        Skip::Shallow(_) => Some("get the whole history with: git fetch --unshallow".to_owned()),
        Skip::Landed => Some(format!(
            "nothing of it is left to deploy; take it out with: git deploy-state set development {branch}"
        )),
        Skip::Failed(_) => None,
    }
}

/// What to do about a remote that was not reached: why, in git's words.
pub(crate) fn reach(remote: &str, why: &str) -> String {
    // The words of the libraries that git may be built with.
    let untrusted = [
        "server certificate verification failed",
        "unable to get local issuer certificate",
        "unable to get issuer certificate",
        "self-signed certificate",
        "self signed certificate",
        "unable to verify the first certificate",
    ];
    if untrusted.iter().any(|words| why.contains(words)) {
        let path = "<absolute path of its certificate>";
        return format!("if a CA of your own vouches for it: git config http.<its URL>.sslCAInfo {path}");
    }
    format!("see whether it answers: git ls-remote {}", shell_word(remote))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_away_at_once_only_where_it_is_old() {
        let unlock = |seconds, holder| {
            let (path, age) = ("/shop/config.lock".into(), Duration::from_secs(seconds));
            unlock(&HeldLock { path, age, owner: None, holder })
        };
        let (young, old) = (unlock(0, Holder::Nobody), unlock(60, Holder::Nobody));
        assert!(young.starts_with("another process may be at work: try again"), "{young}");
        assert!(old.starts_with("a git that died left the file"), "{old}");
        assert!([young, old].iter().all(|told| told.ends_with("rm -- /shop/config.lock")));
        assert!(unlock(0, Holder::Unknown).starts_with("wait until every git"));
    }

    #[test]
    fn only_changes_are_to_be_committed_before_a_work_tree_follows() {
        let path = || "/shop".to_owned();
        let rebase = let_follow(&Busy::Under { path: path(), operation: "rebase" });
        assert!(
            rebase.contains("git rebase --continue") && rebase.contains("git rebase --abort"),
            "{rebase}"
        );
        let others = [
            Busy::Under { path: path(), operation: "bisect" },
            Busy::Gone(path()),
            Busy::InTheWay { path: path(), why: String::new() },
        ];
        assert!(let_follow(&Busy::Dirty(path())).starts_with("commit or stash"));
        let told = others.map(|busy| let_follow(&busy));
        assert!(told[0].contains("end the bisect") && told[1].contains("git worktree prune"), "{told:?}");
        assert!(told.iter().all(|told| !told.contains("commit")), "{told:?}");
    }
}
