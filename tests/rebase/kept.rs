//! What a sweep makes is kept together, and nothing else of it.

use std::fs;
use std::time::{Duration, SystemTime};

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, rebase, shop};

/// Has git throw away, once, what no ref has.
const CLEANS_UP: &str = "[ -e .git/cleaned ] || { >.git/cleaned; git repack -adq; git prune --expire=now; }";

/// As many staged branches as are kept as a pack, and a base that has gone on.
fn many(repo: &Repo) -> Vec<String> {
    let names: Vec<String> = (0..60).map(|number| format!("b{number}")).collect();
    for name in &names {
        branch(repo, name, &format!("{name}/file.txt"), name);
    }
    let set: Vec<&str> = ["set", "staged"].into_iter().chain(names.iter().map(String::as_str)).collect();
    repo.deploy("deploy-state", &set);
    repo.commit("d.txt", "d\n", "Go on");
    names
}

fn all_stand_on_base(repo: &Repo, names: &[String]) {
    names.iter().for_each(|name| drop(repo.git(&["merge-base", "--is-ancestor", "master", name])));
}

/// The files below `.git` whose names end so.
fn left(repo: &Repo, folder: &str, is_one: impl Fn(&str) -> bool) -> Vec<String> {
    let files = fs::read_dir(repo.path().join(".git").join(folder)).expect("it is there");
    let names = files.map(|file| file.expect("it can be read").file_name().into_string().expect("a name"));
    names.filter(|name| is_one(name)).collect()
}

#[test]
fn what_a_sweep_made_is_there_when_git_cleans_up_before_its_branches_have_it() {
    let repo = shop(&sandbox!());
    let names = many(&repo);
    repo.install_hook("pre-rebase", CLEANS_UP);
    rebase(&repo, &[]).success();
    assert!(repo.path().join(".git/cleaned").exists());
    repo.git(&["fsck", "--strict"]);
    all_stand_on_base(&repo, &names);
    assert_eq!(left(&repo, "objects/pack", |name| name.ends_with(".keep")), [""; 0]);
    assert_eq!(left(&repo, "objects", |name| name.starts_with("tmp_")), [""; 0]);
}

#[test]
fn what_an_earlier_sweep_made_in_vain_is_kept_as_well() {
    let repo = shop(&sandbox!());
    let names = many(&repo);
    repo.install_hook("pre-rebase", "exit 1");
    rebase(&repo, &[]);
    let packs = left(&repo, "objects/pack", |name| name.ends_with(".pack"));
    assert_eq!((packs.len(), left(&repo, "objects/pack", |name| name.ends_with(".keep")).len()), (1, 0));
    repo.install_hook("pre-rebase", CLEANS_UP);
    rebase(&repo, &[]).success();
    repo.git(&["fsck", "--strict"]);
    all_stand_on_base(&repo, &names);
}

#[test]
fn what_a_sweep_that_died_left_aside_goes_and_what_others_keep_stays() {
    let repo = shop(&sandbox!());
    let git = repo.path().join(".git");
    many(&repo);
    repo.git(&["repack", "-adq"]);
    let [pack] = &left(&repo, "objects/pack", |name| name.ends_with(".pack"))[..] else { panic!("one pack") };
    let dead = git.join("objects/pack").join(pack).with_extension("keep");
    let foreign = git.join("objects/pack/pack-mine.keep");
    fs::write(&dead, "git-deploy tmp_objdir-git-deploy-dead\n").unwrap();
    fs::write(&foreign, "mine\n").unwrap();
    let kept = git.join("objects/pack/pack-kept.keep");
    fs::write(&kept, "git-deploy tmp_objdir-git-deploy-alive\n").unwrap();
    let [old, new, alive] =
        ["dead", "new", "alive"].map(|name| git.join(format!("objects/tmp_objdir-git-deploy-{name}")));
    for folder in [&old, &new, &alive] {
        fs::create_dir_all(folder.join("objects/00")).unwrap();
    }
    let held = fs::File::create(alive.join("held")).unwrap();
    held.lock().expect("nobody else has it");
    let hour = Duration::from_secs(3600);
    for folder in [&old, &alive] {
        fs::File::open(folder).unwrap().set_modified(SystemTime::now() - hour).unwrap();
    }
    rebase(&repo, &[]).success();
    assert!(!old.exists() && !dead.exists());
    assert!([new, alive, kept, foreign].iter().all(|path| path.exists()));
}

#[test]
fn what_one_branch_lacks_or_where_no_pack_can_be_stops_no_branch() {
    for has_no_pack in [false, true] {
        let repo = shop(&sandbox!());
        let names = many(&repo);
        let objects = repo.path().join(".git/objects");
        let file = repo.git(&["rev-parse", "b0:b0/file.txt"]).stdout;
        fs::remove_file(objects.join(&file[..2]).join(file[2..].trim_end()))
            .expect("it is a file of its own");
        if has_no_pack {
            fs::remove_dir(objects.join("pack")).expect("it is empty");
            fs::write(objects.join("pack"), "").unwrap();
        }
        rebase(&repo, &[]).success();
        all_stand_on_base(&repo, &names);
    }
}

#[test]
fn what_comes_of_many_branches_is_one_pack_and_what_is_only_judged_leaves_nothing() {
    let repo = shop(&sandbox!());
    let names = many(&repo);
    let packs = || {
        let counted = repo.git(&["count-objects", "-v"]).stdout;
        let count = |key: &str| {
            let line = counted.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|count| count.trim().parse::<usize>().ok()).expect("git counts them")
        };
        (count("count:"), count("packs:"), count("in-pack:"))
    };
    let before = packs();
    rebase(&repo, &["--check"]).success();
    assert_eq!(packs(), before);
    rebase(&repo, &[]).success();
    let (loose, packs, packed) = packs();
    // A commit and a tree each, besides their notes.
    assert_eq!((packs, packed), (before.1 + 1, before.2 + 120));
    assert!(loose - before.0 < 200, "{loose} {before:?}");
    repo.git(&["fsck", "--strict"]);
    repo.git(&["rev-list", "--objects", "--branches", "--quiet"]);
    all_stand_on_base(&repo, &names);
}
