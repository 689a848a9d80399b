//! The replication connection: login, the replication commands, and the stream of frames.
//!
//! Everything that decides what a frame *means* lives elsewhere (`pgoutput`, `assemble`), as does
//! what the server's errors mean (`trouble`); this file moves bytes. Reading is cancel-safe: a dropped
//! read loses nothing. Frames share the read buffer without a copy.
//! Source: PostgreSQL manual, "Streaming Replication Protocol".

mod trouble;

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::message::{backend, frontend};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::fallible_iterator::FallibleIterator;

use self::trouble::{Phase, broken, garbled, judge, notice};
use super::failure::ServerError;
use super::transport::{self, Wire};
use super::{login, session};
use crate::config::{Database, is_socket};
use crate::error::{Error, Kind, Result};
use crate::position::Lsn;
use crate::tls;

/// Free space kept in the read buffer, in bytes.
const READ_BYTES: usize = 256 << 10;
/// A message of the server at most; its own limit is 1 GiB.
const MESSAGE_BYTES_MAX: usize = (1 << 30) + READ_BYTES;
/// A message outside the stream at most, in bytes.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// A small message is written within this, or the connection is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The server takes up a slot within this, or the connection is dead.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Time for a stream to end in good order.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// A socket that speaks the protocol's messages; errors of the server become weir's.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Box<dyn Wire>,
    inbox: BytesMut,
    /// What is being done, for the errors of the server.
    phase: Phase,
    binding: Option<Vec<u8>>,
    encrypted: bool,
}

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A message of the output plugin, with the LSN the server gives to it.
    Wal {
        /// Start of the record.
        start: Lsn,
        /// The message.
        payload: Bytes,
    },
    /// The server has sent everything that commits before `end`.
    Keepalive {
        /// End of what was decoded.
        end: Lsn,
        /// The server's clock, microseconds since 2000-01-01 UTC.
        time_us: i64,
        /// The server wants a status at once.
        reply: bool,
    },
}

/// What the server is told about our progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Received.
    pub(crate) write: Lsn,
    /// Durable: the server may forget what is before it.
    pub(crate) flush: Lsn,
    /// Ask the server to answer.
    pub(crate) reply: bool,
}

/// Who the server says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct System {
    /// System identifier of the cluster.
    pub(crate) id: String,
    /// Timeline.
    pub(crate) timeline: String,
}

/// A connection in replication mode, bound to one database.
#[derive(Debug)]
pub(crate) struct Replication(Connection);

impl Replication {
    /// Connects and logs in.
    pub(crate) async fn connect(database: &Database, application_name: &str) -> Result<Self> {
        let password = session::password(database).await?;
        let work = async {
            let mut connection = Connection::open(database).await?;
            login::log_in(&mut connection, database, password.as_ref(), application_name).await?;
            connection.phase = Phase::Command;
            Ok(Replication(connection))
        };
        let context =
            || format!("cannot connect to database {} for replication", session::place(database));
        match timeout(session::CONNECT_TIMEOUT, work).await {
            Ok(done) => {
                done.map_err(|error: Error| transport::explained(error.within(context()), database))
            }
            Err(elapsed) => Err(Error::new(Kind::Timeout, context()).caused_by(elapsed)),
        }
    }

    /// IDENTIFY_SYSTEM.
    pub(crate) async fn identify(&mut self) -> Result<System> {
        let row = self.0.query("IDENTIFY_SYSTEM").await?;
        match row.as_slice() {
            [Some(id), Some(timeline), ..] => {
                Ok(System { id: id.clone(), timeline: timeline.clone() })
            }
            _ => Err(Error::new(Kind::Malformed, "answer to IDENTIFY_SYSTEM")),
        }
    }

    /// TIMELINE_HISTORY: which timelines came before this one, and where they ended.
    pub(crate) async fn history(&mut self, timeline: u32) -> Result<String> {
        let row = self.0.query(&format!("TIMELINE_HISTORY {timeline}")).await?;
        row.into_iter()
            .nth(1)
            .flatten()
            .ok_or_else(|| Error::new(Kind::Malformed, "answer to TIMELINE_HISTORY"))
    }

    /// Makes a permanent logical slot and returns its consistent point. Waits for transactions that are
    /// open at the source, however long they take. With `failover` standbys may keep a copy of it.
    pub(crate) async fn create_slot(&mut self, slot: &str, failover: bool) -> Result<Lsn> {
        let slot = escape_identifier(slot);
        // Versions that know no list of options know no failover slots.
        let options = if failover { "(SNAPSHOT 'nothing', FAILOVER)" } else { "NOEXPORT_SNAPSHOT" };
        let command = format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput {options}");
        let row = self.0.query(&command).await?;
        let point = row.get(1).and_then(|point| point.as_deref()?.parse().ok());
        point.ok_or_else(|| Error::new(Kind::Malformed, "answer to CREATE_REPLICATION_SLOT"))
    }

    /// Starts the stream of `slot` at `from`; with `open_too`, transactions that are large come
    /// before their commit.
    pub(crate) async fn start(
        &mut self,
        slot: &str,
        publication: &str,
        from: Lsn,
        open_too: bool,
    ) -> Result<()> {
        let publications = escape_literal(&escape_identifier(publication));
        let slot = escape_identifier(slot);
        let protocol =
            if open_too { "proto_version '2', streaming 'on'" } else { "proto_version '1'" };
        let command = format!(
            "START_REPLICATION SLOT {slot} LOGICAL {from} \
             ({protocol}, publication_names {publications})"
        );
        self.0.phase = Phase::Start;
        self.0.send_query(&command).await?;
        timeout(START_TIMEOUT, self.0.copy_both()).await.map_err(|elapsed| {
            Error::new(Kind::Timeout, "the source did not start the stream").caused_by(elapsed)
        })??;
        self.0.phase = Phase::Stream;
        Ok(())
    }

    /// The next frame that is already here.
    pub(crate) fn buffered(&mut self) -> Result<Option<Frame>> {
        self.0.frame()
    }

    /// Waits for more bytes. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.0.fill().await
    }

    /// Tells the server how far we are.
    pub(crate) async fn status(&mut self, status: Status) -> Result<()> {
        let mut body = BytesMut::with_capacity(39);
        body.put_u8(b'd');
        body.put_i32(4 + 34);
        body.put_u8(b'r');
        body.put_u64(status.write.0);
        body.put_u64(status.flush.0);
        body.put_u64(status.flush.0);
        body.put_i64(now_us());
        body.put_u8(u8::from(status.reply));
        self.0.send(&body).await
    }

    /// Ends the stream and the session; the slot is free when this returns, or a few seconds have
    /// passed.
    pub(crate) async fn finish(mut self) {
        let goodbye = async {
            let mut packet = BytesMut::new();
            frontend::copy_done(&mut packet);
            frontend::terminate(&mut packet);
            self.0.send(&packet).await?;
            loop {
                self.0.inbox.clear();
                self.0.fill().await?;
            }
        };
        // The server ends the connection, which is the only way out of the loop besides time.
        let end: Result<Result<()>, _> = timeout(FINISH_TIMEOUT, goodbye).await;
        if end.is_err() {
            tracing::debug!("the server did not end the stream in time; the connection is cut");
        }
    }
}

/// Microseconds since 2000-01-01 UTC by this machine's clock; the server only shows it.
fn now_us() -> i64 {
    let since_1970 =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX) - crate::model::value::UNIX_TO_2000_US
}

impl Connection {
    async fn open(database: &Database) -> Result<Self> {
        let material = tls::load(database).await?;
        let encrypted = material.is_some();
        let (wire, binding): (Box<dyn Wire>, _) = if is_socket(&database.host) {
            let path = format!("{}/.s.PGSQL.{}", database.host, database.port);
            (Box::new(UnixStream::connect(path).await.map_err(broken)?), None)
        } else {
            let address = (session::bare_host(database), database.port);
            let socket = TcpStream::connect(address).await.map_err(broken)?;
            tune(&socket).map_err(broken)?;
            match material {
                None => (Box::new(socket), None),
                Some(material) => transport::encrypt(socket, database, &material).await?,
            }
        };
        let inbox = BytesMut::with_capacity(READ_BYTES);
        Ok(Connection { wire, inbox, phase: Phase::Login, binding, encrypted })
    }

    /// Whether the bytes are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// What SCRAM binds the login to: the server's certificate, where there is one.
    pub(super) fn binding(&self) -> Option<&[u8]> {
        self.binding.as_deref()
    }

    /// Writes bytes; small ones, so a long wait means a dead connection.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let writing = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        match timeout(WRITE_TIMEOUT, writing).await {
            Ok(done) => done.map_err(broken),
            Err(elapsed) => {
                Err(Error::new(Kind::Timeout, "writing to the source").caused_by(elapsed))
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.inbox.capacity() - self.inbox.len() < READ_BYTES / 4 {
            self.inbox.reserve(READ_BYTES);
        }
        match self.wire.read_buf(&mut self.inbox).await.map_err(broken)? {
            0 => Err(Error::new(Kind::Connection, "the source closed the connection")),
            _ => Ok(()),
        }
    }

    /// The next message outside the stream; notices and parameters are skipped, errors returned.
    pub(super) async fn message(&mut self) -> Result<backend::Message> {
        loop {
            self.check_length(REPLY_BYTES_MAX)?;
            match backend::Message::parse(&mut self.inbox).map_err(garbled)? {
                None => self.fill().await?,
                Some(
                    backend::Message::NoticeResponse(_) | backend::Message::ParameterStatus(_),
                ) => {}
                Some(backend::Message::ErrorResponse(body)) => return Err(self.failure(&body)),
                Some(message) => return Ok(message),
            }
        }
    }

    async fn send_query(&mut self, text: &str) -> Result<()> {
        let mut packet = BytesMut::new();
        frontend::query(text, &mut packet).map_err(garbled)?;
        self.send(&packet).await
    }

    /// Runs a replication command and returns its first row.
    async fn query(&mut self, text: &str) -> Result<Vec<Option<String>>> {
        self.send_query(text).await?;
        let mut first = None;
        loop {
            match self.message().await? {
                backend::Message::DataRow(row) if first.is_none() => {
                    let buffer = row.buffer();
                    let cells = row.ranges().map(|range| {
                        let cell = range.and_then(|range| buffer.get(range));
                        Ok(cell.map(|cell| String::from_utf8_lossy(cell).into_owned()))
                    });
                    first = Some(cells.collect().map_err(garbled)?);
                }
                backend::Message::ReadyForQuery(_) => return Ok(first.unwrap_or_default()),
                _ => {}
            }
        }
    }

    /// Waits for the answer to START_REPLICATION. CopyBothResponse (`W`) is unknown to the
    /// library, so its header is looked at before anything is parsed.
    async fn copy_both(&mut self) -> Result<()> {
        loop {
            match self.check_length(REPLY_BYTES_MAX)? {
                Some((b'W', length)) if self.inbox.len() >= length => {
                    self.inbox.advance(length);
                    return Ok(());
                }
                Some((b'E' | b'N' | b'S', length)) if self.inbox.len() >= length => {
                    if let Some(backend::Message::ErrorResponse(body)) =
                        backend::Message::parse(&mut self.inbox).map_err(garbled)?
                    {
                        return Err(self.failure(&body));
                    }
                }
                Some((b'W' | b'E' | b'N' | b'S', _)) | None => self.fill().await?,
                Some(_) => {
                    return Err(Error::new(Kind::Malformed, "answer to START_REPLICATION"));
                }
            }
        }
    }

    /// Tag and whole length of the message at the front, once its header is here.
    fn check_length(&self, bytes_max: usize) -> Result<Option<(u8, usize)>> {
        let Some(header) = backend::Header::parse(&self.inbox).map_err(garbled)? else {
            return Ok(None);
        };
        let length = usize::try_from(header.len()).unwrap_or(usize::MAX).saturating_add(1);
        if length > bytes_max {
            let context = format!("a message of {length} bytes from the source");
            return Err(Error::new(Kind::Malformed, context));
        }
        Ok(Some((header.tag(), length)))
    }

    fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some((tag, length)) = self.check_length(MESSAGE_BYTES_MAX)? else {
                return Ok(None);
            };
            if self.inbox.len() < length {
                self.inbox.reserve(length - self.inbox.len());
                return Ok(None);
            }
            if tag == b'd' {
                let body = self.inbox.split_to(length).freeze().slice(5..);
                self.release();
                return frame(body).map(Some);
            }
            match backend::Message::parse(&mut self.inbox).map_err(garbled)? {
                Some(backend::Message::ErrorResponse(body)) => return Err(self.failure(&body)),
                Some(backend::Message::NoticeResponse(body)) => {
                    notice(&ServerError::from_fields(body.fields()).map_err(garbled)?)?;
                }
                Some(backend::Message::ParameterStatus(_)) => {}
                _ => {
                    return Err(Error::new(Kind::Unavailable, "the source ended the stream"));
                }
            }
        }
    }

    /// Gives the memory of an unusually large frame back once the buffer is empty.
    fn release(&mut self) {
        if self.inbox.is_empty() && self.inbox.capacity() > 4 * READ_BYTES {
            self.inbox = BytesMut::with_capacity(READ_BYTES);
        }
    }

    fn failure(&self, body: &backend::ErrorResponseBody) -> Error {
        match ServerError::from_fields(body.fields()) {
            Ok(error) => judge(error, self.phase),
            Err(error) => garbled(error),
        }
    }
}

fn frame(mut body: Bytes) -> Result<Frame> {
    let malformed = || Error::new(Kind::Malformed, "a frame of the replication stream");
    if body.is_empty() {
        return Err(malformed());
    }
    match (body.get_u8(), body.len()) {
        (b'w', 24..) => {
            let start = Lsn(body.get_u64());
            body.advance(16);
            Ok(Frame::Wal { start, payload: body })
        }
        (b'k', 17) => {
            let end = Lsn(body.get_u64());
            let time_us = body.get_i64();
            Ok(Frame::Keepalive { end, time_us, reply: body.get_u8() != 0 })
        }
        _ => Err(malformed()),
    }
}

/// Probes of a silent connection, no delay of small messages.
fn tune(socket: &TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, session::KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, session::KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, session::KEEPALIVE_PROBES)?;
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(session::USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, millis)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a damaged frame were read as another, or could stop weir.
    #[test]
    fn frames_are_checked() {
        let mut wal = vec![b'w'];
        wal.extend([0, 0, 0, 1, 0, 0, 0, 2].iter().chain(&[0; 16]).chain(b"payload"));
        let payload = Bytes::from_static(b"payload");
        let expected = Frame::Wal { start: Lsn(0x1_0000_0002), payload };
        assert_eq!(frame(wal.clone().into()).expect("a frame"), expected);
        let mut keepalive = vec![b'k'];
        keepalive.extend([0, 0, 0, 0, 0, 0, 0, 9].iter().chain(&[0; 7]).chain(&[5, 1]));
        let expected = Frame::Keepalive { end: Lsn(9), time_us: 5, reply: true };
        assert_eq!(frame(keepalive.clone().into()).expect("a frame"), expected);
        for length in 0..18 {
            assert!(frame(Bytes::copy_from_slice(&keepalive[..length])).is_err());
            assert!(frame(Bytes::copy_from_slice(&wal[..length])).is_err());
        }
        assert!(frame(Bytes::from_static(b"?")).is_err());
    }
}
