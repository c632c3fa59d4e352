//! `git deploy-queue approve`.

use git_deploy_cli::args::ApproveQueue;
use git_deploy_cli::{CommandError, Exit, Shell, ShellObserver, Text, shell, typed_name};
use git_deploy_core::deployment::Phase;
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::deploy::{Late, PromoteRequest, Promoted, promote};
use git_deploy_core::ops::view::View;
use git_deploy_core::promotion::Promotion;

/// Approves that what was verified in one environment goes on to the next one, or takes that back.
pub(crate) fn approve(arguments: &ApproveQueue, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let branch = arguments.branch.as_ref().map(|word| {
        let view = View::new(&repository)?;
        Ok::<_, CommandError>(view.named_branch(Some(typed_name(word)?))?)
    });
    let request = PromoteRequest {
        branch: branch.transpose()?,
        environment: arguments.env.clone(),
        withdraw: arguments.withdraw,
    };
    let promoted = promote(&repository, &request, &ShellObserver::new(shell), interrupt)?;
    match promoted {
        Promoted::Approved(promotion, branch) => {
            shell.status("Approved", what(&promotion, branch.as_ref()));
        }
        Promoted::Already(promotion, branch) => {
            shell.note(Text::from("it is approved already: ").joined(what(&promotion, branch.as_ref())));
        }
        Promoted::Withdrawn(promotion, branch, late) => {
            shell.status(
                "Withdrawn",
                Text::from("the approval of ").joined(what(&promotion, branch.as_ref())),
            );
            late.iter().for_each(|late| tell_late(&promotion, late, shell));
        }
        Promoted::Cleared(why) => shell.status("Withdrawn", format!("what nobody could read: {why}")),
        Promoted::NothingWithdrawn => shell.note("nothing is approved"),
    }
    Ok(Exit::Done)
}

/// Tells whoever took an approval back what that does not change any more.
fn tell_late(promotion: &Promotion, late: &Late, shell: &mut Shell) {
    let (id, environment) = (&late.id, &promotion.environment);
    match late.phase {
        Phase::Claimed => {
            shell.warn(format!(
                "{id} is claimed with it: it is given up if it has not begun to change '{environment}'"
            ));
            shell.hint("see what becomes of it with: git deploy-status");
        }
        Phase::Applying | Phase::Verified => {
            shell.warn(format!(
                "that comes too late for {id}, which is on its way to '{environment}' with it"
            ));
            shell.hint("give that up, as long as it has not landed, with: git deploy --abort");
        }
        Phase::Finished => {
            shell.warn(format!("that comes too late: {id} has brought it to '{environment}'"));
            shell.hint(format!("go back with: git deploy --env={environment} --rollback"));
        }
    }
}

fn what(promotion: &Promotion, branch: Option<&RefName>) -> Text {
    let Promotion { environment, deployment, commit, .. } = promotion;
    let of = branch.map(|branch| format!("'{}' ", branch.short())).unwrap_or_default();
    Text::from(of)
        .plain("(")
        .styled(shell::COMMIT, commit.brief())
        .plain(", ")
        .styled(shell::NAME, deployment)
        .plain(format!(") for {environment}"))
}
