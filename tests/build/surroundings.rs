//! What a branch's files see of the machine that builds them: steps, and commands of a Containerfile.

use git_deploy_testkit::{Output, sandbox, skip};

use crate::scene::{Builds, has_programs, registry};

/// What somebody who builds may have in the environment, and no branch is to have.
const SECRETS: [(&str, &str); 12] = [
    ("KUBECONFIG", "/root/s3cret/config"),
    ("GITHUB_TOKEN", "s3cret-github"),
    ("CI_JOB_TOKEN", "s3cret-job"),
    ("AWS_SECRET_ACCESS_KEY", "s3cret-aws"),
    ("SSH_AUTH_SOCK", "/tmp/s3cret/agent"),
    ("DOCKER_CONFIG", "/root/s3cret/docker"),
    ("GIT_ASKPASS", "/tmp/s3cret/askpass"),
    ("GIT_SSH_COMMAND", "ssh -i s3cret"),
    ("GIT_CONFIG_PARAMETERS", "'http.extraheader=s3cret'"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/root/s3cret/google.json"),
    ("XDG_CONFIG_HOME", "/root/s3cret/config"),
    ("DATABASE_PASSWORD", "s3cret-password"),
];

fn build(builds: &Builds) -> Output {
    let mut command = builds.command("deploy-build", &[]);
    for (name, value) in SECRETS {
        command = command.env(name, value);
    }
    command.env("https_proxy", "http://proxy.example.org:3128").env("TZ", "Asia/Tokyo").output()
}

#[test]
fn a_step_sees_nobodys_credentials() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    let steps =
        "[build]\nenv-file = \"build.env\"\nsteps = [\"env; ls -A $HOME; echo home; git config --list\"]\n";
    builds.repo.commit("build.env", "echo \"read: $(env | tr '\\n' ' ')\"\n", "Environment");
    builds.change("deploy.toml", |text| text + steps);
    let output = build(&builds);
    output.success().lacks("s3cret");
    // What is passed on is what the manual lists.
    for line in ["| https_proxy=http://proxy.example.org:3128", "| TZ=UTC", "| PATH=", "| SOURCE_DATE_EPOCH="]
    {
        output.stderr_contains(line);
    }
    for (name, _) in SECRETS.iter().filter(|(name, _)| *name != "GIT_ASKPASS") {
        output.lacks(name);
    }
    // Nothing is in the home, and nothing of git's configuration is read.
    let after: Vec<&str> = output.stderr.split("| home\n").skip(1).collect();
    assert!(after.len() == 1 && !after[0].contains("user.name"), "{}", output.stderr);
    output.lacks("| .gitconfig");
    output.lacks("auth.json");
}

#[test]
fn a_command_of_a_containerfile_sees_nobodys_credentials() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    if !has_programs() {
        skip!("busybox-static is not installed");
    }
    builds.with_programs(&["sh", "env", "ls", "cat", "true"]);
    let lines = "COPY bin /bin\nARG KUBECONFIG\nARG GITHUB_TOKEN\nRUN env; echo \"arg: $KUBECONFIG$GITHUB_TOKEN.\"; ls -a /run; cat /proc/[0-9]*/environ; true\n";
    builds.change("web/Containerfile", |text| text + lines);
    let output = build(&builds);
    output.success().stderr_contains("| arg: .").lacks("s3cret").lacks("auth.json");
}
