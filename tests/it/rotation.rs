//! Passwords that change while weir runs: at the server first, then where weir reads them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use weir::sandbox::{Running, Server};

use crate::harness::{Pair, Weir, execute_in, until};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";

/// A user with all rights, or its new password.
async fn identify(server: &Running, verb: &str, password: &str) {
    let rights = "GRANT ALL ON *.* TO rotating WITH GRANT OPTION";
    let sql = match (server.kind().is_postgres(), verb) {
        (true, "CREATE") => format!("CREATE ROLE rotating SUPERUSER LOGIN PASSWORD '{password}'"),
        (true, _) => format!("ALTER ROLE rotating PASSWORD '{password}'"),
        (false, "CREATE") => format!("CREATE USER rotating IDENTIFIED BY '{password}'; {rights}"),
        (false, _) => format!("ALTER USER rotating IDENTIFIED BY '{password}'"),
    };
    server.execute(&sql).await.expect("a user");
}

/// Ends every session of the user, that of the log too; how many there were.
async fn end_sessions(server: &Running) -> usize {
    let sql = if server.kind().is_postgres() {
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'"
    } else {
        "SELECT id FROM information_schema.processlist WHERE user = 'rotating'"
    };
    let rows = server.query(sql).await.expect("sessions");
    if !server.kind().is_postgres() {
        for id in rows.iter().flatten().flatten() {
            // It may have gone by itself.
            let _gone = server.execute(&format!("KILL {id}")).await;
        }
    }
    rows.len()
}

/// As an editor replaces it: emptied first, and for a moment open to all.
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
}

/// Broken if a link did not outlast a change of its passwords, hammered a server with the old one, or
/// left an operator without the reason why it waits.
async fn goes_on_with_the_new_password(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space("s").await;
    for server in [&pair.source, &pair.target] {
        execute_in(server, "s", TABLE).await;
        identify(server, "CREATE", "one").await;
    }
    let weir = Weir::new(&pair, "rotation", "s", "");
    let weir = weir.with_user("left", "rotating").with_user("right", "rotating");
    let (file, script) = (weir.dir.path().join("password"), weir.dir.path().join("helper"));
    put(&file, "one\n");
    put(&script, "echo one");
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let text = text
        .replace("{ env = \"LEFT_PASSWORD\" }", &format!("{{ file = \"{}\" }}", file.display()))
        .replace(
            "{ env = \"RIGHT_PASSWORD\" }",
            &format!("{{ command = [\"sh\", \"{}\"] }}", script.display()),
        );
    std::fs::write(weir.config(), text).expect("weir.toml");
    weir.set_up().await;
    let mut child = weir.spawn(&["run"]);
    let arrives = async |id| pair.carries("s", id).await;
    let says = async |phrase: &str| {
        let limit = Duration::from_secs(30);
        until(phrase, limit, async || weir.run(&["status"]).await.stdout.contains(phrase)).await;
    };
    arrives(1).await;

    for server in [&pair.source, &pair.target] {
        identify(server, "ALTER", "two").await;
    }
    // Without its stream weir may have left the target by itself.
    assert!(end_sessions(&pair.source).await >= 2, "the stream and its side reader");
    end_sessions(&pair.target).await;
    says("password_refused").await;
    says(&format!("the password is that of file `{}`", file.display())).await;
    let before = retries(&weir).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(retries(&weir).await <= before + 1, "hammers:\n{}", weir.log());
    put(&script, "echo 'the vault is sealed' >&2; exit 9");
    put(&file, "two\n");
    says("exit status: 9; it said: the vault is sealed").await;
    put(&script, "echo two");
    arrives(2).await;
    assert!(!weir.log().contains("has halted"), "{}", weir.log());
    child.start_kill().expect("kill");
    child.wait().await.expect("end");
}

async fn retries(weir: &Weir) -> u64 {
    let status = weir.run(&["status", "--json"]).await.expect_code(0).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).expect("json");
    status["links"][0]["retries"].as_u64().expect("a count")
}

/// As [`goes_on_with_the_new_password`], from PostgreSQL to MariaDB.
#[tokio::test]
async fn postgres_to_mariadb() {
    goes_on_with_the_new_password(Server::Postgres15, Server::MariaDb1011).await;
}

/// As [`goes_on_with_the_new_password`], from MySQL to PostgreSQL.
#[tokio::test]
async fn mysql_to_postgres() {
    goes_on_with_the_new_password(Server::MySql97, Server::Postgres18).await;
}
