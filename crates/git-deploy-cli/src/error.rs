//! The one edge at which an error becomes text and an exit code.
//!
//! Libraries have typed errors. A command gives each an [`Exit`] where it knows what it means for the
//! user, by [`OrExit::or_exit`] or by a constructor of [`CommandError`]; what is not classified is fatal.

use crate::{Exit, Shell, printable};
use std::ffi::OsStr;
use std::fmt::{Debug, Display};

/// Why a command did not do what it was asked for: an exit code, what failed and why, what to do now.
///
/// It is not itself a `std::error::Error`, so that `?` cannot wrap one in another and lose the exit code.
#[derive(Debug)]
pub struct CommandError {
    exit: Exit,
    error: anyhow::Error,
    hints: Vec<String>,
    usage: Option<String>,
}

impl CommandError {
    /// An error of a library, with the exit code that it means here.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new(), usage: None }
    }

    /// The answer is no (1).
    pub fn no(message: impl Display + Debug + Send + Sync + 'static) -> Self {
        Self::new(Exit::No, anyhow::Error::msg(message))
    }

    /// Nobody's fault, try again (75).
    pub fn try_again(message: impl Display + Debug + Send + Sync + 'static) -> Self {
        Self::new(Exit::TryAgain, anyhow::Error::msg(message))
    }

    /// It could not be done (128).
    pub fn fatal(message: impl Display + Debug + Send + Sync + 'static) -> Self {
        Self::new(Exit::Fatal, anyhow::Error::msg(message))
    }

    /// The command line makes no sense (129).
    pub fn usage(message: impl Display + Debug + Send + Sync + 'static) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(message))
    }

    /// A signal ended it (130 or 143).
    pub fn interrupted(signal: i32) -> Self {
        const SIGTERM: i32 = 15;
        if signal == SIGTERM {
            Self::new(Exit::Terminated, anyhow::Error::msg("terminated"))
        } else {
            Self::new(Exit::Interrupted, anyhow::Error::msg("interrupted"))
        }
    }

    /// All of them in one, each with its own words and hints. The exit code is that of the first which is no mere no.
    pub(crate) fn several(errors: Vec<Self>) -> Self {
        let exit = errors.iter().map(Self::exit).find(|exit| *exit != Exit::No).unwrap_or(Exit::No);
        let messages: Vec<String> = errors.iter().map(Self::message).collect();
        let mut all = Self::new(exit, anyhow::Error::msg(messages.join("\n")));
        for hint in errors.into_iter().flat_map(|error| error.hints) {
            if !all.hints.contains(&hint) {
                all.hints.push(hint);
            }
        }
        all
    }

    /// The same with another exit code.
    #[must_use]
    pub fn at(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds what to do now; each becomes a `hint:` of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A hint in the place of the one that says to run a command, which helps nobody then.
    #[must_use]
    pub fn hint_instead(mut self, of: &str, hint: String) -> Self {
        match self.hints.iter_mut().find(|told| told.ends_with(of)) {
            Some(told) => *told = hint,
            None => self.hints.push(hint),
        }
        self
    }

    /// Says what failed, in front of why.
    #[must_use]
    pub fn context(mut self, what_failed: impl Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(what_failed);
        self
    }

    /// Shows how the command is used, after the error.
    #[must_use]
    pub(crate) fn with_usage(mut self, usage: Option<String>) -> Self {
        self.usage = usage;
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The hints, in the order in which they were added.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What failed and why, in one line where the causes allow it: `cannot read 'x': no such file`.
    ///
    /// A cause that the text before it says already is not said twice. There is always one: what says nothing of itself is
    /// said to do so.
    pub fn message(&self) -> String {
        let mut message = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            let cause = without_number(cause.trim());
            // A sentence whose end was to be told by something that had nothing to tell.
            let cause = cause.strip_suffix(':').unwrap_or(cause);
            if cause.is_empty() {
                continue;
            }
            let is_said =
                |message: &str| message.ends_with(cause) || message.split(": ").any(|part| part == cause);
            if message.is_empty() {
                message.push_str(cause);
            } else if !is_said(&message) {
                message.push_str(": ");
                message.push_str(cause);
            }
        }
        if message.is_empty() { "it failed, and nothing says why".to_owned() } else { message }
    }

    /// Says it to the user and gives the exit code.
    pub(crate) fn report(&self, shell: &mut Shell) -> Exit {
        if self.exit == Exit::Fatal {
            shell.fatal(self.message());
        } else {
            shell.error(self.message());
        }
        for hint in &self.hints {
            shell.hint_of_error(hint);
        }
        if let Some(usage) = &self.usage {
            shell.usage(usage);
        }
        self.exit
    }
}

/// The standard library adds ` (os error 28)` to what the system says, which helps nobody here.
fn without_number(cause: &str) -> &str {
    match cause.rsplit_once(" (os error ") {
        Some((said, number)) if number.ends_with(')') => said,
        _ => cause,
    }
}

/// What nobody has classified is fatal.
impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Fatal, error)
    }
}

/// Gives the error of a result the exit code that it means here.
pub trait OrExit<T> {
    /// The value, or a [`CommandError`] with this exit code.
    ///
    /// # Errors
    /// When the result is one.
    fn or_exit(self, exit: Exit) -> Result<T, CommandError>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::new(exit, error))
    }
}

/// The name of a branch or a commit, as it was typed.
///
/// # Errors
/// When it is not UTF-8, as no name that we know is.
pub fn typed_name(word: &OsStr) -> Result<&str, CommandError> {
    let shown = || printable(word.as_encoded_bytes());
    word.to_str().ok_or_else(|| CommandError::fatal(format!("cannot use '{}': it is not UTF-8", shown())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bench;

    #[derive(Debug)]
    struct Wrapped(std::io::Error);
    impl Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "cannot read 'deploy.toml': {}", self.0)
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn what_failed_comes_first_then_why_then_what_to_do() {
        let mut bench = Bench::piped();
        let error = CommandError::no("'a.txt' conflicts")
            .context("cannot set 'login' to deployable")
            .hint("rebase it yourself");
        assert_eq!(error.report(&mut bench.shell), Exit::No);
        assert_eq!(
            bench.stderr(),
            "error: cannot set 'login' to deployable: 'a.txt' conflicts\nhint: rebase it yourself\n"
        );
        assert_eq!(bench.stdout(), "");
    }

    #[test]
    fn what_could_not_be_done_is_fatal_as_in_git() {
        let mut bench = Bench::piped();
        assert_eq!(CommandError::fatal("not a git repository").report(&mut bench.shell).code(), 128);
        assert_eq!(bench.stderr(), "fatal: not a git repository\n");
    }

    #[test]
    fn a_cause_that_its_wrapper_quotes_is_said_once() {
        let error = CommandError::new(Exit::Fatal, Wrapped(std::io::Error::other("no such file")));
        assert_eq!(error.message(), "cannot read 'deploy.toml': no such file");
    }

    #[test]
    fn what_says_nothing_of_itself_is_said_to_do_so() {
        let mut bench = Bench::piped();
        CommandError::no("").report(&mut bench.shell);
        CommandError::no("\n \n").context("cannot push: \n").report(&mut bench.shell);
        CommandError::no("\n\nrejected\n\nby a hook\n").report(&mut bench.shell);
        assert_eq!(
            bench.stderr(),
            "error: it failed, and nothing says why\nerror: cannot push\nerror: rejected\nerror: by a hook\n"
        );
    }

    #[test]
    fn an_interruption_is_told_once() {
        let error = CommandError::interrupted(2).context("interrupted: deployment-0001 is claimed");
        assert_eq!(error.message(), "interrupted: deployment-0001 is claimed");
        let error = CommandError::no("interrupted").context("not pushed").context("interrupted");
        assert_eq!(error.message(), "interrupted: not pushed");
    }

    #[test]
    fn the_number_of_an_error_of_the_system_is_left_out() {
        let error = CommandError::new(Exit::Fatal, std::io::Error::from_raw_os_error(2));
        assert_eq!(error.message(), "No such file or directory");
    }

    #[test]
    fn an_error_that_nobody_classified_is_fatal() {
        let error: CommandError = anyhow::anyhow!("odd").into();
        assert_eq!(error.exit(), Exit::Fatal);
    }

    #[test]
    fn a_result_is_given_the_exit_code_it_means_here() {
        let answer: Result<(), _> = Err(std::io::Error::other("unreachable"));
        assert_eq!(answer.or_exit(Exit::TryAgain).unwrap_err().exit().code(), 75);
    }

    #[test]
    fn signals_exit_as_a_shell_reports_them() {
        assert_eq!(CommandError::interrupted(2).exit().code(), 130);
        assert_eq!(CommandError::interrupted(15).exit().code(), 143);
    }

    #[test]
    fn a_hint_of_several_lines_is_marked_on_each() {
        let mut bench = Bench::piped();
        CommandError::no("no").hint("first\nsecond").report(&mut bench.shell);
        assert_eq!(bench.stderr(), "error: no\nhint: first\nhint: second\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf_8_is_refused_and_shown() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(typed_name(OsStr::new("login")).ok(), Some("login"));
        let error = typed_name(OsStr::from_bytes(b"a\xff")).unwrap_err();
        assert_eq!(
            (error.exit(), error.message().as_str()),
            (Exit::Fatal, "cannot use 'a\u{fffd}': it is not UTF-8")
        );
    }
}
