//! Random branches: the same verdicts, trees, authors and messages as `git rebase`.

use std::collections::BTreeMap;

use crate::histories::Generator;
use crate::lab::{Lab, lab_tests};
use crate::oracle::{Expected, Oracle};

/// How git may be configured where it changes what a merge gives.
const CONFIGURATIONS: [&[(&str, &str)]; 6] = [
    &[],
    &[("merge.directoryRenames", "true")],
    &[("merge.renames", "false")],
    &[("diff.algorithm", "patience")],
    &[("merge.conflictStyle", "diff3"), ("diff.renames", "copies")],
    &[("merge.directoryRenames", "false"), ("diff.algorithm", "myers"), ("core.abbrev", "40")],
];

const BRANCHES: usize = 10;

fn number(key: &str, default: u64) -> u64 {
    std::env::var(key).ok().map_or(default, |number| number.parse().unwrap())
}

fn compare(lab: &Lab, seed: u64, seen: &mut BTreeMap<&'static str, usize>) {
    let repository = lab.path("repo");
    std::fs::remove_dir_all(&repository).unwrap();
    std::fs::create_dir(&repository).unwrap();
    std::env::set_current_dir(&repository).unwrap();
    lab.git(&["init", "-q", "-b", "master"]);
    let configuration = CONFIGURATIONS[seed as usize % CONFIGURATIONS.len()];
    for (key, value) in configuration {
        lab.git(&["config", key, value]);
    }
    lab.feed(&["fast-import", "--quiet"], &Generator::new(seed).history(BRANCHES));
    lab.git(&["reset", "-q", "--hard"]);
    let branches: Vec<String> = (0..BRANCHES).map(|number| format!("b{number}")).collect();
    let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
    let before = lab.state();
    let verdicts = lab.verdicts(&branches);
    assert_eq!(lab.verdicts(&branches), verdicts, "seed {seed}: not the same twice");
    assert_eq!(lab.state(), before, "seed {seed}: something was touched");
    let oracle = Oracle::new(lab);
    let base = lab.id("master");
    for (branch, verdict) in branches.iter().zip(verdicts) {
        let ours = Expected::of(lab, base, verdict);
        *seen.entry(ours.kind()).or_default() += 1;
        let gits = oracle.rebase(base, lab.id(branch));
        if gits == Expected::Bug && ours.kind() == "conflict" {
            continue;
        }
        assert_eq!(ours, gits, "seed {seed}, branch {branch}, {configuration:?}: ours, git's");
    }
}

lab_tests! {
    fn random_branches_end_as_git_rebase_ends_them(lab) {
        let first = number("GIT_DEPLOY_REBASE_FIRST_SEED", 0);
        let mut seen = BTreeMap::new();
        for seed in first..first + number("GIT_DEPLOY_REBASE_SEEDS", 6) {
            compare(lab, seed, &mut seen);
        }
        // A comparison of nothing but conflicts would show little.
        for kind in ["rebased", "conflict"] {
            let count = seen.get(kind).copied().unwrap_or_default();
            assert!(count * 5 >= BRANCHES, "{seen:?}");
        }
    }
}
