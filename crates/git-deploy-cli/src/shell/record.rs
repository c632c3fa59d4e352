//! Lines that programs read: porcelain records and JSON.

use super::text::is_unsafe;
use std::fmt::Write as _;

/// One record: fields separated by a space, ended by a line feed, or by NUL if asked for.
///
/// A field without a value is `-`. In lines, a field that would be taken apart is quoted as git quotes
/// paths; in records that end with NUL nothing is quoted, and the last field may hold anything but NUL.
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
    field.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b'"' | b'\\') || *byte == b' ' && !last)
}

/// As git does with `core.quotePath=false`.
fn quote(field: &[u8], record: &mut Vec<u8>) {
    record.push(b'"');
    for &byte in field {
        match byte {
            b'"' | b'\\' => record.extend([b'\\', byte]),
            0x07 => record.extend(b"\\a"),
            0x08 => record.extend(b"\\b"),
            b'\t' => record.extend(b"\\t"),
            b'\n' => record.extend(b"\\n"),
            0x0b => record.extend(b"\\v"),
            0x0c => record.extend(b"\\f"),
            b'\r' => record.extend(b"\\r"),
            _ if byte.is_ascii_control() => record.extend(format!("\\{byte:03o}").bytes()),
            _ => record.push(byte),
        }
    }
    record.push(b'"');
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
