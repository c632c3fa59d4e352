//! Names and texts that would move a terminal's cursor, colour what follows or turn the direction of writing: harmless
//! wherever people read them.

use git_deploy_testkit::{Output, Repo, sandbox};

use crate::{branch, set, shop};

/// What no git forbids in the name of a branch: a control sequence of one character, and a change of direction.
const NAME: &str = "a\u{9b}31m\u{202e}b\u{2066}";
/// What else people can write: a title for the window, a cleared screen, a bell, a line that begins anew.
const TEXT: &str = "x\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}1A\u{202e}y\rfatal: z\u{8}\u{200f}";

/// Nothing in it but text and line feeds.
#[track_caller]
fn is_harmless(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let bad = text.chars().find(|letter| {
            let turns =
                matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            (letter.is_control() && !"\n\t".contains(*letter)) || turns
        });
        assert_eq!(bad, None, "{output:?}");
    }
}

fn run(repo: &Repo, arguments: &[&str]) -> Output {
    let output =
        repo.command("git").args(arguments).as_person(&format!("Ada{TEXT}"), "ada@example.org").output();
    is_harmless(&output);
    assert!(output.code.is_some_and(|code| code != 101), "{output}");
    output
}

/// A branch of that name, staged with a hostile message by a hostile person, whose note has hostile lines of all kinds.
fn hostile(repo: &Repo) -> String {
    let tip = branch(repo, NAME, "b.txt", "b\n");
    run(repo, &["deploy-state", "set", "--message", TEXT, "staged", NAME]).success();
    let lines = format!(
        "reason: {TEXT}\nconflict: \"{TEXT}\"\npriority: 1\nafter: {TEXT}\nhold: {TEXT}\nimage: {TEXT}\nodd{TEXT}: {TEXT}\n"
    );
    let written = repo.notes().remove(&tip).expect("it was just written");
    let words = written.lines().filter(|line| line.starts_with("by: ") || line.starts_with("message: "));
    assert_eq!(words.filter(|line| !line.contains(char::is_control)).count(), 2, "{written:?}");
    let note = written + &lines.replace('\r', " ");
    repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", &note, &tip]);
    tip
}

#[test]
fn whatever_a_branch_its_note_and_people_are_called_terminals_are_left_alone() {
    let repo = shop(&sandbox!());
    hostile(&repo);
    let commands: [&[&str]; 16] = [
        &["deploy-state", "get", NAME],
        &["deploy-state", "list"],
        &["deploy-state", "list", "--json"],
        &["deploy-state", "list", "--porcelain"],
        &["deploy-state", "get", "--porcelain", NAME],
        &["deploy-queue", "--porcelain"],
        &["deploy-rebase", "--check", "--porcelain", NAME],
        &["deploy-state", "list", "--stale"],
        &["deploy-state", "log", NAME],
        &["deploy-state", "log", "--json"],
        &["deploy-state", "set", "deployed", NAME],
        &["deploy-state", "set", "deployable", NAME],
        &["deploy-queue"],
        &["deploy-queue", "--json"],
        &["deploy-rebase", "--check", NAME],
        &["deploy-log"],
    ];
    for command in commands {
        run(&repo, command);
    }
    // With a NUL at the end of each record names are what they are: who asks for that is a program.
    let exact = repo.deploy("deploy-state", &["list", "--porcelain", "-z"]);
    assert!(exact.stdout.contains(&format!(" refs/heads/{NAME}\0")), "{exact:?}");
}

#[test]
fn a_conflict_in_a_hostile_path_is_shown_as_text() {
    let repo = shop(&sandbox!());
    let path = "p\u{9b}31m\u{1b}[2J\u{202e}.txt";
    repo.commit(path, "one\n", "Begin");
    branch(&repo, NAME, path, "theirs\n");
    set(&repo, &["staged", NAME]).success();
    repo.commit(path, "ours\n", TEXT);
    run(&repo, &["deploy-rebase"]).code_is(1).stdout_contains("conflict in");
    run(&repo, &["deploy-state", "list"]).success().stdout_contains("broken");
    run(&repo, &["deploy-state", "get", "-v", NAME]);
    run(&repo, &["deploy-state", "log", NAME]).success();
    run(&repo, &["deploy-state", "set", "staged", NAME]).code_is(1);
    run(&repo, &["deploy-state", "list", "--json"]).success();
}

#[test]
fn names_that_are_not_there_are_repeated_as_text() {
    let repo = shop(&sandbox!());
    for command in ["deploy-state get", "deploy-state set staged", "deploy-rebase", "deploy-state log"] {
        let words: Vec<&str> = command.split(' ').chain([TEXT]).collect();
        assert_ne!(run(&repo, &words).code, Some(0));
    }
    run(&repo, &["deploy-state", "set", TEXT, "master"]).code_is(129);
    run(&repo, &["deploy-state", &format!("--{TEXT}")]).code_is(129);
    repo.set_config("deploy.base", "\u{9b}31mtrunk\u{202e}");
    run(&repo, &["deploy-state", "list"]);
    run(&repo, &["deploy-state", "set", "staged", "master"]);
}

#[test]
fn what_a_hostile_deploy_toml_says_is_shown_as_text() {
    let repo = shop(&sandbox!());
    let unknown = "\"k\u{9b}31m\u{202e}\" = 1\n[environment.\"e\u{9b}2J\"]\nkind = \"\u{202e}x\"\n";
    branch(&repo, "login", "b.txt", "b\n");
    for text in [unknown, "x = \"\u{9b}31m\u{202e}\n", "\u{9b}31m\u{202e}\u{1b}[2J = 1\n"] {
        repo.commit("deploy.toml", text, "Configure");
        for command in
            [&["deploy-queue"][..], &["deploy-state", "list"], &["deploy-init"], &["deploy-rebase"]]
        {
            run(&repo, command);
        }
    }
}

#[test]
fn what_hooks_say_is_text() {
    let sandbox = sandbox!();
    let (remote, repo) = (sandbox.bare("remote.git"), shop(&sandbox));
    hostile(&repo);
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master", NAME]);
    repo.deploy("deploy-init", &[]);
    for command in [
        &["push", "--quiet", "origin", "HEAD:refs/heads/x"][..],
        &["deploy-hook", "post-merge", "0"],
        &["deploy-hook", "post-checkout", "HEAD", NAME, "1"],
        &["deploy-sync"],
        &["deploy-sync", TEXT],
    ] {
        run(&repo, command);
    }
    let line = format!("refs/heads/{NAME} {} refs/heads/{NAME} {}\n", repo.id(NAME), repo.id("master"));
    let pushed = repo.command("git").args(["deploy-hook", "pre-push", "origin", "x"]).stdin(line).output();
    is_harmless(&pushed);
}
