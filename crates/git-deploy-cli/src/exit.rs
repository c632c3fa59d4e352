//! Exit codes: the contract with scripts, hooks and the queue's runner.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// It was done, also where there was nothing to do.
    Done = 0,
    /// The answer is no: a check failed, there are differences, a deployment failed, something is broken.
    No = 1,
    /// A deployment did not become ready in time.
    TimedOut = 70,
    /// Nobody's fault, try again: somebody else deploys, the cluster or the remote is unreachable.
    TryAgain = 75,
    /// It could not be done, as git's own `fatal:`.
    Fatal = 128,
    /// The command line makes no sense.
    Usage = 129,
    /// Interrupted from the keyboard (128 + SIGINT).
    Interrupted = 130,
    /// Nobody reads standard output any more (128 + SIGPIPE), as in `git deploy-log | head`.
    ClosedPipe = 141,
    /// Asked to terminate (128 + SIGTERM).
    Terminated = 143,
}

impl Exit {
    /// All exit codes, in order.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::No,
        Self::TimedOut,
        Self::TryAgain,
        Self::Fatal,
        Self::Usage,
        Self::Interrupted,
        Self::ClosedPipe,
        Self::Terminated,
    ];

    /// The number that the parent process sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What a program that starts ours reads in a number, if it is one of ours.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_manual() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 70, 75, 128, 129, 130, 141, 143]);
    }

    #[test]
    fn a_number_that_is_not_ours_is_not_read() {
        assert_eq!(Exit::from_code(75), Some(Exit::TryAgain));
        assert_eq!(Exit::from_code(2), None);
        assert_eq!(Exit::from_code(-1), None);
    }
}
