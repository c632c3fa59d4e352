//! Whatever cluster there is: one that the user names, else the one that the tests start.
//!
//! `GIT_DEPLOY_TEST_KUBECONFIG` and `GIT_DEPLOY_TEST_CONTEXT` name one, both together: the current context of a kubeconfig is
//! never taken. Only namespaces that a test has made are touched there, and they are deleted when it ends.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Cluster, Missing};
use crate::Output;

const KUBECONFIG: &str = "GIT_DEPLOY_TEST_KUBECONFIG";
const CONTEXT: &str = "GIT_DEPLOY_TEST_CONTEXT";

/// A cluster of which a test knows no more than that it is one.
#[derive(Debug, Clone)]
pub struct AnyCluster {
    kubeconfig: PathBuf,
    context: String,
    kubectl: PathBuf,
}

/// A namespace in it, which goes with the test.
#[derive(Debug)]
pub struct BorrowedNamespace<'a> {
    cluster: &'a AnyCluster,
    name: String,
}

impl AnyCluster {
    /// The cluster that the user names, else the one of this test process.
    ///
    /// # Errors
    /// Where there is neither.
    ///
    /// # Panics
    /// If only half of it is named, or it does not come up.
    pub fn find() -> Result<Self, Missing> {
        match (env::var_os(KUBECONFIG), env::var(CONTEXT)) {
            (Some(kubeconfig), Ok(context)) => {
                Ok(Self { kubeconfig: kubeconfig.into(), context, kubectl: "kubectl".into() })
            }
            (None, Err(_)) => {
                let shared = Cluster::shared()?;
                let (program, kubeconfig) = shared.kubectl_program();
                let context = shared.context().to_owned();
                Ok(Self { kubeconfig: kubeconfig.to_owned(), context, kubectl: program.to_owned() })
            }
            _ => panic!("{KUBECONFIG} and {CONTEXT} name a cluster only together"),
        }
    }

    /// The kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The context, which need not be the current one.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// A name for a namespace that nobody has; the tool under test makes it.
    #[must_use]
    pub fn namespace(&self, hint: &str) -> BorrowedNamespace<'_> {
        BorrowedNamespace { cluster: self, name: format!("git-deploy-test-{hint}-{:08x}", fastrand::u32(..)) }
    }
}

impl BorrowedNamespace<'_> {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs kubectl there.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        let description = format!("kubectl {}", arguments.join(" "));
        let output = Command::new(&self.cluster.kubectl)
            .arg("--kubeconfig")
            .arg(&self.cluster.kubeconfig)
            .args(["--context", &self.cluster.context, "--namespace", &self.name])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("cannot run {description}: {error}"));
        Output::new(description, output.status.code(), None, output.stdout, &output.stderr)
    }
}

impl Drop for BorrowedNamespace<'_> {
    fn drop(&mut self) {
        // Not waited for: on the tests' own cluster nobody would see it go.
        let _ = self.kubectl(&["delete", "namespace", &self.name, "--wait=false", "--ignore-not-found"]);
    }
}
