//! What the server says to a push that it does not take; git shows it to whoever pushes, as lines of `remote:`.

use git_deploy_cli::Shell;
use git_deploy_core::receive::{Reason, Refusal};

/// How many refs are told of one by one.
const MANY: usize = 10;

pub(crate) fn refused(refusals: &[Refusal], shell: &mut Shell) {
    let mut hints: Vec<&str> = Vec::new();
    for refusal in refusals.iter().take(MANY) {
        shell.error(refusal.to_string());
        let hint = hint(&refusal.reason);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if refusals.len() > MANY {
        shell.error(format!("and {} more", refusals.len() - MANY));
    }
    hints.into_iter().for_each(|hint| shell.hint(hint));
}

/// What to do about it.
fn hint(reason: &Reason) -> &'static str {
    match reason {
        Reason::Stale => "somebody was faster: git fetch, and push again",
        Reason::Odd => "give it another name",
        Reason::Needed => "whoever does not want it deployed: git deploy-state set development <branch>",
        Reason::Replacement => "replacements stay in your clone: leave refs/replace out of the push",
        Reason::Deleted | Reason::WriteOnce => {
            "what tells what ran when is only ever added to: leave it out of the push"
        }
        Reason::Back => "get what is there, and add to it; for states: git deploy-sync",
        Reason::NotLanded(_)
        | Reason::NotApproved { .. }
        | Reason::NotDeployable { .. }
        | Reason::Unsigned { .. } => {
            "push a branch, then: git deploy-state set deployable <branch> && git deploy"
        }
        Reason::NoDeployToml | Reason::DeployToml(_) => {
            "git deploy-init && git add deploy.toml && git commit, and push that"
        }
        Reason::NoBase | Reason::LandedElsewhere(_) => {
            "push base as it is where the deployments were made, then: git deploy-sync"
        }
        Reason::NotClaimed(_)
        | Reason::Unseen(_)
        | Reason::NoEnvironment(_)
        | Reason::OtherName(_)
        | Reason::Ahead(_)
        | Reason::OtherClaim { .. }
        | Reason::NotVerified { .. }
        | Reason::OtherEnvironment { .. }
        | Reason::NotTheVerdict(_)
        | Reason::Finished(_)
        | Reason::Claim(_)
        | Reason::Begun(_)
        | Reason::Leap(_)
        | Reason::NotOnBase(_)
        | Reason::NotOnItsWay(_)
        | Reason::NoTag
        | Reason::NotApplied
        | Reason::Ttl(_)
        | Reason::Alone => "git-deploy itself writes this: git deploy, or git deploy-sync",
        Reason::NotListed(_) | Reason::Unknown => {
            "whoever runs the server lists who may: git config --add deploy.hotfix <name>, in its repository"
        }
        Reason::NoHotfix => {
            "push both at once: git push --atomic <remote> <commit>:<base> <tag>; nothing else has such a tag"
        }
        Reason::Unreadable(_) => "leave it out of the push; git-deploy writes such things itself",
        Reason::Notes(_) => "git fetch, then look at yours: git log -p refs/notes/deploy",
        Reason::Note { .. } => "mend it with: git notes --ref=deploy edit <commit>",
        Reason::Verdict(_) | Reason::Landed(_) | Reason::Unfounded { .. } => {
            "deployments alone write verdicts: take the others' notes in with git deploy-sync"
        }
    }
}
