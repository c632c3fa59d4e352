//! Base moves under a deployment: forward, back, or not where one thinks.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use crate::moment::{Moment, landed_once};

#[test]
fn a_commit_that_reaches_base_between_notes_and_base_makes_a_rebase_and_the_next_number() {
    let shop = Shop::alone(&sandbox!());
    let first = shop.deployable("login", "login.txt", "hello\n");
    shop.repo.git(&["switch", "--quiet", "-c", "elsewhere"]);
    let is_landing = "git cat-file -p refs/deploy/attempts/deployment-0001 2>&1 | grep -q '^phase: verified'";
    let commit = "git update-ref refs/heads/master $(git commit-tree -p master -m hotfix 'master^{tree}')";
    let moment = Moment::committed_while(&shop.repo, "refs/notes/deploy", is_landing, commit);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    moment.has_come();
    assert!(shop.tag("deployment-0001").contains("Result: failure\nReason: base moved\n"));
    assert_eq!(shop.repo.git(&["log", "-1", "--format=%s", "master^"]).line(), "hotfix");
    let notes = shop.repo.notes();
    assert!(notes.get(&first).is_none_or(|note| !note.starts_with("state: deployed")), "{notes:#?}");
    landed_once(&shop, "login");
}

#[test]
fn base_by_name_is_the_remotes_even_where_our_own_is_behind() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deploy(&[]).success();
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.git(&["reset", "--quiet", "--hard", "origin/master~1"]);
    let standing = shop.rendered("deployment-web.yaml");
    shop.deploy(&["master"]).success().stderr_contains("deployment-0001");
    let output = shop.deploy(&["origin/master~1"]);
    output.stderr_contains("is older than what was deployed to 'demo' by deployment-0001");
    assert_ne!(output.code, Some(0));
    let refs = shop.authority().refs();
    assert!(!refs.contains_key("refs/deploy/attempts/deployment-0002"), "{refs:#?}");
    assert_eq!(shop.rendered("deployment-web.yaml"), standing);
    landed_once(&shop, "login");
}
