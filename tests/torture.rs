//! Notes that many write at once, and that writers die at: the short form. The long one is `cargo xtask torture notes`.

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
    torture::kill_writers(&sandbox!(), 60, |_| ());
}

#[test]
fn sweeps_that_die_lose_nothing_and_hinder_nobody() {
    torture::kill_sweeps(&sandbox!(), 30, |_| ());
}
