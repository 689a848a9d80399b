//! What MySQL and MariaDB only warn of, or note: they have altered a value then, so it counts as refused.

use weir::sandbox::Server;

use super::{SOON, SPACE};
use crate::crash::kill;
use crate::harness::{Pair, Weir, execute_in, query_in, until};

/// Rows of each table, the middle one of which is bent.
const ROWS: u32 = 41;
/// That one.
const BENT: u32 = 21;
/// What the source has in it: more digits than the target has kept.
const FINE: &str = "1.2345";

/// Rows of a table from the first number on; `n` is the same in all but the bent one.
fn rows(table: &str, from: u32) -> String {
    let row = |id: u32| format!("({}, {})", from + id, if id == BENT { FINE } else { "1.5" });
    let rows: Vec<String> = (1..=ROWS).map(row).collect();
    format!("INSERT INTO {table} VALUES {}", rows.join(", "))
}

async fn count(pair: &Pair, condition: &str) -> String {
    let sql = format!("SELECT count(*) FROM {{space}}.{condition}");
    query_in(&pair.target, SPACE, &sql).await.join("")
}

/// How many of the target's rows of a table are as they should be, and how many are not.
async fn written(pair: &Pair, table: &str) -> [String; 2] {
    let good = count(pair, &format!("{table} WHERE n IN (1.5, 2.5)")).await;
    [good, count(pair, &format!("{table} WHERE n NOT IN (1.5, 2.5)")).await]
}

async fn letters(pair: &Pair) -> Vec<String> {
    let sql = "SELECT operation, kind, count(*) FROM weir.dead_letter GROUP BY operation, kind ORDER BY 1, 2";
    query_in(&pair.target, SPACE, sql).await
}

/// Makes the target's columns narrower than the link knows them. The servers round then, and note it.
async fn narrow(pair: &Pair) {
    for table in ["streamed", "copied"] {
        execute_in(&pair.target, SPACE, &format!("ALTER TABLE {table} MODIFY n DECIMAL(10,2)"))
            .await;
    }
}

async fn notes_refuse(target: Server) {
    let Some(pair) = Pair::start(Server::Postgres15, target).await else { return };
    pair.create_space(SPACE).await;
    for server in [&pair.source, &pair.target] {
        for table in ["streamed", "copied"] {
            let table = format!("CREATE TABLE {table} (id INT PRIMARY KEY, n DECIMAL(10,4))");
            execute_in(server, SPACE, &table).await;
        }
    }
    // A server that would rather not tell.
    execute_in(&pair.target, SPACE, "SET GLOBAL sql_notes = 0; SET GLOBAL max_error_count = 0")
        .await;
    let weir = Weir::parking(&pair, "letters", SPACE, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    execute_in(&pair.source, SPACE, &rows("copied", 0)).await;
    weir.set_up().await;
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, SPACE, "INSERT INTO streamed VALUES (1000, 1.5)").await;
    until("the link streams", SOON, async || count(&pair, "streamed").await == "1").await;
    narrow(&pair).await;

    let all_but_one = (ROWS - 1).to_string();
    // Inserts, whose bent one is among the others of one transaction.
    execute_in(&pair.source, SPACE, &rows("streamed", 0)).await;
    until("it is set aside", SOON, async || letters(&pair).await == ["insert\tvalue\t1"]).await;
    assert_eq!(written(&pair, "streamed").await, [ROWS.to_string(), "0".to_owned()]);
    // Updates of many rows, and of one.
    let update = format!(
        "UPDATE streamed SET n = CASE id WHEN 3 THEN {FINE} ELSE 2.5 END WHERE id < 20; \
                          UPDATE streamed SET n = {FINE} WHERE id = 30"
    );
    execute_in(&pair.source, SPACE, &update).await;
    let expected = ["insert\tvalue\t1", "update\tvalue\t2"];
    until("they are set aside", SOON, async || letters(&pair).await == expected).await;
    assert_eq!(written(&pair, "streamed").await, [ROWS.to_string(), "0".to_owned()]);
    assert_eq!(count(&pair, "streamed WHERE n = 2.5").await, "18");
    // Changes of keys, which go one by one.
    let rekey = format!(
        "UPDATE streamed SET id = id + 500, n = CASE id WHEN 32 THEN {FINE} ELSE 2.5 END \
                         WHERE id BETWEEN 31 AND 35"
    );
    execute_in(&pair.source, SPACE, &rekey).await;
    let expected = ["insert\tvalue\t1", "rekey\tvalue\t1", "update\tvalue\t2"];
    until("it is set aside", SOON, async || letters(&pair).await == expected).await;
    assert_eq!(written(&pair, "streamed").await, [ROWS.to_string(), "0".to_owned()]);
    assert_eq!(count(&pair, "streamed WHERE id > 500 AND id < 1000").await, "4");
    // A copy.
    weir.run(&["snapshot", "left:right", &format!("{SPACE}.copied")]).await.expect_code(0);
    until("the others are copied", SOON, async || count(&pair, "copied").await == all_but_one)
        .await;
    assert_eq!(written(&pair, "copied").await, [all_but_one, "0".to_owned()]);
    until("it is set aside", SOON, async || {
        letters(&pair).await.join(" ").contains("read\tvalue\t1")
    })
    .await;
    let texts = query_in(&pair.target, SPACE, "SELECT error FROM weir.dead_letter").await;
    assert!(texts.iter().all(|text| text.contains("altered a value")), "{texts:?}");

    // As the columns should be, all comes back.
    for table in ["streamed", "copied"] {
        execute_in(&pair.target, SPACE, &format!("ALTER TABLE {table} MODIFY n DECIMAL(10,4)"))
            .await;
    }
    weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(0);
    until("no letter is left", SOON, async || letters(&pair).await.is_empty()).await;
    kill(&mut child).await;
    weir.run(&["verify"]).await.expect_code(0);
    halts_and_triggers(&pair).await;
}

/// A link that sets nothing aside halts for a note. Of what a trigger of the target bends the servers note
/// nothing: there the comparison tells it.
async fn halts_and_triggers(pair: &Pair) {
    const HALTS: &str = "halts";
    pair.create_space(HALTS).await;
    for server in [&pair.source, &pair.target] {
        let table = "CREATE TABLE noted (id INT PRIMARY KEY, n DECIMAL(10,4))";
        execute_in(server, HALTS, table).await;
    }
    let weir = Weir::new(pair, "halts", HALTS, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    weir.set_up().await;
    let rows =
        async || query_in(&pair.target, HALTS, "SELECT id, n FROM {space}.noted ORDER BY id").await;
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, HALTS, "INSERT INTO noted VALUES (1, 1.5)").await;
    until("the link streams", SOON, async || rows().await.len() == 1).await;
    let alter = async |n: &str| {
        execute_in(&pair.target, HALTS, &format!("ALTER TABLE noted MODIFY n {n}")).await
    };
    alter("DECIMAL(10,2)").await;
    execute_in(&pair.source, HALTS, &format!("INSERT INTO noted VALUES (2, {FINE})")).await;
    until("it halts", SOON, async || {
        let log = weir.log();
        log.contains("halted") && log.contains("altered a value")
    })
    .await;
    assert_eq!(rows().await, ["1\t1.50"]);
    kill(&mut child).await;
    alter("DECIMAL(10,4)").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert_eq!(rows().await, ["1\t1.5000", "2\t1.2345"]);

    let trigger =
        "CREATE TRIGGER bends BEFORE INSERT ON noted FOR EACH ROW SET NEW.n = ROUND(NEW.n, 1)";
    execute_in(&pair.target, HALTS, trigger).await;
    execute_in(&pair.source, HALTS, &format!("INSERT INTO noted VALUES (3, {FINE})")).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    weir.run(&["verify"]).await.expect_code(3).expect_phrase("differing [3]: n");
}

/// Broken if a value that the server rounded with nothing but a note were left in the table, by whatever
/// statement it came and whatever the server's settings of notes are, or if the rows beside it were kept back;
/// if a link that sets nothing aside went on, or if nothing told what a trigger of the target bends.
#[tokio::test]
async fn what_mysql_notes_is_set_aside() {
    notes_refuse(Server::MySql97).await;
}

/// See [`what_mysql_notes_is_set_aside`].
#[tokio::test]
async fn what_mariadb_notes_is_set_aside() {
    notes_refuse(Server::MariaDb1011).await;
}
