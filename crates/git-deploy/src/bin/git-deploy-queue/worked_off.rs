//! What it means for a runner that nothing can be taken any more.

use git_deploy_cli::{CommandError, Exit, why_held};
use git_deploy_core::ops::deploy::Hold;
use git_deploy_core::ops::work_off::Finished;
use git_deploy_core::runner::End;

/// What it means that nothing can be taken any more, and that in words. `other` is whom it waits for that deploys just now, `met`
/// what has hindered it last.
pub(crate) fn end(
    finished: &Finished,
    other: Option<&str>,
    met: Option<String>,
) -> (Result<Exit, CommandError>, String) {
    if finished.end != End::WorkedOff {
        // A degraded environment lets those go on who need another.
        let is_degraded = |hold: &&Hold| matches!(hold, Hold::Degraded { .. });
        let held = finished.held.iter().find(|hold| !is_degraded(hold)).or(finished.held.first());
        let nothing = "nothing can be taken from the queue now";
        let why = match (held, other) {
            (Some(hold), _) => format!("{nothing}: {}", why_held(hold)),
            // That somebody deploys is no error.
            (None, Some(other)) => {
                return (Err(CommandError::try_again(nothing)), format!("{nothing}: {other}"));
            }
            (None, None) => {
                let met = met.map(|met| format!(": {met}")).unwrap_or_default();
                format!("the queue waits for something that is nobody's fault{met}")
            }
        };
        return (Err(CommandError::try_again(why.clone())), why);
    }
    let exit = if finished.has_failed { Exit::No } else { Exit::Done };
    let mut text = match &finished.left[..] {
        [] => "the queue is worked off".to_owned(),
        [place] => {
            format!("nothing can be taken from the queue now: '{}' stays in it", place.branch.short())
        }
        places => format!("nothing can be taken from the queue now: {} branches stay in it", places.len()),
    };
    if finished.has_failed {
        text.push_str("; not everything has landed");
    }
    if finished.is_untidy {
        let untidy = "what was kept for long enough is not all gone, or could not be looked at";
        text.push_str(&format!("; {untidy}"));
        if !finished.has_failed {
            return (Err(CommandError::try_again(untidy)), text);
        }
    }
    (Ok(exit), text)
}
