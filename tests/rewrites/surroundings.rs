//! The hook in repositories of all kinds, and what it must never do.

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Format, RefPhase, Repo, Running, Sandbox, Victim, left_out, sandbox, skip};

use crate::{fill, is_carried, is_left, login, master_moves, rebase, shop, values};

fn note(repo: &Repo, commit: &str, text: &str) {
    repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", text, commit]);
}

#[test]
fn a_linked_work_tree_is_as_good_as_any() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.switch("master");
    repo.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    let tree = sandbox.open("tree");
    is_carried(&tree, &old, &rebase(&tree, "", &["--update-refs", "master"]));
    let carried = tree.id("login");
    tree.git(&["commit", "--quiet", "--amend", "--no-edit"]).is_silent();
    state_is(&tree, "login", "deployable");
    assert_eq!(values(&tree, &tree.id("login"), "rebased-from"), [carried]);
}

#[test]
fn a_repository_with_long_ids_carries_states_too() {
    let Some(repo) = sandbox!().sha256_repository("shop") else { skip!("this git has no sha256") };
    fill(&repo);
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    is_carried(&repo, &old, rebase(&repo, "", &["master"]).success());
    let old = repo.id("login");
    let output = repo.git(&["commit", "--quiet", "--amend", "--message", "Other words"]);
    is_left(&repo, &old, &output, "commit '");
}

#[test]
fn a_manager_of_hooks_that_gives_us_nothing_to_read_loses_no_state() {
    let repo = shop(&sandbox!());
    repo.install_hook("post-rewrite", "#!/bin/sh\ngit-deploy-hook post-rewrite \"$@\" </dev/null\n");
    let old = login(&repo);
    repo.switch("login");
    let amended = repo.git(&["commit", "--quiet", "--amend", "--no-edit", "--date=2020-01-01T00:00:00"]);
    is_carried(&repo, &old, &amended);
    master_moves(&repo, "d.txt", "d\n");
    rebase(&repo, "", &["master"]).success();
    state_is(&repo, "login", "deployable");
    let old = repo.id("login");
    let output = repo.git(&["commit", "--quiet", "--amend", "--message", "Other words"]);
    is_left(&repo, &old, &output, "commit '");
}

/// A bare remote and a clone of it, with `login` on both.
fn cloned(sandbox: &Sandbox) -> (Repo, Repo, String) {
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    fill(&repo);
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    let old = login(&repo);
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "login"]);
    (bare, repo, old)
}

#[test]
fn with_a_remote_the_state_goes_there_with_the_branch() {
    let (bare, repo, old) = cloned(&sandbox!());
    master_moves(&repo, "d.txt", "d\n");
    repo.git(&["push", "--quiet", "origin", "master"]);
    is_carried(&repo, &old, rebase(&repo, "", &["master"]).success());
    repo.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    let list = repo.deploy("deploy-state", &["list", "--porcelain"]);
    list.stdout_is(&format!("deployable {} refs/heads/login\n", repo.id("login")));
    assert_eq!(bare.notes(), repo.notes());
    repo.deploy("deploy-state", &["list", "--stale"]).stdout_is("");
}

#[test]
fn what_a_withdrawal_elsewhere_said_of_the_old_commits_holds_for_the_new_ones() {
    let sandbox = sandbox!();
    let (bare, repo, old) = cloned(&sandbox);
    let other = bare.clone_to("other");
    other.deploy("deploy-init", &[]);
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &["set", "development", "login"]);
    master_moves(&repo, "d.txt", "d\n");
    repo.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    is_carried(&repo, &old, rebase(&repo, "", &["master"]).success());
    repo.deploy("deploy-sync", &[]);
    state_is(&repo, "login", "development");
}

#[test]
fn a_pull_that_rebases_on_what_the_runner_rebased_ends_in_the_same_state() {
    let sandbox = sandbox!();
    let (bare, repo, old) = cloned(&sandbox);
    let runner = bare.clone_to("runner");
    runner.deploy("deploy-init", &[]);
    runner.deploy("deploy-sync", &[]);
    runner.commit("d.txt", "d\n", "Meanwhile");
    runner.git(&["push", "--quiet", "origin", "master"]);
    runner.git(&["branch", "--quiet", "login", "origin/login"]);
    runner.deploy("deploy-rebase", &[]);
    runner.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    repo.git(&["pull", "--quiet", "--rebase"]).lacks("note: ").lacks("warning: ");
    assert_eq!(repo.id("login"), bare.id("login"));
    repo.deploy("deploy-sync", &[]);
    state_is(&repo, "login", "deployable");
    assert_eq!(values(&repo, &repo.id("login"), "root"), [old]);
    assert_eq!(repo.notes(), runner.notes());
}

#[test]
fn commits_of_base_that_are_only_here_count_as_the_branchs() {
    let (_, repo, old) = cloned(&sandbox!());
    master_moves(&repo, "d.txt", "d\n");
    let output = rebase(&repo, "", &["master"]);
    let why = "stands on commits of 'master' that 'origin/master', the base that counts, has not";
    is_left(&repo, &old, &output, why);
}

#[test]
fn a_note_that_speaks_for_somebody_else_is_not_overwritten() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    let output = rebase(&repo, "", &["master"]);
    is_carried(&repo, &old, &output);
    let new = repo.id("login");
    // The same rebase again makes the same commits where the clock stands still.
    let date = repo.git(&["log", "-1", "--format=%cd", "--date=raw", &new]).line().to_owned();
    let there = "state: staged\nref: refs/heads/other\nrev: 7\n";
    note(&repo, &new, there);
    repo.git(&["reset", "--quiet", "--hard", &old]);
    let again = repo.command("git").args(["rebase", "--quiet", "master"]).env("GIT_COMMITTER_DATE", date);
    let output = again.output();
    output.success();
    assert_eq!(repo.id("login"), new);
    output.stderr_contains("it would become the same commit as 'other', which is staged");
    assert_eq!(repo.notes()[&new], there);
}

#[test]
fn what_git_copies_of_a_commit_that_was_rebased_approves_nothing() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.set_config("notes.rewriteRef", "refs/notes/*");
    // Where nothing has changed it is the note that we would have written.
    let output = repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    is_carried(&repo, &old, &output);
    let carried = repo.id("login");
    let output = repo.git(&["commit", "--quiet", "--amend", "--message", "Other words"]);
    let notes = repo.notes();
    assert_eq!(notes[&repo.id("login")], notes[&carried]);
    is_left(&repo, &carried, &output, "commit '");
    let told = format!("it was made for commit '{carried}', and copied here");
    repo.deploy("deploy-state", &["get", "login"]).stdout_is("development\n").stderr_contains(&told);
    // Nor does our own rebase make it one of ours.
    master_moves(&repo, "d.txt", "d\n");
    repo.deploy("deploy-rebase", &["login"]);
    state_is(&repo, "login", "development");
}

#[test]
fn what_git_copies_of_a_note_by_hand_is_pointed_out_where_nobody_has_approved_it() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.set_config("notes.rewriteRef", "refs/notes/*");
    note(&repo, &old, "state: deployable");
    repo.git(&["commit", "--quiet", "--amend", "--message", "Other words"])
        .stderr_contains(
            "warning: 'login' is deployable, which git has copied from its old commits, and commit '",
        )
        .stderr_contains("hint: if it is not ready: git deploy-state set development login\n")
        .stderr_contains("'notes.rewriteRef'");
    state_is(&repo, "login", "deployable");
}

#[test]
fn what_git_copies_of_a_commit_that_was_approved_itself_approves_nothing() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.set_config("notes.rewriteRef", "refs/notes/*");
    for words in ["Other words", "Again others"] {
        let output = repo.git(&["commit", "--quiet", "--amend", "--message", words]);
        state_is(&repo, "login", "development");
        assert_eq!(
            output.stderr.contains("'login' is in development now"),
            words == "Other words",
            "{output}"
        );
    }
    // Nor does a rebase make it one of ours.
    master_moves(&repo, "d.txt", "d\n");
    rebase(&repo, "", &["master"]).success();
    state_is(&repo, "login", "development");
    repo.git(&["reset", "--quiet", "--hard", &old]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn commits_that_were_decided_about_before_keep_that() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let amend = || {
        let date = "2026-11-20T12:00:00Z";
        let amend = ["commit", "--quiet", "--amend", "--message", "Other words"];
        repo.command("git").args(amend).env("GIT_COMMITTER_DATE", date).output()
    };
    amend().success().stderr_contains("'login' is in development now");
    let new = repo.id("login");
    repo.deploy("deploy-state", &["set", "staged"]);
    repo.git(&["reset", "--quiet", "--hard", &old]);
    amend().success().is_silent();
    assert_eq!(repo.id("login"), new);
    state_is(&repo, "login", "staged");
}

#[test]
fn two_branches_on_one_commit_share_what_is_carried() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["branch", "other"]);
    repo.deploy("deploy-state", &["set", "deployable", "other"]);
    master_moves(&repo, "d.txt", "d\n");
    rebase(&repo, "", &["--update-refs", "master"]).success();
    assert_eq!(repo.id("other"), repo.id("login"));
    for branch in ["login", "other"] {
        state_is(&repo, branch, "deployable");
    }
    // The one that moves alone leaves the other its own.
    repo.git(&["commit", "--quiet", "--amend", "--no-edit"]).is_silent();
    for branch in ["login", "other"] {
        state_is(&repo, branch, "deployable");
    }
    assert_ne!(repo.id("login"), old);
}

#[test]
fn a_note_that_names_no_branch_is_carried_for_the_only_one_that_it_can_mean() {
    let repo = shop(&sandbox!());
    for (others, state) in [(&["side"][..], "development"), (&[], "deployable")] {
        repo.git(&["checkout", "--quiet", "-B", "login", "master"]);
        let old = repo.commit("c.txt", "c\n", "Only");
        note(&repo, &old, "state: deployable\n");
        for other in others {
            repo.git(&["branch", other]);
        }
        repo.git(&["commit", "--quiet", "--amend", "--no-edit"]).is_silent();
        assert_ne!(repo.id("login"), old);
        state_is(&repo, "login", state);
    }
}

#[test]
fn what_our_own_rebase_tells_the_hook_is_not_carried_again() {
    let repo = shop(&sandbox!());
    login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.deploy("deploy-rebase", &[]);
    repo.git(&["rev-list", "--count", "refs/notes/deploy"]).stdout_is("2\n");
    repo.git(&["log", "-1", "--format=%s", "refs/notes/deploy"]).stdout_is("rebase login onto master\n");
}

#[test]
fn whatever_is_wrong_here_stops_no_rebase() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    note(&repo, &old, "state: ready\nref: refs/heads/login\n");
    let output = rebase(&repo, "", &["master"]);
    output
        .success()
        .stderr_contains("warning: note on commit")
        .stderr_contains("git notes --ref=deploy edit");
    note(&repo, "login", "state: staged\nref: refs/heads/login\n");
    repo.set_config("deploy.base", "nowhere");
    let output = repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    output.stderr_contains("warning: git-deploy cannot carry the states of branches");
    repo.set_config("deploy.remote", "nowhere");
    repo.git(&["commit", "--quiet", "--amend", "--no-edit"]).stderr_contains("warning: ");
    repo.fsck();
}

#[test]
fn a_hook_that_is_killed_leaves_a_state_that_can_be_read_and_no_lock() {
    for phase in [RefPhase::Prepared, RefPhase::Committed] {
        let repo = shop(&sandbox!());
        login(&repo);
        master_moves(&repo, "d.txt", "d\n");
        let switch = repo.kill_at_transaction_of(&["refs/notes/*"], 1, phase, Victim::Process);
        let hook =
            format!("echo $$ >'{}'; exec git-deploy-hook post-rewrite \"$@\"", switch.pid_file().display());
        repo.install_hook("post-rewrite", &hook);
        rebase(&repo, "", &["master"]).success();
        assert!(switch.has_fired());
        switch.remove();
        // The git that it had called may still have moved the ref.
        let state = repo.deploy("deploy-state", &["get", "login"]);
        assert!(["development\n", "deployable\n"].contains(&&*state.stdout), "{state}");
        repo.deploy("deploy-state", &["set", "staged", "login"]);
        repo.git(&["commit", "--quiet", "--amend", "--no-edit"]).is_silent();
        state_is(&repo, "login", "staged");
        repo.has_no_lock_files();
        repo.fsck();
    }
}

#[test]
fn rewrites_in_many_work_trees_at_once_lose_no_state() {
    const MANY: usize = 8;
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    // Where refs are kept in tables git itself waits a tenth of a second for others who move one.
    repo.git(&["config", "reftable.lockTimeout", "60000"]);
    let trees: Vec<Repo> = (0..MANY)
        .map(|number| {
            let name = format!("tree{number}");
            let path = format!("../{name}");
            repo.git(&["worktree", "add", "--quiet", "-b", &name, &path, "master"]);
            let tree = sandbox.open(&name);
            tree.commit(&name, "x\n", "Only");
            tree.deploy("deploy-state", &["set", "deployable"]);
            tree
        })
        .collect();
    repo.commit("d.txt", "d\n", "Meanwhile");
    let runs: Vec<Running> =
        trees.iter().map(|tree| tree.command("git").args(["rebase", "--quiet", "master"]).start()).collect();
    for run in runs {
        run.wait().success().is_silent();
    }
    assert_eq!(repo.deploy("deploy-state", &["list", "--state=deployable"]).lines().len(), MANY);
    assert_eq!(repo.notes().len(), 2 * MANY);
    repo.has_no_lock_files();
}

#[test]
fn notes_that_somebody_holds_locked_stop_no_rebase() {
    if Format::of_run().reftable {
        left_out!("where one ref in a table is locked all are, so git cannot rebase at that moment");
    }
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.write(".git/refs/notes/deploy.lock", "");
    let output = rebase(&repo, "", &["master"]);
    output.success().stderr_contains("warning: git-deploy cannot carry the states of branches: ");
    output
        .stderr_contains(
            "note: 'login' is in development now: it was deployable, and that could not be carried\n",
        )
        .stderr_contains("hint: if it is ready as it is now: git deploy-state set deployable login\n");
    assert_ne!(repo.id("login"), old);
    assert!(repo.notes().keys().eq([&old]));
}

#[test]
fn what_is_no_list_of_commits_is_passed_over() {
    let repo = shop(&sandbox!());
    login(&repo);
    let id = repo.id("login");
    let zeros = "0".repeat(40);
    for input in [
        "",
        "\n\n",
        "x y\n",
        "\u{1b}[31m",
        &format!("{id}\n"),
        &format!("{zeros} {zeros}\n"),
        &"9".repeat(1 << 20),
    ] {
        for action in ["amend", "rebase", "odd"] {
            let hook = repo.command("git-deploy-hook").args(["post-rewrite", action]).stdin(input);
            hook.output().success().is_silent();
        }
    }
    repo.command("git-deploy-hook").args(["post-rewrite"]).output().code_is(129);
    // Commits that are not here, and more words than are known today.
    let missing = "1".repeat(40);
    let hook = repo.command("git-deploy-hook").args(["post-rewrite", "amend"]);
    hook.stdin(format!("{missing} {id} more and more\n")).output().success().is_silent();
}

#[test]
fn a_branch_with_a_hostile_name_is_told_harmlessly() {
    let repo = shop(&sandbox!());
    let name = "a\u{9b}31m$(touch${IFS}pwned)'é";
    repo.branch(name);
    repo.commit("c.txt", "c\n", "Only");
    repo.deploy("deploy-state", &["set", "staged", name]);
    repo.git(&["commit", "--quiet", "--amend", "--message", "x"])
        .stderr_contains("is in development now: it was staged")
        .lacks("\u{9b}");
    assert!(!repo.path().join("pwned").exists());
}

#[test]
fn another_hook_beside_ours_reads_what_git_wrote_too() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let foreign = |line: &str| repo.install_hook("post-rewrite", &format!("{line}\ncat >seen"));
    foreign("");
    repo.commit_files(&[("a.txt", &crate::lines("a")), ("b.txt", &crate::lines("b"))], "Begin");
    let output = repo.try_deploy("deploy-init", &[]);
    if sandbox.runs_configured_hooks() {
        output.success();
    } else {
        foreign(output.code_is(1).stdout.lines().find(|line| line.contains("git-deploy-hook")).unwrap());
    }
    let old = login(&repo);
    let output = repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    is_carried(&repo, &old, &output);
    assert_eq!(repo.read("seen"), format!("{old} {}\n", repo.id("login")));
    assert_eq!(std::fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
}
