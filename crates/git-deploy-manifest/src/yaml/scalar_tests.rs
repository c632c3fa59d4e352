//! Facts taken from `sigs.k8s.io/yaml` 1.6.0 (`go.yaml.in/yaml/v2` 2.4.3).

use serde_json::{Value, json};

use super::*;

fn value(text: &str) -> Value {
    Scalar::plain(text).into_value().unwrap()
}

#[test]
fn booleans_and_null_are_those_of_yaml_1_1() {
    for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
        assert_eq!(value(text), json!(true), "{text}");
    }
    for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
        assert_eq!(value(text), json!(false), "{text}");
    }
    for text in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(value(text), json!(null), "{text}");
    }
    for text in ["tRUE", "nULL", "yEs", "oN", "none", "~x", "_", "=", "<<", "nan", "infinity"] {
        assert_eq!(value(text), json!(text), "{text}");
    }
}

#[test]
fn integers_are_those_of_go() {
    for (text, expected) in [
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("0O17", json!(15)),
        ("0x1F", json!(31)),
        ("0X1f", json!(31)),
        ("-0x1F", json!(-31)),
        ("+12", json!(12)),
        ("1_000", json!(1000)),
        ("1__0", json!(10)),
        ("1_", json!(1)),
        ("-_1", json!(-1)),
        ("0_7", json!(7)),
        ("0x_1", json!(1)),
        ("00", json!(0)),
        ("-0", json!(0)),
        ("0b11", json!(3)),
        ("0B11", json!(3)),
        ("-0b11", json!(-3)),
        ("0b-11", json!(-3)),
        ("20010101", json!(20_010_101)),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
        ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
        ("0x8000000000000000", json!(9_223_372_036_854_775_808_u64)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("-9223372036854775808", json!(-9_223_372_036_854_775_808_i64)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn floats_are_those_of_go_and_whole_ones_become_integers() {
    for (text, expected) in [
        ("1.5", json!(1.5)),
        ("09.5", json!(9.5)),
        ("00.5", json!(0.5)),
        ("08", json!(8)),
        ("1.0", json!(1)),
        ("1.", json!(1)),
        ("1e3", json!(1000)),
        ("1e+3", json!(1000)),
        ("12e03", json!(12000)),
        ("4945e8", json!(494_500_000_000_i64)),
        (".5", json!(0.5)),
        ("+.5", json!(0.5)),
        ("-.5", json!(-0.5)),
        (".5e3", json!(500)),
        (".5_0", json!(0.5)),
        (".5e1_0", json!(5_000_000_000_i64)),
        ("1_0.5_0", json!(10.5)),
        ("1._5", json!(1.5)),
        ("1.5_", json!(1.5)),
        ("1e-999", json!(0)),
        ("-0.0", json!(0)),
        ("1e-7", json!(1e-7)),
        ("1e20", json!(1e20)),
        ("1e21", json!(1e21)),
        ("+9223372036854775808", json!(9.223_372_036_854_776e18)),
        ("18446744073709551616", json!(18_446_744_073_709_552_000.0)),
        ("-9223372036854775809", json!(-9_223_372_036_854_776_000.0)),
        ("1234567890123456789.0", json!(1_234_567_890_123_456_800_i64)),
        ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_number_stays_a_string() {
    for text in [
        "1:30",
        "190:20:30",
        "2001-01-01",
        "2001-1-1",
        "2001-12-14t21:59:43.10-05:00",
        "2001-12-14 21:59:43.10",
        "1.2.3",
        "0x1p-2",
        "0x",
        "0b",
        "0b12",
        "0b1.5",
        "-0x",
        "1e",
        "1e+",
        ".",
        "+",
        "-",
        "._5",
        ".5_",
        ".5__0",
        ".5_e3",
        "_1",
        "1e999",
        ".5e999",
        "+.5e999",
        "0xFFFFFFFFFFFFFFFFF",
        "100m",
        "128Mi",
        "4945f8e",
        "+-1",
        "--1",
    ] {
        assert_eq!(value(text), json!(text), "{text}");
    }
}

#[test]
fn what_is_not_finite_has_no_value() {
    for text in [".nan", ".NaN", ".inf", "-.inf", "+.INF"] {
        assert_eq!(Scalar::plain(text).into_value(), Err(ScalarFault::NotFinite), "{text}");
    }
}

#[test]
fn a_tag_decides_where_the_text_allows_it() {
    for (tag, text, expected) in [
        ("str", "123", json!("123")),
        ("str", "", json!("")),
        ("str", "~", json!("~")),
        ("int", "12", json!(12)),
        ("int", "0644", json!(420)),
        ("float", "3", json!(3)),
        ("float", "9007199254740993", json!(9_007_199_254_740_992_i64)),
        ("float", ".5", json!(0.5)),
        ("bool", "yes", json!(true)),
        ("null", "~", json!(null)),
        ("timestamp", "2001-01-01", json!("2001-01-01")),
        ("map", "foo", json!("foo")),
        ("!foo", "12", json!("12")),
        ("!", "12", json!("12")),
    ] {
        assert_eq!(Scalar::tagged(text, tag).unwrap().into_value().unwrap(), expected, "!!{tag} {text}");
    }
    for (tag, text) in [
        ("int", "yes"),
        ("int", "1.0"),
        ("int", ""),
        ("bool", "1"),
        ("bool", "~"),
        ("null", "foo"),
        ("float", "18446744073709551615"),
        ("float", "yes"),
    ] {
        assert_eq!(
            Scalar::tagged(text, tag),
            Err(ScalarFault::Tag { tag: tag.to_owned() }),
            "!!{tag} {text}"
        );
    }
    assert_eq!(Scalar::tagged("aGVsbG8=", "binary"), Err(ScalarFault::Binary));
}

#[test]
fn keys_become_strings_as_in_go() {
    for (text, expected) in [
        ("1", "1"),
        ("0644", "420"),
        ("on", "true"),
        ("N", "false"),
        ("1.5", "1.5"),
        ("1.10", "1.1"),
        ("0.1", "0.1"),
        ("-0.0", "-0"),
        ("1e5", "100000"),
        ("3.14159265358979", "3.1415927"),
        ("1234567.0", "1.234567e+06"),
        ("16777217.0", "1.6777216e+07"),
        ("123456.7", "123456.7"),
        ("100000000.0", "1e+08"),
        ("1e21", "1e+21"),
        ("0.00001", "1e-05"),
        (".inf", ".inf"),
        ("-.inf", "-.inf"),
        (".nan", ".nan"),
        ("2001-01-01", "2001-01-01"),
    ] {
        assert_eq!(Scalar::plain(text).into_key().as_deref(), Ok(expected), "{text}");
    }
    for text in ["~", "", "18446744073709551615"] {
        assert!(Scalar::plain(text).into_key().is_err(), "{text}");
    }
}
