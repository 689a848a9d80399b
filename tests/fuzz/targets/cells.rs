//! Cells of answers of MySQL and MariaDB, as values of every type; the first bytes say which of both.
//!
//! What is sent of a value and comes back is the same value.

use mysql_async::Value as Cell;
use weir::model::schema::JsonKind;
use weir::model::{Type, Value};
use weir::mysql::probe;

use super::{column, hold, refused};
use crate::{MEMORY, Target};

pub(super) const TARGET: Target = Target {
    name: "mysql_cells",
    seeds,
    words: &["-", "0", ".", "00", "127.0.0.1", "::1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    bytes_max: 2_000,
    memory: MEMORY,
    run,
};

fn types() -> Vec<Type> {
    let native = |name: &str| {
        let shape = weir::model::shape::Shape::Opaque;
        Type::Native { name: name.to_owned(), modifier: -1, shape }
    };
    vec![
        Type::Bool,
        Type::Int { bits: 64, unsigned: false },
        Type::Int { bits: 64, unsigned: true },
        Type::Year,
        Type::F32,
        Type::F64,
        Type::Decimal(None),
        Type::Char { chars: 9 },
        Type::Text { chars: None, bytes: None },
        Type::Json(JsonKind::Mysql),
        Type::Enum { labels: vec!["a".to_owned()] },
        Type::Binary { bytes: 4 },
        Type::Bytes { bytes: None },
        Type::Uuid,
        Type::Date,
        Type::Timestamp { digits: 6 },
        Type::Instant { digits: 3 },
        Type::Time { digits: 6 },
        native("bit"),
        native("inet4"),
        native("inet6"),
        native("set('a','b')"),
        native("geometry"),
    ]
}

/// A cell of one of the protocol's forms.
fn cell(form: u8, bytes: &[u8]) -> Cell {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let number = u64::from_le_bytes(std::array::from_fn(byte));
    match form % 7 {
        0 => Cell::Bytes(bytes.to_vec()),
        1 => Cell::Int(number as i64),
        2 => Cell::UInt(number),
        3 => Cell::Float(f32::from_bits(number as u32)),
        4 => Cell::Double(f64::from_bits(number)),
        // As the library reads them: their bytes are not looked at.
        5 => {
            let us = number as u32 % 1_000_000;
            Cell::Date(number as u16, byte(2), byte(3), byte(4), byte(5), byte(6), us)
        }
        _ => {
            let days = u32::from(byte(1)) << (byte(2) % 25);
            Cell::Time(byte(0) & 1 == 1, days, byte(4), byte(5), byte(6), number as u32)
        }
    }
}

fn run(input: &[u8]) -> Result<String, String> {
    let Some((&[kind, form], bytes)) = input.split_first_chunk::<2>() else {
        return Ok(String::new());
    };
    let types = types();
    let ty = &types[usize::from(kind) % types.len()];
    let column = column(ty.clone());
    let label = matches!(ty, Type::Enum { .. }).then_some(Cell::Int(1));
    let (value, sent) = match probe::cell(&column, cell(form, bytes), label.clone()) {
        Ok(read) => read,
        Err(error) => return Ok(format!("{ty:?} {}", refused(&error))),
    };
    let way = format!("{ty:?} {form} {:?}", std::mem::discriminant(&value));
    // Dates and times are sent as text; the server makes fields of it.
    let is_text = matches!(sent, Cell::Bytes(_));
    let is_moment = matches!(
        ty,
        Type::Date | Type::Timestamp { .. } | Type::Instant { .. } | Type::Time { .. }
    );
    if is_moment && is_text || matches!((ty, &value), (Type::F32, _) | (_, Value::Null)) {
        return Ok(way);
    }
    let again = probe::cell(&column, sent, label).map_err(|error| refused(&error))?.0;
    hold!(
        format!("{again:?}") == format!("{value:?}"),
        "{ty:?}: {value:?} comes back as {again:?}"
    );
    Ok(way)
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in 0..types().len() as u8 {
        for form in 0..7 {
            seeds.push([&[kind, form], &b"12:34:56"[..]].concat());
        }
    }
    seeds
}
