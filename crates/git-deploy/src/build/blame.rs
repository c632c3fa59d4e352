//! Whose fault it is that an image cannot be made: what is the same on base is no branch's.

use git_deploy_core::config::{ConfigError, Settings};
use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::ids::CommitId;
use git_deploy_image::Cause;

use super::{Error, Maker, Plan};

impl Maker<'_> {
    /// What it means for a deployment that images were not made.
    pub(super) fn failure(&self, plan: &Plan, error: Error) -> Failure {
        let Ok((tip, name)) = self.base() else { return error.into_failure() };
        if tip == plan.commit {
            return error.into_failure();
        }
        match error.cause() {
            Some(Cause::Commit) => self.unless_of_base(plan, error, tip, &name),
            _ => error.into_failure(),
        }
    }

    fn base(&self) -> Result<(CommitId, String), ConfigError> {
        let settings = Settings::read(self.repository)?;
        Ok((settings.base_tip(self.repository)?, settings.base.short().to_owned()))
    }

    /// What base cannot be built for either is no fault of a branch: branch after branch would be staged for what somebody
    /// pushed to base. Mostly base was a candidate before, and its images are there.
    fn unless_of_base(&self, plan: &Plan, error: Error, tip: CommitId, name: &str) -> Failure {
        let (Some(place), Ok(of_base)) = (place(plan, &error), Plan::of(self.repository, tip)) else {
            return error.into_failure();
        };
        self.observer.step("Comparing", &format!("with {} of '{name}'", tip.brief()));
        let on_base = match self.find_or_make(&of_base) {
            Ok(_) => return error.into_failure(),
            Err(on_base) => on_base,
        };
        match on_base.cause() {
            Some(Cause::Commit) if self::place(&of_base, &on_base) == Some(place) => {
                let why = format!("it is the same on '{name}': {}", on_base.in_one_line());
                Failure::of_nobody(Step::Build, why)
                    .hint(Some(format!("mend '{name}', or deploy a branch that does")))
            }
            Some(Cause::Commit) => error.into_failure(),
            // Nobody knows yet.
            _ => Failure::of_nobody(Step::Build, on_base.in_one_line()).hint(on_base.hint()),
        }
    }
}

/// What it was that failed, by a name that it has in other commits, too.
fn place(plan: &Plan, error: &Error) -> Option<String> {
    let said = error.to_string();
    match error {
        Error::Build(_) => {
            let is_it = |name: &String| said.contains(&format!("'{name}'"));
            let image = plan.images.iter().find(|image| is_it(&image.name.to_string()))?;
            Some(image.name.repository().to_string())
        }
        Error::Steps(_) | Error::EnvFile(_) => Some(said),
        _ => None,
    }
}
