//! How what base has taken back comes to be deployed again.

use git_deploy_core::revert::TakenBack;

use crate::shell_word;

/// The commands that bring again what base has taken back, in their order: it takes commits that base has never had. None
/// where reverting the reverts would conflict, or bring something else besides.
pub fn bring_again(taken: &TakenBack) -> Vec<String> {
    let Some(branch) = &taken.again else { return Vec::new() };
    let (name, base) = (shell_word(branch.short()), shell_word(taken.base.short()));
    let reverts: String = taken.by.iter().map(|commit| format!(" {}", commit.brief())).collect();
    vec![
        format!(
            "a new branch brings it again: git switch --no-track -c {name} {base} && git revert --no-edit{reverts}"
        ),
        format!("then, when it is as it should be: git deploy-state set deployable {name}"),
    ]
}
