//! Moving a ref in process, where nobody could tell it from git.
//!
//! Only the git program runs hooks, and only it moves several refs at once. To start it takes longer than to write a note,
//! though. Where no hook can want to hear of it, libgit2 takes the same lock file, looks at the same value and writes the same
//! line into the same reflog. What libgit2 cannot know, such as a configuration that only git reads, git is asked about by
//! letting it move the ref.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use git2::ReferenceType;

use super::{Libgit2, listing, oid};
use crate::git::Identity;
use crate::git::backend::Paths;
use crate::git::refs::{Expected, RefUpdate};

/// The hook that git runs when refs move (githooks(5)).
const HOOK: &str = "reference-transaction";

/// Variables with which git itself reads another configuration than libgit2, or moves nothing: what a push brought may be thrown
/// away again (git-receive-pack(1), "Quarantine Environment").
const NOT_WITH: [&str; 3] = ["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_QUARANTINE_PATH"];

impl Libgit2 {
    /// Whether refs may be moved in process.
    pub(super) fn may_move(&self) -> bool {
        let Ok(entries) = self.entries() else { return false };
        let set = |key: &str| listing::values(&entries, key).pop();
        let is_logged = match set("core.logallrefupdates") {
            // In a bare repository git makes a reflog where it is told to; libgit2 does not.
            None => !self.repository.is_bare(),
            Some(value) => value == "true",
        };
        // Since git 2.54 a hook may stand in the configuration, for whatever event; and not each condition under which git
        // includes a file is known here.
        let is_plain =
            !entries.iter().any(|(key, _)| key.starts_with("hook.") || key.starts_with("includeif."));
        is_logged
            && is_plain
            && !self.waits_for_disk().unwrap_or(true)
            && NOT_WITH.iter().all(|variable| env::var_os(variable).is_none())
            && has_no_hook(&self.paths, set("core.hookspath").as_deref())
    }

    /// Moves a ref that is there from where it is expected. `None` where something is in the way: either all of it is done then
    /// or nothing, and git is to be asked, which says what.
    pub(super) fn move_in_process(&self, update: &RefUpdate, reflog: &str, who: &Identity) -> Option<()> {
        let (Expected::At(old), Some(new), name) = (update.old, update.new, update.name.as_str()) else {
            return None;
        };
        // Where a link leads libgit2 would lock; git replaces it.
        if self.paths.common_dir.join(name).is_symlink() {
            return None;
        }
        let who = who.signature()?;
        let mut transaction = self.repository.transaction().ok()?;
        transaction.lock_ref(name).ok()?;
        // From here on nobody else moves it.
        let there = self.repository.find_reference(name).ok()?;
        if there.kind() != Some(ReferenceType::Direct) || there.target() != oid(old).ok() {
            return None;
        }
        self.repository.reference_ensure_log(name).ok()?;
        // As git writes it.
        let reflog = reflog.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        transaction.set_target(name, oid(new).ok()?, Some(&who), &reflog).ok()?;
        transaction.commit().ok()
    }
}

/// Whether it is sure that git would find no such hook.
fn has_no_hook(paths: &Paths, configured: Option<&str>) -> bool {
    let Some(folder) = hooks(paths, configured) else { return false };
    let found = folder.join(HOOK).symlink_metadata();
    matches!(found, Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()))
}

/// Where git looks for hooks; `None` where it makes another path of what is configured than stands there.
fn hooks(paths: &Paths, configured: Option<&str>) -> Option<PathBuf> {
    let path = match configured {
        None => return Some(paths.common_dir.join("hooks")),
        Some(path) if path.is_empty() || path.starts_with(['~', '%', ':']) => return None,
        Some(path) => Path::new(path),
    };
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    // Git goes to the top of the work tree, where it finds that from within.
    let (work_tree, here) = (paths.work_tree.as_ref()?, env::current_dir().ok()?);
    let is_within = here.starts_with(work_tree) && !here.starts_with(&paths.git_dir);
    (is_within && env::var_os("GIT_DIR").is_none()).then(|| work_tree.join(path))
}
