//! The MySQL and MariaDB room: everything weir knows of MySQL 8.0 to 9.x and MariaDB 10.6 to 11.x,
//! as a source and as a target.
//!
//! Twin of the `postgres` room, file by file. `session` and `failure` serve both halves; `stream`,
//! `binlog`, `decode`, `assemble`, `source` and `scan` are the capture side. Where the two servers
//! differ, [`session::Flavor`] decides.

mod assemble;
mod binlog;
pub mod catalog;
mod condition;
mod copies;
pub mod ddl;
mod decode;
mod duplicates;
pub mod encode;
pub mod failure;
mod flags;
mod history;
pub mod identity;
mod letters;
mod login;
pub mod preflight;
#[doc(hidden)]
pub mod probe;
mod room;
pub mod scan;
pub mod session;
pub mod setup;
pub mod source;
pub mod sql;
mod statement;
mod stream;
pub mod target;
mod transport;
mod wire;

pub use room::Mysql;
