//! `deploy.onEvent`: what is run when something has happened, such as a message to whoever waits for it.
//!
//! It is of the runner's own configuration, which no branch can change.

use std::time::Duration;

use git_deploy_core::git::{GitError, Repository};
use git_deploy_core::ledger::Outcome;
use git_deploy_image::run::Program;
use serde_json::Value;

/// How long a command may take: the queue waits for it.
const LIMIT: Duration = Duration::from_secs(30);

/// Commands that hear what happens.
pub(crate) struct OnEvent(Vec<String>);

impl OnEvent {
    /// Those that are configured.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub(crate) fn configured(repository: &Repository) -> Result<Self, GitError> {
        Ok(Self(repository.config_all("deploy.onevent")?))
    }

    /// Tells an event, if it is one that somebody may want to hear of. Returns what went wrong, which stops nothing.
    pub(crate) fn tell(&self, event: &Value, is_cancelled: &dyn Fn() -> bool) -> Vec<String> {
        if !is_news(event) {
            return Vec::new();
        }
        let run = |command: &String| {
            let shell =
                Program::new("sh").args(["-c", command]).input(format!("{event}\n")).time_limit(LIMIT);
            let mut written = Vec::new();
            let ended = shell.run(is_cancelled, &mut |line| written.push(line.text));
            ended.err().map(|error| {
                let last = written.pop().map(|line| format!(": {line}")).unwrap_or_default();
                format!("deploy.onEvent '{command}': {error}{last}")
            })
        };
        self.0.iter().filter_map(run).collect()
    }
}

/// Whether an event is more than a step on the way.
fn is_news(event: &Value) -> bool {
    match event["event"].as_str() {
        Some("verdict") => {
            let result = event["result"].as_str().unwrap_or_default();
            [Outcome::Success, Outcome::Failure, Outcome::Aborted].iter().any(|one| one.as_str() == result)
        }
        Some("rebase") => event["verdict"] == "broken",
        Some("wait" | "error" | "end") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_news;

    #[test]
    fn what_ends_or_stops_something_is_news_and_a_step_is_none() {
        for news in [
            json!({ "event": "verdict", "result": "success" }),
            json!({ "event": "verdict", "result": "failure" }),
            json!({ "event": "rebase", "verdict": "broken" }),
            json!({ "event": "wait", "seconds": 5 }),
            json!({ "event": "end", "exit": 0 }),
        ] {
            assert!(is_news(&news), "{news}");
        }
        for none in [
            json!({ "event": "verdict", "result": "nothing" }),
            json!({ "event": "rebase", "verdict": "rebased" }),
            json!({ "event": "step", "step": "landing" }),
            json!({ "event": "line", "text": "x" }),
            json!({}),
        ] {
            assert!(!is_news(&none), "{none}");
        }
    }
}
