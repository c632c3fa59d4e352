//! What a scalar means: the table by which kubectl turns `0644` into 420 and `yes` into true.
//!
//! Kubernetes reads manifests with `sigs.k8s.io/yaml` over `go.yaml.in/yaml/v2`, whose [`resolve.go`][1] is the
//! rule here, quirks included: YAML 1.1, except that `1:30` stays a string. The facts in the tests were taken
//! from that program.
//!
//! [1]: https://github.com/yaml/go-yaml/blob/v2.4.3/resolve.go

use serde_json::{Number, Value};

/// A scalar that has been given its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    Uint(u64),
    Float(f64),
    Str(String),
}

/// Why a scalar has no type or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScalarFault {
    /// The tag says one thing and the text another.
    Tag { tag: String },
    /// `!!binary`.
    Binary,
    /// `.nan` or `.inf`.
    NotFinite,
    /// As a key of a mapping: null, or a number above `i64::MAX`.
    Key(&'static str),
}

impl Scalar {
    /// The type of a plain (unquoted) scalar without a tag.
    pub(crate) fn plain(text: &str) -> Scalar {
        let typed = match text.bytes().next() {
            None => Some(Scalar::Null),
            Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => word(text),
            Some(b'.') => not_finite(text).or_else(|| float_after_dot(text)),
            Some(b'+' | b'-' | b'0'..=b'9') => not_finite(text).or_else(|| number(text)),
            Some(_) => None,
        };
        typed.unwrap_or_else(|| Scalar::Str(text.to_owned()))
    }

    /// The type of a scalar with a tag; `tag` is what stands behind `!!`, or the whole of a private tag.
    pub(crate) fn tagged(text: &str, tag: &str) -> Result<Scalar, ScalarFault> {
        let fault = || ScalarFault::Tag { tag: tag.to_owned() };
        match (tag, Scalar::plain(text)) {
            ("binary", _) => Err(ScalarFault::Binary),
            ("bool", typed @ Scalar::Bool(_))
            | ("int", typed @ (Scalar::Int(_) | Scalar::Uint(_)))
            | ("float", typed @ Scalar::Float(_))
            | ("null", typed @ Scalar::Null) => Ok(typed),
            #[expect(clippy::cast_precision_loss, reason = "what Go does")]
            ("float", Scalar::Int(int)) => Ok(Scalar::Float(int as f64)),
            ("bool" | "int" | "float" | "null", _) => Err(fault()),
            _ => Ok(Scalar::Str(text.to_owned())),
        }
    }

    /// Whether this is that string.
    pub(crate) fn is_text(&self, expected: &str) -> bool {
        matches!(self, Scalar::Str(text) if text == expected)
    }

    /// The JSON value.
    pub(crate) fn into_value(self) -> Result<Value, ScalarFault> {
        Ok(match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(bool) => Value::Bool(bool),
            Scalar::Int(int) => Value::from(int),
            Scalar::Uint(uint) => Value::from(uint),
            Scalar::Float(float) => float_value(float)?,
            Scalar::Str(text) => Value::String(text),
        })
    }

    /// The text that this scalar becomes as a key.
    pub(crate) fn into_key(self) -> Result<String, ScalarFault> {
        Ok(match self {
            Scalar::Null => return Err(ScalarFault::Key("null")),
            Scalar::Uint(_) => return Err(ScalarFault::Key("a number of more than 63 bits")),
            Scalar::Bool(bool) => bool.to_string(),
            Scalar::Int(int) => int.to_string(),
            Scalar::Float(float) => float_key(float),
            Scalar::Str(text) => text,
        })
    }
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => return None,
    })
}

fn not_finite(text: &str) -> Option<Scalar> {
    Some(Scalar::Float(match text {
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        _ => return None,
    }))
}

/// A float that begins with its dot: here, and only here, a `_` counts only between two digits.
fn float_after_dot(text: &str) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between_digits = |at: usize| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1));
    if (0..bytes.len()).any(|at| bytes[at] == b'_' && !between_digits(at)) {
        return None;
    }
    float(&text.replace('_', ""))
}

fn number(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain)).or_else(|| signed_binary(&plain))
}

/// An integer with the prefixes of Go: `0x`, `0o`, `0b`, and a bare `0` for octal.
fn integer(plain: &str) -> Option<Scalar> {
    let (sign, digits) = match plain.as_bytes().first()? {
        b'-' => (Some('-'), &plain[1..]),
        b'+' => (Some('+'), &plain[1..]),
        _ => (None, plain),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (sign, i64::try_from(magnitude)) {
        (Some('-'), _) => 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int),
        (_, Ok(int)) => Some(Scalar::Int(int)),
        (None, Err(_)) => Some(Scalar::Uint(magnitude)),
        (Some(_), Err(_)) => None,
    }
}

/// `0b-11`, which go-yaml takes for -3.
fn signed_binary(plain: &str) -> Option<Scalar> {
    i64::from_str_radix(plain.strip_prefix("0b")?, 2).ok().map(Scalar::Int)
}

/// A decimal float; one that is too large is no float (and so a string).
fn float(plain: &str) -> Option<Scalar> {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let some_digits = |text: &str| !text.is_empty() && all_digits(text);
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => some_digits(fraction),
        Some((whole, fraction)) => some_digits(whole) && all_digits(fraction),
        None => some_digits(mantissa),
    };
    let exponent_fits =
        exponent.is_none_or(|text| some_digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    if !(mantissa_fits && exponent_fits) {
        return None;
    }
    plain.parse::<f64>().ok().filter(|float| float.is_finite()).map(Scalar::Float)
}

/// A float as JSON: Go writes `1.0` as `1`, which the API server reads as an integer.
fn float_value(float: f64) -> Result<Value, ScalarFault> {
    let Some(number) = Number::from_f64(float) else { return Err(ScalarFault::NotFinite) };
    Ok(match float.to_string().parse::<i64>() {
        Ok(int) => Value::from(int),
        Err(_) => Value::Number(number),
    })
}

/// A float as a key: Go's `strconv.FormatFloat(f, 'g', -1, 32)`, so `1.10` becomes `1.1`.
fn float_key(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "what Go does")]
    let single = float as f32;
    if single.is_nan() {
        return ".nan".to_owned();
    }
    if single.is_infinite() {
        return if single > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{single:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if single != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    single.to_string()
}

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
