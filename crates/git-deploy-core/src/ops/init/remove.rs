//! Undoing what was set up: what the record says, as far as it still stands there as it was left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::git::Repository;
use crate::git::setup::{HooksFolder, digest, is_there, read_file, remove_empty_folder, remove_file};

use super::managers::{Manager, beside, file_calls};
use super::record::{Entry, Record};
use super::{InitError, Script, hooks, read_record, record_path};

/// What was undone, or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// A hook was removed.
    Hook(PathBuf),
    /// A hook of somebody else calls ours, and was left.
    HookCalls(PathBuf),
    /// A value was taken out of git's configuration.
    Config(String, String),
    /// A file of the work tree was removed.
    File(String),
    /// A file of the work tree was left: git tracks it.
    Tracked(String),
    /// A file of the work tree was left: it was changed.
    Changed(String),
    /// A file was left that stands in another work tree of this repository.
    Elsewhere {
        /// The work tree.
        top: PathBuf,
        /// The file in it.
        name: String,
        /// Whether git tracks it there.
        is_tracked: bool,
    },
    /// Hooks were removed from a folder outside of this repository, where others may have found them, too.
    Outside(PathBuf),
}

/// Undoes what was set up. Returns nothing if nothing was.
///
/// # Errors
/// When something cannot be read or removed. Doing it again goes on from there.
pub fn remove(repository: &Repository, scripts: &[Script]) -> Result<Vec<Undone>, InitError> {
    let record = read_record(repository)?;
    if record.entries.iter().any(|entry| matches!(entry, Entry::Config { .. })) {
        repository.config_is_free()?;
    }
    let mut undone = Vec::new();
    remove_hooks(repository, scripts, &record, &mut undone)?;
    // Written in the order in which nothing is ever half there; so it goes backwards.
    for entry in record.entries.iter().rev() {
        match entry {
            Entry::Config { key, value } => {
                if let Some(key) = key_of(repository, key, value)? {
                    repository.remove_config(&key, value)?;
                    undone.push(Undone::Config(key, value.clone()));
                }
            }
            Entry::File { path, .. } => remove_work_tree_file(repository, &record, path, &mut undone)?,
            Entry::Place { .. } | Entry::Hook { .. } | Entry::Folder { .. } | Entry::Requested { .. } => {}
        }
    }
    // Written outermost last, so that the innermost goes first.
    for entry in &record.entries {
        if let Entry::Folder { path } = entry {
            remove_empty_folder(Path::new(path));
        }
    }
    remove_file(&record_path(repository))?;
    remove_empty_folder(&repository.deploy_dir());
    repository.clear_dead_asides();
    Ok(undone)
}

/// The key under which a value stands now that was configured under this one: `git remote rename` takes it along. Where several
/// remotes have it, one of them is somebody else's, and it stays.
fn key_of(repository: &Repository, key: &str, value: &str) -> Result<Option<String>, InitError> {
    let stands = |key: &str| repository.own_config(key).map(|values| values.iter().any(|one| one == value));
    if stands(key)? {
        return Ok(Some(key.to_owned()));
    }
    if !(key.starts_with("remote.") && key.ends_with(".fetch")) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for remote in repository.remotes()? {
        let key = format!("remote.{remote}.fetch");
        if stands(&key)? {
            found.push(key);
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// Hooks are looked for where git looks now, and where they were put.
fn remove_hooks(
    repository: &Repository,
    scripts: &[Script],
    record: &Record,
    undone: &mut Vec<Undone>,
) -> Result<(), InitError> {
    let mut paths: BTreeSet<PathBuf> = record.hooks().collect();
    // The hooks of a folder that serves other repositories too were put there from here only if the record has them.
    let places = repository.paths();
    let roots = [Some(&places.common_dir), places.work_tree.as_ref()];
    if let HooksFolder::Own(folder) = repository.hooks_folder()?
        && roots.iter().flatten().any(|root| folder.starts_with(root))
    {
        paths.extend(scripts.iter().map(|script| folder.join(script.name)));
    }
    // Where managers of hooks move those that they find.
    let moved: Vec<PathBuf> =
        paths.iter().flat_map(|path| [beside(path, "legacy"), beside(path, "old")]).collect();
    paths.extend(moved);
    let is_outside = |path: &Path| !roots.iter().flatten().any(|root| path.starts_with(root));
    let mut outside: BTreeSet<PathBuf> = BTreeSet::new();
    for path in paths {
        if !hooks::is_ours(&path, scripts, record)? {
            continue;
        }
        // `core.hooksPath` may name a folder whose hooks the project has for everybody.
        let below = places.work_tree.as_ref().and_then(|top| path.strip_prefix(top).ok()?.to_str());
        match below.filter(|_| !path.starts_with(&places.common_dir)) {
            Some(name) if repository.is_tracked(name)? => undone.push(Undone::Tracked(name.to_owned())),
            _ => {
                remove_file(&path)?;
                outside.extend(path.parent().filter(|_| is_outside(&path)).map(Path::to_owned));
                undone.push(Undone::Hook(path));
            }
        }
    }
    undone.extend(outside.into_iter().map(Undone::Outside));
    let folder = match repository.hooks_folder()? {
        HooksFolder::Own(folder) | HooksFolder::Shared(folder) => folder,
        HooksFolder::None(_) => return Ok(()),
    };
    for Script { name, .. } in scripts {
        let path = folder.join(name);
        // One of ours that was left is no caller of ours.
        if !hooks::is_ours(&path, scripts, record)? {
            undone.extend(caller(repository, &path, name).map(Undone::HookCalls));
        }
    }
    Ok(())
}

/// What somebody else has that calls a hook of ours.
fn caller(repository: &Repository, path: &Path, name: &str) -> Option<PathBuf> {
    let text = read_file(path).ok().flatten().map(|found| String::from_utf8_lossy(&found.bytes).into_owned());
    let manager = Manager::of(path, text.as_deref().unwrap_or_default());
    let callers = manager.map(|manager| manager.callers(path, repository.paths().work_tree.as_deref()));
    let mut callers = [path.to_owned()].into_iter().chain(callers.into_iter().flatten());
    callers.find(|caller| file_calls(caller, name))
}

fn remove_work_tree_file(
    repository: &Repository,
    record: &Record,
    name: &str,
    undone: &mut Vec<Undone>,
) -> Result<(), InitError> {
    let top = repository.paths().work_tree.as_ref();
    // What stands in other work trees is for those to decide who work there, and nothing knows of it after this.
    for other in repository.work_trees()?.into_iter().filter(|other| Some(other) != top) {
        if is_recorded(&other.join(name), name, record)? {
            let is_tracked = repository.is_tracked_in(&other, name);
            let told = Undone::Elsewhere { top: other, name: name.to_owned(), is_tracked };
            if !undone.contains(&told) {
                undone.push(told);
            }
        }
    }
    let Some(path) = top.map(|top| top.join(name)).filter(|path| is_there(path)) else { return Ok(()) };
    let told = if repository.is_tracked(name)? {
        Undone::Tracked(name.to_owned())
    } else if is_recorded(&path, name, record)? {
        remove_file(&path)?;
        Undone::File(name.to_owned())
    } else {
        Undone::Changed(name.to_owned())
    };
    if !undone.contains(&told) {
        undone.push(told);
    }
    Ok(())
}

/// Whether a file is there that we have written under that name, unchanged. What is no file, or cannot be read, is none.
pub(super) fn is_recorded(path: &Path, name: &str, record: &Record) -> Result<bool, InitError> {
    let found = read_file(path).ok().flatten().map(|found| digest(&found.bytes)).transpose()?;
    Ok(found.is_some_and(|found| record.knows_file(&found, name)))
}
