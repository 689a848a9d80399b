//! The PostgreSQL room: everything weir knows of PostgreSQL 14 to 18, as a source and as a target.
//!
//! Twin of the `mysql` room, file by file. `session` and `failure` serve both halves; `stream`,
//! `pgoutput`, `decode`, `assemble`, `source` and `scan` are the capture side; `catalog`, `encode`,
//! `sql`, `target`, `preflight`, `setup` and `ddl` the apply side.

pub mod catalog;
pub mod encode;
pub mod failure;
pub mod session;
pub mod sql;
pub mod target;
