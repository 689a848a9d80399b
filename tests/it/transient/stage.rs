//! Where a trouble is played: two servers, tables, weir between them, and what is seen of it over HTTP.

use std::time::{Duration, Instant};

use tokio::process::Child;
use weir::link::moment::rfc3339;
use weir::link::status::now_us;
use weir::sandbox::Running;

use super::{ByHand, Trouble};
use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;
use crate::metrics::{free_port, http_get};

/// The schema or database.
pub const SPACE: &str = "pass";
const SOON: Duration = Duration::from_secs(30);
/// Tables, and what of them is compared.
const TABLES: [(&str, &str); 4] =
    [("a", "id, n"), ("b", "id, n"), ("parted", "id, part, n"), ("grow", "id, length(body)")];

/// Servers, tables and a weir that runs.
pub struct Stage {
    pair: Pair,
    weir: Weir,
    child: Child,
    port: u16,
    changes: u32,
}

impl Stage {
    /// Tables on both sides, weir running between them.
    pub async fn set(pair: Pair) -> Stage {
        pair.create_space(SPACE).await;
        execute_in(&pair.source, SPACE, &tables(&pair.source, false)).await;
        execute_in(&pair.target, SPACE, &tables(&pair.target, true)).await;
        let port = free_port();
        let settings = format!(
            "\n[apply]\nstart = \"now\"\nlock_timeout = \"1s\"\nretry_initial = \"300ms\"\n\
             retry_max = \"400ms\"\n\n[http]\nlisten = \"127.0.0.1:{port}\"\n"
        );
        let weir = Weir::new(&pair, "transient", SPACE, &settings);
        weir.set_up().await;
        let rows = "INSERT INTO a VALUES (1, 0); INSERT INTO b VALUES (1, 0); \
                    INSERT INTO parted VALUES (1, 1, 0)";
        execute_in(&pair.source, SPACE, rows).await;
        let child = weir.spawn(&["run"]);
        let stage = Stage { pair, weir, child, port, changes: 0 };
        stage.until_equal("begin").await;
        stage
    }

    /// The server where weir writes, or the one where it reads.
    pub fn server(&self, at_target: bool) -> &Running {
        if at_target { &self.pair.target } else { &self.pair.source }
    }

    /// The same, to be stopped and started.
    pub fn server_mut(&mut self, at_target: bool) -> &mut Running {
        if at_target { &mut self.pair.target } else { &mut self.pair.source }
    }

    /// A trouble from its beginning to its end, and what is seen of it.
    pub async fn play(&mut self, trouble: &Trouble, at_target: bool) {
        let began = (Instant::now(), now_us());
        let mut before = self.retries().await;
        let mut session = Session::open(self.server(at_target), SPACE).await;
        for sql in trouble.first {
            if let Err(error) = session.lines(&placed(sql, "")).await {
                assert!(trouble.name.starts_with("53200"), "{}: {error}", trouble.name);
            }
        }
        let in_the_way = self.begin(trouble.by_hand, at_target, &mut session).await;
        if trouble.by_hand == ByHand::HoldSlot {
            before.clear();
        }
        let is_down = matches!(trouble.by_hand, ByHand::Stop | ByHand::Kill);
        if at_target || !is_down {
            self.change(trouble.by_hand == ByHand::FillDisk).await;
        }
        if !trouble.then.is_empty() {
            let waiting = self.waiting(at_target).await;
            for sql in trouble.then {
                session.lines(&placed(sql, &waiting)).await.unwrap_or_else(|error| {
                    panic!("{}: {error}", trouble.name);
                });
            }
        }
        let kind = self.told(trouble, began.1).await;
        for sql in trouble.relief {
            session.lines(&placed(sql, "")).await.unwrap_or_else(|error| {
                panic!("{}: {error}", trouble.name);
            });
        }
        self.relieve(in_the_way, trouble.by_hand, at_target, &mut session).await;
        if !at_target && is_down {
            self.change(false).await;
        }
        self.until_equal(trouble.name).await;
        let counted = count_of(&self.retries().await, &kind);
        assert!(counted > count_of(&before, &kind), "{}: {kind} is not counted", trouble.name);
        let server = self.server(at_target).kind();
        let role = if at_target { "target" } else { "source" };
        eprintln!("{server} as {role}: {}: {kind}, {:.1?}", trouble.name, began.0.elapsed());
    }

    /// weir has never halted, and ends well.
    pub async fn end(mut self) {
        assert!(
            self.child.try_wait().expect("state").is_none(),
            "weir ended:\n{}",
            self.weir.log()
        );
        self.weir.run(&["status"]).await.expect_code(0).expect_phrase("running for");
        self.child.kill().await.expect("killed");
        let log = self.weir.log();
        assert!(!log.contains("panicked") && !log.contains("has halted"), "{log}");
    }

    /// Kills weir and starts it anew.
    pub async fn start_anew(&mut self) {
        self.child.kill().await.expect("killed");
        self.child = self.weir.spawn(&["run"]);
        until("weir listens", SOON, async || {
            !http_get_if_up(self.port, "/healthz").await.is_empty()
        })
        .await;
    }

    /// A transaction at the source that changes a row of each table, and adds one.
    async fn change(&mut self, grow: bool) {
        self.changes += 1;
        let n = self.changes;
        let mut statements = vec![
            format!("UPDATE a SET n = {n} WHERE id = 1"),
            format!("UPDATE b SET n = {n} WHERE id = 1"),
            format!("UPDATE parted SET n = {n} WHERE id = 1"),
            format!("INSERT INTO a VALUES ({n} + 100, {n})"),
        ];
        if grow {
            statements.push(format!("INSERT INTO grow VALUES ({n}, repeat('x', 400000))"));
        }
        let mut session = Session::open(&self.pair.source, SPACE).await;
        session.transaction(&statements).await.expect("a change");
    }

    /// The session of weir that waits for a lock.
    async fn waiting(&self, at_target: bool) -> String {
        let server = self.server(at_target);
        let sql = if server.kind().is_postgres() {
            "SELECT pid FROM pg_stat_activity \
             WHERE application_name LIKE 'weir%' AND wait_event_type = 'Lock'"
        } else {
            "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx \
             WHERE trx_state = 'LOCK WAIT'"
        };
        let mut waiting = Vec::new();
        until("weir waits for a lock", SOON, async || {
            waiting = query_in(server, SPACE, sql).await;
            !waiting.is_empty()
        })
        .await;
        waiting.remove(0)
    }

    /// Waits until `/readyz` tells of the trouble; the kind that it tells.
    async fn told(&self, trouble: &Trouble, began_us: i64) -> String {
        let started = Instant::now();
        loop {
            let answer = http_get(self.port, "/readyz").await;
            let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
            let line = body.trim_end();
            assert!(started.elapsed() < SOON, "{}: not told, but {line}", trouble.name);
            assert!(!line.contains(" halted "), "{}: {line}", trouble.name);
            let told = line.strip_prefix("left:right retrying since ");
            let parts = told.and_then(|told| told.split_once(": "));
            if let Some((since, rest)) = parts
                && let Some((kind, rest)) = rest.split_once(": ")
                && trouble.kinds.contains(&kind)
            {
                assert!(head.starts_with("HTTP/1.1 503"), "{head}");
                let earliest = rfc3339(began_us);
                assert!(*since >= *earliest && *since <= *rfc3339(now_us()), "{earliest}: {line}");
                let (_, hint) = rest.split_once("; hint: ").expect("a hint");
                assert!(hint.len() > 10 && !line.contains('\n'), "{line}");
                return kind.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the link runs and both sides are equal.
    async fn until_equal(&self, what: &str) {
        let mut last = String::new();
        let started = Instant::now();
        loop {
            let ready = http_get_if_up(self.port, "/readyz").await;
            if ready.starts_with("HTTP/1.1 200") {
                match self.difference().await {
                    None => return,
                    Some(difference) => last = difference,
                }
            }
            assert!(started.elapsed() < SOON, "{what}: {last}\n{ready}\n{}", self.weir.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn difference(&self) -> Option<String> {
        for (table, columns) in TABLES {
            let sql = format!("SELECT {columns} FROM {{space}}.{table} ORDER BY id");
            let source = query_in(&self.pair.source, SPACE, &sql).await;
            let target = query_in(&self.pair.target, SPACE, &sql).await;
            if source != target {
                return Some(format!("{table}: source {source:?}, target {target:?}"));
            }
        }
        None
    }

    /// `weir_retries_total` by kind.
    async fn retries(&self) -> Vec<(String, f64)> {
        let answer = http_get(self.port, "/metrics").await;
        let count = |line: &str| {
            let rest = line.strip_prefix("weir_retries_total{")?;
            let (_, rest) = rest.split_once("kind=\"")?;
            let (kind, value) = rest.split_once("\"} ")?;
            Some((kind.to_owned(), value.parse().expect("a count")))
        };
        answer.lines().filter_map(count).collect()
    }
}

fn count_of(counts: &[(String, f64)], kind: &str) -> f64 {
    counts.iter().find(|(name, _)| name == kind).map_or(0.0, |(_, count)| *count)
}

/// Before weir listens there is nothing to be read.
async fn http_get_if_up(port: u16, path: &str) -> String {
    match tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
        Ok(_) => http_get(port, path).await,
        Err(_) => String::new(),
    }
}

fn placed(sql: &str, waiting: &str) -> String {
    let sql = sql.replace("{weir}", waiting).replace("{space}", SPACE);
    TABLES.iter().fold(sql, |sql, (table, _)| {
        sql.replace(&format!("{{{table}}}"), &format!("{SPACE}.{table}"))
    })
}

/// The tables; at a target `parted` has partitions and `grow` a place that can be filled, where the server
/// lets it, and there are rows that nobody carries.
fn tables(server: &Running, at_target: bool) -> String {
    let mut sql = "CREATE TABLE a (id INT PRIMARY KEY, n INT); \
                   CREATE TABLE b (id INT PRIMARY KEY, n INT); "
        .to_owned();
    let parted = "CREATE TABLE parted (id INT, part INT, n INT, PRIMARY KEY (id, part))";
    let filler = "CREATE TABLE filler (id INT PRIMARY KEY, n INT); INSERT INTO filler \
                  WITH RECURSIVE i AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM i WHERE id < 200) \
                  SELECT id, 0 FROM i";
    sql += &match (server.kind().is_postgres(), at_target) {
        (true, true) => format!(
            "{parted} PARTITION BY LIST (part); CREATE TABLE one PARTITION OF parted FOR VALUES IN (1); \
             CREATE TABLE two PARTITION OF parted FOR VALUES IN (2); \
             CREATE TABLE grow (id INT PRIMARY KEY, body TEXT)"
        ),
        (true, false) => format!("{parted}; CREATE TABLE grow (id INT PRIMARY KEY, body TEXT)"),
        (false, true) => format!(
            "{parted}; SET GLOBAL innodb_file_per_table = OFF; \
             CREATE TABLE grow (id INT PRIMARY KEY, body LONGTEXT); \
             SET GLOBAL innodb_file_per_table = ON; {filler}"
        ),
        (false, false) => {
            format!("{parted}; CREATE TABLE grow (id INT PRIMARY KEY, body LONGTEXT)")
        }
    };
    sql
}
