//! `deploy.onEvent`: what is run when something has happened, such as a message to whoever waits for it.
//!
//! It is of the runner's own configuration, which no branch can change.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use git_deploy_core::git::{GitError, Repository};
use git_deploy_core::ledger::Outcome;
use git_deploy_image::run::{Program, RunError};
use serde_json::Value;

/// How long a command may take: the queue waits for it.
const LIMIT: Duration = Duration::from_secs(30);
/// How long one may take that did not come to an end in that time.
const SHORT_LIMIT: Duration = Duration::from_secs(10);
/// How long it is waited for no longer than that.
const SHORT: Duration = Duration::from_secs(600);

/// Commands that hear what happens.
pub(crate) struct OnEvent {
    commands: Vec<Command>,
    /// What was waited for last, so that it is told once and not each time that somebody looks.
    waits: RefCell<Option<String>>,
}

/// One of them.
struct Command {
    words: String,
    /// When it last did not come to an end in the whole time.
    hung: Cell<Option<Instant>>,
}

impl OnEvent {
    /// Those that are configured.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub(crate) fn configured(repository: &Repository) -> Result<Self, GitError> {
        let commands = repository.config_all("deploy.onevent")?.into_iter();
        let commands = commands.map(|words| Command { words, hung: Cell::default() }).collect();
        Ok(Self { commands, waits: RefCell::default() })
    }

    /// Tells an event, if it is one that somebody may want to hear of. Returns what went wrong, which stops nothing.
    pub(crate) fn tell(&self, event: &Value, is_cancelled: &dyn Fn() -> bool) -> Vec<String> {
        let begins = begins_to_wait(&mut self.waits.borrow_mut(), event);
        if !begins && !is_news(event) {
            return Vec::new();
        }
        self.commands.iter().filter_map(|command| command.run(event, is_cancelled)).collect()
    }
}

impl Command {
    /// Runs it. Returns what went wrong, once in that time where it is that it does not come to an end.
    fn run(&self, event: &Value, is_cancelled: &dyn Fn() -> bool) -> Option<String> {
        let is_short = self.hung.get().is_some_and(|hung| hung.elapsed() < SHORT);
        let limit = if is_short { SHORT_LIMIT } else { LIMIT };
        let words = &self.words;
        let shell = Program::new("sh").args(["-c", words]).input(format!("{event}\n")).time_limit(limit);
        let mut written = Vec::new();
        let ended = shell.run(is_cancelled, &mut |line| written.push(line.text));
        let hangs = matches!(ended, Err(RunError::TimeLimit { .. }));
        // Where it is as quick as it should be it may take its time again.
        if !is_short || !hangs {
            self.hung.set(hangs.then(Instant::now));
        }
        let error = ended.err().filter(|_| !(is_short && hangs))?;
        let last = written.pop().map(|line| format!(": {line}")).unwrap_or_default();
        let from_now_on = format!("; for 10 minutes it gets no more than {} s", SHORT_LIMIT.as_secs());
        let from_now_on = if hangs { &from_now_on } else { "" };
        Some(format!("deploy.onEvent '{words}': {error}{last}{from_now_on}"))
    }
}

/// Whether by this event the queue begins to wait for an approval or the end of a freeze. `waits` is what it waits for.
fn begins_to_wait(waits: &mut Option<String>, event: &Value) -> bool {
    let text = |name: &str| event[name].as_str();
    if text("event") != Some("verdict") {
        return false;
    }
    let now = text("waits").map(|what| format!("{what}: {}", text("reason").unwrap_or_default()));
    // Trouble on the way ends no wait.
    if now.is_none() && text("result") == Some("error") {
        return false;
    }
    let begins = now.is_some() && *waits != now;
    *waits = now;
    begins
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

    use super::{begins_to_wait, is_news};

    #[test]
    fn a_wait_is_news_when_it_begins_and_not_each_time_that_somebody_looks() {
        let waits = |what: Option<&str>, reason: &str| json!({ "event": "verdict", "result": "error", "waits": what, "reason": reason });
        let (approval, freeze) = (Some("approval"), Some("freeze"));
        let mut waited = None;
        let told = [
            (json!({ "event": "step" }), false),
            (waits(approval, "one"), true),
            (waits(approval, "one"), false),
            (waits(None, "the remote is away"), false),
            (waits(approval, "one"), false),
            (waits(freeze, "the sale"), true),
            (json!({ "event": "verdict", "result": "success" }), false),
            (waits(freeze, "the sale"), true),
            (json!({ "event": "verdict", "result": "nothing" }), false),
            (waits(approval, "two"), true),
        ];
        for (event, is_told) in told {
            assert_eq!(begins_to_wait(&mut waited, &event), is_told, "{event}");
        }
    }

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
