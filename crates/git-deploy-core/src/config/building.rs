//! How this machine builds images: git's configuration, because it differs from machine to machine.

use std::time::Duration;

use super::ConfigError;
use super::deploy_toml::parse_duration;
use crate::git::Repository;

/// How long each step, build and push may take where nothing is configured: more than any that gets on, and less than a
/// night.
pub const DEFAULT_BUILD_TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The longest that can be configured.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is configured for builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Building {
    /// How long each step, build and push may take: `deploy.buildTimeLimit`.
    pub time_limit: Duration,
    /// The program that builds, as it is written there: `deploy.builder`.
    pub builder: Option<String>,
}

impl Building {
    /// The key of [`Building::builder`].
    pub const BUILDER: &'static str = "deploy.builder";

    /// Reads git's configuration. Only who builds does: what is wrong there is in nobody else's way.
    ///
    /// # Errors
    /// When a key has a value that cannot be used.
    pub fn read(repository: &Repository) -> Result<Self, ConfigError> {
        let time_limit = match repository.config("deploy.buildtimelimit")? {
            None => DEFAULT_BUILD_TIME_LIMIT,
            Some(value) => {
                let limit = parse_duration(&value).filter(|limit| *limit <= LONGEST);
                limit.ok_or(ConfigError::Value {
                    key: "deploy.buildTimeLimit",
                    value,
                    wanted: "a duration such as '90s', '10m' or '1h30m', at most '7d'",
                })?
            }
        };
        Ok(Self { time_limit, builder: repository.config(Self::BUILDER)? })
    }
}
