//! Attributes count as they stand where a commit is put, whatever is checked out.

use std::sync::atomic::Ordering;

use git_deploy_core::git::Repository;
use git_deploy_core::interrupt::Interrupt;
use git_deploy_core::rebase::{Committer, Engine, MergeTreeEngine, Request, Verdict};

use crate::lab::{Lab, lab_tests};
use crate::rules::agreed;

const LINES: &str = "1\n2\n3\n";

/// A base that has attributes since a branch began, with a change of `a` on both sides, and what is checked out is the first
/// commit, which has none.
fn since(lab: &Lab, attributes: &str) {
    lab.init(&[("a", LINES), ("dir/a", LINES)]);
    lab.branch("old", "master");
    lab.branch("work", "master");
    lab.commit("work", &[("a", "1\n2\n3\nwork\n")]);
    lab.checkout("master");
    lab.commit("attributes", &[(".gitattributes", attributes), ("a", "1\n2\n3\nbase\n")]);
    lab.checkout("old");
}

fn is_broken(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Broken(_))
}

lab_tests! {
    fn what_base_has_as_a_union_is_one_whatever_is_checked_out(lab) {
        since(lab, "a merge=union\n");
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
        // Of the same base many are asked at once.
        let verdicts = lab.verdicts(&["work", "work"]);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Rebased(_))), "{verdicts:?}");
    }

    fn what_base_does_not_want_merged_conflicts_whatever_is_checked_out(lab) {
        lab.init(&[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n")]);
        lab.branch("old", "master");
        lab.branch("work", "master");
        lab.commit("work", &[("a", "one\n2\n3\n4\n5\n6\n7\n8\n9\n")]);
        lab.checkout("master");
        lab.commit("attributes", &[(".gitattributes", "a -merge\n"), ("a", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n")]);
        lab.checkout("old");
        assert!(is_broken(&agreed(lab, "work")));
        // Nor does it help that base has them no more, where they are checked out.
        lab.checkout("master");
        lab.branch("had", "master");
        lab.checkout("master");
        lab.git(&["rm", "--quiet", ".gitattributes"]);
        lab.git(&["commit", "--quiet", "--message", "no attributes"]);
        lab.checkout("had");
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
    }

    fn attributes_that_a_branch_brings_count_from_then_on(lab) {
        lab.init(&[("a", LINES), ("dir/a", LINES)]);
        let (attributes, ours) = (("dir/.gitattributes", "a merge=union\n"), ("dir/a", "1\n2\n3\nwork\n"));
        lab.branch("before", "master");
        lab.commit("attributes", &[attributes]);
        lab.commit("work", &[ours]);
        lab.branch("after", "master");
        lab.commit("work", &[ours]);
        lab.commit("attributes", &[attributes]);
        lab.checkout("master");
        lab.branch("old", "master");
        lab.checkout("master");
        lab.commit("base", &[("dir/a", "1\n2\n3\nbase\n")]);
        for checked_out in ["master", "old", "before"] {
            lab.checkout(checked_out);
            assert!(matches!(agreed(lab, "before"), Verdict::Rebased(_)), "{checked_out}");
            assert!(is_broken(&agreed(lab, "after")), "{checked_out}");
            let [one, other] = &lab.verdicts(&["before", "after"])[..] else { panic!("two were asked for") };
            assert!(matches!(one, Verdict::Rebased(_)) && is_broken(other), "{checked_out}");
        }
    }

    fn attributes_that_a_merge_changes_under_another_name_count_from_then_on(lab) {
        let all = "x -merge\ny -merge\nz -merge\n";
        lab.init(&[("a", LINES), ("names", all)]);
        lab.branch("work", "master");
        lab.commit("attributes", &[("names", &format!("{all}a merge=union\n"))]);
        lab.commit("work", &[("a", "1\n2\n3\nwork\n")]);
        lab.checkout("master");
        lab.git(&["mv", "names", ".gitattributes"]);
        lab.commit("base", &[("a", "1\n2\n3\nbase\n")]);
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
    }

    fn a_driver_that_prints_and_reads_has_its_word_among_many(lab) {
        lab.git(&["init", "-q", "-b", "master"]);
        // It takes what stands there, and says so; a branch of many is not to hear of the others.
        lab.git(&["config", "merge.theirs.driver", "echo merging %P; cat >/dev/null; cp %B %A"]);
        lab.init(&[("a", LINES), (".gitattributes", "a merge=theirs\n"), ("b", LINES)]);
        for (branch, text) in [("one", "1\n2\n3\none\n"), ("two", "1\n2\n3\ntwo\n")] {
            lab.branch(branch, "master");
            lab.commit(branch, &[("a", text)]);
            lab.checkout("master");
        }
        lab.branch("broken", "master");
        lab.commit("broken", &[("b", "1\n2\n3\nbroken\n")]);
        lab.checkout("master");
        lab.commit("base", &[("a", "1\n2\n3\nbase\n"), ("b", "1\n2\n3\nbase\n")]);
        for branch in ["one", "two"] {
            assert!(matches!(agreed(lab, branch), Verdict::Rebased(_)), "{branch}");
        }
        let [one, broken, two] = &lab.verdicts(&["one", "broken", "two"])[..] else { panic!("three") };
        assert_eq!([one, two], [&agreed(lab, "one"), &agreed(lab, "two")]);
        assert!(is_broken(broken));
    }

    fn a_driver_that_ctrl_c_ends_is_no_conflict(lab) {
        lab.git(&["init", "-q", "-b", "master"]);
        let [begun, asked] = ["begun", "asked"].map(|name| lab.path("home").join(name));
        // It fails once the user has asked to stop, and has not begun before.
        let (touch, wait) = (begun.display(), asked.display());
        let driver = format!("touch {touch}; for i in $(seq 999); do test -e {wait} && exit 1; sleep .01; done");
        lab.git(&["config", "merge.slow.driver", &driver]);
        lab.init(&[("a", LINES), (".gitattributes", "a merge=slow\n")]);
        for (branch, text) in [("one", "1\n2\n3\none\n"), ("two", "1\n2\n3\ntwo\n")] {
            lab.branch(branch, "master");
            lab.commit(branch, &[("a", text)]);
            lab.checkout("master");
        }
        lab.commit("base", &[("a", "1\n2\n3\nbase\n")]);
        for branches in [&["one"][..], &["one", "two"]] {
            let requests: Vec<Request> = branches.iter().map(|branch| lab.request(branch)).collect();
            let (repository, interrupt) = (Repository::open().unwrap(), Interrupt::default());
            let mut engine = MergeTreeEngine::new(&repository, Committer::Keep).until(&interrupt);
            let judged = std::thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in (0..999).take_while(|_| !begun.exists()) {
                        std::thread::sleep(std::time::Duration::from_millis(10));
                    }
                    interrupt.flag().store(2, Ordering::SeqCst);
                    std::fs::write(&asked, "").unwrap();
                });
                engine.rebase(&requests)
            });
            assert!(judged.is_err(), "{judged:?}");
            [&begun, &asked].iter().for_each(|file| std::fs::remove_file(file).unwrap());
        }
    }
}
