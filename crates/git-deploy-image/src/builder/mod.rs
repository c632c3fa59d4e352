//! The programs that build images: buildah, podman or docker, whichever is there.
//!
//! They are asked in this order: buildah needs neither a daemon nor rights that a container has not, and with it the same
//! commit gives the same digest; podman builds with buildah's code; docker needs its daemon. A user's choice comes first.
//!
//! A build makes an image without any name. Only when it is whole does it get the final one, in a step of its own, and
//! pushing writes the tag last. So nothing half-made ever bears an image's name, whenever the power fails; an image
//! without a name that is left behind is in nobody's way, and the next build of the same commit names it.

mod bases;
mod commands;
mod context;
mod detect;
mod error;
mod leftovers;
mod tool;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::run::Line;
use crate::{Digest, ImageName, Insecure, Room};
use leftovers::AtWork;
use tool::Call;

pub use bases::fetched;
pub use error::{Action, BuildError, Failure, NoBuilder};

/// How often an image is built that is gone before it has a name: of several who build the same at once one can take it away
/// from the others.
const TRIES: usize = 3;
/// How often is pushed what others push at the same time.
const PUSH_TRIES: u32 = 4;
/// How long to wait before that, longer each time.
const PUSH_PAUSE: Duration = Duration::from_millis(500);

/// A program that builds images. Displays as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// <https://buildah.io>, with chroot isolation.
    Buildah,
    /// <https://podman.io>.
    Podman,
    /// <https://docs.docker.com/build/>.
    Docker,
}

impl Builder {
    /// All, in the order in which they are looked for.
    pub const ALL: [Builder; 3] = [Builder::Buildah, Builder::Podman, Builder::Docker];

    /// What the program is called.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Builder::Buildah => "buildah",
            Builder::Podman => "podman",
            Builder::Docker => "docker",
        }
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

impl FromStr for Builder {
    type Err = NoBuilder;

    fn from_str(name: &str) -> Result<Builder, NoBuilder> {
        let known = Builder::ALL.into_iter().find(|builder| builder.program() == name);
        known.ok_or_else(|| NoBuilder::Unknown(name.to_owned()))
    }
}

/// Who watches a builder at work.
pub struct Watch<'a> {
    /// Asked again and again whether it is to stop.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Hears each line that the builder writes, when it is written.
    pub tell: &'a mut dyn FnMut(Line),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// What is to be built, from which commit.
#[derive(Debug, Clone)]
pub struct Build {
    /// The directory with the commit's files.
    pub tree: PathBuf,
    /// The image's context, relative to it.
    pub context: PathBuf,
    /// The commit's whole id, for the label `org.opencontainers.image.revision`.
    pub commit: String,
    /// Where the sources are, if that is known, for the label `org.opencontainers.image.source`.
    pub source: Option<String>,
    /// The commit's time in seconds since 1970, which all times in the image are set to: one that files can have.
    pub committed_at: i64,
    /// Further labels.
    pub labels: Vec<(String, String)>,
    /// Build arguments. Those that the Containerfile does not declare have no effect.
    pub arguments: Vec<(String, String)>,
    /// The registries that it may be built on images of without checking them.
    pub insecure: Insecure,
}

impl Build {
    /// No file can be older than 1970.
    fn epoch(&self) -> i64 {
        self.committed_at.max(0)
    }
}

/// An image in the builder's own store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its id there: the digest of its configuration.
    pub image_id: String,
}

/// An image that was there before, in the builder's own store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Its id there.
    pub image_id: String,
    /// The commit that it was made from, if it says so.
    pub revision: Option<String>,
}

/// A builder that is there and answers.
#[derive(Debug, Clone)]
pub struct Tool {
    builder: Builder,
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    time_limit: Option<Duration>,
    tells_all: bool,
    /// The folders where it keeps images and containers, that of the images first; none where nobody knows.
    store: Vec<PathBuf>,
}

impl Tool {
    /// Which builder it is.
    #[must_use]
    pub fn builder(&self) -> Builder {
        self.builder
    }

    /// How much room there is now on the disks that it writes to, and where temporary files are.
    #[must_use]
    pub fn room(&self) -> Room {
        Room::on(self.store.iter().cloned().chain([crate::workspace::parent()]))
    }

    /// Ends a build or push that takes longer, with all that it started.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Tool {
        self.time_limit = Some(limit);
        self
    }

    /// Tells also what a builder writes for each image that it moves, whatever becomes of it.
    #[must_use]
    pub fn tell_all(mut self, tells_all: bool) -> Tool {
        self.tells_all = tells_all;
        self
    }

    /// Whether a line is one that somebody wants to see.
    fn is_telling(&self, line: &str) -> bool {
        self.tells_all
            || !(commands::is_of_unused_arguments(line) || commands::is_routine(self.builder, line))
    }

    /// Builds an image and gives it its name in the builder's own store.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what failed, and [`BuildError::cause`] whose fault it is. Nothing bears the name then that did
    /// not bear it before.
    pub fn build(&self, build: &Build, image: &ImageName, watch: &mut Watch) -> Result<Built, BuildError> {
        let call = Call { tool: self, action: Action::Tag, image };
        let mut tries = 0;
        loop {
            let image_id = self.build_unnamed(build, image, watch)?;
            tries += 1;
            match call.run(&commands::tag(&image_id, &image.to_string()), watch) {
                Ok(_) => return Ok(Built { image_id }),
                Err(BuildError::Failed { why: Failure::Status(_), .. }) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Builds an image that has no name yet, and returns its id.
    fn build_unnamed(
        &self,
        build: &Build,
        image: &ImageName,
        watch: &mut Watch,
    ) -> Result<String, BuildError> {
        let (context, containerfile) = context::find(build, image)?;
        let steps = context::read(build, image, &containerfile)?;
        // Docker's builder works in its daemon, and has neither the files of this machine nor their links.
        if self.builder != Builder::Docker {
            context::mounts_nothing_outside(build, image, &context, &steps)?;
        }
        let call = Call { tool: self, action: Action::Build, image };
        leftovers::clear(self);
        let workspace = call.workspace()?;
        // Under a name of ours: builders take a comma in it for the end of one name and the beginning of another.
        let written = containerfile;
        let containerfile = call.copy_into(&workspace, &written)?;
        let paths = context::paths(build, &written, &containerfile);
        let at_work = AtWork::in_workspace(self, &workspace);
        let (id, mark) = (workspace.path().join("id"), at_work.argument());
        let files = commands::Files {
            context: &context,
            containerfile: &containerfile,
            id: &id,
            mark: &mark,
            has_insecure_bases: bases::are_insecure(&steps, &build.insecure),
        };
        let mut tell = |line: Line| {
            if words::is_before_clearing(&line.text) {
                at_work.give_some_room();
            }
            if self.is_telling(&line.text) {
                (watch.tell)(Line { text: paths.named(&line.text), ..line });
            }
        };
        let mut building = Watch { cancelled: watch.cancelled, tell: &mut tell };
        let ended = call.run_in(&workspace, &commands::build(self.builder, build, &files), &mut building);
        if ended.is_err() {
            at_work.clear();
        }
        ended.map_err(|error| paths.named_in(error))?;
        let image_id = fs::read_to_string(&id).unwrap_or_default().trim().to_owned();
        if image_id.is_empty() { Err(call.silent("the id of the image")) } else { Ok(image_id) }
    }

    /// Takes the name of an image that is in a registry now out of the builder's own store, and with it the image, unless
    /// somebody else has a name for it. Where it is in use, or the builder takes longer than a minute, it stays, which is in
    /// nobody's way.
    pub fn forget(&self, image: &ImageName, watch: &mut Watch) {
        self.forget_within(leftovers::PATIENCE, image, watch);
    }

    fn forget_within(&self, patience: Duration, image: &ImageName, watch: &mut Watch) {
        let patience = self.time_limit.map_or(patience, |limit| limit.min(patience));
        let forget = tool::program(self, &commands::forget(self.builder, &image.to_string()), Some(patience));
        let _ = forget.run(watch.cancelled, &mut |_| {});
    }

    /// Pushes an image that was built, and returns the digest of its manifest. The registry sees the tag only when it has
    /// all the rest.
    ///
    /// # Errors
    ///
    /// As for [`Tool::build`].
    pub fn push(
        &self,
        built: &Built,
        image: &ImageName,
        insecure: &Insecure,
        watch: &mut Watch,
    ) -> Result<Digest, BuildError> {
        let call = Call { tool: self, action: Action::Push, image };
        let workspace = call.workspace()?;
        let digest = workspace.path().join("digest");
        let repository = image.repository();
        let is_insecure =
            insecure.contains(repository.host().unwrap_or_default(), &repository.path_at_host());
        let name = image.to_string();
        let push = commands::push(self.builder, &built.image_id, &name, is_insecure, &digest);
        let mut tell = |line: Line| {
            if self.is_telling(&line.text) {
                (watch.tell)(line);
            }
        };
        let mut pushing = Watch { cancelled: watch.cancelled, tell: &mut tell };
        let mut tries = 1;
        let said = loop {
            match call.run_in(&workspace, &push, &mut pushing) {
                // The registry takes what two bring at once for there before it is: it is a moment later.
                Err(error) if tries < PUSH_TRIES && error.to_string().contains("blob unknown") => {
                    thread::sleep(PUSH_PAUSE * tries);
                    tries += 1;
                }
                said => break said?,
            }
        };
        let written = fs::read_to_string(&digest).ok();
        let digest = written.as_deref().map(str::trim).or_else(|| commands::digest_in_output(&said));
        digest
            .and_then(|digest| digest.parse().ok())
            .ok_or_else(|| call.silent("the digest of what it pushed"))
    }

    /// What bears an image's name in the builder's own store, for clusters that take it from there.
    ///
    /// # Errors
    ///
    /// As for [`Tool::build`].
    pub fn local(&self, image: &ImageName) -> Result<Option<Local>, BuildError> {
        let call = Call { tool: self, action: Action::Look, image };
        let mut watch = Watch { cancelled: &|| false, tell: &mut |_| {} };
        let listed = call.run(&commands::list(self.builder, &image.to_string()), &mut watch)?;
        let Some(image_id) = commands::id_of(&listed, &image.to_string()).map(str::to_owned) else {
            return Ok(None);
        };
        let said = call.run(&commands::revision(self.builder, &image_id), &mut watch)?;
        // What Go's templates print where there is nothing.
        let is_one = |line: &&String| !line.trim().is_empty() && line.trim() != "<no value>";
        let revision = said.iter().find(is_one).map(|line| line.trim().to_owned());
        Ok(Some(Local { image_id, revision }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::ImageRepository;

    #[test]
    fn a_builder_that_does_not_forget_an_image_holds_up_nobody() {
        let tool = Tool {
            builder: Builder::Buildah,
            // It takes any arguments, and never ends.
            program: "yes".into(),
            environment: Vec::new(),
            time_limit: Some(Duration::from_secs(3600)),
            tells_all: false,
            store: Vec::new(),
        };
        let repository = ImageRepository::new(Some("r.example"), "littleman-co", "shop", "web").unwrap();
        let image = repository.tagged("a4945f8").unwrap();
        let begun = Instant::now();
        let mut watch = Watch { cancelled: &|| false, tell: &mut |_| {} };
        tool.forget_within(Duration::from_millis(200), &image, &mut watch);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
