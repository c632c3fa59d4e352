//! What a runner needs elsewhere: manifests for a cluster, and a unit of systemd.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_deploy_manifest::rights::{Kinds, rules};
use git_deploy_manifest::{Object, SourceFile, read};
use git_deploy_testkit::{Repo, Sandbox, sandbox, skip};
use serde_json::Value;

const PRODUCTION: &str = "[registry]\naddress = \"registry.example.net\"\n[environment.production]\ncontext = \"here\"\nkube-namespace = \"shop\"\nlands = true\n";

/// A repository with that `deploy.toml` on base, whose remote others can reach.
fn shop(sandbox: &Sandbox, deploy_toml: &str) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("deploy.toml", deploy_toml, "Deploy");
    repo.git(&["remote", "add", "origin", "https://ada:secret@git.example.org/shop.git"]);
    repo.git(&["update-ref", "refs/remotes/origin/master", "master"]);
    repo
}

fn objects(manifests: &str) -> Vec<Object> {
    let file = SourceFile { path: "runner.yaml".to_owned(), bytes: manifests.into() };
    read(&[file]).unwrap_or_else(|error| panic!("{error}\n{manifests}"))
}

fn runner(repo: &Repo, arguments: &[&str]) -> Vec<Object> {
    objects(&repo.deploy("deploy-init", &[&["runner"], arguments].concat()).stdout)
}

fn find<'a>(objects: &'a [Object], kind: &str, namespace: &str) -> Option<&'a Value> {
    let is_it =
        |object: &&Object| object.id().kind == kind && object.id().namespace.as_deref() == Some(namespace);
    objects.iter().find(is_it).map(Object::value)
}

/// All rights of a role: group, resource, verb.
fn rights(role: &Value) -> BTreeSet<[String; 3]> {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().expect("a list").iter();
        list.map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().expect("a list") {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                let verbs = words(rule, "verbs").into_iter();
                rights.extend(verbs.map(|verb| [group.clone(), resource.clone(), verb]));
            }
        }
    }
    rights
}

/// What a deployment asks for there, by the list that it asks by.
fn wanted(allow_kinds: Option<&[&str]>, is_own: bool) -> BTreeSet<[String; 3]> {
    let allow_kinds =
        allow_kinds.map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>());
    let kinds = Kinds::allowed(allow_kinds.as_deref());
    let mut rights = BTreeSet::new();
    for rule in rules(&kinds.resources, is_own) {
        for resource in &rule.resources {
            let verbs = rule.verbs.iter();
            rights.extend(verbs.map(|verb| [rule.group.clone(), resource.clone(), (*verb).to_owned()]));
        }
    }
    rights
}

#[test]
fn a_runner_may_do_what_a_deployment_asks_for_and_nothing_else() {
    let sandbox = sandbox!();
    let environments = PRODUCTION.to_owned()
        + "allow-kinds = [\"ConfigMap\", \"Deployment\", \"Canary.flagger.app\"]\nallow-namespaces = [\"shop\", \"cache\"]\n\
           [environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\n";
    let repo = shop(&sandbox, &environments);
    let objects = runner(&repo, &[]);
    let kinds = Some(&["ConfigMap", "Deployment", "Canary.flagger.app"][..]);
    for (namespace, is_own) in [("shop", true), ("cache", false)] {
        let role = find(&objects, "Role", namespace).expect("there is one");
        assert_eq!(rights(role), wanted(kinds, is_own), "{namespace}");
        let binding = find(&objects, "RoleBinding", namespace).expect("there is one");
        assert_eq!(binding["subjects"][0]["namespace"], "git-deploy");
        // Runners of other projects have theirs beside it.
        for name in [&role["metadata"]["name"], &binding["metadata"]["name"], &binding["roleRef"]["name"]] {
            assert_eq!(name, "git-deploy-runner-git-deploy");
        }
    }
    let roles = objects.iter().filter(|object| object.id().kind.contains("Role"));
    assert_eq!(roles.count(), 4);

    repo.commit("deploy.toml", PRODUCTION, "Allow the usual");
    repo.git(&["update-ref", "refs/remotes/origin/master", "master"]);
    let objects = runner(&repo, &[]);
    assert_eq!(rights(find(&objects, "Role", "shop").expect("there is one")), wanted(None, true));
}

#[test]
fn a_runners_pods_are_confined_and_find_what_they_need() {
    let repo = shop(&sandbox!(), PRODUCTION);
    let printed = repo.deploy("deploy-init", &["runner", "--namespace=ci", "--secret=key", "--replicas=3"]);
    printed.stderr_contains("kubectl --namespace=ci create secret generic key --from-file=ssh-privatekey=");
    // What is secret stays where it is.
    printed.lacks("ada:secret");
    assert!(!printed.stdout.contains("kind: Secret"));
    let objects = objects(&printed.stdout);
    let deployment = find(&objects, "Deployment", "ci").expect("there is one");
    assert_eq!(deployment["spec"]["replicas"], 3);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in [&pod["initContainers"][0], &pod["containers"][0]] {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{container}");
        assert_eq!(context["capabilities"]["drop"][0], "ALL", "{container}");
        assert!(container["resources"]["requests"]["memory"].is_string(), "{container}");
    }
    let secret = pod["volumes"].as_array().expect("a list").iter().find(|volume| volume["name"] == "secret");
    assert_eq!(secret.expect("there is one")["secret"]["secretName"], "key");
    let remote = &pod["containers"][0]["env"][0];
    assert_eq!(remote["value"], "https://git.example.org/shop.git");
    let config = find(&objects, "ConfigMap", "ci").expect("there is one");
    assert!(config["data"]["kubeconfig"].as_str().expect("a text").contains("- name: \"here\"\n"));

    // As its git reads it.
    let path = repo.path().join("gitconfig");
    fs::write(&path, config["data"]["gitconfig"].as_str().expect("a text")).unwrap();
    let path = path.to_str().expect("a temporary directory in UTF-8");
    repo.git(&["config", "--file", path, "deploy.base"]).stdout_is("master\n");
    repo.git(&["config", "--file", path, "core.sshCommand"]).stdout_contains("StrictHostKeyChecking=yes");
    let helper = repo.git(&["config", "--file", path, "credential.helper"]).stdout;
    let secret = repo.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("username"), "runner").unwrap();
    fs::write(secret.join("password"), "a\\n $b\n").unwrap();
    let helper = helper.trim_end().replace("/etc/git-deploy/secret", secret.to_str().expect("in UTF-8"));
    repo.set_config("credential.helper", &helper);
    let asked =
        repo.command("git").args(["credential", "fill"]).stdin("protocol=https\nhost=git.example.org\n\n");
    asked.output().success().stdout_contains("username=runner\n").stdout_contains("password=a\\n $b\n");
}

#[test]
fn a_runner_in_a_pod_knows_the_keys_of_those_who_approve_with_gpg() {
    if !Path::new("/usr/bin/gpg").exists() {
        skip!("gpg is not installed");
    }
    let sandbox = sandbox!();
    let home = sandbox.home().join(".gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
    let who = "Ada <ada@example.org>";
    sandbox
        .run("gpg", &["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", who, "ed25519", "sign"]);
    let listed = sandbox.run("gpg", &["--with-colons", "--list-keys", "ada@example.org"]).stdout;
    let print =
        listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
    let toml = format!("{PRODUCTION}[approve]\ngpg-fingerprints = [\"{print}\"]\n");
    let printed = shop(&sandbox, &toml).deploy("deploy-init", &["runner"]);
    printed.stderr_contains(&format!("gpg --export {print} >gpg-keys, and add --from-file=gpg-keys to that"));
    let keys = sandbox.root().join("gpg-keys");
    let keys = keys.to_str().expect("a temporary directory in UTF-8");
    sandbox.run("gpg", &["--output", keys, "--export", &print]);

    // As the pod begins, with what is there of the clone already.
    let objects = objects(&printed.stdout);
    let pod = &find(&objects, "Deployment", "git-deploy").expect("there is one")["spec"]["template"]["spec"];
    let script = pod["initContainers"][0]["args"][0].as_str().expect("a text");
    let work = sandbox.root().join("work");
    fs::create_dir_all(work.join("repository")).unwrap();
    let in_pod = |program: &str, arguments: &[&str]| {
        let program = sandbox.command(program).args(arguments).in_directory(&work);
        program.env("HOME", work.to_str().expect("in UTF-8")).env("CA", "/nowhere").env("KEYS", keys).output()
    };
    in_pod("gpg", &["--list-keys", &print]).code_is(2);
    in_pod("sh", &["-c", script]).success();
    in_pod("gpg", &["--list-keys", &print]).success();
    in_pod("gpgconf", &["--kill", "all"]).success();
    sandbox.run("gpgconf", &["--kill", "all"]);
}

#[test]
fn files_are_written_once_and_nothing_of_others_is_overwritten() {
    let repo = shop(&sandbox!(), PRODUCTION);
    let write = |arguments: &[&str]| {
        repo.try_deploy("deploy-init", &[&["runner", "--output=ops/runner"], arguments].concat())
    };
    repo.deploy("deploy-init", &["runner", "-n"]).stdout_contains("kind: Deployment");
    write(&["-n"]).success().stdout_contains("would write 'ops/runner/runner.yaml'");
    assert!(!repo.path().join("ops").exists());
    write(&[]).success().stdout_contains("wrote 'ops/runner/Containerfile'");
    objects(&repo.read("ops/runner/runner.yaml"));
    assert!(repo.read("ops/runner/Containerfile").contains("--tag registry.example.net/git-deploy-runner:"));
    write(&[]).success().stdout_is("nothing to do: all of it is written\n");

    repo.write("ops/runner/runner.yaml", "# mine\n");
    fs::remove_file(repo.path().join("ops/runner/Containerfile")).unwrap();
    write(&[])
        .code_is(1)
        .stderr_contains("'ops/runner/runner.yaml' is there already and says something else");
    assert_eq!(repo.read("ops/runner/runner.yaml"), "# mine\n");
    assert!(!repo.path().join("ops/runner/Containerfile").exists(), "all or nothing");
}

#[test]
fn what_is_dangerous_or_not_known_is_said() {
    let sandbox = sandbox!();
    let toml = format!(
        "{PRODUCTION}allow-kinds = [\"ConfigMap\", \"PriorityClass\"]\n[environment.staging]\ncontext = \"there\"\nkube-namespace = \"try\"\n"
    );
    let repo = shop(&sandbox, &toml);
    let run = |arguments: &[&str]| repo.try_deploy("deploy-init", &[&["runner"], arguments].concat());
    run(&[]).code_is(129).stderr_contains("hint: of these: --context=here --context=there");
    run(&["--context=elsewhere"])
        .code_is(129)
        .stderr_contains("no environment of base's deploy.toml has the context");
    let here = run(&["--context=here"]);
    here.success()
        .stderr_contains("no Role for 'shop' grants what 'allow-kinds' says with PriorityClass")
        .stderr_contains("other clusters (there) take a key 'kubeconfig' in the Secret");
    assert!(find(&objects(&here.stdout), "Role", "try").is_none());
    run(&["--context=here", "--namespace=shop"])
        .success()
        .stderr_contains("warning: branches are deployed to namespace 'shop'");
    run(&["--context=here", "--namespace=No"]).code_is(129);
    run(&["--context=here", "--systemd=user"]).code_is(129);
    repo.try_deploy("deploy-init", &["--server", "runner"]).code_is(129);
    // Names that YAML would take for something else, and a URL that is short for another.
    repo.set_config("url.ssh://git@git.example.org/.insteadOf", "work:");
    repo.set_config("remote.origin.url", "work:shop.git");
    let odd = run(&["--context=here", "--namespace=1e3", "--secret=null"]);
    let objects = objects(&odd.success().stdout);
    let pod = &find(&objects, "Deployment", "1e3").expect("there is one")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["env"][0]["value"], "ssh://git@git.example.org/shop.git");
    let volumes = pod["volumes"].as_array().expect("a list");
    assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == "null"), "{volumes:?}");
    let binding = find(&objects, "RoleBinding", "shop").expect("there is one");
    assert_eq!(binding["subjects"][0]["namespace"], "1e3");
    repo.set_config("remote.origin.url", "/srv/git/shop.git");
    run(&["--context=here"]).success().stderr_contains("warning: no pod can reach the remote");
}

#[test]
fn an_environment_without_a_cluster_takes_no_rights_in_one() {
    let repo = shop(&sandbox!(), "[environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\n");
    let objects = runner(&repo, &["--image=runner"]);
    assert!(objects.iter().all(|object| !object.id().kind.contains("Role")));
    let deployment = find(&objects, "Deployment", "git-deploy").expect("there is one");
    assert_eq!(deployment["spec"]["template"]["spec"]["automountServiceAccountToken"], false);
}

#[test]
fn an_image_that_no_registry_is_known_for_has_to_be_named() {
    let (_, environment) = PRODUCTION.split_once("net\"\n").expect("the registry comes first");
    let repo = shop(&sandbox!(), environment);
    let write = |arguments: &[&str]| {
        repo.try_deploy("deploy-init", &[&["runner", "--output=ops"], arguments].concat())
    };
    let unnamed = write(&[]);
    unnamed.code_is(129).stderr_contains("error: base's deploy.toml names no registry");
    unnamed.stderr_contains("--image=<registry>/git-deploy-runner:").lacks("example.org");
    assert!(!repo.path().join("ops").exists());
    write(&["--image=images.example.net/runner:1"]).success();
    let image = &find(&objects(&repo.read("ops/runner.yaml")), "Deployment", "git-deploy")
        .expect("there is one")["spec"]["template"]["spec"]["containers"][0]["image"]
        .clone();
    assert_eq!(image, "images.example.net/runner:1");
    let digest = format!("--image=images.example.net/runner@sha256:{}", "a".repeat(64));
    for (image, expected) in [
        ("--image=images.example.net/runner:1", "Always"),
        (&digest, "IfNotPresent"),
        ("--image=runner:1", "IfNotPresent"),
        ("--image=localhost/runner:1", "IfNotPresent"),
        ("--image=me/runner", "Always"),
    ] {
        let pod = &find(&runner(&repo, &[image]), "Deployment", "git-deploy").expect("there is one")["spec"]
            ["template"]["spec"]
            .clone();
        for of in ["initContainers", "containers"] {
            assert_eq!(pod[of][0]["imagePullPolicy"], expected, "{image}");
        }
    }
    assert!(repo.read("ops/Containerfile").contains("--tag images.example.net/runner:1 "));
}

#[test]
fn a_unit_finds_the_kubeconfig_that_was_found_when_it_was_written() {
    let repo = shop(&sandbox!(), PRODUCTION);
    let unit = |kubeconfig: &str, scope: &str| {
        let call = repo.command("git-deploy-init").args(["runner", &format!("--systemd={scope}")]);
        call.env("KUBECONFIG", kubeconfig).env("XDG_RUNTIME_DIR", "/run/user/1").output()
    };
    // Files that every machine has, where nothing is for a while.
    let found = "Environment=\"KUBECONFIG=/etc/passwd:/etc/group\"\n";
    unit("/etc/passwd:/etc/group:", "user").success().stdout_contains(found).lacks("must be able to read");
    unit("/etc/passwd:/etc/group", "system")
        .success()
        .stdout_contains(found)
        .stderr_contains("the user of the service must be able to read that");
    unit("", "system").success().lacks("KUBECONFIG");
    unit("/srv/a\nb", "user").code_is(128).stderr_contains("a unit cannot name the path");
}

#[test]
fn a_unit_names_no_kubeconfig_that_a_service_would_not_find() {
    let repo = shop(&sandbox!(), PRODUCTION);
    let session = repo.path().join("session");
    fs::create_dir(&session).unwrap();
    fs::write(session.join("own"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", session.join("link")).unwrap();
    let unit = |kubeconfig: &str| {
        let call = repo.command("git-deploy-init").args(["runner", "--systemd=system"]);
        call.env("KUBECONFIG", kubeconfig).env("XDG_RUNTIME_DIR", &session).output()
    };
    let nothing = unit("/tmp/config:/var/tmp/config:/etc/nowhere:/etc");
    nothing.success().lacks("Environment=\"KUBECONFIG").lacks("must be able to read");
    for (path, why) in [
        ("/tmp/config", "a service may not find in '/tmp'"),
        ("/var/tmp/config", "a service may not find in '/var/tmp'"),
        ("/etc/nowhere", "is no file"),
        ("/etc", "is no file"),
    ] {
        nothing
            .stderr_contains(&format!("warning: KUBECONFIG names '{path}', which {why}: it is left out\n"));
    }
    // What is relative is so to where it was set.
    let own = session.join("own");
    let some = unit("/etc/passwd:session/own:session/link");
    some.success().stdout_contains("Environment=\"KUBECONFIG=/etc/passwd\"\n");
    some.stderr_contains(&format!("KUBECONFIG names '{}', which a service may not find", own.display()));
}

#[test]
fn systemd_understands_the_units() {
    let repo = shop(&sandbox!(), PRODUCTION);
    let mut units = Vec::new();
    for scope in ["user", "system"] {
        let (option, folder) = (format!("--systemd={scope}"), format!("--output={scope}"));
        let call = repo.command("git-deploy-init").args(["runner", &option, &folder]);
        call.env("KUBECONFIG", "/etc/passwd")
            .output()
            .success()
            .stdout_contains("git-deploy-runner.service'");
        let unit = repo.read(&format!("{scope}/git-deploy-runner.service"));
        assert!(unit.contains(&format!("\nWorkingDirectory={}\n", repo.path().display())), "{unit}");
        units.push(format!("{scope}/git-deploy-runner.service"));
    }
    if repo.command("sh").args(["-c", "command -v systemd-analyze"]).output().code != Some(0) {
        skip!("there is no systemd-analyze");
    }
    for unit in units {
        // Those that are missing on this machine are no fault of the unit.
        let verified = repo.command("systemd-analyze").args(["verify", "--man=no", &unit]).output();
        let of_unit = verified.stderr.lines().filter(|line| line.contains("git-deploy-runner.service:"));
        // Newer ones know these.
        let known = ["RestartSteps", "RestartMaxDelaySec"];
        let wrong: Vec<&str> = of_unit.filter(|line| !known.iter().any(|key| line.contains(key))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
