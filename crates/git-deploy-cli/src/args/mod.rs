//! The arguments of all commands, one module each, and their manual.
//!
//! The words are shared with git: options come before arguments (or anywhere), every flag has a `--no-`
//! form, the last of two contradicting options wins, long options may be abbreviated, and
//! `--end-of-options` ends them. Each command's `manual/*.txt` is what `--help` and the manual page say
//! beyond the options; its format is described there in `README.md`.

mod build;
mod deploy;
mod diff;
mod hook;
mod init;
mod log;
mod output;
mod prepare;
mod queue;
mod rebase;
mod reflow;
mod state;
mod status;
mod sync;

pub use build::Build;
pub use deploy::Deploy;
pub use diff::Diff;
pub use hook::Hook;
pub use init::{Init, InitCommand, InitRunner};
pub use log::Log;
pub use output::{Format, Output};
pub use prepare::{accept_end_of_options, described, explainer, parser};
pub use queue::{ApproveQueue, Queue, QueueCommand, RunQueue, ShowQueue};
pub use rebase::Rebase;
pub use state::{Get, List, Set, State, StateCommand, StateLog};
pub use status::Status;
pub use sync::Sync;

use crate::CommandError;
use clap::CommandFactory as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

/// The arguments of one command, as [`run`](crate::run()) wants them.
pub trait Arguments: clap::Parser {
    /// The options that all commands have.
    fn common(&self) -> &Common;

    /// Looks at the arguments, without the program's name, before they are parsed.
    ///
    /// # Errors
    /// When they are a mistake that can be explained better than the parser would.
    fn check(_arguments: &[OsString]) -> Result<(), CommandError> {
        Ok(())
    }

    /// Takes the arguments, with the program's name, as users of git mean them.
    fn meant(arguments: Vec<OsString>) -> Vec<OsString> {
        arguments
    }

    /// What to do about a mistake that the parser found.
    fn hint(_mistake: &clap::Error) -> Option<String> {
        None
    }
}

/// Options of all commands.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Common {
    /// Say nothing but warnings and errors beside what was asked for
    #[arg(short, long, global = true, overrides_with = "verbose")]
    pub quiet: bool,

    /// Say more, also of what is done on the way
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Print without colours, whatever the configuration says
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// A number as it is typed; the standard library's words about what is none help nobody.
fn whole_number<N: FromStr<Err = ParseIntError>>(word: &str) -> Result<N, &'static str> {
    word.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "it is out of range",
        _ if word.starts_with('-') => "it must not be negative",
        _ => "it must be a whole number, as 3",
    })
}

/// All commands, for manual pages and completion.
pub fn commands() -> Vec<clap::Command> {
    [
        Deploy::command(),
        Init::command(),
        State::command(),
        Rebase::command(),
        Queue::command(),
        Build::command(),
        Diff::command(),
        Status::command(),
        Log::command(),
        Sync::command(),
        Hook::command(),
    ]
    .map(described)
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_command_contradicts_itself() {
        for command in commands() {
            command.debug_assert();
        }
        parser::<Deploy>().debug_assert();
        parser::<State>().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_says_how_it_exits() {
        for command in commands() {
            let short = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(short.replace('-', " ").contains("git deploy"), "{}", command.get_name());
            for heading in ["\nEXAMPLES\n", "\nEXIT STATUS\n", "\nSEE ALSO\n"] {
                assert!(long.contains(heading), "{}: {heading}", command.get_name());
            }
        }
    }

    #[test]
    fn a_manual_fits_into_a_terminal_and_lists_no_exit_code_twice() {
        for command in commands() {
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let is_literal = |line: &&str| line.starts_with("        ");
            let mut codes = BTreeSet::new();
            for line in long.lines().filter(|line| !is_literal(line)) {
                assert!(line.len() <= 80, "{}: {line}", command.get_name());
                let code = line.trim_start().split_once("  ").and_then(|(code, _)| code.parse::<u8>().ok());
                assert!(code.is_none_or(|code| codes.insert(code)), "{}: {line}", command.get_name());
            }
            assert!(codes.contains(&128) && codes.contains(&143), "{}: {codes:?}", command.get_name());
        }
    }

    #[test]
    fn a_manual_names_all_other_commands_and_not_itself() {
        let names: Vec<String> = commands().iter().map(|command| command.get_name().to_owned()).collect();
        for command in commands() {
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let (_, see_also) = long.split_once("SEE ALSO").unwrap();
            for name in &names {
                let is_named = see_also
                    .split_whitespace()
                    .any(|word| word.trim_end_matches(',') == format!("{name}(1)"));
                assert_eq!(is_named, name != command.get_name(), "{}: {name}", command.get_name());
            }
            assert!(see_also.lines().all(|line| line.len() <= 120), "{see_also}");
        }
    }

    #[test]
    fn commands_are_called_as_users_type_them() {
        for command in commands() {
            let (name, typed) = (command.get_name(), command.get_bin_name().unwrap_or_default());
            assert_eq!(name.replacen('-', " ", 1), typed);
            for usage in command.clone().render_usage().to_string().lines() {
                let usage = usage.trim_start_matches("Usage: ").trim_start();
                assert!(usage.starts_with(typed), "{usage}");
            }
        }
    }
}
