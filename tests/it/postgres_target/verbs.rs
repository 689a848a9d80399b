//! What each verb does to rows that are there and rows that are not.

use weir::error::Kind;
use weir::link::ports::{MissedKey, Slice, Target, Why};
use weir::model::{Row, Value, Verb, Witness};
use weir::position::{Lsn, Position};

use super::fixture::{SERVERS, Site, apply, step, text};

const TABLE: &str = "
CREATE TABLE public.t (a int, b text, must text NOT NULL, n int, PRIMARY KEY (a, b));
CREATE TABLE public.u (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k bytea UNIQUE)";

fn row(a: i64, b: &str, must: &str, n: i64) -> Vec<Value> {
    vec![Value::Int(a), text(b), text(must), Value::Int(n)]
}

fn key(a: i64, b: &str) -> Row {
    Row::from(vec![Value::Int(a), text(b)])
}

/// Broken if an update brought a row to life, a miss were lost, or a verb hit another row.
#[tokio::test]
async fn verbs_do_what_they_say() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute(TABLE).await;
        let (mut target, mut witness) = site.fresh_target("public.*").await;
        let rows = vec![
            row(1, "x", "m", 1),
            row(2, "x", "m", 2),
            row(3, "x", "m", 3),
            row(1, "X", "m", 4),
        ];
        let insert = step(0, Verb::Upsert, &[0, 1, 2, 3], rows);
        let identity =
            step(1, Verb::Upsert, &[0, 1], vec![vec![Value::Int(7), Value::Bytes("k".into())]]);
        apply(&mut target, &mut witness, &[insert, identity]).await.expect("inserts");
        let again = step(0, Verb::Upsert, &[0, 1, 2, 3], vec![row(1, "x", "new", 10)]);
        // Lists neither `must` nor every row: what is missing must not be inserted.
        let update = step(
            0,
            Verb::Update,
            &[0, 1, 3],
            vec![
                vec![Value::Int(9), text("x"), Value::Int(1)],
                vec![Value::Int(2), text("x"), Value::Null],
                vec![Value::Int(8), text("y"), Value::Int(1)],
            ],
        );
        let only_key = step(
            0,
            Verb::Update,
            &[0, 1],
            vec![vec![Value::Int(2), text("x")], vec![Value::Int(2), text("no")]],
        );
        let rekey = step(
            0,
            Verb::Rekey,
            &[0, 1, 2],
            vec![
                vec![Value::Int(3), text("x"), Value::Int(30), text("z"), text("moved")],
                vec![Value::Int(30), text("z"), Value::Int(31), text("z"), text("again")],
                vec![Value::Int(99), text("x"), Value::Int(100), text("x"), text("none")],
            ],
        );
        let delete = step(
            0,
            Verb::Delete,
            &[],
            vec![vec![Value::Int(1), text("X")], vec![Value::Int(77), text("x")]],
        );
        let steps = [again, update, only_key, rekey, delete];
        let applied = apply(&mut target, &mut witness, &steps).await.expect("verbs");
        let missed: Vec<Row> = applied.missed.iter().map(|missed| missed.key.clone()).collect();
        assert_eq!(missed, [key(9, "x"), key(8, "y"), key(2, "no"), key(100, "x")]);
        assert_eq!(
            site.query("SELECT a, b, must, n FROM t ORDER BY a, b").await,
            ["1|x|new|10", "2|x|m|NULL", "31|z|again|3"]
        );
        assert_eq!(site.query("SELECT id FROM u").await, ["7"]);
        let notes = target.missed(10).await.expect("notes");
        assert_eq!(notes.newest, notes.oldest.last().expect("a note").id);
        let noted: Vec<MissedKey> = notes.oldest.into_iter().map(|note| note.missed).collect();
        assert_eq!(noted, applied.missed);
        let some = target.missed(2).await.expect("notes");
        assert_eq!((some.oldest.len(), some.newest), (2, notes.newest));
        notes_are_settled(&mut target, &witness).await;
    }
}

/// A settled note goes in the transaction that settles it.
async fn notes_are_settled(target: &mut Box<dyn Target>, witness: &Witness) {
    let close = Position::Postgres(Lsn(900));
    let why = Why::NoRow;
    let settled = [key(9, "x"), key(8, "y")].map(|key| MissedKey { table: 0, key, why });
    let steps = [step(0, Verb::Upsert, &[0, 1, 2, 3], vec![row(9, "x", "found", 0)])];
    let slice = Slice {
        open: Some(witness),
        steps: &steps,
        settled: &settled,
        close: Some(&close),
        ..Slice::default()
    };
    target.apply(slice).await.expect("settles");
    let left = target.missed(10).await.expect("notes").oldest.into_iter();
    let left = left.map(|note| note.missed.key);
    assert_eq!(left.collect::<Vec<Row>>(), [key(2, "no"), key(100, "x")]);
}

/// Broken if TRUNCATE or a delete by bytes left rows, or an unplanned NULL key matched nothing in silence.
#[tokio::test]
async fn truncate_empties_and_null_keys_are_refused() {
    let Some(site) = Site::start(SERVERS[1]).await else { return };
    site.execute(
        "CREATE TABLE b (k bytea PRIMARY KEY, v int); INSERT INTO b VALUES ('a', 1), ('b', 2)",
    )
    .await;
    let (mut target, mut witness) = site.fresh_target("public.b").await;
    let delete = step(0, Verb::Delete, &[], vec![vec![Value::Bytes("a".into())]]);
    apply(&mut target, &mut witness, &[delete]).await.expect("deletes");
    assert_eq!(site.query("SELECT v FROM b").await, ["2"]);
    let error = apply(
        &mut target,
        &mut witness,
        &[step(0, Verb::Update, &[0, 1], vec![vec![Value::Null, Value::Int(1)]])],
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Value);
    assert_eq!(error.to_string(), "update public.b: column k of public.b: the match key is NULL");
    apply(&mut target, &mut witness, &[step(0, Verb::Truncate, &[], vec![])])
        .await
        .expect("empties");
    assert_eq!(site.query("SELECT count(*) FROM b").await, ["0"]);
}

/// Broken if a trigger that drops rows made the target differ without a word.
#[tokio::test]
async fn rows_kept_out_by_a_trigger_are_noticed() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute(
        "CREATE TABLE g (id int PRIMARY KEY);
         CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$;
         ALTER TABLE g ADD v int;
         CREATE TRIGGER g BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION drop_it()",
    )
    .await;
    let (mut target, mut witness) = site.fresh_target("public.g").await;
    let rows = (1..=3).map(|id| vec![Value::Int(id), Value::Null]).collect();
    let error = apply(&mut target, &mut witness, &[step(0, Verb::Upsert, &[0, 1], rows)])
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::Statement, "2 of 3 rows were written to public.g")
    );
    drop(target);
    assert_eq!(site.query("SELECT count(*) FROM g").await, ["0"]);
}
