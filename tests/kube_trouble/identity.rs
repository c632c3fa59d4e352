//! Whose cluster it is.

use git_deploy_testkit::cluster::Options;
use git_deploy_testkit::shop::SET;
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{config_map, gets_no_number, open, open_in};

#[test]
fn a_context_that_suddenly_means_another_cluster_is_refused_unless_told_otherwise() {
    let cluster = cluster!();
    let other = cluster!(Options::new().nodes(1));
    let shop = open(&sandbox!(), cluster);
    shop.deploy_more("one", &config_map("one", "a: b"));
    shop.release_more("two", &config_map("two", "a: b"));
    let there = |arguments: &[&str]| shop.command(arguments).env("KUBECONFIG", other.kubeconfig()).output();

    let output = there(&[]);
    output
        .code_is(128)
        .stderr_contains("deployment-0001")
        .stderr_contains("hint: ")
        .stderr_contains("--new-cluster");
    assert_eq!(shop.repo.tip("deployment-0002"), None);
    other.kubectl(&["get", "namespace", shop.namespace.name()]).code_is(1);
    assert_eq!(shop.state("two"), "deployable");

    there(&["--new-cluster"]).success();
    shop.succeeded("deployment-0002");
    other.kubectl(&["get", "configmap", "two", "--namespace", shop.namespace.name()]).success();
    // From now on that is the cluster, and the old one is the other one.
    shop.release_more("three", &config_map("three", "a: b"));
    shop.deploy(&[]).code_is(128).stderr_contains("--new-cluster");
    there(&[]).success();
    shop.succeeded("deployment-0003");
}

#[test]
fn a_parent_that_was_deleted_and_made_anew_is_another_cluster() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &config_map("one", "a: b"));
    shop.namespace.kubectl(&["delete", "configmap", SET]).success();
    shop.release_more("two", &config_map("two", "a: b"));
    let output = shop.deploy(&[]);
    output
        .code_is(128)
        .stderr_contains(" of context 'test', https://")
        .stderr_contains("knows nothing of deployment-0001");
    output.stderr_contains(
        "hint: look whether the context means the right cluster: kubectl --context='test' cluster-info; if",
    );
    shop.deploy(&["--new-cluster"]).success();
    shop.succeeded("deployment-0002");
    // What stood there bears our label still, and goes as it is no longer wanted.
    assert!(shop.namespace.find("configmap", "one").is_none());
}

#[test]
fn another_repository_with_the_same_name_of_a_project_is_refused() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &config_map("one", "a: b"));
    let sandbox = sandbox!();
    // Another first commit.
    sandbox.clock().advance(1000);
    let theirs = open_in(&sandbox, shop.cluster, shop.namespace.clone(), "shop", "");
    theirs.release_more("two", &config_map("two", "a: b"));
    for arguments in [&[][..], &["--new-cluster"], &["--force-conflicts"]] {
        let output = theirs.deploy(arguments);
        output.code_is(128).stderr_contains(SET).stderr_contains("hint: choose another");
        theirs.claimed_nothing();
    }
    assert!(shop.namespace.find("configmap", "two").is_none());

    // What is printed helps where the other one is given up.
    let namespace = shop.namespace.name();
    let delete = ["delete", "configmap", SET];
    let command = format!("kubectl --context='test' --namespace={namespace} {}\n", delete.join(" "));
    theirs
        .deploy(&[])
        .stderr_contains("hint: if nobody deploys from that repository")
        .stderr_contains(&command);
    shop.namespace.kubectl(&delete).success();
    theirs.deploy(&[]).success();
    assert!(shop.namespace.find("configmap", "two").is_some());
    assert!(shop.namespace.find("configmap", "one").is_none());
}

#[test]
fn two_projects_share_a_namespace_and_neither_takes_what_is_the_others() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shared").create();
    let (one, two) = (sandbox!(), sandbox!());
    let shop = open_in(&one, cluster, namespace.clone(), "shop", "");
    let blog = open_in(&two, cluster, namespace.clone(), "blog", "");
    shop.deploy_more("stock", &config_map("stock", "of: shop"));

    // Base of both has `settings`.
    blog.release_more("posts", &config_map("posts", "of: blog"));
    for arguments in [&[][..], &["--force-conflicts"]] {
        gets_no_number(&blog, "posts", arguments)
            .stderr_contains(&format!("/settings' belongs to another set of objects, '{SET}'"))
            .stderr_contains("hint: take the object out of one of the two sets");
        blog.claimed_nothing();
    }
    assert!(namespace.find("configmap", "posts").is_none());
    blog.repo.deploy("deploy-state", &["set", "development", "posts"]);

    // With names of its own it lives beside the shop, and deletes only what is its own.
    blog.release_without("alone", "deploy/settings.yaml");
    blog.repo.git(&["switch", "--quiet", "alone"]);
    blog.repo.commit("deploy/posts.yaml", &config_map("posts", "of: blog"), "Write");
    blog.repo.git(&["switch", "--quiet", "master"]);
    blog.repo.deploy("deploy-state", &["set", "deployable", "alone"]);
    blog.deploy(&[]).success();
    blog.succeeded("deployment-0001");
    blog.repo.git(&["switch", "--quiet", "-c", "moved", "master"]);
    blog.repo.git(&["mv", "deploy/posts.yaml", "deploy/notes.yaml"]);
    blog.repo.commit("deploy/notes.yaml", &config_map("notes", "of: blog"), "Rename");
    blog.repo.git(&["switch", "--quiet", "master"]);
    blog.repo.deploy("deploy-state", &["set", "deployable", "moved"]);
    blog.deploy(&[]).success();
    let there = |name: &str| namespace.find("configmap", name).is_some();
    assert_eq!(
        ["settings", "stock", "posts", "notes"].map(there),
        [true, true, false, true],
        "only what the blog no longer wants is gone"
    );
}

#[test]
fn an_object_of_another_set_is_refused_also_when_it_is_to_be_taken_over() {
    let shop = open(&sandbox!(), cluster!());
    shop.namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: more, labels: { applyset.kubernetes.io/part-of: applyset-theirs-v1 } }\ndata: { whose: theirs }\n",
    );
    shop.release_more("more", &config_map("more", "whose: ours"));
    for arguments in [&[][..], &["--force-conflicts"]] {
        gets_no_number(&shop, "more", arguments)
            .stderr_contains("belongs to another set")
            .stderr_contains("'applyset-theirs-v1'");
        shop.claimed_nothing();
        shop.changed_nothing();
    }
    assert_eq!(shop.namespace.get("configmap", "more")["data"]["whose"], "theirs");
}

#[test]
fn a_parent_that_another_tool_made_is_left_alone() {
    let shop = open(&sandbox!(), cluster!());
    shop.namespace.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {SET}\n  annotations: {{ applyset.kubernetes.io/tooling: kubectl/v1.36 }}\n  labels: {{ applyset.kubernetes.io/id: applyset-theirs-v1 }}\n",
    ));
    shop.release_more("more", &config_map("more", "a: b"));
    shop.deploy(&[]).code_is(128).stderr_contains(SET);
    shop.claimed_nothing();
    shop.changed_nothing();
}
