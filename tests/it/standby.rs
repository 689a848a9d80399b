//! Standbys of PostgreSQL: a link that goes on after a failover exactly where nothing was lost, and one
//! that reads from a standby, before and after it is promoted.

use std::time::Duration;

use tokio::process::Child;
use weir::sandbox::{self, Options, Running, Server};

use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::settings::{named_and_mended, said};

const SPACE: &str = "ha";
const SOON: Duration = Duration::from_secs(40);
const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)";

/// Both servers, a standby of the source, and weir, set up from the primary.
struct Stage {
    pair: Pair,
    standby: Running,
    weir: Weir,
}

impl Stage {
    async fn new(source: Server, target: Server) -> Option<Stage> {
        let pair = Pair::start(source, target).await?;
        pair.create_space(SPACE).await;
        execute_in(&pair.source, SPACE, T).await;
        let options = Options::default().set("hot_standby_feedback", "on");
        let standby = sandbox::standby(&pair.source, options).await.expect("a standby");
        let weir = Weir::new(&pair, SPACE, SPACE, "");
        weir.let_look().await;
        let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
        execute_in(&pair.target, SPACE, &ddl).await;
        weir.grant().await;
        Some(Stage { pair, standby, weir })
    }

    async fn primary(&self, sql: &str) {
        execute_in(&self.pair.source, SPACE, sql).await;
    }

    async fn promoted(&self, sql: &str) {
        execute_in(&self.standby, SPACE, sql).await;
    }

    async fn caught_up(&self) {
        self.weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    }

    async fn rows(&self) -> String {
        query_in(&self.pair.target, SPACE, "SELECT id FROM {space}.t ORDER BY id").await.join(" ")
    }

    async fn arrive(&self, rows: &str) {
        until(&format!("{rows} on the target"), SOON, async || self.rows().await == rows).await;
    }

    /// The standby has replayed all that the primary has written.
    async fn standby_follows(&self) {
        let head = "SELECT pg_current_wal_insert_lsn()";
        let head = query_in(&self.pair.source, SPACE, head).await.remove(0);
        let done = format!("SELECT pg_last_wal_replay_lsn() >= '{head}'");
        until("the standby follows", SOON, async || {
            query_in(&self.standby, SPACE, &done).await == ["t"]
        })
        .await;
    }
}

/// Broken if a link did not go on with a standby that was promoted and has lost nothing, went on with
/// one that has lost what the target holds, or took the old primary for the new one.
#[tokio::test]
async fn a_failover_goes_on_where_nothing_was_lost() {
    let Some(mut stage) = Stage::new(Server::Postgres18, Server::MariaDb1011).await else { return };
    stage.caught_up().await;
    stage.primary("INSERT INTO t VALUES (1, 'a')").await;
    stage.caught_up().await;
    let failover = "SELECT failover FROM pg_replication_slots WHERE slot_type = 'logical'";
    assert_eq!(query_in(&stage.pair.source, SPACE, failover).await, ["t"]);
    stage
        .weir
        .run(&["check"])
        .await
        .expect_phrase("SET synchronized_standby_slots = 'sandbox_standby'");
    // A copy is complete once the slot has moved beyond where it was begun.
    let mut child = stage.weir.spawn(&["run"]);
    let sync = stage.standby.connect_pg().await.expect("a session that holds the copy");
    until("the slot is copied", SOON, async || {
        stage.primary("UPDATE t SET v = v || 'a'").await;
        stage.primary("SELECT pg_log_standby_snapshot()").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        stage.primary("SELECT pg_log_standby_snapshot()").await;
        stage.standby_follows().await;
        sync.batch_execute("SELECT pg_sync_replication_slots()").await.expect("sync");
        let copied = "SELECT synced AND NOT temporary FROM pg_replication_slots";
        query_in(&stage.standby, SPACE, copied).await == ["t"]
    })
    .await;
    child.kill().await.expect("stopped");
    // Behind the address before it is promoted, a copy is waited for.
    stage.primary("INSERT INTO t VALUES (2, 'unread')").await;
    stage.standby_follows().await;
    stage.pair.source.kill().await.expect("kill");
    stage.weir.point_source_at(&stage.standby);
    stage.weir.run(&["check"]).await.expect_phrase("once the standby is promoted");
    let mut child = stage.weir.spawn(&["run"]);
    until("weir waits", SOON, async || stage.weir.log().contains("standby's copy")).await;
    stage.standby.execute("SELECT pg_promote()").await.expect("promote");
    stage.promoted("INSERT INTO t VALUES (3, 'new')").await;
    stage.arrive("1 2 3").await;
    child.kill().await.expect("stopped");
    let witness = "SELECT source_identity FROM weir.witness WHERE part = 0";
    assert!(query_in(&stage.pair.target, SPACE, witness).await[0].ends_with("/2"));
    // The old primary comes back with what nobody else has.
    stage.pair.source.start_again().await.expect("start");
    stage.weir.point_source_at(&stage.pair.source);
    let run = stage.weir.run(&["run", "--until-caught-up"]).await;
    run.expect_code(4).expect_phrase("left behind by a failover");
}

/// Broken if a link went on with a promoted standby that lacks what the target has applied.
#[tokio::test]
async fn a_failover_that_lost_what_was_applied_halts() {
    let Some(mut stage) = Stage::new(Server::Postgres15, Server::Postgres18).await else { return };
    stage.caught_up().await;
    stage.standby_follows().await;
    stage.standby.stop().await.expect("stop");
    stage.primary("INSERT INTO t VALUES (1, 'lost')").await;
    stage.caught_up().await;
    stage.pair.source.kill().await.expect("kill");
    stage.standby.start_again().await.expect("start");
    // Beside a primary that is only restarted, a standby that cannot be used stops nothing for good.
    let config = std::fs::read_to_string(stage.weir.config()).expect("weir.toml");
    let one = format!("127.0.0.1:{}", stage.pair.source.port());
    let both = format!("{one},127.0.0.1:{}", stage.standby.port());
    std::fs::write(stage.weir.config(), config.replace(&one, &both)).expect("weir.toml");
    let mut child = stage.weir.spawn(&["run"]);
    until("weir tries again", SOON, async || stage.weir.log().contains("another host does not"))
        .await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", stage.weir.log());
    stage.weir.run(&["status"]).await.expect_code(0).expect_phrase("version before 16");
    child.kill().await.expect("stopped");
    std::fs::write(stage.weir.config(), config).expect("weir.toml");
    stage.weir.point_source_at(&stage.standby);
    // The log of a standby can be decoded from version 16 on.
    stage.weir.run(&["check"]).await.expect_phrase("version before 16");
    stage.standby.execute("SELECT pg_promote()").await.expect("promote");
    let run = stage.weir.run(&["run", "--until-caught-up"]).await;
    run.expect_code(4).expect_phrase("that the source has lost");
}

/// Broken if of a transaction that wrote to a table while it was joining, and that a standby cannot tell
/// of, only the rest were carried.
async fn a_table_joins(stage: &Stage) -> Child {
    const U: &str = "CREATE TABLE u (id INT PRIMARY KEY)";
    stage.primary(U).await;
    stage.primary("GRANT SELECT ON u TO weir_reader").await;
    let rights = "GRANT SELECT, INSERT, UPDATE, DELETE ON ha.u TO weir_writer";
    execute_in(&stage.pair.target, SPACE, &format!("{U}; {rights}")).await;
    let joining = stage.pair.source.connect_pg().await.expect("a session");
    let writing = stage.pair.source.connect_pg().await.expect("a session");
    let publish = "BEGIN; ALTER PUBLICATION weir_ha_left_right ADD TABLE ha.u";
    joining.batch_execute(publish).await.expect("publish");
    writing.batch_execute("BEGIN; INSERT INTO ha.u VALUES (1)").await.expect("write");
    joining.batch_execute("COMMIT").await.expect("commit");
    stage.standby_follows().await;
    let child = stage.weir.spawn(&["run"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    writing.batch_execute("INSERT INTO ha.u VALUES (2); COMMIT").await.expect("commit");
    until("weir sees the rows", SOON, async || {
        let status = stage.weir.run(&["status"]).await;
        status.code == 4 && status.stdout.contains("rows that it holds already")
    })
    .await;
    execute_in(&stage.pair.target, SPACE, "INSERT INTO u VALUES (1), (2)").await;
    stage.weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    stage.primary("INSERT INTO t VALUES (4, 'joined')").await;
    child
}

/// Broken if a link could not read from a standby, waited for ever or without a word for its slot, or
/// lost or refused what comes after the promotion of that standby.
#[tokio::test]
async fn a_standby_is_read_before_and_after_its_promotion() {
    let Some(stage) = Stage::new(Server::Postgres18, Server::MySql97).await else { return };
    stage.weir.point_source_at(&stage.standby);
    let apply = stage.weir.run(&["setup", "--apply", "--on", "left"]).await;
    apply.expect_code(1).expect_phrase("run what is printed on its primary");
    let off = ["ALTER SYSTEM SET hot_standby_feedback = off", "SELECT pg_reload_conf()"];
    let told = "its primary may remove what the slot here needs";
    named_and_mended(&stage.standby, &stage.weir, &off, told).await;
    let mut child = stage.weir.spawn(&["run"]);
    until("the slot is made", SOON, async || {
        stage.primary("SELECT pg_log_standby_snapshot()").await;
        stage.weir.log().contains("streaming")
    })
    .await;
    stage
        .primary("INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET id = 5 WHERE id = 2")
        .await;
    stage.arrive("1 5").await;
    // A row that the target lacks is read again beside the stream.
    execute_in(&stage.pair.target, SPACE, "DELETE FROM t WHERE id = 1").await;
    stage.primary("UPDATE t SET v = 'again' WHERE id = 1").await;
    stage.arrive("1 5").await;
    child.kill().await.expect("stopped");
    let mut child = a_table_joins(&stage).await;
    stage.arrive("1 4 5").await;
    stage.primary("DELETE FROM t WHERE id = 4").await;
    stage.arrive("1 5").await;
    stage.standby.execute("SELECT pg_promote()").await.expect("promote");
    stage.promoted("INSERT INTO t VALUES (6, 'c')").await;
    stage.arrive("1 5 6").await;
    let witness = "SELECT source_identity FROM weir.witness WHERE part = 0";
    until("the promotion is written down", SOON, async || {
        query_in(&stage.pair.target, SPACE, witness).await[0].ends_with("/2")
    })
    .await;
    stage.promoted("INSERT INTO t VALUES (7, 'd')").await;
    stage.arrive("1 5 6 7").await;
    child.kill().await.expect("stopped");
    stage.promoted("INSERT INTO t VALUES (8, 'e')").await;
    stage.caught_up().await;
    assert_eq!(stage.rows().await, "1 5 6 7 8");
}

/// Broken if a slot that no standby copies went unsaid until the failover, or one that is copied may be ahead
/// of the standby.
#[tokio::test]
async fn a_slot_that_does_not_outlive_a_failover_is_told() {
    let Some(stage) = Stage::new(Server::Postgres18, Server::MariaDb1011).await else { return };
    let make = |options: &str| {
        format!(
            "SELECT pg_create_logical_replication_slot('weir_ha_left_right', 'pgoutput'{options})"
        )
    };
    stage.primary(&make("")).await;
    let stays = "slot weir_ha_left_right: no standby keeps a copy of it";
    let named = said(&stage.weir, stays).await.expect("a warning");
    let alter = "ALTER_REPLICATION_SLOT weir_ha_left_right (FAILOVER true)";
    assert!(!named.is_error() && named.hint.contains(alter), "{named:?}");
    // As that does, which is no statement of SQL.
    stage.primary("SELECT pg_drop_replication_slot('weir_ha_left_right')").await;
    stage.primary(&make(", false, false, true")).await;
    assert_eq!(said(&stage.weir, stays).await.map(|one| one.text), None);
    let ahead = "slot weir_ha_left_right: weir may read ahead of the standbys";
    named_and_mended(&stage.pair.source, &stage.weir, &["SELECT 1"], ahead).await;
}
