//! What dooms a pod: the row of signs by which it can be seen early that waiting will not help.
//!
//! See [Kubernetes on the life of a pod][1]. The reasons are those that the kubelet writes.
//!
//! [1]: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/

use serde_json::Value;

use super::pulls::{image, is_no_such_image, is_pull};
use super::value::{because, condition, count, flag, is_being_deleted, items, name, one_line, text, uid};
use super::{Origin, Patience, Surroundings, Trouble};

/// What there is to expect of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It runs, or is on its way.
    Fine,
    /// It is going, or its node took it away: its controller makes another, and nobody asks for this one.
    Leaving,
    /// Something is wrong that may still heal.
    Troubled {
        /// What is wrong.
        trouble: Trouble,
        /// Whether that should be said before it is decided.
        warn: bool,
    },
    /// It will never run.
    Doomed(Trouble),
}

/// Who answers for containers that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// They must not: this is a service.
    Count,
    /// The Job, which counts them itself.
    LeftToJob,
}

/// What pods are judged with.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) around: &'a dyn Surroundings,
    pub(super) patience: &'a Patience,
    pub(super) ends: Ends,
}

/// What a group of pods of one template comes to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Those that count: neither leaving nor taken away.
    pub(super) present: usize,
    /// The doomed ones' troubles, in the order of the pods.
    pub(super) doomed: Vec<Trouble>,
    /// What should be said of the others.
    pub(super) warnings: Vec<String>,
}

impl Tally {
    pub(super) fn of<'a>(pods: impl IntoIterator<Item = &'a Value>, judge: Judge<'_>) -> Tally {
        let mut tally = Tally::default();
        for pod in pods {
            match judge.outlook(pod) {
                Outlook::Leaving => continue,
                Outlook::Fine => {}
                Outlook::Troubled { trouble, warn } => {
                    tally.warnings.extend(warn.then_some(trouble.reason));
                }
                Outlook::Doomed(trouble) => tally.doomed.push(trouble),
            }
            tally.present += 1;
        }
        tally
    }
}

/// What is wrong with some pods, the worst of it, whether or not it dooms them: the first cause of a failure that
/// was noticed in another way, such as by a time-out.
///
/// A container that runs and does not become ready is the release's: everything that it needs was there.
pub fn first_cause<'a>(
    pods: impl IntoIterator<Item = &'a Value>,
    around: &dyn Surroundings,
    patience: &Patience,
) -> Option<Trouble> {
    let judge = Judge { around, patience, ends: Ends::Count };
    let mut worst: Option<(u8, Trouble)> = None;
    for pod in pods {
        let found = match judge.outlook(pod) {
            Outlook::Doomed(trouble) => Some((3, trouble)),
            Outlook::Troubled { trouble, .. } => Some((2, trouble)),
            Outlook::Fine => unready(pod).map(|trouble| (1, trouble)),
            Outlook::Leaving => None,
        };
        if let Some(found) = found
            && worst.as_ref().is_none_or(|(weight, _)| found.0 > *weight)
        {
            worst = Some(found);
        }
    }
    worst.map(|(_, trouble)| trouble)
}

/// With what the [first cause](first_cause) ends where a container runs that is not ready; why, no pod says.
pub const UNREADY: &str = "runs but does not become ready";

/// A container that runs without becoming ready.
fn unready(pod: &Value) -> Option<Trouble> {
    let statuses = items(pod, "/status/containerStatuses");
    let status = statuses.iter().find(|status| {
        !flag(status, "/ready") && status.pointer("/state/running").is_some_and(|running| !running.is_null())
    })?;
    Some(Trouble::of_release(format!("{} {UNREADY}", subject(status, pod))))
}

/// What a pod is called in a message.
fn subject(status: &Value, pod: &Value) -> String {
    format!("container '{}' of pod '{}'", one_line(text(status, "/name")), one_line(name(pod)))
}

/// Why pods fail for which their node is to blame; their controllers replace them.
const TAKEN_AWAY: [&str; 9] = [
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "NodeShutdown",
    "Preempted",
    "Preempting",
    "Shutdown",
    "Terminated",
    "UnexpectedAdmissionError",
];

impl Judge<'_> {
    pub(super) fn outlook(&self, pod: &Value) -> Outlook {
        if is_being_deleted(pod) {
            return Outlook::Leaving;
        }
        match text(pod, "/status/phase") {
            "Succeeded" => return Outlook::Fine,
            "Failed" => return self.failed(pod),
            _ => {}
        }
        let mut outlook = Outlook::Fine;
        for list in ["/status/initContainerStatuses", "/status/containerStatuses"] {
            for status in items(pod, list) {
                match self.container(status, pod, list) {
                    doomed @ Outlook::Doomed(_) => return doomed,
                    troubled @ Outlook::Troubled { .. } if outlook == Outlook::Fine => outlook = troubled,
                    _ => {}
                }
            }
        }
        if outlook == Outlook::Fine { self.scheduling(pod) } else { outlook }
    }

    fn failed(&self, pod: &Value) -> Outlook {
        let reason = text(pod, "/status/reason");
        let disrupted = condition(pod, "DisruptionTarget").is_some_and(|found| found.is("True"));
        if disrupted || TAKEN_AWAY.contains(&reason) || reason.starts_with("OutOf") {
            return Outlook::Leaving;
        }
        if self.ends == Ends::LeftToJob {
            return Outlook::Fine;
        }
        Outlook::Doomed(Trouble::of_release(exit_of(pod).unwrap_or_else(|| {
            format!("pod '{}' failed: {}", one_line(name(pod)), because(reason, text(pod, "/status/message")))
        })))
    }

    fn container(&self, status: &Value, pod: &Value, list: &str) -> Outlook {
        if let Some(waiting) = status.pointer("/state/waiting").filter(|waiting| !waiting.is_null()) {
            let reason = text(waiting, "/reason");
            return match reason {
                "" | "ContainerCreating" | "PodInitializing" => self.crashing(status, pod, 0),
                // It takes two crashes to get there, whatever the count says.
                "CrashLoopBackOff" => self.crashing(status, pod, 2),
                _ => self.waiting(waiting, status, pod),
            };
        }
        let Some(ended) = status.pointer("/state/terminated").filter(|ended| !ended.is_null()) else {
            return self.crashing(status, pod, 0);
        };
        if is_restarted(status, ended, pod, list) {
            return self.crashing(status, pod, count(status, "/restartCount").saturating_add(1));
        }
        if count(ended, "/exitCode") == 0 || self.ends == Ends::LeftToJob {
            return Outlook::Fine;
        }
        Outlook::Doomed(Trouble::of_release(format!("{} ended: {}", subject(status, pod), exit(ended))))
    }

    /// A container that cannot be started.
    fn waiting(&self, waiting: &Value, status: &Value, pod: &Value) -> Outlook {
        let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
        let said = format!("{} cannot start: {}", subject(status, pod), because(reason, message));
        let lower = message.to_lowercase();
        let (origin, grace, symptom) = match reason {
            "RunContainerError" | "InvalidImageName" | "ErrImageNeverPull" | "SignatureValidationFailed" => {
                return Outlook::Doomed(Trouble::of_release(said));
            }
            "ErrImagePull" | "ImagePullBackOff" if is_no_such_image(&lower) => {
                return Outlook::Doomed(Trouble::of_release(said));
            }
            // The kubelet's own cache of Secrets and ConfigMaps: it asks again.
            "CreateContainerConfigError" if lower.contains("failed to sync") && lower.contains("cache") => {
                (Origin::Cluster, self.patience.pull, "config")
            }
            "CreateContainerConfigError" | "PostStartHookError" => {
                (Origin::Release, self.patience.config, "config")
            }
            _ if is_pull(reason) => (self.pull(&lower, status, pod), self.patience.pull, "pull"),
            // CreateContainerError, and what newer kubelets may say.
            _ => (Origin::Cluster, self.patience.pull, "pull"),
        };
        let lasted = self.around.observed(&key(pod, status, symptom));
        let trouble = Trouble { reason: said, origin };
        if lasted >= grace { Outlook::Doomed(trouble) } else { Outlook::Troubled { trouble, warn: false } }
    }

    /// Whose fault it is that its image cannot be pulled.
    fn pull(&self, message: &str, status: &Value, pod: &Value) -> Origin {
        let Some(new) = self.around.new_images() else { return Origin::Cluster };
        new.origin(image(status, pod), message, self.around.is_hindered())
    }

    /// A container that may have crashed before; `at_least` is what its present state says of that.
    ///
    /// The clock runs from the first crash that we saw: between two crashes it may well look healthy.
    fn crashing(&self, status: &Value, pod: &Value, at_least: i64) -> Outlook {
        let crashes = count(status, "/restartCount").max(at_least);
        if self.ends == Ends::LeftToJob || crashes < 1 {
            return Outlook::Fine;
        }
        let lasted = self.around.observed(&key(pod, status, "crash"));
        if flag(status, "/ready") {
            return Outlook::Fine;
        }
        let ended = ["/state/terminated", "/lastState/terminated"];
        let ended = ended.iter().find_map(|pointer| status.pointer(pointer).filter(|ended| !ended.is_null()));
        let how = match ended {
            Some(ended) => exit(ended),
            None => because(text(status, "/state/waiting/reason"), text(status, "/state/waiting/message")),
        };
        let times = if crashes == 1 { "once".to_owned() } else { format!("{crashes} times") };
        let trouble = Trouble::of_release(format!("{} crashed {times}: {how}", subject(status, pod)));
        // What runs just now may have been healed; a loop comes back to the back-off soon enough.
        let runs = status.pointer("/state/running").is_some_and(|running| !running.is_null());
        if crashes >= 2 && lasted >= self.patience.crash && !runs {
            Outlook::Doomed(trouble)
        } else {
            Outlook::Troubled { trouble, warn: false }
        }
    }

    /// A pod that no node has room for: nobody's fault, and a new node may come.
    fn scheduling(&self, pod: &Value) -> Outlook {
        let Some(found) = condition(pod, "PodScheduled").filter(|found| found.is("False")) else {
            return Outlook::Fine;
        };
        if found.reason() != "Unschedulable" {
            return Outlook::Fine;
        }
        let lasted = self.around.observed(&format!("{} unschedulable", uid(pod)));
        let trouble = Trouble::of_cluster(format!(
            "no node takes pod '{}': {}",
            one_line(name(pod)),
            because("", found.message())
        ));
        if lasted >= self.patience.unschedulable {
            return Outlook::Doomed(trouble);
        }
        Outlook::Troubled { trouble, warn: lasted >= self.patience.unschedulable_warning }
    }
}

/// How the containers of a pod that failed ended, the first that did not end well.
pub(super) fn exit_of(pod: &Value) -> Option<String> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| items(pod, list));
    statuses.find_map(|status| {
        let ended = status.pointer("/state/terminated").filter(|ended| count(ended, "/exitCode") != 0)?;
        Some(format!("{} ended: {}", subject(status, pod), exit(ended)))
    })
}

/// How a container ended, in a few words.
fn exit(ended: &Value) -> String {
    let code = count(ended, "/exitCode");
    let reason = match text(ended, "/reason") {
        "" | "Error" | "Completed" => String::new(),
        reason => format!(" ({})", one_line(reason)),
    };
    match one_line(text(ended, "/message")) {
        message if message.is_empty() => format!("exit status {code}{reason}"),
        message => format!("exit status {code}{reason}: {message}"),
    }
}

/// Whether the kubelet starts a container again that ended: its own rule, else its pod's.
///
/// An init container with the rule `Always` is a sidecar; others of a pod that restarts always are started again
/// only if they failed.
fn is_restarted(status: &Value, ended: &Value, pod: &Value, list: &str) -> bool {
    let is_init = list.ends_with("initContainerStatuses");
    let specs = items(pod, if is_init { "/spec/initContainers" } else { "/spec/containers" });
    let own = specs.iter().find(|spec| text(spec, "/name") == text(status, "/name"));
    let own = own.map(|spec| text(spec, "/restartPolicy")).unwrap_or_default();
    let failed = count(ended, "/exitCode") != 0;
    match (own, text(pod, "/spec/restartPolicy")) {
        ("Never", _) | ("", "Never") => false,
        ("OnFailure", _) | ("", "OnFailure") => failed,
        ("Always", _) => true,
        _ => failed || !is_init,
    }
}

/// What a trouble of one container is known by while it lasts.
fn key(pod: &Value, status: &Value, what: &str) -> String {
    format!("{} {} {what}", uid(pod), text(status, "/name"))
}
