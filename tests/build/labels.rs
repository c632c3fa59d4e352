//! What an image says of itself.

use git_deploy_testkit::sandbox;

use crate::scene::{Builds, registry};

const SOURCE: &str = "[build]\nsource = \"https://git.example.org/littleman-co/shop\"\n";

#[test]
fn an_image_says_which_commit_it_was_made_of_where_its_sources_are_and_when_they_were_committed() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.git(&["remote", "add", "origin", "https://ada:secret@elsewhere.example.org/shop"]);
    builds.change("deploy.toml", |text| format!("{text}{SOURCE}"));
    let output = builds.build(&["--porcelain"]);
    let labels = builds.labels(&registry, output.success().line());
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].as_str().map(str::to_owned);
    assert_eq!(label("revision").as_deref(), Some(builds.repo.id("HEAD").as_str()), "{labels}");
    assert_eq!(label("source").as_deref(), Some("https://git.example.org/littleman-co/shop"), "{labels}");
    let seconds = builds.repo.git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"]);
    assert_eq!(label("created").as_deref(), Some(seconds.line()), "{labels}");
}

#[test]
fn where_the_sources_are_is_not_asked_of_the_clone() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.git(&["remote", "add", "origin", "https://git.example.org/shop"]);
    builds.repo.set_config("deploy.remote", ".");
    let labels = builds.labels(&registry, builds.build(&["--porcelain"]).success().line());
    assert!(labels.get("org.opencontainers.image.source").is_none(), "{labels}");
    builds.change("deploy.toml", |text| text + &SOURCE.replace("https://", "https://ada:secret@"));
    builds
        .build(&["HEAD"])
        .code_is(128)
        .stderr_contains("invalid source")
        .lacks("secret")
        .stderr_contains("neither user nor password");
}

#[test]
fn versions_and_namespaces_of_the_environment_file_are_arguments_of_the_build() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let variables = "BASE_IMAGE=scratch\nNGINX_VERSION=1.27\nexport CONTAINER_NAMESPACE=littleman-co\n\
        TITLE=\"shop $NGINX_VERSION, with blanks = and 'quotes'\"\n";
    builds.repo.commit("build.env", variables, "Versions");
    builds.change("deploy.toml", |text| text + "[build]\nenv-file = \"build.env\"\n");
    let containerfile = "ARG BASE_IMAGE=nothing\nFROM $BASE_IMAGE\nARG NGINX_VERSION=0\nARG CONTAINER_NAMESPACE\n\
        ARG TITLE\nARG MISSING=none\nCOPY index.html /\nLABEL version=\"$NGINX_VERSION\" from=\"$CONTAINER_NAMESPACE\" \\\n  \
        title=\"$TITLE\" missing=\"$MISSING\"\n";
    builds.change("web/Containerfile", |_| containerfile.to_owned());
    let output = builds.build(&["--porcelain"]);
    let labels = builds.labels(&registry, output.success().line());
    assert_eq!(labels["version"], "1.27", "{labels}");
    assert_eq!(labels["from"], "littleman-co", "{labels}");
    assert_eq!(labels["title"], "shop 1.27, with blanks = and 'quotes'", "{labels}");
    assert_eq!(labels["missing"], "none", "{labels}");
    // All images get the same arguments: that one does not need them all is nothing to be warned of.
    builds.change("web/Containerfile", |_| "FROM scratch\nCOPY index.html /\n".to_owned());
    builds.build(&[]).success().lacks("not consumed").lacks("Warning");
}
