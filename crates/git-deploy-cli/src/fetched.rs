//! What several commands say about the remote that counts.

use git_deploy_core::branch::Branch;
use git_deploy_core::config::{NoRemote, counting_remote};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::{NOTES_REF, NotesError};
use git_deploy_core::git::push::Tracking;
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::ops::fetched::{
    Merged, merged, never_fetched, overwriting, remote_of, tag_alone, taken_back, unmerged,
};
use git_deploy_core::ops::set_state::Wished;
use git_deploy_core::ops::sweep::{Advice, Apart, Standing, standing};
use git_deploy_core::ops::view::{View, ViewError};
use git_deploy_core::state::State;

use crate::advice::advice;
use crate::{
    CommandError, REBASE, Shell, bring_again, printable, put_upon, shell_word, show_merge, wish_again,
};

/// Says so where states do not count here yet: no remote does, it was never asked for them, or a plain `git fetch` brought
/// them.
///
/// # Errors
/// When refs cannot be read.
pub fn note_unmerged(view: &View<'_>, shell: &mut Shell) -> Result<(), CommandError> {
    note_no_remote(view.repository, shell);
    warn_of_refspec(view.repository, view.settings.remote.as_ref(), shell)?;
    if let Some(tracking) = never_fetched(view)? {
        shell.note(format!("states of '{}' were never fetched", tracking.remote()));
        shell.hint("get them with: git deploy-sync");
    }
    if let Some(tracking) = unmerged(view)? {
        let remote = tracking.remote();
        shell.note(format!("states of '{remote}' were fetched and are not merged: git deploy-sync"));
    }
    Ok(())
}

/// Says so where a plain `git fetch` has brought the tags of deployments, and nothing else of what happened.
///
/// # Errors
/// When refs cannot be read.
pub fn note_tags_alone(view: &View<'_>, shell: &mut Shell) -> Result<(), CommandError> {
    // That is said by whoever says that states were never fetched.
    if never_fetched(view)?.is_some() {
        return Ok(());
    }
    for deployment in view.ledger()?.deployments.iter().rev() {
        if let Some(tracking) = tag_alone(view, &deployment.id)? {
            shell.note(format!(
                "{} came by a plain 'git fetch': what holds, approvals and deployments under way there are on '{}' by now is not known: git deploy-sync",
                deployment.id,
                tracking.remote()
            ));
            break;
        }
    }
    Ok(())
}

/// Warns where each `git fetch` would throw away what was decided and is not published.
///
/// # Errors
/// When the configuration cannot be read.
pub fn warn_of_refspec(
    repository: &Repository,
    remote: Option<&Tracking>,
    shell: &mut Shell,
) -> Result<(), CommandError> {
    let Some(tracking) = remote else { return Ok(()) };
    let Some(refspec) = overwriting(repository, tracking)? else { return Ok(()) };
    let key = shell_word(&format!("remote.{}.fetch", tracking.remote()));
    shell.warn(format!(
        "each 'git fetch' throws away the states that are not published, by {key} = {refspec}"
    ));
    shell
        .hint(format!("take that out with: git config --fixed-value --unset {key} {}", shell_word(&refspec)));
    shell.hint(format!("what was there before stands in: git reflog {NOTES_REF}"));
    Ok(())
}

/// How a branch gets to a remote in the place of what was there: only while that is the commit that somebody here has seen, and
/// that theirs is made from. What git has fetched last may be another by the time.
pub fn push_over(remote: &str, branch: &RefName, seen: CommitId) -> String {
    let lease = shell_word(&format!("--force-with-lease={}:{seen}", branch.short()));
    format!("git push {lease} {} {}", shell_word(remote), shell_word(branch.short()))
}

/// What is to be done about the remote when a branch is rebased by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// Afterwards: how it gets there.
    Push(String),
    /// Before: how it gets what is there, which nobody here has seen yet.
    First(String),
    /// Not at all: somebody else has done that, and this is how it gets there.
    Instead(String),
}

/// How a branch that is to be rebased by hand gets to the remote, if that has it.
///
/// # Errors
/// When refs, reflogs or history cannot be read.
pub fn push_again(view: &View<'_>, branch: &RefName) -> Result<Option<Again>, CommandError> {
    let Some(tracking) = remote_of(view, branch)? else { return Ok(None) };
    let there = view.settings.authority(branch);
    let Some(theirs) = view.repository.tip(&there)? else { return Ok(None) };
    let push = || Some(Again::Push(push_over(tracking.remote(), branch, theirs)));
    let ours = view.repository.tip(branch)?;
    let name = shell_word(branch.short());
    let Some(ours) = ours else { return Ok(push()) };
    if view.repository.is_ancestor(theirs, ours)? {
        if taken_back(view, branch, ours)?.is_some() {
            let there = shell_word(there.short());
            return Ok(Some(Again::First(format!(
                "look at what was taken out there: git log {there}..{name}"
            ))));
        }
        return Ok(match merged(view, ours, theirs)? {
            Some(Merged::Edited(merge)) => Some(Again::First(format!("{LEFT_OUT}: {}", show_merge(merge)))),
            Some(Merged::Base | Merged::Other) | None => push(),
        });
    }
    Ok(match standing(view, &view.listed_branch(branch)?.0)? {
        Standing::RebasedHere | Standing::RewrittenHere => push(),
        Standing::Behind => Some(Again::First(further(branch, &shell_word(there.short())))),
        Standing::RebasedThere => Some(Again::First(follow(&name))),
        Standing::Apart(apart) => {
            let base = view.settings.authority(&view.settings.base);
            let (how, command) = beside(branch, &there, &base, apart);
            let is_mended = matches!(apart, Apart::Mended { .. });
            Some(if is_mended { Again::Instead(format!("{how}: {command}")) } else { Again::First(command) })
        }
        Standing::LandedThere => None,
    })
}

/// How a branch is rebased by hand: `how`, with what has to come before it, and how the branch gets to the remote then.
///
/// # Errors
/// When refs, reflogs or history cannot be read.
pub fn by_hand(view: &View<'_>, branch: &RefName, how: String) -> Result<Vec<String>, CommandError> {
    // A rebase would bring only what has come since, and leave nothing that says so.
    let tip = view.branch_tip(branch)?.ok_or_else(|| ViewError::NoBranch(branch.clone()))?;
    if let Some(taken) = view.beginning_taken_back(branch, tip)? {
        return Ok(bring_again(&taken));
    }
    Ok(match push_again(view, branch)? {
        Some(Again::First(first)) => vec![format!("first: {first}"), how],
        Some(Again::Instead(instead)) => vec![instead],
        Some(Again::Push(push)) => vec![how, format!("then: {push}")],
        None => vec![how],
    })
}

/// What to do about a branch that is left as it is.
///
/// # Errors
/// When refs, reflogs or history cannot be read.
pub fn advise(
    view: &View<'_>,
    told: &Advice,
    onto: &RefName,
    branch: &RefName,
) -> Result<Vec<String>, CommandError> {
    let Some(how) = advice(told, onto, branch) else { return Ok(Vec::new()) };
    match told {
        Advice::Skip(skip) if skip.is_for_hands() => by_hand(view, branch, how),
        _ => Ok(vec![how]),
    }
}

/// The branch that counts. That its note cannot be read is told where the branches are listed.
///
/// # Errors
/// When refs or notes cannot be read.
pub fn counting(view: &View<'_>, name: &RefName) -> Result<Option<Branch>, CommandError> {
    match view.authority_branch(name) {
        Err(ViewError::Notes(NotesError::Note { .. })) => Ok(None),
        theirs => Ok(theirs?),
    }
}

/// What to do about a branch that the remote has not, or has another of.
///
/// # Errors
/// When refs, reflogs or history cannot be read.
pub fn bring_together(
    view: &View<'_>,
    ours: &Branch,
    theirs: Option<&Branch>,
) -> Result<Vec<String>, CommandError> {
    let Some(tracking) = &view.settings.remote else { return Ok(Vec::new()) };
    let there = view.settings.authority(&ours.name);
    let (remote, there, name) =
        (shell_word(tracking.remote()), shell_word(there.short()), shell_word(ours.name.short()));
    if taken_back(view, &ours.name, ours.tip)?.is_some() {
        return Ok(vec![keep_out(ours, theirs.map(|_| there))]);
    }
    let Some(theirs) = theirs else { return Ok(vec![format!("push it: git push -u {remote} {name}")]) };
    // An approval of what is there is none of what is here.
    let undecided = ours.state() == State::Development && theirs.state().is_rebased();
    let again = match theirs.note.as_ref().filter(|_| undecided) {
        Some(note) => wish_again("then decide anew", &ours.name, theirs.state(), &Wished::of(view, note)?),
        None => Vec::new(),
    };
    if view.repository.is_ancestor(theirs.tip, ours.tip)? {
        let hints = match merged(view, ours.tip, theirs.tip)? {
            Some(merged) => unmerge(view, ours, theirs, merged),
            None => vec![format!("push it: git push {remote} {name}")],
        };
        return Ok(hints.into_iter().chain(again).collect());
    }
    let push = push_over(tracking.remote(), &ours.name, theirs.tip);
    Ok(match standing(view, ours)? {
        Standing::RebasedThere => {
            [format!("bring them together: {}", follow(&name))].into_iter().chain(again).collect()
        }
        Standing::RebasedHere => vec![format!("it was rebased here; push it: {push}")],
        Standing::RewrittenHere => {
            let hint = format!("it was rewritten here, from what is there; push it: {push}");
            [hint].into_iter().chain(again).collect()
        }
        Standing::Behind => vec![further(&ours.name, &there)],
        Standing::Apart(apart) => {
            let (authority, base) =
                (view.settings.authority(&ours.name), view.settings.authority(&view.settings.base));
            let (how, command) = beside(&ours.name, &authority, &base, apart);
            let look = matches!(apart, Apart::Upon | Apart::BeyondBase)
                .then(|| format!("look at what came there: git log --left-right {name}...{there}"));
            let replace = (apart == Apart::Replaces).then(|| format!("{REPLACE}: {push}"));
            let is_further = look.is_some() || matches!(apart, Apart::Mended { is_further: true, .. });
            let again = if is_further { again } else { Vec::new() };
            look.into_iter().chain([format!("{how}: {command}")]).chain(replace).chain(again).collect()
        }
        Standing::LandedThere => {
            vec![format!("what is there has landed; look at what is yours alone: git log {there}..{name}")]
        }
    })
}

/// What to do about a branch that somebody has taken back where it counts, to `there` or altogether. Never to push it: that would
/// undo what was decided there.
fn keep_out(ours: &Branch, there: Option<String>) -> String {
    let name = shell_word(ours.name.short());
    match there {
        _ if ours.state().is_rebased() => format!(
            "a push brings that back; where it is not to be deployed: git deploy-state set development {name}"
        ),
        Some(there) => format!("look at what was taken back there: git log {there}..{name}"),
        None => format!("look at what was taken back there: git log {name}"),
    }
}

/// How a branch that has what is there and a merge besides becomes one that can be rebased, and gets there.
fn unmerge(view: &View<'_>, ours: &Branch, theirs: &Branch, merged: Merged) -> Vec<String> {
    let remote = view.settings.remote.as_ref().map_or("", |tracking| tracking.remote());
    let authority = |name| view.settings.authority(name);
    let name = shell_word(ours.name.short());
    let (onto, push) = match merged {
        Merged::Base => (authority(&view.settings.base), push_over(remote, &ours.name, theirs.tip)),
        Merged::Other => (authority(&ours.name), format!("git push {} {name}", shell_word(remote))),
        Merged::Edited(merge) => return vec![format!("{LEFT_OUT}: {}", show_merge(merge))],
    };
    let linear = format!("as nothing rebases a merge: {}", put_upon(&onto, &ours.name));
    vec![linear, format!("then push it: {push}")]
}

/// What a push does to what the remote has of a branch that ours was made from.
pub const REPLACE: &str = "if yours is to replace that";

/// What to do about a merge of ours that changes something itself.
pub const LEFT_OUT: &str = "look at what your merge itself changes, as a rebase leaves that out";

/// What to do about a branch beside which the remote, or `there` as it was fetched, has one that neither was made from: in words, and
/// as a command. Git rebases nothing that somebody has rewritten: it would bring back what was there before.
pub fn beside(branch: &RefName, there: &RefName, base: &RefName, apart: Apart) -> (&'static str, String) {
    let (name, onto) = (shell_word(branch.short()), shell_word(there.short()));
    match apart {
        Apart::Upon => ("bring both together", put_upon(there, branch)),
        Apart::BeyondBase => {
            let base = shell_word(base.short());
            ("bring both together", format!("{REBASE} --onto {onto} {base} {name}"))
        }
        Apart::Mended { old, is_further } => {
            let how = if is_further {
                "it was mended there; where git range-diff shows nothing of yours that is lost, put your further commits upon that"
            } else {
                "it was mended there; where git range-diff shows nothing of yours that is lost, take that"
            };
            (how, format!("{REBASE} --onto {onto} {} {name}", old.brief()))
        }
        Apart::Merge(merge) => (LEFT_OUT, show_merge(merge)),
        Apart::Look | Apart::Replaces => {
            ("look at what differs between both", format!("git range-diff --no-notes {onto}...{name}"))
        }
    }
}

/// How a branch follows a rebase of it that was made elsewhere.
fn follow(name: &str) -> String {
    format!("git deploy-rebase {name}")
}

/// How a branch gets the commits that the remote has further.
fn further(branch: &RefName, there: &str) -> String {
    format!("get its further commits, on '{}': git merge --ff-only {there}", branch.short())
}

/// Says so where there are remotes and none counts: whoever has them may not know that others hear of nothing. What is wrong
/// with the configuration is told by whoever needs it.
pub fn note_no_remote(repository: &Repository, shell: &mut Shell) {
    if let Ok(Err(why @ (NoRemote::Bare | NoRemote::Several))) = counting_remote(repository)
        && let Ok(none) = none_counts(repository)
    {
        shell.note(none);
        shell.hint(name_remote(why));
    }
}

/// That none counts of the remotes that there are.
///
/// # Errors
/// When the configuration cannot be read.
pub fn none_counts(repository: &Repository) -> Result<String, CommandError> {
    let remotes = repository.remotes()?;
    let quoted: Vec<String> =
        remotes.iter().map(|name| format!("'{}'", printable(name.as_bytes()))).collect();
    let there = match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("are {} and {last}", others.join(", ")),
        _ => format!("is {}", quoted.concat()),
    };
    Ok(format!("no remote counts here, so that states stay here: there {there}"))
}

/// What to do where no remote counts.
pub fn name_remote(why: NoRemote) -> &'static str {
    match why {
        NoRemote::Nowhere => {
            "add one with 'git remote add origin <url>', or name one: git config deploy.remote <remote>"
        }
        NoRemote::Configured => "'deploy.remote' says that none counts: git config deploy.remote <name>",
        NoRemote::Bare => {
            "in a bare repository, and its work trees, none counts by itself: git config deploy.remote <name> ('.' for none)"
        }
        NoRemote::Several => "say which one counts: git config deploy.remote <name> ('.' for none)",
    }
}
