//! Programs of the user's that merge files, and what they do to a rebase of many branches.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{branch, lines, rebase, set, shop};

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

#[test]
fn what_is_made_aside_lies_beside_nothing_that_is_the_users() {
    let repo = merged_by(&sandbox!(), "ls \"$GIT_OBJECT_DIRECTORY/..\" >seen; cp %B %A");
    rebase(&repo, &["--check"]).success();
    assert_eq!(repo.read("seen"), "HEAD\nobjects\nrefs\n");
}
