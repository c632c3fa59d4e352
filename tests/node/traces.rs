//! What a machine shows of a cluster with a node.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use git_deploy_testkit::cluster::{NodeCluster, eventually};

const BEGIN: &str = "cluster:";
const NAMESPACES: [&str; 3] = ["net", "mnt", "pid"];

/// By what everything of one cluster is found, also after its end.
pub(crate) struct Traces {
    directory: PathBuf,
    /// As `net:[4026532271]`.
    namespaces: Vec<String>,
    /// Kept open, so that no other namespace gets one of these numbers.
    _pins: Vec<File>,
}

/// The namespaces themselves, by any process in each.
fn pins(namespaces: &[String]) -> Vec<File> {
    let processes = entries(Path::new("/proc"));
    let pin = |(kind, namespace): (&str, &String)| {
        let mut links = processes.iter().map(|process| process.join("ns").join(kind));
        let link = links.find(|link| fs::read_link(link).is_ok_and(|found| found == Path::new(namespace)))?;
        File::open(link).ok()
    };
    NAMESPACES.into_iter().zip(namespaces).filter_map(pin).collect()
}

impl Traces {
    pub(crate) fn of(cluster: &NodeCluster) -> Self {
        let links = NAMESPACES.map(|kind| format!("/proc/self/ns/{kind}"));
        let arguments: Vec<&str> = links.iter().map(String::as_str).collect();
        let output = cluster.run("readlink", &arguments);
        let namespaces: Vec<String> = output.success().stdout.lines().map(str::to_owned).collect();
        assert_eq!(namespaces.len(), NAMESPACES.len());
        let _pins = pins(&namespaces);
        Self { directory: cluster.directory().to_owned(), namespaces, _pins }
    }

    /// From what was [written](fmt::Display).
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(BEGIN)?.split_whitespace().map(str::to_owned);
        let directory = words.next()?.into();
        let namespaces: Vec<String> = words.collect();
        Some(Self { directory, _pins: pins(&namespaces), namespaces })
    }

    /// Who is in one of its namespaces or was started for it.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for process in entries(Path::new("/proc")) {
            let link = |kind: &str| fs::read_link(process.join("ns").join(kind)).unwrap_or_default();
            let is_inside = NAMESPACES
                .iter()
                .any(|kind| self.namespaces.iter().any(|known| link(kind) == Path::new(known)));
            let command = fs::read(process.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if is_inside || command.contains(&*self.directory.to_string_lossy()) {
                found.push(format!("{}: {command}", process.display()));
            }
        }
        found
    }

    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        let name = self.directory.file_name().expect("has a name");
        let places = entries(root).into_iter().chain([root.to_owned()]).map(|place| place.join(name));
        places.filter(|place| place.exists()).collect()
    }

    pub(crate) fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there is a list");
        let name = self.directory.file_name().expect("has a name").to_string_lossy().into_owned();
        mounts.lines().filter(|line| line.contains(&name)).map(str::to_owned).collect()
    }

    pub(crate) fn assert_gone(&self) {
        eventually("the directory is gone", || !self.directory.exists());
        eventually("the processes are gone", || self.processes().is_empty());
        assert_eq!(self.cgroups(), [] as [PathBuf; 0]);
        assert_eq!(self.mounts(), [] as [String; 0]);
    }
}

impl fmt::Display for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{BEGIN} {} {}", self.directory.display(), self.namespaces.join(" "))
    }
}

/// What such a cluster could have changed for the whole machine.
pub(crate) fn machine() -> Vec<String> {
    let lists = [
        "/sys/class/net",
        "/run/netns",
        "/run/containerd",
        "/var/lib/cni",
        "/var/lib/kubelet",
        "/var/log/pods",
    ];
    let settings = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"];
    let lists = lists.into_iter().map(|list| format!("{list}: {:?}", entries(Path::new(list))));
    let settings = settings.into_iter().map(|setting| {
        format!("{setting}: {}", fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap_or_default())
    });
    lists.chain(settings).collect()
}

/// In order; none where there is no such directory.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(directory) else { return Vec::new() };
    let mut entries: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries
}
