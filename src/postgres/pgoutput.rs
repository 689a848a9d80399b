//! The messages of the `pgoutput` plugin, protocol versions 1 and 2: bytes to borrowed messages, pure.
//!
//! Nothing is interpreted here; a tuple is checked for its shape and iterated over without a copy.
//! Damaged bytes are an error, never a panic, and no length is believed before the bytes are seen.
//! [`unframe`] takes the frame of a streamed block off, so that a change reads the same in and out
//! of one. Messages of protocol versions that weir does not ask for (two-phase) are refused by name,
//! as is a tag nobody knows.
//! Source: PostgreSQL manual, "Logical Replication Message Formats".

use crate::error::{Error, Kind, Result};
use crate::position::Lsn;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// A transaction starts (it has committed already).
    Begin {
        /// LSN of the commit record.
        final_lsn: Lsn,
        /// Commit time, microseconds since 2000-01-01 UTC.
        time_us: i64,
        /// Top-level transaction id.
        xid: u32,
    },
    /// The transaction ends.
    Commit {
        /// LSN of the commit record.
        commit_lsn: Lsn,
        /// End of the commit record: a resume point.
        end_lsn: Lsn,
        /// Commit time, microseconds since 2000-01-01 UTC.
        time_us: i64,
    },
    /// Where the transaction came from first.
    Origin {
        /// Name of the replication origin.
        name: &'a str,
    },
    /// The shape of a table; precedes its first change and follows every ALTER.
    Relation(Relation<'a>),
    /// The name of a type that is not built in; for a domain, of its base type.
    Type {
        /// Object id of the type.
        oid: u32,
        /// Schema; empty is `pg_catalog`.
        schema: &'a str,
        /// Name.
        name: &'a str,
    },
    /// A row was inserted.
    Insert {
        /// Object id of the table.
        relation: u32,
        /// The new row.
        new: Tuple<'a>,
    },
    /// A row was changed.
    Update {
        /// Object id of the table.
        relation: u32,
        /// The old row or key; none where the key is unchanged and the identity is not FULL.
        old: Option<Old<'a>>,
        /// The new row.
        new: Tuple<'a>,
    },
    /// A row was deleted.
    Delete {
        /// Object id of the table.
        relation: u32,
        /// The old row or key.
        old: Old<'a>,
    },
    /// Tables were emptied.
    Truncate {
        /// Object ids of the tables.
        relations: Vec<u32>,
    },
    /// `pg_logical_emit_message`; only sent when asked for.
    Logical,
    /// A block of messages of a transaction that is still open begins; blocks do not nest.
    StreamStart {
        /// Top-level transaction id.
        xid: u32,
        /// Whether it is the transaction's first block.
        first: bool,
    },
    /// The block ends.
    StreamStop,
    /// A transaction of which blocks were sent has committed.
    StreamCommit(StreamCommit),
    /// A transaction of which blocks were sent, or a part of it, was rolled back.
    StreamAbort {
        /// Top-level transaction id.
        xid: u32,
        /// What was rolled back: the same, or a subtransaction of it.
        subxid: u32,
    },
}

/// The end of a transaction that was sent in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamCommit {
    /// Top-level transaction id.
    pub(crate) xid: u32,
    /// LSN of the commit record.
    pub(crate) commit_lsn: Lsn,
    /// End of the commit record: a resume point.
    pub(crate) end_lsn: Lsn,
    /// Commit time, microseconds since 2000-01-01 UTC.
    pub(crate) time_us: i64,
}

/// The shape of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation<'a> {
    /// Object id of the table.
    pub(crate) oid: u32,
    /// Schema; empty is `pg_catalog`.
    pub(crate) schema: &'a str,
    /// Table.
    pub(crate) table: &'a str,
    /// Replica identity: `d`efault, `n`othing, `f`ull, `i`ndex.
    pub(crate) identity: u8,
    /// Columns in the order of tuples.
    pub(crate) columns: Vec<RelationColumn<'a>>,
}

/// A column as a relation message describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelationColumn<'a> {
    /// Part of the replica identity.
    pub(crate) key: bool,
    /// Name.
    pub(crate) name: &'a str,
    /// Object id of the type.
    pub(crate) type_oid: u32,
    /// Type modifier, -1 for none.
    pub(crate) type_modifier: i32,
}

/// The old image of an update or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old<'a> {
    /// `K`: the columns of the replica identity; the others are sent as NULL and unknown.
    Key(Tuple<'a>),
    /// `O`: every column.
    Full(Tuple<'a>),
}

/// A row on the wire, its shape already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple<'a> {
    /// Number of columns.
    pub(crate) columns: u16,
    cells: &'a [u8],
}

/// One column of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// NULL.
    Null,
    /// A TOASTed value that did not change and is not in the log.
    Unchanged,
    /// Text of the type's output function.
    Text(&'a [u8]),
}

/// Parses one message.
///
/// Errors: `Malformed` for damaged bytes, `Unsupported` for messages weir does not ask for.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message<'_>> {
    let mut reader = Reader { rest: bytes };
    let message = match reader.u8()? {
        b'B' => {
            Message::Begin { final_lsn: reader.lsn()?, time_us: reader.i64()?, xid: reader.u32()? }
        }
        b'C' => {
            reader.u8()?;
            Message::Commit {
                commit_lsn: reader.lsn()?,
                end_lsn: reader.lsn()?,
                time_us: reader.i64()?,
            }
        }
        b'O' => {
            reader.lsn()?;
            Message::Origin { name: reader.text()? }
        }
        b'R' => Message::Relation(relation(&mut reader)?),
        b'Y' => Message::Type { oid: reader.u32()?, schema: reader.text()?, name: reader.text()? },
        b'I' => {
            let relation = reader.u32()?;
            reader.expect(b'N')?;
            Message::Insert { relation, new: reader.tuple()? }
        }
        b'U' => update(&mut reader)?,
        b'D' => {
            let relation = reader.u32()?;
            let old = match reader.u8()? {
                b'K' => Old::Key(reader.tuple()?),
                b'O' => Old::Full(reader.tuple()?),
                _ => return Err(malformed()),
            };
            Message::Delete { relation, old }
        }
        b'T' => truncate(&mut reader)?,
        b'M' => return Ok(Message::Logical),
        b'S' => Message::StreamStart { xid: reader.u32()?, first: reader.u8()? != 0 },
        b'E' => Message::StreamStop,
        b'c' => stream_commit(&mut reader)?,
        b'A' => Message::StreamAbort { xid: reader.u32()?, subxid: reader.u32()? },
        tag => return Err(unknown(tag)),
    };
    if reader.rest.is_empty() { Ok(message) } else { Err(malformed()) }
}

/// Whether a message is about blocks of open transactions, and not part of one.
pub(crate) fn frames_a_block(message: &[u8]) -> bool {
    matches!(message.first(), Some(b'S' | b'E' | b'c' | b'A'))
}

/// Takes a message inside a block apart: its (sub)transaction and its tag and body as they are
/// outside of one. Origins carry no transaction.
pub(crate) fn unframe(message: &[u8]) -> Result<(Option<u32>, u8, &[u8])> {
    let mut reader = Reader { rest: message };
    match reader.u8()? {
        b'O' => Ok((None, b'O', reader.rest)),
        tag @ (b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M') => {
            Ok((Some(reader.u32()?), tag, reader.rest))
        }
        b'B' | b'C' | b'S' | b'c' | b'A' => {
            Err(Error::new(Kind::Malformed, "a transaction begins or ends inside a streamed block"))
        }
        tag => Err(unknown(tag)),
    }
}

fn stream_commit<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let xid = reader.u32()?;
    reader.u8()?;
    Ok(Message::StreamCommit(StreamCommit {
        xid,
        commit_lsn: reader.lsn()?,
        end_lsn: reader.lsn()?,
        time_us: reader.i64()?,
    }))
}

fn relation<'a>(reader: &mut Reader<'a>) -> Result<Relation<'a>> {
    let oid = reader.u32()?;
    let schema = reader.text()?;
    let table = reader.text()?;
    let identity = reader.u8()?;
    let count = reader.u16()?;
    let columns = (0..count).map(|_| {
        Ok(RelationColumn {
            key: reader.u8()? & 1 != 0,
            name: reader.text()?,
            type_oid: reader.u32()?,
            type_modifier: reader.i32()?,
        })
    });
    let columns = columns.collect::<Result<_>>()?;
    Ok(Relation { oid, schema, table, identity, columns })
}

fn update<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let relation = reader.u32()?;
    let old = match reader.u8()? {
        b'N' => return Ok(Message::Update { relation, old: None, new: reader.tuple()? }),
        b'K' => Old::Key(reader.tuple()?),
        b'O' => Old::Full(reader.tuple()?),
        _ => return Err(malformed()),
    };
    reader.expect(b'N')?;
    Ok(Message::Update { relation, old: Some(old), new: reader.tuple()? })
}

fn truncate<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let count = reader.u32()?;
    reader.u8()?;
    let relations = (0..count).map(|_| reader.u32()).collect::<Result<_>>()?;
    Ok(Message::Truncate { relations })
}

impl<'a> Tuple<'a> {
    /// The columns in order. The shape was checked when the message was parsed.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let mut reader = Reader { rest: self.cells };
        (0..self.columns).map_while(move |_| reader.cell().ok())
    }

    /// All bytes of the tuple; each [`Cell::Text`] lies in them.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.cells
    }
}

/// Reads from the front of a slice; every read checks what is there.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(length).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (front, rest) = self.rest.split_first_chunk().ok_or_else(malformed)?;
        self.rest = rest;
        Ok(*front)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn lsn(&mut self) -> Result<Lsn> {
        self.array().map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    fn expect(&mut self, tag: u8) -> Result<()> {
        if self.u8()? == tag { Ok(()) } else { Err(malformed()) }
    }

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|error| malformed().caused_by(error))
    }

    fn cell(&mut self) -> Result<Cell<'a>> {
        match self.u8()? {
            b'n' => Ok(Cell::Null),
            b'u' => Ok(Cell::Unchanged),
            b't' => {
                let length = usize::try_from(self.u32()?).map_err(|_| malformed())?;
                self.take(length).map(Cell::Text)
            }
            b'b' => {
                Err(Error::new(Kind::Unsupported, "a binary column value that was not asked for"))
            }
            _ => Err(malformed()),
        }
    }

    fn tuple(&mut self) -> Result<Tuple<'a>> {
        let columns = self.u16()?;
        let start = self.rest;
        for _ in 0..columns {
            self.cell()?;
        }
        let length = start.len() - self.rest.len();
        Ok(Tuple { columns, cells: start.get(..length).unwrap_or_default() })
    }
}

fn malformed() -> Error {
    Error::new(Kind::Malformed, "a pgoutput message is cut or damaged")
}

fn unknown(tag: u8) -> Error {
    let name = match tag {
        b'b' | b'P' | b'K' | b'r' | b'p' => "two-phase commit",
        _ => {
            let context = format!("pgoutput message with tag 0x{tag:02x}");
            return Error::new(Kind::Unsupported, context);
        }
    };
    Error::new(Kind::Unsupported, format!("pgoutput message of {name} that was not asked for"))
}

#[cfg(test)]
pub(super) mod tests;
