//! A registry in trouble: nobody's fault, or something to be mended, and the same commit will do afterwards.

use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::shop::WEB;
use git_deploy_testkit::{Sandbox, sandbox, skip};

use crate::between::{Between, Way};
use crate::lab::{Lab, files};
use crate::{lab, registry};

/// More than asking takes, and less than an image has.
const IN_THE_MIDDLE: usize = 300_000;

fn at(address: &str) -> String {
    format!("address = \"{address}\"")
}

/// Nothing bears the tag there.
#[track_caller]
fn has_no_tag(registry: &Registry) {
    let repository = registry.storage().join("docker/registry/v2/repositories/littleman-co/shop-web");
    let tags = repository.join("_manifests/tags");
    assert!(!tags.exists() || files(&tags).is_empty(), "{:?}", files(&tags));
}

impl Lab {
    /// An environment that git alone is enough for, and a branch that is ready for it.
    pub(crate) fn deployable(self, registry: &str) -> Self {
        let image = format!("{registry}/littleman-co/shop-web:any");
        self.commit("deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", &image));
        self.configure(
            "[environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\nmanifests = [\"deploy\"]\n",
        );
        self.repo.branch("login");
        self.commit("web/index.html", "login\n");
        self.repo.switch("master");
        self.repo.deploy("deploy-state", &["set", "deployable", "login"]);
        self
    }

    #[track_caller]
    pub(crate) fn still_waits(&self) {
        assert_eq!(self.repo.deploy("deploy-state", &["get", "login"]).line(), "deployable");
        let queue = self.repo.deploy("deploy-queue", &["list", "--porcelain"]).stdout;
        assert!(queue.contains("refs/heads/login"), "{queue}");
        self.is_tidy();
    }
}

#[test]
fn a_registry_that_goes_away_in_the_middle_of_a_push_has_no_tag_and_the_next_try_pushes() {
    let registry = registry!(Registry::plain());
    let between = Between::start(&[Way::Until(registry.address(), IN_THE_MIDDLE)]);
    let lab = lab!(&sandbox!(), "shop", &at(&between.address)).deployable(&between.address);
    let output = lab.build(&[]);
    output.code_is(75).stdout_is("").stderr_contains("Pushing").stderr_contains("error: cannot push image");
    lab.is_tidy();
    has_no_tag(&registry);
    // Of a deployment it is nobody's fault: no verdict about the branch, which waits.
    between.all(Way::Until(registry.address(), IN_THE_MIDDLE));
    lab.deploy(&[]).code_is(75).stderr_contains("cannot push image");
    assert_eq!(lab.repo.tip("refs/tags/deployment-0001"), None);
    lab.still_waits();
    has_no_tag(&registry);
    between.all(Way::To(registry.address()));
    lab.build(&["--porcelain"]).success().stdout_contains("built ");
    lab.deploy(&[]).success().stdout_contains("Successfully Deployed");
    lab.is_tidy();
}

#[test]
fn a_registry_that_is_not_there_is_nobodys_fault() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &at(&registry.address())).deployable(&registry.address());
    registry.stop();
    let hint = format!(
        "hint: see whether '{}' can be reached from here, and is right: it is [registry] address in deploy.toml of base\n",
        registry.address()
    );
    let output = lab.build(&[]);
    output
        .code_is(75)
        .stdout_is("")
        .stderr_contains("cannot ask registry")
        .stderr_contains(&hint)
        .lacks("Building");
    lab.deploy(&[]).code_is(75).stderr_contains("cannot ask registry").stderr_contains(&hint);
    lab.still_waits();
    registry.start_again();
    lab.deploy(&[]).success();
}

/// What stands behind this machine's name, so that its certificate counts, and a lab that pushes there.
fn by_name(sandbox: &Sandbox, ways: &[Way]) -> Result<(Between, Lab), String> {
    Lab::possible()?;
    let between = Between::by_name(ways).ok_or("the name of this machine does not resolve to it")?;
    let lab = Lab::new(sandbox, "shop", &at(&between.address));
    Ok((between, lab))
}

macro_rules! by_name {
    ($sandbox:expr, $ways:expr) => {
        match by_name($sandbox, $ways) {
            Ok(both) => both,
            Err(why) => skip!(&why),
        }
    };
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_also_when_it_comes_in_the_middle() {
    let (known, unknown) = (registry!(Registry::with_tls()), registry!(Registry::with_tls()));
    let [good, bad] = [&known, &unknown].map(|registry| Way::To(registry.address()));
    let sandbox = sandbox!();
    let (between, lab) = by_name!(&sandbox, std::slice::from_ref(&bad));
    let build = || {
        let command = lab.command("git").arg("deploy-build");
        command.env("SSL_CERT_FILE", known.authority()).output()
    };
    let output = build();
    output
        .code_is(128)
        .stderr_contains("cannot ask registry")
        .stderr_contains("its certificate is not accepted")
        .stderr_contains("hint: put the certificate of the authority");
    assert_eq!(between.connections(), 1, "nothing was sent to it");
    // The second connection asks whether somebody was faster, the third is buildah's.
    for (ways, said) in [
        (vec![good.clone(), bad.clone()], "its certificate is not accepted"),
        (vec![good.clone(), good.clone(), bad], "x509: certificate signed by unknown authority"),
    ] {
        between.ways(&ways);
        let output = build();
        output.code_is(128).stdout_is("").stderr_contains("Building").stderr_contains(said);
        output.stderr_contains("hint: put the certificate of the authority");
        has_no_tag(&known);
        has_no_tag(&unknown);
        lab.is_tidy();
    }
    between.all(good);
    build().success();
}

#[test]
fn somebody_who_may_not_push_is_told_to_log_in() {
    let registry = registry!(Registry::plain().with_password());
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &at(&registry.address()));
    lab.build(&[])
        .code_is(128)
        .stderr_contains("access is denied with status 401, there are no credentials for it")
        .stderr_contains("hint: log in with 'buildah login");
    // A registry that everybody may read, and not everybody write to.
    let between = Between::start(&[Way::Answer(|request| match request {
        line if line.starts_with("GET /v2/ ") => ("200 OK", "{}"),
        line if line.starts_with("GET ") => {
            ("404 Not Found", r#"{"errors": [{"code": "MANIFEST_UNKNOWN"}]}"#)
        }
        _ => ("403 Forbidden", r#"{"errors": [{"code": "DENIED", "message": "not yours"}]}"#),
    })]);
    let lab = lab!(&sandbox, "other", &at(&between.address));
    for said in ["403 (Forbidden)", "denied: not yours"] {
        let output = lab.build(&[]);
        output.code_is(128).stderr_contains("cannot push image").stderr_contains(said);
        output.stderr_contains("hint: log in with");
        lab.is_tidy();
        // One that is refused only when it writes.
        between.all(Way::Answer(|request| match request {
            line if line.starts_with("GET /v2/ ") => ("200 OK", "{}"),
            line if line.starts_with("POST ") => {
                ("403 Forbidden", r#"{"errors": [{"code": "DENIED", "message": "not yours"}]}"#)
            }
            _ => ("404 Not Found", r#"{"errors": [{"code": "MANIFEST_UNKNOWN"}]}"#),
        }));
    }
}

#[test]
fn trouble_of_a_registry_passes_and_is_tried_again_within_limits() {
    let between = Between::start(&[Way::Answer(|_| ("503 Service Unavailable", ""))]);
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", &at(&between.address)).deployable(&between.address);
    lab.build(&[]).code_is(75).stderr_contains("it has trouble of its own (status 503)").lacks("Building");
    assert!((4..20).contains(&between.connections()), "{}", between.connections());
    lab.deploy(&[]).code_is(75);
    lab.still_waits();
    between.all(Way::Answer(|request| match request {
        line if line.starts_with("GET /v2/ ") => ("200 OK", "{}"),
        line if line.starts_with("GET ") => {
            ("404 Not Found", r#"{"errors": [{"code": "MANIFEST_UNKNOWN"}]}"#)
        }
        _ => ("500 Internal Server Error", ""),
    }));
    lab.build(&[]).code_is(75).stderr_contains("cannot push image").stderr_contains("500");
    assert!(between.connections() < 100, "{}", between.connections());
    lab.is_tidy();
}

#[test]
fn a_push_to_a_registry_that_says_nothing_is_ended_as_a_whole() {
    let registry = registry!(Registry::plain());
    let ask = Way::To(registry.address());
    // It is asked twice, each time first whether it speaks TLS.
    let between = Between::start(&[ask.clone(), ask.clone(), ask.clone(), ask, Way::Silence]);
    let lab = lab!(&sandbox!(), "shop", &at(&between.address));
    let mut running = lab.command("git-deploy-build").start();
    running.wait_for_words("Pushing");
    eventually("buildah is at it", || between.connections() > 4);
    running.interrupt();
    running.wait().code_is(130);
    assert!(!crate::lab::is_running(&format!("docker://{}", lab.name())), "buildah goes on");
    lab.is_tidy();
    has_no_tag(&registry);
    between.all(Way::To(registry.address()));
    lab.build(&[]).success();
}

#[test]
fn a_lookup_at_a_registry_that_says_nothing_ends_with_ctrl_c() {
    let between = Between::start(&[Way::Silence]);
    let lab = lab!(&sandbox!(), "shop", &at(&between.address)).deployable(&between.address);
    for command in ["git-deploy-build", "git-deploy"] {
        between.all(Way::Silence);
        let mut running = lab.command(command).start();
        eventually("it is asked", || between.connections() > 0);
        let asked = Instant::now();
        running.interrupt();
        let output = running.wait();
        output.code_is(130).stderr_contains("error: interrupted");
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?} of 30 s\n{output}", asked.elapsed());
        lab.still_waits();
    }
}

#[test]
fn what_registries_conf_says_of_a_registry_holds_for_a_lookup_and_for_a_push() {
    let registry = registry!(Registry::plain());
    let sandbox = sandbox!();
    let (between, lab) = by_name!(&sandbox, &[Way::To(registry.address())]);
    let machine = between.address.split(':').next().expect("a host").to_owned();
    let of = |location: &str, more: &str| format!("[[registry]]\nlocation = \"{location}\"\n{more}\n");
    let (whole, port) = (of(&machine, "insecure = true"), between.address);
    // The longest that fits counts, wherever it stands.
    for of_port in [of(&port, "insecure = false"), of(&format!("{port}/littleman-co/"), "")] {
        for lines in [format!("{whole}{of_port}"), format!("{of_port}{whole}")] {
            let lab = Lab { store: lab.store.clone().registries(&lines), repo: lab.repo.clone() };
            lab.build(&[]).code_is(128).stderr_contains("it does not speak TLS").lacks("Building");
        }
    }
    // Where images come from instead, or are to be found too, says nothing about where they are pushed to.
    let elsewhere = "[[registry.mirror]]\nlocation = \"127.0.0.1:1/mirror\"";
    let lines = format!(
        "{whole}[[registry]]\nprefix = \"{port}/littleman-co\"\nlocation = \"127.0.0.1:1\"\ninsecure = true\n{elsewhere}\n"
    );
    // A user's own file comes in place of the machine's, and what stands beside it comes on top.
    let settings = sandbox.home().join(".config/containers/registries.conf.d");
    std::fs::create_dir_all(&settings).expect("a folder");
    std::fs::write(settings.join("10-shop.conf"), &lines).expect("a file");
    std::fs::write(settings.join("20-shop.txt"), of(&port, "insecure = false")).expect("a file");
    let lab = Lab { store: lab.store.clone().registries(&of(&port, "insecure = false")), repo: lab.repo };
    let line = lab.build(&["--porcelain"]).success().line().to_owned();
    assert!(line.starts_with("built "), "{line}");
    lab.build(&["--porcelain"]).success().stdout_is(&format!("{}\n", line.replacen("built", "there", 1)));
}

#[test]
fn an_image_of_a_registry_on_this_machine_can_be_built_on() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &at(&registry.address()));
    let base = format!("{}/base/sh:1", registry.address());
    let context = lab.repo.path().join("web").display().to_string();
    lab.buildah(&["bud", "--isolation", "chroot", "--tag", &base, &context]);
    lab.buildah(&["push", "--tls-verify=false", &base]);
    lab.buildah(&["rmi", &base]);
    let lines = "COPY index.html /index.html\nFROM first AS last\nCOPY --from=first /index.html /again\n";
    lab.commit("web/Containerfile", &format!("FROM {base} AS first\n{lines}"));
    lab.build(&["--porcelain"]).success().stdout_contains("built ");
}
