//! `git deploy-rebase`: keeps branches rebased on base.

mod explanation;
mod report;

use std::process::ExitCode;

use git_deploy_cli::{CommandError, Exit, Shell, ShellObserver, args, typed_name};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::sweep::{Sweep, SweepRequest, explain, sweep, undo};
use git_deploy_core::ops::view::View;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Rebase, shell| rebase(&arguments, shell))
}

fn rebase(arguments: &args::Rebase, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let interrupt = git_deploy_cli::interrupt()?;
    let mut explained = Vec::new();
    let swept: Sweep = if let Some(number) = arguments.undo {
        undo(&repository, number, &ShellObserver::new(shell))?
    } else if arguments.explain {
        let branches = named(&repository, arguments)?;
        let (swept, found) = explain(&repository, branches, &ShellObserver::new(shell), interrupt)?;
        explained = found;
        explanation::note_unknown(&swept, &explained, shell);
        swept
    } else {
        let branches = named(&repository, arguments)?;
        let request = SweepRequest { branches, check: arguments.check };
        sweep(&repository, &request, &ShellObserver::new(shell), interrupt)?
    };
    let view = View::new(&repository)?;
    explained.iter().for_each(|explained| explanation::print(&swept.onto, explained, shell));
    // What is explained is judged alone, too.
    let is_check = arguments.check || arguments.explain;
    report::report(&view, &swept, &explained, (arguments.output.format(), is_check), shell)?;
    Ok(match () {
        () if swept.any_failed() => Exit::Fatal,
        () if swept.any_broken() => Exit::No,
        () => Exit::Done,
    })
}

/// The branches that the user named.
fn named(repository: &Repository, arguments: &args::Rebase) -> Result<Vec<RefName>, CommandError> {
    if arguments.branches.is_empty() {
        return Ok(Vec::new());
    }
    let view = View::new(repository)?;
    arguments.branches.iter().map(|word| Ok(view.named_branch(Some(typed_name(word)?))?)).collect()
}
