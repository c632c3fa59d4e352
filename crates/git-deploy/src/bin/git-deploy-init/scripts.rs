//! The hooks that are installed, and what to add to a hook that is there already.

use git_deploy_core::ops::init::{Place, Script};

/// All hooks.
pub(crate) const ALL: [Script; 5] = [
    always("pre-push", include_str!("../../../../../hooks/pre-push"), Place::Anywhere),
    always("post-merge", include_str!("../../../../../hooks/post-merge"), Place::WorkTree),
    always("post-rewrite", include_str!("../../../../../hooks/post-rewrite"), Place::WorkTree),
    on_request("post-commit", include_str!("../../../../../hooks/post-commit"), Place::WorkTree),
    on_request("pre-receive", include_str!("../../../../../hooks/pre-receive"), Place::Server),
];

const fn always(name: &'static str, text: &'static str, place: Place) -> Script {
    Script { name, text, place, on_request: false }
}

const fn on_request(name: &'static str, text: &'static str, place: Place) -> Script {
    Script { name, text, place, on_request: true }
}

/// The hooks that git writes to.
pub(crate) const READING: [&str; 2] = ["pre-push", "post-rewrite"];

/// The line for a hook of somebody else, to be put at its beginning. Where git-deploy is not installed it does nothing.
///
/// Git writes to a hook once, and what follows (git-lfs, say) must read it too: so it goes through a file.
pub(crate) fn line(hook: &str) -> String {
    let there = "command -v git-deploy-hook >/dev/null 2>&1";
    if hook == "pre-receive" {
        // Here it has to be installed: what cannot be looked at is not taken.
        let call = "git-deploy-hook pre-receive <\"$refs\" || { rm -f \"$refs\"; exit 1; }";
        return format!("refs=$(mktemp) || exit; cat >\"$refs\"; {call}; exec <\"$refs\"; rm -f \"$refs\"");
    }
    if !READING.contains(&hook) {
        return format!("if {there}; then git-deploy-hook {hook} \"$@\" || :; fi");
    }
    // Only pre-push can stop git, and git-deploy that cannot run refuses nothing.
    let otherwise = if hook == "pre-push" { "[ $? -ne 1 ] || { rm -f \"$refs\"; exit 1; }" } else { ":" };
    let call = format!("git-deploy-hook {hook} \"$@\" <\"$refs\" || {otherwise}");
    // Without room for a file the hook goes without us.
    format!(
        "if {there} && refs=$(mktemp); then cat >\"$refs\" || exit; {call}; exec <\"$refs\"; rm -f \"$refs\"; fi"
    )
}
