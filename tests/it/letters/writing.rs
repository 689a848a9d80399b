//! What a slice writes: atomic with the witness, in order, at its position.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir::error::Kind;
use weir::link::letter::{Letter, LetterWork, Operation, Reason, RowName, StoredLetter, Tried};
use weir::model::Value;
use weir::sandbox::Server;

use super::stage::{
    KID, ONE, Stage, Writer, at, behind, expect_row, folded, letter, name, refused, text, upsert,
};

const NONE: LetterWork<'static> = LetterWork { emptied: &[], closed: &[], tried: &[], new: &[] };

fn new(new: &[Letter]) -> LetterWork<'_> {
    LetterWork { new, ..NONE }
}

fn closed(closed: &[RowName]) -> LetterWork<'_> {
    LetterWork { closed, ..NONE }
}

/// Row, position and number of each.
fn places(letters: &[StoredLetter]) -> Vec<(&str, &str, u64)> {
    letters.iter().map(|one| (one.row.as_str(), one.position.as_str(), one.ordinal)).collect()
}

/// Broken if a letter were lost or there twice, told something else than what was written, or outlived
/// the transaction that left its change out.
pub(super) async fn letters_come_with_their_transaction(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let first = Letter { position: Some(at(7)), ..letter("a", 3) };
    let moved = Letter {
        old_row: Some("a".to_owned()),
        operation: Operation::Rekey,
        table: KID,
        ..behind("b", 4)
    };
    let letters = [first, moved, letter("0", 0)];
    writer.open(&[upsert(ONE, 1, text("v"))], new(&letters), Some(&at(9))).await.expect("slice");
    let found = stage.letters("src").await;
    assert_eq!(places(&found), [("a", "lsn:0/7", 3), ("b", "lsn:0/9", 4), ("0", "lsn:0/9", 0)]);
    assert!(found.is_sorted_by_key(|one| one.id));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_micros();
    let ago = i128::try_from(now).expect("now") - i128::from(found[0].made_us);
    assert!(ago.abs() < 60_000_000, "made {ago} µs ago");
    let space = stage.space;
    let expected = StoredLetter {
        id: found[1].id,
        table: format!("{space}.kid"),
        source_table: "origin.kid".to_owned(),
        row: "b".to_owned(),
        old_row: Some("a".to_owned()),
        operation: "rekey".to_owned(),
        position: "lsn:0/9".to_owned(),
        ordinal: 4,
        reason: Reason::behind(),
        change: "{\"number\":4}".to_owned(),
        changes: 1,
        attempts: 0,
        made_us: found[1].made_us,
        tried_us: None,
        asked: false,
    };
    assert_eq!(found[1], expected);
    assert_eq!((found[0].attempts, found[0].reason.hint.as_str()), (1, "widen it"));
    expect_row(writer.open(&[refused()], new(&letters), Some(&at(10))).await);
    writer.open(&[], new(&letters), None).await.expect("opens");
    writer.target.rollback().await.expect("rolls back");
    assert_eq!(stage.letters("src").await, found);
    let heads = writer.target.letters().await.expect("letters");
    let told = heads.iter().map(|one| {
        (one.id, one.table, one.row.as_str(), one.old_row.as_deref(), one.kind.as_str())
    });
    let ids: Vec<u64> = found.iter().map(|one| one.id).collect();
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (ids[0], ONE, "a", None, "value"),
            (ids[1], KID, "b", Some("a"), "behind"),
            (ids[2], ONE, "0", None, "value")
        ]
    );
    assert!(heads.iter().zip(&found).all(|(head, one)| (head.attempts, head.asked, head.made_us)
        == (one.attempts, one.asked, one.made_us)));
}

/// Broken if a letter of a large transaction had no position, or that of another one.
pub(super) async fn the_closing_slice_gives_the_position(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    writer.open(&[], new(&[letter("a", 0)]), None).await.expect("opens");
    let own = Letter { position: Some(at(3)), ..letter("b", 1) };
    writer.go_on(&[upsert(ONE, 2, text("v"))], new(&[own]), None).await.expect("goes on");
    let many: Vec<Letter> = (2..400).map(|at| behind("a", at)).collect();
    writer.go_on(&[], new(&many), None).await.expect("goes on");
    assert!(stage.letters("src").await.is_empty(), "seen before the commit");
    writer.go_on(&[], new(&[letter("c", 400)]), Some(&at(0x20))).await.expect("closes");
    let found = stage.letters("src").await;
    assert_eq!(found.len(), 401);
    let other = |one: &&StoredLetter| one.position != "lsn:0/20";
    let others: Vec<&str> = found.iter().filter(other).map(|one| one.row.as_str()).collect();
    assert_eq!(others, ["b"]);
    let numbers = found.iter().map(|one| one.ordinal);
    assert!(numbers.eq(0..401), "in the order of their changes");
    writer.open(&[], NONE, None).await.expect("opens");
    writer.go_on(&[], NONE, Some(&at(0x30))).await.expect("closes");
    assert_eq!(stage.letters("src").await, found, "the transaction after it");
}

/// Broken if letters of a refused slice stayed, or a letter that it had touched got the position of a
/// transaction that says nothing of it.
pub(super) async fn what_was_undone_has_no_position(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    writer.add(&[letter("old", 0)]).await.expect("adds");
    let before = stage.letters("src").await;
    writer.open(&[upsert(ONE, 3, text("v"))], new(&[letter("a", 0)]), None).await.expect("opens");
    expect_row(writer.go_on(&[refused()], new(&[folded("old", 1), letter("b", 2)]), None).await);
    writer.go_on(&[], new(&[letter("c", 3)]), None).await.expect("goes on");
    // PostgreSQL finds this one when all is written.
    let orphan = [upsert(KID, 3, Value::Int(77))];
    expect_row(
        writer.go_on(&orphan, new(&[folded("old", 4), letter("d", 5)]), Some(&at(0x3F))).await,
    );
    writer.go_on(&[], NONE, Some(&at(0x40))).await.expect("closes");
    let found = stage.letters("src").await;
    assert_eq!(found[0], before[0]);
    assert_eq!(places(&found[1..]), [("a", "lsn:0/40", 0), ("c", "lsn:0/40", 3)]);
}

/// Broken if a row that changes for ever filled the table, or its count or newest change were wrong.
pub(super) async fn folded_changes_are_counted(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let first = [letter("a", 0), behind("a", 1), letter("b", 2), folded("new", 3)];
    writer.add(&first).await.expect("adds");
    let before = stage.letters("src").await;
    let later = [folded("a", 5), folded("b", 6), folded("a", 7), letter("b", 8), folded("b", 9)];
    writer.open(&[], new(&later), None).await.expect("opens");
    writer.go_on(&[], new(&[folded("a", 10)]), Some(&at(0x50))).await.expect("closes");
    let found = stage.letters("src").await;
    let told = found.iter().map(|one| {
        (one.row.as_str(), one.changes, one.ordinal, one.operation.as_str(), one.change.as_str())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("a", 1, 0, "insert", "{\"number\":0}"),
            ("a", 4, 10, "delete", "{\"number\":10}"),
            ("b", 2, 6, "delete", "{\"number\":6}"),
            ("new", 1, 3, "delete", "{\"number\":3}"),
            ("b", 2, 9, "delete", "{\"number\":9}"),
        ]
    );
    let at_end: Vec<bool> = found.iter().map(|one| one.position == "lsn:0/50").collect();
    assert_eq!(at_end, [false, true, true, false, true]);
    assert_eq!(found[0], before[0]);
    let kept = |one: &StoredLetter| (one.id, one.reason.clone(), one.attempts, one.made_us);
    assert_eq!(kept(&found[1]), kept(&before[1]));
    assert_eq!(kept(&found[2]), kept(&before[2]));
}

/// Broken if a letter that ends and one that begins in one slice met in the wrong order, a try counted
/// for one letter of its row only, or a letter of another row or table were touched.
pub(super) async fn work_is_done_in_its_order(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let of_kid = |row| Letter { table: KID, ..letter(row, 0) };
    let before = [of_kid("a"), of_kid("t"), letter("a", 1), letter("t", 2), behind("t", 3)];
    writer.add(&before).await.expect("adds");
    writer.add(&[letter("u", 4), letter("x", 5), behind("x", 6)]).await.expect("adds");
    let before = stage.letters("src").await;
    let context = super::stage::context("src");
    let mut people = stage.room.open_letters(&context, &stage.database).await.expect("opens");
    let table = format!("{}.one", stage.space);
    let asked = ["t", "u"].map(|row| (table.clone(), row.to_owned()));
    assert_eq!(people.ask(&asked).await.expect("asks"), 3);
    let reason = |text: &str| Reason {
        kind: "foreign_key".to_owned(),
        text: text.to_owned(),
        hint: "h".to_owned(),
    };
    let tried = [("t", "why t"), ("u", "why u"), ("none", "why"), ("x", "why x")]
        .map(|(row, why)| Tried { name: name(ONE, row), reason: reason(why) });
    let closed = [name(ONE, "a"), name(ONE, "x"), name(KID, "none")];
    let new = [Letter { table: KID, ..letter("n", 7) }, letter("a", 8)];
    let work = LetterWork { emptied: &[KID], closed: &closed, tried: &tried, new: &new };
    writer.open(&[], work, Some(&at(0x60))).await.expect("works");
    let found = stage.letters("src").await;
    let told = found.iter().map(|one| {
        let table = one.table.rsplit('.').next().unwrap_or_default();
        (table, one.row.as_str(), one.attempts, one.reason.text.as_str(), one.asked)
    });
    let behind = Reason::behind().text;
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("one", "t", 2, "why t", false),
            ("one", "t", 1, behind.as_str(), false),
            ("one", "u", 2, "why u", false),
            ("kid", "n", 1, "too long", false),
            ("one", "a", 1, "too long", false),
        ]
    );
    assert_eq!((found[0].reason.clone(), found[0].id), (reason("why t"), before[3].id));
    assert_eq!(found[1].reason, Reason::behind());
    let tried: Vec<bool> = found.iter().map(|one| one.tried_us.is_some()).collect();
    assert_eq!(tried, [true, true, true, false, false]);
    assert!(found[0].tried_us.is_some_and(|tried| tried >= found[0].made_us));
}

/// Broken if a name ended the statement that it stands in, were cut, or were taken for another that is
/// the same for a long way, for its case, or for a blank at its end.
pub(super) async fn any_text_is_a_name(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let long = "x".repeat(1 << 20);
    let names = [
        "[[\"t\",\"it's \\\"so\\\" \\\\ \\u0000 ?$1{}%s\"]]".to_owned(),
        "source [[\"t\",\"'; DROP TABLE weir.dead_letter; --\"]]".to_owned(),
        "[[\"t\",\"\u{1F30A}\u{e9}e\u{301}\"]]".to_owned(),
        "[[\"t\",\"ABC\"]]".to_owned(),
        "[[\"t\",\"abc\"]]".to_owned(),
        "[[\"t\",\"abc \"]]".to_owned(),
        format!("[[\"t\",\"{long}\"]]"),
        format!("[[\"t\",\"{long}y\"]]"),
    ];
    let letters = names.iter().enumerate().map(|(at, row)| Letter {
        old_row: Some(row.clone()),
        change: row.clone(),
        reason: Reason { text: row.clone(), hint: row.clone(), ..Reason::behind() },
        ..letter(row, at as u64)
    });
    writer.add(&letters.collect::<Vec<_>>()).await.expect("adds");
    let found = stage.letters("src").await;
    for (one, name) in found.iter().zip(&names) {
        let texts = [&one.row, &one.change, &one.reason.text, &one.reason.hint];
        assert!(texts.into_iter().chain(&one.old_row).all(|text| text == name));
    }
    let changes = names.iter().map(|row| folded(row, 9)).collect::<Vec<_>>();
    writer.add(&changes).await.expect("folds");
    let found = stage.letters("src").await;
    assert!(found.iter().all(|one| one.changes == 2) && found.len() == names.len());
    for (at, row) in names.iter().enumerate() {
        let reason = Reason { text: row.clone(), ..Reason::behind() };
        let tried = [Tried { name: name(ONE, row), reason }];
        writer.write(LetterWork { tried: &tried, ..NONE }).await.expect("tried");
        writer.write(closed(&[name(ONE, row)])).await.expect("closes");
        let left = stage.letters("src").await;
        assert!(left.iter().map(|one| &one.row).eq(&names[at + 1..]), "{at}");
        assert!(left.iter().all(|one| one.attempts == 0), "{at}");
    }
}

/// Broken if a text that the table does not take were looked for among the rows of the slice, for ever.
pub(super) async fn a_refused_letter_speaks_of_no_row(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let mut one = letter("a", 0);
    one.reason.kind = "k".repeat(41);
    let error = writer.add(&[one]).await.expect_err("too long a kind");
    assert_eq!(error.kind(), Kind::Statement, "{error:?}");
}

/// Broken if the letters of a large transaction were written one by one, or each row's letters looked for
/// among all, also where the first look was made when there were none.
pub(super) async fn many_letters_take_a_bounded_time(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let key = |at: u64| format!("[[\"i\",\"{at}\"]]");
    let rows = |from: u64| (from..from + 500).map(move |at| name(ONE, &key(at * 100)));
    let tried: Vec<Tried> = rows(0).map(|name| Tried { name, reason: Reason::behind() }).collect();
    let closed: Vec<RowName> = rows(500).collect();
    let folded: Vec<Letter> = (0..500).map(|at| folded(&key(at), at)).collect();
    let work = LetterWork { closed: &closed, tried: &tried, new: &folded[..1], ..NONE };
    writer.write(work).await.expect("finds nothing");

    let started = Instant::now();
    let before = done(stage, &mut writer).await;
    for from in (0..100_000).step_by(10_000) {
        let started = Instant::now();
        let letters: Vec<Letter> = (from..from + 10_000).map(|at| letter(&key(at), at)).collect();
        writer.open(&[], new(&letters), None).await.expect("opens");
        writer.go_on(&[], NONE, Some(&at(0x1000 + from))).await.expect("closes");
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    let written = started.elapsed();
    let between = done(stage, &mut writer).await;
    let executed = between.executed - before.executed;
    assert!(executed < 5000, "{executed} statements for 100,000 letters");
    let started = Instant::now();
    writer.write(LetterWork { new: &folded, ..work }).await.expect("works");
    let worked = started.elapsed();
    let read = done(stage, &mut writer).await.read - between.read;
    assert!(read < 20_000, "{read} rows and entries read for 1500 rows");
    let started = Instant::now();
    let heads = writer.target.letters().await.expect("letters");
    let count = writer.target.count_letters().await.expect("count");
    assert_eq!((heads.len(), count.letters, count.asked), (99_501, 99_501, 0));
    eprintln!(
        "{:?}: 100,000 letters written in {written:?}, 1500 rows of them found in {worked:?}, all \
         read and counted in {:?}",
        stage.server.kind(),
        started.elapsed()
    );
    stage.begin("src").await;
}

/// What a server has done so far.
struct Done {
    /// Rows and entries of indexes that were read; on PostgreSQL those of letters.
    read: u64,
    /// Statements that were executed, where the server counts them.
    executed: u64,
}

async fn done(stage: &Stage, writer: &mut Writer) -> Done {
    let sum = async |sql: &str| -> u64 { stage.query(sql).await[0].parse().expect("a number") };
    let place = match stage.server.kind() {
        Server::MySql97 => "performance_schema.global_status",
        Server::MariaDb1011 => "information_schema.GLOBAL_STATUS",
        Server::Postgres15 | Server::Postgres18 => {
            // A session tells at the end of a transaction what it did, once a second.
            tokio::time::sleep(Duration::from_millis(1100)).await;
            writer.target.read_witness().await.expect("reads");
            let read = "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = \
                        'dead_letter') + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname \
                        = 'dead_letter')";
            return Done { read: sum(read).await, executed: 0 };
        }
    };
    let of = |names: &str| {
        format!(
            "SELECT CAST(CAST(SUM(VARIABLE_VALUE) AS UNSIGNED) AS CHAR) FROM {place} \
             WHERE UPPER(VARIABLE_NAME) IN ({names})"
        )
    };
    let read =
        "'HANDLER_READ_NEXT', 'HANDLER_READ_RND_NEXT', 'HANDLER_READ_PREV', 'HANDLER_READ_KEY'";
    Done { read: sum(&of(read)).await, executed: sum(&of("'QUESTIONS'")).await }
}
