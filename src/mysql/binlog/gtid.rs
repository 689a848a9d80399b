//! GTID events of both servers: MySQL's fixed form (33), its tagged form (42) in the format of
//! MySQL's serialization library, and MariaDB's (162).
//!
//! Only what weir needs is read: the GTID, the commit time, and what ends the transaction.
//! Sources: MySQL `Gtid_event`, "Serialization Library"; MariaDB "GTID_EVENT".

use super::cursor::Cursor;
use super::event::{Event, Header};
use crate::error::{Error, Kind, Result};
use crate::position::gtid::{MariadbGtid, MysqlGtidSet, MysqlOrigin};

/// A commit time is 55 bits wide; the bit above says that the original commit time follows.
const TIME_BITS: u64 = (1 << 55) - 1;

/// The GTID of the next MySQL transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MysqlGtidEvent {
    /// Who committed it first.
    pub(crate) origin: MysqlOrigin,
    /// Its number.
    pub(crate) number: u64,
    /// When it was committed first, microseconds since 1970; `None` from servers before 8.0.
    pub(crate) time_us: Option<i64>,
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, what)
}

/// `3e11fa47-71ca-11e1-9e33-c80aa9429562`.
fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

/// MySQL's GTID_EVENT.
pub(super) fn mysql_gtid(mut cursor: Cursor<'_>) -> Result<MysqlGtidEvent> {
    cursor.u8()?;
    let uuid = uuid_text(cursor.array()?);
    let number = number(cursor.u64()?)?;
    let time_us = commit_time(&mut cursor)?;
    Ok(MysqlGtidEvent { origin: MysqlOrigin { uuid, tag: String::new() }, number, time_us })
}

/// MySQL's ANONYMOUS_GTID_EVENT: as the other, with a GTID that is none; its commit time.
pub(super) fn anonymous(mut cursor: Cursor<'_>) -> Result<Option<i64>> {
    cursor.bytes(25)?;
    commit_time(&mut cursor)
}

/// The commit times are there since 8.0.1.
fn commit_time(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let logical_clock = cursor.u8()? == 2;
    if !logical_clock {
        return Ok(None);
    }
    cursor.bytes(16)?;
    if cursor.len() < 7 {
        return Ok(None);
    }
    let immediate = cursor.uint(7)?;
    let original = if immediate > TIME_BITS { cursor.uint(7)? } else { immediate };
    Ok(i64::try_from(original & TIME_BITS).ok())
}

/// MySQL's PREVIOUS_GTIDS_LOG_EVENT: number of sources, then of each its uuid and intervals, whose
/// ends are exclusive. The first byte and the last of the number say whether sources have tags, and
/// take its place in part.
pub(super) fn previous_gtids(mut cursor: Cursor<'_>) -> Result<MysqlGtidSet> {
    const TAGGED: u8 = 1;
    let head: [u8; 8] = cursor.array()?;
    let tagged = head[7] == TAGGED;
    let sources = if tagged {
        u64::from_le_bytes([head[1], head[2], head[3], head[4], head[5], head[6], 0, 0])
    } else {
        u64::from_le_bytes(head)
    };
    let mut set = MysqlGtidSet::default();
    for _ in 0..sources {
        let uuid = uuid_text(cursor.array()?);
        let tag = if tagged { tag_text(&mut cursor)? } else { String::new() };
        let origin = MysqlOrigin { uuid, tag };
        for _ in 0..cursor.u64()? {
            let (low, end) = (cursor.u64()?, cursor.u64()?);
            set.add_interval(&origin, (low, end.saturating_sub(1)));
        }
    }
    Ok(set)
}

/// MySQL's GTID_TAGGED_LOG_EVENT: version, size, last field that matters, then pairs of field
/// number and value in ascending order.
pub(super) fn mysql_tagged_gtid(mut cursor: Cursor<'_>) -> Result<MysqlGtidEvent> {
    if cursor.varint()? != 1 {
        // The library writes its version 1 as the varint 1 (byte 0x02).
        return Err(Error::new(Kind::Unsupported, "the log holds a GTID of a newer format"));
    }
    cursor.varint()?;
    cursor.varint()?;
    let (mut uuid, mut tag) = ([0; 16], String::new());
    let (mut gno, mut immediate, mut original) = (None, None, None);
    while !cursor.is_empty() {
        match cursor.varint()? {
            0 => {
                cursor.varint()?;
            }
            1 => {
                for byte in &mut uuid {
                    *byte =
                        u8::try_from(cursor.varint()?).map_err(|_| malformed("a GTID's uuid"))?;
                }
            }
            2 => gno = Some(cursor.varint_signed()?),
            3 => tag = tag_text(&mut cursor)?,
            4 | 5 => {
                cursor.varint_signed()?;
            }
            6 => immediate = Some(cursor.varint()?),
            7 => original = Some(cursor.varint()?),
            _ => break,
        }
    }
    let gno = gno.and_then(|gno| u64::try_from(gno).ok()).ok_or_else(|| malformed("a GTID"))?;
    Ok(MysqlGtidEvent {
        origin: MysqlOrigin { uuid: uuid_text(uuid), tag },
        number: number(gno)?,
        time_us: original.or(immediate).and_then(|time| i64::try_from(time).ok()),
    })
}

fn tag_text(cursor: &mut Cursor<'_>) -> Result<String> {
    let bytes = usize::try_from(cursor.varint()?).map_err(|_| malformed("a GTID's tag"))?;
    let text = cursor.bytes(bytes)?;
    let fits =
        text.len() <= 32 && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if !fits {
        return Err(malformed("a GTID's tag"));
    }
    Ok(String::from_utf8_lossy(text).to_ascii_lowercase())
}

fn number(gno: u64) -> Result<u64> {
    if gno == 0 || i64::try_from(gno).is_err() {
        Err(malformed("a GTID's number"))
    } else {
        Ok(gno)
    }
}

/// MariaDB's GTID_EVENT: sequence, domain, flags. It opens a transaction by itself (no BEGIN
/// follows for readers that know GTIDs).
pub(super) fn mariadb_gtid<'a>(header: &Header, mut cursor: Cursor<'_>) -> Result<Event<'a>> {
    const STANDALONE: u8 = 1;
    const PREPARED_XA: u8 = 64;
    let sequence = cursor.u64()?;
    let domain = cursor.u32()?;
    let flags = cursor.u8()?;
    Ok(Event::MariadbGtid {
        gtid: MariadbGtid { domain, server: header.server_id, sequence },
        standalone: flags & STANDALONE != 0,
        two_phase: flags & PREPARED_XA != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if GTIDs or commit times were read from the wrong place.
    #[test]
    fn fixed_form_with_both_commit_times() {
        let mut bytes = vec![0];
        bytes.extend(1..=16u8);
        bytes.extend(77u64.to_le_bytes());
        bytes.push(2);
        bytes.extend([0; 16]);
        bytes.extend(&(2_000_000u64 | 1 << 55).to_le_bytes()[..7]);
        bytes.extend(&1_000_000u64.to_le_bytes()[..7]);
        let event = mysql_gtid(Cursor::new(&bytes)).expect("a GTID");
        assert_eq!(event.origin.uuid, "01020304-0506-0708-090a-0b0c0d0e0f10");
        assert_eq!((event.number, event.time_us), (77, Some(1_000_000)));
        assert_eq!(mysql_gtid(Cursor::new(&bytes[..42])).expect("old").time_us, None);
        assert!(mysql_gtid(Cursor::new(&bytes[..20])).is_err());
    }
}
