//! Definitions by example; that servers take them is shown on real ones.

use super::*;
use crate::model::DefaultValue;
use crate::model::schema::{DecimalSize, JsonKind};
use crate::plan::fixtures::{self, foreign_key};

fn column(name: &str, native: &str, ty: Type) -> Column {
    fixtures::column(name, ty, native)
}

fn table(columns: Vec<Column>, uniques: Vec<Unique>) -> Table {
    Table { uniques, ..fixtures::keyless("public", "t", columns) }
}

fn created(table: &Table) -> String {
    let name = TableName::new("app", "t`x");
    let blueprints = [Blueprint::of(table, name)];
    let made = create_tables(&blueprints, Dialect::Postgres, Dialect::Mysql);
    made.iter().map(ToString::to_string).collect()
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

/// Broken if a moment were held otherwise than the configuration says, or its default were another moment.
#[test]
fn moments_are_held_as_asked() {
    let now = Some(DefaultValue::Now { digits: 6 });
    let day = Some(DefaultValue::Literal("2024-01-01 00:00:00+00".to_owned()));
    let columns = [("now", now), ("day", day)].map(|(name, default)| Column {
        default,
        ..column(name, "timestamptz", Type::Instant { digits: 6 })
    });
    let source = table(columns.to_vec(), Vec::new());
    let mut blueprint = Blueprint::of(&source, TableName::new("app", "t"));
    blueprint.moments = vec![0, 1];
    let text = create_tables(&[blueprint], Dialect::Postgres, Dialect::Mysql)[0].to_string();
    assert!(text.contains("`now` timestamp(6) NULL DEFAULT CURRENT_TIMESTAMP(6),"), "{text}");
    assert!(text.contains("`day` timestamp(6) NULL\n"), "{text}");
    assert!(text.contains("left out: default of day"), "{text}");
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
    let expected = "\
        -- left out: length of column code: an index takes no more than varchar(384)\n\
        -- left out: length of column part: an index takes no more than varchar(384)\n\
        -- left out: column box (box ; DROP): its type cannot cross\n\
        -- left out: AUTO_INCREMENT of n: not first in a key\n\
        -- left out: unique index t_box: a column is left out\n\
        -- left out: foreign key t_fk to public.p: its parent is not made\n\
        CREATE DATABASE IF NOT EXISTS `app`;\n\
        CREATE TABLE `app`.`t``x` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `code` varchar(384) NULL,\n  \
        `part` varchar(384) NULL,\n  `n` int NOT NULL,\n  PRIMARY KEY (`id`),\n  \
        UNIQUE KEY `t_code` (`code`),\n  UNIQUE KEY `t_both` (`code`, `part`)\n\
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin;\n";
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

/// Broken if a key were made before its parent, twice under one name, or where a side cannot have it.
#[test]
fn foreign_keys_come_when_both_sides_can_have_them() {
    let int = |name: &str| column(name, "int4", Type::Int { bits: 32, unsigned: false });
    let columns =
        || vec![int("id"), int("p"), column("t", "text", Type::Text { chars: None, bytes: None })];
    let key = |parent: &str, own: &str, theirs: &str| ForeignKey {
        columns: vec![own.into()],
        parent_columns: vec![theirs.into()],
        ..foreign_key("fk", TableName::new("app", parent))
    };
    let made = |name: &str, keys: Vec<ForeignKey>| {
        let mut table = table(columns(), vec![unique("pk", &[0], true), unique("t", &[2], false)]);
        table.foreign_keys = keys;
        Blueprint::of(&table, TableName::new("app", name))
    };
    let unfit = ForeignKey { on_delete: Rule::SetDefault, ..key("a", "p", "id") };
    let blueprints = [
        made("a", vec![key("a", "p", "id"), key("b", "p", "id")]),
        made("b", vec![key("a", "t", "t"), key("a", "p", "p"), key("a", "t", "id"), unfit]),
    ];
    let made = create_tables(&blueprints, Dialect::Postgres, Dialect::Mysql);
    let text: String = made.iter().map(ToString::to_string).collect();
    let rules = "ON DELETE NO ACTION ON UPDATE NO ACTION";
    for expected in [
        format!("CONSTRAINT `fk` FOREIGN KEY (`p`) REFERENCES `app`.`a` (`id`) {rules}"),
        format!("CONSTRAINT `b_fk` FOREIGN KEY (`t`) REFERENCES `app`.`a` (`t`) {rules}"),
        format!(
            "ALTER TABLE `app`.`a` ADD CONSTRAINT `a_fk` FOREIGN KEY (`p`) REFERENCES `app`.`b` (`id`) {rules}"
        ),
        "fk to app.a: no unique index is over what it refers to".to_owned(),
        "fk to app.a: the types of its columns differ".to_owned(),
        "fk to app.a: InnoDB has no SET DEFAULT".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}: {text}");
    }
    assert_eq!(made.last().map(|made| made.what.as_str()), Some("foreign key fk of app.a"));
}

/// Broken if a name that the server refuses or takes for another were printed.
#[test]
fn names_that_the_server_does_not_take_are_told() {
    assert_eq!(shorten("orders"), "orders");
    assert_eq!(shorten(&"ü".repeat(64)), "ü".repeat(64));
    for odd in ["x".repeat(65), "blank ".to_owned(), "😀".to_owned()] {
        let short = shorten(&odd);
        assert!(short != odd && short.chars().count() <= 64 && shorten(&short) == short, "{short}");
    }
    let twice = [column("name", "text", Type::Date), column("Name", "text", Type::Date)];
    let text = created(&table(twice.to_vec(), Vec::new()));
    assert!(text.contains("-- left out: column Name (text): its name differs"), "{text}");
}
