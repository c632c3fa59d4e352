//! Why there is no image, or no pushed one.

use std::fmt;
use std::io;
use std::time::Duration;

use super::{Builder, words};
use crate::{Cause, FullDisk, Room};

/// What a builder was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Build an image.
    Build,
    /// Give it its name.
    Tag,
    /// Push it.
    Push,
    /// Say what is in its own store.
    Look,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Build => "build",
            Action::Tag => "name",
            Action::Push => "push",
            Action::Look => "look for",
        })
    }
}

/// No builder can be used.
#[derive(Debug, thiserror::Error)]
pub enum NoBuilder {
    /// None is installed.
    #[error("no program that builds images is there: buildah, podman or docker")]
    None,
    /// Some are installed, and none works.
    #[error("no program that builds images works: {}", .0.join("; "))]
    Broken(Vec<String>),
    /// The one that was asked for is not installed.
    #[error("'{0}' is to build the images and is not there")]
    Missing(Builder),
    /// A name that is no builder's.
    #[error("'{}' builds no images that we know, use buildah, podman or docker", .0.escape_debug())]
    Unknown(String),
}

impl NoBuilder {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            NoBuilder::None | NoBuilder::Missing(Builder::Buildah) => {
                Some("install buildah; on Debian and Ubuntu as root: apt-get install buildah")
            }
            NoBuilder::Missing(Builder::Podman) => {
                Some("on Debian and Ubuntu as root: apt-get install podman")
            }
            NoBuilder::Missing(Builder::Docker) => Some("see https://docs.docker.com/engine/install/"),
            NoBuilder::Broken(_) | NoBuilder::Unknown(_) => None,
        }
    }
}

/// An image that was not built or not pushed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The files that were exported from the commit are not there.
    #[error("cannot build image '{image}': cannot read '{tree}': {error}")]
    Tree {
        /// The image's name.
        image: String,
        /// The directory.
        tree: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The commit has no such directory.
    #[error("cannot build image '{image}': its context '{context}' is no directory of the commit")]
    NoContext {
        /// The image's name.
        image: String,
        /// The directory, as configured.
        context: String,
    },
    /// Nothing says how to build it.
    #[error(
        "cannot build image '{image}': there is neither a 'Containerfile' nor a 'Dockerfile' in '{context}'"
    )]
    NoContainerfile {
        /// The image's name.
        image: String,
        /// The directory, as configured.
        context: String,
    },
    /// What says how to build it is no file.
    #[error("cannot build image '{image}': '{path}' is no file")]
    NoFile {
        /// The image's name.
        image: String,
        /// The path in the commit.
        path: String,
    },
    /// A path or a symbolic link that leads somewhere else.
    #[error("cannot build image '{image}': '{path}' leads out of the commit's files")]
    OutsideTree {
        /// The image's name.
        image: String,
        /// The path in the commit.
        path: String,
    },
    /// A symbolic link that leads somewhere else, and that a step may mount.
    #[error(
        "cannot build image '{image}': '{path}' leads out of the commit's files, and a step mounts files of the context"
    )]
    MountedOutside {
        /// The image's name.
        image: String,
        /// The path in the commit.
        path: String,
    },
    /// A step that mounts something else than what is known to stay inside.
    #[error("cannot build image '{image}': a step mounts what may lead out of the commit's files")]
    UnsafeMount {
        /// The image's name.
        image: String,
    },
    /// A Containerfile that is none.
    #[error("cannot build image '{image}': '{path}' is too large for a Containerfile")]
    HugeContainerfile {
        /// The image's name.
        image: String,
        /// The path in the commit.
        path: String,
    },
    /// The builder did not do it.
    #[error("cannot {action} image '{image}': '{builder}' {why}{}", words::of(.why, .last_lines))]
    Failed {
        /// What it was to do.
        action: Action,
        /// The image's name.
        image: String,
        /// Who.
        builder: Builder,
        /// How it ended.
        why: Failure,
        /// What it said last; only what says why is in the error's text.
        last_lines: Vec<String>,
    },
    /// A builder said something else than what was asked.
    #[error("cannot {action} image '{image}': '{builder}' does not say {what}")]
    Silent {
        /// What it was to do.
        action: Action,
        /// The image's name.
        image: String,
        /// Who.
        builder: Builder,
        /// What is missing.
        what: &'static str,
    },
    /// A file of our own.
    #[error("cannot {action} image '{image}': no temporary directory: {error}")]
    Temporary {
        /// What was to be done.
        action: Action,
        /// The image's name.
        image: String,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// How a builder ended that did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It did not start.
    Start(String),
    /// With a status other than 0.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// It was ended after that time.
    TimedOut(Duration),
    /// Somebody asked to stop.
    Cancelled,
    /// There is no room left for what it writes; where, if that is known.
    DiskFull(Option<FullDisk>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Start(why) => write!(f, "does not run: {why}"),
            Failure::Status(status) => write!(f, "failed with exit status {status}"),
            Failure::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Failure::TimedOut(limit) => {
                write!(f, "did not end within {} s and was ended", limit.as_secs_f32())
            }
            Failure::Cancelled => f.write_str("was stopped"),
            Failure::DiskFull(None) => f.write_str("has no space left on the disk"),
            Failure::DiskFull(Some(disk)) => write!(f, "{disk}"),
        }
    }
}

/// What builders say of a registry that is not there or in trouble just now.
const PASSING: [&str; 10] = [
    "dial tcp",
    "i/o timeout",
    "tls handshake timeout",
    "no such host",
    "connection reset by peer",
    "toomanyrequests",
    "unexpected eof",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway time",
];

/// What they say while they fetch an image.
const PULLING: [&str; 8] = [
    ": from ",
    "trying to pull",
    "getting image source",
    "copying blob",
    "copying config",
    "pulling from",
    ": pulling fs layer",
    ": download",
];

/// What they say of one that has something to be mended first, on this side or on its own.
const SETUP: [&str; 10] = [
    "x509:",
    "server gave http response to https client",
    "unauthorized",
    "authentication required",
    "403 (forbidden)",
    ": denied: ",
    "access denied",
    "requested access to the resource is denied",
    "name unknown",
    "invalid username/password",
];

impl BuildError {
    /// What the builder said last.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        match self {
            BuildError::Failed { last_lines, .. } => last_lines,
            _ => &[],
        }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let BuildError::UnsafeMount { .. } = self {
            return Some(
                "write each in one line: '--mount=type=bind,source=...,target=...' for a part of the context, or type=cache, \
                 tmpfs, secret or ssh; what is in another stage is taken by 'COPY --from'"
                    .to_owned(),
            );
        }
        let BuildError::Failed { action, builder, why, last_lines, .. } = self else { return None };
        if let Failure::DiskFull(disk) = why {
            if disk.as_ref().is_some_and(FullDisk::is_filled) {
                return None;
            }
            if disk.as_ref().is_some_and(|disk| disk.at() == crate::workspace::parent()) {
                return Some(
                    "temporary files go to another disk with 'TMPDIR=<folder>' in the environment".to_owned(),
                );
            }
            let prune = if *builder == Builder::Buildah { "rmi --prune" } else { "image prune" };
            return Some(format!("images that nobody names any more go away with '{builder} {prune}'"));
        }
        let said = last_lines.join("\n").to_lowercase();
        let is_of_registry =
            *action == Action::Push || *action == Action::Build && self.cause() == Cause::Setup;
        let hint = if !is_of_registry {
            return None;
        } else if said.contains("x509: certificate has expired") {
            "renew the registry's certificate; if it is new there, look at this machine's clock".to_owned()
        } else if said.contains("x509: certificate is valid for") || said.contains("x509: cannot validate") {
            "call the registry by a name that its certificate has, or give it one for this name".to_owned()
        } else if said.contains("x509:") {
            "put the certificate of the authority that signed the registry's into a file '*.crt' in \
             '/etc/containers/certs.d/<host:port>/' (for docker '/etc/docker/certs.d/')"
                .to_owned()
        } else if said.contains("http response to https client") {
            "a registry that speaks plain HTTP has to be named in '/etc/containers/registries.conf' with 'insecure = \
             true' (for docker in 'insecure-registries' of '/etc/docker/daemon.json')"
                .to_owned()
        } else if ["unauthorized", "authentication required", "denied", "(forbidden)"]
            .iter()
            .any(|word| said.contains(word))
        {
            let what = if *action == Action::Push { "push" } else { "pull" };
            format!("log in with '{builder} login', as somebody who may {what} there")
        } else {
            return None;
        };
        Some(hint)
    }

    /// Looks again at a disk that was full in a build, when all that was written is cleared away: whether the build has filled
    /// it.
    pub fn look_again(&mut self, before: &Room) {
        if let BuildError::Failed { action: Action::Build, why: Failure::DiskFull(Some(disk)), .. } = self {
            disk.look_again(before);
        }
    }

    /// Who can do something about it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            BuildError::NoContext { .. }
            | BuildError::NoContainerfile { .. }
            | BuildError::NoFile { .. }
            | BuildError::OutsideTree { .. }
            | BuildError::MountedOutside { .. }
            | BuildError::UnsafeMount { .. }
            | BuildError::HugeContainerfile { .. } => Cause::Commit,
            BuildError::Tree { .. } | BuildError::Silent { .. } | BuildError::Temporary { .. } => {
                Cause::Setup
            }
            BuildError::Failed { action, why, last_lines, .. } => match why {
                Failure::DiskFull(Some(disk)) if disk.is_filled() => Cause::Commit,
                Failure::Start(_) | Failure::DiskFull(_) => Cause::Setup,
                Failure::TimedOut(_) if *action == Action::Build && !is_pulling(last_lines) => Cause::Commit,
                Failure::TimedOut(_) | Failure::Cancelled | Failure::Signal(_) => Cause::Passing,
                Failure::Status(status) => of_status(*action, *status, last_lines),
            },
        }
    }
}

/// Whether what was said last is that an image is fetched to build on: a registry that falls silent is nobody's fault, and
/// a step that does is its commit's, or a queue would wait for it for ever.
fn is_pulling(last_lines: &[String]) -> bool {
    let last = last_line(last_lines);
    PULLING.iter().any(|words| last.contains(words))
}

/// Whether a builder says last that a step has failed. What such a step wrote itself says nothing then: a commit could name
/// somebody else's fault, and stay in the queue for ever.
pub(super) fn is_of_step(last_lines: &[String]) -> bool {
    let last = last_line(last_lines);
    ["building at step \"run", "returned a non-zero code", "did not complete successfully: exit code"]
        .iter()
        .any(|words| last.contains(words))
}

/// What was said last, in small letters.
fn last_line(lines: &[String]) -> String {
    lines.iter().rfind(|line| !line.trim().is_empty()).map(|line| line.to_lowercase()).unwrap_or_default()
}

fn of_status(action: Action, status: i32, last_lines: &[String]) -> Cause {
    let said = match action {
        Action::Build => last_line(last_lines),
        Action::Push | Action::Tag | Action::Look => last_lines.join("\n").to_lowercase(),
    };
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match action {
        // Another status is that of a step of the build: the commit's, whatever it was that it could not reach.
        Action::Build if status != 125 && status != 1 || is_of_step(last_lines) => Cause::Commit,
        Action::Build | Action::Push if says(&PASSING) => Cause::Passing,
        Action::Build | Action::Push if says(&SETUP) => Cause::Setup,
        Action::Build => Cause::Commit,
        Action::Push => Cause::Passing,
        Action::Tag | Action::Look => Cause::Setup,
    }
}

/// Whether a builder says that one of its parts fell silent, as one does that finds no room.
pub(super) fn is_cut_off(last_lines: &[String]) -> bool {
    let words = ["closed pipe", "broken pipe", "short write", "unexpected eof", "input/output error"];
    last_lines.iter().any(|line| {
        let line = line.to_lowercase();
        words.iter().any(|words| line.contains(words))
    })
}

/// Whether what was said last is that a disk is full.
pub(super) fn is_disk_full(last_lines: &[String]) -> bool {
    last_lines.iter().any(|line| line.to_lowercase().contains("no space left on device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_of_a_certificate_has_its_own_hint() {
        let hint = |flaw: &str| {
            let error = BuildError::Failed {
                action: Action::Push,
                image: "r.example/a:1".to_owned(),
                builder: Builder::Buildah,
                why: Failure::Status(125),
                last_lines: vec![format!(
                    "Error: pinging container registry r.example: Get \"x\": x509: {flaw}"
                )],
            };
            assert_eq!(error.cause(), Cause::Setup);
            error.hint().unwrap_or_default()
        };
        assert!(hint("certificate signed by unknown authority").contains("/etc/containers/certs.d/"));
        assert!(hint("certificate has expired or is not yet valid: current time").contains("clock"));
        assert!(hint("certificate is valid for other.example, not r.example").contains("by a name"));
    }

    #[test]
    fn who_falls_silent_while_an_image_is_fetched_is_not_the_commit() {
        for line in [
            "STEP 1/5: FROM docker.io/library/busybox",
            "Trying to pull docker.io/library/busybox:latest...",
            "Copying blob sha256:becf45aa9c5a",
            "becf45aa9c5a: Pulling fs layer",
        ] {
            assert!(is_pulling(&[line.to_owned(), String::new()]), "{line}");
        }
        for lines in [&["Copying blob sha256:be", "STEP 2/5: RUN make"][..], &["waiting"], &[]] {
            let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            assert!(!is_pulling(&lines), "{lines:?}");
        }
    }
}
