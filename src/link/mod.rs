//! A link: one direction from a source database to a target database. `ports` is what it needs of
//! the rooms and the state; the rest runs it.

pub mod backoff;
pub mod lag;
pub mod ledger;
pub mod ports;
pub mod queue;
pub mod resume;
