//! Behaviour of [`DeployToml::parse`], seen from outside.

use std::time::Duration;

use super::*;

/// The example of the documentation, with every key in it.
const EVERYTHING: &str = r#"
trust-branches = true

[image-name]
container-namespace = "littleman-co"
project-namespace = "git-littleman-co"
hash-length = 9

[build]
env-file = "build.env"            # sourced by sh and exported before each step
steps = ["./build/assets.sh"]

[[image]]
name = "nginx"
context = "images/nginx"
[[image]]
name = "php"
context = "./images/php/"

[registry]
address = "registry.example.org"
load = ["kind", "load", "docker-image", "{image}"]

[rebase]
committer = "Deployer <deploy@example.org>"

[approve]
allowed-signers = "deploy/approvers"

[assets]
anything = { goes = 1 }

[environment.production]
context = "production"
kube-namespace = "shop"
manifests = ["deploy/production", "deploy/common.yaml"]
after = "staging"
approval = true
lands = true
prune = "1h30m"
timeout = "7m"
crash-grace = "1s"
first-failure = "remove"
config-hash = false
allow-kinds = ["ClusterRole"]
allow-namespaces = ["shop", "shop-jobs"]
[environment.production.lint]
two-replicas = "warn"
moving-tag = "error"
probes = "off"
[environment.production.gate.image]
[environment.production.gate.performance]
budget = 3

[environment.staging]
kind = "cluster"
context = "staging"
kube-namespace = "shop"
render = ["kubectl", "kustomize", "deploy/staging"]

[environment.demo]
kind = "rendered"
branch = "rendered/demo"
manifests = ["deploy/production"]
"#;

fn parsed(text: &str) -> DeployToml {
    DeployToml::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error_of(text: &str) -> String {
    match DeployToml::parse(text) {
        Ok(value) => panic!("accepted: {text}\n{value:#?}"),
        Err(error) => error.to_string(),
    }
}

/// The error of a cluster environment with these further lines, which begin at line 4.
fn cluster_error(lines: &str) -> String {
    error_of(&format!("[environment.production]\ncontext = \"c\"\nkube-namespace = \"shop\"\n{lines}\n"))
}

fn rendered(name: &str, lines: &str) -> String {
    format!("[environment.{name}]\nkind = \"rendered\"\n{lines}\n")
}

fn names(deploy_toml: &DeployToml) -> Vec<&str> {
    deploy_toml.environments().iter().map(|environment| environment.name.as_str()).collect()
}

#[test]
fn every_documented_key_is_read() {
    let all = parsed(EVERYTHING);
    let image_name = all.image_name.as_ref().unwrap();
    assert_eq!(image_name.container_namespace, "littleman-co");
    assert_eq!(image_name.project_namespace, "git-littleman-co");
    assert_eq!(image_name.hash_length, 9);
    assert_eq!(all.build.env_file.as_ref().unwrap().as_str(), "build.env");
    assert_eq!(all.build.steps, ["./build/assets.sh"]);
    let images: Vec<_> =
        all.images.iter().map(|image| (image.name.as_str(), image.context.as_str())).collect();
    assert_eq!(images, [("nginx", "images/nginx"), ("php", "images/php")]);
    assert_eq!(all.registry.address.as_deref(), Some("registry.example.org"));
    assert_eq!(all.registry.load.as_ref().unwrap()[3], "{image}");
    let committer = all.committer.as_ref().unwrap();
    assert_eq!((committer.name.as_str(), committer.email.as_str()), ("Deployer", "deploy@example.org"));
    assert!(all.trust_branches);
    assert!(all.assets["anything"].is_table());
}

#[test]
fn every_documented_key_of_an_environment_is_read() {
    let all = parsed(EVERYTHING);
    let production = all.environment("production").unwrap();
    let cluster = |context: &str| Target::Cluster { context: context.into(), kube_namespace: "shop".into() };
    assert_eq!(production.target, cluster("production"));
    assert_eq!(production.kube_namespace(), Some("shop"));
    let paths = ["deploy/production", "deploy/common.yaml"].map(|path| TreePath(path.to_owned()));
    assert_eq!(production.source, Source::Manifests(paths.to_vec()));
    assert_eq!(production.after.as_ref().unwrap().as_str(), "staging");
    assert!(production.approval);
    assert_eq!(production.prune, Prune::After(Duration::from_secs(5_400)));
    assert_eq!(
        (production.timeout, production.crash_grace),
        (Duration::from_secs(420), Duration::from_secs(1))
    );
    assert_eq!(production.first_failure, FirstFailure::Remove);
    assert!(!production.config_hash);
    let lint = |rule: &str| production.lint[rule].severity;
    assert_eq!(lint("two-replicas"), Severity::Warn);
    assert_eq!(lint("moving-tag"), Severity::Error);
    assert_eq!(lint("probes"), Severity::Off);
    assert_eq!(production.gates["performance"]["budget"].as_integer(), Some(3));
    assert!(production.gates["image"].is_empty());
    assert_eq!(production.allow_kinds.as_ref().unwrap(), &["ClusterRole"]);
    assert_eq!(production.allow_namespaces.as_ref().unwrap(), &["shop", "shop-jobs"]);

    let staging = all.environment("staging").unwrap();
    assert_eq!(staging.target, cluster("staging"));
    assert!(staging.config_hash);
    let render = ["kubectl", "kustomize", "deploy/staging"].map(str::to_owned);
    assert_eq!(staging.source, Source::Render(render.to_vec()));
    assert_eq!((staging.prune, staging.lands), (Prune::Now, false));

    let demo = all.environment("demo").unwrap();
    assert_eq!(demo.target, Target::Rendered { branch: "rendered/demo".into(), kube_namespace: None });
    assert!(all.environment("elsewhere").is_none());
}

#[test]
fn environments_come_after_what_they_wait_for_else_in_the_order_of_the_file() {
    let all = parsed(EVERYTHING);
    assert_eq!(names(&all), ["staging", "production", "demo"]);
    assert_eq!(all.landing_environment().name.as_str(), "production");
}

#[test]
fn an_empty_file_has_one_rendered_environment_that_lands() {
    for text in ["", "# only a comment\n", "[environment]\n", "[build]\nsteps = []\n"] {
        let default = parsed(text);
        let [environment] = default.environments() else { panic!("{default:#?}") };
        assert_eq!(environment.name.as_str(), "rendered");
        assert_eq!(
            environment.target,
            Target::Rendered { branch: "rendered/default".into(), kube_namespace: None }
        );
        assert_eq!(environment.source, Source::Manifests(vec![TreePath("deploy".into())]));
        assert!(default.landing_environment().lands);
    }
}

#[test]
fn a_rendered_environment_is_named_after_itself_unless_told() {
    let one = parsed(&rendered("demo", ""));
    assert_eq!(
        one.landing_environment().target,
        Target::Rendered { branch: "rendered/demo".into(), kube_namespace: None }
    );
}

#[test]
fn the_only_environment_lands_unasked() {
    assert!(parsed(&rendered("demo", "")).landing_environment().lands);
    assert_eq!(
        error_of(&rendered("demo", "lands = false")),
        "deploy.toml:3:9: the only environment must land, else no branch ever reaches base"
    );
}

#[test]
fn of_several_environments_exactly_one_lands() {
    let (a, b) = (rendered("a", ""), rendered("b", ""));
    assert_eq!(
        error_of(&format!("{a}{b}")),
        "deploy.toml:1:14: of several environments exactly one must have 'lands = true', none has"
    );
    let (a, b) = (rendered("a", "lands = true"), rendered("b", "lands = true"));
    assert_eq!(
        error_of(&format!("{a}{b}")),
        "deploy.toml:6:9: only one environment can have 'lands = true', 'a' has it already"
    );
}

#[test]
fn an_unknown_key_names_the_nearest_known_one_and_its_place() {
    assert_eq!(
        cluster_error("  manifest = [\"deploy\"]"),
        "deploy.toml:4:3: unknown key 'manifest' in [environment.production], did you mean 'manifests'?"
    );
    assert_eq!(
        error_of("[[image]]\nname = \"a\"\ncontext = \"a\"\n[[image]]\nnmae = \"b\"\ncontext = \"b\"\n"),
        "deploy.toml:4:1: [[image]] needs 'name'"
    );
    assert_eq!(
        error_of("[[image]]\nname = \"a\"\ncontex = \"a\"\ncontext = \"a\"\n"),
        "deploy.toml:3:1: unknown key 'contex' in [[image]], did you mean 'context'?"
    );
    assert_eq!(
        error_of("\n[enviroment.production]\n"),
        "deploy.toml:2:2: unknown key 'enviroment' at the top, did you mean 'environment'?"
    );
    assert_eq!(
        error_of("registry = { host = \"a\" }"),
        "deploy.toml:1:14: unknown key 'host' in [registry], known are 'address', 'load'"
    );
}

#[test]
fn of_several_mistakes_the_first_in_the_file_is_told() {
    let text = "[registry]\nadress = \"a\"\n[build]\nstep = []\n[image-name]\nx = 1\n";
    assert!(error_of(text).starts_with("deploy.toml:2:1: unknown key 'adress'"), "{}", error_of(text));
}

#[test]
fn columns_count_characters_and_neither_mark_nor_carriage_returns_disturb_them() {
    let text = "\u{feff}[build]\r\nsteps = [\"grüße\", 7]\r\n";
    assert_eq!(error_of(text), "deploy.toml:2:19: 'steps' must be an array of strings, not a whole number");
    assert_eq!(parsed("\u{feff}[build]\r\nsteps = [\"a\"]\r\n").build.steps, ["a"]);
    assert!(error_of("\u{feff}x = 1").starts_with("deploy.toml:1:1: unknown key 'x'"));
}

#[test]
fn invalid_toml_is_told_with_its_place() {
    for (text, place) in [
        ("[build\n", "deploy.toml:1:7: invalid TOML: "),
        ("\n\n  steps = \"a", "deploy.toml:3:13: invalid TOML: "),
        ("[build]\n[build]\n", "deploy.toml:2:2: invalid TOML: "),
    ] {
        let error = error_of(text);
        assert!(error.starts_with(place), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_wrong_type_is_told_with_what_was_expected() {
    for (text, expected) in [
        ("trust-branches = \"yes\"", "1:18: 'trust-branches' must be true or false, not a string"),
        ("image-name = 1", "1:14: 'image-name' must be a table, not a whole number"),
        ("image = \"a\"", "1:9: 'image' must be an array of tables, not a string"),
        ("image = [1]", "1:10: 'image' must be an array of tables, not a whole number"),
        ("[image]\nname = \"a\"", "1:1: 'image' must be an array of tables, not a table"),
        ("environment = []", "1:15: 'environment' must be a table, not an array"),
        ("environment.a = 2026-11-20", "1:17: 'a' must be a table, not a date"),
        ("build.steps = \"a\"", "1:15: 'steps' must be an array of strings, not a string"),
        ("assets = 1.5", "1:10: 'assets' must be a table, not a fraction"),
        ("environment.a.gate.image = true", "1:28: 'image' must be a table, not true or false"),
    ] {
        assert_eq!(error_of(text), format!("deploy.toml:{expected}"));
    }
}

#[test]
fn an_environment_name_must_be_a_dns_label() {
    let long = "a".repeat(64);
    for name in ["\"Production\"", "\"a_b\"", "\"-a\"", "\"a-\"", "\"\"", "\"a.b\"", "\"ä\"", &long] {
        let error = error_of(&rendered(name, ""));
        assert!(error.contains("invalid environment name") && error.contains("DNS label"), "{error}");
    }
    assert!(parsed(&rendered(&"a".repeat(63), "")).environments().len() == 1);
    // By that word somebody skips another thing.
    assert!(error_of(&rendered("freeze", "")).contains("choose another name"));
}

#[test]
fn after_must_name_another_environment() {
    let alone = cluster_error("approval = true");
    assert!(alone.contains(":4:12: 'approval' needs 'after'"), "{alone}");
    let a = rendered("staging", "lands = true");
    assert_eq!(
        error_of(&format!("{a}{}", rendered("demo", "after = \"stagging\""))),
        "deploy.toml:6:9: invalid after 'stagging': there is no such environment, did you mean 'staging'?"
    );
    assert_eq!(
        error_of(&rendered("demo", "after = \"production\"")),
        "deploy.toml:3:9: invalid after 'production': there is no such environment, only 'demo'"
    );
}

#[test]
fn after_must_not_go_in_circles() {
    assert_eq!(
        error_of(&rendered("a", "after = \"a\"")),
        "deploy.toml:3:9: 'after' of environment 'a' leads back to itself"
    );
    // The first only waits for the circle and is not blamed for it.
    let text = [
        rendered("first", "after = \"b\""),
        rendered("a", "after = \"b\""),
        rendered("b", "after = \"a\"\nlands = true"),
    ]
    .concat();
    let error = error_of(&text);
    assert!(error.contains("of environment 'a'") || error.contains("of environment 'b'"), "{error}");
}

#[test]
fn manifests_and_render_exclude_each_other() {
    assert_eq!(
        cluster_error("render = [\"a\"]\nmanifests = [\"deploy\"]"),
        "deploy.toml:5:13: 'manifests' and 'render' exclude each other"
    );
    assert_eq!(cluster_error("render = []"), "deploy.toml:4:10: 'render' must name a program");
    assert_eq!(
        cluster_error("manifests = []"),
        "deploy.toml:4:13: 'manifests' must name a file or directory"
    );
}

#[test]
fn a_cluster_is_never_chosen_by_accident() {
    let error = error_of("[environment.production]\nkube-namespace = \"shop\"\n");
    assert!(error.starts_with("deploy.toml:1:14: [environment.production] needs 'context'"), "{error}");
    let error = error_of("[environment.production]\ncontext = \"production\"\n");
    assert!(
        error.starts_with("deploy.toml:1:14: [environment.production] needs 'kube-namespace'"),
        "{error}"
    );
    assert!(cluster_error("branch = \"rendered/a\"").contains("'branch' is only for kind = \"rendered\""));
    let error = error_of(&rendered("demo", "context = \"production\""));
    assert!(error.contains("'context' is only for kind = \"cluster\""), "{error}");
    assert!(error_of(&rendered("demo", "prune = \"now\"")).contains("'prune' is only for"));
}

#[test]
fn values_out_of_their_range_are_refused_with_what_would_do() {
    for (lines, expected) in [
        ("kind = \"clusters\"", "4:8: invalid kind 'clusters': must be 'cluster' or 'rendered'"),
        ("prune = \"later\"", "4:9: invalid prune 'later': must be 'now', 'never' or a duration"),
        ("prune = \"0s\"", "4:9: invalid prune '0s'"),
        ("prune = \"99999999999999999999d\"", "4:9: invalid prune"),
        ("prune = \"9223372036854775807d\"", "4:9: invalid prune"),
        ("prune = \"-1h\"", "4:9: invalid prune '-1h'"),
        ("prune = \"\"", "4:9: invalid prune ''"),
        ("prune = \"7\"", "4:9: invalid prune '7'"),
        ("prune = \"1.5h\"", "4:9: invalid prune '1.5h'"),
        ("allow-namespaces = [\"shop\", \"*\"]", "4:29: invalid namespace '*'"),
        (
            "lint.a = \"warning\"",
            "4:10: invalid severity of rule 'a' 'warning': must be 'error', 'warn' or 'off'",
        ),
    ] {
        let error = cluster_error(lines);
        assert!(error.starts_with(&format!("deploy.toml:{expected}")), "{error}");
    }
    for length in ["3", "65", "-1", "9999"] {
        let text = format!(
            "[image-name]\ncontainer-namespace = \"a\"\nproject-namespace = \"b\"\nhash-length = {length}\n"
        );
        let expected = format!("deploy.toml:4:15: invalid hash-length '{length}': must be from 4 to 64");
        assert_eq!(error_of(&text), expected);
    }
}

#[test]
fn durations_are_counted_in_days_hours_minutes_and_seconds() {
    for (text, seconds) in [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("1d1s", 86_401)] {
        let text = format!("[environment.a]\ncontext = \"c\"\nkube-namespace = \"n\"\nprune = \"{text}\"\n");
        let prune = parsed(&text).landing_environment().prune;
        assert_eq!(prune, Prune::After(Duration::from_secs(seconds)));
    }
}

#[test]
fn a_path_cannot_leave_the_tree() {
    for path in ["/etc", "../a", "a/../b", "a/..", ""] {
        let error = error_of(&rendered("demo", &format!("manifests = [\"{path}\"]")));
        assert!(error.starts_with(&format!("deploy.toml:3:14: invalid manifests '{path}'")), "{error}");
        let error = error_of(&format!("build.env-file = \"{path}\""));
        assert!(error.contains("invalid env-file"), "{error}");
    }
    let text = rendered("demo", "manifests = [\".\", \"./a//b/\", \"..a/b..\"]");
    let Source::Manifests(paths) = &parsed(&text).landing_environment().source.clone() else { panic!() };
    assert_eq!(paths.iter().map(TreePath::as_str).collect::<Vec<_>>(), [".", "a/b", "..a/b.."]);
}

#[test]
fn a_rendered_branch_must_be_a_name_that_git_takes() {
    for branch in [
        "", "a b", "a..b", "a~1", "a^", "a:b", "-a", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b",
        "a.", "@", "HEAD", "a@{1}", "a*", "a?", "a[", "a\\\\b", "a\\u0007",
    ] {
        let error = error_of(&rendered("demo", &format!("branch = \"{branch}\"")));
        assert!(error.contains("is no valid name of a branch"), "{branch}: {error}");
    }
    for branch in ["rendered/demo", "a", "größe", "a.b", "a-", "a@b", "head"] {
        parsed(&rendered("demo", &format!("branch = \"{branch}\"")));
    }
}

#[test]
fn rendered_environments_do_not_share_a_branch() {
    let first = rendered("a", "lands = true\nbranch = \"out\"");
    assert_eq!(
        error_of(&format!("{first}{}", rendered("b", "branch = \"out\""))),
        "deploy.toml:7:10: branch 'out' is that of environment 'a' already"
    );
    assert_eq!(
        error_of(&format!("{first}{}", rendered("b", "branch = \"out/b\""))),
        "deploy.toml:7:10: git cannot hold a branch 'out/b' besides 'out'"
    );
    parsed(&format!("{first}{}", rendered("b", "branch = \"output\"")));
}

#[test]
fn a_committer_has_a_name_and_an_address() {
    for text in ["Deployer", "<a@b>", "Deployer <>", "A <a@b> ", "A <a b>", "A <a@b> <c@d>", "A\\nB <a@b>"] {
        let error = error_of(&format!("[rebase]\ncommitter = \"{text}\"\n"));
        assert!(error.starts_with("deploy.toml:2:13: invalid committer"), "{error}");
    }
}

#[test]
fn images_need_a_name_of_their_own_and_an_image_name_table() {
    let header = "[image-name]\ncontainer-namespace = \"a\"\nproject-namespace = \"b\"\n";
    let image = "[[image]]\nname = \"nginx\"\ncontext = \"x\"\n";
    assert_eq!(error_of(&format!("{header}{image}{image}")), "deploy.toml:8:8: two images are named 'nginx'");
    assert_eq!(error_of(image), "deploy.toml:2:8: [[image]] needs an [image-name] table to be named by");
    assert_eq!(parsed(&format!("{header}{image}")).image_name.unwrap().hash_length, DEFAULT_HASH_LENGTH);
    assert_eq!(
        error_of("[image-name]\ncontainer-namespace = \"a\"\n"),
        "deploy.toml:1:1: [image-name] needs 'project-namespace'"
    );
}

#[test]
fn lint_rules_are_held_against_those_that_exist() {
    let text = rendered("demo", "[environment.demo.lint]\nmoving-tagg = \"warn\"\nzz = \"off\"");
    let demo = parsed(&text);
    assert_eq!(demo.check_lint_rules(&["moving-tagg", "zz"]), Ok(()));
    assert_eq!(
        demo.check_lint_rules(&["moving-tag", "probes"]).unwrap_err().to_string(),
        "deploy.toml:4:1: unknown key 'moving-tagg' in [environment.demo.lint], did you mean 'moving-tag'?"
    );
}

#[test]
fn keys_may_be_written_in_any_of_tomls_ways() {
    let dotted = parsed("environment.demo.kind = \"rendered\"\nenvironment.demo.manifests = [\"a\"]\n");
    let inline = parsed("environment = { demo = { kind = \"rendered\", manifests = [\"a\"] } }\n");
    assert_eq!(dotted, inline);
}

#[test]
fn a_number_too_large_to_hold_is_an_error_with_its_place() {
    let text = "[image-name]\ncontainer-namespace = \"a\"\nproject-namespace = \"b\"\nhash-length = 99999999999999999999\n";
    let error = error_of(text);
    assert!(error.starts_with("deploy.toml:4:15: invalid"), "{error}");
}

#[test]
fn a_source_is_a_url_that_everybody_may_see() {
    let parse = |url: &str| DeployToml::parse(&format!("[build]\nsource = \"{url}\"\n"));
    for url in ["https://git.example.org/shop", "ssh://git.example.org:22/a@b", "http://[::1]/shop.git?x=1#y"]
    {
        assert_eq!(parse(url).unwrap().build.source.as_deref(), Some(url));
    }
    let odd = ["h t://x/y", "https://x/a b", "https://x/\\u0007", "https://é/"];
    for url in ["", "shop", "https://", "https:///shop"].into_iter().chain(odd) {
        let error = parse(url).unwrap_err();
        assert!(error.to_string().contains("must be a URL such as"), "{url}: {error}");
        assert_eq!((error.line, error.column), (2, 10), "{url}");
    }
    let error = parse("https://ada:s3cret@git.example.org/shop").unwrap_err().to_string();
    assert!(error.contains("neither user nor password") && error.contains("***@git.example.org"), "{error}");
    assert!(!error.contains("s3cret") && !error.contains("ada"), "{error}");
}
