//! Preflight, setup and table definitions on real servers: what is missing is named with what mends
//! it, and what is printed is enough.

use weir::config::{Database, Dialect, Secret};
use weir::error::Kind;
use weir::link::ports::{Finding, Preflight, Selection};
use weir::model::schema::{DecimalSize, JsonKind};
use weir::model::{Column, Identity, Table, TableName, Type, Unique, Value, Verb};
use weir::mysql::{catalog, ddl, preflight, setup};
use weir::plan::{Blueprint, UpsertStrategy};
use weir::transform::pair;

use super::{Bench, TestResult, commit, step};
use crate::rights;

async fn tables(bench: &Bench, pattern: &str) -> Vec<Table> {
    let selection = Selection { include: vec![pattern.to_owned()], exclude: Vec::new() };
    catalog::load(&bench.database, bench.database.dialect, &selection).await.expect("catalog")
}

fn fatal(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|finding| finding.fatal).map(|one| one.message.as_str()).collect()
}

/// Broken if a user with too few rights were not told which, or if the grants that setup prints
/// were not enough to capture and to apply.
pub(super) async fn grants_are_named_and_enough(bench: &Bench) -> TestResult {
    let plan = bench.table("t", "id int primary key, a int", UpsertStrategy::Native).await;
    bench.server.execute("CREATE USER 'we''ir'@'127.0.0.1' IDENTIFIED BY 'x'").await?;
    bench.server.execute("GRANT USAGE ON *.* TO 'we''ir'@'127.0.0.1'").await?;
    let echo = ["printf", "x"].map(str::to_owned).to_vec();
    let limited = Database {
        user: "we'ir".into(),
        password: Some(Secret::Command(echo)),
        database: String::new(),
        ..bench.database.clone()
    };
    let all = tables(bench, "app.t").await;
    let list: Vec<&Table> = all.iter().collect();
    let look = Preflight {
        context: &bench.context,
        database: &limited,
        tables: &list,
        unfilled: &[],
        whole: None,
    };
    let findings = preflight::check_source(look).await?;
    let text = fatal(&findings).join("; ");
    assert!(text.contains("REPLICATION SLAVE") && text.contains("may not SELECT"), "{text}");
    // A grant to another host's account than the one that logs in would be refused, or do nothing.
    let to = "TO 'we''ir'@'127.0.0.1'";
    assert!(findings.iter().filter(|one| one.fatal).all(|one| one.advice().ends_with(to)));
    let findings = preflight::check_target(look).await?;
    let text = fatal(&findings).join("; ");
    assert!(text.contains("weir.witness") && text.contains("INSERT, UPDATE, DELETE"), "{text}");
    assert!(findings.iter().filter(|one| one.fatal).all(|one| one.kind == Kind::Privilege));

    let account = setup::account(&limited).await?;
    let error = setup::execute(&limited, "setup", &setup::target(&account, &list, &[])).await;
    assert_eq!(error.expect_err("no rights").kind(), Kind::Privilege);
    let mut statements = setup::source(&bench.context, &limited, &account, &list, false);
    statements.extend(setup::target(&account, &list, &[]));
    statements.extend(setup::entry(&limited, &account, &["app"]));
    for statement in statements {
        bench.server.execute(&statement).await?;
    }
    assert_eq!(fatal(&preflight::check_source(look).await?), [""; 0]);
    assert_eq!(fatal(&preflight::check_target(look).await?), [""; 0]);
    // What is tried there is refused too: the reason must not be lost with it.
    bench.server.execute("SET GLOBAL read_only = ON").await?;
    assert_eq!(fatal(&preflight::check_target(look).await?), ["the server is read-only"]);
    bench.server.execute("SET GLOBAL read_only = OFF").await?;
    let bench = Bench { database: limited.clone(), ..bench.clone() };
    let (mut target, mut witness) = bench.begin(&plan).await;
    let rows = vec![vec![Value::Int(1), Value::Int(1)], vec![Value::Int(2), Value::Int(2)]];
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1], rows.clone())]).await?;
    commit(&mut target, &mut witness, &[step(Verb::Update, &[0, 1], rows)]).await?;
    let gone = vec![vec![Value::Int(1)], vec![Value::Int(3)]];
    commit(&mut target, &mut witness, &[step(Verb::Delete, &[0], gone)]).await?;
    commit(&mut target, &mut witness, &[step(Verb::Truncate, &[], Vec::new())]).await?;
    setup::execute(&limited, "teardown", &setup::teardown_target(&bench.context, None)).await?;
    assert_eq!(target.read_witness().await?, None);
    Ok(())
}

/// Broken if a setting or table that makes capture or apply impossible passed the checks.
pub(super) async fn wrong_settings_are_named(bench: &Bench) -> TestResult {
    bench.server.execute("CREATE TABLE mine (id int primary key) ENGINE=MyISAM").await?;
    bench.server.execute("CREATE TABLE kept (id int primary key, k int, unique (k))").await?;
    let noted = "CREATE TABLE noted (id int primary key, k int, CONSTRAINT noted FOREIGN KEY (k) \
                 REFERENCES kept (k) ON DELETE SET NULL)";
    bench.server.execute(noted).await?;
    bench.server.execute("CREATE VIEW seen AS SELECT 1 AS one").await?;
    let settings = "SET GLOBAL binlog_row_metadata = MINIMAL; SET GLOBAL binlog_row_image = MINIMAL; \
                    SET GLOBAL binlog_expire_logs_seconds = 3600; SET GLOBAL binlog_format = MIXED";
    bench.server.execute(settings).await?;
    let all = tables(bench, "app.*").await;
    let named = |name: &str| all.iter().find(|table| table.name.table == name).expect("table");
    assert_eq!(named("kept").identity, Identity::Columns(vec![0]));
    assert!(!named("mine").transactional && named("kept").transactional);
    assert!(all.iter().all(|table| table.name.table != "seen"), "a view is no table");
    let seen = tables(bench, "app.seen").await;
    assert_eq!(seen[0].unsupported.as_deref(), Some("it is a view"));
    let list = [named("mine")];
    bench.granted(&list).await?;
    let look = Preflight {
        context: &bench.context,
        database: &bench.database,
        tables: &list,
        unfilled: &[],
        whole: None,
    };
    let findings = preflight::check_source(look).await?;
    let text = fatal(&findings).join("; ");
    for name in ["binlog_row_metadata is MINIMAL", "binlog_format is MIXED"] {
        assert!(text.contains(name), "{text}");
    }
    assert!(text.contains("kept for 1.0 h"), "{text}");
    let warning = "binlog_row_image is MINIMAL: each insert";
    assert!(findings.iter().any(|one| !one.fatal && one.message.contains(warning)));
    let findings = preflight::check_target(look).await?;
    assert_eq!(fatal(&findings), ["its engine MyISAM has no transactions"]);
    let list = [named("kept")];
    bench.granted(&list).await?;
    let findings = preflight::check_target(Preflight { tables: &list, ..look }).await?;
    let warning = "foreign key noted of app.noted, which the link does not write";
    assert!(findings.iter().any(|one| !one.fatal && one.message.starts_with(warning)));
    bench.server.execute("DROP DATABASE weir").await?;
    let findings = preflight::check_target(look).await?;
    assert!(findings.iter().any(|one| one.fatal && one.hint == "run `weir setup --apply`"));
    setup::execute(&bench.database, "teardown", &setup::teardown_target(&bench.context, None))
        .await?;
    let settings = "SET GLOBAL binlog_row_metadata = FULL; SET GLOBAL binlog_row_image = FULL; \
                    SET GLOBAL binlog_expire_logs_seconds = 2592000; SET GLOBAL binlog_format = ROW; \
                    DROP TABLE mine, noted, kept; DROP VIEW seen";
    bench.server.execute(settings).await?;
    bench.granted(&[]).await
}

fn column(name: &str, ty: Type) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        native: name.to_owned(),
        nullable: !name.contains("id"),
        generated: false,
        formula: None,
        row_end: false,
        has_default: false,
        default: None,
        comment: None,
        sequences: Vec::new(),
        type_schemas: Vec::new(),
        auto_increment: name == "id",
        on_update_now: false,
        exact_collation: true,
        charset: None,
    }
}

/// A PostgreSQL table with every base type.
fn source() -> Table {
    let text = |chars| Type::Text { chars, bytes: None };
    let decimal = |precision, scale| Type::Decimal(Some(DecimalSize { precision, scale }));
    let labels = vec!["a'b".to_owned(), "c\\d".to_owned(), String::new(), "ö,".to_owned()];
    let columns = [
        ("id", Type::Int { bits: 32, unsigned: false }),
        ("uuid", Type::Uuid),
        ("code", text(None)),
        ("flag", Type::Bool),
        ("small", Type::Int { bits: 16, unsigned: false }),
        ("big", Type::Int { bits: 64, unsigned: false }),
        ("price", decimal(10, 2)),
        ("wide", decimal(200, 100)),
        ("round", decimal(5, -3)),
        ("any", Type::Decimal(None)),
        ("real", Type::F32),
        ("double", Type::F64),
        ("letter", Type::Char { chars: 300 }),
        ("short", text(Some(16_000))),
        ("longer", text(Some(16_000))),
        ("note", text(None)),
        ("raw", Type::Bytes { bytes: None }),
        ("day", Type::Date),
        ("clock", Type::Time { digits: 6 }),
        ("wall", Type::Timestamp { digits: 3 }),
        ("moment", Type::Instant { digits: 6 }),
        ("doc", Type::Json(JsonKind::Binary)),
        ("mood", Type::Enum { labels }),
        ("box", Type::Unsupported),
    ];
    let unique = |name: &str, columns: &[usize], primary| Unique {
        name: name.to_owned(),
        columns: columns.to_vec(),
        primary,
    };
    Table {
        name: TableName::new("public", "t"),
        columns: columns.into_iter().map(|(name, ty)| column(name, ty)).collect(),
        uniques: vec![
            unique("t_pkey", &[0], true),
            unique("t_uuid", &[1], false),
            unique("t_code", &[2, 13], false),
        ],
        odd_unique_indexes: Vec::new(),
        identity: Identity::Full,
        foreign_keys: Vec::new(),
        transactional: true,
        unsupported: None,
        partitions: Vec::new(),
        extras: weir::model::Extras::default(),
    }
}

/// Broken if a table that `weir ddl` prints were refused by the server, or could not take what the
/// source's columns hold.
pub(super) async fn printed_tables_take_the_sources_columns(bench: &Bench) -> TestResult {
    let (source, dialect) = (source(), bench.database.dialect);
    let name = TableName::new("made", "every`type");
    let drawn = [Blueprint::of(&source, name.clone())];
    for creation in ddl::create_tables(&drawn, Dialect::Postgres, dialect) {
        bench.server.execute(&creation.to_string()).await?;
    }
    let account = setup::account(&bench.database).await?;
    rights::give(&bench.server, setup::entry(&bench.database, &account, &["made"])).await;
    let made = tables(bench, "made.*").await.remove(0);
    assert_eq!(made.name, name);
    assert_eq!(made.columns.len(), source.columns.len() - 1, "all but the box");
    assert_eq!(made.uniques.len(), 3);
    for target in &made.columns {
        let from = source.columns.iter().find(|column| column.name == target.name).expect("column");
        pair(from, Dialect::Postgres, target, dialect)?;
        assert!(target.exact_collation || target.name == "wide", "{}", target.name);
        assert_eq!((target.nullable, target.auto_increment), (from.nullable, from.auto_increment));
    }
    assert_eq!(made.columns[22].ty, source.columns[22].ty, "enum labels");
    // What was made can be made again on the same dialect.
    let name = TableName::new("made", "again");
    for creation in ddl::create_tables(&[Blueprint::of(&made, name)], dialect, dialect) {
        bench.server.execute(&creation.to_string()).await?;
    }
    let again = tables(bench, "made.again").await.remove(0);
    assert_eq!(again.columns.len(), made.columns.len());
    Ok(())
}
