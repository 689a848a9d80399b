//! The dump: asks for the log after a position and yields raw events.
//!
//! Packets come from `wire`; here events are cut out of them and their checksums verified, and
//! compressed transactions unpacked event by event. The server sends a heartbeat every 5 s once it
//! has found the place; from then on, 60 s of silence are a dead connection. Backpressure needs no
//! answer: the dump thread blocks in its write, for at most the hour that the session asks for.
//! Sources: MySQL `COM_REGISTER_SLAVE`, `COM_BINLOG_DUMP_GTID`; MariaDB "Replication Protocol", "GTID"
//! slave connect.

use std::time::Duration;

use bytes::Bytes;
use mysql_common::packets::binlog_request::BinlogRequest;
use mysql_common::packets::{ComRegisterSlave, Sid};
use mysql_common::proto::MySerialize;

use super::binlog::event::{CHECKSUM_BYTES, HEADER_BYTES};
use super::binlog::{Checksum, Cursor, Header};
use super::session::Flavor;
use super::wire::{Connection, is_end};
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
#[derive(Debug)]
pub(crate) struct EventStream {
    connection: Connection,
    checksum: Checksum,
    context: String,
    /// Longest silence from here on.
    silence_max: Duration,
}

/// One event as it came, checksum verified.
#[derive(Debug)]
pub(crate) struct RawEvent {
    /// The header.
    pub(crate) header: Header,
    /// The bytes between header and checksum.
    pub(crate) body: Bytes,
}

impl EventStream {
    /// Turns `connection` into a dump of everything after `from`.
    ///
    /// # Errors
    /// `Identity` for a position of another dialect, and whatever the server says; most refusals
    /// come with the first event.
    pub(crate) async fn start(
        mut connection: Connection,
        from: &Position,
        replica: &Replica,
    ) -> Result<Self> {
        let context = format!("read the log of database `{}`", connection.database());
        prologue(&mut connection, from, replica).await?;
        let request = BinlogRequest::new(replica.server_id);
        let request = match (from, connection.flavor()) {
            (Position::Mysql(set, _), Flavor::Mysql) => {
                request.with_use_gtid(true).with_sids(sids(set)?)
            }
            (Position::Mariadb(..), Flavor::Mariadb) => request,
            _ => return Err(Error::new(Kind::Identity, format!("{context}: from {from}"))),
        };
        Self::request(connection, request, replica, context).await
    }

    /// Registers as a replica and asks for the dump.
    async fn request(
        mut connection: Connection,
        request: BinlogRequest<'_>,
        replica: &Replica,
        context: String,
    ) -> Result<Self> {
        let asking = async {
            let host: String = replica.host.chars().filter(char::is_ascii).take(60).collect();
            let register = ComRegisterSlave::new(replica.server_id).with_hostname(host.as_bytes());
            connection.command(&bytes_of(&register)).await?;
            connection.packet().await?;
            connection.command(&bytes_of(&request.as_cmd())).await
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, asking).await {
            Ok(asked) => asked.map_err(|error| error.within(&context))?,
            Err(_) => {
                let limit = REQUEST_TIMEOUT.as_secs();
                let what = format!("{context}: the request was not taken within {limit} s");
                return Err(Error::new(Kind::Timeout, what));
            }
        }
        let (checksum, silence_max) = (Checksum::Unknown, SEARCH_MAX);
        Ok(EventStream { connection, checksum, context, silence_max })
    }

    /// The next event. Cancel-safe.
    ///
    /// # Errors
    /// `Timeout` after 60 s of silence (ten minutes before the first transaction or heartbeat),
    /// `Malformed` for bytes that are no event or a checksum that does not match, `Connection` when
    /// the stream ends, and what the server says.
    pub(crate) async fn next(&mut self) -> Result<RawEvent> {
        let packet = match tokio::time::timeout(self.silence_max, self.connection.packet()).await {
            Ok(packet) => packet.map_err(|error| error.within(&self.context))?,
            Err(_) => {
                let silence = format!("not even a heartbeat for {} s", self.silence_max.as_secs());
                return Err(self.error(Kind::Timeout, &silence));
            }
        };
        match packet.first() {
            Some(0) => self.event(packet.slice(1..)),
            _ if is_end(&packet) => {
                Err(self.error(Kind::Connection, "the server ended the stream"))
            }
            _ => Err(self.error(Kind::Malformed, "a packet that is no event")),
        }
    }

    fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("{}: {what}", self.context))
    }

    /// Cuts the event into header and body. A format description says how the events after it end;
    /// itself it ends with the algorithm and always room for a checksum.
    fn event(&mut self, bytes: Bytes) -> Result<RawEvent> {
        let header = Header::read(&mut Cursor::new(&bytes))?;
        if bytes.len() != header.size as usize {
            return Err(self.error(Kind::Malformed, "an event of another size than it says"));
        }
        if !OPENING.contains(&header.kind) {
            self.silence_max = SILENCE_MAX;
        }
        let body = bytes.slice(HEADER_BYTES..);
        if header.kind == FORMAT_DESCRIPTION {
            let end = body.len().checked_sub(CHECKSUM_BYTES);
            let algorithm = end.and_then(|end| body.get(end.checked_sub(1)?));
            self.checksum = match algorithm {
                Some(0) => Checksum::None,
                Some(1) => Checksum::Crc32,
                _ => return Err(self.error(Kind::Unsupported, "an unknown checksum algorithm")),
            };
        }
        let end = match header.kind == FORMAT_DESCRIPTION && self.checksum == Checksum::None {
            true => body.len().saturating_sub(CHECKSUM_BYTES),
            false => self
                .checksum
                .strip(&header, &body)
                .map_err(|error| error.within(&self.context))?
                .len(),
        };
        Ok(RawEvent { header, body: body.slice(..end) })
    }
}

fn bytes_of(command: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.serialize(&mut bytes);
    bytes
}

/// What the dump thread must know of its session before the request.
async fn prologue(session: &mut Connection, from: &Position, replica: &Replica) -> Result<()> {
    let what = "prepare the log stream";
    let mut settings = vec![
        "SET @master_heartbeat_period = 5000000000, @source_heartbeat_period = 5000000000"
            .to_owned(),
        "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600".to_owned(),
        "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'".to_owned(),
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
