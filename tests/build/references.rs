//! What manifests write where an image of the project's own is meant.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};

use crate::scene::{deployable, registry};

const OWN: &str = "littleman-co/shop-web:any";

/// The manifests with that image.
fn with(image: &str) -> String {
    WEB.replace(OWN, image)
}

#[test]
fn what_is_written_behind_an_own_image_is_said_to_be_replaced_once_a_deployment() {
    let shop = Shop::with_remote(&sandbox!());
    let digest = format!("@sha256:{}", "0".repeat(64));
    let two = with("littleman-co/shop-web:1.2").replace("name: web", "name: two");
    let three = with(&format!("littleman-co/shop-web:1.2{digest}")).replace("name: web", "name: three");
    let commit = shop.deployable("login", "deploy/more.yaml", &format!("{two}---\n{three}"));
    let name = format!("littleman-co/shop-web:{}", &commit[..7]);
    let notes = [
        format!("the tag of 'littleman-co/shop-web:1.2' is replaced by that of the commit: '{name}'"),
        format!(
            "the digest of 'littleman-co/shop-web:1.2{digest}' is replaced by that of the commit: '{name}'"
        ),
        format!("the tag of '{OWN}' is replaced by that of the commit: '{name}'"),
    ];
    let diff = shop.repo.try_deploy("deploy-diff", &["login"]);
    shop.repo.try_deploy("deploy-diff", &["-q", "login"]).lacks("replaced");
    let dry = shop.deploy(&["--dry-run"]);
    let json = shop.deploy(&["--dry-run", "--json"]).success().stdout.clone();
    let deployed = shop.deploy(&[]);
    deployed.success();
    for note in &notes {
        for output in [&diff, &dry, &deployed] {
            assert_eq!(output.stderr.matches(&format!("note: {note}\n")).count(), 1, "{output}");
        }
        assert!(json.contains(&format!("{{\"event\":\"note\",\"text\":\"{note}\"}}\n")), "{json}");
    }
    // Whoever leaves it out is told nothing, and neither is whoever names what others build.
    let untagged =
        with("littleman-co/shop-web") + "---\n" + &with("other/shop-web:1").replace("web\n", "other\n");
    shop.repo.git(&["switch", "--quiet", "-c", "plain", "master"]);
    shop.repo.git(&["rm", "--quiet", "deploy/more.yaml"]);
    shop.repo.commit("deploy/web.yaml", &untagged, "Leave it out");
    shop.push(&["plain"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "plain"]);
    shop.deploy(&[]).success().lacks("note:");
    shop.is_sound();
}

#[test]
fn a_misspelt_own_image_is_told_from_a_missing_version_and_before_anything_is_built() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let address = registry.address();
    for (name, slip) in [
        ("one", "littleman-co/shop-wbe".to_owned()),
        ("two", format!("{address}/littleman-co/shop-wep:latest")),
        ("three", "littleman-co/shpo-web".to_owned()),
    ] {
        builds.branch(name, "deploy/web.yaml", &with(&slip));
        let host = if slip.starts_with(&address) { format!("{address}/") } else { String::new() };
        let why = format!("'{slip}' of container 'web', did you mean '{host}littleman-co/shop-web'?");
        for output in [builds.run("deploy-diff", &[name]), builds.run("deploy", &["--dry-run"])] {
            output.code_is(1).stderr_contains("no image of this project").stderr_contains(&why);
        }
        let output = builds.run("deploy", &[]);
        output.code_is(1).stdout_contains("Failed Deployment").stdout_contains(&why);
        output.stderr_contains("hint: mend the name;").lacks("Building").lacks("Pushing");
        assert_eq!(builds.repo.deploy("deploy-state", &["get", name]).line(), "staged");
    }
    // A rule that is broken is as early.
    builds.branch("latest", "deploy/web.yaml", &with("nginx:latest"));
    builds.run("deploy", &[]).code_is(1).stdout_contains("[image-tag]").lacks("Building");
}

#[test]
fn what_is_the_same_on_base_is_no_branchs_fault_and_nothing_is_built_for_it_either() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.repo.commit("deploy/web.yaml", &with("littleman-co/shop-wbe"), "Slip");
    builds.branch("login", "web/index.html", "login\n");
    let output = builds.run("deploy", &[]);
    output
        .code_is(75)
        .stderr_contains("it is the same on 'master'")
        .stderr_contains("did you mean")
        .lacks("Building");
    assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None);
}

#[test]
fn a_version_that_may_be_somebody_elses_is_only_warned_of() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "deploy/web.yaml", &with("littleman-co/shop-wbe:1.2"));
    let warning = "warning: no image of this project: 'littleman-co/shop-wbe:1.2' of container 'web', did you mean \
                   'littleman-co/shop-web'?";
    shop.deploy(&["--dry-run"]).success().stderr_contains(warning);
    shop.deploy(&[]).success().stderr_contains(warning);
    // Nor is one that is right by a rule that base has switched off.
    let lax = format!("{DEPLOY_TOML}[environment.demo.lint]\nimage-tag = \"off\"\n");
    shop.on_master("deploy.toml", &lax);
    shop.deployable("lax", "deploy/web.yaml", &with("littleman-co/shop-wbe"));
    shop.deploy(&[]).success().stderr_contains("did you mean 'littleman-co/shop-web'?");
    // What has a digest was chosen with care, and so was what is called otherwise.
    let pinned = with(&format!("littleman-co/shop-wbe@sha256:{}", "0".repeat(64)));
    shop.deployable(
        "others",
        "deploy/web.yaml",
        &(pinned + "---\n" + &with("littleman-co/shop-api:1").replace("web\n", "api\n")),
    );
    shop.deploy(&[]).success().lacks("did you mean");
}

#[test]
fn what_a_branch_says_and_base_decides_is_said_to_count_when_it_has_landed() {
    let shop = Shop::with_remote(&sandbox!());
    let own = DEPLOY_TOML.replace("\"shop\"", "\"store\"") + "[registry]\naddress = \"r.example.org\"\n";
    let commit = shop.deployable("login", "deploy.toml", &own);
    let note = format!(
        "note: [image-name] and [registry] in deploy.toml of commit {} count when it has landed: until then those of \
         'master' do\n",
        &commit[..10]
    );
    let build = shop.repo.try_deploy("deploy-build", &["--print-names", "login"]);
    build.stdout_is(&format!("littleman-co/shop-web:{}\n", &commit[..7])).stderr_is(&note);
    shop.repo.try_deploy("deploy-diff", &["login"]).stderr_contains(&note);
    shop.deploy(&["--dry-run"]).success().stderr_contains(&note);
    let output = shop.deploy(&[]);
    output.success();
    assert_eq!(output.stderr.matches(&note).count(), 1, "{output}");
    // Now it has, and says nothing more; nor does what base has gone on from.
    shop.repo.try_deploy("deploy-diff", &["master"]).lacks("count when");
    shop.repo.try_deploy("deploy-diff", &["master~1"]).lacks("count when");
    shop.deployable("next", "deploy/web.yaml", &with("littleman-co/store-web"));
    shop.repo.try_deploy("deploy-diff", &["next"]).code_is(1).lacks("count when");
    shop.is_sound();
}
