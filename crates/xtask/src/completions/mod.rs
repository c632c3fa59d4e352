//! Completions, named so that the completion of git itself finds them.
//!
//! - bash: git's completion loads `git-deploy-state` from a directory of bash-completion and calls
//!   `_git_deploy_state`;
//! - zsh: `_git-deploy-state` is found on `fpath`, both by zsh's own completion of git and for the program itself;
//! - fish: `git-deploy-state.fish`, which fish is meant to use for `git deploy-state` too; 3.6.0 does not, as it looks
//!   for the completion of a command `git-git-deploy-state`.

mod bash;
mod fish;

use anyhow::Context as _;
use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell, generate};
use std::fs;
use std::path::Path;

/// Writes one file a command and shell.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    for command in git_deploy_cli::args::commands() {
        let name = command.get_name();
        save(&dir.join("bash").join(name), &bash::completion(&command))?;
        save(&dir.join("zsh").join(format!("_{name}")), &zsh(&command)?)?;
        let fish = generated(&command, Shell::Fish)? + &fish::arguments(&command);
        save(&dir.join("fish").join(format!("{name}.fish")), &fish)?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).with_context(|| format!("cannot create '{}'", dir.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write '{}'", path.display()))
}

fn generated(command: &Command, shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    generate(shell, &mut command.clone(), command.get_name(), &mut script);
    Ok(String::from_utf8(script)?)
}

/// With the line from which zsh's completion of git takes the description of `git deploy-state`, and with names of
/// refs and remotes.
fn zsh(command: &Command) -> anyhow::Result<String> {
    let mut script = generated(&with_hints(command.clone()), Shell::Zsh)?;
    for (hint, action) in ZSH_ACTIONS {
        script = script.replace(&format!(":{hint}'"), &format!(":{action}'"));
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let head = format!("#compdef {}\n", command.get_name());
    Ok(script.replacen(&head, &format!("{head}#description {}\n", about.to_lowercase()), 1))
}

/// What the generator writes for the hints that stand in for what it does not know, and what we mean by them. At a colon zsh would
/// end what an option means.
const ZSH_ACTIONS: [(&str, &str); 2] = [
    (
        "_users",
        "{compadd -- ${${(f)\"$(git for-each-ref --format=\"%(refname)\" refs/heads)\"}#refs/heads/}}",
    ),
    ("_hosts", "{compadd -- ${(f)\"$(git remote)\"}}"),
];

/// Marks the arguments that are branches or remotes by hints that no command of ours has a use for.
fn with_hints(command: Command) -> Command {
    let hinted = command.mut_args(|arg| match value_name(&arg) {
        "branch" | "branch|commit" | "commit" => arg.value_hint(ValueHint::Username),
        "remote" => arg.value_hint(ValueHint::Hostname),
        _ => arg,
    });
    hinted.mut_subcommands(with_hints)
}

/// What an argument is called in the usage, which says what it means.
fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_file_where_it_looks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        for file in ["bash/git-deploy-state", "zsh/_git-deploy-state", "fish/git-deploy-state.fish"] {
            assert!(dir.path().join(file).is_file(), "{file}");
        }
        let zsh = fs::read_to_string(dir.path().join("zsh/_git-deploy-state")).unwrap();
        assert!(zsh.contains("refs/heads)\"}#refs/heads/}}' \\\n"), "{zsh}");
        assert!(zsh.starts_with("#compdef git-deploy-state\n#description show and change "), "{zsh}");
    }
}
