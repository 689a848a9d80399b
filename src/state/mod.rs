//! The state directory: everything that weir remembers on this machine, behind the link's
//! [`Ledger`](crate::link::ledger::Ledger) port. Nothing outside this folder names sled.
//!
//! It holds nothing that cannot be rebuilt: the truth about progress is the witness in the target.

mod checkpoint;
mod comparisons;
mod directory;
mod files;
mod mirror;
mod record;
#[cfg(test)]
mod recorded;
mod schema;
mod store;
mod writer;

pub use comparisons::Comparisons;
pub use directory::{held, is_held};
pub use mirror::{Contents, memory, remembered};
pub use store::Store;
