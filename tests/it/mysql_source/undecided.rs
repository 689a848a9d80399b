//! What is prepared (XA) and not decided: how much of it there may be, and what it outlives.

use weir::error::Kind;
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::places::{set_mode, without_gtids};
use super::rig::Rig;
use super::two_phases::{TABLES, again, arrives, decide, passes, prepare};

/// Transactions that may wait for their commit.
const OPEN_MAX: usize = 1_000;
const MIB: usize = 1 << 20;

async fn limited(server: Server) {
    let large = "CREATE TABLE large (id int PRIMARY KEY, v longtext)";
    let options = Options::default().set("max_allowed_packet", "64M");
    let Some(rig) = Rig::new(server, options, large).await else { return };
    let row = |id: usize| format!("INSERT INTO large VALUES ({id}, REPEAT('x', {}))", 10 * MIB);
    let rows = |ids: std::ops::Range<usize>| ids.map(row).collect::<Vec<_>>().join("; ");

    // Most of it in one, and too much together.
    let stream = rig.begin().await;
    prepare(&rig, "'most'", &rows(0..6)).await;
    prepare(&rig, "'more'", &rows(6..7)).await;
    refused(stream.error().await, "more than 64 MiB");
    for xid in ["most", "more"] {
        decide(&rig, &format!("XA ROLLBACK '{xid}'")).await;
    }
    // Too much before it is even prepared.
    let stream = rig.begin().await;
    prepare(&rig, "'alone'", &rows(0..8)).await;
    refused(stream.error().await, "more than 64 MiB");
    decide(&rig, "XA ROLLBACK 'alone'").await;

    let stream = rig.begin().await;
    for number in 0..=OPEN_MAX {
        prepare(&rig, &format!("'{number}'"), &format!("INSERT INTO large VALUES ({number}, '')"))
            .await;
    }
    refused(stream.error().await, "more than 1000 two-phase transactions");
    for number in 0..=OPEN_MAX {
        decide(&rig, &format!("XA ROLLBACK '{number}'")).await;
    }
    // What was undone is no longer in the way.
    let mut stream = rig.begin().await;
    prepare(&rig, "'small'", "INSERT INTO large VALUES (1, '')").await;
    decide(&rig, "XA COMMIT 'small'").await;
    arrives(&mut stream, &[1]).await;
    stream.stop().await;
}

fn refused(error: weir::error::Error, words: &str) {
    assert_eq!(error.kind(), Kind::Unsupported, "{}", error.chain());
    assert!(error.chain().contains(words), "{}", error.chain());
    assert!(error.operator_hint().contains("XA RECOVER"), "{}", error.operator_hint());
}

/// Broken if what nobody commits took memory without bound, or did not halt the link by name.
#[tokio::test]
async fn what_is_prepared_has_limits_mysql() {
    limited(Server::MySql97).await;
}

/// As above on MariaDB.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn what_is_prepared_has_limits_mariadb() {
    limited(Server::MariaDb1011).await;
}

fn by_gtid(position: &Position) -> bool {
    matches!(position.applied(), Position::Mysql(..))
}

/// Broken if switching GTIDs on or off, step by step, lost or repeated rows that were prepared before
/// and committed after it, with weir away between or not, or if a halt on the way had no way on.
#[tokio::test]
async fn gtids_come_and_go_while_one_is_prepared() {
    let Some(rig) = Rig::new(Server::MySql97, without_gtids(), TABLES).await else { return };
    let mut stream = rig.begin().await;
    prepare(&rig, "'old'", "INSERT INTO t VALUES (1, 1, NULL)").await;
    let held = passes(&rig, &mut stream, 10).await;
    assert!(!by_gtid(&held) && held.held_by().is_some(), "{held}");
    rig.execute("SET GLOBAL enforce_gtid_consistency = ON").await;
    let on = ["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"];
    for (mode, id) in on.into_iter().zip(11..) {
        set_mode(&rig, &[mode]).await;
        passes(&rig, &mut stream, id).await;
    }
    prepare(&rig, "'new'", "INSERT INTO t VALUES (2, 2, NULL)").await;
    let held = passes(&rig, &mut stream, 20).await;
    stream.stop().await;
    // The server sends nothing without a GTID while its mode is ON, be it read before or not.
    let error = again(&rig, &held).await.error().await;
    assert_eq!(error.kind(), Kind::Setting, "{}", error.chain());
    assert!(error.operator_hint().contains("prepared then (XA)"), "{}", error.operator_hint());
    set_mode(&rig, &["ON_PERMISSIVE"]).await;
    let mut stream = again(&rig, &held).await;
    let held = passes(&rig, &mut stream, 21).await;
    assert!(held.held_by().is_some(), "{held}");
    decide(&rig, "XA COMMIT 'old'").await;
    arrives(&mut stream, &[1]).await;
    set_mode(&rig, &["ON"]).await;
    let held = passes(&rig, &mut stream, 22).await;
    stream.stop().await;

    let off = ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"];
    let mut stream = again(&rig, &held).await;
    for (mode, id) in off.into_iter().zip(31..) {
        set_mode(&rig, &[mode]).await;
        passes(&rig, &mut stream, id).await;
    }
    let held = passes(&rig, &mut stream, 40).await;
    assert!(!by_gtid(&held) && held.held_by().is_some(), "{held}");
    stream.stop().await;
    let error = again(&rig, &held).await.error().await;
    assert_eq!(error.kind(), Kind::Setting, "{}", error.chain());
    assert!(error.operator_hint().contains("to OFF_PERMISSIVE"), "{}", error.operator_hint());
    set_mode(&rig, &["OFF_PERMISSIVE"]).await;
    decide(&rig, "XA COMMIT 'new'").await;
    let mut stream = again(&rig, &held).await;
    let free = arrives(&mut stream, &[2]).await;
    assert!(free.held_by().is_none(), "{free}");
    set_mode(&rig, &["OFF"]).await;
    let last = passes(&rig, &mut stream, 41).await;
    stream.stop().await;
    let mut stream = again(&rig, &last).await;
    passes(&rig, &mut stream, 42).await;
    stream.stop().await;
}
