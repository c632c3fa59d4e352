//! What is the same for all commands and cannot be derived: git's manners.

use super::Arguments;
use super::reflow::reflow;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// Closes the manual of every command.
const COMMON_MANUAL: &str = include_str!("manual/common.txt");

/// The pages that a manual names at its end, less its own.
const PAGES: [&str; 12] = [
    "git-deploy(1)",
    "git-deploy-init(1)",
    "git-deploy-state(1)",
    "git-deploy-rebase(1)",
    "git-deploy-queue(1)",
    "git-deploy-build(1)",
    "git-deploy-diff(1)",
    "git-deploy-status(1)",
    "git-deploy-log(1)",
    "git-deploy-sync(1)",
    "git-deploy-hook(1)",
    "git-notes(1)",
];

/// `-h` in the way of git's.
const HELP: &str = "{about}\n\nusage: {usage}\n\n{all-args}{after-help}";
const HELP_WITHOUT_ABOUT: &str = "usage: {usage}\n\n{all-args}{after-help}";

/// A command as it is documented: with what all manuals say.
pub fn described(command: Command) -> Command {
    let command = mannered(command);
    let manual = command
        .get_after_long_help()
        .map(|own| own.to_string())
        .map(|own| reflow(&format!("{own}{}{}", common_besides(&own), see_also(command.get_name()))));
    match manual {
        Some(manual) => command.after_long_help(manual),
        None => command,
    }
}

/// A command with what is the same for all.
fn mannered(command: Command) -> Command {
    command
        .version(env!("CARGO_PKG_VERSION"))
        .infer_long_args(true)
        .args_override_self(true)
        .disable_help_subcommand(true)
        .help_template(HELP)
        .mut_subcommands(|subcommand| {
            let template = if subcommand.get_about().is_some() { HELP } else { HELP_WITHOUT_ABOUT };
            subcommand.args_override_self(true).help_template(template).disable_version_flag(true)
        })
}

/// What all manuals say, but for the exit codes of which one says more itself.
fn common_besides(own: &str) -> String {
    let is_said = |line: &str| {
        let code =
            line.split_whitespace().next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        code.is_some_and(|code| own.contains(&format!("\n    {code}  ")))
    };
    COMMON_MANUAL.lines().filter(|line| !is_said(line)).flat_map(|line| [line, "\n"]).collect()
}

/// The other pages, five a line.
fn see_also(name: &str) -> String {
    let own = format!("{name}(1)");
    let others: Vec<&str> = PAGES.into_iter().filter(|page| *page != own).collect();
    let lines: Vec<String> = others.chunks(5).map(|line| format!("    {}", line.join(", "))).collect();
    format!("\nSEE ALSO\n{}\n", lines.join(",\n"))
}

/// A command as it is parsed: with the `--no-` forms that users of git expect, which no manual lists. Its manual is made by
/// [`explainer`] alone, for whoever asks: that takes as long as all else that is done with arguments.
pub fn parser<A: Arguments>() -> Command {
    with_negations(mannered(A::command()))
}

/// The same parser, which has the whole manual to answer with.
pub fn explainer<A: Arguments>() -> Command {
    with_negations(described(A::command()))
}

fn with_negations(command: Command) -> Command {
    let negations: Vec<Arg> = command.get_arguments().filter_map(negation).collect();
    command.args(negations).mut_subcommands(with_negations)
}

/// The argument that takes back a flag: the later of the two counts. `--no-color` has none: `--color` would say more than
/// that it is taken back.
fn negation(flag: &Arg) -> Option<Arg> {
    let long = flag.get_long().filter(|long| *long != "no-color")?;
    if !matches!(flag.get_action(), ArgAction::SetTrue | ArgAction::Count) {
        return None;
    }
    let id = flag.get_id().to_string();
    let long = long.strip_prefix("no-").map_or_else(|| format!("no-{long}"), str::to_owned);
    let negation = Arg::new(format!("not {id}"))
        .long(long)
        .action(ArgAction::SetTrue)
        .hide(true)
        .global(flag.is_global_set())
        .overrides_with(id);
    Some(negation)
}

/// Replaces git's `--end-of-options` by the `--` that the parser knows, where it stands before it.
///
/// A command that hands its arguments on (`git deploy-hook`) gets them as they are.
pub fn accept_end_of_options(command: &Command, mut arguments: Vec<OsString>) -> Vec<OsString> {
    let hands_on = command.get_positionals().any(Arg::is_trailing_var_arg_set);
    let end = arguments.iter().position(|argument| argument == "--" || argument == "--end-of-options");
    if let Some(end) = end.filter(|_| !hands_on) {
        arguments[end] = "--".into();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::super::{Deploy, Init, Sync};
    use super::*;
    use clap::FromArgMatches;

    fn parsed<A: Arguments + FromArgMatches>(arguments: &[&str]) -> A {
        let arguments = arguments.iter().map(OsString::from).collect();
        let arguments = accept_end_of_options(&parser::<A>(), arguments);
        A::from_arg_matches(&parser::<A>().get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn a_flag_can_be_taken_back_as_in_git() {
        assert!(parsed::<Sync>(&["git-deploy-sync", "--dry-run"]).dry_run);
        assert!(!parsed::<Sync>(&["git-deploy-sync", "-n", "--no-dry-run"]).dry_run);
        assert!(parsed::<Sync>(&["git-deploy-sync", "--no-dry-run", "-n"]).dry_run);
        assert!(!parsed::<Init>(&["git-deploy-init", "--no-hooks", "--hooks"]).no_hooks);
        assert_eq!(parsed::<Sync>(&["git-deploy-sync", "-vv", "--no-verbose"]).common.verbose, 0);
    }

    #[test]
    fn of_quiet_and_verbose_the_last_wins() {
        let quiet = parsed::<Sync>(&["git-deploy-sync", "-v", "-q"]).common;
        assert!(quiet.quiet && quiet.verbose == 0);
        let verbose = parsed::<Sync>(&["git-deploy-sync", "-q", "-v"]).common;
        assert!(!verbose.quiet && verbose.verbose == 1);
    }

    #[test]
    fn the_last_of_two_values_wins() {
        let arguments = parsed::<Deploy>(&["git-deploy", "--env=staging", "--env=production"]);
        assert_eq!(arguments.env.as_deref(), Some("production"));
    }

    #[test]
    fn long_options_may_be_abbreviated() {
        assert!(parsed::<Sync>(&["git-deploy-sync", "--dry"]).dry_run);
    }

    #[test]
    fn end_of_options_ends_the_options() {
        let arguments = parsed::<Sync>(&["git-deploy-sync", "-n", "--end-of-options", "-odd"]);
        assert!(arguments.dry_run);
        assert_eq!(arguments.remote.unwrap(), "-odd");
    }
}
