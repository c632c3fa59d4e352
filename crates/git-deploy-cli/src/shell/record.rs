//! Lines that programs read: porcelain records and JSON.

use super::text::is_unsafe;
use std::fmt::Write as _;

/// One record: fields separated by a space, ended by a line feed, or by NUL if asked for.
///
/// A field without a value is `-`. In lines, a field that would be taken apart, or that a terminal would obey, is quoted
/// as git quotes paths; in records that end with NUL nothing is quoted, and the last field may hold anything but NUL.
pub(super) fn record<F: AsRef<[u8]>>(fields: impl IntoIterator<Item = F>, nul: bool) -> Vec<u8> {
    let mut fields = fields.into_iter().peekable();
    let mut record = Vec::new();
    while let Some(field) = fields.next() {
        let last = fields.peek().is_none();
        match field.as_ref() {
            b"" => record.push(b'-'),
            field if nul => record.extend(field.iter().filter(|byte| **byte != 0)),
            field if needs_quotes(field, last) => quote(field, &mut record),
            field => record.extend(field),
        }
        if !last {
            record.push(b' ');
        }
    }
    record.push(if nul { 0 } else { b'\n' });
    record
}

fn needs_quotes(field: &[u8], last: bool) -> bool {
    field.iter().any(|byte| matches!(byte, b'"' | b'\\') || *byte == b' ' && !last)
        || field.utf8_chunks().any(|chunk| chunk.valid().chars().any(is_unsafe))
}

/// As git does with `core.quotePath=false`, but that characters which a terminal would obey are quoted beyond ASCII, too.
fn quote(field: &[u8], record: &mut Vec<u8>) {
    record.push(b'"');
    for chunk in field.utf8_chunks() {
        chunk.valid().chars().for_each(|character| quote_character(character, record));
        record.extend(chunk.invalid());
    }
    record.push(b'"');
}

fn quote_character(character: char, record: &mut Vec<u8>) {
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).as_bytes();
    match character {
        '"' | '\\' => record.extend([b'\\', bytes[0]]),
        '\u{7}' => record.extend(b"\\a"),
        '\u{8}' => record.extend(b"\\b"),
        '\t' => record.extend(b"\\t"),
        '\n' => record.extend(b"\\n"),
        '\u{b}' => record.extend(b"\\v"),
        '\u{c}' => record.extend(b"\\f"),
        '\r' => record.extend(b"\\r"),
        _ if is_unsafe(character) => {
            record.extend(bytes.iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()));
        }
        _ => record.extend(bytes),
    }
}

/// One line of JSON, in which even the control characters that JSON leaves alone are escaped.
pub(super) fn json_line<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut line = String::new();
    for character in serde_json::to_string(value)?.chars() {
        if is_unsafe(character) {
            // Outside of strings JSON has only ASCII without control characters, so this is in one.
            let _ = write!(line, "\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_by_a_space_and_the_last_may_contain_some() {
        assert_eq!(
            record(["broken", "ab12", "conflicts in a file"], false),
            b"broken ab12 conflicts in a file\n"
        );
    }

    #[test]
    fn a_field_without_a_value_is_a_dash() {
        assert_eq!(record(["skipped", "", "x", ""], false), b"skipped - x -\n");
    }

    #[test]
    fn a_field_that_would_be_taken_apart_is_quoted_as_git_quotes_paths() {
        assert_eq!(record(["a b", "c\nd\"e\\f\x1b"], false), b"\"a b\" \"c\\nd\\\"e\\\\f\\033\"\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_quoted_beyond_ascii_too() {
        assert_eq!(record(["a\u{9b}31m\u{202e}ü"], false), "\"a\\302\\23331m\\342\\200\\256ü\"\n".as_bytes());
        assert_eq!(record(["Grüße"], false), "Grüße\n".as_bytes());
        assert_eq!(record([b"\x1b\xff"], false), b"\"\\033\xff\"\n");
    }

    #[test]
    fn records_that_end_with_nul_quote_nothing() {
        assert_eq!(record([&b"a"[..], b"c\nd\0\"\xff"], true), b"a c\nd\"\xff\0");
    }

    #[test]
    fn bytes_that_are_not_utf_8_stay() {
        assert_eq!(record([b"refs/heads/\xff"], false), b"refs/heads/\xff\n");
    }

    #[test]
    fn json_carries_no_control_characters_to_a_terminal() {
        let line = json_line(&serde_json::json!({"ref": "a\u{9b}\x1b\u{202e}ü"})).unwrap();
        assert_eq!(line, "{\"ref\":\"a\\u009b\\u001b\\u202eü\"}\n");
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["ref"], "a\u{9b}\x1b\u{202e}ü");
    }
}
