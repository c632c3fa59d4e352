//! Notes that are none, and a notes ref that leads to no notes: what is wrong is said, and all other states stay what they are.

use std::time::Duration;

use git_deploy_testkit::{Format, Repo, left_out, sandbox};

use crate::{branch, set, shop, state_is};

/// How much memory a command may take, in KiB: a small part of the note that it must not read.
const LITTLE: &str = "ulimit -v 600000; exec \"$@\"";

/// A shop with a staged branch `good`, and a branch `bad`, whose commit is returned.
fn prepared() -> (Repo, String) {
    let repo = shop(&sandbox!());
    let bad = branch(&repo, "bad", "bad.txt", "x\n");
    branch(&repo, "good", "good.txt", "x\n");
    set(&repo, &["staged", "good"]).success();
    (repo, bad)
}

/// Writes an object as it is, whatever git thinks of it.
fn object(repo: &Repo, kind: &str, bytes: &[u8]) -> String {
    let options = ["hash-object", "-w", "--literally", "--stdin", "-t", kind];
    let output = repo.command("git").args(options).stdin(bytes).output();
    output.success();
    output.line().to_owned()
}

/// Adds one entry to the tree of the notes.
fn add_to_notes(repo: &Repo, mode: &str, name: &str, id: &str) {
    let tree = repo.git(&["rev-parse", "refs/notes/deploy^{tree}"]).line().to_owned();
    let file = repo.sandbox().root().join("tree");
    // They are no text.
    let write = "git cat-file tree \"$1\" >\"$0\"";
    repo.command("sh").args(["-c", write]).arg(&file).arg(&tree).output().success();
    let mut entries = std::fs::read(&file).expect("it was just written");
    let mut entry = format!("{mode} {name}\0").into_bytes();
    entry.extend((0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hex")));
    // Entries are sorted, and there are two.
    let first = entries.iter().position(|byte| *byte == b' ').expect("a mode") + 1;
    let before = name.as_bytes() < &entries[first..];
    entries.splice(if before { 0..0 } else { entries.len()..entries.len() }, entry);
    let tree = object(repo, "tree", &entries);
    let commit = repo.git(&["commit-tree", "-m", "By hand", "-p", "refs/notes/deploy", &tree]);
    repo.git(&["update-ref", "refs/notes/deploy", commit.line()]);
}

/// The note on `bad` is told to be wrong, costs no other branch its state, and a decision takes its place.
#[track_caller]
fn is_told_and_replaced(repo: &Repo, bad: &str, why: &str) {
    let list = repo.deploy("deploy-state", &["list"]);
    let told = format!("warning: 'bad' counts as in development: note on commit '{bad}' is malformed: {why}");
    list.stdout_contains("staged").stderr_contains(&told);
    list.stderr_contains("hint: ").lacks("\u{1b}");
    state_is(repo, "good", "staged");
    counts_as_none(repo, bad, why, "take it away with: git notes --ref=deploy remove");
    repo.deploy("deploy-state", &["log", "good"]).stdout_contains("staged");
    repo.deploy("deploy-queue", &[]).stderr_contains(&told);
    repo.deploy("deploy-rebase", &["--check"]);
    repo.git(&["notes", "--ref=deploy", "remove", bad]);
    state_is(repo, "bad", "development");
    set(repo, &["staged", "bad"]).success();
    state_is(repo, "bad", "staged");
}

/// The state of its branch is that of a branch without a note, those of others are what they are, and nobody writes over it.
/// What to do is told in the same words everywhere.
#[track_caller]
fn counts_as_none(repo: &Repo, bad: &str, why: &str, what_to_do: &str) {
    let told = format!("note on commit '{bad}' is malformed: {why}");
    let hint = format!("{what_to_do} {bad}\n");
    let get = repo.deploy("deploy-state", &["get", "bad", "good"]);
    let warning = format!("warning: 'bad' counts as in development: {told}");
    get.stdout_is("development\nstaged\n").stderr_contains(&warning).stderr_contains(&hint);
    repo.deploy("deploy-state", &["list"]).stderr_contains(&warning).stderr_contains(&hint);
    set(repo, &["staged", "good", "bad"])
        .code_is(128)
        .stderr_contains(&format!("fatal: cannot set 'bad' to staged: {told}"))
        .stderr_contains(&hint);
    repo.deploy("deploy-rebase", &["--check", "bad"]).stderr_contains(&hint);
}

#[test]
fn a_note_that_an_editor_can_mend_is_told_to_be_edited_everywhere() {
    let (repo, bad) = prepared();
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: done", "bad"]);
    counts_as_none(&repo, &bad, "line 1: ", "mend it with: git notes --ref=deploy edit");
}

#[test]
fn of_a_note_of_a_gibibyte_only_the_size_is_read() {
    if Format::of_run().reftable {
        left_out!("it takes long, and is about objects: the other formats show it");
    }
    let (repo, bad) = prepared();
    let remote = repo.sandbox().bare("remote.git");
    let make = "truncate -s 1G \"$0\" && git hash-object -w --no-filters \"$0\"";
    let huge = repo.command("sh").args(["-c", make]).arg(repo.sandbox().root().join("huge"));
    let huge = huge.time_limit(Duration::from_secs(600)).output();
    add_to_notes(&repo, "100644", &bad, huge.success().line());
    let with_little =
        |arguments: &[&str]| repo.command("sh").args(["-c", LITTLE, "sh", "git"]).args(arguments).output();
    let why = "it has 1073741824 bytes, and at most 65536 are read";
    let list = with_little(&["deploy-state", "list"]);
    list.success()
        .stdout_contains("staged")
        .stderr_contains(why)
        .stderr_contains(&format!("hint: take it away with: git notes --ref=deploy remove {bad}"));
    with_little(&["deploy-state", "get", "good"]).success().stdout_is("staged\n");
    with_little(&["deploy-state", "get", "bad"]).success().stdout_is("development\n").stderr_contains(why);
    for command in [&["deploy-state", "log"][..], &["deploy-queue"], &["deploy-rebase"]] {
        with_little(command).success();
    }
    // Nor is it what others are given.
    repo.git(&["push", "--quiet", "../remote.git", "master", "good", "bad"]);
    let other = remote.clone_to("other");
    other.git(&["checkout", "--quiet", "bad"]);
    other.deploy("deploy-state", &["set", "staged", "bad"]);
    repo.add_remote("origin", &remote);
    with_little(&["deploy-sync"]).success();
    state_is(&repo, "bad", "staged");
}

#[test]
fn of_a_deploy_toml_that_nobody_wrote_by_hand_only_the_size_is_read() {
    let (repo, _) = prepared();
    let make = "truncate -s 256M deploy.toml && git add deploy.toml && git commit --quiet --message Grow";
    repo.command("sh").args(["-c", make]).output().success();
    let with_little = |command: &str| {
        repo.command("sh").args(["-c", "ulimit -v 200000; exec \"$@\"", "sh", "git", command]).output()
    };
    let why = "deploy.toml:1:1: it has 268435456 bytes, and at most 1048576 are read";
    with_little("deploy-state").success();
    with_little("deploy-queue").stderr_contains(why);
    with_little("deploy-rebase").stderr_contains(why);
    state_is(&repo, "good", "staged");
}

#[test]
fn a_note_of_other_bytes_than_text_is_told_and_costs_nobody_else() {
    let (repo, bad) = prepared();
    let binary = object(&repo, "blob", b"\x7fELF\0\xff\x1b[2Jstate: deployable\n");
    add_to_notes(&repo, "100644", &bad, &binary);
    is_told_and_replaced(&repo, &bad, "it is not UTF-8");
}

#[test]
fn a_malformed_note_is_told_once_with_all_branches_that_have_its_commit() {
    let (repo, bad) = prepared();
    repo.git(&["branch", "worse", "bad"]);
    repo.git(&["notes", "--ref=deploy", "add", "--message=state: ready", &bad]);
    for command in
        [&["deploy-state", "list"][..], &["deploy-state", "get", "bad", "worse", "bad"], &["deploy-queue"]]
    {
        let said = repo.deploy(command[0], &command[1..]);
        said.stderr_contains("warning: 'bad' and 'worse' count as in development: note on commit '");
        assert_eq!(said.stderr.matches("is malformed").count(), 1, "{said}");
    }
}

#[test]
fn a_note_that_is_no_file_is_none_as_in_git() {
    for (mode, revision) in [("40000", "HEAD^{tree}"), ("160000", "HEAD"), ("120000", "HEAD:a.txt")] {
        let (repo, bad) = prepared();
        add_to_notes(&repo, mode, &bad, &repo.id(revision));
        repo.deploy("deploy-state", &["list"]).stdout_contains("staged").stderr_is("");
        state_is(&repo, "bad", "development");
        set(&repo, &["staged", "bad"]).success();
        state_is(&repo, "bad", "staged");
        state_is(&repo, "good", "staged");
        repo.fsck();
    }
}

#[test]
fn a_note_that_is_a_commit_or_not_there_is_told_and_costs_nobody_else() {
    let (repo, bad) = prepared();
    let commit = repo.id("HEAD");
    add_to_notes(&repo, "100644", &bad, &commit);
    is_told_and_replaced(&repo, &bad, &format!("object '{commit}' is no blob"));
    let (repo, bad) = prepared();
    let missing = "1".repeat(bad.len());
    add_to_notes(&repo, "100644", &bad, &missing);
    is_told_and_replaced(&repo, &bad, &format!("object '{missing}' is missing"));
}

#[test]
fn a_note_whose_object_is_corrupt_is_told_and_costs_nobody_else() {
    let (repo, bad) = prepared();
    set(&repo, &["staged", "bad"]).success();
    let blob = repo.git(&["notes", "--ref=deploy", "list", &bad]).line().to_owned();
    corrupt(&repo, &blob);
    // A git that is asked says in its own words what is wrong, and so does libgit2.
    let list = repo.deploy("deploy-state", &["list"]);
    list.stdout_contains("staged").stderr_contains(&format!("note on commit '{bad}' is malformed"));
    state_is(&repo, "good", "staged");
    repo.git(&["notes", "--ref=deploy", "remove", &bad]);
    state_is(&repo, "bad", "development");
}

fn corrupt(repo: &Repo, id: &str) {
    let path = repo.git_path(&format!("objects/{}/{}", &id[..2], &id[2..]));
    std::fs::remove_file(&path).expect("it is loose");
    std::fs::write(&path, "no zlib stream\n").expect("the folder is there");
}

#[test]
fn a_commit_of_the_notes_that_is_corrupt_is_told_with_what_to_do() {
    let (repo, _) = prepared();
    let before = repo.id("refs/notes/deploy");
    corrupt(&repo, &before);
    for command in [&["get", "good"][..], &["list"], &["set", "deployable", "good"]] {
        repo.try_deploy("deploy-state", command)
            .code_is(128)
            .stderr_contains("fatal: notes ref 'refs/notes/deploy' cannot be used: ")
            .stderr_contains("hint: ");
    }
}

#[test]
fn a_notes_ref_that_leads_to_no_commit_is_told_with_what_to_do() {
    let (repo, _) = prepared();
    let good = repo.id("refs/notes/deploy");
    repo.git(&["tag", "--annotate", "--message", "x", "mark", "refs/notes/deploy"]);
    for revision in ["HEAD:a.txt", "HEAD^{tree}", "mark"] {
        let id = repo.id(revision);
        repo.git(&["update-ref", "refs/notes/deploy", &id]);
        for command in [&["get", "good"][..], &["list"], &["set", "deployable", "good"], &["log", "good"]] {
            repo.try_deploy("deploy-state", command)
                .code_is(128)
                .stderr_contains(&format!(
                    "fatal: notes ref 'refs/notes/deploy' cannot be used: object '{id}' is no commit\n"
                ))
                .stderr_contains(
                    "hint: lead it back to where it was before: git update-ref refs/notes/deploy",
                );
        }
        assert_eq!(repo.id("refs/notes/deploy"), id, "nobody mends it unasked");
        // As the hint says.
        let hint =
            format!("hint: lead it back to where it was before: git update-ref refs/notes/deploy {good}\n");
        repo.try_deploy("deploy-state", &["get", "good"]).stderr_contains(&hint);
        repo.git(&["update-ref", "refs/notes/deploy", &good]);
        assert_eq!(repo.id("refs/notes/deploy"), good);
        state_is(&repo, "good", "staged");
    }
}

#[test]
fn a_notes_ref_that_leads_to_what_is_not_there_is_told() {
    let (repo, bad) = prepared();
    if !Format::of_run().reftable {
        repo.write(".git/refs/notes/deploy", format!("{}\n", "1".repeat(bad.len())));
        repo.try_deploy("deploy-state", &["get", "good"])
            .code_is(128)
            .stderr_contains("notes ref 'refs/notes/deploy' cannot be used: object '1111")
            .stderr_contains("is missing\n");
    }
}

#[test]
fn in_a_bare_repository_without_a_reflog_the_way_back_is_another_and_works() {
    let (repo, _) = prepared();
    let bare = repo.sandbox().bare("bare.git");
    repo.git(&["push", "--quiet", "../bare.git", "master", "good", "refs/notes/*:refs/notes/*"]);
    let before = bare.id("refs/notes/deploy");
    bare.git(&["update-ref", "refs/notes/deploy", &bare.id("good:a.txt")]);
    bare.try_deploy("deploy-state", &["get", "good"])
        .code_is(128)
        .stderr_contains("hint: no reflog says where it was before: 'git fsck' calls that commit dangling\n")
        .stderr_contains("hint: lead it back there: git update-ref refs/notes/deploy <commit>\n")
        .stderr_contains("'git update-ref -d refs/notes/deploy'")
        .lacks("@{1}");
    let dangling = format!("dangling commit {before}");
    assert!(bare.try_git(&["fsck"]).stdout.contains(&dangling));
    bare.git(&["update-ref", "refs/notes/deploy", &before]);
    state_is(&bare, "good", "staged");
}

#[test]
fn a_ref_whose_file_is_empty_or_rubbish_is_told_with_the_way_back() {
    if Format::of_run().reftable {
        left_out!("there is no file for each ref");
    }
    let (repo, _) = prepared();
    let remote = repo.sandbox().bare("remote.git");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master", "good"]);
    repo.deploy("deploy-sync", &[]);
    set(&repo, &["deployable", "good"]).success();
    let last = repo.id("refs/notes/deploy");
    let file = repo.git_path("refs/notes/deploy").display().to_string();
    let commands: [&[&str]; 7] = [
        &["deploy-state", "get", "good"],
        &["deploy-state", "list"],
        &["deploy-state", "set", "staged", "good"],
        &["deploy-state", "log", "good"],
        &["deploy-queue"],
        &["deploy-rebase"],
        &["deploy-sync"],
    ];
    for text in ["", "rubbish\n"] {
        repo.write(".git/refs/notes/deploy", text);
        for command in commands {
            repo.try_git(command)
                .code_is(128)
                .stderr_contains("fatal: cannot read ref 'refs/notes/deploy': its file '")
                .stderr_contains("' holds no object id\nhint: move that file away: mv -- ")
                .stderr_contains(&format!("git update-ref refs/notes/deploy {last}\n"))
                .stderr_contains("hint: what was published comes back with: git deploy-sync\n");
        }
        assert_eq!(repo.read(".git/refs/notes/deploy"), text, "nobody mends it unasked");
        // As the hints say.
        let told = repo.try_deploy("deploy-state", &["get", "good"]).stderr;
        let [aside, back, sync] = told
            .lines()
            .filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "))
            .map(|(_, command)| command)
            .collect::<Vec<_>>()[..]
        else {
            panic!("there are other hints: {told}")
        };
        let type_it = |command: &str| {
            repo.command("sh").args(["-c", command]).output().success();
        };
        type_it(aside);
        type_it(back);
        state_is(&repo, "good", "deployable");
        std::fs::write(&file, text).expect("it can be written to");
        type_it(aside);
        type_it(sync);
        state_is(&repo, "good", "deployable");
    }
}

#[test]
fn any_ref_of_ours_whose_file_is_empty_is_told_by_its_name() {
    if Format::of_run().reftable {
        left_out!("there is no file for each ref");
    }
    let (repo, _) = prepared();
    let remote = repo.sandbox().bare("remote.git");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master", "good"]);
    repo.deploy("deploy-sync", &[]);
    for name in
        ["refs/notes/deploy-remote/origin/deploy", "refs/remotes/origin/good", "refs/tags/deployment-0001"]
    {
        repo.write(&format!(".git/{name}"), "");
        repo.try_deploy("deploy-sync", &[])
            .code_is(128)
            .stderr_contains(&format!("fatal: cannot read ref '{name}': its file '"))
            .stderr_contains("hint: move that file away: mv -- ");
        std::fs::remove_file(repo.git_path(name)).expect("it is there");
        repo.deploy("deploy-sync", &[]);
        state_is(&repo, "good", "staged");
    }
}

#[test]
fn a_notes_ref_that_names_another_ref_is_followed_as_git_does() {
    let (repo, _) = prepared();
    repo.git(&["update-ref", "refs/notes/shared", "refs/notes/deploy"]);
    repo.git(&["symbolic-ref", "refs/notes/deploy", "refs/notes/shared"]);
    state_is(&repo, "good", "staged");
    set(&repo, &["deployable", "good"]).success();
    repo.git(&["symbolic-ref", "refs/notes/deploy"]).stdout_is("refs/notes/shared\n");
    let [one, two] = ["refs/notes/deploy", "refs/notes/shared"].map(|name| repo.id(name));
    assert_eq!(one, two);
    // Even to one that is not there yet.
    repo.git(&["symbolic-ref", "refs/notes/deploy", "refs/notes/new"]);
    state_is(&repo, "good", "development");
    set(&repo, &["staged", "good"]).success();
    state_is(&repo, "good", "staged");
    repo.fsck();
}

#[test]
fn what_is_wrong_with_gits_own_notes_keeps_nobody_from_a_state() {
    let (repo, _) = prepared();
    repo.git(&["update-ref", "refs/notes/commits", &repo.id("HEAD:a.txt")]);
    state_is(&repo, "good", "staged");
    set(&repo, &["deployable", "good"]).success();
}

#[test]
fn the_highest_number_that_a_note_can_have_ends_no_line_of_decisions() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "login.txt", "x\n");
    let text = "state: development\nref: refs/heads/login\nby: Eve <eve@example.org>\nrev: 4294967295";
    repo.git(&["notes", "--ref=deploy", "add", "-m", text, "login"]);
    for state in ["deployable", "staged", "deployable"] {
        set(&repo, &[state, "login"]).success();
        repo.deploy("deploy-state", &["get", "login"]).stdout_is(&format!("{state}\n"));
    }
}

/// Runs a command as somebody who may only do what the rights of files say.
fn as_nobody_special(repo: &Repo, arguments: &[&str]) -> git_deploy_testkit::Output {
    let is_root = repo.sandbox().run("id", &["-u"]).line() == "0";
    let bounded = ["--bounding-set=-dac_override,-dac_read_search", "git"];
    match is_root {
        true => repo.command("setpriv").args(bounded).args(arguments).output(),
        false => repo.command("git").args(arguments).output(),
    }
}

#[test]
fn what_may_not_be_read_is_not_taken_for_lost() {
    use std::os::unix::fs::PermissionsExt;
    let (repo, _) = prepared();
    let object = |id: &str| format!("objects/{}/{}", &id[..2], &id[2..]);
    let note = repo.git(&["notes", "--ref=deploy", "list", "good"]).line().to_owned();
    let mut paths = vec![object(&note), object(&repo.id("refs/notes/deploy"))];
    if !Format::of_run().reftable {
        paths.push("refs/notes/deploy".to_owned());
    }
    // Git itself takes that for no repository, and says no more of it.
    if Format::of_run() == Format::default() {
        paths.push("objects".to_owned());
    }
    for path in paths {
        let file = repo.git_path(&path);
        let rights = std::fs::metadata(&file).expect("it is there").permissions();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
        let outputs = [&["deploy-state", "get", "good"][..], &["deploy-state", "set", "deployable", "good"]]
            .map(|arguments| as_nobody_special(&repo, arguments));
        std::fs::set_permissions(&file, rights).expect("it is ours");
        for output in outputs {
            output.code_is(128).stderr_contains("ermission denied").stderr_contains(&path);
            for advice in ["remove", "update-ref", "missing", "malformed", "only reads"] {
                assert!(!output.stderr.contains(advice), "{path}: {output}");
            }
        }
        state_is(&repo, "good", "staged");
    }
}

#[test]
fn objects_that_lie_nowhere_are_not_taken_for_lost() {
    if Format::of_run() != Format::default() {
        left_out!("git itself takes that for no repository, and says no more of it");
    }
    let (repo, _) = prepared();
    let output = repo
        .command("git-deploy-state")
        .args(["get", "good"])
        .env("GIT_OBJECT_DIRECTORY", "/nonexistent")
        .output();
    output.code_is(128).stderr_contains("/nonexistent").stderr_contains("No such file");
    assert!(!output.stderr.contains("update-ref"), "{output}");
}
