//! The PostgreSQL room: everything weir knows of PostgreSQL 14 to 18, as a source and as a target.
//!
//! Twin of the `mysql` room, file by file. `session` and `failure` serve both halves; `stream`,
//! `pgoutput`, `decode`, `assemble`, `source` and `scan` are the capture side; `catalog`, `encode`,
//! `sql`, `target`, `letters`, `copies`, `preflight`, `setup` and `ddl` the apply side. `room` is its only door.

mod assemble;
pub mod catalog;
mod condition;
mod copies;
pub mod ddl;
mod decode;
mod duplicates;
pub mod encode;
pub mod failure;
mod flags;
mod follow;
mod letters;
mod login;
mod members;
mod origin;
mod pgoutput;
pub mod preflight;
#[doc(hidden)]
pub mod probe;
mod room;
pub mod scan;
pub mod session;
pub mod setup;
mod shape;
mod slot;
pub mod source;
mod spool;
pub mod sql;
mod stream;
pub mod target;
mod timeline;
mod transport;

pub use room::Postgres;
