//! Why there are no images of a commit, and whose fault that is.

use git_deploy_core::config::{ConfigError, DEPLOY_TOML};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::git::GitError;
use git_deploy_core::git::export::{ExportError, Outside};
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::CommitId;
use git_deploy_core::note::MAX_BYTES_OF_IMAGES;
use git_deploy_image::builder::{self, BuildError, NoBuilder};
use git_deploy_image::registry::RegistryError;
use git_deploy_image::run::RunError;
use git_deploy_image::steps::{EnvFileError, StepError};
use git_deploy_image::{Cause, NameError, Room, without_credentials};

use crate::images::{CommitImage, bytes_in_note};

/// Why the images of a commit were not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The commit has no `deploy.toml`.
    #[error("there is no '{DEPLOY_TOML}' in commit '{0}'")]
    NoDeployToml(String),
    /// Nothing says how the images are called.
    #[error("the images of commit '{0}' have no name")]
    NoNames(String),
    /// A step of the build, or its environment file.
    #[error(transparent)]
    Steps(#[from] StepError),
    /// The environment file is not in the commit's tree.
    #[error("environment file: {0}")]
    EnvFile(#[source] Outside),
    /// A part of an image is not here.
    #[error("submodule '{}' is not fetched, and an image is made of it", .0.escape_debug())]
    MissingSubmodule(String),
    /// The name is taken by something else.
    #[error("'{name}' is there already and was not made from commit '{commit}', but from {}", from.as_deref().unwrap_or("something that does not say what"))]
    Taken {
        /// The image's name.
        name: String,
        /// The commit that has it now.
        commit: String,
        /// What it was made from, if it says so.
        from: Option<String>,
    },
    /// Nothing was to be built, and these images are not there.
    #[error("nothing is to be built, and {} not there", missing(.names))]
    Missing {
        /// Their names.
        names: Vec<String>,
        /// The commit that they would be made from.
        commit: CommitId,
    },
    /// The commit's note could not name them all.
    #[error(
        "the names of {images} images have {bytes} bytes with their digests, and at most {MAX_BYTES_OF_IMAGES} fit into a note"
    )]
    TooMany {
        /// How many there are.
        images: usize,
        /// How much they would take.
        bytes: usize,
    },
    /// The parts of the name make none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The commit's files could not be written down.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// No program builds images.
    #[error(transparent)]
    NoBuilder(#[from] NoBuilder),
    /// An image was not built, or not pushed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The registry does not say what it has.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The program that brings an image into the cluster failed.
    #[error("cannot load image '{image}': {error}")]
    Load {
        /// The image's name.
        image: String,
        /// Why.
        #[source]
        error: RunError,
    },
    /// The digests could not be written into the note.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// There is no room for the commit's files.
    #[error("cannot make a temporary directory: {0}")]
    Temporary(#[source] std::io::Error),
    /// It was asked to stop.
    #[error("it was stopped")]
    Cancelled,
}

impl Error {
    /// Looks again at a disk that was full, when all that was written is cleared away: whether the commit has filled it.
    pub(super) fn look_again(mut self, before: &Room) -> Self {
        match &mut self {
            Self::Steps(StepError::DiskFull { disk, .. }) => disk.look_again(before),
            Self::Build(error) => error.look_again(before),
            _ => {}
        }
        self
    }

    /// Refuses more images than the commit's note can name: nobody could read it again.
    pub(super) fn if_too_many(images: &[CommitImage]) -> Result<(), Self> {
        let bytes = bytes_in_note(images);
        let is_too_much = bytes > MAX_BYTES_OF_IMAGES;
        if is_too_much { Err(Self::TooMany { images: images.len(), bytes }) } else { Ok(()) }
    }

    /// Whose fault it is, where that is known.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Build(error) => Some(error.cause()),
            Self::Registry(error) => Some(error.cause()),
            Self::Steps(error) => Some(cause_of_step(error)),
            Self::EnvFile(_) | Self::Taken { .. } | Self::TooMany { .. } => Some(Cause::Commit),
            Self::MissingSubmodule(_) => Some(Cause::Setup),
            _ => None,
        }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if self.is_of_time() {
            return Some(
                "more time is given by: git config deploy.buildTimeLimit <duration, such as 2h>".to_owned(),
            );
        }
        match self {
            Self::NoDeployToml(_) => Some("write one with: git deploy-init".to_owned()),
            Self::NoNames(_) => Some(format!("add a section [image-name] to '{DEPLOY_TOML}'")),
            Self::MissingSubmodule(_) => Some("fetch it with: git submodule update --init".to_owned()),
            Self::Taken { .. } => {
                Some("take the image away, or make 'hash-length' on base longer".to_owned())
            }
            Self::Missing { commit, .. } => {
                Some(format!("build what is missing: git deploy-build {}", commit.brief()))
            }
            Self::TooMany { .. } => {
                Some("give them shorter names, or make several of them one image".to_owned())
            }
            Self::Build(error) => error.hint(),
            Self::Steps(StepError::DiskFull { disk, .. }) if !disk.is_filled() => Some(
                "temporary files go to another disk with 'TMPDIR=<folder>' in the environment".to_owned(),
            ),
            Self::NoBuilder(error) => error.hint().map(str::to_owned),
            Self::Registry(error) => error.hint(),
            Self::Config(ConfigError::Value { key, .. }) => {
                Some(format!("look where it is set: git config --show-origin --get-all {key}"))
            }
            _ => None,
        }
    }
}

impl Error {
    /// Whether a program was ended at its limit.
    fn is_of_time(&self) -> bool {
        match self {
            Self::Steps(
                StepError::Step { error, .. } | StepError::EnvFile(EnvFileError::Run { error, .. }),
            )
            | Self::Load { error, .. } => matches!(error, RunError::TimeLimit { .. }),
            Self::Build(BuildError::Failed { why: builder::Failure::TimedOut(_), .. }) => true,
            _ => false,
        }
    }
}

/// `image 'a' is`, or `images 'a' and 'b' are`.
fn missing(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match names.as_slice() {
        [begin @ .., last] if !begin.is_empty() => format!("images {} and {last} are", begin.join(", ")),
        names => format!("image {} is", names.concat()),
    }
}

impl Error {
    /// All of it in one line: with the last that was said by a program that failed. What builders said last is in their error
    /// already. Nobody's password is in it.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let words = match self {
            Self::Steps(StepError::Step { error, .. }) | Self::Load { error, .. } => error.last_words(),
            Self::Steps(StepError::DiskFull { said, .. }) => said.clone(),
            _ => None,
        };
        let said = words.map(|words| format!(": {words}")).unwrap_or_default();
        without_credentials(&format!("{self}{said}"))
    }

    /// The same for a deployment, which needs to know whose fault it is.
    pub(super) fn into_failure(self) -> Failure {
        let (hint, said) = (self.hint(), self.in_one_line());
        let failure = match self.cause() {
            Some(Cause::Commit) => Failure::of_branch(Step::Build, said),
            Some(Cause::Passing) => Failure::of_nobody(Step::Build, said),
            Some(Cause::Setup) => Failure::of_nobody(Step::Build, said).fatal(),
            None => match self {
                Self::NoDeployToml(_)
                | Self::NoNames(_)
                | Self::Name(_)
                | Self::Notes(NotesError::TooLarge { .. })
                | Self::Config(ConfigError::DeployToml { .. }) => Failure::of_branch(Step::Build, said),
                Self::NoBuilder(_) | Self::Load { .. } | Self::Config(_) => {
                    Failure::of_nobody(Step::Build, said).fatal()
                }
                _ => Failure::of_nobody(Step::Build, said),
            },
        };
        failure.hint(hint)
    }
}

/// A step that ends by itself says something about its commit; one that was ended does not, but for one that never ends.
fn cause_of_step(error: &StepError) -> Cause {
    let run = match error {
        StepError::Step { error, .. } | StepError::EnvFile(EnvFileError::Run { error, .. }) => error,
        StepError::EnvFile(EnvFileError::Wrong { .. }) => return Cause::Commit,
        StepError::DiskFull { disk, .. } if disk.is_filled() => return Cause::Commit,
        StepError::Scratch(_) | StepError::DiskFull { .. } => return Cause::Setup,
    };
    match run {
        RunError::Failed { status, .. } if status.code().is_none() => Cause::Passing,
        RunError::Cancelled { .. } => Cause::Passing,
        RunError::Start { .. } => Cause::Setup,
        RunError::Failed { .. } | RunError::TimeLimit { .. } | RunError::TooMuch { .. } => Cause::Commit,
    }
}
