//! Deployment tags, claims, locks and what was applied: written as git-deploy writes them, and never taken back.

use std::fmt::Write as _;

use git_deploy_testkit::sandbox;

use crate::scene::{BRANCH, Claim, Scene, verdict};

#[test]
fn a_deployment_tag_is_made_once_and_for_ever() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    scene.tag("deployment-0001", &commit, &verdict(&commit, "failure"));
    scene.tag("deployment-demo-0001", &commit, &verdict(&commit, "aborted"));
    scene.takes(&["deployment-0001", "deployment-demo-0001"]);
    for tag in ["deployment-0001", "deployment-demo-0001"] {
        scene.refuses(&[&format!(":refs/tags/{tag}")], "it is never deleted");
        scene.tag(tag, &commit, &verdict(&commit, "success"));
        scene.refuses(&["--force", tag], "it stands, and is never moved");
    }
    scene.repo.git(&["tag", "v1"]);
    scene.takes(&["v1"]);
    scene.takes(&[":refs/tags/v1"]);
}

#[test]
fn a_verdict_comes_with_the_claim_that_it_ends() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let seen = scene.claimed("deployment-0001", &commit);
    let late = Claim::new(&scene, "deployment-0002", &commit);
    for result in ["failure", "success"] {
        let tag = late.tagged(result);
        scene.refuses(&[&tag], "deployment-0002 was never claimed here");
        scene.refuses(&[&tag, &late.moved("claimed")], "deployment-0002 was never claimed here");
    }
    // A success that nobody saw coming may be made up; a failure lands nothing.
    let tag = late.tagged("success");
    scene.refuses(&[&tag, &late.finished("success")], "was not claimed here before it succeeded");
    let tag = late.tagged("failure");
    scene.refuses(&[&tag, &late.finished("success")], "deployment-0002 was never claimed here");
    scene.takes(&[&tag, &late.finished("failure")]);
    let tag = seen.tagged("success");
    scene.refuses(&[&tag, &seen.finished("success")], "was claimed before this push, and has to be verified");
}

#[test]
fn a_success_that_lands_comes_with_the_move_of_base() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let (tag, attempt) = (claim.tagged("success"), claim.finished("success"));
    for push in [vec![&*tag, &attempt], vec![&tag, &attempt, "refs/notes/deploy"]] {
        scene.refuses(&push, "it says that '");
        scene.refuses(&push, "has landed, and base does not have that commit");
    }
    scene.takes(&["--atomic", &claim.base(), &tag, &attempt, "refs/notes/deploy"]);
}

#[test]
fn a_ledger_that_was_kept_elsewhere_comes_as_it_is_to_a_server_that_has_none() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let (old, commit) = (scene.server.id("refs/heads/master"), scene.approved());
    scene.tag("deployment-0001", &commit, &verdict(&commit, "success"));
    scene.refuses(&["deployment-0001"], "base does not have that commit");
    scene.tag("deployment-0001", &old, &verdict(&old, "success"));
    scene.tag("deployment-0002", &commit, &verdict(&commit, "failure"));
    scene.server.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    scene.refuses(&["deployment-0001", "deployment-0002"], "base is not there yet, and comes first");
    scene.takes(&["deployment-0001", "deployment-0002", "master:main"]);
    scene.tag("deployment-0003", &old, &verdict(&old, "failure"));
    scene.refuses(&["deployment-0003"], "deployment-0003 was never claimed here");
}

#[test]
fn a_number_is_not_far_above_the_highest() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let far = Claim::new(&scene, "deployment-4294967295", &commit);
    let tag = far.tagged("failure");
    scene.refuses(&[&tag], "numbers are counted, and the highest before it is 0");
    scene.refuses(&[&far.moved("claimed")], "numbers are counted");
    scene.claimed("deployment-0007", &commit);
    scene.refuses(&[&tag, &far.finished("failure")], "the highest before it is 7");
    let near = Claim::new(&scene, "deployment-1007", &commit);
    scene.refuses(&[&near.moved("claimed"), &far.moved("claimed")], "the highest before it is 7");
    scene.refuses(&[&Claim::new(&scene, "deployment-1008", &commit).moved("claimed")], "numbers are counted");
    scene.takes(&[&near.moved("claimed")]);
    let below = Claim::new(&scene, "deployment-0003", &commit);
    scene.takes(&[&below.moved("claimed")]);
}

#[test]
fn a_tag_that_is_not_written_as_the_ledger_writes_it_is_refused() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let (commit, before) = (scene.repo.commit("a", "a\n", "One"), scene.server.id("refs/heads/master"));
    let message = verdict(&commit, "success");
    let push = |words: &str| scene.refuses(&["--force", "refs/tags/deployment-0001"], words);
    scene.repo.git(&["tag", "deployment-0001"]);
    push("it is no annotated tag");
    scene.tag("deployment-0001", &commit, "Successfully Deployed\n");
    push("it has no line 'Result:'");
    scene.tag("deployment-0001", &before, &message);
    push("it stands on another commit than it names");
    scene.tag("deployment-0001", &commit, &message.replace("Successfully", "Happily"));
    push("its first line is not the verdict");
    scene.tag("deployment-0002", &commit, &message);
    scene.refuses(&["refs/tags/deployment-0002:refs/tags/deployment-0001"], "it was made under another name");
    scene.tag("deployment-staging-0001", &commit, &message);
    scene.refuses(&["refs/tags/deployment-staging-0001"], "its name is that of another environment");
    for odd in ["deployment-1", "deployment-0001/x", "deployment-"] {
        scene.refuses(&[&format!("HEAD:refs/tags/{odd}")], "keeps such names free");
    }
}

#[test]
fn what_is_under_way_gets_its_verdict_with_the_end_of_its_claim() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    let tag = claim.tagged("failure");
    scene.refuses(&[&tag], "it is not the verdict that the claim of deployment-0001 has");
    scene.refuses(
        &[&tag, &claim.finished("aborted")],
        "it is not the verdict that the claim of deployment-0001 has",
    );
    scene.refuses(&[&claim.finished("failure")], "its tag does not come with it");
    scene.takes(&[&tag, &claim.finished("failure")]);
    scene.refuses(&[&claim.moved("verified")], "deployment-0001 has its verdict");
    scene.refuses(&[":refs/deploy/attempts/deployment-0001"], "it is never deleted");
}

#[test]
fn a_claim_stays_what_it_was_made_for() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let mut claim = scene.claimed("deployment-0001", &commit);
    scene.takes(&[&claim.moved("claimed")]);
    let text = claim.text.clone();
    for (line, other, what) in [
        ("branch: refs/heads/login", "branch: refs/heads/other", "branch"),
        ("environment: demo", "environment: other", "environment"),
        ("started: 2026-11-20T12", "started: 2026-11-20T13", "beginning"),
    ] {
        claim.text = text.replace(line, other);
        scene.refuses(&[&claim.moved("claimed")], &format!("a claim keeps its {what}"));
    }
    claim.text = text.replace("run: 0f\n", "");
    scene.refuses(&[&claim.moved("claimed")], "it cannot be read: it has no line 'run:'");
}

#[test]
fn a_new_claim_is_for_a_branch_or_for_what_was_deployed_before() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let mut claim = Claim::new(&scene, "deployment-0001", &commit);
    scene.refuses(&[&claim.moved("applying")], "and this one is applying already");
    scene.refuses(&[&claim.finished("success")], "its tag does not come with it");
    claim.text = claim.text.replace("branch: refs/heads/login\n", "");
    scene.refuses(&[&claim.moved("claimed")], "is on no branch, not on base");
    claim.text.push_str("rollback: deployment-0009\n");
    scene.refuses(&[&claim.moved("claimed")], "is on no branch, not on base");
    scene.refuses(&["HEAD:refs/deploy/attempts/deployment-0001"], "it cannot be read");
    let mut claim = Claim::new(&scene, "deployment-0001", &scene.server.id("refs/heads/master"));
    claim.text = claim.text.replace("branch: refs/heads/login\n", "");
    scene.takes(&[&claim.moved("claimed")]);
}

#[test]
fn a_new_claim_is_for_an_environment_that_base_has() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = |id: &str, environment: &str| {
        let mut claim = Claim::new(&scene, id, &commit);
        claim.text = claim.text.replace("environment: demo", &format!("environment: {environment}"));
        claim.moved("claimed")
    };
    scene.refuses(&[&claim("deployment-0001", "nope")], "has no environment 'nope'");
    scene.refuses(&[&claim("deployment-nope-0001", "nope")], "has no environment 'nope'");
    for name in ["nope", "demo"] {
        let id = format!("deployment-{name}-0001");
        scene.refuses(&[&claim(&id, "demo")], "in its environment it would be deployment-0001");
    }
    scene.takes(&[&claim("deployment-0001", "demo")]);
}

#[test]
fn a_number_that_has_its_verdict_is_not_claimed_again() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    scene.tag("deployment-0001", &commit, &verdict(&commit, "failure"));
    scene.takes(&["deployment-0001"]);
    let again = Claim::new(&scene, "deployment-0001", &commit);
    scene.refuses(&[&again.moved("claimed")], "deployment-0001 has its verdict");
    // Its claim may come later than its tag, as that of what is over.
    scene.takes(&[&again.finished("failure")]);
}

#[test]
fn a_lock_moves_with_the_claim_that_it_is_held_for() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = Claim::new(&scene, "deployment-0001", &commit);
    let name = "refs/deploy/lock/env/demo";
    let held = |ttl: u64, deployment: &str| {
        let text = format!("held by Ada\n\nrun: 0f\nby: Ada\nhost: box\npid: 7\nttl: {ttl}\n{deployment}");
        let tree = scene.repo.command("git").arg("mktree").output().line().to_owned();
        let id = scene.repo.git(&["commit-tree", &tree, "-m", &text]).line().to_owned();
        format!("+{id}:{name}")
    };
    let lock = |deployment: &str| held(60, deployment);
    let ours = lock("deployment: deployment-0001\n");
    let long = held(601, "deployment: deployment-0001\n");
    scene.refuses(&[&long, &claim.moved("claimed")], "it may stay unchanged for 601 seconds");
    scene.refuses(&[&ours], "it moves only together with the claim");
    scene.refuses(&[&lock("deployment: deployment-0002\n"), &claim.moved("claimed")], "only together");
    scene.refuses(&[&format!("HEAD:{name}"), &claim.moved("claimed")], "it cannot be read");
    scene.takes(&[&ours, &claim.moved("claimed")]);
    scene.refuses(&[&format!(":{name}")], "it moves only together with the claim");
    scene.takes(&[&format!(":{name}"), &claim.tagged("failure"), &claim.finished("failure")]);
    for odd in ["refs/deploy/lock", "refs/deploy/x", "refs/deploy/attempts/deployment-1"] {
        scene.refuses(&[&format!("HEAD:{odd}")], "keeps such names free");
    }
}

#[test]
fn a_lock_that_is_held_for_no_deployment_moves_by_itself_and_takes_none_from_a_deployment() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = Claim::new(&scene, "deployment-0001", &commit);
    let held = |name: &str, run: &str, deployment: &str| {
        let text = format!("held by Ada\n\nrun: {run}\nby: Ada\nhost: box\npid: 7\nttl: 60\n{deployment}");
        let tree = scene.repo.command("git").arg("mktree").output().line().to_owned();
        let id = scene.repo.git(&["commit-tree", &tree, "-m", &text]).line().to_owned();
        format!("+{id}:refs/deploy/lock/{name}")
    };
    let free = ":refs/deploy/lock/env/demo";
    scene.takes(&[&held("env/demo", "0f", "")]);
    scene.takes(&[&held("env/demo", "1f", "")]);
    scene.takes(&[free]);
    for other in ["base", "env/other"] {
        scene.refuses(&[&held(other, "0f", "")], "it moves only together with the claim");
    }
    // Who tidied up has died, and a deployment takes it over.
    scene.takes(&[&held("env/demo", "0f", "")]);
    scene.takes(&[&held("env/demo", "2f", "deployment: deployment-0001\n"), &claim.moved("claimed")]);
    scene.refuses(&[&held("env/demo", "0f", "")], "it moves only together with the claim");
    scene.refuses(&[free], "it moves only together with the claim");
}

#[test]
fn what_was_applied_is_kept_as_it_was() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    let kept = "refs/deploy/rendered/demo/0001";
    scene.takes(&[&format!("{commit}:{kept}"), &claim.moved("claimed")]);
    scene.refuses(&[&format!("+master:{kept}")], "it moves only together with the claim");
    scene.refuses(&[&format!(":{kept}")], "it is never deleted");
    scene.takes(&[&format!("+master:{kept}"), &claim.moved("claimed")]);
    scene.takes(&[&claim.tagged("failure"), &claim.finished("failure")]);
    scene.refuses(&[&format!("+{commit}:{kept}")], "it moves only together with the claim");
}

#[test]
fn what_was_applied_comes_with_its_claim_or_after_that() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    for other in ["demo/0002", "other/0001"] {
        let kept = format!("{commit}:refs/deploy/rendered/{other}");
        scene.refuses(&[&kept, &claim.moved("claimed")], "it moves only together with the claim");
    }
    let late = Claim::new(&scene, "deployment-0002", &commit);
    let kept = format!("{commit}:refs/deploy/rendered/demo/0002");
    scene.takes(&[&kept, &late.tagged("failure"), &late.finished("failure")]);
    scene.takes(&[&claim.tagged("failure"), &claim.finished("failure")]);
    // It is over, and has not said that this is what it applied.
    scene.refuses(&[&format!("{commit}:refs/deploy/rendered/demo/0001")], "only together with the claim");
}

#[test]
fn the_branch_of_an_environment_moves_only_forward_to_what_was_applied() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let (branch, commit) = ("refs/heads/rendered/demo", scene.approved());
    for odd in ["refs/heads/rendered", "refs/heads/rendered/demo/x"] {
        scene.refuses(&[&format!("master:{odd}")], "keeps such names free");
        // One that came before the rule is not there for ever.
        scene.server.git(&["update-ref", odd, "master"]);
        scene.takes(&[&format!(":{odd}")]);
    }
    let claim = scene.verified("deployment-0001", &commit);
    let kept = |at: &str| format!("+{at}:refs/deploy/rendered/demo/0001");
    scene.refuses(&[&format!("master:{branch}")], "has applied this");
    let stands = |at: &str| scene.refuses(&[at], "has applied this");
    // That somebody has begun to apply it is not enough, nor that it has failed.
    scene.takes(&[&kept("master"), &claim.moved("verified")]);
    stands(&format!("master:{branch}"));
    let late = Claim::new(&scene, "deployment-0002", &commit);
    let failed = format!("{commit}:refs/deploy/rendered/demo/0002");
    scene.takes(&[&failed, &late.tagged("failure"), &late.finished("failure")]);
    stands(&format!("{commit}:{branch}"));
    let forward = scene.repo.commit("a", "a\n", "By hand");
    stands(&format!("{forward}:{branch}"));
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success"), kept(&forward)];
    let landing = landing.each_ref().map(String::as_str);
    scene.takes(&[&landing[..], &["refs/notes/deploy", &format!("{forward}:{branch}")]].concat());
    scene.refuses(&[&format!("+{forward}~:{branch}")], "it moves only forward");
    scene.refuses(&[&format!(":{branch}")], "it is never deleted");
    scene.takes(&[&format!("{forward}:refs/heads/rendered/other")]);
    scene.takes(&[":refs/heads/rendered/other"]);
}

#[test]
fn what_goes_back_brings_the_files_of_what_it_goes_back_to() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let landed = scene.verified("deployment-0001", &commit);
    landed.note_deployed();
    let (branch, tag) = ("refs/heads/rendered/demo", landed.tagged("success"));
    let landing = [landed.base(), tag, landed.finished("success"), format!("{commit}:{branch}")];
    let kept = format!("{commit}:refs/deploy/rendered/demo/0001");
    let landing = landing.each_ref().map(String::as_str);
    scene.takes(&[&landing[..], &[&kept, "refs/notes/deploy"]].concat());
    let mut back = Claim::new(&scene, "deployment-0002", &commit);
    back.text = back.text.replace(&format!("branch: {BRANCH}\n"), "");
    back.text.push_str("rollback: deployment-0001\n");
    scene.takes(&[&back.moved("claimed")]);
    let made =
        |tree: &str| scene.repo.git(&["commit-tree", tree, "-p", &commit, "-m", "Back"]).line().to_owned();
    let kept = |at: &str| format!("+{at}:refs/deploy/rendered/demo/0002");
    let (evil, good) = (made(&format!("{commit}~^{{tree}}")), made(&format!("{commit}^{{tree}}")));
    scene.takes(&[&back.moved("applying"), &kept(&evil)]);
    scene.refuses(&[&format!("{evil}:{branch}")], "has applied this");
    scene.takes(&[&back.moved("verified")]);
    let (tag, finished) = (back.tagged("success"), back.finished("success"));
    scene.refuses(&[&tag, &finished, &format!("{evil}:{branch}")], "has applied this");
    scene.takes(&[&tag, &finished, &kept(&good), &format!("{good}:{branch}")]);
}

#[test]
fn what_the_client_says_that_stands_there_is_not_believed() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    scene.tag("deployment-0001", &commit, &verdict(&commit, "failure"));
    scene.takes(&["deployment-0001"]);
    let (tag, null) = (scene.server.id("refs/tags/deployment-0001"), "0".repeat(40));
    let judged =
        |lines: String| scene.server.command("git-deploy-hook").arg("pre-receive").stdin(lines).output();
    judged(format!("{null} {tag} refs/tags/deployment-0001\n"))
        .code_is(1)
        .stderr_contains("it does not stand where this push takes it to stand");
    // Of two moves of one ref the first would be made.
    let (evil, base) = (scene.repo.commit("a", "a\n", "Hurry"), "refs/heads/master");
    scene.takes(&[&format!("{evil}:refs/heads/evil")]);
    judged(format!("{commit} {evil} {base}\n{commit} {commit} {base}\n"))
        .code_is(1)
        .stderr_contains("base moves only when a deployment lands")
        .stderr_contains("it does not stand where this push takes it to stand");
    judged(format!("{null} {commit} refs/heads/other\n")).success().is_silent();
    judged("nonsense\n".to_owned()).code_is(128).stderr_contains("takes none that it cannot judge");
}

#[test]
fn an_approved_commit_is_kept_under_its_own_name_alone() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let kept = format!("refs/deploy/approved/{commit}");
    let other = scene.repo.id("master");
    scene.refuses(&[&format!("{other}:{kept}")], "git-deploy has no ref of this name");
    scene.takes(&[&format!("{commit}:{kept}")]);
    scene.refuses(&[&format!("+{other}:{kept}")], "git-deploy has no ref of this name");
    scene.takes(&["--delete", &kept]);
}

#[test]
fn thousands_of_refs_are_judged_in_one_go() {
    const MANY: u32 = 3000;
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    let message = verdict(&commit, "failure");
    let mut stream = String::new();
    for number in 1..=MANY {
        write!(
            stream,
            "reset refs/heads/many/{number}\nfrom {commit}\n\ntag deployment-{number:04}\nfrom {commit}\n\
             tagger A <a@b> 1 +0000\ndata {}\n{message}\n",
            message.len()
        )
        .expect("a string takes everything");
    }
    scene.repo.command("git").args(["fast-import", "--quiet"]).stdin(stream).output().success();
    scene.takes(&["--quiet", "refs/heads/many/*:refs/heads/many/*", "refs/tags/*:refs/tags/*"]);
    let refused = scene.push(&["--quiet", "--prune", "refs/tags/none/*:refs/tags/*"]);
    refused.code_is(1).stderr_contains(&format!("and {} more", MANY - 10));
}
