//! A link that begins at a place that a person gives, with a slot that he made.

use weir::error::{Error, Kind};
use weir::link::ports::Source;
use weir::model::Value;
use weir::position::{Lsn, Position};
use weir::sandbox::{Options, Server};

use super::rig::{Rig, SLOT, follow, inserted};

async fn refused(source: &mut Box<dyn Source>, at: Lsn) -> Error {
    source.begin_at(&Position::Postgres(at)).await.expect_err("refused")
}

/// Broken if a link began after a gap, or with another slot than the one that was made before the rows
/// were copied; if a DBA were not told what to do; or if his slot were dropped under his copy.
#[tokio::test]
async fn a_given_start_needs_the_slot_of_the_copy() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY)";
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let mut source = rig.source().await;
        let make =
            format!("SELECT lsn FROM pg_create_logical_replication_slot('{SLOT}', 'pgoutput')");
        let error = refused(&mut source, rig.head().await).await;
        assert_eq!(error.kind(), Kind::Gap);
        assert!(error.hint_for("a:b").contains(&make), "{}", error.hint_for("a:b"));
        let early = rig.head().await;
        rig.server.execute("INSERT INTO t VALUES (1)").await.unwrap();
        let plugin =
            format!("SELECT pg_create_logical_replication_slot('{SLOT}', 'test_decoding')");
        if rig.server.execute(&plugin).await.is_ok() {
            assert_eq!(refused(&mut source, early).await.kind(), Kind::Identity);
            let drop = format!("SELECT pg_drop_replication_slot('{SLOT}')");
            rig.server.execute(&drop).await.unwrap();
        }
        let given: Lsn = rig.text(&make).await.parse().unwrap();
        let error = refused(&mut source, early).await;
        assert_eq!(error.kind(), Kind::Gap);
        let hint = error.hint_for("a:b");
        assert!(hint.contains(&format!("lsn = \"{given}\"")) && hint.contains(&make), "{hint}");
        let error = refused(&mut source, Lsn(given.0 + (1 << 40))).await;
        assert_eq!(error.kind(), Kind::Configuration, "{error:?}");
        assert!(error.hint_for("a:b").contains("confirmed_flush_lsn"));
        rig.server.execute("INSERT INTO t VALUES (2)").await.unwrap();
        let from = source.begin_at(&Position::Postgres(given)).await.unwrap();
        assert_eq!(from, Position::Postgres(given));
        assert_eq!(rig.text("SELECT count(*)::text FROM pg_replication_slots").await, "1");
        let mut stream = follow(source, from, 1 << 20);
        let (changes, _) = stream.transaction().await;
        assert_eq!(inserted(&changes[0])[0], Value::Int(2));
        let busy = refused(&mut rig.source().await, given).await;
        assert_eq!(busy.kind(), Kind::SourceBusy);
        stream.stop().await;
        let lsn = "SELECT pg_current_wal_lsn()";
        let later: Lsn = rig.text(lsn).await.parse().unwrap();
        let mut source = rig.source().await;
        source.begin_at(&Position::Postgres(later)).await.expect("a later place is kept too");
    }
}
