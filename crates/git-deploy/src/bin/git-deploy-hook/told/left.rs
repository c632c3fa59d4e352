//! Branches that leave what was decided on, by a push, a merge, a commit or a rewrite, and how each is ready again.

use git_deploy_cli::{
    LEFT_OUT, REBASE, Shell, beside, bring_again, push_over, put_upon, shell_word, show_merge,
    told_taken_back, wish_again,
};
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::ops::carry::{Left as LeftBehind, Why};
use git_deploy_core::ops::hooks::{Left, LeftApproved, LeftByPush, MergedThere, Replaced, Unheld};
use git_deploy_core::ops::set_state::Wished;
use git_deploy_core::ops::sweep::Apart;
use git_deploy_core::rebase::Skip;
use git_deploy_core::state::{Decision, State};

use super::MANY;

/// Tells of branches that leave an approved commit with a push, and how each is ready again, in the order in which that works.
pub(super) fn left_by_push(remote: &str, left: &LeftByPush, shell: &mut Shell) {
    let LeftByPush { branch, pushed, left, is_merge, edited, base, apart, unnamed, instead, wished } = left;
    shell.note(became(branch, *left, "this push", None));
    if let Some(approved) = instead {
        let lease = shell_word(&format!("--force-with-lease={}:{pushed}", branch.short()));
        let back = back(&format!("{lease} "), remote, *approved, branch);
        shell.hint(format!("if that was not meant: {back}"));
        return;
    }
    if let Some(theirs) = apart {
        let (_, look) = beside(branch, theirs, base, Apart::Look);
        shell.hint(format!("yours has not got what is pushed; look at what differs: {look}"));
        return;
    }
    if let Some(merge) = edited {
        shell.hint(format!("{LEFT_OUT}: {}", show_merge(*merge)));
        return;
    }
    if *is_merge {
        let linear = match unnamed {
            // git rebases only branches that are here.
            Some(new) => {
                let (name, base) = (shell_word(branch.short()), shell_word(base.short()));
                format!("git switch -c {name} {} && {REBASE} {base}", new.brief())
            }
            None => put_upon(base, branch),
        };
        shell.hint(format!("as nothing rebases a merge: {linear}"));
        shell.hint(format!("then: {}", push_over(remote, branch, *pushed)));
    }
    when_ready(branch, left.was, wished, shell);
}

/// Says what of somebody else's a push has replaced.
pub(super) fn told_replaced(replaced: &Replaced, remote: &str, shell: &mut Shell) {
    let Replaced { branch, old, new, state, by } = replaced;
    let by = by.split_once(" <").map_or(by.as_str(), |(name, _)| name);
    shell.warn(format!(
        "this push replaces '{}' on '{remote}' at {}, which {by} has set to {state}",
        branch.short(),
        old.brief()
    ));
    shell.hint(format!(
        "look at what differs between both: git range-diff --no-notes {}...{}",
        old.brief(),
        new.brief()
    ));
    let lease = shell_word(&format!("--force-with-lease={}:{new}", branch.short()));
    shell.hint(format!("to have it back: {}", back(&format!("{lease} "), remote, *old, branch)));
}

/// Tells of a hold that a push ends, and how it is put on again.
pub(super) fn told_unheld(Unheld { branch, hold, holder }: &Unheld, shell: &mut Shell) {
    let name = branch.short();
    let since = holder.since.map(|since| format!(" since {since}")).unwrap_or_default();
    shell.warn(format!(
        "with this push '{name}' is on hold no more, as it was{since} by {}: {hold}",
        holder.by
    ));
    let (why, name) = (shell_word(hold), shell_word(name));
    shell.hint(format!("to hold it again: git deploy-queue hold --reason={why} {name}"));
}

/// How a branch on the remote gets back to a commit, whose note has stayed where it is.
pub(super) fn back(options: &str, remote: &str, commit: CommitId, branch: &RefName) -> String {
    let refspec = format!("{}:{branch}", commit.brief());
    format!("git push {options}{} {}", shell_word(remote), shell_word(&refspec))
}

/// Tells of states that stayed on old commits.
pub(super) fn left_behind(left: &[LeftBehind], shell: &mut Shell) {
    for LeftBehind { branch, old, state, decision, why, remote, wished } in left.iter().take(MANY) {
        let there = remote.as_deref().map(|remote| (remote, *state));
        shell.note(is_now(branch, State::Development, &format!("it was {state}, and {why}"), there));
        if let Some(remote) = remote {
            shell.hint(format!("to replace it there: {}", push_over(remote, branch, *old)));
        }
        if let Why::Skipped(Skip::Shallow(_)) = why {
            shell.hint("get the whole history with: git fetch --unshallow");
        }
        if let Why::NotOn(_, Some(taken)) = why {
            // A rebase would bring only what has come since base has had it.
            shell.note(told_taken_back(branch, taken));
            bring_again(taken).into_iter().for_each(|hint| shell.hint(hint));
        } else if let Why::NotOn(base, None) = why {
            // It would be refused as long as it is broken.
            shell.hint(format!("mend it with: {}", put_upon(base, branch)));
        } else if let Some(decision @ (Decision::Deployable | Decision::Staged)) = decision {
            let when = match why {
                Why::TakenBack(_) => "if it is to come again all the same",
                _ => "if it is ready as it is now",
            };
            let hints = wish_again(when, branch, State::from(*decision), wished);
            hints.into_iter().for_each(|hint| shell.hint(hint));
        }
    }
    if left.len() > MANY {
        shell.note(format!("and {} more; see them all: git deploy-state list --stale", left.len() - MANY));
    }
}

/// Tells of a branch of ours that has left an approved commit with the last thing that was done; of a merge, which nobody can
/// set again as it is, what to do.
pub(super) fn left_approved(left: &LeftApproved, by: &str, shell: &mut Shell) {
    let LeftApproved { branch, left, is_merge, there, remote, wished } = left;
    shell.note(became(branch, *left, by, remote.as_deref()));
    if let Some(MergedThere { remote, base, tip, edited }) = there {
        // To take it back here would be to follow what is there, and to get it again.
        if let Some(merge) = edited {
            shell.hint(format!("{LEFT_OUT}: {}", show_merge(*merge)));
            return;
        }
        // Of a branch that was pulled alone the merge may have more of base than what was fetched of that.
        let (fetch, linear) = (shell_word(remote), put_upon(base, branch));
        shell.hint(format!("as nothing rebases a merge: git fetch {fetch} && {linear}"));
        shell.hint(format!("then: {}", push_over(remote, branch, *tip)));
        when_ready(branch, left.was, wished, shell);
    } else if *is_merge {
        let branch = shell_word(branch.short());
        shell.hint(format!("instead of the merge: git reset --keep ORIG_HEAD && git deploy-rebase {branch}"));
    } else {
        when_ready(branch, left.was, wished, shell);
    }
}

fn when_ready(branch: &RefName, state: State, wished: &Wished, shell: &mut Shell) {
    wish_again("when it is ready again", branch, state, wished).into_iter().for_each(|hint| shell.hint(hint));
}

/// What is said of a branch that has left an approved commit, which a remote may have still.
fn became(branch: &RefName, left: Left, by: &str, remote: Option<&str>) -> String {
    let because = format!("{} was the commit before {by}", left.was);
    is_now(branch, left.now, &because, remote.map(|remote| (remote, left.was)))
}

/// What is said of a branch that is in another state now, and why; on a remote it may be what it was.
pub(super) fn is_now(branch: &RefName, now: State, because: &str, there: Option<(&str, State)>) -> String {
    let told = format!("'{}' is {} now: {because}", branch.short(), in_words(now));
    match there {
        Some((remote, was)) => format!("{told}; on '{remote}' it is as it was, and {was}"),
        None => told,
    }
}

pub(super) fn in_words(state: State) -> String {
    match state {
        State::Development => "in development".to_owned(),
        state => state.to_string(),
    }
}
