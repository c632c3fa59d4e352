//! What the containers of an object that failed wrote last: nothing says better why.

use std::time::Duration;

use futures::future::join_all;
use git_deploy_manifest::value::{items, one_line, shortened, text};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::core::discovery::ApiResource;
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, request};
use crate::objects::Place;

/// How long anybody who waits for a verdict should wait for this.
const LIMIT: Duration = Duration::from_secs(5);

/// How many lines of each container.
const LINES: usize = 20;

/// What stands before each line that a container wrote.
pub(crate) const QUOTE: &str = "| ";

/// How much of them, in bytes: so much that even long lines are all there, since it is the first of them that are given.
const MOST: usize = 256 * 1024;

/// And of each line, in characters.
const LONGEST: usize = 400;

/// How many of them stand in the reason of a failure: it is one line, and kept in git.
const WORDS: usize = 3;

/// What stands between them.
const BETWEEN: &str = " | ";

/// And how much of each, in characters.
const LONGEST_WORDS: usize = 240;

/// Why a container has ended that never began: there is no such program.
const NEVER_RAN: [&str; 2] = ["StartError", "ContainerCannotRun"];

/// A container that has written something, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speaker {
    namespace: String,
    pod: String,
    container: String,
    /// Whether what it wrote before it was started again is wanted: now it waits, or has just begun.
    previous: bool,
    /// Whether who wrote that has ended.
    is_dead: bool,
}

/// What was read of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Logs {
    /// For people, line by line.
    pub(crate) lines: Vec<String>,
    /// The containers that have ended, each with what it wrote last in one line.
    dying: Vec<(Speaker, String)>,
}

impl Logs {
    /// A reason, with what was written last by the container that it tells the end of.
    pub(crate) fn with_last_words(&self, reason: String) -> String {
        match self.dying.iter().find(|(speaker, _)| speaker.is_meant_by(&reason)) {
            // A termination message may be the log itself: then it is said already, also without its passwords.
            Some((_, words)) if !words.split(BETWEEN).all(|line| reason.contains(line)) => {
                format!("{reason}; it wrote: {words}")
            }
            _ => reason,
        }
    }
}

/// The containers of a pod that are not well and have run, init containers first.
pub(crate) fn speakers(pod: &Value) -> Vec<Speaker> {
    let of = |pointer| items(pod, pointer).iter();
    let statuses = of("/status/initContainerStatuses").chain(of("/status/containerStatuses"));
    let unwell =
        statuses.filter(|status| status["ready"] != true && status["state"]["terminated"]["exitCode"] != 0);
    let has = |status: &Value, state: &str, how: &str| {
        // What could not be started has not run either, though it is said to have ended.
        let is_never = NEVER_RAN.contains(&text(&status[state][how], "/reason"));
        !status[state][how].is_null() && !is_never
    };
    let spoke = unwell.filter_map(|status| {
        let died = has(status, "lastState", "terminated");
        let speaks = has(status, "state", "terminated") || has(status, "state", "running");
        (died || speaks).then(|| Speaker {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            pod: text(pod, "/metadata/name").to_owned(),
            container: text(status, "/name").to_owned(),
            previous: died && !has(status, "state", "terminated"),
            is_dead: died || has(status, "state", "terminated"),
        })
    });
    spoke.collect()
}

/// The last lines of each; nothing where a node does not give them.
pub(crate) async fn last_lines(connection: &Connection, speakers: &[Speaker]) -> Logs {
    let reading = join_all(speakers.iter().map(async |speaker| (speaker, speaker.listen(connection).await)));
    let Ok(answers) = tokio::time::timeout(LIMIT, reading).await else { return Logs::default() };
    let mut logs = Logs::default();
    for (speaker, answer) in answers {
        let Speaker { pod, container, previous, is_dead, .. } = speaker;
        let before = if *previous { " before it was started again" } else { "" };
        let from = format!("log of container '{container}' of pod '{pod}'{before}");
        match answer {
            Ok(log) => {
                let said: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
                let last = &said[said.len().saturating_sub(LINES)..];
                let head = if last.is_empty() { "nothing" } else { "" };
                logs.lines.push(format!("{from}: {head}").trim_end().to_owned());
                logs.lines.extend(last.iter().map(|line| format!("{QUOTE}{}", quoted(line))));
                if *is_dead && !last.is_empty() {
                    logs.dying.push((speaker.clone(), words(last)));
                }
            }
            Err(error) if *error.kind() == ApiErrorKind::Forbidden => {
                logs.lines.push(format!("{from}: cannot be read: {error}"));
            }
            // Whoever runs it cannot say: the node is away, or has forgotten it.
            Err(_) => {}
        }
    }
    logs
}

/// The last of some lines in one, as it may be kept: where something was when it failed is longer than what failed.
fn words(lines: &[&str]) -> String {
    let is_frame =
        |line: &&&str| line.starts_with(char::is_whitespace) && line.trim_start().starts_with("at ");
    let mut telling: Vec<&&str> = lines.iter().filter(|line| !is_frame(line)).collect();
    if telling.is_empty() {
        telling = lines.iter().collect();
    }
    let last = &telling[telling.len().saturating_sub(WORDS)..];
    let line = |line: &&&str| shortened(&one_line(&without_colours(line)), LONGEST_WORDS);
    last.iter().map(line).collect::<Vec<_>>().join(BETWEEN)
}

/// A text without the sequences by which terminals change colours: `ESC [ parameters letter`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end + 1);
        shown.push_str(&part[end..]);
    }
    shown
}

/// A line as it was written, with its indentation but harmless.
fn quoted(line: &str) -> String {
    let line = line.trim_end().replace('\t', "    ");
    shortened(&line.replace(char::is_control, " "), LONGEST)
}

impl Speaker {
    /// Whether it is this container of this pod that a reason begins with: others may bear the same name.
    pub(crate) fn is_meant_by(&self, reason: &str) -> bool {
        let Speaker { container, pod, .. } = self;
        reason.starts_with(&format!("container '{container}' of pod '{pod}' "))
    }

    async fn listen(&self, connection: &Connection) -> Result<String, ApiError> {
        let resource = ApiResource::erase::<Pod>(&());
        let place = Place { resource: &resource, namespace: Some(&self.namespace), name: &self.pod };
        let (container, previous) = (&self.container, self.previous);
        let path = format!(
            "{}/log?container={container}&previous={previous}&tailLines={LINES}&limitBytes={MOST}",
            place.path()
        );
        connection.text(&request(Method::GET, &path, Vec::new())).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(statuses: &Value) -> Value {
        json!({"metadata": {"namespace": "shop", "name": "web-1"}, "status": {"containerStatuses": statuses}})
    }

    fn of(statuses: &Value) -> Vec<(String, bool)> {
        speakers(&pod(statuses)).into_iter().map(|speaker| (speaker.container, speaker.previous)).collect()
    }

    #[test]
    fn a_container_that_died_and_waits_is_heard_as_it_was_before() {
        let crashing = json!([{"name": "web", "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1}}}]);
        assert_eq!(of(&crashing), [("web".to_owned(), true)]);
        let dead = json!([{"name": "web", "ready": false, "state": {"terminated": {"exitCode": 1}},
            "lastState": {"terminated": {"exitCode": 1}}}]);
        assert_eq!(of(&dead), [("web".to_owned(), false)]);
        let unready = json!([{"name": "web", "ready": false, "state": {"running": {}}, "lastState": {}}]);
        assert_eq!(of(&unready), [("web".to_owned(), false)]);
    }

    fn dead(pod: &str, container: &str) -> Speaker {
        let (namespace, pod, container) = ("shop".to_owned(), pod.to_owned(), container.to_owned());
        Speaker { namespace, pod, container, previous: true, is_dead: true }
    }

    #[test]
    fn a_reason_tells_what_was_written_last_by_whom_it_speaks_of() {
        let logs = Logs {
            lines: Vec::new(),
            dying: vec![
                (dead("web-1", "proxy"), "bye".to_owned()),
                (dead("web-10", "web"), "no sizes".to_owned()),
                (dead("web-1", "web"), "no colours".to_owned()),
            ],
        };
        let with = |reason: &str| logs.with_last_words(reason.to_owned());
        let crashed = "container 'web' of pod 'web-1' crashed 2 times: exit status 3";
        assert_eq!(with(crashed), format!("{crashed}; it wrote: no colours"));
        for other in [
            "container 'web' of pod 'web-2' crashed 2 times: exit status 3",
            "container 'db' of pod 'web-1' crashed 2 times: exit status 3",
            "container 'web' of pod 'web-1' ended: exit status 3: no colours",
            "it was deleted, not by this deployment",
        ] {
            assert_eq!(with(other), other);
        }
    }

    #[test]
    fn a_termination_message_that_is_the_log_is_not_said_twice_nor_a_password_in_it() {
        let log = ["reading", "no db://ada:s3cret@db"];
        let logs = Logs { lines: Vec::new(), dying: vec![(dead("web-1", "web"), words(&log))] };
        // With `FallbackToLogsOnError` the kubelet says in it what was written last.
        let said = one_line(&format!("begun\n{}\n", log.join("\n")));
        let crashed = format!("container 'web' of pod 'web-1' crashed 2 times: exit status 3: {said}");
        assert!(crashed.ends_with(": begun reading no db://...@db"), "{crashed}");
        assert_eq!(logs.with_last_words(crashed.clone()), crashed);
    }

    #[test]
    fn last_words_are_few_harmless_and_no_secret() {
        assert_eq!(words(&["a", "b\u{7}", "\u{1b}[1;31mc\u{1b}[0m", "  d\u{1b}[2J\r"]), "b | c | d");
        assert_eq!(words(&["a\u{1b}[", "\u{1b}]0;b\u{9b}"]), "a | ]0;b");
        assert_eq!(
            words(&["Error: lost", "    at run (app.js:3)", "\tat App.main(App.java:5)"]),
            "Error: lost"
        );
        assert_eq!(words(&["    at run (app.js:3)"]), "at run (app.js:3)");
        let long = words(&["x".repeat(9000).as_str(); 20]);
        assert!(long.chars().count() < 3 * LONGEST_WORDS + 10, "{long}");
        assert_eq!(
            words(&["cannot reach postgres://ada:a@b@db:5432/shop?x=1, see https://example.org/@ada"]),
            "cannot reach postgres://...@db:5432/shop?x=1, see https://example.org/@ada"
        );
    }

    #[test]
    fn a_line_is_quoted_with_its_indentation_but_cannot_harm_a_terminal() {
        assert_eq!(quoted("  File \"app.py\"\r"), "  File \"app.py\"");
        assert_eq!(quoted("\tat x\u{1b}[2J\u{9b}1m"), "    at x [2J 1m");
        assert!(quoted(&"x".repeat(100_000)).chars().count() <= LONGEST);
    }

    #[test]
    fn who_has_not_run_or_is_well_says_nothing() {
        let waiting = json!([{"name": "web", "ready": false, "state": {"waiting": {}}, "lastState": {}},
            {"name": "nobody", "ready": false, "state": {"waiting": {"reason": "RunContainerError"}},
                "lastState": {"terminated": {"exitCode": 128, "reason": "StartError"}}},
            {"name": "well", "ready": true, "state": {"running": {}}},
            {"name": "done", "ready": false, "state": {"terminated": {"exitCode": 0}}}]);
        assert_eq!(of(&waiting), []);
    }
}
