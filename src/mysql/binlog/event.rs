//! Event header, checksum, and the dispatch from event type to [`Event`].
//!
//! Which types are passed over, and why, is one list here; which halt by name is another. A type
//! in neither is refused unless its header carries the server's own "ignorable" flag.
//! Sources: MySQL "Binary Log Event Header", `Log_event_type`; MariaDB "2-Binlog Event Header".

use super::cursor::Cursor;
use super::gtid::{
    MysqlGtidEvent, anonymous, mariadb_gtid, mysql_gtid, mysql_tagged_gtid, previous_gtids,
};
use super::query::{self, Query};
use super::rows::{self, LoggedRows};
use super::table_map::{self, TableMap};
use super::xid::{self, Prepare};
use crate::error::{Error, Kind, Result};
use crate::mysql::session::Flavor;
use crate::position::MysqlGtidSet;
use crate::position::gtid::MariadbGtid;

/// Type of a compressed transaction of MySQL, whose events are unpacked before they are parsed.
pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 19;
/// Bytes of a checksum.
pub(crate) const CHECKSUM_BYTES: usize = 4;
/// Header flag: the file was not closed; dropped before the checksum is computed.
const FLAG_IN_USE: u16 = 0x01;
/// Header flag: made up by the dump thread, not in the file.
const FLAG_ARTIFICIAL: u16 = 0x20;
/// Header flag: a reader that does not know the type may pass over the event.
const FLAG_IGNORABLE: u16 = 0x80;

/// The header that every event has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Seconds since 1970 by the server's clock; 0 in made-up events.
    pub(crate) time_s: u32,
    /// Event type.
    pub(crate) kind: u8,
    /// The server that wrote the event first.
    pub(crate) server_id: u32,
    /// Bytes of the event, header and checksum included.
    pub(crate) size: u32,
    /// Position after the event in its file, low 32 bits; 0 in made-up events.
    pub(crate) next: u32,
    /// Flags.
    pub(crate) flags: u16,
}

impl Header {
    /// Reads a header.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Header> {
        Ok(Header {
            time_s: cursor.u32()?,
            kind: cursor.u8()?,
            server_id: cursor.u32()?,
            size: cursor.u32()?,
            next: cursor.u32()?,
            flags: cursor.u16()?,
        })
    }

    /// Whether the dump thread made the event up.
    pub(crate) fn artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0
    }

    /// Of a format description: when its file was begun, seconds since 1970 by the server's clock.
    pub(crate) fn born(&self) -> Option<u32> {
        (self.time_s != 0).then_some(self.time_s)
    }

    /// The header's bytes as they go into the checksum.
    fn summed_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut fill = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        fill(0, &self.time_s.to_le_bytes());
        fill(4, &[self.kind]);
        fill(5, &self.server_id.to_le_bytes());
        fill(9, &self.size.to_le_bytes());
        fill(13, &self.next.to_le_bytes());
        fill(17, &(self.flags & !FLAG_IN_USE).to_le_bytes());
        bytes
    }
}

/// How events end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Before the first format description: a CRC32 is taken off if one is there.
    Unknown,
    /// No checksum.
    None,
    /// Four bytes of CRC32 over everything before them.
    Crc32,
}

impl Checksum {
    /// Takes the checksum off the end of `body` (all bytes after the header) and verifies it.
    ///
    /// # Errors
    /// `Malformed` where it does not match or is missing.
    pub(crate) fn strip<'a>(self, header: &Header, body: &'a [u8]) -> Result<&'a [u8]> {
        match (self, body.split_last_chunk::<CHECKSUM_BYTES>()) {
            (Checksum::None, _) | (Checksum::Unknown, None) => Ok(body),
            (Checksum::Unknown, Some((data, sum))) => {
                Ok(if Checksum::verify(header, data, *sum).is_ok() { data } else { body })
            }
            (Checksum::Crc32, Some((data, sum))) => {
                Checksum::verify(header, data, *sum).map(|()| data)
            }
            (Checksum::Crc32, None) => {
                Err(Error::new(Kind::Malformed, "an event without checksum"))
            }
        }
    }

    /// Compares the CRC32 over header and `data` with `sum`.
    ///
    /// # Errors
    /// `Malformed` where they differ.
    pub(crate) fn verify(header: &Header, data: &[u8], sum: [u8; CHECKSUM_BYTES]) -> Result<()> {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header.summed_bytes());
        hasher.update(data);
        if hasher.finalize() == u32::from_le_bytes(sum) {
            return Ok(());
        }
        let what = format!("the checksum of {} before {}", name(header.kind), header.next);
        Err(Error::new(Kind::Malformed, format!("{what} does not match")))
    }
}

/// What the format description of a file says about its other events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Which server wrote the file.
    pub(crate) flavor: Flavor,
    /// The server's version as version comments count it: 9.7.4 is 90704.
    pub(crate) version: u32,
    /// Whether the server had just started: it wrote a creation time.
    pub(crate) fresh: bool,
    /// How events end.
    pub(crate) checksum: Checksum,
    /// Bytes of each type's fixed part, by type − 1.
    post_headers: Vec<u8>,
}

impl Format {
    /// Before the first format description.
    pub(crate) fn unknown(flavor: Flavor) -> Self {
        Format {
            flavor,
            version: u32::MAX,
            fresh: false,
            checksum: Checksum::Unknown,
            post_headers: Vec::new(),
        }
    }

    /// Bytes of the fixed part of events of type `kind`, where the server says so.
    pub(super) fn post_header(&self, kind: u8) -> Option<u8> {
        self.post_headers.get(usize::from(kind).checked_sub(1)?).copied()
    }
}

/// An event that weir understands. Borrows from the event's bytes.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The first event of a file.
    Format(Format),
    /// The next event comes from this file at this position.
    Rotate {
        /// File name.
        file: &'a str,
        /// Position in it.
        position: u64,
    },
    /// MySQL: the next transaction's GTID.
    MysqlGtid(MysqlGtidEvent),
    /// MySQL: the next transaction has no GTID.
    Anonymous {
        /// When it was committed first, microseconds since 1970.
        time_us: Option<i64>,
    },
    /// MySQL: the GTIDs of everything before this file.
    PreviousGtids(MysqlGtidSet),
    /// MariaDB: the next transaction's GTID.
    MariadbGtid {
        /// The GTID.
        gtid: MariadbGtid,
        /// One statement follows and is the whole transaction; else a COMMIT or XID ends it.
        standalone: bool,
        /// The first phase of a two-phase transaction: a [`Prepare`] ends it.
        two_phase: bool,
    },
    /// A statement.
    Query(Query<'a>),
    /// Commit of a transactional engine.
    Xid,
    /// End of the changes of a two-phase transaction.
    Prepare(Prepare),
    /// Describes the table of the rows events that follow.
    TableMap(TableMap<'a>),
    /// Changed rows.
    Rows(LoggedRows<'a>),
    /// The dump thread has nothing to send.
    Heartbeat {
        /// The file it waits in; empty where the event does not say.
        file: &'a str,
    },
    /// Understood, and of no concern.
    Nothing,
}

/// Reads the event of `header` from `body`, the bytes between header and checksum.
///
/// # Errors
/// `Malformed` for bytes that are not what the protocol says, `Unsupported` (by name) for events
/// that weir does not support, `Gap` for an incident that the server logged.
pub(crate) fn parse<'a>(header: &Header, body: &'a [u8], format: &Format) -> Result<Event<'a>> {
    let cursor = Cursor::new(body);
    match header.kind {
        2 => query::parse(cursor).map(Event::Query),
        165 => query::parse_compressed(cursor).map(Event::Query),
        4 => rotate(cursor),
        15 => format_description(cursor).map(Event::Format),
        16 => Ok(Event::Xid),
        19 => table_map::parse(cursor, format).map(Event::TableMap),
        23..=25 | 30..=32 | 39 | 166..=171 => {
            rows::parse(header.kind, cursor, format).map(Event::Rows)
        }
        26 => incident(cursor),
        27 => Ok(Event::Heartbeat { file: std::str::from_utf8(body).unwrap_or_default() }),
        41 => Ok(Event::Heartbeat { file: "" }),
        33 => mysql_gtid(cursor).map(Event::MysqlGtid),
        34 => anonymous(cursor).map(|time_us| Event::Anonymous { time_us }),
        35 => previous_gtids(cursor).map(Event::PreviousGtids),
        38 => xid::prepare(cursor).map(Event::Prepare),
        42 => mysql_tagged_gtid(cursor).map(Event::MysqlGtid),
        162 => mariadb_gtid(header, cursor),
        kind if passed_over(kind) => Ok(Event::Nothing),
        TRANSACTION_PAYLOAD => {
            Err(Error::new(Kind::Malformed, "a compressed transaction inside another"))
        }
        164 => Err(unsupported("an encrypted binlog (START_ENCRYPTION_EVENT)", "")),
        9 | 17 | 18 => Err(unsupported(
            "LOAD DATA in statement format",
            "set binlog_format = ROW on the source",
        )),
        _ if header.flags & FLAG_IGNORABLE != 0 => Ok(Event::Nothing),
        kind => Err(unsupported(&format!("log event {}", name(kind)), "")),
    }
}

/// Types that hold nothing to replicate: stop, parameters of a statement that comes next and is
/// judged itself (5, 13, 14), row comments (29, 160), group replication (36, 37), what the file
/// already holds (161, 163), and the explicit "ignorable" (28).
fn passed_over(kind: u8) -> bool {
    matches!(kind, 3 | 5 | 13 | 14 | 28 | 29 | 36 | 37 | 160 | 161 | 163)
}

fn unsupported(what: &str, hint: &str) -> Error {
    let error = Error::new(Kind::Unsupported, format!("the log holds {what}"));
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// An event type's name, for messages.
pub(crate) fn name(kind: u8) -> String {
    let name = match kind {
        2 => "QUERY_EVENT",
        165 => "QUERY_COMPRESSED_EVENT",
        TRANSACTION_PAYLOAD => "TRANSACTION_PAYLOAD_EVENT",
        4 => "ROTATE_EVENT",
        15 => "FORMAT_DESCRIPTION_EVENT",
        16 => "XID_EVENT",
        19 => "TABLE_MAP_EVENT",
        23 | 30 => "WRITE_ROWS_EVENT",
        24 | 31 => "UPDATE_ROWS_EVENT",
        25 | 32 => "DELETE_ROWS_EVENT",
        26 => "INCIDENT_EVENT",
        27 | 41 => "HEARTBEAT_EVENT",
        33 | 162 => "GTID_EVENT",
        38 => "XA_PREPARE_LOG_EVENT",
        39 => "PARTIAL_UPDATE_ROWS_EVENT",
        42 => "GTID_TAGGED_LOG_EVENT",
        166 | 169 => "WRITE_ROWS_COMPRESSED_EVENT",
        167 | 170 => "UPDATE_ROWS_COMPRESSED_EVENT",
        168 | 171 => "DELETE_ROWS_COMPRESSED_EVENT",
        _ => return format!("of type {kind}"),
    };
    name.to_owned()
}

fn rotate(mut cursor: Cursor<'_>) -> Result<Event<'_>> {
    let position = cursor.u64()?;
    let file = std::str::from_utf8(cursor.rest())
        .map_err(|error| Error::new(Kind::Malformed, "a binlog file's name").caused_by(error))?;
    Ok(Event::Rotate { file, position })
}

/// Version, server version, creation time, header size, then one byte per event type, then the
/// checksum algorithm. The checksum itself is taken off by the caller or not at all: the
/// algorithm's byte is found from the end.
fn format_description(mut cursor: Cursor<'_>) -> Result<Format> {
    let version = cursor.u16()?;
    let server = cursor.bytes(50)?;
    let created = cursor.u32()?;
    let header_bytes = cursor.u8()?;
    if version != 4 || usize::from(header_bytes) != HEADER_BYTES {
        return Err(Error::new(Kind::Malformed, format!("binlog format version {version}")));
    }
    let mariadb = server.windows(7).any(|part| part == b"MariaDB");
    let (algorithm, post_headers) = cursor
        .rest()
        .split_last()
        .ok_or_else(|| Error::new(Kind::Malformed, "an empty format description"))?;
    let checksum = match algorithm {
        0 => Checksum::None,
        1 => Checksum::Crc32,
        other => return Err(unsupported(&format!("checksum algorithm {other}"), "")),
    };
    Ok(Format {
        flavor: if mariadb { Flavor::Mariadb } else { Flavor::Mysql },
        version: number(server),
        fresh: created != 0,
        checksum,
        post_headers: post_headers.to_vec(),
    })
}

/// The number that version comments are compared with: the first three numbers of a version.
fn number(version: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(version);
    let mut parts = text.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or(0).min(99);
    next() * 10_000 + next() * 100 + next()
}

fn incident(mut cursor: Cursor<'_>) -> Result<Event<'_>> {
    let number = cursor.u16()?;
    Err(Error::new(
        Kind::Gap,
        format!("the server logged an incident ({number}): changes are missing from its log"),
    ))
}
