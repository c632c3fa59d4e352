//! Bytes that a program writes, as lines that may be shown: whatever it writes, a line is short, is UTF-8, and moves no
//! cursor.

use std::io::{ErrorKind, Read};
use std::mem::take;
use std::sync::mpsc::SyncSender;

use super::{Line, Stream};

/// How much of one line is kept: a program may well print a whole file without a newline.
const LONGEST: usize = 8 * 1024;

/// What a reader has read.
pub(super) enum Piece {
    /// A line to be shown.
    Line(Line),
    /// Bytes of standard output that the caller wants as they are.
    Raw(Vec<u8>),
    /// No more comes from there.
    End,
}

/// Cuts what is written into lines.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// How many bytes of the line were left out.
    left_out: usize,
    /// Whether the last byte was a carriage return: what follows overwrites the line, unless it is its end.
    returned: bool,
}

impl Lines {
    /// Takes bytes, and tells each line that ends in them.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(String)) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(tell),
                b'\r' => self.returned = true,
                byte => {
                    if take(&mut self.returned) {
                        self.line.clear();
                        self.left_out = 0;
                    }
                    if self.line.len() < LONGEST { self.line.push(*byte) } else { self.left_out += 1 }
                }
            }
        }
    }

    /// Tells what stands there without a newline at its end.
    pub(super) fn finish(&mut self, tell: &mut impl FnMut(String)) {
        if !self.line.is_empty() {
            self.end(tell);
        }
    }

    fn end(&mut self, tell: &mut impl FnMut(String)) {
        self.returned = false;
        let mut text = harmless(&take(&mut self.line));
        match take(&mut self.left_out) {
            0 => {}
            bytes => text.push_str(&format!(" ... ({bytes} more bytes)")),
        }
        tell(text);
    }
}

/// The lines of what was read as bytes.
pub(super) fn of(bytes: &[u8]) -> Vec<String> {
    let (mut lines, mut told) = (Lines::default(), Vec::new());
    lines.take(bytes, &mut |text| told.push(text));
    lines.finish(&mut |text| told.push(text));
    told
}

/// Text without what would change a terminal: escape sequences are left out, and other control characters, and those that turn
/// the direction of writing, replaced.
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.chars().peekable();
    let mut shown = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // `ESC [ parameters letter`: colours, and where the cursor is.
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // `ESC ] text BEL`, or `ESC \` at its end: titles and links.
                Some(']') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' || c == '\u{1b}' && rest.next_if_eq(&'\\').is_some() {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => shown.push('\t'),
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
            c if c.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            c => shown.push(c),
        }
    }
    shown
}

/// Reads a pipe to its end. Whoever listens no more, ends it.
pub(super) fn read(mut pipe: impl Read, stream: Stream, is_raw: bool, sender: &SyncSender<(Stream, Piece)>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut is_heard = true;
    let mut tell = |read: Piece| is_heard &= sender.send((stream, read)).is_ok();
    let line = |text: String| Piece::Line(Line { stream, text });
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) if is_raw => tell(Piece::Raw(buffer[..length].to_vec())),
            Ok(length) => lines.take(&buffer[..length], &mut |text| tell(line(text))),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.finish(&mut |text| tell(line(text)));
    tell(Piece::End);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut tell = |text| told.push(text);
        chunks.iter().for_each(|chunk| lines.take(chunk, &mut tell));
        lines.finish(&mut tell);
        told
    }

    #[test]
    fn lines_are_whole_whatever_the_pieces_and_the_last_needs_no_newline() {
        assert_eq!(lines(&[b"on", b"e\ntwo\r", b"\n\nthree"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn what_is_overwritten_on_a_terminal_is_not_shown() {
        assert_eq!(lines(&[b"10 %\r50 %\r100 %\ndone\n"]), ["100 %", "done"]);
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let long = vec![b'x'; 100_000_000];
        let lines = lines(&[&long, b"\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LONGEST + " ... (99991808 more bytes)".len());
        assert!(lines[0].ends_with("x ... (99991808 more bytes)"));
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn nothing_that_moves_a_terminal_is_left() {
        assert_eq!(
            harmless(b"\x1b[31mred\x1b[0m \x1b]0;title\x07t \x1b]8;;x\x1b\\link\tend"),
            "red t link\tend"
        );
        assert_eq!(harmless(b"\x1b[2J\x1bc\x08\x9b"), "\u{fffd}\u{fffd}");
        assert_eq!(harmless("a\u{202e}b\u{85}".as_bytes()), "a\u{fffd}b\u{fffd}");
        assert_eq!(harmless(b"\xff\x1b[1"), "\u{fffd}");
    }
}
