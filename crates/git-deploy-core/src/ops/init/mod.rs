//! Setting a repository up: `deploy.toml`, hooks, git's configuration; and undoing exactly that.
//!
//! What is to be done is decided first, from what stands there; then it is recorded, then done. So doing it again
//! changes nothing, and whatever was done, also before a crash, can be undone. What is not ours is never changed.

mod base;
mod fault;
mod hooks;
mod managers;
mod record;
mod remove;
mod source;
mod template;

use std::path::{Path, PathBuf};

use crate::config::{ConfigError, DEPLOY_TOML, Settings};
use crate::git::push::Tracking;
use crate::git::setup::{digest, is_there, make_folder, read_file, remove_file, write_file};
use crate::git::{GitError, Repository};
use crate::ids::RefName;

use base::Found;
use record::{Entry, Record};

pub use base::Head;
pub use fault::Fault;
pub use hooks::{Foreign, HookStep, Place, Script, Way};
pub use managers::Manager;
pub use remove::{Undone, remove};

/// Where git's `log` finds the states. A pattern that fits one ref only: git warns at each `log` of a plain name as long
/// as there is no such ref, and in a repository without a state there is none.
pub const DISPLAY_REF: (&str, &str) = ("notes.displayRef", "refs/notes/deplo[y]");

/// The folder of the starter manifests, and the file in it.
pub const STARTER: (&str, &str) = ("deploy", "deploy/starter.yaml");

/// Why a repository could not be set up, or that not be undone.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Only a bare repository is a server's.
    #[error("this repository has a work tree, and is none that others push to")]
    NoServer,
    /// Git failed, or a file cannot be read or written.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// What is to be set up.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The hooks; none where they are not wanted.
    pub scripts: &'a [Script],
    /// The names of those hooks which are only installed on request, and are requested.
    pub requested: &'a [&'static str],
    /// Whether starter manifests are wanted.
    pub starter: bool,
}

impl Request<'_> {
    /// Whether others push to this repository, and pushes are to be judged.
    fn is_for_server(&self) -> bool {
        self.scripts
            .iter()
            .any(|script| script.place == Place::Server && self.requested.contains(&script.name))
    }
}

/// What was done, or found done.
#[derive(Debug)]
pub enum Step {
    /// A file was written, at this path of the work tree.
    Wrote(String),
    /// A file was written before and stands there unchanged.
    Stands(String),
    /// Something else is there already, and was left alone.
    Kept(String),
    /// The same, and nobody can deploy with it.
    Faulty(String, Fault),
    /// Base has this file already, though it is not checked out here.
    OnBase(String, RefName),
    /// Nothing was written, as there is no work tree.
    NoWorkTree,
    /// A hook, where it belongs, and what was done about it.
    Hook(&'static str, PathBuf, HookStep),
    /// No hook was installed: this value of `core.hooksPath` switches hooks off.
    HooksOff(String),
    /// A value was added to git's configuration.
    Configured(Setting, String, String),
    /// It stands in git's configuration already.
    ConfiguredBefore(String),
    /// What was configured here under this key is needed no more, and was taken out.
    Unconfigured(String),
    /// There is no base, and none of these branches is more likely to be it than another.
    NoBase(Vec<RefName>),
    /// In a server's repository `HEAD` is not what its pushes are judged by.
    Head(Head),
}

/// What a value in git's configuration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `git log` shows the states.
    Display,
    /// `git fetch` brings the states of others.
    Fetch,
    /// Branches land on that one.
    Base,
}

impl Step {
    /// Whether something was changed.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Wrote(_) | Self::Configured(..) | Self::Unconfigured(_) => true,
            Self::Hook(_, _, step) => {
                matches!(step, HookStep::Installed | HookStep::Upgraded | HookStep::Configured(true))
            }
            Self::Stands(_)
            | Self::Kept(_)
            | Self::Faulty(..)
            | Self::OnBase(..)
            | Self::NoWorkTree
            | Self::HooksOff(_)
            | Self::ConfiguredBefore(_)
            | Self::NoBase(_)
            | Self::Head(_) => false,
        }
    }

    /// Whether something is left for the user to do, without which git-deploy does not work as it should.
    pub fn is_in_the_way(&self) -> bool {
        match self {
            Self::HooksOff(_) | Self::NoBase(_) | Self::Faulty(..) => true,
            Self::Hook(_, _, step) => matches!(step, HookStep::Foreign(_)),
            Self::Wrote(_)
            | Self::Stands(_)
            | Self::Kept(_)
            | Self::OnBase(..)
            | Self::NoWorkTree
            | Self::Configured(..)
            | Self::ConfiguredBefore(_)
            | Self::Unconfigured(_)
            | Self::Head(_) => false,
        }
    }
}

/// Something that is to be done, with the step that it will have been.
struct Task {
    /// What is to be undone; none for what takes something of ours away.
    entry: Option<Entry>,
    action: Action,
}

enum Action {
    Write {
        path: PathBuf,
        text: String,
        executable: bool,
    },
    Configure {
        key: String,
        value: String,
    },
    /// One value in place of all that the key has.
    Replace {
        key: String,
        value: String,
    },
    Unconfigure {
        key: String,
        value: String,
    },
    Remove {
        path: PathBuf,
    },
    /// Nothing but what is recorded.
    Remember,
}

impl Action {
    fn is_configuration(&self) -> bool {
        match self {
            Self::Configure { .. } | Self::Replace { .. } | Self::Unconfigure { .. } => true,
            Self::Write { .. } | Self::Remove { .. } | Self::Remember => false,
        }
    }
}

/// What is to be done and what is to be told.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    tasks: Vec<Task>,
}

/// Sets a repository up as far as that is not done yet.
///
/// # Errors
/// When something cannot be read or written.
pub fn init(repository: &Repository, request: Request<'_>) -> Result<Vec<Step>, InitError> {
    if request.is_for_server() && !repository.is_bare()? {
        return Err(InitError::NoServer);
    }
    let settings = Settings::read(repository)?;
    let mut record = read_record(repository)?;
    let mut plan = Plan::default();
    plan_files(repository, &settings, &record, request.starter, &mut plan)?;
    hooks::plan(repository, request, &record, &mut plan)?;
    plan_config(repository, &settings, &mut plan)?;
    execute(repository, &mut record, plan.tasks)?;
    if request.is_for_server() && !plan.steps.iter().any(|step| matches!(step, Step::NoBase(_))) {
        plan.steps.extend(base::odd_head(repository)?.map(Step::Head));
    }
    Ok(plan.steps)
}

fn record_path(repository: &Repository) -> PathBuf {
    repository.deploy_dir().join(record::NAME)
}

fn read_record(repository: &Repository) -> Result<Record, InitError> {
    let found = read_file(&record_path(repository))?;
    let record = found.map(|found| Record::parse(&String::from_utf8_lossy(&found.bytes))).unwrap_or_default();
    Ok(record.at(&repository.paths().common_dir))
}

fn plan_files(
    repository: &Repository,
    settings: &Settings,
    record: &Record,
    starter: bool,
    plan: &mut Plan,
) -> Result<(), InitError> {
    let Some(top) = repository.paths().work_tree.clone() else {
        plan.steps.push(Step::NoWorkTree);
        return Ok(());
    };
    let base = settings.authority(&settings.base);
    let base_has = match repository.tip(&base)? {
        Some(tip) => repository.entry(repository.commit(tip)?.tree, DEPLOY_TOML)?.is_some(),
        None => false,
    };
    if base_has && !is_there(&top.join(DEPLOY_TOML)) {
        plan.steps.push(Step::OnBase(DEPLOY_TOML.to_owned(), settings.base.clone()));
    } else {
        let length = template::hash_length(repository.object_count()?, repository.is_shallow());
        let source = source_of(repository, settings)?;
        plan_file(&top, DEPLOY_TOML, template::deploy_toml(length, source.as_deref()), record, plan)?;
        if matches!(plan.steps.last(), Some(Step::Kept(_)))
            && let Err(fault) = Fault::of(&top.join(DEPLOY_TOML))
        {
            plan.steps.pop();
            plan.steps.push(Step::Faulty(DEPLOY_TOML.to_owned(), fault));
        }
    }
    // A project that has manifests already has nothing to begin with.
    let (folder, file) = STARTER;
    if starter && is_there(&top.join(folder)) && !is_there(&top.join(file)) {
        plan.steps.push(Step::Kept(folder.to_owned()));
    } else if starter {
        plan_file(&top, file, template::STARTER.to_owned(), record, plan)?;
    }
    Ok(())
}

/// Where the remote that counts shows its files to everybody, as far as its URL says that.
fn source_of(repository: &Repository, settings: &Settings) -> Result<Option<String>, InitError> {
    let Some(tracking) = &settings.remote else { return Ok(None) };
    // Of several the first is the one that is fetched from.
    let urls = repository.config_all(&format!("remote.{}.url", tracking.remote()))?;
    Ok(urls.first().and_then(|url| source::of_remote(url)))
}

fn plan_file(
    top: &Path,
    name: &str,
    text: String,
    record: &Record,
    plan: &mut Plan,
) -> Result<(), InitError> {
    let path = top.join(name);
    if is_there(&path) {
        let ours = remove::is_recorded(&path, name, record)?;
        plan.steps.push(if ours { Step::Stands(name.to_owned()) } else { Step::Kept(name.to_owned()) });
        return Ok(());
    }
    plan.steps.push(Step::Wrote(name.to_owned()));
    plan.tasks.push(Task {
        entry: Some(Entry::File { digest: digest(text.as_bytes())?, path: name.to_owned() }),
        action: Action::Write { path, text, executable: false },
    });
    Ok(())
}

fn plan_config(repository: &Repository, settings: &Settings, plan: &mut Plan) -> Result<(), InitError> {
    let (key, value) = DISPLAY_REF;
    let shown = repository.config_all("notes.displayref")?;
    let shows = |pattern: &String| {
        [value, "refs/notes/deploy", "refs/notes/*", "deploy", "*"].contains(&pattern.as_str())
    };
    plan_value(Setting::Display, key, value, shown.iter().any(shows), plan);
    if let Some(tracking) = &settings.remote {
        let key = format!("remote.{}.fetch", tracking.remote());
        let value = fetch_refspec(tracking);
        let there = repository.config_all(&key)?.contains(&value);
        plan_value(Setting::Fetch, &key, &value, there, plan);
    }
    match base::found(repository, settings)? {
        Found::Base => {}
        Found::Likely(branch) => plan_value(Setting::Base, "deploy.base", branch.short(), false, plan),
        Found::Unclear(branches) => plan.steps.push(Step::NoBase(branches)),
    }
    Ok(())
}

fn plan_value(setting: Setting, key: &str, value: &str, there: bool, plan: &mut Plan) {
    if there {
        return plan.steps.push(Step::ConfiguredBefore(key.to_owned()));
    }
    let (key, value) = (key.to_owned(), value.to_owned());
    plan.steps.push(Step::Configured(setting, key.clone(), value.clone()));
    plan.tasks.push(Task {
        entry: Some(Entry::Config { key: key.clone(), value: value.clone() }),
        action: Action::Configure { key, value },
    });
}

/// A pattern, because an exact name makes every `git fetch` fail while the remote has none; and never onto our own ref.
fn fetch_refspec(tracking: &Tracking) -> String {
    format!("+refs/notes/deploy*:{}deploy*", tracking.notes())
}

fn execute(repository: &Repository, record: &mut Record, tasks: Vec<Task>) -> Result<(), InitError> {
    if tasks.is_empty() {
        return Ok(());
    }
    if tasks.iter().any(|task| task.action.is_configuration()) {
        repository.config_is_free()?;
    }
    for Task { entry, action } in &tasks {
        if let Action::Write { path, .. } = action {
            let folders = path.ancestors().skip(1).take_while(|folder| !folder.exists());
            for folder in folders {
                record.add(Entry::Folder { path: folder.to_string_lossy().into_owned() });
            }
        }
        entry.iter().for_each(|entry| record.add(entry.clone()));
    }
    make_folder(&repository.deploy_dir())?;
    write_file(&record_path(repository), record.to_string().as_bytes(), false)?;
    for Task { action, .. } in tasks {
        match action {
            Action::Write { path, text, executable } => {
                path.parent().map(make_folder).transpose()?;
                write_file(&path, text.as_bytes(), executable)?;
            }
            Action::Configure { key, value } => repository.add_config(&key, &value)?,
            Action::Replace { key, value } => repository.replace_config(&key, &value)?,
            Action::Unconfigure { key, value } => repository.remove_config(&key, &value)?,
            Action::Remove { path } => remove_file(&path)?,
            Action::Remember => {}
        }
    }
    Ok(())
}
