//! A disk without room: said as what it is, and nothing is half done.

use git_deploy_testkit::{sandbox, skip};

use crate::{branch, set, shop};

/// Copies a repository onto a small disk of its own, and sets a state with a page more room each time, until it succeeds. Says
/// `<pages> <exit code> <state afterwards>` each time.
const EVER_MORE_ROOM: &str = r#"
mount -t tmpfs -o size=4m none "$0" && cp -r shop "$0/shop" && cd "$0/shop" || exit 99
for pages in $(seq 0 40); do
    cat /dev/zero >../filler 2>/dev/null
    truncate -s "-$((pages * 4096))" ../filler
    git deploy-state set staged login 2>../../said
    code=$?
    rm ../filler
    echo "$pages $code $(git deploy-state get login)"
    git fsck --strict --no-dangling --no-progress >&2 || exit 98
    [ $code -ne 0 ] || exit 0
    grep -qi 'no space left' ../../said || { cat ../../said >&2; exit 97; }
    grep -q 'hint: make room' ../../said || { cat ../../said >&2; exit 96; }
done
exit 95
"#;

#[test]
fn a_disk_that_is_full_is_said_and_the_state_is_what_it_was() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "b.txt", "b\n");
    branch(&repo, "other", "c.txt", "c\n");
    set(&repo, &["staged", "other"]).success();
    let disk = sandbox.root().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let allowed = sandbox.command("unshare").args(["--mount", "mount", "-t", "tmpfs", "none"]).arg(&disk);
    if allowed.output().code != Some(0) {
        skip!("mounts are not allowed here");
    }
    let run = sandbox.command("unshare").args(["--mount", "sh", "-c", EVER_MORE_ROOM]).arg(&disk).output();
    let lines = run.success().lines();
    assert!(lines.len() > 1, "it was never full\n{run}");
    for line in &lines[..lines.len() - 1] {
        assert!(line.ends_with(" 128 development"), "{line}\n{run}");
    }
    assert!(lines.last().is_some_and(|line| line.ends_with(" 0 staged")), "{run}");
}

/// Fetches on a small disk, with a page more room each time, branches whose commit is there already: git writes nothing but refs.
/// Says what git said.
const NO_ROOM_FOR_A_REF: &str = r#"
mount -t tmpfs -o size=4m none "$0" && cp -r shop "$0/shop" && cd "$0/shop" || exit 99
for pages in $(seq 0 40); do
    cat /dev/zero >../filler 2>/dev/null
    truncate -s "-$((pages * 4096))" ../filler
    git deploy-sync 2>../../said
    code=$?
    rm ../filler
    [ $code -ne 0 ] || exit 0
    cat ../../said
    grep -q 'hint: make room' ../../said || exit 96
done
exit 95
"#;

#[test]
fn a_disk_that_is_full_is_said_also_where_git_does_not_say_it() {
    let sandbox = sandbox!();
    let (repo, origin) = (shop(&sandbox), sandbox.bare("origin.git"));
    repo.add_remote("origin", &origin);
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.deploy("deploy-sync", &[]);
    origin.git(&["branch", "other", "master"]);
    let disk = sandbox.root().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let allowed = sandbox.command("unshare").args(["--mount", "mount", "-t", "tmpfs", "none"]).arg(&disk);
    if allowed.output().code != Some(0) {
        skip!("mounts are not allowed here");
    }
    let run = sandbox.command("unshare").args(["--mount", "sh", "-c", NO_ROOM_FOR_A_REF]).arg(&disk).output();
    // Of files it does not say why, of a reftable it does.
    let is_silent = |line: &&str| line.contains("'git fetch' failed") && !line.contains("No space left");
    assert!(
        run.success().lines().iter().any(is_silent) || !repo.path().join(".git/refs/heads/master").exists(),
        "{run}"
    );
}
