//! Ways to lose changes that leave hardly a trace at the source, and what weir makes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir::error::{Disposition, Kind};
use weir::link::ports::{Origin, Preflight, Retention, Scan};
use weir::position::{Lsn, Position};
use weir::postgres::{preflight, source};
use weir::sandbox::{Options, Server};

use super::rig::{PATIENCE, Rig, SLOT, follow};
use crate::rights::READER;

const T: &str = "CREATE TABLE t (id int PRIMARY KEY, v text)";

async fn publication_missing(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), T).await else { return };
    let mut stream = rig.begin(1 << 20).await;
    rig.server.execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(stream.transaction().await.0.len(), 1);
    rig.server
        .execute(&format!("DROP PUBLICATION {SLOT}; INSERT INTO t VALUES (2)"))
        .await
        .unwrap();
    let ended = tokio::time::timeout(PATIENCE, stream.task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().kind(), Kind::Gap, "{server:?} while streaming");
    // Made again it is there for what comes, and stays missing for what is in the log.
    rig.server.execute(&format!("CREATE PUBLICATION {SLOT} FOR ALL TABLES")).await.unwrap();
    rig.server.execute("INSERT INTO t VALUES (3)").await.unwrap();
    let mut source = rig.source().await;
    source.check_resume(&stream.from).await.unwrap();
    let again = follow(source, stream.from, 1 << 20);
    let ended = tokio::time::timeout(PATIENCE, again.task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().kind(), Kind::Gap, "{server:?} made again");
}

/// Broken if changes written while the publication was gone were left out for good: up to version 17
/// the server says so by an error, later by a mere warning.
#[tokio::test]
async fn a_publication_that_was_gone_is_a_gap() {
    publication_missing(Server::Postgres15).await;
    publication_missing(Server::Postgres18).await;
}

/// Which lines of the log's part went away by `sql`.
async fn lost(rig: &Rig, scan: &mut dyn Scan, sql: &str) -> (Vec<String>, Vec<Origin>) {
    let before = scan.origins().await.unwrap();
    rig.server.execute(sql).await.unwrap();
    let now = scan.origins().await.unwrap();
    let lost = before[0].log.iter().filter(|line| !now[0].log.contains(line));
    (lost.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect(), now)
}

async fn origins(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), T).await else { return };
    let all = format!("DROP PUBLICATION {SLOT}; CREATE PUBLICATION {SLOT} FOR ALL TABLES");
    rig.server.execute(&all).await.unwrap();
    let mut scan = rig.scan().await;
    let remake = format!("DROP PUBLICATION {SLOT}; CREATE PUBLICATION {SLOT} FOR TABLE t");
    assert_eq!(lost(&rig, scan.as_mut(), &remake).await.0, ["publication"]);
    let alter = format!("ALTER PUBLICATION {SLOT}");
    let all = "insert, update, delete, truncate";
    for (sql, expected) in [
        // What `weir setup` does again, and what goes on beside it, is no change.
        (format!("{alter} SET TABLE t"), &[][..]),
        ("CREATE TABLE u (id int PRIMARY KEY)".to_owned(), &[]),
        (format!("{alter} ADD TABLE u; {alter} SET TABLE u, t; {alter} DROP TABLE u"), &[]),
        ("VACUUM (FREEZE, FULL) pg_publication; VACUUM FREEZE pg_publication_rel".to_owned(), &[]),
        ("ALTER TABLE t ADD COLUMN w int; TRUNCATE t; ANALYZE t".to_owned(), &[]),
        (format!("{alter} DROP TABLE t; {alter} ADD TABLE t"), &["member"]),
        (format!("{alter} SET TABLE t WHERE (id > 5); {alter} SET TABLE t"), &["member"]),
        (
            format!("{alter} SET (publish = 'insert'); {alter} SET (publish = '{all}')"),
            &["publication"],
        ),
        (
            format!(
                "ALTER TABLE t RENAME TO old; CREATE TABLE t (id int PRIMARY KEY);
                 {alter} SET TABLE t"
            ),
            &["object", "member"],
        ),
    ] {
        // VACUUM must be alone in its request.
        for part in sql.split("; VACUUM").skip(1) {
            rig.server.execute(&format!("VACUUM{part}")).await.unwrap();
        }
        let first = sql.split("; VACUUM").next().unwrap_or_default();
        assert_eq!(lost(&rig, scan.as_mut(), first).await.0, expected, "{server:?}: {sql}");
    }
    let schema = format!("{alter} SET TABLES IN SCHEMA public");
    assert_eq!(lost(&rig, scan.as_mut(), &schema).await.0, ["member"]);
    let again = format!("{alter} DROP TABLES IN SCHEMA public; {schema}");
    assert_eq!(lost(&rig, scan.as_mut(), &again).await.0, ["schema"]);
    let (lost, now) = lost(&rig, scan.as_mut(), "DROP TABLE t").await;
    assert_eq!((lost.len(), &now[0]), (3, &Origin::default()));
}

/// Broken if a stretch of the log without a table's changes left no trace, or if what is right and
/// was only said again looked like one.
#[tokio::test]
async fn what_keeps_a_table_from_the_log_is_seen() {
    origins(Server::Postgres15).await;
    origins(Server::Postgres18).await;
}

/// Broken if a source that was set back to an older time were followed from beyond the end of its
/// log: the server would pass over every change below that.
#[tokio::test]
async fn a_source_set_back_is_noticed() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let Some(rig) = Rig::new(server, Options::default(), T).await else { return };
        let mut source = rig.source().await;
        source.begin().await.unwrap();
        let head = rig.head().await;
        source.check_resume(&Position::Postgres(head)).await.unwrap();
        let beyond = Position::Postgres(Lsn(head.0 + (64 << 20)));
        let error = source.check_resume(&beyond).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Identity, "{error:?}");
        assert!(error.to_string().contains("set back"), "{error}");
    }
}

/// Broken if time-outs that the server sets for everybody ended what may take its time: the wait for
/// a new slot, or a session that has nothing to say.
#[tokio::test]
async fn time_outs_of_the_server_do_not_count() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let options = Options::default()
            .set("statement_timeout", "700ms")
            .set("lock_timeout", "700ms")
            .set("idle_session_timeout", "700ms")
            .set("idle_in_transaction_session_timeout", "700ms");
        let Some(rig) = Rig::new(server, options, T).await else { return };
        let mut scan = rig.scan().await;
        let open = rig.server.connect_pg().await.unwrap();
        open.batch_execute("SET idle_in_transaction_session_timeout = 0; BEGIN").await.unwrap();
        open.batch_execute("INSERT INTO t VALUES (1, 'open')").await.unwrap();
        let mut source = rig.source().await;
        let begin = tokio::spawn(async move { source.begin().await.map(|from| (source, from)) });
        tokio::time::sleep(Duration::from_secs(2)).await;
        open.batch_execute("COMMIT").await.unwrap();
        let (source, from) = begin.await.unwrap().unwrap();
        let stream = follow(source, from, 1 << 20);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(scan.origins().await.unwrap().len(), 1);
        stream.stop().await;
    }
}

/// Broken if the log of an idle database piled up, or the slot moved beyond the target.
#[tokio::test]
async fn an_idle_slot_moves_as_far_as_is_durable_and_no_further() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY)";
    let Some(rig) = Rig::new(Server::Postgres15, Options::default(), ddl).await else { return };
    let mut stream = rig.begin(1 << 20).await;
    let Position::Postgres(from) = stream.from else { panic!("an lsn") };
    // Log that has nothing to do with the table.
    rig.server.execute("CREATE TABLE other AS SELECT generate_series(1, 1000)").await.unwrap();
    let head = rig.head().await;
    let until = Instant::now() + PATIENCE;
    let position = loop {
        assert!(Instant::now() < until, "no progress on an idle source");
        let queued = stream.parts.receive().await.unwrap();
        assert!(queued.part.changes.is_empty());
        match &queued.part.commit.as_ref().unwrap().position {
            Position::Postgres(lsn) if *lsn >= head => break *lsn,
            _ => {}
        }
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.confirmed().await, from, "acknowledged what is not durable");
    stream.durable.send(Position::Postgres(position)).unwrap();
    while rig.confirmed().await != position {
        assert!(Instant::now() < until, "the slot does not follow the frontier");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream.stop().await;
    assert_eq!(rig.text("SELECT active FROM pg_replication_slots").await, "f");
}

/// Looks for a while whether a heartbeat is due, with the link at `seen`.
async fn beats(scan: &mut dyn Scan, seen: Lsn) {
    for _ in 0..4 {
        scan.heartbeat(&Position::Postgres(seen)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Broken if heartbeats were written into an idle log, again for one of their own, or none where the
/// position stands still, or if a role that may not write them were not told the grant.
#[tokio::test]
async fn heartbeats_are_written_where_nothing_moves() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let Some(mut rig) = Rig::new(server, Options::default(), T).await else { return };
        rig.source().await.begin().await.unwrap();
        rig.database.heartbeat = Some(Duration::from_millis(10));
        let messages = format!(
            "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('{SLOT}', NULL, NULL,
             'proto_version', '1', 'publication_names', '{SLOT}', 'messages', 'true')
             WHERE get_byte(data, 0) = ascii('M')"
        );
        let head = rig.head().await;
        let mut scan = rig.scan().await;
        beats(scan.as_mut(), head).await;
        assert_eq!(rig.text(&messages).await, "0", "{server:?}: an idle log is written to");
        rig.server.execute("CREATE TABLE other AS SELECT generate_series(1, 5000)").await.unwrap();
        beats(scan.as_mut(), head).await;
        assert_eq!(rig.text(&messages).await, "1", "{server:?}: one until it is passed");
        beats(scan.as_mut(), rig.head().await).await;
        assert_eq!(rig.text(&messages).await, "1", "{server:?}: a reason of its own");
        let function = rig
            .text(
                "SELECT min(oid::regprocedure::text) FROM pg_proc
                   WHERE proname = 'pg_logical_emit_message' AND proargtypes[2] = 'text'::regtype",
            )
            .await;
        rig.server
            .execute(&format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"))
            .await
            .unwrap();
        beats(rig.scan().await.as_mut(), head).await;
        assert_eq!(rig.text(&messages).await, "1", "{server:?}: a message without the right");
        let tables: Vec<_> = rig.plan.tables.iter().map(|table| &table.source).collect();
        let (context, database) = (&rig.context, &rig.database);
        let preflight =
            Preflight { context, database, tables: &tables, unfilled: &[], whole: None };
        let findings = preflight::check_source(preflight).await.unwrap();
        let found = findings.iter().find(|finding| finding.message.contains("heartbeats"));
        let found = found.expect("a finding");
        assert!(
            !found.fatal && found.advice().contains(&format!("FUNCTION {function} TO {READER}"))
        );
    }
}

/// Broken if a short `wal_sender_timeout` cut the stream while the target is slow.
#[tokio::test]
async fn a_short_time_out_of_the_sender_is_kept() {
    let options = Options::default().set("wal_sender_timeout", "600ms");
    let Some(rig) = Rig::new(Server::Postgres15, options, T).await else { return };
    let mut stream = rig.begin(64 << 10).await;
    let rows = "INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 50000) i";
    rig.server.execute(rows).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!stream.task.is_finished(), "{:?}", stream.task.await);
    assert_eq!(stream.transaction().await.0.len(), 50_000);
    stream.stop().await;
}

/// Broken if a link on its way halted because others took the last connection for a moment; the
/// first start must say so.
#[tokio::test]
async fn a_shortage_is_fatal_before_the_first_start_only() {
    let options = Options::default().set("max_wal_senders", "1");
    let Some(rig) = Rig::new(Server::Postgres15, options, T).await else { return };
    let tables: Vec<_> = rig.plan.tables.iter().map(|table| &table.source).collect();
    let look = async || {
        let (context, database) = (&rig.context, &rig.database);
        let findings = preflight::check_source(Preflight {
            context,
            database,
            tables: &tables,
            unfilled: &[],
            whole: None,
        });
        let findings = findings.await.unwrap();
        findings.into_iter().find(|finding| finding.message.contains("max_wal_senders"))
    };
    let mut source = rig.source().await;
    assert!(look().await.expect("a finding").fatal);
    source.begin().await.unwrap();
    assert!(!look().await.expect("a finding").fatal);
    let error = source::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await.err();
    assert_eq!(error.map(|error| error.disposition()), Some(Disposition::Retry));
}

/// Broken if log piled up behind a slot, or was about to be given up, without a sign.
#[tokio::test]
async fn how_long_the_log_is_kept() {
    for (server, limit) in [(Server::Postgres15, "-1"), (Server::Postgres18, "1GB")] {
        let options = Options::default().set("max_slot_wal_keep_size", limit);
        let Some(rig) = Rig::new(server, options, T).await else { return };
        let mut scan = rig.scan().await;
        let at = scan.head().await.unwrap();
        // A link with a place in the log and without a slot: nothing of the log is kept for it.
        let gone = Retention { safe_bytes: Some(0), ..Retention::default() };
        assert_eq!(scan.retention(&at, None).await.unwrap(), gone);
        let stream = rig.begin(1 << 20).await;
        let before = scan.retention(&at, None).await.unwrap();
        assert_eq!((before.safe_bytes.is_some(), before.purge_eta), (limit != "-1", None));
        let fill = "INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n";
        rig.server.execute(fill).await.unwrap();
        let after = scan.retention(&at, None).await.unwrap();
        assert!(after.retained_bytes > Some(1_000_000), "{before:?} {after:?}");
        assert!(after.safe_bytes <= before.safe_bytes, "{before:?} {after:?}");
        stream.stop().await;
    }
}
