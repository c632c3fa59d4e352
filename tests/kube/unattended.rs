//! Runners that nobody looks after: several work one queue off, and are killed again and again.

use std::fs;
use std::thread;
use std::time::Duration;

use git_deploy_testkit::shop::in_cluster;
use git_deploy_testkit::{HttpServer, Output, Repo, Running, SshServer, Victim, cluster, sandbox};
use serde_json::json;

use crate::support::{behaving, config_map, deployment, yaml};

/// How many branches of each sort there are, unless somebody asks for more: of seven four are good.
const ROUNDS: usize = 1;

/// A branch that only itself is to blame for.
const MALFORMED: &str = "kind: [\n";

fn rounds() -> usize {
    std::env::var("GIT_DEPLOY_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn runner(clone: &Repo) -> Running {
    clone.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start()
}

/// Kills a runner, and what deploys for it; what has been told to git by then goes on.
fn kill(runner: Running) -> Output {
    let id = runner.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        // One that has ended meanwhile is killed already.
        drop(std::process::Command::new("kill").args(["-KILL", child]).output());
    }
    runner.kill(Victim::Process)
}

#[test]
fn runners_that_are_killed_again_and_again_land_what_is_good_in_its_order() {
    let cluster = cluster!();
    let settings = "crash-grace = \"1s\"\ntimeout = \"60s\"";
    let shop = in_cluster(cluster, "unattended")
        .setting(settings)
        .file("deploy/base.yaml", yaml(&[config_map("base", "1")]))
        .with_remote(&sandbox!());
    let (mut good, mut aside) = (Vec::new(), Vec::new());
    let release = |name: &str, path: &str, text: &str, count: usize| {
        shop.release(name, &[(path, text)]);
        // What is made within a second of something else has no order of its own.
        let priority = format!("--priority=-{count}");
        shop.repo.deploy("deploy-state", &["set", "deployable", &priority, name]);
    };
    for round in 0..rounds() {
        let name = |what: &str| format!("{what}-{round}");
        let (shared, first) = (format!("shared-{round}.txt"), name("first"));
        let map = |what: &str| yaml(&[config_map(&name(what), "1")]);
        let crashing = yaml(&[behaving(deployment(&name("web"), "1"), "waiting", json!({}))]);
        let mut count = 7 * round;
        let mut next = |name: &str, path: &str, text: &str| {
            count += 1;
            release(name, path, text, count);
        };
        next(&first, &shared, "first\n");
        next(&name("conflicts"), &shared, "other\n");
        next(&name("second"), &format!("deploy/second-{round}.yaml"), &map("second"));
        next(&name("malformed"), "deploy/malformed.yaml", MALFORMED);
        next(&name("third"), &format!("deploy/third-{round}.yaml"), &map("third"));
        next(&name("crashes"), "deploy/crashes.yaml", &crashing);
        next(&name("fourth"), &format!("deploy/fourth-{round}.yaml"), &map("fourth"));
        good.extend([first, name("second"), name("third"), name("fourth")]);
        aside.extend(
            [("conflicts", "broken"), ("malformed", "staged"), ("crashes", "staged")]
                .map(|(what, state)| (name(what), state.to_owned())),
        );
    }

    let clones = ["one", "two", "three"].map(|name| shop.authority().clone_to(name));
    // Two of them reach the remote as they would at home, where there are programs that serve it.
    let (ssh, http) = (SshServer::start(shop.repo.sandbox()), HttpServer::start(shop.repo.sandbox()));
    ssh.iter().for_each(|server| server.serve(shop.authority(), &clones[1]));
    http.iter().for_each(|server| server.serve(shop.authority(), &clones[2]));
    let mut runners: Vec<(&Repo, Running)> = clones.iter().map(|clone| (clone, runner(clone))).collect();
    let is_over = || {
        let last = good.last().expect("there is one");
        let subjects = shop.authority().git(&["log", "--format=%s", "-1", "master"]).stdout;
        subjects.trim_end() == format!("Release {last}")
    };
    let mut killed = Vec::new();
    while !is_over() {
        let kills = killed.len();
        assert!(kills < 60 * rounds(), "they come to no end: {}", killed.join("\n"));
        // Of many moments each is met by somebody, and nobody is killed before it has done something.
        thread::sleep(Duration::from_millis(1500 + 370 * u64::try_from(kills % 5).unwrap_or_default()));
        let (clone, oldest) = runners.remove(0);
        killed.push(kill(oldest).stderr);
        runners.push((clone, runner(clone)));
    }
    for (_, running) in &mut runners {
        running.terminate();
    }
    runners.into_iter().for_each(|(_, running)| drop(running.wait()));
    let ended = shop.repo.try_deploy("deploy-queue", &["run"]);
    assert!([Some(0), Some(1)].contains(&ended.code), "{ended}");

    let subjects = shop.authority().git(&["log", "--reverse", "--format=%s", "master"]).stdout;
    let landed: Vec<&str> = subjects.lines().filter_map(|line| line.strip_prefix("Release ")).collect();
    assert_eq!(landed, good, "{ended}");
    let states: Vec<_> = aside.iter().map(|(name, _)| (name.clone(), shop.state(name))).collect();
    assert_eq!(states, aside, "{ended}");
    let tags = shop.authority().git(&["tag", "--list", "deployment-*"]).lines().len();
    let successes = (1..=tags).filter(|n| {
        let tag = shop.tag(&format!("deployment-{n:04}"));
        tag.starts_with("Successfully Deployed\n")
    });
    assert_eq!(successes.count(), good.len(), "each once, and no number left out");
    assert_eq!(shop.standing().len(), 1 + 3 * rounds(), "{:#?}", shop.standing());
    shop.is_sound();
}
