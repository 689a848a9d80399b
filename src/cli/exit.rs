//! Exit codes of every verb (also in `--help`).

use crate::error::Kind;

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

/// The code of failures of these kinds: good without any, the same in every verb where nothing is
/// wrong but the configuration, and else what the verb says.
pub(super) fn after(kinds: impl IntoIterator<Item = Kind>, otherwise: u8) -> u8 {
    let mut code = GOOD;
    for kind in kinds {
        match kind {
            Kind::Configuration => code = USAGE,
            _ => return otherwise,
        }
    }
    code
}
