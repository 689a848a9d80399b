//! The apply side on real MySQL and MariaDB servers: what is written is what was meant, nothing
//! else is touched, and a refused or cut-off slice leaves nothing behind.

mod checks;
mod copies;
mod load;
mod types;

use std::sync::Arc;
use std::time::Duration;

use weir::config::{Database, Dialect, LinkName};
use weir::error::Kind;
use weir::link::ports::{LinkContext, MissedKey, Selection, Slice, Target, Why};
use weir::model::{Row, Step, Table, Value, Verb, Witness};
use weir::mysql::{catalog, setup, target};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan, UpsertStrategy};
use weir::position::Position;
use weir::sandbox::{Options, Running, Server, require};
use weir::transform::{Conversion, Fit};

use crate::rights::{self, WRITER};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// One server with what a link needs to write to it, by a user who holds what setup grants and no more.
#[derive(Clone)]
struct Bench {
    server: Arc<Running>,
    database: Database,
    context: LinkContext,
}

impl Bench {
    async fn start(server: Server) -> Result<Option<Bench>, Box<dyn std::error::Error>> {
        let Some(server) = require(server, Options::default()).await? else { return Ok(None) };
        let database = rights::newcomer(&server, "shop", WRITER, &["app"]).await;
        let link = LinkName { source: "crm".into(), target: "shop".into() };
        let context =
            LinkContext { name: "test".into(), link, server_id: 7, installation: String::new() };
        let bench = Bench { server: Arc::new(server), database, context };
        bench.granted(&[]).await?;
        bench.granted(&[]).await?;
        Ok(Some(bench))
    }

    /// Has the administrator run what setup makes for these tables.
    async fn granted(&self, tables: &[&Table]) -> TestResult {
        let account = setup::account(&self.database).await?;
        rights::give(&self.server, setup::target(&account, tables, &[])).await;
        Ok(())
    }

    /// Makes a table and a plan of all its columns, keyed by its primary key.
    async fn table(&self, name: &str, body: &str, upsert: UpsertStrategy) -> Arc<LinkPlan> {
        let sql = format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({body})");
        self.server.execute(&sql).await.expect("table");
        let selection = Selection { include: vec![format!("app.{name}")], exclude: Vec::new() };
        let dialect = self.database.dialect;
        let table =
            catalog::load(&self.database, dialect, &selection).await.expect("catalog").remove(0);
        self.granted(&[&table]).await.expect("grants");
        let written = table.columns.iter().enumerate().filter(|(_, column)| !column.generated);
        let columns: Vec<ColumnPlan> = written
            .map(|(at, _)| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Bool }))
            .collect();
        let place = |at: &usize| columns.iter().position(|column| column.target == *at);
        let key = table.primary_key().expect("key").iter();
        let key = key.map(|at| place(at).expect("key")).collect();
        let plan = TablePlan { upsert, ..TablePlan::alone(table.clone(), table, columns, key) };
        let dialects = [Dialect::Postgres, dialect];
        let empty = LinkPlan::of_no_table(self.context.link.clone(), dialects);
        Arc::new(LinkPlan { tables: vec![Arc::new(plan)], ..empty })
    }

    async fn open(&self, plan: &Arc<LinkPlan>) -> Box<dyn Target> {
        let wait = Duration::from_secs(2);
        target::open(&self.context, &self.database, Arc::clone(plan), wait).await.expect("target")
    }

    /// A target with a fresh witness.
    async fn begin(&self, plan: &Arc<LinkPlan>) -> (Box<dyn Target>, Witness) {
        self.server
            .execute("DELETE FROM weir.witness; DELETE FROM weir.missed")
            .await
            .expect("clean");
        let mut target = self.open(plan).await;
        let witness = Witness {
            name: "test".into(),
            link: self.context.link.to_string(),
            part: 0,
            installation: "0123456789abcdef0123456789abcdef".into(),
            seq: 41,
            position: at(1),
            restart: None,
            hops: 0,
            pending: None,
            source_identity: "source".into(),
            target_identity: target.identity().to_owned(),
        };
        assert_eq!(target.read_witness().await.expect("read"), None);
        target.create_witness(&witness).await.expect("create");
        let again = target.create_witness(&witness).await.expect_err("twice");
        assert_eq!(again.kind(), Kind::Witness);
        assert_eq!(target.read_witness().await.expect("read"), Some(witness.clone()));
        (target, witness)
    }

    /// All rows of a query as one text.
    async fn text(&self, sql: &str) -> String {
        let rows = self.server.query(sql).await.expect(sql);
        let text = |row: Vec<Option<String>>| {
            let fields = row.into_iter().map(|field| field.unwrap_or_else(|| "NULL".into()));
            fields.collect::<Vec<_>>().join(",")
        };
        rows.into_iter().map(text).collect::<Vec<_>>().join(" ")
    }
}

fn at(lsn: u64) -> Position {
    format!("lsn:0/{lsn:X}").parse().expect("position")
}

fn step(verb: Verb, columns: &[usize], rows: Vec<Vec<Value>>) -> Step {
    Step {
        table: 0,
        verb,
        columns: columns.into(),
        rows: rows.into_iter().map(Row::from).collect(),
    }
}

fn slice<'a>(
    open: Option<&'a Witness>,
    steps: &'a [Step],
    close: Option<&'a Position>,
) -> Slice<'a> {
    Slice { open, steps, settled: &[], close, ..Slice::default() }
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

/// One transaction of one slice; the witness follows.
async fn commit(
    target: &mut Box<dyn Target>,
    witness: &mut Witness,
    steps: &[Step],
) -> weir::error::Result<Vec<MissedKey>> {
    let close = at(witness.seq);
    let slice =
        Slice { open: Some(witness), steps, settled: &[], close: Some(&close), ..Slice::default() };
    let applied = target.apply(slice).await?;
    witness.seq += 1;
    witness.position = close;
    assert_eq!(target.read_witness().await?.as_ref(), Some(&*witness));
    Ok(applied.missed)
}

/// Broken if two writers could both move one witness, or a fenced one left rows behind.
async fn a_swap_that_misses_writes_nothing(bench: &Bench) -> TestResult {
    let plan = bench.table("t", "id int primary key, a int", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let rows = vec![vec![Value::Int(1), Value::Int(1)]];
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1], rows.clone())]).await?;
    for stale in [
        Witness { seq: witness.seq - 1, ..witness.clone() },
        Witness { installation: "f".repeat(32), ..witness.clone() },
    ] {
        let mut target = bench.open(&plan).await;
        let steps = [step(Verb::Upsert, &[0, 1], vec![vec![Value::Int(2), Value::Int(2)]])];
        let close = at(9);
        let slice = Slice {
            open: Some(&stale),
            steps: &steps,
            settled: &[],
            close: Some(&close),
            ..Slice::default()
        };
        assert_eq!(target.apply(slice).await.expect_err("fenced").kind(), Kind::Witness);
    }
    assert_eq!(bench.text("SELECT * FROM t").await, "1,1");
    assert_eq!(target.read_witness().await?, Some(witness));
    Ok(())
}

/// Broken if an update made a row, a miss got lost, or a miss were noted for a row that is there
/// but did not change.
async fn misses_are_noted_and_updates_never_insert(bench: &Bench) -> TestResult {
    let body = "id int, part varchar(20), a int, m timestamp(3) not null default current_timestamp(3) \
                on update current_timestamp(3), primary key (id, part)";
    let plan = bench.table("t", body, UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let row =
        |id: i64, a: i64| vec![Value::Int(id), text("p"), Value::Int(a), Value::Instant(1_000)];
    let rows = (0..500).map(|id| row(id * 2, id)).collect();
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1, 2, 3], rows)]).await?;
    let changes = (0..500).map(|id| vec![Value::Int(id), text("p"), Value::Int(id / 2)]).collect();
    let missed =
        commit(&mut target, &mut witness, &[step(Verb::Update, &[0, 1, 2], changes)]).await?;
    assert_eq!(missed.len(), 250, "odd ids are not there");
    assert!(missed.iter().all(|missed| matches!(missed.key[0], Value::Int(id) if id % 2 == 1)));
    assert_eq!(bench.text("SELECT count(*), max(m) FROM t").await, "500,2000-01-01 00:00:00.001");
    // A rekey keeps the rest of the row; of one that is not there, the new key is noted.
    let moves = vec![
        vec![Value::Int(0), text("p"), Value::Int(9000), text("q"), Value::Int(7)],
        vec![Value::Int(1), text("p"), Value::Int(9001), text("q"), Value::Int(7)],
    ];
    let missed = commit(&mut target, &mut witness, &[step(Verb::Rekey, &[0, 1, 2], moves)]).await?;
    let key = vec![Value::Int(9001), text("q")].into();
    assert_eq!(missed, [MissedKey { table: 0, key, why: Why::NoRow }]);
    assert_eq!(
        bench.text("SELECT id, part, a, m FROM t WHERE id > 2000").await,
        "9000,q,7,2000-01-01 00:00:00.001"
    );
    let notes = target.missed(1000).await?;
    assert_eq!(notes.oldest.len(), 251);
    assert_eq!(notes.newest, notes.oldest[250].id);
    let some = target.missed(3).await?;
    assert_eq!((some.oldest.as_slice(), some.newest), (&notes.oldest[..3], notes.newest));
    let settled: Vec<_> = notes.oldest[..250].iter().map(|note| note.missed.clone()).collect();
    let close = at(99);
    let slice = Slice {
        open: Some(&witness),
        steps: &[],
        settled: &settled,
        close: Some(&close),
        ..Slice::default()
    };
    target.apply(slice).await?;
    assert_eq!(target.missed(10).await?.oldest[..], notes.oldest[250..]);
    Ok(())
}

/// Broken if an insert-or-update changed another row that shares a second unique value: the
/// source knows nothing of that row.
async fn an_upsert_never_hits_another_row(bench: &Bench) -> TestResult {
    let body = "id int primary key, mail varchar(50) not null, n int, unique (mail)";
    let plan = bench.table("t", body, UpsertStrategy::UpdateThenInsert).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let row = |id: i64, mail: &str, n: i64| vec![Value::Int(id), text(mail), Value::Int(n)];
    let upsert = |rows| [step(Verb::Upsert, &[0, 1, 2], rows)];
    commit(&mut target, &mut witness, &upsert(vec![row(1, "a", 1), row(2, "b", 2)])).await?;
    commit(&mut target, &mut witness, &upsert(vec![row(2, "b", 22), row(3, "c", 3)])).await?;
    let clash = upsert(vec![row(1, "a", 11), row(4, "b", 4)]);
    let error = commit(&mut target, &mut witness, &clash).await.expect_err("clash");
    assert_eq!(error.kind(), Kind::Constraint, "{error:?}");
    assert!(error.chain().contains("mail") && !error.chain().contains("'b'"), "{}", error.chain());
    assert_eq!(bench.text("SELECT * FROM t ORDER BY id").await, "1,a,1 2,b,22 3,c,3");
    Ok(())
}

/// Broken if a key that only a coarse collation takes for the same touched the other's row.
async fn keys_compare_byte_for_byte(bench: &Bench) -> TestResult {
    for (charset, collation) in [
        ("utf8mb4", "utf8mb4_general_ci"),
        ("latin1", "latin1_swedish_ci"),
        ("utf8mb4", "utf8mb4_bin"),
    ] {
        let body =
            format!("k varchar(20) character set {charset} collate {collation} primary key, n int");
        let plan = bench.table("t", &body, UpsertStrategy::UpdateThenInsert).await;
        let (mut target, mut witness) = bench.begin(&plan).await;
        let row = |key: &str, n: i64| vec![text(key), Value::Int(n)];
        commit(
            &mut target,
            &mut witness,
            &[step(Verb::Upsert, &[0, 1], vec![row("é", 1), row("abc", 2)])],
        )
        .await?;
        let others = vec![row("abc ", 9), row("É", 8)];
        let missed =
            commit(&mut target, &mut witness, &[step(Verb::Update, &[0, 1], others)]).await?;
        assert_eq!(missed.len(), 2, "{collation}");
        let gone = vec![vec![text("abc ")], vec![text("É")], vec![text("ABC")]];
        commit(&mut target, &mut witness, &[step(Verb::Delete, &[0], gone)]).await?;
        let both = vec![row("abc", 3), row("é", 4)];
        assert!(
            commit(&mut target, &mut witness, &[step(Verb::Update, &[0, 1], both)])
                .await?
                .is_empty()
        );
        assert_eq!(bench.text("SELECT k, n FROM t ORDER BY n").await, "abc,3 é,4", "{collation}");
        commit(&mut target, &mut witness, &[step(Verb::Delete, &[0], vec![vec![text("abc")]])])
            .await?;
        assert_eq!(bench.text("SELECT k FROM t").await, "é", "{collation}");
    }
    Ok(())
}

/// Broken if a value that the server alters with no more than a note were committed.
async fn a_warning_is_an_error(bench: &Bench) -> TestResult {
    let plan =
        bench.table("t", "id int primary key, d decimal(10,2)", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let row = |id: i64, d: &str| vec![Value::Int(id), Value::Decimal(d.into())];
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1], vec![row(1, "1.00")])]).await?;
    for verb in [Verb::Upsert, Verb::Update] {
        let rows = vec![row(1, "2.005"), row(2, "3.00")];
        let error = commit(&mut target, &mut witness, &[step(verb, &[0, 1], rows)])
            .await
            .expect_err("note");
        assert_eq!(error.kind(), Kind::Value, "{verb:?} {error:?}");
    }
    assert_eq!(bench.text("SELECT * FROM t").await, "1,1.00");
    commit(&mut target, &mut witness, &[step(Verb::Upsert, &[0, 1], vec![row(1, "4.10")])]).await?;
    assert_eq!(bench.text("SELECT * FROM t").await, "1,4.10");
    Ok(())
}

/// Broken if a refused slice took the transaction with it, or left a part of itself behind.
async fn a_refusal_undoes_its_slice_only(bench: &Bench) -> TestResult {
    let plan = bench.table("t", "id int primary key, n int not null", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let insert = |from: i64, n: Value| {
        let rows = (from..from + 40).map(|id| vec![Value::Int(id), Value::Int(id)]);
        let last = vec![Value::Int(from + 40), n];
        [step(Verb::Upsert, &[0, 1], rows.chain([last]).collect())]
    };
    let (good, bad, more) =
        (insert(0, Value::Int(1)), insert(100, Value::Null), insert(200, Value::Int(2)));
    target.apply(slice(Some(&witness), &good, None)).await?;
    let error = target.apply(slice(None, &bad, None)).await.expect_err("null");
    assert_eq!(error.kind(), Kind::Constraint, "{error:?}");
    target.apply(slice(None, &more, None)).await?;
    assert_eq!(bench.text("SELECT count(*) FROM t").await, "0", "visible before the commit");
    let close = at(5);
    target.apply(slice(None, &[], Some(&close))).await?;
    assert_eq!(bench.text("SELECT count(*) FROM t").await, "82");
    (witness.seq, witness.position) = (witness.seq + 1, close);
    assert_eq!(target.read_witness().await?, Some(witness.clone()));
    // Where the refused slice opened the transaction, it is all undone, and a new one can open.
    let error = target.apply(slice(Some(&witness), &bad, None)).await.expect_err("null");
    assert_eq!(error.kind(), Kind::Constraint);
    commit(&mut target, &mut witness, &insert(300, Value::Int(3))).await?;
    commit(&mut target, &mut witness, &[step(Verb::Truncate, &[], Vec::new())]).await?;
    assert_eq!(bench.text("SELECT count(*) FROM t").await, "0");
    Ok(())
}

/// Broken if a large transaction took memory by its size.
async fn a_large_transaction_needs_no_memory(bench: &Bench) -> TestResult {
    const ROWS: i64 = 200_000;
    let plan =
        bench.table("t", "id int primary key, a varchar(1000)", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let mut before = 0;
    for from in (0..ROWS).step_by(2000) {
        let row =
            |id| vec![Value::Int(id), Value::Text(format!("{id} {}", "x".repeat(700)).into())];
        let steps = [step(Verb::Upsert, &[0, 1], (from..from + 2000).map(row).collect())];
        let open = (from == 0).then_some(&witness);
        target
            .apply(Slice { open, steps: &steps, settled: &[], close: None, ..Slice::default() })
            .await?;
        if from == 20_000 {
            before = resident_bytes();
        }
    }
    let close = at(77);
    let slice =
        Slice { open: None, steps: &[], settled: &[], close: Some(&close), ..Slice::default() };
    target.apply(slice).await?;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more after 180,000 rows");
    (witness.seq, witness.position) = (witness.seq + 1, close);
    let started = std::time::Instant::now();
    for from in (0..ROWS).step_by(20_000) {
        let gone = (from..from + 20_000).map(|id| vec![Value::Int(id)]).collect();
        commit(&mut target, &mut witness, &[step(Verb::Delete, &[0], gone)]).await?;
    }
    eprintln!("deleted {ROWS} rows in {:?}", started.elapsed());
    assert_eq!(bench.text("SELECT count(*) FROM t").await, "0");
    Ok(())
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: usize = line.split_whitespace().nth(1).expect("KiB").parse().expect("number");
    kib << 10
}

/// Broken if a cut connection were not retried, or its half transaction survived; or if a lock held
/// by an application stopped the link for longer than the limit.
async fn cut_connections_and_locks_are_retried(bench: &Bench) -> TestResult {
    let plan = bench.table("t", "id int primary key, n int", UpsertStrategy::Native).await;
    let (mut target, mut witness) = bench.begin(&plan).await;
    let one = [step(Verb::Upsert, &[0, 1], vec![vec![Value::Int(1), Value::Int(1)]])];
    target.apply(slice(Some(&witness), &one, None)).await?;
    let ours = format!("SELECT id FROM information_schema.processlist WHERE user = '{WRITER}'");
    for id in bench.text(&ours).await.split(' ') {
        bench.server.execute(&format!("KILL {id}")).await?;
    }
    let error = target.apply(slice(None, &one, None)).await.expect_err("killed");
    assert_eq!(error.kind(), Kind::Connection, "{error:?}");
    let error = target.apply(slice(Some(&witness), &one, None)).await.expect_err("still unusable");
    assert_eq!(error.kind(), Kind::Connection);
    let mut target = bench.open(&plan).await;
    assert_eq!(bench.text("SELECT count(*) FROM t").await, "0");
    commit(&mut target, &mut witness, &one).await?;

    let mut application = bench.server.connect_mysql().await?;
    use mysql_async::prelude::Queryable;
    application.query_drop("BEGIN").await?;
    application.query_drop("UPDATE t SET n = 5 WHERE id = 1").await?;
    let others = (2..5).map(|id| vec![Value::Int(id), Value::Int(id)]).collect::<Vec<_>>();
    for verb in [Verb::Upsert, Verb::Update] {
        let steps = [step(verb, &[0, 1], others.clone())];
        commit(&mut target, &mut witness, &steps).await.expect("rows that nobody has locked");
    }
    let gone = [step(Verb::Delete, &[0], (2..9).map(|id| vec![Value::Int(id)]).collect())];
    commit(&mut target, &mut witness, &gone).await.expect("rows that nobody has locked");
    let error = commit(&mut target, &mut witness, &one).await.expect_err("locked");
    assert_eq!(error.kind(), Kind::Contention, "{error:?}");
    application.query_drop("ROLLBACK").await?;
    let mut target = bench.open(&plan).await;
    commit(&mut target, &mut witness, &one).await?;
    Ok(())
}

async fn everything(server: Server) -> TestResult {
    let Some(bench) = Bench::start(server).await? else { return Ok(()) };
    a_swap_that_misses_writes_nothing(&bench).await?;
    misses_are_noted_and_updates_never_insert(&bench).await?;
    an_upsert_never_hits_another_row(&bench).await?;
    keys_compare_byte_for_byte(&bench).await?;
    a_warning_is_an_error(&bench).await?;
    a_refusal_undoes_its_slice_only(&bench).await?;
    copies::copies_are_kept_with_their_rows(&bench).await?;
    copies::rows_that_a_copy_brings_are_not_noted(&bench).await?;
    types::every_base_type_is_written_exactly(&bench).await?;
    load::every_type_is_loaded_exactly(&bench).await?;
    load::rows_that_are_there_are_met(&bench).await?;
    load::counters_are_past_what_was_copied(&bench).await?;
    checks::grants_are_named_and_enough(&bench).await?;
    checks::wrong_settings_are_named(&bench).await?;
    checks::printed_tables_take_the_sources_columns(&bench).await?;
    a_large_transaction_needs_no_memory(&bench).await?;
    cut_connections_and_locks_are_retried(&bench).await
}

#[tokio::test]
async fn mysql_97() -> TestResult {
    everything(Server::MySql97).await
}

#[tokio::test]
#[ignore = "long: make acceptance"]
async fn mariadb_1011() -> TestResult {
    everything(Server::MariaDb1011).await
}
