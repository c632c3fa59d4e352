//! When something is said of a wait: soon, then when there is something new, and now and then that it goes on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::alike::gist;
use crate::verify::{NAMED, Waiting};

/// Nothing is said of a wait that is over by then.
const FIRST: Duration = Duration::from_secs(3);

/// What is new is said no more often than this: it comes in swarms, and some of it goes to and fro.
const CHANGED: Duration = Duration::from_secs(10);

/// Whoever reads a log wants to know that somebody still waits.
const STILL: Duration = Duration::from_secs(30);

/// How a wait goes, and what was said of it.
pub(super) struct Pace {
    begun: Instant,
    said_at: Option<Instant>,
    said: BTreeSet<String>,
    latest: Standing,
}

/// What there is to say.
#[derive(Default)]
struct Standing {
    ready: usize,
    wanted: usize,
    waiting: Vec<Waiting>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, said_at: None, said: BTreeSet::new(), latest: Standing::default() }
    }

    /// It goes like this now.
    pub(super) fn hear(&mut self, ready: usize, wanted: usize, waiting: Vec<Waiting>) {
        self.latest = Standing { ready, wanted, waiting };
    }

    /// What is to be said now, in lines; mostly nothing.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let silent = now.duration_since(self.said_at.unwrap_or(self.begun));
        let is_new = !self.said.contains(&self.latest.gist());
        let lines = match self.said_at {
            _ if self.latest.waiting.is_empty() => return Vec::new(),
            None if silent < FIRST => return Vec::new(),
            Some(_) if silent < CHANGED => return Vec::new(),
            _ if is_new => self.latest.lines(self.time(now)),
            _ if silent < STILL => return Vec::new(),
            _ => vec![self.latest.still(self.time(now))],
        };
        self.said.insert(self.latest.gist());
        self.said_at = Some(now);
        lines
    }

    /// What is said when all is ready: only to whom the wait was told.
    pub(super) fn end(&self, now: Instant) -> Option<String> {
        self.said_at.map(|_| format!("{0} of {0} after {1} s", self.latest.wanted, self.time(now)))
    }

    fn time(&self, now: Instant) -> u64 {
        now.duration_since(self.begun).as_secs()
    }
}

impl Standing {
    fn lines(&self, seconds: u64) -> Vec<String> {
        let head = format!("{} of {} ready after {seconds} s", self.ready, self.wanted);
        let named = self.waiting.iter().take(NAMED).map(|Waiting { object, what, why }| match why {
            Some(why) => format!("for {object}: {what}; {why}"),
            None => format!("for {object}: {what}"),
        });
        let others = self.waiting.len().saturating_sub(NAMED);
        let others = (others > 0).then(|| format!("for {others} more"));
        std::iter::once(head).chain(named).chain(others).collect()
    }

    fn still(&self, seconds: u64) -> String {
        let Self { ready, wanted, waiting } = self;
        let whom = match waiting.as_slice() {
            [] => String::new(),
            [only] => format!(", for {}", only.object),
            [first, others @ ..] => format!(", for {} and {} more", first.object, others.len()),
        };
        format!("still {ready} of {wanted} ready after {seconds} s{whom}")
    }

    /// Equal for what would be said in the same words: which pod it is, and how often it crashed, is no news.
    fn gist(&self) -> String {
        let named = self.waiting.iter().take(NAMED).map(|Waiting { object, what, why }| {
            format!("{object} {what} {}", why.as_deref().map(gist).unwrap_or_default())
        });
        format!("{} {}\n{}", self.ready, self.wanted, named.collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use git_deploy_manifest::ObjectId;

    use super::*;

    fn waiting(name: &str, what: &str, why: Option<&str>) -> Waiting {
        let object = ObjectId {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
        };
        Waiting { object, what: what.to_owned(), why: why.map(str::to_owned) }
    }

    /// What is said in so many seconds, and when, if it goes each half of a second as the function says.
    fn said(seconds: u64, goes: impl Fn(u64) -> (usize, Vec<Waiting>)) -> Vec<(u64, Vec<String>)> {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        let mut said = Vec::new();
        for half in 0..seconds * 2 {
            let (ready, waiting) = goes(half);
            pace.hear(ready, 3, waiting);
            let lines = pace.due(begun + Duration::from_millis(half * 500));
            if !lines.is_empty() {
                said.push((half / 2, lines));
            }
        }
        said
    }

    #[test]
    fn what_is_soon_over_is_not_spoken_of() {
        assert_eq!(said(3, |_| (2, vec![waiting("web", "x", None)])), []);
        assert_eq!(said(300, |_| (3, Vec::new())), []);
        assert_eq!(Pace::new(Instant::now()).end(Instant::now()), None);
    }

    #[test]
    fn a_wait_in_which_nothing_happens_is_explained_once_and_then_only_goes_on() {
        let why = "container 'main' of pod 'web-7dfc949d7c-nggxq' cannot start: ImagePullBackOff";
        let goes = |_| (2, vec![waiting("web", "0 of 2 new pods are available", Some(why))]);
        let explained = format!("for Deployment 'shop/web': 0 of 2 new pods are available; {why}");
        assert_eq!(
            said(65, goes),
            [
                (3, vec!["2 of 3 ready after 3 s".to_owned(), explained]),
                (33, vec!["still 2 of 3 ready after 33 s, for Deployment 'shop/web'".to_owned()]),
                (63, vec!["still 2 of 3 ready after 63 s, for Deployment 'shop/web'".to_owned()]),
            ]
        );
    }

    #[test]
    fn what_goes_to_and_fro_is_said_once_each_and_never_often() {
        let goes = |half| match half % 2 {
            0 => (2, vec![waiting("web", "1 of 2 new pods are available", None)]),
            _ => {
                (1, vec![waiting("web", "0 of 2 new pods are available", None), waiting("worker", "x", None)])
            }
        };
        let said = said(120, goes);
        let times: Vec<u64> = said.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [3, 13, 43, 73, 103]);
        let full = said.iter().filter(|(_, lines)| lines.len() > 1).count();
        assert_eq!(full, 2, "{said:?}");
    }

    #[test]
    fn another_pod_and_another_crash_are_no_news() {
        let goes = |half: u64| {
            let pod = ["nggxq", "4sldb", "x2x4k"][usize::try_from(half % 3).unwrap()];
            let why = format!("container 'a' of pod 'web-7dfc949d7c-{pod}' crashed {half} times");
            (2, vec![waiting("web", "0 of 2 new pods are available", Some(&why))])
        };
        assert_eq!(said(32, goes).len(), 1);
    }

    #[test]
    fn progress_is_said_and_only_the_first_are_named() {
        let left = |half: u64| (0..10 - half / 20).map(|n| waiting(&format!("web-{n}"), "x", None)).collect();
        let said = said(44, |half| (usize::try_from(half / 20).unwrap(), left(half)));
        let times: Vec<u64> = said.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [3, 13, 23, 33, 43]);
        assert_eq!(said[0].1.last().unwrap(), "for 7 more");
        assert_eq!(said[0].1.len(), 5);
        assert_eq!(said[4].1[0], "4 of 3 ready after 43 s");
    }

    #[test]
    fn whoever_was_told_of_a_wait_is_told_of_its_end() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        pace.hear(0, 3, vec![waiting("web", "x", None)]);
        assert!(!pace.due(begun + Duration::from_secs(4)).is_empty());
        pace.hear(3, 3, Vec::new());
        assert_eq!(pace.end(begun + Duration::from_secs(9)).as_deref(), Some("3 of 3 after 9 s"));
    }
}
