//! With a remote: branches are first brought onto what the remote made of them.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{fill, rebase, set, state_is, value};

pub(crate) struct Team {
    pub(crate) remote: Repo,
    pub(crate) ours: Repo,
    pub(crate) theirs: Repo,
}

/// A branch that two clones have, and that is staged.
pub(crate) fn team(sandbox: &Sandbox) -> Team {
    let remote = sandbox.bare("remote");
    let first = sandbox.repository("first");
    fill(&first);
    first.add_remote("origin", &remote);
    first.git(&["checkout", "--quiet", "-b", "login"]);
    first.commit("c.txt", "c\n", "Change something");
    first.git(&["push", "--quiet", "origin", "master", "login"]);
    let clones = ["ours", "theirs"].map(|name| {
        let clone = remote.clone_to(name);
        clone.git(&["branch", "--quiet", "--track", "login", "origin/login"]);
        clone
    });
    let [ours, theirs] = clones;
    set(&ours, "deployable", "login");
    theirs.deploy("deploy-sync", &[]);
    Team { remote, ours, theirs }
}

impl Team {
    /// What a runner does elsewhere: base moves, the branch is rebased and pushed with its note.
    pub(crate) fn rebase_there(&self, path: &str) {
        let theirs = &self.theirs;
        theirs.commit(path, "x\n", "Go on");
        theirs.git(&["push", "--quiet", "origin", "master"]);
        rebase(theirs, &[]).success().stdout_contains("rebased");
        theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
        theirs.deploy("deploy-sync", &[]);
        self.ours.git(&["fetch", "--quiet", "origin"]);
    }
}

#[test]
fn a_local_branch_at_the_old_tip_follows_the_remotes_rebase() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.rebase_there("d.txt");
    team.ours.deploy("deploy-sync", &[]);
    let theirs = team.remote.id("login");
    rebase(&team.ours, &["--porcelain"])
        .success()
        .stdout_is(&format!("rebased {old} {theirs} refs/heads/login -\n"));
    assert_eq!(team.ours.id("login"), theirs);
    state_is(&team.ours, "login", "deployable");
    rebase(&team.ours, &["--porcelain"])
        .success()
        .stdout_is(&format!("current {theirs} {theirs} refs/heads/login -\n"));
}

#[test]
fn check_says_that_a_branch_would_follow_even_before_notes_are_merged() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.rebase_there("d.txt");
    team.ours.git(&[
        "fetch",
        "--quiet",
        "origin",
        "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
    ]);
    let before = (team.ours.refs(), team.ours.notes());
    let checked = rebase(&team.ours, &["--check", "--porcelain"]);
    checked.stdout_is(&format!("rebased {old} {} refs/heads/login -\n", team.remote.id("login")));
    assert_eq!((team.ours.refs(), team.ours.notes()), before);
}

#[test]
fn several_rebases_there_are_followed_at_once_and_then_base() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.rebase_there("d.txt");
    team.rebase_there("e.txt");
    let there = team.remote.id("login");
    team.theirs.commit("f.txt", "x\n", "Go on");
    team.theirs.git(&["push", "--quiet", "origin", "master"]);
    team.ours.deploy("deploy-sync", &[]);
    rebase(&team.ours, &[]).success();
    let new = team.ours.id("login");
    assert_eq!(team.ours.id("login^"), team.remote.id("master"));
    assert_eq!(value(&team.ours, &new, "rebased-from"), there);
    assert_eq!(value(&team.ours, &new, "root"), old);
    state_is(&team.ours, "login", "deployable");
    assert_eq!(team.remote.id("login"), there, "the remote's branch is not ours to move");
}

#[test]
fn further_commits_are_put_on_top_of_the_remotes_rebase() {
    let team = team(&sandbox!());
    team.ours.switch("login");
    let further = team.ours.commit("g.txt", "g\n", "One more thing");
    team.rebase_there("d.txt");
    team.ours.deploy("deploy-sync", &[]);
    let there = team.remote.id("login");
    rebase(&team.ours, &["--porcelain"]).success().stdout_contains(&format!("rebased {further} "));
    assert_eq!(team.ours.id("login^"), there);
    assert_eq!((team.ours.read("g.txt"), team.ours.read("d.txt")), ("g\n".into(), "x\n".into()));
    state_is(&team.ours, "login", "development");
    team.ours.git(&["push", "--quiet", "origin", "login"]);
    rebase(&team.ours, &["--porcelain"]).success().stdout_is("");
}

#[test]
fn a_withdrawal_made_here_is_not_lost_when_the_branch_follows() {
    let team = team(&sandbox!());
    team.rebase_there("d.txt");
    team.ours.set_config("deploy.publish", "false");
    set(&team.ours, "development", "login");
    team.ours.deploy("deploy-sync", &[]);
    rebase(&team.ours, &["login"]).success();
    assert_eq!(team.ours.id("login"), team.remote.id("login"));
    state_is(&team.ours, "login", "development");
}

#[test]
fn what_was_rebased_here_is_ahead_of_a_remote_that_has_the_old_commit() {
    let team = team(&sandbox!());
    team.ours.commit("d.txt", "d\n", "Go on");
    team.ours.git(&["push", "--quiet", "origin", "master"]);
    rebase(&team.ours, &[]).success().stdout_contains("rebased");
    let ours = team.ours.id("login");
    rebase(&team.ours, &["--porcelain"])
        .success()
        .stdout_is(&format!("current {ours} {ours} refs/heads/login -\n"));
}

#[test]
fn base_is_what_was_last_fetched_of_it() {
    let team = team(&sandbox!());
    let old = team.ours.id("login");
    team.ours.commit("d.txt", "d\n", "Not pushed yet");
    rebase(&team.ours, &["--porcelain"])
        .success()
        .stdout_is(&format!("current {old} {old} refs/heads/login -\n"));
}

#[test]
fn a_branch_that_is_behind_is_left_alone_and_said() {
    let team = team(&sandbox!());
    team.theirs.switch("login");
    team.theirs.commit("h.txt", "h\n", "Go on");
    team.theirs.git(&["push", "--quiet", "origin", "login"]);
    team.ours.git(&["fetch", "--quiet"]);
    let old = team.ours.id("login");
    let swept = rebase(&team.ours, &[]);
    swept.success().stdout_contains("'origin/login' has further commits");
    swept.stderr_contains("git merge --ff-only origin/login");
    assert_eq!(team.ours.id("login"), old);
}

/// The hints of a list, each as the command that it names.
pub(crate) fn hinted(repo: &Repo) -> Vec<String> {
    let list = repo.deploy("deploy-state", &["list"]).stderr;
    let hints = list.lines().filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "));
    hints.map(|(_, command)| command.to_owned()).collect()
}

#[test]
fn what_was_rebased_here_and_not_pushed_is_told_to_be_pushed_with_an_exact_lease() {
    let team = team(&sandbox!());
    let ours = &team.ours;
    let old = ours.id("login");
    ours.commit("d.txt", "x\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "master"]);
    rebase(ours, &[]).success().stdout_contains("rebased");
    let push = format!("git push --force-with-lease=login:{old} origin login");
    assert_eq!(hinted(ours), [push.as_str()]);
    // Further commits change nothing about that.
    ours.switch("login");
    ours.commit("e.txt", "e\n", "Change something else");
    set(ours, "deployable", "login");
    assert_eq!(hinted(ours), [push.as_str()]);
    ours.command("sh").args(["-c", &push]).output().success();
    assert_eq!(hinted(ours), Vec::<String>::new());
    assert_eq!(team.remote.id("login"), ours.id("login"));
}

#[test]
fn what_somebody_else_pushed_over_is_told_to_be_looked_at_and_never_to_be_followed() {
    let team = team(&sandbox!());
    let Team { ours, theirs, .. } = &team;
    theirs.git(&["checkout", "--quiet", "login"]);
    theirs.git(&["commit", "--quiet", "--amend", "--message", "Change it in another way"]);
    theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
    ours.git(&["fetch", "--quiet", "origin"]);
    let there = theirs.id("login");
    // A rebase would bring back what was replaced there.
    assert_eq!(hinted(ours), ["git range-diff --no-notes origin/login...login"]);
    ours.command("sh").args(["-c", &hinted(ours)[0]]).output().success();
    ours.git(&["switch", "--quiet", "login"]);
    ours.git(&["reset", "--quiet", "--keep", "origin/login"]);
    assert_eq!(hinted(ours), Vec::<String>::new());
    assert_eq!(team.remote.id("login"), there);
    set(ours, "deployable", "login");
    // Further commits of others are got, and what their rebase made is followed.
    theirs.git(&["fetch", "--quiet", "origin"]);
    theirs.git(&["reset", "--quiet", "--hard", "origin/login"]);
    theirs.commit("f.txt", "f\n", "Add to it");
    theirs.git(&["push", "--quiet", "origin", "login"]);
    ours.git(&["fetch", "--quiet", "origin"]);
    assert_eq!(hinted(ours), ["git merge --ff-only origin/login"]);
}

#[test]
fn what_somebody_else_has_taken_out_is_never_told_to_be_put_upon_what_is_there() {
    let team = team(&sandbox!());
    let Team { ours, theirs, .. } = &team;
    theirs.git(&["checkout", "--quiet", "login"]);
    theirs.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    theirs.commit("other.txt", "x\n", "Do something else");
    theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
    ours.git(&["fetch", "--quiet", "origin"]);
    let look = ["git range-diff --no-notes origin/login...login"];
    assert_eq!(hinted(ours), look);
    // Nor with a commit of one's own upon it.
    ours.switch("login");
    ours.commit("mine.txt", "x\n", "Go on");
    set(ours, "deployable", "login");
    assert_eq!(hinted(ours), look);
    // Nor when both are merged, as 'git pull' does it.
    ours.git(&["merge", "--quiet", "--no-edit", "origin/login"]);
    set(theirs, "deployable", "login");
    ours.deploy("deploy-sync", &[]);
    assert_eq!(hinted(ours)[0], "git log origin/login..login");
}

#[test]
fn what_others_rebased_is_told_to_be_followed() {
    let team = team(&sandbox!());
    team.rebase_there("d.txt");
    team.ours.deploy("deploy-sync", &[]);
    assert_eq!(hinted(&team.ours), ["git deploy-rebase login"]);
    rebase(&team.ours, &["login"]).success();
    assert_eq!(hinted(&team.ours), Vec::<String>::new());
}

#[test]
fn of_two_rebases_of_one_commit_that_on_the_newer_base_is_to_be_pushed_and_none_gets_stuck() {
    let team = team(&sandbox!());
    let Team { ours, theirs, .. } = &team;
    ours.commit("d.txt", "x\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "master"]);
    theirs.git(&["fetch", "--quiet", "origin"]);
    theirs.git(&["branch", "--quiet", "--force", "login", "origin/login"]);
    rebase(theirs, &["login"]).success().stdout_contains("rebased");
    let pushed = theirs.id("login");
    theirs.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    theirs.deploy("deploy-sync", &["--quiet"]);
    // Ours was rebased further before it was known that there is another.
    ours.commit("e.txt", "x\n", "Go on further");
    ours.git(&["push", "--quiet", "origin", "master"]);
    rebase(ours, &[]).success().stdout_contains("rebased");
    ours.deploy("deploy-sync", &["--quiet"]);
    assert_ne!(ours.id("login"), pushed);
    rebase(ours, &[]).success().stdout_contains("current").lacks("is said to be");
    let push = format!("git push --force-with-lease=login:{pushed} origin login");
    assert_eq!(hinted(ours), [push.as_str()]);
    ours.command("sh").args(["-c", &push]).output().success();
    ours.deploy("deploy-sync", &["--quiet"]);
    theirs.deploy("deploy-sync", &["--quiet"]);
    rebase(theirs, &["login"]).success().lacks("is said to be");
    assert_eq!(theirs.id("login"), ours.id("login"));
}

#[test]
fn who_follows_the_advice_of_a_refused_push_is_told_what_the_other_person_has_added() {
    let team = team(&sandbox!());
    let Team { ours, theirs, .. } = &team;
    theirs.switch("login");
    theirs.commit("their.txt", "x\n", "Help");
    theirs.git(&["push", "--quiet", "origin", "login"]);
    set(theirs, "deployable", "login");
    theirs.deploy("deploy-sync", &[]);
    ours.switch("login");
    ours.commit("our.txt", "x\n", "Go on");
    ours.deploy("deploy-sync", &["--quiet"]);
    let upon = "git rebase --reapply-cherry-picks origin/login login";
    rebase(ours, &["login"])
        .success()
        .stdout_contains("current")
        .stderr_contains("note: 'login' on 'origin' has commits that yours has not\n")
        .stderr_contains(&format!("{upon}\nhint: then decide anew: git deploy-state set deployable login\n"));
    ours.command("sh").args(["-c", upon]).output().success();
    ours.git(&["push", "--quiet", "origin", "login"]);
    rebase(ours, &["login"]).success().lacks("note: ");
}

#[test]
fn a_branch_that_the_forge_brought_up_to_date_by_a_merge_is_told_how_it_gets_there_once_it_is_linear() {
    let team = team(&sandbox!());
    let (ours, theirs) = (&team.ours, &team.theirs);
    theirs.commit("d.txt", "d\n", "Go on");
    theirs.switch("login");
    theirs.git(&["merge", "--quiet", "--no-edit", "master"]);
    theirs.git(&["push", "--quiet", "origin", "master", "login"]);
    let merge = theirs.id("login");
    ours.git(&["fetch", "--quiet"]);
    ours.git(&["branch", "--quiet", "--force", "login", "origin/login"]);
    let steps = [
        "git rebase --reapply-cherry-picks origin/master login".to_owned(),
        format!("git push --force-with-lease=login:{merge} origin login"),
    ];
    let refused = ours.try_deploy("deploy-state", &["set", "deployable", "login"]);
    refused.code_is(1).stderr_contains(&format!(
        "hint: make the branch linear with: {}\nhint: and push it: {}\n",
        steps[0], steps[1]
    ));
    ours.deploy("deploy-queue", &["show", "login"]).stderr_contains(&format!(
        "hint: make the branch linear with: {}\nhint: then: {}\n",
        steps[0], steps[1]
    ));
    for step in steps {
        ours.command("sh").args(["-c", &step]).output().success();
    }
    assert_eq!(team.remote.id("login"), ours.id("login"));
    set(ours, "deployable", "login");
    rebase(ours, &[]).success().stdout_contains("current");
}

#[test]
fn what_was_taken_out_on_the_remote_is_in_no_push_of_a_branch_that_is_made_linear() {
    let team = team(&sandbox!());
    let (ours, theirs) = (&team.ours, &team.theirs);
    ours.switch("login");
    ours.commit("key.txt", "secret\n", "Add a key");
    ours.switch("master");
    ours.commit("d.txt", "d\n", "Go on");
    ours.switch("login");
    ours.git(&["merge", "--quiet", "--no-edit", "master"]);
    ours.switch("master");
    ours.git(&["push", "--quiet", "origin", "master", "login"]);
    theirs.git(&["fetch", "--quiet"]);
    theirs.git(&["push", "--quiet", "--force", "origin", "origin/login~2:refs/heads/login"]);
    ours.git(&["fetch", "--quiet"]);
    let looks = "look at what was taken out there: git log origin/login..login\n";
    let left = rebase(ours, &["login"]);
    left.stderr_contains("make the branch linear with: ").stderr_contains(looks).lacks("git push");
    let refused = ours.try_deploy("deploy-state", &["set", "deployable", "login"]);
    refused
        .code_is(1)
        .stderr_contains("make the branch linear with: ")
        .stderr_contains(looks)
        .lacks("git push");
}
