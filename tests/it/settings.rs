//! Every setting that a server can have wrong, set wrong for real: `weir check` names it, and the
//! statement that it gives mends it; where there is none, what its hint says.

mod mysql;
mod postgres;

use std::any::Any;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use tokio_postgres::NoTls;
use weir::sandbox::{self, Options, Running, Server, require};

use crate::harness::{HANG, Outcome, Pair, Weir, execute_in, query_in, until};
use crate::rights::{self, READER, Taken, WRITER};
use mysql::*;
use postgres::*;

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";

/// What is done to a server, and how it is told.
struct Wrong {
    /// Statements, run one by one by an administrator.
    done: &'static [&'static str],
    /// Names, and what the server's file says of them instead of what it should; empty for nothing.
    file: &'static [(&'static str, &'static str, &'static str)],
    /// What findings say, each with what mends it.
    told: &'static [&'static str],
    /// What a person does who follows the hint, where no statement could be given.
    by_hand: &'static [&'static str],
    /// Whether `weir setup` is what mends it.
    set_up: bool,
    /// Whether `check` fails with it.
    fatal: bool,
    /// Whether the server has to start again to take it up.
    restart: bool,
    /// Sessions that others have open meanwhile.
    others: usize,
}

const fn refused(done: &'static [&'static str], told: &'static [&'static str]) -> Wrong {
    let (fatal, restart, set_up, others) = (true, false, false, 0);
    Wrong { done, file: &[], told, by_hand: &[], set_up, fatal, restart, others }
}

const fn warned(done: &'static [&'static str], told: &'static [&'static str]) -> Wrong {
    Wrong { fatal: false, ..refused(done, told) }
}

const fn by_hand(by_hand: &'static [&'static str], wrong: Wrong) -> Wrong {
    Wrong { by_hand, ..wrong }
}

const fn set_up_again(wrong: Wrong) -> Wrong {
    Wrong { set_up: true, ..wrong }
}

/// One finding of `check --json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    severity: String,
    pub text: String,
    pub mend: Vec<String>,
    pub hint: String,
}

async fn told(weir: &Weir, failing: bool) -> BTreeSet<Told> {
    let outcome = weir.run(&["check", "--json"]).await;
    assert_eq!(outcome.code != 0, failing, "{}\n{}", outcome.code, outcome.stdout);
    findings(&outcome)
}

impl Told {
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

/// What `check --json` found.
pub fn findings(outcome: &Outcome) -> BTreeSet<Told> {
    let found: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("json");
    let findings = found["links"][0]["findings"].as_array().expect("findings");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let one = |finding: &serde_json::Value| Told {
        severity: text(&finding["severity"]),
        text: format!("{}: {}", text(&finding["subject"]), text(&finding["message"])),
        mend: finding["mend"].as_array().expect("mend").iter().map(text).collect(),
        hint: text(&finding["hint"]),
    };
    findings.iter().map(one).collect()
}

async fn start(server: Server) -> Option<Running> {
    require(server, Options::default().durable()).await.expect("server")
}

/// Runs statements one by one in one session, as an administrator.
async fn each(server: &Running, statements: impl IntoIterator<Item = impl AsRef<str>>) {
    let statements: Vec<_> = statements.into_iter().collect();
    let statements = statements.iter().map(AsRef::as_ref);
    if server.kind().is_postgres() {
        let client = server.connect_pg().await.expect("an administrator");
        for sql in statements {
            client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        }
    } else {
        let mut conn = server.connect_mysql().await.expect("an administrator");
        for sql in statements {
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        }
        conn.disconnect().await.expect("goodbye");
    }
}

/// Writes settings into the file of a server, for its next start.
fn write(server: &Running, settings: impl Iterator<Item = (&'static str, &'static str)>) {
    let path = server.dir().join("my.cnf");
    let mut text = std::fs::read_to_string(&path).expect("my.cnf");
    for (name, value) in settings {
        let others = text.lines().filter(|line| !line.starts_with(&format!("{name}=")));
        text = others.map(|line| format!("{line}\n")).collect();
        if !value.is_empty() {
            text += &format!("{name}={value}\n");
        }
    }
    std::fs::write(&path, text).expect("my.cnf");
}

/// Does what a finding says.
async fn mend(server: &Running, weir: &Weir, wrong: &Wrong, named: &Told) {
    if wrong.set_up {
        assert!(named.hint.contains("weir setup"), "{named:?}");
        each(server, wrong.by_hand).await;
        weir.grant().await;
    } else if !wrong.file.is_empty() {
        let says = |(name, ..): &(&str, _, _)| named.hint.contains(name) && named.mend.is_empty();
        assert!(wrong.file.iter().all(says), "{named:?}");
        write(server, wrong.file.iter().map(|(name, _, right)| (*name, *right)));
    } else if !wrong.by_hand.is_empty() {
        assert!(named.mend.is_empty() && !named.hint.is_empty(), "{named:?}");
        each(server, wrong.by_hand).await;
    } else {
        assert!(!named.mend.is_empty(), "no statement: {named:?}");
        each(server, &named.mend).await;
    }
}

/// Sets each wrong, has it named, does what is said, and sees that it is as before.
async fn one_by_one(pair: &mut Pair, weir: &Weir, source: bool, wrongs: &[Wrong]) {
    let before = told(weir, false).await;
    for wrong in wrongs {
        let server = if source { &mut pair.source } else { &mut pair.target };
        let mut others = Vec::new();
        for _ in 0..wrong.others {
            others.push(server.connect_mysql().await.expect("a session"));
        }
        each(server, wrong.done).await;
        if !wrong.file.is_empty() {
            write(server, wrong.file.iter().map(|(name, wrong, _)| (*name, *wrong)));
        }
        if wrong.restart {
            server.restart().await.expect("restart");
        }
        let found = told(weir, wrong.fatal).await;
        let new: Vec<_> = found.difference(&before).collect();
        for told in wrong.told {
            let named = new.iter().find(|one| one.text.contains(told));
            let named = named.unwrap_or_else(|| panic!("{told}: not among {new:#?}"));
            assert_eq!(named.is_error(), wrong.fatal, "{named:?}");
            assert_eq!(named.hint.contains("restart"), wrong.restart, "{named:?}");
            mend(server, weir, wrong, named).await;
        }
        // A sequence that was made anew is nobody's to set.
        for made in new.iter().filter(|one| one.text.contains("cannot be set past copied rows")) {
            each(server, &made.mend).await;
        }
        if wrong.restart {
            server.restart().await.expect("restart");
        }
        let after = told(weir, false).await;
        let left: Vec<_> = after.difference(&before).collect();
        assert!(left.is_empty(), "{:?}: not mended: {left:#?}", wrong.told);
    }
}

/// What `check` says with this phrase; nothing where it does not say it.
pub async fn said(weir: &Weir, phrase: &str) -> Option<Told> {
    let found = findings(&weir.run(&["check", "--json"]).await);
    found.into_iter().find(|one| one.text.contains(phrase))
}

/// What is done to the source has `check` say this, and what mends it has it say so no more.
pub async fn named_and_mended(server: &Running, weir: &Weir, done: &[&str], phrase: &str) {
    each(server, done).await;
    let found = findings(&weir.run(&["check", "--json"]).await);
    let named = found.iter().find(|one| one.text.contains(phrase));
    let named = named.unwrap_or_else(|| panic!("{phrase}: not among {found:#?}"));
    assert!(!named.mend.is_empty(), "no statement: {named:?}");
    each(server, &named.mend).await;
    let after = findings(&weir.run(&["check", "--json"]).await);
    assert!(!after.iter().any(|one| one.text.contains(phrase)), "not mended: {after:#?}");
}

/// Takes away each right that `setup` printed, has it named, and gives it back as is said.
async fn each_right_is_needed(pair: &Pair, weir: &Weir) {
    let printed = weir.run(&["setup"]).await.expect_code(0).stdout;
    for (server, user) in [(&pair.source, READER), (&pair.target, WRITER)] {
        let granted = rights::granted(&printed, user);
        assert!(granted.len() >= 2, "{printed}");
        for Taken { right, take, give } in granted {
            each(server, [&take]).await;
            let found = told(weir, true).await;
            let names = |text: &String| text.contains(&right);
            let named = found.iter().find(|one| names(&one.text) || one.mend.iter().any(names));
            let named = named.unwrap_or_else(|| panic!("{take}: not among {found:#?}"));
            assert!(!named.mend.is_empty(), "{take}: no statement: {named:?}");
            // One statement grants on both of weir's tables, and each is named.
            let errors = found.iter().filter(|one| one.severity == "error");
            each(server, errors.flat_map(|one| &one.mend)).await;
            let after = weir.run(&["check"]).await;
            assert_eq!(after.code, 0, "{give}\n{}", after.stdout);
        }
    }
}

/// Carries a row with nothing but these rights.
async fn carries(pair: &Pair, weir: &Weir) {
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let change = "INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET a = 'c' WHERE id = 1; \
                  DELETE FROM t WHERE id = 2";
    execute_in(&pair.source, "s", change).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let rows = query_in(&pair.target, "s", "SELECT id, a FROM {space}.t").await;
    assert_eq!(rows, ["1\tc"]);
}

async fn ready(source: Server, target: Server) -> Option<(Pair, Weir)> {
    let pair = Pair::of(start(source).await?, start(target).await?).await;
    pair.create_space("s").await;
    execute_in(&pair.source, "s", TABLE).await;
    execute_in(&pair.target, "s", TABLE).await;
    let weir = Weir::new(&pair, "settings", "s", "\n[apply]\nstart = \"now\"\n");
    if source.is_postgres() {
        let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
        let text = text.replacen("\npassword", "\nheartbeat = \"60s\"\npassword", 1);
        std::fs::write(weir.config(), text).expect("weir.toml");
    }
    weir.grant().await;
    Some((pair, weir))
}

/// Broken if a setting that a PostgreSQL source or a MySQL target has wrong were found at night, or
/// the statement that `check` gives did not mend it.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn postgres18_to_mysql() {
    let Some((mut pair, weir)) = ready(Server::Postgres18, Server::MySql97).await else { return };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, POSTGRES_SOURCE).await;
    one_by_one(&mut pair, &weir, false, MYSQL_TARGET).await;
    one_by_one(&mut pair, &weir, false, ONLY_MYSQL_TARGET).await;
    carries(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, POSTGRES_BEGUN).await;
    a_lost_slot(&pair, &weir).await;
}

/// What `check` says of a slot whose log is gone, and that its hint is a way out.
async fn a_lost_slot(pair: &Pair, weir: &Weir) {
    each(&pair.source, POSTGRES_BEGUN[0].done).await;
    each(&pair.source, ["CHECKPOINT"]).await;
    let lost = "slot weir_settings_left_right: it can no longer be read: wal_removed";
    let found = told(weir, true).await;
    let named = found.iter().find(|one| one.text == lost);
    let named = named.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(named.is_error() && named.hint.contains("`weir teardown left:right --apply`"));
    each(&pair.source, ["ALTER SYSTEM RESET max_slot_wal_keep_size", RELOAD]).await;
    weir.tear_down().await;
    weir.grant().await;
    told(weir, false).await;
}

/// As above, of a MariaDB source and a PostgreSQL target.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn mariadb_to_postgres18() {
    let Some((mut pair, weir)) = ready(Server::MariaDb1011, Server::Postgres18).await else {
        return;
    };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, true, ONLY_MARIADB_SOURCE).await;
    standbys_of_the_target(&pair, &weir).await;
    one_by_one(&mut pair, &weir, false, POSTGRES_TARGET).await;
    carries(&pair, &weir).await;
}

/// A target whose standby may lack commits, and a standby as the target.
async fn standbys_of_the_target(pair: &Pair, weir: &Weir) {
    let standby = sandbox::standby(&pair.target, Options::default()).await.expect("a standby");
    let may_lose = "its standbys are asynchronous";
    let found = told(weir, false).await;
    let named = found.iter().find(|one| one.text.contains(may_lose)).expect("a warning");
    assert!(named.hint.contains("synchronous_standby_names") && !named.is_error(), "{named:?}");
    each(&pair.target, ["ALTER SYSTEM SET synchronous_standby_names = '*'", RELOAD]).await;
    assert!(!told(weir, false).await.iter().any(|one| one.text.contains(may_lose)));
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let port = |server: &Running| format!("127.0.0.1:{}", server.port());
    let wrong = text.replace(&port(&pair.target), &port(&standby));
    std::fs::write(weir.config(), wrong).expect("weir.toml");
    let check = weir.run(&["check"]).await.expect_code(1);
    check.expect_phrase("the server is a standby: it takes no writes").expect_phrase("its primary");
    std::fs::write(weir.config(), text).expect("weir.toml");
    each(&pair.target, ["ALTER SYSTEM RESET synchronous_standby_names", RELOAD]).await;
    drop(standby);
    let gone = "SELECT count(*) FROM pg_stat_replication";
    until("the standby is gone", HANG, async || query_in(&pair.target, "s", gone).await == ["0"])
        .await;
}

/// As above, of a MySQL source and a MariaDB target.
#[tokio::test]
async fn mysql_to_mariadb() {
    let Some((mut pair, weir)) = ready(Server::MySql97, Server::MariaDb1011).await else { return };
    each_right_is_needed(&pair, &weir).await;
    one_by_one(&mut pair, &weir, true, MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, true, ONLY_MYSQL_SOURCE).await;
    one_by_one(&mut pair, &weir, false, MYSQL_TARGET).await;
    one_by_one(&mut pair, &weir, false, ONLY_MARIADB_TARGET).await;
    carries(&pair, &weir).await;
}

/// Broken if a database that cannot hold all text, or may hold what is none, passed without a word.
#[tokio::test]
async fn encodings_are_told() {
    let Some(source) = start(Server::Postgres15).await else { return };
    let Some(target) = start(Server::Postgres18).await else { return };
    let pair = Pair::of(source, target).await;
    let weir = Weir::new(&pair, "settings", "s", "\n[apply]\nstart = \"now\"\n");
    let mut text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    for (server, encoding) in [(&pair.source, "SQL_ASCII"), (&pair.target, "LATIN1")] {
        let name = encoding.to_lowercase();
        let create =
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        server.execute(&create).await.expect("a database");
        let mut config = server.pg_config();
        let (client, connection) = config.dbname(&name).connect(NoTls).await.expect("connect");
        let driver = tokio::spawn(connection);
        let table = format!("CREATE SCHEMA s; SET search_path TO s; {TABLE}");
        client.batch_execute(&table).await.expect("a table");
        drop(client);
        driver.await.expect("driver").expect("goodbye");
        let place = format!("127.0.0.1:{}/", server.port());
        text = text.replace(&format!("{place}app"), &format!("{place}{name}"));
    }
    std::fs::write(weir.config(), text).expect("weir.toml");
    weir.grant().await;
    let found = told(&weir, false).await;
    for (phrase, hint) in [
        ("database left: the database has encoding SQL_ASCII", "UTF-8"),
        ("database right: the database has encoding LATIN1", "encoding UTF8"),
    ] {
        let named = found.iter().find(|one| one.text.contains(phrase)).expect(phrase);
        assert!(!named.is_error() && named.hint.contains(hint), "{named:?}");
    }
}

/// A session that keeps table `s.t` from everybody.
async fn locks(server: &Running) -> Box<dyn Any> {
    if server.kind().is_postgres() {
        let client = server.connect_pg().await.expect("a session");
        let lock = "BEGIN; LOCK TABLE s.t IN ACCESS EXCLUSIVE MODE";
        client.batch_execute(lock).await.expect("a lock");
        return Box::new(client);
    }
    let mut conn = server.connect_mysql().await.expect("a session");
    conn.query_drop("LOCK TABLES s.t WRITE").await.expect("a lock");
    Box::new(conn)
}

/// Broken if `check` hung, or queued up before the application, where somebody holds a table for long; or
/// if it kept the reason to itself.
#[tokio::test]
async fn a_locked_table_does_not_hang_check() {
    for (source, target) in
        [(Server::MySql97, Server::Postgres18), (Server::Postgres15, Server::MariaDb1011)]
    {
        let Some((pair, weir)) = ready(source, target).await else { return };
        for server in [&pair.source, &pair.target] {
            let held = locks(server).await;
            let started = Instant::now();
            let found = findings(&weir.run(&["check", "--json"]).await);
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", server.kind());
            let errors: Vec<_> = found.iter().filter(|one| one.is_error()).collect();
            // Whether a role may write is asked of PostgreSQL's catalog, and nothing of the table.
            let is_asked = !std::ptr::eq(server, &pair.target) || !target.is_postgres();
            assert_eq!(!errors.is_empty(), is_asked, "{errors:#?}");
            let says = |one: &&Told| {
                let text = one.text.to_lowercase();
                text.contains("lock") && text.contains("time") && text.contains("s.t")
            };
            assert!(errors.iter().all(says), "{errors:#?}");
            drop(held);
            until("it is let go", HANG, async || weir.run(&["check"]).await.code == 0).await;
        }
    }
}
