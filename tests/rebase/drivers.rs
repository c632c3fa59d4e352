//! Programs of the user's that merge files, and what they do to a rebase of many branches.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{branch, lines, rebase, set, shop, state_is};

/// Base has changed `a.txt`, which a program merges, and `b.txt`, as the branches `odd` and `fine` have.
fn merged_by(sandbox: &Sandbox, driver: &str) -> Repo {
    let repo = shop(sandbox);
    repo.commit_files(&[(".gitattributes", "a.txt merge=ours-alone\n")], "Merge it so");
    let with = |line: &str| format!("{}{line}\n", lines("b"));
    branch(&repo, "odd", "a.txt", &format!("odd\n{}", lines("a")));
    branch(&repo, "fine", "b.txt", &with("fine"));
    branch(&repo, "other", "b.txt", &with("other"));
    for name in ["odd", "fine", "other"] {
        set(&repo, "deployable", name);
    }
    let b = format!("base\n{}", lines("b"));
    repo.commit_files(&[("a.txt", &format!("base\n{}", lines("a"))), ("b.txt", &b)], "Go on");
    repo.set_config("merge.ours-alone.driver", driver);
    repo
}

/// All but one branch stand on base, and that one is what it was.
fn all_but_odd_are_rebased(repo: &Repo, odd: &str) {
    for name in ["fine", "other"] {
        assert_eq!(repo.id(&format!("{name}^")), repo.id("master"), "{name}");
        state_is(repo, name, "deployable");
    }
    assert_eq!(repo.id("odd"), odd);
    repo.fsck();
}

#[test]
fn a_driver_that_hangs_is_ended_and_keeps_only_its_own_branch_from_its_rebase() {
    let repo = merged_by(&sandbox!(), "echo $$ >.git/driver; sleep 1000; exit 0");
    let (odd, files) = (repo.id("odd"), repo.git(&["status", "--porcelain", "--ignored"]).stdout);
    repo.set_config("deploy.mergeTimeLimit", "5s");
    for arguments in [&["--check"][..], &[]] {
        let told = format!(
            "it could not be rebased: merging commit '{}' did not end within 5 s and was ended; \
             see whether merge driver 'ours-alone' hangs; if it only takes long: git config deploy.mergeTimeLimit 1h",
            &odd[..10]
        );
        rebase(&repo, arguments).code_is(128).stdout_contains("rebased  fine").stdout_contains(&told);
        let driver = repo.read(".git/driver");
        let process = std::path::Path::new("/proc").join(driver.trim());
        assert!(!process.exists(), "it goes on");
    }
    all_but_odd_are_rebased(&repo, &odd);
    state_is(&repo, "odd", "deployable");
    assert_eq!(repo.git(&["status", "--porcelain", "--ignored"]).stdout, files, "nothing is left there");
    // Once it does its work nothing has to be mended.
    repo.set_config("merge.ours-alone.driver", "cp %B %A");
    rebase(&repo, &[]).success();
    assert_eq!(repo.id("odd^"), repo.id("master"));
}

#[test]
fn a_driver_that_finds_a_conflict_breaks_its_own_branch_alone() {
    let repo = merged_by(&sandbox!(), "exit 1");
    let odd = repo.id("odd");
    rebase(&repo, &[]).code_is(1).stdout_contains("conflict in 'a.txt'");
    state_is(&repo, "odd", "broken");
    all_but_odd_are_rebased(&repo, &odd);
}

#[test]
fn a_git_that_dies_at_a_merge_says_nothing_of_its_branch_and_the_others_are_rebased() {
    let repo = merged_by(&sandbox!(), "kill -KILL $PPID");
    let odd = repo.id("odd");
    let told = "skipped  odd    it could not be rebased: 'git merge-tree";
    rebase(&repo, &[]).code_is(128).stdout_contains(told).stdout_contains("failed by a signal");
    state_is(&repo, "odd", "deployable");
    all_but_odd_are_rebased(&repo, &odd);
}

#[test]
fn what_is_made_aside_lies_beside_nothing_that_is_the_users() {
    let repo = merged_by(&sandbox!(), "ls \"$GIT_OBJECT_DIRECTORY/..\" >seen; cp %B %A");
    rebase(&repo, &["--check"]).success();
    assert_eq!(repo.read("seen"), "HEAD\nobjects\nrefs\n");
}

#[test]
fn a_limit_that_is_none_is_told() {
    let repo = merged_by(&sandbox!(), "cp %B %A");
    repo.set_config("deploy.mergeTimeLimit", "soon");
    rebase(&repo, &[])
        .code_is(128)
        .stderr_contains("'deploy.mergeTimeLimit' is 'soon', and must be a duration such as '90s'")
        .stderr_contains(
            "hint: look where it is set: git config --show-origin --get-all deploy.mergeTimeLimit",
        );
}
