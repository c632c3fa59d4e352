//! What must not work: rights that nobody gave.

use git_deploy_testkit::{sandbox, scene};

use crate::{Guarded, note, value, waits, write_note};
use git_deploy_testkit::keys::{APPROVE, Key};

#[test]
fn a_note_that_somebody_writes_by_hand_approves_nothing() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.branch("evil");
    let claim = format!("state: deployable\nref: refs/heads/evil\nrev: 1\napproved: {commit}\n");
    for (note, why) in [
        ("state: deployable\n".to_owned(), "nobody signed its approval"),
        (claim.clone(), "nobody signed its approval"),
        (format!("{claim}approval: yes\n"), "its approval cannot be read"),
        (format!("{claim}approval: ssh ../../../etc/passwd;x\n"), "its approval cannot be read"),
        (format!("{claim}approval: ssh AAAA\n"), "its approval does not hold"),
        (format!("{claim}approval: openpgp AAAA\n"), "another kind of key"),
    ] {
        write_note(&shop.repo, &commit, &note);
        waits(&shop.repo, "evil", why);
    }
}

#[test]
fn a_signature_of_another_branch_commit_or_decision_is_worth_nothing() {
    let shop = Guarded::new(sandbox!());
    let good = shop.approved("good");
    let signed = note(&shop.repo, &good);
    let evil = shop.branch("evil");
    for (text, why) in [
        // Another commit, and the note says so or not.
        (signed.replace("heads/good", "heads/evil").replace(&good, &evil), "does not hold"),
        (signed.replace("heads/good", "heads/evil"), "does not hold"),
        (signed.replace("ref: ", "ref: refs/heads/evil\nref: "), "does not hold"),
    ] {
        write_note(&shop.repo, &evil, &format!("{text}priority: 9\nrebased-from: {good}\n"));
        waits(&shop.repo, "evil", why);
    }
    // The whole note, as it is, on other commits of that very branch: it counts only where it says that they were rebased.
    shop.repo.git(&["branch", "--force", "good", "evil"]);
    write_note(&shop.repo, &evil, &signed);
    let get = shop.repo.deploy("deploy-state", &["get", "good"]);
    get.stdout_is("development\n").stderr_contains("and copied here");
    let rebased = format!("{signed}rebased-from: {good}\n");
    write_note(&shop.repo, &evil, &rebased);
    waits(&shop.repo, "good", "it is not what a rebase makes of the approved commit");
    write_note(&shop.repo, &evil, &rebased.replace("rev: 1", "rev: 2"));
    waits(&shop.repo, "good", "does not hold");
}

#[test]
fn a_decision_that_followed_an_approval_cannot_be_undone_by_writing_the_old_note_again() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.approved("login");
    let signed = note(&shop.repo, &commit);
    shop.set(&["development", "login"]).success();
    write_note(&shop.repo, &commit, &signed);
    waits(&shop.repo, "login", "its approval was withdrawn by decision 2");
    write_note(&shop.repo, &commit, &signed.replace("rev: 1", "rev: 3"));
    waits(&shop.repo, "login", "does not hold");
    shop.set(&["deployable", "login"]).success();
    shop.is_next("login");
}

#[test]
fn an_approval_that_was_withdrawn_by_hand_does_not_come_back_even_where_only_a_copy_was() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.approved("login");
    let copied_to = shop.branch("other");
    for (on, message) in [(&commit, "one"), (&copied_to, "two")] {
        for bare in [false, true] {
            shop.set(&["deployable", &format!("--message={message} {bare}"), "login"]).success();
            let signed = note(&shop.repo, &commit);
            write_note(&shop.repo, on, &signed);
            shop.is_next("login");
            let withdrawn = signed.replace("state: deployable", "state: development");
            write_note(&shop.repo, on, if bare { "state: development\n" } else { &withdrawn });
            write_note(&shop.repo, &commit, &signed);
            waits(&shop.repo, "login", "its approval was withdrawn by ");
        }
    }
}

#[test]
fn nobody_but_who_signed_an_approval_says_what_it_replaces() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.approved("login");
    let signed = note(&shop.repo, &commit);
    shop.set(&["development", "login"]).success();
    let withdrawn = note(&shop.repo, &commit);
    let text: String = withdrawn
        .lines()
        .filter(|line| {
            ["state", "ref", "since", "by", "rev", "approved"].contains(&line.split(':').next().unwrap())
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let id = &shop.sandbox.command("git").args(["hash-object", "--stdin"]).stdin(text).output().line()[..12]
        .to_owned();
    write_note(&shop.repo, &commit, &format!("{signed}replaces: {id}\n"));
    waits(&shop.repo, "login", "its approval was withdrawn by decision 2");
    let lines = signed.lines().map(|line| match line.strip_prefix("approval: ") {
        Some(approval) => format!("approval: {approval} {id}\n"),
        None => format!("{line}\n"),
    });
    write_note(&shop.repo, &commit, &lines.collect::<String>());
    waits(&shop.repo, "login", "its approval does not hold");
    // Who signs anew replaces it, and that is signed.
    write_note(&shop.repo, &commit, &withdrawn);
    shop.set(&["deployable", "login"]).success();
    shop.is_next("login");
    let again = note(&shop.repo, &commit);
    assert!(value(&shop.repo, &commit, "approval").contains(id), "{again}");
    // What others decide about it besides ends it no more than they do.
    write_note(&shop.repo, &commit, &format!("{again}replaces: 0123456789ab\n"));
    shop.is_next("login");
}

#[test]
fn what_stood_in_a_note_that_was_deleted_ends_no_approval_that_is_given_anew() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.branch("login");
    shop.set(&["staged", "login"]).success();
    shop.repo.git(&["notes", "--ref=deploy", "remove", &commit]);
    shop.set(&["deployable", "login"]).success();
    shop.is_next("login");
}

#[test]
fn a_withdrawal_on_a_rebased_commit_holds_on_those_that_it_was_made_from() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.approved("login");
    let signed = note(&shop.repo, &commit);
    shop.repo.commit("b.txt", "b\n", "Go on");
    shop.repo.deploy("deploy-rebase", &[]);
    shop.set(&["development", "login"]).success();
    shop.repo.git(&["branch", "--force", "login", &commit]);
    scene::state_is(&shop.repo, "login", "development");
    write_note(&shop.repo, &commit, &signed);
    waits(&shop.repo, "login", "its approval was withdrawn by decision 2");
}

#[test]
fn the_signature_of_a_commit_is_no_approval() {
    let shop = Guarded::new(sandbox!());
    shop.repo.set_config("commit.gpgSign", "true");
    let commit = shop.branch("evil");
    let object = shop.repo.git(&["cat-file", "commit", &commit]).stdout;
    let lines: Vec<&str> = object.lines().skip_while(|line| !line.starts_with("gpgsig")).collect();
    let body: String =
        lines.iter().skip(1).take_while(|line| !line.contains("-----END")).map(|line| line.trim()).collect();
    assert!(!body.is_empty(), "{object}");
    let claim = format!("state: deployable\nref: refs/heads/evil\nrev: 1\napproved: {commit}\n");
    write_note(&shop.repo, &commit, &format!("{claim}approval: ssh {body}\n"));
    waits(&shop.repo, "evil", "its approval does not hold");
    // Nor is what a person signed in another namespace, even with the very text of an approval.
    let text = format!(
        "git-deploy approval, version 1\nref: refs/heads/evil\ncommit: {commit}\nrev: 1\nstate: deployable\n"
    );
    for (namespace, holds) in [("git", false), ("file", false), ("git-deploy", true)] {
        let key = shop.ada.path.display().to_string();
        let call = shop.repo.command("ssh-keygen").args(["-q", "-Y", "sign", "-n", namespace, "-f", &key]);
        let armour = call.stdin(&text).output();
        let body: String = armour.stdout.lines().filter(|line| !line.starts_with('-')).collect();
        write_note(&shop.repo, &commit, &format!("{claim}approval: ssh {body}\n"));
        if holds { shop.is_next("evil") } else { waits(&shop.repo, "evil", "its approval does not hold") }
    }
}

#[test]
fn who_is_no_longer_in_the_list_has_approved_nothing() {
    let shop = Guarded::new(sandbox!());
    shop.approved("login");
    let eve = Key::new(&shop.sandbox, "eve");
    let ada = |options: &str| shop.ada.line("ada@example.org", options);
    let nobody = "it is signed by nobody who may approve now";
    for (list, why) in [
        (eve.line("eve@example.org", ""), nobody),
        (ada("valid-before=\"20200101\" "), nobody),
        (ada("valid-after=\"20990101\" "), nobody),
        (ada("namespaces=\"git\" "), "its approval does not hold: approvers:1: key is not permitted"),
        (String::new(), nobody),
    ] {
        shop.repo.commit("approvers", &list, "Change who may");
        waits(&shop.repo, "login", why);
    }
    for list in [
        ada("valid-after=\"20200101\",namespaces=\"git,git-deploy\" "),
        shop.ada.line("*@example.org", ""),
        shop.ada.line("root@example.org,ada@example.org", ""),
    ] {
        shop.repo.commit("approvers", &list, "Change who may");
        shop.is_next("login");
    }
    shop.repo.git(&["rm", "--quiet", "approvers"]);
    std::os::unix::fs::symlink("/etc/passwd", shop.repo.path().join("approvers")).unwrap();
    shop.repo.git(&["add", "approvers"]);
    shop.repo.git(&["commit", "--quiet", "--message", "Link"]);
    waits(&shop.repo, "login", "there is no file 'approvers' on base");
}

#[test]
fn a_branch_cannot_list_its_own_author() {
    let shop = Guarded::new(sandbox!());
    let eve = Key::new(&shop.sandbox, "eve");
    eve.signs_in(&shop.repo);
    for (name, files) in [
        ("list", vec![("approvers".to_owned(), eve.line("eve@example.org", ""))]),
        ("rules", vec![("deploy.toml".to_owned(), String::new())]),
        (
            "other",
            vec![
                ("deploy.toml".to_owned(), APPROVE.replace("approvers", "mine")),
                ("mine".to_owned(), eve.line("eve@example.org", "")),
            ],
        ),
    ] {
        shop.repo.branch(name);
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        shop.repo.commit_files(&files, "Grant myself something");
        shop.set(&["deployable", name]).code_is(1).stderr_contains("nobody who may approve now");
        shop.repo.switch("master");
    }
}

#[test]
fn commits_that_no_rebase_makes_of_the_approved_ones_are_not_approved() {
    let shop = Guarded::new(sandbox!());
    let approved = shop.approved("login");
    shop.repo.commit("b.txt", "b\n", "Go on");
    shop.repo.deploy("deploy-rebase", &[]);
    shop.is_next("login");
    let honest = shop.repo.id("login");
    assert_eq!(value(&shop.repo, &honest, "approved"), approved);
    // Whoever pretends leaves out what would show a copy.
    let signed = note(&shop.repo, &honest).replace(&format!("rebased-to: {honest}\n"), "");
    let pretend = |change: &dyn Fn()| {
        shop.repo.switch("login");
        shop.repo.git(&["reset", "--quiet", "--hard", &honest]);
        change();
        let tip = shop.repo.id("HEAD");
        shop.repo.switch("master");
        write_note(&shop.repo, &tip, &signed);
        waits(&shop.repo, "login", "it is not what a rebase makes of the approved commit");
    };
    let amend = |arguments: &[&str]| {
        drop(
            shop.repo.git(&[&["commit", "--quiet", "--all", "--amend", "--allow-empty"], arguments].concat()),
        );
    };
    pretend(&|| drop(shop.repo.commit("more.txt", "x\n", "One more")));
    pretend(&|| drop(shop.repo.commit_empty("Nothing")));
    pretend(&|| {
        shop.repo.write("login.txt", "one\n\ttwo\n");
        amend(&["--no-edit"]);
    });
    pretend(&|| amend(&["--message", "Another message"]));
    pretend(&|| amend(&["--no-edit", "--author=Eve <eve@example.org>"]));
    shop.repo.git(&["branch", "--force", "login", &honest]);
    shop.is_next("login");
}

#[test]
fn approved_commits_cannot_be_left_out() {
    let shop = Guarded::new(sandbox!());
    shop.repo.branch("login");
    let first = shop.repo.commit("first.txt", "1\n", "Check the password");
    let second = shop.repo.commit("second.txt", "2\n", "Let people in");
    shop.repo.switch("master");
    shop.set(&["deployable", "login"]).success();
    shop.repo.commit("b.txt", "b\n", "Go on");
    let signed = note(&shop.repo, &second);
    // What it stands on decides which of its commits are rebased.
    let line = format!("onto: {}", value(&shop.repo, &second, "onto"));
    write_note(&shop.repo, &second, &signed.replace(&line, &format!("onto: {first}")));
    shop.repo.deploy("deploy-rebase", &[]);
    waits(&shop.repo, "login", "it is not what a rebase makes of the approved commit");
}
