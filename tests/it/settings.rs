//! Every setting that a server can have wrong, set wrong for real: `weir check` names it, and the
//! statement that it gives mends it.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;
use weir::sandbox::{Options, Running, Server, require};

use crate::harness::{Outcome, Pair, Weir, execute_in, query_in};
use crate::rights::{self, READER, Taken, WRITER};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";

/// What is done to a server, and how it is told.
struct Wrong {
    /// Statements, run one by one by an administrator.
    done: &'static [&'static str],
    /// What findings say, each with what mends it.
    told: &'static [&'static str],
    /// Whether `check` fails with it.
    fatal: bool,
    /// Whether the server has to start again to take it up.
    restart: bool,
    /// Sessions that others have open meanwhile.
    others: usize,
}

const fn refused(done: &'static [&'static str], told: &'static [&'static str]) -> Wrong {
    Wrong { done, told, fatal: true, restart: false, others: 0 }
}

const fn warned(done: &'static [&'static str], told: &'static [&'static str]) -> Wrong {
    Wrong { fatal: false, ..refused(done, told) }
}

/// One finding of `check --json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    severity: String,
    pub text: String,
    pub mend: Vec<String>,
    hint: String,
}

async fn told(weir: &Weir, failing: bool) -> BTreeSet<Told> {
    let outcome = weir.run(&["check", "--json"]).await;
    assert_eq!(outcome.code != 0, failing, "{}\n{}", outcome.code, outcome.stdout);
    findings(&outcome)
}

impl Told {
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

/// What `check --json` found.
pub fn findings(outcome: &Outcome) -> BTreeSet<Told> {
    let found: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("json");
    let findings = found["links"][0]["findings"].as_array().expect("findings");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let one = |finding: &serde_json::Value| Told {
        severity: text(&finding["severity"]),
        text: format!("{}: {}", text(&finding["subject"]), text(&finding["message"])),
        mend: finding["mend"].as_array().expect("mend").iter().map(text).collect(),
        hint: text(&finding["hint"]),
    };
    findings.iter().map(one).collect()
}

async fn start(server: Server) -> Option<Running> {
    require(server, Options::default().durable()).await.expect("server")
}

/// Runs statements one by one in one session, as an administrator.
async fn each(server: &Running, statements: impl IntoIterator<Item = impl AsRef<str>>) {
    let statements: Vec<_> = statements.into_iter().collect();
    let statements = statements.iter().map(AsRef::as_ref);
    if server.kind().is_postgres() {
        let client = server.connect_pg().await.expect("an administrator");
        for sql in statements {
            client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        }
    } else {
        let mut conn = server.connect_mysql().await.expect("an administrator");
        for sql in statements {
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        }
        conn.disconnect().await.expect("goodbye");
    }
}

/// Sets each wrong, has it named, runs what is said, and sees that it is as before.
async fn one_by_one(pair: &mut Pair, weir: &Weir, source: bool, wrongs: &[Wrong]) {
    let before = told(weir, false).await;
    for wrong in wrongs {
        let server = if source { &mut pair.source } else { &mut pair.target };
        let mut others = Vec::new();
        for _ in 0..wrong.others {
            others.push(server.connect_mysql().await.expect("a session"));
        }
        each(server, wrong.done).await;
        if wrong.restart {
            server.restart().await.expect("restart");
        }
        let found = told(weir, wrong.fatal).await;
        let new: Vec<_> = found.difference(&before).collect();
        for told in wrong.told {
            let named = new.iter().find(|one| one.text.contains(told));
            let named = named.unwrap_or_else(|| panic!("{told}: not among {new:#?}"));
            assert!(!named.mend.is_empty(), "no statement: {named:?}");
            assert_eq!(named.severity, if wrong.fatal { "error" } else { "warning" }, "{named:?}");
            assert_eq!(named.hint.contains("restart"), wrong.restart, "{named:?}");
            each(server, &named.mend).await;
        }
        if wrong.restart {
            server.restart().await.expect("restart");
        }
        let after = told(weir, false).await;
        let left: Vec<_> = after.difference(&before).collect();
        assert!(left.is_empty(), "{:?}: not mended: {left:#?}", wrong.told);
    }
}

/// What is done to the source has `check` say this, and what mends it has it say so no more.
pub async fn named_and_mended(server: &Running, weir: &Weir, done: &[&str], phrase: &str) {
    each(server, done).await;
    let found = findings(&weir.run(&["check", "--json"]).await);
    let named = found.iter().find(|one| one.text.contains(phrase));
    let named = named.unwrap_or_else(|| panic!("{phrase}: not among {found:#?}"));
    assert!(!named.mend.is_empty(), "no statement: {named:?}");
    each(server, &named.mend).await;
    let after = findings(&weir.run(&["check", "--json"]).await);
    assert!(!after.iter().any(|one| one.text.contains(phrase)), "not mended: {after:#?}");
}

/// Takes away each right that `setup` printed, has it named, and gives it back as is said.
async fn each_right_is_needed(pair: &Pair, weir: &Weir) {
    let printed = weir.run(&["setup"]).await.expect_code(0).stdout;
    for (server, user) in [(&pair.source, READER), (&pair.target, WRITER)] {
        let granted = rights::granted(&printed, user);
        assert!(granted.len() >= 2, "{printed}");
        for Taken { right, take, give } in granted {
            each(server, [&take]).await;
            let found = told(weir, true).await;
            let names = |text: &String| text.contains(&right);
            let named = found.iter().find(|one| names(&one.text) || one.mend.iter().any(names));
            let named = named.unwrap_or_else(|| panic!("{take}: not among {found:#?}"));
            assert!(!named.mend.is_empty(), "{take}: no statement: {named:?}");
            // One statement grants on both of weir's tables, and each is named.
            let errors = found.iter().filter(|one| one.severity == "error");
            each(server, errors.flat_map(|one| &one.mend)).await;
            let after = weir.run(&["check"]).await;
            assert_eq!(after.code, 0, "{give}\n{}", after.stdout);
        }
    }
}

/// Carries a row with nothing but these rights.
async fn carries(pair: &Pair, weir: &Weir) {
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let change = "INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET a = 'c' WHERE id = 1; \
                  DELETE FROM t WHERE id = 2";
    execute_in(&pair.source, "s", change).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let rows = query_in(&pair.target, "s", "SELECT id, a FROM {space}.t").await;
    assert_eq!(rows, ["1\tc"]);
}

async fn ready(source: Server, target: Server) -> Option<(Pair, Weir)> {
    let pair = Pair::of(start(source).await?, start(target).await?).await;
    pair.create_space("s").await;
    execute_in(&pair.source, "s", TABLE).await;
    execute_in(&pair.target, "s", TABLE).await;
    let weir = Weir::new(&pair, "settings", "s", "\n[apply]\nstart = \"now\"\n");
    weir.grant().await;
    Some((pair, weir))
}

const RELOAD: &str = "SELECT pg_reload_conf()";

const POSTGRES_SOURCE: &[Wrong] = &[
    refused(
        &["ALTER SYSTEM SET max_slot_wal_keep_size = -1", RELOAD],
        &["max_slot_wal_keep_size is -1"],
    ),
    refused(
        &["ALTER SYSTEM SET idle_replication_slot_timeout = '1h'", RELOAD],
        &["idle_replication_slot_timeout is 60 min"],
    ),
    refused(
        &["ALTER SYSTEM SET transaction_timeout = '1min'", RELOAD],
        &["transaction_timeout is set"],
    ),
    warned(
        &["ALTER SYSTEM SET logical_decoding_work_mem = '1MB'", RELOAD],
        &["logical_decoding_work_mem is low"],
    ),
    warned(&["ALTER SYSTEM SET fsync = off", RELOAD], &["fsync is off"]),
    refused(&["ALTER ROLE weir_reader NOREPLICATION"], &["may not replicate"]),
    refused(&["ALTER ROLE weir_reader CONNECTION LIMIT 3"], &["role's connection limit is 3"]),
    refused(&["ALTER DATABASE app CONNECTION LIMIT 3"], &["database's connection limit is 3"]),
    refused(&["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY"], &["row security hides rows"]),
    refused(&["ALTER TABLE s.t REPLICA IDENTITY NOTHING"], &["not in the before image"]),
    warned(
        &["SELECT pg_create_logical_replication_slot('weir_settings_a_b', 'pgoutput')"],
        &["weir_settings_a_b: no link of this configuration has it"],
    ),
    Wrong {
        restart: true,
        ..refused(
            &[
                "ALTER SYSTEM SET wal_level = 'replica'",
                "ALTER SYSTEM SET max_replication_slots = 0",
                "ALTER SYSTEM SET max_wal_senders = 0",
                "ALTER SYSTEM SET max_connections = 8",
                "ALTER SYSTEM SET superuser_reserved_connections = 5",
            ],
            &[
                "wal_level is replica",
                "max_replication_slots is 0",
                "max_wal_senders is 0",
                "max_connections leaves 3",
            ],
        )
    },
];

const POSTGRES_TARGET: &[Wrong] = &[
    warned(&["ALTER SYSTEM SET fsync = off", RELOAD], &["fsync is off"]),
    warned(&["ALTER SYSTEM SET full_page_writes = off", RELOAD], &["full_page_writes is off"]),
    refused(
        &["ALTER SYSTEM SET transaction_timeout = '1min'", RELOAD],
        &["transaction_timeout is set"],
    ),
    refused(&["ALTER ROLE weir_writer CONNECTION LIMIT 2"], &["role's connection limit is 2"]),
    refused(&["ALTER DATABASE app CONNECTION LIMIT 2"], &["database's connection limit is 2"]),
    refused(&["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY"], &["row security hides rows"]),
    refused(
        &["CREATE RULE odd AS ON UPDATE TO s.t DO INSTEAD NOTHING"],
        &["rules rewrite what weir writes: odd"],
    ),
    warned(
        &["ALTER TABLE s.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY"],
        &["column id is GENERATED ALWAYS AS IDENTITY"],
    ),
    refused(&["ALTER TABLE s.t DROP CONSTRAINT t_pkey"], &["no unique index of the target table"]),
    // Last: it is mended for weir only.
    refused(
        &["ALTER DATABASE app SET default_transaction_read_only = on"],
        &["default_transaction_read_only is on"],
    ),
];

const MYSQL_SOURCE: &[Wrong] = &[
    refused(&["SET GLOBAL binlog_format = 'STATEMENT'"], &["binlog_format is STATEMENT"]),
    refused(&["SET GLOBAL binlog_row_metadata = 'MINIMAL'"], &["binlog_row_metadata is MINIMAL"]),
    warned(&["SET GLOBAL binlog_row_image = 'MINIMAL'"], &["binlog_row_image is MINIMAL"]),
    refused(&["SET GLOBAL binlog_expire_logs_seconds = 3600"], &["logs are kept for 1.0 h"]),
    warned(&["SET GLOBAL sync_binlog = 0"], &["sync_binlog is not 1"]),
    Wrong {
        others: 7,
        ..refused(&["SET GLOBAL max_connections = 10"], &["max_connections is 10: others have 7"])
    },
    refused(
        &["ALTER USER weir_reader WITH MAX_USER_CONNECTIONS 3"],
        &["max_user_connections of the account is 3"],
    ),
];

/// What only MySQL has.
const ONLY_MYSQL_SOURCE: &[Wrong] = &[
    refused(&["SET GLOBAL server_id = 0"], &["server_id is 0"]),
    warned(
        &[
            "SET GLOBAL gtid_mode = ON_PERMISSIVE",
            "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
            "SET GLOBAL gtid_mode = OFF",
            "SET GLOBAL enforce_gtid_consistency = OFF",
        ],
        &["gtid_mode is OFF"],
    ),
    // A replica by its settings; there is nothing that it could apply.
    Wrong {
        restart: true,
        ..refused(
            &[
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1",
                "SET PERSIST_ONLY log_replica_updates = OFF",
            ],
            &["the server is a replica and log_replica_updates is OFF"],
        )
    },
];

const MYSQL_TARGET: &[Wrong] = &[
    refused(&["SET GLOBAL read_only = ON"], &["the server is read-only"]),
    refused(&["SET GLOBAL binlog_format = 'STATEMENT'"], &["binlog_format is STATEMENT"]),
    warned(
        &["SET GLOBAL innodb_flush_log_at_trx_commit = 2"],
        &["innodb_flush_log_at_trx_commit is not 1"],
    ),
    warned(&["SET GLOBAL sync_binlog = 0"], &["sync_binlog is not 1"]),
    warned(&["SET GLOBAL max_allowed_packet = 1048576"], &["max_allowed_packet is 1048576"]),
    Wrong {
        others: 8,
        ..refused(&["SET GLOBAL max_connections = 10"], &["max_connections is 10: others have 8"])
    },
    refused(
        &["ALTER USER weir_writer WITH MAX_USER_CONNECTIONS 2"],
        &["max_user_connections of the account is 2"],
    ),
    refused(&["ALTER TABLE s.t ENGINE = MyISAM"], &["is not transactional"]),
    refused(&["ALTER TABLE s.t DROP PRIMARY KEY"], &["no unique index of the target table"]),
];

/// What only MySQL has.
const ONLY_MYSQL_TARGET: &[Wrong] =
    &[refused(&["SET GLOBAL super_read_only = ON"], &["the server is read-only"])];

/// Broken if a setting that a PostgreSQL source or a MySQL target has wrong were found at night, or
/// the statement that `check` gives did not mend it.
#[tokio::test]
async fn postgres18_to_mysql() {
    let Some((mut pair, weir)) = ready(Server::Postgres18, Server::MySql97).await else { return };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, POSTGRES_SOURCE).await;
    one_by_one(&mut pair, &weir, false, MYSQL_TARGET).await;
    one_by_one(&mut pair, &weir, false, ONLY_MYSQL_TARGET).await;
    carries(&pair, &weir).await;
}

/// As above, of a MariaDB source and a PostgreSQL target.
#[tokio::test]
async fn mariadb_to_postgres18() {
    let Some((mut pair, weir)) = ready(Server::MariaDb1011, Server::Postgres18).await else {
        return;
    };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, false, POSTGRES_TARGET).await;
    carries(&pair, &weir).await;
}

/// As above, of a MySQL source and a MariaDB target.
#[tokio::test]
async fn mysql_to_mariadb() {
    let Some((mut pair, weir)) = ready(Server::MySql97, Server::MariaDb1011).await else { return };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, true, ONLY_MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, false, MYSQL_TARGET).await;
    carries(&pair, &weir).await;
}
