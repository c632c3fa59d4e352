//! What the core's errors mean to the user of any command: exit code, text and what to do now.
//!
//! The one place where that is decided, so that a command writes `?` and all of them answer alike. An error that only
//! wraps another one is taken apart, down to what the git program said.

use std::collections::{HashMap, HashSet};

use git_deploy_core::config::{ConfigError, InsteadOfBase};
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::git::trouble::Trouble;
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::ops::Interrupted;
use git_deploy_core::ops::approve::ApproveError;
use git_deploy_core::ops::deploy::DeployError;
use git_deploy_core::ops::hold::HoldError;
use git_deploy_core::ops::hooks::HookError;
use git_deploy_core::ops::init::InitError;
use git_deploy_core::ops::receive::ReceiveError;
use git_deploy_core::ops::set_state::SetError;
use git_deploy_core::ops::story::StoryError;
use git_deploy_core::ops::sweep::SweepError;
use git_deploy_core::ops::view::{View, ViewError};
use git_deploy_core::rebase::{RebaseError, Skip};
use git_deploy_core::state::{Refused, State};

use crate::advice::{end, follow_landed, make_rebasable, mend_note, put_upon_named, typed};
use crate::git_errors::with_cause;
use crate::{CommandError, Exit, Shell, bring_again, shell_word};

impl From<NotesError> for CommandError {
    fn from(error: NotesError) -> Self {
        match error {
            NotesError::Note { commit, error: ref note } => {
                let hint = mend_note(commit, note);
                Self::new(Exit::Fatal, error).hint(hint)
            }
            NotesError::TooLarge { .. } => Self::new(Exit::Fatal, error)
                .hint("what can be long in it is its message, and the names of the commit's images"),
            NotesError::Contended => Self::new(Exit::TryAgain, error),
            NotesError::Git(error) => error.into(),
        }
    }
}

/// Tells of a note that cannot be read, and what to do about it, where the command goes on without it.
pub fn warn_of_note(error: &NotesError, shell: &mut Shell) {
    warn_of_note_on(&[], error, shell);
}

/// The same for all that were met while branches were looked at that count.
///
/// # Errors
/// When refs cannot be read.
pub fn warn_of_notes(view: &View<'_>, errors: &[NotesError], shell: &mut Shell) -> Result<(), CommandError> {
    if errors.is_empty() {
        return Ok(());
    }
    let mut heads = view.heads_by_tip()?;
    heads.values_mut().for_each(|branches| branches.retain(|branch| *branch != view.settings.base));
    warn_of_notes_on(&heads, errors, shell);
    Ok(())
}

/// The same for branches by their tips: each note is told once, with the branches that it costs their state.
pub fn warn_of_notes_on(heads: &HashMap<CommitId, Vec<RefName>>, errors: &[NotesError], shell: &mut Shell) {
    let mut told = HashSet::new();
    for error in errors {
        let branches = match error {
            NotesError::Note { commit, .. } if !told.insert(*commit) => continue,
            NotesError::Note { commit, .. } => heads.get(commit).map_or(&[][..], Vec::as_slice),
            NotesError::TooLarge { .. } | NotesError::Contended | NotesError::Git(_) => &[],
        };
        warn_of_note_on(branches, error, shell);
    }
}

fn warn_of_note_on(branches: &[RefName], error: &NotesError, shell: &mut Shell) {
    let names: Vec<String> = branches.iter().map(|branch| format!("'{}'", branch.short())).collect();
    match names.as_slice() {
        [] => shell.warn(error),
        [name] => shell.warn(format!("{name} counts as in development: {error}")),
        [names @ .., last] => {
            shell.warn(format!("{} and {last} count as in development: {error}", names.join(", ")));
        }
    }
    match error {
        NotesError::Note { commit, error } => shell.hint(mend_note(*commit, error)),
        NotesError::TooLarge { .. } | NotesError::Contended | NotesError::Git(_) => {}
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        let hints = match &error {
            ConfigError::Base(_) => vec![name_base("<branch>")],
            ConfigError::NoBase { base, instead } => base_hints(base, instead),
            ConfigError::Remote(_) => {
                vec!["name one that 'git remote' lists: git config deploy.remote <remote>".to_owned()]
            }
            ConfigError::Value { key, .. } => {
                vec![format!("look where it is set: git config --show-origin --get-all {key}")]
            }
            ConfigError::NoDeployToml(base) => {
                vec![format!("write one with 'git deploy-init', and commit it to '{}'", base.short())]
            }
            ConfigError::DeployToml { .. } => vec!["mend it there, and commit that".to_owned()],
            ConfigError::Git(_) => Vec::new(),
        };
        match error {
            ConfigError::Git(error) => error.into(),
            error => hints.into_iter().fold(Self::new(Exit::Fatal, error), Self::hint),
        }
    }
}

fn name_base(branch: &str) -> String {
    format!("name the branch that everything lands on: git config deploy.base {branch}")
}

/// What to do about a base that is not there.
fn base_hints(base: &RefName, instead: &InsteadOfBase) -> Vec<String> {
    match instead {
        InsteadOfBase::NoCommits => vec!["commit something first".to_owned()],
        InsteadOfBase::Main => vec![name_base("main")],
        InsteadOfBase::NotPushed(remote) => {
            vec![format!("push it: git push -u {} {}", shell_word(remote), typed(base))]
        }
        InsteadOfBase::NotFetched(remote) => {
            let refspec = shell_word(&format!("+refs/heads/*:refs/remotes/{remote}/*"));
            vec![
                "bring the branches of the remote, which 'git fetch' does not here: git deploy-sync"
                    .to_owned(),
                format!(
                    "have 'git fetch' do that, too: git config --add {} {refspec}",
                    shell_word(&format!("remote.{remote}.fetch"))
                ),
            ]
        }
        InsteadOfBase::Nothing(None) => vec![name_base("<branch>")],
        InsteadOfBase::Nothing(Some(remote)) => {
            vec![name_base("<branch>"), format!("or fetch it: git fetch {}", shell_word(remote))]
        }
    }
}

impl From<ViewError> for CommandError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Config(error) => error.into(),
            ViewError::Notes(error) => error.into(),
            ViewError::Git(error) => error.into(),
            ViewError::Approve(error) => error.into(),
            ViewError::NoBranch(_) => Self::new(Exit::Fatal, error)
                .hint("branches are named without their remote, as 'login'; 'git branch --all' lists them"),
            ViewError::Detached { under } => {
                let hint = match under {
                    Some(operation) => format!("name a branch, or {}", end(operation)),
                    None => "name a branch, or check one out with: git switch <branch>".to_owned(),
                };
                Self::new(Exit::Fatal, error).hint(hint)
            }
            ViewError::NotUtf8(_) => {
                Self::new(Exit::Fatal, error).hint("rename it: git branch -m <new name>")
            }
            ViewError::Unborn(_) => {
                Self::new(Exit::Fatal, error).hint("a state stands on a commit: make one first")
            }
            ViewError::NotABranch { .. } => Self::new(Exit::Fatal, error),
        }
    }
}

impl From<RebaseError> for CommandError {
    fn from(error: RebaseError) -> Self {
        match error {
            RebaseError::TooOld { .. } => Self::new(Exit::Fatal, error).hint("install a newer git"),
            RebaseError::Git(error) => error.into(),
        }
    }
}

impl From<ApproveError> for CommandError {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Sign(error) => error.into(),
            ApproveError::Rebase(error) => error.into(),
            ApproveError::Git(error) => error.into(),
        }
    }
}

impl From<HoldError> for CommandError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Config(error) => error.into(),
            HoldError::Git(error) => error.into(),
            // Nobody else would see it.
            HoldError::Sync(error) => Self::from(error).context("nothing was changed"),
            HoldError::TooLong => Self::new(Exit::No, error),
            HoldError::Contended => Self::new(Exit::TryAgain, error),
        }
    }
}

impl From<StoryError> for CommandError {
    fn from(error: StoryError) -> Self {
        match error {
            StoryError::NotKnown { ref near, .. } => {
                let near = near.as_deref().map(|near| format!("did you mean '{near}'?"));
                let hint =
                    near.unwrap_or_else(|| "see all that was deployed with: git deploy-log".to_owned());
                Self::new(Exit::No, error).hint(hint)
            }
            StoryError::Base(_) => Self::new(Exit::No, error).hint("name a branch, or a commit of one"),
            StoryError::View(error) => error.into(),
            StoryError::UnderWay(error) => DeployError::from(error).into(),
            StoryError::Git(error) => error.into(),
        }
    }
}

impl From<SetError> for CommandError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::View(error) => error.into(),
            SetError::Rebase(error) => error.into(),
            SetError::Notes(error) => error.into(),
            SetError::Git(error) => error.into(),
            SetError::Approve(ApproveError::Sign(error)) => Self::from(error)
                .context("cannot approve")
                .hint("base's deploy.toml asks for a signature of whoever approves: git deploy-state --help"),
            SetError::Approve(error) => error.into(),
            // It is not known whether it could be.
            SetError::NotRebased { why: Skip::Failed(_), .. } => with_cause(Self::new(Exit::Fatal, error)),
            SetError::Several(errors) => Self::several(errors.into_iter().map(Self::from).collect()),
            SetError::MayNotApprove { .. }
            | SetError::Refused { .. }
            | SetError::NotThere { .. }
            | SetError::AfterItself { .. }
            | SetError::Unseen { .. }
            | SetError::DecidedThere { .. }
            | SetError::HeldThere { .. }
            | SetError::MessageTooLong(_)
            | SetError::Base(_)
            | SetError::Rendered(_)
            | SetError::Empty { .. }
            | SetError::Landed { .. }
            | SetError::TakenBack { .. }
            | SetError::BeginningTakenBack { .. }
            | SetError::Conflicts { .. }
            | SetError::NotRebased { .. }
            | SetError::Shared { .. }
            | SetError::SharedWords { .. } => {
                let mut text = error.to_string();
                if let SetError::Conflicts { conflict, .. } = &error {
                    text += &format!(": commit '{}' does not apply", conflict.commit.brief());
                    text.extend(conflict.paths.iter().map(|path| format!("\nconflict in '{path}'")));
                }
                let hints = match &error {
                    SetError::TakenBack { taken, .. } | SetError::BeginningTakenBack { taken, .. } => {
                        bring_again(taken)
                    }
                    SetError::Landed { branch, landed, .. } => follow_landed([(branch, &**landed)]),
                    error => refusal_hint(error).into_iter().collect(),
                };
                hints.into_iter().fold(Self::no(text), Self::hint)
            }
        }
    }
}

/// What to do about a move that is refused.
fn refusal_hint(refusal: &SetError) -> Option<String> {
    match refusal {
        SetError::Refused { why: Refused::Deployed, .. } => Some(
            "what is to be changed further goes onto a branch of its own: git switch -c <branch>".to_owned(),
        ),
        SetError::Refused { branch, why: Refused::OnlyTheRunner, .. } => {
            Some(format!("queue it for deployment: git deploy-state set deployable {}", typed(branch)))
        }
        SetError::Refused { branch, why: Refused::OnlyTheRebase, .. } => {
            Some(format!("see whether it rebases: git deploy-rebase --check {}", typed(branch)))
        }
        // It has several, in their order.
        SetError::TakenBack { .. } | SetError::BeginningTakenBack { .. } | SetError::Landed { .. } => None,
        SetError::Base(_) | SetError::Rendered(_) => {
            Some("make a branch for what is to be deployed: git switch -c <branch>".to_owned())
        }
        SetError::Empty { .. } => Some("there is nothing to deploy: commit something on it first".to_owned()),
        SetError::Conflicts { branch, onto, .. } => {
            Some(format!("mend it, then set it again: {}", put_upon_named(onto, branch)))
        }
        SetError::NotRebased { branch, onto, why, .. } => make_rebasable(why, onto, branch),
        SetError::Shared { to, other, .. } if *to != State::Development => {
            Some(format!("make a commit first, or set '{}' to the same state", other.short()))
        }
        SetError::Unseen { was, now, .. } => {
            let since = was.map(|was| format!("{}..", was.brief())).unwrap_or_default();
            Some(format!("look at it: git log -p {since}{}", now.brief()))
        }
        SetError::SharedWords { other, .. } => Some(format!(
            "make a commit first, name '{}' as well, or leave the words and wishes out",
            other.short()
        )),
        // Each of those has its own; and what follows is told with the command as it was given (`say_again`).
        SetError::Several(_)
        | SetError::DecidedThere { .. }
        | SetError::HeldThere { .. }
        | SetError::MayNotApprove { .. }
        | SetError::Shared { .. }
        | SetError::NotThere { .. }
        | SetError::AfterItself { .. }
        | SetError::MessageTooLong(_)
        | SetError::View(_)
        | SetError::Rebase(_)
        | SetError::Approve(_)
        | SetError::Notes(_)
        | SetError::Git(_) => None,
    }
}

impl From<SweepError> for CommandError {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::AnotherSweep(_) => {
                Self::new(Exit::TryAgain, error).hint("wait until that has ended, then try again")
            }
            SweepError::Interrupted { signal } => Self::interrupted(signal).context("no branch was moved"),
            SweepError::NoBranch(branch) => {
                let error = Self::fatal(format!("there is no local branch '{}'", branch.short()));
                error.hint("'git branch' lists them; one of the remote becomes one with: git switch <branch>")
            }
            SweepError::NothingToUndo => Self::new(Exit::No, error),
            SweepError::NoSuchSweep(_) => Self::new(Exit::No, error)
                .hint("see which there are: git for-each-ref --format='%(refname:lstrip=2) %(subject)%0a%(body)' refs/deploy-sweeps"),
            SweepError::Record(ref record) => {
                let hint = format!("look at it with: git log -1 {record}");
                Self::new(Exit::Fatal, error).hint(hint)
            }
            SweepError::Behind(_) => with_cause(Self::new(Exit::Fatal, error)).hint(
                "commit nothing there before the next 'git deploy-rebase', which ends this or takes it back",
            ),
            SweepError::View(error) => error.into(),
            SweepError::Rebase(error) => error.into(),
            SweepError::Sync(error) => error.into(),
            SweepError::Git(error) => error.into(),
        }
    }
}

impl From<InitError> for CommandError {
    fn from(error: InitError) -> Self {
        match error {
            InitError::Config(error) => error.into(),
            InitError::NoServer => Self::new(Exit::Fatal, error)
                .hint("go into the bare repository of the server, and there: git deploy-init --server"),
            InitError::Git(error) => {
                let is_full = Trouble::of(&error.to_string()) == Some(Trouble::NoRoom);
                let error = Self::from(error);
                match is_full {
                    true => {
                        error.hint("what was written or removed before that stays so, and is not done again")
                    }
                    false => error,
                }
            }
        }
    }
}

impl From<ReceiveError> for CommandError {
    fn from(error: ReceiveError) -> Self {
        let error = match error {
            ReceiveError::Git(error) => error.into(),
            ReceiveError::Approve(error) => error.into(),
            ReceiveError::Notes(error) => error.into(),
            ReceiveError::NoBase(_) => Self::new(Exit::Fatal, error).hint(
                "whoever runs the server names the branch, in its repository: git config deploy.base <branch>",
            ),
            ReceiveError::Line(_) | ReceiveError::Base(_) => Self::new(Exit::Fatal, error),
        };
        error.context("cannot judge this push, and takes none that it cannot judge")
    }
}

impl From<HookError> for CommandError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Config(error) => error.into(),
            HookError::View(error) => error.into(),
            HookError::Notes(error) => ViewError::from(error).into(),
            HookError::Rebase(error) => error.into(),
            HookError::Git(error) => error.into(),
        }
    }
}

impl From<Interrupted> for CommandError {
    fn from(interrupted: Interrupted) -> Self {
        Self::interrupted(interrupted.signal)
    }
}

#[cfg(test)]
mod tests {
    use git_deploy_core::git::GitError;

    use super::*;

    #[test]
    fn a_branch_cannot_smuggle_a_command_into_a_hint() {
        let branch = RefName::branch("$(touch)").unwrap();
        let refusal = SetError::Refused { branch, to: State::Deployed, why: Refused::OnlyTheRunner };
        let error = CommandError::from(refusal);
        assert_eq!(error.exit(), Exit::No);
        assert!(error.hints()[0].ends_with("set deployable '$(touch)'"), "{error:?}");
    }

    #[test]
    fn no_repository_is_fatal_as_in_git() {
        let error = CommandError::from(SetError::from(GitError::NoRepository));
        assert_eq!(error.exit(), Exit::Fatal);
        assert_eq!(error.message(), "not a git repository (or any of the folders above)");
    }
}
