//! The hooks that are installed, and what to add to a hook that is there already.

use git_deploy_core::ops::init::Script;

/// All hooks.
pub(crate) const ALL: [Script; 2] = [
    Script { name: "pre-push", text: include_str!("../../../../../hooks/pre-push"), in_bare: true },
    Script { name: "post-merge", text: include_str!("../../../../../hooks/post-merge"), in_bare: false },
];

/// The line for a hook of somebody else, to be put at its beginning. Where git-deploy is not installed it does nothing.
///
/// Git writes to pre-push once, and what follows (git-lfs, say) must read it too: so it goes through a file.
pub(crate) fn line(hook: &str) -> String {
    let there = "command -v git-deploy-hook >/dev/null 2>&1";
    if hook == "pre-push" {
        let call = "git-deploy-hook pre-push \"$@\" <\"$refs\" || { rm -f \"$refs\"; exit 1; }";
        format!(
            "if {there}; then refs=$(mktemp) || exit; cat >\"$refs\"; {call}; exec <\"$refs\"; rm -f \"$refs\"; fi"
        )
    } else {
        format!("if {there}; then git-deploy-hook {hook} \"$@\"; fi")
    }
}
