//! Attributes count as they stand where a commit is put, whatever is checked out.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use git_deploy_core::git::Repository;
use git_deploy_core::interrupt::Interrupt;
use git_deploy_core::rebase::{Committer, Engine, MergeTreeEngine, Request, Skip, Verdict};

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

/// A branch that brings these attributes and then changes `a`, made without a work tree.
fn imported(lab: &Lab, branch: &str, attributes: &[(String, &str)]) {
    let file =
        |(path, text): &(String, &str)| format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
    let commit = |from: &str, files: &[(String, &str)]| {
        let head =
            format!("commit refs/heads/{branch}\ncommitter A <a@b> {} +0000\ndata 0\n{from}", lab.tick());
        head + &files.iter().map(file).collect::<String>()
    };
    let first = commit(&format!("from {}\n", lab.id("master")), attributes);
    let second = commit("", &[("a".to_owned(), "1\n2\n3\nwork\n")]);
    lab.feed(&["fast-import", "--quiet", "--done"], (first + &second + "done\n").as_bytes());
}

/// Goes on in a bare clone.
fn in_bare_clone(lab: &Lab) -> PathBuf {
    let bare = lab.path("bare");
    lab.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    std::env::set_current_dir(&bare).unwrap();
    bare
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

    fn a_driver_and_attributes_are_found_by_a_path_from_the_top_of_the_work_tree(lab) {
        lab.git(&["init", "-q", "-b", "master"]);
        lab.git(&["config", "merge.theirs.driver", "sh tools/theirs %A %B"]);
        lab.git(&["config", "core.attributesFile", "tools/attributes"]);
        lab.init(&[
            ("a", LINES),
            ("b", LINES),
            (".gitattributes", "a merge=theirs\n"),
            ("tools/theirs", "cp \"$2\" \"$1\"\n"),
            ("tools/attributes", "b merge=union\n"),
        ]);
        lab.branch("work", "master");
        lab.commit("work", &[("a", "1\n2\n3\nwork\n"), ("b", "1\n2\n3\nwork\n")]);
        lab.checkout("master");
        lab.commit("base", &[("a", "1\n2\n3\nbase\n"), ("b", "1\n2\n3\nbase\n")]);
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
        // Other ends of lines are no other attributes.
        std::fs::write(lab.path("repo/.gitattributes"), "a merge=theirs\r\n").unwrap();
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
    }

    fn attributes_of_the_configuration_count_whatever_is_checked_out(lab) {
        since(lab, "b merge=union\n");
        std::fs::write(lab.path("repo/more"), "a merge=union\n").unwrap();
        lab.git(&["config", "core.attributesFile", "more"]);
        assert!(matches!(lab.verdict("work"), Verdict::Rebased(_)));
    }

    fn a_file_that_is_not_tracked_is_not_what_base_has(lab) {
        since(lab, "b merge=union\n");
        std::fs::write(lab.path("repo/.gitattributes"), "a merge=union\n").unwrap();
        assert!(is_broken(&agreed(lab, "work")));
    }

    fn a_submodule_that_is_checked_out_is_merged_whatever_else_is(lab) {
        lab.init(&[(".gitattributes", "a merge=union\n")]);
        let sub = lab.path("repo/sub");
        std::fs::create_dir(&sub).unwrap();
        lab.git_in(&sub, &["init", "-q", "-b", "master"]);
        let commits = [1, 2, 3].map(|_| {
            lab.git_in(&sub, &["commit", "-q", "--allow-empty", "-m", "sub"]);
            lab.git_in(&sub, &["rev-parse", "HEAD"])
        });
        let moved = |branch: &str, commit: &str, attributes: &str| {
            lab.branch(branch, "master");
            lab.git_in(&sub, &["checkout", "-q", commit]);
            lab.commit(branch, &[(".gitattributes", attributes)]);
        };
        moved("old", &commits[0], "a merge=union\n");
        lab.git(&["branch", "-q", "-f", "master", "old"]);
        moved("work", &commits[2], "a merge=union\n");
        moved("base", &commits[1], "a -merge\n");
        lab.git(&["branch", "-q", "-f", "master", "base"]);
        for checked_out in ["base", "old"] {
            lab.checkout(checked_out);
            let verdict = lab.verdict("work");
            assert!(matches!(verdict, Verdict::Rebased(_)), "{checked_out}: {verdict:?}");
        }
    }

    fn where_files_are_renormalized_the_attributes_of_the_merge_itself_count(lab) {
        lab.init(&[("a", LINES)]);
        lab.git(&["config", "merge.renormalize", "true"]);
        lab.branch("none", "master");
        lab.branch("work", "master");
        lab.commit("work", &[("a", "1\n2\n3\nwork\n"), (".gitattributes", "a merge=union\n")]);
        lab.checkout("master");
        lab.commit("base", &[("a", "1\n2\n3\nbase\n")]);
        for checked_out in ["master", "none", "work"] {
            lab.checkout(checked_out);
            assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)), "{checked_out}");
        }
        lab.checkout("master");
        lab.commit("attributes", &[(".gitattributes", "b merge=union\n")]);
        lab.checkout("none");
        assert!(is_broken(&agreed(lab, "work")));
        lab.git(&["config", "core.bare", "true"]);
        assert!(is_broken(&agreed(lab, "work")));
    }

    fn a_driver_that_calls_git_in_another_repository_gets_its_attributes(lab) {
        let other = lab.path("home/other");
        lab.git(&["init", "-q", other.to_str().unwrap()]);
        lab.git(&["init", "-q", "-b", "master"]);
        std::fs::write(other.join(".gitattributes"), "a merge=other\n").unwrap();
        let looks = format!("git -C '{}' check-attr merge a | grep -q other", other.display());
        let driver = format!("unset $(git rev-parse --local-env-vars); {looks} && cp %B %A");
        lab.git(&["config", "merge.theirs.driver", &driver]);
        since(lab, "a merge=theirs\n");
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
    }

    fn a_driver_in_a_bare_repository_runs_where_nothing_is(lab) {
        let hook = "hooks/post-receive";
        // Like many, it writes what it makes to the path that it is told, too.
        let seen = lab.path("home/seen");
        let looks =
            format!("pwd >>{0}; ls -A | grep -v -e ^.gitattributes -e ^.merge_file_ >>{0}", seen.display());
        let writes = "mkdir -p \"$(dirname %P)\"; cp %B %P; cp %B %A";
        lab.init(&[(hook, LINES), (".gitattributes", "* merge=writes\n")]);
        lab.branch("work", "master");
        lab.commit("work", &[(hook, "#!/bin/sh\nwork\n")]);
        lab.checkout("master");
        lab.commit("base", &[(hook, "1\n2\n3\nbase\n")]);
        let bare = in_bare_clone(lab);
        lab.git_in(&bare, &["config", "merge.writes.driver", &format!("{looks}; {writes}")]);
        let Verdict::Rebased(rebased) = lab.verdict("work") else { panic!("it takes what the branch has") };
        let made = lab.git_in(&bare, &["rev-parse", &format!("{}:{hook}", rebased.tip)]);
        assert_eq!(made, lab.git(&["rev-parse", &format!("work:{hook}")]));
        assert!(!bare.join(hook).exists(), "a branch has brought a hook");
        let seen = std::fs::read_to_string(&seen).unwrap();
        let [place] = seen.lines().collect::<Vec<_>>()[..] else { panic!("not empty: {seen}") };
        assert!(!Path::new(place).starts_with(&bare) && !Path::new(place).exists(), "{place}");
    }

    fn attributes_that_cannot_be_put_anywhere_are_a_matter_of_their_branch(lab) {
        lab.init(&[("a", LINES), ("b", LINES)]);
        lab.branch("work", "master");
        lab.commit("work", &[("a", "1\n2\n3\nwork\n")]);
        // Where it comes to that the other has failed already.
        lab.commit("attributes of its own", &[("dir/.gitattributes", "x -merge\n")]);
        lab.commit("goes on", &[("b", "work\n1\n2\n3\n")]);
        lab.checkout("master");
        // No file system has room for such a name, but git for what has it.
        let long = "n".repeat(300);
        imported(lab, "long", &[(format!("{long}/.gitattributes"), "a merge=union\n")]);
        let changes = ["a", "b"].map(|path| (path, "1\n2\n3\nbase\n"));
        lab.commit("base", &[changes[0], changes[1], (".gitattributes", "a merge=union\n")]);
        let expected = agreed(lab, "work");
        assert!(matches!(expected, Verdict::Rebased(_)), "{expected:?}");
        in_bare_clone(lab);
        for branches in [["long", "work"], ["work", "long"]] {
            let mut verdicts = lab.verdicts(&branches);
            if branches[0] == "long" {
                verdicts.reverse();
            }
            assert_eq!(verdicts[0], expected);
            match &verdicts[1] {
                // A git that can be told whose attributes count needs no files.
                Verdict::Rebased(_) => (),
                Verdict::Skipped(Skip::Failed(why)) => {
                    assert!(why.contains(&long) && why.contains("name too long"), "{why}");
                }
                verdict => panic!("{verdict:?}"),
            }
        }
    }

    fn attributes_that_the_user_has_named_count_as_they_do_for_git(lab) {
        since(lab, "b merge=union\n");
        lab.branch("named", "master");
        lab.commit("named", &[(".gitattributes", "a merge=union\n")]);
        lab.checkout("old");
        assert!(is_broken(&agreed(lab, "work")));
        lab.git(&["config", "attr.tree", "named"]);
        // A git before 2.43 knows no such key.
        agreed(lab, "work");
        let one = lab.verdict("work");
        lab.git(&["branch", "HEADLESS", "named"]);
        lab.git(&["config", "attr.tree", "HEADLESS"]);
        assert_eq!(lab.verdict("work"), one);
        lab.git(&["config", "core.bare", "true"]);
        assert_eq!(lab.verdict("work"), one);
    }

    fn attributes_of_whatever_is_checked_out_count_no_more_where_the_user_has_named_that(lab) {
        since(lab, "a merge=union\n");
        lab.git(&["config", "attr.tree", "HEAD"]);
        let verdicts = ["old", "work", "master"].map(|branch| {
            lab.checkout(branch);
            lab.verdict("work")
        });
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
        assert!(matches!(verdicts[0], Verdict::Rebased(_)));
        lab.git(&["config", "merge.renormalize", "true"]);
        for branch in ["old", "master"] {
            lab.checkout(branch);
            assert_eq!(lab.verdict("work"), verdicts[0], "{branch}");
        }
    }

    fn two_drivers_that_write_the_same_file_where_they_run_do_not_meet(lab) {
        lab.init(&[("a", LINES), (".gitattributes", "a merge=slow\n")]);
        let branches = ["one", "two", "three", "four"];
        for branch in branches {
            lab.branch(branch, "master");
            lab.commit(branch, &[("a", &format!("1\n2\n3\n{branch}\n"))]);
        }
        lab.checkout("master");
        lab.commit("base", &[("a", "1\n2\n3\nbase\n")]);
        lab.git(&["config", "merge.slow.driver", "cp %B %P; sleep .1; cp %P %A; rm %P"]);
        lab.git(&["config", "core.bare", "true"]);
        for (branch, verdict) in branches.iter().zip(lab.verdicts(&branches)) {
            let Verdict::Rebased(new) = verdict else { panic!("{branch}: {verdict:?}") };
            let merged = lab.git(&["show", &format!("{}:a", new.tip)]);
            assert!(merged.ends_with(branch), "{branch}: {merged}");
        }
    }

    fn what_a_driver_prints_is_no_tree(lab) {
        lab.init(&[("a", LINES), ("b", LINES), (".gitattributes", "* merge=prints\n")]);
        lab.branch("work", "master");
        lab.commit("work", &[("a", "1\n2\n3\nwork\n")]);
        lab.branch("broken", "master");
        lab.commit("broken", &[("b", "1\n2\n3\nbroken\n")]);
        lab.checkout("master");
        lab.commit("base", &[("a", "1\n2\n3\nbase\n"), ("b", "1\n2\n3\nbase\n")]);
        // As what a commit brings may be printed, this tree is somebody's choice.
        let tree = lab.git(&["rev-parse", "work~1^{tree}"]);
        let driver = format!("printf '{tree}\\0'; cp %B %A; test %P = a");
        lab.git(&["config", "merge.prints.driver", &driver]);
        assert!(matches!(agreed(lab, "work"), Verdict::Rebased(_)));
        let Verdict::Broken(conflict) = lab.verdict("broken") else { panic!("it conflicts") };
        assert!(conflict.paths.contains(&"b".to_owned()), "{conflict:?}");
        assert!(is_broken(&lab.verdicts(&["work", "broken"])[1]));
    }

    fn more_attributes_than_anybody_needs_are_not_copied_and_only_their_branch_is_left(lab) {
        lab.init(&[("a", LINES)]);
        lab.branch("work", "master");
        lab.commit("work", &[("a", "1\n2\n3\nwork\n")]);
        let many: Vec<_> = (0..=10_000).map(|number| (format!("{number}/.gitattributes"), "x -merge\n")).collect();
        let large = "#".repeat(33 << 20);
        let large = ["one", "two"].map(|folder| (format!("{folder}/.gitattributes"), &large[..]));
        imported(lab, "many", &many);
        imported(lab, "large", &large);
        imported(lab, "less", &large[..1]);
        lab.checkout("master");
        lab.commit("base", &[(".gitattributes", "a merge=union\n"), ("a", "1\n2\n3\nbase\n")]);
        let bare = in_bare_clone(lab);
        // No git is told whose count then.
        lab.git_in(&bare, &["config", "merge.renormalize", "true"]);
        let verdicts = lab.verdicts(&["many", "large", "less", "work"]);
        for verdict in &verdicts[..2] {
            let Verdict::Skipped(Skip::Failed(why)) = verdict else { panic!("{verdict:?}") };
            assert!(why.ends_with("has more than 10000 files '.gitattributes', or 64 MB of them: so much is not copied"));
        }
        assert!(verdicts[2..].iter().all(|verdict| matches!(verdict, Verdict::Rebased(_))), "{verdicts:?}");
    }

    fn a_merge_is_made_again_by_the_attributes_that_stood_where_it_was_made(lab) {
        lab.init(&[("a", LINES)]);
        lab.branch("work", "master");
        for (name, is_union) in [("one", false), ("two", true), ("three", false)] {
            let a = std::fs::read_to_string(lab.path("repo/a")).unwrap();
            lab.branch(name, "work");
            lab.commit(name, &[("a", &format!("{a}{name}\n"))]);
            lab.checkout("work");
            let (ours, attributes) = match is_union {
                true => (format!("{a}work\n"), "a merge=union\n"),
                false => (a, "a text\n"),
            };
            lab.commit("attributes", &[("a", &ours), (".gitattributes", attributes)]);
            lab.git(&["merge", "-q", "--no-edit", name]);
        }
        lab.checkout("master");
        lab.commit("base", &[("b", "b\n")]);
        let verdict = lab.verdict("work");
        assert!(matches!(verdict, Verdict::Skipped(Skip::Merges(_))), "{verdict:?}");
    }

    fn attributes_of_many_branches_are_not_copied_all_at_once(lab) {
        lab.init(&[("a", LINES)]);
        let texts: Vec<String> = (0..60).map(|number| format!("a merge=theirs\nx{number} -merge\n")).collect();
        let branches: Vec<String> = (0..60).map(|number| format!("b{number}")).collect();
        for (branch, text) in branches.iter().zip(&texts) {
            imported(lab, branch, &[(".gitattributes".to_owned(), text)]);
        }
        lab.commit("base", &[("a", "1\n2\n3\nbase\n")]);
        let bare = in_bare_clone(lab);
        let seen = lab.path("home/seen");
        let driver = format!("ls -d \"$TMPDIR\"/git-deploy-* | wc -l >>{}; cp %B %A", seen.display());
        lab.git_in(&bare, &["config", "merge.theirs.driver", &driver]);
        lab.git_in(&bare, &["config", "merge.renormalize", "true"]);
        let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
        let verdicts = lab.verdicts(&branches);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Rebased(_))), "{verdicts:?}");
        let seen = std::fs::read_to_string(&seen).unwrap();
        let seen: Vec<u32> = seen.lines().map(|count| count.trim().parse().unwrap()).collect();
        assert!(seen.len() == branches.len() && seen.iter().all(|count| (1..50).contains(count)), "{seen:?}");
    }
}
