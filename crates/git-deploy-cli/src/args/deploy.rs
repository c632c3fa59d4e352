//! `git deploy`

use super::{Arguments, Common};
use crate::{CommandError, printable};
use std::ffi::OsString;

use clap::builder::NonEmptyStringValueParser;

/// Words that are commands of their own: `git deploy-state`, not `git deploy state`.
const COMMANDS: [&str; 11] =
    ["state", "rebase", "queue", "init", "log", "sync", "build", "hook", "check", "diff", "status"];

/// Deploy one branch, and land it
///
/// Takes the first branch of the queue, or the one that is named, rebases it on the base branch, renders its
/// manifests, checks them, brings them into the environment, waits until everything runs there, and lands the branch on
/// the base branch. If any of that fails, base stays as it was, the environment goes back to what stood there before, and
/// the branch becomes staged, with the reason. Either way the attempt is numbered, and recorded by an annotated tag that
/// git-deploy-log(1) shows.
///
/// An environment is a namespace of a cluster, to which the manifests are applied server-side; or a branch of rendered
/// manifests, from which Argo CD, Flux or kubectl takes them. The images of the commit that are not there yet are built and
/// pushed first, as git-deploy-build(1) does it, and the manifests name them by their digests.
///
/// A branch must be deployable (see git-deploy-state(1)); a commit must be deployable and rebased, or be on
/// the base branch already. Without a name and with an empty queue there is nothing to do, which is no error.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy",
    bin_name = "git deploy",
    override_usage = "git deploy [<options>] [--env=<environment>] [<branch> | <commit>]\n       \
        git deploy --skip=<environment> --reason=<text> [--env=<environment>] [<branch> | <commit>]\n       \
        git deploy --rollback[=<deployment>] [--env=<environment>]\n       \
        git deploy --continue [--skip=<environment> --reason=<text>]\n       git deploy --abort\n       git deploy --ahead\n       git deploy --tidy",
    after_help = "Example: deploy the branch 'login' to production:\n    git deploy --env=production login",
    after_long_help = include_str!("manual/deploy.txt")
)]
pub struct Deploy {
    /// What to deploy; the head of the queue if it is left out
    #[arg(value_name = "branch|commit")]
    pub target: Option<OsString>,

    /// Where to deploy it to; if it is left out, the first environment in which exactly this commit is not the
    /// latest success
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// Check, render and show what would be done, and do nothing of it; with -v also what would change in each object
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Finish a deployment that was stopped: push again what is verified and not landed, or take up what a
    /// crash left
    #[arg(long = "continue", conflicts_with_all = ["target", "env", "dry_run"])]
    pub resume: bool,

    /// Give up the deployment that was stopped, and leave the environment as it was before
    #[arg(long, conflicts_with_all = ["target", "env", "dry_run", "resume"])]
    pub abort: bool,

    /// Deploy nothing: while another branch is on its way, rebase the next one in the queue upon it, make its images and check
    /// its manifests, so that its deployment finds that done
    #[arg(
        long,
        conflicts_with_all = [
            "target", "env", "dry_run", "resume", "abort", "rollback", "skip", "force_conflicts", "new_cluster", "retry_job"
        ]
    )]
    pub ahead: bool,

    /// Deploy nothing: delete what is no longer wanted and was kept for as long as 'prune' says, where nothing is deployed just
    /// now
    #[arg(
        long,
        conflicts_with_all = [
            "target", "env", "dry_run", "resume", "abort", "ahead", "rollback", "skip", "force_conflicts", "new_cluster",
            "retry_job", "no_build", "builder"
        ]
    )]
    pub tidy: bool,

    /// Apply again what an earlier deployment had applied: what stood there before, or what the one that is named had
    /// applied. That is a deployment with a number of its own, and holds the queue until base takes back what was rolled
    /// back
    #[arg(
        long,
        value_name = "deployment",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with_all = ["target", "resume", "abort"]
    )]
    pub rollback: Option<String>,

    /// Go past what should come first, as nobody does without need: an environment that comes before, where this commit does
    /// not stand, or 'freeze', the time at which nothing is to be deployed. It is recorded, and shown by git-deploy-log(1)
    /// and git-deploy-status(1); may be given several times
    #[arg(
        long,
        value_name = "environment",
        requires = "reason",
        conflicts_with_all = ["rollback", "abort"]
    )]
    pub skip: Vec<String>,

    /// Why something is skipped, for those who wonder
    #[arg(
        long,
        value_name = "text",
        requires = "skip",
        allow_hyphen_values = true,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub reason: Option<String>,

    /// Take over fields and objects that somebody else manages; objects of another set never
    #[arg(long, conflicts_with = "abort")]
    pub force_conflicts: bool,

    /// Go on although the environment's cluster is not the one that the ledger knows
    #[arg(long)]
    pub new_cluster: bool,

    /// Run a one-time job again that has failed
    #[arg(long, value_name = "job", conflicts_with = "abort")]
    pub retry_job: Vec<String>,

    /// Build no images: use those that are there, and if one is missing deploy nothing
    #[arg(long, conflicts_with = "abort")]
    pub no_build: bool,

    /// What builds images: buildah, podman or docker; if it is left out, what deploy.builder says, or the first of them
    /// that is there and works
    #[arg(
        long,
        value_name = "program",
        value_parser = ["buildah", "podman", "docker"],
        hide_possible_values = true,
        conflicts_with_all = ["abort", "no_build"]
    )]
    pub builder: Option<String>,

    /// Print one JSON object a line; the last one is the verdict
    #[arg(long)]
    pub json: bool,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Deploy {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(arguments: &[OsString]) -> Result<(), CommandError> {
        if let Some(word) = meant_command(arguments) {
            return Err(CommandError::usage(format!(
                "'git deploy {word}' is not a command, did you mean 'git deploy-{word}'?"
            ))
            .hint(format!(
                "a branch of that name is deployed by its full name: git deploy refs/heads/{word}"
            )));
        }
        match superfluous(arguments) {
            Some((option, word)) => Err(CommandError::usage(format!(
                "'--{option}' expects no arguments, and not '{}'",
                printable(word.as_encoded_bytes())
            ))
            .hint(format!(
                "it is about the deployment that is under way, whichever that is: git deploy --{option}"
            ))),
            None => Ok(()),
        }
    }
}

/// Options whose value may be the next argument; all may be abbreviated.
const WITH_VALUE: [&str; 5] = ["--env", "--builder", "--retry-job", "--skip", "--reason"];

/// What is no option, and no value of one; whether it stands before `--`, where it could have been one.
fn words(arguments: &[OsString]) -> impl Iterator<Item = (&OsString, bool)> {
    let (mut is_value, mut is_open) = (false, true);
    arguments.iter().filter_map(move |argument| {
        let text = argument.to_str().unwrap_or_default();
        if std::mem::take(&mut is_value) {
            return None;
        }
        if !is_open {
            return Some((argument, false));
        }
        if text == "--" || text == "--end-of-options" {
            is_open = false;
            return None;
        }
        is_value = text.len() > 2 && WITH_VALUE.iter().any(|option| option.starts_with(text));
        (!text.starts_with('-') || text == "-").then_some((argument, true))
    })
}

/// The command that somebody meant who typed a blank in place of a hyphen.
///
/// Only the first argument counts, and only where it could be an option: after `--` it is a branch.
pub(super) fn meant_command(arguments: &[OsString]) -> Option<&'static str> {
    let (first, could_be_option) = words(arguments).next()?;
    COMMANDS.into_iter().find(|word| could_be_option && *first == **word)
}

/// A word beside an option that is about no branch or commit in particular.
fn superfluous(arguments: &[OsString]) -> Option<(&'static str, &OsString)> {
    let is_before = |argument: &&OsString| *argument != "--" && *argument != "--end-of-options";
    let option = arguments.iter().take_while(is_before).find_map(|argument| {
        let typed = argument.to_str()?.strip_prefix("--").filter(|typed| !typed.is_empty())?;
        ["abort", "continue"].into_iter().find(|option| option.starts_with(typed))
    })?;
    Some((option, words(arguments).next()?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn meant(arguments: &[&str]) -> Option<&'static str> {
        meant_command(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_blank_in_place_of_a_hyphen_is_noticed() {
        assert_eq!(meant(&["state"]), Some("state"));
        assert_eq!(meant(&["state", "set", "deployable"]), Some("state"));
        assert_eq!(meant(&["-q", "--env", "staging", "queue", "--porcelain"]), Some("queue"));
        assert_eq!(meant(&["--env=staging", "status"]), Some("status"));
        assert_eq!(meant(&["--dry-run", "log"]), Some("log"));
    }

    #[test]
    fn branches_are_no_commands() {
        assert_eq!(meant(&[]), None);
        assert_eq!(meant(&["login"]), None);
        assert_eq!(meant(&["login", "state"]), None);
        assert_eq!(meant(&["--env", "state"]), None);
        assert_eq!(meant(&["--en", "state", "login"]), None);
    }

    #[test]
    fn a_branch_that_is_called_like_a_command_can_be_deployed() {
        assert_eq!(meant(&["refs/heads/state"]), None);
        assert_eq!(meant(&["--", "state"]), None);
        assert_eq!(meant(&["--end-of-options", "state"]), None);
    }

    #[test]
    fn a_word_beside_an_option_that_takes_none_is_named() {
        let said = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            Deploy::check(&arguments).err().map(|error| error.message())
        };
        for arguments in [
            &["--abort", "some", "words"][..],
            &["some", "--abort"],
            &["--abort", "-q", "--env", "x", "some"],
            &["--ab", "--", "some"],
        ] {
            let expected = "'--abort' expects no arguments, and not 'some'";
            assert_eq!(said(arguments).as_deref(), Some(expected), "{arguments:?}");
        }
        assert!(said(&["--continue", "login"]).is_some_and(|said| said.contains("'--continue'")));
        for arguments in
            [&["--abort", "-q"][..], &["login"], &["--env", "x", "--continue"], &["--", "--abort", "x"]]
        {
            assert_eq!(said(arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn a_target_and_continue_and_abort_exclude_each_other() {
        for arguments in [["--continue", "--abort"], ["--continue", "login"], ["--abort", "login"]] {
            let parsed = Deploy::try_parse_from(["git-deploy"].iter().chain(&arguments));
            assert_eq!(parsed.unwrap_err().kind(), clap::error::ErrorKind::ArgumentConflict);
        }
    }
}
