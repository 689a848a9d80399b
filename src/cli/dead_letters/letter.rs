//! A letter as it is printed: its row readable, its age, its change as JSON.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::columns::cut;
use crate::cli::status::duration;
use crate::config::LinkName;
use crate::config::pattern::matches;
use crate::link::notes::{MissedKey, Why};
use crate::link::ports::StoredLetter;
use crate::plan::record::recorded_key;

/// Characters of a row's name that are shown in a line.
const ROW_CHARS_MAX: usize = 40;
/// Characters of an error that are shown in a line.
const ERROR_CHARS_MAX: usize = 100;

/// A letter with all its fields, for machines.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    link: String,
    id: u64,
    table: &'a str,
    source_table: &'a str,
    row: &'a str,
    old_row: Option<&'a str>,
    key: Option<Box<RawValue>>,
    operation: &'a str,
    position: &'a str,
    ordinal: u64,
    kind: &'a str,
    error: &'a str,
    hint: String,
    changes: u64,
    attempts: u32,
    made_us: i64,
    tried_us: Option<i64>,
    asked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Box<RawValue>>,
}

impl<'a> Fields<'a> {
    /// All but the change.
    pub(super) fn brief(link: &LinkName, letter: &'a StoredLetter) -> Fields<'a> {
        Fields {
            link: link.to_string(),
            id: letter.id,
            table: &letter.table,
            source_table: &letter.source_table,
            row: &letter.row,
            old_row: letter.old_row.as_deref(),
            key: key_json(&letter.row).and_then(|key| RawValue::from_string(key).ok()),
            operation: &letter.operation,
            position: &letter.position,
            ordinal: letter.ordinal,
            kind: &letter.reason.kind,
            error: &letter.reason.text,
            hint: hint(link, letter),
            changes: letter.changes,
            attempts: letter.attempts,
            made_us: letter.made_us,
            tried_us: letter.tried_us,
            asked: letter.asked,
            change: None,
        }
    }

    /// All of it. A change that is no JSON, which no weir writes, stands there as a text.
    pub(super) fn whole(link: &LinkName, letter: &'a StoredLetter) -> Fields<'a> {
        let as_text = || {
            RawValue::from_string(serde_json::Value::from(letter.change.as_str()).to_string()).ok()
        };
        // Between the values of JSON a line break is a blank; within one there is none.
        let line = letter.change.replace(['\n', '\r'], " ");
        let change = RawValue::from_string(line).ok().or_else(as_text);
        Fields { change, ..Fields::brief(link, letter) }
    }
}

/// What to do about a letter; what only waits for another has no hint of its own.
pub(super) fn hint(link: &LinkName, letter: &StoredLetter) -> String {
    letter.reason.hint.replace("LINK", &link.to_string())
}

/// Whether a pattern of tables means the letter's, here or there.
pub(super) fn is_of(letter: &StoredLetter, pattern: &str) -> bool {
    [&letter.table, &letter.source_table].into_iter().any(|table| {
        table.split_once('.').is_some_and(|(schema, table)| matches(pattern, schema, table))
    })
}

/// A row's key for people, `5, "A-17"`; what cannot be read as one stands as it is.
pub(in crate::cli) fn key(row: &str) -> String {
    let Some(json) = key_json(row) else { return row.to_owned() };
    let values = json.strip_prefix('[').and_then(|json| json.strip_suffix(']')).unwrap_or(&json);
    match MissedKey::set_aside(0, row) {
        Ok(MissedKey { why: Why::Unconverted, .. }) => format!("{values} (at the source)"),
        _ => values.to_owned(),
    }
}

/// A row's key, short enough for a line.
pub(super) fn short_key(row: &str) -> String {
    cut(&key(row), ROW_CHARS_MAX)
}

/// The letter's error in a line.
pub(super) fn short_error(letter: &StoredLetter) -> String {
    cut(&letter.reason.text, ERROR_CHARS_MAX)
}

/// Time since a moment, for people.
pub(in crate::cli) fn age(at_us: i64, now_us: i64) -> String {
    duration(now_us.saturating_sub(at_us).max(0) / 1_000_000)
}

/// `1 row`, `2 rows`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn key_json(row: &str) -> Option<String> {
    MissedKey::set_aside(0, row).ok().map(|missed| recorded_key(&missed.key))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::link::ports::Reason;

    /// A letter of table `d.t` with this number and row.
    pub(in crate::cli::dead_letters) fn letter(id: u64, row: &str) -> StoredLetter {
        StoredLetter {
            id,
            table: "d.t".to_owned(),
            source_table: "s.t".to_owned(),
            row: row.to_owned(),
            old_row: None,
            operation: "update".to_owned(),
            position: "pg:0/1".to_owned(),
            ordinal: 0,
            reason: Reason {
                kind: "value".to_owned(),
                text: "table s.t, column a into int: out_of_range".to_owned(),
                hint: "run `weir explain LINK`".to_owned(),
            },
            change: r#"{"of":"source","after":{"b":1,"a":1.10}}"#.to_owned(),
            changes: 1,
            attempts: 1,
            made_us: 1_000_000,
            tried_us: None,
            asked: false,
        }
    }

    fn link() -> LinkName {
        LinkName { source: "shop".to_owned(), target: "dwh".to_owned() }
    }

    /// Broken if nobody could tell which row is meant, or a name that is none brought the verb down.
    #[test]
    fn rows_are_readable() {
        for (row, shown) in [
            (r#"[["int","5"]]"#, "5"),
            (r#"[["int","-5"],["text","a\"b"]]"#, r#"-5, "a\"b""#),
            (r#"source [["date","59"]]"#, r#""2000-02-29" (at the source)"#),
            ("nonsense", "nonsense"),
            ("", ""),
        ] {
            assert_eq!(key(row), shown);
        }
        let long = format!(r#"[["text","{}"]]"#, "ü".repeat(1 << 20));
        assert!(short_key(&long).chars().count() <= ROW_CHARS_MAX + 1);
        assert_eq!(short_key("a\nb\u{1b}[31m"), "a b [31m");
    }

    /// Broken if a machine read another letter than is stored, or a listing held whole changes.
    #[test]
    fn machines_get_every_field() {
        let letter = letter(7, r#"[["int","5"]]"#);
        let whole = serde_json::to_string(&Fields::whole(&link(), &letter)).unwrap();
        // As it was written: neither sorted nor rounded.
        assert!(whole.contains(r#""change":{"of":"source","after":{"b":1,"a":1.10}}"#), "{whole}");
        let read: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!((&read["id"], &read["key"][0]), (&7.into(), &5.into()));
        assert_eq!(read["hint"], "run `weir explain shop:dwh`");
        assert_eq!(read["row"], r#"[["int","5"]]"#);
        let broken = StoredLetter { change: "{".to_owned(), row: "?".to_owned(), ..letter.clone() };
        let read = serde_json::to_value(Fields::whole(&link(), &broken)).unwrap();
        assert_eq!((&read["change"], &read["key"]), (&"{".into(), &serde_json::Value::Null));
        let brief = serde_json::to_string(&Fields::brief(&link(), &letter)).unwrap();
        assert!(!brief.contains("\"change\":"), "{brief}");
    }

    /// Broken if a pattern chose letters of other tables, or did not know the source's names.
    #[test]
    fn patterns_know_both_names() {
        let letter = letter(1, "");
        for (pattern, expected) in
            [("d.t", true), ("s.*", true), ("*.t", true), ("d.t2", false), ("t.d", false)]
        {
            assert_eq!(is_of(&letter, pattern), expected, "{pattern}");
        }
    }
}
