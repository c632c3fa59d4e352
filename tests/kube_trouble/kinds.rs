//! Kinds that an API server does not list that is not ready yet: what is of them is there all the same.

use git_deploy_testkit::cluster::{Cluster, Front, Proxy, eventually};
use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{config_map, open_in};

const ANY_KIND: &str = "allow-kinds = [\"*\"]";

/// A shop that has no kinds of its own yet, what stands before its cluster, and the way there.
fn shop<'c>(cluster: &'c Cluster, lines: &str) -> (ClusterShop<'c>, Front, Proxy) {
    let namespace = cluster.namespace("kinds").create();
    let lines = lines.replace("OWN", namespace.name());
    let shop = open_in(&sandbox!(), cluster, namespace, "shop", &lines);
    let front = cluster.front();
    let proxy = front.proxy();
    let shop = shop.by(cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address())));
    (shop, front, proxy)
}

/// The group of a shop's own kind.
fn group(shop: &ClusterShop<'_>) -> String {
    format!("{}.example.org", shop.namespace.name())
}

fn definition(shop: &ClusterShop<'_>) -> String {
    let group = group(shop);
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: widgets.{group} }}\nspec: {{ group: {group}, scope: Namespaced, names: {{ kind: Widget, plural: widgets }}, versions: [{{ name: v1, served: true, storage: true, schema: {{ openAPIV3Schema: {{ type: object }} }} }}] }}\n---\n"
    )
}

fn widget(shop: &ClusterShop<'_>, name: &str) -> String {
    format!("apiVersion: {}/v1\nkind: Widget\nmetadata: {{ name: {name} }}\n---\n", group(shop))
}

/// All of its kind in the shop's namespace.
fn widgets(shop: &ClusterShop<'_>) -> Vec<String> {
    let found = shop.namespace.list(&format!("widgets.{}", group(shop)));
    found.iter().map(|one| one["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_definition_stays_with_the_objects_of_others_also_where_its_kind_is_not_listed() {
    let cluster = cluster!();
    for (servers, why) in [(1, "the cluster does not list its kind"), (3, "is of that kind and would go")] {
        let (shop, front, _proxy) = shop(cluster, ANY_KIND);
        shop.deploy_more("one", &definition(&shop));
        // Whoever has made it has nothing to do with the shop.
        eventually("the kind is known", || {
            shop.namespace.kubectl_with_input(&["apply", "-f", "-"], widget(&shop, "theirs")).code == Some(0)
        });
        front.lacks(&group(&shop), servers);
        shop.release_more("two", &config_map("more", "a: b"));
        shop.deploy(&[]).success().stderr_contains("is no longer wanted and stays: ").stderr_contains(why);
        assert_eq!(widgets(&shop), ["theirs"], "{servers}");
        front.runs();
        shop.namespace.kubectl(&["delete", &format!("widgets.{}", group(&shop)), "theirs"]).success();
        shop.release_more("three", &config_map("more", "a: c"));
        shop.deploy(&[]).success().stderr_contains("Deleted CustomResourceDefinition");
        assert!(
            shop.namespace.find("customresourcedefinition", &format!("widgets.{}", group(&shop))).is_none()
        );
    }
}

#[test]
fn a_namespace_stays_with_the_objects_of_others_also_where_their_kind_is_not_listed() {
    let cluster = cluster!();
    for (servers, why) in
        [(1, "the cluster does not list the kind of "), (3, "is in it, which is not of this set")]
    {
        let inside = cluster.namespace("inside");
        let lines = format!("allow-kinds = [\"*\"]\nallow-namespaces = [\"OWN\", \"{}\"]", inside.name());
        let (shop, front, _proxy) = shop(cluster, &lines);
        shop.namespace.kubectl_with_input(&["apply", "-f", "-"], definition(&shop)).success();
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {} }}\n", inside.name());
        shop.deploy_more("one", &namespace);
        eventually("the kind is known", || {
            inside.kubectl_with_input(&["apply", "-f", "-"], widget(&shop, "theirs")).code == Some(0)
        });
        front.lacks(&group(&shop), servers);
        shop.release_more("two", &config_map("more", "a: b"));
        let output = shop.deploy(&[]);
        output.success().stderr_contains(why);
        let name = format!("widgets.{}", group(&shop));
        assert!(inside.find(&name, "theirs").is_some(), "{output}");
        shop.namespace.kubectl(&["delete", "crd", &name]).success();
    }
}

#[test]
fn what_is_of_a_kind_that_is_not_listed_is_not_forgotten() {
    let cluster = cluster!();
    for servers in [1, 3] {
        let other = cluster.namespace("other").create();
        let lines = format!("{ANY_KIND}\nallow-namespaces = [\"OWN\", \"{}\"]", other.name());
        let (shop, front, _proxy) = shop(cluster, &lines);
        shop.namespace.kubectl_with_input(&["apply", "-f", "-"], definition(&shop)).success();
        let name = format!("widgets.{}", group(&shop));
        eventually("the kind is known", || shop.namespace.kubectl(&["get", &name]).code == Some(0));
        let there =
            widget(&shop, "ours").replace("name: ours", &format!("name: ours, namespace: {}", other.name()));
        // It is all that the set has in that namespace.
        shop.deploy_more("one", &(widget(&shop, "ours") + &there));
        let ours = || [widgets(&shop).len(), usize::from(other.find(&name, "ours").is_some())];
        assert_eq!(ours(), [1, 1]);
        front.lacks(&group(&shop), servers);
        shop.release_more("two", &config_map("more", "a: b"));
        shop.deploy(&[]).success();
        if servers == 1 {
            assert_eq!(ours(), [1, 1], "nobody could see them");
            front.runs();
            shop.release_more("three", &config_map("more", "a: c"));
            shop.deploy(&[]).success();
        }
        assert_eq!(ours(), [0, 0], "{servers}");
        shop.namespace.kubectl(&["delete", "crd", &name]).success();
    }
}

#[test]
fn a_cluster_that_goes_away_while_its_kinds_are_asked_for_again_blames_nobody() {
    let cluster = cluster!();
    let (shop, front, proxy) = shop(cluster, ANY_KIND);
    front.says_of_readiness(500);
    shop.release_more("more", &config_map("more", "a: b").replace("ConfigMap", "ConfigMop"));
    let running = shop.start();
    // Once at first, and so often until the cluster is waited for that says that it is not ready.
    eventually("kinds were asked for again", || front.kinds_asked() >= 5);
    proxy.refuse();
    let output = running.wait();
    output.code_is(75).lacks("Failed Deployment");
    shop.claimed_nothing();
    assert_eq!(shop.state("more"), "deployable", "{output}");
}
