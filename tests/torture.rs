//! Notes that many write at once, and that writers die at: the short form. The long ones
//! are `cargo xtask torture notes` and `sync`.

use git_deploy_testkit::{sandbox, torture};

#[test]
fn forty_writers_at_once_lose_nothing() {
    torture::write_at_once(&sandbox!(), 40, 1);
}

#[test]
fn writers_lose_nothing_while_others_tidy_up_and_write_beside_them() {
    torture::write_at_once(&sandbox!(), 8, 15);
}

#[test]
fn writers_that_die_lose_nothing_and_hinder_nobody() {
    torture::kill_writers(&sandbox!(), 30, |_| ());
}

#[test]
fn sweeps_that_die_lose_nothing_and_hinder_nobody() {
    torture::kill_sweeps(&sandbox!(), 15, |_| ());
}

#[test]
#[expect(clippy::print_stdout, reason = "the harness shows it when the test fails")]
fn ten_clones_that_sync_at_random_end_with_the_same_states_and_lose_no_decision() {
    // Another seed finds other things: GIT_DEPLOY_TORTURE_SEED=<n>, and a failure is found again by its own.
    let seed = std::env::var("GIT_DEPLOY_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(6);
    println!("seed {seed}");
    let exchange = torture::Exchange { clones: 10, changes: 40, seed };
    let decisions = torture::exchange_at_random(&sandbox!(), exchange, |_| ());
    assert!(decisions > 120, "only {decisions} decisions were made");
}
