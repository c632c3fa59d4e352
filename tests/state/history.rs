//! How states came about.

use git_deploy_testkit::{Output, Repo, sandbox};

use crate::{branch, conflicting, set, shop};

/// What was told, newest first: from, to and why.
fn told(repo: &Repo, arguments: &[&str]) -> Vec<(String, String, String)> {
    let log = repo.deploy("deploy-state", &[&["log", "--json"], arguments].concat());
    log.lines().iter().map(|line| (value(line, "from"), value(line, "to"), value(line, "message"))).collect()
}

/// A text in a line of JSON in which nothing is escaped.
fn value(line: &str, key: &str) -> String {
    let Some((_, rest)) = line.split_once(&format!("\"{key}\":\"")) else { return String::new() };
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn moves(told: &[(String, String, String)]) -> Vec<String> {
    told.iter().map(|(from, to, _)| format!("{from} {to}")).collect()
}

#[test]
fn each_transition_is_told_with_when_who_from_to_and_why() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    let grace = repo.command("git").as_person("Grace Hopper", "grace@example.org");
    let other: Output = grace.args(["deploy-state", "set", "deployable", "-m", "reviewed", "login"]).output();
    other.success();
    let log = repo.deploy("deploy-state", &["log", "login"]);
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].starts_with("2026-11-20T12:"), "{log}");
    let end = format!("Grace Hopper <grace@example.org>  staged -> deployable   {}  reviewed", &commit[..10]);
    assert!(lines[0].ends_with(&end), "{log}");
    assert!(lines[1].contains("Ada Lovelace <ada@example.org>    development -> staged"), "{log}");
    let json = repo.deploy("deploy-state", &["log", "--json", "login"]);
    json.stdout_contains(&format!(
        "\"by\":\"Grace Hopper <grace@example.org>\",\"from\":\"staged\",\"to\":\"deployable\",\
         \"commit\":\"{commit}\",\"ref\":\"refs/heads/login\",\"message\":\"reviewed\"}}\n"
    ));
}

#[test]
fn the_current_branch_is_told_about_or_all() {
    let repo = shop(&sandbox!());
    branch(&repo, "a", "b.txt", "b\n");
    branch(&repo, "b", "c.txt", "c\n");
    set(&repo, &["staged", "a", "b"]).success();
    set(&repo, &["deployable", "b"]).success();
    repo.switch("a");
    assert_eq!(moves(&told(&repo, &[])), ["development staged"]);
    assert_eq!(moves(&told(&repo, &["b"])), ["staged deployable", "development staged"]);
    let all = repo.deploy("deploy-state", &["log", "--all"]);
    assert_eq!(all.lines().len(), 3, "{all}");
    assert!(all.lines()[0].contains("  b  "), "{all}");
    repo.switch("master");
    repo.deploy("deploy-state", &["log"])
        .stdout_is("")
        .stderr_is("note: the state of 'master' was never set\n");
    repo.try_deploy("deploy-state", &["log", "nowhere"])
        .code_is(128)
        .stderr_contains("there is no branch 'nowhere'");
    repo.try_deploy("deploy-state", &["log", "--all", "a"]).code_is(129);
    // What was decided about a branch is told also when that is gone.
    repo.git(&["branch", "-D", "b"]);
    assert_eq!(told(&repo, &["b"]).len(), 2);
}

#[test]
fn edits_by_hand_are_told_as_well() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    let note = |arguments: &[&str]| drop(repo.git(&[&["notes", "--ref=deploy"], arguments].concat()));
    note(&["add", "-m", "state: staged", "login"]);
    note(&["add", "-f", "-m", "state: deployable\nmessage: by hand", "login"]);
    note(&["add", "-f", "-m", "nonsense", "login"]);
    let log = repo.deploy("deploy-state", &["log", "login"]);
    log.stderr_contains("is malformed").stderr_contains("hint: mend it with: git notes --ref=deploy edit");
    note(&["remove", "login"]);
    note(&["add", "-m", "state: staged", "login"]);
    note(&["remove", "login"]);
    let told = told(&repo, &["login"]);
    assert_eq!(
        moves(&told),
        [
            "staged development",
            "development staged",
            "deployable development",
            "staged deployable",
            "development staged"
        ]
    );
    assert_eq!(told[3].2, "by hand");
}

#[test]
fn a_branch_is_followed_through_its_rebases() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.commit("c.txt", "c\n", "Go on");
    repo.git(&["rebase", "--quiet", "master", "login"]);
    let (new, base) = (repo.id("login"), repo.id("master"));
    // As the rebase writes it: one commit on the notes ref covers the new tip, the old tip's note may go later.
    let stood: Vec<String> = repo.notes()[&old].lines().map(str::to_owned).collect();
    let decision: String =
        stood.iter().filter(|line| !line.starts_with("onto: ")).map(|line| format!("{line}\n")).collect();
    let carried = decision + &format!("root: {old}\nrebased-from: {old}\nonto: {base}\n");
    repo.git(&["notes", "--ref=deploy", "add", "-m", &carried, &new]);
    assert_eq!(moves(&told(&repo, &["login"])), ["development deployable"]);
    repo.git(&["notes", "--ref=deploy", "remove", &old]);
    set(&repo, &["staged", "-m", "too early", "login"]).success();
    let told = told(&repo, &["login"]);
    assert_eq!(moves(&told), ["deployable staged", "development deployable"]);
    assert_eq!(told[0].2, "too early");
    assert!(repo.notes()[&new].contains("rev: 2\n"));
}

#[test]
fn a_new_commit_begins_in_development() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.switch("login");
    repo.commit("c.txt", "c\n", "One more thing");
    set(&repo, &["deployable", "login"]).success();
    assert_eq!(moves(&told(&repo, &["login"])), ["development deployable", "development deployable"]);
}

#[test]
fn broken_is_told_with_its_paths() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "a.txt", "theirs\n");
    set(&repo, &["staged", "login"]).success();
    conflicting(&repo, "other");
    let note = repo.notes()[&repo.id("login")].replace("state: staged", "state: broken")
        + "was: staged\nconflict: a.txt\n";
    repo.git(&["notes", "--ref=deploy", "add", "-f", "-m", &note, "login"]);
    repo.deploy("deploy-state", &["log", "login"])
        .stdout_contains("staged -> broken")
        .stdout_contains("conflict in 'a.txt'");
    repo.deploy("deploy-state", &["log", "--json", "login"]).stdout_contains("\"conflicts\":[\"a.txt\"]");
}

#[test]
fn what_comes_together_by_a_merge_is_of_who_decided_it_and_not_of_who_has_merged() {
    let repo = shop(&sandbox!());
    for name in ["decided", "written", "made"] {
        branch(&repo, name, &format!("{name}.txt"), "x\n");
    }
    set(&repo, &["staged", "decided", "written", "made"]).success();
    let (notes, before) = ("refs/notes/deploy", repo.id("refs/notes/deploy"));
    set(&repo, &["deployable", "decided"]).success();
    set(&repo, &["deployable", "written"]).success();
    let ours = repo.id(notes);
    repo.git(&["update-ref", notes, &before]);
    let bob = |arguments: &[&str]| {
        repo.command("git")
            .as_person("Bob", "bob@example.org")
            .args(arguments)
            .output()
            .success()
            .stdout
            .clone()
    };
    bob(&["deploy-state", "set", "development", "decided"]);
    bob(&["notes", "--ref=deploy", "add", "-f", "-m", "state: development", "written"]);
    // A merge that takes both over, and makes something of its own.
    for name in ["decided", "written"] {
        let note = repo.notes()[&repo.id(name)].clone() + "merged: yes\n";
        repo.git(&["notes", "--ref=deploy", "add", "-f", "-m", &note, name]);
    }
    repo.git(&["notes", "--ref=deploy", "remove", "made"]);
    let tree = repo.git(&["rev-parse", "refs/notes/deploy^{tree}"]).line().to_owned();
    let theirs = repo.id("refs/notes/deploy~3");
    let merge = ["commit-tree", &tree, "-p", &ours, "-p", &theirs, "-m", "merge states of origin"];
    let merge = repo.git(&merge).line().to_owned();
    repo.git(&["update-ref", notes, &merge]);
    let by = |name: &str| {
        let log = repo.deploy("deploy-state", &["log", "--json", name]);
        let withdrawn = log.lines().into_iter().filter(|line| line.contains("\"to\":\"development\""));
        withdrawn.map(|line| (value(line, "by"), value(line, "message"))).collect::<Vec<_>>()
    };
    let bob = ("Bob <bob@example.org>".to_owned(), String::new());
    assert_eq!(by("decided"), by("written"));
    assert_eq!(by("written"), [bob]);
    let merged = ("Ada Lovelace <ada@example.org>".to_owned(), "merge states of origin".to_owned());
    assert_eq!(by("made"), [merged]);
}
