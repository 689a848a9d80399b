//! Bytes of the binary log to events, pure: header and checksum, the events that weir must
//! understand, and table maps with their optional metadata.
//!
//! Rows are not decoded here but handed on as bytes ([`rows::LoggedRows`]), so that rows of tables
//! nobody replicates cost nothing. Every length is checked before it is used; malformed bytes are
//! errors, never panics. An event that is not understood is an error with its name, unless the
//! server itself says that it may be ignored.
//! Sources: MySQL "Binary Log Event"; MariaDB "Replication Protocol".

pub(crate) mod compressed;
pub(crate) mod cursor;
pub(crate) mod event;
pub(crate) mod gtid;
pub(crate) mod metadata;
pub(crate) mod query;
pub(crate) mod rows;
pub(crate) mod table_map;
pub(crate) mod xid;

pub(crate) use compressed::Payload;
pub(crate) use cursor::Cursor;
pub(crate) use event::{Checksum, Event, Format, Header, parse};
pub(crate) use query::Query;
pub(crate) use rows::{LoggedRows, RowsKind};
pub(crate) use table_map::{EventColumn, TableMap, Wire};
pub(crate) use xid::Xid;
