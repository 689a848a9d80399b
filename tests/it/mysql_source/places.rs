//! MySQL without GTIDs: the log is followed by file and position, and GTIDs may come and go.

use weir::error::Kind;
use weir::link::ports::Preflight;
use weir::model::Value;
use weir::mysql::preflight::check_source;
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::marks::marks;
use super::resume::{TABLE, begun_anew, refuses, resumes};
use super::rig::{Rig, Stream, follow, inserted};

pub(super) fn without_gtids() -> Options {
    Options::default().set("gtid_mode", "OFF").set("enforce_gtid_consistency", "OFF")
}

/// Broken if a resume by place skipped or repeated a transaction.
#[tokio::test]
async fn a_stream_resumes_at_its_place() {
    resumes(Server::MySql97, without_gtids()).await;
}

/// Broken if a purged file, another server or a log begun anew were read on without GTIDs.
#[tokio::test]
async fn gaps_and_strangers_are_refused_without_gtids() {
    refuses(Server::MySql97, without_gtids()).await;
    begun_anew(Server::MySql97, without_gtids()).await;
}

/// Broken if a refetch could overwrite a newer value: places run ahead of what is visible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make acceptance"]
async fn marks_hold_under_load_without_gtids() {
    marks(Server::MySql97, without_gtids()).await;
}

pub(super) async fn set_mode(rig: &Rig, modes: &[&str]) {
    for mode in modes {
        rig.execute(&format!("SET GLOBAL gtid_mode = {mode}")).await;
    }
}

/// Inserts a row and takes it from the stream.
async fn passes(rig: &Rig, stream: &mut Stream, id: i64) -> Position {
    rig.execute(&format!("INSERT INTO t VALUES ({id}, 0)")).await;
    let (changes, commit) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(id));
    commit.position
}

/// The stream from the stored text of a position, as after a restart of weir.
async fn again(rig: &Rig, position: &Position) -> Stream {
    let stored: Position = position.to_string().parse().unwrap();
    let mut source = rig.source().await;
    source.check_resume(&stored).await.unwrap();
    follow(source, stored, None)
}

fn by_gtid(position: &Position) -> bool {
    matches!(position, Position::Mysql(..))
}

/// Broken if switching GTIDs on or off, while weir reads or while it does not, lost or repeated a
/// transaction or stopped the link, or if the statements that switch them on could not be run as they
/// stand.
#[tokio::test]
async fn gtids_come_and_go() {
    let Some(rig) = Rig::new(Server::MySql97, without_gtids(), TABLE).await else { return };
    let mut stream = rig.begin().await;
    assert!(!by_gtid(&passes(&rig, &mut stream, 1).await));
    rig.execute("SET GLOBAL enforce_gtid_consistency = ON").await;
    set_mode(&rig, &["OFF_PERMISSIVE", "ON_PERMISSIVE"]).await;
    rig.execute("SET gtid_next = ANONYMOUS; INSERT INTO t VALUES (2, 0)").await;
    stream.transaction().await;
    assert!(!by_gtid(&passes(&rig, &mut stream, 3).await), "some may still have none");
    set_mode(&rig, &["ON"]).await;
    let witness = passes(&rig, &mut stream, 4).await;
    assert!(by_gtid(&witness), "all have one: {witness}");
    stream.stop().await;

    // Off again while weir is away, and on again: in between are transactions without GTID.
    let off = ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"];
    set_mode(&rig, &off).await;
    let mut stream = again(&rig, &witness).await;
    assert!(!by_gtid(&passes(&rig, &mut stream, 5).await));
    stream.stop().await;
    set_mode(&rig, &["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"]).await;
    let error = again(&rig, &witness).await.error().await;
    assert_eq!(error.kind(), Kind::Setting, "{}", error.chain());
    assert!(error.operator_hint().contains("ON_PERMISSIVE"), "{}", error.operator_hint());
    set_mode(&rig, &["ON_PERMISSIVE"]).await;
    let mut stream = again(&rig, &witness).await;
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(5));
    set_mode(&rig, &["ON"]).await;
    let last = passes(&rig, &mut stream, 6).await;
    assert!(by_gtid(&last), "{last}");
    stream.stop().await;
    let mut stream = again(&rig, &last).await;
    passes(&rig, &mut stream, 7).await;
    set_mode(&rig, &off).await;
    assert!(!by_gtid(&passes(&rig, &mut stream, 8).await), "off again while it is read");
    mended(&rig).await;
    assert!(by_gtid(&passes(&rig, &mut stream, 9).await), "on by what check says");
    stream.stop().await;
}

/// Runs what the check of the source gives against `gtid_mode` OFF.
async fn mended(rig: &Rig) {
    rig.execute("SET GLOBAL enforce_gtid_consistency = OFF").await;
    let (context, database) = (&rig.context, &rig.database);
    let look = Preflight { context, database, tables: &[], unfilled: &[], whole: None };
    let found = check_source(look).await.unwrap();
    let found = found.iter().find(|one| one.message.contains("gtid_mode is OFF")).unwrap();
    assert!(!found.fatal);
    for statement in &found.mend {
        rig.execute(statement).await;
    }
}
