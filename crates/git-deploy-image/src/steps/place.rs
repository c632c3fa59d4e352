//! Where a step failed, as far as bash tells: which line of which script, and which commands of a pipe.
//!
//! Bash runs a trap before it ends at a failing command. What that notes goes into a file of our own and not to an output of
//! the step, which somebody in the step may read. Not all failures come there (what fails in a function ends bash without it,
//! and a script with a trap of its own has only that), and what comes there need not be what ended the step: so a note counts
//! only where it agrees with how the step ended. Nothing is better than the wrong line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::strict::quoted;
use crate::run::{begin_of, harmless};

/// How much of a command is shown, in characters.
const LONGEST: usize = 80;
/// How much of a note is read, in bytes: a command can be a whole document.
const MOST: usize = 64 * 1024;

/// Where a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line of a script of the tree, counted from 1, and the script as it was called.
    line: Option<(u32, String)>,
    /// The command; none where it was a pipe, of which bash names only the last.
    command: Option<String>,
    /// How the commands of the pipe ended.
    pipe: Vec<u8>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_of_script = self.line.is_some();
        if let Some((line, script)) = &self.line {
            write!(f, " at line {line} of '{script}'")?;
        }
        if !self.pipe.is_empty() {
            let ends: Vec<String> = self.pipe.iter().map(u8::to_string).collect();
            let pipe = if is_of_script { ", a pipe" } else { " in a pipe" };
            return write!(f, "{pipe} whose commands ended with {}", ends.join(", "));
        }
        match &self.command {
            Some(command) if is_of_script => write!(f, ", '{command}'"),
            Some(command) => write!(f, " at '{command}'"),
            None => Ok(()),
        }
    }
}

/// Where bash notes a place: for scripts of the tree, and for the step's own line.
pub(super) struct Notes {
    of_scripts: PathBuf,
    of_line: PathBuf,
}

impl Notes {
    pub(super) fn within(scratch: &Path) -> Notes {
        Notes { of_scripts: scratch.join("failed-script"), of_line: scratch.join("failed-line") }
    }

    /// The trap for scripts.
    pub(super) fn trap_in_scripts(&self) -> String {
        let note = format!("{} 2>/dev/null >|{}", noted("$BASH_COMMAND"), quoted(&self.of_scripts));
        format!("trap {} ERR", quoted(Path::new(&note)))
    }

    /// The traps for a step's line: what scripts have noted before its next command has not ended it.
    pub(super) fn traps_in_line(&self) -> String {
        let file = quoted(&self.of_scripts);
        // Looked at first: this runs before each command, of which a loop has many.
        let forget = format!("git_deploy_at=$BASH_COMMAND; [[ ! -s {file} ]] || : 2>/dev/null >|{file}");
        // In a shell of its own, where what is run before each command is not.
        let note = format!("({}) 2>/dev/null >|{}", noted("${git_deploy_at-}"), quoted(&self.of_line));
        format!("trap {} ERR\ntrap {} DEBUG", quoted(Path::new(&note)), quoted(Path::new(&forget)))
    }

    /// Forgets what an earlier step has noted.
    pub(super) fn clear(&self) {
        for file in [&self.of_scripts, &self.of_line] {
            // Most often there is none.
            let _ = fs::remove_file(file);
        }
    }

    /// Where a step failed that ended with that status.
    pub(super) fn of(&self, step: &str, status: i32) -> Option<Place> {
        let read = |file: &Path| parse(&fs::read(file).ok()?, step, status);
        read(&self.of_scripts).or_else(|| read(&self.of_line))
    }
}

/// One command, since `$?` and `PIPESTATUS` are those of the last.
fn noted(command: &str) -> String {
    format!(r#"printf "%s\0" "$?" "$-" "${{PIPESTATUS[*]}}" "$LINENO" "${{BASH_SOURCE[0]-}}" "{command}""#)
}

fn parse(note: &[u8], step: &str, status: i32) -> Option<Place> {
    let note = &note[..note.len().min(MOST)];
    let fields: Vec<String> = note.split(|byte| *byte == 0).map(harmless).collect();
    let [ended, flags, pipe, line, script, command, ..] = fields.as_slice() else { return None };
    // Only a bash that ends at its failing command has ended for it.
    if *ended != status.to_string() || !flags.contains('e') {
        return None;
    }
    let pipe: Vec<u8> =
        pipe.split(|c: char| !c.is_ascii_digit()).filter_map(|end| end.parse().ok()).collect();
    let pipe = if pipe.len() > 1 { pipe } else { Vec::new() };
    let line = match script.rsplit('/').next() {
        None | Some("") => None,
        Some(name) if step.contains(name) => Some((line.parse().ok()?, begin_of(script, LONGEST))),
        // A script that another one has started, which may have gone on after that.
        Some(_) => return None,
    };
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_news = pipe.is_empty() && !command.is_empty() && command != step.trim();
    let command = is_news.then(|| begin_of(&command, LONGEST));
    let is_something = line.is_some() || command.is_some() || !pipe.is_empty();
    is_something.then_some(Place { line, command, pipe })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(fields: [&str; 6], step: &str, status: i32) -> String {
        parse(&fields.map(|field| format!("{field}\0")).concat().into_bytes(), step, status)
            .map(|place| place.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_place_is_a_line_a_command_or_a_pipe() {
        let place = |pipe, line, script, command| {
            place(["2", "ehB", pipe, line, script, command], "bash build/x.sh -v", 2)
        };
        assert_eq!(place("2", "7", "build/x.sh", "cc  main.c"), " at line 7 of 'build/x.sh', 'cc main.c'");
        assert_eq!(
            place("2 0", "7", "build/x.sh", "tail"),
            " at line 7 of 'build/x.sh', a pipe whose commands ended with 2, 0"
        );
        assert_eq!(place("2", "1", "", "cc main.c"), " at 'cc main.c'");
        assert_eq!(place("0 2", "1", "", "cat"), " in a pipe whose commands ended with 0, 2");
        assert_eq!(place("2", "1", "", "bash build/x.sh -v"), "", "that is the step itself");
        let long = place("2", "7", "build/x.sh", &format!("a\n\u{1b}[2J{}", "b".repeat(500)));
        assert!(long.len() < 150 && !long.contains(['\u{1b}', '\n']), "{long}");
    }

    #[test]
    fn what_does_not_agree_with_the_end_of_the_step_says_nothing() {
        assert_eq!(place(["1", "ehB", "1", "7", "x.sh", "a"], "./x.sh", 2), "", "it ended otherwise");
        assert_eq!(place(["2", "hB", "2", "7", "x.sh", "a"], "./x.sh", 2), "", "it went on");
        assert_eq!(place(["2", "ehB", "2", "7", "y.sh", "a"], "./x.sh", 2), "", "another script");
        assert_eq!(parse(b"2\0ehB", "./x.sh", 2), None);
        assert_eq!(parse(b"", "./x.sh", 2), None);
    }
}
