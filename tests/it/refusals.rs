//! What weir refuses: one clear message each, with what to do, no stack trace, nothing changed
//! anywhere. `check` says it before, `run` says it again.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use weir::sandbox::{Options, Running, Server};

use crate::harness::{Pair, Weir, execute_in, url_for};
use crate::rights::READER;

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";

/// `check` must fail with this phrase and `run` must not work, and say the same.
async fn refuses(weir: &Weir, phrase: &str) {
    weir.run(&["check"]).await.expect_code(1).expect_phrase(phrase).expect_phrase("hint:");
    let run = weir.run(&["run", "--until-caught-up"]).await;
    assert!([1, 4].contains(&run.code), "run: {}\n{}", run.code, run.stderr);
    run.expect_phrase(phrase);
}

/// A pair with table `t` on both sides in `space`, and weir between them, which may look and no more.
async fn ready(pair: &Pair, space: &str, source: &str, target: &str) -> Weir {
    pair.create_space(space).await;
    execute_in(&pair.source, space, source).await;
    execute_in(&pair.target, space, target).await;
    let weir = Weir::new(pair, space, space, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    weir
}

/// Objects that weir makes at a PostgreSQL server.
async fn traces(server: &Running) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT slot_name::text FROM pg_replication_slots UNION ALL \
               SELECT pubname FROM pg_publication UNION ALL \
               SELECT nspname FROM pg_namespace WHERE nspname = 'weir'";
    server.query(sql).await.expect("traces")
}

/// Broken if a source or target that is not prepared were met with silence, a stack trace, or a
/// change to a database.
#[tokio::test]
async fn mysql_to_postgres() {
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::Postgres15).await else { return };
    let weir = ready(&pair, "bare", TABLE, TABLE).await;
    refuses(&weir, "weir.witness").await;
    assert!(traces(&pair.target).await.is_empty(), "something was made");

    let keyless = ready(&pair, "keyless", "CREATE TABLE t (id INT, a INT)", TABLE).await;
    refuses(&keyless, "key").await;
    let missing = ready(&pair, "missing", TABLE, "SELECT 1").await;
    refuses(&missing, "weir ddl").await;
    let typed = ready(&pair, "typed", "CREATE TABLE t (id INT PRIMARY KEY, a POINT)", TABLE).await;
    refuses(&typed, "point").await;
    let typo = "CREATE TABLE t (id INT PRIMARY KEY, aa VARCHAR(10))";
    let typo = ready(&pair, "typo", TABLE, typo).await;
    refuses(&typo, "column a").await;

    let coarse = "CREATE COLLATION coarse (provider = icu, locale = 'und-u-ks-level2', \
                  deterministic = false); \
                  CREATE TABLE t (id VARCHAR(10) COLLATE coarse PRIMARY KEY, a VARCHAR(10))";
    let exact = "CREATE TABLE t (id VARCHAR(10) COLLATE utf8mb4_nopad_bin PRIMARY KEY, \
                 a VARCHAR(10))";
    let coarse = ready(&pair, "coarse", exact, coarse).await;
    refuses(&coarse, "nondeterministic collation").await;
    let key = "CONSTRAINT up FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE";
    let parent = "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, a INT";
    let (with, without) = (format!("{parent}, {key})"), format!("{parent})"));
    let unlogged = ready(&pair, "unlogged", &with, &without).await;
    refuses(&unlogged, "foreign key up to unlogged.p changes rows of unlogged.t").await;
    execute_in(&pair.target, "unlogged", &format!("ALTER TABLE t ADD {key}")).await;
    unlogged.run(&["explain"]).await.expect_code(0);

    for (setting, bad, good) in
        [("binlog_row_metadata", "MINIMAL", "FULL"), ("binlog_format", "STATEMENT", "ROW")]
    {
        pair.source.execute(&format!("SET GLOBAL {setting} = '{bad}'")).await.expect("set");
        refuses(&weir, setting).await;
        pair.source.execute(&format!("SET GLOBAL {setting} = '{good}'")).await.expect("set");
    }
    let wrong = Weir::new(&pair, "wrong", "bare", "\n[apply]\nstart = \"now\"\n");
    let wrong = wrong.with_password("LEFT_PASSWORD", "not the password");
    refuses(&wrong, "password").await;
    assert!(traces(&pair.target).await.is_empty(), "something was made");
    weir.grant().await;
    weir.run(&["check"]).await.expect_code(0);
    several_links(&pair).await;
}

/// Two links into one table would overwrite each other's rows, and a ring would carry each row round
/// for ever; names alone show neither where the schemas differ.
async fn several_links(pair: &Pair) {
    for space in ["first", "second"] {
        pair.create_space(space).await;
        execute_in(&pair.source, space, TABLE).await;
        execute_in(&pair.target, space, TABLE).await;
    }
    let url = url_for(READER, &pair.source.url());
    let (server, _) = url.rsplit_once('/').expect("a database");
    let rule = |from: &str, to: &str, table: &str, into: &str| {
        format!(
            "[[replicate]]\nfrom = \"{from}\"\nto = \"{to}\"\ntables = [\"{table}\"]\n\
             into = \"{into}\"\n\n"
        )
    };
    let with = |name: &str, rules: [String; 2]| {
        let third = format!(
            "[database.third]\nurl = \"{server}/second\"\npassword = {{ env = \"LEFT_PASSWORD\" }}\n\n"
        );
        let start = "[apply]\nstart = \"now\"\n".to_owned();
        Weir::with_tables(pair, name, &[third, rules.concat(), start].concat())
    };
    let there = || rule("left", "right", "first.t", "first");
    let twice = with("twice", [there(), rule("third", "right", "second.t", "first")]);
    twice.grant().await;
    refuses(&twice, "table first.t is also written by the link").await;
    let beside = with("beside", [there(), rule("third", "right", "second.t", "second")]);
    beside.grant().await;
    beside.run(&["check"]).await.expect_code(0);
    beside.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let onward = rule("right", "third", "first.t", "second");
    let ring = with("ring", [there() + &onward, rule("third", "left", "second.t", "first")]);
    let told = "its rows would come back to it, on right:third, then third:left";
    ring.run(&["check"]).await.expect_code(1).expect_phrase(told);
}

/// As above, from PostgreSQL.
#[tokio::test]
async fn postgres_to_mysql() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MySql97).await else { return };
    let weir = ready(&pair, "bare", TABLE, TABLE).await;
    refuses(&weir, "weir.witness").await;
    assert!(traces(&pair.source).await.is_empty(), "something was made");

    let engine = format!("{TABLE} ENGINE=MyISAM");
    let engine = ready(&pair, "engine", TABLE, &engine).await;
    refuses(&engine, "not transactional").await;
    let outside = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10) NOT NULL UNIQUE)";
    pair.create_space("outside").await;
    execute_in(&pair.source, "outside", outside).await;
    execute_in(&pair.target, "outside", outside).await;
    let outside = Weir::with_tables(
        &pair,
        "outside",
        "[table.t]\nin.left = \"outside.t\"\nin.right = \"outside.t\"\nowner = \"left\"\nkey = [\"a\"]\n\n\
         [apply]\nstart = \"now\"\n",
    );
    outside.let_look().await;
    refuses(&outside, "before image").await;
    let nothing = ready(&pair, "nothing", TABLE, TABLE).await;
    execute_in(&pair.source, "nothing", "ALTER TABLE t REPLICA IDENTITY NOTHING").await;
    refuses(&nothing, "REPLICA IDENTITY").await;
    let poor = "CREATE ROLE poor LOGIN PASSWORD 'poor'; GRANT CONNECT ON DATABASE app TO poor";
    pair.source.execute(poor).await.expect("role");
    let poor = Weir::new(&pair, "poor", "bare", "\n[apply]\nstart = \"now\"\n");
    let poor = poor.with_user("left", "poor").with_password("LEFT_PASSWORD", "poor");
    refuses(&poor, "REPLICATION").await;
    let wrong = Weir::new(&pair, "wrong", "bare", "\n[apply]\nstart = \"now\"\n");
    let wrong = wrong.with_password("RIGHT_PASSWORD", "not the password");
    refuses(&wrong, "password").await;
    assert!(traces(&pair.source).await.is_empty(), "something was made");
}

/// Broken if a server of the other dialect behind a URL were accepted, or refused without saying
/// which word to change; or if weir went to another machine in plain text unasked, or unwarned.
#[tokio::test]
async fn other_servers_and_other_machines() {
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::Postgres15).await else { return };
    let weir = ready(&pair, "other", TABLE, TABLE).await;
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    for (from, to, phrase) in [
        ("mariadb://", "mysql://", "write mariadb://"),
        ("mariadb://", "postgres://", "write mysql:// or mariadb://"),
        ("postgres://", "mysql://", "right"),
    ] {
        std::fs::write(weir.config(), text.replacen(from, to, 1)).expect("weir.toml");
        let check = weir.run(&["check"]).await;
        assert!([1, 2].contains(&check.code), "{to}: {}\n{}", check.code, check.stderr);
        check.expect_phrase(phrase).expect_phrase("hint:");
    }
    let (before, after) = text.split_once("@127.0.0.1").expect("a loopback address");
    let away = format!("{before}@192.0.2.1{after}");
    let off = away.replacen("password =", "tls = \"off\"\npassword =", 1);
    for (text, warned) in [(away, false), (off, true)] {
        std::fs::write(weir.config(), text).expect("weir.toml");
        let check = weir.run(&["check"]).await.expect_code(1);
        let phrase = "cross the network in plain text";
        assert_eq!(check.stdout.contains(phrase), warned, "{}", check.stdout);
    }
    assert!(traces(&pair.target).await.is_empty(), "something was made");
}

/// Stands before a PostgreSQL server as PgBouncer does: what asks for the log is refused, in its words, and
/// all else is let through. Returns its port.
async fn pooler(server_port: u16) -> u16 {
    let refusal = b"SFATAL\0C08P01\0Munsupported startup parameter: replication\0\0";
    let length = u32::try_from(refusal.len() + 4).expect("short").to_be_bytes();
    let refusal = [&b"E"[..], &length, refusal].concat();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let refusal = refusal.clone();
            tokio::spawn(async move {
                let mut first = [0; 1024];
                let count = client.read(&mut first).await.unwrap_or(0);
                // A client that goes away is no concern here.
                if first[..count].windows(12).any(|bytes| bytes == b"replication\0") {
                    let _gone = client.write_all(&refusal).await;
                    return;
                }
                let server = TcpStream::connect(("127.0.0.1", server_port)).await;
                let mut server = server.expect("the server");
                server.write_all(&first[..count]).await.expect("the server");
                let _gone = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

/// Broken if a source that lets weir look and does not let it read the log were found out at night only,
/// or by words that are not about what stands between.
#[tokio::test]
async fn a_pooler_before_the_source() {
    let Some(pair) = Pair::start(Server::Postgres18, Server::MariaDb1011).await else { return };
    let weir = ready(&pair, "pooled", TABLE, TABLE).await;
    weir.grant().await;
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let port = pooler(pair.source.port()).await;
    let (direct, pooled) = (format!(":{}/", pair.source.port()), format!(":{port}/"));
    std::fs::write(weir.config(), text.replace(&direct, &pooled)).expect("weir.toml");
    refuses(&weir, "unsupported startup parameter: replication").await;
    let check = weir.run(&["check"]).await.expect_code(1).expect_phrase("database left: ");
    check.expect_phrase("PgBouncer answers in the server's name").expect_phrase("1 error");
    std::fs::write(weir.config(), text).expect("weir.toml");
    weir.run(&["check"]).await.expect_code(0);
}

/// Broken if a server without logical decoding were met with silence.
#[tokio::test]
async fn wal_level_replica() {
    let options = Options::default().set("wal_level", "replica");
    let Some(source) = weir::sandbox::require(Server::Postgres15, options).await.expect("source")
    else {
        return;
    };
    let target = weir::sandbox::require(Server::MariaDb1011, Options::default()).await;
    let Some(target) = target.expect("target") else { return };
    let pair = Pair::of(source, target).await;
    let weir = ready(&pair, "bare", TABLE, TABLE).await;
    refuses(&weir, "wal_level").await;
}

/// Broken if a new link skipped rows that are there already without anybody having said so.
#[tokio::test]
async fn rows_before_the_start() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    pair.create_space("filled").await;
    let filled = format!("{TABLE}; INSERT INTO t VALUES (1, 'a')");
    let other = "CREATE TABLE v (id int PRIMARY KEY)";
    execute_in(&pair.source, "filled", &format!("{filled}; {other}; INSERT INTO v VALUES (1)"))
        .await;
    let held = "INSERT INTO t VALUES (2, 'b')";
    execute_in(&pair.target, "filled", &format!("{TABLE}; {held}; {other}")).await;
    let mut weir = Weir::new(&pair, "filled", "filled", "");
    weir.grant().await;
    weir.run(&["check"])
        .await
        .expect_code(2)
        .expect_phrase("hold rows on both sides; at right: filled.t");
    let run = weir.run(&["run", "--until-caught-up"]).await;
    run.expect_code(2).expect_phrase("filled.t").expect_phrase("start = \"now\"");
    // Said, but nobody has copied them; a link that has begun is not asked again.
    weir.append("\n[apply]\nstart = \"now\"\n");
    let told = "their target tables hold none: filled.v";
    weir.run(&["check"]).await.expect_code(0).expect_phrase(told);
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let check = weir.run(&["check"]).await.expect_code(0);
    assert!(!check.stdout.contains(told), "{}", check.stdout);
}

/// Broken if a table that cannot be copied, or a place that the log does not hold, were found only once the
/// link starts.
#[tokio::test]
async fn copies_that_cannot_be() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    pair.create_space("tied").await;
    let tied = "CREATE TABLE t (id int PRIMARY KEY, up int NOT NULL); \
                ALTER TABLE t ADD CONSTRAINT own FOREIGN KEY (up) REFERENCES t (id)";
    execute_in(&pair.source, "tied", tied).await;
    execute_in(&pair.target, "tied", tied).await;
    let mut weir = Weir::new(&pair, "tied", "tied", "");
    weir.grant().await;
    let check = weir.run(&["check"]).await.expect_code(0);
    assert!(!check.stdout.contains("cannot be copied"), "it holds nothing: {}", check.stdout);
    execute_in(&pair.source, "tied", "INSERT INTO t VALUES (1, 1)").await;
    let check = weir.run(&["check"]).await.expect_code(2);
    check.expect_phrase(
        "table tied.t: it cannot be copied: foreign key own of the target refers to",
    );
    let run = weir.run(&["run", "--until-caught-up"]).await.expect_code(2);
    run.expect_phrase("foreign key own of the target").expect_phrase("start = \"now\"");
    weir.append("\n[link.left.right]\nstart = { lsn = \"0/16B3748\" }\n");
    let check = weir.run(&["check"]).await;
    assert_ne!(check.code, 0, "{}", check.stdout);
    let check = check.expect_phrase("start says lsn 0/16B3748, and there is no slot");
    assert!(!check.stdout.contains("cannot be copied"), "nothing is copied: {}", check.stdout);
}

/// Broken if configuration problems came one at a time, without file and line, or echoed secrets.
#[tokio::test]
async fn bad_configuration() {
    let dir = tempfile::tempdir().expect("temp dir");
    let text = "name = \"x\"\n[database.a]\nurl = \"postgres://u:hunter2@127.0.0.1/db\"\n\
                [database.b]\nurl = \"mysql://u@127.0.0.1/db\"\nbogus = 1\n\
                [alerts]\n[[replicate]]\nfrom = \"a\"\nto = \"nowhere\"\ntables = [\"*.*\"]\n";
    std::fs::write(dir.path().join("weir.toml"), text).expect("weir.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["check", "--config"])
        .arg(dir.path().join("weir.toml"))
        .output()
        .expect("weir starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for phrase in ["weir.toml:3", "weir.toml:6", "bogus", "alerts", "nowhere"] {
        assert!(said.contains(phrase), "no {phrase:?} in\n{said}");
    }
    assert!(!said.contains("hunter2"), "a secret is echoed:\n{said}");
}

/// Broken if a user without any right were told to run `weir setup`, and `weir setup` told him the
/// same; or if what it prints for one database were not enough, or not SQL as it stands.
#[tokio::test]
async fn from_no_rights_to_a_running_link() {
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres15).await else { return };
    pair.create_space("first").await;
    execute_in(&pair.source, "first", TABLE).await;
    execute_in(&pair.target, "first", TABLE).await;
    let weir = Weir::new(&pair, "first", "first", "\n[apply]\nstart = \"now\"\n");
    let check = weir.run(&["check"]).await.expect_code(1);
    check.expect_phrase("GRANT REFERENCES ON `first`.*").expect_phrase("GRANT CONNECT ON DATABASE");
    for (code, phrase) in [(1, "again"), (0, "GRANT SELECT")] {
        let mut said = String::new();
        for (name, server) in [("left", &pair.source), ("right", &pair.target)] {
            let printed = weir.run(&["setup", "--on", name]).await;
            said += &format!("{}{}", printed.stdout, printed.stderr);
            assert_eq!(printed.code, code, "{said}");
            server.execute(&printed.stdout).await.expect("grants");
        }
        assert!(said.contains(phrase), "{said}");
    }
    weir.run(&["setup", "--on", "nowhere"]).await.expect_code(2).expect_phrase("left, right");
    weir.run(&["check"]).await.expect_code(0);
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    execute_in(&pair.source, "first", "INSERT INTO t VALUES (1, 'a')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let rows = pair.target.query("SELECT id::text, a FROM first.t").await.expect("rows");
    assert_eq!(rows, [vec![Some("1".to_owned()), Some("a".to_owned())]]);
}
