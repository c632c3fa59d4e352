//! Reading states, and what people wrote by hand.

use git_deploy_testkit::sandbox;

use crate::stale::{amend, published};
use crate::{branch, conflicting, set, shop, state_is};

#[test]
fn a_branch_is_in_development_until_somebody_decides() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.deploy("deploy-state", &["get", "login"]).stdout_is("development\n").stderr_is("");
    assert_eq!(repo.notes().len(), 0);
}

#[test]
fn without_a_subcommand_the_current_branchs_state_is_printed() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.switch("login");
    set(&repo, &["deployable"]).success().stdout_is("");
    repo.deploy("deploy-state", &[]).stdout_is("deployable\n").stderr_is("");
    repo.deploy("deploy-state", &["get", "@"]).stdout_is("deployable\n");
}

#[test]
fn several_branches_are_printed_one_a_line_in_the_order_that_was_asked_for() {
    let repo = shop(&sandbox!());
    branch(&repo, "a", "b.txt", "b\n");
    branch(&repo, "b", "c.txt", "c\n");
    set(&repo, &["staged", "b"]).success();
    repo.deploy("deploy-state", &["get", "b", "a", "refs/heads/b"])
        .stdout_is("staged\ndevelopment\nstaged\n");
    let (a, b) = (repo.id("a"), repo.id("b"));
    repo.deploy("deploy-state", &["get", "--porcelain", "b", "a"])
        .stdout_is(&format!("staged {b} refs/heads/b\ndevelopment {a} refs/heads/a\n"));
    repo.deploy("deploy-state", &["get", "-z", "--porcelain", "b"])
        .stdout_is(&format!("staged {b} refs/heads/b\0"));
}

#[test]
fn a_note_that_was_edited_by_hand_counts() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    repo.git(&[
        "notes",
        "--ref=deploy",
        "add",
        "-m",
        "state: staged // for friday\r",
        "-m",
        "future: x",
        "login",
    ]);
    state_is(&repo, "login", "staged");
    // Without a ref it speaks only for a branch that is alone there.
    repo.git(&["branch", "other", "login"]);
    state_is(&repo, "login", "development");
    repo.git(&["branch", "-D", "other"]);
    set(&repo, &["deployable", "login"]).success().stderr_contains("staged -> deployable");
    assert!(repo.notes()[&commit].contains("future: x\n"), "a key of a newer version is kept");
}

#[test]
fn an_ambiguous_note_counts_as_none_is_told_and_not_written_over() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    branch(&repo, "other", "c.txt", "c\n");
    set(&repo, &["staged", "other"]).success();
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged\nstate: deployable", "login"]);
    let why = format!("note on commit '{commit}' is malformed: line 2: a second 'state:' line");
    let hint = format!("hint: mend it with: git notes --ref=deploy edit {commit}\n");
    for (arguments, states) in
        [(&["get", "login"][..], "development\n"), (&["get", "other", "login"], "staged\ndevelopment\n")]
    {
        let get = repo.deploy("deploy-state", arguments);
        let warning = format!("warning: 'login' counts as in development: {why}");
        get.stdout_is(states).stderr_contains(&warning).stderr_contains(&hint);
    }
    set(&repo, &["deployable", "login"])
        .code_is(128)
        .stderr_contains(&format!("fatal: cannot set 'login' to deployable: {why}"))
        .stderr_contains(&hint);
    let id = repo.id("other");
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_is(&format!("development {commit} refs/heads/login\nstaged {id} refs/heads/other\n"))
        .stderr_contains(&format!("warning: 'login' counts as in development: note on commit '{commit}' is"));
    for text in ["state: done", "nothing", "state: staged\nrev: many"] {
        repo.git(&["notes", "--ref=deploy", "add", "-f", "-m", text, "login"]);
        repo.deploy("deploy-state", &["get", "login"])
            .stdout_is("development\n")
            .stderr_contains("is malformed");
    }
}

#[test]
fn a_note_in_the_default_place_is_pointed_out_and_not_obeyed() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.git(&["notes", "add", "-m", "state: deployable", "login"]);
    for arguments in [&["get", "login"][..], &["list"]] {
        repo.deploy("deploy-state", arguments)
            .stdout_contains("development")
            .stderr_contains("warning: a note on 'login' in refs/notes/commits says 'deployable', which counts for nothing")
            .stderr_contains("hint: use: git deploy-state set deployable login\n");
    }
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
}

#[test]
fn broken_is_shown_with_its_paths_and_can_be_taken_back() {
    let repo = shop(&sandbox!());
    conflicting(&repo, "login");
    let (commit, base) = (repo.id("login"), repo.id("master"));
    let note = format!("state: broken\nref: refs/heads/login\nwas: staged\nonto: {base}\nconflict: a.txt");
    repo.git(&["notes", "--ref=deploy", "add", "-m", &note, "login"]);
    repo.deploy("deploy-state", &["get", "-v", "login"])
        .stdout_is("broken\n")
        .stderr_contains("refs/heads/login")
        .stderr_contains("conflict in 'a.txt'");
    repo.deploy("deploy-state", &["get", "--json", "login"]).stdout_is(&format!(
        "{{\"state\":\"broken\",\"commit\":\"{commit}\",\"ref\":\"refs/heads/login\",\"conflicts\":[\"a.txt\"]}}\n"
    ));
    set(&repo, &["staged", "login"]).code_is(1).stderr_contains("conflict in 'a.txt'");
    set(&repo, &["development", "login"]).success().stderr_contains("broken -> development");
    let text = &repo.notes()[&commit];
    assert!(!text.contains("conflict:") && !text.contains("was:") && !text.contains("onto:"), "{text}");
}

#[test]
fn the_list_is_aligned_for_people_and_can_be_filtered() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    branch(&repo, "a", "c.txt", "c\n");
    set(&repo, &["deployable", "login"]).success();
    let (a, login) = (repo.id("a"), repo.id("login"));
    let list = repo.deploy("deploy-state", &["list"]);
    let lines = list.lines();
    assert_eq!(lines[0], format!("development  a      {}", &a[..10]));
    assert!(
        lines[1].starts_with(&format!("deployable   login  {}  since 2026-11-20T", &login[..10])),
        "{list}"
    );
    repo.deploy("deploy-state", &["list", "--porcelain", "--state=deployable", "--state=broken"])
        .stdout_is(&format!("deployable {login} refs/heads/login\n"));
    repo.deploy("deploy-state", &["list", "--state=broken"])
        .stdout_is("")
        .stderr_is("note: no branch is broken\n");
    let json = repo.deploy("deploy-state", &["list", "--json", "--state=deployable"]);
    json.stdout_contains("\"by\":\"Ada Lovelace <ada@example.org>\"")
        .stdout_contains("\"since\":\"2026-11-20T");
}

#[test]
fn branches_of_rendered_environments_and_symbolic_refs_are_not_listed() {
    let repo = shop(&sandbox!());
    let text =
        "[environment.demo]\nkind = \"rendered\"\nbranch = \"rendered/demo\"\nmanifests = [\"deploy\"]\n";
    repo.commit("deploy.toml", text, "Deploy");
    branch(&repo, "rendered/demo", "b.txt", "b\n");
    let commit = branch(&repo, "login", "c.txt", "c\n");
    repo.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/login"]);
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_is(&format!("development {commit} refs/heads/login\n"));
}

#[test]
fn branches_that_git_itself_would_not_make_are_told_and_one_that_looks_like_a_ref_is_found() {
    let repo = shop(&sandbox!());
    for name in ["HEAD", "-dash", "refs/heads/x"] {
        repo.git(&["update-ref", &format!("refs/heads/{name}"), "master"]);
    }
    let list = repo.deploy("deploy-state", &["list"]);
    for name in ["HEAD", "-dash"] {
        list.stderr_contains(&format!("note: branch '{name}' is left out: git allows no such name"))
            .stderr_contains(&format!(
                "hint: give its commits another name: git branch <new name> refs/heads/{name}\n"
            ));
    }
    list.stdout_contains("refs/heads/x");
    repo.deploy("deploy-state", &["get", "refs/heads/x"]).stdout_is("development\n");
    // Of two that could be meant it is the one that git takes.
    repo.git(&["branch", "x", "master"]);
    repo.deploy("deploy-state", &["get", "--json", "refs/heads/x"])
        .stdout_contains("\"ref\":\"refs/heads/x\"");
}

#[test]
fn a_branch_that_is_further_here_or_was_amended_is_told_with_how_it_comes_to_count() {
    let sandbox = sandbox!();
    let (remote, repo, old) = published(&sandbox);
    let said = |further: &str| {
        let ours = &repo.id("login")[..10];
        let counts = format!(
            "note: your 'login' is at {ours}; what counts is {} on 'origin', which is deployable\n",
            &old[..10]
        );
        let hints = format!("{further}hint: then decide anew: git deploy-state set deployable login\n");
        repo.deploy("deploy-state", &["get", "login"])
            .stdout_is("development\n")
            .stderr_is(&format!("{counts}{hints}"));
        let differs = "note: local branch 'login' is development, and differs from that of 'origin'\n";
        repo.deploy("deploy-state", &["list"]).stderr_is(&format!("{differs}{hints}"));
    };
    repo.switch("login");
    repo.commit("more.txt", "more\n", "One more thing");
    said("hint: push it: git push origin login\n");
    repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    amend(&repo, "Log in");
    let push = format!("git push --force-with-lease=login:{old} origin login");
    said(&format!("hint: it was rewritten here, from what is there; push it: {push}\n"));
    // As the hints say.
    repo.command("sh").args(["-c", &push]).output().success();
    set(&repo, &["deployable", "login"]).success();
    repo.deploy("deploy-state", &["list"]).stderr_is("");
    // Who only lags behind what is decided there has nothing to do about it.
    let other = remote.clone_to("other");
    other.git(&["branch", "--quiet", "login", "origin/master"]);
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &["list"]).stdout_contains("deployable").stderr_is("");
}

#[test]
fn however_often_what_counts_was_rebased_the_reflog_is_read_as_often() {
    let sandbox = sandbox!();
    let (remote, repo, _) = published(&sandbox);
    let theirs = remote.clone_to("runner");
    theirs.deploy("deploy-sync", &[]);
    theirs.git(&["branch", "--quiet", "login", "origin/login"]);
    repo.switch("login");
    amend(&repo, "Log in");
    let trace = repo.git_path("trace");
    let looks = |round: &str| {
        theirs.commit("round.txt", round, "Go on");
        theirs.git(&["push", "--quiet", "origin", "master"]);
        theirs.deploy("deploy-rebase", &["login"]);
        theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
        theirs.deploy("deploy-sync", &[]);
        repo.deploy("deploy-sync", &[]);
        assert_ne!(repo.id("origin/login"), repo.id("login"));
        repo.command("git").args(["deploy-state", "list"]).env("GIT_TRACE", &trace).output().success();
        let traced = std::fs::read_to_string(&trace).unwrap();
        std::fs::remove_file(&trace).unwrap();
        traced.lines().filter(|line| line.contains("git log --walk-reflogs")).count()
    };
    let once = looks("one\n");
    assert_ne!(once, 0);
    looks("two\n");
    assert_eq!(looks("three\n"), once);
    repo.deploy("deploy-state", &["list"]).stderr_contains("it was rewritten here, from what is there");
}
