//! What the API server does not take.

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::manifests::{policy, webhook};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{Pods, config_map, deployment, gets_no_number, open, open_with};

/// Deploys what is refused for that reason, and is the branch's fault. Nothing is changed.
#[track_caller]
fn is_the_branchs_fault(shop: &ClusterShop<'_>, branch: &str, manifest: &str, tag: &str, reasons: &[&str]) {
    let before = shop.changes().len();
    shop.release_more(branch, manifest);
    let output = shop.deploy(&[]);
    output.code_is(1);
    for reason in reasons {
        output.stdout_contains(reason);
    }
    output.stderr_contains("is staged: mend it with a new commit");
    assert_eq!(shop.changes().len(), before, "{:#?}", shop.changes());
    assert_eq!(shop.state(branch), "staged");
    shop.failed(tag, reasons[0]);
}

/// Deploys what is refused for these reasons, which is nobody's fault.
#[track_caller]
fn is_nobodys_fault(shop: &ClusterShop<'_>, branch: &str, manifest: &str, reasons: &[&str]) {
    shop.release_more(branch, manifest);
    let output = gets_no_number(shop, branch, &[]);
    for reason in reasons {
        output.stderr_contains(reason);
    }
    shop.claimed_nothing();
    shop.changed_nothing();
}

#[test]
fn what_is_wrong_in_a_branch_touches_no_cluster() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "shop").alone(&sandbox!());
    let unknown = deployment("web", "1", &Pods::Ready).replace("kind: Deployment", "kind: Deploymnet");
    shop.release_more("misspelt", &unknown);
    shop.deploy(&[]).code_is(1).stdout_contains("Failed Deployment").lacks("Created namespace");
    shop.failed("deployment-0001", "Deploymnet");
    assert_eq!(shop.state("misspelt"), "staged");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"]).stdout;
    assert!(!namespaces.lines().any(|line| line == format!("namespace/{}", shop.namespace)), "{namespaces}");
}

#[test]
fn a_kind_that_the_cluster_does_not_know_is_named_with_the_nearest() {
    let shop = open(&sandbox!(), cluster!());
    let manifests = "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: { name: web }\n---\napiVersion: example.org/v1\nkind: Widget\nmetadata: { name: a }\n";
    is_the_branchs_fault(
        &shop,
        "typo",
        manifests,
        "deployment-0001",
        &[
            "does not know the kind 'Deploymnet' of 'apps/v1', did you mean 'Deployment' of 'apps/v1'?",
            "does not know the kind 'Widget' of 'example.org/v1'",
        ],
    );
}

#[test]
fn what_is_not_valid_is_told_with_its_fields_and_all_of_it_together() {
    let shop = open(&sandbox!(), cluster!());
    let manifests = [
        &deployment("web", "1", &Pods::Ready).replace("replicas: 2", "replicas: -1"),
        &deployment("api", "1", &Pods::Ready).replace("replicas: 2", "replicaz: 2"),
        &config_map("Colours", "a: b"),
    ]
    .map(String::as_str)
    .concat();
    let reasons = ["spec.replicas", ".spec.replicaz", "metadata.name", "/web'", "/api'", "/Colours'"];
    is_the_branchs_fault(&shop, "invalid", &manifests, "deployment-0001", &reasons);
}

#[test]
fn what_a_policy_denies_is_the_branchs_fault_and_told_in_its_words() {
    let shop = open(&sandbox!(), cluster!());
    let name = shop.namespace.name();
    shop.namespace.apply(&policy(name));
    eventually("the policy is in force", || {
        shop.namespace.kubectl(&["create", "configmap", "colours", "--dry-run=server"]).code != Some(0)
    });
    let manifest = config_map("colours", "a: b");
    is_the_branchs_fault(&shop, "denied", &manifest, "deployment-0001", &["no colours here", "/colours'"]);
    shop.namespace
        .kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name])
        .success();
}

#[test]
fn a_webhook_that_does_not_answer_is_nobodys_fault() {
    let shop = open(&sandbox!(), cluster!());
    let name = shop.namespace.name();
    shop.namespace.apply(&webhook(name, "apps", "deployments"));
    eventually("the webhook is asked", || {
        shop.namespace.kubectl(&["create", "deployment", "a", "--image=a:1", "--dry-run=server"]).code
            != Some(0)
    });
    let reasons = ["failed calling webhook \"gone.example.org\"", "/web'"];
    is_nobodys_fault(&shop, "web", &deployment("web", "1", &Pods::Ready), &reasons);
    shop.namespace.kubectl(&["delete", "validatingwebhookconfiguration", name]).success();
    eventually("it is deployed when the webhook is gone", || shop.deploy(&[]).code == Some(0));
    shop.succeeded("deployment-0001");
}

#[test]
fn a_quota_that_is_used_up_is_nobodys_fault() {
    let shop = open(&sandbox!(), cluster!());
    // The parent of the set is one, and so is what a controller puts into each namespace.
    shop.namespace.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { count/deployments.apps: 0 } }\n");
    eventually("the quota counts", || {
        !shop.namespace.get("resourcequota", "few")["status"]["used"].is_null()
    });
    let reasons = ["exceeded quota: few", "/web'"];
    is_nobodys_fault(&shop, "web", &deployment("web", "1", &Pods::Ready), &reasons);
    shop.namespace.kubectl(&["delete", "resourcequota", "few"]).success();
    eventually("it is deployed when the quota is gone", || shop.deploy(&[]).code == Some(0));
    shop.succeeded("deployment-0001");
}

#[test]
fn pods_that_a_quota_does_not_let_in_end_the_wait_and_are_nobodys_fault() {
    let shop = open_with(&sandbox!(), cluster!(), "first-failure = \"remove\"");
    shop.namespace
        .apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { pods: 1 } }\n");
    eventually("the quota counts", || {
        !shop.namespace.get("resourcequota", "few")["status"]["used"].is_null()
    });
    shop.release_more("web", &deployment("web", "1", &Pods::Ready));
    let output = shop.deploy(&[]);
    // It is seen long before the time is over.
    output.code_is(75).stdout_contains("exceeded quota: few");
    assert_eq!(shop.state("web"), "deployable");
    shop.failed("deployment-0001", "exceeded quota: few");
    assert!(shop.namespace.find("deployment", "web").is_none());
}

#[test]
fn a_field_that_can_never_be_changed_is_said_before_anything_is_changed() {
    let shop = open(&sandbox!(), cluster!());
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: once }}\nspec: {{ template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: a, image: 'a:{image}' }}] }} }} }}\n---\n"
        )
    };
    let service = |address: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ {address} selector: {{ app: web }}, ports: [{{ port: 80 }}] }}\n---\n"
        )
    };
    let web = |selector: &str| deployment("web", "1", &Pods::Ready).replace("app: web", selector);
    shop.deploy_more("one", &[web("app: web"), service(""), job("1")].concat());
    let live = shop.namespace.get("service", "web");
    let other = if live["spec"]["clusterIP"] == "10.0.77.77" { "10.0.77.78" } else { "10.0.77.77" };
    let all = [web("app: other"), service(&format!("clusterIP: {other},")), job("2")].concat();
    let reasons =
        ["spec.selector", "field is immutable", "spec.clusterIP", "spec.template", "/once'", "Service '"];
    is_the_branchs_fault(&shop, "changed", &all, "deployment-0002", &reasons);
    assert_eq!(shop.namespace.get("deployment", "web")["spec"]["selector"]["matchLabels"]["app"], "web");
}

#[test]
fn a_namespace_that_is_being_deleted_is_nobodys_fault() {
    let shop = open(&sandbox!(), cluster!());
    shop.namespace
        .apply("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: held, finalizers: [example.org/held] }\n");
    shop.namespace.kubectl(&["delete", "namespace", shop.namespace.name(), "--wait=false"]).success();
    shop.release_more("more", &config_map("more", "a: b"));
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("being deleted");
    shop.claimed_nothing();
    shop.changed_nothing();
    shop.namespace
        .kubectl(&["patch", "configmap", "held", "-p", "{\"metadata\":{\"finalizers\":null}}"])
        .success();
    eventually("it is gone", || {
        shop.cluster.kubectl(&["get", "namespace", shop.namespace.name()]).code == Some(1)
    });
    shop.deploy(&[]).success();
}

#[test]
fn a_namespace_that_begins_to_go_in_the_middle_ends_the_deployment() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Unready));
    let running = shop.start();
    shop.wait_for_phase("applying");
    eventually("it is applied", || shop.namespace.find("deployment", "web").is_some());
    shop.namespace.kubectl(&["delete", "namespace", shop.namespace.name(), "--wait=false"]).success();
    let output = running.wait();
    output.code_is(75);
    shop.failed("deployment-0001", "verify: ");
    assert_eq!(shop.state("web"), "deployable");
}

#[test]
fn hostile_names_are_refused_and_do_not_reach_the_terminal() {
    let shop = open(&sandbox!(), cluster!());
    let hostile = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: \"a\\e]0;pwned\\a\\nb\" }\n";
    shop.release_more("hostile", hostile);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("name").lacks("\u{1b}]0;pwned").lacks("\u{7}");
    shop.changed_nothing();
    // What the server quotes back, too.
    let quoted = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: more, labels: { a: \"x\\e[31my\" } }\ndata: { \"k\\e[31m\": v }\n";
    shop.release_more("quoted", quoted);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("/more'").lacks("\u{1b}[31m");
    shop.changed_nothing();
    let tags = shop.repo.git(&["for-each-ref", "--format=%(contents)", "refs/tags"]);
    tags.lacks("\u{1b}");
    for note in shop.repo.notes().values() {
        assert!(!note.contains('\u{1b}'), "{note:?}");
    }
    // A path that leads elsewhere.
    let path = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ../../kube-system/configmaps/a }\n";
    shop.release_more("path", path);
    shop.deploy(&[]).code_is(1);
    shop.changed_nothing();
}

#[test]
fn what_only_the_tool_itself_may_say_of_an_object_is_refused() {
    let shop = open(&sandbox!(), cluster!());
    let marked = |name: &str, kind: &str, key: &str| {
        config_map(name, "a: b")
            .replace(&format!("name: {name}"), &format!("name: {name}, {kind}: {{ {key}: x }}"))
    };
    let manifests = [
        marked("theirs", "labels", "applyset.kubernetes.io/part-of"),
        marked("parent", "labels", "applyset.kubernetes.io/id"),
        marked("ours", "annotations", "git-deploy/set"),
    ];
    is_the_branchs_fault(
        &shop,
        "marked",
        &manifests.concat(),
        "deployment-0001",
        &[
            "/theirs': label 'applyset.kubernetes.io/part-of' is for git-deploy itself to set",
            "/parent': label 'applyset.kubernetes.io/id' is for git-deploy itself to set",
            "/ours': annotation 'git-deploy/set' is for git-deploy itself to set",
        ],
    );
}
