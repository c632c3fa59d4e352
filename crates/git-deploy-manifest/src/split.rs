//! A file to its documents, at the places where kubectl cuts it.
//!
//! kubectl cuts at lines that begin with `---` before any YAML is read; only spaces and a comment may follow
//! ([`YAMLReader`][1]). A file of JSON objects one behind the other is cut between them.
//!
//! [1]: https://pkg.go.dev/k8s.io/apimachinery/pkg/util/yaml#YAMLReader

use serde::de::IgnoredAny;

use crate::read::Fault;
use crate::yaml::YamlFault;

/// A piece of a file that holds one document, or only comments.
pub(crate) struct Document<'a> {
    /// 1 for the first in the file.
    pub(crate) number: usize,
    /// The line in the file where the text begins, 1 for the first.
    pub(crate) first_line: usize,
    pub(crate) text: &'a str,
}

/// A fault, with the document's number and the line in the file.
pub(crate) type Place = (usize, usize, Fault);

/// Cuts a file.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<Document<'_>>, Place> {
    let mut documents = Vec::new();
    for (first_line, piece, separator_fault) in pieces(bytes) {
        let number = documents.last().map_or(1, |last: &Document<'_>| last.number + 1);
        let text = match std::str::from_utf8(piece) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let line = first_line + breaks(&piece[..error.valid_up_to()]);
                return Err((number, line, Fault::NotUtf8));
            }
        };
        let is_preface = first_line == 1 && separator_fault.is_some() && is_blank(text);
        if !is_preface {
            documents.extend(json_documents(number, first_line, text)?);
        }
        if let Some(Err((line, fault))) = separator_fault {
            return Err((number, line, fault));
        }
    }
    Ok(documents)
}

/// What ends a piece: nothing (the file's end), a separator, or a line that only looks like one.
type Separator = Option<Result<(), (usize, Fault)>>;

fn pieces(bytes: &[u8]) -> Vec<(usize, &[u8], Separator)> {
    let mut pieces = Vec::new();
    let (mut begin, mut begin_line, mut position) = (0, 1, 0);
    for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let after = position + line.len();
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = String::from_utf8_lossy(rest).trim().to_owned();
            let fits = rest.is_empty() || rest.starts_with('#');
            let end = if fits { Ok(()) } else { Err((index + 1, Fault::Separator(rest))) };
            pieces.push((begin_line, &bytes[begin..position], Some(end)));
            (begin, begin_line) = (after, index + 2);
        }
        position = after;
    }
    pieces.push((begin_line, &bytes[begin..], None));
    pieces
}

/// The piece itself, or each of several JSON objects in it.
fn json_documents(number: usize, first_line: usize, text: &str) -> Result<Vec<Document<'_>>, Place> {
    let ends = json_ends(text).unwrap_or_default();
    if ends.is_empty() {
        if let Some((line, fault)) = strange_character(text) {
            return Err((number, first_line + line, Fault::Yaml(fault)));
        }
        return Ok(vec![Document { number, first_line, text }]);
    }
    let mut begin = 0;
    let cut = |(index, end): (usize, usize)| {
        let line = first_line + breaks(&text.as_bytes()[..begin]);
        let document = Document { number: number + index, first_line: line, text: &text[begin..end] };
        begin = end;
        document
    };
    Ok(ends.into_iter().enumerate().map(cut).collect())
}

/// Where the JSON objects in a text end, if it is made of nothing else.
fn json_ends(text: &str) -> Option<Vec<usize>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(next) = stream.next() {
        next.ok()?;
        ends.push(stream.byte_offset());
    }
    Some(ends)
}

/// The first character that YAML 1.1 refuses or takes for the end of a line, and how many lines are above it.
fn strange_character(text: &str) -> Option<(usize, YamlFault)> {
    let (position, c) = text.char_indices().find(|(_, c)| match c {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        '\u{a0}'..='\u{fffd}' | '\u{10000}'.. => false,
        _ => true,
    })?;
    let is_break = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    let fault = if is_break { YamlFault::LineBreak(c) } else { YamlFault::Character(c) };
    Some((breaks(&text.as_bytes()[..position]), fault))
}

fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

fn breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, usize, String)> {
        let owned = |d: Document<'_>| (d.number, d.first_line, d.text.to_owned());
        split(text.as_bytes()).map_err(|(_, _, fault)| fault).unwrap().into_iter().map(owned).collect()
    }

    #[test]
    fn documents_are_cut_where_kubectl_cuts_them() {
        let of = |number, line, text: &str| (number, line, text.to_owned());
        assert_eq!(cut("a: 1\n---\nb: 2\n"), [of(1, 1, "a: 1\n"), of(2, 3, "b: 2\n")]);
        assert_eq!(cut("# licence\n\n--- # first\na: 1\n"), [of(1, 4, "a: 1\n")]);
        assert_eq!(cut("a: |\n  ---\n"), [of(1, 1, "a: |\n  ---\n")]);
        assert_eq!(cut("a: 1\r\n---\r\nb: 2"), [of(1, 1, "a: 1\r\n"), of(2, 3, "b: 2")]);
        assert_eq!(cut("\u{feff}a: 1\n"), [of(1, 1, "a: 1\n")]);
    }

    #[test]
    fn json_objects_may_stand_one_behind_the_other() {
        let of = |number, line, text: &str| (number, line, text.to_owned());
        assert_eq!(cut("{\"a\":1}\n{\"b\":2}"), [of(1, 1, "{\"a\":1}"), of(2, 1, "\n{\"b\":2}")]);
        assert_eq!(cut("{\"a\":\"\u{2028}\"}"), [of(1, 1, "{\"a\":\"\u{2028}\"}")]);
    }

    #[test]
    fn what_kubectl_refuses_or_readers_disagree_about_is_refused() {
        let fault = |bytes: &[u8]| split(bytes).err();
        assert_eq!(fault(b"a: 1\n--- {b: 2}\n"), Some((1, 2, Fault::Separator("{b: 2}".to_owned()))));
        assert_eq!(fault(b"a: 1\n---\nb: 1\nc: \xff\n"), Some((2, 4, Fault::NotUtf8)));
        assert_eq!(fault(b"a: 1\nb: \x07\n"), Some((1, 2, Fault::Yaml(YamlFault::Character('\u{7}')))));
        let text = "a: |\n  x\u{2028}y\n";
        assert_eq!(fault(text.as_bytes()), Some((1, 2, Fault::Yaml(YamlFault::LineBreak('\u{2028}')))));
    }
}
