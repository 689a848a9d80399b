//! Columns whose values are kept out of records: neither letters, nor what people are shown, nor the log
//! tells them.

use weir::sandbox::Server;

use super::{SOON, SPACE, letters, prepare_with, until_alike};
use crate::crash::kill;
use crate::harness::{Pair, execute_in, query_in, until};

const SECRET: &str = "hunter2";

async fn kept_out(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let weir = prepare_with(&pair, "sensitive = [\"name\"]\n", "").await;
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, SPACE, "INSERT INTO account VALUES (1, 'x', 1), (2, 'x', 2)").await;
    until_alike(&pair).await;
    // Refused by a constraint, for its own length, and behind another.
    for change in [
        format!("UPDATE account SET n = 5111, name = '{SECRET}' WHERE id = 1"),
        format!("UPDATE account SET name = '{SECRET} and too long' WHERE id = 2"),
        format!("UPDATE account SET name = '{SECRET}', n = 5222 WHERE id = 2"),
    ] {
        execute_in(&pair.source, SPACE, &change).await;
    }
    let expected = ["update\tconstraint", "update\tvalue", "update\tbehind"];
    until("they are set aside", SOON, async || letters(&pair).await == expected).await;
    weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(1);

    let all = "SELECT error, hint, change_values FROM weir.dead_letter ORDER BY id";
    let stored = query_in(&pair.target, SPACE, all).await.join("\n");
    let show = weir.run(&["dead-letters", "show", "1"]).await.expect_code(0).stdout;
    let export = weir.run(&["dead-letters", "export"]).await.expect_code(0).stdout;
    for (what, text, number) in
        [("stored", &stored, "5222"), ("show", &show, "5111"), ("export", &export, "5222")]
    {
        assert!(text.contains(number) && text.contains("sha256"), "{what}: {text}");
        assert!(!text.contains(SECRET), "{what}: {text}");
    }
    let log = weir.log();
    for value in [SECRET, "5111", "5222"] {
        assert!(!log.contains(value), "{value} in\n{log}");
    }
    kill(&mut child).await;
}

/// Broken if the value of a column that is sensitive were in a letter, shown, exported or logged; if
/// other values were hidden; or if the log told any.
#[tokio::test]
async fn secrets_are_kept_out_on_postgres() {
    kept_out(Server::MySql97, Server::Postgres15).await;
}

/// The same from PostgreSQL to MariaDB.
#[tokio::test]
async fn secrets_are_kept_out_on_mariadb() {
    kept_out(Server::Postgres18, Server::MariaDb1011).await;
}
