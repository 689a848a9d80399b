//! A workload of a known shape on a source, and an exact comparison of both sides.
//!
//! Tables `account` (numbers, text, decimals, times) and `entry` (a child without foreign key, so that
//! its rows and its parent's come in one transaction). Seeded: the same seed makes the same changes.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use weir::sandbox::Running;

use crate::harness::{Pair, until};

/// One connection to either dialect that runs statements.
pub enum Session {
    /// PostgreSQL.
    Postgres(tokio_postgres::Client),
    /// MySQL or MariaDB.
    Mysql(mysql_async::Conn),
}

impl Session {
    /// Connects with `space` as the default schema or database and relaxed durability.
    pub async fn open(server: &Running, space: &str) -> Session {
        if server.kind().is_postgres() {
            let client = server.connect_pg().await.expect("connect");
            let enter = format!("SET search_path TO {space}; SET synchronous_commit = off");
            client.batch_execute(&enter).await.expect("enter schema");
            Session::Postgres(client)
        } else {
            let mut conn = server.connect_mysql().await.expect("connect");
            conn.query_drop(format!("USE {space}")).await.expect("enter database");
            Session::Mysql(conn)
        }
    }

    /// Runs statements as one transaction.
    pub async fn transaction(&mut self, statements: &[String]) -> Result<(), String> {
        match self {
            Session::Postgres(client) => {
                let text = format!("BEGIN; {}; COMMIT", statements.join("; "));
                client.batch_execute(&text).await.map_err(|error| error.to_string())
            }
            Session::Mysql(conn) => {
                let text = format!("BEGIN; {}; COMMIT", statements.join("; "));
                conn.query_drop(text).await.map_err(|error| error.to_string())
            }
        }
    }

    /// Runs statements as one transaction in two phases (XA); MySQL and MariaDB.
    pub async fn two_phases(&mut self, xid: &str, statements: &[String]) -> Result<(), String> {
        let changes = statements.join("; ");
        let text = format!(
            "XA START '{xid}'; {changes}; XA END '{xid}'; XA PREPARE '{xid}'; XA COMMIT '{xid}'"
        );
        let done = self.lines(&text).await.map(drop);
        if done.is_err() {
            // The server has ended the changes itself where it undid them.
            for undo in ["END", "ROLLBACK"] {
                self.lines(&format!("XA {undo} '{xid}'")).await.ok();
            }
        }
        done
    }

    /// The rows of a query as lines of tab-separated text.
    pub async fn lines(&mut self, sql: &str) -> Result<Vec<String>, String> {
        match self {
            Session::Postgres(client) => {
                let messages = client.simple_query(sql).await.map_err(|error| error.to_string())?;
                let rows = messages.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                        (0..row.len())
                            .map(|index| row.get(index).unwrap_or("\\N"))
                            .collect::<Vec<_>>()
                            .join("\t"),
                    ),
                    _ => None,
                });
                Ok(rows.collect())
            }
            Session::Mysql(conn) => {
                let rows: Vec<mysql_async::Row> =
                    conn.query(sql).await.map_err(|error| error.to_string())?;
                Ok(rows.into_iter().map(mysql_line).collect())
            }
        }
    }
}

fn mysql_line(row: mysql_async::Row) -> String {
    let cell = |value: mysql_async::Value| match value {
        mysql_async::Value::NULL => "\\N".to_owned(),
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true),
    };
    row.unwrap().into_iter().map(cell).collect::<Vec<_>>().join("\t")
}

/// CREATE TABLE statements of the workload for a source.
pub fn tables(server: &Running) -> String {
    let (stamp, engine) = if server.kind().is_postgres() {
        ("TIMESTAMP(6)", "")
    } else {
        ("DATETIME(6)", " ENGINE=InnoDB")
    };
    format!(
        "CREATE TABLE account (id BIGINT PRIMARY KEY, code VARCHAR(40) NOT NULL, body VARCHAR(200), \
         n INT NOT NULL, amount NUMERIC(18,4) NOT NULL, at {stamp} NOT NULL){engine}; \
         CREATE TABLE entry (account_id BIGINT, line INT, note VARCHAR(60), PRIMARY KEY (account_id, line)){engine}"
    )
}

/// A multi-row insert of accounts `from .. from + count`.
pub fn insert_accounts(from: u64, count: u64) -> String {
    let rows: Vec<String> = (from..from + count)
        .map(|id| {
            format!(
                "({id}, 'c{:08}', '{}', {}, {}.{:04}, '2024-05-06 07:08:09.{:06}')",
                id * 7,
                "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod ",
                id % 1000,
                id % 100_000,
                id % 10_000,
                id % 1_000_000
            )
        })
        .collect();
    format!("INSERT INTO account VALUES {}", rows.join(", "))
}

/// A seeded stream of transactions over existing and new accounts.
pub struct Mixed {
    random: fastrand::Rng,
    next_id: u64,
}

impl Mixed {
    /// Starts after `accounts` accounts exist.
    pub fn new(seed: u64, accounts: u64) -> Mixed {
        Mixed { random: fastrand::Rng::with_seed(seed), next_id: accounts + 1 }
    }

    /// The statements of the next transaction, 1 to about 60 row changes.
    pub fn next_transaction(&mut self) -> Vec<String> {
        let mut statements = Vec::new();
        for _ in 0..self.random.u32(1..=4) {
            let id = self.random.u64(1..=self.next_id);
            let n = self.random.u32(0..1_000_000);
            statements.push(match self.random.u32(0..10) {
                0..=2 => {
                    let count = self.random.u64(1..=20);
                    let from = self.next_id;
                    self.next_id += count;
                    insert_accounts(from, count)
                }
                3 => format!("DELETE FROM account WHERE id BETWEEN {id} AND {}", id + 2),
                4 => {
                    let moved = self.next_id;
                    self.next_id += 1;
                    format!("UPDATE account SET id = {moved}, n = {n} WHERE id = {id}")
                }
                5 => format!("DELETE FROM entry WHERE account_id = {id}"),
                6 => {
                    self.next_id += 1;
                    let line = self.next_id;
                    format!("INSERT INTO entry VALUES ({id}, {line}, 'note {n}'), ({id}, -{line}, NULL)")
                }
                7 => format!("UPDATE entry SET note = 'n{n}' WHERE account_id BETWEEN {id} AND {}", id + 40),
                _ => format!(
                    "UPDATE account SET n = {n}, amount = amount + 1.5 WHERE id BETWEEN {id} AND {}",
                    id + 9
                ),
            });
        }
        statements
    }
}

/// Transactions in two phases (XA) beside a workload on MySQL or MariaDB: one at a time, always under
/// the same name, prepared while others commit and decided later, by another session.
pub struct TwoPhases {
    random: fastrand::Rng,
    /// Of the newest rows: keys that no workload has.
    key: i64,
}

const BRANCH: &str = "branch";

impl TwoPhases {
    /// Every seed has keys of its own.
    pub fn new(seed: u64) -> TwoPhases {
        let key = i64::try_from(seed).expect("a small seed") * -1_000_000;
        TwoPhases { random: fastrand::Rng::with_seed(seed), key }
    }

    /// Decides what is prepared, whoever did that, or prepares the next.
    pub async fn step(&mut self, server: &Running, space: &str) {
        let mut session = Session::open(server, space).await;
        if self.decide(&mut session).await {
            return;
        }
        let (key, former) = (self.key - 1, self.key);
        // Locks rows only: a gap that it held would keep the workload out until it is decided.
        let text = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; XA START '{BRANCH}'; INSERT INTO entry VALUES ({key}, 1, 'two'), ({key}, 2, NULL); \
             UPDATE entry SET note = 'former' WHERE account_id = {former}; XA END '{BRANCH}'; \
             XA PREPARE '{BRANCH}'"
        );
        if session.lines(&text).await.is_ok() {
            self.key = key;
        }
    }

    /// Whether something was prepared. A session that still holds it is let end first.
    async fn decide(&mut self, session: &mut Session) -> bool {
        let waiting = session.lines("XA RECOVER").await.unwrap_or_default();
        let waits = waiting.iter().any(|line| line.ends_with(BRANCH));
        if waits {
            let verb = if self.random.u8(0..4) == 0 { "ROLLBACK" } else { "COMMIT" };
            session.lines(&format!("XA {verb} '{BRANCH}'")).await.ok();
        }
        waits
    }

    /// Decides what is still prepared.
    pub async fn finish(&mut self, server: &Running, space: &str) {
        let mut session = Session::open(server, space).await;
        for _ in 0..200 {
            if !self.decide(&mut session).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{BRANCH} is still prepared");
    }
}

const ACCOUNTS: &str = "SELECT id, code, body, n, amount, at FROM account";
const ENTRIES: &str = "SELECT account_id, line, note FROM entry ORDER BY account_id, line";

/// Rows compared at a time.
const SLICE: u64 = 100_000;

/// The first difference between both sides, or the number of rows that are equal.
pub async fn difference(pair: &Pair, space: &str) -> Result<u64, String> {
    let mut source = Session::open(&pair.source, space).await;
    let mut target = Session::open(&pair.target, space).await;
    let top = source.lines("SELECT coalesce(max(id), 0) FROM account").await?;
    let top: u64 = top.first().and_then(|text| text.parse().ok()).unwrap_or(0);
    let extra = format!("SELECT count(*) FROM account WHERE id > {top} OR id < 0");
    let mut equal = compare(&mut source, &mut target, &extra, |line| line.to_owned()).await?;
    for from in (0..=top).step_by(SLICE as usize) {
        let slice = format!("{ACCOUNTS} WHERE id >= {from} AND id < {} ORDER BY id", from + SLICE);
        equal += compare(&mut source, &mut target, &slice, pad_time).await?;
    }
    equal += compare(&mut source, &mut target, ENTRIES, |line| line.to_owned()).await?;
    Ok(equal)
}

/// PostgreSQL drops trailing zeros of a time's fraction; both sides are padded.
fn pad_time(line: &str) -> String {
    let (rest, at) = line.rsplit_once('\t').unwrap_or(("", line));
    let (seconds, fraction) = at.split_once('.').unwrap_or((at, ""));
    format!("{rest}\t{seconds}.{fraction:0<6}")
}

async fn compare(
    source: &mut Session,
    target: &mut Session,
    sql: &str,
    canonical: impl Fn(&str) -> String,
) -> Result<u64, String> {
    let left = source.lines(sql).await?;
    let right = target.lines(sql).await?;
    for (left, right) in left.iter().zip(&right) {
        if canonical(left) != canonical(right) {
            return Err(format!("source {left:?}, target {right:?}"));
        }
    }
    if left.len() != right.len() {
        return Err(format!(
            "{} rows at the source, {} at the target: {sql}",
            left.len(),
            right.len()
        ));
    }
    Ok(left.len() as u64)
}

/// Waits until both sides are equal.
pub async fn until_equal(pair: &Pair, space: &str, limit: Duration) -> u64 {
    let mut rows = 0;
    let mut last = String::new();
    let started = std::time::Instant::now();
    until("both sides equal", limit + Duration::from_secs(1), async || {
        match difference(pair, space).await {
            Ok(equal) => {
                rows = equal;
                true
            }
            Err(difference) => {
                last = difference;
                assert!(started.elapsed() < limit, "still different: {last}");
                false
            }
        }
    })
    .await;
    rows
}
