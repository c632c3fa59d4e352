//! Which branches are looked at, and what is said about them.

use git_deploy_testkit::{sandbox, skip};

use crate::{branch, lines, notes_commits, rebase, set, shop, state_is, value, values, visible_refs};

#[test]
fn a_clean_rebase_takes_the_state_and_its_note_along() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.deploy("deploy-state", &["set", "deployable", "-m", "reviewed", "login"]);
    let base = repo.commit("d.txt", "d\n", "Go on");

    let swept = rebase(&repo, &["--porcelain"]);
    let new = repo.id("login");
    swept.success().stdout_is(&format!("rebased {old} {new} refs/heads/login -\n")).stderr_is("");
    assert_eq!(repo.id("login^"), base);
    state_is(&repo, "login", "deployable");
    for (key, expected) in [
        ("state", "deployable"),
        ("ref", "refs/heads/login"),
        ("rev", "2"),
        ("message", "reviewed"),
        ("root", &old),
        ("approved", &old),
        ("rebased-from", &old),
        ("onto", &base),
    ] {
        assert_eq!(value(&repo, &new, key), expected, "{key}");
    }
    assert_eq!(value(&repo, &old, "state"), "deployable");
    repo.git(&["log", "-1", "--format=%gs", "--walk-reflogs", "login"])
        .stdout_is("deploy-rebase: onto master\n");

    rebase(&repo, &["--porcelain"]).success().stdout_is(&format!("current {new} {new} refs/heads/login -\n"));
    repo.fsck();
}

#[test]
fn the_root_of_a_line_stays_over_several_rebases() {
    let repo = shop(&sandbox!());
    let first = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    let second = repo.id("login");
    repo.commit("e.txt", "e\n", "Go on");
    rebase(&repo, &[]).success();
    let third = repo.id("login");
    assert_eq!(value(&repo, &third, "root"), first);
    assert_eq!(value(&repo, &third, "rebased-from"), second);
    assert_eq!(value(&repo, &third, "rev"), "1");
}

#[test]
fn a_branch_that_conflicts_becomes_broken_with_its_paths_until_base_moves_so_that_it_applies() {
    let repo = shop(&sandbox!());
    repo.commit_files(&[("t\u{e4}.txt", "one\n"), ("x y.txt", "one\n")], "Add");
    repo.git(&["checkout", "--quiet", "-b", "login"]);
    let old = repo.commit_files(&[("t\u{e4}.txt", "theirs\n"), ("x y.txt", "theirs\n")], "Change");
    repo.switch("master");
    set(&repo, "deployable", "login");
    let base = repo.commit_files(&[("t\u{e4}.txt", "ours\n"), ("x y.txt", "ours\n")], "Change too");

    let paths = r#"'"t\303\244.txt"', 'x y.txt'"#;
    let swept = rebase(&repo, &[]);
    swept.code_is(1).stdout_contains("broken").stdout_contains(paths);
    swept.stderr_is("hint: mend 'login' with: git rebase --reapply-cherry-picks master login\n");
    assert_eq!(repo.id("login"), old);
    state_is(&repo, "login", "broken");
    assert_eq!(values(&repo, &old, "conflict"), [r#""t\303\244.txt""#, "x y.txt"]);
    assert_eq!(value(&repo, &old, "was"), "deployable");
    assert_eq!(value(&repo, &old, "onto"), base);
    let json = rebase(&repo, &["--json"]);
    json.code_is(1).stdout_contains(r#""conflicts":["\"t\\303\\244.txt\"","x y.txt"]"#);
    assert_eq!(notes_commits(&repo), 2, "the same verdict is not written again");

    repo.git(&["revert", "--no-edit", "HEAD"]);
    rebase(&repo, &[]).success();
    assert_ne!(repo.id("login"), old);
    state_is(&repo, "login", "deployable");
    let new = repo.id("login");
    assert_eq!((values(&repo, &new, "was").len(), values(&repo, &new, "conflict").len()), (0, 0));
}

#[test]
fn a_broken_branch_that_base_comes_back_to_is_mended_where_it_stands() {
    let repo = shop(&sandbox!());
    let base = repo.id("master");
    let old = branch(&repo, "login", "a.txt", "theirs\n");
    set(&repo, "staged", "login");
    repo.commit("a.txt", "ours\n", "Change the same");
    rebase(&repo, &[]).code_is(1);
    repo.git(&["reset", "--quiet", "--hard", &base]);
    rebase(&repo, &["--porcelain"]).success().stdout_is(&format!("current {old} {old} refs/heads/login -\n"));
    state_is(&repo, "login", "staged");
}

#[test]
fn a_note_that_says_broken_and_nothing_else_leads_back_to_development() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: broken", &old]);
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    assert_ne!(repo.id("login"), old);
    state_is(&repo, "login", "development");
}

#[test]
fn only_staged_and_deployable_branches_are_taken_unless_one_is_named() {
    let repo = shop(&sandbox!());
    let [work, staged] = ["work", "staged"].map(|name| branch(&repo, name, "c.txt", name));
    set(&repo, "staged", "staged");
    repo.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/staged"]);
    let base = repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success().lacks("work");
    assert_eq!((repo.id("work"), repo.id("staged^")), (work, base.clone()));
    assert_ne!(repo.id("staged"), staged);

    rebase(&repo, &["work"]).success();
    assert_eq!(repo.id("work^"), base);
    state_is(&repo, "work", "development");
    assert_eq!(repo.notes().len(), 2, "there is nothing to be said about a branch in development");

    let named = rebase(&repo, &["--porcelain", "alias", "master", "refs/heads/master"]);
    let (master, staged) = (repo.id("master"), repo.id("staged"));
    named.success().stdout_is(&format!(
        "skipped {staged} {staged} refs/heads/alias it is another name of 'staged'\n\
         skipped {master} {master} refs/heads/master it is the base that branches land on\n"
    ));
    rebase(&repo, &["nothing"]).code_is(128).stderr_contains("there is no local branch 'nothing'");
}

#[test]
fn a_named_branch_in_development_that_conflicts_stays_in_development() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "work", "a.txt", "theirs\n");
    repo.commit("a.txt", "ours\n", "Change the same");
    rebase(&repo, &["work"]).code_is(1).stdout_contains("conflict in 'a.txt'");
    assert_eq!(repo.id("work"), old);
    state_is(&repo, "work", "development");
}

#[test]
fn a_new_commit_takes_a_branch_out_because_an_approval_covers_exactly_what_it_was_given_for() {
    let repo = shop(&sandbox!());
    let approved = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "deployable", "login");
    repo.switch("login");
    let further = repo.commit("c.txt", "c\nc\n", "One more thing");
    repo.switch("master");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &["--porcelain"]).success().stdout_is("");
    assert_eq!(repo.id("login"), further);
    state_is(&repo, "login", "development");

    repo.git(&["branch", "--force", "login", &approved]);
    rebase(&repo, &[]).success();
    state_is(&repo, "login", "deployable");
}

#[test]
fn check_says_the_same_and_changes_nothing() {
    let repo = shop(&sandbox!());
    branch(&repo, "clean", "c.txt", "c\n");
    branch(&repo, "conflicting", "a.txt", "theirs\n");
    set(&repo, "staged", "clean");
    set(&repo, "deployable", "conflicting");
    repo.commit("a.txt", "ours\n", "Change the same");
    let before = (repo.refs(), repo.notes());
    let checked = rebase(&repo, &["--check", "--porcelain", "-z"]);
    checked.code_is(1);
    assert_eq!((repo.refs(), repo.notes()), before);
    let swept = rebase(&repo, &["--porcelain", "-z"]);
    swept.code_is(1);
    assert_eq!(checked.stdout, swept.stdout);
    assert!(swept.stdout.starts_with("rebased ") && swept.stdout.contains("\0broken "), "{swept}");
}

#[test]
fn a_branch_with_merges_or_without_commits_of_its_own_is_left_alone() {
    let repo = shop(&sandbox!());
    let side = branch(&repo, "side", "s.txt", "s\n");
    let landed = branch(&repo, "landed", "l.txt", "l\n");
    set(&repo, "staged", "landed");
    repo.git(&["checkout", "--quiet", "-b", "merging", "side~0"]);
    repo.git(&["merge", "--quiet", "--no-ff", "--no-edit", "landed"]);
    repo.switch("master");
    let merging = repo.id("merging");
    let note = "state: staged\nref: refs/heads/merging\n";
    repo.git(&["notes", "--ref=deploy", "add", "-m", note, &merging]);
    repo.git(&["cherry-pick", &landed]);
    repo.commit("d.txt", "d\n", "Go on");
    let swept = rebase(&repo, &["--porcelain"]);
    swept.success().stdout_is(&format!(
        "skipped {landed} {landed} refs/heads/landed it has no commit that is not upstream already\n\
         skipped {merging} {merging} refs/heads/merging it contains merge commit '{}'\n",
        &merging[..10]
    ));
    assert_eq!((repo.id("side"), repo.id("landed")), (side, landed));
    rebase(&repo, &[]).stderr_contains(
        "hint: 'merging': make the branch linear with: git rebase --reapply-cherry-picks master merging\n",
    );
    set(&repo, "development", "merging");
    repo.try_deploy("deploy-state", &["set", "staged", "merging"]).code_is(1).stderr_contains(
        "hint: make the branch linear with: git rebase --reapply-cherry-picks master merging\n",
    );
    // As the hint says, pasted on another branch.
    repo.git(&["rebase", "--quiet", "master", "merging"]);
    repo.deploy("deploy-state", &["set", "staged", "merging"]);
}

#[test]
fn a_commit_that_base_has_but_for_white_space_is_not_dropped() {
    let repo = shop(&sandbox!());
    repo.commit("p.py", "if x:\n    one()\ntwo()\n", "Add");
    let old = branch(&repo, "login", "p.py", "if x:\n    one()\n    three()\ntwo()\n");
    set(&repo, "deployable", "login");
    repo.commit("p.py", "if x:\n    one()\nthree()\ntwo()\n", "Almost the same");
    rebase(&repo, &[]).code_is(1).stdout_contains("conflict in 'p.py'");
    assert_eq!(repo.id("login"), old);
}

#[test]
fn a_commit_that_base_has_already_is_dropped_and_named() {
    let repo = shop(&sandbox!());
    let first = branch(&repo, "login", "a.txt", &lines("x"));
    repo.switch("login");
    repo.commit("c.txt", "c\n", "Second");
    repo.switch("master");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    repo.git(&["cherry-pick", &first]);
    rebase(&repo, &[]).success();
    assert_eq!(repo.id("login^"), repo.id("master"));
    assert_eq!(value(&repo, &repo.id("login"), "dropped"), first);
}

#[test]
fn two_branches_on_one_commit_move_together() {
    let repo = shop(&sandbox!());
    branch(&repo, "one", "c.txt", "c\n");
    repo.git(&["branch", "two", "one"]);
    set(&repo, "staged", "one");
    set(&repo, "staged", "two");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    assert_eq!(repo.id("one"), repo.id("two"));
    state_is(&repo, "one", "staged");
    state_is(&repo, "two", "staged");
}

#[test]
fn a_malformed_note_is_pointed_out_and_its_branch_left_alone() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged\nstate: deployable", &old]);
    repo.commit("d.txt", "d\n", "Go on");
    let swept = rebase(&repo, &[]);
    swept
        .success()
        .stdout_contains("skipped")
        .stdout_contains("ambiguous")
        .stderr_contains("notes --ref=deploy edit");
    assert_eq!(repo.id("login"), old);
}

#[test]
fn a_note_with_no_room_for_a_rebase_costs_only_its_own_branch_the_rebase() {
    const MAX_BYTES: usize = 64 * 1024;
    let repo = shop(&sandbox!());
    let old = branch(&repo, "full", "c.txt", "c\n");
    branch(&repo, "fine", "d.txt", "d\n");
    let clash = branch(&repo, "clash", "e.txt", "theirs\n");
    for name in ["full", "fine", "clash"] {
        set(&repo, "deployable", name);
    }
    let fill = |commit: &str, free: usize| {
        let note = format!("{}x: ", repo.notes()[commit]);
        let text = format!("{note}{}", "a".repeat(MAX_BYTES - free - note.len() - 1));
        repo.write("note", text);
        repo.git(&["notes", "--ref=deploy", "add", "--force", "--file=note", commit]);
    };
    fill(&old, 101);
    // It could not even be said that it is broken.
    fill(&clash, 5);
    repo.commit("e.txt", "ours\n", "Go on");
    for arguments in [&["--check"][..], &[]] {
        rebase(&repo, arguments)
            .stdout_contains("rebased  fine")
            .stdout_contains(&format!("skipped  full   the note on commit '{old}' is too long: "))
            .stderr_contains(&format!("hint: 'full': shorten it with: git notes --ref=deploy edit {old}\n"))
            .stderr_contains("hint: 'clash': shorten it with: ");
    }
    assert_eq!((repo.id("full"), repo.id("clash")), (old.clone(), clash));
    assert_eq!(repo.id("fine^"), repo.id("master"));
    state_is(&repo, "full", "deployable");
    repo.git(&["notes", "--ref=deploy", "add", "--force", "-m", "state: deployable", &old]);
    rebase(&repo, &["full"]).success();
    state_is(&repo, "full", "deployable");
}

#[test]
fn deployable_branches_get_the_committer_that_base_names() {
    let repo = shop(&sandbox!());
    let toml = "[rebase]\ncommitter = \"Bot <bot@example.org>\"\n";
    branch(&repo, "queued", "c.txt", "c\n");
    branch(&repo, "staged", "e.txt", "e\n");
    set(&repo, "deployable", "queued");
    set(&repo, "staged", "staged");
    repo.commit("deploy.toml", toml, "Configure");
    rebase(&repo, &[]).success();
    let committer = |name: &str| repo.git(&["log", "-1", "--format=%cn <%ce>", name]).line().to_owned();
    assert_eq!(committer("queued"), "Bot <bot@example.org>");
    assert_eq!(committer("staged"), "Ada Lovelace <ada@example.org>");
}

#[test]
fn two_hundred_branches_are_one_commit_of_notes() {
    let repo = shop(&sandbox!());
    let base = repo.id("master");
    let mut fast_import = String::new();
    for number in 0..200 {
        fast_import.push_str(&format!(
            "commit refs/heads/feature/{number}\ncommitter A <a@b> {} +0000\ndata 1\nx\nfrom {base}\n\
             M 644 inline f{number}\ndata 1\nx\n\n",
            1_700_000_000 + number
        ));
    }
    repo.command("git").args(["fast-import", "--quiet"]).stdin(&fast_import).output().success();
    let names: Vec<String> = (0..200).map(|number| format!("feature/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    repo.deploy("deploy-state", &[&["set", "staged"], &names[..]].concat());
    let base = repo.commit("d.txt", "d\n", "Go on");
    let before = notes_commits(&repo);
    let swept = rebase(&repo, &["--porcelain"]);
    swept.success();
    assert_eq!(swept.lines().iter().filter(|line| line.starts_with("rebased ")).count(), 200);
    assert_eq!(notes_commits(&repo), before + 1);
    let parents = repo.git(&["for-each-ref", "--format=%(parent)", "refs/heads/feature/"]);
    assert!(parents.lines().iter().all(|parent| *parent == base));
    let states = repo.deploy("deploy-state", &["list", "--state=staged", "--porcelain"]);
    assert_eq!(states.lines().len(), 200);
    repo.fsck();
}

#[test]
fn a_hostile_name_does_no_harm() {
    let repo = shop(&sandbox!());
    let name = "$(touch${IFS}pwned);'`\u{202e}x";
    let old = branch(&repo, name, "a.txt", "theirs\n");
    set(&repo, "staged", name);
    repo.commit("a.txt", "ours\n", "Change the same");
    let swept = rebase(&repo, &[]);
    swept.code_is(1).lacks("\u{202e}").stderr_contains(r"git rebase --reapply-cherry-picks master '$(touch");
    assert_eq!(repo.tip(&format!("refs/heads/{name}")), Some(old));
    assert!(!repo.path().join("pwned").exists());
}

#[test]
fn a_repository_with_long_ids_works_too() {
    let sandbox = sandbox!();
    let Some(repo) = sandbox.sha256_repository("long") else { skip!("this git has no sha256") };
    crate::fill(&repo);
    let old = branch(&repo, "login", "a.txt", &lines("a").replace("a9", "x9"));
    branch(&repo, "other", "b.txt", "theirs\n");
    set(&repo, "staged", "login");
    set(&repo, "staged", "other");
    repo.commit_files(&[("a.txt", &lines("a").replace("a1", "x1")), ("b.txt", "ours\n")], "Go on");
    repo.switch("login");
    rebase(&repo, &[]).code_is(1).stdout_contains("conflict in 'b.txt'");
    assert_eq!(value(&repo, &repo.id("login"), "rebased-from"), old);
    repo.git(&["status", "--porcelain"]).stdout_is("");
    rebase(&repo, &["--undo"]).success();
    assert_eq!(repo.id("login"), old);
    repo.fsck();
}

#[test]
fn nothing_to_do_is_no_error() {
    let repo = shop(&sandbox!());
    rebase(&repo, &[]).success().stdout_is("").stderr_is("note: no branch is staged or deployable\n");
    let before = visible_refs(&repo);
    rebase(&repo, &["--porcelain"]).success().is_silent();
    assert_eq!(visible_refs(&repo), before);
}
