//! What manifests name as images: the project's own, that nothing brings into the cluster, and other people's, that cannot be
//! pulled just now.

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, deployment, yaml};

const OWN: &str = "[[image]]\nname = \"web\"\ncontext = \"web\"";

fn with_image(name: &str, image: &str) -> Value {
    let mut deployment = deployment(name, "1");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    deployment
}

/// A Deployment whose image cannot be pulled, because nobody listens where the registry should be.
fn refused(name: &str, image: &str) -> Value {
    let why = format!(
        "failed to do request: Head \"https://{image}\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    unpulled(name, image, &why)
}

/// A Deployment whose image cannot be pulled, for that reason.
fn unpulled(name: &str, image: &str, why: &str) -> Value {
    let message = format!("failed to pull and unpack image \"{image}\": {why}");
    let why = json!({ "test.git-deploy/reason": "ErrImagePull", "test.git-deploy/message": message });
    behaving(with_image(name, image), "waiting", why)
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
fn an_own_image_that_nothing_brings_into_the_cluster_stages_the_branch_and_the_next_is_deployed() {
    let shop = in_cluster(cluster!(), "nowhere").setting(OWN).with_remote(&sandbox!());
    let why = "nothing brings image 'littleman-co/shop-web' into the cluster";
    let hint = "hint: add [registry] to deploy.toml of 'master': 'address' where images are pushed to, or 'load', the program \
                that brings them from here into the cluster; or name the registry in the manifest, such as 'docker.io/', \
                where others push it\n";
    for named in ["littleman-co/shop-web", "littleman-co/shop-web:any"] {
        let name = named.replace([':', '/'], "-");
        release(&shop, &name, &[with_image("web", named)]);
        for output in [shop.deploy(&["--dry-run"]), shop.repo.try_deploy("deploy-diff", &[&name])] {
            output.stderr_contains(why).lacks("counts when it has landed");
            assert_ne!(output.code, Some(0), "{output}");
        }
        shop.claimed_nothing();
        shop.repo.deploy("deploy-state", &["set", "development", &name]);
    }
    // A branch that brings it says so in vain.
    let text = shop.repo.read("deploy.toml") + "[registry]\naddress = \"registry.example.org\"\n";
    let web = yaml(&[with_image("web", "littleman-co/shop-web")]);
    shop.release("bring", &[("deploy.toml", &text), (MANIFEST, &web)]);
    release(&shop, "good", &[deployment("web", "1")]);
    let output = shop.deploy(&[]);
    output
        .code_is(1)
        .stdout_contains("the [registry] of the branch counts when it has landed")
        .stderr_contains(hint);
    output.lacks("Building").lacks("Applying");
    assert_eq!(shop.state("bring"), "staged");
    shop.deploy(&[]).success().stdout_contains("'good'");
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
    // What nobody pulls somebody has put there.
    let mut there = with_image("web", "littleman-co/shop-web");
    there["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    release(&shop, "three", &[there]);
    shop.deploy(&[]).success();
}

/// The deployment of that branch did not get its image in time, because it was refused.
#[track_caller]
fn is_not_pulled(shop: &ClusterShop<'_>, branch: &str, tag: &str, state: &str, blame: &str) -> Output {
    is_not_pulled_for("connection refused", shop, branch, tag, state, blame)
}

#[track_caller]
fn is_not_pulled_for(
    why: &str,
    shop: &ClusterShop<'_>,
    branch: &str,
    tag: &str,
    state: &str,
    blame: &str,
) -> Output {
    let before = shop.standing();
    let output = shop.deploy(&["--json"]);
    output.code_is(70).stdout_contains(why).stdout_contains(&format!("\"blame\":\"{blame}\""));
    shop.failed(tag, why);
    assert_eq!(shop.state(branch), state, "{output}");
    assert_eq!(shop.standing(), before);
    output
}

const CACHE: &str = "cache.example.org/redis:7";

#[test]
fn an_image_of_others_that_is_new_and_cannot_be_pulled_is_the_branchs_failure_and_the_next_is_deployed() {
    let shop = in_cluster(cluster!(), "new").setting("timeout = \"20s\"").with_remote(&sandbox!());
    release(&shop, "one", &[deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "1"), refused("cache", CACHE)]);
    shop.release("three", &[("deploy/more.yaml", &yaml(&[deployment("more", "1")]))]);
    is_not_pulled(&shop, "two", "deployment-0002", "staged", "branch");
    let note = shop
        .repo
        .notes()
        .values()
        .any(|note| note.contains("reason: ") && note.contains("connection refused"));
    assert!(note, "{:#?}", shop.repo.notes());
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0003");
    // When it is back the same commit will do.
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    let hint =
        "hint: the image is new with this branch: if its registry is only away, the same commit will do";
    shop.deploy(&[]).code_is(70).stderr_contains(hint);
}

#[test]
fn an_image_that_was_there_before_or_is_on_base_and_cannot_be_pulled_now_is_nobodys_fault() {
    let shop = in_cluster(cluster!(), "old").with_remote(&sandbox!());
    release(&shop, "one", &[with_image("cache", CACHE)]);
    shop.deploy(&[]).success();
    shop.set_timeout("6s");
    release(&shop, "two", &[refused("cache", CACHE)]);
    is_not_pulled(&shop, "two", "deployment-0002", "deployable", "nobody");
    shop.repo.deploy("deploy-state", &["set", "development", "two"]);
    // Somebody pushed it to base: every branch has it.
    let other = "other.example.org/redis:7";
    shop.on_master("deploy/other.yaml", &yaml(&[refused("other", other)]));
    shop.release("three", &[("three.txt", "3")]);
    is_not_pulled(&shop, "three", "deployment-0003", "deployable", "nobody");
}

#[test]
fn an_image_of_others_that_is_new_is_nobodys_fault_while_other_images_cannot_be_pulled_or_a_node_has_trouble()
{
    let shop = in_cluster(cluster!(), "away").setting(OWN).with_remote(&sandbox!());
    let own = "docker.io/littleman-co/shop-web";
    release(&shop, "one", &[with_image("web", own)]);
    shop.deploy(&[]).success();
    shop.set_timeout("6s");
    // First by name in the same pod, and first in the list.
    let mut beside = refused("web", own);
    let containers = &mut beside["spec"]["template"]["spec"]["containers"];
    *containers = json!([{ "name": "cache", "image": CACHE }, containers[0]]);
    let full = "write /var/lib/containerd/layer: no space left on device";
    let refused_why = "connection refused";
    for (number, (name, why, objects)) in [
        ("beside", refused_why, vec![beside]),
        ("apart", refused_why, vec![refused("cache", CACHE), refused("web", own)]),
        ("same", refused_why, vec![with_image("web", own), refused("cache", "docker.io/redis:7")]),
        ("full", full, vec![with_image("web", own), unpulled("cache", CACHE, full)]),
    ]
    .into_iter()
    .enumerate()
    {
        release(&shop, name, &objects);
        let tag = format!("deployment-{:04}", number + 2);
        is_not_pulled_for(why, &shop, name, &tag, "deployable", "nobody").lacks("is new with this branch");
        shop.repo.deploy("deploy-state", &["set", "development", name]);
    }
    release(&shop, "alone", &[with_image("web", own), refused("cache", CACHE)]);
    is_not_pulled(&shop, "alone", "deployment-0006", "staged", "branch");
}

#[test]
fn of_a_first_deployment_nobody_can_tell_whether_an_image_is_new() {
    let shop = in_cluster(cluster!(), "first").setting("timeout = \"6s\"").with_remote(&sandbox!());
    release(&shop, "one", &[refused("cache", CACHE)]);
    shop.deploy(&[]).code_is(70).stdout_contains("connection refused");
    assert_eq!(shop.state("one"), "deployable");
}
