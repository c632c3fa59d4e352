//! What a build leaves behind that was ended in the middle: its folder, and in buildah's store the container that it worked
//! in, which buildah itself never takes away.
//!
//! Buildah lets nobody mark such a container, but keeps with it the arguments of the build, also those that no
//! Containerfile declares and no step sees. One of them says whose it is: the folder of the build, and during which run of
//! the machine it was. Podman has the same code and the same store, but what it is told is not tried here; docker's daemon
//! clears away by itself.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::tool::program;
use super::{Builder, Tool};
use crate::workspace::{Abandoned, Workspace};

/// The build argument that says whose a container is.
const MARK: &str = "GIT_DEPLOY_BUILD";
/// Clearing away is worth no longer waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose a container is: `<run of the machine>/<name of the folder>`, in characters that JSON leaves as they are.
fn mark(folder: &str) -> String {
    format!("{}/{folder}", boot_id())
}

/// The build argument for the builds in that folder.
pub(super) fn argument(workspace: &Workspace) -> String {
    format!("{MARK}={}", mark(&workspace.name()))
}

/// Takes away what builds of this user have left behind whose process is dead.
pub(super) fn clear(tool: &Tool) {
    let abandoned = Abandoned::all();
    let dead: Vec<String> = abandoned.iter().map(|folder| mark(&folder.name())).collect();
    let boot_id = boot_id();
    // Nothing outlives a restart of the machine but what is on its disks.
    let is_before = |of: &str| !boot_id.is_empty() && !of.starts_with(&format!("{boot_id}/"));
    remove_containers(tool, &|of| dead.iter().any(|dead| dead == of) || is_before(of));
    // Only now: without them nobody would know any more whose the containers are.
    abandoned.into_iter().for_each(Abandoned::remove);
}

/// Takes away what a build has left behind that was ended.
pub(super) fn clear_own(tool: &Tool, workspace: &Workspace) {
    let own = mark(&workspace.name());
    remove_containers(tool, &|of| of == own);
}

/// Removes the containers whose mark is one of those. Nobody can be told where that fails: the next build tries again.
fn remove_containers(tool: &Tool, is_wanted: &dyn Fn(&str) -> bool) {
    if tool.builder != Builder::Buildah {
        return;
    }
    let Some(store) = tool.store.first() else { return };
    let of_ours = marked(store).into_iter().filter(|(_, of)| is_wanted(of));
    for (id, _) in of_ours {
        let remove = ["rm", &id].map(OsString::from);
        let _ = program(tool, &remove, Some(PATIENCE)).run(&|| false, &mut |_| {});
    }
}

/// The containers of builds of ours, with their marks: `<store>/<driver>-containers/<id>/userdata/buildah.json`.
fn marked(store: &Path) -> Vec<(String, String)> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let is_of_a_driver = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with("-containers");
    let containers = entries(store).filter(is_of_a_driver).flat_map(|driver| entries(&driver.path()));
    let of = |container: fs::DirEntry| {
        let state = fs::read_to_string(container.path().join("userdata/buildah.json")).ok()?;
        Some((container.file_name().into_string().ok()?, mark_in(&state)?.to_owned()))
    };
    containers.filter_map(of).collect()
}

/// The mark among the arguments, which stand in front: further behind there is what an image says of itself.
fn mark_in(state: &str) -> Option<&str> {
    let arguments = state.strip_prefix("{\"Args\":{")?;
    let (arguments, _) = arguments.split_once("},\"type\":")?;
    let (_, mark) = arguments.split_once(&format!("\"{MARK}\":\""))?;
    mark.split_once('"').map(|(mark, _)| mark)
}

/// Which run of the machine this is; nothing where no system says so.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_among_the_arguments_and_nowhere_else() {
        let of = |arguments: &str| format!("{{\"Args\":{{{arguments}}},\"type\":\"buildah 0.0.1\"}}");
        assert_eq!(mark_in(&of(r#""A":"{\"b\"}","GIT_DEPLOY_BUILD":"1/a","Z":"""#)), Some("1/a"));
        assert_eq!(mark_in(&of(r#""A":"\"GIT_DEPLOY_BUILD\":\"1/a\"""#)), None);
        assert_eq!(mark_in(&of("")), None);
        let label = r#"{"Args":{},"type":"buildah","Labels":{"GIT_DEPLOY_BUILD":"1/a"}}"#;
        assert_eq!(mark_in(label), None);
        assert_eq!(mark_in(r#"{"Args":null,"type":"x"}"#), None);
    }
}
