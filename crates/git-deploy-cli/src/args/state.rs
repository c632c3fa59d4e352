//! `git deploy-state`

use super::{Arguments, Common, Output, whole_number};
use crate::{CommandError, shell_word};
use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use git_deploy_core::state::State as BranchState;
use std::ffi::OsString;

/// Show and change the deployment state of branches
///
/// Every branch has one state, which stands in a note on its last commit: a new commit is in development
/// again, because an approval covers exactly the commits it was given for.
///
/// Without a subcommand the state of the current branch is printed.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-state",
    bin_name = "git deploy-state",
    override_usage = "git deploy-state [<options>]\n       \
        git deploy-state get [<options>] [<branch>...]\n       \
        git deploy-state set [-m <text>] [--priority=<n>] [--after=<branch>] [--hold=<text>] <state> [<branch>...]\n       \
        git deploy-state list [<options>] [--stale] [--state=<state>]\n       \
        git deploy-state log [--json] [--all | <branch>]",
    after_help = "Example: queue the current branch for deployment:\n    git deploy-state set deployable",
    after_long_help = include_str!("manual/state.txt")
)]
pub struct State {
    /// What to do; the state of the current branch if it is left out.
    #[command(subcommand)]
    pub command: Option<StateCommand>,

    /// How to print it, where no subcommand says so.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl State {
    /// What to do, with the options that stood before the subcommand.
    ///
    /// # Errors
    /// When an option stands before a subcommand that does not know it.
    pub fn into_command(self) -> Result<StateCommand, CommandError> {
        let output = self.output;
        let unknown_to = |subcommand| {
            CommandError::usage(format!("'git deploy-state {subcommand}' does not know this option"))
        };
        match self.command.unwrap_or_else(|| StateCommand::Get(Get::default())) {
            StateCommand::Get(get) => Ok(StateCommand::Get(Get { output: get.output.or(output), ..get })),
            StateCommand::List(list) => {
                Ok(StateCommand::List(List { output: list.output.or(output), ..list }))
            }
            StateCommand::Log(_) if output.porcelain => Err(unknown_to("log")),
            StateCommand::Log(log) => {
                Ok(StateCommand::Log(StateLog { json: log.json || output.json, ..log }))
            }
            StateCommand::Set(_) if output != Output::default() => Err(unknown_to("set")),
            StateCommand::Set(set) => Ok(StateCommand::Set(set)),
        }
    }
}

impl Arguments for State {
    fn common(&self) -> &Common {
        &self.common
    }

    /// Who names a branch where a subcommand belongs wants to see its state.
    fn hint(mistake: &clap::Error) -> Option<String> {
        if mistake.kind() != ErrorKind::InvalidSubcommand {
            return None;
        }
        match mistake.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(word)) => Some(format!(
                "for the state of a branch of that name: git deploy-state get {}",
                shell_word(word)
            )),
            _ => None,
        }
    }
}

/// The subcommands of `git deploy-state`.
#[derive(Subcommand, Debug)]
pub enum StateCommand {
    /// Print the state of branches, one word a line
    #[command(override_usage = "git deploy-state get [<options>] [<branch>...]")]
    Get(Get),
    /// Move branches to another state, after the checks of that move
    #[command(
        override_usage = "git deploy-state set [-m <text>] [--priority=<n>] [--after=<branch>] [--hold=<text>] <state> [<branch>...]"
    )]
    Set(Set),
    /// List all branches with their state
    #[command(override_usage = "git deploy-state list [<options>] [--stale] [--state=<state>]")]
    List(List),
    /// Show how the state of a branch changed: when, who, from, to, why
    #[command(override_usage = "git deploy-state log [--json] [--all | <branch>]")]
    Log(StateLog),
}

/// `git deploy-state get`
#[derive(clap::Args, Debug, Default)]
pub struct Get {
    /// Whose state to print; the current branch's if it is left out
    #[arg(value_name = "branch")]
    pub branches: Vec<OsString>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,
}

/// `git deploy-state set`
#[derive(clap::Args, Debug)]
pub struct Set {
    /// The state to move to: development, staged or deployable
    #[arg(value_name = "state", value_parser = settable_state(), hide_possible_values = true)]
    pub state: BranchState,

    /// Whose state to set; the current branch's if it is left out
    #[arg(value_name = "branch")]
    pub branches: Vec<OsString>,

    /// Say why; nothing between quotes takes away what was said
    #[arg(short, long, value_name = "text", allow_hyphen_values = true)]
    pub message: Option<String>,

    /// Put it in front of all in the queue that have a lower number; the default is 0
    #[arg(long, value_name = "n", allow_negative_numbers = true, value_parser = whole_number::<i64>)]
    pub priority: Option<i64>,

    /// Deploy it only when another branch is deployed, or gone; nothing between quotes takes that back
    #[arg(long, value_name = "branch")]
    pub after: Option<OsString>,

    /// Hold it back, and say why, as git deploy-queue hold does; nothing between quotes lets it go on
    #[arg(long, value_name = "text", allow_hyphen_values = true)]
    pub hold: Option<String>,
}

/// `git deploy-state list`
#[derive(clap::Args, Debug)]
pub struct List {
    /// List only branches in this state; may be given more than once
    #[arg(long = "state", value_name = "state", value_parser = any_state(), hide_possible_values = true)]
    pub states: Vec<BranchState>,

    /// List instead what was decided on commits that their branch has left: it counts no more
    #[arg(long)]
    pub stale: bool,

    /// How to print them.
    #[command(flatten)]
    pub output: Output,
}

/// `git deploy-state log`
#[derive(clap::Args, Debug)]
pub struct StateLog {
    /// Whose transitions to show; the current branch's if it is left out
    #[arg(value_name = "branch", conflicts_with = "all")]
    pub branch: Option<OsString>,

    /// Show those of all branches
    #[arg(long)]
    pub all: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Any state, by its word.
fn any_state() -> impl TypedValueParser<Value = BranchState> {
    parser_of(|_| false)
}

/// All states are understood, so that the command can say why some cannot be set; only the others are offered.
fn settable_state() -> impl TypedValueParser<Value = BranchState> {
    parser_of(|state| state.decision().is_none())
}

fn parser_of(is_hidden: impl Fn(BranchState) -> bool) -> impl TypedValueParser<Value = BranchState> {
    let value =
        |state: BranchState| PossibleValue::new(state.as_str()).help(meaning(state)).hide(is_hidden(state));
    PossibleValuesParser::new(BranchState::ALL.map(value)).try_map(|word| word.parse::<BranchState>())
}

/// What completions say of a state.
fn meaning(state: BranchState) -> &'static str {
    match state {
        BranchState::Development => "Not queued, its developer rebases it",
        BranchState::Staged => "Not queued, continually rebased on the base branch",
        BranchState::Deployable => "Queued for deployment, continually rebased on the base branch",
        BranchState::Deployed => "On the base branch, never to be touched again",
        BranchState::Broken => "Cannot be rebased cleanly on the base branch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use clap::Parser;

    fn command(arguments: &[&str]) -> StateCommand {
        State::try_parse_from(["git-deploy-state"].iter().chain(arguments)).unwrap().into_command().unwrap()
    }

    #[test]
    fn without_a_subcommand_it_gets_the_state_of_the_current_branch() {
        let StateCommand::Get(get) = command(&["--porcelain", "-z"]) else { panic!() };
        assert!(get.branches.is_empty());
        assert_eq!(get.output.format(), Format::Porcelain { nul: true });
    }

    #[test]
    fn options_may_stand_before_the_subcommand() {
        let StateCommand::List(list) = command(&["-q", "--json", "list", "--state=staged"]) else { panic!() };
        assert_eq!(list.output.format(), Format::Json);
        assert_eq!(list.states, [BranchState::Staged]);
    }

    #[test]
    fn an_option_that_the_subcommand_does_not_know_is_refused_before_it_too() {
        let arguments = State::try_parse_from(["git-deploy-state", "--json", "set", "staged"]).unwrap();
        assert_eq!(arguments.into_command().unwrap_err().exit().code(), 129);
    }

    #[test]
    fn set_takes_a_reason_and_a_priority() {
        let StateCommand::Set(set) =
            command(&["set", "-m", "-x", "--priority", "-3", "deployable", "a", "b"])
        else {
            panic!()
        };
        assert_eq!(set.message.as_deref(), Some("-x"));
        assert_eq!((set.priority, set.state, set.branches.len()), (Some(-3), BranchState::Deployable, 2));
    }

    #[test]
    fn a_state_that_only_git_deploy_sets_is_understood_so_that_the_refusal_can_say_why() {
        let StateCommand::Set(set) = command(&["set", "deployed"]) else { panic!() };
        assert_eq!(set.state, BranchState::Deployed);
        assert!(State::try_parse_from(["git-deploy-state", "set", "done"]).is_err());
    }

    #[test]
    fn z_wants_porcelain() {
        assert!(State::try_parse_from(["git-deploy-state", "list", "-z"]).is_err());
        assert!(State::try_parse_from(["git-deploy-state", "list", "--porcelain", "--json"]).is_err());
    }
}
