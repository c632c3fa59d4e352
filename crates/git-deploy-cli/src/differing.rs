//! What is said of a deployment's tag that is not the same here and on a remote.

use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::ops::sync::{Differing, DifferingTag};

use crate::{Shell, shell_word};

/// Warns of such a tag, and says what there is to do.
pub fn tell_differing(tag: &DifferingTag, shell: &mut Shell) {
    shell.warn(tag.to_string());
    differing(tag).into_iter().for_each(|hint| shell.hint(hint));
}

/// How both are seen, and which of them is right where that is known.
pub fn differing(tag: &DifferingTag) -> [String; 2] {
    let both = format!("see both with: git show {} {}", tag.id, shell_word(tag.theirs.as_str()));
    [both, which(&tag.id.tag(), &tag.remote, &tag.how)]
}

/// Which of both is the deployment, or how the remote's takes the place of ours, of which nothing is lost.
pub fn which(tag: &RefName, remote: &str, how: &Differing) -> String {
    let short = tag.short();
    match how {
        Differing::TheirsIsClaimed => {
            let aside = format!("here-{short}");
            let keep = format!("git tag {} {}", shell_word(&aside), shell_word(short));
            let replace =
                format!("git fetch {} {}", shell_word(remote), shell_word(&format!("+{tag}:{tag}")));
            format!("to have that of '{remote}', and ours as '{aside}': {keep} && {replace}")
        }
        Differing::OursIsClaimed => {
            format!("'{short}' here is the one that was claimed, and what '{remote}' has by that name is not")
        }
        Differing::Unclear { ours, theirs } => format!(
            "'{short}' is {} here and {} on '{remote}': which one is right cannot be told from here",
            CommitId(*ours).brief(),
            CommitId(*theirs).brief()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_a_remote_as_a_shell_takes_it() {
        let tag = RefName::new("refs/tags/deployment-0001").expect("a ref");
        let told = which(&tag, "a;b", &Differing::TheirsIsClaimed);
        assert!(
            told.ends_with("git fetch 'a;b' +refs/tags/deployment-0001:refs/tags/deployment-0001"),
            "{told}"
        );
    }
}
