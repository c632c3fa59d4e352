//! Where a branch of ours is another than the one that counts: what is said of that, and done here has to do with ours alone.

use git_deploy_cli::{CommandError, bring_together, follow_landed, shell_word};
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::ops::fetched::taken_back;
use git_deploy_core::ops::story::Story;
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

/// What to do first about a branch that is not queued, where ours is another than the one that counts.
pub(crate) fn apart(view: &View<'_>, story: &Story) -> Result<Vec<String>, CommandError> {
    let Some(counting) = &story.branch else { return Ok(Vec::new()) };
    if story.unpushed {
        let taken = taken_back(view, &counting.name, counting.tip)?;
        return taken.map_or(Ok(Vec::new()), |_| bring_together(view, counting, None));
    }
    let is_idle = matches!(counting.status, Status::Development | Status::Staged | Status::Broken { .. });
    let differs = |tip| tip != counting.tip && is_idle;
    match view.repository.tip(&counting.name)?.filter(|tip| differs(*tip)) {
        Some(_) => hints(view, &view.listed_branch(&counting.name)?.0, counting),
        None => Ok(Vec::new()),
    }
}

fn hints(view: &View<'_>, ours: &Branch, counting: &Branch) -> Result<Vec<String>, CommandError> {
    if let Some(landed) = view.landed_elsewhere(&ours.name, ours.tip)? {
        return Ok(follow_landed([(&ours.name, &landed)]));
    }
    let mut hints = bring_together(view, ours, Some(counting))?;
    // What comes here has to be decided about here; what was decided here goes there with it.
    let is_to_be_decided =
        ours.state() != State::Deployable || view.repository.is_ancestor(ours.tip, counting.tip)?;
    if is_to_be_decided
        && counting.state() == State::Development
        && taken_back(view, &ours.name, ours.tip)?.is_none()
    {
        let name = shell_word(ours.name.short());
        hints.push(format!("then queue it with: git deploy-state set deployable {name}"));
    }
    Ok(hints)
}
