//! Whether both sides of a link hold the same rows: values in one canonical form, digests of rows, and
//! the walk over both tables that finds what is missing, extra or different.
//!
//! `canonical`, `json`, `digest`, `order`, `merge` and `pair` are pure, `report` is plain data. `compare`
//! reads one table on both sides, `inquiry` looks at what seems to differ once more; `task` runs both
//! beside a link's stream, and `desk` is where people ask for it.

pub mod canonical;
pub mod compare;
pub mod desk;
pub mod digest;
pub mod inquiry;
mod json;
pub mod merge;
pub mod order;
pub mod pace;
pub mod pair;
pub mod report;
pub mod task;
