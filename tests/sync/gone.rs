//! Deployments' tags that somebody has deleted on the remote.

use git_deploy_testkit::Repo;

use crate::{Team, claim, tag};

const TAG: &str = "refs/tags/deployment-0001";

/// A remote with a deployment of which Ada has a copy alone, as it came with a fetch that took nothing over.
fn copied() -> (Team, Repo, String) {
    let team = Team::new();
    let grace = team.remote.clone_to("grace");
    tag(&grace, "deployment-0001");
    claim(&grace, "deployment-0001");
    grace.deploy("deploy-sync", &[]);
    team.ada.deploy("deploy-sync", &["--dry-run"]);
    assert!(!team.ada.refs().contains_key(TAG));
    let id = grace.id(TAG);
    (team, grace, id)
}

fn delete_there(team: &Team) {
    team.remote.git(&["update-ref", "-d", TAG]);
}

#[test]
fn a_deployment_is_not_lost_whose_tag_somebody_deletes_while_a_copy_is_all_that_is_here() {
    let (team, _, id) = copied();
    delete_there(&team);
    let kept = "warning: tag 'deployment-0001' is gone on 'origin', and is kept here\n";
    team.ada.deploy("deploy-sync", &["--dry-run"]).stderr_contains(kept);
    assert_eq!(team.ada.id(TAG), id);
    // As it is ours now, it gets there again.
    team.ada
        .deploy("deploy-sync", &[])
        .stderr_contains("Pushed tag 'deployment-0001' to 'origin'")
        .lacks("gone");
    assert_eq!(team.remote.id(TAG), id);
    assert!(team.ada.refs().keys().all(|name| !name.starts_with("refs/deploy-seen/origin/tags/")));
    // Also where it was ours before it is told why it is pushed.
    delete_there(&team);
    team.ada
        .deploy("deploy-sync", &[])
        .stderr_contains(kept)
        .stderr_contains("Pushed tag 'deployment-0001' to 'origin'");
}

#[test]
fn a_deployment_is_not_lost_by_a_fetch_that_forgets_and_then_fails() {
    let (team, grace, id) = copied();
    let commit = grace.commit("b.txt", "b\n", "Go on");
    grace.git(&["push", "--quiet", "origin", "master"]);
    let object = format!("objects/{}/{}", &commit[..2], &commit[2..]);
    std::fs::remove_file(team.remote.git_path(&object)).unwrap();
    delete_there(&team);
    team.ada.try_deploy("deploy-sync", &[]).stderr_contains("error: ");
    assert_eq!(team.ada.id(TAG), id);
}

#[test]
fn what_a_fetch_had_kept_that_was_killed_comes_back_with_the_next_one() {
    let (team, _, id) = copied();
    delete_there(&team);
    let kept = format!("refs/deploy-seen/origin/tags/deployment-0001/{id}");
    team.ada.git(&["update-ref", &kept, &id]);
    team.ada.git(&["update-ref", "-d", "refs/deploy-remote-tags/origin/deployment-0001"]);
    team.ada.deploy("deploy-sync", &[]).stderr_contains("tag 'deployment-0001' is gone on 'origin'");
    assert_eq!(team.ada.id(TAG), id);
    assert!(!team.ada.refs().contains_key(&kept));
}

#[test]
fn what_a_tag_was_on_the_remote_is_kept_aside_where_ours_is_another() {
    let (team, _, id) = copied();
    tag(&team.ada, "deployment-0001");
    let ours = team.ada.id(TAG);
    assert_ne!(ours, id);
    delete_there(&team);
    let aside = format!("refs/deploy-seen/origin/tags/deployment-0001/{id}");
    team.ada.deploy("deploy-sync", &["--dry-run"]).stderr_contains(&format!(
        "warning: tag 'deployment-0001' is gone on 'origin'; what it was there is kept as {aside}\n"
    ));
    assert_eq!((team.ada.id(TAG), team.ada.id(&aside)), (ours, id));
}

/// Ada's refs below this.
fn below(team: &Team, prefix: &str) -> Vec<String> {
    let names = team.ada.refs().into_keys().filter(|name| name.starts_with(prefix));
    names.collect()
}

#[test]
fn a_copy_that_is_all_that_is_here_is_kept_once_and_not_with_each_fetch() {
    let (team, _, id) = copied();
    let kept = format!("refs/deploy-seen/origin/tags/deployment-0001/{id}");
    for _ in 0..3 {
        team.ada.deploy("deploy-sync", &["--dry-run"]).lacks("gone");
        assert_eq!(team.ada.id(&kept), id);
    }
    // As soon as the tag is ours nothing has to be kept.
    team.ada.deploy("deploy-sync", &[]);
    team.ada.deploy("deploy-sync", &[]);
    assert_eq!(below(&team, "refs/deploy-seen/origin/tags/"), Vec::<String>::new());
}

#[test]
fn of_several_that_a_tag_was_on_the_remote_the_last_one_comes_back() {
    let (team, grace, first) = copied();
    team.ada.deploy("deploy-sync", &["--dry-run"]);
    grace.git(&["tag", "--delete", "deployment-0001"]);
    grace.set_config("user.name", "Grace");
    tag(&grace, "deployment-0001");
    let second = grace.id(TAG);
    assert_ne!(first, second);
    grace.git(&["push", "--quiet", "--no-verify", "--force", "origin", "deployment-0001"]);
    team.ada.deploy("deploy-sync", &["--dry-run"]);
    delete_there(&team);
    team.ada
        .deploy("deploy-sync", &["--dry-run"])
        .stderr_contains("tag 'deployment-0001' is gone on 'origin', and is kept here\n")
        .stderr_contains(&format!("kept as refs/deploy-seen/origin/tags/deployment-0001/{first}\n"));
    assert_eq!(team.ada.id(TAG), second);
    team.ada.deploy("deploy-sync", &[]);
    assert_eq!(team.remote.id(TAG), second);
}

#[test]
fn a_tag_that_is_not_on_what_was_claimed_stays_away_when_it_was_taken_out_of_the_way() {
    let team = Team::new();
    let grace = team.remote.clone_to("grace");
    claim(&grace, "deployment-0001");
    // A number that somebody has tagged by hand.
    let other = grace.commit("b.txt", "b\n", "Go on");
    grace.git(&["push", "--quiet", "origin", "HEAD:master"]);
    tag(&grace, "deployment-0001");
    assert_eq!(grace.id("deployment-0001^{commit}"), other);
    grace.deploy("deploy-sync", &[]);
    team.ada.deploy("deploy-sync", &[]);
    let id = team.ada.id(TAG);
    team.ada.git(&["tag", "--delete", "deployment-0001"]);
    team.ada.git(&["push", "--quiet", "--no-verify", "origin", ":refs/tags/deployment-0001"]);
    let aside = format!("refs/deploy-seen/origin/tags/deployment-0001/{id}");
    for dry in [true, false] {
        let options: &[&str] = if dry { &["--dry-run"] } else { &[] };
        team.ada.deploy("deploy-sync", options).lacks("kept here").lacks("Pushed");
        assert_eq!((team.ada.tip(TAG), team.ada.id(&aside)), (None, id.clone()));
    }
    assert_eq!(team.remote.tip(TAG), None);
}

#[test]
fn a_branch_that_is_gone_is_in_nobodys_way_whose_name_goes_on_after_its_own() {
    let team = Team::new();
    team.pushed("a");
    let delete = |name: &str| team.remote.git(&["update-ref", "-d", &format!("refs/heads/{name}")]);
    delete("a");
    team.ada.deploy("deploy-sync", &[]);
    assert_eq!(below(&team, "refs/deploy-seen/origin/heads/"), ["refs/deploy-seen/origin/heads/a"]);
    team.ada.git(&["branch", "--quiet", "--delete", "--force", "a"]);
    team.pushed("a/b");
    delete("a/b");
    team.ada.deploy("deploy-sync", &[]).lacks("warning");
    assert_eq!(below(&team, "refs/deploy-seen/origin/heads/"), ["refs/deploy-seen/origin/heads/a/b"]);
}

#[test]
fn what_is_no_deployment_is_not_put_back_where_both_have_taken_it_away() {
    let team = Team::new();
    let grace = team.remote.clone_to("grace");
    grace.git(&["tag", "--annotate", "--message=Mine", "deployment-0007", "master"]);
    grace.git(&["push", "--quiet", "--no-verify", "origin", "deployment-0007"]);
    team.ada.deploy("deploy-sync", &[]);
    team.ada.git(&["tag", "--delete", "deployment-0007"]);
    team.ada.git(&["push", "--quiet", "--no-verify", "origin", ":refs/tags/deployment-0007"]);
    team.ada
        .deploy("deploy-sync", &[])
        .stderr_contains("'deployment-0007' is gone on 'origin'")
        .lacks("Pushed tag");
    assert!(!team.ada.refs().contains_key("refs/tags/deployment-0007"));
    assert!(!team.remote.refs().contains_key("refs/tags/deployment-0007"));
}
