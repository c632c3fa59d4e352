//! How far a log was heard: bytes in, lines out, each line once.

use git_deploy_image::run::harmless;
use jiff::Timestamp;

/// How much of a line is told, in bytes. All of it is read, and no more than this is kept.
const LONGEST: usize = 4096;

/// The log of one container.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Whether nothing more is to be heard.
    pub(super) is_whole: bool,
    /// How often it was asked for in vain since a line was heard.
    pub(super) failures: u32,
    /// When the last line was written that was told, and how many were at that moment.
    last: Option<(Timestamp, usize)>,
    /// While what was told before is passed over: how many of that moment are still to come.
    passing: Option<usize>,
    line: Vec<u8>,
    left_out: usize,
    /// When the next run of the container began, if the node may have given the log of that one.
    next_run: Option<Timestamp>,
    /// Whether it has.
    pub(super) is_of_next_run: bool,
}

impl Track {
    /// Whether it was asked for, and nothing was heard.
    pub(super) fn is_mute(&self) -> bool {
        self.failures > 0 && !self.is_heard()
    }

    /// Whether a line was heard.
    pub(super) fn is_heard(&self) -> bool {
        self.last.is_some()
    }

    /// It is read again, from that moment on: a node gives all of the second in which it lies.
    pub(super) fn resume(&mut self) -> Option<Timestamp> {
        self.line.clear();
        self.left_out = 0;
        (self.next_run, self.is_of_next_run) = (None, false);
        self.passing = self.last.map(|(_, count)| count);
        self.last.map(|(moment, _)| moment)
    }

    /// Lines from that second on, in which the next run began, are not taken: they are of that one.
    pub(super) fn take_until(&mut self, next_run: Option<Timestamp>) {
        self.next_run = next_run;
    }

    /// Takes bytes; the lines that end in them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, is_end) = match piece {
                [line @ .., b'\n'] => (line, true),
                part => (part, false),
            };
            let fits = piece.len().min(LONGEST - self.line.len());
            self.line.extend_from_slice(&piece[..fits]);
            self.left_out += piece.len() - fits;
            if is_end {
                lines.extend(self.line());
            }
        }
        lines
    }

    /// It is heard to its end: what stands there without a line feed is a line, too.
    pub(super) fn end(&mut self) -> Option<String> {
        let last = self.line();
        self.is_whole = !self.is_of_next_run;
        last
    }

    /// A line, if it is new. What has no time was not written by the container, but by the node about it.
    fn line(&mut self) -> Option<String> {
        let (line, left_out) = (std::mem::take(&mut self.line), std::mem::take(&mut self.left_out));
        let space = line.iter().position(|byte| *byte == b' ')?;
        let moment = str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        if self.next_run.is_some_and(|begun| begun <= moment) {
            self.is_of_next_run = true;
            return None;
        }
        if !self.is_new(moment) {
            return None;
        }
        let count = self.last.filter(|(last, _)| *last == moment).map_or(0, |(_, count)| count);
        self.last = Some((moment, count + 1));
        self.failures = 0;
        let mut text = shown(&line[space + 1..]);
        if left_out > 0 {
            text.push_str(&format!(" ... ({left_out} more bytes)"));
        }
        Some(text)
    }

    fn is_new(&mut self, moment: Timestamp) -> bool {
        let (Some(left), Some((last, _))) = (&mut self.passing, self.last) else { return true };
        if moment < last {
            return false;
        }
        if moment == last && *left > 0 {
            *left -= 1;
            return false;
        }
        // A clock that is set back takes no lines away, but for those that come right after a break.
        self.passing = None;
        true
    }
}

/// Of what overwrites itself with carriage returns only what is left at the end.
fn shown(line: &[u8]) -> String {
    let line = line.trim_ascii_end();
    harmless(line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u32, text: &str) -> String {
        format!("2026-11-21T07:00:00.{nanos:09}Z {text}\n")
    }

    #[test]
    fn lines_are_whole_whatever_the_pieces() {
        let mut track = Track::default();
        let all = at(1, "one") + &at(2, "") + &at(3, "  three\r") + "2026-11-21T07:00:00.4Z four";
        let lines: Vec<String> = all.as_bytes().chunks(7).flat_map(|piece| track.take(piece)).collect();
        assert_eq!(lines, ["one", "", "  three"]);
        assert!(!track.is_whole);
        assert_eq!(track.end().as_deref(), Some("four"));
        assert!(track.is_whole);
    }

    #[test]
    fn what_is_read_again_is_not_told_again() {
        let mut track = Track::default();
        assert_eq!(track.resume(), None);
        let first = at(1, "one") + &at(2, "two") + &at(2, "three");
        assert_eq!(track.take((first.clone() + "2026-11-21T07:00:00.3Z ha").as_bytes()).len(), 3);
        assert_eq!(track.resume(), "2026-11-21T07:00:00.000000002Z".parse().ok());
        let again = first + &at(2, "four") + &at(3, "half") + &at(1, "of a clock that was set back");
        assert_eq!(track.take(again.as_bytes()), ["four", "half", "of a clock that was set back"]);
    }

    #[test]
    fn what_the_next_run_wrote_is_left_to_that_one() {
        let mut track = Track::default();
        track.take_until("2026-11-21T07:00:01Z".parse().ok());
        let both = at(1, "first") + "2026-11-21T07:00:01.1Z second\n";
        assert_eq!(track.take(both.as_bytes()), ["first"]);
        assert_eq!(track.end(), None);
        assert!(!track.is_whole);
        track.resume();
        assert_eq!(track.take(at(1, "first").as_bytes()), [""; 0]);
        assert_eq!(track.end(), None);
        assert!(track.is_whole);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut track = Track::default();
        assert_eq!(track.take(at(1, "x").trim_end().as_bytes()), [""; 0]);
        for _ in 0..1000 {
            assert_eq!(track.take(&[b'x'; 10_000]), [""; 0]);
        }
        let told = track.take(b"\n").remove(0);
        assert!(told.len() < LONGEST + 40 && told.ends_with(" more bytes)"), "{}", told.len());
        assert!(track.line.capacity() < 4 * LONGEST);
    }

    #[test]
    fn a_log_does_nothing_to_a_terminal_and_a_node_does_not_speak_for_a_container() {
        let mut track = Track::default();
        let hostile = at(1, "\u{1b}[2J\u{1b}]0;title\u{7}red\u{8}\u{202e}") + &at(2, "10 %\r100 %");
        assert_eq!(track.take(hostile.as_bytes()), ["red\u{fffd}\u{fffd}", "100 %"]);
        let node = b"unable to retrieve container logs for containerd://1\n\xff \n\n";
        assert_eq!(track.take(node), [""; 0]);
    }
}
