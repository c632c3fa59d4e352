//! All output of the binaries goes through here.
//!
//! - Standard output carries only what a pipe may read: [`Shell::line`], [`Shell::record`], [`Shell::json`].
//! - All talk goes to standard error: status, notes, warnings, hints, errors, progress.
//! - No method lets a control character from a repository through to people; [`Shell::record`] is for
//!   programs and quotes as git does.
//! - Methods do not fail: a deployment must not stop halfway because nobody reads its output any more. What
//!   went wrong is kept, and [`Shell::close`] answers it.
//!
//! Colours: `--no-color`, then `NO_COLOR`, then `CLICOLOR_FORCE`, then git's `color.deploy` and `color.ui`.
//! Git is asked only for a terminal or its own pager, so that `color.ui=always` does not reach other pipes.

mod object;
mod record;
mod settings;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod withdrawn;

pub use object::Object;
pub use settings::{GitConfig, Settings, Surroundings};
pub use table::Table;
pub use text::{BAD, COMMIT, ERROR, FAINT, GOOD, HINT, NAME, STATUS, Text, WARNING, brief, printable};

use crate::args::Common;
use crate::{CommandError, Exit};
use anstyle::Style;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Goes back to the beginning of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Where output goes, and whether somebody looks at it there.
pub struct Stream {
    writer: BufWriter<Box<dyn Write>>,
    terminal: bool,
    color: Option<bool>,
}

impl Stream {
    /// A stream over a writer.
    pub fn new(writer: impl Write + 'static, terminal: bool) -> Self {
        Self { writer: BufWriter::new(Box::new(writer)), terminal, color: None }
    }

    fn wants_color(&mut self, seen: bool, surroundings: Surroundings, settings: &dyn Settings) -> bool {
        let terminal = self.terminal;
        *self.color.get_or_insert_with(|| surroundings.force_color || seen && settings.wants_color(terminal))
    }
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose(u8),
}

/// The output of a command.
pub struct Shell {
    out: Stream,
    err: Stream,
    verbosity: Verbosity,
    no_color: bool,
    surroundings: Surroundings,
    settings: Box<dyn Settings>,
    advice: Option<bool>,
    progress_shown: bool,
    failure: Option<io::Error>,
    withdrawn: withdrawn::Overridable,
}

impl Shell {
    /// The shell of this process.
    pub fn of_process() -> Self {
        Self::new(
            Stream::new(io::stdout(), io::stdout().is_terminal()),
            Stream::new(io::stderr(), io::stderr().is_terminal()),
            Surroundings::new(|name| std::env::var_os(name)),
            GitConfig,
        )
    }

    /// A shell over any two streams.
    pub fn new(
        out: Stream,
        err: Stream,
        surroundings: Surroundings,
        settings: impl Settings + 'static,
    ) -> Self {
        Self {
            out,
            err,
            verbosity: Verbosity::Normal,
            no_color: surroundings.no_color,
            surroundings,
            settings: Box::new(settings),
            advice: surroundings.advice,
            progress_shown: false,
            failure: None,
            withdrawn: withdrawn::Overridable::default(),
        }
    }

    /// Obeys `--quiet`, `--verbose` and `--no-color`.
    pub fn configure(&mut self, common: &Common) {
        self.verbosity = match (common.quiet, common.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, level) => Verbosity::Verbose(level),
        };
        self.no_color |= common.no_color;
    }

    /// Whether only warnings and errors are wanted (`--quiet`).
    pub fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Prints a line for people on standard output.
    pub fn line(&mut self, text: impl Into<Text>) {
        let text = text.into();
        let color = text.is_coloured() && self.out_color();
        let line = text.render(color, false) + "\n";
        self.write_out(line.as_bytes());
    }

    /// Prints a record for programs on standard output: fields separated by a space, ended by a line feed or
    /// by NUL.
    ///
    /// An empty field is printed as `-`. In lines, what would be taken apart is quoted as git quotes paths;
    /// records that end with NUL carry every field as it is.
    pub fn record<F: AsRef<[u8]>>(&mut self, fields: impl IntoIterator<Item = F>, nul: bool) {
        self.write_out(&record::record(fields, nul));
    }

    /// Prints one value as one line of JSON on standard output, at once, so that a reader can follow.
    pub fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        match record::json_line(value) {
            Ok(line) => self.write_out(line.as_bytes()),
            Err(error) => self.failed(io::Error::other(error)),
        }
        self.flush();
    }

    /// Says what is being done: a verb, as in `Rebasing`, and what it is done to.
    pub fn status(&mut self, verb: impl Display, text: impl Into<Text>) {
        if !self.is_quiet() {
            self.say_status(verb, &text.into());
        }
    }

    /// Says what a program wrote last that failed, to somebody who was not shown it with [`Shell::status`] while it worked.
    pub fn wrote_last(&mut self, program: &str, lines: &[String]) {
        let unseen = if self.is_quiet() { lines } else { &[] };
        for line in unseen {
            let text = format!("| {line}");
            self.say_status(program, &text.into());
        }
    }

    fn say_status(&mut self, verb: impl Display, text: &Text) {
        self.say(STATUS, &format!("{verb:>12} "), text);
    }

    /// Says something worth knowing.
    pub fn note(&mut self, text: impl Into<Text>) {
        if !self.is_quiet() {
            self.say(FAINT, "note: ", &text.into());
        }
    }

    /// Says what only somebody who asked for it, with so many `-v`, wants to know.
    pub fn verbose(&mut self, level: u8, text: impl Into<Text>) {
        if matches!(self.verbosity, Verbosity::Verbose(wanted) if wanted >= level) {
            self.say(Style::new(), "", &text.into());
        }
    }

    /// Warns.
    pub fn warn(&mut self, text: impl Into<Text>) {
        self.say(WARNING, "warning: ", &text.into());
    }

    /// Says what could be done next, unless advice is not wanted (`--quiet`, `GIT_ADVICE`, `advice.deploy`).
    pub fn hint(&mut self, text: impl Into<Text>) {
        if !self.is_quiet() {
            self.hint_of_error(text);
        }
    }

    /// Says that one of several things failed, where the command goes on; what ends it is a [`CommandError`].
    pub fn error(&mut self, text: impl Into<Text>) {
        self.say(ERROR, "error: ", &text.into());
    }

    /// Says why it ends here.
    pub(crate) fn fatal(&mut self, text: impl Into<Text>) {
        self.say(ERROR, "fatal: ", &text.into());
    }

    /// As [`Shell::hint`], but also for somebody who wants to be told about errors only.
    pub(crate) fn hint_of_error(&mut self, text: impl Into<Text>) {
        let wanted = *self.advice.get_or_insert_with(|| self.settings.advice().unwrap_or(true));
        let text = text.into();
        if wanted && !self.withdrawn.is_overridden(&text.render(false, false)) {
            self.say(HINT, "hint: ", &text);
        }
    }

    /// Shows how the command is used, after an error.
    pub(crate) fn usage(&mut self, usage: &str) {
        self.say(Style::new(), "", &Text::from(usage));
    }

    /// Prints what was asked for with `-h` or `--version`; it is our own text.
    pub(crate) fn help(&mut self, help: &clap::builder::StyledStr) {
        let text = if self.out_color() { help.ansi().to_string() } else { help.to_string() };
        self.write_out(text.as_bytes());
    }

    /// Whether a progress line would be seen.
    pub fn shows_progress(&self) -> bool {
        self.err.terminal && !self.surroundings.dumb_terminal && !self.is_quiet()
    }

    pub(crate) fn show_progress(&mut self, text: &str) {
        let text = text::escaped(text, false);
        self.write_err(format!("{CLEAR_LINE}{text}").as_bytes());
        self.progress_shown = true;
    }

    pub(crate) fn keep_progress(&mut self, text: &str) {
        self.show_progress(text);
        self.progress_shown = false;
        self.write_err(b"\n");
    }

    /// Writes out what is still kept back; to be called before a child process writes to the same streams.
    pub fn flush(&mut self) {
        self.clear_progress();
        let flushed = self.out.writer.flush();
        self.outcome(flushed);
    }

    /// Ends the output. Where standard output could not be written, the exit code says so: quietly if nobody
    /// reads it any more, but never in place of another answer.
    pub fn close(&mut self, exit: Exit) -> Exit {
        self.flush();
        match self.failure.take() {
            None => exit,
            Some(_) if exit != Exit::Done => exit,
            Some(failure) if failure.kind() == io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
            Some(failure) => CommandError::new(Exit::Fatal, failure)
                .context("cannot write to standard output")
                .report(self),
        }
    }

    fn say(&mut self, style: Style, label: &str, text: &Text) {
        let color = self.err_color();
        let mut message = String::new();
        let text = text.render(color, true);
        // What others say may have blank lines, and a label with nothing behind it says nothing.
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            message.push_str(&Text::new().styled(style, label).render(color, false));
            message.push_str(line);
            message.push('\n');
        }
        self.flush();
        self.write_err(message.as_bytes());
    }

    fn write_out(&mut self, bytes: &[u8]) {
        if self.out.terminal {
            self.clear_progress();
        }
        if self.failure.is_none() {
            let written = self.out.writer.write_all(bytes);
            self.outcome(written);
        }
        if self.out.terminal {
            self.flush();
        }
    }

    /// Nobody can be told about standard error.
    fn write_err(&mut self, bytes: &[u8]) {
        let _ = self.err.writer.write_all(bytes).and_then(|()| self.err.writer.flush());
    }

    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            self.write_err(CLEAR_LINE.as_bytes());
        }
    }

    fn outcome(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed(error);
        }
    }

    fn failed(&mut self, error: io::Error) {
        self.failure.get_or_insert(error);
    }

    /// As in git the pager counts for standard output only.
    fn out_color(&mut self) -> bool {
        let seen = self.out.terminal || self.surroundings.pager_in_use;
        !self.no_color && self.out.wants_color(seen, self.surroundings, &*self.settings)
    }

    fn err_color(&mut self) -> bool {
        let seen = self.err.terminal;
        !self.no_color && self.err.wants_color(seen, self.surroundings, &*self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Bench, Broken, Fake};
    use super::*;

    #[test]
    fn standard_output_carries_only_what_a_pipe_may_read() {
        let mut bench = Bench::piped();
        bench.shell.status("Rebasing", "login");
        bench.shell.note("n");
        bench.shell.warn("w");
        bench.shell.hint("h");
        bench.shell.error("e");
        bench.shell.line("staged");
        bench.shell.record(["staged", "ab12"], false);
        bench.shell.json(&serde_json::json!({"state": "staged"}));
        assert_eq!(bench.stdout(), "staged\nstaged ab12\n{\"state\":\"staged\"}\n");
        assert_eq!(bench.stderr(), "    Rebasing login\nnote: n\nwarning: w\nhint: h\nerror: e\n");
    }

    #[test]
    fn quiet_leaves_warnings_and_errors() {
        let mut bench = Bench::terminal();
        bench.shell.configure(&Common { quiet: true, ..Common::default() });
        bench.shell.status("Rebasing", "login");
        bench.shell.note("n");
        bench.shell.hint("h");
        bench.shell.verbose(1, "v");
        assert!(!bench.shell.shows_progress());
        bench.shell.warn("w");
        CommandError::no("e").hint("h").report(&mut bench.shell);
        assert_eq!(bench.stderr(), "warning: w\nerror: e\nhint: h\n");
    }

    #[test]
    fn each_v_says_more() {
        let mut bench = Bench::piped();
        bench.shell.verbose(1, "not yet");
        bench.shell.configure(&Common { verbose: 1, ..Common::default() });
        bench.shell.verbose(1, "one");
        bench.shell.verbose(2, "two");
        assert_eq!(bench.stderr(), "one\n");
    }

    #[test]
    fn a_hostile_name_reaches_no_terminal_as_it_is() {
        let mut bench = Bench::terminal();
        bench.shell.line("a\x1b]0;title\x07\nb");
        bench.shell.warn("a\x1b[2Jb\r");
        assert_eq!(bench.stdout(), "a\\u{1b}]0;title\\u{7}\\nb\n");
        assert_eq!(bench.stderr(), "warning: a\\u{1b}[2Jb\\r\n");
    }

    #[test]
    fn each_line_of_a_message_is_marked_so_that_none_poses_as_another() {
        let mut bench = Bench::piped();
        bench.shell.warn("odd\nfatal: not really");
        assert_eq!(bench.stderr(), "warning: odd\nwarning: fatal: not really\n");
    }

    #[test]
    fn no_label_stands_alone_whatever_blank_lines_a_message_has() {
        let mut bench = Bench::piped();
        bench.shell.warn("\nfirst\n \n\nsecond\n\n");
        bench.shell.error(String::new());
        assert_eq!(bench.stderr(), "warning: first\nwarning: second\n");
    }

    #[test]
    fn git_is_not_asked_where_nobody_looks() {
        let mut bench = Bench::piped();
        bench.shell.line(Text::new().styled(GOOD, "x"));
        bench.shell.warn("w");
        assert_eq!(bench.asked(), 0);
    }

    #[test]
    fn git_is_not_asked_for_text_without_colours() {
        let mut bench = Bench::terminal();
        bench.shell.line("staged");
        assert_eq!(bench.asked(), 0);
    }

    #[test]
    fn git_says_whether_a_terminal_gets_colours_and_is_asked_once() {
        let mut bench = Bench::new(true, Surroundings::default(), Fake { color: true, ..Fake::default() });
        for _ in 0..2 {
            bench.shell.line(Text::new().styled(GOOD, "x"));
        }
        assert_eq!(bench.stdout(), "\x1b[32mx\x1b[0m\n\x1b[32mx\x1b[0m\n");
        assert_eq!(bench.asked(), 1);
    }

    #[test]
    fn the_pager_counts_for_standard_output_only() {
        let surroundings = Surroundings { pager_in_use: true, ..Surroundings::default() };
        let mut bench = Bench::new(false, surroundings, Fake { color: true, ..Fake::default() });
        bench.shell.line(Text::new().styled(GOOD, "x"));
        bench.shell.warn("w");
        assert_eq!(bench.stdout(), "\x1b[32mx\x1b[0m\n");
        assert_eq!(bench.stderr(), "warning: w\n");
    }

    #[test]
    fn no_color_wins_over_a_forced_one() {
        let surroundings = Surroundings { force_color: true, ..Surroundings::default() };
        let mut forced = Bench::new(false, surroundings, Fake::default());
        forced.shell.line(Text::new().styled(GOOD, "x"));
        assert_eq!(forced.stdout(), "\x1b[32mx\x1b[0m\n");

        let mut both = Bench::new(false, Surroundings { no_color: true, ..surroundings }, Fake::default());
        both.shell.line(Text::new().styled(GOOD, "x"));
        assert_eq!(both.stdout(), "x\n");

        let mut option = Bench::new(false, surroundings, Fake::default());
        option.shell.configure(&Common { no_color: true, ..Common::default() });
        option.shell.line(Text::new().styled(GOOD, "x"));
        assert_eq!(option.stdout(), "x\n");
    }

    #[test]
    fn advice_that_is_not_wanted_is_not_given() {
        let mut configured =
            Bench::new(false, Surroundings::default(), Fake { advice: Some(false), ..Fake::default() });
        configured.shell.hint("h");
        configured.shell.hint("h");
        assert_eq!((configured.stderr(), configured.asked()), (String::new(), 1));

        let surroundings = Surroundings { advice: Some(false), ..Surroundings::default() };
        let mut variable = Bench::new(false, surroundings, Fake::default());
        CommandError::no("e").hint("h").report(&mut variable.shell);
        assert_eq!((variable.stderr(), variable.asked()), ("error: e\n".to_owned(), 0));
    }

    #[test]
    fn a_closed_pipe_ends_quietly_as_in_git() {
        let mut bench = Bench::with_output(Broken(io::ErrorKind::BrokenPipe));
        bench.shell.line("x");
        assert_eq!(bench.shell.close(Exit::Done), Exit::ClosedPipe);
        assert_eq!(bench.stderr(), "");
    }

    #[test]
    fn a_closed_pipe_does_not_hide_another_answer() {
        let mut bench = Bench::with_output(Broken(io::ErrorKind::BrokenPipe));
        bench.shell.line("x");
        assert_eq!(bench.shell.close(Exit::No), Exit::No);
    }

    #[test]
    fn a_full_disk_is_fatal() {
        let mut bench = Bench::with_output(Broken(io::ErrorKind::StorageFull));
        bench.shell.line("x");
        assert_eq!(bench.shell.close(Exit::Done), Exit::Fatal);
        assert!(bench.stderr().starts_with("fatal: cannot write to standard output: "));
    }
}
