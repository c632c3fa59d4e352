//! Shops whose images are built.

use std::fs;
use std::path::Path;

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::shop::WEB;
use git_deploy_testkit::{Output, Repo, Run, Sandbox, Store};

pub(crate) const NAMES: &str =
    "[image-name]\ncontainer-namespace = \"littleman-co\"\nproject-namespace = \"shop\"\n";

/// The one image of a shop.
pub(crate) const IMAGE: &str = "[[image]]\nname = \"web\"\ncontext = \"web\"\n";

/// Static programs that need nothing else.
const BUSYBOX: &str = "/bin/busybox";

/// The names of a commit's images.
pub(crate) fn names(repo: &Repo, commit: &str) -> String {
    repo.deploy("deploy-build", &["--print-names", commit]).stdout
}

/// A shop with one image, `web`, which is built from nothing with a file of the commit, and buildah's own place for it.
pub(crate) struct Builds {
    pub(crate) repo: Repo,
    pub(crate) store: Store,
}

impl Builds {
    pub(crate) fn new(sandbox: &Sandbox, registry: &Registry, name: &str) -> Builds {
        let store = Store::new(sandbox.root().join(format!("{name}-store")));
        let repo = sandbox.repository(name);
        let address = format!("[registry]\naddress = \"{}\"\n", registry.address());
        let files = [
            ("deploy.toml", format!("{NAMES}{address}{IMAGE}")),
            ("web/Containerfile", "FROM scratch\nCOPY index.html /\n".to_owned()),
            ("web/index.html", "hello\n".to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        repo.commit_files(&files, "Begin");
        Builds { repo, store }
    }

    pub(crate) fn build(&self, arguments: &[&str]) -> Output {
        self.run("deploy-build", arguments)
    }

    /// Commits a file that is made of what it was.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(String) -> String) -> String {
        let text = self.repo.git(&["show", &format!("HEAD:{path}")]).stdout;
        self.repo.commit(path, &change(text), &format!("Change {path}"))
    }

    /// Commits static programs into the context, for images without anything else.
    pub(crate) fn with_programs(&self, names: &[&str]) {
        let folder = self.repo.path().join("web/bin");
        fs::create_dir_all(&folder).expect("a folder");
        for name in names {
            fs::copy(BUSYBOX, folder.join(name)).expect("it was looked for");
        }
        self.repo.git(&["add", "web/bin"]);
        self.repo.git(&["commit", "--quiet", "--message", "Bring programs"]);
    }

    /// The labels of an image that the registry has, by the line that `--porcelain` printed.
    pub(crate) fn labels(&self, registry: &Registry, line: &str) -> serde_json::Value {
        let blob = |digest: &str| {
            let digest = digest.trim_start_matches("sha256:");
            let path = format!("docker/registry/v2/blobs/sha256/{}/{digest}/data", &digest[..2]);
            let bytes = fs::read(registry.storage().join(path)).expect("the registry has it");
            serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON")
        };
        let manifest = blob(line.rsplit(' ').next().unwrap_or_default());
        blob(manifest["config"]["digest"].as_str().expect("a digest"))["config"]["Labels"].clone()
    }

    /// What a commit's image is called.
    pub(crate) fn image(&self, container: &str, commit: &str) -> String {
        let names = names(&self.repo, commit);
        let name = names.lines().find(|name| name.contains(&format!("-{container}:")));
        name.expect("there is such an image").to_owned()
    }

    /// A branch that is ready to be deployed.
    pub(crate) fn branch(&self, name: &str, path: &str, text: &str) -> String {
        self.repo.git(&["switch", "--quiet", "-c", name, "master"]);
        let id = self.repo.commit(path, text, &format!("Change {path}"));
        self.repo.git(&["switch", "--quiet", "master"]);
        self.repo.deploy("deploy-state", &["set", "deployable", name]);
        id
    }

    /// All that the rendered branch holds.
    pub(crate) fn rendered(&self) -> String {
        let files = self.repo.git(&["ls-tree", "-r", "--name-only", "rendered/demo"]).stdout;
        files.lines().map(|file| self.repo.git(&["show", &format!("rendered/demo:{file}")]).stdout).collect()
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output()
    }

    /// That program itself, so that what is killed is it.
    pub(crate) fn run_of(&self, program: &str) -> Run {
        self.repo.command(program).with_store(&self.store)
    }

    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Run {
        self.repo.command("git").arg(command).args(arguments).with_store(&self.store)
    }

    /// Nothing of the commit's files is left lying about.
    #[track_caller]
    pub(crate) fn is_tidy(&self) {
        let left: Vec<_> = fs::read_dir(self.store.temporary()).expect("a folder").flatten().collect();
        let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("git-deploy")), "{left:?}");
    }
}

/// The same with an environment whose manifests name the image, and that git alone is enough for.
pub(crate) fn deployable(sandbox: &Sandbox, registry: &Registry) -> Builds {
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

/// A registry, where there are one and buildah.
macro_rules! registry {
    () => {
        match git_deploy_testkit::registry::Registry::plain().start() {
            Ok(_) if !$crate::scene::on_path("buildah") => {
                git_deploy_testkit::skip!("buildah is not installed")
            }
            Ok(registry) => registry,
            Err(missing) => git_deploy_testkit::skip!(&missing.to_string()),
        }
    };
}

/// Whether [`Builds::with_programs`] can be used.
pub(crate) fn has_programs() -> bool {
    Path::new(BUSYBOX).is_file()
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

pub(crate) use registry;
