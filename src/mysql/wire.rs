//! The replication connection: packets as the server sends them, and the few statements that come
//! before the dump.
//!
//! It is weir's own, because the library unpacks a compressed transaction whole, to whatever size
//! the server claims, before anybody can refuse it. Ordinary sessions stay the library's. Reading is
//! cancel-safe: what has come stays in the buffer. Memory is bounded by the largest packet.
//! Sources: MySQL "Client/Server Protocol", "MySQL Packets", "Text Resultset"; MariaDB "0-packet".

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mysql_async::ServerError;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::failure::classify;
use super::login;
use super::session::{self, CONNECT_TIMEOUT, Flavor, Role};
use super::transport::{self, Stream};
use crate::config::{Database, is_socket};
use crate::error::{Error, Kind, Result};

/// Largest packet, in bytes: the protocol's own limit on an event, and its head.
const PACKET_BYTES_MAX: usize = (1 << 30) + 64;
/// A part of a packet is at most so long; a longer packet goes on in the next part.
const PART_BYTES_MAX: usize = 0xFF_FFFF;
/// Bytes in front of each part: its length and its number.
const HEAD_BYTES: usize = 4;
/// Room made in the buffer at a time, in bytes.
const READ_BYTES: usize = 256 << 10;
/// Time between two TCP keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// A connection is dead after this many probes without an answer.
const KEEPALIVE_PROBES: u32 = 3;
/// Longest time for one of the small statements.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that will become a dump.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// What has come and was not taken.
    buffer: BytesMut,
    /// The parts so far of a packet that is longer than one.
    begun: BytesMut,
    /// Number of the next part.
    sequence: u8,
    /// Whether what is sent is hidden from others: TLS, or a unix socket.
    private: bool,
    flavor: Flavor,
    database: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Connects to `database`, logs in, and sets the session up as ordinary ones are.
///
/// # Errors
/// As [`session::connect`].
pub(crate) async fn connect(database: &Database, application_name: &str) -> Result<Connection> {
    let opening = open(database, application_name);
    let mut connection = match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
        Ok(connection) => connection?,
        Err(_) => return Err(session::no_login(database)),
    };
    for setting in session::settings(Role::Replica, connection.flavor) {
        connection.run("set a session up", &setting).await?;
    }
    Ok(connection)
}

async fn open(database: &Database, application_name: &str) -> Result<Connection> {
    let lost = |error: std::io::Error| {
        let context = format!("connect to database `{}`", database.name);
        Error::new(Kind::Connection, context).caused_by(error)
    };
    let host = database.host.trim_matches(['[', ']']);
    let socket = is_socket(&database.host);
    let stream: Box<dyn Stream> = if socket {
        Box::new(UnixStream::connect(host).await.map_err(lost)?)
    } else {
        let stream = TcpStream::connect((host, database.port)).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        probe(&stream).map_err(lost)?;
        Box::new(stream)
    };
    let mut connection = Connection {
        stream,
        buffer: BytesMut::new(),
        begun: BytesMut::new(),
        sequence: 0,
        private: socket,
        flavor: Flavor::Mysql,
        database: database.name.clone(),
    };
    connection.flavor = login::log_in(&mut connection, database, application_name).await?;
    Ok(connection)
}

/// A connection whose other end is gone without a word is dead after half a minute.
fn probe(stream: &TcpStream) -> std::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, session::KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

impl Connection {
    /// Which server this is.
    pub(crate) fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The database's name in the configuration, for messages.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Whether nobody between can read what is sent.
    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    /// Goes on in TLS from here.
    ///
    /// # Errors
    /// As the handshake says.
    pub(super) async fn encrypt(&mut self, database: &Database) -> Result<()> {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        // What came unencrypted after the server's greeting would be somebody else's.
        self.buffer.clear();
        self.stream = transport::encrypt(plain, database).await?;
        self.private = true;
        Ok(())
    }

    fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("replication connection to database `{}`: {what}", self.database))
    }

    /// Sends one packet as the next of its exchange.
    ///
    /// # Errors
    /// `Connection`; `Internal` for a packet that would need parts.
    pub(super) async fn send(&mut self, body: &[u8]) -> Result<()> {
        let Some(length) = u32::try_from(body.len()).ok().filter(|_| body.len() < PART_BYTES_MAX)
        else {
            return Err(self.error(Kind::Internal, "a request is too long"));
        };
        let mut packet = length.to_le_bytes();
        packet[3] = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let packet = [&packet[..], body].concat();
        let sent = self.stream.write_all(&packet).await;
        let flushed = if sent.is_ok() { self.stream.flush().await } else { sent };
        flushed.map_err(|error| self.error(Kind::Connection, "sending").caused_by(error))
    }

    /// Sends one command.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub(crate) async fn command(&mut self, body: &[u8]) -> Result<()> {
        self.sequence = 0;
        self.send(body).await
    }

    /// The next packet. Cancel-safe.
    ///
    /// # Errors
    /// What the server says, `Connection` where it has gone, `Malformed` for a packet above the limit.
    pub(crate) async fn packet(&mut self) -> Result<Bytes> {
        let packet = loop {
            let missing = match self.take_part()? {
                Taken::Packet(packet) => break packet,
                Taken::Part => continue,
                Taken::Missing(bytes) => bytes,
            };
            self.buffer.reserve(missing.max(READ_BYTES));
            let read = self.stream.read_buf(&mut self.buffer).await;
            match read {
                Ok(0) => return Err(self.error(Kind::Connection, "the server ended it")),
                Ok(_) => {}
                Err(error) => {
                    return Err(self.error(Kind::Connection, "reading").caused_by(error));
                }
            }
        };
        if packet.first() == Some(&0xFF) {
            return Err(self.refusal(&packet));
        }
        Ok(packet)
    }

    /// Takes the next part out of the buffer, if it is there.
    fn take_part(&mut self) -> Result<Taken> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(Taken::Missing(HEAD_BYTES));
        };
        let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
        if rest.len() < length {
            return Ok(Taken::Missing(length - rest.len()));
        }
        self.sequence = head[3].wrapping_add(1);
        self.buffer.advance(HEAD_BYTES);
        let part = self.buffer.split_to(length);
        if self.begun.is_empty() && length < PART_BYTES_MAX {
            return Ok(Taken::Packet(part.freeze()));
        }
        if self.begun.len() + length > PACKET_BYTES_MAX {
            return Err(self.error(Kind::Malformed, "a packet above 1 GiB"));
        }
        self.begun.unsplit(part);
        if length == PART_BYTES_MAX {
            return Ok(Taken::Part);
        }
        Ok(Taken::Packet(std::mem::take(&mut self.begun).freeze()))
    }

    /// The server's words: number, state, text.
    fn refusal(&self, packet: &[u8]) -> Error {
        let code = packet.get(1..3).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
        let rest = packet.get(3..).unwrap_or_default();
        let (state, message) =
            match rest.strip_prefix(b"#").and_then(|rest| rest.split_at_checked(5)) {
                Some((state, message)) => (String::from_utf8_lossy(state).into_owned(), message),
                None => ("HY000".to_owned(), rest),
            };
        let message = String::from_utf8_lossy(message).into_owned();
        let server = ServerError { code: code.unwrap_or(0), message, state };
        let context = format!("replication connection to database `{}`", self.database);
        classify(mysql_async::Error::Server(server), context)
    }

    /// Runs a statement that yields no rows; at most 60 s.
    ///
    /// # Errors
    /// As the server says.
    pub(crate) async fn run(&mut self, what: &str, sql: &str) -> Result<()> {
        self.text(what, sql).await.map(drop)
    }

    /// The first column of the first row, as text; `None` for NULL and where there are no rows.
    ///
    /// # Errors
    /// As the server says.
    pub(crate) async fn text(&mut self, what: &str, sql: &str) -> Result<Option<String>> {
        let context = format!("{what} in database `{}`", self.database);
        match tokio::time::timeout(STATEMENT_TIMEOUT, self.query(sql)).await {
            Ok(answer) => answer.map_err(|error| error.within(context)),
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!("{context}: no answer within {} s", STATEMENT_TIMEOUT.as_secs()),
            )),
        }
    }

    async fn query(&mut self, sql: &str) -> Result<Option<String>> {
        const QUERY: u8 = 3;
        self.command(&[&[QUERY], sql.as_bytes()].concat()).await?;
        let first = self.packet().await?;
        if first.first() == Some(&0) {
            return Ok(None);
        }
        while !is_end(&self.packet().await?) {}
        let mut found = None;
        loop {
            let row = self.packet().await?;
            if is_end(&row) {
                return Ok(found.flatten());
            }
            if found.is_none() {
                found = Some(login::first_text(&row)?);
            }
        }
    }
}

/// What the buffer held.
enum Taken {
    /// A whole packet.
    Packet(Bytes),
    /// A part of one, which goes on.
    Part,
    /// Less; so many bytes are missing.
    Missing(usize),
}

/// Whether a packet ends the columns, the rows or the dump.
pub(crate) fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xFE) && packet.len() < 9
}
