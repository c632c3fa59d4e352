//! What fish is told beyond what the generator knows: arguments, and the names of branches and remotes.

use clap::{Arg, Command};
use std::fmt::Write as _;

use super::value_name;

/// The lines that say what arguments and options of a command, and of its subcommands, can be.
pub(super) fn arguments(command: &Command) -> String {
    let mut lines = String::new();
    let name = command.get_name();
    let using = format!("__fish_{}_using_subcommand", name.replace('-', "_"));
    if command.has_subcommands() {
        for subcommand in command.get_subcommands() {
            add(&mut lines, name, subcommand, &format!("{using} {}", subcommand.get_name()));
        }
    } else {
        add(&mut lines, name, command, "");
    }
    lines
}

fn add(lines: &mut String, name: &str, command: &Command, using: &str) {
    for (long, words) in command.get_arguments().filter_map(|arg| Some((arg.get_long()?, meaning(arg)?))) {
        line(lines, name, using, &format!("-l {long} -x -a \"{words}\""));
    }
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let words = positionals.first().and_then(|first| words(first));
    let rest = positionals.last().and_then(|last| meaning(last));
    // One after the other, as fish counts no arguments.
    let and = if using.is_empty() { "" } else { "; and " };
    if let Some(words) = &words {
        let before = format!("{using}{and}not __fish_seen_subcommand_from {words}");
        line(lines, name, &before, &format!("-f -a \"{words}\""));
    }
    if let Some(rest) = rest {
        let after = words
            .map_or(using.to_owned(), |words| format!("{using}{and}__fish_seen_subcommand_from {words}"));
        line(lines, name, &after, &format!("-f -a \"{rest}\""));
    }
}

fn line(lines: &mut String, name: &str, when: &str, what: &str) {
    let when = if when.is_empty() { String::new() } else { format!(" -n \"{when}\"") };
    let _ = writeln!(lines, "complete -c {name}{when} {what}");
}

/// The words that an argument can be.
fn words(arg: &Arg) -> Option<String> {
    let values = arg.get_possible_values();
    let shown: Vec<&str> =
        values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name()).collect();
    (!shown.is_empty()).then(|| shown.join(" "))
}

/// The command that names what an argument means.
fn meaning(arg: &Arg) -> Option<&'static str> {
    match value_name(arg) {
        "branch" | "branch|commit" | "commit" => {
            Some("(git for-each-ref --format='%(refname:lstrip=2)' refs/heads 2>/dev/null)")
        }
        "remote" => Some("(git remote 2>/dev/null)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use git_deploy_testkit::skip;

    #[test]
    fn fish_completes_subcommands_options_states_and_branches() {
        if Command::new("fish").arg("--version").output().is_err() {
            skip!("fish is not installed");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        super::super::write(&path("completions")).unwrap();
        fs::create_dir_all(path(".config/fish")).unwrap();
        fs::rename(path("completions/fish"), path(".config/fish/completions")).unwrap();
        fs::create_dir(path("bin")).unwrap();
        for command in git_deploy_cli::args::commands() {
            let program = path("bin").join(command.get_name());
            fs::write(&program, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let run = |program: &str, script: &str| {
            let path = format!("{}:{}", path("bin").display(), std::env::var("PATH").unwrap_or_default());
            let mut command = Command::new(program);
            command.env_clear().env("PATH", path).env("HOME", dir.path()).current_dir(dir.path());
            let output = command.args(["-c", script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(
            "sh",
            "git init -q -b master && git -c user.name=A -c user.email=a@example.org commit -q --allow-empty -m one && \
             git branch login && git remote add upstream .",
        );
        for (line, expected) in [
            ("git-deploy-state ", "get list log set"),
            ("git-deploy-state set ", "deployable development staged"),
            ("git-deploy-state set deployable ", "login master"),
            ("git-deploy-state set --after=", "--after=login --after=master"),
            ("git-deploy-state set --pri", "--priority"),
            ("git-deploy-state get lo", "login"),
            ("git-deploy-rebase lo", "login"),
            ("git-deploy-sync ", "upstream"),
            ("git-deploy lo", "login"),
        ] {
            let printed = run("fish", &format!("complete -C '{line}'"));
            let words: Vec<&str> =
                printed.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
            assert_eq!(words.join(" "), expected, "{line}");
        }
    }
}
