//! From the file's shape to settings that can be relied on.
//!
//! Each file here checks one section and notes every problem it finds; `whole` puts the sections
//! together and `conflicts` checks what several of them say about the same table.

mod alerts;
mod apply;
mod conflicts;
mod database;
mod names;
mod replicate;
mod start;
mod table;
mod whole;

pub(crate) use whole::config;
