//! JSON value to YAML text that every reader understands alike.
//!
//! Written like kubectl's: block style, two spaces, lists not indented, keys in their order. A string stays
//! unquoted only where readers of YAML 1.1 and of 1.2 both see that string.

use serde_json::{Map, Value};

use super::scalar::Scalar;

/// Longer keys are written with `? `: a key on one line with its colon may have 1024 characters.
const LONGEST_SIMPLE_KEY: usize = 512;

/// The YAML text of a value, with a line break at its end.
pub(crate) fn emit(value: &Value) -> String {
    let mut emitter = Emitter { out: String::new() };
    match value {
        Value::Object(mapping) if !mapping.is_empty() => emitter.mapping(mapping, 0, false),
        Value::Array(items) if !items.is_empty() => emitter.sequence(items, 0, false),
        other => {
            emitter.out.push_str(&inline(other));
            emitter.out.push('\n');
        }
    }
    emitter.out
}

struct Emitter {
    out: String,
}

impl Emitter {
    /// `inline_first`: the first line's indentation is already there, behind a `- `.
    fn mapping(&mut self, mapping: &Map<String, Value>, indent: usize, inline_first: bool) {
        for (position, (key, value)) in mapping.iter().enumerate() {
            if position > 0 || !inline_first {
                self.indent(indent);
            }
            let key = quoted_where_needed(key);
            if key.len() > LONGEST_SIMPLE_KEY {
                self.out.push_str("? ");
                self.out.push_str(&key);
                self.out.push('\n');
                self.indent(indent);
            } else {
                self.out.push_str(&key);
            }
            self.out.push(':');
            self.behind_colon(value, indent);
        }
    }

    fn behind_colon(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(mapping) if !mapping.is_empty() => {
                self.out.push('\n');
                self.mapping(mapping, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                self.out.push('\n');
                self.sequence(items, indent, false);
            }
            other => {
                self.out.push(' ');
                self.leaf(other, indent);
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, inline_first: bool) {
        for (position, item) in items.iter().enumerate() {
            if position > 0 || !inline_first {
                self.indent(indent);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(mapping) if !mapping.is_empty() => self.mapping(mapping, indent + 2, true),
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent + 2, true),
                other => self.leaf(other, indent),
            }
        }
    }

    fn leaf(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) if fits_block(text) => self.block(text, indent + 2),
            other => {
                self.out.push_str(&inline(other));
                self.out.push('\n');
            }
        }
    }

    /// A literal block: `|` with one line break at the end, `|-` with none, `|+` with more.
    fn block(&mut self, text: &str, indent: usize) {
        let body = text.strip_suffix('\n').unwrap_or(text);
        self.out.push_str(match (body.len() < text.len(), body.ends_with('\n')) {
            (false, _) => "|-\n",
            (true, false) => "|\n",
            (true, true) => "|+\n",
        });
        for line in body.split('\n') {
            if !line.is_empty() {
                self.indent(indent);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted_where_needed(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::Number(number) => number_text(&number.to_string()),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// `1e20` as `1.0e+20`: YAML 1.1 wants a dot in a float, and a sign in its exponent.
fn number_text(json: &str) -> String {
    let Some((mantissa, exponent)) = json.split_once('e') else { return json.to_owned() };
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{dot}e{sign}{exponent}")
}

/// Whether a literal block gives the text back exactly, without an indentation indicator.
fn fits_block(text: &str) -> bool {
    let Some((first, _)) = text.split_once('\n') else { return false };
    let last = text.trim_end_matches('\n').rsplit('\n').next().unwrap_or("");
    !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && !last.trim_matches([' ', '\t']).is_empty()
        && text.chars().all(|c| c == '\n' || c == '\t' || printable(c))
}

fn quoted_where_needed(text: &str) -> String {
    if fits_plain(text) {
        text.to_owned()
    } else if text.contains(['"', '\\']) && text.chars().all(printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

fn fits_plain(text: &str) -> bool {
    const INDICATORS: [char; 20] =
        ['?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '=', '<'];
    let safe_start = match text.strip_prefix('-') {
        Some(rest) => !rest.is_empty() && !rest.starts_with(' ') && !rest.starts_with("--"),
        None => !text.starts_with(INDICATORS) && !text.starts_with("..."),
    };
    safe_start
        && matches!(Scalar::plain(text), Scalar::Str(_))
        && !is_word_for_some(text)
        && !is_number_for_some(text)
        && !(text.starts_with(' ') || text.ends_with([' ', ':']))
        && !(text.contains(": ") || text.contains(" #"))
        && text.chars().all(printable)
}

/// Words that some reader takes for a boolean or null, in any case.
fn is_word_for_some(text: &str) -> bool {
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nil", "nan"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What is made like a number, a time, a date or an address: commit ids such as `4945e8` are among them.
fn is_number_for_some(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_hexdigit() || "xXoO_:.+-tTzZ ".contains(c))
}

/// Characters that all readers take as they are; what turns the direction of writing is escaped, to be seen.
fn printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => true,
        _ => false,
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if printable(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_reader_mistakes_stays_unquoted() {
        for text in [
            "web",
            "nginx:1.27",
            "http://x:80/?a=b",
            "a b",
            "100m",
            "128Mi",
            "--port=80",
            "-v",
            "a, b",
            "x#y",
            "it's",
            "/bin/sh",
            "$(VAR)",
            "é",
            "app.kubernetes.io/name",
            "a[0]",
            "4945f8g",
        ] {
            assert_eq!(quoted_where_needed(text), text);
        }
        for text in [
            "",
            "y",
            "N",
            "yes",
            "on",
            "Off",
            "TRUE",
            "tRUE",
            "~",
            "null",
            "Null",
            "0644",
            "1e3",
            "12:30",
            "1_000",
            "2001-01-01",
            "4945e8",
            "4945f8e",
            "0x1f",
            "0o17",
            "-1",
            "+1",
            ".5",
            ".inf",
            "1.0",
            "1.2.3",
            "-",
            "- a",
            "---",
            "--- a",
            "...",
            "a: b",
            "a:",
            "a #b",
            " a",
            "a ",
            "{a",
            "[a",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "?",
            "? a",
            ":",
            ": a",
            "#a",
            "=",
            "<<",
            "'a",
            ",a",
            "2001-12-14 21:59:43.10",
            "0x_1",
            "._5",
        ] {
            assert_eq!(quoted_where_needed(text), format!("\"{text}\""));
        }
        assert_eq!(quoted_where_needed("\"a\""), "'\"a\"'");
        assert_eq!(quoted_where_needed("a\\b's: c"), "'a\\b''s: c'");
        assert_eq!(quoted_where_needed("a\tb\u{1}\u{2028}\u{202e}"), "\"a\\tb\\u0001\\u2028\\u202e\"");
    }

    #[test]
    fn floats_are_floats_for_readers_of_yaml_1_1_too() {
        for (float, text) in [(1e20, "1.0e+20"), (1.5e-7, "1.5e-7"), (1.5, "1.5"), (-1e300, "-1.0e+300")] {
            assert_eq!(emit(&Value::from(float)), format!("{text}\n"));
        }
    }

    #[test]
    fn several_lines_become_a_block_where_that_is_exact() {
        for (text, block) in [
            ("a\nb", "k: |-\n  a\n  b\n"),
            ("a\nb\n", "k: |\n  a\n  b\n"),
            ("a\n\n", "k: |+\n  a\n\n"),
            ("a\n\n  b\n\tc\n", "k: |\n  a\n\n    b\n  \tc\n"),
            (" a\nb", "k: \" a\\nb\"\n"),
            ("\na", "k: \"\\na\"\n"),
            ("a\n  ", "k: \"a\\n  \"\n"),
            ("a\r\nb", "k: \"a\\r\\nb\"\n"),
            ("\n", "k: \"\\n\"\n"),
        ] {
            assert_eq!(emit(&serde_json::json!({ "k": text })), block, "{text:?}");
        }
    }

    #[test]
    fn the_layout_is_that_of_kubectl() {
        let value = serde_json::json!({
            "b": {"list": [{"x": 1, "z": ["p", [1.5, null]]}, [], {}], "none": {}},
            "a": [[["deep"]], "x\ny"],
        });
        let text = "b:\n  list:\n  - x: 1\n    z:\n    - p\n    - - 1.5\n      - null\n  - []\n  - {}\n  none: {}\n\
                    a:\n- - - deep\n- |-\n  x\n  y\n";
        assert_eq!(emit(&value), text);
    }
}
