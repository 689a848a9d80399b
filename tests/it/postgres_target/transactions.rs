//! The witness, slices, what a refusal undoes, and lost connections.

use weir::error::Kind;
use weir::link::ports::{Slice, Target};
use weir::model::{Step, Value, Verb, Witness};
use weir::position::{Lsn, Position};

use super::fixture::{SERVERS, Site, apply, step, text, witness};

fn upsert(from: i64, to: i64) -> Step {
    let row = |id| vec![Value::Int(id), text("value")];
    step(0, Verb::Upsert, &[0, 1], (from..to).map(row).collect())
}

async fn slice(
    target: &mut Box<dyn Target>,
    open: Option<&Witness>,
    steps: &[Step],
    close: Option<&Position>,
) -> weir::error::Result<()> {
    target.apply(Slice { open, steps, settled: &[], close, ..Slice::default() }).await.map(|_| ())
}

/// Broken if the witness were not what was written, or a second writer could apply the same again.
#[tokio::test]
async fn the_witness_guards_every_transaction() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let mut target = site.target("public.t").await;
        assert_eq!(target.read_witness().await.expect("no witness yet"), None);
        let (mut target, mut known) = site.fresh_target("public.t").await;
        assert_eq!(target.read_witness().await.expect("reads"), Some(witness()));
        let twice = target.create_witness(&witness()).await.expect_err("there already");
        assert_eq!(twice.kind(), Kind::Witness);

        apply(&mut target, &mut known, &[upsert(0, 10)]).await.expect("applies");
        assert_eq!(target.read_witness().await.expect("reads"), Some(known.clone()));

        for stale in [
            Witness { seq: known.seq - 1, ..known.clone() },
            Witness { seq: known.seq + 1, ..known.clone() },
            Witness { installation: "f".repeat(32), ..known.clone() },
        ] {
            let mut stale = stale;
            let error = apply(&mut target, &mut stale, &[upsert(10, 20)]).await.expect_err("stale");
            assert_eq!(error.kind(), Kind::Witness);
        }
        assert_eq!(site.query("SELECT count(*) FROM t").await, ["10"]);
        apply(&mut target, &mut known, &[upsert(10, 20)]).await.expect("the connection is usable");
        assert_eq!(site.query("SELECT count(*) FROM t").await, ["20"]);
        let system = site.query("SELECT system_identifier FROM pg_control_system()").await;
        assert_eq!(system, [target.identity()]);
    }
}

/// Broken if readers saw half a source transaction, or the position of its end were lost.
#[tokio::test]
async fn slices_commit_together() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (mut target, known) = site.fresh_target("public.t").await;
    let close = Position::Postgres(Lsn(777));
    slice(&mut target, Some(&known), &[upsert(0, 10)], None).await.expect("first");
    slice(&mut target, None, &[upsert(10, 20)], None).await.expect("second");
    assert_eq!(site.query("SELECT count(*) FROM t").await, ["0"]);
    slice(&mut target, None, &[], Some(&close)).await.expect("last");
    assert_eq!(site.query("SELECT count(*) FROM t").await, ["20"]);
    let stored = target.read_witness().await.expect("reads").expect("witness");
    assert_eq!((stored.seq, stored.position), (known.seq + 1, close));
    assert_eq!(
        slice(&mut target, None, &[], None).await.expect_err("none open").kind(),
        Kind::Internal
    );
}

/// Broken if a refused row took other slices with it, or stayed in part.
#[tokio::test]
async fn a_refusal_undoes_its_slice_only() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
        let (mut target, known) = site.fresh_target("public.t").await;
        let bad = |value: Value| step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(50), value]]);
        slice(&mut target, Some(&known), &[upsert(0, 10)], None).await.expect("first");
        slice(&mut target, None, &[upsert(10, 20)], None).await.expect("second");
        let refused = slice(&mut target, None, &[upsert(20, 30), bad(text("bad"))], None).await;
        let refused = refused.expect_err("check constraint");
        assert_eq!(refused.kind(), Kind::Constraint);
        assert_eq!(
            refused.chain(),
            "write public.t: check_violation, sqlstate 23514, constraint t_v_check, table t"
        );
        let refused = slice(&mut target, None, &[upsert(30, 40), bad(text("a\0b"))], None).await;
        assert_eq!(refused.expect_err("nul").kind(), Kind::Value);
        let close = Position::Postgres(Lsn(777));
        slice(&mut target, None, &[upsert(40, 45)], Some(&close)).await.expect("goes on");
        assert_eq!(site.query("SELECT count(*), max(id) FROM t").await, ["25|44"]);

        let known = Witness { seq: known.seq + 1, position: close, ..known };
        let refused =
            slice(&mut target, Some(&known), &[upsert(60, 70), bad(text("bad"))], None).await;
        assert_eq!(refused.expect_err("whole").kind(), Kind::Constraint);
        slice(&mut target, Some(&known), &[upsert(60, 61)], None).await.expect("a new transaction");
        target.rollback().await.expect("rolls back");
        assert_eq!(site.query("SELECT count(*), max(id) FROM t").await, ["25|44"]);
    }
}

/// Broken if a deferred constraint failed in COMMIT, where it cannot be told from a lost one.
#[tokio::test]
async fn deferred_constraints_are_checked_before_the_commit() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute(
        "CREATE TABLE p (id int PRIMARY KEY);
         CREATE TABLE c (id int PRIMARY KEY, pid int CONSTRAINT to_p REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    let (mut target, mut known) = site.fresh_target("public.*").await;
    let child = step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(1), Value::Int(5)]]);
    let parent = step(1, Verb::Upsert, &[0], vec![vec![Value::Int(5)]]);
    let error =
        apply(&mut target, &mut known, std::slice::from_ref(&child)).await.expect_err("no parent");
    assert_eq!(error.kind(), Kind::ForeignKey);
    assert!(error.chain().contains("constraint to_p"), "{}", error.chain());
    slice(&mut target, Some(&known), &[child], None).await.expect("the parent may follow");
    let close = Position::Postgres(Lsn(777));
    slice(&mut target, None, &[parent], Some(&close)).await.expect("and did");
    assert_eq!(site.query("SELECT count(*) FROM c").await, ["1"]);
}

fn strict<'a>(
    open: Option<&'a Witness>,
    steps: &'a [Step],
    close: Option<&'a Position>,
) -> Slice<'a> {
    Slice { open, steps, close, strict: true, ..Slice::default() }
}

/// Broken if a change that a deferred constraint refuses were not told from those after it where that is
/// asked for, or were refused before its parent could come where it is not.
#[tokio::test]
async fn a_strict_slice_judges_at_once() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute(
            "CREATE TABLE p (id int PRIMARY KEY);
             CREATE TABLE c (id int PRIMARY KEY, pid int CONSTRAINT to_p REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
        let (mut target, mut known) = site.fresh_target("public.*").await;
        let child =
            |id| [step(0, Verb::Upsert, &[0, 1], vec![vec![Value::Int(id), Value::Int(5)]])];
        let (one, two) = (child(1), child(2));
        let parent = [step(1, Verb::Upsert, &[0], vec![vec![Value::Int(5)]])];
        let refused = |error: weir::error::Error| {
            assert_eq!(error.kind(), Kind::ForeignKey);
            assert!(error.chain().starts_with("write public.c: fk_violation"), "{}", error.chain());
        };
        let close = Position::Postgres(Lsn(777));
        refused(target.apply(strict(Some(&known), &one, None)).await.expect_err("at once"));

        slice(&mut target, Some(&known), &one, None).await.expect("the parent may follow");
        slice(&mut target, None, &parent, None).await.expect("and did");
        slice(&mut target, None, &[step(1, Verb::Truncate, &[], vec![])], None)
            .await
            .expect("gone");
        let error = target.apply(strict(None, &[], None)).await.expect_err("a child is left alone");
        assert_eq!(error.kind(), Kind::ForeignKey);
        slice(&mut target, None, &parent, None).await.expect("it is there again");
        target.apply(strict(None, &[], None)).await.expect("nothing is wrong now");
        target.rollback().await.expect("rolls back");

        target.apply(strict(Some(&known), &[], None)).await.expect("opens");
        refused(target.apply(strict(None, &one, None)).await.expect_err("at once"));
        let later = slice(&mut target, None, &one, None).await;
        refused(later.expect_err("from there on"));
        slice(&mut target, None, &parent, None).await.expect("the parent");
        target.apply(strict(None, &one, Some(&close))).await.expect("the child");
        assert_eq!(site.query("SELECT id FROM c").await, ["1"]);
        (known.seq, known.position) = (known.seq + 1, close);
        slice(&mut target, Some(&known), &two, None).await.expect("the next transaction is not");
    }
}

/// Broken if memory grew with the length of a source transaction.
#[tokio::test]
async fn a_long_transaction_needs_no_more_memory() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (mut target, known) = site.fresh_target("public.t").await;
    slice(&mut target, Some(&known), &[upsert(0, 2000)], None).await.expect("first");
    let before = resident_bytes();
    for at in 1..100 {
        slice(&mut target, None, &[upsert(at * 2000, (at + 1) * 2000)], None).await.expect("next");
    }
    let grown = resident_bytes().saturating_sub(before);
    slice(&mut target, None, &[], Some(&Position::Postgres(Lsn(777)))).await.expect("last");
    assert_eq!(site.query("SELECT count(*) FROM t").await, ["200000"]);
    assert!(grown < 96 << 20, "{grown} bytes more");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Broken if a cut connection left something behind, or looked like a fault of the data.
#[tokio::test]
async fn a_killed_session_leaves_nothing_behind() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let (mut target, known) = site.fresh_target("public.t").await;
        slice(&mut target, Some(&known), &[upsert(0, 10)], None).await.expect("first");
        site.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir test src:dst'").await;
        let error = slice(&mut target, None, &[upsert(10, 20)], None).await.expect_err("cut");
        assert!(matches!(error.kind(), Kind::Connection | Kind::Unavailable), "{error:?}");
        let error = target.rollback().await.expect_err("still cut");
        assert_eq!(error.kind(), Kind::Connection);
        let mut target = site.target("public.t").await;
        assert_eq!(target.read_witness().await.expect("reads"), Some(known.clone()));
        let mut known = known;
        apply(&mut target, &mut known, &[upsert(0, 10)]).await.expect("again");
        assert_eq!(site.query("SELECT count(*) FROM t").await, ["10"]);
    }
}

/// Broken if a lock held by the application held weir up for ever.
#[tokio::test]
async fn locks_are_waited_for_a_bounded_time() {
    let Some(site) = Site::start(SERVERS[1]).await else { return };
    site.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1)").await;
    let (mut target, mut known) = site.fresh_target("public.t").await;
    let other = site.server.connect_pg().await.expect("connects");
    other.batch_execute("BEGIN; UPDATE t SET v = 'mine' WHERE id = 1").await.expect("locks");
    let error = apply(&mut target, &mut known, &[upsert(0, 3)]).await.expect_err("locked");
    assert_eq!(error.kind(), Kind::Contention);
}

/// Broken if a plan made while the table was empty made every later batch read the whole table.
#[tokio::test]
async fn batches_never_read_the_whole_table() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
        let (mut target, mut known) = site.fresh_target("public.t").await;
        let update = |from: i64| {
            let row = |id| vec![Value::Int(id), text("new")];
            step(0, Verb::Update, &[0, 1], (from..from + 500).map(row).collect())
        };
        for _ in 0..8 {
            apply(&mut target, &mut known, &[update(0)]).await.expect("misses");
        }
        for at in 0..20 {
            let steps = [upsert(at * 500, at * 500 + 500)];
            apply(&mut target, &mut known, &steps).await.expect("inserts");
            apply(&mut target, &mut known, &[update(at * 500)]).await.expect("updates");
        }
        drop(target);
        // A session reports what it did when it ends.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let read = "SELECT n_tup_upd, seq_tup_read FROM pg_stat_user_tables WHERE relname = 't'";
        assert_eq!(site.query(read).await, ["10000|0"]);
    }
}
