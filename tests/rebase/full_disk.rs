//! A disk without room, or without the right to write: a branch and its work tree stay together, and no verdict is none.

use git_deploy_testkit::{Repo, Sandbox, sandbox, skip};

use crate::{branch, set, shop};

/// Runs a script in a copy of a repository that has a small disk of its own; none where mounts are not allowed.
fn on_a_small_disk(sandbox: &Sandbox, repo: &Repo, script: &str) -> Option<git_deploy_testkit::Output> {
    let disk = sandbox.root().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let allowed = sandbox.command("unshare").args(["--mount", "mount", "-t", "tmpfs", "none"]).arg(&disk);
    if allowed.output().code != Some(0) {
        return None;
    }
    let script = format!(
        "mount -t tmpfs -o size=8m none \"$0\" && cp -a \"$1\" \"$0/shop\" && cd \"$0/shop\" || exit 99\n{script}"
    );
    let run = sandbox.command("unshare").args(["--mount", "sh", "-c", &script]).arg(&disk).arg(repo.path());
    Some(run.output())
}

/// Rebases the branch that is checked out with more room each time, until it succeeds. Says `<pages> <exit code>` and what
/// `git status` says each time; with room in between nothing may be left half done.
const EVER_MORE_ROOM: &str = r#"
old=$(git rev-parse login)
for pages in $(seq 0 4 400); do
    cat /dev/zero >../filler 2>/dev/null
    truncate -s "-$((pages * 4096))" ../filler
    git deploy-rebase >../../said 2>&1
    code=$?
    rm ../filler
    [ $code -ne 0 ] || break
    moved=stays
    [ "$(git rev-parse login)" = "$old" ] || moved=moved
    echo "$pages $code $moved $(git status --porcelain | wc -l)"
    grep -qi 'no space left\|out of diskspace\|unable to write\|couldn.t write\|reftable: .* I/O error' ../../said || { cat ../../said >&2; exit 97; }
    grep -q 'hint: .*room' ../../said || { cat ../../said >&2; exit 96; }
done
git deploy-rebase >&2 || exit 95
[ -z "$(git status --porcelain)" ] || exit 94
[ "$(git rev-parse login^)" = "$(git rev-parse master)" ] || exit 93
git fsck --strict --no-dangling --no-progress >&2 || exit 92
"#;

#[test]
fn a_branch_whose_work_tree_has_no_room_to_follow_stays_with_it() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    // A file that changes, one that goes, and new ones that there is no room for.
    repo.commit("a.txt", &"changed\n".repeat(20_000), "Go on");
    repo.git(&["rm", "--quiet", "b.txt"]);
    repo.commit("d/e.txt", &"new\n".repeat(40_000), "Go on further");
    repo.commit("d/f.txt", "f\n", "Go on further");
    repo.switch("login");
    let Some(run) = on_a_small_disk(&sandbox, &repo, EVER_MORE_ROOM) else {
        skip!("mounts are not allowed here");
    };
    let lines = run.success().lines();
    assert!(lines.len() > 10, "it was never full\n{run}");
    for line in lines {
        assert!(line.ends_with(" 128 stays 0"), "{line}\n{run}");
    }
}

/// Judges on a disk that cannot be written, and tries to rebase there.
const READ_ONLY: &str = r#"
mount -o remount,ro "$0" || exit 98
git deploy-rebase --check --porcelain || exit 97
git deploy-rebase
code=$?
mount -o remount,rw "$0"
exit $code
"#;

#[test]
fn what_cannot_be_written_is_judged_all_the_same_and_no_verdict_is_a_failure() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    for name in ["login", "search"] {
        branch(&repo, name, name, "x\n");
        set(&repo, "staged", name);
    }
    repo.commit("d.txt", "d\n", "Go on");
    let Some(run) = on_a_small_disk(&sandbox, &repo, READ_ONLY) else {
        skip!("mounts are not allowed here");
    };
    run.code_is(128).stderr_contains("Read-only file system");
    assert_eq!(run.stderr.matches("Read-only file system").count(), 1, "{run}");
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("rebased ")).count(), 2, "{run}");
}

#[test]
fn a_check_leaves_no_object_behind() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    // Both sides have changed something, so that git merges.
    repo.commit("d.txt", "d\n", "Go on");
    let objects = || repo.git(&["count-objects", "-v"]).stdout;
    let before = objects();
    let checked = repo.deploy("deploy-rebase", &["--check", "--porcelain"]);
    checked.stdout_contains("rebased ");
    assert_eq!(objects(), before);
    // What it said is what comes of it.
    let new = checked.line().split(' ').nth(2).expect("the new tip").to_owned();
    repo.deploy("deploy-rebase", &[]);
    assert_eq!(repo.id("login"), new);
}
