//! A web application in Python, as a team would have it: a base image, a build step, an argument.

use git_deploy_testkit::cluster::{Image, NodeCluster, has_package};
use git_deploy_testkit::{node_cluster, sandbox, skip};

use crate::support::{Web, assert_answers};

/// Debian's package of Flask.
const FLASK: &str = "python3-flask";

const CONTAINERFILE: &str = r#"ARG REGISTRY
FROM ${REGISTRY}/python-flask:3
ARG COLOUR
ENV COLOUR=${COLOUR}
WORKDIR /app
COPY app.py page.txt ./
CMD ["/usr/bin/python3", "-m", "flask", "--app", "app", "run", "--host=0.0.0.0", "--port=8080"]
"#;

const APPLICATION: &str = r#"import os
from pathlib import Path
from flask import Flask

app = Flask(__name__)
page = Path("page.txt").read_text()

@app.route("/")
def index():
    return f"{os.environ['COLOUR']} {page}"
"#;

const STEP: &str = "[build]\nenv-file = \"build.env\"\nsteps = [\"echo paper in $COLOUR >web/page.txt\"]";

/// The same, but it wants something that nobody gives it.
fn wanting() -> String {
    APPLICATION.replace("page = ", "shop = os.environ['SHOP']\npage = ")
}

/// Pushes what the image of an application stands on.
fn push_base(cluster: &NodeCluster) {
    cluster.push(&Image::new("python-flask:3").package(FLASK));
}

#[test]
fn an_application_in_python_answers_and_when_it_fails_to_start_its_traceback_is_shown() {
    let cluster = node_cluster!();
    if !has_package(FLASK) {
        skip!(&format!("there is no '{FLASK}'; as root: apt-get install {FLASK}"));
    }
    push_base(cluster);
    let environment = format!("REGISTRY={}\nCOLOUR=green\n", cluster.registry());
    let web = Web::with(&sandbox!(), cluster, |opening| {
        opening
            .setting(STEP)
            .file("build.env", environment)
            .file("web/Containerfile", CONTAINERFILE)
            .file("web/app.py", APPLICATION)
    });
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success();
    assert_answers(cluster, &web.shop.namespace, "green paper in green\n");

    web.shop.release("two", &[("web/app.py", &wanting())]);
    let output = web.while_asked(&["green paper in green\n"], || web.deploy(&[]));
    output.code_is(1).stdout_contains("crashed 2 times: exit status 1");
    output.stderr_contains(" |   File \"/app/app.py\", line 6, in <module>\n");
    output.stderr_contains(" | KeyError: 'SHOP'\n");
    web.shop.failed("deployment-0002", "KeyError: 'SHOP'");
    assert_eq!(web.shop.state("two"), "staged");
}
