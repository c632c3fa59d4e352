//! A progress line in the way of git: `Rebasing branches:  40% (400/1000)`.

use crate::Shell;
use std::time::{Duration, Instant};

/// Nothing is shown for what is done by then.
const DELAY: Duration = Duration::from_secs(1);
/// Without a new percentage the line changes no more often than this.
const PACE: Duration = Duration::from_millis(100);

/// How far a long piece of work has come, shown on standard error where that is a terminal.
#[derive(Debug)]
pub struct Progress {
    title: String,
    total: Option<usize>,
    begun: Instant,
    shown: Option<(Instant, Option<usize>)>,
    done: usize,
}

impl Progress {
    /// Begins a piece of work, with the number of its steps where that is known.
    pub fn new(title: impl Into<String>, total: Option<usize>) -> Self {
        Self::since(Instant::now(), title, total)
    }

    /// The same for work that has begun before.
    pub fn since(begun: Instant, title: impl Into<String>, total: Option<usize>) -> Self {
        Self { title: title.into(), total, begun, shown: None, done: 0 }
    }

    /// Says that so many steps are done.
    pub fn update(&mut self, shell: &mut Shell, done: usize) {
        self.update_at(shell, done, Instant::now());
    }

    /// Leaves the line, if it was ever shown, as a record of what was done.
    pub fn finish(self, shell: &mut Shell) {
        if self.shown.is_some() {
            shell.keep_progress(&format!("{}, done.", self.text(self.done)));
        }
    }

    fn update_at(&mut self, shell: &mut Shell, done: usize, now: Instant) {
        self.done = done;
        if !shell.shows_progress() || now.duration_since(self.begun) < DELAY {
            return;
        }
        let percent = self.percent(done);
        let due = self.shown.is_none_or(|(at, shown)| {
            shown != percent && percent.is_some() || now.duration_since(at) >= PACE
        });
        if due {
            self.shown = Some((now, percent));
            shell.show_progress(&self.text(done));
        }
    }

    fn percent(&self, done: usize) -> Option<usize> {
        self.total.map(|total| done.saturating_mul(100).checked_div(total).unwrap_or(100))
    }

    fn text(&self, done: usize) -> String {
        match (self.total, self.percent(done)) {
            (Some(total), Some(percent)) => format!("{}: {percent:3}% ({done}/{total})", self.title),
            _ => format!("{}: {done}", self.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bench;

    fn after(progress: &Progress, milliseconds: u64) -> Instant {
        progress.begun + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_quick_shows_nothing() {
        let mut bench = Bench::terminal();
        let mut progress = Progress::new("Rebasing branches", Some(1000));
        let now = after(&progress, 999);
        progress.update_at(&mut bench.shell, 999, now);
        progress.finish(&mut bench.shell);
        assert_eq!(bench.stderr(), "");
    }

    #[test]
    fn what_takes_long_shows_how_far_it_is() {
        let mut bench = Bench::terminal();
        let mut progress = Progress::new("Rebasing branches", Some(1000));
        for (milliseconds, done) in [(1000, 400), (1001, 401), (1002, 410)] {
            let now = after(&progress, milliseconds);
            progress.update_at(&mut bench.shell, done, now);
        }
        assert_eq!(
            bench.stderr(),
            "\r\x1b[KRebasing branches:  40% (400/1000)\r\x1b[KRebasing branches:  41% (410/1000)"
        );
        progress.finish(&mut bench.shell);
        assert!(bench.stderr().ends_with("\r\x1b[KRebasing branches:  41% (410/1000), done.\n"));
    }

    #[test]
    fn without_a_total_the_steps_are_counted() {
        let mut bench = Bench::terminal();
        let mut progress = Progress::new("Reading notes", None);
        let now = after(&progress, 2000);
        progress.update_at(&mut bench.shell, 7, now);
        assert_eq!(bench.stderr(), "\r\x1b[KReading notes: 7");
    }

    #[test]
    fn where_nobody_looks_nothing_is_shown() {
        let mut bench = Bench::piped();
        let mut progress = Progress::new("Rebasing branches", Some(0));
        let now = after(&progress, 5000);
        progress.update_at(&mut bench.shell, 0, now);
        progress.finish(&mut bench.shell);
        assert_eq!(bench.stderr(), "");
    }

    #[test]
    fn a_message_takes_the_place_of_the_line() {
        let mut bench = Bench::terminal();
        let mut progress = Progress::new("Reading notes", None);
        let now = after(&progress, 2000);
        progress.update_at(&mut bench.shell, 7, now);
        bench.shell.warn("odd note");
        assert_eq!(bench.stderr(), "\r\x1b[KReading notes: 7\r\x1b[Kwarning: odd note\n");
    }
}
