//! What the hooks tell, all of it on standard error.

mod left;

use std::cell::RefCell;

use git_deploy_cli::{
    CommandError, REPLACE, Shell, ask_again, beside, bring_again, follow_landed, landed_elsewhere, push_over,
    put_upon, shell_word, told_taken_back, warn_of_note, which,
};
use git_deploy_core::git::notes::NOTES_REF;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::Observer;
use git_deploy_core::ops::carry::{Carry, Left as LeftBehind};
use git_deploy_core::ops::fetched::TakenBack;
use git_deploy_core::ops::hooks::{
    LeftApproved, MergedInto, Passed, PostMerge, PrePush, TagChange, Unpublished, Warning,
};
use git_deploy_core::ops::sweep::Apart;
use git_deploy_core::ops::sync::{Differing, SyncError, Withdrawn};
use git_deploy_core::state::State;
use git_deploy_image::without_credentials;

use left::{back, in_words, is_now, left_approved, left_behind, left_by_push, told_replaced, told_unheld};

/// How many branches or tags are told of one by one.
pub(crate) const MANY: usize = 10;

/// How much is said after one merge about what to do.
const HINTS: usize = 3;

/// Keeps what is worth a word until the shell is free.
#[derive(Default)]
pub(crate) struct Heard(RefCell<Vec<Word>>);

/// Something that came up.
enum Word {
    Warning(String),
    Note(String),
    Withdrawn(Vec<Withdrawn>),
}

impl Observer for Heard {
    fn step(&self, _: &str, _: &str) {}

    fn warn(&self, text: &str) {
        self.0.borrow_mut().push(Word::Warning(text.to_owned()));
    }

    fn note(&self, text: &str) {
        self.0.borrow_mut().push(Word::Note(text.to_owned()));
    }

    fn withdrawn(&self, withdrawn: &[Withdrawn]) {
        self.0.borrow_mut().push(Word::Withdrawn(withdrawn.to_vec()));
    }
}

impl Heard {
    pub(crate) fn tell(self, shell: &mut Shell) {
        for word in self.0.into_inner() {
            match word {
                Word::Warning(text) => shell.warn(text),
                Word::Note(text) => shell.note(text),
                Word::Withdrawn(withdrawn) => shell.withdrawn(&withdrawn),
            }
        }
    }
}

pub(crate) fn refusal(
    remote: &str,
    changed: &[TagChange],
    differing: &[(RefName, Differing)],
) -> CommandError {
    let what = changed.iter().map(|tag| {
        let verb = if tag.new.is_none() { "deleted" } else { "moved" };
        format!("'{}' would be {verb}", tag.name.short())
    });
    let what: Vec<String> = what.take(MANY).chain(more(changed.len())).collect();
    let error = CommandError::no(format!("cannot push to '{remote}': deployment tag {}", what.join(", ")));
    let error =
        error.hint("deployment tags tell what ran when, and are only ever added: leave them out of the push");
    differing.iter().map(|(tag, how)| which(tag, remote, how)).fold(error, CommandError::hint)
}

/// How many there are besides those that are named.
fn more(count: usize) -> Option<String> {
    let more = count.saturating_sub(MANY);
    (more > 0).then(|| format!("and {more} more"))
}

/// The refusal of a push that would delete what all clones share.
pub(crate) fn refused_deletion(remote: &str, deleted: &[RefName]) -> CommandError {
    let named = deleted.iter().take(MANY).map(|name| format!("'{name}'"));
    let named: Vec<String> = named.chain(more(deleted.len())).collect();
    CommandError::no(format!("cannot push to '{remote}': {} would be deleted", named.join(", ")))
        .hint("what is decided about branches and known of deployments is kept there for all clones: leave it out of the push")
}

/// The refusal of a push that would take back what others have decided. Git says nothing of whether it is by force.
pub(crate) fn refused_states(remote: &str) -> CommandError {
    CommandError::no(format!(
        "cannot push to '{remote}': states that were decided on there would be taken out of '{NOTES_REF}'"
    ))
    .hint(format!(
        "states are published by git-deploy, which keeps both: leave '{NOTES_REF}' out of the push, and run: git deploy-sync"
    ))
}

/// The refusal of a push that would make a remote what this clone is.
pub(crate) fn refused_mirror(remote: &str) -> CommandError {
    CommandError::no(format!(
        "cannot push to '{remote}': a mirror of this clone would delete there what it has not fetched"
    ))
    .hint("push branches by name, as with: git push <remote> <branch>")
}

pub(crate) fn pre_push(remote: &str, said: PrePush, shell: &mut Shell) {
    // Of one push only what base gets by it may be very much.
    let (by_hand, others): (Vec<_>, Vec<_>) =
        said.warnings.into_iter().partition(|warning| matches!(warning, Warning::ByHand { .. }));
    let further = by_hand.len().saturating_sub(MANY);
    for warning in others.iter().chain(by_hand.iter().take(MANY)) {
        match warning {
            Warning::Broken { branch: name, pushed, base: told_base, paths, taken } => {
                let (branch, base) = (name.short(), told_base.short());
                shell.warn(format!(
                    "'{branch}' is broken: it cannot be rebased on '{base}'{}",
                    conflicts(paths)
                ));
                // A rebase would bring only what has come since base has had it.
                if let Some(taken) = taken {
                    bring_again(taken).into_iter().for_each(|hint| shell.hint(hint));
                } else {
                    shell.hint(format!("mend it with: {}", put_upon(told_base, name)));
                    // What this push brings there is what it has to replace.
                    shell.hint(format!("then: {}", push_over(remote, name, *pushed)));
                }
            }
            Warning::Rebased(branch) => {
                shell.warn(format!("'{}' on '{remote}' was rebased, and yours was not", branch.short()));
                follow(branch, shell);
            }
            Warning::RewrittenHere(branch, there) => {
                let name = branch.short();
                shell.note(format!("'{name}' was rewritten here, and differs from that of '{remote}'"));
                shell.hint(format!("instead of 'git pull': {}", push_over(remote, branch, *there)));
            }
            Warning::Apart { branch, there, theirs, base, apart } => {
                shell.note(format!("'{}' on '{remote}' has commits that yours has not", branch.short()));
                let (how, command) = beside(branch, there, base, *apart);
                shell.hint(match apart {
                    Apart::Upon | Apart::BeyondBase => {
                        format!("instead of 'git pull', as nothing rebases a merge: {command}")
                    }
                    Apart::Mended { .. } | Apart::Merge(_) | Apart::Look | Apart::Replaces => {
                        format!("instead of 'git pull', {how}: {command}")
                    }
                });
                if *apart == Apart::Replaces {
                    shell.hint(format!("{REPLACE}: {}", push_over(remote, branch, *theirs)));
                }
            }
            Warning::Replaced(replaced) => told_replaced(replaced, remote, shell),
            Warning::Unheld(unheld) => told_unheld(unheld, shell),
            Warning::Landed(branch, landed) => {
                shell.warn(landed_elsewhere(branch, landed));
                let hints = follow_landed([(branch, landed)]);
                hints.iter().for_each(|hint| shell.hint(format!("instead of a push: {hint}")));
            }
            Warning::Moved { branch, state, forced } => {
                let name = branch.short();
                let told = format!(
                    "'{name}' on '{remote}' is not what was last fetched: as it is {state}, it may have been rebased"
                );
                shell.warn(match forced {
                    Some(now) => format!("{told}; if this push is forced, it is {} then", in_words(*now)),
                    None => told,
                });
                follow(branch, shell);
            }
            Warning::Back { branch, state, taken } => {
                let done = match taken {
                    TakenBack::To(there) => format!("was set back to {} there", there.brief()),
                    TakenBack::Deleted => "was deleted there".to_owned(),
                };
                let name = branch.short();
                shell.warn(format!("this push brings '{name}' back to '{remote}' as {state}: it {done}"));
                let name = shell_word(name);
                shell
                    .hint(format!("where it is not to be deployed: git deploy-state set development {name}"));
            }
            Warning::Left(left) => left_by_push(remote, left, shell),
            Warning::SetBack { base, lost } => {
                let lost: Vec<String> =
                    lost.iter().map(ToString::to_string).take(MANY).chain(more(lost.len())).collect();
                shell.warn(format!(
                    "this push sets '{}' back, which lacks {} then: what was deployed is not on it any more",
                    base.short(),
                    lost.join(", ")
                ));
            }
            Warning::ByHand { branch, was, base } => {
                let how = format!("'{}' gets all of it by this push, without a deployment", base.short());
                shell.note(is_now(branch, State::Development, &format!("it was {was}, and {how}"), None));
            }
            Warning::Deleted { branch, was, tip } => {
                shell
                    .note(format!("'{}' is gone now: {was} was the commit before this push", branch.short()));
                if let Some(tip) = tip {
                    shell.hint(format!("to have it back: {}", back("", remote, *tip, branch)));
                }
            }
            Warning::Note(error) => warn_of_note(error, shell),
        }
    }
    if further > 0 {
        shell.note(format!("and {further} more; see them all: git deploy-state list"));
    }
    match said.unpublished {
        None => {}
        Some(Unpublished::Unnamed(name)) => {
            shell
                .note(format!("the states of branches were not published: this push does not name '{name}'"));
            shell.hint("publish them with: git deploy-sync");
        }
        Some(Unpublished::NoRemote) => {
            shell.note("the states of branches stay here: no remote is configured that they could go to");
            // A password that somebody pushes with is nothing for a log, or for the configuration.
            let is_harmless = without_credentials(remote) == remote;
            let address = if is_harmless { shell_word(remote) } else { "<address>".into() };
            shell.hint(format!("if that is the one: git remote add origin {address}"));
        }
    }
    match said.published {
        None => {}
        Some(Ok(())) => shell.verbose(1, format!("published the states of branches on '{remote}'")),
        Some(Err(error)) => {
            let again = !matches!(error, SyncError::Broken(_));
            failure("the states of branches were not published", error, shell);
            if again {
                shell.hint("try again with: git deploy-sync");
            }
        }
    }
}

/// Tells what would end a command, and here ends nothing.
pub(crate) fn failure(what: &str, error: impl Into<CommandError>, shell: &mut Shell) {
    let error = error.into();
    shell.warn(format!("{what}: {}", error.message()));
    for hint in error.hints() {
        shell.hint(hint);
    }
}

/// A merging `git pull` would put the old commits back.
fn follow(branch: &RefName, shell: &mut Shell) {
    let branch = shell_word(branch.short());
    shell.hint(format!("instead of 'git pull': git deploy-sync && git deploy-rebase {branch}"));
}

pub(crate) fn post_merge(said: &PostMerge, shell: &mut Shell) {
    let base = said.base.short();
    for error in said.malformed.iter().take(MANY) {
        warn_of_note(error, shell);
    }
    for passed in said.branches.iter().take(MANY) {
        shell.note(match passed {
            Passed::Behind(branch, state) => format!("'{}' is {state} and behind '{base}'", branch.short()),
            Passed::Broken(branch, paths) => {
                format!(
                    "'{}' is broken: it cannot be rebased on '{base}'{}",
                    branch.short(),
                    conflicts(paths)
                )
            }
            Passed::Landed(branch, deployment) => {
                format!("'{}' has landed as '{deployment}'", branch.short())
            }
            Passed::LandedElsewhere(branch, landed) => landed_elsewhere(branch, landed),
            Passed::Merged(branch, was, MergedInto::Unpushed) => format!(
                "'{}' is {was}: when this merge is pushed, '{base}' has all of it without a deployment",
                branch.short()
            ),
            Passed::TakenBack(branch, was, taken) => match (was, told_taken_back(branch, taken)) {
                (Some(was), told) => {
                    is_now(branch, State::Development, &format!("it was {was}, and {told}"), None)
                }
                (None, told) => told,
            },
            Passed::Merged(branch, was, MergedInto::Theirs | MergedInto::Ours) => {
                let because = format!("it was {was}, and '{base}' has got all of it without a deployment");
                is_now(branch, State::Development, &because, None)
            }
        });
    }
    if said.branches.len() > MANY {
        shell.note(format!("and {} more; see them all: git deploy-state list", said.branches.len() - MANY));
    }
    said.left.iter().for_each(|left| left_approved(left, "this merge", shell));
    // What to do about the branch itself that has left is said above.
    let most = HINTS - usize::from(said.left.is_some());
    after_merge(&said.branches, most).into_iter().for_each(|hint| shell.hint(hint));
}

/// What to do after a merge: the most urgent of it.
fn after_merge(branches: &[Passed], most: usize) -> Vec<String> {
    let is_any = |is_it: fn(&Passed) -> bool| branches.iter().any(is_it);
    let mut hints = Vec::new();
    if is_any(|passed| matches!(passed, Passed::Merged(.., MergedInto::Ours | MergedInto::Unpushed))) {
        hints.push("to have that deployed instead: git reset --keep ORIG_HEAD".to_owned());
    }
    if is_any(|passed| matches!(passed, Passed::Behind(..) | Passed::Broken(..))) {
        hints.push("git deploy-rebase".to_owned());
    }
    let elsewhere = branches.iter().filter_map(|passed| match passed {
        Passed::LandedElsewhere(branch, landed) => Some((branch, landed)),
        _ => None,
    });
    hints.extend(follow_landed(elsewhere.take(MANY)));
    let taken = branches.iter().filter_map(|passed| match passed {
        Passed::TakenBack(branch, ..) => Some(branch),
        _ => None,
    });
    hints.extend(ask_again(taken));
    let landed = branches.iter().filter_map(|passed| match passed {
        Passed::Landed(branch, _) | Passed::Merged(branch, _, MergedInto::Theirs) => {
            Some(shell_word(branch.short()))
        }
        _ => None,
    });
    let landed: Vec<String> = landed.take(MANY).collect();
    if !landed.is_empty() {
        hints.push(format!("what has landed is no longer needed: git branch -d {}", landed.join(" ")));
    }
    hints.truncate(most);
    hints
}

/// What failed where a rewrite was told to us.
pub(crate) const NOT_CARRIED: &str = "git-deploy cannot carry the states of branches";

pub(crate) fn post_rewrite(said: Carry, shell: &mut Shell) {
    let Carry { left, copied, malformed, unwritten } = said;
    let (error, unwritten) = unwritten.map_or_else(Default::default, |(error, left)| (Some(error), left));
    error.into_iter().for_each(|error| failure(NOT_CARRIED, error, shell));
    left_behind(&unwritten, shell);
    for error in malformed.iter().take(MANY) {
        warn_of_note(error, shell);
    }
    for LeftBehind { branch, state, why, .. } in copied.iter().take(MANY) {
        let branch = branch.short();
        shell.warn(format!("'{branch}' is {state}, which git has copied from its old commits, and {why}"));
        shell.hint(format!("if it is not ready: git deploy-state set development {}", shell_word(branch)));
        shell.hint("take the notes of git-deploy out of 'notes.rewriteRef', or unset that");
    }
    left_behind(&left, shell);
}

pub(crate) fn post_commit(left: &LeftApproved, shell: &mut Shell) {
    left_approved(left, "this one", shell);
}

fn conflicts(paths: &[String]) -> String {
    let shown = paths.iter().take(MANY).cloned().collect::<Vec<_>>().join(", ");
    match paths.len() {
        0 => String::new(),
        count if count > MANY => format!(" ({shown} and {} more conflict)", count - MANY),
        1 => format!(" ({shown} conflicts)"),
        _ => format!(" ({shown} conflict)"),
    }
}

#[cfg(test)]
mod tests {
    use git_deploy_core::ids::CommitId;
    use git_deploy_core::ops::view::LandedElsewhere;

    use super::*;

    #[test]
    fn after_a_merge_the_most_urgent_is_said_first_and_not_all_of_it() {
        let branch = |name| RefName::branch(name).unwrap();
        let commit = CommitId("1".repeat(40).parse().unwrap());
        let (deployment, is_current) = (None, false);
        let landed = |is_whole| LandedElsewhere {
            deployment: deployment.clone(),
            commit,
            upstream: commit,
            is_whole,
            is_current,
        };
        let branches = [
            Passed::Behind(branch("behind"), State::Staged),
            Passed::Landed(branch("landed"), "deployment-0001".parse().unwrap()),
            Passed::LandedElsewhere(branch("whole"), landed(true)),
            Passed::LandedElsewhere(branch("partly"), landed(false)),
            Passed::Merged(branch("merged"), State::Deployable, MergedInto::Ours),
        ];
        assert_eq!(after_merge(&branches, 10).len(), 5);
        let said = after_merge(&branches, HINTS);
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("to have that deployed instead: ") && said[1] == "git deploy-rebase");
    }
}
