//! Where a branch of ours is another than the remote's: what is said of one is not so of the other.

use std::collections::HashMap;

use git_deploy_cli::{
    CommandError, Shell, bring_together, counting, follow_landed, landed_elsewhere, shell_word,
};
use git_deploy_core::branch::Branch;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::fetched::{TakenBack, taken_back};
use git_deploy_core::ops::sweep::{Apart, Standing, standing};
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

/// Up to so many branches, for the same reason, each get hints of their own.
const HINTS: usize = 3;

/// Says which local branches are in a state that does not count, because the remote has other commits of them.
pub(crate) fn note_all(view: &View<'_>, counting: &[Branch], shell: &mut Shell) -> Result<(), CommandError> {
    let Some(tracking) = &view.settings.remote else { return Ok(()) };
    let counting: HashMap<&RefName, &Branch> = counting.iter().map(|branch| (&branch.name, branch)).collect();
    let differs = |name: &RefName, tip| counting.get(name).is_none_or(|theirs| theirs.tip != tip);
    let (mut landed, mut apart) = (Vec::new(), Vec::new());
    for branch in view.local_branches_where(differs)?.branches {
        if let Some(as_what) = view.landed_elsewhere(&branch.name, branch.tip)? {
            shell.note(format!("local branch {}", landed_elsewhere(&branch.name, &as_what)));
            landed.push((branch.name, as_what));
            continue;
        }
        let theirs = counting.get(&branch.name).copied();
        let (name, remote) = (branch.name.short(), tracking.remote());
        let taken = if is_decided(&branch) { taken_back(view, &branch.name, branch.tip)? } else { None };
        let text = match (taken, theirs) {
            (Some(taken), _) => told_taken(taken, theirs, remote),
            (None, Some(_)) => format!("differs from that of '{remote}'"),
            (None, None) => format!("is not on '{remote}'"),
        };
        let text = format!("local branch '{name}' is {}, and {text}", branch.state());
        // What nobody decided on, here or there, is worth a word only to somebody who asks; nor is that one only lags behind.
        let is_decided = theirs.is_some_and(is_decided);
        match branch.state() {
            State::Development if is_decided && !lags_behind(view, &branch, theirs)? => {}
            State::Development => {
                shell.verbose(1, text);
                continue;
            }
            // Somebody else has mended it: what is there counts.
            State::Broken if theirs.is_some() && is_mended(view, &branch)? => {}
            State::Deployed | State::Broken => {
                shell.note(text);
                continue;
            }
            State::Staged | State::Deployable => {}
        }
        let hints = bring_together(view, &branch, theirs)?;
        let why = match (taken, theirs) {
            (Some(_), _) => WhyAside::TakenBack,
            (None, Some(_)) => WhyAside::Differs,
            (None, None) => WhyAside::IsMissing,
        };
        apart.push(Aside { text, hints, why });
    }
    note_apart(&apart, tracking.remote(), shell);
    let landed = landed.iter().map(|(branch, landed)| (branch, landed));
    follow_landed(landed).into_iter().for_each(|hint| shell.hint(hint));
    Ok(())
}

/// A local branch that does not count.
struct Aside {
    text: String,
    hints: Vec<String>,
    why: WhyAside,
}

/// Why a local branch does not count.
#[derive(PartialEq, Eq)]
enum WhyAside {
    /// The remote has another commit of it.
    Differs,
    /// The remote has never had it.
    IsMissing,
    /// Somebody has taken it back there: no push is to bring it again.
    TakenBack,
}

/// Says which local branches do not count, each with what to do about it; of many, that only in general.
fn note_apart(apart: &[Aside], remote: &str, shell: &mut Shell) {
    let is_many = |why: WhyAside| apart.iter().filter(|aside| aside.why == why).count() > HINTS;
    let (differ, are_missing) = (is_many(WhyAside::Differs), is_many(WhyAside::IsMissing));
    for Aside { text, hints, why } in apart {
        shell.note(text);
        let is_told_below = match why {
            WhyAside::Differs => differ,
            WhyAside::IsMissing => are_missing,
            WhyAside::TakenBack => false,
        };
        hints.iter().filter(|_| !is_told_below).for_each(|hint| shell.hint(hint));
    }
    if are_missing {
        let remote_word = shell_word(remote);
        shell.hint(format!(
            "push each that '{remote}' has not and that is to be deployed: git push -u {remote_word} <branch>"
        ));
    }
    if differ {
        shell.hint(format!(
            "see how one that differs and that of '{remote}' come together: git deploy-state get <branch>"
        ));
    }
}

/// What somebody wants who names a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Its state.
    ForIt,
    /// To set it; then it is told anyway that it is not pushed.
    ToSet,
}

/// Says of one local branch that another commit counts, and how to bring them together: where that is in another state, or both
/// were decided on apart.
pub(crate) fn note_one(
    view: &View<'_>,
    ours: &Branch,
    asked: Asked,
    shell: &mut Shell,
) -> Result<(), CommandError> {
    let Some(tracking) = &view.settings.remote else { return Ok(()) };
    let name = &ours.name;
    let theirs = view.repository.tip(&view.settings.authority(name))?;
    let is_one_of_ours = *name != view.settings.base && view.repository.tip(name)? == Some(ours.tip);
    if !is_one_of_ours || theirs == Some(ours.tip) {
        return Ok(());
    }
    if let Some(landed) = view.landed_elsewhere(name, ours.tip)? {
        shell.note(landed_elsewhere(name, &landed));
        follow_landed([(name, &landed)]).into_iter().for_each(|hint| shell.hint(hint));
        return Ok(());
    }
    if asked == Asked::ForIt
        && is_decided(ours)
        && let Some(taken) = taken_back(view, name, ours.tip)?
    {
        let theirs = counting(view, name)?;
        let told = told_taken(taken, theirs.as_ref(), tracking.remote());
        shell.note(format!("your '{}' is {}, and {told}", name.short(), ours.state()));
        bring_together(view, ours, theirs.as_ref())?.iter().for_each(|hint| shell.hint(hint));
        return Ok(());
    }
    let Some(theirs) = theirs else { return Ok(()) };
    let is_further = view.repository.is_ancestor(theirs, ours.tip)?;
    if is_further && asked == Asked::ToSet {
        return Ok(());
    }
    let is_apart = match asked {
        Asked::ForIt => ours.state() != State::Development,
        // What is decided before a rebase is decided of what that has made, too.
        Asked::ToSet => standing(view, ours)? != Standing::RebasedThere,
    };
    let theirs = counting(view, name)?
        .filter(|theirs| theirs.state() != ours.state() || is_apart)
        .filter(|theirs| !is_further || is_decided(theirs));
    let Some(theirs) = theirs else { return Ok(()) };
    shell.note(format!(
        "your '{}' is at {}; what counts is {} on '{}', which is {}",
        name.short(),
        ours.tip.brief(),
        theirs.tip.brief(),
        tracking.remote(),
        theirs.state()
    ));
    bring_together(view, ours, Some(&theirs))?.iter().for_each(|hint| shell.hint(hint));
    Ok(())
}

/// What somebody has done with a branch where it counts.
fn told_taken(taken: TakenBack, theirs: Option<&Branch>, remote: &str) -> String {
    let state = theirs.map(|theirs| format!(", which is {}", theirs.state())).unwrap_or_default();
    match taken {
        TakenBack::To(there) => {
            format!("on '{remote}' it was set back: what counts is {}{state}", there.brief())
        }
        TakenBack::Deleted => format!("on '{remote}' it was deleted: nothing of it counts"),
    }
}

/// Whether the remote has what a branch begins with, mended.
fn is_mended(view: &View<'_>, branch: &Branch) -> Result<bool, CommandError> {
    Ok(matches!(standing(view, branch)?, Standing::Apart(Apart::Mended { .. })))
}

/// Whether something is to become of a branch that somebody has decided on.
fn is_decided(branch: &Branch) -> bool {
    branch.state().is_rebased() || branch.state() == State::Broken
}

/// Whether the remote has all of a branch, and more.
fn lags_behind(view: &View<'_>, ours: &Branch, theirs: Option<&Branch>) -> Result<bool, CommandError> {
    Ok(theirs.map_or(Ok(false), |theirs| view.repository.is_ancestor(ours.tip, theirs.tip))?)
}
