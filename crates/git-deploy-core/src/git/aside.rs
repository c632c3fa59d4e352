//! A look at what a rebase would make, where nothing may be written: as on a server while a push waits, or of a disk that is
//! read-only.
//!
//! New objects go to a folder of their own, and what git writes to otherwise, which is its quarantine then, is only read. So it is
//! for a rebase of many branches, too: what comes of it is taken over at once ([`Repository::keep`]).

use std::borrow::Cow;
use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::backend::Variables;
use super::program::{ALWAYS, Call, ProgramError, git};
use super::{GitError, Repository};
use crate::ids::CommitId;

/// From how many objects on they become one pack: as many as git takes for what a fetch brings (`transfer.unpackLimit`).
const UNPACK_LIMIT: usize = 100;

/// What a file says that keeps a pack from being taken apart, before the name of the folder that its objects come from.
const KEPT_BY: &str = "git-deploy ";

/// How the name of a folder begins whose objects may be kept.
const ASIDE: &str = "aside-";

/// How old such a folder must be that nobody holds, for its process to have died: it is there before it is held.
const NEVER_HELD: Duration = Duration::from_secs(60);

/// Where git writes objects.
const OBJECTS: &str = "GIT_OBJECT_DIRECTORY";

/// Where else it reads them.
const ALTERNATES: &str = "GIT_ALTERNATE_OBJECT_DIRECTORIES";

impl Repository {
    /// The same repository and work tree, in which new objects are seen by nobody else, and go away with this value.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn with_objects_aside(&self) -> Result<Self, GitError> {
        let folder = tempfile::Builder::new().prefix("git-deploy-").tempdir();
        let folder = folder.map_err(GitError::file(&env::temp_dir()))?;
        Ok(Self::with(self.backend.aside(Aside::new(folder, &self.paths().common_dir, None)?)))
    }

    /// Likewise, until some of them are [kept](Self::keep): there may be very many, for which a folder in memory is no place.
    ///
    /// # Errors
    /// When there is no place for them.
    pub(crate) fn with_objects_until_kept(&self) -> Result<Self, GitError> {
        let dir = self.deploy_dir();
        fs::create_dir_all(&dir).map_err(GitError::file(&dir))?;
        self.clear_dead_asides(&dir)?;
        let folder = tempfile::Builder::new().prefix(ASIDE).tempdir_in(&dir).map_err(GitError::file(&dir))?;
        let held = hold(folder.path()).map_err(GitError::file(folder.path()))?;
        Ok(Self::with(self.backend.aside(Aside::new(folder, &self.paths().common_dir, held)?)))
    }

    /// Removes what processes that have died have left aside, and lets git have the packs that they held.
    fn clear_dead_asides(&self, dir: &Path) -> Result<(), GitError> {
        for entry in fs::read_dir(dir).map_err(GitError::file(dir))? {
            let path = entry.map_err(GitError::file(dir))?.path();
            let is_old = || {
                let made = fs::metadata(&path).and_then(|metadata| metadata.modified());
                made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > NEVER_HELD))
            };
            if name_of(&path).starts_with(ASIDE) && is_old() && hold(&path).is_ok_and(|held| held.is_some()) {
                fs::remove_dir_all(&path).map_err(GitError::file(&path))?;
            }
        }
        let packs = objects_of(&self.paths().common_dir).join("pack");
        for path in fs::read_dir(&packs).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "keep")
                && let Ok(reason) = fs::read_to_string(&path)
                && let Some(folder) = reason.trim_end().strip_prefix(KEPT_BY)
                && !dir.join(folder).exists()
            {
                fs::remove_file(&path).map_err(GitError::file(&path))?;
            }
        }
        Ok(())
    }

    /// Whether what is written here is seen by nobody else.
    pub(crate) fn is_aside(&self) -> bool {
        self.backend.stands_aside().is_some()
    }

    /// Whether nothing of what is written here is to stay.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.backend.stands_aside().is_some_and(|aside| aside.held.is_none())
    }

    /// Puts into the repository what was written aside of these commits and is needed beside what others have that are there, as
    /// one pack where it is much. Thousands of files, one for each object, would slow down all that reads after that.
    ///
    /// # Errors
    /// When it cannot be read or written. A part of it may be there then, which nothing refers to.
    pub(crate) fn keep(&self, commits: &[CommitId], others: &[CommitId]) -> Result<Kept, GitError> {
        let Some(aside) = self.backend.stands_aside() else { return Ok(Kept::default()) };
        let written = aside.written()?;
        if written.is_empty() || commits.is_empty() {
            return Ok(Kept::default());
        }
        let revisions = commits.iter().map(|commit| format!("{commit}\n"));
        let revisions: String = revisions.chain(others.iter().map(|commit| format!("^{commit}\n"))).collect();
        // What was there before may lack whatever it lacks: it is not looked at.
        let list = ["rev-list", "--objects", "--missing=allow-any", "--stdin"];
        let listed = self.git(list).input(revisions).run()?;
        // Git lists what others have that these do not begin from, too.
        let is_written = |line: &&[u8]| {
            let id = line.split(|byte| *byte == b' ').next();
            id.is_some_and(|id| written.contains(id))
        };
        let lines: Vec<&[u8]> = listed.split(|byte| *byte == b'\n').filter(is_written).collect();
        // All of them may be there since an earlier try.
        if lines.is_empty() {
            return Ok(Kept::default());
        }
        // Until a ref has them, a `git repack -ad` beside us would throw a pack away that nothing says to keep.
        let put = match lines.len() < UNPACK_LIMIT {
            true => vec!["unpack-objects".to_owned(), "-q".to_owned()],
            false => {
                let reason = format!("--keep={KEPT_BY}{}", name_of(aside.folder()));
                vec!["index-pack".to_owned(), "--stdin".to_owned(), reason]
            }
        };
        let pack = duct::cmd("git", ["pack-objects", "--stdout", "-q", "--delta-base-offset"]);
        let pack = pack.stdin_bytes([lines.join(&b'\n'), vec![b'\n']].concat());
        let pack = aside.variables().iter().fold(pack, |pack, (key, value)| pack.env(key, value));
        let both = pack.pipe(duct::cmd("git", &put)).stdout_capture().stderr_capture().unchecked();
        let both = ALWAYS.iter().fold(both, |both, (key, value)| both.env(key, value));
        let output = both.run().map_err(ProgramError::Start)?;
        if !output.status.success() {
            return Err(git(put).failed(&output).into());
        }
        let kept = String::from_utf8_lossy(&output.stdout);
        let kept = kept
            .trim_end()
            .strip_prefix("keep\t")
            .map(|pack| objects_of(&self.paths().common_dir).join("pack").join(format!("pack-{pack}.keep")));
        Ok(Kept(kept.into_iter().collect()))
    }

    /// A call of git that sees the objects that were written here.
    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> Call {
        git(args).envs(self.backend.variables())
    }
}

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
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One that stays behind is found by the next who keeps something.
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

/// The folder, which goes away with this value.
pub(super) struct Aside {
    variables: Vec<(&'static str, OsString)>,
    folder: TempDir,
    /// What says that its process lives, if something of it may be kept.
    held: Option<File>,
}

/// Where a repository has its objects.
fn objects_of(common_dir: &Path) -> PathBuf {
    env::var_os(OBJECTS).map_or_else(|| common_dir.join("objects"), PathBuf::from)
}

fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Takes the lock of a folder for as long as the file is open; none if somebody has it.
fn hold(folder: &Path) -> std::io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("held"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Aside {
    fn new(folder: TempDir, common_dir: &Path, held: Option<File>) -> Result<Self, GitError> {
        let new = folder.path().join("objects");
        fs::create_dir(&new).map_err(GitError::file(&new))?;
        let mut alternates = listed(objects_of(common_dir).as_os_str());
        if let Some(more) = env::var_os(ALTERNATES).filter(|more| !more.is_empty()) {
            alternates.push(":");
            alternates.push(more);
        }
        let variables = vec![(OBJECTS, new.into()), (ALTERNATES, alternates)];
        Ok(Self { variables, folder, held })
    }

    /// What has git write there.
    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The names of the objects that were written there, each of which is a file.
    fn written(&self) -> Result<HashSet<Vec<u8>>, GitError> {
        let objects = self.folder().join("objects");
        let list = |folder: &Path| fs::read_dir(folder).map_err(GitError::file(folder));
        let mut written = HashSet::new();
        for folder in list(&objects)? {
            let folder = folder.map_err(GitError::file(&objects))?;
            // Beside these there may be what git knows of packs.
            if folder.file_name().len() == 2 {
                for file in list(&folder.path())? {
                    let file = file.map_err(GitError::file(&folder.path()))?;
                    written.insert([folder.file_name().as_bytes(), file.file_name().as_bytes()].concat());
                }
            }
        }
        Ok(written)
    }

    /// The folder that has the one for objects, as a repository has it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether objects are written elsewhere than in a repository already, as in a server's quarantine.
    pub(super) fn is_nested() -> bool {
        [OBJECTS, ALTERNATES].iter().any(|key| env::var_os(key).is_some())
    }
}

/// A path as it stands in a list of them: in quotes where git would read it as more than one.
fn listed(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    if !bytes.contains(&b':') && !bytes.starts_with(b"\"") {
        return path.to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_list_is_one_path() {
        for (path, expected) in [
            ("/srv/shop.git/objects", "/srv/shop.git/objects"),
            ("/srv/a:b\\\"c", "\"/srv/a:b\\\\\\\"c\""),
            ("\"x", "\"\\\"x\""),
        ] {
            assert_eq!(listed(path.as_ref()), expected);
        }
    }
}
