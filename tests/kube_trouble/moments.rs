//! Moments of a deployment at which something can happen to it, and what is deployed for them to be met.

use std::time::Duration;

use git_deploy_testkit::cluster::Proxy;
use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{Output, Running};

use crate::support::{Pods, config_map, deployment};

const HELD: &str = "finalizers: [example.org/held]";

/// A moment of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Plan,
    Apply,
    Verify,
    Prune,
    /// It is known that it has failed, and nothing of that in the cluster.
    Failed,
    Back,
}

pub(crate) const MOMENTS: [Moment; 6] =
    [Moment::Plan, Moment::Apply, Moment::Verify, Moment::Prune, Moment::Failed, Moment::Back];

impl Moment {
    /// How far a deployment has come then.
    pub(crate) const fn phase(self) -> &'static str {
        match self {
            Self::Plan => "claimed",
            Self::Apply | Self::Verify | Self::Prune | Self::Failed | Self::Back => "applying",
        }
    }

    /// Whether the deployment has to go back.
    pub(crate) const fn fails(self) -> bool {
        matches!(self, Self::Failed | Self::Back)
    }
}

pub(crate) fn many(value: &str) -> String {
    (0..30).map(|number| config_map(&format!("m{number}"), &format!("a: {value}"))).collect()
}

/// What is deployed first, whose old ConfigMap does not go before it is let go.
pub(crate) fn first() -> String {
    let old = config_map("old", "a: b").replace("name: old", &format!("name: old, {HELD}"));
    [old, many("first"), deployment("web", "1", &Pods::Ready)].concat()
}

/// What is deployed then: it ends well, unless it is to go back.
pub(crate) fn second(moment: Moment) -> String {
    let pods = if moment.fails() { Pods::Waiting } else { Pods::Slow("3s") };
    let old = if moment == Moment::Prune {
        String::new()
    } else {
        first().split("---\n").next().unwrap_or_default().to_owned() + "---\n"
    };
    [old, many("second"), deployment("web", "2", &pods)].concat()
}

/// A way to the cluster that is slow enough for the moment to be met.
pub(crate) fn slow_way(shop: &ClusterShop<'_>, proxy: Proxy, moment: Moment) -> Proxy {
    let delay = match moment {
        Moment::Plan => 100,
        Moment::Failed => 200,
        Moment::Apply | Moment::Verify | Moment::Prune | Moment::Back => 15,
    };
    proxy.set_delay(Duration::from_millis(delay));
    if moment == Moment::Plan {
        shop.repo.install_hook(
            "reference-transaction",
            "[ \"$1\" = committed ] || exit 0\nwhile read -r old new ref; do\n  case $ref in refs/deploy/attempts/*) git cat-file -p \"$new\" | grep -q 'phase: claimed' && sleep 6 ;; esac\ndone\nexit 0",
        );
    }
    proxy
}

/// Starts the second deployment, through a slow network, and waits for the moment.
pub(crate) fn until(shop: &ClusterShop<'_>, moment: Moment) -> Running {
    let mut running = shop.start();
    match moment {
        // What was planned before the claim is too old by then, and is planned once more.
        Moment::Plan => running.wait_for_words("Rendering"),
        Moment::Apply => {
            running.wait_for_words("Applying");
            shop.wait_for_phase("applying");
        }
        Moment::Verify => running.wait_for_words("Verifying"),
        Moment::Prune => shop.wait_for_phase("pruning"),
        // Before the cluster was told of it: the way there takes longer.
        Moment::Failed => running.wait_for_words("Seen"),
        Moment::Back => running.wait_for_words("Restoring"),
    }
    running
}

pub(crate) fn image(shop: &ClusterShop<'_>) -> String {
    let live = shop.namespace.get("deployment", "web");
    live["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn let_go(shop: &ClusterShop<'_>) {
    let patch = "{\"metadata\":{\"finalizers\":null}}";
    if shop.namespace.find("configmap", "old").is_some() {
        shop.namespace.kubectl(&["patch", "configmap", "old", "-p", patch]).success();
    }
}

/// The namespace has one of the two releases, whole.
#[track_caller]
pub(crate) fn is_whole(shop: &ClusterShop<'_>, release: &str) {
    let value = |number: usize| shop.namespace.get("configmap", &format!("m{number}"))["data"]["a"].clone();
    for number in 0..30 {
        assert_eq!(value(number), release, "m{number}");
    }
    let version = if release == "first" { "1" } else { "2" };
    assert_eq!(image(shop), format!("registry.example.org/web:{version}"));
}

/// It has come to the end that it comes to without any trouble.
#[track_caller]
pub(crate) fn is_over(shop: &ClusterShop<'_>, moment: Moment, output: &Output) {
    if moment.fails() {
        output.code_is(1).stdout_contains("Failed Deployment");
        shop.failed("deployment-0002", "verify: ");
        assert!(!shop.tag("deployment-0002").contains("not gone back"), "{output}");
        is_whole(shop, "first");
        assert_eq!(shop.state("two"), "staged");
    } else {
        assert_eq!(output.code, Some(0), "{moment:?}\n{output}");
        shop.succeeded("deployment-0002");
        is_whole(shop, "second");
    }
}
