//! States on the remote that somebody has forced back, deleted or replaced: nothing is published over them, and nothing of
//! ours is lost, until somebody says how to go on.

use std::fs;

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Format, Output, left_out};

use crate::Team;

const NOTES: &str = "refs/notes/deploy";

/// A team in which Ada has published two decisions. Returns the states on the remote after the first and after the second.
fn decided() -> (Team, String, String) {
    let team = Team::new();
    team.pushed("login");
    team.pushed("basket");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let first = team.remote.id(NOTES);
    team.ada.deploy("deploy-state", &["set", "deployable", "basket"]);
    let second = team.remote.id(NOTES);
    (team, first, second)
}

/// No command of Ada's publishes anything, and all say why; what she decides is kept. Returns what `deploy-sync` says.
fn stops(team: &Team, what: &str) -> Output {
    let there = team.remote.tip(NOTES);
    let ours = team.ada.id(NOTES);
    team.ada.try_deploy("deploy-sync", &["--dry-run"]).code_is(128).stderr_contains(what);
    let said = team.ada.try_deploy("deploy-sync", &[]);
    said.code_is(128).stderr_contains(what).stderr_contains("git deploy-sync --restore origin");
    // It is no matter who has fetched it.
    team.ada.git(&["fetch", "--quiet", "--prune"]);
    team.ada.try_deploy("deploy-sync", &[]).code_is(128).stderr_contains(what);
    assert_eq!(team.ada.id(NOTES), ours);

    team.ada
        .try_deploy("deploy-state", &["set", "staged", "login"])
        .code_is(75)
        .stderr_contains("error: the state is set, but could not be published: ")
        .stderr_contains(what)
        .lacks("git deploy-sync\n");
    state_is(&team.ada, "login", "staged");
    team.ada.install_hook("pre-push", "exec git-deploy-hook pre-push \"$@\"");
    team.ada.git(&["push", "--quiet", "origin", "master:more"]).stderr_contains(what);
    team.ada.remove_hook("pre-push");
    team.ada.git(&["push", "--quiet", "origin", ":more"]);
    assert_eq!(team.remote.tip(NOTES), there, "nothing of theirs is overwritten");
    said
}

/// What was decided everywhere is there again.
fn is_whole(team: &Team) {
    for repo in [&team.ada, &team.remote] {
        state_is(repo, "login", "staged");
        state_is(repo, "basket", "deployable");
        repo.fsck();
    }
    team.ada.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
}

#[test]
fn states_that_were_set_back_are_told_and_can_be_restored() {
    let (team, first, second) = decided();
    team.remote.git(&["update-ref", NOTES, &first]);
    let said = stops(&team, "the states on remote 'origin' were set back from '");
    said.stderr_contains(&format!("from '{}' to '{}'", &second[..10], &first[..10]))
        .stderr_contains("hint: nothing is lost: all that was there is here, 1 of it only here\n");
    team.ada
        .deploy("deploy-sync", &["--restore", "--dry-run"])
        .stderr_contains("Would push 2 states to 'origin'");
    team.ada.deploy("deploy-sync", &["--restore"]).stderr_contains("Pushed 2 states to 'origin'");
    is_whole(&team);
}

#[test]
fn whoever_publishes_later_is_told_how_where_states_were_set_back_meanwhile() {
    let (team, first, _) = decided();
    team.remote.git(&["update-ref", NOTES, &first]);
    team.ada.git(&[
        "fetch",
        "--quiet",
        "origin",
        "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
    ]);
    let says_how = |said: &Output| {
        said.stderr_contains("the states on remote 'origin' were set back from '")
            .stderr_contains("git deploy-sync --restore origin\n")
            .lacks("git deploy-sync\n");
    };
    crate::branch(&team.ada, "mine");
    says_how(&team.ada.deploy("deploy-state", &["set", "staged", "mine"]));
    team.ada.set_config("deploy.publish", "false");
    says_how(&team.ada.deploy("deploy-state", &["set", "staged", "login"]));
    team.ada.deploy("deploy-sync", &["--restore"]);
    is_whole(&team);
}

#[test]
fn a_clone_that_knew_more_than_who_restored_restores_the_rest() {
    let (team, first, second) = decided();
    let grace = team.remote.clone_to("grace");
    grace.deploy("deploy-sync", &[]);
    grace.deploy("deploy-state", &["set", "staged", "login"]);
    // Ada has not seen Grace's decision when all are gone.
    assert_eq!(team.ada.id(NOTES), second);
    team.remote.git(&["update-ref", "-d", NOTES]);
    team.ada.deploy("deploy-sync", &["--restore"]);
    state_is(&team.remote, "login", "deployable");
    assert_ne!(team.remote.id(NOTES), first);
    grace
        .try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("hint: nothing is lost: all that was there is here, 1 of it only here\n")
        .stderr_contains("git deploy-sync --restore origin");
    grace.deploy("deploy-sync", &["--restore"]);
    team.ada.deploy("deploy-sync", &[]);
    is_whole(&team);
    grace.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
}

#[test]
fn states_that_were_set_back_can_be_taken_as_they_are() {
    let (team, first, _) = decided();
    team.remote.git(&["update-ref", NOTES, &first]);
    let said = team.ada.try_deploy("deploy-sync", &[]);
    let hint = said
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: or give up what is here for what is there: "));
    let words: Vec<&str> = hint.expect("it is told").split(' ').collect();
    team.ada.command(words[0]).args(&words[1..]).output().success();
    team.ada.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
    state_is(&team.ada, "basket", "development");
    assert_eq!((team.ada.id(NOTES), team.remote.id(NOTES)), (first.clone(), first));
    // From there on all goes as ever.
    team.ada.deploy("deploy-state", &["set", "staged", "basket"]);
    state_is(&team.remote, "basket", "staged");
}

#[test]
fn states_that_were_deleted_are_told_and_can_be_restored() {
    let (team, ..) = decided();
    team.remote.git(&["update-ref", "-d", NOTES]);
    stops(&team, "the states on remote 'origin' were deleted: they stood at '")
        .stderr_contains("hint: nothing is lost: all that was there is here, 2 of it only here\n");
    team.ada.deploy("deploy-sync", &["--restore"]);
    is_whole(&team);
}

#[test]
fn states_that_were_replaced_by_others_are_told_and_both_can_be_kept() {
    let (team, ..) = decided();
    let eve = team.remote.clone_to("eve");
    eve.git(&[
        "notes",
        "--ref=deploy",
        "add",
        "-m",
        "state: staged\nref: refs/heads/coupon",
        "origin/master",
    ]);
    eve.git(&["push", "--quiet", "--force", "origin", NOTES]);
    let foreign = eve.id(NOTES);
    stops(&team, "the states on remote 'origin' were replaced: '");
    team.ada.deploy("deploy-sync", &["--restore"]);
    is_whole(&team);
    assert_eq!(team.remote.notes().len(), 3);
    team.remote.git(&["merge-base", "--is-ancestor", &foreign, NOTES]);
    // Whoever had only the others goes on with both.
    eve.deploy("deploy-sync", &[]);
    state_is(&eve, "basket", "deployable");
}

#[test]
fn that_their_history_was_rewritten_here_is_not_said_of_the_remote() {
    let (team, _, second) = decided();
    let tree = format!("{NOTES}^{{tree}}");
    let rewritten = team.ada.git(&["commit-tree", &tree, "-m", "All in one"]).line().to_owned();
    for name in [NOTES, "refs/deploy-seen/origin/notes"] {
        team.ada.git(&["update-ref", name, &rewritten]);
    }
    let give_up = format!("git update-ref {NOTES} {second} {rewritten}");
    team.ada
        .try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains(&format!(
            "continue at '{}' what ours were before their history was rewritten here",
            &second[..10]
        ))
        .stderr_contains(&format!("hint: give up what is here for what is there: {give_up}\n"))
        .lacks("replaced");
    team.ada.git(&["update-ref", NOTES, &second, &rewritten]);
    team.ada.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
}

#[test]
fn what_cannot_be_states_is_told_and_replaced_only_as_it_was_found() {
    let (team, ..) = decided();
    let blob = team.remote.command("git").args(["hash-object", "-w", "--stdin"]).stdin("garbage").output();
    team.remote.git(&["update-ref", NOTES, blob.line()]);
    stops(&team, "the states on remote 'origin' cannot be read: 'refs/notes/deploy' there is a blob");
    team.ada.deploy("deploy-state", &["list"]);
    // Between our look and our push somebody else puts something there.
    let other = team.remote.command("git").args(["hash-object", "-w", "--stdin"]).stdin("other").output();
    let hook = format!(
        "[ -e done ] || env -u GIT_QUARANTINE_PATH git update-ref {NOTES} {} && : >done",
        other.line()
    );
    team.remote.install_hook("pre-receive", &hook);
    team.ada.try_deploy("deploy-sync", &["--restore"]).code_is(128).stderr_contains("there is a blob");
    assert_eq!(team.remote.id(NOTES), other.line());
    team.ada.deploy("deploy-sync", &["--restore"]);
    is_whole(&team);
}

#[test]
fn garbage_where_the_states_were_loses_nothing_here() {
    if Format::of_run().reftable {
        left_out!("there is no file for a ref in which garbage could stand");
    }
    let (team, ..) = decided();
    team.remote.write(NOTES, "no id at all\n");
    let ours = team.ada.id(NOTES);
    let said = team.ada.try_deploy("deploy-sync", &[]);
    assert!(matches!(said.code, Some(75 | 128)), "{said}");
    assert_eq!(team.ada.id(NOTES), ours);
    fs::remove_file(team.remote.path().join(NOTES)).unwrap();
    team.ada.deploy("deploy-sync", &["--restore"]);
    state_is(&team.remote, "basket", "deployable");
}

#[test]
fn a_clone_that_never_saw_the_states_takes_what_there_is() {
    let (team, first, _) = decided();
    team.remote.git(&["update-ref", NOTES, &first]);
    let grace = team.remote.clone_to("grace");
    grace.deploy("deploy-sync", &[]);
    state_is(&grace, "login", "deployable");
    // What she decides then does not continue what Ada has seen; Ada restores, and nobody has lost anything.
    grace.deploy("deploy-state", &["set", "staged", "login"]);
    stops(&team, "were replaced: '");
    team.ada.deploy("deploy-sync", &["--restore"]);
    is_whole(&team);
    grace.deploy("deploy-sync", &[]);
    state_is(&grace, "basket", "deployable");
}

#[test]
fn a_fetch_that_comes_late_is_not_taken_for_states_that_were_set_back() {
    let (team, first, second) = decided();
    team.ada.git(&["update-ref", "refs/notes/deploy-remote/origin/deploy", &first]);
    team.ada.deploy("deploy-state", &["set", "staged", "login"]);
    team.remote.git(&["merge-base", "--is-ancestor", &second, NOTES]);
    state_is(&team.remote, "login", "staged");
}

#[test]
fn what_was_just_published_has_been_seen_whoever_follows_the_push() {
    // A refspec of the user's own, or of deploy-init, lets git itself write down what it pushed.
    for refspec in [None, Some("+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*")] {
        let team = Team::new();
        team.pushed("login");
        team.pushed("basket");
        if let Some(refspec) = refspec {
            team.ada.git(&["config", "--add", "remote.origin.fetch", refspec]);
        }
        team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
        let first = team.remote.id(NOTES);
        assert_eq!(team.ada.id("refs/deploy-seen/origin/notes"), first);
        team.remote.git(&["update-ref", "-d", NOTES]);
        stops(&team, &format!("were deleted: they stood at '{}'", &first[..10]));
        team.ada.deploy("deploy-sync", &["--restore"]);

        team.ada.deploy("deploy-state", &["set", "deployable", "basket"]);
        let (before, last) = (team.remote.id(&format!("{NOTES}^")), team.remote.id(NOTES));
        team.remote.git(&["update-ref", NOTES, &before]);
        stops(&team, &format!("were set back from '{}' to '{}'", &last[..10], &before[..10]));
        team.ada.deploy("deploy-sync", &["--restore"]);
        is_whole(&team);
    }
}

#[test]
fn what_the_hook_has_published_has_been_seen() {
    let team = Team::new();
    team.pushed("login");
    team.ada.set_config("deploy.publish", "false");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    team.ada.deploy("deploy-init", &["--quiet"]);
    team.ada.git(&["push", "--quiet", "origin", "login:further"]);
    let there = team.remote.id(NOTES);
    assert_eq!(team.ada.id("refs/deploy-seen/origin/notes"), there);
}

#[test]
fn nothing_more_is_said_than_what_is_known_of_states_that_were_given_up() {
    let (team, ..) = decided();
    let blob = team.remote.command("git").args(["hash-object", "-w", "--stdin"]).stdin("garbage").output();
    team.remote.git(&["update-ref", NOTES, blob.line()]);
    team.ada.git(&["update-ref", "-d", NOTES]);
    team.ada.try_deploy("deploy-state", &["set", "staged", "login"]).code_is(75);
    team.ada
        .try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("there is a blob")
        .stderr_contains("hint: what is there cannot be read, so nobody knows what it had: here is 1 state\n")
        .lacks("nothing is lost");
}

#[test]
fn states_of_ours_that_are_none_are_told_by_whoever_asks_the_remote_first() {
    let (team, ..) = decided();
    let blob = team.ada.command("git").args(["hash-object", "-w", "--stdin"]).stdin("garbage").output();
    team.ada.git(&["update-ref", NOTES, blob.line()]);
    for command in ["deploy-rebase", "deploy-sync"] {
        let output = team.ada.try_deploy(command, &[]);
        output.code_is(128).stderr_contains("'refs/notes/deploy' cannot be used").lacks("merge-base");
        output
            .stderr_contains("hint: lead it back to where it was before: git update-ref refs/notes/deploy ");
    }
}

#[test]
fn a_fetch_that_throws_states_away_is_pointed_out_with_how_to_end_it() {
    let team = Team::new();
    let refspec = "+refs/notes/*:refs/notes/*";
    team.ada.git(&["config", "--add", "remote.origin.fetch", refspec]);
    let pointed_out = "warning: each 'git fetch' throws away the states that are not published, by \
                       remote.origin.fetch = +refs/notes/*:refs/notes/*\n";
    team.ada.deploy("deploy-init", &[]).stderr_contains(pointed_out);
    team.pushed("login");
    let set = team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    set.stderr_contains(pointed_out);
    team.ada.deploy("deploy-state", &["list"]).stderr_contains(pointed_out);
    team.ada.deploy("deploy-sync", &[]).stderr_contains(pointed_out);
    let hint = set.stderr.lines().find_map(|line| line.strip_prefix("hint: take that out with: "));
    team.ada.command("sh").args(["-c", hint.expect("it says how to end it")]).output().success();
    team.ada.deploy("deploy-state", &["list"]).lacks("throws away");
    assert!(team.ada.git(&["config", "--get-all", "remote.origin.fetch"]).stdout.contains("refs/heads/*"));
}

#[test]
fn what_a_fetch_has_thrown_away_is_merged_back() {
    let team = Team::new();
    team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let bob = team.remote.clone_to("bob");
    bob.git(&["branch", "--quiet", "login", "origin/login"]);
    bob.deploy("deploy-sync", &[]);
    team.ada.set_config("deploy.publish", "false");
    team.ada.deploy("deploy-state", &["set", "development", "login"]);
    team.ada.set_config("deploy.publish", "true");
    bob.git(&["fetch", "--quiet"]);
    bob.deploy("deploy-state", &["set", "deployable", "--priority=2", "login"]);
    team.ada.git(&["fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*"]);
    // By hand that is somebody's wish.
    team.ada.deploy("deploy-sync", &[]).lacks("merged back");
    team.ada.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n");
    team.ada.git(&["config", "--add", "remote.origin.fetch", "+refs/notes/*:refs/notes/*"]);
    let told = "note: what 'git fetch' had thrown away of the states here is merged back\n";
    team.ada.deploy("deploy-sync", &[]).stderr_contains(told);
    team.ada.deploy("deploy-state", &["get", "login"]).stdout_is("development\n");
    team.ada.deploy("deploy-sync", &[]).lacks("merged back");
    bob.deploy("deploy-sync", &[]);
    bob.deploy("deploy-state", &["get", "login"]).stdout_is("development\n");
}

#[test]
fn a_ref_of_states_that_was_led_to_the_project_is_not_published_and_comes_back_as_is_said() {
    let team = Team::new();
    let login = team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let (noted, before) = (team.remote.notes(), team.remote.id("refs/notes/deploy"));
    team.ada.git(&["update-ref", "refs/notes/deploy", "HEAD"]);
    team.ada
        .try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("fatal: 'refs/notes/deploy' holds '")
        .stderr_contains(
            "which is no note\nhint: find the last commit with states in 'git reflog refs/notes/deploy'",
        );
    assert_eq!((team.remote.notes(), team.remote.id("refs/notes/deploy")), (noted, before.clone()));
    team.ada.git(&["reflog", "refs/notes/deploy"]).stdout_contains(&before[..7]);
    team.ada.git(&["update-ref", "refs/notes/deploy", &before]);
    team.ada.deploy("deploy-sync", &[]);
    assert!(team.remote.notes()[&login].starts_with("state: deployable\n"));
}
