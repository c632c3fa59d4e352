//! What others have taken back, as came to be known while a command was at work: no hint of that command says to override it.

use git_deploy_core::ops::sync::{How, Withdrawn, told_withdrawn};
use git_deploy_core::state::{Decision, State};

use super::Shell;
use crate::shell_word;

/// Branches that others have taken back, as hints name them, with what they are by that.
#[derive(Default)]
pub(super) struct Overridable(Vec<(String, Decision)>);

impl Overridable {
    /// Whether a hint says to set one of them to what is less careful.
    pub(super) fn is_overridden(&self, hint: &str) -> bool {
        let says = |(command, to): (&str, Decision)| {
            let mut said = hint.split(command).skip(1).flat_map(arguments);
            said.any(|word| self.0.iter().any(|(name, now)| *name == word && *now > to))
        };
        let set = |state: Decision| (format!("git deploy-state set {} ", State::from(state)), state);
        let mut commands = [Decision::Deployable, Decision::Staged].map(set).into_iter();
        !self.0.is_empty() && commands.any(|(command, to)| says((&command, to)))
    }
}

/// The words of a command that are no options, up to the next command, as they are quoted.
fn arguments(command: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_between = |letter: char| {
        match letter {
            _ if std::mem::take(&mut is_escaped) => return false,
            '\'' => is_quoted = !is_quoted,
            '\\' => is_escaped = !is_quoted,
            _ => {}
        }
        letter == ' ' && !is_quoted
    };
    let words = command.split(is_between).take_while(|word| *word != "&&");
    words.filter(|word| !word.is_empty() && !word.starts_with('-')).collect()
}

impl Shell {
    /// Says which branches others have taken back, as came to be known just now: also to somebody who wants to hear warnings
    /// alone, because it is not said again. No hint of this command says then to override that.
    pub fn withdrawn(&mut self, withdrawn: &[Withdrawn]) {
        told_withdrawn(withdrawn).into_iter().for_each(|line| self.warn(line));
        let now = |how: &How| match how {
            How::Decided(decided) => Some(decided.state.decision().unwrap_or(Decision::Development)),
            How::Gone { .. } => Some(Decision::Development),
            // Nobody has decided that.
            How::Broken(_) => None,
        };
        let branches = withdrawn
            .iter()
            .filter_map(|Withdrawn { branch, how }| Some((shell_word(branch.short()), now(how)?)));
        self.withdrawn.0.extend(branches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_overrides_what_it_sets_to_something_less_careful_and_nothing_else() {
        let known = Overridable(vec![
            ("login".to_owned(), Decision::Development),
            ("other".to_owned(), Decision::Staged),
            ("it".to_owned(), Decision::Development),
        ]);
        for hint in [
            "then: git deploy-state set deployable login",
            "then: git deploy-state set staged --priority=5 new login",
            "git push && git deploy-state set deployable other",
        ] {
            assert!(known.is_overridden(hint), "{hint}");
        }
        for hint in [
            "then: git deploy-state set staged other",
            "then: git deploy-state set development login",
            r"then: git deploy-state set staged --message='it'\''s login, is it ready' --hold='for it' new",
            "then: git deploy-state set staged new && git push origin login",
            "look at 'login'",
        ] {
            assert!(!known.is_overridden(hint), "{hint}");
        }
    }
}
