//! Throw-away database servers: real PostgreSQL, MariaDB and MySQL on loopback, for `weir demo` and the tests.
//!
//! Guarantees: a free port (never 5432 or 3306), the settings replication needs, an identity and a password of its
//! own per server, and nothing left behind: process and directory go on drop, on a panic, on Ctrl-C and when this
//! process is killed. Nothing is installed on the machine; servers are found or downloaded into a cache.
//! As root the servers run as `nobody`, because the servers refuse root.
//! Deliberately not here: anything the data path needs. These servers are for data that may be lost.

mod account;
mod client;
mod companion;
mod error;
mod fetch;
mod guardian;
mod identity;
mod options;
mod require;
mod running;
mod server;
mod settings;
mod standby;
mod tell;
mod template;
mod workdir;

pub use companion::{Companion, Ended};
pub use error::{Error, Kind, Result};
pub use fetch::{Installed, Tool, install};
pub use options::Options;
pub use require::require;
pub use running::{Running, start};
pub use server::Server;
pub use standby::standby;
