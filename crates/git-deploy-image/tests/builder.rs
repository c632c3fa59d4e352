//! Images are built from exports of commits, by real buildah, and pushed to a real registry.
//!
//! Podman and docker need what a test machine rarely has; what they are told is shown where their command lines are made.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "support/store.rs"]
mod store;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use git_deploy_image::builder::{Build, BuildError, Builder, Built, Failure, NoBuilder, Tool, Watch};
use git_deploy_image::{Cause, ImageName, ImageRepository, Insecure};
use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::skip;
use store::{Store, write};

/// Nobody listens, and nobody stops it.
macro_rules! quiet {
    () => {
        Watch { cancelled: &|| false, tell: &mut |_| {} }
    };
}

macro_rules! buildah {
    ($store:expr) => {
        match $store.buildah() {
            Ok(tool) => tool,
            Err(why) => skip!(&why),
        }
    };
}

macro_rules! registry {
    ($options:expr) => {
        match $options.start() {
            Ok(registry) => registry,
            Err(missing) => skip!(&missing.to_string()),
        }
    };
}

#[test]
fn an_image_is_built_from_a_context_with_its_arguments_and_labels() {
    let store = Store::new();
    let tool = buildah!(store);
    let mut build = store.export("a", "ARG VERSION\nRUN test \"$VERSION\" = '1.2 b' && echo said aloud\n");
    build.arguments =
        vec![("VERSION".to_owned(), "1.2 b".to_owned()), ("NOBODYS".to_owned(), "1".to_owned())];
    let mut said = Vec::new();
    let watch = &mut Watch { cancelled: &|| false, tell: &mut |line| said.push(line.text) };
    let built = tool.build(&build, &image("r.example"), watch).unwrap();
    assert!(said.iter().any(|line| line == "said aloud"), "{said:?}");
    let local = tool.local(&image("r.example")).unwrap().unwrap();
    assert_eq!(local.image_id, built.image_id);
    assert_eq!(local.revision.as_deref(), Some(build.commit.as_str()));
    let labels = buildah(&store, &["inspect", "--type", "image", &built.image_id]);
    for label in ["image.created\": \"2023-11-14T22:13:20Z", "image.source\": \"https://git.example.org/shop"]
    {
        assert!(labels.contains(label), "{label} is not in {labels}");
    }
    assert_eq!(tool.local(&image("other.example")).unwrap(), None);
}

#[test]
fn the_same_commit_gives_the_same_digest_from_two_exports() {
    let (first, second) = (Store::new(), Store::new());
    let registry = registry!(Registry::plain());
    let mut digests = Vec::new();
    for (store, name) in [(&first, "checkout"), (&second, "another-one")] {
        let tool = buildah!(store);
        let build =
            store.export(name, "COPY www /www\nRUN mkdir /made && echo $SOURCE_DATE_EPOCH >/made/here\n");
        // What differs between two checkouts: when their files were written.
        if name == "checkout" {
            let mut touch = Command::new("touch");
            touch.args(["-d", "2001-02-03", "www/index.html", "www", "busybox"]);
            assert!(touch.current_dir(build.tree.join("images/web")).status().unwrap().success());
        }
        let image = image_in(&registry.address(), name);
        let built = tool.build(&build, &image, &mut quiet!()).unwrap();
        digests.push((built.image_id.clone(), push(&tool, &built, &image).unwrap()));
    }
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0].1.as_str().starts_with("sha256:"));
}

#[test]
fn a_containerfile_comes_before_a_dockerfile_and_one_of_them_must_be_there() {
    let store = Store::new();
    let tool = buildah!(store);
    let build = store.export("a", "");
    let web = build.tree.join("images/web");
    write(&web.join("Dockerfile"), "FROM scratch\nCOPY nothing /\n");
    tool.build(&build, &image("a.example"), &mut quiet!()).unwrap();
    fs::rename(web.join("Containerfile"), web.join("Dockerfile")).unwrap();
    tool.build(&build, &image("b.example"), &mut quiet!()).unwrap();
    fs::remove_file(web.join("Dockerfile")).unwrap();
    let error = tool.build(&build, &image("c.example"), &mut quiet!()).unwrap_err();
    assert_eq!(error.cause(), Cause::Commit);
    assert_eq!(
        error.to_string(),
        "cannot build image 'c.example/littleman-co/shop-web:a4945f8': there is neither a 'Containerfile' nor a \
         'Dockerfile' in 'images/web'"
    );
}

#[test]
fn a_context_is_a_directory_of_the_commit_and_nothing_leads_out_of_it() {
    let store = Store::new();
    let tool = buildah!(store);
    let build = store.export("a", "");
    let images = build.tree.join("images");
    symlink("/etc", images.join("outside")).unwrap();
    fs::create_dir(images.join("linked")).unwrap();
    symlink("/etc/passwd", images.join("linked/Containerfile")).unwrap();
    fs::create_dir(images.join("broken")).unwrap();
    symlink("nowhere", images.join("broken/Containerfile")).unwrap();
    for (context, said) in [
        ("images/api", "its context 'images/api' is no directory of the commit"),
        ("images/web/busybox", "its context 'images/web/busybox' is no directory of the commit"),
        ("images/outside", "'images/outside' leads out of the commit's files"),
        ("../..", "'../..' leads out of the commit's files"),
        ("/etc", "'/etc' leads out of the commit's files"),
        ("images/linked", "'images/linked/Containerfile' leads out of the commit's files"),
        ("images/broken", "'images/broken/Containerfile' is no file"),
    ] {
        let build = Build { context: context.into(), ..build.clone() };
        let error = tool.build(&build, &image("r.example"), &mut quiet!()).unwrap_err();
        assert!(error.to_string().ends_with(said), "{error}");
        assert_eq!(error.cause(), Cause::Commit);
    }
    // What the context has of links does not matter: they are followed inside of it.
    symlink("/etc/passwd", build.tree.join("images/web/www/passwd")).unwrap();
    let build = store.export("a", "COPY www/passwd /stolen\n");
    tool.build(&build, &image("r.example"), &mut quiet!()).unwrap_err();
}

#[test]
fn a_containerfile_that_fails_is_shown_with_its_status_and_last_lines() {
    let store = Store::new();
    let tool = buildah!(store);
    let build = store.export("a", "RUN echo first; printf 'no \\033[31mpaint\\n' >&2; exit 7\n");
    let error = tool.build(&build, &image("r.example"), &mut quiet!()).unwrap_err();
    assert_eq!(error.cause(), Cause::Commit);
    let begin = "cannot build image 'r.example/littleman-co/shop-web:a4945f8': 'buildah' failed with exit status 7 at \
                 step 'RUN echo first; printf ";
    let text = error.to_string();
    assert!(text.starts_with(begin), "{text}");
    assert!(text.ends_with("': first | no paint") || text.ends_with("': no paint | first"), "{text}");
    let lines = error.last_lines().join("\n");
    assert!(lines.contains("\nfirst\n") && lines.contains("paint") && !lines.contains('\x1b'), "{lines}");
    assert_eq!(tool.local(&image("r.example")).unwrap(), None);
    assert_eq!(buildah(&store, &["containers", "--quiet"]), "", "nothing is left of it");
    tool.build(&store.export("a", ""), &image("r.example"), &mut quiet!()).unwrap();
}

#[test]
fn what_is_missing_is_named_by_its_path_in_the_commit_and_by_no_other() {
    let store = Store::new();
    let tool = buildah!(store);
    let build = store.export("a", "COPY nothing /\n");
    let mut told = Vec::new();
    let mut tell = |line: git_deploy_image::run::Line| told.push(line.text);
    let mut watch = Watch { cancelled: &|| false, tell: &mut tell };
    let error = tool.build(&build, &image("r.example"), &mut watch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build image 'r.example/littleman-co/shop-web:a4945f8': 'buildah' failed with exit status 125 at step \
         'COPY nothing /': 'images/web/nothing' is not there"
    );
    assert_eq!(error.cause(), Cause::Commit);
    told.extend_from_slice(error.last_lines());
    let tree = build.tree.display().to_string();
    assert!(!told.iter().any(|line| line.contains(&tree)), "{told:?}");
    assert!(told.iter().any(|line| line.contains("\"images/web\"")), "{told:?}");
}

#[test]
fn a_build_that_hangs_is_ended_with_all_that_it_started() {
    let store = Store::new();
    // Long enough for a machine that has other things to do to come to the step that hangs.
    let limit = Duration::from_secs(20);
    let tool = buildah!(store).time_limit(limit);
    // A number that nobody else sleeps for.
    let naps = format!("48{}", std::process::id());
    let lines = format!("COPY busybox /bin/sleep\nRUN echo tired; sleep {naps} & sleep {naps}\n");
    let build = store.export("a", &lines);
    let error = tool.build(&build, &image("r.example"), &mut quiet!()).unwrap_err();
    let BuildError::Failed { why, last_lines, .. } = &error else { panic!("{error}") };
    assert_eq!(*why, Failure::TimedOut(limit));
    assert!(last_lines.iter().any(|line| line == "tired"), "{last_lines:?}");
    assert_eq!(error.cause(), Cause::Commit, "a queue would wait for it for ever");
    assert!(!is_running(&naps), "somebody sleeps still");
    assert_eq!(tool.local(&image("r.example")).unwrap(), None);
}

#[test]
fn whenever_a_build_is_stopped_nothing_bears_its_name() {
    let store = Store::new();
    let tool = buildah!(store);
    let build = store.export("a", "COPY www /www\nRUN echo done\n");
    let mut stopped = 0;
    for after in 0.. {
        let lines = std::cell::Cell::new(0);
        let watch =
            &mut Watch { cancelled: &|| lines.get() > after, tell: &mut |_| lines.set(lines.get() + 1) };
        match tool.build(&build, &image("r.example"), watch) {
            Ok(_) => break,
            Err(BuildError::Failed { why: Failure::Cancelled, .. }) => stopped += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(tool.local(&image("r.example")).unwrap(), None, "after {after} lines");
    }
    assert!(stopped > 3, "{stopped}");
    assert!(tool.local(&image("r.example")).unwrap().is_some());
}

#[test]
fn two_builds_of_one_image_at_once_do_not_disturb_each_other() {
    let store = Store::new();
    let tool = buildah!(store);
    let builds = ["a", "b"].map(|name| store.export(name, "COPY www /www\nRUN echo done\n"));
    let ids = std::thread::scope(|scope| {
        let started = builds.each_ref().map(|build| {
            let tool = &tool;
            scope.spawn(move || tool.build(build, &image("r.example"), &mut quiet!()).unwrap().image_id)
        });
        started.map(|build| build.join().unwrap())
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(tool.local(&image("r.example")).unwrap().unwrap().image_id, ids[0]);
}

#[test]
fn a_disk_without_space_is_said_and_not_the_commits_fault() {
    let store = Store::new();
    let real = buildah!(store);
    let mount = "mount -t tmpfs -o size=1m none \"$0\"";
    let is_allowed = Command::new("unshare").args(["-m", "sh", "-c", mount]).arg(store.path("tmp")).status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        skip!("mounts are not allowed here");
    }
    // Each call of it has a small disk of its own.
    let buildah = on_path("buildah");
    let script = format!(
        "#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs -o size=1m none \"$0\" && exec {buildah} \"$@\"' {} \"$@\"\n",
        store.path("graph").display()
    );
    fs::create_dir_all(store.path("graph")).unwrap();
    let search_path = programs(&store, &[("buildah", &script)]);
    let tool = Tool::find(None, &search_path, &store.environment()).unwrap();
    let error = tool.build(&store.export("a", ""), &image("r.example"), &mut quiet!()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("'buildah' has no space left on the disk"), "{text}");
    assert_eq!(error.cause(), Cause::Setup);
    assert!(error.hint().is_some_and(|hint| hint.contains("'buildah rmi --prune'")), "{:?}", error.hint());
    assert_eq!(real.local(&image("r.example")).unwrap(), None);
}

#[test]
fn a_registry_that_is_away_bad_or_closed_is_an_error_with_its_cause() {
    let store = Store::new();
    let tool = buildah!(store);
    let (plain, tls) = (registry!(Registry::plain()), registry!(Registry::with_tls()));
    let closed = registry!(Registry::plain().with_password());
    let built = tool.build(&store.export("a", ""), &image("r.example"), &mut quiet!()).unwrap();
    plain.stop();
    for (registry, insecure, cause, said, hint) in [
        (&plain, Insecure::loopback(), Cause::Passing, "connection refused", ""),
        (
            &tls,
            Insecure::none(),
            Cause::Setup,
            "x509: certificate signed by unknown authority",
            "/etc/containers/certs.d/",
        ),
        (&closed, Insecure::loopback(), Cause::Setup, "authentication required", "'buildah login'"),
        (
            &closed,
            Insecure::none(),
            Cause::Setup,
            "server gave HTTP response to HTTPS client",
            "insecure = true",
        ),
    ] {
        let image = image(&registry.address());
        let error = tool.push(&built, &image, &insecure, &mut quiet!()).unwrap_err();
        assert_eq!(error.cause(), cause, "{error}");
        assert!(
            error.to_string().starts_with(&format!("cannot push image '{image}': 'buildah' failed")),
            "{error}"
        );
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{:?}", error.hint());
    }
    plain.start_again();
    push(&tool, &built, &image(&plain.address())).unwrap();
    push(&tool, &built, &image(&tls.address())).unwrap();
}

#[test]
fn the_first_builder_that_works_is_taken_unless_one_is_chosen() {
    let store = Store::new();
    let (works, broken) = ("#!/bin/sh\nexit 0\n", "#!/bin/sh\necho no daemon >&2\nexit 1\n");
    let find = |programs_there: &[(&str, &str)], choice| {
        let path = programs(&store, programs_there);
        Tool::find(choice, &path, &[]).map(|tool| tool.builder())
    };
    assert!(matches!(find(&[], None), Err(NoBuilder::None)));
    assert_eq!(find(&[("docker", works), ("podman", works)], None).unwrap(), Builder::Podman);
    assert_eq!(
        find(&[("docker", works), ("podman", works)], Some(Builder::Docker)).unwrap(),
        Builder::Docker
    );
    assert_eq!(find(&[("buildah", broken), ("docker", works)], None).unwrap(), Builder::Docker);
    assert!(matches!(
        find(&[("docker", works)], Some(Builder::Buildah)),
        Err(NoBuilder::Missing(Builder::Buildah))
    ));
    let error = find(&[("docker", broken)], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no program that builds images works: 'docker' failed with exit status 1: no daemon"
    );
    assert!("kaniko".parse::<Builder>().is_err());
}

fn push(tool: &Tool, built: &Built, image: &ImageName) -> Result<git_deploy_image::Digest, BuildError> {
    tool.push(built, image, &Insecure::loopback(), &mut quiet!())
}

fn image(registry: &str) -> ImageName {
    image_in(registry, "shop")
}

fn image_in(registry: &str, project: &str) -> ImageName {
    ImageRepository::new(Some(registry), "littleman-co", project, "web").unwrap().tagged("a4945f8").unwrap()
}

fn buildah(store: &Store, arguments: &[&str]) -> String {
    let output = Command::new("buildah").args(arguments).envs(store.environment()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A search path with these programs alone, and what scripts need.
fn programs(store: &Store, programs: &[(&str, &str)]) -> std::ffi::OsString {
    let directory = store.path("bin");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    for (name, script) in programs {
        // By another process: what is open here for writing, those that other tests start just now hold open too.
        let write = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
        let mut shell = Command::new("sh");
        assert!(shell.args(["-c", write]).arg(directory.join(name)).arg(script).status().unwrap().success());
    }
    directory.into_os_string()
}

fn on_path(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file());
    found.unwrap().display().to_string()
}

fn is_running(word: &str) -> bool {
    let has = |path: &Path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|argument| OsStr::new(word) == String::from_utf8_lossy(argument).as_ref())
    };
    fs::read_dir("/proc").unwrap().flatten().any(|entry| has(&entry.path()))
}
