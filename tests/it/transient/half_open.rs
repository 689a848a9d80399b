//! Connections that stay open and lead nowhere: something between weir and a server, a firewall perhaps,
//! carries no more bytes in one direction or in both, and closes nothing; new connections are like that
//! too. weir must notice within a stated time, and go on once it is over.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weir::sandbox::Server;

use crate::harness::{HANG, Pair, Weir, execute_in, until};
use crate::metrics::{free_port, http_get};

/// README: a server that is gone without a word is given up within a minute, beside which there is the
/// time that a busy machine takes.
const NOTICED_MAX: Duration = Duration::from_secs(75);

/// What a passage carries.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Carried {
    /// Bytes of weir.
    up: bool,
    /// Bytes of the server.
    down: bool,
    /// Connections of an earlier number are at their end.
    number: u32,
}

/// The passage before a server.
struct Passage {
    port: u16,
    carried: watch::Sender<Carried>,
}

impl Passage {
    async fn before(server_port: u16) -> Passage {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let (carried, seen) = watch::channel(Carried { up: true, down: true, number: 0 });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await {
                        carry(client, server, seen).await;
                    }
                });
            }
        });
        Passage { port, carried }
    }

    fn lets(&self, up: bool, down: bool) {
        self.carried.send_modify(|carried| (carried.up, carried.down) = (up, down));
    }

    /// All is carried again, by new connections.
    fn heal(&self) {
        self.carried.send_modify(|carried| {
            *carried = Carried { up: true, down: true, number: carried.number + 1 };
        });
    }
}

/// Carries bytes both ways, as far as they are carried; what is not, is lost, an end too.
async fn carry(client: TcpStream, server: TcpStream, mut seen: watch::Receiver<Carried>) {
    client.set_nodelay(true).expect("no delay");
    server.set_nodelay(true).expect("no delay");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = ([0_u8; 4096], [0_u8; 4096]);
    let number = seen.borrow().number;
    let mut ended = (false, false);
    loop {
        let carried = *seen.borrow_and_update();
        let over = (ended.0 && carried.up) || (ended.1 && carried.down);
        if carried.number != number || over {
            return;
        }
        tokio::select! {
            changed = seen.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            read = from_client.read(&mut up), if !ended.0 => {
                let count = read.unwrap_or(0);
                ended.0 = count == 0;
                let now = *seen.borrow();
                if now.up && to_server.write_all(&up[..count]).await.is_err() {
                    ended.1 = true;
                }
            }
            read = from_server.read(&mut down), if !ended.1 => {
                let count = read.unwrap_or(0);
                ended.1 = count == 0;
                let now = *seen.borrow();
                if now.down && to_client.write_all(&down[..count]).await.is_err() {
                    ended.0 = true;
                }
            }
        }
    }
}

/// A link of a pair, ready to run.
struct Link<'a> {
    pair: &'a Pair,
    space: &'static str,
    weir: Weir,
    port: u16,
}

impl<'a> Link<'a> {
    async fn of(pair: &'a Pair, space: &'static str) -> Link<'a> {
        pair.create_space(space).await;
        for server in [&pair.source, &pair.target] {
            let table = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";
            execute_in(server, space, table).await;
        }
        let port = free_port();
        let settings = format!(
            "\n[apply]\nstart = \"now\"\nretry_max = \"500ms\"\n\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\n"
        );
        let weir = Weir::new(pair, space, space, &settings);
        weir.set_up().await;
        Link { pair, space, weir, port }
    }
}

/// A link with a passage before one of its servers that ceases to carry.
async fn leads_nowhere(link: Link<'_>, at_target: bool, up: bool, down: bool) {
    let Link { pair, space, weir, port } = link;
    let server = if at_target { &pair.target } else { &pair.source };
    let passage = Passage::before(server.port()).await;
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let text = text.replace(&format!(":{}/", server.port()), &format!(":{}/", passage.port));
    std::fs::write(weir.config(), text).expect("weir.toml");
    let mut child = weir.spawn(&["run"]);
    pair.carries(space, 1).await;
    passage.lets(up, down);
    let began = Instant::now();
    execute_in(&pair.source, space, "INSERT INTO t VALUES (2, 'a')").await;
    let mut told = String::new();
    until("it is noticed", NOTICED_MAX, async || {
        told = http_get(port, "/readyz").await;
        told.contains("left:right retrying since ")
    })
    .await;
    let noticed = began.elapsed();
    let kind = [": timeout: ", ": connection: "].iter().find(|kind| told.contains(**kind));
    eprintln!("{space}: {kind:?} after {noticed:.1?}: {}", told.lines().last().unwrap_or_default());
    assert!(kind.is_some(), "{told}");
    assert!(noticed > Duration::from_secs(10), "something else ended it: {told}");
    passage.heal();
    pair.carries(space, 3).await;
    let all = format!("SELECT count(*) FROM {space}.t");
    until("all is there", HANG, async || {
        pair.target.query(&all).await.expect("rows") == [[Some("3".to_owned())]]
    })
    .await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    child.kill().await.expect("killed");
    let log = weir.log();
    assert!(!log.contains("panicked") && !log.contains("has halted"), "{log}");
}

/// Broken if a connection that leads nowhere held a link up for longer than README says, the stream or
/// what is applied, or if anything were lost or needed a person then.
#[tokio::test]
async fn connections_that_lead_nowhere_are_given_up() {
    let first = Pair::start(Server::Postgres18, Server::MySql97).await;
    let second = Pair::start(Server::MariaDb1011, Server::Postgres15).await;
    let (Some(first), Some(second)) = (first, second) else { return };
    let first = [Link::of(&first, "at_source").await, Link::of(&first, "at_target").await];
    let second = [Link::of(&second, "at_source").await, Link::of(&second, "at_target").await];
    let ([first_source, first_target], [second_source, second_target]) = (first, second);
    tokio::join!(
        leads_nowhere(first_source, false, true, false),
        leads_nowhere(first_target, true, false, false),
        leads_nowhere(second_source, false, false, false),
        leads_nowhere(second_target, true, true, false),
    );
}
