//! What the images of a commit are called.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::scene::{NAMES, names};

const IMAGES: &str =
    "[[image]]\nname = \"nginx\"\ncontext = \"images/nginx\"\n[[image]]\nname = \"php\"\ncontext = \"p\"\n";

fn shop(sandbox: &Sandbox, text: &str) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("deploy.toml", text, "Deploy");
    repo
}

#[test]
fn images_are_named_after_namespaces_container_and_commit() {
    let repo = shop(&sandbox!(), &format!("{NAMES}{IMAGES}"));
    let hash = &repo.id("HEAD")[..7];
    repo.deploy("deploy-build", &["--print-names"])
        .stdout_is(&format!("littleman-co/shop-nginx:{hash}\nlittleman-co/shop-php:{hash}\n"))
        .stderr_is("");
}

#[test]
fn more_images_than_a_note_can_name_are_refused_before_anything_is_built() {
    const LOAD: &str = "[registry]\nload = [\"true\", \"{image}\"]\n";
    let names = |count: u32| -> String {
        let name = |number| format!("{}-{number}", "x".repeat(90));
        let image = |number| format!("[[image]]\nname = \"{}\"\ncontext = \"web\"\n", name(number));
        (0..count).map(image).collect()
    };
    let repo = shop(&sandbox!(), &format!("{NAMES}{LOAD}{}", names(150)));
    repo.deploy("deploy-build", &["--print-names"]).success();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours }\n";
    repo.commit("deploy/colours.yaml", object, "Deploy something");
    repo.branch("many");
    repo.commit("deploy.toml", &format!("{NAMES}{LOAD}{}", names(200)), "Build many");
    let why =
        "the names of 200 images have 39890 bytes with their digests, and at most 32768 fit into a note";
    repo.command("git")
        .args(["deploy-build"])
        .output()
        .code_is(1)
        .stdout_is("")
        .stderr_contains(why)
        .stderr_contains("hint: give them shorter names, or make several of them one image")
        .lacks("Exporting");
    repo.git(&["switch", "--quiet", "master"]);
    repo.deploy("deploy-state", &["set", "deployable", "many"]).success();
    repo.command("git").args(["deploy", "many"]).output().code_is(1).stdout_contains(why);
    assert_eq!(repo.deploy("deploy-state", &["get", "many"]).stdout, "staged\n");
}

#[test]
fn how_they_are_called_comes_from_base_and_which_there_are_from_the_commit() {
    let repo =
        shop(&sandbox!(), &format!("{NAMES}hash-length = 10\n[registry]\naddress = \"r.example.org\"\n"));
    repo.branch("login");
    let grabbed = NAMES.replace("littleman-co", "somebody-else");
    let commit = repo.commit("deploy.toml", &format!("{grabbed}{IMAGES}"), "Grab a name");
    let hash = &commit[..10];
    let expected =
        format!("r.example.org/littleman-co/shop-nginx:{hash}\nr.example.org/littleman-co/shop-php:{hash}\n");
    for commit in ["HEAD", "login", &commit, "refs/heads/login"] {
        assert_eq!(names(&repo, commit), expected);
    }
    assert_eq!(names(&repo, "master"), "");
}

#[test]
fn a_registrys_address_may_end_with_a_slash_and_what_is_wrong_with_another_is_said() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox, "");
    let address = |address: &str| {
        repo.commit("deploy.toml", &format!("{NAMES}[registry]\naddress = \"{address}\"\n{IMAGES}"), "Move");
    };
    for (written, read) in
        [("r.example.org:5000/", "r.example.org:5000"), ("r.example.org/team/", "r.example.org/team")]
    {
        address(written);
        let hash = &repo.id("HEAD")[..7];
        assert!(
            names(&repo, "HEAD").starts_with(&format!("{read}/littleman-co/shop-nginx:{hash}\n")),
            "{written}"
        );
    }
    let two = "on both sides of it";
    for (written, why) in
        [("r.example.org//team", two), ("/team", two), ("r..org", two), ("/", "must not be empty")]
    {
        address(written);
        repo.deploy_fails(why);
        repo.try_deploy("deploy-build", &[]).lacks("is empty");
    }
}

#[test]
fn the_work_tree_does_not_matter() {
    let repo = shop(&sandbox!(), &format!("{NAMES}{IMAGES}"));
    let before = names(&repo, "HEAD");
    repo.write("deploy.toml", "nonsense");
    assert_eq!(names(&repo, "HEAD"), before);
}

#[test]
fn a_branch_that_brings_the_first_deploy_toml_names_its_images_itself() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit_empty("Begin");
    repo.deploy_fails("there is no 'deploy.toml' in commit");
    repo.branch("deploy");
    repo.commit("deploy.toml", &format!("{NAMES}{IMAGES}"), "Deploy");
    assert!(names(&repo, "deploy").starts_with("littleman-co/shop-nginx:"));
}

#[test]
fn what_cannot_be_named_is_an_error() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox, &format!("{NAMES}hash-lenght = 9\n"));
    repo.deploy_fails("did you mean 'hash-length'?");
    repo.commit("deploy.toml", &format!("{NAMES}{IMAGES}").replace("\"nginx\"", "\"Nginx\""), "Shout");
    repo.deploy_fails("upper-case");
    let missing = repo.try_deploy("deploy-build", &["--print-names", "$(touch x)"]);
    missing.code_is(128).stderr_contains("there is no commit '$(touch x)'");
    let empty = sandbox.repository("empty");
    empty.deploy_fails("there are no commits yet");
}

trait Fails {
    fn deploy_fails(&self, why: &str);
}

impl Fails for Repo {
    #[track_caller]
    fn deploy_fails(&self, why: &str) {
        self.try_deploy("deploy-build", &["--print-names"]).code_is(128).stdout_is("").stderr_contains(why);
    }
}
