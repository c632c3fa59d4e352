//! What the core's errors mean to the user of any command: exit code, text and what to do now.
//!
//! The one place where that is decided, so that a command writes `?` and all of them answer alike. An error that only
//! wraps another one is taken apart, down to what the git program said.

use git_deploy_core::config::{ConfigError, InsteadOfBase};
use git_deploy_core::git::GitError;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::git::program::ProgramError;
use git_deploy_core::git::refs::RefsError;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::Interrupted;
use git_deploy_core::ops::hooks::HookError;
use git_deploy_core::ops::init::InitError;
use git_deploy_core::ops::set_state::SetError;
use git_deploy_core::ops::sweep::SweepError;
use git_deploy_core::ops::sync::SyncError;
use git_deploy_core::ops::view::ViewError;
use git_deploy_core::rebase::RebaseError;
use git_deploy_core::state::{Refused, State};

use crate::{CommandError, Exit, Shell};

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

/// A branch as it is typed.
pub(crate) fn typed(branch: &RefName) -> String {
    shell_word(branch.short())
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        match error {
            GitError::Program(error) => error.into(),
            GitError::Missing { shallow: true, .. } => {
                Self::new(Exit::Fatal, error).hint("get the whole history with: git fetch --unshallow")
            }
            GitError::Missing { .. }
            | GitError::Malformed { .. }
            | GitError::Read { .. }
            | GitError::Kind { .. } => {
                Self::new(Exit::Fatal, error).hint("look what is wrong with the repository: git fsck")
            }
            GitError::NoRepository => {
                Self::new(Exit::Fatal, error).hint("go into one, or begin one with: git init")
            }
            GitError::Libgit2 { .. } | GitError::Id { .. } | GitError::File { .. } => {
                with_cause(Self::new(Exit::Fatal, error))
            }
        }
    }
}

impl From<ProgramError> for CommandError {
    fn from(error: ProgramError) -> Self {
        match &error {
            ProgramError::Start(_) => Self::new(Exit::Fatal, error)
                .hint("git must be installed, and be in a folder that PATH names"),
            ProgramError::Failed { command, stderr, .. } => with_cause(program(command, stderr)),
            ProgramError::Stopped { .. } => Self::try_again(error),
            ProgramError::Output { .. } => Self::new(Exit::Fatal, error),
        }
    }
}

/// What a git that failed said, without what is ours alone to know: which of its commands we called, and with what.
fn program(command: &str, stderr: &str) -> CommandError {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let hints = lines().filter_map(|line| line.strip_prefix("hint:")).map(str::trim);
    let bare = |line: &str| {
        let line = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
        line.trim_start_matches("prepare: ").to_owned()
    };
    let said: Vec<String> = lines().filter(|line| !line.starts_with("hint:")).map(bare).collect();
    if command.starts_with("git var ") {
        let why = said.last().map_or("nothing is configured", String::as_str);
        return CommandError::fatal(format!("git cannot tell who you are: {why}"))
            .hint("git config --global user.name \"Your Name\"")
            .hint("git config --global user.email you@example.org");
    }
    let called: Vec<&str> = command.split(' ').take(2).collect();
    let error = match said.is_empty() {
        true => CommandError::fatal(format!("'{}' failed and said nothing", called.join(" "))),
        false => CommandError::fatal(format!("'{}' failed: {}", called.join(" "), said.join("\n"))),
    };
    hints.filter(|hint| !hint.is_empty()).fold(error, CommandError::hint)
}

/// Adds what to do about what the system said.
fn with_cause(error: CommandError) -> CommandError {
    let message = error.message();
    let says = |words: &str| message.contains(words);
    if says("Permission denied") || says("Read-only file system") || says("insufficient permission") {
        return error.hint("this repository cannot be written by you; what only reads still works");
    }
    if says("No space left on device") || says("Disk quota exceeded") {
        return error.hint("make room, then try again: nothing is left half done");
    }
    if says(".lock': File exists") || says("Another git process seems to be running") {
        return error.at(Exit::TryAgain).hint(
            "another git works in this repository: wait until it has ended; if none does, remove the lock file",
        );
    }
    error
}

impl From<RefsError> for CommandError {
    fn from(error: RefsError) -> Self {
        match error {
            RefsError::Moved(_) => Self::new(Exit::TryAgain, error),
            RefsError::Git(error) => error.into(),
        }
    }
}

impl From<NotesError> for CommandError {
    fn from(error: NotesError) -> Self {
        match error {
            NotesError::Note { commit, .. } => {
                Self::new(Exit::Fatal, error).hint(mend_note(&commit.to_string()))
            }
            NotesError::TooLarge { .. } => Self::new(Exit::Fatal, error)
                .hint("what can be long in it is its message, and the names of the commit's images"),
            NotesError::Contended => Self::new(Exit::TryAgain, error),
            NotesError::Git(error) => error.into(),
        }
    }
}

fn mend_note(commit: &str) -> String {
    format!("mend it with: git notes --ref=deploy edit {commit}")
}

/// Tells of a note that cannot be read, and what to do about it, where the command goes on without it.
pub fn warn_of_note(error: &NotesError, shell: &mut Shell) {
    shell.warn(error);
    match error {
        NotesError::Note { commit, .. } => shell.hint(mend_note(&commit.to_string())),
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
            ViewError::NoBranch(_) => Self::new(Exit::Fatal, error)
                .hint("branches are named without their remote, as 'login'; 'git branch --all' lists them"),
            ViewError::Detached => {
                Self::new(Exit::Fatal, error).hint("name a branch, or check one out with: git switch")
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

impl From<SyncError> for CommandError {
    fn from(error: SyncError) -> Self {
        let hint = match &error {
            SyncError::Unreachable { remote, .. } => {
                Some(format!("see whether it answers: git ls-remote {}", shell_word(remote)))
            }
            SyncError::Refused { .. }
            | SyncError::Rejected { .. }
            | SyncError::Contended { .. }
            | SyncError::View(_)
            | SyncError::Notes(_)
            | SyncError::Git(_) => None,
        };
        let error = match error {
            SyncError::Unreachable { .. } | SyncError::Contended { .. } => Self::new(Exit::TryAgain, error),
            SyncError::Refused { .. } | SyncError::Rejected { .. } => Self::new(Exit::No, error),
            SyncError::View(error) => (*error).into(),
            SyncError::Notes(error) => error.into(),
            SyncError::Git(error) => error.into(),
        };
        hint.into_iter().fold(error, Self::hint)
    }
}

impl From<SetError> for CommandError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::View(error) => error.into(),
            SetError::Rebase(error) => error.into(),
            SetError::Notes(error) => error.into(),
            SetError::Git(error) => error.into(),
            SetError::Refused { .. }
            | SetError::MessageTooLong(_)
            | SetError::Base(_)
            | SetError::Rendered(_)
            | SetError::Empty { .. }
            | SetError::Conflicts { .. }
            | SetError::NotRebased { .. }
            | SetError::Shared { .. } => {
                let mut text = error.to_string();
                if let SetError::Conflicts { conflict, .. } = &error {
                    text += &format!(": commit '{}' does not apply", conflict.commit.brief());
                    text.extend(conflict.paths.iter().map(|path| format!("\nconflict in '{path}'")));
                }
                refusal_hint(&error).into_iter().fold(Self::no(text), Self::hint)
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
        SetError::Base(_) | SetError::Rendered(_) => {
            Some("make a branch for what is to be deployed: git switch -c <branch>".to_owned())
        }
        SetError::Empty { .. } => Some("there is nothing to deploy: commit something on it first".to_owned()),
        SetError::Conflicts { branch, onto, .. } => Some(format!(
            "mend it with 'git rebase {} {}', then set it again",
            shell_word(onto),
            typed(branch)
        )),
        SetError::NotRebased { why, .. } => why.hint().map(str::to_owned),
        SetError::Shared { to, other, .. } if *to != State::Development => {
            Some(format!("make a commit first, or set '{}' to the same state", other.short()))
        }
        SetError::Shared { .. }
        | SetError::MessageTooLong(_)
        | SetError::View(_)
        | SetError::Rebase(_)
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
            SweepError::Record(ref record) => {
                let hint = format!("look at it with: git log -1 {record}");
                Self::new(Exit::Fatal, error).hint(hint)
            }
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
            InitError::Git(error) => error.into(),
        }
    }
}

impl From<HookError> for CommandError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Config(error) => error.into(),
            HookError::View(error) => error.into(),
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
    use super::*;

    fn failed(command: &str, stderr: &str) -> CommandError {
        ProgramError::Failed { command: command.to_owned(), status: Some(128), stderr: stderr.to_owned() }
            .into()
    }

    #[test]
    fn what_git_said_is_told_without_how_it_was_called() {
        let error = failed(
            "git update-ref --stdin -z -m x",
            "fatal: prepare: cannot lock ref 'a': it exists\nhint: b\n",
        );
        assert_eq!(error.message(), "'git update-ref' failed: cannot lock ref 'a': it exists");
        assert_eq!((error.exit(), error.hints()), (Exit::Fatal, &["b".to_owned()][..]));
    }

    #[test]
    fn somebody_elses_lock_is_nobodys_fault() {
        let error = failed("git update-ref --stdin", "fatal: Unable to create '/x/a.lock': File exists.\n");
        assert_eq!(error.exit(), Exit::TryAgain);
        assert!(error.hints()[0].contains("remove the lock file"), "{error:?}");
    }

    #[test]
    fn a_repository_that_cannot_be_written_is_told_so() {
        let error =
            failed("git update-ref --stdin", "fatal: Unable to create '/x/a.lock': Permission denied\n");
        assert!(error.hints()[0].contains("cannot be written by you"), "{error:?}");
    }

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
