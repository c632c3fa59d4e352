//! Functions in bash that git's own completion calls, in its words (`__gitcomp` and so on).

use clap::{Arg, Command};
use std::fmt::Write as _;

use super::value_name;

/// The script with the function of one command.
pub(super) fn completion(command: &Command) -> String {
    let function = format!("_{}", command.get_name().replace('-', "_"));
    let mut script = format!(
        "# bash completion for {name}: git's own completion loads this file and calls the function.\n\n\
         {function} ()\n{{\n",
        name = command.get_bin_name().unwrap_or(command.get_name())
    );
    let subcommands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    if subcommands.is_empty() {
        script.push_str(&arms(command, &[], "\t"));
    } else {
        let words = subcommands.join(" ");
        let _ = writeln!(script, "\tcase \"$(__git_find_on_cmdline \"{words}\")\" in");
        for subcommand in command.get_subcommands() {
            let global: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
            let arms = arms(subcommand, &global, "\t\t");
            let _ = writeln!(script, "\t{})\n{arms}\t\t;;", subcommand.get_name());
        }
        let arms = arms(command, &[], "\t\t");
        let _ = writeln!(script, "\t*)\n{arms}\t\t;;\n\tesac");
    }
    script + "}\n"
}

/// What can stand at the cursor: the value of an option, an option, or else an argument.
fn arms(command: &Command, global: &[&Arg], indent: &str) -> String {
    let options: Vec<&Arg> = command
        .get_arguments()
        .chain(global.iter().copied())
        .filter(|arg| !arg.is_hide_set() && arg.get_long().is_some())
        .collect();
    let mut arms = format!("{indent}case \"$cur\" in\n");
    let mut words = Vec::new();
    for option in &options {
        let long = option.get_long().unwrap_or_default();
        if option.get_action().takes_values() {
            words.push(format!("--{long}="));
            if let Some(values) = values(option) {
                let _ = writeln!(
                    arms,
                    "{indent}--{long}=*)\n{indent}\t__gitcomp \"{values}\" \"\" \"${{cur##--{long}=}}\"\n{indent}\t;;"
                );
            }
        } else {
            words.push(format!("--{long}"));
        }
    }
    words.push("--help".to_owned());
    let words = words.join(" ");
    let _ = writeln!(arms, "{indent}-*)\n{indent}\t__gitcomp \"{words}\"\n{indent}\t;;");
    let _ =
        writeln!(arms, "{indent}*)\n{}{indent}\t;;\n{indent}esac", argument(command, &format!("{indent}\t")));
    arms
}

/// The arguments: the words of the first until one of them is there, then what the last means.
fn argument(command: &Command, indent: &str) -> String {
    let subcommands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    if !subcommands.is_empty() {
        return format!("{indent}__gitcomp \"{}\"\n", subcommands.join(" "));
    }
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let words = positionals.first().and_then(|first| values(first));
    let rest = positionals.last().and_then(|last| meaning(last)).unwrap_or(":");
    match words {
        Some(words) => format!(
            "{indent}if [ -z \"$(__git_find_on_cmdline \"{words}\")\" ]; then\n{indent}\t__gitcomp \"{words}\"\n\
             {indent}else\n{indent}\t{rest}\n{indent}fi\n"
        ),
        None => format!("{indent}{rest}\n"),
    }
}

/// The words that an argument can be.
fn values(arg: &Arg) -> Option<String> {
    if value_name(arg) == "environment" {
        // As they stand in the work tree: quick, and good enough for a suggestion.
        return Some(
            "$(sed -n 's/^\\[environment\\.\\([^].]*\\)\\].*/\\1/p' \
             \"$(__git rev-parse --show-toplevel)/deploy.toml\" 2>/dev/null)"
                .to_owned(),
        );
    }
    let values = arg.get_possible_values();
    let shown: Vec<&str> =
        values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name()).collect();
    (arg.get_action().takes_values() && !shown.is_empty()).then(|| shown.join(" "))
}

/// How git completes what an argument means.
fn meaning(arg: &Arg) -> Option<&'static str> {
    match value_name(arg) {
        "branch" => Some("__gitcomp_nl \"$(__git_heads)\""),
        "branch|commit" | "commit" => Some("__git_complete_refs"),
        "remote" => Some("__gitcomp_nl \"$(__git_remotes)\""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use git_deploy_testkit::skip;

    const GIT_COMPLETION: &str = "/usr/share/bash-completion/completions/git";

    /// Types a line into bash with git's own completion, the cursor at its end, and presses the tabulator.
    const TYPE: &str = r#"
        . "$GIT_COMPLETION"
        _completion_loader () { . "$COMPLETIONS/$1"; }
        COMP_LINE=$1; COMP_POINT=${#1}
        eval "COMP_WORDS=($1)"
        case "$1" in *' ') COMP_WORDS+=('');; esac
        # As readline splits words at the equals sign.
        words=()
        for word in "${COMP_WORDS[@]}"; do
            case "$word" in
            --*=*) words+=("${word%%=*}" '='); [ -n "${word#*=}" ] && words+=("${word#*=}");;
            *) words+=("$word");;
            esac
        done
        COMP_WORDS=("${words[@]}"); COMP_CWORD=$((${#words[@]} - 1))
        __git_wrap__git_main
        printf '%s\n' "${COMPREPLY[@]}"
    "#;

    struct Sandbox(tempfile::TempDir);

    impl Sandbox {
        /// A repository with a branch, and programs on the path; nothing where bash or git's completion is missing.
        fn new() -> Option<Self> {
            if !Path::new(GIT_COMPLETION).is_file() || Command::new("bash").arg("--version").output().is_err()
            {
                return None;
            }
            let sandbox = Self(tempfile::tempdir().unwrap());
            super::super::write(&sandbox.path("completions")).unwrap();
            fs::create_dir(sandbox.path("bin")).unwrap();
            for command in git_deploy_cli::args::commands() {
                let program = sandbox.path("bin").join(command.get_name());
                fs::write(&program, "#!/bin/sh\n").unwrap();
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let setup = "git init -q -b master repository && cd repository && \
                         git -c user.name=A -c user.email=a@example.org commit -q --allow-empty -m one && \
                         git branch login && git remote add upstream . && \
                         printf '[environment.staging]\n[environment.production]\n[environment.production.lint]\n' >deploy.toml";
            assert!(sandbox.bash().args(["-c", setup]).status().unwrap().success());
            Some(sandbox)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name)
        }

        fn bash(&self) -> Command {
            let path = std::env::var("PATH").unwrap_or_default();
            let mut bash = Command::new("bash");
            bash.env_clear()
                .env("PATH", format!("{}:{path}", self.path("bin").display()))
                .env("HOME", self.0.path())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_COMPLETION", GIT_COMPLETION)
                .env("COMPLETIONS", self.path("completions/bash"))
                .current_dir(self.0.path());
            bash
        }

        fn completed(&self, line: &str) -> Vec<String> {
            let output = self
                .bash()
                .current_dir(self.path("repository"))
                .args(["-c", TYPE, "bash", line])
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(stderr, "", "{line}");
            let stdout = String::from_utf8(output.stdout).unwrap();
            stdout.lines().map(|word| word.trim_end().to_owned()).filter(|word| !word.is_empty()).collect()
        }
    }

    #[test]
    fn gits_own_completion_finds_ours() {
        let Some(sandbox) = Sandbox::new() else {
            skip!("bash, or the completion that comes with git, is not installed")
        };
        assert_eq!(sandbox.completed("git deploy-st"), ["deploy-state", "deploy-status"]);
        assert_eq!(sandbox.completed("git deploy-state "), ["get", "set", "list", "log"]);
        let before_what_to_do = ["--porcelain", "--json", "--quiet", "--verbose", "--no-color", "--help"];
        assert_eq!(sandbox.completed("git deploy-state --"), before_what_to_do);
        assert_eq!(sandbox.completed("git deploy-state set "), ["development", "staged", "deployable"]);
        assert_eq!(sandbox.completed("git -C . deploy-state set deployable lo"), ["login"]);
        assert_eq!(sandbox.completed("git deploy-state list --st"), ["--state=", "--stale"]);
        assert_eq!(sandbox.completed("git deploy-state list --state=b"), ["broken"]);
        assert_eq!(sandbox.completed("git deploy-state list --q"), ["--quiet"]);
        assert_eq!(sandbox.completed("git deploy-rebase --ch"), ["--check"]);
        assert_eq!(sandbox.completed("git deploy-sync up"), ["upstream"]);
        assert_eq!(sandbox.completed("git deploy lo"), ["login"]);
        assert_eq!(sandbox.completed("git deploy-diff lo"), ["login"]);
        assert_eq!(sandbox.completed("git deploy-queue show lo"), ["login"]);
        assert_eq!(sandbox.completed("git deploy-status --env=s"), ["staging"]);
        assert_eq!(sandbox.completed("git deploy --env="), ["staging", "production"]);
        assert_eq!(sandbox.completed("git deploy-hook "), Vec::<String>::new());
    }
}
