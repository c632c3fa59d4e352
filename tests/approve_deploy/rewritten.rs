//! What git itself makes of approved commits.

use super::both;

#[test]
fn an_approval_holds_across_other_dates() {
    for shop in both() {
        shop.guard();
        shop.repo.deploy("deploy-init", &[]);
        let approved = shop.deployable("login", "login.txt", "hello\n");
        shop.repo.switch("login");
        shop.repo.git(&["commit", "--quiet", "--amend", "--no-edit", "--date=2001-02-03T04:05:06Z"]);
        assert_ne!(shop.repo.id("login"), approved);
        if shop.remote.is_some() {
            shop.repo.git(&["push", "--quiet", "--force", "origin", "login"]);
        }
        shop.repo.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").lacks("not approved");
        shop.repo.switch("master");
        shop.deploy(&["login"]).success();
        assert_eq!(shop.state("login"), "deployed");
        shop.is_sound();
    }
}
