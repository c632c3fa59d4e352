//! Steps of a build, with real shells.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use git_deploy_image::steps::{StepError, StepsPlan, run};
use tempfile::TempDir;

/// A tree, and what is run in it.
struct Lab {
    dir: TempDir,
    env_file: Option<PathBuf>,
}

type Outcome = (Result<BTreeMap<OsString, OsString>, StepError>, Vec<String>);

impl Lab {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env_file: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Written by another process: no thread of this one, that starts something just now, holds it open then.
    fn script(&self, name: &str, text: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let write = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
        let status = Command::new("sh").args(["-c", write, "sh"]).arg(&file).arg(text).status();
        assert!(status.unwrap().success());
    }

    fn env(&mut self, text: &str) {
        let file = self.path("build.env");
        fs::write(&file, text).unwrap();
        self.env_file = Some(file);
    }

    fn run(&self, steps: &[&str]) -> Outcome {
        self.run_within(steps, Duration::from_secs(30))
    }

    fn run_within(&self, steps: &[&str], time_limit: Duration) -> Outcome {
        let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
        let variables = [("SOURCE_DATE_EPOCH".to_owned(), "1700000000".to_owned())];
        let plan = StepsPlan {
            directory: self.dir.path(),
            env_file: self.env_file.as_deref(),
            steps: &steps,
            variables: &variables,
            time_limit,
        };
        let mut told = Vec::new();
        let result = run(&plan, &|| false, &mut |line| told.push(line.text));
        (result, told)
    }
}

fn has_bash() -> bool {
    Command::new("bash").args(["-c", ":"]).status().is_ok_and(|status| status.success())
}

#[test]
fn a_step_that_fails_is_named_with_its_status_and_ends_the_build() {
    let lab = Lab::new();
    lab.script("build/assets.sh", "#!/bin/sh\necho lost >&2\nexit 3\n");
    let (result, told) = lab.run(&["echo first", "./build/assets.sh", "echo never"]);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "step './build/assets.sh' failed with exit status 3");
    assert_eq!(error.tail(), ["lost"]);
    assert_eq!(told, ["first", "lost"]);
}

#[test]
fn a_step_that_fails_says_at_which_command_as_far_as_bash_tells() {
    if !has_bash() {
        return;
    }
    let lab = Lab::new();
    lab.script("build/plain.sh", "#!/bin/bash\necho fine\ntest -f nothing\necho survived\n");
    lab.script("build/pipe.sh", "echo fine\n\ncat nothing | sort | tail -3\necho survived\n");
    lab.script("build/own.sh", "#!/bin/bash\ntrap 'echo mine' ERR\nfalse\n");
    lab.script("build/asks.sh", "#!/bin/bash\n./build/plain.sh || exit 1\n");
    lab.script("build/sh.sh", "#!/bin/sh\nfalse\n");
    for (step, place) in [
        ("./build/plain.sh", " at line 3 of './build/plain.sh', 'test -f nothing'"),
        ("bash build/plain.sh -v | cat", " at line 3 of 'build/plain.sh', 'test -f nothing'"),
        ("bash build/pipe.sh", " at line 3 of 'build/pipe.sh', a pipe whose commands ended with 1, 0, 0"),
        ("echo fine; test -f nothing; echo survived", " at 'test -f nothing'"),
        ("cat nothing | sort", " in a pipe whose commands ended with 1, 0"),
        // Nothing is said where that would be a guess, or the step again.
        ("./build/own.sh", ""),
        ("./build/asks.sh", ""),
        ("./build/sh.sh", ""),
        ("./build/plain.sh || true; exit 1", ""),
        ("./build/plain.sh || ./build/sh.sh", ""),
        ("false", ""),
    ] {
        let (result, told) = lab.run(&[step]);
        let said = result.unwrap_err().to_string();
        assert_eq!(said, format!("step '{step}' failed with exit status 1{place}"), "{told:?}");
        assert!(!told.iter().any(|line| line.contains("survived")), "{told:?}");
    }
    // What is noted is nothing that a step sees.
    let (result, told) = lab.run(&["out=$(bash build/plain.sh 2>&1) || echo \"<$out>\""]);
    result.unwrap();
    assert_eq!(told, ["<fine>"]);
}

#[test]
fn every_script_fails_on_its_first_failing_command_also_in_a_pipe() {
    let lab = Lab::new();
    for (name, first) in [("sh", "#!/bin/sh"), ("bash", "#!/bin/bash"), ("env", "#!/usr/bin/env sh")] {
        lab.script(&format!("{name}/plain"), &format!("{first}\nfalse\necho survived\n"));
        lab.script(&format!("{name}/pipe"), &format!("{first}\nfalse | cat\necho survived\n"));
    }
    lab.script("outer", "#!/bin/bash\nsh sh/pipe\necho outer survived\n");
    let mut steps = vec![
        "./sh/plain",
        "sh sh/plain",
        "sh -u sh/plain",
        "false; echo survived",
        "cd sh && sh plain",
        "env/plain",
    ];
    if has_bash() {
        steps.extend([
            "true && sh/plain",
            "./sh/pipe",
            "sh sh/pipe",
            "./bash/plain",
            "./bash/pipe",
            "bash bash/pipe",
            "env/pipe",
            "false | cat; echo survived",
            "./outer",
            "cd bash && bash pipe",
            "exec bash/pipe",
            "\"$PWD\"/bash/pipe",
            "./sh/pipe | cat",
        ]);
    }
    for step in steps {
        let (result, told) = lab.run(&[step]);
        assert!(matches!(result, Err(StepError::Step { .. })), "{step}: {told:?}");
        assert_eq!(told, [""; 0], "{step}");
    }
}

#[test]
fn what_succeeds_is_not_failed_and_gets_its_arguments() {
    let lab = Lab::new();
    lab.script("a.sh", "#!/bin/sh -u\nif false; then :; fi\nfalse || true\necho \"$0:$#:$1\"\n");
    let (result, told) = lab.run(&["./a.sh 'x y' z", "sh ./a.sh 1", "sh -c 'false; echo plain'"]);
    result.unwrap();
    assert_eq!(told, ["./a.sh:2:x y", "./a.sh:1:1", "plain"]);
}

#[test]
fn a_program_from_outside_of_the_tree_runs_as_it_was_meant() {
    let (lab, other) = (Lab::new(), Lab::new());
    other.script("tool", "#!/bin/bash\nfalse | cat\nfalse\necho done\n");
    let tool = other.path("tool").display().to_string();
    if !has_bash() {
        return;
    }
    let (result, told) = lab.run(&[&tool, &format!("bash {tool}"), &format!("sh {tool}")]);
    result.unwrap();
    assert_eq!(told, ["done"; 3]);
}

#[test]
fn a_step_gets_nothing_of_ours() {
    let lab = Lab::new();
    let (result, told) = lab.run(&["env", "ls -A \"$HOME\"; stat -c %a \"$HOME\"; cat"]);
    result.unwrap();
    let names: Vec<&str> = told.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let known = [
        "PATH",
        "LC_ALL",
        "TZ",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "TERM",
        "TMPDIR",
        "HOME",
        "SOURCE_DATE_EPOCH",
        "GIT_DEPLOY_RUN",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_TERMINAL_PROMPT",
        "GIT_ASKPASS",
        "BASH_ENV",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    let foreign = names.iter().filter(|name| !known.contains(name));
    assert_eq!(foreign.count(), 0, "{names:?}");
    assert!(told.contains(&"SOURCE_DATE_EPOCH=1700000000".to_owned()));
    assert_eq!(told.last().unwrap(), "700");
}

#[test]
fn what_the_environment_file_sets_reaches_steps_and_caller() {
    let mut lab = Lab::new();
    lab.env("PYTHON=3.11\nTWO='a\nb'\nSOURCE_DATE_EPOCH=5\nFROM=$(cat made 2>/dev/null || echo none)\necho talk\n");
    let (result, told) = lab.run(&["echo \"$PYTHON $FROM\"; echo step > made", "echo \"$TWO $FROM\""]);
    let set = result.unwrap();
    let set: Vec<(&str, &str)> =
        set.iter().map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())).collect();
    let expected = [("FROM", "step"), ("PYTHON", "3.11"), ("SOURCE_DATE_EPOCH", "5"), ("TWO", "a\nb")];
    assert_eq!(set, expected);
    assert_eq!(told, ["talk", "3.11 none", "talk", "a", "b step", "talk"]);
}

#[test]
fn an_error_in_the_environment_file_is_told_with_its_line() {
    let mut lab = Lab::new();
    let mut said = |text: &str| {
        lab.env(text);
        let (result, _) = lab.run(&["echo never"]);
        result.unwrap_err().to_string()
    };
    for (text, line) in [
        ("A=1\n\nif then\n", "3"),
        ("set -u\nB=$NOPE\n", "2"),
        ("A=1\nB=2\nno-such-program\n", "3"),
        ("A=1\nfalse\n", "2"),
    ] {
        let said = said(text);
        assert!(said.starts_with("environment file 'build.env' has an error: "), "{said}");
        let names_line = if text.contains("false") && !has_bash() { true } else { said.contains(line) };
        assert!(names_line, "{said}");
    }
}

#[test]
fn a_step_that_hangs_is_ended() {
    let (result, told) = Lab::new().run_within(&["echo begun; sleep 60"], Duration::from_secs(5));
    assert_eq!(
        result.unwrap_err().to_string(),
        "step 'echo begun; sleep 60' did not end within 5 s and was ended"
    );
    assert_eq!(told[0], "begun");
}

/// How many processes sleep for so long.
fn asleep(naps: &str) -> usize {
    let has = |path: &std::path::Path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == naps.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(|entry| has(&entry.path())).count()
}

#[test]
fn what_a_step_starts_and_lets_go_of_ends_with_it() {
    let lab = Lab::new();
    // A number that nobody else sleeps for, and what daemons do; also one that has lost who started it.
    let naps = format!("46{}", std::process::id());
    let daemon = format!("setsid sleep {naps} & (setsid sh -c 'sleep {naps} & :' >/dev/null 2>&1 &)");
    let (result, _) = lab.run_within(&[&format!("{daemon}; sleep {naps}")], Duration::from_secs(1));
    assert!(result.unwrap_err().to_string().contains("did not end within 1 s"));
    assert_eq!(asleep(&naps), 0, "after the time limit");
    let (result, _) = lab.run(&[&format!("{daemon}; sleep 0.5")]);
    result.unwrap();
    assert_eq!(asleep(&naps), 0, "after a step that succeeded");
}
