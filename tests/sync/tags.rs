//! Deployments' tags of one name that are not the same here and on the remote.

use crate::{Team, claim, tag};

#[test]
fn of_two_tags_none_is_advised_where_no_claim_says_which_is_the_deployment() {
    let team = Team::new();
    tag(&team.ada, "deployment-0001");
    // Somebody makes another one on the server, which is no deployment.
    team.remote.git(&["update-ref", "refs/tags/deployment-0001", "master"]);
    let ours = team.ada.id("deployment-0001");
    let sync = || {
        team.ada
            .deploy("deploy-sync", &[])
            .stderr_contains("tag 'deployment-0001' is not the same here and on 'origin'")
            .stderr_contains("hint: see both with: git show deployment-0001 ")
            .lacks("git fetch")
            .lacks("git tag");
        assert_eq!(team.ada.id("deployment-0001"), ours);
    };
    sync();
    // Both are made for what was claimed.
    let grace = team.remote.clone_to("grace");
    claim(&grace, "deployment-0001");
    tag(&grace, "again");
    let again = grace.id("again");
    grace.git(&["push", "--quiet", "--no-verify", "origin", "again", "refs/deploy/attempts/deployment-0001"]);
    team.remote.git(&["update-ref", "refs/tags/deployment-0001", &again]);
    assert_ne!(again, ours);
    sync();
}

#[test]
fn a_deployment_tag_that_differs_is_left_and_told() {
    let team = Team::new();
    let grace = team.remote.clone_to("grace");
    tag(&grace, "deployment-0001");
    claim(&grace, "deployment-0001");
    grace.git(&["push", "--quiet", "--no-verify", "origin", "refs/deploy/attempts/deployment-0001"]);
    grace.deploy("deploy-sync", &[]);
    team.ada.git(&["tag", "--annotate", "--message", "Failed Deployment", "deployment-0001"]);
    let before = team.ada.id("deployment-0001");
    let told = team.ada.deploy("deploy-sync", &[]);
    told.stderr_contains(
        "warning: tag 'deployment-0001' is not the same here and on 'origin': a deployment tag must never be moved",
    );
    assert_eq!(team.ada.id("deployment-0001"), before);
    let hint = |begin: &str| {
        let line = told.stderr.lines().find_map(|line| line.strip_prefix(&format!("hint: {begin}: ")));
        line.unwrap_or_else(|| panic!("no hint '{begin}'\n{told}")).to_owned()
    };
    let typed = |command: &str| {
        let call = team.ada.command("sh").args(["-c", command]).output();
        call.success();
        call
    };
    let both = typed(&hint("see both with"));
    assert_eq!(both.stdout.matches("Failed Deployment").count(), 2, "{both}");
    // What was here is not lost by what is told, and nothing more is to be told then.
    typed(&hint("to have that of 'origin', and ours as 'here-deployment-0001'"));
    assert_eq!(team.ada.id("here-deployment-0001"), before);
    assert_eq!(team.ada.id("deployment-0001"), team.remote.id("deployment-0001"));
    team.ada.deploy("deploy-sync", &[]).lacks("is not the same here");
    assert!(!team.remote.refs().contains_key("refs/tags/here-deployment-0001"));
    // What only looks like one is the user's own.
    team.ada.git(&["tag", "deployment-plan"]);
    team.ada.deploy("deploy-sync", &[]).lacks("deployment-plan");
    assert!(!team.remote.refs().contains_key("refs/tags/deployment-plan"));
}
