//! The export of a commit's tree, with real git.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "engine/lab.rs"]
#[expect(dead_code, reason = "the tests of the rebase do more in it")]
mod lab;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use git_deploy_core::git::Repository;
use git_deploy_core::git::export::Exported;

use crate::lab::lab_tests;

fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    // Long ago: not when it is exported.
    command.current_dir(dir).env("GIT_COMMITTER_DATE", "1700000000 +0100");
    let output = command.args(["-c", "protocol.file.allow=always"]).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn here() -> PathBuf {
    std::env::current_dir().unwrap()
}

fn beside(name: &str) -> PathBuf {
    here().parent().unwrap().join(name)
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Commits all that is there.
fn commit(dir: &Path) -> String {
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", "test"]);
    git(dir, &["rev-parse", "HEAD"])
}

fn init(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "--quiet", "--initial-branch=master"]);
}

fn export(commit: &str, into: &Path) -> Exported {
    Repository::open().unwrap().export(commit.parse().unwrap(), into).unwrap()
}

/// All that is there: by path, its mode, time and content.
fn listed(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, metadata) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                folders.push(path.clone());
                Vec::new()
            };
            let name = path.strip_prefix(dir).unwrap().to_owned();
            found.insert(name, (metadata.mode(), metadata.mtime(), content));
        }
    }
    found
}

fn text(listed: &BTreeMap<PathBuf, (u32, i64, Vec<u8>)>, path: &str) -> String {
    String::from_utf8(listed[Path::new(path)].2.clone()).unwrap()
}

lab_tests! {
    fn the_tree_is_exported_as_its_attributes_say_and_never_the_work_tree(_lab) {
        init(&here());
        write(&here().join(".gitattributes"), "tests export-ignore\nversion export-subst\ncrlf text eol=crlf\n* text=auto\n");
        write(&here().join("version"), "$Format:%H %h %d$\n");
        write(&here().join("crlf"), "a\nb\n");
        write(&here().join("tests/x"), "x");
        write(&here().join("run"), "#!/bin/sh\n");
        fs::set_permissions(here().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("../outside", here().join("link")).unwrap();
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
        write(&here().join(&long), "long");
        let id = commit(&here());
        write(&here().join("version"), "changed");
        write(&here().join("untracked"), "x");
        let into = beside("into");
        assert_eq!(export(&id, &into), Exported::default());
        let all = listed(&into);
        assert_eq!(text(&all, "version"), format!("{id} {id} \n"));
        assert_eq!(text(&all, "crlf"), "a\r\nb\r\n");
        assert_eq!(text(&all, "link"), "../outside");
        assert_eq!(text(&all, &long), "long");
        assert!(!all.contains_key(Path::new("tests")) && !all.contains_key(Path::new("untracked")));
        assert_eq!(all[Path::new("run")].0, 0o100_755);
        assert_eq!(all[Path::new("version")].0, 0o100_644);
        let time: i64 = git(&here(), &["log", "-1", "--format=%ct"]).parse().unwrap();
        assert!(all.values().all(|(_, found, _)| *found == time));
        assert_eq!(into.metadata().unwrap().mtime(), time);
    }

    fn two_checkouts_give_the_same_whatever_is_configured_there(_lab) {
        init(&here());
        write(&here().join(".gitattributes"), "version export-subst\n*.big filter=big\n");
        write(&here().join("version"), "$Format:%h %d %D %(describe)$\n");
        write(&here().join("text"), "a\nb\n");
        write(&here().join("x.big"), "pointer\n");
        let id = commit(&here());
        export(&id, &beside("one"));
        let bare = beside("clone.git");
        git(&here(), &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        for (key, value) in [
            ("core.autocrlf", "true"), ("core.eol", "crlf"), ("tar.umask", "0077"), ("core.abbrev", "5"),
            ("filter.big.smudge", "tr a-z A-Z"),
        ] {
            git(&bare, &["config", key, value]);
        }
        write(&bare.join("info/attributes"), "text export-ignore\n");
        git(&bare, &["tag", "-a", "-m", "x", "v1"]);
        git(&bare, &["branch", "other"]);
        let replaced = git(&bare, &["commit-tree", "-m", "empty", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"]);
        git(&bare, &["replace", &id, &replaced]);
        std::env::set_current_dir(&bare).unwrap();
        export(&id, &beside("two"));
        assert_eq!(listed(&beside("one")), listed(&beside("two")));
        assert_eq!(listed(&beside("one")).len(), 4);
        assert_eq!(text(&listed(&beside("two")), "x.big"), "pointer\n");
    }

    fn a_linked_work_tree_and_one_with_long_ids_are_exported(_lab) {
        init(&here());
        write(&here().join("a"), "a");
        let id = commit(&here());
        let linked = beside("linked");
        git(&here(), &["worktree", "add", "--quiet", linked.to_str().unwrap()]);
        std::env::set_current_dir(&linked).unwrap();
        export(&id, &beside("one"));
        assert_eq!(text(&listed(&beside("one")), "a"), "a");
        let long = beside("long");
        fs::create_dir(&long).unwrap();
        git(&long, &["init", "--quiet", "--object-format=sha256"]);
        write(&long.join("b"), "b");
        let id = commit(&long);
        let other = git(&long, &["-c", "user.name=x", "commit-tree", "-m", "other", "HEAD^{tree}"]);
        git(&long, &["replace", &id, &other]);
        std::env::set_current_dir(&long).unwrap();
        export(&id, &beside("two"));
        assert_eq!(text(&listed(&beside("two")), "b"), "b");
    }

    fn what_a_partial_clone_left_out_is_fetched(_lab) {
        init(&here());
        write(&here().join("a"), "a");
        let id = commit(&here());
        git(&here(), &["config", "uploadpack.allowFilter", "true"]);
        git(&here(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let (partial, url) = (beside("partial.git"), format!("file://{}", here().display()));
        git(&here(), &["clone", "--quiet", "--bare", "--filter=blob:none", &url, partial.to_str().unwrap()]);
        std::env::set_current_dir(&partial).unwrap();
        let objects = git(&partial, &["rev-list", "--objects", "--missing=print", &id]);
        assert!(objects.contains('?'), "{objects}");
        export(&id, &beside("into"));
        assert_eq!(text(&listed(&beside("into")), "a"), "a");
    }

    fn a_submodule_is_exported_in_place_or_told_as_missing(_lab) {
        let (inner, library) = (beside("inner"), beside("library"));
        init(&inner);
        write(&inner.join("deep"), "deep");
        let deep = commit(&inner);
        init(&library);
        git(&library, &["submodule", "--quiet", "add", inner.to_str().unwrap(), "in"]);
        write(&library.join("code"), "code");
        let commit_of_library = commit(&library);
        init(&here());
        git(&here(), &["submodule", "--quiet", "add", "--name", "a/lib", library.to_str().unwrap(), "vendor/lib"]);
        let id = commit(&here());
        let missing = |exported: Exported| -> Vec<(String, String)> {
            let pair = |one: &git_deploy_core::git::export::MissingSubmodule| {
                (one.path.display().to_string(), one.commit.clone())
            };
            exported.missing_submodules.iter().map(pair).collect()
        };
        let exported = export(&id, &beside("one"));
        assert_eq!(missing(exported), [("vendor/lib/in".to_owned(), deep)]);
        assert_eq!(text(&listed(&beside("one")), "vendor/lib/code"), "code");
        git(&here(), &["submodule", "--quiet", "update", "--init", "--recursive"]);
        assert_eq!(missing(export(&id, &beside("two"))), []);
        assert_eq!(text(&listed(&beside("two")), "vendor/lib/in/deep"), "deep");
        let clone = beside("clone");
        git(&here(), &["clone", "--quiet", ".", clone.to_str().unwrap()]);
        std::env::set_current_dir(&clone).unwrap();
        assert_eq!(missing(export(&id, &beside("three"))), [("vendor/lib".to_owned(), commit_of_library)]);
        assert!(beside("three").join("vendor/lib").is_dir());
    }

    fn a_hostile_name_of_a_submodule_leads_nowhere(_lab) {
        let other = beside("other");
        init(&other);
        write(&other.join("secret"), "secret");
        let secret = commit(&other);
        init(&here());
        for name in ["../../../other/.git", "/tmp/x", "."] {
            write(&here().join(".gitmodules"), &format!("[submodule \"{name}\"]\n\tpath = sub\n\turl = x\n"));
            git(&here(), &["update-index", "--add", "--cacheinfo", &format!("160000,{secret},sub")]);
            git(&here(), &["add", ".gitmodules"]);
            git(&here(), &["commit", "--quiet", "--message", "test"]);
            let id = git(&here(), &["rev-parse", "HEAD"]);
            fs::create_dir_all(here().join(".git/modules")).unwrap();
            let into = beside("into");
            assert_eq!(export(&id, &into).missing_submodules.len(), 1, "{name}");
            assert_eq!(fs::read_dir(into.join("sub")).unwrap().count(), 0);
            fs::remove_dir_all(into).unwrap();
        }
    }

    fn what_cannot_be_exported_whole_is_not_there_at_all(_lab) {
        init(&here());
        write(&here().join("a"), "a");
        write(&here().join("z"), &"z".repeat(100_000));
        let id = commit(&here());
        let blob = git(&here(), &["rev-parse", "HEAD:z"]);
        fs::remove_file(here().join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
        let into = beside("into");
        let repository = Repository::open().unwrap();
        let error = repository.export(id.parse().unwrap(), &into).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot export commit '{id}': 'git archive' failed")), "{error}");
        assert!(error.contains(&blob), "{error}");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
        write(&into.join("x"), "x");
        let error = repository.export(id.parse().unwrap(), &into).unwrap_err().to_string();
        assert!(error.ends_with("is not empty"), "{error}");
        assert!(into.join("x").exists());
    }
}
