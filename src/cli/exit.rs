//! Exit codes of every verb (also in `--help`).

/// Good; for `run`: stopped or caught up.
pub const GOOD: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// Usage or configuration.
pub const USAGE: u8 = 2;
/// Differences found.
pub const DIFFERENT: u8 = 3;
/// Halted; needs a person.
pub const HALTED: u8 = 4;
