//! What PostgreSQL prints, as a value of each type: the first byte says which.
//!
//! A value that is written again and read again is the same value.

use weir::model::schema::{DecimalSize, JsonKind};
use weir::model::shape::Shape;
use weir::model::{Type, Value};
use weir::postgres::probe;

use super::{column, hold};
use crate::{MEMORY, Target};

pub(super) const TARGET: Target = Target {
    name: "postgres_text",
    seeds,
    words: &[
        "infinity",
        "-infinity",
        "NaN",
        "Infinity",
        " BC",
        "\\x",
        "+00",
        "24:00:00",
        "-",
        ".",
        "e",
        "0000",
        "9999",
        "294276",
        "4713",
        "12",
        "31",
        "60",
    ],
    bytes_max: 4_000,
    memory: MEMORY,
    run,
};

fn types() -> Vec<Type> {
    vec![
        Type::Bool,
        Type::Int { bits: 16, unsigned: false },
        Type::Int { bits: 32, unsigned: false },
        Type::Int { bits: 64, unsigned: false },
        Type::Decimal(None),
        Type::Decimal(Some(DecimalSize { precision: 10, scale: 2 })),
        Type::F32,
        Type::F64,
        Type::Char { chars: 3 },
        Type::Text { chars: None, bytes: None },
        Type::Bytes { bytes: None },
        Type::Date,
        Type::Time { digits: 6 },
        Type::Timestamp { digits: 6 },
        Type::Instant { digits: 6 },
        Type::Uuid,
        Type::Json(JsonKind::Verbatim),
        Type::Json(JsonKind::Binary),
        Type::Enum { labels: vec!["a".to_owned()] },
        Type::Native { name: "int4range".to_owned(), modifier: -1, shape: Shape::Opaque },
    ]
}

fn run(input: &[u8]) -> Result<String, String> {
    let Some((kind, text)) = input.split_first() else { return Ok(String::new()) };
    let types = types();
    let ty = &types[usize::from(*kind) % types.len()];
    let Some(value) = probe::decoded(ty, text) else { return Ok(format!("none: {ty:?}")) };
    let way = format!("{ty:?} {:?} {}", std::mem::discriminant(&value), text.len().min(40) / 8);
    let Ok(mut sent) = probe::encoded(&column(ty.clone()), &value) else {
        return Ok(format!("refused: {way}"));
    };
    if let Value::Bytes(bytes) = &value {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        sent = format!("\\x{}", digits.collect::<String>()).into_bytes();
    }
    let again = probe::decoded(ty, &sent);
    // By their words, because no NaN is like another.
    hold!(
        format!("{again:?}") == format!("{:?}", Some(&value)),
        "{ty:?}: {value:?} comes back as {again:?}"
    );
    Ok(way)
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "t",
        "-32768",
        "2147483647",
        "-9223372036854775808",
        "-12345.6789",
        "0.00",
        "1.1754944e-38",
        "-2.2250738585072014e-308",
        "ab ",
        "text",
        "\\x00ff",
        "2024-02-29",
        "23:59:59.999999",
        "4713-01-01 00:00:00 BC",
        "294276-12-31 23:59:59.999999+00",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": 1}",
        "[1, 2]",
        "a",
        "[1,5)",
    ];
    (0..).zip(texts).map(|(kind, text)| [&[kind], text.as_bytes()].concat()).collect()
}
