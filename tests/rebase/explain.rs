//! Why a branch cannot be rebased, and how that is mended.

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, lines, rebase, set, shop, state_is};

/// What the hints say, each without the words before its command.
fn commands(stderr: &str) -> Vec<String> {
    let hints = stderr.lines().filter_map(|line| line.strip_prefix("hint: "));
    let behind = |hint: &str| hint[hint.find(": git ").expect("a command") + 2..].to_owned();
    hints.map(behind).collect()
}

fn brief(repo: &Repo, revision: &str) -> String {
    repo.id(revision)[..10].to_owned()
}

#[test]
fn explain_says_which_commits_meet_in_which_lines_and_following_it_mends_the_branch() {
    let repo = shop(&sandbox!());
    let change = |line: usize, text: &str| {
        let mut all: Vec<String> = lines("a").lines().map(str::to_owned).collect();
        all[line] = text.to_owned();
        all.join("\n") + "\n"
    };
    branch(&repo, "login", "c.txt", "c\n");
    repo.switch("login");
    repo.commit("a.txt", &change(1, "theirs"), "Say it otherwise");
    repo.switch("master");
    set(&repo, "deployable", "login");
    repo.commit("b.txt", "other\n", "Say something else");
    let old = lines("a").lines().nth(1).expect("a line").to_owned();
    repo.commit("a.txt", &change(1, "ours"), "Say it in our words");
    repo.commit("a.txt", &format!("{}ours\n", change(1, "ours")), "Say it at the end");
    let (login, refs) = (brief(&repo, "login"), repo.refs());

    let explained = rebase(&repo, &["--explain", "login"]);
    let by = brief(&repo, "master~1");
    explained.code_is(1).stdout_is(&format!(
        "in 'a.txt'\n  \
           login: commit {login} (Say it otherwise) changes it\n    \
             @@ -2 +2 @@\n    -{old}\n    +theirs\n  \
           master: commit {by} (Say it in our words) changes it\n    \
             @@ -2 +2 @@\n    -{old}\n    +ours\n\n\
         broken  login  commit '{login}' does not apply: conflict in 'a.txt'\n"
    ));
    explained.stderr_is(
        "hint: mend 'login' with: git rebase --reapply-cherry-picks master login\n\
         hint: where it stops first, and with other files again, mend those that it names, then: git add -- ':(top,literal)a.txt' && git rebase --continue\n\
         hint: then, as it is another one than was decided about: git deploy-state set deployable login\n",
    );
    assert_eq!(repo.refs(), refs);

    let steps = commands(&explained.stderr);
    let run = |step: &str| repo.command("sh").args(["-c", step]).env("GIT_EDITOR", "true").output();
    run(&steps[0]).code_is(1);
    repo.write("a.txt", format!("{}ours\n", change(1, "both")));
    run(&steps[1]).success();
    run(&steps[2]).success();
    rebase(&repo, &["login"]).success().stdout_contains("current  login");
    state_is(&repo, "login", "deployable");
}

#[test]
fn who_mends_what_explain_explains_is_told_to_wish_again_what_was_wished_for_it() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "a.txt", &lines("a").replace("a2", "two"));
    repo.deploy("deploy-state", &["set", "deployable", "--priority=5", "--hold=a sale", "login"]);
    repo.commit("a.txt", &lines("a").replace("a2", "zwei"), "Meanwhile");
    let hint = "hint: then, as it is another one than was decided about, on hold as before: \
        git deploy-state set deployable --priority=5 --hold='a sale' login\n";
    let explain = || rebase(&repo, &["--explain", "login"]);
    explain().code_is(1).stderr_contains(hint);
    rebase(&repo, &["login"]).code_is(1);
    explain().code_is(1).stderr_contains(hint);
    let steps = commands(&explain().stderr);
    let run = |step: &str| repo.command("sh").args(["-c", step]).env("GIT_EDITOR", "true").output();
    run(&steps[0]).code_is(1);
    repo.write("a.txt", lines("a").replace("a2", "both"));
    run(&steps[1]).success();
    run(&steps[2]).success();
    let note = repo.notes()[&repo.id("login")].clone();
    for said in ["state: deployable\n", "priority: 5\n", "hold: a sale\n"] {
        assert!(note.contains(said), "{note}");
    }
}

#[test]
fn explain_says_who_deleted_what_a_branch_changes_and_what_else_stands_as_it_does_in_a_check() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "a.txt", &format!("{}x\n", lines("a")));
    branch(&repo, "fine", "c.txt", "c\n");
    repo.git(&["rm", "--quiet", "a.txt"]);
    repo.git(&["commit", "--quiet", "--message", "Do without"]);
    let [login, base] = ["login", "master"].map(|name| brief(&repo, name));
    let explained = rebase(&repo, &["--explain", "login", "fine"]);
    explained
        .code_is(1)
        .stdout_contains(&format!("  login: commit {login} (Change something) changes it\n"))
        .stdout_contains(&format!("  master: commit {base} (Do without) deletes it\n\n"))
        .stdout_contains("rebased  fine");
    assert!(!explained.stderr.contains("deploy-state"), "nobody has decided anything");
    rebase(&repo, &["--explain"]).code_is(129);
    rebase(&repo, &["--explain", "--undo"]).code_is(129);
    rebase(&repo, &["--explain", "--json", "login"]).code_is(129);
}

#[test]
fn explain_says_the_same_from_any_folder_and_names_no_file_but_those_that_conflict() {
    let repo = shop(&sandbox!());
    let names = ["_config.yml", "!x"];
    repo.commit_files(&names.map(|name| (name, "one\n")), "Begin");
    repo.git(&["checkout", "--quiet", "-b", "login"]);
    repo.commit_files(&names.map(|name| (name, "theirs\n")), "Change");
    repo.switch("master");
    repo.commit_files(&names.map(|name| (name, "ours\n")), "Change too");
    repo.commit_files(&[("_config.yml", "ours\nmore\n"), ("folder/file", "x\n")], "Change more");
    repo.write("secret", "x");
    let there = rebase(&repo, &["--explain", "login"]);
    let by = format!("master: commit {} (Change too) changes it\n", brief(&repo, "master~1"));
    there.code_is(1).stdout_contains(&by);
    let elsewhere =
        repo.command("git").args(["-C", "folder", "deploy-rebase", "--explain", "login"]).output();
    assert_eq!((&elsewhere.stdout, &elsewhere.stderr), (&there.stdout, &there.stderr));

    let steps = commands(&there.stderr);
    repo.command("sh").args(["-c", &steps[0]]).output().code_is(1);
    names.iter().for_each(|name| repo.write(name, "both\n"));
    repo.command("sh").args(["-c", &steps[1]]).env("GIT_EDITOR", "true").output().success();
    rebase(&repo, &["login"]).success().stdout_contains("current  login");
    repo.git(&["status", "--porcelain"]).stdout_is("?? secret\n");
}

#[test]
fn explain_finds_a_file_that_base_has_renamed_and_lines_that_it_has_taken_away() {
    let repo = shop(&sandbox!());
    let text: String = (0..40).map(|line| format!("line {line}\n")).collect();
    repo.commit("long name.txt", &text, "Write it down");
    branch(&repo, "login", "long name.txt", &text.replace("line 9\n", "line nine\n"));
    repo.git(&["mv", "long name.txt", "short[1].txt"]);
    repo.git(&["commit", "--quiet", "--message", "Name it"]);
    repo.commit("short[1].txt", &text.replace("line 9\n", ""), "Do without a line");
    repo.commit("short[1].txt", &text.replace("line 9\n", "").replace("line 30", "line thirty"), "Spell it");
    let explained = rebase(&repo, &["--explain", "login"]);
    let [last, before] = ["master", "master~1"].map(|name| brief(&repo, name));
    explained
        .code_is(1)
        .stdout_contains("in 'short[1].txt'\n")
        .stdout_contains(
            "    -line 9\n    +line nine\n  master: one or more of its commits, the latest of which are ",
        )
        .stdout_contains(&format!("{last} (Spell it), {before} (Do without a line)"))
        .stdout_contains("renames and changes it\n    @@ -10 +9,0 @@\n    -line 9\n\n")
        .stderr_contains("git add -- ':(top,literal)short[1].txt' && git rebase --continue");
}
