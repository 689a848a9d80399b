//! Rows of a copy: written as the stream writes them, whatever is in the table already.

use weir::error::Kind;
use weir::link::ports::{Load, Slice, Target};
use weir::model::{Row, Value, Verb, Witness};
use weir::plan::UpsertStrategy;
use weir::sandbox::Server;

use super::types::{cases, check};
use super::{Bench, TestResult, at, commit, step, text};

/// One transaction with rows of a copy.
async fn load(
    target: &mut Box<dyn Target>,
    witness: &mut Witness,
    rows: Vec<Vec<Value>>,
    fresh: bool,
) -> weir::error::Result<()> {
    let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
    let close = at(witness.seq);
    let load = Some(Load { table: 0, rows: &rows, fresh });
    let slice = Slice { open: Some(witness), load, close: Some(&close), ..Slice::default() };
    target.apply(slice).await?;
    witness.seq += 1;
    Ok(())
}

/// Broken if a value that comes with a copy were another one than the same value from the stream, into an
/// empty table or over rows that are there.
pub(super) async fn every_type_is_loaded_exactly(bench: &Bench) -> TestResult {
    for case in cases(bench.database.dialect) {
        for upsert in [UpsertStrategy::Native, UpsertStrategy::UpdateThenInsert] {
            let body = format!("id int primary key, c {}", case.definition);
            let plan = bench.table("t", &body, upsert).await;
            let (mut target, mut witness) = bench.begin(&plan).await;
            let rows = |shift: usize| {
                let count = case.values.len();
                let row = |at: usize| {
                    vec![Value::Int(at as i64), case.values[(at + shift) % count].0.clone()]
                };
                (0..count).map(row).collect::<Vec<_>>()
            };
            for (shift, fresh) in [(0, true), (1, true), (2, true), (1, false)] {
                let loaded = load(&mut target, &mut witness, rows(shift), fresh).await;
                loaded.map_err(|error| format!("{}: {error:?}", case.definition))?;
                check(bench, &case, shift).await;
            }
        }
    }
    Ok(())
}

/// Broken if rows that the stream has brought were lost or stood in a copy's way, if a copy's row took
/// the place of another one, or if a refused copy left a part of itself.
pub(super) async fn rows_that_are_there_are_met(bench: &Bench) -> TestResult {
    let body = "id int primary key, a int, mail varchar(20), unique (mail)";
    let plan = bench.table("t", body, UpsertStrategy::UpdateThenInsert).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let row = |id: i64, a: i64, mail: &str| vec![Value::Int(id), Value::Int(a), text(mail)];
    let streamed = vec![row(700, 1, "early"), row(5000, 1, "other")];
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1, 2], streamed)]).await?;
    let copied = |from: i64, to: i64| (from..to).map(|id| row(id, 2, &format!("m{id}"))).collect();
    for from in 0..3 {
        load(&mut target, &mut witness, copied(from * 1000, from * 1000 + 1000), true).await?;
    }
    let sums = "SELECT count(*), sum(a), sum(mail = CONCAT('m', id)) FROM t";
    assert_eq!(bench.text(sums).await, "3001,6001,3000");
    let mut taken: Vec<_> = copied(3000, 3500);
    taken.push(row(3500, 2, "other"));
    let error = load(&mut target, &mut witness, taken, true).await.expect_err("taken");
    assert_eq!(error.kind(), Kind::Constraint, "{error:?}");
    assert_eq!(bench.text(sums).await, "3001,6001,3000", "all of it was undone");
    load(&mut target, &mut witness, copied(3000, 3500), true).await?;
    assert_eq!(bench.text(sums).await, "3501,7001,3500");
    Ok(())
}

/// Broken if the first row that an application inserts after a copy got a number that is taken, at once
/// or after the server was started anew.
pub(super) async fn counters_are_past_what_was_copied(bench: &Bench) -> TestResult {
    let is_mariadb = bench.server.kind() == Server::MariaDb1011;
    if is_mariadb {
        bench
            .server
            .execute("CREATE SEQUENCE app.s; CREATE SEQUENCE app.down INCREMENT -1")
            .await?;
    }
    let numbered = match is_mariadb {
        true => "u bigint default nextval(app.s), d bigint default nextval(app.down)",
        false => "u bigint, d bigint",
    };
    let body = format!("id bigint auto_increment primary key, {numbered}");
    let plan = bench.table("counted", &body, UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let rows = (1..500).map(|id| vec![Value::Int(id * 3), Value::Int(id), Value::Int(-id)]);
    load(&mut target, &mut witness, rows.collect(), true).await?;
    target.pass_counters(0).await?;
    target.pass_counters(0).await?;
    let last = "SELECT * FROM counted ORDER BY id DESC LIMIT 1";
    bench.server.execute("INSERT INTO counted () VALUES ()").await?;
    let filled = if is_mariadb { "500,-500" } else { "NULL,NULL" };
    assert_eq!(bench.text(last).await, format!("1498,{filled}"));
    Ok(())
}
