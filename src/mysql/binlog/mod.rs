//! Bytes of the binary log to events, pure: header and checksum, the events that weir must
//! understand, and table maps with their optional metadata.
//!
//! Rows are not decoded here but handed on as bytes ([`rows::RowsEvent`]), so that rows of tables
//! nobody replicates cost nothing. Every length is checked before it is used; malformed bytes are
//! errors, never panics. An event that is not understood is an error with its name, unless the
//! server itself says that it may be ignored.
//! Sources: MySQL "Binary Log Event"; MariaDB "Replication Protocol".

pub mod cursor;
pub mod event;
pub mod gtid;
pub mod metadata;
pub mod rows;
pub mod table_map;

pub use cursor::Cursor;
pub use event::{Checksum, Event, Format, Header, parse};
pub use rows::{RowsEvent, RowsKind};
pub use table_map::{EventColumn, TableMap, Wire};
