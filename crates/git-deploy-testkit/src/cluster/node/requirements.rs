//! Whether this machine can have a node at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use super::namespaces::PATH;

pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Where a container gets its network from.
pub(super) const CNI: &str = "/usr/lib/cni";

/// A program, and Debian's package that has it.
const PROGRAMS: [(&str, &str); 11] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("docker-registry", "docker-registry"),
    ("buildah", "buildah"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// What has to be ours alone, and so may hold neither the programs nor the directory of a cluster.
const PRIVATE: [&str; 4] = ["/run", "/var/run", "/var/lib", "/var/log"];

/// Why there can be no node, if there can be none.
pub(super) fn missing(programs: &Path) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("only Linux can have a node".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("only root can have a node".to_owned());
    }
    for program in ["kubelet", "kube-proxy"] {
        if !programs.join(program).exists() {
            return Some(format!("there is no {program} in '{}'", programs.display()));
        }
    }
    packages().or_else(|| places(programs)).or_else(kernel)
}

fn packages() -> Option<String> {
    let is_there =
        |program: &str| PATH.split(':').any(|directory| Path::new(directory).join(program).exists());
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if !Path::new(CNI).join("bridge").exists() {
        missing.push("containernetworking-plugins");
    }
    if !is_static(Path::new(BUSYBOX)) {
        missing.push("busybox-static");
    }
    missing.dedup();
    (!missing.is_empty()).then(|| format!("a node needs these packages of Debian: {}", missing.join(" ")))
}

/// A program that is not names its loader in its first page.
pub(crate) fn is_static(program: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(program).and_then(|file| file.take(4096).read_to_end(&mut start));
    read.is_ok() && !start.windows(4).any(|bytes| bytes == b"/ld-")
}

fn places(programs: &Path) -> Option<String> {
    let temporary = std::env::temp_dir();
    [programs, &temporary].into_iter().find_map(|path| {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let place = PRIVATE.into_iter().find(|place| path.starts_with(place))?;
        Some(format!("a node has a '{place}' of its own, so '{}' cannot be used there", path.display()))
    })
}

/// Tries what a container may not be allowed to do.
fn kernel() -> Option<String> {
    let unshare = Command::new("unshare")
        .args(["--net", "--mount", "--propagation=private", "--pid", "--fork"])
        .args(["mount", "-t", "proc", "proc", "/proc"])
        .env("PATH", PATH)
        .output();
    match unshare {
        Err(error) => return Some(format!("cannot run unshare: {error}")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Some(format!("there can be no namespaces here: {}", said.trim()));
        }
        Ok(_) => {}
    }
    cgroups()
}

/// Why a container is not ended that takes more memory than it may, if it is not.
pub(super) fn unlimited_memory() -> Option<&'static str> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers");
    if unified.exists() {
        let is_there = read(&unified.to_string_lossy()).split_whitespace().any(|name| name == "memory");
        return (!is_there).then_some("there is no cgroup controller for memory");
    }
    // Of those of the first version a kubelet limits the memory alone.
    (read("/proc/swaps").lines().count() > 1).then_some("what a container takes too much of is swapped")
}

fn cgroups() -> Option<String> {
    let unified = Path::new("/sys/fs/cgroup");
    let is_unified = unified.join("cgroup.controllers").exists();
    if is_unified && let Err(error) = hand_on_controllers(unified) {
        return Some(format!("there can be no cgroups in '{}': {error}", unified.display()));
    }
    let root = if is_unified { unified.to_owned() } else { unified.join("memory") };
    let probe = root.join(format!("git-deploy-probe-{}-{:08x}", std::process::id(), fastrand::u32(..)));
    let made = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe));
    made.err().map(|error| format!("there can be no cgroups in '{}': {error}", root.display()))
}

/// A kubelet wants all of these below its root where there are any, and would see to it itself if that were the root of all.
fn hand_on_controllers(root: &Path) -> io::Result<()> {
    let there = fs::read_to_string(root.join("cgroup.controllers"))?;
    let handed_on = fs::read_to_string(root.join("cgroup.subtree_control"))?;
    for controller in ["cpu", "cpuset", "memory", "pids", "hugetlb"] {
        let is_in = |list: &str| list.split_whitespace().any(|name| name == controller);
        if is_in(&there) && !is_in(&handed_on) {
            fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
    }
    Ok(())
}
