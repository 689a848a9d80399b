//! Rules of columns on real servers: rows are matched through a step's way back, other columns are looked
//! at, validations are kept to, and what differs is told and mended through the same steps.

use serde_json::{Value, json};
use weir::sandbox::{Options, Server, require};

use crate::harness::{Pair, Weir, execute_in, query_in};

const SPACE: &str = "rules";

/// The key is a day that the target holds as text.
const TABLES: &str = "
[table.visit]
in.left = \"rules.visit\"
in.right = \"rules.visit\"
owner = \"left\"
[table.visit.column]
day = { to.right = [{ format_date = \"%d.%m.%Y\" }] }
who = { to.right = [{ concat = { columns = [\"first\", \"who\"], separator = \" \", skip_null = true } }] }
cents = { to.right = [{ validate = { range = [0, 1000], else = \"clamp\" } }, { scale_by_power_of_ten = -2 }] }
at = { to.right = [{ timezone = { to = \"Europe/Berlin\" } }] }

[conversion]
too_long = \"truncate\"

[apply]
start = \"snapshot\"
";

const SOURCE: &str = "CREATE TABLE visit (day DATE PRIMARY KEY, first TEXT, who TEXT, cents INT, \
    at TIMESTAMPTZ(0), note TEXT)";
const TARGET: &str = "CREATE TABLE visit (day VARCHAR(10) COLLATE utf8mb4_bin PRIMARY KEY, \
    first VARCHAR(20), who VARCHAR(40), cents DECIMAL(10,2), at DATETIME, note VARCHAR(5))";

async fn rows(pair: &Pair) -> Vec<String> {
    let sql = "SELECT day, who, cents, at, note FROM {space}.visit ORDER BY day";
    query_in(&pair.target, SPACE, sql).await
}

async fn caught_up(weir: &Weir) {
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
}

/// Broken if a row that is matched by a column with steps were lost, written twice or not found again, if
/// two columns were put together from another row, or if a comparison went by the source's own values.
#[tokio::test]
async fn rows_are_matched_through_their_steps() {
    for target in [Server::MySql97, Server::MariaDb1011] {
        let Some(pair) = Pair::start(Server::Postgres15, target).await else { return };
        pair.create_space(SPACE).await;
        execute_in(&pair.source, SPACE, SOURCE).await;
        execute_in(&pair.target, SPACE, TARGET).await;
        let insert = "INSERT INTO visit VALUES ('2024-03-01', 'Jane', 'Doe', 150, '2024-06-01 10:00Z', 'longer'), \
                      ('2024-03-02', NULL, 'Roe', 5000, '2024-12-01 10:00Z', NULL)";
        execute_in(&pair.source, SPACE, insert).await;
        let weir = Weir::with_tables(&pair, "rules", TABLES);
        weir.set_up().await;
        caught_up(&weir).await;
        let first = "01.03.2024\tJane Doe\t1.50\t2024-06-01 12:00:00\tlonge";
        let second = "02.03.2024\tRoe\t10.00\t2024-12-01 11:00:00\t\\N";
        let found = rows(&pair).await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], first);
        assert!(found[1].starts_with(&second[..second.len() - 2]), "{found:?}");
        let change = "UPDATE visit SET first = 'Ann' WHERE day = '2024-03-02'; \
                      UPDATE visit SET day = '2024-03-05' WHERE day = '2024-03-01'; \
                      INSERT INTO visit VALUES ('2024-03-07', 'X', 'Y', -5, NULL, NULL); \
                      DELETE FROM visit WHERE day = '2024-03-07'";
        execute_in(&pair.source, SPACE, change).await;
        caught_up(&weir).await;
        let days = |rows: &[String]| -> Vec<String> {
            rows.iter().map(|row| row.split('\t').take(2).collect::<Vec<_>>().join(" ")).collect()
        };
        let moved = ["02.03.2024 Ann Roe", "05.03.2024 Jane Doe"];
        assert_eq!(days(&rows(&pair).await), moved);
        // A row that is gone there is read again by its key, through the way back.
        execute_in(&pair.target, SPACE, "DELETE FROM visit WHERE day = '05.03.2024'").await;
        execute_in(&pair.source, SPACE, "UPDATE visit SET cents = 7 WHERE day = '2024-03-05'")
            .await;
        caught_up(&weir).await;
        assert_eq!(days(&rows(&pair).await), moved);
        weir.run(&["verify"]).await.expect_code(0);
        execute_in(&pair.target, SPACE, "UPDATE visit SET who = 'Eve', cents = 3").await;
        let told = weir.run(&["verify", "--repair"]).await;
        assert!(told.stdout.contains("who"), "{}", told.stdout);
        assert_eq!(days(&rows(&pair).await), moved);
        weir.run(&["verify"]).await.expect_code(0);
        let explained = weir.run(&["explain"]).await.expect_code(0).stdout;
        assert!(
            explained.contains("format_date") && explained.contains("lossy by rule"),
            "{explained}"
        );
        weir.tear_down().await;
    }
}

const JOINED: &str = "
[table.person]
in.left = \"rules.person\"
in.right = \"rules.person\"
owner = \"left\"
[table.person.column]
whole = { to.right = [{ concat = { columns = [\"given\", \"name\"], separator = \" \" } }] }

[apply]
start = \"now\"
";

/// Broken if a column that is made of several became NULL, stayed as it was, or had its row set aside where
/// the log holds only some of them: partial images, and long values that did not change.
#[tokio::test]
async fn columns_are_made_of_rows_that_the_log_holds_in_part() {
    let partial = Options::default().set("binlog_row_image", "MINIMAL");
    for (source, options, target) in [
        (Server::MySql97, partial, Server::Postgres18),
        (Server::Postgres15, Options::default(), Server::MySql97),
    ] {
        let Some(left) = require(source, options).await.expect("source") else { return };
        let Some(right) = require(target, Options::default()).await.expect("target") else {
            return;
        };
        let pair = Pair::of(left, right).await;
        pair.create_space(SPACE).await;
        let table =
            "CREATE TABLE person (id INT PRIMARY KEY, given TEXT, name TEXT, whole TEXT, n INT)";
        execute_in(&pair.source, SPACE, table).await;
        execute_in(&pair.target, SPACE, table).await;
        if source.is_postgres() {
            execute_in(&pair.source, SPACE, "ALTER TABLE person ALTER given SET STORAGE EXTERNAL")
                .await;
        }
        let weir = Weir::with_tables(&pair, "joined", JOINED);
        weir.set_up().await;
        caught_up(&weir).await;
        let changes = "INSERT INTO person VALUES (1, repeat('x', 5000), 'Doe', NULL, 0), (2, 'Ann', 'Roe', '-', 0);
            UPDATE person SET n = 1; UPDATE person SET name = 'Poe' WHERE id = 1;
            UPDATE person SET given = 'Eve' WHERE id = 2; UPDATE person SET whole = 'ours' WHERE id = 2";
        for change in changes.split(';') {
            execute_in(&pair.source, SPACE, change).await;
            caught_up(&weir).await;
        }
        let whole = "SELECT id, length(whole), right(whole, 7), n FROM {space}.person ORDER BY id";
        let found = query_in(&pair.target, SPACE, whole).await;
        assert_eq!(found, ["1\t5004\txxx Poe\t1", "2\t7\tEve Roe\t1"]);
        let aside = query_in(&pair.target, SPACE, "SELECT count(*) FROM weir.dead_letter").await;
        assert_eq!(aside, ["0"]);
        weir.run(&["verify"]).await.expect_code(0);
    }
}

/// Broken if what would be set aside were found out by the first row that is, counted otherwise than it then
/// is, or if looking wrote anything.
#[tokio::test]
async fn rows_that_would_not_survive_are_told_before() {
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres18).await else { return };
    pair.create_space(SPACE).await;
    let source = "CREATE TABLE t (id INT PRIMARY KEY, d VARCHAR(20), z DATE)";
    execute_in(&pair.source, SPACE, source).await;
    execute_in(&pair.target, SPACE, "CREATE TABLE t (id INT PRIMARY KEY, d DATE, z DATE)").await;
    let rows = "SET sql_mode = ''; INSERT INTO t VALUES (1, '31/12/2024', '2024-01-01'), \
                (2, '31/13/2024', NULL), (3, '01/01/2025', '0000-00-00'), (4, '1.1.25', '0000-00-00')";
    execute_in(&pair.source, SPACE, rows).await;
    let tables = "[table.t]\nin.left = \"rules.t\"\nin.right = \"rules.t\"\nowner = \"left\"\n\
                  [table.t.column]\nd = { to.right = [{ parse_date = \"%d/%m/%Y\" }] }\n\
                  [apply]\nstart = \"snapshot\"\n";
    let weir = Weir::with_tables(&pair, "before", tables);
    weir.grant().await;
    let tried = weir.run(&["try", "t", "--limit", "2", "--json"]).await.expect_code(3).stdout;
    let tried: Value = serde_json::from_str(&tried).expect("JSON");
    let shown = &tried["tables"][0]["rows"];
    assert_eq!(shown.as_array().map(Vec::len), Some(2), "{tried}");
    assert_eq!(shown[0]["columns"][1]["to"], "\"2024-12-31\"", "{tried}");
    assert_eq!(shown[1]["columns"][1]["reason"], "parse", "{tried}");
    let told = weir.run(&["try", "rules.t"]).await.expect_code(3).stdout;
    assert!(told.contains("4 rows, 3 rejected") && told.contains("step 1 (parse_date)"), "{told}");
    weir.run(&["try", "none"]).await.expect_code(2);
    let checked = weir.run(&["check", "--json", "--data"]).await.expect_code(1).stdout;
    let checked: Value = serde_json::from_str(&checked).expect("JSON");
    let data = &checked["links"][0]["data"][0];
    assert_eq!((&data["rows"], &data["refused"]), (&json!(4), &json!(3)), "{checked}");
    let reasons: Vec<_> = data["reasons"].as_array().expect("reasons").iter().collect();
    let counts = |column: &str| {
        let found = reasons.iter().find(|one| one["column"] == column);
        found.map(|one| (one["reason"].clone(), one["rows"].clone(), one["examples"].clone()))
    };
    assert_eq!(counts("d"), Some((json!("parse"), json!(2), json!(["[2]", "[4]"]))), "{checked}");
    let zeros = Some((json!("zero_date"), json!(2), json!(["[3]", "[4]"])));
    assert_eq!(counts("z"), zeros, "{checked}");
    let sql = "SELECT count(*) FROM {space}.t";
    assert_eq!(query_in(&pair.target, SPACE, sql).await, ["0"]);
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert_eq!(query_in(&pair.target, SPACE, sql).await, ["1"]);
    weir.tear_down().await;
}

/// Settings for types; the table, its rows, a change, and what the target then has.
struct Stood {
    servers: (Server, Server),
    settings: &'static str,
    table: &'static str,
    rows: &'static str,
    change: &'static str,
    shown: &'static str,
    expected: [&'static str; 2],
}

const STOOD: [Stood; 2] = [
    Stood {
        servers: (Server::Postgres15, Server::MySql97),
        settings: "numeric_unconstrained = \"text\"\njson_as = \"text\"\n\
                   timestamptz_as = \"timestamp\"\narray_bounds = \"drop\"\n",
        table: "CREATE TABLE s (id INT PRIMARY KEY, n NUMERIC, j JSONB, at TIMESTAMPTZ(3), a INT[])",
        rows: "INSERT INTO s VALUES (1, 1.00000000000000000000000000000000000000010, \
               '{\"n\": 12345678901234567890.5}', '2024-06-01 10:00:00.5Z', '[0:1]={7,8}'), \
               (2, 'NaN', NULL, NULL, '{}')",
        change: "UPDATE s SET n = 2.50, a = '[2:2]={9}' WHERE id = 2",
        shown: "SELECT id, n, j, CAST(UNIX_TIMESTAMP(at) AS CHAR), CAST(a AS CHAR) FROM {space}.s ORDER BY id",
        expected: [
            "1\t1.00000000000000000000000000000000000000010\t{\"n\": 12345678901234567890.5}\t\
             1717236000.500\t[7, 8]",
            "2\t2.50\t\\N\t\\N\t[9]",
        ],
    },
    Stood {
        servers: (Server::MySql97, Server::Postgres15),
        settings: "tinyint1 = \"smallint\"\nzerofill = \"text\"\ntime_as = \"interval\"\n",
        table: "CREATE TABLE s (z INT(8) ZEROFILL PRIMARY KEY, b TINYINT(1) DEFAULT 1, t TIME(3))",
        rows: "INSERT INTO s VALUES (42, 5, '-838:59:58.500'), (43, -7, '00:00:01')",
        change: "UPDATE s SET b = 1, z = 1234567890 WHERE z = 43",
        shown: "SELECT z, b::text, t::text FROM {space}.s ORDER BY z",
        expected: ["00000042\t5\t-838:59:58.5", "1234567890\t1\t00:00:01"],
    },
];

/// Broken if a type that a setting names were made otherwise by `ddl`, did not take what the source holds,
/// or could not be compared.
#[tokio::test]
async fn types_stand_for_others_as_settings_say() {
    for stood in STOOD {
        let Some(pair) = Pair::start(stood.servers.0, stood.servers.1).await else { return };
        pair.create_space(SPACE).await;
        execute_in(&pair.source, SPACE, stood.table).await;
        let more = format!("[apply]\nstart = \"snapshot\"\n[conversion]\n{}", stood.settings);
        let weir = Weir::new(&pair, "stood", SPACE, &more);
        weir.let_look().await;
        let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
        execute_in(&pair.target, SPACE, &ddl).await;
        execute_in(&pair.source, SPACE, stood.rows).await;
        weir.set_up().await;
        execute_in(&pair.source, SPACE, stood.change).await;
        caught_up(&weir).await;
        assert_eq!(query_in(&pair.target, SPACE, stood.shown).await, stood.expected, "{ddl}");
        weir.run(&["verify"]).await.expect_code(0);
        weir.tear_down().await;
    }
}
