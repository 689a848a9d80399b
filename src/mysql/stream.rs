//! The replication connection: asks for the log after a position and yields raw events.
//!
//! The library does login, dump request and packet framing; event bytes are taken as they are and
//! their checksums are verified here, since the library does not. It unwraps on truncated input,
//! so each read is fenced: a panic becomes a `Malformed` error. The server sends a heartbeat every
//! 5 s once it has found the place; from then on, 60 s of silence are a dead connection.
//! Backpressure needs no answer: the dump thread blocks in its write, for at most the hour that the
//! session asks for.
//! Sources: MySQL `COM_BINLOG_DUMP_GTID`; MariaDB "Replication Protocol", "GTID" slave connect.

use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mysql_async::binlog::BinlogChecksumAlg;
use mysql_async::binlog::events;
use mysql_async::{BinlogStream, BinlogStreamRequest, IoError, Sid};

use super::binlog::{Checksum, Header};
use super::failure::classify;
use super::session::{Flavor, Session, within};
use crate::error::{Error, Kind, Result};
use crate::position::{MysqlGtidSet, Position};

/// Longest silence of a dump thread that was asked for heartbeats every 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest silence before the first transaction or heartbeat: MariaDB is silent while it looks for
/// the place in a file.
const SEARCH_MAX: Duration = Duration::from_secs(600);
/// Longest time until the server takes the dump request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Event types that come before the place is found: rotate, format description, and the lists of
/// GTIDs, checkpoints and keys that a file begins with.
const OPENING: [u8; 6] = [4, FORMAT_DESCRIPTION, 35, 161, 163, 164];
/// Event type of the format description, whose end differs from other events.
const FORMAT_DESCRIPTION: u8 = 15;

/// How weir presents itself as a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Server id, unique among the source's replicas.
    pub(crate) server_id: u32,
    /// Name in the source's list of replicas; at most 60 bytes count.
    pub(crate) host: String,
    /// MySQL: a dump thread with the same uuid is ended by the server, so that a connection of
    /// ours that died unseen does not stay.
    pub(crate) uuid: String,
}

/// A running dump.
pub(crate) struct EventStream {
    stream: BinlogStream,
    checksum: Checksum,
    context: String,
    broken: bool,
    /// Longest silence from here on.
    silence_max: Duration,
}

/// One event as it came, checksum verified.
#[derive(Debug)]
pub(crate) struct RawEvent {
    /// The header.
    pub(crate) header: Header,
    bytes: RawBytes,
}

#[derive(Debug)]
enum RawBytes {
    Whole(events::Event),
    Prefix(events::Event, usize),
    Rebuilt(Vec<u8>),
}

impl RawEvent {
    /// The bytes between header and checksum.
    pub(crate) fn body(&self) -> &[u8] {
        match &self.bytes {
            RawBytes::Whole(event) => event.data(),
            RawBytes::Prefix(event, bytes) => event.data().get(..*bytes).unwrap_or_default(),
            RawBytes::Rebuilt(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("context", &self.context).finish_non_exhaustive()
    }
}

impl EventStream {
    /// Turns `session` into a dump of everything after `from`.
    ///
    /// # Errors
    /// `Internal` for a position of another dialect, and whatever the server says; most refusals
    /// come with the first event.
    pub(crate) async fn start(
        mut session: Session,
        from: &Position,
        replica: &Replica,
    ) -> Result<Self> {
        let context = format!("read the log of database `{}`", session.database());
        prologue(&mut session, from, replica).await?;
        let host: String = replica.host.chars().filter(char::is_ascii).take(60).collect();
        let request = BinlogStreamRequest::new(replica.server_id).with_hostname(host.as_bytes());
        let request = match (from, session.flavor()) {
            (Position::Mysql(set, _), Flavor::Mysql) => {
                request.with_gtid().with_gtid_set(sids(set)?)
            }
            (Position::Mariadb(..), Flavor::Mariadb) => request,
            _ => return Err(Error::new(Kind::Identity, format!("{context}: from {from}"))),
        };
        let conn = session.into_conn();
        let stream = within(REQUEST_TIMEOUT, &context, conn.get_binlog_stream(request)).await?;
        Ok(EventStream {
            stream,
            checksum: Checksum::Unknown,
            context,
            broken: false,
            silence_max: SEARCH_MAX,
        })
    }

    /// The next event. Cancel-safe.
    ///
    /// # Errors
    /// `Timeout` after 60 s of silence (ten minutes before the first transaction or heartbeat), `Malformed` for bytes that are no event or a checksum that
    /// does not match, `Connection` when the stream ends, and what the server says.
    pub(crate) async fn next(&mut self) -> Result<RawEvent> {
        if self.broken {
            return Err(self.error(Kind::Malformed, "an event before could not be read"));
        }
        let reading = AssertUnwindSafe(self.stream.next()).catch_unwind();
        let event = match tokio::time::timeout(self.silence_max, reading).await {
            Ok(Ok(Some(Ok(event)))) => event,
            Ok(Ok(Some(Err(error)))) => return Err(self.refused(error)),
            Ok(Ok(None)) => return Err(self.error(Kind::Connection, "the server ended the stream")),
            Ok(Err(_)) => {
                self.broken = true;
                return Err(self.error(Kind::Malformed, "a truncated event"));
            }
            Err(_) => {
                let silence = format!("not even a heartbeat for {} s", self.silence_max.as_secs());
                return Err(self.error(Kind::Timeout, &silence));
            }
        };
        self.verified(event)
    }

    fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("{}: {what}", self.context))
    }

    /// A lost connection and bytes that the library cannot parse are both Io errors there.
    fn refused(&self, error: mysql_async::Error) -> Error {
        match error {
            mysql_async::Error::Io(IoError::Io(error)) if is_parse_error(&error) => {
                self.error(Kind::Malformed, "an event could not be read").caused_by(error)
            }
            error => classify(error, self.context.as_str()),
        }
    }

    /// Verifies the checksum. Before the format description the library does not know whether
    /// there is one; of the format description itself it cuts the algorithm off.
    fn verified(&mut self, event: events::Event) -> Result<RawEvent> {
        let header = header_of(&event);
        if !OPENING.contains(&header.kind) {
            self.silence_max = SILENCE_MAX;
        }
        let algorithm = event.footer().get_checksum_alg().map_err(|error| {
            self.error(Kind::Unsupported, "an unknown checksum algorithm").caused_by(error)
        })?;
        let crc32 = algorithm == Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        let sum = event.checksum();
        if header.kind == FORMAT_DESCRIPTION {
            self.checksum = if crc32 { Checksum::Crc32 } else { Checksum::None };
            let mut bytes = event.data().to_vec();
            bytes.push(u8::from(crc32));
            if let (Checksum::Crc32, Some(sum)) = (self.checksum, sum) {
                Checksum::verify(&header, &bytes, sum)
                    .map_err(|error| error.within(&self.context))?;
            }
            return Ok(RawEvent { header, bytes: RawBytes::Rebuilt(bytes) });
        }
        match (self.checksum, sum) {
            (Checksum::Unknown, _) => {
                let bytes = Checksum::Unknown.strip(&header, event.data())?.len();
                Ok(RawEvent { header, bytes: RawBytes::Prefix(event, bytes) })
            }
            (Checksum::Crc32, Some(sum)) => {
                Checksum::verify(&header, event.data(), sum)
                    .map_err(|error| error.within(&self.context))?;
                Ok(RawEvent { header, bytes: RawBytes::Whole(event) })
            }
            (Checksum::Crc32, None) => {
                Err(self.error(Kind::Malformed, "an event without checksum"))
            }
            (Checksum::None, _) => Ok(RawEvent { header, bytes: RawBytes::Whole(event) }),
        }
    }
}

/// Whether the library received a whole packet and could not make sense of it. Everything else,
/// half a packet at the end of the connection included, is the connection's end.
fn is_parse_error(error: &io::Error) -> bool {
    let text = error.to_string();
    error.kind() == io::ErrorKind::InvalidData
        || text.starts_with("can't parse")
        || text.starts_with("bytes remaining on stream while reading")
}

fn header_of(event: &events::Event) -> Header {
    let header = event.header();
    Header {
        time_s: header.timestamp(),
        kind: header.event_type_raw(),
        server_id: header.server_id(),
        size: header.event_size(),
        next: header.log_pos(),
        flags: header.flags_raw(),
    }
}

/// What the dump thread must know of its session before the request.
async fn prologue(session: &mut Session, from: &Position, replica: &Replica) -> Result<()> {
    let what = "prepare the log stream";
    let mut settings = vec![
        "SET @master_heartbeat_period = 5000000000, @source_heartbeat_period = 5000000000"
            .to_owned(),
        "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600".to_owned(),
        format!("SET @slave_uuid = '{0}', @replica_uuid = '{0}'", replica.uuid),
    ];
    if let Position::Mariadb(set, _) = from {
        settings.push(format!(
            "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 0, \
             @slave_gtid_ignore_duplicates = 0, @slave_connect_state = '{set}'"
        ));
    }
    for setting in settings {
        session.run(what, &setting).await?;
    }
    Ok(())
}

/// The set as the dump request takes it: one entry per origin (uuid and tag).
fn sids(set: &MysqlGtidSet) -> Result<Vec<Sid<'static>>> {
    set.iter()
        .map(|(origin, intervals)| {
            let mut one = MysqlGtidSet::default();
            intervals.iter().for_each(|interval| one.add_interval(origin, *interval));
            one.to_string().parse::<Sid<'static>>().map_err(|error| {
                Error::new(Kind::Internal, "a GTID set for the server").caused_by(error)
            })
        })
        .collect()
}
