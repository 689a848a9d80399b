//! What is kept of copies: written with the rows, asked by people, taken away by who answers.

use weir::link::ports::{CopyNote, Room, Slice, StoredCopy};
use weir::model::{Value, Verb};
use weir::mysql::Mysql;
use weir::plan::UpsertStrategy;

use super::{Bench, TestResult, at, commit, step};

fn note(progress: &str, answers: Option<&str>) -> CopyNote {
    let answers = answers.map(str::to_owned);
    CopyNote { table: "app.t".to_owned(), progress: progress.to_owned(), answers }
}

fn stored(progress: Option<&str>, asked: Option<&str>) -> Vec<StoredCopy> {
    let text = |text: &str| text.to_owned();
    vec![StoredCopy { table: text("app.t"), progress: progress.map(text), asked: asked.map(text) }]
}

/// Broken if how far a copy is were kept without its rows or they without it, if an order were lost that
/// came while another was answered, or if one link saw or answered what is asked of another.
pub(super) async fn copies_are_kept_with_their_rows(bench: &Bench) -> TestResult {
    bench.server.execute("DELETE FROM weir.snapshot").await?;
    let plan = bench.table("t", "id int primary key, a int", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let mut people = Mysql.open_copies(&bench.context, &bench.database).await?;
    assert_eq!(people.list().await?, []);

    people.ask("app.t", "first").await?;
    target.begin_copies(&[note("begun", Some("other"))]).await?;
    assert_eq!(target.copies().await?, stored(Some("begun"), Some("first")));
    target.begin_copies(&[note("begun", Some("first"))]).await?;
    assert_eq!(target.copies().await?, stored(Some("begun"), None));

    // Equal but for a blank or a letter's case is another order.
    for (asked, answer, left) in
        [("a ", "a", Some("a ")), ("A", "a", Some("A")), ("ä", "ä", None), ("x", "x", None)]
    {
        people.ask("app.t", "replaced").await?;
        people.ask("app.t", asked).await?;
        let notes = [note("1 of 2", Some(answer))];
        let close = at(7);
        target.apply(Slice { open: Some(&witness), copies: &notes, ..Slice::default() }).await?;
        assert_eq!(people.list().await?, stored(Some("begun"), Some(asked)), "not committed");
        target.rollback().await?;
        assert_eq!(people.list().await?, stored(Some("begun"), Some(asked)), "rolled back");
        let slice =
            Slice { open: Some(&witness), copies: &notes, close: Some(&close), ..Slice::default() };
        target.apply(slice).await?;
        witness.seq += 1;
        assert_eq!(people.list().await?, stored(Some("1 of 2"), left));
        target.begin_copies(&[note("begun", None)]).await?;
        assert_eq!(people.list().await?, stored(Some("begun"), left), "nothing was answered");
    }

    let mut link = bench.context.clone();
    link.link.source = "other".into();
    let mut others = Mysql.open_copies(&link, &bench.database).await?;
    others.ask("app.t", "x").await?;
    target.begin_copies(&[note("done", Some("x"))]).await?;
    assert_eq!(others.list().await?, stored(None, Some("x")));
    assert_eq!(people.list().await?, stored(Some("done"), None));

    bench.server.execute("DROP TABLE weir.snapshot").await?;
    let error = people.list().await.expect_err("no table");
    assert!(error.operator_hint().contains("weir setup --apply"), "{error:?}");
    bench.granted(&[]).await
}

/// Broken if each update of a row that a copy has not brought yet were noted, and so read once more
/// alone; or if one that is brought were not updated, or another table's misses were passed over.
pub(super) async fn rows_that_a_copy_brings_are_not_noted(bench: &Bench) -> TestResult {
    let plan = bench.table("t", "id int primary key, a int", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let row = |id: i64, a: i64| vec![Value::Int(id), Value::Int(a)];
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1], vec![row(2, 0)])]).await?;
    let steps = [
        step(Verb::Update, &[0, 1], (1..5).map(|id| row(id, 7)).collect()),
        step(Verb::Rekey, &[0, 1], vec![vec![Value::Int(8), Value::Int(9), Value::Int(7)]]),
    ];
    for (unnoted, missed) in [(&[0_usize][..], 1), (&[1], 4), (&[], 4)] {
        let close = at(9);
        let slice = Slice {
            open: Some(&witness),
            steps: &steps,
            unnoted,
            close: Some(&close),
            ..Slice::default()
        };
        assert_eq!(target.apply(slice).await?.missed.len(), missed);
        witness.seq += 1;
        assert_eq!(target.missed(10).await?.oldest.len(), missed, "and in weir.missed");
        bench.server.execute("DELETE FROM weir.missed").await?;
        assert_eq!(bench.text("SELECT * FROM t").await, "2,7");
    }
    Ok(())
}
