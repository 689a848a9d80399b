//! weir in operation: review of a changed table, misses, lost state, restored or replaced servers,
//! dropped slots and purged logs, status.

use std::time::Duration;

use tokio::process::Child;
use weir::sandbox::{Running, Server};

use crate::crash::{SPACE, kill, prepare};
use crate::harness::{Outcome, Pair, Weir, execute_in, query_in, until, url_for};
use crate::load::{Session, insert_accounts, until_equal};
use crate::rights::{READER, WRITER};

pub const SOON: Duration = Duration::from_secs(30);

pub async fn insert(pair: &Pair, from: u64, count: u64) {
    let mut session = Session::open(&pair.source, SPACE).await;
    session.transaction(&[insert_accounts(from, count)]).await.expect("insert");
}

pub async fn terminate(mut child: Child) -> Option<i32> {
    let pid = child.id().expect("running").cast_signed();
    let pid = rustix::process::Pid::from_raw(pid).expect("pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
    let status = tokio::time::timeout(SOON, child.wait()).await.expect("weir hangs on SIGTERM");
    status.expect("waited").code()
}

/// Broken if a full disk under the state directory stopped the link for good, or what was applied
/// meanwhile were applied again: sled keeps its first write error until it is opened anew.
#[tokio::test]
async fn a_full_state_disk_passes() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::Postgres15).await else { return };
    let weir = prepare(&pair, "full").await;
    // A file size limit of this process stands in for the disk; its signal is to be an error.
    let mut child = weir.spawn_by(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""], &["run"]);
    until_equal(&pair, SPACE, SOON).await;
    let pid = Pid::from_raw(child.id().expect("running").cast_signed());
    let limit = |current| {
        let limit = Rlimit { current, maximum: None };
        prlimit(pid, Resource::Fsize, limit).expect("file size limit");
    };
    limit(Some(1));
    insert(&pair, 1_000, 10).await;
    until_status(&weir, "disk_full").await;
    limit(None);
    insert(&pair, 2_000, 10).await;
    until_equal(&pair, SPACE, SOON).await;
    until_status(&weir, "running").await;
    insert(&pair, 3_000, 10).await;
    until_equal(&pair, SPACE, SOON).await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
}

pub async fn until_status(weir: &Weir, phrase: &str) -> Outcome {
    let mut last = None;
    until(&format!("status says {phrase}"), SOON, async || {
        let outcome = weir.run(&["status", "--json"]).await;
        let found = outcome.stdout.contains(phrase);
        last = Some(outcome);
        found
    })
    .await;
    last.expect("status")
}

/// Broken if a table that changes shape under a running weir shifts values, or if the way on after
/// the operator's review did not work without a restart.
async fn schema_review(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let weir = prepare(&pair, "review").await;
    let mut child = weir.spawn(&["run"]);
    insert(&pair, 1_000, 10).await;
    until_equal(&pair, SPACE, SOON).await;
    let alter = "ALTER TABLE account ADD COLUMN extra VARCHAR(10)";
    execute_in(&pair.source, SPACE, alter).await;
    let changed = "UPDATE account SET extra = 'x', n = 7 WHERE id = 1001";
    execute_in(&pair.source, SPACE, changed).await;
    until_status(&weir, "schema_changed").await.expect_code(4).expect_phrase("extra");
    execute_in(&pair.target, SPACE, alter).await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    let query =
        "SELECT id, n, extra FROM {space}.account WHERE id BETWEEN 1000 AND 1003 ORDER BY id";
    let expected = query_in(&pair.source, SPACE, query).await;
    until("the altered row arrives", SOON, async || {
        query_in(&pair.target, SPACE, query).await == expected
    })
    .await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// See [`schema_review`].
#[tokio::test]
async fn schema_review_from_postgres() {
    schema_review(Server::Postgres18, Server::MariaDb1011).await;
}

/// See [`schema_review`].
#[tokio::test]
async fn schema_review_from_mysql() {
    schema_review(Server::MySql97, Server::Postgres15).await;
}

/// Broken if an update whose row is missing on the target were lost, or created a half row.
async fn misses(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let weir = prepare(&pair, "misses").await;
    let child = weir.spawn(&["run"]);
    until_equal(&pair, SPACE, SOON).await;
    let gone = "DELETE FROM account WHERE id BETWEEN 100 AND 199";
    execute_in(&pair.target, SPACE, gone).await;
    let mut session = Session::open(&pair.source, SPACE).await;
    for id in 100..200_u64 {
        let change = match id % 3 {
            0 => format!("UPDATE account SET n = n + 1 WHERE id = {id}"),
            1 => format!("UPDATE account SET id = {} WHERE id = {id}", id + 10_000),
            _ => format!("UPDATE account SET code = 'changed {id}' WHERE id = {id}"),
        };
        session.transaction(&[change]).await.expect("update");
    }
    until_equal(&pair, SPACE, SOON).await;
    let notes = "SELECT count(*) FROM weir.missed";
    until("notes are settled", SOON, async || query_in(&pair.target, SPACE, notes).await == ["0"])
        .await;
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// See [`misses`].
#[tokio::test]
async fn misses_from_postgres() {
    misses(Server::Postgres15, Server::MySql97).await;
}

/// See [`misses`].
#[tokio::test]
async fn misses_from_mysql() {
    misses(Server::MySql97, Server::Postgres18).await;
}

/// See [`misses`].
#[tokio::test]
async fn misses_from_mariadb() {
    misses(Server::MariaDb1011, Server::Postgres15).await;
}

/// What a table missed while nobody remembered it is known by what the target holds of it, or by a
/// person.
async fn forgotten(pair: &Pair, weir: &Weir) {
    let (run, state) = (["run", "--until-caught-up"], weir.dir.path().join("state"));
    let alter = "ALTER PUBLICATION weir_lost_left_right";
    let away = format!("{alter} DROP TABLE crash.account; {alter} ADD TABLE crash.account");
    pair.source.execute(&away).await.expect("away for a while");
    std::fs::remove_dir_all(&state).expect("state directory lost");
    let halted = weir.run(&run).await.expect_code(4);
    halted.expect_phrase("changes of table crash.account may be missing");
    pair.target.execute("DELETE FROM weir.witness WHERE part = 1").await.expect("forgotten");
    std::fs::remove_dir_all(&state).expect("state directory lost");
    weir.run(&run).await.expect_code(4).expect_phrase("cannot be told");
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    weir.run(&run).await.expect_code(0);
}

/// Broken if a lost state directory lost data, or a witness that was emptied, a dropped slot or a
/// purged log went unseen.
#[tokio::test]
async fn lost_memories_of_postgres() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let weir = prepare(&pair, "lost").await;
    let state = weir.dir.path().join("state");
    std::fs::remove_dir_all(&state).expect("state directory lost");
    insert(&pair, 2_000, 50).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0).expect_phrase("witness");
    until_equal(&pair, SPACE, SOON).await;
    moved(&pair, &weir).await;
    forgotten(&pair, &weir).await;

    let witness = "SELECT name, link, part, installation, seq, position, restart, hops, pending, \
                   source_identity, target_identity, updated_at FROM weir.witness";
    pair.target.execute(&format!("CREATE TABLE app.kept AS {witness}")).await.expect("kept");
    insert(&pair, 3_000, 50).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    // The target is set back behind what the source was told: that is a gap, never silence.
    let restore = "DELETE FROM weir.witness; INSERT INTO weir.witness SELECT * FROM app.kept; \
                   DELETE FROM crash.account WHERE id >= 3000";
    pair.target.execute(restore).await.expect("restored");
    let run = weir.run(&["run", "--until-caught-up"]).await.expect_code(4);
    run.expect_phrase("restored").expect_phrase("hint");
    pair.target.execute("DELETE FROM weir.witness").await.expect("emptied");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(4).expect_phrase("no witness");
    std::fs::remove_dir_all(&state).expect("state directory lost too");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(4).expect_phrase("slot");
    weir.tear_down().await;
    std::fs::remove_dir_all(&state).expect("state directory lost with it");
    weir.grant().await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let drop = "SELECT pg_drop_replication_slot('weir_lost_left_right')";
    pair.source.query(drop).await.expect("slot dropped");
    insert(&pair, 4_000, 5).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(4).expect_phrase("slot");
}

/// Another server answers as the target, with its data: what the halt tells to run lets the link go
/// on where it was.
async fn moved(pair: &Pair, weir: &Weir) {
    pair.target.execute("SET GLOBAL server_id = 77").await.expect("another identity");
    insert(pair, 2_500, 5).await;
    let run = weir.run(&["run", "--until-caught-up"]).await.expect_code(4);
    let run = run.expect_phrase("another server answers as the target");
    let (_, after) = run.stderr.split_once("say so with: ").expect("what to run");
    let (statement, _) = after.split_once("; then").expect("one statement");
    pair.target.execute(statement).await.expect("adopted");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    until_equal(pair, SPACE, SOON).await;
}

/// As above; a restored target goes on from its witness while the binlog still reaches back.
#[tokio::test]
async fn lost_memories_of_mysql() {
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres18).await else { return };
    let weir = prepare(&pair, "lost").await;
    insert(&pair, 2_000, 50).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    pair.target.execute("CREATE TABLE kept AS SELECT * FROM weir.witness").await.expect("kept");
    insert(&pair, 3_000, 50).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    until_equal(&pair, SPACE, SOON).await;
    let restore = "DELETE FROM weir.witness; INSERT INTO weir.witness SELECT * FROM kept; \
                   DELETE FROM crash.account WHERE id >= 3000";
    pair.target.execute(restore).await.expect("restored");
    let run = weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    run.expect_phrase("restored");
    until_equal(&pair, SPACE, SOON).await;
    insert(&pair, 4_000, 5).await;
    let purge =
        "FLUSH BINARY LOGS; FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY";
    pair.source.execute(purge).await.expect("purged");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(4).expect_phrase("purged");
}

/// Broken if another server behind the address were replicated as if it were the same.
#[tokio::test]
async fn another_server_behind_the_address() {
    for (source, target) in
        [(Server::Postgres15, Server::MySql97), (Server::MariaDb1011, Server::Postgres18)]
    {
        let Some(pair) = Pair::start(source, target).await else { return };
        let weir = prepare(&pair, "moved").await;
        let Some(other) = Pair::start(source, target).await else { return };
        other.create_space(SPACE).await;
        let second = prepare_tables(&other, &weir).await;
        second.grant().await;
        let run = second.run(&["run", "--until-caught-up"]).await.expect_code(4);
        run.expect_phrase("another server");
    }
}

/// The same configuration and state, with the source of `other` behind the source's name.
async fn prepare_tables(other: &Pair, weir: &Weir) -> Weir {
    execute_in(&other.source, SPACE, &crate::load::tables(&other.source)).await;
    weir.pointed_at_source(other)
}

/// Broken if a second weir on the same state directory, or one with the same name and another state
/// directory, wrote beside the first.
#[tokio::test]
async fn two_weirs() {
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::Postgres15).await else { return };
    let weir = prepare(&pair, "two").await;
    let mut child = weir.spawn(&["run"]);
    until_status(&weir, "\"state\": \"running\"").await;
    let second = weir.run(&["run", "--until-caught-up"]).await;
    second.expect_code(1).expect_phrase("weir run");
    kill(&mut child).await;
    assert_idle(&pair.target).await;
}

async fn assert_idle(server: &Running) {
    until("weir's sessions are gone", SOON, async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'weir%'";
        server.query(sql).await.expect("activity") == vec![vec![Some("0".to_owned())]]
    })
    .await;
}

/// Broken if a link whose two ends are one database fed itself its own rows for ever.
#[tokio::test]
async fn a_link_to_itself_is_refused() {
    for server in [Server::Postgres15, Server::MySql97] {
        let Some(pair) = Pair::start(server, server).await else { return };
        let other = prepare(&pair, "other").await;
        other.run(&["run", "--until-caught-up"]).await.expect_code(0);
        let weir = Weir::new(&pair, "itself", SPACE, "\n[apply]\nstart = \"now\"\n");
        let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
        let alias = url_for(READER, &pair.source.url()).replace("127.0.0.1", "localhost");
        let text = text.replace(&url_for(WRITER, &pair.target.url()), &alias);
        std::fs::write(weir.config(), text.replace("RIGHT_", "LEFT_")).expect("weir.toml");
        weir.grant().await;
        let run = weir.run(&["run", "--until-caught-up"]).await;
        run.expect_code(2).expect_phrase("source and target are one database");
    }
}
