//! What became of a branch that others have rebased and landed, while ours still stands at the commits from before.

use git_deploy_testkit::sandbox;

use crate::remote::{Team, hinted, team};
use crate::{rebase, state_is};

impl Team {
    /// What stands in their clone lands: base moves there, with the tag of a deployment. Ours fetches as git does by itself.
    fn land_there(&self) -> String {
        let (theirs, landed) = (&self.theirs, self.theirs.id("login"));
        let message = format!(
            "Successfully Deployed\n\nEnvironment: rendered\nCommit: {landed}\nBranch: login\n\
             Started: 2026-11-20T12:00:00Z\nFinished: 2026-11-20T12:01:00Z\nResult: success\n"
        );
        theirs.git(&["tag", "--annotate", "--message", &message, "deployment-0001", &landed]);
        theirs.git(&["push", "--quiet", "--force", "origin", "login", "login:master", "deployment-0001"]);
        self.ours.git(&["fetch", "--quiet", "origin"]);
        landed
    }

    /// What others have lands after that.
    fn others_land_there(&self) {
        self.theirs.git(&["switch", "--quiet", "--force-create", "master", "login"]);
        for number in 2..=4 {
            let commit = self.theirs.commit(&format!("{number}.txt"), "x\n", "Another");
            let message = format!(
                "Successfully Deployed\n\nEnvironment: rendered\nCommit: {commit}\nBranch: b{number}\n\
                 Started: 2026-11-20T12:00:00Z\nFinished: 2026-11-20T12:01:00Z\nResult: success\n"
            );
            let name = format!("deployment-000{number}");
            self.theirs.git(&["tag", "--annotate", "--message", &message, &name]);
        }
        self.theirs.git(&["push", "--quiet", "--tags", "origin", "master"]);
        self.ours.git(&["fetch", "--quiet", "origin"]);
    }
}

#[test]
fn what_landed_after_several_rebases_is_followed_also_where_the_remote_has_the_branch_no_more() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.rebase_there("d.txt");
    team.rebase_there("e.txt");
    let landed = team.land_there();
    team.others_land_there();
    team.theirs.git(&["push", "--quiet", "origin", ":login"]);
    team.ours.git(&["fetch", "--quiet", "--prune", "origin"]);
    let said = "note: local branch 'login' has landed as 'deployment-0001': yours is the commit before its rebase\n\
                hint: delete what has landed: git branch -D login; or let it follow: git deploy-rebase login\n";
    team.ours.deploy("deploy-state", &["list"]).stderr_contains(said).lacks("git push");
    rebase(&team.ours, &["--check", "--porcelain"])
        .stdout_is(&format!("rebased {old} {landed} refs/heads/login -\n"));
    rebase(&team.ours, &["--porcelain"]).stdout_is(&format!("rebased {old} {landed} refs/heads/login -\n"));
    state_is(&team.ours, "login", "deployed");
    rebase(&team.ours, &[]).success().stdout_is("");
    team.ours.git(&["merge", "--quiet", "--ff-only", "origin/master"]);
    team.ours.git(&["branch", "-d", "login"]);
}

#[test]
fn further_commits_are_put_on_what_landed() {
    let team = team(&sandbox!());
    team.ours.switch("login");
    let further = team.ours.commit("g.txt", "g\n", "One more thing");
    team.rebase_there("d.txt");
    let landed = team.land_there();
    team.ours
        .deploy("deploy-state", &["list"])
        .stderr_contains("'login' has landed as 'deployment-0001', rebased, and yours has further commits\n");
    assert_eq!(hinted(&team.ours), ["git deploy-rebase login"]);
    rebase(&team.ours, &["login", "--porcelain"]).success().stdout_contains(&format!("rebased {further} "));
    assert_eq!((team.ours.id("login^"), team.ours.read("g.txt")), (landed, "g\n".into()));
    state_is(&team.ours, "login", "development");
    assert_eq!(hinted(&team.ours), Vec::<String>::new());
}

#[test]
fn what_landed_less_a_commit_that_base_had_is_followed() {
    let team = team(&sandbox!());
    team.ours.switch("login");
    let old = team.ours.commit("g.txt", "g\n", "One more thing");
    team.ours.git(&["push", "--quiet", "origin", "login"]);
    team.theirs.git(&["fetch", "--quiet"]);
    team.theirs.git(&["branch", "--quiet", "--force", "login", &old]);
    team.theirs.git(&["cherry-pick", &old]);
    team.theirs.commit("d.txt", "d\n", "Go on");
    team.theirs.git(&["rebase", "--quiet", "master", "login"]);
    let landed = team.land_there();
    team.ours
        .deploy("deploy-state", &["list"])
        .stderr_contains("yours is the commit before its rebase")
        .lacks("git push");
    rebase(&team.ours, &["login", "--porcelain"])
        .success()
        .stdout_is(&format!("rebased {old} {landed} refs/heads/login -\n"));
}

#[test]
fn what_landed_in_the_same_words_with_another_content_is_looked_at_and_neither_followed_nor_replaced() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.rebase_there("d.txt");
    team.theirs.switch("login");
    team.theirs.write("c.txt", "another\n");
    team.theirs.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    team.land_there();
    assert_eq!(hinted(&team.ours), ["git log origin/login..login"]);
    rebase(&team.ours, &[]).code_is(1).stdout_contains("broken");
    assert_eq!(team.ours.id("login"), old);
}
