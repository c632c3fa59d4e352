//! Notes: anything may become of them but the loss of a verdict, or one that no deployment gave.

use std::fmt::Write as _;

use git_deploy_testkit::sandbox;

use crate::scene::{BRANCH, Scene, verdict};

/// A note of a deployment that failed, on a commit of a branch; the server has it and its tag.
fn failed(scene: &Scene) -> String {
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    scene.note(
        &commit,
        &format!(
            "state: staged\nref: {BRANCH}\nrev: 2\nreason: deployment-0001: lint\ndeployment: deployment-0001\n\
             result: failure\nimage: shop-web:0123@sha256:00"
        ),
    );
    let tag = claim.tagged("failure");
    scene.takes(&[&tag, &claim.finished("failure"), "refs/notes/deploy"]);
    commit
}

/// A commit of notes whose tree is this, upon those that stand.
fn tree(scene: &Scene, entries: &str) -> String {
    let tree =
        scene.repo.command("git").args(["mktree", "--missing"]).stdin(entries).output().line().to_owned();
    let parent = scene.server.id("refs/notes/deploy");
    scene.repo.git(&["commit-tree", &tree, "-p", &parent, "-m", "Notes"]).line().to_owned()
}

fn blob(scene: &Scene, text: &str) -> String {
    let arguments = ["hash-object", "-w", "--stdin"];
    scene.repo.command("git").args(arguments).stdin(text).output().line().to_owned()
}

#[test]
fn decisions_come_and_go_and_are_pruned() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    for text in
        ["state: staged\nrev: 2", "state: development\nrev: 3\nfuture: 1", "state: broken\nwas: staged"]
    {
        scene.note(&commit, text);
        scene.takes(&["refs/notes/deploy"]);
    }
    scene.repo.git(&["notes", "--ref=deploy", "remove", &commit]);
    scene.takes(&["refs/notes/deploy"]);
}

#[test]
fn notes_move_only_forward_and_the_way_to_do_so_is_named() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.approved();
    scene.refuses(&[":refs/notes/deploy"], "it is never deleted");
    scene.repo.git(&["update-ref", "-d", "refs/notes/deploy"]);
    scene.note("HEAD", "state: staged");
    scene.refuses(&["+refs/notes/deploy"], "it moves only forward");
    scene.push(&["+refs/notes/deploy"]).stderr_contains("for states: git deploy-sync");
    scene.refuses(&["HEAD:refs/notes/deploy/x"], "keeps such names free");
}

#[test]
fn what_cannot_be_read_as_notes_is_refused() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let text = blob(&scene, "state: staged\n");
    scene.refuses(&[&format!("+{text}:refs/notes/deploy")], "the notes cannot be read: it is no commit");
    let refused = |entries: &str, words: &str| {
        let notes = tree(&scene, entries);
        scene.refuses(&[&format!("{notes}:refs/notes/deploy")], words);
    };
    for (note, words) in [
        ("state: \u{1b}[31mready\n", "is not a state"),
        ("", "it has no line 'state: ...'"),
        (&format!("state: staged\nmessage: {}\n", "x".repeat(1 << 17)), "at most 65536 are read"),
    ] {
        let text = blob(&scene, note);
        refused(&format!("100644 blob {text}\t{commit}\n"), words);
    }
    refused(&format!("120000 blob {text}\t{commit}\n"), "it is no file");
    refused(&format!("160000 commit {commit}\t{commit}\n"), "it is no file");
    scene
        .push(&[&format!(
            "{}:refs/notes/deploy",
            tree(&scene, &format!("160000 commit {commit}\t{commit}\n"))
        )])
        .lacks("\u{1b}");
}

#[test]
fn a_note_comes_only_to_where_git_writes_one() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let text = blob(&scene, "state: staged\n");
    let folder = |entries: String| {
        let made = scene.repo.command("git").args(["mktree", "--missing"]).stdin(entries).output();
        made.line().to_owned()
    };
    let stands = scene.repo.git(&["ls-tree", "refs/notes/deploy"]).stdout;
    let (two, rest) = commit.split_at(2);
    let (three, short) = commit.split_at(3);
    let capital = commit.to_uppercase();
    let note = |name: &str| format!("100644 blob {text}\t{name}\n");
    let within = |name: &str, entries: String| format!("040000 tree {}\t{name}\n", folder(entries));
    let odd = [
        (note(&capital), capital.clone()),
        (within(two, note(&rest.to_uppercase())), format!("{two}/{}", rest.to_uppercase())),
        (within(three, note(short)), three.to_owned()),
        (within(two, note(&rest[1..])), format!("{two}/{}", &rest[1..])),
        (format!("160000 commit {commit}\t{two}\n"), two.to_owned()),
        (note("readme"), "readme".to_owned()),
    ];
    for (entries, path) in odd {
        let words = format!("'{path}' is no place in which git writes a note");
        for entries in [entries.clone(), format!("{stands}{entries}")] {
            let notes = tree(&scene, &entries);
            scene.refuses(&[&format!("{notes}:refs/notes/deploy")], &words);
        }
    }
    let twice = tree(&scene, &format!("{}{stands}", within(two, note(rest))));
    scene.refuses(&[&format!("{twice}:refs/notes/deploy")], "it would have two notes");
    // What stands there already is nobody's fault.
    let odd = tree(&scene, &format!("{stands}{}", note("readme")));
    let path = scene.repo.path().display().to_string();
    scene.server.git(&["fetch", "--quiet", &path, &format!("{odd}:refs/notes/deploy")]);
    scene.repo.git(&["update-ref", "refs/notes/deploy", &odd]);
    scene.note(&commit, "state: staged\nrev: 2");
    scene.takes(&["refs/notes/deploy"]);
}

#[test]
fn a_verdict_may_gain_and_is_never_lost_or_changed() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = failed(&scene);
    let note = scene.repo.notes()[&commit].clone();
    let changed = [
        note.replace("deployment: deployment-0001\nresult: failure\n", ""),
        note.replace("result: failure\n", ""),
        note.replace("result: failure", "result: aborted"),
        note.replace("deployment-0001\nresult", "deployment-0000\nresult"),
        note.replace("image: shop-web:0123@sha256:00\n", ""),
        note.replace("sha256:00", "sha256"),
    ];
    for text in changed {
        assert_ne!(text, note);
        scene.note(&commit, &text);
        let words = if text.contains("0000") { "is malformed" } else { "would lose or change its verdict" };
        scene.refuses(&["refs/notes/deploy"], words);
        scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    }
    // That of a failure is not said to be one of success either.
    scene.note(&commit, &note.replace("result: failure", "result: success"));
    scene.refuses(&["refs/notes/deploy"], "says 'result: success', and no deployment says so");
    scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    scene.repo.git(&["notes", "--ref=deploy", "remove", &commit]);
    scene.refuses(&["refs/notes/deploy"], "would lose or change its verdict");
    scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    // A new decision is none about the past.
    scene.note(
        &commit,
        &note.replace("state: staged", "state: deployable").replace("rev: 2", "rev: 3\nfuture: 1"),
    );
    scene.takes(&["refs/notes/deploy"]);
    // Nor is a deployment that has begun since.
    let claim = scene.claimed("deployment-0002", &commit);
    scene.note(&commit, &format!("state: deployable\nref: {BRANCH}\nrev: 3\ndeployment: deployment-0002"));
    scene.takes(&["refs/notes/deploy", &claim.moved("applying")]);
}

/// What shows that a note was made for a commit, whether a rebase made that or not.
fn made_for(commit: &str) -> [String; 2] {
    [format!("approved: {commit}\n"), format!("rebased-from: {commit}\nrebased-to: {commit}\n")]
}

#[test]
fn a_verdict_that_git_has_copied_to_another_commit_keeps_nobody_from_deciding_about_that() {
    for which in 0..2 {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox);
        let commit = failed(&scene);
        let note = scene.repo.notes()[&commit].clone();
        scene.note(&commit, &format!("{note}{}", made_for(&commit)[which]));
        scene.repo.set_config("notes.rewriteRef", "refs/notes/deploy");
        scene.repo.switch("login");
        scene.repo.git(&["commit", "--quiet", "--amend", "--message=Log in again"]);
        let amended = scene.repo.id("login");
        scene.takes(&["--force", "login", "refs/notes/deploy"]);
        assert!(scene.server.notes()[&amended].contains("\nresult: failure\n"));
        scene.repo.deploy("deploy-state", &["set", "deployable", "login"]).lacks("refused");
        assert_eq!(scene.server.notes(), scene.repo.notes());
        assert!(!scene.server.notes()[&amended].contains("\nresult: "));
    }
}

#[test]
fn no_verdict_is_lost_by_way_of_a_note_that_looks_like_a_copy() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = failed(&scene);
    let note = scene.repo.notes()[&commit].clone();
    for lines in made_for(&scene.repo.id("master")) {
        scene.note(&commit, &format!("{note}{lines}"));
        scene.refuses(&["refs/notes/deploy"], "would lose or change its verdict");
        scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    }
}

#[test]
fn what_was_removed_of_a_landing_is_taken_back_from_the_server() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
    scene.repo.deploy("deploy-sync", &[]);
    for other in [None, Some("state: staged\nfuture: 1")] {
        match other {
            None => drop(scene.repo.git(&["notes", "--ref=deploy", "remove", &commit])),
            Some(other) => scene.note(&commit, other),
        }
        scene.note("master", "state: staged");
        scene.refuses(&["refs/notes/deploy"], "would lose or change its verdict");
        scene.push(&["refs/notes/deploy"]).stderr_contains("take the others' notes in with git deploy-sync");
        scene.repo.deploy("deploy-sync", &[]).lacks("refused");
        let note = &scene.repo.notes()[&commit];
        assert!(note.starts_with("state: deployed\n"), "{note}");
        assert!(note.contains("\ndeployment: deployment-0001\nresult: success\n"), "{note}");
        // What is written on it by hand decides nothing any more.
        assert!(note.contains("\nwas: deployable\n"), "{note}");
        assert_eq!(scene.server.notes(), scene.repo.notes());
    }
}

#[test]
fn a_commit_is_deployed_only_where_a_tag_says_so() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    scene.note(&commit, "state: deployed");
    scene.refuses(&["refs/notes/deploy"], "says 'state: deployed', and no deployment says so");
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let (base, tag, attempt) = (claim.base(), claim.tagged("success"), claim.finished("success"));
    scene.refuses(&["refs/notes/deploy"], "says 'state: deployed'");
    scene.takes(&[&base, &tag, &attempt, "refs/notes/deploy"]);
    scene.note("HEAD", "state: deployed\ndeployment: deployment-0001\nresult: success");
    scene.refuses(&["refs/notes/deploy"], "says 'state: deployed'");
    scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    scene.note(&commit, "state: development\nrev: 9\ndeployment: deployment-0001\nresult: success");
    scene.refuses(&["refs/notes/deploy"], "would lose or change its verdict");
}

#[test]
fn a_note_in_front_of_another_one_hides_no_verdict() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = failed(&scene);
    let stood = scene.repo.git(&["rev-parse", &format!("refs/notes/deploy:{commit}")]).line().to_owned();
    let inner = format!("100644 blob {stood}\t{}\n", &commit[2..]);
    let folder = scene.repo.command("git").arg("mktree").stdin(inner).output().line().to_owned();
    let fanned = tree(&scene, &format!("040000 tree {folder}\t{}\n", &commit[..2]));
    scene.takes(&[&format!("{fanned}:refs/notes/deploy")]);
    let text = blob(&scene, "state: staged\n");
    let both = format!("040000 tree {folder}\t{}\n100644 blob {text}\t{commit}\n", &commit[..2]);
    let both = tree(&scene, &both);
    scene.refuses(&[&format!("{both}:refs/notes/deploy")], "malformed: it would have two notes");
    // The same once more, and one behind it that no look-up finds.
    for text in [&stood, &text] {
        let inner = format!("100644 blob {text}\t{}\n", &commit[2..]);
        let folder = scene.repo.command("git").arg("mktree").stdin(inner).output().line().to_owned();
        let both = format!("040000 tree {folder}\t{}\n100644 blob {stood}\t{commit}\n", &commit[..2]);
        let both = tree(&scene, &both);
        scene.refuses(&[&format!("{both}:refs/notes/deploy")], "malformed: it would have two notes");
    }
}

#[test]
fn what_has_two_notes_already_can_be_mended() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let text = blob(&scene, "state: staged\n");
    let inner = format!("100644 blob {text}\t{}\n", &commit[2..]);
    let folder = scene.repo.command("git").arg("mktree").stdin(inner).output().line().to_owned();
    let entries = format!("040000 tree {folder}\t{}\n100644 blob {text}\t{commit}\n", &commit[..2]);
    scene.server.deploy("deploy-init", &["--remove"]);
    scene.takes(&[&format!("{}:refs/notes/deploy", tree(&scene, &entries))]);
    scene.server.deploy("deploy-init", &["--server"]);
    let one = tree(&scene, &format!("100644 blob {text}\t{commit}\n"));
    scene.takes(&[&format!("{one}:refs/notes/deploy")]);
}

/// A tree of notes as git shapes many of them, in a folder for each first byte of their ids.
fn fanned(scene: &Scene, text: &str, many: u32) -> String {
    let mut folders = vec![String::new(); 256];
    for number in 0..many {
        // Spread, as ids are.
        let id = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (first, rest) = ((id >> 56) as usize, id & 0x00ff_ffff_ffff_ffff);
        writeln!(folders[first], "100644 blob {text}\t{rest:014x}{number:024x}")
            .expect("it takes everything");
    }
    let mktree = scene.repo.command("git").args(["mktree", "--batch"]).stdin(folders.join("\n"));
    let trees = mktree.output().stdout;
    let folder = |(number, tree): (usize, &str)| format!("040000 tree {tree}\t{number:02x}\n");
    tree(scene, &trees.lines().enumerate().map(folder).collect::<String>())
}

#[test]
fn of_a_hundred_thousand_notes_only_those_that_change_are_read() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let all = fanned(&scene, &blob(&scene, "state: staged\n"), 100_000);
    scene.server.deploy("deploy-init", &["--remove"]);
    scene.server.set_config("receive.unpackLimit", "100000");
    scene.takes(&["--quiet", &format!("{all}:refs/notes/deploy")]);
    // Who looks into another folder than that of the commit finds nothing.
    let objects = scene.server.git_path("objects");
    for line in scene.server.git(&["ls-tree", &all]).lines() {
        let (folder, name) = line["040000 tree ".len()..].split_once('\t').expect("a folder");
        if name != &commit[..2] {
            let object = objects.join(&folder[..2]).join(&folder[2..]);
            std::fs::remove_file(object).expect("it is no part of a pack");
        }
    }
    scene.server.deploy("deploy-init", &["--server"]);
    scene.repo.git(&["update-ref", "refs/notes/deploy", &all]);
    scene.note(&commit, "state: staged\nrev: 2");
    scene.takes(&["--quiet", "refs/notes/deploy"]);
}

#[test]
fn notes_that_get_folders_or_lose_them_have_not_changed() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = failed(&scene);
    let note = scene.repo.git(&["rev-parse", &format!("refs/notes/deploy:{commit}")]).line().to_owned();
    for digits in [2, 0, 2] {
        let (folder, rest) = commit.split_at(digits);
        let mut entries = format!("100644 blob {note}\t{rest}\n");
        if digits > 0 {
            let inner = scene.repo.command("git").arg("mktree").stdin(entries).output().line().to_owned();
            entries = format!("040000 tree {inner}\t{folder}\n");
        }
        scene.takes(&[&format!("{}:refs/notes/deploy", tree(&scene, &entries))]);
    }
}

#[test]
fn a_tree_that_names_itself_again_and_again_is_not_walked_through() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.approved();
    let text = blob(&scene, "state: staged\n");
    let mut inner = format!("100644 blob {text}\tab\n");
    for _ in 0..8 {
        let tree = scene.repo.command("git").arg("mktree").stdin(&inner).output().line().to_owned();
        inner = (0..=255).map(|number| format!("040000 tree {tree}\t{number:02x}\n")).collect();
    }
    let notes = tree(&scene, &inner);
    scene.refuses(&[&format!("{notes}:refs/notes/deploy")], "of its folders would change");
}

#[test]
fn notes_that_were_made_without_the_server_come_with_the_tags_that_they_speak_of() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    scene.tag("deployment-0001", &commit, &verdict(&commit, "success"));
    scene.note(&commit, "state: deployed\ndeployment: deployment-0001\nresult: success");
    scene.refuses(&["refs/notes/deploy"], "says 'state: deployed'");
    scene.takes(&["deployment-0001", "refs/notes/deploy"]);
}

#[test]
fn what_has_landed_is_deployed_also_where_its_note_names_a_later_deployment() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    scene.note(&commit, "state: deployed\ndeployment: deployment-0002\nresult: failure");
    scene.tag("deployment-0002", &commit, &verdict(&commit, "failure"));
    scene.refuses(&["deployment-0002", "refs/notes/deploy"], "says 'state: deployed'");
    scene.tag("deployment-0001", &commit, &verdict(&commit, "success"));
    scene.takes(&["deployment-0001", "deployment-0002"]);
    scene.takes(&["refs/notes/deploy"]);
}
