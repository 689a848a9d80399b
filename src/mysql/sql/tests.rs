//! Statement texts against golden files (`WEIR_BLESS=1` writes them anew).

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::model::ForeignKey;
use crate::model::schema::{DecimalSize, JsonKind, Rule};
use crate::plan::{ActingKey, fixtures};

fn column(name: &str, ty: Type) -> Column {
    Column { nullable: false, ..fixtures::column(name, ty, "") }
}

/// A plan of all `columns`, with the first `key` of them as match key.
fn plan(name: &str, columns: Vec<Column>, key: usize) -> TablePlan {
    let key: Vec<usize> = (0..key).collect();
    let mut table = fixtures::table("app", name, columns);
    table.uniques[0].columns.clone_from(&key);
    fixtures::one_to_one(table, &key)
}

/// Broken if rows that refer to each other kept a table from being emptied, or others were touched.
#[test]
fn references_within_a_table_end_before_its_rows() {
    let int = Type::Int { bits: 32, unsigned: false };
    let optional = |name: &str| Column { nullable: true, ..column(name, int.clone()) };
    let columns = vec![column("id", int.clone()), optional("u`p"), optional("other")];
    let mut table = plan("node", columns, 1).target;
    assert_eq!(unlink(&table), None);
    let key = |parent: &str, columns: &[&str]| ForeignKey {
        name: "k".to_owned(),
        parent: TableName::new("app", parent),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        parent_columns: vec!["id".to_owned()],
        on_delete: Rule::Refuse,
        on_update: Rule::Refuse,
        logged: true,
    };
    table.foreign_keys = vec![key("parent", &["other"]), key("node", &["id"])];
    assert_eq!(unlink(&table), None, "what must be there cannot go");
    table.foreign_keys.push(key("node", &["id", "u`p"]));
    let text = "UPDATE `app`.`node` SET `u``p` = NULL WHERE `u``p` IS NOT NULL";
    assert_eq!(unlink(&table).as_deref(), Some(text));
}

/// Broken if a row were looked for under another key, or by other columns than those that refer to it.
#[test]
fn rows_that_refer_to_a_row_are_looked_for() {
    let int = Type::Int { bits: 32, unsigned: false };
    let of = |columns: Vec<Column>, count| plan("t", columns, count);
    let key = |child: &str, pairs: &[(&str, &str)]| ActingKey {
        name: "k".to_owned(),
        child: TableName::new("app", child),
        on_delete: true,
        columns: Vec::new(),
        pairs: pairs.iter().map(|(own, its)| ((*own).to_owned(), (*its).to_owned())).collect(),
    };
    let plan = of(vec![column("a", int.clone()), column("b", int)], 2);
    let sql = TableSql::new(&plan, Flavor::Mysql, &[None, None]).expect("a table");
    let keys = [key("c", &[("x", "a"), ("y`", "b")]), key("d", &[("z", "a")])];
    let statement = sql.referred(&keys.each_ref()).expect("a statement");
    let row = "SELECT {} FROM `app`.`t` WHERE `a`=CAST(? AS SIGNED) AND `b`=CAST(? AS SIGNED)";
    let exists = |number: u8, child: &str, own: &str, its: &str| {
        let row = row.replace("{}", its);
        format!(
            "SELECT {number} FROM DUAL WHERE EXISTS (SELECT 1 FROM `app`.`{child}` WHERE ({own}) IN ({row}))"
        )
    };
    let expected = [exists(0, "c", "`x`,`y```", "`a`,`b`"), exists(1, "d", "`z`", "`a`")];
    assert_eq!(statement.text, expected.join(" UNION ALL "));
    assert_eq!(statement.binds, [0, 1, 0, 1]);
    let itself = sql.referred(&[&key("t", &[("up", "a")])]).expect("a statement");
    assert!(
        itself.text.ends_with(&format!(" AND NOT ({}))", row.split_once("WHERE ").expect("it").1))
    );
    assert_eq!(itself.binds, [0, 1, 0, 1], "not by itself");
}

fn text(name: &str) -> Column {
    let ty = Type::Text { chars: Some(20), bytes: None };
    Column { charset: Some("utf8mb4".into()), ..column(name, ty) }
}

fn plans() -> Vec<(&'static str, TablePlan, Vec<Option<String>>)> {
    let int = Type::Int { bits: 32, unsigned: false };
    let price = Type::Decimal(Some(DecimalSize { precision: 10, scale: 2 }));
    let moved = Column { on_update_now: true, ..column("moved", Type::Instant { digits: 0 }) };
    let simple = vec![
        column("id", int.clone()),
        column("we`ird", price),
        column("doc", Type::Json(JsonKind::Mysql)),
        moved,
    ];
    let loose = Column { exact_collation: false, ..text("code") };
    let composite = vec![
        column("n", Type::Int { bits: 64, unsigned: true }),
        loose.clone(),
        column("at", Type::Timestamp { digits: 3 }),
        column("raw", Type::Bytes { bytes: None }),
        column("f", Type::F32),
    ];
    let ci = || Some("utf8mb4_0900_ai_ci".to_owned());
    let bin = || Some("utf8mb4_0900_bin".to_owned());
    vec![
        ("simple", plan("goods", simple, 1), vec![None; 4]),
        ("composite with a loose key", plan("stock", composite, 2), vec![None, ci()]),
        ("one exact text key alone", plan("nw", vec![text("code")], 1), vec![bin()]),
        ("one loose text key", plan("tag", vec![loose, column("n", int)], 1), vec![ci()]),
    ]
}

fn golden(flavor: Flavor) -> Result<String> {
    let mut out = String::new();
    for (what, plan, collations) in plans() {
        let sql = TableSql::new(&plan, flavor, &collations)?;
        let all: Vec<usize> = (0..plan.columns.len()).collect();
        let some: Vec<usize> = all.iter().copied().take(3).collect();
        let _ = writeln!(out, "-- {what}");
        for (verb, statement) in [
            ("insert", sql.insert(&all, 2)?),
            ("upsert", sql.upsert(&all, 2)?),
            ("update", sql.update(&some, 2)?),
            ("rekey", sql.rekey(&all)?),
            ("delete", sql.delete(2)?),
            ("absent", sql.absent(&all, 2)?),
        ] {
            let _ = writeln!(out, "{verb} {:?}\n{}", statement.binds, statement.text);
        }
        let _ = writeln!(out, "truncate\n{}\n", sql.truncate());
    }
    Ok(out)
}

/// Statements on copies, which are the same for both servers.
fn of_copies() -> String {
    let parts = [
        ("list", copies::LIST),
        ("what is asked", copies::ORDERS),
        ("how far it is", copies::KEEP),
        ("with an answer", copies::ANSWER),
        ("for the first time", copies::FIRST),
        ("ask", copies::ASK),
    ];
    parts.iter().map(|(title, sql)| format!("-- {title}\n{sql};\n\n")).collect()
}

/// Statements on dead letters, which are the same for both servers.
fn of_letters() -> String {
    let parts = [
        ("numbers of a table's", letters::OF_TABLE.to_owned()),
        ("numbers of those of rows", letters::of_rows(2)),
        ("end", letters::END.to_owned()),
        ("tried", letters::TRY.to_owned()),
        ("reason", letters::REASON.to_owned()),
        ("new", letters::new(2)),
        ("folded", letters::FOLD.to_owned()),
        ("without a position", letters::UNPLACED.to_owned()),
        ("position", letters::PLACE.to_owned()),
        ("what is open", letters::HEADS.to_owned()),
        ("count", letters::COUNT.to_owned()),
        ("list", letters::LIST.to_owned()),
        ("ask", letters::ASK.to_owned()),
    ];
    parts.iter().map(|(title, sql)| format!("-- {title}\n{sql};\n\n")).collect()
}

fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&path, text).expect("golden file");
    }
    let expected = std::fs::read_to_string(&path).expect("golden file");
    assert_eq!(text, expected, "{file}: run with WEIR_BLESS=1 and look at the difference");
}

/// Broken if any statement changed unseen: each was tried on the servers in this very form.
#[test]
fn statements_are_the_golden_ones() {
    check("mysql_statements.sql", &golden(Flavor::Mysql).expect("statements"));
    check("mysql_mariadb_statements.sql", &golden(Flavor::Mariadb).expect("statements"));
    check("mysql_letters.sql", &of_letters());
    check("mysql_copies.sql", &of_copies());
}

/// Broken if a statement's parameters did not match its places, whatever the shape.
#[test]
fn every_parameter_has_a_place() {
    for flavor in [Flavor::Mysql, Flavor::Mariadb] {
        for (_, plan, collations) in plans() {
            let sql = TableSql::new(&plan, flavor, &collations).expect("plan");
            let all: Vec<usize> = (0..plan.columns.len()).collect();
            let rows = |batch| if batch == Batch::Many { 3 } else { 1 };
            for (statement, rows) in [
                (sql.upsert(&all, 3).expect("upsert"), 3),
                (sql.update(&all, rows(sql.batch())).expect("update"), rows(sql.batch())),
                (sql.rekey(&all).expect("rekey"), 1),
                (sql.delete(rows(sql.batch())).expect("delete"), rows(sql.batch())),
                (sql.absent(&all, 3).expect("absent"), 3),
            ] {
                let marks = statement.text.matches('?').count();
                assert_eq!(marks, statement.binds.len() * rows, "{}", statement.text);
            }
        }
    }
}

/// Broken if a statement with an implicit commit, or one that swallows errors, came in.
#[test]
fn nothing_commits_implicitly_or_ignores_errors() {
    for flavor in [Flavor::Mysql, Flavor::Mariadb] {
        let text = golden(flavor).expect("statements") + &of_letters() + &of_copies();
        for word in ["TRUNCATE ", "IGNORE", "REPLACE", "ALTER", "LOCK TABLES"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

/// Broken if an update of a row without its key, or a plan that does not fit, made a statement.
#[test]
fn a_plan_that_does_not_fit_is_an_error() {
    let (_, mut plan, collations) = plans().remove(0);
    let sql = TableSql::new(&plan, Flavor::Mysql, &collations).expect("plan");
    assert_eq!(sql.update(&[1, 2], 1).expect_err("no key").kind(), Kind::Internal);
    assert_eq!(sql.insert(&[9], 1).expect_err("no column").kind(), Kind::Internal);
    plan.key = vec![7];
    assert_eq!(TableSql::new(&plan, Flavor::Mysql, &[]).expect_err("key").kind(), Kind::Internal);
}
