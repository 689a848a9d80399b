//! What is kept of copies: with the transaction that makes it true or not at all; what people ask.

use weir::error::{Kind, Result};
use weir::link::ports::{Copies, CopyNote, MissedKey, Room, Slice, StoredCopy, Target, Why};
use weir::model::{Row, Step, Value, Verb, Witness};
use weir::position::{Lsn, Position};
use weir::postgres::Postgres;

use super::fixture::{SERVERS, Site, context, step, text};

fn note(table: &str, progress: &str, answers: Option<&str>) -> CopyNote {
    let (table, progress) = (table.to_owned(), progress.to_owned());
    CopyNote { table, progress, answers: answers.map(str::to_owned) }
}

fn kept(table: &str, progress: Option<&str>, asked: Option<&str>) -> StoredCopy {
    let (progress, asked) = (progress.map(str::to_owned), asked.map(str::to_owned));
    StoredCopy { table: table.to_owned(), progress, asked }
}

async fn write(
    target: &mut Box<dyn Target>,
    witness: &mut Witness,
    slice: Slice<'_>,
) -> Result<Vec<MissedKey>> {
    let close = Position::Postgres(Lsn(100 + witness.seq));
    let slice = Slice { open: Some(witness), close: Some(&close), ..slice };
    let applied = target.apply(slice).await?;
    witness.seq += 1;
    witness.position = close;
    Ok(applied.missed)
}

async fn people(site: &Site) -> Box<dyn Copies> {
    Postgres.open_copies(&context(), &site.database).await.expect("opens")
}

/// Broken if a copy went on from where it has not got, an order were lost or taken up twice, or what
/// belongs to another link were shown or changed.
#[tokio::test]
async fn copies_are_kept_with_their_transaction() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE public.t (id int PRIMARY KEY, v text NOT NULL)").await;
        let (mut target, mut witness) = site.fresh_target("public.*").await;
        let mut people = people(&site).await;
        site.execute(
            "INSERT INTO weir.snapshot VALUES ('test', 'other:dst', 'public.t', 'theirs', 'x')",
        )
        .await;
        people.ask("public.new", "o0").await.expect("asked before any copy");
        let first = [note("public.t", "0", None), note("public.u", "0", None)];
        target.begin_copies(&first).await.expect("begins");
        people.ask("public.t", "o1").await.expect("asked");

        let copies = [note("public.t", "1", Some("o1"))];
        let refused = [step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(1), Value::Null]])];
        let slice = Slice { steps: &refused, copies: &copies, ..Slice::default() };
        let error = write(&mut target, &mut witness, slice).await.expect_err("a null");
        assert!(error.is_about_a_row(), "{error:?}");
        let unchanged = [
            kept("public.new", None, Some("o0")),
            kept("public.t", Some("0"), Some("o1")),
            kept("public.u", Some("0"), None),
        ];
        assert_eq!(target.copies().await.expect("read"), unchanged, "undone with its slice");

        let good = [step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(1), text("v")]])];
        let slice = Slice { steps: &good, copies: &copies, ..Slice::default() };
        write(&mut target, &mut witness, slice).await.expect("written");
        assert_eq!(target.copies().await.expect("read")[1], kept("public.t", Some("1"), None));

        people.ask("public.t", "o2").await.expect("asked");
        people.ask("public.t", "o3").await.expect("asked anew");
        let copies = [note("public.t", "2", Some("o2")), note("public.new", "0", None)];
        write(&mut target, &mut witness, Slice { copies: &copies, ..Slice::default() })
            .await
            .expect("written");
        let now = [
            kept("public.new", Some("0"), Some("o0")),
            kept("public.t", Some("2"), Some("o3")),
            kept("public.u", Some("0"), None),
        ];
        assert_eq!(target.copies().await.expect("read"), now, "only what is answered goes");
        assert_eq!(people.list().await.expect("list"), now);
        let theirs = "SELECT progress, asked FROM weir.snapshot WHERE link = 'other:dst'";
        assert_eq!(site.query(theirs).await, ["theirs|x"]);

        site.execute("DROP TABLE weir.snapshot").await;
        for error in [
            target.copies().await.expect_err("no table"),
            target.begin_copies(&first).await.expect_err("no table"),
            people.list().await.expect_err("no table"),
            people.ask("public.t", "o").await.expect_err("no table"),
        ] {
            assert_eq!(error.kind(), Kind::Mapping, "{error:?}");
            assert!(error.hint_for("src:dst").contains("weir setup"), "{error:?}");
        }
        target.read_witness().await.expect("a failed beginning leaves the connection good");
    }
}

/// Broken if each update of a row that is not copied yet left a note, by the million; or if a row that a
/// change of its key brought to where the copy has been were not read again.
#[tokio::test]
async fn misses_before_the_copy_are_not_noted() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute("CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE TABLE public.u (id int PRIMARY KEY, v text)").await;
    let (mut target, mut witness) = site.fresh_target("public.*").await;
    let update = |table| step(table, Verb::Update, &[0, 1], vec![vec![Value::Int(1), text("v")]]);
    let rekey = vec![Value::Int(7), Value::Int(8), text("v")];
    let steps: [Step; 4] = [
        update(0),
        update(1),
        step(0, Verb::Rekey, &[0, 1], vec![rekey]),
        step(0, Verb::Note, &[], vec![vec![Value::Int(9)]]),
    ];
    let slice = Slice { steps: &steps, unnoted: &[0], ..Slice::default() };
    let missed = write(&mut target, &mut witness, slice).await.expect("written");
    let key = |id| Row::from(vec![Value::Int(id)]);
    let expected = [
        MissedKey { table: 1, key: key(1), why: Why::NoRow },
        MissedKey { table: 0, key: key(8), why: Why::NoRow },
        MissedKey { table: 0, key: key(9), why: Why::Partial },
    ];
    assert_eq!(missed, expected);
    let noted = site.query("SELECT table_name, key_values FROM weir.missed ORDER BY id").await;
    assert_eq!(noted.len(), 3, "{noted:?}");
}
