//! Several hosts per database: which one is used, and what happens when it goes away.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in, until};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";

/// Another address of a server, until it is aborted.
pub async fn another_address(port: u16) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let own = listener.local_addr().expect("address").port();
    let task = tokio::spawn(async move {
        let mut pipes = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            pipes.spawn(async move {
                if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (own, task)
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    listener.local_addr().expect("address").port()
}

/// Broken if weir stayed with a host that is gone, or did not say which one it uses.
async fn goes_on_at_the_next(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space("s").await;
    execute_in(&pair.source, "s", TABLE).await;
    execute_in(&pair.target, "s", TABLE).await;
    let weir = Weir::new(&pair, "hosts", "s", "");
    let mut text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let mut pipes = Vec::new();
    for server in [&pair.source, &pair.target] {
        let (other, pipe) = another_address(server.port()).await;
        let one = format!("127.0.0.1:{}", server.port());
        text = text.replace(&one, &format!("127.0.0.1:{},127.0.0.1:{other},{one}", free_port()));
        pipes.push((other, pipe));
    }
    std::fs::write(weir.config(), text).expect("weir.toml");
    weir.set_up().await;
    let mut child = weir.spawn(&["run"]);
    let arrives = async |id| pair.carries("s", id).await;
    arrives(1).await;
    let at = format!("127.0.0.1:{} -> 127.0.0.1:{}", pipes[0].0, pipes[1].0);
    weir.run(&["status"]).await.expect_code(0).expect_phrase(&at);
    weir.run(&["plan"]).await.expect_code(0).expect_phrase("the files are what runs");
    for (_, pipe) in &pipes {
        pipe.abort();
    }
    arrives(2).await;
    let at = format!("127.0.0.1:{} -> 127.0.0.1:{}", pair.source.port(), pair.target.port());
    weir.run(&["status"]).await.expect_code(0).expect_phrase(&at);
    child.start_kill().expect("kill");
    child.wait().await.expect("end");
}

/// As [`goes_on_at_the_next`], of MySQL and PostgreSQL.
#[tokio::test]
async fn mysql_to_postgres() {
    goes_on_at_the_next(Server::MySql97, Server::Postgres18).await;
}

/// As [`goes_on_at_the_next`], of PostgreSQL and MariaDB.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn postgres_to_mariadb() {
    goes_on_at_the_next(Server::Postgres15, Server::MariaDb1011).await;
}

/// Broken if a target were written at a host that takes no writes while another does, or if weir
/// did not say that none does.
#[tokio::test]
async fn a_target_is_the_host_that_takes_writes() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::Postgres18).await else { return };
    pair.create_space("s").await;
    execute_in(&pair.source, "s", TABLE).await;
    execute_in(&pair.target, "s", TABLE).await;
    for server in [&pair.source, &pair.target] {
        let role = "CREATE ROLE applier LOGIN PASSWORD 'secret'; \
                    GRANT CONNECT ON DATABASE app TO applier";
        server.execute(role).await.expect("role");
    }
    let read_only = "ALTER ROLE applier SET default_transaction_read_only = on";
    pair.source.execute(read_only).await.expect("read-only");
    let weir = Weir::new(&pair, "hosts", "s", "");
    let weir = weir.with_user("right", "applier").with_password("RIGHT_PASSWORD", "secret");
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let (one, other) =
        (format!("localhost:{}", pair.source.port()), format!("127.0.0.1:{}", pair.target.port()));
    std::fs::write(weir.config(), text.replace(&other, &format!("{one},{other}"))).expect("write");
    weir.set_up().await;
    execute_in(&pair.source, "s", "INSERT INTO t VALUES (1, 'a')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert_eq!(query_in(&pair.target, "s", "SELECT count(*) FROM {space}.t").await, ["1"]);
    pair.target.execute(read_only).await.expect("read-only");
    let mut child = weir.spawn(&["run"]);
    until("weir says so", Duration::from_secs(30), async || {
        weir.log().contains("no host of database right can be used")
    })
    .await;
    child.start_kill().expect("kill");
    child.wait().await.expect("end");
}
