//! Statement text against the golden file, and the fixture that other tests of this room share.

use std::path::Path;

use super::*;
use crate::model::schema::DecimalSize;
use crate::model::{Identity, Table, Unique};
use crate::plan::{ActingKey, fixtures};

/// A column as the catalog gives it.
pub(in crate::postgres) fn column(name: &str, native: &str, ty: Type) -> Column {
    fixtures::column(name, ty, native)
}

/// One column of every type.
pub(in crate::postgres) fn every_type() -> Vec<Column> {
    let text = Type::Text { chars: Some(3), bytes: None };
    let size = DecimalSize { precision: 10, scale: 2 };
    let labels = vec!["a".to_owned(), "b".to_owned()];
    vec![
        column("id", "bigint", Type::Int { bits: 64, unsigned: false }),
        column("region", "character varying(3)", text),
        column("flag", "boolean", Type::Bool),
        column("small", "smallint", Type::Int { bits: 16, unsigned: false }),
        column("number", "integer", Type::Int { bits: 32, unsigned: false }),
        column("price", "numeric(10,2)", Type::Decimal(Some(size))),
        column("f4", "real", Type::F32),
        column("f8", "double precision", Type::F64),
        column("code", "character(3)", Type::Char { chars: 3 }),
        column("raw", "bytea", Type::Bytes { bytes: None }),
        column("day", "date", Type::Date),
        column("clock", "time(3) without time zone", Type::Time { digits: 3 }),
        column("wall", "timestamp without time zone", Type::Timestamp { digits: 6 }),
        column("moment", "timestamp with time zone", Type::Instant { digits: 6 }),
        column("ref", "uuid", Type::Uuid),
        column("doc", "json", Type::Json(JsonKind::Verbatim)),
        column("docb", "jsonb", Type::Json(JsonKind::Binary)),
        column("mood", "public.\"My mood\"", Type::Enum { labels }),
    ]
}

/// A plan that writes every column of `columns`.
pub(in crate::postgres) fn plan(name: &str, columns: Vec<Column>, key: &[usize]) -> TablePlan {
    let table = Table {
        uniques: vec![Unique {
            name: format!("{name}_pkey"),
            columns: key.to_vec(),
            primary: true,
        }],
        identity: Identity::Columns(key.to_vec()),
        ..fixtures::keyless("shop", name, columns)
    };
    fixtures::one_to_one(table, key)
}

fn statements() -> String {
    let mut identity = column("id", "integer", Type::Int { bits: 32, unsigned: false });
    identity.auto_increment = true;
    let name = column("na\"me", "text", Type::Text { chars: None, bytes: None });
    let bytes = column("digest", "bytea", Type::Bytes { bytes: None });
    let every = plan("every", every_type(), &[0, 1]);
    let small = plan("odd \"one\"", vec![identity, name.clone()], &[0]);
    let by_text = plan("by_text", vec![name], &[0]);
    let by_bytes = plan("by_bytes", vec![bytes], &[0]);
    let all: Vec<usize> = (0..every.columns.len()).collect();
    let key = |child: &str, pairs: &[(&str, &str)]| ActingKey {
        name: "k".to_owned(),
        child: TableName::new("shop", child),
        on_delete: true,
        columns: Vec::new(),
        pairs: pairs.iter().map(|(own, its)| ((*own).to_owned(), (*its).to_owned())).collect(),
    };
    let theirs = key("no\"te", &[("a", "id"), ("b\"", "region")]);
    let own = key("every", &[("number", "id")]);
    let parts = [
        ("upsert, every type, key of two columns", upsert(&every, &all)),
        ("upsert, identity", upsert(&small, &[0, 1])),
        ("upsert, all columns are key", upsert(&by_text, &[0])),
        ("load, every type", load(&every, true)),
        ("load, identity", load(&small, false)),
        ("lock", lock(&small)),
        ("form, every type", form(&every)),
        ("update, every type", update(&every, &all)),
        ("update, some columns", update(&every, &[0, 1, 5, 9])),
        ("update, nothing but the key: which rows are missing", update(&every, &[0, 1])),
        ("update, key of bytes", update(&by_bytes, &[0])),
        ("rekey", rekey(&every, &[0, 1, 5, 9])),
        ("delete, key of two columns", delete(&every)),
        ("delete, key of one column", delete(&small)),
        ("delete, key of text", delete(&by_text)),
        ("delete, key of bytes", delete(&by_bytes)),
        ("delete, unless referred to", delete_unreferred(&every, &[&theirs, &own])),
        ("truncate", truncate(&small)),
        ("witness: read", witness::READ.to_owned()),
        ("witness: create", witness::CREATE.to_owned()),
        ("witness: compare and swap", witness::SWAP.to_owned()),
        ("witness: move", witness::MOVE.to_owned()),
        ("witness: what was accepted", witness::ACCEPTED.to_owned()),
        ("witness: accept", witness::ACCEPT.to_owned()),
        ("missed: note", witness::NOTE.to_owned()),
        ("missed: settle", witness::SETTLE.to_owned()),
        ("missed: list", witness::MISSED.to_owned()),
        ("dead letters: end those of tables", letters::EMPTY.to_owned()),
        ("dead letters: end those of rows", letters::CLOSE.to_owned()),
        ("dead letters: tried", letters::TRY.to_owned()),
        ("dead letters: new", letters::NEW.to_owned()),
        ("dead letters: their position", letters::PLACE.to_owned()),
        ("dead letters: what is open", letters::HEADS.to_owned()),
        ("dead letters: count", letters::COUNT.to_owned()),
        ("dead letters: list", letters::LIST.to_owned()),
        ("dead letters: ask", letters::ASK.to_owned()),
        ("copies: how far one is", copies::KEEP.to_owned()),
        ("copies: list", copies::LIST.to_owned()),
        ("copies: what is asked", copies::ORDERS.to_owned()),
        ("copies: ask", copies::ASK.to_owned()),
    ];
    parts.iter().map(|(title, sql)| format!("-- {title}\n{sql};\n\n")).collect()
}

/// Compares with a file of `tests/golden`, or writes it when `WEIR_UPDATE` is set.
pub(in crate::postgres) fn assert_golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("WEIR_UPDATE").is_some() {
        std::fs::write(&path, text).expect("golden file is written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} differs; WEIR_UPDATE=1 writes it. Now:\n{text}");
}

/// Broken if a statement changed without anyone looking: what the target is told to do.
#[test]
fn statements_are_as_reviewed() {
    assert_golden("postgres_statements.sql", &statements());
}

/// Broken if a name with a quote ended its quoting, and the rest of it were run as SQL.
#[test]
fn names_and_literals_cannot_break_out() {
    assert_eq!(quote("a\"; DROP TABLE t; --"), "\"a\"\"; DROP TABLE t; --\"");
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
}
