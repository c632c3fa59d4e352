//! Arguments, output, errors and exit codes of the git-deploy commands.
//!
//! This is the only crate that knows that there is a terminal. A binary is a few lines over it:
//! [`run()`] parses one of the structures in [`args`], hands it with a [`Shell`] to the command, and
//! turns what comes back into `error:` and `hint:` lines and an [`Exit`] code.
//!
//! Nothing else prints: standard output carries only what a pipe may read, everything said to a
//! person goes to standard error, and text that comes from a repository cannot reach the terminal with
//! its control characters.

mod advice;
pub mod args;
mod core_errors;
mod deploy_errors;
mod differing;
mod error;
mod exit;
mod fetched;
mod git_errors;
mod observer;
pub mod plan;
mod progress;
mod published;
mod run;
mod set_again;
pub mod shell;
mod signals;
mod sync_errors;
mod taken_back;

pub use advice::{REBASE, follow_landed, landed_elsewhere, put_upon, shell_word, show_merge};
pub use core_errors::{warn_of_note, warn_of_notes, warn_of_notes_on};
pub use deploy_errors::{approve_again, named, releases, ways_out, why_held};
pub use differing::{differing, tell_differing, which};
pub use error::{CommandError, OrExit, typed_name};
pub use exit::Exit;
pub use fetched::{
    Again, LEFT_OUT, REPLACE, advise, beside, bring_together, by_hand, counting, name_remote, none_counts,
    note_no_remote, note_tags_alone, note_unmerged, push_again, push_over, warn_of_refspec,
};
pub use observer::{Onlooker, ShellObserver};
pub use progress::Progress;
pub use published::published;
pub use run::{run, run_with};
pub use set_again::{say_again, set_again, wish_again};
pub use shell::{Shell, Text, printable};
pub use signals::{Passing, interrupt, interrupt_soon, last_word, woken};
pub use taken_back::{ask_again, bring_again, told_taken_back};
