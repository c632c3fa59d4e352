//! Which tags are published: those of deployments.

use crate::Team;

#[test]
fn a_tag_that_only_is_called_like_a_deployment_stays_where_it_is() {
    let team = Team::new();
    let ada = &team.ada;
    let commit = ada.id("master");
    let verdict = format!(
        "Failed Deployment\n\nEnvironment: demo\nCommit: {commit}\nStarted: 2026-11-20T12:00:00Z\n\
         Finished: 2026-11-20T12:01:00Z\nResult: failure\n"
    );
    ada.git(&["tag", "--annotate", "--message", &verdict, "deployment-0001"]);
    ada.git(&["tag", "deployment-0007"]);
    ada.git(&["tag", "--annotate", "--message", "Ours, somehow", "deployment-0008"]);
    ada.git(&["tag", "deployment-0009", "HEAD^{tree}"]);
    ada.deploy("deploy-sync", &["--dry-run"]).stderr_is("  Would push tag 'deployment-0001' to 'origin'\n");
    let told = ada.deploy("deploy-sync", &[]);
    for (tag, why) in
        [("0007", "it is not an annotated tag"), ("0008", ""), ("0009", "it is not an annotated tag")]
    {
        let words = format!("warning: tag 'deployment-{tag}' stays here, as it is no deployment's: {why}");
        told.stderr_contains(&words);
    }
    assert_eq!(team.remote.git(&["tag", "--list"]).stdout, "deployment-0001\n");
    assert_eq!(ada.git(&["tag", "--list"]).lines().len(), 4);
}
