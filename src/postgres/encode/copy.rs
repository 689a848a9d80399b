//! Rows as `COPY … FROM STDIN` takes them: each value in the form that it has as a parameter, with what
//! would end a field, a row or the data escaped. What PostgreSQL cannot hold is the same error as there.
//! Source: PostgreSQL manual, "COPY", "Text Format".

use bytes::{BufMut, BytesMut};

use super::{Place, write_value};
use crate::error::Result;
use crate::model::{Row, Value};
use crate::postgres::sql::{Wire, wire};

/// Writes one row with its line end; `layout` says what each of its values is.
///
/// # Errors
/// As of a parameter: `Value` where the target cannot hold it.
pub fn write_row(row: &Row, layout: &[Place<'_>], out: &mut BytesMut) -> Result<()> {
    for (at, (value, place)) in row.iter().zip(layout).enumerate() {
        if at > 0 {
            out.put_u8(b'\t');
        }
        write_field(value, place, out)?;
    }
    out.put_u8(b'\n');
    Ok(())
}

fn write_field(value: &Value, place: &Place<'_>, out: &mut BytesMut) -> Result<()> {
    if let (Value::Bytes(bytes), Wire::Bytes) = (value, wire(place.column)) {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
        out.reserve(3 + 2 * bytes.len());
        out.put_slice(b"\\\\x");
        for byte in bytes {
            out.put_u8(digit(byte >> 4));
            out.put_u8(digit(byte & 0x0f));
        }
        return Ok(());
    }
    let start = out.len();
    if !write_value(value, place, out)? {
        out.put_slice(b"\\N");
        return Ok(());
    }
    if out.get(start..).unwrap_or_default().iter().any(|byte| escaped(*byte).is_some()) {
        let plain = out.split_off(start);
        for byte in plain {
            match escaped(byte) {
                Some(letter) => out.put_slice(&[b'\\', letter]),
                None => out.put_u8(byte),
            }
        }
    }
    Ok(())
}

/// What stands behind the backslash in place of a byte.
const fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::model::TableName;
    use crate::postgres::sql::tests::every_type;

    /// Broken if a value ended its field or the data, a NULL became a text, or a text a NULL.
    #[test]
    fn rows_are_escaped() {
        let table = TableName::new("shop", "t");
        let columns = every_type();
        let place = |at: usize, key| Place { table: &table, column: &columns[at], key };
        let layout = [place(0, true), place(1, false), place(9, false), place(1, false)];
        let write = |values: Vec<Value>| {
            let mut out = BytesMut::new();
            write_row(&Row::from(values), &layout, &mut out).map(|()| out.to_vec())
        };
        let row = |text: &str| {
            let bytes = Value::Bytes(vec![0, 0x5c, 0xff].into());
            vec![Value::Int(7), Value::Text(text.into()), bytes, Value::Null]
        };
        for (text, field) in [
            ("", ""),
            ("\\N", "\\\\N"),
            ("\\.", "\\\\."),
            ("a\tb\nc\rd\\", "a\\tb\\nc\\rd\\\\"),
            ("ä\u{b}", "ä\u{b}"),
        ] {
            let expected = format!("7\t{field}\t\\\\x005cff\t\\N\n");
            assert_eq!(write(row(text)).expect("fits"), expected.into_bytes());
        }
        let kind = |values| write(values).expect_err("refused").kind();
        assert_eq!(kind(row("a\0b")), Kind::Value);
        let mut without_key = row("");
        without_key[0] = Value::Null;
        assert_eq!(kind(without_key), Kind::Value);
        let mut unknown = row("");
        unknown[1] = Value::Unchanged;
        assert_eq!(kind(unknown), Kind::Internal);
    }
}
