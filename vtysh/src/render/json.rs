//! JSON laid out as json-c lays it out, because scripts compare text.

use std::io::{self, Write};

use serde_json::Value;

/// Whether `/` is written as `\/`. json-c does so unless told otherwise, and
/// FRR tells it so for some commands only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slashes {
    Plain,
    Escaped,
}

/// Writes `value` in the pretty layout, its first line unindented and the
/// following ones two spaces per level from `level` on.
pub(crate) fn pretty(
    out: &mut dyn Write,
    value: &Value,
    level: usize,
    slashes: Slashes,
) -> io::Result<()> {
    match value {
        Value::Object(map) => {
            out.write_all(b"{\n")?;
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",\n")?;
                }
                indent(out, level + 1)?;
                string(out, key, slashes)?;
                out.write_all(b":")?;
                pretty(out, value, level + 1, slashes)?;
            }
            close(out, level, map.is_empty(), "}")
        }
        Value::Array(list) => {
            out.write_all(b"[\n")?;
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",\n")?;
                }
                indent(out, level + 1)?;
                pretty(out, value, level + 1, slashes)?;
            }
            close(out, level, list.is_empty(), "]")
        }
        scalar => self::scalar(out, scalar, slashes),
    }
}

/// Writes a whole document and ends the line.
pub(crate) fn document(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    pretty(out, value, 0, Slashes::Plain)?;
    out.write_all(b"\n")
}

/// Writes an object entry by entry, with escaped slashes, and ends the line.
pub(crate) fn entries<'k>(
    out: &mut dyn Write,
    entries: impl Iterator<Item = (&'k str, Value)>,
) -> io::Result<()> {
    out.write_all(b"{\n")?;
    let mut empty = true;
    for (key, value) in entries {
        if !empty {
            out.write_all(b",\n")?;
        }
        empty = false;
        indent(out, 1)?;
        string(out, key, Slashes::Escaped)?;
        out.write_all(b":")?;
        pretty(out, &value, 1, Slashes::Escaped)?;
    }
    close(out, 0, empty, "}\n")
}

/// Writes `value` without any blank.
pub(crate) fn compact(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Object(map) => {
            out.write_all(b"{")?;
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                string(out, key, Slashes::Plain)?;
                out.write_all(b":")?;
                compact(out, value)?;
            }
            out.write_all(b"}")
        }
        Value::Array(list) => {
            out.write_all(b"[")?;
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                compact(out, value)?;
            }
            out.write_all(b"]")
        }
        scalar => self::scalar(out, scalar, Slashes::Plain),
    }
}

fn close(out: &mut dyn Write, level: usize, empty: bool, bracket: &str) -> io::Result<()> {
    if !empty {
        out.write_all(b"\n")?;
    }
    indent(out, level)?;
    out.write_all(bracket.as_bytes())
}

/// Writes the blanks in front of a line at `level`.
pub(crate) fn indent(out: &mut dyn Write, level: usize) -> io::Result<()> {
    write!(out, "{:1$}", "", level * 2)
}

fn scalar(out: &mut dyn Write, value: &Value, slashes: Slashes) -> io::Result<()> {
    match value {
        Value::String(text) => string(out, text, slashes),
        other => write!(out, "{other}"),
    }
}

/// Writes a quoted string with json-c's escapes.
pub(crate) fn string(out: &mut dyn Write, text: &str, slashes: Slashes) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: Option<&[u8]> = match byte {
            b'"' => Some(b"\\\""),
            b'\\' => Some(b"\\\\"),
            b'\n' => Some(b"\\n"),
            b'\r' => Some(b"\\r"),
            b'\t' => Some(b"\\t"),
            0x08 => Some(b"\\b"),
            0x0c => Some(b"\\f"),
            b'/' if slashes == Slashes::Escaped => Some(b"\\/"),
            0..0x20 => Some(b""),
            _ => None,
        };
        let Some(escape) = escape else { continue };
        out.write_all(&text.as_bytes()[plain..at])?;
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}")?;
        } else {
            out.write_all(escape)?;
        }
        plain = at + 1;
    }
    out.write_all(&text.as_bytes()[plain..])?;
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn layout_is_json_cs() {
        let value = json!({"a": {}, "b": [], "c": [1, {"d": "n/a"}]});
        let expected = "{\n  \"a\":{\n  },\n  \"b\":[\n  ],\n  \"c\":[\n    1,\n    {\n      \"d\":\"n\\/a\"\n    }\n  ]\n}";
        assert_eq!(
            text(|out| pretty(out, &value, 0, Slashes::Escaped)),
            expected
        );
        assert_eq!(
            text(|out| compact(out, &value)),
            r#"{"a":{},"b":[],"c":[1,{"d":"n/a"}]}"#
        );
    }

    #[test]
    fn strings_survive_a_parser() {
        for original in [
            "",
            "a\"b\\c/d",
            "line\nend\t\u{1}\u{8}\u{c}\r",
            "söß \u{1f600}",
        ] {
            for slashes in [Slashes::Plain, Slashes::Escaped] {
                let written = text(|out| string(out, original, slashes));
                let read: String = serde_json::from_str(&written).expect("valid JSON");
                assert_eq!(read, original);
            }
        }
    }
}
