//! What is wrong with a `deploy.toml` that stands in a work tree already.

use std::fs;
use std::path::Path;

use crate::config::deploy_toml::{DeployToml, DeployTomlError, MAX_BYTES};
use crate::git::GitError;

/// Why a file that is there cannot be what base is to have under its name.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a link; whether that leads anywhere.
    #[error("it is a link{}: git keeps of it only where it leads", if *.0 { "" } else { " that leads nowhere" })]
    Link(bool),
    /// It has a mistake, at this place.
    #[error(transparent)]
    Mistake(#[from] DeployTomlError),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(GitError),
}

impl Fault {
    /// Looks at what stands there.
    pub(super) fn of(path: &Path) -> Result<(), Self> {
        let unreadable = |error| Self::Unreadable(GitError::file(path)(error));
        let found = fs::symlink_metadata(path).map_err(unreadable)?;
        if found.is_symlink() {
            return Err(Self::Link(path.exists()));
        }
        if found.is_dir() {
            return Err(Self::Folder);
        }
        if found.len() > MAX_BYTES as u64 {
            return Err(DeployTomlError::too_large(found.len()).into());
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        DeployToml::parse(&String::from_utf8_lossy(&bytes))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_stands_in_place_of_a_file_that_can_be_read_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deploy.toml");
        let fault = || Fault::of(&path).map_err(|fault| fault.to_string());
        symlink("elsewhere", &path).unwrap();
        assert_eq!(
            fault().unwrap_err(),
            "it is a link that leads nowhere: git keeps of it only where it leads"
        );
        fs::write(folder.path().join("elsewhere"), "").unwrap();
        assert_eq!(fault().unwrap_err(), "it is a link: git keeps of it only where it leads");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(fault().unwrap_err(), "it is a folder");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "[biuld]\n").unwrap();
        let said = fault().unwrap_err();
        assert!(said.starts_with("deploy.toml:1:"), "{said}");
        fs::write(&path, "# mine\n").unwrap();
        assert_eq!(fault(), Ok(()));
    }
}
