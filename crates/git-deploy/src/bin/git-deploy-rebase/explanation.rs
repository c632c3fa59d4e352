//! Why a branch cannot be rebased cleanly, in words, and each step that mends it.

use git_deploy_cli::shell::{self, Text};
use git_deploy_cli::{CommandError, Shell, shell_word, wish_again};
use git_deploy_core::git::object::unquote_path;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::set_state::Wished;
use git_deploy_core::ops::sweep::{Did, Explained, Fate, Met, Outcome, Sweep, Told};
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

/// Of how many paths is named what to say to git about them.
const NAMED: usize = 5;
/// How many lines of a side are shown of a path.
const LINES: usize = 40;

/// Says of branches that are broken and not explained that no more is known of them.
pub(crate) fn note_unknown(sweep: &Sweep, explained: &[Explained], shell: &mut Shell) {
    let is_explained = |branch: &RefName| explained.iter().any(|one| one.branch == *branch);
    for Outcome { branch, fate, .. } in &sweep.outcomes {
        if matches!(fate, Fate::Broken { .. }) && !is_explained(branch) {
            let name = branch.short();
            shell.note(format!("what '{name}' meets is not known: it may be what the remote made of it"));
        }
    }
}

/// Prints which commits meet where.
pub(crate) fn print(onto: &RefName, explained: &Explained, shell: &mut Shell) {
    let commit = |text: Text, told: &Told| {
        text.styled(shell::COMMIT, told.id.brief()).plain(format_args!(" ({})", shell::brief(&told.subject)))
    };
    for Met { path, ours, base, by, is_known } in &explained.paths {
        let branch = Text::new().styled(shell::NAME, explained.branch.short()).plain(": ");
        shell.line(Text::from(format!("in '{path}'")));
        side(branch.joined(commit(Text::new().plain("commit "), &explained.commit)), ours, shell);
        let mut text = Text::new().styled(shell::NAME, onto.short()).plain(": ");
        text = text.plain(match (by.len(), is_known) {
            (0, _) => "what came meanwhile",
            (1, true) => "commit ",
            (_, true) => "commits ",
            (_, false) => "one or more of its commits, the latest of which are ",
        });
        for (index, told) in by.iter().enumerate() {
            text = commit(if index == 0 { text } else { text.plain(", ") }, told);
        }
        side(text, base, shell);
        shell.line("");
    }
    if explained.more > 0 {
        shell.line(format!("and in {} paths more", explained.more));
        shell.line("");
    }
}

fn side(text: Text, did: &Did, shell: &mut Shell) {
    let text = Text::from("  ").joined(text);
    shell.line(if did.what.is_empty() { text } else { text.plain(" ").plain(did.what) });
    let lines: Vec<&str> = did.hunks.iter().flat_map(|hunk| hunk.split('\n')).collect();
    for line in lines.iter().take(LINES) {
        shell.line(format!("    {line}"));
    }
    if lines.len() > LINES {
        shell.line(format!("    and {} lines more", lines.len() - LINES));
    }
}

/// The steps by which a branch is mended, where it is known at what the rebase among them stops.
pub(crate) fn with_steps(
    view: &View<'_>,
    steps: Vec<String>,
    rebase: &str,
    explained: Option<&Explained>,
) -> Result<Vec<String>, CommandError> {
    let Some(explained) = explained else { return Ok(steps) };
    let add = match paths(explained) {
        Some(paths) => format!("git add -- {paths}"),
        None => "git add <paths>".to_owned(),
    };
    let go_on = format!(
        "where it stops first, and with other files again, mend those that it names, then: {add} && git rebase --continue"
    );
    let mut all = Vec::new();
    for step in steps {
        let is_rebase = step == rebase;
        all.push(step);
        all.extend(is_rebase.then(|| go_on.clone()));
    }
    if let Some(was @ (State::Deployable | State::Staged)) = explained.was {
        let note = view.listed_branch(&explained.branch)?.0.note;
        let wished = note.map_or(Ok(Wished::default()), |note| Wished::of(view, &note))?;
        let when = "then, as it is another one than was decided about";
        all.extend(wish_again(when, &explained.branch, was, &wished));
    }
    Ok(all)
}

/// The paths as git takes them from any folder.
fn paths(explained: &Explained) -> Option<String> {
    let few = (1..=NAMED).contains(&explained.paths.len()) && explained.more == 0;
    let word = |met: &Met| {
        // Where a file meets a folder, its name would add whatever lies in that.
        if !(met.ours.is_file && met.base.is_file) {
            return None;
        }
        let path = String::from_utf8(unquote_path(&met.path)?)
            .ok()
            .filter(|path| !path.contains(char::is_control))?;
        Some(shell_word(&format!(":(top,literal){path}")))
    };
    let words: Option<Vec<String>> = explained.paths.iter().map(word).collect();
    words.filter(|_| few).map(|words| words.join(" "))
}
