//! What became of the branches, for people and for programs.

use std::collections::HashMap;

use git_deploy_cli::args::Format;
use git_deploy_cli::shell::{self, Object, Table};
use git_deploy_cli::{
    CommandError, REBASE, Shell, Text, advise, ask_again, bring_again, bring_together, by_hand, counting,
    put_upon, shell_word, told_taken_back,
};
use git_deploy_core::branch::Branch;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::sweep::{Advice, Explained, Fate, Outcome, Standing, Sweep, standing};
use git_deploy_core::ops::view::View;
use git_deploy_core::rebase::Skip;
use git_deploy_core::revert::TakenBack;

use crate::explanation;

/// Up to so many broken branches each gets a hint of its own.
const HINTS: usize = 3;

/// How many branches that bring nothing are looked at as to whether base has taken that back.
const LANDED: usize = 10;

/// Prints what became of the branches.
pub(crate) fn report(
    view: &View<'_>,
    sweep: &Sweep,
    explained: &[Explained],
    (format, is_check): (Format, bool),
    shell: &mut Shell,
) -> Result<(), CommandError> {
    match format {
        Format::Human => people(view, sweep, explained, shell)?,
        Format::Porcelain { nul } => {
            for Outcome { branch, old, new, fate } in &sweep.outcomes {
                let fields =
                    [fate.word(), &old.to_string(), &new.to_string(), branch.as_str(), fate.reason()];
                shell.record(fields, nul);
            }
        }
        Format::Json => sweep.outcomes.iter().for_each(|outcome| shell.json(&object(outcome))),
    }
    // Whoever reads that by a program loses the same.
    warn_of_less(view, sweep, is_check, shell);
    Ok(())
}

fn people(
    view: &View<'_>,
    sweep: &Sweep,
    explained: &[Explained],
    shell: &mut Shell,
) -> Result<(), CommandError> {
    if sweep.outcomes.is_empty() {
        shell.note("no branch is staged or deployable");
    }
    let taken = taken_back(view, sweep);
    let mut table = Table::new();
    for outcome in &sweep.outcomes {
        let name = Text::new().styled(shell::NAME, outcome.branch.short());
        let details = match taken.get(&outcome.branch) {
            Some(taken) => {
                let (base, much, by) = (taken.base.short(), taken.much(), taken.reverts());
                Text::from(&format!("'{base}' has had all of it, and has taken {much} back with {by}"))
            }
            None => details(outcome),
        };
        table.row([verdict(&outcome.fate), name, details]);
    }
    table.print(shell);
    hints(view, sweep, (explained, &taken), shell)
}

/// Whether base has all that a branch brings.
fn has_landed(outcome: &Outcome) -> bool {
    matches!(&outcome.fate, Fate::Skipped { advice: Some(told), .. } if **told == Advice::Skip(Skip::Landed))
}

/// What base has had and has taken back of branches that bring nothing that it has not had, as far as these are few.
fn taken_back(view: &View<'_>, sweep: &Sweep) -> HashMap<RefName, TakenBack> {
    let landed = sweep.outcomes.iter().filter(|outcome| has_landed(outcome)).take(LANDED);
    let of_one = |outcome: &Outcome| {
        let branch = Branch { tip: outcome.new, ..view.listed_branch(&outcome.branch).ok()?.0 };
        Some((outcome.branch.clone(), view.taken_back(&branch).ok()??))
    };
    landed.filter_map(of_one).collect()
}

/// Warns of branches that a rebase makes less: base has had what they begin with, and has taken that back. What cannot be found out of
/// one branch is not said of it.
fn warn_of_less(view: &View<'_>, sweep: &Sweep, is_check: bool, shell: &mut Shell) {
    let mut is_any = false;
    for outcome in sweep.outcomes.iter().filter(|outcome| matches!(outcome.fate, Fate::Rebased)) {
        if let Some(taken) = view.beginning_taken_back(&outcome.branch, outcome.old).ok().flatten() {
            shell.warn(told_taken_back(&outcome.branch, &taken));
            is_any = true;
            if is_check {
                bring_again(&taken).into_iter().for_each(|hint| shell.hint(hint));
            }
        }
    }
    if is_any && !is_check {
        shell.hint("to take all of this rebase back: git deploy-rebase --undo");
    }
}

fn verdict(fate: &Fate) -> Text {
    let style = match fate {
        Fate::Current | Fate::Rebased | Fate::Restored => shell::GOOD,
        Fate::Broken { .. } => shell::BAD,
        Fate::Skipped { failed: true, .. } => shell::BAD,
        Fate::Skipped { .. } => shell::WARNING,
    };
    Text::new().styled(style, fate.word())
}

fn details(outcome: &Outcome) -> Text {
    let commit =
        |text: Text, commit: git_deploy_core::ids::CommitId| text.styled(shell::COMMIT, commit.brief());
    match &outcome.fate {
        Fate::Current => commit(Text::new(), outcome.new),
        Fate::Rebased | Fate::Restored => commit(commit(Text::new(), outcome.old).plain(" -> "), outcome.new),
        Fate::Broken { reason, .. } | Fate::Skipped { reason, .. } => Text::from(reason),
    }
}

fn hints(
    view: &View<'_>,
    sweep: &Sweep,
    (explained, taken): (&[Explained], &HashMap<RefName, TakenBack>),
    shell: &mut Shell,
) -> Result<(), CommandError> {
    let onto = shell_word(sweep.onto.short());
    let is_broken = |outcome: &&Outcome| matches!(outcome.fate, Fate::Broken { .. });
    let broken: Vec<&Outcome> = sweep.outcomes.iter().filter(is_broken).collect();
    if broken.len() > HINTS && explained.is_empty() {
        shell.hint(format!("mend each with: {REBASE} {onto} <branch>"));
    } else {
        for outcome in broken {
            let name = outcome.branch.short();
            let how = format!("mend '{name}' with: {}", put_upon(&sweep.onto, &outcome.branch));
            let steps = by_hand(view, &outcome.branch, how.clone())?;
            let explained = explained.iter().find(|explained| explained.branch == outcome.branch);
            for step in explanation::with_steps(view, steps, &how, explained)? {
                shell.hint(step);
            }
        }
    }
    if sweep.any_unadvised() {
        shell.hint(
            "mend that, as by making room on the disk, then try again: branch and files are what they were",
        );
    }
    ask_again(taken.keys()).into_iter().for_each(|hint| shell.hint(hint));
    for outcome in sweep.outcomes.iter().filter(|outcome| !taken.contains_key(&outcome.branch)) {
        if let Fate::Skipped { advice: Some(told), .. } = &outcome.fate {
            for hint in advise(view, told, &sweep.onto, &outcome.branch)? {
                shell.hint(format!("'{}': {hint}", outcome.branch.short()));
            }
        }
    }
    let is_current = |outcome: &&Outcome| matches!(outcome.fate, Fate::Current);
    for outcome in sweep.outcomes.iter().filter(is_current).take(HINTS) {
        note_apart(view, &outcome.branch, shell)?;
    }
    Ok(())
}

/// Says of a branch that stands on base that a push of it will be refused, as somebody else has added to what the remote has.
fn note_apart(view: &View<'_>, branch: &RefName, shell: &mut Shell) -> Result<(), CommandError> {
    let Some(tracking) = &view.settings.remote else { return Ok(()) };
    let Some(there) = view.repository.tip(&view.settings.authority(branch))? else { return Ok(()) };
    let ours = view.listed_branch(branch)?.0;
    if view.repository.is_ancestor(there, ours.tip)? {
        return Ok(());
    }
    if let Standing::Apart(_) = standing(view, &ours)?
        && let Some(theirs) = counting(view, branch)?
    {
        let (name, remote) = (branch.short(), tracking.remote());
        shell.note(format!("'{name}' on '{remote}' has commits that yours has not"));
        bring_together(view, &ours, Some(&theirs))?.iter().for_each(|hint| shell.hint(hint));
    }
    Ok(())
}

fn object(outcome: &Outcome) -> Object {
    let conflicts = match &outcome.fate {
        Fate::Broken { paths, .. } => Some(paths.as_slice()),
        Fate::Current | Fate::Rebased | Fate::Restored | Fate::Skipped { .. } => None,
    };
    Object::new()
        .with("verdict", outcome.fate.word())
        .with("old", outcome.old.to_string())
        .with("new", outcome.new.to_string())
        .with("ref", outcome.branch.as_str())
        .with_known("reason", Some(outcome.fate.reason()).filter(|reason| !reason.is_empty()))
        .with_known("conflicts", conflicts)
}
