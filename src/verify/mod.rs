//! Whether both sides of a link hold the same rows: values in one canonical form, digests of rows, and
//! the walk over both tables that finds what is missing, extra or different.
//!
//! `canonical`, `json` and `digest` are pure.

pub mod canonical;
pub mod digest;
mod json;
