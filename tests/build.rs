//! `git deploy-build`: what the images of a commit are called, and how they are made by real buildah and come into a real
//! registry.

use std::fs;
use std::path::PathBuf;

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::shop::WEB;
use git_deploy_testkit::{Output, Repo, Sandbox, sandbox, skip};

const NAMES: &str = "[image-name]\ncontainer-namespace = \"littleman-co\"\nproject-namespace = \"shop\"\n";
const IMAGES: &str =
    "[[image]]\nname = \"nginx\"\ncontext = \"images/nginx\"\n[[image]]\nname = \"php\"\ncontext = \"p\"\n";

fn shop(sandbox: &Sandbox, text: &str) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("deploy.toml", text, "Deploy");
    repo
}

fn names(repo: &Repo, commit: &str) -> String {
    repo.deploy("deploy-build", &["--print-names", commit]).stdout
}

#[test]
fn images_are_named_after_namespaces_container_and_commit() {
    let repo = shop(&sandbox!(), &format!("{NAMES}{IMAGES}"));
    let hash = &repo.id("HEAD")[..7];
    repo.deploy("deploy-build", &["--print-names"])
        .stdout_is(&format!("littleman-co/shop-nginx:{hash}\nlittleman-co/shop-php:{hash}\n"))
        .stderr_is("");
}

#[test]
fn how_they_are_called_comes_from_base_and_which_there_are_from_the_commit() {
    let repo =
        shop(&sandbox!(), &format!("{NAMES}hash-length = 10\n[registry]\naddress = \"r.example.org\"\n"));
    repo.branch("login");
    let grabbed = NAMES.replace("littleman-co", "somebody-else");
    let commit = repo.commit("deploy.toml", &format!("{grabbed}{IMAGES}"), "Grab a name");
    let hash = &commit[..10];
    let expected =
        format!("r.example.org/littleman-co/shop-nginx:{hash}\nr.example.org/littleman-co/shop-php:{hash}\n");
    for commit in ["HEAD", "login", &commit, "refs/heads/login"] {
        assert_eq!(names(&repo, commit), expected);
    }
    assert_eq!(names(&repo, "master"), "");
}

#[test]
fn the_work_tree_does_not_matter() {
    let repo = shop(&sandbox!(), &format!("{NAMES}{IMAGES}"));
    let before = names(&repo, "HEAD");
    repo.write("deploy.toml", "nonsense");
    assert_eq!(names(&repo, "HEAD"), before);
}

#[test]
fn a_branch_that_brings_the_first_deploy_toml_names_its_images_itself() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit_empty("Begin");
    repo.deploy_fails("there is no 'deploy.toml' in commit");
    repo.branch("deploy");
    repo.commit("deploy.toml", &format!("{NAMES}{IMAGES}"), "Deploy");
    assert!(names(&repo, "deploy").starts_with("littleman-co/shop-nginx:"));
}

#[test]
fn what_cannot_be_named_is_an_error() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox, &format!("{NAMES}hash-lenght = 9\n"));
    repo.deploy_fails("did you mean 'hash-length'?");
    repo.commit("deploy.toml", &format!("{NAMES}{IMAGES}").replace("\"nginx\"", "\"Nginx\""), "Shout");
    repo.deploy_fails("upper-case");
    let missing = repo.try_deploy("deploy-build", &["--print-names", "$(touch x)"]);
    missing.code_is(128).stderr_contains("there is no commit '$(touch x)'");
    let empty = sandbox.repository("empty");
    empty.deploy_fails("there are no commits yet");
}

/// A shop with one image, `web`, which is built from nothing with a file of the commit, and buildah's own place for it.
struct Builds {
    repo: Repo,
    store: PathBuf,
}

impl Builds {
    fn new(sandbox: &Sandbox, registry: &Registry, name: &str) -> Builds {
        let store = sandbox.root().join(format!("{name}-store"));
        fs::create_dir_all(store.join("tmp")).expect("a folder");
        let configuration = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            store.display()
        );
        fs::write(store.join("storage.conf"), configuration).expect("a file");
        fs::write(store.join("registries.conf"), "").expect("a file");
        fs::write(store.join("auth.json"), "{}").expect("a file");
        let repo = sandbox.repository(name);
        let address = format!("[registry]\naddress = \"{}\"\n", registry.address());
        let images = "[[image]]\nname = \"web\"\ncontext = \"web\"\n";
        let files = [
            ("deploy.toml", format!("{NAMES}{address}{images}")),
            ("web/Containerfile", "FROM scratch\nCOPY index.html /\n".to_owned()),
            ("web/index.html", "hello\n".to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        repo.commit_files(&files, "Begin");
        Builds { repo, store }
    }

    fn build(&self, arguments: &[&str]) -> Output {
        self.run("deploy-build", arguments)
    }

    /// A branch that is ready to be deployed.
    fn branch(&self, name: &str, path: &str, text: &str) -> String {
        self.repo.git(&["switch", "--quiet", "-c", name, "master"]);
        let id = self.repo.commit(path, text, &format!("Change {path}"));
        self.repo.git(&["switch", "--quiet", "master"]);
        self.repo.deploy("deploy-state", &["set", "deployable", name]);
        id
    }

    /// All that the rendered branch holds.
    fn rendered(&self) -> String {
        let files = self.repo.git(&["ls-tree", "-r", "--name-only", "rendered/demo"]).stdout;
        files.lines().map(|file| self.repo.git(&["show", &format!("rendered/demo:{file}")]).stdout).collect()
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let run = self.repo.command("git").arg(command).args(arguments);
        run.env("CONTAINERS_STORAGE_CONF", self.store.join("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.store.join("registries.conf"))
            .env("REGISTRY_AUTH_FILE", self.store.join("auth.json"))
            .env("TMPDIR", self.store.join("tmp"))
            .output()
    }

    /// Nothing of the commit's files is left lying about.
    #[track_caller]
    fn is_tidy(&self) {
        let left: Vec<_> = fs::read_dir(self.store.join("tmp")).expect("a folder").flatten().collect();
        let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("git-deploy")), "{left:?}");
    }
}

/// A registry, where there are one and buildah.
macro_rules! registry {
    () => {
        match Registry::plain().start() {
            Ok(_) if !on_path("buildah") => skip!("buildah is not installed"),
            Ok(registry) => registry,
            Err(missing) => skip!(&missing.to_string()),
        }
    };
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[test]
fn an_image_is_built_from_the_commit_pushed_and_used_again() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let repo = &builds.repo;
    let name = names(repo, "HEAD").trim_end().to_owned();
    // Neither what is changed nor what is new in the work tree gets into it.
    repo.write("web/Containerfile", "nonsense");
    let output = builds.build(&["--porcelain"]);
    output
        .success()
        .stderr_contains("Building")
        .stderr_contains("shop-web | STEP 1")
        .stderr_contains("Pushing");
    let line = output.line().to_owned();
    assert!(line.starts_with(&format!("built {name} sha256:")), "{line}");
    let again = builds.build(&["--porcelain"]);
    assert_eq!(again.success().line(), line.replacen("built", "there", 1));
    again.stderr_is("");
    // Another commit is another image.
    repo.git(&["checkout", "--quiet", "."]);
    repo.commit("web/index.html", "hello again\n", "Change");
    let other = builds.build(&["--porcelain"]);
    assert_ne!(other.success().line().rsplit(' ').next(), line.rsplit(' ').next());
    builds.is_tidy();
}

#[test]
fn two_checkouts_of_a_commit_make_the_same_image() {
    let (one, other) = (registry!(), registry!());
    let sandbox = sandbox!();
    let first = Builds::new(&sandbox, &one, "first");
    let second = Builds::new(&sandbox, &other, "second");
    let tree = |builds: &Builds| builds.repo.git(&["rev-parse", "HEAD:web"]).stdout;
    assert_eq!(tree(&first), tree(&second));
    // The same commit, under a registry each: base says where images go.
    second.repo.git(&[
        "fetch",
        "--quiet",
        first.repo.path().to_str().expect("UTF-8"),
        "HEAD:refs/heads/same",
    ]);
    let digest = |output: &Output| output.success().line().rsplit(' ').next().map(str::to_owned);
    let (here, there) = (first.build(&[]), second.build(&["same"]));
    assert_eq!(digest(&here), digest(&there));
    assert!(digest(&here).is_some_and(|digest| digest.starts_with("sha256:")));
}

#[test]
fn a_digest_is_written_into_the_note_of_the_commit() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.branch("login");
    let commit = builds.repo.commit("login.txt", "a\n", "Login");
    builds.repo.deploy("deploy-state", &["set", "deployable"]);
    let output = builds.build(&[]);
    let pinned = output.success().line().replacen(' ', "@", 1);
    let note = builds.repo.notes_in("refs/notes/deploy")[&commit].clone();
    assert!(note.contains(&format!("image: {pinned}\n")), "{note}");
    assert!(note.starts_with("state: deployable\n"), "{note}");
}

#[test]
fn a_name_that_something_else_has_is_not_taken() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let name = names(&builds.repo, "HEAD").trim_end().to_owned();
    let buildah = |arguments: &[&str]| {
        let run = builds.repo.command("buildah").args(arguments);
        run.env("CONTAINERS_STORAGE_CONF", builds.store.join("storage.conf"))
            .output()
            .success()
            .stdout
            .clone()
    };
    let context = builds.repo.path().join("web");
    let context = context.to_str().expect("UTF-8");
    buildah(&[
        "bud",
        "--isolation",
        "chroot",
        "--label",
        "org.opencontainers.image.revision=1234",
        "-t",
        &name,
        context,
    ]);
    buildah(&["push", "--tls-verify=false", &name]);
    let output = builds.build(&[]);
    output
        .code_is(1)
        .stdout_is("")
        .stderr_contains(&format!("'{name}' is there already"))
        .stderr_contains("from '1234'");
}

#[test]
fn what_cannot_be_built_is_one_clear_error() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.commit("web/Containerfile", "FROM scratch\nCOPY nothing /\n", "Forget a file");
    builds
        .build(&[])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("cannot build image")
        .stderr_contains("nothing");
    builds.repo.git(&["rm", "--quiet", "web/Containerfile"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Forget it"]);
    builds.build(&[]).code_is(1).stderr_contains("neither a 'Containerfile' nor a 'Dockerfile'");
    builds.build(&["--builder=kaniko"]).code_is(129).stderr_contains("kaniko");
    registry.stop();
    builds.build(&["HEAD~2"]).code_is(75).stderr_contains("cannot ask registry");
    builds.is_tidy();
}

#[test]
fn steps_prepare_the_commits_files_and_the_environment_file_reaches_them_and_the_build() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let text = fs::read_to_string(builds.repo.path().join("deploy.toml")).expect("it is there");
    let build = "[build]\nenv-file = \"build.env\"\nsteps = [\"./assets.sh\", \"echo $VERSION >web/two\"]\n";
    let files = [
        ("deploy.toml", format!("{text}{build}")),
        ("build.env", "VERSION=1.2\nNAME=\"shop $VERSION\"\n".to_owned()),
        ("assets.sh", "echo \"making $NAME\"\necho \"$NAME\" >web/one\n".to_owned()),
        (
            "web/Containerfile",
            "FROM scratch\nARG VERSION\nLABEL version=$VERSION\nCOPY one two /\n".to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    builds.repo.commit_files(&files, "Steps");
    builds.repo.git(&["update-index", "--chmod=+x", "assets.sh"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Let it run"]);
    let output = builds.build(&[]);
    output.success().stderr_contains("./assets.sh | making shop 1.2");
    assert!(!builds.repo.path().join("web/one").exists(), "the work tree is nobody's to write to");
    builds.is_tidy();
    // The first failing command ends it, also in a pipe.
    builds.repo.commit("assets.sh", "#!/bin/sh\nfalse | cat\necho not reached\n", "Fail");
    builds
        .build(&[])
        .code_is(1)
        .stderr_contains("step './assets.sh' failed")
        .lacks("not reached")
        .lacks("STEP 1");
    builds.repo.commit("build.env", "VERSION=1\nA=(\n", "Break it");
    builds
        .build(&[])
        .code_is(1)
        .stderr_contains("environment file 'build.env' has an error")
        .stderr_contains("2");
    builds.repo.git(&["rm", "--quiet", "build.env"]);
    builds.repo.git(&["commit", "--quiet", "--message", "Forget it"]);
    builds.build(&[]).code_is(1).stderr_contains("build.env");
    builds.is_tidy();
}

/// The same with an environment whose manifests name the image, and that git alone is enough for.
fn deployable(sandbox: &Sandbox, registry: &Registry) -> Builds {
    let builds = Builds::new(sandbox, registry, "shop");
    let text = fs::read_to_string(builds.repo.path().join("deploy.toml")).expect("it is there");
    let environment =
        "[environment.demo]\nkind = \"rendered\"\nbranch = \"rendered/demo\"\nmanifests = [\"deploy\"]\n";
    let image = format!("{}/littleman-co/shop-web:any", registry.address());
    let files = [
        ("deploy.toml", format!("{text}{environment}")),
        ("deploy/web.yaml", WEB.replace("littleman-co/shop-web:any", &image)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    builds.repo.commit_files(&files, "Deploy");
    builds
}

#[test]
fn a_deployment_builds_what_is_missing_and_deploys_it_by_its_digest() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let login = builds.branch("login", "web/index.html", "login\n");
    let output = builds.run("deploy", &["login"]);
    output.success().stderr_contains("Building").stderr_contains("Pushing");
    let pinned =
        builds.build(&["--porcelain", "login"]).success().line().replacen("there ", "", 1).replace(' ', "@");
    assert!(pinned.contains(&login[..7]) && pinned.contains("@sha256:"), "{pinned}");
    let rendered = builds.rendered();
    assert!(rendered.contains(&pinned), "{rendered}");
    let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
    assert!(tag.contains(&format!("Image: {pinned}\n")), "{tag}");
    // What is compared with it is compared by its digest.
    builds.run("deploy-diff", &["login"]).code_is(0).stdout_is("");
}

#[test]
fn an_image_that_cannot_be_built_is_the_branchs_verdict_and_a_registry_that_is_away_is_none() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.branch("bad", "web/Containerfile", "FROM scratch\nCOPY nothing /\n");
    builds
        .run("deploy", &[])
        .code_is(1)
        .stdout_contains("Failed Deployment")
        .stdout_contains("build: cannot build image");
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "bad"]).line(), "staged");
    let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
    assert!(tag.contains("Reason: build: "), "{tag}");
    builds.branch("good", "web/index.html", "good\n");
    registry.stop();
    builds.run("deploy", &[]).code_is(75).stderr_contains("cannot ask registry");
    assert_eq!(builds.repo.tip("refs/tags/deployment-0002"), None);
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "good"]).line(), "deployable");
    registry.start_again();
    builds.run("deploy", &[]).success();
    builds.is_tidy();
}

trait Fails {
    fn deploy_fails(&self, why: &str);
}

impl Fails for Repo {
    #[track_caller]
    fn deploy_fails(&self, why: &str) {
        self.try_deploy("deploy-build", &["--print-names"]).code_is(128).stdout_is("").stderr_contains(why);
    }
}
