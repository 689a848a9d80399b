//! Foreign keys that `weir ddl` makes: children without parents are set aside, those that come before
//! their parents are not, and what waits for a parent comes by itself once the parent is in.

use weir::sandbox::Server;

use super::{SOON, SPACE, letters};
use crate::crash::kill;
use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;

/// A family whose foreign key the target has, and the source has lost.
async fn prepare(pair: &Pair) -> Weir {
    pair.create_space(SPACE).await;
    let is_postgres = pair.source.kind().is_postgres();
    let family = "CREATE TABLE parent (id INT PRIMARY KEY, n INT NOT NULL);
        CREATE TABLE child (id INT PRIMARY KEY, parent INT NOT NULL,
            CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parent (id))";
    execute_in(&pair.source, SPACE, family).await;
    let weir = Weir::parking(pair, "family", SPACE, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    let ddl = weir.run(&["ddl", "--foreign-keys"]).await.expect_code(0).stdout;
    assert!(ddl.contains("FOREIGN KEY"), "{ddl}");
    assert_eq!(ddl.contains("DEFERRABLE INITIALLY DEFERRED"), !is_postgres, "{ddl}");
    execute_in(&pair.target, SPACE, &ddl).await;
    let small = "ALTER TABLE parent ADD CONSTRAINT n_small CHECK (n < 1000)";
    execute_in(&pair.target, SPACE, small).await;
    let drop = if is_postgres { "CONSTRAINT" } else { "FOREIGN KEY" };
    let drop = format!("ALTER TABLE child DROP {drop} of_parent");
    execute_in(&pair.source, SPACE, &drop).await;
    weir.set_up().await;
    weir
}

async fn until_alike(pair: &Pair) {
    until("both sides are equal", SOON, async || {
        let mut same = true;
        for table in ["parent", "child"] {
            let sql = format!("SELECT * FROM {{space}}.{table} ORDER BY id");
            let source = query_in(&pair.source, SPACE, &sql).await;
            same &= source == query_in(&pair.target, SPACE, &sql).await;
        }
        same
    })
    .await;
}

async fn until_letters(pair: &Pair, expected: &[&str]) {
    let mut last = Vec::new();
    until(&format!("{expected:?}"), SOON, async || {
        last = letters(pair).await;
        last == expected
    })
    .await;
}

async fn children_and_parents(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let weir = prepare(&pair).await;
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, SPACE, "INSERT INTO parent VALUES (1, 1)").await;
    // Before their parents, within one transaction.
    let mut session = Session::open(&pair.source, SPACE).await;
    let before = (100..200).map(|id| format!("INSERT INTO child VALUES ({id}, {id})"));
    let after = (100..200).map(|id| format!("INSERT INTO parent VALUES ({id}, 1)"));
    session.transaction(&before.chain(after).collect::<Vec<_>>()).await.expect("transaction");
    until_alike(&pair).await;
    assert!(letters(&pair).await.is_empty(), "its parent came with it");

    execute_in(&pair.source, SPACE, "INSERT INTO child VALUES (1, 99)").await;
    until_letters(&pair, &["insert\tforeign_key"]).await;
    // One among 2,000, of which the last hundred come before their parents.
    let parent = |id: u32| match id {
        2_700 => 98,
        3_900.. => id,
        _ => 1,
    };
    let children =
        (2_000..4_000).map(|id| format!("INSERT INTO child VALUES ({id}, {})", parent(id)));
    let parents = (3_900..4_000).map(|id| format!("INSERT INTO parent VALUES ({id}, 1)"));
    session.transaction(&children.chain(parents).collect::<Vec<_>>()).await.expect("transaction");
    until_letters(&pair, &["insert\tforeign_key"; 2]).await;
    let count = "SELECT count(*) FROM {space}.child WHERE id >= 2000";
    assert_eq!(query_in(&pair.target, SPACE, count).await, ["1999"]);

    // A parent that is refused, and children of it in the same transaction and later.
    let family = ["INSERT INTO parent VALUES (60, 5000)", "INSERT INTO child VALUES (60, 60)"];
    session.transaction(&family.map(str::to_owned)).await.expect("transaction");
    execute_in(&pair.source, SPACE, "INSERT INTO child VALUES (61, 60)").await;
    let family = ["insert\tconstraint", "insert\tforeign_key", "insert\tforeign_key"];
    until_letters(&pair, &[&["insert\tforeign_key"; 2][..], &family].concat()).await;
    execute_in(&pair.target, SPACE, "ALTER TABLE parent DROP CONSTRAINT n_small").await;
    let parents = ["dead-letters", "retry", "--table", "*.parent", "left:right"];
    weir.run(&parents).await.expect_code(0).expect_phrase("1 of 1 applied");
    until_letters(&pair, &["insert\tforeign_key"; 2]).await;
    // The others' parents come at last.
    execute_in(&pair.source, SPACE, "INSERT INTO parent VALUES (98, 1), (99, 1)").await;
    weir.run(&["dead-letters", "retry", "--kind", "foreign_key", "left:right"])
        .await
        .expect_code(0);
    until_alike(&pair).await;
    until_letters(&pair, &[]).await;
    kill(&mut child).await;
}

/// Broken if a child without a parent stopped others, also at the commit of a large transaction, if one
/// were set aside whose parent only came later in its transaction, or if children waited for a person
/// once their parent is in.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn children_wait_for_parents_on_postgres() {
    children_and_parents(Server::MySql97, Server::Postgres15).await;
}

/// The same where the target judges at once.
#[tokio::test]
async fn children_wait_for_parents_on_mysql() {
    children_and_parents(Server::Postgres18, Server::MySql97).await;
}
