//! What several commands say about the remote that counts.

use git_deploy_core::config::{NoRemote, counting_remote};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NOTES_REF;
use git_deploy_core::git::push::Tracking;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::fetched::{never_fetched, overwriting, remote_of, tag_alone, unmerged};
use git_deploy_core::ops::view::View;

use crate::{CommandError, Shell, printable, shell_word};

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

/// How a branch that was rebased by hand gets to the remote, if that has it.
///
/// # Errors
/// When refs or the configuration cannot be read.
pub fn push_again(view: &View<'_>, branch: &RefName) -> Result<Option<String>, CommandError> {
    let Some(tracking) = remote_of(view, branch)? else { return Ok(None) };
    let mut lease = "--force-with-lease".to_owned();
    // Where no `git fetch` brings branches, git knows none that it could compare with.
    if !view.repository.fetch_keeps(tracking, branch)?
        && let Some(there) = view.repository.tip(&view.settings.authority(branch))?
    {
        lease = shell_word(&format!("{lease}={}:{there}", branch.short()));
    }
    Ok(Some(format!("git push {lease} {} {}", shell_word(tracking.remote()), shell_word(branch.short()))))
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
