//! What git's errors mean to the user: what it said, without how we called it, and what to do about it.

use git_deploy_core::git::GitError;
use git_deploy_core::git::broken::BrokenRef;
use git_deploy_core::git::notes::NOTES_REF;
use git_deploy_core::git::nowhere::Nowhere;
use git_deploy_core::git::program::ProgramError;
use git_deploy_core::git::refs::RefsError;
use git_deploy_core::git::sign::{OddKey, SignError};
use git_deploy_core::git::trouble::Trouble;
use git_deploy_core::git::version::Version;
use git_deploy_core::ids::{CommitId, RefName};

use crate::advice::unlock;
use crate::{CommandError, Exit, shell_word};

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        match error {
            GitError::Program(error) => error.into(),
            GitError::Missing { shallow: true, .. } => {
                Self::new(Exit::Fatal, error).hint("get the whole history with: git fetch --unshallow")
            }
            GitError::Promised { .. } => Self::new(Exit::TryAgain, error)
                .hint("see whether the remote answers that promised it: git fetch"),
            GitError::Missing { .. }
            | GitError::Malformed { .. }
            | GitError::TooLarge { .. }
            | GitError::Read { .. }
            | GitError::Kind { .. } => {
                Self::new(Exit::Fatal, error).hint("look what is wrong with the repository: git fsck")
            }
            GitError::Locked { ref lock, .. }
            | GitError::IndexLocked { ref lock, .. }
            | GitError::ConfigLocked(ref lock) => {
                let hint = unlock(lock);
                Self::new(Exit::TryAgain, error).hint(hint)
            }
            GitError::RefInTheWay(ref found) => {
                let hint = format!("give that another name: {}", rename(&found.there));
                Self::new(Exit::Fatal, error).hint(hint)
            }
            GitError::Nowhere(ref nowhere) => {
                let hints = find_repository(nowhere);
                hints.into_iter().fold(Self::new(Exit::Fatal, error), Self::hint)
            }
            GitError::NotesRef { before, .. } => {
                lead_back(before).into_iter().fold(Self::new(Exit::Fatal, error), Self::hint)
            }
            GitError::BrokenRef(ref broken) => {
                let hints = mend_ref(broken);
                hints.into_iter().fold(Self::new(Exit::Fatal, error), Self::hint)
            }
            GitError::Unreadable { ref path, .. } => {
                let path = shell_word(&path.to_string_lossy());
                Self::new(Exit::Fatal, error).hint(format!(
                    "nothing is lost by that: see whose it is and who may read it: ls -ld {path}"
                ))
            }
            GitError::NoRepository => {
                Self::new(Exit::Fatal, error).hint("go into one, or begin one with: git init")
            }
            GitError::Value { key, .. } => Self::new(Exit::Fatal, error)
                .hint(format!("look where it is set: git config --show-origin --get-all {key}")),
            GitError::Libgit2 { .. }
            | GitError::Id { .. }
            | GitError::Attributes { .. }
            | GitError::MergeTimeLimit { .. }
            | GitError::File { .. } => with_cause(Self::new(Exit::Fatal, error)),
        }
    }
}

/// What to do about what names a repository that is not there.
fn find_repository(nowhere: &Nowhere) -> Vec<String> {
    match nowhere {
        Nowhere::Named(_) => {
            vec!["have it name the folder '.git' of one, or go into one and: unset GIT_DIR".to_owned()]
        }
        Nowhere::Led { file, target }
            if target.parent().is_some_and(|found| found.ends_with("worktrees")) =>
        {
            let top = shell_word(&file.parent().unwrap_or(file).to_string_lossy());
            vec![
                format!("where the repository has moved to: git worktree repair {top}"),
                "where it knows this work tree no more: git worktree prune, and make another with 'git worktree add'"
                    .to_owned(),
            ]
        }
        Nowhere::Led { .. } => {
            vec!["write into that file where the repository is: gitdir: <folder>".to_owned()]
        }
    }
}

/// How the notes ref comes back to where it was.
fn lead_back(before: Option<CommitId>) -> Vec<String> {
    match before {
        Some(before) => {
            vec![format!("lead it back to where it was before: git update-ref {NOTES_REF} {before}")]
        }
        None => vec![
            "no reflog says where it was before: 'git fsck' calls that commit dangling".to_owned(),
            format!("lead it back there: git update-ref {NOTES_REF} <commit>"),
            format!(
                "or take it away with 'git update-ref -d {NOTES_REF}', and publish the states from a clone that has them: git deploy-sync"
            ),
        ],
    }
}

/// How a ref gets another name.
fn rename(name: &RefName) -> String {
    let word = shell_word(name.as_str());
    match name.branch_name() {
        Some(branch) => format!("git branch -m {} <name>", shell_word(branch)),
        None if name.as_str().starts_with("refs/notes/") => {
            format!("git update-ref refs/notes/<name> {word} && git update-ref -d {word}")
        }
        None => format!("git update-ref refs/<name> {word} && git update-ref -d {word}"),
    }
}

/// How to go on where the file of a ref holds nothing that git could read.
fn mend_ref(broken: &BrokenRef) -> Vec<String> {
    let [file, aside] = [&broken.file, &broken.aside].map(|path| shell_word(&path.to_string_lossy()));
    let name = shell_word(&broken.name);
    let mut hints = vec![format!("move that file away: mv -- {file} {aside}")];
    hints.extend(
        broken
            .last
            .map(|last| format!("then lead the ref back to where it was: git update-ref {name} {last}")),
    );
    if !broken.name.starts_with("refs/heads/") {
        hints.push("what was published comes back with: git deploy-sync".to_owned());
    }
    hints
}

impl From<ProgramError> for CommandError {
    fn from(error: ProgramError) -> Self {
        match &error {
            ProgramError::Start(_) => Self::new(Exit::Fatal, error)
                .hint("git must be installed, and be in a folder that PATH names"),
            ProgramError::Input(_) => with_cause(Self::new(Exit::Fatal, error)),
            ProgramError::Failed { command, stderr, .. } => with_cause(program(command, stderr)),
            ProgramError::TimeLimit { .. } => Self::new(Exit::Fatal, error),
            ProgramError::Stopped { .. } => Self::try_again(error),
            ProgramError::Output { command, what } if command.starts_with("git var ") => {
                let why = format!("git cannot tell who you are in a way that a note can hold: {what}");
                Self::fatal(why)
                    .hint(
                        "look where it is set: git config --show-origin --get-regexp '^(user|committer)\\.'",
                    )
                    .hint("set it in UTF-8: git config user.name \"Your Name\"")
            }
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
        if why.starts_with("invalid date") {
            return CommandError::fatal(format!("git cannot tell when this is: {why}")).hint(
                "GIT_COMMITTER_DATE says so: unset GIT_COMMITTER_DATE, or have it hold a date that git reads",
            );
        }
        return CommandError::fatal(format!("git cannot tell who you are: {why}"))
            .hint("git config --global user.name \"Your Name\"")
            .hint("git config --global user.email you@example.org");
    }
    if let Some(lacks) = unknown_extension(stderr) {
        return lacks;
    }
    let called: Vec<&str> = command.split(' ').take(2).collect();
    let error = match said.is_empty() {
        true => CommandError::fatal(format!("'{}' failed and said nothing", called.join(" "))),
        false => CommandError::fatal(format!("'{}' failed: {}", called.join(" "), said.join("\n"))),
    };
    hints.filter(|hint| !hint.is_empty()).fold(error, CommandError::hint)
}

/// What a git says that is too old for how the repository is kept: it names the extension, and not the git that knows it.
fn unknown_extension(stderr: &str) -> Option<CommandError> {
    let (_, found) = stderr.split_once("unknown repository extension")?;
    let extension = found.lines().nth(1)?.trim().to_owned();
    let (what, needs) = match &*extension {
        "refstorage" => ("its refs are kept as reftable", "git 2.45 or newer"),
        "objectformat" => ("its ids are SHA-256", "git 2.29 or newer"),
        "relativeworktrees" => ("its work trees are linked by relative paths", "git 2.48 or newer"),
        _ => ("it uses what this git does not know", "the git that it was made with"),
    };
    let found = Version::of_git().map(|found| format!(", and this is git {found}")).unwrap_or_default();
    let why =
        format!("cannot read this repository: {what} ('extensions.{extension}'), which takes {needs}{found}");
    Some(CommandError::fatal(why).hint("install a newer git, or name the folder of one first in PATH"))
}

/// Adds what to do about what the system said.
pub(crate) fn with_cause(error: CommandError) -> CommandError {
    let message = error.message();
    let says = |words: &str| message.contains(words);
    match Trouble::of(&message) {
        Some(Trouble::Denied) => {
            return error.hint("this repository cannot be written by you; what only reads still works");
        }
        Some(Trouble::NoRoom) => return error.hint("make room, then try again"),
        None => {}
    }
    if says(".lock': File exists") || says("Another git process seems to be running") {
        return error.at(Exit::TryAgain).hint(
            "another git works in this repository: wait until it has ended; if none does, remove the lock file",
        );
    }
    error
}

impl From<SignError> for CommandError {
    fn from(error: SignError) -> Self {
        let hint = match &error {
            SignError::Format { fits, .. } => Some(format!(
                "say how you sign, as git does: git config gpg.format {}",
                fits.unwrap_or("<ssh or openpgp>")
            )),
            SignError::NoKey(_) => Some(
                "name your key, as for git: git config user.signingKey <file of the public key>".to_owned(),
            ),
            SignError::Failed { odd: Some(OddKey::Of(format)), .. } => Some(format!(
                "'user.signingKey' looks like a key of another kind; if it is one: git config gpg.format {format}"
            )),
            SignError::Failed { odd: Some(OddKey::None), .. } => Some(
                "name your key: git config user.signingKey <key>; and if it is one of ssh: git config gpg.format ssh"
                    .to_owned(),
            ),
            SignError::Start { .. } => {
                Some("it must be installed, and be in a folder that PATH names".to_owned())
            }
            SignError::Key(_) | SignError::Failed { .. } | SignError::Git(_) => None,
        };
        match error {
            SignError::Git(error) => error.into(),
            error => hint.into_iter().fold(Self::new(Exit::Fatal, error), Self::hint),
        }
    }
}

impl From<RefsError> for CommandError {
    fn from(error: RefsError) -> Self {
        match error {
            RefsError::Moved(_) => Self::new(Exit::TryAgain, error),
            RefsError::Git(error) => error.into(),
        }
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
    fn a_date_that_is_none_is_not_taken_for_a_name_that_is_missing() {
        let asked = |said| failed("git var GIT_COMMITTER_IDENT", said);
        let error = asked("fatal: invalid date format: garbage\n");
        assert_eq!(error.message(), "git cannot tell when this is: invalid date format: garbage");
        assert!(error.hints()[0].contains("unset GIT_COMMITTER_DATE"), "{error:?}");
        let error = asked("fatal: empty ident name (for <>) not allowed\n");
        assert!(error.message().starts_with("git cannot tell who you are: "), "{error:?}");
    }

    #[test]
    fn a_git_that_is_too_old_for_the_repository_is_told_which_one_it_takes() {
        let said = "fatal: unknown repository extension found:\n\trefstorage\n";
        let error = failed("git rev-parse --git-dir", said);
        let begin = "cannot read this repository: its refs are kept as reftable ('extensions.refstorage'), which takes git 2.45";
        assert!(error.message().starts_with(begin), "{error:?}");
        let error = failed("git rev-parse", "fatal: unknown repository extensions found:\n\tnew\n\tother\n");
        assert!(error.message().contains("('extensions.new')"), "{error:?}");
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
}
