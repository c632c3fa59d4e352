//! The last of what a program wrote, in one line, as it may be kept: without anybody's password.

use crate::without_credentials;

/// How many lines: what went wrong is seldom said in one, and a text of one line has to stay readable.
const LINES: usize = 3;
/// How much of each, in characters: programs can say a lot in one.
const LONGEST: usize = 300;
/// What stands between them.
const BETWEEN: &str = " | ";

/// The last lines that are not empty, one behind the other; none where there are none. Of what is long, the end, which is
/// nearest to what went wrong.
pub fn last_words(lines: &[impl AsRef<str>]) -> Option<String> {
    let said: Vec<&str> =
        lines.iter().map(|line| line.as_ref().trim()).filter(|line| !line.is_empty()).collect();
    let last: Vec<String> =
        said[said.len().saturating_sub(LINES)..].iter().map(|line| end_of(line, LONGEST)).collect();
    (!last.is_empty()).then(|| last.join(BETWEEN))
}

/// The end of a text, with what says that it is no more than that.
pub(crate) fn end_of(text: &str, longest: usize) -> String {
    let text = without_credentials(text);
    match text.chars().count().saturating_sub(longest) {
        0 => text,
        skipped => format!("...{}", text.chars().skip(skipped).collect::<String>()),
    }
}

/// The beginning of a text, in the same way.
pub(crate) fn begin_of(text: &str, longest: usize) -> String {
    let text = without_credentials(text);
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_lines_that_say_something_are_one() {
        assert_eq!(
            last_words(&["one", "two", "", "  three ", "four", " "]),
            Some("two | three | four".into())
        );
        assert_eq!(last_words(&["", " "]), None);
    }

    #[test]
    fn of_what_is_long_there_is_the_end_that_matters() {
        let long = format!("{}end", "é".repeat(1000));
        let words = last_words(&[&long]).unwrap();
        assert!(words.starts_with("...é") && words.ends_with("éend"), "{words}");
        assert_eq!(words.chars().count(), LONGEST + 3);
        assert_eq!(begin_of("éa", 1), "é...");
        assert_eq!(begin_of("éa", 2), "éa");
    }

    #[test]
    fn what_is_cut_within_a_password_has_nothing_of_it() {
        let url = "db://ada:s3cret@shop";
        for longest in 1..url.len() {
            for cut in [end_of(url, longest), begin_of(url, longest)] {
                assert!(!cut.contains(['3', 'c']), "{cut}");
            }
        }
    }
}
