//! The marks of reads beside the stream, under load (correctness.md 8): everything up to the low
//! mark is visible, nothing after the high mark is.

use std::sync::Arc;

use std::time::Duration;

use weir::error::Kind;
use weir::link::ports::{Reach, Scan, Scanned};
use weir::model::{Op, Row, Value};
use weir::mysql::scan;
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::rig::Rig;

const WRITERS: i64 = 6;
const SCANS: usize = 150;
/// Between scans, so that the writers get something done.
const PAUSE: Duration = Duration::from_millis(5);

/// One logged update of a row: its own GTID, and the value it left.
struct Logged {
    alone: Position,
    value: i64,
}

/// What one transaction added to the position.
fn alone(before: &Position, after: &Position) -> Position {
    match (before.applied(), after.applied()) {
        (Position::Mysql(before, _), Position::Mysql(own, _)) if own != before => {
            Position::Mysql(own.minus(before), None)
        }
        _ => after.applied().clone(),
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("a number, not {other:?}"),
    }
}

pub(super) async fn marks(server: Server, options: Options) {
    for by in [By::Keys, By::Chunks] {
        let update = |id| format!("UPDATE t SET v = v + 1 WHERE id = {id}");
        let between = marks_of(server, options.clone(), update, by).await;
        if server == Server::MariaDb1011 {
            assert_eq!(between, 0, "MariaDB's marks are one");
        }
    }
}

/// How rows are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// Single ones.
    Keys,
    /// As pieces of a copy.
    Chunks,
}

/// Reads every row.
async fn read(scan: &mut dyn Scan, rig: &Rig, walk: &str, by: By) -> Scanned {
    let table = &rig.plan.tables[0];
    if matches!(by, By::Keys) {
        let keys: Vec<Row> = (0..WRITERS).map(|id| Row::from(vec![Value::Int(id)])).collect();
        return scan.read_rows(table, &keys).await.unwrap();
    }
    let (walk, condition, after, until) = (walk.to_owned(), None, None, None);
    let reach = Reach { walk, condition, after, until, rows_max: 100, bytes_max: 1 << 20 };
    let chunk = loop {
        match scan.read_chunk(table, &reach).await {
            // A row was locked for long.
            Err(error) if error.kind() == Kind::Contention => {}
            read => break read.unwrap().expect("the walk is good"),
        }
    };
    let rows: Vec<_> = chunk.rows.into_iter().map(Some).collect();
    assert!(chunk.ended && rows.len() == usize::try_from(WRITERS).unwrap());
    Scanned { low: chunk.low, high: chunk.high, exact: false, in_progress: chunk.in_progress, rows }
}

/// Sessions that run what `update` says of their row, again and again.
async fn write(rig: &Rig, update: fn(i64) -> String) -> Vec<tokio::task::JoinHandle<()>> {
    use mysql_async::prelude::Queryable;
    let mut writers = Vec::new();
    for id in 0..WRITERS {
        let mut conn = rig.server.connect_mysql().await.unwrap();
        writers
            .push(tokio::spawn(async move { while conn.query_drop(update(id)).await.is_ok() {} }));
    }
    writers
}

/// Under a load of what `update` does to each row; how many rows were read between two marks that
/// differ for them.
pub(super) async fn marks_of(
    server: Server,
    options: Options,
    update: fn(i64) -> String,
    by: By,
) -> usize {
    // The log is long enough for MariaDB's GTIDs not to be read from it.
    let ddl = "CREATE TABLE t (id bigint PRIMARY KEY, v bigint);
        CREATE TABLE other (b longtext); INSERT INTO other VALUES (REPEAT('x', 300000));";
    let Some(rig) = Rig::new(server, options, ddl).await else { return 0 };
    for id in 0..WRITERS {
        rig.execute(&format!("INSERT INTO t VALUES ({id}, 0)")).await;
    }
    let mut stream = rig.begin().await;
    let writers = write(&rig, update).await;
    let mut scan = scan::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await.unwrap();
    let keys: Vec<Row> = (0..WRITERS).map(|id| Row::from(vec![Value::Int(id)])).collect();
    let walk = scan.divide(&rig.plan.tables[0], 1).await.unwrap().walk;
    let mut scans = Vec::new();
    for _ in 0..SCANS {
        scans.push(read(scan.as_mut(), &rig, &walk, by).await);
        tokio::time::sleep(PAUSE).await;
    }
    writers.iter().for_each(tokio::task::JoinHandle::abort);
    let end = scan.head().await.unwrap();
    let mut logged: Vec<Vec<Logged>> = (0..WRITERS).map(|_| Vec::new()).collect();
    let mut last = stream.from.clone();
    while !last.reaches(&end) {
        let queued = stream.parts.receive().await.expect("the stream goes on");
        let Some(commit) = &queued.part.commit else { continue };
        for change in &queued.part.changes {
            let Op::Update { after, .. } = &change.op else { panic!("an update") };
            let alone = alone(&last, &commit.position);
            let id = usize::try_from(int(&after[0])).unwrap();
            logged[id].push(Logged { alone, value: int(&after[1]) });
        }
        last = commit.position.clone();
    }
    let mut between = 0;
    for scanned in &scans {
        for (own, row) in logged.iter().zip(&scanned.rows) {
            let value = int(&row.as_ref().expect("the row is there")[1]);
            // Updates of one row follow each other, so that a mark holds the first few of them.
            let at = |mark: &Position| {
                let held = own.partition_point(|change| mark.reaches(&change.alone));
                held.checked_sub(1).map_or(0, |last| own[last].value)
            };
            let high = at(&scanned.high);
            let low = if scanned.exact { high } else { at(&scanned.low) };
            assert!(low <= value && value <= high, "{low} <= {value} <= {high}");
            between += usize::from(low != high);
        }
    }
    if scans.iter().any(|scanned| scanned.exact) {
        let exact = scans.iter().filter(|scanned| scanned.exact).count();
        assert!(exact * 2 > SCANS, "only {exact} of {SCANS} reads held all their locks");
    } else {
        assert!(matches!(by, By::Chunks) || end_has_gtids(&end), "places need locks");
    }
    let updates: usize = logged.iter().map(Vec::len).sum();
    assert!(updates > 200, "{updates} updates are no load");
    if server == Server::MariaDb1011 {
        for scanned in &scans {
            gtids_are_those_of_the_place(&rig, &scanned.low).await;
        }
        one_server(&rig, scan.as_mut(), &keys).await;
    }
    stream.stop().await;
    between
}

/// Whether positions of this log have GTIDs.
fn end_has_gtids(end: &Position) -> bool {
    match end.applied() {
        Position::Mysql(set, _) => *set != weir::position::MysqlGtidSet::default(),
        _ => true,
    }
}

/// A mark of MariaDB's has the GTIDs that its server says of its place.
async fn gtids_are_those_of_the_place(rig: &Rig, mark: &Position) {
    let (Position::Mariadb(set, Some(at)), false) = (mark, mark.held_by().is_some()) else {
        // Of a read under locks the place may be unknown.
        return;
    };
    let sql = format!("SELECT BINLOG_GTID_POS('{}', {})", at.file, at.position);
    let told = rig.server.query(&sql).await.unwrap()[0][0].clone().unwrap();
    assert_eq!(*set, told.parse().unwrap(), "at {at}");
}

/// Broken if MariaDB read its log from the start for each mark: a copy would wait for that.
#[tokio::test]
async fn a_mark_costs_no_read_of_the_log() {
    let ddl = "CREATE TABLE t (id bigint PRIMARY KEY, v bigint);
        CREATE TABLE other (b longtext); INSERT INTO other VALUES (REPEAT('x', 300000));
        SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON;";
    let Some(rig) = Rig::new(Server::MariaDb1011, Options::default(), ddl).await else { return };
    let mut scan = scan::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await.unwrap();
    let key = [Row::from(vec![Value::Int(1)])];
    for _ in 0..3 {
        for _ in 0..3 {
            let scanned = scan.read_rows(&rig.plan.tables[0], &key).await.unwrap();
            gtids_are_those_of_the_place(&rig, &scanned.low).await;
        }
        rig.execute("UPDATE t SET v = 2; INSERT INTO other VALUES ('y')").await;
    }
    let asked = "SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE 'weir_%' \
                 AND argument LIKE '%BINLOG_GTID_POS%'";
    assert_eq!(rig.server.query(asked).await.unwrap()[0][0].as_deref(), Some("0"));
    let asked = asked.replace("BINLOG_GTID_POS", "gtid_binlog_pos");
    assert_eq!(rig.server.query(&asked).await.unwrap()[0][0].as_deref(), Some("3"));
}

/// Broken if a row were read from another server that has come behind the address, whose marks mean
/// nothing in the log that is read.
async fn one_server(rig: &Rig, scan: &mut dyn Scan, keys: &[Row]) {
    let own = rig.source().await.identity().to_owned();
    scan.require_server(&own).unwrap();
    assert_eq!(scan.require_server("mariadb:99").unwrap_err().kind(), Kind::Unavailable);
    let sessions = "SELECT id FROM information_schema.processlist \
                    WHERE command = 'Sleep' AND id <> connection_id()";
    for session in rig.server.query(sessions).await.unwrap() {
        let id = session[0].clone().unwrap();
        // A writer's may be gone by then; that the scan's was ended is seen below.
        drop(rig.server.execute(&format!("KILL {id}")).await);
    }
    let before = rig.server.query("SELECT @@GLOBAL.server_id").await.unwrap();
    rig.execute("SET GLOBAL server_id = 99").await;
    let table = &rig.plan.tables[0];
    assert!(scan.read_rows(table, keys).await.is_err(), "its session was ended");
    let error = scan.read_rows(table, keys).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{}", error.chain());
    assert!(error.chain().contains(&format!("now served by mariadb:99, it was {own}")));
    let before = before[0][0].clone().unwrap();
    rig.execute(&format!("SET GLOBAL server_id = {before}")).await;
    scan.read_rows(table, keys).await.unwrap();
}

/// Broken if rows that were locked for a read were not as of the end of the log that is told with them, or
/// if a lock of somebody else ended the read, or deadlocked with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make acceptance"]
async fn marks_hold_under_load_mysql_without_gtids() {
    let options = Options::default().set("gtid_mode", "OFF").set("enforce_gtid_consistency", "OFF");
    let update = |id| format!("UPDATE t SET v = v + 1 WHERE id = {id}");
    marks_of(Server::MySql97, options, update, By::Keys).await;
}

/// Broken if a refetch could overwrite a newer value, or miss an older one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_hold_under_load_mysql() {
    marks(Server::MySql97, Options::default()).await;
}

/// As above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make acceptance"]
async fn marks_hold_under_load_mariadb() {
    marks(Server::MariaDb1011, Options::default()).await;
}
