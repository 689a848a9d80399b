//! Chunks that are read while everything changes, judged by their marks against what the stream says.

use std::collections::BTreeMap;

use weir::link::ports::{Chunk, Reach, Scan};
use weir::model::{Change, Commit, Op, Row, Value};
use weir::plan::TablePlan;
use weir::position::{Lsn, Position};
use weir::sandbox::{Options, Server};

use super::rig::Rig;

/// What became of a row: by which commit, to which value.
type History = Vec<(Commit, Option<Value>)>;

fn lsn(position: &Position) -> Lsn {
    match position {
        Position::Postgres(lsn) => *lsn,
        other => panic!("{other}"),
    }
}

fn id(row: &Row) -> i64 {
    match row[0] {
        Value::Int(id) => id,
        ref other => panic!("{other:?}"),
    }
}

fn note(histories: &mut BTreeMap<i64, History>, changes: &[Change], commit: &Commit) {
    let mut add = |id, value| histories.entry(id).or_default().push((commit.clone(), value));
    for change in changes {
        match &change.op {
            Op::Insert { after } => add(id(after), Some(after[1].clone())),
            Op::Update { before, after } => {
                if let Some(before) = before {
                    add(id(before.row()), None);
                }
                add(id(after), Some(after[1].clone()));
            }
            Op::Delete { before } => add(id(before.row()), None),
            Op::Truncate => panic!("nobody truncates"),
        }
    }
}

/// A row as a chunk must have it: every change up to its low mark and none after, if none lies between.
/// `None` where one does.
fn settled(history: &History, chunk: &Chunk) -> Option<Option<Value>> {
    let (low, high) = (lsn(&chunk.low), lsn(&chunk.high));
    let is_in_progress = |commit: &Commit| chunk.in_progress.contains(&commit.xid.unwrap());
    let is_between = |commit: &Commit| {
        let at = lsn(&commit.position);
        (at > low && at <= high) || (at <= low && is_in_progress(commit))
    };
    if history.iter().any(|(commit, _)| is_between(commit)) {
        return None;
    }
    let before = history.iter().rev().find(|(commit, _)| lsn(&commit.position) <= low);
    Some(before.and_then(|(_, value)| value.clone()))
}

async fn write(rig: &Rig, seed: i64, rounds: i64) {
    let session = rig.server.connect_pg().await.unwrap();
    for round in 0..rounds {
        let n = (round * 7919 + seed * 104_729) % 3000 + 1;
        let free = 3001 + round * 4 + seed;
        let sql = match round % 4 {
            0 => format!("UPDATE t SET v = 'u{round}-{seed}' WHERE id = {n}"),
            1 => format!("DELETE FROM t WHERE id = {n}"),
            2 => format!("INSERT INTO t VALUES ({free}, 'i{round}-{seed}')"),
            _ => format!("UPDATE t SET id = {} WHERE id = {n}", free + 100_000),
        };
        session.batch_execute(&sql).await.unwrap();
    }
}

/// Every chunk, each with the place that it comes after.
async fn read(
    scan: &mut Box<dyn Scan>,
    table: &TablePlan,
    walk: &str,
) -> Vec<(Option<String>, Chunk)> {
    let (walk, rows_max, bytes_max) = (walk.to_owned(), 40, 1 << 20);
    let mut reach = Reach { walk, condition: None, after: None, until: None, rows_max, bytes_max };
    let mut chunks = Vec::new();
    loop {
        let after = reach.after.clone();
        let chunk = scan.read_chunk(table, &reach).await.unwrap().unwrap();
        let ended = chunk.ended;
        reach.after = chunk.last.clone().or(after.clone());
        chunks.push((after, chunk));
        if ended {
            return chunks;
        }
    }
}

/// Broken if a chunk with its marks said of a row that nothing changed meanwhile anything but what it
/// was, or left one out.
#[tokio::test]
async fn chunks_are_true_by_their_marks() {
    for (server, walked) in [(Server::Postgres15, "key"), (Server::Postgres18, "places")] {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text)";
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let mut stream = rig.begin(64 << 20).await;
        let fill = "INSERT INTO t SELECT n, 'first' || n FROM generate_series(1, 3000) n";
        rig.server.execute(fill).await.unwrap();
        if walked == "places" {
            // What the log says is as before; the index is no longer one to walk by.
            rig.server.execute("ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX t_id ON t (id DESC NULLS LAST); ALTER TABLE t ALTER id SET NOT NULL; ALTER TABLE t REPLICA IDENTITY USING INDEX t_id").await.unwrap();
        }
        let mut scan = rig.scan().await;
        let table = &rig.plan.tables[0];
        let division = scan.divide(table, 1).await.unwrap();
        assert!(division.walk.contains(walked), "{}", division.walk);
        let reading = read(&mut scan, table, &division.walk);
        let (chunks, ..) =
            tokio::join!(reading, write(&rig, 1, 800), write(&rig, 2, 800), write(&rig, 3, 800));
        rig.server.execute("INSERT INTO t VALUES (-1, 'last')").await.unwrap();
        let mut histories = BTreeMap::new();
        while !histories.contains_key(&-1) {
            let (changes, commit) = stream.transaction().await;
            note(&mut histories, &changes, &commit);
        }
        stream.stop().await;
        let (mut judged, mut found) = (0, BTreeMap::new());
        for (after, chunk) in &chunks {
            for row in &chunk.rows {
                found.insert(id(row), row[1].clone());
                if let Some(known) = settled(&histories[&id(row)], chunk) {
                    assert_eq!(known.as_ref(), Some(&row[1]), "{walked}: row {}", id(row));
                    judged += 1;
                }
            }
            if walked == "key" {
                let place = |text: &Option<String>, open| {
                    let text = text.as_ref().map(|text| text.trim_matches(['[', ']', '"']));
                    text.map_or(open, |text| text.parse::<i64>().unwrap())
                };
                let from = place(after, i64::MIN);
                let to = if chunk.ended { i64::MAX } else { place(&chunk.last, i64::MAX) };
                for (id, history) in histories.range(from..=to).filter(|(id, _)| **id > from) {
                    if let Some(known) = settled(history, chunk) {
                        let there = chunk.rows.iter().any(|row| self::id(row) == *id);
                        assert_eq!(known.is_some(), there, "row {id} of {from}..{to}");
                    }
                }
            }
        }
        for (id, _) in
            histories.iter().filter(|(id, history)| **id > 0 && history.len() == 1 && **id <= 3000)
        {
            assert!(found.contains_key(id), "{walked}: row {id}, which never changed");
        }
        assert!(judged > 1000, "{judged}");
    }
}
