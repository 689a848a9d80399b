//! Rows of a copy: by COPY or as insert-or-update the same bytes, all of them or none.

use weir::error::{Kind, Result};
use weir::link::ports::{Applied, CopyNote, Load, Slice, Target};
use weir::model::{Row, Value, Verb, Witness};
use weir::position::{Lsn, Position};

use super::fixture::{SERVERS, Site, step, text};

async fn load(
    target: &mut Box<dyn Target>,
    witness: &mut Witness,
    rows: &[Row],
    fresh: bool,
) -> Result<Applied> {
    let close = Position::Postgres(Lsn(100 + witness.seq));
    let load = Some(Load { table: 0, rows, fresh });
    let progress = format!("{} rows more", rows.len());
    let copies = [CopyNote { table: "public.t".to_owned(), progress, answers: None }];
    let slice = Slice {
        open: Some(witness),
        load,
        copies: &copies,
        close: Some(&close),
        ..Slice::default()
    };
    let applied = target.apply(slice).await?;
    witness.seq += 1;
    witness.position = close;
    Ok(applied)
}

const TABLE: &str = "
CREATE TABLE public.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, b bytea,
  twice int GENERATED ALWAYS AS (id * 2) STORED, other int DEFAULT 7, u int UNIQUE)";

fn row(id: i64, v: &str) -> Row {
    let bytes = Value::Bytes(v.as_bytes().to_vec().into());
    Row::from(vec![Value::Int(id), text(v), bytes, Value::Null, Value::Null])
}

/// Broken if rows of a copy came in changed or in part, over rows that are there already were refused,
/// or numbers that an identity gives were others.
#[tokio::test]
async fn loads_come_whole_whatever_is_there() {
    // As text, where a column's type has no form in binary that is promised.
    let as_text = TABLE.replace("other int DEFAULT 7", "other inet");
    for (server, table) in SERVERS.into_iter().zip([TABLE, &as_text].into_iter().cycle()) {
        let Some(site) = Site::start(server).await else { return };
        site.execute(table).await;
        let (mut target, mut witness) = site.fresh_target("public.*").await;
        // Every character that is special anywhere, alone, doubled and among others.
        let odd = ["\\", "\t", "\n", "\r", "\\N", "\\.", "", "N", "\u{8}\u{b}\u{c}", "\"'", "ä😀"];
        let texts = odd.iter().flat_map(|a| odd.iter().map(move |b| format!("{a}{b}x{b}{a}{a}")));
        let rows: Vec<Row> = texts.zip(10..).map(|(text, id)| row(id, &text)).collect();
        let same = "SELECT count(*) FROM t WHERE v = convert_from(b, 'UTF8') AND twice = id * 2";
        load(&mut target, &mut witness, &rows, true).await.expect("loaded");
        assert_eq!(site.query(same).await, [rows.len().to_string()], "by COPY");
        let texts = "SELECT v FROM t ORDER BY id";
        let copied = site.query(texts).await;
        for (row, text) in rows.iter().zip(&copied) {
            assert_eq!(row[1], self::text(text));
        }
        for fresh in [true, false, true] {
            site.execute(
                "UPDATE t SET v = 'other' WHERE id % 2 = 0; DELETE FROM t WHERE id % 3 = 0",
            )
            .await;
            load(&mut target, &mut witness, &rows, fresh).await.expect("over what is there");
            assert_eq!(site.query(texts).await, copied);
        }
        let progress = "SELECT progress FROM weir.snapshot";
        assert_eq!(site.query(progress).await, [format!("{} rows more", rows.len())]);
        load(&mut target, &mut witness, &[], true).await.expect("nothing");

        site.execute("TRUNCATE t; INSERT INTO t (id, u) OVERRIDING SYSTEM VALUE VALUES (1000, 5)")
            .await;
        let mut clash = rows.clone();
        clash.push(Row::from(vec![
            Value::Int(1),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Int(5),
        ]));
        let mut nul = rows.clone();
        nul.push(row(1, "a\0b"));
        for (rows, kind) in [(&clash, Kind::Constraint), (&nul, Kind::Value)] {
            for fresh in [true, false] {
                let error =
                    load(&mut target, &mut witness, rows, fresh).await.expect_err("refused");
                assert_eq!(error.kind(), kind, "{error:?}");
                assert!(error.is_about_a_row());
                assert_eq!(site.query("SELECT count(*) FROM t").await, ["1"]);
            }
        }
        load(&mut target, &mut witness, &rows, true).await.expect("the connection is good");
        assert_eq!(site.query(same).await, [rows.len().to_string()]);
        assert_eq!(site.query(progress).await, [format!("{} rows more", rows.len())]);
    }
}

/// Broken if rows that a slice brings and a load of the same slice came in the wrong order, or an error
/// of the load undid more than its slice.
#[tokio::test]
async fn a_load_comes_after_the_steps_of_its_slice() {
    let Some(site) = Site::start(SERVERS[1]).await else { return };
    site.execute(TABLE).await;
    let (mut target, witness) = site.fresh_target("public.*").await;
    let upsert = |id, v: &str| step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(id), text(v)]]);
    let first = [upsert(1, "step")];
    let open = Slice { open: Some(&witness), steps: &first, ..Slice::default() };
    target.apply(open).await.expect("opens");
    let steps = [upsert(2, "step"), upsert(3, "step")];
    let rows = [row(3, "load"), row(4, "load")];
    let good = Some(Load { table: 0, rows: &rows, fresh: true });
    let refused = [row(5, "load"), row(6, "a\0b")];
    let refused = Some(Load { table: 0, rows: &refused, fresh: true });
    let missing = [step(0, Verb::Update, &[0, 1], vec![vec![Value::Int(99), text("v")]])];
    let slice = Slice { steps: &missing, load: refused, ..Slice::default() };
    assert!(target.apply(slice).await.expect_err("refused").is_about_a_row());
    let slice = Slice { steps: &steps, load: good, ..Slice::default() };
    target.apply(slice).await.expect("applied");
    let more = [row(7, "load")];
    let load = Some(Load { table: 0, rows: &more, fresh: true });
    let close = Position::Postgres(Lsn(101));
    let slice = Slice { steps: &missing, load, close: Some(&close), ..Slice::default() };
    assert_eq!(target.apply(slice).await.expect("closes").missed.len(), 1);
    let rows = site.query("SELECT id || v FROM t ORDER BY id").await;
    assert_eq!(rows, ["1step", "2step", "3load", "4load", "7load"]);
    assert_eq!(site.query("SELECT count(*) FROM weir.missed").await, ["1"]);
}

/// Broken if rows were kept out by a trigger and nobody noticed.
#[tokio::test]
async fn rows_kept_out_of_a_load_are_noticed() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute(TABLE).await;
    site.execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; CREATE TRIGGER keep_out BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION nothing()").await;
    let (mut target, mut witness) = site.fresh_target("public.*").await;
    let error = load(&mut target, &mut witness, &[row(1, "a"), row(2, "b")], true).await;
    let error = error.expect_err("kept out");
    assert!(error.to_string().contains("1 of 2 rows"), "{error:?}");
}

/// Broken if values in the form of a type that a column had were stored as others, once it was altered.
#[tokio::test]
async fn an_altered_column_takes_no_values_of_its_old_type() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE t (id int PRIMARY KEY, n bigint)").await;
        let (mut target, mut witness) = site.fresh_target("public.t").await;
        let rows = |from: i64| -> Vec<Row> {
            (from..from + 3).map(|n| Row::from(vec![Value::Int(n), Value::Int(n)])).collect()
        };
        load(&mut target, &mut witness, &rows(0), true).await.expect("loaded");
        site.execute("ALTER TABLE t ALTER n TYPE numeric").await;
        let error = load(&mut target, &mut witness, &rows(10), true).await.expect_err("altered");
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
        let decimals = |from: i64| -> Vec<Row> {
            let decimal = |n: i64| Value::Decimal(n.to_string().into());
            (from..from + 3).map(|n| Row::from(vec![Value::Int(n), decimal(n)])).collect()
        };
        // As a link that looks at its tables anew, and one that had looked before they were altered.
        let (mut anew, mut before) = (site.target("public.t").await, site.target("public.t").await);
        load(&mut anew, &mut witness, &decimals(20), true).await.expect("loaded");
        site.execute("ALTER TABLE t ALTER n TYPE float8").await;
        load(&mut before, &mut witness, &decimals(30), true).await.expect("loaded");
        let all = "SELECT count(*) FROM t WHERE n = id AND id >= 0";
        assert_eq!(site.query(all).await, ["9"]);
    }
}

/// Broken if a load that waited in vain for a lock left an answer behind, which was taken for that of a later
/// statement.
#[tokio::test]
async fn a_load_that_is_locked_out_can_be_repeated() {
    let Some(site) = Site::start(SERVERS[1]).await else { return };
    site.execute(TABLE).await;
    let (mut target, mut witness) = site.fresh_target("public.t").await;
    load(&mut target, &mut witness, &[row(1, "a")], true).await.expect("loaded");
    let other = site.server.connect_pg().await.expect("connects");
    let mut id = 10;
    for (lock, kind) in [
        ("LOCK TABLE t IN SHARE MODE", Kind::Contention),
        ("SELECT FROM weir.witness FOR UPDATE", Kind::Contention),
    ] {
        other.batch_execute(&format!("BEGIN; {lock}")).await.expect("locks");
        let error = load(&mut target, &mut witness, &[row(2, "b")], true).await;
        assert_eq!(error.expect_err("locked").kind(), kind);
        target.rollback().await.expect("undone");
        other.batch_execute("ROLLBACK").await.expect("unlocks");
        for _ in 0..3 {
            id += 1;
            let rows = [row(id, "b")];
            load(&mut target, &mut witness, &rows, true).await.expect("the connection is good");
        }
    }
    assert_eq!(site.query("SELECT count(*) FROM t").await, ["7"]);
}
