//! Links that start at a place which a person gives, after rows that he loaded by himself.

use std::time::Duration;

use weir::sandbox::{Options, Server, require};

use crate::harness::{Pair, Weir, execute_in};
use crate::load::{insert_accounts, tables, until_equal};

const SPACE: &str = "given";

/// How the place is given.
#[derive(Clone, Copy)]
enum By {
    Gtid,
    Place,
}

/// What a dump that is made now says of its place, as the configuration has it.
async fn place(pair: &Pair, by: By) -> String {
    let maria = pair.source.kind() == Server::MariaDb1011;
    let sql = match (by, maria) {
        (By::Gtid, true) => "SELECT @@GLOBAL.gtid_binlog_pos",
        (By::Gtid, false) => "SELECT @@GLOBAL.gtid_executed",
        (By::Place, true) => "SHOW MASTER STATUS",
        (By::Place, false) => "SHOW BINARY LOG STATUS",
    };
    let row = pair.source.query(sql).await.expect("a place").remove(0);
    let field = |at: usize| row[at].clone().expect("a place");
    match by {
        By::Gtid => format!("{{ gtid = \"{}\" }}", field(0).replace('\n', "")),
        By::Place => format!("{{ file = \"{}\", pos = {} }}", field(0), field(1)),
    }
}

async fn starts(source: Server, options: Options, target: Server, by: By) {
    let source = require(source, options).await.expect("source");
    let target = require(target, Options::default()).await.expect("target");
    let (Some(source), Some(target)) = (source, target) else { return };
    let pair = Pair::of(source, target).await;
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, &tables(&pair.source)).await;
    let rows = insert_accounts(1, 1_000);
    execute_in(&pair.source, SPACE, &rows).await;
    let place = place(&pair, by).await;
    // What a dump of this moment would have loaded, and what is written after it.
    let weir = Weir::new(&pair, "given", SPACE, &format!("[link.left.right]\nstart = {place}\n"));
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    execute_in(&pair.target, SPACE, &rows).await;
    let more = insert_accounts(1_001, 100);
    let later = format!(
        "{more}; UPDATE account SET n = n + 1 WHERE id <= 50; DELETE FROM account WHERE id > 950; \
         INSERT INTO entry VALUES (1, 1, 'later')"
    );
    execute_in(&pair.source, SPACE, &later).await;
    weir.grant().await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let equal = until_equal(&pair, SPACE, Duration::from_secs(5)).await;
    assert!(equal > 900, "{equal} rows");
}

/// Broken if changes since a dump were lost, or a link could not start where it was made.
#[tokio::test]
async fn a_link_starts_where_a_dump_was_made_mysql() {
    starts(Server::MySql97, Options::default(), Server::Postgres18, By::Gtid).await;
    let options = Options::default().set("gtid_mode", "OFF").set("enforce_gtid_consistency", "OFF");
    starts(Server::MySql97, options, Server::MariaDb1011, By::Place).await;
}

/// As above.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn a_link_starts_where_a_dump_was_made_mariadb() {
    starts(Server::MariaDb1011, Options::default(), Server::MySql97, By::Gtid).await;
    starts(Server::MariaDb1011, Options::default(), Server::Postgres18, By::Place).await;
}
