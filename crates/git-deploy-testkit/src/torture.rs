//! Writers of notes that come all at once, and writers that die: nothing may be lost by either.
//!
//! Each function panics with what was lost. How often is the caller's to say: a few times in every run of the tests, as often
//! as one likes by `cargo xtask torture notes`.

mod clones;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Format, Output, Repo, Sandbox, Victim};

pub use clones::{Exchange, exchange_at_random};

/// How many branches writers that die work on.
const BRANCHES: u32 = 12;

/// A repository with branches that could be queued, called `b0`, `b1` and so on.
fn shop(sandbox: &Sandbox, name: &str, branches: u32) -> Repo {
    let repo = sandbox.repository(name);
    repo.commit("base.txt", "base\n", "Begin");
    for number in 0..branches {
        repo.git(&["switch", "--quiet", "--create", &branch(number), "master"]);
        repo.commit(&format!("b{number}.txt"), "x\n", &format!("Add b{number}"));
    }
    repo.switch("master");
    repo
}

fn branch(number: u32) -> String {
    format!("b{number}")
}

fn start_set(repo: &Repo, state: &str, branch: &str) -> crate::Running {
    repo.command("git-deploy-state").args(["set", "--quiet", state, branch]).start()
}

fn set_all(repo: &Repo, state: &str) {
    for number in 0..BRANCHES {
        start_set(repo, state, &branch(number)).wait().success();
    }
}

/// What a writer writes the n-th time, from 0.
fn state_of(n: u32) -> &'static str {
    ["deployable", "staged", "development"][n as usize % 3]
}

/// So many writers write so often, each to a branch of its own, while others tidy up and write beside them.
///
/// # Panics
/// If one of them fails, or if a decision or a commit of the log is not there afterwards.
pub fn write_at_once(sandbox: &Sandbox, writers: u32, times: u32) {
    let repo = shop(sandbox, "writers", writers);
    let remote = sandbox.bare("writers.git");
    repo.add_remote("elsewhere", &remote);
    repo.set_config("deploy.remote", "");
    repo.git(&["push", "--quiet", "elsewhere", "master"]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing: Vec<_> = (0..writers)
            .map(|number| {
                let repo = &repo;
                scope.spawn(move || {
                    for n in 0..times {
                        start_set(repo, state_of(n), &branch(number)).wait().success();
                    }
                })
            })
            .collect();
        scope.spawn(|| write_beside(&repo, &is_over));
        let ended: Vec<_> = writing.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    let notes = repo.notes();
    for number in 0..writers {
        let note = &notes[&repo.id(&branch(number))];
        assert!(note.starts_with(&format!("state: {}\n", state_of(times - 1))), "{note}");
        assert!(note.contains(&format!("\nrev: {times}\n")), "{times} decisions were made\n{note}");
    }
    let written = writers * times;
    repo.git(&["rev-list", "--count", "refs/notes/deploy"]).stdout_is(&format!("{written}\n"));
    repo.fsck();
    repo.has_no_lock_files();
}

/// What others do in a repository while it is written to.
fn write_beside(repo: &Repo, is_over: &AtomicBool) {
    // Git waits a tenth of a second for the lock on a ref, or on the table of all, which forty writers hold among them for longer.
    let patient = ["-c", "core.filesRefLockTimeout=60000", "-c", "reftable.lockTimeout=60000"];
    while !is_over.load(Ordering::SeqCst) {
        let add = ["notes", "--ref=beside", "add", "--force", "--message=beside", "master"];
        repo.git(&[&patient[..], &add].concat());
        // Tidying is asked for below: what git begins in the background would make that one give up.
        repo.git(&["-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet", "elsewhere"]);
        for tidy in [&["pack-refs", "--all"][..], &["gc", "--quiet"]] {
            let tidied = repo.try_git(&[&patient[..], tidy].concat());
            // Where refs are kept in tables it gives up when somebody else writes one meanwhile.
            if !Format::of_run().reftable {
                tidied.success();
            }
        }
    }
}

/// Writers are killed at so many moments, spread evenly over the time that one takes; each time the next writer succeeds.
///
/// # Panics
/// If a state is neither that of before nor that of after, or the next writer is hindered.
pub fn kill_writers(sandbox: &Sandbox, kills: u32, mut told: impl FnMut(u32)) {
    let repo = shop(sandbox, "killed", BRANCHES);
    let begun = Instant::now();
    set_all(&repo, "staged");
    let one = begun.elapsed() / BRANCHES;
    for n in 0..kills {
        let name = branch(n % BRANCHES);
        let died = start_set(&repo, "deployable", &name).kill_after(one.mul_f64(fraction(n)), victim(n));
        let_orphans_end();
        let seen = repo.command("git-deploy-state").args(["get", &name]).output();
        assert!(["staged\n", "deployable\n"].contains(&seen.success().stdout.as_str()), "{died}\n{seen}");
        start_set(&repo, "staged", &name).wait().success();
        told(n + 1);
    }
    assert_eq!(states(&repo), states_of("staged"));
    // A lock of the dead is cleared by whoever writes; where it is in nobody's way, when it is old.
    repo.age_locks(Duration::from_secs(3600));
    set_all(&repo, "deployable");
    assert_eq!(states(&repo), states_of("deployable"));
    repo.fsck();
    repo.has_no_lock_files();
}

/// Sweeps are killed at so many moments, spread evenly over the time that one takes; each time every branch has its state, and
/// the next sweep succeeds.
///
/// # Panics
/// If a tip has no note, or the next sweep is hindered or leaves a branch behind.
pub fn kill_sweeps(sandbox: &Sandbox, kills: u32, mut told: impl FnMut(u32)) {
    let repo = shop(sandbox, "swept", BRANCHES);
    set_all(&repo, "deployable");
    let sweep = || repo.command("git-deploy-rebase").arg("--quiet");
    let begun = Instant::now();
    repo.commit("moved.txt", "0\n", "Move base");
    sweep().output().success();
    let one = begun.elapsed();
    for n in 0..kills {
        repo.commit("moved.txt", &format!("{}\n", n + 1), "Move base");
        let died = sweep().start().kill_after(one.mul_f64(fraction(n)), victim(n));
        let_orphans_end();
        assert_eq!(states(&repo), states_of("deployable"), "{died}");
        let swept: Output = sweep().output();
        swept.success();
        let behind = repo.git(&["for-each-ref", "--no-contains=master", "--format=%(refname)", "refs/heads"]);
        assert_eq!(behind.stdout, "", "{died}\n{swept}");
        told(n + 1);
    }
    assert_eq!(states(&repo), states_of("deployable"));
    repo.fsck();
    repo.has_no_lock_files();
}

/// Every other time the whole group, as when the machine loses power.
fn victim(n: u32) -> Victim {
    if n.is_multiple_of(2) { Victim::Process } else { Victim::Group }
}

/// What a git that lives on was in the middle of.
fn let_orphans_end() {
    thread::sleep(Duration::from_millis(5));
}

fn states(repo: &Repo) -> BTreeMap<String, String> {
    let list = repo.command("git-deploy-state").args(["list", "--porcelain"]).output();
    let entry = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let state = words.next().unwrap_or_default();
        (words.next_back().unwrap_or_default(), state)
    };
    list.success().stdout.lines().map(entry).collect()
}

fn states_of(state: &str) -> BTreeMap<String, String> {
    (0..BRANCHES).map(|number| (format!("refs/heads/{}", branch(number)), state.to_owned())).collect()
}

/// The n-th of a sequence that fills the interval from 0 to 1 evenly (van der Corput), so that no moment is left out.
#[must_use]
pub fn fraction(n: u32) -> f64 {
    f64::from((n + 1).reverse_bits()) / f64::from(u32::MAX)
}
