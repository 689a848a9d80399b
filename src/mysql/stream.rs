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
use mysql_common::packets::{BinlogDumpFlags, ComRegisterSlave, Sid};
use mysql_common::proto::MySerialize;

use super::binlog::event::{CHECKSUM_BYTES, HEADER_BYTES};
use super::binlog::{Checksum, Cursor, Header};
use super::session::Flavor;
use super::wire::{Connection, is_end};
use crate::error::{Error, Kind, Result};
use crate::position::{Coordinates, MysqlGtidSet, Position};

/// Longest silence of a dump thread that was asked for heartbeats every 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest silence before the first transaction or heartbeat: MariaDB is silent while it looks for
/// the place in a file.
const SEARCH_MAX: Duration = Duration::from_secs(600);
/// Longest time until the server takes the dump request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Event types that come before the place is found: rotate, format description, and the lists of
/// GTIDs, checkpoints and keys that a file begins with.
const OPENING: [u8; 6] = [ROTATE, FORMAT_DESCRIPTION, 35, 161, 163, 164];
/// Event type of what names the next file.
const ROTATE: u8 = 4;
/// Event type of the format description, whose end differs from other events.
const FORMAT_DESCRIPTION: u8 = 15;

/// How weir presents itself as a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Server id, unique among the source's replicas.
    pub(crate) server_id: u32,
    /// Name in the source's list of replicas; ASCII of at most 60 bytes.
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
        prologue(&mut connection, from, Some(&replica.uuid)).await?;
        let request = BinlogRequest::new(replica.server_id);
        let request = match (from, connection.flavor()) {
            (Position::Mysql(set, _), Flavor::Mysql) => {
                request.with_use_gtid(true).with_sids(sids(set)?)
            }
            (Position::MysqlPlace(_, at), Flavor::Mysql) => {
                request.with_filename(at.file.as_bytes()).with_pos(dump_position(at))
            }
            (Position::Mariadb(..), Flavor::Mariadb) => request,
            _ => return Err(Error::new(Kind::Identity, format!("{context}: from {from}"))),
        };
        let register = ComRegisterSlave::new(replica.server_id);
        let register = register.with_hostname(replica.host.as_bytes());
        Self::request(connection, register, request, context).await
    }

    /// When `file` of the log was begun, seconds since 1970 by the server's clock, as the file itself
    /// says; `None` where it does not. Asked for as by nobody, so that no reader is taken for this one
    /// and ended. The connection is given up.
    ///
    /// # Errors
    /// As [`EventStream::start`] and [`EventStream::next`].
    pub(crate) async fn born(mut connection: Connection, file: &str) -> Result<Option<u32>> {
        const NOBODY: u32 = 0;
        let context = format!("read {file} of the log of database `{}`", connection.database());
        let start = Position::Mysql(MysqlGtidSet::default(), None);
        prologue(&mut connection, &start, None).await?;
        let request = BinlogRequest::new(NOBODY).with_filename(file.as_bytes());
        let request = request.with_flags(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK);
        let register = ComRegisterSlave::new(NOBODY);
        let mut stream = Self::request(connection, register, request, context).await?;
        stream.silence_max = REQUEST_TIMEOUT;
        loop {
            let event = stream.next().await?;
            match event.header.kind {
                ROTATE => {}
                FORMAT_DESCRIPTION => return Ok(event.header.born()),
                _ => return Ok(None),
            }
        }
    }

    /// Registers as a replica and asks for the dump.
    async fn request(
        mut connection: Connection,
        register: ComRegisterSlave<'_>,
        request: BinlogRequest<'_>,
        context: String,
    ) -> Result<Self> {
        let asking = async {
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
async fn prologue(session: &mut Connection, from: &Position, uuid: Option<&str>) -> Result<()> {
    let what = "prepare the log stream";
    let mut settings = vec![
        "SET @master_heartbeat_period = 5000000000, @source_heartbeat_period = 5000000000"
            .to_owned(),
        "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600".to_owned(),
        "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'".to_owned(),
    ];
    settings
        .extend(uuid.map(|uuid| format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'")));
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

/// Where a dump by place begins: the request has 32 bits. Behind those the file is read from its
/// start, and the assembler passes over what comes before the place.
fn dump_position(at: &Coordinates) -> u64 {
    const START: u64 = 4;
    if u32::try_from(at.position).is_ok() { at.position } else { START }
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
