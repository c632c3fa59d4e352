//! One command after its end, and what a test says about it.

use std::fmt;

/// What a command printed and how it ended. Every assertion that fails prints the whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    command: String,
    /// The exit code, if it was not a signal that ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Standard output as bytes, where it may be no UTF-8.
    pub stdout_bytes: Vec<u8>,
}

impl Output {
    pub(crate) fn new(
        command: String,
        code: Option<i32>,
        signal: Option<i32>,
        stdout: Vec<u8>,
        stderr: &[u8],
    ) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { command, code, signal, stdout: text(&stdout), stderr: text(stderr), stdout_bytes: stdout }
    }

    /// It exited with 0.
    #[track_caller]
    pub fn success(&self) -> &Self {
        self.code_is(0)
    }

    /// It exited with that code.
    #[track_caller]
    pub fn code_is(&self, code: i32) -> &Self {
        self.check(self.code == Some(code), format_args!("exit code is not {code}"))
    }

    /// It was ended by `kill -9`.
    #[track_caller]
    pub fn was_killed(&self) -> &Self {
        self.check(self.signal == Some(9), format_args!("was not killed"))
    }

    /// Standard output is exactly this.
    #[track_caller]
    pub fn stdout_is(&self, expected: &str) -> &Self {
        self.check(self.stdout == expected, format_args!("standard output is not\n{expected}"))
    }

    /// Standard error is exactly this.
    #[track_caller]
    pub fn stderr_is(&self, expected: &str) -> &Self {
        self.check(self.stderr == expected, format_args!("standard error is not\n{expected}"))
    }

    /// Standard output contains this.
    #[track_caller]
    pub fn stdout_contains(&self, part: &str) -> &Self {
        self.check(self.stdout.contains(part), format_args!("standard output lacks '{part}'"))
    }

    /// Standard error contains this.
    #[track_caller]
    pub fn stderr_contains(&self, part: &str) -> &Self {
        self.check(self.stderr.contains(part), format_args!("standard error lacks '{part}'"))
    }

    /// Neither output contains this.
    #[track_caller]
    pub fn lacks(&self, part: &str) -> &Self {
        let found = self.stdout.contains(part) || self.stderr.contains(part);
        self.check(!found, format_args!("the output contains '{part}'"))
    }

    /// Nothing was printed.
    #[track_caller]
    pub fn is_silent(&self) -> &Self {
        self.check(self.stdout.is_empty() && self.stderr.is_empty(), format_args!("is not silent"))
    }

    /// The lines of standard output.
    #[must_use]
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// The only line of standard output.
    #[must_use]
    #[track_caller]
    pub fn line(&self) -> &str {
        let lines = self.lines();
        self.check(lines.len() == 1, format_args!("standard output is not one line"));
        lines[0]
    }

    #[track_caller]
    fn check(&self, holds: bool, complaint: fmt::Arguments<'_>) -> &Self {
        assert!(holds, "{complaint}\n{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.command)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(formatter, "exit code: {code}")?,
            (None, Some(signal)) => writeln!(formatter, "ended by signal {signal}")?,
            (None, None) => writeln!(formatter, "ended in an unknown way")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(formatter, "--- {name}")?;
            formatter.write_str(text)?;
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(formatter, "\\ no newline at the end")?;
            }
        }
        write!(formatter, "---")
    }
}
