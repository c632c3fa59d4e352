//! States and deployments as several clones share them: `set` that publishes, and `git deploy-sync`.

mod backup;
mod bare;
mod concurrent;
mod gone;
mod landed;
mod ledger;
mod lost;
mod meanwhile;
mod set_back;
mod tags;
mod withdrawal;

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

/// A bare remote with one commit on master, and a clone of it.
struct Team {
    sandbox: Sandbox,
    remote: Repo,
    ada: Repo,
}

impl Team {
    fn new() -> Self {
        let sandbox = sandbox!();
        let remote = sandbox.bare("remote.git");
        let seed = sandbox.repository("seed");
        seed.commit("a.txt", "one\n", "Begin");
        seed.add_remote("origin", &remote);
        seed.git(&["push", "--quiet", "origin", "master"]);
        let ada = remote.clone_to("ada");
        Self { sandbox, remote, ada }
    }

    /// A branch that is on the remote.
    fn pushed(&self, name: &str) -> String {
        let commit = branch(&self.ada, name);
        self.ada.git(&["push", "--quiet", "origin", name]);
        commit
    }

    /// Puts the remote where nobody finds it.
    fn take_remote_away(&self) {
        self.sandbox.run("mv", &["remote.git", "gone.git"]);
    }

    fn bring_remote_back(&self) {
        self.sandbox.run("mv", &["gone.git", "remote.git"]);
    }
}

fn branch(repo: &Repo, name: &str) -> String {
    repo.git(&["checkout", "--quiet", "-b", name, "origin/master"]);
    let commit = repo.commit(&format!("{}.txt", name.replace('/', "-")), "x\n", "Change something");
    repo.switch("master");
    commit
}

#[test]
fn a_state_is_published_at_once_and_others_see_it_after_a_sync() {
    let team = Team::new();
    team.pushed("login");
    let grace = team.remote.clone_to("grace");
    team.ada
        .deploy("deploy-state", &["set", "deployable", "login"])
        .stdout_is("")
        .stderr_is("         Set login: development -> deployable\n");
    assert_eq!(team.remote.id("refs/notes/deploy"), team.ada.id("refs/notes/deploy"));
    state_is(&team.remote, "login", "deployable");
    state_is(&grace, "login", "development");
    grace.deploy("deploy-sync", &[]).stdout_is("").stderr_is("      Merged 1 state of 'origin'\n");
    state_is(&grace, "login", "deployable");
    grace.deploy("deploy-queue", &["--porcelain"]).stdout_contains("refs/heads/login");
    // Who only reads adds nothing.
    assert_eq!(grace.id("refs/notes/deploy"), team.ada.id("refs/notes/deploy"));
    grace.deploy("deploy-sync", &["origin"]).stderr_is("note: nothing to exchange with 'origin'\n");
}

#[test]
fn a_branch_that_exists_only_on_the_remote_can_be_set() {
    let team = Team::new();
    let commit = team.pushed("login");
    let grace = team.remote.clone_to("grace");
    grace
        .deploy("deploy-state", &["set", "deployable", "login"])
        .stderr_contains("Set login: development -> deployable");
    assert!(team.remote.notes()[&commit].contains("ref: refs/heads/login\n"));
}

#[test]
fn the_state_of_a_branch_that_is_not_pushed_stays_here_and_that_is_said() {
    let team = Team::new();
    branch(&team.ada, "login");
    team.ada
        .deploy("deploy-state", &["set", "deployable", "login"])
        .stderr_contains("note: not published: the last commit of 'login' is not on the remote\n")
        .stderr_contains(
            "hint: the state is published when the branch is pushed, or with: git deploy-sync\n",
        );
    assert_eq!(team.remote.tip("refs/notes/deploy"), None);
    team.ada.deploy("deploy-sync", &[]).stderr_is("      Pushed 1 state to 'origin'\n");
    assert_eq!(team.remote.id("refs/notes/deploy"), team.ada.id("refs/notes/deploy"));
}

#[test]
fn publishing_can_be_switched_off() {
    let team = Team::new();
    team.pushed("login");
    team.ada.set_config("deploy.publish", "false");
    team.ada
        .deploy("deploy-state", &["set", "deployable", "login"])
        .stderr_contains("note: not published: 'deploy.publish' is false\n");
    assert_eq!(team.remote.tip("refs/notes/deploy"), None);
    team.ada.set_config("deploy.publish", "perhaps");
    team.ada
        .try_deploy("deploy-state", &["get", "login"])
        .code_is(128)
        .stderr_contains("fatal: 'deploy.publish' is 'perhaps', and must be a boolean");
}

#[test]
fn a_state_that_cannot_be_published_is_set_all_the_same() {
    let team = Team::new();
    team.pushed("login");
    team.take_remote_away();
    team.ada
        .try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(75)
        .stdout_is("")
        .stderr_contains("Set login: development -> deployable")
        .stderr_contains(
            "error: the state is set, but could not be published: cannot reach remote 'origin': ",
        )
        .stderr_contains("remote.git' does not appear to be a git repository\n")
        .stderr_contains("hint: publish it later with: git deploy-sync\n");
    state_is(&team.ada, "login", "deployable");
    team.ada
        .try_deploy("deploy-sync", &[])
        .code_is(75)
        .stderr_contains("error: cannot reach remote 'origin': ");
    team.bring_remote_back();
    // Setting it again publishes what was set.
    team.ada
        .deploy("deploy-state", &["set", "deployable", "login"])
        .stderr_is("note: 'login' is deployable already\n");
    state_is(&team.remote, "login", "deployable");
}

#[test]
fn what_could_not_be_published_goes_with_the_next_decision_or_push() {
    let team = Team::new();
    team.pushed("login");
    team.pushed("basket");
    let lost = |state| {
        team.take_remote_away();
        team.ada.try_deploy("deploy-state", &["set", state, "login"]).code_is(75);
        team.bring_remote_back();
        state_is(&team.ada, "login", state);
    };
    lost("deployable");
    team.ada.deploy("deploy-state", &["set", "staged", "basket"]);
    state_is(&team.remote, "login", "deployable");
    state_is(&team.remote, "basket", "staged");
    lost("staged");
    team.ada.deploy("deploy-init", &["--quiet"]);
    team.ada.git(&["push", "--quiet", "origin", "login:further"]);
    state_is(&team.remote, "login", "staged");
}

#[test]
fn a_remote_that_refuses_states_is_told_in_its_own_words() {
    let team = Team::new();
    team.pushed("login");
    let hook = team.remote.path().join("hooks/pre-receive");
    let hook = hook.to_str().unwrap();
    team.remote.write("hooks/pre-receive", "#!/bin/sh\necho 'states are frozen' >&2\nexit 1\n");
    team.sandbox.run("chmod", &["+x", hook]);
    team.ada
        .try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(75)
        .stderr_contains("error: the state is set, but could not be published: remote 'origin' refused")
        .stderr_contains("(the remote says: states are frozen)");
    team.ada.try_deploy("deploy-sync", &[]).code_is(1).stderr_contains("error: remote 'origin' refused");
    state_is(&team.ada, "login", "deployable");
}

#[test]
fn decisions_of_two_clones_are_put_together() {
    let team = Team::new();
    let (a, b) = (team.pushed("a"), team.pushed("b"));
    let grace = team.remote.clone_to("grace");
    team.ada.deploy("deploy-state", &["set", "deployable", "a"]);
    // Grace did not hear of that yet: her push is refused, merged and tried again.
    grace.deploy("deploy-state", &["set", "staged", "b"]);
    team.ada.deploy("deploy-sync", &[]);
    for repo in [&team.ada, &grace, &team.remote] {
        state_is(repo, "a", "deployable");
        state_is(repo, "b", "staged");
        assert_eq!(repo.notes().keys().collect::<Vec<_>>().len(), 2, "{a} {b}");
        repo.fsck();
    }
    assert_eq!(team.ada.id("refs/notes/deploy"), grace.id("refs/notes/deploy"));
}

#[test]
fn of_two_decisions_that_did_not_see_each_other_the_more_careful_one_holds() {
    let team = Team::new();
    let commit = team.pushed("login");
    let grace = team.remote.clone_to("grace");
    team.ada.set_config("deploy.publish", "false");
    grace.set_config("deploy.publish", "false");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    grace.deploy("deploy-state", &["set", "staged", "login"]);
    team.ada.deploy("deploy-sync", &[]);
    grace.deploy("deploy-sync", &[]);
    team.ada.deploy("deploy-sync", &[]);
    for repo in [&team.ada, &grace, &team.remote] {
        state_is(repo, "login", "staged");
    }
    assert_eq!(team.ada.notes()[&commit], grace.notes()[&commit]);
    // Each decision is told once, whichever way it came.
    for repo in [&team.ada, &grace] {
        let log = repo.deploy("deploy-state", &["log", "login"]);
        assert_eq!(log.stdout.matches("development -> staged").count(), 1, "{log}");
        assert_eq!(log.stdout.matches("development -> deployable").count(), 1, "{log}");
    }
}

#[test]
fn a_decision_on_the_old_commits_reaches_what_the_runner_made_of_them() {
    let team = Team::new();
    let old = team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    // What a runner does when base moved.
    let runner = team.remote.clone_to("runner");
    runner.deploy("deploy-sync", &[]);
    runner.commit("c.txt", "c\n", "Go on");
    runner.git(&["checkout", "--quiet", "login"]);
    runner.git(&["rebase", "--quiet", "master"]);
    let (new, base) = (runner.id("login"), runner.id("master"));
    let stood = runner.notes()[&old].clone();
    let decision: String =
        stood.lines().filter(|line| !line.starts_with("onto: ")).map(|line| format!("{line}\n")).collect();
    let carried = format!("{decision}root: {old}\nrebased-from: {old}\nonto: {base}\n");
    runner.git(&["notes", "--ref=deploy", "add", "-m", &carried]);
    runner.git(&["push", "--quiet", "--force", "origin", "master", "login", "refs/notes/deploy"]);
    team.remote.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&new);
    // Ada still stands on the old commit, with and without knowing of the new one.
    team.ada
        .deploy("deploy-state", &["set", "development", "login"])
        .stderr_is("         Set login: deployable -> development\n");
    team.remote.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    team.ada.deploy("deploy-state", &["set", "staged", "login"]);
    assert_eq!(team.ada.id("login"), old);
    for repo in [&team.remote, &team.ada] {
        let list = repo.deploy("deploy-state", &["list", "--porcelain"]);
        list.stdout_is(&format!("staged {new} refs/heads/login\n"));
    }
    team.ada.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
    let log = team.ada.deploy("deploy-state", &["log", "login"]);
    assert_eq!(log.lines().len(), 3, "{log}");
}

#[test]
fn clones_that_publish_at_the_same_time_lose_nothing() {
    const CLONES: usize = 6;
    let team = Team::new();
    let names: Vec<String> = (0..CLONES).map(|number| format!("b{number}")).collect();
    names.iter().for_each(|name| drop(team.pushed(name)));
    let clones: Vec<Repo> = names.iter().map(|name| team.remote.clone_to(&format!("clone-{name}"))).collect();
    let running: Vec<_> = clones
        .iter()
        .zip(&names)
        .map(|(clone, name)| clone.command("git").args(["deploy-state", "set", "deployable", name]).start())
        .collect();
    for run in running {
        run.wait().success();
    }
    let list = team.remote.deploy("deploy-state", &["list", "--porcelain", "--state=deployable"]);
    assert_eq!(list.lines().len(), CLONES, "{list}");
    team.remote.fsck();
}

#[test]
fn writers_in_one_clone_publish_all_that_they_set() {
    const WRITERS: usize = 6;
    let team = Team::new();
    let names: Vec<String> = (0..WRITERS).map(|number| format!("b{number}")).collect();
    names.iter().for_each(|name| drop(team.pushed(name)));
    let running: Vec<_> = names
        .iter()
        .map(|name| team.ada.command("git").args(["deploy-state", "set", "deployable", name]).start())
        .collect();
    for run in running {
        run.wait().success();
    }
    let list = team.remote.deploy("deploy-state", &["list", "--porcelain", "--state=deployable"]);
    assert_eq!(list.lines().len(), WRITERS, "{list}");
    team.ada.has_no_lock_files();
}

#[test]
fn a_dry_run_says_what_would_be_exchanged_and_changes_nothing_that_is_ours() {
    let team = Team::new();
    team.pushed("a");
    branch(&team.ada, "b");
    let grace = team.remote.clone_to("grace");
    grace.deploy("deploy-state", &["set", "staged", "a"]);
    tag(&grace, "deployment-0001");
    grace.deploy("deploy-sync", &[]).stderr_contains("Pushed tag 'deployment-0001' to 'origin'");
    team.ada.deploy("deploy-state", &["set", "deployable", "b"]);
    tag(&team.ada, "deployment-0002");
    claim(&team.ada, "deployment-0002");
    let (ours, theirs) = (team.ada.id("refs/notes/deploy"), team.remote.refs());
    let mine = team.ada.refs();
    team.ada.deploy("deploy-sync", &["--dry-run"]).stdout_is("").stderr_is(
        " Would merge 1 state of 'origin'\n Would merge tag 'deployment-0001' of 'origin'\n  \
         Would push 1 state to 'origin'\n  Would push tag 'deployment-0002' to 'origin'\n",
    );
    assert_eq!((team.ada.id("refs/notes/deploy"), team.remote.refs()), (ours, theirs));
    let is_tag = |(name, _): &(&String, &String)| name.starts_with("refs/tags/");
    assert_eq!(mine.iter().filter(is_tag).count(), team.ada.refs().iter().filter(is_tag).count());
    team.ada.deploy("deploy-sync", &[]);
    assert!(team.ada.refs().contains_key("refs/tags/deployment-0001"));
    assert!(team.remote.refs().contains_key("refs/tags/deployment-0002"));
    team.ada.deploy("deploy-sync", &["-n"]).stderr_is("note: nothing to exchange with 'origin'\n");
}

/// The claim of such a tag, with its verdict: a server that has deployments takes no other late tag.
fn claim(repo: &Repo, name: &str) {
    let commit = repo.id("origin/master");
    let message = format!(
        "{name}: finished\n\nphase: finished\nenvironment: demo\ncandidate: {commit}\napproved: {commit}\n\
         base: {commit}\nstarted: 2026-11-20T12:00:00Z\nby: Ada\nrun: 0f\nresult: failure\n"
    );
    let tree = format!("{commit}^{{tree}}");
    let made = repo.git(&["commit-tree", &tree, "-p", &commit, "-m", &message]);
    repo.git(&["update-ref", &format!("refs/deploy/attempts/{name}"), made.line()]);
}

fn tag(repo: &Repo, name: &str) {
    let commit = repo.id("origin/master");
    let message = format!(
        "Failed Deployment\n\nEnvironment: demo\nCommit: {commit}\nStarted: 2026-11-20T12:00:00Z\n\
         Finished: 2026-11-20T12:01:00Z\nResult: failure\n"
    );
    repo.git(&["tag", "-a", "-m", &message, name, &commit]);
}

#[test]
fn without_a_remote_there_is_nothing_to_exchange_with() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit_empty("Begin");
    repo.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("fatal: there is no remote to exchange states with")
        .stderr_contains("hint: add one with 'git remote add origin <url>'");
    repo.try_deploy("deploy-sync", &["--", "-x"]).code_is(128).stderr_contains("there is no remote '-x'");
    let remote = sandbox.bare("remote.git");
    repo.add_remote("backup", &remote);
    repo.try_deploy("deploy-sync", &["origin"]).code_is(128).stderr_contains("hint: there are: backup");
    repo.set_config("deploy.remote", "nowhere");
    repo.try_deploy("deploy-sync", &[]).code_is(128).stderr_contains("'deploy.remote' names 'nowhere'");
    repo.deploy("deploy-sync", &["backup"]);
}

#[test]
fn only_what_really_comes_and_goes_is_counted() {
    let team = Team::new();
    team.pushed("login");
    let nothing = "note: nothing to exchange with 'origin'\n";
    // A decision on what a rebase made leaves the note of the old commits as it was.
    team.ada.deploy("deploy-state", &["set", "staged", "login"]);
    team.ada.commit("more.txt", "x\n", "Go on");
    team.ada.git(&["push", "--quiet", "origin", "master"]);
    team.ada.deploy("deploy-rebase", &[]);
    team.ada.git(&["push", "--quiet", "--force", "origin", "login"]);
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    team.ada.deploy("deploy-sync", &[]).stderr_is(nothing);
    let grace = team.remote.clone_to("grace");
    grace.deploy("deploy-sync", &["-n"]).stderr_is(" Would merge 2 states of 'origin'\n");
    grace.deploy("deploy-sync", &[]).stderr_is("      Merged 2 states of 'origin'\n");
    grace.deploy("deploy-sync", &[]).stderr_is(nothing);

    // A note that was taken away goes there once, and comes to others once.
    team.ada.git(&["notes", "--ref=deploy", "remove", "origin/login"]);
    team.ada.deploy("deploy-sync", &["-n"]).stderr_is("  Would push 1 state to 'origin'\n");
    team.ada.deploy("deploy-sync", &[]).stderr_is("      Pushed 1 state to 'origin'\n");
    team.ada.deploy("deploy-sync", &[]).stderr_is(nothing);
    grace.deploy("deploy-sync", &[]).stderr_is("      Merged 1 state of 'origin'\n");
    grace.deploy("deploy-sync", &[]).stderr_is(nothing);
    assert_eq!(grace.id("refs/notes/deploy"), team.remote.id("refs/notes/deploy"));
}

#[test]
fn a_note_that_nobody_can_read_is_named_when_it_is_published() {
    let team = Team::new();
    let (bad, good) = (team.pushed("bad"), team.pushed("good"));
    team.ada.set_config("deploy.publish", "false");
    team.ada.deploy("deploy-state", &["set", "staged", "good"]);
    team.ada.git(&["notes", "--ref=deploy", "add", "--message", "state: redy", &bad]);
    let told = format!("warning: 'bad' counts as in development: note on commit '{bad}' is malformed");
    team.ada.deploy("deploy-sync", &["--dry-run"]).stderr_contains(&told);
    team.ada
        .deploy("deploy-sync", &[])
        .stderr_contains("Pushed 2 states to 'origin'\n")
        .stderr_contains(&told)
        .stderr_contains("hint: ");
    assert!(team.remote.notes()[&good].starts_with("state: staged\n"));
    team.ada.deploy("deploy-sync", &[]).lacks("malformed");
}

#[test]
fn that_states_were_never_fetched_is_said_once_they_could_have_been() {
    let team = Team::new();
    team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let grace = team.remote.clone_to("grace");
    grace.deploy("deploy-init", &["--quiet"]);
    for arguments in [&["list"][..], &["get", "login"]] {
        grace
            .deploy("deploy-state", arguments)
            .stdout_contains("development")
            .stderr_contains("note: states of 'origin' were never fetched\n")
            .stderr_contains("hint: get them with: git deploy-sync\n");
    }
    grace.deploy("deploy-sync", &[]);
    state_is(&grace, "login", "deployable");
    grace.deploy("deploy-state", &["list"]).lacks("never fetched");
    // Neither is anything said where there were none when somebody looked.
    team.remote.git(&["update-ref", "-d", "refs/notes/deploy"]);
    let eve = team.remote.clone_to("eve");
    eve.deploy("deploy-state", &["list"]).stderr_contains("never fetched");
    eve.deploy("deploy-sync", &[]);
    eve.deploy("deploy-state", &["list"]).lacks("never fetched");
}

#[test]
fn an_empty_remote_is_no_error() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit_empty("Begin");
    repo.add_remote("origin", &sandbox.bare("remote.git"));
    repo.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
    repo.branch("login");
    repo.commit("b.txt", "b\n", "Log in");
    repo.try_deploy("deploy-state", &["set", "deployable"])
        .code_is(128)
        .stderr_contains("fatal: base branch 'master' is not there")
        .stderr_contains("git push -u origin master");
}

#[test]
fn ctrl_c_while_a_state_is_published_says_that_it_is_set() {
    let shop = Shop::with_remote(&sandbox!());
    shop.branch("login", "login.txt", "hello\n");
    let asked = shop.repo.path().with_extension("asked");
    shop.authority().install_hook("pre-receive", &format!(": >'{}'; sleep 1", asked.display()));
    let mut running = shop.repo.command("git-deploy-state").args(["set", "deployable", "login"]).start();
    running.wait_for_file(&asked);
    running.interrupt();
    running.wait().code_is(130).stderr_contains("interrupted: the state is set, but could not be published");
    shop.authority().remove_hook("pre-receive");
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(shop.state("login"), "deployable");
    shop.repo.has_no_lock_files();
}
