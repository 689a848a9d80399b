//! Definitions by example; that servers take them is shown on real ones.

use super::*;
use crate::model::Identity;
use crate::model::schema::{DecimalSize, JsonKind};
use crate::plan::fixtures::foreign_key;

fn column(name: &str, native: &str, ty: Type) -> Column {
    Column {
        name: name.into(),
        ty,
        native: native.into(),
        nullable: true,
        generated: false,
        has_default: false,
        auto_increment: false,
        on_update_now: false,
        exact_collation: true,
        charset: None,
    }
}

fn table(columns: Vec<Column>, uniques: Vec<Unique>) -> Table {
    Table {
        name: TableName::new("public", "t"),
        columns,
        uniques,
        odd_unique_indexes: Vec::new(),
        identity: Identity::Full,
        foreign_keys: Vec::new(),
        transactional: true,
        unsupported: None,
    }
}

fn created(table: &Table) -> String {
    let name = TableName::new("app", "t`x");
    create_table(table, Dialect::Postgres, &name, Dialect::Mysql).join(";\n")
}

fn unique(name: &str, columns: &[usize], primary: bool) -> Unique {
    Unique { name: name.into(), columns: columns.to_vec(), primary }
}

/// Broken if a type were created as one that cannot hold all of its values.
#[test]
fn every_type_has_a_column_that_holds_it() {
    let text = |chars| Type::Text { chars, bytes: None };
    let decimal = |precision, scale| Type::Decimal(Some(DecimalSize { precision, scale }));
    let exact = "CHARACTER SET ascii COLLATE ascii_bin";
    for (ty, expected) in [
        (Type::Bool, "tinyint(1)".to_owned()),
        (Type::Int { bits: 16, unsigned: false }, "smallint".into()),
        (Type::Int { bits: 64, unsigned: true }, "bigint unsigned".into()),
        (Type::Decimal(None), "decimal(65,30)".into()),
        (decimal(10, 2), "decimal(10,2)".into()),
        (decimal(5, -3), "decimal(8,0)".into()),
        (decimal(3, 5), "decimal(5,5)".into()),
        (decimal(100, 2), format!("varchar(102) {exact}")),
        (Type::Char { chars: 3 }, "char(3)".into()),
        (Type::Char { chars: 256 }, "varchar(256)".into()),
        (text(Some(20_000)), "mediumtext".into()),
        (text(None), "longtext".into()),
        (Type::Bytes { bytes: None }, "longblob".into()),
        (Type::Time { digits: 6 }, "time(6)".into()),
        (Type::Timestamp { digits: 0 }, "datetime".into()),
        (Type::Uuid, format!("char(36) {exact}")),
        (Type::Json(JsonKind::Binary), "json".into()),
        (Type::Enum { labels: vec!["a'b".into(), "c\\".into()] }, r"enum('a''b','c\\')".into()),
        (Type::Enum { labels: vec!["blank ".into()] }, "varchar(6)".into()),
    ] {
        let text = created(&table(vec![column("c", "", ty)], Vec::new()));
        assert!(text.contains(&format!("`c` {expected} NULL\n")), "{expected}: {text}");
    }
    let instant = column("c", "timestamptz", Type::Instant { digits: 6 });
    let text = created(&table(vec![instant], Vec::new()));
    assert!(text.contains("`c` datetime(6) NULL COMMENT 'instant utc'"), "{text}");
}

/// Broken if a key could not be created, or something were left out without a word.
#[test]
fn keys_fit_and_what_is_left_out_is_named() {
    let long = || Type::Text { chars: None, bytes: None };
    let id = Column {
        auto_increment: true,
        nullable: false,
        ..column("id", "int4", Type::Int { bits: 32, unsigned: false })
    };
    let other = Column { auto_increment: true, ..id.clone() };
    let columns = vec![
        id,
        column("code", "text", long()),
        column("part", "text", long()),
        column("box", "box\n; DROP", Type::Unsupported),
        Column { name: "n".into(), ..other },
    ];
    let uniques = vec![
        unique("t_pkey", &[0], true),
        unique("t_code", &[1], false),
        unique("t_both", &[1, 2], false),
        unique("t_box", &[3], false),
    ];
    let mut source = table(columns, uniques);
    let parent = TableName::new("public", "p");
    source.foreign_keys.push(foreign_key("t_fk", parent));
    let text = created(&source);
    let expected = "CREATE DATABASE IF NOT EXISTS `app`;\n\
        -- left out: column box (box ; DROP): its type cannot cross\n\
        -- left out: AUTO_INCREMENT of n: not first in a key\n\
        -- left out: unique index t_box: a column is left out\n\
        -- left out: foreign key t_fk to public.p: add it by hand\n\
        CREATE TABLE `app`.`t``x` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `code` varchar(384) NULL,\n  \
        `part` varchar(384) NULL,\n  `n` int NOT NULL,\n  PRIMARY KEY (`id`),\n  \
        UNIQUE KEY `t_code` (`code`),\n  UNIQUE KEY `t_both` (`code`, `part`)\n\
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin";
    assert_eq!(text, expected);
}

/// Broken if a table of many long texts could not be created for its row's width.
#[test]
fn wide_rows_have_their_widest_texts_beside_them() {
    let columns = [16_000, 9_000, 100].map(|chars| {
        let ty = Type::Text { chars: Some(chars), bytes: None };
        column(&format!("c{chars}"), "", ty)
    });
    let text = created(&table(columns.to_vec(), Vec::new()));
    assert!(text.contains("`c16000` text NULL"), "{text}");
    assert!(text.contains("`c9000` varchar(9000) NULL"), "{text}");
}
