//! What a build leaves behind that was ended in the middle: its folder, and in the builder's store the containers that it
//! worked in, which buildah and podman themselves never take away.
//!
//! They let nobody mark such a container, but keep with it the arguments of the build, also those that no Containerfile
//! declares and no step sees. One of them names a file in the store that the build holds locked as long as it lives. So whoever
//! has the store knows who is dead, on this machine or another one, and nobody needs to know whose the containers are.
//! Docker's daemon clears away by itself.
//!
//! That file keeps some room on the disk of the store: a build may have filled it to the last byte, and a container cannot be taken
//! away where nothing can be written down. Buildah tries that all the same as soon as a step has failed, and what is then half
//! gone it cannot take away any more, whatever room there is: so one part of the room is given back when that is to come, and
//! the other one, which no step can take, when the build has ended.
//!
//! What podman runs is beside the processes that it is ended with: the program that runs it (runc, crun) is asked to end it, by
//! the name that podman makes of a folder among its temporary files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags};

use super::tool::program;
use super::{Builder, Tool};
use crate::run::{Program, escaped};
use crate::workspace::{Abandoned, Workspace};

/// The build argument that says whose a container is.
const MARK: &str = "GIT_DEPLOY_BUILD";
/// The folder in the store with a file for each build.
const FOLDER: &str = "git-deploy-builds";
/// Clearing away is worth no longer waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// What the builder needs on a disk to take containers away, with much to spare, in bytes.
const ROOM: u64 = 1 << 20;
/// What is kept until the build has ended, and while it fails.
const ROOM_TO_THE_END: u64 = ROOM;
const ROOM_ALL: u64 = ROOM_TO_THE_END + ROOM;

/// A build that is at work: its containers are nobody's to take away.
pub(super) struct AtWork<'a> {
    tool: &'a Tool,
    workspace: &'a Workspace,
    name: String,
    /// Held locked; none where the store is of no use for that, and then nobody takes them for abandoned.
    file: Option<(PathBuf, File)>,
}

impl<'a> AtWork<'a> {
    /// From now on.
    pub(super) fn in_workspace(tool: &'a Tool, workspace: &'a Workspace) -> Self {
        let name = workspace.name();
        let file = folder(tool).and_then(|folder| held(&folder, &name));
        Self { tool, workspace, name, file }
    }

    /// The build argument that says whose its containers are.
    pub(super) fn argument(&self) -> String {
        format!("{MARK}={}", self.name)
    }

    /// Gives the builder room to take away itself what a step has left that has failed; only part of it: the step may go on.
    pub(super) fn give_some_room(&self) {
        self.file.iter().for_each(|(_, file)| give_room(file, ROOM_TO_THE_END));
    }

    /// Takes away what it has left behind, as it was ended.
    pub(super) fn clear(&self) {
        self.file.iter().for_each(|(_, file)| give_room(file, 0));
        if let Ok(temporary) = self.workspace.for_others() {
            end_what_runs(self.tool, &temporary);
        }
        remove_containers(self.tool, &[&self.name]);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            // Without it the lock says nothing any more.
            let _ = fs::remove_file(path);
        }
    }
}

/// Takes away what builds have left behind whose process is dead.
pub(super) fn clear(tool: &Tool) {
    let abandoned = Abandoned::all();
    for folder in &abandoned {
        escaped::end_below(&folder.for_others());
        end_what_runs(tool, &folder.for_others());
    }
    let dead = folder(tool).map(|folder| dead(&folder)).unwrap_or_default();
    dead.iter().for_each(|(_, _, file)| give_room(file, 0));
    let names: Vec<&str> = dead.iter().map(|(name, _, _)| name.as_str()).collect();
    let left = remove_containers(tool, &names);
    for (name, path, _lock) in &dead {
        // Without it nobody would know any more that what resists is abandoned.
        if !left.contains(name) {
            let _ = fs::remove_file(path);
        }
    }
    abandoned.into_iter().for_each(Abandoned::remove);
}

/// The folder for the files of builds; none for docker.
fn folder(tool: &Tool) -> Option<PathBuf> {
    tool.store.first().map(|store| store.join(FOLDER))
}

/// Makes a file there, and holds it locked from before it can be found.
fn held(folder: &Path, name: &str) -> Option<(PathBuf, File)> {
    DirBuilder::new().mode(0o700).recursive(true).create(folder).ok()?;
    let (path, made) = (folder.join(name), folder.join(format!(".{name}")));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made).ok()?;
    let is_held = file.try_lock().is_ok() && fs::rename(&made, &path).is_ok();
    if is_held {
        keep_room(&file);
        return Some((path, file));
    }
    let _ = fs::remove_file(&made);
    None
}

/// Keeps room on the disk until [`give_room`]; where that is not to be had, nothing is kept.
fn keep_room(file: &File) {
    let _ = rustix::fs::fallocate(file, FallocateFlags::empty(), 0, ROOM_ALL);
}

/// Gives the room back that was kept, but for so many bytes.
fn give_room(file: &File, but: u64) {
    if file.metadata().is_ok_and(|kept| kept.len() > but) {
        let _ = file.set_len(but);
    }
}

/// The builds that nobody holds any more: their names and files, so that no two clear the same away.
fn dead(folder: &Path) -> Vec<(String, PathBuf, File)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let look = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).ok()?;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(entry.path()).ok()?;
        let is_dead = is_name(&name) && file.try_lock().is_ok();
        is_dead.then(|| (name, entry.path(), file))
    };
    entries.filter_map(look).collect()
}

/// Whether it is one of ours, in characters that JSON leaves as they are.
fn is_name(name: &str) -> bool {
    Workspace::is_name(name) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Removes the containers of these builds; those builds of which some are left. Nobody can be told: the next build tries again.
fn remove_containers(tool: &Tool, builds: &[&str]) -> Vec<String> {
    let (Some(store), false) = (tool.store.first(), builds.is_empty()) else { return Vec::new() };
    let mut left = Vec::new();
    for (id, of) in marked(store).into_iter().filter(|(_, of)| builds.contains(&of.as_str())) {
        let remove: &[&str] = if tool.builder == Builder::Podman { &["rm", "--force"] } else { &["rm"] };
        let remove: Vec<OsString> = remove.iter().copied().chain([id.as_str()]).map(OsString::from).collect();
        let removed = program(tool, &remove, Some(PATIENCE)).run(&|| false, &mut |_| {});
        left.extend(removed.is_err().then_some(of));
    }
    left
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

/// Ends what podman runs for a build with these temporary files.
fn end_what_runs(tool: &Tool, temporary: &Path) {
    if tool.builder != Builder::Podman {
        return;
    }
    let bundles: Vec<OsString> = bundles(temporary);
    if bundles.is_empty() {
        return;
    }
    let ask = ["info", "--format", "{{.Host.OCIRuntime.Path}}"].map(OsString::from);
    let mut runtime = None;
    let asked = program(tool, &ask, Some(PATIENCE)).run(&|| false, &mut |line| {
        runtime = runtime.take().or(Some(line.text));
    });
    let (Ok(_), Some(runtime)) = (asked, runtime) else { return };
    for bundle in bundles {
        let mut id = OsString::from("buildah-");
        id.push(bundle);
        let end = Program::new(&runtime).args([OsStr::new("delete"), OsStr::new("--force"), &id]);
        let _ = end.time_limit(PATIENCE).run(&|| false, &mut |_| {});
    }
}

/// The folders that podman, or rather buildah's code in it, makes for what it runs.
fn bundles(temporary: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    let is_one = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with("buildah")
            && entry.path().join("config.json").is_file()
    };
    entries.filter(is_one).map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_mark_is_found_among_the_arguments_and_nowhere_else() {
        let of = |arguments: &str| format!("{{\"Args\":{{{arguments}}},\"type\":\"buildah 0.0.1\"}}");
        assert_eq!(mark_in(&of(r#""A":"{\"b\"}","GIT_DEPLOY_BUILD":"1-a","Z":"""#)), Some("1-a"));
        assert_eq!(mark_in(&of(r#""A":"\"GIT_DEPLOY_BUILD\":\"1-a\"""#)), None);
        assert_eq!(mark_in(&of("")), None);
        let label = r#"{"Args":{},"type":"buildah","Labels":{"GIT_DEPLOY_BUILD":"1-a"}}"#;
        assert_eq!(mark_in(label), None);
        assert_eq!(mark_in(r#"{"Args":null,"type":"x"}"#), None);
    }

    #[test]
    fn a_build_is_dead_when_nobody_holds_its_file_any_more() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join(FOLDER);
        let names = || dead(&folder).into_iter().map(|(name, _, _)| name).collect::<Vec<_>>();
        let one = held(&folder, "git-deploy-build-one").unwrap();
        let _two = held(&folder, "git-deploy-build-two").unwrap();
        for other in ["other", ".git-deploy-build-three", "git-deploy-build-\u{1b}"] {
            fs::write(folder.join(other), "").unwrap();
        }
        assert!(names().is_empty());
        for (but, kept) in
            [(ROOM_ALL, ROOM_ALL), (ROOM_TO_THE_END, ROOM_TO_THE_END), (0, 0), (ROOM_TO_THE_END, 0)]
        {
            give_room(&one.1, but);
            assert_eq!(one.1.metadata().unwrap().blocks() * 512, kept);
        }
        drop(one);
        // A process that another test starts just now holds all open files for a moment.
        git_deploy_testkit::cluster::eventually("it is dead", || names() == ["git-deploy-build-one"]);
        let _first = dead(&folder);
        assert!(names().is_empty(), "two clear the same away");
    }
}
