//! The approval of what was verified in one environment to go on to the next one: who gave it, for what, and when.
//!
//! It is a ref for each environment that asks for it, `refs/deploy/promotion/<environment>`, so that every runner sees it. Its
//! commit holds nothing but a text. It counts for exactly one commit, and for the one deployment that verified it, so that a
//! new commit, and whatever is deployed to the environment before, ends it without anybody's doing.

use jiff::Timestamp;

use crate::ids::{CommitId, DeploymentId, EnvironmentName, IdError, RefName};
use crate::record::{Lines, Record, RecordError};

/// The longest text that is read, in bytes: a signature of gpg is the most of it.
pub const MAX_BYTES: usize = 32 * 1024;

/// An approval to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Where to.
    pub environment: EnvironmentName,
    /// The deployment that verified it in the environment before.
    pub deployment: DeploymentId,
    /// What was verified.
    pub commit: CommitId,
    /// Who approved it.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// The signature of [`Promotion::statement`], as it stands in a note; none where base asks for none.
    pub signature: Option<String>,
}

impl Promotion {
    /// The text that is signed. Nothing else that is signed begins like it.
    pub fn statement(&self) -> String {
        let Self { environment, deployment, commit, .. } = self;
        format!(
            "git-deploy promotion, version 1\nenvironment: {environment}\ndeployment: {deployment}\ncommit: {commit}\n"
        )
    }

    /// The text of the commit on [`promotion_ref`].
    pub fn to_text(&self) -> String {
        let mut record = Record::new(&format!("{} may go to {}", self.deployment, self.environment));
        record.line("environment", &self.environment);
        record.line("deployment", &self.deployment);
        record.line("commit", self.commit);
        record.line("by", &self.by);
        record.line("since", self.since);
        record.maybe("signature", self.signature.as_ref());
        record.finish()
    }

    /// Reads that text.
    ///
    /// # Errors
    /// When a key is missing, or a value cannot be read.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let lines = Lines::of(text);
        let by: String = lines.need("by")?;
        if by.is_empty() {
            return Err(RecordError::Value { key: "by", value: by });
        }
        Ok(Self {
            environment: lines.need("environment")?,
            deployment: lines.need("deployment")?,
            commit: lines.need("commit")?,
            by,
            since: lines.need("since")?,
            signature: lines.maybe("signature")?,
        })
    }
}

/// The ref that holds the approval to go on to an environment.
///
/// # Errors
/// Never for a checked name; the type says so because it is put together from text.
pub fn promotion_ref(environment: &EnvironmentName) -> Result<RefName, IdError> {
    RefName::new(format!("refs/deploy/promotion/{environment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promotion() -> Promotion {
        Promotion {
            environment: "production".parse().unwrap(),
            deployment: "deployment-staging-0007".parse().unwrap(),
            commit: "1".repeat(40).parse().unwrap(),
            by: "Ada <ada@example.org>".into(),
            since: "2026-11-20T12:00:00Z".parse().unwrap(),
            signature: Some("ssh U1NIU0lH".into()),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let unsigned = Promotion { signature: None, ..promotion() };
        for promotion in [promotion(), unsigned] {
            assert_eq!(Promotion::parse(&promotion.to_text()), Ok(promotion));
        }
        assert!(Promotion::parse("x\n\nenvironment: production\n").is_err());
        // What nobody has given is no approval.
        let of_nobody = Promotion { by: String::new(), ..promotion() }.to_text();
        let error = Promotion::parse(&of_nobody).unwrap_err();
        assert_eq!(error.to_string(), "'' is no value for 'by:'");
    }

    #[test]
    fn what_is_signed_changes_with_all_that_the_approval_counts_for() {
        let other = |promotion: Promotion| assert_ne!(promotion.statement(), self::promotion().statement());
        other(Promotion { environment: "live".parse().unwrap(), ..promotion() });
        other(Promotion { deployment: "deployment-staging-0008".parse().unwrap(), ..promotion() });
        other(Promotion { commit: "2".repeat(40).parse().unwrap(), ..promotion() });
    }
}
