//! Which builder is there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Builder, NoBuilder, Tool, tool};

/// A builder that does not answer by then does not work.
const PATIENCE: Duration = Duration::from_secs(20);

impl Tool {
    /// The builder that was chosen, else the first that is on the search path and works. `environment` is set for it, on
    /// top of what it inherits.
    ///
    /// # Errors
    ///
    /// [`NoBuilder`] where there is none, or where none works: then with what each said.
    pub fn find(
        choice: Option<Builder>,
        search_path: &OsStr,
        environment: &[(OsString, OsString)],
    ) -> Result<Tool, NoBuilder> {
        let candidates = choice.map_or(Builder::ALL.to_vec(), |builder| vec![builder]);
        let mut broken = Vec::new();
        for builder in candidates {
            let Some(program) = on_path(builder.program(), search_path) else { continue };
            let environment = environment.to_vec();
            let store = Vec::new();
            let tool = Tool { builder, program, environment, time_limit: None, tells_all: false, store };
            match tool::answers(&tool, PATIENCE) {
                Ok(said) => return Ok(Tool { store: folders(&tool, said), ..tool }),
                Err(why) => broken.push(format!("'{builder}' {why}")),
            }
        }
        match (choice, broken.is_empty()) {
            (_, false) => Err(NoBuilder::Broken(broken)),
            (Some(builder), true) => Err(NoBuilder::Missing(builder)),
            (None, true) => Err(NoBuilder::None),
        }
    }
}

/// Where it keeps images: what it printed, but for Docker's, whose daemon may be anywhere.
fn folders(tool: &Tool, said: Vec<String>) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| tool.builder != Builder::Docker && path.is_absolute();
    said.into_iter().map(PathBuf::from).filter(is_one).collect()
}

fn on_path(program: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path).map(|directory| directory.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
