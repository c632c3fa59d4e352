//! How what base has taken back comes to be deployed again.

use git_deploy_core::ids::RefName;
use git_deploy_core::revert::TakenBack;

use crate::shell_word;

/// The commands that bring again what base has taken back, in their order: it takes commits that base has never had. Where
/// reverting the reverts would conflict, or bring something else besides, none, or how to look at those.
pub fn bring_again(taken: &TakenBack) -> Vec<String> {
    if let Some(there) = &taken.there {
        let name = shell_word(there.short());
        return vec![format!("what brings it again may be there already: git deploy-state get {name}")];
    }
    let Some(branch) = &taken.again else {
        let look = taken.rest.map(|_| format!("look at what was taken back: git show{}", reverts(taken)));
        return look.into_iter().collect();
    };
    let (name, base) = (shell_word(branch.short()), shell_word(taken.base.short()));
    let begin = format!(
        "if it is to come again, a new branch brings it: git switch --no-track -c {name} {base} && git revert --no-edit{}",
        reverts(taken)
    );
    let rest = taken.rest.map(|(from, to)| {
        format!("then the newer commits: git cherry-pick {}..{}", from.brief(), to.brief())
    });
    let set = format!("then, when it is as it should be: git deploy-state set deployable {name}");
    [Some(begin), rest, Some(set)].into_iter().flatten().collect()
}

/// What base has done with a branch, in words.
pub fn told_taken_back(branch: &RefName, taken: &TakenBack) -> String {
    let (name, base, much, by) = (branch.short(), taken.base.short(), taken.much(), taken.reverts());
    match taken.rest {
        None => format!("'{base}' has had all of '{name}', and has taken {much} back with {by}"),
        Some(_) => format!(
            "'{base}' has had what '{name}' begins with, and has taken {much} back with {by}: a rebase brings only the newer commits"
        ),
    }
}

/// Where it is said how branches come again that base has taken back. To say it to whoever lists them would be advice to undo what
/// somebody has decided.
pub fn ask_again<'b>(branches: impl IntoIterator<Item = &'b RefName>) -> Option<String> {
    let mut branches = branches.into_iter();
    let first = branches.next()?;
    Some(match branches.next() {
        None => format!("if it is to come again: git deploy-state get {}", shell_word(first.short())),
        Some(_) => "if one of them is to come again: git deploy-state get <branch>".to_owned(),
    })
}

fn reverts(taken: &TakenBack) -> String {
    taken.by.iter().map(|commit| format!(" {}", commit.brief())).collect()
}
