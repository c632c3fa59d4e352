//! The same commit built twice: by two at once, or by two whose machines are not alike.

use std::fs;

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::{Output, Running, Store, sandbox, skip};

use crate::lab::{CONTAINERFILE, Lab, has_podman};
use crate::{lab, registry};

fn digest(output: &Output) -> String {
    let digest = output.success().line().rsplit(' ').next().unwrap_or_default();
    assert!(digest.starts_with("sha256:"), "{output}");
    digest.to_owned()
}

#[test]
fn two_who_build_the_same_at_once_both_succeed() {
    let lab = lab!(&sandbox!(), "shop", "");
    let start = || lab.command("git-deploy-build").start();
    let running = [start(), start(), start()];
    let name = lab.name();
    for running in running {
        running.wait().success().stdout_is(&format!("{name}\n"));
    }
    lab.is_tidy();
    let ids = lab.buildah(&["images", "--quiet", "--filter", &format!("reference={name}")]);
    assert_eq!(ids.lines().count(), 1, "{ids}");
}

#[test]
fn two_who_push_the_same_at_once_push_the_same() {
    let registry = registry!(Registry::plain());
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &format!("address = \"{}\"", registry.address()));
    // One of them on a machine of its own.
    let store = Store::new(sandbox.root().join("elsewhere"));
    let elsewhere = Lab { repo: lab.repo.clone(), store };
    let running = [&lab, &lab, &elsewhere].map(|lab| lab.command("git-deploy-build").start());
    let digests = running.map(|running| digest(&running.wait()));
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert_eq!(digest(&lab.build(&[])), digests[0]);
    lab.is_tidy();
    elsewhere.is_tidy();
}

#[test]
fn a_commit_is_the_same_image_whoever_builds_it_wherever() {
    let (one, other) = (registry!(Registry::plain()), registry!(Registry::plain()));
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &format!("address = \"{}\"", one.address()));
    lab.configure("[build]\nsteps = [\"mkdir web/made && date -d @$SOURCE_DATE_EPOCH >web/made/here\"]\n");
    let lines = "COPY . /all\nRUN echo made >/made && : >/all/empty\n";
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{lines}"));
    let commit = lab.commit("web/run.sh", "#!/bin/sh\r\necho 1\n");
    let first = digest(&lab.build(&[]));

    let store = Store::new(sandbox.root().join("another store"));
    fs::create_dir_all(sandbox.root().join("some/where/else")).expect("a folder");
    let second = Lab { repo: lab.repo.clone_to("some/where/else/clone"), store };
    // Where images go is base's to say, so that the same commit goes to another registry.
    second.repo.git(&["remote", "remove", "origin"]);
    let text = second.repo.read("deploy.toml").replace(&one.address(), &other.address());
    second.commit("deploy.toml", &text);
    for (key, value) in [("core.autocrlf", "true"), ("core.eol", "crlf"), ("tar.umask", "077")] {
        second.repo.set_config(key, value);
    }
    let home = second.store.path().join("home");
    fs::create_dir(&home).expect("a folder");
    fs::write(home.join("attributes"), "*.html export-ignore\n*.sh text eol=crlf\n").expect("a file");
    second.repo.set_config("core.attributesFile", home.join("attributes").to_str().expect("UTF-8"));
    // What is not committed does not matter either.
    second.repo.write("web/index.html", "changed\n");
    second.repo.write("web/new", "new\n");
    let command = second.command("sh").args(["-c", "umask 077; exec git deploy-build \"$0\"", &commit]);
    let output = command.env("HOME", &home).env("TZ", "Pacific/Kiritimati").env("LC_ALL", "C.UTF-8").output();
    assert_eq!(digest(&output), first);
    assert!(output.line().starts_with(&other.address()), "{output}");
}

#[test]
fn what_was_pushed_is_not_kept_twice() {
    let registry = registry!(Registry::plain());
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &format!("address = \"{}\"", registry.address()));
    let foreign = ["bud", "--isolation", "chroot", "--tag", "somebody/elses:1", "web"];
    lab.command("buildah").args(foreign).output().success();
    let images = || lab.buildah(&["images", "--all", "--format", "{{.Name}}:{{.Tag}}"]);
    let before = images();
    let first = digest(&lab.build(&[]));
    assert_eq!(images(), before);
    // Nobody has it any more, and it is the same again.
    let storage = registry.storage();
    registry.stop();
    lab.repo.commit_empty("Another image");
    lab.build(&[]).code_is(75);
    fs::remove_dir_all(storage.join("docker")).expect("it is there");
    registry.start_again();
    assert_eq!(digest(&lab.build(&["HEAD~1"])), first);
    assert_eq!(images(), before);
    // Where it is not pushed it is kept here alone.
    let text = lab.repo.read("deploy.toml").replace("address", "# address");
    lab.commit("deploy.toml", &text);
    lab.build(&[]).success();
    assert_eq!(images().lines().count(), before.lines().count() + 1);
}

#[test]
fn two_who_build_at_once_do_not_take_each_others_image_away() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{}\"", registry.address()));
    for round in 0..6 {
        lab.commit("web/index.html", &format!("hello {round}\n"));
        let running: Vec<_> = (0..4).map(|_| lab.command("git-deploy-build").start()).collect();
        // A registry that gets one blob from several at once may lose sight of it: whoever hears of that tries again.
        let ended = |running: Running| match running.wait() {
            output if output.code == Some(75) => lab.build(&[]),
            output => output,
        };
        let digests: Vec<String> = running.into_iter().map(|running| digest(&ended(running))).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    }
    // Buildah itself may forget one of its own names then.
    let names = lab.buildah(&["images", "--format", "{{.Name}}"]);
    assert!(!names.contains("shop-web"), "{names}");
    lab.is_tidy();
}

#[test]
fn podman_keeps_the_layers_that_a_next_build_begins_with() {
    let registry = registry!(Registry::plain());
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &format!("address = \"{}\"", registry.address()));
    if !has_podman(&sandbox) {
        skip!("podman is not installed");
    }
    lab.repo.set_config("deploy.builder", "podman");
    lab.build(&[]).success().lacks("Using cache");
    lab.has_no_image();
    lab.commit("web/index.html", "hello again\n");
    lab.build(&[]).success().stderr_contains("Using cache");
    lab.has_no_image();
}
