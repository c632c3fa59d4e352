//! What has become of a branch that is kept on base, for programs that read `--json`.

use git_deploy_core::ops::sweep::{Fate, Outcome};
use serde_json::{Value, json};

/// The event; none where nothing has become of it that was not so before.
#[must_use]
pub fn event(outcome: &Outcome) -> Option<Value> {
    let Outcome { branch, new, fate, .. } = outcome;
    matches!(fate, Fate::Rebased | Fate::Broken { was_broken: false, .. }).then(|| {
        json!({
            "event": "rebase",
            "verdict": fate.word(),
            "ref": branch.as_str(),
            "commit": new.to_string(),
            "reason": fate.reason(),
        })
    })
}
