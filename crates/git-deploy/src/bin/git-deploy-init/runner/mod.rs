//! What a runner of the queue needs that lives elsewhere: manifests for a pod, or a unit of systemd.
//!
//! Nothing here changes a cluster or starts anything, and no secret is read: what is written is for a person to look at, to
//! change and to commit.

mod pod;
mod remote;
mod unit;

use std::path::{Path, PathBuf};

use git_deploy_cli::args::InitRunner;
use git_deploy_cli::{CommandError, Exit, Shell, shell_word};
use git_deploy_core::config::deploy_toml::DeployToml;
use git_deploy_core::config::{ConfigError, Settings, deploy_toml_of};
use git_deploy_core::git::Repository;
use git_deploy_core::git::setup::{make_folder, read_file, write_file};

use remote::Remote;

/// A file, and what stands in it.
struct File {
    name: &'static str,
    text: String,
}

/// What is to be written, and what is to be said about it.
struct Plan {
    /// The first one is what is printed where no folder is named.
    files: Vec<File>,
    warnings: Vec<String>,
    notes: Vec<String>,
    /// What comes next.
    hints: Vec<String>,
}

/// Prints or writes it.
pub(crate) fn write(
    repository: &Repository,
    arguments: &InitRunner,
    shell: &mut Shell,
) -> Result<Exit, CommandError> {
    let settings = Settings::read(repository)?;
    let base = deploy_toml_of(repository, settings.base_tip(repository)?, settings.base.short())?;
    let base = base.ok_or_else(|| ConfigError::NoDeployToml(settings.base.clone()))?;
    let plan = match &arguments.systemd {
        Some(scope) => plan_unit(repository, &base, scope == "system")?,
        None => plan_pod(repository, &settings, &base, arguments)?,
    };
    let exit = match &arguments.output {
        None => {
            plan.files.iter().take(1).flat_map(|file| file.text.lines()).for_each(|line| shell.line(line));
            Exit::Done
        }
        Some(folder) => save(&plan.files, folder, arguments.dry_run, shell)?,
    };
    if exit == Exit::Done {
        plan.warnings.iter().for_each(|warning| shell.warn(warning.as_str()));
        plan.notes.iter().for_each(|note| shell.note(note.as_str()));
        plan.hints.iter().for_each(|hint| shell.hint(hint.as_str()));
    }
    Ok(exit)
}

fn plan_unit(repository: &Repository, base: &DeployToml, is_system: bool) -> Result<Plan, CommandError> {
    let paths = repository.paths();
    // Without the slash at its end.
    let folder: PathBuf = paths.work_tree.as_ref().unwrap_or(&paths.common_dir).components().collect();
    let this = std::env::current_exe();
    let this =
        this.map_err(|error| CommandError::fatal(format!("cannot tell where git-deploy is: {error}")))?;
    let program = this.with_file_name("git-deploy-queue");
    let Kubeconfig { list: kubeconfig, warnings } = Kubeconfig::of_variable()?;
    let unit = unit::Unit {
        folder: text_of(&folder)?,
        program: text_of(&program)?,
        kubeconfig: kubeconfig.as_deref(),
        builds: !base.images.is_empty(),
        is_system,
    };
    Ok(Plan {
        files: vec![File { name: unit::NAME, text: unit.to_string() }],
        warnings,
        notes: kubeconfig.iter().filter(|_| is_system).map(|list| must_be_readable(list)).collect(),
        hints: unit.hints(),
    })
}

/// What `KUBECONFIG` says, as it holds in every folder: a service has neither the variable nor the folder in which it was set.
struct Kubeconfig {
    /// What a service finds of it, if it does.
    list: Option<String>,
    /// What it would not find.
    warnings: Vec<String>,
}

impl Kubeconfig {
    fn of_variable() -> Result<Self, CommandError> {
        let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for path in std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()) {
            let whole = std::path::absolute(&path).map_err(|error| {
                CommandError::fatal(format!("cannot tell where '{}' is: {error}", path.display()))
            })?;
            let text = text_of(&whole)?.to_owned();
            match why_unfit(&whole) {
                None => found.push(text),
                Some(why) => warnings.push(format!("KUBECONFIG names '{text}', which {why}: it is left out")),
            }
        }
        Ok(Self { list: Some(found.join(":")).filter(|list| !list.is_empty()), warnings })
    }
}

/// Why a service cannot count on a file. Folders for a while may be others to it, and end with a session or with the machine.
fn why_unfit(path: &Path) -> Option<String> {
    let session =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let fleeting = ["/tmp", "/var/tmp"].map(PathBuf::from).into_iter().chain(session);
    // Also where a link leads there.
    let meant = path.canonicalize();
    let is_below = |folder: &PathBuf| {
        path.starts_with(folder) || meant.as_ref().is_ok_and(|meant| meant.starts_with(folder))
    };
    match fleeting.into_iter().find(is_below) {
        Some(folder) => Some(format!("a service may not find in '{}'", folder.display())),
        None => (!path.is_file()).then(|| "is no file".to_owned()),
    }
}

fn must_be_readable(kubeconfig: &str) -> String {
    format!("KUBECONFIG is '{kubeconfig}' in it: the user of the service must be able to read that")
}

/// A path as a unit can hold it.
fn text_of(path: &Path) -> Result<&str, CommandError> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| CommandError::fatal(format!("a unit cannot name the path '{}'", path.display())))
}

fn plan_pod(
    repository: &Repository,
    settings: &Settings,
    base: &DeployToml,
    arguments: &InitRunner,
) -> Result<Plan, CommandError> {
    let contexts = pod::contexts(base, &arguments.context)?;
    let url = settings.remote.as_ref().map_or(Ok(None), |tracking| repository.url(tracking))?;
    let remote = Remote::of(url.as_deref());
    let image = pod::image(base, arguments.image.as_deref())?;
    let base_branch = settings.base.short();
    let pod = pod::Pod { arguments, base, contexts, base_branch, remote: &remote, image };
    let mut warnings = pod.warnings();
    if !remote.is_known {
        warnings.push(format!(
            "no pod can reach the remote as it is configured here: put its URL in place of '{}'",
            remote.url
        ));
    }
    Ok(Plan {
        files: vec![
            File { name: "runner.yaml", text: pod.manifests() },
            File { name: "Containerfile", text: pod.containerfile() },
        ],
        warnings,
        notes: pod.notes(),
        hints: pod.hints(),
    })
}

/// Writes files to a folder: all, or none where another one is in the way.
fn save(files: &[File], folder: &Path, dry_run: bool, shell: &mut Shell) -> Result<Exit, CommandError> {
    let mut missing: Vec<(PathBuf, &File)> = Vec::new();
    let mut is_free = true;
    for file in files {
        let path = folder.join(file.name);
        match read_file(&path)? {
            None => missing.push((path, file)),
            Some(found) if found.bytes == file.text.as_bytes() => {
                shell.verbose(1, format!("'{}' is there", path.display()));
            }
            Some(_) => {
                is_free = false;
                shell.error(format!("'{}' is there already and says something else", path.display()));
                let path = path.display().to_string();
                shell.hint(format!("move it away, then compare: mv -i {0} {0}.own", shell_word(&path)));
            }
        }
    }
    if !is_free {
        return Ok(Exit::No);
    }
    if !dry_run && !missing.is_empty() {
        make_folder(folder)?;
    }
    for (path, file) in &missing {
        if !dry_run {
            write_file(path, file.text.as_bytes(), false)?;
        }
        if !shell.is_quiet() {
            let what = if dry_run { "would write" } else { "wrote" };
            shell.line(format!("{what} '{}'", path.display()));
        }
    }
    if missing.is_empty() && !shell.is_quiet() {
        shell.line("nothing to do: all of it is written");
    }
    Ok(Exit::Done)
}
