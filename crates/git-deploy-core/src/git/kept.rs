//! Taking over what was written aside: many objects as one pack, which git leaves alone until refs have what is in it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::aside::{Aside, objects_of};
use super::intent::lock;
use super::program::git;
use super::{GitError, Repository};
use crate::ids::CommitId;

/// How the name of a folder begins whose objects may be kept.
pub(super) const ASIDE: &str = "tmp_objdir-git-deploy-";

/// What a file says that keeps a pack from being taken apart, before the name of the folder that its objects come from.
const KEPT_BY: &str = "git-deploy ";

/// How old a folder must be that nobody holds, for its process to have died: it is there before it is held.
const NEVER_HELD: Duration = Duration::from_secs(60);

/// From how many objects on they become one pack: as many as git takes for what a fetch brings (`transfer.unpackLimit`).
const UNPACK_LIMIT: usize = 100;

/// Packs that stay as they are for as long as this value lives: until refs have what is in them.
#[must_use]
#[derive(Default)]
pub(crate) struct Kept(Vec<PathBuf>);

impl Kept {
    /// With those of another.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }

    /// Keeps a pack from being taken apart, unless somebody does so already.
    fn hold(&mut self, keep: &Path, reason: &str) -> Result<(), GitError> {
        match File::options().write(true).create_new(true).open(keep) {
            Ok(mut file) => {
                self.0.push(keep.to_owned());
                file.write_all(reason.as_bytes()).map_err(GitError::file(keep))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(GitError::file(keep)(error)),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One that stays behind is found by the next who keeps something.
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

impl Repository {
    /// Puts into the repository what these commits need beside what others have that are there, as one pack where it is much.
    /// Thousands of files, one for each object, would slow down all that reads after that.
    ///
    /// # Errors
    /// When it cannot be read or written. A part of it may be there then, which nothing refers to.
    pub(crate) fn keep(&self, commits: &[CommitId], others: &[CommitId]) -> Result<Kept, GitError> {
        let Some(aside) = self.backend.stands_aside().filter(|_| !commits.is_empty()) else {
            return Ok(Kept::default());
        };
        let revisions = commits.iter().map(|commit| format!("{commit}\n"));
        let revisions: String = revisions.chain(others.iter().map(|commit| format!("^{commit}\n"))).collect();
        // What was there before may lack whatever it lacks: it is not looked at.
        let list = ["rev-list", "--objects-edge-aggressive", "--missing=allow-any", "--stdin"];
        let listed = self.git(list)?.input(revisions).run()?;
        // What stands at the edge has a line, too.
        let is_new = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"-");
        let lines: Vec<&[u8]> = listed.split(|byte| *byte == b'\n').filter(is_new).collect();
        if lines.is_empty() {
            return Ok(Kept::default());
        }
        let is_file =
            |line: &&[u8]| line.split(|byte| *byte == b' ').next().is_some_and(|id| aside.has_file(id));
        let objects = [lines.join(&b'\n'), vec![b'\n']].concat();
        // What an earlier try has left in a pack that nobody keeps any more is packed again.
        match lines.len() < UNPACK_LIMIT && lines.iter().all(is_file) {
            true => self.unpack(objects),
            false => self.pack(aside, objects),
        }
    }

    fn unpack(&self, objects: Vec<u8>) -> Result<Kept, GitError> {
        let packed = self.git(["pack-objects", "--stdout", "-q"])?.input(objects).run()?;
        git(["unpack-objects", "-q"]).input(packed).run()?;
        Ok(Kept::default())
    }

    /// It is made aside, so that nothing of it stays where there is no room for the whole, and comes to its place as git puts one
    /// there: what says that it is kept first, and its index last.
    fn pack(&self, aside: &Aside, objects: Vec<u8>) -> Result<Kept, GitError> {
        let from = aside.objects().join("pack");
        let to = objects_of(&self.paths().common_dir).join("pack");
        for folder in [&from, &to] {
            fs::create_dir_all(folder).map_err(GitError::file(folder))?;
        }
        let made = git(["pack-objects", "-q", "--delta-base-offset"]).arg(from.join("pack"));
        let made = made.envs(aside.variables()).input(objects).text()?;
        let reason = format!("{KEPT_BY}{}\n", name_of(aside.folder()));
        let mut kept = Kept::default();
        for name in made.lines().map(|hash| format!("pack-{hash}")) {
            kept.hold(&to.join(format!("{name}.keep")), &reason)?;
            for kind in ["pack", "rev", "idx"] {
                let file = format!("{name}.{kind}");
                match fs::rename(from.join(&file), to.join(&file)) {
                    Err(error) if kind != "rev" || error.kind() != ErrorKind::NotFound => {
                        return Err(GitError::file(&to.join(&file))(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(kept)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Takes the lock of a folder for as long as the file is open; none if somebody has it.
pub(super) fn hold(folder: &Path) -> std::io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("held"))?;
    Ok(lock(&file)?.then_some(file))
}

/// Removes what processes that have died have left aside, and lets git have the packs that they held. Others may do the same just
/// now; what cannot be removed is the next time.
pub(super) fn clear_dead(objects: &Path) {
    let list = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in list(objects).filter(|path| name_of(path).starts_with(ASIDE)) {
        let made = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let is_old = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > NEVER_HELD));
        if is_old && let Ok(Some(_held)) = hold(&path) {
            drop(fs::remove_dir_all(&path));
        }
    }
    for path in list(&objects.join("pack")).filter(|path| name_of(path).ends_with(".keep")) {
        let reason = fs::read_to_string(&path).unwrap_or_default();
        let folder = reason.strip_prefix(KEPT_BY).map(|folder| objects.join(folder.trim_end()));
        if folder.is_some_and(|folder| folder.try_exists().is_ok_and(|exists| !exists)) {
            drop(fs::remove_file(&path));
        }
    }
}
