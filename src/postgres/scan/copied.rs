//! Rows as `COPY … TO STDOUT` prints them: which fields are asked for, and what they are.
//!
//! The text of a field is made by the type's output function, as in the log, and goes through the same
//! decoder; what COPY adds are tabs between fields, a backslash before some characters, and `\N` for
//! NULL. Text that is kept is copied once, into one buffer of its row; that of large rows not at all.
//! Source: PostgreSQL manual, "COPY", "Text Format".

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::super::decode::{decode, kept_bytes};
use super::super::sql::quote;
use super::{source_column, unexpected};
use crate::error::{Error, Kind, Result};
use crate::model::{Row, Value};
use crate::plan::TablePlan;

/// Rows from this size on stay in the read buffer if at least half of them is kept.
const SHARE_BYTES_MIN: usize = 256 << 10;

/// What is asked for, and where it stands in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// Expressions of the list of a SELECT.
    pub(super) list: Vec<String>,
    /// The field and the column of the source table, for each planned column.
    values: Vec<(usize, usize)>,
    /// The fields that are the row's place.
    place: Vec<usize>,
    /// The field that says whether the row is one of those that are wanted.
    wanted: Option<usize>,
}

/// A row that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Copied {
    /// The row, as wide as the source table; `None` where it is not wanted.
    pub(super) row: Option<Row>,
    /// Bytes of its values.
    pub(super) bytes: usize,
}

impl Fields {
    /// The planned columns of `table` under `alias`, and the expressions `place`. With `wanted`, an
    /// expression, values come only of rows for which it is true, and all places.
    pub(super) fn of(
        table: &TablePlan,
        alias: &str,
        place: &[String],
        wanted: Option<&str>,
    ) -> Result<Fields> {
        let (mut list, mut values) = (Vec::new(), Vec::new());
        for column in &table.columns {
            let name = quote(&source_column(table, column.source)?.name);
            values.push((list.len(), column.source));
            list.push(format!("{alias}.{name}"));
        }
        let mut places = Vec::new();
        for expression in place {
            let known = list.iter().position(|listed| listed == expression);
            let at = known.filter(|_| wanted.is_none()).unwrap_or_else(|| {
                list.push(expression.clone());
                list.len() - 1
            });
            places.push(at);
        }
        let wanted = wanted.map(|expression| {
            list.push(expression.to_owned());
            list.len() - 1
        });
        Ok(Fields { list, values, place: places, wanted })
    }

    /// The list, each field with a name; and the list of those to be taken from it.
    pub(super) fn lists(&self) -> (String, String) {
        let inner = self.list.iter().enumerate();
        let inner: Vec<String> = inner.map(|(at, text)| format!("{text} AS c{at}")).collect();
        let outer: Vec<String> = (0..self.list.len())
            .map(|at| match self.wanted {
                Some(wanted) if at < self.values.len() => {
                    format!("CASE WHEN s.c{wanted} THEN s.c{at} END")
                }
                _ => format!("s.c{at}"),
            })
            .collect();
        (inner.join(", "), outer.join(", "))
    }

    /// Reads one row, without its line end.
    pub(super) fn read(&self, table: &TablePlan, line: &Bytes) -> Result<Copied> {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
        if fields.len() != self.list.len().max(1) {
            return Err(unexpected());
        }
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        if self.wanted.is_some_and(|at| field(at) != b"t") {
            return Ok(Copied { row: None, bytes: 0 });
        }
        let mut kept = 0;
        let mut bytes = 0;
        for (at, column) in &self.values {
            kept += kept_bytes(&source_column(table, *column)?.ty, field(*at));
            bytes += if is_null(field(*at)) { 0 } else { field(*at).len() };
        }
        let shared = line.len() >= SHARE_BYTES_MIN && kept >= line.len() / 2;
        let mut copies = BytesMut::with_capacity(if shared { 0 } else { kept });
        let mut values = vec![Value::Unchanged; table.source.columns.len()];
        for (at, column) in &self.values {
            let described = source_column(table, *column)?;
            let value = match field(*at) {
                field if is_null(field) => Ok(Value::Null),
                field => match unescaped(field).ok_or_else(unexpected)? {
                    Cow::Borrowed(text) if shared => {
                        decode(&described.ty, text, |part| line.slice_ref(part))
                    }
                    text => decode(&described.ty, &text, |part| {
                        copies.extend_from_slice(part);
                        copies.split().freeze()
                    }),
                },
            };
            let value = value.map_err(|error| {
                let context = format!("column `{}`", described.name);
                Error::new(Kind::Malformed, context).caused_by(error)
            })?;
            if let Some(place) = values.get_mut(*column) {
                *place = value;
            }
        }
        Ok(Copied { row: Some(Row::from(values)), bytes })
    }

    /// The texts of a row's place. Apart from [`Fields::read`], because most often only the last row's is
    /// asked for.
    pub(super) fn place(&self, line: &[u8]) -> Result<Vec<String>> {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
        let field = |at: &usize| fields.get(*at).copied().ok_or_else(unexpected);
        self.place.iter().map(|at| text(field(at)?)).collect()
    }
}

fn is_null(field: &[u8]) -> bool {
    field == b"\\N"
}

/// The text of a field that is not NULL.
fn text(field: &[u8]) -> Result<String> {
    if is_null(field) {
        return Err(unexpected());
    }
    let text = unescaped(field).ok_or_else(unexpected)?;
    String::from_utf8(text.into_owned()).map_err(|error| unexpected().caused_by(error))
}

/// A field without its escapes; `None` where there is one that the server does not write.
fn unescaped(field: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = field.iter().position(|byte| *byte == b'\\') else {
        return Some(Cow::Borrowed(field));
    };
    // All of a field of bytes but for its beginning, `\\x`.
    if let Some(rest) = field.strip_prefix(b"\\\\")
        && !rest.contains(&b'\\')
    {
        return Some(Cow::Borrowed(field.get(1..)?));
    }
    let (plain, mut rest) = field.split_at_checked(first)?;
    let mut text = Vec::with_capacity(field.len());
    text.extend_from_slice(plain);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        let (escaped, after) = rest.split_first()?;
        rest = after;
        text.push(match escaped {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' => b'\\',
            _ => return None,
        });
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::sql::tests::{every_type, plan};

    fn line(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    /// Broken if a character of a value were taken for the end of its field, or an escape for the value.
    #[test]
    fn fields_are_what_was_printed() {
        for (field, expected) in [
            ("plain", Some("plain")),
            ("", Some("")),
            (r"a\tb\nc\rd\be\ff\vg\\h", Some("a\tb\nc\rd\u{8}e\u{c}f\u{b}g\\h")),
            (r"\\x6162", Some(r"\x6162")),
            (r"\\N", Some(r"\N")),
            (r"\\\\", Some(r"\\")),
            (r"\\a\\", Some(r"\a\")),
            (r"\q", None),
            (r"a\", None),
        ] {
            let read = unescaped(field.as_bytes());
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{field}");
        }
    }

    /// Broken if a value came into another column, or a NULL for a text of the same look.
    #[test]
    fn rows_are_as_wide_as_their_table() {
        let mut table = plan("t", every_type().into_iter().take(4).collect(), &[0]);
        table.columns.remove(2);
        let place = ["t.\"id\"".to_owned(), "t.ctid".to_owned()];
        let fields = Fields::of(&table, "t", &place, None).expect("fields");
        assert_eq!(fields.list, ["t.\"id\"", "t.\"region\"", "t.\"small\"", "t.ctid"]);
        let read = fields.read(&table, &line("7\t\\\\N\t\\N\t(0,1)")).expect("a row");
        let expected =
            [Value::Int(7), Value::Text("\\N".into()), Value::Unchanged, Value::Null].to_vec();
        assert_eq!(read.row, Some(Row::from(expected)));
        assert_eq!(fields.place(b"7\t\\\\N\t\\N\t(0,1)").expect("a place"), ["7", "(0,1)"]);
        assert_eq!(read.bytes, 1 + 3);
        assert!(fields.read(&table, &line("7\tx\t1")).is_err());
        assert!(fields.read(&table, &line("7\tx\tone\t(0,1)")).is_err());
    }

    /// Broken if a row that is not wanted were copied, or its place were lost.
    #[test]
    fn rows_that_are_not_wanted_leave_their_place() {
        let table = plan("t", every_type().into_iter().take(2).collect(), &[0]);
        let place = ["t.\"id\"".to_owned()];
        let fields = Fields::of(&table, "t", &place, Some("(x)")).expect("fields");
        assert_eq!(fields.list, ["t.\"id\"", "t.\"region\"", "t.\"id\"", "(x)"]);
        let (_, outer) = fields.lists();
        assert!(outer.starts_with("CASE WHEN s.c3 THEN s.c0 END, CASE") && outer.ends_with("s.c3"));
        let read = fields.read(&table, &line("\\N\t\\N\t7\tf")).expect("a row");
        assert_eq!(read, Copied { row: None, bytes: 0 });
        assert_eq!(fields.place(b"\\N\t\\N\t7\tf").expect("a place"), ["7"]);
        let read = fields.read(&table, &line("7\tx\t7\tt")).expect("a row");
        assert!(read.row.is_some());
    }
}
