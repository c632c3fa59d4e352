//! What must hold in any cluster, also one that the user names: nothing here needs a node or an image.

use git_deploy_testkit::cluster::AnyCluster;
use git_deploy_testkit::{Output, Repo, Sandbox, cluster, sandbox};

fn config_map(name: &str, text: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ text: \"{text}\" }}\n")
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: { name: elsewhere }\nspec: { type: ExternalName, externalName: example.org }\n";

fn project(sandbox: &Sandbox, cluster: &AnyCluster, namespace: &str) -> Repo {
    let deploy_toml = format!(
        "[image-name]\ncontainer-namespace = \"a\"\nproject-namespace = \"any\"\n[environment.production]\ncontext = {:?}\n\
         kube-namespace = \"{namespace}\"\nmanifests = [\"deploy\"]\n",
        cluster.context()
    );
    let repo = sandbox.repository("any");
    repo.commit_files(
        &[("deploy.toml", &deploy_toml), ("deploy/one.yaml", &config_map("one", "1"))],
        "Begin",
    );
    repo
}

fn deploy(repo: &Repo, cluster: &AnyCluster, arguments: &[&str]) -> Output {
    repo.command("git-deploy").args(arguments).env("KUBECONFIG", cluster.kubeconfig()).output()
}

fn release(repo: &Repo, cluster: &AnyCluster, branch: &str, files: &[(&str, &str)]) -> Output {
    repo.git(&["switch", "--quiet", "-c", branch, "master"]);
    repo.commit_files(files, branch);
    repo.git(&["switch", "--quiet", "master"]);
    repo.deploy("deploy-state", &["set", "deployable", branch]);
    deploy(repo, cluster, &[branch])
}

#[test]
fn objects_come_change_go_and_come_back() {
    let cluster = cluster!(@ AnyCluster::find());
    let namespace = cluster.namespace("life");
    let sandbox = sandbox!();
    let repo = project(&sandbox, &cluster, namespace.name());
    let text =
        |name: &str| namespace.kubectl(&["get", "configmap", name, "--output=jsonpath={.data.text}"]).stdout;

    let (two, elsewhere) = (config_map("two", "2"), ("deploy/elsewhere.yaml", SERVICE));
    release(&repo, &cluster, "first", &[("deploy/two.yaml", &two), elsewhere]).success();
    assert_eq!((text("one"), text("two")), ("1".to_owned(), "2".to_owned()));

    repo.git(&["rm", "--quiet", "deploy/two.yaml"]);
    repo.git(&["commit", "--quiet", "-m", "Drop two"]);
    release(&repo, &cluster, "second", &[("deploy/one.yaml", &config_map("one", "changed"))]).success();
    assert_eq!(text("one"), "changed");
    assert_eq!(namespace.kubectl(&["get", "configmap", "two"]).code, Some(1), "it was pruned");

    deploy(&repo, &cluster, &["--rollback"]).success().stdout_contains("Successfully Deployed");
    assert_eq!((text("one"), text("two")), ("1".to_owned(), "2".to_owned()));
}

#[test]
fn what_the_cluster_refuses_changes_nothing() {
    let cluster = cluster!(@ AnyCluster::find());
    let namespace = cluster.namespace("refused");
    let sandbox = sandbox!();
    let repo = project(&sandbox, &cluster, namespace.name());
    release(&repo, &cluster, "first", &[("a", "")]).success();

    let broken = "apiVersion: v1\nkind: Service\nmetadata: { name: broken }\nspec: { type: Wrong }\n";
    let files = [("deploy/broken.yaml", broken), ("deploy/one.yaml", &config_map("one", "changed"))];
    release(&repo, &cluster, "second", &files)
        .code_is(1)
        .stdout_contains("Service")
        .stdout_contains("spec.type");
    let text = namespace.kubectl(&["get", "configmap", "one", "--output=jsonpath={.data.text}"]).stdout;
    assert_eq!(text, "1");
}
