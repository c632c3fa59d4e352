//! What manifests name as images: the project's own, that nothing brings into the cluster, and other people's, that cannot be
//! pulled just now.

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, deployment, yaml};

const OWN: &str = "[[image]]\nname = \"web\"\ncontext = \"web\"";

fn with_image(name: &str, image: &str) -> Value {
    let mut deployment = deployment(name, "1");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    deployment
}

fn release(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(MANIFEST, &yaml(objects))]);
}

/// Where the container of a Deployment has its image from.
fn image(shop: &ClusterShop<'_>, deployment: &str) -> String {
    let object = shop.namespace.get("deployment", deployment);
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_own_image_that_nothing_brings_into_the_cluster_is_refused_before_there_is_a_number() {
    let shop = in_cluster(cluster!(), "nowhere").setting(OWN).with_remote(&sandbox!());
    let why = "nothing brings image 'littleman-co/shop-web' into the cluster";
    let hint = "hint: add [registry] to deploy.toml of 'master': 'address' where images are pushed to, or 'load', the program \
                that brings them from here into the cluster; or name the registry in the manifest, such as 'docker.io/', \
                where others push it\n";
    for named in ["littleman-co/shop-web", "littleman-co/shop-web:any"] {
        let name = named.replace([':', '/'], "-");
        release(&shop, &name, &[with_image("web", named)]);
        for arguments in [&[][..], &["--dry-run"], &["--no-build"]] {
            let output = shop.deploy(arguments);
            output.code_is(128).stdout_is("").stderr_contains(why).stderr_contains(hint);
            output.lacks("Building").lacks("counts when it has landed");
        }
        shop.repo.try_deploy("deploy-diff", &[&name]).code_is(128).stderr_contains(why);
        assert_eq!(shop.state(&name), "deployable");
        shop.repo.deploy("deploy-state", &["set", "development", &name]);
    }
    shop.claimed_nothing();
    // A branch that brings it says so in vain.
    let text = shop.repo.read("deploy.toml") + "[registry]\naddress = \"registry.example.org\"\n";
    let web = yaml(&[with_image("web", "littleman-co/shop-web")]);
    shop.release("bring", &[("deploy.toml", &text), (MANIFEST, &web)]);
    shop.deploy(&[]).code_is(128).stderr_contains("the [registry] of the branch counts when it has landed");
    shop.claimed_nothing();
}

#[test]
fn an_image_that_is_named_with_its_registry_is_whoever_builds_it_has_to_push_it() {
    let shop = in_cluster(cluster!(), "elsewhere").setting(OWN).with_remote(&sandbox!());
    let elsewhere = "ci.example.org/littleman-co/shop-web:1";
    release(&shop, "one", &[with_image("web", elsewhere), with_image("other", "littleman-co/shop:1")]);
    shop.deploy(&[]).success().lacks("note:");
    assert_eq!(image(&shop, "web"), elsewhere);
    release(&shop, "two", &[with_image("web", "docker.io/littleman-co/shop-web")]);
    let commit = shop.repo.id("two");
    shop.deploy(&[]).success();
    assert_eq!(image(&shop, "web"), format!("littleman-co/shop-web:{}", &commit[..7]));
}
