//! Running programs, with real ones.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use git_deploy_image::run::{Finished, Program, RunError};

fn sh(script: &str) -> Program {
    Program::new("sh").args(["-c", script]).time_limit(Duration::from_secs(20))
}

fn run(program: &Program) -> (Result<Finished, RunError>, Vec<String>) {
    let mut told = Vec::new();
    let result = program.run(&|| false, &mut |line| told.push(line.text));
    (result, told)
}

/// Whether a process is there and no zombie.
fn is_alive(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        // Its state stands behind its name.
        let about = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if about.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z')) {
            return false;
        }
        if Instant::now() > deadline {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn both_outputs_are_told_and_an_end_without_newline_too() {
    let (result, mut told) = run(&sh("echo one; echo two >&2; printf three"));
    told.sort();
    assert_eq!(told, ["one", "three", "two"]);
    assert_eq!(result.unwrap().tail.len(), 3);
}

#[test]
fn lines_are_told_while_it_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let heard = dir.path().join("heard");
    let program = sh("echo now; while [ ! -e \"$HEARD\" ]; do sleep 0.05; done").env("HEARD", &heard);
    let program = program.time_limit(Duration::from_secs(60));
    program.run(&|| false, &mut |_| std::fs::write(&heard, "").expect("it can be written")).unwrap();
}

#[test]
fn a_failure_names_status_and_last_lines() {
    let (result, _) = run(&sh("for i in $(seq 30); do echo $i; done; exit 3"));
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "'sh' failed with exit status 3");
    assert_eq!(error.tail().len(), 20);
    assert_eq!(error.tail().last().unwrap(), "30");
}

#[test]
fn the_whole_group_ends_at_the_time_limit() {
    let program =
        sh("trap '' TERM; sleep 60 & echo $!; sleep 60; sleep 60").grace(Duration::from_millis(300));
    let started = Instant::now();
    let (result, told) = run(&program.time_limit(Duration::from_secs(2)));
    assert!(started.elapsed() < Duration::from_secs(40));
    assert_eq!(result.unwrap_err().to_string(), "'sh' did not end within 2 s and was ended");
    assert!(!is_alive(&told[0]));
}

#[test]
fn what_ends_when_it_is_asked_may_say_something_to_it() {
    let program = sh("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    // Not after a time: on a busy machine it may not have come to its trap by then.
    let told = RefCell::new(Vec::new());
    let result = program.run(&|| !told.borrow().is_empty(), &mut |line| told.borrow_mut().push(line.text));
    assert!(matches!(result, Err(RunError::Cancelled { .. })));
    // The shell may say something too, of its `sleep` that was ended, and on its other output: before or after.
    assert!(told.borrow().iter().any(|line| line == "bye"), "{told:?}");
}

#[test]
fn a_flood_of_lines_does_not_keep_it_from_its_limit() {
    let (result, _) = run(&Program::new("yes").time_limit(Duration::from_millis(500)));
    assert!(matches!(result, Err(RunError::TimeLimit { .. })));
}

#[test]
fn whoever_holds_the_pipe_open_holds_up_nobody_and_is_ended() {
    let started = Instant::now();
    let (result, told) = run(&sh("sleep 60 & echo $!"));
    result.unwrap();
    assert!(started.elapsed() < Duration::from_secs(40));
    assert!(!is_alive(&told[0]));
}

#[test]
fn it_ends_when_the_user_wants_to_stop() {
    let started = Instant::now();
    let cancelled = || started.elapsed() > Duration::from_millis(300);
    let error = sh("sleep 60").run(&cancelled, &mut |_| {}).unwrap_err();
    assert!(matches!(error, RunError::Cancelled { .. }));
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn output_is_captured_byte_by_byte_and_within_bounds() {
    let (result, told) = run(&sh("printf 'a\\377\\0b'; echo talk >&2").capture(100));
    assert_eq!(result.unwrap().stdout.unwrap(), b"a\xff\0b");
    assert_eq!(told, ["talk"]);
    let (result, _) = run(&Program::new("yes").capture(100));
    assert_eq!(result.unwrap_err().to_string(), "'yes' wrote more than 100 bytes and was ended");
}

#[test]
fn it_reads_what_it_is_given_and_nothing_else() {
    assert_eq!(run(&sh("cat").input("secret\n")).1, ["secret"]);
    assert!(run(&sh("cat")).1.is_empty());
    run(&sh("exit 0").input(vec![b'x'; 1 << 20])).0.unwrap();
}

#[test]
fn a_cleared_environment_holds_only_what_is_set() {
    let program = Program::new("/usr/bin/env").env("GREETING", "hello").env_clear();
    assert_eq!(run(&program).1, ["GREETING=hello"]);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = run(&Program::new("no-such-program")).0.unwrap_err();
    assert_eq!(error.to_string(), "cannot run 'no-such-program': it is not there");
}

/// Set where this program is to run something until it is killed.
const VICTIM: &str = "GIT_DEPLOY_TEST_RUN_VICTIM";

fn run_until_killed(script: &str, file: &Path) {
    let program = sh(script).env("PID_FILE", file).current_dir(file.parent().expect("a folder"));
    let program = program.time_limit(Duration::from_secs(300)).end_escaped();
    program.run(&|| false, &mut |_| {}).expect("it is killed before its end");
}

/// Runs that test once more, in a process of its own and with that search path, and kills it; the process that what ran there
/// has written down.
fn killed_in(test: &str, path: &OsStr) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("pid");
    let mut child = Command::new(std::env::current_exe().expect("it has a path"))
        .args(["--exact", test])
        .env(VICTIM, &file)
        .env("PATH", path)
        .spawn()
        .expect("it starts");
    while !file.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    std::fs::read_to_string(&file).expect("it was there").trim().to_owned()
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

#[test]
fn nothing_is_left_of_it_when_this_process_is_killed() {
    if let Some(file) = std::env::var_os(VICTIM) {
        let script = "echo $$ > part; mv part \"$PID_FILE\"; trap '' TERM; sleep 300; sleep 300";
        return run_until_killed(script, Path::new(&file));
    }
    assert!(!is_alive(&killed_in("nothing_is_left_of_it_when_this_process_is_killed", &path())));
}

#[test]
#[cfg(target_os = "linux")]
fn what_has_left_the_group_ends_too_when_this_process_is_killed() {
    if let Some(file) = std::env::var_os(VICTIM) {
        let script = "setsid sh -c 'echo $$ > part; mv part \"$PID_FILE\"; trap \"\" TERM; sleep 300; sleep 300' & wait";
        return run_until_killed(script, Path::new(&file));
    }
    assert!(!is_alive(&killed_in("what_has_left_the_group_ends_too_when_this_process_is_killed", &path())));
}

/// As where one of all processes here does not say what it is.
#[test]
fn the_group_does_not_wait_for_what_has_left_it_to_be_found() {
    if let Some(file) = std::env::var_os(VICTIM) {
        let script = "echo $$ > part; mv part \"$PID_FILE\"; trap '' TERM; sleep 300; sleep 300";
        return run_until_killed(script, Path::new(&file));
    }
    let programs = tempfile::tempdir().unwrap();
    let grep = programs.path().join("grep");
    std::fs::write(&grep, "#!/bin/sh\nsleep 20\n").unwrap();
    std::fs::set_permissions(&grep, Permissions::from_mode(0o755)).unwrap();
    let mut first = programs.path().as_os_str().to_owned();
    first.push(":");
    first.push(path());
    assert!(!is_alive(&killed_in("the_group_does_not_wait_for_what_has_left_it_to_be_found", &first)));
}
