//! What others hold, and what refers to what.

use std::time::{Duration, Instant};

use weir::error::{Kind, Result};
use weir::link::letter::{LetterWork, Reason, Tried};
use weir::link::ports::Slice;
use weir::model::{Row, Step, Value, Verb};

use super::stage::{KID, ONE, Stage, Writer, at, folded, letter, name, text, upsert};

/// A session of an administrator that holds locks until it is dropped.
enum Holder {
    Postgres(tokio_postgres::Client),
    Mysql(mysql_async::Conn),
}

impl Holder {
    async fn of(stage: &Stage, sql: &str) -> Holder {
        if stage.server.kind().is_postgres() {
            let client = stage.server.connect_pg().await.expect("connects");
            client.batch_execute(&format!("BEGIN; {sql}")).await.expect(sql);
            return Holder::Postgres(client);
        }
        use mysql_async::prelude::Queryable;
        let mut conn = stage.server.connect_mysql().await.expect("connects");
        for sql in ["BEGIN", sql] {
            conn.query_drop(sql).await.expect(sql);
        }
        Holder::Mysql(conn)
    }

    async fn release(self) {
        match self {
            Holder::Postgres(client) => client.batch_execute("ROLLBACK").await.expect("ends"),
            Holder::Mysql(mut conn) => {
                use mysql_async::prelude::Queryable;
                conn.query_drop("ROLLBACK").await.expect("ends");
            }
        }
    }
}

#[track_caller]
fn contended(outcome: Result<()>) {
    let error = outcome.expect_err("locked");
    assert_eq!(error.kind(), Kind::Contention, "{error:?}");
}

/// Broken if a lock that somebody holds, on a row or on a letter, cost the connection, left something
/// behind, or were waited for longer than the limit.
pub(super) async fn contention_leaves_a_good_connection(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let row = [upsert(ONE, 1, text("v"))];
    writer.open(&row, LetterWork::default(), Some(&at(0x10))).await.expect("writes");
    writer.add(&[letter("a", 0)]).await.expect("adds");
    let (closed, new) = ([name(ONE, "a")], [letter("n", 1)]);
    let closing = LetterWork { closed: &closed, ..LetterWork::default() };
    let adding = LetterWork { new: &new, ..LetterWork::default() };
    let before = stage.letters("src").await;

    let holder = Holder::of(stage, "UPDATE one SET v = 'mine' WHERE id = 1").await;
    let started = Instant::now();
    contended(writer.open(&row, adding, Some(&at(0x11))).await);
    writer.target.rollback().await.expect("rolls back");
    writer.open(&[upsert(ONE, 2, text("v"))], adding, None).await.expect("another row");
    contended(writer.go_on(&row, adding, Some(&at(0x12))).await);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    writer.target.rollback().await.expect("rolls back");
    assert_eq!(stage.letters("src").await, before);
    let other = [upsert(ONE, 2, text("w"))];
    writer.open(&other, LetterWork::default(), Some(&at(0x13))).await.expect("another row");
    holder.release().await;
    writer.open(&row, LetterWork::default(), Some(&at(0x14))).await.expect("good again");

    let sql = "UPDATE weir.dead_letter SET hint = 'mine' WHERE row_name = 'a'";
    let holder = Holder::of(stage, sql).await;
    contended(writer.open(&other, closing, Some(&at(0x15))).await);
    writer.target.rollback().await.expect("rolls back");
    holder.release().await;
    writer.open(&other, closing, Some(&at(0x16))).await.expect("good again");
    assert_eq!(stage.letters("src").await, []);
}

/// Broken if links that write letters to one database at a time stopped each other.
pub(super) async fn links_do_not_wait_for_each_other(stage: &Stage) {
    let mut one = stage.begin("one").await;
    let mut other = stage.begin("other").await;
    let add = async |writer: &mut Writer, from: u64| {
        let letters: Vec<_> = (from..from + 5).map(|at| letter(&format!("r{at}"), at)).collect();
        let work = LetterWork { new: &letters, ..LetterWork::default() };
        writer.open(&[], work, None).await.expect("opens");
        writer.go_on(&[], LetterWork::default(), Some(&at(0x20 + from))).await.expect("closes");
    };
    for from in [0, 10] {
        add(&mut one, from).await;
        add(&mut other, from).await;
    }
    let work = async |writer: &mut Writer, first: u64| {
        let row = |number: u64| name(ONE, &format!("r{}", first + number));
        let (closed, new) = ([row(0)], [letter("x", 1), folded(&row(1).row, 2), folded("x", 3)]);
        let tried = [Tried { name: row(2), reason: Reason::behind() }];
        let letters = LetterWork { emptied: &[KID], closed: &closed, tried: &tried, new: &new };
        let open = (first == 0).then(|| writer.witness.clone());
        let slice = Slice { open: open.as_ref(), letters, ..Slice::default() };
        writer.target.apply(slice).await.expect("nobody holds these");
    };
    for first in [0, 10] {
        work(&mut one, first).await;
        work(&mut other, first).await;
    }
    for writer in [&mut one, &mut other] {
        writer.go_on(&[], LetterWork::default(), Some(&at(0x40))).await.expect("closes");
    }
    for link in ["one", "other"] {
        assert_eq!(stage.letters(link).await.len(), 10 - 2 + 2);
    }
}

/// Broken if a refusal that may pass once another row comes could not be told from one that needs a
/// person.
pub(super) async fn foreign_keys_have_a_kind_of_their_own(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let step = |table, verb, columns: &[usize], row: Vec<Value>| Step {
        table,
        verb,
        columns: columns.into(),
        rows: vec![Row::from(row)],
    };
    let good = [upsert(ONE, 5, text("v")), upsert(KID, 5, Value::Int(5))];
    writer.open(&good, LetterWork::default(), Some(&at(0x30))).await.expect("writes");
    for refused in [
        upsert(KID, 6, Value::Int(77)),
        step(KID, Verb::Update, &[0, 1], vec![Value::Int(5), Value::Int(77)]),
        step(ONE, Verb::Delete, &[0], vec![Value::Int(5)]),
        step(ONE, Verb::Rekey, &[0, 1], vec![Value::Int(5), Value::Int(6), text("v")]),
        step(ONE, Verb::Truncate, &[], vec![]),
    ] {
        let rows = if refused.verb == Verb::Truncate { vec![] } else { refused.rows.clone() };
        let steps = [Step { rows, ..refused }];
        let error = writer.open(&steps, LetterWork::default(), Some(&at(0x31))).await;
        let error = error.expect_err("refused");
        assert_eq!(error.kind(), Kind::ForeignKey, "{error:?}");
        assert!(error.chain().contains("fk_violation"), "{error:?}");
    }
    let null = [upsert(ONE, 5, Value::Null)];
    let error = writer.open(&null, LetterWork::default(), Some(&at(0x31))).await;
    assert_eq!(error.expect_err("refused").kind(), Kind::Constraint);
}
