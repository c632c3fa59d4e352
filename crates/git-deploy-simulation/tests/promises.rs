//! Some stories of runners, people and faults; many more are `cargo xtask torture queue`.

use git_deploy_simulation::{Faults, Planted, Scenario, simulate};

fn is_kept(scenario: Scenario) {
    let story = simulate(scenario);
    assert!(story.outcome.is_ok(), "{:?} {scenario:?}\n{}", story.outcome, story.lines.join("\n"));
}

#[test]
fn one_runner_lands_what_is_good_where_nothing_goes_wrong() {
    is_kept(Scenario { seed: 1, runners: 1, branches: 5, faults: Faults::NONE, planted: None });
}

#[test]
fn one_seed_gives_one_story() {
    let scenario = Scenario { seed: 5, runners: 3, branches: 4, faults: Faults::MANY, planted: None };
    let [one, two] = [simulate(scenario), simulate(scenario)];
    assert_eq!(one.lines, two.lines);
}

#[test]
fn three_runners_keep_their_promises_whatever_goes_wrong() {
    for seed in 0..30 {
        is_kept(Scenario { seed, runners: 3, branches: 6, faults: Faults::MANY, planted: None });
    }
}

#[test]
fn who_waits_for_an_environment_and_loses_its_remote_does_not_go_back_over_another_one() {
    let faults = Faults { outage: 400_000, cut: 3_000, ..Faults::NONE };
    for seed in 90..115 {
        is_kept(Scenario { seed, runners: 3, branches: 4, faults, planted: None });
    }
}

#[test]
fn what_is_planted_is_found() {
    for (planted, broken) in [
        (Planted::Impatience, "changes the environment while"),
        (Planted::TornPush, "speaks of a success, and base has not its commit"),
    ] {
        let scenario =
            |seed, planted| Scenario { seed, runners: 3, branches: 4, faults: Faults::MANY, planted };
        let seed = (0..60).find(|seed| {
            let outcome = simulate(scenario(*seed, Some(planted))).outcome;
            outcome.is_err_and(|why| why.contains(broken))
        });
        let seed = seed.unwrap_or_else(|| panic!("{planted:?} was not found"));
        is_kept(scenario(seed, None));
    }
}
