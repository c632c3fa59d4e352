//! `git deploy-log`

use super::{Arguments, Common, Output, whole_number};
use std::ffi::OsString;

/// Show all deployments, newest first
///
/// Reads the annotated tags deployment-0001, deployment-0002 and so on, each of which records one attempt to
/// bring one commit into one environment, and its verdict.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-log",
    bin_name = "git deploy-log",
    override_usage = "git deploy-log [<options>] [-n <n>] [--env=<environment>]",
    after_help = "Example: what was deployed to production last?\n    git deploy-log -n 1 --env=production",
    after_long_help = include_str!("manual/log.txt")
)]
pub struct Log {
    /// Show no more than so many; may be written as -5, say
    #[arg(short = 'n', long, value_name = "n", value_parser = whole_number::<usize>)]
    pub max_count: Option<usize>,

    /// Show only what was deployed there
    #[arg(long, value_name = "environment")]
    pub env: Option<String>,

    /// How to print it.
    #[command(flatten)]
    pub output: Output,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Log {
    fn common(&self) -> &Common {
        &self.common
    }

    /// `-3`, as git-log(1) takes it.
    fn meant(arguments: Vec<OsString>) -> Vec<OsString> {
        let mut meant: Vec<OsString> = Vec::with_capacity(arguments.len());
        let mut are_options = true;
        for argument in arguments {
            are_options &= argument != "--" && argument != "--end-of-options";
            let is_value =
                meant.last().is_some_and(|last| last == "-n" || last == "--max-count" || last == "--env");
            let digits = argument.to_str().and_then(|argument| argument.strip_prefix('-'));
            let is_number =
                |digits: &&str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            match digits.filter(is_number).filter(|_| are_options && !is_value) {
                Some(digits) => meant.push(format!("-n{digits}").into()),
                None => meant.push(argument),
            }
        }
        meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(arguments: &[&str]) -> Vec<OsString> {
        Log::meant(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn a_number_behind_a_hyphen_is_how_many_are_wanted() {
        assert_eq!(meant(&["git-deploy-log", "-3", "-q"]), ["git-deploy-log", "-n3", "-q"]);
        assert_eq!(meant(&["git-deploy-log", "-n", "-3"]), ["git-deploy-log", "-n", "-3"]);
        assert_eq!(meant(&["git-deploy-log", "--", "-3"]), ["git-deploy-log", "--", "-3"]);
        assert_eq!(meant(&["git-deploy-log", "-", "-3x"]), ["git-deploy-log", "-", "-3x"]);
    }
}
