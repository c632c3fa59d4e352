//! What the surroundings and git's configuration say about colours and advice.
//!
//! Asking git costs a process, and hooks run these binaries all the time: git is asked only when the answer
//! can matter, that is where somebody looks at a terminal or at git's pager, and once.

use std::ffi::OsString;
use std::process::{Command, Stdio};

/// The environment variables that output depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not `0`.
    pub force_color: bool,
    /// `GIT_PAGER_IN_USE`: standard output goes to git's pager.
    pub pager_in_use: bool,
    /// What `GIT_ADVICE` says, if it is set.
    pub advice: Option<bool>,
    /// `TERM=dumb`: a terminal that cannot go back in a line.
    pub dumb_terminal: bool,
}

impl Surroundings {
    /// Reads them from an environment.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            no_color: text("NO_COLOR").is_some_and(|value| !value.is_empty()),
            force_color: text("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0"),
            pager_in_use: text("GIT_PAGER_IN_USE").as_deref().is_some_and(is_true),
            advice: text("GIT_ADVICE").as_deref().map(is_true),
            dumb_terminal: text("TERM").is_some_and(|value| value == "dumb"),
        }
    }
}

/// As git reads a boolean variable; what git would refuse counts as true, as it was set on purpose.
fn is_true(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

/// What git's configuration says; behind a trait so that tests need no git.
pub trait Settings {
    /// `git config --get-colorbool color.deploy <stdout_is_terminal>`, which knows `color.ui`, the pager
    /// and dumb terminals.
    fn wants_color(&self, stdout_is_terminal: bool) -> bool;
    /// `advice.deploy`, if it is set.
    fn advice(&self) -> Option<bool>;
}

/// The settings of the repository that we were started in.
#[derive(Debug, Clone, Copy)]
pub struct GitConfig;

impl Settings for GitConfig {
    fn wants_color(&self, stdout_is_terminal: bool) -> bool {
        let stdout_is_terminal = if stdout_is_terminal { "true" } else { "false" };
        ask_git(&["--get-colorbool", "color.deploy", stdout_is_terminal])
            .is_some_and(|answer| answer == "true")
    }

    fn advice(&self) -> Option<bool> {
        ask_git(&["--type=bool", "--get", "advice.deploy"]).map(|answer| answer == "true")
    }
}

fn ask_git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("config")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings::new(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn an_empty_no_color_is_no_wish() {
        assert!(!surroundings(&[("NO_COLOR", "")]).no_color);
        assert!(surroundings(&[("NO_COLOR", "0")]).no_color);
    }

    #[test]
    fn clicolor_force_0_forces_nothing() {
        assert!(!surroundings(&[("CLICOLOR_FORCE", "0")]).force_color);
        assert!(surroundings(&[("CLICOLOR_FORCE", "1")]).force_color);
    }

    #[test]
    fn advice_is_read_as_git_reads_booleans() {
        assert_eq!(surroundings(&[]).advice, None);
        assert_eq!(surroundings(&[("GIT_ADVICE", "0")]).advice, Some(false));
        assert_eq!(surroundings(&[("GIT_ADVICE", "Off")]).advice, Some(false));
        assert_eq!(surroundings(&[("GIT_ADVICE", "true")]).advice, Some(true));
    }

    #[test]
    fn the_pager_and_a_dumb_terminal_are_noticed() {
        let found = surroundings(&[("GIT_PAGER_IN_USE", "true"), ("TERM", "dumb")]);
        assert!(found.pager_in_use && found.dumb_terminal);
    }
}
