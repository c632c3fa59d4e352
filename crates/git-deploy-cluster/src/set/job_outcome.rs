//! What is known of a one-time job: text in the set's parent <-> value.

use git_deploy_core::ids::DeploymentId;

/// How far a one-time job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// It is about to be started: it may be there, or not.
    Starting,
    /// It was started; how it ended is not known yet.
    Started,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

impl JobEnd {
    const ALL: [Self; 4] = [Self::Starting, Self::Started, Self::Succeeded, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// What is known of a one-time job: text in the set's parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    /// How far it has come.
    pub end: JobEnd,
    /// Whether what stood there before fits what it left behind.
    pub rollback_safe: bool,
    /// The deployment that ran it.
    pub deployment: Option<DeploymentId>,
}

impl JobOutcome {
    /// Whether it is known how it ended.
    pub(crate) fn is_final(&self) -> bool {
        match self.end {
            JobEnd::Starting | JobEnd::Started => false,
            JobEnd::Succeeded | JobEnd::Failed => true,
        }
    }

    /// The text of it.
    pub(super) fn to_text(&self) -> String {
        let end = self.end.as_str();
        let safe = if self.rollback_safe { "rollback-safe" } else { "forward-only" };
        let deployment = self.deployment.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        format!("{end} {safe}{deployment}")
    }

    /// Reads that text; what cannot be read is no success.
    pub(super) fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let end = words.next().and_then(|word| JobEnd::ALL.into_iter().find(|end| end.as_str() == word));
        Self {
            end: end.unwrap_or(JobEnd::Failed),
            rollback_safe: words.next() == Some("rollback-safe"),
            deployment: words.next().and_then(|id| id.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_comes_back_as_written() {
        for (end, rollback_safe) in JobEnd::ALL.into_iter().zip([false, true, false, false]) {
            for deployment in [None, Some("deployment-0007".parse().unwrap())] {
                let outcome = JobOutcome { end, rollback_safe, deployment };
                assert_eq!(JobOutcome::parse(&outcome.to_text()), outcome);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_success_and_not_safe() {
        for text in ["", "succeded", "failed", "1 2 3"] {
            let outcome = JobOutcome::parse(text);
            assert!(outcome.end == JobEnd::Failed && !outcome.rollback_safe, "{text}");
        }
    }
}
