//! Manuals for terminals: what is written for whoever edits it, in lines that fit.
//!
//! The parser would break each line that is too long for the terminal and leave the next one as it is, so that long and short
//! lines alternate. The format is described in `manual/README.md`, and stays the same.

/// As wide as terminals are at least, and as manual pages are.
const WIDTH: usize = 80;
/// Blanks before what is kept as it is.
const LITERAL: usize = 8;

/// The same manual in short lines.
pub(super) fn reflow(manual: &str) -> String {
    let mut shown = String::new();
    let mut open: Option<Flowing> = None;
    for line in manual.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        let is_literal = indent >= LITERAL && open.as_ref().is_none_or(|open| !open.is_item);
        if text.is_empty() || indent == 0 || is_literal {
            end(&mut open, &mut shown);
            shown.push_str(line);
            shown.push('\n');
            continue;
        }
        let item = text.split_once("  ").filter(|_| indent < LITERAL);
        match (&mut open, item) {
            (Some(flowing), None) if indent >= LITERAL || !flowing.is_item => flowing.extend(text),
            _ => {
                end(&mut open, &mut shown);
                open = Some(Flowing::begin(line, text, item));
            }
        }
    }
    end(&mut open, &mut shown);
    shown
}

fn end(open: &mut Option<Flowing>, shown: &mut String) {
    if let Some(flowing) = open.take() {
        shown.push_str(&flowing.lines());
    }
}

/// A paragraph, or a term and its explanation.
struct Flowing {
    /// What stands before the first word.
    head: String,
    is_item: bool,
    words: Vec<String>,
}

impl Flowing {
    fn begin(line: &str, text: &str, item: Option<(&str, &str)>) -> Self {
        let first = item.map_or(text, |(_, explanation)| explanation.trim_start());
        let head = line.trim_end().strip_suffix(first).unwrap_or_default().to_owned();
        let mut this = Self { head, is_item: item.is_some(), words: Vec::new() };
        this.extend(first);
        this
    }

    fn extend(&mut self, text: &str) {
        self.words.extend(text.split_whitespace().map(str::to_owned));
    }

    fn lines(&self) -> String {
        let indent = self.head.chars().count();
        let (mut lines, mut line, mut length) = (String::new(), self.head.clone(), indent);
        for (index, word) in self.words.iter().enumerate() {
            let width = word.chars().count();
            if index > 0 && length + 1 + width > WIDTH {
                lines.push_str(&line);
                lines.push('\n');
                (line, length) = (" ".repeat(indent), indent);
            } else if index > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += width;
        }
        format!("{lines}{line}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_explanations_get_lines_that_fit_and_all_else_stays() {
        let long = "word ".repeat(30);
        let literal = format!("        git deploy {}", "x".repeat(100));
        let manual = format!(
            "\nEXIT STATUS\n    {long}\n    goes on.\n\n{literal}\n          twice\n\n    0    {long}\n         end.\n    128  Fatal.\n\nEND\n"
        );
        let shown = reflow(&manual);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&shown), words(&manual));
        assert!(shown.contains(&format!("\n\n{literal}\n          twice\n\n    0    word word ")), "{shown}");
        assert!(
            shown.contains("\n         word") && shown.contains(" end.\n    128  Fatal.\n\nEND\n"),
            "{shown}"
        );
        for line in shown.lines().filter(|line| *line != literal) {
            assert!(line.len() <= WIDTH, "{line}");
        }
        assert_eq!(reflow(&shown), shown);
    }
}
