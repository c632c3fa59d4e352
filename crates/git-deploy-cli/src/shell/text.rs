//! Text that may be shown: pieces with their colours, never a control character.

use anstyle::{AnsiColor, Style};
use std::fmt::{Display, Write as _};
use unicode_width::UnicodeWidthStr;

/// What failed.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What may go wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What could be done about it.
pub const HINT: Style = AnsiColor::Yellow.on_default();
/// What is being done.
pub const STATUS: Style = AnsiColor::Green.on_default().bold();
/// What is well: deployable, deployed, a success.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What is not: broken, a failure.
pub const BAD: Style = AnsiColor::Red.on_default();
/// A commit, as in `git log`.
pub const COMMIT: Style = AnsiColor::Yellow.on_default();
/// The name of a branch or a tag.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// What may be skipped when reading.
pub const FAINT: Style = Style::new().dimmed();

/// A line or more for people, whose pieces may be coloured.
///
/// The text of the pieces may come from anywhere, a hostile branch name or commit message included: it is
/// escaped when it is written, and colours are left out where they are not wanted.
///
/// ```
/// use git_deploy_cli::{Text, shell};
/// let line = Text::from("on ").styled(shell::NAME, "login").plain(" since yesterday");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Text {
    pieces: Vec<(Style, String)>,
}

impl Text {
    /// Text without anything in it yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece without colour.
    #[must_use]
    pub fn plain(self, piece: impl Display) -> Self {
        self.styled(Style::new(), piece)
    }

    /// Adds a piece in a colour.
    #[must_use]
    pub fn styled(mut self, style: Style, piece: impl Display) -> Self {
        self.pieces.push((style, piece.to_string()));
        self
    }

    /// Adds another text with its colours.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// How many columns it takes when it is written, so that others line up: wide letters take two, and what is put upon one none.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, piece)| escaped(piece, false).width()).sum()
    }

    /// Adds blanks until it is so wide.
    #[must_use]
    pub fn padded(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        self.plain(" ".repeat(missing))
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.pieces.iter().any(|(style, _)| *style != Style::new())
    }

    /// As it is written: with escapes, and with colours if asked for; line feeds stay only if asked for.
    pub(super) fn render(&self, color: bool, keep_line_feeds: bool) -> String {
        let mut rendered = String::new();
        for (style, piece) in &self.pieces {
            let piece = escaped(piece, keep_line_feeds);
            if color && *style != Style::new() {
                // Writing to a String cannot fail.
                let _ = write!(rendered, "{style}{piece}{style:#}");
            } else {
                rendered.push_str(&piece);
            }
        }
        rendered
    }
}

impl<T: Display> From<T> for Text {
    fn from(text: T) -> Self {
        Self::new().plain(text)
    }
}

/// Bytes from a repository as text that is safe to show: control characters, among them escape sequences,
/// line feeds and those that turn the direction of writing, are escaped, and what is not UTF-8 is replaced.
pub fn printable(bytes: impl AsRef<[u8]>) -> String {
    escaped(&String::from_utf8_lossy(bytes.as_ref()), false)
}

/// A text of somebody's own as it stands in a list: one line, and of that what is to be read at a glance.
pub fn brief(text: &str) -> String {
    const WIDTH: usize = 60;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => line,
    }
}

/// Escapes all control characters but tabs, and line feeds unless they are wanted.
pub(super) fn escaped(text: &str, keep_line_feeds: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let harmless = character == '\t' || character == '\n' && keep_line_feeds;
        if harmless || !is_unsafe(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
    }
    escaped
}

/// Control characters (also DEL and C1), and those that make text look like another text.
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_in_a_branch_name_is_shown_not_obeyed() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}31m\x7f"), r"a\u{1b}[2Jb\u{9b}31m\u{7f}");
    }

    #[test]
    fn a_line_feed_does_not_begin_a_line() {
        assert_eq!(printable("a\nfatal: b\rc"), r"a\nfatal: b\rc");
    }

    #[test]
    fn text_cannot_turn_the_direction_of_writing() {
        assert_eq!(printable("a\u{202e}b\u{2066}"), r"a\u{202e}b\u{2066}");
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        assert_eq!(printable("Grüße, 世界 👩‍💻"), "Grüße, 世界 👩‍💻");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(printable(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        let text = Text::from("a ").styled(BAD, "b\x1b[0m");
        assert_eq!(text.render(false, false), r"a b\u{1b}[0m");
        assert_eq!(text.render(true, false), "a \x1b[31mb\\u{1b}[0m\x1b[0m");
    }

    #[test]
    fn in_a_list_a_text_is_one_short_line() {
        assert_eq!(brief(" a\n\tb "), "a b");
        assert_eq!(brief(&"ä".repeat(60)), "ä".repeat(60));
        assert_eq!(brief(&"ä ".repeat(60)), format!("{}...", "ä ".repeat(30).trim_end()));
    }

    #[test]
    fn columns_line_up_whatever_their_colour() {
        assert_eq!(Text::new().styled(BAD, "ab").padded(4).plain("|").render(false, false), "ab  |");
        assert_eq!(Text::from("abcde").padded(4).width(), 5);
    }
}
