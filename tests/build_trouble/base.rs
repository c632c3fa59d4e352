//! Images that cannot be made: whether that is the branch's fault, or base has the same.

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::{sandbox, skip};

use crate::lab::{CONTAINERFILE, Lab};
use crate::{lab, registry};

impl Lab {
    /// A branch that is ready, and changes one file.
    fn ready(&self, branch: &str, path: &str, text: &str) {
        self.repo.branch(branch);
        self.commit(path, text);
        self.repo.switch("master");
        self.repo.deploy("deploy-state", &["set", "deployable", branch]);
    }

    fn state(&self, branch: &str) -> String {
        self.repo.deploy("deploy-state", &["get", branch]).line().to_owned()
    }
}

#[test]
fn what_cannot_be_built_on_base_either_is_no_fault_of_a_branch() {
    let registry = registry!(Registry::plain());
    let address = registry.address();
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{address}\"")).deployable(&address);
    let wrong = "FROM scratch\nCOPY nothing /\n";
    lab.ready("wrong", "web/Containerfile", wrong);
    lab.deploy(&["wrong"]).code_is(1).stdout_contains("cannot build image").lacks("it is the same");
    assert_eq!(lab.state("wrong"), "staged");
    assert!(lab.repo.tip("refs/tags/deployment-0001").is_some());
    let toml = lab.repo.read("deploy.toml");
    let another = format!("{toml}[[image]]\nname = \"api\"\ncontext = \"web/api\"\n");
    let step = format!("{toml}[build]\nsteps = [\"exit 3\"]\n");
    for (path, text, mended, said) in [
        ("web/Containerfile", wrong, CONTAINERFILE, "cannot build image"),
        ("deploy.toml", another.as_str(), toml.as_str(), "is no directory of the commit"),
        ("deploy.toml", &step, &toml, "step 'exit 3' failed with exit status 3"),
    ] {
        lab.commit(path, text);
        let output = lab.deploy(&[]);
        output.code_is(75).stderr_contains("it is the same on 'master': ").stderr_contains(said);
        output.stderr_contains("hint: mend 'master', or deploy a branch that does\n");
        assert_eq!(lab.repo.tip("refs/tags/deployment-0002"), None);
        lab.still_waits();
        lab.commit(path, mended);
    }
    lab.deploy(&[]).success();
    lab.is_tidy();
}

#[test]
fn a_registry_that_cannot_be_reached_is_the_fault_of_a_branch_that_alone_builds_on_it() {
    let registry = registry!(Registry::plain());
    let address = registry.address();
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{address}\"")).deployable(&address);
    // Nobody is there.
    let away = "FROM 127.0.0.1:1/a/b:1\nCOPY index.html /\n";
    lab.ready("typo", "web/Containerfile", away);
    let output = lab.deploy(&["typo"]);
    output.code_is(1).stdout_contains("nothing on 'master' is built on an image of '127.0.0.1:1'");
    assert_eq!(lab.state("typo"), "staged");
    // Where base uses it, too, it is nobody's, also with another image of it.
    lab.commit("web/Containerfile", away);
    lab.deploy(&["login"]).code_is(75).stderr_contains("cannot build image").lacks("is built on");
    lab.still_waits();
    lab.commit("web/Containerfile", CONTAINERFILE);
    lab.deploy(&["login"]).success();
}

#[test]
fn images_of_base_are_neither_pushed_nor_loaded_where_a_branch_is_only_compared_with_it() {
    let registry = registry!(Registry::plain());
    let address = registry.address();
    let here = format!("address = \"{address}\"");
    for (name, registry) in [("pushes", here.as_str()), ("loads", "load = [\"load-image\", \"{image}\"]")] {
        let lab = lab!(&sandbox!(), name, registry).deployable(&address);
        let loaded = lab.store.path().join("loaded");
        let load = format!("#!/bin/sh\necho \"$1\" >>'{}'\n", loaded.display());
        lab.repo.sandbox().add_program("load-image", &load);
        lab.ready("wrong", "web/Containerfile", "FROM scratch\nCOPY nothing /\n");
        let output = lab.deploy(&["wrong"]);
        output.code_is(1).stderr_contains("Comparing with ").lacks("Pushing").lacks("Loading");
        assert_eq!(lab.state("wrong"), "staged");
        assert!(!loaded.exists(), "{output}");
        // Where there is no registry, images stay where they are built.
        if name == "pushes" {
            lab.has_no_image();
        }
        lab.is_tidy();
    }
}
