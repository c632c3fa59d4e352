//! A shop of a dozen services: new, renewed, and gone back to.

use std::collections::BTreeSet;

use git_deploy_testkit::shop::boutique::{Boutique, SERVICES};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{cluster, sandbox};
use serde_json::Value;

use crate::support::{MANIFEST, all_ready, ours};

/// What kubectl makes of that release, without asking what stands in the cluster.
fn objects_of(shop: &ClusterShop<'_>, manifests: &str) -> BTreeSet<String> {
    let arguments = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
    let output = shop.namespace.kubectl_with_input(&arguments, manifests);
    let objects = serde_json::Deserializer::from_str(&output.success().stdout).into_iter::<Value>();
    let each = objects.map(|object| object.unwrap_or_else(|error| panic!("{error}\n{output}")));
    let all = each.flat_map(|object| match object["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![object],
    });
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|object| format!("{} {}", word(&object["kind"]), word(&object["metadata"]["name"]))).collect()
}

/// The set is exactly this release, and kubectl agrees that it is rolled out.
fn stands(shop: &ClusterShop<'_>, manifests: &str, count: usize) {
    let expected = objects_of(shop, manifests);
    assert_eq!(expected.len(), count);
    assert_eq!(shop.members(), expected);
    for deployment in expected.iter().filter_map(|object| object.strip_prefix("Deployment ")) {
        let arguments = ["rollout", "status", &format!("deployment/{deployment}"), "--watch=false"];
        shop.namespace.kubectl(&arguments).success().stdout_contains("successfully rolled out");
    }
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
}

fn shop_is_renewed_and_goes_back(shop: &ClusterShop<'_>, boutique: &Boutique) {
    let Boutique { earlier, later } = boutique;
    shop.release("open", &[(MANIFEST, earlier)]);
    let opened = shop.deploy(&[]);
    opened.success().stdout_contains("deployment-0001: Successfully Deployed");
    stands(shop, earlier, 24);

    let approved = shop.release("renew", &[(MANIFEST, later)]);
    let base = shop.on_master("other.txt", "somebody else's\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    let landed = shop.authority().id("master");
    assert_ne!(landed, approved, "it was rebased");
    assert_eq!(shop.authority().id("master^"), base);
    assert_eq!(shop.authority().id("deployment-0002^{commit}"), landed);
    assert_eq!(shop.state("renew"), "deployed");
    stands(shop, later, 35);

    let before = shop.namespace.audit().len();
    shop.release("back", &[(MANIFEST, earlier)]);
    let back = shop.deploy(&[]);
    back.success().stdout_contains("deployment-0003: Successfully Deployed");
    stands(shop, earlier, 24);
    let events = shop.namespace.audit().split_off(before);
    let deletions: Vec<_> = ours(&events).into_iter().filter(|event| event.is_delete()).collect();
    let deleted: BTreeSet<&str> = deletions.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(deleted, BTreeSet::from(SERVICES));
    assert!(deletions.iter().all(|event| event.resource == "serviceaccounts"), "{deletions:#?}");
    assert_eq!(deletions.len(), SERVICES.len(), "each once");
    let ready = all_ready(&events);
    for deletion in deletions {
        assert!(deletion.received > ready, "{deletion:#?} came before all was ready, {ready}");
    }
}

#[test]
fn a_shop_without_a_remote_is_opened_renewed_and_gone_back_to() {
    let cluster = cluster!();
    shop_is_renewed_and_goes_back(&in_cluster(cluster, "shop").alone(&sandbox!()), &Boutique::find());
}

#[test]
fn a_shop_with_a_remote_is_opened_renewed_and_gone_back_to() {
    let cluster = cluster!();
    shop_is_renewed_and_goes_back(&in_cluster(cluster, "shop").with_remote(&sandbox!()), &Boutique::own());
}
