//! `cargo xtask bench --cluster`: a deployment of 200 objects, against kubectl, in one run.
//!
//! Fifty services with Deployment, Service, ConfigMap and ServiceAccount each, two replicas, on a real control plane whose
//! pods are ready at once. In turn: `git deploy`, all of it, and `kubectl apply --server-side` followed by
//! `kubectl rollout status`; each in namespaces of its own, that are new in each round.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use git_deploy_testkit::cluster::{Cluster, Options};

use super::ms;

/// Services, of four objects each.
const SERVICES: usize = 50;
/// Times that all is measured.
const ROUNDS: usize = 5;
/// A deployment must take this many times what kubectl takes.
const LIMIT: f64 = 1.0;

/// What is deployed upon what.
const CASES: [&str; 3] = ["new", "changed", "unchanged"];

/// Times and calls of one side.
#[derive(Default)]
struct Side {
    times: [Vec<Duration>; CASES.len()],
    calls: [Vec<usize>; CASES.len()],
}

/// Prints the figures.
pub(super) fn run(binaries: &Path) -> Result<bool> {
    let cluster = Cluster::start_own(&Options::new()).map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let dir = tempfile::tempdir()?;
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    for round in 0..ROUNDS {
        let lab = Lab::new(&cluster, binaries, dir.path(), round)?;
        for (case, version) in [1, 2, 2].into_iter().enumerate() {
            lab.prepare(case, version)?;
            let ours_first = round % 2 == 0;
            for is_ours in [ours_first, !ours_first] {
                let side = if is_ours { &mut ours } else { &mut theirs };
                let calls = lab.calls(is_ours);
                let begun = Instant::now();
                if is_ours {
                    lab.deploy()?;
                } else {
                    lab.kubectl()?;
                }
                side.times[case].push(begun.elapsed());
                side.calls[case].push(lab.calls(is_ours) - calls);
            }
        }
    }
    let mut within = true;
    let mut out = std::io::stdout().lock();
    for (case, name) in CASES.into_iter().enumerate() {
        let (one, other) = (median(&mut ours.times[case]), median(&mut theirs.times[case]));
        let (calls, other_calls) = (median(&mut ours.calls[case]), median(&mut theirs.calls[case]));
        let ratio = one.as_secs_f64() / other.as_secs_f64();
        within &= ratio <= LIMIT;
        writeln!(
            out,
            "{} objects, {name}: git deploy {} ms ({calls} API calls), kubectl {} ms ({other_calls}): {ratio:.2} x (limit {LIMIT} x)",
            4 * SERVICES,
            ms(one),
            ms(other),
        )?;
    }
    Ok(within)
}

fn median<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort();
    values[values.len() / 2]
}

/// One round: a repository and two namespaces.
struct Lab<'a> {
    cluster: &'a Cluster,
    binaries: &'a Path,
    work: PathBuf,
    namespaces: [String; 2],
}

impl<'a> Lab<'a> {
    fn new(cluster: &'a Cluster, binaries: &'a Path, dir: &Path, round: usize) -> Result<Self> {
        let work = dir.join(format!("work{round}"));
        std::fs::create_dir_all(work.join("deploy"))?;
        let namespaces = [format!("ours-{round}"), format!("theirs-{round}")];
        let lab = Self { cluster, binaries, work, namespaces };
        let deploy_toml = format!(
            "[image-name]\ncontainer-namespace = \"a\"\nproject-namespace = \"bench\"\n[environment.production]\n\
             context = \"{}\"\nkube-namespace = \"{}\"\nmanifests = [\"deploy\"]\n",
            cluster.context(),
            lab.namespaces[0]
        );
        std::fs::write(lab.work.join("deploy.toml"), deploy_toml)?;
        std::fs::write(lab.work.join("deploy/all.yaml"), manifests(0))?;
        lab.git(&["init", "--quiet", "--initial-branch=master"])?;
        lab.git(&["add", "."])?;
        lab.git(&["commit", "--quiet", "--message=begin"])?;
        let created = cluster.kubectl(&["create", "namespace", &lab.namespaces[1]]);
        ensure!(created.code == Some(0), "{}", created.stderr);
        Ok(lab)
    }

    /// A branch that is deployable, with the manifests of a version.
    fn prepare(&self, case: usize, version: usize) -> Result<()> {
        let branch = CASES[case];
        self.git(&["switch", "--quiet", "--create", branch, "master"])?;
        std::fs::write(self.work.join("deploy/all.yaml"), manifests(version))?;
        std::fs::write(self.work.join("case"), branch)?;
        self.git(&["add", "."])?;
        self.git(&["commit", "--quiet", "--message=change"])?;
        self.run(Command::new(self.binaries.join("git-deploy-state")).args(["set", "deployable"]))?;
        Ok(())
    }

    fn deploy(&self) -> Result<()> {
        self.run(&mut Command::new(self.binaries.join("git-deploy")))
    }

    fn kubectl(&self) -> Result<()> {
        let namespace = self.namespaces[1].as_str();
        let file = self.work.join("deploy/all.yaml");
        let file = file.to_str().context("the temporary directory is not UTF-8")?;
        let apply = ["apply", "--server-side", "--namespace", namespace, "--filename", file];
        let rollout =
            ["rollout", "status", "deployment", "--namespace", namespace, "--selector", "bench=yes"];
        for arguments in [&apply[..], &rollout[..]] {
            let done = self.cluster.kubectl(arguments);
            ensure!(done.code == Some(0), "kubectl: {}", done.stderr);
        }
        Ok(())
    }

    /// How many requests one side has sent so far.
    fn calls(&self, is_ours: bool) -> usize {
        let agent = if is_ours { "git-deploy/" } else { "kubectl/" };
        self.cluster.audit().iter().filter(|event| event.user_agent.starts_with(agent)).count()
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        self.run(Command::new("git").args(arguments))
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = command
            .current_dir(&self.work)
            .env("PATH", format!("{}:{path}", self.binaries.display()))
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The objects of a version.
fn manifests(version: usize) -> String {
    let mut text = String::new();
    for number in 0..SERVICES {
        let name = format!("s{number:02}");
        let written = write!(
            text,
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{version: \"{version}\"}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, labels: {{bench: \"yes\"}}}}\nspec:\n  replicas: 2\n  \
             selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
             serviceAccountName: {name}\n      containers: [{{name: a, image: \"example.org/a:{version}\", readinessProbe: {{tcpSocket: {{port: 80}}}}}}]\n---\n"
        );
        assert!(written.is_ok(), "writing to a string cannot fail");
    }
    text
}
