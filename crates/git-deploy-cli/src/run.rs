//! The entry that all binaries share.

use crate::args::{Arguments, accept_end_of_options, explainer, parser};
use crate::signals::because_interrupted;
use crate::{CommandError, Exit, Shell};
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a command: parses the arguments of this process, sets its output up, and turns what comes back into
/// text and an exit code.
///
/// ```no_run
/// use git_deploy_cli::{args, run, Exit};
/// fn main() -> std::process::ExitCode {
///     run(|arguments: args::Sync, shell| {
///         shell.status("Fetching", format!("{:?}", arguments.remote));
///         Ok(Exit::Done)
///     })
/// }
/// ```
pub fn run<A: Arguments>(command: impl FnOnce(A, &mut Shell) -> Result<Exit, CommandError>) -> ExitCode {
    run_with(std::env::args_os().collect(), &mut Shell::of_process(), command).into()
}

/// As [`run()`], with arguments (the program's name first) and output from somewhere else.
pub fn run_with<A: Arguments>(
    arguments: Vec<OsString>,
    shell: &mut Shell,
    command: impl FnOnce(A, &mut Shell) -> Result<Exit, CommandError>,
) -> Exit {
    let exit = match parse::<A>(arguments, shell) {
        Ok(Some(arguments)) => {
            shell.configure(arguments.common());
            command(arguments, shell)
        }
        Ok(None) => Ok(Exit::Done),
        Err(error) => Err(error),
    };
    let exit = exit.unwrap_or_else(|error| because_interrupted(error).report(shell));
    shell.close(exit)
}

/// The arguments, or nothing where help was asked for, and given.
fn parse<A: Arguments>(arguments: Vec<OsString>, shell: &mut Shell) -> Result<Option<A>, CommandError> {
    A::check(arguments.get(1..).unwrap_or_default())?;
    let mut parser = parser::<A>();
    let arguments = accept_end_of_options(&parser, A::meant(arguments));
    let mut parsed = parser.try_get_matches_from_mut(&arguments);
    if parsed.as_ref().is_err_and(|error| error.kind() == ErrorKind::DisplayHelp) {
        parsed = explainer::<A>().try_get_matches_from(arguments);
    }
    match parsed.and_then(|matches| A::from_arg_matches(&matches)) {
        Ok(arguments) => Ok(Some(arguments)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            shell.help(&error.render());
            Ok(None)
        }
        Err(error) => {
            let hint = A::hint(&error);
            Err(hint.into_iter().fold(usage_error(&error.to_string()), CommandError::hint))
        }
    }
}

/// The parser's text in git's manner: what is wrong in a line, then hints, then the usage.
fn usage_error(text: &str) -> CommandError {
    let (message, usage) = match text.split_once("\nUsage: ") {
        Some((message, usage)) => (message, Some(usage)),
        None => (text, None),
    };
    let is_talk = |line: &&str| !line.is_empty() && !line.starts_with("For more information");
    let lines = message.trim_start_matches("error: ").lines().map(str::trim).filter(is_talk);
    let (tips, said): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("tip: "));
    let usage = usage.map(|usage| {
        let forms: Vec<&str> = usage.lines().take_while(|line| !line.is_empty()).collect();
        format!("usage: {}", forms.join("\n"))
    });
    let error = CommandError::usage(said.join(" ")).with_usage(usage);
    // No branch, commit or remote begins with a hyphen, so passing a mistaken option on after `--` is no advice.
    let tips = tips.into_iter().filter(|tip| !tip.starts_with("tip: to pass "));
    tips.fold(error, |error, tip| error.hint(tip.trim_start_matches("tip: ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Deploy, Hook, Log, State, StateCommand};
    use crate::shell::testing::Bench;

    fn ran<A: Arguments>(arguments: &[&str], result: Result<Exit, CommandError>) -> (u8, String, String) {
        let mut bench = Bench::piped();
        let arguments = arguments.iter().map(OsString::from).collect();
        let exit = run_with(arguments, &mut bench.shell, |_: A, _: &mut Shell| result);
        (exit.code(), bench.stdout(), bench.stderr())
    }

    #[test]
    fn a_command_that_succeeds_says_nothing_of_itself() {
        assert_eq!(ran::<Deploy>(&["git-deploy"], Ok(Exit::Done)), (0, String::new(), String::new()));
        assert_eq!(ran::<Deploy>(&["git-deploy"], Ok(Exit::No)).0, 1);
    }

    #[test]
    fn an_error_becomes_text_and_an_exit_code() {
        let (exit, stdout, stderr) = ran::<Deploy>(&["git-deploy"], Err(CommandError::try_again("locked")));
        assert_eq!((exit, stdout.as_str(), stderr.as_str()), (75, "", "error: locked\n"));
    }

    #[test]
    fn a_mistaken_option_shows_the_usage_as_git_does() {
        let (exit, stdout, stderr) = ran::<State>(&["git-deploy-state", "list", "--stat"], Ok(Exit::Done));
        assert_eq!((exit, stdout.as_str()), (129, ""));
        assert!(stderr.starts_with("error: a value is required for '--state <state>' but none was supplied"));

        let (exit, _, stderr) = ran::<State>(&["git-deploy-state", "list", "--colour"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert_eq!(
            stderr,
            "error: unexpected argument '--colour' found\n\
             usage: git deploy-state list [<options>] [--stale] [--state=<state>]\n"
        );
    }

    #[test]
    fn a_mistaken_state_names_those_that_there_are() {
        let (exit, _, stderr) = ran::<State>(&["git-deploy-state", "set", "deploy"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert!(stderr.starts_with("error: invalid value 'deploy' for '<state>'"), "{stderr}");
        assert!(stderr.contains("development, staged, deployable"), "{stderr}");
    }

    #[test]
    fn a_missing_argument_is_named() {
        let (exit, _, stderr) = ran::<Hook>(&["git-deploy-hook"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert_eq!(
            stderr,
            "error: the following required arguments were not provided: <hook>\n\
             usage: git deploy-hook [<options>] <hook> [<argument>...]\n"
        );
    }

    #[test]
    fn a_blank_in_place_of_a_hyphen_is_explained() {
        let (exit, _, stderr) =
            ran::<Deploy>(&["git-deploy", "state", "set", "deployable", "--porcelain"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert_eq!(
            stderr,
            "error: 'git deploy state' is not a command, did you mean 'git deploy-state'?\n\
             hint: a branch of that name is deployed by its full name: git deploy refs/heads/state\n"
        );
    }

    #[test]
    fn help_that_was_asked_for_goes_to_standard_output() {
        let (exit, stdout, stderr) = ran::<Deploy>(&["git-deploy", "-h"], Ok(Exit::No));
        assert_eq!((exit, stderr.as_str()), (0, ""));
        assert!(stdout.starts_with("Deploy one branch, and land it\n\nusage: git deploy "));
        assert!(stdout.contains("Example: "));
        assert!(!stdout.contains('\x1b'));
        let (exit, stdout, _) = ran::<State>(&["git-deploy-state", "set", "--help"], Ok(Exit::No));
        assert_eq!(exit, 0);
        assert!(
            stdout.contains("usage: git deploy-state set [-m <text>] [--priority=<n>] [--after=<branch>] [--hold=<text>] <state>")
        );
    }

    #[test]
    fn what_is_no_number_is_told_in_words() {
        let (exit, _, stderr) = ran::<Log>(&["git-deploy-log", "-n", "x"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert!(
            stderr.starts_with(
                "error: invalid value 'x' for '--max-count <n>': it must be a whole number, as 3\n"
            ),
            "{stderr}"
        );
        let (exit, _, stderr) =
            ran::<State>(&["git-deploy-state", "set", "--priority=abc", "staged"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert!(stderr.contains("'abc' for '--priority <n>': it must be a whole number"), "{stderr}");
        assert_eq!(ran::<Log>(&["git-deploy-log", "-3"], Ok(Exit::Done)).0, 0);
    }

    #[test]
    fn a_branch_in_place_of_a_subcommand_is_told_how_to_ask_for_its_state() {
        let (exit, _, stderr) = ran::<State>(&["git-deploy-state", "a;b"], Ok(Exit::Done));
        assert_eq!(exit, 129);
        assert!(
            stderr.contains("hint: for the state of a branch of that name: git deploy-state get 'a;b'\n"),
            "{stderr}"
        );
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        let (exit, stdout, _) = ran::<State>(&["git-deploy-state", "--version"], Ok(Exit::No));
        assert_eq!((exit, stdout), (0, format!("git-deploy-state {}\n", env!("CARGO_PKG_VERSION"))));
    }

    #[test]
    fn options_of_all_commands_may_stand_before_or_after_the_subcommand() {
        for arguments in [["git-deploy-state", "-q", "list"], ["git-deploy-state", "list", "-q"]] {
            let mut bench = Bench::piped();
            let arguments = arguments.iter().map(OsString::from).collect();
            let exit = run_with(arguments, &mut bench.shell, |arguments: State, shell: &mut Shell| {
                shell.note("not said");
                assert!(matches!(arguments.into_command()?, StateCommand::List(_)));
                Ok(Exit::Done)
            });
            assert_eq!((exit, bench.stderr()), (Exit::Done, String::new()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn arguments_that_are_not_utf_8_are_taken_as_they_are() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"a\xff".to_vec());
        let mut bench = Bench::piped();
        let arguments = vec!["git-deploy".into(), odd.clone()];
        let exit = run_with(arguments, &mut bench.shell, |arguments: Deploy, _: &mut Shell| {
            assert_eq!(arguments.target, Some(odd));
            Ok(Exit::Done)
        });
        assert_eq!(exit, Exit::Done);

        let odd_option = vec!["git-deploy".into(), OsString::from_vec(b"--\xff".to_vec())];
        let exit = run_with(odd_option, &mut bench.shell, |_: Deploy, _: &mut Shell| Ok(Exit::Done));
        assert_eq!(exit, Exit::Usage);
    }

    #[test]
    fn no_arguments_at_all_are_no_reason_to_panic() {
        assert_eq!(ran::<Deploy>(&[], Ok(Exit::Done)).0, 0);
    }
}
