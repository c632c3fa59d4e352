//! Arguments, output, errors and exit codes of the git-deploy commands.
//!
//! This is the only crate that knows that there is a terminal. A binary is a few lines over it:
//! [`run()`] parses one of the structures in [`args`], hands it with a [`Shell`] to the command, and
//! turns what comes back into `error:` and `hint:` lines and an [`Exit`] code.
//!
//! Nothing else prints: standard output carries only what a pipe may read, everything said to a
//! person goes to standard error, and text that comes from a repository cannot reach the terminal with
//! its control characters.

pub mod args;
mod core_errors;
mod deploy_errors;
mod error;
mod exit;
mod fetched;
mod observer;
pub mod plan;
mod progress;
mod run;
pub mod shell;
mod signals;

pub use core_errors::{shell_word, warn_of_note};
pub use deploy_errors::{releases, ways_out, why_held};
pub use error::{CommandError, OrExit, typed_name};
pub use exit::Exit;
pub use fetched::{note_unmerged, push_again};
pub use observer::{Onlooker, ShellObserver};
pub use progress::Progress;
pub use run::{run, run_with};
pub use shell::{Shell, Text, printable};
pub use signals::interrupt;
