//! How far a log was heard: bytes in, lines out, each line once.

use git_deploy_image::run::harmless;
use jiff::Timestamp;

/// How much of a line is told, in bytes. All of it is read, and no more than this is kept.
const LONGEST: usize = 4096;

/// When a line was written, and how many were by then at that moment.
pub(super) type Moment = (Timestamp, usize);

/// The log of one container.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Whether nothing more is to be heard.
    pub(super) is_whole: bool,
    /// How often it was asked for in vain since a line was heard.
    pub(super) failures: u32,
    /// When the last line was written that was told, and how many were at that moment.
    last: Option<Moment>,
    /// While what was told before is passed over: how many of that moment are still to come.
    passing: Option<usize>,
    line: Vec<u8>,
    left_out: usize,
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

    /// When the last line was written that was told.
    pub(super) fn last(&self) -> Option<Moment> {
        self.last
    }

    /// The same as [`Self::resume`]; what was heard up to a moment by somebody else is passed over, if nothing was heard yet.
    pub(super) fn resume_after(&mut self, before: Option<Moment>) -> Option<Timestamp> {
        self.last = self.last.or(before);
        self.resume()
    }

    /// It is read again, from that moment on: a node gives all of the second in which it lies.
    pub(super) fn resume(&mut self) -> Option<Timestamp> {
        self.line.clear();
        self.left_out = 0;
        self.passing = self.last.map(|(_, count)| count);
        self.last.map(|(moment, _)| moment)
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
        self.is_whole = true;
        self.line()
    }

    /// A line, if it is new. What has no time was not written by the container, but by the node about it.
    fn line(&mut self) -> Option<String> {
        let (line, left_out) = (std::mem::take(&mut self.line), std::mem::take(&mut self.left_out));
        let space = line.iter().position(|byte| *byte == b' ')?;
        let moment = str::from_utf8(&line[..space]).ok()?.parse().ok()?;
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
    fn what_was_heard_of_the_next_one_already_is_not_told_again() {
        let mut first = Track::default();
        assert_eq!(first.take((at(1, "first") + &at(5, "second")).as_bytes()), ["first", "second"]);
        let mut next = Track::default();
        assert!(next.resume_after(first.last()).is_some());
        assert_eq!(next.take((at(5, "second") + &at(6, "third")).as_bytes()), ["third"]);
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
