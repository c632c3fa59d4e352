//! `git deploy-hook`

use super::{Arguments, Common};
use std::ffi::OsString;

/// Do what git-deploy does in a hook
///
/// The scripts that git-deploy-init(1) installs call this command, which is not meant to be called by hand.
/// A script of your own, or a hook manager, calls it with the hook's name and all of the hook's arguments, and
/// leaves the hook's standard input to it.
///
/// pre-push refuses a push that would move or delete a deployment tag, delete what all clones share, take out of the notes what others
/// have decided, or make the remote a mirror of a clone; it warns about branches that are broken or that were rebased on the remote, says which the push takes from a commit that was staged or deployable to one that is
/// something else, and which it brings to base without a deployment, and publishes the states of branches; where a push
/// names the place of the remote instead of the remote it publishes nothing, and says so. post-merge says which branches
/// are behind base, have landed, or are merged into base without a deployment, before that is pushed as well; of the notes on
/// other branches that stand on base it reads none. post-rewrite carries the states of branches over an amend or a rebase that changes
/// nothing of what was approved, and says which stay behind. On a server, pre-receive refuses what git-deploy does not
/// do: see SERVERS in git-deploy-init(1). In all other hooks that git has it does nothing, so that scripts of a newer
/// version may call it.
/// Whatever goes wrong in it is told and does not stop git, but for pre-receive, which takes nothing that it cannot judge.
///
/// post-commit, which git deploy-init --post-commit installs, says when a commit has left one that was staged or
/// deployable, and how to set the branch again.
#[derive(clap::Parser, Debug)]
#[command(
    name = "git-deploy-hook",
    bin_name = "git deploy-hook",
    override_usage = "git deploy-hook [<options>] <hook> [<argument>...]",
    after_help = "Example: the whole of a script .git/hooks/pre-push:\n    \
        exec git-deploy-hook pre-push \"$@\"",
    after_long_help = include_str!("manual/hook.txt")
)]
pub struct Hook {
    /// The name of the hook, as in pre-push
    #[arg(value_name = "hook")]
    pub hook: String,

    /// What git gave to the hook
    #[arg(value_name = "argument", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,

    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
}

impl Arguments for Hook {
    fn common(&self) -> &Common {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{accept_end_of_options, parser};
    use clap::FromArgMatches;

    fn handed_on(arguments: &[&str]) -> Vec<OsString> {
        let all = ["git-deploy-hook", "pre-push"].iter().chain(arguments).map(OsString::from).collect();
        let all = accept_end_of_options(&parser::<Hook>(), all);
        Hook::from_arg_matches(&parser::<Hook>().get_matches_from(all)).unwrap().arguments
    }

    #[test]
    fn the_arguments_of_a_hook_are_handed_on() {
        assert_eq!(
            handed_on(&["origin", "-v", "--end-of-options", "--", "-z"]),
            ["origin", "-v", "--end-of-options", "--", "-z"]
        );
    }
}
