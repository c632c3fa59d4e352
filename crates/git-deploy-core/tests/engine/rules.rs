//! One test a rule of the design, each beside what `git rebase` does where that says anything.

use git_deploy_core::git::Repository;
use git_deploy_core::git::object::Commit;
use git_deploy_core::ids::CommitId;
use git_deploy_core::rebase::{Committer, Engine, MergeTreeEngine, Rebased, Request, Skip, Verdict};

use crate::lab::{Lab, lab_tests};
use crate::oracle::{Oracle, ours};

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

/// Our verdict, which must be git's.
pub(crate) fn agreed(lab: &Lab, branch: &str) -> Verdict {
    let (base, verdict) = (lab.id("master"), lab.verdict(branch));
    let gits = Oracle::new(lab).rebase(base, lab.id(branch));
    assert_eq!(ours(lab, base, verdict.clone()), gits, "{branch}: ours, git's");
    verdict
}

fn rebased(verdict: Verdict) -> Rebased {
    match verdict {
        Verdict::Rebased(rebased) => rebased,
        other => panic!("{other:?}"),
    }
}

fn rebase_with(committer: Committer, request: Request) -> Verdict {
    let repository = Repository::open().unwrap();
    MergeTreeEngine::new(&repository, committer).rebase(&[request]).unwrap().remove(0)
}

fn parsed(lab: &Lab, commit: CommitId) -> Commit {
    Commit::parse(&lab.raw(commit)).unwrap()
}

/// A base with one more commit than the branch `work`, which is checked out and still empty.
fn diverging(lab: &Lab) {
    lab.init(&[("a", TEN), ("b", TEN)]);
    lab.branch("work", "master");
    lab.checkout("master");
    lab.commit("base goes on", &[("a", &TEN.replace("10", "ten"))]);
    lab.checkout("work");
}

/// Stores the commit that the branch is at with other bytes, and sets the branch to it.
fn replace_bytes(lab: &Lab, branch: &str, from: &[u8], to: &[u8]) -> CommitId {
    let raw = lab.raw(lab.id(branch));
    let at = raw.windows(from.len()).position(|window| window == from).unwrap();
    let raw = [&raw[..at], to, &raw[at + from.len()..]].concat();
    let id = lab.feed(&["hash-object", "-t", "commit", "-w", "--stdin"], &raw);
    lab.git(&["reset", "-q", "--hard", &id]);
    id.parse().unwrap()
}

lab_tests! {
    fn a_commit_is_put_onto_base_and_keeps_author_date_and_message(lab) {
        diverging(lab);
        let old = lab.commit("work\n\nfor a reason", &[("b", "changed\n")]);
        let before = lab.state();
        let new = rebased(agreed(lab, "work"));
        assert_eq!(new.rewritten, [(old, new.tip)]);
        assert_eq!(new.dropped, []);
        let (old, new) = (parsed(lab, old), parsed(lab, new.tip));
        assert_eq!(new.parents, [lab.id("master")]);
        assert_eq!((new.author, new.committer, new.message), (old.author, old.committer, old.message));
        assert_eq!(lab.state(), before);
    }

    fn a_branch_on_top_of_base_is_current(lab) {
        lab.init(&[("a", TEN)]);
        lab.branch("work", "master");
        lab.commit("work", &[("b", "b\n")]);
        assert_eq!(agreed(lab, "work"), Verdict::Current);
    }

    fn a_branch_without_commits_of_its_own_has_landed(lab) {
        diverging(lab);
        assert_eq!(agreed(lab, "work"), Verdict::Skipped(Skip::Landed));
        assert_eq!(lab.verdict("master"), Verdict::Skipped(Skip::Landed));
    }

    fn a_branch_that_would_keep_no_commit_has_landed(lab) {
        diverging(lab);
        lab.commit("picked", &[("b", "b\n")]);
        lab.commit("becomes empty", &[("b", "c\n")]);
        lab.checkout("master");
        lab.git(&["cherry-pick", "work~1"]);
        lab.commit("the same and more", &[("b", "c\n"), ("c", "more\n")]);
        assert_eq!(agreed(lab, "work"), Verdict::Skipped(Skip::Landed));
    }

    fn what_is_upstream_already_is_dropped(lab) {
        diverging(lab);
        let picked = lab.commit("picked", &[("b", "b\n")]);
        let kept = lab.commit("kept", &[("c", "c\n")]);
        lab.checkout("master");
        lab.git(&["cherry-pick", "work~1"]);
        lab.commit("base changes it again", &[("b", "d\n")]);
        let new = rebased(agreed(lab, "work"));
        assert_eq!(new.dropped, [picked]);
        assert_eq!(new.rewritten, [(kept, new.tip)]);
    }

    fn what_is_upstream_with_other_whitespace_is_not_dropped(lab) {
        let code = "if (ready)\n{\n}\nstop();\n";
        lab.init(&[("a", TEN), ("code", code)]);
        lab.branch("work", "master");
        let pays = lab.commit("pay", &[("code", &code.replace("}\n", "}\npay();\n"))]);
        lab.checkout("master");
        lab.commit("pay", &[("code", &code.replace("}\n", "}\n    pay();\n"))]);
        let marks = lab.git(&["rev-list", "--cherry-mark", "--right-only", "master...work"]);
        assert_eq!(marks, format!("={pays}"), "git takes them for the same");
        let Verdict::Broken(conflict) = agreed(lab, "work") else { panic!() };
        assert_eq!((conflict.commit, conflict.paths), (pays, vec!["code".to_owned()]));
    }

    fn what_differs_behind_a_nul_is_not_upstream_already(lab) {
        // So far behind that git takes the file for text.
        let plain = "a line of a file that is long enough\n".repeat(600);
        let data = |value: &str| format!("{plain}k=\0{value}\n");
        lab.init(&[("data", &data("first"))]);
        lab.branch("work", "master");
        lab.commit("work", &[("data", &data("mine"))]);
        lab.checkout("master");
        lab.commit("base", &[("data", &data("theirs"))]);
        assert!(matches!(agreed(lab, "work"), Verdict::Broken(_)));
    }

    fn a_tree_with_modes_of_old_is_merged_as_git_merges_it(lab) {
        lab.init(&[("first", "first\n")]);
        let raw = |id: &str| {
            let digits: Vec<u8> = id.bytes().map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
            digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect::<Vec<u8>>()
        };
        let tree = |entries: &[(&str, String)]| {
            let entry = |(head, id): &(&str, String)| head.bytes().chain([0]).chain(raw(id)).collect::<Vec<u8>>();
            let bytes: Vec<u8> = entries.iter().flat_map(entry).collect();
            lab.feed(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &bytes)
        };
        // Git made such trees once, and reads them.
        let commit = |parent: &str, base: &str, work: &str| {
            let blob = |text: &str| lab.feed(&["hash-object", "-w", "--stdin"], text.as_bytes());
            let files = [("100644 base", blob(base)), ("100664 old", blob("old\n")), ("100644 work", blob(work))];
            let top = tree(&[("40000 f", tree(&files))]);
            lab.git(&["commit-tree", "-p", parent, "-m", "modes of old", &top])
        };
        let fork = commit("HEAD", "base\n", "work\n");
        lab.git(&["branch", "work", &commit(&fork, "base\n", "changed\n")]);
        lab.git(&["reset", "-q", "--hard", &commit(&fork, "changed\n", "work\n")]);
        let tip = rebased(agreed(lab, "work")).tip;
        assert!(lab.git(&["ls-tree", &format!("{tip}:f")]).contains("100644 blob"));
        assert!(!lab.git(&["ls-tree", &format!("{tip}:f")]).contains("100664"));
    }

    fn what_is_upstream_in_binary_files_is_compared_by_content(lab) {
        diverging(lab);
        let picked = lab.commit("image", &[("image", "\0 1")]);
        lab.commit("kept", &[("c", "c\n")]);
        lab.checkout("master");
        lab.git(&["cherry-pick", "work~1"]);
        assert_eq!(rebased(agreed(lab, "work")).dropped, [picked]);
    }

    fn a_commit_that_becomes_empty_is_dropped_and_one_born_empty_stays(lab) {
        diverging(lab);
        let half = lab.commit("half of it", &[("b", "b\n")]);
        let empty = lab.commit("nothing", &[]);
        let kept = lab.commit("kept", &[("c", "c\n")]);
        lab.checkout("master");
        lab.commit("all of it", &[("b", "b\n"), ("d", "d\n")]);
        let new = rebased(agreed(lab, "work"));
        assert_eq!(new.dropped, [half]);
        let old: Vec<CommitId> = new.rewritten.iter().map(|(old, _)| *old).collect();
        assert_eq!(old, [empty, kept]);
    }

    fn a_commit_that_does_not_apply_breaks_the_branch(lab) {
        diverging(lab);
        lab.commit("fine", &[("b", "b\n")]);
        let wrong = lab.commit("wrong", &[("a", &TEN.replace("10", "zehn"))]);
        lab.commit("never tried", &[("c", "c\n")]);
        let Verdict::Broken(conflict) = agreed(lab, "work") else { panic!() };
        assert_eq!((conflict.commit, conflict.paths), (wrong, vec!["a".to_owned()]));
    }

    fn conflicts_are_named_from_the_top_and_quoted(lab) {
        lab.init(&[("deep/\u{e4} \"q\"", "1\n"), ("other/x y", "1\n")]);
        lab.branch("work", "master");
        lab.commit("work", &[("deep/\u{e4} \"q\"", "2\n"), ("other/x y", "2\n")]);
        lab.checkout("master");
        lab.commit("base", &[("deep/\u{e4} \"q\"", "3\n"), ("other/x y", "3\n")]);
        std::env::set_current_dir(lab.path("repo/deep")).unwrap();
        let Verdict::Broken(conflict) = lab.verdict("work") else { panic!() };
        assert_eq!(conflict.paths, ["\"deep/\\303\\244 \\\"q\\\"\"", "other/x y"]);
        assert_eq!(lab.verdict("work"), agreed(lab, "work"));
    }

    fn a_file_in_the_way_of_a_folder_is_named_as_it_was(lab) {
        diverging(lab);
        lab.commit("a file", &[("c", "c\n")]);
        lab.checkout("master");
        lab.commit("a folder", &[("c/inner", "c\n")]);
        let Verdict::Broken(conflict) = agreed(lab, "work") else { panic!() };
        assert_eq!(conflict.paths, ["c"]);
    }

    fn merge_commits_are_refused(lab) {
        diverging(lab);
        lab.commit("work", &[("b", "b\n")]);
        lab.branch("side", "work~1");
        lab.commit("side", &[("c", "c\n")]);
        lab.checkout("work");
        lab.git(&["merge", "-q", "--no-edit", "side"]);
        let merge = lab.id("work");
        lab.commit("after it", &[("d", "d\n")]);
        assert_eq!(lab.verdict("work"), Verdict::Skipped(Skip::Merges(merge)));
        lab.branch("pulled", "work~2");
        lab.git(&["merge", "-q", "--no-edit", "master"]);
        assert_eq!(lab.verdict("pulled"), Verdict::Skipped(Skip::Merges(lab.id("pulled"))));
    }

    fn a_merge_that_base_has_does_not_matter(lab) {
        diverging(lab);
        lab.branch("side", "work");
        lab.commit("side", &[("c", "c\n")]);
        lab.checkout("master");
        lab.git(&["merge", "-q", "--no-edit", "side"]);
        lab.branch("late", "side");
        lab.commit("late", &[("d", "d\n")]);
        rebased(agreed(lab, "late"));
    }

    fn a_branch_with_another_root_is_unrelated(lab) {
        lab.init(&[("a", TEN)]);
        lab.git(&["checkout", "-q", "--orphan", "other"]);
        let root = lab.commit("another beginning", &[("a", TEN)]);
        lab.commit("and on", &[("b", "b\n")]);
        assert_eq!(lab.verdict("other"), Verdict::Skipped(Skip::Unrelated(root)));
    }

    fn a_branch_that_a_shallow_clone_cuts_off_is_not_called_unrelated(lab) {
        diverging(lab);
        lab.commit("work", &[("b", "b\n")]);
        let (url, clone) = (format!("file://{}", lab.path("repo").display()), lab.path("clone"));
        lab.git(&["clone", "-q", "--depth=1", "--no-single-branch", "--bare", &url, clone.to_str().unwrap()]);
        std::env::set_current_dir(&clone).unwrap();
        let verdict = lab.verdict("work");
        let Verdict::Skipped(Skip::Shallow(reason)) = &verdict else { panic!("{verdict:?}") };
        assert!(reason.contains("shallow"), "{reason}");
    }

    fn a_shallow_clone_without_what_a_branch_and_base_have_in_common_is_said_to_be_one(lab) {
        // The branch is whole, and base is cut off.
        lab.init(&[("a", TEN)]);
        lab.branch("work", "master");
        lab.commit("work", &[("b", "b\n")]);
        // Base's merge is in the branch, and looks like one of its own.
        lab.checkout("master");
        lab.branch("side", "master");
        lab.commit("side", &[("c", "c\n")]);
        lab.checkout("master");
        lab.commit("on", &[("d", "d\n")]);
        lab.git(&["merge", "-q", "--no-ff", "--no-edit", "side"]);
        lab.branch("later", "master");
        lab.commit("later", &[("e", "e\n")]);
        lab.checkout("master");
        for name in ["f", "g", "h"] {
            lab.commit(name, &[(name, "x\n")]);
        }
        let (url, clone) = (format!("file://{}", lab.path("repo").display()), lab.path("clone"));
        lab.git(&["clone", "-q", "--depth=3", "--no-single-branch", "--bare", &url, clone.to_str().unwrap()]);
        std::env::set_current_dir(&clone).unwrap();
        for branch in ["work", "later"] {
            let verdict = lab.verdict(branch);
            let Verdict::Skipped(skip @ Skip::Shallow(_)) = &verdict else { panic!("{verdict:?}") };
            assert!(skip.to_string().contains("this is a shallow clone"), "{skip}");
        }
    }

    fn renames_are_followed(lab) {
        lab.init(&[("src/a", TEN), ("src/b", TEN)]);
        lab.branch("work", "master");
        lab.commit("work", &[("src/a", &TEN.replace('5', "five")), ("src/new", "new\n")]);
        lab.checkout("master");
        lab.git(&["mv", "src", "lib"]);
        lab.commit("base moves the folder", &[]);
        let Verdict::Broken(conflict) = agreed(lab, "work") else { panic!() };
        assert_eq!(conflict.paths, ["lib/new"]);
        lab.git(&["config", "merge.directoryRenames", "true"]);
        let tip = rebased(agreed(lab, "work")).tip;
        let files = lab.git(&["ls-tree", "-r", "--name-only", &tip.to_string()]);
        assert_eq!(files, "lib/a\nlib/b\nlib/new");
    }

    fn what_moves_by_a_rename_on_the_other_side_moves_as_git_moves_it(lab) {
        lab.init(&[("a", TEN), ("b", TEN), ("x/one", TEN), ("x/two", "two\n"), ("y/keep", "keep\n")]);
        lab.git(&["config", "merge.directoryRenames", "true"]);
        // Each of these changes a folder that base changes too, and none a file of which base has another version.
        for (branch, files) in [
            ("adds-to-the-top", [("new", "new\n")]),
            ("adds-beside-a-moved-file", [("x/new", "new\n")]),
            ("adds-a-file-where-base-adds-a-folder", [("taken", "file\n")]),
            ("adds-what-base-adds", [("y/both", "both\n")]),
            ("adds-below-what-base-makes-a-file", [("y/file/below", "below\n")]),
            ("changes-what-stays", [("y/keep", "kept\n")]),
        ] {
            lab.branch(branch, "master");
            lab.commit(branch, &files);
        }
        lab.branch("deletes-what-base-moves", "master");
        lab.git(&["rm", "-q", "x/one"]);
        lab.commit("delete", &[]);
        lab.branch("moves-the-folder-to-which-base-adds", "master");
        lab.git(&["mv", "y", "z"]);
        lab.commit("move", &[]);
        let branches = [
            "adds-to-the-top", "adds-beside-a-moved-file", "adds-a-file-where-base-adds-a-folder", "adds-what-base-adds",
            "adds-below-what-base-makes-a-file", "changes-what-stays", "deletes-what-base-moves",
            "moves-the-folder-to-which-base-adds",
        ];
        let agree = || branches.iter().for_each(|branch| drop(agreed(lab, branch)));
        lab.checkout("master");
        lab.git(&["mv", "x/one", "y/one"]);
        lab.commit("base moves a file", &[("y/both", "both\n"), ("taken/below", "folder\n"), ("y/file", "file\n")]);
        agree();
        lab.git(&["mv", "x", "moved"]);
        lab.commit("base moves a folder", &[]);
        agree();
        std::fs::create_dir(lab.path("repo/below")).unwrap();
        lab.git(&["mv", "a", "b", "moved", "y", "taken", "below"]);
        lab.commit("base moves everything", &[]);
        agree();
    }

    fn the_configured_diff_algorithm_counts_where_git_rebase_obeys_it(lab) {
        let lines = |text: &str| text.chars().map(|char| format!("{char}\n")).collect::<String>();
        lab.init(&[("a", &lines("{}aa}}}{bbc"))]);
        lab.branch("work", "master");
        lab.commit("work", &[("a", &lines("{}aab}}}{bc"))]);
        lab.checkout("master");
        lab.commit("base", &[("a", &lines("a{a}}}bbcy"))]);
        assert!(matches!(agreed(lab, "work"), Verdict::Broken(_)), "read as a histogram it conflicts");
        lab.git(&["config", "diff.algorithm", "myers"]);
        agreed(lab, "work");
    }

    fn message_encoding_and_foreign_headers_keep_their_bytes(lab) {
        diverging(lab);
        lab.commit("placeholder", &[("b", "b\n")]);
        let message: &[u8] = b"\n\n  caf\xe9 \n# hash\n\n\n";
        let raw = [b"+0100\nencoding ISO-8859-1\nchange-id kkmm\ngpgsig -----BEGIN\n \n abc\n -----END\n\n", message];
        let old = replace_bytes(lab, "work", b"+0100\n\nplaceholder\n", &raw.concat());
        let new = parsed(lab, rebased(lab.verdict("work")).tip);
        assert_eq!(new.message, message);
        assert_eq!(new.extra, [b"encoding ISO-8859-1".to_vec(), b"change-id kkmm".to_vec()]);
        assert_eq!(new.author, parsed(lab, old).author);
    }

    fn a_configured_committer_takes_the_old_date_and_equal_inputs_give_equal_ids(lab) {
        diverging(lab);
        let old = lab.commit("work", &[("b", "b\n")]);
        let bot = || Committer::Is("Bot <bot@example.org>".to_owned());
        let tip = rebased(rebase_with(bot(), lab.request("work"))).tip;
        let date = String::from_utf8(parsed(lab, old).committer).unwrap().split_once("> ").unwrap().1.to_owned();
        assert_eq!(parsed(lab, tip).committer, format!("Bot <bot@example.org> {date}").into_bytes());
        assert_eq!(rebased(rebase_with(bot(), lab.request("work"))).tip, tip);
    }

    fn commits_are_signed_again_where_the_configuration_says_so(lab) {
        diverging(lab);
        lab.commit("work", &[("b", "b\n")]);
        lab.commit("more", &[("c", "c\n")]);
        lab.branch("stacked", "work");
        lab.commit("on top", &[("d", "d\n")]);
        let key = lab.path("home/key");
        let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.is_ok_and(|status| status.success()), "this test needs ssh-keygen");
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let signers = lab.path("home/signers");
        std::fs::write(&signers, format!("bob@example.org {public}")).unwrap();
        for (name, value) in [
            ("commit.gpgSign", "yes"),
            ("gpg.format", "ssh"),
            ("user.signingKey", "~/key"),
            ("gpg.ssh.allowedSignersFile", signers.to_str().unwrap()),
        ] {
            lab.git(&["config", name, value]);
        }
        let verdicts = lab.verdicts(&["work", "stacked"]);
        let [work, stacked] = verdicts.try_into().unwrap();
        let (work, stacked) = (rebased(work), rebased(stacked));
        for (_, new) in &stacked.rewritten {
            lab.git(&["verify-commit", &new.to_string()]);
        }
        assert_eq!(stacked.rewritten[..2], work.rewritten, "shared commits stay shared");
        let repository = Repository::open().unwrap();
        let engine = MergeTreeEngine::new(&repository, Committer::Keep);
        let unsigned = engine.for_check().rebase(&[lab.request("work")]).unwrap().remove(0);
        assert_eq!(parsed(lab, rebased(unsigned).tip).extra, [] as [Vec<u8>; 0]);
    }

    fn what_fails_for_one_branch_leaves_the_others_their_verdicts(lab) {
        diverging(lab);
        lab.commit("work", &[("b", "b\n")]);
        lab.branch("hurt", "work");
        lab.commit("hurt", &[("a", &TEN.replace('1', "one"))]);
        let blob = lab.git(&["rev-parse", "hurt:a"]);
        std::fs::remove_file(lab.path("repo/.git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
        let verdicts = lab.verdicts(&["hurt", "work"]);
        let Verdict::Skipped(Skip::Failed(reason)) = &verdicts[0] else { panic!("{verdicts:?}") };
        assert!(reason.contains(&blob), "{reason}");
        rebased(verdicts[1].clone());
    }

    fn only_commits_after_the_upstream_move_and_those_in_place_keep_their_ids(lab) {
        diverging(lab);
        lab.commit("not ours", &[("b", "b\n")]);
        let upstream = lab.id("work");
        let first = lab.commit("ours", &[("c", "c\n")]);
        let tip = lab.commit("ours too", &[("d", "d\n")]);
        let request = |onto| Request { upstream, onto, ..lab.request("work") };
        assert_eq!(rebase_with(Committer::Keep, request(upstream)), Verdict::Current);
        let new = rebased(rebase_with(Committer::Keep, request(lab.id("master"))));
        assert_eq!(new.rewritten.iter().map(|(old, _)| *old).collect::<Vec<_>>(), [first, tip]);
        assert!(lab.git(&["ls-tree", "--name-only", &new.tip.to_string()]).starts_with("a\nb\nc\nd"));
    }

    fn a_bare_repository_will_do(lab) {
        diverging(lab);
        lab.commit("work", &[("a", &TEN.replace("1\n2", "one\n2"))]);
        let expected = agreed(lab, "work");
        let bare = lab.path("bare");
        lab.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
        std::env::set_current_dir(&bare).unwrap();
        assert_eq!(lab.verdict("work"), expected);
    }

    fn a_repository_with_long_ids_will_do(lab) {
        lab.git(&["init", "-q", "-b", "master", "--object-format=sha256"]);
        diverging(lab);
        lab.commit("work", &[("a", &TEN.replace("1\n2", "one\n2"))]);
        lab.commit("picked", &[("b", "b\n")]);
        lab.checkout("master");
        lab.git(&["cherry-pick", "work"]);
        assert_eq!(rebased(agreed(lab, "work")).dropped, [lab.id("work")]);
    }
}
