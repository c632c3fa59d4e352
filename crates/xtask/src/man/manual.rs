//! Reads the hand-written part of a manual; the format is described in `git-deploy-cli/src/args/manual`.

/// A part of a manual.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading(String),
    Paragraph(String),
    Item { term: String, text: String },
    Literal(Vec<String>),
}

/// Blanks before a paragraph or an item.
const INDENT: usize = 4;
/// Blanks before what is kept as it is.
const LITERAL: usize = 8;

/// Takes a manual apart.
pub(super) fn blocks(manual: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // A blank line ends a paragraph and an item, but not what is kept as it is.
    let mut open = false;
    for line in manual.lines() {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if text.is_empty() {
            open = false;
            continue;
        }
        match (blocks.last_mut().filter(|_| open), indent) {
            (_, 0) => blocks.push(Block::Heading(text.to_owned())),
            (Some(Block::Literal(lines)), LITERAL..) => lines.push(line[LITERAL..].to_owned()),
            (Some(Block::Item { text: said, .. }), LITERAL..) => extend(said, text),
            (_, LITERAL..) => blocks.push(Block::Literal(vec![line[LITERAL..].to_owned()])),
            (last, _) => match (text.split_once("  "), last) {
                (Some((term, text)), _) if indent == INDENT => {
                    blocks.push(Block::Item { term: term.to_owned(), text: text.trim_start().to_owned() });
                }
                (_, Some(Block::Paragraph(said))) => extend(said, text),
                (_, _) => blocks.push(Block::Paragraph(text.to_owned())),
            },
        }
        open = indent > 0;
    }
    blocks
}

fn extend(said: &mut String, text: &str) {
    said.push(' ');
    said.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_is_taken_apart_by_its_indentation() {
        let manual = "\nEXIT STATUS\n    Some text\n    goes on.\n\n    Another.\n\n    0    Done,\n         or not.\n    \
                      128  Fatal.\n\n    Say:\n\n        git deploy\n          twice\nEND\n";
        assert_eq!(
            blocks(manual),
            [
                Block::Heading("EXIT STATUS".into()),
                Block::Paragraph("Some text goes on.".into()),
                Block::Paragraph("Another.".into()),
                Block::Item { term: "0".into(), text: "Done, or not.".into() },
                Block::Item { term: "128".into(), text: "Fatal.".into() },
                Block::Paragraph("Say:".into()),
                Block::Literal(vec!["git deploy".into(), "  twice".into()]),
                Block::Heading("END".into()),
            ]
        );
    }
}
