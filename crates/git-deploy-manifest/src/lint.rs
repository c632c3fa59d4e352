//! Rules that manifests keep to before they come near a cluster.
//!
//! A rule that cries wolf gets switched off, so a rule says only what can be decided from the manifests. A further
//! rule is one entry in [`RULES`] and a function beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use git_deploy_image::Reference;

use crate::images::{ImageUse, images};
use crate::object::{Object, ObjectId, Source};

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It is not looked for.
    Off,
    /// It is shown.
    Warn,
    /// It stops the deployment.
    Error,
}

/// A word that is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no severity: '{}', write 'error', 'warn' or 'off'", .0.escape_debug())]
pub struct SeverityError(pub String);

impl FromStr for Severity {
    type Err = SeverityError;

    fn from_str(text: &str) -> Result<Severity, SeverityError> {
        match text {
            "error" => Ok(Severity::Error),
            "warn" => Ok(Severity::Warn),
            "off" => Ok(Severity::Off),
            _ => Err(SeverityError(text.to_owned())),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Off => "off",
        })
    }
}

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its key in `[environment.<name>.lint]`.
    pub name: &'static str,
    /// What holds where nobody says otherwise.
    pub default: Severity,
    /// What it demands, in one line.
    pub about: &'static str,
    check: fn(&Object) -> Vec<Problem>,
}

/// What a rule's function finds in one object.
struct Problem {
    container: Option<String>,
    message: String,
}

/// All rules.
pub const RULES: &[Rule] = &[Rule {
    name: "image-tag",
    default: Severity::Error,
    about: "each image has a tag other than 'latest', or a digest",
    check: image_tag,
}];

/// How severe each rule is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Severities(BTreeMap<&'static str, Severity>);

/// A rule that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such rule: '{}'", .0.escape_debug())]
pub struct UnknownRule(pub String);

impl Severities {
    /// Takes a rule as severe as told, for the environment that is being deployed to.
    ///
    /// # Errors
    ///
    /// [`UnknownRule`] for a name that is not in [`RULES`].
    pub fn set(&mut self, rule: &str, severity: Severity) -> Result<(), UnknownRule> {
        let known = RULES.iter().find(|known| known.name == rule);
        let known = known.ok_or_else(|| UnknownRule(rule.to_owned()))?;
        self.0.insert(known.name, severity);
        Ok(())
    }

    /// How severe a rule is taken.
    pub fn of(&self, rule: &Rule) -> Severity {
        self.0.get(rule.name).copied().unwrap_or(rule.default)
    }
}

/// Something that breaks a rule; displays as one line with place, object and rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// [`Severity::Warn`] or [`Severity::Error`].
    pub severity: Severity,
    /// The object.
    pub object: ObjectId,
    /// Where the object was written.
    pub source: Source,
    /// The container, where it is about one.
    pub container: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in {} [{}]", self.message, self.object, self.source, self.rule)
    }
}

/// Holds the objects against the rules: findings in the order of the objects, then of the rules.
pub fn lint(objects: &[Object], severities: &Severities) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in objects {
        for rule in RULES {
            let severity = severities.of(rule);
            if severity == Severity::Off {
                continue;
            }
            findings.extend((rule.check)(object).into_iter().map(|problem| Finding {
                rule: rule.name,
                severity,
                object: object.id().clone(),
                source: object.source().clone(),
                container: problem.container,
                message: problem.message,
            }));
        }
    }
    findings
}

/// `image-tag`: without a tag, or with `latest`, a second pod may run something else than the first, and going
/// back is impossible. An image with a digest cannot change, and its tag is not even looked at when it is
/// pulled: `nginx:latest@sha256:...` is fine. See [Kubernetes on images][1].
///
/// [1]: https://kubernetes.io/docs/concepts/containers/images/#image-names
fn image_tag(object: &Object) -> Vec<Problem> {
    images(object).into_iter().filter_map(|used| moving_tag(&used)).collect()
}

fn moving_tag(used: &ImageUse) -> Option<Problem> {
    let at = format!("'{}' of container '{}'", used.image.escape_debug(), used.container.escape_debug());
    let message = match used.image.parse::<Reference>() {
        Err(error) => format!("no image: {at}, {error}"),
        Ok(reference) if reference.digest().is_some() => return None,
        Ok(reference) => match reference.tag() {
            None => format!("image without a tag: {at}, name a version or a digest"),
            Some("latest") => format!("image with a tag that moves: {at}, name a version or a digest"),
            Some(_) => return None,
        },
    };
    Some(Problem { container: Some(used.container.clone()).filter(|name| !name.is_empty()), message })
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
